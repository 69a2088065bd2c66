/*
 * Opening and closing at once, and SYN-SENT's checks: RFC 9293 3.5 (figure 7), 3.6 (figure 13), 3.10.7.3.
 */
#include "rig.h"

#include <weir/weir.h>

#define IRS (UINT32_MAX)

/* SYN-SENT, by the socket's own connect; our SYN was the first segment. */
static struct wi_tcp_conn *conn_connecting(struct rig *r)
{
    struct wi_tcp_conn *c = wi_tcp_conn_new(&r->tcp, WEIR_AF_INET);
    assert_non_null(c);
    r->c = c;
    r->irs = IRS;
    c->sk.owner = r;
    c->sk.on_ready = rig_ready;
    struct weir_sockaddr here = {.addr = rig_addr(1), .family = WEIR_AF_INET, .port = OUR_PORT};
    struct weir_sockaddr there = {.addr = rig_addr(2), .family = WEIR_AF_INET, .port = PEER_PORT};
    assert_int_equal(wi_tcp_sk_ops.bind(&c->sk, &here), 0);
    assert_int_equal(wi_tcp_sk_ops.connect(&c->sk, &there), -WEIR_EINPROGRESS);
    rig_flush(r);
    assert_int_equal(c->state, WEIR_TCP_SYN_SENT);
    r->iss = c->iss.v;
    return c;
}

/* Linux's order of options, and its offer: RFC 9293 3.2, RFC 7323 2.2, 3.2, RFC 2018 2. Rows: MUST-14 MUST-67 SHLD-5
 * 7323-1
 * MAY-3 */
static void test_open_syn_offers_mss_sack_timestamps_and_scale(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    (void)conn_connecting(r);
    struct out o = rig_out(r, 0);
    assert_int_equal(o.flags, WI_TH_SYN);
    assert_int_equal(o.seq, 0);
    assert_int_equal(o.h.mss, MSS);
    assert_true(o.h.sack_ok && o.h.has_ts && o.h.has_wscale);
    assert_int_equal(o.h.opt_len, 20);
    rig_end(r);
}

/* Rows: 9293-S5 MUST-14 7323-2 */
static void test_open_syn_ack_establishes(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_until(r, AT_MS(30));
    rig_forget(r);
    rig_in(r, (struct in){.seq = 0, .ack = 1, .flags = WI_TH_SYN | WI_TH_ACK, .mss = 700, .wnd = 5000});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    expect_out(r, 0, WI_TH_ACK, 1, 0);
    assert_int_equal(rig_out(r, 0).ack, 1);
    assert_true(r->ready & WEIR_POLLOUT);
    assert_int_equal(c->snd_mss, 700);
    assert_int_equal(c->snd_wnd_bytes, 5000);
    assert_int_equal(c->rtt.srtt_us8 >> 3, 30000); /* the SYN's round trip */
    assert_false(c->ts_ok || c->sack_ok || c->wscale_ok);
    rig_end(r);
}

/* A SYN's own window is not shifted, those after it are. RFC 7323 2.2, 2.3. Rows: 7323-4 7323-7 */
static void test_open_window_of_a_syn_is_not_shifted(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_in(r, (struct in){.seq = 0,
                          .ack = 1,
                          .flags = WI_TH_SYN | WI_TH_ACK,
                          .mss = MSS,
                          .wnd = 1000,
                          .wscale = true,
                          .wscale_shift = 7});
    assert_int_equal(c->snd_wnd_bytes, 1000);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd = 1000});
    assert_int_equal(c->snd_wnd_bytes, 128000);
    rig_end(r);
}

/* RFC 9293 3.10.7.3 first: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset". Rows: 9293-S4
 * attack-old-duplicate-syn-ack-half-open */
static void test_open_wrong_ack_is_reset(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 0, .ack = 2, .flags = WI_TH_SYN | WI_TH_ACK, .mss = 700});
    assert_int_equal(c->state, WEIR_TCP_SYN_SENT);
    expect_out(r, 0, WI_TH_RST, 2, 0);
    rig_in(r, (struct in){.seq = 0, .ack = 0, .flags = WI_TH_ACK});
    expect_out(r, 1, WI_TH_RST, 0, 0);
    rig_in(r, (struct in){.seq = 0, .ack = 5, .flags = WI_TH_RST | WI_TH_ACK}); /* not answered */
    assert_int_equal(r->pkt_n, 2);
    assert_int_equal(c->state, WEIR_TCP_SYN_SENT);
    rig_end(r);
}

/* Second: a reset is believed with the right ACK only. RFC 5961 3.2's concern in SYN-SENT. Rows: 5961-3-e MUST-11 */
static void test_open_reset_needs_the_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_in(r, (struct in){.seq = 0, .flags = WI_TH_RST});
    assert_int_equal(c->state, WEIR_TCP_SYN_SENT);
    rig_in(r, (struct in){.seq = 0, .ack = 1, .flags = WI_TH_RST | WI_TH_ACK});
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    assert_int_equal(c->sk.err, WEIR_ECONNREFUSED);
    assert_true(r->ready & WEIR_POLLERR);
    rig_end(r);
}

/* Beardsley and Qian 2010: a server that splits its SYN-ACK gets what the state machine says: an ACK alone opens
 * nothing, and a SYN afterwards makes it a simultaneous opening, whose data waits for its ACK. Rows:
 * attack-split-handshake-simultaneous-open-abuse */
static void test_open_split_handshake_follows_the_states(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 0, .ack = 1, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(c->state, WEIR_TCP_SYN_SENT);
    assert_int_equal(r->pkt_n, 0);
    rig_in(r, (struct in){.seq = 0, .flags = WI_TH_SYN, .mss = MSS});
    assert_int_equal(c->state, WEIR_TCP_SYN_RCVD);
    expect_out(r, 0, WI_TH_SYN | WI_TH_ACK, 0, 0);
    rig_in(r, (struct in){.seq = 1, .flags = 0, .len = 10}); /* no ACK: it is not established by data */
    assert_int_equal(c->state, WEIR_TCP_SYN_RCVD);
    assert_int_equal(c->bytes_received, 0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 10});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    assert_int_equal(c->bytes_received, 10);
    rig_end(r);
}

/* RFC 7323 3.2: TSecr means something with an ACK only: a crossing SYN's is not our clock. Rows: 7323-16 */
static void test_open_echo_without_ack_is_no_rtt(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    uint32_t ours = rig_out(r, 0).h.tsval;
    rig_until(r, AT_MS(500));
    rig_in(r, (struct in){.seq = 0, .flags = WI_TH_SYN, .mss = MSS, .ts = true, .tsval = 5, .tsecr = ours});
    assert_int_equal(c->state, WEIR_TCP_SYN_RCVD);
    assert_true(c->ts_ok);
    assert_int_equal(c->rtt.srtt_us8, 0);
    assert_int_equal(c->last_tsecr, 0);
    rig_end(r);
}

/* Figure 7: both SYNs cross, then both SYN-ACKs. The peer's window scale etc. hold as both offered them.
 * Rows: MUST-10 */
static void test_open_simultaneous_establishes(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 0, .flags = WI_TH_SYN, .mss = MSS, .sack_ok = true});
    assert_int_equal(c->state, WEIR_TCP_SYN_RCVD);
    expect_out(r, 0, WI_TH_SYN | WI_TH_ACK, 0, 0);
    assert_int_equal(rig_out(r, 0).ack, 1);
    assert_true(rig_out(r, 0).h.sack_ok && !rig_out(r, 0).h.has_ts);
    rig_in(r, (struct in){.seq = 0, .ack = 1, .flags = WI_TH_SYN | WI_TH_ACK, .mss = MSS, .sack_ok = true});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_write(r, 10);
    assert_int_equal(rig_out(r, r->pkt_n - 1).len, 10);
    rig_end(r);
}

/* The SYN-ACK of a simultaneous open is repeated like any SYN. */
static void test_open_simultaneous_repeats_its_syn_ack(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_in(r, (struct in){.seq = 0, .flags = WI_TH_SYN, .mss = MSS});
    rig_forget(r);
    rig_until(r, RIG_START + WEIR_SEC(1));
    expect_out(r, 0, WI_TH_SYN | WI_TH_ACK, 0, 0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    rig_end(r);
}

/* Both open, and our user closes before the peer's ACK has come (RFC 9293 3.10.4): SYN-RECEIVED becomes FIN-WAIT-1.
 * What is repeated then is still a SYN-ACK, and the close goes on as any other. */
static void test_open_simultaneous_closed_in_syn_received_ends_orderly(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_in(r, (struct in){.seq = 0, .flags = WI_TH_SYN, .mss = MSS});
    wi_tcp_end_send(c, "test");
    rig_flush(r);
    assert_int_equal(c->state, WEIR_TCP_FIN_WAIT_1);
    rig_forget(r);
    rig_until(r, r->core.now + WEIR_SEC(2));
    expect_out(r, 0, WI_TH_SYN | WI_TH_ACK, 0, 0);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK});
    rig_until(r, r->core.now + WEIR_SEC(10));
    struct out fin = rig_out(r, r->pkt_n - 1);
    assert_true(fin.flags & WI_TH_FIN && fin.seq == 1);
    rig_in(r, (struct in){.seq = 1, .ack = 2, .flags = WI_TH_ACK});
    assert_int_equal(c->state, WEIR_TCP_FIN_WAIT_2);
    rig_in(r, (struct in){.seq = 1, .ack = 2, .flags = WI_TH_ACK | WI_TH_FIN});
    assert_int_equal(c->state, WEIR_TCP_TIME_WAIT);
    rig_end(r);
}

/* RFC 6298 2.1, tcp_syn_linear_timeouts 4 and tcp_syn_retries 6: each second at first, then backing off, and
 * ETIMEDOUT at 131 s. Rows: MUST-22 6298-2.1 */
static void test_open_syn_is_repeated_and_given_up(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    static const unsigned repeats_s[] = {1, 2, 3, 4, 5, 7, 11, 19, 35, 67};
    for (unsigned i = 0; i < 10; i++) {
        weir_ns at = RIG_START + WEIR_SEC(repeats_s[i]);
        rig_until(r, at - 1);
        assert_int_equal(r->pkt_n, 1 + i);
        rig_until(r, at);
        assert_int_equal(r->pkt_n, 2 + i);
        expect_out(r, 1 + i, WI_TH_SYN, 0, 0);
        assert_int_equal(r->whys[1 + i], WEIR_WHY_REXMIT_SYN);
    }
    rig_until(r, RIG_START + WEIR_SEC(131) - 1);
    assert_int_equal(c->state, WEIR_TCP_SYN_SENT);
    rig_until(r, RIG_START + WEIR_SEC(131));
    assert_int_equal(c->state, WEIR_TCP_CLOSED);
    assert_int_equal(c->sk.err, WEIR_ETIMEDOUT);
    rig_end(r);
}

/* A repeated SYN that is answered: window and RTT are those of a fresh start. RFC 6298 3, 5.7. Rows: 6298-5-d */
static void test_open_after_a_lost_syn_starts_fresh(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_until(r, RIG_START + WEIR_MS(1010));
    rig_in(r, (struct in){.seq = 0, .ack = 1, .flags = WI_TH_SYN | WI_TH_ACK, .mss = MSS});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    assert_int_equal(c->rtt.srtt_us8, 0);
    assert_true(c->rtt.rto == WEIR_SEC(3));
    assert_int_equal(c->cwnd, 10);
    assert_int_equal(c->ssthresh, WI_TCP_SSTHRESH_INF);
    assert_int_equal(c->loss.ca, WI_TCP_CA_OPEN);
    rig_end(r);
}

/* With timestamps the echo tells which SYN was answered: there is a sample (RFC 7323 4.1). And a SYN echoes nothing.
 * Rows: 7323-15 */
static void test_open_after_a_lost_syn_timestamps_give_the_rtt(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_until(r, RIG_START + WEIR_MS(1010));
    struct out again = rig_out(r, r->pkt_n - 1);
    assert_int_equal(again.h.tsecr, 0);
    rig_until(r, RIG_START + WEIR_MS(1050));
    rig_in(r, (struct in){.seq = 0,
                          .ack = 1,
                          .flags = WI_TH_SYN | WI_TH_ACK,
                          .mss = MSS,
                          .ts = true,
                          .tsval = 5,
                          .tsecr = again.h.tsval});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    assert_in_range(c->rtt.srtt_us8 >> 3, 40000, 51000);
    assert_true(c->rtt.rto < WEIR_SEC(1));
    rig_end(r);
}

/* Figure 13: both FINs cross. FIN-WAIT-1, CLOSING, TIME-WAIT. Rows: 9293-S14 */
static void test_close_simultaneous_passes_through_closing(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_FIN_WAIT_1, UINT32_MAX, IRS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK | WI_TH_FIN});
    assert_int_equal(c->state, WEIR_TCP_CLOSING);
    expect_out(r, 0, WI_TH_ACK, 2, 0);
    assert_int_equal(rig_out(r, 0).ack, 2);
    rig_in(r, (struct in){.seq = 2, .ack = 2, .flags = WI_TH_ACK});
    assert_int_equal(c->state, WEIR_TCP_TIME_WAIT);
    rig_end(r);
}

/* An owner that is gone waits for the peer's FIN for tcp_fin_timeout only, and that as a compact entry.
 * Rows: attack-fin-wait-2-and-closing-exhaustion */
static void test_close_orphan_in_fin_wait_2_times_out(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_FIN_WAIT_1, 5, IRS);
    c->sk.owner = NULL;
    c->sk.on_ready = NULL;
    rig_ack(r, 2);
    assert_true(wi_list_empty(&r->tcp.all)); /* freed */
    rig_until(r, r->core.now + WEIR_SEC(59));
    assert_int_equal(wi_htable_count(&r->tcp.timewaits), 1);
    rig_until(r, r->core.now + WEIR_SEC(2));
    assert_int_equal(wi_htable_count(&r->tcp.timewaits), 0);
    assert_string_equal(r->last_cause, "FIN-WAIT-2 timed out");
    rig_end(r);
}

/* Data held back by a closed window go before the FIN, however long that takes. RFC 9293 3.6. Rows: 9293-S18 */
static void test_close_waits_for_the_data_before_the_fin(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_in(r, WEIR_TCP_ESTABLISHED, 5, IRS);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd_zero = true});
    rig_write(r, 10);
    wi_tcp_end_send(c, "test");
    rig_flush(r);
    rig_until(r, r->core.now + WEIR_SEC(3));
    rig_forget(r);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .wnd = 100});
    expect_out(r, 0, WI_TH_ACK | WI_TH_PSH | WI_TH_FIN, 1, 10);
    rig_end(r);
}

/* The CLOSE event counts the program's bytes, not the numbers of SYN and FIN; TCP_INFO counts all, as Linux does. */
static void test_close_event_counts_payload_alone(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = conn_connecting(r);
    rig_in(r, (struct in){.seq = 0, .ack = 1, .flags = WI_TH_SYN | WI_TH_ACK, .mss = MSS});
    rig_write(r, 80);
    rig_in(r, (struct in){.seq = 1, .ack = 81, .flags = WI_TH_ACK, .len = 30});
    wi_tcp_end_send(c, "test");
    rig_flush(r);
    rig_in(r, (struct in){.seq = 31, .ack = 82, .flags = WI_TH_ACK | WI_TH_FIN});
    assert_int_equal(c->state, WEIR_TCP_TIME_WAIT);
    assert_int_equal(r->closed_out, 80);
    assert_int_equal(r->closed_in, 30);
    assert_int_equal(c->bytes_acked, 82);
    rig_end(r);
}

static void count_closes(void *ctx, const struct weir_event *e)
{
    unsigned *n = ctx;
    *n += e->kind == WEIR_EV_CLOSE;
}

/* A stack's clock may begin at 0: a connection that failed then is renewed as any other. */
static void test_open_again_at_time_zero_begins_anew(void **state)
{
    (void)state;
    struct heap heap = {0};
    unsigned closed_n = 0;
    struct weir_config cfg = {.alloc = heap_owner(&heap),
                              .seed = 3,
                              .on_event = count_closes,
                              .event_ctx = &closed_n,
                              .event_mask = WEIR_EV_BIT(WEIR_EV_CLOSE)};
    struct weir *w = weir_new(&cfg);
    weir_fd fd = weir_socket(w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    struct weir_sockaddr nobody = {.family = WEIR_AF_INET, .addr = weir_addr_v4(127, 0, 0, 1), .port = 9};
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(weir_connect(w, fd, &nobody), -WEIR_EINPROGRESS);
        assert_int_equal(weir_connect(w, fd, &nobody), -WEIR_ECONNREFUSED);
        assert_int_equal(closed_n, i);
    }
    weir_free(w);
    assert_int_equal(heap.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_syn_offers_mss_sack_timestamps_and_scale),
        cmocka_unit_test(test_open_syn_ack_establishes),
        cmocka_unit_test(test_open_window_of_a_syn_is_not_shifted),
        cmocka_unit_test(test_open_wrong_ack_is_reset),
        cmocka_unit_test(test_open_reset_needs_the_ack),
        cmocka_unit_test(test_open_split_handshake_follows_the_states),
        cmocka_unit_test(test_open_echo_without_ack_is_no_rtt),
        cmocka_unit_test(test_open_simultaneous_establishes),
        cmocka_unit_test(test_open_simultaneous_repeats_its_syn_ack),
        cmocka_unit_test(test_open_simultaneous_closed_in_syn_received_ends_orderly),
        cmocka_unit_test(test_open_syn_is_repeated_and_given_up),
        cmocka_unit_test(test_open_after_a_lost_syn_starts_fresh),
        cmocka_unit_test(test_open_after_a_lost_syn_timestamps_give_the_rtt),
        cmocka_unit_test(test_close_simultaneous_passes_through_closing),
        cmocka_unit_test(test_close_orphan_in_fin_wait_2_times_out),
        cmocka_unit_test(test_close_waits_for_the_data_before_the_fin),
        cmocka_unit_test(test_close_event_counts_payload_alone),
        cmocka_unit_test(test_open_again_at_time_zero_begins_anew),
    };
    return cmocka_run_group_tests_name("tcp/open", tests, NULL, NULL);
}
