/* Router advertisements: see ra.h. One timer an interface, for whatever ends first. */
#include "net/ra.h"

#include "base/str.h"

#define ROUTERS_MAX  4
#define PREFIXES_MAX WI_ND_PREFIX_MAX
#define TWO_HOURS    WEIR_SEC(7200)

/* RFC 4861 10 */
#define SOLICITATIONS_MAX     3
#define SOLICITATION_DELAY    WEIR_SEC(1)
#define SOLICITATION_INTERVAL WEIR_SEC(4)
#define IID_BYTES             8

struct router {
    struct weir_addr addr;
    weir_ns until; /* 0: unused */
};

struct prefix {
    struct weir_addr prefix;
    unsigned len;
    weir_ns on_link_until; /* 0: no route of ours */
    struct weir_addr addr; /* that we made from it; valid while valid_until is set */
    weir_ns valid_until, preferred_until;
};

struct wi_ra {
    struct wi_netif *netif;
    struct wi_timer timer;
    struct router routers[ROUTERS_MAX];
    struct prefix prefixes[PREFIXES_MAX];
    uint32_t mtu;
    uint8_t hop_limit;
    uint8_t solicit_n;  /* still to send, unless a router speaks up */
    weir_ns solicit_at; /* valid while solicit_n */
};

uint32_t wi_ra_mtu(const struct wi_netif *netif)
{
    return netif->ra ? netif->ra->mtu : 0;
}

uint8_t wi_ra_hop_limit(const struct wi_netif *netif)
{
    return netif->ra ? netif->ra->hop_limit : 0;
}

static weir_ns until(const struct wi_ra *ra, uint32_t seconds)
{
    return seconds == UINT32_MAX ? WEIR_NEVER : ra->netif->net->core->now + WEIR_SEC((weir_ns)seconds);
}

/* ---- What is learnt, done and undone ---- */

static struct weir_route router_route(const struct wi_ra *ra, const struct router *r)
{
    const struct weir_addr any = weir_addr_any(WEIR_AF_INET6);
    return (struct weir_route){
        .dst = any, .gateway = r->addr, .prefsrc = any, .netif = ra->netif->index, .metric = 1024}; /* as Linux's */
}

static struct weir_route on_link_route(const struct wi_ra *ra, const struct prefix *p)
{
    const struct weir_addr any = weir_addr_any(WEIR_AF_INET6);
    return (struct weir_route){.dst = p->prefix,
                               .gateway = any,
                               .prefsrc = any,
                               .prefix_len = p->len,
                               .netif = ra->netif->index,
                               .metric = 256};
}

static void router_end(struct wi_ra *ra, struct router *r)
{
    struct weir_route route = router_route(ra, r);
    (void)wi_route_remove(ra->netif->net, &route, false);
    r->until = 0;
}

static void on_link_end(struct wi_ra *ra, struct prefix *p)
{
    struct weir_route route = on_link_route(ra, p);
    (void)wi_route_remove(ra->netif->net, &route, false);
    p->on_link_until = 0;
}

static void addr_end(struct wi_ra *ra, struct prefix *p)
{
    (void)wi_net_addr_del(ra->netif->net, ra->netif->index, &p->addr);
    p->valid_until = p->preferred_until = 0;
}

static void mark_deprecated(const struct wi_ra *ra, const struct prefix *p)
{
    struct wi_net *net = ra->netif->net;
    struct wi_ifaddr *a = wi_ifaddr_find(net, &p->addr);
    bool is_deprecated = p->preferred_until <= net->core->now;
    if (!a || a->is_deprecated == is_deprecated)
        return;
    a->is_deprecated = is_deprecated;
    wi_net_changed(net);
}

static void ra_rearm(struct wi_ra *ra)
{
    weir_ns now = ra->netif->net->core->now, next = ra->solicit_n ? ra->solicit_at : WEIR_NEVER;
    for (size_t i = 0; i < ROUTERS_MAX; i++) {
        if (ra->routers[i].until)
            next = wi_min_u64(next, ra->routers[i].until);
    }
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        const weir_ns ends[] = {ra->prefixes[i].on_link_until, ra->prefixes[i].valid_until,
                                ra->prefixes[i].preferred_until};
        for (size_t k = 0; k < WI_ARRAY_LEN(ends); k++) {
            if (ends[k] > now)
                next = wi_min_u64(next, ends[k]);
        }
    }
    wi_timer_arm(&ra->netif->net->core->wheel, &ra->timer, next);
}

/* RFC 4861 6.3.7. */
static void solicit(struct wi_ra *ra)
{
    const struct weir_addr all_routers = {{0xff, 0x02, [15] = 2}};
    struct weir_addr src = wi_ifaddr_on_link(ra->netif, &all_routers);
    struct wi_nd nd = {.type = WI_ND_ROUTER_SOLICIT, .has_ll = !weir_addr_is_any(&src)};
    memcpy(nd.ll, ra->netif->mac, WI_ETH_ADDR_LEN);
    ra->solicit_n--;
    ra->solicit_at += SOLICITATION_INTERVAL;
    (void)wi_nd_send(ra->netif, &nd, &src, &all_routers);
}

static void ra_timer_fire(struct wi_timer *timer, weir_ns now)
{
    struct wi_ra *ra = WI_CONTAINER_OF(timer, struct wi_ra, timer);
    if (ra->solicit_n && ra->solicit_at <= now)
        solicit(ra);
    for (size_t i = 0; i < ROUTERS_MAX; i++) {
        if (ra->routers[i].until && ra->routers[i].until <= now)
            router_end(ra, &ra->routers[i]);
    }
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        struct prefix *p = &ra->prefixes[i];
        if (p->on_link_until && p->on_link_until <= now)
            on_link_end(ra, p);
        if (p->valid_until && p->valid_until <= now)
            addr_end(ra, p);
        else if (p->valid_until)
            mark_deprecated(ra, p);
    }
    ra_rearm(ra);
}

/* ---- What an advertisement says ---- */

/* RFC 4861 6.3.4. */
static void take_router(struct wi_ra *ra, const struct weir_addr *addr, uint16_t lifetime_s)
{
    struct router *known = NULL, *unused = NULL;
    for (size_t i = 0; i < ROUTERS_MAX; i++) {
        struct router *r = &ra->routers[i];
        if (r->until && weir_addr_equal(&r->addr, addr))
            known = r;
        else if (!r->until && !unused)
            unused = r;
    }
    if (known && !lifetime_s)
        router_end(ra, known);
    else if (known)
        known->until = until(ra, lifetime_s);
    else if (unused && lifetime_s) {
        unused->addr = *addr;
        struct weir_route route = router_route(ra, unused);
        if (wi_route_insert(ra->netif->net, &route, false) == 0)
            unused->until = until(ra, lifetime_s);
    }
}

static struct prefix *prefix_slot(struct wi_ra *ra, const struct weir_addr *addr, unsigned len)
{
    struct prefix *unused = NULL;
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        struct prefix *p = &ra->prefixes[i];
        bool is_used = p->on_link_until || p->valid_until;
        if (is_used && p->len == len && weir_addr_equal(&p->prefix, addr))
            return p;
        if (!is_used && !unused)
            unused = p;
    }
    if (unused)
        *unused = (struct prefix){.prefix = *addr, .len = len};
    return unused;
}

/* RFC 7217: stable for a prefix, opaque, unrelated to the link address. */
static struct weir_addr addr_from_prefix(const struct wi_ra *ra, const struct prefix *p)
{
    struct weir_addr addr = p->prefix;
    uint64_t iid = wi_net_hash(ra->netif->net, &p->prefix, (uint32_t)ra->netif->index);
    wi_put64(addr.b + IID_BYTES, iid);
    return addr;
}

/* RFC 4862 5.5.3 (e): nobody can end an address's life within two hours. */
static weir_ns valid_until_after(const struct wi_ra *ra, const struct prefix *p, uint32_t valid_s)
{
    weir_ns now = ra->netif->net->core->now, told = until(ra, valid_s);
    weir_ns left = p->valid_until - now;
    if (valid_s > 7200 || told > p->valid_until)
        return told;
    return left <= TWO_HOURS ? p->valid_until : now + TWO_HOURS;
}

static void take_address(struct wi_ra *ra, struct prefix *p, const struct wi_nd_prefix *said)
{
    if (said->preferred_s > said->valid_s || said->len_bits != 128 - IID_BYTES * 8)
        return;
    if (p->valid_until) {
        p->valid_until = valid_until_after(ra, p, said->valid_s);
    } else {
        p->addr = addr_from_prefix(ra, p);
        if (!said->valid_s || wi_net_addr_add(ra->netif->net, ra->netif->index, &p->addr, said->len_bits) < 0)
            return;
        p->valid_until = until(ra, said->valid_s);
    }
    p->preferred_until = until(ra, said->preferred_s);
    mark_deprecated(ra, p);
}

static void take_prefix(struct wi_ra *ra, const struct wi_nd_prefix *said)
{
    struct weir_addr addr = wi_addr_mask(&said->prefix, said->len_bits);
    if (weir_addr_is_linklocal(&addr) || weir_addr_is_multicast(&addr) || weir_addr_is_v4(&addr))
        return;
    struct prefix *p = prefix_slot(ra, &addr, said->len_bits);
    if (!p)
        return;
    if (said->is_on_link && p->on_link_until && !said->valid_s) {
        on_link_end(ra, p);
    } else if (said->is_on_link && said->valid_s) {
        struct weir_route route = on_link_route(ra, p);
        if (p->on_link_until || wi_route_insert(ra->netif->net, &route, false) == 0)
            p->on_link_until = until(ra, said->valid_s);
    }
    if (said->is_autonomous)
        take_address(ra, p, said);
}

static struct wi_ra *ra_get(struct wi_netif *netif)
{
    if (netif->ra)
        return netif->ra;
    struct wi_ra *ra = wi_mem_zalloc(netif->net->core->mem, sizeof *ra);
    if (!ra)
        return NULL;
    ra->netif = netif;
    wi_timer_init(&ra->timer, ra_timer_fire);
    netif->ra = ra;
    return ra;
}

void wi_ra_begin(struct wi_netif *netif)
{
    struct wi_core *core = netif->net->core;
    bool is_wanted = core->sysctl.accept_ra && netif->type == WEIR_LINK_ETHERNET && netif->mtu >= WI_IPV6_MTU_MIN;
    struct wi_ra *ra = is_wanted ? ra_get(netif) : NULL;
    if (!ra)
        return;
    ra->solicit_n = wi_shard_answers(&core->shard) ? SOLICITATIONS_MAX : 0; /* all shards hear what is answered */
    ra->solicit_at = core->now + wi_rng_below(&core->rng, SOLICITATION_DELAY);
    ra_rearm(ra);
}

enum weir_drop wi_ra_input(struct wi_netif *netif, const struct wi_nd *nd, const struct wi_ip *ip)
{
    if (!netif->net->core->sysctl.accept_ra)
        return WEIR_DROP_FILTERED;
    struct wi_ra *ra = ra_get(netif);
    if (!ra)
        return WEIR_DROP_NO_MEMORY;
    ra->solicit_n = 0;
    if (nd->cur_hop_limit)
        ra->hop_limit = nd->cur_hop_limit;
    if (nd->mtu >= WI_IPV6_MTU_MIN && nd->mtu <= netif->mtu && ra->mtu != nd->mtu) {
        ra->mtu = nd->mtu;
        wi_net_changed(netif->net);
    }
    if (nd->has_ll) {
        const struct wi_neigh_news news = {
            .mac = nd->ll, .is_override = true, .may_create = true, .has_router = true, .is_router = true};
        (void)wi_neigh_update(netif, &ip->src, &news);
    }
    take_router(ra, &ip->src, nd->router_lifetime_s);
    for (unsigned i = 0; i < nd->prefix_n; i++)
        take_prefix(ra, &nd->prefixes[i]);
    ra_rearm(ra);
    return WEIR_DROP_NONE;
}

void wi_ra_flush(struct wi_netif *netif)
{
    struct wi_ra *ra = netif->ra;
    if (!ra)
        return;
    for (size_t i = 0; i < ROUTERS_MAX; i++) {
        if (ra->routers[i].until)
            router_end(ra, &ra->routers[i]);
    }
    for (size_t i = 0; i < PREFIXES_MAX; i++) {
        if (ra->prefixes[i].on_link_until)
            on_link_end(ra, &ra->prefixes[i]);
        if (ra->prefixes[i].valid_until)
            addr_end(ra, &ra->prefixes[i]);
    }
    wi_timer_cancel(&netif->net->core->wheel, &ra->timer);
    wi_core_free(netif->net->core, ra, sizeof *ra);
    netif->ra = NULL;
}
