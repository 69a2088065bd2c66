/*
 * Congestion control as a table of functions (RFC 5681's events). A controller is one file that defines one table; it
 * is chosen for each connection by name (TCP_CONGESTION, tcp_congestion_control).
 *
 * Windows are in segments, as Linux counts, so that tcpi_snd_cwnd agrees. Recovery itself (when to retransmit, how the
 * window falls during an episode) is recovery.c's.
 */
#ifndef WI_TCP_CC_H
#define WI_TCP_CC_H

#include "base/seq.h"
#include <weir/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wi_tcp_conn;
struct wi_tcp_rec;
union weir_tcp_cc_info;

/* A delivery rate sample (rate.c): what one ACK tells of the path. Counts are segments. */
struct wi_tcp_rate {
    bool has_sample;                                /* something sent was delivered: the members below are valid */
    bool is_app_limited, is_retrans;                /* of the newest one delivered, when it was sent */
    weir_ns sent_at, prior_at;                      /* when that was sent; delivered_at then */
    uint32_t tx_order;                              /* of it */
    struct wi_seq end;                              /* of it */
    uint32_t prior_delivered, tx_in_flight;         /* delivered, and in flight with it, then */
    uint32_t delivered, lost;                       /* since then */
    weir_ns interval;                               /* in which that was delivered; 0: it tells no rate */
    uint32_t acked_sacked, losses, prior_in_flight; /* of this ACK alone; in flight before it. Always valid */
    uint32_t ce;                                    /* delivered by this ACK with a congestion mark. Always valid */
    int64_t rtt_us;                                 /* -1: none. Always valid */
};

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
    void (*avoid)(struct wi_tcp_conn *, const struct wi_tcp_acked *); /* grow cwnd; NULL with `control` */
    void (*acked)(struct wi_tcp_conn *, const struct wi_tcp_acked *); /* every ACK that delivers; may be NULL */
    uint32_t (*undo)(struct wi_tcp_conn *);                           /* cwnd after a spurious reduction, segments */
    void (*event)(struct wi_tcp_conn *, enum wi_tcp_cc_event);        /* may be NULL */
    void (*arrived)(struct wi_tcp_conn *, bool is_ce); /* data came, with ECN: what to echo; NULL: as RFC 3168 */
    bool needs_ecn;                                    /* ask for ECN, whatever tcp_ecn says */
    /* TCP_CC_INFO: fill it, return the bytes that count. NULL: nothing to tell. */
    uint32_t (*info)(const struct wi_tcp_conn *, union weir_tcp_cc_info *);

    /* The rest is for controllers that set cwnd themselves; NULL in the others. */
    void (*control)(struct wi_tcp_conn *, const struct wi_tcp_rate *); /* every ACK: sets cwnd, recovery or not */
    void (*lost)(struct wi_tcp_conn *, const struct wi_tcp_rec *);     /* was just marked lost */
    uint64_t (*pacing)(const struct wi_tcp_conn *);                    /* bytes a second; the connection is paced */
    uint32_t (*tso_segs_min)(const struct wi_tcp_conn *);              /* instead of tcp_min_tso_segs */

    /* Bits, by WI_TCP_CC_WORD: words of cc_state that are moments, and those that begin with a sequence number of ours.
     * A parked connection holds them as distances. */
    uint32_t moments, numbers;
};

#define WI_TCP_CC_WORD(type, member) (UINT32_C(1) << offsetof(type, member) / sizeof(uint64_t))

extern const struct wi_tcp_cc wi_tcp_cc_reno, wi_tcp_cc_cubic, wi_tcp_cc_bbr, wi_tcp_cc_dctcp;

/* All of them. */
enum { WI_TCP_CC_N = 4 };
extern const struct wi_tcp_cc *const wi_tcp_cc_all[WI_TCP_CC_N];

/* By name; NULL: there is none. */
const struct wi_tcp_cc *wi_tcp_cc_find(const char *name);

/* Give the connection a controller. 0, or -ENOENT and nothing changed. */
int wi_tcp_cc_set(struct wi_tcp_conn *, const char *name);

/* Slow start by `acked` segments up to ssthresh; returns what is left for congestion avoidance: nothing while the
 * window is not used in full (RFC 7661). RFC 5681 3.1. */
uint32_t wi_tcp_cc_slow_start(struct wi_tcp_conn *, uint32_t acked);

/* Reno's own, for those that differ from it only in the reduction. */
void wi_tcp_cc_reno_avoid(struct wi_tcp_conn *, const struct wi_tcp_acked *);
uint32_t wi_tcp_cc_reno_undo(struct wi_tcp_conn *);

/* One segment more for each `w` acknowledged. */
void wi_tcp_cc_additive(struct wi_tcp_conn *, uint32_t w, uint32_t acked);

#endif
