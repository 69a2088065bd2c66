/*
 * The connection under test: its two ends, and how a script's numbers become the wire's. A SYN bears the script's own
 * numbers of the peer; whatever is no SYN counts from the peer's initial sequence number, as packetdrill's does. The
 * numbers of the stack are shifted by its initial sequence number, and its time stamps by whatever its clock says.
 */
#ifndef WDR_FLOW_H
#define WDR_FLOW_H

#include "drill/wire.h"

#define WDR_STAMPS_MAX 64 /* time stamps remembered: the latest */

struct wdr_flow {
    struct wdr_flow *next;
    struct weir_sockaddr local, remote; /* port 0: not known yet */
    uint16_t script_local_port;         /* a script that names ports: its name for this one */
    uint8_t proto;                      /* enum wdr_proto: TCP or UDP */
    bool has_isn, may_renew;            /* may_renew: a new handshake has begun since the shift was learnt */
    uint32_t shift;                     /* wire = script + shift, of the stack's sequence numbers */
    bool is_opening, has_peer_syn;      /* the stack's SYN is out; the peer's is in and not yet answered */
    uint32_t peer_syn, peer_isn;        /* of the SYN that is in; wire = script + peer_isn, of the peer's numbers */
    struct {
        uint32_t script, wire;
    } stamps[WDR_STAMPS_MAX];
    unsigned stamp_n;
};

/* A SYN came or a connect began: the stack's next SYN may have a new initial sequence number. */
void wdr_flow_renew(struct wdr_flow *);

/* A packet of the script for the stack: numbers into the wire's. */
void wdr_flow_to_wire(struct wdr_flow *, struct wdr_packet *);

/* A packet of the stack: numbers into the script's. `want` (may be NULL) is what the script expects: a SYN's sequence
 * number and a time stamp are learnt from the pair. */
void wdr_flow_to_script(struct wdr_flow *, struct wdr_packet *, const struct wdr_packet *want);

/* That the script's time stamp is the wire's. */
void wdr_flow_learn_stamp(struct wdr_flow *, uint32_t script, uint32_t wire);

/* The first option of a kind, or NULL. */
struct wdr_opt *wdr_packet_opt(struct wdr_packet *, uint8_t kind);

#endif
