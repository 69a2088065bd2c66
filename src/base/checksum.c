/* The Internet checksum: wide sums in the machine's own byte order, turned once at the end (RFC 1071 section 2 (B)). */
#include "base/checksum.h"

#include <stdbool.h>

#include "base/bytes.h"
#include "base/str.h"

/* Bytes of the unrolled loop; four accumulators keep the additions independent, and each takes 32 bits at a time, so
 * that no carry is lost below 2^32 additions. */
#define STEP 32

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

static uint16_t fold16(uint64_t sum)
{
    sum = halves(halves(sum));
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}

static uint16_t swap16(uint16_t v)
{
    return (uint16_t)((unsigned)v << 8 | v >> 8);
}

static bool is_little_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* Up to 31 bytes, as 16-bit words in memory order; an odd last byte is padded with zero behind it. */
static uint64_t sum_tail(const uint8_t *p, size_t len)
{
    uint64_t words[STEP / 8] = {0};
    memcpy(words, p, len);
    return halves(words[0]) + halves(words[1]) + halves(words[2]) + halves(words[3]);
}

/* The sum of a run that starts at an even offset, in memory order, as 16 bits. */
static uint16_t sum_run(const uint8_t *p, size_t len)
{
    uint64_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (; len >= STEP; p += STEP, len -= STEP) {
        s0 += halves(load64(p));
        s1 += halves(load64(p + 8));
        s2 += halves(load64(p + 16));
        s3 += halves(load64(p + 24));
    }
    return fold16(halves(s0) + halves(s1) + halves(s2) + halves(s3) + sum_tail(p, len));
}

/* Enters the sum of a run of `len` bytes into `partial`: swapped when the run started in the middle of a word, because
 * a sum of swapped words is the swapped sum. */
static uint64_t enter_run(uint64_t partial, uint16_t run, size_t len)
{
    bool is_odd = (partial & WI_CSUM_ODD) != 0;
    if (is_odd != is_little_endian())
        run = swap16(run);
    uint64_t sum = halves(partial & ~WI_CSUM_ODD) + run;
    return sum | (is_odd != (len % 2 != 0) ? WI_CSUM_ODD : 0);
}

uint64_t wi_csum_add(uint64_t partial, const void *p, size_t len)
{
    return len ? enter_run(partial, sum_run(p, len), len) : partial;
}

uint16_t wi_csum_fold(uint64_t partial)
{
    return fold16(partial & ~WI_CSUM_ODD);
}
