/* Resets for segments that have no connection (RFC 9293 3.10.7.1), and how often the wrong ones are answered. */
#include "tcp/demux.h"

void wi_tcp_reset_reply(struct wi_tcp *tcp, const struct wi_tcp_seg *seg, enum weir_why why)
{
    struct wi_dst dst;
    if (seg->h.flags & WI_TH_RST) /* never answer a reset with a reset */
        return;
    const struct weir_addr *local = &seg->ip->dst, *remote = &seg->ip->src;
    int bound_if = !weir_addr_is_v4(remote) && weir_addr_is_linklocal(remote) ? seg->netif : 0;
    if (wi_net_route(tcp->net, remote, local, bound_if, true, &dst) < 0)
        return;
    bool has_ack = seg->h.flags & WI_TH_ACK;
    struct wi_tcp_bare b = {
        .dst = &dst,
        .local = wi_tcp_sockaddr(local, seg->h.dst_port),
        .remote = wi_tcp_sockaddr(remote, seg->h.src_port),
        .h = {.src_port = seg->h.dst_port,
              .dst_port = seg->h.src_port,
              .seq = has_ack ? seg->h.ack : (struct wi_seq){0},
              .ack = has_ack ? (struct wi_seq){0} : wi_seq_add(seg->h.seq, wi_wire_tcp_seg_len(&seg->h)),
              .flags = (uint16_t)(WI_TH_RST | (has_ack ? 0 : WI_TH_ACK))},
        .why = why,
    };
    (void)wi_tcp_send_bare(tcp, &b); /* like one that got lost: the peer will ask again */
}

/* RFC 5961 7, with nothing that another connection could count (CVE-2016-5696). */
bool wi_tcp_challenge_allowed(struct wi_tcp_conn *c)
{
    struct wi_core *core = c->sk.core;
    if (core->now - c->challenge_at >= WEIR_SEC(1)) {
        c->challenge_at = core->now;
        c->challenge_n = 0;
    }
    if (c->challenge_n >= core->sysctl.tcp_challenge_ack_limit || !wi_tcp_oow_ack_allowed(c))
        return false;
    c->challenge_n++;
    wi_count(core, WI_STAT_TCPChallengeACK);
    return true;
}

bool wi_tcp_oow_ack_allowed(struct wi_tcp_conn *c)
{
    const struct wi_core *core = c->sk.core;
    weir_ns apart = WEIR_MS(core->sysctl.tcp_invalid_ratelimit);
    if (c->oow_ack_at && core->now - c->oow_ack_at < apart)
        return false;
    c->oow_ack_at = core->now ? core->now : 1;
    return true;
}
