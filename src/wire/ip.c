/*
 * IPv4 headers (RFC 791), the parts that both versions share, and writing headers of either. Reading IPv6 is in ipv6.c.
 */
#include "wire/ip.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/str.h"
#include "wire/ipv6.h"

#define IPV4_DF       0x4000
#define IPV4_MF       0x2000
#define IPV4_OFF_MASK 0x1fff

#define IPV4_OPT_EOL   0
#define IPV4_OPT_NOP   1
#define IPV4_OPT_LSRR  131
#define IPV4_OPT_SSRR  137
#define IPV4_OPT_ALERT 148 /* RFC 2113 */

/* A first fragment of TCP must reach past the flags: RFC 1858 3.2, whose tmin this is. */
#define TCP_FIRST_FRAG_MIN 16

struct weir_addr wi_addr_get4(const uint8_t *p)
{
    return weir_addr_v4(p[0], p[1], p[2], p[3]);
}

void wi_addr_put4(uint8_t *p, const struct weir_addr *a)
{
    memcpy(p, a->b + 12, 4);
}

struct weir_addr wi_addr_get16(const uint8_t *p)
{
    struct weir_addr a;

    memcpy(a.b, p, sizeof(a.b));
    return a;
}

/* Only two options matter to a host: it takes part in no source route, and it must look at router alerts. */
static enum weir_drop ipv4_parse_options(struct wi_ip *h, const uint8_t *p, size_t len)
{
    size_t i = 0;

    while (i < len && p[i] != IPV4_OPT_EOL) {
        if (p[i] == IPV4_OPT_NOP) {
            i++;
            continue;
        }
        if (len - i < 2 || p[i + 1] < 2 || p[i + 1] > len - i)
            return WEIR_DROP_IPV4_OPTION;
        if (p[i] == IPV4_OPT_LSRR || p[i] == IPV4_OPT_SSRR)
            return WEIR_DROP_IPV4_SRC_ROUTE;
        if (p[i] == IPV4_OPT_ALERT)
            h->is_router_alert = true;
        i += p[i + 1];
    }
    return WEIR_DROP_NONE;
}

static enum weir_drop ipv4_check_fragment(const struct wi_ip *h)
{
    if (!h->is_frag)
        return WEIR_DROP_NONE;
    if (h->l4_len == 0 || (h->mf && h->l4_len % 8 != 0))
        return WEIR_DROP_IPV4_FRAG_FIELDS;
    if (h->hdr_len + h->frag_off + h->l4_len > WI_IP_TOTAL_MAX) /* the ping of death */
        return WEIR_DROP_FRAG_TOO_LONG;
    /* RFC 1858 3.2, RFC 3128: flags and ports split from each other serve only to deceive a filter. */
    if (h->proto == WI_IP_TCP && ((h->frag_off == 0 && h->l4_len < TCP_FIRST_FRAG_MIN) || h->frag_off == 8))
        return WEIR_DROP_FRAG_TINY;
    return WEIR_DROP_NONE;
}

/* The sum of a header of 20 bytes, by far the most common, in ten instructions instead of a general run. */
static uint16_t ipv4_csum(const uint8_t *p, size_t hdr_len)
{
    if (hdr_len != WI_IPV4_HDR)
        return wi_csum_finish(wi_csum_add(0, p, hdr_len));
    uint64_t sum = (uint64_t)wi_get32(p) + wi_get32(p + 4) + wi_get32(p + 8) + wi_get32(p + 12) + wi_get32(p + 16);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t) ~((sum >> 16) + (sum & 0xffff));
}

static void ipv4_read_fields(struct wi_ip *h, const uint8_t *p)
{
    uint16_t frag = wi_get16(p + 6);

    h->src = wi_addr_get4(p + 12);
    h->dst = wi_addr_get4(p + 16);
    h->df = (frag & IPV4_DF) != 0;
    h->mf = (frag & IPV4_MF) != 0;
    h->frag_off = (uint32_t)(frag & IPV4_OFF_MASK) * 8;
    h->is_frag = h->mf || h->frag_off != 0;
    h->frag_id = wi_get16(p + 4);
    h->proto = p[9];
    h->ttl = p[8];
    h->tos = p[1];
    h->ecn = p[1] & 3;
    h->hdr_len = (p[0] & 0xfu) * 4;
    h->proto_off = 9;
    h->unfrag_len = h->hdr_len;
    h->l4_off = h->hdr_len;
}

static enum weir_drop ipv4_parse(struct wi_ip *h, const uint8_t *p, size_t lin_len, size_t len, bool check_csum)
{
    if (lin_len < WI_IPV4_HDR)
        return WEIR_DROP_IP_SHORT;
    ipv4_read_fields(h, p);
    if (h->hdr_len < WI_IPV4_HDR || h->hdr_len > lin_len)
        return WEIR_DROP_IPV4_HDR_LEN;
    if (check_csum && ipv4_csum(p, h->hdr_len) != 0)
        return WEIR_DROP_IPV4_CSUM;

    h->total_len = wi_get16(p + 2);
    if (h->total_len < h->hdr_len || h->total_len > len)
        return WEIR_DROP_IP_LENGTH;
    h->l4_len = h->total_len - h->hdr_len;

    enum weir_drop why = ipv4_parse_options(h, p + WI_IPV4_HDR, h->hdr_len - WI_IPV4_HDR);
    return why != WEIR_DROP_NONE ? why : ipv4_check_fragment(h);
}

enum weir_drop wi_ip_parse(struct wi_ip *out, const uint8_t *p, size_t lin_len, size_t len, bool check_csum)
{
    enum weir_drop why = WEIR_DROP_IP_SHORT;

    *out = (struct wi_ip){0};
    if (lin_len > 0) {
        if (p[0] >> 4 == 4)
            why = ipv4_parse(out, p, lin_len, len, check_csum);
        else if (p[0] >> 4 == 6)
            why = wi_ipv6_parse(out, p, lin_len, len);
        else
            why = WEIR_DROP_IP_VERSION;
    }
    if (why != WEIR_DROP_NONE && !out->owed.is_owed)
        *out = (struct wi_ip){0};
    return why;
}

bool wi_ip_skim(struct wi_ip *out, const uint8_t *p, size_t len)
{
    struct wi_ip h = {0};

    if (len > 0 && p[0] >> 4 == 6) {
        if (!wi_ipv6_skim(&h, p, len))
            return false;
    } else {
        if (len < WI_IPV4_HDR || p[0] >> 4 != 4)
            return false;
        ipv4_read_fields(&h, p);
        if (h.hdr_len < WI_IPV4_HDR)
            return false;
        h.total_len = wi_get16(p + 2);
    }
    bool has_l4 = h.frag_off == 0 && h.l4_off < len;
    h.l4_len = has_l4 ? (uint32_t)len - h.l4_off : 0;
    *out = h;
    return true;
}

size_t wi_ip_out_len(const struct wi_ip_out *h)
{
    if (!h->is_v6)
        return WI_IPV4_HDR + (h->router_alert ? WI_IP_ALERT_LEN_4 : 0u);
    return WI_IPV6_HDR + (h->router_alert ? WI_IP_ALERT_LEN_6 : 0u) +
           (h->mf || h->frag_off != 0 ? WI_IPV6_FRAG_HDR : 0u);
}

static void ipv4_put(uint8_t *p, size_t hdr_len, const struct wi_ip_out *h)
{
    p[0] = (uint8_t)(0x40 | hdr_len / 4);
    p[1] = h->tos;
    wi_put16(p + 2, (uint16_t)(hdr_len + h->l4_len));
    wi_put16(p + 4, (uint16_t)h->frag_id);
    wi_put16(p + 6, (uint16_t)((h->df ? IPV4_DF : 0u) | (h->mf ? IPV4_MF : 0u) | h->frag_off / 8));
    p[8] = h->ttl;
    p[9] = h->proto;
    wi_put16(p + 10, 0);
    wi_addr_put4(p + 12, &h->src);
    wi_addr_put4(p + 16, &h->dst);
    if (h->router_alert)
        wi_put32(p + WI_IPV4_HDR, (uint32_t)IPV4_OPT_ALERT << 24 | WI_IP_ALERT_LEN_4 << 16);
    wi_put16(p + 10, ipv4_csum(p, hdr_len));
}

size_t wi_ip_put(uint8_t *p, const struct wi_ip_out *h)
{
    size_t hdr_len = wi_ip_out_len(h);

    if (h->is_v6)
        wi_ipv6_put(p, hdr_len, h);
    else
        ipv4_put(p, hdr_len, h);
    return hdr_len;
}

uint16_t wi_ip_pseudo_csum(const struct weir_addr *src, const struct weir_addr *dst, uint8_t proto, uint32_t len)
{
    /* 32-bit words of both addresses; a mapped one's first 12 bytes would add 0xffff, which is 0 in this arithmetic. */
    uint64_t sum = (uint64_t)proto + len;
    for (unsigned i = weir_addr_is_v4(dst) ? 12 : 0; i < sizeof(src->b); i += 4)
        sum += (uint64_t)wi_get32(src->b + i) + wi_get32(dst->b + i);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + (sum & 0xffff));
}
