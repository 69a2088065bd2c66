/*
 * The send queue: bytes in reference-counted blocks (chunks), and records of what one transmission covers. A packet
 * views the chunks; so does its retransmission. Records are cut at write time as Linux cuts its buffers, because that
 * is what decides where PSH and segment boundaries fall.
 *
 * Free room of a block behind the bytes that are queued is filled by later writes, also while packets in flight view
 * what is before it: those bytes never change.
 *
 * Where packets as large as records leave with their checksums complete (keeps_sums), the sum is taken while the bytes
 * are copied in, and kept with the record: nobody reads them a second time for it.
 */
#include "tcp/notice.h"
#include "tcp/send.h"

#include "base/pkt.h"
#include "base/str.h"

#define BLOCK_MIN   2048u
#define BLOCK_MAX   65536u
#define SPLIT_SLACK 131072u /* Linux's 2 * GSO_LEGACY_MAX_SIZE */
#define ZC_PIECES   17u     /* of MSG_ZEROCOPY in a record: Linux's MAX_SKB_FRAGS */
#define COPY_BELOW  256u    /* a lent view smaller than this costs more to keep than to copy */

/*
 * What a record is charged beside its bytes: as Linux charges a queued buffer, so that a program finds as much room in
 * SO_SNDBUF here as there. It is more than a record and its chunk take; a block of BLOCK_MAX that is acknowledged but
 * for its last byte goes uncounted.
 */
#define CHARGE_REC 832u

/* The same of a segment that will be sent, for the buffer's first size: headers and bookkeeping in powers of two. */
#define CHARGE_SEG_HDRS 576u
#define CHARGE_SEG_BASE 256u

static int cmp_rec_seq(const void *key, const struct wi_rb_node *node)
{
    const struct wi_seq *seq = key;
    const struct wi_tcp_rec *r = WI_CONTAINER_OF(node, const struct wi_tcp_rec, node);
    return wi_seq_geq(*seq, r->end) ? 1 : wi_seq_lt(*seq, r->seq) ? -1 : 0;
}

static int cmp_recs(const struct wi_rb_node *a, const struct wi_rb_node *b)
{
    int32_t d = wi_seq_diff(WI_CONTAINER_OF(a, const struct wi_tcp_rec, node)->seq,
                            WI_CONTAINER_OF(b, const struct wi_tcp_rec, node)->seq);
    return d < 0 ? -1 : d > 0;
}

struct wi_tcp_rec *wi_tcp_rec_find(const struct wi_tcp_conn *c, struct wi_seq seq)
{
    struct wi_rb_node *n = wi_rb_lower_bound(&c->sndq.unsacked, &seq, cmp_rec_seq);
    return n ? WI_CONTAINER_OF(n, struct wi_tcp_rec, node) : NULL;
}

struct wi_tcp_rec *wi_tcp_rec_next_unsacked(const struct wi_tcp_rec *r)
{
    struct wi_rb_node *n = wi_rb_next(&r->node);
    return n ? WI_CONTAINER_OF(n, struct wi_tcp_rec, node) : NULL;
}

/* The tree that a sent record belongs in. */
static struct wi_rb_root *tree_of(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    return r->marks & WI_TCP_REC_SACKED ? &c->sndq.sacked : &c->sndq.unsacked;
}

void wi_tcp_rec_set_sacked(struct wi_tcp_conn *c, struct wi_tcp_rec *r, bool is_sacked)
{
    wi_rb_erase(tree_of(c, r), &r->node);
    r->marks = (uint8_t)((r->marks & ~WI_TCP_REC_SACKED) | (is_sacked ? WI_TCP_REC_SACKED : 0));
    (void)wi_rb_insert(tree_of(c, r), &r->node, cmp_recs);
}

/* Splitting a record costs room as well as writing does, so whoever was told of room may find none. */
static void charge(struct wi_tcp_conn *c, uint32_t bytes)
{
    c->sndq.mem_bytes += bytes;
    if (!wi_tcp_sndq_writable(c))
        c->sndq.was_full = true;
}

/* Super-segments leave as they are, but for their checksum; else the driver sums, or each segment is summed where it is
 * cut. */
static bool keeps_sums(const struct wi_tcp_conn *c)
{
    return (c->dst.caps & (WEIR_CAP_TSO | WEIR_CAP_TX_CSUM)) == WEIR_CAP_TSO;
}

/* ---- Records ---- */

static struct wi_tcp_rec *rec_new(struct wi_tcp_conn *c, struct wi_seq seq)
{
    struct wi_tcp_rec *r = wi_slab_alloc(&c->tcp->rec_slab);
    if (!r)
        return NULL;
    wi_list_init(&r->link);
    wi_list_init(&r->ts_link);
    r->seq = r->end = seq;
    charge(c, CHARGE_REC);
    return r;
}

static struct wi_tcp_rec *rec_append(struct wi_tcp_conn *c)
{
    struct wi_tcp_rec *r = rec_new(c, c->write_seq);
    if (!r)
        return NULL;
    wi_list_add_tail(&c->sndq.recs, &r->link);
    if (!c->sndq.send_head)
        c->sndq.send_head = r;
    r->is_summed = keeps_sums(c);
    return r;
}

void wi_tcp_rec_free(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    if (c->sndq.send_head == r)
        c->sndq.send_head = wi_tcp_rec_next(c, r);
    if (r->was_sent)
        wi_rb_erase(tree_of(c, r), &r->node);
    wi_list_del(&r->link);
    wi_list_del(&r->ts_link);
    c->sndq.mem_bytes -= CHARGE_REC + wi_tcp_rec_len(r);
    wi_slab_free(&c->tcp->rec_slab, r);
}

void wi_tcp_rec_set_sent(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    WI_ASSERT(c->sndq.send_head == r && !r->was_sent);
    c->sndq.send_head = wi_tcp_rec_next(c, r);
    r->was_sent = true;
    (void)wi_rb_insert(tree_of(c, r), &r->node, cmp_recs);
}

/* ---- Chunks ---- */

static struct wi_tcp_chunk *chunk_next(const struct wi_tcp_conn *c, const struct wi_tcp_chunk *k)
{
    return wi_list_next(k, &c->sndq.chunks, struct wi_tcp_chunk, link);
}

static void chunk_free(struct wi_tcp_conn *c, struct wi_tcp_chunk *k)
{
    wi_list_del(&k->link);
    weir_block_unref(k->block);
    wi_slab_free(&c->tcp->chunk_slab, k);
}

/* Takes over the caller's reference on `block` when it succeeds. */
static struct wi_tcp_chunk *chunk_append(struct wi_tcp_conn *c, struct weir_block *block, uint32_t off, uint32_t len,
                                         bool is_ours)
{
    struct wi_tcp_chunk *k = wi_slab_alloc(&c->tcp->chunk_slab);
    if (!k)
        return NULL;
    *k = (struct wi_tcp_chunk){.block = block, .off = off, .len = len, .seq = c->write_seq, .is_ours = is_ours};
    wi_list_init(&k->link);
    wi_list_add_tail(&c->sndq.chunks, &k->link);
    return k;
}

void wi_tcp_sndq_free_chunks(struct wi_tcp_conn *c)
{
    const struct wi_tcp_rec *head = wi_tcp_rec_first(c);
    struct wi_seq limit = head ? head->seq : c->write_seq;
    wi_list_for_each_safe (k, &c->sndq.chunks, struct wi_tcp_chunk, link) {
        if (wi_seq_gt(wi_seq_add(k->seq, k->len), limit))
            return;
        chunk_free(c, k);
    }
}

void wi_tcp_sndq_purge(struct wi_tcp_conn *c)
{
    wi_list_for_each_safe (r, &c->sndq.recs, struct wi_tcp_rec, link) {
        wi_tcp_rec_free(c, r);
    }
    wi_list_for_each_safe (k, &c->sndq.chunks, struct wi_tcp_chunk, link) {
        chunk_free(c, k);
    }
    WI_ASSERT(c->sndq.mem_bytes == 0);
    wi_tcp_notice_purge(c);
    wi_tcp_chrono_stop(c, WI_TCP_CHRONO_BUSY);
    c->loss.packets_out = c->loss.sacked_out = c->loss.lost_out = c->loss.retrans_out = 0;
}

/* ---- Cutting, joining, trimming ---- */

/* The chunk that holds `seq`, which is not before `k`. */
static struct wi_tcp_chunk *chunk_at(const struct wi_tcp_conn *c, struct wi_tcp_chunk *k, struct wi_seq seq)
{
    while (k && wi_seq_geq(seq, wi_seq_add(k->seq, k->len)))
        k = chunk_next(c, k);
    return k;
}

static uint8_t count_chunks(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    uint8_t n = 0;
    struct wi_seq end = wi_seq_add(r->seq, wi_tcp_rec_len(r));
    for (const struct wi_tcp_chunk *k = r->chunk; k && wi_seq_lt(k->seq, end); k = chunk_next(c, k))
        n++;
    return n;
}

static uint64_t sum_payload(const struct wi_tcp_conn *c, struct wi_tcp_chunk *from, struct wi_seq at, uint32_t len)
{
    uint64_t sum = 0;
    for (const struct wi_tcp_chunk *k = chunk_at(c, from, at); len > 0; k = chunk_next(c, k)) {
        WI_ASSERT(k != NULL);
        uint32_t skip = (uint32_t)wi_seq_diff(at, k->seq), n = wi_min_u32(k->len - skip, len);
        sum = wi_csum_add_by(wi_pool_csum(c->sk.core->pool), sum, k->block->data + k->off + skip, n);
        at = wi_seq_add(at, n);
        len -= n;
    }
    return sum;
}

/* The sum of a record's first `len` bytes, for which the shorter part of it is read again. */
static uint64_t sum_head(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r, uint32_t len)
{
    uint32_t rest = wi_tcp_rec_len(r) - len;
    if (len <= rest)
        return sum_payload(c, r->chunk, r->seq, len);
    return wi_csum_before(r->data_sum, sum_payload(c, r->chunk, wi_seq_add(r->seq, len), rest));
}

bool wi_tcp_rec_sum(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r, uint16_t *sum)
{
    if (!r->is_summed)
        return false;
    *sum = wi_csum_fold(r->data_sum);
    WI_DEBUG_ASSERT(*sum % UINT16_MAX ==
                    wi_csum_fold(sum_payload(c, r->chunk, r->seq, wi_tcp_rec_len(r))) % UINT16_MAX);
    return true;
}

/* A sent record's weight changes by `delta` segments: every counter that it is part of follows. */
static void adjust_counters(struct wi_tcp_conn *c, const struct wi_tcp_rec *r, uint32_t was, uint32_t is)
{
    struct wi_tcp_loss *l = &c->loss;
    l->packets_out += is - was;
    if (r->marks & WI_TCP_REC_SACKED)
        l->sacked_out += is - was;
    if (r->marks & WI_TCP_REC_LOST)
        l->lost_out += is - was;
    if (r->marks & WI_TCP_REC_RETRANS)
        l->retrans_out += is - was;
}

/* A peer's SACK blocks may cut what was sent into pieces that cost more than their bytes; the first and the last may
 * always be cut, so that retransmission goes on (CVE-2019-11478, Linux's tcp_fragment). */
static bool may_split(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    uint64_t limit = 2 * ((uint64_t)c->sk.opts.sndbuf_bytes + SPLIT_SLACK);
    if (!r->was_sent || c->sndq.mem_bytes <= limit || r == wi_tcp_rec_head_sent(c))
        return true;
    return wi_tcp_rec_next_sent(c, r) == NULL;
}

int wi_tcp_rec_split(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t len, uint32_t mss)
{
    WI_ASSERT(len > 0 && len < wi_tcp_rec_len(r) && !(r->flags & WI_TH_SYN));
    if (!may_split(c, r)) {
        wi_count(c->sk.core, WI_STAT_TCPWqueueTooBig);
        return -WEIR_ENOBUFS;
    }
    struct wi_tcp_rec *tail = rec_new(c, wi_seq_add(r->seq, len));
    if (!tail)
        return -WEIR_ENOBUFS;

    struct wi_seq seq = tail->seq;
    r->is_summed = r->is_summed && !r->was_sent; /* what was sent will probably not be needed again */
    *tail = *r;
    tail->seq = seq;
    if (r->is_summed) {
        uint64_t head_sum = sum_head(c, r, len);
        tail->data_sum = wi_csum_behind(r->data_sum, head_sum);
        r->data_sum = head_sum;
    }
    wi_list_add_head(&r->link, &tail->link); /* behind r */
    wi_list_init(&tail->ts_link);
    if (!wi_list_empty(&r->ts_link))
        wi_list_add_head(&r->ts_link, &tail->ts_link);

    tail->chunk = chunk_at(c, r->chunk, seq);
    r->end = seq;
    r->flags &= (uint16_t) ~(WI_TH_PSH | WI_TH_FIN);
    r->is_eor = false;
    r->chunk_n = count_chunks(c, r);
    tail->chunk_n = count_chunks(c, tail);
    if (!r->was_sent)
        return 0;

    uint32_t was = r->segs;
    r->segs = wi_tcp_rec_count(r, mss);
    tail->segs = wi_tcp_rec_count(tail, mss);
    adjust_counters(c, r, was, (uint32_t)r->segs + tail->segs);
    (void)wi_rb_insert(tree_of(c, tail), &tail->node, cmp_recs);
    return 0;
}

void wi_tcp_rec_trim_front(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t len)
{
    WI_ASSERT(len < wi_tcp_rec_len(r) || (len == wi_tcp_rec_len(r) && (r->flags & WI_TH_FIN)));
    r->seq = wi_seq_add(r->seq, len);
    r->is_summed = false; /* what was sent will probably not be needed again */
    c->sndq.mem_bytes -= len;
    r->chunk = wi_tcp_rec_len(r) ? chunk_at(c, r->chunk, r->seq) : NULL;
    r->chunk_n = count_chunks(c, r);
}

void wi_tcp_rec_recount(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t mss)
{
    uint32_t was = r->segs;
    r->segs = wi_tcp_rec_count(r, mss);
    r->mss = (uint16_t)mss;
    if (r->was_sent)
        adjust_counters(c, r, was, r->segs);
}

void wi_tcp_rec_grow(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t len)
{
    struct wi_tcp_rec *next = wi_tcp_rec_next(c, r);
    if (!next || r->was_sent || r->is_eor || r->zc || next->zc || (r->flags & (WI_TH_SYN | WI_TH_FIN)) ||
        r->chunk_n + next->chunk_n > WI_TCP_REC_CHUNKS)
        return;
    uint32_t missing = len - wi_tcp_rec_len(r);
    if (wi_tcp_rec_len(next) > missing && wi_tcp_rec_split(c, next, missing, len) < 0)
        return;
    r->end = next->end;
    r->is_summed = r->is_summed && next->is_summed;
    r->data_sum = wi_csum_join(r->data_sum, next->data_sum);
    r->flags |= next->flags;
    r->is_eor = next->is_eor;
    next->seq = wi_seq_add(next->seq, wi_tcp_rec_len(next)); /* its bytes are r's now */
    wi_tcp_rec_free(c, next);
    r->chunk_n = count_chunks(c, r);
}

bool wi_tcp_rec_view(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r, uint32_t off, uint32_t len,
                     struct weir_pkt *pkt)
{
    struct wi_seq at = wi_seq_add(r->seq, off);
    for (const struct wi_tcp_chunk *k = chunk_at(c, r->chunk, at); len > 0; k = chunk_next(c, k)) {
        WI_ASSERT(k != NULL);
        uint32_t skip = (uint32_t)wi_seq_diff(at, k->seq);
        uint32_t n = k->len - skip < len ? k->len - skip : len;
        if (weir_pkt_append(pkt, k->block, k->off + skip, n) < 0)
            return false;
        at = wi_seq_add(at, n);
        len -= n;
    }
    return true;
}

/* ---- Writing ---- */

uint32_t wi_tcp_size_goal(const struct wi_tcp_conn *c, uint32_t mss)
{
    /* 64 KiB with room for the headers, as Linux's sk_gso_max_size. */
    uint32_t bytes = wi_tcp_bound_to_half_wnd(c, 65536 - 1 - 320);
    uint32_t goal = bytes / mss * mss;
    return goal > mss ? goal : mss;
}

static bool has_room(const struct wi_tcp_conn *c)
{
    return c->sndq.mem_bytes < c->sk.opts.sndbuf_bytes;
}

/* TCP_NOTSENT_LOWAT: a new record waits while so much is unsent. Whoever is told of room is told of it at half of that
 * (Linux's tcp_stream_memory_free). */
static bool may_add_unsent(const struct wi_tcp_conn *c, unsigned shift)
{
    int64_t lowat = c->notsent_lowat_bytes ? c->notsent_lowat_bytes : c->sk.core->sysctl.tcp_notsent_lowat;
    return lowat >= UINT32_MAX || (int64_t)wi_tcp_sndq_unsent_bytes(c) << shift < lowat;
}

/* The peer should hear of data without more delay once half of its window is filled: Linux's forced_push. */
static bool is_push_forced(const struct wi_tcp_conn *c)
{
    return wi_seq_gt(c->write_seq, wi_seq_add(c->pushed_seq, c->snd_wnd_max_bytes >> 1));
}

static void mark_push(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    r->flags |= WI_TH_PSH;
    c->pushed_seq = c->write_seq;
}

/* The last record, when more may be appended to it. */
static struct wi_tcp_rec *open_rec(const struct wi_tcp_conn *c, uint32_t goal)
{
    struct wi_tcp_rec *r = c->sndq.send_head ? wi_tcp_rec_last(c) : NULL;
    if (!r || r->is_eor || (r->flags & (WI_TH_SYN | WI_TH_FIN)) || wi_tcp_rec_len(r) >= goal)
        return NULL;
    return r;
}

static void rec_grew(struct wi_tcp_conn *c, struct wi_tcp_rec *r, struct wi_tcp_chunk *k, uint32_t n)
{
    if (!r->chunk)
        r->chunk = k;
    /* The chunk is new to the record when it begins with these bytes, or the record does. */
    if (wi_seq_eq(k->seq, r->end) || wi_seq_eq(r->seq, r->end))
        r->chunk_n++;
    r->end = wi_seq_add(r->end, n);
    c->write_seq = r->end;
    charge(c, n);
}

/* The last chunk, when its block has free room behind it. */
static struct wi_tcp_chunk *open_chunk(const struct wi_tcp_conn *c, uint32_t *room)
{
    struct wi_tcp_chunk *k = wi_list_last(&c->sndq.chunks, struct wi_tcp_chunk, link);
    if (!k || !k->is_ours || !wi_seq_eq(wi_seq_add(k->seq, k->len), c->write_seq))
        return NULL;
    *room = k->block->cap - k->off - k->len;
    return *room ? k : NULL;
}

static struct wi_tcp_chunk *chunk_for_copy(struct wi_tcp_conn *c, uint32_t want)
{
    uint32_t cap = BLOCK_MIN;
    while (cap < want && cap < BLOCK_MAX)
        cap *= 2;
    struct weir_block *b = weir_block_new(c->sk.core->pool, cap);
    if (!b)
        return NULL;
    struct wi_tcp_chunk *k = chunk_append(c, b, 0, 0, true);
    if (!k)
        weir_block_unref(b);
    return k;
}

/* Copy up to `len` bytes to the end of record `r`. Returns how many, 0: no memory or too many pieces. */
static uint32_t copy_in(struct wi_tcp_conn *c, struct wi_tcp_rec *r, const uint8_t *p, uint32_t len)
{
    uint32_t room = 0;
    struct wi_tcp_chunk *k = open_chunk(c, &room);
    bool is_new_to_rec = !k || wi_seq_eq(r->seq, r->end);
    if (is_new_to_rec && r->chunk_n >= WI_TCP_REC_CHUNKS)
        return 0;
    if (!k) {
        k = chunk_for_copy(c, len);
        if (!k)
            return 0;
        room = k->block->cap;
    }
    uint32_t n = len < room ? len : room;
    uint8_t *to = k->block->data + k->off + k->len;
    if (r->is_summed)
        r->data_sum = wi_csum_copy_by(wi_pool_csum(c->sk.core->pool), r->data_sum, to, p, n);
    else
        memcpy(to, p, n);
    rec_grew(c, r, k, n);
    k->len += n;
    return n;
}

/* The same by reference. */
static uint32_t view_in(struct wi_tcp_conn *c, struct wi_tcp_rec *r, const struct weir_frag *f, uint32_t off,
                        uint32_t len)
{
    if (len < COPY_BELOW)
        return copy_in(c, r, f->block->data + f->off + off, len);
    if (r->chunk_n >= WI_TCP_REC_CHUNKS)
        return 0;
    struct wi_tcp_chunk *k = chunk_append(c, f->block, f->off + off, len, false);
    if (!k)
        return 0;
    (void)weir_block_ref(f->block);
    r->is_summed = false;
    rec_grew(c, r, k, len);
    return len;
}

/* A write under way. */
struct write {
    uint32_t mss, goal;
    uint32_t zc;                     /* what its records bear (notice.h), 0: not MSG_ZEROCOPY */
    const struct wi_tcp_rec *zc_rec; /* the record that has counted the piece under way */
    int flags;
    uint64_t taken, total;
    bool is_out_of_memory;
};

/* A record speaks to one notice, of as many pieces as Linux's buffer holds (skb_zerocopy_iter_stream). */
static bool takes_zerocopy(const struct wi_tcp_rec *r, const struct write *w)
{
    return (!r->zc || r->zc == w->zc) && (r->zc_n < ZC_PIECES || r == w->zc_rec);
}

/* The record for the next bytes, NULL: no memory, or the buffer is full. */
static struct wi_tcp_rec *rec_for_write(struct wi_tcp_conn *c, struct write *w)
{
    struct wi_tcp_rec *r = open_rec(c, w->goal);
    if (r && w->taken == 0)
        r->flags &= (uint16_t)~WI_TH_PSH;
    if (r && w->zc && !takes_zerocopy(r, w)) {
        mark_push(c, r);
        r = NULL;
    }
    /* What fits into a record that is there already needs no room of its own (Linux). But what is left of one that was
     * sent in part would take more for ever: a record beyond the buffer is enough. */
    bool is_far_over = c->sndq.mem_bytes >= (uint64_t)c->sk.opts.sndbuf_bytes + w->goal;
    if (r && r->chunk_n < WI_TCP_REC_CHUNKS && !is_far_over)
        return r;
    if (!has_room(c) || !may_add_unsent(c, 0))
        return NULL;
    wi_tcp_cwnd_after_idle(c); /* as Linux: when a write begins something new, not when the peer's window opens */
    r = rec_append(c);
    if (r && c->sndq.send_head == r)
        wi_tcp_chrono_start(c, WI_TCP_CHRONO_BUSY);
    w->is_out_of_memory = !r;
    return r;
}

/* A full record need not wait for the rest of the write. */
static void send_ahead(struct wi_tcp_conn *c, struct wi_tcp_rec *r)
{
    bool is_forced = is_push_forced(c);
    if (is_forced)
        mark_push(c, r);
    if (is_forced || r == c->sndq.send_head)
        wi_tcp_write_ahead(c, is_forced);
}

/* Queue a run of bytes: copied from `p`, or viewed in `f`. Returns how many were taken. */
static uint64_t write_run(struct wi_tcp_conn *c, struct write *w, const uint8_t *p, const struct weir_frag *f,
                          uint64_t len)
{
    uint64_t done = 0;
    w->zc_rec = NULL;
    while (done < len) {
        struct wi_tcp_rec *r = rec_for_write(c, w);
        if (!r)
            break;
        if (w->zc) {
            r->zc = w->zc;
            r->zc_n = (uint8_t)(r->zc_n + (r != w->zc_rec));
            w->zc_rec = r;
        }
        uint32_t space = w->goal - wi_tcp_rec_len(r);
        uint32_t want = len - done < space ? (uint32_t)(len - done) : space;
        uint32_t n = f ? view_in(c, r, f, (uint32_t)done, want) : copy_in(c, r, p + done, want);
        if (n == 0) {
            if (wi_seq_eq(r->seq, r->end))
                wi_tcp_rec_free(c, r);
            else if (r->chunk_n >= WI_TCP_REC_CHUNKS)
                continue; /* this record is full of pieces: the next one takes the rest */
            w->is_out_of_memory = true;
            break;
        }
        done += n;
        w->taken += n;
        if (wi_tcp_rec_len(r) >= w->goal && w->taken < w->total && !(w->flags & WEIR_MSG_OOB))
            send_ahead(c, r);
    }
    return done;
}

static struct write write_begin(const struct wi_tcp_conn *c, int flags)
{
    uint32_t mss = wi_tcp_mss_now(c);
    return (struct write){.mss = mss, .goal = (flags & WEIR_MSG_OOB) ? mss : wi_tcp_size_goal(c, mss), .flags = flags};
}

/* What Linux's tcp_push does: PSH on the last record, the urgent pointer, and off it goes. */
static int64_t write_end(struct wi_tcp_conn *c, const struct write *w, bool is_whole)
{
    c->sndq.was_refused = !is_whole;
    wi_tcp_zerocopy_end(c, w->zc, w->taken);
    if (w->taken == 0 && w->total == 0)
        return 0;
    if (w->taken == 0)
        return w->is_out_of_memory && wi_list_empty(&c->sndq.recs) ? -WEIR_ENOBUFS : -WEIR_EAGAIN;

    struct wi_tcp_rec *last = wi_tcp_rec_last(c);
    bool is_cut = !is_whole && !w->is_out_of_memory;
    if (is_cut)
        c->push_now = true;                                            /* the buffer is full: nothing to wait for */
    if (is_cut && !c->sndq.send_head && wi_tcp_in_flight(c) < c->cwnd) /* all of it has left already */
        wi_tcp_chrono_start(c, WI_TCP_CHRONO_SNDBUF);
    if (c->sndq.send_head && (is_cut || !(w->flags & WEIR_MSG_MORE) || is_push_forced(c)))
        mark_push(c, last);
    if (w->flags & WEIR_MSG_EOR)
        last->is_eor = true;
    if (w->flags & WEIR_MSG_OOB) {
        c->snd_up = c->write_seq;
        c->urg_snd_on = true;
    }
    wi_tcp_stamp_written(c);
    c->more = (w->flags & WEIR_MSG_MORE) && !is_cut;
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
    return (int64_t)w->taken;
}

int64_t wi_tcp_sndq_write(struct wi_tcp_conn *c, const struct weir_iovec *iov, size_t n, int flags)
{
    wi_tcp_rate_check_app_limited(c);
    struct write w = write_begin(c, flags);
    for (size_t i = 0; i < n; i++)
        w.total += iov[i].len;
    if (flags & WEIR_MSG_ZEROCOPY && wi_tcp_zerocopy_begin(c, w.total, &w.zc) < 0)
        return -WEIR_ENOBUFS;
    bool is_whole = true;
    for (size_t i = 0; i < n && is_whole; i++)
        is_whole = write_run(c, &w, iov[i].base, NULL, iov[i].len) == iov[i].len;
    return write_end(c, &w, is_whole);
}

int64_t wi_tcp_sndq_write_frags(struct wi_tcp_conn *c, const struct weir_frag *frags, unsigned n, int flags)
{
    wi_tcp_rate_check_app_limited(c);
    struct write w = write_begin(c, flags);
    for (unsigned i = 0; i < n; i++)
        w.total += frags[i].len;
    bool is_whole = true;
    for (unsigned i = 0; i < n && is_whole; i++)
        is_whole = write_run(c, &w, NULL, &frags[i], frags[i].len) == frags[i].len;
    return write_end(c, &w, is_whole);
}

int wi_tcp_sndq_syn(struct wi_tcp_conn *c)
{
    struct wi_tcp_rec *r = rec_append(c);
    if (!r)
        return -WEIR_ENOBUFS;
    r->flags = WI_TH_SYN;
    r->end = c->write_seq = wi_seq_add(c->write_seq, 1);
    return 0;
}

int wi_tcp_sndq_fin(struct wi_tcp_conn *c)
{
    struct wi_tcp_rec *r = c->sndq.send_head ? wi_tcp_rec_last(c) : NULL;
    if (!r || (r->flags & WI_TH_SYN))
        r = rec_append(c);
    if (!r)
        return -WEIR_ENOBUFS;
    if (c->sndq.send_head == r)
        wi_tcp_chrono_start(c, WI_TCP_CHRONO_BUSY);
    r->flags |= WI_TH_FIN;
    r->end = c->write_seq = wi_seq_add(c->write_seq, 1);
    c->fin_queued = true;
    return 0;
}

/* ---- Room ---- */

bool wi_tcp_sndq_writable(const struct wi_tcp_conn *c)
{
    uint32_t used = c->sndq.mem_bytes, cap = c->sk.opts.sndbuf_bytes;
    if (used >= cap || cap - used < used >> 1)
        return false;
    return may_add_unsent(c, 1);
}

void wi_tcp_sndbuf_expand(struct wi_tcp_conn *c)
{
    if (c->sk.opts.sndbuf_locked)
        return;
    /* Linux's tcp_sndbuf_expand: twice the window, each segment charged with its overhead and never less than the
     * initial window or the reordering that we have to stand. */
    uint32_t segs = c->cwnd > WI_TCP_INIT_CWND ? c->cwnd : WI_TCP_INIT_CWND;
    if (segs < c->loss.reordering + 1)
        segs = c->loss.reordering + 1;
    uint32_t per_seg = wi_max_u32(c->mss_clamp, c->snd_mss) + CHARGE_SEG_HDRS, pow2 = 1;
    while (pow2 < per_seg)
        pow2 *= 2;
    per_seg = pow2 + CHARGE_SEG_BASE;
    uint64_t want =
        (c->cc->control ? 3u : 2u) * (uint64_t)segs * per_seg; /* BBR's window may grow half as much again */
    uint64_t max = (uint64_t)c->sk.core->sysctl.tcp_wmem.max;
    if (want > max)
        want = max;
    if (want > c->sk.opts.sndbuf_bytes)
        c->sk.opts.sndbuf_bytes = (uint32_t)want;
}

uint32_t wi_tcp_sndq_unacked_bytes(const struct wi_tcp_conn *c)
{
    uint32_t n = (uint32_t)wi_seq_diff(c->write_seq, c->snd_una);
    const struct wi_tcp_rec *head = wi_tcp_rec_first(c);
    n -= head && (head->flags & WI_TH_SYN);
    if (c->fin_queued && n > 0)
        n--;
    return n;
}

uint32_t wi_tcp_sndq_unsent_bytes(const struct wi_tcp_conn *c)
{
    uint32_t n = (uint32_t)wi_seq_diff(c->write_seq, c->snd_nxt);
    const struct wi_tcp_rec *head = c->sndq.send_head;
    n -= head && (head->flags & WI_TH_SYN);
    return c->fin_queued && n > 0 ? n - 1 : n;
}

/* ---- Invariants ---- */

static const char *check_rec(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r, struct wi_seq at, bool unsent)
{
    if (!wi_seq_eq(r->seq, at))
        return "send queue: records do not follow each other";
    if (wi_seq_leq(r->end, r->seq))
        return "send queue: an empty record";
    if (r->was_sent == unsent)
        return "send queue: a sent record behind an unsent one";
    const struct wi_rb_root *tree = r->marks & WI_TCP_REC_SACKED ? &c->sndq.sacked : &c->sndq.unsacked;
    if (r->was_sent && wi_rb_lower_bound(tree, &r->seq, cmp_rec_seq) != &r->node)
        return "send queue: a sent record is not in its tree";
    if (r->chunk_n != count_chunks(c, r) || r->chunk_n > WI_TCP_REC_CHUNKS)
        return "send queue: a record's count of chunks";
    uint32_t len = wi_tcp_rec_len(r);
    if (len > 0 &&
        (!r->chunk || wi_seq_lt(r->seq, r->chunk->seq) || wi_seq_geq(r->seq, wi_seq_add(r->chunk->seq, r->chunk->len))))
        return "send queue: a record does not begin in its chunk";
    if (r->marks & WI_TCP_REC_SACKED && r->marks & (WI_TCP_REC_LOST | WI_TCP_REC_RETRANS))
        return "scoreboard: a SACKed record counts as lost or retransmitted";
    return NULL;
}

static const char *check_counters(const struct wi_tcp_conn *c)
{
    uint32_t packets = 0, sacked = 0, lost = 0, retrans = 0;
    wi_list_for_each (r, &c->sndq.recs, struct wi_tcp_rec, link) {
        if (!r->was_sent)
            break;
        packets += r->segs;
        sacked += r->marks & WI_TCP_REC_SACKED ? r->segs : 0;
        lost += r->marks & WI_TCP_REC_LOST ? r->segs : 0;
        retrans += r->marks & WI_TCP_REC_RETRANS ? r->segs : 0;
    }
    if (packets != c->loss.packets_out)
        return "scoreboard: packets_out";
    if (c->sack_ok && sacked != c->loss.sacked_out)
        return "scoreboard: sacked_out";
    if (lost != c->loss.lost_out)
        return "scoreboard: lost_out";
    if (retrans != c->loss.retrans_out)
        return "scoreboard: retrans_out";
    if (c->loss.sacked_out + c->loss.lost_out > c->loss.packets_out)
        return "scoreboard: more left the network than was sent";
    return NULL;
}

static const char *check_memory(const struct wi_tcp_conn *c)
{
    uint32_t mem = 0;
    wi_list_for_each (r, &c->sndq.recs, struct wi_tcp_rec, link) {
        mem += CHARGE_REC + wi_tcp_rec_len(r);
    }
    wi_list_for_each (k, &c->sndq.chunks, struct wi_tcp_chunk, link) {
        if (k->off + k->len > k->block->cap)
            return "send queue: a chunk beyond its block";
    }
    return mem == c->sndq.mem_bytes ? NULL : "send queue: memory charged";
}

const char *wi_tcp_sndq_check(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_rec *first = wi_tcp_rec_first(c);
    struct wi_seq at = first ? first->seq : c->write_seq;
    bool unsent = false;
    wi_list_for_each (r, &c->sndq.recs, struct wi_tcp_rec, link) {
        unsent = unsent || r == c->sndq.send_head;
        const char *bad = check_rec(c, r, at, unsent);
        if (bad)
            return bad;
        at = r->end;
    }
    if (!wi_seq_eq(at, c->write_seq))
        return "send queue: does not end at write_seq";
    const char *bad = check_counters(c);
    return bad ? bad : check_memory(c);
}
