/*
 * Sending and receiving: all forms become weir_sendmsg and weir_recvmsg; ancillary data is put into Linux's form.
 */
#include <time.h> /* first: linux/errqueue.h needs it */

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "drill/posix_fd.h"

#define IOV_MAX_HERE    1024    /* UIO_MAXIOV */
#define TCP_CM_INQ_TYPE TCP_INQ /* linux/tcp.h: the control message has the option's number */

/* What is left of the call's memory after the bytes that earlier tries moved. Returns how many pieces. */
static size_t rest_of(const struct wdr_op *op, struct weir_iovec *out)
{
    struct iovec one = {op->buf, op->len};
    const struct iovec *iov = &one;
    size_t n = 1, skip = op->done, used = 0;
    if (op->kind == WDR_OP_READV || op->kind == WDR_OP_WRITEV) {
        iov = op->iov;
        n = (size_t)op->iov_n;
    } else if (op->kind == WDR_OP_RECVMSG || op->kind == WDR_OP_SENDMSG) {
        iov = op->msg->msg_iov;
        n = op->msg->msg_iovlen;
    }
    for (size_t i = 0; i < n && used < IOV_MAX_HERE; i++) {
        size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;
        skip -= cut;
        if (iov[i].iov_len > cut || n == 1)
            out[used++] = (struct weir_iovec){(char *)iov[i].iov_base + cut, iov[i].iov_len - cut};
    }
    return used;
}

static size_t total(const struct weir_iovec *iov, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += iov[i].len;
    return sum;
}

static bool has_fault(const struct weir_iovec *iov, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!iov[i].base && iov[i].len > 0)
            return true;
    }
    return false;
}

/* ---- Sending ---- */

/* The ancillary data that sendmsg may bring. */
static void read_control(struct weir_msg *m, struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        int v = 0;
        if (c->cmsg_len >= CMSG_LEN(sizeof v))
            memcpy(&v, CMSG_DATA(c), sizeof v);
        bool is_v6 = c->cmsg_level == IPPROTO_IPV6;
        if (c->cmsg_level != IPPROTO_IP && !is_v6)
            continue;
        if (c->cmsg_type == (is_v6 ? IPV6_HOPLIMIT : IP_TTL)) {
            m->has |= WEIR_HAS_TTL;
            m->ttl = v;
        } else if (c->cmsg_type == (is_v6 ? IPV6_TCLASS : IP_TOS)) {
            m->has |= WEIR_HAS_TOS;
            m->tos = v;
        }
    }
}

static int send_name(const struct wdr_op *op, struct weir_sockaddr *to, bool *has)
{
    const struct sockaddr *sa = op->kind == WDR_OP_SENDMSG ? op->msg->msg_name : op->addr;
    socklen_t len = op->kind == WDR_OP_SENDMSG ? op->msg->msg_namelen : op->addr_len;
    *has = sa && len > 0 && (op->kind == WDR_OP_SENDMSG || op->kind == WDR_OP_SENDTO);
    return *has ? wdr_sockaddr_read(to, sa, len) : 0;
}

static bool try_pipe_write(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    size_t room = WDR_PIPE_CAP - f->pipe->used, n = op->len < room ? op->len : room;
    if (f->pipe->readers == 0)
        return wdr_op_finish(px, op, -EPIPE, false, 0);
    f->pipe->used += n;
    return wdr_op_finish(px, op, n || !op->len ? (int64_t)n : -EAGAIN, !f->is_nonblocking, 0);
}

/* A writer with data that the SYN did not take waits for the handshake: the ACK of the SYN-ACK is left to them for a
 * while. Linux's sk_write_pending does to the connection what TCP_QUICKACK 0 does. */
static void leave_ack_to_data(struct wdr_posix *px, const struct wdr_op *op, const struct wdr_fd *f)
{
    struct weir_iovec iov[IOV_MAX_HERE];
    int off = 0;
    bool has_rest = op->done == 0 || total(iov, rest_of(op, iov)) > 0;
    if (has_rest && f->type == SOCK_STREAM && wdr_fd_tcp_state(px, f) == TCP_STATE_SYN_SENT)
        weir_setsockopt(px->cfg.w, f->handle, WEIR_SOL_TCP, TCP_QUICKACK, &off, sizeof off);
}

static bool is_opening(const struct wdr_posix *px, const struct wdr_fd *f)
{
    unsigned state = f->type == SOCK_STREAM ? wdr_fd_tcp_state(px, f) : 0;
    return state == TCP_STATE_SYN_SENT || state == TCP_STATE_SYN_RECV;
}

/* One try. -EAGAIN: nothing more for now, and op->done has what was taken. */
static int64_t send_some(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f, bool may_block)
{
    struct weir_iovec iov[IOV_MAX_HERE];
    struct weir_sockaddr to;
    bool has_name, is_fast = (op->flags & MSG_FASTOPEN) != 0;
    struct weir_msg m = {.iov = iov, .iov_n = rest_of(op, iov)};
    if (op->is_opening && is_opening(px, f))
        return -EAGAIN;
    if (has_fault(iov, m.iov_n) && (!is_fast || op->is_opening)) /* a SYN goes all the same, as on Linux */
        return -EFAULT;
    int64_t ret = send_name(op, &to, &has_name);
    if (op->kind == WDR_OP_SENDMSG)
        read_control(&m, op->msg);
    m.name = has_name ? &to : NULL;
    if (ret == 0)
        ret = weir_sendmsg(px->cfg.w, f->handle, &m, op->is_opening ? op->flags & ~MSG_FASTOPEN : op->flags);
    if (ret < 0 && op->is_opening)
        op->done = 0; /* what the SYN took is lost with the connection */
    op->is_opening = is_fast && may_block && (ret >= 0 || ret == -EINPROGRESS) && is_opening(px, f);
    bool is_part = ret >= 0 && f->type == SOCK_STREAM && may_block && (size_t)ret < total(iov, m.iov_n);
    if (!is_part && !op->is_opening)
        return ret;
    op->done += ret > 0 ? (size_t)ret : 0; /* Fast Open, with data in the SYN or without: wait for the handshake */
    return -EAGAIN;
}

bool wdr_try_send(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    if (f->kind == WDR_FD_PIPE)
        return try_pipe_write(px, op, f);
    if (f->kind != WDR_FD_SOCKET)
        return wdr_op_finish(px, op, -EBADF, false, 0);
    bool may_block = !f->is_nonblocking && !(op->flags & MSG_DONTWAIT);
    int64_t ret = send_some(px, op, f, may_block);
    if (ret == -EAGAIN || (ret < 0 && op->done == 0)) {
        if (!wdr_op_finish(px, op, ret, may_block, f->sndtimeo)) {
            leave_ack_to_data(px, op, f);
            return false;
        }
        if (op->done)
            op->ret = (int64_t)op->done;
        else if (op->is_opening)
            op->ret = -EINPROGRESS;
        return true;
    }
    return wdr_op_finish(px, op, (ret > 0 ? ret : 0) + (int64_t)op->done, false, 0);
}

/* ---- Receiving ---- */

struct control {
    struct msghdr *h;
    size_t used;
};

static void put_control(struct control *c, int level, int type, const void *data, size_t len)
{
    if (c->used + CMSG_SPACE(len) > c->h->msg_controllen) {
        c->h->msg_flags |= MSG_CTRUNC;
        return;
    }
    struct cmsghdr *m = (struct cmsghdr *)(void *)((char *)c->h->msg_control + c->used);
    m->cmsg_level = level;
    m->cmsg_type = type;
    m->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(m), data, len);
    c->used += CMSG_SPACE(len);
}

static void put_pktinfo(struct control *c, const struct weir_msg *m, bool is_v6)
{
    if (is_v6) {
        struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)m->ifindex};
        memcpy(&info.ipi6_addr, m->dst.addr.b, 16);
        put_control(c, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    } else {
        struct in_pktinfo info = {.ipi_ifindex = m->ifindex};
        memcpy(&info.ipi_addr, m->dst.addr.b + 12, 4);
        memcpy(&info.ipi_spec_dst, m->dst.addr.b + 12, 4);
        put_control(c, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
}

static void put_error(struct control *c, const struct weir_msg *m, bool is_v6)
{
    struct {
        struct sock_extended_err e;
        struct sockaddr_in6 offender;
    } err = {.e = {.ee_errno = (uint32_t)m->err,
                   .ee_origin = m->err_origin,
                   .ee_type = m->err_type,
                   .ee_code = m->err_code,
                   .ee_info = m->err_info,
                   .ee_data = m->err_data}};
    socklen_t len = sizeof err.offender;
    struct weir_sockaddr from = m->offender;
    bool is_named = m->offender.family != 0; /* an ICMP message has a sender, a notice has none */
    from.family = is_v6 ? AF_INET6 : AF_INET;
    wdr_sockaddr_write((struct sockaddr *)&err.offender, &len, &from);
    if (!is_named)
        memset(&err.offender, 0, sizeof err.offender);
    put_control(c, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_RECVERR : IP_RECVERR, &err, sizeof err.e + len);
}

/* Three times, of which the first is taken by software (linux/errqueue.h). */
static void put_stamp(struct control *c, weir_ns at)
{
    struct scm_timestamping t = {0};
    t.ts[0].tv_sec = (time_t)(at / WEIR_SEC(1));
    t.ts[0].tv_nsec = (long)(at % WEIR_SEC(1));
    put_control(c, SOL_SOCKET, SO_TIMESTAMPING, &t, sizeof t);
}

static void write_control(struct msghdr *h, const struct weir_msg *m, int family)
{
    struct control c = {.h = h};
    bool is_v6 = family == AF_INET6;
    if (m->has & WEIR_HAS_STAMP)
        put_stamp(&c, m->stamp);
    if (m->has & WEIR_HAS_INQ) {
        int inq = (int)m->inq;
        put_control(&c, IPPROTO_TCP, TCP_CM_INQ_TYPE, &inq, sizeof inq);
    }
    if (m->has & WEIR_HAS_PKTINFO)
        put_pktinfo(&c, m, is_v6);
    if (m->has & WEIR_HAS_TTL)
        put_control(&c, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_HOPLIMIT : IP_TTL, &m->ttl, sizeof m->ttl);
    if (m->has & WEIR_HAS_TOS) {
        uint8_t tos = (uint8_t)m->tos; /* Linux: one byte for IPv4, an int for IPv6 */
        put_control(&c, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_TCLASS : IP_TOS,
                    is_v6 ? (const void *)&m->tos : &tos, is_v6 ? sizeof m->tos : sizeof tos);
    }
    if (m->has & WEIR_HAS_ERR)
        put_error(&c, m, is_v6);
    h->msg_controllen = c.used;
}

static bool is_asked(const struct wdr_posix *px, const struct wdr_fd *f, int v4, int v6)
{
    int on = 0;
    uint32_t len = sizeof on;
    bool is_v6 = f->family == AF_INET6;
    return weir_getsockopt(px->cfg.w, f->handle, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? v6 : v4, &on, &len) == 0 &&
           on;
}

/* The stack tells more of a datagram than its reader may have asked for. */
static uint32_t asked(const struct wdr_posix *px, const struct wdr_fd *f)
{
    uint32_t has = ~(uint32_t)(WEIR_HAS_PKTINFO | WEIR_HAS_TTL | WEIR_HAS_TOS);
    has |= is_asked(px, f, IP_PKTINFO, IPV6_RECVPKTINFO) ? WEIR_HAS_PKTINFO : 0;
    has |= is_asked(px, f, IP_RECVTTL, IPV6_RECVHOPLIMIT) ? WEIR_HAS_TTL : 0;
    has |= is_asked(px, f, IP_RECVTOS, IPV6_RECVTCLASS) ? WEIR_HAS_TOS : 0;
    return has;
}

/* What recvfrom and recvmsg tell beside the bytes. */
static void tell(struct wdr_op *op, const struct weir_msg *m, const struct weir_sockaddr *from, int family)
{
    if (op->kind == WDR_OP_RECVFROM)
        wdr_sockaddr_write(op->addr, op->addr_len_p, from);
    if (op->kind != WDR_OP_RECVMSG)
        return;
    op->msg->msg_flags = m->flags;
    if (op->msg->msg_name && from->family)
        wdr_sockaddr_write(op->msg->msg_name, &op->msg->msg_namelen, from);
    else
        op->msg->msg_namelen = 0;
    write_control(op->msg, m, family);
}

static bool try_pipe_read(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    size_t n = op->len < f->pipe->used ? op->len : f->pipe->used;
    memset(op->buf, 0, n);
    f->pipe->used -= n;
    bool is_end = n || !op->len || f->pipe->writers == 0;
    return wdr_op_finish(px, op, is_end ? (int64_t)n : -EAGAIN, !f->is_nonblocking, 0);
}

/* How many of `len` bytes a blocking reader of a stream waits for. */
static size_t least(const struct wdr_posix *px, const struct wdr_op *op, const struct wdr_fd *f, size_t len)
{
    int lowat = 1;
    uint32_t n = sizeof lowat;
    if (op->flags & MSG_WAITALL)
        return len;
    weir_getsockopt(px->cfg.w, f->handle, SOL_SOCKET, SO_RCVLOWAT, &lowat, &n);
    return lowat > 0 && (size_t)lowat < len ? (size_t)lowat : len;
}

bool wdr_try_recv(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct weir_iovec iov[IOV_MAX_HERE];
    struct weir_sockaddr from = {0};
    if (f->kind == WDR_FD_PIPE)
        return try_pipe_read(px, op, f);
    if (f->kind != WDR_FD_SOCKET)
        return wdr_op_finish(px, op, -EBADF, false, 0);
    bool may_block = !f->is_nonblocking && !(op->flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) &&
                     !(f->type == SOCK_STREAM && op->flags & MSG_OOB); /* never waited for: Linux's tcp_recv_urg */
    struct weir_msg m = {.name = &from, .iov = iov, .iov_n = rest_of(op, iov)};
    if (has_fault(iov, m.iov_n))
        return wdr_op_finish(px, op, -EFAULT, false, 0);
    bool is_plain = op->kind == WDR_OP_READ || op->kind == WDR_OP_READV;
    if (is_plain && total(iov, m.iov_n) == 0) /* System V's rule, kept by Linux's sock_read_iter */
        return wdr_op_finish(px, op, 0, false, 0);
    bool is_over = op->has_begun && weir_now(px->cfg.w) >= op->deadline;

    /* As Linux: a reader takes what is there, and is woken when there is enough for SO_RCVLOWAT, whatever it has. */
    bool is_stream = f->type == SOCK_STREAM && !(op->flags & MSG_OOB) && total(iov, m.iov_n) > 0;
    if (may_block && is_stream && op->has_begun && !is_over && !wdr_fd_ready(px, op->fd, POLLIN))
        return false;
    int64_t ret = weir_recvmsg(px->cfg.w, f->handle, &m, op->flags & ~MSG_DONTWAIT);
    if (ret > 0 && may_block && is_stream && !(op->flags & MSG_PEEK) &&
        op->done + (size_t)ret < least(px, op, f, op->done + total(iov, m.iov_n))) {
        op->done += (size_t)ret;
        ret = -EAGAIN;
    }
    if (ret == -EAGAIN) {
        if (!wdr_op_finish(px, op, ret, may_block, f->rcvtimeo))
            return false;
        op->ret = op->done ? (int64_t)op->done : ret;
    } else {
        op->ret = ret >= 0 || op->done ? (ret > 0 ? ret : 0) + (int64_t)op->done : ret;
    }
    m.has &= asked(px, f);
    if (op->ret >= 0)
        tell(op, &m, &from, f->family);
    return true;
}
