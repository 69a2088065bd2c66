/*
 * What happened in a run: the events of all hosts, what the links did and what the programs called, in one order.
 */
#ifndef WLB_RECORD_H
#define WLB_RECORD_H

#include "io/link.h"
#include "lab/expr.h"

#define WLB_HEAD_CAP 100 /* the longest headers of IPv4 and TCP are 120; nobody uses IP options */

struct wlb_entry {
    enum wlb_kind {
        WLB_EVENT, /* of a stack: `event` says which */
        WLB_WIRE,  /* a packet was given to a link; `drop`, `is_corrupted`, `is_duplicated` say its fate */
        WLB_CALL,  /* a program's call has returned */
        WLB_NOTE,  /* the timeline did something */
    } kind;
    enum weir_event_kind event;
    weir_ns at;
    const char *host;          /* lives as long as the run; of a WIRE the sender */
    unsigned conn;             /* of a host's connections the n-th, from 1; 0: none */
    const char *text;          /* EVENT: why, cause, timer, drop; CALL: its name; static or the run's */
    const char *from, *to;     /* states */
    const char *edge;          /* STATE: both, "LISTEN > SYN-RECEIVED" where figure 5 of RFC 9293 has it, else NULL */
    double seq, ack, len, win; /* numbers relative where they are known */
    double value;              /* RTT sample, cwnd before, ledger's life, result of a CALL; by kind */
    double cwnd, ssthresh, flight, srtt, rto;
    double peer_win;     /* what the peer's window lets be in flight, bytes */
    double memory;       /* that the host's stack has from its allocator, bytes */
    double size;         /* a WIRE: the packet's bytes */
    double queued;       /* a WIRE: how much longer than the link's delay it takes, ns */
    unsigned link;       /* a WIRE: on the n-th link, from 1 */
    const char *program; /* a CALL: whose; the scenario's */
    unsigned message;    /* a CALL: the number that a message carries, from 1 */
    weir_ns age;         /* a CALL: how long the message was under way */
    unsigned looked;     /* a CALL: sockets that a wait for readiness had to look at */
    weir_ns due;         /* a WIRE: when it arrives, or would have */
    unsigned ledger;     /* a connection's last event: which of the ledgers is its, from 1; 0: none */
    weir_ns took;        /* a CALL: how long it lasted */
    uint64_t wrong;      /* a CALL: bytes read that are not those of a `write N` at that place of the stream */
    uint32_t src_port, dst_port;
    uint16_t flags;
    bool is_again; /* carries what was sent before */
    bool is_tcp, is_ect, is_ce;
    uint8_t sack_n;
    enum weir_drop drop;
    bool is_corrupted, is_duplicated, is_reordered, is_marked;
    uint8_t head[WLB_HEAD_CAP]; /* WIRE: the packet's first bytes, from its IP header on */
    uint8_t head_len;
};

struct wlb_record {
    struct wlb_entry *entries;
    size_t n, cap;
    struct weir_ledger *ledgers; /* of connections that ended */
    size_t ledger_n;
    bool is_full;            /* memory ran short: later entries are missing */
    struct wlb_expr *filter; /* which entries stay; NULL: all. Ours */
    const struct wlb_names *names;
    bool is_unsettled; /* the last entry has not been looked at by the filter */
    char error[256];   /* why the filter has no answer */
};

void wlb_record_free(struct wlb_record *);

/* Room for one entry more, zeroed; NULL when there is no memory. Whoever adds one completes it at once: the next one
 * decides by the filter whether it stays, as wlb_record_settle does of the last. */
struct wlb_entry *wlb_record_add(struct wlb_record *);
void wlb_record_settle(struct wlb_record *);

/* Keep a ledger; its number, from 1, or 0 when there is no memory. */
unsigned wlb_record_ledger(struct wlb_record *, const struct weir_ledger *);

/* Which field has this name, or -1; and what it is of an entry. */
int wlb_record_field_find(const char *name);
struct wlb_value wlb_record_field(const struct wlb_entry *, int field);

#endif
