/*
 * The stack's own addresses, the broadcast addresses that come with them, and which of them speaks (RFC 6724 5).
 */
#include "base/str.h"
#include "net/net_internal.h"
#include "wire/nd.h"

#define ADDRS_INITIAL 16

struct weir_addr wi_addr_mask(const struct weir_addr *addr, unsigned len128)
{
    struct weir_addr out = *addr;
    for (unsigned i = 0; i < 16; i++) {
        unsigned bits = len128 > i * 8 ? len128 - i * 8 : 0;
        if (bits < 8)
            out.b[i] &= (uint8_t)(0xff00 >> bits);
    }
    return out;
}

unsigned wi_addr_common_len(const struct weir_addr *a, const struct weir_addr *b)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned differ = a->b[i] ^ b->b[i];
        if (differ)
            return i * 8 + (unsigned)__builtin_clz(differ) - 24;
    }
    return 128;
}

static bool ifaddr_equal(const struct wi_hnode *node, const void *key)
{
    const struct wi_ifaddr *a = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_ifaddr, link);
    return weir_addr_equal(&a->addr, key);
}

struct wi_ifaddr *wi_ifaddr_find(const struct wi_net *net, const struct weir_addr *addr)
{
    struct wi_hnode *node = wi_htable_find(&net->addrs, wi_net_hash(net, addr, 0), ifaddr_equal, addr);
    return node ? WI_CONTAINER_OF(node, struct wi_ifaddr, link) : NULL;
}

int wi_net_netif_of_addr(const struct wi_net *net, const struct weir_addr *addr)
{
    const struct wi_ifaddr *a = wi_ifaddr_find(net, addr);
    return a && a->kind == WI_IFADDR_LOCAL ? a->netif->index : -WEIR_ENODEV;
}

bool wi_ifaddr_is_on(const struct wi_netif *netif, const struct weir_addr *addr)
{
    const struct wi_ifaddr *a = wi_ifaddr_find(netif->net, addr);
    return a && a->kind == WI_IFADDR_LOCAL && a->netif == netif;
}

static bool is_limited_broadcast(const struct weir_addr *addr)
{
    const struct weir_addr all = weir_addr_v4(255, 255, 255, 255);
    return weir_addr_equal(addr, &all);
}

enum wi_ifaddr_kind wi_ifaddr_kind_of(const struct wi_net *net, const struct weir_addr *addr)
{
    if (weir_addr_is_loopback(addr))
        return WI_IFADDR_LOCAL;
    if (is_limited_broadcast(addr))
        return WI_IFADDR_BROADCAST;
    const struct wi_ifaddr *a = wi_ifaddr_find(net, addr);
    return a ? a->kind : WI_IFADDR_NONE;
}

bool wi_net_is_local(const struct wi_net *net, const struct weir_addr *addr)
{
    return wi_ifaddr_kind_of(net, addr) == WI_IFADDR_LOCAL;
}

bool wi_net_is_broadcast(const struct wi_net *net, const struct weir_addr *addr)
{
    return weir_addr_is_v4(addr) && wi_ifaddr_kind_of(net, addr) == WI_IFADDR_BROADCAST;
}

static struct wi_ifaddr *ifaddr_new(struct wi_net *net, struct wi_netif *netif, const struct weir_addr *addr,
                                    enum wi_ifaddr_kind kind)
{
    struct wi_ifaddr *a = wi_mem_zalloc(net->core->mem, sizeof *a);
    if (!a)
        return NULL;
    a->kind = kind;
    a->netif = netif;
    a->addr = *addr;
    a->refs = 1;
    wi_list_init(&a->netif_link);
    wi_htable_insert(&net->addrs, &a->link, wi_net_hash(net, addr, 0));
    return a;
}

static void ifaddr_free(struct wi_net *net, struct wi_ifaddr *a)
{
    wi_htable_remove(&net->addrs, &a->link);
    wi_list_del(&a->netif_link);
    wi_core_free(net->core, a, sizeof *a);
}

/* The network's last address, and its first, which hosts of old used (RFC 1122 3.3.6). RFC 3021: a /31 has none. */
static bool broadcast_of(const struct wi_ifaddr *a, bool is_old, struct weir_addr *out)
{
    if (!weir_addr_is_v4(&a->addr) || a->prefix_len128 > 126 || a->netif->is_loopback)
        return false;
    *out = wi_addr_mask(&a->addr, a->prefix_len128);
    for (unsigned bit = a->prefix_len128; !is_old && bit < 128; bit++)
        out->b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return true;
}

static void broadcast_put(struct wi_net *net, const struct wi_ifaddr *a, bool is_old)
{
    struct weir_addr addr;
    struct wi_ifaddr *b = broadcast_of(a, is_old, &addr) ? wi_ifaddr_find(net, &addr) : NULL;
    if (b && b->kind == WI_IFADDR_BROADCAST && --b->refs == 0)
        ifaddr_free(net, b);
}

static int broadcast_get(struct wi_net *net, const struct wi_ifaddr *a, bool is_old)
{
    struct weir_addr addr;
    if (!broadcast_of(a, is_old, &addr))
        return 0;
    struct wi_ifaddr *b = wi_ifaddr_find(net, &addr);
    if (b) {
        b->refs += b->kind == WI_IFADDR_BROADCAST;
        return 0;
    }
    return ifaddr_new(net, NULL, &addr, WI_IFADDR_BROADCAST) ? 0 : -WEIR_ENOMEM;
}

static struct weir_route prefix_route(const struct wi_ifaddr *a)
{
    bool is_v4 = weir_addr_is_v4(&a->addr);
    return (struct weir_route){
        .dst = wi_addr_mask(&a->addr, a->prefix_len128),
        .gateway = weir_addr_any(is_v4 ? WEIR_AF_INET : WEIR_AF_INET6),
        .prefsrc = weir_addr_any(is_v4 ? WEIR_AF_INET : WEIR_AF_INET6),
        .prefix_len = is_v4 ? a->prefix_len128 - 96u : a->prefix_len128,
        .netif = a->netif->index,
    };
}

/* IPv6 on Ethernet resolves addresses through this group. RFC 4291 2.8. */
static bool needs_solicited_node(const struct wi_ifaddr *a)
{
    return a->netif->type == WEIR_LINK_ETHERNET && !weir_addr_is_v4(&a->addr);
}

static void ifaddr_remove(struct wi_net *net, struct wi_ifaddr *a)
{
    struct weir_route r = prefix_route(a);
    (void)wi_route_remove(net, &r, true);
    broadcast_put(net, a, false);
    broadcast_put(net, a, true);
    if (needs_solicited_node(a)) {
        struct weir_addr group = wi_nd_solicited_node(&a->addr);
        (void)wi_net_group_leave(net, a->netif->index, &group);
    }
    ifaddr_free(net, a);
    wi_net_changed(net);
}

/* Everything that belongs to an address; what fails is undone by ifaddr_remove, which takes what it finds. */
static int ifaddr_equip(struct wi_net *net, struct wi_ifaddr *a)
{
    struct weir_route r = prefix_route(a);
    int err = wi_route_insert(net, &r, true);
    if (err == 0)
        err = broadcast_get(net, a, false);
    if (err == 0)
        err = broadcast_get(net, a, true);
    if (err == 0 && needs_solicited_node(a)) {
        struct weir_addr group = wi_nd_solicited_node(&a->addr);
        err = wi_net_group_join(net, a->netif->index, &group);
    }
    return err;
}

int wi_net_addr_add(struct wi_net *net, int index, const struct weir_addr *addr, unsigned prefix_len)
{
    struct wi_netif *netif = wi_netif_get(net, index);
    if (!netif)
        return -WEIR_ENODEV;
    if (prefix_len > (weir_addr_is_v4(addr) ? 32 : 128) || weir_addr_is_any(addr) || weir_addr_is_multicast(addr) ||
        is_limited_broadcast(addr) || (!weir_addr_is_v4(addr) && netif->mtu < WI_IPV6_MTU_MIN))
        return -WEIR_EINVAL;
    struct wi_ifaddr *old = wi_ifaddr_find(net, addr);
    if (old)
        return -WEIR_EEXIST;
    struct wi_ifaddr *a = ifaddr_new(net, netif, addr, WI_IFADDR_LOCAL);
    if (!a)
        return -WEIR_ENOMEM;
    a->prefix_len128 = (uint8_t)wi_prefix_len128(addr, prefix_len);
    wi_list_add_tail(&netif->addrs, &a->netif_link);
    int err = ifaddr_equip(net, a);
    if (err < 0)
        ifaddr_remove(net, a);
    wi_net_changed(net);
    return err;
}

int wi_net_addr_del(struct wi_net *net, int index, const struct weir_addr *addr)
{
    struct wi_netif *netif = wi_netif_get(net, index);
    if (!netif)
        return -WEIR_ENODEV;
    struct wi_ifaddr *a = wi_ifaddr_find(net, addr);
    if (!a || a->kind != WI_IFADDR_LOCAL || a->netif != netif)
        return -WEIR_EINVAL;
    ifaddr_remove(net, a);
    return 0;
}

/* ---- Source address selection ---- */

enum scope { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* RFC 6724 3.1, 3.2. Private IPv4 addresses are of global scope. */
static int scope_of(const struct weir_addr *addr)
{
    if (weir_addr_is_multicast(addr) && !weir_addr_is_v4(addr))
        return addr->b[1] & 0xf;
    if (weir_addr_is_linklocal(addr) || weir_addr_is_loopback(addr))
        return SCOPE_LINK;
    bool is_site_local = !weir_addr_is_v4(addr) && addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0xc0;
    return is_site_local ? SCOPE_SITE : SCOPE_GLOBAL;
}

/* RFC 6724 2.1, the default policy table's labels. */
static int label_of(const struct weir_addr *addr)
{
    if (weir_addr_is_v4(addr))
        return 4;
    if (weir_addr_is_loopback(addr))
        return 0;
    if (wi_get16(addr->b) == 0x2002)
        return 2;
    if (wi_get32(addr->b) == 0x20010000)
        return 5;
    if ((addr->b[0] & 0xfe) == 0xfc)
        return 13;
    if (wi_get16(addr->b) == 0x3ffe)
        return 12;
    return 1;
}

/* Does `a` make a better source than `b`? RFC 6724 5, rules 1, 2, 3, 5, 6, 8 (4 and 7 are about mobile and temporary
 * addresses, which there are none of). */
static bool is_better(const struct wi_ifaddr *a, const struct wi_ifaddr *b, const struct wi_netif *out,
                      const struct weir_addr *dst)
{
    if (weir_addr_equal(&a->addr, dst) || weir_addr_equal(&b->addr, dst))
        return weir_addr_equal(&a->addr, dst);
    int scope_a = scope_of(&a->addr), scope_b = scope_of(&b->addr), scope_dst = scope_of(dst);
    if (scope_a != scope_b)
        return scope_a < scope_b ? scope_a >= scope_dst : scope_b < scope_dst;
    if (a->is_deprecated != b->is_deprecated)
        return b->is_deprecated;
    if ((a->netif == out) != (b->netif == out))
        return a->netif == out;
    bool a_labelled = label_of(&a->addr) == label_of(dst), b_labelled = label_of(&b->addr) == label_of(dst);
    if (a_labelled != b_labelled)
        return a_labelled;
    unsigned common_a = wi_min_u32(wi_addr_common_len(&a->addr, dst), a->prefix_len128);
    unsigned common_b = wi_min_u32(wi_addr_common_len(&b->addr, dst), b->prefix_len128);
    return common_a > common_b;
}

static const struct wi_ifaddr *best_of(const struct wi_netif *netif, const struct wi_netif *out,
                                       const struct weir_addr *dst, const struct wi_ifaddr *best)
{
    wi_list_for_each (a, &netif->addrs, struct wi_ifaddr, netif_link) {
        if (weir_addr_is_v4(&a->addr) == weir_addr_is_v4(dst) && (!best || is_better(a, best, out, dst)))
            best = a;
    }
    return best;
}

bool wi_ifaddr_select(const struct wi_net *net, const struct wi_netif *netif, const struct weir_addr *dst,
                      struct weir_addr *src)
{
    const struct wi_ifaddr *best = best_of(netif, netif, dst, NULL);
    /* An interface without a fitting address borrows one from another, as Linux does. */
    bool is_fit = best && scope_of(&best->addr) >= scope_of(dst);
    for (uint32_t i = WI_NETIF_LOOPBACK + 1; i < net->netif_cap && !is_fit; i++) {
        const struct wi_netif *other = net->netifs[i];
        if (other && other != netif && other->is_up && !weir_addr_is_linklocal(dst))
            best = best_of(other, netif, dst, best);
    }
    if (best)
        *src = best->addr;
    return best != NULL;
}

struct weir_addr wi_ifaddr_on_link(const struct wi_netif *netif, const struct weir_addr *peer)
{
    const struct wi_ifaddr *best = best_of(netif, netif, peer, NULL);
    return best ? best->addr : weir_addr_any(weir_addr_is_v4(peer) ? WEIR_AF_INET : WEIR_AF_INET6);
}

/* ---- Life ---- */

int wi_ifaddrs_init(struct wi_net *net)
{
    return wi_htable_init(&net->addrs, net->core->mem, ADDRS_INITIAL) ? 0 : -WEIR_ENOMEM;
}

void wi_ifaddrs_fini(struct wi_net *net)
{
    WI_ASSERT(wi_htable_count(&net->addrs) == 0);
    wi_htable_fini(&net->addrs);
}

void wi_ifaddrs_flush_netif(struct wi_net *net, struct wi_netif *netif)
{
    wi_list_for_each_safe (a, &netif->addrs, struct wi_ifaddr, netif_link)
        ifaddr_remove(net, a);
}
