/*
 * SYN cookies: a half-open connection that is kept in its own sequence number (RFC 4987 3.6). The number holds a keyed
 * hash of the four-tuple, the peer's number and the minute, the minute itself, and the index of a segment size; the
 * options fit into the low bits of our timestamp when the peer uses them, else there are none. The secret changes every
 * few minutes; the last one is kept for the cookies that are still under way.
 */
#ifndef WI_TCP_COOKIE_H
#define WI_TCP_COOKIE_H

#include "tcp/demux.h"

#define WI_TCP_COOKIE_VALID WEIR_SEC(120) /* how long after the last one was sent they are looked for */

/* The sequence number for a SYN-ACK; *mss: the peer's, becomes the one that the cookie keeps (not larger). */
struct wi_seq wi_tcp_cookie_make(struct wi_tcp *, const struct wi_tcp_tuple *, struct wi_seq irs, uint16_t *mss);

/* Is `iss` a cookie for this tuple and irs, made in the last two minutes? The size that it keeps, or 0. */
uint16_t wi_tcp_cookie_check(const struct wi_tcp *, const struct wi_tcp_tuple *, struct wi_seq irs, struct wi_seq iss);

/* Options in and out of a timestamp, without its offset. _get: false when ours allow no such answer any more. */
uint32_t wi_tcp_cookie_ts_put(uint32_t clock, const struct wi_tcp_syn *);
bool wi_tcp_cookie_ts_get(const struct wi_core *, uint32_t ts, struct wi_tcp_syn *);

#endif
