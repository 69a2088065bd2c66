/*
 * A router of a world (router.h). A destination's number of its link lies in the address (wsim_addr), so that a table
 * by that number is all there is to look up.
 */
#include "sim/router.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define IPV4_HDR 20
#define IPV6_HDR 40

struct wsim_router {
    uint32_t *way; /* by the number of the destination's link, both from 0: the link to go out by, or WSIM_NO_WAY */
    uint32_t way_n;
    uint8_t *own; /* by the same number: the host part of the router's own address on that link, 0: it is not on it */
    struct weir_pool *pool;
    struct wsim_router_stats stats;
};

static void *pool_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void pool_free(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

struct wsim_router *wsim_router_new(void)
{
    struct wsim_router *r = calloc(1, sizeof *r);
    if (r)
        r->pool = weir_pool_new(&(struct weir_alloc){.alloc = pool_alloc, .free = pool_free}, 0);
    if (r && !r->pool) {
        free(r);
        return NULL;
    }
    return r;
}

void wsim_router_free(struct wsim_router *r)
{
    if (!r)
        return;
    weir_pool_free(r->pool);
    free(r->way);
    free(r->own);
    free(r);
}

struct weir_pool *wsim_router_pool(const struct wsim_router *r)
{
    return r->pool;
}

const struct wsim_router_stats *wsim_router_counts(const struct wsim_router *r)
{
    return &r->stats;
}

void wsim_router_count_too_big(struct wsim_router *r)
{
    r->stats.too_big++;
}

/* ---- Ways ---- */

bool wsim_router_find_ways(const struct wsim_world *wd, struct wsim_host *h)
{
    struct wsim_router *r = h->router;
    uint32_t n = wsim_link_count(wd), head = 0, tail = 0;
    uint32_t *queue = malloc((n ? n : 1) * sizeof *queue); /* links that have a way, the nearest first */
    uint32_t *way = realloc(r->way, (n ? n : 1) * sizeof *way);
    uint8_t *own = realloc(r->own, n ? n : 1);
    if (way)
        r->way = way;
    if (own)
        r->own = own;
    if (!queue || !way || !own) {
        free(queue);
        return false;
    }
    r->way_n = n;
    for (uint32_t i = 0; i < n; i++)
        way[i] = WSIM_NO_WAY;
    memset(own, 0, n);
    for (uint32_t i = 0; i < h->joint_n; i++) {
        way[h->joints[i]] = h->joints[i];
        own[h->joints[i]] = wsim_link_end(wd, h->joints[i], WIO_NEAR) == h ? 1 : 2;
        queue[tail++] = h->joints[i];
    }
    while (head < tail) {
        uint32_t link = queue[head++];
        for (int side = 0; side < 2; side++) {
            const struct wsim_host *next = wsim_link_end(wd, link, (enum wio_side)side);
            for (uint32_t i = 0; next->router && i < next->joint_n; i++) {
                uint32_t beyond = next->joints[i];
                if (way[beyond] != WSIM_NO_WAY)
                    continue;
                way[beyond] = way[link];
                queue[tail++] = beyond;
            }
        }
    }
    free(queue);
    return true;
}

/* ---- Packets ---- */

/* The number of the link that holds an address, from 0; beyond all links when none does. */
static uint32_t link_of(const uint8_t *dst, bool is_v4)
{
    const uint8_t *number = dst + (is_v4 ? 1 : 2);
    if (is_v4 ? dst[0] != 10 : dst[0] != 0xfd || dst[1] != 0)
        return WSIM_NO_WAY;
    return (uint32_t)(number[0] << 8 | number[1]) - 1;
}

static bool is_own(const struct wsim_router *r, const uint8_t *dst, bool is_v4)
{
    uint32_t link = link_of(dst, is_v4);
    return link < r->way_n && r->own[link] && r->own[link] == dst[is_v4 ? 3 : 15];
}

static uint32_t way_to(const struct wsim_router *r, uint32_t link)
{
    return link < r->way_n ? r->way[link] : WSIM_NO_WAY;
}

uint32_t wsim_router_way(const struct wsim_router *r, const struct weir_addr *to)
{
    bool is_v4 = weir_addr_is_v4(to);
    return way_to(r, link_of(is_v4 ? to->b + 12 : to->b, is_v4));
}

/* One hop less; the sum of IPv4's header follows (RFC 1624). */
static void lower_hop_limit(uint8_t *ip)
{
    if (ip[0] >> 4 != 4) {
        ip[7]--;
        return;
    }
    ip[8]--;
    uint32_t sum = (uint32_t)(ip[10] << 8 | ip[11]) + 0x100;
    sum = (sum & 0xffff) + (sum >> 16);
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* A packet whose header lies in a block, as a corrupted one's does: a copy that may be written to. */
static struct weir_pkt *copy_of(const struct weir_pkt *p)
{
    struct weir_pkt *copy = weir_pkt_new(p->pool, 0);
    struct weir_block *b = copy ? weir_block_new(p->pool, p->len) : NULL;
    if (!b) {
        if (copy)
            weir_pkt_unref(copy);
        return NULL;
    }
    weir_pkt_copy(p, 0, b->data, p->len);
    (void)weir_pkt_append(copy, b, 0, p->len); /* an empty packet has room */
    weir_block_unref(b);
    copy->flags = p->flags;
    copy->gso_size = p->gso_size;
    copy->serial = p->serial;
    return copy;
}

struct weir_pkt *wsim_router_own(struct weir_pkt *p, uint8_t **ip)
{
    bool is_in_head = p->head_len > 0;
    struct weir_pkt *mine = !is_in_head ? copy_of(p) : p->refs == 1 ? weir_pkt_ref(p) : weir_pkt_clone(p->pool, p);
    if (mine)
        *ip = is_in_head ? mine->room + mine->head_off : mine->frags[0].block->data;
    return mine;
}

uint32_t wsim_router_forward(struct wsim_router *r, struct weir_pkt **pkt)
{
    struct weir_pkt *p = *pkt;
    const uint8_t *ip = weir_pkt_pull(p, IPV4_HDR);
    if (ip && ip[0] >> 4 != 4)
        ip = ip[0] >> 4 == 6 ? weir_pkt_pull(p, IPV6_HDR) : NULL;
    bool is_v4 = ip && ip[0] >> 4 == 4;
    const uint8_t *dst = ip ? ip + (is_v4 ? 16 : 24) : NULL;
    uint32_t way = dst ? way_to(r, link_of(dst, is_v4)) : WSIM_NO_WAY;
    if (dst && is_own(r, dst, is_v4)) {
        r->stats.own++;
        return WSIM_HERE;
    }
    if (way == WSIM_NO_WAY) {
        r->stats.unroutable++;
        return WSIM_NO_WAY;
    }
    if (ip[is_v4 ? 8 : 7] <= 1) {
        r->stats.expired++;
        return WSIM_EXPIRED;
    }
    /* Somebody else may look at the packet as it came. */
    uint8_t *header = NULL;
    *pkt = p = wsim_router_own(p, &header);
    if (!p) {
        r->stats.unroutable++;
        return WSIM_HERE; /* no memory: nobody is told */
    }
    lower_hop_limit(header);
    r->stats.forwarded++;
    return way;
}
