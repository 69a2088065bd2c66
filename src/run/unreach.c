/*
 * ICMP errors of the gateway about datagrams that the host could not deliver: built by hand, because it isn't the
 * gateway's own stack that refused them, and sent across the link like any packet (RFC 792, RFC 4443 3.1).
 */
#include <errno.h>
#include <string.h>

#include "io/bytes.h"
#include "run/gateway.h"

#define QUOTED_UDP 8
#define V4_LEN     20
#define V6_LEN     40
#define ICMP_LEN   8
#define HOP_LIMIT  64

static uint32_t sum(const uint8_t *p, size_t len, uint32_t acc)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        acc += (uint32_t)p[i] << 8 | p[i + 1];
    return acc;
}

static unsigned fold(uint32_t acc)
{
    while (acc >> 16)
        acc = (acc & 0xffff) + (acc >> 16);
    return ~acc & 0xffff;
}

static void put_v4(uint8_t *p, unsigned total, unsigned proto, const struct weir_addr *src, const struct weir_addr *dst)
{
    memset(p, 0, V4_LEN);
    p[0] = 0x45;
    wio_put16(p + 2, total);
    p[8] = HOP_LIMIT;
    p[9] = (uint8_t)proto;
    memcpy(p + 12, src->b + 12, 4);
    memcpy(p + 16, dst->b + 12, 4);
    wio_put16(p + 10, fold(sum(p, V4_LEN, 0)));
}

static void put_v6(uint8_t *p, unsigned payload, unsigned next, const struct weir_addr *src,
                   const struct weir_addr *dst)
{
    memset(p, 0, V6_LEN);
    p[0] = 0x60;
    wio_put16(p + 4, payload);
    p[6] = (uint8_t)next;
    p[7] = HOP_LIMIT;
    memcpy(p + 8, src->b, 16);
    memcpy(p + 24, dst->b, 16);
}

static void put_udp(uint8_t *p, unsigned from, unsigned to)
{
    wio_put16(p, from);
    wio_put16(p + 2, to);
    wio_put16(p + 4, QUOTED_UDP);
    wio_put16(p + 6, 0);
}

static unsigned code_of(int err, bool is_v4)
{
    switch (err) {
    case ECONNREFUSED: return is_v4 ? 3 : 4; /* port unreachable */
    case ENETUNREACH: return 0;
    case EACCES:
    case EPERM: return is_v4 ? 13 : 1; /* prohibited */
    default: return is_v4 ? 1 : 3;     /* host, address unreachable */
    }
}

static size_t build_v4(uint8_t *p, const struct weir_sockaddr *from, const struct weir_sockaddr *to, int err)
{
    const unsigned quote = V4_LEN + QUOTED_UDP, total = V4_LEN + ICMP_LEN + V4_LEN + QUOTED_UDP;
    struct weir_addr gate = wir_addr_gateway(WEIR_AF_INET);
    uint8_t *icmp = p + V4_LEN;

    put_v4(p, total, 1, &gate, &from->addr);
    memset(icmp, 0, ICMP_LEN);
    icmp[0] = 3;
    icmp[1] = (uint8_t)code_of(err, true);
    put_v4(icmp + ICMP_LEN, quote, 17, &from->addr, &to->addr);
    put_udp(icmp + ICMP_LEN + V4_LEN, from->port, to->port);
    wio_put16(icmp + 2, fold(sum(icmp, ICMP_LEN + quote, 0)));
    return total;
}

static size_t build_v6(uint8_t *p, const struct weir_sockaddr *from, const struct weir_sockaddr *to, int err)
{
    const unsigned payload = ICMP_LEN + V6_LEN + QUOTED_UDP;
    struct weir_addr gate = wir_addr_gateway(WEIR_AF_INET6);
    uint8_t *icmp = p + V6_LEN;

    put_v6(p, payload, 58, &gate, &from->addr);
    memset(icmp, 0, ICMP_LEN);
    icmp[0] = 1;
    icmp[1] = (uint8_t)code_of(err, false);
    put_v6(icmp + ICMP_LEN, QUOTED_UDP, 17, &from->addr, &to->addr);
    put_udp(icmp + ICMP_LEN + V6_LEN, from->port, to->port);
    wio_put16(icmp + 2, fold(sum(icmp, payload, sum(p + 8, 32, payload + 58)))); /* pseudo-header: RFC 8200 8.1 */
    return V6_LEN + payload;
}

void wir_unreach_send(struct wir_run *r, const struct weir_sockaddr *from, const struct weir_sockaddr *to, int err)
{
    uint8_t bytes[V6_LEN + ICMP_LEN + V6_LEN + QUOTED_UDP];
    size_t len = weir_addr_is_v4(&from->addr) ? build_v4(bytes, from, to, err) : build_v6(bytes, from, to, err);
    struct weir_pkt *pkt = weir_pkt_from(weir_stack_pool(r->gate.stack), bytes, len);
    if (!pkt)
        return;
    if (wio_link_ops()->xmit(wio_link_driver(r->link, WIO_FAR), &pkt, 1) != 1)
        weir_pkt_unref(pkt);
}
