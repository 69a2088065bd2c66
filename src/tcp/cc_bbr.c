/*
 * BBR version 3 (draft-ietf-ccwg-bbr, Linux's v3 branch): a model of the path (how fast it delivers, how long it takes)
 * decides the pacing rate and the window, and the window's bounds learn from loss above 2 %.
 *
 * Where this departs from the draft:
 * - It has no response to ECN yet, and Linux's v3 branch only one for shallow marks on paths that are known to have
 *   them. Here a mark by RFC 3168 is answered as loss above the threshold is (6.1.2 there): once a round.
 * - In a flight of some tens of segments a single loss is more than 2 %, and says nothing about a rate: too much is two
 *   segments above 2 %. Over 10 Mbit/s and 50 ms with 1 % of random loss that is worth a tenth of the goodput, and
 *   loses no more at a full queue.
 * - The lower bounds follow a round with too much loss by that measure, not one with any. Otherwise each round's bound
 *   is what the last round delivered of a rate that was a hundredth below the one before, and random loss of 1 % costs
 *   a fifth of the bandwidth by the time that it is probed for again.
 *
 * Fixed point: bandwidth in segments a microsecond times 2^24, gains in 1/256, as in Linux.
 */
#include "tcp/send.h"
#include <weir/socket.h>

#define BW_LOG2 24
#define UNIT    256u
#define NONE    UINT32_MAX /* a bound that is not set */

#define GAIN_STARTUP     709u /* 2.77: 4 ln 2, pacing */
#define GAIN_DRAIN       88u  /* 1/2.89 */
#define GAIN_UP          320u /* 1.25 */
#define GAIN_DOWN        232u /* 0.9 */
#define GAIN_CWND        512u /* 2 */
#define GAIN_CWND_UP     576u /* 2.25 */
#define GAIN_CWND_RTT    128u /* 0.5, in ProbeRTT */
#define BETA             179u /* 0.7: what a lower bound keeps */
#define HEADROOM         39u  /* 0.15 of inflight_hi left for others */
#define LOSS_THRESH      5u   /* 2 % */
#define LOSS_GRAIN       2u   /* segments */
#define FULL_BW_GROWTH   320u /* 1.25: less is no growth */
#define FULL_BW_ROUNDS   3u
#define FULL_LOSS_EVENTS 6u
#define MIN_CWND         4u
#define PROBE_RTT_TIME   WEIR_MS(200)
#define PROBE_RTT_EVERY  WEIR_SEC(5)
#define MIN_RTT_WINDOW   WEIR_SEC(10)
#define PROBE_WAIT       WEIR_SEC(2) /* and up to a second more */
#define RENO_ROUNDS_MAX  63u         /* as long as Reno needs for a window of this many segments to grow by one */
#define EXTRA_ACKED_WIN  5u          /* rounds of each of the two halves */
#define EXTRA_ACKED_US   100000u     /* aggregation above this is not made up for */
#define LOW_RATE_BPS     150000u     /* 1.2 Mbit/s: below, one segment at a time */

enum mode { STARTUP, DRAIN, PROBE_BW, PROBE_RTT };
enum phase { DOWN, CRUISE, REFILL, UP };
enum ack_phase { ACKS_INIT, ACKS_REFILLING, ACKS_STARTING, ACKS_FEEDBACK, ACKS_STOPPING };

/* In wi_tcp_conn.cc_state. Times are the stack's; counts are segments. */
struct bbr {
    weir_ns min_rtt_at, probe_rtt_min_at, probe_rtt_done_at; /* the last: 0 while the queue drains in ProbeRTT */
    weir_ns cycle_at, probe_wait, ack_epoch_at;
    uint64_t rate_bps; /* pacing; 0: none set yet */
    uint32_t bw_hi[2], bw_lo, bw_latest, full_bw;
    uint32_t inflight_hi, inflight_lo, inflight_latest;
    uint32_t min_rtt_us, probe_rtt_min_us;
    uint32_t round_end, loss_round_end; /* delivered at which the round is over */
    uint32_t prior_cwnd;
    uint32_t undo_bw_lo, undo_inflight_lo, undo_inflight_hi;
    uint32_t up_cnt, up_acks; /* ACKs for one more in inflight_hi, and how many came */
    uint32_t ack_epoch_acked, extra_acked[2];
    uint8_t mode, phase, ack_phase, full_bw_cnt, loss_events, up_rounds, rounds_since_probe, extra_idx, extra_rounds;
    uint8_t prior_ca;
    bool round_start : 1, loss_round_start : 1, full_bw_now : 1, full_bw_reached : 1;
    bool has_seen_rtt : 1, idle_restart : 1, prev_probe_too_high : 1, has_samples : 1, stopped_risky : 1;
    bool probe_rtt_round_done : 1, ce_in_round : 1;
    uint32_t round_losses;
};
_Static_assert(sizeof(struct bbr) <= WI_TCP_CC_STATE_WORDS * sizeof(uint64_t), "a controller's state is bounded");

static struct bbr *state(struct wi_tcp_conn *c)
{
    return (struct bbr *)(void *)c->cc_state;
}

static const struct bbr *state_of(const struct wi_tcp_conn *c)
{
    return (const struct bbr *)(const void *)c->cc_state;
}

/* ---- The model ---- */

static uint32_t max_bw(const struct bbr *b)
{
    return wi_max_u32(b->bw_hi[0], b->bw_hi[1]);
}

static uint32_t bw_now(const struct bbr *b)
{
    return wi_min_u32(max_bw(b), b->bw_lo);
}

/* Segments in flight at this bandwidth, `gain` times what the path holds. */
static uint32_t bdp(const struct bbr *b, uint32_t bw, uint32_t gain)
{
    if (b->min_rtt_us == NONE)
        return WI_TCP_INIT_CWND; /* no sample yet */
    uint64_t w = (uint64_t)bw * b->min_rtt_us;
    return (uint32_t)((((w * gain) >> 8) + (1u << BW_LOG2) - 1) >> BW_LOG2);
}

/* The draft's BBRQuantizationBudget: room for super-segments here and delayed ACKs there. */
static uint32_t quantize(const struct wi_tcp_conn *c, uint32_t w)
{
    const struct bbr *b = state_of(c);
    w = wi_max_u32(w, 3 * wi_tcp_tso_segs(c, c->snd_mss));
    w = (wi_max_u32(w, MIN_CWND) + 1) & ~1u;
    return b->mode == PROBE_BW && b->phase == UP ? w + 2 : w;
}

static uint32_t target_inflight(const struct wi_tcp_conn *c, uint32_t bw, uint32_t gain)
{
    return quantize(c, bdp(state_of(c), bw, gain));
}

static bool is_probing(const struct bbr *b)
{
    return b->mode == STARTUP || (b->mode == PROBE_BW && (b->phase == REFILL || b->phase == UP));
}

static uint32_t inflight_with_headroom(const struct bbr *b)
{
    if (b->inflight_hi == NONE)
        return NONE;
    uint32_t room = wi_max_u32((uint32_t)((uint64_t)b->inflight_hi * HEADROOM / UNIT), 1);
    return room < b->inflight_hi && b->inflight_hi - room > MIN_CWND ? b->inflight_hi - room : MIN_CWND;
}

static bool is_loss_too_high(uint32_t lost, uint32_t in_flight)
{
    return lost > 0 && in_flight > 0 && lost > (uint64_t)in_flight * LOSS_THRESH / UNIT + LOSS_GRAIN;
}

/* Did this sample's flight lose too much, or meet a mark? */
static bool is_inflight_too_high(const struct wi_tcp_rate *s)
{
    return s->ce || is_loss_too_high(s->lost, s->tx_in_flight);
}

static void reset_lower_bounds(struct bbr *b)
{
    b->bw_lo = b->inflight_lo = NONE;
}

static void reset_congestion_signals(struct bbr *b)
{
    b->round_losses = 0;
    b->ce_in_round = false;
    b->bw_latest = b->inflight_latest = 0;
}

static void reset_full_bw(struct bbr *b)
{
    b->full_bw = 0;
    b->full_bw_cnt = 0;
    b->full_bw_now = false;
}

static void round_begin(struct wi_tcp_conn *c, struct bbr *b)
{
    b->round_end = c->delivered;
}

/* ---- Pacing ---- */

static uint64_t rate_of(const struct wi_tcp_conn *c, uint32_t bw, uint32_t gain)
{
    uint64_t rate = (uint64_t)bw * c->snd_mss;
    return ((rate * gain >> 8) * 990000u) >> BW_LOG2; /* a hundredth below the model, so that no queue stands */
}

/* Before the first bandwidth sample: the first window in an RTT, or in a millisecond while none is known. */
static uint64_t first_rate(const struct wi_tcp_conn *c)
{
    uint32_t rtt_us = c->rtt.srtt_us8 ? wi_max_u32(c->rtt.srtt_us8 >> 3, 1) : 1000;
    return rate_of(c, (uint32_t)(((uint64_t)WI_TCP_INIT_CWND << BW_LOG2) / rtt_us), GAIN_STARTUP);
}

static uint64_t bbr_pacing(const struct wi_tcp_conn *c)
{
    const struct bbr *b = state_of(c);
    return b->rate_bps ? b->rate_bps : first_rate(c);
}

static uint32_t pacing_gain(const struct bbr *b)
{
    static const uint32_t by_phase[] = {[DOWN] = GAIN_DOWN, [CRUISE] = UNIT, [REFILL] = UNIT, [UP] = GAIN_UP};
    switch ((enum mode)b->mode) {
    case STARTUP: return GAIN_STARTUP;
    case DRAIN: return GAIN_DRAIN;
    case PROBE_BW: return by_phase[b->phase];
    case PROBE_RTT: return UNIT;
    }
    return UNIT;
}

static void set_rate(struct wi_tcp_conn *c, struct bbr *b, uint32_t bw, uint32_t gain)
{
    if (!b->has_seen_rtt && c->rtt.srtt_us8) {
        b->has_seen_rtt = true;
        b->rate_bps = first_rate(c);
    }
    uint64_t rate = rate_of(c, bw, gain);
    if (rate && (b->full_bw_reached || rate > b->rate_bps))
        b->rate_bps = rate;
}

static uint32_t bbr_tso_segs_min(const struct wi_tcp_conn *c)
{
    return c->pacing_bps < LOW_RATE_BPS ? 1 : 2;
}

/* ---- Modes and phases ---- */

static void enter_down(struct wi_tcp_conn *c, struct bbr *b)
{
    reset_congestion_signals(b);
    b->up_cnt = NONE;
    b->rounds_since_probe = (uint8_t)wi_rng_below(&c->sk.core->rng, 2);
    b->probe_wait = PROBE_WAIT + wi_rng_below(&c->sk.core->rng, WEIR_SEC(1));
    b->cycle_at = c->sk.core->now;
    b->ack_phase = ACKS_STOPPING;
    round_begin(c, b);
    b->mode = PROBE_BW;
    b->phase = DOWN;
}

static void enter_cruise(struct bbr *b)
{
    if (b->inflight_lo != NONE)
        b->inflight_lo = wi_min_u32(b->inflight_lo, b->inflight_hi);
    b->phase = CRUISE;
}

static void enter_refill(struct wi_tcp_conn *c, struct bbr *b)
{
    reset_lower_bounds(b);
    b->up_rounds = 0;
    b->up_acks = 0;
    b->stopped_risky = false;
    b->ack_phase = ACKS_REFILLING;
    round_begin(c, b);
    b->phase = REFILL;
}

/* Twice as fast each round: inflight_hi grows by up_rounds' power of two an RTT. */
static void raise_slope(struct wi_tcp_conn *c, struct bbr *b)
{
    uint32_t growth = 1u << b->up_rounds;
    b->up_rounds = (uint8_t)wi_min_u32(b->up_rounds + 1u, 30);
    b->up_cnt = wi_max_u32(c->cwnd / growth, 1);
}

static void enter_up(struct wi_tcp_conn *c, struct bbr *b, uint32_t bw)
{
    b->ack_phase = ACKS_STARTING;
    round_begin(c, b);
    reset_full_bw(b);
    b->full_bw = bw;
    b->phase = UP;
    raise_slope(c, b);
}

static void save_cwnd(struct wi_tcp_conn *c, struct bbr *b)
{
    if (b->prior_ca < WI_TCP_CA_RECOVERY && b->mode != PROBE_RTT)
        b->prior_cwnd = c->cwnd;
    else
        b->prior_cwnd = wi_max_u32(b->prior_cwnd, c->cwnd);
}

/* ---- What an ACK tells ---- */

static void update_round(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s)
{
    b->round_start = false;
    if (!s->interval || (int32_t)(s->prior_delivered - b->round_end) < 0)
        return;
    b->round_end = c->delivered;
    b->round_start = true;
    if (b->rounds_since_probe < UINT8_MAX)
        b->rounds_since_probe++;
}

static void update_latest(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s, uint32_t bw)
{
    b->loss_round_start = false;
    if (!s->interval || !s->acked_sacked)
        return;
    b->bw_latest = wi_max_u32(b->bw_latest, bw);
    b->inflight_latest = wi_max_u32(b->inflight_latest, s->delivered);
    if ((int32_t)(s->prior_delivered - b->loss_round_end) >= 0) {
        b->loss_round_end = c->delivered;
        b->loss_round_start = true;
    }
}

/* A round with too much loss or marks, while not probing for more: what was delivered is the bound, but never a fall
 * below beta.
 */
static void lower_bounds(struct wi_tcp_conn *c, struct bbr *b)
{
    bool is_lossy = is_loss_too_high(b->round_losses, b->inflight_latest + b->round_losses);
    if (is_probing(b) || !(is_lossy || b->ce_in_round))
        return;
    if (b->bw_lo == NONE)
        b->bw_lo = max_bw(b);
    if (b->inflight_lo == NONE)
        b->inflight_lo = c->cwnd;
    b->bw_lo = wi_max_u32(b->bw_latest, (uint32_t)((uint64_t)b->bw_lo * BETA / UNIT));
    b->inflight_lo = wi_max_u32(b->inflight_latest, (uint32_t)((uint64_t)b->inflight_lo * BETA / UNIT));
}

static void update_congestion(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s, uint32_t bw)
{
    if (!s->interval || !s->acked_sacked)
        return;
    if (!s->is_app_limited || bw >= max_bw(b))
        b->bw_hi[1] = wi_max_u32(b->bw_hi[1], bw);
    b->round_losses += s->losses;
    b->ce_in_round |= s->ce > 0;
    if (!b->loss_round_start)
        return;
    lower_bounds(c, b);
    b->round_losses = 0;
    b->ce_in_round = false;
}

/* How much more arrives at once than the bandwidth explains: ACKs come in bunches. */
static void update_aggregation(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s)
{
    weir_ns now = c->sk.core->now;
    if (!s->interval || !s->acked_sacked)
        return;
    if (b->round_start && ++b->extra_rounds >= (b->full_bw_reached ? EXTRA_ACKED_WIN : 1)) {
        b->extra_rounds = 0;
        b->extra_idx ^= 1;
        b->extra_acked[b->extra_idx] = 0;
    }
    uint64_t epoch_us = wi_min_u64((now - b->ack_epoch_at) / WEIR_US(1), WEIR_SEC(1));
    uint64_t expected = ((uint64_t)bw_now(b) * epoch_us) >> BW_LOG2;
    if (b->ack_epoch_acked <= expected || b->ack_epoch_acked + s->acked_sacked > 0xfffff) {
        b->ack_epoch_acked = 0;
        b->ack_epoch_at = now;
        expected = 0;
    }
    b->ack_epoch_acked += s->acked_sacked;
    uint64_t extra = b->ack_epoch_acked > expected ? b->ack_epoch_acked - expected : 0;
    extra = wi_min_u64(extra, c->cwnd);
    b->extra_acked[b->extra_idx] = wi_max_u32(b->extra_acked[b->extra_idx], (uint32_t)extra);
}

static uint32_t aggregation_cwnd(const struct bbr *b)
{
    if (!b->full_bw_reached)
        return 0;
    uint64_t most = ((uint64_t)bw_now(b) * EXTRA_ACKED_US) >> BW_LOG2;
    return (uint32_t)wi_min_u64(wi_max_u32(b->extra_acked[0], b->extra_acked[1]), most);
}

/* ---- Startup, Drain ---- */

static void check_startup_loss(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s)
{
    if (b->full_bw_reached)
        return;
    if (s->losses && b->loss_events < 15)
        b->loss_events++;
    if (!b->loss_round_start)
        return;
    bool lossy = c->loss.ca == WI_TCP_CA_RECOVERY && b->loss_events >= FULL_LOSS_EVENTS &&
                 is_loss_too_high(s->lost, s->tx_in_flight);
    if (lossy || s->ce) {
        b->full_bw_reached = true;
        b->inflight_hi = wi_max_u32(bdp(b, max_bw(b), UNIT), b->inflight_latest);
    }
    b->loss_events = 0;
}

static void check_full_bw(struct bbr *b, const struct wi_tcp_rate *s, uint32_t bw)
{
    if (b->full_bw_now || s->is_app_limited || !s->interval)
        return;
    if (bw >= (uint64_t)b->full_bw * FULL_BW_GROWTH / UNIT) {
        reset_full_bw(b);
        b->full_bw = bw;
        return;
    }
    if (!b->round_start)
        return;
    b->full_bw_now = ++b->full_bw_cnt >= FULL_BW_ROUNDS;
    b->full_bw_reached |= b->full_bw_now;
}

static void check_drain(struct wi_tcp_conn *c, struct bbr *b)
{
    if (b->mode == STARTUP && b->full_bw_reached) {
        b->mode = DRAIN;
        reset_congestion_signals(b);
    }
    if (b->mode == DRAIN && wi_tcp_in_flight(c) <= target_inflight(c, max_bw(b), UNIT))
        enter_down(c, b);
}

/* ---- ProbeBW ---- */

/* `in_flight` was too much: the most that we know to have been fine bounds what comes. */
static void inflight_too_high(struct wi_tcp_conn *c, struct bbr *b, uint32_t in_flight, bool is_app_limited)
{
    b->prev_probe_too_high = true;
    b->has_samples = false; /* once a probe */
    if (!is_app_limited) {
        uint32_t target = wi_min_u32(target_inflight(c, max_bw(b), UNIT), c->cwnd);
        b->inflight_hi = wi_max_u32(in_flight, (uint32_t)((uint64_t)target * BETA / UNIT));
    }
    if (b->mode == PROBE_BW && b->phase == UP)
        enter_down(c, b);
}

/* inflight_hi is in the way and nothing was lost: let it grow. */
static void probe_upward(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s)
{
    if (!c->is_cwnd_limited || c->cwnd < b->inflight_hi) {
        b->up_acks = 0;
        return;
    }
    b->up_acks += s->acked_sacked;
    if (b->up_acks >= b->up_cnt) {
        uint32_t more = b->up_acks / b->up_cnt;
        b->up_acks -= more * b->up_cnt;
        b->inflight_hi += more;
    }
    if (b->round_start)
        raise_slope(c, b);
}

/* True: the next phase has been chosen. */
static bool upper_bounds(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s)
{
    if (b->ack_phase == ACKS_STARTING && b->round_start)
        b->ack_phase = ACKS_FEEDBACK;
    if (b->ack_phase == ACKS_STOPPING && b->round_start) {
        b->has_samples = false;
        b->ack_phase = ACKS_INIT;
        if (b->mode == PROBE_BW && !s->is_app_limited) { /* the cycle is over: the max filter of two moves on */
            b->bw_hi[0] = b->bw_hi[1] ? b->bw_hi[1] : b->bw_hi[0];
            b->bw_hi[1] = 0;
        }
        if (b->mode == PROBE_BW && b->stopped_risky && !b->prev_probe_too_high) {
            enter_refill(c, b); /* it was fine after all: go on from there */
            return true;
        }
    }
    if (is_inflight_too_high(s)) {
        if (b->has_samples)
            inflight_too_high(c, b, s->tx_in_flight, s->is_app_limited);
    } else if (b->inflight_hi != NONE) {
        b->inflight_hi = wi_max_u32(b->inflight_hi, s->tx_in_flight);
        if (b->mode == PROBE_BW && b->phase == UP)
            probe_upward(c, b, s);
    }
    return false;
}

static bool is_time_to_probe(const struct wi_tcp_conn *c, const struct bbr *b)
{
    uint32_t reno = wi_min_u32(wi_min_u32(target_inflight(c, bw_now(b), UNIT), c->cwnd), RENO_ROUNDS_MAX);
    return c->sk.core->now - b->cycle_at > b->probe_wait || b->rounds_since_probe >= reno;
}

static bool is_time_to_cruise(const struct wi_tcp_conn *c, const struct bbr *b)
{
    uint32_t in_flight = wi_tcp_in_flight(c);
    return in_flight <= inflight_with_headroom(b) && in_flight <= target_inflight(c, max_bw(b), UNIT);
}

static void step_up(struct wi_tcp_conn *c, struct bbr *b, uint32_t bw)
{
    if (b->prev_probe_too_high && wi_tcp_in_flight(c) >= b->inflight_hi) {
        b->stopped_risky = true; /* as much as was too much last time: see what comes of it */
    } else if (c->is_cwnd_limited && c->cwnd >= b->inflight_hi) {
        reset_full_bw(b); /* inflight_hi holds it back: no wonder that bandwidth doesn't grow */
        b->full_bw = bw;
        return;
    } else if (!b->full_bw_now) {
        return;
    }
    b->prev_probe_too_high = false;
    enter_down(c, b);
}

static void update_cycle(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s, uint32_t bw)
{
    if (!b->full_bw_reached || upper_bounds(c, b, s) || b->mode != PROBE_BW)
        return;
    switch ((enum phase)b->phase) {
    case DOWN:
        if (is_time_to_probe(c, b))
            enter_refill(c, b);
        else if (is_time_to_cruise(c, b))
            enter_cruise(b);
        return;
    case CRUISE:
        if (is_time_to_probe(c, b))
            enter_refill(c, b);
        return;
    case REFILL:
        if (b->round_start) {
            b->has_samples = true;
            enter_up(c, b, bw);
        }
        return;
    case UP: step_up(c, b, bw); return;
    }
}

/* What was in flight when the path began to lose more than it may, by the draft's BBRInflightAtLoss. */
static uint32_t inflight_at_loss(uint32_t tx_in_flight, uint32_t lost, uint32_t segs)
{
    if (tx_in_flight < segs || lost < segs)
        return tx_in_flight;
    uint32_t before = tx_in_flight - segs, lost_before = lost - segs;
    uint64_t budget = ((uint64_t)before * LOSS_THRESH + UNIT - 1) / UNIT + LOSS_GRAIN;
    uint64_t prefix = lost_before >= budget ? 0 : (budget - lost_before) * UNIT / (UNIT - LOSS_THRESH);
    return before + (uint32_t)prefix;
}

static void bbr_lost(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    struct bbr *b = state(c);
    uint32_t lost = c->lost_total - r->lost_before;
    if (b->has_samples && is_loss_too_high(lost, r->tx_in_flight))
        inflight_too_high(c, b, inflight_at_loss(r->tx_in_flight, lost, r->segs), r->is_app_limited);
}

/* ---- ProbeRTT ---- */

static uint32_t probe_rtt_cwnd(const struct bbr *b)
{
    return wi_max_u32(bdp(b, bw_now(b), GAIN_CWND_RTT), MIN_CWND);
}

static void exit_probe_rtt(struct wi_tcp_conn *c, struct bbr *b)
{
    reset_lower_bounds(b);
    if (b->full_bw_reached) {
        enter_down(c, b);
        enter_cruise(b);
    } else {
        b->mode = STARTUP;
    }
}

static void check_probe_rtt_done(struct wi_tcp_conn *c, struct bbr *b)
{
    if (!b->probe_rtt_done_at || c->sk.core->now <= b->probe_rtt_done_at)
        return;
    b->probe_rtt_min_at = c->sk.core->now;
    c->cwnd = wi_max_u32(c->cwnd, b->prior_cwnd);
    exit_probe_rtt(c, b);
}

static void hold_probe_rtt(struct wi_tcp_conn *c, struct bbr *b)
{
    wi_tcp_rate_app_limited(c); /* so little in flight shows no bandwidth */
    if (!b->probe_rtt_done_at) {
        if (wi_tcp_in_flight(c) <= probe_rtt_cwnd(b)) {
            b->probe_rtt_done_at = c->sk.core->now + PROBE_RTT_TIME;
            b->probe_rtt_round_done = false;
            round_begin(c, b);
        }
        return;
    }
    b->probe_rtt_round_done |= b->round_start;
    if (b->probe_rtt_round_done)
        check_probe_rtt_done(c, b);
}

static void update_min_rtt(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s)
{
    weir_ns now = c->sk.core->now;
    bool is_due = now > b->probe_rtt_min_at + PROBE_RTT_EVERY;
    if (s->rtt_us >= 0 && (s->rtt_us < b->probe_rtt_min_us || is_due)) {
        b->probe_rtt_min_us = s->rtt_us ? (uint32_t)s->rtt_us : 1;
        b->probe_rtt_min_at = now;
    }
    if (b->probe_rtt_min_us <= b->min_rtt_us || now > b->min_rtt_at + MIN_RTT_WINDOW) {
        b->min_rtt_us = b->probe_rtt_min_us;
        b->min_rtt_at = b->probe_rtt_min_at;
    }
    if (is_due && !b->idle_restart && b->mode != PROBE_RTT) {
        save_cwnd(c, b);
        b->mode = PROBE_RTT;
        b->probe_rtt_done_at = 0;
        b->ack_phase = ACKS_STOPPING;
        round_begin(c, b);
    }
    if (b->mode == PROBE_RTT)
        hold_probe_rtt(c, b);
    if (s->delivered)
        b->idle_restart = false;
}

/* ---- The window ---- */

/* What the bounds leave of it. */
static uint32_t bound_cwnd(const struct bbr *b, uint32_t cwnd)
{
    uint32_t cap = NONE;
    if (b->mode == PROBE_BW && b->phase != CRUISE)
        cap = b->inflight_hi;
    else if (b->mode == PROBE_RTT || b->mode == PROBE_BW)
        cap = inflight_with_headroom(b);
    cap = wi_max_u32(wi_min_u32(cap, b->inflight_lo), MIN_CWND);
    return wi_min_u32(cwnd, cap);
}

static uint32_t cwnd_gain(const struct bbr *b)
{
    return b->mode == PROBE_BW && b->phase == UP ? GAIN_CWND_UP : GAIN_CWND;
}

static void set_cwnd(struct wi_tcp_conn *c, struct bbr *b, const struct wi_tcp_rate *s)
{
    uint32_t gain = cwnd_gain(b), cwnd = c->cwnd;
    if (s->acked_sacked) {
        uint32_t target = quantize(c, bdp(b, bw_now(b), gain) + aggregation_cwnd(b));
        if (b->full_bw_reached)
            cwnd = wi_min_u32(cwnd + s->acked_sacked, target);
        else if (cwnd < target || cwnd < 2 * WI_TCP_INIT_CWND)
            cwnd += s->acked_sacked;
        cwnd = wi_max_u32(cwnd, MIN_CWND);
    }
    if (b->mode == PROBE_RTT)
        cwnd = wi_min_u32(cwnd, probe_rtt_cwnd(b));
    c->cwnd = bound_cwnd(b, cwnd);
}

static void bbr_control(struct wi_tcp_conn *c, const struct wi_tcp_rate *s)
{
    struct bbr *b = state(c);
    uint32_t bw = 0;
    if (s->interval)
        bw = (uint32_t)wi_min_u64((((uint64_t)s->delivered << BW_LOG2) * 1000) / s->interval, NONE - 1);
    if (b->prior_ca == WI_TCP_CA_LOSS && c->loss.ca != WI_TCP_CA_LOSS)
        c->cwnd = wi_max_u32(c->cwnd, b->prior_cwnd);
    update_round(c, b, s);
    update_latest(c, b, s, bw);
    update_congestion(c, b, s, bw);
    update_aggregation(c, b, s);
    check_startup_loss(c, b, s);
    check_full_bw(b, s, bw);
    check_drain(c, b);
    update_cycle(c, b, s, bw);
    update_min_rtt(c, b, s);
    set_rate(c, b, bw_now(b), pacing_gain(b));
    wi_tcp_pacing_update(c);
    set_cwnd(c, b, s);
    if (b->loss_round_start) {
        b->bw_latest = bw;
        b->inflight_latest = s->delivered;
    }
    b->prior_ca = (uint8_t)c->loss.ca;
}

/* ---- Events ---- */

static void bbr_init(struct wi_tcp_conn *c)
{
    weir_ns now = c->sk.core->now;
    *state(c) = (struct bbr){
        .min_rtt_at = now,
        .probe_rtt_min_at = now,
        .ack_epoch_at = now,
        .bw_lo = NONE,
        .inflight_hi = NONE,
        .inflight_lo = NONE,
        .min_rtt_us = c->rtt.min_us,
        .probe_rtt_min_us = c->rtt.min_us,
        .round_end = c->delivered,
        .loss_round_end = c->delivered,
        .mode = STARTUP,
        .prior_cwnd = c->cwnd,
    };
    c->ssthresh = WI_TCP_SSTHRESH_INF;
}

/* A loss episode begins: remember what its being spurious would bring back. The window is bbr_control's alone. */
static uint32_t bbr_ssthresh(struct wi_tcp_conn *c)
{
    struct bbr *b = state(c);
    save_cwnd(c, b);
    b->undo_bw_lo = b->bw_lo;
    b->undo_inflight_lo = b->inflight_lo;
    b->undo_inflight_hi = b->inflight_hi;
    return c->ssthresh;
}

static uint32_t bbr_undo(struct wi_tcp_conn *c)
{
    struct bbr *b = state(c);
    reset_full_bw(b);
    b->round_losses = 0;
    b->bw_lo = wi_max_u32(b->bw_lo, b->undo_bw_lo);
    b->inflight_lo = wi_max_u32(b->inflight_lo, b->undo_inflight_lo);
    b->inflight_hi = wi_max_u32(b->inflight_hi, b->undo_inflight_hi);
    return wi_max_u32(c->cwnd, b->prior_cwnd);
}

/* Sending begins again: at the bandwidth that is known, without the queue that a window at once would make. */
static void restart_from_idle(struct wi_tcp_conn *c, struct bbr *b)
{
    if (!c->app_limited)
        return;
    b->idle_restart = true;
    b->ack_epoch_at = c->sk.core->now;
    b->ack_epoch_acked = 0;
    if (b->mode == PROBE_BW) {
        set_rate(c, b, bw_now(b), UNIT);
        wi_tcp_pacing_update(c);
    } else if (b->mode == PROBE_RTT) {
        check_probe_rtt_done(c, b);
    }
}

static void bbr_event(struct wi_tcp_conn *c, enum wi_tcp_cc_event ev)
{
    struct bbr *b = state(c);
    if (ev == WI_TCP_CC_TX_START) {
        restart_from_idle(c, b);
    } else if (ev == WI_TCP_CC_LOSS) {
        reset_full_bw(b);
        if (!is_probing(b) && b->inflight_lo == NONE)
            b->inflight_lo = b->prior_cwnd;
        b->prior_ca = WI_TCP_CA_LOSS;
    }
}

static uint32_t bbr_info(const struct wi_tcp_conn *c, union weir_tcp_cc_info *info)
{
    const struct bbr *b = state_of(c);
    uint64_t bw = ((uint64_t)bw_now(b) * c->snd_mss * 1000000u) >> BW_LOG2;
    info->bbr = (struct weir_tcp_bbr_info){
        .bw_lo = (uint32_t)bw,
        .bw_hi = (uint32_t)(bw >> 32),
        .min_rtt = b->min_rtt_us,
        .pacing_gain = pacing_gain(b),
        .cwnd_gain = cwnd_gain(b),
    };
    return sizeof info->bbr;
}

const struct wi_tcp_cc wi_tcp_cc_bbr = {
    .name = "bbr",
    .init = bbr_init,
    .ssthresh = bbr_ssthresh,
    .undo = bbr_undo,
    .event = bbr_event,
    .control = bbr_control,
    .lost = bbr_lost,
    .pacing = bbr_pacing,
    .tso_segs_min = bbr_tso_segs_min,
    .info = bbr_info,
    .moments = WI_TCP_CC_WORD(struct bbr, min_rtt_at) | WI_TCP_CC_WORD(struct bbr, probe_rtt_min_at) |
               WI_TCP_CC_WORD(struct bbr, probe_rtt_done_at) | WI_TCP_CC_WORD(struct bbr, cycle_at) |
               WI_TCP_CC_WORD(struct bbr, ack_epoch_at),
};
