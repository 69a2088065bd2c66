/*
 * Sequence numbers: what was sent, acknowledged, and never seen.
 *
 * A capture is one place on the way. What lies below the highest number seen and was not seen itself was lost before
 * the capture, overtaken, or missed by the capture; an acknowledgement of what was never seen tells the last.
 */
#include "doctor/parts.h"

#include <stdlib.h>
#include <string.h>

#define MID_PKTS     64u
#define MID_TIME     WEIR_SEC(1)
#define LATE_CAPTURE WEIR_MS(10) /* queues of a card deliver to a capture a little out of order */

void wdc_evidence_add(struct wdc_evidence *e, uint64_t frame)
{
    uint32_t i = e->n < WDC_FRAMES_MAX ? e->n : WDC_FRAMES_MAX - 1;
    if (i > 0 && e->frames[i - 1] == (uint32_t)frame)
        return;
    e->frames[i] = (uint32_t)frame;
    e->n += e->n < UINT32_MAX;
}

uint32_t wdc_mss(const struct wdc_conn *c, unsigned side)
{
    const struct wdc_half *h = &c->half[side];
    uint32_t mss = h->mss && c->half[!side].mss ? (h->mss < c->half[!side].mss ? h->mss : c->half[!side].mss) : 0;
    if (mss && h->has_ts && mss > 500)
        mss -= 12;
    if (!mss)
        mss = h->len_max && h->len_max < 1460 ? h->len_max : 1448;
    if (h->len_max > 100 && h->len_max < mss && h->data_pkts > 8)
        mss = h->len_max; /* the path lets less through than both ends would take */
    return mss;
}

void wdc_track_free(struct wdc *doc, struct wdc_half *h)
{
    doc->segs_held -= h->seg_cap;
    free(h->segs_ring);
}

/* ---- Where numbers begin ---- */

static void set_base(struct wdc_half *h, uint32_t seq, uint64_t off)
{
    h->base = seq - (uint32_t)off;
    h->nxt = h->una = off;
    h->has_base = true;
}

void wdc_track_base(struct wdc_step *s)
{
    const struct wtr_dissect *d = s->d;
    bool is_syn = d->flags & WIO_TCP_SYN;
    if (!s->me->has_base || (is_syn && !s->me->has_syn))
        set_base(s->me, d->seq, is_syn ? WDC_OFF0 : WDC_OFF0 + 1);
    if (!s->peer->has_base && d->flags & WIO_TCP_ACK && !is_syn)
        set_base(s->peer, d->ack, WDC_OFF0 + 1);
    if (!s->me->has_sent && !is_syn && !s->peer->has_sent)
        s->me->is_una_guess = true;
    s->lo = wdc_off(s->me, d->seq);
    s->hi = s->lo + d->len + is_syn + !!(d->flags & WIO_TCP_FIN);
    s->ack = s->peer->has_base ? wdc_off(s->peer, d->ack) : 0;
}

/* ---- Holes ---- */

static void hole_drop(struct wdc_half *h, uint32_t i)
{
    memmove(&h->holes[i], &h->holes[i + 1], (--h->hole_n - i) * sizeof h->holes[0]);
}

static void hole_missed(struct wdc_half *h, uint32_t i)
{
    const struct wdc_hole *o = &h->holes[i];
    if (o->is_old) {
        hole_drop(h, i);
        return;
    }
    h->missed_bytes += o->hi - o->lo;
    wdc_evidence_add(&h->missed, o->frame);
    hole_drop(h, i);
}

static void hole_add(struct wdc_step *s, struct wdc_half *h, uint64_t lo, uint64_t hi, bool is_acked)
{
    if (h->hole_n == WDC_HOLES_MAX) {
        if (h->holes[0].acked_at)
            hole_missed(h, 0);
        else
            hole_drop(h, 0);
    }
    weir_ns quiet = h->last_data_at && !is_acked ? wdc_since(s->at, h->last_data_at) : 0;
    h->holes[h->hole_n++] = (struct wdc_hole){
        .lo = lo,
        .hi = hi,
        .at = s->at,
        .frame = s->number,
        .acked_at = is_acked ? s->at : 0,
        .is_old = s->conn->is_mid && h->data_pkts < MID_PKTS && wdc_since(s->at, s->conn->began) < MID_TIME,
        .waited = quiet >= WDC_TIMER_MIN ? quiet : 0,
        .next_tsval = s->d->tsval,
        .next_id = s->d->ip_id,
        .has_next_ts = !is_acked && s->d->has_ts,
    };
}

/* What was acknowledged and does not come late either was missed by the capture. */
static void holes_age(struct wdc_half *h, weir_ns now)
{
    for (uint32_t i = 0; i < h->hole_n;) {
        if (h->holes[i].acked_at && wdc_since(now, h->holes[i].acked_at) > LATE_CAPTURE)
            hole_missed(h, i);
        else
            i++;
    }
}

static void holes_acked(struct wdc_half *h, uint64_t una, weir_ns now)
{
    for (uint32_t i = 0; i < h->hole_n; i++)
        if (h->holes[i].hi <= una && !h->holes[i].acked_at)
            h->holes[i].acked_at = now ? now : 1;
}

/* Bytes arrive below the highest: those that fill holes, and those that were seen before. */
static void place_below(struct wdc_step *s, uint64_t lo, uint64_t hi)
{
    struct wdc_half *h = s->me;
    uint64_t filled = 0;
    for (uint32_t i = 0; i < h->hole_n && h->holes[i].lo < hi;) {
        struct wdc_hole *o = &h->holes[i];
        uint64_t from = lo > o->lo ? lo : o->lo, to = hi < o->hi ? hi : o->hi;
        if (from >= to) {
            i++;
            continue;
        }
        filled += to - from;
        wdc_again_fill(s, o, from, to);
        if (from > o->lo && to < o->hi && h->hole_n < WDC_HOLES_MAX) {
            memmove(o + 1, o, (h->hole_n - i) * sizeof *o);
            h->hole_n++;
            o[0].hi = from;
            o[1].lo = to;
            i += 2;
        } else if (from > o->lo) {
            o->hi = from;
            i++;
        } else if (to < o->hi) {
            o->lo = to;
            i++;
        } else {
            hole_drop(h, i);
        }
    }
    if (filled == 0)
        wdc_again_seen(s, lo, hi);
}

/* ---- Acknowledgements ---- */

static void look_at_sack(struct wdc_step *s)
{
    struct wdc_half *h = s->peer;
    for (unsigned i = 0; i < s->d->sack_n; i++) {
        uint64_t lo = wdc_off(h, s->d->sack[2 * i]), hi = wdc_off(h, s->d->sack[2 * i + 1]);
        if (hi <= lo)
            continue;
        /* RFC 2883: the first block reports a duplicate, when it is below the ACK or within the second. */
        bool is_in_second =
            i == 0 && s->d->sack_n > 1 && lo >= wdc_off(h, s->d->sack[2]) && hi <= wdc_off(h, s->d->sack[3]);
        if (i == 0 && (hi <= s->ack || is_in_second))
            wdc_again_dsack(s, lo, hi);
        else if (hi > h->sack_high)
            h->sack_high = hi;
    }
}

/* The newest segment that an ACK covers, if it was sent once, tells the round trip: RFC 6298 3 (Karn). Not so where
 * something was missing before it: then it may have arrived long ago. */
static void measure(struct wdc_step *s, uint64_t una)
{
    struct wdc_half *h = s->peer;
    const struct wdc_seg *newest = NULL;
    if (h->sack_high > h->una || h->dup_n || h->una < h->recover)
        return;
    for (uint32_t i = 0; i < h->seg_n; i++) {
        const struct wdc_seg *seg = wdc_segs_at(h, i);
        if (seg->lo + seg->len > una)
            break;
        newest = seg->again_n ? NULL : seg;
    }
    if (newest)
        wdc_rtt_sample(&h->rtt, s->number, wdc_since(s->at, newest->at), newest->flight, !(s->d->flags & WIO_TCP_SYN));
}

static void advance(struct wdc_step *s)
{
    struct wdc_half *h = s->peer;
    uint32_t longest = 0;
    measure(s, s->ack);
    for (uint32_t i = 0; i < h->seg_n; i++) {
        const struct wdc_seg *seg = wdc_segs_at(h, i);
        if (seg->lo + seg->len > s->ack)
            break;
        if (seg->len > longest && seg->again_n == 0)
            longest = seg->len;
    }
    if (longest > h->seg_len_acked_max)
        h->seg_len_acked_max = longest;
    wdc_again_acked(s, s->ack);
    wdc_segs_drop(s->doc, h, s->ack);
    holes_acked(h, s->ack, s->at);
    h->una = s->ack;
    h->una_at = s->at;
    h->dup_n = 0;
    h->timeout_run = h->chain_lost = h->chain_tails = 0;
    h->chain_tails_ns = 0;
    if (h->stuck_n && h->stuck_lo < s->ack) { /* what got through at last may have been shorter than what did not */
        if (h->stuck_len > h->seg_len_acked_max)
            h->seg_len_acked_max = h->stuck_len;
        h->stuck_n = 0;
    }
}

void wdc_track_ack(struct wdc_step *s)
{
    struct wdc_half *h = s->peer;
    if (!(s->d->flags & WIO_TCP_ACK) || !h->has_base || s->is_odd)
        return;
    holes_age(h, s->at);
    if (s->ack > h->nxt) {
        if (s->ack - h->nxt > UINT32_C(1) << 30)
            return; /* nonsense */
        if (h->has_sent)
            hole_add(s, h, h->nxt, s->ack, true);
        h->nxt = s->ack;
    }
    if (h->is_una_guess && s->ack < h->una)
        h->una = s->ack;
    h->is_una_guess = false;
    if (s->ack > h->una)
        wdc_again_overtaken(s);
    if (s->d->sack_n)
        look_at_sack(s);
    if (s->ack > h->una) {
        advance(s);
    } else if (s->ack == h->una && s->d->len == 0 && !(s->d->flags & (WIO_TCP_SYN | WIO_TCP_FIN)) && h->nxt > h->una &&
               (s->d->win == s->me->win_raw || s->d->sack_n)) {
        h->dup_n++;
        h->recover = h->nxt;
    }
}

void wdc_track_window(struct wdc_step *s)
{
    struct wdc_half *me = s->me;
    const struct wtr_dissect *d = s->d;
    bool is_syn = d->flags & WIO_TCP_SYN;
    bool is_scaled = me->wscale > 0 && (s->peer->wscale >= 0 || !s->peer->has_syn);
    unsigned shift = !is_syn && is_scaled ? (unsigned)me->wscale : 0;
    uint64_t win = (uint64_t)d->win << shift;
    if (!(d->flags & WIO_TCP_ACK) && !is_syn)
        return;
    if (s->peer->has_base && s->ack < s->peer->una && !is_syn)
        return; /* an old one */
    if (win == 0 && !is_syn)
        s->peer->pace.was_zero = true;
    if (win == 0 && !is_syn && me->win > 0) {
        me->zero_n++;
        me->zero_at = s->at ? s->at : 1;
        wdc_evidence_add(&me->zero, s->number);
    } else if (win > 0 && me->zero_at) {
        weir_ns took = wdc_since(s->at, me->zero_at);
        me->zero_ns += took;
        if (took > me->zero_max_ns)
            me->zero_max_ns = took;
        me->zero_at = 0;
        wdc_evidence_add(&me->zero, s->number);
    }
    me->win_raw = d->win;
    me->win = win;
    if (!is_syn && d->win > me->win_raw_max)
        me->win_raw_max = d->win;
    if (!is_syn && win > me->win_max)
        me->win_max = win;
    if (s->peer->has_base && d->flags & WIO_TCP_ACK) {
        s->peer->edge = s->ack + win;
        wdc_pace_ack(s);
    }
}

/* ---- Data ---- */

/* Asks whether somebody is there, or whether a window has opened: it carries what was acknowledged long ago. */
static bool is_probe(struct wdc_step *s)
{
    struct wdc_half *h = s->me;
    const struct wtr_dissect *d = s->d;
    if (d->len > 1 || d->flags & (WIO_TCP_SYN | WIO_TCP_FIN))
        return false;
    if (s->peer->win == 0 && s->peer->has_sent && (s->lo + 1 == h->una || (d->len == 1 && s->lo == h->una)))
        return true; /* of a closed window */
    if (s->lo + 1 != h->nxt || h->una < h->nxt)
        return false;
    h->keepalive_n++;
    h->keepalive_run++;
    if (h->keepalive_run > h->keepalive_run_max)
        h->keepalive_run_max = h->keepalive_run;
    h->keepalive_at = s->at;
    wdc_evidence_add(&h->probes, s->number);
    return true;
}

static void push_seg(struct wdc_step *s, uint64_t lo, uint64_t hi)
{
    struct wdc_seg seg = {.lo = lo,
                          .len = (uint32_t)(hi - lo),
                          .flight = (uint32_t)(hi - s->me->una),
                          .at = s->at,
                          .frame = s->number,
                          .tsval = s->d->tsval,
                          .has_ts = s->d->has_ts};
    if (hi > s->me->una)
        wdc_segs_push(s->doc, s->me, &seg);
}

static void count_data(struct wdc_step *s)
{
    struct wdc_half *h = s->me;
    h->data_pkts++;
    h->segs += wdc_segs_of(s->d->len, wdc_mss(s->conn, s->side));
    h->last_data_at = s->at;
    h->data_frame = s->number;
}

void wdc_track_data(struct wdc_step *s)
{
    struct wdc_half *h = s->me;
    s->peer->keepalive_run = 0; /* it says something, so it is there */
    if (is_probe(s) || s->hi == s->lo)
        return;
    if (s->lo > h->nxt + (UINT32_C(1) << 30) || s->hi + (UINT32_C(1) << 30) < h->nxt)
        return; /* nonsense */
    if (s->conn->is_mid && s->hi <= WDC_OFF0 + 1)
        return; /* from before the capture */
    holes_age(h, s->at);
    if (s->d->len > h->len_max)
        h->len_max = s->d->len;
    uint64_t old = h->nxt;
    if (s->d->len && s->hi > old) {
        wdc_pace_data(s);
        if (s->lo == old)
            wdc_again_tail(s);
    }
    if (s->lo < old)
        place_below(s, s->lo, s->hi < old ? s->hi : old);
    if (s->lo > old)
        hole_add(s, h, old, s->lo, false);
    if (s->hi > old) {
        h->nxt = s->hi;
        push_seg(s, s->lo > old ? s->lo : old, s->hi);
    }
    if (s->d->len)
        count_data(s);
}

void wdc_track_end(struct wdc_conn *c, unsigned side)
{
    struct wdc_half *h = &c->half[side];
    holes_age(h, UINT64_MAX);
    wdc_again_end(h);
    if (h->zero_at) {
        weir_ns took = wdc_since(c->last_at, h->zero_at);
        h->zero_ns += took;
        if (took > h->zero_max_ns)
            h->zero_max_ns = took;
    }
}
