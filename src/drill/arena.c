/*
 * Blocks in a list, each used from its beginning.
 */
#include "drill/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_CAP 16384

struct block {
    struct block *next;
    size_t used, cap;
    _Alignas(max_align_t) char bytes[];
};

struct wdr_arena {
    struct block *blocks;
};

struct wdr_arena *wdr_arena_new(void)
{
    return calloc(1, sizeof(struct wdr_arena));
}

void wdr_arena_free(struct wdr_arena *a)
{
    if (!a)
        return;
    while (a->blocks) {
        struct block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    free(a);
}

void *wdr_arena_take(struct wdr_arena *a, size_t size)
{
    size_t whole = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!a->blocks || a->blocks->cap - a->blocks->used < whole) {
        size_t cap = whole > BLOCK_CAP ? whole : BLOCK_CAP;
        struct block *b = calloc(1, sizeof *b + cap);
        if (!b) {
            fputs("weir: out of memory\n", stderr);
            abort();
        }
        b->cap = cap;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = a->blocks->bytes + a->blocks->used;
    a->blocks->used += whole;
    return p;
}

char *wdr_arena_text(struct wdr_arena *a, const char *text, size_t len)
{
    char *copy = wdr_arena_take(a, len + 1);
    memcpy(copy, text, len);
    return copy;
}
