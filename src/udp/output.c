/* A datagram on its way out. */
#include "udp/udp.h"

#include "base/str.h"
#include "wire/udp.h"

/* Before the payload's block: UDP header here, and room for what the network layer puts in front. */
enum { HEADROOM = 128 };

/* Where one datagram goes, and how. */
struct passage {
    struct weir_sockaddr to;
    struct weir_addr src;
    uint16_t src_port;
    struct wi_dst dst;
    struct wi_net_hdr hdr;
    uint32_t len; /* payload */
};

static bool is_one_of_ours(const struct wi_udp_sk *us)
{
    return us->sk.opts.transparent || us->sk.core->sysctl.ip_nonlocal_bind;
}

/* RFC 6724 and the socket's options: from which address, by which interface. */
static int find_way(struct wi_udp_sk *us, const struct weir_msg *msg, struct passage *p)
{
    const struct wi_sk_opts *o = &us->sk.opts;
    bool has_info = msg->has & WEIR_HAS_PKTINFO;
    bool is_group = weir_addr_is_multicast(&p->to.addr);
    int netif = o->bound_if ? o->bound_if : (int)p->to.scope_id;

    p->src = has_info && !weir_addr_is_any(&msg->dst.addr) ? msg->dst.addr : us->sk.local.addr;
    p->src_port = has_info && msg->dst.port && o->any_port ? msg->dst.port : us->sk.local.port;
    if (!netif && has_info)
        netif = msg->ifindex;
    if (!netif && is_group)
        netif = o->mcast_if;
    if (us->is_connected && !msg->name && !has_info) {
        if (wi_dst_is_valid(us->udp->net, &us->dst)) {
            p->dst = us->dst;
            return 0;
        }
    }
    if (!p->src_port) /* a socket of every port does not know from which one to speak unless it is told */
        return -WEIR_EINVAL;
    int err = wi_net_route(us->udp->net, &p->to.addr, &p->src, netif, is_one_of_ours(us), &p->dst);
    if (err)
        wi_count(us->sk.core, WI_STAT_IpOutNoRoutes);
    else if (us->is_connected && !msg->name && !has_info)
        us->dst = p->dst;
    return err;
}

static uint8_t ttl_for(const struct wi_udp_sk *us, const struct weir_msg *msg, bool is_group)
{
    const struct wi_sk_opts *o = &us->sk.opts;

    if (msg->has & WEIR_HAS_TTL)
        return (uint8_t)msg->ttl;
    if (is_group)
        return (uint8_t)o->mcast_ttl;
    return o->ttl > 0 ? (uint8_t)o->ttl : 0;
}

/* The IP header's fields. -EMSGSIZE: longer than what may go out whole, or at all. */
static int make_hdr(struct wi_udp_sk *us, const struct weir_msg *msg, struct passage *p)
{
    const struct wi_sk_opts *o = &us->sk.opts;
    bool is_v4 = weir_addr_is_v4(&p->to.addr), is_group = weir_addr_is_multicast(&p->to.addr);
    uint32_t ip_len = p->len + WI_UDP_HDR + (is_v4 ? WI_IPV4_HDR : WI_IPV6_HDR);

    if (p->len + WI_UDP_HDR + (is_v4 ? (uint32_t)WI_IPV4_HDR : 0) > WI_IP_TOTAL_MAX)
        return -WEIR_EMSGSIZE;
    if (o->mtu_discover >= WI_PMTUDISC_PROBE)
        p->dst.mtu = p->dst.link_mtu; /* RFC 4821 9: what has been learnt of the path does not bind a probe */
    bool may_fragment = o->mtu_discover <= WI_PMTUDISC_WANT || o->mtu_discover == WI_PMTUDISC_OMIT;
    if (!may_fragment && ip_len > p->dst.mtu)
        return -WEIR_EMSGSIZE;
    bool is_wanted = o->mtu_discover == WI_PMTUDISC_WANT && ip_len <= p->dst.mtu;
    p->hdr = (struct wi_net_hdr){
        .src = weir_addr_is_any(&p->src) ? p->dst.src : p->src,
        .dst = p->dst.dst,
        .proto = WI_IP_UDP,
        .ttl = ttl_for(us, msg, is_group),
        .tos = msg->has & WEIR_HAS_TOS ? (uint8_t)msg->tos : o->tos,
        .df = is_wanted || o->mtu_discover == WI_PMTUDISC_DO || o->mtu_discover == WI_PMTUDISC_PROBE,
        .mcast_loop = o->mcast_loop,
    };
    return 0;
}

static struct weir_pkt *make_pkt(struct wi_udp_sk *us, const struct weir_msg *msg, const struct passage *p)
{
    struct weir_pool *pool = us->sk.core->pool;
    struct weir_pkt *pkt = weir_pkt_new(pool, HEADROOM);
    struct weir_block *b = p->len > 0 ? weir_block_new(pool, p->len) : NULL;

    if (!pkt || (p->len > 0 && !b)) {
        if (pkt)
            weir_pkt_unref(pkt);
        if (b)
            weir_block_unref(b);
        return NULL;
    }
    wi_wire_udp_put(weir_pkt_put(pkt, WI_UDP_HDR),
                    &(struct wi_wire_udp){
                        .src_port = p->src_port,
                        .dst_port = p->to.port,
                        .csum = wi_ip_pseudo_csum(&p->hdr.src, &p->hdr.dst, WI_IP_UDP, p->len + WI_UDP_HDR),
                        .data_len = p->len,
                    });
    pkt->flags |= WEIR_PKT_CSUM_PARTIAL;
    if (b) {
        uint8_t *to = b->data;
        for (size_t i = 0; i < msg->iov_n; i++) {
            if (msg->iov[i].len > 0)
                memcpy(to, msg->iov[i].base, msg->iov[i].len);
            to += msg->iov[i].len;
        }
        (void)weir_pkt_append(pkt, b, 0, p->len); /* the packet is empty: there is room */
        weir_block_unref(b);
    }
    return pkt;
}

static int64_t send_it(struct wi_udp_sk *us, const struct weir_msg *msg, const struct passage *p)
{
    struct wi_core *core = us->sk.core;
    struct weir_pkt *pkt = make_pkt(us, msg, p);

    if (!pkt) {
        wi_count(core, WI_STAT_UdpSndbufErrors);
        return -WEIR_ENOBUFS;
    }
    if (wi_event_wanted(core, WEIR_EV_DGRAM_OUT))
        wi_udp_event(us, WEIR_EV_DGRAM_OUT, pkt, p->len, &p->to);
    int err = wi_net_output(us->udp->net, &p->dst, &p->hdr, pkt);
    if (err == -WEIR_ENOBUFS) { /* lost as on a wire; who asked for errors is told (Linux: udp_send_skb) */
        wi_count(core, WI_STAT_UdpSndbufErrors);
        err = us->sk.opts.recverr ? err : 0;
    }
    if (err)
        return err;
    wi_count(core, WI_STAT_UdpOutDatagrams);
    return p->len;
}

/* Whom it is for, and whether it may go there. */
static int find_peer(const struct wi_udp_sk *us, const struct weir_msg *msg, struct passage *p)
{
    if (!msg->name && !us->is_connected)
        return -WEIR_EDESTADDRREQ;
    p->to = msg->name ? *msg->name : us->sk.remote;
    return p->to.port == 0 ? -WEIR_EINVAL : 0;
}

int64_t wi_udp_sendmsg(struct wi_sk *sk, const struct weir_msg *msg, int flags)
{
    struct wi_udp_sk *us = wi_udp_sk_of(sk);
    struct passage p = {.len = 0};
    uint64_t len = 0;
    int err = wi_sk_take_err(sk);

    if (err)
        return -err;
    if (flags & (WEIR_MSG_OOB | WEIR_MSG_MORE)) /* a datagram is sent whole */
        return -WEIR_EOPNOTSUPP;
    if (us->shut & 2)
        return -WEIR_EPIPE;
    for (size_t i = 0; i < msg->iov_n; i++)
        len += msg->iov[i].len;
    if (len > WI_IP_TOTAL_MAX)
        return -WEIR_EMSGSIZE;
    p.len = (uint32_t)len;
    if ((err = find_peer(us, msg, &p)) || (err = wi_udp_autobind(us)) || (err = find_way(us, msg, &p)))
        return err;
    if (p.dst.is_broadcast && !sk->opts.broadcast)
        return -WEIR_EACCES;
    if ((err = make_hdr(us, msg, &p)))
        return err;
    return send_it(us, msg, &p);
}
