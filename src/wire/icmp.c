/*
 * ICMP and ICMPv6 as a host hears and speaks them: RFC 792, 1122 3.2.2, 1191, 4443.
 */
#include "wire/icmp.h"
#include "base/bytes.h"
#include "base/checksum.h"

enum {
    ICMP4_ECHO_REPLY = 0,
    ICMP4_UNREACH = 3,
    ICMP4_QUENCH = 4,
    ICMP4_REDIRECT = 5,
    ICMP4_ECHO = 8,
    ICMP4_TIME = 11,
    ICMP4_PARAM = 12,
    ICMP6_UNREACH = 1,
    ICMP6_TOO_BIG = 2,
    ICMP6_TIME = 3,
    ICMP6_PARAM = 4,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    ICMP6_MLD_QUERY = 130,
    ICMP6_MLD_DONE = 132,
    ICMP6_ND_FIRST = 133,
    ICMP6_ND_LAST = 136,
    ICMP6_REDIRECT = 137,
    ICMP6_MLD2_REPORT = 143,
};

static enum weir_drop kind4(enum wi_icmp_kind *out, uint8_t type, uint8_t code)
{
    switch (type) {
    case ICMP4_ECHO_REPLY: *out = WI_ICMP_ECHO_REPLY; return WEIR_DROP_NONE;
    case ICMP4_ECHO: *out = WI_ICMP_ECHO_REQUEST; return WEIR_DROP_NONE;
    case ICMP4_UNREACH: *out = code == WI_ICMP4_FRAG_NEEDED ? WI_ICMP_TOO_BIG : WI_ICMP_UNREACH; return WEIR_DROP_NONE;
    case ICMP4_TIME: *out = WI_ICMP_TIME_EXCEEDED; return WEIR_DROP_NONE;
    case ICMP4_PARAM: *out = WI_ICMP_PARAM_PROBLEM; return WEIR_DROP_NONE;
    case ICMP4_QUENCH: return WEIR_DROP_ICMP_QUENCH;
    case ICMP4_REDIRECT: return WEIR_DROP_ICMP_REDIRECT;
    default: return WEIR_DROP_ICMP_TYPE;
    }
}

static enum weir_drop kind6(enum wi_icmp_kind *out, uint8_t type)
{
    if (type >= ICMP6_ND_FIRST && type <= ICMP6_ND_LAST) {
        *out = WI_ICMP_ND;
        return WEIR_DROP_NONE;
    }
    if ((type >= ICMP6_MLD_QUERY && type <= ICMP6_MLD_DONE) || type == ICMP6_MLD2_REPORT) {
        *out = WI_ICMP_MLD;
        return WEIR_DROP_NONE;
    }
    switch (type) {
    case ICMP6_UNREACH: *out = WI_ICMP_UNREACH; return WEIR_DROP_NONE;
    case ICMP6_TOO_BIG: *out = WI_ICMP_TOO_BIG; return WEIR_DROP_NONE;
    case ICMP6_TIME: *out = WI_ICMP_TIME_EXCEEDED; return WEIR_DROP_NONE;
    case ICMP6_PARAM: *out = WI_ICMP_PARAM_PROBLEM; return WEIR_DROP_NONE;
    case ICMP6_ECHO: *out = WI_ICMP_ECHO_REQUEST; return WEIR_DROP_NONE;
    case ICMP6_ECHO_REPLY: *out = WI_ICMP_ECHO_REPLY; return WEIR_DROP_NONE;
    case ICMP6_REDIRECT: return WEIR_DROP_ICMP_REDIRECT;
    default: return WEIR_DROP_ICMP_TYPE;
    }
}

/* The transport header of the quoted packet, as far as it is there. */
static void read_inner_l4(struct wi_icmp_inner *in, const uint8_t *l4)
{
    uint8_t proto = in->ip.proto;
    uint8_t icmp_proto = in->ip.is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP;
    uint8_t echo_type = in->ip.is_v6 ? ICMP6_ECHO : ICMP4_ECHO;

    if ((proto == WI_IP_TCP || proto == WI_IP_UDP) && in->ip.l4_len >= 4) {
        in->has_ports = true;
        in->src_port = wi_get16(l4);
        in->dst_port = wi_get16(l4 + 2);
    }
    if (proto == WI_IP_TCP && in->ip.l4_len >= 8) {
        in->has_seq = true;
        in->seq.v = wi_get32(l4 + 4);
    }
    if (proto == icmp_proto && in->ip.l4_len >= 8 && l4[0] == echo_type) {
        in->has_echo = true;
        in->id = wi_get16(l4 + 4);
        in->echo_seq = wi_get16(l4 + 6);
    }
}

static enum weir_drop read_inner(struct wi_icmp_inner *in, const uint8_t *p, size_t len, bool is_v6)
{
    if (!wi_ip_skim(&in->ip, p, len) || in->ip.is_v6 != is_v6)
        return WEIR_DROP_ICMP_INNER;
    in->l4_off = WI_ICMP_HDR + in->ip.l4_off;
    if (in->ip.l4_len > 0)
        read_inner_l4(in, p + in->ip.l4_off);
    return WEIR_DROP_NONE;
}

enum weir_drop wi_icmp_parse(struct wi_icmp *out, const uint8_t *p, size_t lin_len, size_t len, bool is_v6)
{
    if (len < lin_len)
        lin_len = len;
    if (lin_len < WI_ICMP_HDR)
        return WEIR_DROP_ICMP_SHORT;

    struct wi_icmp h = {.is_v6 = is_v6, .type = p[0], .code = p[1]};
    enum weir_drop why = is_v6 ? kind6(&h.kind, h.type) : kind4(&h.kind, h.type, h.code);
    if (why != WEIR_DROP_NONE)
        return why;

    switch (h.kind) {
    case WI_ICMP_ECHO_REQUEST:
    case WI_ICMP_ECHO_REPLY:
        h.id = wi_get16(p + 4);
        h.echo_seq = wi_get16(p + 6);
        break;
    case WI_ICMP_TOO_BIG: h.mtu = is_v6 ? wi_get32(p + 4) : wi_get16(p + 6); break;
    case WI_ICMP_PARAM_PROBLEM: h.pointer = is_v6 ? wi_get32(p + 4) : p[4]; break;
    case WI_ICMP_UNREACH:
    case WI_ICMP_TIME_EXCEEDED:
    case WI_ICMP_ND:
    case WI_ICMP_MLD: break;
    }
    if (wi_icmp_is_error(h.kind))
        why = read_inner(&h.inner, p + WI_ICMP_HDR, lin_len - WI_ICMP_HDR, is_v6);
    if (why == WEIR_DROP_NONE)
        *out = h;
    return why;
}

static uint8_t wire_type(enum wi_icmp_kind kind, bool is_v6)
{
    switch (kind) {
    case WI_ICMP_ECHO_REQUEST: return is_v6 ? ICMP6_ECHO : ICMP4_ECHO;
    case WI_ICMP_ECHO_REPLY: return is_v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY;
    case WI_ICMP_UNREACH: return is_v6 ? ICMP6_UNREACH : ICMP4_UNREACH;
    case WI_ICMP_TOO_BIG: return is_v6 ? ICMP6_TOO_BIG : ICMP4_UNREACH;
    case WI_ICMP_TIME_EXCEEDED: return is_v6 ? ICMP6_TIME : ICMP4_TIME;
    case WI_ICMP_PARAM_PROBLEM: return is_v6 ? ICMP6_PARAM : ICMP4_PARAM;
    case WI_ICMP_ND:
    case WI_ICMP_MLD: break;
    }
    WI_UNREACHABLE("ND and MLD have codecs of their own");
}

void wi_icmp_put(uint8_t *p, const struct wi_icmp *h)
{
    bool is_echo = h->kind == WI_ICMP_ECHO_REQUEST || h->kind == WI_ICMP_ECHO_REPLY;

    p[0] = wire_type(h->kind, h->is_v6);
    p[1] = h->code;
    wi_put16(p + WI_ICMP_CSUM_OFF, 0);
    wi_put32(p + 4, 0);
    if (is_echo) {
        wi_put16(p + 4, h->id);
        wi_put16(p + 6, h->echo_seq);
    } else if (h->kind == WI_ICMP_TOO_BIG) {
        p[1] = h->is_v6 ? 0 : WI_ICMP4_FRAG_NEEDED;
        wi_put32(p + 4, h->is_v6 || h->mtu <= UINT16_MAX ? h->mtu : UINT16_MAX);
    } else if (h->kind == WI_ICMP_PARAM_PROBLEM) {
        wi_put32(p + 4, h->is_v6 ? h->pointer : h->pointer << 24);
    }
}

size_t wi_icmp_quote_len(bool is_v6, size_t len)
{
    size_t room = (is_v6 ? WI_ICMP_ERROR_MAX_V6 : WI_ICMP_ERROR_MAX_V4) - wi_ip_hdr_len(is_v6) - WI_ICMP_HDR;

    return len < room ? len : room;
}

void wi_icmp_seal(uint8_t *p, size_t len, bool is_v6, const struct weir_addr *src, const struct weir_addr *dst)
{
    uint64_t sum = is_v6 ? wi_ip_pseudo_csum(src, dst, WI_IP_ICMPV6, (uint32_t)len) : 0;

    wi_put16(p + WI_ICMP_CSUM_OFF, 0);
    wi_put16(p + WI_ICMP_CSUM_OFF, wi_csum_finish(wi_csum_add(sum, p, len)));
}
