/*
 * Children: the connections that a listener makes, in accept's queue or held (WEIR_OPT_HOLD_SYN), and what they
 * inherit.
 */
#include "tcp/listen.h"
#include "tcp/sock.h"

/* Linux clones the whole socket; this is what a user can have set on it. */
static void inherit(struct wi_tcp_conn *child, const struct wi_tcp_conn *l)
{
    wi_tcp_options_copy(child, l);
    child->fo.queue_max = 0;
    child->sk.opts.any_port = child->sk.opts.hold_syn = false;
    child->sk.has_addr = true;
}

struct wi_tcp_conn *wi_tcp_child_new(struct wi_tcp_conn *l, const struct wi_tcp_tuple *t, int netif, uint64_t id)
{
    struct wi_tcp *tcp = l->tcp;
    struct wi_tcp_conn *child = wi_tcp_conn_new(tcp, l->sk.family);
    if (!child)
        return NULL;
    inherit(child, l);
    child->sk.id = id;
    child->sk.local.addr = t->local;
    child->sk.local.port = t->local_port;
    child->sk.remote.addr = t->remote;
    child->sk.remote.port = t->remote_port;
    if (!weir_addr_is_v4(&t->remote) && weir_addr_is_linklocal(&t->remote)) {
        child->sk.local.scope_id = child->sk.remote.scope_id = (uint32_t)netif;
        child->sk.opts.bound_if = netif;
    }
    if (!wi_net_is_local(tcp->net, &t->local))
        child->sk.opts.transparent = true; /* a gateway: it goes on as the host that was asked for */
    if (wi_tcp_route_back(tcp, child, t, netif, &child->dst) < 0 ||
        wi_ports_inherit(&tcp->ports, &child->sk, &l->sk) < 0) {
        wi_tcp_owe(child, WI_TCP_OWE_FREE);
        return NULL;
    }
    return child;
}

void wi_tcp_child_enqueue(struct wi_tcp_listener *l, struct wi_tcp_conn *child)
{
    child->listener = l;
    child->sock_state = WI_TCP_CONNECTED;
    wi_list_add_tail(&l->children, &child->queue_link);
    l->child_n++;
}

enum weir_drop wi_tcp_child_establish(struct wi_tcp_conn *child, const struct wi_tcp_syn *syn, struct wi_tcp_seg *seg)
{
    wi_tcp_open_passive(child, syn);
    wi_tcp_demux_insert(child);
    return wi_tcp_input(child, seg);
}

/* ---- Held children ---- */

void wi_tcp_held_fail(struct wi_tcp_conn *child, int err)
{
    child->held = NULL;
    if (child->listener || !child->sk.owner) {
        wi_tcp_listen_forget(child);
        wi_tcp_owe(child, WI_TCP_OWE_FREE);
        return;
    }
    child->sk.err = err;
    child->shut = 3;
    wi_ports_release(&child->tcp->ports, &child->sk);
    child->sk.local.port = child->sk.remote.port ? child->sk.local.port : 0;
    wi_sk_ready(&child->sk, WI_SK_CHANGED);
}

int wi_tcp_admit(struct wi_sk *sk)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    struct wi_tcp_request *req = c->held;
    if (!req || req->syn.synack_at)
        return -WEIR_EINVAL;
    if (req->held->syn)
        weir_pkt_unref(req->held->syn);
    req->held->syn = NULL;
    if (wi_tcp_request_answer(c->tcp, req, NULL) < 0) /* no route just now: as if the SYN-ACK got lost */
        wi_timer_arm(&sk->core->wheel, &req->timer, sk->core->now + WI_TCP_RTO_INIT);
    return 0;
}

/* The reset that a closed port would have sent. RFC 9293 3.10.7.1. */
static void reset_peer(struct wi_tcp *tcp, const struct wi_tcp_request *req)
{
    struct wi_dst dst;
    const struct wi_tcp_tuple *t = &req->tuple;
    bool was_answered = req->syn.synack_at != 0;
    if (wi_tcp_route_back(tcp, req->held->child, t, req->netif, &dst) < 0)
        return;
    struct wi_tcp_bare b = {
        .dst = &dst,
        .local = wi_tcp_sockaddr(&t->local, t->local_port),
        .remote = wi_tcp_sockaddr(&t->remote, t->remote_port),
        .h = {.src_port = t->local_port,
              .dst_port = t->remote_port,
              .seq = was_answered ? wi_seq_add(req->syn.iss, 1) : (struct wi_seq){0},
              .ack = wi_seq_add(req->syn.irs, 1),
              .flags = WI_TH_RST | WI_TH_ACK},
        .why = was_answered ? WEIR_WHY_RST_ABORT : WEIR_WHY_RST_CLOSED,
        .conn_id = req->syn.id,
        .iss = req->syn.iss,
        .irs = req->syn.irs,
    };
    (void)wi_tcp_send_bare(tcp, &b); /* like one that got lost: the peer's next SYN finds nobody */
}

static void forget_held(struct wi_tcp_conn *child, const char *cause)
{
    struct wi_tcp_request *req = child->held;
    wi_tcp_event_stray_state(child->tcp, &req->tuple, req->syn.id, WEIR_TCP_SYN_RCVD, WEIR_TCP_CLOSED, cause);
    wi_tcp_request_drop(child->tcp, req);
    wi_tcp_listen_forget(child);
    wi_tcp_owe(child, WI_TCP_OWE_FREE);
}

void wi_tcp_held_abandon(struct wi_tcp_conn *child)
{
    reset_peer(child->tcp, child->held);
    forget_held(child, "closed before the handshake");
}

int wi_tcp_refuse(struct wi_sk *sk, int err)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    struct wi_tcp_request *req = c->held;
    if (!req || req->syn.synack_at)
        return -WEIR_EINVAL;
    const struct wi_tcp_held *held = req->held;
    switch (err < 0 ? -err : err) {
    case WEIR_ECONNREFUSED: reset_peer(c->tcp, req); break;
    case WEIR_EHOSTUNREACH: wi_net_send_unreach(sk->net, WI_UNREACH_HOST, held->syn, &held->ip, held->netif); break;
    case WEIR_ENETUNREACH: wi_net_send_unreach(sk->net, WI_UNREACH_NET, held->syn, &held->ip, held->netif); break;
    case WEIR_EACCES: wi_net_send_unreach(sk->net, WI_UNREACH_ADMIN, held->syn, &held->ip, held->netif); break;
    case 0:
    case WEIR_ETIMEDOUT: break;
    default: return -WEIR_EINVAL;
    }
    sk->owner = NULL; /* the handle is let go of by the caller */
    forget_held(c, "refused");
    return 0;
}
