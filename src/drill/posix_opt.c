/*
 * Options and flags of descriptors: what belongs to blocking (O_NONBLOCK, SO_RCVTIMEO, SO_SNDTIMEO) is kept here, since
 * the stack never blocks; the rest is the stack's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "drill/posix_fd.h"

static weir_ns *timeo_of(struct wdr_fd *f, const struct wdr_op *op)
{
    if (op->a != SOL_SOCKET)
        return NULL;
    return op->b == SO_RCVTIMEO ? &f->rcvtimeo : op->b == SO_SNDTIMEO ? &f->sndtimeo : NULL;
}

static int put_value(struct wdr_op *op, const void *value, socklen_t len)
{
    if (*op->addr_len_p > len)
        *op->addr_len_p = len;
    memcpy(op->value, value, *op->addr_len_p);
    return 0;
}

int wdr_do_getsockopt(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    const weir_ns *timeo = timeo_of(f, op);
    if (!op->value || !op->addr_len_p)
        return -EFAULT;
    if ((int)*op->addr_len_p < 0)
        return -EINVAL;
    if (timeo) {
        struct timeval t = {.tv_sec = (time_t)(*timeo / WEIR_SEC(1)),
                            .tv_usec = (suseconds_t)(*timeo % WEIR_SEC(1) / WEIR_US(1))};
        return put_value(op, &t, sizeof t);
    }
    uint32_t len = *op->addr_len_p;
    if (op->a == WEIR_SOL_TCP && op->b == WEIR_TCP_INFO && len > WEIR_TCP_INFO_LINUX_LEN)
        len = WEIR_TCP_INFO_LINUX_LEN; /* a script, and its reader, has Linux's length */
    int ret = weir_getsockopt(px->cfg.w, f->handle, op->a, op->b, op->value, &len);
    if (ret >= 0)
        *op->addr_len_p = len;
    return ret;
}

int wdr_do_setsockopt(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    weir_ns *timeo = timeo_of(f, op);
    if (!op->value && op->addr_len)
        return -EFAULT;
    if (!timeo)
        return weir_setsockopt(px->cfg.w, f->handle, op->a, op->b, op->value, op->addr_len);
    struct timeval t;
    if (op->addr_len < sizeof t)
        return -EINVAL;
    memcpy(&t, op->value, sizeof t);
    if (t.tv_usec < 0 || t.tv_usec >= 1000000)
        return -EDOM;
    *timeo = t.tv_sec < 0 ? 0 : WEIR_SEC(t.tv_sec) + WEIR_US(t.tv_usec);
    return 0;
}

int wdr_do_fcntl(struct wdr_op *op, struct wdr_fd *f)
{
    switch (op->a) {
    case F_GETFL: return O_RDWR | (f->is_nonblocking ? O_NONBLOCK : 0);
    case F_SETFL: f->is_nonblocking = (op->b & O_NONBLOCK) != 0; return 0;
    case F_GETFD:
    case F_SETFD: return 0;
    default: return -EINVAL;
    }
}

int wdr_do_ioctl(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    int value = 0, ret;
    switch (op->request) {
    case FIONBIO:
        memcpy(&value, op->value, sizeof value);
        f->is_nonblocking = value != 0;
        return 0;
    case SIOCINQ:
    case SIOCOUTQ:
    case SIOCATMARK:
    case SIOCOUTQNSD:
        ret = weir_ioctl(px->cfg.w, f->handle, (enum weir_ioctl)op->request, &value);
        if (ret >= 0)
            memcpy(op->value, &value, sizeof value);
        return ret;
    default: return -ENOTTY;
    }
}
