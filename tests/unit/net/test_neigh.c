/* Neighbours: RFC 826, RFC 4861 7, RFC 5227, on Ethernet. */
#include "net_test.h"

static uint8_t buf[70000];

/* ---- What a peer says ---- */

static void say_arp(struct world *w, enum wi_arp_op op, const char *sender, const char *target, const uint8_t mac[6],
                    const uint8_t dst[6])
{
    struct wi_arp arp = {.op = op, .sender = addr(sender), .target = addr(target)};
    uint8_t p[46] = {0}, frame[100];
    memcpy(arp.sender_ll, mac, 6);
    memcpy(arp.target_ll, our_mac, 6);
    wi_arp_put(p, &arp);
    world_input(w, w->eth, frame, put_eth(frame, dst, mac, WI_ETHERTYPE_ARP, p, sizeof p));
}

static void say_nd(struct world *w, const struct wi_nd *nd, const char *src, const char *dst)
{
    uint8_t msg[WI_ND_LEN_MAX], ip[WI_ND_LEN_MAX + 40], frame[WI_ND_LEN_MAX + 60];
    size_t len = wi_nd_put(msg, nd);
    struct weir_addr from = addr(src), to = addr(dst);
    wi_icmp_seal(msg, len, true, &from, &to);
    struct wi_ip_out out = {
        .src = from, .dst = to, .is_v6 = true, .proto = WI_IP_ICMPV6, .ttl = 255, .l4_len = (uint32_t)len};
    size_t hdr = wi_ip_put(ip, &out);
    memcpy(ip + hdr, msg, len);
    uint8_t mac[6];
    memcpy(mac, our_mac, 6);
    if (weir_addr_is_multicast(&to))
        wi_eth_from_group(mac, &to);
    world_input(w, w->eth, frame, put_eth(frame, mac, peer_mac, WI_ETHERTYPE_IPV6, ip, hdr + len));
}

static void say_advert(struct world *w, const char *target, const uint8_t *mac, bool solicited, bool override)
{
    struct wi_nd nd = {.type = WI_ND_NEIGH_ADVERT,
                       .target = addr(target),
                       .has_ll = mac != NULL,
                       .is_solicited = solicited,
                       .is_override = override};
    if (mac)
        memcpy(nd.ll, mac, 6);
    say_nd(w, &nd, target, solicited ? "fe80::1" : "ff02::1");
}

/* ---- What we said ---- */

static struct wi_arp sent_arp(const struct world *w, unsigned i, uint8_t dst[6])
{
    struct wi_arp arp;
    assert_true(i < w->eth_sent.n);
    size_t len = weir_pkt_copy(w->eth_sent.pkts[i], 0, buf, sizeof buf);
    assert_int_equal(wi_get16(buf + 12), WI_ETHERTYPE_ARP);
    assert_int_equal(wi_arp_parse(&arp, buf + 14, len - 14), WEIR_DROP_NONE);
    memcpy(dst, buf, 6);
    return arp;
}

static struct wi_nd sent_nd(const struct world *w, unsigned i, struct wi_ip *ip)
{
    struct wi_nd nd;
    *ip = sent_ip(&w->eth_sent, i, buf);
    assert_int_equal(ip->proto, WI_IP_ICMPV6);
    assert_int_equal(ip->ttl, 255);
    assert_int_equal(wi_csum_fold(wi_ip_pseudo_csum(&ip->src, &ip->dst, WI_IP_ICMPV6, ip->l4_len) +
                                  wi_csum_add(0, buf + ip->l4_off, ip->l4_len)),
                     0xffff);
    assert_int_equal(wi_nd_parse(&nd, ip, buf + ip->l4_off, ip->l4_len), WEIR_DROP_NONE);
    return nd;
}

static enum weir_neigh_state state_of(const struct world *w, const char *text)
{
    struct weir_addr a = addr(text);
    return wi_net_neigh_state(w->net, w->eth, &a);
}

static void confirm(struct world *w, const char *text)
{
    struct wi_dst dst;
    struct weir_addr a = addr(text);
    assert_int_equal(wi_net_route(w->net, &a, NULL, 0, false, &dst), 0);
    wi_net_confirm(w->net, &dst);
}

/* ---- Resolution ---- */

/* A packet to a new host asks first, then goes. Rows: 1122-L3 1122-L4 */
static void test_arp_unknown_neighbour_is_asked_and_packets_wait(void **state)
{
    (void)state;
    uint8_t dst[6];
    struct world *w = world_new();
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(world_send(w, "192.0.2.9", 10 + i, false), 0);
    assert_int_equal(w->eth_sent.n, 1);
    struct wi_arp arp = sent_arp(w, 0, dst);
    struct weir_addr target = addr("192.0.2.9"), ours = addr("192.0.2.1");
    assert_int_equal(arp.op, WI_ARP_REQUEST);
    assert_true(weir_addr_equal(&arp.target, &target));
    assert_true(weir_addr_equal(&arp.sender, &ours));
    assert_memory_equal(dst, all_mac, 6);
    for (size_t i = 14 + WI_ARP_LEN; i < 60; i++) /* Etherleak, CVE-2003-0001. Rows: attack-etherleak */
        assert_int_equal(buf[i], 0);
    assert_int_equal(state_of(w, "192.0.2.9"), WEIR_NEIGH_INCOMPLETE);

    say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.1", peer_mac, our_mac);
    assert_int_equal(state_of(w, "192.0.2.9"), WEIR_NEIGH_REACHABLE);
    assert_int_equal(w->eth_sent.n, 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sent_ip(&w->eth_sent, 1 + i, buf).l4_len, 10 + i);
        weir_pkt_copy(w->eth_sent.pkts[1 + i], 0, buf, 6);
        assert_memory_equal(buf, peer_mac, 6);
    }
    world_end(w);
}

/* About one request a second, whatever is sent; the queue is short, the oldest goes. Rows: 1122-L2 4861-10 */
static void test_arp_flood_of_packets_asks_once_a_second(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->core.sysctl.neigh_unres_qlen = 3;
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(world_send(w, "192.0.2.9", 10 + i, false), 0);
    assert_int_equal(w->eth_sent.n, 1);
    assert_int_equal(drops(w, WEIR_DROP_NEIGH_QUEUE_FULL), 997);
    world_pass(w, WEIR_MS(1500));
    assert_int_equal(w->eth_sent.n, 2);
    say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.1", peer_mac, our_mac);
    assert_int_equal(w->eth_sent.n, 5);
    assert_int_equal(sent_ip(&w->eth_sent, 4, buf).l4_len, 1009);
    world_end(w);
}

/* Three requests a second apart, then the packets' senders hear of it. Rows: 4861-10 */
static void test_resolution_failure_reaches_the_transport(void **state)
{
    (void)state;
    static const char *const peers[] = {"192.0.2.9", "2001:db8::9"};
    struct world *w = world_new();
    for (unsigned i = 0; i < 2; i++) {
        world_forget_sent(w);
        assert_int_equal(world_send(w, peers[i], 10, false), 0);
        world_pass(w, WEIR_MS(2900));
        assert_int_equal(w->eth_sent.n, 3);
        assert_int_equal(w->heard.error_n, i);
        world_pass(w, WEIR_MS(200));
        assert_int_equal(w->eth_sent.n, 3);
        assert_int_equal(w->heard.error_n, i + 1);
        assert_int_equal(w->heard.error.err, WEIR_EHOSTUNREACH);
        assert_true(w->heard.error.is_local);
        struct weir_addr peer = addr(peers[i]);
        assert_true(weir_addr_equal(&w->heard.inner.dst, &peer));
        assert_int_equal(w->heard.l4[7], 7);
        assert_int_equal(state_of(w, peers[i]), WEIR_NEIGH_FAILED);
        assert_int_equal(world_send(w, peers[i], 10, false), -WEIR_EHOSTUNREACH);
        world_pass(w, WEIR_SEC(2));
        assert_int_equal(state_of(w, peers[i]), WEIR_NEIGH_NONE);
        assert_int_equal(world_send(w, peers[i], 10, false), 0); /* a fresh attempt */
        say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.1", peer_mac, our_mac);
        say_advert(w, "2001:db8::9", peer_mac, true, true);
    }
    world_end(w);
}

static void test_nd_unknown_neighbour_is_solicited(void **state)
{
    (void)state;
    struct wi_ip ip;
    struct world *w = world_new();
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
    struct wi_nd nd = sent_nd(w, 0, &ip);
    struct weir_addr target = addr("2001:db8::9"), group = wi_nd_solicited_node(&target), ours = addr("2001:db8::1");
    assert_int_equal(nd.type, WI_ND_NEIGH_SOLICIT);
    assert_true(weir_addr_equal(&nd.target, &target));
    assert_true(weir_addr_equal(&ip.dst, &group));
    assert_true(weir_addr_equal(&ip.src, &ours));
    assert_true(nd.has_ll);
    assert_memory_equal(nd.ll, our_mac, 6);
    say_advert(w, "2001:db8::9", peer_mac, true, true);
    assert_int_equal(state_of(w, "2001:db8::9"), WEIR_NEIGH_REACHABLE);
    assert_int_equal(w->eth_sent.n, 2);
    world_end(w);
}

/* ---- Answers ---- */

static void test_arp_request_for_us_is_answered_and_the_asker_remembered(void **state)
{
    (void)state;
    uint8_t dst[6];
    struct world *w = world_new();
    say_arp(w, WI_ARP_REQUEST, "192.0.2.9", "192.0.2.1", peer_mac, all_mac);
    struct wi_arp arp = sent_arp(w, 0, dst);
    struct weir_addr ours = addr("192.0.2.1");
    assert_int_equal(arp.op, WI_ARP_REPLY);
    assert_true(weir_addr_equal(&arp.sender, &ours));
    assert_memory_equal(arp.sender_ll, our_mac, 6);
    assert_memory_equal(dst, peer_mac, 6);
    assert_int_equal(state_of(w, "192.0.2.9"), WEIR_NEIGH_STALE);
    world_end(w);
}

/* Attacks: ND / ARP spoofing. Rows: 826-1 826-2 attack-nd-arp-spoofing */
static void test_arp_about_others_creates_nothing(void **state)
{
    (void)state;
    struct world *w = world_new();
    say_arp(w, WI_ARP_REQUEST, "192.0.2.9", "192.0.2.8", peer_mac, all_mac);
    say_arp(w, WI_ARP_REQUEST, "192.0.2.9", "192.0.2.9", peer_mac, all_mac); /* gratuitous */
    say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.9", peer_mac, all_mac);
    say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.1", peer_mac, our_mac);
    say_arp(w, WI_ARP_REQUEST, "192.0.2.9", "198.51.100.1", peer_mac, all_mac); /* ours, on another link */
    assert_int_equal(state_of(w, "192.0.2.9"), WEIR_NEIGH_NONE);
    assert_int_equal(w->eth_sent.n, 0);
    assert_int_equal(drops(w, WEIR_DROP_ARP_NOT_OURS), 3);
    assert_int_equal(drops(w, WEIR_DROP_ARP_UNSOLICITED), 2);
    world_end(w);
}

static void test_arp_probe_is_answered_and_not_remembered(void **state)
{
    (void)state;
    struct world *w = world_new();
    say_arp(w, WI_ARP_REQUEST, "0.0.0.0", "192.0.2.1", peer_mac, all_mac);
    assert_int_equal(w->eth_sent.n, 1);
    assert_int_equal(state_of(w, "0.0.0.0"), WEIR_NEIGH_NONE);
    world_end(w);
}

/* Another host shows our address; we say once in ten seconds that it is ours. Rows: 5227-2 */
static void test_arp_conflict_is_counted_and_answered_once_in_ten_seconds(void **state)
{
    (void)state;
    uint8_t dst[6];
    struct world *w = world_new();
    for (unsigned i = 0; i < 5; i++)
        say_arp(w, WI_ARP_REQUEST, "192.0.2.1", "192.0.2.8", peer_mac, all_mac);
    assert_int_equal(drops(w, WEIR_DROP_ARP_CONFLICT), 5);
    assert_int_equal(w->eth_sent.n, 1);
    struct wi_arp arp = sent_arp(w, 0, dst);
    assert_true(weir_addr_equal(&arp.sender, &arp.target));
    world_pass(w, WEIR_SEC(11));
    say_arp(w, WI_ARP_REQUEST, "192.0.2.1", "192.0.2.8", peer_mac, all_mac);
    assert_int_equal(w->eth_sent.n, 2);
    world_end(w);
}

/* Every truncation and every wrong field. Rows: 826-1 */
static void test_arp_malformed_is_ignored(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct wi_arp arp = {.op = WI_ARP_REQUEST, .sender = addr("192.0.2.9"), .target = addr("192.0.2.1")};
    uint8_t p[WI_ARP_LEN], frame[100];
    memcpy(arp.sender_ll, peer_mac, 6);
    wi_arp_put(p, &arp);
    for (size_t len = 0; len < WI_ARP_LEN; len++)
        world_input(w, w->eth, frame, put_eth(frame, all_mac, peer_mac, WI_ETHERTYPE_ARP, p, len));
    for (size_t i = 0; i < 8; i++) {
        uint8_t q[WI_ARP_LEN];
        memcpy(q, p, sizeof q);
        q[i] ^= 0x40;
        world_input(w, w->eth, frame, put_eth(frame, all_mac, peer_mac, WI_ETHERTYPE_ARP, q, sizeof q));
    }
    assert_int_equal(w->eth_sent.n, 0);
    assert_int_equal(state_of(w, "192.0.2.9"), WEIR_NEIGH_NONE);
    world_end(w);
}

/* Rows: 4861-6 4861-7 4862-3 */
static void test_nd_solicitation_for_us_is_answered(void **state)
{
    (void)state;
    struct wi_ip ip;
    struct world *w = world_new();
    struct wi_nd ns = {.type = WI_ND_NEIGH_SOLICIT, .target = addr("2001:db8::1"), .has_ll = true};
    memcpy(ns.ll, peer_mac, 6);
    say_nd(w, &ns, "fe80::9", "ff02::1:ff00:1");
    struct wi_nd na = sent_nd(w, 0, &ip);
    struct weir_addr asker = addr("fe80::9"), all = addr("ff02::1");
    assert_int_equal(na.type, WI_ND_NEIGH_ADVERT);
    assert_true(na.is_solicited && na.is_override && na.has_ll && !na.is_router);
    assert_true(weir_addr_equal(&ip.dst, &asker));
    assert_true(weir_addr_equal(&ip.src, &ns.target));
    assert_int_equal(state_of(w, "fe80::9"), WEIR_NEIGH_STALE + 1); /* the answer went out by it */

    world_forget_sent(w);
    ns.has_ll = false;
    say_nd(w, &ns, "::", "ff02::1:ff00:1"); /* a duplicate address probe */
    na = sent_nd(w, 0, &ip);
    assert_false(na.is_solicited);
    assert_true(weir_addr_equal(&ip.dst, &all));
    assert_int_equal(state_of(w, "::"), WEIR_NEIGH_NONE);

    world_forget_sent(w);
    ns.target = addr("2001:db8::1:1");
    say_nd(w, &ns, "fe80::9", "ff02::1:ff00:1"); /* shares our group, is not ours */
    assert_int_equal(w->eth_sent.n, 0);
    assert_int_equal(drops(w, WEIR_DROP_ND_NOT_OURS), 1);
    world_end(w);
}

/* What is malformed, and what claims to be us. Rows: 4861-8 */
static void test_nd_unsolicited_advert_creates_nothing(void **state)
{
    (void)state;
    struct world *w = world_new();
    say_advert(w, "2001:db8::9", peer_mac, false, true);
    say_advert(w, "2001:db8::9", peer_mac, true, true);
    assert_int_equal(state_of(w, "2001:db8::9"), WEIR_NEIGH_NONE);
    assert_int_equal(drops(w, WEIR_DROP_ND_UNSOLICITED), 2);
    world_end(w);
}

/* ---- The machine ---- */

static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 7};

static struct wi_neigh *reach(struct world *w)
{
    struct weir_addr a = addr("2001:db8::9");
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
    say_advert(w, "2001:db8::9", peer_mac, true, true);
    world_forget_sent(w);
    struct wi_neigh *n = wi_neigh_find(wi_netif_get(w->net, w->eth), &a);
    assert_non_null(n);
    assert_int_equal(n->state, WEIR_NEIGH_REACHABLE);
    return n;
}

/* Appendix C, each combination of solicited, override and address, from REACHABLE and from STALE. Rows: 4861-9 */
static void test_advert_flags_follow_appendix_c(void **state)
{
    (void)state;
    enum { SAME, OTHER, ABSENT };
    static const struct {
        bool solicited, override;
        int address;
        enum weir_neigh_state from_reachable, from_stale;
        bool is_taken;
    } rows[] = {
        {true, false, SAME, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_REACHABLE, false},
        {true, false, OTHER, WEIR_NEIGH_STALE, WEIR_NEIGH_STALE, false},
        {true, true, SAME, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_REACHABLE, false},
        {true, true, OTHER, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_REACHABLE, true},
        {false, false, SAME, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_STALE, false},
        {false, false, OTHER, WEIR_NEIGH_STALE, WEIR_NEIGH_STALE, false},
        {false, true, SAME, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_STALE, false},
        {false, true, OTHER, WEIR_NEIGH_STALE, WEIR_NEIGH_STALE, true},
        {true, true, ABSENT, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_REACHABLE, false},
        {false, true, ABSENT, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_STALE, false},
    };
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        for (int from_stale = 0; from_stale < 2; from_stale++) {
            struct world *w = world_new();
            struct wi_neigh *n = reach(w);
            if (from_stale)
                world_pass(w, WEIR_SEC(60));
            const uint8_t *mac = rows[i].address == SAME ? peer_mac : rows[i].address == OTHER ? other_mac : NULL;
            say_advert(w, "2001:db8::9", mac, rows[i].solicited, rows[i].override);
            if (n->state != (from_stale ? rows[i].from_stale : rows[i].from_reachable))
                fail_msg("row %zu, stale %d: state %d", i, from_stale, n->state);
            assert_memory_equal(n->mac, rows[i].is_taken ? other_mac : peer_mac, 6);
            world_end(w);
        }
    }
}

/* REACHABLE for half to one and a half of 30 s, STALE, DELAY for 5 s, three unicast probes, FAILED. Rows: 4861-11 */
static void test_unreachability_detection_goes_through_its_states(void **state)
{
    (void)state;
    struct wi_ip ip;
    struct weir_addr peer = addr("2001:db8::9");
    struct world *w = world_new();
    struct wi_neigh *n = reach(w);
    assert_in_range(n->timer.due - w->core.now, WEIR_SEC(15), WEIR_SEC(45));
    world_pass(w, WEIR_SEC(46));
    assert_int_equal(n->state, WEIR_NEIGH_STALE);
    assert_int_equal(w->eth_sent.n, 0);
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
    assert_int_equal(n->state, WEIR_NEIGH_DELAY);
    assert_int_equal(w->eth_sent.n, 1);
    world_pass(w, WEIR_MS(4900));
    assert_int_equal(w->eth_sent.n, 1);
    world_pass(w, WEIR_MS(200));
    assert_int_equal(n->state, WEIR_NEIGH_PROBE);
    world_pass(w, WEIR_MS(2500));
    assert_int_equal(w->eth_sent.n, 4);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(sent_nd(w, i, &ip).type, WI_ND_NEIGH_SOLICIT);
        assert_true(weir_addr_equal(&ip.dst, &peer));
    }
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0); /* still to the address that is known */
    world_pass(w, WEIR_SEC(1));
    assert_int_equal(n->state, WEIR_NEIGH_FAILED);
    world_end(w);
}

/* TCP's progress stands for an answer. Rows: 4861-11 */
static void test_confirmation_suppresses_probes(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct wi_neigh *n = reach(w);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
        confirm(w, "2001:db8::9");
        world_pass(w, WEIR_SEC(1));
        assert_int_equal(n->state, WEIR_NEIGH_REACHABLE);
    }
    assert_int_equal(w->eth_sent.n, 300);
    world_pass(w, WEIR_SEC(60));
    assert_int_equal(n->state, WEIR_NEIGH_STALE);
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
    confirm(w, "2001:db8::9");
    assert_int_equal(n->state, WEIR_NEIGH_REACHABLE);
    world_end(w);
}

/* TCP's R1: what was reachable a moment ago is asked again, five seconds later, unless there is progress. Rows: MUST-20
 */
static void test_doubt_makes_a_reachable_neighbour_be_asked(void **state)
{
    (void)state;
    struct wi_dst dst;
    struct weir_addr peer = addr("2001:db8::9");
    struct world *w = world_new();
    struct wi_neigh *n = reach(w);
    assert_int_equal(wi_net_route(w->net, &peer, NULL, 0, false, &dst), 0);
    wi_net_doubt(w->net, &dst);
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
    assert_int_equal(n->state, WEIR_NEIGH_DELAY);
    wi_net_doubt(w->net, &dst); /* it is being seen to: the clock does not begin anew */
    world_pass(w, WEIR_MS(5100));
    assert_int_equal(n->state, WEIR_NEIGH_PROBE);
    world_end(w);
}

/* A host that changed its link address is found again. Rows: 1122-L1 */
static void test_arp_changed_link_address_is_learnt_again(void **state)
{
    (void)state;
    uint8_t dst[6];
    struct world *w = world_new();
    assert_int_equal(world_send(w, "192.0.2.9", 10, false), 0);
    say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.1", peer_mac, our_mac);
    world_pass(w, WEIR_SEC(50));
    assert_int_equal(world_send(w, "192.0.2.9", 10, false), 0);
    world_pass(w, WEIR_MS(8100));
    assert_int_equal(state_of(w, "192.0.2.9"), WEIR_NEIGH_FAILED);
    world_pass(w, WEIR_SEC(1));
    world_forget_sent(w);
    assert_int_equal(world_send(w, "192.0.2.9", 10, false), 0);
    assert_int_equal(sent_arp(w, 0, dst).op, WI_ARP_REQUEST);
    assert_memory_equal(dst, all_mac, 6);
    say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.1", other_mac, our_mac);
    weir_pkt_copy(w->eth_sent.pkts[1], 0, buf, 6);
    assert_memory_equal(buf, other_mac, 6);
    world_end(w);
}

static void test_permanent_entry_is_never_asked_for_nor_changed(void **state)
{
    (void)state;
    struct world *w = world_new();
    learn_peer(w, "192.0.2.9");
    say_arp(w, WI_ARP_REPLY, "192.0.2.9", "192.0.2.1", other_mac, our_mac);
    world_pass(w, WEIR_SEC(3600));
    assert_int_equal(world_send(w, "192.0.2.9", 10, false), 0);
    assert_int_equal(w->eth_sent.n, 1);
    weir_pkt_copy(w->eth_sent.pkts[0], 0, buf, 6);
    assert_memory_equal(buf, peer_mac, 6);
    struct weir_addr a = addr("192.0.2.9");
    assert_int_equal(wi_net_neigh_set(w->net, w->eth, &a, NULL), 0);
    assert_int_equal(wi_net_neigh_set(w->net, w->eth, &a, NULL), -WEIR_ENOENT);
    assert_int_equal(wi_net_neigh_set(w->net, w->raw, &a, peer_mac), -WEIR_ENODEV);
    world_end(w);
}

/* Neighbour cache exhaustion (RFC 6583): memory stays, and a live neighbour is not put out. Rows: 4861-18
 * attack-neighbour-cache-exhaustion */
static void test_scan_of_the_prefix_leaves_live_neighbours_alone(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->core.sysctl.neigh_gc_thresh3 = 128;
    struct wi_neigh *n = reach(w);
    struct weir_addr a = addr("2001:db8::1:0");
    size_t most = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct wi_dst dst;
        uint8_t *p;
        wi_put16(a.b + 14, (uint16_t)i);
        assert_int_equal(wi_net_route(w->net, &a, NULL, 0, false, &dst), 0);
        struct weir_pkt *pkt = wi_msg_new(w->net, 8, &p);
        const struct wi_net_hdr hdr = {.src = dst.src, .dst = a, .proto = TEST_PROTO};
        (void)wi_net_output(w->net, &dst, &hdr, pkt);
        wi_net_flush(w->net);
        world_forget_sent(w);
        most = w->heap.bytes > most ? w->heap.bytes : most;
    }
    assert_true(most < 600000);
    assert_int_equal(wi_htable_count(&w->net->neighs), 128);
    assert_int_equal(n->state, WEIR_NEIGH_REACHABLE);
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
    assert_int_equal(w->eth_sent.n, 1);
    world_end(w);
}

static void test_idle_table_empties_itself(void **state)
{
    (void)state;
    struct world *w = world_new();
    size_t before = w->heap.bytes;
    (void)reach(w);
    assert_int_equal(world_send(w, "192.0.2.77", 10, false), 0);
    world_pass(w, WEIR_SEC(700));
    world_forget_sent(w);
    assert_int_equal(wi_htable_count(&w->net->neighs), 0);
    assert_int_equal(w->heap.bytes, before);
    world_end(w);
}

static struct {
    unsigned n;
    int from[32], to[32];
} told;

static void on_event(void *ctx, const struct weir_event *ev)
{
    (void)ctx;
    told.from[told.n] = ev->u.neigh.from;
    told.to[told.n++] = ev->u.neigh.to;
}

static void test_events_tell_each_state(void **state)
{
    (void)state;
    static const int steps[] = {WEIR_NEIGH_NONE,  WEIR_NEIGH_INCOMPLETE, WEIR_NEIGH_REACHABLE, WEIR_NEIGH_STALE,
                                WEIR_NEIGH_DELAY, WEIR_NEIGH_PROBE,      WEIR_NEIGH_FAILED};
    struct world *w = world_new();
    w->core.on_event = on_event;
    w->core.event_mask = WEIR_EV_BIT(WEIR_EV_NEIGH);
    (void)reach(w);
    world_pass(w, WEIR_SEC(46));
    assert_int_equal(world_send(w, "2001:db8::9", 10, false), 0);
    world_pass(w, WEIR_MS(8500));
    assert_int_equal(told.n, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(told.from[i], steps[i]);
        assert_int_equal(told.to[i], steps[i + 1]);
    }
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arp_unknown_neighbour_is_asked_and_packets_wait),
        cmocka_unit_test(test_arp_flood_of_packets_asks_once_a_second),
        cmocka_unit_test(test_resolution_failure_reaches_the_transport),
        cmocka_unit_test(test_nd_unknown_neighbour_is_solicited),
        cmocka_unit_test(test_arp_request_for_us_is_answered_and_the_asker_remembered),
        cmocka_unit_test(test_arp_about_others_creates_nothing),
        cmocka_unit_test(test_arp_probe_is_answered_and_not_remembered),
        cmocka_unit_test(test_arp_conflict_is_counted_and_answered_once_in_ten_seconds),
        cmocka_unit_test(test_arp_malformed_is_ignored),
        cmocka_unit_test(test_nd_solicitation_for_us_is_answered),
        cmocka_unit_test(test_nd_unsolicited_advert_creates_nothing),
        cmocka_unit_test(test_advert_flags_follow_appendix_c),
        cmocka_unit_test(test_unreachability_detection_goes_through_its_states),
        cmocka_unit_test(test_confirmation_suppresses_probes),
        cmocka_unit_test(test_doubt_makes_a_reachable_neighbour_be_asked),
        cmocka_unit_test(test_arp_changed_link_address_is_learnt_again),
        cmocka_unit_test(test_permanent_entry_is_never_asked_for_nor_changed),
        cmocka_unit_test(test_scan_of_the_prefix_leaves_live_neighbours_alone),
        cmocka_unit_test(test_idle_table_empties_itself),
        cmocka_unit_test(test_events_tell_each_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
