/*
 * A router of a world (world.h): which link a packet goes out by. The world moves the packets.
 */
#ifndef WSIM_ROUTER_H
#define WSIM_ROUTER_H

#include "sim/world.h"

#define WSIM_NO_WAY UINT32_MAX

struct wsim_router *wsim_router_new(void); /* NULL: out of memory */
void wsim_router_free(struct wsim_router *);

/* Find the shortest way from the router to each of the world's links, through routers only. False: out of memory. */
bool wsim_router_find_ways(const struct wsim_world *, struct wsim_host *router);

/*
 * The number (from 0) of the link by which the packet goes on, its hop limit lowered; WSIM_NO_WAY: it does not, and was
 * counted. *pkt becomes what is to be sent, whose reference is the caller's; the reference to what came stays.
 */
uint32_t wsim_router_forward(struct wsim_router *, struct weir_pkt **pkt);
const struct wsim_router_stats *wsim_router_counts(const struct wsim_router *);

/* For finding ways: who is at the end of a link (from 0), and how many there are. */
struct wsim_host *wsim_link_end(const struct wsim_world *, uint32_t link, enum wio_side);
uint32_t wsim_link_count(const struct wsim_world *);

#endif
