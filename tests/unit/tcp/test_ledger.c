/* The ledger: each cause provoked, with its time to the nanosecond, and nothing charged to any other. */
#include "rig.h"

#include <inttypes.h>

#define RTT_MS 10

static struct rig *r;
static struct wi_tcp_conn *c;

/* An established connection whose path takes RTT_MS, without variation. */
static void begin(unsigned opts)
{
    r = rig_new();
    c = rig_establish(r, 1000, 5000, opts);
    c->rtt.srtt_us8 = RTT_MS * 1000 * 8;
    c->rtt.mdev_us4 = 0;
    c->rtt.rttvar_us4 = c->rtt.mdev_max_us4 = 200 * 1000;
}

static void end(void)
{
    rig_end(r);
}

static weir_ns spent(enum weir_cause cause)
{
    return wi_tcp_ledger_read(c).spent[cause];
}

/* The whole life has gone to `cause`, but for `rest_ms` that went to `rest`. */
static void expect_ms(enum weir_cause cause, unsigned ms, enum weir_cause rest, unsigned rest_ms)
{
    struct weir_ledger l = wi_tcp_ledger_read(c);
    assert_int_equal(l.spent[cause], WEIR_MS(ms));
    assert_int_equal(l.spent[rest], WEIR_MS(rest_ms));
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++) {
        if (l.spent[i] && i != (unsigned)cause && i != (unsigned)rest)
            fail_msg("%" PRIu64 " ns of %s", l.spent[i], weir_cause_text((enum weir_cause)i));
    }
    assert_int_equal(l.life, WEIR_MS(ms + rest_ms));
}

static void test_ledger_nothing_to_do_is_idle(void **state)
{
    (void)state;
    begin(0);
    rig_until(r, AT_MS(50));
    expect_ms(WEIR_CAUSE_IDLE, 50, WEIR_CAUSE_HANDSHAKE, 0);
    end();
}

static void test_ledger_written_and_under_way_is_the_applications(void **state)
{
    (void)state;
    begin(0);
    rig_write(r, 500);
    rig_until(r, AT_MS(20));
    rig_ack(r, 501);
    rig_until(r, AT_MS(25));
    expect_ms(WEIR_CAUSE_APPLICATION, 20, WEIR_CAUSE_IDLE, 5);
    end();
}

static void test_ledger_peer_has_ended_is_the_applications(void **state)
{
    (void)state;
    begin(0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK | WI_TH_FIN});
    rig_until(r, AT_MS(30));
    expect_ms(WEIR_CAUSE_APPLICATION, 30, WEIR_CAUSE_IDLE, 0);
    end();
}

/* Two round trips and the peer's delayed ACK: then only a timer helps. Probe and timeout change nothing about that. */
static void test_ledger_acknowledgement_overdue_is_the_timeouts(void **state)
{
    (void)state;
    begin(RIG_SACK);
    rig_write(r, 500);
    rig_until(r, AT_MS(1500));
    expect_ms(WEIR_CAUSE_APPLICATION, 2 * RTT_MS + 200, WEIR_CAUSE_RTO_WAIT, 1500 - 2 * RTT_MS - 200);
    assert_true(c->total_rto > 0);
    end();
}

static void test_ledger_window_too_small_is_the_receivers(void **state)
{
    (void)state;
    begin(0);
    c->snd_wnd_bytes = 1500;
    rig_write(r, 5 * MSS);
    rig_until(r, AT_MS(15));
    assert_int_equal(wi_seq_diff(c->snd_nxt, c->snd_una), 1500);
    rig_in(r, (struct in){.seq = 1, .ack = 1501, .flags = WI_TH_ACK, .wnd = 65535});
    rig_until(r, AT_MS(18));
    expect_ms(WEIR_CAUSE_RCV_WINDOW, 15, WEIR_CAUSE_APPLICATION, 3);
    end();
}

static void test_ledger_window_closed_is_the_zero_windows(void **state)
{
    (void)state;
    begin(0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd_zero = true});
    rig_write(r, 5 * MSS);
    rig_until(r, AT_MS(3000)); /* over probes */
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd = 65535});
    rig_until(r, AT_MS(3007));
    expect_ms(WEIR_CAUSE_ZERO_WINDOW, 3000, WEIR_CAUSE_APPLICATION, 7);
    end();
}

static void test_ledger_cwnd_full_is_the_congestion_windows(void **state)
{
    (void)state;
    begin(RIG_RENO);
    c->cwnd = 2;
    rig_write(r, 4 * MSS);
    rig_until(r, AT_MS(10));
    assert_int_equal(c->loss.packets_out, 2);
    rig_ack(r, 2 * MSS + 1);
    assert_null(c->sndq.send_head);
    rig_until(r, AT_MS(14));
    expect_ms(WEIR_CAUSE_CWND, 10, WEIR_CAUSE_APPLICATION, 4);
    end();
}

/* A thousand bytes a millisecond, two segments at once; after a pause the first pair costs half: the last of five pairs
 * leaves after 1 + 3 × 2 ms. */
static void test_ledger_rate_limited_is_pacings(void **state)
{
    (void)state;
    begin(0);
    uint64_t rate = 1000 * 1000;
    c->sk.opts.max_pacing_bps = rate;
    c->data_segs_out = 100;
    wi_tcp_pacing_limit(c);
    rig_write(r, 10 * MSS);
    rig_until(r, AT_MS(12));
    assert_int_equal(c->loss.packets_out, 10);
    expect_ms(WEIR_CAUSE_PACING, 7, WEIR_CAUSE_APPLICATION, 5);
    end();
}

static void test_ledger_writer_refused_is_the_send_buffers(void **state)
{
    (void)state;
    static uint8_t bytes[64 << 10];
    begin(0);
    c->sk.opts.sndbuf_locked = true;
    c->sk.opts.sndbuf_bytes = 8192;
    c->cwnd = 100;
    struct weir_iovec iov = {bytes, sizeof bytes};
    int64_t took = wi_tcp_sndq_write(c, &iov, 1, 0);
    assert_in_range(took, 1, sizeof bytes - 1);
    rig_flush(r);
    rig_until(r, AT_MS(9));
    assert_null(c->sndq.send_head);
    rig_ack(r, (uint32_t)took + 1);
    rig_until(r, AT_MS(11));
    expect_ms(WEIR_CAUSE_SEND_BUFFER, 9, WEIR_CAUSE_IDLE, 2);
    end();
}

static void test_ledger_small_segment_held_is_nagles(void **state)
{
    (void)state;
    begin(0);
    rig_write(r, 100);
    rig_write(r, 100);
    rig_until(r, AT_MS(10));
    assert_non_null(c->sndq.send_head);
    rig_ack(r, 101);
    rig_until(r, AT_MS(13));
    expect_ms(WEIR_CAUSE_NAGLE, 10, WEIR_CAUSE_APPLICATION, 3);
    end();
}

static void test_ledger_cork_is_nagles(void **state)
{
    (void)state;
    begin(0);
    c->cork = true;
    rig_write(r, 100);
    rig_until(r, AT_MS(10));
    assert_int_equal(c->loss.packets_out, 0);
    expect_ms(WEIR_CAUSE_NAGLE, 10, WEIR_CAUSE_IDLE, 0);
    end();
}

static void test_ledger_loss_is_recoverys_until_repaired(void **state)
{
    (void)state;
    begin(RIG_SACK);
    rig_write(r, 6 * MSS);
    rig_until(r, AT_MS(10));
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{MSS + 1, 6 * MSS + 1}}});
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    rig_until(r, AT_MS(20));
    rig_ack(r, 6 * MSS + 1);
    expect_ms(WEIR_CAUSE_RECOVERY, 10, WEIR_CAUSE_APPLICATION, 10);
    end();
}

/* The repair of a loss can be lost as well: then recovery waits for the timeout. */
static void test_ledger_lost_retransmission_is_the_timeouts(void **state)
{
    (void)state;
    begin(RIG_SACK);
    rig_write(r, 6 * MSS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{MSS + 1, 6 * MSS + 1}}});
    c->rtt.srtt_us8 = RTT_MS * 1000 * 8;
    rig_until(r, AT_MS(100));
    expect_ms(WEIR_CAUSE_RECOVERY, 2 * RTT_MS + 2, WEIR_CAUSE_RTO_WAIT, 100 - 2 * RTT_MS - 2);
    end();
}

static void test_ledger_smaller_path_is_the_path_mtus(void **state)
{
    (void)state;
    begin(RIG_SACK);
    rig_write(r, 4 * MSS);
    rig_until(r, AT_MS(5));
    wi_tcp_ledger_charge(c);
    c->dst.mtu = 600;
    wi_tcp_mtu_reduced(c, 600);
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
    rig_flush(r);
    rig_until(r, AT_MS(15));
    expect_ms(WEIR_CAUSE_PATH_MTU, 10, WEIR_CAUSE_APPLICATION, 5);
    end();
}

static void test_ledger_data_that_arrives_is_receiving_then_idle(void **state)
{
    (void)state;
    begin(0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    rig_until(r, AT_MS(RTT_MS - 1));
    rig_in(r, (struct in){.seq = 101, .ack = 1, .flags = WI_TH_ACK, .len = 100});
    rig_until(r, AT_MS(100));
    expect_ms(WEIR_CAUSE_RECEIVING, 2 * RTT_MS - 1, WEIR_CAUSE_IDLE, 100 - 2 * RTT_MS + 1);
    end();
}

static void test_ledger_unread_data_fills_the_window_is_the_readers(void **state)
{
    (void)state;
    begin(0);
    uint32_t seq = 1;
    while (wi_tcp_window_left(c) >= MSS) {
        rig_in(r, (struct in){.seq = seq, .ack = 1, .flags = WI_TH_ACK, .len = MSS});
        seq += MSS;
        assert_true(seq < 1000 * MSS);
    }
    c->rcv_mss_est = MSS;
    rig_until(r, AT_MS(40));
    expect_ms(WEIR_CAUSE_READER, 40, WEIR_CAUSE_RECEIVING, 0);
    end();
}

static void test_ledger_fin_under_way_and_answered_is_closing(void **state)
{
    (void)state;
    begin(0);
    rig_write(r, 500);
    rig_until(r, AT_MS(5));
    wi_tcp_end_send(c, "test");
    rig_flush(r);
    rig_until(r, AT_MS(12));
    rig_ack(r, 502);
    assert_int_equal(c->state, WEIR_TCP_FIN_WAIT_2);
    rig_until(r, AT_MS(20));
    expect_ms(WEIR_CAUSE_CLOSING, 15, WEIR_CAUSE_APPLICATION, 5);
    end();
}

/* Linux's counter, tcpi_sndbuf_limited: the writer was refused more, and what the buffer holds has left without filling
 * the congestion window. It ends when there is room. */
static void test_chrono_sndbuf_limited_is_while_the_writer_waits_for_room(void **state)
{
    (void)state;
    static uint8_t bytes[3 * MSS];
    begin(0);
    c->cwnd = 100;
    struct weir_iovec iov = {bytes, sizeof bytes};
    assert_int_equal(wi_tcp_sndq_write(c, &iov, 1, 0), sizeof bytes);
    c->sndq.was_refused = c->sndq.was_full = true;
    c->sk.opts.sndbuf_bytes = 3500;
    c->sk.opts.sndbuf_locked = true;
    rig_flush(r);
    rig_until(r, AT_MS(6));
    rig_ack(r, MSS + 1); /* not room enough */
    rig_until(r, AT_MS(8));
    assert_int_equal(wi_tcp_chrono_read(c, WI_TCP_CHRONO_SNDBUF), WEIR_MS(8));
    rig_ack(r, 3 * MSS + 1);
    rig_until(r, AT_MS(20));
    assert_int_equal(wi_tcp_chrono_read(c, WI_TCP_CHRONO_SNDBUF), WEIR_MS(8));
    assert_int_equal(wi_tcp_chrono_read(c, WI_TCP_CHRONO_BUSY), 0);
    end();
}

/* Nothing is charged behind the end, and the sums stay to be read. */
static void test_ledger_over_stands_still(void **state)
{
    (void)state;
    begin(0);
    rig_until(r, AT_MS(5));
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_RST});
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    rig_until(r, AT_MS(500));
    expect_ms(WEIR_CAUSE_IDLE, 5, WEIR_CAUSE_HANDSHAKE, 0);
    end();
}

/* Whoever adds to a part without the whole is found. */
static void test_ledger_check_finds_parts_that_do_not_sum(void **state)
{
    (void)state;
    begin(0);
    rig_until(r, AT_MS(5));
    wi_tcp_ledger_charge(c);
    assert_null(wi_tcp_check(c));
    c->ledger.spent[WEIR_CAUSE_CWND]++;
    assert_string_equal(wi_tcp_check(c), "the ledger's parts don't sum to the connection's life");
    c->ledger.spent[WEIR_CAUSE_CWND]--;
    end();
}

/* Reading charges nothing: twice gives the same, and the stored sums are as they were. */
static void test_ledger_read_changes_nothing(void **state)
{
    (void)state;
    begin(0);
    r->core.now = AT_MS(7);
    assert_int_equal(spent(WEIR_CAUSE_IDLE), WEIR_MS(7));
    assert_int_equal(spent(WEIR_CAUSE_IDLE), WEIR_MS(7));
    assert_int_equal(c->ledger.spent[WEIR_CAUSE_IDLE], 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledger_nothing_to_do_is_idle),
        cmocka_unit_test(test_ledger_written_and_under_way_is_the_applications),
        cmocka_unit_test(test_ledger_peer_has_ended_is_the_applications),
        cmocka_unit_test(test_ledger_acknowledgement_overdue_is_the_timeouts),
        cmocka_unit_test(test_ledger_window_too_small_is_the_receivers),
        cmocka_unit_test(test_ledger_window_closed_is_the_zero_windows),
        cmocka_unit_test(test_ledger_cwnd_full_is_the_congestion_windows),
        cmocka_unit_test(test_ledger_rate_limited_is_pacings),
        cmocka_unit_test(test_ledger_writer_refused_is_the_send_buffers),
        cmocka_unit_test(test_ledger_small_segment_held_is_nagles),
        cmocka_unit_test(test_ledger_cork_is_nagles),
        cmocka_unit_test(test_ledger_loss_is_recoverys_until_repaired),
        cmocka_unit_test(test_ledger_lost_retransmission_is_the_timeouts),
        cmocka_unit_test(test_ledger_smaller_path_is_the_path_mtus),
        cmocka_unit_test(test_ledger_data_that_arrives_is_receiving_then_idle),
        cmocka_unit_test(test_ledger_unread_data_fills_the_window_is_the_readers),
        cmocka_unit_test(test_ledger_fin_under_way_and_answered_is_closing),
        cmocka_unit_test(test_chrono_sndbuf_limited_is_while_the_writer_waits_for_room),
        cmocka_unit_test(test_ledger_over_stands_still),
        cmocka_unit_test(test_ledger_check_finds_parts_that_do_not_sum),
        cmocka_unit_test(test_ledger_read_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
