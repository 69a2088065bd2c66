/*
 * The two hosts and the link between them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "run/run.h"
#include "run/watch.h"

#define MEM_LIMIT                                                                                                      \
    ((size_t)2 << 30) /* of each host: packets under way on a long fat link, and every socket's buffers                \
                       */
#define V4_BITS 15
#define V6_BITS 48

static void *alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void release(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    (void)size;
    free(ptr);
}

static void secret(void *ctx, void *buf, size_t len)
{
    uint8_t *p = buf;
    (void)ctx;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

static int host_new(struct wir_run *r, struct wir_host *h, enum wio_side side, uint64_t seed, const char *name)
{
    struct weir_config cfg = {
        .alloc = {.alloc = alloc, .free = release},
        .mem_limit = MEM_LIMIT,
        .now = r->now,
        .seed = seed,
        .random = r->opts->has_seed ? NULL : secret,
        .hostname = name,
    };
    wir_watch_hook(r->watch, side, &cfg);
    h->stack = weir_new(&cfg);
    if (!h->stack)
        return -ENOMEM;
    h->epoll = weir_epoll_create(h->stack);
    return h->epoll < 0 ? (int)h->epoll : 0;
}

/* An interface with its addresses and, through `gateway`, everything else. */
static int host_attach(struct wir_run *r, struct wir_host *h, enum wio_side side, uint32_t flags,
                       struct weir_addr (*own)(int family))
{
    struct weir_netif_config cfg = {
        .name = "link0",
        .type = WEIR_LINK_RAW_IP,
        .mtu = r->opts->link.mtu ? r->opts->link.mtu : 1500,
        .caps = wio_link_caps(r->link),
        .flags = flags,
    };
    static const int families[] = {WEIR_AF_INET, WEIR_AF_INET6};

    h->netif = weir_netif_add(h->stack, wio_link_ops(), wio_link_driver(r->link, side), &cfg);
    if (h->netif < 0)
        return h->netif;
    wio_link_bind(r->link, side, h->stack, h->netif);
    weir_netif_set_up(h->stack, h->netif, true);
    for (unsigned i = 0; i < 2; i++) {
        int family = families[i];
        bool is_v6 = family == WEIR_AF_INET6;
        if ((r->opts->family && r->opts->family != family) || (is_v6 && cfg.mtu < 1280))
            continue;
        struct weir_addr a = own(family);
        struct weir_route all = {.dst = weir_addr_any(family), .prefsrc = a, .netif = h->netif};
        all.gateway = weir_addr_any(family); /* on link: there is nobody else on it */
        int err = weir_addr_add(h->stack, h->netif, &a, is_v6 ? V6_BITS : V4_BITS);
        if (err == 0)
            err = weir_route_add(h->stack, &all);
        if (err < 0)
            return err;
    }
    return 0;
}

/* --sysctl, on one host. */
static int set_tunables(const struct wir_run *r, const struct wir_host *h)
{
    char name[128];
    for (unsigned i = 0; i < r->opts->sysctl_n; i++) {
        const char *text = r->opts->sysctls[i], *equals = strchr(text, '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        int err = weir_sysctl_set(h->stack, name, equals + 1);
        if (err < 0) {
            fprintf(stderr, "weir run: --sysctl %s: %s\n", text,
                    err == -WEIR_ENOENT   ? "there is no such tunable"
                    : err == -WEIR_EINVAL ? "not a value that it takes"
                                          : "it only tells");
            return err;
        }
    }
    return 0;
}

/* A client of -p keeps its port on the link, and whether a port may be used again its own host has decided. */
static int reuse_ports(const struct wir_host *gate)
{
    int err = weir_sysctl_set(gate->stack, "net.ipv4.tcp_tw_reuse", "1");
    return err < 0 ? err : weir_sysctl_set(gate->stack, "net.ipv4.tcp_tw_reuse_delay", "1");
}

int wir_topology_new(struct wir_run *r)
{
    uint64_t seed = r->opts->seed;
    if (!r->opts->has_seed)
        secret(NULL, &seed, sizeof seed);

    int err = host_new(r, &r->prog, WIO_NEAR, seed ^ 1, "program");
    if (err == 0)
        err = host_new(r, &r->gate, WIO_FAR, seed ^ 2, "gateway");
    if (err == 0)
        err = reuse_ports(&r->gate);
    if (err == 0 && (set_tunables(r, &r->prog) < 0 || set_tunables(r, &r->gate) < 0))
        return -EINVAL;
    if (err == 0) {
        r->link = wio_link_new(&r->opts->link, seed);
        err = r->link ? 0 : -ENOMEM;
    }
    if (err == 0)
        err = host_attach(r, &r->prog, WIO_NEAR, 0, wir_addr_program);
    if (err == 0)
        err = host_attach(r, &r->gate, WIO_FAR, WEIR_NETIF_ANY_ADDR, wir_addr_gateway);
    if (err == 0)
        wir_watch_link(r->watch, r->link);
    else
        fprintf(stderr, "weir run: the hosts could not be made: %s\n", weir_strerror(err));
    return err;
}

void wir_topology_free(struct wir_run *r)
{
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < WIR_READ_BLOCKS; k++) {
            if (r->scratch[i].blocks[k])
                weir_block_unref(r->scratch[i].blocks[k]);
        }
    }
    weir_free(r->prog.stack);
    weir_free(r->gate.stack);
    wio_link_free(r->link);
}
