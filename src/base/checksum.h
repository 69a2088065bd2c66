/* The Internet checksum (RFC 1071), over fragments of any length and alignment, alone or fused with a copy.
 *
 * A partial sum is a uint64_t that starts at 0: bits 0..62 hold the sum of big-endian 16-bit words not yet folded, bit
 * 63 says that an odd number of bytes went in, so the next byte is the low half of a word. Chained fragments of odd
 * lengths thus sum right with nothing to keep but the partial. */
#ifndef WI_BASE_CHECKSUM_H
#define WI_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define WI_CSUM_ODD ((uint64_t)1 << 63)

/*
 * One way to go through a run of bytes, at most 4 GiB: the sum of its 16-bit words in the machine's order, in 36 bits;
 * and the same while it is copied. All give the same, modulo 2^16 - 1; which is fastest, only the processor knows.
 */
struct wi_csum_form {
    const char *name;
    uint64_t (*sum)(const uint8_t *p, size_t len);
    uint64_t (*copy)(uint8_t *restrict to, const uint8_t *restrict from, size_t len);
};

/* The fastest here. It asks the processor: keep the answer (wi_pool_csum has it). */
const struct wi_csum_form *wi_csum_form_best(void);

/* The i-th that runs here, NULL past the last. For tests. */
const struct wi_csum_form *wi_csum_form_at(unsigned i);

/* The partial sum with `len` more bytes: for headers. */
uint64_t wi_csum_add(uint64_t partial, const void *p, size_t len);

/* The same by a form, for payload; and while it is copied. */
uint64_t wi_csum_add_by(const struct wi_csum_form *, uint64_t partial, const void *p, size_t len);
uint64_t wi_csum_copy_by(const struct wi_csum_form *, uint64_t partial, void *restrict to, const void *restrict from,
                         size_t len);

/* The partial sum with one 16-bit word more (host order), at an even offset: pseudo-headers, ports. */
static inline uint64_t wi_csum_add16(uint64_t partial, uint16_t word)
{
    return partial + word;
}

/* The same for a 32-bit word. */
static inline uint64_t wi_csum_add32(uint64_t partial, uint32_t word)
{
    return partial + (word >> 16) + (word & 0xffff);
}

/* The sum folded to 16 bits, not complemented: 0xffff over data that includes its own right checksum. */
static inline uint16_t wi_csum_fold(uint64_t partial)
{
    uint64_t sum = partial & ~WI_CSUM_ODD;
    sum += sum >> 32 | sum << 32; /* the upper half: both, with the carry out of them added */
    uint32_t half = (uint32_t)(sum >> 32);
    half += half >> 16 | half << 16;
    return (uint16_t)(half >> 16);
}

/* The partial sum with `n` 32-bit words more: addresses and headers, where a call costs more than the sum. */
static inline uint64_t wi_csum_add_words(uint64_t partial, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        partial += wi_get32(p + 4 * i);
    return partial;
}

/* The partial sum of what `a` sums, and `b`'s bytes behind it. Of sums that were kept, as the next two. */
static inline uint64_t wi_csum_join(uint64_t a, uint64_t b)
{
    uint64_t turned = (uint64_t)wi_csum_fold(b) << (a & WI_CSUM_ODD ? 8 : 0);
    return (wi_csum_fold(a) + turned) | ((a ^ b) & WI_CSUM_ODD);
}

/* The partial sum of the bytes of `whole` that are behind those of `head`, its first. */
static inline uint64_t wi_csum_behind(uint64_t whole, uint64_t head)
{
    uint64_t rest = (uint64_t)wi_csum_fold(whole) + (uint16_t)~wi_csum_fold(head);
    return rest << (head & WI_CSUM_ODD ? 8 : 0) | ((whole ^ head) & WI_CSUM_ODD);
}

/* The partial sum of the bytes of `whole` that are before those of `tail`, its last. */
static inline uint64_t wi_csum_before(uint64_t whole, uint64_t tail)
{
    uint64_t odd = (whole ^ tail) & WI_CSUM_ODD;
    uint16_t turned = wi_csum_fold((uint64_t)wi_csum_fold(tail) << (odd ? 8 : 0));
    return ((uint64_t)wi_csum_fold(whole) + (uint16_t)~turned) | odd;
}

/* The checksum field for the header, in host order (wi_put16 it). 0 when verifying data that includes its checksum. */
static inline uint16_t wi_csum_finish(uint64_t partial)
{
    return (uint16_t)~wi_csum_fold(partial);
}

#endif
