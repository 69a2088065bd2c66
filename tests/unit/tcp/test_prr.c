/*
 * How the window falls and what is sent meanwhile: proportional rate reduction (RFC 6937, 9937), NewReno's recover
 * (6582), the scoreboard against a bitmap (6675), Reno against a model of itself (5681).
 */
#include "rig.h"

#define ISS (UINT32_MAX - 3000) /* the wrap lies within the first flight */
#define IRS 9

static uint32_t at(unsigned seg)
{
    return 1 + seg * MSS;
}

static void sack(struct rig *r, uint32_t ack, unsigned lo, unsigned hi)
{
    rig_in(r, (struct in){.seq = 1, .ack = ack, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{at(lo), at(hi)}}});
}

/* `n` segments are out for 10 ms, as many again wait, and the window is full. */
static struct wi_tcp_conn *flight(struct rig *r, unsigned opts, uint32_t n)
{
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, opts);
    c->cwnd = n;
    rig_write(r, n * MSS);
    rig_until(r, r->core.now + WEIR_MS(10));
    assert_int_equal(c->loss.packets_out, n);
    assert_true(c->is_cwnd_limited);
    rig_write(r, 2 * n * MSS);
    rig_forget(r);
    return c;
}

/* Segments sent since the last time that this was asked. */
static uint32_t sent_now(struct rig *r)
{
    uint32_t segs = 0;
    for (unsigned i = 0; i < r->pkt_n; i++)
        segs += (rig_out(r, i).len + MSS - 1) / MSS;
    rig_forget(r);
    return segs;
}

/* ---- PRR ---- */

/* One of 20 is lost: for each two that arrive one is sent, and ssthresh of them in all. Rows: 6937-3-b 6675-5-e */
static void test_prr_sends_in_proportion_and_ssthresh_in_all(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK | RIG_RENO, 20);
    uint32_t sent = 0;
    for (unsigned i = 2; i <= 20; i++) {
        sack(r, 1, 1, i);
        if (c->loss.ca == WI_TCP_CA_RECOVERY) {
            sent += sent_now(r);
            assert_int_equal(c->ssthresh, 10);
            assert_int_equal(sent, c->loss.prr_out);
            uint32_t due = (c->loss.prr_delivered * 10 + 19) / 20;
            assert_true(sent == due || wi_tcp_in_flight(c) == 10);
            assert_int_equal(wi_tcp_in_flight(c), c->cwnd); /* all of the room is used */
            assert_true(c->cwnd >= 10);
        } else {
            rig_forget(r);
        }
    }
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_ack(r, at(22)); /* all that was out when it began */
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_int_equal(c->cwnd, 10);
    rig_end(r);
}

/* 15 of 20 are lost: as long as the board shows no progress of snd_una, no more is sent than arrives; with it, one
 * more. Rows: 6937-3-c 9937-a */
static void test_prr_below_ssthresh_conserves_packets_until_acks_are_safe(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK | RIG_RENO, 20);
    r->core.sysctl.tcp_recovery = 0;
    sack(r, 1, 15, 16);
    sack(r, 1, 15, 17);
    rig_forget(r);
    sack(r, 1, 15, 18);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->ssthresh, 10);
    for (unsigned i = 19; i <= 20; i++) {
        rig_forget(r);
        sack(r, 1, 15, i);
        assert_true(wi_tcp_in_flight(c) <= c->ssthresh);
        assert_true(sent_now(r) <= 1);
    }
    uint32_t out = 0;
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_forget(r);
    for (unsigned i = 1; i <= 4; i++) { /* retransmissions arrive, nothing else is lost */
        sack(r, at(i), 15, 20);
        out += sent_now(r);
        assert_true(wi_tcp_in_flight(c) <= c->ssthresh);
    }
    assert_true(out >= 6 && out <= 8);
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_ack(r, at(20));
    rig_end(r);
}

/* A second episode begins with fresh counters, and reduces again. Rows: 6937-3-a 5681-3.2-j 5681-4.3-b */
static void test_prr_next_window_starts_afresh_and_reduces_again(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK | RIG_RENO, 20);
    uint32_t ssthresh = 20, una = 0;
    for (unsigned episode = 0; episode < 2; episode++) {
        for (unsigned i = 2; i <= 4; i++)
            sack(r, at(una), una + 1, una + i);
        assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
        ssthresh /= 2;
        assert_int_equal(c->ssthresh, ssthresh);
        assert_true(c->loss.prr_delivered == 1 && c->loss.prr_out == 1);
        rig_until(r, r->core.now + WEIR_MS(10));
        rig_ack(r, c->snd_nxt.v - r->iss);
        una = (c->snd_una.v - r->iss - 1) / MSS;
        assert_true(c->cwnd >= ssthresh && c->cwnd <= ssthresh + 2); /* the last ACK earns congestion avoidance */
        c->cwnd = ssthresh;
        rig_until(r, r->core.now + WEIR_MS(10));
        rig_forget(r);
    }
    rig_end(r);
}

/* With every other ACK lost, what was delivered is what arrived, each once. Rows: 6937-3-d */
static void test_prr_delivered_counts_each_segment_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK, 20);
    uint32_t before = c->delivered;
    sack(r, 1, 1, 3);
    assert_int_equal(c->delivered - before, 2);
    sack(r, 1, 1, 3); /* nothing new */
    assert_int_equal(c->delivered - before, 2);
    sack(r, 1, 1, 7); /* the ACKs between were lost */
    assert_int_equal(c->delivered - before, 6);
    rig_until(r, r->core.now + WEIR_MS(10));
    sack(r, at(9), 11, 14); /* 0, 7 and 8 beside what was SACKed; and three more */
    assert_int_equal(c->delivered - before, 12);
    rig_ack(r, at(20));
    assert_int_equal(c->delivered - before, 20);
    rig_end(r);
}

/* ---- NewReno ---- */

/* The first window's dupacks count: recover begins below it. A timeout in recovery ends that, and dupacks for what was
 * out before neither begin another nor reduce again. Rows: 6582-3.2-a 6582-3.2-b 6582-3.2-f */
static void test_newreno_dupacks_below_recover_reduce_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_RENO, 10);
    for (int i = 0; i < 3; i++)
        rig_ack(r, 1);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->ssthresh, 5);
    rig_until(r, r->core.now + WEIR_SEC(2)); /* the retransmission is lost: RTO */
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    uint32_t ssthresh = c->ssthresh;
    assert_true(wi_seq_eq(c->loss.high_seq, c->snd_nxt));
    rig_ack(r, at(2));
    rig_forget(r);
    for (int i = 0; i < 5; i++)
        rig_ack(r, at(2));
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_int_equal(c->ssthresh, ssthresh);
    rig_end(r);
}

/* However many dupacks: no more leaves than was outstanding. Rows: 5681-3.2-i */
static void test_newreno_flood_of_dupacks_sends_no_more_than_was_out(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_RENO, 10);
    uint32_t sent = 0;
    for (int i = 0; i < 10000; i++) {
        rig_ack(r, 1);
        sent += sent_now(r);
    }
    assert_true(sent <= 11);
    assert_true(wi_tcp_in_flight(c) <= 10);
    rig_end(r);
}

/* Congestion avoidance counts segments, not ACKs: ten ACKs for one segment's bytes earn what one does, a window a
 * segment more, and a window of a million still grows. Rows: 5681-3.1-h 5681-3.1-i */
static void test_reno_avoidance_grows_a_segment_a_window(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_RENO, 20);
    c->ssthresh = 10;
    for (unsigned i = 0; i < 19; i++)
        for (unsigned k = 1; k <= 10; k++)
            rig_ack(r, at(i) + k * (MSS / 10));
    assert_int_equal(c->cwnd, 20);
    rig_ack(r, at(20));
    assert_int_equal(c->cwnd, 21);
    c->cwnd = 1000000;
    c->is_cwnd_limited = true;
    struct wi_tcp_acked one = {.acked = 1000, .in_flight = 1000000, .rtt_us = -1};
    for (int i = 0; i < 1000; i++)
        c->cc->avoid(c, &one);
    assert_int_equal(c->cwnd, 1000001);
    rig_end(r);
}

/* Against a model in bytes, through a thousand windows of which some lose: never above it. Rows: 5681-3-a */
static void test_reno_is_never_above_its_model(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_RENO, 10);
    double cwnd = 10, ssthresh = 1e9;
    c->cwnd = 10;
    c->ssthresh = WI_TCP_SSTHRESH_INF;
    uint32_t seed = 1;
    for (int acks = 0; acks < 100000; acks++) {
        seed = seed * 1664525u + 1013904223u;
        if (seed >> 16 < 200) {
            ssthresh = cwnd / 2 > 2 ? cwnd / 2 : 2;
            cwnd = ssthresh;
            c->loss.prior_cwnd = c->cwnd;
            c->ssthresh = c->cwnd = c->cc->ssthresh(c);
            c->cwnd_cnt = 0;
        }
        uint32_t n = 1 + (seed >> 8) % 2;
        struct wi_tcp_acked a = {.acked = n, .in_flight = c->cwnd, .rtt_us = -1};
        c->is_cwnd_limited = true;
        c->cc->avoid(c, &a);
        for (uint32_t i = 0; i < n; i++)
            cwnd += cwnd < ssthresh ? 1 : 1 / cwnd;
        assert_true((double)c->cwnd <= cwnd + 1);
    }
    rig_end(r);
}

/* cwnd is in segments, so that smaller ones make it fewer bytes. Rows: 5681-3.1-d */
static void test_window_in_bytes_shrinks_with_the_mss(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK, 20);
    uint64_t bytes = (uint64_t)c->cwnd * c->snd_mss;
    wi_tcp_mtu_reduced(c, 576);
    rig_flush(r);
    assert_int_equal(c->snd_mss, 536);
    assert_true((uint64_t)c->cwnd * c->snd_mss <= bytes * 536 / MSS + 536);
    rig_end(r);
}

/* ---- The scoreboard ---- */

#define WINDOW 40u

/* What the peer told, segment by segment. */
struct oracle {
    bool sacked[WINDOW];
    uint32_t una;
};

static void compare(const struct wi_tcp_conn *c, const struct oracle *o)
{
    uint32_t sacked = 0, pipe = 0, segs = 0;
    for (uint32_t i = o->una; i < WINDOW; i++)
        sacked += o->sacked[i];
    assert_int_equal(c->loss.sacked_out, sacked);
    for (const struct wi_tcp_rec *rec = wi_tcp_rec_head_sent(c); rec; rec = wi_tcp_rec_next_sent(c, rec)) {
        uint32_t first = ((uint32_t)wi_seq_diff(rec->seq, (struct wi_seq){ISS}) - 1) / MSS;
        for (uint32_t i = 0; i < rec->segs && first + i < WINDOW; i++, segs++) {
            assert_int_equal((rec->marks & WI_TCP_REC_SACKED) != 0, o->sacked[first + i]);
            if (!(rec->marks & (WI_TCP_REC_SACKED | WI_TCP_REC_LOST)))
                pipe++;
            if (rec->marks & WI_TCP_REC_RETRANS)
                pipe++;
        }
    }
    assert_int_equal(segs, WINDOW - o->una);
    assert_int_equal(wi_tcp_in_flight(c), pipe);
}

/* Random blocks and ACKs; after each the board says of every segment what a bitmap says, and the pipe is RFC 6675's.
 * Rows: 6675-4-a 6675-4-d */
static void test_scoreboard_is_a_bitmap(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (unsigned run = 0; run < 100; run++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK | RIG_RENO);
        r->core.sysctl.tcp_recovery = run % 2;
        c->cwnd = WINDOW;
        rig_write(r, WINDOW * MSS);
        rig_until(r, r->core.now + WEIR_MS(10));
        struct oracle o = {.una = 0};
        for (unsigned step = 0; step < 20; step++) {
            seed = seed * 1664525u + 1013904223u;
            uint32_t from = o.una + 1 + (seed >> 20) % (WINDOW - o.una), len = 1 + (seed >> 12) % 5;
            if (seed >> 30 == 0 && o.una + 1 < WINDOW && !o.sacked[o.una]) {
                o.una += 1;
                while (o.una < WINDOW && o.sacked[o.una])
                    o.una++;
            }
            if (o.una + 1 >= WINDOW)
                break;
            from = from > o.una ? from : o.una + 1;
            uint32_t to = from + len < WINDOW ? from + len : WINDOW;
            if (from >= to)
                continue;
            for (uint32_t i = from; i < to; i++)
                o.sacked[i] = true;
            r->core.now += WEIR_US(10);
            sack(r, at(o.una), from, to);
            rig_forget(r);
            compare(c, &o);
        }
        rig_end(r);
    }
}

/* A cumulative ACK begins the count anew. Rows: 6675-5-b */
static void test_scoreboard_cumulative_ack_resets_the_dupacks(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK | RIG_RENO, 10);
    r->core.sysctl.tcp_recovery = 0;
    sack(r, 1, 1, 2);
    sack(r, 1, 1, 3);
    rig_ack(r, at(3));
    sack(r, at(3), 4, 5);
    assert_int_equal(c->total_retrans, 0);
    assert_true(c->loss.ca <= WI_TCP_CA_DISORDER);
    rig_end(r);
}

/* After a timeout no new episode begins, and nothing is reduced again, below what was out then. Rows: 6675-5.1-a */
static void test_scoreboard_after_a_timeout_dupacks_reduce_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_early_retrans = 0;
    r->core.sysctl.tcp_frto = 0;
    struct wi_tcp_conn *c = flight(r, RIG_SACK | RIG_RENO, 10);
    rig_until(r, r->core.now + WEIR_MS(1200));
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_int_equal(c->ssthresh, 5);
    for (unsigned i = 3; i < 8; i++) {
        r->core.now += WEIR_MS(1);
        sack(r, at(1), 3, i + 1);
    }
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_int_equal(c->ssthresh, 5);
    rig_end(r);
}

/* What is left of a super-segment whose first half arrived left together with that: it is not lost for that. */
static void test_scoreboard_rest_of_a_super_segment_is_not_lost(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK, 20);
    c->ecn.mode = WI_TCP_ECN_CLASSIC; /* so that each ACK is looked at twice */
    for (unsigned i = 1; i <= 19; i++) {
        c->rtt.min_us = 0; /* no time for reordering */
        rig_in(r, (struct in){.seq = 1, .ack = at(i), .flags = WI_TH_ACK | WI_TH_ECE});
        assert_int_equal(c->loss.lost_out, 0);
        assert_int_equal(c->loss.ca, WI_TCP_CA_CWR);
    }
    assert_int_equal(c->total_retrans, 0);
    rig_end(r);
}

/* The first hole is lost, the second may still come: its timer outlives the first one's retransmission. */
static void test_scoreboard_reordering_timer_outlives_a_retransmission(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    c->rtt.min_us = 100000;
    rig_write(r, MSS);
    rig_until(r, r->core.now + WEIR_MS(50));
    rig_write(r, 4 * MSS);
    rig_until(r, r->core.now + WEIR_MS(100));
    rig_forget(r);
    c->rtt.min_us = 100000;
    sack(r, 1, 2, 3);
    expect_out(r, 0, WI_TH_ACK | WI_TH_PSH, at(0), MSS);
    assert_int_equal(c->loss.lost_out, 1);
    assert_true(wi_timer_armed(&c->timer_rtx) && c->rtx_kind == WEIR_TIMER_REORDER);
    rig_until(r, r->core.now + WEIR_MS(30));
    assert_int_equal(c->loss.lost_out, 2);
    assert_int_equal(c->total_retrans, 2);
    rig_end(r);
}

/* ---- CUBIC's reductions by the stack ---- */

/* By loss and by ECN alike: 0.7 of the window, at least two segments, once for all marks of a window.
 * Rows: 9438-3 9438-17 */
static void test_cubic_loss_or_marks_reduce_once_to_seven_tenths(void **state)
{
    (void)state;
    for (int by_ecn = 0; by_ecn < 2; by_ecn++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = flight(r, RIG_SACK, 20);
        c->ecn.mode = by_ecn ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_NONE;
        for (unsigned i = 1; i <= 10; i++) {
            if (by_ecn)
                rig_in(r, (struct in){.seq = 1, .ack = at(i), .flags = WI_TH_ACK | WI_TH_ECE});
            else
                sack(r, 1, 1, 1 + i);
        }
        assert_int_equal(c->loss.ca, by_ecn ? WI_TCP_CA_CWR : WI_TCP_CA_RECOVERY);
        assert_int_equal(c->ssthresh, 14);
        rig_until(r, r->core.now + WEIR_MS(10));
        rig_ack(r, c->snd_nxt.v - r->iss);
        rig_until(r, r->core.now + WEIR_MS(10));
        rig_ack(r, c->snd_nxt.v - r->iss);
        assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
        assert_true(c->cwnd >= 14 && c->cwnd <= 16);
        assert_int_equal(c->ssthresh, 14);
        rig_end(r);
    }
}

/* ---- Undo ---- */

/* All retransmissions were duplicates: recovery ends at once, with the window of before. */
static void test_undo_by_dsack_ends_recovery_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, RIG_SACK, 20);
    for (unsigned i = 2; i <= 4; i++)
        sack(r, 1, 1, i);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    rig_until(r, r->core.now + WEIR_MS(5));
    rig_ack(r, at(4));
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    sack(r, at(4), 0, 1); /* the original was only late: all four arrived, the first of them twice */
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_int_equal(c->cwnd, 20);
    rig_end(r);
}

/* The retransmission after a timeout is lost as well: a second reduction. Rows: 5681-4.3-b */
static void test_loss_of_a_retransmission_reduces_again(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_early_retrans = 0;
    r->core.sysctl.tcp_frto = 0;
    struct wi_tcp_conn *c = flight(r, RIG_SACK | RIG_RENO, 20);
    rig_until(r, r->core.now + WEIR_MS(1200));
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_int_equal(c->ssthresh, 10);
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_ack(r, at(1)); /* the first arrives, the next two leave */
    r->core.now += WEIR_MS(10);
    c->cwnd = 8;
    sack(r, at(1), 2, 3); /* the third arrives, the second does not */
    rig_until(r, r->core.now + WEIR_MS(20));
    sack(r, at(1), 2, 4);
    sack(r, at(1), 2, 5);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_true(c->ssthresh < 10);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prr_sends_in_proportion_and_ssthresh_in_all),
        cmocka_unit_test(test_prr_below_ssthresh_conserves_packets_until_acks_are_safe),
        cmocka_unit_test(test_prr_next_window_starts_afresh_and_reduces_again),
        cmocka_unit_test(test_prr_delivered_counts_each_segment_once),
        cmocka_unit_test(test_newreno_dupacks_below_recover_reduce_nothing),
        cmocka_unit_test(test_newreno_flood_of_dupacks_sends_no_more_than_was_out),
        cmocka_unit_test(test_reno_avoidance_grows_a_segment_a_window),
        cmocka_unit_test(test_reno_is_never_above_its_model),
        cmocka_unit_test(test_window_in_bytes_shrinks_with_the_mss),
        cmocka_unit_test(test_scoreboard_is_a_bitmap),
        cmocka_unit_test(test_scoreboard_cumulative_ack_resets_the_dupacks),
        cmocka_unit_test(test_scoreboard_after_a_timeout_dupacks_reduce_nothing),
        cmocka_unit_test(test_scoreboard_rest_of_a_super_segment_is_not_lost),
        cmocka_unit_test(test_scoreboard_reordering_timer_outlives_a_retransmission),
        cmocka_unit_test(test_cubic_loss_or_marks_reduce_once_to_seven_tenths),
        cmocka_unit_test(test_undo_by_dsack_ends_recovery_at_once),
        cmocka_unit_test(test_loss_of_a_retransmission_reduces_again),
    };
    return cmocka_run_group_tests_name("tcp/prr", tests, NULL, NULL);
}
