/* Every invariant of a connection, for tests, simulation and fuzzing: what must hold whenever no call is under way. */
#include "tcp/demux.h"
#include "tcp/listen.h"

static bool belongs_in_table(const struct wi_tcp_conn *c)
{
    if (c->is_shell)
        return false;
    switch (c->state) {
    case WEIR_TCP_SYN_SENT:
    case WEIR_TCP_SYN_RCVD:
    case WEIR_TCP_ESTABLISHED:
    case WEIR_TCP_FIN_WAIT_1:
    case WEIR_TCP_FIN_WAIT_2:
    case WEIR_TCP_CLOSE_WAIT:
    case WEIR_TCP_CLOSING:
    case WEIR_TCP_LAST_ACK: return true;
    case WEIR_TCP_CLOSED:
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_TIME_WAIT: return false;
    case WEIR_TCP_STATE_N: break;
    }
    return false;
}

static const char *check_identity(const struct wi_tcp_conn *c)
{
    if (c->state >= WEIR_TCP_STATE_N)
        return "a connection in no state";
    if (c->is_hashed != belongs_in_table(c))
        return "a connection's place in the table contradicts its state";
    if (c->is_hashed) {
        struct wi_tcp_tuple t = wi_tcp_tuple_of(&c->sk);
        struct wi_tcp_key key = wi_tcp_key_of(c->tcp, &t, c->sk.opts.bound_if);
        if (wi_tcp_conn_find(c->tcp, &key) != c)
            return "a connection can't be found by its four-tuple";
        if (!c->sk.port || !c->sk.port_is_held)
            return "a connection does not hold its port";
    }
    if (c->is_orphan && c->sk.owner)
        return "an orphan has an owner";
    if (c->is_orphan && c->tcp->orphan_n == 0)
        return "an orphan is not counted";
    if (c->held && (c->state != WEIR_TCP_CLOSED || !c->held->held || c->held->held->child != c))
        return "a held connection and its request disagree";
    if (c->fo.pending && c->state != WEIR_TCP_SYN_RCVD && c->state != WEIR_TCP_FIN_WAIT_1)
        return "a Fast Open request outlived its handshake";
    return NULL;
}

static const char *check_listener(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_listener *l = c->listener;
    if (c->state != WEIR_TCP_LISTEN)
        return l && l->conn == c ? "a listener's queues outlived LISTEN" : NULL;
    if (!l || l->conn != c)
        return "a listener without queues";
    uint32_t request_n = 0, young_n = 0, child_n = 0;
    wi_list_for_each (req, &l->requests, struct wi_tcp_request, link) {
        if (req->listener != c)
            return "a request hangs on another listener's queue";
        request_n++;
        young_n += req->timeout_n == 0;
    }
    wi_list_for_each (child, &l->children, struct wi_tcp_conn, queue_link) {
        if (child->listener != l || child->sk.owner)
            return "accept's queue holds a connection that is not its own";
        child_n++;
    }
    if (request_n != l->request_n || young_n != l->young_n || child_n != l->child_n)
        return "a listener's counts are off";
    uint32_t fo_n = 0;
    wi_list_for_each (p, &l->fo_pending, struct wi_tcp_fo_pending, link) {
        fo_n++;
    }
    wi_list_for_each (p, &l->fo_resets, struct wi_tcp_fo_pending, link) {
        fo_n++;
    }
    if (fo_n != l->fo_n)
        return "a listener's count of Fast Open requests is off";
    return child_n > l->backlog + 1 ? "accept's queue is longer than its backlog allows" : NULL;
}

static const char *check_sequence(const struct wi_tcp_conn *c)
{
    if (wi_seq_gt(c->snd_una, c->snd_nxt))
        return "SND.UNA is beyond SND.NXT";
    if (wi_seq_gt(c->snd_nxt, c->write_seq))
        return "SND.NXT is beyond what was written";
    if (wi_seq_gt(c->rcv_wup, c->rcv_nxt))
        return "RCV.WUP is beyond RCV.NXT";
    if (wi_seq_gt(c->copied_seq, c->rcv_nxt))
        return "more was read than received";
    return NULL;
}

static const char *check_counts(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_loss *l = &c->loss;
    if (l->sacked_out + l->lost_out > l->packets_out)
        return "more segments are SACKed or lost than are outstanding";
    if (l->retrans_out > l->packets_out)
        return "more segments are retransmitted than are outstanding";
    if (c->cwnd == 0)
        return "the congestion window is 0";
    if (c->snd_mss == 0)
        return "the segment size is 0";
    return c->cc ? NULL : "no congestion control";
}

static const char *check_ecn(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_ecn *e = &c->ecn;
    if (e->mode != WI_TCP_ECN_ACCURATE && (e->reflect || e->received_ce || e->opt_demand || e->fail))
        return "AccECN's state without AccECN";
    if (e->mode != WI_TCP_ECN_CLASSIC && e->queue_cwr)
        return "CWR is owed without classic ECN";
    if (e->opt_min > WI_TCP_ECN_FIELDS || e->estimate > WI_TCP_ECN_FIELDS)
        return "AccECN counts fields that there are not";
    return NULL;
}

static bool has_timer(const struct wi_tcp_conn *c)
{
    return wi_timer_armed(&c->timer_rtx) || wi_timer_armed(&c->timer_delack) || wi_timer_armed(&c->timer_pace) ||
           wi_timer_armed(&c->timer_keep);
}

const char *wi_tcp_check(const struct wi_tcp_conn *c)
{
    static const char *(*const checks[])(const struct wi_tcp_conn *) = {
        check_identity,    check_listener,    check_sequence,      check_counts,
        wi_tcp_sndq_check, wi_tcp_rcvq_check, wi_tcp_ledger_check, check_ecn,
    };
    for (size_t i = 0; i < WI_ARRAY_LEN(checks); i++) {
        const char *broken = checks[i](c);
        if (broken)
            return broken;
    }
    return !belongs_in_table(c) && has_timer(c) ? "a timer of a connection that is over" : NULL;
}
