/*
 * The gateway's TCP: a transparent listener for every address and port. A SYN is held until the host's own connect has
 * ended, so that the program sees the truth: refused is refused, unreachable unreachable, and silence silence.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/gateway.h"

#define BACKLOG     4096
#define HOST_EVENTS (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* ---- Addresses ---- */

socklen_t wir_addr_to_host(const struct weir_sockaddr *a, struct sockaddr_storage *out)
{
    struct weir_sockaddr host = *a;
    struct weir_addr gate = wir_addr_gateway(weir_addr_is_v4(&a->addr) ? WEIR_AF_INET : WEIR_AF_INET6);
    if (weir_addr_equal(&a->addr, &gate)) /* the gateway itself: the host, as its loopback knows it */
        host.addr = weir_addr_is_v4(&a->addr) ? weir_addr_v4(127, 0, 0, 1) : (struct weir_addr){{[15] = 1}};
    else
        host.addr = wir_addr_off_link(a->addr);
    host.scope_id = 0;
    return wir_addr_to_os(weir_addr_is_v4(&host.addr) ? AF_INET : AF_INET6, &host, out);
}

struct weir_sockaddr wir_addr_from_host(const struct sockaddr_storage *os)
{
    struct weir_sockaddr a;
    wir_addr_from_os(os, &a);
    a.family = weir_addr_is_v4(&a.addr) ? WEIR_AF_INET : WEIR_AF_INET6;
    a.addr = wir_addr_onto_link(a.addr);
    return a;
}

/* ---- A connection ---- */

static struct wir_gate_conn *of_pump(struct wir_pump *p)
{
    return (struct wir_gate_conn *)((char *)p - offsetof(struct wir_gate_conn, pump));
}

/* Close the host's side; with a reset where the program's side ended with one. */
static void close_host(int fd, bool is_reset)
{
    struct linger hard = {.l_onoff = 1};
    if (is_reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
}

static void conn_free(struct wir_gate_conn *c)
{
    wir_pump_stop(&c->pump);
    LIST_REMOVE(c, link);
    wir_loop_bury(c->pump.run, c);
}

static void pump_ended(struct wir_pump *p, enum wir_pump_end how, int err)
{
    struct weir *w = p->host->stack;

    close_host(p->fd, how == WIR_PUMP_NET_ERROR && err != ETIMEDOUT);
    if (how == WIR_PUMP_OS_RESET)
        weir_abort(w, p->net);
    else
        weir_close(w, p->net);
    conn_free(of_pump(p));
}

/* The host's connect ended badly: say so across the link. */
static void turn_away(struct wir_gate_conn *c, int err)
{
    int seen = 0; /* silence */
    if (err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH)
        seen = err;
    else if (err == EACCES || err == EPERM)
        seen = EACCES;
    else if (err == ECONNRESET)
        seen = ECONNREFUSED;
    else if (err == EADDRNOTAVAIL || err == EINVAL || err == EAFNOSUPPORT)
        seen = ENETUNREACH;
    close(c->pump.fd);
    weir_tcp_refuse(c->pump.host->stack, c->pump.net, seen);
    conn_free(c);
}

static void dialled(struct wir_gate_conn *c, int err)
{
    struct wir_pump *p = &c->pump;
    if (err) {
        turn_away(c, err);
        return;
    }
    c->phase = WIR_GATE_OPENING;
    if (weir_tcp_admit(p->host->stack, p->net) < 0) { /* the program gave up meanwhile */
        close_host(p->fd, true);
        weir_close(p->host->stack, p->net);
        conn_free(c);
    }
}

static void os_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_gate_conn *c = of_pump((struct wir_pump *)((char *)source - offsetof(struct wir_pump, os_source)));
    int err = 0;
    socklen_t len = sizeof err;

    if (c->phase != WIR_GATE_DIALLING || !(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        return;
    getsockopt(c->pump.fd, SOL_SOCKET, SO_ERROR, &err, &len);
    dialled(c, err);
}

static void net_ready(struct wir_net_source *source, uint32_t events)
{
    struct wir_pump *p = (struct wir_pump *)((char *)source - offsetof(struct wir_pump, net_source));
    struct wir_gate_conn *c = of_pump(p);

    if (events & (WEIR_POLLERR | WEIR_POLLHUP)) {
        close_host(p->fd, true);
        weir_close(p->host->stack, p->net);
        conn_free(c);
    } else if (c->phase == WIR_GATE_OPENING && events & WEIR_POLLOUT) {
        c->phase = WIR_GATE_RUNNING;
        p->ended = pump_ended;
        wir_pump_start(p);
    }
}

struct wir_gate_conn *wir_gate_conn_new(struct wir_run *r, int fd, weir_fd net, enum wir_gate_phase phase)
{
    struct wir_gate_conn *c = calloc(1, sizeof *c);
    int one = 1;

    if (!c)
        goto fail;
    c->phase = phase;
    c->pump = (struct wir_pump){.run = r, .host = &r->gate, .net = net, .fd = fd};
    c->pump.os_source.ready = os_ready;
    c->pump.net_source.ready = net_ready;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* the program's own Nagle has done its work already */
    weir_setsockopt(r->gate.stack, net, WEIR_SOL_TCP, WEIR_TCP_NODELAY, &one, sizeof one);
    if (wir_loop_watch(r, fd, HOST_EVENTS, &c->pump.os_source) < 0 ||
        wir_loop_watch_net(&r->gate, net, &c->pump.net_source) < 0)
        goto fail;
    LIST_INSERT_HEAD(&r->gate_conns, c, link);
    return c;

fail:
    close_host(fd, true);
    weir_abort(r->gate.stack, net);
    free(c);
    return NULL;
}

/* ---- Arrivals ---- */

static void dial(struct wir_run *r, weir_fd net)
{
    struct weir_sockaddr to;
    struct sockaddr_storage os;

    weir_getsockname(r->gate.stack, net, &to);
    socklen_t len = wir_addr_to_host(&to, &os);
    int fd = socket(os.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        weir_tcp_refuse(r->gate.stack, net, errno == EAFNOSUPPORT ? ENETUNREACH : 0);
        return;
    }
    int err = connect(fd, (struct sockaddr *)&os, len) < 0 ? errno : 0;
    struct wir_gate_conn *c = wir_gate_conn_new(r, fd, net, WIR_GATE_DIALLING);
    if (c && err != EINPROGRESS)
        dialled(c, err);
}

static void listener_ready(struct wir_net_source *source, uint32_t events)
{
    struct wir_run *r = (struct wir_run *)((char *)source - offsetof(struct wir_run, gate_tcp_source));
    weir_fd net;
    (void)events;
    while ((net = weir_accept(r->gate.stack, r->gate_tcp, NULL)) >= 0)
        dial(r, net);
}

int wir_gateway_start(struct wir_run *r)
{
    struct weir *w = r->gate.stack;
    int one = 1, family = r->opts->family == AF_INET ? WEIR_AF_INET : WEIR_AF_INET6;
    struct weir_sockaddr any = {.family = (uint16_t)family, .addr = weir_addr_any(family)};

    LIST_INIT(&r->gate_conns);
    r->gate_tcp = weir_socket(w, family, WEIR_SOCK_STREAM, 0);
    if (r->gate_tcp < 0)
        return (int)r->gate_tcp;
    r->gate_tcp_source.ready = listener_ready;
    int err = weir_setsockopt(w, r->gate_tcp, WEIR_SOL_WEIR, WEIR_OPT_ANY_PORT, &one, sizeof one);
    if (err == 0)
        err = weir_setsockopt(w, r->gate_tcp, WEIR_SOL_WEIR, WEIR_OPT_HOLD_SYN, &one, sizeof one);
    if (err == 0)
        err = weir_bind(w, r->gate_tcp, &any);
    if (err == 0)
        err = weir_listen(w, r->gate_tcp, BACKLOG);
    if (err == 0)
        err = wir_loop_watch_net(&r->gate, r->gate_tcp, &r->gate_tcp_source);
    return err < 0 ? err : wir_flows_start(r);
}

void wir_gateway_stop(struct wir_run *r)
{
    struct wir_gate_conn *c;
    while ((c = LIST_FIRST(&r->gate_conns))) {
        close_host(c->pump.fd, true);
        conn_free(c);
    }
    wir_flows_stop(r);
}

void wir_gateway_hang_up(struct wir_run *r)
{
    struct wir_gate_conn *c = LIST_FIRST(&r->gate_conns);
    while (c) {
        struct wir_gate_conn *next = LIST_NEXT(c, link);
        if (c->phase == WIR_GATE_DIALLING)
            turn_away(c, ETIMEDOUT);
        c = next;
    }
}
