/*
 * A connection in the event stream: each kind of event that TCP tells, with everything that its readers need.
 */
#include "tcp/send.h"

static void fill_conn(const struct wi_tcp_conn *c, struct weir_ev_conn *e)
{
    uint32_t mss = c->snd_mss;
    *e = (struct weir_ev_conn){
        .cwnd_bytes = c->cwnd * mss,
        .ssthresh_bytes = c->ssthresh >= WI_TCP_SSTHRESH_INF ? UINT32_MAX : c->ssthresh * mss,
        .flight_bytes = (uint32_t)wi_seq_diff(c->snd_nxt, c->snd_una),
        .snd_wnd_bytes = c->snd_wnd_bytes,
        .rcv_wnd_bytes = c->rcv_wnd_bytes,
        .srtt = WEIR_US((weir_ns)(c->rtt.srtt_us8 >> 3)),
        .rttvar = WEIR_US((weir_ns)(c->rtt.rttvar_us4 >> 2)),
        .rto = c->rtt.rto,
    };
}

void wi_tcp_event_begin(const struct wi_tcp_conn *c, enum weir_event_kind kind, struct weir_event *e)
{
    *e = (struct weir_event){
        .kind = kind,
        .conn_id = c->sk.id,
        .local = c->sk.local.port ? &c->sk.local : NULL,
        .remote = c->sk.remote.port ? &c->sk.remote : NULL,
    };
    fill_conn(c, &e->conn);
}

static void emit(const struct wi_tcp_conn *c, struct weir_event *e)
{
    (void)wi_event_emit(c->sk.core, e);
}

/* A header, numbers relative to the directions' initial ones: `iss` the sender's. SACK blocks and the acknowledgement
 * count in the other direction. */
static struct weir_ev_seg seg_of(const struct wi_wire_tcp *h, struct wi_seq iss, struct wi_seq irs, unsigned wscale)
{
    struct weir_ev_seg s = {
        .seq = h->seq.v,
        .ack = h->ack.v,
        .seq_rel = h->seq.v - iss.v,
        .ack_rel = h->flags & WI_TH_ACK ? h->ack.v - irs.v : 0,
        .len = h->data_len,
        .wnd_bytes = h->flags & WI_TH_SYN ? h->wnd : (uint32_t)h->wnd << wscale,
        .flags = h->flags,
        .sack_n = h->sack_n,
    };
    for (unsigned i = 0; i < h->sack_n; i++) {
        s.sack[i].lo_rel = h->sacks[i].lo.v - irs.v;
        s.sack[i].hi_rel = h->sacks[i].hi.v - irs.v;
    }
    return s;
}

uint64_t wi_tcp_event_seg_out(const struct wi_tcp_conn *c, const struct wi_wire_tcp *h, const struct weir_pkt *pkt,
                              enum weir_why why)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_SEG_OUT))
        return 0;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_SEG_OUT, &e);
    e.u.seg = seg_of(h, c->iss, c->irs, c->rcv_wscale);
    e.u.seg.pkt = pkt;
    e.u.seg.gso_size = pkt->gso_size;
    e.u.seg.why = why;
    if (why == WEIR_WHY_REXMIT_DUPACK)
        e.u.seg.dupacks = c->loss.dupacks;
    return wi_event_emit(c->sk.core, &e);
}

uint64_t wi_tcp_event_bare_out(struct wi_tcp *t, const struct wi_tcp_bare *b, const struct weir_pkt *pkt)
{
    if (!wi_event_wanted(t->core, WEIR_EV_SEG_OUT))
        return 0;
    struct weir_event e = {
        .kind = WEIR_EV_SEG_OUT,
        .conn_id = b->conn_id,
        .local = &b->local,
        .remote = &b->remote,
    };
    e.u.seg = seg_of(&b->h, b->iss, b->irs, b->wscale);
    e.u.seg.pkt = pkt;
    e.u.seg.why = b->why;
    return wi_event_emit(t->core, &e);
}

void wi_tcp_event_seg_in(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_SEG_IN))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_SEG_IN, &e);
    bool has_irs = c->state != WEIR_TCP_SYN_SENT;
    struct wi_seq irs = has_irs ? c->irs : s->h.seq;
    e.u.seg = seg_of(&s->h, irs, c->iss, c->snd_wscale);
    e.u.seg.pkt = s->pkt;
    e.u.seg.gso_size = s->gso_size;
    emit(c, &e);
}

void wi_tcp_event_rexmit(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r, enum weir_why why)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_REXMIT))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_REXMIT, &e);
    e.u.rexmit.why = why;
    e.u.rexmit.seq_rel = r->seq.v - c->iss.v;
    e.u.rexmit.len = wi_tcp_rec_len(r);
    emit(c, &e);
}

void wi_tcp_event_pmtu(const struct wi_tcp_conn *c, uint32_t size_before, const char *cause)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_PMTU))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_PMTU, &e);
    e.u.pmtu.cause = cause;
    e.u.pmtu.size_before_bytes = size_before;
    e.u.pmtu.size_bytes = wi_tcp_mss_to_mtu(c, c->snd_mss);
    e.u.pmtu.probe_bytes = c->mtup.probe_size;
    emit(c, &e);
}

void wi_tcp_event_rtt(const struct wi_tcp_conn *c, weir_ns sample)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_RTT))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_RTT, &e);
    e.u.rtt.sample = sample;
    emit(c, &e);
}

void wi_tcp_event_cwnd(const struct wi_tcp_conn *c, uint32_t cwnd_before, const char *cause)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_CWND))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_CWND, &e);
    e.u.cwnd.cause = cause;
    e.u.cwnd.cwnd_before_bytes = cwnd_before * c->snd_mss;
    emit(c, &e);
}

void wi_tcp_event_timer(const struct wi_tcp_conn *c, enum weir_timer which)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_TIMER))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_TIMER, &e);
    e.u.timer.which = which;
    e.u.timer.backoff = which == WEIR_TIMER_PERSIST ? c->probe_backoff : c->rtt.backoff;
    emit(c, &e);
}

void wi_tcp_event_state(const struct wi_tcp_conn *c, enum weir_tcp_state from, enum weir_tcp_state to,
                        const char *cause)
{
    if (!wi_event_wanted(c->sk.core, WEIR_EV_STATE))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_STATE, &e);
    e.u.state.from = from;
    e.u.state.to = to;
    e.u.state.cause = cause;
    emit(c, &e);
}

/* What the peer acknowledged of the program's bytes: the SYN of an active open and the FIN took a number each. */
static uint64_t payload_acked(const struct wi_tcp_conn *c)
{
    uint64_t n = c->bytes_acked;
    if (n && c->is_active)
        n--;
    return n && c->fin_queued && wi_seq_eq(c->snd_una, c->write_seq) ? n - 1 : n;
}

void wi_tcp_event_close(struct wi_tcp_conn *c)
{
    if (c->close_told)
        return;
    c->close_told = true;
    if (!wi_event_wanted(c->sk.core, WEIR_EV_CLOSE))
        return;
    struct weir_event e;
    wi_tcp_event_begin(c, WEIR_EV_CLOSE, &e);
    e.u.close.bytes_out = payload_acked(c);
    e.u.close.bytes_in = c->bytes_received;
    e.u.close.segs_out = c->segs_out;
    e.u.close.segs_in = c->segs_in;
    e.u.close.rexmits = c->total_retrans;
    e.u.close.opened_at = c->opened_at;
    struct weir_ledger ledger = wi_tcp_ledger_read(c);
    e.u.close.ledger = &ledger;
    e.u.close.err = c->end_err;
    e.u.close.is_active = c->is_active;
    emit(c, &e);
}
