/*
 * IPv6 headers: the base header and the chain of extension headers up to the upper protocol. RFC 8200, with RFC 5095
 * (routing type 0), RFC 6946 (atomic fragments), RFC 7112 (the chain is whole in the first fragment) and RFC 8504 5.3
 * (limits on what a host puts up with).
 */
#include "wire/ipv6.h"
#include "base/bytes.h"
#include "base/str.h"
#include "wire/icmp.h"

#define CHAIN_HEADERS_MAX 16
#define CHAIN_OPTIONS_MAX 64

#define NEXT_HEADER_OFF 6
#define PAYLOAD_LEN_OFF 4

#define OPT_PAD1         0
#define OPT_PADN         1
#define OPT_ROUTER_ALERT 5

/* Where the walk stands. */
struct chain {
    const uint8_t *p;
    size_t lin_len;  /* bytes at p */
    size_t end;      /* of the datagram, from p */
    size_t off;      /* the next header to read */
    uint32_t nh_off; /* the byte that said what it is */
    uint8_t nh;
    unsigned header_n;
    unsigned option_n;
};

static enum weir_drop owe(struct wi_ip *h, enum weir_drop why, uint8_t code, size_t pointer, bool even_if_multicast)
{
    h->owed = (struct wi_ip_owed){
        .is_owed = true, .even_if_multicast = even_if_multicast, .code = code, .pointer = (uint32_t)pointer};
    return why;
}

static bool is_extension(uint8_t nh)
{
    return nh == WI_IP_HOPOPTS || nh == WI_IP_ROUTING || nh == WI_IP_DSTOPTS;
}

/* The length of the hop-by-hop, routing or destination options header at `off`; 0 when it does not end within `end`. */
static size_t extension_len(const uint8_t *p, size_t off, size_t end)
{
    if (off > end || end - off < 8)
        return 0;

    size_t len = ((size_t)p[off + 1] + 1) * 8;
    return len <= end - off ? len : 0;
}

/* The two high bits of an unknown option's type say what to do. RFC 8200 4.2. */
static enum weir_drop on_unknown_option(struct wi_ip *h, uint8_t type, size_t off)
{
    switch (type >> 6) {
    case 0: return WEIR_DROP_NONE;
    case 1: return WEIR_DROP_IPV6_OPTION_UNKNOWN;
    case 2: return owe(h, WEIR_DROP_IPV6_OPTION_UNKNOWN, WI_ICMP6_OPTION, off, true);
    default: return owe(h, WEIR_DROP_IPV6_OPTION_UNKNOWN, WI_ICMP6_OPTION, off, false);
    }
}

/* The options of a hop-by-hop or destination options header at c->off, `len` bytes long. */
static enum weir_drop read_options(struct wi_ip *h, struct chain *c, size_t len)
{
    const uint8_t *p = c->p;
    size_t end = c->off + len;

    for (size_t i = c->off + 2; i < end;) {
        if (++c->option_n > CHAIN_OPTIONS_MAX)
            return WEIR_DROP_IPV6_EXT_MANY;
        if (p[i] == OPT_PAD1) {
            i++;
            continue;
        }
        if (end - i < 2 || p[i + 1] > end - i - 2)
            return WEIR_DROP_IPV6_OPTION;

        enum weir_drop why = WEIR_DROP_NONE;
        if (p[i] == OPT_ROUTER_ALERT && p[i + 1] == 2 && c->nh == WI_IP_HOPOPTS)
            h->is_router_alert = true;
        else if (p[i] != OPT_PADN)
            why = on_unknown_option(h, p[i], i);
        if (why != WEIR_DROP_NONE)
            return why;
        i += 2u + p[i + 1];
    }
    return WEIR_DROP_NONE;
}

/* We are nobody's waypoint: a routing header is done with, or not for us. RFC 8200 4.4, RFC 5095 3. */
static enum weir_drop read_routing(struct wi_ip *h, const struct chain *c)
{
    if (c->p[c->off + 3] == 0)
        return WEIR_DROP_NONE;
    return owe(h, WEIR_DROP_IPV6_ROUTING, WI_ICMP6_FIELD, c->off + 2, false);
}

/* The least that the upper-layer header of a first fragment must show: RFC 7112 3 counts it into the chain. */
static size_t upper_hdr_min(uint8_t proto)
{
    switch (proto) {
    case WI_IP_TCP: return 20;
    case WI_IP_UDP: return 8;
    case WI_IP_ICMPV6: return 4;
    default: return 0;
    }
}

/* Does the chain that goes on at `off` end before `end`, its upper-layer header included? */
static bool chain_is_whole(const uint8_t *p, size_t off, size_t end, uint8_t nh)
{
    while (is_extension(nh)) {
        size_t len = extension_len(p, off, end);
        if (len == 0)
            return false;
        nh = p[off];
        off += len;
    }
    return off <= end && end - off >= upper_hdr_min(nh);
}

/* The fragment header at c->off. An atomic fragment is whole, and the walk goes on (RFC 6946). RFC 8200 4.5. */
static enum weir_drop read_fragment(struct wi_ip *h, struct chain *c)
{
    size_t at = c->off;
    size_t data = at + WI_IPV6_FRAG_HDR;

    if (h->has_frag_hdr)
        return WEIR_DROP_IPV6_EXT_ORDER;
    if (at + WI_IPV6_FRAG_HDR > wi_min_size(c->end, c->lin_len))
        return WEIR_DROP_IPV6_EXT_SHORT;

    uint16_t off_m = wi_get16(c->p + at + 2);
    size_t len = c->end - data;
    h->has_frag_hdr = true;
    h->frag_off = off_m & 0xfff8u;
    h->mf = (off_m & 1) != 0;
    h->frag_id = wi_get32(c->p + at + 4);
    h->unfrag_len = (uint32_t)at;
    h->is_frag = h->mf || h->frag_off != 0;
    c->nh = c->p[at];
    c->nh_off = (uint32_t)at;
    c->off = data;
    if (!h->is_frag)
        return WEIR_DROP_NONE;

    if (h->mf && len % 8 != 0)
        return owe(h, WEIR_DROP_IPV6_FRAG_LENGTH, WI_ICMP6_FIELD, PAYLOAD_LEN_OFF, false);
    if (len == 0)
        return WEIR_DROP_IPV6_FRAG_LENGTH;
    if (h->frag_off + len > WI_IP_TOTAL_MAX)
        return owe(h, WEIR_DROP_IPV6_FRAG_LENGTH, WI_ICMP6_FIELD, at + 2, false);
    if (h->frag_off == 0 && !chain_is_whole(c->p, data, wi_min_size(c->end, c->lin_len), c->nh)) {
        if (c->lin_len < c->end)
            return WEIR_DROP_IPV6_EXT_SHORT; /* longer than what a host looks at, but perhaps whole */
        return owe(h, WEIR_DROP_IPV6_FRAG_CHAIN, WI_ICMP6_FIRST_FRAG, 0, false);
    }
    return WEIR_DROP_NONE;
}

/* One hop-by-hop, routing or destination options header. */
static enum weir_drop read_extension(struct wi_ip *h, struct chain *c)
{
    if (c->nh == WI_IP_HOPOPTS && c->header_n != 1)
        return owe(h, WEIR_DROP_IPV6_EXT_ORDER, WI_ICMP6_NEXT_HEADER, c->nh_off, false);

    size_t len = extension_len(c->p, c->off, wi_min_size(c->end, c->lin_len));
    if (len == 0)
        return WEIR_DROP_IPV6_EXT_SHORT;

    enum weir_drop why = c->nh == WI_IP_ROUTING ? read_routing(h, c) : read_options(h, c, len);
    if (why != WEIR_DROP_NONE)
        return why;
    c->nh = c->p[c->off];
    c->nh_off = (uint32_t)c->off;
    c->off += len;
    return WEIR_DROP_NONE;
}

static enum weir_drop walk(struct wi_ip *h, struct chain *c)
{
    while (!h->is_frag && (is_extension(c->nh) || c->nh == WI_IP_FRAGMENT)) {
        if (++c->header_n > CHAIN_HEADERS_MAX)
            return WEIR_DROP_IPV6_EXT_MANY;
        enum weir_drop why = c->nh == WI_IP_FRAGMENT ? read_fragment(h, c) : read_extension(h, c);
        if (why != WEIR_DROP_NONE)
            return why;
    }
    if (c->nh == WI_IP_NONE && !h->is_frag)
        return WEIR_DROP_IPV6_NO_NEXT;
    h->proto = c->nh;
    h->proto_off = c->nh_off;
    h->l4_off = (uint32_t)c->off;
    h->l4_len = (uint32_t)(c->end - c->off);
    return WEIR_DROP_NONE;
}

static void read_base(struct wi_ip *h, const uint8_t *p)
{
    uint32_t first = wi_get32(p);

    h->src = wi_addr_get16(p + 8);
    h->dst = wi_addr_get16(p + 24);
    h->is_v6 = true;
    h->df = true;
    h->proto = p[NEXT_HEADER_OFF];
    h->ttl = p[7];
    h->tos = (uint8_t)(first >> 20);
    h->ecn = h->tos & 3;
    h->flow_label = first & 0xfffff;
    h->total_len = WI_IPV6_HDR + (uint32_t)wi_get16(p + PAYLOAD_LEN_OFF);
    h->hdr_len = WI_IPV6_HDR;
    h->proto_off = NEXT_HEADER_OFF;
    h->unfrag_len = WI_IPV6_HDR;
    h->l4_off = WI_IPV6_HDR;
}

enum weir_drop wi_ipv6_parse(struct wi_ip *h, const uint8_t *p, size_t lin_len, size_t len)
{
    if (lin_len < WI_IPV6_HDR)
        return WEIR_DROP_IP_SHORT;
    read_base(h, p);
    if (weir_addr_is_v4(&h->src) || weir_addr_is_v4(&h->dst)) /* would pass for IPv4 above: RFC 4942 2.2 */
        return WEIR_DROP_IPV6_MAPPED;
    if (h->total_len == WI_IPV6_HDR && h->proto == WI_IP_HOPOPTS)
        return WEIR_DROP_IPV6_JUMBO; /* RFC 2675 2; optional, and no link of ours is that wide */
    if (h->total_len > len)
        return WEIR_DROP_IP_LENGTH;

    struct chain c = {
        .p = p, .lin_len = lin_len, .end = h->total_len, .off = WI_IPV6_HDR, .nh_off = NEXT_HEADER_OFF, .nh = h->proto};
    return walk(h, &c);
}

bool wi_ipv6_skim(struct wi_ip *h, const uint8_t *p, size_t len)
{
    if (len < WI_IPV6_HDR)
        return false;
    read_base(h, p);

    size_t off = WI_IPV6_HDR;
    while (is_extension(h->proto) || (h->proto == WI_IP_FRAGMENT && !h->has_frag_hdr)) {
        bool is_frag = h->proto == WI_IP_FRAGMENT;
        size_t ext = is_frag ? WI_IPV6_FRAG_HDR : extension_len(p, off, len);
        if (ext == 0 || len - off < ext)
            break;
        if (is_frag) {
            h->has_frag_hdr = true;
            h->frag_off = wi_get16(p + off + 2) & 0xfff8u;
            h->mf = (p[off + 3] & 1) != 0;
            h->frag_id = wi_get32(p + off + 4);
        }
        h->proto = p[off];
        h->proto_off = (uint32_t)off;
        off += ext;
        h->l4_off = (uint32_t)off;
        if (h->frag_off != 0)
            break;
    }
    h->is_frag = h->mf || h->frag_off != 0;
    return true;
}

/* A hop-by-hop header with MLD's router alert (RFC 2711) and two bytes of padding. Returns its length. */
static size_t put_router_alert(uint8_t *p, uint8_t nh)
{
    const uint8_t hbh[WI_IP_ALERT_LEN_6] = {nh, 0, OPT_ROUTER_ALERT, 2, 0, 0, OPT_PADN, 0};

    memcpy(p, hbh, sizeof(hbh));
    return sizeof(hbh);
}

void wi_ipv6_put(uint8_t *p, size_t hdr_len, const struct wi_ip_out *h)
{
    bool is_frag = h->mf || h->frag_off != 0;
    uint8_t nh = is_frag ? (uint8_t)WI_IP_FRAGMENT : h->proto;

    wi_put32(p, 6u << 28 | (uint32_t)h->tos << 20 | (h->flow_label & 0xfffff));
    wi_put16(p + PAYLOAD_LEN_OFF, (uint16_t)(hdr_len - WI_IPV6_HDR + h->l4_len));
    p[NEXT_HEADER_OFF] = h->router_alert ? (uint8_t)WI_IP_HOPOPTS : nh;
    p[7] = h->ttl;
    memcpy(p + 8, h->src.b, 16);
    memcpy(p + 24, h->dst.b, 16);

    uint8_t *at = p + WI_IPV6_HDR;
    if (h->router_alert)
        at += put_router_alert(at, nh);
    if (is_frag) {
        wi_put16(at, (uint16_t)(h->proto << 8));
        wi_put16(at + 2, (uint16_t)(h->frag_off | h->mf));
        wi_put32(at + 4, h->frag_id);
    }
}
