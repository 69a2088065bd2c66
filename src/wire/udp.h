/*
 * The UDP header (RFC 768; over IPv6 RFC 8200 8.1).
 */
#ifndef WI_WIRE_UDP_H
#define WI_WIRE_UDP_H

#include <weir/drop.h>
#include <weir/types.h>

#define WI_UDP_HDR      8
#define WI_UDP_CSUM_OFF 6

struct wi_wire_udp {
    uint16_t src_port;
    uint16_t dst_port;
    uint16_t csum;     /* as on the wire; 0: none was sent (IPv4) */
    uint32_t data_len; /* payload bytes; it starts at WI_UDP_HDR. What the IP payload holds beyond is no part of the
                          datagram */
};

/*
 * Read the header of a datagram of l4_len bytes (IP's say), of which lin_len lie at `p`. The checksum is verified by
 * the caller, over WI_UDP_HDR + data_len bytes. On a drop reason *out is left alone. UDP_SHORT, UDP_LENGTH,
 * UDP_NO_CSUM, UDP_PORT_ZERO.
 */
enum weir_drop wi_wire_udp_parse(struct wi_wire_udp *out, const uint8_t *p, size_t lin_len, size_t l4_len, bool is_v6);

/* Write WI_UDP_HDR bytes; csum is written as it stands. A computed checksum of 0 is sent as 0xffff: that is the
 * caller's to do. */
void wi_wire_udp_put(uint8_t *p, const struct wi_wire_udp *);

#endif
