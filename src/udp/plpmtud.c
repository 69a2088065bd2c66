/* Path MTU discovery for datagram protocols, RFC 8899: see <weir/plpmtud.h>. */
#include <weir/plpmtud.h>

#include "base/bytes.h"

#define MIN_V4    68u /* RFC 8899 5.1.2 */
#define MIN_V6    1280u
#define BASE_V4   1200u
#define BASE_V6   1280u
#define PRECISION 8u /* what is left unknown at the end, bytes */

static void set_state(struct weir_plpmtud *p, enum weir_plpmtud_state state, weir_ns now)
{
    p->state = state;
    p->probed = 0;
    p->probe_n = 0;
    p->confirm_at = now + WEIR_PLPMTUD_CONFIRM;
    p->raise_at = now + WEIR_PLPMTUD_RAISE;
}

static void to_base(struct weir_plpmtud *p, weir_ns now)
{
    p->mtu = p->base;
    set_state(p, WEIR_PLPMTUD_BASE, now);
}

static void search(struct weir_plpmtud *p, uint32_t high, weir_ns now)
{
    p->high = high;
    p->try_high = true; /* most paths carry what the link does, or what a router has named */
    set_state(p, high < p->mtu + PRECISION ? WEIR_PLPMTUD_COMPLETE : WEIR_PLPMTUD_SEARCHING, now);
}

void weir_plpmtud_init(struct weir_plpmtud *p, bool is_v6, uint32_t link_mtu, weir_ns now)
{
    *p = (struct weir_plpmtud){
        .min = is_v6 ? MIN_V6 : MIN_V4,
        .base = wi_min_u32(is_v6 ? BASE_V6 : BASE_V4, link_mtu),
        .max = link_mtu,
        .high = link_mtu,
    };
    to_base(p, now);
}

/* ---- Probes ---- */

/* What is to be probed in this state at this moment; 0: nothing. */
static uint32_t next_size(const struct weir_plpmtud *p, weir_ns now)
{
    switch (p->state) {
    case WEIR_PLPMTUD_BASE:
    case WEIR_PLPMTUD_ERROR: return p->base;
    case WEIR_PLPMTUD_SEARCHING: return p->try_high ? p->high : p->mtu + (p->high - p->mtu + 1) / 2;
    case WEIR_PLPMTUD_COMPLETE: return now >= p->confirm_at ? p->mtu : 0;
    }
    return 0;
}

/* WEIR_PLPMTUD_MAX_PROBES of one size got no answer. */
static void size_failed(struct weir_plpmtud *p, weir_ns now)
{
    uint32_t size = p->probed;
    switch (p->state) {
    case WEIR_PLPMTUD_BASE:
    case WEIR_PLPMTUD_ERROR:
        p->mtu = p->min;
        set_state(p, WEIR_PLPMTUD_ERROR, now);
        return;
    case WEIR_PLPMTUD_SEARCHING:
        p->high = size - 1;
        p->try_high = false;
        set_state(p, p->high < p->mtu + PRECISION ? WEIR_PLPMTUD_COMPLETE : WEIR_PLPMTUD_SEARCHING, now);
        return;
    case WEIR_PLPMTUD_COMPLETE: to_base(p, now); return; /* what was proven vanishes: a black hole */
    }
}

uint32_t weir_plpmtud_advance(struct weir_plpmtud *p, weir_ns now)
{
    if (p->probed && now < p->probe_due)
        return 0;
    if (p->probed && p->probe_n >= WEIR_PLPMTUD_MAX_PROBES)
        size_failed(p, now);
    if (p->state == WEIR_PLPMTUD_COMPLETE && !p->probed && now >= p->raise_at && p->mtu < p->max)
        search(p, p->max, now);
    if (!p->probed)
        p->probed = next_size(p, now);
    if (!p->probed)
        return 0;
    p->probe_n++;
    p->probe_due = now + WEIR_PLPMTUD_PROBE_TIMEOUT;
    return p->probed;
}

weir_ns weir_plpmtud_deadline(const struct weir_plpmtud *p)
{
    if (p->probed)
        return p->probe_due;
    if (p->state != WEIR_PLPMTUD_COMPLETE)
        return 0;
    return p->mtu < p->max ? wi_min_u64(p->confirm_at, p->raise_at) : p->confirm_at;
}

/* ---- News ---- */

void weir_plpmtud_acked(struct weir_plpmtud *p, uint32_t size, weir_ns now)
{
    bool is_probe = p->probed && size >= p->probed;
    if (size >= p->mtu)
        p->confirm_at = now + WEIR_PLPMTUD_CONFIRM;
    if (!is_probe)
        return;
    uint32_t passed = p->probed;
    p->probed = 0;
    p->probe_n = 0;
    switch (p->state) {
    case WEIR_PLPMTUD_BASE:
    case WEIR_PLPMTUD_ERROR:
        p->mtu = p->base;
        search(p, wi_max_u32(p->high, p->base), now);
        return;
    case WEIR_PLPMTUD_SEARCHING:
        p->mtu = passed;
        p->try_high = false;
        if (p->high < p->mtu + PRECISION)
            set_state(p, WEIR_PLPMTUD_COMPLETE, now);
        return;
    case WEIR_PLPMTUD_COMPLETE: return;
    }
}

void weir_plpmtud_too_big(struct weir_plpmtud *p, uint32_t mtu, weir_ns now)
{
    uint32_t sent = wi_max_u32(p->probed, p->mtu);
    if (mtu < p->min || mtu >= sent)
        return; /* not to be believed, or not about anything of ours */
    if (mtu < p->base) {
        p->mtu = p->min;
        set_state(p, WEIR_PLPMTUD_ERROR, now);
    } else if (mtu < p->mtu) {
        p->high = mtu;
        to_base(p, now);
    } else {
        search(p, mtu, now); /* what is proven stays; the next probe is of that size */
    }
}

void weir_plpmtud_black_hole(struct weir_plpmtud *p, weir_ns now)
{
    if (p->mtu <= p->base)
        return;
    p->high = p->max;
    to_base(p, now);
}
