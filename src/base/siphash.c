/* SipHash-c-d, from the paper "SipHash: a fast short-input PRF", section 2. */
#include "base/siphash.h"

#include "base/bytes.h"

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void rounds(struct state *s, int n)
{
    while (n--) {
        s->v0 += s->v1;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v2 = rotl(s->v2, 32);
    }
}

static inline struct state start(const uint8_t *key)
{
    uint64_t k0 = wi_get_le64(key), k1 = wi_get_le64(key + 8);
    /* "somepseudorandomlygeneratedbytes" */
    return (struct state){k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                          k1 ^ 0x7465646279746573};
}

static inline void absorb(struct state *s, uint64_t word, int c)
{
    s->v3 ^= word;
    rounds(s, c);
    s->v0 ^= word;
}

static inline uint64_t finish(struct state *s, int d)
{
    s->v2 ^= 0xff;
    rounds(s, d);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* Inlined into its two callers, so that the round counts are constants there. */
static inline uint64_t siphash(const uint8_t *key, const uint8_t *p, size_t len, int c, int d)
{
    struct state s = start(key);
    uint64_t last = (uint64_t)len << 56;
    for (; len >= 8; p += 8, len -= 8)
        absorb(&s, wi_get_le64(p), c);
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)p[i] << (8 * i);
    absorb(&s, last, c);
    return finish(&s, d);
}

uint64_t wi_siphash24(const uint8_t key[WI_SIPHASH_KEY_LEN], const void *data, size_t len)
{
    return siphash(key, data, len, 2, 4);
}

uint64_t wi_siphash13(const uint8_t key[WI_SIPHASH_KEY_LEN], const void *data, size_t len)
{
    return siphash(key, data, len, 1, 3);
}

uint64_t wi_siphash13_2u64(const uint8_t key[WI_SIPHASH_KEY_LEN], uint64_t a, uint64_t b)
{
    struct state s = start(key);
    absorb(&s, a, 1);
    absorb(&s, b, 1);
    absorb(&s, (uint64_t)16 << 56, 1);
    return finish(&s, 3);
}

uint64_t wi_siphash_2u64(const uint8_t key[WI_SIPHASH_KEY_LEN], uint64_t a, uint64_t b)
{
    struct state s = start(key);
    absorb(&s, a, 2);
    absorb(&s, b, 2);
    absorb(&s, (uint64_t)16 << 56, 2);
    return finish(&s, 4);
}
