/*
 * A server of several shards (io/shards.h), or of one: each in a thread of its own, with its stack and its listener.
 */
#include "perf/rr.h"
#include "perf/stop.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group {
    const struct wpf_rr_options *opts;
    struct wpf_device *device; /* NULL: the kernel's network */
    pthread_barrier_t ready;   /* all listen, or have failed to */
    atomic_uint failed_n;
    atomic_uint serving_n; /* those that have not parted: what comes for them may come to another's queue */
};

struct member {
    struct group *group;
    unsigned index;
    pthread_t thread;
    uint64_t connections;
    struct wio_shard_stats stats;
};

static struct wpf_net *make_net(const struct member *m)
{
    struct group *g = m->group;
    return g->device ? wpf_device_shard(g->device, m->index, "weir rr") : wpf_net_new(&g->opts->net, "weir rr");
}

static void serve(struct member *m, struct wpf_rr_server *v, struct wpf_net *net)
{
    struct group *g = m->group;
    if (m->index == 0) {
        printf("serving at port %u\n", g->opts->port);
        fflush(stdout);
    }
    wpf_rr_server_run(v);
    wpf_stop_ask(); /* one test may be all that was wanted: then it is the end for the others as well */
    wpf_rr_server_part(v);
    atomic_fetch_sub(&g->serving_n, 1);
    while (atomic_load(&g->serving_n) > 0)
        wpf_net_turn(net, wpf_clock() + WEIR_MS(1));
    if (g->device)
        m->stats = wpf_shard_stats(net);
}

static void *member_main(void *ctx)
{
    struct member *m = ctx;
    struct group *g = m->group;
    struct wpf_net *net = make_net(m);
    struct wpf_rr_server *v = net ? wpf_rr_server_new(g->opts, net) : NULL;
    if (!v)
        atomic_fetch_add(&g->failed_n, 1);
    pthread_barrier_wait(&g->ready);
    if (v && atomic_load(&g->failed_n) == 0)
        serve(m, v, net);
    if (v)
        m->connections = wpf_rr_server_free(v);
    wpf_net_free(net);
    return NULL;
}

static void print_members(const struct member *members, unsigned n)
{
    printf("queues chosen by %s\n", wpf_device_is_steered(members[0].group->device) ? "our hash" : "the device");
    for (unsigned i = 0; i < n; i++) {
        const struct wio_shard_stats *s = &members[i].stats;
        printf("shard %u  %" PRIu64 " connections  %" PRIu64 " packets in  %" PRIu64
               " of them from other shards  %" PRIu64 " passed on  %" PRIu64 " lost\n",
               i, members[i].connections, s->rx, s->rx_ring, s->passed, s->full + s->lost);
    }
}

/* Threads for all but the first, which is this one. What can't be started, the process can't go on without. */
static int run_members(struct member *members, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        int err = pthread_create(&members[i].thread, NULL, member_main, &members[i]);
        if (err) {
            fprintf(stderr, "weir rr: no thread for shard %u: %s\n", i, strerror(err));
            exit(1);
        }
    }
    member_main(&members[0]);
    for (unsigned i = 1; i < n; i++)
        pthread_join(members[i].thread, NULL);
    return members[0].group->failed_n > 0;
}

int wpf_rr_serve(const struct wpf_rr_options *opts)
{
    unsigned n = opts->shards > 1 ? opts->shards : 1;
    struct group g = {.opts = opts, .serving_n = n};
    struct member members[WIO_QUEUES_MAX] = {{0}};
    if (!opts->net.is_kernel) {
        g.device = wpf_device_new(&opts->net, n, "weir rr");
        if (!g.device)
            return 1;
    }
    for (unsigned i = 0; i < n; i++)
        members[i] = (struct member){.group = &g, .index = i};
    pthread_barrier_init(&g.ready, NULL, n);
    int status = run_members(members, n);
    pthread_barrier_destroy(&g.ready);
    if (n > 1 && status == 0)
        print_members(members, n);
    wpf_device_free(g.device);
    return status;
}
