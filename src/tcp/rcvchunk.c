/*
 * Chunks of the receive queue (rcvchunk.h).
 */
#include "tcp/rcvchunk.h"

#include "base/pkt.h"
#include "base/str.h"

/* A view that shows less than a quarter of its block is copied out of it. */
enum { VIEW_SHARE = 4 };

void wi_rcvchunk_free(struct wi_tcp_conn *c, struct wi_tcp_chunk *k)
{
    c->rcvq.mem_bytes -= k->charge;
    wi_list_del(&k->link);
    if (k->pkt)
        weir_pkt_unref(k->pkt);
    else
        weir_block_unref(k->block);
    wi_slab_free(&c->tcp->chunk_slab, k);
}

void wi_rcvchunks_free(struct wi_tcp_conn *c, struct wi_list *chunks)
{
    wi_list_for_each_safe (k, chunks, struct wi_tcp_chunk, link)
        wi_rcvchunk_free(c, k);
}

/* ---- Through their bytes ---- */

static void run_begin(struct wi_rcvcursor *at)
{
    at->run = at->left;
    if (!at->k->pkt)
        return;
    const struct weir_frag *f = &at->k->pkt->frags[at->frag];
    at->run = wi_min_u32(at->left, f->off + f->len - at->off);
}

struct wi_rcvcursor wi_rcvcursor_at(const struct wi_tcp_chunk *k)
{
    if (!k)
        return (struct wi_rcvcursor){0};
    struct wi_rcvcursor at = {.k = k, .frag = k->frag, .off = k->off, .left = k->len};
    run_begin(&at);
    return at;
}

struct weir_block *wi_rcvcursor_block(const struct wi_rcvcursor *at)
{
    return at->k->pkt ? at->k->pkt->frags[at->frag].block : at->k->block;
}

void wi_rcvcursor_move(struct wi_rcvcursor *at, uint32_t n)
{
    at->left -= n;
    at->run -= n;
    at->off += n;
    if (at->run > 0 || at->left == 0)
        return;
    at->off = at->k->pkt->frags[++at->frag].off;
    run_begin(at);
}

/* ---- From a segment to chunks ---- */

/* Is the packet worth keeping as it is? It has several views, and their blocks are not much more than they show. */
static bool is_kept_whole(const struct weir_pkt *pkt, uint32_t at, uint32_t len)
{
    uint64_t pinned = 0;
    if (pkt->frag_n <= 2 || at < pkt->head_len)
        return false;
    const struct weir_block *before = NULL;
    for (unsigned i = 0; i < pkt->frag_n; i++) {
        const struct weir_block *b = pkt->frags[i].block;
        pinned += b == before ? 0 : b->cap;
        before = b;
    }
    return pinned <= (uint64_t)len * VIEW_SHARE;
}

/* All of the payload at [at, at + len), which lies in fragments, as one chunk. */
static bool take_packet(struct wi_tcp_conn *c, struct wi_list *out, struct weir_pkt *pkt, uint32_t at, uint32_t len)
{
    struct wi_tcp_chunk *k = wi_slab_alloc(&c->tcp->chunk_slab);
    if (!k)
        return false;
    at -= pkt->head_len;
    while (at >= pkt->frags[k->frag].len)
        at -= pkt->frags[k->frag++].len;
    k->pkt = weir_pkt_ref(pkt);
    k->block = pkt->frags[k->frag].block;
    k->off = pkt->frags[k->frag].off + at;
    k->len = len;
    k->at = c->sk.core->now;
    wi_list_add_tail(out, &k->link);
    return true;
}

/* The bytes as a chunk at the end of `out`. They lie at `off` in `block`, or, when it is NULL, in no block. */
static bool take_piece(struct wi_tcp_conn *c, struct wi_list *out, struct weir_block *block, uint32_t off,
                       const uint8_t *bytes, uint32_t len)
{
    struct wi_tcp_chunk *k = wi_slab_alloc(&c->tcp->chunk_slab);
    if (!k)
        return false;

    k->len = len;
    k->at = c->sk.core->now;
    if (block && (uint64_t)len * VIEW_SHARE >= block->cap) {
        k->block = weir_block_ref(block);
        k->off = off;
    } else {
        k->block = weir_block_new(c->sk.core->pool, len);
        if (!k->block) {
            wi_slab_free(&c->tcp->chunk_slab, k);
            return false;
        }
        memcpy(k->block->data, bytes, len);
        k->is_ours = true;
    }
    k->charge = k->room = 0;
    wi_list_add_tail(out, &k->link);
    return true;
}

bool wi_rcvchunks_take(struct wi_tcp_conn *c, struct wi_list *out, struct weir_pkt *pkt, uint32_t at, uint32_t len,
                       struct wi_seq seq)
{
    bool ok = true;
    uint32_t room, charge = wi_tcp_rcvq_charge(c, len, pkt->gso_size && len > pkt->gso_size, &room);

    wi_list_init(out);
    if (is_kept_whole(pkt, at, len)) {
        ok = take_packet(c, out, pkt, at, len);
        len = 0;
    } else if (at < pkt->head_len) {
        uint32_t n = wi_min_u32(len, pkt->head_len - at);
        ok = take_piece(c, out, NULL, 0, pkt->room + pkt->head_off + at, n);
        len -= n;
        at = 0;
    } else {
        at -= pkt->head_len;
    }
    for (unsigned i = 0; i < pkt->frag_n && len > 0 && ok; i++) {
        const struct weir_frag *f = &pkt->frags[i];
        if (at >= f->len) {
            at -= f->len;
            continue;
        }
        uint32_t n = wi_min_u32(len, f->len - at);
        ok = take_piece(c, out, f->block, f->off + at, f->block->data + f->off + at, n);
        len -= n;
        at = 0;
    }
    if (!ok) {
        wi_rcvchunks_free(c, out);
        return false;
    }
    wi_list_for_each (k, out, struct wi_tcp_chunk, link) {
        k->seq = seq;
        seq = wi_seq_add(seq, k->len);
    }
    wi_list_first(out, struct wi_tcp_chunk, link)->charge = charge;
    wi_list_last(out, struct wi_tcp_chunk, link)->room = room;
    c->rcvq.mem_bytes += charge;
    return true;
}

/* Small arrivals share a block: move the first of `from` into the room behind the last of `to`, where both are copies
 * of ours. */
static void coalesce(struct wi_tcp_conn *c, struct wi_list *to, struct wi_list *from)
{
    struct wi_tcp_chunk *last = wi_list_last(to, struct wi_tcp_chunk, link);
    struct wi_tcp_chunk *next = wi_list_first(from, struct wi_tcp_chunk, link);

    if (last && next && next->len <= last->room && next->charge) { /* Linux copies it behind the last */
        last->room -= next->len;
        c->rcvq.mem_bytes -= next->charge;
        next->charge = 0;
    }
    if (!last || !next || !last->is_ours || !next->is_ours || last->block->refs > 1)
        return;
    if (next->len > last->block->cap - last->off - last->len)
        return;
    if (c->sk.opts.timestamping & WEIR_TIMESTAMPING_RX_SOFTWARE && next->at != last->at)
        return;
    memcpy(last->block->data + last->off + last->len, next->block->data + next->off, next->len);
    last->len += next->len;
    if (next->charge)
        last->room = next->room;
    last->charge += next->charge;
    next->charge = 0;
    wi_rcvchunk_free(c, next);
}

void wi_rcvchunks_append(struct wi_tcp_conn *c, struct wi_list *to, struct wi_list *from)
{
    coalesce(c, to, from);
    wi_list_splice_tail(to, from);
}

void wi_rcvchunk_drop_front(struct wi_tcp_chunk *k, uint32_t len)
{
    WI_ASSERT(len < k->len);
    struct wi_rcvcursor at = wi_rcvcursor_at(k);
    for (uint32_t n, left = len; left > 0; left -= n) {
        n = wi_min_u32(left, at.run);
        wi_rcvcursor_move(&at, n);
    }
    k->block = wi_rcvcursor_block(&at);
    k->frag = at.frag;
    k->off = at.off;
    k->len = at.left;
    k->seq = wi_seq_add(k->seq, len);
}
