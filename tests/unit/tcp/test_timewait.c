/* TIME-WAIT: RFC 9293 3.10.7.4 for that state, RFC 1337, RFC 6191, and what it costs. */
#include "unit/tcp/peer.h"

#include "base/bytes.h"

static struct peer p;
static weir_fd listener;
static uint32_t seq, ack; /* of our next segment */

static int setup_v4(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    listener = peer_listen(&p, 5);
    return 0;
}

static int setup_v6(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET6);
    listener = peer_listen(&p, 5);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

/* A connection that the stack closed first, to the end; with_ts: timestamps from 5000 on. Leaves a TIME-WAIT entry. */
static void enter_time_wait(bool with_ts)
{
    struct wi_wire_tcp h = peer_syn(1000);
    h.has_ts = with_ts;
    h.tsval = 5000;
    peer_send(&p, &h, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    uint32_t tsecr = s->h.tsval;
    ack = s->h.seq.v + 1;
    h = peer_hdr(WI_TH_ACK, 1001, ack);
    h.has_ts = with_ts;
    h.tsval = 5001;
    h.tsecr = tsecr;
    peer_send(&p, &h, NULL);
    weir_fd fd = weir_accept(p.stack, listener, NULL);
    assert_true(fd >= 0);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
    h.flags = WI_TH_FIN | WI_TH_ACK;
    h.ack.v = ++ack;
    h.tsval = 5002;
    peer_send(&p, &h, NULL);
    assert_int_equal(peer_expect(&p, WI_TH_ACK)->h.ack.v, 1002);
    seq = 1002;
    assert_int_equal(peer_stat(&p, "TWOpened"), 1);
}

/* Is the entry still there? Its ACK says so. */
static bool is_there(void)
{
    peer_run(&p, WEIR_SEC(1));
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq - 5, ack);
    peer_send(&p, &h, "old");
    return peer_next(&p)->h.flags == WI_TH_ACK;
}

/* RFC 9293 3.6.1: 2 MSL, and then nothing is left of it. Rows: MUST-13 */
static void test_timewait_ends_after_2_msl(void **state)
{
    (void)state;
    size_t before = weir_mem_used(p.stack);
    enter_time_wait(false);
    peer_run(&p, WEIR_SEC(59));
    struct wi_wire_tcp h = peer_hdr(WI_TH_SYN, 1, 0); /* an old one, which does not begin the time anew */
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    peer_run(&p, WEIR_SEC(2));
    h = peer_hdr(WI_TH_ACK, seq, ack);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_RST);
    assert_int_equal(weir_mem_used(p.stack), before);
}

/* RFC 9293 3.10.7.4, eighth check: a repeated FIN is acknowledged again and 2 MSL begin anew. Rows: 9293-S16 */
static void test_timewait_repeated_fin_is_acknowledged_and_restarts_the_clock(void **state)
{
    (void)state;
    enter_time_wait(false);
    peer_run(&p, WEIR_SEC(50));
    struct wi_wire_tcp h = peer_hdr(WI_TH_FIN | WI_TH_ACK, seq - 1, ack);
    peer_send(&p, &h, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_ACK);
    assert_int_equal(s->h.seq.v, ack);
    assert_int_equal(s->h.ack.v, seq);
    peer_run(&p, WEIR_SEC(50));
    assert_true(is_there());
}

/* RFC 1337; attack: TIME-WAIT assassination. Linux's default lets an exact reset through, tcp_rfc1337 does not.
 * Rows: attack-time-wait-assassination */
static void test_timewait_reset_ends_it_only_at_the_edge_and_if_allowed(void **state)
{
    (void)state;
    peer_sysctl(&p, "tcp_rfc1337", "1");
    enter_time_wait(false);
    struct wi_wire_tcp h = peer_hdr(WI_TH_RST, seq, 0);
    peer_send(&p, &h, NULL);
    assert_int_equal(p.drop, WEIR_DROP_TCP_TIME_WAIT_RST);
    assert_true(is_there());
    peer_sysctl(&p, "tcp_rfc1337", "0");
    h.seq.v = seq + 1;
    peer_send(&p, &h, NULL);
    assert_true(is_there());
    h.seq.v = seq;
    peer_send(&p, &h, NULL);
    assert_false(is_there());
}

/* RFC 1122 4.2.2.13: a SYN beyond the old sequence numbers opens at once, and our own numbers go on beyond the old.
 * Rows: MAY-2 6528-x */
static void test_timewait_newer_syn_reopens(void **state)
{
    (void)state;
    enter_time_wait(false);
    struct wi_wire_tcp h = peer_syn(seq + 1);
    peer_send(&p, &h, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    assert_int_equal(s->h.seq.v, ack + 65537);
    assert_int_equal(s->h.ack.v, seq + 2);
    h = peer_hdr(WI_TH_ACK, seq + 2, s->h.seq.v + 1);
    peer_send(&p, &h, NULL);
    assert_true(weir_accept(p.stack, listener, NULL) >= 0);
}

/* Rows: MAY-2 */
static void test_timewait_older_syn_is_acknowledged_and_not_opened(void **state)
{
    (void)state;
    enter_time_wait(false);
    struct wi_wire_tcp h = peer_syn(seq - 100);
    peer_send(&p, &h, NULL);
    assert_int_equal(peer_expect(&p, WI_TH_ACK)->h.ack.v, seq);
    /* tcp_invalid_ratelimit: attack: ACK storm. Rows: attack-ack-storm-desynchronisation */
    peer_send(&p, &h, NULL);
    peer_none(&p);
}

/* RFC 6191 2: with timestamps the newer timestamp opens, whatever the sequence number. Rows: SHLD-4 6191-1 */
static void test_timewait_newer_timestamp_reopens(void **state)
{
    (void)state;
    enter_time_wait(true);
    struct wi_wire_tcp h = peer_syn(seq - 100000);
    h.has_ts = true;
    h.tsval = 5002; /* the last one: not newer */
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    h.tsval = 5003;
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
}

/* RFC 7323 5.2 in TIME-WAIT: an older timestamp opens nothing, even far beyond the sequence numbers. Rows: 6191-1 */
static void test_timewait_older_timestamp_does_not_reopen(void **state)
{
    (void)state;
    enter_time_wait(true);
    struct wi_wire_tcp h = peer_syn(seq + 100000);
    h.has_ts = true;
    h.tsval = 4000;
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    assert_int_equal(peer_stat(&p, "PAWSEstab"), 1);
}

/* Without a listener there is nothing to reopen. */
static void test_timewait_newer_syn_without_listener_is_acknowledged(void **state)
{
    (void)state;
    enter_time_wait(false);
    assert_int_equal(weir_close(p.stack, listener), 0);
    struct wi_wire_tcp h = peer_syn(seq + 1);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
}

static int bind_port_80(bool reuse)
{
    int one = 1;
    struct weir_sockaddr any = {.addr = weir_addr_any(p.family), .family = (uint16_t)p.family, .port = STACK_PORT};
    weir_fd fd = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
    if (reuse)
        assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, &one, sizeof one), 0);
    int err = weir_bind(p.stack, fd, &any);
    assert_int_equal(weir_close(p.stack, fd), 0);
    return err;
}

/* Linux, POSIX: the port stays taken, but for SO_REUSEADDR on both. */
static void test_timewait_holds_the_port(void **state)
{
    (void)state;
    int one = 1;
    enter_time_wait(false);
    assert_int_equal(weir_close(p.stack, listener), 0);
    assert_int_equal(bind_port_80(false), -WEIR_EADDRINUSE);
    assert_int_equal(bind_port_80(true), -WEIR_EADDRINUSE);
    peer_run(&p, WEIR_SEC(61));
    assert_int_equal(bind_port_80(false), 0);

    listener = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_setsockopt(p.stack, listener, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, &one, sizeof one), 0);
    struct weir_sockaddr any = {.addr = weir_addr_any(p.family), .family = (uint16_t)p.family, .port = STACK_PORT};
    assert_int_equal(weir_bind(p.stack, listener, &any), 0);
    assert_int_equal(weir_listen(p.stack, listener, 5), 0);
    uint32_t s, a;
    weir_fd fd = peer_open(&p, listener, 1001, &s, &a);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
    struct wi_wire_tcp h = peer_hdr(WI_TH_FIN | WI_TH_ACK, s, a + 1);
    h.src_port = 1001;
    peer_send(&p, &h, NULL);
    assert_int_equal(weir_close(p.stack, listener), 0);
    assert_int_equal(bind_port_80(false), -WEIR_EADDRINUSE);
    assert_int_equal(bind_port_80(true), 0);
}

/* Attack: TIME-WAIT exhaustion: tcp_max_tw_buckets bounds the entries, and connections go on working.
 * Rows: attack-time-wait-exhaustion */
static void test_timewait_entries_are_bounded(void **state)
{
    (void)state;
    peer_sysctl(&p, "tcp_max_tw_buckets", "10");
    size_t at_limit = 0;
    for (uint16_t i = 0; i < 200; i++) {
        uint32_t s, a;
        uint16_t port = (uint16_t)(2000 + i);
        weir_fd fd = peer_open(&p, listener, port, &s, &a);
        assert_int_equal(weir_close(p.stack, fd), 0);
        peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
        struct wi_wire_tcp h = peer_hdr(WI_TH_FIN | WI_TH_ACK, s, a + 1);
        h.src_port = port;
        peer_send(&p, &h, NULL);
        peer_expect(&p, WI_TH_ACK);
        if (i == 20)
            at_limit = peer_mem_at_rest(&p);
    }
    assert_int_equal(peer_mem_at_rest(&p), at_limit);
    assert_int_equal(peer_stat(&p, "TWOpened"), 10);
}

/* What was received and not read stays readable although the entry has taken the connection's place. */
static void test_timewait_unread_data_stays_readable(void **state)
{
    (void)state;
    weir_fd fd = peer_open(&p, listener, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_WR), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
    struct wi_wire_tcp h = peer_hdr(WI_TH_FIN | WI_TH_ACK | WI_TH_PSH, seq, ack + 1);
    peer_send(&p, &h, "last words");
    peer_expect(&p, WI_TH_ACK);
    char buf[32];
    assert_true(peer_poll(&p, fd) & WEIR_POLLIN);
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), 10);
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), 0);
    assert_true(peer_poll(&p, fd) & WEIR_POLLHUP);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), -WEIR_EPIPE);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_none(&p);
    peer_run(&p, WEIR_SEC(61));
}

/* tcp_tw_reuse, RFC 6191 2: our own connect may take the tuple over after a second, with numbers beyond the old. */
static void test_timewait_connect_reuses_the_tuple(void **state)
{
    (void)state;
    enter_time_wait(true);
    int one = 1;
    assert_int_equal(weir_close(p.stack, listener), 0);
    weir_fd fd = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, &one, sizeof one), 0);
    struct weir_sockaddr to = {.addr = p.addr, .family = (uint16_t)p.family, .port = PEER_PORT};
    peer_sysctl(&p, "ip_local_port_range", "80 80");
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_EADDRNOTAVAIL);
    peer_sysctl(&p, "tcp_tw_reuse", "1");
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_EADDRNOTAVAIL); /* too young */
    peer_run(&p, WEIR_SEC(2));
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_EINPROGRESS);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_int_equal(s->h.src_port, STACK_PORT);
    assert_int_equal(s->h.seq.v, ack + 65537);
    assert_int_equal(peer_stat(&p, "TWRecycled"), 1);
}

/* ---- FIN-WAIT-2 without an owner ---- */

/* A connection whose owner has closed it and whose FIN is acknowledged: an entry is all that is left. */
static void enter_fin_wait_2(void)
{
    weir_fd fd = peer_open(&p, listener, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq, ++ack);
    peer_send(&p, &h, NULL);
    peer_none(&p);
}

static void send_seg(uint16_t flags, uint32_t at, const char *text)
{
    struct wi_wire_tcp h = peer_hdr(flags, at, flags & WI_TH_ACK ? ack : 0);
    peer_send(&p, &h, text);
}

/* The peer's FIN comes: it is acknowledged, and 2 MSL begin. Rows: MUST-13 9293-S16 */
static void test_fin_wait_2_fin_leads_to_time_wait(void **state)
{
    (void)state;
    enter_fin_wait_2();
    peer_run(&p, WEIR_SEC(30));
    send_seg(WI_TH_ACK, seq, NULL); /* nothing new: no answer */
    peer_none(&p);
    send_seg(WI_TH_FIN | WI_TH_ACK, seq, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_ACK);
    assert_int_equal(s->h.ack.v, ++seq);
    assert_int_equal(s->h.seq.v, ack);
    assert_int_equal(peer_stat(&p, "TWOpened"), 1);
    peer_run(&p, WEIR_SEC(58));
    assert_true(is_there());
}

/* Data for nobody: a reset, and it is over. RFC 1122 4.2.2.13. Rows: SHLD-3 */
static void test_fin_wait_2_data_is_reset(void **state)
{
    (void)state;
    enter_fin_wait_2();
    send_seg(WI_TH_PSH | WI_TH_ACK, seq, "too late");
    assert_int_equal(peer_expect(&p, WI_TH_RST)->h.seq.v, ack);
    assert_int_equal(peer_stat(&p, "TCPAbortOnData"), 1);
    send_seg(WI_TH_FIN | WI_TH_ACK, seq + 8, NULL);
    peer_expect(&p, WI_TH_RST);
}

/* RFC 5961 holds for the entry as for a connection: a guessed reset or a SYN is challenged, old data is acknowledged,
 * and the exact reset ends it. Rows: 5961-3-a 5961-3-b 5961-3-c 5961-4-a */
static void test_fin_wait_2_guesses_are_challenged(void **state)
{
    (void)state;
    enter_fin_wait_2();
    send_seg(WI_TH_RST, seq + 1, NULL);
    assert_int_equal(peer_expect(&p, WI_TH_ACK)->h.ack.v, seq);
    send_seg(WI_TH_RST, seq - 1, NULL);
    peer_none(&p);
    peer_run(&p, WEIR_SEC(1));
    send_seg(WI_TH_SYN, seq + 1, NULL);
    peer_expect(&p, WI_TH_ACK);
    send_seg(WI_TH_SYN, seq + 1, NULL); /* and not twice at once */
    peer_none(&p);
    peer_run(&p, WEIR_SEC(1));
    send_seg(WI_TH_ACK, seq - 3, "old");
    peer_expect(&p, WI_TH_ACK);
    send_seg(WI_TH_RST, seq, NULL);
    peer_none(&p);
    send_seg(WI_TH_FIN | WI_TH_ACK, seq, NULL);
    peer_expect(&p, WI_TH_RST);
}

/* TCP_LINGER2 says how long, however many wait how differently. */
static void test_fin_wait_2_lasts_as_long_as_its_owner_wanted(void **state)
{
    (void)state;
    static const int lasts[] = {30, 5, 120, 8};
    for (unsigned i = 0; i < 4; i++) {
        weir_fd fd = peer_open(&p, listener, (uint16_t)(2000 + i), &seq, &ack);
        assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_LINGER2, &lasts[i], sizeof lasts[i]), 0);
        assert_int_equal(weir_close(p.stack, fd), 0);
        peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
        struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq, ++ack);
        h.src_port = (uint16_t)(2000 + i);
        peer_send(&p, &h, NULL);
    }
    for (int s = 1; s <= 130; s++) {
        peer_run(&p, WEIR_SEC(1));
        for (unsigned i = 0; i < 4; i++) {
            if (s != lasts[i] - 1 && s != lasts[i] + 1)
                continue;
            struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq - 3, ack);
            h.src_port = (uint16_t)(2000 + i);
            peer_send(&p, &h, "old");
            peer_expect(&p, s < lasts[i] ? WI_TH_ACK : WI_TH_RST);
        }
    }
}

#define ON(setup, f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(setup_v4, test_timewait_ends_after_2_msl),
        ON(setup_v6, test_timewait_ends_after_2_msl),
        ON(setup_v4, test_timewait_repeated_fin_is_acknowledged_and_restarts_the_clock),
        ON(setup_v6, test_timewait_repeated_fin_is_acknowledged_and_restarts_the_clock),
        ON(setup_v4, test_timewait_reset_ends_it_only_at_the_edge_and_if_allowed),
        ON(setup_v4, test_timewait_newer_syn_reopens),
        ON(setup_v6, test_timewait_newer_syn_reopens),
        ON(setup_v4, test_timewait_older_syn_is_acknowledged_and_not_opened),
        ON(setup_v4, test_timewait_newer_timestamp_reopens),
        ON(setup_v4, test_timewait_older_timestamp_does_not_reopen),
        ON(setup_v4, test_timewait_newer_syn_without_listener_is_acknowledged),
        ON(setup_v4, test_timewait_holds_the_port),
        ON(setup_v4, test_timewait_entries_are_bounded),
        ON(setup_v4, test_timewait_unread_data_stays_readable),
        ON(setup_v4, test_timewait_connect_reuses_the_tuple),
        ON(setup_v4, test_fin_wait_2_fin_leads_to_time_wait),
        ON(setup_v6, test_fin_wait_2_fin_leads_to_time_wait),
        ON(setup_v4, test_fin_wait_2_data_is_reset),
        ON(setup_v4, test_fin_wait_2_guesses_are_challenged),
        ON(setup_v4, test_fin_wait_2_lasts_as_long_as_its_owner_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
