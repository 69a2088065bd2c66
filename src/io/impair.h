/*
 * What a direction of a link does to the next packet: netem's random decisions and the transmitter's clock.
 *
 * Each kind of decision has a random stream of its own and takes one number for each packet, so that another word in
 * the specification does not change which packets are lost.
 */
#ifndef WIO_IMPAIR_H
#define WIO_IMPAIR_H

#include "io/aqm.h"
#include "io/link.h"
#include "io/rng.h"

struct wio_impair {
    struct wio_dir_config cfg;
    struct wio_rng loss_rng, reorder_rng, dup_rng, corrupt_rng, where_rng, jitter_rng, ce_rng;
    struct wio_codel codel;
    uint32_t mtu;
    weir_ns queue_wait_max;            /* what the queue's bytes take to transmit */
    uint32_t burst_enter, burst_leave; /* Gilbert-Elliott: probabilities good to bad, bad to good */
    bool is_bad;
    uint32_t reorder_wait; /* packets since the last that skipped the delay */
    int64_t last_sample;   /* of the jitter, for its correlation */
    weir_ns busy_until;    /* the transmitter has sent all it took by then */
    weir_ns bucket_empty;  /* GCRA: when the policer's bucket is full again, had nothing more come */
    weir_ns last_due;      /* of the packets whose order is kept */
};

/* When a packet arrives, or that it does not. */
struct wio_passage {
    enum weir_drop drop;
    bool is_marked; /* with Congestion Experienced */
    weir_ns due;
    weir_ns plain_due; /* without jitter, reordering and rules */
    bool skips_delay;
};

/* Does no word of the configuration impair anything? */
bool wio_dir_is_clean(const struct wio_dir_config *);

void wio_impair_init(struct wio_impair *, const struct wio_dir_config *, uint32_t mtu, uint64_t seed, enum wio_dir);
void wio_impair_config(struct wio_impair *, const struct wio_dir_config *, uint32_t mtu);

bool wio_impair_lose(struct wio_impair *);
bool wio_impair_duplicate(struct wio_impair *);
bool wio_impair_corrupt(struct wio_impair *);
uint32_t wio_impair_bit(struct wio_impair *, uint32_t bits); /* which one to flip, below `bits` */

/* Police, queue, transmit and propagate a packet of `len` bytes that is sent now. more: added to its delay by a rule.
 * is_ect: it may be marked. */
struct wio_passage wio_impair_pass(struct wio_impair *, uint32_t len, weir_ns now, int64_t more, bool is_ect);

#endif
