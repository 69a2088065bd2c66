/*
 * What a capture says of connections, from headers alone: who is in which state, what is a retransmission, how long the
 * way there and back takes. A capture is one place on the way: what it did not see can only be guessed, and isn't.
 */
#include "io/frame.h"
#include "trace/report_packet.h"

#include <stdlib.h>
#include <string.h>

#define GAPS_MAX 16u

/* Numbers of an end that the capture has not seen, below the highest that it has. */
struct gap {
    uint32_t lo, hi;
    weir_ns since;
};

/* An end, as far as its packets tell. */
struct side {
    struct gap gaps[GAPS_MAX];
    uint32_t gap_n;
    enum weir_tcp_state state;
    int8_t wscale;
    bool has_sent, has_data_ack;
    uint32_t snd_max, last_ack, last_win; /* relative; the window in bytes */
    uint32_t dup_n;
    uint32_t timed_end; /* the segment whose round trip is measured */
    weir_ns timed_at;   /* 0: none is */
    uint32_t srtt_us, rttvar_us, rto_us;
    uint32_t fin_end; /* 0: no FIN */
};

struct flow {
    struct side sides[2];
};

struct wtr_flows {
    struct wtr_report *report;
    struct flow *flows; /* by the number of the connection */
    uint32_t cap;
};

struct wtr_flows *wtr_flows_new(struct wtr_report *r)
{
    struct wtr_flows *fs = calloc(1, sizeof *fs);
    if (fs)
        fs->report = r;
    return fs;
}

void wtr_flows_free(struct wtr_flows *fs)
{
    if (!fs)
        return;
    free(fs->flows);
    free(fs);
}

static bool make_room(struct wtr_flows *fs, uint32_t conn)
{
    while (conn >= fs->cap) {
        uint32_t old = fs->cap;
        if (!wtr_report_grow(fs->report, &fs->flows, &fs->cap, fs->cap, sizeof *fs->flows))
            return false;
        memset(fs->flows + old, 0, sizeof *fs->flows * (fs->cap - old));
    }
    return true;
}

/* Does a SYN begin a new connection between ends that had one? */
static bool is_new(const struct wtr_flow *f, unsigned side, const struct wtr_packet *p)
{
    const struct wtr_end *e = &f->ends[side];
    if ((p->flags & (WIO_TCP_SYN | WIO_TCP_ACK)) != WIO_TCP_SYN)
        return false;
    return f->rst_side >= 0 || (e->has_syn && e->iss != p->seq) || (f->ends[0].has_fin && f->ends[1].has_fin);
}

static uint32_t connection(struct wtr_flows *fs, const struct wtr_packet *p, unsigned *side)
{
    struct wtr_report *r = fs->report;
    uint32_t conn = wtr_report_find(r, &p->src, &p->dst, false, side);
    if (conn && !is_new(&r->flows[conn], *side, p))
        return conn;
    /* The SYN-ACK's sender is the server; without a handshake, whoever has the lower port. */
    bool is_server = p->flags & WIO_TCP_SYN ? p->flags & WIO_TCP_ACK : p->src.port < p->dst.port;
    *side = is_server;
    conn = is_server ? wtr_report_flow(r, &p->dst, &p->src, false, p->at)
                     : wtr_report_flow(r, &p->src, &p->dst, false, p->at);
    if (!conn || !make_room(fs, conn))
        return 0;
    fs->flows[conn].sides[0].wscale = fs->flows[conn].sides[1].wscale = -1;
    for (unsigned s = 0; s < 2; s++) {
        char name[WEIR_ADDR_TEXT_CAP];
        int host = wtr_report_host(r, weir_addr_format(&r->flows[conn].ends[s].addr.addr, name, sizeof name));
        r->flows[conn].ends[s].host = host < 0 ? WTR_NO_HOST : (uint32_t)host;
    }
    return conn;
}

/* ---- What follows from a packet ---- */

/* A packet under work. */
struct work {
    struct wtr_report *r;
    const struct wtr_packet *p;
    uint32_t conn;
    unsigned side;
    struct side *me, *other;
    uint32_t seq, ack, end; /* relative */
    uint32_t fresh;         /* numbers that the capture had not seen */
    bool is_again, is_late; /* seen before; or the place of something that is missing */
};

static void fill_snapshot(const struct side *me, const struct side *other, struct wtr_row *row)
{
    row->flight = me->has_sent && (int32_t)(me->snd_max - other->last_ack) > 0 && other->last_ack
                      ? me->snd_max - other->last_ack
                      : 0;
    row->snd_wnd = other->last_win;
    row->rcv_wnd = me->last_win;
    row->srtt_us = me->srtt_us;
    row->rttvar_us = me->rttvar_us;
    row->rto_us = me->rto_us;
}

static struct wtr_row *add_row(const struct work *w, unsigned side, uint8_t kind)
{
    struct wtr_row *row = wtr_report_row(w->r, w->conn, kind, w->p->at);
    if (!row)
        return NULL;
    row->num = w->p->number;
    row->side = (uint8_t)side;
    row->host = w->r->flows[w->conn].ends[side].host;
    return row;
}

static void change(const struct work *w, unsigned side, enum weir_tcp_state to, const char *cause)
{
    struct side *s = side == w->side ? w->me : w->other;
    if (s->state == to)
        return;
    struct wtr_row *row = add_row(w, side, WEIR_EV_STATE);
    if (row) {
        row->a = s->state;
        row->b = to;
        row->text = wtr_report_text(w->r, cause);
        fill_snapshot(s, side == w->side ? w->other : w->me, row);
    }
    s->state = to;
    w->r->flows[w->conn].ends[side].state = to;
    w->r->flows[w->conn].ends[side].is_established |= to == WEIR_TCP_ESTABLISHED;
}

/* The sender's own state, by what it sends. */
static void follow_sender(const struct work *w)
{
    uint16_t flags = w->p->flags;
    struct side *me = w->me;
    if (flags & WIO_TCP_SYN)
        change(w, w->side, flags & WIO_TCP_ACK ? WEIR_TCP_SYN_RCVD : WEIR_TCP_SYN_SENT, "it sends a SYN");
    else if (me->state == WEIR_TCP_SYN_SENT && flags & WIO_TCP_ACK)
        change(w, w->side, WEIR_TCP_ESTABLISHED, "it answers the SYN-ACK");
    else if (me->state == WEIR_TCP_CLOSED && !(flags & WIO_TCP_RST) && !me->has_sent)
        change(w, w->side, WEIR_TCP_ESTABLISHED, "the capture begins within the connection");
    if (flags & WIO_TCP_FIN && !me->fin_end) {
        me->fin_end = w->end;
        if (me->state == WEIR_TCP_ESTABLISHED || me->state == WEIR_TCP_SYN_RCVD)
            change(w, w->side, WEIR_TCP_FIN_WAIT_1, "it sends a FIN");
        else if (me->state == WEIR_TCP_CLOSE_WAIT)
            change(w, w->side, WEIR_TCP_LAST_ACK, "it sends a FIN");
    }
    /* It acknowledges the other's FIN: it has seen it. */
    if (!w->other->fin_end || !(flags & WIO_TCP_ACK) || (int32_t)(w->ack - w->other->fin_end) < 0)
        return;
    if (me->state == WEIR_TCP_ESTABLISHED)
        change(w, w->side, WEIR_TCP_CLOSE_WAIT, "it acknowledges the FIN");
    else if (me->state == WEIR_TCP_FIN_WAIT_1)
        change(w, w->side, WEIR_TCP_CLOSING, "it acknowledges the FIN");
    else if (me->state == WEIR_TCP_FIN_WAIT_2)
        change(w, w->side, WEIR_TCP_TIME_WAIT, "it acknowledges the FIN");
}

/* The receiver's state, by what reaches it. */
static void follow_receiver(const struct work *w)
{
    struct side *o = w->other;
    if (w->p->flags & WIO_TCP_RST) {
        change(w, w->side, WEIR_TCP_CLOSED, "it sends a reset");
        change(w, !w->side, WEIR_TCP_CLOSED, "a reset");
        return;
    }
    if (!(w->p->flags & WIO_TCP_ACK))
        return;
    if (o->state == WEIR_TCP_SYN_RCVD && !(w->p->flags & WIO_TCP_SYN))
        change(w, !w->side, WEIR_TCP_ESTABLISHED, "its SYN is acknowledged");
    if (!o->fin_end || (int32_t)(w->ack - o->fin_end) < 0)
        return;
    if (o->state == WEIR_TCP_FIN_WAIT_1)
        change(w, !w->side, WEIR_TCP_FIN_WAIT_2, "its FIN is acknowledged");
    else if (o->state == WEIR_TCP_CLOSING)
        change(w, !w->side, WEIR_TCP_TIME_WAIT, "its FIN is acknowledged");
    else if (o->state == WEIR_TCP_LAST_ACK)
        change(w, !w->side, WEIR_TCP_CLOSED, "its FIN is acknowledged");
}

/* One segment at a time, never one that was sent again (Karn); smoothed as RFC 6298 section 2 has it. */
static void measure(const struct work *w, bool is_again)
{
    struct side *o = w->other;
    if (is_again && w->me->timed_at && (int32_t)(w->me->timed_end - w->seq) > 0)
        w->me->timed_at = 0;
    else if (!is_again && w->end != w->seq && !w->me->timed_at) {
        w->me->timed_at = w->p->at;
        w->me->timed_end = w->end;
    }
    if (!(w->p->flags & WIO_TCP_ACK) || !o->timed_at || (int32_t)(w->ack - o->timed_end) < 0 || w->p->at < o->timed_at)
        return;
    uint32_t us = (uint32_t)((w->p->at - o->timed_at) / 1000), *min = &w->r->flows[w->conn].min_rtt_us;
    o->timed_at = 0;
    if (o->srtt_us == 0) {
        o->srtt_us = us;
        o->rttvar_us = us / 2;
    } else {
        uint32_t off = us > o->srtt_us ? us - o->srtt_us : o->srtt_us - us;
        o->rttvar_us = (uint32_t)((3 * (uint64_t)o->rttvar_us + off) / 4);
        o->srtt_us = (uint32_t)((7 * (uint64_t)o->srtt_us + us) / 8);
    }
    *min = *min == 0 || us < *min ? us : *min;
    struct wtr_row *row = add_row(w, !w->side, WEIR_EV_RTT);
    if (row) {
        row->a = us;
        fill_snapshot(o, w->me, row);
    }
}

/* What of [lo, hi) lies in gaps; those are filled. *since: when the first of them opened. */
static uint32_t fill_gaps(struct side *me, uint32_t lo, uint32_t hi, weir_ns *since)
{
    uint32_t filled = 0;
    for (uint32_t i = 0; i < me->gap_n;) {
        struct gap *g = &me->gaps[i];
        uint32_t from = (int32_t)(lo - g->lo) > 0 ? lo : g->lo, to = (int32_t)(hi - g->hi) < 0 ? hi : g->hi;
        if ((int32_t)(to - from) <= 0) {
            i++;
            continue;
        }
        filled += to - from;
        *since = g->since;
        if (from != g->lo && to != g->hi && me->gap_n < GAPS_MAX)
            me->gaps[me->gap_n++] = (struct gap){to, g->hi, g->since};
        if (from != g->lo)
            g->hi = from;
        else if (to != g->hi)
            g->lo = to;
        else
            *g = me->gaps[--me->gap_n];
    }
    return filled;
}

/* Is it new, or the place of something missing, or had the capture seen it? A segment that is merely out of order comes
 * within a few milliseconds (as tshark has it), a retransmission takes a round trip. */
static void judge(struct work *w)
{
    struct side *me = w->me;
    weir_ns since = 0;
    if (w->end == w->seq)
        return;
    if (!me->has_sent || (int32_t)(w->seq - me->snd_max) >= 0) {
        if (me->has_sent && w->seq != me->snd_max && me->gap_n < GAPS_MAX)
            me->gaps[me->gap_n++] = (struct gap){me->snd_max, w->seq, w->p->at};
        w->fresh = w->end - w->seq;
        return;
    }
    w->fresh = fill_gaps(me, w->seq, w->end, &since);
    w->is_late = w->fresh > 0;
    if ((int32_t)(w->end - me->snd_max) > 0)
        w->fresh += w->end - me->snd_max;
    w->is_again = w->fresh == 0 || (w->is_late && w->p->at > since + WEIR_MS(3));
    const char *comment = w->p->comment; /* weir's own says what it is */
    if (comment && *comment)
        w->is_again = w->fresh == 0 || strncmp(comment, "retransmit", 10) == 0;
}

/* What a packet without a comment is. */
static const char *reason(const struct work *w)
{
    bool is_again = w->is_again;
    const struct wtr_packet *p = w->p;
    const struct side *me = w->me, *o = w->other;
    bool is_bare = p->len == 0 && !(p->flags & (WIO_TCP_SYN | WIO_TCP_FIN | WIO_TCP_RST));

    if (p->flags & WIO_TCP_SYN)
        return is_again ? "SYN again" : "";
    if (p->flags & WIO_TCP_RST)
        return "";
    if (is_again && p->len <= 1 && w->end == me->snd_max && o->last_ack == me->snd_max)
        return "keepalive probe";
    if (w->is_late && !is_again)
        return "out of order";
    if (w->is_late)
        return "sent again; the first was not seen here";
    if (is_again)
        return me->dup_n >= 3 ? "sent again, after duplicate ACKs" : "sent again";
    if (p->len == 1 && o->last_win == 0 && o->has_sent)
        return "zero-window probe";
    if (!is_bare || !(p->flags & WIO_TCP_ACK))
        return "";
    if (p->win == 0)
        return "its window is closed";
    uint32_t win = me->wscale > 0 ? (uint32_t)p->win << me->wscale : p->win;
    if (me->has_data_ack && w->ack == me->last_ack && (int32_t)(o->snd_max - w->ack) > 0 && win == me->last_win)
        return "duplicate ACK";
    return me->has_data_ack && w->ack == me->last_ack && win > me->last_win ? "window update" : "";
}

static void fill_packet(const struct work *w, struct wtr_row *row, const char *why)
{
    const struct wtr_packet *p = w->p;
    row->flags = p->flags;
    row->seq = w->seq;
    row->ack = p->flags & WIO_TCP_ACK ? w->ack : 0;
    row->len = p->len;
    row->win = w->me->last_win;
    row->text = wtr_report_text(w->r, p->comment && *p->comment ? p->comment : why);
    row->sack_at = w->r->sack_n;
    for (unsigned i = 0; i < p->sack_n; i++) {
        if (!wtr_report_grow(w->r, &w->r->sacks, &w->r->sack_cap, w->r->sack_n + 1, sizeof *w->r->sacks))
            return;
        uint32_t iss = w->r->flows[w->conn].ends[!w->side].iss;
        w->r->sacks[w->r->sack_n++] = p->sack[2 * i] - iss;
        w->r->sacks[w->r->sack_n++] = p->sack[2 * i + 1] - iss;
        row->sack_n++;
    }
}

/* The first number of an end, from what it sends or from what the other acknowledges. */
static void learn_iss(const struct work *w)
{
    struct wtr_end *e = &w->r->flows[w->conn].ends[w->side], *o = &w->r->flows[w->conn].ends[!w->side];
    if (!e->has_iss) {
        e->iss = w->p->flags & WIO_TCP_SYN ? w->p->seq : w->p->seq - 1;
        e->has_iss = true;
    }
    if (!o->has_iss && w->p->flags & WIO_TCP_ACK) {
        o->iss = w->p->ack - 1;
        o->has_iss = true;
    }
}

/* A comment of weir's ends with what the link did to the packet. */
static void read_fate(const char *comment, struct wtr_row *row, struct wtr_end *e)
{
    if (!comment)
        return;
    if (strstr(comment, weir_drop_text(WEIR_DROP_LINK_LOSS))) {
        row->mark |= WTR_MARK_LOST;
        e->lost++;
    }
    if (strstr(comment, "duplicated by the link"))
        row->mark |= WTR_MARK_TWICE;
    if (strstr(comment, "one bit changed by the link"))
        row->mark |= WTR_MARK_CORRUPT;
}

void wtr_flows_packet(struct wtr_flows *fs, const struct wtr_packet *p)
{
    struct work w = {.r = fs->report, .p = p};
    w.conn = connection(fs, p, &w.side);
    if (!w.conn)
        return;
    struct wtr_flow *f = &w.r->flows[w.conn];
    w.me = &fs->flows[w.conn].sides[w.side];
    w.other = &fs->flows[w.conn].sides[!w.side];
    learn_iss(&w);
    w.seq = p->seq - f->ends[w.side].iss;
    w.ack = p->ack - f->ends[!w.side].iss;
    w.end = w.seq + p->len + !!(p->flags & WIO_TCP_SYN) + !!(p->flags & WIO_TCP_FIN);
    if (p->flags & WIO_TCP_RST)
        w.end = w.seq;
    judge(&w);
    const char *why = reason(&w);

    if (p->flags & WIO_TCP_SYN)
        w.me->wscale = p->wscale;
    bool is_scaled = !(p->flags & WIO_TCP_SYN) && w.me->wscale > 0 && w.other->wscale >= 0;
    if (!(p->flags & WIO_TCP_RST))
        w.me->last_win = is_scaled ? (uint32_t)p->win << w.me->wscale : p->win;
    uint32_t at = w.r->row_n;
    struct wtr_row *row = add_row(&w, w.side, WEIR_EV_SEG_OUT);
    if (row)
        fill_packet(&w, row, why);
    const struct wtr_segment sent = {
        .flags = p->flags,
        .seq = w.seq,
        .len = p->len,
        .fresh = w.fresh < p->len ? w.fresh : p->len,
        .is_again = w.is_again,
    };
    wtr_report_sent(w.r, w.conn, w.side, row, &sent, p->at);
    if (row)
        read_fate(p->comment, row, &f->ends[w.side]);

    if (strcmp(why, "duplicate ACK") == 0)
        w.other->dup_n++;
    else if (p->flags & WIO_TCP_ACK && w.ack != w.me->last_ack)
        w.other->dup_n = 0;
    follow_sender(&w);
    if (w.end != w.seq && (!w.me->has_sent || (int32_t)(w.end - w.me->snd_max) > 0))
        w.me->snd_max = w.end;
    w.me->has_sent = true;
    if (p->flags & WIO_TCP_ACK && !(p->flags & WIO_TCP_RST) &&
        (!w.me->has_data_ack || (int32_t)(w.ack - w.me->last_ack) > 0)) {
        w.me->last_ack = w.ack;
        w.me->has_data_ack = true;
    }
    follow_receiver(&w);
    measure(&w, w.is_again || w.is_late);
    if (at < w.r->row_n)
        fill_snapshot(w.me, w.other, &w.r->rows[at]); /* where the row is now */
}
