/*
 * From a frame to a step of a connection: the table of connections, which of them are held, and the order in which a
 * packet's parts are looked at.
 */
#include "doctor/parts.h"

#include <stdlib.h>
#include <string.h>

#define CONNS_DEFAULT   16384u
#define COPY_WITHIN     WEIR_MS(20)
#define COPY_WITHOUT_ID WEIR_US(50)  /* nobody sends again that soon */
#define IDLE_MIN        WEIR_SEC(25) /* no NAT forgets sooner */

struct wdc *wdc_new(const struct wdc_config *cfg)
{
    struct wdc *doc = calloc(1, sizeof *doc);
    if (!doc)
        return NULL;
    doc->cfg = *cfg;
    if (doc->cfg.conns_max == 0)
        doc->cfg.conns_max = CONNS_DEFAULT;
    for (doc->bucket_n = 1024; doc->bucket_n < doc->cfg.conns_max;)
        doc->bucket_n *= 2;
    doc->buckets = calloc(doc->bucket_n, sizeof *doc->buckets);
    TAILQ_INIT(&doc->live);
    TAILQ_INIT(&doc->done);
    if (doc->buckets)
        return doc;
    free(doc);
    return NULL;
}

const struct wdc_counts *wdc_counts(const struct wdc *doc)
{
    return &doc->counts;
}

/* ---- The table ---- */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 29;
    h *= UINT64_C(0xBF58476D1CE4E5B9);
    return h ^ h >> 32;
}

static uint64_t hash_end(const struct wdc *doc, const struct weir_sockaddr *a)
{
    uint64_t hi, lo;
    memcpy(&hi, a->addr.b, 8);
    memcpy(&lo, a->addr.b + 8, 8);
    return mix(mix(hi ^ doc->cfg.seed) + lo + ((uint64_t)a->port << 48 | a->port));
}

static bool is_same(const struct weir_sockaddr *a, const struct weir_sockaddr *b)
{
    return a->port == b->port && memcmp(a->addr.b, b->addr.b, sizeof a->addr.b) == 0;
}

static struct wdc_conn *lookup(struct wdc *doc, uint64_t hash, const struct weir_sockaddr *from,
                               const struct weir_sockaddr *to, unsigned *side)
{
    struct wdc_conn *c;
    LIST_FOREACH(c, &doc->buckets[hash & (doc->bucket_n - 1)], in_bucket)
    {
        if (c->hash != hash)
            continue;
        for (*side = 0; *side < 2; ++*side)
            if (is_same(&c->ends[*side], from) && is_same(&c->ends[!*side], to))
                return c;
    }
    return NULL;
}

static uint64_t hash_both(const struct wdc *doc, const struct weir_sockaddr *a, const struct weir_sockaddr *b)
{
    return hash_end(doc, a) + hash_end(doc, b); /* the same both ways */
}

struct wdc_conn *wdc_find(struct wdc *doc, const struct weir_sockaddr *from, const struct weir_sockaddr *to,
                          unsigned *side)
{
    return lookup(doc, hash_both(doc, from, to), from, to, side);
}

/* Tell of a connection, and forget it. */
static void conclude(struct wdc *doc, struct wdc_conn *c)
{
    static const struct wdc_result none;
    struct wdc_result r = none;
    wdc_judge(doc, c, &r);
    doc->cfg.on_result(doc->cfg.ctx, &r);
    LIST_REMOVE(c, in_bucket);
    TAILQ_REMOVE(c->is_done ? &doc->done : &doc->live, c, in_age);
    doc->conn_n--;
    wdc_track_free(doc, &c->half[0]);
    wdc_track_free(doc, &c->half[1]);
    free(c);
}

/* The one that has been silent longest goes; those that have ended go first. */
static void make_room(struct wdc *doc)
{
    if (doc->conn_n < doc->cfg.conns_max)
        return;
    struct wdc_conn *c = TAILQ_FIRST(&doc->done);
    doc->counts.evicted++;
    conclude(doc, c ? c : TAILQ_FIRST(&doc->live));
}

static bool is_server_by_port(const struct wdc *doc, const struct wtr_dissect *d)
{
    const struct wdc_host *src = wdc_host_find(doc, &d->src.addr, d->src.port);
    const struct wdc_host *dst = wdc_host_find(doc, &d->dst.addr, d->dst.port);
    if ((src && src->syn_n) != (dst && dst->syn_n))
        return src && src->syn_n;
    return d->src.port < d->dst.port;
}

static struct wdc_conn *conn_new(struct wdc *doc, uint64_t hash, const struct wtr_dissect *d, const struct wdc_frame *f,
                                 unsigned *side)
{
    make_room(doc);
    struct wdc_conn *c = calloc(1, sizeof *c);
    if (!c) {
        doc->counts.conns_refused++;
        return NULL;
    }
    bool is_syn = d->flags & WIO_TCP_SYN;
    *side = is_syn ? !!(d->flags & WIO_TCP_ACK) : is_server_by_port(doc, d);
    c->ends[*side] = d->src;
    c->ends[!*side] = d->dst;
    c->hash = hash;
    c->interface = f->interface ^ d->ifindex << 8;
    c->is_mid = !is_syn;
    c->first = f->number;
    c->began = c->last_at = f->at;
    c->rst_side = WDC_RESET_NONE;
    c->icmp_type = -1;
    for (unsigned i = 0; i < 2; i++)
        c->half[i].wscale = -1;
    LIST_INSERT_HEAD(&doc->buckets[hash & (doc->bucket_n - 1)], c, in_bucket);
    TAILQ_INSERT_TAIL(&doc->live, c, in_age);
    doc->conn_n++;
    doc->counts.conns++;
    return c;
}

/* Does a SYN begin another connection between the same ends? */
static bool is_anew(const struct wdc_conn *c, unsigned side, const struct wtr_dissect *d)
{
    const struct wdc_half *h = &c->half[side];
    if ((d->flags & (WIO_TCP_SYN | WIO_TCP_ACK)) != WIO_TCP_SYN)
        return false;
    if (h->has_syn)
        return d->seq != h->base + (uint32_t)WDC_OFF0;
    return h->has_sent || c->is_done;
}

static struct wdc_conn *connection(struct wdc *doc, const struct wtr_dissect *d, const struct wdc_frame *f,
                                   unsigned *side)
{
    uint64_t hash = hash_both(doc, &d->src, &d->dst);
    struct wdc_conn *c = lookup(doc, hash, &d->src, &d->dst, side);
    if (c && !is_anew(c, *side, d)) {
        struct wdc_conns *list = c->is_done ? &doc->done : &doc->live;
        if (TAILQ_NEXT(c, in_age)) {
            TAILQ_REMOVE(list, c, in_age);
            TAILQ_INSERT_TAIL(list, c, in_age);
        }
        return c;
    }
    bool is_reused = c, was_closed = c && c->is_done;
    weir_ns before = c ? c->last_at : 0;
    uint64_t last = c ? c->last : 0;
    if (c)
        conclude(doc, c);
    else if (d->sum == WTR_SUM_BAD && !(d->flags & WIO_TCP_SYN)) {
        doc->counts.bad_sums++; /* its ports may be what is wrong with it */
        return NULL;
    }
    c = conn_new(doc, hash, d, f, side);
    if (c && is_reused) {
        c->is_reused = true;
        c->was_closed = was_closed;
        c->reuse_after = wdc_since(f->at, before);
        c->reuse_frame = last;
    }
    return c;
}

/* ---- Packets that are there twice ---- */

/* Captures of several interfaces show a packet on each: one of them is followed. Paths may differ by direction. */
static bool is_elsewhere(struct wdc_step *s, uint32_t interface)
{
    bool is_home = interface == s->conn->interface;
    if (!s->me->has_sent && (is_home || (!s->me->is_seen_elsewhere && !s->peer->is_seen_elsewhere))) {
        s->me->interface = interface;
        return false;
    }
    if (s->me->has_sent && interface == s->me->interface)
        return false;
    s->me->is_seen_elsewhere = true;
    return true;
}

static uint64_t print_of(const struct wtr_dissect *d)
{
    uint64_t h = mix((uint64_t)d->seq << 32 | d->ack);
    h = mix(h ^ ((uint64_t)d->tsval << 32 | d->tsecr));
    h = mix(h ^ ((uint64_t)d->len << 32 | (uint32_t)d->ip_id << 16 | d->win));
    return mix(h ^ ((uint64_t)d->sack[0] << 32 | (uint32_t)d->flags << 8 | d->sack_n));
}

/* How soon nobody sends the very same again: where nothing numbers packets, before an answer could be there. */
static weir_ns copy_within(const struct wdc_step *s)
{
    if (s->d->ip_id || s->d->flags & (WIO_TCP_SYN | WIO_TCP_FIN))
        return COPY_WITHIN;
    weir_ns soon = wdc_round_trip(s->conn) / 2;
    return s->d->len == 0 ? 0 : soon > COPY_WITHIN ? COPY_WITHIN : soon > COPY_WITHOUT_ID ? soon : COPY_WITHOUT_ID;
}

/* The same packet once more: a mirror port or a capture of all interfaces has it twice, or the network has. */
static bool is_copy(struct wdc_step *s)
{
    uint64_t hash = print_of(s->d);
    struct wdc_print *p = &s->me->prints[hash % WDC_PRINTS_MAX];
    if (p->hash == hash && wdc_since(s->at, p->at) < copy_within(s))
        return true;
    *p = (struct wdc_print){.at = s->at, .hash = hash};
    return false;
}

/* ---- A packet ---- */

/* Is its checksum wrong because something broke it? Then its receiver never took it. */
static bool is_broken(struct wdc_step *s)
{
    struct wdc_half *me = s->me;
    switch (s->d->sum) {
    case WTR_SUM_UNKNOWN: return false;
    case WTR_SUM_GOOD: me->good_sum_n++; return false;
    case WTR_SUM_OWED:
        me->offload_n++;
        wdc_evidence_add(&me->offload, s->number);
        return false;
    case WTR_SUM_BAD: break;
    }
    me->bad_sum_n++;
    if (me->good_sum_n == 0) { /* all of them are wrong: so does a card that fills them in look */
        wdc_evidence_add(&me->offload, s->number);
        return false;
    }
    me->corrupt_n++;
    wdc_evidence_add(&me->corrupt, s->number);
    return true;
}

static void note_sender(struct wdc_step *s)
{
    struct wdc_half *me = s->me;
    const struct wtr_dissect *d = s->d;
    int16_t step = (int16_t)(d->ip_id - me->id_last);
    if (!me->has_sent) {
        struct wdc_host *h = wdc_host_get(s->doc, &d->src.addr, 0);
        if (h)
            h->is_alive = true;
        me->ttl = d->ttl;
    } else if (step > 0 && step < 64) {
        me->id_steps++;
    } else {
        me->id_jumps++;
    }
    me->id_last = d->ip_id;
    me->has_sent = true;
    me->is_outgoing |= d->is_outgoing;
    if (d->has_ts && (!me->has_ts || (int32_t)(d->tsval - me->ts_newest) > 0))
        me->ts_newest = d->tsval;
    me->has_ts |= d->has_ts;
    me->pkts++;
}

/* A long silence, behind which one side speaks and the other has not answered. */
static void note_silence(struct wdc_step *s)
{
    struct wdc_conn *c = s->conn;
    weir_ns quiet = wdc_since(s->at, c->last_at);
    if (s->d->flags & WIO_TCP_RST)
        return;
    if (quiet >= IDLE_MIN && !(c->idle && c->idle_side == s->side)) {
        c->idle = quiet;
        c->idle_side = s->side;
        c->idle_frame = s->number;
    } else if (c->idle && c->idle_side != s->side) {
        c->idle = 0;
    }
}

static void mark_done(struct wdc_step *s)
{
    struct wdc_conn *c = s->conn;
    if (c->is_done || !(c->rst_side >= 0 || (c->half[0].has_fin && c->half[1].has_fin)))
        return;
    TAILQ_REMOVE(&s->doc->live, c, in_age);
    TAILQ_INSERT_TAIL(&s->doc->done, c, in_age);
    c->is_done = true;
}

static void take_tcp(struct wdc *doc, const struct wtr_dissect *d, const struct wdc_frame *f)
{
    struct wdc_step s = {.doc = doc, .d = d, .at = f->at, .number = f->number};
    s.conn = connection(doc, d, f, &s.side);
    if (!s.conn)
        return;
    s.me = &s.conn->half[s.side];
    s.peer = &s.conn->half[!s.side];
    if (is_elsewhere(&s, f->interface ^ d->ifindex << 8)) {
        doc->counts.other_interface++;
        return;
    }
    wdc_host_heard(doc, &d->src.addr);
    s.conn->last = f->number;
    s.conn->packets++;
    if (is_copy(&s)) {
        doc->counts.copies++;
        s.me->copies++;
        return;
    }
    if (is_broken(&s))
        return;
    if (s.at < s.conn->last_at)
        s.at = s.conn->last_at; /* stamps of several cards or queues may run back a little */
    note_silence(&s);
    s.conn->last_at = s.at;
    if (d->flags & WIO_TCP_RST) {
        wdc_end_reset(&s);
    } else {
        wdc_track_base(&s);
        if (d->flags & WIO_TCP_SYN)
            wdc_open_syn(&s);
        else
            wdc_open_other(&s);
        wdc_track_ack(&s);
        wdc_track_window(&s);
        wdc_track_data(&s);
        if (d->flags & WIO_TCP_FIN)
            wdc_end_fin(&s);
    }
    note_sender(&s);
    if (d->flags & WIO_TCP_ACK)
        s.me->ack_raw = d->ack;
    s.me->last_at = s.at;
    s.me->last_frame = s.number;
    mark_done(&s);
}

/* ---- Fragments ---- */

/* TCP in fragments: the first one has the header, the last one says how long it all is. */
static void take_fragment(struct wdc *doc, const struct wtr_dissect *d, const struct wdc_frame *f)
{
    struct wdc_frag *g = NULL;
    for (unsigned i = 0; i < WDC_FRAGS_MAX && !g; i++) {
        struct wdc_frag *x = &doc->frags[i];
        if (x->is_used && x->id == d->ip_id && weir_addr_equal(&x->src, &d->src.addr) &&
            weir_addr_equal(&x->dst, &d->dst.addr))
            g = x;
    }
    if (!g) {
        g = &doc->frags[doc->frag_next++ % WDC_FRAGS_MAX];
        if (g->is_used)
            doc->counts.fragments++;
        *g = (struct wdc_frag){.is_used = true, .src = d->src.addr, .dst = d->dst.addr, .id = d->ip_id};
    }
    if (d->is_first_fragment) {
        g->first = *d;
        g->has_first = true;
        g->at = f->at;
        g->number = f->number;
    } else if (!d->has_more_frags) {
        g->total = (uint32_t)d->frag_off + d->ip_len;
    }
    if (!g->has_first || !g->total)
        return;
    uint32_t hdr = g->first.ip_len - g->first.len;
    struct wdc_frame whole = *f;
    whole.number = g->number;
    g->is_used = false;
    if (g->total < hdr)
        return;
    g->first.len = g->total - hdr;
    take_tcp(doc, &g->first, &whole);
}

static void mark_alive(struct wdc *doc, const struct wtr_dissect *d)
{
    struct wdc_host *h = wdc_host_get(doc, &d->src.addr, 0);
    if (h)
        h->is_alive = true;
}

void wdc_packet(struct wdc *doc, const struct wdc_frame *f)
{
    struct wtr_dissect d;
    wtr_dissect(&d, f->linktype, f->bytes, f->captured, f->len, true);
    if (doc->counts.packets++ == 0)
        doc->counts.began = f->at;
    if (f->at > doc->counts.ended)
        doc->counts.ended = f->at;
    if (d.is_bad_ip_sum) {
        doc->counts.bad_sums++;
        return;
    }
    switch (d.kind) {
    case WTR_IS_TCP:
        doc->counts.tcp++;
        if (d.is_first_fragment)
            take_fragment(doc, &d, f);
        else
            take_tcp(doc, &d, f);
        return;
    case WTR_IS_FRAGMENT:
        doc->counts.other++;
        take_fragment(doc, &d, f);
        return;
    case WTR_IS_ARP:
    case WTR_IS_ND:
        doc->counts.other++;
        wdc_hosts_neighbour(doc, &d, f);
        return;
    case WTR_IS_ICMP_ERROR:
        doc->counts.other++;
        wdc_hosts_icmp(doc, &d, f);
        return;
    case WTR_IS_UDP:
        doc->counts.udp++;
        mark_alive(doc, &d);
        return;
    case WTR_IS_IP:
        doc->counts.other++;
        mark_alive(doc, &d);
        return;
    case WTR_IS_OTHER: doc->counts.unread++; return;
    }
}

void wdc_finish(struct wdc *doc)
{
    struct wdc_conn *first;
    do { /* in the order in which they began, as near as the two lists have it */
        struct wdc_conn *a = TAILQ_FIRST(&doc->done), *b = TAILQ_FIRST(&doc->live);
        first = a && b ? (a->first < b->first ? a : b) : a ? a : b;
        if (first)
            conclude(doc, first);
    } while (first);
    wdc_hosts_finish(doc);
}

void wdc_free(struct wdc *doc)
{
    if (!doc)
        return;
    for (unsigned i = 0; i < 2; i++) {
        struct wdc_conns *list = i ? &doc->live : &doc->done;
        struct wdc_conn *c;
        while ((c = TAILQ_FIRST(list))) {
            TAILQ_REMOVE(list, c, in_age);
            wdc_track_free(doc, &c->half[0]);
            wdc_track_free(doc, &c->half[1]);
            free(c);
        }
    }
    free(doc->hosts.slots);
    free(doc->buckets);
    free(doc);
}
