/*
 * A binary heap of alarms, each of which knows its place (alarms.h).
 */
#include "sim/alarms.h"

#include <stdlib.h>

#define FIRST_CAP 16

void wsim_alarms_free(struct wsim_alarms *q)
{
    free(q->heap);
    *q = (struct wsim_alarms){0};
}

static bool is_before(const struct wsim_alarm *a, const struct wsim_alarm *b)
{
    return a->at != b->at ? a->at < b->at : a->turn < b->turn;
}

static void put(struct wsim_alarms *q, size_t i, struct wsim_alarm *a)
{
    q->heap[i] = a;
    a->place = i + 1;
}

/* Put `a` where it belongs, given that place `i` is free. */
static void settle(struct wsim_alarms *q, size_t i, struct wsim_alarm *a)
{
    for (; i > 0 && is_before(a, q->heap[(i - 1) / 2]); i = (i - 1) / 2)
        put(q, i, q->heap[(i - 1) / 2]);
    for (size_t child; (child = 2 * i + 1) < q->n; i = child) {
        if (child + 1 < q->n && is_before(q->heap[child + 1], q->heap[child]))
            child++;
        if (!is_before(q->heap[child], a))
            break;
        put(q, i, q->heap[child]);
    }
    put(q, i, a);
}

bool wsim_alarms_set(struct wsim_alarms *q, struct wsim_alarm *a, weir_ns at)
{
    wsim_alarms_cancel(q, a);
    if (q->n == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : FIRST_CAP;
        struct wsim_alarm **heap = realloc(q->heap, cap * sizeof(void *));
        if (!heap)
            return false;
        q->heap = heap;
        q->cap = cap;
    }
    a->at = at;
    a->turn = ++q->turns;
    settle(q, q->n++, a);
    return true;
}

void wsim_alarms_cancel(struct wsim_alarms *q, struct wsim_alarm *a)
{
    if (a->place == 0)
        return;
    struct wsim_alarm *last = q->heap[--q->n];
    if (last != a)
        settle(q, a->place - 1, last);
    a->place = 0;
}

struct wsim_alarm *wsim_alarms_first(const struct wsim_alarms *q)
{
    return q->n > 0 ? q->heap[0] : NULL;
}
