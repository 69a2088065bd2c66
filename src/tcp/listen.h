/*
 * A listener's two queues: requests (half-open connections, RFC 4987 3.4's SYN cache) and children that wait for
 * accept. Linux's limits and its behaviour when they are reached.
 */
#ifndef WI_TCP_LISTEN_H
#define WI_TCP_LISTEN_H

#include "tcp/demux.h"
#include "tcp/fastopen.h"

/* What a held SYN needs beyond a request. */
struct wi_tcp_held {
    struct wi_tcp_conn *child; /* what accept returned or will return */
    struct weir_pkt *syn;      /* for an ICMP error about it; NULL once it is admitted */
    struct wi_ip ip;
    int netif;
};

/* A SYN that is or will be answered. */
struct wi_tcp_request {
    struct wi_hnode node;               /* wi_tcp.requests */
    struct wi_list link;                /* wi_tcp_listener.requests, while there is a listener */
    struct wi_timer timer;              /* SYN-ACK; not armed while held */
    struct wi_tcp_conn *listener;       /* NULL: it is gone, and the held child goes on alone */
    struct wi_tcp_held *held;           /* NULL: an ordinary one */
    struct wi_tcp_saved_syn *saved_syn; /* TCP_SAVE_SYN, else NULL */
    struct wi_tcp_tuple tuple;
    int netif; /* of a link-local peer or a listener that is bound to one, else 0: any */
    struct wi_tcp_syn syn;
    uint32_t tsval_first, tsval_last; /* of our SYN-ACKs; valid while syn.ts_ok */
    uint32_t oow_ack_ms;              /* when an ACK last answered a strange segment; 0: never */
    uint8_t timeout_n;                /* times that the timer fired */
    bool is_acked;                    /* the handshake is over, but accept's queue was full or data is awaited */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct wi_tcp_request) <= 232, "a flood fills a queue of these");

struct wi_tcp_listener {
    struct wi_tcp_conn *conn;
    struct wi_list requests; /* struct wi_tcp_request by link */
    struct wi_list children; /* struct wi_tcp_conn by queue_link: accept's queue */
    uint32_t request_n;      /* requests, held ones that were accepted included */
    uint32_t young_n;        /* of these, such whose timer has not fired yet */
    uint32_t child_n;        /* in accept's queue */
    uint32_t backlog;        /* the queue may hold one more than this */
    weir_ns overflow_at;     /* when a cookie was last sent; valid while has_overflowed */
    bool has_overflowed;
    struct wi_list fo_pending; /* struct wi_tcp_fo_pending: Fast Open children whose handshake goes on */
    struct wi_list fo_resets;  /* such that a reset ended; they count for a while, oldest first */
    uint32_t fo_n;             /* in both */
};

void wi_tcp_listen_init(struct wi_tcp *);
void wi_tcp_listen_fini(struct wi_tcp *);

/* Operations of a socket (sock.c gives them to src/sock). */
int wi_tcp_listen(struct wi_sk *, int backlog);
int wi_tcp_accept(struct wi_sk *, struct wi_sk **out);
int wi_tcp_admit(struct wi_sk *);
int wi_tcp_refuse(struct wi_sk *, int err);

/* A held child's owner goes without an answer: a reset, and the request is forgotten. */
void wi_tcp_held_abandon(struct wi_tcp_conn *);

/* A segment for a listener. iss: from a TIME-WAIT entry that its SYN ended, else NULL. */
enum weir_drop wi_tcp_listen_input(struct wi_tcp_conn *listener, struct wi_tcp_seg *, const struct wi_tcp_key *,
                                   const struct wi_seq *iss);

struct wi_tcp_request *wi_tcp_request_find(const struct wi_tcp *, const struct wi_tcp_key *);
enum weir_drop wi_tcp_request_input(struct wi_tcp *, struct wi_tcp_request *, struct wi_tcp_seg *);
enum weir_drop wi_tcp_request_icmp(struct wi_tcp *, struct wi_tcp_request *, const struct wi_net_error *,
                                   struct wi_seq);

/* ---- Among listen.c, request.c and child.c ---- */

/* Make and enter a request; NULL: no memory. It sends nothing. */
struct wi_tcp_request *wi_tcp_request_new(struct wi_tcp_conn *listener, const struct wi_tcp_key *,
                                          const struct wi_tcp_syn *, const struct wi_tcp_seg *);

/* Send the SYN-ACK, again when it was sent before, and arm its timer. fo: a Fast Open cookie for the peer, or NULL. 0
 * or the network's error. */
int wi_tcp_request_answer(struct wi_tcp *, struct wi_tcp_request *, const struct wi_tcp_fo_cookie *fo);

/* Forget a request: out of the table, off its listener's account. The held child is left. */
void wi_tcp_request_drop(struct wi_tcp *, struct wi_tcp_request *);

/* A SYN-ACK for a SYN; tsval: of its timestamp. `from`: whose options it is sent with. */
struct wi_tcp_synack {
    const struct wi_tcp_tuple *tuple;
    const struct wi_tcp_syn *syn;
    const struct wi_tcp_conn *from;
    const struct wi_tcp_fo_cookie *fo; /* goes along, NULL: none */
    uint32_t data_len;                 /* of the SYN's payload that it acknowledges, bytes */
    uint32_t tsval;
    unsigned rexmit_n; /* SYN-ACKs before it that got no answer */
    int netif;
    enum weir_why why;
};
int wi_tcp_synack_send(struct wi_tcp *, const struct wi_tcp_synack *);

/* The largest segment that we want, for a SYN-ACK on this route. */
uint16_t wi_tcp_advmss_for(const struct wi_tcp_conn *listener, const struct wi_dst *);

/* The route back to a request's peer. */
int wi_tcp_route_back(const struct wi_tcp *, const struct wi_tcp_conn *from, const struct wi_tcp_tuple *, int netif,
                      struct wi_dst *);

/* A connection with the listener's options and the tuple's addresses, CLOSED and in no table; NULL: no memory or no
 * route. */
struct wi_tcp_conn *wi_tcp_child_new(struct wi_tcp_conn *listener, const struct wi_tcp_tuple *, int netif, uint64_t id);

/* Into accept's queue, and out of it. */
void wi_tcp_child_enqueue(struct wi_tcp_listener *, struct wi_tcp_conn *child);

/* The handshake is over: the child lives. The segment that ended it goes to wi_tcp_input. */
enum weir_drop wi_tcp_child_establish(struct wi_tcp_conn *child, const struct wi_tcp_syn *, struct wi_tcp_seg *);

/* A held child's handshake failed: the owner sees err, or it vanishes from accept's queue. */
void wi_tcp_held_fail(struct wi_tcp_conn *child, int err);

static inline bool wi_tcp_accept_queue_is_full(const struct wi_tcp_listener *l)
{
    return l->child_n > l->backlog;
}

#endif
