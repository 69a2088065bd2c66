/*
 * -p: ports of the host that lead to the program. They are taken before anything starts, so that a port in use is said
 * at once; a TCP port listens only once the program does, so that until then a client is refused, as it would be by the
 * program itself.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/gateway.h"

#define BACKLOG 1024
#define BATCH   64

/* ---- TCP ---- */

/* A weir connection to the program from that address. */
static weir_fd dial_from(struct wir_run *r, const struct weir_sockaddr *client, uint16_t port)
{
    struct weir *w = r->gate.stack;
    struct weir_sockaddr to = {.family = client->family, .addr = wir_addr_program(client->family), .port = port};
    int one = 1;
    weir_fd net = weir_socket(w, client->family, WEIR_SOCK_STREAM, 0);
    if (net < 0)
        return net;
    weir_setsockopt(w, net, WEIR_SOL_IP, WEIR_IP_TRANSPARENT, &one, sizeof one);
    weir_setsockopt(w, net, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, &one, sizeof one);
    int err = weir_bind(w, net, client);
    if (err == 0)
        err = weir_connect(w, net, &to);
    if (err == 0 || err == -WEIR_EINPROGRESS)
        return net;
    weir_close(w, net);
    return err;
}

/* From the client's own address, and its port too unless the link still has an earlier connection from there. */
static weir_fd dial_program(struct wir_run *r, const struct weir_sockaddr *client, uint16_t port)
{
    struct weir_sockaddr from = *client;
    weir_fd net = dial_from(r, &from, port);
    if (net != -WEIR_EADDRNOTAVAIL && net != -WEIR_EADDRINUSE)
        return net;
    from.port = 0;
    return dial_from(r, &from, port);
}

static void let_in(struct wir_inbound *in, int fd, const struct sockaddr_storage *os)
{
    struct weir_sockaddr client = wir_addr_from_host(os);
    weir_fd net = dial_program(in->run, &client, in->port);
    if (net < 0) {
        struct linger hard = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
        return;
    }
    wir_gate_conn_new(in->run, fd, net, WIR_GATE_OPENING);
}

static void tcp_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_inbound *in = (struct wir_inbound *)((char *)source - offsetof(struct wir_inbound, os_source));
    (void)events;
    for (int i = 0; i < BATCH; i++) {
        struct sockaddr_storage os;
        socklen_t len = sizeof os;
        int fd = accept4(in->fd, (struct sockaddr *)&os, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        let_in(in, fd, &os);
    }
}

void wir_inbound_open(struct wir_run *r, uint16_t port)
{
    struct wir_inbound *in;
    LIST_FOREACH(in, &r->inbounds, link)
    {
        if (in->is_udp || in->is_open || in->port != port)
            continue;
        in->is_open = listen(in->fd, BACKLOG) == 0;
        if (in->is_open)
            wir_loop_watch(r, in->fd, EPOLLIN, &in->os_source);
        else
            fprintf(stderr, "weir run: -p: the host's port was taken meanwhile: %s\n", strerror(errno));
    }
}

/* ---- UDP ---- */

static void udp_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_inbound *in = (struct wir_inbound *)((char *)source - offsetof(struct wir_inbound, os_source));
    static uint8_t data[65536];
    (void)events;
    for (int i = 0; i < BATCH; i++) {
        struct sockaddr_storage os;
        socklen_t len = sizeof os;
        ssize_t n = recvfrom(in->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&os, &len);
        if (n < 0)
            return;
        wir_flow_inward(in->run, in->fd, &os, len, in->port, data, (size_t)n);
    }
}

/* ---- Taking the ports ---- */

/* Sockets that reuse addresses and don't listen yet may share a port: two -p of the same are for us to find. */
static bool is_taken(const struct wir_run *r, const struct wir_publish *p)
{
    for (const struct wir_publish *q = r->opts->publish; q < p; q++) {
        if (q->is_udp == p->is_udp && memcmp(&q->at, &p->at, sizeof p->at) == 0)
            return true;
    }
    return false;
}

static int bind_one(struct wir_run *r, const struct wir_publish *p)
{
    int one = 1, off = 0;
    int type = p->is_udp ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(p->at.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (!p->is_udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (p->at.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    socklen_t len = p->at.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct wir_inbound *in = calloc(1, sizeof *in);
    if (!in || bind(fd, (const struct sockaddr *)&p->at, len) < 0) {
        int err = in ? errno : ENOMEM;
        free(in);
        close(fd);
        return -err;
    }
    *in = (struct wir_inbound){.run = r, .fd = fd, .port = p->port, .is_udp = p->is_udp};
    in->os_source.ready = p->is_udp ? udp_ready : tcp_ready;
    LIST_INSERT_HEAD(&r->inbounds, in, link);
    return p->is_udp ? wir_loop_watch(r, fd, EPOLLIN, &in->os_source) : 0;
}

int wir_inbound_bind(struct wir_run *r)
{
    LIST_INIT(&r->inbounds);
    for (unsigned i = 0; i < r->opts->publish_n; i++) {
        const struct wir_publish *p = &r->opts->publish[i];
        int err = is_taken(r, p) ? -EADDRINUSE : bind_one(r, p);
        if (err == 0)
            continue;
        if (err == -EADDRINUSE)
            fprintf(stderr, "weir run: -p %s: the port is in use on this host\n", p->text);
        else
            fprintf(stderr, "weir run: -p %s: %s\n", p->text, strerror(-err));
        return err;
    }
    return 0;
}

void wir_inbound_stop(struct wir_run *r)
{
    struct wir_inbound *in;
    while ((in = LIST_FIRST(&r->inbounds))) {
        LIST_REMOVE(in, link);
        close(in->fd);
        free(in);
    }
}
