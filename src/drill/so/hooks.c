/*
 * The calls of packetdrill's interface: each is an operation (posix.h) on the one stack.
 */
#include <stdarg.h>
#include <stddef.h>

#include "drill/interface.h"
#include "drill/so/stack.h"

/* Arguments that the interface has as const are only read. */
static void *plain(const void *p)
{
    return (void *)(uintptr_t)p;
}

static int on_socket(void *u, int domain, int type, int protocol)
{
    struct wdr_op op = {.kind = WDR_OP_SOCKET, .a = domain, .b = type, .c = protocol};
    wdr_so_sync_tunables(u);
    return (int)wdr_so_call(u, &op);
}

static int on_bind(void *u, int fd, const struct sockaddr *addr, socklen_t len)
{
    struct wdr_op op = {.kind = WDR_OP_BIND, .fd = fd, .addr = plain(addr), .addr_len = len};
    return (int)wdr_so_call(u, &op);
}

static int on_listen(void *u, int fd, int backlog)
{
    struct wdr_op op = {.kind = WDR_OP_LISTEN, .fd = fd, .a = backlog};
    wdr_so_sync_tunables(u);
    return (int)wdr_so_call(u, &op);
}

static int on_accept(void *u, int fd, struct sockaddr *addr, socklen_t *len)
{
    struct wdr_op op = {.kind = WDR_OP_ACCEPT, .fd = fd, .addr = addr, .addr_len_p = len};
    return (int)wdr_so_call(u, &op);
}

static int on_connect(void *u, int fd, const struct sockaddr *addr, socklen_t len)
{
    struct wdr_op op = {.kind = WDR_OP_CONNECT, .fd = fd, .addr = plain(addr), .addr_len = len};
    wdr_so_sync_tunables(u);
    return (int)wdr_so_call(u, &op);
}

static ssize_t on_read(void *u, int fd, void *buf, size_t len)
{
    struct wdr_op op = {.kind = WDR_OP_READ, .fd = fd, .buf = buf, .len = len};
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_readv(void *u, int fd, const struct iovec *iov, int n)
{
    struct wdr_op op = {.kind = WDR_OP_READV, .fd = fd, .iov = plain(iov), .iov_n = n};
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_recv(void *u, int fd, void *buf, size_t len, int flags)
{
    struct wdr_op op = {.kind = WDR_OP_RECV, .fd = fd, .buf = buf, .len = len, .flags = flags};
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_recvfrom(void *u, int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                           socklen_t *addr_len)
{
    struct wdr_op op = {.kind = WDR_OP_RECVFROM, .fd = fd, .buf = buf, .len = len, .flags = flags};
    op.addr = addr;
    op.addr_len_p = addr_len;
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_recvmsg(void *u, int fd, struct msghdr *msg, int flags)
{
    struct wdr_op op = {.kind = WDR_OP_RECVMSG, .fd = fd, .msg = msg, .flags = flags};
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_write(void *u, int fd, const void *buf, size_t len)
{
    struct wdr_op op = {.kind = WDR_OP_WRITE, .fd = fd, .buf = plain(buf), .len = len};
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_writev(void *u, int fd, const struct iovec *iov, int n)
{
    struct wdr_op op = {.kind = WDR_OP_WRITEV, .fd = fd, .iov = plain(iov), .iov_n = n};
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_send(void *u, int fd, const void *buf, size_t len, int flags)
{
    struct wdr_op op = {.kind = WDR_OP_SEND, .fd = fd, .buf = plain(buf), .len = len, .flags = flags};
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_sendto(void *u, int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                         socklen_t addr_len)
{
    struct wdr_op op = {.kind = WDR_OP_SENDTO, .fd = fd, .buf = plain(buf), .len = len, .flags = flags};
    op.addr = plain(addr);
    op.addr_len = addr_len;
    return (ssize_t)wdr_so_call(u, &op);
}

static ssize_t on_sendmsg(void *u, int fd, const struct msghdr *msg, int flags)
{
    struct wdr_op op = {.kind = WDR_OP_SENDMSG, .fd = fd, .msg = plain(msg), .flags = flags};
    return (ssize_t)wdr_so_call(u, &op);
}

static int on_fcntl(void *u, int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    struct wdr_op op = {.kind = WDR_OP_FCNTL, .fd = fd, .a = command, .b = va_arg(args, int)};
    va_end(args);
    return (int)wdr_so_call(u, &op);
}

static int on_ioctl(void *u, int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    struct wdr_op op = {.kind = WDR_OP_IOCTL, .fd = fd, .request = request, .value = va_arg(args, void *)};
    va_end(args);
    return (int)wdr_so_call(u, &op);
}

static int on_close(void *u, int fd)
{
    struct wdr_op op = {.kind = WDR_OP_CLOSE, .fd = fd};
    return (int)wdr_so_call(u, &op);
}

static int on_shutdown(void *u, int fd, int how)
{
    struct wdr_op op = {.kind = WDR_OP_SHUTDOWN, .fd = fd, .a = how};
    return (int)wdr_so_call(u, &op);
}

static int on_getsockopt(void *u, int fd, int level, int name, void *value, socklen_t *len)
{
    struct wdr_op op = {.kind = WDR_OP_GETSOCKOPT, .fd = fd, .a = level, .b = name, .value = value, .addr_len_p = len};
    return (int)wdr_so_call(u, &op);
}

static int on_setsockopt(void *u, int fd, int level, int name, const void *value, socklen_t len)
{
    struct wdr_op op = {.kind = WDR_OP_SETSOCKOPT, .fd = fd, .a = level, .b = name, .addr_len = len};
    op.value = plain(value);
    return (int)wdr_so_call(u, &op);
}

static int on_poll(void *u, struct pollfd *fds, nfds_t n, int timeout_ms)
{
    struct wdr_op op = {.kind = WDR_OP_POLL, .pollfds = fds, .len = n, .a = timeout_ms};
    return (int)wdr_so_call(u, &op);
}

static int on_epoll_create(void *u, int size)
{
    struct wdr_op op = {.kind = WDR_OP_EPOLL_CREATE, .a = size};
    return (int)wdr_so_call(u, &op);
}

static int on_epoll_ctl(void *u, int epfd, int action, int fd, struct epoll_event *ev)
{
    struct wdr_op op = {.kind = WDR_OP_EPOLL_CTL, .fd = epfd, .a = action, .fd2 = fd, .event = ev};
    return (int)wdr_so_call(u, &op);
}

static int on_epoll_wait(void *u, int epfd, struct epoll_event *ev, int max, int timeout_ms)
{
    struct wdr_op op = {.kind = WDR_OP_EPOLL_WAIT, .fd = epfd, .event = ev, .a = max, .b = timeout_ms};
    return (int)wdr_so_call(u, &op);
}

static int on_pipe(void *u, int fds[2])
{
    struct wdr_op op = {.kind = WDR_OP_PIPE, .pipe_fds = fds};
    return (int)wdr_so_call(u, &op);
}

static int on_splice(void *u, int in, loff_t *off_in, int out, loff_t *off_out, size_t len, unsigned flags)
{
    struct wdr_op op = {.kind = WDR_OP_SPLICE, .fd = in, .fd2 = out, .len = len, .flags = (int)flags};
    (void)off_in; /* neither end of ours can seek */
    (void)off_out;
    return (int)wdr_so_call(u, &op);
}

/* The one function that the reference program looks for. */
void packetdrill_interface_init(const char *flags, struct packetdrill_interface *);

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *i)
{
    wdr_so_fill(i, wdr_so_new(flags));
    i->socket = on_socket;
    i->bind = on_bind;
    i->listen = on_listen;
    i->accept = on_accept;
    i->connect = on_connect;
    i->read = on_read;
    i->readv = on_readv;
    i->recv = on_recv;
    i->recvfrom = on_recvfrom;
    i->recvmsg = on_recvmsg;
    i->write = on_write;
    i->writev = on_writev;
    i->send = on_send;
    i->sendto = on_sendto;
    i->sendmsg = on_sendmsg;
    i->fcntl = on_fcntl;
    i->ioctl = on_ioctl;
    i->close = on_close;
    i->shutdown = on_shutdown;
    i->getsockopt = on_getsockopt;
    i->setsockopt = on_setsockopt;
    i->poll = on_poll;
    i->epoll_create = on_epoll_create;
    i->epoll_ctl = on_epoll_ctl;
    i->epoll_wait = on_epoll_wait;
    i->pipe = on_pipe;
    i->splice = on_splice;
}
