/*
 * Pacing: when segments leave, and what is not held back. SO_MAX_PACING_RATE, tcp_pacing_ss_ratio and
 * tcp_pacing_ca_ratio, net.core.default_qdisc.
 */
#include "rig.h"

#define RATE 1000000u /* bytes a second: a segment of the rig's MSS each millisecond */

/* Departures since the last rig_forget: when, how many bytes. */
struct departures {
    weir_ns at[OUT_MAX];
    uint32_t bytes[OUT_MAX];
    unsigned n;
};

/* Let time pass timer by timer, and note what leaves. */
static void watch(struct rig *r, weir_ns until, struct departures *d)
{
    d->n = 0;
    unsigned seen = 0;
    for (;;) {
        for (; seen < r->pkt_n; seen++) {
            d->at[d->n] = r->core.now;
            d->bytes[d->n++] = rig_out(r, seen).len;
        }
        weir_ns due = wi_wheel_deadline(&r->core.wheel);
        if (due > until)
            break;
        rig_until(r, due > r->core.now ? due : r->core.now + 1);
    }
    rig_until(r, until);
}

/* An established connection whose RTT is 100 ms, limited to RATE, with the ten unpaced segments behind it. */
static struct wi_tcp_conn *begin(struct rig **r, uint64_t rate)
{
    *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(*r, 1, 1, RIG_SACK);
    c->sk.opts.max_pacing_bps = rate;
    wi_tcp_pacing_limit(c);
    c->rtt.min_us = 100000;
    rig_write(*r, 10 * MSS);
    rig_until(*r, (*r)->core.now + WEIR_MS(100));
    rig_ack(*r, 1 + 10 * MSS);
    rig_until(*r, (*r)->core.now + WEIR_MS(100));
    rig_forget(*r);
    c->cwnd = 200;
    c->rtt.min_us = 100000;
    wi_tcp_pacing_update(c);
    return c;
}

static void test_pacing_first_ten_segments_leave_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, 1, 1, RIG_SACK);
    c->sk.opts.max_pacing_bps = RATE;
    wi_tcp_pacing_limit(c);
    rig_write(r, 10 * MSS);
    uint32_t bytes = 0;
    for (unsigned i = 0; i < r->pkt_n; i++)
        bytes += rig_out(r, i).len;
    assert_int_equal(bytes, 10 * MSS);
    rig_end(r);
}

/* Two segments (tcp_min_tso_segs) each two milliseconds, to the nanosecond. */
static void test_pacing_spaces_departures_by_the_rate(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, RATE);
    struct departures d;
    rig_write(r, 40 * MSS);
    assert_int_equal(r->pkt_n, 1); /* the rest waits */
    assert_true(wi_timer_armed(&c->timer_pace));
    watch(r, r->core.now + WEIR_MS(99), &d);
    assert_int_equal(d.n, 20);
    for (unsigned i = 0; i < d.n; i++) {
        assert_int_equal(d.bytes[i], 2 * MSS);
        if (i)
            assert_true(d.at[i] - d.at[i - 1] == (i == 1 ? WEIR_MS(1) : WEIR_MS(2))); /* the first after a pause */
    }
    rig_end(r);
}

/* What a millisecond carries is one super-segment; on a very short path more. Linux's tcp_tso_autosize. */
static void test_pacing_quantum_is_a_millisecond_of_the_rate(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, RATE);
    static const struct {
        uint64_t rate;
        uint32_t min_rtt_us, segs;
    } cases[] = {
        {1000000, 100000, 2},     {10240000, 100000, 10}, {20480000, 100000, 20},
        {1000000000, 100000, 65}, {1000000, 400, 65},     {1000000, 600, 33},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        c->pacing_bps = cases[i].rate;
        c->rtt.min_us = cases[i].min_rtt_us;
        uint32_t max = 65215 / MSS;
        assert_int_equal(wi_tcp_tso_segs(c, MSS), cases[i].segs < max ? cases[i].segs : max);
    }
    r->core.sysctl.tcp_tso_rtt_log = 8; /* as if the path were twice as long */
    assert_int_equal(wi_tcp_tso_segs(c, MSS), 17);
    r->core.sysctl.tcp_tso_rtt_log = 0; /* for no path there is */
    assert_int_equal(wi_tcp_tso_segs(c, MSS), 2);
    rig_end(r);
}

/* Reno and CUBIC send what the window allows, at once. */
static void test_pacing_is_off_unless_asked_for(void **state)
{
    (void)state;
    for (unsigned opts = RIG_SACK; opts <= (RIG_SACK | RIG_RENO); opts += RIG_RENO) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = rig_establish(r, 1, 1, opts);
        wi_tcp_rtt_sample(c, 100000);
        c->cwnd = 40;
        wi_tcp_pacing_update(c);
        assert_true(c->pacing_bps < UINT64_MAX); /* it is known, for tcpi_pacing_rate and the size of super-segments */
        rig_write(r, 40 * MSS);
        assert_int_equal(c->loss.packets_out, 40);
        assert_false(wi_timer_armed(&c->timer_pace));
        rig_end(r);
    }
}

/* fq on Linux's device paces every connection at the window's rate. */
static void test_pacing_of_everything_follows_the_window(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, UINT64_MAX);
    assert_int_equal(wi_sysctl_set(&r->core.sysctl, "default_qdisc", "fq"), 0);
    c->rtt.srtt_us8 = 8 * 100000;
    c->cwnd = 20;
    c->ssthresh = 20;
    wi_tcp_pacing_update(c);
    assert_int_equal(c->pacing_bps, 20 * MSS * 10 * 120 / 100);
    struct departures d;
    rig_write(r, 20 * MSS);
    watch(r, r->core.now + WEIR_MS(99), &d);
    assert_true(d.n == 10 && d.at[9] - d.at[1] > WEIR_MS(60) && d.at[9] - d.at[1] < WEIR_MS(84));
    rig_end(r);
}

/* Twice the window an RTT in slow start, 1.2 times it from half of ssthresh on; never above the user's limit. */
static void test_pacing_rate_follows_window_rtt_and_ratios(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, UINT64_MAX);
    c->rtt.srtt_us8 = 8 * 50000;
    c->cwnd = 100;
    c->loss.packets_out = 0;
    c->ssthresh = 201 * 2;
    wi_tcp_pacing_update(c);
    assert_int_equal(c->pacing_bps, 100 * MSS * 20 * 2);
    c->ssthresh = 200;
    wi_tcp_pacing_update(c);
    assert_int_equal(c->pacing_bps, 100 * MSS * 20 * 12 / 10);
    r->core.sysctl.tcp_pacing_ca_ratio = 150;
    wi_tcp_pacing_update(c);
    assert_int_equal(c->pacing_bps, 100 * MSS * 20 * 15 / 10);
    c->sk.opts.max_pacing_bps = 1000;
    wi_tcp_pacing_update(c);
    assert_int_equal(c->pacing_bps, 1000);
    rig_end(r);
}

/* The limit taken away lets go at once what was held; 0 holds nothing back (Linux). */
static void test_pacing_limit_taken_away_releases_what_waits(void **state)
{
    (void)state;
    static const uint64_t rates[] = {UINT64_MAX, 0};
    for (size_t i = 0; i < 2; i++) {
        struct rig *r;
        struct wi_tcp_conn *c = begin(&r, RATE);
        rig_write(r, 40 * MSS);
        assert_true(c->loss.packets_out < 40);
        c->sk.opts.max_pacing_bps = rates[i];
        wi_tcp_pacing_limit(c);
        rig_flush(r);
        assert_int_equal(c->loss.packets_out, 40);
        assert_false(wi_timer_armed(&c->timer_pace));
        rig_end(r);
    }
}

/* A timer that comes late costs no rate: what follows is nearer by up to half of its time. */
static void test_pacing_late_timer_is_made_up_for(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, RATE);
    rig_write(r, 40 * MSS);
    c->pace_at = r->core.now;
    r->core.now += WEIR_US(500);
    wi_tcp_pace_sent(c, 2 * MSS);
    assert_true(c->pace_at == r->core.now + WEIR_US(1500));
    r->core.now = c->pace_at + WEIR_SEC(1);
    wi_tcp_pace_sent(c, 2 * MSS);
    assert_true(c->pace_at == r->core.now + WEIR_MS(1));
    rig_end(r);
}

/* An ACK never waits for its turn. */
static void test_pacing_does_not_hold_acks(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, 10000); /* 200 ms for two segments */
    rig_write(r, 10 * MSS);
    rig_forget(r);
    assert_true(c->pace_at > r->core.now);
    rig_in(r, (struct in){.seq = 1, .ack = 1 + 10 * MSS, .flags = WI_TH_ACK, .len = MSS});
    rig_in(r, (struct in){.seq = 1 + MSS, .ack = 1 + 10 * MSS, .flags = WI_TH_ACK, .len = MSS});
    assert_true(r->pkt_n >= 1);
    expect_out(r, r->pkt_n - 1, WI_TH_ACK, rig_out(r, r->pkt_n - 1).seq, 0);
    rig_end(r);
}

/* Retransmissions wait for their turn too: many losses are no reason for a burst. */
static void test_pacing_spaces_retransmissions(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, RATE);
    struct departures d;
    rig_write(r, 40 * MSS);
    rig_until(r, r->core.now + WEIR_MS(100));
    assert_int_equal(c->loss.packets_out, 40);
    rig_forget(r);
    rig_in(
        r,
        (struct in){
            .seq = 1, .ack = 1 + 10 * MSS, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{1 + 30 * MSS, 1 + 50 * MSS}}});
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    watch(r, r->core.now + WEIR_MS(40), &d);
    assert_true(d.n >= 8);
    for (unsigned i = 2; i < d.n; i++)
        assert_true(d.at[i] - d.at[i - 1] >= WEIR_MS(1));
    rig_end(r);
}

/* The persist timer has nothing to do while the pace is what holds. */
static void test_pacing_held_data_is_no_closed_window(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r, 1000);
    rig_write(r, 2 * MSS);
    rig_ack(r, 1 + 12 * MSS);
    rig_write(r, 2 * MSS);
    assert_true(wi_timer_armed(&c->timer_pace));
    assert_true(c->rtx_kind != WEIR_TIMER_PERSIST || !wi_timer_armed(&c->timer_rtx));
    rig_until(r, r->core.now + WEIR_SEC(2));
    assert_int_equal(c->sndq.send_head == NULL, 1);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pacing_first_ten_segments_leave_at_once),
        cmocka_unit_test(test_pacing_spaces_departures_by_the_rate),
        cmocka_unit_test(test_pacing_quantum_is_a_millisecond_of_the_rate),
        cmocka_unit_test(test_pacing_is_off_unless_asked_for),
        cmocka_unit_test(test_pacing_of_everything_follows_the_window),
        cmocka_unit_test(test_pacing_rate_follows_window_rtt_and_ratios),
        cmocka_unit_test(test_pacing_limit_taken_away_releases_what_waits),
        cmocka_unit_test(test_pacing_late_timer_is_made_up_for),
        cmocka_unit_test(test_pacing_does_not_hold_acks),
        cmocka_unit_test(test_pacing_spaces_retransmissions),
        cmocka_unit_test(test_pacing_held_data_is_no_closed_window),
    };
    return cmocka_run_group_tests_name("tcp/pace", tests, NULL, NULL);
}
