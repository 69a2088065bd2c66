/*
 * Trapped calls: taking them from the kernel, finding the socket that each is about, and answering.
 *
 * A call that a signal interrupts vanishes without a word; the kernel may have the program make it again. So every
 * handler can be repeated, and an answer to a call that is gone is no error. A thread has one call at a time: when it
 * makes another, what it waited for before is forgotten.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/run.h"
#include "run/sock.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1
#endif

/* ---- Answers ---- */

/* False: a signal has taken the call away meanwhile. */
static bool respond(struct wir_run *r, const struct wir_call *call, int64_t value, int err, uint32_t flags)
{
    struct seccomp_notif_resp resp = {.id = call->req.id, .val = value, .error = err, .flags = flags};
    if (ioctl(r->launch.notify_fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) == 0)
        return true;
    if (errno != ENOENT)
        fprintf(stderr, "weir run: a trapped call could not be answered: %s\n", strerror(errno));
    return false;
}

void wir_call_return(struct wir_run *r, const struct wir_call *call, int64_t value)
{
    respond(r, call, value, 0, 0);
}

void wir_call_fail(struct wir_run *r, const struct wir_call *call, int err)
{
    respond(r, call, 0, err < 0 ? err : -err, 0);
}

void wir_call_continue(struct wir_run *r, const struct wir_call *call)
{
    respond(r, call, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

bool wir_call_finish(struct wir_run *r, const struct wir_call *call, int64_t result)
{
    return result < 0 ? respond(r, call, 0, (int)result, 0) : respond(r, call, result, 0, 0);
}

static int add_fd(struct wir_run *r, struct seccomp_notif_addfd *add)
{
    int got = ioctl(r->launch.notify_fd, SECCOMP_IOCTL_NOTIF_ADDFD, add);
    return got < 0 ? -errno : got;
}

int wir_call_return_fd(struct wir_run *r, const struct wir_call *call, int fd, bool is_cloexec)
{
    struct seccomp_notif_addfd add = {
        .id = call->req.id,
        .flags = SECCOMP_ADDFD_FLAG_SEND,
        .srcfd = (uint32_t)fd,
        .newfd_flags = is_cloexec ? O_CLOEXEC : 0,
    };
    int got = add_fd(r, &add);
    if (got == -EMFILE || got == -ENFILE) /* the program's limit: it is to hear of it */
        wir_call_fail(r, call, got);
    return got < 0 ? got : 0;
}

int wir_call_replace_fd(struct wir_run *r, const struct wir_call *call, int fd, int at, bool is_cloexec)
{
    struct seccomp_notif_addfd add = {
        .id = call->req.id,
        .flags = SECCOMP_ADDFD_FLAG_SETFD,
        .srcfd = (uint32_t)fd,
        .newfd = (uint32_t)at,
        .newfd_flags = is_cloexec ? O_CLOEXEC : 0,
    };
    int got = add_fd(r, &add);
    return got < 0 ? got : 0;
}

bool wir_call_is_alive(struct wir_run *r, const struct wir_call *call)
{
    return ioctl(r->launch.notify_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->req.id) == 0;
}

/* ---- Calls that wait ---- */

static struct wir_waiter_list *thread_bucket(struct wir_run *r, uint32_t thread)
{
    return &r->waiters[thread % WIR_WAIT_BUCKETS];
}

static void waiter_free(struct wir_run *r, struct wir_waiter *w)
{
    LIST_REMOVE(w, by_thread);
    LIST_REMOVE(w, by_sock);
    if (w->deadline != WEIR_NEVER)
        r->timed_waiters--;
    free(w);
}

static void forget_thread(struct wir_run *r, uint32_t thread)
{
    struct wir_waiter *w = LIST_FIRST(thread_bucket(r, thread));
    while (w) {
        struct wir_waiter *next = LIST_NEXT(w, by_thread);
        if (w->call.req.pid == thread)
            waiter_free(r, w);
        w = next;
    }
}

void wir_call_wait(struct wir_run *r, const struct wir_call *call, bool (*retry)(struct wir_run *, struct wir_call *),
                   weir_ns timeout_ns, int timeout_err)
{
    struct wir_waiter *w = calloc(1, sizeof *w);
    if (!w) {
        wir_call_fail(r, call, ENOMEM);
        return;
    }
    w->call = *call;
    w->retry = retry;
    w->deadline = timeout_ns ? r->now + timeout_ns : WEIR_NEVER;
    w->timeout_err = timeout_err;
    if (timeout_ns)
        r->timed_waiters++;
    LIST_INSERT_HEAD(thread_bucket(r, call->req.pid), w, by_thread);
    /* First come, first served: the oldest stands at the front. */
    struct wir_waiter *last = LIST_FIRST(&call->sock->waiters);
    while (last && LIST_NEXT(last, by_sock))
        last = LIST_NEXT(last, by_sock);
    if (last)
        LIST_INSERT_AFTER(last, w, by_sock);
    else
        LIST_INSERT_HEAD(&call->sock->waiters, w, by_sock);
}

void wir_waiters_wake(struct wir_run *r, struct wir_sock *s)
{
    struct wir_waiter *w = LIST_FIRST(&s->waiters);
    while (w) {
        struct wir_waiter *next = LIST_NEXT(w, by_sock);
        if (!wir_call_is_alive(r, &w->call) || w->retry(r, &w->call))
            waiter_free(r, w);
        w = next;
    }
}

void wir_waiters_fail(struct wir_run *r, struct wir_sock *s, int err)
{
    struct wir_waiter *w;
    while ((w = LIST_FIRST(&s->waiters))) {
        wir_call_fail(r, &w->call, err);
        waiter_free(r, w);
    }
}

weir_ns wir_waiters_deadline(const struct wir_run *r)
{
    weir_ns first = WEIR_NEVER;
    struct wir_waiter *w;
    for (unsigned i = 0; r->timed_waiters && i < WIR_WAIT_BUCKETS; i++) {
        LIST_FOREACH(w, &r->waiters[i], by_thread)
        {
            if (w->deadline < first)
                first = w->deadline;
        }
    }
    return first;
}

static void expire_bucket(struct wir_run *r, struct wir_waiter_list *bucket)
{
    struct wir_waiter *w = LIST_FIRST(bucket);
    while (w) {
        struct wir_waiter *next = LIST_NEXT(w, by_thread);
        if (w->deadline <= r->now) {
            wir_call_fail(r, &w->call, w->timeout_err);
            waiter_free(r, w);
        }
        w = next;
    }
}

void wir_waiters_expire(struct wir_run *r)
{
    for (unsigned i = 0; r->timed_waiters && i < WIR_WAIT_BUCKETS; i++)
        expire_bucket(r, &r->waiters[i]);
}

/* ---- Dispatch ---- */

static const struct {
    int nr;
    void (*handle)(struct wir_run *, struct wir_call *);
} calls[] = {
    {SYS_bind, wir_on_bind},
    {SYS_connect, wir_on_connect},
    {SYS_listen, wir_on_listen},
    {SYS_accept, wir_on_accept},
    {SYS_accept4, wir_on_accept},
    {SYS_getsockname, wir_on_getsockname},
    {SYS_getpeername, wir_on_getpeername},
    {SYS_getsockopt, wir_on_getsockopt},
    {SYS_setsockopt, wir_on_setsockopt},
    {SYS_shutdown, wir_on_shutdown},
    {SYS_sendto, wir_on_sendto},
    {SYS_recvfrom, wir_on_recvfrom},
    {SYS_sendmsg, wir_on_sendmsg},
    {SYS_recvmsg, wir_on_recvmsg},
    {SYS_sendmmsg, wir_on_sendmmsg},
    {SYS_recvmmsg, wir_on_recvmmsg},
    {SYS_ioctl, wir_on_ioctl},
};

/* A 32-bit program's socket call: said once, refused always. */
static void refuse_other_arch(struct wir_run *r, struct wir_call *call)
{
    static bool is_said;
    if (!is_said)
        fprintf(stderr, "weir run: process %u is a 32-bit program: its sockets can't be carried\n", call->req.pid);
    is_said = true;
    wir_call_fail(r, call, ENOSYS);
}

static bool is_native(const struct wir_call *call)
{
#if defined(__x86_64__)
    return call->req.data.arch == AUDIT_ARCH_X86_64;
#else
    return call->req.data.arch == AUDIT_ARCH_AARCH64;
#endif
}

static void dispatch(struct wir_run *r, struct wir_call *call)
{
    int nr = call->req.data.nr;

    if (!is_native(call)) {
        refuse_other_arch(r, call);
        return;
    }
    if (nr == SYS_socket) {
        wir_on_socket(r, call);
        return;
    }
    uint64_t inode = wir_fd_inode((pid_t)call->req.pid, (int)WIR_ARG(call, 0));
    call->sock = inode ? wir_sock_find(r, inode) : NULL;
    for (size_t i = 0; call->sock && i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i].nr != nr)
            continue;
        call->sock->last_pid = (pid_t)call->req.pid;
        call->sock->last_fd = (int)WIR_ARG(call, 0);
        calls[i].handle(r, call);
        return;
    }
    wir_call_continue(r, call);
}

static void notify_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_run *r = (struct wir_run *)((char *)source - offsetof(struct wir_run, notify_source));

    if (events & EPOLLIN) {
        union {
            struct seccomp_notif req;
            char room[512]; /* a newer kernel may tell more than we know of */
        } in;
        memset(&in, 0, sizeof in); /* the kernel insists on zeros */
        if (ioctl(r->launch.notify_fd, SECCOMP_IOCTL_NOTIF_RECV, &in) < 0)
            return; /* interrupted before we came to it */
        struct wir_call call = {.req = in.req};
        forget_thread(r, call.req.pid);
        dispatch(r, &call);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->launch.notify_fd, NULL); /* nobody is under the filter any more */
    }
}

int wir_notify_start(struct wir_run *r)
{
    for (unsigned i = 0; i < WIR_WAIT_BUCKETS; i++)
        LIST_INIT(&r->waiters[i]);
    /* The answered thread may run at once on our processor: a few microseconds a call. Older kernels don't know it. */
    ioctl(r->launch.notify_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    r->notify_source.ready = notify_ready;
    return wir_loop_watch(r, r->launch.notify_fd, EPOLLIN, &r->notify_source);
}
