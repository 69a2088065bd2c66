/*
 * The scoreboard of a sender with SACK: what is read into it, what it says, what a peer can make it cost. RFC 2018,
 * RFC 2883, RFC 6675 (with RACK turned off where DupThresh is to decide).
 */
#include "rig.h"

#define ISS (UINT32_MAX - 2500) /* the wrap lies within the first flight */
#define IRS 9

static uint32_t at(unsigned seg)
{
    return 1 + seg * MSS;
}

static void sack(struct rig *r, uint32_t ack, uint32_t lo, uint32_t hi)
{
    rig_in(r, (struct in){.seq = 1, .ack = ack, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{lo, hi}}});
}

static void sack2(struct rig *r, uint32_t ack, uint32_t lo, uint32_t hi, uint32_t lo2, uint32_t hi2)
{
    rig_in(r, (struct in){.seq = 1, .ack = ack, .flags = WI_TH_ACK, .sack_n = 2, .sacks = {{lo, hi}, {lo2, hi2}}});
}

static struct wi_tcp_conn *flight(struct rig *r, unsigned n, unsigned more)
{
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK | RIG_RENO);
    c->cwnd = n;
    rig_write(r, (n + more) * MSS);
    rig_until(r, r->core.now + WEIR_MS(10));
    assert_int_equal(c->loss.packets_out, n);
    rig_forget(r);
    return c;
}

/* ---- RFC 6675 ---- */

/* RFC 6675 4, SetPipe: what is out, less what was SACKed, less what is lost, and what was sent again. Rows: 6675-4-a
 * 6675-4-d */
static void test_board_pipe_is_what_the_network_holds(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_recovery = 0;
    struct wi_tcp_conn *c = flight(r, 20, 0);
    assert_int_equal(wi_tcp_in_flight(c), 20);
    sack(r, 1, at(10), at(12));
    assert_int_equal(wi_tcp_in_flight(c), 18);
    sack(r, 1, at(10), at(15));
    assert_int_equal(c->loss.lost_out, 10);
    assert_true(c->loss.retrans_out >= r->pkt_n && r->pkt_n > 0);
    assert_int_equal(wi_tcp_in_flight(c), 20 - 5 - 10 + c->loss.retrans_out);
    uint32_t again = c->loss.retrans_out, sent = r->pkt_n;
    sack2(r, 1, at(10), at(15), at(0), at(1)); /* what was sent again has arrived */
    assert_int_equal(c->loss.retrans_out, again - 1 + r->pkt_n - sent);
    assert_int_equal(wi_tcp_in_flight(c), 20 - 6 - 9 + c->loss.retrans_out);
    rig_ack(r, at(4)); /* cumulatively acknowledged: on neither account */
    assert_int_equal(c->loss.packets_out, 16);
    assert_int_equal(wi_tcp_in_flight(c), 16 - c->loss.sacked_out - c->loss.lost_out + c->loss.retrans_out);
    rig_end(r);
}

/* RFC 6675 4, NextSeg: what is lost goes first, in order, then new data; 5 (C): as long as the pipe has room. Rows:
 * 6675-4-e 6675-5-e */
static void test_board_lost_segments_go_before_new_data(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_recovery = 0;
    struct wi_tcp_conn *c = flight(r, 10, 10);
    sack2(r, 1, at(1), at(2), at(3), at(6)); /* 0 and 2 are missing; DupThresh says so of 0 only, then of 2 */
    expect_out(r, 0, WI_TH_ACK, at(0), MSS);
    sack2(r, 1, at(3), at(8), at(1), at(2));
    unsigned i = 1;
    uint32_t expected = at(2);
    for (; i < r->pkt_n; i++) {
        struct out o = rig_out(r, i);
        assert_int_equal(o.seq, expected);
        expected = o.seq == at(2) ? at(10) : o.seq + o.len;
    }
    assert_true(expected >= at(10));
    assert_int_equal(wi_tcp_in_flight(c), c->cwnd);
    rig_end(r);
}

/* What is not DupThresh below the highest SACKed is not lost. Rows: 6675-4-c */
static void test_board_dupthresh_is_counted_from_above(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_recovery = 0;
    struct wi_tcp_conn *c = flight(r, 10, 0);
    sack(r, 1, at(2), at(4));
    assert_int_equal(c->loss.lost_out, 0);
    sack2(r, 1, at(6), at(7), at(2), at(4));
    assert_int_equal(c->loss.lost_out, 2); /* 0 and 1; not 4 and 5 */
    sack2(r, 1, at(6), at(8), at(2), at(4));
    assert_int_equal(c->loss.lost_out, 2);
    sack2(r, 1, at(6), at(9), at(2), at(4));
    assert_int_equal(c->loss.lost_out, 4);
    rig_end(r);
}

/* ---- RFC 2883 ---- */

static uint64_t dsacks(const struct rig *r)
{
    return r->core.stats.count[WI_STAT_TCPDSACKRecv];
}

/* RFC 2883 5: a first block below the ACK, or within the second, is a DSACK; nothing else is. Rows: 2883-5 2883-7 */
static void test_board_tells_a_dsack_from_a_sack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 10, 0);
    rig_ack(r, at(2));
    sack(r, at(2), at(0), at(1));
    assert_int_equal(dsacks(r), 1);
    sack2(r, at(2), at(5), at(6), at(4), at(7));
    assert_int_equal(dsacks(r), 2);
    assert_int_equal(c->loss.sacked_out, 3);
    sack2(r, at(2), at(8), at(9), at(4), at(7));
    sack2(r, at(2), at(4), at(7), at(8), at(9));
    sack(r, at(2), at(4), at(7));
    assert_int_equal(dsacks(r), 2);
    assert_int_equal(c->loss.sacked_out, 4);
    assert_int_equal(c->loss.packets_out, 8);
    rig_end(r);
}

/* RFC 2883 5: an ACK that was overtaken is judged by its own number, not by what was acknowledged since. Rows:
 * 2883-6 */
static void test_board_overtaken_sack_is_no_dsack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 10, 0);
    rig_ack(r, at(5));
    sack(r, at(1), at(3), at(4));
    assert_int_equal(dsacks(r), 0);
    assert_int_equal(c->dsack_dups, 0);
    assert_int_equal(c->loss.sacked_out, 0);
    rig_end(r);
}

/* ---- RFC 2018 ---- */

/* RFC 2018 8: what was SACKed is kept until it is acknowledged, and goes again with the same bytes when the peer takes
 * it back; at the left edge even while it is marked. Rows: 2018-10 2018-11 6675-4-b */
static void test_board_sacked_data_is_kept(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK | RIG_RENO);
    rig_write(r, 4 * MSS);
    uint8_t first = rig_out(r, 0).first;
    rig_forget(r);
    sack(r, 1, at(0), at(4)); /* all of it, and it acknowledges none */
    assert_int_equal(c->loss.sacked_out, 4);
    rig_until(r, r->core.now + WEIR_SEC(3));
    rig_ack(r, at(1));
    bool seen[4] = {false};
    for (unsigned i = 0; i < r->pkt_n; i++) {
        struct out o = rig_out(r, i);
        assert_int_equal(o.first, (uint8_t)(first + o.seq - 1));
        for (uint32_t s = (o.seq - 1) / MSS; s <= (o.seq + o.len - 2) / MSS; s++)
            seen[s] = true;
    }
    assert_true(seen[0] && seen[1]);
    rig_end(r);
}

/* RFC 2018 2: what says that SACK is permitted belongs on a SYN; elsewhere it is not sent and means nothing. Rows:
 * 2018-1 */
static void test_board_sack_permitted_is_for_syns(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10, .sack_ok = true});
    assert_int_equal(c->rcv_nxt.v, IRS + 11);
    assert_false(c->sack_ok);
    rig_write(r, 5 * MSS);
    sack(r, 1, at(1), at(4));
    assert_int_equal(c->loss.sacked_out, 0);
    rig_in(r, (struct in){.seq = 21, .ack = 1, .flags = WI_TH_ACK, .len = 10});
    for (unsigned i = 0; i < r->pkt_n; i++) {
        assert_false(rig_out(r, i).h.sack_ok);
        assert_int_equal(rig_out(r, i).h.sack_n, 0);
    }
    rig_end(r);
}

/* RFC 2018 4: each block is in three ACKs at least, so that two may be lost. Rows: 2018-7 */
static void test_board_blocks_are_repeated_in_three_acks(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_establish(r, ISS, IRS, RIG_SACK);
    for (uint32_t i = 0; i < 6; i++)
        rig_in(r, (struct in){.seq = 101 + 200 * i, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    assert_int_equal(r->pkt_n, 6);
    for (unsigned i = 0; i < 4; i++) {
        unsigned seen = 0;
        for (unsigned k = i; k < i + 3; k++) {
            struct out o = rig_out(r, k);
            for (unsigned n = 0; n < o.h.sack_n; n++)
                seen += o.h.sacks[n].lo.v == r->irs + 101 + 200 * i;
        }
        assert_int_equal(seen, 3);
    }
    rig_end(r);
}

/* ---- What it costs ---- */

#define TINY     48u
#define SEGMENTS 202000u
#define STEPS(r) ((r)->core.stats.count[WI_STAT_TCPScoreboardSteps])

/* Output, without the check of all invariants around it, which is linear. */
static void quick_flush(struct rig *r)
{
    wi_list_del(&r->c->pend_link);
    wi_tcp_output(r->c);
    wi_net_flush(r->net);
    rig_forget(r);
}

/* An ACK in the same way. */
static void quick_in(struct rig *r, struct in in)
{
    struct weir_pkt *p = rig_segment(r, in);
    wi_net_input(r->net, r->netif, &p, 1);
    weir_pkt_unref(p);
    quick_flush(r);
}

static uint32_t tiny_at(uint32_t seg)
{
    return 1 + seg * TINY;
}

/* As many tiny segments out, nearly. */
static struct wi_tcp_conn *long_flight(struct rig *r, uint32_t segments)
{
    static uint8_t bytes[20000 * TINY];
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK | RIG_RENO);
    c->mss_clamp = TINY;
    wi_tcp_mss_sync(c, c->pmtu);
    c->cwnd = segments;
    c->snd_wnd_bytes = c->snd_wnd_max_bytes = 1 << 30;
    c->sk.opts.sndbuf_bytes = 1 << 30;
    c->nodelay = true;
    for (uint32_t left = segments * TINY; left > 0;) {
        struct weir_iovec iov = {bytes, left < sizeof bytes ? left : sizeof bytes};
        assert_int_equal(wi_tcp_sndq_write(c, &iov, 1, 0), iov.len);
        left -= (uint32_t)iov.len;
        quick_flush(r);
    }
    assert_true(c->loss.packets_out > segments - 1400); /* the last super-segment may wait for company */
    return c;
}

/* Every second segment arrives, 100,000 holes: each ACK costs a few records, not as many as there are holes, by
 * RACK and by RFC 6675. Rows: 2018-15 attack-sack-slowness */
static void test_board_hundred_thousand_holes_cost_no_more_each(void **state)
{
    (void)state;
    for (int64_t rack = 0; rack < 2; rack++) {
        struct rig *r = rig_new();
        r->core.sysctl.tcp_recovery = rack;
        struct wi_tcp_conn *c = long_flight(r, SEGMENTS);
        c->cwnd = 1000; /* or all that is lost would go again in one burst */
        r->core.now += WEIR_MS(10);
        uint64_t before = STEPS(r), acks = 0, most = 0;
        for (uint32_t seg = 5; seg < c->loss.packets_out; seg += 2, acks++) {
            uint64_t was = STEPS(r);
            quick_in(r, (struct in){.seq = 1,
                                    .ack = 1,
                                    .flags = WI_TH_ACK,
                                    .sack_n = 3,
                                    .sacks = {{tiny_at(seg), tiny_at(seg + 1)},
                                              {tiny_at(seg - 2), tiny_at(seg - 1)},
                                              {tiny_at(seg - 4), tiny_at(seg - 3)}}});
            most = STEPS(r) - was > most ? STEPS(r) - was : most;
        }
        assert_true(acks > 99000);
        assert_true(c->loss.sacked_out > 99000);
        assert_true(c->loss.lost_out > 99000);
        assert_in_range((STEPS(r) - before) / acks, 1, 12);
        assert_in_range(most, 1, 64);
        rig_end(r);
    }
}

/* Old blocks again, in an order that no memory of the last ACK helps against: they cost nothing but their look-up.
 * Rows: 2018-15 attack-sack-slowness attack-sack-panic */
static void test_board_repeated_blocks_cost_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = long_flight(r, 22000);
    struct in in = {.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{tiny_at(2), tiny_at(19000)}}};
    quick_in(r, in);
    assert_int_equal(c->loss.sacked_out, 18998);
    uint64_t before = STEPS(r);
    for (uint32_t i = 0; i < 1000; i++) {
        in.sacks[0][0] = tiny_at(2 + i % 7 * 1000);
        in.sacks[0][1] = tiny_at(19000 - i % 5 * 1000);
        quick_in(r, in);
    }
    assert_in_range(STEPS(r) - before, 0, 1000 * 40);
    assert_int_equal(c->loss.sacked_out, 18998);
    assert_int_equal(wi_tcp_in_flight(c), c->loss.packets_out - 18998 - c->loss.lost_out + c->loss.retrans_out);
    rig_end(r);
}

/* 10,000 segments are in doubt for the length of a reordering window: looking at them again with each ACK is bounded.
 * Rows: attack-sack-slowness */
static void test_board_doubts_are_not_walked_again_and_again(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = long_flight(r, 22000);
    wi_tcp_rtt_sample(c, 40000);
    c->reord_seen = 1;
    r->core.now += WEIR_MS(40);
    uint64_t before = STEPS(r);
    for (uint32_t seg = 10001; seg < 11001; seg++) {
        struct in in = {.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{tiny_at(10000), tiny_at(seg)}}};
        quick_in(r, in);
    }
    assert_int_equal(c->loss.lost_out, 0);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_REORDER);
    assert_in_range(STEPS(r) - before, 1000, 1000 * 40);
    rig_end(r);
}

/* RFC 4015: a loss that proves to be none is in doubt again, and found when it is one after all. */
static void test_board_undone_losses_are_found_again(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_early_retrans = 0;
    struct wi_tcp_conn *c = flight(r, 10, 20);
    wi_tcp_rtt_sample(c, 10000);
    rig_until(r, r->core.now + WEIR_SEC(1)); /* spurious: the path was only slow */
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    rig_ack(r, at(1));
    rig_ack(r, at(3)); /* F-RTO: what was sent once arrived */
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_int_equal(c->loss.lost_out, 0);
    rig_forget(r);
    rig_until(r, r->core.now + WEIR_MS(10));
    sack(r, at(3), at(4), at(8));
    rig_until(r, r->core.now + WEIR_MS(20));
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    bool is_again = false;
    for (unsigned i = 0; i < r->pkt_n; i++)
        is_again |= rig_out(r, i).seq == at(3);
    assert_true(is_again);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_board_pipe_is_what_the_network_holds),
        cmocka_unit_test(test_board_lost_segments_go_before_new_data),
        cmocka_unit_test(test_board_dupthresh_is_counted_from_above),
        cmocka_unit_test(test_board_tells_a_dsack_from_a_sack),
        cmocka_unit_test(test_board_overtaken_sack_is_no_dsack),
        cmocka_unit_test(test_board_sacked_data_is_kept),
        cmocka_unit_test(test_board_sack_permitted_is_for_syns),
        cmocka_unit_test(test_board_blocks_are_repeated_in_three_acks),
        cmocka_unit_test(test_board_hundred_thousand_holes_cost_no_more_each),
        cmocka_unit_test(test_board_repeated_blocks_cost_nothing),
        cmocka_unit_test(test_board_doubts_are_not_walked_again_and_again),
        cmocka_unit_test(test_board_undone_losses_are_found_again),
    };
    return cmocka_run_group_tests_name("tcp/scoreboard", tests, NULL, NULL);
}
