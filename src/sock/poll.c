/* poll and select, and the calls on epoll objects by their handles. */
#include "sock/sock.h"

/* What Linux's select takes for readable, writable and exceptional (fs/select.c). */
#define SELECT_IN  ((uint32_t)(WEIR_POLLIN | WEIR_POLLRDNORM | WEIR_POLLHUP | WEIR_POLLERR))
#define SELECT_OUT ((uint32_t)(WEIR_POLLOUT | WEIR_POLLWRNORM | WEIR_POLLERR))
#define SELECT_EX  ((uint32_t)WEIR_POLLPRI)

static uint32_t poll_one(const struct wi_sock *s, const struct weir_pollfd *p)
{
    if (p->fd < 0)
        return 0;
    const struct wi_handle *h = wi_handle_find(&s->handles, p->fd);
    if (!h)
        return WEIR_POLLNVAL;
    return wi_handle_poll(h) & ((uint16_t)p->events | WEIR_POLLERR | WEIR_POLLHUP);
}

int wi_sock_poll(struct wi_sock *s, struct weir_pollfd *fds, unsigned n)
{
    int ready = 0;
    for (unsigned i = 0; i < n; i++) {
        fds[i].revents = (short)poll_one(s, &fds[i]);
        ready += fds[i].revents != 0;
    }
    return ready;
}

static bool set_is_valid(const struct wi_sock *s, const struct weir_fd_set *set)
{
    for (unsigned i = 0; set && i < set->n; i++) {
        if (!wi_handle_find(&s->handles, set->fds[i]))
            return false;
    }
    return true;
}

static unsigned set_cut(const struct wi_sock *s, struct weir_fd_set *set, uint32_t events)
{
    unsigned kept = 0;
    if (!set)
        return 0;
    for (unsigned i = 0; i < set->n; i++) {
        if (wi_handle_poll(wi_handle_find(&s->handles, set->fds[i])) & events)
            set->fds[kept++] = set->fds[i];
    }
    set->n = kept;
    return kept;
}

int wi_sock_select(struct wi_sock *s, struct weir_fd_set *readable, struct weir_fd_set *writable,
                   struct weir_fd_set *exceptional)
{
    if (!set_is_valid(s, readable) || !set_is_valid(s, writable) || !set_is_valid(s, exceptional))
        return -WEIR_EBADF;
    unsigned n = set_cut(s, readable, SELECT_IN);
    n += set_cut(s, writable, SELECT_OUT);
    return (int)(n + set_cut(s, exceptional, SELECT_EX));
}

weir_fd wi_sock_epoll_create(struct wi_sock *s)
{
    struct wi_handle *h;
    int err = wi_handle_take(&s->handles, &h);
    if (err)
        return err;
    err = wi_epoll_open(&s->epolls, h);
    if (err) {
        wi_handle_release(&s->handles, h);
        return err;
    }
    return h->fd;
}

int wi_sock_epoll_ctl(struct wi_sock *s, weir_fd epoll, int op, weir_fd fd, const struct weir_epoll_event *ev)
{
    struct wi_handle *ep = wi_handle_find(&s->handles, epoll), *h = wi_handle_find(&s->handles, fd);
    return ep && h ? wi_epoll_ctl(&s->epolls, ep, op, h, ev) : -WEIR_EBADF;
}

int wi_sock_epoll_wait(struct wi_sock *s, weir_fd epoll, struct weir_epoll_event *events, int max)
{
    struct wi_handle *h = wi_handle_find(&s->handles, epoll);
    if (!h)
        return -WEIR_EBADF;
    return h->kind == WI_HANDLE_EPOLL ? wi_epoll_wait(h->epoll, events, max) : -WEIR_EINVAL;
}
