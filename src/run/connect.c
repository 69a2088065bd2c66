/*
 * socket, bind and connect.
 *
 * A connect that has ended is reported once: by the call that waits for it, by the next connect, or by SO_ERROR. A
 * failed one leaves the mirror as it was when somebody was waiting in the call; when nobody was, the mirror shows a
 * reset, which is what poll shows for the kernel's TCP too, and another connect gets a new mirror.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/sock.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* ---- socket ---- */

/* Whether it is a socket that weir makes. -errno: to be refused; 1: the kernel's; 0: ours. */
static int judge_socket(const struct wir_run *r, int family, int type, int protocol)
{
    if (protocol == IPPROTO_MPTCP)
        return -EPROTONOSUPPORT; /* programs fall back to TCP */
    int own = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    if (protocol != 0 && protocol != own)
        return 1; /* SCTP, UDP-Lite, ping sockets */
    if (r->opts->family && r->opts->family != family)
        return -EAFNOSUPPORT;
    return 0;
}

void wir_on_socket(struct wir_run *r, struct wir_call *call)
{
    int family = (int)WIR_ARG(call, 0), flags = (int)WIR_ARG(call, 1), protocol = (int)WIR_ARG(call, 2);
    int type = flags & 0xf, end;

    int verdict = judge_socket(r, family, type, protocol);
    if (verdict > 0)
        wir_call_continue(r, call);
    else if (verdict < 0)
        wir_call_fail(r, call, verdict);
    if (verdict)
        return;

    weir_fd net = weir_socket(r->prog.stack, family, type, protocol);
    if (net < 0) {
        wir_call_fail(r, call, (int)net);
        return;
    }
    struct wir_sock *s = wir_sock_new(r, family, type, net, false, &end);
    if (!s) {
        wir_call_fail(r, call, ENFILE);
        return;
    }
    if (flags & SOCK_NONBLOCK)
        fcntl(end, F_SETFL, O_NONBLOCK);
    s->last_pid = (pid_t)call->req.pid;
    if (type == SOCK_DGRAM)
        wir_dgram_start(s);
    int err = wir_call_return_fd(r, call, end, flags & SOCK_CLOEXEC);
    close(end);
    if (err < 0)
        wir_sock_free(s, false);
}

/* ---- bind ---- */

void wir_on_bind(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    struct weir_sockaddr at;

    int err = wir_addr_read(call, WIR_ARG(call, 1), WIR_ARG(call, 2), &at);
    if (err == 0 && at.family == 0 && s->family == AF_INET)
        at = (struct weir_sockaddr){.family = AF_INET, .addr = weir_addr_any(AF_INET)}; /* as Linux takes it */
    else if (err == 0 && at.family != s->family) /* Linux looks at the length first */
        err = s->family == AF_INET6 && WIR_ARG(call, 2) < sizeof(struct sockaddr_in6) ? -EINVAL : -EAFNOSUPPORT;
    if (err == 0)
        err = weir_bind(r->prog.stack, s->pump.net, &at);
    if (err == 0) {
        s->bound_to = at;
        if (s->type == SOCK_DGRAM)
            wir_sock_list_bound(s);
    }
    wir_call_finish(r, call, err);
}

/* ---- connect ---- */

static int take_report(struct wir_sock *s)
{
    int err = s->so_error;
    s->is_connect_unreported = false;
    s->so_error = 0;
    return -err;
}

static bool retry_connect(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    if (s->phase == WIR_SOCK_CONNECTING)
        return false;
    wir_call_finish(r, call, take_report(s));
    return true;
}

static void connect_done(struct wir_sock *s, int err)
{
    s->so_error = err;
    s->is_connect_unreported = true;
    s->phase = WIR_SOCK_FRESH;
    s->has_peer = err == 0;
    if (err == 0)
        wir_sock_open(s);
    wir_waiters_wake(s->run, s);
    if (err && !s->is_connect_unreported) /* as after a blocking connect: the next one is a new attempt */
        weir_connect(s->run->prog.stack, s->pump.net, &(struct weir_sockaddr){0});
    if (err && s->is_connect_unreported) { /* nobody waits in the call: poll has to show it */
        s->phase = WIR_SOCK_FAILED;
        wir_sock_show_reset(s);
        wir_sock_retire(s);
    }
}

static void connecting_net_ready(struct wir_net_source *source, uint32_t events)
{
    struct wir_sock *s = (struct wir_sock *)((char *)source - offsetof(struct wir_sock, pump.net_source));
    int err = 0;
    uint32_t len = sizeof err;

    if (s->phase != WIR_SOCK_CONNECTING || !(events & (WEIR_POLLOUT | WEIR_POLLERR | WEIR_POLLHUP)))
        return;
    weir_getsockopt(s->run->prog.stack, s->pump.net, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len);
    if (err || !(events & WEIR_POLLHUP))
        connect_done(s, err);
}

/* Bound to loopback, but the destination is across the link: the socket gets the link's address, and the program is
 * shown the one that it asked for. */
static int leave_loopback(struct wir_sock *s)
{
    struct wir_run *r = s->run;
    int family = weir_addr_is_v4(&s->bound_to.addr) ? WEIR_AF_INET : WEIR_AF_INET6;
    struct weir_sockaddr at;

    int err = weir_getsockname(r->prog.stack, s->pump.net, &at);
    if (err < 0)
        return err;
    at.addr = wir_addr_program(family);
    weir_fd net = weir_socket(r->prog.stack, s->family, s->type, 0);
    if (net < 0)
        return (int)net;
    weir_close(r->prog.stack, s->pump.net);
    s->pump.net = net;
    err = weir_bind(r->prog.stack, net, &at);
    if (err == -EADDRINUSE) { /* free on loopback, but not on the link: any will do, the gateway takes one of its own */
        at.port = 0;
        err = weir_bind(r->prog.stack, net, &at);
    }
    return err < 0 ? err : wir_loop_watch_net(&r->prog, net, &s->pump.net_source);
}

/* Ask weir for it. What weir_connect says. */
static int begin(struct wir_sock *s, const struct weir_sockaddr *to)
{
    struct weir_sockaddr way = wir_sock_route(s->run, s->type, to);
    bool is_moved = !weir_addr_equal(&way.addr, &to->addr) && !weir_addr_is_loopback(&way.addr);

    if (is_moved && s->bound_to.family && weir_addr_is_loopback(&s->bound_to.addr)) {
        int err = leave_loopback(s);
        if (err < 0)
            return err;
    }
    s->is_loopback_outside = is_moved;
    s->peer = *to;
    if (weir_addr_is_any(&to->addr)) /* which means this host */
        s->peer.addr = wir_addr_off_link(way.addr);
    return weir_connect(s->run->prog.stack, s->pump.net, &way);
}

static void connect_stream(struct wir_run *r, struct wir_call *call, const struct weir_sockaddr *to)
{
    struct wir_sock *s = call->sock;
    bool is_nonblocking = wir_sock_is_nonblocking(call);

    s->pump.net_source.ready = connecting_net_ready;
    int err = begin(s, to);
    if (err == 0 || err == -WEIR_EISCONN) { /* through weir's own loopback it may be done at once */
        s->phase = WIR_SOCK_CONNECTING;
        connect_done(s, 0);
        s->is_connect_unreported = false;
        wir_call_return(r, call, 0);
    } else if (err != -WEIR_EINPROGRESS) {
        wir_call_fail(r, call, err);
    } else {
        s->phase = WIR_SOCK_CONNECTING;
        if (is_nonblocking)
            wir_call_fail(r, call, EINPROGRESS);
        else
            wir_call_wait(r, call, retry_connect, s->snd_timeout, EINPROGRESS);
    }
}

/* A new mirror in place of one that showed a failure, under the same number. */
static int renew(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    int at = (int)WIR_ARG(call, 0);
    int old = wir_sock_borrow(s);
    int status = old >= 0 ? fcntl(old, F_GETFL) : 0;
    if (old >= 0)
        close(old);

    int end = wir_sock_renew(s);
    if (end < 0)
        return end;
    if (status > 0 && (status & O_NONBLOCK))
        fcntl(end, F_SETFL, O_NONBLOCK);
    int err = wir_call_replace_fd(r, call, end, at, wir_fd_is_cloexec((pid_t)call->req.pid, at));
    close(end);
    s->phase = WIR_SOCK_FRESH;
    return err;
}

static void connect_dgram(struct wir_run *r, struct wir_call *call, const struct weir_sockaddr *to)
{
    struct wir_sock *s = call->sock;
    int err;

    if (to->family == 0) {
        s->is_loopback_outside = false;
        err = weir_connect(r->prog.stack, s->pump.net, to);
    } else {
        err = begin(s, to);
    }
    s->has_peer = err == 0 && to->family != 0;
    if (s->has_peer)
        wir_sock_list_bound(s); /* it has a port now */
    wir_call_finish(r, call, err);
}

void wir_on_connect(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    struct weir_sockaddr to;

    int err = wir_addr_read(call, WIR_ARG(call, 1), WIR_ARG(call, 2), &to);
    if (err == 0 && to.family != 0 && to.family != s->family)
        err = s->family == AF_INET6 && to.family == AF_INET ? -EINVAL : -EAFNOSUPPORT;
    if (err < 0) {
        wir_call_fail(r, call, err);
        return;
    }
    switch (s->phase) {
    case WIR_SOCK_DGRAM: connect_dgram(r, call, &to); return;
    case WIR_SOCK_LISTENING: wir_call_fail(r, call, EISCONN); return;
    case WIR_SOCK_CONNECTING:
        if (wir_sock_is_nonblocking(call))
            wir_call_fail(r, call, EALREADY);
        else
            wir_call_wait(r, call, retry_connect, s->snd_timeout, EALREADY);
        return;
    case WIR_SOCK_CONNECTED: wir_call_finish(r, call, s->is_connect_unreported ? take_report(s) : -EISCONN); return;
    case WIR_SOCK_FAILED:
        if (s->is_connect_unreported) {
            wir_call_finish(r, call, take_report(s));
            return;
        }
        err = renew(r, call);
        if (err < 0) {
            wir_call_fail(r, call, err);
            return;
        }
        break;
    case WIR_SOCK_FRESH: break;
    }
    if (to.family == 0)
        wir_call_return(r, call, 0);
    else
        connect_stream(r, call, &to);
}
