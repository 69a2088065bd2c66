/*
 * The walk over all sockets (weir/diag.h): first the handles, then what has none, which TCP's tables know. Handles have
 * an index that stays, and the tables an order that does (base/htable.h), so the stack may go on between two steps.
 */
#include "sock/sock.h"

#include "base/str.h"
#include "tcp/conn.h"
#include "tcp/diag.h"
#include "tcp/listen.h"
#include "tcp/timewait.h"
#include "udp/udp.h"

enum stage { HANDLES, CONNECTIONS, REQUESTS, TIMEWAITS, OVER };

/* What a step fills. */
struct out {
    struct weir_sock_info *info;
    struct weir_tcp_info *tcp;
};

static void fill_udp(const struct wi_udp_sk *us, struct weir_sock_info *info)
{
    memset(info, 0, sizeof *info);
    info->id = us->sk.id;
    info->family = us->sk.family;
    info->protocol = WEIR_IPPROTO_UDP;
    info->state = us->is_connected ? WEIR_SOCK_ESTABLISHED : WEIR_SOCK_CLOSE;
    info->is_v6only = us->sk.opts.v6only;
    info->shutdown = us->shut;
    info->local = us->sk.local;
    info->remote = us->sk.remote;
    info->netif = us->sk.opts.bound_if;
    info->recv_q = us->rx_bytes;
    info->meminfo[WEIR_MEMINFO_RMEM_ALLOC] = us->rx_bytes;
    info->meminfo[WEIR_MEMINFO_RCVBUF] = us->sk.opts.rcvbuf_bytes;
    info->meminfo[WEIR_MEMINFO_SNDBUF] = us->sk.opts.sndbuf_bytes;
}

static bool is_wanted(const struct weir_sock_cursor *at, unsigned protocol)
{
    return !at->protocol || at->protocol == protocol;
}

/* Of a handle; false: it is none of a socket, or of one that is not wanted. */
static bool fill_handle(const struct wi_sock *s, const struct weir_sock_cursor *at, struct wi_handle *h,
                        const struct out *out)
{
    if (h->kind == WI_HANDLE_PARKED) {
        if (!is_wanted(at, WEIR_IPPROTO_TCP))
            return false;
        wi_tcp_diag_parked(s->tcp, h->parked, out->info, out->tcp);
    } else if (h->kind != WI_HANDLE_SOCKET || !is_wanted(at, h->sk->protocol)) {
        return false;
    } else if (h->sk->protocol == WEIR_IPPROTO_TCP) {
        wi_tcp_diag_conn(wi_tcp_conn_of(h->sk), out->info, out->tcp);
    } else {
        fill_udp(wi_udp_sk_of(h->sk), out->info);
    }
    out->info->fd = h->fd;
    return true;
}

static bool next_handle(const struct wi_sock *s, struct weir_sock_cursor *at, const struct out *out)
{
    for (struct wi_handle *h; (h = wi_handle_next(&s->handles, &at->index));) {
        if (fill_handle(s, at, h, out))
            return true;
    }
    return false;
}

/* Of a table's node; false: its socket is told of elsewhere. */
static bool fill_node(const struct wi_sock *s, enum stage stage, struct wi_hnode *node, const struct out *out)
{
    if (stage == CONNECTIONS) {
        const struct wi_tcp_conn *c = WI_CONTAINER_OF(node, struct wi_tcp_conn, hnode);
        if (c->sk.owner)
            return false;
        wi_tcp_diag_conn(c, out->info, out->tcp);
    } else if (stage == REQUESTS) {
        const struct wi_tcp_request *req = WI_CONTAINER_OF(node, struct wi_tcp_request, node);
        if (req->held && req->held->child->sk.owner)
            return false;
        wi_tcp_diag_request(s->tcp, req, out->info);
    } else {
        wi_tcp_diag_timewait(s->tcp, WI_CONTAINER_OF(node, struct wi_tcp_timewait, node), out->info);
    }
    return true;
}

static bool next_node(const struct wi_sock *s, struct weir_sock_cursor *at, const struct wi_htable *table,
                      const struct out *out)
{
    struct wi_htable_walk walk = {.at = at->at, .given_n = at->given_n};
    bool is_found = false;
    for (struct wi_hnode *node; !is_found && (node = wi_htable_walk_next(table, &walk));)
        is_found = fill_node(s, (enum stage)at->stage, node, out);
    at->at = walk.at;
    at->given_n = walk.given_n;
    return is_found;
}

static bool next_in_stage(const struct wi_sock *s, struct weir_sock_cursor *at, const struct out *out)
{
    if (at->stage == HANDLES)
        return next_handle(s, at, out);
    if (!is_wanted(at, WEIR_IPPROTO_TCP))
        return false;
    const struct wi_htable *tables[] = {
        [CONNECTIONS] = &s->tcp->conns, [REQUESTS] = &s->tcp->requests, [TIMEWAITS] = &s->tcp->timewaits};
    return next_node(s, at, tables[at->stage], out);
}

int wi_sock_next(const struct wi_sock *s, struct weir_sock_cursor *at, struct weir_sock_info *info,
                 struct weir_tcp_info *tcp)
{
    struct out out = {info, tcp};
    for (; at->stage < OVER; at->stage++) {
        if (next_in_stage(s, at, &out))
            return 1;
        at->at = 0;
        at->given_n = 0;
    }
    return 0;
}
