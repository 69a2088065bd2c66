/*
 * Joins a link's notes, the senders' reasons and the capture's file (capture.h).
 */
#include "trace/capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wtr_capture {
    struct wio_pcapng *file;
    unsigned interfaces[2]; /* by enum wio_side, where has_end */
    bool has_end[2];
    struct wtr_why *whys[2];
};

static void add_end(struct wtr_capture *c, enum wio_side side, const char *name, const char *about,
                    enum weir_link_type type)
{
    if (!name)
        return;
    c->interfaces[side] = wio_pcapng_interface(c->file, name, about, type);
    c->has_end[side] = true;
}

struct wtr_capture *wtr_capture_new(struct wio_pcapng *file, enum weir_link_type type, const char *near,
                                    const char *far)
{
    struct wtr_capture *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->file = file;
    c->whys[WIO_NEAR] = wtr_why_new();
    c->whys[WIO_FAR] = wtr_why_new();
    if (!c->whys[WIO_NEAR] || !c->whys[WIO_FAR]) {
        wtr_capture_free(c);
        return NULL;
    }
    add_end(c, WIO_NEAR, near, "near end of the link", type);
    add_end(c, WIO_FAR, far, "far end of the link", type);
    return c;
}

void wtr_capture_free(struct wtr_capture *c)
{
    if (!c)
        return;
    wtr_why_free(c->whys[WIO_NEAR]);
    wtr_why_free(c->whys[WIO_FAR]);
    free(c);
}

void wtr_capture_event(struct wtr_capture *c, enum wio_side side, const struct weir_event *ev)
{
    wtr_why_event(c->whys[side], ev);
}

static void add(char *buf, size_t cap, const char *more)
{
    size_t at = strlen(buf);
    snprintf(buf + at, cap - at, "%s%s", at ? "; " : "", more);
}

static void add_fate(const struct wio_link_note *note, char *buf, size_t cap)
{
    if (note->what == WIO_NOTE_DELIVERED) {
        if (note->pkt->flags & WEIR_PKT_CORRUPT)
            add(buf, cap, "one bit changed by the link");
        return;
    }
    if (note->drop)
        add(buf, cap, weir_drop_text(note->drop));
    if (note->is_duplicated)
        add(buf, cap, "duplicated by the link");
    if (note->is_corrupted)
        add(buf, cap, "one bit changed by the link");
    if (note->is_marked)
        add(buf, cap, "marked by the link: congestion experienced");
    if (note->is_reordered && !note->drop)
        add(buf, cap, "overtakes an earlier packet");
}

void wtr_capture_link(struct wtr_capture *c, const struct wio_link_note *note)
{
    char comment[WTR_WHY_TEXT_CAP + 128];
    enum wio_side from = note->dir == WIO_UP ? WIO_NEAR : WIO_FAR;
    enum wio_side to = note->dir == WIO_UP ? WIO_FAR : WIO_NEAR;
    bool is_sent = note->what == WIO_NOTE_SENT;
    enum wio_side at = is_sent ? from : to;
    if (!c->has_end[at])
        return;
    wtr_why_comment(c->whys[from], note->pkt, comment, sizeof comment);
    add_fate(note, comment, sizeof comment);
    wio_pcapng_packet(c->file, c->interfaces[at], note->at, note->pkt, is_sent ? WIO_PCAPNG_OUT : WIO_PCAPNG_IN,
                      comment);
}
