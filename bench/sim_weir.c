/*
 * How many packets a second of CPU time the simulator moves over links: a dumbbell of N bulk flows, each between hosts
 * of its own, a stack to a host. bench/sim_ns3.cc is the same in ns-3.
 *
 *   bench-sim-weir FLOWS WARM_MS COUNTED_MS     of virtual time
 *
 * Clients, a router, the bottleneck of 1 Gbit/s, a router, servers: the round trip takes 40 ms, and the bottleneck's
 * buffer holds as much as is sent in it. A packet counts once for each of the three links that it crosses. Senders lend
 * their bytes and receivers take views; every byte that arrives is compared. What is counted is what bench_work calls.
 */
#define BENCH_NAME "bench-sim-weir"

#include "must.h"
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/weir.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#endif

#define FLOWS_MAX       1000u
#define PERIOD          65521u
#define PIECE           65536u
#define VIEWS           16u
#define PORT            5001
#define ACCESS_BPS      UINT64_C(10000000000)
#define ACCESS_DELAY    WEIR_MS(1)
#define BOTTLENECK_BPS  UINT64_C(1000000000)
#define BOTTLENECK_WAIT WEIR_MS(18)
#define BUFFER_BYTES    5000000u
#define BEGIN           WEIR_SEC(5) /* duplicate address detection is over */

struct end {
    struct wsim_waiter waiter; /* first: the callbacks get its address */
    struct dumbbell *bell;
    uint32_t flow;
    uint64_t bytes; /* sent, or received */
};

struct dumbbell {
    struct wsim_world *world;
    uint32_t flow_n;
    struct end *clients, *listeners, *servers;
    struct wio_link **links;
    uint32_t link_n;
    struct weir_block pattern;
};

static uint8_t bytes[PERIOD + PIECE];

/* ---- Bytes ---- */

static void make_pattern(struct dumbbell *d)
{
    uint32_t x = 1;
    for (size_t i = 0; i < PERIOD; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(x >> 24);
    }
    for (size_t i = PERIOD; i < sizeof bytes; i++)
        bytes[i] = bytes[i - PERIOD];
    weir_block_lend(&d->pattern, bytes, sizeof bytes, NULL);
}

static uint32_t place(const struct end *e)
{
    return (uint32_t)((e->bytes + e->flow * 7919u) % PERIOD);
}

static void send_all(struct end *e)
{
    for (int64_t sent = 1; sent > 0; e->bytes += (uint64_t)sent) {
        struct weir_frag view = {&e->bell->pattern, place(e), PIECE};
        sent = weir_send_frags(e->waiter.host->w, e->waiter.fd, &view, 1, 0);
        if (sent == -WEIR_EAGAIN)
            return;
        must("send", sent);
    }
}

static void receive_all(struct end *e)
{
    for (;;) {
        struct weir_frag views[VIEWS];
        size_t len = 0;
        int64_t n = weir_recv_frags(e->waiter.host->w, e->waiter.fd, views, VIEWS, PIECE, &len);
        if (n == -WEIR_EAGAIN)
            return;
        must("receive", n);
        if (n == 0)
            fail("a flow ended early", 0);
        for (int64_t i = 0; i < n; i++) {
            if (memcmp(views[i].block->data + views[i].off, bytes + place(e), views[i].len) != 0)
                fail("bytes arrived that were not sent", 0);
            e->bytes += views[i].len;
            weir_block_unref(views[i].block);
        }
    }
}

/* ---- Sockets ---- */

static void on_client(struct wsim_waiter *wt, uint32_t events)
{
    if (events & (WEIR_POLLERR | WEIR_POLLHUP))
        fail("a connection ended", 0);
    send_all((struct end *)wt);
}

static void on_server(struct wsim_waiter *wt, uint32_t events)
{
    (void)events;
    receive_all((struct end *)wt);
}

static void on_listener(struct wsim_waiter *wt, uint32_t events)
{
    struct end *l = (struct end *)wt, *e = &l->bell->servers[l->flow];
    (void)events;
    e->waiter = (struct wsim_waiter){wt->host, 0, on_server};
    e->waiter.fd = must("accept", weir_accept(wt->host->w, wt->fd, NULL));
    must("wait", wsim_wait(&e->waiter, WEIR_POLLIN));
}

static void begin_flow(struct dumbbell *d, uint32_t i, struct wsim_host *client, struct wsim_host *server,
                       unsigned link)
{
    struct end *l = &d->listeners[i], *c = &d->clients[i];
    struct weir_sockaddr to = {.addr = wsim_addr(link, WIO_FAR, WEIR_AF_INET), .family = WEIR_AF_INET, .port = PORT};
    *l = (struct end){{server, 0, on_listener}, d, i, 0};
    *c = (struct end){{client, 0, on_client}, d, i, 0};
    d->servers[i] = (struct end){.bell = d, .flow = i};
    l->waiter.fd = must("socket", weir_socket(wsim_stack(server), WEIR_AF_INET, WEIR_SOCK_STREAM, 0));
    must("bind", weir_bind(server->w, l->waiter.fd, &to));
    must("listen", weir_listen(server->w, l->waiter.fd, 1));
    must("wait", wsim_wait(&l->waiter, WEIR_POLLIN));
    c->waiter.fd = must("socket", weir_socket(wsim_stack(client), WEIR_AF_INET, WEIR_SOCK_STREAM, 0));
    must("wait", wsim_wait(&c->waiter, WEIR_POLLOUT));
    int err = weir_connect(client->w, c->waiter.fd, &to);
    if (err != -WEIR_EINPROGRESS)
        must("connect", err);
}

/* ---- The dumbbell ---- */

static void join(struct dumbbell *d, struct wsim_host *near, struct wsim_host *far, uint64_t bps, weir_ns delay,
                 uint64_t queue_bytes)
{
    struct wio_dir_config dir = {.rate_bps = bps, .delay = delay, .queue_bytes = queue_bytes};
    struct wio_link_config c = {.dir = {dir, dir}, .type = WEIR_LINK_RAW_IP};
    struct wio_link *l = wsim_link_add(d->world, near, far, &c);
    if (!l)
        fail("a link", -WEIR_ENOMEM);
    d->links[d->link_n++] = l;
}

static void check(struct dumbbell *d)
{
    const char *wrong = wsim_error(d->world);
    if (!wrong)
        return;
    fprintf(stderr, "bench-sim-weir: %s\n", wrong);
    exit(1);
}

static void make(struct dumbbell *d)
{
    d->world = wsim_world_new(&(struct wsim_config){.seed = 1});
    if (!d->world)
        fail("the world", -WEIR_ENOMEM);
    struct wsim_host **hosts = room(2 * (size_t)d->flow_n, sizeof(void *));
    d->links = room(2 * (size_t)d->flow_n + 1, sizeof(void *));
    d->clients = room(d->flow_n, sizeof *d->clients);
    d->listeners = room(d->flow_n, sizeof *d->listeners);
    d->servers = room(d->flow_n, sizeof *d->servers);
    struct wsim_host *left = wsim_router_add(d->world, "left"), *right = wsim_router_add(d->world, "right");
    if (!left || !right)
        fail("a router", -WEIR_ENOMEM);
    join(d, left, right, BOTTLENECK_BPS, BOTTLENECK_WAIT, BUFFER_BYTES);
    for (uint32_t i = 0; i < 2 * d->flow_n; i++) {
        hosts[i] = wsim_host_add(d->world, i % 2 ? "server" : "client");
        if (!hosts[i])
            fail("a host", -WEIR_ENOMEM);
        join(d, i % 2 ? right : hosts[i], i % 2 ? hosts[i] : left, ACCESS_BPS, ACCESS_DELAY, 0);
    }
    wsim_run(d->world, BEGIN, NULL, NULL);
    for (uint32_t i = 0; i < d->flow_n; i++)
        begin_flow(d, i, hosts[2 * i], hosts[2 * i + 1],
                   2 * i + 3); /* links count from 1, the bottleneck is the first */
    free(hosts);
    check(d);
}

static uint64_t crossed(const struct dumbbell *d)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < d->link_n; i++)
        n += wio_link_stats(d->links[i], WIO_UP).delivered_pkts + wio_link_stats(d->links[i], WIO_DOWN).delivered_pkts;
    return n;
}

static uint64_t received(const struct dumbbell *d)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < d->flow_n; i++)
        n += d->servers[i].bytes;
    return n;
}

/* What is measured. */
void bench_work(struct wsim_world *, weir_ns until);

__attribute__((noinline)) void bench_work(struct wsim_world *wd, weir_ns until)
{
    wsim_run(wd, until, NULL, NULL);
}

static double cpu_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct dumbbell d = {.flow_n = argc == 4 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0};
    if (d.flow_n < 1 || d.flow_n > FLOWS_MAX) {
        fprintf(stderr, "usage: bench-sim-weir 1-%u WARM_MS COUNTED_MS\n", FLOWS_MAX);
        return 2;
    }
    weir_ns warm = WEIR_MS(strtoull(argv[2], NULL, 10)), counted = WEIR_MS(strtoull(argv[3], NULL, 10));
    make_pattern(&d);
    make(&d);
    wsim_run(d.world, BEGIN + warm, NULL, NULL);
    check(&d);
    CALLGRIND_START_INSTRUMENTATION;
    uint64_t pkts = crossed(&d), got = received(&d);
    double began = cpu_seconds();
    bench_work(d.world, BEGIN + warm + counted);
    double took = cpu_seconds() - began;
    check(&d);
    pkts = crossed(&d) - pkts;
    got = received(&d) - got;
    printf("sim\tflows=%u\tunits=%llu\tcpu_s=%.3f\tper_s=%.0f\tgoodput_mbit_s=%.1f\n", d.flow_n,
           (unsigned long long)pkts, took, (double)pkts / took, (double)got * 8e3 / (double)counted);
    wsim_world_free(d.world);
    free(d.links);
    free(d.clients);
    free(d.listeners);
    free(d.servers);
    return 0;
}
