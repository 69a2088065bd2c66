/*
 * A network layer on a table: one stack core, its interfaces' drivers keep what is sent, time is a number that the test
 * sets. Packets are written with the wire layer's codecs.
 */
#ifndef WI_TESTS_NET_TEST_H
#define WI_TESTS_NET_TEST_H

#include "unit/support/alloc.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "net/net_internal.h"
#include "wire/arp.h"
#include "wire/mcast.h"
#include "wire/nd.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define SENT_MAX   4096
#define TEST_PROTO 200

/* What a driver was given. */
struct sent {
    struct weir_pkt *pkts[SENT_MAX];
    unsigned n;
    unsigned room; /* how many more it takes */
};

/* What a registered transport was given. */
struct heard {
    unsigned n, error_n;
    struct wi_ip ip;
    uint32_t len;
    uint8_t bytes[65536];
    struct wi_net_error error;
    struct wi_ip inner;
    uint8_t l4[8];
};

struct world {
    struct wi_core core;
    struct wi_net *net;
    struct sent eth_sent, raw_sent;
    int eth,
        raw; /* 192.0.2.1/24, 2001:db8::1/64, fe80::1/64 on Ethernet; 198.51.100.1/24, 2001:db8:1::1/64 on bare IP */
    struct heard heard;
    struct heap heap;
};

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t all_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static inline unsigned world_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct sent *s = driver;
    unsigned taken = n < s->room ? n : s->room;
    for (unsigned i = 0; i < taken; i++) {
        assert_true(s->n < SENT_MAX);
        s->pkts[s->n++] = pkts[i];
    }
    s->room -= taken;
    return taken;
}

static inline void world_heard(void *ctx, struct weir_pkt *pkt, const struct wi_ip *ip, int netif)
{
    struct heard *h = ctx;
    (void)netif;
    h->n++;
    h->ip = *ip;
    h->len = (uint32_t)weir_pkt_copy(pkt, pkt->l4_off, h->bytes, ip->l4_len);
}

static inline void world_error(void *ctx, const struct wi_net_error *error, const struct wi_ip *inner,
                               const uint8_t *l4, size_t l4_len)
{
    struct heard *h = ctx;
    assert_true(l4_len >= 8);
    h->error_n++;
    h->error = *error;
    h->inner = *inner;
    memcpy(h->l4, l4, 8);
}

static inline struct weir_addr addr(const char *text)
{
    struct weir_addr a;
    assert_int_equal(weir_addr_parse(&a, text), 0);
    return a;
}

static inline void world_addr(struct world *w, int netif, const char *text, unsigned len)
{
    struct weir_addr a = addr(text);
    assert_int_equal(wi_net_addr_add(w->net, netif, &a, len), 0);
}

static inline void world_forget_sent(struct world *w)
{
    struct sent *all[] = {&w->eth_sent, &w->raw_sent};
    for (size_t i = 0; i < 2; i++) {
        while (all[i]->n)
            weir_pkt_unref(all[i]->pkts[--all[i]->n]);
        all[i]->room = SENT_MAX;
    }
}

static inline struct world *world_new(void)
{
    static const struct weir_netif_ops ops = {.xmit = world_xmit};
    struct world *w = calloc(1, sizeof *w);
    struct weir_config cfg = {.alloc = heap_owner(&w->heap), .now = WEIR_SEC(1), .seed = 7};
    struct weir_netif_config raw = {.name = "raw", .type = WEIR_LINK_RAW_IP, .mtu = 1500};
    struct weir_netif_config eth = {.name = "eth", .type = WEIR_LINK_ETHERNET, .mtu = 1500};
    const struct wi_net_proto proto = {&w->heard, world_heard, world_error};

    memcpy(eth.mac, our_mac, 6);
    assert_int_equal(wi_core_init(&w->core, &cfg), 0);
    w->net = wi_net_new(&w->core);
    assert_non_null(w->net);
    wi_net_register(w->net, TEST_PROTO, &proto);
    w->eth = wi_net_netif_add(w->net, &ops, &w->eth_sent, &eth);
    w->raw = wi_net_netif_add(w->net, &ops, &w->raw_sent, &raw);
    assert_true(w->eth > 1 && w->raw > 1);
    world_addr(w, w->eth, "192.0.2.1", 24);
    world_addr(w, w->eth, "2001:db8::1", 64);
    world_addr(w, w->eth, "fe80::1", 64);
    world_addr(w, w->raw, "198.51.100.1", 24);
    world_addr(w, w->raw, "2001:db8:1::1", 64);
    w->eth_sent.room = w->raw_sent.room = SENT_MAX;
    wi_net_flush(w->net);
    wi_wheel_advance(&w->core.wheel, w->core.now + WEIR_SEC(20)); /* past the reports of the groups */
    w->core.now += WEIR_SEC(20);
    wi_net_flush(w->net);
    world_forget_sent(w);
    return w;
}

/* Also asserts that nothing is left of it. */
static inline void world_end(struct world *w)
{
    const char *broken = wi_net_check(w->net);
    if (broken)
        fail_msg("%s", broken);
    world_forget_sent(w);
    wi_net_free(w->net);
    assert_true(wi_wheel_deadline(&w->core.wheel) == WEIR_NEVER);
    wi_core_fini(&w->core);
    assert_int_equal(w->heap.bytes, 0);
    free(w);
}

/* Let time pass, each timer at its time. */
static inline void world_pass(struct world *w, weir_ns span)
{
    weir_ns until = w->core.now + span;
    for (weir_ns at; (at = wi_wheel_deadline(&w->core.wheel)) <= until;) {
        w->core.now = at > w->core.now ? at : w->core.now;
        wi_wheel_advance(&w->core.wheel, w->core.now);
        wi_net_flush(w->net);
    }
    w->core.now = until;
    wi_wheel_advance(&w->core.wheel, until);
    wi_net_flush(w->net);
}

static inline void world_input(struct world *w, int netif, const void *bytes, size_t len)
{
    struct weir_pkt *pkt = weir_pkt_from(w->core.pool, bytes, len);
    if (!pkt && w->heap.fail_at)
        return;
    assert_non_null(pkt);
    wi_net_input(w->net, netif, &pkt, 1);
    wi_net_flush(w->net);
    weir_pkt_unref(pkt);
}

/* Write an IP packet; fields left 0 get sane values. Returns its length. */
static inline size_t put_ip(uint8_t *p, const char *src, const char *dst, uint8_t proto, const void *l4, size_t len)
{
    struct wi_ip_out ip = {.src = addr(src), .dst = addr(dst), .proto = proto, .ttl = 64, .l4_len = (uint32_t)len};
    ip.is_v6 = !weir_addr_is_v4(&ip.dst);
    size_t hdr = wi_ip_put(p, &ip);
    memcpy(p + hdr, l4, len);
    return hdr + len;
}

/* An IP packet comes in on the bare IP interface. */
static inline void world_ip(struct world *w, const char *src, const char *dst, uint8_t proto, const void *l4,
                            size_t len)
{
    static uint8_t buf[70000];
    world_input(w, w->raw, buf, put_ip(buf, src, dst, proto, l4, len));
}

static inline size_t put_eth(uint8_t *p, const uint8_t dst[6], const uint8_t src[6], uint16_t type, const void *data,
                             size_t len)
{
    struct wi_eth eth = {.type = type};
    memcpy(eth.dst, dst, 6);
    memcpy(eth.src, src, 6);
    wi_eth_put(p, &eth);
    memcpy(p + WI_ETH_HDR, data, len);
    return WI_ETH_HDR + len;
}

/* Send `len` bytes of TEST_PROTO, the i-th being (uint8_t)i. Returns what output returns. */
static inline int world_send(struct world *w, const char *to, size_t len, bool df)
{
    struct wi_dst dst;
    struct weir_addr a = addr(to);
    int err = wi_net_route(w->net, &a, NULL, 0, false, &dst);
    if (err < 0)
        return err;
    uint8_t *p;
    struct weir_pkt *pkt = wi_msg_new(w->net, len, &p);
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)i;
    const struct wi_net_hdr hdr = {.src = dst.src, .dst = dst.dst, .proto = TEST_PROTO, .df = df};
    err = wi_net_output(w->net, &dst, &hdr, pkt);
    wi_net_flush(w->net);
    return err;
}

/* The i-th packet that an interface sent, from its link-layer header on, and its IP header read. */
static inline struct wi_ip sent_ip(const struct sent *s, unsigned i, uint8_t *bytes)
{
    struct wi_ip ip;
    assert_true(i < s->n);
    size_t len = weir_pkt_copy(s->pkts[i], 0, bytes, 65536 + 64), off = s->pkts[i]->l3_off;
    assert_int_equal(wi_ip_parse(&ip, bytes + off, len - off, len - off, true), WEIR_DROP_NONE);
    memmove(bytes, bytes + off, len - off);
    return ip;
}

static inline uint64_t drops(const struct world *w, enum weir_drop why)
{
    return w->core.stats.drop[why];
}

static inline void learn_peer(struct world *w, const char *text)
{
    struct weir_addr a = addr(text);
    assert_int_equal(wi_net_neigh_set(w->net, w->eth, &a, peer_mac), 0);
}

#endif
