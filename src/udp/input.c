/* Datagrams and ICMP errors as they arrive: to the socket that they are for, within its buffer. */
#include "udp/udp.h"

#include "wire/udp.h"

/* What a datagram costs its socket: the memory that it keeps from others. */
static uint32_t charge_of(const struct weir_pkt *pkt)
{
    uint32_t charge = (uint32_t)(sizeof(struct wi_udp_item) + sizeof *pkt);

    for (unsigned i = 0; i < pkt->frag_n; i++)
        charge += pkt->frags[i].block->cap;
    return charge;
}

void wi_udp_item_free(struct wi_udp_sk *us, struct wi_udp_item *item)
{
    us->rx_bytes -= item->charge;
    wi_list_del(&item->link);
    if (item->pkt)
        weir_pkt_unref(item->pkt);
    wi_slab_free(&us->udp->item_slab, item);
}

void wi_udp_event(const struct wi_udp_sk *us, enum weir_event_kind kind, struct weir_pkt *pkt, uint32_t len,
                  const struct weir_sockaddr *peer)
{
    struct weir_event ev = {.kind = kind,
                            .conn_id = us->sk.id,
                            .local = &us->sk.local,
                            .remote = peer,
                            .u.dgram = {.pkt = pkt, .len = len}};

    uint64_t serial = wi_event_emit(us->sk.core, &ev);
    if (kind == WEIR_EV_DGRAM_OUT)
        pkt->serial = serial;
}

/* ---- Datagrams ---- */

struct arrival {
    struct wi_udp *udp;
    struct weir_pkt *pkt;
    const struct wi_ip *ip;
    struct wi_ports_key key;
    uint32_t data_len;
};

static struct weir_sockaddr endpoint(const struct weir_addr *addr, uint16_t port, int netif)
{
    return (struct weir_sockaddr){
        .addr = *addr,
        .port = port,
        .family = weir_addr_is_v4(addr) ? WEIR_AF_INET : WEIR_AF_INET6,
        .scope_id = !weir_addr_is_v4(addr) && weir_addr_is_linklocal(addr) ? (uint32_t)netif : 0,
    };
}

static void drop(const struct arrival *a, enum weir_drop why)
{
    wi_drop(a->udp->core, why, a->pkt, a->key.netif);
}

static void drop_full(const struct arrival *a)
{
    wi_count(a->udp->core, WI_STAT_UdpInErrors);
    wi_count(a->udp->core, WI_STAT_UdpRcvbufErrors);
    drop(a, WEIR_DROP_UDP_RCVBUF_FULL);
}

static void deliver(void *ctx, struct wi_sk *sk)
{
    const struct arrival *a = ctx;
    struct wi_udp_sk *us = wi_udp_sk_of(sk);
    uint32_t charge = charge_of(a->pkt);

    if (us->shut & 1 || (us->rx_bytes > 0 && us->rx_bytes + charge > sk->opts.rcvbuf_bytes)) {
        drop_full(a);
        return;
    }
    struct wi_udp_item *item = wi_slab_alloc(&us->udp->item_slab);
    if (!item) {
        drop(a, WEIR_DROP_NO_MEMORY);
        return;
    }
    item->pkt = weir_pkt_ref(a->pkt);
    item->off = a->pkt->l4_off + WI_UDP_HDR;
    item->len = a->data_len;
    item->charge = charge;
    item->src = endpoint(&a->ip->src, a->key.remote_port, a->key.netif);
    item->dst = endpoint(&a->ip->dst, a->key.local_port, a->key.netif);
    item->netif = a->key.netif;
    item->ttl = a->ip->ttl;
    item->tos = a->ip->tos;
    us->rx_bytes += charge;
    wi_list_add_tail(&us->rxq, &item->link);
    wi_count(a->udp->core, WI_STAT_UdpInDatagrams);
    if (wi_event_wanted(a->udp->core, WEIR_EV_DGRAM_IN))
        wi_udp_event(us, WEIR_EV_DGRAM_IN, a->pkt, a->data_len, &item->src);
    wi_sk_ready(sk, WEIR_POLLIN | WEIR_POLLRDNORM);
}

struct group_delivery {
    struct arrival a;
    unsigned n;
};

static void deliver_group(void *ctx, struct wi_sk *sk)
{
    struct group_delivery *g = ctx;

    g->n++;
    deliver(&g->a, sk);
}

/* RFC 1122 4.1.3.1: nobody there, and the sender is told. */
static void refuse(const struct arrival *a)
{
    wi_count(a->udp->core, WI_STAT_UdpNoPorts);
    wi_net_send_unreach(a->udp->net, WI_UNREACH_PORT, a->pkt, a->ip, a->key.netif);
    drop(a, WEIR_DROP_UDP_NO_PORT);
}

static void dispatch(struct arrival *a)
{
    if (weir_addr_is_multicast(&a->ip->dst) || wi_net_is_broadcast(a->udp->net, &a->ip->dst)) {
        struct group_delivery g = {.a = *a};
        wi_ports_each(&a->udp->ports, &a->key, deliver_group, &g);
        if (g.n == 0)
            drop(a, WEIR_DROP_UDP_NO_PORT);
        return;
    }
    struct wi_udp_sk *us = wi_udp_connected_find(a->udp, &a->key);
    struct wi_sk *sk = us ? &us->sk : wi_ports_lookup(&a->udp->ports, &a->key);
    if (sk)
        deliver(a, sk);
    else
        refuse(a);
}

/* RFC 768: over what UDP's own length says, which may be less than what IP carries. None was sent: fine in IPv4. */
static bool csum_is_good(const struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_wire_udp *h)
{
    struct wi_ip datagram;

    if (h->csum == 0 && !ip->is_v6)
        return true;
    if (WI_UDP_HDR + h->data_len == ip->l4_len)
        return wi_net_csum_is_good(pkt, ip);
    datagram = *ip;
    datagram.l4_len = WI_UDP_HDR + h->data_len;
    return wi_net_csum_is_good(pkt, &datagram);
}

void wi_udp_input(void *ctx, struct weir_pkt *pkt, const struct wi_ip *ip, int netif)
{
    struct arrival a = {.udp = ctx, .pkt = pkt, .ip = ip, .key = {.local = ip->dst, .remote = ip->src, .netif = netif}};
    struct wi_wire_udp h;
    const uint8_t *bytes = weir_pkt_pull(pkt, pkt->l4_off + (size_t)WI_UDP_HDR);
    enum weir_drop why = WEIR_DROP_UDP_SHORT;

    if (bytes && ip->l4_len >= WI_UDP_HDR)
        why = wi_wire_udp_parse(&h, bytes + pkt->l4_off, WI_UDP_HDR, ip->l4_len, ip->is_v6);
    if (why == WEIR_DROP_NONE && !csum_is_good(pkt, ip, &h))
        why = WEIR_DROP_UDP_CSUM;
    if (why != WEIR_DROP_NONE) {
        wi_count(a.udp->core, WI_STAT_UdpInErrors);
        drop(&a, why);
        return;
    }
    a.key.local_port = h.dst_port;
    a.key.remote_port = h.src_port;
    a.data_len = h.data_len;
    dispatch(&a);
}

/* ---- Errors ---- */

/* IP_RECVERR: the error itself waits to be read with MSG_ERRQUEUE. */
static void queue_error(struct wi_udp_sk *us, const struct wi_net_error *e, const struct weir_sockaddr *dst)
{
    struct wi_udp_item *item;

    if (us->rx_bytes + sizeof *item > us->sk.opts.rcvbuf_bytes || !(item = wi_slab_alloc(&us->udp->item_slab)))
        return; /* SO_ERROR still tells */
    item->charge = sizeof *item;
    item->error = *e;
    item->dst = *dst;
    us->rx_bytes += item->charge;
    wi_list_add_tail(&us->errq, &item->link);
}

/* Does it reach a program that did not ask for errors (Linux's __udp4_lib_err)? A neighbour that never answered does.
 */
static bool is_hard(const struct wi_udp_sk *us, const struct wi_net_error *e)
{
    if (e->err == WEIR_EMSGSIZE)
        return us->sk.opts.mtu_discover != 0;
    return e->is_hard || e->is_local;
}

static void event_icmp(const struct wi_udp_sk *us, const struct wi_net_error *e, const struct weir_sockaddr *peer)
{
    struct weir_event ev = {.kind = WEIR_EV_ICMP_IN,
                            .conn_id = us->sk.id,
                            .local = &us->sk.local,
                            .remote = peer,
                            .u.icmp = {.type = e->type, .code = e->code, .err = e->err, .hard = is_hard(us, e)}};

    (void)wi_event_emit(us->sk.core, &ev);
}

void wi_udp_error(void *ctx, const struct wi_net_error *e, const struct wi_ip *inner, const uint8_t *l4, size_t l4_len)
{
    struct wi_udp *udp = ctx;
    if (l4_len < WI_UDP_HDR)
        return;

    struct wi_ports_key key = {
        .local = inner->src, .remote = inner->dst, .local_port = wi_get16(l4), .remote_port = wi_get16(l4 + 2)};
    struct wi_udp_sk *us = wi_udp_connected_find(udp, &key);
    if (!us) {
        struct wi_sk *sk = wi_ports_lookup(&udp->ports, &key);
        if (!sk) {
            wi_drop(udp->core, WEIR_DROP_ICMP_NO_SOCKET, NULL, 0);
            return;
        }
        us = wi_udp_sk_of(sk);
    }

    struct weir_sockaddr dst = endpoint(&inner->dst, key.remote_port, 0);
    if (wi_event_wanted(udp->core, WEIR_EV_ICMP_IN))
        event_icmp(us, e, &dst);
    if (e->err == WEIR_EMSGSIZE)
        (void)wi_net_pmtu_learn(udp->net, &inner->dst, e->mtu);
    if (us->sk.opts.recverr)
        queue_error(us, e, &dst);
    else if (!us->is_connected || !is_hard(us, e))
        return;
    us->sk.err = e->err;
    wi_sk_ready(&us->sk, WEIR_POLLERR);
}
