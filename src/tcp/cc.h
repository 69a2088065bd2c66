/*
 * Congestion control as a table of functions (RFC 5681's events). A controller is one file that defines one table; it
 * is chosen for each connection by name (TCP_CONGESTION, tcp_congestion_control).
 *
 * Windows are in segments, as Linux counts, so that tcpi_snd_cwnd agrees. Recovery itself (when to retransmit, how the
 * window falls during an episode) is recovery.c's.
 */
#ifndef WI_TCP_CC_H
#define WI_TCP_CC_H

#include <stdbool.h>
#include <stdint.h>

struct wi_tcp_conn;

/* What an ACK told. */
struct wi_tcp_acked {
    uint32_t acked;     /* segments newly delivered, cumulatively or by SACK */
    uint32_t in_flight; /* segments before the ACK */
    int64_t rtt_us;     /* of the newest segment acknowledged; -1: no sample */
};

enum wi_tcp_cc_event {
    WI_TCP_CC_TX_START,     /* transmission begins after idle */
    WI_TCP_CC_CWND_RESTART, /* cwnd fell for idleness */
    WI_TCP_CC_LOSS,         /* an RTO */
    WI_TCP_CC_RECOVERED,    /* Recovery, CWR or Loss ended */
};

struct wi_tcp_cc {
    const char *name;
    void (*init)(struct wi_tcp_conn *);                               /* cc_state is zeroed before */
    uint32_t (*ssthresh)(struct wi_tcp_conn *);                       /* after a congestion event, segments, >= 2 */
    void (*avoid)(struct wi_tcp_conn *, const struct wi_tcp_acked *); /* grow cwnd; only when it is used in full */
    void (*acked)(struct wi_tcp_conn *, const struct wi_tcp_acked *); /* every ACK that delivers; may be NULL */
    uint32_t (*undo)(struct wi_tcp_conn *);                           /* cwnd after a spurious reduction, segments */
    void (*event)(struct wi_tcp_conn *, enum wi_tcp_cc_event);        /* may be NULL */
};

extern const struct wi_tcp_cc wi_tcp_cc_reno, wi_tcp_cc_cubic;

/* By name; NULL: there is none. */
const struct wi_tcp_cc *wi_tcp_cc_find(const char *name);

/* Give the connection a controller. 0, or -ENOENT and nothing changed. */
int wi_tcp_cc_set(struct wi_tcp_conn *, const char *name);

/* Slow start by `acked` segments up to ssthresh; returns what is left for congestion avoidance: nothing while the
 * window is not used in full (RFC 7661). RFC 5681 3.1. */
uint32_t wi_tcp_cc_slow_start(struct wi_tcp_conn *, uint32_t acked);

/* One segment more for each `w` acknowledged. */
void wi_tcp_cc_additive(struct wi_tcp_conn *, uint32_t w, uint32_t acked);

#endif
