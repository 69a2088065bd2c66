/*
 * Ethernet II framing and ARP: RFC 894, 826, 1112 6.4, 2464 7.
 */
#include "wire/eth.h"
#include "base/bytes.h"
#include "base/str.h"
#include "wire/arp.h"
#include "wire/ip.h"

#define ETHERTYPE_MIN 0x0600 /* below: a length (IEEE 802.3 3.2.6) */
#define ARP_HW_ETHER  1

enum weir_drop wi_eth_parse(struct wi_eth *out, const uint8_t *p, size_t len)
{
    if (len < WI_ETH_HDR)
        return WEIR_DROP_ETH_SHORT;

    uint16_t type = wi_get16(p + 12);
    if (type < ETHERTYPE_MIN)
        return WEIR_DROP_ETH_LLC;
    if (type == WI_ETHERTYPE_VLAN || type == WI_ETHERTYPE_QINQ)
        return WEIR_DROP_ETH_VLAN;
    if (wi_eth_is_group(p + 6))
        return WEIR_DROP_ETH_SRC_GROUP;

    memcpy(out->dst, p, WI_ETH_ADDR_LEN);
    memcpy(out->src, p + 6, WI_ETH_ADDR_LEN);
    out->type = type;
    return WEIR_DROP_NONE;
}

void wi_eth_put(uint8_t *p, const struct wi_eth *h)
{
    memcpy(p, h->dst, WI_ETH_ADDR_LEN);
    memcpy(p + 6, h->src, WI_ETH_ADDR_LEN);
    wi_put16(p + 12, h->type);
}

void wi_eth_from_group(uint8_t out[WI_ETH_ADDR_LEN], const struct weir_addr *group)
{
    const uint8_t *b = group->b;

    if (!weir_addr_is_multicast(group)) {
        memset(out, 0xff, WI_ETH_ADDR_LEN);
    } else if (weir_addr_is_v4(group)) {
        const uint8_t mac[WI_ETH_ADDR_LEN] = {0x01, 0x00, 0x5e, b[13] & 0x7f, b[14], b[15]};
        memcpy(out, mac, sizeof(mac));
    } else {
        const uint8_t mac[WI_ETH_ADDR_LEN] = {0x33, 0x33, b[12], b[13], b[14], b[15]};
        memcpy(out, mac, sizeof(mac));
    }
}

enum weir_drop wi_arp_parse(struct wi_arp *out, const uint8_t *p, size_t len)
{
    if (len < WI_ARP_LEN)
        return WEIR_DROP_ARP_SHORT;
    if (wi_get16(p) != ARP_HW_ETHER || wi_get16(p + 2) != WI_ETHERTYPE_IPV4 || p[4] != WI_ETH_ADDR_LEN || p[5] != 4)
        return WEIR_DROP_ARP_FORMAT;

    uint16_t op = wi_get16(p + 6);
    if (op != WI_ARP_REQUEST && op != WI_ARP_REPLY)
        return WEIR_DROP_ARP_OP;

    struct wi_arp h = {.op = (enum wi_arp_op)op, .sender = wi_addr_get4(p + 14), .target = wi_addr_get4(p + 24)};
    memcpy(h.sender_ll, p + 8, WI_ETH_ADDR_LEN);
    memcpy(h.target_ll, p + 18, WI_ETH_ADDR_LEN);
    if (wi_eth_is_group(h.sender_ll) || weir_addr_is_multicast(&h.sender) || weir_addr_is_loopback(&h.sender) ||
        wi_get32(p + 14) == UINT32_MAX)
        return WEIR_DROP_ARP_BAD_ADDR;

    *out = h;
    return WEIR_DROP_NONE;
}

void wi_arp_put(uint8_t *p, const struct wi_arp *h)
{
    wi_put16(p, ARP_HW_ETHER);
    wi_put16(p + 2, WI_ETHERTYPE_IPV4);
    p[4] = WI_ETH_ADDR_LEN;
    p[5] = 4;
    wi_put16(p + 6, (uint16_t)h->op);
    memcpy(p + 8, h->sender_ll, WI_ETH_ADDR_LEN);
    wi_addr_put4(p + 14, &h->sender);
    memcpy(p + 18, h->target_ll, WI_ETH_ADDR_LEN);
    wi_addr_put4(p + 24, &h->target);
}
