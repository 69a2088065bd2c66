/*
 * Peers without SACK, and what holds with and without: windows and dupacks (RFC 5681), NewReno (6582), the
 * retransmission timer's bounds (6298), R1 and R2 (9293 3.8.3), undo by timestamps (RFC 4015).
 */
#include "rig.h"

#define ISS (UINT32_MAX - 3500) /* the wrap lies within the first flight */
#define IRS 9

static uint32_t at(unsigned seg)
{
    return 1 + seg * MSS;
}

static void step(struct rig *r, unsigned ms)
{
    rig_until(r, r->core.now + WEIR_MS(ms));
}

static void dupacks(struct rig *r, uint32_t ack, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        rig_ack(r, ack);
        step(r, 2); /* later than a super-segment would be deferred for */
    }
}

/* Ten segments out, and `more` behind them. */
static struct wi_tcp_conn *ten_out(struct rig *r, unsigned opts, unsigned more)
{
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO | opts);
    rig_write(r, (10 + more) * MSS);
    step(r, 10);
    assert_int_equal(c->loss.packets_out, 10);
    rig_forget(r);
    return c;
}

static unsigned count_why(const struct rig *r, enum weir_why why)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->why_n; i++)
        n += r->whys[i] == why;
    return n;
}

/* ---- Growth ---- */

/* `rounds` times a whole window and its ACKs, one for each second segment. */
static void rounds(struct rig *r, unsigned n)
{
    struct wi_tcp_conn *c = r->c;
    while (n-- > 0) {
        rig_write(r, c->cwnd * MSS);
        step(r, 20);
        while (c->loss.packets_out) {
            uint32_t una = (uint32_t)wi_seq_diff(c->snd_una, (struct wi_seq){r->iss});
            rig_ack(r, una + (c->loss.packets_out > 1 ? 2 : 1) * MSS);
        }
        rig_forget(r);
    }
}

/* RFC 5681 3, 3.1: slow start doubles in a round trip at most, congestion avoidance adds one segment. Rows: 5681-3-a
 * 5681-3.1-h */
static void test_reno_grows_no_faster_than_the_standard(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO);
    rounds(r, 1);
    assert_int_equal(c->cwnd, 20);
    c->ssthresh = c->cwnd;
    rounds(r, 1);
    assert_in_range(c->cwnd, 20, 21);
    uint32_t before = c->cwnd;
    rounds(r, 5);
    assert_in_range(c->cwnd, before + 4, before + 5);
    rig_end(r);
}

/* RFC 5681 3.1: however large the window, each ACK counts: nothing is rounded to none. Rows: 5681-3.1-i */
static void test_reno_large_window_still_grows(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO);
    c->cwnd = c->ssthresh = 3000;
    c->is_cwnd_limited = true;
    struct wi_tcp_acked one = {.acked = 1};
    for (unsigned i = 0; i < 3000; i++)
        c->cc->avoid(c, &one);
    assert_int_equal(c->cwnd, 3001);
    rig_end(r);
}

/* RFC 5681 3.1: the path takes smaller segments only: the window is as many of them, so fewer bytes. Rows:
 * 5681-3.1-d */
static void test_reno_smaller_segments_shrink_the_window_in_proportion(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_SACK, 30);
    struct wi_net_error e = {.err = WEIR_EMSGSIZE, .mtu = 640, .type = 3, .code = 4};
    uint32_t before = c->cwnd;
    assert_int_equal(wi_tcp_icmp(c, &e, c->snd_una), WEIR_DROP_NONE);
    rig_flush(r);
    assert_int_equal(c->snd_mss, 600);
    assert_in_range(c->cwnd * c->snd_mss, 1, before * 600);
    assert_in_range(wi_tcp_in_flight(c) * c->snd_mss, 1, before * 600);
    rig_end(r);
}

/* ---- Dupacks ---- */

/* RFC 5681 3.2 (4): each further dupack says that a segment left, and new ones go. Rows: 5681-3.2-i */
static void test_newreno_further_dupacks_let_new_data_go(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, 0, 40);
    dupacks(r, 1, 3);
    assert_int_equal(count_why(r, WEIR_WHY_REXMIT_DUPACK), 1);
    unsigned before = r->pkt_n;
    dupacks(r, 1, 6);
    assert_in_range(r->pkt_n - before, 2, 4); /* PRR: half of what arrived, RFC 5681: up to ssthresh again */
    assert_in_range(wi_tcp_in_flight(c), 1, c->ssthresh + 1);
    rig_end(r);
}

/* RFC 3042: limited transmit sends at most two segments, and the window does not change. Rows: 5681-3.2-e */
static void test_newreno_limited_transmit_leaves_the_window(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, 0, 40);
    dupacks(r, 1, 2);
    assert_int_equal(r->pkt_n, 2);
    assert_int_equal(c->cwnd, 10);
    assert_int_equal(c->loss.packets_out, 12);
    rig_end(r);
}

/* RFC 6675 5, 5681 3.2: an ACK that moves the edge begins the count anew. Rows: 6675-5-b */
static void test_newreno_cumulative_ack_begins_the_count_anew(void **state)
{
    (void)state;
    static const unsigned opts[] = {0, RIG_SACK};
    for (unsigned i = 0; i < 2; i++) {
        struct rig *r = rig_new();
        r->core.sysctl.tcp_recovery = 0; /* DupThresh decides */
        struct wi_tcp_conn *c = ten_out(r, opts[i], 0);
        struct in dup = {.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = opts[i] ? 1 : 0};
        for (unsigned n = 1; n <= 2; n++) {
            dup.sacks[0][0] = at(1), dup.sacks[0][1] = at(1 + n);
            rig_in(r, dup);
            assert_int_equal(c->loss.dupacks, n);
        }
        rig_ack(r, at(3));
        assert_int_equal(c->loss.dupacks, 0);
        dup.ack = at(3);
        for (unsigned n = 1; n <= 2; n++) {
            dup.sacks[0][0] = at(4), dup.sacks[0][1] = at(4 + n);
            rig_in(r, dup);
        }
        assert_int_equal(r->pkt_n, 0);
        dup.sacks[0][1] = at(7);
        rig_in(r, dup);
        assert_int_equal(r->pkt_n, 1);
        assert_int_equal(rig_out(r, 0).seq, at(3));
        rig_end(r);
    }
}

/* ---- Recovery ---- */

/* RFC 6582 3.2 (2): dupacks for `recover` itself are the last episode's echoes. Rows: 6582-3.2-b */
static void test_newreno_dupacks_at_recover_start_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, 0, 0);
    dupacks(r, 1, 9);
    rig_ack(r, at(10)); /* all that was out, exactly */
    uint32_t ssthresh = c->ssthresh;
    rig_write(r, 5 * MSS);
    step(r, 5);
    rig_forget(r);
    dupacks(r, at(10), 4);
    assert_int_equal(c->loss.retrans_out, 0);
    assert_int_equal(c->ssthresh, ssthresh);
    for (unsigned i = 0; i < r->pkt_n; i++)
        assert_true(rig_out(r, i).seq >= at(10));
    rig_end(r);
}

/* RFC 5681 4.3: the next window loses as well: reduced twice. Rows: 5681-4.3-b */
static void test_newreno_loss_in_two_windows_reduces_twice(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, 0, 0);
    c->cwnd = 16;
    rig_write(r, 6 * MSS);
    dupacks(r, 1, 8);
    assert_int_equal(c->ssthresh, 8);
    rig_ack(r, at(16));
    rig_write(r, 10 * MSS);
    step(r, 5);
    rig_ack(r, at(17)); /* beyond recover: the episode is over */
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    uint32_t before = c->cwnd;
    dupacks(r, at(17), 4);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->ssthresh, before / 2);
    rig_end(r);
}

/* RFC 6582 3.2 (4), RFC 6675 5.1: a timeout ends fast recovery; up to what was sent by then no dupack or SACK begins
 * another, and ssthresh is not halved again. Rows: 6582-3.2-f 6675-5.1-a */
static void test_newreno_timeout_ends_recovery(void **state)
{
    (void)state;
    static const unsigned opts[] = {0, RIG_SACK};
    for (unsigned i = 0; i < 2; i++) {
        struct rig *r = rig_new();
        r->core.sysctl.tcp_early_retrans = r->core.sysctl.tcp_recovery = r->core.sysctl.tcp_frto = 0;
        struct wi_tcp_conn *c = ten_out(r, opts[i], 0);
        struct in dup = {.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = opts[i] ? 1 : 0, .sacks = {{at(1), at(4)}}};
        for (unsigned n = 0; n < 3; n++)
            rig_in(r, dup);
        assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
        step(r, 1500);
        assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
        assert_int_equal(c->loss.high_seq.v, c->snd_nxt.v);
        assert_int_equal(c->ssthresh, 5);
        dup.sacks[0][1] = at(8);
        for (unsigned n = 0; n < 5; n++)
            rig_in(r, dup);
        assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
        assert_int_equal(c->ssthresh, 5);
        rig_ack(r, at(9));
        assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
        rig_ack(r, at(10));
        rig_write(r, MSS);
        step(r, 5);
        rig_ack(r, at(11));
        assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
        rig_end(r);
    }
}

/* ---- Undo ---- */

/* RFC 4015 3.2, RFC 3522: the ACK echoes a timestamp from before the retransmission: the original came, nothing was
 * lost, the window comes back. */
static void test_newreno_echoed_timestamp_undoes_a_spurious_retransmission(void **state)
{
    (void)state;
    for (unsigned is_original = 0; is_original < 2; is_original++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO | RIG_TS);
        uint32_t mss = c->snd_mss;
        rig_write(r, 10 * mss);
        uint32_t sent = rig_out(r, 0).h.tsval;
        step(r, 20);
        rig_forget(r);
        struct in ack = {.seq = 1, .ack = 1, .flags = WI_TH_ACK, .ts = true, .tsval = 5, .tsecr = sent};
        for (unsigned n = 0; n < 3; n++)
            rig_in(r, ack);
        assert_int_equal(rig_out(r, 0).seq, 1);
        assert_int_equal(c->ssthresh, 5);
        uint32_t again = rig_out(r, 0).h.tsval;
        assert_int_not_equal(again, sent);
        step(r, 20);
        ack.ack = 1 + 9 * mss;
        ack.tsecr = is_original ? sent : again;
        rig_in(r, ack);
        assert_int_equal(c->ssthresh, is_original ? WI_TCP_SSTHRESH_INF : 5);
        assert_true(is_original ? c->cwnd >= 10 : c->cwnd <= 10);
        rig_end(r);
    }
}

/* ---- The timer ---- */

/* RFC 6298 2.5: the back-off ends at two minutes. Rows: 6298-2.5 */
static void test_rto_is_capped_at_two_minutes(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    rig_write(r, MSS);
    weir_ns gap = 0;
    for (weir_ns last = r->core.now; c->state == WEIR_TCP_ESTABLISHED; last = r->core.now) {
        rig_forget(r);
        rig_until(r, wi_wheel_deadline(&r->core.wheel));
        gap = r->core.now - last > gap ? r->core.now - last : gap;
    }
    assert_true(gap == WEIR_SEC(120));
    rig_end(r);
}

/* RFC 9293 3.8.3: R2 is 100 s at least, here 924.6 s (tcp_retries2 15), and counts in time: how many retransmissions
 * that are depends on the RTO. R1 (tcp_retries1) comes long before. Rows: SHLD-11 MUST-21 */
static void test_rto_r2_is_beyond_a_hundred_seconds(void **state)
{
    (void)state;
    static const int64_t retries2[] = {15, 8};
    for (unsigned i = 0; i < 2; i++) {
        struct rig *r = rig_new();
        r->core.sysctl.tcp_retries2 = retries2[i];
        struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
        wi_tcp_rtt_sample(c, 1000);
        rig_write(r, MSS);
        while (c->state == WEIR_TCP_ESTABLISHED) {
            rig_forget(r);
            rig_until(r, wi_wheel_deadline(&r->core.wheel));
        }
        weir_ns lived = r->core.now - RIG_START;
        assert_true(lived >= WEIR_SEC(100));
        assert_in_range(lived / WEIR_SEC(1), i ? 102 : 924, i ? 160 : 1060);
        rig_end(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reno_grows_no_faster_than_the_standard),
        cmocka_unit_test(test_reno_large_window_still_grows),
        cmocka_unit_test(test_reno_smaller_segments_shrink_the_window_in_proportion),
        cmocka_unit_test(test_newreno_further_dupacks_let_new_data_go),
        cmocka_unit_test(test_newreno_limited_transmit_leaves_the_window),
        cmocka_unit_test(test_newreno_cumulative_ack_begins_the_count_anew),
        cmocka_unit_test(test_newreno_dupacks_at_recover_start_nothing),
        cmocka_unit_test(test_newreno_loss_in_two_windows_reduces_twice),
        cmocka_unit_test(test_newreno_timeout_ends_recovery),
        cmocka_unit_test(test_newreno_echoed_timestamp_undoes_a_spurious_retransmission),
        cmocka_unit_test(test_rto_is_capped_at_two_minutes),
        cmocka_unit_test(test_rto_r2_is_beyond_a_hundred_seconds),
    };
    return cmocka_run_group_tests_name("tcp/newreno", tests, NULL, NULL);
}
