/*
 * The way out: IP header, fragmentation (RFC 791 3.2, RFC 8200 4.5), the copy to ourselves, the link.
 */
#include "base/str.h"
#include "net/net_internal.h"
#include "net/ra.h"
#include "wire/tcp.h"

/* RFC 6864: identification matters where a packet may be fragmented; there it counts up from a secret place, by source,
 * destination and protocol, so that nobody learns from one destination about another. Each shard of a host has a part
 * of the numbers. RFC 7739 for IPv6. */
static uint32_t frag_id_next(struct wi_net *net, const struct wi_ip_out *ip)
{
    if (ip->is_v6)
        return wi_secret_u32(&net->core->secret);
    uint8_t in[33];
    memcpy(in, ip->src.b, 16);
    memcpy(in + 16, ip->dst.b, 16);
    in[32] = ip->proto;
    uint64_t hash = wi_siphash13(net->key, in, sizeof in);
    uint16_t *counter = &net->ip_ids[hash % WI_ARRAY_LEN(net->ip_ids)];
    return wi_shard_id16(&net->core->shard, (uint16_t)(++*counter + (hash >> 16)));
}

/* RFC 6437: the same for a whole flow, not to be guessed, not 0. */
static uint32_t flow_label_of(const struct wi_net *net, const struct wi_ip_out *ip, const struct weir_pkt *pkt,
                              uint32_t salt)
{
    uint8_t in[41] = {0};
    memcpy(in, ip->src.b, 16);
    memcpy(in + 16, ip->dst.b, 16);
    in[32] = ip->proto;
    if ((ip->proto == WI_IP_TCP || ip->proto == WI_IP_UDP) && pkt->head_len >= 4)
        memcpy(in + 33, pkt->room + pkt->head_off, 4);
    memcpy(in + 37, &salt, sizeof salt);
    uint32_t label = (uint32_t)wi_siphash13(net->key, in, sizeof in) & 0xfffff;
    return label ? label : 1;
}

/* Write the IP header before the packet. False: its headroom is spent. */
static bool push_ip(struct weir_pkt *pkt, const struct wi_ip_out *ip)
{
    size_t len = wi_ip_out_len(ip);
    uint8_t *hdr = weir_pkt_push(pkt, len);
    if (!hdr)
        return false;
    wi_ip_put(hdr, ip);
    pkt->l3_off = 0;
    pkt->l4_off = (uint16_t)len;
    return true;
}

static int drop_out(struct wi_net *net, enum weir_drop why, struct weir_pkt *pkt, int netif, int err)
{
    wi_drop(net->core, why, pkt, netif);
    weir_pkt_unref(pkt);
    return err;
}

int wi_eth_send(struct wi_netif *netif, const uint8_t dst[WI_ETH_ADDR_LEN], uint16_t type, struct weir_pkt *pkt)
{
    struct wi_eth eth = {.type = type};
    uint8_t *hdr = weir_pkt_push(pkt, WI_ETH_HDR);
    if (!hdr)
        return drop_out(netif->net, WEIR_DROP_NO_MEMORY, pkt, netif->index, -WEIR_ENOBUFS);
    memcpy(eth.dst, dst, WI_ETH_ADDR_LEN);
    memcpy(eth.src, netif->mac, WI_ETH_ADDR_LEN);
    wi_eth_put(hdr, &eth);
    pkt->l3_off += WI_ETH_HDR;
    pkt->l4_off += WI_ETH_HDR;
    return wi_netif_send(netif, pkt);
}

/* What a next hop is to its packet. */
enum hop { HOP_DESTINATION, HOP_GATEWAY, HOP_GROUP };

/* A complete IP packet to the link. */
static int link_output(struct wi_netif *netif, const struct weir_addr *next_hop, enum hop hop, struct weir_pkt *pkt)
{
    if (netif->type == WEIR_LINK_RAW_IP)
        return wi_netif_send(netif, pkt);
    if (hop != HOP_GROUP)
        return wi_neigh_output(netif, next_hop, hop == HOP_GATEWAY, pkt);
    uint8_t mac[WI_ETH_ADDR_LEN];
    if (weir_addr_is_multicast(next_hop))
        wi_eth_from_group(mac, next_hop);
    else
        memset(mac, 0xff, sizeof mac);
    return wi_eth_send(netif, mac, weir_addr_is_v4(next_hop) ? WI_ETHERTYPE_IPV4 : WI_ETHERTYPE_IPV6, pkt);
}

struct weir_pkt *wi_msg_new(struct wi_net *net, size_t len, uint8_t **data)
{
    struct weir_pkt *pkt = weir_pkt_new(net->core->pool, WI_NET_HEADROOM);
    if (!pkt)
        return NULL;
    *data = weir_pkt_put(pkt, len);
    if (*data)
        return pkt;
    struct weir_block *block = weir_block_new(net->core->pool, len);
    if (!block) {
        weir_pkt_unref(pkt);
        return NULL;
    }
    *data = block->data;
    (void)weir_pkt_append(pkt, block, 0, (uint32_t)len); /* an empty packet has room */
    weir_block_unref(block);
    return pkt;
}

int wi_ip_send(struct wi_netif *netif, const struct weir_addr *next_hop, const struct wi_ip_out *ip,
               struct weir_pkt *pkt)
{
    if (!push_ip(pkt, ip))
        return drop_out(netif->net, WEIR_DROP_NO_MEMORY, pkt, netif->index, -WEIR_ENOBUFS);
    wi_count(netif->net->core, WI_STAT_IpOutRequests);
    if (netif->is_loopback) {
        wi_netif_loop(netif, pkt);
        return 0;
    }
    bool is_group = weir_addr_is_multicast(next_hop) || wi_net_is_broadcast(netif->net, next_hop);
    return link_output(netif, next_hop, is_group ? HOP_GROUP : HOP_DESTINATION, pkt);
}

/* One IP packet that fits: to ourselves, to the link, or both. */
static int emit(struct wi_net *net, const struct wi_dst *dst, bool mcast_loop, struct weir_pkt *pkt)
{
    struct wi_netif *netif = wi_netif_get(net, dst->netif);
    if (!netif || !netif->is_up)
        return drop_out(net, WEIR_DROP_NETIF_DOWN, pkt, dst->netif, -WEIR_ENETDOWN);
    if (dst->is_local) {
        wi_netif_loop(netif, pkt);
        return 0;
    }
    bool is_heard_here =
        dst->is_broadcast || (dst->is_multicast && mcast_loop && wi_group_is_joined(net, netif, &dst->dst));
    if (is_heard_here) {
        struct weir_pkt *copy = weir_pkt_clone(net->core->pool, pkt);
        if (copy)
            wi_netif_loop(netif, copy);
    }
    bool is_gateway = !weir_addr_equal(&dst->next_hop, &dst->dst);
    enum hop hop = dst->is_broadcast || dst->is_multicast ? HOP_GROUP : is_gateway ? HOP_GATEWAY : HOP_DESTINATION;
    return link_output(netif, &dst->next_hop, hop, pkt);
}

/* A piece of a packet that begins at its transport header: views of [off, off + len). */
static struct weir_pkt *piece_new(struct wi_net *net, const struct weir_pkt *pkt, uint32_t off, uint32_t len)
{
    struct weir_pkt *piece = weir_pkt_clone(net->core->pool, pkt);
    if (!piece)
        return NULL;
    weir_pkt_drop_front(piece, off);
    weir_pkt_trim(piece, len);
    piece->gso_size = 0;
    return piece;
}

static int fragment(struct wi_net *net, const struct wi_dst *dst, bool mcast_loop, struct wi_ip_out ip,
                    struct weir_pkt *pkt)
{
    uint32_t total = pkt->len;
    ip.mf = true;
    ip.frag_id = frag_id_next(net, &ip);
    uint32_t room = (dst->mtu - (uint32_t)wi_ip_out_len(&ip)) & ~7u;
    for (uint32_t off = 0; off < total; off += room) {
        struct weir_pkt *piece = piece_new(net, pkt, off, wi_min_u32(room, total - off));
        ip.mf = off + room < total;
        ip.frag_off = off;
        ip.l4_len = piece ? piece->len : 0;
        if (!piece || !push_ip(piece, &ip)) {
            wi_count(net->core, WI_STAT_IpFragFails);
            if (piece)
                weir_pkt_unref(piece);
            return drop_out(net, WEIR_DROP_NO_MEMORY, pkt, dst->netif, -WEIR_ENOBUFS);
        }
        wi_count(net->core, WI_STAT_IpFragCreates);
        int err = emit(net, dst, mcast_loop, piece);
        if (err < 0) { /* a datagram with a hole helps nobody */
            weir_pkt_unref(pkt);
            return err;
        }
    }
    wi_count(net->core, WI_STAT_IpFragOKs);
    weir_pkt_unref(pkt);
    return 0;
}

/* The transport checksum of a packet that begins at its transport header, before it is cut to pieces. */
static int finish_csum(struct weir_pkt *pkt, const struct wi_ip_out *ip)
{
    if (!(pkt->flags & WEIR_PKT_CSUM_PARTIAL))
        return 0;
    size_t len = wi_ip_out_len(ip);
    if (!push_ip(pkt, ip))
        return -WEIR_ENOBUFS;
    int err = weir_pkt_checksum(pkt);
    weir_pkt_drop_front(pkt, len);
    return err;
}

/* The largest packet on the wire that this one will make. */
static uint32_t wire_len(const struct weir_pkt *pkt, uint32_t ip_hdr_len)
{
    if (!pkt->gso_size || pkt->head_len < WI_TCP_HDR_MIN)
        return ip_hdr_len + pkt->len;
    uint32_t tcp_hdr_len = (uint32_t)(pkt->room[pkt->head_off + 12] >> 4) * 4;
    return wi_min_u32(ip_hdr_len + pkt->len, ip_hdr_len + tcp_hdr_len + pkt->gso_size);
}

/* A packet that is this function's alone. */
static struct weir_pkt *own(struct wi_net *net, struct weir_pkt *pkt)
{
    if (pkt->refs == 1)
        return pkt;
    struct weir_pkt *clone = weir_pkt_clone(net->core->pool, pkt);
    weir_pkt_unref(pkt);
    return clone;
}

static uint8_t default_ttl(const struct wi_net *net, const struct wi_dst *dst, bool is_v6)
{
    const struct wi_netif *netif = wi_netif_get(net, dst->netif);
    if (!is_v6)
        return (uint8_t)net->core->sysctl.ip_default_ttl;
    return netif && wi_ra_hop_limit(netif) ? wi_ra_hop_limit(netif) : (uint8_t)net->core->sysctl.ipv6_hop_limit;
}

static struct wi_ip_out header_of(const struct wi_net *net, const struct wi_dst *dst, const struct wi_net_hdr *hdr,
                                  const struct weir_pkt *pkt)
{
    struct wi_ip_out ip = {
        .src = hdr->src,
        .dst = hdr->dst,
        .is_v6 = !weir_addr_is_v4(&hdr->dst),
        .df = hdr->df,
        .proto = hdr->proto,
        .ttl = hdr->ttl,
        .tos = hdr->tos,
        .l4_len = pkt->len,
    };
    if (!ip.ttl)
        ip.ttl = default_ttl(net, dst, ip.is_v6);
    if (ip.is_v6)
        ip.flow_label = flow_label_of(net, &ip, pkt, hdr->flow_salt);
    return ip;
}

int wi_net_output(struct wi_net *net, const struct wi_dst *dst, const struct wi_net_hdr *hdr, struct weir_pkt *pkt)
{
    wi_count(net->core, WI_STAT_IpOutRequests);
    pkt = own(net, pkt);
    if (!pkt)
        return -WEIR_ENOBUFS;

    struct wi_ip_out ip = header_of(net, dst, hdr, pkt);
    uint32_t hdr_len = (uint32_t)wi_ip_out_len(&ip);
    uint32_t len_max = ip.is_v6 ? WI_IP_TOTAL_MAX + WI_IPV6_HDR : WI_IP_TOTAL_MAX;
    if (pkt->len + hdr_len > len_max)
        return drop_out(net, WEIR_DROP_TX_TOO_BIG, pkt, dst->netif, -WEIR_EMSGSIZE);
    if (wire_len(pkt, hdr_len) > dst->mtu && !dst->is_local) {
        if (hdr->df || pkt->gso_size)
            return drop_out(net, WEIR_DROP_IP_MTU, pkt, dst->netif, -WEIR_EMSGSIZE);
        if (finish_csum(pkt, &ip) < 0)
            return drop_out(net, WEIR_DROP_TX_REFUSED, pkt, dst->netif, -WEIR_ENOBUFS);
        return fragment(net, dst, hdr->mcast_loop, ip, pkt);
    }
    if (!ip.is_v6 && !ip.df)
        ip.frag_id = frag_id_next(net, &ip);
    if (!push_ip(pkt, &ip))
        return drop_out(net, WEIR_DROP_NO_MEMORY, pkt, dst->netif, -WEIR_ENOBUFS);
    if (hdr->copy)
        *hdr->copy = weir_pkt_clone(net->core->pool, pkt);
    return emit(net, dst, hdr->mcast_loop, pkt);
}
