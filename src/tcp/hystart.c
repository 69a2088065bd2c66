/* Leaving slow start in time (hystart.h). */
#include "tcp/hystart.h"

#include "tcp/send.h"

#define DELAY_MIN   WEIR_MS(4)  /* RFC 9406 4.3: MIN_RTT_THRESH; Linux's HYSTART_DELAY_MIN */
#define DELAY_MAX   WEIR_MS(16) /* MAX_RTT_THRESH */
#define TRAIN_GAP   WEIR_MS(2)  /* Linux's hystart_ack_delta_us */
#define SAMPLES_MIN 8u          /* N_RTT_SAMPLE */
#define CSS_DIVISOR 4u          /* CSS_GROWTH_DIVISOR */
#define CSS_ROUNDS  5u

#define BY_TRAIN    1u /* bits of tcp_cubic.parameters.hystart_detect */
#define BY_DELAY    2u
#define BY_RFC_9406 4u

static void round_begin(struct wi_tcp_conn *c, struct wi_tcp_hystart *h)
{
    h->round_at = h->train_at = c->sk.core->now;
    h->round_end = c->snd_nxt;
    h->last_rtt_us = h->round_rtt_us;
    h->round_rtt_us = UINT32_MAX;
    h->sample_n = 0;
}

void wi_tcp_hystart_begin(struct wi_tcp_conn *c, struct wi_tcp_hystart *h)
{
    *h = (struct wi_tcp_hystart){.round_rtt_us = UINT32_MAX};
    round_begin(c, h);
}

static void leave_slow_start(struct wi_tcp_conn *c, struct wi_tcp_hystart *h, const char *cause)
{
    h->is_over = true;
    h->css_round = 0;
    c->ssthresh = c->cwnd;
    wi_tcp_event_cwnd(c, c->cwnd, cause);
}

static weir_ns slack_of(weir_ns delay)
{
    weir_ns slack = delay / 8;
    return slack < DELAY_MIN ? DELAY_MIN : slack > DELAY_MAX ? DELAY_MAX : slack;
}

/* The sample counts; true once this round has enough of them. */
static bool take_sample(struct wi_tcp_hystart *h, uint32_t rtt_us)
{
    h->round_rtt_us = wi_min_u32(h->round_rtt_us, rtt_us);
    if (h->sample_n >= SAMPLES_MIN)
        return true;
    h->sample_n++;
    return false;
}

/* ---- Classic ---- */

/* Where the sender's pauses are not the path's: four super-segments at the pacing rate, at most a millisecond. */
static weir_ns burst_time(const struct wi_tcp_conn *c)
{
    if (c->pacing_bps == 0 || c->pacing_bps == UINT64_MAX)
        return 0;
    return wi_min_u64(WEIR_MS(1), (uint64_t)65215 * 4 * WEIR_SEC(1) / c->pacing_bps);
}

/* A train of ACKs as long as half the path (all of it when we pace, which spreads what we send by as much). */
static bool is_train_long(const struct wi_tcp_conn *c, struct wi_tcp_hystart *h, weir_ns delay)
{
    weir_ns now = c->sk.core->now, most = delay + burst_time(c);
    if (now - h->train_at > TRAIN_GAP)
        return false;
    h->train_at = now;
    return now - h->round_at > (wi_tcp_is_paced(c) ? most : most / 2);
}

static void classic(struct wi_tcp_conn *c, struct wi_tcp_hystart *h, uint32_t rtt_us, weir_ns delay, unsigned how)
{
    if ((how & BY_TRAIN) && is_train_long(c, h, delay))
        leave_slow_start(c, h, "slow start ends: ACK train");
    if (!(how & BY_DELAY) || !take_sample(h, rtt_us) || h->is_over)
        return;
    if (WEIR_US((weir_ns)h->round_rtt_us) > delay + slack_of(delay))
        leave_slow_start(c, h, "slow start ends: delay rises");
}

/* ---- HyStart++ ---- */

/* RFC 9406 4.2. Its limit L on the growth by one ACK is infinite: an ACK may cover a super-segment, as with Linux. */
static void plus_plus(struct wi_tcp_hystart *h, uint32_t rtt_us)
{
    if (!take_sample(h, rtt_us))
        return;
    if (h->css_round) {
        if (h->round_rtt_us < h->css_base_us)
            h->css_round = 0; /* the delay fell again: it was noise */
        return;
    }
    if (h->last_rtt_us == UINT32_MAX)
        return;
    weir_ns last = WEIR_US((weir_ns)h->last_rtt_us);
    if (WEIR_US((weir_ns)h->round_rtt_us) >= last + slack_of(last)) {
        h->css_base_us = h->round_rtt_us;
        h->css_round = 1; /* the rest of this round counts */
    }
}

void wi_tcp_hystart_ack(struct wi_tcp_conn *c, struct wi_tcp_hystart *h, uint32_t rtt_us, uint32_t delay_min_us)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    unsigned how = (unsigned)s->cubic_hystart_detect;
    if (wi_seq_gt(c->snd_una, h->round_end)) {
        round_begin(c, h);
        if (h->css_round && ++h->css_round > CSS_ROUNDS) {
            leave_slow_start(c, h, "slow start ends: delay stays up");
            return;
        }
    }
    if (how & BY_RFC_9406) {
        if (c->ssthresh >= WI_TCP_SSTHRESH_INF) /* 4.3: the first slow start only; later ones know where to end */
            plus_plus(h, rtt_us);
    } else if (c->cwnd >= s->cubic_hystart_low_window) {
        classic(c, h, rtt_us, WEIR_US((weir_ns)delay_min_us), how);
    }
}

uint32_t wi_tcp_hystart_growth(struct wi_tcp_hystart *h, uint32_t acked)
{
    if (!h->css_round)
        return acked;
    uint32_t all = acked + h->css_rest;
    h->css_rest = (uint8_t)(all % CSS_DIVISOR);
    return all / CSS_DIVISOR;
}
