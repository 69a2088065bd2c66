/*
 * Membership in multicast groups: which groups an interface hears, counted, and what its routers are told of them
 * (IGMP: RFC 2236, 3376; MLD: RFC 2710, 3810). A host without source filters: every record is "exclude nobody".
 */
#include "base/str.h"
#include "net/net_internal.h"
#include "wire/mcast.h"

#define GROUPS_INITIAL    8
#define ROBUSTNESS        2             /* RFC 3376 8.1, RFC 3810 9.1 */
#define OLDER_QUERIER     WEIR_SEC(260) /* RFC 3376 8.12, RFC 3810 9.12: robustness * 125 s + 10 s */
#define REPORT_WITHIN_NEW WEIR_SEC(1)   /* RFC 3376 8.11, RFC 3810 9.11 */
#define REPORT_WITHIN_OLD WEIR_SEC(10)  /* RFC 2236 8.10, RFC 2710 7.10 */
#define INTERNET_CONTROL  0xc0          /* the precedence of IGMP, as Linux has it */

static bool group_equal(const struct wi_hnode *node, const void *key)
{
    const struct wi_group *g = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_group, link);
    const struct wi_group *want = key;
    return g->netif == want->netif && weir_addr_equal(&g->addr, &want->addr);
}

static struct wi_group *group_find(const struct wi_net *net, const struct wi_netif *netif, const struct weir_addr *addr)
{
    struct wi_group want = {.netif = (struct wi_netif *)(uintptr_t)netif, .addr = *addr};
    uint64_t hash = wi_net_hash(net, addr, (uint32_t)netif->index);
    struct wi_hnode *node = wi_htable_find(&net->groups, hash, group_equal, &want);
    return node ? WI_CONTAINER_OF(node, struct wi_group, link) : NULL;
}

/* 224.0.0.1 and ff02::1: everybody is in, and nobody says so (RFC 1112 7.2, RFC 3810 6). */
static bool is_all_hosts(const struct weir_addr *addr)
{
    const struct weir_addr v4 = weir_addr_v4(224, 0, 0, 1), v6 = {{0xff, 0x02, [15] = 1}};
    return weir_addr_equal(addr, &v4) || weir_addr_equal(addr, &v6);
}

bool wi_group_is_joined(const struct wi_net *net, const struct wi_netif *netif, const struct weir_addr *addr)
{
    const struct wi_group *g = is_all_hosts(addr) ? NULL : group_find(net, netif, addr);
    return is_all_hosts(addr) || (g && g->refs > 0);
}

/* ---- Telling the routers ---- */

static bool is_reported(const struct wi_group *g)
{
    bool is_narrow6 = !weir_addr_is_v4(&g->addr) && (g->addr.b[1] & 0xf) <= 1;
    return !g->netif->is_loopback && !is_narrow6;
}

static uint8_t version_now(const struct wi_group *g)
{
    bool is_v4 = weir_addr_is_v4(&g->addr);
    const struct wi_querier *q = is_v4 ? &g->netif->igmp : &g->netif->mld;
    return q->older_until > g->netif->net->core->now ? q->version : is_v4 ? 3 : 2;
}

static bool speaks_records(const struct wi_group *g)
{
    return version_now(g) == (weir_addr_is_v4(&g->addr) ? 3 : 2);
}

/* MLD speaks from a link-local address, or the unspecified one while there is none (RFC 3810 5.2.13). */
static struct weir_addr report_src(const struct wi_group *g, const struct weir_addr *dst)
{
    struct weir_addr src = wi_ifaddr_on_link(g->netif, dst);
    if (!weir_addr_is_v4(dst) && !weir_addr_is_linklocal(&src))
        return weir_addr_any(WEIR_AF_INET6);
    return src;
}

static void report(struct wi_group *g, enum wi_mcast_record record)
{
    struct wi_net *net = g->netif->net;
    struct weir_addr dst;
    uint8_t buf[WI_MCAST_LEN_MAX], *p;
    bool is_v6 = !weir_addr_is_v4(&g->addr);
    size_t len = g->netif->is_up ? wi_mcast_put(buf, &dst, is_v6, version_now(g), record, &g->addr) : 0;
    struct weir_pkt *pkt = len ? wi_msg_new(net, len, &p) : NULL;
    if (!pkt)
        return;
    struct weir_addr src = report_src(g, &dst);
    wi_icmp_seal(buf, len, is_v6, &src, &dst);
    memcpy(p, buf, len);
    struct wi_ip_out ip = {.src = src,
                           .dst = dst,
                           .is_v6 = is_v6,
                           .router_alert = true,
                           .proto = is_v6 ? WI_IP_ICMPV6 : WI_IP_IGMP,
                           .ttl = 1,
                           .tos = is_v6 ? 0 : INTERNET_CONTROL,
                           .l4_len = (uint32_t)len};
    (void)wi_ip_send(g->netif, &dst, &ip, pkt);
}

static void arm_within(struct wi_group *g, weir_ns span)
{
    struct wi_core *core = g->netif->net->core;
    weir_ns due = core->now + wi_rng_below(&core->rng, span + 1);
    if (!wi_timer_armed(&g->timer) || g->timer.due > due)
        wi_timer_arm(&core->wheel, &g->timer, due);
}

static void group_free(struct wi_group *g)
{
    struct wi_net *net = g->netif->net;
    wi_timer_cancel(&net->core->wheel, &g->timer);
    wi_htable_remove(&net->groups, &g->link);
    wi_list_del(&g->netif_link);
    wi_core_free(net->core, g, sizeof *g);
}

/* One unsolicited report or leave, and the next one's time while robustness asks for it. */
static void report_change(struct wi_group *g)
{
    report(g, g->refs ? WI_MCAST_TO_EXCLUDE : WI_MCAST_TO_INCLUDE);
    g->is_last_reporter = g->refs > 0;
    g->report_n--;
    if (g->report_n)
        arm_within(g, speaks_records(g) ? REPORT_WITHIN_NEW : REPORT_WITHIN_OLD);
    else if (!g->refs)
        group_free(g);
}

static void group_timer_fire(struct wi_timer *timer, weir_ns now)
{
    struct wi_group *g = WI_CONTAINER_OF(timer, struct wi_group, timer);
    (void)now;
    if (g->is_answer_owed && g->refs) {
        g->is_answer_owed = false;
        g->is_last_reporter = true;
        report(g, WI_MCAST_IS_EXCLUDE);
    }
    if (g->report_n)
        report_change(g);
}

/* ---- Joining and leaving ---- */

static struct wi_group *group_new(struct wi_netif *netif, const struct weir_addr *addr)
{
    struct wi_net *net = netif->net;
    struct wi_group *g = wi_mem_zalloc(net->core->mem, sizeof *g);
    if (!g)
        return NULL;
    g->netif = netif;
    g->addr = *addr;
    wi_timer_init(&g->timer, group_timer_fire);
    wi_list_add_tail(&netif->groups, &g->netif_link);
    wi_htable_insert(&net->groups, &g->link, wi_net_hash(net, addr, (uint32_t)netif->index));
    return g;
}

static void announce_change(struct wi_group *g)
{
    wi_timer_cancel(&g->netif->net->core->wheel, &g->timer);
    g->report_n = ROBUSTNESS;
    report_change(g);
}

static struct wi_netif *netif_for_group(struct wi_net *net, int netif, const struct weir_addr *group)
{
    struct wi_dst dst;
    if (netif)
        return wi_netif_get(net, netif);
    return wi_net_route(net, group, NULL, 0, true, &dst) < 0 ? NULL : wi_netif_get(net, dst.netif);
}

int wi_net_group_join(struct wi_net *net, int index, const struct weir_addr *group)
{
    if (!weir_addr_is_multicast(group))
        return -WEIR_EINVAL;
    struct wi_netif *netif = netif_for_group(net, index, group);
    if (!netif)
        return -WEIR_ENODEV;
    struct wi_group *g = group_find(net, netif, group);
    if (!g)
        g = group_new(netif, group);
    if (!g)
        return -WEIR_ENOMEM;
    if (g->refs++ == 0 && is_reported(g) && !is_all_hosts(group))
        announce_change(g);
    return 0;
}

int wi_net_group_leave(struct wi_net *net, int index, const struct weir_addr *group)
{
    struct wi_netif *netif = netif_for_group(net, index, group);
    if (!netif)
        return -WEIR_ENODEV;
    struct wi_group *g = group_find(net, netif, group);
    if (!g || !g->refs)
        return -WEIR_EADDRNOTAVAIL;
    if (--g->refs)
        return 0;
    g->is_answer_owed = false;
    /* RFC 2236 6: who was not the last to report need not say that it leaves. */
    if (is_reported(g) && !is_all_hosts(group) && netif->is_up && (speaks_records(g) || g->is_last_reporter))
        announce_change(g);
    else
        group_free(g);
    return 0;
}

/* ---- Hearing the routers ---- */

static void on_query(struct wi_net *net, struct wi_netif *netif, const struct wi_mcast *q, bool is_v6)
{
    struct wi_querier *querier = is_v6 ? &netif->mld : &netif->igmp;
    if (q->version < (is_v6 ? 2 : 3)) {
        bool is_older = querier->older_until <= net->core->now || q->version <= querier->version;
        if (is_older) {
            querier->version = q->version;
            querier->older_until = net->core->now + OLDER_QUERIER;
        }
    }
    wi_list_for_each (g, &netif->groups, struct wi_group, netif_link) {
        bool is_asked = weir_addr_is_v4(&g->addr) != is_v6 && (q->is_general || weir_addr_equal(&g->addr, &q->group));
        if (!is_asked || !g->refs || !is_reported(g) || is_all_hosts(&g->addr))
            continue;
        g->is_answer_owed = true;
        arm_within(g, WEIR_MS((weir_ns)q->max_resp_ms));
    }
}

/* RFC 2236 3, RFC 2710 4: somebody else has answered for the group, one answer is enough. */
static void on_report(struct wi_net *net, struct wi_netif *netif, const struct wi_mcast *r)
{
    struct wi_group *g = group_find(net, netif, &r->group);
    if (!g || !g->refs || speaks_records(g))
        return;
    g->is_answer_owed = false;
    g->is_last_reporter = false;
    if (!g->report_n)
        wi_timer_cancel(&net->core->wheel, &g->timer);
}

static void on_message(struct wi_net *net, struct wi_netif *netif, const struct wi_mcast *m, bool is_v6)
{
    switch (m->kind) {
    case WI_MCAST_QUERY: on_query(net, netif, m, is_v6); return;
    case WI_MCAST_REPORT: on_report(net, netif, m); return;
    case WI_MCAST_LEAVE:
    case WI_MCAST_REPORT_V2: return; /* for routers */
    }
}

/* The whole message, contiguous; NULL: longer than anything that a host need read. */
static const uint8_t *whole(struct weir_pkt *pkt, const struct wi_ip *ip)
{
    size_t len, end = (size_t)pkt->l4_off + ip->l4_len;
    const uint8_t *p = wi_pkt_linear(pkt, end, &len);
    return len < end ? NULL : p + pkt->l4_off;
}

void wi_igmp_input(struct wi_net *net, struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_rx *rx)
{
    struct wi_mcast m;
    const uint8_t *p = whole(pkt, ip);
    enum weir_drop why = p ? wi_igmp_parse(&m, p, ip->l4_len) : WEIR_DROP_MCAST_SHORT;
    if (why == WEIR_DROP_NONE && ip->ttl != 1) /* RFC 3376 4: it never crosses a router */
        why = WEIR_DROP_MCAST_SRC;
    if (why == WEIR_DROP_NONE)
        on_message(net, rx->netif, &m, false);
    else
        wi_drop(net->core, why, pkt, rx->netif->index);
}

void wi_mld_input(struct wi_net *net, struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_rx *rx)
{
    struct wi_mcast m;
    const uint8_t *p = whole(pkt, ip);
    enum weir_drop why = p ? wi_mld_parse(&m, ip, p, ip->l4_len) : WEIR_DROP_MCAST_SHORT;
    if (why == WEIR_DROP_NONE)
        on_message(net, rx->netif, &m, true);
    else
        wi_drop(net->core, why, pkt, rx->netif->index);
}

/* ---- On a socket's account ---- */

struct membership {
    struct wi_list link;
    struct weir_addr group;
    int netif;
};

static struct membership *membership_find(const struct wi_sk *sk, int netif, const struct weir_addr *group)
{
    wi_list_for_each (m, &sk->groups, struct membership, link) {
        if (weir_addr_equal(&m->group, group) && (!netif || m->netif == netif))
            return m;
    }
    return NULL;
}

static int64_t membership_count(const struct wi_sk *sk)
{
    int64_t n = 0;
    for (const struct wi_list *l = sk->groups.next; l != &sk->groups; l = l->next)
        n++;
    return n;
}

int wi_sk_group_join(struct wi_sk *sk, int index, const struct weir_addr *group)
{
    if (!weir_addr_is_multicast(group))
        return -WEIR_EINVAL;
    struct wi_netif *netif = netif_for_group(sk->net, index, group);
    if (!netif)
        return -WEIR_ENODEV;
    if (membership_find(sk, netif->index, group))
        return -WEIR_EADDRINUSE;
    if (membership_count(sk) >= sk->core->sysctl.igmp_max_memberships)
        return -WEIR_ENOBUFS;
    struct membership *m = wi_core_alloc(sk->core, sizeof *m);
    if (!m)
        return -WEIR_ENOMEM;
    int err = wi_net_group_join(sk->net, netif->index, group);
    if (err < 0) {
        wi_core_free(sk->core, m, sizeof *m);
        return err;
    }
    m->group = *group;
    m->netif = netif->index;
    wi_list_add_tail(&sk->groups, &m->link);
    return 0;
}

static void membership_end(struct wi_sk *sk, struct membership *m)
{
    (void)wi_net_group_leave(sk->net, m->netif, &m->group); /* the interface may be gone */
    wi_list_del(&m->link);
    wi_core_free(sk->core, m, sizeof *m);
}

int wi_sk_group_leave(struct wi_sk *sk, int netif, const struct weir_addr *group)
{
    struct membership *m = membership_find(sk, netif, group);
    if (!m)
        return -WEIR_EADDRNOTAVAIL;
    membership_end(sk, m);
    return 0;
}

void wi_sk_group_leave_all(struct wi_sk *sk)
{
    wi_list_for_each_safe (m, &sk->groups, struct membership, link)
        membership_end(sk, m);
}

/* ---- Life ---- */

int wi_groups_init(struct wi_net *net)
{
    return wi_htable_init(&net->groups, net->core->mem, GROUPS_INITIAL) ? 0 : -WEIR_ENOMEM;
}

/* The link is new: what we hear is news to its routers. */
void wi_groups_netif_up(struct wi_netif *netif)
{
    wi_list_for_each_safe (g, &netif->groups, struct wi_group, netif_link) {
        if (g->refs && is_reported(g) && !is_all_hosts(&g->addr))
            announce_change(g);
    }
}

void wi_groups_flush_netif(struct wi_net *net, struct wi_netif *netif)
{
    (void)net;
    wi_list_for_each_safe (g, &netif->groups, struct wi_group, netif_link)
        group_free(g);
}

void wi_groups_fini(struct wi_net *net)
{
    WI_ASSERT(wi_htable_count(&net->groups) == 0);
    wi_htable_fini(&net->groups);
}
