/*
 * Neighbour discovery's messages (RFC 4861 7.2) as news for the neighbour machine. Router advertisements are ra.c's.
 */
#include "wire/nd.h"
#include "base/str.h"
#include "net/net_internal.h"
#include "net/ra.h"

static struct weir_addr all_nodes(void)
{
    return (struct weir_addr){{0xff, 0x02, [15] = 1}};
}

int wi_nd_send(struct wi_netif *netif, const struct wi_nd *nd, const struct weir_addr *src, const struct weir_addr *dst)
{
    uint8_t buf[WI_ND_LEN_MAX], *p;
    size_t len = wi_nd_put(buf, nd);
    wi_icmp_seal(buf, len, true, src, dst);
    struct weir_pkt *pkt = wi_msg_new(netif->net, len, &p);
    if (!pkt)
        return -WEIR_ENOBUFS;
    memcpy(p, buf, len);
    struct wi_ip_out ip = {.src = *src,
                           .dst = *dst,
                           .is_v6 = true,
                           .proto = WI_IP_ICMPV6,
                           .ttl = WI_ND_HOP_LIMIT,
                           .l4_len = (uint32_t)len};
    wi_count(netif->net->core, WI_STAT_IcmpOutMsgs);
    return wi_ip_send(netif, dst, &ip, pkt);
}

int wi_nd_solicit(struct wi_netif *netif, const struct weir_addr *target, const struct weir_addr *src, bool is_unicast)
{
    struct wi_nd nd = {.type = WI_ND_NEIGH_SOLICIT, .target = *target};
    nd.has_ll = !weir_addr_is_any(src); /* RFC 4861 7.1.1 */
    memcpy(nd.ll, netif->mac, WI_ETH_ADDR_LEN);
    struct weir_addr dst = is_unicast ? *target : wi_nd_solicited_node(target);
    return wi_nd_send(netif, &nd, src, &dst);
}

/* RFC 4861 7.2.4. From the unspecified address it is a duplicate address probe: all nodes hear the answer. */
static void advertise(struct wi_netif *netif, const struct wi_ip *ip, const struct weir_addr *target)
{
    bool is_probe = weir_addr_is_any(&ip->src);
    struct wi_nd nd = {
        .type = WI_ND_NEIGH_ADVERT, .target = *target, .is_solicited = !is_probe, .is_override = true, .has_ll = true};
    memcpy(nd.ll, netif->mac, WI_ETH_ADDR_LEN);
    struct weir_addr dst = is_probe ? all_nodes() : ip->src;
    (void)wi_nd_send(netif, &nd, target, &dst);
}

static enum weir_drop on_solicit(struct wi_netif *netif, const struct wi_nd *nd, const struct wi_ip *ip)
{
    if (!wi_ifaddr_is_on(netif, &nd->target))
        return WEIR_DROP_ND_NOT_OURS;
    if (!weir_addr_is_any(&ip->src)) {
        struct wi_neigh_news news = {.mac = nd->has_ll ? nd->ll : NULL, .is_override = true, .may_create = true};
        (void)wi_neigh_update(netif, &ip->src, &news);
    }
    if (wi_shard_answers(&netif->net->core->shard))
        advertise(netif, ip, &nd->target);
    return WEIR_DROP_NONE;
}

static enum weir_drop on_advert(struct wi_netif *netif, const struct wi_nd *nd)
{
    if (wi_ifaddr_is_on(netif, &nd->target))
        return WEIR_DROP_ND_DUPLICATE;
    struct wi_neigh_news news = {.mac = nd->has_ll ? nd->ll : NULL,
                                 .is_solicited = nd->is_solicited,
                                 .is_override = nd->is_override,
                                 .has_router = true,
                                 .is_router = nd->is_router};
    return wi_neigh_update(netif, &nd->target, &news) ? WEIR_DROP_NONE : WEIR_DROP_ND_UNSOLICITED;
}

static enum weir_drop nd_judge(struct wi_netif *netif, const struct wi_nd *nd, const struct wi_ip *ip)
{
    if (nd->has_ll && memcmp(nd->ll, netif->mac, WI_ETH_ADDR_LEN) == 0)
        return WEIR_DROP_ETH_OWN_SRC;
    switch (nd->type) {
    case WI_ND_NEIGH_SOLICIT: return on_solicit(netif, nd, ip);
    case WI_ND_NEIGH_ADVERT: return on_advert(netif, nd);
    case WI_ND_ROUTER_ADVERT: return wi_ra_input(netif, nd, ip);
    case WI_ND_ROUTER_SOLICIT: return WEIR_DROP_ICMP_TYPE; /* for routers */
    }
    return WEIR_DROP_ICMP_TYPE;
}

void wi_nd_input(struct wi_netif *netif, struct weir_pkt *pkt, const struct wi_ip *ip)
{
    struct wi_nd nd;
    size_t len, end = (size_t)pkt->l4_off + ip->l4_len;
    const uint8_t *p = wi_pkt_linear(pkt, end, &len);
    enum weir_drop why = WEIR_DROP_ICMP_TYPE;
    if (netif->type == WEIR_LINK_ETHERNET)
        why = len < end ? WEIR_DROP_ICMP_SHORT : wi_nd_parse(&nd, ip, p + pkt->l4_off, ip->l4_len);
    if (why == WEIR_DROP_NONE)
        why = nd_judge(netif, &nd, ip);
    if (why != WEIR_DROP_NONE)
        wi_drop(netif->net->core, why, pkt, netif->index);
}
