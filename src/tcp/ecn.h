/*
 * Explicit congestion notification: what the two hosts agree on, how marks are fed back, and what leaves with which
 * mark. RFC 3168 (classic), RFC 9768 (AccECN), RFC 8311. ecn.c has the agreement and classic feedback, accecn.c the
 * accurate one. What a mark does to the window is recovery.c's and the controllers'.
 *
 * Values of the IP header's ECN field (enum wi_ip_ecn) are called fields here: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. The
 * three TCP flags AE, CWR and ECE together are the ACE field, AE its highest bit (RFC 9768 3).
 */
#ifndef WI_TCP_ECN_H
#define WI_TCP_ECN_H

#include "base/core.h"
#include "base/seq.h"
#include "wire/tcp.h"

struct wi_tcp_conn;
struct wi_tcp_seg;
struct wi_tcp_syn;
struct wi_tcp_ackinfo;

/* How marks are fed back, in both directions. In the order of preference. */
enum wi_tcp_ecn_mode { WI_TCP_ECN_NONE, WI_TCP_ECN_CLASSIC, WI_TCP_ECN_ACCURATE };

/* What of AccECN does not get through, bits: Linux's tcpi_accecn_fail_mode. */
enum wi_tcp_ecn_fail {
    WI_TCP_ECN_ACE_FAIL_SEND = 1 << 0, /* the peer could not be told of our mode: SYN-ACKs with ACE got lost */
    WI_TCP_ECN_ACE_FAIL_RECV = 1 << 1, /* ACE or the IP field is overwritten on its way: send Not-ECT */
    WI_TCP_ECN_OPT_FAIL_SEND = 1 << 2, /* ACKs with the option get lost: send none */
    WI_TCP_ECN_OPT_FAIL_RECV = 1 << 3, /* the option arrives zeroed, or not at all: ignore it */
};

/* What was seen of the peer's AccECN option: Linux's tcpi_accecn_opt_seen. */
enum wi_tcp_ecn_opt { WI_TCP_ECN_OPT_NONE, WI_TCP_ECN_OPT_EMPTY, WI_TCP_ECN_OPT_COUNTERS, WI_TCP_ECN_OPT_BROKEN };

#define WI_TCP_ECN_FIELDS 3 /* fields that are counted; each by its value - 1 */

struct wi_tcp_ecn {
    uint8_t mode;  /* enum wi_tcp_ecn_mode, NONE until the peer's SYN has come */
    uint8_t asked; /* the mode that our SYN asked for */
    bool is_seen;  /* a packet came that may be marked, or was: TCPI_OPT_ECN_SEEN */

    /* Classic */
    bool demand_cwr; /* a mark came: ECE goes out until CWR comes */
    bool queue_cwr;  /* the window fell: CWR is owed with the next new data */

    /* Accurate, as data receiver */
    bool reflect;       /* the next ACK says with which field the SYN-ACK came, in place of the counter */
    uint8_t syn_field;  /* the peer's SYN or SYN-ACK came with it */
    uint8_t last_field; /* the last packet came with it */
    uint8_t ce_pending; /* marks that no ACK has told yet, held at 15 */
    uint8_t opt_demand; /* so many segments more must have the option */
    uint8_t opt_min;    /* and it must hold at least so many counters */
    bool has_dsacked;   /* the last ACK had the option and a DSACK that began at dsacked */
    struct wi_seq dsacked;
    uint32_t received_ce; /* packets, pure ACKs included */
    uint32_t received_bytes[WI_TCP_ECN_FIELDS];
    weir_ns opt_at; /* when the option was last sent */

    /* Accurate, as data sender; marks are counted in wi_tcp_conn.delivered_ce */
    bool skip_ace;       /* the segment under work has something else in the ACE field */
    bool is_checked;     /* the first feedback after the handshake has been looked at */
    uint8_t fail;        /* enum wi_tcp_ecn_fail */
    uint8_t opt_seen;    /* enum wi_tcp_ecn_opt */
    uint8_t estimate;    /* what is acknowledged without an option most likely had this field; 0: unknown */
    uint16_t acked_ewma; /* segments that an ACK acknowledges, 1/64 */
    uint32_t delivered_bytes[WI_TCP_ECN_FIELDS];
};

static inline unsigned wi_tcp_ace(uint16_t flags)
{
    return (flags & WI_TH_AE ? 4u : 0) | (flags & WI_TH_CWR ? 2u : 0) | (flags & WI_TH_ECE ? 1u : 0);
}

static inline uint16_t wi_tcp_ace_flags(unsigned ace)
{
    return (uint16_t)((ace & 4 ? WI_TH_AE : 0) | (ace & 2 ? WI_TH_CWR : 0) | (ace & 1 ? WI_TH_ECE : 0));
}

/* ---- Agreement (ecn.c) ---- */

/* The flags of our SYN, sent for the n-th time beyond the first. */
uint16_t wi_tcp_ecn_syn_flags(struct wi_tcp_conn *, unsigned rexmit_n);

/* A SYN to a listener: syn->ecn. needs_ecn: by its congestion control. */
void wi_tcp_ecn_read_syn(const struct wi_core *, const struct wi_tcp_seg *, bool needs_ecn, struct wi_tcp_syn *);

/* Flags and AccECN option of a SYN-ACK whose other options are there already, sent for the n-th time beyond the first.
 */
void wi_tcp_ecn_put_synack(const struct wi_core *, enum wi_tcp_ecn_mode, unsigned field, unsigned rexmit_n,
                           struct wi_wire_tcp *);

/* In SYN-SENT the peer's SYN or SYN-ACK has come. */
void wi_tcp_ecn_take_syn(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* The SYN-ACK came again, and an ACK is owed. */
void wi_tcp_ecn_synack_again(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* A cookie came back: what its SYN had agreed on. has_classic: the timestamp has kept that it was ECN. */
enum wi_tcp_ecn_mode wi_tcp_ecn_from_cookie(const struct wi_core *, uint16_t flags, bool has_classic, bool has_ts);

/* A connection is made of a listener's SYN. */
void wi_tcp_ecn_open_passive(struct wi_tcp_conn *, const struct wi_tcp_syn *);

/* The segment that ends the handshake for who has sent the SYN-ACK; before it is processed. */
void wi_tcp_ecn_third_ack(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* ---- Feedback ---- */

/* An acceptable segment has come, data or none. */
void wi_tcp_ecn_received(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* Its data are looked at. */
void wi_tcp_ecn_data(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* Its ACK is: *a gets ecn_echo, delivered_ce grows. */
void wi_tcp_ecn_ack(struct wi_tcp_conn *, const struct wi_tcp_seg *, struct wi_tcp_ackinfo *a);

/* The window fell for what the network does: tell the peer. */
void wi_tcp_ecn_queue_cwr(struct wi_tcp_conn *);

/* ---- Output ---- */

/* Flags of a segment that is no SYN; is_new_data: it has data that go for the first time. */
void wi_tcp_ecn_put(struct wi_tcp_conn *, struct wi_wire_tcp *, bool is_new_data);

/* The IP header's field for it. */
uint8_t wi_tcp_ecn_field(const struct wi_tcp_conn *, bool is_new_data);

/* ---- Accurate (accecn.c) ---- */

/* What the ACE field of a SYN-ACK, or of the ACK that answers it, says of the field with which a packet came. */
unsigned wi_tcp_accecn_field_of(unsigned ace);
unsigned wi_tcp_accecn_ace_of(unsigned field);

/* Can a packet that left with one field arrive with the other (RFC 9768 3.2.2.3)? */
bool wi_tcp_accecn_is_valid(unsigned sent, unsigned arrived);

/* The first option of the peer: is it one, or has something zeroed it? */
enum wi_tcp_ecn_opt wi_tcp_accecn_look(const struct wi_wire_tcp *);
void wi_tcp_accecn_saw(struct wi_tcp_conn *, const struct wi_wire_tcp *);

/* How many counters fit beside the options that `h` has; needed: at least so many. -1: the option does not. */
int wi_tcp_accecn_fit(const struct wi_wire_tcp *h, unsigned needed);

/* Bytes that the option will take of the next segment, which has so many SACK blocks. */
uint32_t wi_tcp_accecn_len(const struct wi_tcp_conn *, unsigned sack_n);

/* Add the option to a segment with so many bytes of payload, if one is due and fits. */
void wi_tcp_accecn_put(struct wi_tcp_conn *, struct wi_wire_tcp *, uint32_t payload);

void wi_tcp_accecn_received(struct wi_tcp_conn *, const struct wi_tcp_seg *);
void wi_tcp_accecn_ack(struct wi_tcp_conn *, const struct wi_tcp_seg *, struct wi_tcp_ackinfo *);

/* What came was known already: has the ACK that said so, with our option, been lost? */
void wi_tcp_accecn_spurious(struct wi_tcp_conn *, const struct wi_tcp_seg *);

#endif
