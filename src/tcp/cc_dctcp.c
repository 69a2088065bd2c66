/*
 * DCTCP (RFC 8257): the window falls in proportion to the share of segments that the network marked, not by half for
 * any mark. The receiver tells each change of marking at once (3.2), so that the sender can count. Without ECN on the
 * connection it is Reno.
 */
#include "tcp/send.h"
#include <weir/socket.h>

#define ALPHA_ONE 1024u /* alpha's fixed point */
#define G_LOG2    4     /* g = 1/16: RFC 8257 4.2 */

/* In wi_tcp_conn.cc_state. */
struct dctcp {
    struct wi_seq window_end;         /* snd_nxt when this observation window began */
    uint32_t delivered, delivered_ce; /* of the connection, then */
    uint32_t alpha;
};
_Static_assert(sizeof(struct dctcp) <= WI_TCP_CC_STATE_WORDS * sizeof(uint64_t), "a controller's state is bounded");

static struct dctcp *state(struct wi_tcp_conn *c)
{
    return (struct dctcp *)(void *)c->cc_state;
}

static void window_begin(struct wi_tcp_conn *c, struct dctcp *d)
{
    d->window_end = c->snd_nxt;
    d->delivered = c->delivered;
    d->delivered_ce = c->delivered_ce;
}

static void dctcp_init(struct wi_tcp_conn *c)
{
    c->cwnd_cnt = 0;
    state(c)->alpha = ALPHA_ONE; /* RFC 8257 3.3: the first mark counts in full */
    window_begin(c, state(c));
}

/* RFC 8257 3.3, steps 2 to 7: once a window, alpha follows the share that was marked. */
static void dctcp_acked(struct wi_tcp_conn *c, const struct wi_tcp_acked *a)
{
    struct dctcp *d = state(c);
    (void)a;
    if (wi_seq_lt(c->snd_una, d->window_end))
        return;
    uint32_t delivered = c->delivered - d->delivered, marked = c->delivered_ce - d->delivered_ce;
    uint32_t share = delivered ? (uint32_t)((uint64_t)marked * (ALPHA_ONE >> G_LOG2) / delivered) : 0;
    uint32_t decay = d->alpha >> G_LOG2;
    if (decay == 0 && d->alpha)
        decay = d->alpha; /* too small to fall by a sixteenth */
    d->alpha = wi_min_u32(d->alpha - decay + share, ALPHA_ONE);
    window_begin(c, d);
}

/* RFC 8257 3.3 step 9; a loss is answered as Reno does (3.5). */
static uint32_t dctcp_ssthresh(struct wi_tcp_conn *c)
{
    uint32_t fall = c->cwnd >> 1;
    if (c->ecn.mode != WI_TCP_ECN_NONE && c->loss.lost_out == 0)
        fall = (uint32_t)((uint64_t)c->cwnd * state(c)->alpha / (2 * ALPHA_ONE));
    uint32_t w = c->cwnd - fall;
    return w > 2 ? w : 2;
}

/* RFC 8257 3.2: the echo says of each ACK whether what it acknowledges was marked. So when marking changes, what came
 * before is acknowledged by itself. */
static void dctcp_arrived(struct wi_tcp_conn *c, bool is_marked)
{
    if (is_marked == c->ecn.demand_cwr)
        return;
    if (c->is_ack_sched && !c->ack_prior_owed) {
        c->ack_prior_owed = true;
        c->ack_prior_ece = c->ecn.demand_cwr;
        c->ack_prior = c->rcv_nxt;
    }
    c->ecn.demand_cwr = is_marked;
    wi_tcp_owe_ack(c, WEIR_WHY_ACK);
}

static uint32_t dctcp_info(const struct wi_tcp_conn *c, union weir_tcp_cc_info *info)
{
    const struct dctcp *d = (const struct dctcp *)(const void *)c->cc_state;
    if (c->ecn.mode != WI_TCP_ECN_NONE) {
        info->dctcp = (struct weir_tcp_dctcp_info){
            .enabled = 1,
            .ce_state = c->ecn.demand_cwr,
            .alpha = d->alpha,
            .ab_ecn = (c->delivered_ce - d->delivered_ce) * c->snd_mss,
            .ab_tot = (c->delivered - d->delivered) * c->snd_mss,
        };
    }
    return sizeof info->dctcp;
}

const struct wi_tcp_cc wi_tcp_cc_dctcp = {
    .name = "dctcp",
    .init = dctcp_init,
    .ssthresh = dctcp_ssthresh,
    .avoid = wi_tcp_cc_reno_avoid,
    .acked = dctcp_acked,
    .undo = wi_tcp_cc_reno_undo,
    .arrived = dctcp_arrived,
    .needs_ecn = true,
    .info = dctcp_info,
};
