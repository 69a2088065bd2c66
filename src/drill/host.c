/*
 * The stack and its wire (host.h).
 */
#include "drill/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *host_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void host_free(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

/* Group management, which no script speaks of. */
static bool is_multicast(const struct weir_pkt *p)
{
    uint8_t b[40] = {0};
    size_t n = weir_pkt_copy(p, 0, b, sizeof b);
    return n >= 20 && (b[0] >> 4 == 6 ? b[24] == 0xff : b[16] >> 4 == 0xe);
}

/* The wire takes everything. */
static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct wdr_host *h = driver;
    for (unsigned i = 0; i < n; i++) {
        struct wdr_datagram *d = h->discards || is_multicast(pkts[i]) ? NULL : malloc(sizeof *d + pkts[i]->len);
        if (d) {
            *d = (struct wdr_datagram){.at = h->now, .len = pkts[i]->len};
            weir_pkt_copy(pkts[i], 0, d->bytes, d->len);
            *h->last = d;
            h->last = &d->next;
        }
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

static const struct weir_netif_ops wire_ops = {.xmit = xmit};

static int add_route(struct wdr_host *h, bool is_v6)
{
    struct weir_route r = {.dst = weir_addr_any(is_v6 ? WEIR_AF_INET6 : WEIR_AF_INET), .netif = h->netif};
    r.gateway = r.prefsrc = weir_addr_any(WEIR_AF_INET6);
    h->routes[h->route_n++] = r;
    return weir_route_add(h->w, &r);
}

int wdr_host_address(struct wdr_host *h, const struct weir_addr *a)
{
    int err = weir_addr_add(h->w, h->netif, a, weir_addr_is_v4(a) ? 32 : 128);
    return err == -EEXIST ? 0 : err;
}

int wdr_host_init(struct wdr_host *h, const struct wdr_host_config *cfg)
{
    *h = (struct wdr_host){.now = WDR_TIME_ZERO};
    h->last = &h->first;
    struct weir_config c = {
        .alloc = {host_alloc, host_free, NULL},
        .now = h->now,
        .seed = cfg->seed,
        .on_event = cfg->on_event,
        .event_ctx = cfg->event_ctx,
        .event_mask = cfg->on_event ? WEIR_EV_ALL : 0,
        .hostname = "weir",
    };
    struct weir_netif_config nc = {.name = "tun0", .type = WEIR_LINK_RAW_IP, .mtu = cfg->mtu};
    if (cfg->has_tso)
        nc.caps = WEIR_CAP_TSO;
    h->w = weir_new(&c);
    if (!h->w)
        return -ENOMEM;
    h->netif = weir_netif_add(h->w, &wire_ops, h, &nc);
    int err = h->netif < 0 ? h->netif : 0;
    if (!err && cfg->has_v4)
        err = wdr_host_address(h, &cfg->local4);
    if (!err && cfg->has_v4)
        err = add_route(h, false);
    if (!err && cfg->has_v6)
        err = wdr_host_address(h, &cfg->local6);
    if (!err && cfg->has_v6)
        err = add_route(h, true);
    if (err)
        wdr_host_fini(h);
    return err;
}

void wdr_host_fini(struct wdr_host *h)
{
    struct wdr_datagram *d;
    weir_free(h->w);
    h->w = NULL;
    free(h->counted);
    h->counted = NULL;
    while ((d = wdr_host_take(h)))
        free(d);
}

void wdr_host_input(struct wdr_host *h, const uint8_t *data, size_t len)
{
    struct weir_pkt *p = weir_pkt_from(weir_stack_pool(h->w), data, len);
    if (!p)
        return;
    weir_input(h->w, h->netif, &p, 1, h->now);
    weir_pkt_unref(p);
}

struct wdr_datagram *wdr_host_take(struct wdr_host *h)
{
    struct wdr_datagram *d = h->first;
    if (d) {
        h->first = d->next;
        if (!h->first)
            h->last = &h->first;
    }
    return d;
}

void wdr_host_advance(struct wdr_host *h, weir_ns at)
{
    if (at > h->now)
        h->now = at;
    weir_advance(h->w, h->now);
}

int wdr_host_route(struct wdr_host *h, uint32_t mtu, uint32_t advmss, uint32_t initcwnd)
{
    int err = 0;
    for (unsigned i = 0; i < h->route_n && !err; i++) {
        struct weir_route *r = &h->routes[i];
        weir_route_del(h->w, r);
        r->mtu = mtu ? mtu : r->mtu;
        r->advmss = advmss ? advmss : r->advmss;
        r->initcwnd = initcwnd ? initcwnd : r->initcwnd;
        err = weir_route_add(h->w, r);
    }
    return err;
}
