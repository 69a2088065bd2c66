/*
 * The network layer fed frames, time and its owner's wishes, as the input says: messages of neighbours, routers and
 * groups with right checksums, fragments, errors, and bytes that are none of these. Every invariant must hold after
 * each step, what is sent must be well formed, and in the end all memory must have come back.
 */
#include "base/checksum.h"
#include "fuzz.h"
#include "net/net_internal.h"
#include "wire/arp.h"
#include "wire/mcast.h"
#include "wire/nd.h"

#include <string.h>

#define MEM_LIMIT  (256u << 10)
#define PACKET_CAP 2048
#define STEPS_MAX  400
#define PROTO      200

struct rig {
    struct wi_core core;
    struct wi_net *net;
    struct fuzz_in in;
    size_t used;
    unsigned refuse_every, allocs; /* every n-th allocation is refused; 0: none */
    unsigned stalled;              /* so many batches xmit refuses yet */
    int eth, raw;
    struct wi_sk sk;
};

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

static void *rig_alloc(void *ctx, size_t size)
{
    struct rig *r = ctx;
    if (r->refuse_every && ++r->allocs % r->refuse_every == 0)
        return NULL;
    r->used += size;
    return malloc(size);
}

static void rig_free(void *ctx, void *p, size_t size)
{
    struct rig *r = ctx;
    r->used -= size;
    free(p);
}

static unsigned rig_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct rig *r = driver;
    if (r->stalled) {
        r->stalled--;
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        uint8_t buf[PACKET_CAP];
        struct wi_ip ip;
        FUZZ_ASSERT(pkts[i]->len <= 1500 + WI_ETH_HDR);
        size_t len = weir_pkt_copy(pkts[i], 0, buf, sizeof buf), off = pkts[i]->l3_off;
        bool is_arp = off == WI_ETH_HDR && wi_get16(buf + 12) == WI_ETHERTYPE_ARP;
        FUZZ_ASSERT(is_arp || wi_ip_parse(&ip, buf + off, len - off, len - off, true) == WEIR_DROP_NONE);
        FUZZ_ASSERT(is_arp || off + ip.total_len == len);
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

static void rig_input(void *ctx, struct weir_pkt *pkt, const struct wi_ip *ip, int netif)
{
    struct rig *r = ctx;
    FUZZ_ASSERT((size_t)pkt->l4_off + ip->l4_len <= pkt->len);
    if (fuzz_u8(&r->in) & 1)
        wi_net_send_unreach(r->net, WI_UNREACH_PORT, pkt, ip, netif);
}

static void rig_error(void *ctx, const struct wi_net_error *e, const struct wi_ip *inner, const uint8_t *l4, size_t len)
{
    struct rig *r = ctx;
    FUZZ_ASSERT(len >= 8 && l4 && e->err > 0);
    if (e->err == WEIR_EMSGSIZE)
        (void)wi_net_pmtu_learn(r->net, &inner->dst, e->mtu);
}

/* ---- Addresses near each other, so that they meet ---- */

static struct weir_addr pick_addr(struct rig *r, bool is_v6)
{
    static const uint8_t v4[][4] = {{10, 0, 0, 0},  {10, 0, 1, 0},    {10, 0, 0, 255}, {224, 0, 0, 0},
                                    {127, 0, 0, 0}, {169, 254, 0, 0}, {0, 0, 0, 0},    {255, 255, 255, 255}};
    static const uint8_t v6[][2] = {{0xfe, 0x80}, {0x20, 0x01}, {0xff, 0x02}, {0x20, 0x02},
                                    {0xff, 0x01}, {0xfe, 0x80}, {0x20, 0x01}, {0, 0}};
    uint8_t k = fuzz_u8(&r->in), host = k >> 3;
    if (!is_v6)
        return weir_addr_v4(v4[k % 8][0], v4[k % 8][1], v4[k % 8][2], v4[k % 8][3] | host);
    return (struct weir_addr){{v6[k % 8][0], v6[k % 8][1], [15] = host}};
}

static int pick_netif(struct rig *r)
{
    return fuzz_u8(&r->in) & 1 ? r->eth : r->raw;
}

/* ---- What arrives ---- */

static void inject(struct rig *r, int netif, bool is_v6, const struct weir_addr *dst, const uint8_t *p, size_t len)
{
    uint8_t frame[PACKET_CAP + WI_ETH_HDR];
    size_t off = 0;
    if (netif == r->eth) {
        struct wi_eth eth = {.src = {2, 0, 0, 0, 0, fuzz_u8(&r->in)},
                             .type = is_v6 ? WI_ETHERTYPE_IPV6 : WI_ETHERTYPE_IPV4};
        memcpy(eth.dst, our_mac, 6);
        if (weir_addr_is_multicast(dst))
            wi_eth_from_group(eth.dst, dst);
        else if (fuzz_u8(&r->in) > 250)
            memset(eth.dst, 0xff, 6);
        wi_eth_put(frame, &eth);
        off = WI_ETH_HDR;
    }
    memcpy(frame + off, p, len);
    struct weir_pkt *pkt = weir_pkt_from(r->core.pool, frame, off + len);
    if (!pkt)
        return;
    wi_net_input(r->net, netif, &pkt, 1);
    weir_pkt_unref(pkt);
}

/* The transport part of `len` bytes at p + 64 gets its header. */
static void inject_ip(struct rig *r, struct wi_ip_out *ip, uint8_t *p, size_t len)
{
    ip->l4_len = (uint32_t)len;
    if (ip->proto == WI_IP_ICMPV6 || ip->proto == WI_IP_ICMP || ip->proto == WI_IP_IGMP)
        if (len >= 4 && !ip->mf && !ip->frag_off) {
            wi_put16(p + 64 + 2, 0);
            wi_icmp_seal(p + 64, len, ip->proto == WI_IP_ICMPV6, &ip->src, &ip->dst);
        }
    size_t hdr = wi_ip_out_len(ip);
    wi_ip_put(p + 64 - hdr, ip);
    inject(r, pick_netif(r), ip->is_v6, &ip->dst, p + 64 - hdr, hdr + len);
}

static struct wi_ip_out pick_ip(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    struct wi_ip_out ip = {.is_v6 = how & 1, .ttl = how & 2 ? 255 : how & 4 ? 1 : 64, .tos = how >> 4};
    ip.src = pick_addr(r, ip.is_v6);
    ip.dst = pick_addr(r, ip.is_v6);
    return ip;
}

static void step_bytes(struct rig *r)
{
    size_t n;
    uint8_t p[PACKET_CAP];
    int netif = pick_netif(r);
    const uint8_t *bytes = fuzz_bytes(&r->in, fuzz_u8(&r->in), &n);
    memcpy(p, bytes, n);
    struct weir_pkt *pkt = weir_pkt_from(r->core.pool, p, n);
    if (!pkt)
        return;
    wi_net_input(r->net, netif, &pkt, 1);
    weir_pkt_unref(pkt);
}

static void step_ip(struct rig *r)
{
    static const uint8_t protos[] = {WI_IP_ICMP, WI_IP_ICMPV6, WI_IP_IGMP, PROTO, WI_IP_DSTOPTS, WI_IP_ROUTING, 0, 99};
    uint8_t p[PACKET_CAP] = {0};
    size_t n;
    struct wi_ip_out ip = pick_ip(r);
    ip.proto = protos[fuzz_u8(&r->in) % 8];
    const uint8_t *bytes = fuzz_bytes(&r->in, fuzz_u8(&r->in), &n);
    memcpy(p + 64, bytes, n);
    inject_ip(r, &ip, p, n);
}

static void step_fragment(struct rig *r)
{
    uint8_t p[PACKET_CAP] = {0};
    struct wi_ip_out ip = pick_ip(r);
    uint8_t how = fuzz_u8(&r->in);
    ip.proto = how & 1 ? PROTO : how & 2 ? WI_IP_TCP : WI_IP_ICMPV6;
    ip.mf = how & 4;
    ip.frag_id = how >> 3 & 3;
    ip.frag_off = (uint32_t)(how & 32 ? fuzz_u16(&r->in) & 0x1fff : fuzz_u8(&r->in) & 7) * 8;
    size_t len = (size_t)fuzz_u8(&r->in) * 8 + (how & 64 ? 3 : 0);
    if (how & 128)
        memset(p + 64, how, len < 1500 ? len : 1500);
    inject_ip(r, &ip, p, len < 1500 ? len : 1500);
}

static void step_arp(struct rig *r)
{
    uint8_t frame[WI_ETH_HDR + WI_ARP_LEN];
    struct wi_arp arp = {.op = fuzz_u8(&r->in) & 1 ? WI_ARP_REPLY : WI_ARP_REQUEST};
    arp.sender = pick_addr(r, false);
    arp.target = pick_addr(r, false);
    memcpy(arp.sender_ll, our_mac, 6);
    arp.sender_ll[5] = fuzz_u8(&r->in);
    struct wi_eth eth = {.type = WI_ETHERTYPE_ARP};
    memcpy(eth.src, arp.sender_ll, 6);
    memcpy(eth.dst, our_mac, 6);
    wi_eth_put(frame, &eth);
    wi_arp_put(frame + WI_ETH_HDR, &arp);
    struct weir_pkt *pkt = weir_pkt_from(r->core.pool, frame, sizeof frame);
    if (!pkt)
        return;
    wi_net_input(r->net, r->eth, &pkt, 1);
    weir_pkt_unref(pkt);
}

static void step_nd(struct rig *r)
{
    uint8_t p[PACKET_CAP] = {0};
    uint8_t how = fuzz_u8(&r->in);
    struct wi_ip_out ip = pick_ip(r);
    if (!ip.is_v6)
        return;
    struct wi_nd nd = {.type = (enum wi_nd_type)(WI_ND_ROUTER_SOLICIT + how % 4),
                       .has_ll = how & 4,
                       .is_solicited = how & 8,
                       .is_override = how & 16,
                       .is_router = how & 32,
                       .mtu = fuzz_u8(&r->in) * 8u,
                       .cur_hop_limit = how,
                       .router_lifetime_s = fuzz_u8(&r->in),
                       .prefix_n = how >> 6};
    nd.target = pick_addr(r, true);
    nd.ll[0] = 2;
    nd.ll[5] = fuzz_u8(&r->in);
    for (unsigned i = 0; i < nd.prefix_n; i++)
        nd.prefixes[i] = (struct wi_nd_prefix){.prefix = pick_addr(r, true),
                                               .len_bits = 64 + (fuzz_u8(&r->in) & 1),
                                               .is_on_link = fuzz_u8(&r->in) & 1,
                                               .is_autonomous = true,
                                               .valid_s = fuzz_u16(&r->in),
                                               .preferred_s = fuzz_u8(&r->in)};
    ip.ttl = 255;
    ip.proto = WI_IP_ICMPV6;
    inject_ip(r, &ip, p, wi_nd_put(p + 64, &nd));
}

/* ---- What the owner wants ---- */

static void step_time(struct rig *r)
{
    static const weir_ns spans[] = {WEIR_MS(1),   WEIR_MS(100), WEIR_SEC(1),   WEIR_SEC(5),
                                    WEIR_SEC(31), WEIR_SEC(61), WEIR_SEC(300), WEIR_SEC(7300)};
    r->core.now += spans[fuzz_u8(&r->in) % 8];
    wi_wheel_advance(&r->core.wheel, r->core.now);
}

static void step_send(struct rig *r)
{
    struct wi_dst dst;
    uint8_t how = fuzz_u8(&r->in), *p;
    struct weir_addr to = pick_addr(r, how & 1), from = pick_addr(r, how & 1);
    size_t len = (size_t)fuzz_u16(&r->in) % 6000;
    if (wi_net_route(r->net, &to, how & 2 ? &from : NULL, how & 4 ? pick_netif(r) : 0, how & 8, &dst) < 0)
        return;
    struct weir_pkt *pkt = wi_msg_new(r->net, len, &p);
    if (!pkt)
        return;
    memset(p, how, len);
    const struct wi_net_hdr hdr = {
        .src = dst.src, .dst = dst.dst, .proto = PROTO, .df = how & 16, .mcast_loop = how & 32};
    (void)wi_net_output(r->net, &dst, &hdr, pkt);
    if (how & 64)
        wi_net_confirm(r->net, &dst);
}

static void step_address(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    struct weir_addr a = pick_addr(r, how & 1);
    if (how & 2)
        (void)wi_net_addr_add(r->net, pick_netif(r), &a, how >> 2);
    else
        (void)wi_net_addr_del(r->net, pick_netif(r), &a);
}

static void step_route(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    struct weir_route route = {.dst = pick_addr(r, how & 1),
                               .gateway = pick_addr(r, how & 1),
                               .netif = pick_netif(r),
                               .prefix_len = fuzz_u8(&r->in) % 130,
                               .metric = how >> 6};
    route.prefsrc = pick_addr(r, how & 1);
    if (how & 2)
        (void)wi_net_route_add(r->net, &route);
    else
        (void)wi_net_route_del(r->net, &route);
}

static void step_group(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    struct weir_addr a = pick_addr(r, how & 1);
    if (how & 2)
        (void)wi_sk_group_join(&r->sk, how & 4 ? pick_netif(r) : 0, &a);
    else
        (void)wi_sk_group_leave(&r->sk, how & 4 ? pick_netif(r) : 0, &a);
}

static void step_netif(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    struct weir_addr a = pick_addr(r, how & 1);
    int netif = pick_netif(r);
    switch (how >> 1 & 7) {
    case 0: (void)wi_net_netif_set_up(r->net, netif, false); break;
    case 1: (void)wi_net_netif_set_mtu(r->net, netif, 1280 + (how >> 4) * 14u); break;
    case 2: (void)wi_net_neigh_set(r->net, netif, &a, our_mac); break;
    case 3: (void)wi_net_neigh_set(r->net, netif, &a, NULL); break;
    case 4: r->stalled = how >> 4; break;
    case 5: wi_net_netif_tx_ready(r->net, netif); break;
    default: (void)wi_net_netif_set_up(r->net, netif, true); break;
    }
}

static void step(struct rig *r)
{
    static void (*const steps[])(struct rig *) = {
        step_bytes, step_ip,   step_ip,   step_fragment, step_fragment, step_arp,   step_nd,    step_nd,
        step_time,  step_time, step_send, step_send,     step_address,  step_route, step_group, step_netif};
    steps[fuzz_u8(&r->in) % 16](r);
    wi_net_flush(r->net);
    const char *broken = wi_net_check(r->net);
    if (broken) {
        fprintf(stderr, "broken: %s\n", broken);
        abort();
    }
}

static bool rig_begin(struct rig *r)
{
    static const struct weir_netif_ops ops = {.xmit = rig_xmit};
    struct weir_config cfg = {.alloc = {rig_alloc, rig_free, r}, .mem_limit = MEM_LIMIT, .now = WEIR_SEC(1), .seed = 3};
    struct weir_netif_config eth = {.type = WEIR_LINK_ETHERNET, .mtu = 1500, .tx_queue_pkts = 20};
    const struct weir_netif_config raw = {.type = WEIR_LINK_RAW_IP, .mtu = 1280};
    const struct wi_net_proto proto = {r, rig_input, rig_error};
    struct weir_addr v4 = weir_addr_v4(10, 0, 0, 1), v6 = {{0xfe, 0x80, [15] = 1}}, raw4 = weir_addr_v4(10, 0, 1, 1);

    if (wi_core_init(&r->core, &cfg) < 0)
        return false;
    r->net = wi_net_new(&r->core);
    memcpy(eth.mac, our_mac, 6);
    r->core.sysctl.accept_ra = 1;
    r->core.sysctl.neigh_gc_thresh3 = 16;
    r->core.sysctl.neigh_unres_qlen = 3;
    r->core.sysctl.ipfrag_high_thresh = 20000;
    wi_net_register(r->net, PROTO, &proto);
    r->eth = wi_net_netif_add(r->net, &ops, r, &eth);
    r->raw = wi_net_netif_add(r->net, &ops, r, &raw);
    (void)wi_net_addr_add(r->net, r->eth, &v4, 24);
    (void)wi_net_addr_add(r->net, r->eth, &v6, 64);
    (void)wi_net_addr_add(r->net, r->raw, &raw4, 24);
    wi_sk_init(&r->sk, &r->core, r->net, NULL, WEIR_AF_INET6, WEIR_SOCK_DGRAM, WEIR_IPPROTO_UDP);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct rig rig;
    rig = (struct rig){.in = {data, n}};
    if (!rig_begin(&rig))
        return 0;
    rig.refuse_every = fuzz_u8(&rig.in) > 200 ? 7 : 0;
    for (unsigned i = 0; i < STEPS_MAX && rig.in.n; i++)
        step(&rig);
    wi_sk_group_leave_all(&rig.sk);
    wi_net_free(rig.net);
    FUZZ_ASSERT(wi_wheel_deadline(&rig.core.wheel) == WEIR_NEVER);
    wi_core_fini(&rig.core);
    FUZZ_ASSERT(rig.used == 0);
    return 0;
}
