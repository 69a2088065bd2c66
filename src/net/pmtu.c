/*
 * What paths have told of their MTU (RFC 1191, RFC 8201): a bounded table by destination. Entries only shrink, and
 * expire, upon which the link's MTU is tried again (RFC 1191 6.3). Whether a message is to be believed is the
 * transport's to say; it comes here after that.
 */
#include "net/net_internal.h"

#define PMTUS_INITIAL 8
#define PMTUS_MAX     2048

struct wi_pmtu {
    struct wi_hnode link;
    struct wi_list age_link;
    struct wi_net *net;
    struct weir_addr dst;
    uint32_t mtu;
    struct wi_timer timer;
};

static bool pmtu_equal(const struct wi_hnode *node, const void *key)
{
    const struct wi_pmtu *p = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_pmtu, link);
    return weir_addr_equal(&p->dst, key);
}

static struct wi_pmtu *pmtu_find(const struct wi_net *net, const struct weir_addr *dst)
{
    if (wi_htable_count(&net->pmtus) == 0)
        return NULL;
    struct wi_hnode *node = wi_htable_find(&net->pmtus, wi_net_hash(net, dst, 0), pmtu_equal, dst);
    return node ? WI_CONTAINER_OF(node, struct wi_pmtu, link) : NULL;
}

static void pmtu_free(struct wi_pmtu *p)
{
    struct wi_net *net = p->net;
    wi_timer_cancel(&net->core->wheel, &p->timer);
    wi_htable_remove(&net->pmtus, &p->link);
    wi_list_del(&p->age_link);
    wi_core_free(net->core, p, sizeof *p);
}

static void pmtu_expire(struct wi_timer *timer, weir_ns now)
{
    struct wi_pmtu *p = WI_CONTAINER_OF(timer, struct wi_pmtu, timer);
    (void)now;
    wi_net_changed(p->net);
    pmtu_free(p);
}

static struct wi_pmtu *pmtu_new(struct wi_net *net, const struct weir_addr *dst)
{
    if (wi_htable_count(&net->pmtus) >= PMTUS_MAX)
        pmtu_free(wi_list_first(&net->pmtu_age, struct wi_pmtu, age_link));
    struct wi_pmtu *p = wi_mem_zalloc(net->core->mem, sizeof *p);
    if (!p)
        return NULL;
    p->net = net;
    p->dst = *dst;
    p->mtu = UINT32_MAX;
    wi_timer_init(&p->timer, pmtu_expire);
    wi_list_add_tail(&net->pmtu_age, &p->age_link);
    wi_htable_insert(&net->pmtus, &p->link, wi_net_hash(net, dst, 0));
    return p;
}

uint32_t wi_pmtu_get(const struct wi_net *net, const struct weir_addr *dst, uint32_t link_mtu)
{
    const struct wi_pmtu *p = pmtu_find(net, dst);
    return p ? wi_min_u32(p->mtu, link_mtu) : link_mtu;
}

bool wi_net_pmtu_learn(struct wi_net *net, const struct weir_addr *dst, uint32_t mtu)
{
    struct wi_dst way;
    if (!weir_addr_is_v4(dst) && mtu < WI_IPV6_MTU_MIN)
        return false; /* RFC 8201 4 */
    if (weir_addr_is_v4(dst))
        mtu = wi_max_u32(mtu, (uint32_t)net->core->sysctl.route_min_pmtu);
    if (wi_net_route(net, dst, NULL, 0, true, &way) < 0 || way.is_local || mtu >= way.mtu)
        return false;
    struct wi_pmtu *p = pmtu_find(net, dst);
    if (!p)
        p = pmtu_new(net, dst);
    if (!p)
        return false;
    p->mtu = mtu;
    wi_timer_arm(&net->core->wheel, &p->timer, net->core->now + WEIR_SEC((weir_ns)net->core->sysctl.route_mtu_expires));
    wi_net_changed(net);
    return true;
}

int wi_pmtus_init(struct wi_net *net)
{
    wi_list_init(&net->pmtu_age);
    return wi_htable_init(&net->pmtus, net->core->mem, PMTUS_INITIAL) ? 0 : -WEIR_ENOMEM;
}

void wi_pmtus_fini(struct wi_net *net)
{
    wi_list_for_each_safe (p, &net->pmtu_age, struct wi_pmtu, age_link)
        pmtu_free(p);
    wi_htable_fini(&net->pmtus);
}
