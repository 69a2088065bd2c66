/*
 * A connection's timers: retransmission (RFC 6298 5, RFC 1122 4.2.3.5's R1 and R2), persist (RFC 9293 3.8.6.1),
 * delayed ACK, keepalive (RFC 9293 3.8.4), FIN-WAIT-2, user timeout (RFC 5482). Timers note what is owed; the flush
 * after the advance sends it.
 */
#include "tcp/fastopen.h"
#include "tcp/send.h"

#define THIN_SEGS         4u /* Linux's tcp_stream_is_thin, TCP_THIN_LINEAR_RETRIES */
#define THIN_TIMEOUTS     6u
#define PROBE_MIN_NS      WEIR_MS(200)
#define ORPHAN_PROBES_MAX 8u /* without an owner, Linux's default for tcp_orphan_retries 0 */

/* ---- Arming ---- */

void wi_tcp_arm_rtx(struct wi_tcp_conn *c, enum weir_timer kind, weir_ns delay)
{
    weir_ns max = wi_tcp_rto_max(c);
    c->rtx_kind = kind;
    wi_timer_arm(&c->sk.core->wheel, &c->timer_rtx, c->sk.core->now + (delay < max ? delay : max));
}

void wi_tcp_stop_rtx(struct wi_tcp_conn *c)
{
    wi_timer_stop(&c->timer_rtx);
    c->rtx_kind = WEIR_TIMER_RTO;
}

/* Not later than the user's limit runs out. */
static weir_ns clamp_to_user_timeout(const struct wi_tcp_conn *c, weir_ns since, weir_ns delay)
{
    weir_ns user = WEIR_MS((weir_ns)c->user_timeout_ms), now = c->sk.core->now;
    if (user == 0 || since == 0)
        return delay;
    weir_ns left = since + user > now ? since + user - now : WEIR_MS(1);
    return delay < left ? delay : left;
}

void wi_tcp_rearm_rto(struct wi_tcp_conn *c)
{
    if (c->fo.pending)
        return; /* the timer is the SYN-ACK's */
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (!head) {
        wi_tcp_stop_rtx(c); /* RFC 6298 5.2 */
        return;
    }
    weir_ns now = c->sk.core->now, wait = c->rtt.rto;
    bool is_short = c->rtx_kind == WEIR_TIMER_TLP || c->rtx_kind == WEIR_TIMER_REORDER;
    if (is_short) { /* armed, or fired and nothing sent: the RTO counts from the oldest's transmission */
        weir_ns due = head->sent_at + wait;
        wait = due > now ? due - now : 1;
    }
    if (c->loss.retransmits > 0)
        wait = clamp_to_user_timeout(c, c->loss.retrans_stamp, wait);
    wi_tcp_arm_rtx(c, WEIR_TIMER_RTO, wait);
}

void wi_tcp_rearm_after_ack(struct wi_tcp_conn *c)
{
    if (!wi_tcp_tlp_arm(c, true))
        wi_tcp_rearm_rto(c);
}

static weir_ns probe_delay(const struct wi_tcp_conn *c)
{
    weir_ns base = c->rtt.rto > PROBE_MIN_NS ? c->rtt.rto : PROBE_MIN_NS, max = wi_tcp_rto_max(c);
    unsigned shift = c->probe_backoff < 20 ? c->probe_backoff : 20;
    return base << shift < max ? base << shift : max;
}

void wi_tcp_arm_probe(struct wi_tcp_conn *c)
{
    if (c->loss.packets_out == 0 && !wi_timer_armed(&c->timer_rtx))
        wi_tcp_arm_rtx(c, WEIR_TIMER_PERSIST, probe_delay(c));
}

void wi_tcp_arm_delack(struct wi_tcp_conn *c, weir_ns delay)
{
    wi_timer_arm(&c->sk.core->wheel, &c->timer_delack, c->sk.core->now + delay);
}

void wi_tcp_stop_delack(struct wi_tcp_conn *c)
{
    wi_timer_stop(&c->timer_delack);
}

void wi_tcp_arm_pace(struct wi_tcp_conn *c)
{
    wi_timer_arm(&c->sk.core->wheel, &c->timer_pace, c->pace_at);
}

void wi_tcp_stop_pace(struct wi_tcp_conn *c)
{
    wi_timer_stop(&c->timer_pace);
}

/* ---- Giving up ---- */

/* Nobody answers, so nobody is told: RFC 9293 3.10.8 ends it without a segment, as does Linux, but for keepalive. */
static void give_up(struct wi_tcp_conn *c, const char *cause, enum weir_why reset)
{
    wi_count(c->sk.core, WI_STAT_TCPAbortOnTimeout);
    wi_tcp_done(c, c->sk.err_soft ? c->sk.err_soft : WEIR_ETIMEDOUT, reset, cause);
}

/* How long `n` timeouts take when the first is `base`: doubling up to the maximum (Linux's tcp_model_timeout). */
static weir_ns model_timeout(const struct wi_tcp_conn *c, unsigned n, weir_ns base)
{
    weir_ns max = wi_tcp_rto_max(c), total = 0, one = base;
    for (unsigned i = 0; i <= n && i < 256; i++) {
        total += one;
        one = one * 2 < max ? one * 2 : max;
    }
    return total;
}

/* Linux's tcp_orphan_retries: while the back-off has not grown to its maximum there is hope, whatever ICMP says. */
static unsigned orphan_retries(const struct wi_tcp_conn *c, bool has_hope)
{
    int64_t n = c->sk.core->sysctl.tcp_orphan_retries;
    if (c->sk.err_soft && !has_hope)
        return 0; /* the path is known to be broken */
    return n == 0 && has_hope ? ORPHAN_PROBES_MAX : (unsigned)n;
}

/* Have `retries` timeouts passed? Counted in time, so that a short RTO does not end a connection early: RFC 1122
 * 4.2.3.5, Linux's retransmits_timed_out. */
static bool is_timed_out(const struct wi_tcp_conn *c, unsigned retries, weir_ns limit)
{
    if (c->loss.retransmits == 0)
        return false;
    weir_ns since = c->loss.retrans_stamp;
    if (since == 0) {
        const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
        since = head ? head->first_sent_at : c->sk.core->now;
    }
    if (limit == 0)
        limit = model_timeout(c, retries, wi_tcp_rto_min(c));
    return c->sk.core->now - since >= limit;
}

/* So many SYNs, or as long as those that back off take: whichever is over first. Linux's tcp_write_timeout. */
static bool opening_timed_out(const struct wi_tcp_conn *c)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    unsigned retries = c->syn_retries ? c->syn_retries : (unsigned)s->tcp_syn_retries, most = retries;
    if (c->state == WEIR_TCP_SYN_SENT) /* those before the back-off begins don't count */
        most += (unsigned)s->tcp_syn_linear_timeouts;
    weir_ns limit = WEIR_MS((weir_ns)c->user_timeout_ms), spent = c->sk.core->now - c->opened_at;
    if (limit == 0)
        limit = model_timeout(c, retries, WI_TCP_RTO_INIT);
    return c->loss.retransmits >= most || (c->loss.retransmits > 0 && spent >= limit);
}

/* An RTO has fired: is it time to give up? RFC 9293 3.8.3: R2, at least 3 minutes for a SYN's, 100 s for data. */
static bool write_timed_out(struct wi_tcp_conn *c)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    if (c->state == WEIR_TCP_SYN_SENT || c->state == WEIR_TCP_SYN_RCVD)
        return opening_timed_out(c);
    if (is_timed_out(c, (unsigned)s->tcp_retries1, 0)) { /* RFC 9293 3.8.3 (a), (b): R1 */
        wi_net_doubt(c->sk.net, &c->dst);
        wi_tcp_suspect_black_hole(c);
    }
    unsigned max = (unsigned)s->tcp_retries2;
    if (!c->sk.owner && c->is_orphan) {
        max = orphan_retries(c, c->rtt.rto < wi_tcp_rto_max(c));
        if (c->loss.retransmits >= max && c->rtt.rto >= wi_tcp_rto_max(c))
            return true;
    }
    return is_timed_out(c, max, WEIR_MS((weir_ns)c->user_timeout_ms));
}

/* ---- Firing ---- */

/* How long the oldest record has been sent again. */
static weir_ns retransmitting_for(const struct wi_tcp_conn *c, const struct wi_tcp_rec *head)
{
    return c->sk.core->now - (c->loss.retrans_stamp ? c->loss.retrans_stamp : head->first_sent_at);
}

/* The window closed while data was in flight: probe with the oldest segment, for ever while the peer answers (RFC 9293
 * 3.8.6.1, MUST-36, MUST-37). False: the RTO is as any other. */
static bool rto_in_zero_window(struct wi_tcp_conn *c, const struct wi_tcp_rec *head)
{
    if (c->snd_wnd_bytes != 0 || !c->sk.owner || (head->flags & WI_TH_SYN) || c->state < WEIR_TCP_ESTABLISHED)
        return false;
    weir_ns limit = wi_tcp_rto_max(c) * 2, user = WEIR_MS((weir_ns)c->user_timeout_ms);
    weir_ns spent = retransmitting_for(c, head), silent = c->sk.core->now - c->last_ack_in_at;
    /* The user's limit counts from the first retransmission, whatever the peer answers meanwhile. RFC 5482 3. */
    if ((user && spent >= user) || (silent > limit && spent > limit)) {
        give_up(c, "the window stayed closed", WEIR_WHY_NONE);
        return true;
    }
    wi_tcp_enter_loss(c);
    c->loss.want_rexmit = true;
    return true;
}

/* So few segments under way that no dupacks can help: the first timeouts don't back off (Linux's thin streams). */
static bool is_thin(const struct wi_tcp_conn *c)
{
    return c->state == WEIR_TCP_ESTABLISHED && (c->thin_linear || c->sk.core->sysctl.tcp_thin_linear_timeouts) &&
           c->loss.packets_out < THIN_SEGS && c->ssthresh < WI_TCP_SSTHRESH_INF && c->loss.retransmits <= THIN_TIMEOUTS;
}

static void after_rto(struct wi_tcp_conn *c)
{
    if (is_thin(c)) {
        c->rtt.backoff = 0;
        wi_tcp_rto_update(c);
        wi_tcp_rearm_rto(c);
        return;
    }
    /* Linux repeats the first SYNs without backing off: who has lost one has not met congestion yet. */
    bool is_linear = c->state == WEIR_TCP_SYN_SENT && c->total_rto <= c->sk.core->sysctl.tcp_syn_linear_timeouts;
    if (!is_linear)
        wi_tcp_rtt_backoff(c);
    wi_tcp_rearm_rto(c);
}

void wi_tcp_note_rto(struct wi_tcp_conn *c)
{
    c->total_rto++;
    if (c->rto_at)
        return;
    c->total_rto_recoveries++;
    c->rto_at = c->sk.core->now;
}

void wi_tcp_note_rto_over(struct wi_tcp_conn *c)
{
    if (c->rto_at)
        c->total_rto_time += c->sk.core->now - c->rto_at;
    c->rto_at = 0;
}

static void rto_fire(struct wi_tcp_conn *c)
{
    struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (!head)
        return;
    if (rto_in_zero_window(c, head)) {
        if (c->state != WEIR_TCP_CLOSED)
            after_rto(c);
        return;
    }
    bool is_over = write_timed_out(c);
    wi_tcp_fo_timed_out(c, is_over);
    if (is_over) {
        bool in_handshake = c->state == WEIR_TCP_SYN_SENT || c->state == WEIR_TCP_SYN_RCVD;
        give_up(c, in_handshake ? "no answer to SYN" : "too many retransmissions", WEIR_WHY_NONE);
        return;
    }
    wi_count(c->sk.core, WI_STAT_TCPTimeouts);
    wi_tcp_note_rto(c);
    if (c->sk.opts.txrehash) {
        c->rehash++;
        wi_count(c->sk.core, WI_STAT_TcpTimeoutRehash);
    }
    if (head->flags & WI_TH_SYN)
        wi_tcp_mark_lost(c, head); /* no window to reduce yet: finish_established sets the first one */
    else
        wi_tcp_enter_loss(c);
    if (c->loss.retransmits < UINT8_MAX)
        c->loss.retransmits++;
    c->loss.want_rexmit = true;
    after_rto(c);
}

/* Unanswered probes that end it. One without an owner ends also when its probes have become as rare as they get,
 * answered or not: a peer could keep it here for ever (CVE-2008-4609; Linux's tcp_probe_timer). */
static unsigned probes_max(const struct wi_tcp_conn *c)
{
    if (c->sk.owner)
        return (unsigned)c->sk.core->sysctl.tcp_retries2;
    bool has_hope = probe_delay(c) < wi_tcp_rto_max(c);
    unsigned n = orphan_retries(c, has_hope);
    return has_hope || c->probe_backoff < n ? n : 0;
}

/* The window is closed and nothing is outstanding: probe it. */
static void persist_fire(struct wi_tcp_conn *c)
{
    if (c->loss.packets_out || !c->sndq.send_head) {
        c->probes_out = 0;
        c->probe_since = 0;
        return;
    }
    weir_ns now = c->sk.core->now, user = WEIR_MS((weir_ns)c->user_timeout_ms);
    unsigned max = probes_max(c);
    if (c->probe_since == 0)
        c->probe_since = now;
    else if (user && now - c->probe_since >= user)
        max = 0;
    if (c->probes_out >= max) {
        give_up(c, "zero-window probes unanswered", WEIR_WHY_NONE);
        return;
    }
    wi_count(c->sk.core, WI_STAT_TCPZeroWindowProbes);
    int sent = wi_tcp_write_wakeup(c, WEIR_WHY_PROBE_WINDOW);
    if (c->loss.packets_out || !c->sndq.send_head)
        return;
    if (sent >= 0) {
        if (c->probe_backoff < 20)
            c->probe_backoff++;
        c->probes_out++;
    }
    weir_ns delay = sent >= 0 ? probe_delay(c) : WEIR_MS(500); /* no memory: Linux's TCP_RESOURCE_PROBE_INTERVAL */
    wi_tcp_arm_rtx(c, WEIR_TIMER_PERSIST, clamp_to_user_timeout(c, c->probe_since, delay));
}

static void on_rtx(struct wi_timer *t, weir_ns now)
{
    (void)now;
    struct wi_tcp_conn *c = WI_CONTAINER_OF(t, struct wi_tcp_conn, timer_rtx);
    wi_tcp_ledger_charge(c);
    wi_tcp_event_timer(c, c->rtx_kind);
    switch (c->rtx_kind) {
    case WEIR_TIMER_RTO: rto_fire(c); break;
    case WEIR_TIMER_TLP: wi_tcp_tlp_fire(c); break;
    case WEIR_TIMER_REORDER: wi_tcp_rack_fire(c); break;
    case WEIR_TIMER_PERSIST: persist_fire(c); break;
    case WEIR_TIMER_SYN_ACK: wi_tcp_fo_synack_timer(c); break;
    case WEIR_TIMER_DELACK:
    case WEIR_TIMER_COMP_SACK:
    case WEIR_TIMER_KEEPALIVE:
    case WEIR_TIMER_PACE:
    case WEIR_TIMER_FIN_WAIT_2:
    case WEIR_TIMER_TIME_WAIT:
    case WEIR_TIMER_N: WI_UNREACHABLE("no kind of this timer");
    }
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
}

static void on_delack(struct wi_timer *t, weir_ns now)
{
    (void)now;
    struct wi_tcp_conn *c = WI_CONTAINER_OF(t, struct wi_tcp_conn, timer_delack);
    wi_tcp_ledger_charge(c);
    wi_tcp_event_timer(c, c->comp_acks > 0 ? WEIR_TIMER_COMP_SACK : WEIR_TIMER_DELACK);
    wi_tcp_delack_fire(c);
}

static void on_pace(struct wi_timer *t, weir_ns now)
{
    (void)now;
    struct wi_tcp_conn *c = WI_CONTAINER_OF(t, struct wi_tcp_conn, timer_pace);
    wi_tcp_ledger_charge(c);
    wi_tcp_event_timer(c, WEIR_TIMER_PACE);
    wi_tcp_pace_fire(c);
}

/* ---- Keepalive ---- */

static weir_ns keep_idle(const struct wi_tcp_conn *c)
{
    return WEIR_SEC((weir_ns)(c->keepidle_s ? c->keepidle_s : (uint32_t)c->sk.core->sysctl.tcp_keepalive_time));
}

static weir_ns keep_interval(const struct wi_tcp_conn *c)
{
    return WEIR_SEC((weir_ns)(c->keepintvl_s ? c->keepintvl_s : (uint32_t)c->sk.core->sysctl.tcp_keepalive_intvl));
}

static bool keeps_alive(const struct wi_tcp_conn *c)
{
    return c->sk.opts.keepalive && !c->is_shell &&
           (c->state == WEIR_TCP_ESTABLISHED || c->state == WEIR_TCP_CLOSE_WAIT || c->state == WEIR_TCP_FIN_WAIT_1 ||
            c->state == WEIR_TCP_FIN_WAIT_2);
}

static void arm_keep(struct wi_tcp_conn *c, weir_ns due)
{
    wi_timer_arm(&c->sk.core->wheel, &c->timer_keep, due);
}

void wi_tcp_keepalive_update(struct wi_tcp_conn *c)
{
    if (keeps_alive(c))
        arm_keep(c, c->last_ack_in_at + keep_idle(c));
    else
        wi_timer_stop(&c->timer_keep);
}

/* RFC 9293 3.8.4: nothing was heard for the idle time; probe at intervals, give up after the count. */
static void keepalive_fire(struct wi_tcp_conn *c)
{
    weir_ns now = c->sk.core->now, idle = keep_idle(c), due = c->last_ack_in_at + idle;
    if (c->loss.packets_out || c->sndq.send_head) {
        arm_keep(c, now + idle); /* data outstanding is a probe already */
        return;
    }
    if (due > now) {
        arm_keep(c, due);
        return;
    }
    unsigned max = c->keepcnt ? c->keepcnt : (unsigned)c->sk.core->sysctl.tcp_keepalive_probes;
    weir_ns user = WEIR_MS((weir_ns)c->user_timeout_ms);
    bool is_over = user ? now - c->last_ack_in_at >= user && c->probes_out > 0 : c->probes_out >= max;
    if (is_over) {
        give_up(c, "keepalive probes unanswered", WEIR_WHY_RST_TIMEOUT);
        return;
    }
    wi_count(c->sk.core, WI_STAT_TCPKeepAlive);
    if (wi_tcp_write_wakeup(c, WEIR_WHY_PROBE_KEEPALIVE) >= 0)
        c->probes_out++;
    arm_keep(c, now + keep_interval(c));
}

void wi_tcp_keepalive_fire(struct wi_tcp_conn *c)
{
    wi_tcp_ledger_charge(c);
    if (keeps_alive(c)) {
        wi_tcp_event_timer(c, WEIR_TIMER_KEEPALIVE);
        keepalive_fire(c);
    }
}

static void on_keep(struct wi_timer *t, weir_ns now)
{
    (void)now;
    wi_tcp_keepalive_fire(WI_CONTAINER_OF(t, struct wi_tcp_conn, timer_keep));
}

void wi_tcp_timers_init(struct wi_tcp_conn *c)
{
    wi_timer_init(&c->timer_rtx, on_rtx);
    wi_timer_init(&c->timer_delack, on_delack);
    wi_timer_init(&c->timer_pace, on_pace);
    wi_timer_init(&c->timer_keep, on_keep);
}

void wi_tcp_timers_stop(struct wi_tcp_conn *c)
{
    wi_timer_cancel(&c->sk.core->wheel, &c->timer_rtx);
    wi_timer_cancel(&c->sk.core->wheel, &c->timer_delack);
    wi_timer_cancel(&c->sk.core->wheel, &c->timer_pace);
    wi_timer_cancel(&c->sk.core->wheel, &c->timer_keep);
}
