/*
 * The receive queue: what arrived in order and waits for the reader, and what arrived ahead of a hole. Owns reassembly,
 * SACK and DSACK blocks, and the accounts of the receive buffer; the window is window.c's, urgent data urgent.c's.
 *
 * Bytes stay in the block that they arrived in, and a super-segment of many views in its packet. Where that would pin
 * much more than it shows, it is copied instead (take_piece), so what a peer can make us hold is at most four times
 * what is charged.
 */
#include "tcp/rcvchunk.h"

#include "base/str.h"

/* Linux's accounts: of a page, its bookkeeping before and behind a packet, and its smallest block. */
enum { PAGE_BYTES = 4096, BLOCK_HEAD = 256, BLOCK_TAIL = 320, SMALL_BLOCK = 576 };
enum { PAGE_ROOM = PAGE_BYTES - BLOCK_TAIL, PAGE_CHARGE = PAGE_BYTES + BLOCK_HEAD };

/* Blocks that every ACK has room for: what concerns more must not wait for others to push it out of the next ACK.
 * Linux's TCP_SACK_BLOCKS_EXPECTED, which lets go an ACK without the new segment; ours has it. */
enum { SACKS_EXPECTED = 2 };

static struct wi_tcp_ooo *ooo_of(struct wi_rb_node *node)
{
    return node ? WI_CONTAINER_OF(node, struct wi_tcp_ooo, node) : NULL;
}

/*
 * What a segment is charged against the receive buffer: as Linux charges a packet from a device that it copies out of,
 * so that windows and SO_RCVBUF mean here what they mean there: a block in a power of two, or whole pages where several
 * segments came as one. It is always more than the segment's bytes and our own bookkeeping: also where each makes a run
 * of its own, so that the buffer alone says how many holes a peer can make.
 */
uint32_t wi_tcp_rcvq_charge(const struct wi_tcp_conn *c, uint32_t len, bool is_merged, uint32_t *room)
{
    uint32_t bytes = len + wi_tcp_hdrs_len(c) + (c->ts_ok ? WI_TCP_TS_SPACE : 0), block = SMALL_BLOCK;
    *room = 0;
    if (is_merged)
        return SMALL_BLOCK + BLOCK_HEAD + (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (bytes + BLOCK_TAIL > block) {
        for (block = 1024; block < bytes + BLOCK_TAIL;)
            block *= 2;
    }
    *room = block <= PAGE_BYTES ? block - BLOCK_TAIL - bytes : 0;
    return block + BLOCK_HEAD;
}

/* ---- SACK and DSACK blocks ---- */

static void note_dsack(struct wi_tcp_conn *c, struct wi_seq lo, struct wi_seq hi)
{
    if (!c->sack_ok || !c->sk.core->sysctl.tcp_dsack || !wi_seq_lt(lo, hi))
        return;
    c->rcvq.dsack = (struct wi_sack_block){lo, hi};
    c->rcvq.has_dsack = true;
    wi_count(c->sk.core, WI_STAT_TCPDSACKOldSent);
}

/* RFC 2018 4: the block with the segment that arrived last comes first. */
static void note_sack(struct wi_tcp_conn *c, struct wi_seq lo, struct wi_seq hi)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    struct wi_sack_block keep[WI_TCP_SACK_MAX] = {{lo, hi}};
    unsigned n = 1, was_at = q->sack_n;

    for (unsigned i = 0; i < q->sack_n; i++) {
        bool is_apart = wi_seq_lt(q->sacks[i].hi, lo) || wi_seq_gt(q->sacks[i].lo, hi);
        if (!is_apart)
            was_at = wi_min_u32(was_at, i);
        else if (n < WI_TCP_SACK_MAX)
            keep[n++] = q->sacks[i];
    }
    if (was_at >= SACKS_EXPECTED && c->comp_acks > 0)
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP);
    memcpy(q->sacks, keep, n * sizeof keep[0]);
    q->sack_n = (uint8_t)n;
}

/* rcv_nxt has moved: what it passed is acknowledged cumulatively. */
static void forget_sacks(struct wi_tcp_conn *c)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    unsigned n = 0;

    for (unsigned i = 0; i < q->sack_n; i++)
        if (wi_seq_gt(q->sacks[i].lo, c->rcv_nxt))
            q->sacks[n++] = q->sacks[i];
    q->sack_n = (uint8_t)n;
}

unsigned wi_tcp_rcvq_sacks(struct wi_tcp_conn *c, struct wi_sack_block *out, unsigned max)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    unsigned n = 0;

    if (q->has_dsack && max > 0) {
        out[n++] = q->dsack;
        q->has_dsack = false;
    }
    for (unsigned i = 0; i < q->sack_n && n < max; i++) {
        out[n] = q->sacks[i];
        if (q->has_fin && wi_seq_eq(out[n].hi, q->fin_seq)) /* it has arrived too, and takes a number */
            out[n].hi = wi_seq_add(out[n].hi, 1);
        n++;
    }
    return n;
}

unsigned wi_tcp_rcvq_sack_count(const struct wi_tcp_conn *c, unsigned max)
{
    unsigned n = (unsigned)c->rcvq.has_dsack + c->rcvq.sack_n;
    return n < max ? n : max;
}

bool wi_tcp_rcvq_has_ooo(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_rcvq *q = &c->rcvq;
    return !wi_rb_empty(&q->ooo) || (q->has_fin && !c->has_rcvd_fin && !wi_seq_eq(q->fin_seq, c->rcv_nxt));
}

/* ---- Out-of-order runs ---- */

static void ooo_free(struct wi_tcp_conn *c, struct wi_tcp_ooo *run)
{
    wi_rb_erase(&c->rcvq.ooo, &run->node);
    c->rcvq.ooo_n--;
    c->rcvq.ooo_bytes -= (uint32_t)wi_seq_diff(run->hi, run->lo);
    wi_rcvchunks_free(c, &run->chunks);
    wi_slab_free(&c->tcp->ooo_slab, run);
}

/* Where a number lies, seen from a run: a run that ends at it counts as touching it. */
static int cmp_touch(const void *key, const struct wi_rb_node *node)
{
    const struct wi_tcp_ooo *run = WI_CONTAINER_OF(node, struct wi_tcp_ooo, node);
    const struct wi_seq *seq = key;

    return wi_seq_gt(*seq, run->hi) ? 1 : wi_seq_lt(*seq, run->lo) ? -1 : 0;
}

static int cmp_runs(const struct wi_rb_node *a, const struct wi_rb_node *b)
{
    return wi_seq_diff(WI_CONTAINER_OF(a, struct wi_tcp_ooo, node)->lo,
                       WI_CONTAINER_OF(b, struct wi_tcp_ooo, node)->lo);
}

/* The first run that touches or follows `seq`. */
static struct wi_tcp_ooo *ooo_from(const struct wi_tcp_conn *c, struct wi_seq seq)
{
    return ooo_of(wi_rb_lower_bound(&c->rcvq.ooo, &seq, cmp_touch));
}

static struct wi_tcp_ooo *ooo_next(struct wi_tcp_ooo *run)
{
    return ooo_of(wi_rb_next(&run->node));
}

static struct wi_tcp_ooo *ooo_new(struct wi_tcp_conn *c, struct wi_seq at)
{
    struct wi_tcp_ooo *run = wi_slab_alloc(&c->tcp->ooo_slab);
    if (!run)
        return NULL;
    wi_list_init(&run->chunks);
    run->lo = run->hi = at;
    (void)wi_rb_insert(&c->rcvq.ooo, &run->node, cmp_runs);
    c->rcvq.ooo_n++;
    return run;
}

/* Add bytes [run->hi, hi) of the segment to the run's end. */
static bool ooo_extend(struct wi_tcp_conn *c, struct wi_tcp_ooo *run, const struct wi_tcp_seg *seg, struct wi_seq hi)
{
    uint32_t skip = (uint32_t)wi_seq_diff(run->hi, seg->seq), len = (uint32_t)wi_seq_diff(hi, run->hi);
    struct wi_list chunks;

    if (!wi_rcvchunks_take(c, &chunks, seg->pkt, seg->data_off + skip, len, run->hi))
        return false;
    wi_rcvchunks_append(c, &run->chunks, &chunks);
    run->hi = hi;
    c->rcvq.ooo_bytes += len;
    return true;
}

/* `next` begins where `run` ends: one run from now on. */
static void ooo_join(struct wi_tcp_conn *c, struct wi_tcp_ooo *run, struct wi_tcp_ooo *next)
{
    wi_rb_erase(&c->rcvq.ooo, &next->node);
    c->rcvq.ooo_n--;
    wi_rcvchunks_append(c, &run->chunks, &next->chunks);
    run->hi = next->hi;
    wi_slab_free(&c->tcp->ooo_slab, next);
}

/* What of [lo, hi) is here already: told by DSACK (RFC 2883 4), the first such piece and what adjoins it. */
static void dsack_overlap(struct wi_tcp_conn *c, const struct wi_tcp_ooo *run, struct wi_seq lo, struct wi_seq hi,
                          bool *is_noted)
{
    struct wi_sack_block *b = &c->rcvq.dsack;
    lo = wi_seq_max(run->lo, lo);
    hi = wi_seq_min(run->hi, hi);
    if (!*is_noted)
        note_dsack(c, lo, hi);
    else if (c->rcvq.has_dsack && wi_seq_leq(lo, b->hi) && wi_seq_geq(hi, b->lo))
        *b = (struct wi_sack_block){wi_seq_min(lo, b->lo), wi_seq_max(hi, b->hi)};
    *is_noted = true;
}

/*
 * Put the segment's bytes [lo, hi) among the runs; what is here already stays as it came first (RFC 9293 3.10.7.4).
 * Costs O(log n) and the runs that it closes.
 */
static enum weir_drop ooo_insert(struct wi_tcp_conn *c, const struct wi_tcp_seg *seg, struct wi_seq lo,
                                 struct wi_seq hi)
{
    struct wi_tcp_ooo *run = ooo_from(c, lo);
    bool is_noted = false;

    if (run && wi_seq_leq(run->lo, lo) && wi_seq_geq(run->hi, hi)) {
        note_dsack(c, lo, hi);
        note_sack(c, run->lo, run->hi);
        return WEIR_DROP_TCP_OOO_DUP;
    }
    if (run && wi_seq_leq(run->lo, lo)) {
        dsack_overlap(c, run, lo, hi, &is_noted);
    } else {
        run = ooo_new(c, lo);
        if (!run)
            return WEIR_DROP_NO_MEMORY;
    }

    enum weir_drop why = WEIR_DROP_NONE;
    while (wi_seq_lt(run->hi, hi)) {
        struct wi_tcp_ooo *next = ooo_next(run);
        struct wi_seq upto = next ? wi_seq_min(next->lo, hi) : hi;

        if (wi_seq_lt(run->hi, upto) && !ooo_extend(c, run, seg, upto)) {
            why = WEIR_DROP_NO_MEMORY;
            break;
        }
        if (next && wi_seq_eq(next->lo, run->hi)) {
            dsack_overlap(c, next, lo, hi, &is_noted);
            ooo_join(c, run, next);
        }
    }
    if (wi_seq_eq(run->lo, run->hi))
        ooo_free(c, run);
    else
        note_sack(c, run->lo, run->hi);
    return why;
}

/* Give up the highest runs until the queues fit the buffer (the peer still holds them: SACK is a hint, RFC 2018 8). */
static void ooo_prune(struct wi_tcp_conn *c, uint32_t need)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    for (struct wi_tcp_ooo *run;
         q->mem_bytes + need > c->sk.opts.rcvbuf_bytes && (run = ooo_of(wi_rb_last(&q->ooo)));) {
        wi_drop(c->sk.core, WEIR_DROP_TCP_OOO_PRUNED, NULL, 0);
        ooo_free(c, run);
        q->sack_n = 0; /* they may name what is gone */
    }
}

/* ---- Small segments ---- */

/* The bytes of the chunks from `k` up to `end`, `len` together, in a page: `k` keeps them. False: no memory. */
static bool collapse_into_page(struct wi_tcp_conn *c, struct wi_tcp_chunk *k, const struct wi_tcp_chunk *end,
                               uint32_t len)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    struct weir_block *page = weir_block_new(c->sk.core->pool, PAGE_ROOM);
    if (!page)
        return false;

    uint32_t at = k->len;
    memcpy(page->data, k->block->data + k->off, k->len);
    for (struct wi_tcp_chunk *next; (next = wi_list_next(k, &q->chunks, struct wi_tcp_chunk, link)) != end;) {
        memcpy(page->data + at, next->block->data + next->off, next->len);
        at += next->len;
        k->at = next->at;
        wi_rcvchunk_free(c, next);
        wi_count(c->sk.core, WI_STAT_TCPRcvCollapsed);
    }
    weir_block_unref(k->block);
    q->mem_bytes += PAGE_CHARGE - k->charge;
    k->block = page;
    k->off = 0;
    k->len = len;
    k->charge = PAGE_CHARGE;
    k->room = PAGE_ROOM - len;
    k->is_ours = true;
    return true;
}

/* Where the last collapse ended: what is before is packed. */
static struct wi_tcp_chunk *first_loose(const struct wi_tcp_conn *c)
{
    const struct wi_list *chunks = &c->rcvq.chunks;
    struct wi_seq from = c->rcvq.collapsed_seq;
    if (wi_seq_lt(from, c->copied_seq) || wi_seq_gt(from, c->rcv_nxt))
        return wi_list_first(chunks, struct wi_tcp_chunk, link);
    struct wi_tcp_chunk *k = wi_list_last(chunks, struct wi_tcp_chunk, link);
    for (struct wi_tcp_chunk *prev; k && wi_seq_gt(k->seq, from); k = prev) {
        prev = wi_list_prev(k, chunks, struct wi_tcp_chunk, link);
        if (!prev)
            break;
    }
    return k;
}

/* Pack what the peer sends in crumbs, whose bookkeeping takes the room of the bytes that it was promised: Linux's
 * tcp_collapse. Each byte is packed once. */
static void collapse(struct wi_tcp_conn *c)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    for (struct wi_tcp_chunk *k = first_loose(c), *end; k; k = end) {
        uint32_t len = 0, charge = 0;
        q->collapsed_seq = k->seq;
        for (end = k; end && !end->pkt && len + end->len <= PAGE_ROOM;) {
            len += end->len;
            charge += end->charge;
            end = wi_list_next(end, &q->chunks, struct wi_tcp_chunk, link);
        }
        if (end == k)
            end = wi_list_next(k, &q->chunks, struct wi_tcp_chunk, link);
        else if (charge > PAGE_CHARGE && !collapse_into_page(c, k, end, len))
            return;
    }
}

/* ---- Arrival ---- */

/* Is there, or can there be made, room for so many bytes more? In-order data may push out what lies ahead of a hole. */
static bool make_room(struct wi_tcp_conn *c, uint32_t len, bool in_order)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    /* As Linux: while the account is not overdrawn a segment is taken whole, so that a full-sized one always fits. */
    if (q->mem_bytes <= c->sk.opts.rcvbuf_bytes || wi_tcp_window_expand(c, q->mem_bytes))
        return true;
    collapse(c);
    if (in_order && q->mem_bytes > c->sk.opts.rcvbuf_bytes)
        ooo_prune(c, len);
    return q->mem_bytes <= c->sk.opts.rcvbuf_bytes || (in_order && wi_list_empty(&q->chunks));
}

/* What we promised does not fit, the user has made the buffer smaller: better a closed window, which the peer probes
 * and the reader opens, than segments that get lost until the peer gives up. Linux's ICSK_ACK_NOMEM; RFC 9293 3.8.6.2.1
 * advises against it. */
static enum weir_drop refuse_promised(struct wi_tcp_conn *c)
{
    c->rcv_wnd_bytes = 0;
    c->rcv_wup = c->rcv_nxt;
    wi_count(c->sk.core, WI_STAT_TCPRcvQDrop);
    wi_sk_ready(&c->sk, WEIR_POLLIN | WEIR_POLLRDNORM);
    return WEIR_DROP_TCP_RCVBUF_FULL;
}

/* Bring over what has become contiguous. */
static void pull_ooo(struct wi_tcp_conn *c)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    for (struct wi_tcp_ooo *run; (run = ooo_of(wi_rb_first(&q->ooo))) && wi_seq_leq(run->lo, c->rcv_nxt);) {
        uint32_t fresh = (uint32_t)wi_seq_diff(run->hi, c->rcv_nxt);

        WI_ASSERT(wi_seq_eq(run->lo, c->rcv_nxt)); /* in-order data is cut where a run begins */
        wi_rcvchunks_append(c, &q->chunks, &run->chunks);
        c->rcv_nxt = run->hi;
        c->bytes_received += fresh;
        ooo_free(c, run);
    }
}

static enum weir_drop take_in_order(struct wi_tcp_conn *c, const struct wi_tcp_seg *seg, struct wi_seq hi)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    bool has_runs = !wi_rb_empty(&q->ooo);
    bool had_hole = has_runs || (q->has_fin && !(seg->h.flags & WI_TH_FIN)); /* a FIN may have come ahead, alone */
    struct wi_tcp_ooo *run = has_runs ? ooo_of(wi_rb_first(&q->ooo)) : NULL;
    struct wi_seq upto = run ? wi_seq_min(run->lo, hi) : hi;
    uint32_t len = (uint32_t)wi_seq_diff(upto, c->rcv_nxt);
    struct wi_list chunks;

    if (len > 0) {
        if (!wi_rcvchunks_take(c, &chunks, seg->pkt, seg->data_off, len, c->rcv_nxt))
            return WEIR_DROP_NO_MEMORY;
        wi_rcvchunks_append(c, &q->chunks, &chunks);
        c->rcv_nxt = upto;
        c->bytes_received += len;
    }
    if (run && wi_seq_lt(upto, hi)) { /* it reaches into what came before it, and perhaps beyond */
        struct wi_tcp_seg rest = *seg;
        wi_tcp_seg_trim_front(&rest, len);
        (void)ooo_insert(c, &rest, upto, hi);
    }
    pull_ooo(c);
    forget_sacks(c);
    if (had_hole) /* RFC 5681 4.2: a segment that fills a gap is acknowledged at once */
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
    wi_sk_ready(&c->sk, WEIR_POLLIN | WEIR_POLLRDNORM);
    return WEIR_DROP_NONE;
}

static enum weir_drop take_ahead(struct wi_tcp_conn *c, const struct wi_tcp_seg *seg, struct wi_seq hi)
{
    uint32_t segs = seg->gso_size ? (seg->data_len + seg->gso_size - 1u) / seg->gso_size : 1;
    /* RFC 5681 4.2: it tells of the hole; and without SACK the peer counts them, so each that was merged has its own.
     */
    for (uint32_t i = 0; i == 0 || (i < segs && !c->sack_ok); i++)
        wi_tcp_ack_ahead(c);
    c->rcv_ooopack += segs;
    wi_count(c->sk.core, WI_STAT_TCPOFOQueue);
    return ooo_insert(c, seg, seg->seq, hi);
}

void wi_tcp_rcvq_repeated(struct wi_tcp_conn *c, struct wi_seq lo, struct wi_seq hi)
{
    note_dsack(c, lo, hi);
    wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP);
}

/* Cut off what lies before rcv_nxt. What lies beyond the window's end has passed the first check, so it is taken: the
 * buffer is empty, and as good a place for it as any. Not NONE: nothing is left. */
static enum weir_drop trim_to_window(struct wi_tcp_conn *c, struct wi_tcp_seg *seg)
{
    struct wi_seq wnd_end = wi_seq_add(c->rcv_nxt, wi_tcp_window_left(c));

    if (wi_seq_leq(seg->end, c->rcv_nxt)) {
        wi_tcp_spurious_rexmit(c, seg);
        return WEIR_DROP_TCP_OLD_SEQ;
    }
    if (wi_seq_lt(seg->seq, c->rcv_nxt)) {
        wi_tcp_rcvq_repeated(c, seg->seq, c->rcv_nxt);
        wi_tcp_seg_trim_front(seg, (uint32_t)wi_seq_diff(c->rcv_nxt, seg->seq));
    }
    if (seg->data_len > 0 && wi_seq_geq(seg->seq, wnd_end)) {
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP);
        return wi_seq_eq(wnd_end, c->rcv_nxt) ? WEIR_DROP_TCP_ZERO_WND : WEIR_DROP_TCP_BEYOND_WND;
    }
    return WEIR_DROP_NONE;
}

/* A FIN's place in sequence space is fixed by the first that comes; bytes beyond it do not exist. */
static void note_fin(struct wi_tcp_conn *c, struct wi_tcp_seg *seg)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    struct wi_seq data_end = wi_seq_add(seg->seq, seg->data_len);

    if (q->has_fin) {
        if (wi_seq_gt(data_end, q->fin_seq))
            wi_tcp_seg_trim_back(seg,
                                 wi_seq_lt(seg->seq, q->fin_seq) ? (uint32_t)wi_seq_diff(q->fin_seq, seg->seq) : 0);
        return;
    }
    struct wi_tcp_ooo *last = ooo_of(wi_rb_last(&q->ooo));
    if (!(seg->h.flags & WI_TH_FIN) || wi_seq_eq(seg->end, data_end) || (last && wi_seq_gt(last->hi, data_end)))
        return;
    q->has_fin = true;
    q->fin_seq = data_end;
}

/* A FIN without text has come ahead of its turn: it is reported as data would be. */
static void note_lone_fin(struct wi_tcp_conn *c)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    const struct wi_tcp_ooo *last = ooo_of(wi_rb_last(&q->ooo));

    if (!q->has_fin)
        return;
    if (last && wi_seq_eq(last->hi, q->fin_seq))
        note_sack(c, last->lo, last->hi);
    else
        note_sack(c, q->fin_seq, wi_seq_add(q->fin_seq, 1));
}

enum weir_drop wi_tcp_rcvq_data(struct wi_tcp_conn *c, struct wi_tcp_seg *seg)
{
    if (wi_seq_eq(seg->end, seg->seq))
        return WEIR_DROP_NONE;

    enum weir_drop why = trim_to_window(c, seg);
    if (why != WEIR_DROP_NONE)
        return why;

    bool in_order = wi_seq_eq(seg->seq, c->rcv_nxt);
    if (seg->data_len > 0 && !make_room(c, seg->data_len, in_order)) {
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_DUP);
        if (in_order)
            return refuse_promised(c);
        wi_count(c->sk.core, WI_STAT_TCPOFODrop);
        return WEIR_DROP_TCP_OOO_FULL;
    }
    note_fin(c, seg);
    struct wi_seq hi = wi_seq_add(seg->seq, seg->data_len);
    if (seg->data_len == 0) {
        if (!in_order) {
            note_lone_fin(c);
            c->rcv_ooopack++;
            wi_tcp_ack_ahead(c);
        }
        return WEIR_DROP_NONE;
    }
    return in_order ? take_in_order(c, seg, hi) : take_ahead(c, seg, hi);
}

bool wi_tcp_rcvq_fin_due(const struct wi_tcp_conn *c)
{
    return c->rcvq.has_fin && !c->has_rcvd_fin && wi_seq_eq(c->rcv_nxt, c->rcvq.fin_seq);
}

void wi_tcp_rcvq_init(struct wi_tcp_conn *c)
{
    c->rcvq = (struct wi_tcp_rcvq){.rtt_us = 0};
    wi_list_init(&c->rcvq.chunks);
    wi_rb_init(&c->rcvq.ooo);
}

void wi_tcp_rcvq_purge(struct wi_tcp_conn *c)
{
    for (struct wi_tcp_ooo *run; (run = ooo_of(wi_rb_first(&c->rcvq.ooo)));)
        ooo_free(c, run);
    wi_rcvchunks_free(c, &c->rcvq.chunks);
    c->rcvq.sack_n = 0;
    c->rcvq.has_dsack = false;
}

/* ---- Reading ---- */

/* rcv_nxt counts the FIN once it was consumed. */
static struct wi_seq data_end(const struct wi_tcp_conn *c)
{
    return c->has_rcvd_fin ? wi_seq_sub(c->rcv_nxt, 1) : c->rcv_nxt;
}

bool wi_tcp_rcvq_has_unread(const struct wi_tcp_conn *c)
{
    return !wi_list_empty(&c->rcvq.chunks);
}

/* Is there an urgent byte in the stream that reading has to stop at or skip? */
static bool mark_ahead(const struct wi_tcp_conn *c)
{
    return c->rcvq.urg != WI_TCP_URG_NONE && wi_seq_geq(c->rcvq.urg_seq, c->copied_seq);
}

uint32_t wi_tcp_rcvq_readable(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_rcvq *q = &c->rcvq;
    uint32_t all;

    if (wi_list_empty(&q->chunks))
        return 0;
    all = (uint32_t)wi_seq_diff(data_end(c), c->copied_seq);
    if (c->sk.opts.oobinline || !mark_ahead(c) || wi_seq_geq(q->urg_seq, data_end(c)))
        return all;
    return wi_seq_eq(q->urg_seq, c->copied_seq) ? all - 1 : (uint32_t)wi_seq_diff(q->urg_seq, c->copied_seq);
}

/* The first `len` bytes have been read. */
static void consume(struct wi_tcp_conn *c, uint32_t len)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    c->copied_seq = wi_seq_add(c->copied_seq, len);
    while (len > 0) {
        struct wi_tcp_chunk *k = wi_list_first(&q->chunks, struct wi_tcp_chunk, link);
        if (len >= k->len) {
            len -= k->len;
            wi_rcvchunk_free(c, k);
            continue;
        }
        wi_rcvchunk_drop_front(k, len);
        len = 0;
    }
    if (q->urg != WI_TCP_URG_NONE && wi_seq_gt(c->copied_seq, q->urg_seq))
        q->urg = WI_TCP_URG_NONE;
}

/* The urgent byte stands next and is not part of the stream: step over it. */
void wi_tcp_rcvq_skip_urgent(struct wi_tcp_conn *c)
{
    if (!c->sk.opts.oobinline && mark_ahead(c) && wi_seq_eq(c->rcvq.urg_seq, c->copied_seq) &&
        !wi_list_empty(&c->rcvq.chunks))
        consume(c, 1);
}

/* How many bytes one read may give: it ends before an urgent byte that it does not begin at. */
static uint32_t read_limit(const struct wi_tcp_conn *c)
{
    uint32_t all = wi_list_empty(&c->rcvq.chunks) ? 0 : (uint32_t)wi_seq_diff(data_end(c), c->copied_seq);

    if (mark_ahead(c) && !wi_seq_eq(c->rcvq.urg_seq, c->copied_seq))
        return wi_min_u32(all, (uint32_t)wi_seq_diff(c->rcvq.urg_seq, c->copied_seq));
    return all;
}

/* Copy `len` queued bytes, beginning `skip` bytes into the queue, into the caller's pieces. */
static void copy_out(const struct wi_tcp_conn *c, uint32_t skip, const struct weir_msg *msg, uint32_t len)
{
    struct wi_rcvcursor at = wi_rcvcursor_at(wi_list_first(&c->rcvq.chunks, struct wi_tcp_chunk, link));

    for (size_t i = 0; i < msg->iov_n && len > 0; i++) {
        uint8_t *to = msg->iov[i].base;
        size_t room = msg->iov[i].len;
        while (room > 0 && len > 0) {
            if (at.left == 0) {
                at = wi_rcvcursor_at(wi_list_next(at.k, &c->rcvq.chunks, struct wi_tcp_chunk, link));
                continue;
            }
            if (skip > 0) {
                uint32_t n = wi_min_u32(skip, at.run);
                wi_rcvcursor_move(&at, n);
                skip -= n;
                continue;
            }
            uint32_t n = (uint32_t)wi_min_size(wi_min_size(room, len), at.run);
            memcpy(to, wi_rcvcursor_block(&at)->data + at.off, n);
            wi_rcvcursor_move(&at, n);
            to += n;
            room -= n;
            len -= n;
        }
    }
}

static size_t msg_room(const struct weir_msg *msg)
{
    size_t room = 0;

    for (size_t i = 0; i < msg->iov_n; i++)
        room += msg->iov[i].len;
    return room;
}

/* MSG_PEEK sees the stream as a read would give it, but takes nothing: the urgent byte is stepped over in thought. */
static int64_t peek(const struct wi_tcp_conn *c, const struct weir_msg *msg, size_t room)
{
    bool at_mark = !c->sk.opts.oobinline && mark_ahead(c) && wi_seq_eq(c->rcvq.urg_seq, c->copied_seq);
    uint32_t all = read_limit(c), skip = at_mark && all > 0;
    uint32_t len = (uint32_t)wi_min_size(room, all - skip);

    copy_out(c, skip, msg, len);
    return len;
}

/* When the last of the next `len` bytes came, for those who ask with SO_TIMESTAMPING. */
static void tell_stamp(const struct wi_tcp_conn *c, struct weir_msg *msg, uint32_t len)
{
    const uint32_t both = WEIR_TIMESTAMPING_SOFTWARE | WEIR_TIMESTAMPING_RX_SOFTWARE;
    if ((c->sk.opts.timestamping & both) != both || len == 0)
        return;
    struct wi_seq last = wi_seq_add(c->copied_seq, len - 1);
    wi_list_for_each (k, &c->rcvq.chunks, struct wi_tcp_chunk, link) {
        if (wi_seq_gt(k->seq, last))
            break;
        msg->stamp = k->at;
    }
    msg->has |= WEIR_HAS_STAMP;
}

int64_t wi_tcp_rcvq_read(struct wi_tcp_conn *c, struct weir_msg *msg, int flags)
{
    size_t room = msg_room(msg);

    if (flags & WEIR_MSG_PEEK)
        return peek(c, msg, room);
    wi_tcp_rcvq_skip_urgent(c);

    uint32_t len = (uint32_t)wi_min_size(room, read_limit(c));
    if (!(flags & WEIR_MSG_TRUNC))
        copy_out(c, 0, msg, len);
    tell_stamp(c, msg, len);
    if (len > 0) {
        consume(c, len);
        wi_tcp_window_read(c);
    }
    return len;
}

int64_t wi_tcp_rcvq_read_frags(struct wi_tcp_conn *c, struct weir_frag *out, unsigned n, size_t max, size_t *bytes)
{
    unsigned got = 0;

    wi_tcp_rcvq_skip_urgent(c);
    uint32_t limit = (uint32_t)wi_min_size(max, read_limit(c)), left = limit;
    while (got < n && left > 0) {
        struct wi_tcp_chunk *k = wi_list_first(&c->rcvq.chunks, struct wi_tcp_chunk, link);
        struct wi_rcvcursor at = wi_rcvcursor_at(k);
        uint32_t len = wi_min_u32(at.run, left);
        out[got++] = (struct weir_frag){.block = weir_block_ref(k->block), .off = k->off, .len = len};
        left -= len;
        consume(c, len);
    }
    if (got > 0)
        wi_tcp_window_read(c);
    *bytes = limit - left;
    return got;
}

/* ---- Invariants ---- */

static const char *check_chunks(const struct wi_list *chunks, struct wi_seq lo, struct wi_seq hi, uint32_t *charge)
{
    wi_list_for_each (k, chunks, struct wi_tcp_chunk, link) {
        if (!wi_seq_eq(k->seq, lo))
            return "receive queue: a chunk does not begin where the one before it ends";
        struct wi_rcvcursor at = wi_rcvcursor_at(k);
        uint32_t run = k->len > 0 ? at.run : 0;
        if (run == 0 || (uint64_t)k->off + run > k->block->cap || (k->pkt && k->frag >= k->pkt->frag_n))
            return "receive queue: a chunk is empty or leaves its block";
        lo = wi_seq_add(lo, k->len);
        *charge += k->charge;
    }
    return wi_seq_eq(lo, hi) ? NULL : "receive queue: the chunks do not add up";
}

const char *wi_tcp_rcvq_check(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_rcvq *q = &c->rcvq;
    uint32_t charge = 0, runs = 0, bytes = 0;
    const char *broken = NULL;

    if (!wi_list_empty(&q->chunks))
        broken = check_chunks(&q->chunks, c->copied_seq, data_end(c), &charge);
    struct wi_seq before = c->rcv_nxt;
    for (struct wi_tcp_ooo *run = ooo_of(wi_rb_first(&q->ooo)); run && !broken; run = ooo_next(run)) {
        if (!wi_seq_gt(run->lo, before))
            return "out-of-order queue: a run touches what is before it";
        broken = check_chunks(&run->chunks, run->lo, run->hi, &charge);
        before = run->hi;
        bytes += (uint32_t)wi_seq_diff(run->hi, run->lo);
        runs++;
    }
    if (broken)
        return broken;
    if (runs != q->ooo_n || bytes != q->ooo_bytes)
        return "out-of-order queue: its totals are wrong";
    for (unsigned i = 0; i < q->sack_n; i++)
        if (!wi_seq_gt(q->sacks[i].lo, c->rcv_nxt) || !wi_seq_lt(q->sacks[i].lo, q->sacks[i].hi))
            return "a SACK block is empty or acknowledged already";
    return charge == q->mem_bytes ? NULL : "receive queue: the account of its memory is wrong";
}
