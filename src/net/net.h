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
    uint32_t adv_mtu;  /* the route's or the interface's: what peers may be told to send */
    uint32_t advmss;   /* from the route, 0: none */
    uint32_t initcwnd; /* from the route, 0: none */
    uint32_t caps;     /* the interface's, enum weir_netif_cap */
    bool is_local;     /* an address of this stack: goes through loopback */
    bool is_broadcast;
    bool is_multicast;
};

/*
 * Find the way. src NULL or unspecified: one is chosen (RFC 6724). bound_if 0: any. dst unspecified: this host, as on
 * Linux; out->dst is its loopback address then.
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
    uint32_t flow_salt; /* changes the IPv6 flow label: another path where routers balance by it (RFC 6437, RFC 6438) */
    bool df;            /* don't fragment (IPv4) / never fragment here (IPv6) */
    bool mcast_loop;    /* to a group: members on this host hear it too */
    struct weir_pkt **copy; /* NULL, or where a clone of the IP packet goes, the caller's; none where it can't be sent
                               in one piece */
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

/* Nothing comes back from this peer: its neighbour is asked again before it is believed (RFC 1122 3.3.1.4). */
void wi_net_doubt(struct wi_net *, const struct wi_dst *);

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
    /* The transport header is at pkt->l4_off, in ip->l4_len bytes with its payload; it need not be contiguous
     * (weir_pkt_pull), and link padding may follow. The checksum is the transport's to check: wi_net_csum_is_good. */
    void (*input)(void *ctx, struct weir_pkt *pkt, const struct wi_ip *ip, int netif);
    /* `inner`: our packet's IP header as it came back; l4: at least 8 bytes of its transport header. */
    void (*error)(void *ctx, const struct wi_net_error *, const struct wi_ip *inner, const uint8_t *l4, size_t l4_len);
};

/* Is the checksum of this TCP, UDP or ICMPv6 packet right, or vouched for (WEIR_PKT_CSUM_OK)? */
bool wi_net_csum_is_good(const struct weir_pkt *, const struct wi_ip *);

/*
 * A transport has checked that an EMSGSIZE error quotes a packet that is under way: remember the path's MTU. It never
 * grows by this, and expires (RFC 1191 6.3). True when it is news: ask for the route again.
 */
bool wi_net_pmtu_learn(struct wi_net *, const struct weir_addr *dst, uint32_t mtu);

void wi_net_register(struct wi_net *, uint8_t proto, const struct wi_net_proto *);

/* Answer a packet with an ICMP error (unreachable code as for IPv4: host, port, admin), rate-limited. For UDP's closed
 * ports and refused SYNs. */
enum wi_unreach { WI_UNREACH_NET, WI_UNREACH_HOST, WI_UNREACH_PORT, WI_UNREACH_ADMIN };
void wi_net_send_unreach(struct wi_net *, enum wi_unreach, const struct weir_pkt *, const struct wi_ip *, int netif);

/* The interface that has this address, or -ENODEV. */
int wi_net_netif_of_addr(const struct wi_net *, const struct weir_addr *);

/* Is this the limited broadcast address, or that of a network that we are in? */
bool wi_net_is_broadcast(const struct wi_net *, const struct weir_addr *);

/* ---- Multicast membership, counted by interface and group. index 0: where the route to the group leads ---- */

/* 0, -EINVAL (no group), -ENODEV, -ENOMEM. A first join is reported to the routers (IGMP, MLD). */
int wi_net_group_join(struct wi_net *, int index, const struct weir_addr *group);
int wi_net_group_leave(struct wi_net *, int index, const struct weir_addr *group); /* 0, -ENODEV, -EADDRNOTAVAIL */

/* The same on a socket's account: -EADDRINUSE (it is in already), -ENOBUFS (igmp_max_memberships). Its transport calls
 * leave_all when it closes. */
int wi_sk_group_join(struct wi_sk *, int index, const struct weir_addr *group);
int wi_sk_group_leave(struct wi_sk *, int netif, const struct weir_addr *group);
void wi_sk_group_leave_all(struct wi_sk *);

/* ---- For the stack (weir.c): its life, its entries. Each as the function of weir/stack.h that is named like it ----
 */

/* Returns NULL when there is no memory. The loopback interface is there, with its addresses. */
struct wi_net *wi_net_new(struct wi_core *);
void wi_net_free(struct wi_net *); /* after the transports; NULL is fine */

/* What arrived. Replies are queued: wi_net_flush sends them. */
void wi_net_input(struct wi_net *, int index, struct weir_pkt **pkts, unsigned n);

/* At the end of every entry into the stack (input, advance, each socket call): deliver what went to this host, which
 * may make more of it, and hand what is queued to the drivers. */
void wi_net_flush(struct wi_net *);
bool wi_net_is_active(const struct wi_net *); /* has it anything to do? */

int wi_net_netif_add(struct wi_net *, const struct weir_netif_ops *, void *driver, const struct weir_netif_config *);
int wi_net_netif_del(struct wi_net *, int index);
int wi_net_netif_set_up(struct wi_net *, int index, bool up);
int wi_net_netif_set_mtu(struct wi_net *, int index, uint32_t mtu);
void wi_net_netif_tx_ready(struct wi_net *, int index);
int wi_net_netif_by_name(const struct wi_net *, const char *name); /* its index, or -ENODEV */
const char *wi_net_netif_name(const struct wi_net *, int index);   /* NULL: none */

int wi_net_addr_add(struct wi_net *, int index, const struct weir_addr *, unsigned prefix_len);
int wi_net_addr_del(struct wi_net *, int index, const struct weir_addr *);
int wi_net_route_add(struct wi_net *, const struct weir_route *);
int wi_net_route_del(struct wi_net *, const struct weir_route *);
int wi_net_neigh_set(struct wi_net *, int index, const struct weir_addr *, const uint8_t mac[6]);
enum weir_neigh_state wi_net_neigh_state(const struct wi_net *, int index, const struct weir_addr *);

/* NULL, or the first invariant that is broken. Linear in what the layer holds. */
const char *wi_net_check(const struct wi_net *);

#endif
