/* Sequence numbers of TCP: arithmetic modulo 2^32 (RFC 9293 3.4). A struct, so that a plain `<` does not compile.
 *
 * Order is only meaningful between numbers less than 2^31 apart; at exactly 2^31 both wi_seq_lt(a, b) and wi_seq_lt(b,
 * a) hold. */
#ifndef WI_BASE_SEQ_H
#define WI_BASE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

struct wi_seq {
    uint32_t v;
};

/* How far `a` is ahead of `b`; negative when it is behind. */
static inline int32_t wi_seq_diff(struct wi_seq a, struct wi_seq b)
{
    uint32_t d = a.v - b.v;
    return d <= INT32_MAX ? (int32_t)d : -(int32_t)(UINT32_MAX - d) - 1;
}

static inline bool wi_seq_eq(struct wi_seq a, struct wi_seq b)
{
    return a.v == b.v;
}

static inline bool wi_seq_lt(struct wi_seq a, struct wi_seq b)
{
    return wi_seq_diff(a, b) < 0;
}

static inline bool wi_seq_leq(struct wi_seq a, struct wi_seq b)
{
    return wi_seq_diff(a, b) <= 0;
}

static inline bool wi_seq_gt(struct wi_seq a, struct wi_seq b)
{
    return wi_seq_diff(a, b) > 0;
}

static inline bool wi_seq_geq(struct wi_seq a, struct wi_seq b)
{
    return wi_seq_diff(a, b) >= 0;
}

static inline struct wi_seq wi_seq_add(struct wi_seq a, uint32_t n)
{
    return (struct wi_seq){a.v + n};
}

static inline struct wi_seq wi_seq_sub(struct wi_seq a, uint32_t n)
{
    return (struct wi_seq){a.v - n};
}

static inline struct wi_seq wi_seq_max(struct wi_seq a, struct wi_seq b)
{
    return wi_seq_lt(a, b) ? b : a;
}

static inline struct wi_seq wi_seq_min(struct wi_seq a, struct wi_seq b)
{
    return wi_seq_lt(b, a) ? b : a;
}

/* lo <= x < hi, right for every width of the range up to 2^32 - 1. */
static inline bool wi_seq_between(struct wi_seq lo, struct wi_seq x, struct wi_seq hi)
{
    return x.v - lo.v < hi.v - lo.v;
}

#endif
