/* Idle connections are parked (tcp/park.h), and nobody can tell but by the memory. */
#include "unit/support/world.h"

#define PORT    80
#define V4      WEIR_AF_INET
#define CONN_N  8
#define ROUND_N 400

static void tune(struct world *w, const char *name, const char *value)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(weir_sysctl_set(w->side[i].stack, name, value), 0);
}

static void set(struct world *w, int side, weir_fd fd, int level, int name, int value)
{
    assert_int_equal(weir_setsockopt(w->side[side].stack, fd, level, name, &value, sizeof value), 0);
}

/* ---- The same packets ---- */

/* What can be seen of a conversation: a digest of every packet with its time, of each call's result and of the events
 * that epoll told; and at the end all that TCP_INFO says. */
struct play {
    struct world w;
    uint64_t digest, rng, parked;
    weir_fd fds[2][CONN_N], epoll[2];
    struct weir_tcp_info infos[2][CONN_N];
};

static uint64_t draw(struct play *p)
{
    p->rng ^= p->rng << 13;
    p->rng ^= p->rng >> 7;
    p->rng ^= p->rng << 17;
    return p->rng;
}

static void digest(struct play *p, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p->digest = (p->digest ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static void digest_number(struct play *p, uint64_t n)
{
    digest(p, &n, sizeof n);
}

/* Sees every packet, and loses some: by their number, which is the same as long as all else is. */
static bool see(struct world *w, struct world_side *from, const struct weir_pkt *pkt, uint64_t n)
{
    static uint8_t bytes[1 << 16];
    struct play *p = w->user;
    digest_number(p, w->now);
    digest_number(p, (uint64_t)from->index);
    digest(p, bytes, weir_pkt_copy(pkt, 0, bytes, pkt->len));
    return (n * 2654435761u >> 7) % 41 == 0;
}

static void watch(struct play *p, int side, weir_fd fd, uint64_t data)
{
    uint32_t mode = data % 2 ? WEIR_EPOLLET : 0;
    struct weir_epoll_event ev = {.events = WEIR_POLLIN | WEIR_POLLRDHUP | WEIR_POLLOUT * (data % 2) | mode,
                                  .data = data};
    assert_int_equal(weir_epoll_ctl(p->w.side[side].stack, p->epoll[side], WEIR_EPOLL_CTL_ADD, fd, &ev), 0);
}

static void wait(struct play *p, int side)
{
    struct weir_epoll_event got[2 * CONN_N];
    int n = weir_epoll_wait(p->w.side[side].stack, p->epoll[side], got, 2 * CONN_N);
    digest_number(p, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        digest_number(p, got[i].data);
        digest_number(p, got[i].events);
    }
}

static void step(struct play *p)
{
    static uint8_t bytes[20000];
    int side = (int)(draw(p) % 2);
    weir_fd fd = p->fds[side][draw(p) % CONN_N];
    struct weir *stack = p->w.side[side].stack;
    switch (draw(p) % 7) {
    case 0: digest_number(p, (uint64_t)weir_send(stack, fd, bytes, draw(p) % sizeof bytes + 1, 0)); break;
    case 1: digest_number(p, (uint64_t)weir_send(stack, fd, bytes, draw(p) % 200 + 1, 0)); break;
    case 2: digest_number(p, (uint64_t)world_poll(&p->w, side, fd)); break;
    case 3: wait(p, side); break;
    default:
        for (int64_t n = 1; n > 0;) {
            n = weir_recv(stack, fd, bytes, sizeof bytes, 0);
            digest_number(p, (uint64_t)n);
        }
    }
    memset(bytes, 0, sizeof bytes);
    world_run(&p->w, draw(p) % 4 ? WEIR_US(draw(p) % 3000) : WEIR_MS(draw(p) % 900));
}

static void open_all(struct play *p, const char *park)
{
    static const char *const controls[] = {"cubic", "bbr", "reno", "dctcp"};
    struct world_opts opts = {.delay = WEIR_MS(3)};
    world_init(&p->w, &opts);
    p->w.user = p;
    tune(&p->w, "net.ipv4.tcp_park_idle_ms", park);
    weir_fd listeners[2] = {world_listen(&p->w, 1, V4, PORT, 5), world_listen(&p->w, 1, WEIR_AF_INET6, PORT + 1, 5)};
    for (int side = 0; side < 2; side++) {
        p->epoll[side] = weir_epoll_create(p->w.side[side].stack);
        assert_true(p->epoll[side] >= 0);
    }
    for (unsigned i = 0; i < CONN_N; i++) {
        tune(&p->w, "net.ipv4.tcp_congestion_control", controls[i % 4]);
        world_connect(&p->w, listeners[i % 2], i % 2 ? WEIR_AF_INET6 : V4, (uint16_t)(PORT + i % 2), &p->fds[0][i],
                      &p->fds[1][i]);
        for (int side = 0; side < 2; side++) {
            watch(p, side, p->fds[side][i], i);
            set(&p->w, side, p->fds[side][i], WEIR_SOL_TCP, WEIR_TCP_KEEPIDLE, 1 + (int)i);
            set(&p->w, side, p->fds[side][i], WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE, i % 3 == (unsigned)side);
        }
    }
    p->w.drop = see;
}

static void play(struct play *p, uint64_t seed, const char *park)
{
    *p = (struct play){.digest = UINT64_C(0xcbf29ce484222325), .rng = seed};
    open_all(p, park);
    for (unsigned i = 0; i < ROUND_N; i++)
        step(p);
    world_run(&p->w, WEIR_SEC(30)); /* keepalive */
    p->parked = world_stat(&p->w, 0, "TCPParked") + world_stat(&p->w, 1, "TCPParked");
    for (int side = 0; side < 2; side++) {
        wait(p, side);
        for (unsigned i = 0; i < CONN_N; i++) {
            uint32_t len = sizeof p->infos[side][i];
            assert_int_equal(weir_getsockopt(p->w.side[side].stack, p->fds[side][i], WEIR_SOL_TCP, WEIR_TCP_INFO,
                                             &p->infos[side][i], &len),
                             0);
        }
    }
    for (unsigned i = 0; i < CONN_N; i++)
        assert_int_equal(weir_close(p->w.side[i % 2].stack, p->fds[i % 2][i]), 0);
    world_run(&p->w, WEIR_SEC(5));
    world_fini(&p->w);
}

static void test_park_changes_no_packet_no_event_and_no_figure(void **state)
{
    (void)state;
    static struct play never, others;
    static const char *const parks[] = {"0", "7", "300"};
    for (uint64_t seed = 1; seed <= 6; seed++) {
        play(&never, seed, "-1");
        assert_int_equal(never.parked, 0);
        for (size_t i = 0; i < sizeof parks / sizeof *parks; i++) {
            play(&others, seed, parks[i]);
            assert_true(others.parked > 150);
            assert_int_equal(others.digest, never.digest);
            assert_memory_equal(others.infos, never.infos, sizeof never.infos);
        }
    }
}

/* ---- Memory ---- */

#define MANY 2000

static void open_many(struct world *w, const char *park)
{
    weir_fd client, server, listener;
    world_init(w, &(struct world_opts){.is_unchecked = true});
    tune(w, "net.ipv4.tcp_park_idle_ms", park);
    listener = world_listen(w, 1, V4, PORT, 5);
    for (unsigned i = 0; i < MANY; i++)
        world_connect(w, listener, V4, PORT, &client, &server);
}

static void test_park_idle_connections_cost_320_bytes_at_either_end(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, NULL);
    size_t before[2] = {w.side[0].heap.bytes, w.side[1].heap.bytes};
    world_fini(&w);
    open_many(&w, "1000");
    for (unsigned i = 0; i < 3000; i++)
        world_run(&w, WEIR_MS(1));
    for (int side = 0; side < 2; side++) {
        assert_int_equal(world_stat(&w, side, "TCPParked"), MANY);
        assert_null(weir_check(w.side[side].stack));
        assert_true((w.side[side].heap.bytes - before[side]) / MANY <= 320);
    }
    world_fini(&w);
}

/* None is idle for long, and the limit has room for a few hundred as they are. */
static void test_park_makes_room_at_the_memory_limit(void **state)
{
    (void)state;
    struct world w;
    weir_fd fds[2][MANY];
    world_init(&w, &(struct world_opts){.mem_limit = 1500000, .is_unchecked = true});
    tune(&w, "net.ipv4.tcp_park_idle_ms", "1000000");
    weir_fd listener = world_listen(&w, 1, V4, PORT, 5);
    for (unsigned i = 0; i < MANY; i++)
        world_connect(&w, listener, V4, PORT, &fds[0][i], &fds[1][i]);
    for (int side = 0; side < 2; side++) {
        assert_true(world_stat(&w, side, "TCPParked") > MANY / 2);
        assert_null(weir_check(w.side[side].stack));
    }
    for (unsigned i = 0; i < MANY; i += 100) {
        char byte = 1;
        assert_int_equal(weir_send(w.side[0].stack, fds[0][i], &byte, 1, 0), 1);
        world_settle(&w);
        assert_int_equal(weir_recv(w.side[1].stack, fds[1][i], &byte, 1, 0), 1);
    }
    world_fini(&w);
}

/* ---- Ends ---- */

/* Both ends of one connection, parked; and how much each stack has asked for by now. */
static void park_one(struct world *w, weir_fd *client, weir_fd *server)
{
    world_init(w, &(struct world_opts){.is_unchecked = false});
    tune(w, "net.ipv4.tcp_park_idle_ms", "10");
    weir_fd listener = world_listen(w, 1, V4, PORT, 5);
    world_connect(w, listener, V4, PORT, client, server);
    for (unsigned i = 0; i < 10; i++)
        world_run(w, WEIR_MS(10));
    for (int side = 0; side < 2; side++)
        assert_int_equal(world_stat(w, side, "TCPParked") - world_stat(w, side, "TCPWoken"), 1);
}

static void test_park_poll_wakes_nobody(void **state)
{
    (void)state;
    struct world w;
    weir_fd client, server;
    park_one(&w, &client, &server);
    uint64_t woken = world_stat(&w, 1, "TCPWoken");
    assert_int_equal(world_poll(&w, 1, server), WEIR_POLLOUT);
    assert_int_equal(world_stat(&w, 1, "TCPWoken"), woken);
    world_fini(&w);
}

static void test_park_reset_reaches_who_watches(void **state)
{
    (void)state;
    struct world w;
    weir_fd client, server;
    park_one(&w, &client, &server);
    struct weir *b = w.side[1].stack;
    weir_fd ep = weir_epoll_create(b);
    struct weir_epoll_event ev = {.events = WEIR_POLLIN | WEIR_EPOLLET, .data = 5};
    assert_int_equal(weir_epoll_ctl(b, ep, WEIR_EPOLL_CTL_ADD, server, &ev), 0);
    assert_int_equal(weir_epoll_wait(b, ep, &ev, 1), 0);
    assert_int_equal(weir_abort(w.side[0].stack, client), 0);
    world_settle(&w);
    assert_int_equal(weir_epoll_wait(b, ep, &ev, 1), 1);
    assert_true(ev.events & WEIR_POLLHUP && ev.data == 5);
    char byte;
    assert_int_equal(weir_recv(b, server, &byte, 1, 0), -WEIR_ECONNRESET);
    world_fini(&w);
}

static void test_park_epoll_object_may_go_while_its_sockets_are_parked(void **state)
{
    (void)state;
    struct world w;
    weir_fd client, server;
    park_one(&w, &client, &server);
    struct weir *b = w.side[1].stack;
    weir_fd ep = weir_epoll_create(b);
    struct weir_epoll_event ev = {.events = WEIR_POLLIN};
    assert_int_equal(weir_epoll_ctl(b, ep, WEIR_EPOLL_CTL_ADD, server, &ev), 0);
    assert_int_equal(weir_close(b, ep), 0);
    assert_int_equal(weir_send(w.side[0].stack, client, "x", 1, 0), 1);
    world_settle(&w);
    assert_true(world_poll(&w, 1, server) & WEIR_POLLIN);
    world_fini(&w);
}

/* Its port stays its own: the four-tuple is taken while it is parked, and no longer. */
static void test_park_four_tuple_stays_taken(void **state)
{
    (void)state;
    struct world w;
    weir_fd client, server;
    park_one(&w, &client, &server);
    struct weir *a = w.side[0].stack;
    struct weir_sockaddr here, to = world_addr(&w, 1, V4, PORT);
    assert_int_equal(weir_getsockname(a, client, &here), 0);
    for (unsigned i = 0; i < 10; i++)
        world_run(&w, WEIR_MS(10));
    weir_fd other = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
    set(&w, 0, other, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, 1);
    assert_int_equal(weir_bind(a, other, &here), -WEIR_EADDRINUSE);
    assert_true(weir_connect(a, other, &to) == -WEIR_EINPROGRESS);
    assert_int_equal(weir_abort(a, client), 0);
    world_settle(&w);
    weir_fd third = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_bind(a, third, &here), 0);
    world_fini(&w);
}

/* Each call that can't have its memory says so, and nothing is lost; close and abort do what they are for. */
static void without_memory(bool is_abort)
{
    struct world w;
    weir_fd client, server;
    char byte = 0;
    park_one(&w, &client, &server);
    struct weir *b = w.side[1].stack;
    struct heap *heap = &w.side[1].heap;
    heap->fail_at = heap->alloc_n + 1;
    heap->fails_onwards = true;
    assert_int_equal(weir_send(b, server, "x", 1, 0), -WEIR_ENOBUFS);
    assert_int_equal(weir_recv(b, server, &byte, 1, 0), -WEIR_EAGAIN);
    assert_int_equal(world_poll(&w, 1, server), WEIR_POLLOUT);
    heap->fail_at = 0;
    assert_int_equal(weir_send(b, server, "x", 1, 0), 1);
    for (unsigned i = 0; i < 10; i++)
        world_run(&w, WEIR_MS(50));
    assert_int_equal(weir_recv(w.side[0].stack, client, &byte, 1, 0), 1);

    heap->fail_at = heap->alloc_n + 1;
    assert_int_equal(is_abort ? weir_abort(b, server) : weir_close(b, server), 0);
    heap->fail_at = 0;
    assert_int_equal(world_poll(&w, 1, server), WEIR_POLLNVAL);
    assert_null(weir_check(b));
    uint64_t established = world_stat(&w, 1, "TcpCurrEstab");
    assert_int_equal(established, 0);
    assert_int_equal(weir_send(w.side[0].stack, client, "x", 1, 0) >= 0, true);
    world_settle(&w);
    assert_true(world_poll(&w, 0, client) & WEIR_POLLHUP); /* by its reset, or the answer to what came later */
    world_fini(&w);
}

static void test_park_close_without_memory_still_ends_it(void **state)
{
    (void)state;
    without_memory(false);
    without_memory(true);
}

/* A stack that goes while connections are parked gives everything back: world_fini looks. */
static void test_park_stack_goes_with_what_is_parked(void **state)
{
    (void)state;
    struct world w;
    weir_fd client, server;
    park_one(&w, &client, &server);
    set(&w, 1, server, WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE, 1);
    for (unsigned i = 0; i < 10; i++)
        world_run(&w, WEIR_MS(10));
    assert_int_equal(world_stat(&w, 1, "TCPParked"), 2);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_park_changes_no_packet_no_event_and_no_figure),
        cmocka_unit_test(test_park_idle_connections_cost_320_bytes_at_either_end),
        cmocka_unit_test(test_park_makes_room_at_the_memory_limit),
        cmocka_unit_test(test_park_poll_wakes_nobody),
        cmocka_unit_test(test_park_reset_reaches_who_watches),
        cmocka_unit_test(test_park_epoll_object_may_go_while_its_sockets_are_parked),
        cmocka_unit_test(test_park_four_tuple_stays_taken),
        cmocka_unit_test(test_park_close_without_memory_still_ends_it),
        cmocka_unit_test(test_park_stack_goes_with_what_is_parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
