/* Multicast groups and their routers: RFC 1112, 2236, 3376, 2710, 3810. */
#include "net_test.h"

static uint8_t buf[70000];

static int join(struct world *w, int netif, const char *group)
{
    struct weir_addr g = addr(group);
    int err = wi_net_group_join(w->net, netif, &g);
    wi_net_flush(w->net);
    return err;
}

static int leave(struct world *w, int netif, const char *group)
{
    struct weir_addr g = addr(group);
    int err = wi_net_group_leave(w->net, netif, &g);
    wi_net_flush(w->net);
    return err;
}

static void say_igmp(struct world *w, const char *src, const char *dst, uint8_t *msg, size_t len, uint8_t ttl)
{
    uint8_t p[200];
    wi_put16(msg + 2, 0);
    wi_put16(msg + 2, wi_csum_finish(wi_csum_add(0, msg, len)));
    struct wi_ip_out ip = {.src = addr(src),
                           .dst = addr(dst),
                           .router_alert = true,
                           .proto = WI_IP_IGMP,
                           .ttl = ttl,
                           .l4_len = (uint32_t)len};
    size_t hdr = wi_ip_put(p, &ip);
    memcpy(p + hdr, msg, len);
    world_input(w, w->raw, p, hdr + len);
}

/* A general query of IGMPv`version` with a maximum response time in tenths of a second. */
static void say_query(struct world *w, unsigned version, uint8_t max_resp)
{
    uint8_t msg[12] = {0x11, version == 1 ? 0 : max_resp};
    say_igmp(w, "198.51.100.254", "224.0.0.1", msg, version == 3 ? 12 : 8, 1);
}

static void say_mld(struct world *w, const char *src, const char *dst, uint8_t *msg, size_t len)
{
    uint8_t p[200];
    struct weir_addr from = addr(src), to = addr(dst);
    wi_put16(msg + 2, 0);
    wi_icmp_seal(msg, len, true, &from, &to);
    struct wi_ip_out ip = {.src = from,
                           .dst = to,
                           .is_v6 = true,
                           .router_alert = true,
                           .proto = WI_IP_ICMPV6,
                           .ttl = 1,
                           .l4_len = (uint32_t)len};
    size_t hdr = wi_ip_put(p, &ip);
    memcpy(p + hdr, msg, len);
    world_input(w, w->raw, p, hdr + len);
}

/* What left: its type byte, and that it is as every such message must be. */
static uint8_t sent_type(const struct world *w, unsigned i, const char *dst)
{
    struct wi_ip ip = sent_ip(&w->raw_sent, i, buf);
    struct weir_addr to = addr(dst);
    assert_int_equal(ip.ttl, 1);
    assert_true(ip.is_router_alert);
    if (!weir_addr_equal(&ip.dst, &to))
        fail_msg("it did not go to %s", dst);
    uint64_t sum = ip.is_v6 ? wi_ip_pseudo_csum(&ip.src, &ip.dst, WI_IP_ICMPV6, ip.l4_len) : 0;
    assert_int_equal(wi_csum_fold(sum + wi_csum_add(0, buf + ip.l4_off, ip.l4_len)), 0xffff);
    return buf[ip.l4_off];
}

/* A group is heard once it is joined; all-hosts always. Rows: 1112-1 1122-M1 */
static void test_group_is_heard_while_joined(void **state)
{
    (void)state;
    static const char *const groups[] = {"224.5.6.7", "ff02::1234"};
    struct world *w = world_new();
    for (unsigned i = 0; i < 2; i++) {
        const char *src = i ? "2001:db8:1::9" : "198.51.100.9";
        world_ip(w, src, i ? "ff02::1" : "224.0.0.1", TEST_PROTO, "hello", 5);
        assert_int_equal(w->heard.n, 1);
        world_ip(w, src, groups[i], TEST_PROTO, "hello", 5);
        assert_int_equal(w->heard.n, 1);
        assert_int_equal(join(w, w->raw, groups[i]), 0);
        assert_int_equal(join(w, w->raw, groups[i]), 0); /* counted */
        world_ip(w, src, groups[i], TEST_PROTO, "hello", 5);
        assert_int_equal(w->heard.n, 2);
        assert_int_equal(leave(w, w->raw, groups[i]), 0);
        world_ip(w, src, groups[i], TEST_PROTO, "hello", 5);
        assert_int_equal(w->heard.n, 3);
        assert_int_equal(leave(w, w->raw, groups[i]), 0);
        world_ip(w, src, groups[i], TEST_PROTO, "hello", 5);
        assert_int_equal(w->heard.n, 3);
        assert_int_equal(leave(w, w->raw, groups[i]), -WEIR_EADDRNOTAVAIL);
        w->heard.n = 0;
    }
    assert_int_equal(join(w, w->raw, "192.0.2.1"), -WEIR_EINVAL);
    assert_int_equal(join(w, 99, "224.5.6.7"), -WEIR_ENODEV);
    assert_int_equal(join(w, 0, "224.5.6.7"), 0); /* the first interface */
    assert_int_equal(leave(w, w->eth, "224.5.6.7"), 0);
    world_pass(w, WEIR_SEC(20));
    world_end(w);
}

/* Groups that share a link address are told apart by IP. Rows: 1112-1 */
static void test_group_of_the_same_link_address_is_not_heard(void **state)
{
    (void)state;
    uint8_t ip[100], frame[120], mac[6], other[6];
    struct world *w = world_new();
    struct weir_addr joined = addr("224.1.2.3"), alias = addr("225.1.2.3");
    assert_int_equal(join(w, w->eth, "224.1.2.3"), 0);
    wi_eth_from_group(mac, &joined);
    wi_eth_from_group(other, &alias);
    assert_memory_equal(mac, other, 6);
    size_t len = put_ip(ip, "192.0.2.9", "225.1.2.3", TEST_PROTO, "hello", 5);
    world_input(w, w->eth, frame, put_eth(frame, mac, peer_mac, WI_ETHERTYPE_IPV4, ip, len));
    assert_int_equal(w->heard.n, 0);
    len = put_ip(ip, "192.0.2.9", "224.1.2.3", TEST_PROTO, "hello", 5);
    world_input(w, w->eth, frame, put_eth(frame, mac, peer_mac, WI_ETHERTYPE_IPV4, ip, len));
    assert_int_equal(w->heard.n, 1);
    world_end(w);
}

/* A join is reported at once and again within a second; so is the leave. Rows: 2236-3 3376-1 2710-1 */
static void test_join_and_leave_are_reported_twice(void **state)
{
    (void)state;
    static const struct {
        const char *group, *dst;
        uint8_t type, record_off;
    } rows[] = {{"224.5.6.7", "224.0.0.22", 0x22, 8}, {"ff02::1234", "ff02::16", 143, 8}};
    for (unsigned i = 0; i < 2; i++) {
        struct world *w = world_new();
        assert_int_equal(join(w, w->raw, rows[i].group), 0);
        assert_int_equal(w->raw_sent.n, 1);
        world_pass(w, WEIR_SEC(2));
        assert_int_equal(w->raw_sent.n, 2);
        assert_int_equal(leave(w, w->raw, rows[i].group), 0);
        world_pass(w, WEIR_SEC(2));
        assert_int_equal(w->raw_sent.n, 4);
        for (unsigned k = 0; k < 4; k++) {
            assert_int_equal(sent_type(w, k, rows[i].dst), rows[i].type);
            struct wi_ip ip = sent_ip(&w->raw_sent, k, buf);
            assert_int_equal(buf[ip.l4_off + 8], k < 2 ? WI_MCAST_TO_EXCLUDE : WI_MCAST_TO_INCLUDE);
        }
        world_pass(w, WEIR_SEC(60));
        assert_int_equal(w->raw_sent.n, 4);
        world_end(w);
    }
}

/* A router of version 2 gets answers of version 2 within its time, until it has been silent long enough.
 * Rows: 2236-1 2236-2 3376-2 */
static void test_query_of_version_2_is_answered_in_kind(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(join(w, w->raw, "224.5.6.7"), 0);
    world_pass(w, WEIR_SEC(2));
    world_forget_sent(w);
    for (unsigned i = 0; i < 5; i++) {
        say_query(w, 2, 10);
        world_pass(w, WEIR_SEC(1));
        assert_int_equal(w->raw_sent.n, 1);
        assert_int_equal(sent_type(w, 0, "224.5.6.7"), 0x16);
        world_forget_sent(w);
    }
    assert_int_equal(leave(w, w->raw, "224.5.6.7"), 0);
    assert_int_equal(sent_type(w, 0, "224.0.0.2"), 0x17);
    world_pass(w, WEIR_SEC(261));
    world_forget_sent(w);
    assert_int_equal(join(w, w->raw, "224.5.6.7"), 0);
    assert_int_equal(sent_type(w, 0, "224.0.0.22"), 0x22);
    world_end(w);
}

/* Rows: 2236-4 */
static void test_query_of_version_1_gets_version_1_reports_and_no_leave(void **state)
{
    (void)state;
    struct world *w = world_new();
    say_query(w, 1, 0);
    assert_int_equal(join(w, w->raw, "224.5.6.7"), 0);
    assert_int_equal(sent_type(w, 0, "224.5.6.7"), 0x12);
    world_pass(w, WEIR_SEC(11));
    unsigned n = w->raw_sent.n;
    assert_int_equal(leave(w, w->raw, "224.5.6.7"), 0);
    world_pass(w, WEIR_SEC(11));
    assert_int_equal(w->raw_sent.n, n);
    world_end(w);
}

/* Somebody else's report suffices. Rows: 2236-2 */
static void test_report_of_another_suppresses_ours(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t report[8] = {0x16, 0, 0, 0, 224, 5, 6, 7};
    say_query(w, 2, 1);
    assert_int_equal(join(w, w->raw, "224.5.6.7"), 0);
    world_pass(w, WEIR_SEC(21));
    world_forget_sent(w);
    say_query(w, 2, 255);
    say_igmp(w, "198.51.100.77", "224.5.6.7", report, sizeof report, 1);
    world_pass(w, WEIR_SEC(60));
    assert_int_equal(w->raw_sent.n, 0);
    assert_int_equal(leave(w, w->raw, "224.5.6.7"), 0); /* RFC 2236 6: the other one was last to report */
    world_pass(w, WEIR_SEC(20));
    assert_int_equal(w->raw_sent.n, 0);
    world_end(w);
}

/* IGMP/MLD query storms (CVE-1999-0918, CVE-2012-0207): malformed, from afar, too fast. Rows: 3376-3
 * attack-igmp-mld-query-storms */
static void test_queries_of_an_attacker_do_no_harm(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t lies[12] = {0x11, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    assert_int_equal(join(w, w->raw, "224.5.6.7"), 0);
    world_pass(w, WEIR_SEC(2));
    world_forget_sent(w);
    say_igmp(w, "198.51.100.254", "224.0.0.1", lies, 12, 1);
    lies[10] = lies[11] = 0;
    say_igmp(w, "198.51.100.254", "224.0.0.1", lies, 12, 64);
    world_pass(w, WEIR_SEC(5));
    assert_int_equal(w->raw_sent.n, 0);
    for (unsigned i = 0; i < 1000; i++)
        say_query(w, 3, 100);
    world_pass(w, WEIR_SEC(11));
    assert_int_equal(w->raw_sent.n, 1);
    for (unsigned i = 0; i < 10; i++) {
        say_query(w, 3, 0);
        world_pass(w, WEIR_MS(1));
    }
    assert_in_range(w->raw_sent.n, 1, 11);
    for (size_t len = 0; len < 12; len++)
        say_igmp(w, "198.51.100.254", "224.0.0.1", lies, len < 4 ? 4 : len, 1);
    world_end(w);
}

static void test_mld_query_is_answered_from_link_local(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t query[28] = {130, 0, 0, 0, 3, 0xe8}; /* within a second */
    world_addr(w, w->raw, "fe80::77", 64);
    assert_int_equal(join(w, w->raw, "ff05::1234"), 0);
    world_pass(w, WEIR_SEC(2));
    world_forget_sent(w);
    say_mld(w, "2001:db8:1::fe", "ff02::1", query, 28); /* not from a router on this link */
    world_pass(w, WEIR_SEC(2));
    assert_int_equal(w->raw_sent.n, 0);
    say_mld(w, "fe80::fe", "ff02::1", query, 28);
    world_pass(w, WEIR_SEC(1));
    assert_int_equal(w->raw_sent.n, 1);
    assert_int_equal(sent_type(w, 0, "ff02::16"), 143);
    struct weir_addr link_local = addr("fe80::77");
    struct wi_ip ip = sent_ip(&w->raw_sent, 0, buf);
    assert_true(weir_addr_equal(&ip.src, &link_local));
    world_forget_sent(w);
    say_mld(w, "fe80::fe", "ff02::1", query, 24); /* version 1 */
    world_pass(w, WEIR_SEC(1));
    assert_int_equal(sent_type(w, 0, "ff05::1234"), 131);
    world_end(w);
}

/* An address on Ethernet brings its solicited-node group, and tells the routers. Rows: 4862-3 2710-1 */
static void test_address_joins_its_solicited_node_group(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_addr a = addr("2001:db8::abcd:1234"), group = wi_nd_solicited_node(&a);
    struct wi_netif *eth = wi_netif_get(w->net, w->eth);
    assert_false(wi_group_is_joined(w->net, eth, &group));
    world_addr(w, w->eth, "2001:db8::abcd:1234", 64);
    wi_net_flush(w->net);
    assert_true(wi_group_is_joined(w->net, eth, &group));
    assert_int_equal(w->eth_sent.n, 1);
    assert_int_equal(wi_net_addr_del(w->net, w->eth, &a), 0);
    assert_false(wi_group_is_joined(w->net, eth, &group));
    world_pass(w, WEIR_SEC(5));
    world_end(w);
}

static void test_interface_that_comes_up_reports_its_groups(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(wi_net_netif_set_up(w->net, w->raw, false), 0);
    assert_int_equal(join(w, w->raw, "224.5.6.7"), 0);
    world_pass(w, WEIR_SEC(5));
    assert_int_equal(w->raw_sent.n, 0);
    assert_int_equal(wi_net_netif_set_up(w->net, w->raw, true), 0);
    world_pass(w, WEIR_SEC(5));
    assert_int_equal(w->raw_sent.n, 2);
    world_end(w);
}

static void test_socket_memberships_are_bounded_and_outlive_no_interface(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct wi_sk sk;
    wi_sk_init(&sk, &w->core, w->net, NULL, WEIR_AF_INET, WEIR_SOCK_DGRAM, WEIR_IPPROTO_UDP);
    for (unsigned i = 0; i < 20; i++) {
        struct weir_addr g = weir_addr_v4(224, 1, 2, (uint8_t)i);
        assert_int_equal(wi_sk_group_join(&sk, w->raw, &g), 0);
    }
    struct weir_addr one_more = addr("224.9.9.9"), first = addr("224.1.2.0");
    assert_int_equal(wi_sk_group_join(&sk, w->raw, &one_more), -WEIR_ENOBUFS);
    assert_int_equal(wi_sk_group_leave(&sk, w->raw, &one_more), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(wi_sk_group_leave(&sk, 0, &first), 0);
    assert_int_equal(wi_net_netif_del(w->net, w->raw), 0);
    wi_sk_group_leave_all(&sk);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_is_heard_while_joined),
        cmocka_unit_test(test_group_of_the_same_link_address_is_not_heard),
        cmocka_unit_test(test_join_and_leave_are_reported_twice),
        cmocka_unit_test(test_query_of_version_2_is_answered_in_kind),
        cmocka_unit_test(test_query_of_version_1_gets_version_1_reports_and_no_leave),
        cmocka_unit_test(test_report_of_another_suppresses_ours),
        cmocka_unit_test(test_queries_of_an_attacker_do_no_harm),
        cmocka_unit_test(test_mld_query_is_answered_from_link_local),
        cmocka_unit_test(test_address_joins_its_solicited_node_group),
        cmocka_unit_test(test_interface_that_comes_up_reports_its_groups),
        cmocka_unit_test(test_socket_memberships_are_bounded_and_outlive_no_interface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
