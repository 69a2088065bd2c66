/*
 * Loss recovery: what the scoreboard means, what is sent again, and how the window falls. Fast retransmit and recovery
 * with and without SACK (RFC 5681 3.2, 6675, 6582), limited transmit (3042: dupacks take segments out of flight, so
 * new ones follow), proportional rate reduction (9937), F-RTO (5682), undo by timestamps and DSACK (4015, 3708).
 *
 * The states are Linux's (enum wi_tcp_ca): Open and Disorder send as usual, Recovery and CWR reduce gently, Loss starts
 * again from one segment.
 */
#include "tcp/send.h"

#define RENEG_WAIT_MIN WEIR_MS(10)

void wi_tcp_loss_init(struct wi_tcp_conn *c)
{
    c->loss = (struct wi_tcp_loss){
        .reordering = (uint32_t)c->sk.core->sysctl.tcp_reordering,
        .high_seq = c->snd_nxt,
        .lost_upto = c->snd_una,
        .retrans_hint = c->snd_una,
        .rack_reo_steps = 1,
    };
}

/* ---- Marks ---- */

void wi_tcp_mark_lost(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    struct wi_tcp_loss *l = &c->loss;
    if (r->marks & WI_TCP_REC_SACKED)
        return;
    if (wi_seq_lt(r->seq, l->retrans_hint))
        l->retrans_hint = r->seq;
    bool was_lost = r->marks & WI_TCP_REC_LOST, was_sent_again = r->marks & WI_TCP_REC_RETRANS;
    if (was_lost && !was_sent_again)
        return;
    if (!was_lost) {
        r->marks |= WI_TCP_REC_LOST;
        l->lost_out += r->segs;
    }
    if (was_sent_again) { /* that is lost as well, also where an undo had taken the first mark away */
        r->marks &= (uint8_t)~WI_TCP_REC_RETRANS;
        l->retrans_out -= r->segs;
    }
    l->newly_lost += r->segs;
    c->lost_total += r->segs;
    if (c->cc->lost)
        c->cc->lost(c, r);
}

void wi_tcp_note_retransmission(struct wi_tcp_conn *c)
{
    if (c->loss.retrans_stamp)
        return;
    c->loss.retrans_stamp = c->sk.core->now ? c->sk.core->now : 1;
    c->ts_retrans = wi_tcp_ts_clock(c->sk.core) + c->ts_off;
}

void wi_tcp_note_retransmitted(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    struct wi_tcp_loss *l = &c->loss;
    r->marks |= WI_TCP_REC_EVER;
    if (r->rexmit_n < UINT8_MAX)
        r->rexmit_n++;
    if (!(r->marks & WI_TCP_REC_RETRANS)) {
        r->marks |= WI_TCP_REC_RETRANS;
        l->retrans_out += r->segs;
    }
    wi_tcp_note_retransmission(c);
    l->undo_retrans = (l->undo_retrans == WI_TCP_UNDO_UNKNOWN ? 0 : l->undo_retrans) + r->segs;
}

/* Nothing that was sent again is unacknowledged: a new episode gets a new stamp. */
static void forget_stamp_if_done(struct wi_tcp_conn *c)
{
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (c->loss.retrans_out == 0 && !(head && (head->marks & WI_TCP_REC_EVER)))
        c->loss.retrans_stamp = 0;
}

void wi_tcp_note_reordering(struct wi_tcp_conn *c, struct wi_seq low)
{
    struct wi_seq fack = c->loss.sacked_out ? c->loss.high_sacked : c->snd_una;
    if (wi_seq_geq(low, fack))
        return;
    uint32_t metric = ((uint32_t)wi_seq_diff(fack, low) + c->snd_mss - 1) / c->snd_mss;
    uint32_t max = (uint32_t)c->sk.core->sysctl.tcp_max_reordering;
    if (metric > c->loss.reordering)
        c->loss.reordering = metric < max ? metric : max;
    c->reord_seen++;
}

/* ---- The window's fall ---- */

static void set_ca(struct wi_tcp_conn *c, enum wi_tcp_ca ca)
{
    if (c->loss.ca == WI_TCP_CA_LOSS && ca != WI_TCP_CA_LOSS)
        wi_tcp_note_rto_over(c);
    c->loss.ca = ca;
}

static void init_undo(struct wi_tcp_conn *c)
{
    c->loss.undo_on = true;
    c->loss.undo_una = c->snd_una;
    c->loss.undo_retrans = c->loss.retrans_out ? c->loss.retrans_out : WI_TCP_UNDO_UNKNOWN;
}

static void begin_reduction(struct wi_tcp_conn *c, const char *cause)
{
    struct wi_tcp_loss *l = &c->loss;
    uint32_t before = c->cwnd;
    l->high_seq = c->snd_nxt;
    l->tlp_on = false;
    c->cwnd_cnt = 0;
    l->prior_cwnd = c->cwnd;
    l->prr_delivered = l->prr_out = 0;
    c->ssthresh = c->cc->ssthresh(c);
    wi_tcp_ecn_queue_cwr(c);
    wi_tcp_event_cwnd(c, before, cause);
}

static void end_reduction(struct wi_tcp_conn *c)
{
    uint32_t before = c->cwnd;
    if (!c->cc->control && c->ssthresh < WI_TCP_SSTHRESH_INF && (c->loss.ca == WI_TCP_CA_CWR || c->loss.undo_on)) {
        c->cwnd = c->ssthresh;
        c->cwnd_stamp = c->sk.core->now;
    }
    if (c->cc->event)
        c->cc->event(c, WI_TCP_CC_RECOVERED);
    wi_tcp_event_cwnd(c, before, "recovered");
}

/* RFC 9937 5: for each segment delivered send in proportion to the reduction; below ssthresh, grow back to it. */
static void reduce_proportionally(struct wi_tcp_conn *c, uint32_t delivered, bool una_advanced)
{
    struct wi_tcp_loss *l = &c->loss;
    if (delivered == 0 || l->prior_cwnd == 0)
        return;
    uint32_t in_flight = wi_tcp_in_flight(c), before = c->cwnd;
    int64_t snd, room = (int64_t)c->ssthresh - in_flight;
    l->prr_delivered += delivered;
    if (room < 0) {
        uint64_t share = (uint64_t)c->ssthresh * l->prr_delivered + l->prior_cwnd - 1;
        snd = (int64_t)(share / l->prior_cwnd) - l->prr_out;
    } else {
        snd = (int64_t)l->prr_delivered - l->prr_out;
        snd = snd > delivered ? snd : delivered;
        if (una_advanced && l->newly_lost == 0)
            snd++;
        snd = snd < room ? snd : room;
    }
    int64_t least = l->prr_out ? 0 : 1; /* the fast retransmission itself */
    snd = snd > least ? snd : least;
    c->cwnd = in_flight + (uint32_t)snd;
    if (c->cwnd != before)
        wi_tcp_event_cwnd(c, before, "fast recovery");
}

void wi_tcp_enter_cwr(struct wi_tcp_conn *c)
{
    c->loss.prior_ssthresh = 0;
    if (c->loss.ca >= WI_TCP_CA_CWR)
        return;
    c->loss.undo_on = false;
    begin_reduction(c, "congestion signalled");
    set_ca(c, WI_TCP_CA_CWR);
}

static void enter_recovery(struct wi_tcp_conn *c, bool ecn_echo)
{
    wi_count(c->sk.core, c->sack_ok ? WI_STAT_TCPSackRecovery : WI_STAT_TCPRenoRecovery);
    c->loss.prior_ssthresh = 0;
    c->loss.dup_bound = c->snd_nxt;
    c->loss.dup_bound_at = c->sk.core->now;
    init_undo(c);
    if (!wi_tcp_in_cwnd_reduction(c)) {
        if (!ecn_echo)
            c->loss.prior_ssthresh = wi_tcp_current_ssthresh(c);
        begin_reduction(c, "fast retransmit");
    }
    set_ca(c, WI_TCP_CA_RECOVERY);
}

/* The oldest record was SACKed once and isn't acknowledged: the peer gave it up (RFC 2018 8), and so does the board. */
static void mark_all_lost(struct wi_tcp_conn *c)
{
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (head && (head->marks & WI_TCP_REC_SACKED)) {
        wi_count(c->sk.core, WI_STAT_TCPSackReneging);
        wi_tcp_sack_forget(c);
        c->loss.is_reneging = true;
    } else if (!c->sack_ok) {
        wi_tcp_reno_reset(c);
    }
    for (struct wi_tcp_rec *r = wi_tcp_rec_head_sent(c); r; r = wi_tcp_rec_next_sent(c, r)) {
        if (r == head || c->loss.is_reneging || !wi_tcp_rack_is_on(c) || !wi_tcp_rack_is_recent(c, r))
            wi_tcp_mark_lost(c, r);
    }
    c->loss.lost_upto = wi_tcp_rack_is_on(c) ? c->snd_una : c->snd_nxt;
}

void wi_tcp_enter_loss(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    bool is_new = l->ca < WI_TCP_CA_RECOVERY;
    uint32_t before = c->cwnd;
    mark_all_lost(c);
    /* One reduction for each window: RFC 5681 3.1 (4). */
    if (l->ca <= WI_TCP_CA_DISORDER || wi_seq_leq(l->high_seq, c->snd_una) ||
        (l->ca == WI_TCP_CA_LOSS && l->retransmits == 0)) {
        l->prior_ssthresh = wi_tcp_current_ssthresh(c);
        l->prior_cwnd = c->cwnd;
        c->ssthresh = c->cc->ssthresh(c);
        init_undo(c);
    }
    if (c->cc->event)
        c->cc->event(c, WI_TCP_CC_LOSS);
    c->cwnd = wi_tcp_in_flight(c) + 1;
    c->cwnd_cnt = 0;
    c->cwnd_stamp = c->sk.core->now;
    uint32_t initial = (uint32_t)c->sk.core->sysctl.tcp_reordering;
    if (l->ca <= WI_TCP_CA_DISORDER && l->sacked_out >= l->reordering && l->reordering > initial)
        l->reordering = initial;
    set_ca(c, WI_TCP_CA_LOSS);
    l->high_seq = c->snd_nxt;
    l->tlp_on = false;
    l->frto = c->sk.core->sysctl.tcp_frto && (is_new || l->retransmits > 0);
    l->frto_new = false;
    l->is_pmtu = l->is_probe_loss = false;
    wi_tcp_ecn_queue_cwr(c);
    wi_tcp_event_cwnd(c, before, "timeout");
}

void wi_tcp_simple_retransmit(struct wi_tcp_conn *c, uint32_t mss)
{
    for (struct wi_tcp_rec *r = wi_tcp_rec_head_sent(c); r; r = wi_tcp_rec_next_sent(c, r)) {
        uint32_t one = wi_tcp_rec_len(r) < r->mss ? wi_tcp_rec_len(r) : r->mss;
        if (mss && one <= mss)
            continue;
        r->marks &= WI_TCP_REC_SACKED | WI_TCP_REC_LOST | WI_TCP_REC_RETRANS | WI_TCP_REC_EVER;
        wi_tcp_mark_lost(c, r);
    }
    if (c->loss.lost_out == 0)
        return;
    c->loss.want_rexmit = true;
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
    /* No reduction: the path did not drop for want of room. RFC 1191 6.4, as Linux's tcp_simple_retransmit. */
    if (c->loss.ca != WI_TCP_CA_LOSS) {
        c->loss.high_seq = c->snd_nxt;
        c->ssthresh = wi_tcp_current_ssthresh(c);
        c->loss.prior_ssthresh = 0;
        c->loss.undo_on = false;
        c->loss.is_pmtu = true;
        c->loss.is_probe_loss = false;
        set_ca(c, WI_TCP_CA_LOSS);
    }
}

/* ---- Undo ---- */

/* The ACK echoes a timestamp from before the first retransmission: it was sent for the original. RFC 4015 3.2. */
static bool is_original_acked(const struct wi_tcp_conn *c)
{
    return c->loss.retrans_stamp && c->ts_ok && c->last_tsecr &&
           wi_seq_lt((struct wi_seq){c->last_tsecr}, (struct wi_seq){c->ts_retrans});
}

static bool may_undo(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_loss *l = &c->loss;
    return l->undo_on && (l->undo_retrans == 0 || is_original_acked(c));
}

static void undo_reduction(struct wi_tcp_conn *c, bool unmark)
{
    struct wi_tcp_loss *l = &c->loss;
    uint32_t before = c->cwnd;
    if (unmark) {
        wi_tcp_rack_unmark_all(c);
        l->lost_upto = c->snd_una;
    }
    if (l->prior_ssthresh) {
        c->cwnd = c->cc->undo(c);
        if (l->prior_ssthresh > c->ssthresh) {
            c->ssthresh = l->prior_ssthresh;
            c->ecn.queue_cwr = false;
        }
    }
    c->cwnd_stamp = c->sk.core->now;
    l->undo_on = false;
    wi_tcp_event_cwnd(c, before, "undo");
}

/* Open when nothing is in doubt, else Disorder. */
static void keep_open(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    bool any_retrans = l->retrans_out || (head && (head->marks & WI_TCP_REC_EVER));
    enum wi_tcp_ca ca = l->sacked_out || l->lost_out || any_retrans ? WI_TCP_CA_DISORDER : WI_TCP_CA_OPEN;
    if (l->ca != ca) {
        set_ca(c, ca);
        l->high_seq = c->snd_nxt;
    }
}

/* Without SACK, dupacks may still come from the retransmissions when snd_una stands at high_seq: wait for one more
 * before recovery may begin again. RFC 6582 3.2 (6), Linux's way. */
static bool must_wait_at_edge(struct wi_tcp_conn *c)
{
    if (!wi_seq_eq(c->snd_una, c->loss.high_seq) || c->sack_ok)
        return false;
    forget_stamp_if_done(c);
    return true;
}

/* All of the episode is acknowledged. True: stay in the state for now. */
static bool leave_recovery(struct wi_tcp_conn *c)
{
    if (may_undo(c))
        undo_reduction(c, false);
    else if (c->loss.rack_reo_persist > 0)
        c->loss.rack_reo_persist--; /* RFC 8985 6.2 step 4 */
    if (must_wait_at_edge(c))
        return true;
    set_ca(c, WI_TCP_CA_OPEN);
    c->loss.is_reneging = false;
    return false;
}

void wi_tcp_synack_answered(struct wi_tcp_conn *c)
{
    if (c->loss.ca == WI_TCP_CA_LOSS && c->loss.packets_out == 0)
        (void)leave_recovery(c);
    forget_stamp_if_done(c);
}

/* Every retransmission was reported as a duplicate: RFC 3708. True: undone. */
static bool undo_by_dsack(struct wi_tcp_conn *c)
{
    if (!c->loss.undo_on || c->loss.undo_retrans != 0)
        return false;
    undo_reduction(c, false);
    return true;
}

static bool undo_loss(struct wi_tcp_conn *c, bool by_frto)
{
    if (!by_frto && !may_undo(c))
        return false;
    undo_reduction(c, true);
    c->loss.retransmits = 0;
    if (by_frto || c->sack_ok) {
        set_ca(c, WI_TCP_CA_OPEN);
        c->loss.is_reneging = false;
    }
    return true;
}

/* A partial ACK that the original caused: nothing was lost. True: leave everything as it is. */
static bool undo_partial(struct wi_tcp_conn *c)
{
    if (!c->loss.undo_on || !is_original_acked(c))
        return false;
    if (c->loss.retrans_out)
        return true;
    forget_stamp_if_done(c);
    undo_reduction(c, true);
    keep_open(c);
    return true;
}

/* ---- Deciding ---- */

static bool is_dupack(const struct wi_tcp_ackinfo *a)
{
    return !a->una_advanced && !a->has_data && !a->wnd_updated && a->acked_segs == 0;
}

/* NewReno: the first unacknowledged segment is lost, by dupacks or by a partial ACK. RFC 6582 3.2. */
static void reno_mark_lost(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    bool by_dupacks = c->loss.ca < WI_TCP_CA_RECOVERY && c->loss.sacked_out >= c->loss.reordering;
    if (!by_dupacks && !(c->loss.ca == WI_TCP_CA_RECOVERY && a->una_advanced))
        return;
    struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (!head || (head->marks & WI_TCP_REC_LOST))
        return;
    if (head->segs > 1 && wi_tcp_rec_len(head) > head->mss && wi_tcp_rec_split(c, head, head->mss, head->mss) < 0)
        return;
    wi_tcp_mark_lost(c, head);
}

static void identify_loss(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    if (!c->sack_ok)
        reno_mark_lost(c, a);
    else if (wi_tcp_rack_is_on(c))
        a->set_timer = !wi_tcp_rack_mark_lost(c) && a->set_timer; /* the wait for reordering comes first (Linux) */
    else
        wi_tcp_sack_mark_lost(c);
}

/* What was SACKed above is below: the oldest record is marked so, although the peer asks for it. Give the peer a moment
 * to change its mind, then the RTO forgets all SACKs. */
static bool is_reneging(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    if (!a->sack_reneging)
        return false;
    weir_ns wait = WEIR_US((weir_ns)(c->rtt.srtt_us8 >> 4));
    wi_tcp_arm_rtx(c, WEIR_TIMER_RTO, wait > RENEG_WAIT_MIN ? wait : RENEG_WAIT_MIN);
    a->set_timer = false;
    return true;
}

static void try_to_open(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    forget_stamp_if_done(c);
    if (a->ecn_echo)
        wi_tcp_enter_cwr(c);
    if (c->loss.ca != WI_TCP_CA_CWR)
        keep_open(c);
}

/* F-RTO, RFC 5682 2.1 and 3.1: was the timeout spurious? True: decided, or new data decide; nothing is sent again. */
static bool frto_decides(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a, bool is_over)
{
    struct wi_tcp_loss *l = &c->loss;
    if (a->orig_acked && undo_loss(c, true))
        return true; /* step 3b: something that was sent once arrived */
    if (wi_seq_gt(c->snd_nxt, l->high_seq)) {
        if (a->data_sacked || is_dupack(a))
            l->frto = false; /* step 3a: the loss was real */
    } else if (a->una_advanced && !is_over) {
        l->high_seq = c->snd_nxt;
        if (c->sndq.send_head && wi_seq_gt(wi_tcp_wnd_end(c), c->snd_nxt)) {
            l->frto_new = true; /* step 2b */
            return true;
        }
        l->frto = false;
    }
    return false;
}

/* In Loss. True: what is lost may be sent again. */
static bool process_loss(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_loss *l = &c->loss;
    bool is_over = wi_seq_geq(c->snd_una, l->high_seq);
    if (a->una_advanced && undo_loss(c, false))
        return false;
    if (l->frto && frto_decides(c, a, is_over))
        return false;
    if (is_over) {
        (void)leave_recovery(c);
        return false;
    }
    if (!c->sack_ok) {
        if (wi_seq_gt(c->snd_nxt, l->high_seq) && is_dupack(a))
            wi_tcp_reno_dupack(c, 1);
        else if (a->una_advanced)
            wi_tcp_reno_reset(c);
    }
    return true;
}

/* Has the episode ended with this ACK? True: nothing more to decide. */
static bool episode_ends(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    if (l->ca == WI_TCP_CA_OPEN) {
        l->retrans_stamp = 0;
        return false;
    }
    if (wi_seq_lt(c->snd_una, l->high_seq))
        return false;
    if (l->ca == WI_TCP_CA_CWR && !wi_seq_eq(c->snd_una, l->high_seq)) {
        end_reduction(c);
        set_ca(c, WI_TCP_CA_OPEN);
    } else if (l->ca == WI_TCP_CA_RECOVERY) {
        if (!c->sack_ok)
            wi_tcp_reno_reset(c);
        if (leave_recovery(c))
            return true;
        end_reduction(c);
    }
    return false;
}

/* Open, Disorder or CWR. True: a retransmission is due. */
static bool suspect(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_loss *l = &c->loss;
    if (!c->sack_ok) {
        if (a->una_advanced)
            wi_tcp_reno_reset(c);
        if (is_dupack(a))
            wi_tcp_reno_dupack(c, 1);
    }
    if (l->ca <= WI_TCP_CA_DISORDER)
        (void)undo_by_dsack(c);
    identify_loss(c, a);
    if (l->lost_out == 0) {
        try_to_open(c, a);
        return false;
    }
    if (wi_tcp_mtup_lost(c)) {
        l->is_probe_loss = true;
        return true;
    }
    enter_recovery(c, a->ecn_echo);
    return true;
}

/* In Recovery. True: what is lost may be sent again. */
static bool process_recovery(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    if (!a->una_advanced) {
        if (!c->sack_ok && is_dupack(a))
            wi_tcp_reno_dupack(c, 1);
    } else if (undo_partial(c)) {
        return c->loss.want_rexmit;
    }
    if (undo_by_dsack(c))
        try_to_open(c, a);
    identify_loss(c, a);
    if (c->loss.ca != WI_TCP_CA_RECOVERY) { /* undone; but something else may be lost in earnest */
        if (c->loss.lost_out == 0)
            return false;
        enter_recovery(c, a->ecn_echo);
    }
    return true;
}

/* In Loss. True: what is lost may be sent again. A retransmission that was lost is congestion anew (RFC 5681 4.3), and
 * so is what is lost beside an undone timeout. */
static bool process_loss_state(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_loss *l = &c->loss;
    bool may_send = process_loss(c, a);
    uint32_t retrans = l->retrans_out;
    identify_loss(c, a);
    if (l->is_probe_loss && l->newly_lost) { /* not the probe alone: RFC 4821 4 */
        enter_recovery(c, a->ecn_echo);
        return true;
    }
    if (l->ca == WI_TCP_CA_OPEN || l->retrans_out < retrans)
        return suspect(c, a);
    return may_send;
}

/* The ACK is not a plain one: dupack, SACK, ECE, or something is amiss already. */
static void alert(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_loss *l = &c->loss;
    if (a->ecn_echo)
        l->prior_ssthresh = 0; /* the network said so: no undo */
    if (is_reneging(c, a) || episode_ends(c))
        return;
    switch (l->ca) {
    case WI_TCP_CA_RECOVERY: l->want_rexmit = process_recovery(c, a); return;
    case WI_TCP_CA_LOSS: l->want_rexmit = process_loss_state(c, a); return;
    case WI_TCP_CA_OPEN:
    case WI_TCP_CA_DISORDER:
    case WI_TCP_CA_CWR: l->want_rexmit = suspect(c, a); return;
    }
}

void wi_tcp_recover_by_time(struct wi_tcp_conn *c)
{
    if (c->loss.ca == WI_TCP_CA_RECOVERY || c->loss.ca == WI_TCP_CA_LOSS)
        return;
    if (wi_tcp_mtup_lost(c)) {
        c->loss.is_probe_loss = true;
        return;
    }
    enter_recovery(c, false);
    reduce_proportionally(c, 1, false);
}

void wi_tcp_tlp_repaired(struct wi_tcp_conn *c)
{
    begin_reduction(c, "tail loss");
    set_ca(c, WI_TCP_CA_CWR);
    end_reduction(c);
    keep_open(c);
}

/* ---- The ACK's whole effect ---- */

static void count_dupacks(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    if (a->una_advanced)
        c->loss.dupacks = 0;
    else if ((is_dupack(a) || a->data_sacked) && c->loss.dupacks < UINT8_MAX)
        c->loss.dupacks++;
}

/* RFC 5681 3.1 grows the window only by what was acknowledged in order; with known reordering, by what arrived. */
static bool may_raise(const struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    if (c->loss.reordering > (uint32_t)c->sk.core->sysctl.tcp_reordering)
        return a->una_advanced || a->data_sacked;
    return a->data_acked;
}

static void control(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    uint32_t delivered = c->delivered - a->prior_delivered, before = c->cwnd;
    struct wi_tcp_acked acked = {.acked = delivered, .in_flight = a->prior_in_flight, .rtt_us = a->ca_rtt_us};
    if (c->cc->control) {
        c->cc->control(c, &a->rate);
        if (c->cwnd != before)
            wi_tcp_event_cwnd(c, before, "model of the path");
    } else if (wi_tcp_in_cwnd_reduction(c)) {
        reduce_proportionally(c, delivered, a->una_advanced);
    } else if (may_raise(c, a)) {
        bool in_slow_start = wi_tcp_in_slow_start(c);
        c->cc->avoid(c, &acked);
        c->cwnd_stamp = c->sk.core->now;
        if (c->cwnd != before)
            wi_tcp_event_cwnd(c, before, in_slow_start ? "slow start" : "congestion avoidance");
    }
    wi_tcp_pacing_update(c);
    if (c->cwnd > before)
        wi_tcp_sndbuf_expand(c);
}

static void finish_sample(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_rate *s = &a->rate;
    s->acked_sacked = c->delivered - a->prior_delivered;
    s->losses = c->lost_total - a->prior_lost;
    s->ce = c->delivered_ce - a->prior_ce;
    s->prior_in_flight = a->prior_in_flight;
    s->rtt_us = a->ca_rtt_us;
    wi_tcp_rate_end(c, s, a->sack_reneging);
}

void wi_tcp_recovery_ack(struct wi_tcp_conn *c, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_loss *l = &c->loss;
    l->newly_lost = 0;
    count_dupacks(c, a);
    if (!c->sack_ok && l->packets_out == 0)
        l->sacked_out = 0;
    if (a->acked_segs && c->cc->acked) {
        struct wi_tcp_acked acked = {.acked = a->acked_segs, .in_flight = a->prior_in_flight, .rtt_us = a->ca_rtt_us};
        c->cc->acked(c, &acked);
    }
    bool is_plain = a->has_data || a->wnd_updated || a->acked_segs;
    if (!is_plain || a->data_sacked || a->ecn_echo || a->dsack || l->ca != WI_TCP_CA_OPEN)
        alert(c, a);
    finish_sample(c, a);
    control(c, a);
}

/* ---- Again ---- */

static enum weir_why why_again(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    if (r->flags & WI_TH_SYN)
        return WEIR_WHY_REXMIT_SYN;
    if (c->loss.ca == WI_TCP_CA_LOSS)
        return c->loss.is_pmtu ? WEIR_WHY_REXMIT_PMTU : WEIR_WHY_REXMIT_RTO;
    if (c->sack_ok && c->loss.prr_out == 0 && c->loss.dupacks >= c->loss.reordering)
        return WEIR_WHY_REXMIT_DUPACK;
    if (c->sack_ok)
        return wi_tcp_rack_is_on(c) ? WEIR_WHY_REXMIT_RACK : WEIR_WHY_REXMIT_SACK;
    return wi_seq_eq(c->snd_una, c->loss.undo_una) ? WEIR_WHY_REXMIT_DUPACK : WEIR_WHY_REXMIT_PARTIAL;
}

void wi_tcp_xmit_lost(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    uint32_t tso = wi_tcp_tso_segs(c, wi_tcp_mss_now(c));
    struct wi_seq from = wi_seq_max(l->retrans_hint, c->snd_una);
    struct wi_tcp_rec *r = wi_tcp_rec_find(c, from);
    l->want_rexmit = false;
    bool is_head_sent = false, waits_for_order = c->rtx_kind == WEIR_TIMER_REORDER && wi_timer_armed(&c->timer_rtx);
    for (; r && l->retrans_out < l->lost_out; r = wi_tcp_rec_next_unsacked(r)) {
        uint32_t in_flight = wi_tcp_in_flight(c);
        if (in_flight >= c->cwnd || wi_tcp_pace_holds(c))
            break;
        l->retrans_hint = r->seq;
        wi_count(c->sk.core, WI_STAT_TCPScoreboardSteps);
        if (!(r->marks & WI_TCP_REC_LOST) || (r->marks & WI_TCP_REC_RETRANS))
            continue;
        uint32_t segs = c->cwnd - in_flight < tso ? c->cwnd - in_flight : tso;
        if (wi_tcp_retransmit(c, r, segs, why_again(c, r)) < 0)
            break;
        enum wi_stat how = l->ca == WI_TCP_CA_LOSS ? WI_STAT_TCPSlowStartRetrans : WI_STAT_TCPFastRetrans;
        c->sk.core->stats.count[how] += r->segs;
        if (wi_tcp_in_cwnd_reduction(c))
            l->prr_out += r->segs;
        is_head_sent |= r == wi_tcp_rec_head_sent(c);
    }
    if (is_head_sent && !waits_for_order)
        wi_tcp_rearm_rto(c); /* RFC 6298 5.1 for the retransmission */
}
