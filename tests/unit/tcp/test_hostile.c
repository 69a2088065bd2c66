/*
 * What a peer that means ill, or a stranger who guesses numbers, must not get: old numbers believed, answers without
 * limit, connections that never end. RFC 5961, RFC 7323 5, CVE-2008-4609.
 */
#include "rig.h"

#define ISS 5000
#define IRS 9000

/* RFC 5961 4.2: a SYN gets a challenge ACK whatever its timestamp says, and no more of them than the limit.
 * Rows: 5961-4-a 5961-7-a 5961-x-a */
static void test_hostile_syn_with_old_timestamp_is_challenged_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 100, .ts = true, .tsval = 500});
    rig_forget(r);
    for (unsigned i = 0; i < 5; i++)
        rig_in(r, (struct in){.seq = 7, .flags = WI_TH_SYN, .ts = true, .tsval = 3});
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(r->whys[0], WEIR_WHY_ACK_CHALLENGE);
    assert_int_equal(r->core.stats.count[WI_STAT_TCPSYNChallenge], 5);
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_end(r);
}

/* RFC 5961 5.2: the peer has acknowledged 100 bytes in all, so an ACK 200 below snd_una was never its own.
 * Rows: 5961-5-b 9293-S10 attack-blind-data-injection attack-stale-ack-with-new-data-dropped */
static void test_hostile_ack_before_the_first_byte_is_challenged(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    rig_write(r, 100);
    rig_ack(r, 101);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 1, .ack = (uint32_t)-99, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(c->rcv_nxt.v, IRS + 1);
    assert_int_equal(r->whys[0], WEIR_WHY_ACK_CHALLENGE);

    /* RFC 9293 3.10.7.4: an old ACK that may be the peer's does not keep its data out. */
    rig_in(r, (struct in){.seq = 1, .ack = 51, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(c->rcv_nxt.v, IRS + 11);
    rig_end(r);
}

/* What the last episode's SACKs said is forgotten when its numbers come round again after 4 GiB.
 * Rows: attack-sequence-wrap */
static void test_hostile_sack_of_numbers_that_came_round_is_read(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    rig_write(r, 5 * MSS);
    c->loss.sack_cache[0] = (struct wi_sack_block){{ISS + 1 + MSS}, {ISS + 1 + 3 * MSS}};
    c->loss.sack_cache_n = 1;
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{1 + MSS, 1 + 3 * MSS}}});
    assert_int_equal(c->loss.sacked_out, 2);
    rig_end(r);
}

/* The program has closed, the peer keeps its window shut and answers every probe: it ends nevertheless.
 * Rows: attack-zero-window-persist-abuse attack-sockstress */
static void test_hostile_closed_window_does_not_keep_an_orphan(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_establish(r, ISS, IRS, 0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd_zero = true});
    rig_write(r, 3 * MSS);
    r->c->sk.ops->close(&r->c->sk);
    r->c->sk.owner = NULL;
    r->c->sk.on_ready = NULL;
    rig_flush(r);
    assert_int_equal(r->tcp.orphan_n, 1);
    for (unsigned i = 0; i < 600 && r->tcp.orphan_n; i++) {
        rig_until(r, r->core.now + WEIR_SEC(1));
        if (r->pkt_n && r->tcp.orphan_n)
            rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd_zero = true});
        rig_forget(r);
    }
    assert_int_equal(r->tcp.orphan_n, 0);
    assert_true(r->core.now - RIG_START > WEIR_SEC(100)); /* RFC 9293 3.8.3: R2 */
    rig_end(r);
}

/* CVE-2019-11478: a small MSS and SACKs of every second segment would turn one record into thousands.
 * Rows: attack-sack-slowness */
static void test_hostile_sack_fragmentation_is_bounded(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    c->mss_clamp = 48;
    wi_tcp_mss_sync(c, c->pmtu);
    c->cwnd = 20000;
    c->snd_wnd_bytes = c->snd_wnd_max_bytes = 1 << 20;
    rig_write(r, 900000);
    rig_until(r, r->core.now + WEIR_MS(5)); /* a deferred super-segment leaves */
    assert_true(c->loss.packets_out > 10000);
    c->sk.opts.sndbuf_bytes = 4096;
    for (uint32_t seg = 1; seg < c->loss.packets_out; seg += 2) {
        uint32_t lo = 1 + seg * 48;
        rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{lo, lo + 48}}});
        rig_forget(r);
    }
    assert_true(r->core.stats.count[WI_STAT_TCPWqueueTooBig] > 0);
    rig_until(r, r->core.now + WEIR_SEC(2)); /* and still the first is sent again */
    expect_out(r, 0, WI_TH_ACK, 1, 48);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_syn_with_old_timestamp_is_challenged_once),
        cmocka_unit_test(test_hostile_ack_before_the_first_byte_is_challenged),
        cmocka_unit_test(test_hostile_sack_of_numbers_that_came_round_is_read),
        cmocka_unit_test(test_hostile_closed_window_does_not_keep_an_orphan),
        cmocka_unit_test(test_hostile_sack_fragmentation_is_bounded),
    };
    return cmocka_run_group_tests_name("tcp/hostile", tests, NULL, NULL);
}
