/*
 * What a sequence diagram shows: shared by diagram.c, which chooses it from what happened, and diagram_draw.c.
 */
#ifndef WLB_DIAGRAM_H
#define WLB_DIAGRAM_H

#include "lab/picture.h"

#define WLB_COLUMNS_MAX 6

enum wlb_item_kind {
    WLB_ITEM_ARROW, /* a packet */
    WLB_ITEM_RUN,   /* packets that are counted */
    WLB_ITEM_STATE,
    WLB_ITEM_CALL,
    WLB_ITEM_NOTE, /* the timeline */
};

struct wlb_item {
    enum wlb_item_kind kind;
    unsigned col, to; /* columns: of whom; of an ARROW whither; of a RUN the two ends */
    weir_ns at, due;
    const struct wlb_entry *e;
    unsigned number;            /* an ARROW: which packet among these hosts it is, from 1 */
    const char *refusal;        /* an ARROW: it arrived, and the stack dropped it: why, in a word; NULL: no */
    unsigned segs[2], plain[2]; /* a RUN: with payload or without, by direction: from col, from to */
    unsigned lost[2];
    double bytes[2];
    char text[96], brief[40]; /* an ARROW: with its numbers, and without */
    double y0, y1;            /* where it begins and ends; the drawing's */
};

struct wlb_diagram {
    const char *hosts[WLB_COLUMNS_MAX];
    unsigned host_n;
    struct wlb_item *items;
    size_t n;
};

/* Choose what is worth showing. False: wlb_fail has it. The items are the caller's to free. */
bool wlb_diagram_collect(struct wlb_lab *, const struct wlb_picture *, struct wlb_diagram *);

#endif
