/*
 * Round-trip time and retransmission timeout: RFC 6298 with Linux's 200 ms floor on the variance's part, Karn's rule,
 * RTT from timestamps (RFC 7323 4). Times are kept in microseconds, as tcpi_rtt shows them.
 */
#include "tcp/send.h"

#define MIN_RTT_WINDOW(s) WEIR_SEC((weir_ns)(s))

weir_ns wi_tcp_rto_min(const struct wi_tcp_conn *c)
{
    return WEIR_US(c->rto_min_us ? c->rto_min_us : (weir_ns)c->sk.core->sysctl.tcp_rto_min_us);
}

weir_ns wi_tcp_rto_max(const struct wi_tcp_conn *c)
{
    return WEIR_MS(c->rto_max_ms ? c->rto_max_ms : (weir_ns)c->sk.core->sysctl.tcp_rto_max_ms);
}

void wi_tcp_rtt_init(struct wi_tcp_conn *c)
{
    c->rtt = (struct wi_tcp_rtt){.rto = WI_TCP_RTO_INIT, .mdev_us4 = 1000000, .min_us = UINT32_MAX};
}

void wi_tcp_rto_update(struct wi_tcp_conn *c)
{
    weir_ns rto = WEIR_US((weir_ns)(c->rtt.srtt_us8 >> 3) + c->rtt.rttvar_us4), max = wi_tcp_rto_max(c);
    c->rtt.rto = rto < max ? rto : max;
}

/* The first measurement: RFC 6298 2.2. */
static void first_sample(struct wi_tcp_conn *c, uint32_t us)
{
    struct wi_tcp_rtt *r = &c->rtt;
    uint32_t floor = (uint32_t)(wi_tcp_rto_min(c) / 1000);
    r->srtt_us8 = us << 3;
    r->mdev_us4 = us << 1;
    r->rttvar_us4 = r->mdev_us4 > floor ? r->mdev_us4 : floor;
    r->mdev_max_us4 = r->rttvar_us4;
    r->seq = c->snd_nxt;
}

/* The mean deviation, in quarters; a falling RTT widens it only by an eighth of what a rising one does, so that the RTO
 * does not jump when the path becomes faster (Eifel's observation, as Linux has it). */
static void update_mdev(struct wi_tcp_rtt *r, int64_t err_us)
{
    int64_t m = err_us;
    if (m < 0) {
        m = -m - (r->mdev_us4 >> 2);
        if (m > 0)
            m >>= 3;
    } else {
        m -= r->mdev_us4 >> 2;
    }
    r->mdev_us4 = (uint32_t)((int64_t)r->mdev_us4 + m);
}

/* RFC 6298 2.3; the variance's maximum of each round decides, and falls by a quarter a round. */
static void next_sample(struct wi_tcp_conn *c, uint32_t us)
{
    struct wi_tcp_rtt *r = &c->rtt;
    uint32_t floor = (uint32_t)(wi_tcp_rto_min(c) / 1000);
    int64_t err = (int64_t)us - (r->srtt_us8 >> 3);
    r->srtt_us8 = (uint32_t)((int64_t)r->srtt_us8 + err);
    update_mdev(r, err);
    if (r->mdev_us4 > r->mdev_max_us4) {
        r->mdev_max_us4 = r->mdev_us4;
        if (r->mdev_max_us4 > r->rttvar_us4)
            r->rttvar_us4 = r->mdev_max_us4;
    }
    if (wi_seq_gt(c->snd_una, r->seq)) {
        if (r->mdev_max_us4 < r->rttvar_us4)
            r->rttvar_us4 -= (r->rttvar_us4 - r->mdev_max_us4) >> 2;
        r->seq = c->snd_nxt;
        r->mdev_max_us4 = floor;
    }
}

static void update_min(struct wi_tcp_conn *c, uint32_t us)
{
    weir_ns now = c->sk.core->now;
    if (us <= c->rtt.min_us || now - c->rtt.min_at > MIN_RTT_WINDOW(c->sk.core->sysctl.tcp_min_rtt_wlen)) {
        c->rtt.min_us = us;
        c->rtt.min_at = now;
    }
}

void wi_tcp_rtt_sample(struct wi_tcp_conn *c, uint32_t us)
{
    us = us ? us : 1; /* a sample was taken: never the 0 that means none */
    if (us > UINT32_MAX >> 4)
        us = UINT32_MAX >> 4;
    update_min(c, us);
    if (c->rtt.srtt_us8 == 0)
        first_sample(c, us);
    else
        next_sample(c, us);
    if (c->rtt.srtt_us8 == 0)
        c->rtt.srtt_us8 = 1;
    wi_tcp_rto_update(c);
    c->loss.tlp_unsampled = false;
    c->rtt.backoff = 0; /* RFC 6298 5.7's end of back-off: Linux ends it with a fresh sample */
    wi_tcp_event_rtt(c, WEIR_US((weir_ns)us));
}

/* How long ago what is echoed was sent, microseconds; -1: it can't be told. RFC 7323 4. */
static int64_t echoed_us(const struct wi_tcp_conn *c, const struct wi_wire_tcp *h)
{
    if (!c->ts_ok || !h->has_ts || !h->tsecr)
        return -1;
    uint32_t ms = wi_tcp_ts_clock(c->sk.core) + c->ts_off - h->tsecr;
    if (ms >= 0x7fffffffu / 1000)
        return -1;
    return ms ? (int64_t)ms * 1000 : 1000; /* a tick is the least that the clock can tell */
}

void wi_tcp_rtt_handshake(struct wi_tcp_conn *c, const struct wi_wire_tcp *h)
{
    int64_t us = -1;
    if (c->synack_rtt_from)
        us = (int64_t)((c->sk.core->now - c->synack_rtt_from) / 1000);
    else if (c->synack_rexmit_n > 0)
        us = echoed_us(c, h);
    if (us >= 0)
        wi_tcp_rtt_sample(c, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX);
}

bool wi_tcp_rtt_ack(struct wi_tcp_conn *c, const struct wi_wire_tcp *h, struct wi_tcp_ackinfo *a)
{
    /* Prefer what was acknowledged in order and never sent twice: a timestamp may have been echoed late by a delayed
     * ACK (Karn: RFC 6298 3). */
    int64_t us = a->ack_rtt_us >= 0 ? a->ack_rtt_us : a->sack_rtt_us;
    if (us < 0 && (a->data_acked || a->syn_acked) && (us = echoed_us(c, h)) >= 0)
        a->ca_rtt_us = us;
    if (us < 0)
        return false;
    wi_tcp_rtt_sample(c, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX);
    return true;
}

void wi_tcp_rtt_backoff(struct wi_tcp_conn *c)
{
    weir_ns max = wi_tcp_rto_max(c);
    c->rtt.rto = c->rtt.rto < max / 2 ? c->rtt.rto * 2 : max; /* RFC 6298 5.5 */
    if (c->rtt.backoff < UINT8_MAX)
        c->rtt.backoff++;
}
