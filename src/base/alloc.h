/* The owner's allocator seen through a byte limit: every allocation of the core goes through one of these. */
#ifndef WI_BASE_ALLOC_H
#define WI_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include <weir/types.h>

struct wi_mem {
    struct weir_alloc a;
    size_t used;       /* bytes now allocated */
    size_t limit;      /* never exceeded by used; SIZE_MAX: no limit */
    size_t peak;       /* the highest that used has been */
    uint64_t failures; /* allocations refused, by the limit or by the owner's allocator */

    /* May be set: gives back what is held in reserve when an allocation is about to be refused. Returns how many bytes.
     */
    size_t (*reclaim)(void *ctx);
    void *reclaim_ctx;
};

void wi_mem_init(struct wi_mem *m, const struct weir_alloc *a, size_t limit);

/* `size` (> 0) bytes aligned as malloc's are, contents undefined. NULL at the limit or when the owner's allocator has
 * none. */
void *wi_mem_alloc(struct wi_mem *m, size_t size);

/* The same, zeroed. */
void *wi_mem_zalloc(struct wi_mem *m, size_t size);

/* Gives back `p` (NULL: nothing happens), which was allocated with this same `size`. */
void wi_mem_free(struct wi_mem *m, void *p, size_t size);

#endif
