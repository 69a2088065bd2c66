/* The sum of a run, and the same fused with a copy, by vectors of VECTOR_BYTES: checksum.c includes this once for each
 * width. VECTOR_NAME(n) names what is defined here, VECTOR_TARGET says which instructions it may use. No guard. */

typedef uint64_t VECTOR_NAME(vec) __attribute__((vector_size(VECTOR_BYTES)));
/* The same at any alignment. */
typedef uint64_t VECTOR_NAME(mem) __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));

#define VEC          VECTOR_NAME(vec)
#define LOAD(p, i)   (((const VECTOR_NAME(mem) *)(const void *)(p))[i])
#define STORE(p, i)  (((VECTOR_NAME(mem) *)(void *)(p))[i])
#define STEP         ((size_t)(4 * VECTOR_BYTES))
#define SUM_INTO(v)  (words += (v), tops += (v) >> 32)
#define SUM_OF_LANES lanes_total((const uint64_t *)&words, (const uint64_t *)&tops, VECTOR_BYTES / 8)

#ifndef WI_BASE_CHECKSUM_VECTOR_H
#define WI_BASE_CHECKSUM_VECTOR_H
static inline struct sum lanes_total(const uint64_t *words, const uint64_t *tops, size_t n)
{
    struct sum s = {0};
    for (size_t i = 0; i < n; i++) {
        s.words += words[i];
        s.tops += tops[i];
    }
    return s;
}
#endif

VECTOR_TARGET static uint64_t VECTOR_NAME(sum)(const uint8_t *p, size_t len)
{
    VEC words = {0}, tops = {0};
    for (; len >= STEP; p += STEP, len -= STEP) {
        VEC a = LOAD(p, 0), b = LOAD(p, 1), c = LOAD(p, 2), d = LOAD(p, 3);
        SUM_INTO(a);
        SUM_INTO(b);
        SUM_INTO(c);
        SUM_INTO(d);
    }
    for (; len >= VECTOR_BYTES; p += VECTOR_BYTES, len -= VECTOR_BYTES) {
        VEC a = LOAD(p, 0);
        SUM_INTO(a);
    }
    return sum_rest(SUM_OF_LANES, p, len);
}

VECTOR_TARGET static uint64_t VECTOR_NAME(copy)(uint8_t *restrict to, const uint8_t *restrict from, size_t len)
{
    VEC words = {0}, tops = {0};
    for (; len >= STEP; to += STEP, from += STEP, len -= STEP) {
        VEC a = LOAD(from, 0), b = LOAD(from, 1), c = LOAD(from, 2), d = LOAD(from, 3);
        STORE(to, 0) = a;
        STORE(to, 1) = b;
        STORE(to, 2) = c;
        STORE(to, 3) = d;
        SUM_INTO(a);
        SUM_INTO(b);
        SUM_INTO(c);
        SUM_INTO(d);
    }
    for (; len >= VECTOR_BYTES; to += VECTOR_BYTES, from += VECTOR_BYTES, len -= VECTOR_BYTES) {
        VEC a = LOAD(from, 0);
        STORE(to, 0) = a;
        SUM_INTO(a);
    }
    return copy_rest(SUM_OF_LANES, to, from, len);
}

#undef VEC
#undef LOAD
#undef STORE
#undef STEP
#undef SUM_INTO
#undef SUM_OF_LANES
#undef VECTOR_BYTES
#undef VECTOR_NAME
#undef VECTOR_TARGET
