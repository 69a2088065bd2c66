/*
 * Playing a scenario to its end, with everything that must hold checked on the way.
 */
#ifndef WTL_PLAY_H
#define WTL_PLAY_H

#include "trial/scenario.h"

/* What somebody wants to see of a run, or to decide in it. All zero: nothing. */
struct wtl_play_opts {
    const char *pcap;    /* a capture of both ends goes there */
    FILE *story;         /* the connections as sequence diagrams */
    const char *trace;   /* every event and what the link did, as JSON lines there */
    uint64_t event_mask; /* for on_event */
    void (*on_event)(void *ctx, enum wio_side, const struct weir_event *);
    void (*on_note)(void *ctx, const struct wio_link_note *);
    void (*on_begin)(void *ctx, struct wsim_flow *flows, weir_ns at);              /* just before the first connect */
    struct wio_verdict (*judge)(void *ctx, enum wio_dir, const struct weir_pkt *); /* instead of the link's rules */
    void *ctx;
};

struct wtl_outcome {
    char err[512];  /* what did not hold; "": all did */
    uint64_t bytes; /* that arrived, of all connections and both directions */
    weir_ns took;   /* from the first connect to the last byte */
    weir_ns stall;  /* the longest wait of a receiver for its next bytes */
    uint64_t goodput_bps;
    uint64_t retransmits, timeouts; /* of both hosts */
    uint64_t packets, drops;        /* that the link was given, and that it did not deliver */
};

/* Tunables of persistent hosts, name and value, NULL at the end: what is tested is that all bytes come, not when a host
 * may give up. */
extern const char *const wtl_patience[][2];

/*
 * Play it, and check: all bytes come, in order and unchanged; both sides close; no invariant breaks; memory goes back;
 * in a steady transfer the sender is never silent for longer than its retransmission timeout explains.
 *
 * opts may be NULL. Returns whether all held.
 */
bool wtl_play(const struct wtl_scenario *, const struct wtl_play_opts *opts, struct wtl_outcome *);

#endif
