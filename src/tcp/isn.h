/* Numbers that a connection begins with: its initial sequence number and its timestamp offset. */
#ifndef WI_TCP_ISN_H
#define WI_TCP_ISN_H

#include "tcp/demux.h"

/* RFC 6528 3: M + F(four-tuple, secret), where M counts 4 microseconds. So a tuple's numbers grow from one connection
 * to the next, and say nothing about another tuple's. */
struct wi_seq wi_tcp_isn(const struct wi_tcp *, const struct wi_tcp_tuple *);

/* RFC 7323 5.4, 7.1: one offset for each four-tuple, so that timestamps of its connections never run backwards (PAWS,
 * RFC 6191) and don't tell the uptime. */
uint32_t wi_tcp_ts_off(const struct wi_tcp *, const struct wi_tcp_tuple *);

#endif
