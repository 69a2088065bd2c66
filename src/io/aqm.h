/*
 * Active queue management before a link's transmitter: what is marked, what is dropped, while the queue is not full
 * yet. And the IP header's ECN field, to read and to mark (RFC 3168 5).
 *
 * The queue is first in, first out and its speed is known, so when a packet will leave it is known when it comes: what
 * an algorithm would decide at the head of the queue is decided here on arrival, at the time that the packet will have
 * there.
 */
#ifndef WIO_AQM_H
#define WIO_AQM_H

#include "io/link.h"

enum wio_aqm_fate { WIO_AQM_PASS, WIO_AQM_MARK, WIO_AQM_DROP };

/* CoDel's state, RFC 8289 5.4. */
struct wio_codel {
    weir_ns first_above; /* when the delay will have been above the target for an interval; 0: it is not above */
    weir_ns next;        /* of the marks and drops; valid while is_on */
    uint32_t count, last_count;
    bool is_on;
};

/*
 * The next packet of a queue under CoDel.
 *
 * start     when the packet leaves the queue; not before that of the packet before
 * wait      how long it has waited then
 * target    bearable delay; interval: for how long more is borne
 * is_ect    the packet may be marked, else it is dropped in place of it (RFC 3168 5)
 */
enum wio_aqm_fate wio_codel_judge(struct wio_codel *, weir_ns start, weir_ns wait, weir_ns target, weir_ns interval,
                                  bool is_ect);

/* The ECN field of a packet as it is on a wire of that type: 0 Not-ECT (or no IP), 1 ECT(1), 2 ECT(0), 3 CE. */
unsigned wio_ecn_of(const struct weir_pkt *, enum weir_link_type);

/*
 * The packet with Congestion Experienced, its IPv4 header checksum made right: itself when it has it already, else
 * another one, for others may view the same bytes. Takes p's reference; NULL: no memory. Only for what wio_ecn_of says
 * is ECT or CE.
 */
struct weir_pkt *wio_ecn_mark(struct weir_pkt *p, enum weir_link_type);

#endif
