/*
 * Segment size and path MTU: RFC 9293 3.7.1, RFC 6691, RFC 1191, RFC 8201; what to do when the path shrinks.
 */
#include "tcp/send.h"

#define SACK_BASE      4u /* two NOPs, kind, length */
#define SACK_PER_BLOCK 8u

uint32_t wi_tcp_hdrs_len(const struct wi_tcp_conn *c)
{
    return (weir_addr_is_v4(&c->sk.remote.addr) ? 20u : 40u) + WI_TCP_HDR_MIN;
}

uint16_t wi_tcp_advmss(const struct wi_tcp_conn *c)
{
    uint32_t hdrs = wi_tcp_hdrs_len(c), mss = c->dst.adv_mtu > hdrs ? c->dst.adv_mtu - hdrs : WI_TCP_MSS_MIN;
    if (c->dst.advmss && c->dst.advmss < mss)
        mss = c->dst.advmss;
    if (c->user_mss && c->user_mss < mss)
        mss = c->user_mss;
    return mss < 0xffff ? (uint16_t)mss : 0xffff;
}

void wi_tcp_take_peer_mss(struct wi_tcp_conn *c, uint32_t mss)
{
    if (mss == 0)
        mss = weir_addr_is_v4(&c->sk.remote.addr) ? WI_TCP_MSS_DEFAULT_V4 : WI_TCP_MSS_DEFAULT_V6;
    uint32_t floor = (uint32_t)c->sk.core->sysctl.tcp_min_snd_mss;
    if (mss < floor)
        mss = floor;
    if (c->user_mss && mss > c->user_mss)
        mss = c->user_mss;
    c->mss_clamp = (uint16_t)mss;
}

uint32_t wi_tcp_bound_to_half_wnd(const struct wi_tcp_conn *c, uint32_t bytes)
{
    uint32_t max = c->snd_wnd_max_bytes;
    uint32_t cut = max > WI_TCP_MSS_DEFAULT_V4 ? max >> 1 : max;
    if (cut == 0 || bytes <= cut)
        return bytes;
    uint32_t floor = 68 - WI_TCP_HDR_MIN;
    return cut > floor ? cut : floor;
}

uint32_t wi_tcp_mtu_to_mss(const struct wi_tcp_conn *c, uint32_t mtu)
{
    uint32_t hdrs = wi_tcp_hdrs_len(c), mss = mtu > hdrs ? mtu - hdrs : 0;
    if (mss > c->mss_clamp)
        mss = c->mss_clamp;
    /* The MSS option counts no options, what we send does: RFC 6691 2, RFC 9293 MUST-16. */
    uint32_t opts = c->ts_ok ? WI_TCP_TS_SPACE : 0, floor = (uint32_t)c->sk.core->sysctl.tcp_min_snd_mss;
    if (mss < floor)
        mss = floor;
    return mss > opts ? mss - opts : 1;
}

uint32_t wi_tcp_mss_to_mtu(const struct wi_tcp_conn *c, uint32_t mss)
{
    return mss + wi_tcp_hdrs_len(c) + (c->ts_ok ? WI_TCP_TS_SPACE : 0);
}

void wi_tcp_mss_sync(struct wi_tcp_conn *c, uint32_t pmtu)
{
    struct wi_tcp_mtup *m = &c->mtup;
    m->search_high = wi_min_u32(m->search_high, pmtu);
    c->pmtu = pmtu;
    uint32_t mss = wi_tcp_bound_to_half_wnd(c, wi_tcp_mtu_to_mss(c, pmtu));
    if (m->is_on)
        mss = wi_min_u32(mss, wi_tcp_mtu_to_mss(c, m->search_low));
    c->snd_mss = mss < 0xffff ? (uint16_t)mss : 0xffff;
}

uint32_t wi_tcp_mss_now(const struct wi_tcp_conn *c)
{
    unsigned n = c->sack_ok ? wi_tcp_rcvq_sack_count(c, c->ts_ok ? WI_TCP_SACK_MAX - 1 : WI_TCP_SACK_MAX) : 0;
    uint32_t taken = (n ? SACK_BASE + n * SACK_PER_BLOCK : 0) + wi_tcp_accecn_len(c, n);
    return c->snd_mss > taken ? c->snd_mss - taken : 1;
}

bool wi_tcp_route_refresh(struct wi_tcp_conn *c)
{
    if (wi_dst_is_valid(c->sk.net, &c->dst))
        return true;
    struct wi_dst dst;
    if (wi_net_route(c->sk.net, &c->sk.remote.addr, &c->sk.local.addr, c->sk.opts.bound_if, c->sk.opts.transparent,
                     &dst) < 0)
        return false;
    uint32_t before = c->dst.mtu;
    c->dst = dst;
    if (dst.mtu < before && dst.mtu < c->pmtu) {
        c->mtu_fell = true;
        wi_tcp_owe(c, WI_TCP_OWE_SEND);
    } else if (dst.mtu != c->pmtu) {
        wi_tcp_mss_sync(c, dst.mtu);
    }
    return true;
}

void wi_tcp_mtu_reduced(struct wi_tcp_conn *c, uint32_t mtu)
{
    if (mtu >= c->pmtu)
        return;
    uint32_t before = wi_tcp_mss_to_mtu(c, c->snd_mss);
    wi_tcp_mtup_too_big(c, mtu);
    wi_tcp_mss_sync(c, mtu);
    wi_tcp_event_pmtu(c, before, "packet too big");
    /* A SYN with data: its record does not show how large it was, so everything is taken for lost (Linux). */
    bool is_syn_data = c->state == WEIR_TCP_SYN_SENT && c->fo.syn_data;
    uint32_t hdrs = wi_tcp_hdrs_len(c);
    if (c->state == WEIR_TCP_SYN_SENT && mtu > hdrs && mtu - hdrs < c->advmss)
        c->advmss = (uint16_t)(mtu - hdrs); /* the SYN that goes again asks for no more (Linux) */
    wi_tcp_simple_retransmit(c, is_syn_data ? 0 : wi_tcp_mss_now(c));
}
