/*
 * From events and notes to the record, the story, the trace and the capture.
 */
#include "lab/lab.h"

#include "doctor/live.h"
#include "io/frame.h"
#include "trace/capture.h"
#include "trace/json.h"
#include "trace/report.h"
#include "trace/story.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <weir/stack.h>

/* ---- Events of stacks ---- */

static bool is_retransmission(enum weir_why why)
{
    return why >= WEIR_WHY_REXMIT_RTO && why <= WEIR_WHY_REXMIT_SYN;
}

static void take_segment(struct wlb_entry *e, const struct weir_event *ev)
{
    const struct weir_ev_seg *s = &ev->u.seg;
    e->is_tcp = true;
    e->seq = s->seq_rel;
    e->ack = s->ack_rel;
    e->len = s->len;
    e->win = s->wnd_bytes;
    e->flags = s->flags;
    e->sack_n = s->sack_n;
    e->text = weir_why_text(s->why);
    e->is_again = is_retransmission(s->why);
}

static const char *neigh_state(int state)
{
#define NAME(name) #name,
    static const char *const names[] = {WEIR_NEIGH_LIST(NAME)};
#undef NAME
    return state >= 0 && state < (int)(sizeof names / sizeof names[0]) ? names[state] : "";
}

static void take_by_kind(struct wlb_entry *e, const struct weir_event *ev)
{
    switch (ev->kind) {
    case WEIR_EV_SEG_OUT:
    case WEIR_EV_SEG_IN: take_segment(e, ev); return;
    case WEIR_EV_STATE:
        e->from = weir_tcp_state_name(ev->u.state.from);
        e->to = weir_tcp_state_name(ev->u.state.to);
        e->edge = wlb_edge_name(e->from, e->to);
        e->text = ev->u.state.cause;
        return;
    case WEIR_EV_REXMIT:
        e->text = weir_why_text(ev->u.rexmit.why);
        e->seq = ev->u.rexmit.seq_rel;
        e->len = ev->u.rexmit.len;
        return;
    case WEIR_EV_DROP:
        e->text = weir_drop_name(ev->u.drop.reason);
        e->drop = ev->u.drop.reason;
        return;
    case WEIR_EV_RTT: e->value = (double)ev->u.rtt.sample; return;
    case WEIR_EV_CWND:
        e->text = ev->u.cwnd.cause;
        e->value = ev->u.cwnd.cwnd_before_bytes;
        return;
    case WEIR_EV_TIMER:
        e->text = weir_timer_text(ev->u.timer.which);
        e->value = ev->u.timer.backoff;
        return;
    case WEIR_EV_NEIGH:
        e->from = neigh_state(ev->u.neigh.from);
        e->to = neigh_state(ev->u.neigh.to);
        return;
    case WEIR_EV_DGRAM_OUT:
    case WEIR_EV_DGRAM_IN: e->len = ev->u.dgram.len; return;
    case WEIR_EV_ICMP_IN: e->value = ev->u.icmp.err; return;
    case WEIR_EV_CLOSE: e->value = ev->u.close.err; return;
    case WEIR_EV_PMTU:
        e->text = ev->u.pmtu.cause;
        e->value = ev->u.pmtu.size_bytes;
        return;
    case WEIR_EV_KIND_N: return;
    }
}

static double bytes_or_none(uint32_t v)
{
    return v == UINT32_MAX ? (double)INFINITY : (double)v;
}

static void record_event(struct wlb_lab *lab, const struct wsim_host *h, const struct weir_event *ev)
{
    struct wlb_entry *e = wlb_record_add(&lab->record);
    if (!e)
        return;
    e->kind = WLB_EVENT;
    e->event = ev->kind;
    e->at = ev->at - lab->zero;
    e->host = h->name;
    e->conn = (unsigned)ev->conn_id;
    e->src_port = ev->local ? ev->local->port : 0;
    e->dst_port = ev->remote ? ev->remote->port : 0;
    e->cwnd = ev->conn.cwnd_bytes;
    e->ssthresh = bytes_or_none(ev->conn.ssthresh_bytes);
    e->flight = ev->conn.flight_bytes;
    e->srtt = (double)ev->conn.srtt;
    e->rto = (double)ev->conn.rto;
    e->peer_win = ev->conn.snd_wnd_bytes;
    e->memory = (double)h->mem_bytes;
    take_by_kind(e, ev);
    if (ev->kind == WEIR_EV_CLOSE && ev->u.close.ledger)
        e->ledger = wlb_record_ledger(&lab->record, ev->u.close.ledger);
}

/* The side of the first link that a host is, which the story tells of. */
static bool side_of(const struct wlb_lab *lab, const struct wsim_host *h, enum wio_side *side)
{
    for (int s = 0; lab->link_n && s < 2; s++) {
        if (lab->links[0].ends[s] == h) {
            *side = (enum wio_side)s;
            return true;
        }
    }
    return false;
}

static bool is_live(enum weir_tcp_state s)
{
    return s != WEIR_TCP_CLOSED && s != WEIR_TCP_LISTEN && s != WEIR_TCP_TIME_WAIT;
}

static void follow_state(struct wlb_lab *lab, const struct wsim_host *h, const struct weir_event *ev)
{
    lab->live_n += is_live(ev->u.state.to) - is_live(ev->u.state.from);
    if (ev->u.state.to != WEIR_TCP_LISTEN || !ev->local)
        return;
    wlb_procs_on_listen(lab, h, ev->local->port);
    wlb_real_on_listen(lab, h, ev->local->port);
}

void wlb_on_event(void *ctx, struct wsim_host *h, const struct weir_event *ev)
{
    struct wlb_lab *lab = ctx;
    enum wio_side side;
    if (!lab->is_recording)
        return;
    record_event(lab, h, ev);
    if (ev->kind == WEIR_EV_STATE)
        follow_state(lab, h, ev);
    if (lab->json)
        wtr_json_event(lab->json, h->name, ev);
    if (lab->report)
        wtr_report_event(lab->report, wtr_report_host(lab->report, h->name), ev);
    if (!side_of(lab, h, &side))
        return;
    wtr_story_event(lab->story, side, ev);
    if (lab->capture)
        wtr_capture_event(lab->capture, side, ev);
}

/* ---- Packets on links ---- */

static size_t hash_flow(unsigned link, const struct weir_sockaddr *src, const struct weir_sockaddr *dst)
{
    uint64_t h = (uint64_t)link << 32 | (uint64_t)src->port << 16 | dst->port;
    for (unsigned i = 0; i < 16; i++)
        h = (h ^ src->addr.b[i] ^ (uint64_t)dst->addr.b[i] << 8) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(h >> 20);
}

static bool is_flow(const struct wlb_wire_flow *f, unsigned link, const struct weir_sockaddr *src,
                    const struct weir_sockaddr *dst)
{
    return f->link == link && f->src.port == src->port && f->dst.port == dst->port &&
           weir_addr_equal(&f->src.addr, &src->addr) && weir_addr_equal(&f->dst.addr, &dst->addr);
}

static struct wlb_wire_flow *flow_place(struct wlb_wire_flow *table, size_t cap, unsigned link,
                                        const struct weir_sockaddr *src, const struct weir_sockaddr *dst)
{
    size_t i = hash_flow(link, src, dst) % cap;
    while (table[i].link && !is_flow(&table[i], link, src, dst))
        i = (i + 1) % cap;
    return &table[i];
}

static bool grow_flows(struct wlb_lab *lab)
{
    size_t cap = lab->flow_cap ? lab->flow_cap * 2 : 64;
    struct wlb_wire_flow *table = calloc(cap, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < lab->flow_cap; i++) {
        const struct wlb_wire_flow *f = &lab->flows[i];
        if (f->link)
            *flow_place(table, cap, f->link, &f->src, &f->dst) = *f;
    }
    free(lab->flows);
    lab->flows = table;
    lab->flow_cap = cap;
    return true;
}

/* NULL: there is no memory, or it has no ports. */
static struct wlb_wire_flow *flow_of(struct wlb_lab *lab, unsigned link, const struct weir_sockaddr *src,
                                     const struct weir_sockaddr *dst)
{
    if (!src->port || (lab->flow_n * 2 >= lab->flow_cap && !grow_flows(lab)))
        return NULL;
    struct wlb_wire_flow *f = flow_place(lab->flows, lab->flow_cap, link, src, dst);
    if (!f->link) {
        f->link = link;
        f->src = *src;
        f->dst = *dst;
        lab->flow_n++;
    }
    return f;
}

bool wlb_first_seq(const struct wlb_lab *lab, unsigned link, const struct weir_sockaddr *src,
                   const struct weir_sockaddr *dst, uint32_t *iss)
{
    const struct wlb_wire_flow *f = lab->flow_cap ? flow_place(lab->flows, lab->flow_cap, link, src, dst) : NULL;
    if (!f || !f->is_known)
        return false;
    *iss = f->iss;
    return true;
}

static void take_tcp(struct wlb_lab *lab, struct wlb_entry *e, const struct wio_frame *f)
{
    struct wlb_wire_flow *own = flow_of(lab, e->link, &f->src, &f->dst);
    uint32_t end = f->seq + f->len + ((f->flags & WIO_TCP_SYN) != 0) + ((f->flags & WIO_TCP_FIN) != 0);
    e->is_tcp = true;
    e->flags = f->flags;
    e->seq = f->seq;
    e->ack = f->ack;
    if (!own)
        return;
    if (f->flags & WIO_TCP_SYN && (!own->is_known || own->iss != f->seq)) {
        own->is_known = true;
        own->iss = own->snd_max = f->seq;
    }
    if (own->is_known) {
        e->seq = f->seq - own->iss;
        e->is_again = end != f->seq && (int32_t)(f->seq - own->snd_max) < 0;
        if ((int32_t)(end - own->snd_max) > 0)
            own->snd_max = end;
    }
    const struct wlb_wire_flow *back = flow_of(lab, e->link, &f->dst, &f->src);
    if (back && back->is_known && f->flags & WIO_TCP_ACK)
        e->ack = f->ack - back->iss;
}

static void take_ecn(struct wlb_entry *e, const struct weir_pkt *pkt, enum weir_link_type type)
{
    uint8_t head[2] = {0};
    if (weir_pkt_copy(pkt, type == WEIR_LINK_ETHERNET ? 14 : 0, head, 2) != 2)
        return;
    unsigned ecn = head[0] >> 4 == 4 ? head[1] & 3u : head[1] >> 4 & 3u;
    e->is_ect = ecn != 0;
    e->is_ce = ecn == 3;
}

static void record_wire(struct wlb_lab_link *l, const struct wio_link_note *note)
{
    struct wlb_entry *e = wlb_record_add(&l->lab->record);
    if (!e)
        return;
    struct wio_frame f = wio_frame_look(note->pkt, l->cfg.type);
    e->kind = WLB_WIRE;
    e->at = note->at - l->lab->zero;
    const struct wsim_host *sender = l->ends[note->dir == WIO_UP ? WIO_NEAR : WIO_FAR];
    e->host = sender->name;
    e->memory = (double)sender->mem_bytes;
    e->src_port = f.src.port;
    e->dst_port = f.dst.port;
    e->len = f.len;
    e->drop = note->drop;
    e->text = note->drop ? weir_drop_name(note->drop) : "";
    e->is_corrupted = note->is_corrupted;
    e->is_duplicated = note->is_duplicated;
    e->is_reordered = note->is_reordered;
    e->is_marked = note->is_marked;
    e->link = l->index + 1;
    e->size = note->pkt->len;
    e->queued = note->drop ? 0 : (double)(note->due - note->at) - (double)l->cfg.dir[note->dir].delay;
    e->due = note->drop ? e->at + l->cfg.dir[note->dir].delay : note->due - l->lab->zero;
    take_ecn(e, note->pkt, l->cfg.type);
    e->head_len =
        (uint8_t)weir_pkt_copy(note->pkt, l->cfg.type == WEIR_LINK_ETHERNET ? 14 : 0, e->head, sizeof e->head);
    if (f.proto == 6)
        take_tcp(l->lab, e, &f);
}

/* ---- Switches ---- */

static bool is_to_many(const struct weir_pkt *pkt, enum weir_link_type type)
{
    uint8_t head[20];
    size_t at = type == WEIR_LINK_ETHERNET ? 14 : 0;
    return weir_pkt_copy(pkt, at, head, sizeof head) == sizeof head && head[0] >> 4 == 4 && head[16] >= 224;
}

static void copy_onto(struct wlb_lab_link *l, enum wio_side from, const struct weir_pkt *pkt)
{
    uint8_t bytes[2048];
    size_t len = weir_pkt_copy(pkt, 0, bytes, sizeof bytes);
    struct weir_pkt *copy = len == pkt->len ? weir_pkt_from(wsim_pool(l->ends[from]), bytes, len) : NULL;
    if (copy)
        wsim_link_send(l->lab->world, l->index + 1, from, copy);
}

/* What came to a switch for many goes on over its other links. */
static void flood_on(const struct wlb_lab_link *in, const struct wio_link_note *note)
{
    struct wlb_lab *lab = in->lab;
    const struct wsim_host *h = in->ends[note->dir == WIO_UP ? WIO_FAR : WIO_NEAR];
    unsigned host = 0;
    while (host < lab->host_n && lab->hosts[host] != h)
        host++;
    if (host == lab->host_n || !lab->is_switch[host] || !is_to_many(note->pkt, in->cfg.type))
        return;
    for (unsigned i = 0; i < lab->link_n; i++) {
        struct wlb_lab_link *l = &lab->links[i];
        if (l != in && l->cfg.type == in->cfg.type && (l->ends[0] == h || l->ends[1] == h))
            copy_onto(l, l->ends[0] == h ? WIO_NEAR : WIO_FAR, note->pkt);
    }
}

void wlb_on_note(void *ctx, const struct wio_link_note *note)
{
    struct wlb_lab_link *l = ctx;
    struct wlb_lab *lab = l->lab;
    if (!lab->is_recording)
        return;
    if (note->what == WIO_NOTE_SENT)
        record_wire(l, note);
    else
        flood_on(l, note);
    if (lab->json)
        wtr_json_link(lab->json, "link", note, l->cfg.type);
    if (lab->report)
        wtr_report_link(lab->report, wtr_report_host(lab->report, l->ends[WIO_NEAR]->name),
                        wtr_report_host(lab->report, l->ends[WIO_FAR]->name), note, l->cfg.type);
    if (lab->doctor)
        wdc_live_link(lab->doctor, l->index, l->cfg.type, note);
    if (l->index > 0)
        return;
    wtr_story_link(lab->story, note);
    if (lab->capture)
        wtr_capture_link(lab->capture, note);
}

/* ---- Calls ---- */

struct wlb_entry *wlb_call_returned(struct wlb_lab *lab, const struct wsim_host *h, const char *call, int64_t result,
                                    weir_ns began)
{
    struct wlb_entry *e = wlb_record_add(&lab->record);
    if (!e)
        return NULL;
    weir_ns now = wsim_now(lab->world);
    e->kind = WLB_CALL;
    e->at = now - lab->zero;
    e->host = h->name;
    e->text = call;
    e->value = (double)result;
    e->took = now - began;
    e->memory = (double)h->mem_bytes;
    return e;
}
