/*
 * Numbers in network byte order, for whoever right of the core writes or reads headers by hand.
 */
#ifndef WIO_BYTES_H
#define WIO_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t wio_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t wio_get32(const uint8_t *p)
{
    return (uint32_t)wio_get16(p) << 16 | wio_get16(p + 2);
}

/* The lower 16 bits of v. */
static inline void wio_put16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void wio_put32(uint8_t *p, uint32_t v)
{
    wio_put16(p, v >> 16);
    wio_put16(p + 2, v);
}

#endif
