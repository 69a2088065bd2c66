/*
 * What a story remembers: shared by story.c, which collects it, and story_print.c, which draws it.
 */
#ifndef WTR_STORY_ITEMS_H
#define WTR_STORY_ITEMS_H

#include "io/frame.h"
#include "trace/story.h"
#include "trace/why.h"

#define WTR_ITEMS_MAX   48
#define WTR_ITEMS_CLOSE 12 /* of them kept for the close */
#define WTR_LOSSES_MAX  6  /* losses drawn; later ones are counted */

enum wtr_item_kind {
    WTR_ITEM_SEGMENT, /* one arrow */
    WTR_ITEM_RUN,     /* plain traffic, counted by direction */
};

struct wtr_item {
    enum wtr_item_kind kind;
    enum wio_dir dir;
    weir_ns at; /* of the segment, or of the run's first one */
    enum weir_tcp_state state[2];
    bool has_state[2];
    /* a segment */
    uint16_t flags;
    uint32_t seq_rel, ack_rel, len;
    enum weir_drop drop;
    bool has_ack_rel, is_corrupted, is_again;
    char why[96];
    /* a run */
    uint64_t segs[2], bytes[2], acks[2], lost[2], again[2];
};

struct wtr_loss {
    enum wio_dir dir;
    uint32_t seq, len;
    bool is_repaired;
};

struct wtr_conn {
    struct weir_sockaddr ends[2]; /* by enum wio_side */
    enum weir_tcp_state state[2];
    bool has_state[2], is_over[2];
    bool is_closed; /* one of its hosts has closed its books */
    weir_ns closed_at;
    int err;
    struct weir_ledger ledger[2]; /* by enum wio_side; life 0: not told yet */
    uint64_t rexmits, lost_n;
    uint64_t bytes[2]; /* of payload, sent for the first time, by direction */
    bool has_iss[2];
    uint32_t iss[2], snd_max[2];
    unsigned handshake_acks;          /* ACKs since the SYN-ACK: the first ends the handshake */
    bool has_fin[2], is_fin_acked[2]; /* by the direction of the FIN */
    uint32_t fin_end[2];              /* the number after it */
    unsigned end_items;
    unsigned item_n, item_cap, loss_n;
    unsigned segment_n;     /* plain ones so far */
    struct wtr_item *items; /* wtr_story.item_cap of them */
    struct wtr_loss losses[WTR_LOSSES_MAX];
};

struct wtr_story {
    enum weir_link_type type;
    struct wtr_why *whys[2]; /* by enum wio_side */
    struct wtr_conn *conns;
    unsigned conn_n, conn_cap;
    unsigned item_cap; /* of a connection */
    unsigned detail_n; /* segments that are drawn each */
};

#endif
