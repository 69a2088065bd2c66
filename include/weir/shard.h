/*
 * More cores than one: a host as shards. Each is a whole stack with a thread of its own, they share nothing, and a
 * packet goes to the one that its flow belongs to. Which one that is all of them know by the same pure function, which
 * a device's queues can be told as well: receive side scaling's hash.
 *
 *   TCP                      by the four-tuple's hash. A connect of a shard takes a local port with which the answers
 *                            come back to it; a listener is opened on each shard, as SO_REUSEPORT would spread it.
 *   UDP to a port of the     to the shard port % shard_n: such a socket was given its port by its shard, and talks with
 *   ephemeral range          many. To another port: by the four-tuple's hash, so each shard has a socket there.
 *   DHCP's answers           (ports 68 and 546) to the first shard, where its owner runs the client.
 *   ICMP errors              to the flow whose packet they quote.
 *   fragments, all else      by the hash of the two addresses; what has been put together is passed on
 * (weir_shard.pass). ARP, neighbour and       to all. Of these the first shard alone answers what wants one answer.
 *   router discovery,
 *   groups, broadcasts
 *
 * The owner gives each shard the same interface (link address, MTU), addresses, routes and tunables, the same
 * tcp_fastopen_key among them, since a cookie is good for every port. Limits and rates count for each shard by itself.
 *
 * Who carries packets between shards, where a device could not, is the owner: src/io/shards.h for those who use weir's
 * drivers. docs/shards.md tells all of it.
 */
#ifndef WEIR_SHARD_H
#define WEIR_SHARD_H

#include <weir/pkt.h>
#include <weir/stack.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_RSS_KEY_LEN 40
#define WEIR_RSS_TABLE_N 128 /* entries of a device's indirection table that maps hashes to queues: i % shard_n */
#define WEIR_SHARDS_MAX  64
#define WEIR_SHARD_ALL   UINT32_MAX

/* The same for all shards of a host, and never written while they run. Its members are for weir_rss_init to fill. */
struct weir_rss {
    uint32_t parts[2 * (WEIR_RSS_KEY_LEN - 4)][16]; /* what each half byte at each place adds to the hash */
    uint32_t shard_n;
    uint16_t port_min, port_max; /* the ephemeral range: Linux's, 32768-60999. Who changes ip_local_port_range changes
                                    these */
};

/* The verification suite's of Microsoft's specification, which many devices begin with. */
extern const uint8_t weir_rss_key_microsoft[WEIR_RSS_KEY_LEN];

/* 0x6d5a again and again: both directions of a flow have the same hash (Woo and Park, 2012), for whoever sees both: a
 * middlebox, or two sharded hosts side by side. It has 16 bits to choose from, the other one 32. */
extern const uint8_t weir_rss_key_symmetric[WEIR_RSS_KEY_LEN];

/*
 * Prepare for a key and a number of shards (1 to WEIR_SHARDS_MAX).
 *
 * key   NULL: weir_rss_key_microsoft. A secret one keeps peers from choosing flows that all meet at one shard, where
 *       the device can be told it (ethtool -X) or the shards pass packets on themselves
 *
 * 0, or -EINVAL.
 */
int weir_rss_init(struct weir_rss *, const uint8_t key[WEIR_RSS_KEY_LEN], unsigned shard_n);

/* The Toeplitz hash of a packet from src to dst: RSS's types TCP_IPV4 and TCP_IPV6, and without ports IPV4 and IPV6. */
uint32_t weir_rss_hash(const struct weir_rss *, const struct weir_sockaddr *src, const struct weir_sockaddr *dst);
uint32_t weir_rss_hash_addrs(const struct weir_rss *, const struct weir_addr *src, const struct weir_addr *dst);

/* The shard that a hash belongs to. */
static inline unsigned weir_rss_shard(const struct weir_rss *r, uint32_t hash)
{
    return hash % WEIR_RSS_TABLE_N % r->shard_n;
}

/*
 * Which shard is this received packet for?
 *
 * pkt   from its link-layer header on, as for weir_input. Nothing in it is believed beyond what is there
 *
 * Returns its number, or WEIR_SHARD_ALL. What makes no sense goes to the first, which will count it. Cost: O(1), and no
 * write to memory that others see.
 */
unsigned weir_steer(const struct weir_rss *, enum weir_link_type, const struct weir_pkt *pkt);

/* The same of bytes, of which the first 256 are looked at. */
unsigned weir_steer_bytes(const struct weir_rss *, enum weir_link_type, const void *bytes, size_t len);

/* What weir_config.shard says to a stack. */
struct weir_shard {
    const struct weir_rss *rss; /* must outlive the stack */
    unsigned index;             /* below rss->shard_n */

    /*
     * A datagram that came in fragments, put together, is of another shard's flow: have it go into weir_input there, at
     * the interface of the same place. `pkt` is lent. Called from within the stack's calls; it must not call into a
     * stack. NULL: it is dropped.
     */
    void (*pass)(void *ctx, unsigned shard, int netif, const struct weir_pkt *pkt);
    void *pass_ctx;
};

/* A counter (weir_stat_get) of all n stacks together. No other thread may be inside one of them. 0 or -ENOENT. */
int weir_shards_stat(const struct weir *const *stacks, unsigned n, const char *name, uint64_t *sum);

#ifdef __cplusplus
}
#endif
#endif
