/*
 * What a link decided about each packet, recorded, and played again in whole or in part.
 */
#ifndef WTL_REPLAY_H
#define WTL_REPLAY_H

#include "io/link.h"

/* A packet that fared otherwise than all others. Losses for a full queue are none: they follow from the rest. */
struct wtl_decision {
    enum { WTL_LOSE, WTL_TWICE, WTL_LATE } what; /* a packet with a wrong bit counts as lost: its checksum fails */
    enum wio_dir dir;
    uint32_t index; /* of the packet among TCP's that were sent that way, from 0 */
    int64_t shift;  /* LATE, TWICE (of the second): nanoseconds later than by the link's delay; earlier: negative */
};

struct wtl_record {
    struct wtl_decision *at; /* in the order of sending */
    size_t n, cap;
    uint32_t sent[2]; /* TCP's packets so far, by enum wio_dir */
    enum weir_link_type type;
    bool is_short; /* memory was */
};

/* For wio_link_set_tap. */
void wtl_record_note(struct wtl_record *, const struct wio_link_note *);
void wtl_record_free(struct wtl_record *);

/* Decisions being played again. */
struct wtl_replay {
    const struct wtl_decision *at;
    size_t n;
    size_t next[2]; /* the first that is not behind us, by enum wio_dir */
    uint32_t sent[2];
    enum weir_link_type type;
};

/* For wio_link_set_judge. */
struct wio_verdict wtl_replay_judge(struct wtl_replay *, enum wio_dir, const struct weir_pkt *);

/* The link without whatever is random in it or written as a rule: rate, queue and delay stay. */
void wtl_link_calm(struct wio_link_config *);

#endif
