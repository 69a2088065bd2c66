/*
 * CUBIC (RFC 9438): the window as a cubic function of the time since the last reduction, never below what Reno would
 * have, with fast convergence (4.7) and HyStart's way out of slow start by rising delay (RFC 9406's ancestor, as Linux
 * has it).
 *
 * Fixed point: time in units of 1/1024 s, as RFC 9438 leaves it to the implementer and Linux chose; windows in
 * segments; beta is 717/1024 = 0.7, C is 0.4.
 */
#include "tcp/send.h"

#define BETA_1024   717u
#define SCALE_1024  1024u
#define HZ_LOG2     10   /* time units in a second, log2 */
#define CUBE_RTT    410u /* C = 0.4 in 1/1024, so that the cube's scale is 2^(10 + 3 * HZ_LOG2) / 410 */
#define RENO_SCALE  15u  /* 8 (1024 + 717) / 3 / (1024 - 717): alpha of RFC 9438 4.3, times 8 */
#define DELAY_MIN   WEIR_MS(4)
#define DELAY_MAX   WEIR_MS(16)
#define TRAIN_GAP   WEIR_MS(2)
#define SAMPLES_MIN 8u
#define HYSTART_LOW 16u /* segments: below, delay says little */

/* In wi_tcp_conn.cc_state. */
struct cubic {
    weir_ns epoch_at;           /* when the current growth began, 0: none runs */
    weir_ns round_at, train_at; /* HyStart: when this round began, and the last ACK of its train */
    uint64_t k;                 /* time to reach origin, units */
    uint32_t w_max;             /* window before the last reduction */
    uint32_t origin;            /* where the curve is flat */
    uint32_t cnt;               /* ACKs for one more segment */
    uint32_t ack_n, reno_wnd;
    uint32_t last_cwnd;
    uint32_t last_at_units;
    uint32_t delay_min_us, round_rtt_us; /* 0 and UINT32_MAX: none */
    struct wi_seq round_end;
    uint8_t sample_n;
    bool is_found;
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

static void round_begin(struct wi_tcp_conn *c, struct cubic *q)
{
    q->round_at = q->train_at = c->sk.core->now;
    q->round_end = c->snd_nxt;
    q->round_rtt_us = UINT32_MAX;
    q->sample_n = 0;
}

static void forget(struct cubic *q)
{
    *q = (struct cubic){.round_rtt_us = UINT32_MAX};
}

static void cubic_init(struct wi_tcp_conn *c)
{
    forget(state(c));
    round_begin(c, state(c));
}

/* RFC 9438 4.2: the distance from the flat point, cubed, scaled by C. */
static uint64_t curve_offset(uint64_t dist)
{
    return (CUBE_RTT * dist * dist >> HZ_LOG2) * dist >> (10 + 2 * HZ_LOG2);
}

static void epoch_begin(struct wi_tcp_conn *c, struct cubic *q, uint32_t acked)
{
    q->epoch_at = c->sk.core->now ? c->sk.core->now : 1;
    q->ack_n = acked;
    q->reno_wnd = c->cwnd;
    q->origin = q->w_max;
    q->k = 0;
    if (q->w_max <= c->cwnd)
        q->origin = c->cwnd;
    else /* K = cbrt((w_max - cwnd) / C): RFC 9438 4.2 */
        q->k = cube_root(((uint64_t)(q->w_max - c->cwnd) << (10 + 3 * HZ_LOG2)) / CUBE_RTT);
}

/* How many ACKs earn a segment, from where the curve will be one RTT from now. */
static void follow_curve(struct wi_tcp_conn *c, struct cubic *q)
{
    weir_ns t = c->sk.core->now - q->epoch_at + WEIR_US((weir_ns)q->delay_min_us);
    uint64_t units = (t / WEIR_MS(1) << HZ_LOG2) / 1000;
    uint64_t dist = units < q->k ? q->k - units : units - q->k;
    dist = dist < 1u << 20 ? dist : 1u << 20; /* 17 minutes: the product stays within 64 bits */
    uint64_t off = curve_offset(dist);
    uint64_t target = units < q->k ? (off < q->origin ? q->origin - off : 0) : q->origin + off;
    if (target > c->cwnd)
        q->cnt = (uint32_t)(c->cwnd / (target - c->cwnd));
    else
        q->cnt = 100 * c->cwnd; /* hardly any growth on the plateau */
    if (q->w_max == 0 && q->cnt > 20)
        q->cnt = 20; /* no reduction yet: at least 5 % an RTT */
}

/* RFC 9438 4.3: Reno's window by the same losses is the least. */
static void follow_reno(struct wi_tcp_conn *c, struct cubic *q)
{
    uint32_t per_seg = c->cwnd * RENO_SCALE >> 3;
    if (per_seg == 0)
        per_seg = 1;
    uint32_t more = q->ack_n / per_seg;
    q->ack_n -= more * per_seg;
    q->reno_wnd += more;
    if (q->reno_wnd > c->cwnd) {
        uint32_t cnt = c->cwnd / (q->reno_wnd - c->cwnd);
        if (q->cnt > cnt)
            q->cnt = cnt;
    }
}

static void update_cnt(struct wi_tcp_conn *c, struct cubic *q, uint32_t acked)
{
    uint32_t units = (uint32_t)(c->sk.core->now / WEIR_MS(1));
    q->ack_n += acked;
    if (q->last_cwnd == c->cwnd && units - q->last_at_units <= 1000 / 32 && q->epoch_at)
        goto friendly;
    if (!(q->epoch_at && units == q->last_at_units)) {
        q->last_cwnd = c->cwnd;
        q->last_at_units = units;
        if (!q->epoch_at)
            epoch_begin(c, q, acked);
        follow_curve(c, q);
    }
friendly:
    follow_reno(c, q);
    if (q->cnt < 2)
        q->cnt = 2; /* at most half a segment an ACK */
}

static void cubic_avoid(struct wi_tcp_conn *c, const struct wi_tcp_acked *a)
{
    struct cubic *q = state(c);
    uint32_t acked = wi_tcp_cc_slow_start(c, a->acked);
    if (acked == 0)
        return;
    update_cnt(c, q, acked);
    wi_tcp_cc_additive(c, q->cnt, acked);
}

static uint32_t cubic_ssthresh(struct wi_tcp_conn *c)
{
    struct cubic *q = state(c);
    q->epoch_at = 0;
    /* Fast convergence, RFC 9438 4.7: a second reduction below the first leaves room for others. */
    if (c->cwnd < q->w_max)
        q->w_max = (uint32_t)((uint64_t)c->cwnd * (SCALE_1024 + BETA_1024) / (2 * SCALE_1024));
    else
        q->w_max = c->cwnd;
    uint32_t w = (uint32_t)((uint64_t)c->cwnd * BETA_1024 / SCALE_1024);
    return w > 2 ? w : 2;
}

static uint32_t cubic_undo(struct wi_tcp_conn *c)
{
    return c->cwnd > c->loss.prior_cwnd ? c->cwnd : c->loss.prior_cwnd;
}

/* ---- HyStart ---- */

static void leave_slow_start(struct wi_tcp_conn *c, struct cubic *q)
{
    q->is_found = true;
    c->ssthresh = c->cwnd;
    wi_tcp_event_cwnd(c, c->cwnd, "slow start ends: delay rises");
}

static void hystart(struct wi_tcp_conn *c, struct cubic *q, uint32_t rtt_us)
{
    weir_ns now = c->sk.core->now, delay = WEIR_US((weir_ns)q->delay_min_us);
    if (wi_seq_gt(c->snd_una, q->round_end))
        round_begin(c, q);
    if (now - q->train_at <= TRAIN_GAP) {
        q->train_at = now;
        if (now - q->round_at > delay / 2) { /* the train of ACKs is as long as half the path */
            leave_slow_start(c, q);
            return;
        }
    }
    if (rtt_us < q->round_rtt_us)
        q->round_rtt_us = rtt_us;
    if (q->sample_n < SAMPLES_MIN) {
        q->sample_n++;
        return;
    }
    weir_ns slack = delay / 8;
    slack = slack < DELAY_MIN ? DELAY_MIN : slack > DELAY_MAX ? DELAY_MAX : slack;
    if (WEIR_US((weir_ns)q->round_rtt_us) > delay + slack)
        leave_slow_start(c, q);
}

static void cubic_acked(struct wi_tcp_conn *c, const struct wi_tcp_acked *a)
{
    struct cubic *q = state(c);
    if (a->rtt_us < 0)
        return;
    if (q->epoch_at && c->sk.core->now - q->epoch_at < WEIR_SEC(1))
        return; /* just after a reduction the queue still drains */
    uint32_t us = a->rtt_us > 0 ? (uint32_t)a->rtt_us : 1;
    if (q->delay_min_us == 0 || us < q->delay_min_us)
        q->delay_min_us = us;
    if (!q->is_found && wi_tcp_in_slow_start(c) && c->cwnd >= HYSTART_LOW)
        hystart(c, q, us);
}

static void cubic_event(struct wi_tcp_conn *c, enum wi_tcp_cc_event ev)
{
    struct cubic *q = state(c);
    if (ev == WI_TCP_CC_LOSS) {
        forget(q);
        round_begin(c, q);
    } else if (ev == WI_TCP_CC_TX_START && q->epoch_at && c->last_send_at) {
        /* Idle time is no growth: the curve moves along. RFC 9438 5.8. */
        q->epoch_at += c->sk.core->now - c->last_send_at;
        if (q->epoch_at > c->sk.core->now)
            q->epoch_at = c->sk.core->now;
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
};
