/*
 * Packets of captures: a TCP header is found in a frame, and connections are put together from headers alone.
 */
#ifndef WTR_REPORT_PACKET_H
#define WTR_REPORT_PACKET_H

#include "trace/report_rows.h"

/* A TCP segment as a capture has it. Lengths are those of the wire, of which the capture may hold less. */
struct wtr_packet {
    weir_ns at;
    uint64_t number; /* in the capture, from 1 */
    struct weir_sockaddr src, dst;
    uint32_t seq, ack, len;
    uint16_t win, flags;
    int8_t wscale; /* of a SYN; -1: no such option */
    uint8_t sack_n;
    uint32_t sack[8];    /* pairs, as on the wire */
    const char *comment; /* why it was sent, or NULL */
};

/* Find TCP in a frame of that link type (LINKTYPE_…). false: it is something else, or cut before its ports. */
bool wtr_packet_parse(struct wtr_packet *out, uint32_t linktype, const uint8_t *frame, size_t len);

/* What a report doesn't keep of the connections of a capture. */
struct wtr_flows;
struct wtr_flows *wtr_flows_new(struct wtr_report *); /* NULL: out of memory */
void wtr_flows_free(struct wtr_flows *);

/* The next packet: its row, and what follows from it (states, round trips, retransmissions). */
void wtr_flows_packet(struct wtr_flows *, const struct wtr_packet *);

#endif
