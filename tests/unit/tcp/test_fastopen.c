/*
 * TCP Fast Open, both sides: a test for each row of RFC 7413, by its number, and for what Linux does beside it.
 */
#include "unit/tcp/peer.h"

#include "base/bytes.h"
#include "base/siphash.h"

#define ISN          1000u
#define SA           (WI_TH_SYN | WI_TH_ACK)
#define SYN_DATA_BIT 32 /* TCPI_OPT_SYN_DATA */

static struct peer p;

static int setup(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    peer_sysctl(&p, "tcp_fastopen", "3");
    peer_sysctl(&p, "tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
    return 0;
}

static int setup_v6(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET6);
    peer_sysctl(&p, "tcp_fastopen", "3");
    peer_sysctl(&p, "tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

static int set_int(weir_fd fd, int name, int v)
{
    return weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, name, &v, sizeof v);
}

static weir_fd listen_fast(int queue)
{
    weir_fd fd = peer_listen(&p, 100);
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN, queue), 0);
    return fd;
}

/* Linux's cookie, made here by hand, from the key above or its bytes. */
static void put_cookie(struct wi_wire_tcp *h, const struct weir_addr *from, const char *key_text)
{
    uint8_t key[16], in[32];
    for (unsigned i = 0; i < 16; i++)
        key[i] = (uint8_t)(key_text[i]);
    bool is_v6 = p.family == WEIR_AF_INET6;
    size_t len = is_v6 ? 16 : 4;
    memcpy(in, from->b + 16 - len, len);
    memcpy(in + len, p.stack_addr.b + 16 - len, len);
    h->has_fo = true;
    h->fo_len = 8;
    wi_put_le64(h->fo_cookie, wi_siphash24(key, in, 2 * len));
}

#define KEY "\xa1\xa1\xa1\xa1\xb2\xb2\xb2\xb2\xc3\xc3\xc3\xc3\xd4\xd4\xd4\xd4"

static struct wi_wire_tcp syn_with_cookie(void)
{
    struct wi_wire_tcp h = peer_syn(ISN);
    put_cookie(&h, &p.addr, KEY);
    return h;
}

static void expect_read(weir_fd fd, const char *text)
{
    char buf[256] = {0};
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), (int64_t)strlen(text));
    assert_string_equal(buf, text);
}

/* ---- The server ---- */

/* A child that is in use: its SYN-ACK is not acknowledged. */
static weir_fd child_of(weir_fd l, uint16_t port, const char *text, uint32_t *seq, uint32_t *ack)
{
    struct wi_wire_tcp h = syn_with_cookie();
    h.src_port = port;
    peer_send(&p, &h, text);
    const struct peer_seg *s = peer_expect(&p, SA);
    assert_int_equal(s->h.ack.v, ISN + 1 + strlen(text));
    assert_false(s->h.has_fo);
    *seq = s->h.ack.v;
    *ack = s->h.seq.v + 1;
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_true(fd >= 0);
    return fd;
}

static void ack_from(uint16_t port, uint32_t seq, uint32_t ack)
{
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, seq, ack);
    h.src_port = port;
    peer_send(&p, &h, NULL);
}

/* Rows: 7413-1 */
static void test_fastopen_7413_1_not_used_unless_asked(void **state)
{
    (void)state;
    peer_sysctl(&p, "tcp_fastopen", "3");
    weir_fd l = peer_listen(&p, 5);
    struct wi_wire_tcp h = peer_syn(ISN);
    peer_send(&p, &h, NULL);
    assert_false(peer_expect(&p, SA)->h.has_fo);
    weir_fd fd = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
    struct weir_sockaddr to = {.addr = p.addr, .family = (uint16_t)p.family, .port = 7};
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_EINPROGRESS);
    assert_false(peer_expect(&p, WI_TH_SYN)->h.has_fo);
    assert_int_equal(weir_close(p.stack, l), 0);
}

/* RFC 7413 4.1.1. The codec refuses the lengths; the SYN is then one without the option.
 * Rows: 7413-2 */
static void test_fastopen_7413_2_bad_lengths_are_ignored(void **state)
{
    (void)state;
    (void)listen_fast(5);
    static const uint8_t lens[] = {3, 5, 7, 19, 20};
    for (unsigned i = 0; i < sizeof lens; i++) {
        uint8_t seg[60] = {0};
        struct wi_wire_tcp h = peer_hdr(WI_TH_SYN, ISN, 0);
        h.src_port = (uint16_t)(PEER_PORT + i);
        assert_int_equal(wi_wire_tcp_put(seg, sizeof seg, &h), 20);
        size_t len = 20 + (lens[i] + 3u) / 4 * 4;
        seg[12] = (uint8_t)(len / 4 << 4);
        memset(seg + 20, 1, len - 20);
        seg[20] = 34;
        seg[21] = lens[i];
        uint32_t sum = wi_ip_pseudo_csum(&p.addr, &p.stack_addr, WI_IP_TCP, (uint32_t)len);
        for (size_t k = 0; k < len; k += 2)
            sum += wi_get16(seg + k);
        while (sum >> 16)
            sum = (sum & 0xffff) + (sum >> 16);
        wi_put16(seg + WI_TCP_CSUM_OFF, (uint16_t)~sum);
        peer_send_raw(&p, WI_IP_TCP, seg, len);
        const struct peer_seg *s = peer_expect(&p, SA);
        assert_false(s->h.has_fo);
        assert_int_equal(s->h.ack.v, ISN + 1);
    }
}

/* Rows: 7413-3 */
static void test_fastopen_7413_3_ignored_without_syn(void **state)
{
    (void)state;
    weir_fd l = listen_fast(5);
    uint32_t seq, ack;
    weir_fd fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | WI_TH_PSH, seq, ack);
    uint8_t seg[64];
    h.has_fo = true;
    size_t len = wi_wire_tcp_put(seg, sizeof seg, &h);
    assert_true(len >= 20);
    peer_send(&p, &h, "data");
    expect_read(fd, "data");
}

/* RFC 7413 4.1.2: bound to the client's address; the last key counts besides the current one.
 * Rows: 7413-4 attack-tfo-cookie-replay-and-exhaustion */
static void test_fastopen_7413_4_cookie_is_a_mac_and_keys_rotate(void **state)
{
    (void)state;
    weir_fd l = listen_fast(5);
    struct wi_wire_tcp h = peer_syn(ISN);
    struct weir_addr other = p.addr;
    other.b[15] = 77;
    put_cookie(&h, &other, KEY);
    peer_send(&p, &h, "mine");
    const struct peer_seg *s = peer_expect(&p, SA);
    assert_int_equal(s->h.ack.v, ISN + 1);
    assert_int_equal(s->h.fo_len, 8);

    peer_sysctl(&p, "tcp_fastopen_key", "1-2-3-4,a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
    h = syn_with_cookie();
    h.src_port = PEER_PORT + 1;
    peer_send(&p, &h, "old");
    s = peer_expect(&p, SA);
    assert_int_equal(s->h.ack.v, ISN + 4);
    struct wi_wire_tcp fresh = h;
    put_cookie(&fresh, &p.addr, "\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0");
    assert_int_equal(s->h.fo_len, 8);
    assert_memory_equal(s->h.fo_cookie, fresh.fo_cookie, 8);
    assert_int_equal(peer_stat(&p, "TCPFastOpenPassiveAltKey"), 1);

    peer_sysctl(&p, "tcp_fastopen_key", "1-2-3-4");
    h.src_port = PEER_PORT + 2;
    peer_send(&p, &h, "older");
    assert_int_equal(peer_expect(&p, SA)->h.ack.v, ISN + 1);
    assert_int_equal(weir_close(p.stack, l), 0);
}

/* Rows: 7413-8 */
static void test_fastopen_7413_8_listener_without_it_ignores_the_option(void **state)
{
    (void)state;
    (void)peer_listen(&p, 5);
    struct wi_wire_tcp h = peer_syn(ISN);
    h.has_fo = true;
    peer_send(&p, &h, NULL);
    assert_false(peer_expect(&p, SA)->h.has_fo);
    h = syn_with_cookie();
    h.src_port = PEER_PORT + 1;
    peer_send(&p, &h, "data");
    const struct peer_seg *s = peer_expect(&p, SA);
    assert_false(s->h.has_fo);
    assert_int_equal(s->h.ack.v, ISN + 1);
}

/* Rows: 7413-9 attack-tfo-cookie-replay-and-exhaustion */
static void test_fastopen_7413_9_pending_requests_are_bounded(void **state)
{
    (void)state;
    weir_fd l = listen_fast(3);
    struct wi_wire_tcp h = syn_with_cookie();
    for (uint16_t i = 0; i < 6; i++) {
        h.src_port = (uint16_t)(PEER_PORT + i);
        peer_send(&p, &h, "data");
        const struct peer_seg *s = peer_expect(&p, SA);
        assert_int_equal(s->h.ack.v, i < 3 ? ISN + 5 : ISN + 1);
        assert_false(s->h.has_fo);
        if (i == 0)
            ack_from(PEER_PORT, ISN + 5, s->h.seq.v + 1); /* no longer pending */
        if (i == 0)
            assert_int_equal(set_int(l, WEIR_TCP_FASTOPEN, 2), 0);
    }
    assert_int_equal(peer_stat(&p, "TCPFastOpenListenOverflow"), 3);
    for (int i = 0; i < 3; i++)
        assert_true(weir_accept(p.stack, l, NULL) >= 0);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
}

/* Rows: 7413-12 */
static void test_fastopen_7413_12_invalid_cookie_acks_the_syn_only(void **state)
{
    (void)state;
    weir_fd l = listen_fast(5);
    struct wi_wire_tcp h = syn_with_cookie(), good = h;
    h.fo_cookie[0] ^= 1;
    peer_send(&p, &h, "data");
    const struct peer_seg *s = peer_expect(&p, SA);
    assert_int_equal(s->h.ack.v, ISN + 1);
    assert_int_equal(s->h.fo_len, 8);
    assert_memory_equal(s->h.fo_cookie, good.fo_cookie, 8);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
    ack_from(PEER_PORT, ISN + 1, s->h.seq.v + 1);
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_int_equal(peer_info(&p, fd).options & SYN_DATA_BIT, 0);
    assert_int_equal(weir_recv(p.stack, fd, (char[4]){0}, 4, 0), -WEIR_EAGAIN);
}

/* Cookie request: RFC 7413 4.1.2, in both forms of the option. */
static void test_fastopen_cookie_request_is_answered(void **state)
{
    (void)state;
    (void)listen_fast(5);
    struct wi_wire_tcp h = peer_syn(ISN), good = syn_with_cookie();
    h.has_fo = true;
    for (int exp = 0; exp < 2; exp++) {
        h.fo_exp = exp;
        h.src_port++;
        peer_send(&p, &h, NULL);
        const struct peer_seg *s = peer_expect(&p, SA);
        assert_true(s->h.has_fo && s->h.fo_exp == exp);
        assert_int_equal(s->h.fo_len, 8);
        assert_memory_equal(s->h.fo_cookie, good.fo_cookie, 8);
    }
    assert_int_equal(peer_stat(&p, "TCPFastOpenCookieReqd"), 2);
}

/* Rows: 7413-13 */
static void test_fastopen_7413_13_server_answers_before_the_handshake_ends(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = listen_fast(5);
    weir_fd fd = child_of(l, PEER_PORT, "GET /", &seq, &ack);
    assert_int_equal(peer_info(&p, fd).state, 3);
    assert_true(peer_poll(&p, fd) & WEIR_POLLIN);
    assert_true(peer_poll(&p, fd) & WEIR_POLLOUT);
    expect_read(fd, "GET /");
    assert_int_equal(weir_send(p.stack, fd, "200 OK", 6, 0), 6);
    const struct peer_seg *s = peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
    assert_int_equal(s->h.seq.v, ack);
    assert_int_equal(s->h.ack.v, seq);
    assert_int_equal(s->h.data_len, 6);
    ack_from(PEER_PORT, seq, ack + 6);
    struct weir_tcp_info i = peer_info(&p, fd);
    assert_int_equal(i.state, 1);
    assert_int_equal(i.unacked, 0);
    assert_true(i.options & SYN_DATA_BIT);
    peer_none(&p);
    peer_run(&p, WEIR_SEC(200));
    peer_none(&p);
}

/* Rows: 7413-14 */
static void test_fastopen_7413_14_early_answer_obeys_the_initial_window(void **state)
{
    (void)state;
    static char big[100000];
    uint32_t seq, ack, sent = 0;
    weir_fd l = listen_fast(5);
    weir_fd fd = child_of(l, PEER_PORT, "GET /", &seq, &ack);
    assert_int_equal(weir_close(p.stack, l), 0);
    assert_true(weir_send(p.stack, fd, big, sizeof big, 0) > 20000);
    for (const struct peer_seg *s; (s = peer_next(&p));)
        sent += s->h.data_len;
    assert_int_equal(sent, 10 * 1460);
    ack_from(PEER_PORT, seq, ack + sent);
    assert_non_null(peer_next(&p));
}

/* Rows: 7413-15 */
static void test_fastopen_7413_15_syn_ack_goes_again_without_the_option(void **state)
{
    (void)state;
    weir_fd l = listen_fast(5);
    peer_sysctl(&p, "tcp_fastopen_key", "1-2-3-4,a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
    struct wi_wire_tcp h = syn_with_cookie();
    peer_send(&p, &h, "data");
    const struct peer_seg *s = peer_expect(&p, SA);
    assert_true(s->h.has_fo);
    weir_ns from = s->at;
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_int_equal(weir_send(p.stack, fd, "early", 5, 0), 5);
    peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
    peer_run(&p, WEIR_SEC(4));
    for (unsigned i = 0; i < 2; i++) {
        s = peer_expect(&p, SA);
        assert_false(s->h.has_fo);
        assert_int_equal(s->h.data_len, 0);
        assert_true(s->at - from == WEIR_SEC(i ? 3 : 1));
    }
    peer_none(&p);             /* the data wait for the handshake */
    peer_send(&p, &h, "data"); /* the SYN again is answered alike */
    assert_false(peer_expect(&p, SA)->h.has_fo);
    peer_run(&p, WEIR_SEC(300));
    assert_int_equal(peer_info(&p, fd).state, 7);
    int err = 0;
    uint32_t len = sizeof err;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len), 0);
    assert_int_equal(err, WEIR_ETIMEDOUT);
}

/* The SYN-ACK went three times, which cuts the window to one segment. The ACK that comes at last echoes the first one's
 * timestamp: nothing was lost, the window is what it was. An echo of the second leaves it cut. RFC 4015. */
static void test_fastopen_needless_syn_ack_timeout_is_undone(void **state)
{
    (void)state;
    weir_fd l = listen_fast(5);
    for (unsigned which = 0; which < 2; which++) {
        struct wi_wire_tcp h = syn_with_cookie();
        h.src_port = (uint16_t)(2000 + which);
        h.has_ts = true;
        h.tsval = 100;
        peer_send(&p, &h, "q");
        weir_fd fd = weir_accept(p.stack, l, NULL);
        peer_run(&p, WEIR_SEC(4));
        assert_int_equal(peer_info(&p, fd).snd_cwnd, 1);
        h.flags = WI_TH_ACK;
        h.has_fo = h.has_wscale = h.sack_ok = false;
        h.mss = 0;
        h.seq.v = ISN + 2;
        for (unsigned i = 0; i < 3; i++) {
            const struct peer_seg *s = peer_expect(&p, SA);
            h.ack.v = s->h.seq.v + 1;
            h.tsecr = i == which ? s->h.tsval : h.tsecr;
        }
        peer_send(&p, &h, NULL);
        assert_int_equal(peer_info(&p, fd).ca_state, 0);
        assert_int_equal(peer_info(&p, fd).snd_cwnd, which == 0 ? 10 : 1);
    }
}

/* What was sent early and got lost goes again once the handshake is over. */
static void test_fastopen_lost_early_data_goes_again(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = listen_fast(5);
    weir_fd fd = child_of(l, PEER_PORT, "q", &seq, &ack);
    assert_int_equal(weir_send(p.stack, fd, "early", 5, 0), 5);
    peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
    ack_from(PEER_PORT, seq, ack);
    assert_int_equal(peer_info(&p, fd).state, 1);
    assert_int_equal(peer_info(&p, fd).unacked, 1);
    peer_run(&p, WEIR_SEC(3));
    const struct peer_seg *s = peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
    assert_int_equal(s->h.data_len, 5);
    ack_from(PEER_PORT, seq, ack + 5);
    assert_int_equal(peer_info(&p, fd).unacked, 0);
}

/* RFC 7413 6.1: the network's copy of a SYN is delivered a second time, once the first connection has gone. The
 * application must stand that; it is why the option is off until asked for.
 * Rows: 7413-17 */
static void test_fastopen_7413_17_a_replayed_syn_delivers_twice(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = listen_fast(5);
    for (int i = 0; i < 2; i++) {
        weir_fd fd = child_of(l, PEER_PORT, "GET /", &seq, &ack);
        expect_read(fd, "GET /");
        struct wi_wire_tcp h = peer_hdr(WI_TH_RST, seq, 0);
        peer_send(&p, &h, NULL);
        assert_int_equal(weir_recv(p.stack, fd, (char[4]){0}, 4, 0), -WEIR_ECONNRESET);
        assert_int_equal(weir_close(p.stack, fd), 0);
    }
}

/* Rows: 7413-18 attack-tfo-cookie-replay-and-exhaustion */
static void test_fastopen_7413_18_a_reset_request_counts_for_a_while(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = listen_fast(2);
    for (uint16_t i = 0; i < 2; i++) {
        weir_fd fd = child_of(l, (uint16_t)(PEER_PORT + i), "x", &seq, &ack);
        struct wi_wire_tcp h = peer_hdr(WI_TH_RST, seq, 0);
        h.src_port = (uint16_t)(PEER_PORT + i);
        peer_send(&p, &h, NULL);
        assert_int_equal(weir_close(p.stack, fd), 0);
    }
    struct wi_wire_tcp h = syn_with_cookie();
    h.src_port = PEER_PORT + 5;
    peer_send(&p, &h, "x");
    assert_int_equal(peer_expect(&p, SA)->h.ack.v, ISN + 1);
    peer_run(&p, WEIR_SEC(61));
    while (peer_next(&p))
        ;
    (void)child_of(l, PEER_PORT + 6, "x", &seq, &ack);
}

/* Linux: the listener goes, a child that waits for accept is reset, one that was accepted lives on. */
static void test_fastopen_listener_closes_under_pending_children(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = listen_fast(5);
    weir_fd fd = child_of(l, PEER_PORT, "x", &seq, &ack);
    struct wi_wire_tcp h = syn_with_cookie();
    h.src_port = PEER_PORT + 1;
    peer_send(&p, &h, "y");
    peer_expect(&p, SA);
    assert_int_equal(weir_close(p.stack, l), 0);
    assert_true(peer_expect(&p, WI_TH_RST | WI_TH_ACK)->h.dst_port == PEER_PORT + 1);
    ack_from(PEER_PORT, seq, ack);
    assert_int_equal(peer_info(&p, fd).state, 1);
}

/* shutdown before the handshake is over waits for it; close does not (Linux). */
static void test_fastopen_server_ends_early(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = listen_fast(5);
    weir_fd fd = child_of(l, PEER_PORT, "x", &seq, &ack);
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_WR), 0);
    peer_none(&p);
    ack_from(PEER_PORT, seq, ack);
    assert_int_equal(peer_expect(&p, WI_TH_FIN | WI_TH_ACK)->h.seq.v, ack);
    assert_int_equal(peer_info(&p, fd).state, 4);

    fd = child_of(l, PEER_PORT + 1, "x", &seq, &ack);
    expect_read(fd, "x");
    assert_int_equal(weir_close(p.stack, fd), 0);
    assert_int_equal(peer_expect(&p, WI_TH_FIN | WI_TH_ACK)->h.seq.v, ack);
    ack_from(PEER_PORT + 1, seq, ack + 1);
    struct wi_wire_tcp h = peer_hdr(WI_TH_FIN | WI_TH_ACK, seq, ack + 1);
    h.src_port = PEER_PORT + 1;
    peer_send(&p, &h, NULL);
    assert_int_equal(peer_expect(&p, WI_TH_ACK)->h.ack.v, seq + 1);

    fd = child_of(l, PEER_PORT + 2, "x", &seq, &ack);
    assert_int_equal(weir_close(p.stack, fd), 0); /* unread data */
    peer_expect(&p, WI_TH_RST | WI_TH_ACK);
}

static void test_fastopen_server_without_cookies(void **state)
{
    (void)state;
    peer_sysctl(&p, "tcp_fastopen", "0x602"); /* every listener, no cookie */
    weir_fd l = peer_listen(&p, 5);
    struct wi_wire_tcp h = peer_syn(ISN);
    peer_send(&p, &h, "data");
    const struct peer_seg *s = peer_expect(&p, SA);
    assert_int_equal(s->h.ack.v, ISN + 5);
    assert_false(s->h.has_fo);
    expect_read(weir_accept(p.stack, l, NULL), "data");
    int v;
    uint32_t len = sizeof v;
    assert_int_equal(weir_getsockopt(p.stack, l, WEIR_SOL_TCP, WEIR_TCP_FASTOPEN, &v, &len), 0);
    assert_int_equal(v, 5);
}

/* A cookie without data: Linux makes the child at once, so that it may answer. */
static void test_fastopen_cookie_without_data_opens_at_once(void **state)
{
    (void)state;
    uint32_t seq, ack;
    weir_fd l = listen_fast(5);
    weir_fd fd = child_of(l, PEER_PORT, "", &seq, &ack);
    assert_int_equal(peer_info(&p, fd).state, 3);
    assert_int_equal(peer_info(&p, fd).options & SYN_DATA_BIT, 0);
    ack_from(PEER_PORT, seq, ack);
    assert_int_equal(peer_info(&p, fd).state, 1);
}

/* ---- The client ---- */

static weir_fd new_socket(void)
{
    weir_fd fd = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
    assert_true(fd >= 0);
    return fd;
}

static int64_t send_fast(weir_fd fd, const char *text)
{
    struct weir_sockaddr to = {.addr = p.addr, .family = (uint16_t)p.family, .port = 7};
    struct weir_iovec iov = {.base = (void *)(uintptr_t)text, .len = strlen(text)};
    struct weir_msg m = {.name = &to, .iov = &iov, .iov_n = 1};
    return weir_sendmsg(p.stack, fd, &m, WEIR_MSG_FASTOPEN);
}

static int connect_to(weir_fd fd)
{
    struct weir_sockaddr to = {.addr = p.addr, .family = (uint16_t)p.family, .port = 7};
    return weir_connect(p.stack, fd, &to);
}

/* A SYN-ACK to what the stack sent, acknowledging `n` bytes beside the SYN. */
static struct wi_wire_tcp synack_for(const struct peer_seg *s, uint32_t n)
{
    struct wi_wire_tcp h = peer_syn(500);
    h.flags = SA;
    h.ack.v = s->h.seq.v + 1 + n;
    h.src_port = s->h.dst_port;
    h.dst_port = s->h.src_port;
    return h;
}

/* The first connection: a cookie of `len` bytes is handed out. */
static void warm_up(uint8_t len)
{
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, "hello"), -WEIR_EINPROGRESS);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_true(s->h.has_fo && s->h.fo_len == 0);
    assert_int_equal(s->h.data_len, 0);
    struct wi_wire_tcp h = synack_for(s, 0);
    h.mss = 1000;
    h.has_fo = true;
    h.fo_len = len;
    memset(h.fo_cookie, 0x5a, len);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    assert_int_equal(peer_info(&p, fd).fastopen_client_fail, 1);
    assert_int_equal(weir_abort(p.stack, fd), 0);
    peer_expect(&p, WI_TH_RST | WI_TH_ACK);
}

/* Rows: 7413-10 */
static void test_fastopen_7413_10_client_asks_for_a_cookie_first(void **state)
{
    (void)state;
    warm_up(8);
}

/* Rows: 7413-5 */
static void test_fastopen_7413_5_client_keeps_cookie_and_mss(void **state)
{
    (void)state;
    static char big[3000];
    warm_up(8);
    memset(big, 'x', sizeof big - 1);
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, big), 1000 - 40);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_int_equal(s->h.fo_len, 8);
    assert_int_equal(s->h.fo_cookie[7], 0x5a);
    assert_int_equal(s->h.data_len, 960);
    assert_int_equal(send_fast(fd, "more"), -WEIR_EALREADY);
    struct wi_wire_tcp h = synack_for(s, 960);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    peer_none(&p);
    struct weir_tcp_info i = peer_info(&p, fd);
    assert_true(i.options & SYN_DATA_BIT);
    assert_int_equal(i.fastopen_client_fail, 0);
    assert_int_equal(i.unacked, 0);
    assert_int_equal(peer_stat(&p, "TCPFastOpenActive"), 1);
    assert_int_equal(weir_send(p.stack, fd, "more", 4, 0), 4);
    assert_int_equal(peer_expect(&p, WI_TH_ACK | WI_TH_PSH)->h.seq.v, s->h.seq.v + 961);
}

/* Rows: 7413-6 7413-7 */
static void test_fastopen_7413_6_7_no_answer_turns_it_off_for_the_peer(void **state)
{
    (void)state;
    warm_up(8);
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), 4);
    assert_int_equal(peer_expect(&p, WI_TH_SYN)->h.data_len, 4);
    for (int i = 0; i < 60 && peer_info(&p, fd).state != 7; i++)
        peer_run(&p, WEIR_SEC(10)); /* until it gives up */
    assert_int_equal(peer_info(&p, fd).state, 7);
    while (peer_next(&p))
        ;
    fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), -WEIR_EINPROGRESS);
    assert_false(peer_expect(&p, WI_TH_SYN)->h.has_fo);
    p.addr.b[15] = 9; /* another peer is another matter */
    fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), -WEIR_EINPROGRESS);
    peer_run(&p, 1);
    p.addr.b[15] = 2;
    peer_run(&p, WEIR_SEC(400));
    while (peer_next(&p))
        ;
    fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), 4); /* tried again later */
}

/* Rows: 7413-11 */
static void test_fastopen_7413_11_syn_goes_again_plain(void **state)
{
    (void)state;
    warm_up(8);
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), 4);
    peer_expect(&p, WI_TH_SYN);
    peer_run(&p, WEIR_SEC(1));
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_false(s->h.has_fo);
    assert_int_equal(s->h.data_len, 0);
    struct wi_wire_tcp h = synack_for(s, 0);
    peer_send(&p, &h, NULL);
    s = peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
    assert_int_equal(s->h.data_len, 4);
    assert_memory_equal(s->data, "data", 4);
    assert_int_equal(peer_info(&p, fd).fastopen_client_fail, 3);
}

/* Rows: 7413-16 */
static void test_fastopen_7413_16_unacked_data_rides_on_the_first_ack(void **state)
{
    (void)state;
    warm_up(8);
    for (uint32_t n = 0; n < 3; n += 2) { /* none of them, then a part */
        weir_fd fd = new_socket();
        assert_int_equal(send_fast(fd, "data"), 4);
        const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
        struct wi_wire_tcp h = synack_for(s, n);
        peer_send(&p, &h, NULL);
        const struct peer_seg *d = peer_expect(&p, WI_TH_ACK | WI_TH_PSH);
        assert_int_equal(d->h.seq.v, s->h.seq.v + 1 + n);
        assert_int_equal(d->h.data_len, 4 - n);
        assert_int_equal(d->h.ack.v, 501);
        peer_none(&p);
        assert_int_equal(peer_info(&p, fd).fastopen_client_fail, 2);
        h = peer_hdr(WI_TH_ACK, 501, s->h.seq.v + 5);
        h.src_port = 7;
        h.dst_port = s->h.src_port;
        peer_send(&p, &h, NULL);
        assert_int_equal(peer_info(&p, fd).unacked, 0);
        assert_int_equal(peer_info(&p, fd).snd_cwnd >= 10, 1);
        assert_int_equal(peer_info(&p, fd).ca_state, 0);
    }
}

/* More acknowledged than was sent: RFC 9293 3.10.7.3. */
static void test_fastopen_client_over_ack_is_reset(void **state)
{
    (void)state;
    warm_up(8);
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), 4);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    struct wi_wire_tcp h = synack_for(s, 5);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_RST);
    assert_int_equal(peer_info(&p, fd).state, 2);
}

/* Rows: 7413-19 */
static void test_fastopen_7413_19_kind_34_first(void **state)
{
    (void)state;
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, "x"), -WEIR_EINPROGRESS);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_true(s->h.has_fo && !s->h.fo_exp);
    struct wi_wire_tcp h = synack_for(s, 0);
    peer_send(&p, &h, NULL); /* no cookie: the next one asks in the old form (Linux) */
    peer_expect(&p, WI_TH_ACK);
    fd = new_socket();
    assert_int_equal(send_fast(fd, "x"), -WEIR_EINPROGRESS);
    s = peer_expect(&p, WI_TH_SYN);
    assert_true(s->h.has_fo && s->h.fo_exp);
}

static void test_fastopen_connect_waits_for_the_first_write(void **state)
{
    (void)state;
    weir_fd fd = new_socket();
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN_CONNECT, 1), 0);
    assert_int_equal(connect_to(fd), -WEIR_EINPROGRESS); /* no cookie yet */
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_true(s->h.has_fo);
    struct wi_wire_tcp h = synack_for(s, 0);
    h.has_fo = true;
    h.fo_len = 4;
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);

    fd = new_socket();
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN_CONNECT, 1), 0);
    assert_int_equal(connect_to(fd), 0);
    peer_none(&p);
    assert_int_equal(connect_to(fd), -WEIR_EISCONN);
    assert_int_equal(peer_poll(&p, fd), WEIR_POLLOUT | WEIR_POLLWRNORM);
    assert_int_equal(weir_recv(p.stack, fd, (char[4]){0}, 4, 0), -WEIR_EAGAIN);
    assert_int_equal(weir_send(p.stack, fd, "data", 4, 0), 4);
    s = peer_expect(&p, WI_TH_SYN);
    assert_int_equal(s->h.fo_len, 4);
    assert_int_equal(s->h.data_len, 4);
    assert_int_equal(weir_send(p.stack, fd, "data", 4, 0), -WEIR_EAGAIN);

    fd = new_socket();
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN_CONNECT, 1), 0);
    assert_int_equal(connect_to(fd), 0);
    assert_int_equal(weir_close(p.stack, fd), 0); /* nothing was ever sent */
    peer_none(&p);
}

/* Linux's errors, and the tunable's bits. */
static void test_fastopen_calls_that_are_refused(void **state)
{
    (void)state;
    weir_fd fd = new_socket();
    uint8_t key[32] = {1};
    uint32_t len = sizeof key;
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN, -1), -WEIR_EINVAL);
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN_CONNECT, 2), -WEIR_EINVAL);
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN_NO_COOKIE, 2), -WEIR_EINVAL);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_FASTOPEN_KEY, key, 15), -WEIR_EINVAL);
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_FASTOPEN_KEY, key, 32), 0);
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_FASTOPEN_KEY, key, &len), 0);
    assert_int_equal(len, 32);
    peer_sysctl(&p, "tcp_fastopen", "2");
    assert_int_equal(send_fast(fd, "x"), -WEIR_EOPNOTSUPP);
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN_CONNECT, 1), -WEIR_EOPNOTSUPP);
    peer_sysctl(&p, "tcp_fastopen", "1");
    struct weir_iovec iov = {.base = key, .len = 1};
    struct weir_msg m = {.iov = &iov, .iov_n = 1};
    assert_int_equal(weir_sendmsg(p.stack, fd, &m, WEIR_MSG_FASTOPEN), -WEIR_EINVAL);
    weir_fd l = peer_listen(&p, 5);
    uint32_t seq, ack;
    fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(send_fast(fd, "x"), -WEIR_EISCONN);
    assert_int_equal(set_int(fd, WEIR_TCP_FASTOPEN, 1), -WEIR_EINVAL);
    assert_int_equal(weir_sysctl_set(p.stack, "tcp_fastopen_key", "1-2-3"), -WEIR_EINVAL);
    char text[80];
    assert_true(weir_sysctl_get(p.stack, "tcp_fastopen_key", text, sizeof text) > 0);
    assert_string_equal(text, "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4");
}

static void test_fastopen_client_without_cookies(void **state)
{
    (void)state;
    peer_sysctl(&p, "tcp_fastopen", "5");
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), 4);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_false(s->h.has_fo);
    assert_int_equal(s->h.data_len, 4);
    struct wi_wire_tcp h = synack_for(s, 4);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    assert_true(peer_info(&p, fd).options & SYN_DATA_BIT);
}

/* tcp_fastopen_blackhole_timeout_sec: the third RTO in a row turns it off for all, for a time. */
static void test_fastopen_black_hole_pauses_all(void **state)
{
    (void)state;
    peer_sysctl(&p, "tcp_fastopen_blackhole_timeout_sec", "10");
    warm_up(8);
    weir_fd fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), 4);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    struct wi_wire_tcp h = synack_for(s, 4);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    assert_int_equal(weir_send(p.stack, fd, "lost", 4, 0), 4);
    peer_run(&p, WEIR_SEC(6));
    assert_int_equal(peer_stat(&p, "TCPFastOpenBlackhole"), 1);
    while (peer_next(&p))
        ;
    fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), -WEIR_EINPROGRESS);
    s = peer_expect(&p, WI_TH_SYN);
    assert_false(s->h.has_fo);
    peer_run(&p, WEIR_SEC(10));
    while (peer_next(&p))
        ;
    fd = new_socket();
    assert_int_equal(send_fast(fd, "data"), 4);
}

/* The cache is bounded, and the oldest goes. */
static void test_fastopen_cache_is_bounded(void **state)
{
    (void)state;
    p.is_unchecked = true;
    size_t before = p.heap.bytes;
    for (unsigned i = 0; i < 3000; i++) {
        p.addr.b[14] = (uint8_t)(i >> 7);
        p.addr.b[15] = (uint8_t)(2 + (i & 127));
        if (p.family == WEIR_AF_INET)
            p.addr = weir_addr_v4(10, 0, 0, (uint8_t)(2 + i % 250));
        weir_fd fd = new_socket();
        assert_int_equal(send_fast(fd, "x") < 0 || i >= 250, 1);
        const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
        struct wi_wire_tcp h = synack_for(s, s->h.data_len);
        h.has_fo = true;
        h.fo_len = 16;
        peer_send(&p, &h, NULL);
        assert_int_equal(weir_abort(p.stack, fd), 0);
        while (peer_next(&p))
            ;
    }
    assert_true(p.heap.bytes - before < 1024 * 1024);
}

#define BOTH(test)                                                                                                     \
    cmocka_unit_test_setup_teardown(test, setup, teardown), cmocka_unit_test_setup_teardown(test, setup_v6, teardown)
#define V4(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_fastopen_7413_1_not_used_unless_asked),
        BOTH(test_fastopen_7413_2_bad_lengths_are_ignored),
        BOTH(test_fastopen_7413_3_ignored_without_syn),
        BOTH(test_fastopen_7413_4_cookie_is_a_mac_and_keys_rotate),
        BOTH(test_fastopen_7413_8_listener_without_it_ignores_the_option),
        BOTH(test_fastopen_7413_9_pending_requests_are_bounded),
        BOTH(test_fastopen_7413_12_invalid_cookie_acks_the_syn_only),
        BOTH(test_fastopen_cookie_request_is_answered),
        BOTH(test_fastopen_7413_13_server_answers_before_the_handshake_ends),
        V4(test_fastopen_7413_14_early_answer_obeys_the_initial_window),
        BOTH(test_fastopen_7413_15_syn_ack_goes_again_without_the_option),
        BOTH(test_fastopen_needless_syn_ack_timeout_is_undone),
        BOTH(test_fastopen_lost_early_data_goes_again),
        BOTH(test_fastopen_7413_17_a_replayed_syn_delivers_twice),
        BOTH(test_fastopen_7413_18_a_reset_request_counts_for_a_while),
        BOTH(test_fastopen_listener_closes_under_pending_children),
        BOTH(test_fastopen_server_ends_early),
        BOTH(test_fastopen_server_without_cookies),
        BOTH(test_fastopen_cookie_without_data_opens_at_once),
        BOTH(test_fastopen_7413_10_client_asks_for_a_cookie_first),
        BOTH(test_fastopen_7413_5_client_keeps_cookie_and_mss),
        V4(test_fastopen_7413_6_7_no_answer_turns_it_off_for_the_peer),
        BOTH(test_fastopen_7413_11_syn_goes_again_plain),
        BOTH(test_fastopen_7413_16_unacked_data_rides_on_the_first_ack),
        BOTH(test_fastopen_client_over_ack_is_reset),
        BOTH(test_fastopen_7413_19_kind_34_first),
        BOTH(test_fastopen_connect_waits_for_the_first_write),
        BOTH(test_fastopen_calls_that_are_refused),
        BOTH(test_fastopen_client_without_cookies),
        BOTH(test_fastopen_black_hole_pauses_all),
        BOTH(test_fastopen_cache_is_bounded),
    };
    return cmocka_run_group_tests_name("tcp/fastopen", tests, NULL, NULL);
}
