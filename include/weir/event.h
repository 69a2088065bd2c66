/*
 * The event stream: everything that happens in a stack, as it happens. Diagrams, captures' comments, counters and tests
 * read it.
 *
 * An event is valid during the callback only. It is made only when the stack's event_mask asks for its kind: with no
 * listener the cost is one branch.
 */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <weir/drop.h>
#include <weir/ledger.h>
#include <weir/pkt.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The eleven states of RFC 9293 3.3.2. */
#define WEIR_TCP_STATE_LIST(X)                                                                                         \
    X(CLOSED, "CLOSED")                                                                                                \
    X(LISTEN, "LISTEN")                                                                                                \
    X(SYN_SENT, "SYN-SENT")                                                                                            \
    X(SYN_RCVD, "SYN-RECEIVED")                                                                                        \
    X(ESTABLISHED, "ESTABLISHED")                                                                                      \
    X(FIN_WAIT_1, "FIN-WAIT-1")                                                                                        \
    X(FIN_WAIT_2, "FIN-WAIT-2")                                                                                        \
    X(CLOSE_WAIT, "CLOSE-WAIT")                                                                                        \
    X(CLOSING, "CLOSING")                                                                                              \
    X(LAST_ACK, "LAST-ACK")                                                                                            \
    X(TIME_WAIT, "TIME-WAIT")

#define WEIR_TCP_STATE_ENUM(name, text) WEIR_TCP_##name,
enum weir_tcp_state { WEIR_TCP_STATE_LIST(WEIR_TCP_STATE_ENUM) WEIR_TCP_STATE_N };
#undef WEIR_TCP_STATE_ENUM

/* Why a TCP segment was sent. */
#define WEIR_WHY_LIST(X)                                                                                               \
    X(NONE, "")                                                                                                        \
    X(SYN, "open")                                                                                                     \
    X(SYN_ACK, "accept the open")                                                                                      \
    X(DATA, "new data")                                                                                                \
    X(FIN, "close")                                                                                                    \
    X(ACK, "acknowledge")                                                                                              \
    X(ACK_DELAYED, "acknowledge: delayed-ACK timer")                                                                   \
    X(ACK_DUP, "acknowledge: out of order")                                                                            \
    X(ACK_COMPRESSED, "acknowledge: several out of order")                                                             \
    X(ACK_WINDOW, "window update")                                                                                     \
    X(ACK_CHALLENGE, "challenge ACK")                                                                                  \
    X(ACK_TIME_WAIT, "acknowledge from TIME-WAIT")                                                                     \
    X(PROBE_WINDOW, "zero-window probe")                                                                               \
    X(PROBE_KEEPALIVE, "keepalive probe")                                                                              \
    X(PROBE_TLP, "tail loss probe")                                                                                    \
    X(PROBE_MTU, "path MTU probe")                                                                                     \
    X(REXMIT_RTO, "retransmit: timeout")                                                                               \
    X(REXMIT_DUPACK, "retransmit: duplicate ACKs")                                                                     \
    X(REXMIT_SACK, "retransmit: SACK hole")                                                                            \
    X(REXMIT_RACK, "retransmit: RACK")                                                                                 \
    X(REXMIT_PARTIAL, "retransmit: partial ACK")                                                                       \
    X(REXMIT_PMTU, "retransmit: smaller path MTU")                                                                     \
    X(REXMIT_SYN, "retransmit: SYN timeout")                                                                           \
    X(LIMITED, "limited transmit")                                                                                     \
    X(RST_CLOSED, "reset: no such connection")                                                                         \
    X(RST_ABORT, "reset: aborted here")                                                                                \
    X(RST_UNREAD, "reset: closed with unread data")                                                                    \
    X(RST_ACK, "reset: unacceptable acknowledgement")                                                                  \
    X(RST_TIMEOUT, "reset: gave up")

#define WEIR_WHY_ENUM(name, text) WEIR_WHY_##name,
enum weir_why { WEIR_WHY_LIST(WEIR_WHY_ENUM) WEIR_WHY_N };
#undef WEIR_WHY_ENUM

enum weir_event_kind {
    WEIR_EV_STATE,     /* a connection changed its state */
    WEIR_EV_SEG_OUT,   /* a TCP segment was handed to an interface */
    WEIR_EV_SEG_IN,    /* a TCP segment reached its connection */
    WEIR_EV_REXMIT,    /* a loss was declared: before the retransmission's own SEG_OUT */
    WEIR_EV_DROP,      /* a packet was dropped */
    WEIR_EV_RTT,       /* an RTT sample was taken */
    WEIR_EV_CWND,      /* the congestion window or ssthresh changed */
    WEIR_EV_TIMER,     /* a connection's timer fired */
    WEIR_EV_NEIGH,     /* a neighbour changed its state */
    WEIR_EV_DGRAM_OUT, /* a UDP datagram was sent */
    WEIR_EV_DGRAM_IN,  /* a UDP datagram was received */
    WEIR_EV_ICMP_IN,   /* an ICMP error was accepted for a socket */
    WEIR_EV_CLOSE,     /* a connection's last event: its totals */
    WEIR_EV_PMTU,      /* what a connection takes for the largest packet of its path changed, or a probe of it ended */
    WEIR_EV_KIND_N,
};
#define WEIR_EV_BIT(kind) (UINT64_C(1) << (kind))
#define WEIR_EV_ALL       (WEIR_EV_BIT(WEIR_EV_KIND_N) - 1)

/* Which of a connection's timers. */
#define WEIR_TIMER_LIST(X)                                                                                             \
    X(RTO, "retransmission")                                                                                           \
    X(TLP, "tail loss probe")                                                                                          \
    X(REORDER, "reordering")                                                                                           \
    X(PERSIST, "persist")                                                                                              \
    X(DELACK, "delayed ACK")                                                                                           \
    X(COMP_SACK, "SACK compression")                                                                                   \
    X(KEEPALIVE, "keepalive")                                                                                          \
    X(PACE, "pacing")                                                                                                  \
    X(FIN_WAIT_2, "FIN-WAIT-2")                                                                                        \
    X(TIME_WAIT, "2 MSL")                                                                                              \
    X(SYN_ACK, "SYN-ACK")

#define WEIR_TIMER_ENUM(name, text) WEIR_TIMER_##name,
enum weir_timer { WEIR_TIMER_LIST(WEIR_TIMER_ENUM) WEIR_TIMER_N };
#undef WEIR_TIMER_ENUM

/* A TCP header as sent or received, with numbers relative to the connection's initial ones where it is known. */
struct weir_ev_seg {
    const struct weir_pkt *pkt; /* may be NULL: never built (a drop for want of memory) */
    uint32_t seq, ack;          /* as on the wire */
    uint32_t seq_rel, ack_rel;  /* minus ISS/IRS; equal to seq/ack where the connection isn't known */
    uint32_t len;               /* payload bytes */
    uint32_t wnd_bytes;         /* scaled */
    uint16_t flags;             /* as in the header, AE (0x100) included */
    uint16_t gso_size;
    enum weir_why why; /* SEG_OUT */
    uint8_t dupacks;   /* SEG_OUT of a retransmission: duplicate ACKs that led to it */
    uint8_t sack_n;
    struct {
        uint32_t lo_rel, hi_rel;
    } sack[4];
};

/* What a connection looked like at the event. */
struct weir_ev_conn {
    uint32_t cwnd_bytes, ssthresh_bytes; /* ssthresh: UINT32_MAX while infinite */
    uint32_t flight_bytes;
    uint32_t snd_wnd_bytes, rcv_wnd_bytes;
    weir_ns srtt, rttvar; /* 0 before the first sample */
    weir_ns rto;
};

struct weir_event {
    enum weir_event_kind kind;
    weir_ns at;
    uint64_t serial;  /* counts this stack's events from 1; a sent packet carries its SEG_OUT's (struct weir_pkt) */
    uint64_t conn_id; /* of a connection or UDP socket, unique in the stack's life; 0: none */
    const struct weir_sockaddr *local, *remote; /* NULL when unknown */
    struct weir_ev_conn conn;                   /* zero where there is no TCP connection */
    union {
        struct {
            enum weir_tcp_state from, to;
            const char *cause; /* a few words: "SYN received", "user close" */
        } state;
        struct weir_ev_seg seg; /* SEG_OUT, SEG_IN */
        struct {
            enum weir_why why;
            uint32_t seq_rel, len;
        } rexmit;
        struct {
            enum weir_drop reason;
            const struct weir_pkt *pkt;
            int netif;
        } drop;
        struct {
            weir_ns sample;
        } rtt;
        struct {
            const char *cause; /* "slow start", "fast recovery", "timeout", "undo" … */
            uint32_t cwnd_before_bytes;
        } cwnd;
        struct {
            enum weir_timer which;
            uint32_t backoff;
        } timer;
        struct {
            int netif;
            const struct weir_addr *addr;
            int from, to; /* enum weir_neigh_state */
        } neigh;
        struct {
            const struct weir_pkt *pkt;
            uint32_t len;
        } dgram;
        struct {
            uint8_t type, code;
            int err; /* the errno that it maps to */
            bool hard;
        } icmp;
        struct {
            uint64_t bytes_out, bytes_in; /* payload acknowledged, payload delivered in order */
            uint64_t segs_out, segs_in, rexmits;
            weir_ns opened_at;
            const struct weir_ledger *ledger; /* where its time went */
            int err;                          /* 0: an orderly close; else how it ended, an errno */
            bool is_active;                   /* we opened it */
        } close;
        struct {
            const char *cause; /* "probe answered", "probe lost", "packet too big", "black hole" … */
            uint32_t size_before_bytes, size_bytes; /* IP packets */
            uint32_t probe_bytes;                   /* of the probe under way, 0: none */
        } pmtu;
    } u;
};

const char *weir_tcp_state_name(enum weir_tcp_state);
const char *weir_why_text(enum weir_why);
const char *weir_drop_name(enum weir_drop); /* "TCP_CHECKSUM" */
const char *weir_drop_text(enum weir_drop); /* "TCP checksum is wrong" */
const char *weir_timer_text(enum weir_timer);

#ifdef __cplusplus
}
#endif
#endif
