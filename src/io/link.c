/*
 * The link (link.h): takes packets from the stacks at its ends, has them judged by script.c and impair.c, holds them in
 * line.c, and delivers them when they are due.
 */
#include "io/link.h"

#include "io/aqm.h"
#include "io/impair.h"
#include "io/line.h"
#include "io/script.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_MAX_BYTES (UINT64_C(256) << 20)
#define BATCH          64
#define SEGMENTS_MAX   128 /* of a super-segment: 64 KiB at 536 bytes */
#define ETH_HDR        14
#define FRAME_MAX      (65535 + ETH_HDR)

struct end {
    struct wio_link *link;
    enum wio_dir dir; /* in which it sends */
    struct weir *w;
    int netif;
    void (*sink)(void *ctx, struct weir_pkt **, unsigned n, weir_ns now); /* NULL: to the stack */
    void *sink_ctx;
};

struct direction {
    struct wio_impair impair;
    struct wio_line line;
    struct wio_link_stats stats;
    weir_ns latest_due; /* of all packets so far */
    uint64_t hold_max_bytes;
    bool is_hold_queue; /* no transmitter, so the queue is what is under way */
    bool is_clean;
};

struct wio_link {
    struct wio_script *script; /* NULL: no rules */
    struct wio_verdict (*judge)(void *ctx, enum wio_dir, const struct weir_pkt *);
    void *judge_ctx;
    struct end ends[2];       /* by enum wio_side */
    struct direction dirs[2]; /* by enum wio_dir */
    enum weir_link_type type;
    uint32_t mtu;
    uint32_t frame_max; /* MTU and link-layer header */
    uint32_t caps;
    uint64_t turns;
    void (*tap)(void *ctx, const struct wio_link_note *);
    void *tap_ctx;
};

static void set_dir(struct wio_link *l, enum wio_dir dir, const struct wio_dir_config *c)
{
    struct direction *d = &l->dirs[dir];
    d->is_clean = wio_dir_is_clean(c) && !l->script;
    d->hold_max_bytes = c->hold_max_bytes ? c->hold_max_bytes : HOLD_MAX_BYTES;
    d->is_hold_queue = c->rate_bps == 0 && c->queue_bytes > 0;
    if (d->is_hold_queue && c->queue_bytes < d->hold_max_bytes)
        d->hold_max_bytes = c->queue_bytes;
    wio_impair_config(&d->impair, c, l->mtu);
}

struct wio_link *wio_link_new(const struct wio_link_config *c, uint64_t seed)
{
    struct wio_link *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    if (c->rule_n > 0) {
        l->script = wio_script_new(c->rules, c->rule_n);
        if (!l->script) {
            free(l);
            return NULL;
        }
    }
    l->type = c->type;
    l->mtu = c->mtu ? c->mtu : 1500;
    l->frame_max = l->mtu + (c->type == WEIR_LINK_ETHERNET ? ETH_HDR : 0);
    if (!c->is_captured)
        l->caps = WEIR_CAP_TX_CSUM | (wio_link_is_clean(c) ? WEIR_CAP_TSO : 0);
    for (int side = 0; side < 2; side++)
        l->ends[side] = (struct end){.link = l, .dir = side == WIO_NEAR ? WIO_UP : WIO_DOWN};
    for (int dir = 0; dir < 2; dir++) {
        wio_impair_init(&l->dirs[dir].impair, &c->dir[dir], l->mtu, seed, (enum wio_dir)dir);
        set_dir(l, (enum wio_dir)dir, &c->dir[dir]);
    }
    return l;
}

void wio_link_free(struct wio_link *l)
{
    if (!l)
        return;
    wio_line_free(&l->dirs[WIO_UP].line);
    wio_line_free(&l->dirs[WIO_DOWN].line);
    wio_script_free(l->script);
    free(l);
}

void wio_link_set_dir(struct wio_link *l, enum wio_dir dir, const struct wio_dir_config *c)
{
    set_dir(l, dir, c);
}

void wio_link_set_judge(struct wio_link *l,
                        struct wio_verdict (*judge)(void *ctx, enum wio_dir, const struct weir_pkt *), void *ctx)
{
    l->judge = judge;
    l->judge_ctx = ctx;
    for (int dir = 0; dir < 2; dir++)
        l->dirs[dir].is_clean = false;
}

void wio_link_set_tap(struct wio_link *l, void (*tap)(void *ctx, const struct wio_link_note *), void *ctx)
{
    l->tap = tap;
    l->tap_ctx = ctx;
}

/* ---- Sending ---- */

/* The packet with the checksum that it was sent without. Takes p's reference; NULL: no memory. */
static struct weir_pkt *complete(struct weir_pkt *p)
{
    struct weir_pkt *q = p;
    if (p->flags & WEIR_PKT_CSUM_PARTIAL) {
        if (weir_pkt_segment(p->pool, p, &q, 1) == 0)
            q = NULL;
        weir_pkt_unref(p);
    }
    return q;
}

/* The packet with one bit flipped: a copy, for others may view the same blocks. Takes p's reference; NULL: no memory.
 */
static struct weir_pkt *corrupt(struct direction *d, struct weir_pkt *p)
{
    uint8_t bytes[FRAME_MAX];
    p = complete(p);
    if (!p)
        return NULL;
    size_t len = weir_pkt_copy(p, 0, bytes, sizeof bytes);
    struct weir_pkt *q = NULL;
    if (len > 0) {
        uint32_t bit = wio_impair_bit(&d->impair, (uint32_t)len * 8);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        q = weir_pkt_from(p->pool, bytes, len);
    }
    if (q) {
        q->serial = p->serial;
        q->flags |= WEIR_PKT_CORRUPT;
    }
    weir_pkt_unref(p);
    return q;
}

static uint64_t *drop_counter(struct direction *d, enum weir_drop why)
{
    if (why == WEIR_DROP_LINK_POLICED)
        return &d->stats.policed;
    return why == WEIR_DROP_LINK_AQM ? &d->stats.queue_managed : &d->stats.queue_full;
}

/* Put one copy on its way. Its reference stays the caller's where it is dropped. */
static enum weir_drop launch(struct wio_link *l, struct direction *d, struct weir_pkt **pkt, bool is_harmed,
                             weir_ns now, const struct wio_verdict *v, struct wio_link_note *note)
{
    struct weir_pkt *p = *pkt;
    if (d->line.bytes + p->len > d->hold_max_bytes) {
        *(d->is_hold_queue ? &d->stats.queue_full : &d->stats.hold_full) += 1;
        return WEIR_DROP_LINK_QUEUE_FULL;
    }
    unsigned ecn = d->is_clean ? 0 : wio_ecn_of(p, l->type);
    struct wio_passage pass = wio_impair_pass(&d->impair, p->len, now, v->delay, ecn != 0);
    if (pass.drop) {
        *drop_counter(d, pass.drop) += 1;
        return pass.drop;
    }
    bool is_marked = (pass.is_marked || v->is_marked) && ecn != 0 && ecn != 3;
    if (is_marked)
        *pkt = p = wio_ecn_mark(p, l->type);
    struct wio_held held = {p, pass.due, ++l->turns};
    bool is_trusted = p && (p->flags & WEIR_PKT_CSUM_PARTIAL || (d->is_clean && l->caps));
    if (is_trusted && !(p->flags & WEIR_PKT_CORRUPT)) /* by this link or one before it */
        p->flags |= WEIR_PKT_CSUM_OK;
    if (!p || !wio_line_push(&d->line, &held)) {
        d->stats.no_memory++;
        return WEIR_DROP_NO_MEMORY;
    }
    d->stats.ce_marked += is_marked;
    note->is_marked = is_marked;
    note->due = pass.due;
    if (!is_harmed)
        note->copy_shift[note->copy_n++] = (int64_t)(pass.due - pass.plain_due);
    if (pass.due < d->latest_due) {
        d->stats.reordered++;
        note->is_reordered = true;
    } else {
        d->latest_due = pass.due;
    }
    return WEIR_DROP_NONE;
}

/* One copy's fate: lost, corrupted, or launched whole. Takes its reference. */
static enum weir_drop send_copy(struct wio_link *l, struct direction *d, struct weir_pkt *p, weir_ns now,
                                const struct wio_verdict *v, struct wio_link_note *note)
{
    bool is_harmed = false;
    if (wio_impair_lose(&d->impair)) {
        d->stats.lost++;
        weir_pkt_unref(p);
        return WEIR_DROP_LINK_LOSS;
    }
    if (wio_impair_corrupt(&d->impair) || v->is_corrupted) {
        p = corrupt(d, p);
        if (!p) {
            d->stats.no_memory++;
            return WEIR_DROP_NO_MEMORY;
        }
        d->stats.corrupted++;
        note->is_corrupted = is_harmed = true;
    }
    enum weir_drop why = launch(l, d, &p, is_harmed, now, v, note);
    if (why && p)
        weir_pkt_unref(p);
    return why;
}

static void send_impaired(struct wio_link *l, enum wio_dir dir, struct weir_pkt *p, weir_ns now,
                          struct wio_link_note *note)
{
    struct direction *d = &l->dirs[dir];
    struct wio_verdict v = {0};
    if (l->judge)
        v = l->judge(l->judge_ctx, dir, p);
    else if (l->script)
        v = wio_script_judge(l->script, p, l->type, dir);
    if (v.is_dropped) {
        d->stats.scripted++;
        note->drop = WEIR_DROP_LINK_SCRIPT;
        weir_pkt_unref(p);
        return;
    }
    struct weir_pkt *twin = NULL;
    if (wio_impair_duplicate(&d->impair) || v.is_duplicated)
        twin = weir_pkt_clone(p->pool, p);
    note->drop = send_copy(l, d, p, now, &v, note);
    if (!twin)
        return;
    d->stats.duplicated++;
    note->is_duplicated = true;
    v.delay = l->judge ? v.twin_delay : v.delay;
    enum weir_drop twin_drop = send_copy(l, d, twin, now, &v, note);
    if (!twin_drop)
        note->drop = WEIR_DROP_NONE;
}

/* Takes the packet's reference. */
static void send_packet(struct wio_link *l, enum wio_dir dir, struct weir_pkt *p, weir_ns now)
{
    struct direction *d = &l->dirs[dir];
    struct wio_link_note note = {.what = WIO_NOTE_SENT, .dir = dir, .at = now, .pkt = p, .due = now};
    struct weir_pkt *shown = l->tap ? weir_pkt_ref(p) : NULL;
    d->stats.sent_pkts++;
    d->stats.sent_bytes += p->len;
    if (d->is_clean) {
        note.drop = launch(l, d, &p, false, now, &(struct wio_verdict){0}, &note);
        if (note.drop)
            weir_pkt_unref(p);
    } else if (p->len > l->frame_max) {
        d->stats.too_big++;
        note.drop = WEIR_DROP_LINK_MTU;
        weir_pkt_unref(p);
    } else {
        send_impaired(l, dir, p, now, &note);
    }
    if (shown) {
        l->tap(l->tap_ctx, &note);
        weir_pkt_unref(shown);
    }
}

/* A link that was clean when it was made promised to take super-segments; now that it is not, it cuts them itself. */
static void send_cut(struct wio_link *l, enum wio_dir dir, struct weir_pkt *p, weir_ns now)
{
    struct weir_pkt *cuts[SEGMENTS_MAX];
    unsigned n = weir_pkt_segment(p->pool, p, cuts, SEGMENTS_MAX);
    if (n == 0)
        l->dirs[dir].stats.no_memory++;
    for (unsigned i = 0; i < n; i++)
        send_packet(l, dir, cuts[i], now);
    weir_pkt_unref(p);
}

void wio_link_send(struct wio_link *l, enum wio_side side, struct weir_pkt **pkts, unsigned n, weir_ns now)
{
    enum wio_dir dir = l->ends[side].dir;
    bool is_clean = l->dirs[dir].is_clean;
    for (unsigned i = 0; i < n; i++) {
        bool is_owed = pkts[i]->flags & WEIR_PKT_CSUM_PARTIAL && !(l->caps & WEIR_CAP_TX_CSUM);
        if (is_owed || (!is_clean && pkts[i]->gso_size > 0))
            send_cut(l, dir, pkts[i], now);
        else
            send_packet(l, dir, pkts[i], now);
    }
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct end *e = driver;
    wio_link_send(e->link, e == &e->link->ends[WIO_NEAR] ? WIO_NEAR : WIO_FAR, pkts, n, weir_now(e->w));
    return n;
}

/* ---- Ends ---- */

const struct weir_netif_ops *wio_link_ops(void)
{
    static const struct weir_netif_ops ops = {.xmit = xmit};
    return &ops;
}

void *wio_link_driver(struct wio_link *l, enum wio_side side)
{
    return &l->ends[side];
}

uint32_t wio_link_caps(const struct wio_link *l)
{
    return l->caps;
}

void wio_link_bind(struct wio_link *l, enum wio_side side, struct weir *w, int netif)
{
    l->ends[side].w = w;
    l->ends[side].netif = netif;
}

void wio_link_set_sink(struct wio_link *l, enum wio_side side,
                       void (*sink)(void *ctx, struct weir_pkt **, unsigned n, weir_ns now), void *ctx)
{
    l->ends[side].sink = sink;
    l->ends[side].sink_ctx = ctx;
}

int wio_link_attach(struct wio_link *l, enum wio_side side, struct weir *w, const char *name, const uint8_t mac[6])
{
    struct weir_netif_config c = {
        .name = name,
        .type = l->type,
        .mac = {2, 0, 0, 0, 0, side == WIO_NEAR ? 1 : 2},
        .mtu = l->mtu,
        .caps = l->caps,
    };
    if (mac)
        memcpy(c.mac, mac, sizeof c.mac);
    wio_link_bind(l, side, w, 0); /* the interface may send while it is being added */
    int netif = weir_netif_add(w, wio_link_ops(), &l->ends[side], &c);
    wio_link_bind(l, side, netif < 0 ? NULL : w, netif);
    return netif;
}

/* ---- Delivery ---- */

weir_ns wio_link_deadline(const struct wio_link *l)
{
    const struct wio_held *up = wio_line_peek(&l->dirs[WIO_UP].line), *down = wio_line_peek(&l->dirs[WIO_DOWN].line);
    if (!up || !down)
        return up ? up->due : down ? down->due : WEIR_NEVER;
    return up->due < down->due ? up->due : down->due;
}

static void deliver(struct wio_link *l, enum wio_dir dir, struct weir_pkt **pkts, unsigned n, weir_ns now)
{
    struct direction *d = &l->dirs[dir];
    const struct end *to = &l->ends[dir == WIO_UP ? WIO_FAR : WIO_NEAR];
    d->stats.delivered_pkts += n;
    for (unsigned i = 0; i < n; i++) {
        d->stats.delivered_bytes += pkts[i]->len;
        if (l->tap) {
            struct wio_link_note note = {.what = WIO_NOTE_DELIVERED, .dir = dir, .at = now, .pkt = pkts[i], .due = now};
            l->tap(l->tap_ctx, &note);
        }
    }
    if (to->sink)
        to->sink(to->sink_ctx, pkts, n, now);
    else if (to->w)
        weir_input(to->w, to->netif, pkts, n, now);
    for (unsigned i = 0; i < n; i++)
        weir_pkt_unref(pkts[i]);
}

/* Take the next packets that are due and go the same way. Returns how many, and which way. */
static unsigned take_batch(struct wio_link *l, enum wio_dir *dir, struct weir_pkt **pkts, uint64_t last_turn,
                           weir_ns now)
{
    const struct wio_held *up = wio_line_peek(&l->dirs[WIO_UP].line), *down = wio_line_peek(&l->dirs[WIO_DOWN].line);
    bool is_up = up && (!down || wio_held_is_before(up, down));
    const struct wio_held *h = is_up ? up : down, *other = is_up ? down : up;
    struct wio_line *line = &l->dirs[is_up ? WIO_UP : WIO_DOWN].line;
    unsigned n = 0;
    *dir = is_up ? WIO_UP : WIO_DOWN;
    while (n < BATCH && h && h->due <= now && h->turn <= last_turn && !(other && wio_held_is_before(other, h))) {
        pkts[n++] = wio_line_pop(line).pkt;
        h = wio_line_peek(line);
    }
    return n;
}

unsigned wio_link_run(struct wio_link *l, weir_ns now)
{
    struct weir_pkt *pkts[BATCH];
    uint64_t last_turn = l->turns;
    enum wio_dir dir;
    unsigned total = 0;
    for (unsigned n; (n = take_batch(l, &dir, pkts, last_turn, now)) > 0; total += n)
        deliver(l, dir, pkts, n, now);
    return total;
}

struct wio_link_stats wio_link_stats(const struct wio_link *l, enum wio_dir dir)
{
    return l->dirs[dir].stats;
}

size_t wio_link_held_bytes(const struct wio_link *l)
{
    return (size_t)(l->dirs[WIO_UP].line.bytes + l->dirs[WIO_DOWN].line.bytes);
}
