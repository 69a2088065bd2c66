/*
 * Is memory there (memory.h)? The kernel is asked to copy a byte of each page to us, which it refuses without a signal.
 */
#include "drill/so/memory.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGES_AT_ONCE 64
#define PIECES_MAX    1024 /* UIO_MAXIOV */

/* Can all the bytes at `p` be read? Where the kernel can't be asked, yes. */
static bool is_there(const void *p, size_t len)
{
    uintptr_t at = (uintptr_t)p, end = at + len, page = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (end < at)
        return false;
    while (at < end) {
        char bytes[PAGES_AT_ONCE];
        struct iovec from[PAGES_AT_ONCE], to = {bytes, sizeof bytes};
        size_t n = 0;
        for (uintptr_t q = at; q < end && n < PAGES_AT_ONCE; q = (q / page + 1) * page)
            from[n++] = (struct iovec){(void *)q, 1};
        ssize_t got = process_vm_readv(getpid(), &to, 1, from, n, 0);
        if (got < 0 && errno != EFAULT)
            return true;
        if (got < (ssize_t)n)
            return false;
        at = ((uintptr_t)from[n - 1].iov_base / page + 1) * page;
    }
    return true;
}

static bool are_there(const struct iovec *iov, size_t n)
{
    if (n > PIECES_MAX || !is_there(iov, n * sizeof *iov))
        return n > PIECES_MAX; /* that is another error */
    for (size_t i = 0; i < n; i++) {
        if (!is_there(iov[i].iov_base, iov[i].iov_len))
            return false;
    }
    return true;
}

static bool is_message_there(const struct msghdr *m)
{
    if (!is_there(m, sizeof *m))
        return false;
    return (!m->msg_name || is_there(m->msg_name, m->msg_namelen)) &&
           (!m->msg_control || is_there(m->msg_control, m->msg_controllen)) && are_there(m->msg_iov, m->msg_iovlen);
}

/* A length that the call reads and writes, and what it is the length of. */
static bool is_value_there(const void *value, const socklen_t *len)
{
    return is_there(len, sizeof *len) && ((int)*len <= 0 || is_there(value, *len));
}

static bool is_all_there(const struct wdr_op *op)
{
    switch ((int)op->kind) { /* the others name no memory, or can do without */
    case WDR_OP_READ:
    case WDR_OP_RECV:
    case WDR_OP_RECVFROM:
    case WDR_OP_WRITE:
    case WDR_OP_SEND:
    case WDR_OP_SENDTO: return is_there(op->buf, op->len);
    case WDR_OP_READV:
    case WDR_OP_WRITEV: return op->iov_n < 0 || are_there(op->iov, (size_t)op->iov_n);
    case WDR_OP_RECVMSG:
    case WDR_OP_SENDMSG: return is_message_there(op->msg);
    case WDR_OP_BIND:
    case WDR_OP_CONNECT: return is_there(op->addr, op->addr_len);
    case WDR_OP_ACCEPT: return !op->addr || is_value_there(op->addr, op->addr_len_p);
    case WDR_OP_GETSOCKOPT: return is_value_there(op->value, op->addr_len_p);
    case WDR_OP_SETSOCKOPT: return is_there(op->value, op->addr_len);
    case WDR_OP_POLL: return is_there(op->pollfds, op->len * sizeof *op->pollfds);
    case WDR_OP_EPOLL_WAIT: return op->a <= 0 || is_there(op->event, (size_t)op->a * sizeof *op->event);
    default: return true;
    }
}

int wdr_so_check_memory(struct wdr_op *op)
{
    if (op->kind == WDR_OP_SENDTO && op->flags & MSG_FASTOPEN && !is_there(op->buf, op->len)) {
        op->buf = NULL; /* the SYN goes all the same */
        return 0;
    }
    return is_all_there(op) ? 0 : -EFAULT;
}
