/* The timer wheel. Level k's slots are 256^k ticks wide. A timer goes to the level of the highest byte in which
 * its tick differs from the present one (as in tokio's wheel), so within a level all occupied slots are ahead of the
 * present one without wrapping, and the lowest bit in `occupied` is the earliest slot. The earliest timer is the least
 * of the 8 levels' earliest.
 *
 * As time passes, a timer stays where it is, and the slot that the present falls into may still hold timers on every
 * level. */
#include "base/timer.h"

#include <stddef.h>

#include "base/bytes.h"

#define TICK_BITS  16
#define LEVEL_BITS 8

_Static_assert(TICK_BITS + LEVEL_BITS * WI_WHEEL_LEVELS == 64, "the levels span weir_ns");
_Static_assert(1 << LEVEL_BITS == WI_WHEEL_SLOTS, "a digit is a slot");
_Static_assert(WI_WHEEL_LEVELS *WI_WHEEL_WORDS <= 32, "a bit of busy for each word");

static bool is_before(const struct wi_timer *a, const struct wi_timer *b)
{
    return a->key_due != b->key_due ? a->key_due < b->key_due : a->key_order < b->key_order;
}

/* Joins two heaps; either may be NULL. The result's `link` and `next` are the caller's to set. */
static struct wi_timer *heap_meld(struct wi_timer *a, struct wi_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    struct wi_timer *up = is_before(a, b) ? a : b, *down = up == a ? b : a;
    down->next = up->child;
    if (up->child)
        up->child->link = &down->next;
    down->link = &up->child;
    up->child = down;
    return up;
}

/* Makes one heap of a list of siblings: pairs from first to last, then all pairs from last to first (Fredman et al.
 * 1986). */
static struct wi_timer *heap_combine(struct wi_timer *first)
{
    struct wi_timer *pairs = NULL, *all = NULL;
    while (first) {
        struct wi_timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        struct wi_timer *pair = heap_meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct wi_timer *rest = pairs->next;
        all = heap_meld(pairs, all);
        pairs = rest;
    }
    return all;
}

static bool is_slot(const struct wi_wheel *w, struct wi_timer *const *link)
{
    uintptr_t first = (uintptr_t)w->slot, at = (uintptr_t)link;
    return at >= first && at < first + sizeof w->slot;
}

/* Points *link, which is a slot or a timer's, at `t` (may be NULL). */
static void set_link(struct wi_wheel *w, struct wi_timer **link, struct wi_timer *t)
{
    *link = t;
    if (t)
        t->link = link;
    if (!is_slot(w, link))
        return;
    size_t i = (size_t)(link - w->slot), word = i / 64;
    uint64_t bit = (uint64_t)1 << (i % 64);
    w->occupied[word] = t ? w->occupied[word] | bit : w->occupied[word] & ~bit;
    w->busy = w->occupied[word] ? w->busy | (uint32_t)1 << word : w->busy & ~((uint32_t)1 << word);
}

/* Adds the heap `t` to a slot. */
static void slot_add(struct wi_wheel *w, struct wi_timer **slot, struct wi_timer *t)
{
    struct wi_timer *root = heap_meld(*slot, t);
    root->next = NULL;
    set_link(w, slot, root);
}

/* Takes `t` out of its heap; its children, all due later than its parent, take its place as one. */
static void unlink_timer(struct wi_wheel *w, struct wi_timer *t)
{
    struct wi_timer *heir = heap_combine(t->child), *rest = t->next, **link = t->link;
    t->child = NULL;
    t->next = NULL;
    t->link = NULL;
    if (!heir) {
        set_link(w, link, rest);
        return;
    }
    heir->next = rest;
    if (rest)
        rest->link = &heir->next;
    set_link(w, link, heir);
}

static struct wi_timer **slot_for(struct wi_wheel *w, weir_ns due)
{
    uint64_t present = w->now >> TICK_BITS;
    uint64_t tick = wi_max_u64(due, w->now) >> TICK_BITS;
    uint64_t differ = tick ^ present;
    unsigned level = differ ? (63u - (unsigned)__builtin_clzll(differ)) / LEVEL_BITS : 0;
    return &w->slot[level * WI_WHEEL_SLOTS + (tick >> (level * LEVEL_BITS)) % WI_WHEEL_SLOTS];
}

/* Puts an armed timer, which is in no heap, where its deadline belongs. */
static void place(struct wi_wheel *w, struct wi_timer **slot, struct wi_timer *t)
{
    t->key_due = t->due;
    t->key_order = t->order;
    w->idle_until = wi_min_u64(w->idle_until, t->key_due);
    slot_add(w, slot, t);
}

/* The first by place: it may have moved to a later one, or stopped. */
static struct wi_timer *first_placed(const struct wi_wheel *w)
{
    struct wi_timer *best = NULL;
    const uint32_t level_words = ((uint32_t)1 << WI_WHEEL_WORDS) - 1;
    for (uint32_t busy = w->busy; busy;) {
        unsigned word = (unsigned)__builtin_ctz(busy);
        struct wi_timer *t = w->slot[word * 64 + (unsigned)__builtin_ctzll(w->occupied[word])];
        if (!best || is_before(t, best))
            best = t;
        busy &= ~(level_words << word / WI_WHEEL_WORDS * WI_WHEEL_WORDS); /* the rest of this level is later */
    }
    return best;
}

void wi_wheel_init(struct wi_wheel *w, weir_ns now)
{
    *w = (struct wi_wheel){.now = now, .idle_until = WEIR_NEVER};
}

void wi_timer_init(struct wi_timer *t, void (*fire)(struct wi_timer *t, weir_ns now))
{
    *t = (struct wi_timer){.due = WEIR_NEVER, .fire = fire};
}

void wi_timer_arm(struct wi_wheel *w, struct wi_timer *t, weir_ns due)
{
    if (due == WEIR_NEVER) {
        wi_timer_stop(t);
        return;
    }
    bool is_placed = t->link && t->key_due <= due && due > w->now && !w->slot_after;
    if (!is_placed && t->link)
        unlink_timer(w, t);
    t->due = due;
    t->order = ++w->armed_n;
    if (is_placed)
        return;
    bool waits = w->is_firing_rearmed && due <= w->now;
    place(w, waits ? &w->slot_after : slot_for(w, due), t);
}

void wi_timer_cancel(struct wi_wheel *w, struct wi_timer *t)
{
    t->due = WEIR_NEVER;
    if (t->link)
        unlink_timer(w, t);
}

void wi_timer_move(struct wi_timer *from, struct wi_timer *to)
{
    WI_ASSERT(!to->link && from->link);
    void (*fire)(struct wi_timer *, weir_ns) = to->fire;
    *to = *from;
    to->fire = fire;
    *to->link = to;
    if (to->child)
        to->child->link = &to->child;
    if (to->next)
        to->next->link = &to->next;
    wi_timer_init(from, from->fire);
}

/* The earliest timer that the running (or next) advance may fire, else NULL. What has moved or stopped is put right on
 * the way. */
static struct wi_timer *earliest(struct wi_wheel *w)
{
    struct wi_timer *t;
    while ((t = first_placed(w)) && (t->due != t->key_due || t->order != t->key_order)) {
        unlink_timer(w, t);
        if (wi_timer_armed(t))
            place(w, slot_for(w, t->due), t);
    }
    return t;
}

weir_ns wi_wheel_deadline(struct wi_wheel *w)
{
    const struct wi_timer *t = earliest(w);
    weir_ns due = t ? t->due : WEIR_NEVER;
    return w->slot_after ? wi_min_u64(due, w->slot_after->key_due) : due;
}

void wi_wheel_advance(struct wi_wheel *w, weir_ns now)
{
    WI_ASSERT(!w->is_firing);
    if (now < w->idle_until) {
        w->now = wi_max_u64(w->now, now);
        return;
    }
    w->is_firing = true;
    w->advance_order = w->armed_n;
    for (struct wi_timer *t; (t = earliest(w)) && t->due <= now;) {
        unlink_timer(w, t);
        w->now = wi_max_u64(w->now, t->due);
        w->is_firing_rearmed = t->order > w->advance_order;
        t->due = WEIR_NEVER;
        t->fire(t, now);
    }
    w->is_firing = false;
    w->is_firing_rearmed = false;
    w->now = wi_max_u64(w->now, now);

    struct wi_timer *after = w->slot_after;
    w->slot_after = NULL;
    w->idle_until = after ? after->key_due : WEIR_NEVER;
    struct wi_timer *first = first_placed(w);
    if (first)
        w->idle_until = wi_min_u64(w->idle_until, first->key_due);
    if (after)
        slot_add(w, slot_for(w, after->key_due), after);
}
