/*
 * From what was counted to a result: its numbers, the verdicts of each family, and their order.
 */
#include "doctor/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned weight;
} verdicts[] = {
#define X(id, name, weight) {name, weight},
    WDC_VERDICTS(X)
#undef X
};

const char *wdc_verdict_name(enum wdc_verdict id)
{
    return id < WDC_VERDICTS_N ? verdicts[id].name : "?";
}

unsigned wdc_verdict_weight(enum wdc_verdict id)
{
    return id < WDC_VERDICTS_N ? verdicts[id].weight : 0;
}

bool wdc_result_is_healthy(const struct wdc_result *r)
{
    for (uint32_t i = 0; i < r->finding_n; i++)
        if (wdc_verdict_weight(r->findings[i].id) >= WDC_WEIGHT_PROBLEM)
            return false;
    return true;
}

const char *wdc_side_name(unsigned side)
{
    return side == 0 ? "the client" : "the server";
}

const char *wdc_span(weir_ns t, char *buf, size_t cap)
{
    if (t >= WEIR_SEC(100))
        snprintf(buf, cap, "%.0f s", (double)t / 1e9);
    else if (t >= WEIR_SEC(1))
        snprintf(buf, cap, "%.2f s", (double)t / 1e9);
    else if (t >= WEIR_MS(10))
        snprintf(buf, cap, "%.0f ms", (double)t / 1e6);
    else if (t >= WEIR_US(100))
        snprintf(buf, cap, "%.2f ms", (double)t / 1e6);
    else
        snprintf(buf, cap, "%.0f us", (double)t / 1e3);
    return buf;
}

/* ---- Findings ---- */

struct wdc_finding *wdc_find_add(struct wdc_result *r, enum wdc_verdict id, enum wdc_whose whose, enum wdc_sure sure)
{
    if (r->finding_n < WDC_FINDINGS_MAX)
        r->finding_n++;
    struct wdc_finding *f = &r->findings[r->finding_n - 1];
    f->id = id;
    f->whose = whose;
    f->sure = sure;
    f->frame_n = 0;
    f->what[0] = f->cause[0] = '\0';
    f->remedy = "";
    return f;
}

void wdc_find_frame(struct wdc_finding *f, uint64_t frame)
{
    for (uint32_t i = 0; i < f->frame_n; i++)
        if (f->frames[i] == frame)
            return;
    if (frame && f->frame_n < WDC_FRAMES_MAX)
        f->frames[f->frame_n++] = frame;
}

void wdc_find_show(struct wdc_finding *f, const struct wdc_evidence *e)
{
    for (uint32_t i = 0; i < e->n && i < WDC_FRAMES_MAX; i++)
        wdc_find_frame(f, e->frames[i]);
}

void wdc_find_what(struct wdc_finding *f, const char *format, ...)
{
    va_list va;
    va_start(va, format);
    vsnprintf(f->what, sizeof f->what, format, va);
    va_end(va);
}

void wdc_find_cause(struct wdc_finding *f, const char *format, ...)
{
    va_list va;
    va_start(va, format);
    vsnprintf(f->cause, sizeof f->cause, format, va);
    va_end(va);
}

/* Heaviest first; of the same weight, in the order in which they were found. */
void wdc_judge_sort(struct wdc_result *r)
{
    for (uint32_t i = 1; i < r->finding_n; i++) {
        struct wdc_finding f = r->findings[i];
        uint32_t k = i;
        for (; k > 0 && wdc_verdict_weight(r->findings[k - 1].id) < wdc_verdict_weight(f.id); k--)
            r->findings[k] = r->findings[k - 1];
        r->findings[k] = f;
    }
}

/* ---- Where it was captured ---- */

int wdc_vantage(const struct wdc_conn *c)
{
    const struct wdc_half *client = &c->half[0], *server = &c->half[1];
    if (client->is_outgoing != server->is_outgoing)
        return client->is_outgoing ? 0 : 1;
    weir_ns to_server = client->rtt.min, to_client = server->rtt.min;
    if (!to_server || !to_client)
        return -1;
    if (to_client * 5 < to_server)
        return 0;
    return to_server * 5 < to_client ? 1 : -1;
}

static const char *vantage_name(const struct wdc_conn *c)
{
    int at = wdc_vantage(c);
    return at == 0 ? "client" : at == 1 ? "server" : wdc_round_trip(c) ? "between" : "";
}

/* ---- Numbers ---- */

static void settle_shares(struct wdc_conn *c, unsigned side, struct wdc_result *r)
{
    const struct wdc_pace *p = &c->half[side].pace;
    weir_ns all = 0;
    unsigned sum = 0, most = 0;
    wdc_pace_end(c, side);
    for (unsigned i = 0; i < WDC_LIMITS_N; i++)
        all += p->spent[i];
    if (all == 0)
        return;
    r->has_shares[side] = true;
    for (unsigned i = 0; i < WDC_LIMITS_N; i++) {
        r->shares[side][i] = (uint8_t)((double)p->spent[i] * 100.0 / (double)all);
        sum += r->shares[side][i];
        if (p->spent[i] > p->spent[most])
            most = i;
    }
    r->shares[side][most] = (uint8_t)(r->shares[side][most] + 100 - sum);
}

static uint64_t bytes_of(const struct wdc_half *h)
{
    uint64_t end = h->has_fin && h->nxt >= h->fin_off ? h->nxt - 1 : h->nxt;
    return end > WDC_OFF0 + 1 ? end - WDC_OFF0 - 1 : 0;
}

void wdc_judge(struct wdc *doc, struct wdc_conn *c, struct wdc_result *r)
{
    struct wdc_case k = {.doc = doc, .conn = c, .result = r};
    r->client = c->ends[0];
    r->server = c->ends[1];
    r->first = c->first;
    r->last = c->last;
    r->began = c->began;
    r->ended = c->last_at;
    r->packets = c->packets;
    r->vantage = vantage_name(c);
    for (unsigned side = 0; side < 2; side++) {
        wdc_track_end(c, side);
        r->bytes[side] = bytes_of(&c->half[side]);
        settle_shares(c, side, r);
    }
    wdc_judge_open(&k);
    wdc_judge_end(&k);
    wdc_judge_loss(&k);
    wdc_judge_path(&k);
    wdc_judge_rate(&k);
    wdc_judge_sort(r);
}
