/*
 * TCP Fast Open, RFC 7413, both sides as Linux has them: data in the SYN, guarded by a cookie that the server hands
 * out. fastopen.c: cookies and the server; fastopen_client.c: the cache of cookies and the client.
 */
#ifndef WI_TCP_FASTOPEN_H
#define WI_TCP_FASTOPEN_H

#include "tcp/demux.h"

/* Bits of the tunable tcp_fastopen, Linux's. */
#define WI_TCP_FO_CLIENT           1
#define WI_TCP_FO_SERVER           2
#define WI_TCP_FO_CLIENT_NO_COOKIE 4
#define WI_TCP_FO_SERVER_NO_COOKIE 0x200
#define WI_TCP_FO_EVERY_LISTENER   0x400

/* The option of a SYN or SYN-ACK: a cookie, or without bytes the request for one. */
struct wi_tcp_fo_cookie {
    bool is_there;
    bool is_exp; /* in the form of option 254 (RFC 6994) */
    uint8_t len; /* 0, or WI_TCP_FO_COOKIE_MIN to _MAX */
    uint8_t b[WI_TCP_FO_COOKIE_MAX];
};

/* A child that is in use before its handshake is over: what its SYN-ACK needs, and its place in the count of them. */
struct wi_tcp_fo_pending {
    struct wi_list link;              /* of the listener: fo_pending, then perhaps fo_resets */
    struct wi_tcp_listener *listener; /* NULL: it has gone */
    struct wi_tcp_syn syn;
    int netif;         /* where the SYN arrived */
    uint32_t data_len; /* of the SYN's payload that was taken, bytes */
    uint8_t timeout_n; /* times that the SYN-ACK's timer fired */
    weir_ns until;     /* in fo_resets: it counts until then */
};

bool wi_tcp_fo_init(struct wi_tcp *); /* false: no memory */
void wi_tcp_fo_fini(struct wi_tcp *);

/* Put the option into a header; left out when it does not fit. */
void wi_tcp_fo_put(const struct wi_tcp_fo_cookie *, struct wi_wire_tcp *);

/* ---- The server: fastopen.c ---- */

/* The keys of a listener: its own, or the stack's. */
const struct wi_sysctl_keys *wi_tcp_fo_keys(const struct wi_tcp_conn *);

/* TCP_FASTOPEN_KEY. 0, -EINVAL, -ENOMEM. */
int wi_tcp_fo_set_keys(struct wi_tcp_conn *, const void *value, uint32_t len);

/* The cookie for a peer, under the current key (0) or the last one (1). */
void wi_tcp_fo_make(const struct wi_tcp_conn *listener, const struct wi_tcp_tuple *, unsigned key,
                    struct wi_tcp_fo_cookie *);

/* A socket begins to listen: is Fast Open on for all (tcp_fastopen 0x400)? And it ends: nobody counts any more. */
void wi_tcp_fo_listen(struct wi_tcp_conn *, uint32_t backlog);
void wi_tcp_fo_listen_stop(struct wi_tcp_conn *);

/*
 * A SYN for a listener. True: it is a connection already, answered and in accept's queue. False: it is to be taken as
 * any other, and *answer goes along with the SYN-ACK if it is_there. RFC 7413 4.2.2, Linux's tcp_try_fastopen.
 */
bool wi_tcp_fo_take_syn(struct wi_tcp_conn *listener, const struct wi_tcp_seg *, const struct wi_tcp_key *,
                        const struct wi_tcp_syn *, struct wi_tcp_fo_cookie *answer);

/* While c->fo.pending: the SYN comes again; the SYN-ACK's timer fires; a reset ends it; our SYN is acknowledged (before
 * and after the ACK is processed). */
bool wi_tcp_fo_is_syn_again(const struct wi_tcp_conn *, const struct wi_tcp_seg *);
enum weir_drop wi_tcp_fo_syn_again(struct wi_tcp_conn *, const struct wi_tcp_seg *);
void wi_tcp_fo_synack_timer(struct wi_tcp_conn *);
void wi_tcp_fo_reset(struct wi_tcp_conn *); /* nothing happens when it is not pending */
void wi_tcp_fo_complete(struct wi_tcp_conn *);
void wi_tcp_fo_completed(struct wi_tcp_conn *);

/* The connection ends, and its memory goes. */
void wi_tcp_fo_end(struct wi_tcp_conn *);
void wi_tcp_fo_forget(struct wi_tcp_conn *);

/* ---- The client: fastopen_client.c ---- */

/* May the next SYN to this peer have data: is there a cookie, or is none needed? */
bool wi_tcp_fo_has_cookie(struct wi_tcp_conn *);

/* Does a piece that has bytes lack the memory? */
bool wi_tcp_fo_lacks_memory(const struct weir_iovec *, size_t n);

/* SYN-SENT, the SYN unsent: let bytes ride on it. How many; 0: none may. */
int64_t wi_tcp_fo_fill_syn(struct wi_tcp_conn *, const struct weir_iovec *, size_t n);

/* The option of our SYN. */
void wi_tcp_fo_put_syn(struct wi_tcp_conn *, struct wi_wire_tcp *);

/* The SYN-ACK was processed: learn from it; have data sent again that it does not acknowledge. */
void wi_tcp_fo_synack(struct wi_tcp_conn *, const struct wi_wire_tcp *);

/* Signs of a path or peer that Fast Open does not agree with: an RTO; no answer at all, or an ICMP error for one; a
 * reset that is out of place; the end of a connection. */
void wi_tcp_fo_timed_out(struct wi_tcp_conn *, bool is_over);
void wi_tcp_fo_unanswered(struct wi_tcp_conn *);
void wi_tcp_fo_strange_reset(struct wi_tcp_conn *);
void wi_tcp_fo_client_end(struct wi_tcp_conn *);

void wi_tcp_fo_peers_fini(struct wi_tcp *);

/* For wi_tcp_fo_init. */
bool wi_tcp_fo_peers_init(struct wi_tcp *);

#endif
