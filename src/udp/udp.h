/*
 * UDP (RFC 768; over IPv6 RFC 8200 8.1): a datagram in, a datagram out, and ICMP errors to the socket that they
 * concern.
 */
#ifndef WI_UDP_UDP_H
#define WI_UDP_UDP_H

#include "base/bytes.h"
#include "base/htable.h"
#include "base/slab.h"
#include "net/net.h"
#include "net/ports.h"
#include "net/sk.h"

/* A datagram, or an error, that waits for the reader. */
struct wi_udp_item {
    struct wi_list link;
    struct weir_pkt *pkt;          /* NULL: an error */
    uint32_t off, len;             /* of the payload in the packet */
    uint32_t charge;               /* against opts.rcvbuf_bytes */
    struct weir_sockaddr src, dst; /* of an error: nobody, and where our datagram went */
    struct wi_net_error error;
    int netif;
    uint8_t ttl, tos;
};

struct wi_udp_sk {
    struct wi_sk sk; /* first: a wi_sk is the wi_udp_sk */
    struct wi_udp *udp;
    struct wi_list all_link; /* wi_udp.all */
    struct wi_hnode hnode;   /* wi_udp.connected, while is_connected */
    struct wi_list rxq;      /* struct wi_udp_item: datagrams */
    struct wi_list errq;     /* struct wi_udp_item: errors, with IP_RECVERR */
    uint32_t rx_bytes;       /* charged: both queues */
    struct wi_dst dst;       /* valid while is_connected */
    bool is_connected;
    uint8_t shut; /* 1: receiving, 2: sending */
};

struct wi_udp {
    struct wi_core *core;
    struct wi_net *net;
    struct wi_ports ports;
    struct wi_htable connected; /* struct wi_udp_sk by four-tuple */
    struct wi_slab sk_slab, item_slab;
    struct wi_list all;
    uint8_t key[16];
};

int wi_udp_init(struct wi_udp *, struct wi_core *, struct wi_net *); /* 0 or -ENOMEM */
void wi_udp_fini(struct wi_udp *);                                   /* closes every socket */

/* An unbound socket, or NULL. */
struct wi_sk *wi_udp_sk_new(struct wi_udp *, int family);

/* NULL, or the first invariant that is broken. Linear. */
const char *wi_udp_check(const struct wi_udp *);

/* ---- Among UDP's files ---- */

static inline struct wi_udp_sk *wi_udp_sk_of(struct wi_sk *sk)
{
    return (struct wi_udp_sk *)(void *)sk;
}

extern const struct wi_sk_ops wi_udp_sk_ops; /* sock.c */

/* input.c: what the network layer calls. */
void wi_udp_input(void *ctx, struct weir_pkt *, const struct wi_ip *, int netif);
void wi_udp_error(void *ctx, const struct wi_net_error *e, const struct wi_ip *inner, const uint8_t *l4, size_t l4_len);
void wi_udp_item_free(struct wi_udp_sk *, struct wi_udp_item *);
void wi_udp_event(const struct wi_udp_sk *, enum weir_event_kind, struct weir_pkt *, uint32_t len,
                  const struct weir_sockaddr *peer);

/* output.c */
int64_t wi_udp_sendmsg(struct wi_sk *, const struct weir_msg *, int flags);

/* udp.c: the table of connected sockets. */
void wi_udp_connected_insert(struct wi_udp_sk *);
void wi_udp_connected_remove(struct wi_udp_sk *);
struct wi_udp_sk *wi_udp_connected_find(const struct wi_udp *, const struct wi_ports_key *);

/* Bind to `addr` as it is, or to a wildcard and a free port. 0 or what wi_ports_bind says. */
int wi_udp_autobind(struct wi_udp_sk *);

#endif
