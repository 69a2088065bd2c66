/*
 * ICMP (RFC 792, 1122, 1191) and ICMPv6 (RFC 4443): echo, and the errors with the packet that they quote. Neighbour
 * discovery and MLD ride on ICMPv6 but have codecs of their own (nd.h, mcast.h). Checksums: net verifies them over the
 * whole message.
 */
#ifndef WI_WIRE_ICMP_H
#define WI_WIRE_ICMP_H

#include "base/seq.h"
#include "wire/ip.h"

#define WI_ICMP_HDR      8
#define WI_ICMP_CSUM_OFF 2

/* The whole error, IP header included, is at most this long: RFC 1812 4.3.2.3 (as Linux does), RFC 4443 2.4 (c). */
#define WI_ICMP_ERROR_MAX_V4 576
#define WI_ICMP_ERROR_MAX_V6 1280

/* One name for both versions. */
enum wi_icmp_kind {
    WI_ICMP_ECHO_REQUEST,
    WI_ICMP_ECHO_REPLY,
    WI_ICMP_UNREACH,
    WI_ICMP_TOO_BIG, /* v4: unreachable, fragmentation needed */
    WI_ICMP_TIME_EXCEEDED,
    WI_ICMP_PARAM_PROBLEM,
    WI_ICMP_ND,  /* v6 types 133-136: wi_nd_parse */
    WI_ICMP_MLD, /* v6 types 130-132 and 143: wi_mld_parse */
};

enum wi_icmp_code {
    /* unreachable, v4 (the rest of RFC 1122 3.2.2.1 and RFC 1812 5.2.7.1 are read as plain numbers) */
    WI_ICMP4_NET = 0,
    WI_ICMP4_HOST = 1,
    WI_ICMP4_PROTO = 2,
    WI_ICMP4_PORT = 3,
    WI_ICMP4_FRAG_NEEDED = 4,
    WI_ICMP4_SRC_ROUTE = 5,
    WI_ICMP4_ADMIN = 13,
    /* unreachable, v6 */
    WI_ICMP6_NO_ROUTE = 0,
    WI_ICMP6_ADMIN = 1,
    WI_ICMP6_SCOPE = 2,
    WI_ICMP6_ADDR = 3,
    WI_ICMP6_PORT = 4,
    WI_ICMP6_POLICY = 5,
    WI_ICMP6_REJECT = 6,
    /* time exceeded, both */
    WI_ICMP_TTL = 0,
    WI_ICMP_REASSEMBLY = 1,
    /* parameter problem, v6 */
    WI_ICMP6_FIELD = 0,
    WI_ICMP6_NEXT_HEADER = 1,
    WI_ICMP6_OPTION = 2,
    WI_ICMP6_FIRST_FRAG = 3, /* RFC 7112 */
};

/* The packet that an error quotes, as far as the quote reaches. It is one that we sent: src is ours. */
struct wi_icmp_inner {
    struct wi_ip ip; /* by wi_ip_skim; its offsets count from the quoted IP header, which lies at WI_ICMP_HDR */
    uint32_t
        l4_off; /* of the quoted transport header, from the ICMP header's start; ip.l4_len bytes of it were quoted */
    bool has_ports; /* TCP, UDP: src_port and dst_port were quoted */
    bool has_seq;   /* TCP: so was the sequence number */
    bool has_echo;  /* an echo request: `id` and `echo_seq` were */
    uint16_t src_port;
    uint16_t dst_port;
    uint16_t id;
    uint16_t echo_seq;
    struct wi_seq seq;
};

struct wi_icmp {
    enum wi_icmp_kind kind;
    bool is_v6;
    uint8_t type;               /* as on the wire; wi_icmp_put derives it from `kind` */
    uint8_t code;               /* as on the wire */
    uint16_t id;                /* echo */
    uint16_t echo_seq;          /* echo */
    uint32_t mtu;               /* TOO_BIG; 0 from a v4 router that does not say (RFC 1191 5) */
    uint32_t pointer;           /* PARAM_PROBLEM: offset into the quoted packet */
    struct wi_icmp_inner inner; /* errors only */
};

/* Does it report what became of a packet of ours? */
static inline bool wi_icmp_is_error(enum wi_icmp_kind kind)
{
    return kind == WI_ICMP_UNREACH || kind == WI_ICMP_TOO_BIG || kind == WI_ICMP_TIME_EXCEEDED ||
           kind == WI_ICMP_PARAM_PROBLEM;
}

/*
 * Read an ICMP or ICMPv6 message of `len` bytes, of which lin_len lie at `p`. On a drop reason *out is left alone.
 * ICMP_SHORT, ICMP_TYPE, ICMP_INNER (an error whose quote has no readable IP header), ICMP_REDIRECT, ICMP_QUENCH.
 */
enum weir_drop wi_icmp_parse(struct wi_icmp *out, const uint8_t *p, size_t lin_len, size_t len, bool is_v6);

/*
 * Write the WI_ICMP_HDR bytes of an echo or an error, the checksum field 0. What follows (echo data, the quote) is the
 * caller's; then wi_icmp_seal. `kind` must not be ND or MLD; `type` and `inner` are not looked at.
 */
void wi_icmp_put(uint8_t *p, const struct wi_icmp *);

/* How much of a packet of `len` bytes an error about it may quote, beside an IP header without options. */
size_t wi_icmp_quote_len(bool is_v6, size_t len);

/* Compute and write the checksum of a contiguous message. src and dst count for ICMPv6 only. Also for ND, MLD and
 * (is_v6 false) IGMP. */
void wi_icmp_seal(uint8_t *p, size_t len, bool is_v6, const struct weir_addr *src, const struct weir_addr *dst);

#endif
