/*
 * A host of shards (weir/shard.h) on a device: each has a stack and a thread of its own, and a queue of the device.
 *
 * What a queue receives goes to the shard that weir_steer names: nearly always the queue's own, where the device
 * chooses queues by the same hash (wio_shards_are_steered). What came to another, and what all must hear, is passed
 * over a ring from each shard to each other (io/ring.h). Where a device has fewer queues than there are shards, those
 * without one receive and send over such a ring as well, through the shard whose queue it is.
 *
 * Nothing else is shared, so where packets come to the right queue no cache line is written that another thread reads.
 */
#ifndef WIO_SHARDS_H
#define WIO_SHARDS_H

#include "io/driver.h"

#include <weir/shard.h>

struct wio_shards;
struct wio_shard;

/*
 * Prepare n shards (1 to WIO_QUEUES_MAX) for a device that is open.
 *
 * key   of the hash; NULL: weir_rss_key_microsoft
 *
 * The device is asked to choose queues by that hash. NULL: no memory, or no descriptors. The device must stay until
 * wio_shards_free.
 */
struct wio_shards *wio_shards_new(struct wio_driver *, unsigned n, const uint8_t key[WEIR_RSS_KEY_LEN]);

/* Their stacks are gone, or silent from here on. NULL is fine. */
void wio_shards_free(struct wio_shards *);

struct wio_shard *wio_shards_at(struct wio_shards *, unsigned i);
bool wio_shards_are_steered(const struct wio_shards *); /* by the device: what is passed on is the exception */

/* ---- Of one shard: from the thread that its stack is in ---- */

/* What the shard's stack is to be told as weir_config.shard. */
struct weir_shard wio_shard_config(struct wio_shard *);

/* Make the device an interface of the shard's stack. As wio_queue_attach. */
int wio_shard_attach(struct wio_shard *, struct weir *);

/*
 * Sleep until something has come for the shard, the descriptor `fd` (-1: none) is readable, or the time is over.
 *
 * timeout   WEIR_NEVER: none; 0: don't sleep
 *
 * Returns what is to be given to wio_shard_run. A device that there is nothing to wait on isn't waited for.
 */
short wio_shard_wait(struct wio_shard *, int fd, weir_ns timeout);

/* As wio_queue_run: one batch of what has come to the queue, and one from each other shard. Returns how many packets
 * came in. */
unsigned wio_shard_run(struct wio_shard *, short revents, weir_ns now);

/* As wio_queue_flush: and what is for other shards becomes theirs. */
void wio_shard_flush(struct wio_shard *);

/* Counted in packets. Those of a shard are its thread's to ask for. */
struct wio_shard_stats {
    uint64_t rx;      /* given to this shard's stack */
    uint64_t rx_ring; /* of those, from another shard */
    uint64_t passed;  /* to others: received for them, or for all, or put together of fragments, or to be sent */
    uint64_t full;    /* lost: the ring was full */
    uint64_t lost;    /* lost: no memory on this side of a ring */
};

struct wio_shard_stats wio_shard_stats(const struct wio_shard *);

#endif
