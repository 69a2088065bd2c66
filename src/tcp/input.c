/*
 * Segment arrival in the synchronised states: RFC 9293 3.10.7.4, a function for each of its checks, called in its
 * order. SYN-SENT is input_syn.c's; LISTEN, TIME-WAIT and CLOSED never get here. Nothing is sent from here: what is
 * owed is noted.
 */
#include "tcp/fastopen.h"
#include "tcp/send.h"

#define PURE (WI_TH_FIN | WI_TH_SYN | WI_TH_RST | WI_TH_ACK | WI_TH_URG)

#define REPLAY_HZ 1200u /* the fastest timestamp clock that is in use, as Linux supposes */

void wi_tcp_seg_trim_front(struct wi_tcp_seg *s, uint32_t n)
{
    if (n > 0 && (s->h.flags & WI_TH_SYN)) {
        s->h.flags &= (uint16_t)~WI_TH_SYN;
        s->seq = wi_seq_add(s->seq, 1);
        n--;
    }
    uint32_t bytes = n < s->data_len ? n : s->data_len;
    s->seq = wi_seq_add(s->seq, n);
    s->data_off += bytes;
    s->data_len -= bytes;
    if (n > bytes)
        s->h.flags &= (uint16_t)~WI_TH_FIN;
}

void wi_tcp_seg_trim_back(struct wi_tcp_seg *s, uint32_t n)
{
    uint32_t keep = (s->h.flags & WI_TH_SYN ? 1u : 0u) + s->data_len;
    uint32_t all = (uint32_t)wi_seq_diff(s->end, s->seq);
    if (n >= all)
        return;
    s->h.flags &= (uint16_t)~WI_TH_FIN;
    s->end = wi_seq_add(s->seq, n);
    if (n < keep)
        s->data_len -= keep - n;
}

/* ---- Timestamps ---- */

bool wi_tcp_paws_rejects(const struct wi_tcp_conn *c, const struct wi_wire_tcp *h)
{
    if (!c->ts_ok || !h->has_ts || c->ts_recent_at == 0)
        return false;
    if (!wi_seq_lt((struct wi_seq){h->tsval}, (struct wi_seq){c->ts_recent}))
        return false;
    return c->sk.core->now - c->ts_recent_at < WI_TCP_PAWS_24DAYS; /* RFC 7323 5.5 */
}

/* RFC 7323 4.3: only from a segment that spans what was last acknowledged. */
void wi_tcp_ts_recent_update(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (!c->ts_ok || !s->h.has_ts || wi_seq_gt(s->h.seq, c->rcv_wup) || wi_tcp_paws_rejects(c, &s->h))
        return;
    c->ts_recent = s->h.tsval;
    c->ts_recent_at = c->sk.core->now ? c->sk.core->now : 1;
}

/* ---- First check: sequence number ---- */

static bool owe_challenge(struct wi_tcp_conn *c)
{
    bool is_allowed = wi_tcp_challenge_allowed(c);
    if (is_allowed)
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_CHALLENGE);
    return is_allowed;
}

/* IPv6: a new flow label says that the peer has met a timeout and tries another path. That it sends again what we have
 * means that our ACKs don't reach it: they try another one too, unless our own timeouts see to that. Linux's
 * tcp_rcv_spurious_retrans. */
static void leave_path_of_acks(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (!s->ip->is_v6)
        return;
    if (c->loss.ca != WI_TCP_CA_LOSS && s->ip->flow_label != c->rcv_flow_label && c->sk.opts.txrehash) {
        c->dup_rehash++;
        wi_count(c->sk.core, WI_STAT_TcpDuplicateDataRehash);
    }
    c->rcv_flow_label = s->ip->flow_label;
}

void wi_tcp_spurious_rexmit(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    wi_tcp_quickack_enter(c, WI_TCP_QUICKACKS_MAX);
    leave_path_of_acks(c, s);
    wi_tcp_rcvq_repeated(c, s->seq, wi_seq_min(s->end, c->rcv_nxt));
}

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, unless such an ACK went a moment ago: what bears text is no part of an ACK loop
 * (Linux's tcp_oow_rate_limited). */
static void owe_out_of_window_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    bool has_text = s->data_len > 0 || (s->h.flags & WI_TH_FIN);
    if (!has_text && !wi_tcp_oow_ack_allowed(c))
        return;
    if (!wi_seq_eq(s->seq, s->end) && wi_seq_lt(s->seq, c->rcv_nxt))
        wi_tcp_spurious_rexmit(c, s); /* our ACK may be lost */
    else
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP);
}

static void reset_by_peer(struct wi_tcp_conn *c)
{
    int err = WEIR_ECONNRESET;
    if (c->state == WEIR_TCP_SYN_RCVD && c->is_active)
        err = WEIR_ECONNREFUSED; /* RFC 9293 3.10.7.4, second check */
    else if (c->state == WEIR_TCP_CLOSE_WAIT)
        err = WEIR_EPIPE; /* as Linux: the peer had already closed */
    wi_tcp_fo_reset(c);
    wi_tcp_done(c, err, WEIR_WHY_NONE, "reset by the peer");
}

/* An RST in answer to our FIN may bear the number that the peer's FIN had: then it is meant. Linux's tcp_reset_check.
 */
static bool is_reset_of_fin(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    return wi_seq_eq(s->seq, wi_seq_sub(c->rcv_nxt, 1)) &&
           (c->state == WEIR_TCP_CLOSE_WAIT || c->state == WEIR_TCP_LAST_ACK || c->state == WEIR_TCP_CLOSING);
}

/* With a hole before it, a peer that has not heard of the hole resets from the end of what it sent: the highest that we
 * have acknowledged selectively (RFC 5961 3.2 knows rcv_nxt alone; Linux's tcp_validate_incoming takes both). */
static bool is_reset_behind_sacks(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    const struct wi_tcp_rcvq *q = &c->rcvq;
    if (!c->sack_ok || q->sack_n == 0)
        return false;
    struct wi_seq high = q->sacks[0].hi;
    for (unsigned i = 1; i < q->sack_n; i++)
        high = wi_seq_max(high, q->sacks[i].hi);
    return wi_seq_eq(s->seq, high);
}

/* The test of RFC 9293 3.4, table 6, as Linux has it: something of the segment may be new. */
static enum weir_drop place_in_window(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (wi_seq_lt(s->end, c->rcv_wup))
        return WEIR_DROP_TCP_OLD_SEQ;
    struct wi_seq wnd_end = wi_seq_add(c->rcv_nxt, wi_tcp_window_left(c)), end = s->end;
    if (s->h.flags & WI_TH_FIN)
        end = wi_seq_sub(end, 1);
    if (wi_seq_leq(end, wnd_end))
        return WEIR_DROP_NONE;
    /* What reaches beyond the window is the peer's fault, and taken only where it costs nothing: nothing is unread. */
    if (wi_seq_gt(s->seq, wnd_end) || !wi_list_empty(&c->rcvq.chunks))
        return WEIR_DROP_TCP_BEYOND_WND;
    return WEIR_DROP_NONE;
}

/* RFC 5961 4.2, for every synchronised state and wherever its number lies. */
static enum weir_drop refuse_syn(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    wi_count(c->sk.core, WI_STAT_TCPSYNChallenge);
    if (owe_challenge(c))
        wi_tcp_ecn_synack_again(c, s);
    return WEIR_DROP_TCP_SYN_CHALLENGE;
}

/* A pure duplicate ACK that an other ACK or data has overtaken: its timestamp is old, but what it tells of loss is
 * worth having, and it can do no harm. RFC 7323 5.3 would drop it; Linux's tcp_disordered_ack, within a time that
 * numbers do not come round in. */
static bool is_disordered_ack(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    uint32_t wnd = (uint32_t)s->h.wnd << c->snd_wscale, late = c->ts_recent - s->h.tsval;
    return (s->h.flags & WI_TH_ACK) && wi_seq_eq(s->seq, s->end) && wi_seq_eq(s->seq, c->rcv_nxt) &&
           wi_seq_eq(s->h.ack, c->snd_una) && !wi_tcp_may_update_window(c, s, wnd) &&
           late <= c->rtt.rto * REPLAY_HZ / WEIR_SEC(1);
}

/* RFC 7323 5.3 R1, which lets a reset through. One tick late is not late: the peer's clock may have moved between two
 * segments that it built at once (Linux's TCP_PAWS_WINDOW). */
static bool is_too_old(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    return !(s->h.flags & WI_TH_RST) && wi_tcp_paws_rejects(c, &s->h) && c->ts_recent - s->h.tsval > 1 &&
           !is_disordered_ack(c, s);
}

static enum weir_drop refuse_old(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (s->h.flags & WI_TH_SYN)
        return refuse_syn(c, s);
    bool is_ack = wi_seq_eq(s->seq, s->end) && wi_seq_lt(s->seq, c->rcv_nxt);
    wi_count(c->sk.core, is_ack ? WI_STAT_PAWSOldAck : WI_STAT_PAWSEstab);
    if (!is_ack) /* an ACK that data has overtaken is common, and wants no answer (Linux) */
        owe_out_of_window_ack(c, s);
    return WEIR_DROP_TCP_PAWS;
}

static enum weir_drop check_sequence(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    bool is_rst = s->h.flags & WI_TH_RST;
    if (is_too_old(c, s))
        return refuse_old(c, s);
    enum weir_drop why = place_in_window(c, s);
    if (why == WEIR_DROP_NONE)
        return why;
    if (is_rst) {
        if (!is_reset_of_fin(c, s))
            return WEIR_DROP_TCP_OUT_OF_WND_RST;
        reset_by_peer(c);
        return WEIR_DROP_TCP_RST;
    }
    if (s->h.flags & WI_TH_SYN)
        return refuse_syn(c, s);
    owe_out_of_window_ack(c, s);
    return why;
}

/* ---- Second check: RST ---- */

static enum weir_drop check_rst(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (!(s->h.flags & WI_TH_RST))
        return WEIR_DROP_NONE;
    if (wi_seq_eq(s->seq, c->rcv_nxt) || is_reset_of_fin(c, s) || is_reset_behind_sacks(c, s)) {
        reset_by_peer(c);
        return WEIR_DROP_TCP_RST;
    }
    wi_tcp_fo_strange_reset(c);
    owe_challenge(c); /* RFC 5961 3.2: a guess, or a peer that the challenge will set right */
    return WEIR_DROP_TCP_RST_CHALLENGE;
}

/* ---- Fourth check: SYN ---- */

/* Both opened at once, and the peer's SYN comes again with its ACK: what is new in it is the ACK alone. */
static bool is_crossing_syn_ack(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    return c->state == WEIR_TCP_SYN_RCVD && (s->h.flags & WI_TH_ACK) &&
           wi_seq_eq(wi_seq_add(s->h.seq, 1), c->rcv_nxt) && wi_seq_eq(s->h.ack, c->snd_nxt);
}

static enum weir_drop check_syn(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    if (!(s->h.flags & WI_TH_SYN))
        return WEIR_DROP_NONE;
    if (is_crossing_syn_ack(c, s)) {
        wi_tcp_rcvq_repeated(c, s->seq, wi_seq_add(s->seq, 1));
        wi_tcp_seg_trim_front(s, 1);
        return WEIR_DROP_NONE;
    }
    return refuse_syn(c, s);
}

/* ---- Fifth check: ACK ---- */

void wi_tcp_finish_established(struct wi_tcp_conn *c)
{
    if (c->is_active)
        wi_tcp_mtup_init(c);
    wi_tcp_mss_sync(c, c->dst.mtu);
    if (!c->is_active)
        wi_tcp_mtup_init(c); /* as on Linux: the size follows the search with the first window update */
    if (c->ts_ok)            /* from here on it is what a segment's payload can be */
        c->advmss = (uint16_t)(c->advmss - WI_TCP_TS_SPACE);
    if (c->rtt.srtt_us8 == 0) { /* RFC 6298 5.7, and as Linux after a cookie: the handshake gave no sample */
        c->rtt.rto = WI_TCP_RTO_FALLBACK;
        c->rtt.backoff = 0;
    }
    wi_tcp_note_rto_over(c);
    c->established_at = c->sk.core->now;
    wi_tcp_cwnd_init(c);
    struct wi_tcp_rec *rider = wi_tcp_rec_head_sent(c);
    wi_tcp_loss_init(c);
    if (rider) { /* data of our SYN that the peer did not take */
        rider->marks &= WI_TCP_REC_EVER;
        c->loss.packets_out = rider->segs;
    }
    wi_tcp_window_established(c);
    wi_tcp_ackpol_init(c);
    wi_tcp_sndbuf_expand(c);
    c->cc->init(c);
    wi_tcp_keepalive_update(c);
}

static enum weir_drop establish(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (wi_seq_leq(s->h.ack, c->iss) || wi_seq_gt(s->h.ack, c->snd_nxt)) {
        wi_tcp_reset_reply(c->tcp, s, WEIR_WHY_RST_ACK);
        return WEIR_DROP_TCP_ACK_UNSENT;
    }
    bool was_open = c->fo.pending != NULL; /* in use since the SYN */
    if (was_open)
        wi_tcp_fo_complete(c);
    wi_tcp_set_state(c, WEIR_TCP_ESTABLISHED, "ACK of SYN received");
    c->snd_wnd_bytes = (uint32_t)s->h.wnd << c->snd_wscale;
    if (c->snd_wnd_bytes > c->snd_wnd_max_bytes)
        c->snd_wnd_max_bytes = c->snd_wnd_bytes;
    c->snd_wl1 = s->h.seq;
    c->delivered++; /* the SYN-ACK, as Linux counts */
    wi_tcp_rtt_handshake(c, &s->h);
    wi_tcp_ecn_third_ack(c, s);
    enum weir_drop why = wi_tcp_ack(c, s);
    if (was_open)
        wi_tcp_fo_completed(c);
    else
        wi_tcp_finish_established(c);
    wi_tcp_pacing_update(c);
    wi_sk_ready(&c->sk, WI_SK_CHANGED);
    return why;
}

/* Our FIN is acknowledged, when everything is. */
static void on_fin_acked(struct wi_tcp_conn *c)
{
    if (!c->fin_queued || !wi_seq_eq(c->snd_una, c->write_seq))
        return;
    switch (c->state) {
    case WEIR_TCP_FIN_WAIT_1:
        wi_tcp_set_state(c, WEIR_TCP_FIN_WAIT_2, "ACK of FIN received");
        if (c->state == WEIR_TCP_FIN_WAIT_2)
            wi_sk_ready(&c->sk, WI_SK_CHANGED);
        return;
    case WEIR_TCP_CLOSING: wi_tcp_set_state(c, WEIR_TCP_TIME_WAIT, "ACK of FIN received"); return;
    case WEIR_TCP_LAST_ACK: wi_tcp_done(c, 0, WEIR_WHY_NONE, "ACK of FIN received"); return;
    case WEIR_TCP_CLOSED:
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_SYN_SENT:
    case WEIR_TCP_SYN_RCVD:
    case WEIR_TCP_ESTABLISHED:
    case WEIR_TCP_FIN_WAIT_2:
    case WEIR_TCP_CLOSE_WAIT:
    case WEIR_TCP_TIME_WAIT:
    case WEIR_TCP_STATE_N: return;
    }
}

static enum weir_drop check_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (!(s->h.flags & WI_TH_ACK))
        return WEIR_DROP_TCP_NO_ACK;
    bool ends_handshake = c->fo.pending && c->state != WEIR_TCP_SYN_RCVD && wi_seq_gt(s->h.ack, c->iss) &&
                          wi_seq_leq(s->h.ack, c->snd_nxt); /* and its owner has closed already */
    if (ends_handshake)
        wi_tcp_fo_complete(c);
    enum weir_drop why = c->state == WEIR_TCP_SYN_RCVD ? establish(c, s) : wi_tcp_ack(c, s);
    if (ends_handshake)
        wi_tcp_fo_completed(c);
    if (why == WEIR_DROP_NONE)
        on_fin_acked(c);
    return why;
}

/* ---- Seventh check: text; eighth: FIN ---- */

static bool takes_text(enum weir_tcp_state s)
{
    return s == WEIR_TCP_ESTABLISHED || s == WEIR_TCP_FIN_WAIT_1 || s == WEIR_TCP_FIN_WAIT_2;
}

/* Nobody is left to read it: RFC 1122 4.2.2.13, RFC 9293 3.6.1: a reset says so. */
static bool is_unwanted(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    bool is_fin_wait = c->state == WEIR_TCP_FIN_WAIT_1 || c->state == WEIR_TCP_FIN_WAIT_2;
    struct wi_seq data_end = wi_seq_add(s->seq, s->data_len); /* a FIN beyond rcv_nxt tells of data before it */
    return is_fin_wait && (c->shut & 1) && wi_seq_gt(data_end, c->rcv_nxt);
}

static void consume_fin(struct wi_tcp_conn *c)
{
    c->rcv_nxt = wi_seq_add(c->rcv_nxt, 1);
    c->has_rcvd_fin = true;
    c->shut |= 1;
    switch (c->state) {
    case WEIR_TCP_SYN_RCVD:
    case WEIR_TCP_ESTABLISHED:
        wi_tcp_set_state(c, WEIR_TCP_CLOSE_WAIT, "FIN received");
        wi_tcp_pingpong_set(c, true); /* our own FIN may carry the ACK soon */
        c->is_ack_sched = true;
        break;
    case WEIR_TCP_FIN_WAIT_1:
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
        wi_tcp_set_state(c, WEIR_TCP_CLOSING, "FIN received");
        break;
    case WEIR_TCP_FIN_WAIT_2:
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
        wi_tcp_set_state(c, WEIR_TCP_TIME_WAIT, "FIN received");
        break;
    case WEIR_TCP_CLOSE_WAIT:
    case WEIR_TCP_CLOSING:
    case WEIR_TCP_LAST_ACK:
    case WEIR_TCP_CLOSED:
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_SYN_SENT:
    case WEIR_TCP_TIME_WAIT:
    case WEIR_TCP_STATE_N: WI_UNREACHABLE("a FIN is consumed once, and text() asks for the state");
    }
    wi_sk_ready(&c->sk, WI_SK_CHANGED);
}

static enum weir_drop text(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    bool has_text = s->data_len > 0 || (s->h.flags & WI_TH_FIN);
    if (!has_text)
        return WEIR_DROP_NONE;
    if (is_unwanted(c, s)) {
        wi_count(c->sk.core, WI_STAT_TCPAbortOnData);
        wi_tcp_reset_reply(c->tcp, s, WEIR_WHY_RST_UNREAD); /* as Linux: to the segment, not from the connection */
        wi_tcp_done(c, WEIR_ECONNRESET, WEIR_WHY_NONE, "data after close");
        return WEIR_DROP_TCP_CLOSED_DATA;
    }
    if (!takes_text(c->state)) {
        if (wi_seq_lt(s->seq, c->rcv_nxt)) /* a repeat of what came before the FIN; beyond it there is nothing */
            owe_out_of_window_ack(c, s);
        return WEIR_DROP_TCP_OLD_SEQ;
    }
    wi_tcp_ecn_data(c, s);
    wi_tcp_window_rcv_rtt(c, s); /* before the segment itself waits for the reader */
    struct wi_seq before = c->rcv_nxt;
    bool is_in_order = wi_seq_leq(s->seq, c->rcv_nxt);
    enum weir_drop why = wi_tcp_rcvq_data(c, s);
    if (!wi_seq_eq(before, c->rcv_nxt))
        c->dup_acks_owed = 0;
    if (s->h.data_len > 0 && (why == WEIR_DROP_NONE || why == WEIR_DROP_TCP_OOO_DUP))
        wi_tcp_ack_data(c, s, is_in_order);
    wi_tcp_window_rcv_rtt_bound(c);
    if (wi_tcp_rcvq_fin_due(c))
        consume_fin(c);
    return why;
}

/* ---- The driver ---- */

/* Van Jacobson's header prediction: nothing but the next data, or nothing but an ACK. */
static bool is_predicted(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    return c->state == WEIR_TCP_ESTABLISHED && (s->h.flags & PURE) == WI_TH_ACK && wi_seq_eq(s->seq, c->rcv_nxt) &&
           c->rcvq.urg != WI_TCP_URG_NOT_YET && /* the byte that was announced may be in it */
           wi_seq_geq(s->h.ack, c->snd_una) && wi_seq_leq(s->h.ack, c->snd_nxt) &&
           s->data_len <= wi_tcp_window_left(c) && !wi_tcp_paws_rejects(c, &s->h);
}

static enum weir_drop check_all(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    enum weir_drop why = check_sequence(c, s);
    if (why == WEIR_DROP_NONE)
        why = check_rst(c, s);
    /* Third check, security: RFC 9293 3.10.7.4 leaves it to hosts that have compartments. */
    if (why == WEIR_DROP_NONE)
        why = check_syn(c, s);
    if (why == WEIR_DROP_NONE) {
        wi_tcp_ecn_received(c, s);
        why = check_ack(c, s);
    }
    if (why != WEIR_DROP_NONE || c->state == WEIR_TCP_CLOSED || c->is_shell)
        return why;
    wi_tcp_urgent_input(c, s); /* sixth */
    return text(c, s);
}

static void note_arrival(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    uint32_t segs = s->gso_size && s->data_len > s->gso_size ? (s->data_len + s->gso_size - 1) / s->gso_size : 1;
    c->segs_in += segs;
    c->data_segs_in += s->data_len ? segs : 0;
    wi_tcp_event_seg_in(c, s);
}

bool wi_tcp_came_too_far(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    return s->ip->ttl < (s->ip->is_v6 ? c->sk.opts.min_hops : c->sk.opts.min_ttl);
}

enum weir_drop wi_tcp_input(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    wi_tcp_ledger_charge(c);
    note_arrival(c, s);
    if (c->state == WEIR_TCP_CLOSED || c->state == WEIR_TCP_LISTEN || c->is_shell)
        return WEIR_DROP_TCP_ABORTED;
    if (wi_tcp_came_too_far(c, s))
        return WEIR_DROP_TCP_MIN_TTL;
    enum weir_drop why;
    bool was_opening = c->state == WEIR_TCP_SYN_SENT;
    if (was_opening) {
        why = wi_tcp_input_syn_sent(c, s);
    } else if (c->fo.pending && wi_tcp_fo_is_syn_again(c, s)) {
        return wi_tcp_fo_syn_again(c, s);
    } else if (is_predicted(c, s)) {
        wi_tcp_ecn_received(c, s);
        why = wi_tcp_ack(c, s);
        if (why == WEIR_DROP_NONE && s->data_len > 0)
            why = text(c, s);
    } else {
        why = check_all(c, s);
    }
    if (c->state != WEIR_TCP_CLOSED && c->state != WEIR_TCP_SYN_SENT) {
        if (!was_opening || !wi_timer_armed(&c->timer_delack)) /* armed: the handshake's last ACK may wait */
            wi_tcp_ack_check(c);
    }
    return why;
}

enum weir_drop wi_tcp_input_text(struct wi_tcp_conn *c, struct wi_tcp_seg *s)
{
    wi_tcp_urgent_input(c, s);
    return text(c, s);
}
