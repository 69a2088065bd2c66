/*
 * A ring that carries packets from one thread to one other: single producer, single consumer, bounded in bytes.
 *
 * A packet belongs to the thread of its pool, so it is copied: in by the producer, out into a packet of the consumer's
 * pool. What the producer has put in becomes visible when it publishes, and what the consumer has taken out is given
 * back when it is done with a batch: one write of a shared cache line for many packets each way. Each side keeps a copy
 * of the other's position and looks again only when that does not do. So while nothing is passed nobody writes here,
 * and the consumer's look is a read of a line that it has.
 */
#ifndef WIO_RING_H
#define WIO_RING_H

#include "io/lender.h"
#include "io/lines.h"

#include <stdatomic.h>
#include <weir/pkt.h>

struct wio_ring {
    /* The producer's. */
    _Alignas(WIO_CACHE_LINE) _Atomic uint64_t head; /* bytes published since the beginning */
    uint64_t put;                                   /* the same with what is not published yet */
    uint64_t tail_seen;                             /* the consumer's, when it was last looked at */
    uint64_t passed_n, full_n;                      /* packets that it took, and that it had no room for */

    /* The consumer's. */
    _Alignas(WIO_CACHE_LINE) _Atomic uint64_t tail; /* bytes given back */
    uint64_t got;                                   /* the same with what is not given back yet */
    uint64_t head_seen;
    uint64_t lost_n; /* packets that there was no memory for */

    /* Neither's: written before the threads begin. */
    _Alignas(WIO_CACHE_LINE) uint8_t *bytes;
    uint64_t size; /* a power of two */
};

/* What comes with a packet, besides its own struct's gso_size, flags, l3_off and l4_off. */
struct wio_ring_note {
    uint16_t kind;     /* the owner's word on it */
    uint16_t head_len; /* so many bytes are to lie in the packet's head; 0: wherever is best */
};

#define WIO_RING_MIN (1u << 18) /* four super-segments */

/* size: bytes, a power of two from WIO_RING_MIN. The memory is taken as it is used. 0 or -ENOMEM. */
int wio_ring_init(struct wio_ring *, uint64_t size);
void wio_ring_fini(struct wio_ring *);

/* ---- The producer ---- */

/* Put a copy of a packet in. False: there is no room, and nothing happened but that it was counted. */
bool wio_ring_put(struct wio_ring *, const struct weir_pkt *, struct wio_ring_note);

/* What was put in may be taken out from now on. Sequentially consistent with wio_ring_is_empty, so that one who
 * publishes and then asks whether the other sleeps, and one who says that he sleeps and then looks, can't miss each
 * other. */
void wio_ring_publish(struct wio_ring *);
bool wio_ring_has_unpublished(const struct wio_ring *);

/* ---- The consumer ---- */

/* Take up to `cap` packets out, each from `pool` (large ones in the lender's blocks, NULL: none) with one reference.
 * What came with them is in `notes`. Returns how many; 0: it is empty. */
unsigned wio_ring_take(struct wio_ring *, struct weir_pool *, struct wio_lender *, struct weir_pkt **,
                       struct wio_ring_note *notes, unsigned cap);
bool wio_ring_is_empty(struct wio_ring *);

#endif
