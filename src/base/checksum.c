/* The Internet checksum: wide sums in the machine's own byte order, turned once at the end (RFC 1071 section 2 (B)).
 *
 * A run's sum is kept as two: of its 64-bit words, wrapping, and of their upper halves. Together they tell the sum of
 * the lower halves, so no word need be masked and no carry is lost below 2^32 words. */
#include "base/checksum.h"

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cpu.h"
#include "base/str.h"

struct sum {
    uint64_t words; /* modulo 2^64 */
    uint64_t tops;  /* of their upper 32 bits */
};

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t halves(uint64_t v)
{
    return (v & UINT32_MAX) + (v >> 32);
}

static bool is_little_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static inline void sum_word(struct sum *s, uint64_t word)
{
    s->words += word;
    s->tops += word >> 32;
}

/* As one number of at most 33 bits: fewer than 2^30 words make no carry here. */
static inline uint64_t sum_total(const struct sum *s)
{
    return halves(s->words - (s->tops << 32) + s->tops);
}

/* Up to 7 bytes; an odd last one is a word with zero behind it. */
static inline uint64_t sum_tail(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;
    uint32_t four;
    uint16_t two;
    if (len & 4) {
        memcpy(&four, p, 4);
        sum += four;
        p += 4;
    }
    if (len & 2) {
        memcpy(&two, p, 2);
        sum += two;
        p += 2;
    }
    if (len & 1)
        sum += is_little_endian() ? p[0] : (uint64_t)p[0] << 8;
    return sum;
}

static inline uint64_t sum_rest(struct sum s, const uint8_t *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8)
        sum_word(&s, load64(p));
    return sum_total(&s) + sum_tail(p, len);
}

static inline uint64_t copy_rest(struct sum s, uint8_t *restrict to, const uint8_t *restrict from, size_t len)
{
    for (; len >= 8; to += 8, from += 8, len -= 8) {
        uint64_t word = load64(from);
        memcpy(to, &word, sizeof word);
        sum_word(&s, word);
    }
    uint64_t tail = sum_tail(from, len);
    for (size_t i = 0; i < len; i++)
        to[i] = from[i];
    return sum_total(&s) + tail;
}

static uint64_t sum_portable(const uint8_t *p, size_t len)
{
    struct sum a = {0}, b = {0};
    for (; len >= 16; p += 16, len -= 16) {
        sum_word(&a, load64(p));
        sum_word(&b, load64(p + 8));
    }
    return sum_rest((struct sum){a.words + b.words, a.tops + b.tops}, p, len);
}

static uint64_t copy_portable(uint8_t *restrict to, const uint8_t *restrict from, size_t len)
{
    return copy_rest((struct sum){0}, to, from, len);
}

/* ---- With vector registers: one source, for each width that the compiler knows ---- */

#if defined(__SSE2__) || defined(__ARM_NEON)
#define VECTOR_BYTES   16
#define VECTOR_NAME(n) n##_128
#define VECTOR_TARGET
#include "base/checksum_vector.h"
#define HAS_128 1
#endif

#ifdef __x86_64__
#define VECTOR_BYTES   32
#define VECTOR_NAME(n) n##_avx2
#define VECTOR_TARGET  __attribute__((target("avx2")))
#include "base/checksum_vector.h"
#endif

/* Slowest first. */
static const struct wi_csum_form forms[] = {
    {"portable", sum_portable, copy_portable},
#ifdef HAS_128
    {"128 bits", sum_128, copy_128},
#endif
#ifdef __x86_64__
    {"AVX2", sum_avx2, copy_avx2},
#endif
};

const struct wi_csum_form *wi_csum_form_at(unsigned i)
{
    unsigned n = WI_ARRAY_LEN(forms);
#ifdef __x86_64__
    n -= !wi_cpu_has_avx2();
#endif
    return i < n ? &forms[i] : NULL;
}

const struct wi_csum_form *wi_csum_form_best(void)
{
    const struct wi_csum_form *best = &forms[0];
    for (unsigned i = 1; i < WI_ARRAY_LEN(forms); i++) {
        const struct wi_csum_form *form = wi_csum_form_at(i);
        best = form ? form : best;
    }
    return best;
}

/* ---- Partial sums ---- */

/* Enters the sum of a run of `len` bytes into `partial`. Where the machine's order is not the network's, or the run
 * began in the middle of a word, its words are swapped: the sum of swapped words is the swapped sum, and that is 256
 * times the sum, modulo 2^16 - 1. */
static inline uint64_t enter_run(uint64_t partial, uint64_t run, size_t len)
{
    bool is_odd = (partial & WI_CSUM_ODD) != 0;
    if (is_odd != is_little_endian())
        run <<= 8;
    uint64_t sum = halves(partial & ~WI_CSUM_ODD) + run;
    return sum | (is_odd != (len % 2 != 0) ? WI_CSUM_ODD : 0);
}

uint64_t wi_csum_add(uint64_t partial, const void *p, size_t len)
{
    return enter_run(partial, sum_portable(p, len), len);
}

uint64_t wi_csum_add_by(const struct wi_csum_form *form, uint64_t partial, const void *p, size_t len)
{
    return enter_run(partial, form->sum(p, len), len);
}

uint64_t wi_csum_copy_by(const struct wi_csum_form *form, uint64_t partial, void *restrict to,
                         const void *restrict from, size_t len)
{
    return enter_run(partial, form->copy(to, from, len), len);
}
