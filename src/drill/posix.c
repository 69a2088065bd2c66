/*
 * The table of descriptors, and the calls that make, name, join and end sockets (posix.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drill/posix_fd.h"

#define FD_FIRST 3 /* after stdin, stdout, stderr */

/* ---- The table ---- */

struct wdr_posix *wdr_posix_new(const struct wdr_posix_config *cfg)
{
    struct wdr_posix *px = calloc(1, sizeof *px);
    if (px)
        px->cfg = *cfg;
    return px;
}

static void fd_free(struct wdr_fd *f)
{
    if (f->pipe) {
        if (f->is_reader)
            f->pipe->readers--;
        else
            f->pipe->writers--;
        if (f->pipe->readers + f->pipe->writers == 0)
            free(f->pipe);
    }
    if (f->kind == WDR_FD_FILE)
        close(f->file);
    free(f);
}

void wdr_posix_free(struct wdr_posix *px)
{
    if (!px)
        return;
    for (unsigned i = 0; i < px->fd_cap; i++) {
        if (px->fds[i])
            wdr_fd_remove(px, (int)i);
    }
    free(px->fds);
    free(px);
}

struct wdr_fd *wdr_fd_find(const struct wdr_posix *px, int fd)
{
    return fd >= 0 && (unsigned)fd < px->fd_cap ? px->fds[fd] : NULL;
}

static int lowest_free(const struct wdr_posix *px)
{
    int fd = FD_FIRST;
    while (wdr_fd_find(px, fd))
        fd++;
    return fd;
}

static int grow(struct wdr_posix *px, unsigned need)
{
    unsigned cap = px->fd_cap ? px->fd_cap : 64;
    while (cap <= need)
        cap *= 2;
    struct wdr_fd **more = realloc(px->fds, cap * sizeof(struct wdr_fd *));
    if (!more)
        return -ENOMEM;
    memset(more + px->fd_cap, 0, (cap - px->fd_cap) * sizeof(struct wdr_fd *));
    px->fds = more;
    px->fd_cap = cap;
    return 0;
}

int wdr_fd_add(struct wdr_posix *px, const struct wdr_fd *what)
{
    int fd = px->cfg.fd_new ? px->cfg.fd_new(px->cfg.ctx) : lowest_free(px);
    struct wdr_fd *f = malloc(sizeof *f);
    int err = fd < 0 ? fd : fd >= WDR_FDS_MAX ? -EMFILE : !f ? -ENOMEM : 0;
    if (!err && (unsigned)fd >= px->fd_cap)
        err = grow(px, (unsigned)fd);
    if (err) {
        free(f);
        if (fd >= 0 && px->cfg.fd_drop)
            px->cfg.fd_drop(px->cfg.ctx, fd);
        return err;
    }
    *f = *what;
    if (px->fds[fd]) /* closed behind our back */
        fd_free(px->fds[fd]);
    px->fds[fd] = f;
    return fd;
}

void wdr_fd_remove(struct wdr_posix *px, int fd)
{
    fd_free(px->fds[fd]);
    px->fds[fd] = NULL;
    if (px->cfg.fd_drop)
        px->cfg.fd_drop(px->cfg.ctx, fd);
}

weir_fd wdr_posix_handle(const struct wdr_posix *px, int fd)
{
    const struct wdr_fd *f = wdr_fd_find(px, fd);
    return f && f->kind == WDR_FD_SOCKET ? f->handle : -EBADF;
}

unsigned wdr_fd_tcp_state(const struct wdr_posix *px, const struct wdr_fd *f)
{
    struct weir_tcp_info info = {0};
    uint32_t len = sizeof info;
    return weir_getsockopt(px->cfg.w, f->handle, WEIR_SOL_TCP, WEIR_TCP_INFO, &info, &len) < 0 ? 0 : info.state;
}

bool wdr_posix_has(const struct wdr_posix *px, int fd)
{
    return wdr_fd_find(px, fd) != NULL;
}

/* ---- Waiting ---- */

static bool done(struct wdr_op *op, int64_t ret)
{
    op->ret = ret;
    return true;
}

bool wdr_op_finish(struct wdr_posix *px, struct wdr_op *op, int64_t ret, bool may_block, weir_ns timeout)
{
    if (ret != -EAGAIN || !may_block)
        return done(op, ret);
    weir_ns now = weir_now(px->cfg.w);
    if (!op->has_begun) {
        op->has_begun = true;
        op->deadline = timeout ? now + timeout : WEIR_NEVER;
    }
    return now >= op->deadline ? done(op, ret) : false;
}

bool wdr_op_wait(struct wdr_posix *px, struct wdr_op *op, int timeout_ms)
{
    if (timeout_ms == 0)
        return done(op, 0);
    if (wdr_op_finish(px, op, -EAGAIN, true, timeout_ms > 0 ? WEIR_MS(timeout_ms) : 0))
        op->ret = 0;
    else
        return false;
    return true;
}

void wdr_op_drop(struct wdr_op *op)
{
    free(op->saved);
    op->saved = NULL;
}

/* ---- Addresses ---- */

int wdr_sockaddr_read(struct weir_sockaddr *out, const struct sockaddr *sa, socklen_t len)
{
    *out = (struct weir_sockaddr){0};
    if (!sa && len > 0)
        return -EFAULT;
    if (!sa || len < sizeof sa->sa_family)
        return -EINVAL;
    out->family = sa->sa_family;
    if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        const uint8_t *b = (const uint8_t *)&in.sin_addr;
        out->addr = weir_addr_v4(b[0], b[1], b[2], b[3]);
        out->port = ntohs(in.sin_port);
        return 0;
    }
    if (sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        memcpy(out->addr.b, &in6.sin6_addr, 16);
        out->port = ntohs(in6.sin6_port);
        out->scope_id = in6.sin6_scope_id;
        return 0;
    }
    if (sa->sa_family == AF_UNSPEC)
        return 0;
    return sa->sa_family == AF_INET || sa->sa_family == AF_INET6 ? -EINVAL : -EAFNOSUPPORT;
}

void wdr_sockaddr_write(struct sockaddr *out, socklen_t *len, const struct weir_sockaddr *a)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope_id};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    bool is_v6 = a->family == AF_INET6;
    if (!out || !len)
        return;
    memcpy(&in6.sin6_addr, a->addr.b, 16);
    memcpy(&in.sin_addr, a->addr.b + 12, 4);
    socklen_t whole = is_v6 ? sizeof in6 : sizeof in;
    memcpy(out, is_v6 ? (void *)&in6 : (void *)&in, *len < whole ? *len : whole);
    *len = whole;
}

/* ---- Making and joining ---- */

static int do_socket(struct wdr_posix *px, struct wdr_op *op)
{
    int type = op->b & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    weir_fd h = weir_socket(px->cfg.w, op->a, type, op->c);
    if (h < 0)
        return (int)h;
    struct wdr_fd f = {.kind = WDR_FD_SOCKET, .handle = h, .family = op->a, .type = type};
    f.is_nonblocking = (op->b & SOCK_NONBLOCK) != 0;
    int fd = wdr_fd_add(px, &f);
    if (fd < 0)
        weir_close(px->cfg.w, h);
    return fd;
}

static int do_bind(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct weir_sockaddr a;
    int err = wdr_sockaddr_read(&a, op->addr, op->addr_len);
    if (err)
        return err;
    if (px->cfg.before_bind)
        px->cfg.before_bind(px->cfg.ctx, &a);
    return weir_bind(px->cfg.w, f->handle, &a);
}

static bool try_accept(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct weir_sockaddr peer;
    weir_fd h = weir_accept(px->cfg.w, f->handle, &peer);
    if (h < 0)
        return wdr_op_finish(px, op, h, !f->is_nonblocking, f->rcvtimeo);
    struct wdr_fd child = {.kind = WDR_FD_SOCKET, .handle = h, .family = f->family, .type = f->type};
    child.rcvtimeo = f->rcvtimeo;
    child.sndtimeo = f->sndtimeo;
    int fd = wdr_fd_add(px, &child);
    if (fd < 0)
        weir_close(px->cfg.w, h);
    else
        wdr_sockaddr_write(op->addr, op->addr_len_p, &peer);
    return done(op, fd);
}

static bool try_connect(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct weir_sockaddr a;
    int64_t ret = wdr_sockaddr_read(&a, op->addr, op->addr_len);
    if (!op->has_begun) {
        ret = ret ? ret : weir_connect(px->cfg.w, f->handle, &a);
        if ((ret != -EINPROGRESS && ret != -EALREADY) || f->is_nonblocking)
            return done(op, ret);
    }
    if (!wdr_fd_ready(px, op->fd, POLLOUT)) {
        bool is_over = wdr_op_finish(px, op, -EAGAIN, true, f->sndtimeo);
        op->ret = is_over ? -EINPROGRESS : 0;
        return is_over;
    }
    return done(op, weir_connect(px->cfg.w, f->handle, &a)); /* its end, told once; it may be called anew then */
}

/* ---- Ending ---- */

/* Whether what close leaves behind is still being sent, in Linux's words. */
static bool is_lingering(struct wdr_posix *px, struct wdr_fd *f)
{
    unsigned state = wdr_fd_tcp_state(px, f);
    return state == TCP_STATE_FIN_WAIT1 || state == TCP_STATE_CLOSING || state == TCP_STATE_LAST_ACK;
}

/* SO_LINGER with a time: close waits, on non-blocking sockets too, until all is acknowledged (tcp_close of Linux). */
static bool try_linger(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct weir_linger l = {0};
    uint32_t len = sizeof l;
    int unread = 0;
    if (f->kind != WDR_FD_SOCKET || f->type != SOCK_STREAM)
        return true;
    weir_getsockopt(px->cfg.w, f->handle, SOL_SOCKET, SO_LINGER, &l, &len);
    if (!l.onoff || l.seconds <= 0)
        return true;
    if (!op->has_begun) {
        weir_ioctl(px->cfg.w, f->handle, WEIR_SIOCINQ, &unread);
        if (unread > 0 || weir_shutdown(px->cfg.w, f->handle, WEIR_SHUT_WR) < 0)
            return true;
    }
    return !is_lingering(px, f) || wdr_op_finish(px, op, -EAGAIN, true, WEIR_SEC(l.seconds));
}

static bool try_close(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    if (!try_linger(px, op, f))
        return false;
    int ret = f->kind == WDR_FD_SOCKET || f->kind == WDR_FD_EPOLL ? weir_close(px->cfg.w, f->handle) : 0;
    wdr_fd_remove(px, op->fd);
    return done(op, ret);
}

/* ---- Others ---- */

static int do_epoll_create(struct wdr_posix *px, struct wdr_op *op)
{
    if (op->a <= 0)
        return -EINVAL;
    weir_fd h = weir_epoll_create(px->cfg.w);
    if (h < 0)
        return (int)h;
    int fd = wdr_fd_add(px, &(struct wdr_fd){.kind = WDR_FD_EPOLL, .handle = h});
    if (fd < 0)
        weir_close(px->cfg.w, h);
    return fd;
}

static int do_open(struct wdr_posix *px, struct wdr_op *op)
{
    int file = open(op->path, op->a | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    return wdr_fd_add(px, &(struct wdr_fd){.kind = WDR_FD_FILE, .file = file});
}

/* Calls that need no descriptor, or look for theirs themselves. */
static bool try_any(struct wdr_posix *px, struct wdr_op *op, bool *is_done)
{
    *is_done = true;
    if (op->kind == WDR_OP_SOCKET)
        op->ret = do_socket(px, op);
    else if (op->kind == WDR_OP_EPOLL_CREATE)
        op->ret = do_epoll_create(px, op);
    else if (op->kind == WDR_OP_PIPE)
        op->ret = wdr_do_pipe(px, op);
    else if (op->kind == WDR_OP_OPEN)
        op->ret = do_open(px, op);
    else if (op->kind == WDR_OP_POLL)
        *is_done = wdr_try_poll(px, op);
    else if (op->kind == WDR_OP_SELECT)
        *is_done = wdr_try_select(px, op);
    else
        return false;
    return true;
}

static bool try_on(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct weir *w = px->cfg.w;
    switch (op->kind) {
    case WDR_OP_BIND: return done(op, do_bind(px, op, f));
    case WDR_OP_LISTEN: return done(op, weir_listen(w, f->handle, op->a));
    case WDR_OP_ACCEPT: return try_accept(px, op, f);
    case WDR_OP_CONNECT: return try_connect(px, op, f);
    case WDR_OP_READ:
    case WDR_OP_READV:
    case WDR_OP_RECV:
    case WDR_OP_RECVFROM:
    case WDR_OP_RECVMSG: return wdr_try_recv(px, op, f);
    case WDR_OP_WRITE:
    case WDR_OP_WRITEV:
    case WDR_OP_SEND:
    case WDR_OP_SENDTO:
    case WDR_OP_SENDMSG: return wdr_try_send(px, op, f);
    case WDR_OP_FCNTL: return done(op, wdr_do_fcntl(op, f));
    case WDR_OP_IOCTL: return done(op, wdr_do_ioctl(px, op, f));
    case WDR_OP_CLOSE: return try_close(px, op, f);
    case WDR_OP_SHUTDOWN: return done(op, weir_shutdown(w, f->handle, op->a));
    case WDR_OP_GETSOCKOPT: return done(op, wdr_do_getsockopt(px, op, f));
    case WDR_OP_SETSOCKOPT: return done(op, wdr_do_setsockopt(px, op, f));
    case WDR_OP_EPOLL_CTL: return done(op, wdr_do_epoll_ctl(px, op, f));
    case WDR_OP_EPOLL_WAIT: return wdr_try_epoll_wait(px, op, f);
    case WDR_OP_SPLICE: return wdr_try_splice(px, op, f);
    case WDR_OP_SENDFILE: return wdr_try_sendfile(px, op, f);
    case WDR_OP_SOCKET:
    case WDR_OP_EPOLL_CREATE:
    case WDR_OP_PIPE:
    case WDR_OP_OPEN:
    case WDR_OP_POLL:
    case WDR_OP_SELECT: break;
    }
    return done(op, -EINVAL);
}

/* Calls that any descriptor takes; the others want a socket, or know what they want. */
static bool wants_socket(enum wdr_op_kind kind)
{
    return kind != WDR_OP_FCNTL && kind != WDR_OP_CLOSE && kind != WDR_OP_SPLICE && kind != WDR_OP_READ &&
           kind != WDR_OP_WRITE && kind != WDR_OP_EPOLL_CTL && kind != WDR_OP_EPOLL_WAIT;
}

bool wdr_posix_try(struct wdr_posix *px, struct wdr_op *op)
{
    bool is_done;
    if (try_any(px, op, &is_done))
        return is_done;
    struct wdr_fd *f = wdr_fd_find(px, op->fd);
    if (!f)
        return done(op, -EBADF);
    if (f->kind != WDR_FD_SOCKET && wants_socket(op->kind))
        return done(op, -ENOTSOCK);
    return try_on(px, op, f);
}
