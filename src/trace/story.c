/*
 * Stories of connections (story.h): what is worth an arrow becomes an item, everything else is counted in the run of
 * plain traffic between two arrows. story_print.c draws.
 */
#include "trace/story_items.h"

#include <stdlib.h>
#include <string.h>

struct wtr_story *wtr_story_new(enum weir_link_type type, unsigned conns_max)
{
    struct wtr_story *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->type = type;
    s->conn_cap = conns_max ? conns_max : 16;
    s->item_cap = WTR_ITEMS_MAX;
    s->conns = calloc(s->conn_cap, sizeof *s->conns);
    s->whys[WIO_NEAR] = wtr_why_new();
    s->whys[WIO_FAR] = wtr_why_new();
    if (s->conns && s->whys[WIO_NEAR] && s->whys[WIO_FAR])
        return s;
    wtr_story_free(s);
    return NULL;
}

void wtr_story_free(struct wtr_story *s)
{
    if (!s)
        return;
    wtr_why_free(s->whys[WIO_NEAR]);
    wtr_why_free(s->whys[WIO_FAR]);
    for (unsigned i = 0; s->conns && i < s->conn_n; i++)
        free(s->conns[i].items);
    free(s->conns);
    free(s);
}

bool wtr_story_detail(struct wtr_story *s, unsigned n)
{
    if (n > UINT16_MAX)
        return false;
    s->detail_n = n;
    s->item_cap = WTR_ITEMS_MAX + n;
    return true;
}

bool wtr_story_ends(const struct wtr_story *s, unsigned i, struct weir_sockaddr ends[2])
{
    for (int side = 0; i < s->conn_n && side < 2; side++)
        ends[side] = s->conns[i].ends[side];
    return i < s->conn_n;
}

unsigned wtr_story_count(const struct wtr_story *s)
{
    return s->conn_n;
}

unsigned wtr_story_biggest(const struct wtr_story *s)
{
    unsigned best = 0;
    uint64_t most = 0;
    for (unsigned i = 0; i < s->conn_n; i++) {
        uint64_t bytes = s->conns[i].bytes[WIO_UP] + s->conns[i].bytes[WIO_DOWN];
        if (bytes > most) {
            most = bytes;
            best = i;
        }
    }
    return best;
}

/* ---- Finding the connection ---- */

static bool is_same(const struct weir_sockaddr *a, const struct weir_sockaddr *b)
{
    return a->port == b->port && weir_addr_equal(&a->addr, &b->addr);
}

/* The latest connection of these ends; a new one where `may_begin` and there is room. */
static struct wtr_conn *find(struct wtr_story *s, const struct weir_sockaddr *near, const struct weir_sockaddr *far,
                             bool may_begin)
{
    for (unsigned i = s->conn_n; i-- > 0;) {
        struct wtr_conn *c = &s->conns[i];
        if (is_same(&c->ends[WIO_NEAR], near) && is_same(&c->ends[WIO_FAR], far)) {
            if (may_begin && c->is_over[WIO_NEAR] && c->is_over[WIO_FAR])
                break;
            return c;
        }
    }
    if (!may_begin || s->conn_n == s->conn_cap)
        return NULL;
    struct wtr_conn *c = &s->conns[s->conn_n];
    c->items = calloc(s->item_cap, sizeof *c->items);
    if (!c->items)
        return NULL;
    s->conn_n++;
    c->item_cap = s->item_cap;
    c->ends[WIO_NEAR] = *near;
    c->ends[WIO_FAR] = *far;
    return c;
}

/* ---- Events of the hosts ---- */

void wtr_story_event(struct wtr_story *s, enum wio_side side, const struct weir_event *ev)
{
    wtr_why_event(s->whys[side], ev);
    if ((ev->kind != WEIR_EV_STATE && ev->kind != WEIR_EV_CLOSE) || !ev->local || !ev->remote || !ev->remote->port)
        return;
    bool begins = ev->kind == WEIR_EV_STATE && (ev->u.state.to == WEIR_TCP_SYN_SENT);
    struct wtr_conn *c =
        find(s, side == WIO_NEAR ? ev->local : ev->remote, side == WIO_NEAR ? ev->remote : ev->local, begins);
    if (!c)
        return;
    if (ev->kind == WEIR_EV_STATE) {
        c->state[side] = ev->u.state.to;
        c->has_state[side] = true;
        c->is_over[side] = ev->u.state.to == WEIR_TCP_CLOSED || ev->u.state.to == WEIR_TCP_TIME_WAIT;
        return;
    }
    c->is_closed = true;
    c->closed_at = ev->at;
    c->rexmits += ev->u.close.rexmits;
    if (ev->u.close.ledger)
        c->ledger[side] = *ev->u.close.ledger;
    if (side == WIO_NEAR)
        c->err = ev->u.close.err;
}

/* ---- Packets on the link ---- */

static struct wtr_item *add_item(struct wtr_conn *c, enum wtr_item_kind kind, enum wio_dir dir, weir_ns at)
{
    if (c->item_n == c->item_cap)
        return NULL;
    struct wtr_item *it = &c->items[c->item_n++];
    *it = (struct wtr_item){.kind = kind, .dir = dir, .at = at};
    for (int side = 0; side < 2; side++) {
        it->state[side] = c->state[side];
        it->has_state[side] = c->has_state[side];
    }
    return it;
}

/* The run of plain traffic that the next plain segment belongs to: the last item, or a new one. */
static struct wtr_item *run_of(struct wtr_conn *c, enum wio_dir dir, weir_ns at)
{
    if (c->item_n > 0 && c->items[c->item_n - 1].kind == WTR_ITEM_RUN)
        return &c->items[c->item_n - 1];
    struct wtr_item *it = add_item(c, WTR_ITEM_RUN, dir, at);
    /* Where no item is left, the last run takes it: the counts stay right though the place does not. */
    for (unsigned i = c->item_n; !it && i-- > 0;)
        if (c->items[i].kind == WTR_ITEM_RUN)
            it = &c->items[i];
    return it;
}

/* One of the losses that are drawn and not yet repaired, if this segment carries its first byte. */
static struct wtr_loss *loss_of(struct wtr_conn *c, enum wio_dir dir, const struct wio_frame *f)
{
    for (unsigned i = 0; i < c->loss_n; i++) {
        struct wtr_loss *l = &c->losses[i];
        uint32_t into = l->seq - f->seq;
        if (l->dir == dir && !l->is_repaired && (into < f->len || (into == 0 && l->len == 0 && f->len == 0)))
            return l;
    }
    return NULL;
}

/* Does the segment carry what was sent before? Notes the highest number sent. */
static bool is_sent_again(struct wtr_conn *c, enum wio_dir dir, const struct wio_frame *f)
{
    uint32_t len = f->len + ((f->flags & WIO_TCP_SYN) != 0) + ((f->flags & WIO_TCP_FIN) != 0);
    if (f->flags & WIO_TCP_SYN && !c->has_iss[dir]) {
        c->has_iss[dir] = true;
        c->iss[dir] = c->snd_max[dir] = f->seq;
    }
    uint32_t end = f->seq + len;
    bool is_again = len > 0 && c->has_iss[dir] && (int32_t)(f->seq - c->snd_max[dir]) < 0;
    if ((int32_t)(end - c->snd_max[dir]) > 0)
        c->snd_max[dir] = end;
    return is_again;
}

static void count_plain(struct wtr_item *run, enum wio_dir dir, const struct wio_frame *f, bool is_again, bool is_lost)
{
    if (!run)
        return;
    run->segs[dir] += f->len > 0;
    run->bytes[dir] += f->len;
    run->acks[dir] += f->len == 0;
    run->again[dir] += is_again;
    run->lost[dir] += is_lost;
}

/* Is this the first segment to acknowledge the other side's FIN? */
static bool acks_fin(struct wtr_conn *c, enum wio_dir dir, const struct wio_frame *f, bool is_lost)
{
    bool is_first = f->flags & WIO_TCP_ACK && c->has_fin[!dir] && !c->is_fin_acked[!dir] && f->ack == c->fin_end[!dir];
    if (is_first && !is_lost)
        c->is_fin_acked[!dir] = true;
    return is_first;
}

/* A loss of data, SYN or FIN is drawn until WTR_LOSSES_MAX are; its repair is drawn with it. */
static bool is_worth_an_arrow(struct wtr_conn *c, enum wio_dir dir, const struct wio_frame *f, bool is_again,
                              bool is_lost)
{
    bool is_handshake = f->flags & (WIO_TCP_SYN | WIO_TCP_RST) || c->handshake_acks == 1;
    bool is_fin_ack = acks_fin(c, dir, f, is_lost), is_end = is_fin_ack || f->flags & WIO_TCP_FIN;
    struct wtr_loss *old = is_again ? loss_of(c, dir, f) : NULL;
    bool is_repair = old != NULL;
    if (old)
        old->is_repaired = true;
    if (is_lost && (f->len > 0 || f->flags & (WIO_TCP_SYN | WIO_TCP_FIN)) && c->loss_n < WTR_LOSSES_MAX) {
        c->losses[c->loss_n++] = (struct wtr_loss){.dir = dir, .seq = f->seq, .len = f->len};
        return true;
    }
    if (is_handshake)
        return c->item_n < c->item_cap - WTR_ITEMS_CLOSE;
    return is_repair || (is_end && c->end_items++ < WTR_ITEMS_CLOSE - 2);
}

static void note_segment(struct wtr_story *s, struct wtr_conn *c, const struct wio_link_note *note,
                         const struct wio_frame *f)
{
    enum wio_dir dir = note->dir;
    bool is_lost = note->drop || note->is_corrupted;
    bool is_again = is_sent_again(c, dir, f);
    if (f->flags & WIO_TCP_SYN && f->flags & WIO_TCP_ACK)
        c->handshake_acks = 0;
    else if (f->flags & WIO_TCP_ACK && c->handshake_acks < 2 && c->has_iss[!dir])
        c->handshake_acks++;
    if (!is_again)
        c->bytes[dir] += f->len;
    c->lost_n += is_lost;
    if (f->flags & WIO_TCP_FIN) {
        c->has_fin[dir] = true;
        c->fin_end[dir] = f->seq + f->len + 1;
    }
    struct wtr_item *it = NULL;
    bool is_worth = is_worth_an_arrow(c, dir, f, is_again, is_lost);
    if (is_worth || c->segment_n++ < s->detail_n)
        it = add_item(c, WTR_ITEM_SEGMENT, dir, note->at);
    if (!it) {
        count_plain(run_of(c, dir, note->at), dir, f, is_again, is_lost);
        return;
    }
    it->flags = f->flags;
    it->seq_rel = c->has_iss[dir] ? f->seq - c->iss[dir] : f->seq;
    it->ack_rel = c->has_iss[!dir] ? f->ack - c->iss[!dir] : f->ack;
    it->has_ack_rel = c->has_iss[!dir];
    it->len = f->len;
    it->drop = note->drop;
    it->is_corrupted = note->is_corrupted;
    it->is_again = is_again;
    if (is_again || f->flags & WIO_TCP_RST)
        wtr_why_comment(s->whys[dir == WIO_UP ? WIO_NEAR : WIO_FAR], note->pkt, it->why, sizeof it->why);
}

void wtr_story_link(struct wtr_story *s, const struct wio_link_note *note)
{
    if (note->what != WIO_NOTE_SENT)
        return;
    struct wio_frame f = wio_frame_look(note->pkt, s->type);
    if (f.flags == 0 || f.proto != 6)
        return;
    const struct weir_sockaddr *near = note->dir == WIO_UP ? &f.src : &f.dst;
    const struct weir_sockaddr *far = note->dir == WIO_UP ? &f.dst : &f.src;
    struct wtr_conn *c = find(s, near, far, (f.kinds & 1u << WIO_MATCH_SYN) != 0);
    if (c)
        note_segment(s, c, note, &f);
}
