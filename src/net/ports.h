/*
 * Bound ports, one table for each transport: who may bind what (Linux's rules for SO_REUSEADDR, SO_REUSEPORT,
 * IPV6_V6ONLY and SO_BINDTODEVICE), which port a socket without one gets (RFC 6056), and which socket a packet is for.
 *
 * A socket at a port is either a receiver, which lookups find, or a holder, which only occupies the port: a connected
 * one, which its transport finds in a table of its own. So an accepted connection costs its listener's port a counter.
 * Nothing here is linear in the sockets but a bind to the wildcard address (in the addresses that share its port), and
 * what concerns several receivers at one address and port.
 */
#ifndef WI_NET_PORTS_H
#define WI_NET_PORTS_H

#include "base/htable.h"
#include "base/list.h"
#include "net/sk.h"

struct wi_ports {
    struct wi_core *core;
    /* Does this socket take packets now? TCP: is it listening? NULL: each receiver does (UDP). */
    bool (*receives)(const struct wi_sk *);
    struct wi_htable numbers; /* struct wi_port_number by port */
    struct wi_htable ports;   /* struct wi_port by port and address */
    uint16_t *perturb;        /* WI_PORTS_PERTURB_N counters, RFC 6056 3.3.4's table; NULL: !connects */
    uint8_t key[16];          /* of every hash here */
};

#define WI_PORTS_PERTURB_N 8192

/* All that is bound at one port number. */
struct wi_port_number {
    struct wi_hnode link;
    struct wi_list ports; /* struct wi_port, by `number_link` */
    uint16_t port;        /* 0: the sockets that take every port (WEIR_OPT_ANY_PORT) */
    uint32_t bound_n;     /* sockets that got here by bind */
    uint32_t sock_n;      /* all of them */
};

/* All that is bound at one port number and one local address, the wildcards 0.0.0.0 and :: among them. */
struct wi_port {
    struct wi_hnode link;
    struct wi_list number_link;
    struct wi_port_number *number;
    struct weir_addr addr;
    struct wi_sk **receivers; /* in the order of their binding */
    uint32_t receiver_n, receiver_cap;
    uint32_t receiver_if_n; /* of these, bound to an interface */
    uint32_t holder_n[4];   /* holders, by enum wi_port_reuse */
};

/* As the options stood when the socket took the port. */
enum wi_port_reuse { WI_PORT_REUSE_NONE = 0, WI_PORT_REUSEADDR = 1 << 0, WI_PORT_REUSEPORT = 1 << 1 };

/* connects: wi_ports_bind_ephemeral will be used (TCP). 0 or -ENOMEM. */
int wi_ports_init(struct wi_ports *, struct wi_core *, bool (*receives)(const struct wi_sk *), bool connects);
void wi_ports_fini(struct wi_ports *); /* every socket has been released */

/*
 * Bind sk, as a receiver, to addr->addr and addr->port; port 0: a free one is chosen at random. Sets sk->local and
 * sk->port. With opts.any_port the port does not count: the socket gets what no other one takes, and local.port stays
 * 0. Whether the address is ours is for the caller to check. 0, -EINVAL (bound already), -EADDRINUSE, -ENOMEM.
 */
int wi_ports_bind(struct wi_ports *, struct wi_sk *, const struct weir_sockaddr *addr);

/*
 * Choose a port for a connection from sk->local.addr to `remote`, as a holder: RFC 6056 3.3.4 (algorithm 4), with noise
 * in its counters. Ports that somebody has bound are passed over (3.2). Ports in use by other connections serve again
 * as long as `taken` says no: it is asked whether the connection's four-tuple exists, and of a shard (weir/shard.h) of
 * every port whether the four-tuple is another shard's. Sets sk->local.port and sk->port.
 * 0, -EINVAL, -EADDRNOTAVAIL (none is left), -ENOMEM.
 */
int wi_ports_bind_ephemeral(struct wi_ports *, struct wi_sk *, const struct weir_sockaddr *remote,
                            bool (*taken)(void *ctx, uint16_t port), void *ctx);

/* A child (accepted, local endpoint set) holds its listener's port as well. 0 or -ENOMEM. O(1). */
int wi_ports_inherit(struct wi_ports *, struct wi_sk *child, const struct wi_sk *listener);

/* May sk, bound, begin to listen? -EADDRINUSE when another that shares its port by SO_REUSEADDR listens already. */
int wi_ports_may_listen(const struct wi_ports *, const struct wi_sk *);

/* A bound socket got a peer, or lost it: from receiver to holder or back, at `addr` from now on (connect fills in a
 * wildcard). 0 or -ENOMEM, and nothing changed. */
int wi_ports_hold(struct wi_ports *, struct wi_sk *, const struct weir_addr *addr);
int wi_ports_receive(struct wi_ports *, struct wi_sk *, const struct weir_addr *addr);

/* opts.bound_if of a socket that may be bound has changed. */
void wi_ports_bound_if_changed(struct wi_sk *);

/* Let go of the port; fine when there is none. local.port becomes 0. */
void wi_ports_release(struct wi_ports *, struct wi_sk *);

/*
 * The socket of a holder goes, its place stays taken (a TIME-WAIT entry needs no socket), as one that came by no bind.
 * Returns the reuse that it stands with. wi_ports_vacate gives such a place back, by the address and port number that
 * it was held at.
 */
uint8_t wi_ports_leave_place(struct wi_ports *, struct wi_sk *);
void wi_ports_vacate(struct wi_ports *, const struct weir_addr *, uint16_t number, uint8_t reuse);

/* A packet, seen from here. */
struct wi_ports_key {
    struct weir_addr local, remote;
    uint16_t local_port, remote_port;
    int netif; /* 0: not known, and sockets bound to any interface match (ICMP errors) */
};

/*
 * The receiver for a unicast packet, or NULL: bound to its address before bound to a wildcard, bound to its interface
 * before bound to none, to 0.0.0.0 before to ::; those of a SO_REUSEPORT group take turns by a keyed hash of the flow,
 * of others the one that bound last; at the end sockets of WEIR_OPT_ANY_PORT.
 */
struct wi_sk *wi_ports_lookup(const struct wi_ports *, const struct wi_ports_key *);

/* Each receiver that matches a multicast or broadcast packet, in the order of binding. `each` must not bind or release.
 */
void wi_ports_each(const struct wi_ports *, const struct wi_ports_key *, void (*each)(void *ctx, struct wi_sk *),
                   void *ctx);

/* NULL, or the first invariant that is broken. */
const char *wi_ports_check(const struct wi_ports *);

#endif
