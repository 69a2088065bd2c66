/*
 * A weir stack on a device: see net.h. A turn reads what has arrived in batches, tells the stack the time, then the
 * sources, and sleeps when there is nothing left to do.
 */
#include "perf/net.h"

#include "io/driver.h"
#include "io/shards.h"
#include "perf/stop.h"

#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FULL        64 /* packets in a batch that may have left more behind */
#define BATCHES     4  /* read before the sources have their turn */
#define ROUNDS      4  /* of telling sources before the device is looked at again */
#define DISCARD_MAX ((size_t)16 << 20)
#define MEM_LIMIT   ((size_t)4 << 30)

struct wpf_device {
    const struct wpf_net_config *cfg;
    struct wio_driver *driver;
    struct wio_shards *shards;
    unsigned shard_n;
    char fastopen_key[40]; /* the same for all shards, whichever a cookie comes back to */
};

struct host {
    struct wpf_net net;
    struct wpf_device *device;
    bool owns_device;
    struct wio_shard *shard;
    struct weir *w;
    int netif;
    weir_fd epoll;
    struct weir_block fixed; /* what send_fixed lends; without data until it is needed */
    bool is_busy;            /* sources are ready still: don't sleep */
};

static struct host *host_of(struct wpf_net *n)
{
    return (struct host *)n;
}

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void give(void *ctx, void *ptr, size_t size)
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

/* ---- Calls ---- */

static int64_t host_socket(struct wpf_net *n, int family)
{
    return weir_socket(host_of(n)->w, family, WEIR_SOCK_STREAM, 0);
}

static int host_bind(struct wpf_net *n, int64_t fd, const struct weir_sockaddr *a)
{
    return weir_bind(host_of(n)->w, fd, a);
}

static int host_listen(struct wpf_net *n, int64_t fd, int backlog)
{
    return weir_listen(host_of(n)->w, fd, backlog);
}

static int64_t host_accept(struct wpf_net *n, int64_t fd)
{
    return weir_accept(host_of(n)->w, fd, NULL);
}

static int host_connect(struct wpf_net *n, int64_t fd, const struct weir_sockaddr *to)
{
    return weir_connect(host_of(n)->w, fd, to);
}

static int64_t host_send(struct wpf_net *n, int64_t fd, const void *buf, size_t len, int flags)
{
    return weir_send(host_of(n)->w, fd, buf, len, flags);
}

/* The block is the host's for as long as the stack is, so there is nothing to do when the stack needs it no more. */
static void keep(struct weir_block *block)
{
    (void)block;
}

static int64_t host_send_fixed(struct wpf_net *n, int64_t fd, size_t len)
{
    struct host *h = host_of(n);
    if (!h->fixed.data) {
        void *bytes = calloc(1, WPF_FIXED_MAX);
        if (!bytes)
            return -WEIR_ENOMEM;
        weir_block_lend(&h->fixed, bytes, WPF_FIXED_MAX, keep);
    }
    struct weir_frag view = {.block = &h->fixed, .off = 0, .len = (uint32_t)len};
    return weir_send_frags(h->w, fd, &view, 1, 0);
}

static int64_t host_recv(struct wpf_net *n, int64_t fd, void *buf, size_t len)
{
    return weir_recv(host_of(n)->w, fd, buf, len, 0);
}

static int64_t host_discard(struct wpf_net *n, int64_t fd, void *scratch, size_t len)
{
    (void)scratch;
    (void)len;
    return weir_recv(host_of(n)->w, fd, NULL, DISCARD_MAX, WEIR_MSG_TRUNC);
}

static int host_shutdown(struct wpf_net *n, int64_t fd)
{
    return weir_shutdown(host_of(n)->w, fd, WEIR_SHUT_WR);
}

static void host_close(struct wpf_net *n, int64_t fd)
{
    weir_close(host_of(n)->w, fd);
}

static int host_getname(struct wpf_net *n, int64_t fd, bool is_peer, struct weir_sockaddr *out)
{
    int err = is_peer ? weir_getpeername(host_of(n)->w, fd, out) : weir_getsockname(host_of(n)->w, fd, out);
    if (err == 0 && weir_addr_is_v4(&out->addr))
        out->family = WEIR_AF_INET;
    return err;
}

static int host_getsockopt(struct wpf_net *n, int64_t fd, int level, int name, void *value, uint32_t *len)
{
    return weir_getsockopt(host_of(n)->w, fd, level, name, value, len);
}

static int host_setsockopt(struct wpf_net *n, int64_t fd, int level, int name, const void *value, uint32_t len)
{
    return weir_setsockopt(host_of(n)->w, fd, level, name, value, len);
}

static int host_watch(struct wpf_net *n, int64_t fd, bool is_new, uint32_t events, struct wpf_source *s)
{
    struct host *h = host_of(n);
    struct weir_epoll_event ev = {events, (uint64_t)(uintptr_t)s};
    return weir_epoll_ctl(h->w, h->epoll, is_new ? WEIR_EPOLL_CTL_ADD : WEIR_EPOLL_CTL_MOD, fd, &ev);
}

static int host_unsent(struct wpf_net *n, int64_t fd)
{
    int bytes = 0;
    int err = weir_ioctl(host_of(n)->w, fd, WEIR_SIOCOUTQ, &bytes);
    return err < 0 ? 0 : bytes;
}

/* ---- A turn ---- */

static void run_device(struct host *h, short ready, weir_ns now)
{
    unsigned n = wio_shard_run(h->shard, ready, now);
    for (int i = 1; i < BATCHES && n >= FULL; i++)
        n = wio_shard_run(h->shard, POLLIN, now);
}

static void tell_sources(struct host *h)
{
    struct weir_epoll_event events[WPF_EVENTS];
    h->is_busy = true;
    for (int i = 0; i < ROUNDS && h->is_busy; i++) {
        int n = weir_epoll_wait(h->w, h->epoll, events, WPF_EVENTS);
        for (int j = 0; j < n; j++) {
            struct wpf_source *s = (struct wpf_source *)(uintptr_t)events[j].data;
            h->net.pending[j] = (struct wpf_event){s, events[j].events};
        }
        h->is_busy = n > 0;
        h->net.pending_n = n > 0 ? (unsigned)n : 0;
        wpf_net_tell(&h->net);
    }
}

static short wait_device(struct host *h, weir_ns until)
{
    weir_ns now = wpf_clock(), due = weir_deadline(h->w);
    weir_ns at = due < until ? due : until, left = at > now ? at - now : 0;
    return wio_shard_wait(h->shard, wpf_stop_fd(), at == WEIR_NEVER ? WEIR_NEVER : left);
}

static void host_turn(struct wpf_net *n, weir_ns until)
{
    struct host *h = host_of(n);
    wio_shard_flush(h->shard); /* what was sent since the last turn */
    bool may_sleep = !h->is_busy && !wio_driver_is_busy(h->device->driver);
    short ready = may_sleep ? wait_device(h, until) : wio_shard_wait(h->shard, -1, 0);
    weir_ns now = wpf_clock();
    run_device(h, ready, now);
    weir_advance(h->w, now);
    tell_sources(h);
}

/* ---- Making it ---- */

static void host_free(struct wpf_net *n)
{
    struct host *h = host_of(n);
    if (h->w)
        wio_shard_flush(h->shard);
    weir_free(h->w);
    if (h->owns_device)
        wpf_device_free(h->device);
    free(h->fixed.data);
    free(h);
}

static const struct wpf_net_ops ops = {
    .socket = host_socket,
    .bind = host_bind,
    .listen = host_listen,
    .accept = host_accept,
    .connect = host_connect,
    .send = host_send,
    .send_fixed = host_send_fixed,
    .recv = host_recv,
    .discard = host_discard,
    .shutdown = host_shutdown,
    .close = host_close,
    .getname = host_getname,
    .getsockopt = host_getsockopt,
    .setsockopt = host_setsockopt,
    .watch = host_watch,
    .unsent = host_unsent,
    .turn = host_turn,
    .free = host_free,
};

/* A queue for each stack, unless the text says how many. */
static int open_device(struct wpf_device *d, const char *who)
{
    char err[256], text[256];
    const char *spec = d->cfg->device;
    snprintf(text, sizeof text, strstr(spec, "queues=") || d->shard_n == 1 ? "%s" : "%s,queues=%u", spec, d->shard_n);
    d->driver = wio_driver_open(text, err, sizeof err);
    if (!d->driver) {
        fprintf(stderr, "%s: --dev %s\n", who, err);
        return -1;
    }
    if (wio_driver_queue_n(d->driver) > d->shard_n) {
        fprintf(stderr, "%s: --dev %s: more queues than stacks: %s\n", who, spec,
                d->shard_n == 1 ? "leave queues= away" : "say as many as --shards, or fewer");
        return -1;
    }
    d->shards = wio_shards_new(d->driver, d->shard_n, NULL);
    if (d->shards)
        return 0;
    fprintf(stderr, "%s: --shards %u: no memory or descriptors for so many\n", who, d->shard_n);
    return -1;
}

static int set_tunables(struct host *h, const struct wpf_net_config *cfg, const char *who)
{
    char name[128];
    if (h->device->shard_n > 1)
        (void)weir_sysctl_set(h->w, "net.ipv4.tcp_fastopen_key", h->device->fastopen_key);
    for (unsigned i = 0; i < cfg->sysctl_n; i++) {
        const char *text = cfg->sysctls[i], *equals = strchr(text, '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        int err = weir_sysctl_set(h->w, name, equals + 1);
        if (err < 0) {
            fprintf(stderr, "%s: --sysctl %s: %s\n", who, text,
                    err == -WEIR_ENOENT   ? "there is no such tunable"
                    : err == -WEIR_EINVAL ? "not a value that it takes"
                                          : "it only tells");
            return err;
        }
    }
    return 0;
}

static int set_addresses(struct host *h, const struct wpf_net_config *cfg, const char *who)
{
    char text[WEIR_ADDR_TEXT_CAP];
    for (unsigned i = 0; i < cfg->address_n; i++) {
        const struct wpf_address *a = &cfg->addresses[i];
        int err = weir_addr_add(h->w, h->netif, &a->addr, a->prefix_len);
        if (err < 0) {
            fprintf(stderr, "%s: --address %s/%u: %s\n", who, weir_addr_format(&a->addr, text, sizeof text),
                    a->prefix_len, weir_strerror(err));
            return err;
        }
    }
    for (unsigned i = 0; i < cfg->gateway_n; i++) {
        const struct weir_addr *g = &cfg->gateways[i];
        int family = weir_addr_is_v4(g) ? WEIR_AF_INET : WEIR_AF_INET6;
        struct weir_route all = {
            .dst = weir_addr_any(family), .gateway = *g, .prefsrc = weir_addr_any(family), .netif = h->netif};
        int err = weir_route_add(h->w, &all);
        if (err < 0) {
            fprintf(stderr, "%s: --gateway %s: %s\n", who, weir_addr_format(g, text, sizeof text), weir_strerror(err));
            return err;
        }
    }
    return 0;
}

static int make_stack(struct host *h, const struct wpf_net_config *cfg, const char *who)
{
    const struct weir_shard shard = wio_shard_config(h->shard);
    struct weir_config wc = {
        .shard = h->device->shard_n > 1 ? &shard : NULL,
        .alloc = {take, give, NULL},
        .mem_limit = MEM_LIMIT,
        .now = wpf_clock(),
        .random = secret,
        .hostname = "weir",
    };
    h->w = weir_new(&wc);
    h->epoll = h->w ? weir_epoll_create(h->w) : -WEIR_ENOMEM;
    h->netif = h->epoll < 0 ? (int)h->epoll : wio_shard_attach(h->shard, h->w);
    if (h->netif < 0) {
        fprintf(stderr, "%s: the stack could not be made: %s\n", who, weir_strerror(h->netif));
        return h->netif;
    }
    return set_tunables(h, cfg, who) < 0 || set_addresses(h, cfg, who) < 0 ? -1 : 0;
}

/* Queues fill and empty all the time: give nothing back to the system in between. */
static void keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 16 << 20);
}

struct wpf_device *wpf_device_new(const struct wpf_net_config *cfg, unsigned shard_n, const char *who)
{
    uint32_t key[4];
    keep_memory();
    struct wpf_device *d = calloc(1, sizeof *d);
    if (!d) {
        fprintf(stderr, "%s: out of memory\n", who);
        return NULL;
    }
    d->cfg = cfg;
    d->shard_n = shard_n;
    secret(NULL, key, sizeof key);
    snprintf(d->fastopen_key, sizeof d->fastopen_key, "%08x-%08x-%08x-%08x", key[0], key[1], key[2], key[3]);
    if (open_device(d, who) == 0)
        return d;
    wpf_device_free(d);
    return NULL;
}

void wpf_device_free(struct wpf_device *d)
{
    if (!d)
        return;
    wio_shards_free(d->shards);
    wio_driver_close(d->driver);
    free(d);
}

bool wpf_device_is_steered(const struct wpf_device *d)
{
    return wio_shards_are_steered(d->shards);
}

struct wpf_net *wpf_device_shard(struct wpf_device *d, unsigned i, const char *who)
{
    struct host *h = calloc(1, sizeof *h);
    if (!h) {
        fprintf(stderr, "%s: out of memory\n", who);
        return NULL;
    }
    h->net.ops = &ops;
    h->device = d;
    h->shard = wio_shards_at(d->shards, i);
    if (make_stack(h, d->cfg, who) == 0)
        return &h->net;
    host_free(&h->net);
    return NULL;
}

struct wio_shard_stats wpf_shard_stats(const struct wpf_net *n)
{
    return wio_shard_stats(((const struct host *)n)->shard);
}

struct wpf_net *wpf_net_weir_new(const struct wpf_net_config *cfg, const char *who)
{
    struct wpf_device *d = wpf_device_new(cfg, 1, who);
    struct wpf_net *n = d ? wpf_device_shard(d, 0, who) : NULL;
    if (n)
        host_of(n)->owns_device = true;
    else
        wpf_device_free(d);
    return n;
}
