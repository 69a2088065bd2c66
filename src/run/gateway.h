/*
 * The gateway host: each connection and each datagram that comes across the link is carried on by a socket of the host
 * kernel to where the program meant it to go, and -p the other way round.
 */
#ifndef WIR_GATEWAY_H
#define WIR_GATEWAY_H

#include "run/pump.h"
#include "run/run.h"

enum wir_gate_phase {
    WIR_GATE_DIALLING, /* the host's connect runs; towards the program the SYN is held unanswered */
    WIR_GATE_OPENING,  /* the other side of the two is there; weir's handshake runs */
    WIR_GATE_RUNNING,
};

struct wir_gate_conn {
    LIST_ENTRY(wir_gate_conn) link;
    struct wir_pump pump; /* fd: the host's socket; net: the gateway's weir socket */
    enum wir_gate_phase phase;
};

/* Open the gateway's ears. 0 or -errno. */
int wir_gateway_start(struct wir_run *);
void wir_gateway_stop(struct wir_run *);

/* The program has ended: what it was still waiting for is given up. */
void wir_gateway_hang_up(struct wir_run *);

/* A connection of the gateway around both its ends, not yet open; NULL: out of memory, and both are closed. */
struct wir_gate_conn *wir_gate_conn_new(struct wir_run *, int fd, weir_fd net, enum wir_gate_phase);

/* ---- Datagrams ---- */

/* Where a program's socket talks to the world from, or a client of -p to the program. */
struct wir_flow {
    TAILQ_ENTRY(wir_flow) link; /* the one that was idle longest stands first */
    struct wir_run *run;
    struct wir_os_source os_source;   /* outward: fd is the flow's own */
    struct wir_net_source net_source; /* inward: net is the flow's own */
    struct weir_sockaddr inner;       /* outward: the program's; inward: the client's, as on the link */
    struct sockaddr_storage client;   /* inward */
    socklen_t client_len;
    int fd;
    weir_fd net;
    bool is_inward;
    weir_ns expires_at;
};

int wir_flows_start(struct wir_run *);
void wir_flows_stop(struct wir_run *);
weir_ns wir_flows_deadline(const struct wir_run *);
void wir_flows_expire(struct wir_run *);

/* A datagram from a client of -p. */
void wir_flow_inward(struct wir_run *, int fd, const struct sockaddr_storage *client, socklen_t client_len,
                     uint16_t port, const void *bytes, size_t len);

/* Tell the program's host, by an ICMP error across the link, that a datagram did not arrive. */
void wir_unreach_send(struct wir_run *, const struct weir_sockaddr *from, const struct weir_sockaddr *to, int err);

/* ---- Ports of the host that lead to the program ---- */

struct wir_inbound {
    LIST_ENTRY(wir_inbound) link;
    struct wir_run *run;
    struct wir_os_source os_source;
    int fd;
    uint16_t port; /* of the program */
    bool is_udp, is_open;
};

/* Take the ports of -p. 0, or -errno after one line on stderr. */
int wir_inbound_bind(struct wir_run *);
void wir_inbound_stop(struct wir_run *);

/* The program listens there now: let connections in. */
void wir_inbound_open(struct wir_run *, uint16_t port);

/* Host addresses of an endpoint on the link, and the reverse. */
socklen_t wir_addr_to_host(const struct weir_sockaddr *, struct sockaddr_storage *);
struct weir_sockaddr wir_addr_from_host(const struct sockaddr_storage *);

#endif
