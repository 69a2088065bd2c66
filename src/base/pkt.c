/*
 * Pools, blocks and packets (weir/pkt.h). Cutting super-segments and finishing checksums need header knowledge:
 * net/offload.c.
 *
 * A pool's memory is the stack's whole budget (wi_pool_mem): packets, blocks and everything else count against one
 * limit. The pool counts what is out, and goes when it has been let go and nothing is out any more.
 */
#include "base/pkt.h"

#include "base/bytes.h"
#include "base/slab.h"
#include "base/str.h"
#include <weir/errno.h>

/* Blocks of these sizes come from slabs. What fits into a frame of one MTU is rounded up; larger blocks only where they
 * are of just such a size, as the send queue's are. */
static const uint32_t class_caps[] = {512, 2048, 4096, 8192, 16384, 32768, 65536};
enum { CLASS_N = 7, ROUNDED_N = 2 };

/* A block's bytes begin at a cache line: a copy into it that sums as well is a fifth faster. Its memory: the head, what
 * is skipped behind it, the bytes. */
#define DATA_ALIGN    ((size_t)64)
#define BLOCK_SIZE(n) (sizeof(struct weir_block) + DATA_ALIGN - 1 + (n))

/* How long nothing is taken before the reserve goes back. */
#define QUIET_NS WEIR_SEC(1)

/* What a pool holds back of each kind, once its use has swung so far: two batches of frames. */
enum { SPARE_BYTES = 256 * 1024 };

struct weir_pool {
    struct wi_mem mem;
    const struct wi_csum_form *csum;
    struct wi_slab pkts, tables, blocks[CLASS_N];
    struct wi_list reserves; /* wi_slab.reserve: these, and the owner's */
    size_t out_n;            /* packets and blocks that somebody holds */
    size_t out_bytes;        /* their size */
    uint64_t taken_n;        /* ever */
    uint64_t quiet_n;        /* taken_n when it was told the time last, */
    weir_ns quiet_at;        /* and since when it has been that */
    bool is_abandoned;       /* weir_pool_free was called */
};

static size_t pool_reclaim(void *ctx)
{
    struct weir_pool *pool = ctx;
    size_t bytes = 0;
    wi_list_for_each (slab, &pool->reserves, struct wi_slab, reserve)
        bytes += wi_slab_trim(slab);
    return bytes;
}

void wi_pool_slab_init(struct weir_pool *pool, struct wi_slab *slab, size_t obj_size, const char *name)
{
    wi_slab_init(slab, &pool->mem, obj_size, name);
    slab->spares_max = (uint32_t)wi_max_size(1, SPARE_BYTES / (obj_size * slab->objs_in_chunk));
    wi_list_add_tail(&pool->reserves, &slab->reserve);
}

struct weir_pool *weir_pool_new(const struct weir_alloc *alloc, size_t mem_limit)
{
    struct wi_mem mem;

    if (!alloc->alloc || !alloc->free)
        return NULL;
    wi_mem_init(&mem, alloc, mem_limit ? mem_limit : SIZE_MAX);

    struct weir_pool *pool = wi_mem_zalloc(&mem, sizeof *pool);
    if (!pool)
        return NULL;
    pool->mem = mem;
    pool->csum = wi_csum_form_best();
    wi_list_init(&pool->reserves);
    wi_pool_slab_init(pool, &pool->pkts, sizeof(struct weir_pkt), "packets");
    wi_pool_slab_init(pool, &pool->tables, WI_PKT_FRAGS_WIDE * sizeof(struct weir_frag), "fragment tables");
    for (unsigned i = 0; i < CLASS_N; i++)
        wi_pool_slab_init(pool, &pool->blocks[i], BLOCK_SIZE(class_caps[i]), "blocks");
    pool->mem.reclaim = pool_reclaim;
    pool->mem.reclaim_ctx = pool;
    return pool;
}

static void pool_end(struct weir_pool *pool)
{
    wi_slab_fini(&pool->pkts);
    wi_slab_fini(&pool->tables);
    for (unsigned i = 0; i < CLASS_N; i++)
        wi_slab_fini(&pool->blocks[i]);

    struct wi_mem mem = pool->mem; /* the accounts lie in the memory that goes */
    wi_mem_free(&mem, pool, sizeof *pool);
}

void weir_pool_free(struct weir_pool *pool)
{
    if (!pool)
        return;
    pool->is_abandoned = true;
    if (pool->out_n == 0)
        pool_end(pool);
}

size_t weir_pool_used(const struct weir_pool *pool)
{
    return pool->out_bytes;
}

struct wi_mem *wi_pool_mem(struct weir_pool *pool)
{
    return &pool->mem;
}

void wi_pool_idle(struct weir_pool *pool, weir_ns now)
{
    if (pool->quiet_n != pool->taken_n) {
        pool->quiet_n = pool->taken_n;
        pool->quiet_at = now;
    } else if (now >= pool->quiet_at + QUIET_NS) {
        (void)pool_reclaim(pool);
        pool->quiet_at = now;
    }
}

const struct wi_csum_form *wi_pool_csum(const struct weir_pool *pool)
{
    return pool->csum;
}

static void pool_take(struct weir_pool *pool, size_t size)
{
    pool->out_n++;
    pool->taken_n++;
    pool->out_bytes += size;
}

static void pool_give(struct weir_pool *pool, size_t size)
{
    pool->out_n--;
    pool->out_bytes -= size;
    if (pool->is_abandoned && pool->out_n == 0)
        pool_end(pool);
}

/* The slab that serves blocks of this capacity, which may be rounded up to its class; NULL: the allocator itself. */
static inline struct wi_slab *block_slab(struct weir_pool *pool, uint32_t *cap)
{
    unsigned i = *cap > class_caps[0];
    if (*cap > class_caps[1]) {
        for (i = ROUNDED_N; i < CLASS_N && *cap != class_caps[i];)
            i++;
        if (i == CLASS_N)
            return NULL;
    }
    *cap = class_caps[i];
    return &pool->blocks[i];
}

struct weir_block *weir_block_new(struct weir_pool *pool, size_t cap)
{
    if (cap > UINT32_MAX - BLOCK_SIZE(0))
        return NULL;

    uint32_t rounded = (uint32_t)cap;
    struct wi_slab *slab = block_slab(pool, &rounded);
    size_t size = BLOCK_SIZE(rounded);
    struct weir_block *b = slab ? wi_slab_alloc_raw(slab) : wi_mem_alloc(&pool->mem, size);
    if (!b)
        return NULL;
    uint8_t *data = (uint8_t *)(b + 1);
    data += -(uintptr_t)data & (DATA_ALIGN - 1);
    *b = (struct weir_block){.pool = pool, .data = data, .refs = 1, .cap = rounded};
    pool_take(pool, size);
    return b;
}

void weir_block_lend(struct weir_block *block, void *data, size_t len, void (*release)(struct weir_block *))
{
    *block = (struct weir_block){.data = data, .refs = 1, .cap = (uint32_t)len, .release = release};
}

struct weir_block *weir_block_ref(struct weir_block *b)
{
    b->refs++;
    return b;
}

void weir_block_unref(struct weir_block *b)
{
    WI_ASSERT(b->refs > 0);
    if (--b->refs > 0)
        return;
    if (!b->pool) {
        if (b->release)
            b->release(b);
        return;
    }

    struct weir_pool *pool = b->pool;
    uint32_t cap = b->cap;
    struct wi_slab *slab = block_slab(pool, &cap);
    size_t size = BLOCK_SIZE(b->cap);
    if (slab)
        wi_slab_free(slab, b);
    else
        wi_mem_free(&pool->mem, b, size);
    pool_give(pool, size);
}

struct weir_pkt *weir_pkt_new(struct weir_pool *pool, size_t headroom)
{
    if (headroom > WEIR_PKT_HEAD_CAP)
        return NULL;

    struct weir_pkt *p = wi_slab_alloc_raw(&pool->pkts);
    if (!p)
        return NULL;
    memset(p, 0, offsetof(struct weir_pkt, frag_room)); /* the rest is written before it is read */
    p->frags = p->frag_room;
    p->frag_cap = WEIR_PKT_FRAGS;
    p->pool = pool;
    p->refs = 1;
    p->head_off = (uint16_t)headroom;
    pool_take(pool, sizeof *p);
    return p;
}

bool wi_pkt_widen(struct weir_pkt *p)
{
    if (p->frag_cap == WI_PKT_FRAGS_WIDE)
        return true;
    struct weir_frag *table = wi_slab_alloc_raw(&p->pool->tables);
    if (!table)
        return false;
    pool_take(p->pool, WI_PKT_FRAGS_WIDE * sizeof *table);
    memcpy(table, p->frags, p->frag_n * sizeof *table);
    p->frags = table;
    p->frag_cap = WI_PKT_FRAGS_WIDE;
    return true;
}

struct weir_pkt *weir_pkt_ref(struct weir_pkt *p)
{
    p->refs++;
    return p;
}

void weir_pkt_unref(struct weir_pkt *p)
{
    WI_ASSERT(p->refs > 0);
    if (--p->refs > 0)
        return;

    struct weir_pool *pool = p->pool;
    for (unsigned i = 0; i < p->frag_n; i++)
        weir_block_unref(p->frags[i].block);
    if (p->frags != p->frag_room) {
        wi_slab_free(&pool->tables, p->frags);
        pool_give(pool, WI_PKT_FRAGS_WIDE * sizeof p->frags[0]);
    }
    wi_slab_free(&pool->pkts, p);
    pool_give(pool, sizeof *p);
}

struct weir_pkt *weir_pkt_clone(struct weir_pool *pool, const struct weir_pkt *p)
{
    struct weir_pkt *c = weir_pkt_new(pool, p->head_off);
    if (!c)
        return NULL;
    if (p->frag_n > WEIR_PKT_FRAGS && !wi_pkt_widen(c)) {
        weir_pkt_unref(c);
        return NULL;
    }
    c->serial = p->serial;
    c->len = p->len;
    c->head_len = p->head_len;
    c->l3_off = p->l3_off;
    c->l4_off = p->l4_off;
    c->gso_size = p->gso_size;
    c->flags = p->flags;
    c->frag_sum = p->frag_sum;
    c->frag_n = p->frag_n;
    memcpy(c->room + p->head_off, p->room + p->head_off, p->head_len);
    for (unsigned i = 0; i < p->frag_n; i++) {
        c->frags[i] = p->frags[i];
        weir_block_ref(c->frags[i].block);
    }
    return c;
}

struct weir_pkt *weir_pkt_from(struct weir_pool *pool, const void *data, size_t len)
{
    struct weir_pkt *p = weir_pkt_new(pool, 0);
    if (!p || len == 0)
        return p;

    struct weir_block *b = weir_block_new(pool, len);
    if (!b) {
        weir_pkt_unref(p);
        return NULL;
    }
    memcpy(b->data, data, len);
    (void)weir_pkt_append(p, b, 0, (uint32_t)len); /* an empty packet has room */
    weir_block_unref(b);
    return p;
}

uint8_t *weir_pkt_push(struct weir_pkt *p, size_t len)
{
    if (len > p->head_off)
        return NULL;
    p->head_off = (uint16_t)(p->head_off - len);
    p->head_len = (uint16_t)(p->head_len + len);
    p->len += (uint32_t)len;
    return p->room + p->head_off;
}

uint8_t *weir_pkt_put(struct weir_pkt *p, size_t len)
{
    size_t end = (size_t)p->head_off + p->head_len;

    if (p->frag_n > 0 || len > WEIR_PKT_HEAD_CAP - end)
        return NULL;
    p->head_len = (uint16_t)(p->head_len + len);
    p->len += (uint32_t)len;
    return p->room + end;
}

/* The fragments are about to change: what was known of their sum is void. */
static void forget_sum(struct weir_pkt *p)
{
    p->flags &= (uint8_t)~WEIR_PKT_DATA_SUM;
}

/* Take fragments [0, n) away. */
static void frags_shift(struct weir_pkt *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        weir_block_unref(p->frags[i].block);
    p->frag_n = (uint8_t)(p->frag_n - n);
    memmove(p->frags, p->frags + n, p->frag_n * sizeof p->frags[0]);
}

void weir_pkt_drop_front(struct weir_pkt *p, size_t len)
{
    uint32_t left = (uint32_t)wi_min_size(len, p->len);
    uint32_t of_head = wi_min_u32(left, p->head_len);

    p->len -= left;
    p->head_off = (uint16_t)(p->head_off + of_head);
    p->head_len = (uint16_t)(p->head_len - of_head);
    left -= of_head;
    if (left > 0)
        forget_sum(p);

    unsigned gone = 0;
    while (gone < p->frag_n && left >= p->frags[gone].len)
        left -= p->frags[gone++].len;
    if (gone > 0)
        frags_shift(p, gone);
    if (left > 0) {
        p->frags[0].off += left;
        p->frags[0].len -= left;
    }
}

void weir_pkt_trim(struct weir_pkt *p, size_t len)
{
    if (len >= p->len)
        return;
    p->len = (uint32_t)len;
    p->head_len = (uint16_t)wi_min_size(p->head_len, len);
    forget_sum(p);

    uint32_t left = p->len - p->head_len;
    unsigned keep = 0;
    while (keep < p->frag_n && left > 0) {
        p->frags[keep].len = wi_min_u32(p->frags[keep].len, left);
        left -= p->frags[keep++].len;
    }
    for (unsigned i = keep; i < p->frag_n; i++)
        weir_block_unref(p->frags[i].block);
    p->frag_n = (uint8_t)keep;
}

int weir_pkt_append(struct weir_pkt *p, struct weir_block *block, uint32_t off, uint32_t len)
{
    if (len == 0)
        return 0;
    forget_sum(p);
    if (p->frag_n > 0) { /* the next bytes of the same block need no view of their own */
        struct weir_frag *last = &p->frags[p->frag_n - 1];
        if (last->block == block && last->off + last->len == off) {
            last->len += len;
            p->len += len;
            return 0;
        }
    }
    if (p->frag_n == p->frag_cap)
        return -WEIR_ENOBUFS;
    wi_pkt_add_view(p, block, off, len);
    return 0;
}

/* Move bytes from the fragments' front into the head until it holds `len`. The head has room for them. */
static void gather(struct weir_pkt *p, size_t len)
{
    uint32_t want = (uint32_t)(len - p->head_len);
    uint8_t *to = p->room + p->head_off + p->head_len;
    unsigned gone = 0;

    p->head_len = (uint16_t)len;
    forget_sum(p);
    while (want > 0) {
        struct weir_frag *f = &p->frags[gone];
        uint32_t n = wi_min_u32(want, f->len);
        memcpy(to, f->block->data + f->off, n);
        to += n;
        want -= n;
        f->off += n;
        f->len -= n;
        if (f->len == 0)
            gone++;
    }
    if (gone > 0)
        frags_shift(p, gone);
}

const uint8_t *weir_pkt_pull(struct weir_pkt *p, size_t len)
{
    if (len > p->len)
        return NULL;
    if (len <= p->head_len)
        return p->room + p->head_off;
    if (p->head_len == 0 && len <= p->frags[0].len)
        return p->frags[0].block->data + p->frags[0].off;
    if (len > WEIR_PKT_HEAD_CAP)
        return NULL;
    if (p->head_off + len > WEIR_PKT_HEAD_CAP) {
        memmove(p->room, p->room + p->head_off, p->head_len);
        p->head_off = 0;
    }
    gather(p, len);
    return p->room + p->head_off;
}

size_t weir_pkt_copy(const struct weir_pkt *p, size_t off, void *buf, size_t len)
{
    uint8_t *to = buf;
    size_t left = len;

    if (off < p->head_len) {
        size_t n = wi_min_size(left, p->head_len - off);
        memcpy(to, p->room + p->head_off + off, n);
        to += n;
        left -= n;
        off = 0;
    } else {
        off -= p->head_len;
    }
    for (unsigned i = 0; i < p->frag_n && left > 0; i++) {
        const struct weir_frag *f = &p->frags[i];
        if (off >= f->len) {
            off -= f->len;
            continue;
        }
        size_t n = wi_min_size(left, f->len - off);
        memcpy(to, f->block->data + f->off + off, n);
        to += n;
        left -= n;
        off = 0;
    }
    return len - left;
}
