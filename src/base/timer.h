/* Timers: a hierarchical wheel of 6 levels of 256 slots over ticks of 2^16 ns (65.5 us), which spans all of weir_ns.
 * Deadlines are exact to the nanosecond, because a slot holds a pairing heap ordered by (due, arming order) instead of
 * a plain list. So nothing ever cascades from level to level, and no slot is ever scanned, however full it is.
 *
 * Arming is O(1); cancelling, and each firing, O(1) when the slot is sparse and amortised O(log n) in the timers that
 * share it; the earliest deadline is O(levels).
 *
 * A timer that moves to a later moment, or is stopped, stays where it lies until that place is reached or asked about,
 * and is put right then: a retransmission timer that every packet puts off costs a store, not a walk. */
#ifndef WI_BASE_TIMER_H
#define WI_BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/types.h>

#define WI_WHEEL_LEVELS 6
#define WI_WHEEL_SLOTS  256
#define WI_WHEEL_WORDS  (WI_WHEEL_SLOTS / 64) /* of a level's bitmap */

struct wi_timer {
    struct wi_timer *child; /* first of those that are due later, in this slot's heap */
    struct wi_timer *next;  /* next child of the same parent */
    struct wi_timer **link; /* the pointer that points here: a slot, `child` or `next`; NULL while in no heap */
    weir_ns due;            /* WEIR_NEVER while not armed */
    uint64_t order;         /* of arming, across the wheel */
    weir_ns key_due;        /* due and order that its place in a heap was chosen by; valid while in one. key_due is */
    uint64_t key_order;     /* never after due */
    void (*fire)(struct wi_timer *t, weir_ns now);
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct wi_timer) == 64, "a timer has grown: each connection has several");

/* Must not be moved once a timer was armed on it. */
struct wi_wheel {
    weir_ns now;            /* time that has been reached: nothing armed is left due before it but `slot_after` */
    weir_ns idle_until;     /* no place in a slot is before this: an advance to less has nothing to do */
    uint64_t armed_n;       /* armings so far: the source of wi_timer.order */
    uint64_t advance_order; /* its value when the running advance began */
    bool is_firing;         /* inside wi_wheel_advance */
    bool is_firing_rearmed; /* and the timer that fires now was armed in this advance */
    uint64_t occupied[WI_WHEEL_LEVELS * WI_WHEEL_WORDS]; /* a bit for each slot that is not empty */
    uint32_t busy;                                       /* a bit for each word of `occupied` that is not 0 */
    struct wi_timer *slot_after;                         /* due, but for the next advance */
    struct wi_timer *slot[WI_WHEEL_LEVELS * WI_WHEEL_SLOTS];
};

void wi_wheel_init(struct wi_wheel *w, weir_ns now);

/* Before first use. `fire` gets the time of the advance, which may be later than due; the timer is not armed when it is
 * called, and may be armed again or freed in it. Use WI_CONTAINER_OF to get at the object around it. */
void wi_timer_init(struct wi_timer *t, void (*fire)(struct wi_timer *t, weir_ns now));

/* Arms `t` for `due`, moving it if it was armed. A `due` in the past is due at once, that is in the next (or the
 * running) wi_wheel_advance, never inside this call. WEIR_NEVER cancels. */
void wi_timer_arm(struct wi_wheel *w, struct wi_timer *t, weir_ns due);

/* After it `t` is not armed; that it wasn't before is fine. A timer must be cancelled before its memory goes. */
void wi_timer_cancel(struct wi_wheel *w, struct wi_timer *t);

/* `to`, initialised and not armed, takes the place of `from`, deadline and turn included; `from` is not armed then. Its
 * `fire` stays its own. O(1). */
void wi_timer_move(struct wi_timer *from, struct wi_timer *to);

/* The same as cancelling, cheaper, for a timer that will be armed again soon; it is not enough before its memory goes.
 */
static inline void wi_timer_stop(struct wi_timer *t)
{
    t->due = WEIR_NEVER;
}

static inline bool wi_timer_armed(const struct wi_timer *t)
{
    return t->due != WEIR_NEVER;
}

/* The earliest `due` of all armed timers, exactly (it may lie in the past); WEIR_NEVER when there is none. */
weir_ns wi_wheel_deadline(struct wi_wheel *w);

/* Fires every timer due at or before `now`, in the order of (due, arming). Timers may arm, cancel and free themselves
 * and others while they fire, and what they arm for `now` or earlier fires in this same advance, with one exception, so
 * that it ends: what is armed for a moment already reached, by a timer that was itself armed in this advance, waits for
 * the next one (wi_wheel_deadline says so). A `now` before the last one fires only what was overdue then. Not to be
 * called from a timer. */
void wi_wheel_advance(struct wi_wheel *w, weir_ns now);

#endif
