/* TCP_INFO, SO_MEMINFO and the queue ioctls, group by group: each member with Linux's meaning and unit. */
#include "unit/tcp/peer.h"

static struct peer p;
static weir_fd l, fd;
static uint32_t seq, ack; /* of our next segment to fd */

static int setup(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    l = peer_listen(&p, 5);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

static void open_one(void)
{
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
}

static struct weir_tcp_info info(void)
{
    return peer_info(&p, fd);
}

/* Write n bytes, and forget what that sends. */
static void write_bytes(uint32_t n)
{
    static const char bytes[1 << 18];
    assert_int_equal(weir_send(p.stack, fd, bytes, n, 0), n);
    while (peer_next(&p))
        ;
}

/* Acknowledge `n` more bytes, with a window in units of 128 bytes. */
static void acknowledge(uint32_t n, uint16_t wnd)
{
    ack += n;
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq, ack);
    h.wnd = wnd;
    peer_send(&p, &h, NULL);
    while (peer_next(&p))
        ;
}

static void receive(const char *text, uint16_t flags)
{
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | flags, seq, ack);
    peer_send(&p, &h, text);
    seq += text ? (uint32_t)strlen(text) : 0;
    while (peer_next(&p))
        ;
}

/* Linux fills these, and the two queue lengths, for a listener. */
static void test_info_listener_tells_its_queue(void **state)
{
    (void)state;
    peer_shake(&p, PEER_PORT, 1000, &ack);
    struct weir_tcp_info i = peer_info(&p, l);
    assert_int_equal(i.state, 10);
    assert_int_equal(i.unacked, 1);
    assert_int_equal(i.sacked, 5);
    assert_int_equal(i.reordering, 3);
    assert_int_equal(i.snd_cwnd, 10);
    assert_true(i.pacing_rate == UINT64_MAX && i.max_pacing_rate == UINT64_MAX);
    assert_int_equal(i.snd_mss, 0);
    assert_int_equal(i.rto, 0);
}

static void test_info_new_socket_has_linuxs_first_values(void **state)
{
    (void)state;
    fd = weir_socket(p.stack, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    struct weir_tcp_info i = info();
    assert_int_equal(i.state, 7);
    assert_int_equal(i.rto, 1000000);
    assert_int_equal(i.snd_mss, 536);
    assert_int_equal(i.snd_cwnd, 10);
    assert_int_equal(i.snd_ssthresh, 0x7fffffff);
    assert_int_equal(i.reordering, 3);
    assert_true(i.min_rtt == UINT32_MAX);
    assert_int_equal(i.delivery_rate_app_limited, 1);
    assert_true(i.ledger.life == 0);
}

/* The SYN counts as a segment in, the SYN-ACK as delivered; it is a request's, so not as one out. Linux. */
static void test_info_counts_of_a_handshake(void **state)
{
    (void)state;
    open_one();
    struct weir_tcp_info i = info();
    assert_int_equal(i.segs_in, 2);
    assert_int_equal(i.segs_out, 0);
    assert_int_equal(i.delivered, 1);
    assert_true(i.bytes_acked == 0 && i.bytes_received == 0);
    assert_int_equal(i.options, 2 | 4);
    assert_int_equal(i.snd_wscale, 7);
    assert_int_equal(i.rcv_wscale, 7);
}

static void test_info_counts_of_data(void **state)
{
    (void)state;
    open_one();
    write_bytes(3000);
    struct weir_tcp_info i = info();
    assert_int_equal(i.unacked, 3);
    assert_int_equal(i.data_segs_out, 3);
    assert_int_equal(i.segs_out, 3);
    assert_true(i.bytes_sent == 3000 && i.bytes_acked == 0);
    assert_int_equal(i.notsent_bytes, 0);
    acknowledge(3000, 1000);
    receive("hello", WI_TH_PSH);
    receive(NULL, WI_TH_FIN);
    i = info();
    assert_int_equal(i.unacked, 0);
    assert_true(i.bytes_acked == 3000);
    assert_true(i.bytes_received == 6); /* the FIN is a number too */
    assert_int_equal(i.data_segs_in, 1);
    assert_int_equal(i.segs_in, 5);
    assert_int_equal(i.delivered, 4);
    assert_int_equal(i.snd_wnd, 65535 * 128);
    assert_int_equal(i.state, 8);
}

static void test_info_times_count_from_the_handshake_and_from_what_came_last(void **state)
{
    (void)state;
    open_one();
    peer_run(&p, WEIR_MS(70));
    struct weir_tcp_info i = info();
    assert_int_equal(i.last_data_sent, 70);
    assert_int_equal(i.last_data_recv, 70);
    assert_int_equal(i.last_ack_recv, 70);
    assert_int_equal(i.last_ack_sent, 0); /* Linux has never filled it */
    write_bytes(10);
    peer_run(&p, WEIR_MS(20));
    acknowledge(10, 1000);
    peer_run(&p, WEIR_MS(5));
    receive("x", WI_TH_PSH);
    peer_run(&p, WEIR_MS(1));
    i = info();
    assert_int_equal(i.last_data_sent, 26);
    assert_int_equal(i.last_ack_recv, 1);
    assert_int_equal(i.last_data_recv, 1);
}

static void test_info_round_trips_are_microseconds(void **state)
{
    (void)state;
    open_one();
    for (int n = 0; n < 200; n++) { /* until the handshake's sample is forgotten */
        write_bytes(10);
        peer_run(&p, WEIR_MS(30));
        acknowledge(10, 1000);
    }
    struct weir_tcp_info i = info();
    assert_in_range(i.rtt, 29900, 30100);
    assert_in_range(i.rttvar, 0, 2000);
    assert_in_range(i.rto, 229000, 232000);
    assert_in_range(i.min_rtt, 0, 30000);
    assert_true(i.delivery_rate > 0);
    assert_int_equal(i.delivery_rate_app_limited, 1);
}

/* Busy from the first byte written to the last acknowledged. */
static void test_info_busy_time_is_while_anything_is_queued_or_under_way(void **state)
{
    (void)state;
    open_one();
    peer_run(&p, WEIR_MS(10));
    assert_true(info().busy_time == 0);
    write_bytes(100);
    peer_run(&p, WEIR_MS(25));
    assert_true(info().busy_time == 25000);
    acknowledge(100, 1000);
    peer_run(&p, WEIR_MS(50));
    struct weir_tcp_info i = info();
    assert_true(i.busy_time == 25000);
    assert_true(i.rwnd_limited == 0 && i.sndbuf_limited == 0);
}

static void test_info_rwnd_limited_is_while_the_window_holds_data_back(void **state)
{
    (void)state;
    open_one();
    write_bytes(10);
    acknowledge(10, 20); /* 2560 bytes */
    peer_run(&p, WEIR_MS(5));
    write_bytes(5000);
    peer_run(&p, WEIR_MS(40));
    struct weir_tcp_info i = info();
    assert_true(i.rwnd_limited == 40000);
    assert_int_equal(i.notsent_bytes, 5000 - 2560);
    acknowledge(2560, 1000);
    peer_run(&p, WEIR_MS(7));
    i = info();
    assert_true(i.rwnd_limited == 40000);
    assert_true(i.busy_time == 47000);
    assert_int_equal(i.notsent_bytes, 0);
}

/* All that fits the send buffer is under way, far from filling the congestion window, and the writer was refused more.
 */
static void test_info_sndbuf_limited_is_while_the_writer_waits_for_room(void **state)
{
    (void)state;
    static const char bytes[1 << 17];
    int small = 4608;
    open_one();
    for (int n = 0; n < 5; n++) { /* the window grows */
        uint32_t flight = (10u << n) * 1460;
        write_bytes(flight);
        acknowledge(flight, 2000);
    }
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_SNDBUF, &small, sizeof small), 0);
    int64_t took = weir_send(p.stack, fd, bytes, sizeof bytes, 0);
    assert_in_range(took, 1, 1 << 16); /* a super-segment, as Linux: what is begun is filled */
    peer_run(&p, WEIR_MS(30));
    struct weir_tcp_info i = info();
    assert_int_equal(i.notsent_bytes, 0);
    assert_true(i.sndbuf_limited == 30000);
    acknowledge((uint32_t)took, 2000);
    peer_run(&p, WEIR_MS(9));
    i = info();
    assert_true(i.sndbuf_limited == 30000);
}

/* Two timeouts in a row are one recovery, whose time ends when the lost is acknowledged. Each tries another path. */
static void test_info_timeouts_are_counted_and_timed(void **state)
{
    (void)state;
    peer_sysctl(&p, "net.ipv4.tcp_early_retrans", "0");
    open_one();
    write_bytes(10);
    weir_ns sent = p.now;
    while (info().total_rto < 2)
        peer_run(&p, WEIR_MS(1));
    struct weir_tcp_info i = info();
    assert_int_equal(i.total_rto_recoveries, 1);
    assert_int_equal(i.retransmits, 2);
    assert_int_equal(i.total_retrans, 2);
    assert_int_equal(i.backoff, 2);
    assert_int_equal(i.ca_state, 4);
    assert_int_equal(i.lost, 1);
    assert_int_equal(i.retrans, 1);
    assert_int_equal(i.rehash, 2);
    assert_true(i.bytes_retrans == 20 && i.bytes_sent == 30);
    uint32_t first = (uint32_t)((p.now - sent) / WEIR_MS(1)) - i.total_rto_time; /* the timer began it */
    assert_in_range(first, 199, 400);
    peer_run(&p, WEIR_MS(17));
    acknowledge(10, 1000);
    uint32_t whole = info().total_rto_time;
    assert_in_range(whole, i.total_rto_time + 16, i.total_rto_time + 18);
    peer_run(&p, WEIR_MS(100));
    i = info();
    assert_int_equal(i.total_rto_time, whole);
    assert_int_equal(i.total_rto_recoveries, 1);
    assert_int_equal(i.retransmits, 0);
    assert_int_equal(i.ca_state, 0);
}

/* The SYN-ACK's timeouts are the connection's. */
static void test_info_timeouts_of_the_handshake_count(void **state)
{
    (void)state;
    struct wi_wire_tcp syn = peer_syn(1000);
    peer_send(&p, &syn, NULL);
    ack = peer_expect(&p, WI_TH_SYN | WI_TH_ACK)->h.seq.v + 1;
    peer_run(&p, WEIR_MS(1500));
    seq = 1001;
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq, ack);
    peer_send(&p, &h, NULL);
    fd = weir_accept(p.stack, l, NULL);
    struct weir_tcp_info i = info();
    assert_int_equal(i.total_rto, 1);
    assert_int_equal(i.total_rto_recoveries, 1);
    assert_int_equal(i.total_rto_time, 1500);
    assert_int_equal(i.total_retrans, 1);
    assert_true(i.ledger.spent[WEIR_CAUSE_HANDSHAKE] == WEIR_MS(1500));
    assert_true(i.ledger.life == WEIR_MS(1500));
}

/* Our own SYN's round trip is the handshake's, to the nanosecond. */
static void test_info_ledger_of_an_active_open_begins_with_the_handshake(void **state)
{
    (void)state;
    struct weir_sockaddr to = {.addr = p.addr, .family = WEIR_AF_INET, .port = PEER_PORT};
    fd = weir_socket(p.stack, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_EINPROGRESS);
    const struct peer_seg *syn = peer_expect(&p, WI_TH_SYN);
    peer_run(&p, WEIR_MS(40));
    assert_true(info().ledger.spent[WEIR_CAUSE_HANDSHAKE] == WEIR_MS(40));
    struct wi_wire_tcp h = peer_syn(7000);
    h.flags |= WI_TH_ACK;
    h.dst_port = syn->h.src_port;
    h.ack.v = syn->h.seq.v + 1;
    peer_send(&p, &h, NULL);
    peer_run(&p, WEIR_MS(3));
    struct weir_tcp_info i = info();
    assert_int_equal(i.state, 1);
    assert_true(i.ledger.spent[WEIR_CAUSE_HANDSHAKE] == WEIR_MS(40));
    assert_true(i.ledger.spent[WEIR_CAUSE_IDLE] == WEIR_MS(3));
    assert_true(i.ledger.life == WEIR_MS(43));
    assert_true(i.bytes_acked == 1 && i.segs_out == 2 && i.segs_in == 1); /* as Linux counts */
}

static void test_info_scoreboard_is_in_segments(void **state)
{
    (void)state;
    open_one();
    write_bytes(8 * 1460);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq, ack);
    h.sack_n = 1;
    h.sacks[0] = (struct wi_sack_block){{ack + 2 * 1460}, {ack + 7 * 1460}};
    peer_send(&p, &h, NULL);
    struct weir_tcp_info i = info();
    assert_int_equal(i.unacked, 8);
    assert_int_equal(i.sacked, 5);
    assert_int_equal(i.lost, 2);
    assert_int_equal(i.ca_state, 3);
    assert_in_range(i.retrans, 1, 2);
    assert_int_equal(i.delivered, 6);
}

static void test_info_duplicates_and_disorder_of_the_peer(void **state)
{
    (void)state;
    open_one();
    struct wi_wire_tcp late = peer_hdr(WI_TH_ACK, seq + 5, ack);
    peer_send(&p, &late, "world");
    assert_int_equal(info().rcv_ooopack, 1);
    struct wi_wire_tcp d = peer_hdr(WI_TH_ACK, seq, ack); /* DSACK: what it has already came again */
    write_bytes(1460);
    d.ack.v += 1460;
    d.sack_n = 1;
    d.sacks[0] = (struct wi_sack_block){{ack}, {ack + 1460}};
    peer_send(&p, &d, NULL);
    assert_int_equal(info().dsack_dups, 1);
}

static void test_info_windows_are_those_advertised(void **state)
{
    (void)state;
    open_one();
    struct weir_tcp_info before = info();
    assert_in_range(before.rcv_wnd, 60000, 70000);
    assert_in_range(before.rcv_ssthresh, 60000, 70000);
    assert_int_equal(before.rcv_space, 10 * 1460);
    receive("hello", WI_TH_PSH);
    peer_run(&p, WEIR_MS(50));
    assert_in_range(info().rcv_wnd, 60000, 70000);
    assert_int_equal(info().rcv_mss, 536);
}

/* A member's bytes lie where Linux's struct tcp_info has them: 280 of them, then ours. */
static void test_info_layout_is_linuxs(void **state)
{
    (void)state;
    assert_int_equal(offsetof(struct weir_tcp_info, rto), 8);
    assert_int_equal(offsetof(struct weir_tcp_info, pacing_rate), 104);
    assert_int_equal(offsetof(struct weir_tcp_info, delivery_rate), 160);
    assert_int_equal(offsetof(struct weir_tcp_info, bytes_sent), 200);
    assert_int_equal(offsetof(struct weir_tcp_info, rcv_wnd), 232);
    assert_int_equal(offsetof(struct weir_tcp_info, total_rto), 240);
    assert_int_equal(offsetof(struct weir_tcp_info, total_rto_time), 244);
    assert_int_equal(offsetof(struct weir_tcp_info, received_ce), 248);
    assert_int_equal(offsetof(struct weir_tcp_info, ledger), WEIR_TCP_INFO_LINUX_LEN);
}

static int queued(enum weir_ioctl what)
{
    int n = -1;
    assert_int_equal(weir_ioctl(p.stack, fd, what, &n), 0);
    return n;
}

/* SIOCOUTQ counts what is unacknowledged, SIOCOUTQNSD what is unsent, SIOCINQ what is unread; SO_MEMINFO the memory. */
static void test_info_queues_are_told_in_bytes(void **state)
{
    (void)state;
    uint32_t mem[WEIR_MEMINFO_N], len = sizeof mem;
    open_one();
    write_bytes(10);
    receive("hello", WI_TH_PSH);
    acknowledge(10, 20);
    write_bytes(5000);
    assert_int_equal(queued(WEIR_SIOCOUTQ), 5000);
    assert_int_equal(queued(WEIR_SIOCOUTQNSD), 5000 - 2560);
    assert_int_equal(queued(WEIR_SIOCINQ), 5);
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_MEMINFO, mem, &len), 0);
    assert_int_equal(len, 36);
    assert_in_range(mem[WEIR_MEMINFO_WMEM_QUEUED], 5000, 50000);
    assert_in_range(mem[WEIR_MEMINFO_RMEM_ALLOC], 5, 5000);
    assert_int_equal(mem[WEIR_MEMINFO_RCVBUF], 131072);
    assert_in_range(mem[WEIR_MEMINFO_SNDBUF], 16384, 4194304);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_info_listener_tells_its_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_new_socket_has_linuxs_first_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_counts_of_a_handshake, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_counts_of_data, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_times_count_from_the_handshake_and_from_what_came_last, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_info_round_trips_are_microseconds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_busy_time_is_while_anything_is_queued_or_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_rwnd_limited_is_while_the_window_holds_data_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_sndbuf_limited_is_while_the_writer_waits_for_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_timeouts_are_counted_and_timed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_timeouts_of_the_handshake_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_ledger_of_an_active_open_begins_with_the_handshake, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_scoreboard_is_in_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_duplicates_and_disorder_of_the_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_windows_are_those_advertised, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_layout_is_linuxs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_info_queues_are_told_in_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
