/*
 * Reads a trace in JSON lines back into events: the inverse of json.c.
 */
#include "trace/report_read.h"
#include "trace/report_rows.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <weir/errno.h>
#include <weir/stack.h>

/* A line under work. */
struct line {
    const json_t *o;
    struct weir_sockaddr local, remote;
    struct weir_addr addr;
    struct weir_pkt pkt;
    struct weir_ledger ledger;
};

static const char *text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

static uint64_t number(const json_t *o, const char *name)
{
    json_int_t v = json_integer_value(json_object_get(o, name));
    return v > 0 ? (uint64_t)v : 0;
}

static uint32_t number32(const json_t *o, const char *name)
{
    uint64_t v = number(o, name);
    return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static bool boolean(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

/* "192.0.2.1:80", "[2001:db8::1%2]:80" */
static bool endpoint(const json_t *o, const char *name, struct weir_sockaddr *out)
{
    char buf[WEIR_ADDR_TEXT_CAP];
    const char *s = text(o, name), *colon = strrchr(s, ':');
    size_t len = colon ? (size_t)(colon - s) : 0;
    if (len == 0 || len >= sizeof buf)
        return false;
    bool is_v6 = s[0] == '[';
    if (is_v6 && (len < 2 || s[len - 1] != ']'))
        return false;
    snprintf(buf, sizeof buf, "%.*s", (int)(is_v6 ? len - 2 : len), s + is_v6);
    buf[strcspn(buf, "%")] = '\0';
    *out = (struct weir_sockaddr){.family = is_v6 ? WEIR_AF_INET6 : WEIR_AF_INET};
    out->port = (uint16_t)strtoul(colon + 1, NULL, 10);
    return weir_addr_parse(&out->addr, buf) == 0;
}

/* ---- Names back into numbers ---- */

#define LOOK_UP(type, count, name_of, fallback)                                                                        \
    for (unsigned i = 0; i < (count); i++)                                                                             \
        if (strcmp(name_of((enum type)i), word) == 0)                                                                  \
            return (enum type)i;                                                                                       \
    return fallback

static enum weir_why why_of(const char *word)
{
    LOOK_UP(weir_why, WEIR_WHY_N, weir_why_text, WEIR_WHY_NONE);
}

static enum weir_tcp_state state_of(const char *word)
{
    LOOK_UP(weir_tcp_state, WEIR_TCP_STATE_N, weir_tcp_state_name, WEIR_TCP_CLOSED);
}

static enum weir_timer timer_of(const char *word)
{
    LOOK_UP(weir_timer, WEIR_TIMER_N, weir_timer_text, WEIR_TIMER_RTO);
}

static enum weir_drop drop_of(const char *word)
{
    LOOK_UP(weir_drop, WEIR_DROP_N, weir_drop_name, WEIR_DROP_NONE);
}

static int errno_of(const char *word)
{
#define NUMBER_OF(name, number, words)                                                                                 \
    if (strcmp(word, #name) == 0)                                                                                      \
        return number;
    WEIR_ERRNO_LIST(NUMBER_OF)
#undef NUMBER_OF
    return 0;
}

static int neigh_of(const char *word)
{
#define NEIGH_NAME(name) #name,
    static const char *const names[] = {WEIR_NEIGH_LIST(NEIGH_NAME)};
#undef NEIGH_NAME
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++)
        if (strcmp(names[i], word) == 0)
            return i;
    return 0;
}

static uint16_t flags_of(const json_t *list)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"};
    uint16_t bits = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        for (unsigned k = 0; word && k < sizeof names / sizeof names[0]; k++)
            if (strcmp(word, names[k]) == 0)
                bits = (uint16_t)(bits | 1u << k);
    }
    return bits;
}

/* ---- Bodies ---- */

static void segment(const json_t *o, struct weir_ev_seg *s)
{
    const json_t *sack = json_object_get(o, "sack");
    s->flags = flags_of(json_object_get(o, "flags"));
    s->seq_rel = number32(o, "seq");
    s->seq = number32(o, "seq_raw");
    s->ack_rel = number32(o, "ack");
    s->ack = number32(o, "ack_raw");
    s->len = number32(o, "len");
    s->wnd_bytes = number32(o, "win");
    s->gso_size = (uint16_t)number(o, "gso_size");
    s->why = why_of(text(o, "why"));
    s->dupacks = (uint8_t)number(o, "dupacks");
    for (size_t i = 0; i < json_array_size(sack) && i < 4; i++) {
        const json_t *pair = json_array_get(sack, i);
        s->sack[s->sack_n].lo_rel = (uint32_t)json_integer_value(json_array_get(pair, 0));
        s->sack[s->sack_n++].hi_rel = (uint32_t)json_integer_value(json_array_get(pair, 1));
    }
}

static void totals(struct line *l, struct weir_event *ev)
{
    const json_t *spent = json_object_get(l->o, "spent_ns");
    ev->u.close.bytes_out = number(l->o, "bytes_out");
    ev->u.close.bytes_in = number(l->o, "bytes_in");
    ev->u.close.segs_out = number(l->o, "segs_out");
    ev->u.close.segs_in = number(l->o, "segs_in");
    ev->u.close.rexmits = number(l->o, "rexmits");
    ev->u.close.opened_at = number(l->o, "opened_at_ns");
    ev->u.close.is_active = boolean(l->o, "active");
    ev->u.close.err = errno_of(text(l->o, "error"));
    l->ledger.life = number(l->o, "life_ns");
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++)
        l->ledger.spent[i] = number(spent, weir_cause_text((enum weir_cause)i));
    ev->u.close.ledger = &l->ledger;
}

static void snapshot(const json_t *o, struct weir_ev_conn *c)
{
    c->cwnd_bytes = number32(o, "cwnd");
    if (c->cwnd_bytes == 0)
        return;
    c->ssthresh_bytes = json_object_get(o, "ssthresh") ? number32(o, "ssthresh") : UINT32_MAX;
    c->flight_bytes = number32(o, "flight");
    c->snd_wnd_bytes = number32(o, "snd_wnd");
    c->rcv_wnd_bytes = number32(o, "rcv_wnd");
    c->srtt = number(o, "srtt_ns");
    c->rttvar = number(o, "rttvar_ns");
    c->rto = number(o, "rto_ns");
}

static void body(struct line *l, struct weir_event *ev)
{
    const json_t *o = l->o;
    switch (ev->kind) {
    case WEIR_EV_STATE:
        ev->u.state.from = state_of(text(o, "from"));
        ev->u.state.to = state_of(text(o, "to"));
        ev->u.state.cause = text(o, "cause");
        return;
    case WEIR_EV_SEG_OUT:
    case WEIR_EV_SEG_IN:
        segment(o, &ev->u.seg);
        ev->u.seg.pkt = &l->pkt;
        return;
    case WEIR_EV_REXMIT:
        ev->u.rexmit.seq_rel = number32(o, "seq");
        ev->u.rexmit.len = number32(o, "len");
        ev->u.rexmit.why = why_of(text(o, "why"));
        return;
    case WEIR_EV_DROP:
        ev->u.drop.reason = drop_of(text(o, "reason"));
        ev->u.drop.pkt = &l->pkt;
        return;
    case WEIR_EV_RTT: ev->u.rtt.sample = number(o, "sample_ns"); return;
    case WEIR_EV_CWND:
        ev->u.cwnd.cwnd_before_bytes = number32(o, "cwnd_before");
        ev->u.cwnd.cause = text(o, "cause");
        return;
    case WEIR_EV_TIMER:
        ev->u.timer.which = timer_of(text(o, "timer"));
        ev->u.timer.backoff = number32(o, "backoff");
        return;
    case WEIR_EV_NEIGH:
        weir_addr_parse(&l->addr, text(o, "addr"));
        ev->u.neigh.addr = &l->addr;
        ev->u.neigh.from = neigh_of(text(o, "from"));
        ev->u.neigh.to = neigh_of(text(o, "to"));
        return;
    case WEIR_EV_DGRAM_OUT:
    case WEIR_EV_DGRAM_IN:
        ev->u.dgram.len = number32(o, "len");
        ev->u.dgram.pkt = &l->pkt;
        return;
    case WEIR_EV_ICMP_IN:
        ev->u.icmp.type = (uint8_t)number(o, "type");
        ev->u.icmp.code = (uint8_t)number(o, "code");
        ev->u.icmp.err = errno_of(text(o, "error"));
        ev->u.icmp.hard = boolean(o, "hard");
        return;
    case WEIR_EV_CLOSE: totals(l, ev); return;
    case WEIR_EV_PMTU:
        ev->u.pmtu.size_before_bytes = number32(o, "size_before");
        ev->u.pmtu.size_bytes = number32(o, "size");
        ev->u.pmtu.probe_bytes = number32(o, "probe");
        ev->u.pmtu.cause = text(o, "cause");
        return;
    case WEIR_EV_KIND_N: return;
    }
}

static int kind_of(const char *word)
{
    static const char *const names[WEIR_EV_KIND_N] = {
        [WEIR_EV_STATE] = "state",         [WEIR_EV_SEG_OUT] = "seg_out",   [WEIR_EV_SEG_IN] = "seg_in",
        [WEIR_EV_REXMIT] = "rexmit",       [WEIR_EV_DROP] = "drop",         [WEIR_EV_RTT] = "rtt",
        [WEIR_EV_CWND] = "cwnd",           [WEIR_EV_TIMER] = "timer",       [WEIR_EV_NEIGH] = "neigh",
        [WEIR_EV_DGRAM_OUT] = "dgram_out", [WEIR_EV_DGRAM_IN] = "dgram_in", [WEIR_EV_ICMP_IN] = "icmp_in",
        [WEIR_EV_CLOSE] = "close",         [WEIR_EV_PMTU] = "pmtu",
    };
    for (int i = 0; i < WEIR_EV_KIND_N; i++)
        if (strcmp(names[i], word) == 0)
            return i;
    return -1;
}

static void take_link(struct wtr_report *r, const json_t *o)
{
    struct wtr_fate fate = {
        .at = number(o, "at_ns"),
        .serial = number(o, "serial"),
        .sender = -1,
        .drop = drop_of(text(o, "drop")),
        .is_duplicated = boolean(o, "duplicated"),
        .is_corrupted = boolean(o, "corrupted"),
        .is_marked = boolean(o, "ce"),
        .is_reordered = boolean(o, "reordered"),
        .flags = flags_of(json_object_get(o, "flags")),
        .seq = number32(o, "seq_raw"),
        .ack = number32(o, "ack_raw"),
        .len = number32(o, "len"),
        .bytes = number32(o, "bytes"),
    };
    if (!endpoint(o, "src", &fate.src) || !endpoint(o, "dst", &fate.dst))
        fate.src.family = 0;
    wtr_report_fate(r, &fate);
}

/* false: there is no host for it. */
static bool take_event(struct wtr_report *r, const json_t *o, int kind)
{
    struct line l = {.o = o};
    struct weir_event ev = {.kind = (enum weir_event_kind)kind,
                            .at = number(o, "at_ns"),
                            .serial = number(o, "serial"),
                            .conn_id = number(o, "conn")};
    int host = wtr_report_host(r, text(o, "host"));
    if (host < 0)
        return false;
    l.pkt.serial = number(o, "sender");
    l.pkt.len = number32(o, "bytes");
    ev.local = endpoint(o, "local", &l.local) ? &l.local : NULL;
    ev.remote = endpoint(o, "remote", &l.remote) ? &l.remote : NULL;
    snapshot(o, &ev.conn);
    body(&l, &ev);
    wtr_report_event(r, host, &ev);
    return true;
}

static int take_line(struct wtr_report *r, const json_t *o, uint64_t n, struct wtr_read *read)
{
    const char *event = json_string_value(json_object_get(o, "event"));
    if (!event || !json_is_integer(json_object_get(o, "at_ns"))) {
        snprintf(read->err, sizeof read->err, "line %" PRIu64 " is no event: it has no \"%s\"", n,
                 event ? "at_ns" : "event");
        return -1;
    }
    int kind = kind_of(event);
    read->taken++;
    if (strcmp(event, "link") == 0)
        take_link(r, o);
    else if (kind < 0 || !take_event(r, o, kind))
        read->skipped++;
    return 0;
}

int wtr_read_trace(struct wtr_report *r, FILE *in, struct wtr_read *read)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int err = 0;

    errno = 0;
    for (uint64_t n = 1; !err && (len = getline(&line, &cap, in)) > 0; n++) {
        json_error_t why;
        if (strspn(line, " \t\r\n") == (size_t)len)
            continue;
        json_t *o = json_loadb(line, (size_t)len, 0, &why);
        if (!o && line[len - 1] != '\n' && n > 1) {
            read->is_cut = true; /* whoever wrote it was stopped */
            break;
        }
        if (!json_is_object(o)) {
            snprintf(read->err, sizeof read->err, "line %" PRIu64 " is no JSON object: %s", n,
                     o ? "it is something else" : why.text);
            err = -1;
        } else {
            err = take_line(r, o, n, read);
        }
        json_decref(o);
    }
    free(line);
    if (!err && ferror(in)) {
        snprintf(read->err, sizeof read->err, "%s", errno ? strerror(errno) : "it can't be read");
        err = -1;
    }
    return err;
}

enum wtr_format wtr_read_format(FILE *in)
{
    uint8_t b[4] = {0};
    size_t n = fread(b, 1, sizeof b, in);
    uint32_t magic;
    memcpy(&magic, b, sizeof magic);
    rewind(in);
    if (n == 0)
        return WTR_FORMAT_EMPTY;
    if (n == 4 && magic == 0x0A0D0D0A)
        return WTR_FORMAT_PCAPNG;
    if (b[0] == '{' || b[0] == '\n' || b[0] == ' ')
        return WTR_FORMAT_TRACE;
    if (n == 4 && (magic == 0xa1b2c3d4 || magic == 0xd4c3b2a1 || magic == 0xa1b23c4d || magic == 0x4d3cb2a1 ||
                   magic == 0xa1b2cd34 || magic == 0x34cdb2a1))
        return WTR_FORMAT_PCAP;
    return WTR_FORMAT_UNKNOWN;
}
