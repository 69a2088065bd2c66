/*
 * How fast the path delivers: draft-cheng-iccrg-delivery-rate-estimation, as Linux's tcp_rate.c. Each record remembers
 * what had been delivered when it was sent; when it is acknowledged, what was delivered since, over the longer of the
 * time that it took to send and the time that it took to acknowledge, is a sample.
 */
#include "tcp/send.h"

void wi_tcp_rate_sent(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    if (c->loss.packets_out == 0)
        c->first_tx_at = c->delivered_at = c->sk.core->now;
    r->first_at = c->first_tx_at;
    r->deliv_at = c->delivered_at;
    r->delivered = c->delivered;
    r->is_app_limited = c->app_limited != 0;
}

void wi_tcp_rate_app_limited(struct wi_tcp_conn *c)
{
    uint32_t unsent = (uint32_t)wi_seq_diff(c->write_seq, c->snd_nxt), in_flight = wi_tcp_in_flight(c);
    if (unsent >= c->snd_mss || in_flight >= c->cwnd || c->loss.lost_out > c->loss.retrans_out)
        return;
    c->app_limited = c->delivered + in_flight;
    if (c->app_limited == 0)
        c->app_limited = 1;
}

void wi_tcp_rate_delivered(struct wi_tcp_conn *c, const struct wi_tcp_rec *r, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_rate_sample *s = &a->rate;
    bool is_newer = r->sent_at > c->first_tx_at || (r->sent_at == c->first_tx_at && wi_seq_gt(r->end, s->end));
    if (s->is_valid && !is_newer)
        return;
    *s = (struct wi_tcp_rate_sample){
        .is_valid = true,
        .is_app_limited = r->is_app_limited,
        .end = r->end,
        .delivered_before = r->delivered,
        .delivered_at = r->deliv_at,
        .sending = r->sent_at - r->first_at,
    };
    c->first_tx_at = r->sent_at; /* the next flight's sending begins here */
}

void wi_tcp_rate_ack(struct wi_tcp_conn *c, const struct wi_tcp_ackinfo *a)
{
    const struct wi_tcp_rate_sample *s = &a->rate;
    weir_ns now = c->sk.core->now;
    if (c->app_limited && (int32_t)(c->delivered - c->app_limited) > 0)
        c->app_limited = 0; /* the bubble has been acknowledged */
    if (c->delivered != a->prior_delivered)
        c->delivered_at = now;
    if (!s->is_valid || a->sack_reneging)
        return;
    weir_ns acking = now - s->delivered_at, interval = s->sending > acking ? s->sending : acking;
    /* Faster than the path's shortest round trip: ACKs were lost or compressed, it says nothing. */
    if (interval == 0 || (c->rtt.min_us != UINT32_MAX && interval < WEIR_US((weir_ns)c->rtt.min_us)))
        return;
    uint32_t segs = c->delivered - s->delivered_before;
    bool is_faster = c->rate_interval == 0 || (uint64_t)segs * c->rate_interval >= (uint64_t)c->rate_segs * interval;
    if (s->is_app_limited && !is_faster)
        return;
    c->rate_segs = segs;
    c->rate_interval = interval;
    c->is_rate_app_limited = s->is_app_limited;
}

uint64_t wi_tcp_rate_bps(const struct wi_tcp_conn *c)
{
    weir_ns us = c->rate_interval / WEIR_US(1);
    return us ? (uint64_t)c->rate_segs * c->snd_mss * 1000000u / us : 0;
}
