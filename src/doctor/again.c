/*
 * Retransmissions: were they needed, what made the sender send them, and what was lost. Holes that fill: late, or
 * again?
 *
 * Where a segment is seen twice, it was lost behind the capture, or was never lost. Then the receiver tells: by a
 * duplicate SACK (RFC 2883), by the timestamp that it echoes (RFC 3522), or by answering sooner than it could.
 */
#include "doctor/parts.h"

#define WDC_TIMER_MIN WEIR_MS(150) /* nobody's timer is shorter, but where it was tuned */
#define TUNED_MIN     WEIR_MS(10)
#define TAIL_SEGS     3u          /* fewer than three segments behind a loss draw fewer than three duplicate ACKs */
#define TS_TICK       WEIR_MS(11) /* the coarsest clocks of timestamps in use */
#define LONG_WAIT     WEIR_SEC(1) /* of a needless one: not for a single ACK that was lost */
#define REORDER_MIN   WEIR_MS(2)
#define ID_WINDOW     1000

static void note_timer(struct wdc_half *h, weir_ns waited, bool is_tail, uint64_t frame)
{
    if (!waited)
        return;
    wdc_evidence_add(is_tail ? &h->tails : &h->timeouts, frame);
    if (!is_tail) {
        h->timeouts_ns += waited;
        return;
    }
    h->tails_ns += waited;
    h->chain_tails++;
    h->chain_tails_ns += waited;
}

static void note_lost(struct wdc_half *h, uint64_t lo, uint64_t hi, uint32_t segs, uint64_t frame)
{
    h->lost_segs += segs;
    h->chain_lost += segs;
    h->burst = lo == h->burst_hi ? h->burst + segs : segs;
    h->burst_n += h->burst == segs;
    h->burst_hi = hi;
    if (h->burst > h->burst_max)
        h->burst_max = h->burst;
    wdc_evidence_add(&h->lost, frame);
    if (h->vain_wait && lo < h->vain_until)
        note_timer(h, h->vain_wait, false, h->vain_frame);
    h->vain_wait = 0;
}

/* Did a timer make the sender send? How long it had waited then; 0: no. */
static weir_ns timer_wait(const struct wdc_step *s, weir_ns last_sent)
{
    const struct wdc_half *h = s->me;
    weir_ns quiet = wdc_since(s->at, last_sent > h->last_data_at ? last_sent : h->last_data_at);
    weir_ns peer_quiet = wdc_since(s->at, s->peer->last_at), near = wdc_near(s->conn, s->side);
    weir_ns trip = wdc_round_trip(s->conn);
    bool has_hints = h->dup_n >= 3 || h->sack_high > h->una;
    if (quiet >= WDC_TIMER_MIN && peer_quiet >= WDC_TIMER_MIN / 2 + near)
        return quiet;
    return quiet >= TUNED_MIN && trip && quiet > 5 * trip && peer_quiet > 2 * trip && !has_hints ? quiet : 0;
}

/* A tail loss probe comes two round trips behind the last segment (RFC 8985 7.2). */
static weir_ns probe_wait(const struct wdc_step *s, weir_ns last_sent)
{
    weir_ns quiet = wdc_since(s->at, last_sent), trip = wdc_round_trip(s->conn);
    return trip && quiet > TUNED_MIN && quiet > trip * 3 / 2 && wdc_since(s->at, s->peer->last_at) > trip / 2 ? quiet
                                                                                                              : 0;
}

static bool counts_ids(const struct wdc_half *h)
{
    return h->id_steps >= 4 && h->id_steps > 4 * h->id_jumps;
}

/* ---- Holes ---- */

/* Was it sent before what lies above, and is only late? */
static bool is_late(const struct wdc_step *s, const struct wdc_hole *o)
{
    const struct wtr_dissect *d = s->d;
    weir_ns age = wdc_since(s->at, o->at), trip = wdc_round_trip(s->conn);
    int16_t id = (int16_t)(d->ip_id - o->next_id);
    if (o->has_next_ts && d->has_ts && d->tsval != o->next_tsval)
        return (int32_t)(d->tsval - o->next_tsval) < 0;
    if (o->has_next_ts && d->has_ts && (age > TS_TICK || trip > TS_TICK))
        return true; /* sent again it would have a later stamp */
    if (counts_ids(s->me) && d->ip_id && id != 0 && id > -ID_WINDOW && id < ID_WINDOW)
        return id < 0;
    return trip ? age < trip * 6 / 10 || age < trip / 2 + WEIR_US(100) : age < REORDER_MIN;
}

void wdc_again_fill(struct wdc_step *s, struct wdc_hole *o, uint64_t lo, uint64_t hi)
{
    struct wdc_half *h = s->me;
    uint32_t segs = wdc_segs_of(hi - lo, wdc_mss(s->conn, s->side));
    if (o->acked_at || o->is_old)
        return; /* the capture itself was late, or it is not known what was before it */
    if (is_late(s, o)) {
        weir_ns late = wdc_since(s->at, o->at);
        h->reordered++;
        if (late > h->reorder_late_max)
            h->reorder_late_max = late;
        wdc_evidence_add(&h->reorder, s->number);
        return;
    }
    h->upstream_segs += segs;
    h->pace.was_again = true;
    note_lost(h, lo, hi, segs, s->number);
    if (o->waited && !o->is_counted)
        note_timer(h, o->waited, true, o->frame);
    else
        note_timer(h, timer_wait(s, 0), false, s->number);
    o->is_counted = true;
}

void wdc_again_tail(struct wdc_step *s)
{
    struct wdc_half *h = s->me;
    weir_ns waited = wdc_since(s->at, h->last_data_at);
    int16_t step = (int16_t)(s->d->ip_id - h->id_last);
    if (!counts_ids(h) || step < 2 || step > 4 || waited < WDC_TIMER_MIN || !h->last_data_at)
        return;
    h->upstream_segs++;
    note_lost(h, s->lo, s->hi, 1, s->number);
    note_timer(h, waited, true, s->number);
}

/* ---- Retransmissions ---- */

static void settle(struct wdc_half *h, struct wdc_again *a, bool is_needed)
{
    a->what = is_needed ? WDC_AGAIN_NEEDED : WDC_AGAIN_NEEDLESS;
    if (is_needed) {
        note_lost(h, a->lo, a->hi, a->segs, a->frame);
        note_timer(h, a->waited, a->is_tail, a->frame);
        return;
    }
    h->needless_segs += a->segs;
    wdc_evidence_add(&h->needless, a->frame);
    if (h->timeout_run_max > 1) { /* the waiting was real */
        note_timer(h, a->waited, false, a->frame);
    } else if (a->waited && !a->is_tail) { /* and if more of that flight was lost, for good reason */
        h->vain_wait = a->waited;
        h->vain_frame = a->frame;
        h->vain_until = h->recover;
    }
}

static void note_stuck(struct wdc_step *s, uint64_t lo)
{
    struct wdc_half *h = s->me;
    if (h->stuck_n == 0 || h->stuck_lo != lo)
        h->stuck_n = 0;
    h->stuck_lo = lo;
    h->stuck_n++;
    h->stuck_len = s->d->len;
    if (h->stuck_n > h->stuck_n_max) {
        h->stuck_n_max = h->stuck_n;
        h->stuck_len_max = s->d->len;
    }
    if (h->stuck_n == 1) {
        h->stuck = (struct wdc_evidence){0};
        h->stuck_at = s->at;
    }
    wdc_evidence_add(&h->stuck, s->number);
}

static struct wdc_again *again_new(struct wdc_half *h)
{
    struct wdc_again *a = &h->agains[h->again_next++ % WDC_AGAINS_MAX];
    if (a->what == WDC_AGAIN_PENDING)
        settle(h, a, true);
    return a;
}

static void seen_pending(struct wdc_step *s, uint64_t lo, uint64_t hi)
{
    struct wdc_half *h = s->me;
    struct wdc_seg *seg = wdc_segs_find(h, lo > h->una ? lo : h->una);
    weir_ns last = seg ? seg->again_n ? seg->again_at : seg->at : 0;
    uint32_t mss = wdc_mss(s->conn, s->side);
    for (unsigned i = 0; i < WDC_AGAINS_MAX; i++) { /* the same once more: the last one was lost, too */
        struct wdc_again *a = &h->agains[i];
        if (a->what == WDC_AGAIN_PENDING && a->lo < hi && a->hi > lo)
            settle(h, a, true);
    }
    struct wdc_again *a = again_new(h);
    weir_ns waited = timer_wait(s, last);
    bool has_hints = h->dup_n > 0 || h->sack_high > lo;
    if (!waited && !has_hints && hi == h->nxt)
        waited = probe_wait(s, last);
    *a = (struct wdc_again){.lo = lo,
                            .hi = hi,
                            .frame = s->number,
                            .at = s->at,
                            .waited = waited,
                            .is_tail = !has_hints && h->nxt - lo <= (uint64_t)TAIL_SEGS * mss && h->timeout_run == 0,
                            .is_head = lo <= h->una,
                            .first_ts = seg ? seg->tsval : 0,
                            .ts = s->d->tsval,
                            .has_ts = seg && seg->has_ts && s->d->has_ts,
                            .segs = wdc_segs_of(hi - lo, mss),
                            .what = WDC_AGAIN_PENDING};
    h->recover = h->nxt;
    if (waited && ++h->timeout_run > h->timeout_run_max)
        h->timeout_run_max = h->timeout_run;
    note_stuck(s, lo);
    for (; seg && seg->lo < hi; seg = wdc_segs_find(h, seg->lo + seg->len)) {
        if (seg->again_n < UINT8_MAX)
            seg->again_n++;
        seg->again_at = s->at;
    }
}

/* Was it sent once, and came twice? Nobody sends again before an answer could be there. */
static bool is_copy(const struct wdc_step *s, uint64_t lo, uint64_t hi)
{
    struct wdc_half *h = s->me;
    const struct wtr_dissect *d = s->d;
    const struct wdc_seg *seg = wdc_segs_find(h, lo);
    weir_ns soon = wdc_round_trip(s->conn) / 2;
    if (seg && hi > h->una)
        return (d->has_ts && seg->has_ts ? d->tsval == seg->tsval : seg->again_n == 0) &&
               wdc_since(s->at, seg->at) < soon;
    if (d->has_ts && h->has_ts && (int32_t)(d->tsval - h->ts_newest) > 0)
        return false;
    return wdc_since(s->at, wdc_pace_acked_at(h, hi)) < soon;
}

void wdc_again_seen(struct wdc_step *s, uint64_t lo, uint64_t hi)
{
    struct wdc_half *h = s->me;
    if (s->d->flags & WIO_TCP_SYN) {
        struct wdc_seg *syn = wdc_segs_find(h, lo);
        if (syn)
            syn->again_n = 1;
        return;
    }
    if (is_copy(s, lo, hi)) {
        h->copies++;
        s->doc->counts.copies++;
        return;
    }
    if (s->d->len)
        h->pace.was_again = true;
    if (hi > h->una || !s->peer->has_sent) {
        seen_pending(s, lo, hi);
        return;
    }
    h->needless_segs += wdc_segs_of(hi - lo, wdc_mss(s->conn, s->side));
    wdc_evidence_add(&h->needless, s->number);
    weir_ns waited = timer_wait(s, 0);
    if (waited >= LONG_WAIT)
        note_timer(h, waited, false, s->number);
}

/* Had the receiver what was sent again? */
static bool is_needless(const struct wdc_step *s, const struct wdc_again *a)
{
    const struct wtr_dissect *d = s->d;
    weir_ns took = wdc_since(s->at, a->at), min = s->peer->rtt.min;
    if (!a->is_head && a->has_ts) /* what is echoed is an earlier one's: RFC 7323 4.3 */
        return false;
    if (a->has_ts && d->has_ts && a->ts != a->first_ts)
        return (int32_t)(d->tsecr - a->ts) < 0;
    return min && took < min / 2;
}

void wdc_again_acked(struct wdc_step *s, uint64_t una)
{
    struct wdc_half *h = s->peer;
    for (unsigned i = 0; i < WDC_AGAINS_MAX; i++) {
        struct wdc_again *a = &h->agains[i];
        if (a->what == WDC_AGAIN_PENDING && a->lo < una)
            settle(h, a, !is_needless(s, a));
    }
}

void wdc_again_dsack(struct wdc_step *s, uint64_t lo, uint64_t hi)
{
    struct wdc_half *h = s->peer;
    for (unsigned i = 0; i < WDC_AGAINS_MAX; i++) {
        struct wdc_again *a = &h->agains[i];
        if (a->lo >= hi || a->hi <= lo)
            continue;
        if (a->what == WDC_AGAIN_NEEDED) {
            h->lost_segs -= a->segs < h->lost_segs ? a->segs : h->lost_segs;
            h->burst_n -= h->burst_n > 0;
            if (a->waited && a->is_tail)
                h->tails.n -= h->tails.n > 0;
            else if (a->waited)
                h->timeouts.n -= h->timeouts.n > 0; /* and counted again where it was one of several */
        }
        if (a->what == WDC_AGAIN_NEEDED || a->what == WDC_AGAIN_PENDING)
            settle(h, a, false);
    }
}

void wdc_again_overtaken(struct wdc_step *s)
{
    struct wdc_half *h = s->peer;
    const struct wdc_seg *seg = wdc_segs_find(h, h->una);
    if (!seg || seg->again_n || h->sack_high <= h->una || h->sack_high > s->ack + (UINT32_C(1) << 30))
        return;
    if (s->conn->is_mid && wdc_since(s->at, s->conn->began) < WEIR_SEC(1))
        return; /* it may have been sent again before the capture began */
    weir_ns late = wdc_since(s->at, h->una_at);
    h->reordered++;
    if (late > h->reorder_late_max)
        h->reorder_late_max = late;
    wdc_evidence_add(&h->reorder, s->number);
}

/* Nobody has acknowledged them: they were lost, too. Or the other side is not there any more: then it is not known what
 * became of them. */
void wdc_again_end(struct wdc_half *h)
{
    for (unsigned i = 0; i < WDC_AGAINS_MAX; i++)
        if (h->agains[i].what == WDC_AGAIN_PENDING)
            settle(h, &h->agains[i], true);
    if (h->timeout_run < 2 || h->una >= h->nxt)
        return;
    h->lost_segs -= h->chain_lost < h->lost_segs ? h->chain_lost : h->lost_segs;
    h->tails.n -= h->chain_tails;
    h->tails_ns -= h->chain_tails_ns;
    h->timeouts.n += h->chain_tails;
    h->timeouts_ns += h->chain_tails_ns;
}
