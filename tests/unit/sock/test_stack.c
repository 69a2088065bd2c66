/* The stack as its owner sees it: time, counters, tunables, a driver that is full, calls that come at a wrong moment.
 */
#include "unit/support/world.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 80
#define V4   WEIR_AF_INET
#define V6   WEIR_AF_INET6

static struct world w;
static struct weir *a, *b;

static int setup(void **state)
{
    (void)state;
    world_init(&w, NULL);
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

static void test_stack_counters_are_found_by_the_names_it_lists(void **state)
{
    (void)state;
    char name[64];
    uint64_t value;
    unsigned n = 0;
    for (; weir_stat_name(n, name, sizeof name); n++)
        assert_int_equal(weir_stat_get(a, name, &value), 0);
    assert_true(n > 100);
    assert_int_equal(weir_stat_get(a, "TcpNoSuch", &value), -WEIR_ENOENT);
    assert_int_equal(weir_stat_get(a, "drop.", &value), -WEIR_ENOENT);
    assert_int_equal(weir_stat_get(a, "", &value), -WEIR_ENOENT);
    uint8_t junk[3] = {0x45, 0, 0};
    struct weir_pkt *pkt = weir_pkt_from(weir_stack_pool(a), junk, sizeof junk);
    weir_input(a, w.side[0].netif, &pkt, 1, w.now);
    weir_pkt_unref(pkt);
    assert_int_equal(world_stat(&w, 0, "drop.IP_SHORT"), 1);
}

static void test_stack_unknown_congestion_control_is_refused(void **state)
{
    (void)state;
    char text[32];
    assert_int_equal(weir_sysctl_set(a, "net.ipv4.tcp_congestion_control", "reno"), 0);
    assert_int_equal(weir_sysctl_set(a, "net.ipv4.tcp_congestion_control", "warp"), -WEIR_EINVAL);
    assert_true(weir_sysctl_get(a, "tcp_congestion_control", text, sizeof text) > 0);
    assert_string_equal(text, "reno");
    assert_int_equal(weir_sysctl_set(a, "tcp_nosuch", "1"), -WEIR_ENOENT);
}

static void test_stack_at_rest_needs_no_call(void **state)
{
    (void)state;
    world_idle(&w);
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), client, server;
    world_connect(&w, l, V4, PORT, &client, &server);
    world_idle(&w);
    assert_true(weir_deadline(a) == WEIR_NEVER); /* an open, silent connection has no timer */
    assert_true(weir_deadline(b) == WEIR_NEVER);
    assert_string_equal(weir_hostname(a), "a");
}

/* What a call gives cause to send has left when it returns; what the driver refuses waits for its word. */
static void test_stack_output_waits_for_a_driver_that_is_full(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), client, server;
    char buf[8];
    world_connect(&w, l, V4, PORT, &client, &server);
    uint64_t sent_n = w.side[0].sent_n;
    assert_int_equal(weir_send(a, client, "one", 3, 0), 3);
    assert_int_equal(w.side[0].sent_n, sent_n + 1);
    world_settle(&w);
    w.side[0].takes_none = true;
    assert_int_equal(weir_send(a, client, "two", 3, 0), 3);
    assert_int_equal(w.side[0].sent_n, sent_n + 1);
    w.side[0].takes_none = false;
    weir_netif_tx_ready(a, w.side[0].netif);
    world_settle(&w);
    assert_int_equal(weir_recv(b, server, buf, sizeof buf, 0), 6);
    assert_int_equal(world_stat(&w, 0, "TcpRetransSegs"), 0);
}

/* A batch is answered once: 20 segments in one weir_input cost fewer than 20 acknowledgements. */
static void test_stack_batch_is_answered_at_its_end(void **state)
{
    (void)state;
    static char bytes[20000];
    world_fini(&w);
    world_init(&w, &(struct world_opts){.delay = WEIR_MS(1)});
    a = w.side[0].stack;
    b = w.side[1].stack;
    weir_fd l = world_listen(&w, 1, V4, PORT, 5), client, server;
    world_connect(&w, l, V4, PORT, &client, &server);
    for (int i = 0; i < 8; i++) { /* grow the window first */
        assert_true(weir_send(a, client, bytes, sizeof bytes, 0) > 0);
        world_run(&w, WEIR_MS(50));
        while (weir_recv(b, server, bytes, sizeof bytes, 0) > 0)
            ;
    }
    uint64_t acks = w.side[1].sent_n, segments = w.side[0].sent_n;
    struct weir_pkt *pkts[32];
    assert_int_equal(weir_send(a, client, bytes, sizeof bytes, 0), sizeof bytes);
    unsigned n = world_take(&w, 0, pkts, 32);
    assert_int_equal(n, w.side[0].sent_n - segments);
    assert_true(n > 10);
    weir_input(b, w.side[1].netif, pkts, n, w.now);
    assert_true(w.side[1].sent_n - acks < n / 2);
    for (unsigned i = 0; i < n; i++)
        weir_pkt_unref(pkts[i]);
    assert_int_equal(weir_recv(b, server, bytes, sizeof bytes, 0), sizeof bytes);
}

/* ---- A driver that calls into the stack from xmit ---- */

static weir_fd culprit;

static unsigned calls_back(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct weir *stack = *(struct weir **)driver;
    (void)pkts;
    weir_send(stack, culprit, "x", 1, 0);
    return n;
}

/* Without a sanitizer's or valgrind's last words: an end in the middle of a call leaves memory behind. */
static void leave_quietly(int sig)
{
    (void)sig;
    (void)raise(SIGKILL);
}

static void test_stack_called_from_xmit_stops(void **state)
{
    (void)state;
    static const struct weir_netif_ops ops = {.xmit = calls_back};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGILL, leave_quietly);
        signal(SIGTRAP, leave_quietly);
        signal(SIGABRT, leave_quietly);
        struct weir_netif_config cfg = {.name = "bad0", .type = WEIR_LINK_RAW_IP, .mtu = 1500};
        struct weir_addr here = weir_addr_v4(10, 9, 0, 1);
        struct weir_sockaddr there = {.addr = weir_addr_v4(10, 9, 0, 2), .family = V4, .port = 9};
        int netif = weir_netif_add(a, &ops, &a, &cfg);
        weir_addr_add(a, netif, &here, 24);
        culprit = weir_socket(a, V4, WEIR_SOCK_DGRAM, 0);
        weir_connect(a, culprit, &there);
        weir_send(a, culprit, "x", 1, 0);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- Datagrams' names ---- */

/* A dual-stack socket sees IPv4 in the mapped form everywhere: source, destination, its own name. */
static void test_stack_datagram_names_are_in_the_sockets_family(void **state)
{
    (void)state;
    weir_fd from = weir_socket(a, V4, WEIR_SOCK_DGRAM, 0), to = weir_socket(b, V6, WEIR_SOCK_DGRAM, 0);
    struct weir_sockaddr any = {.addr = weir_addr_any(V6), .family = V6, .port = 53}, at = world_addr(&w, 1, V4, 53),
                         src;
    int on = 1;
    char buf[8];
    assert_int_equal(weir_bind(b, to, &any), 0);
    assert_int_equal(weir_setsockopt(b, to, WEIR_SOL_IPV6, WEIR_IPV6_RECVPKTINFO, &on, sizeof on), 0);
    assert_int_equal(weir_sendto(a, from, "q", 1, 0, &at), 1);
    world_settle(&w);
    struct weir_iovec iov = {buf, sizeof buf};
    struct weir_msg msg = {.name = &src, .iov = &iov, .iov_n = 1};
    assert_int_equal(weir_recvmsg(b, to, &msg, 0), 1);
    assert_true(src.family == V6 && weir_addr_equal(&src.addr, &w.side[0].v4));
    assert_true(msg.has & WEIR_HAS_PKTINFO);
    assert_true(msg.dst.family == V6 && weir_addr_equal(&msg.dst.addr, &w.side[1].v4) && msg.dst.port == 53);
    assert_int_equal(msg.ifindex, w.side[1].netif);

    /* And answers in either form; a v6only socket in neither. */
    struct weir_sockaddr four = src;
    four.family = V4;
    assert_int_equal(weir_sendto(b, to, "r", 1, 0, &src), 1);
    assert_int_equal(weir_sendto(b, to, "r", 1, 0, &four), 1);
    world_settle(&w);
    for (int i = 0; i < 2; i++)
        assert_int_equal(weir_recvfrom(a, from, buf, sizeof buf, 0, &src), 1);
    assert_true(src.family == V4 && src.port == 53);
    weir_fd only = weir_socket(b, V6, WEIR_SOCK_DGRAM, 0);
    assert_int_equal(weir_setsockopt(b, only, WEIR_SOL_IPV6, WEIR_IPV6_V6ONLY, &on, sizeof on), 0);
    assert_int_equal(weir_sendto(b, only, "r", 1, 0, &four), -WEIR_ENETUNREACH);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_stack_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(counters_are_found_by_the_names_it_lists),
        TEST(unknown_congestion_control_is_refused),
        TEST(at_rest_needs_no_call),
        TEST(output_waits_for_a_driver_that_is_full),
        TEST(batch_is_answered_at_its_end),
        TEST(called_from_xmit_stops),
        TEST(datagram_names_are_in_the_sockets_family),
    };
    return cmocka_run_group_tests_name("sock/stack", tests, NULL, NULL);
}
