/* SACK compression (src/tcp/ackpol.c): which of the segments beyond a hole share an ACK, and when it goes. */
#include "rig.h"

#define ISS 1000u
#define IRS 5000u

static void ahead(struct rig *r, uint32_t seq)
{
    rig_in(r, (struct in){.seq = seq, .ack = 1, .flags = WI_TH_ACK, .len = 100});
}

static uint64_t compressed(const struct rig *r)
{
    return r->core.stats.count[WI_STAT_TCPAckCompressed];
}

/* A connection that has answered three segments beyond a hole: [201, 501) is here. */
static struct wi_tcp_conn *with_hole(struct rig *r)
{
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    c->rtt.srtt_us8 = 8 * 10000;
    c->rcvq.rtt_us = 10000;
    c->rcvq.rcv_ssthresh_bytes = c->rcvq.clamp_bytes; /* a window that grows is told at once, as on Linux */
    for (uint32_t seq = 201; seq < 501; seq += 100)
        ahead(r, seq);
    assert_int_equal(r->pkt_n, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(r->whys[i], WEIR_WHY_ACK_DUP);
    rig_forget(r);
    return c;
}

/* The first three of a hole have their ACKs (what fast retransmit waits for), the next ones share one, which names all.
 * Rows: 5681-3.2-a */
static void test_compress_later_segments_share_an_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)with_hole(r);
    weir_ns from = r->core.now;
    for (uint32_t seq = 501; seq < 901; seq += 100)
        ahead(r, seq);
    rig_until(r, from + WEIR_US(599));
    assert_int_equal(r->pkt_n, 0);
    rig_until(r, from + WEIR_US(600)); /* 5 % of 10 ms, and the slack */
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(r->whys[0], WEIR_WHY_ACK_COMPRESSED);
    struct out o = rig_out(r, 0);
    assert_int_equal(o.ack, 1);
    assert_int_equal(o.h.sack_n, 1);
    assert_int_equal(o.h.sacks[0].lo.v - r->irs, 201);
    assert_int_equal(o.h.sacks[0].hi.v - r->irs, 901);
    assert_int_equal(compressed(r), 3);
    rig_until(r, from + WEIR_SEC(1)); /* and that was all */
    assert_int_equal(r->pkt_n, 1);
    rig_end(r);
}

/* The wait: the tunable's, or 5 % of the smaller RTT that is known; the receiver's must be. */
static void test_compress_delay_follows_the_shorter_rtt(void **state)
{
    (void)state;
    static const struct {
        uint32_t srtt_us, rcv_rtt_us;
        int64_t delay_ns, slack_ns;
        weir_ns wait;
    } cases[] = {
        {10000, 4000, 1000000, 100000, WEIR_US(300)}, {4000, 10000, 1000000, 100000, WEIR_US(300)},
        {0, 4000, 1000000, 100000, WEIR_US(300)},     {100000, 100000, 1000000, 100000, WEIR_US(1100)},
        {10000, 0, 1000000, 100000, WEIR_US(100)},    {10000, 10000, 1000000, 0, WEIR_US(500)},
        {10000, 10000, 250000, 0, WEIR_US(250)},      {900000, 900000, 80000000, 0, WEIR_MS(45)},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = with_hole(r);
        r->core.sysctl.tcp_comp_sack_delay_ns = cases[i].delay_ns;
        r->core.sysctl.tcp_comp_sack_slack_ns = cases[i].slack_ns;
        c->rtt.srtt_us8 = 8 * cases[i].srtt_us;
        c->rcvq.rtt_us = cases[i].rcv_rtt_us;
        ahead(r, 501);
        assert_int_equal(c->timer_delack.due - r->core.now, cases[i].wait);
        rig_end(r);
    }
}

/* So many wait at most: the next one's ACK speaks for all. 0: nothing waits. */
static void test_compress_count_is_bounded(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)with_hole(r);
    for (unsigned i = 0; i < 44; i++)
        ahead(r, 501 + 100 * i);
    assert_int_equal(r->pkt_n, 0);
    ahead(r, 501 + 4400);
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(rig_out(r, 0).h.sacks[0].hi.v - r->irs, 501 + 4500);
    assert_int_equal(compressed(r), 44);

    r->core.sysctl.tcp_comp_sack_nr = 0;
    for (unsigned i = 0; i < 5; i++)
        ahead(r, 501 + 4500 + 100 * i);
    assert_int_equal(r->pkt_n, 6);
    assert_int_equal(compressed(r), 44);
    rig_end(r);
}

/* Without SACK each has its own: the peer counts them. */
static void test_compress_needs_sack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)rig_establish(r, ISS, IRS, 0);
    for (unsigned i = 0; i < 8; i++)
        ahead(r, 201 + 100 * i);
    assert_int_equal(r->pkt_n, 8);
    rig_end(r);
}

/* RFC 5681 4.2: what fills the hole, wholly or in part, is acknowledged at once, and whatever waited with it; the next
 * hole has three ACKs of its own again. */
static void test_compress_ends_with_the_hole(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = with_hole(r);
    ahead(r, 501);
    ahead(r, 1);
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(rig_out(r, 0).ack, 101);
    assert_int_equal(compressed(r), 1);
    assert_false(wi_timer_armed(&c->timer_delack));
    c->quick_acks = 0; /* the first data in order made them quick */
    for (unsigned i = 0; i < 3; i++)
        ahead(r, 601 + 100 * i);
    assert_int_equal(r->pkt_n, 4);
    ahead(r, 901);
    assert_int_equal(r->pkt_n, 4);
    assert_int_equal(c->comp_acks, 1);
    rig_end(r);
}

/* What carries an ACK for another reason ends the wait; quick ACKs don't wait. */
static void test_compress_ends_with_any_other_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = with_hole(r);
    ahead(r, 501);
    rig_write(r, 10);
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(rig_out(r, 0).h.sacks[0].hi.v - r->irs, 601);
    assert_false(wi_timer_armed(&c->timer_delack));
    assert_int_equal(c->comp_acks, 0);

    rig_forget(r);
    wi_tcp_quickack_enter(c, 2);
    ahead(r, 601);
    ahead(r, 701);
    assert_int_equal(r->pkt_n, 2);
    ahead(r, 801);
    assert_int_equal(r->pkt_n, 2);
    rig_end(r);
}

/* What concerns a third block is told at once, while something waits: the option might not have room for all later. */
static void test_compress_third_block_is_told_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)with_hole(r);
    ahead(r, 701);
    assert_int_equal(r->pkt_n, 0);
    ahead(r, 901);
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(rig_out(r, 0).h.sack_n, 3);
    assert_int_equal(rig_out(r, 0).h.sacks[0].lo.v - r->irs, 901);
    ahead(r, 1001); /* the newest grows */
    assert_int_equal(r->pkt_n, 1);
    ahead(r, 501); /* the last grows */
    assert_int_equal(r->pkt_n, 2);
    assert_int_equal(rig_out(r, 1).h.sacks[0].hi.v - r->irs, 601);
    rig_end(r);
}

/* A FIN beyond the hole is like data there. */
static void test_compress_takes_a_lone_fin(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = with_hole(r);
    rig_in(r, (struct in){.seq = 501, .ack = 1, .flags = WI_TH_ACK | WI_TH_FIN});
    assert_int_equal(r->pkt_n, 0);
    assert_int_equal(c->comp_acks, 1);
    rig_until(r, r->core.now + WEIR_MS(2));
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(rig_out(r, 0).h.sacks[0].hi.v - r->irs, 502);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compress_later_segments_share_an_ack),
        cmocka_unit_test(test_compress_delay_follows_the_shorter_rtt),
        cmocka_unit_test(test_compress_count_is_bounded),
        cmocka_unit_test(test_compress_needs_sack),
        cmocka_unit_test(test_compress_ends_with_the_hole),
        cmocka_unit_test(test_compress_ends_with_any_other_ack),
        cmocka_unit_test(test_compress_third_block_is_told_at_once),
        cmocka_unit_test(test_compress_takes_a_lone_fin),
    };
    return cmocka_run_group_tests_name("tcp/compress", tests, NULL, NULL);
}
