/*
 * Rings between threads (io/ring.h), and a host of two shards, each in a thread of its own, on a device in memory that
 * chooses queues well, badly, or has only one (io/shards.h). Every byte is compared. Under ThreadSanitizer as well:
 * CONTRIBUTING.md.
 */
#include "io_test.h"

#include "io/driver_kind.h"
#include "io/ring.h"
#include "io/shards.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#define SHARDS  2
#define PORT    7
#define TOTAL   30000u /* bytes over a connection, each way */
#define CONNS   40u
#define LIMIT_S 60

/* ---- Rings ---- */

static struct wio_ring *ring_new(void)
{
    struct wio_ring *r = aligned_alloc(WIO_CACHE_LINE, sizeof *r);
    assert_non_null(r);
    assert_int_equal(wio_ring_init(r, WIO_RING_MIN), 0);
    return r;
}

static void ring_end(struct wio_ring *r)
{
    wio_ring_fini(r);
    free(r);
}

static uint32_t len_of(uint32_t i)
{
    return i % 97 == 0 ? 60000 + i % 5000 : 14 + i * 7919 % 1500;
}

static struct weir_pkt *numbered(struct weir_pool *pool, uint32_t i)
{
    static _Thread_local uint8_t bytes[65536];
    uint32_t len = len_of(i);
    memset(bytes, (int)(i & 0xff), len);
    memcpy(bytes, &i, sizeof i);
    struct weir_pkt *p = weir_pkt_from(pool, bytes, len);
    assert_non_null(p);
    p->gso_size = (uint16_t)i;
    p->l3_off = 14;
    p->l4_off = (uint16_t)(i % 100);
    p->flags = (uint8_t)(i & 3);
    return p;
}

/* cmocka's assertions are for the main thread: false is for it to see. */
static bool is_numbered(const struct weir_pkt *p, uint32_t i)
{
    static _Thread_local uint8_t got[65536], want[65536];
    uint32_t len = len_of(i);
    memset(want, (int)(i & 0xff), len);
    memcpy(want, &i, sizeof i);
    return p->len == len && weir_pkt_copy(p, 0, got, len) == len && memcmp(got, want, len) == 0 &&
           p->gso_size == (uint16_t)i && p->l3_off == 14 && p->l4_off == i % 100 && p->flags == (i & 3);
}

static void test_ring_packets_come_out_as_they_went_in_over_many_turns(void **state)
{
    (void)state;
    struct weir_pool *in = weir_pool_new(&test_memory, 0), *out = weir_pool_new(&test_memory, 0);
    struct wio_ring *r = ring_new();
    struct weir_pkt *got[16];
    struct wio_ring_note notes[16];
    uint32_t put = 0, taken = 0;
    while (taken < 5000) {
        while (put < 5000) {
            struct weir_pkt *p = numbered(in, put);
            bool fits = wio_ring_put(r, p, (struct wio_ring_note){.kind = (uint16_t)put});
            weir_pkt_unref(p);
            if (!fits)
                break;
            put++;
        }
        wio_ring_publish(r);
        unsigned n = wio_ring_take(r, out, NULL, got, notes, 16);
        assert_true(n > 0);
        for (unsigned i = 0; i < n; i++, taken++) {
            assert_true(is_numbered(got[i], taken));
            assert_int_equal(notes[i].kind, (uint16_t)taken);
            weir_pkt_unref(got[i]);
        }
    }
    assert_true(r->full_n > 0);
    assert_int_equal(r->passed_n, 5000);
    ring_end(r);
    assert_int_equal(weir_pool_used(in), 0);
    assert_int_equal(weir_pool_used(out), 0);
    weir_pool_free(in);
    weir_pool_free(out);
}

static void test_ring_what_is_not_published_is_not_seen(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct wio_ring *r = ring_new();
    struct weir_pkt *p = numbered(pool, 1), *got[1];
    struct wio_ring_note note;
    assert_false(wio_ring_has_unpublished(r));
    assert_true(wio_ring_put(r, p, (struct wio_ring_note){0}));
    assert_true(wio_ring_has_unpublished(r));
    assert_true(wio_ring_is_empty(r));
    assert_int_equal(wio_ring_take(r, pool, NULL, got, &note, 1), 0);
    wio_ring_publish(r);
    assert_false(wio_ring_is_empty(r));
    assert_int_equal(wio_ring_take(r, pool, NULL, got, &note, 1), 1);
    assert_true(is_numbered(got[0], 1));
    weir_pkt_unref(got[0]);
    weir_pkt_unref(p);
    ring_end(r);
    weir_pool_free(pool);
}

/* Headers of what is to be sent must lie in the packet's head: drivers look for them there. */
static void test_ring_head_is_kept_apart_where_it_is_asked_for(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct wio_ring *r = ring_new();
    struct weir_pkt *p = numbered(pool, 97), *got[1];
    struct wio_ring_note note;
    assert_true(wio_ring_put(r, p, (struct wio_ring_note){.head_len = 54}));
    wio_ring_publish(r);
    assert_int_equal(wio_ring_take(r, pool, NULL, got, &note, 1), 1);
    assert_int_equal(got[0]->head_len, 54);
    assert_true(is_numbered(got[0], 97));
    weir_pkt_unref(got[0]);
    weir_pkt_unref(p);
    ring_end(r);
    weir_pool_free(pool);
}

static void test_ring_without_memory_at_the_consumer_loses_and_counts(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0), *poor = weir_pool_new(&test_memory, 4000);
    struct wio_ring *r = ring_new();
    struct weir_pkt *p = numbered(pool, 1), *got[1];
    struct wio_ring_note note;
    assert_true(wio_ring_put(r, p, (struct wio_ring_note){0}));
    wio_ring_publish(r);
    assert_int_equal(wio_ring_take(r, poor, NULL, got, &note, 1), 0);
    assert_int_equal(r->lost_n, 1);
    assert_true(wio_ring_is_empty(r));
    weir_pkt_unref(p);
    ring_end(r);
    weir_pool_free(pool);
    weir_pool_free(poor);
}

struct stress {
    struct wio_ring *r;
    uint32_t n;
    bool is_good;
};

static void *consume(void *ctx)
{
    struct stress *s = ctx;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct weir_pkt *got[32];
    struct wio_ring_note notes[32];
    s->is_good = true;
    for (uint32_t at = 0; at < s->n;) {
        unsigned n = wio_ring_take(s->r, pool, NULL, got, notes, 32);
        for (unsigned i = 0; i < n; i++, at++) {
            s->is_good &= is_numbered(got[i], at);
            weir_pkt_unref(got[i]);
        }
        if (n == 0)
            sched_yield();
    }
    weir_pool_free(pool);
    return NULL;
}

static void test_ring_two_threads_lose_and_change_nothing(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct stress s = {ring_new(), 20000, false};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, consume, &s), 0);
    for (uint32_t i = 0; i < s.n; i++) {
        struct weir_pkt *p = numbered(pool, i);
        while (!wio_ring_put(s.r, p, (struct wio_ring_note){0})) {
            wio_ring_publish(s.r);
            sched_yield();
        }
        weir_pkt_unref(p);
        if (i % 8 == 7 || i + 1 == s.n)
            wio_ring_publish(s.r);
    }
    pthread_join(thread, NULL);
    assert_true(s.is_good);
    ring_end(s.r);
    weir_pool_free(pool);
}

/* ---- A device in memory: what the peer sends lands in a queue that the test's rule chooses ---- */

enum rule { RULE_RIGHT, RULE_IN_TURN };

struct frame {
    struct frame *next;
    uint32_t len;
    uint8_t bytes[];
};

struct mem_queue {
    struct wio_queue q;
    pthread_mutex_t lock;
    struct frame *first, **last;
};

struct cable {
    struct wio_driver host, peer;
    struct mem_queue queues[SHARDS], peer_queue;
    struct weir_rss rss;
    enum rule rule;
    unsigned turn; /* the peer's */
};

static struct cable cable;

static void mem_put(struct mem_queue *m, const struct weir_pkt *p)
{
    const uint64_t one = 1;
    struct frame *f = malloc(sizeof *f + p->len);
    f->next = NULL;
    f->len = (uint32_t)weir_pkt_copy(p, 0, f->bytes, p->len);
    pthread_mutex_lock(&m->lock);
    *m->last = f;
    m->last = &f->next;
    pthread_mutex_unlock(&m->lock);
    (void)!write(m->q.fd, &one, sizeof one);
}

static unsigned mem_recv(struct wio_queue *q, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    struct mem_queue *m = (struct mem_queue *)q;
    uint64_t count;
    unsigned n = 0;
    (void)!read(q->fd, &count, sizeof count);
    pthread_mutex_lock(&m->lock);
    for (struct frame *f; n < cap && (f = m->first);) {
        m->first = f->next;
        if (!m->first)
            m->last = &m->first;
        pkts[n] = weir_pkt_from(pool, f->bytes, f->len);
        n += pkts[n] != NULL;
        free(f);
    }
    bool is_more = m->first != NULL;
    pthread_mutex_unlock(&m->lock);
    count = 1;
    if (is_more)
        (void)!write(q->fd, &count, sizeof count);
    return n;
}

static struct mem_queue *queue_for(const struct weir_pkt *p)
{
    if (cable.rule == RULE_IN_TURN || cable.host.queue_n == 1)
        return &cable.queues[cable.turn++ % cable.host.queue_n];
    unsigned to = weir_steer(&cable.rss, WEIR_LINK_ETHERNET, p);
    return &cable.queues[to == WEIR_SHARD_ALL ? 0 : to];
}

static unsigned mem_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct wio_queue *q = driver;
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(pkts[i]->gso_size, 0);
        mem_put(q == &cable.peer_queue.q ? queue_for(pkts[i]) : &cable.peer_queue, pkts[i]);
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

static const struct wio_driver_kind mem_kind = {.name = "mem", .recv = mem_recv, .netif_ops = {.xmit = mem_xmit}};

static void mem_begin(struct wio_driver *d, struct mem_queue *queues, unsigned n, uint8_t mac)
{
    *d = (struct wio_driver){.kind = &mem_kind, .name = "mem", .queue_n = n};
    d->netif = (struct weir_netif_config){.type = WEIR_LINK_ETHERNET, .mac = {2, [5] = mac}, .mtu = 1500};
    for (unsigned i = 0; i < n; i++) {
        queues[i] = (struct mem_queue){.q = {.driver = d, .fd = eventfd(0, EFD_NONBLOCK)}};
        pthread_mutex_init(&queues[i].lock, NULL);
        queues[i].last = &queues[i].first;
        d->queues[i] = &queues[i].q;
    }
}

static void mem_end(struct mem_queue *m)
{
    while (m->first) {
        struct frame *f = m->first;
        m->first = f->next;
        free(f);
    }
    pthread_mutex_destroy(&m->lock);
    close(m->q.fd);
}

/* ---- A host or a shard of one, with an echo server, and connections of its own ---- */

struct conn {
    weir_fd fd; /* negative: it has ended */
    uint32_t sent, got;
};

struct host {
    struct weir *w;
    struct wio_shard *shard; /* NULL: the peer */
    weir_fd listener;
    struct conn served[4 * CONNS], own[CONNS];
    unsigned served_n, own_n, done_n; /* done: own ones whose bytes all came back */
    uint8_t last;                     /* of its address */
    bool is_bad;                      /* bytes came that were not sent, or a call failed */
    struct wio_shard_stats stats;
};

static uint8_t byte_of(const struct host *h, const struct conn *c, uint32_t at)
{
    return (uint8_t)((unsigned)(c - h->own) * 31u + at * 7u + at / 251u + h->last);
}

static weir_ns real_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return WEIR_SEC((uint64_t)ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

static void host_begin(struct host *h)
{
    struct weir_shard shard = h->shard ? wio_shard_config(h->shard) : (struct weir_shard){0};
    struct weir_config cfg = {.alloc = test_memory, .now = real_now(), .seed = h->last, .shard = &shard};
    struct weir_addr addr = weir_addr_v4(10, 0, 0, h->last);
    struct weir_sockaddr at = {.addr = addr, .family = WEIR_AF_INET, .port = PORT};
    h->w = weir_new(&cfg);
    int netif = h->shard ? wio_shard_attach(h->shard, h->w) : wio_queue_attach(&cable.peer_queue.q, h->w, NULL);
    h->listener = weir_socket(h->w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    h->is_bad = weir_addr_add(h->w, netif, &addr, 24) < 0 || weir_bind(h->w, h->listener, &at) < 0 ||
                weir_listen(h->w, h->listener, 4 * CONNS) < 0;
}

static void host_connect(struct host *h, uint8_t to, unsigned n)
{
    struct weir_sockaddr at = {.addr = weir_addr_v4(10, 0, 0, to), .family = WEIR_AF_INET, .port = PORT};
    for (; h->own_n < n; h->own_n++) {
        weir_fd fd = weir_socket(h->w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
        h->own[h->own_n] = (struct conn){.fd = fd};
        h->is_bad |= weir_connect(h->w, fd, &at) != -WEIR_EINPROGRESS;
    }
}

static void work_served(struct host *h, struct conn *c)
{
    uint8_t buf[4096];
    int64_t n = c->fd < 0 ? -WEIR_EAGAIN : weir_recv(h->w, c->fd, buf, sizeof buf, 0);
    while (n > 0) {
        h->is_bad |= weir_send(h->w, c->fd, buf, (size_t)n, 0) != n; /* its buffer holds all that there is */
        n = weir_recv(h->w, c->fd, buf, sizeof buf, 0);
    }
    if (n == -WEIR_EAGAIN)
        return;
    h->is_bad |= n < 0;
    weir_close(h->w, c->fd);
    c->fd = -1;
}

static void work_own(struct host *h, struct conn *c)
{
    uint8_t buf[1000];
    int64_t n;
    if (c->fd < 0)
        return;
    while (c->sent < TOTAL && c->sent - c->got < 8000) { /* so that an echo always fits */
        uint32_t len = TOTAL - c->sent < sizeof buf ? TOTAL - c->sent : (uint32_t)sizeof buf;
        for (uint32_t i = 0; i < len; i++)
            buf[i] = byte_of(h, c, c->sent + i);
        n = weir_send(h->w, c->fd, buf, len, 0);
        h->is_bad |= n < 0 && n != -WEIR_EAGAIN;
        if (n <= 0)
            break;
        c->sent += (uint32_t)n;
    }
    while ((n = weir_recv(h->w, c->fd, buf, sizeof buf, 0)) > 0) {
        for (int64_t i = 0; i < n; i++)
            h->is_bad |= buf[i] != byte_of(h, c, c->got++);
    }
    h->is_bad |= n < 0 && n != -WEIR_EAGAIN;
    if (c->got < TOTAL)
        return;
    weir_close(h->w, c->fd);
    c->fd = -1;
    h->done_n++;
}

static void host_turn(struct host *h)
{
    weir_ns now = real_now(), due = weir_deadline(h->w);
    weir_ns left = due > now ? due - now : 0, most = left < WEIR_MS(5) ? left : WEIR_MS(5);
    if (h->shard) {
        wio_shard_flush(h->shard);
        short revents = wio_shard_wait(h->shard, -1, most);
        now = real_now();
        wio_shard_run(h->shard, revents, now);
    } else {
        wio_queue_run(&cable.peer_queue.q, 1, now);
    }
    weir_advance(h->w, now);
    weir_fd fd;
    while (h->served_n < 4 * CONNS && (fd = weir_accept(h->w, h->listener, NULL)) >= 0)
        h->served[h->served_n++] = (struct conn){.fd = fd};
    for (unsigned i = 0; i < h->served_n; i++)
        work_served(h, &h->served[i]);
    for (unsigned i = 0; i < h->own_n; i++)
        work_own(h, &h->own[i]);
}

static atomic_bool is_over;
static atomic_uint shards_done;

static void *shard_main(void *ctx)
{
    struct host *h = ctx;
    bool was_done = false;
    host_connect(h, 2, CONNS);
    while (!atomic_load(&is_over)) {
        host_turn(h);
        if (!was_done && h->done_n == CONNS) {
            was_done = true;
            atomic_fetch_add(&shards_done, 1);
        }
    }
    h->stats = wio_shard_stats(h->shard);
    return NULL;
}

static void run_hosts(struct host *shards, struct host *peer)
{
    pthread_t threads[SHARDS];
    weir_ns limit = real_now() + WEIR_SEC(LIMIT_S);
    atomic_store(&is_over, false);
    atomic_store(&shards_done, 0);
    host_begin(peer);
    for (unsigned i = 0; i < SHARDS; i++)
        host_begin(&shards[i]);
    host_connect(peer, 1, CONNS);
    for (unsigned i = 0; i < SHARDS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shard_main, &shards[i]), 0);
    while ((peer->done_n < CONNS || atomic_load(&shards_done) < SHARDS) && real_now() < limit)
        host_turn(peer);
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_join(threads[i], NULL);
}

/* All connections, both ways, whatever queue packets come to. Returns what the shards passed among each other. */
static uint64_t all_arrives(enum rule rule, unsigned queue_n, const uint8_t *key)
{
    struct host *shards = calloc(SHARDS, sizeof *shards), *peer = calloc(1, sizeof *peer);
    uint64_t passed = 0;
    cable.rule = rule;
    mem_begin(&cable.host, cable.queues, queue_n, 1);
    mem_begin(&cable.peer, &cable.peer_queue, 1, 2);
    assert_int_equal(weir_rss_init(&cable.rss, key, SHARDS), 0);
    struct wio_shards *all = wio_shards_new(&cable.host, SHARDS, key);
    assert_non_null(all);
    assert_false(wio_shards_are_steered(all));
    peer->last = 2;
    for (unsigned i = 0; i < SHARDS; i++) {
        shards[i].last = 1;
        shards[i].shard = wio_shards_at(all, i);
    }
    run_hosts(shards, peer);

    unsigned served = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_false(shards[i].is_bad);
        assert_int_equal(shards[i].done_n, CONNS);
        assert_true(shards[i].served_n > 0);
        served += shards[i].served_n;
        passed += shards[i].stats.passed;
    }
    assert_false(peer->is_bad);
    assert_int_equal(peer->done_n, CONNS);
    assert_int_equal(served, CONNS);
    assert_int_equal(peer->served_n, SHARDS * CONNS);

    for (unsigned i = 0; i < SHARDS; i++)
        weir_free(shards[i].w);
    weir_free(peer->w);
    wio_shards_free(all);
    for (unsigned i = 0; i < queue_n; i++)
        mem_end(&cable.queues[i]);
    mem_end(&cable.peer_queue);
    free(shards);
    free(peer);
    return passed;
}

static void test_shards_on_queues_that_are_right_pass_only_what_all_must_hear(void **state)
{
    (void)state;
    uint64_t passed = all_arrives(RULE_RIGHT, SHARDS, NULL);
    assert_in_range(passed, 1, 200); /* ARP and groups, of some thousands of packets */
}

static void test_shards_on_queues_that_are_wrong_pass_on_what_is_not_theirs(void **state)
{
    (void)state;
    assert_true(all_arrives(RULE_IN_TURN, SHARDS, NULL) > 1000);
}

static void test_shards_on_one_queue_send_and_receive_through_its_owner(void **state)
{
    (void)state;
    static const uint8_t secret[WEIR_RSS_KEY_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99, 98, 97, 96, 95, 94, 93};
    assert_true(all_arrives(RULE_RIGHT, 1, secret) > 1000);
}

static void test_shards_number_is_bounded(void **state)
{
    (void)state;
    mem_begin(&cable.host, cable.queues, 1, 1);
    assert_null(wio_shards_new(&cable.host, 0, NULL));
    assert_null(wio_shards_new(&cable.host, WIO_QUEUES_MAX + 1, NULL));
    struct wio_shards *all = wio_shards_new(&cable.host, WIO_QUEUES_MAX, NULL);
    assert_non_null(all);
    assert_null(wio_shards_at(all, WIO_QUEUES_MAX));
    wio_shards_free(all);
    mem_end(&cable.queues[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_packets_come_out_as_they_went_in_over_many_turns),
        cmocka_unit_test(test_ring_what_is_not_published_is_not_seen),
        cmocka_unit_test(test_ring_head_is_kept_apart_where_it_is_asked_for),
        cmocka_unit_test(test_ring_without_memory_at_the_consumer_loses_and_counts),
        cmocka_unit_test(test_ring_two_threads_lose_and_change_nothing),
        cmocka_unit_test(test_shards_on_queues_that_are_right_pass_only_what_all_must_hear),
        cmocka_unit_test(test_shards_on_queues_that_are_wrong_pass_on_what_is_not_theirs),
        cmocka_unit_test(test_shards_on_one_queue_send_and_receive_through_its_owner),
        cmocka_unit_test(test_shards_number_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
