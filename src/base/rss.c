/*
 * The Toeplitz hash of RSS (weir/shard.h): for each bit of the input that is set, the 32 bits of the key that begin at
 * that bit are added without carry. Half a byte at a time, from a table of 4.5 KiB that stays in the first cache.
 */
#include "base/rss.h"

#include "base/bytes.h"
#include "base/str.h"
#include <weir/errno.h>

#define EPHEMERAL_MIN 32768
#define EPHEMERAL_MAX 60999

const uint8_t weir_rss_key_microsoft[WEIR_RSS_KEY_LEN] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                                          0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                                          0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                                          0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

const uint8_t weir_rss_key_symmetric[WEIR_RSS_KEY_LEN] = {0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
                                                          0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
                                                          0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a,
                                                          0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a, 0x6d, 0x5a};

/* The 32 bits of the key from bit `at` on. */
static uint32_t window(const uint8_t *key, unsigned at)
{
    uint64_t bits = (uint64_t)wi_get32(key + at / 8) << 8 | key[at / 8 + 4];
    return (uint32_t)(bits >> (8 - at % 8));
}

int weir_rss_init(struct weir_rss *r, const uint8_t key[WEIR_RSS_KEY_LEN], unsigned shard_n)
{
    if (shard_n == 0 || shard_n > WEIR_SHARDS_MAX)
        return -WEIR_EINVAL;
    if (!key)
        key = weir_rss_key_microsoft;
    for (unsigned place = 0; place < WI_ARRAY_LEN(r->parts); place++) {
        for (unsigned half = 0; half < 16; half++) {
            uint32_t sum = 0;
            for (unsigned bit = 0; bit < 4; bit++)
                sum ^= half & 8u >> bit ? window(key, place * 4 + bit) : 0;
            r->parts[place][half] = sum;
        }
    }
    r->shard_n = shard_n;
    r->port_min = EPHEMERAL_MIN;
    r->port_max = EPHEMERAL_MAX;
    return 0;
}

static uint32_t hash_addrs(const struct weir_rss *r, const struct weir_addr *src, const struct weir_addr *dst,
                           unsigned *len)
{
    if (weir_addr_is_v4(src)) {
        *len = 8;
        return wi_rss_part(r, 0, src->b + 12, 4) ^ wi_rss_part(r, 4, dst->b + 12, 4);
    }
    *len = 32;
    return wi_rss_part(r, 0, src->b, 16) ^ wi_rss_part(r, 16, dst->b, 16);
}

uint32_t weir_rss_hash_addrs(const struct weir_rss *r, const struct weir_addr *src, const struct weir_addr *dst)
{
    unsigned len;
    return hash_addrs(r, src, dst, &len);
}

uint32_t weir_rss_hash(const struct weir_rss *r, const struct weir_sockaddr *src, const struct weir_sockaddr *dst)
{
    unsigned at;
    uint8_t ports[4];
    uint32_t hash = hash_addrs(r, &src->addr, &dst->addr, &at);
    wi_put16(ports, src->port);
    wi_put16(ports + 2, dst->port);
    return hash ^ wi_rss_part(r, at, ports, sizeof ports);
}
