/*
 * Requirements that are not the subject of another file: a row each, on one connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/tcp/rig.h"

#define ISS 0xfffff000u /* the first four segments make the numbers wrap */
#define IRS 9000

static uint32_t at(uint32_t n)
{
    return 1 + n * MSS;
}

/* RFC 9293 3.1: 65535 is a window, not -1. Rows: MUST-1 9293-S22 */
static void test_window_field_is_unsigned(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    c->cwnd = 100;
    rig_write(r, 80 * MSS);
    struct out last = rig_out(r, r->pkt_n - 1);
    assert_in_range(last.seq + last.len - 1, 32768, 65535);
    rig_end(r);
}

/* RFC 5961 5.2: what counts is the largest window ever, not the present one. Rows: 5961-5-c */
static void test_old_ack_is_measured_by_the_largest_window(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    c->bytes_acked = 1 << 20;
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10, .wnd = 100});
    rig_in(r, (struct in){.seq = 11, .ack = 1, .flags = WI_TH_ACK, .len = 10, .wnd = 100});
    assert_int_equal(c->snd_wnd_bytes, 100);
    rig_in(r, (struct in){.seq = 21, .ack = 1u - 60000u, .flags = WI_TH_ACK, .len = 10, .wnd = 100});
    assert_int_equal(c->rcv_nxt.v, IRS + 31);
    rig_in(r, (struct in){.seq = 31, .ack = 1u - 66000u, .flags = WI_TH_ACK, .len = 10, .wnd = 100});
    assert_int_equal(c->rcv_nxt.v, IRS + 31);
    rig_end(r);
}

/* RFC 9293 3.10.7.4: a batch that fills a gap and goes on is acknowledged once. Rows: MUST-58 MUST-59 */
static void test_batch_of_segments_gets_one_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    rig_in(r, (struct in){.seq = 1 + MSS, .ack = 1, .flags = WI_TH_ACK, .len = MSS});
    rig_forget(r);
    static const uint32_t order[] = {0, 2, 3, 4};
    struct weir_pkt *pkts[4];
    for (unsigned i = 0; i < 4; i++)
        pkts[i] = rig_segment(r, (struct in){.seq = at(order[i]), .ack = 1, .flags = WI_TH_ACK, .len = MSS});
    wi_net_input(r->net, r->netif, pkts, 4);
    for (unsigned i = 0; i < 4; i++)
        weir_pkt_unref(pkts[i]);
    rig_flush(r);
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(rig_out(r, 0).ack, at(5));
    assert_int_equal(c->rcv_nxt.v, IRS + at(5));
    rig_end(r);
}

/* RFC 9293 3.8.6: what was sent before the window shrank is sent again within the window that there is.
 * Rows: SHLD-16
 * 7323-12 */
static void test_shrunk_window_still_gets_old_data(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    r->core.sysctl.tcp_early_retrans = 0;
    rig_write(r, 5 * MSS);
    rig_in(r, (struct in){.seq = 1, .ack = at(1), .flags = WI_TH_ACK, .wnd = MSS});
    assert_int_equal(c->snd_wnd_bytes, MSS);
    rig_forget(r);
    rig_until(r, r->core.now + c->rtt.rto);
    assert_int_equal(r->pkt_n, 1);
    expect_out(r, 0, WI_TH_ACK, at(1), MSS);
    rig_end(r);
}

/* RFC 7323 5.2, 5.3: timestamps are compared modulo 2^32. Rows: 7323-40 */
static void test_timestamp_wraps(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS);
    c->ts_recent = 0xfffffff0;
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 5});
    assert_int_equal(c->rcv_nxt.v, IRS + 11);
    assert_int_equal(c->ts_recent, 5);
    rig_in(r, (struct in){.seq = 11, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 0xfffffff8});
    assert_int_equal(c->rcv_nxt.v, IRS + 11);
    rig_end(r);
}

/* RFC 7323 5.3: what waits beyond a gap was tested when it came, and not again. Rows: 7323-28 7323-31 */
static void test_timestamp_is_tested_on_arrival_only(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS);
    rig_in(r, (struct in){.seq = 11, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 100});
    assert_int_equal(c->ts_recent, 1);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10, .ts = true, .tsval = 200});
    assert_int_equal(c->ts_recent, 200);
    assert_int_equal(c->rcv_nxt.v, IRS + 21);
    rig_end(r);
}

/* RFC 7323 5.4: a tick is a millisecond. Rows: 7323-22 7323-35 */
static void test_timestamp_clock_ticks_each_millisecond(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)rig_establish(r, ISS, IRS, RIG_TS);
    rig_write(r, 10);
    uint32_t before = rig_out(r, 0).h.tsval;
    rig_in(r, (struct in){.seq = 1, .ack = 11, .flags = WI_TH_ACK, .ts = true, .tsval = 2, .tsecr = before});
    rig_until(r, RIG_START + WEIR_SEC(10));
    rig_forget(r);
    rig_write(r, 10);
    assert_int_equal(rig_out(r, 0).h.tsval - before, 10000);
    rig_end(r);
}

/* RFC 6298 4: however steady the path, the timeout stays above the round trip; by 200 ms as on Linux. Rows: 6298-4-a */
static void test_rto_of_a_steady_path_keeps_its_distance(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    for (uint32_t i = 1; i <= 200; i++) {
        rig_write(r, 100);
        rig_until(r, r->core.now + WEIR_MS(100));
        rig_ack(r, 1 + 100 * i);
        rig_forget(r);
    }
    assert_in_range(c->rtt.rto, WEIR_MS(300), WEIR_MS(301));
    rig_end(r);
}

/* RFC 6298 5.3: an ACK that moves the edge starts the timer anew. Rows: 6298-5-a 6298-5-b */
static void test_rto_begins_anew_with_each_new_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    r->core.sysctl.tcp_early_retrans = 0;
    rig_write(r, 2 * MSS);
    rig_until(r, AT_MS(900));
    rig_ack(r, at(1));
    rig_forget(r);
    rig_until(r, AT_MS(900) + c->rtt.rto - 1);
    assert_int_equal(r->pkt_n, 0);
    rig_until(r, AT_MS(900) + c->rtt.rto);
    expect_out(r, 0, WI_TH_ACK | WI_TH_PSH, at(1), MSS);
    rig_end(r);
}

/* RFC 5681 2: what carries data is no duplicate ACK. Rows: 5681-2-b */
static void test_data_with_an_old_ack_are_no_dupacks(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO);
    rig_write(r, 5 * MSS);
    for (uint32_t i = 0; i < 5; i++)
        rig_in(r, (struct in){.seq = 1 + 10 * i, .ack = 1, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    assert_int_equal(c->loss.retrans_out, 0);
    rig_end(r);
}

/* RFC 5681 4.3: several losses in one window reduce it once. Rows: 5681-3.1-f 5681-4.3-a */
static void test_losses_of_one_window_reduce_it_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO | RIG_SACK);
    c->cwnd = 20;
    rig_write(r, 20 * MSS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{at(1), at(5)}}});
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->ssthresh, 10);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{at(7), at(12)}}});
    rig_in(r, (struct in){.seq = 1, .ack = at(5), .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{at(14), at(20)}}});
    assert_true(c->loss.lost_out >= 3);
    assert_int_equal(c->ssthresh, 10);
    rig_end(r);
}

/* RFC 9293 3.9.1.2: writes that had to wait leave in as few and as large segments as there can be, each with its PSH
 * taken into the last. Rows: SHLD-27 SHLD-28 */
static void test_waiting_writes_leave_in_full_segments(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO);
    c->cwnd = 1;
    c->nodelay = true;
    rig_write(r, MSS);
    for (unsigned i = 0; i < 10; i++)
        rig_write(r, 200);
    assert_int_equal(r->pkt_n, 1);
    rig_forget(r);
    rig_ack(r, at(1));
    rig_until(r, AT_MS(10));
    assert_int_equal(r->pkt_n, 2);
    assert_int_equal(rig_out(r, 0).len, MSS);
    assert_int_equal(rig_out(r, 1).len, MSS);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_field_is_unsigned),
        cmocka_unit_test(test_old_ack_is_measured_by_the_largest_window),
        cmocka_unit_test(test_batch_of_segments_gets_one_ack),
        cmocka_unit_test(test_shrunk_window_still_gets_old_data),
        cmocka_unit_test(test_timestamp_wraps),
        cmocka_unit_test(test_timestamp_is_tested_on_arrival_only),
        cmocka_unit_test(test_timestamp_clock_ticks_each_millisecond),
        cmocka_unit_test(test_rto_of_a_steady_path_keeps_its_distance),
        cmocka_unit_test(test_rto_begins_anew_with_each_new_ack),
        cmocka_unit_test(test_data_with_an_old_ack_are_no_dupacks),
        cmocka_unit_test(test_losses_of_one_window_reduce_it_once),
        cmocka_unit_test(test_waiting_writes_leave_in_full_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
