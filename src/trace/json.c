/*
 * Events as JSON lines (json.h). One fprintf-like writer; strings of the stack are plain ASCII, host names are escaped.
 */
#include "trace/json.h"

#include "io/frame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <weir/errno.h>

struct wtr_json {
    FILE *out;
    uint64_t epoch_ns;
    int err; /* errno of the first write that failed */
};

struct wtr_json *wtr_json_new(FILE *out, uint64_t epoch_ns)
{
    struct wtr_json *j = calloc(1, sizeof *j);
    if (!j) {
        fclose(out);
        return NULL;
    }
    j->out = out;
    j->epoch_ns = epoch_ns;
    return j;
}

/* A failed write costs the line, never the program. */
static void note_failure(struct wtr_json *j)
{
    if (!ferror(j->out))
        return;
    if (!j->err)
        j->err = errno ? errno : EIO;
    clearerr(j->out);
}

void wtr_json_flush(struct wtr_json *j)
{
    errno = 0;
    fflush(j->out);
    note_failure(j);
}

int wtr_json_close(struct wtr_json *j)
{
    if (!j)
        return 0;
    wtr_json_flush(j);
    if (fclose(j->out) != 0 && !j->err)
        j->err = errno;
    int err = -j->err;
    free(j);
    return err;
}

/* ---- Members ---- */

static void text(struct wtr_json *j, const char *name, const char *value)
{
    fprintf(j->out, ",\"%s\":\"", name);
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if (c == '"' || c == '\\')
            fprintf(j->out, "\\%c", c);
        else if (c < 0x20)
            fprintf(j->out, "\\u%04x", c);
        else
            putc(c, j->out);
    }
    putc('"', j->out);
}

static void number(struct wtr_json *j, const char *name, uint64_t value)
{
    fprintf(j->out, ",\"%s\":%" PRIu64, name, value);
}

static void boolean(struct wtr_json *j, const char *name, bool value)
{
    fprintf(j->out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void endpoint(struct wtr_json *j, const char *name, const struct weir_sockaddr *a)
{
    char buf[WEIR_ADDR_TEXT_CAP];
    if (a)
        text(j, name, weir_sockaddr_format(a, buf, sizeof buf));
}

static void flags(struct wtr_json *j, uint16_t bits)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"};
    bool is_first = true;
    fprintf(j->out, ",\"flags\":[");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!(bits & 1u << i))
            continue;
        fprintf(j->out, "%s\"%s\"", is_first ? "" : ",", names[i]);
        is_first = false;
    }
    putc(']', j->out);
}

static void conn(struct wtr_json *j, const struct weir_ev_conn *c)
{
    if (c->cwnd_bytes == 0)
        return; /* no TCP connection */
    number(j, "cwnd", c->cwnd_bytes);
    if (c->ssthresh_bytes != UINT32_MAX)
        number(j, "ssthresh", c->ssthresh_bytes);
    number(j, "flight", c->flight_bytes);
    number(j, "snd_wnd", c->snd_wnd_bytes);
    number(j, "rcv_wnd", c->rcv_wnd_bytes);
    number(j, "srtt_ns", c->srtt);
    number(j, "rttvar_ns", c->rttvar);
    number(j, "rto_ns", c->rto);
}

/* Which event of its sender made a packet that came in. */
static void sender(struct wtr_json *j, const struct weir_pkt *pkt)
{
    if (pkt && pkt->serial)
        number(j, "sender", pkt->serial);
}

static void segment(struct wtr_json *j, const struct weir_ev_seg *s)
{
    flags(j, s->flags);
    number(j, "seq", s->seq_rel);
    number(j, "len", s->len);
    if (s->flags & WIO_TCP_ACK)
        number(j, "ack", s->ack_rel);
    number(j, "win", s->wnd_bytes);
    number(j, "seq_raw", s->seq);
    number(j, "ack_raw", s->ack);
    if (s->gso_size)
        number(j, "gso_size", s->gso_size);
    if (s->sack_n) {
        fprintf(j->out, ",\"sack\":[");
        for (unsigned i = 0; i < s->sack_n && i < 4; i++)
            fprintf(j->out, "%s[%" PRIu32 ",%" PRIu32 "]", i ? "," : "", s->sack[i].lo_rel, s->sack[i].hi_rel);
        putc(']', j->out);
    }
    if (weir_why_text(s->why)[0])
        text(j, "why", weir_why_text(s->why));
    if (s->dupacks)
        number(j, "dupacks", s->dupacks);
}

static void neighbour(struct wtr_json *j, const struct weir_event *ev)
{
#define NEIGH_NAME(name) #name,
    static const char *const names[] = {WEIR_NEIGH_LIST(NEIGH_NAME)};
#undef NEIGH_NAME
    char buf[WEIR_ADDR_TEXT_CAP];
    text(j, "addr", weir_addr_format(ev->u.neigh.addr, buf, sizeof buf));
    text(j, "from", names[ev->u.neigh.from]);
    text(j, "to", names[ev->u.neigh.to]);
}

/* Causes by name, those without time left out. */
static void ledger(struct wtr_json *j, const struct weir_ledger *l)
{
    const char *comma = "";
    number(j, "life_ns", l->life);
    fputs(",\"spent_ns\":{", j->out);
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++) {
        if (l->spent[i] == 0)
            continue;
        fprintf(j->out, "%s\"%s\":%" PRIu64, comma, weir_cause_text((enum weir_cause)i), l->spent[i]);
        comma = ",";
    }
    putc('}', j->out);
}

static void totals(struct wtr_json *j, const struct weir_event *ev)
{
    number(j, "bytes_out", ev->u.close.bytes_out);
    number(j, "bytes_in", ev->u.close.bytes_in);
    number(j, "segs_out", ev->u.close.segs_out);
    number(j, "segs_in", ev->u.close.segs_in);
    number(j, "rexmits", ev->u.close.rexmits);
    number(j, "opened_at_ns", ev->u.close.opened_at + j->epoch_ns);
    boolean(j, "active", ev->u.close.is_active);
    if (ev->u.close.ledger)
        ledger(j, ev->u.close.ledger);
    if (ev->u.close.err)
        text(j, "error", weir_errno_name(ev->u.close.err));
}

static void body(struct wtr_json *j, const struct weir_event *ev)
{
    switch (ev->kind) {
    case WEIR_EV_STATE:
        text(j, "from", weir_tcp_state_name(ev->u.state.from));
        text(j, "to", weir_tcp_state_name(ev->u.state.to));
        text(j, "cause", ev->u.state.cause ? ev->u.state.cause : "");
        return;
    case WEIR_EV_SEG_OUT: segment(j, &ev->u.seg); return;
    case WEIR_EV_SEG_IN:
        segment(j, &ev->u.seg);
        sender(j, ev->u.seg.pkt);
        return;
    case WEIR_EV_REXMIT:
        number(j, "seq", ev->u.rexmit.seq_rel);
        number(j, "len", ev->u.rexmit.len);
        text(j, "why", weir_why_text(ev->u.rexmit.why));
        return;
    case WEIR_EV_DROP:
        text(j, "reason", weir_drop_name(ev->u.drop.reason));
        text(j, "text", weir_drop_text(ev->u.drop.reason));
        number(j, "bytes", ev->u.drop.pkt ? ev->u.drop.pkt->len : 0);
        sender(j, ev->u.drop.pkt);
        return;
    case WEIR_EV_RTT: number(j, "sample_ns", ev->u.rtt.sample); return;
    case WEIR_EV_CWND:
        number(j, "cwnd_before", ev->u.cwnd.cwnd_before_bytes);
        text(j, "cause", ev->u.cwnd.cause ? ev->u.cwnd.cause : "");
        return;
    case WEIR_EV_TIMER:
        text(j, "timer", weir_timer_text(ev->u.timer.which));
        number(j, "backoff", ev->u.timer.backoff);
        return;
    case WEIR_EV_NEIGH: neighbour(j, ev); return;
    case WEIR_EV_DGRAM_OUT: number(j, "len", ev->u.dgram.len); return;
    case WEIR_EV_DGRAM_IN:
        number(j, "len", ev->u.dgram.len);
        sender(j, ev->u.dgram.pkt);
        return;
    case WEIR_EV_ICMP_IN:
        number(j, "type", ev->u.icmp.type);
        number(j, "code", ev->u.icmp.code);
        text(j, "error", weir_errno_name(ev->u.icmp.err));
        boolean(j, "hard", ev->u.icmp.hard);
        return;
    case WEIR_EV_CLOSE: totals(j, ev); return;
    case WEIR_EV_PMTU:
        number(j, "size_before", ev->u.pmtu.size_before_bytes);
        number(j, "size", ev->u.pmtu.size_bytes);
        number(j, "probe", ev->u.pmtu.probe_bytes);
        text(j, "cause", ev->u.pmtu.cause ? ev->u.pmtu.cause : "");
        return;
    case WEIR_EV_KIND_N: return;
    }
}

static const char *kind_name(enum weir_event_kind kind)
{
    static const char *const names[] = {
        [WEIR_EV_STATE] = "state",         [WEIR_EV_SEG_OUT] = "seg_out",   [WEIR_EV_SEG_IN] = "seg_in",
        [WEIR_EV_REXMIT] = "rexmit",       [WEIR_EV_DROP] = "drop",         [WEIR_EV_RTT] = "rtt",
        [WEIR_EV_CWND] = "cwnd",           [WEIR_EV_TIMER] = "timer",       [WEIR_EV_NEIGH] = "neigh",
        [WEIR_EV_DGRAM_OUT] = "dgram_out", [WEIR_EV_DGRAM_IN] = "dgram_in", [WEIR_EV_ICMP_IN] = "icmp_in",
        [WEIR_EV_CLOSE] = "close",         [WEIR_EV_PMTU] = "pmtu",
    };
    return names[kind];
}

static void begin(struct wtr_json *j, weir_ns at, const char *event)
{
    errno = 0;
    fprintf(j->out, "{\"at_ns\":%" PRIu64, at + j->epoch_ns);
    text(j, "event", event);
}

static void end(struct wtr_json *j)
{
    fputs("}\n", j->out);
    note_failure(j);
}

void wtr_json_event(struct wtr_json *j, const char *host, const struct weir_event *ev)
{
    begin(j, ev->at, kind_name(ev->kind));
    text(j, "host", host);
    number(j, "serial", ev->serial);
    if (ev->conn_id)
        number(j, "conn", ev->conn_id);
    endpoint(j, "local", ev->local);
    endpoint(j, "remote", ev->remote);
    body(j, ev);
    conn(j, &ev->conn);
    end(j);
}

void wtr_json_link(struct wtr_json *j, const char *link, const struct wio_link_note *note, enum weir_link_type type)
{
    if (note->what != WIO_NOTE_SENT ||
        !(note->drop || note->is_duplicated || note->is_corrupted || note->is_marked || note->is_reordered))
        return;
    struct wio_frame f = wio_frame_look(note->pkt, type);
    begin(j, note->at, "link");
    text(j, "link", link);
    text(j, "dir", note->dir == WIO_UP ? "up" : "down");
    if (note->drop)
        text(j, "drop", weir_drop_name(note->drop));
    boolean(j, "duplicated", note->is_duplicated);
    boolean(j, "corrupted", note->is_corrupted);
    boolean(j, "ce", note->is_marked);
    boolean(j, "reordered", note->is_reordered);
    number(j, "bytes", note->pkt->len);
    number(j, "serial", note->pkt->serial);
    if (f.proto) {
        endpoint(j, "src", &f.src);
        endpoint(j, "dst", &f.dst);
        number(j, "proto", f.proto);
    }
    if (f.flags) {
        flags(j, f.flags);
        number(j, "seq_raw", f.seq);
        number(j, "ack_raw", f.ack);
        number(j, "len", f.len);
    }
    end(j);
}
