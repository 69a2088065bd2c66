/*
 * From a captured frame to what it says (dissect.h). A length is looked at before what it covers.
 */
#include "trace/dissect.h"
#include "io/bytes.h"

#include <string.h>

enum {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_RAW_BSD = 12,
    LINK_RAW_OPENBSD = 14,
    LINK_RAW = 101,
    LINK_LOOP = 108,
    LINK_SLL = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_SLL2 = 276
};
enum { TYPE_IPV4 = 0x0800, TYPE_ARP = 0x0806, TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8, TYPE_IPV6 = 0x86dd };
enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_FRAGMENT = 44, PROTO_ICMPV6 = 58 };
enum { TCP_HDR_MIN = 20, IPV4_HDR_MIN = 20, IPV6_HDR = 40, WSCALE_MAX = 14 };
enum { SLL_OUTGOING = 4, EXTENSIONS_MAX = 8 };

/* What is left of a frame: bytes that are there, and bytes that were on the wire. */
struct cut {
    const uint8_t *b;
    size_t len, wire;
    bool is_wire_known;
};

static bool skip(struct cut *c, size_t n)
{
    if (c->len < n || c->wire < n)
        return false;
    c->b += n;
    c->len -= n;
    c->wire -= n;
    return true;
}

/* The IP header says how long the packet is: not more than was on the wire, where that is known. */
static bool limit(struct cut *c, size_t wire)
{
    if (c->is_wire_known && wire > c->wire)
        return false;
    c->wire = wire;
    if (c->wire < c->len)
        c->len = c->wire;
    return true;
}

/* ---- The link ---- */

static uint16_t past_vlans(struct cut *c, uint16_t type)
{
    while ((type == TYPE_VLAN || type == TYPE_QINQ) && c->len >= 4) {
        type = wio_get16(c->b + 2);
        skip(c, 4);
    }
    return type;
}

static uint16_t past_ethernet(struct wtr_dissect *d, struct cut *c)
{
    const uint8_t *h = c->b;
    if (!skip(c, 14))
        return 0;
    memcpy(d->src_mac, h + 6, 6);
    d->has_mac = true;
    return past_vlans(c, wio_get16(h + 12));
}

static uint16_t past_sll(struct wtr_dissect *d, struct cut *c, bool is_2)
{
    const uint8_t *h = c->b;
    if (!skip(c, is_2 ? 20 : 16))
        return 0;
    uint8_t mac_len = is_2 ? h[11] : h[5];
    d->is_outgoing = is_2 ? h[10] == SLL_OUTGOING : wio_get16(h) == SLL_OUTGOING;
    d->ifindex = is_2 ? wio_get32(h + 4) : 0;
    d->has_mac = mac_len == 6;
    if (d->has_mac)
        memcpy(d->src_mac, h + (is_2 ? 12 : 6), 6);
    return past_vlans(c, wio_get16(is_2 ? h : h + 14));
}

/* Past the link's header; the Ethertype of what follows, 0: nothing that we read. */
static uint16_t past_link(struct wtr_dissect *d, struct cut *c, uint32_t linktype)
{
    switch (linktype) {
    case LINK_ETHERNET: return past_ethernet(d, c);
    case LINK_SLL: return past_sll(d, c, false);
    case LINK_SLL2: return past_sll(d, c, true);
    case LINK_NULL:
    case LINK_LOOP:
        if (!skip(c, 4))
            return 0;
        break;
    case LINK_RAW:
    case LINK_RAW_BSD:
    case LINK_RAW_OPENBSD:
    case LINK_IPV4:
    case LINK_IPV6: break;
    default: return 0;
    }
    if (c->len == 0)
        return 0;
    return c->b[0] >> 4 == 4 ? TYPE_IPV4 : c->b[0] >> 4 == 6 ? TYPE_IPV6 : 0;
}

/* ---- IP ---- */

static struct weir_addr mapped(const uint8_t *b)
{
    struct weir_addr a = {{0}};
    a.b[10] = a.b[11] = 0xff;
    memcpy(a.b + 12, b, 4);
    return a;
}

static void set_addrs(struct weir_sockaddr *src, struct weir_sockaddr *dst, const uint8_t *b, bool is_v6)
{
    *src = (struct weir_sockaddr){.family = is_v6 ? WEIR_AF_INET6 : WEIR_AF_INET};
    *dst = *src;
    if (is_v6) {
        memcpy(src->addr.b, b, 16);
        memcpy(dst->addr.b, b + 16, 16);
    } else {
        src->addr = mapped(b);
        dst->addr = mapped(b + 4);
    }
}

/* RFC 1071, over an even or odd number of bytes. */
static uint64_t sum_add(uint64_t sum, const uint8_t *b, size_t n)
{
    for (; n >= 4; b += 4, n -= 4)
        sum += wio_get32(b);
    if (n >= 2) {
        sum += (uint64_t)wio_get16(b) << 16;
        b += 2;
        n -= 2;
    }
    return n ? sum + ((uint64_t)b[0] << 24) : sum;
}

static uint16_t sum_fold(uint64_t sum)
{
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + (sum & 0xffff));
}

/* Past an IPv4 header; the protocol, or 0. */
static uint8_t past_ipv4(struct wtr_dissect *d, struct cut *c)
{
    if (c->len < IPV4_HDR_MIN)
        return 0;
    const uint8_t *h = c->b;
    size_t hdr = (size_t)(h[0] & 15) * 4, total = wio_get16(h + 2);
    if (total == 0) /* a capture of what the card was to split */
        total = c->wire;
    if (h[0] >> 4 != 4 || hdr < IPV4_HDR_MIN || total < hdr || c->len < hdr)
        return 0;
    d->is_bad_ip_sum = wio_get16(h + 10) != 0 && sum_fold(sum_add(0, h, hdr)) != 0xffff;
    if (!limit(c, total))
        return 0;
    set_addrs(&d->src, &d->dst, h + 12, false);
    d->ttl = h[8];
    d->ecn = h[1] & 3;
    d->ip_id = wio_get16(h + 4);
    d->frag_off = (uint16_t)((wio_get16(h + 6) & 0x1fff) * 8);
    d->has_more_frags = wio_get16(h + 6) & 0x2000;
    return skip(c, hdr) ? h[9] : 0;
}

static uint8_t past_ipv6(struct wtr_dissect *d, struct cut *c)
{
    const uint8_t *h = c->b;
    if (c->len < IPV6_HDR || h[0] >> 4 != 6)
        return 0;
    uint8_t next = h[6];
    d->is_v6 = true;
    set_addrs(&d->src, &d->dst, h + 8, true);
    d->ttl = h[7];
    d->ecn = (wio_get16(h) >> 4) & 3;
    /* 0: a capture of what the card was to split */
    if (wio_get16(h + 4) && !limit(c, IPV6_HDR + (size_t)wio_get16(h + 4)))
        return 0;
    if (!skip(c, IPV6_HDR))
        return 0;
    for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
        const uint8_t *e = c->b;
        if (next == PROTO_FRAGMENT && c->len >= 8) {
            d->frag_off = wio_get16(e + 2) & 0xfff8;
            d->has_more_frags = e[3] & 1;
            d->ip_id = (uint16_t)wio_get32(e + 4);
            if (!skip(c, 8))
                return 0;
        } else if (next == 0 || next == 43 || next == 60) { /* hop-by-hop, routing, destination options */
            if (c->len < 8 || !skip(c, ((size_t)e[1] + 1) * 8))
                return 0;
        } else {
            return next;
        }
        next = e[0];
    }
    return 0;
}

/* ---- TCP ---- */

static void parse_options(struct wtr_dissect *d, const uint8_t *o, size_t len)
{
    for (size_t i = 0; i < len && o[i] != 0;) {
        if (o[i] == 1) {
            i++;
            continue;
        }
        size_t n = i + 1 < len ? o[i + 1] : 0;
        if (n < 2 || i + n > len)
            return;
        const uint8_t *v = o + i + 2;
        if (o[i] == 2 && n == 4) {
            d->mss = wio_get16(v);
        } else if (o[i] == 3 && n == 3) {
            d->wscale = (int8_t)(v[0] < WSCALE_MAX ? v[0] : WSCALE_MAX);
        } else if (o[i] == 4 && n == 2) {
            d->has_sack_ok = true;
        } else if (o[i] == 8 && n == 10) {
            d->has_ts = true;
            d->tsval = wio_get32(v);
            d->tsecr = wio_get32(v + 4);
        } else if (o[i] == 5) {
            for (size_t k = 2; k + 8 <= n && d->sack_n < 4; k += 8, d->sack_n++) {
                d->sack[2 * d->sack_n] = wio_get32(o + i + k);
                d->sack[2 * d->sack_n + 1] = wio_get32(o + i + k + 4);
            }
        }
        i += n;
    }
}

static enum wtr_sum check_sum(const struct wtr_dissect *d, const struct cut *c)
{
    if (c->len < c->wire || d->is_first_fragment)
        return WTR_SUM_UNKNOWN;
    size_t at = d->is_v6 ? 0 : 12;
    uint64_t pseudo = sum_add(sum_add(0, d->src.addr.b + at, 16 - at), d->dst.addr.b + at, 16 - at);
    pseudo += (uint64_t)PROTO_TCP + c->wire;
    if (sum_fold(sum_add(sum_fold(pseudo), c->b, c->len)) == 0xffff)
        return WTR_SUM_GOOD;
    uint16_t there = wio_get16(c->b + 16);
    return there == 0 || there == sum_fold(pseudo) || there == sum_fold(pseudo - c->wire) ? WTR_SUM_OWED : WTR_SUM_BAD;
}

static void parse_tcp(struct wtr_dissect *d, const struct cut *c, bool wants_sum)
{
    if (c->len < TCP_HDR_MIN)
        return;
    const uint8_t *h = c->b;
    size_t hdr = (size_t)(h[12] >> 4) * 4;
    if (hdr < TCP_HDR_MIN || hdr > c->wire)
        return;
    d->kind = WTR_IS_TCP;
    d->src.port = wio_get16(h);
    d->dst.port = wio_get16(h + 2);
    d->seq = wio_get32(h + 4);
    d->ack = wio_get32(h + 8);
    d->flags = wio_get16(h + 12) & 0x1ff;
    d->win = wio_get16(h + 14);
    d->len = (uint32_t)(c->wire - hdr);
    if (hdr > TCP_HDR_MIN)
        parse_options(d, h + TCP_HDR_MIN, (hdr < c->len ? hdr : c->len) - TCP_HDR_MIN);
    if (wants_sum)
        d->sum = check_sum(d, c);
}

/* ---- ICMP, ARP, ND ---- */

/* The packet that an error quotes, of which 8 bytes behind the IP header suffice. */
static void parse_quoted(struct wtr_dissect *d, struct cut c)
{
    struct wtr_dissect q = {.wscale = -1};
    c.is_wire_known = false; /* what it says of its length is the whole packet's */
    uint8_t proto = d->is_v6 ? past_ipv6(&q, &c) : past_ipv4(&q, &c);
    d->kind = WTR_IS_ICMP_ERROR;
    if (proto != PROTO_TCP || q.frag_off || c.len < 8)
        return;
    d->quotes_tcp = true;
    d->quoted_src = q.src;
    d->quoted_dst = q.dst;
    d->quoted_src.port = wio_get16(c.b);
    d->quoted_dst.port = wio_get16(c.b + 2);
    d->quoted_seq = wio_get32(c.b + 4);
}

/* Neighbour discovery (RFC 4861 4.3, 4.4): the target, and its link address where an option has it. */
static void parse_nd(struct wtr_dissect *d, const struct cut *c)
{
    if (c->len < 24)
        return;
    d->kind = WTR_IS_ND;
    d->neigh_op = d->icmp_type == 135 ? 1 : 2;
    memcpy(d->dst.addr.b, c->b + 8, 16);
    if (d->neigh_op == 2)
        d->src.addr = d->dst.addr;
    for (size_t i = 24; i + 8 <= c->len && c->b[i + 1]; i += (size_t)c->b[i + 1] * 8) {
        if (c->b[i] != (d->neigh_op == 1 ? 1 : 2))
            continue;
        memcpy(d->neigh_mac, c->b + i + 2, 6);
        d->has_neigh_mac = true;
    }
}

static void parse_icmp(struct wtr_dissect *d, struct cut c)
{
    if (c.len < 8)
        return;
    d->icmp_type = c.b[0];
    d->icmp_code = c.b[1];
    d->icmp_mtu = d->is_v6 ? wio_get32(c.b + 4) : wio_get16(c.b + 6);
    bool is_error = d->is_v6 ? d->icmp_type < 128 : d->icmp_type == 3 || d->icmp_type == 11 || d->icmp_type == 12;
    if (d->is_v6 && (d->icmp_type == 135 || d->icmp_type == 136)) {
        parse_nd(d, &c);
    } else if (is_error) {
        skip(&c, 8);
        parse_quoted(d, c);
    }
}

static void parse_arp(struct wtr_dissect *d, const struct cut *c)
{
    static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4};
    const uint8_t *h = c->b;
    if (c->len < 28 || memcmp(h, ethernet_ipv4, sizeof ethernet_ipv4) != 0)
        return;
    d->kind = WTR_IS_ARP;
    d->neigh_op = wio_get16(h + 6);
    d->has_neigh_mac = true;
    memcpy(d->neigh_mac, h + 8, 6);
    d->src = (struct weir_sockaddr){.addr = mapped(h + 14), .family = WEIR_AF_INET};
    d->dst = (struct weir_sockaddr){.addr = mapped(h + 24), .family = WEIR_AF_INET};
}

static void parse_ip(struct wtr_dissect *d, struct cut *c, uint16_t type, bool wants_sum)
{
    uint8_t proto = type == TYPE_IPV4 ? past_ipv4(d, c) : past_ipv6(d, c);
    if (proto == 0)
        return;
    d->kind = WTR_IS_IP;
    d->ip_len = (uint16_t)(c->wire < UINT16_MAX ? c->wire : UINT16_MAX);
    if (d->frag_off) {
        d->kind = WTR_IS_FRAGMENT;
        return;
    }
    d->is_first_fragment = d->has_more_frags;
    if (proto == PROTO_TCP)
        parse_tcp(d, c, wants_sum);
    else if (proto == PROTO_UDP)
        d->kind = WTR_IS_UDP;
    else if (proto == (d->is_v6 ? PROTO_ICMPV6 : PROTO_ICMP))
        parse_icmp(d, *c);
}

void wtr_dissect(struct wtr_dissect *out, uint32_t linktype, const uint8_t *frame, size_t captured, size_t len,
                 bool wants_sum)
{
    struct cut c = {.b = frame, .len = captured, .wire = len > captured ? len : captured, .is_wire_known = len > 0};
    *out = (struct wtr_dissect){.wscale = -1};
    uint16_t type = past_link(out, &c, linktype);
    if (type == TYPE_ARP)
        parse_arp(out, &c);
    else if (type == TYPE_IPV4 || type == TYPE_IPV6)
        parse_ip(out, &c, type, wants_sum);
}
