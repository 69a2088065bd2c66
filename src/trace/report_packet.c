/*
 * From a captured frame to a TCP header. Everything here comes from a file that anybody may have made: a length is
 * looked at before what it covers.
 */
#include "trace/report_packet.h"

#include "io/frame.h"

#include <string.h>

enum {
    DLT_NULL = 0,
    DLT_EN10MB = 1,
    DLT_RAW_BSD = 12,
    DLT_RAW_OPENBSD = 14,
    DLT_RAW = 101,
    DLT_LOOP = 108,
    DLT_LINUX_SLL = 113,
    DLT_IPV4 = 228,
    DLT_IPV6 = 229,
    DLT_LINUX_SLL2 = 276
};
enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_IPV6 = 0x86dd, ETHERTYPE_VLAN = 0x8100, ETHERTYPE_QINQ = 0x88a8 };
enum { PROTO_TCP = 6, TCP_HDR_MIN = 20, IPV4_HDR_MIN = 20, IPV6_HDR = 40 };

static uint16_t get16(const uint8_t *b)
{
    return (uint16_t)(b[0] << 8 | b[1]);
}

static uint32_t get32(const uint8_t *b)
{
    return (uint32_t)get16(b) << 16 | get16(b + 2);
}

/* What is left of a frame. */
struct cut {
    const uint8_t *b;
    size_t len;
};

static bool skip(struct cut *c, size_t n)
{
    if (c->len < n)
        return false;
    c->b += n;
    c->len -= n;
    return true;
}

/* Past the link-layer header, to IP. */
static bool to_ip(struct cut *c, uint32_t linktype)
{
    uint16_t type;
    switch (linktype) {
    case DLT_EN10MB:
        if (c->len < 14)
            return false;
        type = get16(c->b + 12);
        skip(c, 14);
        while ((type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ) && c->len >= 4) {
            type = get16(c->b + 2);
            skip(c, 4);
        }
        return type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6;
    case DLT_LINUX_SLL: return skip(c, 16);
    case DLT_LINUX_SLL2: return skip(c, 20);
    case DLT_NULL:
    case DLT_LOOP: return skip(c, 4);
    case DLT_RAW:
    case DLT_RAW_BSD:
    case DLT_RAW_OPENBSD:
    case DLT_IPV4:
    case DLT_IPV6: return true;
    default: return false;
    }
}

static struct weir_addr mapped(const uint8_t *b)
{
    return weir_addr_v4(b[0], b[1], b[2], b[3]);
}

/* Past an IPv4 header; *wire is how long what follows was on the wire. */
static bool past_ipv4(struct wtr_packet *p, struct cut *c, size_t *wire)
{
    if (c->len < IPV4_HDR_MIN)
        return false;
    const uint8_t *h = c->b;
    size_t hdr = (size_t)(h[0] & 15) * 4, total = get16(h + 2);
    if (hdr < IPV4_HDR_MIN || h[9] != PROTO_TCP || get16(h + 6) & 0x1fff)
        return false;
    if (total == 0) /* a capture of what the card was to split */
        total = c->len;
    if (total < hdr || !skip(c, hdr))
        return false;
    p->src = (struct weir_sockaddr){.addr = mapped(h + 12), .family = WEIR_AF_INET};
    p->dst = (struct weir_sockaddr){.addr = mapped(h + 16), .family = WEIR_AF_INET};
    *wire = total - hdr;
    return true;
}

static bool past_ipv6(struct wtr_packet *p, struct cut *c, size_t *wire)
{
    if (c->len < IPV6_HDR)
        return false;
    const uint8_t *h = c->b;
    uint8_t next = h[6];
    p->src = (struct weir_sockaddr){.family = WEIR_AF_INET6};
    p->dst = (struct weir_sockaddr){.family = WEIR_AF_INET6};
    memcpy(p->src.addr.b, h + 8, 16);
    memcpy(p->dst.addr.b, h + 24, 16);
    *wire = get16(h + 4);
    if (*wire == 0)
        *wire = c->len - IPV6_HDR;
    skip(c, IPV6_HDR);
    while (next == 0 || next == 43 || next == 60) { /* hop-by-hop, routing, destination options */
        size_t n = c->len >= 8 ? ((size_t)c->b[1] + 1) * 8 : 0;
        if (n == 0 || *wire < n)
            return false;
        next = c->b[0];
        *wire -= n;
        if (!skip(c, n))
            return false;
    }
    return next == PROTO_TCP;
}

static void parse_options(struct wtr_packet *p, const uint8_t *o, size_t len)
{
    for (size_t i = 0; i < len && o[i] != 0;) {
        if (o[i] == 1) {
            i++;
            continue;
        }
        size_t n = i + 1 < len ? o[i + 1] : 0;
        if (n < 2 || i + n > len)
            return;
        if (o[i] == 3 && n == 3)
            p->wscale = (int8_t)(o[i + 2] < 14 ? o[i + 2] : 14);
        for (size_t k = 2; o[i] == 5 && k + 8 <= n && p->sack_n < 4; k += 8) {
            p->sack[2 * p->sack_n] = get32(o + i + k);
            p->sack[2 * p->sack_n++ + 1] = get32(o + i + k + 4);
        }
        i += n;
    }
}

bool wtr_packet_parse(struct wtr_packet *out, uint32_t linktype, const uint8_t *frame, size_t len)
{
    struct wtr_packet p = *out;
    struct cut c = {frame, len};
    size_t wire = 0;

    if (!to_ip(&c, linktype) || c.len == 0)
        return false;
    if (c.b[0] >> 4 == 4 ? !past_ipv4(&p, &c, &wire) : c.b[0] >> 4 != 6 || !past_ipv6(&p, &c, &wire))
        return false;
    if (c.len < TCP_HDR_MIN || wire < TCP_HDR_MIN)
        return false;
    size_t hdr = (size_t)(c.b[12] >> 4) * 4;
    if (hdr < TCP_HDR_MIN || hdr > wire)
        return false;
    p.src.port = get16(c.b);
    p.dst.port = get16(c.b + 2);
    p.seq = get32(c.b + 4);
    p.ack = get32(c.b + 8);
    p.flags = get16(c.b + 12) & 0x1ff;
    p.win = get16(c.b + 14);
    p.len = (uint32_t)(wire - hdr);
    p.wscale = -1;
    p.sack_n = 0;
    parse_options(&p, c.b + TCP_HDR_MIN, (hdr < c.len ? hdr : c.len) - TCP_HDR_MIN);
    *out = p;
    return true;
}
