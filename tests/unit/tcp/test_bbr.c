/*
 * BBR version 3, step by step: the test is the path, and gives one sample for each round. The controller's file is
 * included, so that its model can be looked at.
 */
#include "rig.h"

#include "tcp/cc_bbr.c"
#include "tcp/sock.h"

#define RTT_MS 40u
#define BDP    100u /* segments */

struct lab {
    struct rig *r;
    struct wi_tcp_conn *c;
    struct bbr *b;
};

/* A connection that has just been established, its RTT known. */
static struct lab begin(void)
{
    struct lab l = {.r = rig_new()};
    l.c = rig_establish(l.r, 1, 1, RIG_SACK);
    wi_tcp_rtt_sample(l.c, RTT_MS * 1000);
    assert_int_equal(wi_tcp_cc_set(l.c, "bbr"), 0);
    l.b = state(l.c);
    l.c->delivered = 1000;
    bbr_init(l.c);
    l.c->is_cwnd_limited = true;
    return l;
}

/* A round: so many segments were delivered in this time, and so many lost. */
struct path {
    uint32_t segs, ms, lost, ce;
    uint32_t rtt_ms; /* 0: RTT_MS */
    bool is_app_limited;
};

static void play(struct lab *l, struct path p)
{
    uint32_t rtt = (p.rtt_ms ? p.rtt_ms : RTT_MS) * 1000;
    l->r->core.now += WEIR_MS((weir_ns)p.ms);
    l->c->delivered += p.segs;
    l->c->delivered_ce += p.ce;
    l->c->loss.packets_out = p.segs;
    struct wi_tcp_rate s = {
        .has_sample = true,
        .is_app_limited = p.is_app_limited,
        .prior_delivered = l->c->delivered - p.segs,
        .tx_in_flight = p.segs + p.lost,
        .delivered = p.segs,
        .lost = p.lost,
        .losses = p.lost,
        .ce = p.ce,
        .interval = WEIR_MS((weir_ns)p.ms),
        .acked_sacked = p.segs,
        .prior_in_flight = p.segs,
        .rtt_us = (int64_t)rtt,
    };
    bbr_control(l->c, &s);
}

/* In ProbeBW on a path of BDP segments, in this phase. */
static struct lab probing(enum phase phase)
{
    struct lab l = begin();
    for (int i = 0; i < 4; i++)
        play(&l, (struct path){.segs = BDP, .ms = RTT_MS});
    l.c->cwnd = 2 * BDP;
    if (l.b->mode == DRAIN)
        enter_down(l.c, l.b);
    assert_int_equal(l.b->mode, PROBE_BW);
    l.b->inflight_hi = 2 * BDP;
    l.b->phase = (uint8_t)phase;
    l.b->ack_phase = ACKS_INIT;
    l.b->has_samples = phase == UP;
    if (phase == UP)
        enter_up(l.c, l.b, max_bw(l.b));
    l.b->rounds_since_probe = 0;
    return l;
}

static uint32_t bw_of(uint32_t segs, uint32_t ms)
{
    return (uint32_t)(((uint64_t)segs << BW_LOG2) / (ms * 1000u));
}

/* ---- Startup and Drain ---- */

/* Three rounds without a quarter more are a full pipe; the queue that made is drained before ProbeBW begins. */
static void test_bbr_startup_ends_when_bandwidth_stops_growing_and_drains(void **state)
{
    (void)state;
    struct lab l = begin();
    for (uint32_t w = 10; w <= 80; w *= 2) {
        play(&l, (struct path){.segs = w, .ms = RTT_MS});
        assert_int_equal(l.b->mode, STARTUP);
        assert_int_equal(pacing_gain(l.b), GAIN_STARTUP);
    }
    play(&l, (struct path){.segs = 200, .ms = 80}); /* a hundred by the RTT: growth by a quarter */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(l.b->mode, STARTUP);
        play(&l, (struct path){.segs = 200, .ms = 80, .rtt_ms = 80});
    }
    assert_true(l.b->full_bw_reached);
    assert_int_equal(l.b->mode, DRAIN);
    assert_int_equal(pacing_gain(l.b), GAIN_DRAIN);
    play(&l, (struct path){.segs = 130, .ms = 52, .rtt_ms = 52});
    assert_int_equal(l.b->mode, DRAIN);
    play(&l, (struct path){.segs = 100, .ms = 40});
    assert_int_equal(l.b->mode, PROBE_BW);
    assert_int_equal(l.b->phase, CRUISE); /* nothing bounds it yet, so that there is room enough at once */
    rig_end(l.r);
}

static void test_bbr_startup_goes_on_while_the_application_is_the_limit(void **state)
{
    (void)state;
    struct lab l = begin();
    for (int i = 0; i < 10; i++)
        play(&l, (struct path){.segs = 10, .ms = RTT_MS, .is_app_limited = true});
    assert_int_equal(l.b->mode, STARTUP);
    assert_false(l.b->full_bw_reached);
    rig_end(l.r);
}

/* A round of six losses and more than 2 %, in recovery, is a full pipe as well; five are not. */
static void test_bbr_startup_ends_by_loss_only_when_it_is_much(void **state)
{
    (void)state;
    for (int events = 5; events <= 6; events++) {
        struct lab l = begin();
        play(&l, (struct path){.segs = 100, .ms = RTT_MS});
        l.c->loss.ca = WI_TCP_CA_RECOVERY;
        l.b->loss_events = (uint8_t)(events - 1);
        play(&l, (struct path){.segs = 200, .ms = RTT_MS, .lost = 10});
        assert_int_equal(l.b->full_bw_reached, events == 6);
        assert_true(events == 6 ? l.b->inflight_hi >= 200 && l.b->inflight_hi <= 202 : l.b->inflight_hi == NONE);
        rig_end(l.r);
    }
}

static void test_bbr_startup_ends_by_a_congestion_mark(void **state)
{
    (void)state;
    struct lab l = begin();
    play(&l, (struct path){.segs = 100, .ms = RTT_MS});
    play(&l, (struct path){.segs = 200, .ms = RTT_MS, .ce = 1});
    assert_true(l.b->full_bw_reached);
    rig_end(l.r);
}

/* The peer's window held the segments back: what they tell of the bandwidth is marked as too little. */
static void test_bbr_peers_window_is_taken_for_a_slow_writer(void **state)
{
    (void)state;
    for (uint32_t wnd = 5; wnd <= 50; wnd += 45) {
        struct lab l = begin();
        l.c->snd_wnd_bytes = wnd * MSS;
        rig_write(l.r, 40 * MSS);
        l.c->app_limited = 0;
        wi_tcp_owe(l.c, WI_TCP_OWE_SEND);
        rig_flush(l.r);
        assert_int_equal(l.c->app_limited != 0, wnd < l.c->cwnd);
        rig_end(l.r);
    }
}

/* ---- ProbeBW ---- */

/* Two segments above 2 % of what was in flight are too much. */
static void test_bbr_loss_threshold_is_two_percent(void **state)
{
    (void)state;
    assert_false(is_loss_too_high(0, 0));
    assert_false(is_loss_too_high(0, 1000));
    assert_false(is_loss_too_high(21, 1000));
    assert_true(is_loss_too_high(22, 1000));
    assert_false(is_loss_too_high(2, 10));
    assert_true(is_loss_too_high(3, 10));
}

/* What a lossy round delivered is the bound while it cruises, but never less than 0.7 of what was the bound. */
static void test_bbr_cruise_loss_lowers_the_bounds_by_delivery_and_beta(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    uint32_t full = max_bw(l.b);
    for (int i = 0; i < 2; i++) /* the best of a round and the one before counts */
        play(&l, (struct path){.segs = 90, .ms = RTT_MS, .lost = 4});
    assert_int_equal(l.b->bw_lo, bw_of(90, RTT_MS));
    reset_lower_bounds(l.b);
    l.b->bw_latest = l.b->inflight_latest = 0;
    l.c->cwnd = 200;
    play(&l, (struct path){.segs = 10, .ms = RTT_MS, .lost = 5});
    uint32_t first = l.b->bw_lo, first_inflight = l.b->inflight_lo;
    assert_int_equal(first, (uint64_t)full * BETA / UNIT);
    assert_int_equal(first_inflight, 200 * BETA / UNIT);
    assert_int_equal(bw_now(l.b), first);
    play(&l, (struct path){.segs = 10, .ms = RTT_MS, .lost = 2}); /* a little loss is noise */
    assert_int_equal(l.b->bw_lo, first);
    play(&l, (struct path){.segs = 10, .ms = RTT_MS, .lost = 5});
    assert_int_equal(l.b->bw_lo, (uint64_t)first * BETA / UNIT);
    assert_true(l.c->cwnd <= first_inflight);
    rig_end(l.r);
}

/* RFC 3168 6.1.2: a mark is answered as a loss is, once a round. */
static void test_bbr_cruise_mark_lowers_the_bounds_as_loss_does(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    uint32_t full = max_bw(l.b);
    l.b->bw_latest = l.b->inflight_latest = 0;
    play(&l, (struct path){.segs = 10, .ms = RTT_MS, .ce = 3});
    assert_int_equal(l.b->bw_lo, (uint64_t)full * BETA / UNIT);
    rig_end(l.r);
}

/* Refill forgets the lower bounds, fills the pipe for a round, and then Up asks for a quarter more. */
static void test_bbr_refill_forgets_lower_bounds_and_leads_up(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    l.b->bw_lo = 1;
    l.b->inflight_lo = 50;
    l.r->core.now += WEIR_SEC(3) + 1; /* the longest wait */
    play(&l, (struct path){.segs = BDP, .ms = RTT_MS});
    assert_int_equal(l.b->phase, REFILL);
    assert_int_equal(l.b->bw_lo, NONE);
    assert_int_equal(l.b->inflight_lo, NONE);
    play(&l, (struct path){.segs = BDP, .ms = RTT_MS});
    assert_int_equal(l.b->phase, UP);
    assert_int_equal(pacing_gain(l.b), GAIN_UP);
    rig_end(l.r);
}

/* Probing as often as Reno would need to grow by a segment, should the BDP be small: BBR v3's coexistence. */
static void test_bbr_probes_after_as_many_rounds_as_reno_has_segments(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    unsigned rounds = 0;
    for (; l.b->phase == CRUISE; rounds++)
        play(&l, (struct path){.segs = BDP, .ms = 20}); /* 63 of them are less than two seconds */
    assert_true(rounds >= RENO_ROUNDS_MAX - 2 && rounds <= RENO_ROUNDS_MAX);
    rig_end(l.r);
}

/* Too much loss above: what was in flight then is the bound, at least 0.7 of the target; once a probe. */
static void test_bbr_up_with_too_much_loss_bounds_inflight_and_goes_down(void **state)
{
    (void)state;
    struct lab l = probing(UP);
    l.c->cwnd = 200;
    play(&l, (struct path){.segs = 120, .ms = RTT_MS, .lost = 10});
    assert_int_equal(l.b->phase, DOWN);
    assert_int_equal(l.b->inflight_hi, 130);
    assert_true(l.b->prev_probe_too_high);
    assert_int_equal(pacing_gain(l.b), GAIN_DOWN);
    play(&l, (struct path){.segs = 60, .ms = RTT_MS, .lost = 10}); /* the same probe's: no second reduction */
    assert_int_equal(l.b->inflight_hi, 130);
    rig_end(l.r);
}

static void test_bbr_up_with_little_loss_goes_on_and_raises_the_bound(void **state)
{
    (void)state;
    struct lab l = probing(UP);
    l.c->cwnd = l.b->inflight_hi = 110;
    enter_up(l.c, l.b, max_bw(l.b));
    uint32_t last = 110, grew = 0;
    for (int i = 0; i < 2; i++) {
        play(&l, (struct path){.segs = 109, .ms = RTT_MS, .lost = 1});
        l.c->cwnd = l.b->inflight_hi;
        assert_int_equal(l.b->phase, UP);
        assert_true(l.b->inflight_hi - last > grew); /* faster each round */
        grew = l.b->inflight_hi - last;
        last = l.b->inflight_hi;
    }
    rig_end(l.r);
}

static void test_bbr_up_with_a_mark_goes_down(void **state)
{
    (void)state;
    struct lab l = probing(UP);
    play(&l, (struct path){.segs = 120, .ms = RTT_MS, .ce = 1});
    assert_int_equal(l.b->phase, DOWN);
    assert_true(l.b->inflight_hi < 2 * BDP);
    rig_end(l.r);
}

/* The loss is known by the record, before any ACK's sample is: what was in flight when loss passed 2 %. */
static void test_bbr_inflight_at_loss_is_where_two_percent_were_passed(void **state)
{
    (void)state;
    assert_int_equal(inflight_at_loss(100, 1, 1), 99 + 4); /* nothing lost before: four more would have been fine */
    assert_int_equal(inflight_at_loss(100, 10, 1), 99);
    assert_int_equal(inflight_at_loss(1, 1, 2), 1); /* counters that do not go together change nothing */
}

static void test_bbr_undo_restores_the_bounds(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    l.c->cwnd = 180;
    (void)bbr_ssthresh(l.c);
    l.b->inflight_hi = l.b->inflight_lo = 60;
    l.b->bw_lo = 5;
    l.c->cwnd = 20;
    assert_int_equal(bbr_undo(l.c), 180);
    assert_int_equal(l.b->inflight_hi, 2 * BDP);
    assert_int_equal(l.b->inflight_lo, NONE);
    assert_int_equal(l.b->bw_lo, NONE);
    rig_end(l.r);
}

/* A timeout: the window comes back with the end of Loss, bounded by what was in flight before. */
static void test_bbr_after_a_timeout_returns_to_its_window(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    l.c->cwnd = 150;
    (void)bbr_ssthresh(l.c);
    bbr_event(l.c, WI_TCP_CC_LOSS);
    assert_int_equal(l.b->inflight_lo, 150);
    l.c->cwnd = 1;
    l.c->loss.ca = WI_TCP_CA_LOSS;
    play(&l, (struct path){.segs = 1, .ms = RTT_MS});
    assert_true(l.c->cwnd <= 4);
    l.c->loss.ca = WI_TCP_CA_OPEN;
    play(&l, (struct path){.segs = 2, .ms = RTT_MS});
    assert_true(l.c->cwnd >= 150 && l.c->cwnd <= 152);
    rig_end(l.r);
}

/* ---- ProbeRTT ---- */

/* Five seconds without a new least RTT: half a BDP for 200 ms and a round, then the window of before. */
static void test_bbr_probe_rtt_every_five_seconds_halves_inflight_and_returns(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    l.c->cwnd = 150;
    weir_ns began = l.r->core.now;
    while (l.b->mode != PROBE_RTT) {
        assert_true(l.r->core.now - began < WEIR_MS(5100));
        l.b->cycle_at = l.r->core.now; /* no probing for bandwidth meanwhile */
        l.b->rounds_since_probe = 0;
        play(&l, (struct path){.segs = BDP, .ms = RTT_MS, .rtt_ms = RTT_MS + 1});
    }
    assert_true(l.r->core.now - began > WEIR_MS(4700));
    assert_int_equal(l.c->cwnd, BDP / 2);
    began = l.r->core.now;
    while (l.b->mode == PROBE_RTT)
        play(&l, (struct path){.segs = 40, .ms = RTT_MS});
    assert_true(l.r->core.now - began >= WEIR_MS(200) && l.r->core.now - began <= WEIR_MS(320));
    assert_int_equal(l.b->mode, PROBE_BW);
    assert_int_equal(l.b->phase, CRUISE);
    assert_true(l.c->cwnd > 140);
    assert_int_equal(l.b->min_rtt_us, RTT_MS * 1000);
    rig_end(l.r);
}

/* Idleness drains the queue by itself: no probe when sending begins again, at the bandwidth that is known. */
static void test_bbr_after_idle_paces_at_its_bandwidth_without_probing(void **state)
{
    (void)state;
    struct lab l = probing(UP);
    l.c->app_limited = 1;
    l.r->core.now += WEIR_SEC(8);
    bbr_event(l.c, WI_TCP_CC_TX_START);
    uint64_t link = (uint64_t)BDP * l.c->snd_mss * 1000 / RTT_MS;
    assert_true(l.c->pacing_bps > link * 98 / 100 && l.c->pacing_bps < link);
    play(&l, (struct path){.segs = 10, .ms = RTT_MS, .is_app_limited = true});
    assert_int_equal(l.b->mode, PROBE_BW);
    rig_end(l.r);
}

/* ---- What it tells ---- */

static void test_bbr_info_tells_bandwidth_rtt_and_gains(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    union weir_tcp_cc_info info;
    uint32_t len = sizeof info;
    assert_int_equal(wi_tcp_getsockopt(&l.c->sk, WEIR_SOL_TCP, WEIR_TCP_CC_INFO, &info, &len), 0);
    assert_int_equal(len, 20);
    uint32_t link = BDP * l.c->snd_mss * 1000 / RTT_MS;
    assert_true(info.bbr.bw_lo > link * 99 / 100 && info.bbr.bw_lo <= link);
    assert_int_equal(info.bbr.bw_hi, 0);
    assert_int_equal(info.bbr.min_rtt, RTT_MS * 1000);
    assert_int_equal(info.bbr.pacing_gain, UNIT);
    assert_int_equal(info.bbr.cwnd_gain, GAIN_CWND);
    rig_end(l.r);
}

/* The model is what paces: a hundredth below the bandwidth, and super-segments of a millisecond. */
static void test_bbr_paces_a_hundredth_below_its_bandwidth(void **state)
{
    (void)state;
    struct lab l = probing(CRUISE);
    play(&l, (struct path){.segs = BDP, .ms = RTT_MS});
    uint64_t link = (uint64_t)BDP * l.c->snd_mss * 1000 / RTT_MS;
    assert_true(wi_tcp_is_paced(l.c));
    assert_true(l.c->pacing_bps > link * 985 / 1000 && l.c->pacing_bps <= link * 99 / 100);
    l.c->sk.opts.max_pacing_bps = 1000;
    wi_tcp_pacing_limit(l.c);
    assert_int_equal(l.c->pacing_bps, 1000);
    assert_int_equal(wi_tcp_tso_segs(l.c, MSS), 1); /* slower than 1.2 Mbit/s: one segment at a time */
    rig_end(l.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bbr_startup_ends_when_bandwidth_stops_growing_and_drains),
        cmocka_unit_test(test_bbr_startup_goes_on_while_the_application_is_the_limit),
        cmocka_unit_test(test_bbr_startup_ends_by_loss_only_when_it_is_much),
        cmocka_unit_test(test_bbr_startup_ends_by_a_congestion_mark),
        cmocka_unit_test(test_bbr_peers_window_is_taken_for_a_slow_writer),
        cmocka_unit_test(test_bbr_loss_threshold_is_two_percent),
        cmocka_unit_test(test_bbr_cruise_loss_lowers_the_bounds_by_delivery_and_beta),
        cmocka_unit_test(test_bbr_cruise_mark_lowers_the_bounds_as_loss_does),
        cmocka_unit_test(test_bbr_refill_forgets_lower_bounds_and_leads_up),
        cmocka_unit_test(test_bbr_probes_after_as_many_rounds_as_reno_has_segments),
        cmocka_unit_test(test_bbr_up_with_too_much_loss_bounds_inflight_and_goes_down),
        cmocka_unit_test(test_bbr_up_with_little_loss_goes_on_and_raises_the_bound),
        cmocka_unit_test(test_bbr_up_with_a_mark_goes_down),
        cmocka_unit_test(test_bbr_inflight_at_loss_is_where_two_percent_were_passed),
        cmocka_unit_test(test_bbr_undo_restores_the_bounds),
        cmocka_unit_test(test_bbr_after_a_timeout_returns_to_its_window),
        cmocka_unit_test(test_bbr_probe_rtt_every_five_seconds_halves_inflight_and_returns),
        cmocka_unit_test(test_bbr_after_idle_paces_at_its_bandwidth_without_probing),
        cmocka_unit_test(test_bbr_info_tells_bandwidth_rtt_and_gains),
        cmocka_unit_test(test_bbr_paces_a_hundredth_below_its_bandwidth),
    };
    return cmocka_run_group_tests_name("tcp/bbr", tests, NULL, NULL);
}
