/* Router advertisements: RFC 4861 6.3, RFC 4862 5.5. */
#include "net_test.h"

#include "net/ra.h"
#include <stdio.h>

static void say(struct world *w, const char *router, struct wi_nd nd)
{
    uint8_t msg[WI_ND_LEN_MAX], ip[WI_ND_LEN_MAX + 40], frame[WI_ND_LEN_MAX + 60], mac[6];
    struct weir_addr from = addr(router), to = addr("ff02::1");
    nd.type = WI_ND_ROUTER_ADVERT;
    size_t len = wi_nd_put(msg, &nd);
    wi_icmp_seal(msg, len, true, &from, &to);
    struct wi_ip_out out = {
        .src = from, .dst = to, .is_v6 = true, .proto = WI_IP_ICMPV6, .ttl = 255, .l4_len = (uint32_t)len};
    size_t hdr = wi_ip_put(ip, &out);
    memcpy(ip + hdr, msg, len);
    wi_eth_from_group(mac, &to);
    world_input(w, w->eth, frame, put_eth(frame, mac, peer_mac, WI_ETHERTYPE_IPV6, ip, hdr + len));
}

static struct wi_nd with_prefix(const char *prefix, uint8_t len, uint32_t valid, uint32_t preferred)
{
    struct wi_nd nd = {.router_lifetime_s = 1800, .prefix_n = 1};
    nd.prefixes[0] = (struct wi_nd_prefix){.prefix = addr(prefix),
                                           .len_bits = len,
                                           .is_on_link = true,
                                           .is_autonomous = true,
                                           .valid_s = valid,
                                           .preferred_s = preferred};
    return nd;
}

static struct world *ra_world(void)
{
    struct world *w = world_new();
    w->core.sysctl.accept_ra = 1;
    return w;
}

/* Where a far destination's packets go; unspecified: nowhere. */
static struct weir_addr gateway(struct world *w, struct wi_dst *dst)
{
    struct weir_addr far = addr("2001:db8:ffff::1");
    return wi_net_route(w->net, &far, NULL, 0, false, dst) < 0 ? weir_addr_any(WEIR_AF_INET6) : dst->next_hop;
}

static void assert_gateway(struct world *w, const char *text)
{
    struct wi_dst dst;
    struct weir_addr is = gateway(w, &dst), want = addr(text);
    char shown[WEIR_ADDR_TEXT_CAP];
    if (!weir_addr_equal(&is, &want))
        fail_msg("the gateway is %s", weir_addr_format(&is, shown, sizeof shown));
}

static unsigned addr_count(struct world *w, const char *prefix, unsigned len)
{
    unsigned n = 0;
    struct weir_addr p = addr(prefix);
    wi_list_for_each (a, &wi_netif_get(w->net, w->eth)->addrs, struct wi_ifaddr, netif_link)
        n += wi_addr_common_len(&a->addr, &p) >= len;
    return n;
}

static void test_advertisement_is_ignored_unless_allowed(void **state)
{
    (void)state;
    struct world *w = world_new();
    say(w, "fe80::fe", with_prefix("2001:db8:7::", 64, 3600, 3600));
    assert_gateway(w, "::");
    assert_int_equal(addr_count(w, "2001:db8:7::", 64), 0);
    world_end(w);
}

/* Two routers; a lifetime of zero takes one away at once, silence after its time. Rows: 4861-14 4861-3 */
static void test_routers_come_and_go(void **state)
{
    (void)state;
    struct world *w = ra_world();
    const struct wi_nd hour = {.router_lifetime_s = 3600}, minute = {.router_lifetime_s = 60}, gone = {0};
    say(w, "2001:db8::fe", hour); /* not link-local */
    assert_gateway(w, "::");
    say(w, "fe80::fe", hour);
    say(w, "fe80::fd", minute);
    assert_gateway(w, "fe80::fe");
    say(w, "fe80::fe", gone);
    assert_gateway(w, "fe80::fd");
    world_pass(w, WEIR_SEC(59));
    assert_gateway(w, "fe80::fd");
    world_pass(w, WEIR_SEC(2));
    assert_gateway(w, "::");
    world_end(w);
}

/* Zero leaves what was; an MTU that cannot be is ignored. Rows: 4861-12 4861-13 */
static void test_mtu_and_hop_limit_are_taken_when_sane(void **state)
{
    (void)state;
    static uint8_t buf[66000];
    struct world *w = ra_world();
    struct wi_dst dst;
    say(w, "fe80::fe",
        (struct wi_nd){.router_lifetime_s = 1800, .mtu = 1400, .cur_hop_limit = 33, .has_ll = true, .ll = {2, 9}});
    (void)gateway(w, &dst);
    assert_int_equal(dst.mtu, 1400);
    say(w, "fe80::fe", (struct wi_nd){.router_lifetime_s = 1800, .mtu = 100});
    say(w, "fe80::fe", (struct wi_nd){.router_lifetime_s = 1800, .mtu = 9000});
    say(w, "fe80::fe", (struct wi_nd){.router_lifetime_s = 1800});
    (void)gateway(w, &dst);
    assert_int_equal(dst.mtu, 1400);
    assert_int_equal(world_send(w, "2001:db8:ffff::1", 8, false), 0);
    assert_int_equal(w->eth_sent.n, 1); /* the advertisement told the router's link address */
    assert_int_equal(sent_ip(&w->eth_sent, 0, buf).ttl, 33);
    world_end(w);
}

/* An address that is stable for its prefix, opaque, and gone when its time is over. Rows: 7217-1 4862-8 */
static void test_prefix_makes_an_address(void **state)
{
    (void)state;
    struct world *w = ra_world();
    struct weir_addr on_link = addr("2001:db8:7::9");
    struct wi_dst dst;
    say(w, "fe80::fe", with_prefix("2001:db8:7::", 64, 7300, 100));
    say(w, "fe80::fe", with_prefix("2001:db8:7::", 64, 7300, 100));
    assert_int_equal(addr_count(w, "2001:db8:7::", 64), 1);
    assert_int_equal(wi_net_route(w->net, &on_link, NULL, 0, false, &dst), 0);
    assert_true(weir_addr_equal(&dst.next_hop, &on_link));
    struct weir_addr made = dst.src;
    assert_int_equal(wi_addr_common_len(&made, &on_link) >= 64, true);
    assert_false(memcmp(made.b + 8, (uint8_t[]){0, 0, 0, 0xff, 0xfe, 0, 0, 1}, 8) == 0); /* not from the link address */
    world_pass(w, WEIR_SEC(101)); /* deprecated, another one speaks. Rows: 4862-7 */
    assert_int_equal(wi_net_route(w->net, &on_link, NULL, 0, false, &dst), 0);
    assert_false(weir_addr_equal(&dst.src, &made));
    assert_true(wi_net_is_local(w->net, &made));
    world_pass(w, WEIR_SEC(7300));
    assert_false(wi_net_is_local(w->net, &made));
    assert_int_equal(addr_count(w, "2001:db8:7::", 64), 0);
    world_end(w);
}

/* Rows: 4862-5 4861-15 */
static void test_prefixes_that_make_no_address(void **state)
{
    (void)state;
    struct world *w = ra_world();
    unsigned before = addr_count(w, "::", 0);
    struct wi_nd not_auto = with_prefix("2001:db8:7::", 64, 3600, 3600);
    not_auto.prefixes[0].is_autonomous = false;
    say(w, "fe80::fe", not_auto);
    say(w, "fe80::fe", with_prefix("fe80::", 64, 3600, 3600));
    say(w, "fe80::fe", with_prefix("2001:db8:8::", 64, 100, 200));
    say(w, "fe80::fe", with_prefix("2001:db8:9::", 63, 3600, 3600));
    say(w, "fe80::fe", with_prefix("2001:db8:a::", 64, 0, 0));
    assert_int_equal(addr_count(w, "::", 0), before);
    struct wi_nd off = with_prefix("2001:db8::", 64, 3600, 3600);
    off.prefixes[0].is_on_link = off.prefixes[0].is_autonomous = false;
    say(w, "fe80::fe", off);
    struct weir_addr neighbour = addr("2001:db8::9");
    struct wi_dst dst;
    assert_int_equal(wi_net_route(w->net, &neighbour, NULL, 0, false, &dst), 0);
    assert_true(weir_addr_equal(&dst.next_hop, &neighbour));
    world_end(w);
}

/* The two-hour rule. Rows: 4862-6 */
static void test_valid_lifetime_cannot_be_cut_short_of_two_hours(void **state)
{
    (void)state;
    struct world *w = ra_world();
    say(w, "fe80::fe", with_prefix("2001:db8:7::", 64, 86400, 86400));
    say(w, "fe80::fe", with_prefix("2001:db8:7::", 64, 10, 10));
    world_pass(w, WEIR_SEC(7199));
    assert_int_equal(addr_count(w, "2001:db8:7::", 64), 1);
    say(w, "fe80::fe", with_prefix("2001:db8:7::", 64, 0, 0)); /* less than two hours are left: ignored */
    world_pass(w, WEIR_MS(500));
    assert_int_equal(addr_count(w, "2001:db8:7::", 64), 1);
    world_pass(w, WEIR_SEC(2));
    assert_int_equal(addr_count(w, "2001:db8:7::", 64), 0);
    world_end(w);
}

/* RA flood (CVE-2010-4669, RFC 6104). Rows: attack-ra-flood */
static void test_flood_of_advertisements_is_bounded(void **state)
{
    (void)state;
    struct world *w = ra_world();
    size_t most = 0;
    for (unsigned i = 0; i < 10000; i++) {
        struct wi_nd nd = with_prefix("2001:db8:7::", 64, 3600, 3600);
        char router[40];
        wi_put16(nd.prefixes[0].prefix.b + 6, (uint16_t)i);
        snprintf(router, sizeof router, "fe80::%x", i + 0x100);
        say(w, router, nd);
        world_forget_sent(w);
        most = w->heap.bytes > most ? w->heap.bytes : most;
    }
    assert_true(most < 300000);
    assert_true(addr_count(w, "2001:db8::", 32) <= 10);
    world_end(w);
}

/* Three times, four seconds apart, the first within a second; an answer ends it. Rows: 4861-16 */
static void test_routers_are_solicited_until_one_speaks(void **state)
{
    (void)state;
    static uint8_t buf[66000];
    for (unsigned answered = 0; answered < 3; answered++) {
        struct world *w = ra_world();
        assert_int_equal(wi_net_netif_set_up(w->net, w->eth, false), 0);
        assert_int_equal(wi_net_netif_set_up(w->net, w->eth, true), 0);
        world_pass(w, WEIR_SEC(3)); /* past the reports of the groups */
        unsigned n = 0;
        for (unsigned second = 0; second < 20; second++) {
            for (unsigned i = 0; i < w->eth_sent.n; i++) {
                struct wi_ip ip = sent_ip(&w->eth_sent, i, buf);
                struct weir_addr routers = addr("ff02::2");
                bool is_solicit = weir_addr_equal(&ip.dst, &routers) && buf[ip.l4_off] == WI_ND_ROUTER_SOLICIT;
                n += is_solicit;
            }
            world_forget_sent(w);
            if (n == answered + 1)
                say(w, "fe80::fe", (struct wi_nd){.router_lifetime_s = 1800});
            world_pass(w, WEIR_SEC(1));
        }
        assert_int_equal(n, answered + 1);
        world_end(w);
    }
}

static void test_interface_down_forgets_what_routers_said(void **state)
{
    (void)state;
    struct world *w = ra_world();
    say(w, "fe80::fe", with_prefix("2001:db8:7::", 64, 3600, 3600));
    assert_int_equal(wi_net_netif_set_up(w->net, w->eth, false), 0);
    assert_int_equal(addr_count(w, "2001:db8:7::", 64), 0);
    assert_int_equal(wi_net_netif_set_up(w->net, w->eth, true), 0);
    assert_gateway(w, "::");
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advertisement_is_ignored_unless_allowed),
        cmocka_unit_test(test_routers_come_and_go),
        cmocka_unit_test(test_mtu_and_hop_limit_are_taken_when_sane),
        cmocka_unit_test(test_prefix_makes_an_address),
        cmocka_unit_test(test_prefixes_that_make_no_address),
        cmocka_unit_test(test_valid_lifetime_cannot_be_cut_short_of_two_hours),
        cmocka_unit_test(test_flood_of_advertisements_is_bounded),
        cmocka_unit_test(test_routers_are_solicited_until_one_speaks),
        cmocka_unit_test(test_interface_down_forgets_what_routers_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
