/*
 * What the files of the network layer know of each other. Nothing outside src/net includes this.
 */
#ifndef WI_NET_NET_INTERNAL_H
#define WI_NET_NET_INTERNAL_H

#include "base/bytes.h"
#include "base/htable.h"
#include "base/list.h"
#include "base/pkt.h"
#include "base/rbtree.h"
#include "net/lpm.h"
#include "net/net.h"
#include "net/sk.h"
#include "wire/eth.h"
#include "wire/icmp.h"

#define WI_NETIF_LOOPBACK 1
#define WI_NETIF_MAX      65536

#define WI_LOOPBACK_MTU 65536 /* as Linux's */
#define WI_XMIT_BATCH   64
#define WI_NET_PROTO_N  4

/* Room to leave before a transport header: Ethernet, IPv6, a fragment or hop-by-hop header. */
#define WI_NET_HEADROOM 64

/* What is asked for contiguous of a packet's start: more than headers of sane length take. */
#define WI_NET_LINEAR 512

/* ---- Queues of packets that are this layer's alone, linked by weir_pkt.next ---- */

struct wi_pktq {
    struct weir_pkt *head, *tail;
    uint32_t n;
};

static inline void wi_pktq_push(struct wi_pktq *q, struct weir_pkt *pkt)
{
    pkt->next = NULL;
    if (q->tail)
        q->tail->next = pkt;
    else
        q->head = pkt;
    q->tail = pkt;
    q->n++;
}

static inline struct weir_pkt *wi_pktq_pop(struct wi_pktq *q)
{
    struct weir_pkt *pkt = q->head;
    if (!pkt)
        return NULL;
    q->head = pkt->next;
    if (!q->head)
        q->tail = NULL;
    q->n--;
    pkt->next = NULL;
    return pkt;
}

/* Put one back before the others. */
static inline void wi_pktq_unpop(struct wi_pktq *q, struct weir_pkt *pkt)
{
    pkt->next = q->head;
    q->head = pkt;
    if (!q->tail)
        q->tail = pkt;
    q->n++;
}

static inline void wi_pktq_clear(struct wi_pktq *q)
{
    for (struct weir_pkt *pkt; (pkt = wi_pktq_pop(q));)
        weir_pkt_unref(pkt);
}

/* ---- Interfaces (netif.c) ---- */

/* IGMP or MLD towards one interface's routers (group.c). */
struct wi_querier {
    uint8_t version;     /* that we speak now */
    weir_ns older_until; /* an older querier was heard: until then its version */
};

struct wi_netif {
    struct wi_net *net;
    int index;
    char name[16];
    enum weir_link_type type;
    uint8_t mac[WI_ETH_ADDR_LEN];
    uint32_t mtu, caps, flags;
    bool is_up, is_loopback;
    const struct weir_netif_ops *ops;
    void *driver;

    struct wi_pktq tx; /* for the driver, each from its link-layer header on */
    uint32_t tx_cap;
    bool is_tx_blocked;  /* the driver took fewer than it was given */
    struct wi_pktq loop; /* for ourselves: input begins at l3_off */
    struct wi_list active_link;

    struct wi_list addrs, routes, neighs, groups; /* by netif_link */
    struct wi_neigh *neigh_last;                  /* the one found last: mostly the next one too */
    weir_ns arp_defended_at;
    struct wi_querier igmp, mld;
    struct wi_ra *ra; /* what router advertisements have taught (ra.c), NULL: nothing */
};

/* The interface, NULL when there is none of that index. */
struct wi_netif *wi_netif_get(const struct wi_net *, int index);

/* The complete packet goes to the driver; its reference is taken. Cut and summed here unless the driver can.
 * 0, -ENETDOWN, -ENOBUFS. */
int wi_netif_send(struct wi_netif *, struct weir_pkt *);

/* The packet, complete from l3_off on, comes in at this same interface; its reference is taken. */
void wi_netif_loop(struct wi_netif *, struct weir_pkt *);

/* ---- Addresses (ifaddr.c) ---- */

enum wi_ifaddr_kind { WI_IFADDR_NONE, WI_IFADDR_LOCAL, WI_IFADDR_BROADCAST };

struct wi_ifaddr {
    struct wi_hnode link;
    struct wi_list netif_link; /* LOCAL */
    enum wi_ifaddr_kind kind;
    struct wi_netif *netif; /* LOCAL */
    struct weir_addr addr;
    uint8_t prefix_len128; /* as of the mapped form, 0-128 */
    bool is_deprecated;    /* RFC 4862 5.5.4 */
    uint32_t refs;         /* BROADCAST: networks that have it */
};

int wi_ifaddrs_init(struct wi_net *);
void wi_ifaddrs_fini(struct wi_net *);
void wi_ifaddrs_flush_netif(struct wi_net *, struct wi_netif *);
struct wi_ifaddr *wi_ifaddr_find(const struct wi_net *, const struct weir_addr *);

/* What an address is to us: one of ours (all of 127.0.0.0/8 is), a broadcast address of IPv4, neither. */
enum wi_ifaddr_kind wi_ifaddr_kind_of(const struct wi_net *, const struct weir_addr *);

/* Is it ours, on this very interface? */
bool wi_ifaddr_is_on(const struct wi_netif *, const struct weir_addr *);

/* RFC 6724 5: the best source towards dst out of netif. False: there is none of that family. */
bool wi_ifaddr_select(const struct wi_net *, const struct wi_netif *, const struct weir_addr *dst,
                      struct weir_addr *src);

/* An address of netif to ask or answer with when talking to `peer` on its link; unspecified when there is none. */
struct weir_addr wi_ifaddr_on_link(const struct wi_netif *, const struct weir_addr *peer);

/* The prefix's length in the mapped form. */
static inline unsigned wi_prefix_len128(const struct weir_addr *addr, unsigned len)
{
    return weir_addr_is_v4(addr) ? len + 96 : len;
}
struct weir_addr wi_addr_mask(const struct weir_addr *, unsigned len128);
unsigned wi_addr_common_len(const struct weir_addr *, const struct weir_addr *);

/* ---- Routes (route.c) ---- */

struct wi_route {
    struct wi_list node_link, netif_link;
    struct wi_route_node *node;
    struct weir_route r;
    bool is_from_addr; /* came with an address, goes with it */
};

int wi_routes_init(struct wi_net *);
void wi_routes_fini(struct wi_net *);
void wi_routes_flush_netif(struct wi_net *, struct wi_netif *);
int wi_route_insert(struct wi_net *, const struct weir_route *, bool is_from_addr);
int wi_route_remove(struct wi_net *, const struct weir_route *, bool is_from_addr);

/* ---- Neighbours (neigh.c: the state machine; arp.c, nd.c: its messages) ---- */

struct wi_neigh {
    struct wi_hnode link;
    struct wi_list netif_link, age_link;
    struct wi_netif *netif;
    struct weir_addr addr;
    enum weir_neigh_state state;
    uint8_t mac[WI_ETH_ADDR_LEN];
    bool is_router;  /* IPv6 */
    bool is_gateway; /* packets for others went through it */
    uint8_t probe_n;
    struct wi_timer timer;
    struct wi_pktq queue; /* INCOMPLETE: from the IP header on */
    weir_ns confirmed_at;
    weir_ns reachable_for;
};

int wi_neighs_init(struct wi_net *);
void wi_neighs_fini(struct wi_net *);
void wi_neighs_flush_netif(struct wi_net *, struct wi_netif *);
struct wi_neigh *wi_neigh_find(const struct wi_netif *, const struct weir_addr *);

/* An IP packet to a unicast next hop on this Ethernet, which is not its destination if it is a gateway; its reference
 * is taken. 0 (sent, or it waits), -EHOSTUNREACH, -ENOBUFS, -ENETDOWN. */
int wi_neigh_output(struct wi_netif *, const struct weir_addr *next_hop, bool is_gateway, struct weir_pkt *);

/* What a message says about a neighbour. */
struct wi_neigh_news {
    const uint8_t *mac; /* NULL: not said */
    bool is_solicited;  /* it answers us */
    bool is_override;
    bool may_create; /* it asked for us: remember it as STALE */
    bool has_router, is_router;
};

/* RFC 4861 7.2.5 and appendix C. False: there is no such entry, and none was made. */
bool wi_neigh_update(struct wi_netif *, const struct weir_addr *, const struct wi_neigh_news *);

/* A message from `netif` with an Ethernet header before the IP header: link is its destination. */
int wi_eth_send(struct wi_netif *, const uint8_t dst[WI_ETH_ADDR_LEN], uint16_t type, struct weir_pkt *);

void wi_arp_input(struct wi_netif *, struct weir_pkt *, const struct wi_eth *);
int wi_arp_request(struct wi_netif *, const struct weir_addr *target, const struct weir_addr *src,
                   const uint8_t *mac_or_null);
void wi_nd_input(struct wi_netif *, struct weir_pkt *, const struct wi_ip *);
int wi_nd_solicit(struct wi_netif *, const struct weir_addr *target, const struct weir_addr *src, bool is_unicast);

/* ---- Input and output (input.c, output.c) ---- */

/* A received IP packet on its way up. */
struct wi_rx {
    struct wi_netif *netif;
    bool is_link_group; /* came in a link-layer broadcast or multicast */
    bool is_loop;       /* never left this host */
    bool is_reassembled;
};

void wi_ip_input(struct wi_net *, struct weir_pkt *, const struct wi_rx *);

/* A packet from its link-layer header on, and a batch of them through receive offload (gro.c). The caller keeps its
 * references. */
void wi_link_input(struct wi_netif *, struct weir_pkt *);
void wi_gro_input(struct wi_netif *, struct weir_pkt **pkts, unsigned n);

/* `want` contiguous bytes from the packet's start, or as many as there are. Returns them; *len says how many. */
const uint8_t *wi_pkt_linear(struct weir_pkt *, size_t want, size_t *len);

/* A message of this layer's own (ICMP, IGMP, MLD, ND) that begins at its l4 header: IP header, then out of this very
 * interface to next_hop. The reference is taken. */
int wi_ip_send(struct wi_netif *, const struct weir_addr *next_hop, const struct wi_ip_out *, struct weir_pkt *);

/* A packet of `len` contiguous bytes for such a message; *data is where they go. NULL: no memory. */
struct weir_pkt *wi_msg_new(struct wi_net *, size_t len, uint8_t **data);

/* The sum of a packet's bytes [off, off + len), as wi_csum_add. */
uint64_t wi_pkt_csum(const struct weir_pkt *, size_t off, size_t len);

/* The sum of addresses and protocol, from an IP header as it stands, with neither options nor extensions. */
uint64_t wi_hdr_pseudo_csum(const uint8_t *ip);

/* The next frame of a cut that is not over, as a packet that views its payload. NULL: no memory, and nothing more can
 * be had of the cut. */
struct weir_pkt *wi_cut_view(struct weir_cut *, struct weir_pool *);

/* ---- Reassembly (frag.c) ---- */

int wi_frags_init(struct wi_net *);
void wi_frags_fini(struct wi_net *);
void wi_frags_flush_netif(struct wi_net *, struct wi_netif *);
void wi_frag_input(struct wi_net *, struct weir_pkt *, const struct wi_ip *, const struct wi_rx *);

/* ---- ICMP (icmp.c) and path MTU (pmtu.c) ---- */

void wi_icmp_input(struct wi_net *, struct weir_pkt *, const struct wi_ip *, const struct wi_rx *);

/* An ICMP error about a packet, unless it is one that must not be answered. */
struct wi_icmp_owed {
    enum wi_icmp_kind kind;
    uint8_t code;
    uint32_t pointer;
    bool even_if_multicast;
};
void wi_icmp_send_error(struct wi_net *, const struct wi_icmp_owed *, const struct weir_pkt *, const struct wi_ip *,
                        const struct wi_rx *);

int wi_pmtus_init(struct wi_net *);
void wi_pmtus_fini(struct wi_net *);
uint32_t wi_pmtu_get(const struct wi_net *, const struct weir_addr *dst, uint32_t link_mtu);

/* ---- Multicast (group.c) ---- */

struct wi_group {
    struct wi_hnode link;
    struct wi_list netif_link;
    struct wi_netif *netif;
    struct weir_addr addr;
    uint32_t refs;       /* 0: only the leave's repetition is owed */
    uint8_t report_n;    /* unsolicited ones still to send */
    bool is_answer_owed; /* to a query */
    bool is_last_reporter;
    struct wi_timer timer;
};

int wi_groups_init(struct wi_net *);
void wi_groups_fini(struct wi_net *);
void wi_groups_netif_up(struct wi_netif *);
void wi_groups_flush_netif(struct wi_net *, struct wi_netif *);
bool wi_group_is_joined(const struct wi_net *, const struct wi_netif *, const struct weir_addr *);
void wi_igmp_input(struct wi_net *, struct weir_pkt *, const struct wi_ip *, const struct wi_rx *);
void wi_mld_input(struct wi_net *, struct weir_pkt *, const struct wi_ip *, const struct wi_rx *);

/* ---- The layer ---- */

#define WI_ICMP_BUCKET_N 256

struct wi_icmp_bucket {
    weir_ns full_at; /* the token bucket as the time at which it will be full again */
};

/* Addresses of a packet that were found good, for the next of the same pair: one look instead of two lookups. */
struct wi_net_judged {
    struct weir_addr src, dst;
    uint32_t generation; /* of wi_net; 0: none */
    int netif;
};

enum { WI_NET_JUDGED_N = 64 };

/* What wi_net_route was asked and found; of use while way.generation is wi_net's. */
struct wi_net_asked {
    struct weir_addr dst, src;
    int bound_if;
    bool any_src;
    struct wi_dst way;
};

enum { WI_NET_ASKED_N = 64 };

struct wi_net {
    struct wi_core *core;
    uint8_t key[16]; /* of every hash here */
    uint32_t generation;

    struct wi_netif **netifs;       /* by index */
    uint32_t netif_cap, netif_next; /* indices are used again only when there are no others */
    struct wi_list active;          /* netifs with something in tx or loop */
    struct wi_timer flush_timer;

    struct wi_htable addrs, routes, neighs, frags, pmtus, groups;
    struct wi_lpm route_index; /* over `routes` */

    struct wi_list neigh_unresolved, neigh_stale; /* oldest first: what goes when the table is full */

    struct wi_list frag_age; /* oldest first */
    size_t frag_bytes;

    struct wi_list pmtu_age;

    weir_ns icmp_full_at;
    struct wi_icmp_bucket icmp_buckets[WI_ICMP_BUCKET_N];

    struct wi_net_judged judged[WI_NET_JUDGED_N]; /* by the addresses' last bytes: input.c */
    struct wi_net_asked asked[WI_NET_ASKED_N];    /* by the destination's: route.c */

    uint16_t ip_ids[256]; /* RFC 6864: counters by (src, dst, proto) hash */

    struct {
        uint8_t proto;
        struct wi_net_proto p;
    } protos[WI_NET_PROTO_N];
    unsigned proto_n;
};

const struct wi_net_proto *wi_net_proto_find(const struct wi_net *, uint8_t proto);

/* A keyed hash of an address and a number beside it. */
uint64_t wi_net_hash(const struct wi_net *, const struct weir_addr *, uint32_t beside);

/* What wi_dst copies of routes, addresses, interfaces or path MTUs has changed. */
static inline void wi_net_changed(struct wi_net *net)
{
    net->generation++;
}

#endif
