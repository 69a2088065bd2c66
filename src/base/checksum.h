/* The Internet checksum (RFC 1071), over fragments of any length and alignment, alone or fused with a copy.
 *
 * A partial sum is a uint64_t that starts at 0: bits 0..62 hold the sum of big-endian 16-bit words not yet folded, bit
 * 63 says that an odd number of bytes went in, so the next byte is the low half of a word. Chained fragments of odd
 * lengths thus sum right with nothing to keep but the partial. */
#ifndef WI_BASE_CHECKSUM_H
#define WI_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define WI_CSUM_ODD ((uint64_t)1 << 63)

/* The partial sum with `len` more bytes. */
uint64_t wi_csum_add(uint64_t partial, const void *p, size_t len);

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
uint16_t wi_csum_fold(uint64_t partial);

/* The checksum field for the header, in host order (wi_put16 it). 0 when verifying data that includes its checksum. */
static inline uint16_t wi_csum_finish(uint64_t partial)
{
    return (uint16_t)~wi_csum_fold(partial);
}

#endif
