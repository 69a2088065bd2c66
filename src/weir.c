/*
 * The stack: its layers put together, and the public calls over them. Each call that may cause output sends it before
 * it returns; a batch of packets that came in is answered once, at its end (decision 3 of the design).
 */
#include "base/bytes.h"
#include "base/core.h"
#include "base/pkt.h"
#include "net/net.h"
#include "sock/sock.h"
#include "tcp/conn.h"
#include "udp/udp.h"
#include <weir/weir.h>

struct weir {
    struct wi_core core;
    struct wi_net *net;
    struct wi_udp udp;
    struct wi_tcp tcp;
    struct wi_sock sock;
    struct weir_alloc alloc; /* where this struct came from */
    bool is_inside;          /* a call is under way: xmit and on_event must not make another */
};

/* ---- Entering and leaving ---- */

static void enter(struct weir *w)
{
    WI_ASSERT(!w->is_inside);
    w->is_inside = true;
}

/* What went to this host is delivered by the flush of the network, and may make TCP owe more. */
static void leave(struct weir *w)
{
    if (!wi_list_empty(&w->tcp.pending) || wi_net_is_active(w->net)) {
        do {
            wi_tcp_flush(&w->tcp);
            wi_net_flush(w->net);
        } while (!wi_list_empty(&w->tcp.pending));
    }
    w->is_inside = false;
}

/* For the calls that send nothing. */
static struct wi_sock *quietly(struct weir *w)
{
    WI_ASSERT(!w->is_inside);
    return &w->sock;
}

/* Time stands still rather than run backwards: deadlines that were met stay met. */
static void tell_time(struct weir *w, weir_ns now)
{
    if (now > w->core.now)
        w->core.now = now;
}

/* ---- Life ---- */

struct weir *weir_new(const struct weir_config *cfg)
{
    if (!cfg->alloc.alloc || !cfg->alloc.free)
        return NULL;
    struct weir *w = cfg->alloc.alloc(cfg->alloc.ctx, sizeof(*w));
    if (!w)
        return NULL;
    w->alloc = cfg->alloc;
    w->is_inside = false;

    if (wi_core_init(&w->core, cfg))
        goto no_core;
    w->net = wi_net_new(&w->core);
    if (!w->net)
        goto no_net;
    if (wi_udp_init(&w->udp, &w->core, w->net))
        goto no_udp;
    if (wi_tcp_init(&w->tcp, &w->core, w->net))
        goto no_tcp;
    wi_sock_init(&w->sock, &w->core, w->net, &w->tcp, &w->udp, cfg->sockets_max);
    return w;

no_tcp:
    wi_udp_fini(&w->udp);
no_udp:
    wi_net_free(w->net);
no_net:
    wi_core_fini(&w->core);
no_core:
    cfg->alloc.free(cfg->alloc.ctx, w, sizeof(*w));
    return NULL;
}

void weir_free(struct weir *w)
{
    if (!w)
        return;
    enter(w);
    wi_sock_fini(&w->sock);
    wi_tcp_fini(&w->tcp);
    wi_udp_fini(&w->udp);
    wi_net_free(w->net);
    wi_core_fini(&w->core);
    struct weir_alloc alloc = w->alloc;
    alloc.free(alloc.ctx, w, sizeof(*w));
}

struct weir_pool *weir_stack_pool(struct weir *w)
{
    return w->core.pool;
}

size_t weir_mem_used(const struct weir *w)
{
    return w->core.mem->used;
}

weir_ns weir_now(const struct weir *w)
{
    return w->core.now;
}

const char *weir_hostname(const struct weir *w)
{
    return w->core.hostname;
}

/* ---- Packets and time ---- */

void weir_input(struct weir *w, int netif, struct weir_pkt **pkts, unsigned n, weir_ns now)
{
    enter(w);
    tell_time(w, now);
    wi_net_input(w->net, netif, pkts, n);
    wi_pool_idle(w->core.pool, w->core.now);
    leave(w);
    wi_tcp_park_idle(&w->tcp);
}

void weir_advance(struct weir *w, weir_ns now)
{
    enter(w);
    tell_time(w, now);
    wi_wheel_advance(&w->core.wheel, w->core.now);
    wi_pool_idle(w->core.pool, w->core.now);
    leave(w);
    wi_tcp_park_idle(&w->tcp);
}

weir_ns weir_deadline(const struct weir *w)
{
    /* Looking puts timers right that were moved: nothing that a caller could tell. */
    return wi_wheel_deadline(&((struct weir *)(uintptr_t)w)->core.wheel);
}

/* ---- Interfaces, addresses, routes, neighbours ---- */

int weir_netif_add(struct weir *w, const struct weir_netif_ops *ops, void *driver, const struct weir_netif_config *cfg)
{
    enter(w);
    int result = wi_net_netif_add(w->net, ops, driver, cfg);
    leave(w);
    return result;
}

int weir_netif_del(struct weir *w, int netif)
{
    enter(w);
    int result = wi_net_netif_del(w->net, netif);
    leave(w);
    return result;
}

int weir_netif_set_up(struct weir *w, int netif, bool up)
{
    enter(w);
    int result = wi_net_netif_set_up(w->net, netif, up);
    leave(w);
    return result;
}

int weir_netif_set_mtu(struct weir *w, int netif, uint32_t mtu)
{
    enter(w);
    int result = wi_net_netif_set_mtu(w->net, netif, mtu);
    leave(w);
    return result;
}

void weir_netif_tx_ready(struct weir *w, int netif)
{
    enter(w);
    wi_net_netif_tx_ready(w->net, netif);
    leave(w);
}

int weir_addr_add(struct weir *w, int netif, const struct weir_addr *addr, unsigned prefix_len)
{
    enter(w);
    int result = wi_net_addr_add(w->net, netif, addr, prefix_len);
    leave(w);
    return result;
}

int weir_addr_del(struct weir *w, int netif, const struct weir_addr *addr)
{
    enter(w);
    int result = wi_net_addr_del(w->net, netif, addr);
    leave(w);
    return result;
}

int weir_route_add(struct weir *w, const struct weir_route *route)
{
    enter(w);
    int result = wi_net_route_add(w->net, route);
    leave(w);
    return result;
}

int weir_route_del(struct weir *w, const struct weir_route *route)
{
    enter(w);
    int result = wi_net_route_del(w->net, route);
    leave(w);
    return result;
}

int weir_neigh_set(struct weir *w, int netif, const struct weir_addr *addr, const uint8_t mac[6])
{
    enter(w);
    int result = wi_net_neigh_set(w->net, netif, addr, mac);
    leave(w);
    return result;
}

enum weir_neigh_state weir_neigh_state(const struct weir *w, int netif, const struct weir_addr *addr)
{
    return wi_net_neigh_state(w->net, netif, addr);
}

/* ---- Tunables, counters, invariants ---- */

int weir_sysctl_set(struct weir *w, const char *name, const char *value)
{
    return wi_sysctl_set(&w->core.sysctl, name, value);
}

int weir_sysctl_get(const struct weir *w, const char *name, char *buf, size_t cap)
{
    return wi_sysctl_get(&w->core.sysctl, name, buf, cap);
}

int weir_stat_get(const struct weir *w, const char *name, uint64_t *value)
{
    return wi_stats_get(&w->core.stats, name, value);
}

int weir_shards_stat(const struct weir *const *stacks, unsigned n, const char *name, uint64_t *sum)
{
    uint64_t all = 0, one = 0;
    for (unsigned i = 0; i < n; i++, all += one) {
        if (weir_stat_get(stacks[i], name, &one) < 0)
            return -WEIR_ENOENT;
    }
    *sum = all;
    return 0;
}

const char *weir_check(const struct weir *w)
{
    const char *wrong = wi_net_check(w->net);
    if (!wrong)
        wrong = wi_udp_check(&w->udp);
    if (!wrong)
        wrong = wi_tcp_check_all(&w->tcp);
    return wrong ? wrong : wi_sock_check(&w->sock);
}

/* ---- Sockets ---- */

weir_fd weir_socket(struct weir *w, int family, int type, int protocol)
{
    return wi_sock_socket(quietly(w), family, type, protocol);
}

int weir_bind(struct weir *w, weir_fd fd, const struct weir_sockaddr *addr)
{
    return wi_sock_bind(quietly(w), fd, addr);
}

int weir_listen(struct weir *w, weir_fd fd, int backlog)
{
    return wi_sock_listen(quietly(w), fd, backlog);
}

weir_fd weir_accept(struct weir *w, weir_fd fd, struct weir_sockaddr *peer)
{
    enter(w);
    weir_fd result = wi_sock_accept(&w->sock, fd, peer);
    leave(w);
    return result;
}

int weir_connect(struct weir *w, weir_fd fd, const struct weir_sockaddr *addr)
{
    enter(w);
    int result = wi_sock_connect(&w->sock, fd, addr);
    leave(w);
    return result;
}

int weir_tcp_admit(struct weir *w, weir_fd fd)
{
    enter(w);
    int result = wi_sock_admit(&w->sock, fd);
    leave(w);
    return result;
}

int weir_tcp_refuse(struct weir *w, weir_fd fd, int err)
{
    enter(w);
    int result = wi_sock_refuse(&w->sock, fd, err);
    leave(w);
    return result;
}

int64_t weir_sendmsg(struct weir *w, weir_fd fd, const struct weir_msg *msg, int flags)
{
    enter(w);
    int64_t result = wi_sock_sendmsg(&w->sock, fd, msg, flags);
    leave(w);
    return result;
}

int64_t weir_send(struct weir *w, weir_fd fd, const void *buf, size_t len, int flags)
{
    return weir_sendto(w, fd, buf, len, flags, NULL);
}

int64_t weir_sendto(struct weir *w, weir_fd fd, const void *buf, size_t len, int flags, const struct weir_sockaddr *to)
{
    /* Both are lent for reading only: const goes because the struct serves recvmsg as well. */
    struct weir_iovec iov = {.base = (void *)(uintptr_t)buf, .len = len};
    struct weir_msg msg = {.name = (struct weir_sockaddr *)(uintptr_t)to, .iov = &iov, .iov_n = 1};
    return weir_sendmsg(w, fd, &msg, flags);
}

int64_t weir_recvmsg(struct weir *w, weir_fd fd, struct weir_msg *msg, int flags)
{
    enter(w);
    int64_t result = wi_sock_recvmsg(&w->sock, fd, msg, flags);
    leave(w);
    return result;
}

int64_t weir_recv(struct weir *w, weir_fd fd, void *buf, size_t len, int flags)
{
    return weir_recvfrom(w, fd, buf, len, flags, NULL);
}

int64_t weir_recvfrom(struct weir *w, weir_fd fd, void *buf, size_t len, int flags, struct weir_sockaddr *src)
{
    struct weir_iovec iov = {.base = buf, .len = len};
    struct weir_msg msg = {.name = src, .iov = &iov, .iov_n = 1};
    return weir_recvmsg(w, fd, &msg, flags);
}

int64_t weir_send_frags(struct weir *w, weir_fd fd, const struct weir_frag *frags, unsigned n, int flags)
{
    enter(w);
    int64_t result = wi_sock_send_frags(&w->sock, fd, frags, n, flags);
    leave(w);
    return result;
}

int64_t weir_recv_frags(struct weir *w, weir_fd fd, struct weir_frag *frags, unsigned n, size_t max, size_t *bytes)
{
    enter(w);
    int64_t result = wi_sock_recv_frags(&w->sock, fd, frags, n, max, bytes);
    leave(w);
    return result;
}

int weir_shutdown(struct weir *w, weir_fd fd, int how)
{
    enter(w);
    int result = wi_sock_shutdown(&w->sock, fd, how);
    leave(w);
    return result;
}

int weir_close(struct weir *w, weir_fd fd)
{
    enter(w);
    int result = wi_sock_close(&w->sock, fd);
    leave(w);
    return result;
}

int weir_abort(struct weir *w, weir_fd fd)
{
    enter(w);
    int result = wi_sock_abort(&w->sock, fd);
    leave(w);
    return result;
}

int weir_getsockname(struct weir *w, weir_fd fd, struct weir_sockaddr *out)
{
    return wi_sock_getsockname(quietly(w), fd, out);
}

int weir_getpeername(struct weir *w, weir_fd fd, struct weir_sockaddr *out)
{
    return wi_sock_getpeername(quietly(w), fd, out);
}

int weir_getsockopt(struct weir *w, weir_fd fd, int level, int name, void *value, uint32_t *len)
{
    return wi_sock_getsockopt(quietly(w), fd, level, name, value, len);
}

int weir_setsockopt(struct weir *w, weir_fd fd, int level, int name, const void *value, uint32_t len)
{
    enter(w);
    int result = wi_sock_setsockopt(&w->sock, fd, level, name, value, len);
    leave(w);
    return result;
}

int weir_ioctl(struct weir *w, weir_fd fd, enum weir_ioctl what, int *value)
{
    return wi_sock_ioctl(quietly(w), fd, what, value);
}

int weir_sock_next(const struct weir *w, struct weir_sock_cursor *at, struct weir_sock_info *info,
                   struct weir_tcp_info *tcp)
{
    WI_ASSERT(!w->is_inside);
    return wi_sock_next(&w->sock, at, info, tcp);
}

/* ---- Readiness ---- */

int weir_poll(struct weir *w, struct weir_pollfd *fds, unsigned n)
{
    return wi_sock_poll(quietly(w), fds, n);
}

int weir_select(struct weir *w, struct weir_fd_set *readable, struct weir_fd_set *writable,
                struct weir_fd_set *exceptional)
{
    return wi_sock_select(quietly(w), readable, writable, exceptional);
}

weir_fd weir_epoll_create(struct weir *w)
{
    return wi_sock_epoll_create(quietly(w));
}

int weir_epoll_ctl(struct weir *w, weir_fd epoll, int op, weir_fd fd, const struct weir_epoll_event *ev)
{
    return wi_sock_epoll_ctl(quietly(w), epoll, op, fd, ev);
}

int weir_epoll_wait(struct weir *w, weir_fd epoll, struct weir_epoll_event *events, int max)
{
    return wi_sock_epoll_wait(quietly(w), epoll, events, max);
}
