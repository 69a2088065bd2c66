/*
 * A world in virtual time: hosts (a stack each), routers, links between them, and one clock that jumps to whatever is
 * due next. What happens costs O(log n) in the hosts, links and alarms that there are.
 *
 * Everything follows from the world's seed. What has the same time happens in a fixed order: links as they were made,
 * then hosts, then alarms, then the sockets that became ready.
 */
#ifndef WSIM_WORLD_H
#define WSIM_WORLD_H

#include "io/link.h"
#include "io/rng.h"
#include "sim/alarms.h"

struct wsim_world;

struct wsim_router;
struct wsim_synproxy;

struct wsim_host {
    struct weir *w; /* NULL: a router. wsim_stack says when it may be called */
    struct wsim_router *router;
    struct wsim_synproxy *synproxy; /* of a router, NULL: none */
    bool is_silent;                 /* a router that sends no ICMP errors */
    struct wsim_world *world;
    char name[16];
    uint32_t index;   /* the world's number of it */
    uint32_t *joints; /* numbers of its links, from 0 */
    uint32_t joint_n;
    size_t mem_bytes; /* that its stack has from the allocator now */
    size_t mem_peak_bytes;
    weir_fd epoll;
    bool is_stale; /* its deadline may have moved since it was last looked at */
};

/* Somebody who waits for a socket of a host. */
struct wsim_waiter {
    struct wsim_host *host;
    weir_fd fd;
    void (*on_ready)(struct wsim_waiter *, uint32_t events);
};

struct wsim_config {
    uint64_t seed;
    uint64_t event_mask; /* for on_event */
    void (*on_event)(void *ctx, struct wsim_host *, const struct weir_event *);
    void *ctx;
    uint32_t check_every; /* weir_check on all hosts each so many steps; 0: never */
    size_t mem_limit;     /* of each host; 0: none */
    uint64_t steps_max;   /* more of them is a failure: somebody talks for ever; 0: no limit */
};

/* A world without hosts at time 0; NULL: out of memory. */
struct wsim_world *wsim_world_new(const struct wsim_config *);
void wsim_world_free(struct wsim_world *);

/* NULL: out of memory. */
struct wsim_host *wsim_host_add(struct wsim_world *, const char *name);

/*
 * A router: no stack, no sockets. It sends each packet on by the shortest way to the link that holds the destination,
 * and takes one from its hop limit; what has none left, or no way, is dropped and counted. It takes no time, for queues
 * and delay are the links'. What is too big for the next link is dropped, too, whether it may be cut into fragments or
 * not. The sender is told by ICMP of each of these, unless is_silent. Its links must be raw IP.
 */
struct wsim_host *wsim_router_add(struct wsim_world *, const char *name);
struct wsim_router_stats {
    uint64_t forwarded, expired, unroutable, too_big;
    uint64_t own; /* for an address of the router itself, where nobody listens */
};
struct wsim_router_stats wsim_router_stats(const struct wsim_host *);

/* Have the router answer SYNs for the server with that IPv4 address, behind it (synproxy.h). False: out of memory. */
bool wsim_router_proxy(struct wsim_host *router, struct weir_addr server);

/*
 * Join two hosts by a link. The n-th link (from 1) has the nets 10.0.n.0/24 and fd00:n::/64 (from the 256th on n runs
 * over into the byte before); `near` has the host part 1, `far` 2, and each has the other as a default gateway on its
 * first link. Below an MTU of 1,280 there is no IPv6. NULL: out of memory, or more than 65,535 links.
 */
struct wio_link *wsim_link_add(struct wsim_world *, struct wsim_host *near, struct wsim_host *far,
                               const struct wio_link_config *);

/* The address of one end of the n-th link. */
struct weir_addr wsim_addr(unsigned n, enum wio_side, int family);

/* Put a packet that no stack sent on the n-th link, as if that end had; its reference is taken. */
void wsim_link_send(struct wsim_world *, unsigned n, enum wio_side, struct weir_pkt *);

/* When something is due next: what a run until then would do. WEIR_NEVER: nothing is. */
weir_ns wsim_next(struct wsim_world *);

/* For packets that are put on a link in a host's or a router's name. */
struct weir_pool *wsim_pool(const struct wsim_host *);

weir_ns wsim_now(const struct wsim_world *);
struct wio_rng *wsim_rng(struct wsim_world *); /* for whoever plays in this world */

/*
 * The host's stack, told what time it is. Whoever is called (on_ready, on_alarm) uses this where it calls into a stack;
 * only that of the waiter itself has been told already. While no run is under way all of them have.
 */
struct weir *wsim_stack(struct wsim_host *);

/* Call on_ready whenever the socket's readiness changes to one of `events` (edges, WEIR_POLL*). 0 or a negative errno.
 */
int wsim_wait(struct wsim_waiter *, uint32_t events);

/* Call on_alarm once at that time (at once when it is past). The alarm, zeroed before its first use, must live until
 * then or until it is cancelled. */
void wsim_alarm_set(struct wsim_world *, struct wsim_alarm *, weir_ns at);
void wsim_alarm_cancel(struct wsim_world *, struct wsim_alarm *);

/* Whoever finds the world wrong says so; the first text stays, and the run ends. */
void wsim_fail(struct wsim_world *, const char *form, ...) __attribute__((format(printf, 2, 3)));
const char *wsim_error(const struct wsim_world *); /* NULL while all is well */

/*
 * Let time pass until `until`, or until is_done (may be NULL) says so, or nothing is due any more, or something is
 * wrong. Time stands at `until` afterwards when it was not ended before.
 *
 * Returns NULL, or what is wrong.
 */
const char *wsim_run(struct wsim_world *, weir_ns until, bool (*is_done)(void *ctx), void *ctx);

#endif
