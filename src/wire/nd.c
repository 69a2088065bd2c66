/*
 * Neighbour discovery messages: RFC 4861 4, 6.1, 7.1; RFC 6980.
 */
#include "wire/nd.h"
#include "base/bytes.h"
#include "base/str.h"

#define LEN_RS 8
#define LEN_RA 16
#define LEN_NS 24 /* and of an advertisement */

#define RA_MANAGED      0x80
#define RA_OTHER_CONFIG 0x40

#define NA_ROUTER    0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE  0x20

#define PREFIX_ON_LINK    0x80
#define PREFIX_AUTONOMOUS 0x40

enum { OPT_SOURCE_LL = 1, OPT_TARGET_LL = 2, OPT_PREFIX = 3, OPT_MTU = 5 };
enum { OPT_LL_LEN = 8, OPT_PREFIX_LEN = 32, OPT_MTU_LEN = 8 };

#define ICMP_TYPE_REDIRECT 137

/* ff02::1:ff00:0/104 */
static const uint8_t solicited_node_prefix[13] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

struct weir_addr wi_nd_solicited_node(const struct weir_addr *target)
{
    struct weir_addr a = *target;

    memcpy(a.b, solicited_node_prefix, sizeof(solicited_node_prefix));
    return a;
}

static enum weir_drop read_prefix(struct wi_nd *h, const uint8_t *p, size_t len)
{
    if (len != OPT_PREFIX_LEN || p[2] > 128 || h->prefix_n == WI_ND_PREFIX_MAX)
        return WEIR_DROP_NONE; /* RFC 4861 6.3.4: what can't be used is skipped */
    h->prefixes[h->prefix_n++] = (struct wi_nd_prefix){
        .prefix = wi_addr_get16(p + 16),
        .len_bits = p[2],
        .is_on_link = (p[3] & PREFIX_ON_LINK) != 0,
        .is_autonomous = (p[3] & PREFIX_AUTONOMOUS) != 0,
        .valid_s = wi_get32(p + 4),
        .preferred_s = wi_get32(p + 8),
    };
    return WEIR_DROP_NONE;
}

static enum weir_drop read_ll(struct wi_nd *h, const uint8_t *p, size_t len)
{
    if (len != OPT_LL_LEN)
        return WEIR_DROP_ND_OPTION; /* Ethernet's addresses are this long: RFC 2464 6 */
    h->has_ll = true;
    memcpy(h->ll, p + 2, sizeof(h->ll));
    return WEIR_DROP_NONE;
}

static enum weir_drop read_option(struct wi_nd *h, const uint8_t *p, size_t len)
{
    uint8_t ll_opt = h->type == WI_ND_NEIGH_ADVERT ? OPT_TARGET_LL : OPT_SOURCE_LL;
    bool is_ra = h->type == WI_ND_ROUTER_ADVERT;

    if (p[0] == ll_opt)
        return read_ll(h, p, len);
    if (p[0] == OPT_PREFIX && is_ra)
        return read_prefix(h, p, len);
    if (p[0] == OPT_MTU && is_ra && len == OPT_MTU_LEN)
        h->mtu = wi_get32(p + 4);
    return WEIR_DROP_NONE; /* RFC 4861 9: unknown options, and those of other messages, are ignored */
}

static enum weir_drop read_options(struct wi_nd *h, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        if (len - i < 2)
            return WEIR_DROP_ND_OPTION;
        size_t opt_len = (size_t)p[i + 1] * 8;
        if (opt_len == 0 || opt_len > len - i)
            return WEIR_DROP_ND_OPTION;
        enum weir_drop why = read_option(h, p + i, opt_len);
        if (why != WEIR_DROP_NONE)
            return why;
        i += opt_len;
    }
    return WEIR_DROP_NONE;
}

static size_t fixed_len(uint8_t type)
{
    switch (type) {
    case WI_ND_ROUTER_SOLICIT: return LEN_RS;
    case WI_ND_ROUTER_ADVERT: return LEN_RA;
    default: return LEN_NS;
    }
}

static void read_fixed(struct wi_nd *h, const uint8_t *p)
{
    switch (h->type) {
    case WI_ND_ROUTER_SOLICIT: break;
    case WI_ND_ROUTER_ADVERT:
        h->cur_hop_limit = p[4];
        h->is_managed = (p[5] & RA_MANAGED) != 0;
        h->is_other_config = (p[5] & RA_OTHER_CONFIG) != 0;
        h->router_lifetime_s = wi_get16(p + 6);
        h->reachable_ms = wi_get32(p + 8);
        h->retrans_ms = wi_get32(p + 12);
        break;
    case WI_ND_NEIGH_ADVERT:
        h->is_router = (p[4] & NA_ROUTER) != 0;
        h->is_solicited = (p[4] & NA_SOLICITED) != 0;
        h->is_override = (p[4] & NA_OVERRIDE) != 0;
        h->target = wi_addr_get16(p + 8);
        break;
    case WI_ND_NEIGH_SOLICIT: h->target = wi_addr_get16(p + 8); break;
    }
}

/* A solicitation from the unspecified address is a probe for a duplicate: it goes to the group, and names no link
 * address. RFC 4861 7.1.1. */
static enum weir_drop check_neigh_solicit(const struct wi_nd *h, const struct wi_ip *ip)
{
    if (!weir_addr_is_any(&ip->src))
        return WEIR_DROP_NONE;
    if (memcmp(ip->dst.b, solicited_node_prefix, sizeof(solicited_node_prefix)) != 0)
        return WEIR_DROP_ND_DST;
    return h->has_ll ? WEIR_DROP_ND_OPTION : WEIR_DROP_NONE;
}

/* What depends on the message's kind: RFC 4861 6.1.1, 6.1.2, 7.1.1, 7.1.2. */
static enum weir_drop check_message(const struct wi_nd *h, const struct wi_ip *ip)
{
    switch (h->type) {
    case WI_ND_ROUTER_SOLICIT: return weir_addr_is_any(&ip->src) && h->has_ll ? WEIR_DROP_ND_OPTION : WEIR_DROP_NONE;
    case WI_ND_ROUTER_ADVERT: return weir_addr_is_linklocal(&ip->src) ? WEIR_DROP_NONE : WEIR_DROP_ND_SRC;
    case WI_ND_NEIGH_SOLICIT:
        return weir_addr_is_multicast(&h->target) ? WEIR_DROP_ND_TARGET : check_neigh_solicit(h, ip);
    case WI_ND_NEIGH_ADVERT:
        if (weir_addr_is_multicast(&h->target))
            return WEIR_DROP_ND_TARGET;
        return h->is_solicited && weir_addr_is_multicast(&ip->dst) ? WEIR_DROP_ND_DST : WEIR_DROP_NONE;
    }
    return WEIR_DROP_ICMP_TYPE;
}

enum weir_drop wi_nd_parse(struct wi_nd *out, const struct wi_ip *ip, const uint8_t *p, size_t len)
{
    if (len < LEN_RS)
        return WEIR_DROP_ND_SHORT;
    if (p[0] == ICMP_TYPE_REDIRECT)
        return WEIR_DROP_ICMP_REDIRECT;
    if (p[0] < WI_ND_ROUTER_SOLICIT || p[0] > WI_ND_NEIGH_ADVERT)
        return WEIR_DROP_ICMP_TYPE;
    if (ip->has_frag_hdr)
        return WEIR_DROP_ND_FRAGMENT;
    if (ip->ttl != WI_ND_HOP_LIMIT)
        return WEIR_DROP_ND_HOP_LIMIT;
    if (p[1] != 0)
        return WEIR_DROP_ND_CODE;
    if (len < fixed_len(p[0]))
        return WEIR_DROP_ND_SHORT;

    struct wi_nd h = {.type = (enum wi_nd_type)p[0]};
    read_fixed(&h, p);
    enum weir_drop why = read_options(&h, p + fixed_len(p[0]), len - fixed_len(p[0]));
    if (why == WEIR_DROP_NONE)
        why = check_message(&h, ip);
    if (why == WEIR_DROP_NONE)
        *out = h;
    return why;
}

static size_t put_prefix(uint8_t *p, const struct wi_nd_prefix *pfx)
{
    memset(p, 0, OPT_PREFIX_LEN);
    p[0] = OPT_PREFIX;
    p[1] = OPT_PREFIX_LEN / 8;
    p[2] = pfx->len_bits;
    p[3] = (uint8_t)((pfx->is_on_link ? PREFIX_ON_LINK : 0) | (pfx->is_autonomous ? PREFIX_AUTONOMOUS : 0));
    wi_put32(p + 4, pfx->valid_s);
    wi_put32(p + 8, pfx->preferred_s);
    memcpy(p + 16, pfx->prefix.b, sizeof(pfx->prefix.b));
    return OPT_PREFIX_LEN;
}

static size_t put_options(uint8_t *p, const struct wi_nd *h)
{
    size_t len = 0;

    if (h->has_ll) {
        p[0] = h->type == WI_ND_NEIGH_ADVERT ? OPT_TARGET_LL : OPT_SOURCE_LL;
        p[1] = OPT_LL_LEN / 8;
        memcpy(p + 2, h->ll, sizeof(h->ll));
        len += OPT_LL_LEN;
    }
    if (h->type != WI_ND_ROUTER_ADVERT)
        return len;
    if (h->mtu) {
        wi_put32(p + len, (uint32_t)OPT_MTU << 24 | (uint32_t)(OPT_MTU_LEN / 8) << 16);
        wi_put32(p + len + 4, h->mtu);
        len += OPT_MTU_LEN;
    }
    for (unsigned i = 0; i < h->prefix_n; i++)
        len += put_prefix(p + len, &h->prefixes[i]);
    return len;
}

static void put_fixed(uint8_t *p, const struct wi_nd *h)
{
    switch (h->type) {
    case WI_ND_ROUTER_SOLICIT: break;
    case WI_ND_ROUTER_ADVERT:
        p[4] = h->cur_hop_limit;
        p[5] = (uint8_t)((h->is_managed ? RA_MANAGED : 0) | (h->is_other_config ? RA_OTHER_CONFIG : 0));
        wi_put16(p + 6, h->router_lifetime_s);
        wi_put32(p + 8, h->reachable_ms);
        wi_put32(p + 12, h->retrans_ms);
        break;
    case WI_ND_NEIGH_ADVERT:
        p[4] = (uint8_t)((h->is_router ? NA_ROUTER : 0) | (h->is_solicited ? NA_SOLICITED : 0) |
                         (h->is_override ? NA_OVERRIDE : 0));
        memcpy(p + 8, h->target.b, sizeof(h->target.b));
        break;
    case WI_ND_NEIGH_SOLICIT: memcpy(p + 8, h->target.b, sizeof(h->target.b)); break;
    }
}

size_t wi_nd_put(uint8_t *p, const struct wi_nd *h)
{
    size_t len = fixed_len((uint8_t)h->type);

    memset(p, 0, len);
    p[0] = (uint8_t)h->type;
    put_fixed(p, h);
    return len + put_options(p + len, h);
}
