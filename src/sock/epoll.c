/* Epoll objects. See epoll.h. */
#include "sock/epoll.h"
#include "net/sk.h"
#include "tcp/park.h"

#define ALWAYS    ((uint32_t)(WEIR_POLLERR | WEIR_POLLHUP)) /* reported whether asked for or not */
#define MODES     (WEIR_EPOLLET | WEIR_EPOLLONESHOT | WEIR_EPOLLEXCLUSIVE)
#define EXCL_MAY  (WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLERR | WEIR_POLLHUP | WEIR_EPOLLET | WEIR_EPOLLEXCLUSIVE)
#define READABLE  ((uint32_t)(WEIR_POLLIN | WEIR_POLLRDNORM))
#define TOO_DEEP  (WI_EPOLL_NEST_MAX + 1)
#define EVENT_MAX ((int)(INT32_MAX / sizeof(struct weir_epoll_event))) /* Linux's EP_MAX_EVENTS */

void wi_epolls_init(struct wi_epolls *e, struct wi_core *core)
{
    *e = (struct wi_epolls){0};
    wi_slab_init(&e->objects, core->mem, sizeof(struct wi_epoll), "epoll objects");
    wi_slab_init(&e->watches, core->mem, sizeof(struct wi_watch), "epoll watches");
}

void wi_epolls_fini(struct wi_epolls *e)
{
    wi_slab_fini(&e->watches);
    wi_slab_fini(&e->objects);
}

int wi_epoll_open(struct wi_epolls *e, struct wi_handle *h)
{
    struct wi_epoll *ep = wi_slab_alloc(&e->objects);
    if (!ep)
        return -WEIR_ENOMEM;
    ep->handle = h;
    wi_list_init(&ep->watches);
    wi_list_init(&ep->nested);
    wi_list_init(&ep->ready);
    h->kind = WI_HANDLE_EPOLL;
    h->epoll = ep;
    return 0;
}

/* What is true of a watched handle, of what its watch asks for. */
static uint32_t watch_poll(const struct wi_watch *w)
{
    uint32_t wanted = w->events & ~MODES;
    return wanted ? wi_handle_poll(w->handle) & wanted : 0;
}

/* Is anything ready? What turns out to be silent leaves the list, so that it is not asked again. */
static bool epoll_is_ready(struct wi_epoll *ep)
{
    wi_list_for_each_safe (w, &ep->ready, struct wi_watch, ready) {
        if (watch_poll(w))
            return true;
        wi_list_del(&w->ready);
    }
    return false;
}

/* Transports speak of POLLIN and POLLOUT; the older names mean the same on a socket. */
static uint32_t with_synonyms(uint32_t events)
{
    if (events & WEIR_POLLIN)
        events |= WEIR_POLLRDNORM;
    if (events & WEIR_POLLOUT)
        events |= WEIR_POLLWRNORM;
    return events;
}

uint32_t wi_handle_poll(const struct wi_handle *h)
{
    switch (h->kind) {
    case WI_HANDLE_SOCKET: return with_synonyms(h->sk->ops->poll(h->sk));
    case WI_HANDLE_PARKED: return WI_TCP_PARKED_POLL;
    case WI_HANDLE_EPOLL: return epoll_is_ready(h->epoll) ? READABLE : 0;
    case WI_HANDLE_NEW: break;
    }
    return 0;
}

/* ---- Readiness travels up ---- */

static void notify(struct wi_handle *h, uint32_t events);

static void watch_wake(struct wi_watch *w)
{
    if (wi_list_empty(&w->ready))
        wi_list_add_tail(&w->epoll->ready, &w->ready);
    notify(w->epoll->handle, READABLE);
}

/*
 * Something may have made `events` true of a handle: those that watch it learn of it. Of the exclusive watches one is
 * woken: the first that isn't busy with an earlier event. It goes to the end, so that
 * they take turns. Recursion is bounded: loops and chains beyond WI_EPOLL_NEST_MAX are refused by wi_epoll_ctl.
 */
static void notify(struct wi_handle *h, uint32_t events)
{
    struct wi_watch *chosen = NULL;

    wi_list_for_each (w, &h->watches, struct wi_watch, by_handle) {
        if (!(w->events & ~MODES & events))
            continue;
        if (!(w->events & WEIR_EPOLLEXCLUSIVE))
            watch_wake(w);
        else if (!chosen && wi_list_empty(&w->ready))
            chosen = w;
    }
    if (!chosen)
        return;
    wi_list_del(&chosen->by_handle);
    wi_list_add_tail(&h->watches, &chosen->by_handle);
    watch_wake(chosen);
}

/* A socket tells nobody while nobody watches it. Data wake who waits for urgent data as well, as on Linux. */
static void on_socket_ready(struct wi_sk *sk, uint32_t events)
{
    notify(sk->owner, with_synonyms(events) | (events & WEIR_POLLIN ? WEIR_POLLPRI : 0));
}

void wi_epoll_resume(struct wi_handle *h)
{
    if (h->kind == WI_HANDLE_SOCKET)
        h->sk->on_ready = wi_list_empty(&h->watches) ? NULL : on_socket_ready;
}

/* ---- The interest list ---- */

/* How many objects lie below, TOO_DEEP when they are too many, or `sought` is among them. Each is visited once. */
static int depth_below(struct wi_epoll *ep, const struct wi_epoll *sought, uint64_t visit, int level)
{
    if (ep == sought || level > WI_EPOLL_NEST_MAX)
        return TOO_DEEP;
    if (ep->visit == visit)
        return ep->depth;
    ep->visit = visit;
    ep->depth = 0;
    wi_list_for_each (w, &ep->nested, struct wi_watch, by_epoll) {
        int depth = 1 + depth_below(w->handle->epoll, sought, visit, level + 1);
        if (depth > ep->depth)
            ep->depth = depth < TOO_DEEP ? depth : TOO_DEEP;
    }
    return ep->depth;
}

/* How many objects lie above. Each chain is at most WI_EPOLL_NEST_MAX long, for nothing longer was let in. */
static int depth_above(struct wi_epoll *ep, uint64_t visit)
{
    if (ep->visit == visit)
        return ep->depth;
    ep->visit = visit;
    ep->depth = 0;
    wi_list_for_each (w, &ep->handle->watches, struct wi_watch, by_handle) {
        int depth = 1 + depth_above(w->epoll, visit);
        if (depth > ep->depth)
            ep->depth = depth;
    }
    return ep->depth;
}

static int check_nesting(struct wi_epolls *e, struct wi_epoll *outer, struct wi_epoll *inner)
{
    int below = depth_below(inner, outer, ++e->visit, 0);
    if (below > WI_EPOLL_NEST_MAX)
        return -WEIR_ELOOP;
    return depth_above(outer, ++e->visit) + 1 + below > WI_EPOLL_NEST_MAX ? -WEIR_ELOOP : 0;
}

static struct wi_watch *watch_find(const struct wi_epoll *ep, const struct wi_handle *h)
{
    wi_list_for_each (w, &h->watches, struct wi_watch, by_handle) {
        if (w->epoll == ep)
            return w;
    }
    return NULL;
}

static void watch_free(struct wi_epolls *e, struct wi_watch *w)
{
    wi_list_del(&w->by_handle);
    wi_list_del(&w->by_epoll);
    wi_list_del(&w->ready);
    wi_epoll_resume(w->handle);
    wi_slab_free(&e->watches, w);
}

/* What is true already counts as an event: an edge as well. For those above it is one only where it was not in the list
 * yet (Linux's ep_modify). */
static void watch_set(struct wi_watch *w, const struct weir_epoll_event *ev)
{
    w->events = ev->events | ALWAYS;
    w->data = ev->data;
    if (wi_list_empty(&w->ready) && watch_poll(w))
        watch_wake(w);
}

static int watch_add(struct wi_epolls *e, struct wi_epoll *ep, struct wi_handle *h, const struct weir_epoll_event *ev)
{
    bool is_nested = h->kind == WI_HANDLE_EPOLL;

    if (ev->events & WEIR_EPOLLEXCLUSIVE && (is_nested || ev->events & ~EXCL_MAY))
        return -WEIR_EINVAL;
    if (watch_find(ep, h))
        return -WEIR_EEXIST;
    int err = is_nested ? check_nesting(e, ep, h->epoll) : 0;
    if (err)
        return err;
    struct wi_watch *w = wi_slab_alloc(&e->watches);
    if (!w)
        return -WEIR_ENOMEM;

    w->handle = h;
    w->epoll = ep;
    wi_list_init(&w->ready);
    wi_list_add_tail(&h->watches, &w->by_handle);
    wi_list_add_tail(is_nested ? &ep->nested : &ep->watches, &w->by_epoll);
    wi_epoll_resume(h);
    watch_set(w, ev);
    return 0;
}

int wi_epoll_ctl(struct wi_epolls *e, struct wi_handle *epoll, int op, struct wi_handle *h,
                 const struct weir_epoll_event *ev)
{
    if (epoll->kind != WI_HANDLE_EPOLL || epoll == h || (op != WEIR_EPOLL_CTL_DEL && !ev))
        return -WEIR_EINVAL;
    if (op == WEIR_EPOLL_CTL_ADD)
        return watch_add(e, epoll->epoll, h, ev);
    if (op != WEIR_EPOLL_CTL_DEL && op != WEIR_EPOLL_CTL_MOD)
        return -WEIR_EINVAL;
    if (op == WEIR_EPOLL_CTL_MOD && ev->events & WEIR_EPOLLEXCLUSIVE)
        return -WEIR_EINVAL;

    struct wi_watch *w = watch_find(epoll->epoll, h);
    if (!w)
        return -WEIR_ENOENT;
    if (op == WEIR_EPOLL_CTL_DEL) {
        watch_free(e, w);
        return 0;
    }
    if (w->events & WEIR_EPOLLEXCLUSIVE)
        return -WEIR_EINVAL;
    watch_set(w, ev);
    return 0;
}

static void free_all(struct wi_epolls *e, struct wi_list *by_epoll)
{
    wi_list_for_each_safe (w, by_epoll, struct wi_watch, by_epoll) {
        watch_free(e, w);
    }
}

void wi_epoll_forget(struct wi_epolls *e, struct wi_handle *h)
{
    wi_list_for_each_safe (w, &h->watches, struct wi_watch, by_handle) {
        watch_free(e, w);
    }
    if (h->kind != WI_HANDLE_EPOLL)
        return;
    free_all(e, &h->epoll->watches);
    free_all(e, &h->epoll->nested);
    wi_slab_free(&e->objects, h->epoll);
}

/*
 * Each ready watch is asked again, for what happened may have passed. A level-triggered one that is still true goes to
 * the end of the list and is found again by the next wait, behind those that this one had no room for.
 */
int wi_epoll_wait(struct wi_epoll *ep, struct weir_epoll_event *out, int max)
{
    struct wi_list end;
    int n = 0;

    if (max <= 0 || max > EVENT_MAX)
        return -WEIR_EINVAL;
    wi_list_add_tail(&ep->ready, &end);
    while (n < max && ep->ready.next != &end) {
        struct wi_watch *w = wi_list_first(&ep->ready, struct wi_watch, ready);
        uint32_t events = watch_poll(w);

        wi_list_del(&w->ready);
        if (!events)
            continue;
        out[n++] = (struct weir_epoll_event){.events = events, .data = w->data};
        if (w->events & WEIR_EPOLLONESHOT)
            w->events &= MODES;
        else if (!(w->events & WEIR_EPOLLET))
            wi_list_add_tail(&ep->ready, &w->ready);
    }
    wi_list_del(&end);
    return n;
}

static const char *check_watches(const struct wi_epoll *ep, const struct wi_list *list, bool is_nested)
{
    wi_list_for_each (w, list, struct wi_watch, by_epoll) {
        if (w->epoll != ep || (w->handle->kind == WI_HANDLE_EPOLL) != is_nested || w->handle->kind == WI_HANDLE_NEW)
            return "an epoll object holds another one's watch";
        if (w->handle->kind == WI_HANDLE_SOCKET && !w->handle->sk->on_ready)
            return "a watched socket tells nobody";
    }
    return NULL;
}

const char *wi_epoll_check(const struct wi_epoll *ep)
{
    const char *wrong = check_watches(ep, &ep->watches, false);
    if (!wrong)
        wrong = check_watches(ep, &ep->nested, true);
    wi_list_for_each (w, &ep->ready, struct wi_watch, ready) {
        if (w->epoll != ep)
            wrong = "an epoll object's ready list holds another one's watch";
    }
    return wrong;
}
