/*
 * What is under way in one direction of a link: packets by the time at which they arrive, then by their turn.
 *
 * Packets that arrive in the order they were sent (nearly all) go through a ring at constant cost; only one that
 * overtakes another goes through a heap.
 */
#ifndef WIO_LINE_H
#define WIO_LINE_H

#include <weir/pkt.h>

struct wio_held {
    struct weir_pkt *pkt;
    weir_ns due;
    uint64_t turn; /* counts what the link took, both directions */
};

struct wio_line {
    struct wio_held *ring; /* cap entries, a power of two; its packets' due times never fall */
    struct wio_held *heap;
    size_t ring_at, ring_n, ring_cap;
    size_t heap_n, heap_cap;
    uint64_t bytes; /* held */
};

void wio_line_free(struct wio_line *);                          /* with its packets */
bool wio_line_push(struct wio_line *, const struct wio_held *); /* takes the reference; false: out of memory */
struct wio_held wio_line_pop(struct wio_line *);                /* what peek shows; there must be one */

static inline bool wio_held_is_before(const struct wio_held *a, const struct wio_held *b)
{
    return a->due != b->due ? a->due < b->due : a->turn < b->turn;
}

/* The next to arrive, NULL when none is under way. */
static inline const struct wio_held *wio_line_peek(const struct wio_line *l)
{
    const struct wio_held *first = l->ring_n ? &l->ring[l->ring_at] : NULL;
    if (l->heap_n > 0 && (!first || wio_held_is_before(&l->heap[0], first)))
        return &l->heap[0];
    return first;
}

#endif
