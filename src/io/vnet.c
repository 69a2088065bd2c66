/*
 * See vnet.h. Nothing that a header claims is believed without a look at the packet: it may come from another program.
 */
#include "io/vnet.h"
#include "io/bytes.h"

#include <string.h>

#define ETH_HDR   14
#define IPV4_HDR  20
#define IPV6_HDR  40
#define TCP_HDR   20
#define UDP_HDR   8
#define TCP_FLAGS 13
#define TCP_CWR   0x80

#define PROTO_TCP    6
#define PROTO_UDP    17
#define PROTO_ICMPV6 58

#define LOOK_LEN     256 /* how far in the headers of a received packet are looked for */
#define GSO_SIZE_MIN 8   /* as Linux has it: an MSS of 48, and 40 bytes of options */

static unsigned csum_offset_of(uint8_t proto)
{
    switch (proto) {
    case PROTO_TCP: return 16;
    case PROTO_UDP: return 6;
    case PROTO_ICMPV6: return 2;
    default: return 0;
    }
}

/* ---- Out ---- */

/* The transport protocol behind the extension headers that end at l4_off. */
static uint8_t transport_of(const uint8_t *hdr, size_t l3_off, size_t l4_off)
{
    const uint8_t *ip = hdr + l3_off;
    if (ip[0] >> 4 == 4)
        return ip[9];
    uint8_t next = ip[6];
    for (size_t at = l3_off + IPV6_HDR; at + 8 <= l4_off; at += ((size_t)hdr[at + 1] + 1) * 8)
        next = hdr[at];
    return next;
}

bool wio_vnet_describe(struct virtio_net_hdr *v, const struct weir_pkt *p)
{
    *v = (struct virtio_net_hdr){0};
    if (!(p->flags & WEIR_PKT_CSUM_PARTIAL))
        return p->gso_size == 0;
    const uint8_t *hdr = p->room + p->head_off;
    if (p->l3_off + IPV4_HDR > p->l4_off || p->l4_off + 8u > p->head_len)
        return false;
    uint8_t proto = transport_of(hdr, p->l3_off, p->l4_off);
    v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    v->csum_start = p->l4_off;
    v->csum_offset = (uint16_t)csum_offset_of(proto);
    if (p->gso_size == 0)
        return v->csum_offset != 0 && p->l4_off + v->csum_offset + 2u <= p->head_len;
    if (proto != PROTO_TCP || p->l4_off + (unsigned)TCP_HDR > p->head_len)
        return false;
    v->gso_type = hdr[p->l3_off] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    if (hdr[p->l4_off + TCP_FLAGS] & TCP_CWR) /* CWR belongs to the first segment alone (RFC 3168 6.1.2) */
        v->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    v->gso_size = p->gso_size;
    v->hdr_len = (uint16_t)(p->l4_off + (hdr[p->l4_off + 12] >> 4) * 4);
    return true;
}

bool wio_vnet_must_cut(const struct weir_pkt *p)
{
    return p->gso_size > 0 && (p->flags & WEIR_PKT_CWR_ALL) && p->l4_off + TCP_FLAGS + 1u <= p->head_len &&
           (p->room[p->head_off + p->l4_off + TCP_FLAGS] & TCP_CWR);
}

/* ---- In ---- */

/* Where a packet's transport header lies, and whose it is. */
struct transport {
    bool is_v6;
    uint8_t proto;
    size_t off;
    size_t hdr_len; /* of TCP and UDP; 0: the header is not whole */
};

static bool is_extension(uint8_t next)
{
    return next == 0 || next == 43 || next == 60; /* RFC 8200 4.1: hop-by-hop, routing, destination options */
}

static bool find_transport6(struct transport *t, const uint8_t *b, size_t len, size_t at)
{
    if (at + IPV6_HDR > len)
        return false;
    t->is_v6 = true;
    t->proto = b[at + 6];
    at += IPV6_HDR;
    while (is_extension(t->proto)) {
        if (at + 8 > len)
            return false;
        t->proto = b[at];
        at += ((size_t)b[at + 1] + 1) * 8;
    }
    t->off = at;
    return true;
}

static bool find_transport4(struct transport *t, const uint8_t *b, size_t len, size_t at)
{
    if (at + IPV4_HDR > len || (b[at] & 0xf) < 5 || (b[at + 6] & 0x3f) || b[at + 7]) /* a fragment has none */
        return false;
    t->is_v6 = false;
    t->proto = b[at + 9];
    t->off = at + (size_t)(b[at] & 0xf) * 4;
    return true;
}

/* The first bytes of a received packet, at most LOOK_LEN: they lie together. */
static const uint8_t *look(struct weir_pkt *p, size_t *len)
{
    *len = p->len < LOOK_LEN ? p->len : LOOK_LEN;
    return weir_pkt_pull(p, *len);
}

/* False: there is no transport header that could be found. */
static bool find_transport(struct transport *t, const uint8_t *b, size_t len, enum weir_link_type type)
{
    size_t at = type == WEIR_LINK_ETHERNET ? ETH_HDR : 0;
    if (at >= len || (at && (b[12] << 8 | b[13]) != (b[at] >> 4 == 4 ? 0x0800 : 0x86dd)))
        return false;
    bool is_found = b[at] >> 4 == 4   ? find_transport4(t, b, len, at)
                    : b[at] >> 4 == 6 ? find_transport6(t, b, len, at)
                                      : false;
    t->hdr_len = 0;
    if (is_found && t->proto == PROTO_TCP && t->off + TCP_HDR <= len)
        t->hdr_len = (size_t)(b[t->off + 12] >> 4) * 4;
    else if (is_found && t->proto == PROTO_UDP && t->off + UDP_HDR <= len)
        t->hdr_len = UDP_HDR;
    return is_found;
}

static bool is_datagrams(const struct virtio_net_hdr *v)
{
    return (v->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_UDP_L4;
}

/* The size of what it is to be cut into, 0: it needs no cut. False: it can't be. */
static bool apply_gso(const struct virtio_net_hdr *v, struct weir_pkt *p, const struct transport *t)
{
    uint8_t kind = v->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    bool is_tcp = kind == (t->is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) && t->proto == PROTO_TCP &&
                  t->hdr_len >= TCP_HDR && v->gso_size >= GSO_SIZE_MIN;
    bool is_udp = is_datagrams(v) && t->proto == PROTO_UDP && t->hdr_len == UDP_HDR && v->gso_size > 0;
    if ((!is_tcp && !is_udp) || t->off + t->hdr_len > p->len)
        return false;
    p->gso_size = p->len - t->off - t->hdr_len > v->gso_size ? v->gso_size : 0;
    return true;
}

/* False: what the header says can't be. */
static bool apply(const struct virtio_net_hdr *v, struct weir_pkt *p, enum weir_link_type type, struct transport *t)
{
    bool is_owed = v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, is_checked = v->flags & VIRTIO_NET_HDR_F_DATA_VALID;
    if (!is_owed && !is_checked && v->gso_type == VIRTIO_NET_HDR_GSO_NONE)
        return true;
    if (is_owed && (uint32_t)v->csum_start + v->csum_offset + 2 > p->len)
        return false;
    size_t len;
    const uint8_t *b = look(p, &len);
    if (!find_transport(t, b, len, type))
        return v->gso_type == VIRTIO_NET_HDR_GSO_NONE;
    if (v->gso_type != VIRTIO_NET_HDR_GSO_NONE && !apply_gso(v, p, t))
        return false;
    /* An owed checksum crossed no wire: nothing could have broken it. */
    if (is_owed ? v->csum_start == t->off && v->csum_offset == csum_offset_of(t->proto) : is_checked)
        p->flags |= WEIR_PKT_CSUM_OK;
    return true;
}

/* ---- Datagrams in a run ---- */

/* RFC 1071, of a header: an even number of bytes. */
static uint16_t header_sum(const uint8_t *at, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i += 2)
        sum += (uint32_t)(at[i] << 8 | at[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

/* The headers of the i-th datagram, `len` bytes of it behind them. Its UDP checksum is left: nobody looks (CSUM_OK). */
static void datagram_headers(uint8_t *b, size_t l3, const struct transport *t, unsigned i, size_t len)
{
    uint8_t *ip = b + l3;
    if (t->is_v6) {
        wio_put16(ip + 4, t->off - l3 - IPV6_HDR + UDP_HDR + len);
    } else {
        wio_put16(ip + 2, t->off - l3 + UDP_HDR + len);
        wio_put16(ip + 4, (size_t)(ip[4] << 8 | ip[5]) + i);
        wio_put16(ip + 10, 0);
        wio_put16(ip + 10, (uint16_t)~header_sum(ip, t->off - l3, 0));
    }
    wio_put16(b + t->off + 4, UDP_HDR + len);
}

/* The i-th datagram, copied: a view would keep all of the run in memory, and be charged so. NULL: no memory. */
static struct weir_pkt *datagram(const struct weir_pkt *p, size_t l3, const struct transport *t, unsigned i)
{
    size_t hdr_len = t->off + UDP_HDR, off = hdr_len + (size_t)i * p->gso_size;
    size_t len = p->len - off < p->gso_size ? p->len - off : p->gso_size;
    struct weir_pkt *out = weir_pkt_new(p->pool, 0);
    struct weir_block *b = out ? weir_block_new(p->pool, hdr_len + len) : NULL;
    if (!b) {
        if (out)
            weir_pkt_unref(out);
        return NULL;
    }
    weir_pkt_copy(p, 0, b->data, hdr_len);
    datagram_headers(b->data, l3, t, i, len);
    weir_pkt_copy(p, off, b->data + hdr_len, len);
    weir_pkt_append(out, b, 0, (uint32_t)(hdr_len + len));
    weir_block_unref(b);
    out->flags = p->flags;
    return out;
}

static unsigned split(const struct weir_pkt *p, enum weir_link_type type, const struct transport *t,
                      struct weir_pkt **out)
{
    size_t len = p->len - t->off - UDP_HDR;
    unsigned n = (unsigned)((len + p->gso_size - 1) / p->gso_size);
    if (n > WIO_VNET_SPLIT_MAX || !(p->flags & WEIR_PKT_CSUM_OK))
        return 0;
    for (unsigned i = 0; i < n; i++) {
        out[i] = datagram(p, type == WEIR_LINK_ETHERNET ? ETH_HDR : 0, t, i);
        if (out[i])
            continue;
        while (i > 0)
            weir_pkt_unref(out[--i]);
        return 0;
    }
    return n;
}

bool wio_csum_is_owed(struct weir_pkt *p, enum weir_link_type type)
{
    struct transport t;
    size_t len, at = type == WEIR_LINK_ETHERNET ? ETH_HDR : 0;
    const uint8_t *b = look(p, &len);
    if (!find_transport(&t, b, len, type) || (t.proto != PROTO_TCP && t.proto != PROTO_UDP))
        return false;
    size_t field = t.off + csum_offset_of(t.proto);
    size_t l3_len = t.is_v6 ? IPV6_HDR + (size_t)(b[at + 4] << 8 | b[at + 5]) : (size_t)(b[at + 2] << 8 | b[at + 3]);
    if (field + 2 > len || t.off - at > l3_len)
        return false;
    uint32_t sum = (uint32_t)(l3_len - (t.off - at)) + t.proto;
    uint16_t pseudo = t.is_v6 ? header_sum(b + at + 8, 32, sum) : header_sum(b + at + 12, 8, sum);
    return (b[field] << 8 | b[field + 1]) == pseudo;
}

unsigned wio_vnet_receive(const struct virtio_net_hdr *v, struct weir_pkt *p, enum weir_link_type type,
                          struct weir_pkt **out)
{
    struct transport t;
    unsigned n = 0;
    if (apply(v, p, type, &t)) {
        if (!p->gso_size || !is_datagrams(v)) {
            out[0] = p;
            return 1;
        }
        n = split(p, type, &t, out);
    }
    weir_pkt_unref(p);
    return n;
}
