/*
 * Finding what a segment belongs to: a connection, a half-open one (listen.h), a TIME-WAIT entry (timewait.h), a
 * listener. The first three are tables keyed by the same hash of the four-tuple, so that one hash serves all lookups of
 * a segment; an established connection costs one probe.
 */
#ifndef WI_TCP_DEMUX_H
#define WI_TCP_DEMUX_H

#include "tcp/conn.h"

/* Both ends, seen from here. */
struct wi_tcp_tuple {
    struct weir_addr local, remote;
    uint16_t local_port, remote_port;
};

/* What a lookup asks for. netif: where the segment arrived, 0: anywhere. */
struct wi_tcp_key {
    struct wi_tcp_tuple tuple;
    uint64_t hash;
    int netif;
};

static inline bool wi_tcp_tuple_equal(const struct wi_tcp_tuple *a, const struct wi_tcp_tuple *b)
{
    return a->local_port == b->local_port && a->remote_port == b->remote_port &&
           weir_addr_equal(&a->remote, &b->remote) && weir_addr_equal(&a->local, &b->local);
}

/* SipHash with the stack's own key: a peer can't choose tuples that share a bucket (CVE-2003-0244). */
uint64_t wi_tcp_tuple_hash(const struct wi_tcp *, const struct wi_tcp_tuple *);

struct wi_tcp_tuple wi_tcp_tuple_of(const struct wi_sk *);
struct wi_tcp_key wi_tcp_key_of(const struct wi_tcp *, const struct wi_tcp_tuple *, int netif);

/* Is this the connection that is sought? */
static inline bool wi_tcp_conn_is(const struct wi_tcp_conn *c, const struct wi_tcp_key *key)
{
    return c->sk.local.port == key->tuple.local_port && c->sk.remote.port == key->tuple.remote_port &&
           weir_addr_equal(&c->sk.remote.addr, &key->tuple.remote) &&
           weir_addr_equal(&c->sk.local.addr, &key->tuple.local) &&
           (!c->sk.opts.bound_if || !key->netif || c->sk.opts.bound_if == key->netif);
}

/* Among those that are not parked. */
struct wi_tcp_conn *wi_tcp_conn_find(const struct wi_tcp *, const struct wi_tcp_key *);

/* A segment without connection is worth an event too: what a request or TIME-WAIT entry got. irs, iss: for relative
 * numbers. */
void wi_tcp_event_stray_in(const struct wi_tcp *, const struct wi_tcp_seg *, uint64_t conn_id, struct wi_seq iss,
                           struct wi_seq irs);

/* A state change of what has no connection: a request, a TIME-WAIT entry. */
void wi_tcp_event_stray_state(const struct wi_tcp *, const struct wi_tcp_tuple *, uint64_t conn_id,
                              enum weir_tcp_state from, enum weir_tcp_state to, const char *cause);
void wi_tcp_event_stray_timer(const struct wi_tcp *, const struct wi_tcp_tuple *, uint64_t conn_id, enum weir_timer,
                              uint32_t backoff);

/* The endpoints of a tuple, as events and the network layer want them. */
struct weir_sockaddr wi_tcp_sockaddr(const struct weir_addr *, uint16_t port);

#endif
