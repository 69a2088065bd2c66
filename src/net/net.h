/*
 * The network layer as the transports see it: where a destination lies, how a packet leaves, and how packets and ICMP
 * errors arrive. IPv4 and IPv6 are one here: an address says which header it gets.
 */
#ifndef WI_NET_NET_H
#define WI_NET_NET_H

#include "base/core.h"
#include "wire/ip.h"

struct wi_net;
struct wi_sk;

/* Where packets to one destination go. A copy that its holder keeps; wi_dst_is_valid tells when to ask anew. */
struct wi_dst {
    struct weir_addr dst;
    struct weir_addr src;
    struct weir_addr next_hop;
    int netif;
    uint32_t generation;
    uint32_t mtu;      /* of the path: the route's, the interface's, or what PMTUD has learnt; IP packet bytes */
    uint32_t link_mtu; /* the interface's */
    uint32_t advmss;   /* from the route, 0: none */
    uint32_t initcwnd; /* from the route, 0: none */
    uint32_t caps;     /* the interface's, enum weir_netif_cap */
    bool is_local;     /* an address of this stack: goes through loopback */
    bool is_broadcast;
    bool is_multicast;
};

/*
 * Find the way. src unspecified: one is chosen (RFC 6724). bound_if 0: any.
 * 0, -ENETUNREACH, -EADDRNOTAVAIL (src is not ours and !any_src), -ENODEV.
 */
int wi_net_route(struct wi_net *, const struct weir_addr *dst, const struct weir_addr *src, int bound_if, bool any_src,
                 struct wi_dst *out);
bool wi_dst_is_valid(const struct wi_net *, const struct wi_dst *);

/* What the transport wants in the IP header. */
struct wi_net_hdr {
    struct weir_addr src, dst;
    uint8_t proto;
    uint8_t ttl; /* 0: the default */
    uint8_t tos;
    bool df; /* don't fragment (IPv4) / never fragment here (IPv6) */
    uint32_t flow_label;
};

/*
 * Send. `pkt` begins at its transport header (which lies in the head whole) and has headroom; its reference is taken in
 * every case. The transport checksum is either complete or owed (WEIR_PKT_CSUM_PARTIAL with the pseudo-header's sum in
 * the field); the interface's needs are met here: segmented and summed unless it can, fragmented unless df. 0,
 * -EMSGSIZE (df and longer than the path's MTU), -ENOBUFS, -ENETDOWN, -EHOSTUNREACH (the neighbour has just failed).
 */
int wi_net_output(struct wi_net *, const struct wi_dst *, const struct wi_net_hdr *, struct weir_pkt *pkt);

/* Forward progress with this peer: its neighbour is reachable (RFC 4861 7.3.1). */
void wi_net_confirm(struct wi_net *, const struct wi_dst *);

/* Is this an address that packets for us may have as destination (unicast)? */
bool wi_net_is_local(const struct wi_net *, const struct weir_addr *);

/* An ICMP error, or a local one (a neighbour that failed), about a packet that we sent. */
struct wi_net_error {
    int err; /* the errno that it maps to (RFC 1122 4.2.3.9, as Linux maps them): EHOSTUNREACH, ECONNREFUSED, EMSGSIZE …
              */
    bool is_hard;  /* protocol, port or administratively unreachable */
    bool is_local; /* ours, not from the network */
    uint8_t type, code;
    uint32_t mtu; /* EMSGSIZE: the next hop's, after sanity checks */
    struct weir_addr offender;
};

/* What a transport registers. `pkt` is lent: take a reference to keep it. */
struct wi_net_proto {
    void *ctx;
    void (*input)(void *ctx, struct weir_pkt *pkt, const struct wi_ip *ip, int netif);
    /* `inner`: our packet's IP header as it came back; l4: at least 8 bytes of its transport header. */
    void (*error)(void *ctx, const struct wi_net_error *, const struct wi_ip *inner, const uint8_t *l4, size_t l4_len);
};
void wi_net_register(struct wi_net *, uint8_t proto, const struct wi_net_proto *);

/* Answer a packet with an ICMP error (unreachable code as for IPv4: host, port, admin), rate-limited. For UDP's closed
 * ports and refused SYNs. */
enum wi_unreach { WI_UNREACH_NET, WI_UNREACH_HOST, WI_UNREACH_PORT, WI_UNREACH_ADMIN };
void wi_net_send_unreach(struct wi_net *, enum wi_unreach, const struct weir_pkt *, const struct wi_ip *, int netif);

#endif
