/*
 * The gateway's UDP. Each of the program's sockets (its address and port) has one socket of the host for each family,
 * unconnected, so that answers may come from anywhere, as through a NAT that maps by endpoint alone (RFC 4787 REQ-1).
 * A client of -p has a weir socket with the client's own address. Both end when nothing has passed for a while.
 */
#include <errno.h>
#include <time.h> /* before errqueue.h, which uses its types */

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/gateway.h"

#define IDLE_NS   WEIR_SEC(120) /* RFC 4787 REQ-5: two minutes at least */
#define FLOWS_MAX 1024
#define BATCH     64 /* datagrams before others have their turn */

static uint8_t data[65536];

static void touch(struct wir_flow *f)
{
    f->expires_at = f->run->now + IDLE_NS;
    TAILQ_REMOVE(&f->run->flows, f, link);
    TAILQ_INSERT_TAIL(&f->run->flows, f, link);
}

static void flow_free(struct wir_flow *f)
{
    struct wir_run *r = f->run;
    f->os_source.ready = NULL;
    f->net_source.ready = NULL;
    if (f->is_inward)
        weir_close(r->gate.stack, f->net);
    else
        close(f->fd);
    TAILQ_REMOVE(&r->flows, f, link);
    r->flow_n--;
    wir_loop_bury(r, f);
}

static struct wir_flow *flow_new(struct wir_run *r)
{
    if (r->flow_n >= FLOWS_MAX)
        flow_free(TAILQ_FIRST(&r->flows));
    struct wir_flow *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->run = r;
    f->expires_at = r->now + IDLE_NS;
    TAILQ_INSERT_TAIL(&r->flows, f, link);
    r->flow_n++;
    return f;
}

static bool is_same(const struct weir_sockaddr *a, const struct weir_sockaddr *b)
{
    return a->port == b->port && weir_addr_equal(&a->addr, &b->addr);
}

/* ---- Outward ---- */

/* Hand a datagram to the program's host, as if from its real sender. */
static void send_inside(struct wir_flow *f, const struct sockaddr_storage *from, size_t len)
{
    struct weir_iovec iov = {.base = data, .len = len};
    struct weir_sockaddr to = f->inner;
    struct weir_msg m = {
        .name = &to, .iov = &iov, .iov_n = 1, .has = WEIR_HAS_PKTINFO, .dst = wir_addr_from_host(from)};
    weir_sendmsg(f->run->gate.stack, f->run->gate_udp, &m, 0);
}

/* The host's kernel learnt that a datagram did not arrive. */
static void read_errors(struct wir_flow *f)
{
    for (int i = 0; i < BATCH; i++) {
        struct sockaddr_storage to;
        _Alignas(struct cmsghdr) char control[256];
        struct iovec iov = {.iov_base = data, .iov_len = sizeof data};
        struct msghdr m = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &iov, .msg_iovlen = 1};
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        if (recvmsg(f->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
            struct sock_extended_err e;
            struct weir_sockaddr dst = wir_addr_from_host(&to);
            bool is_err = (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_RECVERR) ||
                          (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_RECVERR);
            if (!is_err || h->cmsg_len < CMSG_LEN(sizeof e))
                continue;
            memcpy(&e, CMSG_DATA(h), sizeof e);
            wir_unreach_send(f->run, &f->inner, &dst, (int)e.ee_errno);
        }
    }
}

static void outward_os_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_flow *f = (struct wir_flow *)((char *)source - offsetof(struct wir_flow, os_source));

    if (events & EPOLLERR)
        read_errors(f);
    for (int i = 0; i < BATCH; i++) {
        struct sockaddr_storage from;
        socklen_t from_len = sizeof from;
        ssize_t n = recvfrom(f->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
        if (n < 0)
            break;
        send_inside(f, &from, (size_t)n);
    }
    touch(f);
}

static int open_host_socket(int family)
{
    int one = 1;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (family == AF_INET)
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof one);
    else
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one);
    return fd;
}

static struct wir_flow *outward(struct wir_run *r, const struct weir_sockaddr *inner, int family)
{
    struct wir_flow *f;
    TAILQ_FOREACH(f, &r->flows, link)
    {
        if (!f->is_inward && f->client.ss_family == family && is_same(&f->inner, inner))
            return f;
    }
    int fd = open_host_socket(family);
    f = fd >= 0 ? flow_new(r) : NULL;
    if (!f) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    f->fd = fd;
    f->inner = *inner;
    f->client.ss_family = (sa_family_t)family;
    f->os_source.ready = outward_os_ready;
    wir_loop_watch(r, fd, EPOLLIN, &f->os_source);
    return f;
}

static void carry_out(struct wir_run *r, const struct weir_sockaddr *from, const struct weir_sockaddr *to, size_t len)
{
    struct sockaddr_storage os;
    socklen_t os_len = wir_addr_to_host(to, &os);
    struct wir_flow *f = outward(r, from, os.ss_family);
    if (!f)
        return;
    if (sendto(f->fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&os, os_len) < 0 && errno != EAGAIN)
        wir_unreach_send(r, from, to, errno);
    touch(f);
}

static void udp_ready(struct wir_net_source *source, uint32_t events)
{
    struct wir_run *r = (struct wir_run *)((char *)source - offsetof(struct wir_run, gate_udp_source));
    (void)events;
    for (;;) {
        struct weir_sockaddr from;
        struct weir_iovec iov = {.base = data, .len = sizeof data};
        struct weir_msg m = {.name = &from, .iov = &iov, .iov_n = 1};
        int64_t n = weir_recvmsg(r->gate.stack, r->gate_udp, &m, 0);
        if (n == -WEIR_EAGAIN)
            return;
        if (n >= 0 && m.has & WEIR_HAS_PKTINFO)
            carry_out(r, &from, &m.dst, (size_t)n);
    }
}

/* ---- Inward ---- */

static void inward_net_ready(struct wir_net_source *source, uint32_t events)
{
    struct wir_flow *f = (struct wir_flow *)((char *)source - offsetof(struct wir_flow, net_source));
    (void)events;
    for (;;) {
        int64_t n = weir_recv(f->run->gate.stack, f->net, data, sizeof data, 0);
        if (n == -WEIR_EAGAIN)
            break;
        if (n >= 0)
            sendto(f->fd, data, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&f->client, f->client_len);
    }
    touch(f);
}

/* A weir socket that has the client's address and talks to the program's port. */
static weir_fd open_client(struct wir_run *r, const struct weir_sockaddr *client, uint16_t port)
{
    struct weir *w = r->gate.stack;
    struct weir_sockaddr to = {.family = client->family, .addr = wir_addr_program(client->family), .port = port};
    int one = 1;
    weir_fd net = weir_socket(w, client->family, WEIR_SOCK_DGRAM, 0);
    if (net < 0)
        return net;
    weir_setsockopt(w, net, WEIR_SOL_IP, WEIR_IP_TRANSPARENT, &one, sizeof one);
    weir_setsockopt(w, net, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, &one, sizeof one);
    int err = weir_bind(w, net, client);
    if (err == 0)
        err = weir_connect(w, net, &to);
    if (err == 0)
        return net;
    weir_close(w, net);
    return err;
}

static struct wir_flow *inward(struct wir_run *r, int fd, const struct sockaddr_storage *os, uint16_t port)
{
    struct weir_sockaddr client = wir_addr_from_host(os);
    struct wir_flow *f;
    TAILQ_FOREACH(f, &r->flows, link)
    {
        if (f->is_inward && f->fd == fd && is_same(&f->inner, &client))
            return f;
    }
    weir_fd net = open_client(r, &client, port);
    f = net >= 0 ? flow_new(r) : NULL;
    if (!f) {
        if (net >= 0)
            weir_close(r->gate.stack, net);
        return NULL;
    }
    f->is_inward = true;
    f->fd = fd;
    f->net = net;
    f->inner = client;
    f->net_source.ready = inward_net_ready;
    wir_loop_watch_net(&r->gate, net, &f->net_source);
    return f;
}

void wir_flow_inward(struct wir_run *r, int fd, const struct sockaddr_storage *client, socklen_t client_len,
                     uint16_t port, const void *bytes, size_t len)
{
    struct wir_flow *f = inward(r, fd, client, port);
    if (!f)
        return;
    f->client = *client;
    f->client_len = client_len;
    weir_send(r->gate.stack, f->net, bytes, len, 0);
    touch(f);
}

/* ---- All of them ---- */

int wir_flows_start(struct wir_run *r)
{
    struct weir *w = r->gate.stack;
    int one = 1, family = r->opts->family == AF_INET ? WEIR_AF_INET : WEIR_AF_INET6;
    struct weir_sockaddr any = {.family = (uint16_t)family, .addr = weir_addr_any(family)};

    TAILQ_INIT(&r->flows);
    r->gate_udp = weir_socket(w, family, WEIR_SOCK_DGRAM, 0);
    if (r->gate_udp < 0)
        return (int)r->gate_udp;
    r->gate_udp_source.ready = udp_ready;
    int err = weir_setsockopt(w, r->gate_udp, WEIR_SOL_WEIR, WEIR_OPT_ANY_PORT, &one, sizeof one);
    if (err == 0)
        err = weir_setsockopt(w, r->gate_udp, WEIR_SOL_IP, WEIR_IP_TRANSPARENT, &one, sizeof one);
    if (err == 0)
        err = weir_setsockopt(w, r->gate_udp, WEIR_SOL_IP, WEIR_IP_PKTINFO, &one, sizeof one);
    if (err == 0 && family == WEIR_AF_INET6)
        err = weir_setsockopt(w, r->gate_udp, WEIR_SOL_IPV6, WEIR_IPV6_RECVPKTINFO, &one, sizeof one);
    if (err == 0)
        err = weir_bind(w, r->gate_udp, &any);
    return err < 0 ? err : wir_loop_watch_net(&r->gate, r->gate_udp, &r->gate_udp_source);
}

void wir_flows_stop(struct wir_run *r)
{
    while (!TAILQ_EMPTY(&r->flows))
        flow_free(TAILQ_FIRST(&r->flows));
}

weir_ns wir_flows_deadline(const struct wir_run *r)
{
    return TAILQ_EMPTY(&r->flows) ? WEIR_NEVER : TAILQ_FIRST(&r->flows)->expires_at;
}

void wir_flows_expire(struct wir_run *r)
{
    while (!TAILQ_EMPTY(&r->flows) && TAILQ_FIRST(&r->flows)->expires_at <= r->now)
        flow_free(TAILQ_FIRST(&r->flows));
}
