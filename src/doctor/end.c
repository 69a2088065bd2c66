/*
 * How a connection ends: FINs, and resets with what was the matter when they came.
 */
#include "doctor/parts.h"

#define LONG_BEHIND WEIR_MS(500) /* data that come so long behind a reset were sent without knowing of it */

void wdc_end_fin(struct wdc_step *s)
{
    if (!s->me->has_fin)
        s->me->fin_off = s->hi;
    if (!s->me->has_fin && !s->peer->has_fin) {
        s->conn->fin_first = s->side;
        s->conn->fin_at = s->at;
    }
    s->me->has_fin = true;
    wdc_evidence_add(&s->conn->fins, s->number);
}

static bool is_finished(const struct wdc_conn *c)
{
    const struct wdc_half *a = &c->half[0], *b = &c->half[1];
    return a->has_fin && b->has_fin && a->una >= a->fin_off && b->una >= b->fin_off;
}

/* It came with data unanswered: whoever resets has been sent something since it last said anything. */
static bool has_unread(const struct wdc_step *s)
{
    return s->peer->data_frame > s->me->data_frame;
}

void wdc_end_reset(struct wdc_step *s)
{
    struct wdc_conn *c = s->conn;
    const struct wtr_dissect *d = s->d;
    wdc_evidence_add(&c->resets, s->number);
    if (c->rst_side >= 0 || is_finished(c)) {
        c->rst_is_late |= c->rst_side < 0;
        if (c->rst_side == (int)s->side && !(d->flags & WIO_TCP_ACK) && d->seq == s->peer->ack_raw &&
            s->peer->last_data_at > c->rst_at + LONG_BEHIND)
            c->rst_again_frame = s->number;
        return;
    }
    c->rst_side = (int)s->side;
    c->rst_at = s->at;
    c->rst_frame = s->number;
    c->rst_prior_frame = s->peer->last_frame;
    c->rst_has_ack = d->flags & WIO_TCP_ACK;
    c->rst_answers = !c->rst_has_ack && d->seq == s->peer->ack_raw;
    c->rst_in_handshake = !c->is_established;
    c->rst_after_own_fin = s->me->has_fin;
    c->rst_after_peer_fin = s->peer->has_fin;
    c->rst_unread = has_unread(s);
    c->rst_ttl_differs = s->me->has_sent && d->ttl != s->me->ttl;
    c->rst_by_stranger = !s->me->has_sent;
    c->rst_after_timeouts = s->peer->timeout_run > 0;
    c->rst_probes = s->me->keepalive_run;
    c->rst_idle = c->idle && c->idle_side != s->side ? c->idle : 0;
}
