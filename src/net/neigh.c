/*
 * Neighbours: the state machine of RFC 4861 7.3, which runs ARP as well, with Linux's timers and tunables. Its messages
 * are made and read in arp.c and nd.c.
 *
 * The table is bounded: when it is full the oldest unresolved entry goes, then the oldest STALE one. A REACHABLE
 * neighbour is never put out by one that may not exist (RFC 6583).
 */
#include "base/str.h"
#include "net/net_internal.h"

#define NEIGHS_INITIAL 16
#define FAILED_HOLD    WEIR_SEC(1)   /* no new attempt for so long: RFC 1122 2.3.2.1, a request a second */
#define OWN_HDR_MAX    128           /* IP and transport headers of what we send */
#define STALE_KEEP     WEIR_SEC(600) /* an entry that nobody has used */

static bool neigh_equal(const struct wi_hnode *node, const void *key)
{
    const struct wi_neigh *n = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_neigh, link);
    const struct wi_neigh *want = key;
    return n->netif == want->netif && weir_addr_equal(&n->addr, &want->addr);
}

struct wi_neigh *wi_neigh_find(const struct wi_netif *netif, const struct weir_addr *addr)
{
    const struct wi_net *net = netif->net;
    if (netif->neigh_last && weir_addr_equal(&netif->neigh_last->addr, addr))
        return netif->neigh_last;
    struct wi_neigh want = {.netif = (struct wi_netif *)(uintptr_t)netif, .addr = *addr};
    struct wi_hnode *node =
        wi_htable_find(&net->neighs, wi_net_hash(net, addr, (uint32_t)netif->index), neigh_equal, &want);
    return node ? WI_CONTAINER_OF(node, struct wi_neigh, link) : NULL;
}

static weir_ns ms(int64_t n)
{
    return WEIR_MS((weir_ns)n);
}

/* RFC 4861 6.3.2: between half and one and a half times the base. */
static weir_ns random_reachable_time(struct wi_core *core)
{
    weir_ns base = ms(core->sysctl.neigh_base_reachable_time_ms);
    return base / 2 + wi_rng_below(&core->rng, base + 1);
}

static bool has_mac(const struct wi_neigh *n)
{
    switch (n->state) {
    case WEIR_NEIGH_REACHABLE:
    case WEIR_NEIGH_STALE:
    case WEIR_NEIGH_DELAY:
    case WEIR_NEIGH_PROBE:
    case WEIR_NEIGH_PERMANENT: return true;
    case WEIR_NEIGH_NONE:
    case WEIR_NEIGH_INCOMPLETE:
    case WEIR_NEIGH_FAILED: break;
    }
    return false;
}

static void tell_state(const struct wi_neigh *n, enum weir_neigh_state to)
{
    struct wi_core *core = n->netif->net->core;
    if (!wi_event_wanted(core, WEIR_EV_NEIGH))
        return;
    struct weir_event ev = {.kind = WEIR_EV_NEIGH};
    ev.u.neigh.netif = n->netif->index;
    ev.u.neigh.addr = &n->addr;
    ev.u.neigh.from = (int)n->state;
    ev.u.neigh.to = (int)to;
    (void)wi_event_emit(core, &ev);
}

/* When the state has lasted long enough. */
static weir_ns state_ends_at(struct wi_neigh *n)
{
    struct wi_core *core = n->netif->net->core;
    const struct wi_sysctl *sysctl = &core->sysctl;
    switch (n->state) {
    case WEIR_NEIGH_INCOMPLETE:
    case WEIR_NEIGH_PROBE: return core->now + ms(sysctl->neigh_retrans_time_ms);
    case WEIR_NEIGH_REACHABLE: n->reachable_for = random_reachable_time(core); return core->now + n->reachable_for;
    case WEIR_NEIGH_STALE: return core->now + STALE_KEEP;
    case WEIR_NEIGH_DELAY: return core->now + WEIR_SEC((weir_ns)sysctl->neigh_delay_first_probe_time);
    case WEIR_NEIGH_FAILED: return core->now + FAILED_HOLD;
    case WEIR_NEIGH_NONE:
    case WEIR_NEIGH_PERMANENT: break;
    }
    return WEIR_NEVER;
}

/* A gateway that was passed over may serve again: routes are to be asked anew. */
static void leave_failure(const struct wi_neigh *n)
{
    if (n->state == WEIR_NEIGH_FAILED && n->is_gateway)
        wi_net_changed(n->netif->net);
}

/* The only writer of `state`; what belongs to being in a state happens here. */
static void set_state(struct wi_neigh *n, enum weir_neigh_state to)
{
    struct wi_net *net = n->netif->net;
    if (n->state != to) {
        leave_failure(n);
        tell_state(n, to);
    }
    n->state = to;
    n->probe_n = 0;
    wi_list_del(&n->age_link);
    if (to == WEIR_NEIGH_INCOMPLETE || to == WEIR_NEIGH_FAILED)
        wi_list_add_tail(&net->neigh_unresolved, &n->age_link);
    else if (to == WEIR_NEIGH_STALE)
        wi_list_add_tail(&net->neigh_stale, &n->age_link);
    if (to == WEIR_NEIGH_REACHABLE)
        n->confirmed_at = net->core->now;
    wi_timer_arm(&net->core->wheel, &n->timer, state_ends_at(n));
}

static void neigh_free(struct wi_neigh *n)
{
    struct wi_net *net = n->netif->net;
    leave_failure(n);
    if (n->netif->neigh_last == n)
        n->netif->neigh_last = NULL;
    for (struct weir_pkt *pkt; (pkt = wi_pktq_pop(&n->queue));) {
        wi_drop(net->core, WEIR_DROP_NEIGH_FAILED, pkt, n->netif->index);
        weir_pkt_unref(pkt);
    }
    wi_timer_cancel(&net->core->wheel, &n->timer);
    wi_htable_remove(&net->neighs, &n->link);
    wi_list_del(&n->netif_link);
    wi_list_del(&n->age_link);
    wi_core_free(net->core, n, sizeof *n);
}

/* ---- Failure ---- */

/* The headers of a packet of ours, read from a copy: gathering them in place would cost the headroom. */
static bool read_own(const struct weir_pkt *pkt, struct wi_ip *ip, uint8_t copy[OWN_HDR_MAX])
{
    return wi_ip_skim(ip, copy, weir_pkt_copy(pkt, 0, copy, OWN_HDR_MAX));
}

/* Tell the transport of a packet of ours that its next hop is not there. */
static void tell_transport(struct wi_net *net, const struct weir_pkt *pkt)
{
    const struct wi_net_error err = {.err = WEIR_EHOSTUNREACH, .is_local = true};
    struct wi_ip ip;
    uint8_t copy[OWN_HDR_MAX];
    if (!read_own(pkt, &ip, copy) || ip.l4_len < 8)
        return;
    const struct wi_net_proto *proto = wi_net_proto_find(net, ip.proto);
    if (proto && proto->error)
        proto->error(proto->ctx, &err, &ip, copy + ip.l4_off, ip.l4_len);
}

static void neigh_fail(struct wi_neigh *n)
{
    struct wi_net *net = n->netif->net;
    struct wi_pktq queue = n->queue;
    int netif = n->netif->index;
    n->queue = (struct wi_pktq){0};
    wi_count(net->core, WI_STAT_NeighFailed);
    set_state(n, WEIR_NEIGH_FAILED);
    if (n->is_gateway)
        wi_net_changed(net); /* there may be another */
    for (struct weir_pkt *pkt; (pkt = wi_pktq_pop(&queue));) {
        tell_transport(net, pkt);
        wi_drop(net->core, WEIR_DROP_NEIGH_FAILED, pkt, netif);
        weir_pkt_unref(pkt);
    }
}

/* The source of the packet that waits speaks for us, if it is ours on this link (RFC 4861 7.2.2). */
static struct weir_addr solicit_src(const struct wi_neigh *n)
{
    struct wi_ip ip;
    uint8_t copy[OWN_HDR_MAX];
    if (n->queue.head && read_own(n->queue.head, &ip, copy) && wi_ifaddr_is_on(n->netif, &ip.src))
        return ip.src;
    return wi_ifaddr_on_link(n->netif, &n->addr);
}

static void solicit(struct wi_neigh *n)
{
    struct weir_addr src = solicit_src(n);
    bool is_unicast = n->state == WEIR_NEIGH_PROBE;
    n->probe_n++;
    if (weir_addr_is_v4(&n->addr))
        (void)wi_arp_request(n->netif, &n->addr, &src, is_unicast ? n->mac : NULL);
    else
        (void)wi_nd_solicit(n->netif, &n->addr, &src, is_unicast);
}

static void solicit_again(struct wi_neigh *n, int64_t probes_max)
{
    if (n->probe_n >= probes_max) {
        neigh_fail(n);
        return;
    }
    solicit(n);
    wi_timer_arm(&n->netif->net->core->wheel, &n->timer, state_ends_at(n));
}

/* Confirmations since the timer was armed prolong REACHABLE without having touched the timer. */
static void reachable_ends(struct wi_neigh *n, weir_ns now)
{
    if (n->confirmed_at + n->reachable_for > now)
        wi_timer_arm(&n->netif->net->core->wheel, &n->timer, n->confirmed_at + n->reachable_for);
    else
        set_state(n, WEIR_NEIGH_STALE);
}

static void neigh_timer_fire(struct wi_timer *timer, weir_ns now)
{
    struct wi_neigh *n = WI_CONTAINER_OF(timer, struct wi_neigh, timer);
    const struct wi_sysctl *sysctl = &n->netif->net->core->sysctl;
    switch (n->state) {
    case WEIR_NEIGH_INCOMPLETE: solicit_again(n, sysctl->neigh_mcast_solicit); return;
    case WEIR_NEIGH_PROBE: solicit_again(n, sysctl->neigh_ucast_solicit); return;
    case WEIR_NEIGH_DELAY:
        set_state(n, WEIR_NEIGH_PROBE);
        solicit(n);
        return;
    case WEIR_NEIGH_REACHABLE: reachable_ends(n, now); return;
    case WEIR_NEIGH_STALE:
    case WEIR_NEIGH_FAILED: neigh_free(n); return;
    case WEIR_NEIGH_NONE:
    case WEIR_NEIGH_PERMANENT: break;
    }
    WI_UNREACHABLE("a neighbour without an end to its state has no timer");
}

/* ---- The table ---- */

static bool table_make_room(struct wi_net *net)
{
    if (wi_htable_count(&net->neighs) < (size_t)net->core->sysctl.neigh_gc_thresh3)
        return true;
    struct wi_neigh *victim = wi_list_first(&net->neigh_unresolved, struct wi_neigh, age_link);
    if (!victim)
        victim = wi_list_first(&net->neigh_stale, struct wi_neigh, age_link);
    if (!victim)
        return false;
    neigh_free(victim);
    return true;
}

static struct wi_neigh *neigh_new(struct wi_netif *netif, const struct weir_addr *addr)
{
    struct wi_net *net = netif->net;
    struct wi_neigh *n = table_make_room(net) ? wi_mem_zalloc(net->core->mem, sizeof *n) : NULL;
    if (!n)
        return NULL;
    n->netif = netif;
    n->addr = *addr;
    wi_list_init(&n->age_link);
    wi_timer_init(&n->timer, neigh_timer_fire);
    wi_list_add_tail(&netif->neighs, &n->netif_link);
    wi_htable_insert(&net->neighs, &n->link, wi_net_hash(net, addr, (uint32_t)netif->index));
    return n;
}

/* ---- Output ---- */

static int send_to(struct wi_neigh *n, struct weir_pkt *pkt)
{
    uint16_t type = weir_addr_is_v4(&n->addr) ? WI_ETHERTYPE_IPV4 : WI_ETHERTYPE_IPV6;
    return wi_eth_send(n->netif, n->mac, type, pkt);
}

static void queue_flush(struct wi_neigh *n)
{
    for (struct weir_pkt *pkt; (pkt = wi_pktq_pop(&n->queue));)
        (void)send_to(n, pkt);
}

/* RFC 4861 7.2.2: a few wait; the oldest makes room. */
static void queue_add(struct wi_neigh *n, struct weir_pkt *pkt)
{
    struct wi_core *core = n->netif->net->core;
    while (n->queue.n >= (uint64_t)core->sysctl.neigh_unres_qlen) {
        struct weir_pkt *oldest = wi_pktq_pop(&n->queue);
        wi_count(core, WI_STAT_NeighQueueDrops);
        wi_drop(core, WEIR_DROP_NEIGH_QUEUE_FULL, oldest, n->netif->index);
        weir_pkt_unref(oldest);
    }
    wi_pktq_push(&n->queue, pkt);
}

static int refuse(struct wi_netif *netif, enum weir_drop why, struct weir_pkt *pkt, int err)
{
    wi_drop(netif->net->core, why, pkt, netif->index);
    weir_pkt_unref(pkt);
    return err;
}

int wi_neigh_output(struct wi_netif *netif, const struct weir_addr *next_hop, bool is_gateway, struct weir_pkt *pkt)
{
    if (!netif->is_up)
        return refuse(netif, WEIR_DROP_NETIF_DOWN, pkt, -WEIR_ENETDOWN);
    struct wi_neigh *n = wi_neigh_find(netif, next_hop);
    if (!n)
        n = neigh_new(netif, next_hop);
    if (!n)
        return refuse(netif, WEIR_DROP_NEIGH_TABLE_FULL, pkt, -WEIR_ENOBUFS);
    netif->neigh_last = n;
    n->is_gateway |= is_gateway;

    switch (n->state) {
    case WEIR_NEIGH_FAILED: return refuse(netif, WEIR_DROP_NEIGH_FAILED, pkt, -WEIR_EHOSTUNREACH);
    case WEIR_NEIGH_NONE:
        queue_add(n, pkt);
        set_state(n, WEIR_NEIGH_INCOMPLETE);
        solicit(n);
        return 0;
    case WEIR_NEIGH_INCOMPLETE: queue_add(n, pkt); return 0;
    case WEIR_NEIGH_STALE: set_state(n, WEIR_NEIGH_DELAY); return send_to(n, pkt);
    case WEIR_NEIGH_REACHABLE:
    case WEIR_NEIGH_DELAY:
    case WEIR_NEIGH_PROBE:
    case WEIR_NEIGH_PERMANENT: break;
    }
    return send_to(n, pkt);
}

static struct wi_neigh *neigh_of_dst(const struct wi_net *net, const struct wi_dst *dst)
{
    const struct wi_netif *netif = dst->is_local ? NULL : wi_netif_get(net, dst->netif);
    return netif && netif->type == WEIR_LINK_ETHERNET ? wi_neigh_find(netif, &dst->next_hop) : NULL;
}

void wi_net_confirm(struct wi_net *net, const struct wi_dst *dst)
{
    struct wi_neigh *n = neigh_of_dst(net, dst);
    if (!n || !has_mac(n) || n->state == WEIR_NEIGH_PERMANENT)
        return;
    if (n->state == WEIR_NEIGH_REACHABLE)
        n->confirmed_at = net->core->now;
    else
        set_state(n, WEIR_NEIGH_REACHABLE);
}

void wi_net_doubt(struct wi_net *net, const struct wi_dst *dst)
{
    struct wi_neigh *n = neigh_of_dst(net, dst);
    if (n && n->state == WEIR_NEIGH_REACHABLE)
        set_state(n, WEIR_NEIGH_STALE); /* the next packet makes it DELAY, silence then PROBE: RFC 4861 7.3.3 */
}

/* ---- What messages say ---- */

static void learn_incomplete(struct wi_neigh *n, const struct wi_neigh_news *news)
{
    if (!news->mac)
        return;
    memcpy(n->mac, news->mac, WI_ETH_ADDR_LEN);
    set_state(n, news->is_solicited ? WEIR_NEIGH_REACHABLE : WEIR_NEIGH_STALE);
    queue_flush(n);
}

/* RFC 4861 7.2.5, where an address is known. */
static void learn_known(struct wi_neigh *n, const struct wi_neigh_news *news)
{
    bool is_other = news->mac && memcmp(n->mac, news->mac, WI_ETH_ADDR_LEN) != 0;
    if (is_other && !news->is_override) {
        if (n->state == WEIR_NEIGH_REACHABLE)
            set_state(n, WEIR_NEIGH_STALE);
        return;
    }
    if (is_other)
        memcpy(n->mac, news->mac, WI_ETH_ADDR_LEN);
    if (news->is_solicited)
        set_state(n, WEIR_NEIGH_REACHABLE);
    else if (is_other)
        set_state(n, WEIR_NEIGH_STALE);
}

bool wi_neigh_update(struct wi_netif *netif, const struct weir_addr *addr, const struct wi_neigh_news *news)
{
    struct wi_neigh *n = wi_neigh_find(netif, addr);
    if (!n && news->may_create && news->mac)
        n = neigh_new(netif, addr);
    if (!n)
        return false;
    if (news->has_router)
        n->is_router = news->is_router;
    switch (n->state) {
    case WEIR_NEIGH_PERMANENT: break;
    case WEIR_NEIGH_NONE:
    case WEIR_NEIGH_INCOMPLETE: learn_incomplete(n, news); break;
    case WEIR_NEIGH_FAILED:
        learn_incomplete(n, news);
        if (n->is_gateway)
            wi_net_changed(netif->net);
        break;
    case WEIR_NEIGH_REACHABLE:
    case WEIR_NEIGH_STALE:
    case WEIR_NEIGH_DELAY:
    case WEIR_NEIGH_PROBE: learn_known(n, news); break;
    }
    return true;
}

/* ---- The owner's hand, and life ---- */

int wi_net_neigh_set(struct wi_net *net, int index, const struct weir_addr *addr, const uint8_t mac[6])
{
    struct wi_netif *netif = wi_netif_get(net, index);
    if (!netif || netif->type != WEIR_LINK_ETHERNET)
        return -WEIR_ENODEV;
    struct wi_neigh *n = wi_neigh_find(netif, addr);
    if (!mac) {
        if (!n)
            return -WEIR_ENOENT;
        neigh_free(n);
        return 0;
    }
    if (!n)
        n = neigh_new(netif, addr);
    if (!n)
        return -WEIR_ENOMEM;
    memcpy(n->mac, mac, WI_ETH_ADDR_LEN);
    set_state(n, WEIR_NEIGH_PERMANENT);
    queue_flush(n);
    return 0;
}

enum weir_neigh_state wi_net_neigh_state(const struct wi_net *net, int index, const struct weir_addr *addr)
{
    const struct wi_netif *netif = wi_netif_get(net, index);
    const struct wi_neigh *n = netif ? wi_neigh_find(netif, addr) : NULL;
    return n ? n->state : WEIR_NEIGH_NONE;
}

int wi_neighs_init(struct wi_net *net)
{
    wi_list_init(&net->neigh_unresolved);
    wi_list_init(&net->neigh_stale);
    return wi_htable_init(&net->neighs, net->core->mem, NEIGHS_INITIAL) ? 0 : -WEIR_ENOMEM;
}

void wi_neighs_fini(struct wi_net *net)
{
    WI_ASSERT(wi_htable_count(&net->neighs) == 0);
    wi_htable_fini(&net->neighs);
}

void wi_neighs_flush_netif(struct wi_net *net, struct wi_netif *netif)
{
    (void)net;
    wi_list_for_each_safe (n, &netif->neighs, struct wi_neigh, netif_link)
        neigh_free(n);
}
