/* The tests' allocator as the core sees it. */
#ifndef TEST_BASE_HEAP_H
#define TEST_BASE_HEAP_H

#include "unit/support/alloc.h"

#include "base/alloc.h"

static inline struct wi_mem heap_mem(struct heap *h, size_t limit)
{
    struct weir_alloc a = heap_owner(h);
    struct wi_mem m;
    wi_mem_init(&m, &a, limit);
    return m;
}

#endif
