/* TCP through the public calls, between two stacks: what a program sees. */
#include "unit/support/world.h"

#define PORT 80
#define V4   WEIR_AF_INET
#define V6   WEIR_AF_INET6

static struct world w;
static struct weir *a, *b; /* its stacks */

static int setup(void **state)
{
    (void)state;
    world_init(&w, &(struct world_opts){.delay = WEIR_MS(5)});
    a = w.side[0].stack;
    b = w.side[1].stack;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static int so_error(struct weir *stack, weir_fd fd)
{
    int err = -1;
    uint32_t len = sizeof err;
    assert_int_equal(weir_getsockopt(stack, fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len), 0);
    return err;
}

static void say(struct weir *from, weir_fd fd, const char *text)
{
    assert_int_equal(weir_send(from, fd, text, strlen(text), 0), strlen(text));
    world_settle(&w);
}

static void hear(struct weir *at, weir_fd fd, const char *text)
{
    char buf[256];
    assert_int_equal(weir_recv(at, fd, buf, sizeof buf, 0), strlen(text));
    assert_memory_equal(buf, text, strlen(text));
}

static void test_stream_echo_goes_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int family = i ? V6 : V4;
        weir_fd l = world_listen(&w, 1, family, PORT, 5), client, server;
        world_connect(&w, l, family, PORT, &client, &server);
        char buf[8];
        assert_int_equal(weir_recv(b, server, buf, sizeof buf, 0), -WEIR_EAGAIN);
        say(a, client, "hello");
        assert_true(world_poll(&w, 1, server) & WEIR_POLLIN);
        hear(b, server, "hello");
        say(b, server, "hello yourself");
        hear(a, client, "hello yourself");
        assert_int_equal(weir_close(a, client), 0);
        world_settle(&w);
        assert_int_equal(weir_recv(b, server, buf, sizeof buf, 0), 0);
        assert_int_equal(weir_close(b, server), 0);
        assert_int_equal(weir_close(b, l), 0);
        world_settle(&w);
    }
}

static void test_stream_names_are_shown_in_the_sockets_family(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V6, PORT, 5), client, server;
    struct weir_sockaddr name, peer;
    char text[WEIR_ADDR_TEXT_CAP];
    assert_int_equal(weir_getsockname(b, l, &name), 0);
    assert_int_equal(name.family, V6);
    assert_int_equal(name.port, PORT);
    assert_true(weir_addr_is_any(&name.addr) && !weir_addr_is_v4(&name.addr));
    assert_int_equal(weir_getpeername(b, l, &peer), -WEIR_ENOTCONN);

    /* An IPv4 client of a dual-stack listener. */
    world_connect(&w, l, V4, PORT, &client, &server);
    assert_int_equal(weir_getsockname(a, client, &name), 0);
    assert_int_equal(weir_getpeername(b, server, &peer), 0);
    assert_int_equal(name.family, V4);
    assert_int_equal(peer.family, V6);
    assert_int_equal(peer.port, name.port);
    assert_true(weir_addr_equal(&peer.addr, &w.side[0].v4));
    assert_int_equal(weir_getpeername(a, client, &peer), 0);
    assert_string_equal(weir_sockaddr_format(&peer, text, sizeof text), "10.0.0.2:80");
}

static void test_stream_unbound_socket_has_the_wildcard_name(void **state)
{
    (void)state;
    struct weir_sockaddr name;
    weir_fd four = weir_socket(a, V4, WEIR_SOCK_STREAM, 0), six = weir_socket(a, V6, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_getsockname(a, four, &name), 0);
    assert_true(name.family == V4 && name.port == 0 && weir_addr_is_v4(&name.addr) && weir_addr_is_any(&name.addr));
    assert_int_equal(weir_getsockname(a, six, &name), 0);
    assert_true(name.family == V6 && name.port == 0 && !weir_addr_is_v4(&name.addr) && weir_addr_is_any(&name.addr));
    assert_int_equal(weir_getpeername(a, six, &name), -WEIR_ENOTCONN);
}

static void test_stream_half_close_leaves_the_other_half(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), client, server;
    char buf[8];
    world_connect(&w, l, V4, PORT, &client, &server);
    assert_int_equal(weir_shutdown(a, client, 3), -WEIR_EINVAL);
    assert_int_equal(weir_shutdown(a, client, WEIR_SHUT_WR), 0);
    world_settle(&w);
    assert_int_equal(weir_send(a, client, "x", 1, 0), -WEIR_EPIPE);
    int events = world_poll(&w, 1, server);
    assert_true(events & WEIR_POLLIN && events & WEIR_POLLRDHUP && !(events & WEIR_POLLHUP));
    assert_int_equal(weir_recv(b, server, buf, sizeof buf, 0), 0);
    say(b, server, "and yet");
    hear(a, client, "and yet");
    assert_int_equal(weir_shutdown(b, server, WEIR_SHUT_WR), 0);
    world_settle(&w);
    assert_int_equal(weir_recv(a, client, buf, sizeof buf, 0), 0);
    assert_true(world_poll(&w, 1, server) & WEIR_POLLHUP);
    assert_int_equal(so_error(b, server), 0);
}

/* RFC 1122 4.2.2.13: a close with unread data is a reset. */
static void test_stream_close_with_unread_data_resets(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), client, server;
    char buf[8];
    world_connect(&w, l, V4, PORT, &client, &server);
    say(a, client, "nobody reads this");
    assert_int_equal(weir_close(b, server), 0);
    world_settle(&w);
    assert_int_equal(world_poll(&w, 0, client),
                     WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLERR | WEIR_POLLHUP | WEIR_POLLRDHUP);
    assert_int_equal(weir_recv(a, client, buf, sizeof buf, 0), -WEIR_ECONNRESET);
    assert_int_equal(weir_recv(a, client, buf, sizeof buf, 0), 0); /* the error was told */
    assert_int_equal(weir_send(a, client, "x", 1, 0), -WEIR_EPIPE);
    struct weir_sockaddr peer;
    assert_int_equal(weir_getpeername(a, client, &peer), -WEIR_ENOTCONN);
}

static void test_stream_abort_resets_at_once(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V6, PORT, 5), client, server;
    world_connect(&w, l, V6, PORT, &client, &server);
    assert_int_equal(weir_abort(a, client), 0);
    assert_int_equal(weir_abort(a, client), -WEIR_EBADF);
    world_settle(&w);
    assert_int_equal(so_error(b, server), WEIR_ECONNRESET);
    assert_int_equal(so_error(b, server), 0);
    assert_int_equal(world_stat(&w, 0, "TcpOutRsts"), 1);
}

static void test_stream_connect_to_a_closed_port_is_refused(void **state)
{
    (void)state;
    struct weir_sockaddr to = world_addr(&w, 1, V4, 9);
    weir_fd fd = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_connect(a, fd, &to), -WEIR_EINPROGRESS);
    assert_int_equal(weir_connect(a, fd, &to), -WEIR_EALREADY);
    struct weir_sockaddr peer;
    assert_int_equal(weir_getpeername(a, fd, &peer), -WEIR_ENOTCONN);
    assert_int_equal(world_poll(&w, 0, fd) & WEIR_POLLOUT, 0);
    world_settle(&w);
    assert_true(world_poll(&w, 0, fd) & WEIR_POLLERR);
    assert_int_equal(so_error(a, fd), WEIR_ECONNREFUSED);
    assert_int_equal(so_error(a, fd), 0);
}

static void test_stream_wildcard_destination_is_this_host(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 0, V6, PORT, 5);
    uint64_t sent_n = w.side[0].sent_n;
    for (int i = 0; i < 2; i++) {
        int family = i ? V6 : V4;
        struct weir_sockaddr to = {.addr = weir_addr_any(family), .family = (uint16_t)family, .port = PORT};
        weir_fd fd = weir_socket(a, family, WEIR_SOCK_STREAM, 0);
        assert_int_equal(weir_connect(a, fd, &to), -WEIR_EINPROGRESS);
        struct weir_sockaddr peer;
        assert_int_equal(weir_getpeername(a, fd, &peer), 0); /* loopback is done before connect returns */
        assert_true(weir_addr_is_loopback(&peer.addr));
        assert_true(weir_accept(a, l, NULL) >= 0);
    }
    assert_int_equal(w.side[0].sent_n, sent_n);
}

static void test_stream_wrong_families_are_refused_as_on_linux(void **state)
{
    (void)state;
    weir_fd four = weir_socket(a, V4, WEIR_SOCK_STREAM, 0), six = weir_socket(a, V6, WEIR_SOCK_STREAM, 0);
    weir_fd only = weir_socket(a, V6, WEIR_SOCK_STREAM, 0);
    int on = 1;
    assert_int_equal(weir_setsockopt(a, only, WEIR_SOL_IPV6, WEIR_IPV6_V6ONLY, &on, sizeof on), 0);
    struct weir_sockaddr to4 = world_addr(&w, 1, V4, PORT), to6 = world_addr(&w, 1, V6, PORT), mapped = to4,
                         wrong = to6;
    mapped.family = V6;
    wrong.family = V4;
    assert_int_equal(weir_connect(a, four, &to6), -WEIR_EAFNOSUPPORT);
    assert_int_equal(weir_connect(a, four, &wrong), -WEIR_EAFNOSUPPORT);
    assert_int_equal(weir_connect(a, six, &to4), -WEIR_EAFNOSUPPORT);
    assert_int_equal(weir_connect(a, only, &mapped), -WEIR_ENETUNREACH);
    assert_int_equal(weir_connect(a, six, &mapped), -WEIR_EINPROGRESS);

    struct weir_sockaddr any4 = {.addr = weir_addr_any(V4), .port = 1234}, self = world_addr(&w, 0, V4, 1235);
    self.family = V6;
    assert_int_equal(weir_bind(a, only, &self), -WEIR_EINVAL);
    assert_int_equal(weir_bind(a, only, &to4), -WEIR_EAFNOSUPPORT);
    assert_int_equal(weir_bind(a, four, &to6), -WEIR_EAFNOSUPPORT);
    assert_int_equal(weir_bind(a, four, &any4), 0); /* AF_UNSPEC with the wildcard */
    struct weir_sockaddr linklocal = {.addr = {{0xfe, 0x80, [15] = 7}}, .family = V6, .port = PORT};
    assert_int_equal(weir_bind(a, only, &linklocal), -WEIR_EINVAL);
    assert_int_equal(weir_connect(a, only, &linklocal), -WEIR_EINVAL);

    assert_int_equal(weir_socket(a, 1, WEIR_SOCK_STREAM, 0), -WEIR_EAFNOSUPPORT);
    assert_int_equal(weir_socket(a, V4, 3, 0), -WEIR_ESOCKTNOSUPPORT);
    assert_int_equal(weir_socket(a, V4, WEIR_SOCK_STREAM, WEIR_IPPROTO_UDP), -WEIR_EPROTONOSUPPORT);
}

/* RFC 4007: a link-local address is one on a link, and so the socket belongs to that link. */
static void test_stream_link_local_address_ties_the_socket_to_its_link(void **state)
{
    (void)state;
    struct weir_sockaddr here = {.addr = {{0xfe, 0x80, [15] = 1}}, .family = V6}, there = here;
    there.addr.b[15] = 2;
    there.port = here.port = PORT;
    assert_int_equal(weir_addr_add(a, w.side[0].netif, &here.addr, 64), 0);
    assert_int_equal(weir_addr_add(b, w.side[1].netif, &there.addr, 64), 0);
    weir_fd l = world_listen(&w, 1, V6, PORT, 5), fd = weir_socket(a, V6, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_connect(a, fd, &there), -WEIR_EINVAL);
    there.scope_id = (uint32_t)w.side[0].netif;
    assert_int_equal(weir_connect(a, fd, &there), -WEIR_EINPROGRESS);
    world_settle(&w);
    struct weir_sockaddr peer;
    assert_true(weir_accept(b, l, &peer) >= 0);
    assert_true(weir_addr_equal(&peer.addr, &here.addr));
    char name[16];
    uint32_t len = sizeof name;
    assert_int_equal(weir_getsockopt(a, fd, WEIR_SOL_SOCKET, WEIR_SO_BINDTODEVICE, name, &len), 0);
    assert_string_equal(name, "link0");

    weir_fd other = weir_socket(a, V6, WEIR_SOCK_STREAM, 0);
    here.scope_id = 1; /* not an address of that link: nothing sticks */
    assert_int_equal(weir_bind(a, other, &here), -WEIR_EADDRNOTAVAIL);
    here.scope_id = (uint32_t)w.side[0].netif;
    assert_int_equal(weir_bind(a, other, &here), 0);
}

static void test_stream_v6only_listener_leaves_ipv4_alone(void **state)
{
    (void)state;
    weir_fd only = weir_socket(b, V6, WEIR_SOCK_STREAM, 0);
    int on = 1;
    struct weir_sockaddr any = {.addr = weir_addr_any(V6), .family = V6, .port = PORT};
    assert_int_equal(weir_setsockopt(b, only, WEIR_SOL_IPV6, WEIR_IPV6_V6ONLY, &on, sizeof on), 0);
    assert_int_equal(weir_bind(b, only, &any), 0);
    assert_int_equal(weir_listen(b, only, 5), 0);
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    weir_fd fd = weir_socket(a, V4, WEIR_SOCK_STREAM, 0), client, server;
    assert_int_equal(weir_connect(a, fd, &to), -WEIR_EINPROGRESS);
    world_settle(&w);
    assert_int_equal(so_error(a, fd), WEIR_ECONNREFUSED);
    (void)world_listen(&w, 1, V4, PORT, 5); /* and the port is free for it */
    world_connect(&w, only, V6, PORT, &client, &server);
}

/* Linux: backlog + 1 wait for accept; the next ones stay outside until there is room, and get in then. */
static void test_stream_backlog_holds_one_more_than_it_says(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V4, PORT, 2);
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    weir_fd fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
        assert_int_equal(weir_connect(a, fds[i], &to), -WEIR_EINPROGRESS);
        world_settle(&w);
    }
    for (int i = 0; i < 3; i++)
        assert_true(weir_accept(b, l, NULL) >= 0);
    assert_int_equal(weir_accept(b, l, NULL), -WEIR_EAGAIN);
    int late = 0;
    for (int i = 0; i < 60; i++) {
        world_run(&w, WEIR_SEC(1));
        while (weir_accept(b, l, NULL) >= 0)
            late++;
    }
    assert_int_equal(late, 3);
}

/* Only so many handles: a connection that can't have one stays where it waits. */
static void test_stream_accept_without_a_handle_leaves_the_connection(void **state)
{
    (void)state;
    world_fini(&w);
    world_init(&w, &(struct world_opts){.sockets_max = 2});
    a = w.side[0].stack;
    b = w.side[1].stack;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), other = weir_socket(b, V4, WEIR_SOCK_DGRAM, 0);
    assert_true(other >= 0);
    assert_int_equal(weir_socket(b, V4, WEIR_SOCK_DGRAM, 0), -WEIR_EMFILE);
    struct weir_sockaddr to = world_addr(&w, 1, V4, PORT);
    weir_fd fd = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_connect(a, fd, &to), -WEIR_EINPROGRESS);
    world_settle(&w);
    assert_int_equal(weir_accept(b, l, NULL), -WEIR_EMFILE);
    assert_true(world_poll(&w, 1, l) & WEIR_POLLIN);
    assert_int_equal(weir_close(b, other), 0);
    assert_true(weir_accept(b, l, NULL) >= 0);
}

static void test_stream_calls_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), fd = weir_socket(b, V4, WEIR_SOCK_STREAM, 0);
    weir_fd ep = weir_epoll_create(b), gone = weir_socket(b, V4, WEIR_SOCK_STREAM, 0);
    char buf[8];
    assert_int_equal(weir_close(b, gone), 0);
    assert_int_equal(weir_close(b, gone), -WEIR_EBADF);
    assert_int_equal(weir_recv(b, gone, buf, sizeof buf, 0), -WEIR_EBADF);
    assert_int_equal(weir_recv(b, ep, buf, sizeof buf, 0), -WEIR_ENOTSOCK);
    assert_int_equal(weir_listen(b, ep, 1), -WEIR_ENOTSOCK);
    assert_int_equal(weir_accept(b, fd, NULL), -WEIR_EINVAL);
    assert_int_equal(weir_accept(b, l, NULL), -WEIR_EAGAIN);
    assert_int_equal(weir_recv(b, fd, buf, sizeof buf, 0), -WEIR_ENOTCONN);
    assert_int_equal(weir_send(b, fd, buf, sizeof buf, 0), -WEIR_EPIPE); /* as Linux has it */
    assert_int_equal(weir_shutdown(b, fd, WEIR_SHUT_WR), -WEIR_ENOTCONN);
    assert_int_equal(world_poll(&w, 1, fd), WEIR_POLLOUT | WEIR_POLLHUP);
    assert_int_equal(world_poll(&w, 1, l), 0);
    struct weir_sockaddr to = world_addr(&w, 0, V4, PORT);
    assert_int_equal(weir_connect(b, l, &to), -WEIR_EISCONN);
    weir_fd udp = weir_socket(b, V4, WEIR_SOCK_DGRAM, 0);
    assert_int_equal(weir_listen(b, udp, 1), -WEIR_EOPNOTSUPP);
    assert_int_equal(weir_accept(b, udp, NULL), -WEIR_EOPNOTSUPP);
    assert_int_equal(weir_send(b, udp, buf, sizeof buf, 0), -WEIR_EDESTADDRREQ);
    assert_int_equal(weir_shutdown(b, udp, WEIR_SHUT_WR), -WEIR_ENOTCONN);
    assert_int_equal(world_poll(&w, 1, udp), WEIR_POLLOUT);
    assert_int_equal(weir_tcp_admit(b, fd), -WEIR_EINVAL);
    assert_int_equal(weir_tcp_refuse(b, fd, 0), -WEIR_EINVAL);
    assert_int_equal(weir_close(b, ep), 0);
    int on = 0;
    uint32_t len = sizeof on;
    assert_int_equal(weir_getsockopt(b, l, WEIR_SOL_SOCKET, WEIR_SO_ACCEPTCONN, &on, &len), 0);
    assert_int_equal(on, 1);
}

/* Nothing is copied: what one side lends, the other gets as views. */
static void test_stream_views_go_through_without_copies(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), client, server;
    world_connect(&w, l, V4, PORT, &client, &server);
    struct weir_block *block = weir_block_new(weir_stack_pool(a), 4000);
    assert_non_null(block);
    memset(block->data, 'v', 4000);
    struct weir_frag frag = {.block = block, .off = 0, .len = 4000};
    assert_int_equal(weir_send_frags(a, client, &frag, 1, 0), 4000);
    weir_block_unref(block);
    world_settle(&w);
    struct weir_frag got[8];
    size_t bytes, sum = 0;
    int64_t n;
    while ((n = weir_recv_frags(b, server, got, 8, 1 << 20, &bytes)) > 0) {
        for (int i = 0; i < n; i++) {
            assert_int_equal(got[i].block->data[got[i].off], 'v');
            sum += got[i].len;
            weir_block_unref(got[i].block);
        }
    }
    assert_int_equal(n, -WEIR_EAGAIN);
    assert_int_equal(sum, 4000);
}

static void test_stream_held_syn_is_admitted_or_refused(void **state)
{
    (void)state;
    weir_fd l = weir_socket(b, V4, WEIR_SOCK_STREAM, 0);
    int on = 1;
    struct weir_sockaddr any = {.addr = weir_addr_any(V4), .family = V4, .port = PORT},
                         to = world_addr(&w, 1, V4, PORT);
    assert_int_equal(weir_setsockopt(b, l, WEIR_SOL_WEIR, WEIR_OPT_HOLD_SYN, &on, sizeof on), 0);
    assert_int_equal(weir_bind(b, l, &any), 0);
    assert_int_equal(weir_listen(b, l, 5), 0);
    weir_fd fds[2], held[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = weir_socket(a, V4, WEIR_SOCK_STREAM, 0);
        assert_int_equal(weir_connect(a, fds[i], &to), -WEIR_EINPROGRESS);
        world_settle(&w);
        assert_int_equal(world_poll(&w, 0, fds[i]) & WEIR_POLLOUT, 0);
        held[i] = weir_accept(b, l, NULL);
        assert_true(held[i] >= 0);
    }
    assert_int_equal(weir_tcp_admit(b, held[0]), 0);
    assert_int_equal(weir_tcp_refuse(b, held[1], WEIR_ECONNREFUSED), 0);
    assert_int_equal(weir_close(b, held[1]), -WEIR_EBADF);
    world_settle(&w);
    assert_true(world_poll(&w, 0, fds[0]) & WEIR_POLLOUT);
    assert_int_equal(so_error(a, fds[1]), WEIR_ECONNREFUSED);
    say(a, fds[0], "through");
    hear(b, held[0], "through");
}

/* The clock is the owner's; that it jumps back must not undo what has happened. */
static void test_stream_time_never_runs_backwards(void **state)
{
    (void)state;
    weir_ns before = weir_now(a);
    weir_advance(a, before - WEIR_SEC(1));
    assert_true(weir_now(a) == before);
    weir_input(a, w.side[0].netif, NULL, 0, 0);
    assert_true(weir_now(a) == before);
    weir_advance(a, before + 1);
    assert_true(weir_now(a) == before + 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_stream_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(echo_goes_both_ways),
        TEST(names_are_shown_in_the_sockets_family),
        TEST(unbound_socket_has_the_wildcard_name),
        TEST(half_close_leaves_the_other_half),
        TEST(close_with_unread_data_resets),
        TEST(abort_resets_at_once),
        TEST(connect_to_a_closed_port_is_refused),
        TEST(wildcard_destination_is_this_host),
        TEST(wrong_families_are_refused_as_on_linux),
        TEST(link_local_address_ties_the_socket_to_its_link),
        TEST(v6only_listener_leaves_ipv4_alone),
        TEST(backlog_holds_one_more_than_it_says),
        TEST(accept_without_a_handle_leaves_the_connection),
        TEST(calls_that_do_not_fit_are_refused),
        TEST(views_go_through_without_copies),
        TEST(held_syn_is_admitted_or_refused),
        TEST(time_never_runs_backwards),
    };
    return cmocka_run_group_tests_name("sock/stream", tests, NULL, NULL);
}
