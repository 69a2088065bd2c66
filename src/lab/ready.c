/*
 * Steps that wait for readiness: a server of many connections by select, poll or epoll, and one connection that is
 * watched by level or by edge.
 */
#include "lab/proc.h"

#include <stdlib.h>
#include <weir/weir.h>

struct wlb_ready {
    struct wsim_waiter waiter; /* for the epoll object: it tells when to ask */
    struct wlb_proc *proc;
    weir_fd epoll;
    struct weir_pollfd *polled; /* what is served, -1 where it has gone */
    weir_fd *set;
    struct weir_epoll_event *events;
    unsigned n, open;
};

void wlb_ready_free(struct wlb_ready *r)
{
    if (!r)
        return;
    free(r->polled);
    free(r->set);
    free(r->events);
    free(r);
}

static enum wlb_outcome out_of_memory(struct wlb_proc *p)
{
    wlb_fail(p->lab, "%s: out of memory, or of handles", p->where);
    return WLB_STOP;
}

static int add_to_epoll(const struct wlb_ready *r, weir_fd fd, uint32_t events, uint64_t data)
{
    struct weir_epoll_event ev = {events, data};
    return weir_epoll_ctl(wsim_stack(r->waiter.host), r->epoll, WEIR_EPOLL_CTL_ADD, fd, &ev);
}

static struct wlb_ready *ready_new(struct wlb_proc *p, size_t n)
{
    struct wlb_ready *r = calloc(1, sizeof *r);
    p->ready = r;
    if (!r)
        return NULL;
    r->proc = p;
    r->waiter.host = p->conn.host;
    r->polled = calloc(n, sizeof *r->polled);
    r->set = calloc(n, sizeof *r->set);
    r->events = calloc(n, sizeof *r->events);
    r->epoll = weir_epoll_create(wsim_stack(p->conn.host));
    return r->polled && r->set && r->events && r->epoll >= 0 ? r : NULL;
}

/* ---- Many connections ---- */

static void on_ready(struct wsim_waiter *w, uint32_t events)
{
    (void)events;
    wlb_proc_run(((struct wlb_ready *)(void *)w)->proc);
}

static bool take(struct wlb_ready *r, weir_fd fd)
{
    if (fd < 0 || add_to_epoll(r, fd, WEIR_POLLIN, r->n) < 0)
        return false;
    r->polled[r->n++] = (struct weir_pollfd){.fd = fd, .events = WEIR_POLLIN};
    r->open++;
    return true;
}

/* What is there is answered by as many bytes; the end by the end. */
static void serve_one(struct wlb_ready *r, unsigned i)
{
    static uint8_t buf[WLB_PIECE];
    struct weir *w = wsim_stack(r->waiter.host);
    int64_t got = weir_recv(w, r->polled[i].fd, buf, sizeof buf, 0);
    if (got == -WEIR_EAGAIN)
        return;
    if (got > 0 && weir_send(w, r->polled[i].fd, buf, (size_t)got, 0) == got)
        return;
    weir_close(w, r->polled[i].fd);
    r->polled[i].fd = -1;
    r->open--;
}

static int ask_select(struct wlb_ready *r, unsigned *looked)
{
    struct weir_fd_set set = {.fds = r->set};
    for (unsigned i = 0; i < r->n; i++) {
        if (r->polled[i].fd >= 0)
            r->set[set.n++] = r->polled[i].fd;
    }
    *looked = set.n;
    int n = weir_select(wsim_stack(r->waiter.host), &set, NULL, NULL);
    for (unsigned i = 0, k = 0; i < r->n && k < set.n; i++) {
        bool is_ready = r->polled[i].fd == r->set[k];
        r->polled[i].revents = is_ready ? WEIR_POLLIN : 0;
        k += is_ready;
    }
    return n;
}

static int ask_epoll(struct wlb_ready *r, unsigned *looked)
{
    int n = weir_epoll_wait(wsim_stack(r->waiter.host), r->epoll, r->events, (int)r->n);
    *looked = n > 0 ? (unsigned)n : 0;
    return n;
}

/* One wait for readiness, and what it found is served. False: nothing is ready. */
static bool turn(struct wlb_proc *p, const struct wlb_step *s)
{
    struct wlb_ready *r = p->ready;
    unsigned looked = r->open;
    bool is_epoll = s->text[0] == 'e', is_select = s->text[0] == 's';
    int n = is_epoll    ? ask_epoll(r, &looked)
            : is_select ? ask_select(r, &looked)
                        : weir_poll(wsim_stack(r->waiter.host), r->polled, r->n);
    if (n <= 0)
        return false;
    struct wlb_entry *e = wlb_note_call(p, n);
    if (e) {
        e->text = s->text;
        e->looked = looked;
    }
    for (int k = 0; is_epoll && k < n; k++)
        serve_one(r, (unsigned)r->events[k].data);
    for (unsigned i = 0; !is_epoll && i < r->n; i++) {
        if (r->polled[i].fd >= 0 && r->polled[i].revents)
            serve_one(r, i);
        r->polled[i].revents = 0;
    }
    return true;
}

enum wlb_outcome wlb_serve(struct wlb_proc *p, const struct wlb_step *s)
{
    wlb_begin_call(p);
    struct wlb_ready *r = p->ready ? p->ready : ready_new(p, (size_t)s->n);
    if (!r)
        return out_of_memory(p);
    while (r->n < s->n) {
        weir_fd fd = weir_accept(wsim_stack(p->listener.host), p->listener.fd, NULL);
        if (fd == -WEIR_EAGAIN)
            return WLB_WAIT;
        if (!take(r, fd))
            return out_of_memory(p);
    }
    if (!r->waiter.fd) {
        r->waiter.fd = r->epoll;
        r->waiter.on_ready = on_ready;
        if (wsim_wait(&r->waiter, WEIR_POLLIN) < 0)
            return out_of_memory(p);
    }
    while (r->open > 0) {
        if (!turn(p, s))
            return WLB_WAIT;
    }
    return wlb_end_call(p, r->n);
}

/* ---- One connection ---- */

enum wlb_outcome wlb_watch(struct wlb_proc *p, const struct wlb_step *s)
{
    wlb_begin_call(p);
    struct wlb_ready *r = p->ready ? p->ready : ready_new(p, 1);
    if (!r)
        return out_of_memory(p);
    return wlb_end_call(p, add_to_epoll(r, p->conn.fd, WEIR_POLLIN | (s->text[0] == 'e' ? WEIR_EPOLLET : 0), 0));
}

enum wlb_outcome wlb_await(struct wlb_proc *p, const struct wlb_step *s)
{
    if (!p->ready) {
        wlb_fail(p->lab, "%s: wait: nothing is watched", p->where);
        return WLB_STOP;
    }
    if (!p->is_begun) {
        wlb_begin_call(p);
        p->is_late = false;
        wsim_alarm_set(p->lab->world, &p->alarm, wsim_now(p->lab->world) + s->n);
    }
    int n = weir_epoll_wait(wsim_stack(p->conn.host), p->ready->epoll, p->ready->events, 1);
    if (n == 0 && !p->is_late)
        return WLB_WAIT;
    wsim_alarm_cancel(p->lab->world, &p->alarm);
    return wlb_end_call(p, n);
}
