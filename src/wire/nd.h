/*
 * Neighbour discovery for IPv6 (RFC 4861): solicitations and advertisements of neighbours and routers, with the
 * validity checks of sections 6.1, 7.1 and RFC 6980. The neighbour and router state belongs to net.
 */
#ifndef WI_WIRE_ND_H
#define WI_WIRE_ND_H

#include "wire/ip.h"

#define WI_ND_HOP_LIMIT  255
#define WI_ND_PREFIX_MAX 8 /* in one router advertisement; more are ignored */

/* The longest that wi_nd_put writes: a router advertisement with everything. */
#define WI_ND_LEN_MAX (16 + 8 + 8 + 32 * WI_ND_PREFIX_MAX)

enum wi_nd_type {
    WI_ND_ROUTER_SOLICIT = 133,
    WI_ND_ROUTER_ADVERT = 134,
    WI_ND_NEIGH_SOLICIT = 135,
    WI_ND_NEIGH_ADVERT = 136,
};

/* Prefix information, RFC 4861 4.6.2. */
struct wi_nd_prefix {
    struct weir_addr prefix;
    uint8_t len_bits; /* at most 128 */
    bool is_on_link;
    bool is_autonomous;
    uint32_t valid_s; /* UINT32_MAX: for ever */
    uint32_t preferred_s;
};

struct wi_nd {
    enum wi_nd_type type;
    bool has_ll; /* source link-layer address; in NEIGH_ADVERT: the target's */
    uint8_t ll[6];

    /* NEIGH_SOLICIT, NEIGH_ADVERT */
    struct weir_addr target;
    bool is_router;
    bool is_solicited;
    bool is_override;

    /* ROUTER_ADVERT */
    uint8_t cur_hop_limit; /* 0: not said */
    bool is_managed;
    bool is_other_config;
    uint16_t router_lifetime_s; /* 0: no default router */
    uint32_t reachable_ms;      /* 0: not said */
    uint32_t retrans_ms;        /* 0: not said */
    uint32_t mtu;               /* 0: not said */
    uint8_t prefix_n;
    struct wi_nd_prefix prefixes[WI_ND_PREFIX_MAX];
};

/*
 * Read a neighbour discovery message; `ip` is the packet's, `p` its ICMPv6 header, len = lin_len: it must be
 * contiguous. The checksum has been verified. On a drop reason *out is left alone. ND_*, ICMP_TYPE, ICMP_REDIRECT.
 */
enum weir_drop wi_nd_parse(struct wi_nd *out, const struct wi_ip *ip, const uint8_t *p, size_t len);

/* Write the message from its ICMPv6 header on, checksum field 0 (then wi_icmp_seal). Returns its length, at most
 * WI_ND_LEN_MAX. */
size_t wi_nd_put(uint8_t *p, const struct wi_nd *);

/* ff02::1:ffXX:XXXX, where solicitations for `target` go. RFC 4291 2.7.1. */
struct weir_addr wi_nd_solicited_node(const struct weir_addr *target);

#endif
