/* Readiness of real sockets: poll, select and epoll over TCP and UDP. */
#include "unit/support/world.h"

#define PORT 80
#define V4   WEIR_AF_INET

static struct world w;
static struct weir *a, *b;
static weir_fd listener, client, server, ep;

static int setup(void **state)
{
    (void)state;
    world_init(&w, NULL);
    a = w.side[0].stack;
    b = w.side[1].stack;
    listener = world_listen(&w, 1, V4, PORT, 16);
    world_connect(&w, listener, V4, PORT, &client, &server);
    ep = weir_epoll_create(b);
    assert_true(ep >= 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static void watch(int op, weir_fd fd, uint32_t events)
{
    struct weir_epoll_event ev = {.events = events, .data = (uint64_t)fd};
    assert_int_equal(weir_epoll_ctl(b, ep, op, fd, &ev), 0);
}

/* The one event that there is, 0: none. */
static uint32_t wait_one(void)
{
    struct weir_epoll_event ev[4];
    int n = weir_epoll_wait(b, ep, ev, 4);
    assert_in_range(n, 0, 1);
    return n ? ev[0].events : 0;
}

static void say(const char *text)
{
    assert_int_equal(weir_send(a, client, text, strlen(text), 0), strlen(text));
    world_settle(&w);
}

static size_t drain(void)
{
    static char buf[1 << 16];
    size_t sum = 0;
    int64_t n;
    while ((n = weir_recv(b, server, buf, sizeof buf, 0)) > 0)
        sum += (size_t)n;
    return sum;
}

static void test_ready_epoll_level_follows_the_receive_queue(void **state)
{
    (void)state;
    char byte;
    watch(WEIR_EPOLL_CTL_ADD, server, WEIR_POLLIN);
    assert_int_equal(wait_one(), 0);
    say("ab");
    assert_int_equal(wait_one(), WEIR_POLLIN);
    assert_int_equal(weir_recv(b, server, &byte, 1, 0), 1);
    assert_int_equal(wait_one(), WEIR_POLLIN);
    assert_int_equal(weir_recv(b, server, &byte, 1, 0), 1);
    assert_int_equal(wait_one(), 0);
}

static void test_ready_epoll_edge_comes_with_each_arrival(void **state)
{
    (void)state;
    watch(WEIR_EPOLL_CTL_ADD, server, WEIR_POLLIN | WEIR_EPOLLET);
    say("a");
    assert_int_equal(wait_one(), WEIR_POLLIN);
    assert_int_equal(wait_one(), 0); /* still unread, but no news */
    say("b");
    assert_int_equal(wait_one(), WEIR_POLLIN);
    assert_int_equal(drain(), 2);
    assert_int_equal(wait_one(), 0);
}

static void test_ready_epoll_oneshot_needs_rearming(void **state)
{
    (void)state;
    watch(WEIR_EPOLL_CTL_ADD, server, WEIR_POLLIN | WEIR_EPOLLONESHOT);
    say("a");
    assert_int_equal(wait_one(), WEIR_POLLIN);
    say("b");
    assert_int_equal(wait_one(), 0);
    watch(WEIR_EPOLL_CTL_MOD, server, WEIR_POLLIN | WEIR_EPOLLONESHOT);
    assert_int_equal(wait_one(), WEIR_POLLIN);
}

static void test_ready_epoll_tells_of_the_peers_close(void **state)
{
    (void)state;
    watch(WEIR_EPOLL_CTL_ADD, server, WEIR_POLLIN | WEIR_POLLRDHUP | WEIR_EPOLLET);
    assert_int_equal(weir_shutdown(a, client, WEIR_SHUT_WR), 0);
    world_settle(&w);
    assert_int_equal(wait_one(), WEIR_POLLIN | WEIR_POLLRDHUP);
    assert_int_equal(weir_abort(a, client), 0);
    world_settle(&w);
    uint32_t events = wait_one();
    assert_true(events & WEIR_POLLERR && events & WEIR_POLLHUP);
}

/* A full send buffer that drains is an edge of POLLOUT. */
static void test_ready_epoll_edge_of_room_to_send(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    struct weir_epoll_event ev = {.events = WEIR_POLLOUT | WEIR_EPOLLET}, got;
    weir_fd epa = weir_epoll_create(a);
    assert_int_equal(weir_epoll_ctl(a, epa, WEIR_EPOLL_CTL_ADD, client, &ev), 0);
    assert_int_equal(weir_epoll_wait(a, epa, &got, 1), 1);
    while (weir_send(a, client, bytes, sizeof bytes, 0) > 0)
        ;
    world_run(&w, WEIR_MS(100)); /* the receiver's window is full too */
    while (weir_send(a, client, bytes, sizeof bytes, 0) > 0)
        world_run(&w, WEIR_MS(100));
    (void)weir_epoll_wait(a, epa, &got, 1);
    assert_int_equal(weir_epoll_wait(a, epa, &got, 1), 0);
    assert_int_equal(world_poll(&w, 0, client) & WEIR_POLLOUT, 0);
    for (int i = 0; i < 100 && drain(); i++)
        world_run(&w, WEIR_MS(100));
    assert_int_equal(weir_epoll_wait(a, epa, &got, 1), 1);
    assert_int_equal(got.events, WEIR_POLLOUT);
}

static void test_ready_epoll_listener_is_readable_while_one_waits(void **state)
{
    (void)state;
    watch(WEIR_EPOLL_CTL_ADD, listener, WEIR_POLLIN);
    assert_int_equal(wait_one(), 0);
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    weir_fd fd = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_connect(a, fd, &to), -WEIR_EINPROGRESS);
    world_settle(&w);
    assert_int_equal(wait_one(), WEIR_POLLIN);
    assert_true(weir_accept(b, listener, NULL) >= 0);
    assert_int_equal(wait_one(), 0);
}

static void test_ready_epoll_closed_socket_is_gone(void **state)
{
    (void)state;
    watch(WEIR_EPOLL_CTL_ADD, server, WEIR_POLLIN);
    say("x");
    assert_int_equal(weir_close(b, server), 0);
    assert_int_equal(wait_one(), 0);
    assert_int_equal(weir_epoll_ctl(b, ep, WEIR_EPOLL_CTL_DEL, server, NULL), -WEIR_EBADF);
}

static void test_ready_poll_counts_what_is_ready(void **state)
{
    (void)state;
    say("x");
    struct weir_pollfd fds[] = {
        {.fd = listener, .events = WEIR_POLLIN},          {.fd = server, .events = WEIR_POLLIN | WEIR_POLLOUT},
        {.fd = -1, .events = WEIR_POLLIN, .revents = 55}, {.fd = 12345, .events = WEIR_POLLIN},
        {.fd = server, .events = WEIR_POLLRDNORM},
    };
    assert_int_equal(weir_poll(b, fds, 5), 3);
    assert_int_equal(fds[0].revents, 0);
    assert_int_equal(fds[1].revents, WEIR_POLLIN | WEIR_POLLOUT);
    assert_int_equal(fds[2].revents, 0);
    assert_int_equal(fds[3].revents, WEIR_POLLNVAL);
    assert_int_equal(fds[4].revents, WEIR_POLLRDNORM);
    assert_int_equal(weir_poll(b, NULL, 0), 0);
}

static void test_ready_select_cuts_its_sets(void **state)
{
    (void)state;
    say("x");
    weir_fd rd[] = {listener, server, ep}, wr[] = {server}, ex[] = {server};
    struct weir_fd_set r = {rd, 3}, o = {wr, 1}, e = {ex, 1};
    watch(WEIR_EPOLL_CTL_ADD, server, WEIR_POLLIN);
    assert_int_equal(weir_select(b, &r, &o, &e), 3);
    assert_int_equal(r.n, 2);
    assert_true(rd[0] == server && rd[1] == ep);
    assert_int_equal(o.n, 1);
    assert_int_equal(e.n, 0);
    assert_int_equal(weir_select(b, NULL, NULL, NULL), 0);
    weir_fd bad[] = {server, 12345};
    r = (struct weir_fd_set){bad, 2};
    assert_int_equal(weir_select(b, &r, &o, NULL), -WEIR_EBADF);
    assert_true(r.n == 2 && o.n == 1);
}

static void test_ready_datagram_socket_is_readable_once_for_each(void **state)
{
    (void)state;
    weir_fd from = weir_socket(a, V4, WEIR_SOCK_DGRAM, 0), to = weir_socket(b, V4, WEIR_SOCK_DGRAM, 0);
    struct weir_sockaddr at = world_addr(&w, 1, V4, 53), src;
    char buf[8];
    assert_int_equal(weir_bind(b, to, &at), 0);
    watch(WEIR_EPOLL_CTL_ADD, to, WEIR_POLLIN | WEIR_EPOLLET);
    assert_int_equal(wait_one(), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_sendto(a, from, "q", 1, 0, &at), 1);
        world_settle(&w);
        assert_int_equal(wait_one(), WEIR_POLLIN);
    }
    assert_int_equal(weir_recvfrom(b, to, buf, sizeof buf, 0, &src), 1);
    assert_true(src.family == V4 && weir_addr_equal(&src.addr, &w.side[0].v4) && src.port != 0);
    assert_int_equal(weir_recvfrom(b, to, buf, sizeof buf, 0, &src), 1);
    assert_int_equal(weir_recvfrom(b, to, buf, sizeof buf, 0, &src), -WEIR_EAGAIN);
    assert_int_equal(weir_listen(b, to, 1), -WEIR_EOPNOTSUPP);
    assert_int_equal(weir_accept(b, to, NULL), -WEIR_EOPNOTSUPP);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_ready_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(epoll_level_follows_the_receive_queue),
        TEST(epoll_edge_comes_with_each_arrival),
        TEST(epoll_oneshot_needs_rearming),
        TEST(epoll_tells_of_the_peers_close),
        TEST(epoll_edge_of_room_to_send),
        TEST(epoll_listener_is_readable_while_one_waits),
        TEST(epoll_closed_socket_is_gone),
        TEST(poll_counts_what_is_ready),
        TEST(select_cuts_its_sets),
        TEST(datagram_socket_is_readable_once_for_each),
    };
    return cmocka_run_group_tests_name("sock/ready", tests, NULL, NULL);
}
