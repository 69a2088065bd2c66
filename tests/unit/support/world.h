/*
 * Two stacks joined by a link, in virtual time: what a test of whole stacks needs. On the public interface only.
 *
 * Stack 0 ("a") is 10.0.0.1 and fd00::1, stack 1 ("b") 10.0.0.2 and fd00::2. The link keeps order and loses nothing
 * unless the test's `drop` says so. Every step checks the invariants of both stacks, and world_fini that each gave back
 * every byte.
 */
#ifndef TEST_SUPPORT_WORLD_H
#define TEST_SUPPORT_WORLD_H

#include "unit/support/alloc.h"

#include <weir/weir.h>

#define WORLD_START WEIR_SEC(1000)

struct world_opts {
    weir_ns delay; /* of the link, one way */
    uint32_t mtu;  /* 0: 1,500 */
    uint32_t caps; /* of both interfaces, enum weir_netif_cap */
    uint32_t sockets_max;
    size_t mem_limit;
    bool is_ethernet;
    bool is_unchecked; /* no weir_check after each step: long runs */
    uint64_t event_mask;
    void (*on_event)(void *ctx, const struct weir_event *); /* ctx: the struct world_side */
};

struct world_pkt;

struct world_side {
    struct world *world;
    int index; /* 0 or 1 */
    struct heap heap;
    struct weir *stack;
    int netif;
    struct weir_addr v4, v6;
    struct world_pkt *first, **last; /* on their way from here, in order of arrival */
    weir_ns last_due;                /* when the last of them arrives */
    uint64_t sent_n;                 /* packets that its stack has sent */
    bool takes_none;                 /* the driver is full: xmit takes nothing */
};

struct world {
    struct world_side side[2];
    weir_ns now;
    struct world_opts opts;
    /* Lose this packet? `n` counts the side's packets from 1. NULL: lose none. */
    bool (*drop)(struct world *, struct world_side *from, const struct weir_pkt *, uint64_t n);
    /* How much longer than others is this packet under way? It may be overtaken. NULL: no longer. */
    weir_ns (*hold)(struct world *, struct world_side *from);
    /* Change a packet's bytes on their way; checksums are not looked at with WEIR_CAP_RX_CSUM. NULL: change none. */
    void (*mangle)(struct world *, struct world_side *from, uint8_t *bytes, size_t len);
    void *user;
};

/* opts NULL: an undelayed raw IP link of 1,500 bytes. */
void world_init(struct world *, const struct world_opts *opts);

/* End both stacks, and assert that all their memory came back. */
void world_fini(struct world *);

/* Let the next thing happen, which may be in the future, but not after `until`. False: there is none. */
bool world_step(struct world *, weir_ns until);

/* Let all happen that is to happen within `duration`; the time is that much later afterwards. */
void world_run(struct world *, weir_ns duration);

/* Until no packet is under way (timers that are due later are left alone). */
void world_settle(struct world *);

/* Until nothing is pending at all: no packet, no timer. For at most an hour of virtual time. */
void world_idle(struct world *);

/* Take up to n packets that are on their way from a side off the link: they are the caller's. Returns how many. */
unsigned world_take(struct world *, int side, struct weir_pkt **pkts, unsigned n);

/* The endpoint of a side: family WEIR_AF_INET or _INET6. */
struct weir_sockaddr world_addr(const struct world *, int side, int family, uint16_t port);

/* A socket that listens at the port; on both families when `family` is WEIR_AF_INET6. */
weir_fd world_listen(struct world *, int side, int family, uint16_t port, int backlog);

/* A connection from side 0 to the listener of side 1: both ends. */
void world_connect(struct world *, weir_fd listener, int family, uint16_t port, weir_fd *client, weir_fd *server);

/* WEIR_POLL* that are true of the socket now. */
int world_poll(struct world *, int side, weir_fd);

/* A counter's value. */
uint64_t world_stat(const struct world *, int side, const char *name);

#endif
