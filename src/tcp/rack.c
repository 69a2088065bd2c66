/*
 * Loss by time: RACK and the tail loss probe, RFC 8985, with Linux's choices: DupThresh still starts recovery while no
 * reordering was ever seen, and DSACKs widen the reordering window. For peers with SACK, unless tcp_recovery says no.
 */
#include "tcp/send.h"

#define RACK_ENABLED      1 /* bits of tcp_recovery */
#define RACK_STATIC_WND   2
#define RACK_NO_DUPTHRESH 4

#define DOUBTFUL_MAX     32         /* looked at, by one ACK, for the exact end of a doubt */
#define PERSIST_EPISODES 16         /* recoveries that a widened window outlives */
#define TIMER_SLACK      WEIR_MS(2) /* Linux's TCP_TIMEOUT_MIN: a timer that fires at once helps nobody */

bool wi_tcp_rack_is_on(const struct wi_tcp_conn *c)
{
    int16_t how = c->sk.opts.rack;
    return c->sack_ok && (how >= 0 ? how : c->sk.core->sysctl.tcp_recovery & RACK_ENABLED);
}

/* Positive: it was sent after the newest one that arrived; negative: before it; 0: it is a part of that one. What left
 * at one moment is told apart by a count, and only parts of one super-segment by their numbers as in RFC 8985 6.2: in
 * virtual time a retransmission may leave together with new data. */
static int order_to_newest(const struct wi_tcp_loss *l, const struct wi_tcp_rec *r)
{
    if (r->sent_at != l->rack_sent_at)
        return r->sent_at > l->rack_sent_at ? 1 : -1;
    int32_t order = (int32_t)(r->tx_order - l->rack_order);
    return order ? order : wi_seq_diff(r->end, l->rack_end);
}

static bool is_older(const struct wi_tcp_rec *r, const struct wi_list *by_time)
{
    const struct wi_tcp_rec *other = WI_CONTAINER_OF(by_time, const struct wi_tcp_rec, ts_link);
    return (int32_t)(r->tx_order - other->tx_order) < 0;
}

void wi_tcp_rack_advance(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    struct wi_tcp_loss *l = &c->loss;
    weir_ns rtt = c->sk.core->now - r->sent_at;
    /* A retransmission acknowledged sooner than the path allows: it is the original's ACK. RFC 8985 6.2 step 2. */
    if ((r->marks & WI_TCP_REC_EVER) && c->rtt.min_us != UINT32_MAX && rtt < WEIR_US((weir_ns)c->rtt.min_us))
        return;
    l->rack_advanced = true;
    l->rack_rtt_us = (uint32_t)(rtt / 1000);
    if (order_to_newest(l, r) > 0) {
        l->rack_sent_at = r->sent_at;
        l->rack_order = r->tx_order;
        l->rack_end = r->end;
    }
}

/* RFC 8985 6.2 step 4. */
static weir_ns reorder_window(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_loss *l = &c->loss;
    if (c->reord_seen == 0) {
        if (l->ca >= WI_TCP_CA_RECOVERY)
            return 0;
        if (l->sacked_out >= l->reordering && !(c->sk.core->sysctl.tcp_recovery & RACK_NO_DUPTHRESH))
            return 0;
    }
    uint32_t min = c->rtt.min_us == UINT32_MAX ? 0 : c->rtt.min_us;
    uint64_t us = (uint64_t)(min >> 2) * l->rack_reo_steps, max = c->rtt.srtt_us8 >> 3;
    return WEIR_US(us < max ? us : max);
}

/* How long until a record counts as lost, with `extra` for reordering; 0: now. */
static weir_ns time_left(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r, weir_ns extra)
{
    weir_ns due = r->sent_at + WEIR_US((weir_ns)c->loss.rack_rtt_us) + extra, now = c->sk.core->now;
    return due > now ? due - now : 0;
}

bool wi_tcp_rack_is_recent(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    return time_left(c, r, 0) > 0;
}

/* RFC 8985 6.2 step 5: what was sent long enough before something that arrived is lost. Returns how long to wait for
 * the rest, 0: nothing waits. Walks what was sent before the newest that arrived, in the order of sending, and from the
 * first that may still come on only to learn when the last of them is due. */
static weir_ns detect(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    weir_ns extra = reorder_window(c), wait = 0;
    unsigned doubtful = 0;
    uint64_t *work = &c->sk.core->stats.count[WI_STAT_TCPScoreboardSteps];
    wi_list_for_each_safe (r, &c->sndq.by_time, struct wi_tcp_rec, ts_link) {
        (*work)++;
        bool is_known = (r->marks & WI_TCP_REC_LOST) && !(r->marks & WI_TCP_REC_RETRANS);
        if (!is_known && order_to_newest(l, r) >= 0)
            break;
        weir_ns left = is_known ? 0 : time_left(c, r, extra);
        if (left == 0) {
            if (!is_known)
                wi_tcp_mark_lost(c, r);
            wi_list_del(&r->ts_link); /* until it is sent again, or the loss proves to be none */
        } else if (++doubtful <= DOUBTFUL_MAX) {
            wait = left;
        } else {
            return wi_max_u64(wait, l->rack_sent_at + WEIR_US((weir_ns)l->rack_rtt_us) + extra - c->sk.core->now);
        }
    }
    return wait;
}

void wi_tcp_rack_unmark_all(struct wi_tcp_conn *c)
{
    struct wi_list *at = &c->sndq.by_time; /* the next one goes near it: most were sent in the order of their numbers */
    for (struct wi_tcp_rec *r = wi_tcp_rec_find(c, c->snd_una); r; r = wi_tcp_rec_next_unsacked(r)) {
        r->marks &= (uint8_t)~WI_TCP_REC_LOST;
        if (!wi_list_empty(&r->ts_link))
            continue;
        while (at != &c->sndq.by_time && is_older(r, at))
            at = at->prev;
        while (at->next != &c->sndq.by_time && !is_older(r, at->next))
            at = at->next;
        wi_list_add_head(at, &r->ts_link);
        at = &r->ts_link;
    }
    c->loss.lost_out = 0;
}

bool wi_tcp_rack_mark_lost(struct wi_tcp_conn *c)
{
    if (!c->loss.rack_advanced)
        return false;
    c->loss.rack_advanced = false;
    weir_ns wait = detect(c);
    if (wait)
        wi_tcp_arm_rtx(c, WEIR_TIMER_REORDER, wait + TIMER_SLACK < c->rtt.rto ? wait + TIMER_SLACK : c->rtt.rto);
    return wait > 0;
}

void wi_tcp_rack_note_dsack(struct wi_tcp_conn *c, const struct wi_tcp_rate *s)
{
    struct wi_tcp_loss *l = &c->loss;
    if ((c->sk.core->sysctl.tcp_recovery & RACK_STATIC_WND) || !s->has_sample)
        return;
    if ((int32_t)(s->prior_delivered - l->rack_last_delivered) < 0)
        l->rack_dsack_seen = false; /* what arrived now was sent before the window grew: once a round trip */
    if (l->rack_dsack_seen) {
        if (l->rack_reo_steps < UINT8_MAX)
            l->rack_reo_steps++;
        l->rack_last_delivered = c->delivered;
        l->rack_reo_persist = PERSIST_EPISODES;
    } else if (l->rack_reo_persist == 0) {
        l->rack_reo_steps = 1;
    }
    l->rack_dsack_seen = false;
}

void wi_tcp_rack_fire(struct wi_tcp_conn *c)
{
    uint32_t lost = c->loss.lost_out - c->loss.retrans_out;
    (void)detect(c);
    if (c->loss.lost_out - c->loss.retrans_out != lost) {
        wi_tcp_recover_by_time(c);
        c->loss.want_rexmit = true;
    }
    wi_tcp_rearm_rto(c);
}

/* ---- The tail loss probe, RFC 8985 7 ---- */

weir_ns wi_tcp_pto(const struct wi_tcp_conn *c)
{
    if (c->rtt.srtt_us8 == 0)
        return WI_TCP_RTO_INIT;
    /* One alone may wait for a delayed ACK. */
    return WEIR_US((weir_ns)(c->rtt.srtt_us8 >> 2)) + (c->loss.packets_out == 1 ? wi_tcp_rto_min(c) : TIMER_SLACK);
}

bool wi_tcp_tlp_arm(struct wi_tcp_conn *c, bool from_now)
{
    int64_t how = c->sk.core->sysctl.tcp_early_retrans;
    bool is_on = c->sk.opts.tlp >= 0 ? c->sk.opts.tlp : how == 3 || how == 4;
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (!is_on || !head || c->fo.pending || !c->sack_ok ||
        (c->loss.ca != WI_TCP_CA_OPEN && c->loss.ca != WI_TCP_CA_CWR))
        return false;

    weir_ns wait = wi_tcp_pto(c), now = c->sk.core->now;
    weir_ns rto_due = (from_now ? now : head->sent_at) + c->rtt.rto;
    if (rto_due > now && rto_due - now < wait)
        wait = rto_due - now;
    wi_tcp_arm_rtx(c, WEIR_TIMER_TLP, wait);
    return true;
}

/* The last segment of what is out, on its own: to have it sent again. NULL: no memory for the cut. */
static struct wi_tcp_rec *last_segment(struct wi_tcp_conn *c, uint32_t mss)
{
    struct wi_tcp_rec *r = c->sndq.send_head ? wi_tcp_rec_prev(c, c->sndq.send_head) : wi_tcp_rec_last(c);
    if (!r || r->segs <= 1 || wi_tcp_rec_len(r) <= (uint32_t)(r->segs - 1) * mss)
        return r;
    return wi_tcp_rec_split(c, r, (uint32_t)(r->segs - 1) * mss, mss) == 0 ? wi_tcp_rec_next(c, r) : NULL;
}

void wi_tcp_tlp_fire(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    uint32_t mss = wi_tcp_mss_now(c), before = l->packets_out;
    wi_count(c->sk.core, WI_STAT_TCPLossProbes);
    if (!l->tlp_on && !l->tlp_unsampled) {
        bool has_new = c->sndq.send_head && wi_seq_lt(c->sndq.send_head->seq, wi_tcp_wnd_end(c));
        if (has_new)
            (void)wi_tcp_write_xmit(c, mss, false, WI_TCP_XMIT_PROBE);
        struct wi_tcp_rec *last = l->packets_out > before ? NULL : last_segment(c, mss);
        l->tlp_is_rexmit = last && wi_tcp_retransmit_probe(c, last) == 0;
        if (l->packets_out > before || l->tlp_is_rexmit) {
            l->tlp_on = l->tlp_unsampled = true;
            l->tlp_high = c->snd_nxt;
            wi_tcp_stop_rtx(c); /* the RTO counts from now */
        }
    }
    wi_tcp_rearm_rto(c);
}

void wi_tcp_tlp_ack(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_loss *l = &c->loss;
    if (wi_seq_lt(c->snd_una, l->tlp_high))
        return;
    bool is_pure_dup = !a->una_advanced && !a->has_data && !a->wnd_updated && !a->data_sacked && a->acked_segs == 0;
    bool is_spurious = !l->tlp_is_rexmit || a->dsack_of_probe; /* new data, or both copies arrived */
    if (!is_spurious && wi_seq_gt(c->snd_una, l->tlp_high))
        wi_tcp_tlp_repaired(c); /* the probe alone arrived: a loss, RFC 8985 7.4.2 */
    else if (is_spurious || is_pure_dup)
        l->tlp_on = false;
}
