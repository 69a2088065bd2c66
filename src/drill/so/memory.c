/*
 * Is memory there (memory.h)? The kernel is asked to copy a byte of each page to us, which it refuses without a signal.
 */
#include "drill/so/memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGES_AT_ONCE 64

/* How many of the bytes at `p` can be read, from the first on. Where the kernel can't be asked, all. */
static size_t readable(const void *p, size_t len)
{
    uintptr_t at = (uintptr_t)p, end = at + len, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (end < at)
        return 0;
    while (at < end) {
        char bytes[PAGES_AT_ONCE];
        struct iovec from[PAGES_AT_ONCE], to = {bytes, sizeof bytes};
        size_t n = 0;
        for (uintptr_t q = at; q < end && n < PAGES_AT_ONCE; q = (q / page + 1) * page)
            from[n++] = (struct iovec){(void *)q, 1};
        ssize_t got = process_vm_readv(getpid(), &to, 1, from, n, 0);
        if (got < 0 && errno != EFAULT)
            return len;
        size_t good = got < 0 ? 0 : (size_t)got;
        if (good < n)
            return (size_t)((good ? (uintptr_t)from[good].iov_base : at) - (uintptr_t)p);
        at = ((uintptr_t)from[n - 1].iov_base / page + 1) * page;
    }
    return len;
}

static bool is_there(const void *p, size_t len)
{
    return readable(p, len) == len;
}

static int check_buffer(struct wdr_op *op)
{
    size_t n = op->len ? readable(op->buf, op->len) : 0;
    if (op->len && n == 0)
        return -EFAULT;
    op->len = n;
    return 0;
}

/* Pieces of memory, copied into `out` as far as they are there. */
static int check_pieces(const struct iovec *iov, size_t n, struct iovec *out, size_t *out_n)
{
    *out_n = 0;
    if (n > 64)
        n = 64;
    if (!is_there(iov, n * sizeof *iov))
        return -EFAULT;
    for (size_t i = 0; i < n; i++) {
        size_t good = iov[i].iov_len ? readable(iov[i].iov_base, iov[i].iov_len) : 0;
        if (good == 0 && iov[i].iov_len > 0)
            return *out_n > 0 ? 0 : -EFAULT;
        out[(*out_n)++] = (struct iovec){iov[i].iov_base, good};
        if (good < iov[i].iov_len)
            return 0;
    }
    return 0;
}

static bool is_same(const struct msghdr *msg, const struct wdr_so_message *room)
{
    bool same = msg->msg_iovlen == room->msg.msg_iovlen;
    for (size_t i = 0; same && i < msg->msg_iovlen; i++)
        same = msg->msg_iov[i].iov_len == room->iov[i].iov_len;
    return same;
}

static int check_message(struct wdr_op *op, struct wdr_so_message *room)
{
    size_t n;
    if (!is_there(op->msg, sizeof *op->msg))
        return -EFAULT;
    room->msg = *op->msg;
    if (room->msg.msg_name && !is_there(room->msg.msg_name, room->msg.msg_namelen))
        return -EFAULT;
    if (room->msg.msg_control && !is_there(room->msg.msg_control, room->msg.msg_controllen))
        return -EFAULT;
    int err = check_pieces(op->msg->msg_iov, op->msg->msg_iovlen, room->iov, &n);
    room->msg.msg_iov = room->iov;
    room->msg.msg_iovlen = n;
    if (op->kind == WDR_OP_SENDMSG)
        op->msg = &room->msg;
    else if (!err && !is_same(op->msg, room)) /* what is received fills the caller's own message */
        err = -EFAULT;
    return err;
}

static int check_vector(struct wdr_op *op, struct wdr_so_message *room)
{
    size_t n;
    if (op->iov_n < 0 || op->iov_n > 1024)
        return -EINVAL;
    int err = check_pieces(op->iov, (size_t)op->iov_n, room->iov, &n);
    op->iov = room->iov;
    op->iov_n = (int)n;
    return err;
}

/* A length that the call reads and writes, and what it is the length of. */
static int check_value(void *value, socklen_t *len)
{
    if (!is_there(len, sizeof *len) || ((int)*len > 0 && !is_there(value, *len)))
        return -EFAULT;
    return 0;
}

int wdr_so_check_memory(struct wdr_op *op, struct wdr_so_message *room)
{
    switch ((int)op->kind) { /* the others name no memory, or can do without */
    case WDR_OP_READ:
    case WDR_OP_RECV:
    case WDR_OP_RECVFROM:
    case WDR_OP_WRITE:
    case WDR_OP_SEND:
    case WDR_OP_SENDTO: return check_buffer(op);
    case WDR_OP_READV:
    case WDR_OP_WRITEV: return check_vector(op, room);
    case WDR_OP_RECVMSG:
    case WDR_OP_SENDMSG: return check_message(op, room);
    case WDR_OP_BIND:
    case WDR_OP_CONNECT: return op->addr_len == 0 || is_there(op->addr, op->addr_len) ? 0 : -EFAULT;
    case WDR_OP_ACCEPT: return op->addr ? check_value(op->addr, op->addr_len_p) : 0;
    case WDR_OP_GETSOCKOPT: return check_value(op->value, op->addr_len_p);
    case WDR_OP_SETSOCKOPT: return op->addr_len == 0 || is_there(op->value, op->addr_len) ? 0 : -EFAULT;
    case WDR_OP_POLL: return op->len == 0 || is_there(op->pollfds, op->len * sizeof *op->pollfds) ? 0 : -EFAULT;
    case WDR_OP_EPOLL_WAIT: return op->a <= 0 || is_there(op->event, (size_t)op->a * sizeof *op->event) ? 0 : -EFAULT;
    default: return 0;
    }
}
