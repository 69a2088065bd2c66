/* Memory of a whole stack: each allocation fails once and nothing breaks; what was used comes back. */
#include "unit/support/world.h"

#define PORT 80
#define V4   WEIR_AF_INET

/* ---- Refusals ---- */

static void test_memory_refused_while_a_stack_is_made_leaves_nothing(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct heap heap = {.fail_at = n};
        struct weir_config cfg = {.alloc = heap_owner(&heap)};
        struct weir *s = weir_new(&cfg);
        weir_free(s);
        assert_int_equal(heap.bytes, 0);
        if (heap.alloc_n < n) {
            assert_non_null(s); /* the first n that was never reached */
            return;
        }
        assert_null(s);
    }
}

#define SWEEP_BYTES 60000

/* One side's part of a conversation that takes every refusal as it comes. */
struct talk {
    struct world *w;
    int side;
    weir_fd fd;
    size_t sent, got;
    bool is_shut, is_over;
};

static bool may_fail_with(int64_t err)
{
    static const int known[] = {WEIR_EAGAIN,    WEIR_ENOMEM,   WEIR_ENOBUFS,      WEIR_ECONNRESET,   WEIR_EPIPE,
                                WEIR_ETIMEDOUT, WEIR_ENOTCONN, WEIR_ECONNREFUSED, WEIR_EHOSTUNREACH, WEIR_ECONNABORTED};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (err == -known[i])
            return true;
    }
    return false;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static void talk_send(struct talk *t)
{
    static uint8_t buf[SWEEP_BYTES];
    struct weir *s = t->w->side[t->side].stack;
    if (t->sent < SWEEP_BYTES) {
        for (size_t i = t->sent; i < SWEEP_BYTES; i++)
            buf[i] = byte_at(i);
        int64_t n = weir_send(s, t->fd, buf + t->sent, SWEEP_BYTES - t->sent, 0);
        if (n < 0)
            assert_true(may_fail_with(n));
        t->sent += n > 0 ? (size_t)n : 0;
    } else if (!t->is_shut) {
        t->is_shut = !weir_shutdown(s, t->fd, WEIR_SHUT_WR);
    }
}

static void talk_step(struct talk *t)
{
    static uint8_t buf[SWEEP_BYTES];
    struct weir *s = t->w->side[t->side].stack;
    if (t->fd < 0 || t->is_over)
        return;
    talk_send(t);
    int64_t n;
    while ((n = weir_recv(s, t->fd, buf, sizeof buf, 0)) > 0) {
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(buf[i], byte_at(t->got + (size_t)i));
        t->got += (size_t)n;
    }
    if (n < 0)
        assert_true(may_fail_with(n));
    t->is_over = (n == 0 && t->is_shut) || (n < 0 && n != -WEIR_EAGAIN && n != -WEIR_ENOTCONN);
    if (t->is_over)
        assert_int_equal(weir_close(s, t->fd), 0);
}

static weir_fd quiet_listen(struct weir *s)
{
    struct weir_sockaddr any = {.addr = weir_addr_any(V4), .family = V4, .port = PORT};
    weir_fd fd = weir_socket(s, V4, WEIR_SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    if (!weir_bind(s, fd, &any) && !weir_listen(s, fd, 5))
        return fd;
    assert_int_equal(weir_close(s, fd), 0);
    return -1;
}

struct trouble {
    int side;
    size_t at;      /* the allocation that is refused, counted from 1 */
    bool is_outage; /* and all that follow for 50 ms */
    unsigned shift; /* packets, blocks and sockets held meanwhile: pools get memory for many at once, and so it is
                       another one's turn to be the first that is refused */
};

static void hold(struct weir *s, unsigned n, struct weir_pkt **pkts, struct weir_block **blocks, weir_fd *fds)
{
    for (unsigned i = 0; i < n; i++) {
        pkts[i] = weir_pkt_new(weir_stack_pool(s), 0);
        blocks[i] = weir_block_new(weir_stack_pool(s), 1500);
        fds[i] = weir_socket(s, V4, WEIR_SOCK_STREAM, 0);
        assert_true(pkts[i] && blocks[i] && fds[i] >= 0);
    }
}

static void let_go(struct weir *s, unsigned n, struct weir_pkt **pkts, struct weir_block **blocks, const weir_fd *fds)
{
    for (unsigned i = 0; i < n; i++) {
        weir_pkt_unref(pkts[i]);
        weir_block_unref(blocks[i]);
        assert_int_equal(weir_close(s, fds[i]), 0);
    }
}

#define SHIFT_MAX 16

/* A conversation of 60,000 bytes each way, and trouble in it. Returns whether the trouble came at all. */
static bool conversation(const struct trouble *t)
{
    struct world w;
    world_init(&w, &(struct world_opts){.delay = WEIR_MS(1), .is_ethernet = t->at % 2});
    struct weir *a = w.side[0].stack, *b = w.side[1].stack;
    struct heap *heap = &w.side[t->side].heap;
    struct weir_pkt *pkts[SHIFT_MAX];
    struct weir_block *blocks[SHIFT_MAX];
    weir_fd fds[SHIFT_MAX];
    struct talk client = {.w = &w, .side = 0}, server = {.w = &w, .side = 1, .fd = -1};
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    struct weir_epoll_event ev = {.events = WEIR_POLLIN};

    /* A cookie needs no memory, but only the connection's first segment can redeem it: when that one is refused too,
     * the next is answered with a reset, as on Linux. */
    if (t->is_outage)
        assert_int_equal(weir_sysctl_set(b, "tcp_syncookies", "0"), 0);
    hold(w.side[t->side].stack, t->shift, pkts, blocks, fds);
    heap->fail_at = heap->alloc_n + t->at;
    heap->fails_onwards = t->is_outage;
    weir_fd listener = quiet_listen(b), ep = weir_epoll_create(b);
    if (ep >= 0 && listener >= 0)
        (void)weir_epoll_ctl(b, ep, WEIR_EPOLL_CTL_ADD, listener, &ev);
    client.fd = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
    int err = client.fd >= 0 ? weir_connect(a, client.fd, &to) : -1;
    int outage_steps = 25;
    for (int i = 0; i < 500 && !(client.is_over && server.is_over); i++) {
        if (heap->alloc_n >= heap->fail_at && outage_steps-- == 0)
            heap->fails_onwards = false;
        world_run(&w, i < 100 ? WEIR_MS(2) : WEIR_MS(200));
        if (server.fd < 0 && listener >= 0)
            server.fd = weir_accept(b, listener, NULL);
        talk_step(&client);
        talk_step(&server);
    }
    /* A refusal is not the end of a connection that exists: TCP repeats what was lost. */
    if (err == -WEIR_EINPROGRESS && listener >= 0) {
        assert_int_equal(client.got, SWEEP_BYTES);
        assert_int_equal(server.got, SWEEP_BYTES);
    }
    bool was_reached = heap->alloc_n >= heap->fail_at;
    heap->fails_onwards = false;
    let_go(w.side[t->side].stack, t->shift, pkts, blocks, fds);
    world_run(&w, WEIR_SEC(70));
    world_fini(&w);
    return was_reached;
}

static void sweep(bool is_outage, unsigned step)
{
    for (unsigned i = 0; i < 2 * SHIFT_MAX; i += step) {
        struct trouble t = {.side = (int)(i & 1), .is_outage = is_outage, .shift = i / 2};
        for (t.at = 1; conversation(&t); t.at++)
            ;
    }
}

static void test_memory_refused_once_anywhere_is_survived(void **state)
{
    (void)state;
    sweep(false, 3);
}

static void test_memory_gone_for_a_while_is_survived(void **state)
{
    (void)state;
    sweep(true, 3);
}

/* ---- Return ---- */

#define ROUNDS 20
#define BATCH  50

static void open_and_close(struct world *w, weir_fd listener)
{
    struct weir *a = w->side[0].stack, *b = w->side[1].stack;
    weir_fd client[BATCH], server[BATCH];
    for (int i = 0; i < BATCH; i++) {
        world_connect(w, listener, V4, PORT, &client[i], &server[i]);
        assert_int_equal(weir_send(a, client[i], "ping", 4, 0), 4);
        assert_int_equal(weir_send(b, server[i], "pong", 4, 0), 4);
    }
    world_settle(w);
    char buf[8];
    for (int i = 0; i < BATCH; i++) {
        assert_int_equal(weir_recv(a, client[i], buf, sizeof buf, 0), 4);
        assert_int_equal(weir_recv(b, server[i], buf, sizeof buf, 0), 4);
        assert_int_equal(weir_close(a, client[i]), 0);
        assert_int_equal(weir_close(b, server[i]), 0);
        world_settle(w);
    }
}

/* 1,000 connections come and go; 2 MSL after the last the stack uses what it used before the first. */
static void test_memory_after_many_connections_and_two_msl_is_as_before(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, &(struct world_opts){.is_ethernet = true});
    weir_fd listener = world_listen(&w, 1, V4, PORT, 64);
    open_and_close(&w, listener); /* neighbours are known from now on */
    world_run(&w, WEIR_SEC(121));
    size_t before[2] = {w.side[0].heap.bytes, w.side[1].heap.bytes};
    for (int i = 0; i < ROUNDS; i++)
        open_and_close(&w, listener);
    assert_true(w.side[0].heap.bytes + w.side[1].heap.bytes > before[0] + before[1]);
    world_run(&w, WEIR_SEC(121));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(w.side[i].heap.bytes, before[i]);
        assert_true(weir_mem_used(w.side[i].stack) <= w.side[i].heap.bytes);
    }
    world_fini(&w);
}

/* A stack ends in the middle of everything: silently, and with every byte returned (world_fini asserts both). */
static void test_memory_of_a_stack_freed_in_full_flight_returns(void **state)
{
    (void)state;
    static char bytes[1 << 17];
    struct world w;
    world_init(&w, &(struct world_opts){.delay = WEIR_MS(5)});
    struct weir *a = w.side[0].stack, *b = w.side[1].stack;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), client, server, ep = weir_epoll_create(b);
    struct weir_epoll_event ev = {.events = WEIR_POLLIN};
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT), nobody = world_addr(&w, 1, V4, 9);
    world_connect(&w, l, V4, PORT, &client, &server);
    assert_int_equal(weir_epoll_ctl(b, ep, WEIR_EPOLL_CTL_ADD, server, &ev), 0);
    assert_true(weir_send(a, client, bytes, sizeof bytes, 0) > 0);
    assert_true(weir_send(b, server, bytes, sizeof bytes, 0) > 0);
    world_run(&w, WEIR_MS(12));
    /* One in each state that is easily had: waiting for accept, SYN sent, closing, TIME-WAIT. */
    for (int i = 0; i < 4; i++) {
        weir_fd fd = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
        assert_int_equal(weir_connect(a, fd, &to), -WEIR_EINPROGRESS);
        world_run(&w, WEIR_MS(i * 4));
        if (i % 2)
            assert_int_equal(weir_close(a, fd), 0);
    }
    weir_fd udp = weir_socket(a, V4, WEIR_SOCK_DGRAM, 0);
    assert_int_equal(weir_sendto(a, udp, bytes, 3000, 0, &nobody), 3000);
    assert_int_equal(weir_close(b, server), 0);
    world_fini(&w);
}

/* At the limit calls are refused, nothing breaks, and once memory is back the stack goes on. */
static void test_memory_limit_refuses_and_recovers(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    struct world w;
    world_init(&w, &(struct world_opts){.mem_limit = 600 << 10});
    struct weir *a = w.side[0].stack;
    weir_fd l = world_listen(&w, 1, V4, PORT, 64), fds[40], server;
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    int open_n = 0;
    for (; open_n < 40; open_n++) {
        fds[open_n] = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
        if (fds[open_n] < 0 || weir_connect(a, fds[open_n], &to) != -WEIR_EINPROGRESS)
            break;
        world_settle(&w);
        while (weir_send(a, fds[open_n], bytes, sizeof bytes, 0) > 0)
            world_settle(&w);
        assert_true(weir_mem_used(a) <= 600 << 10);
    }
    for (int i = 0; i < open_n; i++)
        assert_int_equal(weir_abort(a, fds[i]), 0);
    if (open_n < 40 && fds[open_n] >= 0)
        assert_int_equal(weir_close(a, fds[open_n]), 0);
    while ((server = weir_accept(w.side[1].stack, l, NULL)) >= 0)
        assert_int_equal(weir_close(w.side[1].stack, server), 0);
    world_run(&w, WEIR_SEC(200));
    while ((server = weir_accept(w.side[1].stack, l, NULL)) >= 0)
        assert_int_equal(weir_close(w.side[1].stack, server), 0);
    weir_fd client;
    world_connect(&w, l, V4, PORT, &client, &server);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_refused_while_a_stack_is_made_leaves_nothing),
        cmocka_unit_test(test_memory_refused_once_anywhere_is_survived),
        cmocka_unit_test(test_memory_gone_for_a_while_is_survived),
        cmocka_unit_test(test_memory_after_many_connections_and_two_msl_is_as_before),
        cmocka_unit_test(test_memory_of_a_stack_freed_in_full_flight_returns),
        cmocka_unit_test(test_memory_limit_refuses_and_recovers),
    };
    return cmocka_run_group_tests_name("sock/memory", tests, NULL, NULL);
}
