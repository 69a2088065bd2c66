/* Where packets go, and with which source: longest prefix, metric, gateways, RFC 6724. */
#include "net_test.h"

static int route_to(struct world *w, const char *to, const char *src, int bound_if, bool any_src, struct wi_dst *out)
{
    struct weir_addr dst = addr(to), from = src ? addr(src) : weir_addr_any(WEIR_AF_INET);
    return wi_net_route(w->net, &dst, src ? &from : NULL, bound_if, any_src, out);
}

static struct weir_route route(const char *dst, unsigned len, const char *gateway, int netif)
{
    struct weir_route r = {.dst = addr(dst), .prefix_len = len, .netif = netif};
    int family = weir_addr_is_v4(&r.dst) ? WEIR_AF_INET : WEIR_AF_INET6;
    r.gateway = gateway ? addr(gateway) : weir_addr_any(family);
    r.prefsrc = weir_addr_any(family);
    return r;
}

static void add(struct world *w, struct weir_route r)
{
    assert_int_equal(wi_net_route_add(w->net, &r), 0);
}

static void assert_goes(struct world *w, const char *to, int netif, const char *next_hop)
{
    struct wi_dst dst;
    struct weir_addr hop = addr(next_hop);
    assert_int_equal(route_to(w, to, NULL, 0, false, &dst), 0);
    if (dst.netif != netif || !weir_addr_equal(&dst.next_hop, &hop))
        fail_msg("%s goes to interface %d", to, dst.netif);
}

static void test_lookup_longest_prefix_wins(void **state)
{
    (void)state;
    struct world *w = world_new();
    add(w, route("0.0.0.0", 0, "198.51.100.254", w->raw));
    add(w, route("10.0.0.0", 8, "198.51.100.253", w->raw));
    add(w, route("10.1.0.0", 16, "192.0.2.254", w->eth));
    add(w, route("10.1.2.3", 32, "198.51.100.252", w->raw));
    add(w, route("::", 0, "fe80::fe", w->eth));
    add(w, route("2001:db8:f::", 48, NULL, w->raw));
    assert_goes(w, "203.0.113.1", w->raw, "198.51.100.254");
    assert_goes(w, "10.2.0.1", w->raw, "198.51.100.253");
    assert_goes(w, "10.1.2.4", w->eth, "192.0.2.254");
    assert_goes(w, "10.1.2.3", w->raw, "198.51.100.252");
    assert_goes(w, "192.0.2.77", w->eth, "192.0.2.77"); /* Rows: 1122-I15 */
    assert_goes(w, "2001:db8:ffff::1", w->eth, "fe80::fe");
    assert_goes(w, "2001:db8:f:1::1", w->raw, "2001:db8:f:1::1");
    world_end(w);
}

/* ::/0 covers the mapped form by its bits, but IPv4 has no way by it. */
static void test_lookup_ipv6_default_route_is_not_for_ipv4(void **state)
{
    (void)state;
    struct wi_dst dst;
    struct world *w = world_new();
    add(w, route("::", 0, "fe80::fe", w->eth));
    assert_int_equal(route_to(w, "203.0.113.1", NULL, 0, false, &dst), -WEIR_ENETUNREACH);
    world_end(w);
}

static void test_lookup_lower_metric_wins_and_a_bound_interface_decides(void **state)
{
    (void)state;
    struct wi_dst dst;
    struct world *w = world_new();
    struct weir_route a = route("0.0.0.0", 0, "198.51.100.254", w->raw), b = route("0.0.0.0", 0, "192.0.2.254", w->eth);
    a.metric = 20;
    b.metric = 10;
    add(w, a);
    add(w, b);
    assert_goes(w, "203.0.113.1", w->eth, "192.0.2.254");
    assert_int_equal(route_to(w, "203.0.113.1", NULL, w->raw, false, &dst), 0);
    assert_int_equal(dst.netif, w->raw);
    assert_int_equal(route_to(w, "203.0.113.1", NULL, 77, false, &dst), -WEIR_ENODEV);
    assert_int_equal(wi_net_netif_set_up(w->net, w->eth, false), 0);
    assert_goes(w, "203.0.113.1", w->raw, "198.51.100.254");
    assert_int_equal(wi_net_netif_set_up(w->net, w->eth, true), 0);
    assert_int_equal(wi_net_route_add(w->net, &b), -WEIR_EEXIST);
    assert_int_equal(wi_net_route_del(w->net, &b), 0);
    assert_int_equal(wi_net_route_del(w->net, &b), -WEIR_ENOENT);
    assert_goes(w, "203.0.113.1", w->raw, "198.51.100.254");
    world_end(w);
}

/* A gateway that does not answer is passed over, found out by traffic alone. Rows: 1122-I16 1122-I17 */
static void test_dead_gateway_gives_way_to_the_next(void **state)
{
    (void)state;
    struct wi_dst before;
    struct world *w = world_new();
    struct weir_addr second = addr("192.0.2.253");
    struct weir_route a = route("0.0.0.0", 0, "192.0.2.254", w->eth), b = route("0.0.0.0", 0, "192.0.2.253", w->eth);
    b.metric = 10;
    add(w, a);
    add(w, b);
    assert_int_equal(wi_net_neigh_set(w->net, w->eth, &second, peer_mac), 0);
    assert_int_equal(world_send(w, "203.0.113.1", 8, false), 0);
    assert_int_equal(route_to(w, "203.0.113.1", NULL, 0, false, &before), 0);
    world_pass(w, WEIR_MS(3100));
    assert_int_equal(w->heard.error_n, 1);
    assert_false(wi_dst_is_valid(w->net, &before));
    assert_goes(w, "203.0.113.1", w->eth, "192.0.2.253");
    world_end(w);
}

/* What may be a source, and where it may go. Rows: 1122-I3 */
static void test_source_must_be_ours_and_fit(void **state)
{
    (void)state;
    struct wi_dst dst;
    struct world *w = world_new();
    add(w, route("0.0.0.0", 0, "198.51.100.254", w->raw));
    assert_int_equal(route_to(w, "203.0.113.1", "192.0.2.1", 0, false, &dst), 0);
    assert_int_equal(route_to(w, "203.0.113.1", "192.0.2.9", 0, false, &dst), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(route_to(w, "203.0.113.1", "192.0.2.9", 0, true, &dst), 0);
    assert_int_equal(route_to(w, "203.0.113.1", "127.0.0.1", 0, true, &dst), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(route_to(w, "203.0.113.1", "2001:db8::1", 0, true, &dst), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(route_to(w, "203.0.113.1", "255.255.255.255", 0, true, &dst), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(route_to(w, "203.0.113.1", "224.0.0.1", 0, true, &dst), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(route_to(w, "127.0.0.1", "127.0.0.5", 0, false, &dst), 0);
    world_end(w);
}

/* Section 5, the rules that a host without mobile and temporary addresses has. Rows: 6724-1 */
static void test_source_is_chosen_by_rfc_6724(void **state)
{
    (void)state;
    static const struct {
        const char *dst, *candidates[3], *chosen;
    } rows[] = {
        {"2001:db8:5::1", {"2001:db8:5::2", "fe80::2"}, "2001:db8:5::2"},                         /* rule 2: scope */
        {"fe80::1:2", {"2001:db8:5::2", "fe80::2"}, "fe80::2"},                                   /* rule 2 */
        {"ff05::1", {"fe80::2", "fec0::2", "2001:db8:5::2"}, "fec0::2"},                          /* section 10.1 */
        {"2001:db8:5::2", {"2001:db8:5::2", "2001:db8:5::3"}, "2001:db8:5::2"},                   /* rule 1 */
        {"2002:c633:6401::1", {"2002:c633:6401::d5e3", "2001:db8:5::2"}, "2002:c633:6401::d5e3"}, /* rule 6: label */
        {"2001:db8:1:7::1", {"2001:db8:5::2", "2001:db8:1:7::2"}, "2001:db8:1:7::2"},             /* rule 8: prefix */
        {"10.1.2.3", {"10.9.0.1", "10.1.2.1"}, "10.1.2.1"},
    };
    static const struct weir_netif_ops ops = {.xmit = world_xmit};
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        struct wi_dst dst;
        struct world *w = world_new();
        struct weir_netif_config cfg = {.type = WEIR_LINK_RAW_IP, .mtu = 1500};
        assert_int_equal(wi_net_netif_del(w->net, w->eth), 0);
        assert_int_equal(wi_net_netif_del(w->net, w->raw), 0);
        int netif = wi_net_netif_add(w->net, &ops, &w->raw_sent, &cfg);
        add(w, route("::", 0, NULL, netif));
        for (size_t k = 0; k < 3 && rows[i].candidates[k]; k++)
            world_addr(w, netif, rows[i].candidates[k], strchr(rows[i].candidates[k], ':') ? 64 : 24);
        assert_int_equal(route_to(w, rows[i].dst, NULL, netif, false, &dst), 0);
        struct weir_addr want = addr(rows[i].chosen);
        if (!weir_addr_equal(&dst.src, &want))
            fail_msg("row %zu", i);
        world_end(w);
    }
}

static void test_source_prefers_what_the_route_says(void **state)
{
    (void)state;
    struct wi_dst dst;
    struct world *w = world_new();
    struct weir_route r = route("203.0.113.0", 24, "198.51.100.254", w->raw);
    r.prefsrc = addr("192.0.2.1");
    r.mtu = 1300;
    r.advmss = 1000;
    r.initcwnd = 4;
    add(w, r);
    assert_int_equal(route_to(w, "203.0.113.1", NULL, 0, false, &dst), 0);
    assert_true(weir_addr_equal(&dst.src, &r.prefsrc));
    assert_int_equal(dst.mtu, 1300);
    assert_int_equal(dst.link_mtu, 1500);
    assert_int_equal(dst.advmss, 1000);
    assert_int_equal(dst.initcwnd, 4);
    world_end(w);
}

static void test_source_of_an_interface_without_address_is_borrowed(void **state)
{
    (void)state;
    static const struct weir_netif_ops ops = {.xmit = world_xmit};
    struct wi_dst dst;
    struct world *w = world_new();
    struct weir_netif_config cfg = {.type = WEIR_LINK_RAW_IP, .mtu = 1500};
    int netif = wi_net_netif_add(w->net, &ops, &w->raw_sent, &cfg);
    add(w, route("203.0.113.0", 24, NULL, netif));
    assert_int_equal(route_to(w, "203.0.113.1", NULL, 0, false, &dst), 0);
    assert_true(wi_net_is_local(w->net, &dst.src));
    world_end(w);
}

static void test_destination_kinds_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *dst;
        bool is_local, is_broadcast, is_multicast;
    } rows[] = {
        {"127.0.0.1", true, false, false}, {"192.0.2.1", true, false, false},       {"192.0.2.255", false, true, false},
        {"192.0.2.0", false, true, false}, {"255.255.255.255", false, true, false}, {"224.0.0.9", false, false, true},
        {"ff02::9", false, false, true},   {"192.0.2.7", false, false, false},      {"2001:db8::1", true, false, false},
        {"::1", true, false, false},
    };
    struct world *w = world_new();
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        struct wi_dst dst;
        assert_int_equal(route_to(w, rows[i].dst, NULL, 0, false, &dst), 0);
        assert_int_equal(dst.is_local, rows[i].is_local);
        assert_int_equal(dst.is_broadcast, rows[i].is_broadcast);
        assert_int_equal(dst.is_multicast, rows[i].is_multicast);
        assert_int_equal(dst.netif, rows[i].is_local ? WI_NETIF_LOOPBACK : w->eth);
    }
    world_end(w);
}

static void test_route_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_route r = route("10.0.0.0", 33, NULL, w->raw);
    assert_int_equal(wi_net_route_add(w->net, &r), -WEIR_EINVAL);
    r = route("10.0.0.0", 8, NULL, 77);
    assert_int_equal(wi_net_route_add(w->net, &r), -WEIR_ENODEV);
    r = route("10.0.0.0", 8, "fe80::1", w->raw);
    assert_int_equal(wi_net_route_add(w->net, &r), -WEIR_EINVAL);
    r = route("10.0.0.0", 8, NULL, w->raw);
    r.mtu = 10;
    assert_int_equal(wi_net_route_add(w->net, &r), -WEIR_EINVAL);
    world_end(w);
}

static void test_address_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned len;
        int err;
    } rows[] = {{"192.0.2.1", 24, -WEIR_EEXIST}, {"10.0.0.1", 33, -WEIR_EINVAL},
                {"224.0.0.1", 24, -WEIR_EINVAL}, {"255.255.255.255", 32, -WEIR_EINVAL},
                {"0.0.0.0", 8, -WEIR_EINVAL},    {"::", 64, -WEIR_EINVAL},
                {"ff02::1", 64, -WEIR_EINVAL},   {"2001:db8::9", 129, -WEIR_EINVAL}};
    struct world *w = world_new();
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        struct weir_addr a = addr(rows[i].text);
        assert_int_equal(wi_net_addr_add(w->net, w->raw, &a, rows[i].len), rows[i].err);
    }
    struct weir_addr a = addr("198.51.100.1"), other = addr("198.51.100.2"), peer = addr("198.51.100.9");
    struct wi_dst dst;
    assert_int_equal(wi_net_addr_del(w->net, w->raw, &other), -WEIR_EINVAL);
    assert_int_equal(wi_net_addr_del(w->net, w->raw, &a), 0);
    assert_int_equal(wi_net_route(w->net, &peer, NULL, 0, false, &dst), -WEIR_ENETUNREACH);
    assert_false(wi_net_is_broadcast(w->net, &(struct weir_addr){{[10] = 0xff, 0xff, 198, 51, 100, 255}}));
    world_end(w);
}

/* Not linear in the routes: the work of a lookup is the number of prefix lengths in use. */
static void test_many_routes_are_all_found(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (unsigned i = 0; i < 20000; i++) {
        struct weir_route r = route("10.0.0.0", 24, NULL, w->raw);
        wi_put16(r.dst.b + 13, (uint16_t)i);
        add(w, r);
    }
    for (unsigned i = 0; i < 20000; i += 7) {
        struct wi_dst dst;
        struct weir_addr a = weir_addr_v4(10, (uint8_t)(i >> 8), (uint8_t)i, 9);
        assert_int_equal(wi_net_route(w->net, &a, NULL, 0, false, &dst), 0);
        assert_int_equal(dst.netif, w->raw);
    }
    world_end(w);
}

static void test_address_add_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        struct world *w = world_new();
        struct weir_addr a = addr("2001:db8:7::1"), b = addr("10.0.0.1");
        w->heap.fail_at = w->heap.alloc_n + nth;
        int err = wi_net_addr_add(w->net, w->eth, &a, 64);
        int err4 = wi_net_addr_add(w->net, w->eth, &b, 24);
        bool is_done = w->heap.alloc_n < w->heap.fail_at;
        w->heap.fail_at = 0;
        assert_true(err == 0 || err == -WEIR_ENOMEM);
        assert_true(err4 == 0 || err4 == -WEIR_ENOMEM);
        assert_int_equal(wi_net_is_local(w->net, &a), err == 0);
        assert_int_equal(wi_net_is_local(w->net, &b), err4 == 0);
        world_end(w);
        if (is_done)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup_longest_prefix_wins),
        cmocka_unit_test(test_lookup_ipv6_default_route_is_not_for_ipv4),
        cmocka_unit_test(test_lookup_lower_metric_wins_and_a_bound_interface_decides),
        cmocka_unit_test(test_dead_gateway_gives_way_to_the_next),
        cmocka_unit_test(test_source_must_be_ours_and_fit),
        cmocka_unit_test(test_source_is_chosen_by_rfc_6724),
        cmocka_unit_test(test_source_prefers_what_the_route_says),
        cmocka_unit_test(test_source_of_an_interface_without_address_is_borrowed),
        cmocka_unit_test(test_destination_kinds_are_told_apart),
        cmocka_unit_test(test_route_that_cannot_be_is_refused),
        cmocka_unit_test(test_address_that_cannot_be_is_refused),
        cmocka_unit_test(test_many_routes_are_all_found),
        cmocka_unit_test(test_address_add_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
