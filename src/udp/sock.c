/* UDP's socket calls. */
#include "udp/udp.h"

/* May a socket have this as its own address? */
static bool may_bind(const struct wi_udp_sk *us, const struct weir_addr *addr)
{
    if (weir_addr_is_any(addr) || weir_addr_is_multicast(addr) || wi_net_is_broadcast(us->udp->net, addr))
        return true;
    return wi_sk_may_bind_foreign(&us->sk.opts, us->sk.core) || wi_net_is_local(us->udp->net, addr);
}

static int udp_bind(struct wi_sk *sk, const struct weir_sockaddr *addr)
{
    struct wi_udp_sk *us = wi_udp_sk_of(sk);

    if (!may_bind(us, &addr->addr))
        return -WEIR_EADDRNOTAVAIL;
    int err = wi_ports_bind(&us->udp->ports, sk, addr);
    if (err == 0)
        sk->has_addr = !weir_addr_is_any(&addr->addr);
    return err;
}

static int dissolve(struct wi_udp_sk *us)
{
    struct wi_sk *sk = &us->sk;
    struct weir_addr addr = sk->has_addr ? sk->local.addr : weir_addr_any(sk->family);

    if (!us->is_connected)
        return 0;
    int err = wi_ports_receive(&us->udp->ports, sk, &addr);
    if (err)
        return err;
    wi_udp_connected_remove(us);
    sk->local.addr = addr;
    sk->remote = (struct weir_sockaddr){.family = sk->family, .addr = weir_addr_any(sk->family)};
    return 0;
}

static int udp_connect(struct wi_sk *sk, const struct weir_sockaddr *addr)
{
    struct wi_udp_sk *us = wi_udp_sk_of(sk);
    struct wi_dst dst;
    int err;

    if (addr->family == WEIR_AF_UNSPEC)
        return dissolve(us);
    if ((err = wi_udp_autobind(us)) || (err = dissolve(us)))
        return err;
    int netif = sk->opts.bound_if ? sk->opts.bound_if : (int)addr->scope_id;
    if (!netif && weir_addr_is_multicast(&addr->addr))
        netif = sk->opts.mcast_if;
    err = wi_net_route(us->udp->net, &addr->addr, &sk->local.addr, netif, sk->opts.transparent, &dst);
    if (err)
        return err;
    if (dst.is_broadcast && !sk->opts.broadcast)
        return -WEIR_EACCES;

    struct weir_addr local = weir_addr_is_any(&sk->local.addr) ? dst.src : sk->local.addr;
    if ((err = wi_ports_hold(&us->udp->ports, sk, &local)))
        return err;
    sk->local.addr = local;
    sk->remote = *addr;
    sk->remote.addr = dst.dst;
    us->dst = dst;
    wi_udp_connected_insert(us);
    return 0;
}

/* ---- Receiving ---- */

static uint32_t copy_out(const struct wi_udp_item *item, const struct weir_msg *msg)
{
    uint32_t done = 0;

    for (size_t i = 0; i < msg->iov_n && done < item->len; i++) {
        size_t n = wi_min_size(msg->iov[i].len, item->len - done);
        done += (uint32_t)weir_pkt_copy(item->pkt, item->off + done, msg->iov[i].base, n);
    }
    return done;
}

static int64_t take_error(struct wi_udp_sk *us, struct weir_msg *msg)
{
    struct wi_udp_item *item = wi_list_first(&us->errq, struct wi_udp_item, link);

    if (!item)
        return -WEIR_EAGAIN;
    if (msg->name)
        *msg->name = item->dst;
    msg->flags = WEIR_MSG_ERRQUEUE;
    msg->has = WEIR_HAS_ERR;
    msg->err = item->error.err;
    msg->err_type = item->error.type;
    msg->err_code = item->error.code;
    msg->err_origin = item->error.is_local ? 1 : weir_addr_is_v4(&item->dst.addr) ? 2 : 3;
    msg->err_info = item->error.err == WEIR_EMSGSIZE ? item->error.mtu : 0;
    msg->offender = (struct weir_sockaddr){.addr = item->error.offender, .family = item->dst.family};
    wi_udp_item_free(us, item);
    us->sk.err = 0;
    if ((item = wi_list_first(&us->errq, struct wi_udp_item, link))) /* the next is pending now (Linux) */
        us->sk.err = item->error.err;
    return 0;
}

static int64_t udp_recvmsg(struct wi_sk *sk, struct weir_msg *msg, int flags)
{
    struct wi_udp_sk *us = wi_udp_sk_of(sk);
    int err;

    if (flags & WEIR_MSG_ERRQUEUE)
        return take_error(us, msg);
    if (flags & WEIR_MSG_OOB)
        return -WEIR_EOPNOTSUPP;
    if ((err = wi_sk_take_err(sk)))
        return -err;

    struct wi_udp_item *item = wi_list_first(&us->rxq, struct wi_udp_item, link);
    if (!item)
        return us->shut & 1 ? 0 : -WEIR_EAGAIN;

    uint32_t len = item->len, copied = copy_out(item, msg);
    msg->flags = copied < len ? WEIR_MSG_TRUNC : 0;
    if (msg->name)
        *msg->name = item->src;
    msg->has = WEIR_HAS_PKTINFO | WEIR_HAS_TTL | WEIR_HAS_TOS;
    msg->dst = item->dst;
    msg->ifindex = item->netif;
    msg->ttl = item->ttl;
    msg->tos = item->tos;
    if (!(flags & WEIR_MSG_PEEK))
        wi_udp_item_free(us, item);
    return flags & WEIR_MSG_TRUNC ? len : copied;
}

/* ---- The rest ---- */

static int udp_shutdown(struct wi_sk *sk, int how)
{
    struct wi_udp_sk *us = wi_udp_sk_of(sk);

    if (!us->is_connected)
        return -WEIR_ENOTCONN;
    us->shut |= (uint8_t)(how == WEIR_SHUT_RD ? 1 : how == WEIR_SHUT_WR ? 2 : 3);
    wi_sk_ready(sk, sk->ops->poll(sk));
    return 0;
}

static void udp_close(struct wi_sk *sk)
{
    struct wi_udp_sk *us = wi_udp_sk_of(sk);

    wi_udp_connected_remove(us);
    wi_ports_release(&us->udp->ports, sk);
    wi_sk_group_leave_all(sk);
    wi_list_for_each_safe (item, &us->rxq, struct wi_udp_item, link)
        wi_udp_item_free(us, item);
    wi_list_for_each_safe (item, &us->errq, struct wi_udp_item, link)
        wi_udp_item_free(us, item);
    wi_list_del(&us->all_link);
    wi_slab_free(&us->udp->sk_slab, us);
}

static uint32_t udp_poll(const struct wi_sk *sk)
{
    const struct wi_udp_sk *us = (const struct wi_udp_sk *)(const void *)sk;
    uint32_t mask = WEIR_POLLOUT | WEIR_POLLWRNORM;

    if (!wi_list_empty(&us->rxq) || us->shut & 1)
        mask |= WEIR_POLLIN | WEIR_POLLRDNORM;
    if (us->shut & 1)
        mask |= WEIR_POLLRDHUP;
    if (us->shut == 3)
        mask |= WEIR_POLLHUP;
    if (sk->err || !wi_list_empty(&us->errq))
        mask |= WEIR_POLLERR;
    return mask;
}

static int udp_getsockopt(struct wi_sk *sk, int level, int name, void *value, uint32_t *len)
{
    if (level != WEIR_SOL_SOCKET || name != WEIR_SO_MEMINFO || *len < WEIR_MEMINFO_N * sizeof(uint32_t))
        return -WEIR_ENOPROTOOPT;
    ((uint32_t *)value)[WEIR_MEMINFO_RMEM_ALLOC] = wi_udp_sk_of(sk)->rx_bytes;
    return 0;
}

static int udp_setsockopt(struct wi_sk *sk, int level, int name, const void *value, uint32_t len)
{
    (void)sk;
    (void)level;
    (void)name;
    (void)value;
    (void)len;
    return -WEIR_ENOPROTOOPT;
}

static int udp_ioctl(struct wi_sk *sk, enum weir_ioctl what, int *value)
{
    struct wi_udp_sk *us = wi_udp_sk_of(sk);
    struct wi_udp_item *item = wi_list_first(&us->rxq, struct wi_udp_item, link);

    switch (what) {
    case WEIR_SIOCINQ: *value = item ? (int)item->len : 0; return 0;
    case WEIR_SIOCOUTQ: *value = 0; return 0; /* sends are immediate */
    case WEIR_SIOCATMARK:
    case WEIR_SIOCOUTQNSD: break;
    }
    return -WEIR_EINVAL;
}

const struct wi_sk_ops wi_udp_sk_ops = {
    .bind = udp_bind,
    .connect = udp_connect,
    .sendmsg = wi_udp_sendmsg,
    .recvmsg = udp_recvmsg,
    .shutdown = udp_shutdown,
    .close = udp_close,
    .abort = udp_close,
    .poll = udp_poll,
    .getsockopt = udp_getsockopt,
    .setsockopt = udp_setsockopt,
    .ioctl = udp_ioctl,
};
