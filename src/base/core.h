/*
 * What every layer of one stack shares: the time, memory, timers, randomness, tunables, counters and the event stream.
 * The layers hold a pointer to it; none of it knows of them.
 */
#ifndef WI_BASE_CORE_H
#define WI_BASE_CORE_H

#include "base/alloc.h"
#include "base/random.h"
#include "base/rss.h"
#include "base/stats.h"
#include "base/sysctl.h"
#include "base/timer.h"
#include <weir/errno.h>
#include <weir/event.h>
#include <weir/pkt.h>
#include <weir/stack.h>
#include <weir/types.h>

struct wi_core {
    weir_ns now;
    struct wi_mem *mem; /* the pool's: one limit for everything */
    struct weir_pool *pool;
    struct wi_wheel wheel;
    struct wi_rng rng;       /* for choices that need no secrecy */
    struct wi_secret secret; /* initial sequence numbers, ports, keys */
    struct wi_sysctl sysctl;
    struct wi_stats stats;
    struct weir_shard shard; /* rss NULL: this stack is all of its host */
    uint64_t conn_id_next;
    uint64_t event_serial, event_mask;
    void (*on_event)(void *ctx, const struct weir_event *);
    void *event_ctx;
    char hostname[32];
};

/* Set up all of it from the owner's configuration. 0, -EINVAL (no allocator) or -ENOMEM. */
int wi_core_init(struct wi_core *, const struct weir_config *);
void wi_core_fini(struct wi_core *);

static inline void wi_count(struct wi_core *core, enum wi_stat stat)
{
    core->stats.count[stat]++;
}

/* Does anybody want this kind? Ask before an event is put together. */
static inline bool wi_event_wanted(const struct wi_core *core, enum weir_event_kind kind)
{
    return core->event_mask >> kind & 1;
}

/* Hand an event over; fills in `at` and `serial`. Returns the serial. */
uint64_t wi_event_emit(struct wi_core *, struct weir_event *);

/* A packet is dropped: counted, and told if anybody listens. `pkt` may be NULL. */
void wi_drop(struct wi_core *, enum weir_drop, const struct weir_pkt *, int netif);

/* Allocate and free on the stack's budget. */
static inline void *wi_core_alloc(struct wi_core *core, size_t size)
{
    return wi_mem_alloc(core->mem, size);
}

static inline void wi_core_free(struct wi_core *core, void *ptr, size_t size)
{
    wi_mem_free(core->mem, ptr, size);
}

#endif
