/*
 * A heap of those whose time is to come, and a bit for each whose time has come (sched.h).
 */
#include "sim/sched.h"

#include <stdlib.h>

#define FIRST_CAP 64 /* members: a word of `due` */
#define CHILDREN  4
#define NOWHERE   UINT32_MAX       /* it has no time */
#define IS_DUE    (UINT32_MAX - 1) /* its bit is set */

void wsim_sched_free(struct wsim_sched *s)
{
    free(s->heap);
    free(s->place);
    free(s->due);
    *s = (struct wsim_sched){0};
}

static bool widen(struct wsim_sched *s)
{
    uint32_t cap = s->member_cap ? s->member_cap * 2 : FIRST_CAP;
    struct wsim_slot *heap = realloc(s->heap, cap * sizeof *heap);
    if (heap)
        s->heap = heap;
    uint32_t *place = realloc(s->place, cap * sizeof *place);
    if (place)
        s->place = place;
    uint64_t *due = realloc(s->due, cap / 64 * sizeof *due);
    if (due)
        s->due = due;
    if (!heap || !place || !due)
        return false;
    for (uint32_t word = s->member_cap / 64; word < cap / 64; word++)
        s->due[word] = 0;
    s->member_cap = cap;
    return true;
}

bool wsim_sched_add(struct wsim_sched *s)
{
    if (s->member_n == s->member_cap && !widen(s))
        return false;
    s->place[s->member_n++] = NOWHERE;
    return true;
}

/* ---- The heap ---- */

static void put(struct wsim_sched *s, uint32_t i, struct wsim_slot slot)
{
    s->heap[i] = slot;
    s->place[slot.member] = i;
}

static void rise(struct wsim_sched *s, uint32_t i, struct wsim_slot slot)
{
    while (i > 0 && slot.at < s->heap[(i - 1) / CHILDREN].at) {
        put(s, i, s->heap[(i - 1) / CHILDREN]);
        i = (i - 1) / CHILDREN;
    }
    put(s, i, slot);
}

static void sink(struct wsim_sched *s, uint32_t i, struct wsim_slot slot)
{
    for (;;) {
        uint32_t first = CHILDREN * i + 1, end = first + CHILDREN < s->heap_n ? first + CHILDREN : s->heap_n;
        if (first >= end)
            break;
        uint32_t least = first;
        for (uint32_t k = first + 1; k < end; k++)
            least = s->heap[k].at < s->heap[least].at ? k : least;
        if (s->heap[least].at >= slot.at)
            break;
        put(s, i, s->heap[least]);
        i = least;
    }
    put(s, i, slot);
}

static void take_out(struct wsim_sched *s, uint32_t i)
{
    s->place[s->heap[i].member] = NOWHERE;
    struct wsim_slot last = s->heap[--s->heap_n];
    if (i == s->heap_n)
        return;
    if (i > 0 && last.at < s->heap[(i - 1) / CHILDREN].at)
        rise(s, i, last);
    else
        sink(s, i, last);
}

/* ---- Times ---- */

void wsim_sched_set(struct wsim_sched *s, uint32_t member, weir_ns at)
{
    uint32_t i = s->place[member];
    struct wsim_slot slot = {at, member};
    if (i == IS_DUE) {
        s->due[member / 64] &= ~(UINT64_C(1) << member % 64);
        s->due_n--;
        s->place[member] = i = NOWHERE;
    }
    if (i == NOWHERE) {
        if (at != WEIR_NEVER)
            rise(s, s->heap_n++, slot);
    } else if (at == WEIR_NEVER) {
        take_out(s, i);
    } else if (at < s->heap[i].at) {
        rise(s, i, slot);
    } else if (at > s->heap[i].at) {
        sink(s, i, slot);
    }
}

/* Is the first in the heap due, and nobody else? */
static bool is_alone(const struct wsim_sched *s, weir_ns now)
{
    bool is_one = s->due_n == 0 && s->heap_n > 0;
    for (uint32_t i = 1; i <= CHILDREN && i < s->heap_n; i++)
        is_one = is_one && s->heap[i].at > now;
    return is_one;
}

uint32_t wsim_sched_find(struct wsim_sched *s, uint32_t from, weir_ns now)
{
    if (is_alone(s, now)) /* nearly always: it need not leave the heap to be given its next time */
        return s->heap[0].member >= from ? s->heap[0].member : s->member_n;
    while (s->heap_n > 0 && s->heap[0].at <= now) {
        uint32_t member = s->heap[0].member;
        take_out(s, 0);
        s->place[member] = IS_DUE;
        s->due[member / 64] |= UINT64_C(1) << member % 64;
        s->due_n++;
    }
    for (uint32_t word = from / 64; word < (s->member_n + 63) / 64; word++) {
        uint64_t bits = s->due[word] & (word == from / 64 ? ~UINT64_C(0) << from % 64 : ~UINT64_C(0));
        if (bits)
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return s->member_n;
}
