/*
 * libweir-packetdrill.so: one weir, its virtual clock, and the threads that wait in its calls.
 */
#ifndef WDR_SO_STACK_H
#define WDR_SO_STACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "drill/host.h"
#include "drill/interface.h"
#include "drill/posix.h"

/* A call that would block: its thread sleeps until whoever moves the stack on has done it for it. */
struct wdr_waiter {
    struct wdr_waiter *next;
    struct wdr_op *op;
    bool is_done;
    pthread_cond_t woken;
};

struct wdr_so {
    pthread_t owner; /* the thread that moves the clock: it must not sleep here */
    pthread_mutex_t lock;
    pthread_cond_t clock_read; /* a thread that was woken has read the clock */
    struct wdr_host host;
    struct wdr_posix *posix;
    struct wdr_waiter *waiters;
    unsigned owed_reads; /* threads that were woken and have not read the clock yet */
    bool has_commands;   /* system() is ours: tunables come that way, not from /proc */
    bool is_ending;      /* in wdr_so_free */
    bool is_dead;        /* it could not be made: every call fails */
    FILE *trace;
};

/* The one of this process, NULL before the interface was asked for and after it was freed. */
struct wdr_so *wdr_so_current(void);

/* A call, on whatever thread: tried, and slept on when it would block. Returns its result; -1 with errno set. */
int64_t wdr_so_call(struct wdr_so *, struct wdr_op *);

/* The same for a call that must not sleep: a close at the process's end. */
int64_t wdr_so_call_now(struct wdr_so *, struct wdr_op *);

bool wdr_so_owns(struct wdr_so *, int fd);

/* Let time pass; timers and waiting calls run as they fall due. The lock is held. */
void wdr_so_advance(struct wdr_so *, weir_ns until);

/* Something has happened: finish the calls that it lets go on, and wait until each of their threads has read the
 * clock, which is what the script compares. The lock is held. */
void wdr_so_kick(struct wdr_so *);

/* Take the tunables, the routes and the queue of a network namespace that has a device tun0, unless commands reach us
 * themselves. */
void wdr_so_sync_tunables(struct wdr_so *);

/* Carry out a shell command of a script: 0, or -1 when it is none of ours. */
int wdr_so_command(struct wdr_so *, const char *text);

struct wdr_so *wdr_so_new(const char *flags);
void wdr_so_free(struct wdr_so *);

/* Fill in the hooks that are no calls: the wire, the clock, the end. */
void wdr_so_fill(struct packetdrill_interface *, struct wdr_so *);

#endif
