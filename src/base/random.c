/* Random numbers, repeatable and secret. */
#include "base/random.h"

#include "base/bytes.h"
#include "base/str.h"

/* SplitMix64 (Steele et al. 2014), the seeding that xoshiro's authors recommend. */
static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

void wi_rng_init(struct wi_rng *r, uint64_t seed)
{
    for (size_t i = 0; i < WI_ARRAY_LEN(r->s); i++)
        r->s[i] = splitmix_next(&seed);
}

uint64_t wi_rng_u64(struct wi_rng *r)
{
    uint64_t *s = r->s;
    uint64_t out = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

uint64_t wi_rng_below(struct wi_rng *r, uint64_t n)
{
    WI_ASSERT(n > 0);
    uint64_t surplus = (0 - n) % n; /* 2^64 mod n: numbers below it would favour the low results */
    uint64_t x;
    do {
        x = wi_rng_u64(r);
    } while (x < surplus);
    return x % n;
}

void wi_secret_init(struct wi_secret *s, void (*random)(void *ctx, void *buf, size_t len), void *ctx, uint64_t seed)
{
    *s = (struct wi_secret){.random = random, .ctx = ctx};
    wi_put_le64(s->key, splitmix_next(&seed));
    wi_put_le64(s->key + 8, splitmix_next(&seed));
}

void wi_secret_bytes(struct wi_secret *s, void *buf, size_t len)
{
    if (s->random) {
        s->random(s->ctx, buf, len);
        return;
    }
    for (uint8_t *p = buf; len;) {
        uint8_t block[8];
        wi_put_le64(block, wi_siphash_2u64(s->key, s->block_n++, 0));
        size_t n = wi_min_size(len, sizeof block);
        memcpy(p, block, n);
        p += n;
        len -= n;
    }
}

uint32_t wi_secret_u32(struct wi_secret *s)
{
    uint8_t bytes[4];
    wi_secret_bytes(s, bytes, sizeof bytes);
    return wi_get_le32(bytes);
}
