/*
 * Packetization layer path MTU discovery: find the largest packet that the path carries without a router's word for it
 * (RFC 4821). A binary search between what works and what the link and the peer take; each step is one segment of the
 * queue's own bytes, sent larger than the others. Conditions and sizes are Linux's (tcp_mtu_probe); the pause after a
 * failed probe and the verification of a raised size are the RFC's.
 */
#include "tcp/send.h"

#define CWND_MIN         11u /* Linux: less, and a lost probe might go unnoticed */
#define VERIFY_WINDOWS   4u  /* how much is sent before a raised size counts as good */
#define VERIFY_LOST_MIN  3u  /* fewer losses than this prove nothing */
#define VERIFY_LOST_PART 10u /* RFC 4821 7.8: one in ten */

static uint32_t size_now(const struct wi_tcp_conn *c)
{
    return wi_tcp_mss_to_mtu(c, c->snd_mss);
}

/* What the peer would take. */
static uint32_t size_max(const struct wi_tcp_conn *c)
{
    return c->mss_clamp + wi_tcp_hdrs_len(c);
}

void wi_tcp_mtup_init(struct wi_tcp_conn *c)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    c->mtup = (struct wi_tcp_mtup){
        .is_on = s->tcp_mtu_probing > 1,
        .search_low = wi_tcp_mss_to_mtu(c, (uint32_t)s->tcp_base_mss),
        .search_high = c->pmtu ? wi_min_u32(size_max(c), c->pmtu) : size_max(c),
        .begun_at = c->sk.core->now,
    };
}

/* The size follows the search. */
static void resize(struct wi_tcp_conn *c, uint32_t before, const char *cause)
{
    wi_tcp_mss_sync(c, c->pmtu);
    wi_tcp_event_pmtu(c, before, cause);
}

/* ---- When, and how large ---- */

/* The search has ended; after a time the path may have become better. RFC 4821 7.3: not within five minutes. */
static void search_again(struct wi_tcp_conn *c)
{
    struct wi_tcp_mtup *m = &c->mtup;
    const struct wi_core *core = c->sk.core;
    if (core->now - m->begun_at < WEIR_SEC((weir_ns)core->sysctl.tcp_probe_interval))
        return;
    m->search_high = wi_min_u32(size_max(c), c->pmtu);
    m->search_low = size_now(c);
    m->begun_at = core->now;
    wi_tcp_event_pmtu(c, size_now(c), "search begins again");
}

static bool may_search(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_mtup *m = &c->mtup;
    return m->is_on && !m->probe_size && c->loss.ca == WI_TCP_CA_OPEN && c->cwnd >= CWND_MIN &&
           !wi_tcp_rcvq_sack_count(c, 1) && c->sk.core->now >= m->not_before && wi_sk_forbids_fragments(&c->sk.opts);
}

/* Enough to send behind the probe that its loss is noticed, and room for all of it in the peer's window? RFC 4821 7.4.
 */
static enum wi_tcp_mtup_do has_need(const struct wi_tcp_conn *c, uint32_t len)
{
    uint32_t needed = len + (c->loss.reordering + 1) * c->snd_mss, in_flight = wi_tcp_in_flight(c);
    if ((uint32_t)wi_seq_diff(c->write_seq, c->snd_nxt) < needed || c->snd_wnd_bytes < needed)
        return WI_TCP_MTUP_NONE;
    if (wi_seq_gt(wi_seq_add(c->snd_nxt, needed), wi_tcp_wnd_end(c)))
        return WI_TCP_MTUP_WAIT;
    if (in_flight + 2 > c->cwnd)
        return in_flight ? WI_TCP_MTUP_WAIT : WI_TCP_MTUP_NONE;
    return WI_TCP_MTUP_SEND;
}

/* Give the next unsent record so many bytes. */
static bool take_bytes(struct wi_tcp_conn *c, uint32_t len)
{
    struct wi_tcp_rec *r = c->sndq.send_head;
    for (uint32_t had = 0; wi_tcp_rec_len(r) < len && wi_tcp_rec_len(r) > had;) {
        had = wi_tcp_rec_len(r);
        wi_tcp_rec_grow(c, r, len);
    }
    return wi_tcp_rec_len(r) == len || (wi_tcp_rec_len(r) > len && wi_tcp_rec_split(c, r, len, c->snd_mss) == 0);
}

enum wi_tcp_mtup_do wi_tcp_mtup_prepare(struct wi_tcp_conn *c, uint32_t mss)
{
    struct wi_tcp_mtup *m = &c->mtup;
    if (!may_search(c) || !c->sndq.send_head || (c->sndq.send_head->flags & WI_TH_SYN))
        return WI_TCP_MTUP_NONE;
    uint32_t len = wi_tcp_mtu_to_mss(c, (m->search_high + m->search_low) >> 1);
    bool is_found = m->search_high < m->search_low ||
                    m->search_high - m->search_low < (uint32_t)c->sk.core->sysctl.tcp_probe_threshold;
    if (is_found || len <= mss || len > wi_tcp_mtu_to_mss(c, m->search_high)) {
        search_again(c);
        return WI_TCP_MTUP_NONE;
    }
    enum wi_tcp_mtup_do what = has_need(c, len);
    return what == WI_TCP_MTUP_SEND && !take_bytes(c, len) ? WI_TCP_MTUP_NONE : what;
}

void wi_tcp_mtup_sent(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    struct wi_tcp_mtup *m = &c->mtup;
    c->cwnd--; /* it is as much as two: Linux */
    m->probe_size = wi_tcp_mss_to_mtu(c, wi_tcp_rec_len(r));
    m->probe_seq = r->seq;
    m->probe_end = r->end;
}

/* ---- What becomes of it ---- */

static void begin_verification(struct wi_tcp_conn *c, uint32_t low)
{
    struct wi_tcp_mtup *m = &c->mtup;
    if (!m->is_verifying) /* else the last size has not proven itself yet either */
        m->verified_low = low;
    m->is_verifying = true;
    m->verify_end = wi_seq_add(c->snd_nxt, wi_min_u32(VERIFY_WINDOWS * c->cwnd * c->snd_mss, INT32_MAX / 2));
    m->verify_sent = (uint32_t)c->data_segs_out;
    m->verify_lost = c->lost_total;
}

/* RFC 4821 4: more bytes a packet, fewer packets a window. */
static void succeed(struct wi_tcp_conn *c)
{
    struct wi_tcp_mtup *m = &c->mtup;
    uint32_t before = size_now(c), cwnd_before = c->cwnd, low = m->search_low;
    c->loss.prior_ssthresh = wi_tcp_current_ssthresh(c);
    c->cwnd = wi_max_u32(1, (uint32_t)((uint64_t)c->cwnd * before / m->probe_size));
    c->cwnd_cnt = 0;
    c->cwnd_stamp = c->sk.core->now;
    c->ssthresh = wi_tcp_current_ssthresh(c);
    m->search_low = m->probe_size;
    m->probe_size = 0;
    wi_count(c->sk.core, WI_STAT_TCPMTUPSuccess);
    wi_tcp_event_cwnd(c, cwnd_before, "larger segments");
    resize(c, before, "probe answered");
    begin_verification(c, low);
}

/* RFC 4821 7.8: where packets take several paths, a probe may pass that most packets of its size do not. */
static void verify(struct wi_tcp_conn *c)
{
    struct wi_tcp_mtup *m = &c->mtup;
    uint32_t sent = (uint32_t)c->data_segs_out - m->verify_sent, lost = c->lost_total - m->verify_lost;
    if (lost >= VERIFY_LOST_MIN && lost * VERIFY_LOST_PART > sent) {
        uint32_t before = size_now(c);
        m->search_high = m->search_low - 1;
        m->search_low = m->verified_low;
        m->is_verifying = false;
        wi_count(c->sk.core, WI_STAT_TCPMTUPFail);
        resize(c, before, "losses since it was raised");
    } else if (wi_seq_geq(c->snd_una, m->verify_end)) {
        m->is_verifying = false;
    }
}

void wi_tcp_mtup_acked(struct wi_tcp_conn *c)
{
    struct wi_tcp_mtup *m = &c->mtup;
    if (m->probe_size && wi_seq_leq(m->probe_end, c->snd_una))
        succeed(c);
    else if (m->is_verifying)
        verify(c);
}

/* As many round trips as the window has segments: about how far apart losses are, which this one must not hide. RFC
 * 4821 7.6.2. */
static weir_ns pause_after_failure(const struct wi_tcp_conn *c)
{
    return (weir_ns)c->cwnd * WEIR_US((weir_ns)(c->rtt.srtt_us8 >> 3));
}

static void fail(struct wi_tcp_conn *c, uint32_t high, const char *cause)
{
    struct wi_tcp_mtup *m = &c->mtup;
    m->search_high = high;
    m->probe_size = 0;
    m->not_before = c->sk.core->now + pause_after_failure(c);
    c->cwnd++; /* what it cost to send it */
    wi_count(c->sk.core, WI_STAT_TCPMTUPFail);
    wi_tcp_event_pmtu(c, size_now(c), cause);
}

bool wi_tcp_mtup_lost(struct wi_tcp_conn *c)
{
    const struct wi_tcp_mtup *m = &c->mtup;
    if (!m->probe_size || c->loss.ca >= WI_TCP_CA_CWR || !wi_seq_eq(c->snd_una, m->probe_seq))
        return false;
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    if (c->loss.lost_out > head->segs)
        return false; /* others as well: RFC 4821 7.6.4, and a reduction as ever */
    fail(c, m->probe_size - 1, "probe lost");
    wi_tcp_simple_retransmit(c, wi_tcp_mss_now(c));
    return true;
}

void wi_tcp_mtup_inconclusive(struct wi_tcp_conn *c)
{
    struct wi_tcp_mtup *m = &c->mtup;
    if (!m->probe_size)
        return;
    m->probe_size = 0;
    wi_tcp_event_pmtu(c, size_now(c), "probe proves nothing");
}

void wi_tcp_mtup_too_big(struct wi_tcp_conn *c, uint32_t mtu)
{
    if (c->mtup.probe_size > mtu)
        fail(c, mtu, "probe too big");
}

/* ---- Black holes ---- */

/* Linux's tcp_mtu_probing: first to tcp_base_mss, then half of what did not get through either. */
void wi_tcp_suspect_black_hole(struct wi_tcp_conn *c)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    struct wi_tcp_mtup *m = &c->mtup;
    uint32_t before = size_now(c);
    if (!s->tcp_mtu_probing)
        return;
    if (!m->is_on) {
        m->is_on = true;
        m->begun_at = c->sk.core->now;
    } else {
        uint32_t mss = wi_min_u32(wi_tcp_mtu_to_mss(c, m->search_low) >> 1, (uint32_t)s->tcp_base_mss);
        mss = wi_max_u32(mss, (uint32_t)wi_max_u64((uint64_t)s->tcp_mtu_probe_floor, (uint64_t)s->tcp_min_snd_mss));
        m->search_low = wi_tcp_mss_to_mtu(c, mss);
    }
    m->is_verifying = false;
    resize(c, before, "black hole");
}
