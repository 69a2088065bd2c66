/*
 * ICMP errors of a router (router.h): unreachable, fragmentation needed and time exceeded, as IPv4 and IPv6 have them.
 */
#include "io/bytes.h"
#include "sim/router.h"

#include <string.h>
#include <weir/weir.h>

#define V4_HDR    20u
#define V6_HDR    40u
#define ICMP_HDR  8u
#define ERROR_MAX 576u  /* of IPv4: RFC 1812 4.3.2.3 */
#define V6_MAX    1280u /* RFC 4443 3.1 */
#define ICMP_V4   1
#define ICMP_V6   58

static uint32_t sum_of(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return sum;
}

static uint32_t checksum(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/* No error about an error, nor about a fragment that is not the first: RFC 1812 4.3.2.7, RFC 4443 2.4. */
static bool may_be_told(const uint8_t *ip, bool is_v4)
{
    return is_v4 ? ip[9] != ICMP_V4 && ((ip[6] & 0x1f) << 8 | ip[7]) == 0 : ip[6] != ICMP_V6;
}

static void write_v4(uint8_t *ip, size_t len, const struct weir_addr *from, enum wsim_refusal why, uint32_t mtu)
{
    const uint8_t *about = ip + V4_HDR + ICMP_HDR;
    uint8_t *icmp = ip + V4_HDR;
    ip[0] = 0x45;
    wio_put16(ip + 2, (uint32_t)len);
    ip[8] = 64;
    ip[9] = ICMP_V4;
    memcpy(ip + 12, from->b + 12, 4);
    memcpy(ip + 16, about + 12, 4);
    wio_put16(ip + 10, checksum(sum_of(ip, V4_HDR)));
    icmp[0] = why == WSIM_NO_HOPS ? 11 : 3;
    icmp[1] = why == WSIM_TOO_BIG ? 4 : 0;
    wio_put16(icmp + 6, mtu);
    wio_put16(icmp + 2, checksum(sum_of(icmp, len - V4_HDR)));
}

static void write_v6(uint8_t *ip, size_t len, const struct weir_addr *from, enum wsim_refusal why, uint32_t mtu)
{
    const uint8_t *about = ip + V6_HDR + ICMP_HDR;
    uint8_t *icmp = ip + V6_HDR;
    ip[0] = 0x60;
    wio_put16(ip + 4, (uint32_t)len - V6_HDR);
    ip[6] = ICMP_V6;
    ip[7] = 64;
    memcpy(ip + 8, from->b, 16);
    memcpy(ip + 24, about + 8, 16);
    icmp[0] = why == WSIM_TOO_BIG ? 2 : why == WSIM_NO_HOPS ? 3 : 1;
    wio_put16(icmp + 4, mtu >> 16);
    wio_put16(icmp + 6, mtu);
    wio_put16(icmp + 2, checksum(sum_of(icmp, len - V6_HDR) + sum_of(ip + 8, 32) + (uint32_t)len - V6_HDR + ICMP_V6));
}

struct weir_pkt *wsim_icmp_error(struct weir_pool *pool, const struct weir_pkt *about, const struct weir_addr *from,
                                 enum wsim_refusal why, uint32_t mtu)
{
    uint8_t bytes[V6_MAX] = {0}, head[V6_HDR] = {0};
    size_t had = weir_pkt_copy(about, 0, head, sizeof head);
    bool is_v4 = head[0] >> 4 == 4;
    uint32_t hdr = is_v4 ? V4_HDR : V6_HDR, most = (is_v4 ? ERROR_MAX : V6_MAX) - hdr - ICMP_HDR;
    if (had < hdr || !may_be_told(head, is_v4))
        return NULL;
    size_t len = hdr + ICMP_HDR + weir_pkt_copy(about, 0, bytes + hdr + ICMP_HDR, most);
    if (is_v4)
        write_v4(bytes, len, from, why, mtu);
    else
        write_v6(bytes, len, from, why, mtu);
    return weir_pkt_from(pool, bytes, len);
}
