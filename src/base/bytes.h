/* Byte order, bounds, container-of and assertions: what every other file of the core starts from.
 *
 * wi_getN/wi_putN read and write big endian (network order) at any alignment; the _le forms little endian. */
#ifndef WI_BASE_BYTES_H
#define WI_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Stays on in production. Never about something that a peer controls. */
#define WI_ASSERT(cond) ((cond) ? (void)0 : __builtin_trap())

/* For control flow that earlier checks exclude; `msg` says which. */
#define WI_UNREACHABLE(msg) ((void)(msg), __builtin_trap())

/* Whole-structure checks that cost more than O(1): only in builds with -DWI_CHECK=1 (tests, simulation, fuzzing). */
#if defined(WI_CHECK) && WI_CHECK
#define WI_DEBUG_ASSERT(cond) WI_ASSERT(cond)
#else
#define WI_DEBUG_ASSERT(cond) ((void)sizeof(!(cond)))
#endif

#define WI_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The object that `ptr` is the `member` of. The conditional is there for the compiler to reject a `ptr` of another
 * type. */
#define WI_CONTAINER_OF(ptr, type, member)                                                                             \
    ((type *)(void *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

static inline uint16_t wi_get16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t wi_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t wi_get64(const uint8_t *p)
{
    return (uint64_t)wi_get32(p) << 32 | wi_get32(p + 4);
}

static inline void wi_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void wi_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void wi_put64(uint8_t *p, uint64_t v)
{
    wi_put32(p, (uint32_t)(v >> 32));
    wi_put32(p + 4, (uint32_t)v);
}

static inline uint32_t wi_get_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t wi_get_le64(const uint8_t *p)
{
    return wi_get_le32(p) | (uint64_t)wi_get_le32(p + 4) << 32;
}

static inline void wi_put_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline void wi_put_le64(uint8_t *p, uint64_t v)
{
    wi_put_le32(p, (uint32_t)v);
    wi_put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline uint32_t wi_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t wi_max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline uint64_t wi_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t wi_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline size_t wi_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t wi_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
