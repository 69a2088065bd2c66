/* Packets through the layer: in, out, back to ourselves; which are refused and why. */
#include "net_test.h"

static uint8_t buf[70000];

static void test_output_to_own_address_comes_back_in(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1", "127.1.2.3", "192.0.2.1", "::1", "2001:db8:1::1", "0.0.0.0", "::"};
    struct world *w = world_new();
    for (unsigned i = 0; i < WI_ARRAY_LEN(own); i++) {
        assert_int_equal(world_send(w, own[i], 3000, true), 0);
        assert_int_equal(w->heard.n, i + 1);
        assert_int_equal(w->heard.len, 3000);
        assert_int_equal(w->heard.bytes[2999], (uint8_t)2999);
    }
    assert_int_equal(w->raw_sent.n + w->eth_sent.n, 0);
    world_end(w);
}

static void test_output_raw_ip_leaves_whole(void **state)
{
    (void)state;
    static const char *const peers[] = {"198.51.100.9", "2001:db8:1::9"};
    struct world *w = world_new();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(world_send(w, peers[i], 100, true), 0);
        assert_int_equal(w->raw_sent.n, i + 1);
        struct wi_ip ip = sent_ip(&w->raw_sent, i, buf);
        struct weir_addr peer = addr(peers[i]);
        assert_int_equal(ip.proto, TEST_PROTO);
        assert_int_equal(ip.ttl, 64); /* Rows: 1122-I7 */
        assert_int_equal(ip.l4_len, 100);
        assert_true(ip.df);
        assert_true(weir_addr_equal(&ip.dst, &peer));
    }
    world_end(w);
}

static void test_input_to_own_address_is_delivered(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_ip(w, "198.51.100.9", "198.51.100.1", TEST_PROTO, "hello", 5);
    world_ip(w, "2001:db8:1::9", "2001:db8:1::1", TEST_PROTO, "hello", 5);
    world_ip(w, "203.0.113.7", "192.0.2.1", TEST_PROTO, "hello", 5); /* weak host model: RFC 1122 3.3.4.2 */
    assert_int_equal(w->heard.n, 3);
    assert_int_equal(w->heard.len, 5);
    assert_memory_equal(w->heard.bytes, "hello", 5);
    world_end(w);
}

/* Attacks: Land, Latierra, martian and spoofed sources. Nothing is heard, nothing is said. Rows: 1122-I1 1122-I4
 * 1122-I5 4291-1 attack-latierra-loopback-spoof attack-land attack-martian-and-spoofed-sources MUST-63 */
static void test_input_addresses_no_packet_may_have_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *src, *dst;
        enum weir_drop why;
    } rows[] = {
        {"127.0.0.1", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"0.0.0.0", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"0.1.2.3", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"224.0.0.5", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"240.0.0.1", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"255.255.255.255", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"198.51.100.255", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"198.51.100.0", "198.51.100.1", WEIR_DROP_IP_SRC_MARTIAN},
        {"198.51.100.1", "198.51.100.1", WEIR_DROP_IP_SRC_OURS},
        {"192.0.2.1", "198.51.100.1", WEIR_DROP_IP_SRC_OURS},
        {"198.51.100.9", "127.0.0.1", WEIR_DROP_IP_DST_MARTIAN},
        {"198.51.100.9", "0.0.0.0", WEIR_DROP_IP_DST_MARTIAN},
        {"198.51.100.9", "198.51.100.2", WEIR_DROP_IP_NOT_OURS},
        {"198.51.100.9", "224.0.0.9", WEIR_DROP_IP_NOT_JOINED},
        {"::1", "2001:db8:1::1", WEIR_DROP_IP_SRC_MARTIAN},
        {"::", "2001:db8:1::1", WEIR_DROP_IP_SRC_MARTIAN},
        {"ff02::1", "2001:db8:1::1", WEIR_DROP_IP_SRC_MARTIAN},
        {"2001:db8:1::1", "2001:db8:1::1", WEIR_DROP_IP_SRC_OURS},
        {"2001:db8:1::9", "::1", WEIR_DROP_IP_DST_MARTIAN},
        {"2001:db8:1::9", "::", WEIR_DROP_IP_DST_MARTIAN},
        {"2001:db8:1::9", "ff01::1", WEIR_DROP_IP_DST_MARTIAN},
        {"2001:db8:1::9", "ff02::9", WEIR_DROP_IP_NOT_JOINED},
        {"2001:db8:1::9", "2001:db8:1::2", WEIR_DROP_IP_NOT_OURS},
    };
    struct world *w = world_new();
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        uint64_t before = drops(w, rows[i].why);
        world_ip(w, rows[i].src, rows[i].dst, TEST_PROTO, "hello", 5);
        world_ip(w, rows[i].src, rows[i].dst, 199, "hello", 5);
        if (drops(w, rows[i].why) != before + 2)
            fail_msg("%s to %s", rows[i].src, rows[i].dst);
    }
    assert_int_equal(w->heard.n, 0);
    assert_int_equal(w->raw_sent.n + w->eth_sent.n, 0);
    world_end(w);
}

/* The IPv4 header's sum. Rows: 1122-I2 */
static void test_input_bad_header_checksum_is_dropped(void **state)
{
    (void)state;
    struct world *w = world_new();
    size_t len = put_ip(buf, "198.51.100.9", "198.51.100.1", TEST_PROTO, "hello", 5);
    buf[8]++;
    world_input(w, w->raw, buf, len);
    assert_int_equal(w->heard.n, 0);
    assert_int_equal(drops(w, WEIR_DROP_IPV4_CSUM), 1);
    world_end(w);
}

/* What is for another host goes nowhere: it is not forwarded, link-local or not, and its sender is not redirected.
 * Rows: 1122-C6 3927-1 */
static void test_input_for_another_host_is_not_forwarded(void **state)
{
    (void)state;
    static const char *const to[] = {"169.254.7.7", "198.51.100.77", "203.0.113.1"};
    struct world *w = world_new();
    for (unsigned i = 0; i < 3; i++)
        world_input(w, w->raw, buf, put_ip(buf, i ? "198.51.100.9" : "169.254.1.1", to[i], TEST_PROTO, "hello", 5));
    assert_int_equal(w->heard.n, 0);
    assert_int_equal(w->raw_sent.n, 0);
    assert_int_equal(w->eth_sent.n, 0);
    world_end(w);
}

/* A received TTL of 1 or 0 is no reason to drop. Rows: 1122-I6 */
static void test_input_ttl_is_not_looked_at(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (uint8_t ttl = 0; ttl < 2; ttl++) {
        struct wi_ip_out ip = {
            .src = addr("198.51.100.9"), .dst = addr("198.51.100.1"), .proto = TEST_PROTO, .ttl = ttl};
        world_input(w, w->raw, buf, wi_ip_put(buf, &ip));
    }
    assert_int_equal(w->heard.n, 2);
    world_end(w);
}

/* A unicast packet in a broadcast frame is not for us; link padding is no payload. Rows: 1122-I20 1122-L5 8200-1 */
static void test_input_link_broadcast_with_unicast_destination_is_dropped(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t ip[200];
    size_t len = put_ip(ip, "192.0.2.9", "192.0.2.1", TEST_PROTO, "hello", 5);
    memset(ip + len, 0xee, 30);
    size_t n = put_eth(buf, all_mac, peer_mac, WI_ETHERTYPE_IPV4, ip, len + 30);
    world_input(w, w->eth, buf, n);
    assert_int_equal(w->heard.n, 0);
    assert_int_equal(drops(w, WEIR_DROP_IP_LINK_GROUP), 1);
    n = put_eth(buf, our_mac, peer_mac, WI_ETHERTYPE_IPV4, ip, len + 30);
    world_input(w, w->eth, buf, n);
    assert_int_equal(w->heard.n, 1);
    assert_int_equal(w->heard.len, 5);
    world_end(w);
}

static void test_input_frames_for_others_are_dropped_with_their_reason(void **state)
{
    (void)state;
    static const uint8_t third_mac[6] = {2, 0, 0, 0, 0, 3};
    struct world *w = world_new();
    uint8_t ip[200];
    size_t len = put_ip(ip, "192.0.2.9", "192.0.2.1", TEST_PROTO, "hello", 5);
    world_input(w, w->eth, buf, put_eth(buf, third_mac, peer_mac, WI_ETHERTYPE_IPV4, ip, len));
    world_input(w, w->eth, buf, put_eth(buf, our_mac, our_mac, WI_ETHERTYPE_IPV4, ip, len));
    world_input(w, w->eth, buf, put_eth(buf, our_mac, peer_mac, 0x88cc, ip, len));
    world_input(w, w->eth, buf, put_eth(buf, our_mac, peer_mac, WI_ETHERTYPE_IPV6, ip, len)); /* Rows: 1122-I1 */
    world_input(w, w->eth, buf, 5);
    assert_int_equal(drops(w, WEIR_DROP_ETH_NOT_OURS), 1);
    assert_int_equal(drops(w, WEIR_DROP_ETH_OWN_SRC), 1);
    assert_int_equal(drops(w, WEIR_DROP_ETH_TYPE), 1);
    assert_int_equal(drops(w, WEIR_DROP_IP_VERSION), 1);
    assert_int_equal(drops(w, WEIR_DROP_ETH_SHORT), 1);
    assert_int_equal(w->heard.n, 0);
    world_end(w);
}

/* Headers may lie in any split of the packet. */
static void test_input_packet_split_anywhere_is_read_the_same(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t ip[200];
    size_t ip_len = put_ip(ip, "2001:db8::9", "2001:db8::1", TEST_PROTO, "hello world", 11);
    size_t len = put_eth(buf, our_mac, peer_mac, WI_ETHERTYPE_IPV6, ip, ip_len);
    for (size_t cut = 0; cut <= len; cut++) {
        struct weir_pkt *pkt = weir_pkt_new(w->core.pool, 0);
        struct weir_block *block = weir_block_new(w->core.pool, len);
        memcpy(weir_pkt_put(pkt, cut), buf, cut);
        memcpy(block->data, buf + cut, len - cut);
        assert_int_equal(weir_pkt_append(pkt, block, 0, (uint32_t)(len - cut)), 0);
        weir_block_unref(block);
        wi_net_input(w->net, w->eth, &pkt, 1);
        weir_pkt_unref(pkt);
        assert_int_equal(w->heard.n, cut + 1);
        assert_memory_equal(w->heard.bytes, "hello world", 11);
    }
    world_end(w);
}

/* A transparent gateway takes what is meant for anybody. */
static void test_input_any_addr_takes_every_unicast_destination(void **state)
{
    (void)state;
    struct world *w = world_new();
    wi_netif_get(w->net, w->raw)->flags |= WEIR_NETIF_ANY_ADDR;
    world_ip(w, "198.51.100.9", "203.0.113.77", TEST_PROTO, "hello", 5);
    world_ip(w, "2001:db8:1::9", "2001:db8:ffff::77", TEST_PROTO, "hello", 5);
    world_ip(w, "198.51.100.9", "224.0.0.9", TEST_PROTO, "hello", 5);
    world_ip(w, "198.51.100.9", "127.0.0.1", TEST_PROTO, "hello", 5);
    assert_int_equal(w->heard.n, 2);
    world_end(w);
}

/* Limited, directed and old-style broadcast. Rows: 1122-I19 */
static void test_input_broadcast_is_delivered(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_ip(w, "198.51.100.9", "255.255.255.255", TEST_PROTO, "hello", 5);
    world_ip(w, "198.51.100.9", "198.51.100.255", TEST_PROTO, "hello", 5);
    world_ip(w, "198.51.100.9", "198.51.100.0", TEST_PROTO, "hello", 5);
    assert_int_equal(w->heard.n, 3);
    world_end(w);
}

static void test_output_broadcast_goes_to_all_and_to_ourselves(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(world_send(w, "192.0.2.255", 10, false), 0);
    assert_int_equal(w->eth_sent.n, 1);
    assert_int_equal(w->heard.n, 1);
    assert_int_equal(weir_pkt_copy(w->eth_sent.pkts[0], 0, buf, 6), 6);
    assert_memory_equal(buf, all_mac, 6);
    world_end(w);
}

/* What is larger than the MTU is cut to pieces that come together again, or refused when it must not be; the pieces
 * of one datagram share an identification, the next has another. Rows: 1122-I14 1122-I10 6864-1 */
static void test_output_larger_than_mtu_is_fragmented_unless_df(void **state)
{
    (void)state;
    static const char *const peers[] = {"198.51.100.9", "2001:db8:1::9"};
    static const size_t sizes[] = {1480, 1481, 3000, 65507 - 20};
    struct world *w = world_new();
    for (size_t p = 0; p < 2; p++) {
        uint32_t last_id = 0;
        for (size_t s = 1; s < WI_ARRAY_LEN(sizes); s++) {
            assert_int_equal(world_send(w, peers[p], sizes[s], true), -WEIR_EMSGSIZE);
            assert_int_equal(world_send(w, peers[p], sizes[s], false), 0);
            assert_true(w->raw_sent.n > 1);
            uint32_t id = sent_ip(&w->raw_sent, 0, buf).frag_id, total = 0;
            assert_true(id != last_id);
            for (unsigned i = 0; i < w->raw_sent.n; i++) {
                struct wi_ip ip = sent_ip(&w->raw_sent, i, buf);
                assert_true(ip.total_len <= 1500);
                assert_int_equal(ip.frag_id, id);
                assert_int_equal(ip.frag_off, total);
                assert_int_equal(ip.mf, i + 1 < w->raw_sent.n);
                for (uint32_t k = 0; k < ip.l4_len; k++)
                    assert_int_equal(buf[ip.l4_off + k], (uint8_t)(total + k));
                total += ip.l4_len;
            }
            assert_int_equal(total, sizes[s]);
            last_id = id;
            world_forget_sent(w);
        }
    }
    world_end(w);
}

static void test_output_beyond_what_a_length_field_holds_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(world_send(w, "198.51.100.9", 65516, false), -WEIR_EMSGSIZE);
    assert_int_equal(world_send(w, "127.0.0.1", 65516, false), -WEIR_EMSGSIZE);
    assert_int_equal(world_send(w, "127.0.0.1", 65515, false), 0);
    assert_int_equal(world_send(w, "::1", 65536, false), -WEIR_EMSGSIZE);
    assert_int_equal(w->heard.len, 65515);
    world_end(w);
}

/* IPID side channel: identification says nothing from one destination to another, and is 0 where it means nothing.
 * Rows: 7739-x attack-ipid-side-channel */
static void test_output_identification_is_unrelated_between_destinations(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint16_t last[2] = {0};
    unsigned related = 0;
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned p = 0; p < 2; p++) {
            assert_int_equal(world_send(w, p ? "198.51.100.9" : "198.51.100.10", 10, false), 0);
            uint16_t id = (uint16_t)sent_ip(&w->raw_sent, w->raw_sent.n - 1, buf).frag_id;
            related += (uint16_t)(id - last[!p]) < 16;
            last[p] = id;
        }
    }
    assert_int_equal(related, 0);
    assert_int_equal(world_send(w, "198.51.100.9", 10, true), 0);
    assert_int_equal(sent_ip(&w->raw_sent, w->raw_sent.n - 1, buf).frag_id, 0);
    world_end(w);
}

/* The label is a flow's, never 0. Rows: 6437-1 */
static void test_output_flow_label_is_stable_and_not_zero(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint32_t labels[3];
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(world_send(w, i == 2 ? "2001:db8:1::a" : "2001:db8:1::9", 10, false), 0);
        labels[i] = sent_ip(&w->raw_sent, i, buf).flow_label;
        assert_true(labels[i] != 0);
    }
    assert_int_equal(labels[0], labels[1]);
    assert_true(labels[0] != labels[2]);
    world_end(w);
}

static void test_output_driver_takes_few_keeps_the_rest_in_order(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->raw_sent.room = 3;
    for (unsigned i = 0; i < 1003; i++)
        assert_int_equal(world_send(w, "198.51.100.9", 100 + i, false), 0);
    assert_int_equal(w->raw_sent.n, 3);
    assert_int_equal(world_send(w, "198.51.100.9", 1, false), -WEIR_ENOBUFS);
    assert_int_equal(drops(w, WEIR_DROP_TX_QUEUE_FULL), 1);
    w->raw_sent.room = SENT_MAX;
    wi_net_netif_tx_ready(w->net, w->raw);
    wi_net_flush(w->net);
    assert_int_equal(w->raw_sent.n, 1003);
    for (unsigned i = 0; i < 1003; i++)
        assert_int_equal(sent_ip(&w->raw_sent, i, buf).l4_len, 100 + i);
    world_end(w);
}

static void test_output_interface_down_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(wi_net_netif_set_up(w->net, w->raw, false), 0);
    assert_int_equal(world_send(w, "198.51.100.9", 1, false), -WEIR_ENETUNREACH);
    world_ip(w, "198.51.100.9", "198.51.100.1", TEST_PROTO, "hello", 5);
    assert_int_equal(drops(w, WEIR_DROP_NETIF_DOWN), 1);
    assert_int_equal(wi_net_netif_set_up(w->net, w->raw, true), 0);
    assert_int_equal(world_send(w, "198.51.100.9", 1, false), 0);
    world_end(w);
}

static void test_output_shared_packet_is_cloned(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct wi_dst dst;
    struct weir_addr to = addr("198.51.100.9");
    uint8_t *p;
    struct weir_pkt *pkt = wi_msg_new(w->net, 8, &p);
    assert_int_equal(wi_net_route(w->net, &to, NULL, 0, false, &dst), 0);
    const struct wi_net_hdr hdr = {.src = dst.src, .dst = to, .proto = TEST_PROTO};
    assert_int_equal(wi_net_output(w->net, &dst, &hdr, weir_pkt_ref(pkt)), 0);
    assert_int_equal(pkt->len, 8);
    weir_pkt_unref(pkt);
    wi_net_flush(w->net);
    world_end(w);
}

/* Rows: 8200-14 */
static void test_netif_configuration_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct weir_netif_ops ops = {.xmit = world_xmit};
    struct world *w = world_new();
    struct weir_netif_config cfg = {.type = WEIR_LINK_RAW_IP, .mtu = 575};
    struct weir_addr v6 = addr("2001:db8:2::1");
    assert_int_equal(wi_net_netif_add(w->net, &ops, NULL, &cfg), -WEIR_EINVAL);
    cfg.mtu = 1279;
    int netif = wi_net_netif_add(w->net, &ops, NULL, &cfg);
    assert_true(netif > 0);
    assert_int_equal(wi_net_addr_add(w->net, netif, &v6, 64), -WEIR_EINVAL);
    assert_int_equal(wi_net_netif_set_mtu(w->net, netif, 1280), 0);
    assert_int_equal(wi_net_addr_add(w->net, netif, &v6, 64), 0);
    assert_int_equal(wi_net_netif_del(w->net, netif), 0);
    assert_int_equal(wi_net_netif_del(w->net, netif), -WEIR_ENODEV);
    assert_false(wi_net_is_local(w->net, &v6));
    cfg = (struct weir_netif_config){.type = WEIR_LINK_ETHERNET, .mtu = 1500};
    assert_int_equal(wi_net_netif_add(w->net, &ops, NULL, &cfg), -WEIR_EINVAL); /* no link address */
    world_end(w);
}

static void test_net_new_without_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        struct heap heap = {0};
        struct wi_core core;
        struct weir_config cfg = {.alloc = heap_owner(&heap), .seed = 7};
        assert_int_equal(wi_core_init(&core, &cfg), 0);
        heap.fail_at = heap.alloc_n + nth;
        struct wi_net *net = wi_net_new(&core);
        wi_net_free(net);
        wi_core_fini(&core);
        assert_int_equal(heap.bytes, 0);
        if (net)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_to_own_address_comes_back_in),
        cmocka_unit_test(test_output_raw_ip_leaves_whole),
        cmocka_unit_test(test_input_to_own_address_is_delivered),
        cmocka_unit_test(test_input_addresses_no_packet_may_have_are_refused),
        cmocka_unit_test(test_input_bad_header_checksum_is_dropped),
        cmocka_unit_test(test_input_for_another_host_is_not_forwarded),
        cmocka_unit_test(test_input_ttl_is_not_looked_at),
        cmocka_unit_test(test_input_link_broadcast_with_unicast_destination_is_dropped),
        cmocka_unit_test(test_input_frames_for_others_are_dropped_with_their_reason),
        cmocka_unit_test(test_input_packet_split_anywhere_is_read_the_same),
        cmocka_unit_test(test_input_any_addr_takes_every_unicast_destination),
        cmocka_unit_test(test_input_broadcast_is_delivered),
        cmocka_unit_test(test_output_broadcast_goes_to_all_and_to_ourselves),
        cmocka_unit_test(test_output_larger_than_mtu_is_fragmented_unless_df),
        cmocka_unit_test(test_output_beyond_what_a_length_field_holds_is_refused),
        cmocka_unit_test(test_output_identification_is_unrelated_between_destinations),
        cmocka_unit_test(test_output_flow_label_is_stable_and_not_zero),
        cmocka_unit_test(test_output_driver_takes_few_keeps_the_rest_in_order),
        cmocka_unit_test(test_output_interface_down_is_refused),
        cmocka_unit_test(test_output_shared_packet_is_cloned),
        cmocka_unit_test(test_netif_configuration_that_cannot_be_is_refused),
        cmocka_unit_test(test_net_new_without_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
