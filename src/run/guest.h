/*
 * A program on a stack of somebody else's: weir run's machinery without its gateway, link and loop. The host has the
 * stack, the clock and the loop; he may have several guests, each on a stack of its own.
 */
#ifndef WIR_GUEST_H
#define WIR_GUEST_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <weir/weir.h>

struct wir_guest;

struct wir_guest_config {
    struct weir *stack; /* his until wir_guest_free; its time is the clock's, CLOCK_MONOTONIC */
    char **argv;        /* likewise */
    int out_fd;         /* takes what the program writes to stdout and stderr; it reads nothing */
};

/* What the process was before it had guests; their programs get it back. */
struct wir_guest_house;

/* Prepare the process, once, before the first guest: signals come by wir_guest_house_fd from now on. NULL: out of
 * memory, or of descriptors. wir_guest_house_free makes the signals what they were. */
struct wir_guest_house *wir_guest_house_new(void);
void wir_guest_house_free(struct wir_guest_house *);

/* Readable when a signal has come; and whether one of those says that we are to end. */
int wir_guest_house_fd(const struct wir_guest_house *);
bool wir_guest_house_is_asked_to_end(struct wir_guest_house *);

/* Start the program. NULL after one line on stderr. */
struct wir_guest *wir_guest_start(const struct wir_guest_house *, const struct wir_guest_config *);

/* Readable when there is something to do for the guest. */
int wir_guest_fd(const struct wir_guest *);

/* Do it, without sleeping; the stack must have been told the time. True: something was done, so the stack may have been
 * called into, and there may be more to do. */
bool wir_guest_turn(struct wir_guest *);
weir_ns wir_guest_deadline(const struct wir_guest *); /* when to come again if nothing happens */

/* End whatever is left of the program. It takes turns until it is gone. */
void wir_guest_stop(struct wir_guest *);

/* Nothing of the program is left, and what it wrote last has gone to the stack. */
bool wir_guest_is_gone(const struct wir_guest *);

/* Whether the program itself has ended. *status: its exit status, or 128 and the signal that ended it. *start_err: the
 * errno for which it could not be run, else 0. */
bool wir_guest_has_ended(const struct wir_guest *, int *status, int *start_err);

/* Before the stack goes. Ends what is left of the program, and waits for that. */
void wir_guest_free(struct wir_guest *);

#endif
