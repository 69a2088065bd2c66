/*
 * From a link's notes to the doctor (live.h).
 */
#include "doctor/live.h"

#include "doctor/print.h"

#include <stdlib.h>
#include <weir/weir.h>

#define LINKTYPE_ETHERNET 1u
#define LINKTYPE_RAW      101u

struct wdc_live {
    struct wdc *doc;
    struct wdc_text *text;
    uint64_t number;
    uint8_t buf[65536 + 64];
};

static void on_result(void *ctx, const struct wdc_result *r)
{
    wdc_text_result(ctx, r);
}

struct wdc_live *wdc_live_new(bool is_tty)
{
    struct wdc_live *l = malloc(sizeof *l);
    if (!l)
        return NULL;
    l->number = 0;
    l->text = wdc_text_new(&(struct wdc_text_options){.is_tty = is_tty, .shows_all = true});
    l->doc = l->text ? wdc_new(&(struct wdc_config){.on_result = on_result, .ctx = l->text}) : NULL;
    if (l->doc)
        return l;
    wdc_text_free(l->text);
    free(l);
    return NULL;
}

void wdc_live_link(struct wdc_live *l, unsigned index, enum weir_link_type type, const struct wio_link_note *note)
{
    if (note->what != (note->dir == WIO_UP ? WIO_NOTE_SENT : WIO_NOTE_DELIVERED))
        return; /* at the far end */
    uint32_t len = note->pkt->len < sizeof l->buf ? note->pkt->len : (uint32_t)sizeof l->buf;
    weir_pkt_copy(note->pkt, 0, l->buf, len);
    struct wdc_frame f = {.at = note->at,
                          .number = ++l->number,
                          .linktype = type == WEIR_LINK_ETHERNET ? LINKTYPE_ETHERNET : LINKTYPE_RAW,
                          .interface = index,
                          .bytes = l->buf,
                          .captured = len,
                          .len = note->pkt->len};
    wdc_packet(l->doc, &f);
}

void wdc_live_finish(struct wdc_live *l, FILE *out)
{
    if (!l)
        return;
    wdc_finish(l->doc);
    wdc_text_print(l->text, out, "The doctor", wdc_counts(l->doc));
    wdc_text_free(l->text);
    wdc_free(l->doc);
    free(l);
}
