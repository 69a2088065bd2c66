/* Which shard a packet is for: weir_steer (weir/shard.h), with three shards, for each kind of packet; and for those
 * that end too soon, which it must not read beyond. */
#include "wire_test.h"

#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include <weir/shard.h>

#define SHARDS 3
#define CAP    512

struct made {
    uint8_t b[CAP];
    size_t len;
};

static struct weir_rss rss;

static int set_up(void **state)
{
    (void)state;
    return weir_rss_init(&rss, NULL, SHARDS);
}

static struct weir_sockaddr at(const char *text, uint16_t port)
{
    return (struct weir_sockaddr){.addr = addr(text), .port = port};
}

/* An IP packet; its first payload bytes are the ports. */
static struct made ip_packet(uint8_t proto, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
    struct made m = {{0}, 0};
    struct wi_ip_out ip = {.src = addr(src), .dst = addr(dst), .proto = proto, .ttl = 64, .l4_len = 40};
    ip.is_v6 = !weir_addr_is_v4(&ip.src);
    m.len = wi_ip_put(m.b, &ip);
    wi_put16(m.b + m.len, src_port);
    wi_put16(m.b + m.len + 2, dst_port);
    m.len += 40;
    return m;
}

static struct made on_ethernet(const struct made *ip, const uint8_t dst[6])
{
    struct made m = {{0}, ip->len + WI_ETH_HDR};
    memcpy(m.b, dst, 6);
    m.b[6] = 2;
    wi_put16(m.b + 12, ip->b[0] >> 4 == 4 ? WI_ETHERTYPE_IPV4 : WI_ETHERTYPE_IPV6);
    memcpy(m.b + WI_ETH_HDR, ip->b, ip->len);
    return m;
}

static unsigned steer(const struct made *m)
{
    uint8_t *p = exact_copy(m->b, m->len);
    unsigned to = weir_steer_bytes(&rss, WEIR_LINK_RAW_IP, p, m->len);
    free(p);
    return to;
}

static unsigned steer_ethernet(const struct made *ip, const uint8_t dst[6])
{
    struct made m = on_ethernet(ip, dst);
    uint8_t *p = exact_copy(m.b, m.len);
    unsigned to = weir_steer_bytes(&rss, WEIR_LINK_ETHERNET, p, m.len);
    free(p);
    return to;
}

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, all_mac[6] = {255, 255, 255, 255, 255, 255};
static const uint8_t group_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

static unsigned flow_shard(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
    struct weir_sockaddr s = at(src, src_port), d = at(dst, dst_port);
    return weir_rss_shard(&rss, weir_rss_hash(&rss, &s, &d));
}

static unsigned addrs_shard(const char *src, const char *dst)
{
    struct weir_addr s = addr(src), d = addr(dst);
    return weir_rss_shard(&rss, weir_rss_hash_addrs(&rss, &s, &d));
}

static void test_steer_tcp_goes_by_its_four_tuple(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (uint16_t port = 1024; port < 1124; port++) {
        struct made v4 = ip_packet(WI_IP_TCP, "192.0.2.7", port, "192.0.2.1", 80);
        struct made v6 = ip_packet(WI_IP_TCP, "2001:db8::7", port, "2001:db8::1", 80);
        assert_int_equal(steer(&v4), flow_shard("192.0.2.7", port, "192.0.2.1", 80));
        assert_int_equal(steer(&v6), flow_shard("2001:db8::7", port, "2001:db8::1", 80));
        assert_int_equal(steer_ethernet(&v4, our_mac), steer(&v4));
        assert_int_equal(steer_ethernet(&v6, our_mac), steer(&v6));
        seen |= 1u << steer(&v4);
    }
    assert_int_equal(seen, (1u << SHARDS) - 1);
}

/* IPv4 options and IPv6 extension headers lie before the ports. */
static void test_steer_ports_are_found_behind_options_and_extension_headers(void **state)
{
    (void)state;
    struct made m = ip_packet(WI_IP_TCP, "192.0.2.7", 5000, "192.0.2.1", 80);
    memmove(m.b + 24, m.b + 20, m.len - 20);
    memset(m.b + 20, 1, 4); /* no operation */
    m.b[0] = 0x46;
    m.len += 4;
    assert_int_equal(steer(&m), flow_shard("192.0.2.7", 5000, "192.0.2.1", 80));

    m = ip_packet(WI_IP_TCP, "2001:db8::7", 5000, "2001:db8::1", 80);
    memmove(m.b + 48, m.b + 40, m.len - 40);
    memset(m.b + 40, 0, 8);
    m.b[6] = WI_IP_DSTOPTS;
    m.b[40] = WI_IP_TCP;
    m.len += 8;
    assert_int_equal(steer(&m), flow_shard("2001:db8::7", 5000, "2001:db8::1", 80));
}

static void test_steer_udp_goes_by_its_ephemeral_port_else_by_its_four_tuple(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < 50; i++) {
        struct made m = ip_packet(WI_IP_UDP, "192.0.2.7", 53, "192.0.2.1", (uint16_t)(40000 + i));
        assert_int_equal(steer(&m), (40000u + i) % SHARDS);
        m = ip_packet(WI_IP_UDP, "192.0.2.7", (uint16_t)(40000 + i), "192.0.2.1", 53);
        assert_int_equal(steer(&m), flow_shard("192.0.2.7", (uint16_t)(40000 + i), "192.0.2.1", 53));
    }
}

static void test_steer_dhcp_goes_to_the_first(void **state)
{
    (void)state;
    for (uint8_t host = 1; host < 50; host++) {
        struct made m = ip_packet(WI_IP_UDP, "192.0.2.254", 67, "192.0.2.1", 68);
        m.b[19] = host;
        assert_int_equal(steer(&m), 0);
        m = ip_packet(WI_IP_UDP, "fe80::fe", 547, "fe80::1", 546);
        m.b[39] = host;
        assert_int_equal(steer(&m), 0);
    }
}

/* All pieces meet where the addresses lead: the first one's ports are not looked at. */
static void test_steer_fragments_go_by_their_addresses(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"192.0.2.7", "192.0.2.1"}, {"2001:db8::7", "2001:db8::1"}};
    for (uint16_t port = 1; port < 30; port++) {
        for (size_t i = 0; i < WI_ARRAY_LEN(pairs); i++) {
            for (uint32_t off = 0; off < 16; off += 8) {
                struct made m = {{0}, 0};
                struct wi_ip_out ip = {.src = addr(pairs[i][0]), .dst = addr(pairs[i][1]), .is_v6 = i == 1};
                ip.proto = WI_IP_TCP;
                ip.frag_off = off;
                ip.mf = true;
                ip.l4_len = 8;
                m.len = wi_ip_put(m.b, &ip);
                wi_put16(m.b + m.len, port);
                m.len += 8;
                assert_int_equal(steer(&m), addrs_shard(pairs[i][0], pairs[i][1]));
            }
        }
    }
}

static struct made icmp_error(uint8_t type, const struct made *quoted, size_t quote_len, const char *router,
                              const char *dst)
{
    bool is_v6 = quoted->b[0] >> 4 == 6;
    struct made m = ip_packet(is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP, router, 0, dst, 0);
    size_t off = m.len - 40;
    m.b[off] = type;
    m.b[off + 1] = 0;
    memcpy(m.b + off + WI_ICMP_HDR, quoted->b, quote_len);
    m.len = off + WI_ICMP_HDR + quote_len;
    return m;
}

static void test_steer_icmp_error_goes_to_the_flow_that_it_quotes(void **state)
{
    (void)state;
    for (uint16_t port = 33000; port < 33100; port++) {
        struct made ours = ip_packet(WI_IP_TCP, "192.0.2.1", port, "198.51.100.7", 80);
        for (size_t len = 24; len <= 28; len += 4) { /* RFC 792: eight bytes of it at least; four tell the ports */
            struct made m = icmp_error(3, &ours, len, "203.0.113.1", "192.0.2.1");
            assert_int_equal(steer(&m), flow_shard("198.51.100.7", 80, "192.0.2.1", port));
        }
        struct made udp = ip_packet(WI_IP_UDP, "192.0.2.1", port, "198.51.100.7", 53);
        struct made m = icmp_error(11, &udp, 28, "203.0.113.1", "192.0.2.1");
        assert_int_equal(steer(&m), port % SHARDS);

        struct made ours6 = ip_packet(WI_IP_TCP, "2001:db8::1", port, "2001:db8:7::7", 80);
        m = icmp_error(2, &ours6, 60, "2001:db8:9::1", "2001:db8::1");
        assert_int_equal(steer(&m), flow_shard("2001:db8:7::7", 80, "2001:db8::1", port));
    }
    /* No ports in it: where the peer's fragments and echoes go. */
    struct made echo = ip_packet(WI_IP_ICMP, "192.0.2.1", 0, "198.51.100.7", 0);
    struct made m = icmp_error(3, &echo, 28, "203.0.113.1", "192.0.2.1");
    assert_int_equal(steer(&m), addrs_shard("198.51.100.7", "192.0.2.1"));
}

static void test_steer_echo_and_unknown_protocols_go_by_their_addresses(void **state)
{
    (void)state;
    struct made m = ip_packet(WI_IP_ICMP, "192.0.2.7", 0x0800, "192.0.2.1", 0);
    assert_int_equal(steer(&m), addrs_shard("192.0.2.7", "192.0.2.1"));
    m = ip_packet(WI_IP_ICMPV6, "2001:db8::7", 0x8000, "2001:db8::1", 0);
    assert_int_equal(steer(&m), addrs_shard("2001:db8::7", "2001:db8::1"));
    m = ip_packet(132, "192.0.2.7", 1, "192.0.2.1", 2);
    assert_int_equal(steer(&m), addrs_shard("192.0.2.7", "192.0.2.1"));
}

static void test_steer_what_concerns_the_link_goes_to_all(void **state)
{
    (void)state;
    struct made arp = {{0}, 60};
    memcpy(arp.b, our_mac, 6);
    wi_put16(arp.b + 12, WI_ETHERTYPE_ARP);
    assert_int_equal(weir_steer_bytes(&rss, WEIR_LINK_ETHERNET, arp.b, arp.len), WEIR_SHARD_ALL);
    for (unsigned type = 0; type < 256; type++) { /* MLD, discovery, redirects; unicast as well */
        struct made m = ip_packet(WI_IP_ICMPV6, "fe80::7", (uint16_t)(type << 8), "fe80::1", 0);
        bool is_link = (type >= 130 && type <= 137) || type == 143;
        assert_int_equal(steer(&m) == WEIR_SHARD_ALL, is_link);
    }
}

static void test_steer_groups_and_broadcasts_go_to_all_but_tcp(void **state)
{
    (void)state;
    struct made m = ip_packet(WI_IP_UDP, "192.0.2.7", 5353, "224.0.0.251", 5353);
    assert_int_equal(steer(&m), WEIR_SHARD_ALL);
    m = ip_packet(WI_IP_IGMP, "192.0.2.7", 0x1100, "224.0.0.1", 0);
    assert_int_equal(steer(&m), WEIR_SHARD_ALL);
    m = ip_packet(WI_IP_UDP, "fe80::7", 5353, "ff02::fb", 5353);
    assert_int_equal(steer_ethernet(&m, group_mac), WEIR_SHARD_ALL);
    m = ip_packet(WI_IP_UDP, "0.0.0.0", 67, "255.255.255.255", 68);
    assert_int_equal(steer(&m), WEIR_SHARD_ALL);
    m = ip_packet(WI_IP_UDP, "192.0.2.7", 137, "192.0.2.255", 137); /* only the link tells that it is a broadcast */
    assert_int_equal(steer_ethernet(&m, all_mac), WEIR_SHARD_ALL);
    assert_int_not_equal(steer_ethernet(&m, our_mac), WEIR_SHARD_ALL);
    m = ip_packet(WI_IP_TCP, "192.0.2.7", 5000, "192.0.2.1",
                  80); /* no connection from a broadcast, so one drop will do */
    assert_int_not_equal(steer_ethernet(&m, all_mac), WEIR_SHARD_ALL);
}

static void test_steer_one_shard_gets_everything(void **state)
{
    (void)state;
    struct weir_rss one;
    struct made arp = {{0}, 60};
    assert_int_equal(weir_rss_init(&one, NULL, 1), 0);
    wi_put16(arp.b + 12, WI_ETHERTYPE_ARP);
    assert_int_equal(weir_steer_bytes(&one, WEIR_LINK_ETHERNET, arp.b, arp.len), 0);
}

/* Each kind, cut off at each length, in memory that ends there. */
static void test_steer_truncated_packet_goes_somewhere_and_nothing_beyond_it_is_read(void **state)
{
    (void)state;
    struct made udp = ip_packet(WI_IP_UDP, "192.0.2.1", 33000, "198.51.100.7", 53);
    struct made six = ip_packet(WI_IP_TCP, "2001:db8::1", 33000, "2001:db8::7", 53);
    struct made ext = six;
    ext.b[6] = WI_IP_HOPOPTS;
    ext.b[40] = WI_IP_DSTOPTS;
    ext.b[41] = 255; /* longer than the packet */
    const struct made kinds[] = {
        udp,
        six,
        ext,
        icmp_error(3, &udp, 60, "203.0.113.1", "192.0.2.1"),
        icmp_error(1, &six, 80, "2001:db8::9", "2001:db8::1"),
        icmp_error(1, &ext, 80, "2001:db8::9", "2001:db8::1"),
        ip_packet(WI_IP_ICMPV6, "fe80::7", 135 << 8, "fe80::1", 0),
    };
    for (size_t i = 0; i < WI_ARRAY_LEN(kinds); i++) {
        struct made ethernet = on_ethernet(&kinds[i], our_mac);
        for (size_t len = 0; len <= ethernet.len; len++) {
            uint8_t *p = exact_copy(ethernet.b, len);
            unsigned to = weir_steer_bytes(&rss, WEIR_LINK_ETHERNET, p, len);
            assert_true(to < SHARDS || to == WEIR_SHARD_ALL);
            if (len < WI_ETH_HDR + 20)
                assert_int_equal(to, 0);
            free(p);
        }
    }
    struct made bad = udp;
    bad.b[0] = 0x41; /* a header length below 20 */
    assert_int_equal(steer(&bad), 0);
    bad.b[0] = 0x55;
    assert_int_equal(steer(&bad), 0);
    bad = udp;
    bad.b[0] = 0x4f; /* options beyond its end: no ports */
    bad.len = 40;
    assert_int_equal(steer(&bad), addrs_shard("192.0.2.1", "198.51.100.7"));
}

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void give(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

/* A packet's bytes may lie in pieces: gathered without changing it. */
static void test_steer_packet_in_pieces_goes_where_its_bytes_say(void **state)
{
    (void)state;
    const struct weir_alloc memory = {take, give, NULL};
    struct weir_pool *pool = weir_pool_new(&memory, 0);
    struct made m = ip_packet(WI_IP_TCP, "192.0.2.7", 5000, "192.0.2.1", 80);
    for (size_t cut = 0; cut <= m.len; cut++) {
        struct weir_pkt *p = weir_pkt_new(pool, 0);
        struct weir_block *b = weir_block_new(pool, m.len);
        memcpy(b->data, m.b, m.len);
        if (cut > 0)
            memcpy(weir_pkt_put(p, cut), m.b, cut);
        if (cut < m.len)
            weir_pkt_append(p, b, (uint32_t)cut, (uint32_t)(m.len - cut));
        weir_block_unref(b);
        assert_int_equal(weir_steer(&rss, WEIR_LINK_RAW_IP, p), steer(&m));
        assert_int_equal(p->head_len, cut);
        weir_pkt_unref(p);
    }
    struct weir_pkt *none = weir_pkt_new(pool, 0);
    assert_int_equal(weir_steer(&rss, WEIR_LINK_RAW_IP, none), 0);
    weir_pkt_unref(none);
    weir_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steer_tcp_goes_by_its_four_tuple),
        cmocka_unit_test(test_steer_ports_are_found_behind_options_and_extension_headers),
        cmocka_unit_test(test_steer_udp_goes_by_its_ephemeral_port_else_by_its_four_tuple),
        cmocka_unit_test(test_steer_dhcp_goes_to_the_first),
        cmocka_unit_test(test_steer_fragments_go_by_their_addresses),
        cmocka_unit_test(test_steer_icmp_error_goes_to_the_flow_that_it_quotes),
        cmocka_unit_test(test_steer_echo_and_unknown_protocols_go_by_their_addresses),
        cmocka_unit_test(test_steer_what_concerns_the_link_goes_to_all),
        cmocka_unit_test(test_steer_groups_and_broadcasts_go_to_all_but_tcp),
        cmocka_unit_test(test_steer_one_shard_gets_everything),
        cmocka_unit_test(test_steer_truncated_packet_goes_somewhere_and_nothing_beyond_it_is_read),
        cmocka_unit_test(test_steer_packet_in_pieces_goes_where_its_bytes_say),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
