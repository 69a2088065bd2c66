/* An owner's allocator for tests: counts, checks the sizes that come back, and can be told to refuse. Brings in cmocka.
 */
#ifndef TEST_SUPPORT_ALLOC_H
#define TEST_SUPPORT_ALLOC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <weir/types.h>

struct heap {
    size_t bytes;       /* now allocated */
    size_t alloc_n;     /* calls so far, refused ones too */
    size_t fail_at;     /* the call to refuse, counted from 1; 0: none */
    bool fails_onwards; /* refuse every later one as well */
};

static inline void *heap_alloc(void *ctx, size_t size)
{
    struct heap *h = ctx;
    h->alloc_n++;
    if (h->fail_at && (h->alloc_n == h->fail_at || (h->fails_onwards && h->alloc_n > h->fail_at)))
        return NULL;
    uint8_t *p = malloc(size + 16);
    assert_non_null(p);
    memcpy(p, &size, sizeof size);
    memset(p + 16, 0xa5, size);
    h->bytes += size;
    return p + 16;
}

static inline void heap_free(void *ctx, void *ptr, size_t size)
{
    struct heap *h = ctx;
    uint8_t *p = (uint8_t *)ptr - 16;
    assert_memory_equal(p, &size, sizeof size);
    h->bytes -= size;
    free(p);
}

static inline struct weir_alloc heap_owner(struct heap *h)
{
    return (struct weir_alloc){heap_alloc, heap_free, h};
}

#endif
