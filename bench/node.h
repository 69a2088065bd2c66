/*
 * What a TCP/IP stack must offer to be measured by stacks.c. A stack joins with one file that fills a struct
 * bench_stack and an entry in the table of stacks.c.
 *
 * A node is one whole instance of a stack, with an address of its own. Two of them are joined in memory, in one process
 * and one thread: a node gathers what its stack sends, and bench_stack.pump hands that to the other. The clock is the
 * harness's and virtual, so a run does the same work each time.
 *
 * A stack that can be a shard (weir/shard.h) is measured on several cores too: in thread k, a shard k of the one host
 * is joined to a shard k of the other.
 */
#ifndef BENCH_NODE_H
#define BENCH_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_join {
    /* A wire of MTU 1,500: each packet is copied into a flat frame of its own, its checksum filled in by the sender's
     * stack and verified by the receiver's. Three copies: in, across, out. */
    BENCH_WIRE,
    /* Packets are handed over by reference, super-segments of up to 64 KiB among them. They leave with their checksum
     * complete, and the receiver does not sum again. Two copies: in and out. */
    BENCH_SUPER,
};

#define BENCH_MTU 1500
#define BENCH_MSS 1460

struct bench_node;

/* Which node: side 0 connects, 1 listens; shard `shard` of shard_n that its host has. */
struct bench_place {
    unsigned side, shard, shard_n;
};

/* A connection, a number of the node's own choice; negative: none. */
typedef int64_t bench_conn;

struct bench_stack {
    const char *name;
    unsigned joins; /* 1 << enum bench_join: those that it can do */

    /* Write "version; options that matter" of the stack. */
    void (*about)(char *buf, size_t cap);

    bool can_share; /* shard_n may be more than 1: nothing that two threads write is in one place */

    /* Make a node. The seed is fixed, so that hash keys and numbers are the same in each run. NULL after saying why on
     * stderr. */
    struct bench_node *(*open)(struct bench_place, enum bench_join);
    void (*join)(struct bench_node *a, struct bench_node *b);
    void (*free)(struct bench_node *a, struct bench_node *b); /* both: one may hold the other's packets */

    void (*advance)(struct bench_node *, uint64_t now_ns); /* run the timers that are due */
    unsigned (*pump)(struct bench_node *); /* give the peer what this node has sent; returns how many packets */

    /* Failures end the program with a message: a benchmark has nothing to do after one. */
    bench_conn (*listen)(struct bench_node *, uint16_t port);
    bench_conn (*connect)(struct bench_node *, uint16_t port);      /* to the peer; with TCP_NODELAY */
    bench_conn (*accept)(struct bench_node *, bench_conn listener); /* with TCP_NODELAY; negative: none waits */
    size_t (*send)(struct bench_node *, bench_conn, const void *, size_t);
    size_t (*recv)(struct bench_node *, bench_conn, void *, size_t); /* 0: nothing is there, or the end */
    void (*close)(struct bench_node *, bench_conn);                  /* in order, with a FIN */

    void (*arm)(struct bench_node *, bench_conn); /* SO_KEEPALIVE, so that a timer is armed for as long as it is open */

    /* What the stack has asked of its allocator and holds. Only differences count. NULL: it can't be told. */
    uint64_t (*mem_bytes)(const struct bench_node *);
};

extern const struct bench_stack bench_weir, bench_weir_ipv6, bench_weir_ethernet, bench_lwip, bench_lwip_avx2,
    bench_kernel;

#endif
