/*
 * weir run: what its files share. One thread, one loop: the program's trapped calls, the mirrors, the host kernel's
 * sockets of the gateway, and the two stacks with the link between them.
 *
 *   program ── mirror ── program's host ══ impaired link ══ gateway host ── host kernel's socket
 *
 * The pieces: options, launch (the filter, the keeper, the program), notify (trapped calls in, answers out), sock (a
 * mirrored socket), connect/listen/names/sockopt/message (its calls), pump (bytes between a descriptor and a weir
 * socket), gateway and inbound (the other end), control and live (who looks at it from outside), summary, loop.
 */
#ifndef WIR_RUN_RUN_H
#define WIR_RUN_RUN_H

#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <weir/weir.h>

#include "io/link.h"
#include "run/options.h"

struct wir_run;

/* ---- Loop: who is called when something is ready ---- */

/* A descriptor in the loop. `ready` NULL: no longer wanted. */
struct wir_os_source {
    void (*ready)(struct wir_os_source *, uint32_t events);
};

/* A weir socket in its stack's epoll object. */
struct wir_net_source {
    void (*ready)(struct wir_net_source *, uint32_t events);
};

/* Something to be done before the loop sleeps again. */
struct wir_task {
    TAILQ_ENTRY(wir_task) link;
    void (*work)(struct wir_task *);
    bool is_queued;
};
TAILQ_HEAD(wir_task_list, wir_task);

/* One of the two stacks. */
struct wir_host {
    struct weir *stack;
    weir_fd epoll;
    int netif;
};

#define WIR_WAIT_BUCKETS 256
#define WIR_SOCK_BUCKETS 4096
#define WIR_RETIRED_MAX  1024
#define WIR_READ_BLOCKS  4 /* that one read of a pump may fill */

/* Whom the keeper watches for us: see launch.c. */
struct wir_launch {
    int status_fd; /* messages of the keeper and the program: struct wir_launch_msg */
    int life_fd;   /* closed: the keeper ends whatever is left of the program */
    int go_fd;     /* a byte: the program may start */
    pid_t keeper;
    pid_t program;
    int notify_fd; /* the seccomp listener */
};

/* What a supervisor changes of its own process. */
struct wir_before {
    sigset_t mask;
    struct sigaction pipe;
    struct rlimit files;
};

LIST_HEAD(wir_sock_list, wir_sock);
LIST_HEAD(wir_waiter_list, wir_waiter);
TAILQ_HEAD(wir_flow_list, wir_flow);
LIST_HEAD(wir_inbound_list, wir_inbound);
LIST_HEAD(wir_gate_conn_list, wir_gate_conn);
TAILQ_HEAD(wir_retired_list, wir_sock);

/* Empty blocks that the next read fills, the first ones first. */
struct wir_scratch {
    struct weir_block *blocks[WIR_READ_BLOCKS];
};

struct wir_run {
    const struct wir_run_opts *opts;
    struct wir_launch launch;
    struct wir_before before; /* as we were started: the program gets it back */
    int out_fd;               /* the program's output, and of its descriptors nothing else of ours; -1: it has ours */

    int epoll_fd;
    weir_ns now;
    struct wir_host prog, gate; /* gate.stack NULL: a guest (guest.h), who has neither gateway nor link nor watch */
    struct wio_link *link;
    struct wir_task_list tasks;
    void **graves; /* freed once the present batch of events is done */
    size_t grave_n, grave_cap;

    struct wir_os_source notify_source, status_source, signal_source;
    int signal_fd;
    bool program_ended;   /* wait_status is valid */
    bool keeper_gone;     /* nothing of the program is left */
    bool is_asked_to_end; /* we were sent a signal that says so */
    bool is_stopping;     /* and again, once the program had ended: connections need not be waited for */
    int wait_status;
    int start_errno; /* why the program could not be run, else 0 */

    struct wir_sock_list socks[WIR_SOCK_BUCKETS]; /* by inode of the program's end */
    size_t sock_n;
    struct wir_retired_list retired; /* whose connection broke: until another takes the inode, or too many */
    size_t retired_n;
    struct wir_sock_list bound;                       /* listeners and bound datagram sockets */
    struct wir_waiter_list waiters[WIR_WAIT_BUCKETS]; /* trapped calls that wait, by thread */
    size_t timed_waiters;                             /* how many of them have a deadline */

    weir_fd gate_tcp, gate_udp;
    struct wir_net_source gate_tcp_source, gate_udp_source;
    struct wir_gate_conn_list gate_conns;
    struct wir_flow_list flows; /* oldest first */
    size_t flow_n;
    struct wir_inbound_list inbounds;
    struct wir_scratch scratch[2]; /* program's host, gateway */

    struct wir_watch *watch; /* who reads the event streams */
    struct wir_control *control;
    struct wir_live *live;
};

/* Watch `fd` for `events` (EPOLL*). 0 or -errno. Closing the descriptor ends it. */
int wir_loop_watch(struct wir_run *, int fd, uint32_t events, struct wir_os_source *);

/* Watch a weir socket, edge-triggered, both ways. 0 or -errno. */
int wir_loop_watch_net(struct wir_host *, weir_fd, struct wir_net_source *);

/* Have task->work called before the loop sleeps; again while queued does nothing. */
void wir_loop_queue(struct wir_run *, struct wir_task *);
void wir_loop_unqueue(struct wir_run *, struct wir_task *);

/* free(ptr) once no event of the present batch can reach it. */
void wir_loop_bury(struct wir_run *, void *ptr);

/* Until the program and everything it started has ended and the connections are closed. */
void wir_loop_run(struct wir_run *);

/* A guest's part of somebody else's loop: whatever is ready, without sleeping. True: something was. And when to
 * come again if nothing happens. */
bool wir_loop_turn(struct wir_run *);
weir_ns wir_loop_deadline(const struct wir_run *);

/* The sockets that are left, and what the loop has buried. */
void wir_loop_let_go(struct wir_run *);

/* Prepare our process: room for descriptors (each connection takes two or more), no SIGPIPE. `before` keeps what was;
 * its mask is wir_signals_block's. */
void wir_before_take(struct wir_before *);

weir_ns wir_clock(void);

/* ---- Topology ---- */

/* Make the two hosts and the link. 0 or -errno after one line on stderr. */
int wir_topology_new(struct wir_run *);
void wir_topology_free(struct wir_run *);

/* The address that stands for one of the host's loopback addresses on the link, and back. The caller's is kept when it
 * is no such address. */
struct weir_addr wir_addr_onto_link(struct weir_addr);
struct weir_addr wir_addr_off_link(struct weir_addr);

/* The addresses of the program's host and of the gateway in a family. */
struct weir_addr wir_addr_program(int family);
struct weir_addr wir_addr_gateway(int family);

/* ---- Launch ---- */

enum wir_launch_kind { WIR_LAUNCH_FILTER, WIR_LAUNCH_FAILED, WIR_LAUNCH_EXITED };
struct wir_launch_msg {
    enum wir_launch_kind kind;
    int pid;
    int value;     /* FILTER: the listener's descriptor in pid; FAILED: errno; EXITED: as waitpid gives it */
    char step[16]; /* FAILED: "exec", "seccomp" */
};

/* Start the keeper and, under it, the program, held before exec. 0, or -errno after one line on stderr. */
int wir_launch_start(struct wir_run *);
void wir_launch_go(struct wir_run *);
int wir_launch_watch(struct wir_run *); /* have the loop hear what becomes of the program. 0 or -errno */
void wir_launch_stop(struct wir_run *); /* end everything that is left of the program */

/* Install the filter in the calling process. The listener's descriptor, or -errno. */
int wir_filter_install(void);

/* ---- Signals ---- */

/* Block those that are the program's, or that end us: they come by the descriptor from now on. It, or -errno. */
int wir_signals_block(sigset_t *old_mask);
int wir_signals_start(struct wir_run *);

/* ---- Memory and descriptors of the program's processes ---- */

/* 0 or -EFAULT. */
int wir_mem_read(pid_t, uint64_t addr, void *buf, size_t len);
int wir_mem_write(pid_t, uint64_t addr, const void *buf, size_t len);

/* The inode of a socket behind a descriptor; 0: no socket, or gone. */
uint64_t wir_fd_inode(pid_t, int fd);

bool wir_fd_is_cloexec(pid_t, int fd);

/* A duplicate of the program's descriptor, if it is still the socket with that inode; else -1. */
int wir_fd_borrow(pid_t, int fd, uint64_t inode);

/* The same when nobody knows who holds it: looks through /proc. Slow. */
int wir_fd_find(uint64_t inode);

/* ---- Trapped calls ---- */

struct wir_call {
    struct seccomp_notif req;
    struct wir_sock *sock;
};

#define WIR_ARG(call, i) ((call)->req.data.args[i])

/* Start taking notifications. 0 or -errno. */
int wir_notify_start(struct wir_run *);

/* Each answers a call; one of them, once. A call that a signal has interrupted meanwhile is gone: nothing happens. */
void wir_call_return(struct wir_run *, const struct wir_call *, int64_t value);
void wir_call_fail(struct wir_run *, const struct wir_call *, int err); /* a positive or a negative errno */
void wir_call_continue(struct wir_run *, const struct wir_call *);      /* let the kernel do it */

/* Return value (>= 0) or negative errno. False: the call is gone, and what it was to be given is lost to it. */
bool wir_call_finish(struct wir_run *, const struct wir_call *, int64_t result);

/* Answer with a new descriptor in the program, which is a duplicate of `fd`. 0, or -ENOENT when the call is gone. */
int wir_call_return_fd(struct wir_run *, const struct wir_call *, int fd, bool is_cloexec);

/* Put a duplicate of `fd` over the program's descriptor `at`. 0 or -errno. The call is still to be answered. */
int wir_call_replace_fd(struct wir_run *, const struct wir_call *, int fd, int at, bool is_cloexec);

bool wir_call_is_alive(struct wir_run *, const struct wir_call *);

/* A trapped call that waits. */
struct wir_waiter {
    LIST_ENTRY(wir_waiter) by_thread;
    LIST_ENTRY(wir_waiter) by_sock;
    struct wir_call call;
    bool (*retry)(struct wir_run *, struct wir_call *); /* true: it is answered */
    weir_ns deadline;
    int timeout_err;
};

/* Keep a call until `retry` says that it is answered; tried whenever wir_waiters_wake is called for its socket.
 * timeout_ns 0: for ever. */
void wir_call_wait(struct wir_run *, const struct wir_call *, bool (*retry)(struct wir_run *, struct wir_call *),
                   weir_ns timeout_ns, int timeout_err);
void wir_waiters_wake(struct wir_run *, struct wir_sock *);
void wir_waiters_fail(struct wir_run *, struct wir_sock *, int err);
weir_ns wir_waiters_deadline(const struct wir_run *);
void wir_waiters_expire(struct wir_run *);

/* ---- Program's addresses ---- */

/* Read a sockaddr of the program. 0, -EFAULT, -EINVAL, -EAFNOSUPPORT; AF_UNSPEC gives family 0. */
int wir_addr_read(const struct wir_call *, uint64_t addr, uint64_t len, struct weir_sockaddr *);

/* Write one as accept and getsockname do, as a socket of `family` shows it. len_addr: where the length is. 0 or
 * -errno. */
int wir_addr_write(const struct wir_call *, int family, const struct weir_sockaddr *, uint64_t addr, uint64_t len_addr);

/* The same from a copy that is here already. */
int wir_addr_parse_os(const struct sockaddr_storage *, uint64_t len, struct weir_sockaddr *);

/* Lay one out as struct sockaddr_in or _in6. The length. */
socklen_t wir_addr_to_os(int family, const struct weir_sockaddr *, struct sockaddr_storage *);
void wir_addr_from_os(const struct sockaddr_storage *, struct weir_sockaddr *);

#endif
