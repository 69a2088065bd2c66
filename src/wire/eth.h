/*
 * Ethernet II framing. No VLAN tags and no LLC: each is a drop reason of its own. Which destinations are ours is net's
 * business.
 */
#ifndef WI_WIRE_ETH_H
#define WI_WIRE_ETH_H

#include <weir/drop.h>
#include <weir/types.h>

#define WI_ETH_HDR      14
#define WI_ETH_ADDR_LEN 6

enum wi_ethertype {
    WI_ETHERTYPE_IPV4 = 0x0800,
    WI_ETHERTYPE_ARP = 0x0806,
    WI_ETHERTYPE_VLAN = 0x8100,
    WI_ETHERTYPE_IPV6 = 0x86dd,
    WI_ETHERTYPE_QINQ = 0x88a8,
};

struct wi_eth {
    uint8_t dst[WI_ETH_ADDR_LEN];
    uint8_t src[WI_ETH_ADDR_LEN];
    uint16_t type; /* enum wi_ethertype, or one that we don't speak */
};

/*
 * Read the frame's first WI_ETH_HDR bytes. On a drop reason *out is left alone.
 * ETH_SHORT, ETH_VLAN, ETH_LLC, ETH_SRC_GROUP. An EtherType that we don't speak is not judged here.
 */
enum weir_drop wi_eth_parse(struct wi_eth *out, const uint8_t *p, size_t len);

/* Write WI_ETH_HDR bytes. */
void wi_eth_put(uint8_t *p, const struct wi_eth *);

/* The link address that a multicast or broadcast IP address maps to: RFC 1112 6.4, RFC 2464 7; 255.255.255.255 to
 * ff:ff:ff:ff:ff:ff. */
void wi_eth_from_group(uint8_t out[WI_ETH_ADDR_LEN], const struct weir_addr *group);

static inline bool wi_eth_is_group(const uint8_t addr[WI_ETH_ADDR_LEN])
{
    return addr[0] & 1;
}

#endif
