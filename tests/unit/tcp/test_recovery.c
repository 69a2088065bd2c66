/*
 * Loss and its repair, segment by segment: fast retransmit (RFC 5681 3.2), NewReno (6582), SACK (6675), limited
 * transmit (3042), timeouts and their back-off (6298), F-RTO (5682), undo (4015), reneging (2018 8).
 */
#include "rig.h"

#define ISS (UINT32_MAX - 3000) /* the wrap lies within the first flight */
#define IRS 9

static void sack(struct rig *r, uint32_t ack, uint32_t lo, uint32_t hi)
{
    rig_in(r, (struct in){.seq = 1, .ack = ack, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{lo, hi}}});
}

static uint32_t at(unsigned seg)
{
    return 1 + seg * MSS;
}

/* Ten segments out, an RTT of 10 ms measured before. */
static struct wi_tcp_conn *ten_out(struct rig *r, unsigned opts, unsigned more)
{
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, opts);
    rig_write(r, (10 + more) * MSS);
    rig_until(r, r->core.now + WEIR_MS(10));
    assert_int_equal(c->loss.packets_out, 10);
    rig_forget(r);
    return c;
}

/* RFC 5681 3.2: the third dupack, not the second. RFC 3042: the first two send new data. Rows: 5681-3.2-c 5681-3.2-d
 * 6582-3.2-a */
static void test_recovery_third_dupack_retransmits(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_RENO, 10);
    rig_ack(r, 1);
    expect_out(r, 0, WI_TH_ACK, at(10), MSS);
    assert_int_equal(r->whys[0], WEIR_WHY_LIMITED);
    rig_until(r, r->core.now + WEIR_MS(2)); /* later than a super-segment would be deferred for */
    rig_ack(r, 1);
    expect_out(r, 1, WI_TH_ACK, at(11), MSS);
    rig_ack(r, 1);
    expect_out(r, 2, WI_TH_ACK, at(0), MSS);
    assert_int_equal(r->whys[2], WEIR_WHY_REXMIT_DUPACK);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->ssthresh, 5);
    rig_end(r);
}

/* A window update, data, or a moved edge is no dupack: RFC 5681 2. */
static void test_recovery_window_updates_are_no_dupacks(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_RENO, 0);
    c->snd_wnd_bytes = 30000;
    for (uint16_t i = 0; i < 5; i++)
        rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd = (uint16_t)(60000 + i)});
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_int_equal(r->pkt_n, 0);
    rig_end(r);
}

/* RFC 6582 3.2: a partial ACK sends the next hole at once, and recovery ends with all that was out. Rows: 6582-3.2-d
 * 5681-3.2-j */
static void test_recovery_partial_ack_retransmits_the_next_hole(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_RENO, 0);
    for (int i = 0; i < 8; i++)
        rig_ack(r, 1);
    expect_out(r, 0, WI_TH_ACK, at(0), MSS);
    assert_int_equal(r->pkt_n, 1);
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_ack(r, at(4)); /* the fifth is lost, too */
    expect_out(r, 1, WI_TH_ACK, at(4), MSS);
    assert_int_equal(r->whys[1], WEIR_WHY_REXMIT_PARTIAL);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_ack(r, at(10));
    rig_write(r, MSS); /* RFC 6582 3.2 (6): Linux waits for one ACK above */
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_ack(r, at(11));
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_int_equal(c->cwnd, 5);
    rig_end(r);
}

/* RFC 6675 4: three segments SACKed above; 5: each hole below is sent again as the pipe allows. Rows: 6675-4-c
 * 6675-5-c */
static void test_recovery_sack_holes_are_filled(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_SACK, 0);
    sack(r, 1, at(1), at(2));
    sack(r, 1, at(1), at(3));
    assert_int_equal(r->pkt_n, 0);
    sack(r, 1, at(1), at(4));
    expect_out(r, 0, WI_TH_ACK, at(0), MSS);
    assert_int_equal(c->loss.lost_out, 1);
    /* 4 and 5 are missing as well. */
    rig_in(r, (struct in){
                  .seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 2, .sacks = {{at(6), at(10)}, {at(1), at(4)}}});
    assert_int_equal(c->loss.sacked_out, 7);
    assert_int_equal(c->loss.lost_out, 3);
    assert_true(r->pkt_n >= 2);
    expect_out(r, 1, WI_TH_ACK, at(4), r->pkts[1]->gso_size ? 2 * MSS : MSS);
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_ack(r, at(10));
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_int_equal(c->loss.packets_out, 0);
    rig_end(r);
}

/* Blocks that were never sent, or lie in the past, mean nothing. Rows: 2018-14 */
static void test_recovery_nonsense_sack_blocks_are_ignored(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_SACK, 0);
    sack(r, 1, at(20), at(30));
    sack(r, 1, at(5), at(4));
    sack(r, 1, at(5), at(5));
    sack(r, 1, at(5), at(5) + 0x80000000u);
    sack(r, 1, at(5), at(10) + 1); /* what is out, and a byte that never was */
    assert_int_equal(c->loss.sacked_out, 0);
    assert_int_equal(c->loss.lost_out, 0);
    sack(r, 1, at(2) + 10, at(3) - 10); /* less than a segment */
    assert_int_equal(c->loss.sacked_out, 0);
    rig_end(r);
}

/* RFC 6298 5.5: each timeout doubles; 5.7 with RFC 5681 3.1: one segment, ssthresh half. Rows: MUST-19 MUST-20
 * 5681-3.1-f 5681-3.1-j 5681-3.1-k 5681-3.1-l 6298-5-c */
static void test_recovery_timeout_backs_off_and_gives_up(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_RENO, 0);
    weir_ns rto = c->rtt.rto, sent = RIG_START;
    assert_int_equal(rto, WEIR_SEC(1)); /* no sample: the handshake's time is unknown here */
    for (int i = 0; i < 5; i++) {
        rig_until(r, sent + rto);
        assert_int_equal(r->pkt_n, 1);
        expect_out(r, 0, WI_TH_ACK, at(0), MSS);
        assert_int_equal(r->whys[0], WEIR_WHY_REXMIT_RTO);
        assert_int_equal(c->cwnd, 1);
        assert_int_equal(c->ssthresh, 5);
        rig_forget(r);
        sent += rto;
        rto *= 2;
    }
    rig_until(r, r->core.now + WEIR_SEC(2000)); /* R2: tcp_retries2 15, 924.6 s from an RTO of 200 ms */
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    assert_int_equal(c->sk.err, WEIR_ETIMEDOUT);
    rig_end(r);
}

/* RFC 5482: the user's limit comes first. Rows: MUST-21 */
static void test_recovery_user_timeout_ends_it(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, 0, 0);
    c->user_timeout_ms = 5000;
    /* It counts from the first retransmission, at 1 s, and the timer does not overshoot it (Linux). */
    rig_until(r, RIG_START + WEIR_SEC(6) - 1);
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_until(r, RIG_START + WEIR_SEC(6));
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    assert_int_equal(c->sk.err, WEIR_ETIMEDOUT);
    rig_end(r);
}

/* After a timeout everything outstanding is sent again in slow start. */
static void test_recovery_after_timeout_is_slow_start(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_RENO | RIG_SACK, 0);
    rig_until(r, RIG_START + WEIR_SEC(1));
    rig_forget(r);
    uint32_t acked = 0;
    for (int round = 0; round < 8 && acked < 10; round++) {
        rig_until(r, r->core.now + WEIR_MS(10));
        acked += c->loss.retrans_out ? c->loss.retrans_out : c->loss.packets_out;
        rig_ack(r, at(acked));
    }
    assert_int_equal(c->loss.packets_out, 0);
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    rig_end(r);
}

/* What goes again in Loss once an ACK has moved the edge is still the timeout's work, not the path MTU's. */
static void test_recovery_after_timeout_says_timeout(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_RENO, 0);
    c->sk.core->sysctl.tcp_frto = 0;
    rig_until(r, r->core.now + c->rtt.rto);
    rig_forget(r);
    rig_ack(r, at(1));
    rig_ack(r, at(3));
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_true(r->why_n > 2);
    for (unsigned i = 0; i < r->why_n; i++)
        assert_int_equal(r->whys[i], WEIR_WHY_REXMIT_RTO);
    rig_end(r);
}

/* RFC 5682 3: the first ACK after the timeout covers what was sent once: it was spurious, the window comes back.
 * Rows: 5682-a */
static void test_recovery_spurious_timeout_is_undone(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_early_retrans = 0; /* no probe before the timeout */
    struct wi_tcp_conn *c = ten_out(r, RIG_RENO | RIG_SACK, 20);
    rig_until(r, RIG_START + WEIR_SEC(1));
    assert_int_equal(c->cwnd, 1);
    rig_forget(r);
    rig_ack(r, at(1)); /* step 2b: two new segments instead of the second old one */
    assert_true(rig_out(r, 0).seq >= at(10));
    rig_ack(r, at(3)); /* step 3b: the second and third were never sent again */
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_true(c->cwnd >= 10);
    assert_int_equal(c->loss.lost_out, 0);
    rig_end(r);
}

/* RFC 2018 8: a peer that takes back what it SACKed gets everything again. Rows: 6675-4-b attack-sack-reneging-abuse */
static void test_recovery_reneging_peer_gets_everything_again(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_SACK, 0);
    sack(r, 1, at(2), at(6));
    rig_ack(r, at(2)); /* which it said to have */
    rig_until(r, r->core.now + WEIR_SEC(1));
    assert_int_equal(c->loss.sacked_out, 0);
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_int_equal(r->core.stats.count[WI_STAT_TCPSackReneging], 1);
    bool again = false;
    for (unsigned i = 0; i < r->pkt_n; i++)
        again |= rig_out(r, i).seq == at(2);
    assert_true(again);
    rig_end(r);
}

/* RFC 6298 3, Karn: a retransmitted segment gives no sample without timestamps. Rows: 6298-3-a MUST-18 */
static void test_recovery_retransmission_gives_no_rtt_sample(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    rig_write(r, 100);
    rig_until(r, RIG_START + WEIR_SEC(1) + WEIR_MS(5));
    assert_int_equal(r->pkt_n, 2);
    rig_ack(r, 101);
    assert_int_equal(c->rtt.srtt_us8, 0);
    rig_write(r, 100);
    rig_until(r, r->core.now + WEIR_MS(7));
    rig_ack(r, 201);
    assert_int_equal(c->rtt.srtt_us8, 8 * 7000);
    assert_int_equal(c->rtt.rto, WEIR_MS(207)); /* the variance's floor is 200 ms */
    rig_end(r);
}

/* RFC 1191 6: the path's MTU falls: what is too large goes again, smaller, and no window is lost. Rows: 1191-6
 * 7323-38 */
static void test_recovery_smaller_path_mtu_resegments(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, RIG_SACK, 0);
    uint32_t before = c->cwnd;
    struct wi_net_error e = {.err = WEIR_EMSGSIZE, .mtu = 640, .type = 3, .code = 4};
    assert_int_equal(wi_tcp_icmp(c, &e, (struct wi_seq){ISS - 5}), WEIR_DROP_ICMP_STALE); /* RFC 5927 4.1 */
    assert_int_equal(wi_tcp_icmp(c, &e, c->snd_una), WEIR_DROP_NONE);
    rig_flush(r);
    assert_int_equal(c->snd_mss, 600);
    assert_true(r->pkt_n > 0);
    struct out o = rig_out(r, 0);
    assert_int_equal(o.seq, at(0));
    assert_true(o.len <= 600 || o.gso_size == 600);
    for (int i = 0; i < 50 && c->loss.packets_out; i++) {
        uint32_t last = rig_out(r, r->pkt_n - 1).seq + rig_out(r, r->pkt_n - 1).len;
        rig_forget(r);
        rig_until(r, r->core.now + WEIR_MS(10));
        rig_ack(r, last);
        if (!r->pkt_n)
            break;
    }
    assert_int_equal(c->loss.packets_out, 0);
    assert_true(c->cwnd >= before / 2);
    rig_end(r);
}

/* RFC 4821 7.7, RFC 2923 2.1: nothing large gets through and no router says so. After tcp_retries1 the segments
 * become smaller, twice; what is in flight is cut. Rows: 1191-9 4821-7 attack-pmtu-blackhole */
static void test_recovery_black_hole_makes_segments_smaller(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_mtu_probing = 1;
    r->core.sysctl.tcp_base_mss = 400;
    struct wi_tcp_conn *c = ten_out(r, RIG_SACK, 0);
    rig_until(r, r->core.now + WEIR_MS(1200)); /* a tail loss probe, two timeouts */
    assert_int_equal(c->snd_mss, MSS);
    rig_until(r, r->core.now + WEIR_SEC(5));
    rig_forget(r);
    rig_until(r, r->core.now + WEIR_SEC(10));
    assert_int_equal(wi_tcp_mtu_to_mss(c, c->mtup.search_low), c->snd_mss);
    assert_true(c->snd_mss <= 400);
    struct out o = rig_out(r, 0);
    assert_int_equal(o.seq, at(0));
    assert_in_range(o.len, 1, 400);
    rig_end(r);
}

/* RFC 5927 5.2, RFC 1122 4.2.3.9: what stands does not fall by ICMP; a timeout reports it. Rows: MUST-56 SHLD-25
 * attack-icmp-blind-reset */
static void test_recovery_icmp_unreachable_is_only_remembered(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = ten_out(r, 0, 0);
    struct wi_net_error e = {.err = WEIR_ECONNREFUSED, .is_hard = true, .type = 3, .code = 3};
    /* A quoted number that is not outstanding is a guess, and not even remembered. */
    assert_int_equal(wi_tcp_icmp(c, &e, wi_seq_sub(c->snd_una, 1)), WEIR_DROP_ICMP_STALE);
    assert_int_equal(wi_tcp_icmp(c, &e, wi_seq_add(c->snd_nxt, 1)), WEIR_DROP_ICMP_STALE);
    assert_int_equal(c->sk.err_soft, 0);
    assert_int_equal(wi_tcp_icmp(c, &e, c->snd_una), WEIR_DROP_TCP_ICMP_SOFT);
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_until(r, r->core.now + WEIR_SEC(3000));
    assert_int_equal(c->sk.err, WEIR_ECONNREFUSED);
    rig_end(r);
}

/* RFC 9293 3.8.4: keepalive: off unless asked for, two hours, probe at SND.NXT-1. Rows: MUST-25 MUST-27 MUST-28 */
static void test_recovery_keepalive_probes_and_gives_up(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    assert_true(wi_wheel_deadline(&r->core.wheel) == WEIR_NEVER);
    c->sk.opts.keepalive = true;
    wi_tcp_keepalive_update(c);
    rig_until(r, RIG_START + WEIR_SEC(7200));
    assert_int_equal(r->pkt_n, 1);
    expect_out(r, 0, WI_TH_ACK, 0, 0);
    assert_int_equal(r->whys[0], WEIR_WHY_PROBE_KEEPALIVE);
    rig_ack(r, 1); /* answered: two hours more */
    rig_forget(r);
    rig_until(r, RIG_START + WEIR_SEC(14300));
    assert_int_equal(r->pkt_n, 0);
    rig_until(r, RIG_START + WEIR_SEC(14400 + 9 * 75));
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    assert_int_equal(c->sk.err, WEIR_ETIMEDOUT);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovery_third_dupack_retransmits),
        cmocka_unit_test(test_recovery_window_updates_are_no_dupacks),
        cmocka_unit_test(test_recovery_partial_ack_retransmits_the_next_hole),
        cmocka_unit_test(test_recovery_sack_holes_are_filled),
        cmocka_unit_test(test_recovery_nonsense_sack_blocks_are_ignored),
        cmocka_unit_test(test_recovery_timeout_backs_off_and_gives_up),
        cmocka_unit_test(test_recovery_user_timeout_ends_it),
        cmocka_unit_test(test_recovery_after_timeout_is_slow_start),
        cmocka_unit_test(test_recovery_after_timeout_says_timeout),
        cmocka_unit_test(test_recovery_spurious_timeout_is_undone),
        cmocka_unit_test(test_recovery_reneging_peer_gets_everything_again),
        cmocka_unit_test(test_recovery_retransmission_gives_no_rtt_sample),
        cmocka_unit_test(test_recovery_smaller_path_mtu_resegments),
        cmocka_unit_test(test_recovery_black_hole_makes_segments_smaller),
        cmocka_unit_test(test_recovery_icmp_unreachable_is_only_remembered),
        cmocka_unit_test(test_recovery_keepalive_probes_and_gives_up),
    };
    return cmocka_run_group_tests_name("tcp/recovery", tests, NULL, NULL);
}
