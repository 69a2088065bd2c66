/*
 * What held a sender up: each stretch of time between two pieces of new data is charged to one of the receiver's
 * window, the sender itself (its buffer, Nagle), the network (congestion window, recovery), and the application.
 *
 * The sender acts upon acknowledgements when they have reached it, which from the receiver's side of the path is later
 * than the capture sees them: the views of a sender are looked up that much in the past.
 */
#include "doctor/parts.h"

#define TIGHT           WEIR_US(200)
#define SLACK_MIN       WEIR_US(400)
#define SLACK_MAX       WEIR_MS(5)
#define DELAYED_MIN     WEIR_MS(25) /* a delayed ACK: Linux 40 ms, macOS and others up to 500 */
#define DELAYED_MAX     WEIR_MS(600)
#define FLAT_ROUNDS     6u /* as many round trips without growth are no slow start, nor Reno's two segments in four */
#define FLAT_LEAST      2u
#define FLAT_SEGS       3u
#define TICK_MIN        20u /* of a timestamp clock, to know how long a tick is */
#define STALL_PART      2u  /* the path stalled if no more than this part of a gap was one at the sender */
#define VIEWS_APART_MAX WEIR_MS(300)
#define VIEWS_ON_WAY    16u /* views are kept that far apart, so that they reach back to what the sender knew */

void wdc_pace_ack(struct wdc_step *s)
{
    struct wdc_half *h = s->peer;
    struct wdc_view v = {.at = s->at,
                         .una = h->una,
                         .edge = h->edge,
                         .ts = s->d->tsval,
                         .had_data = s->d->len > 0,
                         .has_ts = s->d->has_ts};
    if (h->view_n) {
        struct wdc_view *last = &h->views[(h->view_n - 1) % WDC_VIEWS_MAX];
        last->had_data |= v.had_data && last->una == v.una;
        if (last->una == v.una && last->edge == v.edge)
            return;
    }
    if (h->view_n > 1) {
        weir_ns near = wdc_near(s->conn, !s->side) / VIEWS_ON_WAY;
        weir_ns apart = near > h->view_apart ? near : h->view_apart;
        if (wdc_since(s->at, h->views[(h->view_n - 2) % WDC_VIEWS_MAX].at) < apart)
            h->view_n--;
    }
    h->views[h->view_n++ % WDC_VIEWS_MAX] = v;
}

/* What the sender knew at a time; NULL: nothing, or it is not kept any more. */
static const struct wdc_view *view_at(const struct wdc_half *h, weir_ns at)
{
    uint32_t oldest = h->view_n > WDC_VIEWS_MAX ? h->view_n - WDC_VIEWS_MAX : 0;
    for (uint32_t i = h->view_n; i > oldest; i--) {
        const struct wdc_view *v = &h->views[(i - 1) % WDC_VIEWS_MAX];
        if (v->at <= at)
            return v;
    }
    return NULL;
}

/* What the sender knew when it sent a packet with that echo: the newest view with no later stamp. */
static const struct wdc_view *view_echoed(const struct wdc_half *h, uint32_t tsecr)
{
    uint32_t oldest = h->view_n > WDC_VIEWS_MAX ? h->view_n - WDC_VIEWS_MAX : 0;
    for (uint32_t i = h->view_n; i > oldest; i--) {
        const struct wdc_view *v = &h->views[(i - 1) % WDC_VIEWS_MAX];
        if (!v->has_ts)
            return NULL;
        if ((int32_t)(v->ts - tsecr) <= 0)
            return v;
    }
    return NULL;
}

weir_ns wdc_pace_acked_at(const struct wdc_half *h, uint64_t off)
{
    uint32_t oldest = h->view_n > WDC_VIEWS_MAX ? h->view_n - WDC_VIEWS_MAX : 0;
    weir_ns at = 0;
    for (uint32_t i = h->view_n; i > oldest; i--) {
        const struct wdc_view *v = &h->views[(i - 1) % WDC_VIEWS_MAX];
        if (v->una < off)
            return at;
        at = v->at;
    }
    return oldest ? 0 : at;
}

static void note_round(struct wdc_half *h, uint64_t una, uint64_t flight, uint32_t mss)
{
    struct wdc_pace *p = &h->pace;
    if (flight > p->round_most)
        p->round_most = flight;
    if (una < p->round_end)
        return;
    if (p->round_most > p->plateau + 2 * (uint64_t)mss || p->round_most < p->plateau / 2 || h->lost_segs) {
        p->plateau = p->round_most;
        p->rounds_flat = 0;
        p->plateau_spent = 0;
    } else {
        p->rounds_flat++;
    }
    p->round_end = h->nxt;
    p->round_most = 0;
}

/* Always as much in flight and no more, for many round trips and without loss: a full send buffer. Fewer do where it
 * was seen to go on from a short segment as soon as that was acknowledged. */
static bool is_plateau(const struct wdc_half *h, uint32_t mss)
{
    if (h->pace.plateau <= FLAT_SEGS * (uint64_t)mss) /* messages, one by one */
        return false;
    uint32_t seen = h->pace.refill_n < FLAT_ROUNDS - FLAT_LEAST ? h->pace.refill_n : FLAT_ROUNDS - FLAT_LEAST;
    return h->lost_segs == 0 && h->pace.rounds_flat + seen >= FLAT_ROUNDS;
}

static void note_delayed(struct wdc_step *s, const struct wdc_view *v)
{
    struct wdc_half *h = s->me;
    weir_ns took = wdc_since(v->at, h->pace.sent_at);
    weir_ns extra = wdc_since(took, h->rtt.min);
    if (extra < DELAYED_MIN || extra > DELAYED_MAX)
        return;
    h->pace.delayed_ns += extra;
    wdc_evidence_add(&h->pace.delayed, s->number);
}

/* An acknowledgement has let it send. */
static enum wdc_limit after_ack(struct wdc_step *s, const struct wdc_view *v, uint32_t mss)
{
    struct wdc_half *h = s->me;
    const struct wdc_pace *p = &h->pace;
    bool is_all_acked = v->una >= h->nxt;
    if (p->sent_len % mss == 0)
        return WDC_BY_CONGESTION;
    if (is_all_acked && !v->had_data && s->d->len < mss && p->sent_len < mss) {
        note_delayed(s, v);
        return WDC_BY_SENDER; /* RFC 9293 3.7.4: Nagle */
    }
    weir_ns near = wdc_near(s->conn, s->side), took = wdc_since(s->at, v->at);
    bool is_at_once = wdc_since(took, near) <= TIGHT + wdc_round_trip(s->conn) / 32;
    /* No program knows of an ACK without data, but one whose send buffer was full. Else: an answer, and the next
     * question. */
    return !v->had_data && is_at_once && near <= SLACK_MAX ? WDC_BY_SENDER : WDC_BY_APPLICATION;
}

/* Up to where the window let the sender send when it had seen that stamp. Between two views it is taken to have moved
 * evenly. 0: not known. */
static uint64_t edge_echoed(const struct wdc_half *h, uint32_t tsecr)
{
    const struct wdc_view *v = view_echoed(h, tsecr);
    if (!v)
        return 0;
    uint32_t next_n = 1; /* of views, up to the one behind v */
    while (&h->views[(next_n - 1) % WDC_VIEWS_MAX] != v)
        next_n++;
    const struct wdc_view *next = &h->views[next_n % WDC_VIEWS_MAX];
    bool is_last = v == &h->views[(h->view_n - 1) % WDC_VIEWS_MAX];
    if (is_last || !next->has_ts || next->edge <= v->edge || next->ts - v->ts == 0 || (int32_t)(next->ts - v->ts) < 0)
        return v->edge;
    return v->edge + (next->edge - v->edge) * (tsecr - v->ts) / (next->ts - v->ts);
}

/* Did the window keep it from sending, as the sender knew it when it had last sent? */
static bool is_at_edge(struct wdc_step *s, weir_ns near, uint32_t want)
{
    struct wdc_half *h = s->me;
    const struct wdc_pace *p = &h->pace;
    uint64_t edge = near > SLACK_MAX && p->sent_has_ts ? edge_echoed(h, p->sent_tsecr) : 0, blur = 0;
    if (!edge) {
        const struct wdc_view *before = view_at(h, wdc_since(p->sent_at, near));
        edge = before ? before->edge : UINT64_MAX / 2;
        blur = near > SLACK_MAX ? s->peer->win / 8 : 0; /* what may have come in between two views */
    }
    return (s->peer->wscale >= 0 || s->peer->has_syn) && h->nxt + want + blur > edge;
}

/* How long a tick of timestamps is, after what was measured, which a queue that grows makes too long: of those that
 * senders use the nearest. */
static weir_ns tick_near(weir_ns measured)
{
    static const weir_ns used[] = {WEIR_US(1), WEIR_MS(1), WEIR_MS(4), WEIR_MS(10), WEIR_MS(100), WEIR_SEC(1)};
    unsigned i = 0;
    while (i + 1 < sizeof used / sizeof used[0] && measured / used[i] > used[i + 1] / (measured ? measured : 1))
        i++;
    return used[i];
}

/* Longer than a round trip between two segments, of which their stamps know little: the path held the second one up. */
static bool is_stall(const struct wdc_step *s, weir_ns gap, weir_ns trip)
{
    const struct wdc_pace *p = &s->me->pace;
    uint32_t ticks = p->sent_tsval - p->first_tsval;
    if (!p->sent_has_ts || !s->d->has_ts || gap <= trip || ticks < TICK_MIN || ticks > INT32_MAX)
        return false;
    weir_ns tick = tick_near(wdc_since(p->sent_at, p->first_at) / ticks);
    return (uint32_t)(s->d->tsval - p->sent_tsval) * tick < gap / STALL_PART;
}

/* Far from the sender. It ended a flight with a short segment, and went on when that was acknowledged, without a word
 * from the other program: its send buffer held no more. */
static bool is_buffer_refilled(const struct wdc_step *s, weir_ns gap, weir_ns trip, uint32_t mss)
{
    const struct wdc_pace *p = &s->me->pace;
    return p->sent_len % mss != 0 && s->peer->last_data_at < p->sent_at && gap > trip / 2 && gap < trip + trip / 4;
}

static enum wdc_limit why(struct wdc_step *s, weir_ns gap)
{
    struct wdc_half *h = s->me;
    const struct wdc_pace *p = &h->pace;
    uint32_t mss = wdc_mss(s->conn, s->side), want = s->d->len < mss ? s->d->len : mss;
    weir_ns trip = wdc_round_trip(s->conn), near = wdc_near(s->conn, s->side), slack = trip / 4;
    slack = slack < SLACK_MIN ? SLACK_MIN : slack > SLACK_MAX ? SLACK_MAX : slack;
    weir_ns there = wdc_since(s->at + slack / 2, near);
    const struct wdc_view *v = view_at(h, there);
    bool is_triggered = v && wdc_since(there, v->at) <= slack + slack / 2;

    if (p->was_zero || (p->raw_blocked_n >= WDC_UNSCALED_MIN && p->over_raw_n == 0))
        return WDC_BY_RECEIVER;
    if (p->was_again || is_stall(s, gap, trip))
        return WDC_BY_CONGESTION;
    if (is_at_edge(s, near, want))
        return WDC_BY_RECEIVER;
    if (is_triggered && (near <= SLACK_MAX || (p->sent_len < mss && s->d->len < mss))) /* long ones queue on the way */
        return after_ack(s, v, mss);
    if (is_triggered && near > SLACK_MAX && is_buffer_refilled(s, gap, trip, mss))
        return WDC_BY_SENDER;
    /* Paced, or slowed down by the path before it came to the capture; or lost on the way there, and repaired by a
     * probe, two round trips later. */
    weir_ns most = near > SLACK_MAX && h->lost_segs ? 3 * trip : trip + trip / 4;
    return p->sent_len % mss == 0 && trip && gap < most ? WDC_BY_CONGESTION : WDC_BY_APPLICATION;
}

/* While it is not known yet whether what is in flight grows, the network is charged. */
static void charge(struct wdc_step *s, enum wdc_limit by, weir_ns gap)
{
    struct wdc_half *h = s->me;
    struct wdc_pace *p = &h->pace;
    weir_ns trip = wdc_round_trip(s->conn);
    /* Else it is paced, or comes as fast as the path takes it. */
    bool is_pause = gap > trip / (wdc_near(s->conn, s->side) > SLACK_MAX ? 2 : 8);
    p->refill_n += by == WDC_BY_SENDER && is_pause;
    if (by == WDC_BY_CONGESTION && is_pause && is_plateau(h, wdc_mss(s->conn, s->side))) {
        by = WDC_BY_SENDER;
        p->spent[WDC_BY_CONGESTION] -= p->plateau_spent;
        p->spent[WDC_BY_SENDER] += p->plateau_spent;
        p->plateau_spent = 0;
    } else if (by == WDC_BY_CONGESTION && is_pause) {
        p->plateau_spent += gap;
    }
    p->spent[by] += gap;
}

/* Does it take the peer's window as unscaled? Then what it sends ends where that does, again and again, and never
 * beyond: but for what it sent when it knew the SYN's window alone. */
static void note_unscaled(struct wdc_step *s)
{
    struct wdc_pace *p = &s->me->pace;
    uint64_t raw = s->peer->win_raw, edge = s->me->una + raw;
    if (s->peer->wscale < 1 || s->peer->win <= raw || raw == 0)
        return;
    if (s->hi > edge) {
        p->over_raw_n += p->raw_blocked_n > 0;
    } else if (s->hi == edge) {
        p->raw_blocked_n++;
        wdc_evidence_add(&p->raw_blocked, s->number);
    }
}

/* What the sender knew as it sent this, as well as can be told; and how long the way to it and back took. */
static void look_back(struct wdc_step *s, uint32_t mss)
{
    struct wdc_half *h = s->me;
    struct wdc_pace *p = &h->pace;
    weir_ns near = wdc_near(s->conn, s->side);
    const struct wdc_view *v = near > SLACK_MAX && s->d->has_ts ? view_echoed(h, s->d->tsecr) : NULL;
    bool is_first = !p->sent_has_ts || p->sent_tsecr != s->d->tsecr;
    if (!v && near > SLACK_MAX && s->d->has_ts && h->view_n > WDC_VIEWS_MAX && h->view_apart < VIEWS_APART_MAX)
        h->view_apart += h->view_apart ? h->view_apart : near / VIEWS_ON_WAY; /* the way has become longer */
    if (v && v->ts == s->d->tsecr && is_first && p->sent_len && p->sent_len % mss == 0)
        wdc_rtt_sample(&h->rtt_back, s->number, wdc_since(s->at, v->at), s->hi - v->una, true);
    if (!v)
        v = view_at(h, wdc_since(s->at, near));
    if (v)
        note_round(h, v->una, s->hi - v->una, mss);
    p->sent_has_ts = s->d->has_ts;
    p->sent_tsecr = s->d->tsecr;
    p->sent_tsval = s->d->tsval;
    if (p->first_at == 0 && s->d->has_ts) {
        p->first_at = s->at;
        p->first_tsval = s->d->tsval;
    }
}

void wdc_pace_data(struct wdc_step *s)
{
    struct wdc_half *h = s->me;
    struct wdc_pace *p = &h->pace;
    uint32_t mss = wdc_mss(s->conn, s->side);
    if (p->since == 0)
        p->since = s->conn->ack_at ? s->conn->ack_at : s->conn->began;
    if (p->sent_at) {
        weir_ns gap = wdc_since(s->at, p->since);
        p->was_zero |= s->peer->win == 0 && s->peer->has_sent;
        charge(s, why(s, gap), gap);
    } else {
        p->spent[WDC_BY_APPLICATION] += wdc_since(s->at, p->since);
    }
    note_unscaled(s);
    look_back(s, mss);
    p->since = s->at;
    p->sent_at = s->at ? s->at : 1;
    p->sent_len = s->d->len;
    p->was_again = p->was_zero = false;
}

void wdc_pace_end(struct wdc_conn *c, unsigned side)
{
    struct wdc_half *h = &c->half[side];
    struct wdc_pace *p = &h->pace;
    if (p->sent_at == 0)
        return;
    weir_ns rest = wdc_since(c->last_at, p->since);
    if (c->half[!side].win == 0 && c->half[!side].zero_at)
        p->spent[WDC_BY_RECEIVER] += rest;
    else if (h->nxt > h->una || p->was_again)
        p->spent[WDC_BY_CONGESTION] += rest;
    else if (!h->has_fin)
        p->spent[WDC_BY_APPLICATION] += rest;
}
