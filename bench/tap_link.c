/*
 * A link of impair.h and line.h (tap_link.h).
 */
#include "tap_link.h"

#include "io/aqm.h"
#include "io/link_spec.h"

const char *tap_link_init(struct tap_link *l, enum weir_link_type type, const char *words, uint32_t mtu, uint64_t seed)
{
    static char err[256];
    struct wio_link_config c = {0};
    *l = (struct tap_link){.type = type};
    if (wio_link_spec_parse(&c, words, err, sizeof err) < 0)
        return err;
    if (c.rule_n || c.dir[WIO_UP].corrupt || c.dir[WIO_DOWN].corrupt)
        return "rules and corrupt= are not for this one";
    for (enum wio_dir d = WIO_UP; d <= WIO_DOWN; d++)
        wio_impair_init(&l->impair[d], &c.dir[d], mtu, seed, d);
    return NULL;
}

void tap_link_free(struct tap_link *l)
{
    wio_line_free(&l->line[WIO_UP]);
    wio_line_free(&l->line[WIO_DOWN]);
}

static void hold(struct tap_link *l, enum wio_dir dir, struct weir_pkt *pkt, weir_ns now)
{
    bool is_ect = wio_ecn_of(pkt, l->type) != 0;
    struct wio_passage pass = wio_impair_pass(&l->impair[dir], pkt->len, now, 0, is_ect);
    if (pass.is_marked && is_ect && !pass.drop)
        pkt = wio_ecn_mark(pkt, l->type);
    struct wio_held held = {pkt, pass.due, ++l->turns};
    if (pkt && (pass.drop || !wio_line_push(&l->line[dir], &held))) {
        l->full[dir]++;
        weir_pkt_unref(pkt);
    }
}

void tap_link_send(struct tap_link *l, enum wio_dir dir, struct weir_pkt *pkt, weir_ns now)
{
    bool is_twice = wio_impair_duplicate(&l->impair[dir]);
    if (wio_impair_lose(&l->impair[dir])) {
        l->lost[dir]++;
        weir_pkt_unref(pkt);
        return;
    }
    struct weir_pkt *twin = is_twice ? weir_pkt_clone(pkt->pool, pkt) : NULL;
    hold(l, dir, pkt, now);
    if (twin)
        hold(l, dir, twin, now);
}

struct weir_pkt *tap_link_due(const struct tap_link *l, enum wio_dir dir, weir_ns now)
{
    const struct wio_held *h = wio_line_peek(&l->line[dir]);
    return h && h->due <= now ? h->pkt : NULL;
}

struct weir_pkt *tap_link_take(struct tap_link *l, enum wio_dir dir)
{
    return wio_line_pop(&l->line[dir]).pkt;
}

weir_ns tap_link_deadline(const struct tap_link *l)
{
    weir_ns at = WEIR_NEVER;
    for (enum wio_dir d = WIO_UP; d <= WIO_DOWN; d++) {
        const struct wio_held *h = wio_line_peek(&l->line[d]);
        if (h && h->due < at)
            at = h->due;
    }
    return at;
}
