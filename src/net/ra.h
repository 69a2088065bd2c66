/*
 * Router advertisements (RFC 4861 6.3, RFC 4862 5.5), when accept_ra allows: default routes, prefixes, addresses, MTU,
 * hop limit. Bounded, whatever is advertised (RFC 6104).
 */
#ifndef WI_NET_RA_H
#define WI_NET_RA_H

#include "net/net_internal.h"
#include "wire/nd.h"

/* Send a neighbour discovery message (nd.c). 0, -ENOBUFS, -ENETDOWN. */
int wi_nd_send(struct wi_netif *, const struct wi_nd *, const struct weir_addr *src, const struct weir_addr *dst);

enum weir_drop wi_ra_input(struct wi_netif *, const struct wi_nd *, const struct wi_ip *);

/* The interface is up: ask for routers, if anything that they say will be taken. */
void wi_ra_begin(struct wi_netif *);

/* The interface goes, or goes down: what was learnt goes with it. */
void wi_ra_flush(struct wi_netif *);

uint32_t wi_ra_mtu(const struct wi_netif *);      /* 0: not said */
uint8_t wi_ra_hop_limit(const struct wi_netif *); /* 0: not said */

#endif
