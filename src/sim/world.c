/*
 * The world (world.h): finds what is due next, moves the clock there, and lets it happen.
 */
#include "sim/world.h"

#include "sim/router.h"
#include "sim/sched.h"
#include "sim/synproxy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define SEEDS       64 /* of a world, each for hosts and links: what they have drawn so far stays */
#define LINKS_MAX   65535
#define READY_BATCH 64
#define STANDS_MAX  1000000 /* steps without the clock moving: somebody answers for ever */
#define ERROR_CAP   512

/* One end of a link. */
struct port {
    struct joint *joint;
    enum wio_side side;
    struct wsim_host *host;
    int netif; /* of a host */
};

struct joint {
    struct wio_link *link;
    struct wsim_world *world;
    uint32_t index, mtu;
    struct port ports[2]; /* by enum wio_side */
};

struct wsim_world {
    struct wsim_config cfg;
    struct wio_rng rng;
    weir_ns now;
    struct wsim_host **hosts;
    struct joint **joints;
    uint32_t host_n, joint_n;
    struct wsim_sched due_links; /* joints, by what arrives */
    struct wsim_sched due_hosts; /* hosts, by their timers */
    struct wsim_sched touched;   /* hosts whose sockets are to be looked at: time 0 */
    struct wsim_host **stale;    /* hosts whose place in due_hosts is to be looked at */
    uint32_t stale_n;
    struct wsim_alarms alarms;
    uint64_t steps;
    unsigned stands; /* steps since the clock moved */
    bool is_routed;  /* the routers know the links as they are now */
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

/* ---- What is to be looked at ---- */

static void touch(struct wsim_host *h)
{
    wsim_sched_set(&h->world->touched, h->index, 0);
}

static void make_stale(struct wsim_host *h)
{
    if (!h->is_stale)
        h->world->stale[h->world->stale_n++] = h;
    h->is_stale = true;
}

static void tell_time(struct wsim_host *h)
{
    if (weir_now(h->w) < h->world->now)
        weir_advance(h->w, h->world->now);
}

struct weir *wsim_stack(struct wsim_host *h)
{
    tell_time(h);
    touch(h);
    make_stale(h);
    return h->w;
}

/* ---- Links ---- */

static void look_at_link(struct joint *j)
{
    wsim_sched_set(&j->world->due_links, j->index, wio_link_deadline(j->link));
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct port *p = driver;
    wio_link_send(p->joint->link, p->side, pkts, n, weir_now(p->host->w));
    look_at_link(p->joint);
    return n;
}

static void arrive_at_host(void *ctx, struct weir_pkt **pkts, unsigned n, weir_ns now)
{
    struct port *p = ctx;
    weir_input(p->host->w, p->netif, pkts, n, now);
    touch(p->host);
    make_stale(p->host);
}

static void find_ways(struct wsim_world *wd)
{
    for (uint32_t i = 0; i < wd->host_n; i++)
        if (wd->hosts[i]->router && !wsim_router_find_ways(wd, wd->hosts[i]))
            wsim_fail(wd, "%s: no memory for its routes", wd->hosts[i]->name);
    wd->is_routed = true;
}

void wsim_router_send(const struct wsim_host *h, uint32_t link, struct weir_pkt *pkt)
{
    struct wsim_world *wd = h->world;
    if (link >= wd->joint_n) {
        weir_pkt_unref(pkt);
        return;
    }
    struct joint *j = wd->joints[link];
    wio_link_send(j->link, j->ports[WIO_NEAR].host == h ? WIO_NEAR : WIO_FAR, &pkt, 1, wd->now);
    look_at_link(j);
}

/* Tell the sender. */
static void send_error(const struct port *in, const struct weir_pkt *about, enum wsim_refusal why, uint32_t mtu)
{
    const struct wsim_host *h = in->host;
    uint8_t version = 0;
    weir_pkt_copy(about, 0, &version, 1);
    struct weir_addr own = wsim_addr(in->joint->index + 1, in->side, version >> 4 == 4 ? WEIR_AF_INET : WEIR_AF_INET6);
    struct weir_pkt *pkt = h->is_silent ? NULL : wsim_icmp_error(wsim_router_pool(h->router), about, &own, why, mtu);
    if (pkt)
        wsim_router_send(h, in->joint->index, pkt);
}

/* A super-segment is as big as each of those that it stands for. */
static uint32_t size_on_wire(const struct weir_pkt *pkt)
{
    uint8_t first = 0, offset = 0;
    if (!pkt->gso_size)
        return pkt->len;
    weir_pkt_copy(pkt, 0, &first, 1);
    uint32_t ip_len = first >> 4 == 4 ? (first & 15u) * 4 : 40;
    weir_pkt_copy(pkt, ip_len + 12, &offset, 1);
    return ip_len + (offset >> 4) * 4u + pkt->gso_size;
}

static void forward(const struct port *in, struct weir_pkt *pkt)
{
    const struct wsim_host *h = in->host;
    struct weir_pkt *out = pkt;
    uint32_t way = wsim_router_forward(h->router, &out);
    if (way == WSIM_EXPIRED || way == WSIM_NO_WAY)
        send_error(in, pkt, way == WSIM_EXPIRED ? WSIM_NO_HOPS : WSIM_NO_NET, 0);
    if (way == WSIM_EXPIRED || way == WSIM_NO_WAY || way == WSIM_HERE)
        return;
    uint32_t mtu = h->world->joints[way]->mtu;
    if (size_on_wire(out) <= mtu) {
        wsim_router_send(h, way, out);
        return;
    }
    wsim_router_count_too_big(h->router);
    send_error(in, pkt, WSIM_TOO_BIG, mtu);
    weir_pkt_unref(out);
}

static void arrive_at_router(void *ctx, struct weir_pkt **pkts, unsigned n, weir_ns now)
{
    struct port *p = ctx;
    const struct wsim_host *h = p->host;
    (void)now; /* the world's */
    if (!h->world->is_routed)
        find_ways(h->world);
    for (unsigned i = 0; i < n; i++) {
        struct weir_pkt *pkt = h->synproxy ? wsim_synproxy_take(h->synproxy, pkts[i], p->joint->index) : pkts[i];
        if (pkt)
            forward(p, pkt);
        if (pkt && h->synproxy)
            weir_pkt_unref(pkt);
    }
}

void wsim_link_send(struct wsim_world *wd, unsigned n, enum wio_side side, struct weir_pkt *pkt)
{
    struct joint *j = wd->joints[n - 1];
    wio_link_send(j->link, side, &pkt, 1, wd->now);
    look_at_link(j);
}

struct wsim_host *wsim_link_end(const struct wsim_world *wd, uint32_t link, enum wio_side side)
{
    return wd->joints[link]->ports[side].host;
}

uint32_t wsim_link_count(const struct wsim_world *wd)
{
    return wd->joint_n;
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

static void free_host(struct wsim_host *h)
{
    wsim_synproxy_free(h->synproxy);
    wsim_router_free(h->router);
    free(h->joints);
    free(h);
}

void wsim_world_free(struct wsim_world *wd)
{
    if (!wd)
        return;
    for (uint32_t i = 0; i < wd->joint_n; i++)
        wio_link_free(wd->joints[i]->link); /* with the packets that its hosts' pools lent it */
    for (uint32_t i = 0; i < wd->host_n; i++)
        weir_free(wd->hosts[i]->w);
    for (uint32_t i = 0; i < wd->host_n; i++) /* one host's queue may have held another's packets until now */
        free_host(wd->hosts[i]);
    for (uint32_t i = 0; i < wd->joint_n; i++)
        free(wd->joints[i]);
    wsim_sched_free(&wd->due_links);
    wsim_sched_free(&wd->due_hosts);
    wsim_sched_free(&wd->touched);
    wsim_alarms_free(&wd->alarms);
    free(wd->stale);
    free(wd->hosts);
    free(wd->joints);
    free(wd);
}

static void pass_event(void *ctx, const struct weir_event *ev)
{
    struct wsim_host *h = ctx;
    h->world->cfg.on_event(h->world->cfg.ctx, h, ev);
}

/* Room for one pointer more than the `n` that there are. */
static bool grow(void *array, uint32_t n)
{
    void **was;
    memcpy(&was, array, sizeof was);
    if (n & (n - 1)) /* it doubles at powers of two */
        return true;
    void **now = realloc(was, (n ? 2 * (size_t)n : 1) * sizeof *now);
    if (now)
        memcpy(array, &now, sizeof now);
    return now;
}

static struct wsim_host *node_add(struct wsim_world *wd, const char *name)
{
    struct wsim_host *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->world = wd;
    h->index = wd->host_n;
    snprintf(h->name, sizeof h->name, "%s", name);
    if (!grow(&wd->hosts, wd->host_n) || !grow(&wd->stale, wd->host_n) || !wsim_sched_add(&wd->due_hosts) ||
        !wsim_sched_add(&wd->touched)) {
        free(h);
        return NULL;
    }
    wd->hosts[wd->host_n++] = h;
    return h;
}

struct wsim_host *wsim_host_add(struct wsim_world *wd, const char *name)
{
    struct wsim_host *h = node_add(wd, name);
    if (!h)
        return NULL;
    struct weir_config c = {
        .alloc = {host_alloc, host_free, h},
        .mem_limit = wd->cfg.mem_limit,
        .now = wd->now,
        .seed = wd->cfg.seed * SEEDS + h->index,
        .on_event = wd->cfg.on_event ? pass_event : NULL,
        .event_ctx = h,
        .event_mask = wd->cfg.on_event ? wd->cfg.event_mask : 0,
        .hostname = name,
    };
    h->w = weir_new(&c);
    h->epoll = h->w ? weir_epoll_create(h->w) : -1;
    if (h->epoll < 0) { /* it is the last: nobody knows of it yet */
        weir_free(h->w);
        wd->host_n--;
        free_host(h);
        return NULL;
    }
    return h;
}

struct wsim_host *wsim_router_add(struct wsim_world *wd, const char *name)
{
    struct wsim_host *h = node_add(wd, name);
    if (!h)
        return NULL;
    h->router = wsim_router_new();
    if (!h->router) {
        wd->host_n--;
        free_host(h);
        return NULL;
    }
    return h;
}

bool wsim_router_proxy(struct wsim_host *h, struct weir_addr server)
{
    h->synproxy = wsim_synproxy_new(h, server);
    return h->synproxy;
}

struct wsim_router_stats wsim_router_stats(const struct wsim_host *h)
{
    return *wsim_router_counts(h->router);
}

struct weir_addr wsim_addr(unsigned n, enum wio_side side, int family)
{
    uint8_t host = side == WIO_NEAR ? 1 : 2;
    if (family == WEIR_AF_INET)
        return weir_addr_v4(10, (uint8_t)(n >> 8), (uint8_t)n, host);
    return (struct weir_addr){{0xfd, 0, (uint8_t)(n >> 8), (uint8_t)n, [15] = host}};
}

#define IPV6_MTU_MIN 1280 /* RFC 8200 5 */

/* The port as an interface of its host, with its addresses. 0 or a negative errno. */
static int configure_host(struct port *p, const struct wio_link_config *c)
{
    static const struct weir_netif_ops ops = {.xmit = xmit};
    struct weir *w = p->host->w;
    unsigned n = p->joint->index + 1;
    char name[16];
    snprintf(name, sizeof name, "link%u", n);
    struct weir_netif_config nc = {.name = name,
                                   .type = c->type,
                                   .mac = {2, 0, 0, 0, 0, p->side == WIO_NEAR ? 1 : 2},
                                   .mtu = c->mtu ? c->mtu : 1500,
                                   .caps = wio_link_caps(p->joint->link)};
    p->netif = weir_netif_add(w, &ops, p, &nc);
    if (p->netif < 0)
        return p->netif;
    static const struct {
        int family;
        unsigned prefix_len;
    } nets[] = {{WEIR_AF_INET, 24}, {WEIR_AF_INET6, 64}};
    unsigned net_n = nc.mtu >= IPV6_MTU_MIN ? 2 : 1;
    for (unsigned i = 0; i < net_n; i++) {
        struct weir_addr own = wsim_addr(n, p->side, nets[i].family);
        int err = weir_addr_add(w, p->netif, &own, nets[i].prefix_len);
        if (err)
            return err;
        struct weir_route r = {.dst = weir_addr_any(nets[i].family),
                               .gateway = wsim_addr(n, p->side == WIO_NEAR ? WIO_FAR : WIO_NEAR, nets[i].family),
                               .prefsrc = weir_addr_any(nets[i].family),
                               .netif = p->netif};
        err = weir_route_add(w, &r);
        if (err && err != -WEIR_EEXIST) /* the first link keeps it */
            return err;
    }
    return 0;
}

static bool note_joint(struct wsim_host *h, uint32_t index)
{
    uint32_t *joints = realloc(h->joints, (h->joint_n + 1) * sizeof *joints);
    if (!joints)
        return false;
    joints[h->joint_n++] = index;
    h->joints = joints;
    return true;
}

static void configure_end(struct wsim_world *wd, struct port *p, const struct wio_link_config *c)
{
    wio_link_set_sink(p->joint->link, p->side, p->host->w ? arrive_at_host : arrive_at_router, p);
    if (!note_joint(p->host, p->joint->index))
        wsim_fail(wd, "link %u: %s", p->joint->index + 1, weir_strerror(-WEIR_ENOMEM));
    else if (p->host->router && c->type != WEIR_LINK_RAW_IP)
        wsim_fail(wd, "link %u: a router's links are raw IP", p->joint->index + 1);
    if (p->host->router)
        return;
    int err = configure_host(p, c);
    if (err)
        wsim_fail(wd, "link %u: %s", p->joint->index + 1, weir_strerror(err));
}

struct wio_link *wsim_link_add(struct wsim_world *wd, struct wsim_host *near, struct wsim_host *far,
                               const struct wio_link_config *c)
{
    if (wd->joint_n == LINKS_MAX || !grow(&wd->joints, wd->joint_n) || !wsim_sched_add(&wd->due_links))
        return NULL;
    struct joint *j = calloc(1, sizeof *j);
    if (j)
        j->link = wio_link_new(c, wd->cfg.seed * SEEDS + wd->joint_n);
    if (!j || !j->link) {
        free(j);
        return NULL;
    }
    j->world = wd;
    j->index = wd->joint_n;
    j->mtu = c->mtu ? c->mtu : 1500;
    wd->joints[wd->joint_n++] = j;
    wd->is_routed = false;
    for (int side = 0; side < 2; side++)
        j->ports[side] = (struct port){.joint = j, .side = (enum wio_side)side, .host = side == WIO_NEAR ? near : far};
    for (int side = 0; side < 2; side++)
        configure_end(wd, &j->ports[side], c);
    return j->link;
}

struct weir_pool *wsim_pool(const struct wsim_host *h)
{
    return h->w ? weir_stack_pool(h->w) : wsim_router_pool(h->router);
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
    /* It may be ready already: wsim_stack sees to it that somebody looks. */
    return weir_epoll_ctl(wsim_stack(wt->host), wt->host->epoll, WEIR_EPOLL_CTL_ADD, wt->fd, &ev);
}

void wsim_alarm_set(struct wsim_world *wd, struct wsim_alarm *a, weir_ns at)
{
    if (!wsim_alarms_set(&wd->alarms, a, at > wd->now ? at : wd->now))
        wsim_fail(wd, "no memory for an alarm");
}

void wsim_alarm_cancel(struct wsim_world *wd, struct wsim_alarm *a)
{
    wsim_alarms_cancel(&wd->alarms, a);
}

/* ---- Time ---- */

static void look_at_hosts(struct wsim_world *wd)
{
    while (wd->stale_n > 0) {
        struct wsim_host *h = wd->stale[--wd->stale_n];
        h->is_stale = false;
        wsim_sched_set(&wd->due_hosts, h->index, weir_deadline(h->w));
    }
}

weir_ns wsim_next(struct wsim_world *wd)
{
    const struct wsim_alarm *first = wsim_alarms_first(&wd->alarms);
    look_at_hosts(wd);
    const weir_ns at[] = {first ? first->at : WEIR_NEVER, wsim_sched_earliest(&wd->due_links),
                          wsim_sched_earliest(&wd->due_hosts), wsim_sched_earliest(&wd->touched)};
    weir_ns due = WEIR_NEVER;
    for (unsigned i = 0; i < sizeof at / sizeof at[0]; i++)
        due = at[i] < due ? at[i] : due;
    return due < wd->now ? wd->now : due;
}

static void run_links(struct wsim_world *wd)
{
    for (uint32_t i = 0; (i = wsim_sched_next(&wd->due_links, i, wd->now)) < wd->joint_n; i++) {
        wio_link_run(wd->joints[i]->link, wd->now);
        look_at_link(wd->joints[i]);
    }
}

static void run_hosts(struct wsim_world *wd)
{
    look_at_hosts(wd);
    for (uint32_t i = 0; (i = wsim_sched_next(&wd->due_hosts, i, wd->now)) < wd->host_n; i++) {
        struct wsim_host *h = wd->hosts[i];
        weir_advance(h->w, wd->now);
        touch(h);
        wsim_sched_set(&wd->due_hosts, i, weir_deadline(h->w));
    }
}

static void run_alarms(struct wsim_world *wd)
{
    uint64_t last = wd->alarms.turns; /* those set meanwhile wait for the next step */
    for (struct wsim_alarm *a; (a = wsim_alarms_first(&wd->alarms)) && a->at <= wd->now && a->turn <= last;) {
        wsim_alarms_cancel(&wd->alarms, a);
        a->on_alarm(a);
    }
}

static void run_waiters(struct wsim_world *wd)
{
    struct weir_epoll_event ready[READY_BATCH];
    for (uint32_t i = 0; (i = wsim_sched_next(&wd->touched, i, wd->now)) < wd->host_n; i++) {
        struct wsim_host *h = wd->hosts[i];
        wsim_sched_set(&wd->touched, i, WEIR_NEVER);
        tell_time(h);
        int n = weir_epoll_wait(h->w, h->epoll, ready, READY_BATCH);
        if (n > 0) {
            touch(h); /* there may be more, now or by what is done about these */
            make_stale(h);
        }
        for (int k = 0; k < n; k++) {
            struct wsim_waiter *wt = (struct wsim_waiter *)(uintptr_t)ready[k].data;
            wt->on_ready(wt, ready[k].events);
        }
    }
}

static void check_hosts(struct wsim_world *wd)
{
    for (uint32_t i = 0; i < wd->host_n; i++) {
        const char *broken = wd->hosts[i]->w ? weir_check(wd->hosts[i]->w) : NULL;
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
    for (uint32_t i = 0; i < wd->host_n; i++) /* whoever was not in a run may have called anything */
        if (wd->hosts[i]->w)
            make_stale(wd->hosts[i]);
    while (!wd->error[0] && !(is_done && is_done(ctx))) {
        weir_ns due = wsim_next(wd);
        if (due > until) {
            if (until != WEIR_NEVER)
                wd->now = until > wd->now ? until : wd->now;
            break;
        }
        if (due == WEIR_NEVER)
            break;
        step(wd, due);
    }
    for (uint32_t i = 0; i < wd->host_n; i++) /* whoever called may call into a host now */
        if (wd->hosts[i]->w)
            tell_time(wd->hosts[i]);
    if (wd->cfg.check_every && !wd->error[0])
        check_hosts(wd);
    return wsim_error(wd);
}
