/*
 * Segment arrival: each check of RFC 9293 3.10.7.4 in each state that it applies to, with RFC 5961's and RFC 7323's
 * tightenings. Initial numbers near the wrap, so that every comparison crosses it.
 */
#include "rig.h"

#define ISS UINT32_MAX
#define IRS (UINT32_MAX - 1)

static const enum weir_tcp_state synchronised[] = {
    WEIR_TCP_ESTABLISHED, WEIR_TCP_FIN_WAIT_1, WEIR_TCP_FIN_WAIT_2,
    WEIR_TCP_CLOSE_WAIT,  WEIR_TCP_CLOSING,    WEIR_TCP_LAST_ACK,
};

static uint32_t rcv_nxt(const struct rig *r)
{
    return r->c->rcv_nxt.v - r->irs;
}

static uint32_t snd_nxt(const struct rig *r)
{
    return r->c->snd_nxt.v - r->iss;
}

static uint32_t snd_una(const struct rig *r)
{
    return r->c->snd_una.v - r->iss;
}

/* RFC 9293 3.10.7.4 first check: an unacceptable segment is answered with an ACK and dropped. Rows: 9293-S6 9293-S7 */
static void test_input_segment_beyond_the_window_is_answered_with_ack(void **state)
{
    (void)state;
    for (size_t i = 0; i < WI_ARRAY_LEN(synchronised); i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = conn_in(r, synchronised[i], ISS, IRS);
        rig_in(r, (struct in){.seq = 100000, .ack = snd_una(r), .flags = WI_TH_ACK, .len = 10});
        assert_int_equal(r->pkt_n, 1);
        struct out o = rig_out(r, 0);
        assert_int_equal(o.flags, WI_TH_ACK);
        assert_int_equal(o.seq, snd_nxt(r));
        assert_int_equal(o.ack, rcv_nxt(r));
        assert_int_equal(c->state, synchronised[i]);
        assert_int_equal(r->core.stats.drop[WEIR_DROP_TCP_BEYOND_WND], 1);
        rig_end(r);
    }
}

/* Likewise what was received before. Rows: 9293-S7 */
static void test_input_old_segment_is_answered_with_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    rig_forget(r);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    expect_out(r, 0, WI_TH_ACK, 1, 0);
    assert_int_equal(rig_out(r, 0).ack, 101);
    rig_end(r);
}

/* RFC 9293 3.10.7.4 second check, RFC 5961 3.2: exactly at RCV.NXT, in every synchronised state. Rows: 5961-3-a */
static void test_input_rst_at_rcv_nxt_resets(void **state)
{
    (void)state;
    for (size_t i = 0; i < WI_ARRAY_LEN(synchronised); i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = conn_in(r, synchronised[i], ISS, IRS);
        rig_in(r, (struct in){.seq = rcv_nxt(r), .flags = WI_TH_RST});
        assert_int_equal(c->state, WEIR_TCP_CLOSED);
        assert_int_equal(c->sk.err, synchronised[i] == WEIR_TCP_CLOSE_WAIT ? WEIR_EPIPE : WEIR_ECONNRESET);
        assert_true(r->ready & WEIR_POLLERR && r->ready & WEIR_POLLHUP);
        assert_int_equal(r->pkt_n, 0);
        rig_end(r);
    }
}

/* RFC 5961 3.2: in the window but elsewhere: a challenge. Rows: 5961-3-b attack-rst-flood-blind-reset */
static void test_input_rst_inside_the_window_is_challenged(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 2, .flags = WI_TH_RST});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    expect_out(r, 0, WI_TH_ACK, 1, 0);
    assert_int_equal(r->whys[0], WEIR_WHY_ACK_CHALLENGE);
    rig_end(r);
}

/* Rows: 5961-3-c
 * attack-urgent-11-others */
static void test_input_rst_outside_the_window_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 0, .flags = WI_TH_RST});
    rig_in(r, (struct in){.seq = 200000, .flags = WI_TH_RST});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    assert_int_equal(r->pkt_n, 0);
    rig_end(r);
}

/* RFC 5961 4.2: whatever its number. Rows: 5961-4-a attack-blind-syn-reset */
static void test_input_syn_is_challenged_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < WI_ARRAY_LEN(synchronised); i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = conn_in(r, synchronised[i], ISS, IRS);
        rig_in(r, (struct in){.seq = rcv_nxt(r), .flags = WI_TH_SYN, .mss = 1460});
        assert_int_equal(c->state, synchronised[i]);
        assert_int_equal(r->pkt_n, 1);
        assert_int_equal(rig_out(r, 0).flags, WI_TH_ACK);
        assert_int_equal(r->whys[0], WEIR_WHY_ACK_CHALLENGE);
        rig_end(r);
    }
}

/* RFC 9293 3.10.7.4 fifth check: no ACK, no processing. Rows: 9293-S12 */
static void test_input_segment_without_ack_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 1, .flags = 0, .len = 10});
    assert_int_equal(rcv_nxt(r), 1);
    assert_int_equal(r->core.stats.drop[WEIR_DROP_TCP_NO_ACK], 1);
    rig_end(r);
}

/* RFC 9293 3.10.7.4: "If the ACK acks something not yet sent, then send an ACK, drop the segment." Rows: 9293-S10
 * 5961-5-b attack-blind-data-injection */
static void test_input_ack_of_unsent_is_challenged_and_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 1, .ack = 2, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(rcv_nxt(r), 1);
    assert_int_equal(snd_una(r), 1);
    expect_out(r, 0, WI_TH_ACK, 1, 0);
    rig_end(r);
}

/* RFC 5961 5.2: SND.UNA - MAX.SND.WND. Rows: MAY-12 5961-5-a 5961-5-b attack-blind-data-injection */
static void test_input_ack_older_than_any_window_is_challenged_and_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS)->bytes_acked = 1 << 20;
    rig_in(r, (struct in){.seq = 1, .ack = 1u - 70000u, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(rcv_nxt(r), 1);
    assert_int_equal(r->whys[0], WEIR_WHY_ACK_CHALLENGE);
    /* A little older is an old ACK only: its data count. */
    rig_in(r, (struct in){.seq = 1, .ack = 1u - 60000u, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(rcv_nxt(r), 11);
    rig_end(r);
}

/* RFC 7323 5.3 R1, and R3's rule for what ts_recent becomes. Rows: 7323-29 7323-36 */
static void test_input_paws_drops_an_old_timestamp(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 100});
    assert_int_equal(rcv_nxt(r), 11);
    assert_int_equal(c->ts_recent, 100);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 11, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 98});
    assert_int_equal(rcv_nxt(r), 11);
    assert_int_equal(r->core.stats.drop[WEIR_DROP_TCP_PAWS], 1);
    expect_out(r, 0, WI_TH_ACK, 1, 0);
    /* Before the number is looked at. Rows: 7323-30 */
    rig_in(r, (struct in){.seq = (uint32_t)-50, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 98});
    assert_int_equal(r->core.stats.drop[WEIR_DROP_TCP_PAWS], 2);
    /* RFC 7323 5.5: after 24 days the old one counts no more. */
    rig_until(r, RIG_START + WEIR_SEC(25 * 24 * 3600));
    rig_in(r, (struct in){.seq = 11, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 98});
    assert_int_equal(rcv_nxt(r), 21);
    rig_end(r);
}

/* RFC 7323 5.3: an RST is not subject to PAWS. Rows: 7323-32 5961-x-a */
static void test_input_paws_lets_rst_through(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 100});
    rig_in(r, (struct in){.seq = 11, .flags = WI_TH_RST, .ts = true, .tsval = 5});
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    rig_end(r);
}

/* RFC 9293 3.10.7.4 eighth check, for every state that a first FIN can meet. Rows: 9293-S14 9293-S16 */
static void test_input_fin_moves_each_state_on(void **state)
{
    (void)state;
    static const struct {
        enum weir_tcp_state from, to;
    } edges[] = {{WEIR_TCP_ESTABLISHED, WEIR_TCP_CLOSE_WAIT},
                 {WEIR_TCP_FIN_WAIT_1, WEIR_TCP_CLOSING},
                 {WEIR_TCP_FIN_WAIT_2, WEIR_TCP_TIME_WAIT}};
    for (size_t i = 0; i < WI_ARRAY_LEN(edges); i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = conn_in(r, edges[i].from, ISS, IRS);
        rig_in(r, (struct in){.seq = 1, .ack = snd_una(r), .flags = WI_TH_ACK | WI_TH_FIN});
        assert_int_equal(c->state, edges[i].to);
        assert_int_equal(rcv_nxt(r), 2);
        assert_true(r->ready & WEIR_POLLRDHUP);
        if (edges[i].from != WEIR_TCP_ESTABLISHED)
            assert_int_equal(rig_out(r, 0).ack, 2); /* at once; CLOSE-WAIT may wait for our own FIN */
        rig_end(r);
    }
}

/* The FIN that acknowledges ours: FIN-WAIT-1 to TIME-WAIT in one segment (figure 5). */
static void test_input_fin_with_ack_of_fin_goes_to_time_wait(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_FIN_WAIT_1, ISS, IRS);
    rig_in(r, (struct in){.seq = 1, .ack = 2, .flags = WI_TH_ACK | WI_TH_FIN});
    assert_int_equal(c->state, WEIR_TCP_TIME_WAIT);
    assert_true(c->is_shell);
    expect_out(r, 0, WI_TH_ACK, 2, 0);
    assert_int_equal(rig_out(r, 0).ack, 2);
    rig_end(r);
}

/* Rows: 9293-S14 */
static void test_input_ack_of_fin_moves_each_state_on(void **state)
{
    (void)state;
    static const struct {
        enum weir_tcp_state from, to;
    } edges[] = {{WEIR_TCP_FIN_WAIT_1, WEIR_TCP_FIN_WAIT_2},
                 {WEIR_TCP_CLOSING, WEIR_TCP_TIME_WAIT},
                 {WEIR_TCP_LAST_ACK, WEIR_TCP_CLOSED}};
    for (size_t i = 0; i < WI_ARRAY_LEN(edges); i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = conn_in(r, edges[i].from, ISS, IRS);
        rig_in(r, (struct in){.seq = rcv_nxt(r), .ack = 2, .flags = WI_TH_ACK});
        assert_int_equal(c->state, edges[i].to);
        assert_int_equal(c->sk.err, 0);
        rig_end(r);
    }
}

/* A FIN behind a gap waits for it. Rows: 9293-S13 */
static void test_input_fin_out_of_order_waits_for_the_gap(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 101, .ack = 1, .flags = WI_TH_ACK | WI_TH_FIN, .len = 50});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    assert_int_equal(c->state, WEIR_TCP_CLOSE_WAIT);
    assert_int_equal(rcv_nxt(r), 152);
    rig_end(r);
}

/* RFC 1122 4.2.2.13, RFC 9293 3.6.1: data that nobody can read any more. Rows: SHLD-3
 * MAY-1 */
static void test_input_data_after_close_is_reset(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_FIN_WAIT_2, ISS, IRS);
    c->shut = 3;
    rig_in(r, (struct in){.seq = 1, .ack = 2, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    expect_out(r, 0, WI_TH_RST, 2, 0);
    assert_int_equal(r->whys[0], WEIR_WHY_RST_UNREAD);
    rig_end(r);
}

/* Half-closed by shutdown only: the data are welcome. RFC 9293 3.6. Rows: 9293-S15 9293-S25 */
static void test_input_data_after_half_close_is_taken(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_FIN_WAIT_2, ISS, IRS);
    c->shut = 2;
    rig_in(r, (struct in){.seq = 1, .ack = 2, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(c->state, WEIR_TCP_FIN_WAIT_2);
    assert_int_equal(rcv_nxt(r), 11);
    rig_end(r);
}

/* RFC 5681 4.2: each out-of-order segment is acknowledged at once; so is the one that fills the gap.
 * Rows: 5681-3.2-a 5681-3.2-b MAY-13 */
static void test_input_out_of_order_data_are_acknowledged_at_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)rig_establish(r, ISS, IRS, RIG_SACK);
    rig_in(r, (struct in){.seq = 101, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    assert_int_equal(r->pkt_n, 1);
    struct out o = rig_out(r, 0);
    assert_int_equal(o.ack, 1);
    assert_int_equal(o.h.sack_n, 1);
    assert_int_equal(o.h.sacks[0].lo.v - r->irs, 101);
    assert_int_equal(o.h.sacks[0].hi.v - r->irs, 201);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    assert_int_equal(r->pkt_n, 2);
    assert_int_equal(rig_out(r, 1).ack, 201);
    rig_end(r);
}

/* RFC 1122 4.2.3.2: every second full segment at once, a single one within 500 ms (here 40).
 * Rows: MUST-40 MUST-58 SHLD-18 SHLD-19 5681-4.2-a 5681-4.2-b */
static void test_input_in_order_data_are_acknowledged_every_second_segment(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    uint32_t seq = 1;
    for (; c->quick_acks || seq == 1; seq += MSS) { /* Linux's quick ACKs at the start */
        rig_in(r, (struct in){.seq = seq, .ack = 1, .flags = WI_TH_ACK, .len = MSS});
        assert_int_equal(r->pkt_n, 1);
        rig_forget(r);
    }
    rig_in(r, (struct in){.seq = seq, .ack = 1, .flags = WI_TH_ACK, .len = MSS});
    assert_int_equal(r->pkt_n, 0);
    rig_until(r, r->core.now + WEIR_MS(50));
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(r->whys[0], WEIR_WHY_ACK_DELAYED);
    assert_int_equal(rig_out(r, 0).ack, seq + MSS);
    rig_end(r);
}

/* A window of a gibibyte, both ways (RFC 7323 2.3): scale 14, and the numbers hold across the wrap. */
static void test_input_window_of_a_gibibyte_is_used_to_its_end(void **state)
{
    (void)state;
    const uint32_t wnd = 65535u << 14;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, UINT32_MAX - 5000, UINT32_MAX - 7000, RIG_SACK);
    c->wscale_ok = true;
    c->rcv_wscale = c->snd_wscale = 14;
    c->sk.opts.rcvbuf_bytes = INT32_MAX;
    c->rcvq.clamp_bytes = 0;
    c->rcvq.rcv_ssthresh_bytes = INT32_MAX;

    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10, .wnd = 65535});
    rig_until(r, AT_MS(300));
    assert_int_equal(c->snd_wnd_bytes, wnd);
    assert_int_equal(wi_seq_diff(wi_tcp_wnd_end(c), c->snd_una), wnd);
    assert_int_equal(rig_out(r, r->pkt_n - 1).wnd, 65535);
    assert_int_equal(c->rcv_wnd_bytes, wnd);

    rig_in(r, (struct in){.seq = 11 + wnd - 100, .ack = 1, .flags = WI_TH_ACK, .len = 100, .wnd = 65535});
    assert_int_equal(c->rcv_ooopack, 1);
    rig_in(r, (struct in){.seq = 11 + wnd, .ack = 1, .flags = WI_TH_ACK, .len = 100, .wnd = 65535});
    assert_int_equal(c->rcv_ooopack, 1); /* beyond it */
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_window_of_a_gibibyte_is_used_to_its_end),
        cmocka_unit_test(test_input_segment_beyond_the_window_is_answered_with_ack),
        cmocka_unit_test(test_input_old_segment_is_answered_with_ack),
        cmocka_unit_test(test_input_rst_at_rcv_nxt_resets),
        cmocka_unit_test(test_input_rst_inside_the_window_is_challenged),
        cmocka_unit_test(test_input_rst_outside_the_window_is_dropped),
        cmocka_unit_test(test_input_syn_is_challenged_in_every_state),
        cmocka_unit_test(test_input_segment_without_ack_is_dropped),
        cmocka_unit_test(test_input_ack_of_unsent_is_challenged_and_dropped),
        cmocka_unit_test(test_input_ack_older_than_any_window_is_challenged_and_dropped),
        cmocka_unit_test(test_input_paws_drops_an_old_timestamp),
        cmocka_unit_test(test_input_paws_lets_rst_through),
        cmocka_unit_test(test_input_fin_moves_each_state_on),
        cmocka_unit_test(test_input_fin_with_ack_of_fin_goes_to_time_wait),
        cmocka_unit_test(test_input_ack_of_fin_moves_each_state_on),
        cmocka_unit_test(test_input_fin_out_of_order_waits_for_the_gap),
        cmocka_unit_test(test_input_data_after_close_is_reset),
        cmocka_unit_test(test_input_data_after_half_close_is_taken),
        cmocka_unit_test(test_input_out_of_order_data_are_acknowledged_at_once),
        cmocka_unit_test(test_input_in_order_data_are_acknowledged_every_second_segment),
    };
    return cmocka_run_group_tests_name("tcp/input", tests, NULL, NULL);
}
