/* Resets for segments that have no connection (RFC 9293 3.10.7.1), and how often the wrong ones are answered. */
#include "tcp/demux.h"

#include "base/siphash.h"
#include "base/str.h"

#define RST_REKEY_S 60 /* after which peers share their buckets with others */

/*
 * May a reset go to this peer? A flood of stray segments must not become a flood of resets (RFC 4987 2.2). What one
 * peer uses up is not to be seen by another: a count that is common to all would tell of their connections
 * (CVE-2016-5696, CVE-2020-25705). So peers have buckets by a keyed hash, the key changes, and how much fits is drawn
 * anew each time.
 */
static bool rst_allowed(struct wi_tcp *tcp, const struct weir_addr *peer)
{
    uint32_t rate = (uint32_t)tcp->core->sysctl.tcp_rst_ratelimit, now = (uint32_t)(tcp->core->now / WEIR_SEC(1));
    if (!rate)
        return true;
    uint8_t in[12] = {0};
    memcpy(in, peer->b + (weir_addr_is_v4(peer) ? 8 : 0), 8); /* of IPv6 the network: a host has all of it */
    wi_put32(in + 8, now / RST_REKEY_S);
    uint64_t hash = wi_siphash13(tcp->hash_key, in, sizeof in);
    struct wi_tcp_rst_bucket *b = &tcp->rst_limit.buckets[hash % WI_TCP_RST_BUCKETS];
    if (b->second != now + 1) { /* 0: never used */
        b->second = now + 1;
        b->left = rate / 2 + wi_secret_u32(&tcp->core->secret) % (rate / 2 + 1);
    }
    if (b->left == 0) {
        wi_count(tcp->core, WI_STAT_TcpOutRstsRateLimited);
        return false;
    }
    b->left--;
    return true;
}

void wi_tcp_reset_reply(struct wi_tcp *tcp, const struct wi_tcp_seg *seg, enum weir_why why)
{
    struct wi_dst dst;
    const struct weir_addr *local = &seg->ip->dst, *remote = &seg->ip->src;
    if (seg->h.flags & WI_TH_RST || !rst_allowed(tcp, remote)) /* never answer a reset with a reset */
        return;
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
