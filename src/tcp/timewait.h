/*
 * TIME-WAIT as a compact entry that takes the connection's place: RFC 9293 3.10.7.4, with RFC 1337's and RFC 6191's
 * rules as Linux has them. All last equally long, so one timer and a queue in the order of their ends serve them all.
 *
 * FIN-WAIT-2 without an owner is such an entry, too: all it waits for is the peer's FIN. It lasts as long as the owner
 * wanted, so it has a timer of its own.
 */
#ifndef WI_TCP_TIMEWAIT_H
#define WI_TCP_TIMEWAIT_H

#include "tcp/demux.h"

struct wi_tcp_timewait {
    struct wi_hnode node;      /* wi_tcp.timewaits */
    struct wi_list fifo_link;  /* wi_tcp.timewait_fifo, or wi_tcp.fin_waits */
    weir_ns due;               /* its end; not of FIN-WAIT-2 */
    struct wi_tcp_tuple tuple; /* its port stays held, without a socket (wi_ports_leave_place) */
    struct wi_seq rcv_nxt, snd_nxt;
    uint32_t ts_recent, ts_off; /* valid while has_ts */
    uint32_t oow_ack_ms;        /* when an ACK last answered an out-of-window segment; 0: never */
    uint32_t iss, irs;          /* for events */
    uint64_t conn_id;
    uint16_t wnd;   /* as the header says it, scaled */
    uint16_t netif; /* SO_BINDTODEVICE, 0: any */
    uint8_t tos;
    bool has_ts : 1;
    bool is_fin_wait_2 : 1; /* it is a struct wi_tcp_fin_wait */
    unsigned rcv_wscale : 4;
    uint8_t port_reuse;
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct wi_tcp_timewait) <= 120, "a million of them wait on a busy host");

/* FIN-WAIT-2 without an owner. */
struct wi_tcp_fin_wait {
    struct wi_tcp_timewait tw; /* first */
    struct wi_tcp *tcp;
    struct wi_timer timer;
};

void wi_tcp_timewait_init(struct wi_tcp *);
void wi_tcp_timewait_fini(struct wi_tcp *);

struct wi_tcp_timewait *wi_tcp_timewait_find(const struct wi_tcp *, const struct wi_tcp_key *);

/* Is this a SYN that may begin a new connection here at once: by its timestamp, else by its sequence number beyond the
 * last one's? RFC 6191 2, RFC 9293 MAY-2. */
bool wi_tcp_timewait_may_reopen(const struct wi_tcp_timewait *, const struct wi_wire_tcp *);

/* May a connect of ours take the tuple over (tcp_tw_reuse)? RFC 6191 2: our timestamp will be larger. */
bool wi_tcp_timewait_reusable(const struct wi_tcp *, const struct wi_tcp_timewait *);

/* Beyond all that the old connection sent. */
struct wi_seq wi_tcp_timewait_next_iss(const struct wi_tcp_timewait *);

/* A segment for it that opens nothing. */
enum weir_drop wi_tcp_timewait_input(struct wi_tcp *, struct wi_tcp_timewait *, const struct wi_tcp_seg *);
void wi_tcp_timewait_kill(struct wi_tcp *, struct wi_tcp_timewait *, const char *cause);

#endif
