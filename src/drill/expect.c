/*
 * Packets that the stack sends: fetched, joined where Linux would have sent one (TSO), and held against the script.
 */
#include <stdlib.h>
#include <string.h>

#include "drill/compare.h"
#include "drill/player.h"

#define WHENEVER_NS  WEIR_SEC(100000)
#define RECORD_STAMP 100 /* what --record calls the first time stamp */

/* ---- Flows ---- */

static struct wdr_flow *flow_new(struct wdr_player *pl, enum wdr_proto proto)
{
    struct wdr_flow *f = wdr_arena_take(pl->script->arena, sizeof *f);
    f->proto = (uint8_t)proto;
    f->local = pl->env.local;
    f->remote = pl->env.remote;
    f->next = pl->flows;
    pl->flows = f;
    return f;
}

static struct wdr_flow *flow_by_ports(struct wdr_player *pl, enum wdr_proto proto, uint16_t local, uint16_t remote)
{
    for (struct wdr_flow *f = pl->flows; f; f = f->next) {
        if (f->proto == proto && f->script_local_port == local && f->remote.port == remote)
            return f;
    }
    struct wdr_flow *f = flow_new(pl, proto);
    f->script_local_port = f->local.port = local;
    f->remote.port = remote;
    return f;
}

struct wdr_flow *wdr_flow_for_script(struct wdr_player *pl, const struct wdr_packet *p)
{
    enum wdr_proto proto = p->proto == WDR_ICMP ? (p->quote.is_udp ? WDR_UDP : WDR_TCP) : p->proto;
    bool is_in = p->dir == WDR_IN;
    if (p->has_ports)
        return flow_by_ports(pl, proto, is_in ? p->dst_port : p->src_port, is_in ? p->src_port : p->dst_port);
    if (pl->flow && pl->flow->proto == proto)
        return pl->flow;
    for (struct wdr_flow *f = pl->flows; f; f = f->next) {
        if (f->proto == proto && !f->script_local_port)
            return pl->flow = f;
    }
    struct wdr_flow *f = flow_new(pl, proto);
    f->remote.port = proto == WDR_UDP ? pl->set.connect_port : pl->next_port++;
    return pl->flow = f;
}

static bool is_end(const struct weir_sockaddr *a, const struct weir_sockaddr *b)
{
    return a->port == b->port && weir_addr_equal(&a->addr, &b->addr);
}

static struct wdr_flow *flow_of(struct wdr_player *pl, const struct wdr_sent *s)
{
    for (struct wdr_flow *f = pl->flows; f; f = f->next) {
        if (f->proto == s->p.proto && is_end(&f->local, &s->ends.src) && is_end(&f->remote, &s->ends.dst))
            return f;
    }
    return NULL;
}

/* The stack opened something itself: learn its ports. */
static struct wdr_flow *flow_learn(struct wdr_player *pl, const struct wdr_sent *s, const struct wdr_packet *want)
{
    bool opens = s->p.proto == WDR_UDP || (s->p.flags & (WDR_SYN | WDR_ACK)) == WDR_SYN;
    if (!opens || s->p.proto != want->proto)
        return NULL;
    struct wdr_flow *f = flow_new(pl, s->p.proto);
    f->local = s->ends.src;
    f->remote = s->ends.dst;
    if (want->has_ports)
        f->script_local_port = want->src_port;
    else
        pl->flow = f;
    return f;
}

/* Whether a packet is one of those that the event speaks of. */
static bool is_ours(struct wdr_player *pl, const struct wdr_sent *s, const struct wdr_packet *want)
{
    if (s->p.proto == WDR_ICMP)
        return true;
    struct wdr_flow *f = flow_of(pl, s);
    f = f ? f : flow_learn(pl, s, want);
    if (!f)
        return false;
    if (want->has_ports && want->proto == s->p.proto)
        return f->script_local_port ? f->script_local_port == want->src_port && f->remote.port == want->dst_port
                                    : f->remote.port == want->dst_port;
    return want->proto != s->p.proto || f == pl->flow || (f->proto == want->proto && !pl->flow);
}

/* ---- Fetching ---- */

/* The next packet that counts, up to `limit`. false: none came, or it can't be read (error says so). */
static bool fetch(struct wdr_player *pl, const struct wdr_event *e, weir_ns limit, struct wdr_sent *s)
{
    const char *why;
    weir_ns at;
    if (pl->has_stash) {
        pl->has_stash = false;
        *s = pl->stash;
        return true;
    }
    for (;;) {
        size_t len = pl->target->ops->output(pl->target, limit, pl->buf, &at);
        if (len == 0)
            return false;
        wdr_player_capture(pl, at, pl->buf, len, WIO_PCAPNG_OUT, e->line);
        if (!wdr_wire_read(s, pl->buf, len, at, &why))
            return wdr_player_fail(pl, e, "the stack sent something malformed: %s (%zu bytes)", why, len);
        if (is_ours(pl, s, e->packet))
            return true;
    }
}

/* A packet in the script's numbers. */
static void to_script(struct wdr_player *pl, struct wdr_sent *s, const struct wdr_packet *want)
{
    struct wdr_flow *f = flow_of(pl, s);
    s->p.src_port = f && f->script_local_port ? f->script_local_port : s->ends.src.port;
    s->p.dst_port = s->ends.dst.port;
    s->p.has_ports = true;
    if (f)
        wdr_flow_to_script(f, &s->p, want);
}

/* Linux hands its driver bursts of full segments as one: take what follows until the length fits. */
static void join(struct wdr_player *pl, const struct wdr_event *e, weir_ns limit, struct wdr_sent *s)
{
    const struct wdr_packet *want = e->packet;
    uint32_t full = s->p.len;
    bool is_full = full > 0;
    struct wdr_sent next;
    while (is_full && pl->set.joins_segments && want->proto == WDR_TCP && s->p.len < want->len &&
           !(s->p.flags & (WDR_SYN | WDR_FIN | WDR_RST)) && fetch(pl, e, limit, &next)) {
        bool fits = next.p.proto == WDR_TCP && next.p.seq == s->p.seq + s->p.len && next.p.len > 0 &&
                    next.p.len <= full && s->p.len + next.p.len <= want->len && is_end(&next.ends.src, &s->ends.src);
        if (!fits) {
            pl->stash = next;
            pl->has_stash = true;
            return;
        }
        is_full = next.p.len == full;
        next.p.len += s->p.len;
        next.p.seq = s->p.seq;
        next.has_payload_noise = next.has_payload_noise || s->has_payload_noise;
        *s = next;
    }
}

/* ---- Verdicts ---- */

static void print_pair(struct wdr_player *pl, const struct wdr_event *e, weir_ns at, weir_ns until,
                       const struct wdr_sent *s, const char *what)
{
    char a[WDR_PACKET_TEXT_CAP], b[WDR_PACKET_TEXT_CAP], t[32], u[32], got[32];
    bool is_any = e->time.kind == WDR_TIME_ANY;
    wdr_player_fail(pl, e, "%s\n    expected %9s%s%s  %s\n    came     %9s%s  %s", what,
                    is_any ? "*" : wdr_player_when(pl, at, t, sizeof t), until > at && !is_any ? "~" : "",
                    until > at && !is_any ? wdr_player_when(pl, until, u, sizeof u) : "",
                    wdr_print_packet(e->packet, NULL, a, sizeof a), wdr_player_when(pl, s->at, got, sizeof got),
                    until > at && !is_any ? "          " : "", wdr_print_packet(&s->p, e->packet, b, sizeof b));
}

/* What --update writes in the place of the event. */
static void update(struct wdr_player *pl, const struct wdr_event *e, const struct wdr_sent *s, bool is_late)
{
    char text[WDR_PACKET_TEXT_CAP], line[WDR_PACKET_TEXT_CAP + 64];
    struct wdr_packet p = s->p;
    p.opts_any = e->packet->opts_any;
    wdr_print_packet(&p, e->packet, text, sizeof text);
    if (!is_late) {
        wdr_edit_add(pl, e->body, e->end, text);
        return;
    }
    weir_ns base = e->time.kind == WDR_TIME_RELATIVE ? pl->last : pl->zero;
    double seconds = (double)(int64_t)(s->at - base) / 1e9;
    snprintf(line, sizeof line, "%s%.6f %s", e->time.kind == WDR_TIME_RELATIVE ? "+" : "", seconds, text);
    wdr_edit_add(pl, e->begin, e->end, line);
}

static bool is_on_time(const struct wdr_player *pl, const struct wdr_event *e, weir_ns at, weir_ns until, weir_ns came)
{
    weir_ns slack = wdr_player_tolerance(pl, until, pl->last);
    return e->time.kind == WDR_TIME_ANY || (came + slack >= at && came <= until + slack);
}

static bool nothing_came(struct wdr_player *pl, const struct wdr_event *e, weir_ns at, weir_ns until)
{
    struct wdr_sent s;
    char what[96], t[32], text[WDR_PACKET_TEXT_CAP];
    if (pl->error.text[0])
        return false;
    if (fetch(pl, e, until + pl->target->patience, &s)) {
        to_script(pl, &s, e->packet);
        if (pl->cfg->is_update) {
            update(pl, e, &s, true);
            pl->last = s.at;
            return true;
        }
        snprintf(what, sizeof what, "nothing was sent in time; what came later:");
        print_pair(pl, e, at, until, &s, what);
        return false;
    }
    if (pl->error.text[0])
        return false;
    if (pl->cfg->is_update) {
        wdr_edit_add(pl, e->begin, e->end, "");
        return true;
    }
    return wdr_player_fail(pl, e, "nothing was sent\n    expected %s  %s",
                           e->time.kind == WDR_TIME_ANY ? "*" : wdr_player_when(pl, at, t, sizeof t),
                           wdr_print_packet(e->packet, NULL, text, sizeof text));
}

void wdr_record_packets(struct wdr_player *pl, weir_ns limit)
{
    static struct wdr_packet any = {.dir = WDR_OUT, .proto = WDR_TCP};
    const struct wdr_event e = {.type = WDR_EVENT_PACKET, .packet = &any};
    struct wdr_sent s;
    while (fetch(pl, &e, limit, &s)) {
        struct wdr_flow *f = flow_of(pl, &s);
        const struct wdr_opt *ts = wdr_packet_opt(&s.p, WDR_OPT_TS);
        if (f && ts && f->stamp_n == 0)
            wdr_flow_learn_stamp(f, RECORD_STAMP, ts->a);
        to_script(pl, &s, NULL);
        wdr_record_packet(pl, s.at, &s.p);
    }
}

bool wdr_expect(struct wdr_player *pl, const struct wdr_event *e, weir_ns at, weir_ns until)
{
    struct wdr_sent s;
    char why[160], what[240];
    weir_ns limit = e->time.kind == WDR_TIME_ANY ? pl->target->ops->now(pl->target) + WHENEVER_NS
                                                 : until + wdr_player_tolerance(pl, until, pl->last);
    if (!fetch(pl, e, limit, &s))
        return nothing_came(pl, e, at, until);
    join(pl, e, limit, &s);
    if (pl->error.text[0])
        return false;
    to_script(pl, &s, e->packet);
    wdr_player_note(pl, s.at, &s.p, "");

    bool is_same = wdr_compare(e->packet, &s.p, why, sizeof why), is_timely = is_on_time(pl, e, at, until, s.at);
    if (is_same && s.has_payload_noise)
        return wdr_player_fail(pl, e, "the payload is not the zeroes that were written");
    if ((!is_same || !is_timely) && pl->cfg->is_update) {
        update(pl, e, &s, !is_timely);
        is_same = is_timely = true;
    }
    if (is_same && is_timely) {
        bool has_own_time = e->time.kind == WDR_TIME_ANY || e->time.is_range;
        /* A live kernel's timers run late within the tolerance: what follows counts from when it was. */
        pl->last = has_own_time || (pl->cfg->is_live && s.at > at) ? s.at : at;
        return true;
    }
    if (!is_same)
        snprintf(what, sizeof what, "another packet than expected: %s", why);
    else
        snprintf(what, sizeof what, "the packet came %s", s.at < at ? "too early" : "too late");
    print_pair(pl, e, at, until, &s, what);
    return false;
}
