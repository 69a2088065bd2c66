/*
 * A ring for packets in order, a binary heap for those that overtake (line.h).
 */
#include "io/line.h"

#include <stdlib.h>

#define FIRST_CAP  64
#define HEADER_OFF 108 /* about where the IP header of a packet of weir's lies in its room */

static bool grow_ring(struct wio_line *l)
{
    size_t cap = l->ring_cap ? l->ring_cap * 2 : FIRST_CAP;
    struct wio_held *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (size_t i = 0; i < l->ring_n; i++)
        ring[i] = l->ring[(l->ring_at + i) & (l->ring_cap - 1)];
    free(l->ring);
    l->ring = ring;
    l->ring_cap = cap;
    l->ring_at = 0;
    return true;
}

static bool push_heap(struct wio_line *l, const struct wio_held *h)
{
    if (l->heap_n == l->heap_cap) {
        size_t cap = l->heap_cap ? l->heap_cap * 2 : FIRST_CAP;
        struct wio_held *heap = realloc(l->heap, cap * sizeof *heap);
        if (!heap)
            return false;
        l->heap = heap;
        l->heap_cap = cap;
    }
    size_t at = l->heap_n++;
    while (at > 0 && wio_held_is_before(h, &l->heap[(at - 1) / 2])) {
        l->heap[at] = l->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    l->heap[at] = *h;
    return true;
}

static struct wio_held pop_heap(struct wio_line *l)
{
    struct wio_held top = l->heap[0], last = l->heap[--l->heap_n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= l->heap_n)
            break;
        if (child + 1 < l->heap_n && wio_held_is_before(&l->heap[child + 1], &l->heap[child]))
            child++;
        if (!wio_held_is_before(&l->heap[child], &last))
            break;
        l->heap[at] = l->heap[child];
        at = child;
    }
    l->heap[at] = last;
    return top;
}

bool wio_line_push(struct wio_line *l, const struct wio_held *h)
{
    const struct wio_held *tail = l->ring_n ? &l->ring[(l->ring_at + l->ring_n - 1) & (l->ring_cap - 1)] : NULL;
    if (tail && h->due < tail->due) {
        if (!push_heap(l, h))
            return false;
    } else {
        if (l->ring_n == l->ring_cap && !grow_ring(l))
            return false;
        l->ring[(l->ring_at + l->ring_n++) & (l->ring_cap - 1)] = *h;
    }
    l->bytes += h->pkt->len;
    return true;
}

/* The next packet was put here long ago: fetch what whoever gets it looks at first. */
static void prefetch_next(const struct wio_line *l)
{
    if (l->ring_n == 0)
        return;
    const struct weir_pkt *p = l->ring[l->ring_at].pkt;
    __builtin_prefetch(p, 1);
    __builtin_prefetch(p->room + HEADER_OFF, 1);
}

struct wio_held wio_line_pop(struct wio_line *l)
{
    struct wio_held h;
    if (wio_line_peek(l) == l->heap) {
        h = pop_heap(l);
    } else {
        h = l->ring[l->ring_at];
        l->ring_at = (l->ring_at + 1) & (l->ring_cap - 1);
        l->ring_n--;
        prefetch_next(l);
    }
    l->bytes -= h.pkt->len;
    return h;
}

void wio_line_free(struct wio_line *l)
{
    while (wio_line_peek(l))
        weir_pkt_unref(wio_line_pop(l).pkt);
    free(l->ring);
    free(l->heap);
}
