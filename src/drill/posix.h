/*
 * POSIX's calls, with Linux's C types, on the sockets of one weir. Shared by the in-process runner and by
 * libweir-packetdrill.so.
 *
 * Nothing blocks here: a call is an operation that is tried, and where POSIX would block, tried again whenever time has
 * passed or a packet has come. Whoever owns the clock does that.
 */
#ifndef WDR_POSIX_H
#define WDR_POSIX_H

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <weir/weir.h>

#define WDR_FDS_MAX 65536

enum wdr_op_kind {
    WDR_OP_SOCKET, /* a: family, b: type and its flags, c: protocol */
    WDR_OP_BIND,   /* addr, addr_len */
    WDR_OP_LISTEN, /* a: backlog */
    WDR_OP_ACCEPT, /* addr, addr_len_p */
    WDR_OP_CONNECT,
    WDR_OP_READ,     /* buf, len */
    WDR_OP_READV,    /* iov, iov_n */
    WDR_OP_RECV,     /* buf, len, flags */
    WDR_OP_RECVFROM, /* and addr, addr_len_p */
    WDR_OP_RECVMSG,  /* msg, flags */
    WDR_OP_WRITE,
    WDR_OP_WRITEV,
    WDR_OP_SEND,
    WDR_OP_SENDTO, /* addr, addr_len */
    WDR_OP_SENDMSG,
    WDR_OP_FCNTL, /* a: command, b: its argument */
    WDR_OP_IOCTL, /* request, value */
    WDR_OP_CLOSE,
    WDR_OP_SHUTDOWN,   /* a: how */
    WDR_OP_GETSOCKOPT, /* a: level, b: name, value, addr_len_p: its length */
    WDR_OP_SETSOCKOPT, /* addr_len: its length */
    WDR_OP_POLL,       /* pollfds, len: how many, a: timeout in ms */
    WDR_OP_SELECT,     /* a: nfds, sets, timeout */
    WDR_OP_EPOLL_CREATE,
    WDR_OP_EPOLL_CTL,  /* a: operation, fd2, event */
    WDR_OP_EPOLL_WAIT, /* event, a: how many at most, b: timeout in ms */
    WDR_OP_PIPE,       /* pipe_fds */
    WDR_OP_SPLICE,     /* fd, fd2, len, flags */
    WDR_OP_SENDFILE,   /* fd: out, fd2: in, offset, len */
    WDR_OP_OPEN,       /* path, a: flags */
};

/* A call: its arguments, how far it has come, and its result. The caller's memory lives until it is done. */
struct wdr_op {
    enum wdr_op_kind kind;
    int fd, fd2, a, b, c, flags;
    void *buf;
    size_t len;
    struct sockaddr *addr;
    socklen_t addr_len;
    socklen_t *addr_len_p;
    struct iovec *iov;
    int iov_n;
    struct msghdr *msg;
    unsigned long request;
    void *value;
    struct pollfd *pollfds;
    fd_set *sets[3]; /* readable, writable, exceptional; NULL: not asked */
    struct timeval *timeout;
    struct epoll_event *event;
    int *pipe_fds;
    off_t *offset;
    const char *path;

    int64_t ret; /* >= 0, or a negative errno; set when it is done */

    /* its progress, zero at first */
    size_t done;          /* bytes moved by earlier tries */
    bool is_opening;      /* a send with MSG_FASTOPEN that waits for its handshake */
    bool has_begun;       /* connect, a lingering close, whatever has a deadline: the first try is over */
    bool has_saved;       /* select: saved holds what was asked */
    weir_ns deadline;     /* when it must be tried again at the latest; WEIR_NEVER: none */
    struct pollfd *saved; /* select's question */
    unsigned saved_n;
};

struct wdr_posix;

struct wdr_posix_config {
    struct weir *w;
    int (*fd_new)(void *ctx); /* a number that nobody else has, or a negative errno; NULL: the lowest from 3 on */
    void (*fd_drop)(void *ctx, int fd);
    void *ctx;
    void (*before_bind)(void *ctx, const struct weir_sockaddr *); /* may be NULL: an address is about to be bound */
};

struct wdr_posix *wdr_posix_new(const struct wdr_posix_config *); /* NULL: out of memory */
void wdr_posix_free(struct wdr_posix *);                          /* its sockets stay the stack's */

/* Try a call. true: it is done, op->ret is its result. false: it would block; op->deadline says until when. */
bool wdr_posix_try(struct wdr_posix *, struct wdr_op *);

/* The socket behind a number, or -EBADF. */
weir_fd wdr_posix_handle(const struct wdr_posix *, int fd);

/* Whether a number is one of these descriptors, of whatever kind. */
bool wdr_posix_has(const struct wdr_posix *, int fd);

/* Forget what an operation that won't be tried again holds. */
void wdr_op_drop(struct wdr_op *);

/* From and to C's sockaddr. Reading: 0, -EINVAL, -EAFNOSUPPORT. Writing cuts to *len, which then says the whole
 * length. */
int wdr_sockaddr_read(struct weir_sockaddr *out, const struct sockaddr *, socklen_t len);
void wdr_sockaddr_write(struct sockaddr *out, socklen_t *len, const struct weir_sockaddr *);

#endif
