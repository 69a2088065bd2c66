/*
 * What wire.c, which writes, and wire_read.c, which reads, share: header lengths, byte order, checksums.
 */
#ifndef WDR_WIRE_BYTES_H
#define WDR_WIRE_BYTES_H

#include "drill/wire.h"

#define WDR_IP4_HDR  20
#define WDR_IP6_HDR  40
#define WDR_TCP_HDR  20
#define WDR_UDP_HDR  8
#define WDR_ICMP_HDR 8

#define WDR_PROTO_ICMP  1
#define WDR_PROTO_TCP   6
#define WDR_PROTO_UDP   17
#define WDR_PROTO_ICMP6 58

static inline uint16_t wdr_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t wdr_get32(const uint8_t *p)
{
    return (uint32_t)wdr_get16(p) << 16 | wdr_get16(p + 2);
}

static inline void wdr_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void wdr_put32(uint8_t *p, uint32_t v)
{
    wdr_put16(p, (uint16_t)(v >> 16));
    wdr_put16(p + 2, (uint16_t)v);
}

/* RFC 1071's sum, folded, not inverted: 0xffff over something that holds its own checksum. */
uint16_t wdr_sum(uint32_t sum, const uint8_t *p, size_t len);

/* The sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1). */
uint32_t wdr_pseudo_sum(const struct wdr_ends *, bool is_v6, uint8_t proto, size_t len);

#endif
