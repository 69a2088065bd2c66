/*
 * Interfaces: their table, what waits for their drivers, the loop back to ourselves. Addresses, routes and neighbours
 * of an interface belong to files of their own.
 */
#include "base/str.h"
#include "base/text.h"
#include "net/net_internal.h"
#include "net/ra.h"

#define NETIFS_INITIAL 8
#define TX_QUEUE_PKTS  1000
#define MTU_MIN        576
#define MTU_MAX        65535

/* Packets looped back in one flush before the owner of the clock gets a turn: a bound on what one call may cost. */
#define LOOP_BUDGET 65536

struct wi_netif *wi_netif_get(const struct wi_net *net, int index)
{
    return index > 0 && (uint32_t)index < net->netif_cap ? net->netifs[index] : NULL;
}

static int netifs_grow(struct wi_net *net)
{
    uint32_t cap = net->netif_cap ? net->netif_cap * 2 : NETIFS_INITIAL;
    struct wi_netif **grown = wi_mem_zalloc(net->core->mem, cap * sizeof(struct wi_netif *));
    if (!grown)
        return -WEIR_ENOMEM;
    if (net->netif_cap) {
        memcpy(grown, net->netifs, net->netif_cap * sizeof(struct wi_netif *));
        wi_core_free(net->core, net->netifs, net->netif_cap * sizeof(struct wi_netif *));
    }
    net->netifs = grown;
    net->netif_cap = cap;
    return 0;
}

static int index_new(struct wi_net *net)
{
    if (net->netif_next < WI_NETIF_MAX) {
        if (net->netif_next >= net->netif_cap && netifs_grow(net) < 0)
            return -WEIR_ENOMEM;
        return (int)net->netif_next++;
    }
    for (uint32_t i = WI_NETIF_LOOPBACK + 1; i < net->netif_cap; i++) {
        if (!net->netifs[i])
            return (int)i;
    }
    return -WEIR_ENOMEM;
}

static bool config_is_valid(const struct weir_netif_ops *ops, const struct weir_netif_config *cfg)
{
    static const uint8_t none[WI_ETH_ADDR_LEN];
    if (!ops || !ops->xmit || !cfg || cfg->mtu < MTU_MIN || cfg->mtu > MTU_MAX)
        return false;
    if (cfg->type == WEIR_LINK_RAW_IP)
        return true;
    return cfg->type == WEIR_LINK_ETHERNET && !wi_eth_is_group(cfg->mac) &&
           memcmp(cfg->mac, none, WI_ETH_ADDR_LEN) != 0;
}

static struct wi_netif *netif_new(struct wi_net *net)
{
    int index = index_new(net);
    struct wi_netif *netif = index < 0 ? NULL : wi_mem_zalloc(net->core->mem, sizeof *netif);
    if (!netif)
        return NULL;
    netif->net = net;
    netif->index = index;
    netif->is_up = true;
    wi_list_init(&netif->active_link);
    wi_list_init(&netif->addrs);
    wi_list_init(&netif->routes);
    wi_list_init(&netif->neighs);
    wi_list_init(&netif->groups);
    netif->igmp.version = 3;
    netif->mld.version = 2;
    net->netifs[index] = netif;
    return netif;
}

int wi_net_netif_add(struct wi_net *net, const struct weir_netif_ops *ops, void *driver,
                     const struct weir_netif_config *cfg)
{
    if (!config_is_valid(ops, cfg))
        return -WEIR_EINVAL;
    struct wi_netif *netif = netif_new(net);
    if (!netif)
        return -WEIR_ENOMEM;
    wi_str_copy(netif->name, sizeof netif->name, cfg->name ? cfg->name : "");
    netif->type = cfg->type;
    memcpy(netif->mac, cfg->mac, WI_ETH_ADDR_LEN);
    netif->mtu = cfg->mtu;
    netif->caps = cfg->caps;
    netif->flags = cfg->flags;
    netif->ops = ops;
    netif->driver = driver;
    netif->tx_cap = cfg->tx_queue_pkts ? cfg->tx_queue_pkts : TX_QUEUE_PKTS;
    wi_ra_begin(netif);
    wi_net_changed(net);
    return netif->index;
}

static void netif_clear_queues(struct wi_netif *netif)
{
    wi_pktq_clear(&netif->tx);
    wi_pktq_clear(&netif->loop);
    netif->is_tx_blocked = false;
    wi_list_del(&netif->active_link);
}

static void netif_free(struct wi_net *net, struct wi_netif *netif)
{
    wi_ra_flush(netif);
    wi_frags_flush_netif(net, netif);
    wi_groups_flush_netif(net, netif);
    wi_neighs_flush_netif(net, netif);
    wi_routes_flush_netif(net, netif);
    wi_ifaddrs_flush_netif(net, netif);
    netif_clear_queues(netif);
    net->netifs[netif->index] = NULL;
    wi_core_free(net->core, netif, sizeof *netif);
    wi_net_changed(net);
}

int wi_net_netif_del(struct wi_net *net, int index)
{
    struct wi_netif *netif = wi_netif_get(net, index);
    if (!netif || netif->is_loopback)
        return -WEIR_ENODEV;
    netif_free(net, netif);
    return 0;
}

int wi_net_netif_set_up(struct wi_net *net, int index, bool up)
{
    struct wi_netif *netif = wi_netif_get(net, index);
    if (!netif)
        return -WEIR_ENODEV;
    if (netif->is_up == up)
        return 0;
    netif->is_up = up;
    if (up) {
        wi_groups_netif_up(netif);
        wi_ra_begin(netif);
    } else {
        wi_ra_flush(netif);
        wi_neighs_flush_netif(net, netif);
        netif_clear_queues(netif);
    }
    wi_net_changed(net);
    return 0;
}

int wi_net_netif_set_mtu(struct wi_net *net, int index, uint32_t mtu)
{
    struct wi_netif *netif = wi_netif_get(net, index);
    if (!netif)
        return -WEIR_ENODEV;
    if (mtu < MTU_MIN || mtu > (netif->is_loopback ? WI_LOOPBACK_MTU : MTU_MAX))
        return -WEIR_EINVAL;
    netif->mtu = mtu;
    wi_net_changed(net);
    return 0;
}

int wi_net_netif_by_name(const struct wi_net *net, const char *name)
{
    for (uint32_t i = WI_NETIF_LOOPBACK; i < net->netif_cap; i++) {
        if (net->netifs[i] && wi_str_equal(net->netifs[i]->name, name))
            return (int)i;
    }
    return -WEIR_ENODEV;
}

const char *wi_net_netif_name(const struct wi_net *net, int index)
{
    const struct wi_netif *netif = wi_netif_get(net, index);
    return netif ? netif->name : NULL;
}

/* ---- Out ---- */

static void activate(struct wi_netif *netif)
{
    if (wi_list_empty(&netif->active_link))
        wi_list_add_tail(&netif->net->active, &netif->active_link);
}

/* Hand the driver what it takes. */
static void tx_flush(struct wi_netif *netif)
{
    struct weir_pkt *batch[WI_XMIT_BATCH];
    while (netif->tx.n && !netif->is_tx_blocked) {
        unsigned n = 0;
        while (n < WI_XMIT_BATCH && netif->tx.n)
            batch[n++] = wi_pktq_pop(&netif->tx);
        unsigned taken = netif->ops->xmit(netif->driver, batch, n);
        netif->is_tx_blocked = taken < n;
        while (n > taken)
            wi_pktq_unpop(&netif->tx, batch[--n]);
    }
}

static int tx_enqueue(struct wi_netif *netif, struct weir_pkt *pkt)
{
    if (netif->tx.n >= WI_XMIT_BATCH)
        tx_flush(netif);
    if (netif->tx.n >= netif->tx_cap) {
        wi_drop(netif->net->core, WEIR_DROP_TX_QUEUE_FULL, pkt, netif->index);
        weir_pkt_unref(pkt);
        return -WEIR_ENOBUFS;
    }
    wi_pktq_push(&netif->tx, pkt);
    activate(netif);
    return 0;
}

static int tx_cut(struct wi_netif *netif, struct weir_pkt *pkt)
{
    struct weir_cut cut;
    int result = weir_cut_begin(&cut, pkt);
    while (result == 0 && weir_cut_len(&cut) > 0) {
        struct weir_pkt *segment = wi_cut_view(&cut, netif->net->core->pool);
        result = segment ? tx_enqueue(netif, segment) : -WEIR_ENOBUFS;
        if (!segment)
            wi_drop(netif->net->core, WEIR_DROP_NO_MEMORY, pkt, netif->index);
    }
    weir_pkt_unref(pkt);
    return result;
}

int wi_netif_send(struct wi_netif *netif, struct weir_pkt *pkt)
{
    if (!netif->is_up) {
        wi_drop(netif->net->core, WEIR_DROP_NETIF_DOWN, pkt, netif->index);
        weir_pkt_unref(pkt);
        return -WEIR_ENETDOWN;
    }
    if (pkt->gso_size && weir_pkt_segment_count(pkt) == 1)
        pkt->gso_size = 0;
    if (pkt->gso_size && !(netif->caps & WEIR_CAP_TSO))
        return tx_cut(netif, pkt);
    if (!(netif->caps & WEIR_CAP_TX_CSUM) && weir_pkt_checksum(pkt) < 0) {
        wi_drop(netif->net->core, WEIR_DROP_TX_REFUSED, pkt, netif->index);
        weir_pkt_unref(pkt);
        return -WEIR_ENOBUFS;
    }
    return tx_enqueue(netif, pkt);
}

void wi_net_netif_tx_ready(struct wi_net *net, int index)
{
    struct wi_netif *netif = wi_netif_get(net, index);
    if (!netif)
        return;
    netif->is_tx_blocked = false;
    if (netif->tx.n)
        activate(netif);
}

/* ---- Back to ourselves ---- */

void wi_netif_loop(struct wi_netif *netif, struct weir_pkt *pkt)
{
    pkt->flags |= WEIR_PKT_CSUM_OK; /* it crosses no wire */
    wi_pktq_push(&netif->loop, pkt);
    activate(netif);
}

/* What is in the queue now; what comes meanwhile waits for its next turn. */
static uint32_t loop_deliver(struct wi_netif *netif)
{
    const struct wi_rx rx = {.netif = netif, .is_loop = true};
    uint32_t n = netif->loop.n;
    for (uint32_t i = 0; i < n; i++) {
        struct weir_pkt *pkt = wi_pktq_pop(&netif->loop);
        wi_ip_input(netif->net, pkt, &rx);
        weir_pkt_unref(pkt);
    }
    return n;
}

bool wi_net_is_active(const struct wi_net *net)
{
    return !wi_list_empty(&net->active);
}

void wi_net_flush(struct wi_net *net)
{
    uint32_t looped = 0;
    while (!wi_list_empty(&net->active)) {
        if (looped > LOOP_BUDGET) {
            wi_timer_arm(&net->core->wheel, &net->flush_timer, net->core->now);
            return;
        }
        struct wi_netif *netif = wi_list_first(&net->active, struct wi_netif, active_link);
        wi_list_del(&netif->active_link);
        looped += loop_deliver(netif);
        tx_flush(netif);
        if (netif->loop.n)
            activate(netif);
    }
}

/* ---- The layer's life ---- */

/* The timer only makes the owner call again: wi_net_flush at the end of its entry does the work. */
static void flush_timer_fire(struct wi_timer *timer, weir_ns now)
{
    (void)timer;
    (void)now;
}

static unsigned loopback_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    (void)driver;
    for (unsigned i = 0; i < n; i++)
        weir_pkt_unref(pkts[i]); /* what is meant for us never comes here */
    return n;
}

static int loopback_add(struct wi_net *net)
{
    static const struct weir_netif_ops ops = {.xmit = loopback_xmit};
    const struct weir_addr v4 = weir_addr_v4(127, 0, 0, 1);
    struct weir_addr v6 = weir_addr_any(WEIR_AF_INET6);
    struct wi_netif *netif = netif_new(net);
    if (!netif)
        return -WEIR_ENOMEM;
    WI_ASSERT(netif->index == WI_NETIF_LOOPBACK);
    wi_str_copy(netif->name, sizeof netif->name, "lo");
    netif->type = WEIR_LINK_RAW_IP;
    netif->mtu = WI_LOOPBACK_MTU;
    netif->caps = WEIR_CAP_TSO | WEIR_CAP_TX_CSUM | WEIR_CAP_RX_CSUM;
    netif->is_loopback = true;
    netif->ops = &ops;
    netif->tx_cap = TX_QUEUE_PKTS;
    v6.b[15] = 1;
    int err = wi_net_addr_add(net, netif->index, &v4, 8);
    return err < 0 ? err : wi_net_addr_add(net, netif->index, &v6, 128);
}

typedef int part_init(struct wi_net *);
typedef void part_fini(struct wi_net *);

static const struct {
    part_init *init;
    part_fini *fini;
} parts[] = {
    {wi_ifaddrs_init, wi_ifaddrs_fini}, {wi_routes_init, wi_routes_fini}, {wi_neighs_init, wi_neighs_fini},
    {wi_frags_init, wi_frags_fini},     {wi_pmtus_init, wi_pmtus_fini},   {wi_groups_init, wi_groups_fini},
};

static void parts_fini(struct wi_net *net, size_t n)
{
    while (n > 0)
        parts[--n].fini(net);
}

static void netifs_free(struct wi_net *net)
{
    for (uint32_t i = 0; i < net->netif_cap; i++) {
        if (net->netifs[i])
            netif_free(net, net->netifs[i]);
    }
    wi_core_free(net->core, net->netifs, net->netif_cap * sizeof(struct wi_netif *));
}

struct wi_net *wi_net_new(struct wi_core *core)
{
    struct wi_net *net = wi_mem_zalloc(core->mem, sizeof *net);
    if (!net)
        return NULL;
    net->core = core;
    net->netif_next = WI_NETIF_LOOPBACK;
    wi_secret_bytes(&core->secret, net->key, sizeof net->key);
    wi_secret_bytes(&core->secret, net->ip_ids, sizeof net->ip_ids);
    wi_list_init(&net->active);
    wi_timer_init(&net->flush_timer, flush_timer_fire);
    for (size_t i = 0; i < WI_ARRAY_LEN(parts); i++) {
        if (parts[i].init(net) == 0)
            continue;
        parts_fini(net, i);
        wi_core_free(core, net, sizeof *net);
        return NULL;
    }
    if (loopback_add(net) < 0) {
        wi_net_free(net);
        return NULL;
    }
    return net;
}

void wi_net_free(struct wi_net *net)
{
    if (!net)
        return;
    netifs_free(net);
    wi_timer_cancel(&net->core->wheel, &net->flush_timer);
    parts_fini(net, WI_ARRAY_LEN(parts));
    wi_core_free(net->core, net, sizeof *net);
}

void wi_net_register(struct wi_net *net, uint8_t proto, const struct wi_net_proto *p)
{
    WI_ASSERT(net->proto_n < WI_NET_PROTO_N);
    net->protos[net->proto_n].proto = proto;
    net->protos[net->proto_n++].p = *p;
}

const struct wi_net_proto *wi_net_proto_find(const struct wi_net *net, uint8_t proto)
{
    for (unsigned i = 0; i < net->proto_n; i++) {
        if (net->protos[i].proto == proto)
            return &net->protos[i].p;
    }
    return NULL;
}

uint64_t wi_net_hash(const struct wi_net *net, const struct weir_addr *addr, uint32_t beside)
{
    if (weir_addr_is_v4(addr))
        return wi_siphash13_2u64(net->key, wi_get32(addr->b + 12), beside);
    uint8_t in[20];
    memcpy(in, addr->b, 16);
    wi_put32(in + 16, beside);
    return wi_siphash13(net->key, in, sizeof in);
}
