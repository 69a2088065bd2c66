/*
 * More of what a program may call in libc on a descriptor that is ours (preload.c has what the reference program does
 * call). A call on several descriptors is ours when all of them are.
 */
#undef _FILE_OFFSET_BITS /* with it fcntl would be another name of fcntl64, and both are needed here */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "drill/so/real.h"
#include "drill/so/stack.h"

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): glibc has names of its own */

static void *plain(const void *p)
{
    return (void *)(uintptr_t)p;
}

/* ---- Bytes ---- */

ssize_t read(int fd, void *buf, size_t len)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_READ, .fd = fd, .buf = buf, .len = len};
    ssize_t (*real)(int, void *, size_t);
    if (s)
        return (ssize_t)wdr_so_call(s, &op);
    WDR_REAL(real, "read");
    return real(fd, buf, len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_WRITE, .fd = fd, .buf = plain(buf), .len = len};
    ssize_t (*real)(int, const void *, size_t);
    if (s)
        return (ssize_t)wdr_so_call(s, &op);
    WDR_REAL(real, "write");
    return real(fd, buf, len);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_RECVMSG, .fd = fd, .msg = msg, .flags = flags};
    ssize_t (*real)(int, struct msghdr *, int);
    if (s)
        return (ssize_t)wdr_so_call(s, &op);
    WDR_REAL(real, "recvmsg");
    return real(fd, msg, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_SENDMSG, .fd = fd, .msg = plain(msg), .flags = flags};
    ssize_t (*real)(int, const struct msghdr *, int);
    if (s)
        return (ssize_t)wdr_so_call(s, &op);
    WDR_REAL(real, "sendmsg");
    return real(fd, msg, flags);
}

/* One message after the other; the first that fails ends it, and is told when it is the first of all. */
static int many(struct wdr_so *s, struct wdr_op *op, struct mmsghdr *v, unsigned n, bool waits_for_one)
{
    unsigned done = 0;
    for (; done < n; done++) {
        struct wdr_op one = *op;
        one.msg = &v[done].msg_hdr;
        int64_t ret = wdr_so_call(s, &one);
        if (ret < 0)
            break;
        v[done].msg_len = (unsigned)ret;
        if (waits_for_one)
            op->flags |= MSG_DONTWAIT;
    }
    return done ? (int)done : -1;
}

int recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_RECVMSG, .fd = fd, .flags = flags & ~MSG_WAITFORONE};
    int (*real)(int, struct mmsghdr *, unsigned, int, struct timespec *);
    if (s)
        return many(s, &op, v, n, (flags & MSG_WAITFORONE) != 0);
    WDR_REAL(real, "recvmmsg");
    return real(fd, v, n, flags, timeout);
}

int sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_SENDMSG, .fd = fd, .flags = flags};
    int (*real)(int, struct mmsghdr *, unsigned, int);
    if (s)
        return many(s, &op, v, n, false);
    WDR_REAL(real, "sendmmsg");
    return real(fd, v, n, flags);
}

/* ---- Sockets ---- */

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_ACCEPT, .fd = fd, .addr = addr, .addr_len_p = len};
    int (*real)(int, struct sockaddr *, socklen_t *, int);
    if (!s) {
        WDR_REAL(real, "accept4");
        return real(fd, addr, len, flags);
    }
    int got = (int)wdr_so_call(s, &op);
    if (got >= 0 && flags & SOCK_NONBLOCK) {
        struct wdr_op set = {.kind = WDR_OP_FCNTL, .fd = got, .a = F_SETFL, .b = O_NONBLOCK};
        wdr_so_call(s, &set);
    }
    return got;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_SETSOCKOPT, .fd = fd, .a = level, .b = name, .addr_len = len};
    int (*real)(int, int, int, const void *, socklen_t);
    op.value = plain(value);
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, "setsockopt");
    return real(fd, level, name, value, len);
}

int shutdown(int fd, int how)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_SHUTDOWN, .fd = fd, .a = how};
    int (*real)(int, int);
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, "shutdown");
    return real(fd, how);
}

int ioctl(int fd, unsigned long request, ...)
{
    struct wdr_so *s = wdr_so_owner(fd);
    int (*real)(int, unsigned long, ...);
    va_list args;
    va_start(args, request);
    struct wdr_op op = {.kind = WDR_OP_IOCTL, .fd = fd, .request = request, .value = va_arg(args, void *)};
    va_end(args);
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, "ioctl");
    return real(fd, request, op.value);
}

/* F_GETFD and F_SETFD are the place-holder's; what copies a descriptor copies it alone. */
static int control(int fd, int command, void *arg, const char *name)
{
    struct wdr_so *s = command == F_GETFL || command == F_SETFL ? wdr_so_owner(fd) : NULL;
    struct wdr_op op = {.kind = WDR_OP_FCNTL, .fd = fd, .a = command, .b = (int)(intptr_t)arg};
    int (*real)(int, int, ...);
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, name);
    return real(fd, command, arg);
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    return control(fd, command, arg, "fcntl");
}

int fcntl64(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    return control(fd, command, arg, "fcntl64");
}

/* ---- Readiness ---- */

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    struct wdr_so *s = n ? wdr_so_current() : NULL;
    int (*real)(struct pollfd *, nfds_t, int);
    for (nfds_t i = 0; s && i < n; i++)
        s = fds[i].fd >= 0 ? wdr_so_owner(fds[i].fd) : s;
    struct wdr_op op = {.kind = WDR_OP_POLL, .pollfds = fds, .len = n, .a = timeout_ms};
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, "poll");
    return real(fds, n, timeout_ms);
}

/* Is every descriptor of the sets ours? */
static struct wdr_so *owner_of_sets(int n, fd_set *const sets[3])
{
    struct wdr_so *s = NULL;
    for (int fd = 0; fd < n && fd < FD_SETSIZE; fd++) {
        bool is_asked = false;
        for (int i = 0; i < 3; i++)
            is_asked = is_asked || (sets[i] && FD_ISSET(fd, sets[i]));
        if (is_asked && !(s = wdr_so_owner(fd)))
            return NULL;
    }
    return s;
}

int select(int n, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout)
{
    struct wdr_op op = {.kind = WDR_OP_SELECT, .a = n, .sets = {readable, writable, exceptional}, .timeout = timeout};
    struct wdr_so *s = owner_of_sets(n, op.sets);
    int (*real)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, "select");
    return real(n, readable, writable, exceptional, timeout);
}

int epoll_ctl(int epfd, int action, int fd, struct epoll_event *ev)
{
    struct wdr_so *s = wdr_so_owner(epfd);
    struct wdr_op op = {.kind = WDR_OP_EPOLL_CTL, .fd = epfd, .a = action, .fd2 = fd, .event = ev};
    int (*real)(int, int, int, struct epoll_event *);
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, "epoll_ctl");
    return real(epfd, action, fd, ev);
}

int epoll_wait(int epfd, struct epoll_event *ev, int max, int timeout_ms)
{
    struct wdr_so *s = wdr_so_owner(epfd);
    struct wdr_op op = {.kind = WDR_OP_EPOLL_WAIT, .fd = epfd, .event = ev, .a = max, .b = timeout_ms};
    int (*real)(int, struct epoll_event *, int, int);
    if (s)
        return (int)wdr_so_call(s, &op);
    WDR_REAL(real, "epoll_wait");
    return real(epfd, ev, max, timeout_ms);
}

/* No signal is delivered while the stack waits: its time is virtual. */
int epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout_ms, const sigset_t *mask)
{
    int (*real)(int, struct epoll_event *, int, int, const sigset_t *);
    if (wdr_so_owner(epfd))
        return epoll_wait(epfd, ev, max, timeout_ms);
    WDR_REAL(real, "epoll_pwait");
    return real(epfd, ev, max, timeout_ms, mask);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
