/*
 * ICMP errors to a connection: RFC 1122 4.2.3.9 says what is hard and soft, RFC 5927 that a connection that stands does
 * not fall by ICMP, and that a quoted sequence number must be outstanding.
 */
#include "tcp/fastopen.h"
#include "tcp/send.h"

/* A smaller path MTU, RFC 1191 6.3, RFC 8201 5.2. */
static enum weir_drop too_big(struct wi_tcp_conn *c, const struct wi_net_error *e)
{
    if (!wi_sk_believes_too_big(&c->sk.opts, weir_addr_is_v4(&c->sk.remote.addr)))
        return WEIR_DROP_ICMP_MTU;
    if (e->mtu)
        (void)wi_net_pmtu_learn(c->sk.net, &c->sk.remote.addr,
                                e->mtu); /* another connection may have been told first */
    if (!wi_tcp_route_refresh(c) || c->dst.mtu >= c->pmtu)
        return WEIR_DROP_ICMP_MTU;
    c->mtu_fell = false;
    wi_tcp_mtu_reduced(c, c->dst.mtu);
    return WEIR_DROP_NONE;
}

static void tell(const struct wi_tcp_conn *c, const struct wi_net_error *e, bool is_fatal)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_ICMP_IN))
        return;
    struct weir_event ev;
    wi_tcp_event_begin(c, WEIR_EV_ICMP_IN, &ev);
    ev.u.icmp.type = e->type;
    ev.u.icmp.code = e->code;
    ev.u.icmp.err = e->err;
    ev.u.icmp.hard = is_fatal;
    (void)wi_event_emit(c->sk.core, &ev);
}

/* A destination unreachable while the RTO has backed off: the route may be back sooner than the timer. RFC 6069. */
static void revert_backoff(struct wi_tcp_conn *c, struct wi_seq seq)
{
    if (!wi_seq_eq(seq, c->snd_una) || c->rtt.backoff == 0 || c->loss.retransmits == 0 || !c->rtt.srtt_us8)
        return;
    c->rtt.backoff--;
    c->rtt.rto /= 2;
    if (c->rtt.rto < wi_tcp_rto_min(c))
        c->rtt.rto = wi_tcp_rto_min(c);
    wi_tcp_rearm_rto(c);
}

enum weir_drop wi_tcp_icmp(struct wi_tcp_conn *c, const struct wi_net_error *e, struct wi_seq seq)
{
    if (c->state == WEIR_TCP_CLOSED || c->is_shell)
        return WEIR_DROP_ICMP_NO_SOCKET;
    wi_tcp_ledger_charge(c);
    struct wi_seq low = c->fo.pending ? c->iss : c->snd_una; /* its SYN-ACK lies in no queue */
    if (c->state != WEIR_TCP_LISTEN && (wi_seq_lt(seq, low) || wi_seq_gt(seq, c->snd_nxt)))
        return WEIR_DROP_ICMP_STALE;
    if (e->err == WEIR_EMSGSIZE) {
        tell(c, e, false);
        return too_big(c, e);
    }
    bool is_opening = c->state == WEIR_TCP_SYN_SENT || c->state == WEIR_TCP_SYN_RCVD;
    if (c->fo.pending && !c->listener)
        is_opening = false; /* accepted: to its owner it is a connection like any other (Linux) */
    tell(c, e, is_opening);
    if (is_opening) { /* nothing stands yet: the user hears at once, as on Linux */
        wi_tcp_fo_unanswered(c);
        wi_tcp_done(c, e->err, WEIR_WHY_NONE, "ICMP error");
        return WEIR_DROP_NONE;
    }
    /* RFC 5927 5.2: hard errors are soft for a connection that stands. A timeout will report it. */
    c->sk.err_soft = e->err;
    if (c->sk.opts.recverr && c->sk.owner) { /* its owner wants to hear at once, once; the connection goes on (Linux) */
        c->sk.err = e->err;
        wi_sk_ready(&c->sk, WEIR_POLLERR);
    }
    if (e->err == WEIR_EHOSTUNREACH || e->err == WEIR_ENETUNREACH)
        revert_backoff(c, seq);
    return WEIR_DROP_TCP_ICMP_SOFT;
}
