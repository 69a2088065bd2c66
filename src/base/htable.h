/* Keyed intrusive hash table that grows and shrinks a bucket at a time (linear hashing, Litwin 1980): there is never a
 * rehash of the whole. An insert splits at most two buckets, a removal joins at most four; lookup is O(1) expected.
 *
 * The owner computes hashes, with a secret key where a peer chooses the input (base/siphash.h), and owns the nodes.
 * When growth finds no memory the chains get longer, and nothing else happens. */
#ifndef WI_BASE_HTABLE_H
#define WI_BASE_HTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

/* Segment 0 holds the initial buckets; each one after it as many as all before it. */
#define WI_HTABLE_SEGMENTS_MAX 32

struct wi_hnode {
    struct wi_hnode *next;
    uint64_t hash;
};

struct wi_htable {
    struct wi_mem *mem;
    struct wi_hnode **segment[WI_HTABLE_SEGMENTS_MAX];
    size_t node_n;
    uint32_t bucket_n;     /* buckets in use, >= initial_n */
    uint32_t bucket_mask;  /* smallest 2^k - 1 >= bucket_n - 1 */
    uint32_t initial_n;    /* power of two; the table never shrinks below it */
    unsigned initial_log2; /* of initial_n */
    unsigned segment_n;
    unsigned iter_n;      /* running iterations: the buckets stand still meanwhile */
    size_t grow_retry_at; /* after a failed growth: the node_n at which to try again */
};

/* `initial` buckets, rounded up to a power of two, at least 4. False when there is no memory for them. */
bool wi_htable_init(struct wi_htable *t, struct wi_mem *mem, uint32_t initial);

/* Frees the buckets. Nodes still inside are their owner's; they are no longer in any table. */
void wi_htable_fini(struct wi_htable *t);

/* Enters `node`, which is in no table, under `hash`. Equal keys may be entered; the one entered last is found first
 * until the table next grows or shrinks there. Cannot fail. */
void wi_htable_insert(struct wi_htable *t, struct wi_hnode *node, uint64_t hash);

/* Takes out `node`, which must be in this table. */
void wi_htable_remove(struct wi_htable *t, struct wi_hnode *node);

static inline size_t wi_htable_count(const struct wi_htable *t)
{
    return t->node_n;
}

/* The head of the chain for `hash`. For this header and its .c. */
static inline struct wi_hnode **wi_htable_bucket(const struct wi_htable *t, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & t->bucket_mask;
    if (i >= t->bucket_n)
        i &= t->bucket_mask >> 1;
    if (i < t->initial_n)
        return &t->segment[0][i];
    unsigned log2 = 31u - (unsigned)__builtin_clz(i);
    return &t->segment[log2 - t->initial_log2 + 1][i - ((uint32_t)1 << log2)];
}

/* A node entered under `hash` for which `eq` holds, else NULL. `eq` is called only where all 64 bits of the hash agree.
 * Inline, so that a constant `eq` is as well. */
static inline struct wi_hnode *wi_htable_find(const struct wi_htable *t, uint64_t hash,
                                              bool (*eq)(const struct wi_hnode *node, const void *key), const void *key)
{
    for (struct wi_hnode *n = *wi_htable_bucket(t, hash); n; n = n->next) {
        if (n->hash == hash && eq(n, key))
            return n;
    }
    return NULL;
}

/* A walk over all nodes, in no order:
 *
 *     struct wi_htable_iter it;
 *     wi_htable_iter_begin(&it, t);
 *     for (struct wi_hnode *n; (n = wi_htable_iter_next(&it));) { ... }
 *     wi_htable_iter_end(&it);
 *
 * The node last returned may be removed and freed. Others may be removed only if they are not the next one of the same
 * chain: remove what you were given. Nodes inserted meanwhile may or may not be seen. Without the end the table stops
 * growing and shrinking; begin, end and next are otherwise free, and the end does the shrinking that the removals owe.
 */
struct wi_htable_iter {
    struct wi_htable *table;
    struct wi_hnode *next;
    uint32_t bucket;
};

void wi_htable_iter_begin(struct wi_htable_iter *it, struct wi_htable *t);
struct wi_hnode *wi_htable_iter_next(struct wi_htable_iter *it);
void wi_htable_iter_end(struct wi_htable_iter *it);

/*
 * A walk that may rest between its steps while nodes come and go and the table grows and shrinks: a node that is in
 * from the first step to the last is given exactly once. The order is that of the hashes with their bits reversed, in
 * which a bucket is one stretch however often it is split or joined. (Of nodes with one and the same hash, one may be
 * given twice or not at all when others of them come or go meanwhile.) Begin with all of it 0.
 */
struct wi_htable_walk {
    uint64_t at;      /* where it has come to: a reversed hash */
    uint32_t given_n; /* nodes at `at` that were given */
    bool is_over;
};

/* The next node, NULL past the last. O(1) amortised over a walk. */
struct wi_hnode *wi_htable_walk_next(const struct wi_htable *t, struct wi_htable_walk *walk);

#endif
