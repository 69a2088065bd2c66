/*
 * Readiness: poll, select and epoll.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drill/posix_fd.h"

static short pipe_ready(const struct wdr_fd *f)
{
    const struct wdr_pipe *p = f->pipe;
    if (f->is_reader)
        return (short)((p->used ? POLLIN | POLLRDNORM : 0) | (p->writers == 0 ? POLLHUP : 0));
    return (short)((p->used < WDR_PIPE_CAP ? POLLOUT | POLLWRNORM : 0) | (p->readers == 0 ? POLLERR : 0));
}

short wdr_fd_ready(struct wdr_posix *px, int fd, short events)
{
    struct wdr_fd *f = wdr_fd_find(px, fd);
    short always = POLLERR | POLLHUP;
    if (!f)
        return POLLNVAL;
    if (f->kind == WDR_FD_PIPE)
        return (short)(pipe_ready(f) & (events | always));
    if (f->kind == WDR_FD_FILE)
        return (short)((POLLIN | POLLOUT) & events);
    struct weir_pollfd one = {.fd = f->handle, .events = events};
    return weir_poll(px->cfg.w, &one, 1) > 0 ? one.revents : 0;
}

bool wdr_try_poll(struct wdr_posix *px, struct wdr_op *op)
{
    int n = 0;
    for (size_t i = 0; i < op->len; i++) {
        struct pollfd *p = &op->pollfds[i];
        p->revents = p->fd < 0 ? 0 : wdr_fd_ready(px, p->fd, p->events);
        n += p->revents != 0;
    }
    return n ? wdr_op_finish(px, op, n, false, 0) : wdr_op_wait(px, op, op->a);
}

/* ---- select ---- */

static const short set_events[3] = {POLLIN, POLLOUT, POLLPRI};
/* What makes select say yes: an end or an error is readable and writable (POLLIN_SET and the like of Linux). */
static const short set_ready[3] = {POLLIN | POLLRDNORM | POLLHUP | POLLERR, POLLOUT | POLLWRNORM | POLLERR, POLLPRI};

/* The sets are cut down only when it is done: remember what was asked. */
static bool save_question(struct wdr_op *op)
{
    op->saved = calloc((size_t)(op->a > 0 ? op->a : 1), sizeof *op->saved);
    if (!op->saved)
        return false;
    for (int fd = 0; fd < op->a && fd < FD_SETSIZE; fd++) {
        short events = 0;
        for (int i = 0; i < 3; i++)
            events = (short)(events | (op->sets[i] && FD_ISSET(fd, op->sets[i]) ? set_events[i] : 0));
        if (events)
            op->saved[op->saved_n++] = (struct pollfd){.fd = fd, .events = events};
    }
    op->has_saved = true;
    return true;
}

static int answer(struct wdr_posix *px, struct wdr_op *op, bool is_final)
{
    int n = 0;
    for (unsigned k = 0; k < op->saved_n; k++) {
        struct pollfd *p = &op->saved[k];
        p->revents = wdr_fd_ready(px, p->fd, p->events);
        if (p->revents & POLLNVAL)
            return -EBADF;
        for (int i = 0; i < 3; i++)
            n += (p->events & set_events[i]) && (p->revents & set_ready[i]);
    }
    for (int i = 0; (n || is_final) && i < 3; i++) {
        if (op->sets[i])
            FD_ZERO(op->sets[i]);
        for (unsigned k = 0; k < op->saved_n; k++) {
            if ((op->saved[k].events & set_events[i]) && (op->saved[k].revents & set_ready[i]))
                FD_SET(op->saved[k].fd, op->sets[i]);
        }
    }
    return n;
}

static int timeout_ms(const struct timeval *t)
{
    return t ? (int)(t->tv_sec * 1000 + (t->tv_usec + 999) / 1000) : -1;
}

bool wdr_try_select(struct wdr_posix *px, struct wdr_op *op)
{
    if (op->a < 0 || op->a > FD_SETSIZE)
        return wdr_op_finish(px, op, -EINVAL, false, 0);
    if (!op->has_saved && !save_question(op))
        return wdr_op_finish(px, op, -ENOMEM, false, 0);
    int n = answer(px, op, false);
    bool is_done = n ? wdr_op_finish(px, op, n, false, 0) : wdr_op_wait(px, op, timeout_ms(op->timeout));
    if (is_done) {
        if (op->ret == 0)
            answer(px, op, true);
        wdr_op_drop(op);
    }
    return is_done;
}

/* ---- epoll ---- */

int wdr_do_epoll_ctl(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct wdr_fd *target = wdr_fd_find(px, op->fd2);
    if (!target)
        return -EBADF;
    if (f->kind != WDR_FD_EPOLL)
        return -EINVAL;
    if (target->kind != WDR_FD_SOCKET && target->kind != WDR_FD_EPOLL)
        return -EPERM;
    struct weir_epoll_event ev = {0};
    if (op->event) {
        ev.events = op->event->events;
        ev.data = op->event->data.u64;
    }
    return weir_epoll_ctl(px->cfg.w, f->handle, op->a, target->handle, op->event ? &ev : NULL);
}

bool wdr_try_epoll_wait(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct weir_epoll_event got[64];
    int max = op->a < 64 ? op->a : 64;
    if (f->kind != WDR_FD_EPOLL || op->a <= 0)
        return wdr_op_finish(px, op, -EINVAL, false, 0);
    int n = weir_epoll_wait(px->cfg.w, f->handle, got, max);
    for (int i = 0; i < n; i++) {
        op->event[i].events = got[i].events;
        op->event[i].data.u64 = got[i].data;
    }
    return n ? wdr_op_finish(px, op, n, false, 0) : wdr_op_wait(px, op, op->b);
}
