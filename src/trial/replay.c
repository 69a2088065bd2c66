/*
 * Recording and replaying a link's decisions (replay.h).
 */
#include "trial/replay.h"

#include "io/frame.h"

#include <stdlib.h>

#define PROTO_TCP 6

/* The rest (neighbours, mostly) is left alone: which packet is meant must not hang on the sort of link. */
static bool is_tcp(const struct weir_pkt *pkt, enum weir_link_type type)
{
    return wio_frame_look(pkt, type).proto == PROTO_TCP;
}

static void add(struct wtl_record *r, const struct wtl_decision *d)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 256;
        struct wtl_decision *at = realloc(r->at, cap * sizeof *at);
        if (!at) {
            r->is_short = true;
            return;
        }
        r->at = at;
        r->cap = cap;
    }
    r->at[r->n++] = *d;
}

void wtl_record_note(struct wtl_record *r, const struct wio_link_note *note)
{
    if (note->what != WIO_NOTE_SENT || !is_tcp(note->pkt, r->type))
        return;
    struct wtl_decision d = {.dir = note->dir, .index = r->sent[note->dir]++};
    bool is_harmed = note->is_corrupted || note->drop == WEIR_DROP_LINK_LOSS || note->drop == WEIR_DROP_LINK_SCRIPT;
    if (note->copy_n == 0) {
        if (is_harmed) /* else the queue was full, or the policer's bucket empty: that follows from the rest */
            add(r, &d);
        return;
    }
    if (note->copy_shift[0]) {
        d.what = WTL_LATE;
        d.shift = note->copy_shift[0];
        add(r, &d);
    }
    if (note->copy_n > 1) {
        d.what = WTL_TWICE;
        d.shift = note->copy_shift[1];
        add(r, &d);
    }
}

void wtl_record_free(struct wtl_record *r)
{
    free(r->at);
    *r = (struct wtl_record){.type = r->type};
}

struct wio_verdict wtl_replay_judge(struct wtl_replay *r, enum wio_dir dir, const struct weir_pkt *pkt)
{
    struct wio_verdict v = {0};
    if (!is_tcp(pkt, r->type))
        return v;
    uint32_t index = r->sent[dir]++;
    for (; r->next[dir] < r->n; r->next[dir]++) {
        const struct wtl_decision *d = &r->at[r->next[dir]];
        if (d->dir != dir || d->index < index)
            continue;
        if (d->index > index)
            break;
        switch (d->what) {
        case WTL_LOSE: v.is_dropped = true; break;
        case WTL_TWICE:
            v.is_duplicated = true;
            v.twin_delay = d->shift;
            break;
        case WTL_LATE: v.delay = d->shift; break;
        }
    }
    return v;
}

void wtl_link_calm(struct wio_link_config *c)
{
    c->rule_n = 0;
    for (int dir = 0; dir < 2; dir++) {
        struct wio_dir_config *d = &c->dir[dir];
        d->jitter = 0;
        d->loss = d->burst_milli = d->reorder = d->duplicate = d->corrupt = 0;
    }
}
