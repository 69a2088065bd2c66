/*
 * When to acknowledge: RFC 9293 3.8.6.3, RFC 5681 4.2, with Linux's quick ACKs at the start and after a pause, and its
 * estimate of how long the peer's next segment takes.
 */
#include "tcp/send.h"

#define GROW_MIN       128u /* smaller segments say nothing about the window: Linux */
#define RCV_MSS_MIN    88u  /* Linux's TCP_MIN_MSS */
#define DUP_ACKS_ALONE 3u   /* what fast retransmit waits for: RFC 5681 3.2 */

static uint32_t ack_window_segs(const struct wi_tcp_conn *c)
{
    uint32_t mss = c->rcv_mss_est ? c->rcv_mss_est : WI_TCP_MSS_DEFAULT_V4;
    return c->rcv_wnd_bytes / (2 * mss);
}

static void raise_quick(struct wi_tcp_conn *c, unsigned max)
{
    uint32_t n = ack_window_segs(c);
    n = n ? n : 2;
    n = n < max ? n : max;
    if (n > c->quick_acks)
        c->quick_acks = (uint8_t)n;
}

void wi_tcp_quickack_enter(struct wi_tcp_conn *c, unsigned max)
{
    raise_quick(c, max);
    wi_tcp_pingpong_set(c, false);
    c->ato = WI_TCP_DELACK_MIN;
}

bool wi_tcp_in_pingpong(const struct wi_tcp_conn *c)
{
    return c->pingpong >= c->sk.core->sysctl.tcp_pingpong_thresh;
}

void wi_tcp_pingpong_set(struct wi_tcp_conn *c, bool is_on)
{
    c->pingpong = is_on ? (uint8_t)c->sk.core->sysctl.tcp_pingpong_thresh : 0;
}

static bool in_quickack(const struct wi_tcp_conn *c)
{
    return c->quick_acks > 0 && !wi_tcp_in_pingpong(c);
}

/* The peer's segment size as its segments show it, up to what we let it send. A tail is no sign of a smaller one, two
 * of the same length are. Linux's tcp_measure_rcv_mss. */
static void measure_mss(struct wi_tcp_conn *c, const struct wi_tcp_seg *s, uint32_t charge)
{
    uint32_t len = s->gso_size ? s->gso_size : (uint32_t)s->h.data_len;
    uint32_t max = c->advmss ? c->advmss : WI_TCP_MSS_DEFAULT_V4, last = c->last_seg_len;
    c->last_seg_len = 0;
    if (len >= c->rcv_mss_est) {
        if (len != c->rcv_mss_est)
            wi_tcp_window_measure(c, s->h.data_len, charge);
        c->rcv_mss_est = len < max ? len : max;
        if ((s->h.flags & WI_TH_PSH) && c->ack_pushed == 0)
            c->ack_pushed = 1; /* one full segment may be a whole request */
        return;
    }
    bool is_remnant = s->h.flags & (WI_TH_FIN | WI_TH_PSH | WI_TH_URG);
    if (len >= WI_TCP_MSS_DEFAULT_V4 || (len >= RCV_MSS_MIN && !is_remnant)) {
        c->last_seg_len = len;
        if (len == last) {
            c->rcv_mss_est = len;
            return;
        }
    }
    c->ack_pushed = c->ack_pushed ? 2 : 1;
}

void wi_tcp_ackpol_init(struct wi_tcp_conn *c)
{
    uint32_t mss = c->advmss < c->snd_mss ? c->advmss : c->snd_mss, half = c->rcv_wnd_bytes / 2;
    mss = mss < half ? mss : half;
    mss = mss < WI_TCP_MSS_DEFAULT_V4 ? mss : WI_TCP_MSS_DEFAULT_V4;
    c->rcv_mss_est = mss > RCV_MSS_MIN ? mss : RCV_MSS_MIN;
}

bool wi_tcp_ack_due_on_read(const struct wi_tcp_conn *c)
{
    if (!c->is_ack_sched)
        return false;
    if ((uint32_t)wi_seq_diff(c->rcv_nxt, c->rcv_wup) > c->rcv_mss_est)
        return true; /* it was held back only because nobody read */
    bool is_empty = wi_seq_eq(c->copied_seq, c->rcv_nxt) && !wi_tcp_rcvq_has_ooo(c);
    return is_empty && (c->ack_pushed == 2 || (c->ack_pushed == 1 && !wi_tcp_in_pingpong(c)));
}

void wi_tcp_ack_data(struct wi_tcp_conn *c, const struct wi_tcp_seg *s, bool in_order)
{
    weir_ns now = c->sk.core->now;
    c->is_ack_sched = true;
    c->rcv_flow_label = s->ip->flow_label;
    uint32_t room,
        charge = wi_tcp_rcvq_charge(c, (uint32_t)s->h.data_len, s->gso_size && s->h.data_len > s->gso_size, &room);
    measure_mss(c, s, charge);
    if (!in_order) {
        if (c->sack_ok) /* without SACK a growing window would hide that this is a dupack */
            wi_tcp_window_grow(c, (uint32_t)s->h.data_len, charge, in_order);
        wi_tcp_window_reordered(c);
        return;
    }
    if (c->ato == 0) {
        raise_quick(c, WI_TCP_QUICKACKS_MAX); /* the first data: the peer is in slow start */
        c->ato = WI_TCP_DELACK_MIN;
    } else {
        weir_ns gap = now - c->last_rcv_at;
        if (gap <= WI_TCP_DELACK_MIN / 2)
            c->ato = c->ato / 2 + WI_TCP_DELACK_MIN / 2;
        else if (gap < c->ato)
            c->ato = c->ato / 2 + gap < c->rtt.rto ? c->ato / 2 + gap : c->rtt.rto;
        else if (gap > c->rtt.rto)
            raise_quick(c, WI_TCP_QUICKACKS_MAX); /* a pause: the peer may have fallen back to slow start */
    }
    c->last_rcv_at = now;
    if (s->h.data_len >= GROW_MIN)
        wi_tcp_window_grow(c, (uint32_t)s->h.data_len, charge, in_order);
}

void wi_tcp_data_sent(struct wi_tcp_conn *c)
{
    /* An answer soon after a question: ACKs may wait for the next answer (Linux's pingpong mode). */
    if (c->last_rcv_at && c->sk.core->now - c->last_rcv_at < (c->ato ? c->ato : WI_TCP_DELACK_MIN) &&
        c->pingpong < UINT8_MAX)
        c->pingpong++;
}

void wi_tcp_ack_sent(struct wi_tcp_conn *c)
{
    if (c->quick_acks > 0 && c->is_ack_sched) {
        c->quick_acks--;
        if (c->quick_acks == 0)
            c->ato = WI_TCP_DELACK_MIN; /* leaving quick ACKs: begin with a short delay */
    }
    c->is_ack_sched = c->ack_now = false;
    c->ack_pushed = 0;
    c->owed &= (uint8_t)~WI_TCP_OWE_ACK;
    c->sk.core->stats.count[WI_STAT_TCPAckCompressed] += c->comp_acks;
    c->comp_acks = 0;
    wi_tcp_stop_delack(c);
}

static void arm_within(struct wi_tcp_conn *c, weir_ns delay)
{
    if (!wi_timer_armed(&c->timer_delack) || c->timer_delack.due > c->sk.core->now + delay)
        wi_tcp_arm_delack(c, delay);
}

static void send_delayed(struct wi_tcp_conn *c)
{
    weir_ns ato = c->ato;
    if (ato == 0) { /* no data yet: a lone FIN, of which there is nothing to wait for (Linux: within a tick) */
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
        return;
    }
    if (ato > WI_TCP_DELACK_MIN) {
        weir_ns max = WEIR_MS(500);
        if (wi_tcp_in_pingpong(c))
            max = WI_TCP_DELACK_MAX;
        if (c->rtt.srtt_us8) {
            weir_ns rtt = WEIR_US((weir_ns)(c->rtt.srtt_us8 >> 3));
            rtt = rtt > WI_TCP_DELACK_MIN ? rtt : WI_TCP_DELACK_MIN;
            max = rtt < max ? rtt : max;
        }
        ato = ato < max ? ato : max;
    }
    weir_ns most = c->delack_max_us ? WEIR_US((weir_ns)c->delack_max_us) : WI_TCP_DELACK_MAX;
    if (ato < WI_TCP_DELACK_MIN)
        ato = WI_TCP_DELACK_MIN;
    ato = ato < most ? ato : most;
    arm_within(c, ato);
}

/* More than one full segment is unacknowledged (RFC 9293 MUST-58's "every second"), and saying so helps: the reader
 * takes it, or the window would move. */
static bool is_second_segment(struct wi_tcp_conn *c)
{
    uint32_t since = (uint32_t)wi_seq_diff(c->rcv_nxt, c->rcv_wup);
    if (since <= c->rcv_mss_est)
        return false;
    uint32_t waiting = (uint32_t)wi_seq_diff(c->rcv_nxt, c->copied_seq);
    return waiting < c->sk.opts.rcvlowat || wi_tcp_window_select(c) >= c->rcv_wnd_bytes;
}

/* ---- SACK compression ---- */

void wi_tcp_ack_ahead(struct wi_tcp_conn *c)
{
    if (c->sack_ok)
        c->is_ack_sched = true; /* wi_tcp_ack_check says when */
    else
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP); /* RFC 5681 4.2: the peer counts them */
}

/* 5 % of the shorter of the RTT's two estimates; at once where there is none (Linux). */
static weir_ns comp_delay(const struct wi_tcp_conn *c)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    uint64_t rtt_us8 = (uint64_t)c->rcvq.rtt_us * 8;
    if (c->rtt.srtt_us8 && c->rtt.srtt_us8 < rtt_us8)
        rtt_us8 = c->rtt.srtt_us8;
    return wi_min_u64((uint64_t)s->tcp_comp_sack_delay_ns, WEIR_US(rtt_us8) / 8 / 20) +
           (weir_ns)s->tcp_comp_sack_slack_ns;
}

/*
 * Something lies beyond a hole: RFC 5681 4.2 wants a duplicate ACK for each segment, and the first three of a hole have
 * theirs, which start the peer's recovery. Of the rest SACK tells as well when several share one: on fast paths those
 * ACKs would be as many as the segments. Linux's __tcp_ack_snd_check.
 */
static void ack_beyond_hole(struct wi_tcp_conn *c)
{
    if (!wi_seq_eq(c->comp_rcv_nxt, c->rcv_nxt)) {
        c->comp_rcv_nxt = c->rcv_nxt;
        c->dup_acks_told = 0;
    }
    if (!c->sack_ok || c->comp_acks >= c->sk.core->sysctl.tcp_comp_sack_nr) {
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP);
    } else if (c->dup_acks_told < DUP_ACKS_ALONE) {
        c->dup_acks_told++;
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP);
    } else {
        if (c->comp_acks++ == 0)
            arm_within(c, comp_delay(c));
    }
}

static void compressed_fire(struct wi_tcp_conn *c)
{
    c->comp_acks--; /* one of them has its ACK */
    wi_tcp_owe_ack(c, WEIR_WHY_ACK_COMPRESSED);
}

/* ---- The decision ---- */

void wi_tcp_ack_check(struct wi_tcp_conn *c)
{
    if (!c->is_ack_sched || (c->owed & WI_TCP_OWE_ACK))
        return;
    if (is_second_segment(c) || in_quickack(c) || c->ack_now) {
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
        return;
    }
    if (wi_tcp_rcvq_has_ooo(c)) {
        ack_beyond_hole(c);
        return;
    }
    send_delayed(c);
}

void wi_tcp_delack_fire(struct wi_tcp_conn *c)
{
    if (!c->is_ack_sched)
        return;
    if (c->comp_acks > 0) {
        compressed_fire(c);
        return;
    }
    if (!wi_tcp_in_pingpong(c)) {
        /* It was in vain to wait for an answer to ride on: wait longer next time. */
        weir_ns twice = c->ato * 2;
        c->ato = twice < c->rtt.rto ? twice : c->rtt.rto;
    } else {
        wi_tcp_pingpong_set(c, false);
        c->ato = WI_TCP_DELACK_MIN;
    }
    wi_count(c->sk.core, WI_STAT_DelayedACKs);
    wi_tcp_owe_ack(c, WEIR_WHY_ACK_DELAYED);
}
