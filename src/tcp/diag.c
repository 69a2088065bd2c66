/* What weir/diag.h tells of TCP, as Linux's inet_diag fills it. */
#include "tcp/diag.h"

#include "base/str.h"
#include "tcp/listen.h"
#include "tcp/send.h"
#include "tcp/sock.h"
#include "tcp/timewait.h"

static weir_ns left_of(const struct wi_core *core, weir_ns due)
{
    return due > core->now ? due - core->now : 0;
}

/* Linux has one timer for what is sent again and what probes a window, which goes before keepalive. */
static void fill_timer(const struct wi_tcp_conn *c, struct weir_sock_info *info)
{
    if (wi_timer_armed(&c->timer_rtx)) {
        bool is_persist = c->rtx_kind == WEIR_TIMER_PERSIST;
        info->timer = is_persist ? WEIR_SOCK_TIMER_PERSIST : WEIR_SOCK_TIMER_RETRANSMIT;
        info->timer_tries = is_persist ? c->probes_out : c->loss.retransmits;
        info->timer_left = left_of(c->sk.core, c->timer_rtx.due);
    } else if (wi_timer_armed(&c->timer_keep)) {
        info->timer = WEIR_SOCK_TIMER_KEEPALIVE;
        info->timer_tries = c->probes_out;
        info->timer_left = left_of(c->sk.core, c->timer_keep.due);
    }
}

static void fill_queues(const struct wi_tcp_conn *c, struct weir_sock_info *info)
{
    if (c->state == WEIR_TCP_LISTEN) {
        info->recv_q = c->listener->child_n;
        info->send_q = c->listener->backlog;
        return;
    }
    if (c->state == WEIR_TCP_CLOSED)
        return;
    info->send_q = (uint32_t)wi_seq_diff(c->write_seq, c->snd_una);
    int32_t unread = c->state == WEIR_TCP_SYN_SENT ? 0 : wi_seq_diff(c->rcv_nxt, c->copied_seq);
    info->recv_q = unread > 0 ? (uint32_t)unread : 0;
}

static void fill_memory(const struct wi_tcp_conn *c, uint32_t *words)
{
    words[WEIR_MEMINFO_RMEM_ALLOC] = c->rcvq.mem_bytes;
    words[WEIR_MEMINFO_WMEM_QUEUED] = c->sndq.mem_bytes;
    words[WEIR_MEMINFO_RCVBUF] = c->sk.opts.rcvbuf_bytes;
    words[WEIR_MEMINFO_SNDBUF] = c->sk.opts.sndbuf_bytes;
}

void wi_tcp_diag_conn(const struct wi_tcp_conn *c, struct weir_sock_info *info, struct weir_tcp_info *tcp)
{
    struct weir_tcp_info own;
    tcp = tcp ? tcp : &own;
    wi_tcp_info(c, tcp);
    memset(info, 0, sizeof *info);
    info->fd = -1;
    info->id = c->sk.id;
    info->family = c->sk.family;
    info->protocol = WEIR_IPPROTO_TCP;
    info->state = tcp->state;
    info->has_tcp_info = true;
    info->is_v6only = c->sk.opts.v6only;
    info->shutdown = c->shut;
    info->local = c->sk.local;
    info->remote = c->sk.remote;
    info->netif = c->sk.opts.bound_if;
    for (size_t i = 0; i < WEIR_CC_NAME_CAP - 1 && c->cc->name[i]; i++)
        info->congestion[i] = c->cc->name[i];
    if (c->cc->info && c->state != WEIR_TCP_LISTEN)
        info->cc_info_len = c->cc->info(c, &info->cc_info);
    fill_queues(c, info);
    fill_timer(c, info);
    fill_memory(c, info->meminfo);
}

void wi_tcp_diag_parked(const struct wi_tcp *t, const struct wi_tcp_parked *p, struct weir_sock_info *info,
                        struct weir_tcp_info *tcp)
{
    struct wi_tcp_conn c;
    weir_ns keepalive = wi_tcp_parked_read(t, p, &c);
    wi_tcp_diag_conn(&c, info, tcp);
    info->is_parked = true;
    if (keepalive == WEIR_NEVER)
        return;
    info->timer = WEIR_SOCK_TIMER_KEEPALIVE;
    info->timer_tries = c.probes_out;
    info->timer_left = left_of(t->core, keepalive);
}

static void fill_tuple(const struct wi_tcp_tuple *tuple, struct weir_sock_info *info)
{
    info->fd = -1;
    info->protocol = WEIR_IPPROTO_TCP;
    info->local = wi_tcp_sockaddr(&tuple->local, tuple->local_port);
    info->remote = wi_tcp_sockaddr(&tuple->remote, tuple->remote_port);
    info->family = info->local.family;
}

void wi_tcp_diag_request(const struct wi_tcp *t, const struct wi_tcp_request *req, struct weir_sock_info *info)
{
    memset(info, 0, sizeof *info);
    fill_tuple(&req->tuple, info);
    info->id = req->syn.id;
    info->state = WEIR_SOCK_SYN_RECV;
    info->netif = req->netif;
    if (!wi_timer_armed(&req->timer))
        return;
    info->timer = WEIR_SOCK_TIMER_RETRANSMIT;
    info->timer_tries = req->timeout_n;
    info->timer_left = left_of(t->core, req->timer.due);
}

void wi_tcp_diag_timewait(const struct wi_tcp *t, const struct wi_tcp_timewait *tw, struct weir_sock_info *info)
{
    memset(info, 0, sizeof *info);
    fill_tuple(&tw->tuple, info);
    info->id = tw->conn_id;
    info->state = tw->is_fin_wait_2 ? WEIR_SOCK_FIN_WAIT_2 : WEIR_SOCK_TIME_WAIT;
    info->netif = tw->netif;
    info->timer = WEIR_SOCK_TIMER_TIME_WAIT;
    info->timer_left =
        left_of(t->core, tw->is_fin_wait_2 ? ((const struct wi_tcp_fin_wait *)(const void *)tw)->timer.due : tw->due);
}
