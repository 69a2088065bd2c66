/*
 * A look into a frame, enough to tell segments apart: for the link's script and the stories, not a decoder to trust.
 */
#ifndef WIO_FRAME_H
#define WIO_FRAME_H

#include "io/link.h"

enum wio_tcp_flag {
    WIO_TCP_FIN = 0x01,
    WIO_TCP_SYN = 0x02,
    WIO_TCP_RST = 0x04,
    WIO_TCP_PSH = 0x08,
    WIO_TCP_ACK = 0x10,
    WIO_TCP_URG = 0x20,
};

struct wio_frame {
    uint32_t kinds;                /* bits 1 << enum wio_match: all that it is; WIO_MATCH_PKT always */
    struct weir_sockaddr src, dst; /* ports 0 where there are none */
    uint8_t proto;                 /* IP protocol, 0: not IP */
    uint16_t flags;                /* TCP alone, as are the following */
    uint32_t seq, ack;
    uint32_t len; /* payload bytes of TCP or UDP */
};

/* Look at a packet as it is on a wire of that type. What can't be read is WIO_MATCH_OTHER, the rest zero. */
struct wio_frame wio_frame_look(const struct weir_pkt *, enum weir_link_type);

#endif
