/* What the files behind a TCP socket's operations share: sock.c, options.c, info.c, child.c. */
#ifndef WI_TCP_SOCK_H
#define WI_TCP_SOCK_H

#include "tcp/conn.h"

/* As the operations of struct wi_sk_ops. SOL_TCP; of other levels it is told what was set. */
int wi_tcp_getsockopt(struct wi_sk *, int level, int name, void *value, uint32_t *len);
int wi_tcp_setsockopt(struct wi_sk *, int level, int name, const void *value, uint32_t len);

/* Everything that a user can set, from one connection to another. */
void wi_tcp_options_copy(struct wi_tcp_conn *to, const struct wi_tcp_conn *from);

/* TCP_INFO as Linux fills it. */
void wi_tcp_info(const struct wi_tcp_conn *, struct weir_tcp_info *);

/* Must an abrupt end be told to the peer? */
bool wi_tcp_needs_reset(const struct wi_tcp_conn *);

#endif
