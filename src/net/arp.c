/*
 * ARP's messages (RFC 826), as news for the neighbour machine, and the defence of our own addresses (RFC 5227 2.4).
 */
#include "wire/arp.h"
#include "base/str.h"
#include "net/net_internal.h"

#define DEFEND_INTERVAL WEIR_SEC(10) /* RFC 5227 1.1 */

/* Ethernet's smallest payload; what ARP leaves of it is zeros (CVE-2003-0001). */
#define ETH_PAYLOAD_MIN 46

static const uint8_t mac_broadcast[WI_ETH_ADDR_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static int arp_send(struct wi_netif *netif, const struct wi_arp *arp, const uint8_t dst[WI_ETH_ADDR_LEN])
{
    uint8_t *p;
    struct weir_pkt *pkt = wi_msg_new(netif->net, ETH_PAYLOAD_MIN, &p);
    if (!pkt)
        return -WEIR_ENOBUFS;
    memset(p, 0, ETH_PAYLOAD_MIN);
    wi_arp_put(p, arp);
    return wi_eth_send(netif, dst, WI_ETHERTYPE_ARP, pkt);
}

int wi_arp_request(struct wi_netif *netif, const struct weir_addr *target, const struct weir_addr *src,
                   const uint8_t *mac_or_null)
{
    struct wi_arp arp = {.op = WI_ARP_REQUEST, .sender = *src, .target = *target};
    memcpy(arp.sender_ll, netif->mac, WI_ETH_ADDR_LEN);
    return arp_send(netif, &arp, mac_or_null ? mac_or_null : mac_broadcast);
}

static void arp_reply(struct wi_netif *netif, const struct wi_arp *request)
{
    struct wi_arp arp = {.op = WI_ARP_REPLY, .sender = request->target, .target = request->sender};
    memcpy(arp.sender_ll, netif->mac, WI_ETH_ADDR_LEN);
    memcpy(arp.target_ll, request->sender_ll, WI_ETH_ADDR_LEN);
    (void)arp_send(netif, &arp, request->sender_ll);
}

/* Another host claims our address: say once in ten seconds that it is ours (RFC 5227 2.4 (c)). */
static void defend(struct wi_netif *netif, const struct weir_addr *addr)
{
    weir_ns now = netif->net->core->now;
    if (netif->arp_defended_at && now < netif->arp_defended_at + DEFEND_INTERVAL)
        return;
    netif->arp_defended_at = now ? now : 1;
    (void)wi_arp_request(netif, addr, addr, NULL);
}

static enum weir_drop arp_judge(struct wi_netif *netif, const struct wi_arp *arp, const struct wi_eth *eth)
{
    bool answers = wi_shard_answers(&netif->net->core->shard);
    if (wi_ifaddr_is_on(netif, &arp->sender)) {
        if (answers)
            defend(netif, &arp->sender);
        return WEIR_DROP_ARP_CONFLICT;
    }
    bool is_for_us = wi_ifaddr_is_on(netif, &arp->target);
    bool is_probe = weir_addr_is_any(&arp->sender);
    struct wi_neigh_news news = {
        .mac = arp->sender_ll,
        .is_solicited = arp->op == WI_ARP_REPLY && is_for_us && !wi_eth_is_group(eth->dst),
        .is_override = true,
        .may_create = arp->op == WI_ARP_REQUEST && is_for_us, /* RFC 826's merge rule */
    };
    bool is_known = !is_probe && wi_neigh_update(netif, &arp->sender, &news);
    if (arp->op == WI_ARP_REPLY)
        return is_known ? WEIR_DROP_NONE : WEIR_DROP_ARP_UNSOLICITED;
    if (!is_for_us)
        return WEIR_DROP_ARP_NOT_OURS;
    if (answers)
        arp_reply(netif, arp);
    return WEIR_DROP_NONE;
}

void wi_arp_input(struct wi_netif *netif, struct weir_pkt *pkt, const struct wi_eth *eth)
{
    struct wi_arp arp;
    size_t len;
    const uint8_t *p = wi_pkt_linear(pkt, WI_ETH_HDR + WI_ARP_LEN, &len);
    enum weir_drop why = wi_arp_parse(&arp, p + WI_ETH_HDR, len - WI_ETH_HDR);
    if (why == WEIR_DROP_NONE && memcmp(arp.sender_ll, netif->mac, WI_ETH_ADDR_LEN) == 0)
        why = WEIR_DROP_ETH_OWN_SRC;
    if (why == WEIR_DROP_NONE)
        why = arp_judge(netif, &arp, eth);
    if (why != WEIR_DROP_NONE)
        wi_drop(netif->net->core, why, pkt, netif->index);
}
