/*
 * IPv4 and IPv6 headers, decoded into one struct, so that nothing above has a second copy for the other version.
 *
 * Owns: RFC 791 with options, RFC 8200 with its extension headers, the pseudo-header sum. Which addresses are ours or
 * martian, and what to do with a fragment, is net's business.
 *
 * A received packet need not be contiguous: `lin_len` says how many bytes there are at `p`, `len` how long the whole
 * packet is. All headers must lie within lin_len; what is cut off there is as short as if the packet ended.
 */
#ifndef WI_WIRE_IP_H
#define WI_WIRE_IP_H

#include <weir/drop.h>
#include <weir/types.h>

#define WI_IPV4_HDR       20 /* without options */
#define WI_IPV4_HDR_MAX   60
#define WI_IPV6_HDR       40
#define WI_IPV6_FRAG_HDR  8
#define WI_IP_ALERT_LEN_4 4 /* router alert option */
#define WI_IP_ALERT_LEN_6 8 /* hop-by-hop header with a router alert */
#define WI_IP_TOTAL_MAX   65535
#define WI_IPV6_MTU_MIN   1280 /* RFC 8200 5 */
#define WI_IPV4_MTU_MIN   68   /* RFC 791 3.2 */

enum wi_ip_proto {
    WI_IP_HOPOPTS = 0,
    WI_IP_ICMP = 1,
    WI_IP_IGMP = 2,
    WI_IP_TCP = 6,
    WI_IP_UDP = 17,
    WI_IP_ROUTING = 43,
    WI_IP_FRAGMENT = 44,
    WI_IP_ICMPV6 = 58,
    WI_IP_NONE = 59,
    WI_IP_DSTOPTS = 60,
};

enum wi_ip_ecn { WI_ECN_NOT_ECT = 0, WI_ECN_ECT1 = 1, WI_ECN_ECT0 = 2, WI_ECN_CE = 3 };

/* An ICMP parameter problem that the drop obliges us to send, unless the general rules forbid it (RFC 8200 4.2, RFC
 * 4443 2.4). */
struct wi_ip_owed {
    bool is_owed;
    bool even_if_multicast; /* option action bits 10: also when the destination is multicast */
    uint8_t code;           /* of ICMPv6 type 4 */
    uint32_t pointer;       /* offset of the offending byte from the IP header's start */
};

/* A received packet's headers. Offsets count from the IP header's first byte. */
struct wi_ip {
    struct weir_addr src;
    struct weir_addr dst;
    bool is_v6;
    bool df; /* IPv4 Don't Fragment; always true for IPv6 */
    bool mf;
    bool is_frag; /* part of a datagram: l4_off, l4_len delimit its piece, `proto` is what the pieces together hold */
    bool has_frag_hdr; /* an IPv6 fragment header was there, an atomic one included (RFC 6946); net sets it on what it
                          reassembled */
    bool is_router_alert; /* RFC 2113, RFC 2711 */
    uint8_t proto;        /* enum wi_ip_proto: the upper protocol, after all extension headers */
    uint8_t ttl;          /* or hop limit */
    uint8_t tos;          /* or traffic class, whole: DSCP and ECN */
    uint8_t ecn;          /* enum wi_ip_ecn: its two low bits */
    uint32_t flow_label;  /* IPv6, else 0 */
    uint32_t frag_id;     /* IPv4 identification; IPv6: of the fragment header, else 0 */
    uint32_t frag_off;    /* bytes */
    uint32_t total_len;   /* of the datagram; what the packet holds beyond it is link padding */
    uint32_t hdr_len;     /* IPv4: options included. IPv6: 40 */
    uint32_t proto_off;   /* offset of the byte that holds `proto` (for parameter problem: unknown next header) */
    uint32_t unfrag_len;  /* IPv6: where the fragment header lies, or hdr_len */
    uint32_t l4_off;
    uint32_t l4_len;
    struct wi_ip_owed owed;
};

/*
 * Read an IPv4 or IPv6 header, by its version field, and walk IPv6 extension headers to the upper protocol.
 *
 * check_csum  false when the link has checked the IPv4 header's sum
 *
 * On WEIR_DROP_NONE *out is whole. On a drop it is zeroed, but when out->owed.is_owed: then all that the base header
 * says is there too, so that the ICMP error can be made. Cost: linear in the headers, at most 16 of them and 64
 * options. IP_*, IPV4_*, IPV6_*, FRAG_TINY.
 */
enum weir_drop wi_ip_parse(struct wi_ip *out, const uint8_t *p, size_t lin_len, size_t len, bool check_csum);

/*
 * Read the headers of a packet that an ICMP error quotes: cut off anywhere, its lengths and sums believed by nobody
 * (RFC 1122 3.2.2). In *out: addresses, proto, ttl, tos, the fragment fields, l4_off, and as l4_len the bytes of the
 * transport header and payload that are there: 0 when the quote ends before, or is of a later fragment. False: no IP
 * header.
 */
bool wi_ip_skim(struct wi_ip *out, const uint8_t *p, size_t len);

/* A header to be written. */
struct wi_ip_out {
    struct weir_addr src;
    struct weir_addr dst;
    bool is_v6;
    bool df;           /* IPv4 */
    bool mf;           /* a fragment that is not the last */
    bool router_alert; /* IGMP and MLD carry it: RFC 3376 4, RFC 3810 5 */
    uint8_t proto;
    uint8_t ttl;
    uint8_t tos;
    uint32_t flow_label; /* IPv6 */
    uint32_t frag_id;    /* IPv4: 16 bits, always written. IPv6: written when mf or frag_off */
    uint32_t frag_off;   /* bytes, a multiple of 8 */
    uint32_t l4_len; /* what follows the headers; with them at most WI_IP_TOTAL_MAX (IPv6: without the base header) */
};

static inline size_t wi_ip_hdr_len(bool is_v6)
{
    return is_v6 ? WI_IPV6_HDR : WI_IPV4_HDR;
}

/* What wi_ip_put will write: the base header, a router alert, a fragment header. */
size_t wi_ip_out_len(const struct wi_ip_out *);

/* Write the header, IPv4 checksum included. Returns its length, wi_ip_out_len. */
size_t wi_ip_put(uint8_t *p, const struct wi_ip_out *);

/*
 * The pseudo-header's sum, not complemented and folded to 16 bits: what a transport checksum starts from, and what its
 * field holds when the rest is left to the driver (WEIR_PKT_CSUM_PARTIAL). `len` is that of the transport header and
 * its payload. RFC 9293 3.1, RFC 8200 8.1. One code path: a mapped address's constant prefix adds 0xffff twice, which
 * one's complement does not see.
 */
uint16_t wi_ip_pseudo_csum(const struct weir_addr *src, const struct weir_addr *dst, uint8_t proto, uint32_t len);

/* The mapped form of four bytes, and back. */
struct weir_addr wi_addr_get4(const uint8_t *p);
void wi_addr_put4(uint8_t *p, const struct weir_addr *);
struct weir_addr wi_addr_get16(const uint8_t *p);

#endif
