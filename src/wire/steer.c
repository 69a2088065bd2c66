/*
 * Which shard a received packet is for: weir/shard.h. Reads no more than it needs and believes none of it; the stack
 * that gets the packet judges it.
 */
#include "base/bytes.h"
#include "base/rss.h"
#include "base/str.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/udp.h"

#define LOOK         256 /* bytes: headers, and what an ICMP error quotes of them */
#define FIRST        0u
#define DHCP_CLIENT  68
#define DHCP6_CLIENT 546
#define PORTS_END_V4 24u
#define PORTS_END_V6 44u

/* Types that belong to the link, or to all who listen: MLD (RFC 2710, RFC 3810), neighbour discovery and redirects. */
static bool is_link_icmp6(uint8_t type)
{
    return (type >= 130 && type <= 137) || type == 143;
}

static bool is_error(uint8_t type, bool is_v6)
{
    return is_v6 ? type < 128 : type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static bool is_stream_or_datagram(uint8_t proto)
{
    return proto == WI_IP_TCP || proto == WI_IP_UDP;
}

/* Are the ports there to be read? A first fragment has them, but those that follow it have not. */
static bool shows_ports(const struct wi_ip *ip)
{
    return is_stream_or_datagram(ip->proto) && ip->l4_len >= 4;
}

static unsigned by_addrs(const struct weir_rss *r, const struct weir_addr *src, const struct weir_addr *dst)
{
    return weir_rss_shard(r, weir_rss_hash_addrs(r, src, dst));
}

/* Of UDP the local port may decide. */
static bool has_own_shard(const struct weir_rss *r, uint8_t proto, uint16_t port, bool is_v4, unsigned *shard)
{
    if (proto != WI_IP_UDP)
        return false;
    bool is_dhcp = port == (is_v4 ? DHCP_CLIENT : DHCP6_CLIENT);
    *shard = is_dhcp ? FIRST : port % r->shard_n;
    return is_dhcp || wi_rss_is_port_owned(r, port);
}

/* The shard of what goes from `src` to us at `dst`. */
static unsigned by_flow(const struct weir_rss *r, uint8_t proto, const struct weir_sockaddr *src,
                        const struct weir_sockaddr *dst)
{
    unsigned shard;
    if (has_own_shard(r, proto, dst->port, weir_addr_is_v4(&dst->addr), &shard))
        return shard;
    return weir_rss_shard(r, weir_rss_hash(r, src, dst));
}

/* The packet that is quoted went the other way. */
static unsigned by_quote(const struct weir_rss *r, const struct wi_ip *outer, const uint8_t *p, size_t len)
{
    struct wi_ip ip;
    if (!wi_ip_skim(&ip, p, len))
        return by_addrs(r, &outer->src, &outer->dst);
    if (!shows_ports(&ip))
        return by_addrs(r, &ip.dst, &ip.src);
    struct weir_sockaddr ours = {.addr = ip.src, .port = wi_get16(p + ip.l4_off)};
    struct weir_sockaddr theirs = {.addr = ip.dst, .port = wi_get16(p + ip.l4_off + 2)};
    return by_flow(r, ip.proto, &theirs, &ours);
}

static unsigned by_icmp(const struct weir_rss *r, const struct wi_ip *ip, const uint8_t *p, size_t len)
{
    size_t off = ip->l4_off;
    if (!ip->is_frag && ip->l4_len >= 1) {
        if (ip->is_v6 && is_link_icmp6(p[off]))
            return WEIR_SHARD_ALL;
        if (is_error(p[off], ip->is_v6) && ip->l4_len > WI_ICMP_HDR)
            return by_quote(r, ip, p + off + WI_ICMP_HDR, len - off - WI_ICMP_HDR);
    }
    return by_addrs(r, &ip->src, &ip->dst);
}

static bool is_for_all(const struct wi_ip *ip, bool is_link_group)
{
    const struct weir_addr everybody = weir_addr_v4(255, 255, 255, 255);
    if (ip->proto == WI_IP_TCP)
        return false; /* it knows neither groups nor broadcasts */
    return is_link_group || weir_addr_is_multicast(&ip->dst) || weir_addr_equal(&ip->dst, &everybody);
}

/* To one host, whole, without options: nearly all packets. */
static bool is_plain4(const uint8_t *p, size_t len)
{
    return len >= PORTS_END_V4 && p[0] == 0x45 && is_stream_or_datagram(p[9]) && !(wi_get16(p + 6) & 0x3fff) &&
           p[16] < 224;
}

/* The same. Its source is no mapped address, which is one of IPv4 to the rest of weir. */
static bool is_plain6(const uint8_t *p, size_t len)
{
    return len >= PORTS_END_V6 && p[0] >> 4 == 6 && is_stream_or_datagram(p[6]) && p[8] != 0 && p[24] != 0xff;
}

/* Addresses and ports lie beside each other, in the order in which they are hashed. */
static bool steer_plain(const struct weir_rss *r, const uint8_t *p, size_t len, unsigned *shard)
{
    if (is_plain4(p, len)) {
        if (!has_own_shard(r, p[9], wi_get16(p + PORTS_END_V4 - 2), true, shard))
            *shard = weir_rss_shard(r, wi_rss_part(r, 0, p + 12, 12));
        return true;
    }
    if (is_plain6(p, len)) {
        if (!has_own_shard(r, p[6], wi_get16(p + PORTS_END_V6 - 2), false, shard))
            *shard = weir_rss_shard(r, wi_rss_part(r, 0, p + 8, 36));
        return true;
    }
    return false;
}

static unsigned steer_ip(const struct weir_rss *r, const uint8_t *p, size_t len, bool is_link_group)
{
    struct wi_ip ip;
    unsigned shard;
    if (!is_link_group && steer_plain(r, p, len, &shard))
        return shard;
    if (!wi_ip_skim(&ip, p, len))
        return FIRST;
    if (is_for_all(&ip, is_link_group))
        return WEIR_SHARD_ALL;
    if (ip.proto == (ip.is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP))
        return by_icmp(r, &ip, p, len);
    if (ip.is_frag || !shows_ports(&ip)) /* fragments of a datagram must meet */
        return by_addrs(r, &ip.src, &ip.dst);
    struct weir_sockaddr src = {.addr = ip.src, .port = wi_get16(p + ip.l4_off)};
    struct weir_sockaddr dst = {.addr = ip.dst, .port = wi_get16(p + ip.l4_off + 2)};
    return by_flow(r, ip.proto, &src, &dst);
}

unsigned weir_steer_bytes(const struct weir_rss *r, enum weir_link_type type, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    if (r->shard_n == 1)
        return FIRST;
    if (type == WEIR_LINK_RAW_IP)
        return steer_ip(r, p, len, false);
    if (len <= WI_ETH_HDR)
        return FIRST;
    uint16_t ethertype = wi_get16(p + 12);
    if (ethertype == WI_ETHERTYPE_ARP)
        return WEIR_SHARD_ALL;
    if (ethertype != WI_ETHERTYPE_IPV4 && ethertype != WI_ETHERTYPE_IPV6)
        return FIRST;
    return steer_ip(r, p + WI_ETH_HDR, len - WI_ETH_HDR, wi_eth_is_group(p));
}

unsigned weir_steer(const struct weir_rss *r, enum weir_link_type type, const struct weir_pkt *pkt)
{
    uint8_t copy[LOOK];
    const uint8_t *p = pkt->room + pkt->head_off;
    size_t there = pkt->head_len, want = wi_min_size(pkt->len, LOOK);
    if (there == 0 && pkt->frag_n > 0) {
        p = pkt->frags[0].block->data + pkt->frags[0].off;
        there = pkt->frags[0].len;
    }
    if (there < want) {
        there = weir_pkt_copy(pkt, 0, copy, want);
        p = copy;
    }
    return weir_steer_bytes(r, type, p, wi_min_size(there, LOOK));
}
