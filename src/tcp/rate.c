/*
 * Delivery rate samples: how fast the network delivered what was in flight, as
 * draft-cheng-iccrg-delivery-rate-estimation and Linux's tcp_rate.c define it. A transmission remembers what had been
 * delivered by then; its ACK tells what came since, over the longer of the time in which that was sent and the time in
 * which it was acknowledged.
 */
#include "tcp/send.h"

void wi_tcp_rate_sent(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    weir_ns now = c->sk.core->now;
    if (c->loss.packets_out == 0) /* a new flight: idle time is no part of it */
        c->first_tx_at = c->delivered_at = now;
    r->first_at = c->first_tx_at;
    r->deliv_at = c->delivered_at;
    r->delivered = c->delivered;
    r->lost_before = c->lost_total;
    r->tx_in_flight = wi_tcp_in_flight(c) + r->segs;
    r->is_app_limited = c->app_limited != 0;
    r->is_rate_told = false;
}

/* Was it sent after the one that the sample is made from? */
static bool is_newer(const struct wi_tcp_rate *s, const struct wi_tcp_rec *r)
{
    if (r->sent_at != s->sent_at)
        return r->sent_at > s->sent_at;
    int32_t order = (int32_t)(r->tx_order - s->tx_order);
    return order ? order > 0 : wi_seq_gt(r->end, s->end);
}

void wi_tcp_rate_delivered(struct wi_tcp_conn *c, struct wi_tcp_rec *r, struct wi_tcp_rate *s)
{
    if (r->is_rate_told)
        return;
    if (!s->has_sample || is_newer(s, r)) {
        s->has_sample = true;
        s->sent_at = r->sent_at;
        s->tx_order = r->tx_order;
        s->end = r->end;
        s->prior_delivered = r->delivered;
        s->prior_at = r->deliv_at;
        s->lost = r->lost_before; /* as it was then: wi_tcp_rate_end makes the difference */
        s->tx_in_flight = r->tx_in_flight;
        s->is_app_limited = r->is_app_limited;
        s->is_retrans = r->marks & WI_TCP_REC_EVER;
        s->interval = r->sent_at - r->first_at; /* the send interval */
        c->first_tx_at = r->sent_at;
    }
}

/* The sample that TCP_INFO tells: the latest, but the application's own slowness never lowers it. */
static void keep_best(struct wi_tcp_conn *c, const struct wi_tcp_rate *s)
{
    if (s->is_app_limited && (uint64_t)s->delivered * c->rate_interval < (uint64_t)c->rate_segs * s->interval)
        return;
    c->rate_segs = s->delivered;
    c->rate_interval = s->interval;
    c->is_rate_app_limited = s->is_app_limited;
}

void wi_tcp_rate_end(struct wi_tcp_conn *c, struct wi_tcp_rate *s, bool is_reneging)
{
    weir_ns now = c->sk.core->now;
    if (c->app_limited && (int32_t)(c->delivered - c->app_limited) > 0)
        c->app_limited = 0; /* the bubble has left the network */
    if (s->acked_sacked)
        c->delivered_at = now;
    if (!s->has_sample || is_reneging) {
        s->has_sample = false;
        s->interval = 0;
        return;
    }
    s->delivered = c->delivered - s->prior_delivered;
    s->lost = c->lost_total - s->lost;
    weir_ns ack_interval = now - s->prior_at;
    if (ack_interval > s->interval)
        s->interval = ack_interval; /* ACKs compressed on their way must not count as speed */
    if (c->rtt.min_us != UINT32_MAX && s->interval < WEIR_US((weir_ns)c->rtt.min_us)) {
        s->interval = 0; /* sooner than the path allows: a spurious retransmission's */
        return;
    }
    if (s->interval)
        keep_best(c, s);
}

void wi_tcp_rate_check_app_limited(struct wi_tcp_conn *c)
{
    if (wi_tcp_sndq_unsent_bytes(c) < c->snd_mss && wi_tcp_in_flight(c) < c->cwnd &&
        c->loss.lost_out <= c->loss.retrans_out)
        wi_tcp_rate_app_limited(c);
}

void wi_tcp_rate_app_limited(struct wi_tcp_conn *c)
{
    uint32_t upto = c->delivered + wi_tcp_in_flight(c);
    c->app_limited = upto ? upto : 1;
}

uint64_t wi_tcp_rate_bps(const struct wi_tcp_conn *c)
{
    return c->rate_interval ? (uint64_t)c->rate_segs * c->snd_mss * WEIR_SEC(1) / c->rate_interval : 0;
}
