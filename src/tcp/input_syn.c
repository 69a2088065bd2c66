/*
 * Segment arrival in SYN-SENT: RFC 9293 3.10.7.3, its checks in order; simultaneous open among them.
 */
#include "tcp/fastopen.h"
#include "tcp/send.h"

#define SYN_AGAIN_NS WEIR_MS(2) /* Linux's TCP_TIMEOUT_MIN */

/* First: an ACK must be of our SYN; with timestamps, of one that we sent (Linux: as much as RFC 7323 3.2's reflection
 * allows to tell). */
static enum weir_drop check_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (!(s->h.flags & WI_TH_ACK))
        return WEIR_DROP_NONE;
    enum weir_drop why = WEIR_DROP_NONE;
    if (wi_seq_leq(s->h.ack, c->iss) || wi_seq_gt(s->h.ack, c->snd_nxt)) {
        why = WEIR_DROP_TCP_SYN_SENT_ACK;
        /* An old connection of the peer's is in the way, and our reset ends it: try again soon (Linux). */
        if (c->loss.retransmits == 0)
            wi_tcp_arm_rtx(c, WEIR_TIMER_RTO, SYN_AGAIN_NS);
    } else if (s->h.has_ts && s->h.tsecr && c->sk.core->sysctl.tcp_timestamps) {
        struct wi_seq now = {wi_tcp_ts_clock(c->sk.core) + c->ts_off}, echoed = {s->h.tsecr};
        struct wi_seq first = {(uint32_t)(c->opened_at / WEIR_MS(1)) + c->ts_off};
        if (wi_seq_lt(echoed, first) || wi_seq_gt(echoed, now)) {
            wi_count(c->sk.core, WI_STAT_PAWSActive);
            why = WEIR_DROP_TCP_SYN_SENT_TS;
        }
    }
    if (why != WEIR_DROP_NONE && !(s->h.flags & WI_TH_RST))
        wi_tcp_reset_reply(c->tcp, s, WEIR_WHY_RST_ACK);
    return why;
}

/* Second: a reset counts only with the right ACK. */
static enum weir_drop check_rst(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (!(s->h.flags & WI_TH_RST))
        return WEIR_DROP_NONE;
    if (!(s->h.flags & WI_TH_ACK))
        return WEIR_DROP_TCP_OUT_OF_WND_RST;
    wi_tcp_done(c, WEIR_ECONNREFUSED, WEIR_WHY_NONE, "connection refused");
    return WEIR_DROP_TCP_REFUSED;
}

/* What the peer's SYN says, as far as ours offered it: RFC 7323 1.3, 2.2, RFC 2018 2. */
static void take_options(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    const struct wi_sysctl *o = &c->sk.core->sysctl;
    c->wscale_ok = o->tcp_window_scaling && s->h.has_wscale;
    c->snd_wscale = c->wscale_ok ? s->h.wscale : 0;
    if (!c->wscale_ok)
        c->rcv_wscale = 0;
    c->sack_ok = o->tcp_sack && s->h.sack_ok;
    c->ts_ok = o->tcp_timestamps && s->h.has_ts;
    if (c->ts_ok) {
        c->ts_recent = s->h.tsval;
        c->ts_recent_at = c->sk.core->now ? c->sk.core->now : 1;
    }
    wi_tcp_ecn_take_syn(c, s);
    wi_tcp_take_peer_mss(c, s->h.mss);
    wi_tcp_mss_sync(c, c->dst.mtu);
}

static void take_syn(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    c->irs = s->h.seq;
    c->rcv_nxt = c->rcv_wup = c->copied_seq = wi_seq_add(c->irs, 1);
    c->snd_wl1 = c->irs;
    c->snd_wnd_bytes = c->snd_wnd_max_bytes = s->h.wnd; /* a SYN's window is not scaled: RFC 7323 2.2 */
    take_options(c, s);
}

/* Our SYN is acknowledged with theirs: the connection stands. */
static enum weir_drop establish(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    take_syn(c, s);
    enum weir_drop why = wi_tcp_ack(c, s);
    if (why != WEIR_DROP_NONE)
        return why;
    wi_tcp_set_state(c, WEIR_TCP_ESTABLISHED, "SYN-ACK received");
    wi_tcp_finish_established(c);
    wi_tcp_pacing_update(c);
    wi_tcp_fo_synack(c, &s->h);
    if (c->sndq.send_head || c->loss.want_rexmit) {
        c->is_ack_sched = true; /* data that wait carry the ACK */
        wi_tcp_owe(c, WI_TCP_OWE_SEND);
    } else if (wi_tcp_in_pingpong(c) || c->defer_accept_n) { /* data are to come soon and may carry it, as on Linux */
        c->is_ack_sched = true;
        wi_tcp_quickack_enter(c, WI_TCP_QUICKACKS_MAX);
        wi_tcp_arm_delack(c, WI_TCP_DELACK_MAX);
    } else {
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
    }
    wi_sk_ready(&c->sk, WI_SK_CHANGED);
    return WEIR_DROP_NONE;
}

/* Both have opened: our SYN goes again, with the ACK of theirs. */
static void open_together(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    take_syn(c, s);
    wi_tcp_set_state(c, WEIR_TCP_SYN_RCVD, "SYN received");
    wi_tcp_owe(c, WI_TCP_OWE_SYN);
}

enum weir_drop wi_tcp_input_syn_sent(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    enum weir_drop why = check_ack(c, s);
    if (why == WEIR_DROP_NONE)
        why = check_rst(c, s);
    /* Third: security, as in the synchronised states. */
    if (why != WEIR_DROP_NONE)
        return why;
    if (!(s->h.flags & WI_TH_SYN))
        return WEIR_DROP_TCP_SYN_SENT_NO_SYN; /* fifth */
    if (!(s->h.flags & WI_TH_ACK)) {
        open_together(c, s);
        return WEIR_DROP_NONE; /* data beside the SYN come again: nobody has acknowledged them */
    }
    why = establish(c, s);
    if (why != WEIR_DROP_NONE)
        return why;
    wi_tcp_seg_trim_front(s, 1);
    return s->data_len > 0 || (s->h.flags & WI_TH_FIN) ? wi_tcp_input_text(c, s) : WEIR_DROP_NONE;
}
