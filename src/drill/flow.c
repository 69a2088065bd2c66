/*
 * The mapping of numbers (flow.h).
 */
#include "drill/flow.h"

#include <stddef.h>
#include <string.h>

void wdr_flow_renew(struct wdr_flow *f)
{
    f->may_renew = true;
}

struct wdr_opt *wdr_packet_opt(struct wdr_packet *p, uint8_t kind)
{
    for (unsigned i = 0; i < p->opt_n; i++) {
        if (p->opts[i].kind == kind && !p->opts[i].is_raw)
            return &p->opts[i];
    }
    return NULL;
}

/* ---- Time stamps ---- */

void wdr_flow_learn_stamp(struct wdr_flow *f, uint32_t script, uint32_t wire)
{
    if (f->stamp_n == WDR_STAMPS_MAX) {
        memmove(f->stamps, f->stamps + 1, sizeof f->stamps - sizeof f->stamps[0]);
        f->stamp_n--;
    }
    f->stamps[f->stamp_n].script = script;
    f->stamps[f->stamp_n++].wire = wire;
}

/* A stamp that was never seen is as far from the latest one as the script says. */
static uint32_t stamp_to_wire(const struct wdr_flow *f, uint32_t script)
{
    for (unsigned i = f->stamp_n; i-- > 0;) {
        if (f->stamps[i].script == script)
            return f->stamps[i].wire;
    }
    return f->stamp_n ? script + f->stamps[f->stamp_n - 1].wire - f->stamps[f->stamp_n - 1].script : script;
}

static uint32_t stamp_to_script(const struct wdr_flow *f, uint32_t wire)
{
    for (unsigned i = f->stamp_n; i-- > 0;) {
        if (f->stamps[i].wire == wire)
            return f->stamps[i].script;
    }
    return f->stamp_n ? wire + f->stamps[f->stamp_n - 1].script - f->stamps[f->stamp_n - 1].wire : wire;
}

/* ---- Packets ---- */

/* The peer's SYN answers the stack's, and its number counts at once; else it counts when the stack answers it. */
static void note_peer_syn(struct wdr_flow *f, uint32_t seq)
{
    f->has_peer_syn = !f->is_opening;
    f->peer_syn = seq;
    if (f->is_opening)
        f->peer_isn = seq;
    f->is_opening = false;
}

static void note_own_syn(struct wdr_flow *f, const struct wdr_packet *p, const struct wdr_packet *want)
{
    f->has_isn = true;
    f->may_renew = false;
    f->shift = p->seq - (want ? want->seq : 0);
    f->is_opening = !p->has_ack;
    if (p->has_ack && f->has_peer_syn)
        f->peer_isn = f->peer_syn;
    f->has_peer_syn = false;
}

void wdr_flow_to_wire(struct wdr_flow *f, struct wdr_packet *p)
{
    struct wdr_opt *ts = wdr_packet_opt(p, WDR_OPT_TS), *sack = wdr_packet_opt(p, WDR_OPT_SACK);
    if (p->proto == WDR_ICMP) {
        p->quote.seq += f->has_isn ? f->shift : 0;
        return;
    }
    if (p->proto != WDR_TCP)
        return;
    if (p->flags & WDR_SYN)
        note_peer_syn(f, p->seq);
    else
        p->seq += f->peer_isn;
    if (p->has_ack && f->has_isn)
        p->ack += f->shift;
    if (ts && !(p->flags & WDR_SYN && !(p->flags & WDR_ACK))) /* a first SYN echoes nothing */
        ts->b = stamp_to_wire(f, ts->b);
    for (unsigned i = 0; sack && f->has_isn && i < sack->sack_n; i++) {
        sack->sack[i].lo += f->shift;
        sack->sack[i].hi += f->shift;
    }
}

static void count_from_peer_isn(const struct wdr_flow *f, struct wdr_packet *p)
{
    struct wdr_opt *sack = wdr_packet_opt(p, WDR_OPT_SACK);
    if (p->has_ack)
        p->ack -= f->peer_isn;
    for (unsigned i = 0; sack && i < sack->sack_n; i++) {
        sack->sack[i].lo -= f->peer_isn;
        sack->sack[i].hi -= f->peer_isn;
    }
}

void wdr_flow_to_script(struct wdr_flow *f, struct wdr_packet *p, const struct wdr_packet *want)
{
    struct wdr_opt *ts = wdr_packet_opt(p, WDR_OPT_TS);
    struct wdr_packet copy;
    if (p->proto == WDR_ICMP)
        return;
    if (p->proto != WDR_TCP)
        return;
    if ((p->flags & WDR_SYN) && (!f->has_isn || (f->may_renew && p->seq - f->shift != (want ? want->seq : 0))))
        note_own_syn(f, p, want);
    p->seq -= f->has_isn ? f->shift : 0;
    if (!(p->flags & WDR_SYN))
        count_from_peer_isn(f, p);
    if (!ts)
        return;
    if (want) {
        copy = *want;
        const struct wdr_opt *wanted = wdr_packet_opt(&copy, WDR_OPT_TS);
        if (wanted) {
            wdr_flow_learn_stamp(f, wanted->a, ts->a);
            ts->a = wanted->a;
            return;
        }
    }
    ts->a = stamp_to_script(f, ts->a);
}
