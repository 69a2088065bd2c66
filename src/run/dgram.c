/*
 * Datagram mirrors. A SOCK_SEQPACKET pair keeps datagrams apart, tells us of the close, and its end of the queue tells
 * us when the program has read. It holds no addresses, so never more than one datagram lies in it: that one's source is
 * known, the others wait in weir. An error (ICMP unreachable) shows as an empty datagram, which makes the program wake
 * and ask; a trapped receive turns it into the error.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "run/dgram.h"

static uint8_t buf[WIR_DGRAM_CAP];

/* ---- Towards the program ---- */

static void show_source(struct weir_sockaddr *a)
{
    a->addr = wir_addr_off_link(a->addr);
}

int64_t wir_dgram_fetch(struct wir_sock *s, uint8_t *data, struct wir_staged *meta, int flags)
{
    struct weir_iovec iov = {.base = data, .len = WIR_DGRAM_CAP};
    memset(meta, 0, sizeof *meta);
    meta->msg = (struct weir_msg){.name = &meta->src, .iov = &iov, .iov_n = 1};
    int64_t n = weir_recvmsg(s->run->prog.stack, s->pump.net, &meta->msg, flags);
    meta->msg.iov = NULL;
    meta->msg.name = NULL;
    if (n < 0)
        return n;
    meta->len = (size_t)n;
    show_source(&meta->src);
    if (meta->msg.has & WEIR_HAS_PKTINFO && !weir_addr_equal(&meta->msg.dst.addr, &meta->src.addr) &&
        weir_addr_is_loopback(&meta->src.addr))
        meta->msg.dst.addr = meta->src.addr; /* it came across the link, but as loopback traffic to the program */
    return n;
}

void wir_dgram_give_back(struct wir_sock *s, const uint8_t *data, const struct wir_staged *meta)
{
    if (s->returned_data || !(s->returned_data = malloc(meta->len + 1)))
        return;
    memcpy(s->returned_data, data, meta->len);
    s->returned = *meta;
    wir_dgram_stage(s);
}

/* The next in turn: what was given back, or what weir has. */
static int64_t next_in_turn(struct wir_sock *s, uint8_t *data, struct wir_staged *meta)
{
    if (!s->returned_data)
        return wir_dgram_fetch(s, data, meta, 0);
    *meta = s->returned;
    memcpy(data, s->returned_data, meta->len);
    free(s->returned_data);
    s->returned_data = NULL;
    return (int64_t)meta->len;
}

static bool is_unread(const struct wir_sock *s)
{
    int bytes = 0;
    return ioctl(s->pump.fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

void wir_dgram_stage(struct wir_sock *s)
{
    struct wir_staged next;
    if (s->staged.is_there && is_unread(s))
        return;
    s->staged.is_there = false;
    int64_t n = next_in_turn(s, buf, &next);
    if (n == -WEIR_EAGAIN)
        return;
    if (n < 0) {
        next.err = (int)-n;
        n = 0;
    }
    if (send(s->pump.fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
        return; /* longer than the mirror takes: lost, as a datagram may be */
    s->staged = next;
    s->staged.is_there = true;
}

/* Read what lies in the mirror, from the program's end. -EAGAIN: somebody was faster. */
static int64_t take_staged(struct wir_sock *s, uint8_t *data, int flags)
{
    int end = wir_sock_borrow(s);
    if (end < 0)
        return -EAGAIN;
    ssize_t n = recv(end, data, WIR_DGRAM_CAP, MSG_DONTWAIT | (flags & MSG_PEEK));
    close(end);
    return n < 0 ? -EAGAIN : n;
}

int64_t wir_dgram_take(struct wir_sock *s, uint8_t *data, struct wir_staged *meta, int flags)
{
    bool is_peek = flags & MSG_PEEK;
    if (is_peek)
        wir_dgram_stage(s);
    if (s->returned_data && !is_peek)
        return next_in_turn(s, data, meta);
    if (s->staged.is_there) {
        int64_t n = take_staged(s, data, flags);
        *meta = s->staged;
        if (n < 0 || !is_peek || meta->err)
            s->staged.is_there = false;
        if (n >= 0)
            return meta->err ? -meta->err : n;
    }
    return is_peek ? -EAGAIN : wir_dgram_fetch(s, data, meta, 0);
}

int wir_dgram_take_error(struct wir_sock *s)
{
    struct wir_staged meta;
    int err = 0;
    uint32_t len = sizeof err;
    if (s->staged.is_there && s->staged.err) {
        int64_t n = wir_dgram_take(s, buf, &meta, 0);
        return n < 0 && n != -EAGAIN ? (int)-n : 0;
    }
    weir_getsockopt(s->run->prog.stack, s->pump.net, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len);
    return err;
}

static void dgram_net_ready(struct wir_net_source *source, uint32_t events)
{
    struct wir_sock *s = (struct wir_sock *)((char *)source - offsetof(struct wir_sock, pump.net_source));
    (void)events;
    wir_waiters_wake(s->run, s);
    wir_dgram_stage(s);
}

/* ---- From the program: what it sends without an address never traps ---- */

/* An empty read: an empty datagram, or the end of what the program will send. */
static bool is_ended(struct wir_sock *s)
{
    struct pollfd p = {.fd = s->pump.fd, .events = POLLRDHUP};
    s->pump.os_rdhup |= poll(&p, 1, 0) == 1;
    return s->pump.os_rdhup;
}

void wir_dgram_drain(struct wir_sock *s)
{
    for (;;) {
        ssize_t n = recv(s->pump.fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n < 0 || (n == 0 && is_ended(s)))
            return;
        weir_send(s->run->prog.stack, s->pump.net, buf, (size_t)n, 0); /* what does not fit is lost: it is UDP */
    }
}

static void dgram_os_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_sock *s = (struct wir_sock *)((char *)source - offsetof(struct wir_sock, pump.os_source));
    if (events & (EPOLLRDHUP | EPOLLHUP))
        s->pump.os_rdhup = true;
    if (events & (EPOLLIN | EPOLLHUP))
        wir_dgram_drain(s);
    if (events & EPOLLHUP)
        wir_sock_free(s, false);
    else if (events & EPOLLOUT)
        wir_dgram_stage(s);
}

void wir_dgram_start(struct wir_sock *s)
{
    s->pump.os_source.ready = dgram_os_ready;
    s->pump.net_source.ready = dgram_net_ready;
}
