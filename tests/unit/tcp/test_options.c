/* SOL_TCP options: what Linux takes, gives and refuses (do_tcp_setsockopt, do_tcp_getsockopt), and TCP_INFO. */
#include "unit/tcp/peer.h"

#include "base/bytes.h"
#include "tcp/cc.h"

static struct peer p;
static weir_fd fd;

static int setup(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    fd = weir_socket(p.stack, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

static int set(int name, int v)
{
    return weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, name, &v, sizeof v);
}

static int get(int name)
{
    int v = -1;
    uint32_t len = sizeof v;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, name, &v, &len), 0);
    assert_int_equal(len, sizeof v);
    return v;
}

/* Each option: what it is at first, what it takes and then gives, what it refuses. */
static void test_options_take_and_refuse_what_linux_does(void **state)
{
    (void)state;
    static const struct {
        int name, initial, v, then, bad_n, bad[3];
    } rows[] = {
        {WEIR_TCP_NODELAY, 0, 5, 1, 0, {0}},
        {WEIR_TCP_MAXSEG, 536, 1000, 1000, 3, {87, 32768, -1}},
        {WEIR_TCP_CORK, 0, 1, 1, 0, {0}},
        {WEIR_TCP_KEEPIDLE, 7200, 10, 10, 3, {-1, 0, 32768}},
        {WEIR_TCP_KEEPINTVL, 75, 11, 11, 3, {-1, 0, 32768}},
        {WEIR_TCP_KEEPCNT, 9, 127, 127, 3, {-1, 0, 128}},
        {WEIR_TCP_SYNCNT, 6, 3, 3, 3, {-1, 0, 128}},
        {WEIR_TCP_LINGER2, 60, 7, 7, 0, {0}},
        {WEIR_TCP_LINGER2, 7, 1000, 120, 0, {0}},
        {WEIR_TCP_LINGER2, 120, -5, -1, 0, {0}},
        {WEIR_TCP_DEFER_ACCEPT, 0, 5, 7, 0, {0}},
        {WEIR_TCP_DEFER_ACCEPT, 7, 1, 1, 0, {0}},
        {WEIR_TCP_DEFER_ACCEPT, 1, 0, 0, 0, {0}},
        {WEIR_TCP_WINDOW_CLAMP, 0, 5000, 5000, 0, {0}},
        {WEIR_TCP_WINDOW_CLAMP, 5000, 1, 1152, 0, {0}},
        {WEIR_TCP_WINDOW_CLAMP, 1152, -1, 1152, 0, {0}},
        {WEIR_TCP_QUICKACK, 1, 0, 0, 0, {0}},
        {WEIR_TCP_QUICKACK, 0, 1, 1, 0, {0}},
        {WEIR_TCP_USER_TIMEOUT, 0, 30000, 30000, 1, {-1}},
        {WEIR_TCP_NOTSENT_LOWAT, 0, 16384, 16384, 0, {0}},
        {WEIR_TCP_NOTSENT_LOWAT, 16384, -1, -1, 0, {0}},
        {WEIR_TCP_THIN_LINEAR_TIMEOUTS, 0, 1, 1, 2, {-1, 2}},
        {WEIR_TCP_SAVE_SYN, 0, 1, 1, 2, {-1, 3}},
        {WEIR_TCP_RTO_MAX_MS, 120000, 1000, 1000, 3, {-1, 999, 120001}},
        {WEIR_TCP_RTO_MIN_US, 200000, 5000, 5000, 3, {-1, 1999, 200001}},
        {WEIR_TCP_DELACK_MAX_US, 200000, 5000, 5000, 3, {-1, 1999, 200001}},
        {WEIR_TCP_INQ, 0, 1, 1, 2, {-1, 2}},
    };
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        assert_int_equal(get(rows[i].name), rows[i].initial);
        assert_int_equal(set(rows[i].name, rows[i].v), 0);
        assert_int_equal(get(rows[i].name), rows[i].then);
        for (int k = 0; k < rows[i].bad_n; k++) {
            assert_int_equal(set(rows[i].name, rows[i].bad[k]), -WEIR_EINVAL);
            assert_int_equal(get(rows[i].name), rows[i].then);
        }
    }
}

/* None is accepted and ignored. */
static void test_options_that_do_not_exist_are_refused(void **state)
{
    (void)state;
    for (int name = 0; name < 80; name++) {
        char buf[512];
        uint32_t len = sizeof buf;
        int got = weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, name, buf, &len);
        assert_true(got == 0 || got == -WEIR_ENOPROTOOPT);
        if (got) {
            assert_int_equal(set(name, 1), -WEIR_ENOPROTOOPT);
        }
    }
    assert_int_equal(set(WEIR_TCP_INFO, 1), -WEIR_ENOPROTOOPT);
    assert_int_equal(set(WEIR_TCP_TIMESTAMP, 1), -WEIR_ENOPROTOOPT);
}

static void test_options_short_values_are_refused_or_cut(void **state)
{
    (void)state;
    int v = 1;
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY, &v, 3), -WEIR_EINVAL);
    uint8_t byte[4] = {9, 9, 9, 9};
    uint32_t len = 1;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_KEEPCNT, byte, &len), 0);
    assert_int_equal(len, 1);
    assert_int_equal(byte[1], 9);
}

static void test_options_congestion_control_is_chosen_by_name(void **state)
{
    (void)state;
    char name[32];
    uint32_t len = sizeof name;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, "cubic");
    assert_int_equal(len, 16);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, "nosuch", 6), -WEIR_ENOENT);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, "reno", 4), 0);
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, "reno");
    assert_int_equal(weir_sysctl_set(p.stack, "tcp_congestion_control", "nosuch"), -WEIR_EINVAL);
}

static void expect_congestion(weir_fd sock, const char *want)
{
    char name[16];
    uint32_t len = sizeof name;
    assert_int_equal(weir_getsockopt(p.stack, sock, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, want);
}

/* What a listener chose its children have; else they have the tunable's of the moment, as in Linux. */
static void test_options_congestion_control_of_a_listener_is_its_childrens(void **state)
{
    (void)state;
    weir_fd listener = peer_listen(&p, 8);
    uint32_t seq, ack;
    peer_sysctl(&p, "tcp_congestion_control", "reno");
    expect_congestion(listener, "cubic");
    expect_congestion(peer_open(&p, listener, 40001, &seq, &ack), "reno");
    assert_int_equal(weir_setsockopt(p.stack, listener, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, "bbr", 3), 0);
    weir_fd child = peer_open(&p, listener, 40002, &seq, &ack);
    expect_congestion(child, "bbr");
    assert_int_equal(weir_setsockopt(p.stack, child, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, "dctcp", 5), 0);
    expect_congestion(child, "dctcp"); /* in the middle of a connection too */
    expect_congestion(listener, "bbr");
}

/* The list that the tunable tells is the table's. */
static void test_options_every_available_congestion_control_is_taken(void **state)
{
    (void)state;
    char list[128], *name = list;
    unsigned n = 0;
    assert_true(weir_sysctl_get(p.stack, "net.ipv4.tcp_available_congestion_control", list, sizeof list) > 0);
    for (char *end; *name; name = end + (*end == ' '), n++) {
        for (end = name; *end && *end != ' '; end++)
            ;
        uint32_t len = (uint32_t)(end - name);
        assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, name, len), 0);
    }
    assert_int_equal(n, WI_TCP_CC_N);
    assert_int_equal(weir_sysctl_set(p.stack, "tcp_available_congestion_control", "reno"), -WEIR_EACCES);
}

/* Reno and CUBIC have nothing to tell: no bytes. */
static void test_options_cc_info_without_any_is_empty(void **state)
{
    (void)state;
    union weir_tcp_cc_info info;
    uint32_t len = sizeof info;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_CC_INFO, &info, &len), 0);
    assert_int_equal(len, 0);
}

/* TCP_MAXSEG: our SYN asks for it, and we send no more (RFC 9293 3.7.1). */
static void test_options_maxseg_bounds_both_directions(void **state)
{
    (void)state;
    struct weir_sockaddr to = {.addr = p.addr, .family = WEIR_AF_INET, .port = 7};
    assert_int_equal(set(WEIR_TCP_MAXSEG, 500), 0);
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_EINPROGRESS);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_int_equal(s->h.mss, 500);
    struct wi_wire_tcp h = peer_hdr(WI_TH_SYN | WI_TH_ACK, 9, s->h.seq.v + 1);
    h.src_port = 7;
    h.dst_port = s->h.src_port;
    h.mss = 1460;
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    char buf[1200] = {0};
    assert_int_equal(weir_send(p.stack, fd, buf, sizeof buf, 0), sizeof buf);
    for (int left = 1200; left > 0;) {
        s = peer_next(&p);
        assert_in_range(s->h.data_len, 1, 500);
        left -= (int)s->h.data_len;
    }
}

static void test_options_info_tells_the_connection(void **state)
{
    (void)state;
    assert_int_equal(peer_info(&p, fd).state, 7); /* CLOSE */
    weir_fd l = peer_listen(&p, 5);
    uint32_t seq, ack;
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_send(p.stack, fd, "hello", 5, 0), 5);
    struct weir_tcp_info info = peer_info(&p, fd);
    assert_int_equal(info.state, 1);
    assert_int_equal(info.unacked, 1);
    assert_int_equal(info.snd_mss, 1460);
    assert_int_equal(info.advmss, 1460);
    assert_int_equal(info.pmtu, 1500);
    assert_int_equal(info.snd_cwnd, 10);
    assert_int_equal(info.options, 2 | 4);
    assert_int_equal(info.snd_wscale, 7);
    assert_int_equal(info.bytes_sent, 5);
    assert_int_equal(info.data_segs_out, 1);
    assert_int_equal(info.reordering, 3);
    peer_run(&p, WEIR_MS(100));
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | WI_TH_PSH, seq, ack + 5);
    peer_send(&p, &h, "ok");
    info = peer_info(&p, fd);
    assert_int_equal(info.unacked, 0);
    assert_int_equal(info.bytes_acked, 5);
    assert_int_equal(info.bytes_received, 2);
    assert_int_equal(info.last_data_sent, 100);
    assert_int_equal(info.last_ack_recv, 0);
    assert_in_range(info.rtt, 1, 100000);
    assert_in_range(info.rto, 200000, 500000);
    assert_int_equal(info.delivered, 2); /* the SYN-ACK counts */
}

static void test_options_info_is_cut_to_the_callers_room(void **state)
{
    (void)state;
    uint8_t state_only = 0;
    uint32_t len = 1;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_INFO, &state_only, &len), 0);
    assert_int_equal(len, 1);
    assert_int_equal(state_only, 7);
}

/* TCP_QUICKACK 1 sends the ACK that waits. */
static void test_options_quickack_sends_what_is_delayed(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    uint32_t seq, ack;
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(set(WEIR_TCP_QUICKACK, 0), 0);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | WI_TH_PSH, seq, ack);
    peer_send(&p, &h, "x");
    peer_none(&p);
    assert_int_equal(set(WEIR_TCP_QUICKACK, 1), 0);
    peer_expect(&p, WI_TH_ACK);
    peer_run(&p, WEIR_SEC(1));
    peer_none(&p);
}

/* TCP_NODELAY and TCP_CORK let go of what was held back. Rows: SHLD-7 MUST-17 */
static void test_options_nodelay_and_uncork_push(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    uint32_t seq, ack;
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_send(p.stack, fd, "a", 1, 0), 1);
    peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
    assert_int_equal(weir_send(p.stack, fd, "b", 1, 0), 1);
    peer_none(&p); /* Nagle */
    assert_int_equal(set(WEIR_TCP_NODELAY, 1), 0);
    peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
    assert_int_equal(set(WEIR_TCP_CORK, 1), 0);
    assert_int_equal(weir_send(p.stack, fd, "c", 1, 0), 1);
    peer_none(&p);
    assert_int_equal(set(WEIR_TCP_CORK, 0), 0);
    peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
}

/* TCP_SAVE_SYN: the accepted socket gives the headers of its SYN, once. */
static void test_options_saved_syn_is_given_once(void **state)
{
    (void)state;
    uint8_t syn[128];
    uint32_t seq, ack, len = sizeof syn;
    int on = 1;
    weir_fd l = peer_listen(&p, 5);
    assert_int_equal(weir_setsockopt(p.stack, l, WEIR_SOL_TCP, WEIR_TCP_SAVE_SYN, &on, sizeof on), 0);
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    len = 10;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_SAVED_SYN, syn, &len), -WEIR_EINVAL);
    assert_int_equal(len, 20 + 20 + 12); /* MSS, SACK permitted, window scale, padded */
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_SAVED_SYN, syn, &len), 0);
    assert_int_equal(len, 20 + 20 + 12);
    assert_int_equal(syn[0], 0x45);
    assert_int_equal(syn[20] << 8 | syn[21], PEER_PORT);
    assert_int_equal(syn[33], WI_TH_SYN);
    len = sizeof syn;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_SAVED_SYN, syn, &len), 0);
    assert_int_equal(len, 0);
}

/* How long after `from` the n-th segment from here on went. */
static weir_ns nth_at(unsigned n, weir_ns from)
{
    const struct peer_seg *s = NULL;
    while (n > 0) {
        s = peer_next(&p);
        if (!s)
            peer_run(&p, WEIR_MS(1));
        else
            n--;
    }
    return s->at - from;
}

static void open_without_tlp(void)
{
    uint32_t seq, ack;
    int off = 0;
    weir_fd l = peer_listen(&p, 5);
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_WEIR, WEIR_OPT_TLP, &off, sizeof off), 0);
}

/* TCP_RTO_MIN_US, TCP_RTO_MAX_MS: the first timeout, and where doubling ends. */
static void test_options_rto_stays_within_the_sockets_bounds(void **state)
{
    (void)state;
    struct wi_wire_tcp h;
    int off = 0;
    uint32_t seq = 1001, ack;
    weir_fd l = peer_listen(&p, 5);
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_WEIR, WEIR_OPT_TLP, &off, sizeof off), 0);
    assert_int_equal(set(WEIR_TCP_RTO_MIN_US, 20000), 0);
    assert_int_equal(set(WEIR_TCP_RTO_MAX_MS, 1000), 0);
    for (int i = 0; i < 60; i++) { /* the old floor is forgotten */
        assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1);
        h = peer_hdr(WI_TH_ACK, seq, ++ack);
        peer_run(&p, WEIR_MS(1));
        peer_send(&p, &h, NULL);
    }
    while (peer_next(&p))
        ;
    weir_ns from = p.now;
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1);
    assert_in_range(nth_at(2, from), WEIR_MS(20), WEIR_MS(60));
    weir_ns last = nth_at(8, from), next = nth_at(1, from);
    assert_int_equal(next - last, WEIR_MS(1000));
}

/* WEIR_OPT_TLP 0: what is left of a flight waits for the timeout, whatever the tunable says. */
static void test_options_tlp_is_the_sockets(void **state)
{
    (void)state;
    open_without_tlp();
    assert_int_equal(weir_send(p.stack, fd, "xy", 2, 0), 2);
    (void)nth_at(2, p.now);
    assert_int_equal(peer_stat(&p, "TCPTimeouts"), 1);
    assert_int_equal(peer_stat(&p, "TCPLossProbes"), 0);
}

/* WEIR_OPT_RACK 0: two SACKed segments behind a hole and a round trip's time are no loss; three are (RFC 6675). */
static void test_options_rack_is_the_sockets(void **state)
{
    (void)state;
    static const char bytes[5 * 1460];
    int off = 0;
    open_without_tlp();
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_WEIR, WEIR_OPT_RACK, &off, sizeof off), 0);
    assert_int_equal(weir_send(p.stack, fd, bytes, sizeof bytes, 0), sizeof bytes);
    uint32_t una = 0;
    for (const struct peer_seg *s; (s = peer_next(&p));)
        una = una ? una : s->h.seq.v;
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, 1001, una);
    h.sack_n = 1;
    h.sacks[0] = (struct wi_sack_block){{una + 1460}, {una + 3 * 1460}};
    peer_send(&p, &h, NULL);
    peer_run(&p, WEIR_MS(150)); /* RACK would have waited a quarter of a round trip */
    peer_none(&p);
    h.sacks[0].hi.v += 1460;
    peer_send(&p, &h, NULL);
    assert_int_equal(peer_expect(&p, WI_TH_ACK)->h.seq.v, una);
}

/* TCP_THIN_LINEAR_TIMEOUTS: timeouts of the same length, once the first slow start is over. */
static void test_options_thin_stream_does_not_back_off(void **state)
{
    (void)state;
    open_without_tlp();
    assert_int_equal(set(WEIR_TCP_THIN_LINEAR_TIMEOUTS, 1), 0);
    assert_int_equal(weir_send(p.stack, fd, "xy", 2, 0), 2);
    weir_ns from = p.now, second = nth_at(3, from), third = nth_at(1, from), fourth = nth_at(1, from);
    assert_int_equal(fourth - third, third - second);
}

/* TCP_DELACK_MAX_US: the delayed ACK comes no later. */
static void test_options_delayed_ack_stays_below_the_sockets_maximum(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = peer_listen(&p, 5);
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(set(WEIR_TCP_QUICKACK, 0), 0);
    assert_int_equal(set(WEIR_TCP_DELACK_MAX_US, 5000), 0);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | WI_TH_PSH, seq, ack);
    weir_ns from = p.now;
    peer_send(&p, &h, "x");
    peer_none(&p);
    assert_int_equal(nth_at(1, from), WEIR_MS(5));
}

/* RFC 5082: what came from further away is dropped, at a connection and at a listener. */
static void test_options_minimum_ttl_drops_what_came_too_far(void **state)
{
    (void)state;
    int far = 65;
    uint32_t seq, ack;
    weir_fd l = peer_listen(&p, 5);
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_IP, WEIR_IP_MINTTL, &far, sizeof far), 0);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | WI_TH_PSH, seq, ack);
    peer_send(&p, &h, "x"); /* TTL 64 */
    assert_int_equal(p.drop, WEIR_DROP_TCP_MIN_TTL);
    assert_int_equal(weir_setsockopt(p.stack, l, WEIR_SOL_IP, WEIR_IP_MINTTL, &far, sizeof far), 0);
    struct wi_wire_tcp syn = peer_syn(9000);
    syn.src_port = PEER_PORT + 1;
    peer_send(&p, &syn, NULL);
    peer_none(&p);
    far = 64;
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_IP, WEIR_IP_MINTTL, &far, sizeof far), 0);
    peer_send(&p, &h, "x");
    char c;
    assert_int_equal(weir_recv(p.stack, fd, &c, 1, 0), 1);
}

/* IP_RECVERR: an ICMP error that does not end the connection is told at once, once. */
static void test_options_recverr_tells_soft_errors_at_once(void **state)
{
    (void)state;
    int on = 1, err = 0;
    uint32_t seq, ack, len = sizeof err;
    weir_fd l = peer_listen(&p, 5);
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_IP, WEIR_IP_RECVERR, &on, sizeof on), 0);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1);
    peer_send_unreach(&p, 1, peer_next(&p));
    assert_true(peer_poll(&p, fd) & WEIR_POLLERR);
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len), 0);
    assert_int_equal(err, WEIR_EHOSTUNREACH);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1); /* it goes on */
}

/* Each tunable that packet scripts set, by the values that they give it. */
static void test_options_tunables_of_packet_scripts_exist(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"tcp_rmem", "4096 540000 15728640"},
        {"tcp_wmem", "4096 262144 4194304"},
        {"tcp_timestamps", "1"},
        {"tcp_syn_retries", "5"},
        {"tcp_synack_retries", "5"},
        {"tcp_frto", "2"},
        {"tcp_sack", "1"},
        {"tcp_dsack", "1"},
        {"tcp_fack", "0"},
        {"tcp_reordering", "3"},
        {"tcp_congestion_control", "cubic"},
        {"tcp_slow_start_after_idle", "0"},
        {"tcp_early_retrans", "4"},
        {"tcp_recovery", "1"},
        {"tcp_tso_win_divisor", "3"},
        {"tcp_ecn", "0"},
        {"tcp_ecn", "1"},
        {"tcp_ecn", "2"},
        {"tcp_ecn_option", "2"},
        {"tcp_pacing_ss_ratio", "200"},
        {"tcp_pacing_ca_ratio", "120"},
        {"tcp_notsent_lowat", "4294967295"},
        {"tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"},
        {"tcp_syncookies", "1"},
        {"tcp_fastopen_blackhole_timeout_sec", "10"},
        {"tcp_min_tso_segs", "4"},
        {"tcp_mtu_probing", "2"},
        {"tcp_base_mss", "1024"},
        {"tcp_thin_linear_timeouts", "1"},
    };
    static const char *const fastopen[] = {"0", "1", "2", "5", "514", "519", "1026", "196611", "197635", "459779"};
    char name[64] = "net.ipv4.";
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        memcpy(name + 9, rows[i][0], strlen(rows[i][0]) + 1);
        if (weir_sysctl_set(p.stack, name, rows[i][1]) != 0)
            fail_msg("%s = %s is refused", name, rows[i][1]);
    }
    for (size_t i = 0; i < WI_ARRAY_LEN(fastopen); i++)
        assert_int_equal(weir_sysctl_set(p.stack, "net.ipv4.tcp_fastopen", fastopen[i]), 0);
}

#define ON(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(test_options_take_and_refuse_what_linux_does),
        ON(test_options_tunables_of_packet_scripts_exist),
        ON(test_options_saved_syn_is_given_once),
        ON(test_options_rto_stays_within_the_sockets_bounds),
        ON(test_options_tlp_is_the_sockets),
        ON(test_options_rack_is_the_sockets),
        ON(test_options_thin_stream_does_not_back_off),
        ON(test_options_delayed_ack_stays_below_the_sockets_maximum),
        ON(test_options_minimum_ttl_drops_what_came_too_far),
        ON(test_options_recverr_tells_soft_errors_at_once),
        ON(test_options_that_do_not_exist_are_refused),
        ON(test_options_short_values_are_refused_or_cut),
        ON(test_options_congestion_control_is_chosen_by_name),
        ON(test_options_short_values_are_refused_or_cut),
        ON(test_options_congestion_control_of_a_listener_is_its_childrens),
        ON(test_options_short_values_are_refused_or_cut),
        ON(test_options_every_available_congestion_control_is_taken),
        ON(test_options_short_values_are_refused_or_cut),
        ON(test_options_cc_info_without_any_is_empty),
        ON(test_options_maxseg_bounds_both_directions),
        ON(test_options_info_tells_the_connection),
        ON(test_options_info_is_cut_to_the_callers_room),
        ON(test_options_quickack_sends_what_is_delayed),
        ON(test_options_nodelay_and_uncork_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
