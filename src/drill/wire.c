/*
 * Writing datagrams (wire.h).
 */
#include "drill/wire.h"

#include <string.h>

#include "drill/icmp_names.h"
#include "drill/wire_bytes.h"

#define TTL_DEFAULT 255 /* of what the scripted peer sends: from next door */

uint16_t wdr_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    for (; len > 1; p += 2, len -= 2)
        sum += wdr_get16(p);
    if (len)
        sum += (uint32_t)p[0] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint32_t wdr_pseudo_sum(const struct wdr_ends *ends, bool is_v6, uint8_t proto, size_t len)
{
    size_t off = is_v6 ? 0 : 12, n = is_v6 ? 16 : 4;
    return (uint32_t)wdr_sum(0, ends->src.addr.b + off, n) + wdr_sum(0, ends->dst.addr.b + off, n) + proto +
           (uint32_t)(len >> 16) + (uint32_t)(len & 0xffff);
}

/* ---- IP ---- */

static uint8_t tos_of(const struct wdr_packet *p)
{
    uint8_t tos = p->has_tos ? p->tos : 0;
    switch (p->ecn) {
    case WDR_ECN_ANY: return tos;
    case WDR_ECN_NONE: return tos & 0xfc;
    case WDR_ECN_ECT0:
    case WDR_ECN_ECT01: return (uint8_t)((tos & 0xfc) | 2);
    case WDR_ECN_ECT1: return (uint8_t)((tos & 0xfc) | 1);
    case WDR_ECN_CE: return tos | 3;
    }
    return tos;
}

/* The IP header for `len` bytes behind it; returns its own length. */
static size_t write_ip(uint8_t *b, const struct wdr_packet *p, const struct wdr_ends *ends, bool is_v6, uint8_t proto,
                       size_t len)
{
    uint8_t tos = tos_of(p), ttl = p->has_ttl ? p->ttl : TTL_DEFAULT;
    memset(b, 0, is_v6 ? WDR_IP6_HDR : WDR_IP4_HDR);
    if (is_v6) {
        wdr_put32(b, 6u << 28 | (uint32_t)tos << 20 | (p->has_flowlabel ? p->flowlabel : 0));
        wdr_put16(b + 4, (uint16_t)len);
        b[6] = proto;
        b[7] = ttl;
        memcpy(b + 8, ends->src.addr.b, 16);
        memcpy(b + 24, ends->dst.addr.b, 16);
        return WDR_IP6_HDR;
    }
    b[0] = 0x45;
    b[1] = tos;
    wdr_put16(b + 2, (uint16_t)(WDR_IP4_HDR + len));
    b[8] = ttl;
    b[9] = proto;
    memcpy(b + 12, ends->src.addr.b + 12, 4);
    memcpy(b + 16, ends->dst.addr.b + 12, 4);
    wdr_put16(b + 10, (uint16_t)~wdr_sum(0, b, WDR_IP4_HDR));
    return WDR_IP4_HDR;
}

/* ---- TCP ---- */

static size_t write_sack(uint8_t *b, const struct wdr_opt *o)
{
    for (unsigned i = 0; i < o->sack_n; i++) {
        wdr_put32(b + 2 + 8 * i, o->sack[i].lo);
        wdr_put32(b + 6 + 8 * i, o->sack[i].hi);
    }
    return o->len;
}

static size_t write_option(uint8_t *b, const struct wdr_opt *o)
{
    if (o->is_raw) {
        memcpy(b, o->body, o->len);
        return o->len;
    }
    b[0] = o->kind;
    if (o->kind == WDR_OPT_EOL || o->kind == WDR_OPT_NOP)
        return 1;
    b[1] = o->len;
    switch (o->kind) {
    case WDR_OPT_MSS: wdr_put16(b + 2, (uint16_t)o->a); break;
    case WDR_OPT_WSCALE: b[2] = (uint8_t)o->a; break;
    case WDR_OPT_TS:
        wdr_put32(b + 2, o->a);
        wdr_put32(b + 6, o->b);
        break;
    case WDR_OPT_SACK: return write_sack(b, o);
    default: memcpy(b + 2, o->body, o->len - 2u); break;
    }
    return o->len;
}

static size_t write_tcp(uint8_t *b, const struct wdr_packet *p, const struct wdr_ends *ends, bool is_v6)
{
    size_t hdr = WDR_TCP_HDR;
    memset(b, 0, WDR_TCP_HDR + p->len);
    for (unsigned i = 0; i < p->opt_n; i++)
        hdr += write_option(b + hdr, &p->opts[i]);
    memset(b + hdr, 0, p->len);
    wdr_put16(b, ends->src.port);
    wdr_put16(b + 2, ends->dst.port);
    wdr_put32(b + 4, p->seq);
    wdr_put32(b + 8, p->ack);
    b[12] = (uint8_t)(hdr / 4 << 4 | (p->flags & WDR_AE ? 1 : 0));
    b[13] = (uint8_t)p->flags;
    wdr_put16(b + 14, p->win);
    wdr_put16(b + 18, p->urg);
    uint32_t pseudo = wdr_pseudo_sum(ends, is_v6, WDR_PROTO_TCP, hdr + p->len);
    wdr_put16(b + 16, (uint16_t)~wdr_sum(pseudo, b, hdr + p->len));
    return hdr + p->len;
}

/* ---- UDP, ICMP ---- */

static size_t write_udp(uint8_t *b, const struct wdr_packet *p, const struct wdr_ends *ends, bool is_v6)
{
    size_t len = WDR_UDP_HDR + p->len;
    memset(b, 0, len);
    wdr_put16(b, ends->src.port);
    wdr_put16(b + 2, ends->dst.port);
    wdr_put16(b + 4, (uint16_t)len);
    uint16_t sum = (uint16_t)~wdr_sum(wdr_pseudo_sum(ends, is_v6, WDR_PROTO_UDP, len), b, len);
    wdr_put16(b + 6, sum ? sum : 0xffff);
    return len;
}

/* The beginning of the packet that an ICMP message is about: its IP header and 8 bytes of what follows (RFC 792), or
 * the whole TCP header, as routers send today. */
static size_t write_quote(uint8_t *b, const struct wdr_quote *q, const struct wdr_ends *ends, bool is_v6)
{
    static const struct wdr_packet plain = {.ttl = 64, .has_ttl = true};
    size_t l4 = q->is_udp ? WDR_UDP_HDR : WDR_TCP_HDR;
    size_t ip = write_ip(b, &plain, ends, is_v6, q->is_udp ? WDR_PROTO_UDP : WDR_PROTO_TCP, l4 + q->len);
    uint8_t *t = b + ip;
    memset(t, 0, WDR_TCP_HDR);
    wdr_put16(t, ends->src.port);
    wdr_put16(t + 2, ends->dst.port);
    if (q->is_udp) {
        wdr_put16(t + 4, (uint16_t)(WDR_UDP_HDR + q->len));
        return ip + WDR_UDP_HDR;
    }
    wdr_put32(t + 4, q->seq);
    wdr_put32(t + 8, q->ack);
    t[12] = 5 << 4;
    t[13] = q->has_flags ? (uint8_t)q->flags : WDR_ACK;
    return ip + WDR_TCP_HDR;
}

static size_t write_icmp(uint8_t *b, const struct wdr_packet *p, const struct wdr_ends *ends, bool is_v6,
                         const struct wdr_ends *quote_ends)
{
    uint8_t type, code;
    size_t len = WDR_ICMP_HDR;
    if (!wdr_icmp_numbers(is_v6, p->icmp_type, p->icmp_code, &type, &code))
        return 0;
    memset(b, 0, WDR_ICMP_HDR);
    b[0] = type;
    b[1] = code;
    if (is_v6)
        wdr_put32(b + 4, p->mtu);
    else
        wdr_put16(b + 6, (uint16_t)p->mtu);
    if (p->quote.is_there)
        len += write_quote(b + len, &p->quote, quote_ends, is_v6);
    uint32_t pseudo = is_v6 ? wdr_pseudo_sum(ends, true, WDR_PROTO_ICMP6, len) : 0;
    wdr_put16(b + 2, (uint16_t)~wdr_sum(pseudo, b, len));
    return len;
}

size_t wdr_wire_write(uint8_t *buf, const struct wdr_packet *p, const struct wdr_ends *ends,
                      const struct wdr_ends *quote_ends)
{
    bool is_v6 = !weir_addr_is_v4(&ends->src.addr);
    size_t ip = is_v6 ? WDR_IP6_HDR : WDR_IP4_HDR, len = 0;
    uint8_t proto = WDR_PROTO_TCP;

    if (ip + WDR_TCP_HDR + 40 + p->len > WDR_PACKET_MAX)
        return 0;
    switch (p->proto) {
    case WDR_TCP: len = write_tcp(buf + ip, p, ends, is_v6); break;
    case WDR_UDP:
        proto = WDR_PROTO_UDP;
        len = write_udp(buf + ip, p, ends, is_v6);
        break;
    case WDR_ICMP:
        proto = is_v6 ? WDR_PROTO_ICMP6 : WDR_PROTO_ICMP;
        len = write_icmp(buf + ip, p, ends, is_v6, quote_ends);
        break;
    }
    if (len == 0 || (is_v6 ? len : len + ip) > 65535)
        return 0;
    return write_ip(buf, p, ends, is_v6, proto, len) + len;
}
