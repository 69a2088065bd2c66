/* The memory of a stack in a benchmark: libc's. */
#ifndef BENCH_HEAP_H
#define BENCH_HEAP_H

#include <stdlib.h>
#include <weir/types.h>

static inline void *bench_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static inline void bench_free(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

#endif
