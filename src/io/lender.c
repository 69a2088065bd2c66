/* See lender.h. */
#include "io/lender.h"
#include "io/lines.h"

#include <stdlib.h>
#include <sys/mman.h>

struct buffer {
    struct weir_block block; /* first: a block is its buffer */
    struct wio_lender *lender;
};

struct wio_lender {
    uint8_t *base;
    uint32_t n, size;
    uint32_t left;
    bool is_ended;
    uint32_t *free; /* the indices of those that are not out, `left` of them */
    struct buffer buffers[];
};

static void lender_free(struct wio_lender *l)
{
    munmap(l->base, (size_t)l->n * l->size);
    free(l->free);
    free(l);
}

static void give_back(struct weir_block *block)
{
    struct buffer *b = (struct buffer *)block;
    struct wio_lender *l = b->lender;
    l->free[l->left++] = (uint32_t)(b - l->buffers);
    if (l->is_ended && l->left == l->n)
        lender_free(l);
}

struct wio_lender *wio_lender_new(uint32_t n, uint32_t size)
{
    struct wio_lender *l = wio_lines_new(sizeof *l + n * sizeof l->buffers[0]);
    if (!l)
        return NULL;
    *l = (struct wio_lender){.n = n, .size = size, .left = n};
    l->free = wio_lines_new(n * sizeof *l->free);
    if (!l->free)
        goto fail;
    l->base = mmap(NULL, (size_t)n * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (l->base == MAP_FAILED)
        goto fail;
    for (uint32_t i = 0; i < n; i++) {
        l->free[i] = n - 1 - i;
        l->buffers[i].lender = l;
    }
    return l;

fail:
    free(l->free);
    free(l);
    return NULL;
}

void wio_lender_end(struct wio_lender *l)
{
    if (!l)
        return;
    l->is_ended = true;
    if (l->left == l->n)
        lender_free(l);
}

struct weir_block *wio_lender_take(struct wio_lender *l)
{
    if (l->left == 0)
        return NULL;
    uint32_t i = l->free[--l->left];
    struct weir_block *block = &l->buffers[i].block;
    weir_block_lend(block, l->base + (size_t)i * l->size, l->size, give_back);
    return block;
}

uint32_t wio_lender_left(const struct wio_lender *l)
{
    return l->left;
}

uint8_t *wio_lender_base(const struct wio_lender *l)
{
    return l->base;
}

struct weir_block *wio_lender_block(struct wio_lender *l, uint64_t off)
{
    return &l->buffers[off / l->size].block;
}
