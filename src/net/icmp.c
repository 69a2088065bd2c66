/*
 * ICMP and ICMPv6: echo, the errors that we make (RFC 1122 3.2.2, RFC 4443 2.4) and those that reach us, which go to
 * the transport whose packet they quote. Redirects, quenches, masks and timestamps are not for this host.
 */
#include "base/checksum.h"
#include "base/str.h"
#include "net/net_internal.h"

/* As Linux: a host may save up six errors at the per-host rate (net/ipv4/route.c, XRLIM_BURST_FACTOR). */
#define HOST_BURST 6

/* ---- Whether to send an error ---- */

static bool is_icmp_error(const struct weir_pkt *pkt, const struct wi_ip *ip)
{
    uint8_t type;
    if (ip->proto != (ip->is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP))
        return false;
    if (weir_pkt_copy(pkt, (size_t)pkt->l3_off + ip->l4_off, &type, 1) != 1)
        return true; /* nobody can tell: be silent */
    if (ip->is_v6)
        return type < 128 || type == 137; /* errors, redirect */
    return type != 0 && type != 8 && type < 13;
}

/* RFC 1122 3.2.2, RFC 4443 2.4 (e). That the source is a sane unicast address was checked on the way in. */
static bool is_error_allowed(const struct wi_net *net, const struct wi_icmp_owed *owed, const struct weir_pkt *pkt,
                             const struct wi_ip *ip, const struct wi_rx *rx)
{
    bool is_later_fragment4 = !ip->is_v6 && ip->frag_off != 0;
    if (is_later_fragment4 || is_icmp_error(pkt, ip) || weir_addr_is_any(&ip->src))
        return false;
    if (owed->even_if_multicast)
        return wi_shard_answers(&net->core->shard) || !weir_addr_is_multicast(&ip->dst);
    return !rx->is_link_group && !weir_addr_is_multicast(&ip->dst) && !wi_net_is_broadcast(net, &ip->dst);
}

/* A token bucket of `burst` tokens that gains one each `interval`, kept as the time when it is full. False: it is
 * empty; else `cost` tokens are gone. */
static bool bucket_take(weir_ns *full_at, weir_ns now, weir_ns interval, weir_ns burst, weir_ns cost)
{
    weir_ns at = *full_at > now ? *full_at : now;
    if (at + interval > now + burst * interval)
        return false;
    *full_at = at + cost * interval;
    return true;
}

/* Each host has a bucket (those that share one by their hash only get less), and all together another, from which an
 * error takes none, one or two: what is refused to one host tells it nothing about others (CVE-2020-25705). */
static bool is_within_rate(struct wi_net *net, const struct weir_addr *to)
{
    struct wi_core *core = net->core;
    const struct wi_sysctl *sysctl = &core->sysctl;
    weir_ns each = WEIR_MS((weir_ns)sysctl->icmp_ratelimit), burst = (weir_ns)sysctl->icmp_msgs_burst;
    struct wi_icmp_bucket *host = &net->icmp_buckets[wi_net_hash(net, to, 0) % WI_ICMP_BUCKET_N];
    if (each && !bucket_take(&host->full_at, core->now, each, HOST_BURST, 1))
        return false;
    if (!sysctl->icmp_msgs_per_sec)
        return false;
    weir_ns interval = WEIR_SEC(1) / (weir_ns)sysctl->icmp_msgs_per_sec;
    return bucket_take(&net->icmp_full_at, core->now, interval, burst, wi_secret_u32(&core->secret) % 3);
}

/* ---- Sending ---- */

/* The message `p` of `len` bytes is in `pkt`: seal it and send it to whoever `to` is, who was heard through `rx`. A
 * link-local address means its link's host only. */
static void send_message(struct wi_net *net, struct weir_pkt *pkt, uint8_t *p, size_t len, const struct weir_addr *src,
                         const struct weir_addr *to, const struct wi_rx *rx, uint8_t tos)
{
    struct wi_dst dst;
    bool is_v6 = !weir_addr_is_v4(to);
    int link = is_v6 && weir_addr_is_linklocal(to) ? rx->netif->index : 0;
    if (wi_net_route(net, to, src, link, true, &dst) < 0) {
        wi_count(net->core, WI_STAT_IcmpOutErrors);
        wi_drop(net->core, WEIR_DROP_NO_ROUTE, pkt, 0);
        weir_pkt_unref(pkt);
        return;
    }
    wi_icmp_seal(p, len, is_v6, &dst.src, to);
    const struct wi_net_hdr hdr = {.src = dst.src, .dst = *to, .proto = is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP, .tos = tos};
    wi_count(net->core, WI_STAT_IcmpOutMsgs);
    (void)wi_net_output(net, &dst, &hdr, pkt);
}

/* An error's source: the address that was asked for where it is ours or meant to look like it, else one of the
 * interface that it came in on. */
static struct weir_addr error_src(const struct wi_net *net, const struct wi_ip *ip, const struct wi_rx *rx)
{
    bool is_unicast = !weir_addr_is_multicast(&ip->dst) && !wi_net_is_broadcast(net, &ip->dst);
    if (is_unicast && (wi_net_is_local(net, &ip->dst) || (rx->netif->flags & WEIR_NETIF_ANY_ADDR)))
        return ip->dst;
    return wi_ifaddr_on_link(rx->netif, &ip->src);
}

void wi_icmp_send_error(struct wi_net *net, const struct wi_icmp_owed *owed, const struct weir_pkt *pkt,
                        const struct wi_ip *ip, const struct wi_rx *rx)
{
    if (!is_error_allowed(net, owed, pkt, ip, rx))
        return;
    if (!rx->is_loop && !is_within_rate(net, &ip->src)) {
        wi_count(net->core, WI_STAT_IcmpOutRateLimited);
        return;
    }
    const struct wi_icmp icmp = {.kind = owed->kind, .is_v6 = ip->is_v6, .code = owed->code, .pointer = owed->pointer};
    size_t quote = wi_icmp_quote_len(ip->is_v6, wi_min_size(ip->total_len, pkt->len - pkt->l3_off));
    uint8_t *p;
    struct weir_pkt *out = wi_msg_new(net, WI_ICMP_HDR + quote, &p);
    if (!out)
        return;
    wi_icmp_put(p, &icmp);
    (void)weir_pkt_copy(pkt, pkt->l3_off, p + WI_ICMP_HDR, quote);
    struct weir_addr src = error_src(net, ip, rx);
    send_message(net, out, p, WI_ICMP_HDR + quote, &src, &ip->src, rx, 0);
}

void wi_net_send_unreach(struct wi_net *net, enum wi_unreach what, const struct weir_pkt *pkt, const struct wi_ip *ip,
                         int netif)
{
    static const uint8_t codes[][2] = {
        [WI_UNREACH_NET] = {WI_ICMP4_NET, WI_ICMP6_NO_ROUTE},
        [WI_UNREACH_HOST] = {WI_ICMP4_HOST, WI_ICMP6_ADDR},
        [WI_UNREACH_PORT] = {WI_ICMP4_PORT, WI_ICMP6_PORT},
        [WI_UNREACH_ADMIN] = {WI_ICMP4_ADMIN, WI_ICMP6_ADMIN},
    };
    const struct wi_icmp_owed owed = {.kind = WI_ICMP_UNREACH, .code = codes[what][ip->is_v6]};
    struct wi_rx rx = {.netif = wi_netif_get(net, netif), .is_loop = netif == WI_NETIF_LOOPBACK};
    uint8_t mac[WI_ETH_ADDR_LEN];
    if (!rx.netif)
        return;
    if (pkt->l3_off >= WI_ETH_HDR && weir_pkt_copy(pkt, pkt->l3_off - WI_ETH_HDR, mac, sizeof mac) == sizeof mac)
        rx.is_link_group = wi_eth_is_group(mac);
    wi_icmp_send_error(net, &owed, pkt, ip, &rx);
}

/* ---- Echo ---- */

/* RFC 1122 3.2.2.6, RFC 4443 4.2: all data back, from the address that was asked. */
static enum weir_drop echo(struct wi_net *net, const struct weir_pkt *pkt, const struct wi_ip *ip,
                           const struct wi_icmp *request, const struct wi_rx *rx)
{
    bool is_group = weir_addr_is_multicast(&ip->dst) || wi_net_is_broadcast(net, &ip->dst);
    if (net->core->sysctl.icmp_echo_ignore_all || weir_addr_is_any(&ip->src))
        return WEIR_DROP_FILTERED;
    if (is_group && !ip->is_v6 && net->core->sysctl.icmp_echo_ignore_broadcasts)
        return WEIR_DROP_ICMP_ECHO_BROADCAST;
    if (is_group && !wi_shard_answers(&net->core->shard))
        return WEIR_DROP_NONE;
    uint8_t *p;
    struct weir_pkt *out = wi_msg_new(net, ip->l4_len, &p);
    if (!out)
        return WEIR_DROP_NO_MEMORY;
    struct wi_icmp reply = {
        .kind = WI_ICMP_ECHO_REPLY, .is_v6 = ip->is_v6, .id = request->id, .echo_seq = request->echo_seq};
    (void)weir_pkt_copy(pkt, pkt->l4_off, p, ip->l4_len);
    wi_icmp_put(p, &reply);
    struct weir_addr src = is_group ? wi_ifaddr_on_link(rx->netif, &ip->src) : ip->dst;
    send_message(net, out, p, ip->l4_len, &src, &ip->src, rx, ip->tos);
    return WEIR_DROP_NONE;
}

/* ---- Errors that reach us ---- */

struct error_meaning {
    int err;
    bool is_hard;
};

/* Linux: icmp_err_convert; RFC 1122 4.2.3.9 on which are hard. */
static struct error_meaning meaning_v4(const struct wi_icmp *icmp)
{
    static const struct error_meaning unreach[] = {
        [0] = {WEIR_ENETUNREACH, false},   [1] = {WEIR_EHOSTUNREACH, false}, [2] = {WEIR_ENOPROTOOPT, true},
        [3] = {WEIR_ECONNREFUSED, true},   [4] = {WEIR_EMSGSIZE, false},     [5] = {WEIR_EOPNOTSUPP, false},
        [6] = {WEIR_ENETUNREACH, true},    [7] = {WEIR_EHOSTDOWN, true},     [8] = {WEIR_EHOSTUNREACH, true},
        [9] = {WEIR_ENETUNREACH, true},    [10] = {WEIR_EHOSTUNREACH, true}, [11] = {WEIR_ENETUNREACH, false},
        [12] = {WEIR_EHOSTUNREACH, false}, [13] = {WEIR_EHOSTUNREACH, true}, [14] = {WEIR_EHOSTUNREACH, true},
        [15] = {WEIR_EHOSTUNREACH, true},
    };
    if (icmp->code < WI_ARRAY_LEN(unreach))
        return unreach[icmp->code];
    return (struct error_meaning){WEIR_EHOSTUNREACH, false};
}

/* Linux: icmpv6_err_convert. */
static struct error_meaning meaning_v6(const struct wi_icmp *icmp)
{
    static const struct error_meaning unreach[] = {
        [WI_ICMP6_NO_ROUTE] = {WEIR_ENETUNREACH, false}, [WI_ICMP6_ADMIN] = {WEIR_EACCES, true},
        [WI_ICMP6_SCOPE] = {WEIR_EHOSTUNREACH, false},   [WI_ICMP6_ADDR] = {WEIR_EHOSTUNREACH, false},
        [WI_ICMP6_PORT] = {WEIR_ECONNREFUSED, true},     [WI_ICMP6_POLICY] = {WEIR_EACCES, true},
        [WI_ICMP6_REJECT] = {WEIR_EACCES, true},
    };
    if (icmp->code < WI_ARRAY_LEN(unreach))
        return unreach[icmp->code];
    return (struct error_meaning){WEIR_EHOSTUNREACH, false};
}

static struct error_meaning meaning_of(const struct wi_icmp *icmp)
{
    switch (icmp->kind) {
    case WI_ICMP_UNREACH: return icmp->is_v6 ? meaning_v6(icmp) : meaning_v4(icmp);
    case WI_ICMP_TOO_BIG: return (struct error_meaning){WEIR_EMSGSIZE, false};
    case WI_ICMP_PARAM_PROBLEM: return (struct error_meaning){WEIR_EPROTO, true};
    case WI_ICMP_TIME_EXCEEDED:
    case WI_ICMP_ECHO_REQUEST:
    case WI_ICMP_ECHO_REPLY:
    case WI_ICMP_ND:
    case WI_ICMP_MLD: break;
    }
    return (struct error_meaning){WEIR_EHOSTUNREACH, false};
}

/* RFC 1191 7.1: where a router does not say, the next smaller of the MTUs that links have. */
static uint32_t plateau_below(uint32_t len)
{
    static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};
    for (size_t i = 0; i < WI_ARRAY_LEN(plateaus); i++) {
        if (plateaus[i] < len)
            return plateaus[i];
    }
    return WI_IPV4_MTU_MIN;
}

/* The path's MTU as a too-big message has it; 0: it makes no sense. */
static uint32_t told_mtu(const struct wi_icmp *icmp)
{
    if (icmp->is_v6)
        return icmp->mtu >= WI_IPV6_MTU_MIN ? icmp->mtu : 0; /* RFC 8201 4 */
    if (icmp->mtu >= WI_IPV4_MTU_MIN)
        return icmp->mtu;
    return icmp->mtu == 0 ? plateau_below(icmp->inner.ip.total_len) : 0;
}

static bool is_quote_ours(const struct wi_net *net, const struct wi_icmp_inner *inner, const struct wi_rx *rx)
{
    return wi_net_is_local(net, &inner->ip.src) || (rx->netif->flags & WEIR_NETIF_ANY_ADDR);
}

static enum weir_drop error_input(struct wi_net *net, const struct wi_icmp *icmp, const uint8_t *msg,
                                  const struct wi_ip *ip, const struct wi_rx *rx)
{
    const struct wi_icmp_inner *inner = &icmp->inner;
    if (!is_quote_ours(net, inner, rx))
        return WEIR_DROP_ICMP_INNER_NOT_OURS;
    const struct wi_net_proto *proto = wi_net_proto_find(net, inner->ip.proto);
    if (!proto || !proto->error)
        return WEIR_DROP_ICMP_NO_SOCKET;
    if (inner->ip.l4_len < 8 || inner->ip.frag_off)
        return WEIR_DROP_ICMP_INNER;

    struct error_meaning meaning = meaning_of(icmp);
    struct wi_net_error err = {
        .err = meaning.err, .is_hard = meaning.is_hard, .type = icmp->type, .code = icmp->code, .offender = ip->src};
    if (icmp->kind == WI_ICMP_TOO_BIG) {
        err.mtu = told_mtu(icmp);
        if (!err.mtu)
            return WEIR_DROP_ICMP_MTU;
    }
    proto->error(proto->ctx, &err, &inner->ip, msg + inner->l4_off, inner->ip.l4_len);
    return WEIR_DROP_NONE;
}

/* ---- Input ---- */

static enum weir_drop icmp_judge(struct wi_net *net, struct weir_pkt *pkt, const struct wi_ip *ip,
                                 const struct wi_icmp *icmp, const uint8_t *msg, const struct wi_rx *rx)
{
    switch (icmp->kind) {
    case WI_ICMP_ECHO_REQUEST: return echo(net, pkt, ip, icmp, rx);
    case WI_ICMP_ECHO_REPLY: return WEIR_DROP_ICMP_ECHO_REPLY;
    case WI_ICMP_ND: wi_nd_input(rx->netif, pkt, ip); return WEIR_DROP_NONE;
    case WI_ICMP_MLD: wi_mld_input(net, pkt, ip, rx); return WEIR_DROP_NONE;
    case WI_ICMP_UNREACH:
    case WI_ICMP_TOO_BIG:
    case WI_ICMP_TIME_EXCEEDED:
    case WI_ICMP_PARAM_PROBLEM: break;
    }
    return error_input(net, icmp, msg, ip, rx);
}

static bool csum_is_good(const struct weir_pkt *pkt, const struct wi_ip *ip)
{
    if (ip->is_v6 || (pkt->flags & WEIR_PKT_CSUM_OK))
        return wi_net_csum_is_good(pkt, ip);
    return wi_csum_fold(wi_pkt_csum(pkt, pkt->l4_off, ip->l4_len)) == 0xffff;
}

void wi_icmp_input(struct wi_net *net, struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_rx *rx)
{
    struct wi_icmp icmp;
    size_t len, end = (size_t)pkt->l4_off + ip->l4_len;
    wi_count(net->core, WI_STAT_IcmpInMsgs);
    enum weir_drop why = csum_is_good(pkt, ip) ? WEIR_DROP_NONE : WEIR_DROP_ICMP_CSUM;
    const uint8_t *p = wi_pkt_linear(pkt, wi_min_size(end, pkt->l4_off + WI_NET_LINEAR), &len);
    len = wi_min_size(len, end);
    if (why == WEIR_DROP_NONE && len < pkt->l4_off)
        why = WEIR_DROP_ICMP_SHORT;
    if (why == WEIR_DROP_NONE)
        why = wi_icmp_parse(&icmp, p + pkt->l4_off, len - pkt->l4_off, ip->l4_len, ip->is_v6);
    if (why == WEIR_DROP_NONE)
        why = icmp_judge(net, pkt, ip, &icmp, p + pkt->l4_off, rx);
    if (why != WEIR_DROP_NONE) {
        wi_count(net->core, WI_STAT_IcmpInErrors);
        wi_drop(net->core, why, pkt, rx->netif->index);
    }
}
