/* ICMP and ICMPv6: what is answered, what is told to whom, what is not. RFC 1122 3.2.2, RFC 4443, RFC 1191, RFC 8201.
 */
#include "net_test.h"

static uint8_t buf[70000];

static const char *peer(bool v6)
{
    return v6 ? "2001:db8:1::9" : "198.51.100.9";
}

static const char *own(bool v6)
{
    return v6 ? "2001:db8:1::1" : "198.51.100.1";
}

static void say_bytes(struct world *w, bool v6, const char *src, const char *dst, uint8_t *msg, size_t len)
{
    struct weir_addr from = addr(src), to = addr(dst);
    wi_put16(msg + 2, 0);
    wi_icmp_seal(msg, len, v6, &from, &to);
    world_ip(w, src, dst, v6 ? WI_IP_ICMPV6 : WI_IP_ICMP, msg, len);
}

static void say_echo(struct world *w, bool v6, const char *dst, size_t len)
{
    static uint8_t msg[65536];
    const struct wi_icmp icmp = {.kind = WI_ICMP_ECHO_REQUEST, .is_v6 = v6, .id = 7, .echo_seq = 9};
    wi_icmp_put(msg, &icmp);
    for (size_t i = 0; i < len; i++)
        msg[8 + i] = (uint8_t)(i * 3);
    say_bytes(w, v6, peer(v6), dst, msg, 8 + len);
}

static struct wi_icmp sent_icmp(const struct sent *s, unsigned i, struct wi_ip *ip)
{
    struct wi_icmp icmp;
    *ip = sent_ip(s, i, buf);
    assert_int_equal(ip->proto, ip->is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP);
    uint64_t sum = ip->is_v6 ? wi_ip_pseudo_csum(&ip->src, &ip->dst, WI_IP_ICMPV6, ip->l4_len) : 0;
    assert_int_equal(wi_csum_fold(sum + wi_csum_add(0, buf + ip->l4_off, ip->l4_len)), 0xffff);
    assert_int_equal(wi_icmp_parse(&icmp, buf + ip->l4_off, ip->l4_len, ip->l4_len, ip->is_v6), WEIR_DROP_NONE);
    return icmp;
}

/* An error about a packet of TEST_PROTO from `src` to `dst`, l4 beginning with 0, 1, 2 … */
static void say_error(struct world *w, struct wi_icmp icmp, const char *src, const char *dst, size_t inner_len)
{
    uint8_t msg[200], l4[64];
    for (size_t i = 0; i < sizeof l4; i++)
        l4[i] = (uint8_t)i;
    wi_icmp_put(msg, &icmp);
    size_t len = 8 + put_ip(msg + 8, src, dst, TEST_PROTO, l4, inner_len);
    if (!icmp.is_v6)
        wi_put16(msg + 8 + 2, 1500); /* the quoted packet was longer */
    say_bytes(w, icmp.is_v6, icmp.is_v6 ? "2001:db8:1::fe" : "198.51.100.254", own(icmp.is_v6), msg, len);
}

/* All data back, from the address that was asked. Rows: 1122-C8 4443-4 1122-I18 */
static void test_echo_is_answered_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 1472};
    struct world *w = world_new();
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < WI_ARRAY_LEN(sizes); i++) {
            struct wi_ip ip;
            say_echo(w, v6, v6 ? "2001:db8::1" : "192.0.2.1", sizes[i]);
            assert_int_equal(w->raw_sent.n, v6 && sizes[i] > 1452 ? 2 : 1);
            if (w->raw_sent.n == 1) {
                struct wi_icmp icmp = sent_icmp(&w->raw_sent, 0, &ip);
                struct weir_addr src = addr(v6 ? "2001:db8::1" : "192.0.2.1");
                assert_int_equal(icmp.kind, WI_ICMP_ECHO_REPLY);
                assert_int_equal(icmp.id, 7);
                assert_int_equal(icmp.echo_seq, 9);
                assert_int_equal(ip.l4_len, 8 + sizes[i]);
                assert_true(weir_addr_equal(&ip.src, &src));
                for (size_t k = 0; k < sizes[i]; k++)
                    assert_int_equal(buf[ip.l4_off + 8 + k], (uint8_t)(k * 3));
            }
            world_forget_sent(w);
        }
    }
    world_end(w);
}

/* RFC 4291 2.5.6: the same link-local prefix is on every link; the answer goes back where the question came from. */
static void test_echo_from_a_link_local_address_is_answered_on_its_link(void **state)
{
    (void)state;
    uint8_t msg[8];
    struct wi_ip ip;
    const struct wi_icmp icmp = {.kind = WI_ICMP_ECHO_REQUEST, .is_v6 = true, .id = 7, .echo_seq = 9};
    struct world *w = world_new(); /* fe80::/64 is on Ethernet already */
    world_addr(w, w->raw, "fe80::77", 64);
    world_pass(w, WEIR_SEC(20));
    world_forget_sent(w);
    wi_icmp_put(msg, &icmp);
    say_bytes(w, true, "fe80::99", "fe80::77", msg, sizeof msg);
    assert_int_equal(w->eth_sent.n, 0);
    assert_int_equal(w->raw_sent.n, 1);
    assert_int_equal(sent_icmp(&w->raw_sent, 0, &ip).kind, WI_ICMP_ECHO_REPLY);
    world_end(w);
}

/* Smurf (CVE-1999-0513). Rows: 1122-C9 attack-smurf-fraggle */
static void test_echo_to_broadcast_is_ignored(void **state)
{
    (void)state;
    struct world *w = world_new();
    say_echo(w, false, "198.51.100.255", 8);
    say_echo(w, false, "255.255.255.255", 8);
    say_echo(w, false, "224.0.0.1", 8);
    assert_int_equal(w->raw_sent.n, 0);
    assert_int_equal(drops(w, WEIR_DROP_ICMP_ECHO_BROADCAST), 3);
    w->core.sysctl.icmp_echo_ignore_broadcasts = 0;
    say_echo(w, false, "224.0.0.1", 8);
    assert_int_equal(w->raw_sent.n, 1);
    struct wi_ip ip;
    struct weir_addr ours = addr("198.51.100.1");
    (void)sent_icmp(&w->raw_sent, 0, &ip);
    assert_true(weir_addr_equal(&ip.src, &ours)); /* from the unicast address. Rows: 4443-4 */
    w->core.sysctl.icmp_echo_ignore_all = 1;
    say_echo(w, false, "198.51.100.1", 8);
    say_echo(w, true, "2001:db8:1::1", 8);
    assert_int_equal(w->raw_sent.n, 1);
    world_end(w);
}

/* Types that are not for hosts, or for nobody. Rows: 1122-C1 1122-C11 4443-5
 * attack-icmp-redirect-hijack attack-icmp-source-quench */
static void test_other_types_are_silently_dropped(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int v6 = 0; v6 < 2; v6++) {
        for (unsigned type = 0; type < 256; type++) {
            uint8_t msg[64] = {(uint8_t)type};
            if (type != (v6 ? 128 : 8))
                say_bytes(w, v6, peer(v6), own(v6), msg, sizeof msg);
        }
    }
    assert_int_equal(w->raw_sent.n, 0);
    assert_int_equal(w->heard.error_n, 0);
    assert_true(drops(w, WEIR_DROP_ICMP_REDIRECT) >= 1);  /* Rows: 1122-C7 4861-17 attack-icmp-redirect-hijack */
    assert_int_equal(drops(w, WEIR_DROP_ICMP_QUENCH), 1); /* RFC 6633 */
    world_end(w);
}

/* Rows: attack-amnesia-33-icmpv6-checksum-lengths attack-nucleus-13 attack-freertos-tcp-set */
static void test_bad_checksum_and_every_truncation_are_dropped(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int v6 = 0; v6 < 2; v6++) {
        uint8_t msg[64] = {v6 ? 128 : 8};
        struct weir_addr from = addr(peer(v6)), to = addr(own(v6));
        wi_icmp_seal(msg, sizeof msg, v6, &from, &to);
        msg[20] ^= 1;
        world_ip(w, peer(v6), own(v6), v6 ? WI_IP_ICMPV6 : WI_IP_ICMP, msg, sizeof msg);
        msg[20] ^= 1;
        for (size_t len = 0; len < 8; len++)
            say_bytes(w, v6, peer(v6), own(v6), msg, len < 4 ? 4 : len);
    }
    assert_int_equal(drops(w, WEIR_DROP_ICMP_CSUM), 2);
    assert_int_equal(w->raw_sent.n, 0);
    world_end(w);
}

/* A protocol that nobody speaks. Rows: 1122-C4 8200-3 */
static void test_unknown_protocol_is_told(void **state)
{
    (void)state;
    struct wi_ip ip;
    struct world *w = world_new();
    world_ip(w, peer(false), own(false), 199, "hello", 5);
    world_ip(w, peer(true), own(true), 199, "hello", 5);
    struct wi_icmp icmp = sent_icmp(&w->raw_sent, 0, &ip);
    assert_int_equal(icmp.kind, WI_ICMP_UNREACH);
    assert_int_equal(icmp.code, WI_ICMP4_PROTO);
    icmp = sent_icmp(&w->raw_sent, 1, &ip);
    assert_int_equal(icmp.kind, WI_ICMP_PARAM_PROBLEM);
    assert_int_equal(icmp.code, WI_ICMP6_NEXT_HEADER);
    assert_int_equal(icmp.pointer, 6);
    world_end(w);
}

/* As much of the packet as fits. Rows: 1122-C2 4443-3 */
static void test_error_quotes_the_packet(void **state)
{
    (void)state;
    struct wi_ip ip;
    uint8_t big[1400];
    struct world *w = world_new();
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)i;
    for (int v6 = 0; v6 < 2; v6++) {
        world_ip(w, peer(v6), own(v6), 199, big, sizeof big);
        (void)sent_icmp(&w->raw_sent, (unsigned)v6, &ip);
        size_t hdr = v6 ? 40 : 20;
        assert_int_equal(ip.total_len, v6 ? 1280 : 576);
        assert_memory_equal(buf + ip.l4_off + 8 + hdr, big, ip.l4_len - 8 - hdr);
    }
    world_end(w);
}

/* About these nothing is said. Rows: 1122-C3 4443-1
 * attack-udp-loop */
static void test_error_is_not_sent_about_errors_groups_and_later_fragments(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t msg[64];
    world_ip(w, peer(false), "198.51.100.255", 199, "hello", 5);
    world_ip(w, peer(false), "224.0.0.1", 199, "hello", 5);
    world_ip(w, peer(true), "ff02::1", 199, "hello", 5);
    for (int v6 = 0; v6 < 2; v6++) {
        /* an error whose quote can't be read, and a bad-option one in IPv6: neither may be answered */
        const struct wi_icmp icmp = {.kind = WI_ICMP_UNREACH, .is_v6 = v6};
        memset(msg, 0, sizeof msg);
        wi_icmp_put(msg, &icmp);
        say_bytes(w, v6, peer(v6), own(v6), msg, sizeof msg);
    }
    struct wi_ip_out ip = {.src = addr(peer(false)),
                           .dst = addr(own(false)),
                           .proto = 199,
                           .ttl = 64,
                           .frag_off = 8,
                           .mf = true,
                           .l4_len = 8};
    size_t hdr = wi_ip_put(buf, &ip);
    memset(buf + hdr, 0, 8);
    world_input(w, w->raw, buf, hdr + 8);
    world_pass(w, WEIR_SEC(61));
    assert_int_equal(w->raw_sent.n, 0);
    world_end(w);
}

/* Unknown options, by their two high bits, to unicast and to a group. Rows: 8200-4 */
static void test_unknown_ipv6_option_does_as_its_bits_say(void **state)
{
    (void)state;
    static const struct {
        uint8_t option;
        bool is_kept, told_unicast, told_multicast;
    } rows[] = {
        {0x1e, true, false, false}, {0x5e, false, false, false}, {0x9e, false, true, true}, {0xde, false, true, false}};
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        for (int mcast = 0; mcast < 2; mcast++) {
            struct world *w = world_new();
            struct wi_ip ip;
            const uint8_t l4[] = {TEST_PROTO, 0, rows[i].option, 4, 0, 0, 0, 0, 'h', 'i'};
            world_ip(w, peer(true), mcast ? "ff02::1" : own(true), WI_IP_DSTOPTS, l4, sizeof l4);
            assert_int_equal(w->heard.n, rows[i].is_kept);
            assert_int_equal(w->raw_sent.n, mcast ? rows[i].told_multicast : rows[i].told_unicast);
            if (w->raw_sent.n) {
                struct wi_icmp icmp = sent_icmp(&w->raw_sent, 0, &ip);
                assert_int_equal(icmp.kind, WI_ICMP_PARAM_PROBLEM);
                assert_int_equal(icmp.code, WI_ICMP6_OPTION);
                assert_int_equal(icmp.pointer, 42);
            }
            world_end(w);
        }
    }
}

/* RH0 amplification (CVE-2007-2242). Rows: 8200-6 attack-rh0-amplification */
static void test_routing_header_with_segments_left_is_a_problem(void **state)
{
    (void)state;
    struct wi_ip ip;
    struct world *w = world_new();
    uint8_t l4[24 + 2] = {TEST_PROTO, 2, 0, 10};
    world_ip(w, peer(true), own(true), WI_IP_ROUTING, l4, sizeof l4);
    struct wi_icmp icmp = sent_icmp(&w->raw_sent, 0, &ip);
    assert_int_equal(icmp.kind, WI_ICMP_PARAM_PROBLEM);
    assert_int_equal(icmp.code, WI_ICMP6_FIELD);
    l4[3] = 0;
    world_ip(w, peer(true), own(true), WI_IP_ROUTING, l4, sizeof l4);
    assert_int_equal(w->heard.n, 1);
    world_end(w);
}

/* A routing header that has done its work is taken, and the answer goes straight: no route of a stranger's is turned
 * round. Rows: 8200-16 */
static void test_answer_to_a_routed_packet_has_no_route(void **state)
{
    (void)state;
    struct wi_ip ip;
    struct world *w = world_new();
    struct weir_addr from = addr(peer(true)), to = addr(own(true));
    uint8_t l4[24 + 8] = {WI_IP_ICMPV6, 2, 4, 0};
    const struct wi_icmp echo = {.kind = WI_ICMP_ECHO_REQUEST, .is_v6 = true, .id = 7, .echo_seq = 9};
    wi_icmp_put(l4 + 24, &echo);
    wi_put16(l4 + 24 + 2, 0);
    wi_icmp_seal(l4 + 24, 8, true, &from, &to);
    world_ip(w, peer(true), own(true), WI_IP_ROUTING, l4, sizeof l4);
    assert_int_equal(w->raw_sent.n, 1);
    struct wi_icmp icmp = sent_icmp(&w->raw_sent, 0, &ip);
    assert_int_equal(icmp.kind, WI_ICMP_ECHO_REPLY);
    assert_int_equal(buf[6], WI_IP_ICMPV6); /* nothing between the header and the message */
    assert_int_equal(ip.l4_off, 40);
    assert_true(weir_addr_equal(&ip.dst, &from));
    world_end(w);
}

/* Headers and fragments that are told as the RFC says. Rows: 8200-2 8200-9 8200-11 */
static void test_malformed_ipv6_headers_are_told_with_their_place(void **state)
{
    (void)state;
    static const struct {
        uint8_t proto, l4[24];
        size_t len;
        uint8_t code;
        uint32_t pointer;
    } rows[] = {
        {WI_IP_DSTOPTS, {WI_IP_HOPOPTS, 0, 1, 4, [8] = TEST_PROTO, 0, 1, 4}, 24, WI_ICMP6_NEXT_HEADER, 40},
        {WI_IP_FRAGMENT, {TEST_PROTO, 0, 0, 1}, 8 + 12, WI_ICMP6_FIELD, 4},
        {WI_IP_FRAGMENT, {WI_IP_TCP, 0, 0, 1}, 8 + 16, WI_ICMP6_FIRST_FRAG, 0},
    };
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        struct wi_ip ip;
        struct world *w = world_new();
        world_ip(w, peer(true), own(true), rows[i].proto, rows[i].l4, rows[i].len);
        struct wi_icmp icmp = sent_icmp(&w->raw_sent, 0, &ip);
        assert_int_equal(icmp.kind, WI_ICMP_PARAM_PROBLEM);
        assert_int_equal(icmp.code, rows[i].code);
        assert_int_equal(icmp.pointer, rows[i].pointer);
        assert_int_equal(w->heard.n, 0);
        world_end(w);
    }
}

/* So many at once to one host, then one a second; others have their own share. Rows: 1122-C10 4443-2 */
static void test_errors_are_limited_by_host(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (unsigned i = 0; i < 1000; i++)
        world_ip(w, "198.51.100.9", own(false), 199, "hello", 5);
    assert_int_equal(w->raw_sent.n, 6);
    world_ip(w, "198.51.100.10", own(false), 199, "hello", 5);
    assert_int_equal(w->raw_sent.n, 7);
    for (unsigned i = 0; i < 10; i++) {
        world_pass(w, WEIR_SEC(1));
        world_ip(w, "198.51.100.9", own(false), 199, "hello", 5);
        world_ip(w, "198.51.100.9", own(false), 199, "hello", 5);
    }
    assert_int_equal(w->raw_sent.n, 17);
    assert_true(w->core.stats.count[WI_STAT_IcmpOutRateLimited] > 0);
    world_end(w);
}

/* SADDNS (CVE-2020-25705): the limit on all hosts together is not the same number twice. */
static void test_errors_to_all_hosts_are_limited_at_random(void **state)
{
    (void)state;
    uint64_t seen = 0;
    struct world *w = world_new();
    w->core.sysctl.icmp_ratelimit = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 200; i++)
            world_ip(w, "198.51.100.9", own(false), 199, "hello", 5);
        assert_in_range(w->raw_sent.n, 26, 120);
        seen |= UINT64_C(1) << w->raw_sent.n % 64;
        world_forget_sent(w);
        world_pass(w, WEIR_SEC(1));
    }
    assert_true(__builtin_popcountll(seen) >= 5);
    world_end(w);
}

/* RFC 1122 4.2.3.9: to the transport that the quote names, as the errno that Linux makes of it. Rows: 1122-C5 */
static void test_errors_reach_the_transport_as_linux_maps_them(void **state)
{
    (void)state;
    static const struct {
        bool v6;
        enum wi_icmp_kind kind;
        uint8_t code;
        int err;
        bool is_hard;
    } rows[] = {
        {false, WI_ICMP_UNREACH, 0, WEIR_ENETUNREACH, false},
        {false, WI_ICMP_UNREACH, 1, WEIR_EHOSTUNREACH, false},
        {false, WI_ICMP_UNREACH, 2, WEIR_ENOPROTOOPT, true},
        {false, WI_ICMP_UNREACH, 3, WEIR_ECONNREFUSED, true},
        {false, WI_ICMP_UNREACH, 5, WEIR_EOPNOTSUPP, false},
        {false, WI_ICMP_UNREACH, 13, WEIR_EHOSTUNREACH, true},
        {false, WI_ICMP_UNREACH, 99, WEIR_EHOSTUNREACH, false},
        {false, WI_ICMP_TIME_EXCEEDED, 0, WEIR_EHOSTUNREACH, false},
        {false, WI_ICMP_PARAM_PROBLEM, 0, WEIR_EPROTO, true},
        {true, WI_ICMP_UNREACH, 0, WEIR_ENETUNREACH, false},
        {true, WI_ICMP_UNREACH, 1, WEIR_EACCES, true},
        {true, WI_ICMP_UNREACH, 3, WEIR_EHOSTUNREACH, false},
        {true, WI_ICMP_UNREACH, 4, WEIR_ECONNREFUSED, true},
        {true, WI_ICMP_UNREACH, 6, WEIR_EACCES, true},
        {true, WI_ICMP_TIME_EXCEEDED, 0, WEIR_EHOSTUNREACH, false},
        {true, WI_ICMP_PARAM_PROBLEM, 1, WEIR_EPROTO, true},
    };
    struct world *w = world_new();
    for (unsigned i = 0; i < WI_ARRAY_LEN(rows); i++) {
        struct wi_icmp icmp = {.kind = rows[i].kind, .is_v6 = rows[i].v6, .code = rows[i].code};
        say_error(w, icmp, own(rows[i].v6), peer(rows[i].v6), 8);
        if (w->heard.error_n != i + 1 || w->heard.error.err != rows[i].err || w->heard.error.is_hard != rows[i].is_hard)
            fail_msg("row %u: %d", i, w->heard.error.err);
        struct weir_addr to = addr(peer(rows[i].v6)), from = addr(rows[i].v6 ? "2001:db8:1::fe" : "198.51.100.254");
        assert_true(weir_addr_equal(&w->heard.inner.dst, &to));
        assert_true(weir_addr_equal(&w->heard.error.offender, &from));
        assert_int_equal(w->heard.l4[7], 7);
        assert_int_equal(w->heard.error.code, rows[i].code);
        assert_false(w->heard.error.is_local);
    }
    world_end(w);
}

static void test_errors_about_packets_of_others_go_nowhere(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct wi_icmp icmp = {.kind = WI_ICMP_UNREACH, .code = 3};
    say_error(w, icmp, "198.51.100.2", peer(false), 8);
    say_error(w, icmp, own(false), peer(false), 7);
    assert_int_equal(w->heard.error_n, 0);
    assert_int_equal(drops(w, WEIR_DROP_ICMP_INNER_NOT_OURS), 1);
    assert_int_equal(drops(w, WEIR_DROP_ICMP_INNER), 1);
    world_end(w);
}

/* What a too-big message says of the MTU. Rows: 1191-1 1191-2 8201-1 */
static void test_too_big_is_told_with_a_sane_mtu(void **state)
{
    (void)state;
    static const struct {
        bool v6;
        uint32_t mtu, told;
    } rows[] = {{false, 1400, 1400}, {false, 0, 1492}, {false, 68, 68}, {false, 10, 0},
                {true, 1400, 1400},  {true, 1279, 0},  {true, 0, 0}};
    struct world *w = world_new();
    unsigned n = 0;
    for (unsigned i = 0; i < WI_ARRAY_LEN(rows); i++) {
        struct wi_icmp icmp = {.kind = WI_ICMP_TOO_BIG, .is_v6 = rows[i].v6, .mtu = rows[i].mtu};
        say_error(w, icmp, own(rows[i].v6), peer(rows[i].v6), 8);
        n += rows[i].told != 0;
        assert_int_equal(w->heard.error_n, n);
        if (rows[i].told) {
            assert_int_equal(w->heard.error.err, WEIR_EMSGSIZE);
            assert_int_equal(w->heard.error.mtu, rows[i].told);
        }
    }
    assert_int_equal(drops(w, WEIR_DROP_ICMP_MTU), 3);
    world_end(w);
}

static uint32_t mtu_to(struct world *w, const char *text)
{
    struct wi_dst dst;
    struct weir_addr a = addr(text);
    assert_int_equal(wi_net_route(w->net, &a, NULL, 0, false, &dst), 0);
    return dst.mtu;
}

/* The path's MTU shrinks, never below the floor, never grows by a message, and is tried again after ten minutes.
 * Rows: 1191-3 1191-4 1191-5 8201-2 8201-4 8201-5 */
static void test_path_mtu_shrinks_and_expires(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_addr to = addr(peer(false)), to6 = addr(peer(true));
    struct wi_dst dst;
    assert_int_equal(wi_net_route(w->net, &to, NULL, 0, false, &dst), 0);
    assert_true(wi_net_pmtu_learn(w->net, &to, 1400));
    assert_false(wi_dst_is_valid(w->net, &dst));
    assert_int_equal(mtu_to(w, peer(false)), 1400);
    assert_int_equal(mtu_to(w, "198.51.100.10"), 1500);
    assert_false(wi_net_pmtu_learn(w->net, &to, 9000));
    assert_false(wi_net_pmtu_learn(w->net, &to, 1400));
    assert_true(wi_net_pmtu_learn(w->net, &to, 60));
    assert_int_equal(mtu_to(w, peer(false)), 552);
    assert_false(wi_net_pmtu_learn(w->net, &to6, 1279));
    assert_false(wi_net_pmtu_learn(w->net, &to6, 1500));
    assert_true(wi_net_pmtu_learn(w->net, &to6, 1280));
    assert_int_equal(mtu_to(w, peer(true)), 1280);
    world_pass(w, WEIR_SEC(599));
    assert_int_equal(mtu_to(w, peer(false)), 552);
    world_pass(w, WEIR_SEC(2));
    assert_int_equal(mtu_to(w, peer(false)), 1500);
    assert_int_equal(mtu_to(w, peer(true)), 1500);
    world_end(w);
}

/* Rows: 8201-6 */
static void test_path_mtu_cache_is_bounded(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_addr to = addr("2001:db8:1::");
    size_t most = 0;
    for (unsigned i = 0; i < 10000; i++) {
        wi_put16(to.b + 14, (uint16_t)(i + 2));
        assert_true(wi_net_pmtu_learn(w->net, &to, 1300));
        most = w->heap.bytes > most ? w->heap.bytes : most;
    }
    assert_int_equal(mtu_to(w, "2001:db8:1::2710"), 1300);
    assert_int_equal(mtu_to(w, "2001:db8:1::2"), 1500);
    assert_true(most < 600000);
    world_end(w);
}

/* A packet larger than what the path takes is cut by the path's MTU, or refused. */
static void test_output_obeys_the_path_mtu(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_addr to = addr(peer(true));
    assert_true(wi_net_pmtu_learn(w->net, &to, 1300));
    assert_int_equal(world_send(w, peer(true), 1300, true), -WEIR_EMSGSIZE);
    assert_int_equal(world_send(w, peer(true), 1300, false), 0);
    assert_int_equal(w->raw_sent.n, 2);
    assert_true(sent_ip(&w->raw_sent, 0, buf).total_len <= 1300);
    world_end(w);
}

static void test_unreach_for_a_transport_has_the_version_code(void **state)
{
    (void)state;
    static const uint8_t codes[][2] = {{0, 0}, {1, 3}, {3, 4}, {13, 1}};
    struct world *w = world_new();
    w->core.sysctl.icmp_ratelimit = 0;
    unsigned n = 0;
    for (int v6 = 0; v6 < 2; v6++) {
        for (unsigned k = 0; k < 4; k++) {
            struct wi_ip ip;
            size_t len = put_ip(buf, peer(v6), own(v6), TEST_PROTO, "12345678", 8);
            struct weir_pkt *pkt = weir_pkt_from(w->core.pool, buf, len);
            assert_int_equal(wi_ip_parse(&ip, buf, len, len, false), WEIR_DROP_NONE);
            wi_net_send_unreach(w->net, (enum wi_unreach)k, pkt, &ip, w->raw);
            wi_net_flush(w->net);
            weir_pkt_unref(pkt);
            struct wi_icmp icmp = sent_icmp(&w->raw_sent, n++, &ip);
            assert_int_equal(icmp.kind, WI_ICMP_UNREACH);
            assert_int_equal(icmp.code, codes[k][v6]);
        }
    }
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_is_answered_whole),
        cmocka_unit_test(test_echo_from_a_link_local_address_is_answered_on_its_link),
        cmocka_unit_test(test_echo_to_broadcast_is_ignored),
        cmocka_unit_test(test_other_types_are_silently_dropped),
        cmocka_unit_test(test_bad_checksum_and_every_truncation_are_dropped),
        cmocka_unit_test(test_unknown_protocol_is_told),
        cmocka_unit_test(test_error_quotes_the_packet),
        cmocka_unit_test(test_error_is_not_sent_about_errors_groups_and_later_fragments),
        cmocka_unit_test(test_unknown_ipv6_option_does_as_its_bits_say),
        cmocka_unit_test(test_routing_header_with_segments_left_is_a_problem),
        cmocka_unit_test(test_answer_to_a_routed_packet_has_no_route),
        cmocka_unit_test(test_malformed_ipv6_headers_are_told_with_their_place),
        cmocka_unit_test(test_errors_are_limited_by_host),
        cmocka_unit_test(test_errors_to_all_hosts_are_limited_at_random),
        cmocka_unit_test(test_errors_reach_the_transport_as_linux_maps_them),
        cmocka_unit_test(test_errors_about_packets_of_others_go_nowhere),
        cmocka_unit_test(test_too_big_is_told_with_a_sane_mtu),
        cmocka_unit_test(test_path_mtu_shrinks_and_expires),
        cmocka_unit_test(test_path_mtu_cache_is_bounded),
        cmocka_unit_test(test_output_obeys_the_path_mtu),
        cmocka_unit_test(test_unreach_for_a_transport_has_the_version_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
