/* Random numbers: wi_rng, fast, deterministic and guessable, for choices that nobody is harmed by knowing; and
 * wi_secret, for keys, which comes from the owner, or from the seed where the owner wants a run that repeats itself. */
#ifndef WI_BASE_RANDOM_H
#define WI_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"

/* xoshiro256** (Blackman and Vigna, 2018). */
struct wi_rng {
    uint64_t s[4];
};

/* The same seed gives the same numbers, for ever. Any seed is good, 0 too. */
void wi_rng_init(struct wi_rng *r, uint64_t seed);

uint64_t wi_rng_u64(struct wi_rng *r);

static inline uint32_t wi_rng_u32(struct wi_rng *r)
{
    return (uint32_t)(wi_rng_u64(r) >> 32);
}

/* Uniform in 0 .. n - 1, without bias. n > 0. */
uint64_t wi_rng_below(struct wi_rng *r, uint64_t n);

struct wi_secret {
    void (*random)(void *ctx, void *buf, size_t len); /* the owner's; NULL: derived from the seed */
    void *ctx;
    uint8_t key[WI_SIPHASH_KEY_LEN]; /* without `random`: output block i is SipHash-2-4 of i under this key */
    uint64_t block_n;
};

/* With `random` NULL the output is as secret as `seed` is, and repeats with it: for simulations and tests. */
void wi_secret_init(struct wi_secret *s, void (*random)(void *ctx, void *buf, size_t len), void *ctx, uint64_t seed);

/* Fills `buf` with bytes that a peer cannot guess. */
void wi_secret_bytes(struct wi_secret *s, void *buf, size_t len);

uint32_t wi_secret_u32(struct wi_secret *s);

#endif
