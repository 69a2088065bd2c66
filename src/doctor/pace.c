/*
 * What held a sender up: each stretch of time between two pieces of new data is charged to one of the receiver's
 * window, the sender itself (its buffer, Nagle), the network (congestion window, recovery), and the application.
 *
 * The sender acts upon acknowledgements when they have reached it, which from the receiver's side of the path is later
 * than the capture sees them: the views of a sender are looked up that much in the past.
 */
#include "doctor/parts.h"

#define SLACK_MIN     WEIR_US(400)
#define SLACK_MAX     WEIR_MS(5)
#define DELAYED_MIN   WEIR_MS(25) /* a delayed ACK: Linux 40 ms, macOS and others up to 500 */
#define DELAYED_MAX   WEIR_MS(600)
#define PLATEAU_TIMES 6u /* as many windows without growth are no slow start */

void wdc_pace_ack(struct wdc_half *h, weir_ns at, bool had_data)
{
    struct wdc_view v = {.at = at, .una = h->una, .edge = h->edge, .had_data = had_data};
    if (h->view_n) {
        struct wdc_view *last = &h->views[(h->view_n - 1) % WDC_VIEWS_MAX];
        if (last->una == v.una && last->edge == v.edge)
            return;
    }
    h->views[h->view_n++ % WDC_VIEWS_MAX] = v;
}

/* What the sender knew at a time: the newest view by then, and the one before. */
static const struct wdc_view *view_at(const struct wdc_half *h, weir_ns at, const struct wdc_view **before)
{
    uint32_t oldest = h->view_n > WDC_VIEWS_MAX ? h->view_n - WDC_VIEWS_MAX : 0;
    *before = NULL;
    for (uint32_t i = h->view_n; i > oldest; i--) {
        const struct wdc_view *v = &h->views[(i - 1) % WDC_VIEWS_MAX];
        if (v->at > at)
            continue;
        if (i - 1 > oldest)
            *before = &h->views[(i - 2) % WDC_VIEWS_MAX];
        return v;
    }
    return NULL;
}

static void note_plateau(struct wdc_half *h, uint64_t flight, uint32_t mss)
{
    struct wdc_pace *p = &h->pace;
    if (flight > p->plateau + 2 * (uint64_t)mss || flight + 8 * (uint64_t)mss < p->plateau) {
        p->plateau = flight;
        p->plateau_una = h->una;
    }
}

/* Always as much in flight and no more, for many windows and without loss, and nothing left in the queue: a full send
 * buffer. */
static bool is_plateau(const struct wdc_half *h)
{
    const struct wdc_pace *p = &h->pace;
    return p->sent_push && h->lost_segs == 0 && p->plateau && h->una - p->plateau_una > PLATEAU_TIMES * p->plateau;
}

/* PSH says that nothing was left to send, unless somebody sets it always. */
static bool tells_by_push(const struct wdc_pace *p)
{
    return p->full_n < 16 || p->full_push_n * 10 < p->full_n * 9;
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
    if (is_all_acked && v->had_data)
        return WDC_BY_APPLICATION; /* an answer, and the next question */
    if (p->sent_len < mss && s->d->len <= mss && is_all_acked) {
        note_delayed(s, v);
        return WDC_BY_SENDER; /* RFC 9293 3.7.4: Nagle */
    }
    if (p->sent_len < mss && p->sent_push && tells_by_push(p))
        return WDC_BY_APPLICATION;
    return is_plateau(h) ? WDC_BY_SENDER : WDC_BY_CONGESTION;
}

static enum wdc_limit why(struct wdc_step *s, weir_ns gap)
{
    struct wdc_half *h = s->me;
    const struct wdc_pace *p = &h->pace;
    uint32_t mss = wdc_mss(s->conn, s->side), want = s->d->len < mss ? s->d->len : mss;
    weir_ns trip = wdc_round_trip(s->conn), near = wdc_near(s->conn, s->side), slack = trip / 4;
    slack = slack < SLACK_MIN ? SLACK_MIN : slack > SLACK_MAX ? SLACK_MAX : slack;
    weir_ns there = s->at > near ? s->at - near + slack / 2 : slack / 2;
    const struct wdc_view *before, *v = view_at(h, there, &before);
    bool is_triggered = v && wdc_since(there, v->at) <= slack + slack / 2;
    bool was_full = p->sent_len >= mss;

    if (p->was_zero)
        return WDC_BY_RECEIVER;
    if (is_triggered && before && v->edge > before->edge && h->nxt + want > before->edge &&
        (s->peer->wscale >= 0 || !s->conn->is_mid))
        return WDC_BY_RECEIVER;
    if (p->was_again)
        return WDC_BY_CONGESTION;
    if (is_triggered)
        return after_ack(s, v, mss);
    if (was_full && !(p->sent_push && tells_by_push(p)) && v && h->nxt > v->una && (!trip || gap < trip))
        return WDC_BY_CONGESTION; /* paced */
    return WDC_BY_APPLICATION;
}

/* Does it take the peer's window as unscaled? Then what is in flight comes up to it, again and again, and never beyond.
 */
static void note_unscaled(struct wdc_step *s, uint32_t mss)
{
    struct wdc_half *h = s->me;
    uint64_t flight = s->hi - h->una, raw = s->peer->win_raw;
    if (s->peer->wscale < 1 || s->peer->win <= raw)
        return;
    if (flight > raw) {
        h->pace.over_raw_n++;
    } else if (flight + mss > raw && flight * 2 > raw) {
        h->pace.raw_blocked_n++;
        wdc_evidence_add(&h->pace.raw_blocked, s->number);
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
        enum wdc_limit by = why(s, gap);
        p->spent[by] += gap;
    } else {
        p->spent[WDC_BY_APPLICATION] += wdc_since(s->at, p->since);
    }
    if (s->d->len >= mss) {
        p->full_n++;
        p->full_push_n += !!(s->d->flags & WIO_TCP_PSH);
    }
    note_unscaled(s, mss);
    note_plateau(h, s->hi - h->una, mss);
    p->since = s->at;
    p->sent_at = s->at ? s->at : 1;
    p->sent_len = s->d->len;
    p->sent_push = s->d->flags & WIO_TCP_PSH;
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
