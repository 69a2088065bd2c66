/*
 * Reading datagrams (wire.h).
 */
#include <string.h>

#include "drill/icmp_names.h"
#include "drill/wire_bytes.h"

static bool fail(const char **why, const char *text)
{
    *why = text;
    return false;
}

static void set_addr(struct weir_sockaddr *a, const uint8_t *p, bool is_v6)
{
    a->family = is_v6 ? WEIR_AF_INET6 : WEIR_AF_INET;
    if (is_v6)
        memcpy(a->addr.b, p, 16);
    else
        a->addr = weir_addr_v4(p[0], p[1], p[2], p[3]);
}

/* ---- TCP ---- */

static void read_sack(struct wdr_opt *o, const uint8_t *p)
{
    for (o->sack_n = 0; o->sack_n < WDR_SACKS_MAX && 2 + 8 * (o->sack_n + 1) <= o->len; o->sack_n++) {
        o->sack[o->sack_n].lo = wdr_get32(p + 2 + 8 * o->sack_n);
        o->sack[o->sack_n].hi = wdr_get32(p + 6 + 8 * o->sack_n);
    }
}

/* An option of the length that its kind must have, or any other whose bytes are kept as they are. */
static void read_option(struct wdr_opt *o, const uint8_t *p)
{
    if (o->kind == WDR_OPT_MSS && o->len == 4)
        o->a = wdr_get16(p + 2);
    else if (o->kind == WDR_OPT_WSCALE && o->len == 3)
        o->a = p[2];
    else if (o->kind == WDR_OPT_TS && o->len == 10) {
        o->a = wdr_get32(p + 2);
        o->b = wdr_get32(p + 6);
    } else if (o->kind == WDR_OPT_SACK && o->len >= 10 && o->len % 8 == 2)
        read_sack(o, p);
    else
        memcpy(o->body, p + 2, o->len - 2u);
}

static bool read_options(struct wdr_packet *pkt, const uint8_t *p, size_t len, const char **why)
{
    size_t i = 0;
    while (i < len) {
        if (pkt->opt_n == WDR_OPTS_MAX)
            return fail(why, "more TCP options than any sane segment has");
        struct wdr_opt *o = &pkt->opts[pkt->opt_n++];
        o->kind = p[i];
        o->len = 1;
        if (o->kind != WDR_OPT_EOL && o->kind != WDR_OPT_NOP) {
            if (i + 1 >= len || p[i + 1] < 2 || i + p[i + 1] > len)
                return fail(why, "a TCP option whose length makes no sense");
            o->len = p[i + 1];
            read_option(o, p + i);
        }
        i += o->len;
    }
    return true;
}

static bool has_noise(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i])
            return true;
    }
    return false;
}

static bool read_tcp(struct wdr_sent *s, const uint8_t *p, size_t len, const char **why)
{
    if (len < WDR_TCP_HDR)
        return fail(why, "shorter than a TCP header");
    size_t hdr = (size_t)(p[12] >> 4) * 4;
    if (hdr < WDR_TCP_HDR || hdr > len)
        return fail(why, "TCP data offset");
    if (wdr_sum(wdr_pseudo_sum(&s->ends, s->is_v6, WDR_PROTO_TCP, len), p, len) != 0xffff)
        return fail(why, "TCP checksum");
    struct wdr_packet *k = &s->p;
    s->ends.src.port = wdr_get16(p);
    s->ends.dst.port = wdr_get16(p + 2);
    k->proto = WDR_TCP;
    k->seq = wdr_get32(p + 4);
    k->ack = wdr_get32(p + 8);
    k->flags = (uint16_t)(p[13] | (p[12] & 1) << 8);
    k->has_ack = (k->flags & WDR_ACK) != 0;
    k->win = wdr_get16(p + 14);
    k->has_win = true;
    k->urg = wdr_get16(p + 18);
    k->has_urg = (k->flags & WDR_URG) != 0;
    k->len = (uint32_t)(len - hdr);
    s->has_payload_noise = has_noise(p + hdr, k->len);
    return read_options(k, p + WDR_TCP_HDR, hdr - WDR_TCP_HDR, why);
}

/* ---- UDP, ICMP ---- */

static bool read_udp(struct wdr_sent *s, const uint8_t *p, size_t len, const char **why)
{
    if (len < WDR_UDP_HDR || wdr_get16(p + 4) != len)
        return fail(why, "UDP length");
    if ((wdr_get16(p + 6) || s->is_v6) &&
        wdr_sum(wdr_pseudo_sum(&s->ends, s->is_v6, WDR_PROTO_UDP, len), p, len) != 0xffff)
        return fail(why, "UDP checksum");
    s->p.proto = WDR_UDP;
    s->p.len = (uint32_t)(len - WDR_UDP_HDR);
    s->ends.src.port = wdr_get16(p);
    s->ends.dst.port = wdr_get16(p + 2);
    s->has_payload_noise = has_noise(p + WDR_UDP_HDR, s->p.len);
    return true;
}

/* The packet that an ICMP error quotes, as far as it can be read. */
static void read_quote(struct wdr_sent *s, const uint8_t *p, size_t len)
{
    struct wdr_quote *q = &s->p.quote;
    size_t ip = s->is_v6 ? WDR_IP6_HDR : len ? (size_t)(p[0] & 15) * 4 : 0;
    if (len < ip + 8 || ip < WDR_IP4_HDR)
        return;
    uint8_t proto = s->is_v6 ? p[6] : p[9];
    size_t whole = s->is_v6 ? wdr_get16(p + 4) : (size_t)wdr_get16(p + 2) - ip;
    const uint8_t *t = p + ip;
    set_addr(&s->quote_ends.src, p + (s->is_v6 ? 8 : 12), s->is_v6);
    set_addr(&s->quote_ends.dst, p + (s->is_v6 ? 24 : 16), s->is_v6);
    s->quote_ends.src.port = wdr_get16(t);
    s->quote_ends.dst.port = wdr_get16(t + 2);
    q->is_there = proto == WDR_PROTO_UDP || proto == WDR_PROTO_TCP;
    q->is_udp = proto == WDR_PROTO_UDP;
    if (q->is_udp) {
        q->len = (uint32_t)wdr_get16(t + 4) - WDR_UDP_HDR;
    } else if (q->is_there) {
        size_t hdr = len >= ip + WDR_TCP_HDR ? (size_t)(t[12] >> 4) * 4 : WDR_TCP_HDR;
        q->seq = wdr_get32(t + 4);
        q->len = (uint32_t)(whole - hdr);
    }
}

static bool read_icmp(struct wdr_sent *s, const uint8_t *p, size_t len, const char **why)
{
    if (len < WDR_ICMP_HDR)
        return fail(why, "shorter than an ICMP message");
    if (wdr_sum(s->is_v6 ? wdr_pseudo_sum(&s->ends, true, WDR_PROTO_ICMP6, len) : 0, p, len) != 0xffff)
        return fail(why, "ICMP checksum");
    s->p.proto = WDR_ICMP;
    s->icmp_type = p[0];
    s->icmp_code = p[1];
    s->p.icmp_type = wdr_icmp_name(s->is_v6, p[0], p[1], &s->p.icmp_code);
    s->p.has_mtu = s->is_v6 ? p[0] == 2 : p[0] == 3 && p[1] == 4;
    if (s->p.has_mtu)
        s->p.mtu = s->is_v6 ? wdr_get32(p + 4) : wdr_get16(p + 6);
    bool is_error = s->is_v6 ? p[0] < 128 : p[0] == 3 || p[0] == 11 || p[0] == 12;
    if (is_error)
        read_quote(s, p + WDR_ICMP_HDR, len - WDR_ICMP_HDR);
    return true;
}

/* ---- IP ---- */

static void set_ip_fields(struct wdr_packet *k, uint8_t tos, uint8_t ttl)
{
    static const enum wdr_ecn ecns[] = {WDR_ECN_NONE, WDR_ECN_ECT1, WDR_ECN_ECT0, WDR_ECN_CE};
    k->has_tos = k->has_ttl = true;
    k->tos = tos;
    k->ttl = ttl;
    k->ecn = ecns[tos & 3];
}

/* The IP header; *off and *proto say where what it carries begins and what that is. */
static bool read_ip(struct wdr_sent *s, const uint8_t *b, size_t len, size_t *off, uint8_t *proto, const char **why)
{
    s->is_v6 = len > 0 && b[0] >> 4 == 6;
    if (len < (s->is_v6 ? WDR_IP6_HDR : WDR_IP4_HDR) || (!s->is_v6 && b[0] >> 4 != 4))
        return fail(why, "no IP header");
    *off = s->is_v6 ? WDR_IP6_HDR : (size_t)(b[0] & 15) * 4;
    size_t said = s->is_v6 ? WDR_IP6_HDR + (size_t)wdr_get16(b + 4) : wdr_get16(b + 2);
    if (*off < WDR_IP4_HDR || *off > len || said != len)
        return fail(why, "IP length");
    if (!s->is_v6 && wdr_sum(0, b, *off) != 0xffff)
        return fail(why, "IPv4 header checksum");
    if (!s->is_v6 && (wdr_get16(b + 6) & 0x3fff))
        return fail(why, "a fragment");
    *proto = s->is_v6 ? b[6] : b[9];
    set_addr(&s->ends.src, b + (s->is_v6 ? 8 : 12), s->is_v6);
    set_addr(&s->ends.dst, b + (s->is_v6 ? 24 : 16), s->is_v6);
    if (s->is_v6) {
        set_ip_fields(&s->p, (uint8_t)(wdr_get32(b) >> 20), b[7]);
        s->p.has_flowlabel = true;
        s->p.flowlabel = wdr_get32(b) & 0xfffff;
    } else {
        set_ip_fields(&s->p, b[1], b[8]);
    }
    return true;
}

bool wdr_wire_read(struct wdr_sent *out, const uint8_t *data, size_t len, weir_ns at, const char **why)
{
    size_t off;
    uint8_t proto;
    *out = (struct wdr_sent){.at = at, .len = len, .p = {.dir = WDR_OUT}};
    if (!read_ip(out, data, len, &off, &proto, why))
        return false;
    if (proto == WDR_PROTO_TCP)
        return read_tcp(out, data + off, len - off, why);
    if (proto == WDR_PROTO_UDP)
        return read_udp(out, data + off, len - off, why);
    if (proto == (out->is_v6 ? WDR_PROTO_ICMP6 : WDR_PROTO_ICMP))
        return read_icmp(out, data + off, len - off, why);
    return fail(why, "neither TCP nor UDP nor ICMP");
}
