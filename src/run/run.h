/*
 * weir run: what its files share. One thread, one loop: the program's trapped calls, the mirrors, the host kernel's
 * sockets of the gateway, and the two stacks with the link between them.
 *
 *   program ── mirror ── program's host ══ impaired link ══ gateway host ── host kernel's socket
 *
 * The pieces: options, launch (the filter, the keeper, the program), notify (trapped calls in, answers out), sock (a
 * mirrored socket), connect/listen/names/sockopt/message (its calls), pump (bytes between a descriptor and a weir
 * socket), gateway and inbound (the other end), summary, loop.
 */
#ifndef WI_RUN_RUN_H
#define WI_RUN_RUN_H

#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <weir/weir.h>

#include "io/link.h"
#include "run/options.h"

struct wi_run;

/* ---- Loop: who is called when something is ready ---- */

/* A descriptor in the loop. `ready` NULL: no longer wanted. */
struct wi_os_source {
    void (*ready)(struct wi_os_source *, uint32_t events);
};

/* A weir socket in its stack's epoll object. */
struct wi_net_source {
    void (*ready)(struct wi_net_source *, uint32_t events);
};

/* Something to be done before the loop sleeps again. */
struct wi_task {
    TAILQ_ENTRY(wi_task) link;
    void (*work)(struct wi_task *);
    bool is_queued;
};
TAILQ_HEAD(wi_task_list, wi_task);

/* One of the two stacks. */
struct wi_host {
    struct weir *stack;
    weir_fd epoll;
    int netif;
};

#define WI_WAIT_BUCKETS 256
#define WI_SOCK_BUCKETS 4096

/* Whom the keeper watches for us: see launch.c. */
struct wi_launch {
    int status_fd; /* messages of the keeper and the program: struct wi_launch_msg */
    int life_fd;   /* closed: the keeper ends whatever is left of the program */
    int go_fd;     /* a byte: the program may start */
    pid_t keeper;
    pid_t program;
    int notify_fd; /* the seccomp listener */
};

LIST_HEAD(wi_sock_list, wi_sock);
LIST_HEAD(wi_waiter_list, wi_waiter);
LIST_HEAD(wi_flow_list, wi_flow);
LIST_HEAD(wi_inbound_list, wi_inbound);
LIST_HEAD(wi_gate_conn_list, wi_gate_conn);
LIST_HEAD(wi_pump_list, wi_pump);

struct wi_run {
    const struct wi_run_opts *opts;
    struct wi_launch launch;
    sigset_t old_mask; /* as we were started: the program gets them back */
    struct sigaction old_pipe;

    int epoll_fd;
    weir_ns now;
    struct wi_host prog, gate;
    struct wi_link *link;
    struct wi_task_list tasks;
    void **graves; /* freed once the present batch of events is done */
    size_t grave_n, grave_cap;

    struct wi_os_source notify_source, status_source, signal_source;
    int signal_fd;
    bool program_ended; /* wait_status is valid */
    bool keeper_gone;   /* nothing of the program is left */
    bool is_stopping;
    int wait_status;
    int start_errno;       /* why the program could not be started, else 0 */
    const char *start_step; /* and at what: "exec" or "seccomp" */

    struct wi_sock_list socks[WI_SOCK_BUCKETS]; /* by inode of the program's end */
    size_t sock_n;
    struct wi_sock_list bound;                      /* listeners and bound datagram sockets */
    struct wi_waiter_list waiters[WI_WAIT_BUCKETS]; /* trapped calls that wait, by thread */
    size_t timed_waiters;                           /* how many of them have a deadline */

    weir_fd gate_tcp4, gate_udp4;
    struct wi_net_source gate_tcp_source, gate_udp_source;
    struct wi_gate_conn_list gate_conns;
    struct wi_flow_list flows;
    size_t flow_n;
    struct wi_inbound_list inbounds;
    struct weir_block *scratch[2]; /* read buffers: program's host, gateway */

    struct wi_summary *summary;
    struct wi_capture *capture;
};

/* Watch `fd` for `events` (EPOLL*). 0 or -errno. Closing the descriptor ends it. */
int wi_loop_watch(struct wi_run *, int fd, uint32_t events, struct wi_os_source *);

/* Watch a weir socket, edge-triggered, both ways. 0 or -errno. */
int wi_loop_watch_net(struct wi_host *, weir_fd, struct wi_net_source *);

/* Have task->work called before the loop sleeps; again while queued does nothing. */
void wi_loop_queue(struct wi_run *, struct wi_task *);
void wi_loop_unqueue(struct wi_run *, struct wi_task *);

/* free(ptr) once no event of the present batch can reach it. */
void wi_loop_bury(struct wi_run *, void *ptr);

/* Until the program and everything it started has ended and the connections are closed. */
void wi_loop_run(struct wi_run *);

weir_ns wi_clock(void);

/* ---- Topology ---- */

/* Make the two hosts and the link. 0 or -errno after one line on stderr. */
int wi_topology_new(struct wi_run *);
void wi_topology_free(struct wi_run *);

/* The address that stands for one of the host's loopback addresses on the link, and back. The caller's is kept when it
 * is no such address. */
struct weir_addr wi_addr_onto_link(struct weir_addr);
struct weir_addr wi_addr_off_link(struct weir_addr);

/* The program's host's address in a family. */
struct weir_addr wi_addr_program(int family);

/* ---- Launch ---- */

enum wi_launch_kind { WI_LAUNCH_FILTER, WI_LAUNCH_FAILED, WI_LAUNCH_EXITED };
struct wi_launch_msg {
    enum wi_launch_kind kind;
    int pid;
    int value;      /* FILTER: the listener's descriptor in pid; FAILED: errno; EXITED: as waitpid gives it */
    char step[16]; /* FAILED: "exec", "seccomp" */
};

/* Start the keeper and, under it, the program, held before exec. 0, or -errno after one line on stderr. */
int wi_launch_start(struct wi_run *);
void wi_launch_go(struct wi_run *);
void wi_launch_stop(struct wi_run *); /* end everything that is left of the program */

/* Install the filter in the calling process. The listener's descriptor, or -errno. */
int wi_filter_install(void);

/* ---- Signals ---- */
int wi_signals_start(struct wi_run *);

/* ---- Memory and descriptors of the program's processes ---- */

/* 0 or -EFAULT. */
int wi_mem_read(pid_t, uint64_t addr, void *buf, size_t len);
int wi_mem_write(pid_t, uint64_t addr, const void *buf, size_t len);

/* The inode of a socket behind a descriptor; 0: no socket, or gone. */
uint64_t wi_fd_inode(pid_t, int fd);

/* A duplicate of the program's descriptor, if it is still the socket with that inode; else -1. */
int wi_fd_borrow(pid_t, int fd, uint64_t inode);

/* The same when nobody knows who holds it: looks through /proc. Slow. */
int wi_fd_find(uint64_t inode);

/* ---- Trapped calls ---- */

struct wi_call {
    struct seccomp_notif req;
    struct wi_sock *sock;
};

#define WI_ARG(call, i) ((call)->req.data.args[i])

/* Start taking notifications. 0 or -errno. */
int wi_notify_start(struct wi_run *);

/* Each answers a call; one of them, once. A call that a signal has interrupted meanwhile is gone: nothing happens. */
void wi_call_return(struct wi_run *, const struct wi_call *, int64_t value);
void wi_call_fail(struct wi_run *, const struct wi_call *, int err); /* a positive or a negative errno */
void wi_call_continue(struct wi_run *, const struct wi_call *);      /* let the kernel do it */

/* Return value (>= 0) or negative errno. */
void wi_call_finish(struct wi_run *, const struct wi_call *, int64_t result);

/* Answer with a new descriptor in the program, which is a duplicate of `fd`. 0, or -ENOENT when the call is gone. */
int wi_call_return_fd(struct wi_run *, const struct wi_call *, int fd, bool is_cloexec);

/* Put a duplicate of `fd` over the program's descriptor `at`. 0 or -errno. The call is still to be answered. */
int wi_call_replace_fd(struct wi_run *, const struct wi_call *, int fd, int at, bool is_cloexec);

bool wi_call_is_alive(struct wi_run *, const struct wi_call *);

/* A trapped call that waits. */
struct wi_waiter {
    LIST_ENTRY(wi_waiter) by_thread;
    LIST_ENTRY(wi_waiter) by_sock;
    struct wi_call call;
    bool (*retry)(struct wi_run *, struct wi_call *); /* true: it is answered */
    weir_ns deadline;
    int timeout_err;
};

/* Keep a call until `retry` says that it is answered; tried whenever wi_waiters_wake is called for its socket.
 * timeout_ns 0: for ever. */
void wi_call_wait(struct wi_run *, const struct wi_call *, bool (*retry)(struct wi_run *, struct wi_call *),
                  weir_ns timeout_ns, int timeout_err);
void wi_waiters_wake(struct wi_run *, struct wi_sock *);
void wi_waiters_fail(struct wi_run *, struct wi_sock *, int err);
weir_ns wi_waiters_deadline(const struct wi_run *);
void wi_waiters_expire(struct wi_run *);

/* ---- Program's addresses ---- */

/* Read a sockaddr of the program. 0, -EFAULT, -EINVAL, -EAFNOSUPPORT; AF_UNSPEC gives family 0. */
int wi_addr_read(const struct wi_call *, uint64_t addr, uint64_t len, struct weir_sockaddr *);

/* Write one as accept and getsockname do, as a socket of `family` shows it. len_addr: where the length is. 0 or
 * -errno. */
int wi_addr_write(const struct wi_call *, int family, const struct weir_sockaddr *, uint64_t addr, uint64_t len_addr);

/* Lay one out as struct sockaddr_in or _in6. The length. */
socklen_t wi_addr_to_os(int family, const struct weir_sockaddr *, struct sockaddr_storage *);
void wi_addr_from_os(const struct sockaddr_storage *, struct weir_sockaddr *);

#endif
