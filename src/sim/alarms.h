/*
 * Points in time that somebody waits for, the earliest first; those of the same time as they were set. O(log n).
 */
#ifndef WSIM_ALARMS_H
#define WSIM_ALARMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/types.h>

struct wsim_alarm {
    weir_ns at;
    uint64_t turn;
    void (*on_alarm)(struct wsim_alarm *);
    size_t place; /* from 1; 0 while it is not set */
};

struct wsim_alarms {
    struct wsim_alarm **heap;
    size_t n, cap;
    uint64_t turns;
};

void wsim_alarms_free(struct wsim_alarms *);

/* Set it, or move it where it is set. False: out of memory, and it is not set. */
bool wsim_alarms_set(struct wsim_alarms *, struct wsim_alarm *, weir_ns at);
void wsim_alarms_cancel(struct wsim_alarms *, struct wsim_alarm *); /* that it is not set is fine */

/* The earliest, which stays; NULL when none is set. */
struct wsim_alarm *wsim_alarms_first(const struct wsim_alarms *);

#endif
