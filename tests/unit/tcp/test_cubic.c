/*
 * CUBIC (RFC 9438) and the ways out of slow start (RFC 9406, classic HyStart), by themselves: the test is the path. It
 * calls the controller as recovery.c does, ACK by ACK, in time that it makes pass.
 */
#include "rig.h"
#include <weir/socket.h>

#define ISS 100
#define IRS 200
#define RTT WEIR_MS(100)

static struct wi_tcp_conn *begin(struct rig **r)
{
    *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(*r, ISS, IRS, RIG_SACK);
    assert_string_equal(c->cc->name, "cubic");
    c->is_cwnd_limited = true;
    return c;
}

/* One ACK for `segs` segments after this RTT; what it lets go is sent. */
static void ack(struct wi_tcp_conn *c, uint32_t segs, weir_ns rtt)
{
    c->snd_una = wi_seq_add(c->snd_una, segs * MSS);
    struct wi_tcp_acked a = {.acked = segs, .in_flight = c->cwnd, .rtt_us = (int64_t)(rtt / 1000)};
    c->cc->acked(c, &a);
    c->cc->avoid(c, &a);
    c->snd_nxt = wi_seq_add(c->snd_una, c->cwnd * MSS);
}

/* A window is acknowledged, evenly over an RTT, `segs` segments by each ACK. */
static void round_of(struct wi_tcp_conn *c, weir_ns rtt, uint32_t segs)
{
    uint32_t n = (c->cwnd + segs - 1) / segs;
    for (uint32_t i = 0; i < n; i++) {
        c->sk.core->now += rtt / n;
        ack(c, segs, rtt);
    }
}

/* As recovery.c: the reduction, and the window after it. */
static void lose(struct wi_tcp_conn *c)
{
    c->loss.prior_cwnd = c->cwnd;
    c->ssthresh = c->cc->ssthresh(c);
    c->cwnd = c->ssthresh;
}

static double cube_root(double v)
{
    double x = 1;
    for (int i = 0; i < 200; i++)
        x -= (x * x * x - v) / (3 * x * x);
    return x;
}

/* RFC 9438 figure 1: C (t - K)^3 + W_max. */
static double oracle(double t, double w_max, double w_epoch)
{
    double k = cube_root((w_max - w_epoch) / 0.4);
    return 0.4 * (t - k) * (t - k) * (t - k) + w_max;
}

/* Follow the curve for some seconds and compare with the formula at each RTT. `worst`: segments beside it. */
static double follow(struct wi_tcp_conn *c, double w_max, double seconds, weir_ns rtt)
{
    double w_epoch = c->cwnd, worst = 0;
    weir_ns from = c->sk.core->now;
    while ((double)(c->sk.core->now - from) < seconds * 1e9) {
        round_of(c, rtt, 1);
        double t = (double)(c->sk.core->now - from) / 1e9, off = (double)c->cwnd - oracle(t, w_max, w_epoch);
        off = off < 0 ? -off : off;
        worst = off > worst ? off : worst;
    }
    return worst;
}

/* Concave up to W_max, the plateau, convex beyond: within one percent and a segment of the formula.
 * Rows: 9438-1 9438-5 9438-8 */
static void test_cubic_after_a_reduction_follows_the_formula(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->cwnd = 2000;
    lose(c);
    assert_int_equal(c->cwnd, 1400);
    assert_true(follow(c, 2000, 11, RTT) < 21); /* K is 11.4 s */
    assert_true(c->cwnd > 1979 && c->cwnd < 2001);
    c->cwnd = 2000;
    lose(c);
    assert_true(follow(c, 2000, 20, RTT) < 25);
    assert_true(c->cwnd > 2240 && c->cwnd < 2290); /* 0.4 (20 - 11.4)^3 above */
    rig_end(r);
}

/* Rows: 9438-2 */
static void test_cubic_reduction_keeps_seven_tenths_and_two_segments(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    static const uint32_t cases[][2] = {{100, 70}, {10, 7}, {4, 2}, {3, 2}, {2, 2}, {1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        c->cwnd = cases[i][0];
        assert_int_equal(c->cc->ssthresh(c), cases[i][1]);
    }
    rig_end(r);
}

/* However far the curve is above, a window of ACKs earns half a window at most. Rows: 9438-6 */
static void test_cubic_growth_is_bounded_by_half_a_window_an_rtt(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->cwnd = 100;
    lose(c);
    round_of(c, RTT, 1);
    r->core.now += WEIR_SEC(3600); /* ACKs stayed away; the curve did not */
    for (int i = 0; i < 5; i++) {
        uint32_t before = c->cwnd;
        round_of(c, RTT, 1);
        assert_true(c->cwnd > before && c->cwnd <= before + before / 2 + 1);
    }
    rig_end(r);
}

/* Idle time is taken out of the curve's time. Rows: 9438-7 */
static void test_cubic_idle_time_is_no_growth(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->cwnd = 1000;
    lose(c);
    follow(c, 1000, 9, RTT);
    uint32_t before = c->cwnd;
    c->last_send_at = r->core.now;
    r->core.now += WEIR_SEC(30);
    c->cc->event(c, WI_TCP_CC_TX_START);
    round_of(c, RTT, 1);
    assert_true(c->cwnd - before < 10); /* on the plateau; the curve of 39 s would be far above */
    rig_end(r);
}

/* Where the curve is slower than Reno, Reno's window by alpha 0.53 counts, and by 1 from the old window on.
 * Rows: 9438-9 9438-10 */
static void test_cubic_on_a_short_path_grows_as_reno(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->cwnd = 40;
    lose(c);
    assert_int_equal(c->cwnd, 28);
    unsigned rounds = 0;
    for (; c->cwnd < 40; rounds++)
        round_of(c, WEIR_MS(5), 1);
    assert_true(rounds >= 20 && rounds <= 25); /* 12 segments at 0.53 each */
    for (rounds = 0; c->cwnd < 52; rounds++)
        round_of(c, WEIR_MS(5), 1);
    assert_true(rounds >= 11 && rounds <= 15);
    rig_end(r);
}

/* Rows: 9438-11 */
static void test_cubic_second_loss_below_the_first_lowers_the_plateau(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    for (int fast = 1; fast >= 0; fast--) {
        c->cc->init(c);
        r->core.sysctl.cubic_fast_convergence = fast;
        c->cwnd = 2000;
        lose(c);
        lose(c); /* at 1400: the plateau is 1190 or 1400 */
        assert_int_equal(c->cwnd, 980);
        assert_true(follow(c, fast ? 1190 : 1400, fast ? 8 : 10, RTT) < 16);
    }
    rig_end(r);
}

/* After a timeout the curve begins anew, at the window that slow start ends with. Rows: 9438-12 */
static void test_cubic_after_a_timeout_forgets_the_old_plateau(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    r->core.sysctl.cubic_hystart = 0;
    c->cwnd = 1000;
    c->ssthresh = c->cc->ssthresh(c);
    c->cc->event(c, WI_TCP_CC_LOSS);
    c->cwnd = 1;
    for (int i = 0; c->cwnd < 700; i++) {
        assert_true(i < 11);
        round_of(c, RTT, 1);
    }
    for (int i = 0; i < 5; i++) {
        uint32_t before = c->cwnd;
        round_of(c, RTT, 1);
        assert_true(c->cwnd - before <= before / 20 + 1); /* 5 % an RTT at most while nothing better is known */
    }
    rig_end(r);
}

/* A reduction that was wrong is taken back with the curve that it interrupted. Rows: 9438-13 9438-14 */
static void test_cubic_undo_brings_the_curve_back(void **state)
{
    (void)state;
    struct rig *r;
    for (int by_timeout = 0; by_timeout < 2; by_timeout++) {
        struct wi_tcp_conn *c = begin(&r);
        c->cwnd = 2000;
        lose(c);
        follow(c, 2000, 5, RTT);
        uint32_t before = c->cwnd;
        lose(c);
        if (by_timeout) {
            c->cc->event(c, WI_TCP_CC_LOSS);
            c->cwnd = 1;
        }
        c->cwnd = c->cc->undo(c);
        assert_int_equal(c->cwnd, before);
        for (int i = 0; i < 60; i++)
            round_of(c, RTT, 1);
        double w = oracle(11, 2000, 1400);
        assert_true((double)c->cwnd > w - 21 && (double)c->cwnd < w + 21);
        rig_end(r);
    }
}

/* A hundred days of ACKs apart, a window of a million: nothing overflows (UBSan looks on). Rows: 9438-16 */
static void test_cubic_numbers_stay_in_range(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->cwnd = 1u << 20;
    lose(c);
    for (unsigned days = 1; days <= 100; days++) {
        uint32_t before = c->cwnd;
        r->core.now += WEIR_SEC(86400);
        ack(c, 1000, RTT);
        assert_true(c->cwnd >= before && c->cwnd - before <= 501);
    }
    rig_end(r);
}

/* Segments that the application did not fill earn nothing. Rows: 9438-18 9438-4 */
static void test_cubic_unused_window_does_not_grow(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->cwnd = 100;
    lose(c);
    c->is_cwnd_limited = false;
    c->max_packets_out = 10;
    for (int i = 0; i < 50; i++)
        round_of(c, RTT, 1);
    assert_int_equal(c->cwnd, 70);
    rig_end(r);
}

/* ---- Slow start's end ---- */

/* A window doubles each RTT, by one ACK for each segment or for many; ACKs for the same byte twice earn nothing more.
 * Rows: 9438-15 5681-3.1-a */
static void test_slow_start_doubles_by_segments_not_by_acks(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    static const uint32_t per_ack[] = {1, 2, 10};
    r->core.sysctl.cubic_hystart = 0;
    for (size_t k = 0; k < 3; k++) {
        c->cwnd = 10;
        c->ssthresh = WI_TCP_SSTHRESH_INF;
        c->cc->init(c);
        for (uint32_t w = 10; w <= 640; w *= 2) {
            assert_int_equal(c->cwnd, w);
            round_of(c, RTT, per_ack[k]);
        }
    }
    rig_end(r);
}

/* Rounds of one RTT, then of another, until slow start ends. How many? */
static unsigned rounds_until_exit(struct wi_tcp_conn *c, weir_ns first, weir_ns later, unsigned from, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        round_of(c, i < from ? first : later, 1);
        if (c->cwnd >= c->ssthresh)
            return i;
    }
    return most;
}

/* Linux's default: the least delay of a round is an eighth above the path's. */
static void test_hystart_by_delay_ends_slow_start_when_the_rtt_rises(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    r->core.sysctl.cubic_hystart_detect = 2;
    assert_int_equal(rounds_until_exit(c, RTT, RTT + WEIR_MS(14), 3, 6), 3);
    assert_true(c->ssthresh >= 80 && c->ssthresh < 100); /* eight samples of the fourth round */

    c->cc->init(c);
    c->cwnd = 10;
    c->ssthresh = WI_TCP_SSTHRESH_INF;
    assert_int_equal(rounds_until_exit(c, RTT, RTT + WEIR_MS(11), 3, 6), 6); /* 12.5 ms are noise */
    rig_end(r);
}

static void test_hystart_below_its_least_window_or_switched_off_does_nothing(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    r->core.sysctl.cubic_hystart = 0;
    assert_int_equal(rounds_until_exit(c, RTT, 2 * RTT, 2, 5), 5);
    r->core.sysctl.cubic_hystart = 1;
    r->core.sysctl.cubic_hystart_low_window = 1 << 20;
    c->cwnd = 10;
    c->cc->init(c);
    assert_int_equal(rounds_until_exit(c, RTT, 2 * RTT, 2, 5), 5);
    rig_end(r);
}

/* ACKs less than 2 ms apart for more than half of the path's delay: the bottleneck is busy. Paced, all of it. */
static void test_hystart_by_ack_train_ends_slow_start_at_half_the_path(void **state)
{
    (void)state;
    struct rig *r;
    for (int is_paced = 0; is_paced < 2; is_paced++) {
        struct wi_tcp_conn *c = begin(&r);
        r->core.sysctl.cubic_hystart_detect = 1;
        c->sk.opts.max_pacing_bps = is_paced ? 1000000000 : UINT64_MAX;
        c->cwnd = 200;
        c->snd_nxt = wi_seq_add(c->snd_nxt, 1000000);
        c->cc->init(c); /* a round without end */
        ack(c, 1, RTT);
        unsigned ms = 0;
        for (; c->cwnd < c->ssthresh && ms < 200; ms++) {
            r->core.now += WEIR_MS(1);
            ack(c, 1, RTT);
        }
        assert_true(is_paced ? ms >= 100 && ms < 104 : ms >= 50 && ms < 53);
        rig_end(r);
    }
}

/* RFC 9406: a rise begins five rounds at a quarter of the growth; then slow start is over. */
static void test_hystart_plus_plus_goes_on_slowly_for_five_rounds(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    r->core.sysctl.cubic_hystart_detect = 4;
    assert_int_equal(rounds_until_exit(c, RTT, RTT + WEIR_MS(14), 3, 4), 4);
    assert_int_equal(c->ssthresh, WI_TCP_SSTHRESH_INF);
    uint32_t w = c->cwnd;
    assert_int_equal(rounds_until_exit(c, RTT, RTT + WEIR_MS(14), 0, 1), 1);
    assert_true(c->cwnd >= w + w / 4 - 1 && c->cwnd <= w + w / 4 + 1);
    assert_int_equal(rounds_until_exit(c, RTT, RTT + WEIR_MS(14), 0, 8), 3); /* the first was a part of a round */
    assert_int_equal(c->ssthresh < WI_TCP_SSTHRESH_INF, true);
    rig_end(r);
}

static void test_hystart_plus_plus_resumes_when_the_delay_was_noise(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    r->core.sysctl.cubic_hystart_detect = 4;
    (void)rounds_until_exit(c, RTT, RTT + WEIR_MS(14), 3, 5);
    uint32_t w = c->cwnd;
    (void)rounds_until_exit(c, RTT, RTT, 0, 2);
    assert_true(c->cwnd > 3 * w);
    assert_int_equal(rounds_until_exit(c, RTT, RTT, 0, 2), 2);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cubic_after_a_reduction_follows_the_formula),
        cmocka_unit_test(test_cubic_reduction_keeps_seven_tenths_and_two_segments),
        cmocka_unit_test(test_cubic_growth_is_bounded_by_half_a_window_an_rtt),
        cmocka_unit_test(test_cubic_idle_time_is_no_growth),
        cmocka_unit_test(test_cubic_on_a_short_path_grows_as_reno),
        cmocka_unit_test(test_cubic_second_loss_below_the_first_lowers_the_plateau),
        cmocka_unit_test(test_cubic_after_a_timeout_forgets_the_old_plateau),
        cmocka_unit_test(test_cubic_undo_brings_the_curve_back),
        cmocka_unit_test(test_cubic_numbers_stay_in_range),
        cmocka_unit_test(test_cubic_unused_window_does_not_grow),
        cmocka_unit_test(test_slow_start_doubles_by_segments_not_by_acks),
        cmocka_unit_test(test_hystart_by_delay_ends_slow_start_when_the_rtt_rises),
        cmocka_unit_test(test_hystart_below_its_least_window_or_switched_off_does_nothing),
        cmocka_unit_test(test_hystart_by_ack_train_ends_slow_start_at_half_the_path),
        cmocka_unit_test(test_hystart_plus_plus_goes_on_slowly_for_five_rounds),
        cmocka_unit_test(test_hystart_plus_plus_resumes_when_the_delay_was_noise),
    };
    return cmocka_run_group_tests_name("tcp/cubic", tests, NULL, NULL);
}
