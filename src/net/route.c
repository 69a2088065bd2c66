/*
 * The routing table, and the way to a destination. All prefixes are in a hash table, to find one by itself, and in an
 * index for the longest match (lpm.h).
 */
#include "base/str.h"
#include "net/net_internal.h"
#include "net/ra.h"

#define ROUTES_INITIAL 16

/* The routes to one prefix, the lowest metric first. */
struct wi_route_node {
    struct wi_hnode link;
    struct wi_lpm_entry is; /* the prefix */
    struct wi_list routes;
};

static bool node_equal(const struct wi_hnode *n, const void *key)
{
    const struct wi_route_node *node = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)n, struct wi_route_node, link);
    const struct wi_route_node *want = key;
    return node->is.len128 == want->is.len128 && weir_addr_equal(&node->is.prefix, &want->is.prefix);
}

static struct wi_route_node *node_find(const struct wi_net *net, const struct weir_addr *addr, unsigned len128)
{
    struct wi_route_node want = {.is = {wi_addr_mask(addr, len128), (uint8_t)len128}};
    struct wi_hnode *n = wi_htable_find(&net->routes, wi_net_hash(net, &want.is.prefix, len128), node_equal, &want);
    return n ? WI_CONTAINER_OF(n, struct wi_route_node, link) : NULL;
}

static struct wi_route_node *node_get(struct wi_net *net, const struct weir_addr *addr, unsigned len128)
{
    struct wi_route_node *node = node_find(net, addr, len128);
    if (node)
        return node;
    node = wi_mem_zalloc(net->core->mem, sizeof *node);
    if (!node)
        return NULL;
    node->is = (struct wi_lpm_entry){wi_addr_mask(addr, len128), (uint8_t)len128};
    if (!wi_lpm_insert(&net->route_index, &node->is)) {
        wi_core_free(net->core, node, sizeof *node);
        return NULL;
    }
    wi_list_init(&node->routes);
    wi_htable_insert(&net->routes, &node->link, wi_net_hash(net, &node->is.prefix, len128));
    return node;
}

/* The longest prefix shorter than the node's, and not shorter than `min`, that holds it. */
static struct wi_route_node *node_above(const struct wi_net *net, const struct wi_route_node *node, unsigned min)
{
    for (unsigned len = node->is.len128; len-- > min;) {
        struct wi_route_node *above = node_find(net, &node->is.prefix, len);
        if (above)
            return above;
    }
    return NULL;
}

static void node_put(struct wi_net *net, struct wi_route_node *node)
{
    if (!wi_list_empty(&node->routes))
        return;
    const struct wi_route_node *cover = node_above(net, node, wi_lpm_cover_min(&node->is));
    wi_lpm_remove(&net->route_index, &node->is, cover ? &cover->is : NULL);
    wi_htable_remove(&net->routes, &node->link);
    wi_core_free(net->core, node, sizeof *node);
}

static bool route_equal(const struct wi_route *route, const struct weir_route *r, bool is_from_addr)
{
    return route->is_from_addr == is_from_addr && route->r.netif == r->netif && route->r.metric == r->metric &&
           weir_addr_equal(&route->r.gateway, &r->gateway);
}

static struct wi_route *route_in(const struct wi_route_node *node, const struct weir_route *r, bool is_from_addr)
{
    wi_list_for_each (route, &node->routes, struct wi_route, node_link) {
        if (route_equal(route, r, is_from_addr))
            return route;
    }
    return NULL;
}

static void node_add(struct wi_route_node *node, struct wi_route *route)
{
    struct wi_list *before = &node->routes;
    wi_list_for_each (other, &node->routes, struct wi_route, node_link) {
        if (other->r.metric > route->r.metric) {
            before = &other->node_link;
            break;
        }
    }
    wi_list_add_tail(before, &route->node_link);
    route->node = node;
}

int wi_route_insert(struct wi_net *net, const struct weir_route *r, bool is_from_addr)
{
    struct wi_route_node *node = node_get(net, &r->dst, wi_prefix_len128(&r->dst, r->prefix_len));
    if (!node)
        return -WEIR_ENOMEM;
    if (!is_from_addr && route_in(node, r, false))
        return -WEIR_EEXIST;
    struct wi_route *route = wi_mem_zalloc(net->core->mem, sizeof *route);
    if (!route) {
        node_put(net, node);
        return -WEIR_ENOMEM;
    }
    route->r = *r;
    route->is_from_addr = is_from_addr;
    node_add(node, route);
    wi_list_add_tail(&wi_netif_get(net, r->netif)->routes, &route->netif_link);
    wi_net_changed(net);
    return 0;
}

static void route_free(struct wi_net *net, struct wi_route *route)
{
    struct wi_route_node *node = route->node;
    wi_list_del(&route->node_link);
    wi_list_del(&route->netif_link);
    wi_core_free(net->core, route, sizeof *route);
    node_put(net, node);
    wi_net_changed(net);
}

int wi_route_remove(struct wi_net *net, const struct weir_route *r, bool is_from_addr)
{
    struct wi_route_node *node = node_find(net, &r->dst, wi_prefix_len128(&r->dst, r->prefix_len));
    struct wi_route *route = node ? route_in(node, r, is_from_addr) : NULL;
    if (!route)
        return -WEIR_ENOENT;
    route_free(net, route);
    return 0;
}

static bool is_same_family(const struct weir_addr *a, const struct weir_addr *b)
{
    return weir_addr_is_v4(a) == weir_addr_is_v4(b);
}

static bool mtu_is_valid(const struct weir_route *r)
{
    uint32_t min = weir_addr_is_v4(&r->dst) ? WI_IPV4_MTU_MIN : WI_IPV6_MTU_MIN;
    return !r->mtu || (r->mtu >= min && r->mtu <= WI_LOOPBACK_MTU);
}

int wi_net_route_add(struct wi_net *net, const struct weir_route *r)
{
    if (!wi_netif_get(net, r->netif))
        return -WEIR_ENODEV;
    if (r->prefix_len > (weir_addr_is_v4(&r->dst) ? 32 : 128) || !mtu_is_valid(r) ||
        (!weir_addr_is_any(&r->gateway) && !is_same_family(&r->gateway, &r->dst)) ||
        (!weir_addr_is_any(&r->prefsrc) && !is_same_family(&r->prefsrc, &r->dst)) ||
        weir_addr_is_multicast(&r->gateway))
        return -WEIR_EINVAL;
    return wi_route_insert(net, r, false);
}

int wi_net_route_del(struct wi_net *net, const struct weir_route *r)
{
    if (r->prefix_len > (weir_addr_is_v4(&r->dst) ? 32 : 128))
        return -WEIR_ENOENT;
    return wi_route_remove(net, r, false);
}

/* ---- Lookup ---- */

/* A gateway that did not answer is passed over while there is another (RFC 1122 3.3.1.2, 3.3.1.4). */
static bool is_gateway_dead(const struct wi_netif *netif, const struct weir_route *r)
{
    if (weir_addr_is_any(&r->gateway) || netif->type != WEIR_LINK_ETHERNET)
        return false;
    const struct wi_neigh *n = wi_neigh_find(netif, &r->gateway);
    return n && n->state == WEIR_NEIGH_FAILED;
}

static const struct wi_route *pick_route(const struct wi_net *net, const struct wi_route_node *node, int bound_if)
{
    const struct wi_route *dead = NULL;
    wi_list_for_each (route, &node->routes, struct wi_route, node_link) {
        const struct wi_netif *netif = wi_netif_get(net, route->r.netif);
        if (!netif->is_up || (bound_if && bound_if != netif->index))
            continue;
        if (!is_gateway_dead(netif, &route->r))
            return route;
        if (!dead)
            dead = route;
    }
    return dead;
}

static const struct wi_route *lookup(const struct wi_net *net, const struct weir_addr *dst, int bound_if)
{
    const struct wi_lpm_entry *is = wi_lpm_find(&net->route_index, dst);
    const struct wi_route_node *node = is ? WI_CONTAINER_OF(is, const struct wi_route_node, is) : NULL;
    const struct wi_route *route = NULL;
    unsigned min = weir_addr_is_v4(dst) ? 96 : 0;
    while (node && !(route = pick_route(net, node, bound_if))) /* the best is of no use now: the next best */
        node = node_above(net, node, min);
    return route;
}

/* Where a group or the limited broadcast address goes when no route says: the first real interface that is up. */
static const struct wi_netif *default_netif(const struct wi_net *net)
{
    for (uint32_t i = WI_NETIF_LOOPBACK + 1; i < net->netif_cap; i++) {
        if (net->netifs[i] && net->netifs[i]->is_up)
            return net->netifs[i];
    }
    return NULL;
}

static void route_local(struct wi_dst *out)
{
    out->netif = WI_NETIF_LOOPBACK;
    out->is_local = true;
    /* An IPv4 packet can't be longer than its length field says: 64 KiB of loopback are one byte too many. */
    out->mtu = out->link_mtu = out->adv_mtu = weir_addr_is_v4(&out->dst) ? UINT16_MAX : WI_LOOPBACK_MTU;
    out->caps = WEIR_CAP_TSO | WEIR_CAP_TX_CSUM | WEIR_CAP_RX_CSUM;
    out->next_hop = out->dst;
}

static int route_remote(const struct wi_net *net, int bound_if, struct wi_dst *out, struct weir_addr *prefsrc)
{
    const struct wi_route *route = lookup(net, &out->dst, bound_if);
    const struct wi_netif *netif = wi_netif_get(net, route ? route->r.netif : bound_if);
    if (!netif && (out->is_multicast || out->is_broadcast))
        netif = default_netif(net);
    if (!netif || (!route && !out->is_multicast && !out->is_broadcast))
        return -WEIR_ENETUNREACH;
    if (!netif->is_up)
        return -WEIR_ENETDOWN;

    bool has_gateway = route && !weir_addr_is_any(&route->r.gateway) && !out->is_multicast && !out->is_broadcast;
    out->next_hop = has_gateway ? route->r.gateway : out->dst;
    out->netif = netif->index;
    out->link_mtu = netif->mtu;
    out->caps = netif->caps;
    out->mtu = netif->mtu;
    if (route) {
        if (route->r.mtu && route->r.mtu < out->mtu)
            out->mtu = route->r.mtu;
        out->advmss = route->r.advmss;
        out->initcwnd = route->r.initcwnd;
        *prefsrc = route->r.prefsrc;
    }
    if (wi_ra_mtu(netif) && !weir_addr_is_v4(&out->dst))
        out->mtu = wi_min_u32(out->mtu, wi_ra_mtu(netif));
    out->adv_mtu = out->mtu;
    out->mtu = wi_pmtu_get(net, &out->dst, out->mtu);
    return 0;
}

/* 127.0.0.0/8 speaks with 127.0.0.1, every other address of ours with itself. */
static struct weir_addr local_src(const struct weir_addr *dst)
{
    bool is_loopback4 = weir_addr_is_loopback(dst) && weir_addr_is_v4(dst);
    return is_loopback4 ? weir_addr_v4(127, 0, 0, 1) : *dst;
}

static int choose_src(const struct wi_net *net, const struct weir_addr *prefsrc, bool any_src, struct wi_dst *out)
{
    if (out->is_local) {
        out->src = local_src(&out->dst);
        return 0;
    }
    if (!weir_addr_is_any(prefsrc) && wi_net_is_local(net, prefsrc)) {
        out->src = *prefsrc;
        return 0;
    }
    if (wi_ifaddr_select(net, wi_netif_get(net, out->netif), &out->dst, &out->src) || any_src)
        return 0;
    return -WEIR_EADDRNOTAVAIL;
}

static int check_src(const struct wi_net *net, const struct weir_addr *src, bool any_src, struct wi_dst *out)
{
    if (!is_same_family(src, &out->dst) || weir_addr_is_multicast(src) || wi_net_is_broadcast(net, src))
        return -WEIR_EADDRNOTAVAIL;
    if (!any_src && !wi_net_is_local(net, src))
        return -WEIR_EADDRNOTAVAIL;
    if (weir_addr_is_loopback(src) && !out->is_local)
        return -WEIR_EADDRNOTAVAIL; /* never leaves this host: RFC 1122 3.2.1.3, RFC 4291 2.5.3 */
    out->src = *src;
    return 0;
}

static int find_way(const struct wi_net *net, const struct weir_addr *dst, const struct weir_addr *src, int bound_if,
                    bool any_src, struct wi_dst *out)
{
    bool is_v4 = weir_addr_is_v4(dst);
    const struct weir_addr any = weir_addr_any(is_v4 ? WEIR_AF_INET : WEIR_AF_INET6);
    struct weir_addr prefsrc = any;

    if (bound_if && !wi_netif_get(net, bound_if))
        return -WEIR_ENODEV;
    memset(out, 0, sizeof *out);
    out->dst = *dst;
    out->src = any;
    out->generation = net->generation;
    if (weir_addr_is_any(dst)) {
        out->dst = is_v4 ? weir_addr_v4(127, 0, 0, 1) : any;
        if (!is_v4)
            out->dst.b[15] = 1;
    }
    out->is_multicast = weir_addr_is_multicast(&out->dst);
    out->is_broadcast = wi_net_is_broadcast(net, &out->dst);
    if (wi_net_is_local(net, &out->dst)) {
        route_local(out);
    } else {
        int err = route_remote(net, bound_if, out, &prefsrc);
        if (err < 0)
            return err;
    }
    if (src && !weir_addr_is_any(src))
        return check_src(net, src, any_src, out);
    return choose_src(net, &prefsrc, any_src, out);
}

/* A server's clients share few ways, and each connection asks several times: the last answers are kept while nothing
 * that they depend on has changed. */
int wi_net_route(struct wi_net *net, const struct weir_addr *dst, const struct weir_addr *src, int bound_if,
                 bool any_src, struct wi_dst *out)
{
    static const struct weir_addr none;
    src = src ? src : &none;
    struct wi_net_asked *a = &net->asked[(dst->b[15] ^ (unsigned)dst->b[14] << 3) % WI_NET_ASKED_N];
    if (a->way.generation == net->generation && weir_addr_equal(&a->dst, dst) && weir_addr_equal(&a->src, src) &&
        a->bound_if == bound_if && a->any_src == any_src) {
        *out = a->way;
        return 0;
    }
    int err = find_way(net, dst, src, bound_if, any_src, out);
    if (err == 0)
        *a = (struct wi_net_asked){*dst, *src, bound_if, any_src, *out};
    return err;
}

bool wi_dst_is_valid(const struct wi_net *net, const struct wi_dst *dst)
{
    return dst->generation == net->generation;
}

int wi_routes_init(struct wi_net *net)
{
    wi_lpm_init(&net->route_index, net->core->mem);
    return wi_htable_init(&net->routes, net->core->mem, ROUTES_INITIAL) ? 0 : -WEIR_ENOMEM;
}

void wi_routes_fini(struct wi_net *net)
{
    WI_ASSERT(wi_htable_count(&net->routes) == 0);
    wi_htable_fini(&net->routes);
}

void wi_routes_flush_netif(struct wi_net *net, struct wi_netif *netif)
{
    wi_list_for_each_safe (route, &netif->routes, struct wi_route, netif_link)
        route_free(net, route);
}
