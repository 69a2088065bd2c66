/*
 * Pacing in the stack: what a connection sends is spread over time when its controller asks for that, or the user does
 * (SO_MAX_PACING_RATE) or the owner of the stack (net.core.default_qdisc is fq). Each transmission moves the moment
 * before which no other leaves; a timer looks again then. The rate itself is the controller's, or follows from the
 * window and the RTT as in Linux's tcp_update_pacing_rate.
 */
#include "tcp/send.h"

#define UNPACED_SEGS 10u /* the initial window goes at once: Linux's tcp_update_skb_after_send */

bool wi_tcp_is_paced(const struct wi_tcp_conn *c)
{
    bool all = c->sk.core->sysctl.default_qdisc[0] == 'f'; /* fq: the only other name is pfifo_fast */
    return all || c->cc->pacing || c->sk.opts.max_pacing_bps != UINT64_MAX;
}

static uint64_t rate_of_window(const struct wi_tcp_conn *c)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    uint64_t window = c->cwnd > c->loss.packets_out ? c->cwnd : c->loss.packets_out;
    uint64_t percent = (uint64_t)(c->cwnd < c->ssthresh / 2 ? s->tcp_pacing_ss_ratio : s->tcp_pacing_ca_ratio);
    return window * c->snd_mss * percent * 80000u / c->rtt.srtt_us8;
}

void wi_tcp_pacing_update(struct wi_tcp_conn *c)
{
    uint64_t max = c->sk.opts.max_pacing_bps;
    if (c->cc->pacing) {
        c->pacing_bps = wi_min_u64(c->cc->pacing(c), max);
    } else if (c->rtt.srtt_us8) {
        c->pacing_bps = wi_min_u64(rate_of_window(c), max);
    } else {
        c->pacing_bps = wi_min_u64(c->pacing_bps, max);
    }
}

void wi_tcp_pacing_limit(struct wi_tcp_conn *c)
{
    c->pacing_bps = UINT64_MAX;
    wi_tcp_pacing_update(c);
    c->pace_at = 0;
    if (wi_timer_armed(&c->timer_pace)) {
        wi_tcp_stop_pace(c);
        wi_tcp_pace_fire(c);
    }
}

void wi_tcp_pace_sent(struct wi_tcp_conn *c, uint32_t bytes)
{
    bool has_rate = c->pacing_bps && c->pacing_bps != UINT64_MAX; /* 0 is none either, as with Linux */
    if (!has_rate || !wi_tcp_is_paced(c) || c->data_segs_out < UNPACED_SEGS)
        return;
    weir_ns now = c->sk.core->now, begin = c->pace_at > now ? c->pace_at : now, late = begin - c->pace_at;
    weir_ns takes = (weir_ns)bytes * WEIR_SEC(1) / c->pacing_bps;
    takes -= late < takes / 2 ? late : takes / 2; /* a timer that came late costs no rate */
    c->pace_at = begin + takes;
}

bool wi_tcp_pace_holds(struct wi_tcp_conn *c)
{
    if (c->pace_at <= c->sk.core->now || !wi_tcp_is_paced(c))
        return false;
    if (!wi_timer_armed(&c->timer_pace))
        wi_tcp_arm_pace(c);
    return true;
}

void wi_tcp_pace_fire(struct wi_tcp_conn *c)
{
    if (c->loss.lost_out > c->loss.retrans_out)
        c->loss.want_rexmit = true;
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
}
