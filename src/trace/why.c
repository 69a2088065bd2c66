/*
 * Explanations of sent packets (why.h): a ring of the latest SEG_OUT events, found by their serial.
 */
#include "trace/why.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RING 4096 /* a power of two; far more than an interface's queue holds between event and capture */

struct reason {
    uint64_t serial;
    weir_ns rto;
    uint32_t cwnd_bytes, ssthresh_bytes, flight_bytes;
    enum weir_why why;
    uint32_t len;
    uint8_t dupacks;
};

struct wtr_why {
    struct reason ring[RING];
};

struct wtr_why *wtr_why_new(void)
{
    return calloc(1, sizeof(struct wtr_why));
}

void wtr_why_free(struct wtr_why *y)
{
    free(y);
}

void wtr_why_event(struct wtr_why *y, const struct weir_event *ev)
{
    if (ev->kind != WEIR_EV_SEG_OUT)
        return;
    y->ring[ev->serial % RING] = (struct reason){
        .serial = ev->serial,
        .rto = ev->conn.rto,
        .cwnd_bytes = ev->conn.cwnd_bytes,
        .ssthresh_bytes = ev->conn.ssthresh_bytes,
        .flight_bytes = ev->conn.flight_bytes,
        .why = ev->u.seg.why,
        .len = ev->u.seg.len,
        .dupacks = ev->u.seg.dupacks,
    };
}

static bool is_retransmission(enum weir_why why)
{
    return why >= WEIR_WHY_REXMIT_RTO && why <= WEIR_WHY_REXMIT_SYN;
}

/* Append "; cwnd 14600, ssthresh 7300, rto 212 ms" at buf + at. */
static void add_numbers(const struct reason *r, char *buf, size_t cap, size_t at)
{
    int n = snprintf(buf + at, cap - at, "; cwnd %" PRIu32, r->cwnd_bytes);
    at += n > 0 ? (size_t)n : 0;
    if (at < cap && r->ssthresh_bytes != UINT32_MAX) {
        n = snprintf(buf + at, cap - at, ", ssthresh %" PRIu32, r->ssthresh_bytes);
        at += n > 0 ? (size_t)n : 0;
    }
    if (at < cap && is_retransmission(r->why))
        snprintf(buf + at, cap - at, ", rto %" PRIu64 " ms", r->rto / 1000000);
    else if (at < cap)
        snprintf(buf + at, cap - at, ", flight %" PRIu32, r->flight_bytes);
}

const char *wtr_why_comment(const struct wtr_why *y, const struct weir_pkt *p, char *buf, size_t cap)
{
    const struct reason *r = &y->ring[p->serial % RING];
    buf[0] = '\0';
    if (p->serial == 0 || r->serial != p->serial)
        return buf;
    int n;
    if (r->why == WEIR_WHY_REXMIT_DUPACK && r->dupacks > 0)
        n = snprintf(buf, cap, "retransmit: %u dup ACK%s", r->dupacks, r->dupacks == 1 ? "" : "s");
    else
        n = snprintf(buf, cap, "%s", weir_why_text(r->why));
    if (n > 0 && (size_t)n < cap && r->cwnd_bytes > 0 && (r->len > 0 || is_retransmission(r->why)))
        add_numbers(r, buf, cap, (size_t)n);
    return buf;
}

enum weir_why wtr_why_of(const struct wtr_why *y, const struct weir_pkt *p)
{
    const struct reason *r = &y->ring[p->serial % RING];
    return p->serial != 0 && r->serial == p->serial ? r->why : WEIR_WHY_NONE;
}
