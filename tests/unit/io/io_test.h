/*
 * What the tests of io share: memory that is counted, frames made by hand, temporary files.
 */
#ifndef IO_TEST_H
#define IO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

#include <cmocka.h>

static inline void *heap_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static inline void heap_free(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

static const struct weir_alloc test_memory = {.alloc = heap_alloc, .free = heap_free};

/* A TCP segment between 10.0.0.1:near_port and 10.0.0.2:80 in a raw IPv4 packet, checksums left 0. */
static inline struct weir_pkt *test_segment(struct weir_pool *pool, bool is_up, uint16_t near_port, uint8_t flags,
                                            uint32_t seq, uint16_t len)
{
    uint8_t b[40 + 1460] = {0};
    uint16_t total = (uint16_t)(40 + len), src = is_up ? near_port : 80, dst = is_up ? 80 : near_port;
    const uint8_t near[4] = {10, 0, 0, 1}, far[4] = {10, 0, 0, 2};

    b[0] = 0x45;
    b[2] = (uint8_t)(total >> 8);
    b[3] = (uint8_t)total;
    b[8] = 64;
    b[9] = 6;
    memcpy(b + 12, is_up ? near : far, 4);
    memcpy(b + 16, is_up ? far : near, 4);
    b[20] = (uint8_t)(src >> 8);
    b[21] = (uint8_t)src;
    b[22] = (uint8_t)(dst >> 8);
    b[23] = (uint8_t)dst;
    b[24] = (uint8_t)(seq >> 24);
    b[25] = (uint8_t)(seq >> 16);
    b[26] = (uint8_t)(seq >> 8);
    b[27] = (uint8_t)seq;
    b[32] = 0x50;
    b[33] = flags;
    return weir_pkt_from(pool, b, total);
}

#endif
