/*
 * What is owed becomes segments: new data under the windows, Nagle and silly-window rules (RFC 9293 3.7.4, 3.8.6.2),
 * super-segments, retransmissions of what recovery has marked, probes, ACKs.
 */
#include "tcp/send.h"

#define TSO_DEFERRED_NS WEIR_MS(1) /* a write older than this does not wait for company */

struct wi_seq wi_tcp_wnd_end(const struct wi_tcp_conn *c)
{
    return wi_seq_add(c->snd_una, c->snd_wnd_bytes);
}

uint32_t wi_tcp_tso_segs(const struct wi_tcp_conn *c, uint32_t mss)
{
    uint32_t max = (65536 - 1 - 320) / mss;
    if (max == 0)
        max = 1;
    if (c->pacing_bps == UINT64_MAX)
        return max;
    /* Linux's tcp_tso_autosize: what the pacing rate sends in 1/1024 s, more on very short paths. */
    uint64_t bytes = c->pacing_bps >> 10;
    uint64_t near = (uint64_t)c->rtt.min_us >> c->sk.core->sysctl.tcp_tso_rtt_log;
    if (near < 16)
        bytes += (uint64_t)65215 >> near;
    uint64_t segs = bytes / mss;
    uint64_t min = c->cc->tso_segs_min ? c->cc->tso_segs_min(c) : (uint64_t)c->sk.core->sysctl.tcp_min_tso_segs;
    segs = segs > min ? segs : min;
    return segs < max ? (uint32_t)segs : max;
}

/* ---- May it go? ---- */

/* How the sender holds small segments back in this pass. */
struct pass {
    uint32_t mss, max_segs;
    bool hold_partial; /* TCP_CORK, MSG_MORE */
    bool push;         /* nothing is held back */
    bool is_probe;     /* one segment beyond cwnd: a tail loss probe */
    bool is_single;    /* one record and no more: it does not wait to become larger */
    bool is_rwnd_limited, is_cwnd_limited;
    uint32_t sent;
};

/* Minshall's form of Nagle (RFC 9293 3.7.4): a small segment waits only while another small one is unacknowledged. */
static bool is_small_outstanding(const struct wi_tcp_conn *c)
{
    return wi_seq_gt(c->snd_sml, c->snd_una) && wi_seq_leq(c->snd_sml, c->snd_nxt);
}

static bool nagle_holds(const struct wi_tcp_conn *c, const struct pass *p, bool is_partial)
{
    if (!is_partial)
        return false;
    return p->hold_partial || (!c->nodelay && c->loss.packets_out && is_small_outstanding(c));
}

static bool nagle_lets_go(const struct wi_tcp_conn *c, const struct pass *p, const struct wi_tcp_rec *r)
{
    bool is_last = wi_tcp_rec_next(c, r) == NULL;
    if (!is_last || p->push)
        return true;
    if ((r->flags & (WI_TH_SYN | WI_TH_FIN)) || (c->urg_snd_on && wi_seq_gt(c->snd_up, c->snd_una)))
        return true;
    return !nagle_holds(c, p, wi_tcp_rec_len(r) < p->mss);
}

/* Segments that cwnd lets go at once; half of it, so that ACKs keep flowing (Linux's tcp_cwnd_test). */
static uint32_t cwnd_quota(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    if ((r->flags & WI_TH_FIN) && wi_tcp_rec_count(r, c->snd_mss) == 1)
        return 1; /* the final FIN need not wait */
    uint32_t in_flight = wi_tcp_in_flight(c);
    if (in_flight >= c->cwnd)
        return 0;
    uint32_t half = c->cwnd > 1 ? c->cwnd >> 1 : 1, left = c->cwnd - in_flight;
    return half < left ? half : left;
}

/* Is the first segment of the record within the peer's window? */
static bool window_lets_go(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r, uint32_t mss)
{
    if (r->flags & WI_TH_SYN)
        return true; /* no window is known yet */
    struct wi_seq end = r->end;
    if (wi_tcp_rec_len(r) > mss)
        end = wi_seq_add(r->seq, mss);
    return wi_seq_leq(end, wi_tcp_wnd_end(c));
}

/* Where to cut a record of several segments (Linux's tcp_mss_split_point). */
static uint32_t split_point(const struct wi_tcp_conn *c, const struct pass *p, const struct wi_tcp_rec *r,
                            uint32_t segs)
{
    uint32_t window = (uint32_t)wi_seq_diff(wi_tcp_wnd_end(c), r->seq), max = p->mss * segs;
    uint32_t len = wi_tcp_rec_len(r);
    bool is_last = wi_tcp_rec_next(c, r) == NULL;
    if (max <= window && !is_last)
        return max;
    uint32_t needed = len < window ? len : window;
    if (max <= needed)
        return max;
    uint32_t partial = needed % p->mss;
    return !p->push && nagle_holds(c, p, partial != 0) ? needed - partial : needed;
}

/* Would waiting for the next ACK make a better super-segment? Linux's tcp_tso_should_defer. */
static bool should_defer(const struct wi_tcp_conn *c, struct pass *p, const struct wi_tcp_rec *r)
{
    weir_ns now = c->sk.core->now;
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (c->loss.ca >= WI_TCP_CA_RECOVERY || now - c->last_send_at > TSO_DEFERRED_NS || !head)
        return false;

    uint32_t send_win = (uint32_t)wi_seq_diff(wi_tcp_wnd_end(c), r->seq);
    uint32_t cong_win = (c->cwnd - wi_tcp_in_flight(c)) * p->mss;
    uint32_t limit = send_win < cong_win ? send_win : cong_win, len = wi_tcp_rec_len(r);
    if (limit >= p->max_segs * p->mss || (wi_tcp_rec_next(c, r) && limit >= len))
        return false;
    uint32_t divisor = (uint32_t)c->sk.core->sysctl.tcp_tso_win_divisor;
    uint64_t window = (uint64_t)c->cwnd * p->mss;
    if (window > c->snd_wnd_bytes)
        window = c->snd_wnd_bytes;
    if (divisor ? limit >= window / divisor : limit > 3 * p->mss)
        return false;
    /* Only an ACK that is due within a millisecond, or half an RTT if that is shorter, is worth waiting for. */
    weir_ns srtt = (weir_ns)c->rtt.srtt_us8 * 125, age = now - head->sent_at;
    if (age + wi_min_u64(srtt / 2, WEIR_MS(1)) < srtt)
        return false;
    if (cong_win < send_win ? cong_win <= len : send_win <= len) {
        *(cong_win < send_win ? &p->is_cwnd_limited : &p->is_rwnd_limited) = true;
        return true;
    }
    return !(r->flags & WI_TH_FIN) && !r->is_eor;
}

/* ---- New data ---- */

/* It left: from the unsent to the sent. */
static void new_data_sent(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t mss)
{
    uint32_t prior = c->loss.packets_out;
    struct wi_tcp_rec *rider = wi_tcp_syn_rider(c, r);
    wi_tcp_rec_set_sent(c, r);
    c->snd_nxt = r->end;
    c->loss.packets_out += r->segs;
    if (wi_tcp_rec_len(r) > 0 && wi_tcp_rec_len(r) < r->segs * mss)
        c->snd_sml = r->end;
    if (prior == 0 || c->rtx_kind == WEIR_TIMER_PERSIST || !wi_timer_armed(&c->timer_rtx))
        wi_tcp_rearm_rto(c);
    if (rider)
        new_data_sent(c, rider, rider->mss);
}

static enum weir_why why_of(const struct wi_tcp_conn *c, const struct pass *p, const struct wi_tcp_rec *r)
{
    if (p->is_probe)
        return WEIR_WHY_PROBE_TLP;
    if (r->flags & WI_TH_SYN)
        return c->state == WEIR_TCP_SYN_RCVD ? WEIR_WHY_SYN_ACK : WEIR_WHY_SYN;
    if (wi_tcp_rec_len(r) == 0)
        return WEIR_WHY_FIN;
    return c->loss.ca == WI_TCP_CA_DISORDER ? WEIR_WHY_LIMITED : WEIR_WHY_DATA;
}

/* Bring the next unsent record into the shape in which it may leave. False: nothing may leave now. */
static bool shape_next(struct wi_tcp_conn *c, struct pass *p, struct wi_tcp_rec *r)
{
    uint32_t quota = cwnd_quota(c, r);
    if (quota == 0) {
        if (!p->is_probe)
            return false;
        quota = 1;
    }
    if (quota > p->max_segs)
        quota = p->max_segs;
    if (wi_tcp_rec_len(r) < quota * p->mss)
        wi_tcp_rec_grow(c, r, quota * p->mss);
    if (!window_lets_go(c, r, p->mss)) {
        p->is_rwnd_limited = true;
        return false;
    }
    uint32_t segs = wi_tcp_rec_count(r, p->mss), limit = p->mss;
    if (segs == 1 ? !nagle_lets_go(c, p, r) : !p->is_single && should_defer(c, p, r))
        return false;
    bool is_urgent = c->urg_snd_on && wi_seq_gt(c->snd_up, c->snd_una);
    if (segs > 1 && !is_urgent)
        limit = split_point(c, p, r, quota);
    return limit > 0 && (wi_tcp_rec_len(r) <= limit || wi_tcp_rec_split(c, r, limit, p->mss) == 0);
}

/* A search for the path's MTU: its probe goes first. False: everything waits until it can. */
static bool send_mtu_probe(struct wi_tcp_conn *c, struct pass *p)
{
    if (wi_tcp_pace_holds(c))
        return true;
    switch (wi_tcp_mtup_prepare(c, p->mss)) {
    case WI_TCP_MTUP_NONE: return true;
    case WI_TCP_MTUP_WAIT: return false;
    case WI_TCP_MTUP_SEND: break;
    }
    struct wi_tcp_rec *r = c->sndq.send_head;
    r->segs = 1;
    r->mss = (uint16_t)wi_tcp_rec_len(r);
    if (wi_tcp_transmit(c, r, WEIR_WHY_PROBE_MTU) == -WEIR_ENOBUFS)
        return true;
    new_data_sent(c, r, p->mss);
    wi_tcp_mtup_sent(c, r);
    p->sent = 1;
    return true;
}

bool wi_tcp_write_xmit(struct wi_tcp_conn *c, uint32_t mss, bool hold_partial, enum wi_tcp_xmit how)
{
    bool probe = how == WI_TCP_XMIT_PROBE;
    struct pass p = {
        .mss = mss,
        .max_segs = wi_tcp_tso_segs(c, mss),
        .hold_partial = hold_partial || c->cork,
        .push = probe || (c->push_now && !hold_partial), /* a probe goes whatever Nagle says (Linux: TCP_NAGLE_OFF) */
        .is_probe = probe,
        .is_single = how != WI_TCP_XMIT_ALL,
    };
    bool is_held = false;
    if (how == WI_TCP_XMIT_ALL && !send_mtu_probe(c, &p))
        return false;
    for (struct wi_tcp_rec *r; (r = c->sndq.send_head);) {
        is_held = !probe && wi_tcp_pace_holds(c);
        if (is_held || !shape_next(c, &p, r))
            break;
        r->segs = wi_tcp_rec_count(r, mss);
        r->mss = (uint16_t)mss;
        if (wi_tcp_transmit(c, r, why_of(c, &p, r)) == -WEIR_ENOBUFS)
            break; /* the next ACK brings us back, or the probe timer */
        new_data_sent(c, r, mss);
        p.sent += r->segs;
        if (how != WI_TCP_XMIT_ALL)
            break;
    }
    if (p.is_rwnd_limited)
        wi_tcp_chrono_start(c, WI_TCP_CHRONO_RWND);
    else
        wi_tcp_chrono_stop(c, WI_TCP_CHRONO_RWND);
    p.is_cwnd_limited |= wi_tcp_in_flight(c) >= c->cwnd;
    if (p.is_rwnd_limited && !p.is_cwnd_limited && c->cc->control)
        wi_tcp_rate_app_limited(c); /* the peer's window tells no more of the path than a slow writer would */
    if (p.sent || p.is_cwnd_limited)
        wi_tcp_cwnd_validate(c, p.is_cwnd_limited);
    if (p.sent) {
        if (wi_tcp_in_cwnd_reduction(c))
            c->loss.prr_out += p.sent;
        if (!probe)
            (void)wi_tcp_tlp_arm(c, false);
        return false;
    }
    return c->loss.packets_out == 0 && c->sndq.send_head && !is_held;
}

/* ---- Again ---- */

/* Bring a record into the shape in which it may be sent again: at most `segs` segments, within the window. */
static int shape_again(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t segs)
{
    if (wi_seq_lt(r->seq, c->snd_una) && !(r->flags & WI_TH_SYN))
        wi_tcp_rec_trim_front(c, r, (uint32_t)wi_seq_diff(c->snd_una, r->seq));

    uint32_t mss = wi_tcp_mss_now(c);
    int32_t avail = wi_seq_diff(wi_tcp_wnd_end(c), r->seq);
    if (avail <= 0) {
        if (!wi_seq_eq(r->seq, c->snd_una))
            return -WEIR_EAGAIN; /* the window has shrunk: RFC 9293 3.8.6.2.1 */
        avail = (int32_t)mss;
    }
    uint32_t len = mss * segs;
    if (len > (uint32_t)avail) {
        len = (uint32_t)avail / mss * mss;
        len = len ? len : (uint32_t)avail;
    }
    if (wi_tcp_rec_len(r) > len && wi_tcp_rec_split(c, r, len, mss) < 0)
        return -WEIR_ENOBUFS;
    wi_tcp_rec_recount(c, r, mss);
    return 0;
}

static int send_again(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t segs, enum weir_why why)
{
    wi_tcp_mtup_inconclusive(c);
    int err = shape_again(c, r, segs);
    if (err < 0)
        return err;
    wi_tcp_event_rexmit(c, r, why);
    if (wi_tcp_transmit(c, r, why) == -WEIR_ENOBUFS)
        return -WEIR_ENOBUFS;
    c->total_retrans += r->segs;
    c->sk.core->stats.count[WI_STAT_TcpRetransSegs] += r->segs;
    c->bytes_retrans += wi_tcp_rec_len(r);
    return 0;
}

int wi_tcp_retransmit(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t segs, enum weir_why why)
{
    int err = send_again(c, r, segs, why);
    if (err == 0)
        wi_tcp_note_retransmitted(c, r);
    return err;
}

int wi_tcp_retransmit_probe(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    int err = send_again(c, r, 1, WEIR_WHY_PROBE_TLP);
    if (err == 0)
        r->marks |= WI_TCP_REC_EVER; /* Karn */
    return err;
}

int wi_tcp_write_wakeup(struct wi_tcp_conn *c, enum weir_why why)
{
    struct wi_tcp_rec *r = c->sndq.send_head;
    if (!r || (!(r->flags & WI_TH_SYN) && !wi_seq_lt(r->seq, wi_tcp_wnd_end(c)))) {
        /* One old number, no byte: an answer is certain, and nothing need be taken back (Linux's tcp_xmit_probe). RFC
         * 9293 3.8.6.1 would send a byte of data. */
        int err = wi_tcp_send_ack(c, wi_seq_sub(c->snd_una, 1), why);
        return err < 0 ? err : 1;
    }
    uint32_t mss = wi_tcp_mss_now(c), len = wi_tcp_rec_len(r);
    uint32_t window = (uint32_t)wi_seq_diff(wi_tcp_wnd_end(c), r->seq);
    uint32_t n = window < mss ? window : mss;
    if (len > n && wi_tcp_rec_split(c, r, n, mss) < 0)
        return -WEIR_ENOBUFS;
    if (len > 0)
        r->flags |= WI_TH_PSH;
    r->segs = wi_tcp_rec_count(r, mss);
    r->mss = (uint16_t)mss;
    if (wi_tcp_transmit(c, r, WEIR_WHY_PROBE_WINDOW) == -WEIR_ENOBUFS)
        return -WEIR_ENOBUFS;
    new_data_sent(c, r, mss);
    return 0;
}

/* ---- What is owed ---- */

static bool may_send_data(const struct wi_tcp_conn *c)
{
    switch (c->state) {
    case WEIR_TCP_SYN_SENT: return !c->fo.deferred;
    case WEIR_TCP_SYN_RCVD: return c->fo.pending != NULL; /* RFC 7413 4.2.2: a server may answer at once */
    case WEIR_TCP_ESTABLISHED:
    case WEIR_TCP_FIN_WAIT_1:
    case WEIR_TCP_CLOSE_WAIT:
    case WEIR_TCP_CLOSING:
    case WEIR_TCP_LAST_ACK: return true;
    case WEIR_TCP_CLOSED:
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_FIN_WAIT_2:
    case WEIR_TCP_TIME_WAIT:
    case WEIR_TCP_STATE_N: return false;
    }
    return false;
}

void wi_tcp_write_ahead(struct wi_tcp_conn *c, bool all)
{
    bool pushed = c->push_now;
    if (c->state == WEIR_TCP_SYN_SENT || !may_send_data(c) || c->loss.want_rexmit || c->mtu_fell)
        return; /* the output that is owed anyway has more to do than this */
    c->push_now = true;
    if (wi_tcp_write_xmit(c, wi_tcp_mss_now(c), false, all ? WI_TCP_XMIT_ALL : WI_TCP_XMIT_ONE) && all)
        wi_tcp_arm_probe(c);
    c->push_now = pushed;
}

static void send_owed_data(struct wi_tcp_conn *c)
{
    bool hold = c->more;
    c->more = false;
    if (c->mtu_fell) {
        c->mtu_fell = false;
        wi_tcp_mtu_reduced(c, c->dst.mtu);
    }
    /* Before the SYN-ACK is acknowledged nothing but it is sent again (Linux). */
    if (c->loss.want_rexmit && !c->fo.pending && (may_send_data(c) || c->state == WEIR_TCP_SYN_RCVD))
        wi_tcp_xmit_lost(c);
    if (may_send_data(c)) {
        bool is_frto = c->loss.frto_new;
        c->loss.frto_new = false;
        if (c->sndq.send_head && (c->state != WEIR_TCP_SYN_SENT || (c->sndq.send_head->flags & WI_TH_SYN))) {
            if (wi_tcp_write_xmit(c, wi_tcp_mss_now(c), hold, WI_TCP_XMIT_ALL))
                wi_tcp_arm_probe(c);
        }
        if (is_frto && wi_seq_leq(c->snd_nxt, c->loss.high_seq)) {
            c->loss.frto = false; /* no new data could go: RFC 5682 2.1 step 2b does not apply */
            wi_tcp_xmit_lost(c);
        }
    }
    c->push_now = false;
}

/* The ACK that input noted. Out of order without SACK, each segment that came deserves one: the peer counts them (RFC
 * 5681 4.2). */
static void send_owed_acks(struct wi_tcp_conn *c)
{
    unsigned n = c->sack_ok || c->dup_acks_owed == 0 ? 1 : c->dup_acks_owed;
    enum weir_why why = c->ack_why;
    while (n-- > 0) {
        if (wi_tcp_send_ack(c, c->snd_nxt, why) < 0) {
            /* No memory for an ACK: the delayed-ACK timer tries again, as Linux does. Where a TIME-WAIT entry has taken
             * over there is none any more: the peer's FIN comes again, and the entry answers. */
            if (c->is_shell)
                return;
            c->is_ack_sched = true;
            wi_tcp_arm_delack(c, WI_TCP_DELACK_MAX);
            return;
        }
    }
}

static bool may_ack(enum weir_tcp_state s)
{
    return s != WEIR_TCP_CLOSED && s != WEIR_TCP_LISTEN && s != WEIR_TCP_SYN_SENT;
}

void wi_tcp_output(struct wi_tcp_conn *c)
{
    wi_tcp_ledger_charge(c);
    uint8_t owed = c->owed;
    c->owed &= WI_TCP_OWE_FREE;
    if (owed & WI_TCP_OWE_RST) {
        wi_tcp_send_rst(c, c->rst_why);
        return;
    }
    if ((owed & WI_TCP_OWE_SYN) && c->state == WEIR_TCP_SYN_RCVD && wi_tcp_rec_head_sent(c)) {
        wi_tcp_rec_head_sent(c)->marks |= WI_TCP_REC_EVER; /* Karn: which of the two will be acknowledged? */
        (void)wi_tcp_transmit(c, wi_tcp_rec_head_sent(c), WEIR_WHY_SYN_ACK); /* lost: the RTO sends it again */
    }
    if (c->ack_prior_owed && may_ack(c->state))
        wi_tcp_send_ack_prior(c);
    uint64_t acks_before = c->segs_out;
    if (owed & WI_TCP_OWE_SEND)
        send_owed_data(c);
    /* Without SACK a segment with data is no dupack to the peer: each that is owed goes by itself. */
    bool data_carried_it = c->segs_out != acks_before && (c->sack_ok || c->dup_acks_owed == 0);
    if ((owed & WI_TCP_OWE_ACK) && may_ack(c->state) && !data_carried_it)
        send_owed_acks(c);
    c->ack_why = WEIR_WHY_NONE;
    c->dup_acks_owed = 0;
}
