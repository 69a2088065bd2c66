/*
 * The receive window: what is offered first, what is offered now, and how the buffer behind it grows with the
 * connection's need. Follows RFC 9293 3.8.6 (no silly windows, never shrink), RFC 7323 2 (scale), and Linux in the
 * numbers that those leave open.
 */
#include "tcp/conn.h"

#define WND_UNSCALED_MAX 65535u
#define WND_SIGNED_MAX   32767u /* tcp_workaround_signed_windows */

#define RATIO_ONE 256u

/* The share of a buffer that may be promised as window before anything has come (tcp_adv_win_scale). */
static uint32_t ratio_first(const struct wi_core *core)
{
    int64_t scale = core->sysctl.tcp_adv_win_scale;

    return scale <= 0 ? RATIO_ONE >> -scale : RATIO_ONE - (RATIO_ONE >> scale);
}

static uint32_t win_of(uint32_t ratio, uint32_t space)
{
    return (uint32_t)((uint64_t)space * ratio / RATIO_ONE);
}

static uint32_t win_from_space(const struct wi_tcp_conn *c, uint32_t space)
{
    return win_of(c->rcvq.ratio ? c->rcvq.ratio : ratio_first(c->sk.core), space);
}

static uint32_t space_from_win(const struct wi_tcp_conn *c, uint64_t win)
{
    uint32_t ratio = c->rcvq.ratio ? c->rcvq.ratio : ratio_first(c->sk.core);

    return (uint32_t)wi_min_u64(win * RATIO_ONE / wi_max_u32(ratio, 1), INT32_MAX);
}

static uint32_t round_up_to_scale(uint32_t wnd, uint8_t wscale)
{
    uint32_t mask = (1u << wscale) - 1;

    return (wnd + mask) & ~mask;
}

/* The largest window that this connection may ever offer. */
uint32_t wi_tcp_window_clamp(const struct wi_tcp_conn *c)
{
    uint32_t most = WND_UNSCALED_MAX << c->rcv_wscale;

    if (c->rcvq.clamp_bytes)
        most = wi_min_u32(most, c->rcvq.clamp_bytes);
    return c->window_clamp_bytes ? wi_min_u32(c->window_clamp_bytes, most) : most;
}

static uint32_t full_space(const struct wi_tcp_conn *c)
{
    return win_from_space(c, c->sk.opts.rcvbuf_bytes);
}

static uint32_t free_space(const struct wi_tcp_conn *c)
{
    uint32_t buf = c->sk.opts.rcvbuf_bytes, used = c->rcvq.mem_bytes;

    return used < buf ? win_from_space(c, buf - used) : 0;
}

/* ---- The first window ---- */

static uint8_t scale_for(uint64_t space)
{
    uint8_t scale = 0;

    while (scale < WI_TCP_WSCALE_MAX && space >> scale > WND_UNSCALED_MAX)
        scale++;
    return scale;
}

void wi_tcp_window_first(const struct wi_core *core, const struct wi_sk_opts *opts, uint32_t clamp, uint32_t mss,
                         bool wscale_ok, uint32_t *wnd, uint8_t *wscale)
{
    uint32_t most = clamp ? clamp : WND_UNSCALED_MAX << WI_TCP_WSCALE_MAX;
    uint32_t space = win_of(ratio_first(core), opts->rcvbuf_bytes);

    if (opts->rcvbuf_locked) /* it won't grow: no scale for what never comes */
        most = wi_min_u32(most, space);
    space = wi_min_u32(space, most);

    if (mss > 0 && space > mss)
        space -= space % mss;
    *wnd = core->sysctl.tcp_workaround_signed_windows ? wi_min_u32(space, WND_SIGNED_MAX) : space;
    *wscale = 0;
    if (wscale_ok) {
        uint64_t grown = wi_max_u64(
            space, (uint64_t)wi_max_u64((uint64_t)core->sysctl.tcp_rmem.max, (uint64_t)core->sysctl.rmem_max));
        *wscale = scale_for(wi_min_u64(grown, most));
    }
    *wnd = wi_min_u32(*wnd, WND_UNSCALED_MAX << *wscale);
}

void wi_tcp_window_init(struct wi_tcp_conn *c)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;

    /* Whole segments of the MSS without timestamps, as Linux's SYN has it: nobody has agreed to them yet. */
    wi_tcp_window_first(c->sk.core, &c->sk.opts, c->window_clamp_bytes, c->advmss, s->tcp_window_scaling != 0,
                        &c->rcv_wnd_bytes, &c->rcv_wscale);
    c->rcvq.rcv_ssthresh_bytes = c->rcv_wnd_bytes;
}

void wi_tcp_window_established(struct wi_tcp_conn *c)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    weir_ns now = c->sk.core->now;

    if (!c->wscale_ok)
        c->rcv_wscale = 0;
    c->rcv_wnd_bytes = wi_min_u32(c->rcv_wnd_bytes, WND_UNSCALED_MAX << c->rcv_wscale);
    q->rcv_ssthresh_bytes = wi_max_u32(q->rcv_ssthresh_bytes, c->rcv_wnd_bytes);
    /* Room for one segment more than is offered stays free: Linux's tcp_init_buffer_space. */
    uint32_t full = full_space(c), mss2 = 2u * c->advmss;
    q->clamp_bytes = wi_min_u32(wi_tcp_window_clamp(c), full);
    if (q->clamp_bytes > mss2 && q->clamp_bytes + c->advmss > full)
        q->clamp_bytes = wi_max_u32(mss2, full - c->advmss);
    q->rcv_ssthresh_bytes = wi_min_u32(q->rcv_ssthresh_bytes, q->clamp_bytes);
    q->drs_space_bytes =
        wi_min_u32(wi_min_u32(q->rcv_ssthresh_bytes, c->rcv_wnd_bytes), (uint32_t)WI_TCP_INIT_CWND * c->advmss);
    q->drs_seq = c->copied_seq;
    q->drs_at = now;
    q->rtt_seq = wi_seq_add(c->rcv_nxt, c->rcv_wnd_bytes);
    q->rtt_at = now;
}

/* ---- The window now ---- */

uint32_t wi_tcp_window_left(const struct wi_tcp_conn *c)
{
    int32_t left = wi_seq_diff(wi_seq_add(c->rcv_wup, c->rcv_wnd_bytes), c->rcv_nxt);

    return left > 0 ? (uint32_t)left : 0;
}

/* The user prefers to take back what was offered to dropping what comes (RFC 7323 2.4). Without a scale the window
 * moves by whole segments, which would take back too much. */
static bool may_shrink(const struct wi_tcp_conn *c)
{
    return c->sk.core->sysctl.tcp_shrink_window && c->rcv_wscale > 0;
}

/* RFC 9293 3.8.6.2.2: offer no silly windows. Linux's __tcp_select_window. */
uint32_t wi_tcp_window_select(struct wi_tcp_conn *c)
{
    uint32_t allowed = full_space(c), full = wi_min_u32(wi_tcp_window_clamp(c), allowed);
    uint32_t mss = wi_min_u32(c->rcv_mss_est ? c->rcv_mss_est : WI_TCP_MSS_DEFAULT_V4, full);
    uint32_t space = free_space(c), wnd;

    if (may_shrink(c))
        space -= space % (1u << c->rcv_wscale);
    if (space < full / 2) {
        c->quick_acks = 0; /* no haste to tell of little */
        space -= space % (1u << c->rcv_wscale);
        if (space < allowed >> 4 || space < mss)
            return 0;
    }
    space = wi_min_u32(space, c->rcvq.rcv_ssthresh_bytes);
    if (c->rcv_wscale > 0) /* rounded up: the loss of a shift must not close the window */
        return round_up_to_scale(space, c->rcv_wscale);

    wnd = c->rcv_wnd_bytes;
    if (space >= mss && (wnd <= space - mss || wnd > space))
        return mss ? space - space % mss : space;
    if (mss == full && space > wnd + full / 2)
        return space;
    return wi_min_u32(wnd, space);
}

uint16_t wi_tcp_window_advertise(struct wi_tcp_conn *c, bool is_syn)
{
    if (is_syn) {
        c->rcv_wup = c->rcv_nxt;
        return (uint16_t)wi_min_u32(c->rcv_wnd_bytes, WND_UNSCALED_MAX);
    }

    uint32_t left = wi_tcp_window_left(c), wnd = wi_tcp_window_select(c);
    if (wnd < left && !may_shrink(c)) /* RFC 9293 3.8.6.2.1: never take back what was offered */
        wnd = round_up_to_scale(left, c->rcv_wscale);
    bool is_signed = c->rcv_wscale == 0 && c->sk.core->sysctl.tcp_workaround_signed_windows;
    wnd = wi_min_u32(wnd, is_signed ? WND_SIGNED_MAX : WND_UNSCALED_MAX << c->rcv_wscale);
    c->rcv_wnd_bytes = wnd;
    c->rcv_wup = c->rcv_nxt;
    return (uint16_t)(wnd >> c->rcv_wscale);
}

/* ---- Growth ---- */

/* The peer's crumbs: how many bytes of window is a segment worth that costs more than its share? None, when the buffer
 * is near its largest. Linux's __tcp_grow_window. */
static uint32_t worth_of_crumb(const struct wi_tcp_conn *c, uint32_t len, uint32_t charge)
{
    uint32_t cost = win_from_space(c, charge) >> 1;
    uint32_t window = win_from_space(c, (uint32_t)c->sk.core->sysctl.tcp_rmem.max) >> 1;

    for (; c->rcvq.rcv_ssthresh_bytes <= window; cost >>= 1, window >>= 1) {
        if (cost <= len)
            return 2u * c->rcv_mss_est;
    }
    return 0;
}

void wi_tcp_window_grow(struct wi_tcp_conn *c, uint32_t len, uint32_t charge, bool is_counted)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    uint32_t used = q->mem_bytes - (is_counted ? 0 : wi_min_u32(charge, q->mem_bytes));
    uint32_t buf = c->sk.opts.rcvbuf_bytes, room = used < buf ? win_from_space(c, buf - used) : 0;

    if (q->clamp_bytes)
        room = wi_min_u32(room, q->clamp_bytes);
    if (c->window_clamp_bytes)
        room = wi_min_u32(room, c->window_clamp_bytes);

    if (q->rcv_ssthresh_bytes >= room)
        return;
    uint32_t more = win_from_space(c, charge) <= len ? 2u * c->advmss : worth_of_crumb(c, len, charge);
    if (more == 0)
        return;
    more = wi_max_u32(more, 2 * len);
    q->rcv_ssthresh_bytes += wi_min_u32(room - q->rcv_ssthresh_bytes, more);
    c->quick_acks |= 1;
}

/* Linux's tcp_set_window_clamp. */
static void set_clamp(struct wi_tcp_conn *c, uint32_t bytes)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    uint32_t before = q->clamp_bytes;

    if (before == 0 || bytes == before)
        return;
    q->clamp_bytes = bytes;
    if (bytes < before)
        q->rcv_ssthresh_bytes = wi_min_u32(q->rcv_ssthresh_bytes, bytes);
    else
        q->rcv_ssthresh_bytes = wi_max_u32(q->rcv_ssthresh_bytes, wi_min_u32(c->rcv_wnd_bytes, bytes));
}

void wi_tcp_window_measure(struct wi_tcp_conn *c, uint32_t len, uint32_t charge)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    uint32_t ratio = wi_max_u32((uint32_t)wi_min_u64((uint64_t)len * RATIO_ONE / charge, RATIO_ONE - 1), 1);

    if (ratio == (q->ratio ? q->ratio : ratio_first(c->sk.core)))
        return;
    q->ratio = (uint16_t)ratio;
    set_clamp(c, full_space(c));
    if (q->clamp_bytes)
        q->drs_space_bytes = wi_min_u32(q->drs_space_bytes, q->clamp_bytes);
}

void wi_tcp_window_raise_clamp(struct wi_tcp_conn *c, uint32_t bytes)
{
    if (c->rcvq.clamp_bytes < bytes)
        set_clamp(c, bytes);
}

bool wi_tcp_window_expand(struct wi_tcp_conn *c, uint32_t need)
{
    struct wi_sk_opts *o = &c->sk.opts;
    uint32_t most = (uint32_t)c->sk.core->sysctl.tcp_rmem.max;

    if (o->rcvbuf_locked || o->rcvbuf_bytes >= most)
        return false;
    o->rcvbuf_bytes = wi_min_u32(need, most);
    return o->rcvbuf_bytes >= need;
}

/* RFC 7323's timestamps and Linux's DRS: the round-trip time as a receiver can see it. The smaller one wins, slowly. */
static void note_rtt(struct wi_tcp_conn *c, uint32_t us, bool is_upper_bound)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    if (us == 0)
        us = 1;
    if (q->rtt_us == 0 || us < q->rtt_us)
        q->rtt_us = us;
    else if (!is_upper_bound && wi_seq_eq(c->rcv_nxt, c->copied_seq)) /* or the reader's delay would count */
        q->rtt_us = q->rtt_us - q->rtt_us / 8 + us / 8;
}

/* A window's worth cannot arrive in less than a round trip. */
void wi_tcp_window_rcv_rtt_bound(struct wi_tcp_conn *c)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    if (wi_seq_lt(c->rcv_nxt, q->rtt_seq))
        return;
    note_rtt(c, (uint32_t)wi_min_u64((c->sk.core->now - q->rtt_at) / 1000, UINT32_MAX), true);
    q->rtt_seq = wi_seq_add(c->rcv_nxt, c->rcv_wnd_bytes);
    q->rtt_at = c->sk.core->now;
}

void wi_tcp_window_rcv_rtt(struct wi_tcp_conn *c, const struct wi_tcp_seg *seg)
{
    struct wi_tcp_rcvq *q = &c->rcvq;

    if (!c->ts_ok || !seg->h.has_ts || seg->h.tsecr == q->rtt_last_tsecr || seg->data_len < c->rcv_mss_est)
        return;
    q->rtt_last_tsecr = seg->h.tsecr;

    uint32_t ms = wi_tcp_ts_clock(c->sk.core) + c->ts_off - seg->h.tsecr;
    if (ms < INT32_MAX / 1000)
        note_rtt(c, (ms ? ms : 1) * 1000, false);
}

/* Dynamic right-sizing: the buffer must hold twice what the reader took in the last round trip, grow while that grows,
 * and hold what waits behind a hole as well. Linux's tcp_rcvbuf_grow. */
static void tune_buffer(struct wi_tcp_conn *c, uint32_t taken)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    struct wi_sk_opts *o = &c->sk.opts;
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    uint32_t before = q->drs_space_bytes;

    q->drs_space_bytes = taken;
    if (!s->tcp_moderate_rcvbuf || o->rcvbuf_locked)
        return;
    uint64_t win = (uint64_t)taken << 1;
    win += win * (taken - before) / wi_max_u32(before, 1) << 1;
    struct wi_rb_node *last = wi_rb_last(&q->ooo);
    if (last)
        win += (uint32_t)wi_seq_diff(WI_CONTAINER_OF(last, struct wi_tcp_ooo, node)->hi, c->rcv_nxt);
    uint32_t want = (uint32_t)wi_min_u64(space_from_win(c, win), (uint64_t)s->tcp_rmem.max);
    if (want > o->rcvbuf_bytes) {
        o->rcvbuf_bytes = want;
        q->clamp_bytes = full_space(c);
    }
}

void wi_tcp_window_reordered(struct wi_tcp_conn *c)
{
    tune_buffer(c, c->rcvq.drs_space_bytes);
}

/* RFC 9293 3.8.6.2.2: the reader has made room; tell when the window has at least doubled. Linux's tcp_cleanup_rbuf. */
static bool update_due(struct wi_tcp_conn *c)
{
    uint32_t left = wi_tcp_window_left(c);

    if (c->has_rcvd_fin || 2ull * left > wi_tcp_window_clamp(c))
        return false;
    uint32_t wnd = wi_tcp_window_select(c);
    return wnd > 0 && wnd >= 2 * left;
}

void wi_tcp_window_read(struct wi_tcp_conn *c)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    weir_ns now = c->sk.core->now;

    if (q->rtt_us > 0 && now - q->drs_at >= (weir_ns)q->rtt_us * 1000) {
        int64_t taken = (int64_t)(uint32_t)wi_seq_diff(c->copied_seq, q->drs_seq);
        taken -= (uint32_t)wi_seq_diff(c->rcv_nxt, c->copied_seq); /* what still waits could have been read */
        if (taken > q->drs_space_bytes)
            tune_buffer(c, (uint32_t)taken);
        q->drs_seq = c->copied_seq;
        q->drs_at = now;
    }
    if (wi_tcp_ack_due_on_read(c))
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
    else if (update_due(c))
        wi_tcp_owe_ack(c, WEIR_WHY_ACK_WINDOW);
}
