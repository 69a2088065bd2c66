/*
 * From a captured frame to a TCP header as a report wants it.
 */
#include "trace/report_packet.h"

#include "trace/dissect.h"

#include <string.h>

bool wtr_packet_parse(struct wtr_packet *p, uint32_t linktype, const uint8_t *frame, size_t len)
{
    struct wtr_dissect d;
    wtr_dissect(&d, linktype, frame, len, 0, false);
    if (d.kind != WTR_IS_TCP)
        return false;
    p->src = d.src;
    p->dst = d.dst;
    p->seq = d.seq;
    p->ack = d.ack;
    p->flags = d.flags;
    p->win = d.win;
    p->len = d.len;
    p->wscale = d.wscale;
    p->sack_n = d.sack_n;
    memcpy(p->sack, d.sack, sizeof p->sack);
    return true;
}
