/*
 * A SYN proxy on a router of a world: it answers SYNs for the server behind it by a cookie (RFC 4987 3.6), remembers
 * nothing of them, and makes the connection to the server only for who has sent the cookie back. From then on it
 * translates one side's sequence numbers into the other's: the server chose another number than the cookie.
 *
 * The cookie carries the client's segment size and nothing else, so connections through the proxy have neither
 * timestamps nor window scale nor SACK. The client's window stays shut until the server has answered. IPv4 alone is
 * proxied; what the server itself begins passes as it is.
 */
#ifndef WSIM_SYNPROXY_H
#define WSIM_SYNPROXY_H

#include "sim/world.h"

struct wsim_synproxy;

/* For the server with that address, behind the router. NULL: out of memory. */
struct wsim_synproxy *wsim_synproxy_new(struct wsim_host *router, struct weir_addr server);
void wsim_synproxy_free(struct wsim_synproxy *);

/*
 * A packet that came to the router by a link (from 0); lent. What goes on in its place, whose reference is the
 * caller's; NULL: nothing, for the proxy has answered it, or it belongs to no connection.
 */
struct weir_pkt *wsim_synproxy_take(struct wsim_synproxy *, struct weir_pkt *, uint32_t link);

#endif
