/*
 * Segments in flight: a ring that grows with what is in flight, up to a limit for each sender and one for all together.
 * Beyond it the oldest are forgotten: round trips are then not measured, nothing else.
 */
#include "doctor/parts.h"

#include <stdlib.h>
#include <string.h>

#define SEGS_FIRST 16u
#define SEGS_ALL   (UINT64_C(1) << 20) /* 64 MiB */

static bool grow(struct wdc *doc, struct wdc_half *h)
{
    uint32_t cap = h->seg_cap ? h->seg_cap * 2 : SEGS_FIRST;
    if (cap > WDC_SEGS_MAX || doc->segs_held + cap > SEGS_ALL)
        return false;
    struct wdc_seg *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (uint32_t i = 0; i < h->seg_n; i++)
        ring[i] = *wdc_segs_at(h, i);
    free(h->segs_ring);
    doc->segs_held += cap - h->seg_cap;
    h->segs_ring = ring;
    h->seg_cap = cap;
    h->seg_head = 0;
    return true;
}

struct wdc_seg *wdc_segs_at(struct wdc_half *h, uint32_t i)
{
    return &h->segs_ring[(h->seg_head + i) & (h->seg_cap - 1)];
}

bool wdc_segs_push(struct wdc *doc, struct wdc_half *h, const struct wdc_seg *seg)
{
    if (h->seg_n == h->seg_cap && !grow(doc, h)) {
        if (h->seg_n == 0)
            return false;
        if (!h->is_history_cut) {
            h->is_history_cut = true;
            doc->counts.histories_cut++;
        }
        h->seg_head++;
        h->seg_n--;
    }
    *wdc_segs_at(h, h->seg_n++) = *seg;
    return true;
}

/* They lie in the order of their numbers. */
struct wdc_seg *wdc_segs_find(struct wdc_half *h, uint64_t off)
{
    uint32_t lo = 0, hi = h->seg_n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (wdc_segs_at(h, mid)->lo <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return NULL;
    struct wdc_seg *seg = wdc_segs_at(h, lo - 1);
    return off < seg->lo + seg->len ? seg : NULL;
}

void wdc_segs_drop(struct wdc *doc, struct wdc_half *h, uint64_t una)
{
    while (h->seg_n && wdc_segs_at(h, 0)->lo + wdc_segs_at(h, 0)->len <= una) {
        h->seg_head++;
        h->seg_n--;
    }
    if (h->seg_n == 0 && h->seg_cap > 4 * SEGS_FIRST) {
        doc->segs_held -= h->seg_cap;
        free(h->segs_ring);
        h->segs_ring = NULL;
        h->seg_cap = h->seg_head = 0;
    }
}
