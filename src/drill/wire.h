/*
 * Packets between a script's words and a wire's bytes: written whole, and read back with every field that a script can
 * name. Raw IP, no link header. Numbers are the wire's; flow.h turns them into the script's and back.
 */
#ifndef WDR_WIRE_H
#define WDR_WIRE_H

#include "drill/ast.h"

#include <weir/types.h>

#define WDR_PACKET_MAX 65575 /* IPv6's header and what its 16 bits of length can say */

/* Who talks to whom, in a packet from `src`. */
struct wdr_ends {
    struct weir_sockaddr src, dst;
};

/* A packet as it was sent. */
struct wdr_sent {
    weir_ns at;
    struct wdr_ends ends;
    struct wdr_packet p; /* its addresses' numbers, not the script's */
    bool is_v6;
    uint8_t icmp_type, icmp_code;
    struct wdr_ends quote_ends; /* ICMP, where p.quote is there */
    bool has_payload_noise;     /* a byte of its payload isn't zero */
    size_t len;                 /* of the whole datagram */
};

/* Write a datagram of zeroes as payload; buf has room for WDR_PACKET_MAX. quote_ends: of the packet that an ICMP
 * message quotes. Returns its length, 0 when it can't be (too long, or ICMP of the other version). */
size_t wdr_wire_write(uint8_t *buf, const struct wdr_packet *, const struct wdr_ends *,
                      const struct wdr_ends *quote_ends);

/* Read a datagram. false: `why` says in a few words what is malformed; checksums count. */
bool wdr_wire_read(struct wdr_sent *out, const uint8_t *data, size_t len, weir_ns at, const char **why);

#endif
