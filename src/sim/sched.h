/*
 * Who is due next, and when: members by number, each with a time. Setting a time and finding the earliest is
 * O(log n).
 *
 * What has the same time comes in the order of its number. A round asks for who is due, from the lowest number on, so
 * that a member whose time comes during a round takes part in it when its number is still ahead, and else in the next.
 */
#ifndef WSIM_SCHED_H
#define WSIM_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include <weir/types.h>

struct wsim_slot {
    weir_ns at;
    uint32_t member;
};

struct wsim_sched {
    struct wsim_slot *heap; /* four children to a node */
    uint32_t heap_n, member_n, member_cap;
    uint32_t *place; /* of each member: in `heap`, or one of two marks (sched.c) */
    uint64_t *due;   /* a bit for each member that is due and has left the heap */
    uint32_t due_n;
};

void wsim_sched_free(struct wsim_sched *);

/* A member more, the next number; its time is never. False: out of memory. */
bool wsim_sched_add(struct wsim_sched *);

/* The member's time from now on; WEIR_NEVER: none. */
void wsim_sched_set(struct wsim_sched *, uint32_t member, weir_ns at);

/* The earliest time of all, or 0 while somebody is due whom a round has passed over; WEIR_NEVER when nobody has a time.
 */
static inline weir_ns wsim_sched_earliest(const struct wsim_sched *s)
{
    if (s->due_n > 0)
        return 0;
    return s->heap_n > 0 ? s->heap[0].at : WEIR_NEVER;
}

/* wsim_sched_next where somebody is due. */
uint32_t wsim_sched_find(struct wsim_sched *, uint32_t from, weir_ns now);

/* The lowest member from `from` on that is due by now; member_n when none is. It stays due until its time is set. */
static inline uint32_t wsim_sched_next(struct wsim_sched *s, uint32_t from, weir_ns now)
{
    return wsim_sched_earliest(s) <= now ? wsim_sched_find(s, from, now) : s->member_n;
}

#endif
