/*
 * Chunks of the receive queue: runs of bytes that arrived, each a view into the block that they came in, a copy of
 * ours, or a whole packet of many views; made from a segment, read through, joined and let go. What order they are in,
 * and what it means, is rcvq.c's.
 */
#ifndef WI_TCP_RCVCHUNK_H
#define WI_TCP_RCVCHUNK_H

#include "tcp/conn.h"

/* Let go of bytes, and of what they are charged. */
void wi_rcvchunk_free(struct wi_tcp_conn *, struct wi_tcp_chunk *);
void wi_rcvchunks_free(struct wi_tcp_conn *, struct wi_list *chunks);

/* The payload at [at, at + len) of the packet as chunks numbered from `seq`, charged, in the empty list `out`. All or
 * nothing. */
bool wi_rcvchunks_take(struct wi_tcp_conn *, struct wi_list *out, struct weir_pkt *, uint32_t at, uint32_t len,
                       struct wi_seq seq);

/* Move `from` behind what `to` has. */
void wi_rcvchunks_append(struct wi_tcp_conn *, struct wi_list *to, struct wi_list *from);

/* The first `len` bytes, fewer than all, are not needed any more. */
void wi_rcvchunk_drop_front(struct wi_tcp_chunk *, uint32_t len);

/* A place in a chunk's bytes. */
struct wi_rcvcursor {
    const struct wi_tcp_chunk *k; /* NULL: past the last */
    uint32_t frag, off;           /* as the chunk's own */
    uint32_t run;                 /* bytes that lie there together */
    uint32_t left;                /* of the chunk */
};

struct wi_rcvcursor wi_rcvcursor_at(const struct wi_tcp_chunk *); /* its first byte */
struct weir_block *wi_rcvcursor_block(const struct wi_rcvcursor *);
void wi_rcvcursor_move(struct wi_rcvcursor *,
                       uint32_t n); /* past `n` bytes of the run; at the chunk's end `left` is 0 */

#endif
