/* SYN cookies: the number itself, and a listener that has nothing else left. RFC 4987 3.6. */
#include "unit/tcp/peer.h"

#include "base/bytes.h"
#include "base/random.h"
#include "tcp/cookie.h"

static struct wi_core core;
static struct wi_tcp tcp;
static struct peer p;

static struct wi_tcp_tuple tuple(bool v6)
{
    return (struct wi_tcp_tuple){.local = v6 ? (struct weir_addr){{0xfd, [15] = 1}} : weir_addr_v4(10, 0, 0, 1),
                                 .remote = v6 ? (struct weir_addr){{0xfd, [15] = 2}} : weir_addr_v4(10, 0, 0, 2),
                                 .local_port = 80,
                                 .remote_port = 4000};
}

static int setup(void **state)
{
    (void)state;
    core = (struct wi_core){.now = WEIR_SEC(600)};
    wi_sysctl_init(&core.sysctl);
    tcp = (struct wi_tcp){.core = &core, .cookie_key = {{1, 2}, {3, 4}}};
    return 0;
}

static int setup_peer(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    return 0;
}

static int setup_peer_v6(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET6);
    return 0;
}

static int teardown_peer(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

/* What comes back is never more than what the peer said. Rows: 4987-7 */
static void test_cookie_keeps_a_segment_size_not_above_the_peers(void **state)
{
    (void)state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct wi_tcp_tuple t = tuple(v6);
        for (unsigned mss = 48; mss <= 65535; mss += mss < 1600 ? 1 : 97) {
            uint16_t kept = (uint16_t)mss;
            struct wi_seq irs = {mss * 40503u}, iss = wi_tcp_cookie_make(&tcp, &t, irs, &kept);
            assert_in_range(kept, 48, mss);
            assert_int_equal(wi_tcp_cookie_check(&tcp, &t, irs, iss), kept);
        }
    }
}

/* It dies within two minutes. Rows: 4987-6 */
static void test_cookie_expires(void **state)
{
    (void)state;
    struct wi_tcp_tuple t = tuple(false);
    uint16_t mss = 1460;
    struct wi_seq irs = {1}, iss = wi_tcp_cookie_make(&tcp, &t, irs, &mss);
    core.now += WEIR_SEC(60);
    assert_int_equal(wi_tcp_cookie_check(&tcp, &t, irs, iss), 1460);
    core.now += WEIR_SEC(60);
    assert_int_equal(wi_tcp_cookie_check(&tcp, &t, irs, iss), 0);
}

/* Every bit, the four-tuple, the peer's number and both secrets count. Rows: 4987-6 4987-15 */
static void test_cookie_of_anything_else_is_refused(void **state)
{
    (void)state;
    struct wi_tcp_tuple t = tuple(false), other = t;
    uint16_t mss = 1460;
    struct wi_seq irs = {77}, iss = wi_tcp_cookie_make(&tcp, &t, irs, &mss);
    for (unsigned bit = 3; bit < 32; bit++) /* the three low ones may turn into another size */
        assert_int_equal(wi_tcp_cookie_check(&tcp, &t, irs, (struct wi_seq){iss.v ^ 1u << bit}), 0);
    assert_int_equal(wi_tcp_cookie_check(&tcp, &t, (struct wi_seq){1077}, iss), 0);
    other.remote_port++;
    assert_int_equal(wi_tcp_cookie_check(&tcp, &other, irs, iss), 0);
    struct wi_tcp restarted = tcp;
    restarted.cookie_key[tcp.cookie_turn % 2][5] ^= 1;
    assert_int_equal(wi_tcp_cookie_check(&restarted, &t, irs, iss), 0);
}

/* The secret changes, by itself, and every cookie can be answered for as long as it lives; an older one's secret is
 * gone. Rows: 4987-15 4987-6 */
static void test_cookie_secret_rotates_and_the_last_one_still_counts(void **state)
{
    (void)state;
    struct wi_tcp_tuple t = tuple(false);
    uint8_t seen[20][16];
    unsigned secrets = 0;
    struct wi_seq last = {0};
    for (unsigned minute = 0; minute < 60; minute++, core.now += WEIR_SEC(60)) {
        uint16_t mss = 1460;
        struct wi_seq iss = wi_tcp_cookie_make(&tcp, &t, (struct wi_seq){minute}, &mss);
        const uint8_t *key = tcp.cookie_key[tcp.cookie_turn % 2];
        bool is_new = secrets == 0 || memcmp(seen[secrets - 1], key, 16) != 0;
        if (is_new)
            memcpy(seen[secrets++], key, 16);
        if (minute) /* made with the last secret, perhaps */
            assert_int_equal(wi_tcp_cookie_check(&tcp, &t, (struct wi_seq){minute - 1}, last), 1460);
        last = iss;
    }
    assert_int_equal(secrets, 16);
    for (unsigned i = 0; i < secrets; i++)
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(seen[i], seen[k], 16);

    uint16_t mss = 1460; /* a pause of a multiple of the cookies' own count: nothing comes round */
    struct wi_seq irs = {1}, iss = wi_tcp_cookie_make(&tcp, &t, irs, &mss);
    core.now += WEIR_SEC(60) * 256;
    assert_int_equal(wi_tcp_cookie_check(&tcp, &t, irs, iss), 0);
    (void)wi_tcp_cookie_make(&tcp, &t, (struct wi_seq){0}, &mss);
    assert_int_equal(wi_tcp_cookie_check(&tcp, &t, irs, iss), 0);
}

/* 2^20 guesses; the expected number of hits is 2^20 * 2 * 8/2^32 < 1/250. Rows: 4987-6 */
static void test_cookie_guesses_fail(void **state)
{
    (void)state;
    struct wi_tcp_tuple t = tuple(false);
    struct wi_rng rng;
    wi_rng_init(&rng, 4987);
    for (unsigned i = 0; i < 1u << 20; i++)
        assert_int_equal(wi_tcp_cookie_check(&tcp, &t, (struct wi_seq){5}, (struct wi_seq){wi_rng_u32(&rng)}), 0);
}

/* RFC 7323 3.2: the options ride in six bits of a timestamp that never runs ahead of the clock. Rows: 4987-8 */
static void test_cookie_timestamp_keeps_the_options(void **state)
{
    (void)state;
    core.sysctl.tcp_ecn = 1;
    for (uint32_t clock = 1000; clock < 1200; clock++) {
        for (unsigned bits = 0; bits < 64; bits++) {
            struct wi_tcp_syn in = {.wscale_ok = (bits & 15) != 15,
                                    .snd_wscale = (bits & 15) == 15 ? 0 : bits & 15,
                                    .sack_ok = bits & 16,
                                    .ecn = bits & 32 ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_NONE},
                              out = {0};
            uint32_t ts = wi_tcp_cookie_ts_put(clock, &in);
            assert_true((int32_t)(clock - ts) >= 0 && clock - ts < 128);
            assert_true(wi_tcp_cookie_ts_get(&core, ts, &out));
            assert_int_equal(out.wscale_ok, in.wscale_ok);
            assert_int_equal(out.snd_wscale, in.snd_wscale);
            assert_int_equal(out.sack_ok, in.sack_ok);
            assert_int_equal(out.ecn, in.ecn);
        }
    }
    struct wi_tcp_syn in = {.sack_ok = true}, out = {0};
    core.sysctl.tcp_sack = 0;
    assert_false(wi_tcp_cookie_ts_get(&core, wi_tcp_cookie_ts_put(1000, &in), &out));
}

/* ---- A listener without room ---- */

static void fill_syn_queue(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct wi_wire_tcp h = peer_syn(1);
        h.src_port = (uint16_t)(2000 + i);
        peer_send(&p, &h, NULL);
        peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    }
    assert_int_equal(peer_stat(&p, "SyncookiesSent"), 0);
}

static struct peer_seg cookie_for(struct wi_wire_tcp *h)
{
    peer_send(&p, h, NULL);
    assert_int_equal(peer_stat(&p, "SyncookiesSent"), 1);
    return *peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
}

/* Cookies when the queue is full, with all options when there are timestamps, never repeated. Rows: 4987-5 4987-8
 * 4987-9 */
static void test_cookie_full_queue_still_lets_a_client_in_with_its_options(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 8);
    fill_syn_queue(9);
    struct wi_wire_tcp h = peer_syn(100);
    h.has_ts = true;
    h.tsval = 9000;
    h.wscale = 3;
    h.mss = 1300;
    struct peer_seg s = cookie_for(&h);
    assert_true(s.h.sack_ok && s.h.has_wscale && s.h.has_ts);
    peer_run(&p, WEIR_MS(50));
    h = peer_hdr(WI_TH_ACK, 101, s.h.seq.v + 1);
    h.has_ts = true;
    h.tsval = 9001;
    h.tsecr = s.h.tsval;
    h.wnd = 1000;
    peer_send(&p, &h, NULL);
    weir_fd fd = weir_accept(p.stack, l, NULL);
    assert_true(fd >= 0);
    assert_int_equal(peer_stat(&p, "SyncookiesRecv"), 1);
    struct weir_tcp_info info;
    uint32_t len = sizeof info;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_TCP, WEIR_TCP_INFO, &info, &len), 0);
    assert_int_equal(info.options & 7, 7);
    assert_int_equal(info.snd_wscale, 3);
    assert_int_equal(info.snd_wnd, 8000);
    assert_in_range(info.snd_mss, 1024, 1300 - 12);
}

/* No place, no options; data makes up for a lost ACK. Rows: 4987-8 4987-11 */
static void test_cookie_without_timestamps_has_no_options_and_data_completes_it(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 8);
    fill_syn_queue(9);
    struct wi_wire_tcp h = peer_syn(100);
    struct peer_seg s = cookie_for(&h);
    assert_false(s.h.sack_ok || s.h.has_wscale || s.h.has_ts);
    h = peer_hdr(WI_TH_ACK | WI_TH_PSH, 101, s.h.seq.v + 1);
    peer_send(&p, &h, "hello");
    weir_fd fd = weir_accept(p.stack, l, NULL);
    char buf[8];
    assert_int_equal(weir_recv(p.stack, fd, buf, sizeof buf, 0), 5);
}

/* Nothing about cookies while there is room: an ACK out of nothing is reset. Rows: 4987-9 4987-17 */
static void test_cookie_is_neither_sent_nor_looked_for_while_there_is_room(void **state)
{
    (void)state;
    peer_listen(&p, 8);
    fill_syn_queue(8);
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, 1, 2);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_RST);
    assert_int_equal(p.drop, WEIR_DROP_TCP_LISTEN_ACK);
}

static void test_cookie_bad_or_late_is_reset(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 8);
    fill_syn_queue(9);
    struct wi_wire_tcp h = peer_syn(100);
    struct peer_seg s = cookie_for(&h);
    h = peer_hdr(WI_TH_ACK, 101, s.h.seq.v + 1 + 4096);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_RST);
    assert_int_equal(p.drop, WEIR_DROP_TCP_COOKIE_BAD);
    assert_int_equal(peer_stat(&p, "SyncookiesFailed"), 1);
    peer_run(&p, WEIR_SEC(300));
    p.seg_read = p.seg_n;
    h = peer_hdr(WI_TH_ACK, 101, s.h.seq.v + 1);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_RST);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
}

static void test_cookie_always_when_asked_to(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 8);
    peer_sysctl(&p, "tcp_syncookies", "2");
    struct wi_wire_tcp h = peer_syn(100);
    struct peer_seg s = cookie_for(&h);
    peer_run(&p, WEIR_SEC(10));
    peer_none(&p);
    h = peer_hdr(WI_TH_ACK, 101, s.h.seq.v + 1);
    peer_send(&p, &h, NULL);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
}

/* The cookie was slow, the SYN came again, and by then there was room for a request: the cookie's ACK still counts. */
static void test_cookie_answered_after_a_request_was_made_wins(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 8);
    fill_syn_queue(9);
    struct wi_wire_tcp h = peer_syn(100), rst = peer_hdr(WI_TH_RST, 2, 0);
    struct peer_seg cookie = cookie_for(&h);
    rst.src_port = 2000;
    peer_send(&p, &rst, NULL);
    peer_send(&p, &h, NULL);
    assert_int_not_equal(peer_expect(&p, WI_TH_SYN | WI_TH_ACK)->h.seq.v, cookie.h.seq.v);
    h = peer_hdr(WI_TH_ACK, 101, cookie.h.seq.v + 1 + 4096);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_RST);
    h = peer_hdr(WI_TH_ACK, 101, cookie.h.seq.v + 1);
    peer_send(&p, &h, NULL);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
    for (uint16_t i = 2001; i < 2009; i++) {
        rst.src_port = i;
        peer_send(&p, &rst, NULL);
    }
    peer_run(&p, WEIR_SEC(100));
    peer_none(&p); /* the request has gone with it */
}

/* A cookie's ACK obeys the accept queue's limit as well. Rows: 4987-10 */
static void test_cookie_obeys_the_accept_queue(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 0); /* one may wait */
    struct peer_seg s[2];
    for (unsigned i = 0; i < 2; i++) {
        struct wi_wire_tcp h = peer_syn(100);
        h.src_port = (uint16_t)(1001 + i);
        peer_send(&p, &h, NULL);
        s[i] = *peer_expect(&p, WI_TH_SYN | WI_TH_ACK);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, 101, s[i].h.seq.v + 1);
        h.src_port = (uint16_t)(1001 + i);
        peer_send(&p, &h, NULL);
    }
    assert_int_equal(p.drop, WEIR_DROP_TCP_ACCEPT_QUEUE_FULL);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
}

/* Attack: SYN flood: forged SYNs take no more memory than the queue, and a real client gets in. Rows: 4987-1 4987-4
 * attack-syn-flood */
static void test_cookie_syn_flood_takes_bounded_memory(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 64);
    p.is_unchecked = true;
    size_t full = 0;
    for (uint32_t i = 0; i < 30000; i++) {
        struct wi_wire_tcp h = peer_syn(i * 2654435761u);
        struct weir_addr src = weir_addr_v4(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
        h.src_port = (uint16_t)(1024 + i % 60000);
        peer_send_from(&p, &src, &p.stack_addr, &h, NULL);
        if (i == 1000)
            full = weir_mem_used(p.stack);
    }
    assert_int_equal(weir_mem_used(p.stack), full);
    p.seg_read = p.seg_n;
    uint32_t ack;
    peer_shake(&p, PEER_PORT, 500, &ack);
    assert_true(weir_accept(p.stack, l, NULL) >= 0);
}

#define ON(setup, f, teardown) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(setup, test_cookie_keeps_a_segment_size_not_above_the_peers, NULL),
        ON(setup, test_cookie_expires, NULL),
        ON(setup, test_cookie_of_anything_else_is_refused, NULL),
        ON(setup, test_cookie_secret_rotates_and_the_last_one_still_counts, NULL),
        ON(setup, test_cookie_guesses_fail, NULL),
        ON(setup, test_cookie_timestamp_keeps_the_options, NULL),
        ON(setup_peer, test_cookie_full_queue_still_lets_a_client_in_with_its_options, teardown_peer),
        ON(setup_peer_v6, test_cookie_full_queue_still_lets_a_client_in_with_its_options, teardown_peer),
        ON(setup_peer, test_cookie_without_timestamps_has_no_options_and_data_completes_it, teardown_peer),
        ON(setup_peer, test_cookie_is_neither_sent_nor_looked_for_while_there_is_room, teardown_peer),
        ON(setup_peer, test_cookie_bad_or_late_is_reset, teardown_peer),
        ON(setup_peer, test_cookie_always_when_asked_to, teardown_peer),
        ON(setup_peer, test_cookie_answered_after_a_request_was_made_wins, teardown_peer),
        ON(setup_peer, test_cookie_obeys_the_accept_queue, teardown_peer),
        ON(setup_peer, test_cookie_syn_flood_takes_bounded_memory, teardown_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
