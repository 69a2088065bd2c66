/* All sockets of a stack (weir/diag.h), in every state, and while they come and go. */
#include "unit/support/world.h"

#define PORT 80
#define V4   WEIR_AF_INET

static unsigned list(const struct world *w, int side, uint8_t protocol, struct weir_sock_info *out, unsigned cap)
{
    struct weir_sock_cursor at = {.protocol = protocol};
    unsigned n = 0;
    while (n < cap && weir_sock_next(w->side[side].stack, &at, &out[n], NULL))
        n++;
    assert_true(n < cap);
    return n;
}

/* How many are in that state; *last is one of them. */
static unsigned in_state(const struct world *w, int side, unsigned state, struct weir_sock_info *last)
{
    struct weir_sock_info all[64];
    unsigned n = list(w, side, WEIR_IPPROTO_TCP, all, 64), hits = 0;
    for (unsigned i = 0; i < n; i++) {
        if (all[i].state != state)
            continue;
        *last = all[i];
        hits++;
    }
    return hits;
}

static void test_diag_of_an_empty_stack_is_nothing(void **state)
{
    struct world w;
    struct weir_sock_info got[4];
    (void)state;
    world_init(&w, NULL);
    assert_int_equal(list(&w, 0, 0, got, 4), 0);
    weir_fd epoll = weir_epoll_create(w.side[0].stack); /* is no socket */
    assert_int_equal(list(&w, 0, 0, got, 4), 0);
    weir_close(w.side[0].stack, epoll);
    world_fini(&w);
}

static void test_diag_listener_tells_who_waits_and_how_many_may(void **state)
{
    struct world w;
    struct weir_sock_info l, child;
    (void)state;
    world_init(&w, NULL);
    weir_fd listener = world_listen(&w, 1, V4, PORT, 7);
    weir_fd client = weir_socket(w.side[0].stack, V4, WEIR_SOCK_STREAM, 0);
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    assert_int_equal(weir_connect(w.side[0].stack, client, &to), -WEIR_EINPROGRESS);
    world_settle(&w);

    assert_int_equal(in_state(&w, 1, WEIR_SOCK_LISTEN, &l), 1);
    assert_true(l.fd == listener);
    assert_int_equal(l.recv_q, 1);
    assert_int_equal(l.send_q, 7);
    assert_int_equal(l.local.port, PORT);
    assert_int_equal(l.timer, WEIR_SOCK_TIMER_NONE);
    assert_int_equal(in_state(&w, 1, WEIR_SOCK_ESTABLISHED, &child), 1); /* nobody has taken it yet */
    assert_true(child.fd == -1);
    weir_fd server = weir_accept(w.side[1].stack, listener, NULL);
    assert_int_equal(in_state(&w, 1, WEIR_SOCK_ESTABLISHED, &child), 1);
    assert_true(child.fd == server);
    assert_int_equal(in_state(&w, 1, WEIR_SOCK_LISTEN, &l), 1);
    assert_int_equal(l.recv_q, 0);
    world_fini(&w);
}

static bool lose_all(struct world *w, struct world_side *from, const struct weir_pkt *pkt, uint64_t n)
{
    (void)w;
    (void)pkt;
    (void)n;
    return from->index == *(const int *)w->user;
}

static void test_diag_half_open_ones_are_told_with_their_timers(void **state)
{
    struct world w;
    struct weir_sock_info info;
    int loser = 1;
    (void)state;
    world_init(&w, NULL);
    world_listen(&w, 1, V4, PORT, 7);
    weir_fd client = weir_socket(w.side[0].stack, V4, WEIR_SOCK_STREAM, 0);
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    w.user = &loser;
    w.drop = lose_all;
    weir_connect(w.side[0].stack, client, &to);
    world_settle(&w);

    assert_int_equal(in_state(&w, 0, WEIR_SOCK_SYN_SENT, &info), 1);
    assert_int_equal(info.send_q, 1);
    assert_int_equal(info.timer, WEIR_SOCK_TIMER_RETRANSMIT);
    assert_true(info.timer_left == WEIR_SEC(1));
    assert_int_equal(in_state(&w, 1, WEIR_SOCK_SYN_RECV, &info), 1);
    assert_true(info.fd == -1 && !info.has_tcp_info);
    assert_true(weir_addr_equal(&info.remote.addr, &w.side[0].v4) && info.local.port == PORT);
    assert_int_equal(info.timer, WEIR_SOCK_TIMER_RETRANSMIT);
    assert_int_equal(info.timer_tries, 0);
    world_run(&w, WEIR_MS(1500));
    assert_int_equal(in_state(&w, 0, WEIR_SOCK_SYN_SENT, &info), 1);
    assert_int_equal(info.timer_tries, 1);
    world_fini(&w);
}

static void test_diag_queues_are_bytes_unread_and_unacknowledged(void **state)
{
    struct world w;
    struct weir_sock_info info;
    struct weir_tcp_info tcp, by_option;
    struct weir_sock_cursor at = {.protocol = WEIR_IPPROTO_TCP};
    uint32_t len = sizeof by_option;
    weir_fd client, server;
    int loser = 1;
    (void)state;
    world_init(&w, NULL);
    world_connect(&w, world_listen(&w, 1, V4, PORT, 5), V4, PORT, &client, &server);
    assert_int_equal(weir_send(w.side[0].stack, client, "hello", 5, 0), 5);
    world_settle(&w);
    assert_int_equal(in_state(&w, 1, WEIR_SOCK_ESTABLISHED, &info), 1);
    assert_int_equal(info.recv_q, 5);
    assert_true(info.meminfo[WEIR_MEMINFO_RMEM_ALLOC] > 0);

    world_run(&w, WEIR_SEC(1));
    w.user = &loser;
    w.drop = lose_all;
    assert_int_equal(weir_send(w.side[0].stack, client, "you", 3, 0), 3);
    world_settle(&w);
    assert_int_equal(weir_sock_next(w.side[0].stack, &at, &info, &tcp), 1);
    assert_int_equal(info.send_q, 3);
    assert_true(info.has_tcp_info);
    assert_string_equal(info.congestion, "cubic");
    assert_int_equal(weir_getsockopt(w.side[0].stack, client, WEIR_SOL_TCP, WEIR_TCP_INFO, &by_option, &len), 0);
    assert_memory_equal(&tcp, &by_option, sizeof tcp);
    assert_int_equal(weir_sock_next(w.side[0].stack, &at, &info, &tcp), 0);
    assert_int_equal(weir_sock_next(w.side[0].stack, &at, &info, &tcp), 0); /* and stays at the end */
    world_fini(&w);
}

static void test_diag_closed_connections_go_on_without_a_handle(void **state)
{
    struct world w;
    struct weir_sock_info info;
    weir_fd client, server;
    (void)state;
    world_init(&w, NULL);
    world_connect(&w, world_listen(&w, 1, V4, PORT, 5), V4, PORT, &client, &server);
    weir_close(w.side[0].stack, client);
    world_settle(&w);
    assert_int_equal(in_state(&w, 0, WEIR_SOCK_FIN_WAIT_2, &info), 1);
    assert_true(info.fd == -1);
    assert_int_equal(in_state(&w, 1, WEIR_SOCK_CLOSE_WAIT, &info), 1);
    assert_int_equal(info.recv_q, 1); /* the FIN, as Linux counts */
    weir_close(w.side[1].stack, server);
    world_settle(&w);
    assert_int_equal(in_state(&w, 0, WEIR_SOCK_TIME_WAIT, &info), 1);
    assert_int_equal(info.timer, WEIR_SOCK_TIMER_TIME_WAIT);
    assert_true(info.timer_left == WEIR_SEC(60));
    assert_int_equal(info.remote.port, PORT);
    world_fini(&w);
}

static void test_diag_udp_has_a_peer_or_none(void **state)
{
    struct world w;
    struct weir_sock_info got[8];
    struct weir_sockaddr to;
    (void)state;
    world_init(&w, NULL);
    weir_fd bound = weir_socket(w.side[1].stack, V4, WEIR_SOCK_DGRAM, 0);
    to = world_addr(&w, 1, V4, 53);
    assert_int_equal(weir_bind(w.side[1].stack, bound, &to), 0);
    world_listen(&w, 1, V4, PORT, 5);
    assert_int_equal(list(&w, 1, 0, got, 8), 2);
    assert_int_equal(list(&w, 1, WEIR_IPPROTO_UDP, got, 8), 1);
    assert_int_equal(got[0].state, WEIR_SOCK_CLOSE);
    assert_int_equal(got[0].local.port, 53);
    assert_false(got[0].has_tcp_info);

    weir_fd client = weir_socket(w.side[0].stack, V4, WEIR_SOCK_DGRAM, 0);
    assert_int_equal(weir_connect(w.side[0].stack, client, &to), 0);
    weir_send(w.side[0].stack, client, "q", 1, 0);
    world_settle(&w);
    assert_int_equal(list(&w, 0, 0, got, 8), 1);
    assert_int_equal(got[0].state, WEIR_SOCK_ESTABLISHED);
    assert_int_equal(got[0].remote.port, 53);
    assert_int_equal(list(&w, 1, WEIR_IPPROTO_UDP, got, 8), 1);
    assert_true(got[0].recv_q > 0);
    world_fini(&w);
}

/* It is told as if it were awake, and sleeps on. */
static void test_diag_parked_connections_are_told_of_and_not_woken(void **state)
{
    struct world w;
    struct weir_sock_info info;
    struct weir_tcp_info tcp, by_option;
    struct weir_sock_cursor at = {.protocol = WEIR_IPPROTO_TCP};
    uint32_t len = sizeof by_option;
    weir_fd client, server;
    int on = 1;
    (void)state;
    world_init(&w, NULL);
    assert_int_equal(weir_sysctl_set(w.side[0].stack, "net.ipv4.tcp_park_idle_ms", "100"), 0);
    world_connect(&w, world_listen(&w, 1, V4, PORT, 5), V4, PORT, &client, &server);
    assert_int_equal(weir_setsockopt(w.side[0].stack, client, WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE, &on, sizeof on), 0);
    assert_int_equal(weir_send(w.side[0].stack, client, "x", 1, 0), 1);
    for (int i = 0; i < 50; i++) {
        world_run(&w, WEIR_MS(20));
        weir_advance(w.side[0].stack, w.now);
    }
    assert_int_equal(world_stat(&w, 0, "TCPParked"), 1);

    assert_int_equal(weir_sock_next(w.side[0].stack, &at, &info, &tcp), 1);
    assert_true(info.is_parked && info.fd == client);
    assert_int_equal(info.state, WEIR_SOCK_ESTABLISHED);
    assert_int_equal(info.timer, WEIR_SOCK_TIMER_KEEPALIVE);
    assert_true(info.timer_left > WEIR_SEC(7000) && info.timer_left <= WEIR_SEC(7200));
    assert_int_equal(info.remote.port, PORT);
    assert_int_equal(world_stat(&w, 0, "TCPWoken"), 0);
    assert_null(weir_check(w.side[0].stack));
    assert_int_equal(weir_getsockopt(w.side[0].stack, client, WEIR_SOL_TCP, WEIR_TCP_INFO, &by_option, &len), 0);
    assert_memory_equal(&tcp, &by_option, sizeof tcp);
    assert_int_equal(world_stat(&w, 0, "TCPWoken"), 1);
    world_fini(&w);
}

/* Between the steps of a walk connections open and close: who is there all the time is told once. */
static void test_diag_walk_survives_what_happens_meanwhile(void **state)
{
    enum { STAY_N = 40, COME_N = 200 };
    struct world w;
    struct weir_sock_info info;
    struct weir_sock_cursor at = {0};
    weir_fd stay[STAY_N], server, come;
    unsigned seen[STAY_N] = {0};
    (void)state;
    world_init(&w, NULL);
    weir_fd listener = world_listen(&w, 1, V4, PORT, 5);
    for (unsigned i = 0; i < STAY_N; i++)
        world_connect(&w, listener, V4, PORT, &stay[i], &server);
    for (unsigned i = 0; i < COME_N; i++) {
        world_connect(&w, listener, V4, PORT, &come, &server);
        if (i % 3) {
            weir_close(w.side[0].stack, come);
            weir_close(w.side[1].stack, server);
        } else if (i % 2) {
            weir_abort(w.side[0].stack, come);
        }
        world_settle(&w);
        if (!weir_sock_next(w.side[0].stack, &at, &info, NULL))
            break;
        for (unsigned k = 0; k < STAY_N; k++)
            seen[k] += info.fd == stay[k];
    }
    while (weir_sock_next(w.side[0].stack, &at, &info, NULL)) {
        for (unsigned k = 0; k < STAY_N; k++)
            seen[k] += info.fd == stay[k];
    }
    for (unsigned k = 0; k < STAY_N; k++)
        assert_int_equal(seen[k], 1);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diag_of_an_empty_stack_is_nothing),
        cmocka_unit_test(test_diag_listener_tells_who_waits_and_how_many_may),
        cmocka_unit_test(test_diag_half_open_ones_are_told_with_their_timers),
        cmocka_unit_test(test_diag_queues_are_bytes_unread_and_unacknowledged),
        cmocka_unit_test(test_diag_closed_connections_go_on_without_a_handle),
        cmocka_unit_test(test_diag_udp_has_a_peer_or_none),
        cmocka_unit_test(test_diag_parked_connections_are_told_of_and_not_woken),
        cmocka_unit_test(test_diag_walk_survives_what_happens_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
