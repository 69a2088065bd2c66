/*
 * What is sent, when and in what size: Nagle, PSH, windows, probes, super-segments, urgent data, resets. RFC
 * 9293 3.7.4, 3.8.6, as Linux does where the RFC leaves room.
 */
#include "rig.h"

#define ISS (UINT32_MAX - 5000) /* the wrap lies within the first flight */
#define IRS 77

/* One write, ten segments of initial window, cut by half the window: Linux's shape. Rows: 6928-a 5681-3.1-b */
static void test_output_initial_window_is_ten_segments(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_write(r, 20 * MSS);
    uint32_t sent = 0;
    for (unsigned i = 0; i < r->pkt_n; i++) {
        struct out o = rig_out(r, i);
        assert_int_equal(o.seq, 1 + sent);
        assert_int_equal(o.first, (uint8_t)(ISS + o.seq));
        assert_int_equal(o.flags, WI_TH_ACK | WI_TH_PSH); /* as Linux marks super-segments */
        sent += o.len;
    }
    assert_int_equal(sent, 10 * MSS);
    assert_int_equal(c->loss.packets_out, 10);
    rig_end(r);
}

/* Rows: MUST-61 */
static void test_output_psh_marks_the_end_of_each_write(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_write(r, 2 * MSS + 100);
    assert_int_equal(r->pkt_n, 1);
    expect_out(r, 0, WI_TH_ACK | WI_TH_PSH, 1, 2 * MSS + 100);
    assert_int_equal(rig_out(r, 0).gso_size, MSS);
    rig_write(r, MSS);
    expect_out(r, 1, WI_TH_ACK | WI_TH_PSH, 1 + 2 * MSS + 100, MSS);
    rig_end(r);
}

/* Two segments in order and three beyond a hole, in one batch: the first ACK moves snd_una, and is no dupack to a peer
 * that counts them. RFC 5681 4.2. */
static void test_output_dupacks_without_sack_come_beside_the_ack_for_data_in_order(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    c->sack_ok = false;
    wi_tcp_owe_ack(c, WEIR_WHY_ACK);
    for (int i = 0; i < 3; i++)
        wi_tcp_ack_ahead(c);
    rig_flush(r);
    assert_int_equal(r->pkt_n, 4);
    wi_tcp_ack_ahead(c);
    wi_tcp_owe_ack(c, WEIR_WHY_ACK);
    rig_flush(r);
    assert_int_equal(r->pkt_n, 5);
    rig_end(r);
}

/* RFC 9293 3.7.4 in Minshall's form. Rows: SHLD-7 */
static void test_output_nagle_holds_a_small_segment_while_another_is_out(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_write(r, 100);
    rig_write(r, 100);
    rig_write(r, 100);
    assert_int_equal(r->pkt_n, 1);
    rig_ack(r, 101);
    assert_int_equal(r->pkt_n, 2);
    expect_out(r, 1, WI_TH_ACK | WI_TH_PSH, 101, 200);
    c->nodelay = true; /* Rows: MUST-17 */
    rig_write(r, 50);
    expect_out(r, 2, WI_TH_ACK | WI_TH_PSH, 301, 50);
    rig_end(r);
}

/* Rows: MAY-16 */
static void test_output_cork_and_more_hold_partial_segments(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    struct weir_iovec iov = {(uint8_t[10]){0}, 10};
    assert_int_equal(wi_tcp_sndq_write(c, &iov, 1, WEIR_MSG_MORE), 10);
    rig_flush(r);
    assert_int_equal(r->pkt_n, 0);
    assert_int_equal(wi_tcp_sndq_write(c, &iov, 1, 0), 10);
    rig_flush(r);
    expect_out(r, 0, WI_TH_ACK | WI_TH_PSH, 1, 20);
    rig_ack(r, 21);
    c->cork = true;
    rig_write(r, MSS + 1);
    expect_out(r, 1, WI_TH_ACK, 21, MSS);
    rig_end(r);
}

/* RFC 9293 3.8.6.2.1: nothing beyond the window. Rows: 5681-2-a 7323-11 */
static void test_output_never_exceeds_the_peers_window(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_write(r, 10);
    rig_in(r, (struct in){.seq = 1, .ack = 11, .flags = WI_TH_ACK, .wnd = 2500});
    rig_write(r, 5000);
    uint32_t end = 0;
    for (unsigned i = 0; i < r->pkt_n; i++)
        end = rig_out(r, i).seq + rig_out(r, i).len;
    assert_true(end <= 11 + 2500);
    assert_true(end >= 11 + 2000);
    rig_end(r);
}

/* RFC 9293 3.8.6.1: probes, at growing intervals, for as long as they are answered. Rows: MUST-36 MUST-37 SHLD-29
 * SHLD-30 */
static void test_output_zero_window_is_probed_for_ever_while_answered(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd_zero = true});
    rig_write(r, 100);
    assert_int_equal(r->pkt_n, 0);
    weir_ns last = r->core.now, gap = 0;
    for (int i = 0; i < 40; i++) {
        rig_until(r, wi_wheel_deadline(&r->core.wheel));
        assert_int_equal(r->pkt_n, 1);
        assert_int_equal(r->whys[0], WEIR_WHY_PROBE_WINDOW);
        expect_out(r, 0, WI_TH_ACK, 0, 0); /* SND.UNA - 1 */
        weir_ns now_gap = r->core.now - last;
        assert_true(now_gap >= gap && now_gap <= WEIR_SEC(120));
        gap = now_gap;
        last = r->core.now;
        rig_forget(r);
        rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd_zero = true});
    }
    assert_int_equal(gap, WEIR_SEC(120));
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd = 1000});
    expect_out(r, 0, WI_TH_ACK | WI_TH_PSH, 1, 100);
    rig_end(r);
}

static void test_output_zero_window_probes_unanswered_end_the_connection(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd_zero = true});
    rig_write(r, 100);
    rig_until(r, r->core.now + WEIR_SEC(3600));
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    assert_int_equal(c->sk.err, WEIR_ETIMEDOUT);
    rig_end(r);
}

/* The window shrinks below what is in flight: RFC 9293 3.8.6 wants robustness against it. Rows: MUST-34 */
static void test_output_shrunk_window_is_survived(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_write(r, 5 * MSS);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 1, .ack = 1 + MSS, .flags = WI_TH_ACK, .wnd_zero = true});
    rig_until(r, r->core.now + WEIR_SEC(3));
    for (unsigned i = 0; i < r->pkt_n; i++)
        assert_true(rig_out(r, i).seq == 1 + MSS && rig_out(r, i).len <= MSS);
    assert_true(r->pkt_n >= 2);
    rig_in(r, (struct in){.seq = 1, .ack = 1 + MSS, .flags = WI_TH_ACK});
    for (int i = 0; i < 20 && c->loss.packets_out; i++) {
        rig_until(r, r->core.now + WEIR_MS(10));
        rig_ack(r, c->snd_nxt.v - r->iss);
    }
    assert_int_equal(c->loss.packets_out, 0);
    rig_end(r);
}

/* RFC 6093 3.1 and everybody: the pointer names the byte behind the urgent one. Rows: MUST-62 */
static void test_output_urgent_pointer_names_the_byte_behind(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    struct weir_iovec iov = {(uint8_t[3]){1, 2, 3}, 3};
    assert_int_equal(wi_tcp_sndq_write(c, &iov, 1, WEIR_MSG_OOB), 3);
    rig_flush(r);
    struct out o = rig_out(r, 0);
    assert_true(o.flags & WI_TH_URG);
    assert_int_equal(o.h.urg, 3);
    rig_ack(r, 4);
    rig_write(r, 1);
    assert_false(rig_out(r, 1).flags & WI_TH_URG);
    rig_end(r);
}

/* RFC 9293 3.6: the FIN rides on the last data, and is sent though Nagle would hold them. Rows: 9293-S18 9293-S23 */
static void test_output_fin_rides_on_the_last_data(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_write(r, 100);
    rig_write(r, 100); /* held */
    wi_tcp_end_send(c, "test");
    rig_flush(r);
    assert_int_equal(r->pkt_n, 2);
    expect_out(r, 1, WI_TH_ACK | WI_TH_PSH | WI_TH_FIN, 101, 100);
    assert_int_equal(c->state, WEIR_TCP_FIN_WAIT_1);
    rig_end(r);
}

/* RFC 9293 3.10.5: <SEQ=SND.NXT><CTL=RST>. Rows: 9293-S19 */
static void test_output_abort_sends_a_reset_at_snd_nxt(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    rig_write(r, 100);
    rig_forget(r);
    wi_tcp_done(c, WEIR_ECONNRESET, WEIR_WHY_RST_ABORT, "user abort");
    rig_flush(r);
    expect_out(r, 0, WI_TH_ACK | WI_TH_RST, 101, 0);
    assert_int_equal(c->loss.packets_out, 0);
    assert_true(wi_wheel_deadline(&r->core.wheel) == WEIR_NEVER);
    rig_end(r);
}

/* Views are sent as they were lent; their block goes when everything is acknowledged. */
static bool lent_released;

static void lent_release(struct weir_block *b)
{
    (void)b;
    lent_released = true;
}

static void test_output_lent_views_are_released_when_acknowledged(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    static uint8_t bytes[3000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 3);
    struct weir_block block;
    weir_block_lend(&block, bytes, sizeof bytes, lent_release);
    struct weir_frag f[2] = {{&block, 0, 2500}, {&block, 2500, 500}};
    lent_released = false;
    assert_int_equal(wi_tcp_sndq_write_frags(c, f, 2, 0), 3000);
    weir_block_unref(&block);
    rig_flush(r);
    uint8_t got[4000];
    struct weir_pkt *p = r->pkts[0];
    size_t n = weir_pkt_copy(p, p->len - 3000, got, sizeof got);
    assert_int_equal(n, 3000);
    assert_memory_equal(got, bytes, 3000);
    rig_forget(r);
    assert_false(lent_released);
    rig_ack(r, 3001);
    assert_true(lent_released);
    rig_end(r);
}

/* RFC 5681 4.1: after an idle RTO the window begins again. Rows: 5681-4.1-a */
static void test_output_window_restarts_after_idle(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, ISS, IRS);
    for (int i = 0; i < 4; i++) {
        rig_write(r, 40 * MSS);
        rig_forget(r);
        while (c->loss.packets_out) {
            rig_until(r, r->core.now + WEIR_MS(10));
            rig_ack(r, c->snd_nxt.v - r->iss);
            rig_forget(r);
        }
    }
    assert_true(c->cwnd > 10);
    rig_until(r, r->core.now + WEIR_SEC(60));
    rig_write(r, 40 * MSS);
    assert_int_equal(c->loss.packets_out, 10);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_initial_window_is_ten_segments),
        cmocka_unit_test(test_output_psh_marks_the_end_of_each_write),
        cmocka_unit_test(test_output_dupacks_without_sack_come_beside_the_ack_for_data_in_order),
        cmocka_unit_test(test_output_nagle_holds_a_small_segment_while_another_is_out),
        cmocka_unit_test(test_output_cork_and_more_hold_partial_segments),
        cmocka_unit_test(test_output_never_exceeds_the_peers_window),
        cmocka_unit_test(test_output_zero_window_is_probed_for_ever_while_answered),
        cmocka_unit_test(test_output_zero_window_probes_unanswered_end_the_connection),
        cmocka_unit_test(test_output_shrunk_window_is_survived),
        cmocka_unit_test(test_output_urgent_pointer_names_the_byte_behind),
        cmocka_unit_test(test_output_fin_rides_on_the_last_data),
        cmocka_unit_test(test_output_abort_sends_a_reset_at_snd_nxt),
        cmocka_unit_test(test_output_lent_views_are_released_when_acknowledged),
        cmocka_unit_test(test_output_window_restarts_after_idle),
    };
    return cmocka_run_group_tests_name("tcp/output", tests, NULL, NULL);
}
