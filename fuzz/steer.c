/*
 * Which shard a packet is for (weir/shard.h): any bytes have one, or are for all; whatever pieces they lie in; and
 * bytes beyond those that are looked at change nothing.
 */
#include "fuzz.h"

#include <string.h>
#include <weir/shard.h>

#define LOOK 256

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void give(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

static unsigned in_pieces(const struct weir_rss *rss, enum weir_link_type type, const uint8_t *p, size_t n, size_t cut)
{
    const struct weir_alloc memory = {take, give, NULL};
    struct weir_pool *pool = weir_pool_new(&memory, 0);
    struct weir_pkt *pkt = weir_pkt_new(pool, 0);
    struct weir_block *b = weir_block_new(pool, n + 1);
    FUZZ_ASSERT(pkt && b);
    memcpy(b->data, p, n);
    if (cut > 0)
        memcpy(weir_pkt_put(pkt, cut), p, cut);
    if (cut < n)
        weir_pkt_append(pkt, b, (uint32_t)cut, (uint32_t)(n - cut));
    unsigned to = weir_steer(rss, type, pkt);
    weir_block_unref(b);
    weir_pkt_unref(pkt);
    weir_pool_free(pool);
    return to;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    struct weir_rss rss;
    uint8_t how = fuzz_u8(&in);
    enum weir_link_type type = how & 1 ? WEIR_LINK_ETHERNET : WEIR_LINK_RAW_IP;
    size_t cut = fuzz_u8(&in);
    FUZZ_ASSERT(weir_rss_init(&rss, how & 2 ? weir_rss_key_symmetric : NULL, 1 + how / 4) == 0);
    uint8_t *p = malloc(in.n ? in.n : 1); /* its end is the input's */
    memcpy(p, in.p, in.n);
    unsigned to = weir_steer_bytes(&rss, type, p, in.n < LOOK ? in.n : LOOK);
    FUZZ_ASSERT(to < rss.shard_n || to == WEIR_SHARD_ALL);
    FUZZ_ASSERT(in_pieces(&rss, type, p, in.n, cut < in.n ? cut : in.n) == to);
    free(p);
    return 0;
}
