/*
 * A stack: interfaces, addresses, routes, time. Packets and the clock come in as arguments; packets leave through xmit.
 *
 * One `struct weir` belongs to one thread at a time and shares nothing with any other.
 */
#ifndef WEIR_STACK_H
#define WEIR_STACK_H

#include <weir/event.h>
#include <weir/pkt.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir;
struct weir_shard;

struct weir_config {
    struct weir_alloc alloc; /* required */
    size_t mem_limit;        /* bytes for all of the stack, packets included; 0: no limit */
    weir_ns now;             /* the clock as it stands */
    uint64_t seed;           /* the same seed and the same input give the same packets */

    /* Fills a buffer with secret randomness (initial sequence numbers, ports, hash keys). NULL: derived from `seed`,
     * for simulation only. */
    void (*random)(void *ctx, void *buf, size_t len);
    void *random_ctx;

    uint32_t sockets_max; /* handles; 0: 1 << 22 */

    /* Every event whose kind is in event_mask (1 << enum weir_event_kind). It must not call into the stack. NULL: none.
     */
    void (*on_event)(void *ctx, const struct weir_event *);
    void *event_ctx;
    uint64_t event_mask;

    const char *hostname; /* for traces; copied, cut to 31 bytes; may be NULL */

    const struct weir_shard *shard; /* weir/shard.h; copied. NULL: this stack is all of its host */
};

/* Make a stack with its loopback interface (index 1, 127.0.0.1/8 and ::1/128). NULL: the allocator refused, `cfg` has
 * none, or a shard that there is not. */
struct weir *weir_new(const struct weir_config *cfg);

/* End a stack: sockets vanish without a packet, queued packets are released, all memory goes back to the allocator.
 * NULL is fine. */
void weir_free(struct weir *);

struct weir_pool *weir_stack_pool(struct weir *); /* the pool to make packets and blocks for this stack from */
size_t weir_mem_used(const struct weir *);        /* bytes in use now, packets included */
weir_ns weir_now(const struct weir *);            /* the latest time it was told */
const char *weir_hostname(const struct weir *);

/* ---- Interfaces ---- */

enum weir_link_type { WEIR_LINK_ETHERNET, WEIR_LINK_RAW_IP };

enum weir_netif_cap {
    WEIR_CAP_TSO = 1 << 0,     /* xmit takes super-segments */
    WEIR_CAP_TX_CSUM = 1 << 1, /* xmit takes packets whose transport checksum is owed */
    WEIR_CAP_RX_CSUM = 1 << 2, /* what comes in never needs its transport checksum checked */
};

enum weir_netif_flag {
    WEIR_NETIF_ANY_ADDR = 1 << 0, /* every unicast destination that arrives here is ours: a transparent gateway */
    WEIR_NETIF_NO_GRO = 1 << 1,   /* what comes in stays in the packets that it came in (ethtool -K gro off) */
};

struct weir_netif_ops {
    /*
     * Send up to n packets, each from its link-layer header on. Returns how many were taken, in order: their references
     * are the driver's from then on. The stack keeps the rest in the interface's queue until weir_netif_tx_ready. It
     * must not call into the stack.
     */
    unsigned (*xmit)(void *driver, struct weir_pkt **pkts, unsigned n);
};

struct weir_netif_config {
    const char *name; /* copied, cut to 15 bytes */
    enum weir_link_type type;
    uint8_t mac[6];         /* Ethernet only */
    uint32_t mtu;           /* largest IP packet, bytes; 576-65535 (1280 at least where IPv6 is to run) */
    uint32_t caps;          /* enum weir_netif_cap */
    uint32_t flags;         /* enum weir_netif_flag */
    uint32_t tx_queue_pkts; /* packets kept while the driver takes none; 0: 1,000 */
};

/* Returns the interface's index (2 or more), -EINVAL for a configuration that can't be, -ENOMEM. `ops` must outlive the
 * stack. */
int weir_netif_add(struct weir *, const struct weir_netif_ops *ops, void *driver, const struct weir_netif_config *);
int weir_netif_del(struct weir *, int netif); /* 0 or -ENODEV. Its addresses, routes, neighbours and queue go with it */
int weir_netif_set_up(struct weir *, int netif, bool up);
int weir_netif_set_mtu(struct weir *, int netif, uint32_t mtu);
void weir_netif_tx_ready(struct weir *, int netif); /* the driver has room again */

/*
 * Give the stack received packets.
 *
 * pkts, n    each starts at the link-layer header (raw IP: at the IP header); the stack takes its own reference, the
 * caller keeps its own, but must not change a packet afterwards now        must not run backwards from one call on `w`
 * to the next
 *
 * Does no I/O and takes no lock. Replies leave through the interface's xmit before the call returns. Cost: amortised
 * O(1) a packet. Junk from the network is not the caller's mistake: it is counted under its drop reason (weir_stats).
 * RFC 9293 3.10.7.
 */
void weir_input(struct weir *w, int netif, struct weir_pkt **pkts, unsigned n, weir_ns now);

/* Tell the time: run the timers that are due, send what they owe. */
void weir_advance(struct weir *, weir_ns now);

/* When weir_advance is next needed: exact, WEIR_NEVER when nothing is pending. O(1) amortised. */
weir_ns weir_deadline(const struct weir *);

/* ---- Addresses, routes, neighbours ---- */

/* Add an address with its prefix (and the route to that prefix). 0, -ENODEV, -EINVAL, -EEXIST, -ENOMEM. */
int weir_addr_add(struct weir *, int netif, const struct weir_addr *, unsigned prefix_len);
int weir_addr_del(struct weir *, int netif, const struct weir_addr *);

struct weir_route {
    struct weir_addr dst;
    struct weir_addr gateway; /* unspecified (weir_addr_any): on link */
    struct weir_addr prefsrc; /* unspecified: chosen by RFC 6724 */
    unsigned prefix_len;      /* of dst in its own family: 0-32 or 0-128 */
    int netif;
    uint32_t metric;   /* lower wins among equal prefixes */
    uint32_t mtu;      /* 0: the interface's */
    uint32_t advmss;   /* 0: from the MTU */
    uint32_t initcwnd; /* segments; 0: 10 (RFC 6928) */
};

/* 0, -ENODEV, -EINVAL, -EEXIST, -ENOMEM; weir_route_del: 0 or -ENOENT. */
int weir_route_add(struct weir *, const struct weir_route *);
int weir_route_del(struct weir *, const struct weir_route *);

/* A neighbour's link-layer address that is never asked for nor forgotten (mac NULL: take the entry away). 0, -ENODEV,
 * -ENOMEM, -ENOENT. */
int weir_neigh_set(struct weir *, int netif, const struct weir_addr *, const uint8_t mac[6]);

#define WEIR_NEIGH_LIST(X)    X(NONE) X(INCOMPLETE) X(REACHABLE) X(STALE) X(DELAY) X(PROBE) X(FAILED) X(PERMANENT)
#define WEIR_NEIGH_ENUM(name) WEIR_NEIGH_##name,
enum weir_neigh_state { WEIR_NEIGH_LIST(WEIR_NEIGH_ENUM) };
#undef WEIR_NEIGH_ENUM

/* The state of a neighbour (RFC 4861 7.3.2; the same machine runs ARP), WEIR_NEIGH_NONE when it isn't known. */
enum weir_neigh_state weir_neigh_state(const struct weir *, int netif, const struct weir_addr *);

/* ---- Tunables and counters ---- */

/*
 * Tunables by Linux's names ("net.ipv4.tcp_sack", the prefix may be left out), as text.
 * set: 0; -ENOENT: no such tunable; -EINVAL: not a value of its kind or out of its range; -EACCES: it only tells.
 * get: the length written (without the NUL), or -ENOENT, -ENOBUFS.
 * list: the i-th tunable's name, NULL past the last.
 */
int weir_sysctl_set(struct weir *, const char *name, const char *value);
int weir_sysctl_get(const struct weir *, const char *name, char *buf, size_t cap);
const char *weir_sysctl_name(unsigned i);
const char *weir_sysctl_help(unsigned i); /* what it does, its range and its RFC, a line */

/*
 * Counters. Named as Linux's SNMP MIBs name them ("TcpRetransSegs"), and "drop.<reason>" for each enum weir_drop.
 * get: 0 or -ENOENT. name: the i-th counter's, NULL past the last; buf needs 64 bytes.
 */
int weir_stat_get(const struct weir *, const char *name, uint64_t *value);
const char *weir_stat_name(unsigned i, char *buf, size_t cap);

/* Check every invariant of the stack. NULL, or the first that is broken, in words. For tests, simulators and fuzzers:
 * linear in what the stack holds. */
const char *weir_check(const struct weir *);

#ifdef __cplusplus
}
#endif
#endif
