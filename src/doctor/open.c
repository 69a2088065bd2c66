/*
 * The handshake: SYNs, what answered them, and when the connection stood.
 */
#include "doctor/parts.h"

static void take_offer(struct wdc_half *h, const struct wtr_dissect *d)
{
    h->has_syn = true;
    h->wscale = d->wscale;
    h->mss = d->mss;
    h->has_sack_ok = d->has_sack_ok;
}

static struct wdc_host *port_of(struct wdc_step *s)
{
    const struct weir_sockaddr *server = &s->conn->ends[1];
    return wdc_host_get(s->doc, &server->addr, server->port);
}

static void on_syn(struct wdc_step *s)
{
    struct wdc_conn *c = s->conn;
    if (c->syn_n++ == 0) {
        struct wdc_host *port = port_of(s);
        c->syn_at = s->at;
        if (port)
            port->syn_n++;
    }
    c->syn_last_at = s->at;
    wdc_evidence_add(&c->syns, s->number);
}

static void on_syn_ack(struct wdc_step *s)
{
    struct wdc_conn *c = s->conn;
    if (c->syn_n && s->ack != WDC_OFF0 + 1) {
        s->is_odd = true;
        wdc_evidence_add(&c->odd, s->number);
        return;
    }
    if (c->syn_ack_n++ == 0) {
        struct wdc_host *port = port_of(s);
        c->syn_ack_at = s->at;
        if (port) {
            port->answered_n++;
            port->retried_n += c->syn_n > 1;
        }
    }
    if (c->ack_at)
        c->syn_ack_again_after_ack++;
    c->syn_ack_last_at = s->at;
    wdc_evidence_add(&c->syn_acks, s->number);
}

void wdc_open_syn(struct wdc_step *s)
{
    if (!s->me->has_syn)
        take_offer(s->me, s->d);
    if (s->d->flags & WIO_TCP_ACK)
        on_syn_ack(s);
    else
        on_syn(s);
}

void wdc_open_other(struct wdc_step *s)
{
    struct wdc_conn *c = s->conn;
    if (c->is_established)
        return;
    if (s->side == 1 && c->syn_n && !c->syn_ack_n && s->d->flags & WIO_TCP_ACK && s->ack != WDC_OFF0 + 1) {
        s->is_odd = true; /* of a connection that the server still has and the client has not */
        s->me->has_base = false;
        wdc_evidence_add(&c->odd, s->number);
        return;
    }
    c->is_established = true;
    c->ack_at = s->at ? s->at : 1;
    c->ack_frame = s->number;
}
