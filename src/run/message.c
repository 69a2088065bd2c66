/*
 * Trapped sends and receives: those with an address, and the message forms. A byte stream's are the mirror's own and go
 * on to the kernel; a datagram's are done here, with the bytes read from and written to the program's memory.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "run/dgram.h"

#define IOV_CAP     64 /* pieces of one message; Linux takes 1,024, nobody sends a datagram in more than a few */
#define CONTROL_CAP 512
#define FASTOPEN    0x20000000 /* MSG_FASTOPEN */
#define WAITFORONE  0x10000    /* MSG_WAITFORONE */
#define PAYLOAD_MAX 65527      /* over IPv6; weir knows what a datagram over IPv4 holds */

static uint8_t data[WIR_DGRAM_CAP];

/* A program's message header, as far as it was read. */
struct message {
    struct msghdr hdr;
    struct iovec iov[IOV_CAP];
    size_t bytes;
};

static int read_message(const struct wir_call *call, uint64_t addr, struct message *m)
{
    pid_t pid = (pid_t)call->req.pid;
    if (wir_mem_read(pid, addr, &m->hdr, sizeof m->hdr) < 0)
        return -EFAULT;
    if (m->hdr.msg_iovlen > IOV_CAP)
        return -EMSGSIZE;
    if (wir_mem_read(pid, (uintptr_t)m->hdr.msg_iov, m->iov, m->hdr.msg_iovlen * sizeof *m->iov) < 0)
        return -EFAULT;
    m->bytes = 0;
    for (size_t i = 0; i < m->hdr.msg_iovlen; i++) {
        if (m->iov[i].iov_len > SSIZE_MAX - m->bytes)
            return -EINVAL;
        m->bytes += m->iov[i].iov_len;
    }
    return 0;
}

/* ---- Streams ---- */

/* True when the call was about a byte stream, and is answered. */
static bool stream_did(struct wir_run *r, struct wir_call *call, int flags, bool is_send)
{
    struct wir_sock *s = call->sock;
    if (s->type != SOCK_STREAM)
        return false;
    if (is_send && flags & FASTOPEN)
        wir_call_fail(r, call, EOPNOTSUPP); /* programs then connect and send */
    else if (is_send && s->phase == WIR_SOCK_FRESH)
        wir_call_fail(r, call, EPIPE);
    else if (!is_send && flags & MSG_ERRQUEUE)
        wir_call_fail(r, call, EAGAIN); /* the mirror would hand out data */
    else if (!is_send && s->phase == WIR_SOCK_FRESH)
        wir_call_fail(r, call, ENOTCONN);
    else
        wir_call_continue(r, call);
    return true;
}

/* ---- Sending datagrams ---- */

static int64_t send_data(struct wir_sock *s, size_t len, struct weir_sockaddr *to, struct weir_msg *m, int flags)
{
    struct weir_iovec iov = {.base = data, .len = len};
    struct weir_sockaddr way;

    m->iov = &iov;
    m->iov_n = 1;
    if (to && to->family) {
        way = wir_sock_route(s->run, s->type, to);
        m->name = &way;
    }
    wir_dgram_drain(s);
    int64_t n = weir_sendmsg(s->run->prog.stack, s->pump.net, m, flags & WEIR_MSG_DONTWAIT);
    if (n >= 0)
        wir_sock_list_bound(s);
    return n;
}

static int64_t sendto_now(struct wir_call *call)
{
    uint64_t len = WIR_ARG(call, 2);
    struct weir_sockaddr to;
    struct weir_msg m = {0};

    if (len > PAYLOAD_MAX)
        return -EMSGSIZE;
    int err = wir_addr_read(call, WIR_ARG(call, 4), WIR_ARG(call, 5), &to);
    if (err == 0)
        err = wir_mem_read((pid_t)call->req.pid, WIR_ARG(call, 1), data, len);
    return err < 0 ? err : send_data(call->sock, len, &to, &m, (int)WIR_ARG(call, 3));
}

static int gather(const struct wir_call *call, const struct message *m)
{
    size_t at = 0;
    for (size_t i = 0; i < m->hdr.msg_iovlen; i++) {
        if (wir_mem_read((pid_t)call->req.pid, (uintptr_t)m->iov[i].iov_base, data + at, m->iov[i].iov_len) < 0)
            return -EFAULT;
        at += m->iov[i].iov_len;
    }
    return 0;
}

static int64_t send_message(struct wir_call *call, uint64_t addr, int flags)
{
    uint8_t control[CONTROL_CAP];
    struct weir_sockaddr to = {0};
    struct weir_msg out = {0};
    struct message m;

    int err = read_message(call, addr, &m);
    if (err == 0 && m.bytes > PAYLOAD_MAX)
        err = -EMSGSIZE;
    if (err == 0 && m.hdr.msg_name && m.hdr.msg_namelen)
        err = wir_addr_read(call, (uintptr_t)m.hdr.msg_name, m.hdr.msg_namelen, &to);
    if (err == 0 && m.hdr.msg_controllen > CONTROL_CAP)
        err = -ENOBUFS;
    if (err == 0 && m.hdr.msg_controllen)
        err = wir_mem_read((pid_t)call->req.pid, (uintptr_t)m.hdr.msg_control, control, m.hdr.msg_controllen);
    if (err == 0)
        err = wir_cmsg_read(control, m.hdr.msg_controllen, &out);
    if (err == 0)
        err = gather(call, &m);
    return err < 0 ? err : send_data(call->sock, m.bytes, &to, &out, flags);
}

static int64_t sendmsg_now(struct wir_call *call)
{
    return send_message(call, WIR_ARG(call, 1), (int)WIR_ARG(call, 2));
}

static int64_t sendmmsg_now(struct wir_call *call)
{
    uint64_t n = WIR_ARG(call, 2) & 0xffffffffu, done = 0;
    for (; done < n; done++) {
        uint64_t addr = WIR_ARG(call, 1) + done * sizeof(struct mmsghdr);
        int64_t sent = send_message(call, addr, (int)WIR_ARG(call, 3));
        if (sent < 0)
            return done ? (int64_t)done : sent;
        unsigned len = (unsigned)sent;
        if (wir_mem_write((pid_t)call->req.pid, addr + offsetof(struct mmsghdr, msg_len), &len, sizeof len) < 0)
            return -EFAULT;
    }
    return (int64_t)done;
}

/* ---- Receiving datagrams ---- */

/* Lay a received datagram out where the message says. The value to return. */
static int64_t store(struct wir_call *call, struct message *m, uint64_t addr, const struct wir_staged *d, size_t len,
                     int flags)
{
    pid_t pid = (pid_t)call->req.pid;
    uint8_t control[CONTROL_CAP];
    size_t at = 0;

    for (size_t i = 0; i < m->hdr.msg_iovlen && at < len; i++) {
        size_t n = len - at < m->iov[i].iov_len ? len - at : m->iov[i].iov_len;
        if (wir_mem_write(pid, (uintptr_t)m->iov[i].iov_base, data + at, n) < 0)
            return -EFAULT;
        at += n;
    }
    m->hdr.msg_flags = (at < len ? MSG_TRUNC : 0) | (flags & MSG_ERRQUEUE);
    if (m->hdr.msg_name) {
        struct sockaddr_storage os;
        socklen_t n = wir_addr_to_os(call->sock->family, &d->src, &os);
        if (wir_mem_write(pid, (uintptr_t)m->hdr.msg_name, &os, n < m->hdr.msg_namelen ? n : m->hdr.msg_namelen) < 0)
            return -EFAULT;
        m->hdr.msg_namelen = n;
    }
    size_t room = m->hdr.msg_controllen < CONTROL_CAP ? m->hdr.msg_controllen : CONTROL_CAP;
    m->hdr.msg_controllen = wir_cmsg_write(call->sock, d, control, room, &m->hdr.msg_flags);
    if (wir_mem_write(pid, (uintptr_t)m->hdr.msg_control, control, m->hdr.msg_controllen) < 0 ||
        wir_mem_write(pid, addr, &m->hdr, sizeof m->hdr) < 0)
        return -EFAULT;
    return (int64_t)(flags & MSG_TRUNC ? len : at);
}

/* What the call at hand has taken, for the case that it is gone before it is answered; its bytes are in `data`. */
static struct wir_staged taken;
static bool has_taken;

static int64_t take(struct wir_call *call, struct wir_staged *d, int flags)
{
    if (!wir_call_is_alive(call->sock->run, call))
        return -EINTR; /* or the datagram would go with it; give_back is for the moment after */
    if (flags & MSG_ERRQUEUE)
        return wir_dgram_fetch(call->sock, data, d, WEIR_MSG_ERRQUEUE);
    int64_t n = wir_dgram_take(call->sock, data, d, flags);
    if (n >= 0 && !(flags & MSG_PEEK)) {
        taken = *d;
        taken.len = (size_t)n;
        has_taken = true;
    }
    return n;
}

static int64_t recv_message(struct wir_call *call, uint64_t addr, int flags)
{
    struct wir_staged d;
    struct message m;

    int err = read_message(call, addr, &m);
    if (err < 0)
        return err;
    int64_t n = take(call, &d, flags);
    return n < 0 ? n : store(call, &m, addr, &d, (size_t)n, flags);
}

static int64_t recvfrom_now(struct wir_call *call)
{
    int flags = (int)WIR_ARG(call, 3);
    pid_t pid = (pid_t)call->req.pid;
    struct wir_staged d;

    int64_t n = take(call, &d, flags);
    if (n < 0)
        return n;
    uint64_t room = WIR_ARG(call, 2), fits = (uint64_t)n < room ? (uint64_t)n : room;
    int err = wir_mem_write(pid, WIR_ARG(call, 1), data, fits);
    if (err == 0 && WIR_ARG(call, 4))
        err = wir_addr_write(call, call->sock->family, &d.src, WIR_ARG(call, 4), WIR_ARG(call, 5));
    return err < 0 ? err : (int64_t)(flags & MSG_TRUNC ? (uint64_t)n : fits);
}

static int64_t recvmsg_now(struct wir_call *call)
{
    return recv_message(call, WIR_ARG(call, 1), (int)WIR_ARG(call, 2));
}

/* What is there is taken at once: that is MSG_WAITFORONE, and as much as a program may count on otherwise. */
static int64_t recvmmsg_now(struct wir_call *call)
{
    uint64_t n = WIR_ARG(call, 2) & 0xffffffffu, done = 0;
    for (; done < n; done++) {
        uint64_t addr = WIR_ARG(call, 1) + done * sizeof(struct mmsghdr);
        int64_t got = recv_message(call, addr, (int)WIR_ARG(call, 3) & ~WAITFORONE);
        if (got < 0)
            return done ? (int64_t)done : got;
        unsigned len = (unsigned)got;
        if (wir_mem_write((pid_t)call->req.pid, addr + offsetof(struct mmsghdr, msg_len), &len, sizeof len) < 0)
            return -EFAULT;
    }
    return (int64_t)done;
}

/* ---- Waiting ---- */

/* Once more, for a call that waits. The order of the two tables is the same. */
static int64_t do_now(struct wir_call *call, int64_t (*now)(struct wir_call *))
{
    has_taken = false;
    int64_t n = now(call);
    if (call->sock->staged.is_there == false)
        wir_dgram_stage(call->sock); /* poll is to show the next one */
    return n;
}

#define RETRY(name)                                                                                                    \
    static bool retry_##name(struct wir_run *r, struct wir_call *call)                                                 \
    {                                                                                                                  \
        int64_t n = do_now(call, name##_now);                                                                          \
        if (n == -EAGAIN)                                                                                              \
            return false;                                                                                              \
        if (!wir_call_finish(r, call, n) && has_taken)                                                                 \
            wir_dgram_give_back(call->sock, data, &taken);                                                             \
        return true;                                                                                                   \
    }
RETRY(sendto)
RETRY(sendmsg)
RETRY(sendmmsg)
RETRY(recvfrom)
RETRY(recvmsg)
RETRY(recvmmsg)

static void run_or_wait(struct wir_run *r, struct wir_call *call, int flags,
                        bool (*retry)(struct wir_run *, struct wir_call *), weir_ns timeout)
{
    if (retry(r, call))
        return;
    if (flags & (MSG_DONTWAIT | MSG_ERRQUEUE) || wir_sock_is_nonblocking(call))
        wir_call_fail(r, call, EAGAIN);
    else
        wir_call_wait(r, call, retry, timeout, EAGAIN);
}

void wir_on_sendto(struct wir_run *r, struct wir_call *call)
{
    int flags = (int)WIR_ARG(call, 3);
    if (!stream_did(r, call, flags, true))
        run_or_wait(r, call, flags, retry_sendto, call->sock->snd_timeout);
}

void wir_on_recvfrom(struct wir_run *r, struct wir_call *call)
{
    int flags = (int)WIR_ARG(call, 3);
    if (!stream_did(r, call, flags, false))
        run_or_wait(r, call, flags, retry_recvfrom, call->sock->rcv_timeout);
}

void wir_on_sendmsg(struct wir_run *r, struct wir_call *call)
{
    int flags = (int)WIR_ARG(call, 2);
    if (!stream_did(r, call, flags, true))
        run_or_wait(r, call, flags, retry_sendmsg, call->sock->snd_timeout);
}

void wir_on_recvmsg(struct wir_run *r, struct wir_call *call)
{
    int flags = (int)WIR_ARG(call, 2);
    if (!stream_did(r, call, flags, false))
        run_or_wait(r, call, flags, retry_recvmsg, call->sock->rcv_timeout);
}

void wir_on_sendmmsg(struct wir_run *r, struct wir_call *call)
{
    int flags = (int)WIR_ARG(call, 3);
    if (!stream_did(r, call, flags, true))
        run_or_wait(r, call, flags, retry_sendmmsg, call->sock->snd_timeout);
}

/* recvmmsg's own timeout counts for the first datagram. */
void wir_on_recvmmsg(struct wir_run *r, struct wir_call *call)
{
    int flags = (int)WIR_ARG(call, 3);
    struct timespec ts;
    weir_ns timeout = call->sock->rcv_timeout;

    if (stream_did(r, call, flags, false))
        return;
    if (WIR_ARG(call, 4) && wir_mem_read((pid_t)call->req.pid, WIR_ARG(call, 4), &ts, sizeof ts) == 0)
        timeout = WEIR_SEC((uint64_t)ts.tv_sec) + (uint64_t)ts.tv_nsec;
    run_or_wait(r, call, flags, retry_recvmmsg, timeout);
}
