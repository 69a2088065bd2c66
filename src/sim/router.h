/*
 * A router of a world (world.h): which link a packet goes out by. The world moves the packets.
 */
#ifndef WSIM_ROUTER_H
#define WSIM_ROUTER_H

#include "sim/world.h"

#define WSIM_NO_WAY  UINT32_MAX
#define WSIM_EXPIRED (UINT32_MAX - 1)
#define WSIM_HERE    (UINT32_MAX - 2)

struct wsim_router *wsim_router_new(void); /* NULL: out of memory */
void wsim_router_free(struct wsim_router *);

/* Find the shortest way from the router to each of the world's links, through routers only. False: out of memory. */
bool wsim_router_find_ways(const struct wsim_world *, struct wsim_host *router);

/*
 * The number (from 0) of the link by which the packet goes on, its hop limit lowered; WSIM_NO_WAY, WSIM_EXPIRED,
 * WSIM_HERE (it is for the router itself): it does not, and was counted. *pkt becomes what is to be sent, whose
 * reference is the caller's; the reference to what came stays.
 */
uint32_t wsim_router_forward(struct wsim_router *, struct weir_pkt **pkt);
const struct wsim_router_stats *wsim_router_counts(const struct wsim_router *);
void wsim_router_count_too_big(struct wsim_router *);

/* By which link (from 0) the router reaches an address; WSIM_NO_WAY. */
uint32_t wsim_router_way(const struct wsim_router *, const struct weir_addr *);

/* For packets that the router itself makes. */
struct weir_pool *wsim_router_pool(const struct wsim_router *);

/* The packet with a header that may be written to, at *ip, for weir_pkt_pull has made it contiguous; its reference is
 * the caller's, that to what came stays. NULL: out of memory. */
struct weir_pkt *wsim_router_own(struct weir_pkt *, uint8_t **ip);

/* Why a packet is not sent on. */
enum wsim_refusal {
    WSIM_TOO_BIG, /* for the next link */
    WSIM_NO_HOPS, /* its hop limit is spent */
    WSIM_NO_NET,  /* nobody knows a way */
};

/*
 * The ICMP error that tells its sender (RFC 792, 1191 4, 1812 5.2.7, 4443). `from` is the router's own address by where
 * it came in; mtu is the next link's, of WSIM_TOO_BIG. NULL: there is none about such a packet, or no memory.
 */
struct weir_pkt *wsim_icmp_error(struct weir_pool *, const struct weir_pkt *about, const struct weir_addr *from,
                                 enum wsim_refusal, uint32_t mtu);

/* Put a packet of the router's on a link (from 0); its reference is taken. */
void wsim_router_send(const struct wsim_host *, uint32_t link, struct weir_pkt *);

/* For finding ways: who is at the end of a link (from 0), and how many there are. */
struct wsim_host *wsim_link_end(const struct wsim_world *, uint32_t link, enum wio_side);
uint32_t wsim_link_count(const struct wsim_world *);

#endif
