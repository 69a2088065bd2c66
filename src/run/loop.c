/*
 * The loop: the kernel's readiness and weir's, the clock, the link, and when to stop.
 *
 * Each turn tells both stacks the time, moves what is ready until nothing is, and sleeps until the next deadline of a
 * stack, the link or a waiting call.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "run/gateway.h"
#include "run/run.h"
#include "run/sock.h"
#include "run/watch.h"

#define OS_EVENTS    64
#define NET_EVENTS   64
#define SETTLE_TURNS 8            /* of moving what is ready before the kernel is asked again */
#define LINK_ROUNDS  4            /* of answers on the link before timers have their turn */
#define LINGER_NS    WEIR_SEC(20) /* without a packet, for connections to close once the program has ended */

weir_ns wir_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return WEIR_SEC((uint64_t)ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

int wir_loop_watch(struct wir_run *r, int fd, uint32_t events, struct wir_os_source *source)
{
    struct epoll_event ev = {.events = events, .data.ptr = source};
    return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int wir_loop_watch_net(struct wir_host *host, weir_fd fd, struct wir_net_source *source)
{
    struct weir_epoll_event ev = {.events = WEIR_POLLIN | WEIR_POLLPRI | WEIR_POLLOUT | WEIR_POLLRDHUP | WEIR_EPOLLET,
                                  .data = (uint64_t)(uintptr_t)source};
    return weir_epoll_ctl(host->stack, host->epoll, WEIR_EPOLL_CTL_ADD, fd, &ev);
}

void wir_loop_queue(struct wir_run *r, struct wir_task *task)
{
    if (task->is_queued)
        return;
    task->is_queued = true;
    TAILQ_INSERT_TAIL(&r->tasks, task, link);
}

void wir_loop_unqueue(struct wir_run *r, struct wir_task *task)
{
    if (!task->is_queued)
        return;
    task->is_queued = false;
    TAILQ_REMOVE(&r->tasks, task, link);
}

void wir_loop_bury(struct wir_run *r, void *ptr)
{
    if (r->grave_n == r->grave_cap) {
        size_t cap = r->grave_cap ? 2 * r->grave_cap : 64;
        void **more = realloc(r->graves, cap * sizeof *more);
        if (!more)
            return; /* leaked rather than used after free */
        r->graves = more;
        r->grave_cap = cap;
    }
    r->graves[r->grave_n++] = ptr;
}

static void dig_graves(struct wir_run *r)
{
    for (size_t i = 0; i < r->grave_n; i++)
        free(r->graves[i]);
    r->grave_n = 0;
}

/* What is due on the link comes before the timers: after a moment in which we did not run, an acknowledgement that is
 * there already must stop the timer that waits for it. Answers to answers end, but a program may go on for ever. */
static void tell_time(struct wir_run *r)
{
    r->now = wir_clock();
    if (!r->gate.stack) /* a guest: his host sees to that */
        return;
    for (int i = 0; i < LINK_ROUNDS && wio_link_run(r->link, r->now); i++)
        continue;
    weir_advance(r->prog.stack, r->now);
    weir_advance(r->gate.stack, r->now);
    wio_link_run(r->link, r->now);
}

/* True when there was something. */
static bool dispatch_net(struct wir_host *host)
{
    struct weir_epoll_event events[NET_EVENTS];
    int n = weir_epoll_wait(host->stack, host->epoll, events, NET_EVENTS);
    for (int i = 0; i < n; i++) {
        struct wir_net_source *source = (struct wir_net_source *)(uintptr_t)events[i].data;
        if (source->ready)
            source->ready(source, events[i].events);
    }
    return n > 0;
}

/* Those that are queued now; what they queue has its turn later. */
static bool run_tasks(struct wir_run *r)
{
    struct wir_task *task;
    size_t n = 0, done = 0;

    TAILQ_FOREACH(task, &r->tasks, link) n++;
    for (; done < n && (task = TAILQ_FIRST(&r->tasks)); done++) {
        wir_loop_unqueue(r, task);
        task->work(task);
    }
    return done > 0;
}

/* Move what is ready. True: something was. */
static bool move_ready(struct wir_run *r)
{
    tell_time(r);
    bool any = dispatch_net(&r->prog);
    any |= r->gate.stack && dispatch_net(&r->gate);
    any |= run_tasks(r);
    dig_graves(r);
    return any;
}

/* Until nothing is. True: there is more. */
static bool settle(struct wir_run *r)
{
    for (int i = 0; i < SETTLE_TURNS; i++) {
        if (!move_ready(r))
            return false;
    }
    return true;
}

static weir_ns earlier(weir_ns a, weir_ns b)
{
    return a < b ? a : b;
}

static weir_ns next_deadline(struct wir_run *r)
{
    weir_ns at = earlier(weir_deadline(r->prog.stack), weir_deadline(r->gate.stack));
    at = earlier(at, wio_link_deadline(r->link));
    at = earlier(at, wir_waiters_deadline(r));
    return earlier(at, wir_flows_deadline(r));
}

static int hear_os(struct wir_run *r, const struct timespec *timeout)
{
    struct epoll_event events[OS_EVENTS];
    int n = epoll_pwait2(r->epoll_fd, events, OS_EVENTS, timeout, NULL);
    tell_time(r);
    for (int i = 0; i < n; i++) {
        struct wir_os_source *source = events[i].data.ptr;
        if (source->ready)
            source->ready(source, events[i].events);
    }
    return n;
}

static void wait_os(struct wir_run *r, bool is_busy, weir_ns until)
{
    struct timespec ts = {0};
    struct timespec *timeout = &ts;

    weir_ns at = earlier(next_deadline(r), until);
    if (at == WEIR_NEVER && !is_busy) {
        timeout = NULL;
    } else if (!is_busy && at > r->now) {
        ts.tv_sec = (time_t)((at - r->now) / WEIR_SEC(1));
        ts.tv_nsec = (long)((at - r->now) % WEIR_SEC(1));
    }
    hear_os(r, timeout);
}

/* is_busy: there is more to do at once, so don't sleep. */
static void turn(struct wir_run *r, bool is_busy, weir_ns until)
{
    wait_os(r, is_busy, until);
    wir_waiters_expire(r);
    wir_flows_expire(r);
    dig_graves(r);
}

bool wir_loop_turn(struct wir_run *r)
{
    struct timespec at_once = {0};
    bool was_any = false, is_any = true;
    for (int i = 0; is_any && i < SETTLE_TURNS; i++) {
        is_any = move_ready(r);
        was_any |= is_any;
    }
    was_any |= hear_os(r, &at_once) > 0;
    wir_waiters_expire(r);
    dig_graves(r);
    return was_any;
}

weir_ns wir_loop_deadline(const struct wir_run *r)
{
    return wir_waiters_deadline(r);
}

void wir_loop_let_go(struct wir_run *r)
{
    struct wir_sock *s;
    for (unsigned i = 0; i < WIR_SOCK_BUCKETS; i++) {
        while ((s = LIST_FIRST(&r->socks[i])))
            wir_sock_free(s, true);
    }
    dig_graves(r);
    free(r->graves);
    r->graves = NULL;
    r->grave_cap = 0;
}

void wir_before_take(struct wir_before *b)
{
    struct rlimit all;
    getrlimit(RLIMIT_NOFILE, &b->files);
    all = b->files;
    all.rlim_cur = all.rlim_max;
    setrlimit(RLIMIT_NOFILE, &all);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &b->pipe);
}

static uint64_t delivered(const struct wir_run *r)
{
    return wio_link_stats(r->link, WIO_UP).delivered_bytes + wio_link_stats(r->link, WIO_DOWN).delivered_bytes;
}

static bool is_idle(const struct wir_run *r)
{
    return r->sock_n <= r->retired_n && !wir_watch_live(r->watch);
}

/* What the program wrote last may still be on its way, and the closes with it: go on while something moves. */
static void linger(struct wir_run *r)
{
    uint64_t moved = delivered(r);
    weir_ns until = wir_clock() + LINGER_NS;

    wir_gateway_hang_up(r);
    while (!r->is_stopping && wir_clock() < until) {
        bool is_busy = settle(r);
        if (is_idle(r))
            break;
        turn(r, is_busy, until);
        if (delivered(r) != moved) {
            moved = delivered(r);
            until = wir_clock() + LINGER_NS;
        }
    }
}

void wir_loop_run(struct wir_run *r)
{
    while (!r->keeper_gone)
        turn(r, settle(r), WEIR_NEVER);
    linger(r);
}
