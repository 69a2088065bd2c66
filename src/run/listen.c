/*
 * listen and accept. A listener's mirror is readable while a connection waits: a byte is put into it for each arrival
 * (so that an edge is an edge), and taken out again by accept.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/gateway.h"
#include "run/sock.h"

#define TOKENS_MAX 64

static void put_token(struct wir_sock *s)
{
    if (send(s->pump.fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
        s->tokens++;
}

static bool has_waiting(struct wir_sock *s)
{
    struct weir_pollfd fds[2] = {{.fd = s->pump.net, .events = WEIR_POLLIN}, {.fd = s->twin, .events = WEIR_POLLIN}};
    return s->undelivered || weir_poll(s->run->prog.stack, fds, s->twin >= 0 ? 2 : 1) > 0;
}

/* As many bytes as connections wait is more than we can know: none when none waits, at least one otherwise. To take
 * them out is dear, so they are left while more wait, unless another would soon have no room. */
static void take_token(struct wir_sock *s)
{
    char junk[64];
    bool is_more = has_waiting(s);
    unsigned keep = !is_more ? 0 : s->tokens > TOKENS_MAX ? 1 : s->tokens;
    unsigned spare = s->tokens - keep;
    if (is_more && s->tokens == 0)
        put_token(s);
    if (!spare)
        return;
    int end = wir_sock_borrow(s);
    if (end < 0)
        return;
    while (spare) {
        ssize_t n = recv(end, junk, spare < sizeof junk ? spare : sizeof junk, MSG_DONTWAIT);
        if (n <= 0)
            break;
        spare -= (unsigned)n;
        s->tokens -= (unsigned)n;
    }
    close(end);
}

/* ---- listen ---- */

static void on_arrival(struct wir_sock *s)
{
    put_token(s);
    wir_waiters_wake(s->run, s);
}

static void listening_net_ready(struct wir_net_source *source, uint32_t events)
{
    if (events & WEIR_POLLIN)
        on_arrival((struct wir_sock *)((char *)source - offsetof(struct wir_sock, pump.net_source)));
}

static void twin_net_ready(struct wir_net_source *source, uint32_t events)
{
    if (events & WEIR_POLLIN)
        on_arrival((struct wir_sock *)((char *)source - offsetof(struct wir_sock, twin_source)));
}

/* A program that listens on loopback alone, at a port that -p leads to, is to be reached all the same. */
static void add_twin(struct wir_sock *s, int backlog)
{
    struct wir_run *r = s->run;
    struct weir_sockaddr at;

    if (weir_getsockname(r->prog.stack, s->pump.net, &at) < 0 || !weir_addr_is_loopback(&at.addr) ||
        !wir_opts_publishes(r->opts, at.port))
        return;
    at.addr = wir_addr_program(weir_addr_is_v4(&at.addr) ? WEIR_AF_INET : WEIR_AF_INET6);
    weir_fd twin = weir_socket(r->prog.stack, s->family, s->type, 0);
    if (twin < 0)
        return;
    s->twin_source.ready = twin_net_ready;
    if (weir_bind(r->prog.stack, twin, &at) < 0 || weir_listen(r->prog.stack, twin, backlog) < 0 ||
        wir_loop_watch_net(&r->prog, twin, &s->twin_source) < 0) {
        weir_close(r->prog.stack, twin);
        return;
    }
    s->twin = twin;
}

static void open_ports(const struct wir_sock *s)
{
    struct weir_sockaddr at;
    if (weir_getsockname(s->run->prog.stack, s->pump.net, &at) == 0)
        wir_inbound_open(s->run, at.port);
}

void wir_on_listen(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    int backlog = (int)WIR_ARG(call, 1);

    int err = weir_listen(r->prog.stack, s->pump.net, backlog);
    if (err == 0 && s->phase == WIR_SOCK_FRESH) {
        s->phase = WIR_SOCK_LISTENING;
        s->pump.net_source.ready = listening_net_ready;
        wir_sock_list_bound(s);
        add_twin(s, backlog);
        open_ports(s);
    }
    wir_call_finish(r, call, err);
}

/* ---- accept ---- */

/* The next connection, with its mirror. *end stays open for its first delivery only. NULL: *err says why. */
static struct wir_sock *next_connection(struct wir_sock *s, int *end, int *err)
{
    struct wir_run *r = s->run;
    weir_fd net = weir_accept(r->prog.stack, s->pump.net, NULL);
    if (net == -WEIR_EAGAIN && s->twin >= 0)
        net = weir_accept(r->prog.stack, s->twin, NULL);
    if (net < 0) {
        *err = (int)net;
        return NULL;
    }
    struct wir_sock *made = wir_sock_new(r, s->family, SOCK_STREAM, net, true, end);
    if (!made) {
        *err = -ENFILE;
        return NULL;
    }
    struct weir_sockaddr peer, local;
    weir_getpeername(r->prog.stack, net, &peer);
    weir_getsockname(r->prog.stack, net, &local);
    made->peer = peer;
    made->peer.addr = wir_addr_off_link(peer.addr);
    made->has_peer = true;
    made->is_loopback_outside = !weir_addr_equal(&made->peer.addr, &peer.addr);
    wir_sock_open(made);
    return made;
}

static int write_peer(const struct wir_call *call, const struct wir_sock *made)
{
    if (!WIR_ARG(call, 1))
        return 0;
    return wir_addr_write(call, made->family, &made->peer, WIR_ARG(call, 1), WIR_ARG(call, 2));
}

/* Hand a connection over. One that nobody takes, because a signal ended the call, waits for the next accept. */
static void deliver(struct wir_run *r, struct wir_call *call, struct wir_sock *made, int end)
{
    int flags = call->req.data.nr == SYS_accept4 ? (int)WIR_ARG(call, 3) : 0;
    int err = write_peer(call, made);

    if (err < 0) {
        wir_call_fail(r, call, err);
        close(end);
        wir_sock_free(made, true);
        return;
    }
    fcntl(end, F_SETFL, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
    made->last_pid = (pid_t)call->req.pid;
    if (wir_call_return_fd(r, call, end, flags & SOCK_CLOEXEC) < 0) {
        call->sock->undelivered = made;
        call->sock->undelivered_end = end;
        return;
    }
    close(end);
    take_token(call->sock);
}

static bool try_accept(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    struct wir_sock *made = s->undelivered;
    int end = s->undelivered_end, err = 0;

    s->undelivered = NULL;
    if (!made)
        made = next_connection(s, &end, &err);
    if (made)
        deliver(r, call, made, end);
    else if (err == -WEIR_EAGAIN)
        return false;
    else
        wir_call_fail(r, call, err);
    return true;
}

void wir_on_accept(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;

    if (s->phase != WIR_SOCK_LISTENING) {
        wir_call_fail(r, call, s->type == SOCK_STREAM ? EINVAL : EOPNOTSUPP);
        return;
    }
    if (call->req.data.nr == SYS_accept4 && (WIR_ARG(call, 3) & ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC))) {
        wir_call_fail(r, call, EINVAL);
        return;
    }
    if (try_accept(r, call))
        return;
    take_token(s); /* what was announced may have been reset before anybody took it */
    if (wir_sock_is_nonblocking(call))
        wir_call_fail(r, call, EAGAIN);
    else
        wir_call_wait(r, call, try_accept, s->rcv_timeout, EAGAIN);
}
