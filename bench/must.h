/* For a benchmark that has nothing to say but that it can't go on. Its name is BENCH_NAME. */
#ifndef BENCH_MUST_H
#define BENCH_MUST_H

#include <stdio.h>
#include <stdlib.h>
#include <weir/errno.h>

static _Noreturn inline void fail(const char *what, int64_t err)
{
    fprintf(stderr, BENCH_NAME ": %s: %s\n", what, weir_strerror((int)err));
    exit(1);
}

static inline int64_t must(const char *what, int64_t ret)
{
    if (ret < 0)
        fail(what, ret);
    return ret;
}

static inline void *room(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        fail("memory", -WEIR_ENOMEM);
    return p;
}

#endif
