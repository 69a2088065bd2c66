/*
 * Random numbers of simulated links and worlds: seeded, the same on every machine (xoshiro256**, Blackman and Vigna,
 * 2018; seeded by splitmix64). Not for secrets.
 */
#ifndef WIO_RNG_H
#define WIO_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct wio_rng {
    uint64_t s[4];
};

/* Start the stream that belongs to (seed, stream): streams of one seed are independent of each other. */
static inline void wio_rng_init(struct wio_rng *r, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed ^ (stream * UINT64_C(0xD1342543DE82EF95));
    for (unsigned i = 0; i < 4; i++) {
        x += UINT64_C(0x9E3779B97F4A7C15);
        uint64_t z = x;
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        r->s[i] = z ^ (z >> 31);
    }
}

static inline uint64_t wio_rng_u64(struct wio_rng *r)
{
    uint64_t *s = r->s, out = s[1] * 5, t = s[1] << 17;
    out = ((out << 7) | (out >> 57)) * 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return out;
}

/* A number below n, n > 0. */
static inline uint32_t wio_rng_below(struct wio_rng *r, uint32_t n)
{
    return (uint32_t)(((wio_rng_u64(r) >> 32) * n) >> 32);
}

/* true with a probability in units of 1e-9. Takes a number from the stream whatever the probability is. */
static inline bool wio_rng_chance(struct wio_rng *r, uint32_t prob)
{
    return wio_rng_below(r, 1000000000u) < prob;
}

#endif
