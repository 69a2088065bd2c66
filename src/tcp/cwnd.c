/*
 * The congestion window outside of recovery: its first value (RFC 6928), whether it is used (RFC 7661), what idleness
 * does to it (RFC 5681 4.1), the pacing rate that follows from it.
 */
#include "tcp/send.h"

/* The peer echoes the timestamp of our first SYN or SYN-ACK: it was late, not lost, and what went after it was sent for
 * nothing. RFC 4015 3.2, Linux's tcp_try_undo_spurious_syn. */
static bool is_first_answered(const struct wi_tcp_conn *c)
{
    return c->ts_ok && c->last_tsecr && c->last_tsecr == (uint32_t)(c->opened_at / WEIR_MS(1)) + c->ts_off;
}

void wi_tcp_cwnd_init(struct wi_tcp_conn *c)
{
    c->cwnd = c->dst.initcwnd ? c->dst.initcwnd : WI_TCP_INIT_CWND;
    /* RFC 6298 5.7, RFC 5681 3.1: the handshake itself lost a segment. Linux and RFC 6928 let one loss pass. */
    if ((c->is_active ? c->total_retrans : c->synack_rexmit_n) > 1 && !is_first_answered(c))
        c->cwnd = 1;
    c->cwnd_stamp = c->sk.core->now;
}

bool wi_tcp_is_cwnd_limited(const struct wi_tcp_conn *c)
{
    return c->is_cwnd_limited || (wi_tcp_in_slow_start(c) && c->cwnd < 2 * c->max_packets_out);
}

/* ssthresh that remembers three quarters of what the path carried. */
static uint32_t current_ssthresh(const struct wi_tcp_conn *c)
{
    if (wi_tcp_in_cwnd_reduction(c))
        return c->ssthresh;
    uint32_t most = (c->cwnd >> 1) + (c->cwnd >> 2);
    return c->ssthresh > most ? c->ssthresh : most;
}

uint32_t wi_tcp_current_ssthresh(const struct wi_tcp_conn *c)
{
    return current_ssthresh(c);
}

/* The application does not fill the window: let it fall half-way towards what is used, once an RTO. */
static void application_limited(struct wi_tcp_conn *c)
{
    if (c->loss.ca == WI_TCP_CA_OPEN) {
        uint32_t init = c->dst.initcwnd ? c->dst.initcwnd : WI_TCP_INIT_CWND, before = c->cwnd;
        uint32_t used = c->cwnd_used > init ? c->cwnd_used : init;
        if (used < c->cwnd) {
            c->ssthresh = current_ssthresh(c);
            c->cwnd = (c->cwnd + used) >> 1;
            wi_tcp_event_cwnd(c, before, "not used");
        }
        c->cwnd_used = 0;
    }
    c->cwnd_stamp = c->sk.core->now;
}

void wi_tcp_cwnd_validate(struct wi_tcp_conn *c, bool is_limited)
{
    uint32_t out = c->loss.packets_out;
    if (wi_seq_geq(c->snd_una, c->max_packets_seq) || is_limited || (!c->is_cwnd_limited && out > c->max_packets_out)) {
        c->is_cwnd_limited = is_limited;
        c->max_packets_out = out;
        c->max_packets_seq = c->snd_nxt;
    }
    if (wi_tcp_is_cwnd_limited(c)) {
        c->cwnd_used = 0;
        c->cwnd_stamp = c->sk.core->now;
        return;
    }
    if (out > c->cwnd_used)
        c->cwnd_used = out;
    if (c->sk.core->sysctl.tcp_slow_start_after_idle && !c->cc->control &&
        c->sk.core->now - c->cwnd_stamp >= c->rtt.rto)
        application_limited(c);
    if (!c->sndq.send_head && c->sndq.was_refused &&
        (c->state == WEIR_TCP_ESTABLISHED || c->state == WEIR_TCP_CLOSE_WAIT))
        wi_tcp_chrono_start(c, WI_TCP_CHRONO_SNDBUF);
}

void wi_tcp_cwnd_after_idle(struct wi_tcp_conn *c)
{
    if (!c->sk.core->sysctl.tcp_slow_start_after_idle || c->cc->control || c->loss.packets_out || c->last_send_at == 0)
        return;
    weir_ns idle = c->sk.core->now - c->last_send_at;
    if (idle <= c->rtt.rto)
        return;
    uint32_t init = c->dst.initcwnd ? c->dst.initcwnd : WI_TCP_INIT_CWND, before = c->cwnd;
    if (c->cc->event)
        c->cc->event(c, WI_TCP_CC_CWND_RESTART);
    c->ssthresh = current_ssthresh(c);
    uint32_t restart = init < c->cwnd ? init : c->cwnd;
    for (weir_ns rest = idle; rest > c->rtt.rto && c->cwnd > restart; rest -= c->rtt.rto)
        c->cwnd >>= 1;
    if (c->cwnd < restart)
        c->cwnd = restart;
    c->cwnd_stamp = c->sk.core->now;
    c->cwnd_used = 0;
    if (c->cwnd != before)
        wi_tcp_event_cwnd(c, before, "idle");
}
