/* See shards.h. */
#include "io/shards.h"

#include "io/driver_kind.h"
#include "io/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH      256
#define RING_BYTES (UINT64_C(1) << 20)
#define RETRY_NS   WEIR_US(100) /* after a full ring: nobody tells when there is room again */

enum note { NOTE_RECEIVED, NOTE_TO_SEND };

struct wio_shard {
    /* What others read: written when this shard falls asleep and awakes. */
    _Alignas(WIO_CACHE_LINE) _Atomic bool is_asleep;

    /* The shard's own. */
    _Alignas(WIO_CACHE_LINE) struct wio_shards *all;
    unsigned index;
    int wake_fd;
    struct wio_queue *queue; /* NULL: it sends and receives through shard `via` */
    unsigned via;
    bool is_blocked; /* the ring to `via` was full: the stack has more to send */
    struct weir *w;
    int netif;
    uint64_t touched; /* bit i: something is put into the ring to shard i, not published */
    struct wio_lender *supers;
    uint64_t rx, rx_ring, full;
};

_Static_assert(offsetof(struct wio_shard, all) == WIO_CACHE_LINE,
               "what others read is not beside what this one writes");
_Static_assert(WIO_QUEUES_MAX <= 64, "a bit for each shard");

struct wio_shards {
    struct weir_rss rss;
    struct wio_driver *driver;
    unsigned n;
    bool is_steered;
    struct wio_ring *rings;  /* from shard i to shard k: i * n + k */
    struct wio_shard *shard; /* n of them */
};

static struct wio_ring *ring(struct wio_shards *a, unsigned from, unsigned to)
{
    return &a->rings[from * a->n + to];
}

/* ---- Making them ---- */

static int shard_init(struct wio_shards *a, unsigned i)
{
    struct wio_shard *s = &a->shard[i];
    unsigned queue_n = wio_driver_queue_n(a->driver);
    s->all = a;
    s->index = i;
    s->queue = wio_driver_queue(a->driver, i);
    s->via = i % queue_n;
    if (a->n == 1) /* nobody wakes it or passes it anything */
        return 0;
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->supers = wio_lender_new(WIO_SUPER_N, WIO_SUPER_BYTES);
    if (s->wake_fd < 0 || !s->supers)
        return -ENOMEM;
    for (unsigned k = 0; k < a->n; k++) {
        if (k != i && wio_ring_init(ring(a, i, k), RING_BYTES) < 0)
            return -ENOMEM;
    }
    return 0;
}

struct wio_shards *wio_shards_new(struct wio_driver *d, unsigned n, const uint8_t key[WEIR_RSS_KEY_LEN])
{
    struct wio_shards *a = n > 0 && n <= WIO_QUEUES_MAX ? wio_lines_new(sizeof *a) : NULL;
    if (!a)
        return NULL;
    a->driver = d;
    a->n = n;
    a->shard = wio_lines_new(n * sizeof *a->shard);
    a->rings = wio_lines_new((size_t)n * n * sizeof *a->rings);
    for (unsigned i = 0; i < n && a->shard; i++)
        a->shard[i].wake_fd = -1;
    if (!a->shard || !a->rings || weir_rss_init(&a->rss, key, n) < 0)
        goto fail;
    for (unsigned i = 0; i < n; i++) {
        if (shard_init(a, i) < 0)
            goto fail;
    }
    if (wio_driver_queue_n(d) == n && n > 1 && d->kind->steer)
        a->is_steered = d->kind->steer(d, &a->rss) == 0;
    return a;

fail:
    wio_shards_free(a);
    return NULL;
}

void wio_shards_free(struct wio_shards *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < a->n && a->shard; i++) {
        wio_lender_end(a->shard[i].supers);
        if (a->shard[i].wake_fd >= 0)
            close(a->shard[i].wake_fd);
    }
    for (unsigned i = 0; i < a->n * a->n && a->rings; i++)
        wio_ring_fini(&a->rings[i]);
    free(a->shard);
    free(a->rings);
    free(a);
}

struct wio_shard *wio_shards_at(struct wio_shards *a, unsigned i)
{
    return i < a->n ? &a->shard[i] : NULL;
}

bool wio_shards_are_steered(const struct wio_shards *a)
{
    return a->is_steered;
}

/* ---- To other shards ---- */

/* False: there was no room. What was received is lost then; what is to be sent the stack keeps. */
static bool put(struct wio_shard *s, unsigned to, const struct weir_pkt *p, enum note kind)
{
    struct wio_ring_note note = {.kind = (uint16_t)kind, .head_len = kind == NOTE_TO_SEND ? p->head_len : 0};
    if (!wio_ring_put(ring(s->all, s->index, to), p, note)) {
        s->full += kind == NOTE_RECEIVED;
        return false;
    }
    s->touched |= UINT64_C(1) << to;
    return true;
}

static void wake(struct wio_shard *s)
{
    const uint64_t one = 1;
    if (atomic_load(&s->is_asleep) && write(s->wake_fd, &one, sizeof one) < 0)
        return; /* it is full: it wakes */
}

static void publish(struct wio_shard *s)
{
    for (; s->touched; s->touched &= s->touched - 1) {
        unsigned to = (unsigned)__builtin_ctzll(s->touched);
        wio_ring_publish(ring(s->all, s->index, to));
        wake(&s->all->shard[to]);
    }
}

static void pass(void *ctx, unsigned to, int netif, const struct weir_pkt *p)
{
    (void)netif; /* there is one */
    (void)put(ctx, to, p, NOTE_RECEIVED);
}

static unsigned xmit_over_ring(void *ctx, struct weir_pkt **pkts, unsigned n)
{
    struct wio_shard *s = ctx;
    for (unsigned i = 0; i < n; i++) {
        if (!put(s, s->via, pkts[i], NOTE_TO_SEND)) {
            s->is_blocked = true;
            return i;
        }
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

/* ---- Of one shard ---- */

struct weir_shard wio_shard_config(struct wio_shard *s)
{
    return (struct weir_shard){.rss = &s->all->rss, .index = s->index, .pass = pass, .pass_ctx = s};
}

int wio_shard_attach(struct wio_shard *s, struct weir *w)
{
    static const struct weir_netif_ops over_ring = {.xmit = xmit_over_ring};
    struct weir_netif_config cfg = wio_driver_netif(s->all->driver);
    s->w = w;
    s->netif = s->queue ? wio_queue_attach(s->queue, w, NULL) : weir_netif_add(w, &over_ring, s, &cfg);
    return s->netif;
}

/* Those of a batch that are this shard's come to its beginning; returns how many. The others go their way. */
static unsigned sort(struct wio_shard *s, struct weir_pkt **pkts, unsigned n)
{
    enum weir_link_type type = s->all->driver->netif.type;
    unsigned mine = 0;
    for (unsigned i = 0; i < n; i++) {
        struct weir_pkt *p = pkts[i];
        unsigned to = weir_steer(&s->all->rss, type, p);
        if (to == s->index) {
            pkts[mine++] = p;
            continue;
        }
        for (unsigned k = 0; k < s->all->n; k++) {
            if (k != s->index && (to == k || to == WEIR_SHARD_ALL))
                (void)put(s, k, p, NOTE_RECEIVED);
        }
        if (to == WEIR_SHARD_ALL)
            pkts[mine++] = p;
        else
            weir_pkt_unref(p);
    }
    return mine;
}

static void give(struct wio_shard *s, struct weir_pkt **pkts, unsigned n, weir_ns now)
{
    if (n > 0)
        weir_input(s->w, s->netif, pkts, n, now);
    for (unsigned i = 0; i < n; i++)
        weir_pkt_unref(pkts[i]);
    s->rx += n;
}

static unsigned run_queue(struct wio_shard *s, short revents, weir_ns now)
{
    struct weir_pkt *pkts[BATCH];
    struct wio_queue *q = s->queue;
    if (q->is_blocked && (revents & POLLOUT)) {
        q->is_blocked = false;
        weir_netif_tx_ready(s->w, s->netif);
    }
    unsigned n = revents & ~POLLOUT ? wio_queue_recv(q, weir_stack_pool(s->w), pkts, BATCH) : 0;
    give(s, pkts, s->all->n > 1 ? sort(s, pkts, n) : n, now);
    return n;
}

/* What another shard, which has no queue, wants sent; what the device has no room for is lost, as on a cable. */
static void send_for(struct wio_shard *s, struct weir_pkt **pkts, unsigned n)
{
    struct wio_queue *q = s->queue; /* nobody sends through a shard that has none */
    unsigned sent = q ? wio_queue_xmit(q, pkts, n) : 0;
    if (q)
        q->stats.tx_refused += n - sent;
    for (unsigned i = sent; i < n; i++)
        weir_pkt_unref(pkts[i]);
}

static unsigned run_ring(struct wio_shard *s, struct wio_ring *r, weir_ns now)
{
    struct weir_pkt *pkts[BATCH], *to_send[BATCH];
    struct wio_ring_note notes[BATCH];
    unsigned n = wio_ring_take(r, weir_stack_pool(s->w), s->supers, pkts, notes, BATCH), mine = 0, out = 0;
    for (unsigned i = 0; i < n; i++) {
        if (notes[i].kind == NOTE_TO_SEND)
            to_send[out++] = pkts[i];
        else
            pkts[mine++] = pkts[i];
    }
    if (out > 0)
        send_for(s, to_send, out);
    s->rx_ring += mine;
    give(s, pkts, mine, now);
    return n;
}

unsigned wio_shard_run(struct wio_shard *s, short revents, weir_ns now)
{
    unsigned n = s->queue ? run_queue(s, revents, now) : 0;
    for (unsigned k = 0; k < s->all->n; k++) {
        if (k != s->index)
            n += run_ring(s, ring(s->all, k, s->index), now);
    }
    if (s->is_blocked) {
        s->is_blocked = false;
        weir_netif_tx_ready(s->w, s->netif);
    }
    wio_shard_flush(s);
    return n;
}

void wio_shard_flush(struct wio_shard *s)
{
    publish(s);
    if (s->queue)
        wio_queue_flush(s->queue);
}

static bool rings_are_empty(struct wio_shard *s)
{
    for (unsigned k = 0; k < s->all->n; k++) {
        if (k != s->index && !wio_ring_is_empty(ring(s->all, k, s->index)))
            return false;
    }
    return true;
}

short wio_shard_wait(struct wio_shard *s, int fd, weir_ns timeout)
{
    uint64_t count;
    if (s->is_blocked && timeout > RETRY_NS)
        timeout = RETRY_NS;
    struct timespec ts = {(time_t)(timeout / WEIR_SEC(1)), (long)(timeout % WEIR_SEC(1))};
    struct pollfd fds[] = {
        {s->queue ? wio_queue_fd(s->queue) : -1, s->queue ? wio_queue_events(s->queue) : 0, 0},
        {s->wake_fd, POLLIN, 0},
        {fd, POLLIN, 0},
    };
    if (timeout == 0 || (s->queue && fds[0].fd < 0))
        return fds[0].events;
    /* Who has said that he sleeps and then sees nothing, is woken by whatever is published from then on. */
    atomic_store(&s->is_asleep, true);
    int n = rings_are_empty(s) ? ppoll(fds, 3, timeout == WEIR_NEVER ? NULL : &ts, NULL) : 0;
    atomic_store(&s->is_asleep, false);
    if (n > 0 && fds[1].revents && read(s->wake_fd, &count, sizeof count) < 0)
        return fds[0].revents; /* somebody else's wake-up */
    return n > 0 ? fds[0].revents : 0;
}

struct wio_shard_stats wio_shard_stats(const struct wio_shard *s)
{
    struct wio_shard_stats t = {.rx = s->rx, .rx_ring = s->rx_ring, .full = s->full};
    for (unsigned k = 0; k < s->all->n; k++) {
        t.passed += ring(s->all, s->index, k)->passed_n;
        t.lost += ring(s->all, k, s->index)->lost_n;
    }
    return t;
}
