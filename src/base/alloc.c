/* Accounting in front of the owner's allocator. */
#include "base/alloc.h"

#include <stdbool.h>

#include "base/bytes.h"
#include "base/str.h"

void wi_mem_init(struct wi_mem *m, const struct weir_alloc *a, size_t limit)
{
    WI_ASSERT(a->alloc && a->free);
    *m = (struct wi_mem){.a = *a, .limit = limit};
}

static void *try_alloc(struct wi_mem *m, size_t size)
{
    /* The limit may have been lowered below what is in use. */
    bool fits = m->used <= m->limit && size <= m->limit - m->used;
    return fits ? m->a.alloc(m->a.ctx, size) : NULL;
}

void *wi_mem_alloc(struct wi_mem *m, size_t size)
{
    WI_ASSERT(size > 0);
    void *p = try_alloc(m, size);
    if (!p && m->reclaim && m->reclaim(m->reclaim_ctx) > 0)
        p = try_alloc(m, size);
    if (!p) {
        m->failures++;
        return NULL;
    }
    m->used += size;
    m->peak = wi_max_size(m->peak, m->used);
    return p;
}

void *wi_mem_zalloc(struct wi_mem *m, size_t size)
{
    void *p = wi_mem_alloc(m, size);
    return p ? memset(p, 0, size) : NULL;
}

void wi_mem_free(struct wi_mem *m, void *p, size_t size)
{
    if (!p)
        return;
    WI_ASSERT(m->used >= size);
    m->used -= size;
    m->a.free(m->a.ctx, p, size);
}
