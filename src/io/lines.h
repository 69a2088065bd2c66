/*
 * Memory of whole cache lines, for what one thread writes all the time: nothing that another thread has lies beside it.
 */
#ifndef WIO_LINES_H
#define WIO_LINES_H

#include <stdlib.h>
#include <string.h>

/* Two of 64 bytes: processors fetch the neighbouring line as well. */
#define WIO_CACHE_LINE 128

/* Zeroed; free() it. NULL: no memory. */
static inline void *wio_lines_new(size_t size)
{
    size = (size + WIO_CACHE_LINE - 1) / WIO_CACHE_LINE * WIO_CACHE_LINE;
    void *p = aligned_alloc(WIO_CACHE_LINE, size);
    if (p)
        memset(p, 0, size);
    return p;
}

#endif
