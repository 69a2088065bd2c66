/*
 * A pump: bytes between a descriptor of the kernel (a mirror, or the gateway's socket to the real peer) and a weir
 * socket, both ways, with each end's close carried over to the other.
 */
#ifndef WIR_RUN_PUMP_H
#define WIR_RUN_PUMP_H

#include "run/run.h"

#define WIR_PUMP_VIEWS 16

enum wir_pump_end {
    WIR_PUMP_CLOSED,    /* the descriptor's other end is gone and all it wrote has been taken: close */
    WIR_PUMP_OS_RESET,  /* reading the descriptor gave an error */
    WIR_PUMP_NET_ERROR, /* the connection broke: `err` */
};

struct wir_pump {
    struct wir_run *run;
    struct wir_host *host;
    weir_fd net;
    int fd;
    struct wir_os_source os_source;
    struct wir_net_source net_source;
    struct wir_task task;

    /* Called once, when there is nothing more to do; the owner frees. */
    void (*ended)(struct wir_pump *, enum wir_pump_end, int err);

    bool is_running;
    bool is_mirror;        /* the program may still hold it after both directions have ended: wait for the close */
    bool os_pri, net_pri;  /* an urgent byte waits to be carried over */
    bool os_in, os_out;    /* worth trying */
    bool os_rdhup, os_hup; /* the kernel said so; what was written before is still to be read */
    bool net_in, net_out;
    bool is_starved;                      /* there was no memory to read into */
    bool os_eof, net_eof;                 /* passed on */
    bool os_deaf;                         /* nobody reads there any more: what arrives is thrown away */
    int net_err;                          /* what the weir socket ended with, once there is nothing more to hand over */
    struct weir_frag up[WIR_READ_BLOCKS]; /* read from the descriptor, not yet taken by weir: up_at to up_n */
    struct weir_frag down[WIR_PUMP_VIEWS]; /* taken from weir, not yet written */
    unsigned up_at, up_n, down_at, down_n;
};

/* Both ends are connected: begin. fd and net are watched already, with these sources. */
void wir_pump_start(struct wir_pump *);

/* Release what it holds and its place in the loop; fd and net are the owner's. */
void wir_pump_stop(struct wir_pump *);

#endif
