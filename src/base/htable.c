/* Linear hashing over segments that double. A bucket comes into being when the table grows onto it, so a new segment,
 * however large, costs no initialisation. Load is held between 1/4 and 1 nodes a bucket: far enough apart not to
 * flutter. */
#include "base/htable.h"

#include "base/bytes.h"
#include "base/str.h"

#define SPLITS_PER_INSERT 2 /* one keeps pace; the second catches up after growth had failed */
#define JOINS_PER_REMOVE  4 /* keeps bucket_n <= 4 * node_n while node_n falls by one */
#define BUCKETS_MAX       ((uint32_t)1 << 31)

static size_t segment_bytes(const struct wi_htable *t, unsigned segment)
{
    size_t bucket_n = segment ? (size_t)t->initial_n << (segment - 1) : t->initial_n;
    return bucket_n * sizeof(struct wi_hnode *);
}

bool wi_htable_init(struct wi_htable *t, struct wi_mem *mem, uint32_t initial)
{
    *t = (struct wi_htable){.mem = mem, .initial_n = 4, .initial_log2 = 2};
    while (t->initial_n < initial && t->initial_n < BUCKETS_MAX) {
        t->initial_n *= 2;
        t->initial_log2++;
    }
    t->segment[0] = wi_mem_zalloc(mem, segment_bytes(t, 0));
    if (!t->segment[0])
        return false;
    t->segment_n = 1;
    t->bucket_n = t->initial_n;
    t->bucket_mask = t->bucket_n - 1;
    return true;
}

void wi_htable_fini(struct wi_htable *t)
{
    while (t->segment_n) {
        t->segment_n--;
        wi_mem_free(t->mem, t->segment[t->segment_n], segment_bytes(t, t->segment_n));
        t->segment[t->segment_n] = NULL;
    }
    t->node_n = 0;
}

/* Makes sure that the bucket behind the last one has memory. */
static bool reserve_bucket(struct wi_htable *t)
{
    if (t->bucket_n < (uint32_t)1 << (t->initial_log2 + t->segment_n - 1))
        return true;
    if (t->segment_n == WI_HTABLE_SEGMENTS_MAX || t->bucket_n >= BUCKETS_MAX)
        return false;
    struct wi_hnode **buckets = wi_mem_alloc(t->mem, segment_bytes(t, t->segment_n));
    if (!buckets)
        return false;
    t->segment[t->segment_n++] = buckets;
    return true;
}

/* Adds one bucket, and moves into it what belongs there from the one that stood for it. */
static bool split_bucket(struct wi_htable *t)
{
    if (!reserve_bucket(t))
        return false;
    uint32_t new_i = t->bucket_n;
    struct wi_hnode *n = *wi_htable_bucket(t, new_i);
    struct wi_hnode **old_tail = wi_htable_bucket(t, new_i);

    t->bucket_n++;
    if (t->bucket_n - 1 > t->bucket_mask)
        t->bucket_mask = t->bucket_mask * 2 + 1;
    struct wi_hnode **new_tail = wi_htable_bucket(t, new_i);
    for (; n; n = n->next) {
        struct wi_hnode ***tail = ((uint32_t)n->hash & t->bucket_mask) == new_i ? &new_tail : &old_tail;
        **tail = n;
        *tail = &n->next;
    }
    *old_tail = NULL;
    *new_tail = NULL;
    return true;
}

/* Takes the last bucket away; its chain goes before that of the one that stands for it from now on. */
static void join_bucket(struct wi_htable *t)
{
    uint32_t last_i = t->bucket_n - 1;
    struct wi_hnode *chain = *wi_htable_bucket(t, last_i);

    t->bucket_n--;
    if (t->bucket_n - 1 <= t->bucket_mask >> 1)
        t->bucket_mask >>= 1;
    if (chain) {
        struct wi_hnode **head = wi_htable_bucket(t, last_i), *tail = chain;
        while (tail->next)
            tail = tail->next;
        tail->next = *head;
        *head = chain;
    }
    if (t->segment_n > 1 && t->bucket_n == (uint32_t)1 << (t->initial_log2 + t->segment_n - 2)) {
        t->segment_n--;
        wi_mem_free(t->mem, t->segment[t->segment_n], segment_bytes(t, t->segment_n));
        t->segment[t->segment_n] = NULL;
    }
}

static void grow(struct wi_htable *t)
{
    if (t->iter_n || t->node_n < t->grow_retry_at)
        return;
    t->grow_retry_at = 0;
    for (int i = 0; i < SPLITS_PER_INSERT && t->node_n > t->bucket_n; i++) {
        if (!split_bucket(t)) {
            t->grow_retry_at = t->node_n + t->node_n / 8 + 1;
            return;
        }
    }
}

static void shrink(struct wi_htable *t, uint32_t joins_max)
{
    if (t->iter_n)
        return;
    while (joins_max-- && t->bucket_n > t->initial_n && t->node_n < t->bucket_n / 4)
        join_bucket(t);
}

void wi_htable_insert(struct wi_htable *t, struct wi_hnode *node, uint64_t hash)
{
    struct wi_hnode **head = wi_htable_bucket(t, hash);
    node->hash = hash;
    node->next = *head;
    *head = node;
    t->node_n++;
    grow(t);
}

void wi_htable_remove(struct wi_htable *t, struct wi_hnode *node)
{
    struct wi_hnode **link = wi_htable_bucket(t, node->hash);
    while (*link != node) {
        WI_ASSERT(*link);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    t->node_n--;
    shrink(t, JOINS_PER_REMOVE);
}

void wi_htable_iter_begin(struct wi_htable_iter *it, struct wi_htable *t)
{
    *it = (struct wi_htable_iter){.table = t};
    t->iter_n++;
}

struct wi_hnode *wi_htable_iter_next(struct wi_htable_iter *it)
{
    while (!it->next && it->bucket < it->table->bucket_n)
        it->next = *wi_htable_bucket(it->table, it->bucket++);
    struct wi_hnode *n = it->next;
    if (n)
        it->next = n->next;
    return n;
}

void wi_htable_iter_end(struct wi_htable_iter *it)
{
    WI_ASSERT(it->table->iter_n > 0);
    it->table->iter_n--;
    shrink(it->table, UINT32_MAX);
}

/* ---- The walk ---- */

static uint64_t reverse(uint64_t v)
{
    v = (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(v);
}

/* The bits of a hash that its bucket goes by. */
static uint32_t bucket_bits(const struct wi_htable *t, uint64_t hash)
{
    return ((uint32_t)hash & t->bucket_mask) < t->bucket_n ? t->bucket_mask : t->bucket_mask >> 1;
}

/* Of a chain, the node that comes next. */
static struct wi_hnode *next_in_chain(struct wi_hnode *chain, struct wi_htable_walk *walk)
{
    struct wi_hnode *best = NULL;
    uint64_t best_at = UINT64_MAX;
    uint32_t seen_n = 0;
    for (struct wi_hnode *n = chain; n; n = n->next) {
        uint64_t at = reverse(n->hash);
        if (at < walk->at || (at == walk->at && seen_n++ < walk->given_n))
            continue;
        if (!best || at < best_at) {
            best = n;
            best_at = at;
        }
    }
    if (best) {
        walk->given_n = best_at == walk->at ? walk->given_n + 1 : 1;
        walk->at = best_at;
    }
    return best;
}

struct wi_hnode *wi_htable_walk_next(const struct wi_htable *t, struct wi_htable_walk *walk)
{
    while (!walk->is_over) {
        uint64_t hash = reverse(walk->at);
        struct wi_hnode *n = next_in_chain(*wi_htable_bucket(t, hash), walk);
        if (n)
            return n;
        walk->at = (walk->at | ~reverse(bucket_bits(t, hash))) + 1;
        walk->given_n = 0;
        walk->is_over = walk->at == 0;
    }
    return NULL;
}
