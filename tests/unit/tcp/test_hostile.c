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
 * Rows: 5961-5-b 9293-S10 attack-blind-data-injection attack-stale-ack-with-new-data-dropped 5961-5-a */
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
    struct in sack = {.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{1 + MSS, 1 + 3 * MSS}}};
    for (unsigned i = 0; i < 2; i++) {
        rig_write(r, 5 * MSS);
        rig_in(r, sack);
        assert_int_equal(c->loss.sacked_out, 2);
        rig_ack(r, 1 + 5 * MSS);
        r->iss += 5 * MSS; /* and 4 GiB later the same again */
        c->iss.v = r->iss;
    }
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

/* Savage 1999: an ACK for each byte of a segment is worth no more than one for the segment.
 * Rows: 5681-3.1-g attack-ack-division */
static void test_hostile_ack_division_grows_the_window_by_segments(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO);
    rig_write(r, 30 * MSS);
    rig_until(r, r->core.now + WEIR_MS(10));
    for (uint32_t byte = 1; byte <= MSS; byte++) {
        rig_ack(r, 1 + byte);
        rig_forget(r);
    }
    assert_in_range(c->cwnd, 10, 11);
    rig_end(r);
}

/* Savage 1999, VU#102014: what was never sent can't be acknowledged.
 * Rows: attack-optimistic-ack */
static void test_hostile_ack_of_the_unsent_changes_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    rig_write(r, 30 * MSS);
    uint32_t cwnd = c->cwnd;
    rig_forget(r);
    rig_in(r, (struct in){.seq = 1, .ack = 1 + 10 * MSS + 1, .flags = WI_TH_ACK, .wnd = 7, .len = 5});
    assert_int_equal(c->cwnd, cwnd);
    assert_int_equal(c->snd_una.v, ISS + 1);
    assert_int_equal(c->snd_wnd_bytes, 65535);
    assert_int_equal(c->rcv_nxt.v, IRS + 1);
    assert_int_equal(r->whys[0], WEIR_WHY_ACK_CHALLENGE);
    rig_end(r);
}

/* With SACK a dupack that tells nothing new lets nothing new go; without, no more than the peer's window.
 * Rows: 5681-3.2-f attack-duplicate-ack-spoofing */
static void test_hostile_dupacks_send_no_more_than_they_tell(void **state)
{
    (void)state;
    static const unsigned opts[] = {RIG_SACK, 0};
    for (unsigned i = 0; i < 2; i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, opts[i]);
        rig_write(r, 200 * MSS);
        rig_until(r, r->core.now + WEIR_MS(10));
        for (unsigned n = 0; n < 5000; n++) {
            rig_ack(r, 1);
            rig_forget(r);
        }
        uint32_t out = (uint32_t)wi_seq_diff(c->snd_nxt, c->snd_una);
        assert_true(out <= (opts[i] ? 10 * MSS : 65535));
        assert_true(c->cwnd <= 65);
        rig_end(r);
    }
}

/* CVE-2019-11479: a SYN may name any MSS, but what we send stays worth its headers.
 * Rows: attack-excess-resource-from-low-mss */
static void test_hostile_tiny_mss_is_not_obeyed(void **state)
{
    (void)state;
    static const uint16_t named[] = {0, 1, 8, 47};
    for (unsigned i = 0; i < 4; i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS | RIG_SACK);
        wi_tcp_take_peer_mss(c, named[i]);
        wi_tcp_mss_sync(c, c->pmtu);
        assert_int_equal(c->snd_mss, (named[i] ? WI_TCP_MSS_MIN : WI_TCP_MSS_DEFAULT_V4) - 12);
        rig_write(r, 1000);
        assert_true(rig_out(r, 0).len >= c->snd_mss);
        rig_end(r);
    }
}

/* The window may move in any way below what is in flight: nothing runs below zero, nothing beyond it is sent.
 * Rows: MUST-34 attack-window-shrink-attack */
static void test_hostile_window_at_random_breaks_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    struct wi_rng rng;
    wi_rng_init(&rng, 11);
    rig_write(r, 100 * MSS);
    for (unsigned i = 0; i < 3000; i++) {
        uint32_t una = (uint32_t)wi_seq_diff(c->snd_una, (struct wi_seq){ISS});
        uint32_t out = (uint32_t)wi_seq_diff(c->snd_nxt, c->snd_una);
        uint16_t wnd = (uint16_t)wi_rng_below(&rng, wi_rng_below(&rng, 3) ? 4 * MSS : 65536);
        struct wi_seq before = c->snd_nxt;
        uint32_t ack = una + (uint32_t)wi_rng_below(&rng, out + 1) / 8;
        rig_in(r, (struct in){.seq = 1, .ack = ack, .flags = WI_TH_ACK, .wnd = wnd, .wnd_zero = wnd == 0});
        if (!wi_seq_eq(before, c->snd_nxt))
            assert_true(wi_seq_leq(c->snd_nxt, wi_tcp_wnd_end(c)));
        rig_until(r, r->core.now + WEIR_MS(wi_rng_below(&rng, 300)));
        rig_forget(r);
        if (c->sndq.mem_bytes < 50000)
            rig_write(r, 50 * MSS);
    }
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_end(r);
}

/* URGENT/11, AMNESIA:33: the pointer is a number, not an offset into the segment.
 * Rows: attack-amnesia-33-urgent-pointer attack-urgent-11-tcp-urgent
 * attack-infra-halt */
static void test_hostile_urgent_pointer_leads_nowhere(void **state)
{
    (void)state;
    static const uint16_t pointers[] = {0, 1, 2, 3, 65535};
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    uint32_t read = 0;
    for (uint32_t i = 0; i < 40; i++) {
        rig_in(r,
               (struct in){.seq = 1 + i, .ack = 1, .flags = WI_TH_ACK | WI_TH_URG, .len = 1, .urg = pointers[i % 5]});
        uint8_t buf[64], oob;
        struct weir_iovec iov = {buf, sizeof buf}, oob_iov = {&oob, 1};
        struct weir_msg m = {.iov = &iov, .iov_n = 1}, um = {.iov = &oob_iov, .iov_n = 1};
        (void)wi_tcp_sk_ops.recvmsg(&c->sk, &um, WEIR_MSG_OOB);
        int64_t n = wi_tcp_sk_ops.recvmsg(&c->sk, &m, 0);
        read += n > 0 ? (uint32_t)n : 0;
    }
    assert_int_equal(c->rcv_nxt.v, IRS + 41);
    assert_in_range(read, 1, 40);
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
        cmocka_unit_test(test_hostile_ack_division_grows_the_window_by_segments),
        cmocka_unit_test(test_hostile_ack_of_the_unsent_changes_nothing),
        cmocka_unit_test(test_hostile_dupacks_send_no_more_than_they_tell),
        cmocka_unit_test(test_hostile_tiny_mss_is_not_obeyed),
        cmocka_unit_test(test_hostile_window_at_random_breaks_nothing),
        cmocka_unit_test(test_hostile_urgent_pointer_leads_nowhere),
    };
    return cmocka_run_group_tests_name("tcp/hostile", tests, NULL, NULL);
}
