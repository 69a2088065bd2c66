/*
 * RACK and the tail loss probe, RFC 8985: what is taken for lost and when, what the probe sends, what repairs cost.
 */
#include "rig.h"

#define ISS   (UINT32_MAX - 2500) /* the wrap lies within the first flight */
#define IRS   9
#define RTT   40 /* milliseconds: the reordering window begins at 10 */
#define SLACK 2  /* milliseconds that a timer is late, TIMER_SLACK */

#define WRITE (WI_TH_ACK | WI_TH_PSH) /* a segment that was written by itself */

static uint32_t at(unsigned seg)
{
    return 1 + seg * MSS;
}

static void sack(struct rig *r, uint32_t ack, uint32_t lo, uint32_t hi)
{
    rig_in(r, (struct in){.seq = 1, .ack = ack, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{lo, hi}}});
}

/* A connection that knows its RTT. */
static struct wi_tcp_conn *open_with(struct rig *r, unsigned opts)
{
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO | opts);
    wi_tcp_rtt_sample(c, RTT * 1000);
    return c;
}

/* `n` segments, one each `gap_ms`, from RIG_START on. */
static struct wi_tcp_conn *flight(struct rig *r, unsigned n, unsigned gap_ms)
{
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    c->cwnd = n > c->cwnd ? n : c->cwnd;
    for (unsigned i = 0; i < n; i++) {
        rig_until(r, AT_MS(i * gap_ms));
        rig_write(r, MSS);
    }
    assert_int_equal(c->loss.packets_out, n);
    rig_forget(r);
    return c;
}

static weir_ns deadline(struct rig *r)
{
    return wi_wheel_deadline(&r->core.wheel);
}

/* RFC 8985 4: without SACK there is neither RACK nor a probe. Rows: 8985-1 */
static void test_rack_without_sack_is_off(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = open_with(r, 0);
    rig_write(r, 5 * MSS);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_RTO);
    rig_until(r, AT_MS(RTT));
    rig_ack(r, at(1)); /* with SACK this would be RACK.rtt and RACK.xmit_ts */
    assert_int_equal(c->loss.rack_sent_at, 0);
    rig_forget(r);
    rig_until(r, AT_MS(RTT + 150)); /* longer than any probe or reordering window, shorter than the RTO */
    rig_ack(r, at(1));
    rig_ack(r, at(1));
    assert_int_equal(r->pkt_n, 0);
    rig_ack(r, at(1));
    expect_out(r, 0, WI_TH_ACK, at(1), MSS);
    rig_end(r);
}

/* RFC 8985 6.2 step 4: no reordering was ever seen, so DupThresh SACKed segments need no waiting, nor does anything in
 * recovery. Rows: 8985-7 */
static void test_rack_three_sacked_without_reordering_wait_for_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 10, 1);
    rig_until(r, AT_MS(RTT + 3));
    sack(r, 1, at(1), at(4));
    expect_out(r, 0, WRITE, at(0), MSS);
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->loss.lost_out, 1);
    rig_until(r, AT_MS(RTT + 5));
    sack(r, 1, at(5), at(6));
    assert_int_equal(c->loss.lost_out, 2);
    rig_end(r);
}

/* RFC 8985 6.2 steps 4 and 5: two SACKed segments are no proof; the rest of a quarter of the minimum RTT is waited for
 * by a timer, and there is no second timer beside it (8). Rows: 8985-8 8985-11 8985-12 8985-20 */
static void test_rack_doubt_waits_a_quarter_of_the_rtt(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 10, 1);
    rig_until(r, AT_MS(RTT + 2));
    sack(r, 1, at(1), at(3));
    assert_int_equal(c->rtx_kind, WEIR_TIMER_REORDER);
    assert_true(deadline(r) == AT_MS(RTT + RTT / 4 + SLACK));
    rig_until(r, AT_MS(RTT + RTT / 4 + SLACK) - 1);
    assert_int_equal(r->pkt_n, 0);
    rig_until(r, AT_MS(RTT + RTT / 4 + SLACK));
    expect_out(r, 0, WRITE, at(0), MSS);
    assert_int_equal(c->loss.lost_out, 1); /* what was sent after the newest that arrived is in no doubt */
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_RTO);
    wi_tcp_stop_rtx(c);
    assert_true(deadline(r) == WEIR_NEVER);
    rig_end(r);
}

/* RFC 8985 6.2 step 3, 9.3: once the network was seen to reorder, DupThresh (RFC 6675) decides nothing any more; time
 * does. Rows: 8985-6 8985-21 */
static void test_rack_after_reordering_time_decides(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 20, 1);
    rig_until(r, AT_MS(RTT + 2));
    sack(r, 1, at(1), at(3));
    rig_until(r, AT_MS(RTT + 3));
    rig_ack(r, at(3)); /* the first came late, and was sent once */
    assert_int_equal(c->reord_seen, 1);
    rig_until(r, AT_MS(RTT + 10));
    sack(r, at(3), at(4), at(11));
    assert_int_equal(c->loss.sacked_out, 7);
    assert_int_equal(c->loss.lost_out, 0);
    rig_until(r, AT_MS(RTT + 3 + RTT / 4 + SLACK));
    assert_int_equal(c->loss.lost_out, 1);
    expect_out(r, 0, WRITE, at(3), MSS);
    rig_end(r);
}

/* What was sent twice and comes late proves no reordering: it may be the second copy. Rows: 8985-6 */
static void test_rack_late_retransmission_is_no_reordering(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 10, 1);
    rig_until(r, AT_MS(RTT + 3));
    sack(r, 1, at(1), at(4));
    rig_until(r, AT_MS(2 * RTT + 3));
    rig_ack(r, at(4));
    assert_int_equal(c->reord_seen, 0);
    rig_end(r);
}

/* RFC 8985 5.2, 6.1, 6.2: a retransmission has its own time: what was sent before it says nothing about it, what was
 * sent after it and arrived says that it was lost. 9.3: PRR then goes on by conservation of packets.
 * Rows: 8985-3 8985-11 8985-23 */
static void test_rack_lost_retransmission_is_found(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 10, 1);
    rig_until(r, AT_MS(RTT + 3));
    sack(r, 1, at(1), at(4));
    expect_out(r, 0, WRITE, at(0), MSS); /* and this is lost as well */
    rig_until(r, AT_MS(RTT + 9));
    sack(r, 1, at(1), at(10)); /* sent before it */
    assert_int_equal(r->pkt_n, 1);
    rig_write(r, 2 * MSS);
    expect_out(r, 1, WRITE, at(10), 2 * MSS); /* sent after it */
    rig_until(r, AT_MS(2 * RTT + 9));
    rig_write(r, 5 * MSS);
    unsigned before = r->pkt_n;
    uint32_t in_flight = wi_tcp_in_flight(c);
    sack(r, 1, at(1), at(12));
    expect_out(r, before, WRITE, at(0), MSS);
    assert_int_equal(wi_tcp_rec_head_sent(c)->rexmit_n, 2);
    assert_in_range(wi_tcp_in_flight(c), 1, in_flight); /* two arrived, one was lost: no more than that goes again */
    rig_end(r);
}

/* RFC 8985 5.2: the time of sending is known far finer than a quarter of the shortest RTT. Rows: 8985-2 */
static void test_rack_tells_microseconds_apart(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO | RIG_SACK);
    wi_tcp_rtt_sample(c, 40);
    static const unsigned sent_us[] = {0, 12, 20};
    for (unsigned i = 0; i < 3; i++) {
        rig_until(r, RIG_START + WEIR_US(sent_us[i]));
        rig_write(r, MSS);
    }
    rig_until(r, RIG_START + WEIR_US(60)); /* the third arrived: lost is what left before 60 - 40 - 10 us */
    sack(r, 1, at(2), at(3));
    assert_int_equal(c->loss.lost_out, 1);
    assert_true(wi_tcp_rec_head_sent(c)->marks & WI_TCP_REC_LOST);
    rig_end(r);
}

/* RFC 8985 6.2 step 1: the minimum is one of a window of time, so a path that became longer is learned. Rows: 8985-4 */
static void test_rack_minimum_rtt_is_forgotten(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    wi_tcp_rtt_sample(c, 10000);
    rig_until(r, RIG_START + WEIR_SEC(299));
    wi_tcp_rtt_sample(c, 100000);
    assert_int_equal(c->rtt.min_us, 10000);
    rig_until(r, RIG_START + WEIR_SEC(301));
    wi_tcp_rtt_sample(c, 100000);
    assert_int_equal(c->rtt.min_us, 100000);
    wi_tcp_rtt_sample(c, 50000);
    assert_int_equal(c->rtt.min_us, 50000);
    rig_end(r);
}

/* RFC 8985 6.2 step 2: a retransmission that is acknowledged sooner than the path allows was not needed: its time is no
 * measure, or all that was sent in between would be lost. Rows: 8985-5 */
static void test_rack_too_early_ack_of_a_retransmission_is_not_believed(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 10, 1);
    rig_until(r, AT_MS(RTT + 3));
    sack(r, 1, at(1), at(4));
    expect_out(r, 0, WRITE, at(0), MSS);
    assert_true(c->loss.rack_sent_at == AT_MS(3));
    rig_until(r, AT_MS(RTT + 4));
    rig_ack(r, at(4));
    assert_true(c->loss.rack_sent_at == AT_MS(3));
    assert_int_equal(c->loss.rack_rtt_us, RTT * 1000);
    assert_int_equal(c->loss.lost_out, 0);
    rig_until(r, AT_MS(RTT + 9));
    sack(r, at(4), at(9), at(10));
    assert_true(c->loss.rack_sent_at == AT_MS(9));
    rig_until(r, AT_MS(RTT + 9));
    sack(r, at(4), at(8), at(10)); /* sent earlier: RACK.xmit_ts does not go back */
    assert_true(c->loss.rack_sent_at == AT_MS(9));
    rig_end(r);
}

/* ---- The reordering window ---- */

/* With nothing outstanding: how long a doubt lasts, beyond the RTT. Everything arrives in the end. */
static weir_ns window_now(struct rig *r)
{
    struct wi_tcp_conn *c = r->c;
    uint32_t una = (uint32_t)wi_seq_diff(c->snd_una, (struct wi_seq){r->iss});
    assert_int_equal(c->loss.packets_out, 0);
    weir_ns sent = r->core.now;
    rig_write(r, MSS);
    rig_until(r, sent + WEIR_MS(1));
    rig_write(r, MSS);
    rig_until(r, sent + WEIR_MS(1 + RTT));
    sack(r, una, una + MSS, una + 2 * MSS);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_REORDER);
    weir_ns window = deadline(r) - WEIR_MS(SLACK) - (sent + WEIR_MS(RTT));
    rig_ack(r, una + 2 * MSS);
    rig_forget(r);
    return window;
}

/* One segment and its ACK, which tells of `n` duplicates, each in an ACK of its own. */
static void round_with_dsacks(struct rig *r, unsigned n)
{
    struct wi_tcp_conn *c = r->c;
    uint32_t una = (uint32_t)wi_seq_diff(c->snd_una, (struct wi_seq){r->iss});
    c->total_retrans = 100; /* or the network would be what duplicates */
    for (unsigned i = 0; i < n; i++)
        rig_write(r, MSS);
    rig_until(r, r->core.now + WEIR_MS(RTT));
    for (unsigned i = 0; i < n; i++) {
        una += MSS;
        sack(r, una, una - MSS, una);
    }
    rig_forget(r);
}

/* Four segments, the first of which is lost and sent again. */
static void recover_once(struct rig *r)
{
    struct wi_tcp_conn *c = r->c;
    uint32_t una = (uint32_t)wi_seq_diff(c->snd_una, (struct wi_seq){r->iss});
    c->cwnd = 10;
    rig_write(r, 4 * MSS);
    rig_until(r, r->core.now + WEIR_MS(RTT));
    sack(r, una, una + MSS, una + 4 * MSS);
    rig_until(r, r->core.now + WEIR_MS(2 * RTT)); /* whatever the window is */
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    rig_ack(r, una + 4 * MSS);
    rig_forget(r);
}

/* RFC 8985 6.2 step 4: DSACKs widen the window by a quarter of the minimum RTT, once in a round trip; after 16
 * recoveries without one it is as at first. Rows: 8985-8 8985-9 */
static void test_rack_dsack_widens_the_window_for_sixteen_recoveries(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    assert_true(window_now(r) == WEIR_MS(10));
    round_with_dsacks(r, 1);
    assert_true(window_now(r) == WEIR_MS(20));
    round_with_dsacks(r, 3); /* three in one round trip count once */
    assert_true(window_now(r) == WEIR_MS(30));
    for (unsigned i = 0; i < 15; i++)
        recover_once(r);
    c->cwnd = 10;
    assert_true(window_now(r) == WEIR_MS(30));
    recover_once(r);
    (void)window_now(r);
    assert_true(window_now(r) == WEIR_MS(10));
    rig_end(r);
}

/* RFC 8985 3.3.2: never longer than the smoothed RTT. Rows: 8985-10 */
static void test_rack_window_is_bounded_by_srtt(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    c->loss.rack_reo_steps = UINT8_MAX;
    c->loss.rack_reo_persist = 16;
    c->reord_seen = 1;
    assert_true(window_now(r) == WEIR_US((weir_ns)RTT * 1000));
    rig_end(r);
}

/* ---- What is lost is sent as the window allows ---- */

/* RFC 8985 9.3: five segments are found lost by one ACK; PRR (RFC 9937) lets one go for the one that arrived. Rows:
 * 8985-22 */
static void test_rack_lost_segments_wait_for_the_window(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = flight(r, 6, 20);
    rig_until(r, AT_MS(100 + RTT));
    sack(r, 1, at(5), at(6));
    assert_int_equal(c->loss.lost_out, 5);
    assert_int_equal(r->pkt_n, 1);
    expect_out(r, 0, WRITE, at(0), MSS);
    rig_until(r, AT_MS(100 + 2 * RTT));
    rig_ack(r, at(1));
    assert_in_range(r->pkt_n, 2, 3);
    assert_in_range(c->loss.retrans_out, 1, 2);
    rig_end(r);
}

/* RFC 8985 6.3: a timeout takes for lost what is old enough, not what left a moment ago. Rows: 8985-13 */
static void test_rack_timeout_spares_what_left_lately(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_early_retrans = 0; /* no probe before it */
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    rig_write(r, MSS);
    rig_until(r, AT_MS(RTT));
    rig_ack(r, at(1)); /* RACK.rtt is known */
    weir_ns sent = r->core.now;
    rig_write(r, MSS);
    rig_until(r, sent + WEIR_MS(100));
    rig_write(r, MSS);
    rig_until(r, sent + c->rtt.rto - WEIR_MS(5));
    rig_write(r, MSS);
    rig_until(r, sent + c->rtt.rto);
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_int_equal(c->loss.lost_out, 2);
    assert_false(wi_tcp_rec_last(c)->marks & WI_TCP_REC_LOST);
    rig_end(r);
}

/* ---- The tail loss probe ---- */

/* RFC 8985 7.2: counted anew from new data and from a cumulative ACK; not once something is SACKed, nor in recovery.
 * Rows: 8985-14 8985-15 */
static void test_tlp_is_due_two_rtts_after_the_last_news(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    weir_ns pto = WEIR_MS(2 * RTT + SLACK);
    rig_write(r, 4 * MSS);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_TLP);
    assert_true(deadline(r) == RIG_START + pto);
    rig_until(r, AT_MS(10));
    rig_write(r, MSS);
    assert_true(deadline(r) == AT_MS(10) + pto);
    rig_until(r, AT_MS(RTT));
    rig_ack(r, at(1));
    assert_true(deadline(r) == AT_MS(RTT) + pto);
    sack(r, at(1), at(2), at(3));
    assert_int_not_equal(c->rtx_kind, WEIR_TIMER_TLP);
    rig_until(r, AT_MS(RTT + 60));
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_RTO);
    rig_end(r);
}

/* RFC 8985 7.2: one segment alone may wait for a delayed ACK, 200 ms more; never later than the RTO; a second while no
 * RTT is known. Rows: 8985-15 */
static void test_tlp_bounds_of_its_delay(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    c->rtt.rto = WEIR_SEC(3);
    rig_write(r, 2 * MSS);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_TLP);
    assert_true(deadline(r) == RIG_START + WEIR_SEC(1));
    rig_ack(r, at(2));
    wi_tcp_rtt_init(c);
    wi_tcp_rtt_sample(c, RTT * 1000);
    c->rtt.rto = WEIR_SEC(3);
    rig_write(r, MSS);
    assert_true(deadline(r) == r->core.now + WEIR_MS(2 * RTT + 200));
    rig_ack(r, at(3));
    c->rtt.rto = WEIR_MS(50);
    rig_write(r, 2 * MSS);
    assert_true(deadline(r) == r->core.now + WEIR_MS(50));
    rig_end(r);
}

/* RFC 8985 7.3: new data if there is any, beyond cwnd; afterwards the RTO, and no second probe. Rows: 8985-17 8985-18
 * 8985-16 */
static void test_tlp_sends_new_data_once(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    c->cwnd = 2;
    rig_write(r, 5 * MSS);
    assert_int_equal(c->loss.packets_out, 2);
    rig_forget(r);
    rig_until(r, deadline(r));
    assert_int_equal(r->pkt_n, 1);
    expect_out(r, 0, WI_TH_ACK, at(2), MSS);
    assert_int_equal(r->whys[0], WEIR_WHY_PROBE_TLP);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_RTO);
    rig_forget(r);
    rig_until(r, deadline(r));
    expect_out(r, 0, WI_TH_ACK, at(0), MSS);
    assert_int_equal(r->whys[0], WEIR_WHY_REXMIT_RTO);
    rig_end(r);
}

/* RFC 8985 7.3: else the last segment again, which its transmission time and Karn's mark follow. Rows: 8985-17
 * 8985-3 */
static void test_tlp_sends_the_last_segment_again(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    rig_write(r, 5 * MSS);
    rig_forget(r);
    rig_until(r, deadline(r));
    expect_out(r, 0, WRITE, at(4), MSS);
    assert_int_equal(r->whys[0], WEIR_WHY_PROBE_TLP);
    assert_true(wi_tcp_rec_last(c)->sent_at == r->core.now);
    assert_true(wi_tcp_rec_last(c)->marks & WI_TCP_REC_EVER);
    rig_end(r);
}

/* RFC 8985 7.3: no probe is sent before an RTT was measured since the last one. Rows: 8985-16 */
static void test_tlp_needs_a_new_rtt_sample(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    rig_write(r, MSS);
    rig_until(r, deadline(r)); /* the probe: the only segment, again */
    assert_true(c->loss.tlp_on);
    rig_ack(r, at(1));
    rig_ack(r, at(1)); /* resolved: both copies arrived. Neither is a sample (Karn) */
    rig_forget(r);
    rig_write(r, 2 * MSS);
    rig_forget(r);
    while (c->rtx_kind == WEIR_TIMER_TLP)
        rig_until(r, deadline(r));
    assert_int_equal(r->pkt_n, 0);
    rig_ack(r, at(3)); /* a sample */
    rig_write(r, 2 * MSS);
    rig_forget(r);
    assert_int_equal(c->rtx_kind, WEIR_TIMER_TLP);
    rig_until(r, deadline(r));
    assert_int_equal(r->whys[0], WEIR_WHY_PROBE_TLP);
    rig_end(r);
}

/* What answers a probe. */
static struct wi_tcp_conn *probed(struct rig *r)
{
    struct wi_tcp_conn *c = open_with(r, RIG_SACK);
    rig_write(r, 5 * MSS);
    rig_until(r, AT_MS(RTT));
    rig_ack(r, at(4)); /* the last is lost */
    rig_until(r, deadline(r));
    assert_true(c->loss.tlp_on);
    rig_until(r, r->core.now + WEIR_MS(RTT));
    rig_forget(r);
    return c;
}

/* RFC 8985 7.4.2: the probe alone arrived, so a segment was lost: the window falls once. Rows: 8985-19 */
static void test_tlp_that_repaired_a_loss_costs_the_window(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = probed(r);
    uint32_t before = c->cwnd;
    rig_ack(r, at(5));
    rig_write(r, MSS);
    rig_until(r, r->core.now + WEIR_MS(RTT));
    rig_ack(r, at(6));
    assert_int_equal(c->ssthresh, before / 2);
    assert_in_range(c->cwnd, before / 2, before / 2 + 1);
    assert_false(c->loss.tlp_on);
    rig_end(r);
}

/* RFC 8985 7.4.2: a DSACK, or a dupack without SACK, says that both copies arrived: nothing was lost. Rows: 8985-19 */
static void test_tlp_that_was_needless_costs_nothing(void **state)
{
    (void)state;
    for (unsigned has_dsack = 0; has_dsack < 2; has_dsack++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = probed(r);
        uint32_t before = c->cwnd;
        rig_ack(r, at(5)); /* the first copy, late */
        if (has_dsack)
            sack(r, at(5), at(4), at(5));
        else
            rig_ack(r, at(5));
        assert_false(c->loss.tlp_on);
        rig_write(r, MSS);
        rig_until(r, r->core.now + WEIR_MS(RTT));
        rig_ack(r, at(6));
        assert_true(c->cwnd >= before);
        assert_int_equal(c->ssthresh, WI_TCP_SSTHRESH_INF);
        rig_end(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rack_without_sack_is_off),
        cmocka_unit_test(test_rack_three_sacked_without_reordering_wait_for_nothing),
        cmocka_unit_test(test_rack_doubt_waits_a_quarter_of_the_rtt),
        cmocka_unit_test(test_rack_after_reordering_time_decides),
        cmocka_unit_test(test_rack_late_retransmission_is_no_reordering),
        cmocka_unit_test(test_rack_lost_retransmission_is_found),
        cmocka_unit_test(test_rack_tells_microseconds_apart),
        cmocka_unit_test(test_rack_minimum_rtt_is_forgotten),
        cmocka_unit_test(test_rack_too_early_ack_of_a_retransmission_is_not_believed),
        cmocka_unit_test(test_rack_dsack_widens_the_window_for_sixteen_recoveries),
        cmocka_unit_test(test_rack_window_is_bounded_by_srtt),
        cmocka_unit_test(test_rack_lost_segments_wait_for_the_window),
        cmocka_unit_test(test_rack_timeout_spares_what_left_lately),
        cmocka_unit_test(test_tlp_is_due_two_rtts_after_the_last_news),
        cmocka_unit_test(test_tlp_bounds_of_its_delay),
        cmocka_unit_test(test_tlp_sends_new_data_once),
        cmocka_unit_test(test_tlp_sends_the_last_segment_again),
        cmocka_unit_test(test_tlp_needs_a_new_rtt_sample),
        cmocka_unit_test(test_tlp_that_repaired_a_loss_costs_the_window),
        cmocka_unit_test(test_tlp_that_was_needless_costs_nothing),
    };
    return cmocka_run_group_tests_name("tcp/rack", tests, NULL, NULL);
}
