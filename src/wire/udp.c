/*
 * The UDP header: RFC 768; RFC 8200 8.1 for the checksum that IPv6 requires.
 */
#include "wire/udp.h"
#include "base/bytes.h"

enum weir_drop wi_wire_udp_parse(struct wi_wire_udp *out, const uint8_t *p, size_t lin_len, size_t l4_len, bool is_v6)
{
    if (lin_len < WI_UDP_HDR || l4_len < WI_UDP_HDR)
        return WEIR_DROP_UDP_SHORT;

    uint16_t len = wi_get16(p + 4);
    if (len < WI_UDP_HDR || len > l4_len)
        return WEIR_DROP_UDP_LENGTH;

    struct wi_wire_udp h = {
        .src_port = wi_get16(p), .dst_port = wi_get16(p + 2), .csum = wi_get16(p + 6), .data_len = len - 8u};
    if (is_v6 && h.csum == 0)
        return WEIR_DROP_UDP_NO_CSUM;
    if (h.dst_port == 0) /* a source port of 0 says only: no answer is wanted */
        return WEIR_DROP_UDP_PORT_ZERO;

    *out = h;
    return WEIR_DROP_NONE;
}

void wi_wire_udp_put(uint8_t *p, const struct wi_wire_udp *h)
{
    wi_put16(p, h->src_port);
    wi_put16(p + 2, h->dst_port);
    wi_put16(p + 4, (uint16_t)(WI_UDP_HDR + h->data_len));
    wi_put16(p + WI_UDP_CSUM_OFF, h->csum);
}
