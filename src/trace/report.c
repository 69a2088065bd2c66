/*
 * Takes the events of a report (report.h) and puts each to its connection. An end of a connection is known by its host
 * and number there, and the two ends find each other by their addresses.
 */
#include "trace/report_rows.h"

#include "io/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weir/errno.h>
#include <weir/stack.h>

#define CONNS_MAX (1u << 20)
#define TEXTS_MAX (1u << 20)
#define HOSTS_MAX 4096u

/* ---- Room ---- */

bool wtr_report_grow(struct wtr_report *r, void *array, uint32_t *cap, uint32_t n, size_t size)
{
    if (n < *cap)
        return true;
    uint32_t wanted = *cap ? *cap * 2 : 64;
    void **at = array;
    void *bigger = wanted > *cap ? realloc(*at, (size_t)wanted * size) : NULL;
    if (!bigger) {
        r->err = -ENOMEM;
        return false;
    }
    *at = bigger;
    *cap = wanted;
    return true;
}

static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < len; i++)
        h = (h ^ b[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

static void map_put(struct wtr_map *m, uint64_t hash, uint32_t value)
{
    uint32_t i = (uint32_t)hash & (m->cap - 1);
    while (m->slots[i].value)
        i = (i + 1) & (m->cap - 1);
    m->slots[i] = (struct wtr_slot){hash, value + 1};
    m->n++;
}

static bool map_add(struct wtr_report *r, struct wtr_map *m, uint64_t hash, uint32_t value)
{
    if (m->n * 2 >= m->cap) {
        struct wtr_map bigger = {.cap = m->cap ? m->cap * 2 : 256};
        bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
        if (!bigger.slots) {
            r->err = -ENOMEM;
            return false;
        }
        for (uint32_t i = 0; i < m->cap; i++)
            if (m->slots[i].value)
                map_put(&bigger, m->slots[i].hash, m->slots[i].value - 1);
        free(m->slots);
        *m = bigger;
    }
    map_put(m, hash, value);
    return true;
}

/* Go through what has this hash: *i is where to look next, from the hash on. NULL: no more. */
static struct wtr_slot *map_next(const struct wtr_map *m, uint64_t hash, uint32_t *i)
{
    for (; m->cap && m->slots[*i & (m->cap - 1)].value; (*i)++)
        if (m->slots[*i & (m->cap - 1)].hash == hash)
            return &m->slots[(*i)++ & (m->cap - 1)];
    return NULL;
}

uint32_t wtr_report_text(struct wtr_report *r, const char *text)
{
    if (!text || !*text)
        return 0;
    uint64_t hash = hash_bytes(1, text, strlen(text));
    struct wtr_slot *slot;
    for (uint32_t i = (uint32_t)hash; (slot = map_next(&r->by_text, hash, &i));)
        if (strcmp(r->texts[slot->value - 1], text) == 0)
            return slot->value - 1;
    if (r->text_n >= TEXTS_MAX || !wtr_report_grow(r, &r->texts, &r->text_cap, r->text_n, sizeof *r->texts))
        return 0;
    char *copy = strdup(text);
    if (!copy || !map_add(r, &r->by_text, hash, r->text_n)) {
        free(copy);
        r->err = -ENOMEM;
        return 0;
    }
    r->texts[r->text_n] = copy;
    return r->text_n++;
}

/* ---- The report ---- */

struct wtr_report *wtr_report_new(const struct wtr_report_config *cfg)
{
    struct wtr_report *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->cfg = *cfg;
    r->title = strdup(cfg->title ? cfg->title : "");
    r->about = cfg->about ? strdup(cfg->about) : NULL;
    if (r->cfg.rows_max == 0)
        r->cfg.rows_max = WTR_REPORT_ROWS_MAX;
    if (r->cfg.conns_max == 0)
        r->cfg.conns_max = CONNS_MAX;
    if (!r->title || (cfg->about && !r->about) || !wtr_report_grow(r, &r->flows, &r->flow_cap, 0, sizeof *r->flows) ||
        !wtr_report_grow(r, &r->texts, &r->text_cap, 0, sizeof *r->texts) || !(r->texts[0] = strdup(""))) {
        wtr_report_free(r);
        return NULL;
    }
    r->flows[0] = (struct wtr_flow){.rst_side = -1, .fin_first = -1};
    r->flow_n = r->text_n = 1;
    return r;
}

void wtr_report_free(struct wtr_report *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->host_n; i++) {
        free(r->hosts[i].name);
        free(r->hosts[i].sent);
    }
    for (uint32_t i = 0; i < r->text_n; i++)
        free(r->texts[i]);
    for (uint32_t i = 0; i < r->claim_n; i++)
        free(r->claims[i].text);
    free(r->hosts);
    free(r->flows);
    free(r->rows);
    free(r->sacks);
    free(r->texts);
    free(r->claims);
    free(r->by_ends.slots);
    free(r->by_id.slots);
    free(r->by_text.slots);
    free(r->title);
    free(r->about);
    free(r);
}

uint32_t wtr_report_conns(const struct wtr_report *r)
{
    return r->flow_n - 1;
}

uint64_t wtr_report_left_out(const struct wtr_report *r)
{
    return r->left_out;
}

int wtr_report_host(struct wtr_report *r, const char *name)
{
    for (uint32_t i = 0; i < r->host_n; i++)
        if (strcmp(r->hosts[i].name, name) == 0)
            return (int)i;
    if (r->host_n >= HOSTS_MAX)
        return -ENOSPC;
    if (!wtr_report_grow(r, &r->hosts, &r->host_cap, r->host_n, sizeof *r->hosts))
        return -ENOMEM;
    r->hosts[r->host_n] = (struct wtr_report_host){.name = strdup(name)};
    if (!r->hosts[r->host_n].name)
        return r->err = -ENOMEM;
    return (int)r->host_n++;
}

void wtr_report_claim(struct wtr_report *r, bool holds, const char *text)
{
    if (!wtr_report_grow(r, &r->claims, &r->claim_cap, r->claim_n, sizeof *r->claims))
        return;
    r->claims[r->claim_n] = (struct wtr_claim){holds, strdup(text)};
    if (r->claims[r->claim_n].text)
        r->claim_n++;
    else
        r->err = -ENOMEM;
}

struct wtr_row *wtr_report_row(struct wtr_report *r, uint32_t conn, uint8_t kind, weir_ns at)
{
    struct wtr_flow *f = &r->flows[conn];
    bool is_packet = kind == WEIR_EV_SEG_OUT || kind == WEIR_EV_SEG_IN || kind == WEIR_EV_DGRAM_OUT ||
                     kind == WEIR_EV_DGRAM_IN || kind == WTR_ROW_LINK;
    if (at > f->ended && (is_packet || f->ended == 0))
        f->ended = at;
    if (r->row_n >= r->cfg.rows_max || !wtr_report_grow(r, &r->rows, &r->row_cap, r->row_n, sizeof *r->rows)) {
        r->left_out++;
        return NULL;
    }
    struct wtr_row *row = &r->rows[r->row_n++];
    *row = (struct wtr_row){.at = at, .conn = conn, .kind = kind, .nth = f->row_n++};
    f->stamp = ++r->stamp;
    if (r->row_n == 1 && r->forgotten == 0)
        r->start = at;
    return row;
}

/* ---- Connections ---- */

static bool is_same_end(const struct weir_sockaddr *a, const struct weir_sockaddr *b)
{
    return a->port == b->port && weir_addr_equal(&a->addr, &b->addr);
}

/* The same for both directions. */
static uint64_t hash_ends(const struct weir_sockaddr *a, const struct weir_sockaddr *b, bool is_udp)
{
    uint64_t ha = hash_bytes(hash_bytes(3, &a->addr, sizeof a->addr), &a->port, sizeof a->port);
    uint64_t hb = hash_bytes(hash_bytes(3, &b->addr, sizeof b->addr), &b->port, sizeof b->port);
    return (ha + hb) * UINT64_C(0x9e3779b97f4a7c15) + is_udp;
}

static struct wtr_slot *find_slot(struct wtr_report *r, const struct weir_sockaddr *local,
                                  const struct weir_sockaddr *remote, bool is_udp, unsigned *side)
{
    uint64_t hash = hash_ends(local, remote, is_udp);
    struct wtr_slot *slot;
    for (uint32_t i = (uint32_t)hash; (slot = map_next(&r->by_ends, hash, &i));) {
        const struct wtr_flow *f = &r->flows[slot->value - 1];
        for (unsigned s = 0; s < 2 && f->is_udp == is_udp; s++) {
            bool is_local = is_same_end(&f->ends[s].addr, local) || (is_udp && weir_addr_is_any(&local->addr));
            if (is_local && is_same_end(&f->ends[!s].addr, remote)) {
                *side = s;
                return slot;
            }
        }
    }
    return NULL;
}

uint32_t wtr_report_find(struct wtr_report *r, const struct weir_sockaddr *local, const struct weir_sockaddr *remote,
                         bool is_udp, unsigned *side)
{
    struct wtr_slot *slot = find_slot(r, local, remote, is_udp, side);
    return slot ? slot->value - 1 : 0;
}

uint32_t wtr_report_flow(struct wtr_report *r, const struct weir_sockaddr *a, const struct weir_sockaddr *b,
                         bool is_udp, weir_ns at)
{
    unsigned side;
    if (r->flow_n > r->cfg.conns_max || !wtr_report_grow(r, &r->flows, &r->flow_cap, r->flow_n, sizeof *r->flows))
        return 0;
    uint32_t id = r->flow_n;
    struct wtr_slot *older = find_slot(r, a, b, is_udp, &side);
    r->flows[id] = (struct wtr_flow){
        .ends = {{.addr = *a, .host = WTR_NO_HOST}, {.addr = *b, .host = WTR_NO_HOST}},
        .is_udp = is_udp,
        .began = at,
        .rst_side = -1,
        .fin_first = -1,
        .next = older ? older->value : 0,
    };
    if (older)
        older->value = id + 1;
    else if (!map_add(r, &r->by_ends, hash_ends(a, b, is_udp), id))
        return 0;
    r->flow_n++;
    return id;
}

static uint64_t hash_id(int host, uint64_t conn_id)
{
    return (conn_id * 4099 + (uint64_t)host + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 7;
}

uint32_t wtr_report_find_id(struct wtr_report *r, int host, uint64_t conn_id, unsigned *side)
{
    uint64_t hash = hash_id(host, conn_id);
    struct wtr_slot *slot;
    for (uint32_t i = (uint32_t)hash; (slot = map_next(&r->by_id, hash, &i));) {
        const struct wtr_flow *f = &r->flows[slot->value - 1];
        for (unsigned s = 0; s < 2; s++) {
            if (f->ends[s].host == (uint32_t)host && f->ends[s].conn_id == conn_id) {
                *side = s;
                return slot->value - 1;
            }
        }
    }
    return 0;
}

/* May this host's connection be that end? */
static bool is_vacant(const struct wtr_flow *f, unsigned side, int host, uint64_t conn_id)
{
    const struct wtr_end *e = &f->ends[side];
    if (f->ends[!side].host == (uint32_t)host && !is_same_end(&f->ends[0].addr, &f->ends[1].addr) &&
        f->ends[!side].conn_id == conn_id)
        return false;
    return e->host == WTR_NO_HOST || (e->host == (uint32_t)host && (e->conn_id == 0 || conn_id == 0));
}

/* Does the one who tells of this event not open the connection? */
static bool is_passive(const struct weir_event *ev)
{
    if (ev->kind == WEIR_EV_STATE)
        return ev->u.state.from == WEIR_TCP_LISTEN;
    if (ev->kind == WEIR_EV_SEG_IN)
        return (ev->u.seg.flags & (WIO_TCP_SYN | WIO_TCP_ACK)) == WIO_TCP_SYN;
    if (ev->kind == WEIR_EV_SEG_OUT)
        return (ev->u.seg.flags & WIO_TCP_SYN && ev->u.seg.flags & WIO_TCP_ACK) || ev->u.seg.flags & WIO_TCP_RST;
    return ev->kind == WEIR_EV_CLOSE && !ev->u.close.is_active;
}

/* A new connection begins with a SYN where the old one between the same ends had come further than that. */
static bool is_anew(const struct wtr_flow *f, unsigned side, const struct weir_event *ev)
{
    const struct wtr_end *e = &f->ends[side];
    if (ev->kind == WEIR_EV_STATE)
        return ev->u.state.to == WEIR_TCP_SYN_SENT && e->has_syn;
    return false;
}

/* The row, plus one, in which a host sent what carries this serial; 0: none. */
static uint32_t sent_row(const struct wtr_report *r, uint32_t host, uint64_t serial)
{
    if (host >= r->host_n || serial == 0)
        return 0;
    const struct wtr_report_host *h = &r->hosts[host];
    uint32_t lo = 0, hi = h->sent_n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (h->sent[mid].serial < serial)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < h->sent_n && h->sent[lo].serial == serial ? h->sent[lo].row + 1 : 0;
}

/* What comes in names no sender but by its serial: it is the one host that sent such a packet to this one. */
static uint32_t dropped_row(const struct wtr_report *r, int host, const struct weir_pkt *pkt)
{
    uint32_t found = 0;
    for (uint32_t h = 0; pkt && h < r->host_n; h++) {
        uint32_t row = h == (uint32_t)host ? 0 : sent_row(r, h, pkt->serial);
        if (!row)
            continue;
        const struct wtr_flow *f = &r->flows[r->rows[row - 1].conn];
        const struct wtr_end *to = &f->ends[!r->rows[row - 1].side];
        if (to->host != (uint32_t)host && to->host != WTR_NO_HOST)
            continue;
        if (found)
            return 0;
        found = row;
    }
    return found;
}

/* A datagram belongs where the one that was sent does: a socket bound to no address doesn't say which it came to. What
 * it answers is found by the same ends then. */
static uint32_t dgram_flow(struct wtr_report *r, int host, const struct weir_event *ev, unsigned *side)
{
    uint32_t from = ev->kind == WEIR_EV_DGRAM_IN ? dropped_row(r, host, ev->u.dgram.pkt) : 0;
    if (!from || r->rows[from - 1].kind != WEIR_EV_DGRAM_OUT || r->rows[from - 1].conn == 0)
        return wtr_report_find(r, ev->local, ev->remote, true, side);
    uint32_t id = r->rows[from - 1].conn;
    unsigned found;
    *side = !r->rows[from - 1].side;
    if (weir_addr_is_any(&ev->local->addr)) {
        struct wtr_slot *slot = find_slot(r, ev->local, ev->remote, true, &found);
        if (slot)
            slot->value = id + 1;
        else
            map_add(r, &r->by_ends, hash_ends(ev->local, ev->remote, true), id);
    }
    return id;
}

/* The connection of an event, and the end that tells of it; 0: it belongs to none. */
static uint32_t flow_of(struct wtr_report *r, int host, const struct weir_event *ev, unsigned *side)
{
    bool is_udp = ev->kind == WEIR_EV_DGRAM_OUT || ev->kind == WEIR_EV_DGRAM_IN;
    uint32_t id;

    if (!ev->local || !ev->remote)
        return 0;
    if (!is_udp && ev->conn_id && (id = wtr_report_find_id(r, host, ev->conn_id, side)))
        return id;
    id = is_udp ? dgram_flow(r, host, ev, side) : wtr_report_find(r, ev->local, ev->remote, false, side);
    if (is_udp && id) {
        if (r->flows[id].ends[*side].host == WTR_NO_HOST)
            r->flows[id].ends[*side].host = (uint32_t)host;
        return id;
    }
    if (!is_udp && ev->kind != WEIR_EV_STATE && ev->kind != WEIR_EV_SEG_IN && ev->kind != WEIR_EV_SEG_OUT && !id)
        return 0; /* a UDP socket's error, or an end whose beginning nobody saw */
    if (id && (!is_vacant(&r->flows[id], *side, host, ev->conn_id) || is_anew(&r->flows[id], *side, ev)))
        id = 0;
    if (!id) {
        bool is_second = !is_udp && is_passive(ev);
        id = is_second ? wtr_report_flow(r, ev->remote, ev->local, is_udp, ev->at)
                       : wtr_report_flow(r, ev->local, ev->remote, is_udp, ev->at);
        *side = is_second;
        if (!id)
            return 0;
    }
    struct wtr_end *e = &r->flows[id].ends[*side];
    e->host = (uint32_t)host;
    if (!is_udp && ev->conn_id && e->conn_id == 0) {
        e->conn_id = ev->conn_id;
        map_add(r, &r->by_id, hash_id(host, ev->conn_id), id);
    }
    return id;
}

/* ---- Packets ---- */

static void remember_sent(struct wtr_report *r, int host, uint64_t serial, uint32_t row)
{
    struct wtr_report_host *h = &r->hosts[host];
    if (serial == 0 || (h->sent_n && h->sent[h->sent_n - 1].serial >= serial) ||
        !wtr_report_grow(r, &h->sent, &h->sent_cap, h->sent_n, sizeof *h->sent))
        return;
    h->sent[h->sent_n++] = (struct wtr_sent){serial, row};
}

static bool is_rexmit(enum weir_why why)
{
    return (why >= WEIR_WHY_REXMIT_RTO && why <= WEIR_WHY_REXMIT_SYN);
}

static void count_rst(struct wtr_flow *f, unsigned side, struct wtr_end *e, const struct wtr_row *row)
{
    if (f->rst_side >= 0)
        return;
    f->rst_side = (int8_t)side;
    f->is_rst_early = !f->ends[0].is_established && !f->ends[1].is_established;
    f->is_rst_late = f->ends[0].has_fin && f->ends[1].has_fin;
    e->close_text = row ? row->text : 0;
}

/* Past its last number. A reset takes none. */
static uint32_t end_of(uint16_t flags, uint32_t seq, uint32_t len)
{
    return flags & WIO_TCP_RST ? seq : seq + len + !!(flags & WIO_TCP_SYN) + !!(flags & WIO_TCP_FIN);
}

struct wtr_segment wtr_report_segment(const struct wtr_end *e, uint16_t flags, uint32_t seq, uint32_t len)
{
    struct wtr_segment s = {.flags = flags, .seq = seq, .len = len, .fresh = len};
    uint32_t end = end_of(flags, seq, len);
    if (e->segs_out == 0 || end == seq || (int32_t)(e->snd_max - seq) <= 0)
        return s;
    s.is_again = (int32_t)(end - e->snd_max) <= 0;
    s.fresh = s.is_again ? 0 : end - e->snd_max < len ? end - e->snd_max : len;
    return s;
}

void wtr_report_sent(struct wtr_report *r, uint32_t conn, unsigned side, struct wtr_row *row,
                     const struct wtr_segment *s, weir_ns at)
{
    struct wtr_flow *f = &r->flows[conn];
    struct wtr_end *e = &f->ends[side];
    uint32_t end = end_of(s->flags, s->seq, s->len);

    if (end != s->seq && (e->segs_out == 0 || (int32_t)(end - e->snd_max) > 0))
        e->snd_max = end;
    e->segs_out++;
    e->last_at = at;
    e->bytes_out += s->fresh;
    if (s->flags & WIO_TCP_SYN)
        e->has_syn = true;
    if (s->flags & WIO_TCP_FIN) {
        e->has_fin = true;
        if (f->fin_first < 0)
            f->fin_first = (int8_t)side;
    }
    if (s->flags & WIO_TCP_RST)
        count_rst(f, side, e, row);
    if (s->is_again) {
        e->again++;
        if (row)
            row->mark |= WTR_MARK_AGAIN;
    }
}

/* As sent: header, reason, ranges. */
static void fill_segment(struct wtr_report *r, struct wtr_row *row, const struct weir_ev_seg *s)
{
    row->flags = s->flags;
    row->seq = s->seq_rel;
    row->ack = s->flags & WIO_TCP_ACK ? s->ack_rel : 0;
    row->len = s->len;
    row->win = s->wnd_bytes;
    row->a = s->gso_size;
    row->b = s->dupacks;
    row->text = wtr_report_text(r, weir_why_text(s->why));
    row->sack_at = r->sack_n;
    for (unsigned i = 0; i < s->sack_n && i < 4; i++) {
        if (!wtr_report_grow(r, &r->sacks, &r->sack_cap, r->sack_n + 1, sizeof *r->sacks))
            return;
        r->sacks[r->sack_n++] = s->sack[i].lo_rel;
        r->sacks[r->sack_n++] = s->sack[i].hi_rel;
        row->sack_n++;
    }
}

/* A segment sent without a connection (a reset, a SYN cookie) has its numbers as on the wire. */
static struct weir_ev_seg relative(struct wtr_flow *f, unsigned side, const struct weir_event *ev)
{
    struct weir_ev_seg s = ev->u.seg;
    struct wtr_end *e = &f->ends[side], *other = &f->ends[!side];
    if (ev->conn_id)
        return s;
    if (s.flags & WIO_TCP_SYN && !e->has_iss) {
        e->iss = s.seq;
        e->has_iss = true;
    }
    s.seq_rel = e->has_iss ? s.seq - e->iss : 0;
    s.ack_rel = other->has_iss ? s.ack - other->iss : 0;
    return s;
}

static void take_out(struct wtr_report *r, uint32_t conn, unsigned side, int host, struct wtr_row *row,
                     const struct weir_event *ev)
{
    const struct weir_ev_seg seg = relative(&r->flows[conn], side, ev), *s = &seg;
    struct wtr_end *e = &r->flows[conn].ends[side];
    if (row) {
        fill_segment(r, row, s);
        if (is_rexmit(s->why))
            row->mark |= WTR_MARK_AGAIN;
        remember_sent(r, host, ev->serial, (uint32_t)(row - r->rows));
    }
    if (!e->has_iss && s->seq != s->seq_rel) {
        e->iss = s->seq - s->seq_rel;
        e->has_iss = true;
    }
    if (s->flags & WIO_TCP_ACK)
        e->last_ack = s->ack_rel;
    const struct wtr_segment sent = wtr_report_segment(e, s->flags, s->seq_rel, s->len);
    wtr_report_sent(r, conn, side, row, &sent, ev->at);
}

static void take_in(struct wtr_report *r, uint32_t conn, unsigned side, struct wtr_row *row,
                    const struct weir_event *ev)
{
    const struct weir_ev_seg *s = &ev->u.seg;
    struct wtr_flow *f = &r->flows[conn];
    struct wtr_end *other = &f->ends[!side];

    if (!other->has_iss && s->seq != s->seq_rel) {
        other->iss = s->seq - s->seq_rel;
        other->has_iss = true;
    }
    if (other->host == WTR_NO_HOST) { /* nobody else tells what it sent */
        const struct wtr_segment sent = wtr_report_segment(other, s->flags, s->seq_rel, s->len);
        wtr_report_sent(r, conn, !side, NULL, &sent, ev->at);
    }
    if (!row)
        return;
    fill_segment(r, row, s);
    if (s->len > 0 && (int32_t)(s->seq_rel + s->len - f->ends[side].last_ack) <= 0 && f->ends[side].last_ack)
        row->mark |= WTR_MARK_NEEDLESS;
    row->from = s->pkt ? sent_row(r, other->host, s->pkt->serial) : 0;
    if (row->from && r->rows[row->from - 1].conn != conn)
        row->from = 0;
    if (row->from)
        r->rows[row->from - 1].mark |= WTR_MARK_ARRIVED;
}

static void fill_snapshot(struct wtr_row *row, const struct weir_ev_conn *c)
{
    row->cwnd = c->cwnd_bytes;
    row->ssthresh = c->cwnd_bytes && c->ssthresh_bytes != UINT32_MAX ? c->ssthresh_bytes : 0;
    row->flight = c->flight_bytes;
    row->snd_wnd = c->snd_wnd_bytes;
    row->rcv_wnd = c->rcv_wnd_bytes;
    row->srtt_us = (uint32_t)(c->srtt / 1000);
    row->rttvar_us = (uint32_t)(c->rttvar / 1000);
    row->rto_us = (uint32_t)(c->rto / 1000);
}

/* ---- Events ---- */

static void take_drop(struct wtr_report *r, int host, const struct weir_event *ev)
{
    unsigned side = 0;
    uint32_t from = dropped_row(r, host, ev->u.drop.pkt);
    uint32_t conn = from ? r->rows[from - 1].conn : flow_of(r, host, ev, &side);
    struct wtr_row *row = wtr_report_row(r, conn, WEIR_EV_DROP, ev->at);
    if (!row)
        return;
    row->num = ev->serial;
    row->host = (uint32_t)host;
    row->side = from ? !r->rows[from - 1].side : (uint8_t)side;
    row->from = from;
    row->a = ev->u.drop.pkt ? ev->u.drop.pkt->len : 0;
    row->text = wtr_report_text(r, weir_drop_text(ev->u.drop.reason));
    if (from) {
        const struct wtr_row *out = &r->rows[from - 1];
        r->rows[from - 1].mark |= WTR_MARK_REFUSED;
        row->flags = out->flags;
        row->seq = out->seq;
        row->ack = out->ack;
        row->len = out->len;
    }
}

static void take_close(struct wtr_report *r, uint32_t conn, unsigned side, const struct weir_event *ev)
{
    struct wtr_end *e = &r->flows[conn].ends[side];
    e->is_closed = true;
    e->err = ev->u.close.err;
    if (ev->u.close.ledger && ev->u.close.ledger->life > 0) {
        e->ledger = *ev->u.close.ledger;
        e->has_ledger = true;
    }
}

static void take_neighbour(struct wtr_report *r, struct wtr_row *row, const struct weir_event *ev)
{
#define NEIGH_NAME(name) #name,
    static const char *const names[] = {WEIR_NEIGH_LIST(NEIGH_NAME)};
#undef NEIGH_NAME
    char addr[WEIR_ADDR_TEXT_CAP], text[WEIR_ADDR_TEXT_CAP + 64];
    snprintf(text, sizeof text, "%s: %s to %s", weir_addr_format(ev->u.neigh.addr, addr, sizeof addr),
             names[ev->u.neigh.from], names[ev->u.neigh.to]);
    row->text = wtr_report_text(r, text);
}

static void take_dgram(struct wtr_report *r, uint32_t conn, unsigned side, int host, struct wtr_row *row,
                       const struct weir_event *ev)
{
    struct wtr_end *e = &r->flows[conn].ends[side];
    bool is_out = ev->kind == WEIR_EV_DGRAM_OUT;
    if (is_out) {
        e->segs_out++;
        e->bytes_out += ev->u.dgram.len;
    }
    if (!row)
        return;
    row->len = ev->u.dgram.len;
    if (is_out) {
        remember_sent(r, host, ev->serial, (uint32_t)(row - r->rows));
    } else if (ev->u.dgram.pkt) {
        row->from = sent_row(r, r->flows[conn].ends[!side].host, ev->u.dgram.pkt->serial);
        if (row->from && r->rows[row->from - 1].conn != conn)
            row->from = 0;
        if (row->from)
            r->rows[row->from - 1].mark |= WTR_MARK_ARRIVED;
    }
}

/* What the kinds have for themselves. */
static void take_body(struct wtr_report *r, uint32_t conn, unsigned side, int host, struct wtr_row *row,
                      const struct weir_event *ev)
{
    switch (ev->kind) {
    case WEIR_EV_SEG_OUT: take_out(r, conn, side, host, row, ev); return;
    case WEIR_EV_SEG_IN: take_in(r, conn, side, row, ev); return;
    case WEIR_EV_DGRAM_OUT:
    case WEIR_EV_DGRAM_IN: take_dgram(r, conn, side, host, row, ev); return;
    case WEIR_EV_CLOSE: take_close(r, conn, side, ev); return;
    case WEIR_EV_STATE:
        if (conn) {
            r->flows[conn].ends[side].state = ev->u.state.to;
            r->flows[conn].ends[side].is_established |= ev->u.state.to == WEIR_TCP_ESTABLISHED;
        }
        break;
    case WEIR_EV_RTT: {
        uint32_t us = (uint32_t)(ev->u.rtt.sample / 1000), *min = &r->flows[conn].min_rtt_us;
        *min = *min == 0 || us < *min ? us : *min;
        break;
    }
    case WEIR_EV_REXMIT:
    case WEIR_EV_DROP:
    case WEIR_EV_CWND:
    case WEIR_EV_TIMER:
    case WEIR_EV_NEIGH:
    case WEIR_EV_ICMP_IN:
    case WEIR_EV_PMTU:
    case WEIR_EV_KIND_N: break;
    }
    if (!row)
        return;
    switch (ev->kind) {
    case WEIR_EV_STATE:
        row->a = ev->u.state.from;
        row->b = ev->u.state.to;
        row->text = wtr_report_text(r, ev->u.state.cause);
        return;
    case WEIR_EV_REXMIT:
        row->seq = ev->u.rexmit.seq_rel;
        row->len = ev->u.rexmit.len;
        row->text = wtr_report_text(r, weir_why_text(ev->u.rexmit.why));
        return;
    case WEIR_EV_RTT: row->a = (uint32_t)(ev->u.rtt.sample / 1000); return;
    case WEIR_EV_CWND:
        row->a = ev->u.cwnd.cwnd_before_bytes;
        row->text = wtr_report_text(r, ev->u.cwnd.cause);
        return;
    case WEIR_EV_TIMER:
        row->a = ev->u.timer.backoff;
        row->text = wtr_report_text(r, weir_timer_text(ev->u.timer.which));
        return;
    case WEIR_EV_NEIGH: take_neighbour(r, row, ev); return;
    case WEIR_EV_ICMP_IN:
        row->a = ev->u.icmp.type;
        row->b = ev->u.icmp.code;
        row->text = wtr_report_text(r, weir_errno_name(ev->u.icmp.err));
        return;
    case WEIR_EV_PMTU:
        row->a = ev->u.pmtu.size_before_bytes;
        row->b = ev->u.pmtu.size_bytes;
        row->text = wtr_report_text(r, ev->u.pmtu.cause);
        return;
    case WEIR_EV_SEG_OUT:
    case WEIR_EV_SEG_IN:
    case WEIR_EV_DGRAM_OUT:
    case WEIR_EV_DGRAM_IN:
    case WEIR_EV_CLOSE:
    case WEIR_EV_DROP:
    case WEIR_EV_KIND_N: return;
    }
}

void wtr_report_event(struct wtr_report *r, int host, const struct weir_event *ev)
{
    unsigned side = 0;
    if (host < 0 || (uint32_t)host >= r->host_n)
        return;
    wtr_report_make_room(r);
    if (ev->kind == WEIR_EV_DROP) {
        take_drop(r, host, ev);
        return;
    }
    uint32_t conn = flow_of(r, host, ev, &side);
    struct wtr_row *row = wtr_report_row(r, conn, (uint8_t)ev->kind, ev->at);
    if (row) {
        row->num = ev->serial;
        row->host = (uint32_t)host;
        row->side = (uint8_t)side;
        if (ev->conn.cwnd_bytes)
            fill_snapshot(row, &ev->conn);
    }
    take_body(r, conn, side, host, row, ev);
}

/* ---- Links ---- */

void wtr_report_fate(struct wtr_report *r, const struct wtr_fate *fate)
{
    unsigned side = 0;
    uint32_t from = 0, conn = 0;
    bool is_udp = fate->src.family && fate->flags == 0;

    wtr_report_make_room(r);
    if (fate->src.family)
        conn = wtr_report_find(r, &fate->src, &fate->dst, is_udp, &side);
    if (conn)
        from = sent_row(r, r->flows[conn].ends[side].host, fate->serial);
    else if (fate->sender >= 0)
        from = sent_row(r, (uint32_t)fate->sender, fate->serial);
    if (from) { /* its sender knows best whose it is: a port may have been used again */
        conn = r->rows[from - 1].conn;
        side = r->rows[from - 1].side;
    }
    if (conn && fate->drop)
        r->flows[conn].ends[side].lost++;
    struct wtr_row *row = wtr_report_row(r, conn, WTR_ROW_LINK, fate->at);
    if (!row)
        return;
    row->host = conn ? r->flows[conn].ends[side].host : fate->sender >= 0 ? (uint32_t)fate->sender : WTR_NO_HOST;
    row->side = (uint8_t)side;
    row->from = from;
    row->flags = fate->flags;
    row->len = fate->len;
    row->a = fate->bytes;
    row->mark = (uint16_t)((fate->drop ? WTR_MARK_LOST : 0) | (fate->is_duplicated ? WTR_MARK_TWICE : 0) |
                           (fate->is_corrupted ? WTR_MARK_CORRUPT : 0) | (fate->is_marked ? WTR_MARK_CE : 0) |
                           (fate->is_reordered ? WTR_MARK_REORDERED : 0));
    if (fate->drop)
        row->text = wtr_report_text(r, weir_drop_text(fate->drop));
    if (conn) {
        row->seq = fate->seq - r->flows[conn].ends[side].iss;
        row->ack = fate->flags & WIO_TCP_ACK ? fate->ack - r->flows[conn].ends[!side].iss : 0;
    }
    if (from)
        r->rows[from - 1].mark |= row->mark;
}

void wtr_report_link(struct wtr_report *r, int near, int far, const struct wio_link_note *note,
                     enum weir_link_type type)
{
    if (note->what != WIO_NOTE_SENT ||
        !(note->drop || note->is_duplicated || note->is_corrupted || note->is_marked || note->is_reordered))
        return;
    struct wio_frame f = wio_frame_look(note->pkt, type);
    struct wtr_fate fate = {
        .at = note->at,
        .serial = note->pkt->serial,
        .sender = note->dir == WIO_UP ? near : far,
        .drop = note->drop,
        .is_duplicated = note->is_duplicated,
        .is_corrupted = note->is_corrupted,
        .is_marked = note->is_marked,
        .is_reordered = note->is_reordered,
        .flags = f.flags,
        .seq = f.seq,
        .ack = f.ack,
        .len = f.len,
        .bytes = note->pkt->len,
    };
    if (f.proto) {
        fate.src = f.src;
        fate.dst = f.dst;
    }
    wtr_report_fate(r, &fate);
}
