/*
 * The ACK field of a segment: RFC 9293 3.10.7.4 fifth check. What it acknowledges leaves the queue, gives RTT samples,
 * moves the window, and recovery.c decides what it means for the network.
 */
#include "tcp/notice.h"
#include "tcp/send.h"

/* ---- The window ---- */

/* RFC 9293 3.10.7.4: newer by SEG.SEQ, or as new and acknowledging more, or as new and wider (a window never shrinks
 * in what it lets through: Linux takes the wider of two that can't be ordered). */
bool wi_tcp_may_update_window(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s, uint32_t wnd)
{
    return wi_seq_gt(s->h.ack, c->snd_una) || wi_seq_gt(s->h.seq, c->snd_wl1) ||
           (wi_seq_eq(s->h.seq, c->snd_wl1) && (wnd > c->snd_wnd_bytes || wnd == 0));
}

static void update_window(struct wi_tcp_conn *c, const struct wi_tcp_seg *s, struct wi_tcp_ackinfo *a)
{
    uint32_t wnd = (uint32_t)s->h.wnd << (s->h.flags & WI_TH_SYN ? 0 : c->snd_wscale);
    if (!wi_tcp_may_update_window(c, s, wnd))
        return;
    c->snd_wl1 = s->h.seq;
    if (wnd == c->snd_wnd_bytes)
        return;
    a->wnd_updated = true;
    c->snd_wnd_bytes = wnd;
    if (wnd > c->snd_wnd_max_bytes) {
        c->snd_wnd_max_bytes = wnd;
        wi_tcp_mss_sync(c, c->pmtu);
    }
}

static void advance_una(struct wi_tcp_conn *c, struct wi_seq ack)
{
    c->bytes_acked += (uint32_t)wi_seq_diff(ack, c->snd_una);
    c->snd_una = ack;
    c->loss.lost_upto = wi_seq_max(c->loss.lost_upto, ack);
    c->loss.retrans_hint = wi_seq_max(c->loss.retrans_hint, ack);
    if (c->urg_snd_on && wi_seq_geq(ack, c->snd_up))
        c->urg_snd_on = false;
}

/* ---- The queue ---- */

/* What a record that has been acknowledged, in whole or by `segs` segments, tells. */
static void note_acked(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t segs, struct wi_tcp_ackinfo *a)
{
    if (r->marks & (WI_TCP_REC_RETRANS | WI_TCP_REC_EVER)) {
        a->retrans_acked = true; /* Karn: no sample from what went twice */
    } else if (!(r->marks & WI_TCP_REC_SACKED)) {
        a->last_ack_at = r->sent_at;
        if (a->first_ack_at == WEIR_NEVER)
            a->first_ack_at = r->sent_at;
        if (!a->has_reord || wi_seq_lt(r->seq, a->reord)) {
            a->reord = r->seq;
            a->has_reord = true;
        }
        if (wi_seq_leq(r->end, c->loss.high_seq))
            a->orig_acked = true;
    }
    wi_tcp_rate_delivered(c, r, &a->rate);
    if (c->sack_ok && !(r->marks & WI_TCP_REC_SACKED)) {
        c->delivered += segs;
        wi_tcp_rack_advance(c, r);
    }
    if (r->flags & WI_TH_SYN)
        a->syn_acked = true;
    else
        a->data_acked = true;
    a->acked_segs += segs;
}

static void uncount(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    struct wi_tcp_loss *l = &c->loss;
    l->packets_out -= r->segs;
    if (r->marks & WI_TCP_REC_SACKED)
        l->sacked_out -= r->segs;
    if (r->marks & WI_TCP_REC_LOST)
        l->lost_out -= r->segs;
    if (r->marks & WI_TCP_REC_RETRANS)
        l->retrans_out -= r->segs;
}

/* Part of a super-segment is acknowledged: whole segments of it leave. */
static void ack_part(struct wi_tcp_conn *c, struct wi_tcp_rec *r, struct wi_tcp_ackinfo *a)
{
    if (r->segs <= 1 || wi_seq_leq(c->snd_una, r->seq))
        return;
    uint32_t was = r->segs, len = (uint32_t)wi_seq_diff(c->snd_una, r->seq);
    struct wi_tcp_rec before = *r;
    if (!(r->marks & WI_TCP_REC_SACKED))
        a->delivered_bytes += len;
    wi_tcp_rec_trim_front(c, r, len);
    wi_tcp_rec_recount(c, r, r->mss);
    note_acked(c, &before, was - r->segs, a);
}

static void clean_queue(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    for (struct wi_tcp_rec *r; (r = wi_tcp_rec_head_sent(c));) {
        if (wi_seq_gt(r->end, c->snd_una)) {
            ack_part(c, r, a);
            break;
        }
        if (!(r->marks & WI_TCP_REC_SACKED))
            a->delivered_bytes += wi_tcp_rec_len(r);
        note_acked(c, r, r->segs, a);
        uncount(c, r);
        wi_tcp_stamp_acked(c, r);
        wi_tcp_rec_free(c, r);
    }
    wi_tcp_sndq_free_chunks(c);
    wi_tcp_notice_acked(c);
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (!head)
        wi_tcp_chrono_stop(c, WI_TCP_CHRONO_BUSY);
    a->sack_reneging = a->una_advanced && head && (head->marks & WI_TCP_REC_SACKED);
}

static int64_t us_since(const struct wi_tcp_conn *c, weir_ns at)
{
    return (int64_t)((c->sk.core->now - at) / 1000);
}

static void take_rtt(struct wi_tcp_conn *c, const struct wi_tcp_seg *s, struct wi_tcp_ackinfo *a)
{
    a->ack_rtt_us = a->sack_rtt_us = a->ca_rtt_us = -1;
    if (a->first_ack_at != WEIR_NEVER && !a->retrans_acked) {
        a->ack_rtt_us = us_since(c, a->first_ack_at);
        a->ca_rtt_us = us_since(c, a->last_ack_at);
    }
    if (a->first_sack_at != WEIR_NEVER) {
        a->sack_rtt_us = us_since(c, a->first_sack_at);
        a->ca_rtt_us = us_since(c, a->last_sack_at);
    }
    bool updated = wi_tcp_rtt_ack(c, &s->h, a);
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    /* Or news from after the oldest record's last transmission: the path delivers. */
    bool is_news = head && updated && a->sack_rtt_us >= 0 && a->sack_rtt_us > us_since(c, head->sent_at);
    if (a->acked_segs > 0 || is_news)
        a->set_timer = true;
}

/* What the acknowledged segments say about order and, without SACK, about dupacks counted before. */
static void note_order(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    if (a->acked_segs == 0)
        return;
    if (!c->sack_ok) {
        wi_tcp_reno_acked(c, a->acked_segs);
        if (a->retrans_acked)
            a->orig_acked = false;
    } else if (a->has_reord && wi_seq_lt(a->reord, a->prior_fack)) {
        wi_tcp_note_reordering(c, a->reord);
    }
}

/* ---- Probes ---- */

/* Nothing is outstanding: the persist timer follows the window. */
static void ack_probe(struct wi_tcp_conn *c)
{
    const struct wi_tcp_rec *r = c->sndq.send_head;
    if (!r || c->loss.packets_out)
        return;
    uint32_t mss = wi_tcp_mss_now(c);
    struct wi_seq end = wi_tcp_rec_len(r) > mss ? wi_seq_add(r->seq, mss) : r->end;
    if (wi_seq_leq(end, wi_tcp_wnd_end(c))) {
        c->probe_backoff = 0;
        c->probe_since = 0;
        if (c->rtx_kind == WEIR_TIMER_PERSIST)
            wi_tcp_stop_rtx(c);
    } else {
        wi_tcp_stop_rtx(c);
        wi_tcp_arm_probe(c); /* RFC 9293 MUST-36: the peer answers, go on probing */
    }
}

/* Nothing is outstanding, but a DSACK may still tell that a retransmission or a probe was needless. */
static void ack_of_nothing(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    if (c->loss.tlp_on)
        wi_tcp_tlp_ack(c, a);
    if (a->dsack)
        wi_tcp_recovery_ack(c, a);
    ack_probe(c);
}

/* ---- The steps ---- */

static struct wi_tcp_ackinfo ack_begin(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    return (struct wi_tcp_ackinfo){
        .prior_una = c->snd_una,
        .prior_fack = c->sack_ok && c->loss.sacked_out ? c->loss.high_sacked : c->snd_una,
        .prior_packets = c->loss.packets_out,
        .prior_in_flight = wi_tcp_in_flight(c),
        .prior_delivered = c->delivered,
        .prior_lost = c->lost_total,
        .prior_ce = c->delivered_ce,
        .first_ack_at = WEIR_NEVER,
        .first_sack_at = WEIR_NEVER,
        .ack_rtt_us = -1,
        .sack_rtt_us = -1,
        .ca_rtt_us = -1,
        .has_data = s->data_len > 0 || (s->h.flags & (WI_TH_SYN | WI_TH_FIN)),
        .ecn_echo = c->ecn.mode == WI_TCP_ECN_CLASSIC && (s->h.flags & (WI_TH_ECE | WI_TH_SYN)) == WI_TH_ECE,
    };
}

/* Older than what was acknowledged already: only its SACK blocks may still be news (RFC 2018 3). */
static enum weir_drop old_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s, struct wi_tcp_ackinfo *a)
{
    bool is_wnd_same = (uint32_t)s->h.wnd << c->snd_wscale == c->snd_wnd_bytes;
    /* The ACK is old, its stamp is not. Linux believes it where it predicts the header. */
    if (is_wnd_same && wi_seq_eq(s->h.seq, c->rcv_nxt) && wi_seq_eq(s->seq, s->end))
        wi_tcp_ts_recent_update(c, s);
    /* RFC 5961 5.2: beyond any window that we know of, or before the first byte, it is no old ACK but a guess. */
    if ((uint32_t)wi_seq_diff(c->snd_una, s->h.ack) > wi_min_u64(c->snd_wnd_max_bytes, c->bytes_acked)) {
        if (wi_tcp_challenge_allowed(c))
            wi_tcp_owe_ack(c, WEIR_WHY_ACK_CHALLENGE);
        return WEIR_DROP_TCP_ACK_TOO_OLD;
    }
    if (c->sack_ok && s->h.sack_n > 0 && a->prior_packets) {
        wi_tcp_sack_input(c, &s->h, a);
        if (c->ecn.mode == WI_TCP_ECN_CLASSIC)
            wi_tcp_ecn_ack(c, s, a);
        wi_tcp_recovery_ack(c, a);
        wi_tcp_owe(c, WI_TCP_OWE_SEND);
    }
    return WEIR_DROP_NONE;
}

static void after_ack(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    if (a->set_timer)
        wi_tcp_rearm_after_ack(c);
    if (a->una_advanced || a->data_sacked)
        wi_net_confirm(c->sk.net, &c->dst); /* RFC 4861 7.3.1: forward progress */
    if (c->sndq.send_head || c->loss.want_rexmit)
        wi_tcp_owe(c, WI_TCP_OWE_SEND);
}

/* Room comes with an ACK, but also with a larger buffer and when records are merged: so it is looked at, not derived.
 */
static void tell_of_room(struct wi_tcp_conn *c)
{
    if (!wi_tcp_sndq_writable(c)) {
        c->sndq.was_full = true;
    } else if (c->sndq.was_full) {
        c->sndq.was_full = c->sndq.was_refused = false;
        wi_tcp_chrono_stop(c, WI_TCP_CHRONO_SNDBUF);
        wi_sk_ready(&c->sk, WEIR_POLLOUT);
    }
}

enum weir_drop wi_tcp_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    struct wi_tcp_ackinfo a = ack_begin(c, s);
    if (wi_seq_lt(s->h.ack, c->snd_una))
        return old_ack(c, s, &a);
    if (wi_seq_gt(s->h.ack, c->snd_nxt)) {
        if (wi_tcp_challenge_allowed(c))
            wi_tcp_owe_ack(c, WEIR_WHY_ACK_CHALLENGE);
        return WEIR_DROP_TCP_ACK_UNSENT;
    }

    uint32_t ts_before = c->ts_recent;
    wi_tcp_ts_recent_update(c, s);
    a.ts_advanced = c->ts_recent != ts_before;
    c->last_tsecr = c->ts_ok && s->h.has_ts ? s->h.tsecr : 0;
    if (wi_seq_gt(s->h.ack, c->snd_una)) {
        a.una_advanced = true;
        c->loss.retransmits = 0;
    }
    update_window(c, s, &a);
    advance_una(c, s->h.ack);
    c->last_ack_in_at = c->sk.core->now;
    c->probes_out = 0;
    c->sk.err_soft = 0;
    if (c->sack_ok && s->h.sack_n > 0)
        wi_tcp_sack_input(c, &s->h, &a);
    if (a.prior_packets == 0) {
        wi_tcp_ecn_ack(c, s, &a);
        ack_of_nothing(c, &a);
    } else {
        clean_queue(c, &a);
        take_rtt(c, s, &a);
        if (a.acked_segs)
            wi_tcp_mtup_acked(c);
        note_order(c, &a);
        wi_tcp_rack_note_dsack(c, &a.rate);
        if (c->loss.tlp_on)
            wi_tcp_tlp_ack(c, &a);
        wi_tcp_ecn_ack(c, s, &a);
        wi_tcp_recovery_ack(c, &a);
        ack_probe(c);
    }
    after_ack(c, &a);
    tell_of_room(c);
    return WEIR_DROP_NONE;
}
