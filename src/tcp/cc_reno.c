/*
 * Reno's congestion avoidance (RFC 5681 3.1), the table of controllers, and what they share.
 */
#include "tcp/send.h"

#include "base/str.h"
#include "base/text.h"

uint32_t wi_tcp_cc_slow_start(struct wi_tcp_conn *c, uint32_t acked)
{
    if (!wi_tcp_is_cwnd_limited(c))
        return 0;
    if (!wi_tcp_in_slow_start(c))
        return acked;
    uint32_t cwnd = c->cwnd + acked;
    cwnd = cwnd < c->ssthresh ? cwnd : c->ssthresh;
    acked -= cwnd - c->cwnd;
    c->cwnd = cwnd;
    return acked;
}

void wi_tcp_cc_additive(struct wi_tcp_conn *c, uint32_t w, uint32_t acked)
{
    if (c->cwnd_cnt >= w) { /* w has shrunk meanwhile: what was saved up is worth one */
        c->cwnd_cnt = 0;
        c->cwnd++;
    }
    c->cwnd_cnt += acked;
    if (c->cwnd_cnt >= w) {
        uint32_t more = c->cwnd_cnt / w;
        c->cwnd_cnt -= more * w;
        c->cwnd += more;
    }
}

static void reno_init(struct wi_tcp_conn *c)
{
    c->cwnd_cnt = 0;
}

static uint32_t reno_ssthresh(struct wi_tcp_conn *c)
{
    return c->cwnd > 4 ? c->cwnd >> 1 : 2;
}

void wi_tcp_cc_reno_avoid(struct wi_tcp_conn *c, const struct wi_tcp_acked *a)
{
    uint32_t acked = wi_tcp_cc_slow_start(c, a->acked);
    if (acked > 0)
        wi_tcp_cc_additive(c, c->cwnd, acked);
}

uint32_t wi_tcp_cc_reno_undo(struct wi_tcp_conn *c)
{
    return c->cwnd > c->loss.prior_cwnd ? c->cwnd : c->loss.prior_cwnd;
}

const struct wi_tcp_cc wi_tcp_cc_reno = {
    .name = "reno",
    .init = reno_init,
    .ssthresh = reno_ssthresh,
    .avoid = wi_tcp_cc_reno_avoid,
    .undo = wi_tcp_cc_reno_undo,
};

/* ---- The table ---- */

const struct wi_tcp_cc *const wi_tcp_cc_all[WI_TCP_CC_N] = {&wi_tcp_cc_cubic, &wi_tcp_cc_reno, &wi_tcp_cc_bbr,
                                                            &wi_tcp_cc_dctcp};

const struct wi_tcp_cc *wi_tcp_cc_find(const char *name)
{
    for (unsigned i = 0; i < WI_TCP_CC_N; i++) {
        if (wi_str_equal(wi_tcp_cc_all[i]->name, name))
            return wi_tcp_cc_all[i];
    }
    return NULL;
}

int wi_tcp_cc_set(struct wi_tcp_conn *c, const char *name)
{
    const struct wi_tcp_cc *cc = wi_tcp_cc_find(name);
    if (!cc)
        return -WEIR_ENOENT;
    if (cc == c->cc)
        return 0;
    c->cc = cc;
    memset(c->cc_state, 0, sizeof c->cc_state);
    cc->init(c);
    if (wi_tcp_is_paced(c))
        wi_tcp_pacing_limit(c);
    return 0;
}
