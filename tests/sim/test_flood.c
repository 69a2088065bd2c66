/*
 * A million forged SYNs for a listener that has real clients, too, on a host that has work to do: RFC 4987. Under a
 * sanitizer it is fewer.
 */
#include "unit/support/world.h"

#include "base/random.h"
#include "wire/ip.h"
#include "wire/tcp.h"

#include <stdio.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifdef IS_SANITIZED
#define FORGED_N    40000u
#define PER_MS      20u
#define IS_MEASURED 0
#else
#define FORGED_N    1000000u
#define PER_MS      500u /* forged SYNs: half a million a second */
#define IS_MEASURED 1
#endif

#define PORT       80
#define BULK_PORT  81
#define CLIENT_MS  40u /* between two real clients */
#define ONE_WAY    WEIR_MS(5)
#define SERVED_IN  WEIR_MS(30) /* three round trips */
#define US_PER_SYN 20u         /* of processor time, all in: a slow machine's */
#define MEM_SLACK  (64u << 10)

struct flood {
    struct world w;
    struct wi_rng rng;
    weir_fd listener, bulk_out, bulk_in;
    uint64_t bulk_received;
    unsigned clients, served;
};

/* Answers to addresses that nobody has. */
static bool is_for_nobody(struct world *w, struct world_side *from, const struct weir_pkt *pkt, uint64_t n)
{
    (void)n;
    uint8_t dst[4];
    return from->index == 1 && weir_pkt_copy(pkt, 16, dst, 4) == 4 && memcmp(dst, w->side[0].v4.b + 12, 4) != 0;
}

static void flood_begin(struct flood *f)
{
    struct world_opts opts = {.delay = ONE_WAY, .is_unchecked = true};
    world_init(&f->w, &opts);
    f->w.drop = is_for_nobody;
    wi_rng_init(&f->rng, 4987);
    struct weir_route all = {.dst = weir_addr_any(WEIR_AF_INET), .netif = f->w.side[1].netif};
    assert_int_equal(weir_route_add(f->w.side[1].stack, &all), 0);
    weir_fd bulk = world_listen(&f->w, 1, WEIR_AF_INET, BULK_PORT, 1);
    world_connect(&f->w, bulk, WEIR_AF_INET, BULK_PORT, &f->bulk_out, &f->bulk_in);
    f->listener = world_listen(&f->w, 1, WEIR_AF_INET, PORT, 128);
}

/* A SYN from anywhere. */
static struct weir_pkt *forge(struct flood *f)
{
    struct weir_pkt *p = weir_pkt_new(weir_stack_pool(f->w.side[1].stack), 64);
    uint64_t r = wi_rng_u64(&f->rng), r2 = wi_rng_u64(&f->rng);
    assert_non_null(p);
    struct wi_wire_tcp h = {.src_port = (uint16_t)(r | 1),
                            .dst_port = PORT,
                            .seq = {(uint32_t)(r >> 16)},
                            .flags = WI_TH_SYN,
                            .wnd = 65535,
                            .mss = 1460,
                            .has_wscale = true,
                            .wscale = 7,
                            .sack_ok = true,
                            .has_ts = true,
                            .tsval = (uint32_t)r2};
    size_t len = wi_wire_tcp_hdr_len(&h);
    uint8_t *tcp = weir_pkt_put(p, len);
    assert_int_equal(wi_wire_tcp_put(tcp, len, &h), len);
    struct wi_ip_out ip = {
        .src = weir_addr_v4(11, (uint8_t)(r2 >> 32), (uint8_t)(r2 >> 40), (uint8_t)(1 + (r2 >> 48) % 250)),
        .dst = f->w.side[1].v4,
        .proto = WI_IP_TCP,
        .ttl = 60,
        .l4_len = p->len};
    (void)wi_ip_put(weir_pkt_push(p, WI_IPV4_HDR), &ip);
    p->flags |= WEIR_PKT_CSUM_OK;
    return p;
}

static void flood_for_a_ms(struct flood *f, unsigned n)
{
    struct weir_pkt *batch[64];
    for (unsigned done = 0; done < n;) {
        unsigned k = n - done < 64 ? n - done : 64;
        for (unsigned i = 0; i < k; i++)
            batch[i] = forge(f);
        weir_input(f->w.side[1].stack, f->w.side[1].netif, batch, k, f->w.now);
        for (unsigned i = 0; i < k; i++)
            weir_pkt_unref(batch[i]);
        done += k;
    }
}

/* The flow that was there before keeps its pipe full. */
static void bulk_move(struct flood *f)
{
    static uint8_t buf[65536];
    while (weir_send(f->w.side[0].stack, f->bulk_out, buf, sizeof buf, WEIR_MSG_DONTWAIT) > 0)
        ;
    for (int64_t n; (n = weir_recv(f->w.side[1].stack, f->bulk_in, buf, sizeof buf, WEIR_MSG_DONTWAIT)) > 0;)
        f->bulk_received += (uint64_t)n;
}

struct client {
    weir_fd fd;
    weir_ns begun;
};

static struct client client_begin(struct flood *f)
{
    struct client c = {weir_socket(f->w.side[0].stack, WEIR_AF_INET, WEIR_SOCK_STREAM, 0), f->w.now};
    struct weir_sockaddr to = world_addr(&f->w, 1, WEIR_AF_INET, PORT);
    assert_true(c.fd >= 0);
    assert_int_equal(weir_connect(f->w.side[0].stack, c.fd, &to), -WEIR_EINPROGRESS);
    (void)weir_send(f->w.side[0].stack, c.fd, "?", 1, WEIR_MSG_DONTWAIT);
    f->clients++;
    return c;
}

/* The server answers whom it has accepted, and closes. */
static void serve(struct flood *f)
{
    struct weir *b = f->w.side[1].stack;
    for (weir_fd fd; (fd = weir_accept(b, f->listener, NULL)) >= 0;) {
        assert_int_equal(weir_send(b, fd, "!", 1, 0), 1);
        assert_int_equal(weir_close(b, fd), 0);
    }
}

static void client_end(struct flood *f, const struct client *c)
{
    char answer;
    assert_true(f->w.now - c->begun <= SERVED_IN);
    assert_int_equal(weir_recv(f->w.side[0].stack, c->fd, &answer, 1, WEIR_MSG_DONTWAIT), 1);
    assert_int_equal(weir_close(f->w.side[0].stack, c->fd), 0);
    f->served++;
}

/* So many forged SYNs, half a million a second, with clients in between. Returns what the bulk flow moved. */
static uint64_t run(unsigned forged, unsigned ms, size_t *mem_early, size_t *mem_late)
{
    static struct flood f;
    struct client c = {.fd = -1};
    f = (struct flood){0};
    flood_begin(&f);
    *mem_early = *mem_late = 0;
    for (unsigned t = 0; t < ms; t++) {
        if (t % CLIENT_MS == 0)
            c = client_begin(&f);
        if (forged)
            flood_for_a_ms(&f, PER_MS);
        bulk_move(&f);
        world_run(&f.w, WEIR_MS(1));
        serve(&f);
        if (c.fd >= 0 && f.w.now - c.begun == SERVED_IN) {
            client_end(&f, &c);
            c.fd = -1;
        }
        if (t == ms / 4)
            *mem_early = weir_mem_used(f.w.side[1].stack);
    }
    *mem_late = weir_mem_used(f.w.side[1].stack);
    assert_int_equal(f.served, f.clients);
    if (forged)
        assert_true(world_stat(&f.w, 1, "SyncookiesSent") > forged * 9ull / 10);
    world_fini(&f.w);
    return f.bulk_received;
}

/* Every client is served within three round trips, an established flow loses nothing worth naming, memory stays flat
 * and the work for each SYN small. Rows: 4987-1 4987-5 4987-13 4987-16 attack-syn-flood */
static void test_flood_of_a_million_syns_is_survived(void **state)
{
    (void)state;
    unsigned ms = FORGED_N / PER_MS / CLIENT_MS * CLIENT_MS;
    size_t early, late;
    uint64_t quiet = run(0, ms, &early, &late);
    clock_t began = clock();
    uint64_t flooded = run(FORGED_N, ms, &early, &late);
    double us = (double)(clock() - began) * 1e6 / CLOCKS_PER_SEC / FORGED_N;
    printf("# %u forged SYNs: %.2f us each, memory %zu then %zu bytes, bulk flow %.1f %%\n", FORGED_N, us, early, late,
           (double)flooded * 100 / (double)quiet);
    assert_true(flooded >= quiet * 95 / 100);
    assert_true(late <= early + MEM_SLACK);
    if (IS_MEASURED)
        assert_true(us < US_PER_SYN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_of_a_million_syns_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
