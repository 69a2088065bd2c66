/*
 * A listener's two queues, segment by segment: SYN-ACKs and their timer, RFC 9293 3.10.7.4 in SYN-RECEIVED, Linux's
 * backlog, TCP_DEFER_ACCEPT, SO_REUSEPORT, held SYNs.
 */
#include "unit/tcp/peer.h"

#include "base/bytes.h"

static struct peer p;

static int setup_v4(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    return 0;
}

static int setup_v6(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET6);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

static void set_int(weir_fd fd, int level, int name, int v)
{
    assert_int_equal(weir_setsockopt(p.stack, fd, level, name, &v, sizeof v), 0);
}

static int get_int(weir_fd fd, int level, int name)
{
    int v = -1;
    uint32_t len = sizeof v;
    assert_int_equal(weir_getsockopt(p.stack, fd, level, name, &v, &len), 0);
    return v;
}

/* A SYN from a port; what its SYN-ACK said. */
static struct peer_seg syn_from(uint16_t port, uint32_t isn)
{
    struct wi_wire_tcp h = peer_syn(isn);
    h.src_port = port;
    peer_send(&p, &h, NULL);
    return *peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
}

static void ack_from(uint16_t port, uint32_t seq, uint32_t ack)
{
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq, ack);
    h.src_port = port;
    peer_send(&p, &h, NULL);
}

/* ---- SYN-ACK ---- */

/* RFC 9293 3.10.7.2, RFC 7323 2.2, 3.2, RFC 2018 2: an option is in the SYN-ACK only when it was in the SYN.
 * Rows: 7323-2 7323-8 7323-14 2018-2 */
static void test_listen_syn_ack_has_the_options_that_the_syn_had(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    struct wi_wire_tcp h = peer_syn(0xffffffff);
    h.has_ts = true;
    h.tsval = 777;
    peer_send(&p, &h, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    assert_int_equal(s->h.ack.v, 0);
    assert_int_equal(s->h.mss, p.family == WEIR_AF_INET ? 1460 : 1440);
    assert_true(s->h.sack_ok && s->h.has_wscale && s->h.has_ts);
    assert_int_equal(s->h.tsecr, 777);
    assert_int_equal(s->h.wscale, 7);
    assert_in_range(s->h.wnd, 60000, 65535);

    h = peer_hdr(WI_TH_SYN, 5, 0);
    h.src_port++;
    peer_send(&p, &h, NULL);
    s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    assert_false(s->h.sack_ok || s->h.has_wscale || s->h.has_ts);
    assert_true(s->h.mss > 0); /* Rows: SHLD-5 */
}

static void test_listen_options_that_are_off_are_not_answered(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    peer_sysctl(&p, "tcp_sack", "0");
    peer_sysctl(&p, "tcp_window_scaling", "0");
    peer_sysctl(&p, "tcp_timestamps", "0");
    struct wi_wire_tcp h = peer_syn(1);
    h.has_ts = true;
    peer_send(&p, &h, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    assert_false(s->h.sack_ok || s->h.has_wscale || s->h.has_ts);
}

/* RFC 3168 6.1.1: ECE alone answers an ECN-setup SYN. Rows: SHLD-8 */
static void test_listen_ecn_syn_is_answered_with_ece(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    struct wi_wire_tcp h = peer_syn(1);
    h.flags |= WI_TH_ECE | WI_TH_CWR;
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_SYN | WI_TH_ACK | WI_TH_ECE);
    h = peer_syn(1);
    h.src_port++;
    h.flags |= WI_TH_ECE;
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
}

/* Attack: SYN-ACK reflection: tcp_synack_retries times, at 1, 2, 4 … seconds, and then the request is
 * forgotten. Rows: 4987-2 4987-12 attack-syn-ack-reflection */
static void test_listen_syn_ack_is_repeated_with_back_off_and_then_forgotten(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    size_t before = weir_mem_used(p.stack);
    syn_from(PEER_PORT, 1);
    weir_ns at = p.now;
    assert_true(weir_mem_used(p.stack) > before);
    peer_run(&p, WEIR_SEC(200));
    for (unsigned i = 0; i < 5; i++) {
        const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
        assert_true(s->at == at + WEIR_SEC(1u << i));
        at = s->at;
    }
    peer_none(&p);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
    assert_int_equal(weir_mem_used(p.stack), before);
    ack_from(PEER_PORT, 2, 3);
    peer_expect(&p, WI_TH_RST);
}

/* The fuller the queue is of old requests, the fewer repetitions: Linux's reqsk_timer_handler. Rows: 4987-2 */
static void test_listen_syn_ack_retries_fall_under_pressure(void **state)
{
    (void)state;
    peer_listen(&p, 16);
    peer_sysctl(&p, "tcp_syncookies", "0");
    for (uint16_t i = 0; i < 16; i++)
        syn_from((uint16_t)(2000 + i), 1);
    peer_run(&p, WEIR_SEC(200));
    assert_in_range(p.seg_n, 16 + 16 * 2, 16 + 16 * 4);
}

/* Rows: 9293-S27 */
static void test_listen_same_syn_again_gets_the_same_syn_ack(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    struct peer_seg first = syn_from(PEER_PORT, 9);
    peer_run(&p, WEIR_MS(600));
    struct peer_seg second = syn_from(PEER_PORT, 9);
    assert_int_equal(first.h.seq.v, second.h.seq.v);
    assert_int_equal(p.drop, WEIR_DROP_TCP_SYN_DUP);
    /* tcp_invalid_ratelimit: two in half a second are one too many. */
    struct wi_wire_tcp h = peer_syn(9);
    peer_send(&p, &h, NULL);
    peer_none(&p);
}

/* ---- SYN-RECEIVED ---- */

static void test_listen_handshake_gives_a_connection(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    uint32_t seq, ack;
    weir_fd fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    struct weir_sockaddr name;
    assert_int_equal(weir_getpeername(p.stack, fd, &name), 0);
    assert_int_equal(name.port, PEER_PORT);
    assert_true(weir_addr_equal(&name.addr, &p.addr));
    assert_int_equal(weir_getsockname(p.stack, fd, &name), 0);
    assert_int_equal(name.port, STACK_PORT);
    assert_int_equal(peer_stat(&p, "TcpPassiveOpens"), 1);
    assert_int_equal(peer_stat(&p, "TcpCurrEstab"), 1);
    assert_int_equal(weir_send(p.stack, fd, "hi", 2, 0), 2);
    const struct peer_seg *s = peer_expect(&p, WI_TH_PSH | WI_TH_ACK);
    assert_int_equal(s->h.seq.v, ack);
    assert_memory_equal(s->data, "hi", 2);
}

/* RFC 9293 3.10.7.4: data and FIN may ride on the handshake's ACK. Rows: 9293-S26 */
static void test_listen_data_and_fin_on_the_last_ack_are_taken(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    struct peer_seg s = syn_from(PEER_PORT, 100);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | WI_TH_FIN | WI_TH_PSH, 101, s.h.seq.v + 1);
    peer_send(&p, &h, "all of it");
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_true(fd >= 0);
    char buf[32];
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), 9);
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), 0);
}

/* RFC 9293 3.10.7.2: a SYN's data without Fast Open is not delivered early. Attack: SYN with data.
 * Rows: attack-syn-with-data */
static void test_listen_data_on_a_syn_is_not_kept(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    size_t before = weir_mem_used(p.stack);
    struct wi_wire_tcp h = peer_syn(100);
    peer_send(&p, &h, "early");
    size_t with_data = weir_mem_used(p.stack);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    assert_int_equal(s->h.ack.v, 101);
    assert_true(with_data - before < 16384); /* a slab's chunk, not the payload */
    ack_from(PEER_PORT, 101, s->h.seq.v + 1);
    weir_fd fd = weir_accept(p.stack, l, NULL);
    char buf[8];
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), -WEIR_EAGAIN);
}

/* RFC 9293 3.10.7.4, fifth check: an unacceptable ACK in SYN-RECEIVED gets <SEQ=SEG.ACK><CTL=RST>. Rows: 9293-S9 */
static void test_listen_wrong_ack_is_reset_and_the_request_stays(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    struct peer_seg s = syn_from(PEER_PORT, 100);
    ack_from(PEER_PORT, 101, s.h.seq.v + 2);
    assert_int_equal(peer_expect(&p, WI_TH_RST)->h.seq.v, s.h.seq.v + 2);
    ack_from(PEER_PORT, 101, s.h.seq.v + 1);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
}

/* An exact reset returns SYN-RECEIVED to LISTEN, one inside the window draws a challenge ACK, one outside nothing.
 * Rows: 5961-3-g */
static void test_listen_reset_counts_at_the_windows_edge_only(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    struct peer_seg s = syn_from(PEER_PORT, 100);
    struct wi_wire_tcp h = peer_hdr(WI_TH_RST, 99, 0);
    peer_send(&p, &h, NULL);
    peer_none(&p);
    h.seq.v = 102;
    peer_send(&p, &h, NULL);
    const struct peer_seg *c = peer_expect(&p, WI_TH_ACK);
    assert_int_equal(c->h.seq.v, s.h.seq.v + 1);
    assert_int_equal(c->h.ack.v, 101);
    assert_int_equal(p.drop, WEIR_DROP_TCP_RST_CHALLENGE);
    h.seq.v = 101;
    peer_send(&p, &h, NULL);
    assert_int_equal(p.drop, WEIR_DROP_TCP_RST);
    ack_from(PEER_PORT, 101, s.h.seq.v + 1);
    peer_expect(&p, WI_TH_RST);
    uint32_t seq, ack;
    peer_open(&p, l, PEER_PORT + 1, &seq, &ack);
}

/* RFC 9293 3.10.7.4, fourth check: a new SYN in the window returns a passive open to LISTEN; outside, the ACK makes
 * a restarted peer reset us. Rows: 5961-3-f */
static void test_listen_restarted_peer_gets_through(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    syn_from(PEER_PORT, 100);
    struct wi_wire_tcp h = peer_syn(5000);
    peer_send(&p, &h, NULL);
    peer_none(&p);
    struct peer_seg s = syn_from(PEER_PORT, 5000); /* again: now it is new */
    assert_int_equal(s.h.ack.v, 5001);

    h = peer_syn(0x80000000);
    peer_send(&p, &h, NULL);
    const struct peer_seg *c = peer_expect(&p, WI_TH_ACK);
    struct wi_wire_tcp rst = peer_hdr(WI_TH_RST, c->h.ack.v, 0);
    peer_send(&p, &rst, NULL);
    s = syn_from(PEER_PORT, 0x80000000);
    ack_from(PEER_PORT, 0x80000001, s.h.seq.v + 1);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
}

/* RFC 7323 5.3 in SYN-RECEIVED, and an echo of a timestamp that we never sent. Rows: 7323-29 */
static void test_listen_old_timestamp_and_foreign_echo_are_refused(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    struct wi_wire_tcp h = peer_syn(100);
    h.has_ts = true;
    h.tsval = 5000;
    peer_send(&p, &h, NULL);
    struct peer_seg s = *peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    h = peer_hdr(WI_TH_ACK, 101, s.h.seq.v + 1);
    h.has_ts = true;
    h.tsval = 4999;
    h.tsecr = s.h.tsval;
    peer_send(&p, &h, NULL);
    assert_int_equal(p.drop, WEIR_DROP_TCP_PAWS);
    peer_expect(&p, WI_TH_ACK);
    h.tsval = 5001;
    h.tsecr = s.h.tsval + 1;
    peer_send(&p, &h, NULL);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
    h.tsecr = s.h.tsval;
    peer_send(&p, &h, NULL);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
}

/* Attack: SYN-ACK reflection: an ICMP error about our SYN-ACK ends it; one about another number does not (RFC 5927).
 * Rows: attack-syn-ack-reflection */
static void test_listen_icmp_error_ends_the_request_it_quotes(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    struct peer_seg s = syn_from(PEER_PORT, 100), wrong = s;
    wrong.h.seq.v++;
    peer_send_unreach(&p, 1, &wrong);
    assert_int_equal(p.drop, WEIR_DROP_ICMP_STALE);
    peer_run(&p, WEIR_MS(1500));
    peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    peer_send_unreach(&p, 1, &s);
    peer_run(&p, WEIR_SEC(100));
    peer_none(&p);
}

/* ---- Backlog ---- */

/* Linux: listen(n) lets n + 1 wait; then a last ACK is dropped, the request stays and its SYN-ACK asks again.
 * Attack: accept queue overflow. Rows: 4987-10 attack-accept-queue-overflow */
static void test_listen_accept_queue_overflow_drops_the_last_ack_and_recovers(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 2);
    struct peer_seg s[4];
    s[0] = syn_from(1001, 100);
    s[1] = syn_from(1002, 100);
    ack_from(1001, 101, s[0].h.seq.v + 1);
    ack_from(1002, 101, s[1].h.seq.v + 1);
    s[2] = syn_from(1003, 100);
    s[3] = syn_from(1004, 100);
    ack_from(1003, 101, s[2].h.seq.v + 1); /* the third: backlog + 1 */
    ack_from(1004, 101, s[3].h.seq.v + 1);
    assert_int_equal(p.drop, WEIR_DROP_TCP_ACCEPT_QUEUE_FULL);
    assert_int_equal(peer_stat(&p, "ListenOverflows"), 1);
    peer_none(&p);

    struct wi_wire_tcp h = peer_syn(1); /* and new SYNs are dropped */
    h.src_port = 1005;
    peer_send(&p, &h, NULL);
    assert_int_equal(p.drop, WEIR_DROP_TCP_ACCEPT_QUEUE_FULL);
    peer_none(&p);

    assert_true(weir_accept(p.stack, l, NULL) >= 0);
    peer_run(&p, WEIR_MS(1100));
    peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    ack_from(1004, 101, s[3].h.seq.v + 1);
    for (int i = 0; i < 3; i++)
        assert_true(weir_accept(p.stack, l, NULL) >= 0);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
}

static void test_listen_abort_on_overflow_resets(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 1);
    peer_sysctl(&p, "tcp_abort_on_overflow", "1");
    struct peer_seg s;
    uint32_t ack;
    peer_shake(&p, 1001, 100, &ack);
    s = syn_from(1002, 100);
    assert_int_equal(weir_listen(p.stack, l, 0), 0); /* one may wait, and one does */
    ack_from(1002, 101, s.h.seq.v + 1);
    assert_int_equal(peer_expect(&p, WI_TH_RST)->h.seq.v, s.h.seq.v + 1);
    assert_int_equal(p.drop, WEIR_DROP_TCP_ACCEPT_QUEUE_FULL);
    peer_run(&p, WEIR_SEC(100));
    peer_none(&p);
}

/* Without cookies a full SYN queue drops. Rows: 4987-1 */
static void test_listen_full_syn_queue_without_cookies_drops(void **state)
{
    (void)state;
    peer_listen(&p, 4);
    peer_sysctl(&p, "tcp_syncookies", "0");
    for (uint16_t i = 0; i < 5; i++)
        syn_from((uint16_t)(2000 + i), 1);
    struct wi_wire_tcp h = peer_syn(1);
    h.src_port = 3000;
    peer_send(&p, &h, NULL);
    assert_int_equal(p.drop, WEIR_DROP_TCP_SYN_QUEUE_FULL);
    peer_none(&p);
    peer_run(&p, WEIR_SEC(200)); /* they expire: there is room again */
    while (peer_next(&p))
        ;
    syn_from(3000, 1);
}

/* Linux: without cookies a quarter of tcp_max_syn_backlog stays free. */
static void test_listen_max_syn_backlog_limits_without_cookies(void **state)
{
    (void)state;
    peer_listen(&p, 1000);
    peer_sysctl(&p, "tcp_syncookies", "0");
    peer_sysctl(&p, "tcp_max_syn_backlog", "8");
    for (uint16_t i = 0; i < 7; i++)
        syn_from((uint16_t)(2000 + i), 1);
    struct wi_wire_tcp h = peer_syn(1);
    h.src_port = 3000;
    peer_send(&p, &h, NULL);
    assert_int_equal(p.drop, WEIR_DROP_TCP_SYN_QUEUE_FULL);
}

/* Linux: a connection that was reset in accept's queue is still accepted, and then tells. */
static void test_listen_connection_reset_in_the_queue_is_accepted_dead(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    uint32_t ack;
    peer_shake(&p, PEER_PORT, 1000, &ack);
    struct wi_wire_tcp h = peer_hdr(WI_TH_RST, 1001, 0);
    peer_send(&p, &h, NULL);
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_true(fd >= 0);
    char buf[4];
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), -WEIR_ECONNRESET);
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), 0);
}

/* RFC 9293 3.10.4 for LISTEN: what nobody accepted is reset; half-open ones are forgotten. */
static void test_listen_close_resets_unaccepted_children(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    uint32_t ack;
    peer_shake(&p, 1001, 1000, &ack);
    struct peer_seg s = syn_from(1002, 7);
    assert_int_equal(weir_close(p.stack, l), 0);
    const struct peer_seg *r = peer_expect(&p, WI_TH_RST | WI_TH_ACK);
    assert_int_equal(r->h.dst_port, 1001);
    assert_int_equal(r->h.seq.v, ack);
    peer_none(&p);
    ack_from(1002, 8, s.h.seq.v + 1);
    peer_expect(&p, WI_TH_RST);
    peer_run(&p, WEIR_SEC(200));
    peer_none(&p);
}

static void test_listen_again_changes_the_backlog(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 1);
    assert_int_equal(weir_listen(p.stack, l, 7), 0);
    struct weir_tcp_info info;
    uint32_t len = sizeof info;
    assert_int_equal(weir_getsockopt(p.stack, l, WEIR_SOL_TCP, WEIR_TCP_INFO, &info, &len), 0);
    assert_int_equal(info.state, 10);
    assert_int_equal(info.sacked, 7);
    struct weir_sockaddr peer = {.addr = p.addr, .family = (uint16_t)p.family, .port = 1};
    assert_int_equal(weir_connect(p.stack, l, &peer), -WEIR_EISCONN);
}

/* ---- Children ---- */

static void test_listen_children_inherit_options(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    set_int(l, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1);
    set_int(l, WEIR_SOL_TCP, WEIR_TCP_KEEPIDLE, 77);
    set_int(l, WEIR_SOL_TCP, WEIR_TCP_MAXSEG, 1000);
    set_int(l, WEIR_SOL_TCP, WEIR_TCP_USER_TIMEOUT, 4321);
    set_int(l, WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE, 1);
    set_int(l, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, 50000);
    assert_int_equal(weir_setsockopt(p.stack, l, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, "reno", 4), 0);
    struct wi_wire_tcp h = peer_syn(1000);
    peer_send(&p, &h, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    assert_int_equal(s->h.mss, 1000);
    ack_from(PEER_PORT, 1001, s->h.seq.v + 1);
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_int_equal(get_int(fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY), 1);
    assert_int_equal(get_int(fd, WEIR_SOL_TCP, WEIR_TCP_KEEPIDLE), 77);
    assert_int_equal(get_int(fd, WEIR_SOL_TCP, WEIR_TCP_USER_TIMEOUT), 4321);
    assert_int_equal(get_int(fd, WEIR_SOL_TCP, WEIR_TCP_MAXSEG), 1000);
    assert_int_equal(get_int(fd, WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE), 1);
    assert_int_equal(get_int(fd, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF), 100000);
    char cc[16];
    uint32_t len = sizeof cc;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, cc, &len), 0);
    assert_string_equal(cc, "reno");
}

/* Linux: TCP_DEFER_ACCEPT waits for data, for about that many seconds, and then takes the bare ACK. */
static void test_listen_defer_accept_waits_for_data(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    set_int(l, WEIR_SOL_TCP, WEIR_TCP_DEFER_ACCEPT, 2);
    assert_int_equal(get_int(l, WEIR_SOL_TCP, WEIR_TCP_DEFER_ACCEPT), 3); /* 1 + 2 s */
    struct peer_seg s = syn_from(1001, 100);
    ack_from(1001, 101, s.h.seq.v + 1);
    assert_int_equal(p.drop, WEIR_DROP_TCP_DEFER_ACCEPT);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | WI_TH_PSH, 101, s.h.seq.v + 1);
    h.src_port = 1001;
    peer_send(&p, &h, "data");
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
    assert_int_equal(peer_expect(&p, WI_TH_ACK)->h.ack.v, 105);

    s = syn_from(1002, 100);
    ack_from(1002, 101, s.h.seq.v + 1);
    peer_run(&p, WEIR_SEC(4));
    peer_expect(&p, WI_TH_SYN | WI_TH_ACK); /* one last chance */
    ack_from(1002, 101, s.h.seq.v + 1);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
}

/* SO_REUSEPORT: flows spread over the group, and each flow keeps its listener. */
static void test_listen_reuseport_spreads_by_flow(void **state)
{
    (void)state;
    weir_fd l[2];
    struct weir_sockaddr any = {.addr = weir_addr_any(p.family), .family = (uint16_t)p.family, .port = STACK_PORT};
    for (int i = 0; i < 2; i++) {
        l[i] = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
        set_int(l[i], WEIR_SOL_SOCKET, WEIR_SO_REUSEPORT, 1);
        assert_int_equal(weir_bind(p.stack, l[i], &any), 0);
        assert_int_equal(weir_listen(p.stack, l[i], 100), 0);
    }
    for (uint16_t i = 0; i < 64; i++) {
        uint32_t ack;
        peer_shake(&p, (uint16_t)(5000 + i), 1, &ack);
    }
    int n[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        while (weir_accept(p.stack, l[i], NULL) >= 0)
            n[i]++;
    }
    assert_int_equal(n[0] + n[1], 64);
    assert_in_range(n[0], 10, 54);
}

/* ---- Held SYNs ---- */

static weir_fd hold_listener(void)
{
    weir_fd l = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
    struct weir_sockaddr any = {.addr = weir_addr_any(p.family), .family = (uint16_t)p.family};
    set_int(l, WEIR_SOL_WEIR, WEIR_OPT_ANY_PORT, 1);
    set_int(l, WEIR_SOL_WEIR, WEIR_OPT_HOLD_SYN, 1);
    assert_int_equal(weir_bind(p.stack, l, &any), 0);
    assert_int_equal(weir_listen(p.stack, l, 100), 0);
    return l;
}

static weir_fd held_from(weir_fd l, uint16_t port)
{
    struct wi_wire_tcp h = peer_syn(100);
    h.src_port = port;
    h.dst_port = 8443;
    peer_send(&p, &h, NULL);
    peer_none(&p);
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_true(fd >= 0);
    return fd;
}

static void test_listen_held_syn_is_answered_when_admitted(void **state)
{
    (void)state;
    weir_fd l = hold_listener();
    weir_fd fd = held_from(l, 1001);
    struct wi_wire_tcp h = peer_syn(100); /* the peer repeats it: nothing, and no second child */
    h.src_port = 1001;
    h.dst_port = 8443;
    peer_send(&p, &h, NULL);
    peer_none(&p);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
    struct weir_sockaddr name;
    assert_int_equal(weir_getsockname(p.stack, fd, &name), 0);
    assert_int_equal(name.port, 8443);
    assert_int_equal(peer_poll(&p, fd), 0);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), -WEIR_EAGAIN);
    assert_int_equal(weir_recv(p.stack, fd, &h, 1, 0), -WEIR_EAGAIN);

    assert_int_equal(weir_tcp_admit(p.stack, fd), 0);
    assert_int_equal(weir_tcp_admit(p.stack, fd), -WEIR_EINVAL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    h = peer_hdr(WI_TH_ACK, 101, s->h.seq.v + 1);
    h.src_port = 1001;
    h.dst_port = 8443;
    peer_send(&p, &h, NULL);
    assert_true(peer_poll(&p, fd) & WEIR_POLLOUT);
    assert_int_equal(weir_tcp_refuse(p.stack, fd, 0), -WEIR_EINVAL);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1);
    peer_expect(&p, WI_TH_PSH | WI_TH_ACK);
}

static void test_listen_held_syn_is_refused_as_asked(void **state)
{
    (void)state;
    weir_fd l = hold_listener();
    assert_int_equal(weir_tcp_refuse(p.stack, held_from(l, 1001), WEIR_ECONNREFUSED), 0);
    const struct peer_seg *s = peer_expect(&p, WI_TH_RST | WI_TH_ACK);
    assert_int_equal(s->h.ack.v, 101);
    assert_int_equal(s->h.src_port, 8443);
    assert_int_equal(weir_tcp_refuse(p.stack, held_from(l, 1002), WEIR_ETIMEDOUT), 0);
    peer_none(&p);
    const int errs[] = {WEIR_EHOSTUNREACH, WEIR_ENETUNREACH, WEIR_EACCES};
    for (unsigned i = 0; i < WI_ARRAY_LEN(errs); i++) {
        assert_int_equal(weir_tcp_refuse(p.stack, held_from(l, (uint16_t)(1003 + i)), errs[i]), 0);
        s = peer_next(&p);
        assert_non_null(s);
        assert_true(s->is_icmp);
        assert_int_equal(s->icmp_type, p.family == WEIR_AF_INET ? 3 : 1);
    }
    weir_fd fd = held_from(l, 1010); /* closed without an answer: a reset */
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_RST | WI_TH_ACK);
}

static void test_listen_held_syn_fails_when_the_peer_resets(void **state)
{
    (void)state;
    weir_fd l = hold_listener();
    weir_fd fd = held_from(l, 1001);
    assert_int_equal(weir_close(p.stack, l), 0); /* its listener may go meanwhile */
    assert_int_equal(weir_tcp_admit(p.stack, fd), 0);
    peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    struct wi_wire_tcp h = peer_hdr(WI_TH_RST, 101, 0);
    h.src_port = 1001;
    h.dst_port = 8443;
    peer_send(&p, &h, NULL);
    assert_true(peer_poll(&p, fd) & WEIR_POLLERR);
    char c;
    assert_int_equal(weir_recv(p.stack, fd, &c, 1, 0), -WEIR_ECONNRESET);
    assert_int_equal(weir_recv(p.stack, fd, &c, 1, 0), 0);
    assert_int_equal(weir_close(p.stack, fd), 0);
}

static void test_listen_held_syn_times_out_after_admit(void **state)
{
    (void)state;
    weir_fd l = hold_listener();
    weir_fd fd = held_from(l, 1001);
    assert_int_equal(weir_tcp_admit(p.stack, fd), 0);
    peer_run(&p, WEIR_SEC(200));
    assert_int_equal(get_int(fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR), WEIR_ETIMEDOUT);
}

static void test_listen_held_syns_are_bounded(void **state)
{
    (void)state;
    weir_fd l = hold_listener();
    peer_sysctl(&p, "tcp_max_syn_backlog", "3");
    for (uint16_t i = 0; i < 5; i++) {
        struct wi_wire_tcp h = peer_syn(1);
        h.src_port = (uint16_t)(1001 + i);
        peer_send(&p, &h, NULL);
    }
    assert_int_equal(p.drop, WEIR_DROP_TCP_SYN_QUEUE_FULL);
    for (int i = 0; i < 3; i++)
        assert_true(weir_accept(p.stack, l, NULL) >= 0);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
}

/* A transparent gateway: the connection is with the host and port that the peer asked for, whoever that is. */
static void test_listen_gateway_answers_as_the_host_that_was_asked_for(void **state)
{
    (void)state;
    peer_init_as(&p, WEIR_AF_INET, WEIR_NETIF_ANY_ADDR);
    weir_fd l = hold_listener();
    struct weir_addr elsewhere = weir_addr_v4(93, 184, 216, 34);
    struct wi_wire_tcp h = peer_syn(100);
    h.dst_port = 443;
    peer_send_from(&p, &p.addr, &elsewhere, &h, NULL);
    weir_fd fd = weir_accept(p.stack, l, NULL);
    struct weir_sockaddr name;
    assert_int_equal(weir_getsockname(p.stack, fd, &name), 0);
    assert_true(weir_addr_equal(&name.addr, &elsewhere));
    assert_int_equal(name.port, 443);
    assert_int_equal(weir_tcp_admit(p.stack, fd), 0);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    assert_true(weir_addr_equal(&s->src, &elsewhere));
    h = peer_hdr(WI_TH_ACK, 101, s->h.seq.v + 1);
    h.dst_port = 443;
    peer_send_from(&p, &p.addr, &elsewhere, &h, NULL);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1);
    assert_true(weir_addr_equal(&peer_expect(&p, WI_TH_PSH | WI_TH_ACK)->src, &elsewhere));
    peer_fini(&p);
}

/* An exact listener comes before one that takes every port. */
static void test_listen_exact_port_wins_over_any_port(void **state)
{
    (void)state;
    weir_fd any = hold_listener(), exact = peer_listen(&p, 5);
    uint32_t ack;
    peer_shake(&p, PEER_PORT, 1, &ack);
    assert_int_equal(weir_accept(p.stack, any, NULL), -WEIR_EAGAIN);
    assert_true(weir_accept(p.stack, exact, NULL) >= 0);
}

/* ---- Memory ---- */

/* Every allocation of a handshake refused in its turn: nothing leaks, nothing breaks, and the next try works. */
static void test_listen_survives_every_refused_allocation(void **state)
{
    (void)state;
    for (size_t n = 1; n < 40; n++) {
        peer_init(&p, WEIR_AF_INET);
        weir_fd l = n % 2 ? peer_listen(&p, 5) : hold_listener();
        p.heap.fail_at = p.heap.alloc_n + n;
        for (uint16_t i = 0; i < 3; i++) {
            struct wi_wire_tcp h = peer_syn(100);
            h.src_port = (uint16_t)(1001 + i);
            peer_send(&p, &h, NULL);
            weir_fd held = weir_accept(p.stack, l, NULL);
            if (held >= 0)
                (void)weir_tcp_admit(p.stack, held);
            const struct peer_seg *s = peer_next(&p);
            if (!s)
                continue;
            ack_from((uint16_t)(1001 + i), 101, s->h.seq.v + 1);
            (void)weir_accept(p.stack, l, NULL);
        }
        p.heap.fail_at = 0;
        peer_run(&p, WEIR_SEC(300));
        peer_fini(&p);
    }
}

#define ON(setup, f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(setup_v4, test_listen_syn_ack_has_the_options_that_the_syn_had),
        ON(setup_v6, test_listen_syn_ack_has_the_options_that_the_syn_had),
        ON(setup_v4, test_listen_options_that_are_off_are_not_answered),
        ON(setup_v4, test_listen_ecn_syn_is_answered_with_ece),
        ON(setup_v4, test_listen_syn_ack_is_repeated_with_back_off_and_then_forgotten),
        ON(setup_v6, test_listen_syn_ack_is_repeated_with_back_off_and_then_forgotten),
        ON(setup_v4, test_listen_syn_ack_retries_fall_under_pressure),
        ON(setup_v4, test_listen_same_syn_again_gets_the_same_syn_ack),
        ON(setup_v4, test_listen_handshake_gives_a_connection),
        ON(setup_v6, test_listen_handshake_gives_a_connection),
        ON(setup_v4, test_listen_data_and_fin_on_the_last_ack_are_taken),
        ON(setup_v4, test_listen_data_on_a_syn_is_not_kept),
        ON(setup_v4, test_listen_wrong_ack_is_reset_and_the_request_stays),
        ON(setup_v4, test_listen_reset_counts_at_the_windows_edge_only),
        ON(setup_v4, test_listen_restarted_peer_gets_through),
        ON(setup_v4, test_listen_old_timestamp_and_foreign_echo_are_refused),
        ON(setup_v4, test_listen_icmp_error_ends_the_request_it_quotes),
        ON(setup_v4, test_listen_accept_queue_overflow_drops_the_last_ack_and_recovers),
        ON(setup_v4, test_listen_abort_on_overflow_resets),
        ON(setup_v4, test_listen_full_syn_queue_without_cookies_drops),
        ON(setup_v4, test_listen_max_syn_backlog_limits_without_cookies),
        ON(setup_v4, test_listen_connection_reset_in_the_queue_is_accepted_dead),
        ON(setup_v4, test_listen_close_resets_unaccepted_children),
        ON(setup_v4, test_listen_again_changes_the_backlog),
        ON(setup_v4, test_listen_children_inherit_options),
        ON(setup_v4, test_listen_defer_accept_waits_for_data),
        ON(setup_v4, test_listen_reuseport_spreads_by_flow),
        ON(setup_v4, test_listen_held_syn_is_answered_when_admitted),
        ON(setup_v6, test_listen_held_syn_is_answered_when_admitted),
        ON(setup_v4, test_listen_held_syn_is_refused_as_asked),
        ON(setup_v6, test_listen_held_syn_is_refused_as_asked),
        ON(setup_v4, test_listen_held_syn_fails_when_the_peer_resets),
        ON(setup_v4, test_listen_held_syn_times_out_after_admit),
        ON(setup_v4, test_listen_held_syns_are_bounded),
        cmocka_unit_test(test_listen_gateway_answers_as_the_host_that_was_asked_for),
        ON(setup_v4, test_listen_exact_port_wins_over_any_port),
        cmocka_unit_test(test_listen_survives_every_refused_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
