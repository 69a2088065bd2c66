/*
 * The way in: Ethernet or bare IP, the checks on addresses (RFC 1122 3.2.1.3, RFC 4291 2), reassembly, and whose
 * protocol it is. This host does not forward.
 */
#include "base/str.h"
#include "net/net_internal.h"

const uint8_t *wi_pkt_linear(struct weir_pkt *pkt, size_t want, size_t *len)
{
    size_t there = pkt->head_len ? pkt->head_len : pkt->frag_n ? pkt->frags[0].len : 0;
    want = wi_min_size(want, pkt->len);
    if (there < want) {
        const uint8_t *p = wi_pkt_pull(pkt, want);
        if (p) {
            *len = want;
            return p;
        }
        want = wi_max_size(there, wi_min_size(want, WEIR_PKT_HEAD_CAP));
        there = want;
    }
    *len = there;
    return wi_pkt_pull(pkt, there);
}

/* Parse with what lies in the first piece; gather more only when that does not do. */
static enum weir_drop parse(struct weir_pkt *pkt, struct wi_ip *ip, bool check_csum)
{
    size_t len, off = pkt->l3_off;
    const uint8_t *p = wi_pkt_linear(pkt, off + 1, &len);
    ip->owed.is_owed = false;
    if (off >= len)
        return WEIR_DROP_IP_SHORT;
    enum weir_drop why = wi_ip_parse(ip, p + off, len - off, pkt->len - off, check_csum);
    if (why == WEIR_DROP_NONE || len == pkt->len || len >= off + WI_NET_LINEAR)
        return why;
    p = wi_pkt_linear(pkt, off + WI_NET_LINEAR, &len);
    return off >= len ? WEIR_DROP_IP_SHORT : wi_ip_parse(ip, p + off, len - off, pkt->len - off, check_csum);
}

/* ---- Addresses ---- */

/* 0.0.0.0/8, 127.0.0.0/8, groups, 240.0.0.0/4. */
static bool is_src4_martian(const struct weir_addr *src)
{
    uint8_t first = src->b[12];
    return first == 0 || first == 127 || first >= 224;
}

/* The unspecified address may ask for neighbours (RFC 4861 4.3) and report groups (RFC 3810 5.2.13), no more. */
static bool is_src6_martian(const struct wi_ip *ip)
{
    if (weir_addr_is_any(&ip->src))
        return ip->proto != WI_IP_ICMPV6 || !weir_addr_is_multicast(&ip->dst);
    return weir_addr_is_multicast(&ip->src) || weir_addr_is_loopback(&ip->src);
}

static enum weir_drop judge_src(const struct wi_net *net, const struct wi_ip *ip, const struct wi_rx *rx)
{
    if (rx->is_loop)
        return WEIR_DROP_NONE;
    if (ip->is_v6 ? is_src6_martian(ip) : is_src4_martian(&ip->src))
        return WEIR_DROP_IP_SRC_MARTIAN;
    switch (wi_ifaddr_kind_of(net, &ip->src)) {
    case WI_IFADDR_LOCAL: return WEIR_DROP_IP_SRC_OURS;
    case WI_IFADDR_BROADCAST: return WEIR_DROP_IP_SRC_MARTIAN;
    case WI_IFADDR_NONE: break;
    }
    return WEIR_DROP_NONE;
}

static enum weir_drop judge_group(const struct wi_net *net, const struct weir_addr *group, const struct wi_rx *rx)
{
    bool is_v6 = !weir_addr_is_v4(group);
    if (is_v6 && !rx->is_loop && (group->b[1] & 0xf) <= 1)
        return WEIR_DROP_IP_DST_MARTIAN; /* reserved, or of interface-local scope: RFC 4291 2.7 */
    return wi_group_is_joined(net, rx->netif, group) ? WEIR_DROP_NONE : WEIR_DROP_IP_NOT_JOINED;
}

static enum weir_drop judge_dst(const struct wi_net *net, const struct wi_ip *ip, const struct wi_rx *rx)
{
    if (weir_addr_is_multicast(&ip->dst))
        return judge_group(net, &ip->dst, rx);
    if (weir_addr_is_any(&ip->dst) || (weir_addr_is_loopback(&ip->dst) && !rx->is_loop))
        return WEIR_DROP_IP_DST_MARTIAN;
    enum wi_ifaddr_kind kind = wi_ifaddr_kind_of(net, &ip->dst);
    if (kind == WI_IFADDR_BROADCAST)
        return WEIR_DROP_NONE;
    if (rx->is_link_group)
        return WEIR_DROP_IP_LINK_GROUP;
    bool is_ours = kind == WI_IFADDR_LOCAL || (rx->netif->flags & WEIR_NETIF_ANY_ADDR);
    return is_ours ? WEIR_DROP_NONE : WEIR_DROP_IP_NOT_OURS;
}

static enum weir_drop judge(const struct wi_net *net, const struct wi_ip *ip, const struct wi_rx *rx)
{
    enum weir_drop why = judge_src(net, ip, rx);
    return why == WEIR_DROP_NONE ? judge_dst(net, ip, rx) : why;
}

/* The place of a pair. Whoever fills them with forged sources costs others the two lookups, no more. */
static struct wi_net_judged *judged_at(struct wi_net *net, const struct wi_ip *ip)
{
    unsigned i = ip->src.b[15] ^ (unsigned)ip->src.b[14] << 3 ^ ip->dst.b[15];
    return &net->judged[i % WI_NET_JUDGED_N];
}

/* What depends on nothing but addresses and configuration is remembered while neither changes. */
static enum weir_drop judge_again(struct wi_net *net, const struct wi_ip *ip, const struct wi_rx *rx)
{
    if (rx->is_loop || rx->is_link_group || weir_addr_is_multicast(&ip->dst) || weir_addr_is_any(&ip->src))
        return judge(net, ip, rx);
    struct wi_net_judged *j = judged_at(net, ip);
    if (j->generation == net->generation && j->netif == rx->netif->index && weir_addr_equal(&j->src, &ip->src) &&
        weir_addr_equal(&j->dst, &ip->dst))
        return WEIR_DROP_NONE;
    enum weir_drop why = judge(net, ip, rx);
    if (why == WEIR_DROP_NONE)
        *j = (struct wi_net_judged){ip->src, ip->dst, net->generation, rx->netif->index};
    return why;
}

/* ---- Up ---- */

static void unknown_proto(struct wi_net *net, struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_rx *rx)
{
    struct wi_icmp_owed owed = {.kind = WI_ICMP_UNREACH, .code = WI_ICMP4_PROTO};
    if (ip->is_v6) /* RFC 8200 4 */
        owed = (struct wi_icmp_owed){
            .kind = WI_ICMP_PARAM_PROBLEM, .code = WI_ICMP6_NEXT_HEADER, .pointer = ip->proto_off};
    wi_icmp_send_error(net, &owed, pkt, ip, rx);
    wi_drop(net->core, WEIR_DROP_IP_PROTO, pkt, rx->netif->index);
}

static void deliver(struct wi_net *net, struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_rx *rx)
{
    wi_count(net->core, WI_STAT_IpInDelivers);
    if (ip->proto == (ip->is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP)) {
        wi_icmp_input(net, pkt, ip, rx);
        return;
    }
    if (ip->proto == WI_IP_IGMP && !ip->is_v6) {
        wi_igmp_input(net, pkt, ip, rx);
        return;
    }
    const struct wi_net_proto *proto = wi_net_proto_find(net, ip->proto);
    if (proto)
        proto->input(proto->ctx, pkt, ip, rx->netif->index);
    else
        unknown_proto(net, pkt, ip, rx);
}

static void owe_problem(struct wi_net *net, const struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_rx *rx)
{
    if (!ip->owed.is_owed || judge_src(net, ip, rx) != WEIR_DROP_NONE)
        return;
    if (!weir_addr_is_multicast(&ip->dst) && judge_dst(net, ip, rx) != WEIR_DROP_NONE)
        return;
    struct wi_icmp_owed owed = {.kind = WI_ICMP_PARAM_PROBLEM,
                                .code = ip->owed.code,
                                .pointer = ip->owed.pointer,
                                .even_if_multicast = ip->owed.even_if_multicast};
    wi_icmp_send_error(net, &owed, pkt, ip, rx);
}

void wi_ip_input(struct wi_net *net, struct weir_pkt *pkt, const struct wi_rx *rx)
{
    struct wi_ip ip;
    wi_count(net->core, WI_STAT_IpInReceives);
    enum weir_drop why = parse(pkt, &ip, !rx->is_loop && !rx->is_reassembled);
    if (why != WEIR_DROP_NONE)
        owe_problem(net, pkt, &ip, rx);
    else
        net->core->stats.count[WI_STAT_InNoECTPkts + ip.ecn] += pkt->gso_size ? weir_pkt_segment_count(pkt) : 1;
    if (why == WEIR_DROP_NONE)
        why = judge_again(net, &ip, rx);
    if (why != WEIR_DROP_NONE) {
        wi_drop(net->core, why, pkt, rx->netif->index);
        return;
    }
    pkt->l4_off = (uint16_t)(pkt->l3_off + ip.l4_off);
    if (rx->is_reassembled)
        ip.has_frag_hdr = true;
    if (ip.is_frag)
        wi_frag_input(net, pkt, &ip, rx);
    else
        deliver(net, pkt, &ip, rx);
}

/* ---- The link ---- */

static void eth_ip_input(struct wi_net *net, struct weir_pkt *pkt, const struct wi_eth *eth, const struct wi_rx *rx)
{
    size_t len;
    const uint8_t *p = wi_pkt_linear(pkt, WI_ETH_HDR + 1, &len);
    unsigned version = eth->type == WI_ETHERTYPE_IPV4 ? 4 : 6;
    if (len > WI_ETH_HDR && p[WI_ETH_HDR] >> 4 != version) {
        wi_drop(net->core, WEIR_DROP_IP_VERSION, pkt, rx->netif->index);
        return;
    }
    pkt->l3_off = WI_ETH_HDR;
    wi_ip_input(net, pkt, rx);
}

static void eth_input(struct wi_net *net, struct wi_netif *netif, struct weir_pkt *pkt)
{
    struct wi_eth eth;
    size_t len;
    const uint8_t *p = wi_pkt_linear(pkt, WI_ETH_HDR, &len);
    enum weir_drop why = wi_eth_parse(&eth, p, len);
    struct wi_rx rx = {.netif = netif, .is_link_group = why == WEIR_DROP_NONE && wi_eth_is_group(eth.dst)};
    if (why == WEIR_DROP_NONE && memcmp(eth.src, netif->mac, WI_ETH_ADDR_LEN) == 0)
        why = WEIR_DROP_ETH_OWN_SRC;
    else if (why == WEIR_DROP_NONE && !rx.is_link_group && memcmp(eth.dst, netif->mac, WI_ETH_ADDR_LEN) != 0)
        why = WEIR_DROP_ETH_NOT_OURS;

    if (why == WEIR_DROP_NONE && eth.type == WI_ETHERTYPE_ARP)
        wi_arp_input(netif, pkt, &eth);
    else if (why == WEIR_DROP_NONE && (eth.type == WI_ETHERTYPE_IPV4 || eth.type == WI_ETHERTYPE_IPV6))
        eth_ip_input(net, pkt, &eth, &rx);
    else
        wi_drop(net->core, why == WEIR_DROP_NONE ? WEIR_DROP_ETH_TYPE : why, pkt, netif->index);
}

void wi_link_input(struct wi_netif *netif, struct weir_pkt *pkt)
{
    if (pkt->len == 0) {
        wi_drop(netif->net->core, WEIR_DROP_PKT_SHORT, pkt, netif->index);
        return;
    }
    if (netif->caps & WEIR_CAP_RX_CSUM)
        pkt->flags |= WEIR_PKT_CSUM_OK;
    if (netif->type == WEIR_LINK_ETHERNET) {
        eth_input(netif->net, netif, pkt);
        return;
    }
    const struct wi_rx rx = {.netif = netif};
    pkt->l3_off = 0;
    wi_ip_input(netif->net, pkt, &rx);
}

void wi_net_input(struct wi_net *net, int index, struct weir_pkt **pkts, unsigned n)
{
    struct wi_netif *netif = wi_netif_get(net, index);
    enum weir_drop why = !netif || !netif->is_up || netif->is_loopback ? WEIR_DROP_NETIF_DOWN : WEIR_DROP_NONE;
    if (why == WEIR_DROP_NONE && n > 1 && !(netif->flags & WEIR_NETIF_NO_GRO)) {
        wi_gro_input(netif, pkts, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        if (why == WEIR_DROP_NONE)
            wi_link_input(netif, pkts[i]);
        else
            wi_drop(net->core, why, pkts[i], index);
    }
}
