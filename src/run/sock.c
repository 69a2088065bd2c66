/*
 * Mirrored sockets: making and ending them, and what the mirror shows of a connection (docs/run.md has the table).
 *
 * We keep no copy of the program's end, or its close would never be seen; where something has to be done to it, we
 * borrow it from whoever was last seen to hold it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/sock.h"

#define MIRROR_BYTES (2 << 20) /* asked for in each direction; the kernel cuts it to net.core.wmem_max */
#define OS_EVENTS    (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* ---- Table ---- */

static struct wir_sock_list *bucket(struct wir_run *r, uint64_t inode)
{
    return &r->socks[inode % WIR_SOCK_BUCKETS];
}

struct wir_sock *wir_sock_find(struct wir_run *r, uint64_t inode)
{
    struct wir_sock *s;
    LIST_FOREACH(s, bucket(r, inode), by_inode)
    {
        if (s->inode == inode)
            return s;
    }
    return NULL;
}

static struct wir_sock *of_os_source(struct wir_os_source *source)
{
    return (struct wir_sock *)((char *)source - offsetof(struct wir_sock, pump.os_source));
}

/* ---- Mirrors ---- */

static void widen(int fd)
{
    int bytes = MIRROR_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* Make the program's end not writable: the least buffer there is, filled. How many bytes that took. */
static unsigned choke(int program_end)
{
    int least = 1;
    unsigned n = 0;
    setsockopt(program_end, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    while (n < 4096 && send(program_end, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
        n++;
    return n;
}

static void unchoke(struct wir_sock *s)
{
    char junk[512];
    while (s->choke_n) {
        size_t want = s->choke_n < sizeof junk ? s->choke_n : sizeof junk;
        ssize_t n = recv(s->pump.fd, junk, want, MSG_DONTWAIT);
        if (n <= 0)
            break;
        s->choke_n -= (unsigned)n;
    }
    s->choke_n = 0;
}

/* A new pair for the socket: our end into pump.fd, watched. The program's end or -errno. */
static int pair(struct wir_sock *s, bool is_ready)
{
    int fds[2];
    struct stat st;
    int type = s->type == SOCK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    if (fstat(fds[1], &st) < 0 || wir_loop_watch(s->run, fds[0], OS_EVENTS, &s->pump.os_source) < 0) {
        close(fds[0]);
        close(fds[1]);
        return -ENFILE;
    }
    widen(fds[0]);
    if (is_ready || s->type != SOCK_STREAM)
        widen(fds[1]);
    else
        s->choke_n = choke(fds[1]);
    s->pump.fd = fds[0];
    s->inode = st.st_ino;
    return fds[1];
}

int wir_sock_borrow(struct wir_sock *s)
{
    int fd = wir_fd_borrow(s->last_pid, s->last_fd, s->inode);
    return fd >= 0 ? fd : wir_fd_find(s->inode);
}

void wir_sock_show_reset(struct wir_sock *s)
{
    struct pollfd p = {.fd = s->pump.fd, .events = POLLIN};
    if (s->pump.fd < 0)
        return;
    if (poll(&p, 1, 0) == 0) { /* nothing unread, and not closed by the program either */
        int end = wir_sock_borrow(s);
        if (end >= 0) {
            send(end, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* something unread, so that our close is a reset */
            close(end);
        }
    }
    close(s->pump.fd);
    s->pump.fd = -1;
}

bool wir_sock_is_nonblocking(const struct wir_call *call)
{
    int fd = wir_fd_borrow((pid_t)call->req.pid, (int)WIR_ARG(call, 0), call->sock->inode);
    if (fd < 0)
        return false;
    int flags = fcntl(fd, F_GETFL);
    close(fd);
    return flags >= 0 && (flags & O_NONBLOCK);
}

/* ---- Life of a connection in the mirror ---- */

static void pump_ended(struct wir_pump *p, enum wir_pump_end how, int err)
{
    struct wir_sock *s = (struct wir_sock *)((char *)p - offsetof(struct wir_sock, pump));

    switch (how) {
    case WIR_PUMP_CLOSED: wir_sock_free(s, p->down_n > 0); return;
    case WIR_PUMP_OS_RESET:
        wir_sock_free(s, true);
        return; /* closed with bytes unread: RFC 9293 3.6.1, RFC 2525 2.17 */
    case WIR_PUMP_NET_ERROR:
        s->so_error = err;
        s->phase = WIR_SOCK_FAILED;
        wir_sock_show_reset(s);
        wir_sock_retire(s);
        return;
    }
}

void wir_sock_open(struct wir_sock *s)
{
    s->phase = WIR_SOCK_CONNECTED;
    if (s->choke_n) {
        int end = wir_sock_borrow(s);
        if (end >= 0) {
            widen(end);
            close(end);
        }
        unchoke(s);
    }
    s->pump.ended = pump_ended;
    s->pump.is_mirror = true;
    wir_pump_start(&s->pump);
}

/* Until the pump runs: only the close matters. */
static void idle_os_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_sock *s = of_os_source(source);
    if (events & EPOLLHUP)
        wir_sock_free(s, false);
}

static void idle_net_ready(struct wir_net_source *source, uint32_t events)
{
    (void)source;
    (void)events;
}

/* ---- Making and ending ---- */

struct wir_sock *wir_sock_new(struct wir_run *r, int family, int type, weir_fd net, bool is_ready, int *program_end)
{
    struct wir_sock *s = calloc(1, sizeof *s);
    if (!s) {
        weir_close(r->prog.stack, net);
        return NULL;
    }
    s->run = r;
    s->family = family;
    s->type = type;
    s->phase = type == SOCK_STREAM ? WIR_SOCK_FRESH : WIR_SOCK_DGRAM;
    s->twin = -1;
    s->last_pid = -1;
    s->pump = (struct wir_pump){.run = r, .host = &r->prog, .net = net, .fd = -1};
    s->pump.os_source.ready = idle_os_ready;
    s->pump.net_source.ready = idle_net_ready;
    LIST_INIT(&s->waiters);
    *program_end = pair(s, is_ready);
    if (*program_end < 0 || wir_loop_watch_net(&r->prog, net, &s->pump.net_source) < 0) {
        if (*program_end >= 0) {
            close(*program_end);
            close(s->pump.fd);
        }
        weir_close(r->prog.stack, net);
        free(s);
        return NULL;
    }
    /* An entry that a failed connect left behind, whose descriptor is long closed. */
    struct wir_sock *stale = wir_sock_find(r, s->inode);
    if (stale)
        wir_sock_free(stale, false);
    LIST_INSERT_HEAD(bucket(r, s->inode), s, by_inode);
    r->sock_n++;
    return s;
}

static void unretire(struct wir_sock *s)
{
    if (!s->is_retired)
        return;
    s->is_retired = false;
    TAILQ_REMOVE(&s->run->retired, s, by_retired);
    s->run->retired_n--;
}

int wir_sock_renew(struct wir_sock *s)
{
    LIST_REMOVE(s, by_inode);
    unretire(s);
    s->pump.os_source.ready = idle_os_ready;
    s->pump.net_source.ready = idle_net_ready;
    int end = pair(s, false);
    LIST_INSERT_HEAD(bucket(s->run, s->inode), s, by_inode);
    return end;
}

static void unlist_bound(struct wir_sock *s)
{
    if (s->is_bound_listed)
        LIST_REMOVE(s, by_bound);
    s->is_bound_listed = false;
}

void wir_sock_free(struct wir_sock *s, bool is_abort)
{
    struct wir_run *r = s->run;

    wir_pump_stop(&s->pump);
    wir_waiters_fail(r, s, EBADF);
    unlist_bound(s);
    unretire(s);
    if (s->undelivered) {
        close(s->undelivered_end);
        wir_sock_free(s->undelivered, true);
    }
    if (s->pump.fd >= 0)
        close(s->pump.fd);
    if (s->pump.net >= 0 && is_abort)
        weir_abort(r->prog.stack, s->pump.net);
    else if (s->pump.net >= 0)
        weir_close(r->prog.stack, s->pump.net);
    if (s->twin >= 0)
        weir_close(r->prog.stack, s->twin);
    LIST_REMOVE(s, by_inode);
    r->sock_n--;
    free(s->returned_data);
    wir_loop_bury(r, s);
}

/* Our end of the mirror is closed, so that the program's close can't be seen: what is left answers SO_ERROR and
 * another connect until there are too many of the kind. */
void wir_sock_retire(struct wir_sock *s)
{
    struct wir_run *r = s->run;
    wir_pump_stop(&s->pump);
    TAILQ_INSERT_TAIL(&r->retired, s, by_retired);
    s->is_retired = true;
    if (++r->retired_n <= WIR_RETIRED_MAX)
        return;
    wir_sock_free(TAILQ_FIRST(&r->retired), false);
}

/* ---- Loopback: inside or outside ---- */

void wir_sock_list_bound(struct wir_sock *s)
{
    if (s->is_bound_listed)
        return;
    s->is_bound_listed = true;
    LIST_INSERT_HEAD(&s->run->bound, s, by_bound);
}

bool wir_sock_is_inside(struct wir_run *r, int type, const struct weir_sockaddr *a)
{
    struct wir_sock *s;
    LIST_FOREACH(s, &r->bound, by_bound)
    {
        struct weir_sockaddr at;
        if (s->type != type || weir_getsockname(r->prog.stack, s->pump.net, &at) < 0 || at.port != a->port)
            continue;
        if (weir_addr_is_any(&at.addr) && (s->family == AF_INET6 || weir_addr_is_v4(&a->addr)))
            return true;
        if (weir_addr_equal(&at.addr, &a->addr))
            return true;
    }
    return false;
}

struct weir_sockaddr wir_sock_route(struct wir_run *r, int type, const struct weir_sockaddr *a)
{
    struct weir_sockaddr to = *a;
    if (weir_addr_is_any(&to.addr)) /* a destination of zeros means this host */
        to.addr = weir_addr_is_v4(&to.addr) ? weir_addr_v4(127, 0, 0, 1) : (struct weir_addr){{[15] = 1}};
    if (r->gate.stack && weir_addr_is_loopback(&to.addr) && !wir_sock_is_inside(r, type, &to))
        to.addr = wir_addr_onto_link(to.addr);
    return to;
}
