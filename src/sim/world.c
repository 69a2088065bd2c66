/*
 * The world (world.h): finds what is due next, moves the clock there, and lets it happen.
 */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define HOSTS_MAX   64
#define LINKS_MAX   64
#define READY_BATCH 64
#define STANDS_MAX  1000000 /* steps without the clock moving: somebody answers for ever */
#define ERROR_CAP   512

struct joint {
    struct wio_link *link;
    struct wsim_host *ends[2];
};

struct wsim_world {
    struct wsim_config cfg;
    struct wio_rng rng;
    weir_ns now;
    struct wsim_host *hosts[HOSTS_MAX];
    unsigned host_n;
    struct joint joints[LINKS_MAX];
    unsigned joint_n;
    struct wsim_alarm *alarms; /* by time, then by turn */
    uint64_t turns, steps;
    unsigned stands; /* steps since the clock moved */
    char error[ERROR_CAP];
};

/* ---- Memory ---- */

static void *host_alloc(void *ctx, size_t size)
{
    struct wsim_host *h = ctx;
    void *p = malloc(size);
    if (p) {
        h->mem_bytes += size;
        if (h->mem_bytes > h->mem_peak_bytes)
            h->mem_peak_bytes = h->mem_bytes;
    }
    return p;
}

static void host_free(void *ctx, void *p, size_t size)
{
    struct wsim_host *h = ctx;
    h->mem_bytes -= size;
    free(p);
}

/* ---- Making ---- */

struct wsim_world *wsim_world_new(const struct wsim_config *c)
{
    struct wsim_world *wd = calloc(1, sizeof *wd);
    if (!wd)
        return NULL;
    wd->cfg = *c;
    wio_rng_init(&wd->rng, c->seed, 1000);
    return wd;
}

void wsim_world_free(struct wsim_world *wd)
{
    if (!wd)
        return;
    for (unsigned i = 0; i < wd->joint_n; i++)
        wio_link_free(wd->joints[i].link); /* with the packets that its hosts' pools lent it */
    for (unsigned i = 0; i < wd->host_n; i++)
        weir_free(wd->hosts[i]->w);
    for (unsigned i = 0; i < wd->host_n; i++) /* one host's queue may have held another's packets until now */
        free(wd->hosts[i]);
    free(wd);
}

static void pass_event(void *ctx, const struct weir_event *ev)
{
    struct wsim_host *h = ctx;
    h->world->cfg.on_event(h->world->cfg.ctx, h, ev);
}

struct wsim_host *wsim_host_add(struct wsim_world *wd, const char *name)
{
    struct wsim_host *h = wd->host_n < HOSTS_MAX ? calloc(1, sizeof *h) : NULL;
    if (!h)
        return NULL;
    h->world = wd;
    snprintf(h->name, sizeof h->name, "%s", name);
    struct weir_config c = {
        .alloc = {host_alloc, host_free, h},
        .mem_limit = wd->cfg.mem_limit,
        .now = wd->now,
        .seed = wd->cfg.seed * HOSTS_MAX + wd->host_n,
        .on_event = wd->cfg.on_event ? pass_event : NULL,
        .event_ctx = h,
        .event_mask = wd->cfg.on_event ? wd->cfg.event_mask : 0,
        .hostname = name,
    };
    h->w = weir_new(&c);
    h->epoll = h->w ? weir_epoll_create(h->w) : -1;
    if (h->epoll < 0) {
        weir_free(h->w);
        free(h);
        return NULL;
    }
    wd->hosts[wd->host_n++] = h;
    return h;
}

struct weir_addr wsim_addr(unsigned n, enum wio_side side, int family)
{
    uint8_t host = side == WIO_NEAR ? 1 : 2;
    if (family == WEIR_AF_INET)
        return weir_addr_v4(10, 0, (uint8_t)n, host);
    return (struct weir_addr){{0xfd, 0, 0, (uint8_t)n, [15] = host}};
}

#define IPV6_MTU_MIN 1280 /* RFC 8200 5 */

static int configure_end(struct wsim_world *wd, struct joint *j, enum wio_side side, uint32_t mtu)
{
    struct weir *w = j->ends[side]->w;
    unsigned n = wd->joint_n + 1;
    char name[16];
    snprintf(name, sizeof name, "link%u", n);
    int netif = wio_link_attach(j->link, side, w, name, NULL);
    if (netif < 0)
        return netif;
    static const struct {
        int family;
        unsigned prefix_len;
    } nets[] = {{WEIR_AF_INET, 24}, {WEIR_AF_INET6, 64}};
    unsigned net_n = mtu == 0 || mtu >= IPV6_MTU_MIN ? 2 : 1;
    for (unsigned i = 0; i < net_n; i++) {
        struct weir_addr own = wsim_addr(n, side, nets[i].family);
        int err = weir_addr_add(w, netif, &own, nets[i].prefix_len);
        if (err)
            return err;
        struct weir_route r = {.dst = weir_addr_any(nets[i].family),
                               .gateway = wsim_addr(n, side == WIO_NEAR ? WIO_FAR : WIO_NEAR, nets[i].family),
                               .prefsrc = weir_addr_any(nets[i].family),
                               .netif = netif};
        err = weir_route_add(w, &r);
        if (err && err != -WEIR_EEXIST) /* the first link keeps it */
            return err;
    }
    return 0;
}

struct wio_link *wsim_link_add(struct wsim_world *wd, struct wsim_host *near, struct wsim_host *far,
                               const struct wio_link_config *c)
{
    if (wd->joint_n == LINKS_MAX)
        return NULL;
    struct joint j = {wio_link_new(c, wd->cfg.seed * LINKS_MAX + wd->joint_n), {near, far}};
    if (!j.link)
        return NULL;
    for (int side = 0; side < 2; side++) {
        int err = configure_end(wd, &j, (enum wio_side)side, c->mtu);
        if (err)
            wsim_fail(wd, "link %u: %s", wd->joint_n + 1, weir_strerror(err));
    }
    wd->joints[wd->joint_n++] = j;
    return j.link;
}

weir_ns wsim_now(const struct wsim_world *wd)
{
    return wd->now;
}

struct wio_rng *wsim_rng(struct wsim_world *wd)
{
    return &wd->rng;
}

void wsim_fail(struct wsim_world *wd, const char *form, ...)
{
    va_list args;
    if (wd->error[0])
        return;
    int n = snprintf(wd->error, sizeof wd->error, "at %llu.%09llu s: ", (unsigned long long)(wd->now / 1000000000),
                     (unsigned long long)(wd->now % 1000000000));
    va_start(args, form);
    vsnprintf(wd->error + n, sizeof wd->error - (size_t)n, form, args);
    va_end(args);
}

const char *wsim_error(const struct wsim_world *wd)
{
    return wd->error[0] ? wd->error : NULL;
}

/* ---- Waiting ---- */

int wsim_wait(struct wsim_waiter *wt, uint32_t events)
{
    struct weir_epoll_event ev = {events | WEIR_EPOLLET, (uint64_t)(uintptr_t)wt};
    wt->host->is_touched = true; /* it may be ready already */
    return weir_epoll_ctl(wt->host->w, wt->host->epoll, WEIR_EPOLL_CTL_ADD, wt->fd, &ev);
}

void wsim_alarm_set(struct wsim_world *wd, struct wsim_alarm *a, weir_ns at)
{
    a->at = at > wd->now ? at : wd->now;
    a->turn = ++wd->turns;
    struct wsim_alarm **where = &wd->alarms;
    while (*where && (*where)->at <= a->at)
        where = &(*where)->next;
    a->next = *where;
    *where = a;
}

void wsim_alarm_cancel(struct wsim_world *wd, struct wsim_alarm *a)
{
    for (struct wsim_alarm **where = &wd->alarms; *where; where = &(*where)->next) {
        if (*where == a) {
            *where = a->next;
            return;
        }
    }
}

/* ---- Time ---- */

static weir_ns next_due(const struct wsim_world *wd)
{
    weir_ns due = wd->alarms ? wd->alarms->at : WEIR_NEVER;
    for (unsigned i = 0; i < wd->joint_n; i++) {
        weir_ns at = wio_link_deadline(wd->joints[i].link);
        due = at < due ? at : due;
    }
    for (unsigned i = 0; i < wd->host_n; i++) {
        weir_ns at = wd->hosts[i]->is_touched ? wd->now : weir_deadline(wd->hosts[i]->w);
        due = at < due ? at : due;
    }
    return due < wd->now ? wd->now : due;
}

static void run_links(struct wsim_world *wd)
{
    for (unsigned i = 0; i < wd->joint_n; i++) {
        struct joint *j = &wd->joints[i];
        if (wio_link_deadline(j->link) <= wd->now && wio_link_run(j->link, wd->now) > 0)
            j->ends[0]->is_touched = j->ends[1]->is_touched = true;
    }
}

static void run_hosts(struct wsim_world *wd)
{
    for (unsigned i = 0; i < wd->host_n; i++) {
        struct wsim_host *h = wd->hosts[i];
        if (weir_deadline(h->w) <= wd->now) {
            weir_advance(h->w, wd->now);
            h->is_touched = true;
        }
    }
}

/* Whoever waits may call into any host, so all of them are to know the time. */
static void tell_time(struct wsim_world *wd)
{
    for (unsigned i = 0; i < wd->host_n; i++)
        if (weir_now(wd->hosts[i]->w) < wd->now)
            weir_advance(wd->hosts[i]->w, wd->now);
}

static void run_alarms(struct wsim_world *wd)
{
    uint64_t last = wd->turns; /* those set meanwhile wait for the next step */
    while (wd->alarms && wd->alarms->at <= wd->now && wd->alarms->turn <= last) {
        struct wsim_alarm *a = wd->alarms;
        wd->alarms = a->next;
        tell_time(wd);
        a->on_alarm(a);
    }
}

static void run_waiters(struct wsim_world *wd)
{
    struct weir_epoll_event ready[READY_BATCH];
    for (unsigned i = 0; i < wd->host_n; i++) {
        struct wsim_host *h = wd->hosts[i];
        if (!h->is_touched)
            continue;
        h->is_touched = false;
        tell_time(wd);
        int n = weir_epoll_wait(h->w, h->epoll, ready, READY_BATCH);
        if (n == READY_BATCH)
            h->is_touched = true; /* there may be more */
        for (int k = 0; k < n; k++) {
            struct wsim_waiter *wt = (struct wsim_waiter *)(uintptr_t)ready[k].data;
            h->is_touched = true;
            wt->on_ready(wt, ready[k].events);
        }
    }
}

static void check_hosts(struct wsim_world *wd)
{
    for (unsigned i = 0; i < wd->host_n; i++) {
        const char *broken = weir_check(wd->hosts[i]->w);
        if (broken)
            wsim_fail(wd, "%s: invariant broken: %s", wd->hosts[i]->name, broken);
    }
}

static void step(struct wsim_world *wd, weir_ns at)
{
    wd->stands = at > wd->now ? 0 : wd->stands + 1;
    wd->now = at;
    wd->steps++;
    if (wd->stands > STANDS_MAX)
        wsim_fail(wd, "time stands still: %d steps at one moment", STANDS_MAX);
    if (wd->cfg.steps_max && wd->steps > wd->cfg.steps_max)
        wsim_fail(wd, "no end after %llu steps", (unsigned long long)wd->cfg.steps_max);
    run_links(wd);
    run_hosts(wd);
    run_alarms(wd);
    run_waiters(wd);
    if (wd->cfg.check_every && wd->steps % wd->cfg.check_every == 0)
        check_hosts(wd);
}

const char *wsim_run(struct wsim_world *wd, weir_ns until, bool (*is_done)(void *ctx), void *ctx)
{
    while (!wd->error[0] && !(is_done && is_done(ctx))) {
        weir_ns due = next_due(wd);
        if (due > until) {
            if (until != WEIR_NEVER)
                wd->now = until > wd->now ? until : wd->now;
            break;
        }
        if (due == WEIR_NEVER)
            break;
        step(wd, due);
    }
    tell_time(wd); /* whoever called may call into a host now */
    if (wd->cfg.check_every && !wd->error[0])
        check_hosts(wd);
    return wsim_error(wd);
}
