/*
 * Events as lines of text (text.h).
 */
#include "trace/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <weir/errno.h>
#include <weir/stack.h>

/* A line being written: what does not fit is cut off. */
struct line {
    char *buf;
    size_t cap, at;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    int n = vsnprintf(l->buf + l->at, l->cap - l->at, form, args);
    va_end(args);
    l->at = n < 0 || (size_t)n >= l->cap - l->at ? l->cap - 1 : l->at + (size_t)n;
}

const char *wtr_text_flags(uint16_t flags, char *buf, size_t cap)
{
    static const char letters[] = "FSRPUEWe"; /* by bit, ACK set apart as tcpdump has it */
    static const uint16_t bits[] = {0x01, 0x02, 0x04, 0x08, 0x20, 0x40, 0x80, 0x100};
    size_t at = 0;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (flags & bits[i] && at + 1 < cap)
            buf[at++] = letters[i];
    if (flags & 0x10 && at + 1 < cap)
        buf[at++] = '.';
    buf[at] = '\0';
    return buf;
}

static void put_seg(struct line *l, const struct weir_ev_seg *s)
{
    char flags[12];
    put(l, "[%s] seq %" PRIu32, wtr_text_flags(s->flags, flags, sizeof flags), s->seq_rel);
    if (s->len > 0)
        put(l, ":%" PRIu32 " (%" PRIu32 ")", s->seq_rel + s->len, s->len);
    if (s->flags & 0x10)
        put(l, " ack %" PRIu32, s->ack_rel);
    put(l, " win %" PRIu32, s->wnd_bytes);
    for (unsigned i = 0; i < s->sack_n && i < 4; i++)
        put(l, "%s%" PRIu32 "-%" PRIu32, i ? "," : " sack ", s->sack[i].lo_rel, s->sack[i].hi_rel);
    if (weir_why_text(s->why)[0])
        put(l, ": %s", weir_why_text(s->why));
}

static void put_cwnd(struct line *l, const struct weir_event *ev)
{
    put(l, "cwnd %" PRIu32 " -> %" PRIu32, ev->u.cwnd.cwnd_before_bytes, ev->conn.cwnd_bytes);
    if (ev->conn.ssthresh_bytes != UINT32_MAX)
        put(l, " ssthresh %" PRIu32, ev->conn.ssthresh_bytes);
    put(l, ": %s", ev->u.cwnd.cause ? ev->u.cwnd.cause : "");
}

static void put_ledger(struct line *l, const struct weir_ledger *ledger)
{
    bool told[WEIR_CAUSE_N] = {false};
    put(l, "in all %.3f s", (double)ledger->life / 1e9);
    for (unsigned n = 0; n < WEIR_CAUSE_N; n++) {
        unsigned most = 0;
        for (unsigned i = 0; i < WEIR_CAUSE_N; i++)
            if (told[most] || (!told[i] && ledger->spent[i] > ledger->spent[most]))
                most = i;
        told[most] = true;
        if (ledger->life == 0 || ledger->spent[most] * 200 < ledger->life)
            return; /* less than half of one percent, and so is the rest */
        put(l, "%s %s %.0f %%", n ? "," : ":", weir_cause_text((enum weir_cause)most),
            (double)ledger->spent[most] * 100 / (double)ledger->life);
    }
}

const char *wtr_text_ledger(const struct weir_ledger *ledger, char *buf, size_t cap)
{
    struct line l = {buf, cap, 0};
    put_ledger(&l, ledger);
    return buf;
}

static void put_close(struct line *l, const struct weir_event *ev)
{
    put(l, "closed after %" PRIu64 " ms: %" PRIu64 " bytes out, %" PRIu64 " in, %" PRIu64 " retransmissions: %s",
        (ev->at - ev->u.close.opened_at) / 1000000, ev->u.close.bytes_out, ev->u.close.bytes_in, ev->u.close.rexmits,
        ev->u.close.err ? weir_strerror(ev->u.close.err) : "in order");
    if (ev->u.close.ledger) {
        put(l, "; ");
        put_ledger(l, ev->u.close.ledger);
    }
}

static void put_neigh(struct line *l, const struct weir_event *ev)
{
#define NEIGH_NAME(name) #name,
    static const char *const names[] = {WEIR_NEIGH_LIST(NEIGH_NAME)};
#undef NEIGH_NAME
    char addr[WEIR_ADDR_TEXT_CAP];
    put(l, "neighbour %s: %s -> %s", weir_addr_format(ev->u.neigh.addr, addr, sizeof addr), names[ev->u.neigh.from],
        names[ev->u.neigh.to]);
}

static void put_body(struct line *l, const struct weir_event *ev)
{
    switch (ev->kind) {
    case WEIR_EV_STATE:
        put(l, "%s -> %s: %s", weir_tcp_state_name(ev->u.state.from), weir_tcp_state_name(ev->u.state.to),
            ev->u.state.cause ? ev->u.state.cause : "");
        return;
    case WEIR_EV_SEG_OUT:
    case WEIR_EV_SEG_IN: put_seg(l, &ev->u.seg); return;
    case WEIR_EV_REXMIT:
        put(l, "lost: seq %" PRIu32 ":%" PRIu32 ": %s", ev->u.rexmit.seq_rel, ev->u.rexmit.seq_rel + ev->u.rexmit.len,
            weir_why_text(ev->u.rexmit.why));
        return;
    case WEIR_EV_DROP: put(l, "dropped: %s", weir_drop_text(ev->u.drop.reason)); return;
    case WEIR_EV_RTT:
        put(l, "rtt %" PRIu64 " us, srtt %" PRIu64 " us, rto %" PRIu64 " ms", ev->u.rtt.sample / 1000,
            ev->conn.srtt / 1000, ev->conn.rto / 1000000);
        return;
    case WEIR_EV_CWND: put_cwnd(l, ev); return;
    case WEIR_EV_TIMER:
        put(l, "%s timer fired, back-off %" PRIu32, weir_timer_text(ev->u.timer.which), ev->u.timer.backoff);
        return;
    case WEIR_EV_NEIGH: put_neigh(l, ev); return;
    case WEIR_EV_DGRAM_OUT:
    case WEIR_EV_DGRAM_IN: put(l, "datagram, %" PRIu32 " bytes", ev->u.dgram.len); return;
    case WEIR_EV_ICMP_IN:
        put(l, "ICMP type %u code %u: %s%s", ev->u.icmp.type, ev->u.icmp.code, weir_strerror(ev->u.icmp.err),
            ev->u.icmp.hard ? "" : " (soft)");
        return;
    case WEIR_EV_CLOSE: put_close(l, ev); return;
    case WEIR_EV_PMTU:
        put(l, "path MTU %" PRIu32 " -> %" PRIu32 ": %s", ev->u.pmtu.size_before_bytes, ev->u.pmtu.size_bytes,
            ev->u.pmtu.cause ? ev->u.pmtu.cause : "");
        return;
    case WEIR_EV_KIND_N: return;
    }
}

const char *wtr_text_event(const struct weir_event *ev, const char *host, char *buf, size_t cap)
{
    struct line l = {buf, cap, 0};
    char local[WEIR_ADDR_TEXT_CAP], remote[WEIR_ADDR_TEXT_CAP];
    put(&l, "%" PRIu64 ".%06" PRIu64 " %s ", ev->at / 1000000000, ev->at / 1000 % 1000000, host);
    if (ev->local && ev->remote) {
        bool is_in = ev->kind == WEIR_EV_SEG_IN || ev->kind == WEIR_EV_DGRAM_IN || ev->kind == WEIR_EV_ICMP_IN;
        put(&l, "%s %s %s ", weir_sockaddr_format(ev->local, local, sizeof local), is_in ? "<" : ">",
            weir_sockaddr_format(ev->remote, remote, sizeof remote));
    }
    put_body(&l, ev);
    return buf;
}
