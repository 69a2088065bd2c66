/*
 * The connection's state: RFC 9293 3.3.2, figure 5, as a table of legal edges. Nothing else writes `state`, and what
 * belongs to entering a state happens here.
 */
#include "tcp/fastopen.h"
#include "tcp/send.h"

#define TO(s) (1u << WEIR_TCP_##s)

/*
 * Where each state may lead. Beyond figure 5, every state may end in CLOSED (reset, abort, time-out, 3.10.4, 3.10.7.4);
 * a listener's child is born in SYN-RCVD, from CLOSED, because its request was LISTEN's business; SYN-SENT may become
 * ESTABLISHED at once, and SYN-RCVD may close: 3.10.4.
 */
static const uint16_t legal[WEIR_TCP_STATE_N] = {
    [WEIR_TCP_CLOSED] = TO(LISTEN) | TO(SYN_SENT) | TO(SYN_RCVD),
    [WEIR_TCP_LISTEN] = TO(CLOSED) | TO(SYN_SENT) | TO(SYN_RCVD),
    [WEIR_TCP_SYN_SENT] = TO(CLOSED) | TO(SYN_RCVD) | TO(ESTABLISHED),
    [WEIR_TCP_SYN_RCVD] = TO(CLOSED) | TO(LISTEN) | TO(ESTABLISHED) | TO(FIN_WAIT_1) | TO(CLOSE_WAIT),
    [WEIR_TCP_ESTABLISHED] = TO(CLOSED) | TO(FIN_WAIT_1) | TO(CLOSE_WAIT),
    [WEIR_TCP_FIN_WAIT_1] = TO(CLOSED) | TO(FIN_WAIT_2) | TO(CLOSING) | TO(TIME_WAIT),
    [WEIR_TCP_FIN_WAIT_2] = TO(CLOSED) | TO(TIME_WAIT),
    [WEIR_TCP_CLOSE_WAIT] = TO(CLOSED) | TO(LAST_ACK),
    [WEIR_TCP_CLOSING] = TO(CLOSED) | TO(TIME_WAIT),
    [WEIR_TCP_LAST_ACK] = TO(CLOSED),
    [WEIR_TCP_TIME_WAIT] = TO(CLOSED),
};

static bool counts_as_established(enum weir_tcp_state s)
{
    return s == WEIR_TCP_ESTABLISHED || s == WEIR_TCP_CLOSE_WAIT;
}

/* RFC 4022: tcpCurrEstab, tcpEstabResets, tcpAttemptFails. */
static void count_edge(struct wi_core *core, enum weir_tcp_state from, enum weir_tcp_state to)
{
    if (!counts_as_established(from) && counts_as_established(to))
        wi_count(core, WI_STAT_TcpCurrEstab);
    else if (counts_as_established(from) && !counts_as_established(to))
        core->stats.count[WI_STAT_TcpCurrEstab]--;
    if (to != WEIR_TCP_CLOSED)
        return;
    if (counts_as_established(from))
        wi_count(core, WI_STAT_TcpEstabResets);
    else if (from == WEIR_TCP_SYN_SENT || from == WEIR_TCP_SYN_RCVD)
        wi_count(core, WI_STAT_TcpAttemptFails);
}

static void let_go(struct wi_tcp_conn *c)
{
    if (c->is_orphan) {
        c->is_orphan = false;
        c->tcp->orphan_n--;
    }
    if (!c->sk.owner && !c->listener)
        wi_tcp_owe(c, WI_TCP_OWE_FREE);
}

/* The connection has left the tables for good. */
static void enter_closed(struct wi_tcp_conn *c)
{
    wi_tcp_timers_stop(c);
    wi_tcp_fo_end(c);
    wi_tcp_event_close(c);
    wi_tcp_demux_remove(c);
    wi_tcp_sndq_purge(c);
    let_go(c);
}

/* A compact entry answers from now on; what is left here is what the owner has not read. */
static void enter_time_wait(struct wi_tcp_conn *c)
{
    wi_tcp_timers_stop(c);
    wi_tcp_event_close(c);
    c->is_shell = true;
    if (!wi_tcp_timewait_enter(c)) {
        wi_tcp_demux_remove(c);
        wi_tcp_event_state(c, WEIR_TCP_TIME_WAIT, WEIR_TCP_CLOSED, "no room for a TIME-WAIT entry");
    }
    wi_tcp_sndq_purge(c);
    let_go(c);
}

static bool is_forsaken_in_fin_wait_2(const struct wi_tcp_conn *c)
{
    return c->state == WEIR_TCP_FIN_WAIT_2 && !c->sk.owner && !c->listener && !c->is_shell;
}

void wi_tcp_bound_fin_wait_2(struct wi_tcp_conn *c)
{
    if (!is_forsaken_in_fin_wait_2(c))
        return;
    if (c->linger2_s < 0) {
        wi_count(c->sk.core, WI_STAT_TCPAbortOnLinger);
        wi_tcp_done(c, 0, WEIR_WHY_RST_ABORT, "TCP_LINGER2 below 0");
        return;
    }
    if (c->is_ack_sched)
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
}

/* Linux's tcp_fin_time: long enough for the peer to send its FIN a few times. */
static weir_ns fin_wait_2_lasts(const struct wi_tcp_conn *c)
{
    int64_t s = c->linger2_s ? c->linger2_s : c->sk.core->sysctl.tcp_fin_timeout;
    weir_ns least = c->rtt.rto * 7 / 2;
    return wi_max_u64(WEIR_SEC((weir_ns)s), least);
}

void wi_tcp_shrink_fin_wait_2(struct wi_tcp_conn *c)
{
    if (!is_forsaken_in_fin_wait_2(c))
        return;
    wi_tcp_timers_stop(c);
    wi_tcp_event_close(c);
    c->is_shell = true;
    wi_tcp_fin_wait_enter(c, fin_wait_2_lasts(c));
    wi_tcp_sndq_purge(c);
    let_go(c);
}

void wi_tcp_set_state(struct wi_tcp_conn *c, enum weir_tcp_state to, const char *cause)
{
    enum weir_tcp_state from = c->state;
    WI_ASSERT(legal[from] >> to & 1);
    wi_tcp_ledger_charge(c);
    count_edge(c->sk.core, from, to);
    c->state = to;
    /* A listener's child: the request's story told LISTEN → SYN-RCVD. A shell: its entry tells the end. */
    bool is_told = (from == WEIR_TCP_CLOSED && to == WEIR_TCP_SYN_RCVD) || c->is_shell;
    if (!is_told)
        wi_tcp_event_state(c, from, to, cause);

    switch (to) {
    case WEIR_TCP_CLOSED: enter_closed(c); return;
    case WEIR_TCP_TIME_WAIT: enter_time_wait(c); return;
    case WEIR_TCP_FIN_WAIT_2: wi_tcp_bound_fin_wait_2(c); return;
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_SYN_SENT:
    case WEIR_TCP_SYN_RCVD:
    case WEIR_TCP_ESTABLISHED:
    case WEIR_TCP_FIN_WAIT_1:
    case WEIR_TCP_CLOSE_WAIT:
    case WEIR_TCP_CLOSING:
    case WEIR_TCP_LAST_ACK: return;
    case WEIR_TCP_STATE_N: break;
    }
    WI_UNREACHABLE("no such state");
}

/* ---- Opening ---- */

/* Send sequence variables for a given initial number: RFC 9293 3.10.1. */
static void start_at(struct wi_tcp_conn *c, struct wi_seq iss)
{
    c->iss = iss;
    c->snd_una = c->snd_nxt = c->write_seq = c->snd_sml = c->snd_up = c->pushed_seq = iss;
}

int wi_tcp_open_active(struct wi_tcp_conn *c)
{
    c->is_active = true;
    c->opened_at = c->last_ack_in_at = c->sk.core->now;
    wi_tcp_ledger_begin(c);
    start_at(c, c->iss);
    wi_tcp_rtt_init(c);
    wi_tcp_loss_init(c);
    c->mss_clamp = c->user_mss ? c->user_mss : WI_TCP_MSS_DEFAULT_V4; /* until the peer says more, as Linux */
    c->advmss = wi_tcp_advmss(c);
    wi_tcp_mtup_init(c);
    wi_tcp_mss_sync(c, c->dst.mtu);
    wi_tcp_window_init(c);
    if (wi_tcp_sndq_syn(c) < 0)
        return -WEIR_ENOBUFS;
    wi_count(c->sk.core, WI_STAT_TcpActiveOpens);
    wi_tcp_set_state(c, WEIR_TCP_SYN_SENT, "user connect");
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
    return 0;
}

void wi_tcp_open_passive(struct wi_tcp_conn *c, const struct wi_tcp_syn *s)
{
    c->sk.id = s->id;
    c->opened_at = s->synack_at ? s->synack_at : c->sk.core->now;
    wi_tcp_ledger_begin(c);
    c->last_ack_in_at = c->sk.core->now;
    start_at(c, s->iss);
    /* The request's SYN-ACK is what was sent: it lies in no queue of ours. */
    c->snd_una = c->snd_nxt = c->write_seq = c->snd_sml = c->snd_up = c->pushed_seq = wi_seq_add(s->iss, 1);
    wi_tcp_rtt_init(c);
    wi_tcp_loss_init(c);

    c->irs = s->irs;
    c->rcv_nxt = c->rcv_wup = c->copied_seq = wi_seq_add(s->irs, 1);
    c->rcv_wnd_bytes = s->rcv_wnd_bytes;
    c->rcv_wscale = s->rcv_wscale;
    c->snd_wscale = s->snd_wscale;
    c->wscale_ok = s->wscale_ok;
    c->sack_ok = s->sack_ok;
    c->ts_ok = s->ts_ok;
    wi_tcp_ecn_open_passive(c, s);
    c->ts_off = s->ts_off;
    if (c->sk.core->sysctl.tcp_reflect_tos)
        c->sk.opts.tos = s->tos & (uint8_t)~3u;
    if (s->ts_ok) {
        c->ts_recent = s->ts_recent;
        c->ts_recent_at = c->sk.core->now;
    }
    c->snd_wl1 = s->irs;
    c->snd_wnd_bytes = c->snd_wnd_max_bytes = s->snd_wnd_bytes;
    wi_tcp_take_peer_mss(c, s->peer_mss);
    c->advmss = wi_tcp_advmss(c);
    wi_tcp_mss_sync(c, c->dst.mtu);
    if (s->synack_at && s->synack_rexmit_n == 0) /* Karn */
        c->synack_rtt_from = s->synack_at;
    c->synack_rexmit_n = s->synack_rexmit_n;
    c->total_retrans = c->total_rto = s->synack_rexmit_n;
    if (s->synack_rexmit_n && s->synack_at) {
        c->total_rto_recoveries = 1;
        c->total_rto_time = c->sk.core->now - s->synack_at;
    }
    c->segs_in = 1; /* the SYN */
    wi_count(c->sk.core, WI_STAT_TcpPassiveOpens);
    wi_tcp_set_state(c, WEIR_TCP_SYN_RCVD, "SYN received");
}

/* ---- Closing ---- */

void wi_tcp_end_send(struct wi_tcp_conn *c, const char *cause)
{
    switch (c->state) {
    case WEIR_TCP_SYN_RCVD:
    case WEIR_TCP_ESTABLISHED: wi_tcp_set_state(c, WEIR_TCP_FIN_WAIT_1, cause); break;
    case WEIR_TCP_CLOSE_WAIT: wi_tcp_set_state(c, WEIR_TCP_LAST_ACK, cause); break;
    case WEIR_TCP_CLOSED:
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_SYN_SENT:
    case WEIR_TCP_FIN_WAIT_1:
    case WEIR_TCP_FIN_WAIT_2:
    case WEIR_TCP_CLOSING:
    case WEIR_TCP_LAST_ACK:
    case WEIR_TCP_TIME_WAIT: return;
    case WEIR_TCP_STATE_N: WI_UNREACHABLE("no such state");
    }
    if (wi_tcp_sndq_fin(c) < 0) {
        /* Not even a record's worth of memory: an orderly end can't be promised. */
        wi_count(c->sk.core, WI_STAT_TCPAbortOnMemory);
        wi_tcp_done(c, WEIR_ENOBUFS, WEIR_WHY_RST_ABORT, "no memory for FIN");
        return;
    }
    c->push_now = true;
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
}

void wi_tcp_done(struct wi_tcp_conn *c, int err, enum weir_why reset, const char *cause)
{
    if (c->state == WEIR_TCP_CLOSED)
        return;
    if (reset != WEIR_WHY_NONE && !c->is_shell && c->state != WEIR_TCP_LISTEN) {
        c->rst_why = reset;
        wi_tcp_owe(c, WI_TCP_OWE_RST);
    }
    c->owed &= (uint8_t) ~(WI_TCP_OWE_SEND | WI_TCP_OWE_ACK);
    c->end_err = err;
    if (err)
        c->sk.err = err;
    c->shut = 3;
    c->rtt.backoff = c->probe_backoff = 0; /* with the write queue that they were about (tcp_write_queue_purge) */
    struct wi_tcp_listener *queued_at = c->state == WEIR_TCP_LISTEN ? NULL : c->listener;
    wi_tcp_set_state(c, WEIR_TCP_CLOSED, cause);
    if (queued_at)
        return; /* it stays in its listener's queue until accept finds it dead, as on Linux */
    wi_sk_ready(&c->sk, WI_SK_CHANGED);
}
