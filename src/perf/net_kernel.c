/*
 * The kernel's sockets: see net.h. weir's levels, options, flags and events have Linux's values, so they pass as they
 * are.
 */
#include "perf/net.h"

#include "perf/stop.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(WEIR_POLLIN == EPOLLIN && WEIR_POLLOUT == EPOLLOUT && WEIR_POLLERR == EPOLLERR, "Linux's events");
_Static_assert(WEIR_SOL_SOCKET == SOL_SOCKET && WEIR_SO_ERROR == SO_ERROR && WEIR_MSG_MORE == MSG_MORE, "Linux's");

struct kernel {
    struct wpf_net net;
    int epoll_fd;
    int fixed_fd; /* the file that send_fixed sends, or -1: there is none yet */
};

static struct kernel *kernel_of(struct wpf_net *n)
{
    return (struct kernel *)n;
}

static socklen_t to_os(const struct weir_sockaddr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == WEIR_AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->addr.b + 12, 4);
        if (weir_addr_is_any(&a->addr))
            in->sin_addr.s_addr = htonl(INADDR_ANY);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    in6->sin6_scope_id = a->scope_id;
    memcpy(&in6->sin6_addr, a->addr.b, sizeof a->addr.b);
    return sizeof *in6;
}

static void from_os(const struct sockaddr_storage *s, struct weir_sockaddr *out)
{
    *out = (struct weir_sockaddr){.family = WEIR_AF_INET};
    if (s->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, s, sizeof in);
        const uint8_t *b = (const uint8_t *)&in.sin_addr;
        out->addr = weir_addr_v4(b[0], b[1], b[2], b[3]);
        out->port = ntohs(in.sin_port);
        return;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, s, sizeof in6);
    memcpy(out->addr.b, &in6.sin6_addr, sizeof out->addr.b);
    out->port = ntohs(in6.sin6_port);
    out->scope_id = in6.sin6_scope_id;
    out->family = weir_addr_is_v4(&out->addr) ? WEIR_AF_INET : WEIR_AF_INET6;
}

static int64_t or_errno(int64_t r)
{
    return r < 0 ? -errno : r;
}

static int64_t kernel_socket(struct wpf_net *n, int family)
{
    (void)n;
    return or_errno(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

static int kernel_bind(struct wpf_net *n, int64_t fd, const struct weir_sockaddr *a)
{
    struct sockaddr_storage s;
    socklen_t len = to_os(a, &s);
    (void)n;
    return bind((int)fd, (struct sockaddr *)&s, len) < 0 ? -errno : 0;
}

static int kernel_listen(struct wpf_net *n, int64_t fd, int backlog)
{
    (void)n;
    return listen((int)fd, backlog) < 0 ? -errno : 0;
}

static int64_t kernel_accept(struct wpf_net *n, int64_t fd)
{
    (void)n;
    return or_errno(accept4((int)fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

static int kernel_connect(struct wpf_net *n, int64_t fd, const struct weir_sockaddr *to)
{
    struct sockaddr_storage s;
    socklen_t len = to_os(to, &s);
    (void)n;
    return connect((int)fd, (struct sockaddr *)&s, len) < 0 ? -errno : 0;
}

static int64_t kernel_send(struct wpf_net *n, int64_t fd, const void *buf, size_t len, int flags)
{
    (void)n;
    return or_errno(send((int)fd, buf, len, flags | MSG_NOSIGNAL));
}

static int open_fixed(void)
{
    int fd = memfd_create("weir", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, WPF_FIXED_MAX) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd < 0 ? -errno : fd;
}

static int64_t kernel_send_fixed(struct wpf_net *n, int64_t fd, size_t len)
{
    struct kernel *k = kernel_of(n);
    off_t from = 0;
    if (k->fixed_fd < 0) {
        int file = open_fixed();
        if (file < 0)
            return file;
        k->fixed_fd = file;
    }
    return or_errno(sendfile((int)fd, k->fixed_fd, &from, len));
}

static int64_t kernel_recv(struct wpf_net *n, int64_t fd, void *buf, size_t len)
{
    (void)n;
    return or_errno(recv((int)fd, buf, len, 0));
}

static int kernel_shutdown(struct wpf_net *n, int64_t fd)
{
    (void)n;
    return shutdown((int)fd, SHUT_WR) < 0 ? -errno : 0;
}

static void kernel_close(struct wpf_net *n, int64_t fd)
{
    (void)n;
    close((int)fd);
}

static int kernel_getname(struct wpf_net *n, int64_t fd, bool is_peer, struct weir_sockaddr *out)
{
    struct sockaddr_storage s = {0};
    socklen_t len = sizeof s;
    (void)n;
    int r =
        is_peer ? getpeername((int)fd, (struct sockaddr *)&s, &len) : getsockname((int)fd, (struct sockaddr *)&s, &len);
    if (r < 0)
        return -errno;
    from_os(&s, out);
    return 0;
}

static int kernel_getsockopt(struct wpf_net *n, int64_t fd, int level, int name, void *value, uint32_t *len)
{
    (void)n;
    return getsockopt((int)fd, level, name, value, len) < 0 ? -errno : 0;
}

static int kernel_setsockopt(struct wpf_net *n, int64_t fd, int level, int name, const void *value, uint32_t len)
{
    (void)n;
    return setsockopt((int)fd, level, name, value, len) < 0 ? -errno : 0;
}

static int kernel_watch(struct wpf_net *n, int64_t fd, bool is_new, uint32_t events, struct wpf_source *s)
{
    struct epoll_event ev = {.events = events, .data.ptr = s};
    return epoll_ctl(kernel_of(n)->epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, (int)fd, &ev) < 0 ? -errno : 0;
}

static int kernel_unsent(struct wpf_net *n, int64_t fd)
{
    int bytes = 0;
    (void)n;
    return ioctl((int)fd, SIOCOUTQ, &bytes) < 0 ? 0 : bytes;
}

static void kernel_turn(struct wpf_net *n, weir_ns until)
{
    struct kernel *k = kernel_of(n);
    weir_ns now = wpf_clock(), left = until > now ? until - now : 0;
    struct timespec ts = {(time_t)(left / WEIR_SEC(1)), (long)(left % WEIR_SEC(1))};
    struct epoll_event events[WPF_EVENTS];
    int got = epoll_pwait2(k->epoll_fd, events, WPF_EVENTS, until == WEIR_NEVER ? NULL : &ts, NULL);
    for (int i = 0; i < got; i++)
        n->pending[i] = (struct wpf_event){events[i].data.ptr, events[i].events};
    n->pending_n = got > 0 ? (unsigned)got : 0;
    wpf_net_tell(n);
}

static void kernel_free(struct wpf_net *n)
{
    close(kernel_of(n)->epoll_fd);
    if (kernel_of(n)->fixed_fd >= 0)
        close(kernel_of(n)->fixed_fd);
    free(n);
}

static const struct wpf_net_ops ops = {
    .socket = kernel_socket,
    .bind = kernel_bind,
    .listen = kernel_listen,
    .accept = kernel_accept,
    .connect = kernel_connect,
    .send = kernel_send,
    .send_fixed = kernel_send_fixed,
    .recv = kernel_recv,
    .discard = kernel_recv,
    .shutdown = kernel_shutdown,
    .close = kernel_close,
    .getname = kernel_getname,
    .getsockopt = kernel_getsockopt,
    .setsockopt = kernel_setsockopt,
    .watch = kernel_watch,
    .unsent = kernel_unsent,
    .turn = kernel_turn,
    .free = kernel_free,
};

struct wpf_net *wpf_net_kernel_new(const char *who)
{
    struct kernel *k = calloc(1, sizeof *k);
    if (!k) {
        fprintf(stderr, "%s: out of memory\n", who);
        return NULL;
    }
    k->net.ops = &ops;
    k->fixed_fd = -1;
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (k->epoll_fd < 0 || (wpf_stop_fd() >= 0 && epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, wpf_stop_fd(), &ev) < 0)) {
        fprintf(stderr, "%s: epoll: %s\n", who, strerror(errno));
        if (k->epoll_fd >= 0)
            close(k->epoll_fd);
        free(k);
        return NULL;
    }
    return &k->net;
}
