/*
 * CUBIC (RFC 9438): the window as a cubic function of the time since the last reduction, never below what Reno would
 * have, with fast convergence (4.7) and HyStart's way out of slow start (hystart.h).
 *
 * Fixed point: time in units of 1/1024 s, as RFC 9438 leaves it to the implementer and Linux chose; windows in
 * segments; beta is 717/1024 = 0.7, C is 0.4.
 */
#include "tcp/hystart.h"
#include "tcp/send.h"

#define BETA_1024  717u
#define SCALE_1024 1024u
#define HZ_LOG2    10   /* time units in a second, log2 */
#define CUBE_RTT   410u /* C = 0.4 in 1/1024, so that the cube's scale is 2^(10 + 3 * HZ_LOG2) / 410 */
#define RENO_SCALE 15u  /* 8 (1024 + 717) / 3 / (1024 - 717): 8 / alpha of RFC 9438 4.3 */

/* Where the window is on its way from the last reduction: what an undo brings back (RFC 9438 4.9). */
struct growth {
    weir_ns epoch_at;    /* when it began, 0: none runs */
    uint64_t k;          /* time to reach origin, units */
    uint32_t w_max;      /* window before the last reduction, less by fast convergence; 0: none yet */
    uint32_t cwnd_prior; /* window before the last reduction */
    uint32_t origin;     /* where the curve is flat */
    uint32_t ack_n, reno_wnd;
};

/* In wi_tcp_conn.cc_state. */
struct cubic {
    struct growth now, before; /* before: the last reduction */
    uint32_t cnt;              /* ACKs for one more segment */
    uint32_t last_cwnd;
    uint32_t last_at_units;
    uint32_t delay_min_us; /* least RTT, 0: none */
    struct wi_tcp_hystart hystart;
};
_Static_assert(sizeof(struct cubic) <= WI_TCP_CC_STATE_WORDS * sizeof(uint64_t), "a controller's state is bounded");

static struct cubic *state(struct wi_tcp_conn *c)
{
    return (struct cubic *)(void *)c->cc_state;
}

/* Floor of the cube root, bit by bit: 22 rounds of three bits cover 64. */
static uint64_t cube_root(uint64_t a)
{
    uint64_t y = 0;
    for (int s = 63; s >= 0; s -= 3) {
        y += y;
        uint64_t b = 3 * y * (y + 1) + 1;
        if (a >> s >= b) {
            a -= b << s;
            y++;
        }
    }
    return y;
}

static void cubic_init(struct wi_tcp_conn *c)
{
    *state(c) = (struct cubic){0};
    wi_tcp_hystart_begin(c, &state(c)->hystart);
}

/* RFC 9438 4.2: the distance from the flat point, cubed, scaled by C. */
static uint64_t curve_offset(uint64_t dist)
{
    return (CUBE_RTT * dist * dist >> HZ_LOG2) * dist >> (10 + 2 * HZ_LOG2);
}

static void epoch_begin(const struct wi_tcp_conn *c, struct growth *g, uint32_t acked)
{
    g->epoch_at = c->sk.core->now ? c->sk.core->now : 1;
    g->ack_n = acked;
    g->reno_wnd = c->cwnd;
    g->origin = g->w_max;
    g->k = 0;
    if (g->w_max <= c->cwnd)
        g->origin = c->cwnd;
    else /* K = cbrt((w_max - cwnd) / C): RFC 9438 4.2 */
        g->k = cube_root(((uint64_t)(g->w_max - c->cwnd) << (10 + 3 * HZ_LOG2)) / CUBE_RTT);
}

/* How many ACKs earn a segment, from where the curve will be one RTT from now. */
static void follow_curve(const struct wi_tcp_conn *c, struct cubic *q)
{
    const struct growth *g = &q->now;
    weir_ns t = c->sk.core->now - g->epoch_at + WEIR_US((weir_ns)q->delay_min_us);
    uint64_t units = (t / WEIR_MS(1) << HZ_LOG2) / 1000;
    uint64_t dist = units < g->k ? g->k - units : units - g->k;
    dist = dist < 1u << 20 ? dist : 1u << 20; /* 17 minutes: the product stays within 64 bits */
    uint64_t off = curve_offset(dist);
    uint64_t target = units < g->k ? (off < g->origin ? g->origin - off : 0) : g->origin + off;
    if (target > c->cwnd)
        q->cnt = (uint32_t)(c->cwnd / (target - c->cwnd));
    else
        q->cnt = 100 * c->cwnd; /* hardly any growth on the plateau */
    if (g->w_max == 0 && q->cnt > 20)
        q->cnt = 20; /* no reduction yet: at least 5 % an RTT */
}

/* RFC 9438 4.3: Reno's window by the same losses is the least. Its alpha makes up for beta until the window of before
 * is reached, and is 1 from there on. */
static void follow_reno(const struct wi_tcp_conn *c, struct cubic *q)
{
    struct growth *g = &q->now;
    bool is_back = g->cwnd_prior && g->reno_wnd >= g->cwnd_prior;
    uint32_t per_seg = wi_max_u32(is_back ? c->cwnd : c->cwnd * RENO_SCALE >> 3, 1);
    uint32_t more = g->ack_n / per_seg;
    g->ack_n -= more * per_seg;
    g->reno_wnd += more;
    if (g->reno_wnd > c->cwnd)
        q->cnt = wi_min_u32(q->cnt, c->cwnd / (g->reno_wnd - c->cwnd));
}

static void update_cnt(const struct wi_tcp_conn *c, struct cubic *q, uint32_t acked)
{
    uint32_t units = (uint32_t)(c->sk.core->now / WEIR_MS(1));
    q->now.ack_n += acked;
    if (q->last_cwnd == c->cwnd && units - q->last_at_units <= 1000 / 32 && q->now.epoch_at)
        return;                                          /* Linux looks every 1/32 s while the window stands */
    if (!q->now.epoch_at || units != q->last_at_units) { /* and at the curve once a millisecond */
        q->last_cwnd = c->cwnd;
        q->last_at_units = units;
        if (!q->now.epoch_at)
            epoch_begin(c, &q->now, acked);
        follow_curve(c, q);
    }
    if (c->sk.core->sysctl.cubic_tcp_friendliness)
        follow_reno(c, q);
    q->cnt = wi_max_u32(q->cnt, 2); /* at most half a segment an ACK: the target is at most 1.5 cwnd (4.2) */
}

static void cubic_avoid(struct wi_tcp_conn *c, const struct wi_tcp_acked *a)
{
    struct cubic *q = state(c);
    uint32_t acked = wi_tcp_in_slow_start(c) ? wi_tcp_hystart_growth(&q->hystart, a->acked) : a->acked;
    acked = wi_tcp_cc_slow_start(c, acked);
    if (acked == 0)
        return;
    update_cnt(c, q, acked);
    wi_tcp_cc_additive(c, q->cnt, acked);
}

static uint32_t cubic_ssthresh(struct wi_tcp_conn *c)
{
    struct cubic *q = state(c);
    q->before = q->now;
    q->now.epoch_at = 0;
    q->now.cwnd_prior = c->cwnd;
    /* Fast convergence, RFC 9438 4.7: a second reduction below the first leaves room for others. */
    if (c->cwnd < q->now.w_max && c->sk.core->sysctl.cubic_fast_convergence)
        q->now.w_max = (uint32_t)((uint64_t)c->cwnd * (SCALE_1024 + BETA_1024) / (2 * SCALE_1024));
    else
        q->now.w_max = c->cwnd;
    uint32_t w = (uint32_t)((uint64_t)c->cwnd * BETA_1024 / SCALE_1024);
    return w > 2 ? w : 2;
}

static uint32_t cubic_undo(struct wi_tcp_conn *c)
{
    state(c)->now = state(c)->before;
    return wi_max_u32(c->cwnd, c->loss.prior_cwnd);
}

static void cubic_acked(struct wi_tcp_conn *c, const struct wi_tcp_acked *a)
{
    struct cubic *q = state(c);
    if (a->rtt_us < 0)
        return;
    if (q->now.epoch_at && c->sk.core->now - q->now.epoch_at < WEIR_SEC(1))
        return; /* just after a reduction the queue still drains */
    uint32_t us = a->rtt_us > 0 ? (uint32_t)a->rtt_us : 1;
    if (q->delay_min_us == 0 || us < q->delay_min_us)
        q->delay_min_us = us;
    if (c->sk.core->sysctl.cubic_hystart && !q->hystart.is_over && wi_tcp_in_slow_start(c))
        wi_tcp_hystart_ack(c, &q->hystart, us, q->delay_min_us);
}

static void cubic_event(struct wi_tcp_conn *c, enum wi_tcp_cc_event ev)
{
    struct cubic *q = state(c);
    struct growth *g = &q->now;
    if (ev == WI_TCP_CC_LOSS) { /* RFC 9438 4.8: after the slow start to come the curve begins where that ends */
        *q = (struct cubic){.before = q->before};
        wi_tcp_hystart_begin(c, &q->hystart);
    } else if (ev == WI_TCP_CC_TX_START && g->epoch_at && c->last_send_at) {
        /* Idle time is no growth: the curve moves along. RFC 9438 4.2, 5.8. */
        g->epoch_at = wi_min_u64(g->epoch_at + (c->sk.core->now - c->last_send_at), c->sk.core->now);
    }
}

const struct wi_tcp_cc wi_tcp_cc_cubic = {
    .name = "cubic",
    .init = cubic_init,
    .ssthresh = cubic_ssthresh,
    .avoid = cubic_avoid,
    .acked = cubic_acked,
    .undo = cubic_undo,
    .event = cubic_event,
    .moments = WI_TCP_CC_WORD(struct cubic, now.epoch_at) | WI_TCP_CC_WORD(struct cubic, before.epoch_at) |
               WI_TCP_CC_WORD(struct cubic, hystart.round_at) | WI_TCP_CC_WORD(struct cubic, hystart.train_at),
    .numbers = WI_TCP_CC_WORD(struct cubic, hystart.round_end),
};
