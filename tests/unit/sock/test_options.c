/* Socket options: what is taken, what is refused and with which error, what is read back. Expectations are Linux's. */
#include "unit/support/world.h"

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_init(&w, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static weir_fd open_socket(int family, int type)
{
    weir_fd fd = weir_socket(w.side[0].stack, family, type, 0);
    assert_true(fd >= 0);
    return fd;
}

static int set(weir_fd fd, int level, int name, int value)
{
    return weir_setsockopt(w.side[0].stack, fd, level, name, &value, sizeof value);
}

/* The value, or the error as a negative number below any value that a test uses. */
static int get(weir_fd fd, int level, int name)
{
    int value = -1;
    uint32_t len = sizeof value;
    int err = weir_getsockopt(w.side[0].stack, fd, level, name, &value, &len);
    if (err)
        return err - 1000;
    assert_int_equal(len, sizeof value);
    return value;
}

#define S4 WEIR_AF_INET, WEIR_SOCK_STREAM
#define S6 WEIR_AF_INET6, WEIR_SOCK_STREAM
#define D4 WEIR_AF_INET, WEIR_SOCK_DGRAM
#define D6 WEIR_AF_INET6, WEIR_SOCK_DGRAM

#define SO(name) WEIR_SOL_SOCKET, WEIR_SO_##name
#define IP(name) WEIR_SOL_IP, WEIR_IP_##name
#define V6(name) WEIR_SOL_IPV6, WEIR_IPV6_##name

static const struct row {
    int family, type, level, name, value, want_set, want_get;
} rows[] = {
    {S4, SO(REUSEADDR), 1, 0, 1},
    {S4, SO(REUSEADDR), 77, 0, 1},
    {D6, SO(REUSEPORT), -1, 0, 1},
    {D4, SO(BROADCAST), 1, 0, 1},
    {S4, SO(KEEPALIVE), 2, 0, 1},
    {S6, SO(OOBINLINE), 1, 0, 1},
    {S4, WEIR_SOL_SOCKET, 12, 6, -WEIR_ENOPROTOOPT, -WEIR_ENOPROTOOPT - 1000}, /* SO_PRIORITY: weir has no use for it */
    {D4, WEIR_SOL_SOCKET, 36, 42, -WEIR_ENOPROTOOPT, -WEIR_ENOPROTOOPT - 1000}, /* SO_MARK, likewise */
    {D4, SO(SNDBUF), 10000, 0, 20000},
    {D4, SO(SNDBUF), 1, 0, 4608},
    {D4, SO(RCVBUF), 1, 0, 2304},
    {D4, SO(RCVBUF), 0, 0, 2304},
    {S4, SO(RCVBUF), 65536, 0, 131072},
    {S4, SO(RCVLOWAT), 0, 0, 1},
    {S4, SO(RCVLOWAT), 100, 0, 100},
    {S4, SO(TYPE), 1, -WEIR_ENOPROTOOPT, WEIR_SOCK_STREAM},
    {D6, SO(TYPE), 1, -WEIR_ENOPROTOOPT, WEIR_SOCK_DGRAM},
    {D6, SO(DOMAIN), 1, -WEIR_ENOPROTOOPT, WEIR_AF_INET6},
    {D6, SO(PROTOCOL), 1, -WEIR_ENOPROTOOPT, WEIR_IPPROTO_UDP},
    {S4, SO(ERROR), 1, -WEIR_ENOPROTOOPT, 0},
    {S4, SO(ACCEPTCONN), 1, -WEIR_ENOPROTOOPT, 0},
    {D4, SO(ACCEPTCONN), 1, -WEIR_ENOPROTOOPT, 0},
    {S4, WEIR_SOL_SOCKET, 999, 1, -WEIR_ENOPROTOOPT, -WEIR_ENOPROTOOPT - 1000},
    {S4, 12345, 1, 1, -WEIR_ENOPROTOOPT, -WEIR_EOPNOTSUPP - 1000},
    {S6, 12345, 1, 1, -WEIR_ENOPROTOOPT, -WEIR_ENOPROTOOPT - 1000},
    {S6, WEIR_SOL_UDP, 1, 1, -WEIR_ENOPROTOOPT, -WEIR_ENOPROTOOPT - 1000},
    {D4, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1, -WEIR_ENOPROTOOPT, -WEIR_EOPNOTSUPP - 1000},

    {D4, IP(TOS), 0xff, 0, 0xff},
    {S4, IP(TOS), 0xff, 0, 0xfc}, /* the ECN bits are TCP's */
    {S4, IP(TTL), 5, 0, 5},
    {S4, IP(TTL), -1, 0, 64},
    {S4, IP(TTL), 0, -WEIR_EINVAL, 64},
    {S4, IP(TTL), 256, -WEIR_EINVAL, 64},
    {D4, IP(MTU_DISCOVER), 2, 0, 2},
    {D4, IP(MTU_DISCOVER), 9, -WEIR_EINVAL, 1},
    {D4, IP(RECVTTL), 1, 0, 1},
    {D4, IP(RECVTOS), 1, 0, 1},
    {D4, IP(PKTINFO), 1, 0, 1},
    {D4, IP(RECVERR), 1, 0, 1},
    {D4, IP(TRANSPARENT), 1, 0, 1},
    {D4, IP(BIND_ADDRESS_NO_PORT), 1, 0, 1},
    {D4, IP(MULTICAST_TTL), 7, 0, 7},
    {D4, IP(MULTICAST_TTL), -1, 0, 1},
    {D4, IP(MULTICAST_TTL), 256, -WEIR_EINVAL, 1},
    {S4, IP(MULTICAST_TTL), 7, -WEIR_EINVAL, 1},
    {D4, IP(MULTICAST_LOOP), 0, 0, 0},
    {D4, IP(MTU), 1400, -WEIR_ENOPROTOOPT, -WEIR_ENOTCONN - 1000},
    {D6, IP(TTL), 9, 0, 9}, /* an AF_INET6 socket may carry IPv4 */

    {D4, V6(UNICAST_HOPS), 5, -WEIR_ENOPROTOOPT, -WEIR_EOPNOTSUPP - 1000},
    {D6, V6(UNICAST_HOPS), 5, 0, 5},
    {D6, V6(UNICAST_HOPS), -1, 0, 64},
    {D6, V6(UNICAST_HOPS), 256, -WEIR_EINVAL, 64},
    {D6, V6(MULTICAST_HOPS), 255, 0, 255},
    {S6, V6(MULTICAST_HOPS), 255, -WEIR_ENOPROTOOPT, 1},
    {D6, V6(MULTICAST_LOOP), 2, -WEIR_EINVAL, 1},
    {D6, V6(MULTICAST_LOOP), 0, 0, 0},
    {D6, V6(MULTICAST_IF), 2, 0, 2},
    {D6, V6(MULTICAST_IF), 77, -WEIR_ENODEV, 0},
    {D6, V6(V6ONLY), 1, 0, 1},
    {D6, V6(RECVPKTINFO), 1, 0, 1},
    {D6, V6(RECVHOPLIMIT), 1, 0, 1},
    {D6, V6(RECVTCLASS), 1, 0, 1},
    {D6, V6(TCLASS), 0x23, 0, 0x23},
    {D6, V6(TCLASS), -1, 0, 0},
    {D6, V6(TCLASS), 256, -WEIR_EINVAL, 0},
    {D6, V6(RECVERR), 1, 0, 1},
    {D6, V6(MTU_DISCOVER), 3, 0, 3},

    {D4, WEIR_SOL_WEIR, WEIR_OPT_ANY_PORT, 1, 0, 1},
    {S4, WEIR_SOL_WEIR, WEIR_OPT_HOLD_SYN, 1, 0, 1},
    {D4, WEIR_SOL_WEIR, WEIR_OPT_HOLD_SYN, 1, -WEIR_EOPNOTSUPP, 0},
    {S4, WEIR_SOL_WEIR, WEIR_OPT_CONN_ID, 1, -WEIR_ENOPROTOOPT, 1},
};

static void test_option_set_and_read_back_is_as_on_linux(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        weir_fd fd = open_socket(r->family, r->type);
        int err = set(fd, r->level, r->name, r->value), value = get(fd, r->level, r->name);
        if (err != r->want_set)
            fail_msg("row %zu: set gave %d, not %d", i, err, r->want_set);
        if (value != r->want_get && !(r->level == WEIR_SOL_WEIR && r->name == WEIR_OPT_CONN_ID))
            fail_msg("row %zu: get gave %d, not %d", i, value, r->want_get);
        assert_int_equal(weir_close(w.side[0].stack, fd), 0);
    }
}

static void test_option_short_values_are_refused_or_cut(void **state)
{
    (void)state;
    struct weir *s = w.side[0].stack;
    weir_fd fd = open_socket(D4);
    int value = 1;
    assert_int_equal(weir_setsockopt(s, fd, SO(REUSEADDR), &value, 3), -WEIR_EINVAL);
    assert_int_equal(weir_setsockopt(s, fd, SO(REUSEADDR), &value, UINT32_MAX), -WEIR_EINVAL);
    assert_int_equal(weir_setsockopt(s, fd, SO(REUSEADDR), NULL, 4), -WEIR_EFAULT);
    assert_int_equal(weir_setsockopt(s, fd, SO(LINGER), &value, 4), -WEIR_EINVAL);
    /* SOL_IP takes and gives bytes. */
    uint8_t byte = 9;
    assert_int_equal(weir_setsockopt(s, fd, IP(TTL), &byte, 1), 0);
    uint32_t len = 1;
    byte = 0;
    assert_int_equal(weir_getsockopt(s, fd, IP(TTL), &byte, &len), 0);
    assert_int_equal(byte, 9);
    assert_int_equal(len, 1);
    value = 0;
    len = 2;
    assert_int_equal(weir_getsockopt(s, fd, SO(TYPE), &value, &len), 0);
    assert_int_equal(len, 2);
    len = UINT32_MAX;
    assert_int_equal(weir_getsockopt(s, fd, SO(TYPE), &value, &len), -WEIR_EINVAL);
    assert_int_equal(weir_close(s, fd), 0);
    assert_int_equal(set(fd, SO(REUSEADDR), 1), -WEIR_EBADF);
    weir_fd ep = weir_epoll_create(s);
    assert_int_equal(set(ep, SO(REUSEADDR), 1), -WEIR_ENOTSOCK);
}

static void test_option_buffers_are_limited_but_by_force(void **state)
{
    (void)state;
    weir_fd fd = open_socket(D4);
    assert_int_equal(weir_sysctl_set(w.side[0].stack, "net.core.wmem_max", "50000"), 0);
    assert_int_equal(weir_sysctl_set(w.side[0].stack, "net.core.rmem_max", "60000"), 0);
    assert_int_equal(set(fd, SO(SNDBUF), 1 << 20), 0);
    assert_int_equal(get(fd, SO(SNDBUF)), 100000);
    assert_int_equal(set(fd, SO(RCVBUF), -5), 0); /* Linux compares without sign */
    assert_int_equal(get(fd, SO(RCVBUF)), 120000);
    assert_int_equal(set(fd, SO(SNDBUFFORCE), 1 << 20), 0);
    assert_int_equal(get(fd, SO(SNDBUF)), 2 << 20);
    assert_int_equal(set(fd, SO(RCVBUFFORCE), INT32_MAX), 0);
    assert_int_equal(get(fd, SO(RCVBUF)), INT32_MAX - 1);
    assert_int_equal(get(fd, SO(RCVBUFFORCE)), -WEIR_ENOPROTOOPT - 1000);
}

static void test_option_linger_is_read_back(void **state)
{
    (void)state;
    struct weir *s = w.side[0].stack;
    weir_fd fd = open_socket(S4);
    struct weir_linger linger = {.onoff = 5, .seconds = 30};
    uint32_t len = sizeof linger;
    assert_int_equal(weir_setsockopt(s, fd, SO(LINGER), &linger, sizeof linger), 0);
    linger = (struct weir_linger){0};
    assert_int_equal(weir_getsockopt(s, fd, SO(LINGER), &linger, &len), 0);
    assert_int_equal(linger.onoff, 1);
    assert_int_equal(linger.seconds, 30);
    assert_int_equal(len, sizeof linger);
}

static void test_option_device_is_bound_by_name(void **state)
{
    (void)state;
    struct weir *s = w.side[0].stack;
    weir_fd fd = open_socket(D4);
    char name[16];
    uint32_t len = sizeof name;
    assert_int_equal(weir_getsockopt(s, fd, SO(BINDTODEVICE), name, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(weir_setsockopt(s, fd, SO(BINDTODEVICE), "nosuch0", 7), -WEIR_ENODEV);
    assert_int_equal(weir_setsockopt(s, fd, SO(BINDTODEVICE), "link0", 5), 0);
    len = sizeof name;
    assert_int_equal(weir_getsockopt(s, fd, SO(BINDTODEVICE), name, &len), 0);
    assert_int_equal(len, 6);
    assert_string_equal(name, "link0");
    len = 3;
    assert_int_equal(weir_getsockopt(s, fd, SO(BINDTODEVICE), name, &len), -WEIR_EINVAL);
    assert_int_equal(weir_setsockopt(s, fd, SO(BINDTODEVICE), "", 0), 0);
    len = sizeof name;
    assert_int_equal(weir_getsockopt(s, fd, SO(BINDTODEVICE), name, &len), 0);
    assert_int_equal(len, 0);
}

static void test_option_mtu_is_the_paths_once_connected(void **state)
{
    (void)state;
    weir_fd fd = open_socket(D4);
    struct weir_sockaddr to = world_addr(&w, 1, WEIR_AF_INET, 9);
    assert_int_equal(weir_connect(w.side[0].stack, fd, &to), 0);
    assert_int_equal(get(fd, IP(MTU)), 1500);
}

static void test_option_v6only_and_any_port_only_before_bind(void **state)
{
    (void)state;
    struct weir *s = w.side[0].stack;
    weir_fd fd = open_socket(D6);
    struct weir_sockaddr any = {.addr = weir_addr_any(WEIR_AF_INET6), .family = WEIR_AF_INET6, .port = 5000};
    assert_int_equal(weir_bind(s, fd, &any), 0);
    assert_int_equal(set(fd, V6(V6ONLY), 1), -WEIR_EINVAL);
    assert_int_equal(set(fd, WEIR_SOL_WEIR, WEIR_OPT_ANY_PORT, 1), -WEIR_EINVAL);
}

static void test_option_memberships_are_counted_and_leave_with_the_socket(void **state)
{
    (void)state;
    struct weir *s = w.side[0].stack;
    weir_fd four = open_socket(D4), six = open_socket(D6), stream = open_socket(S4);
    struct weir_mreqn req = {.group = {239, 1, 2, 3}, .ifindex = w.side[0].netif};
    struct weir_ipv6_mreq req6 = {.group = {0xff, 0x15, [15] = 9}, .ifindex = (uint32_t)w.side[0].netif};
    assert_int_equal(weir_setsockopt(s, four, IP(DROP_MEMBERSHIP), &req, sizeof req), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(weir_setsockopt(s, four, IP(ADD_MEMBERSHIP), &req, sizeof req), 0);
    assert_int_equal(weir_setsockopt(s, four, IP(ADD_MEMBERSHIP), &req, sizeof req), -WEIR_EADDRINUSE);
    assert_int_equal(weir_setsockopt(s, four, IP(ADD_MEMBERSHIP), &req, 4), -WEIR_EINVAL);
    assert_int_equal(weir_setsockopt(s, stream, IP(ADD_MEMBERSHIP), &req, sizeof req), -WEIR_EPROTO);
    assert_int_equal(weir_setsockopt(s, six, V6(JOIN_GROUP), &req6, sizeof req6), 0);
    assert_int_equal(weir_setsockopt(s, six, V6(LEAVE_GROUP), &req6, sizeof req6), 0);
    assert_int_equal(weir_setsockopt(s, six, V6(JOIN_GROUP), &req6, sizeof req6), 0);
    req6.ifindex = 99;
    assert_int_equal(weir_setsockopt(s, six, V6(JOIN_GROUP), &req6, sizeof req6), -WEIR_ENODEV);
    req.group[0] = 10;
    assert_int_equal(weir_setsockopt(s, four, IP(ADD_MEMBERSHIP), &req, sizeof req), -WEIR_EINVAL);

    /* By one of our addresses instead of an index. */
    struct weir_mreqn by_addr = {.group = {239, 1, 2, 4}, .address = {10, 0, 0, 1}};
    assert_int_equal(weir_setsockopt(s, four, IP(ADD_MEMBERSHIP), &by_addr, 8), 0);
    by_addr.address[3] = 99;
    by_addr.group[3] = 5;
    assert_int_equal(weir_setsockopt(s, four, IP(ADD_MEMBERSHIP), &by_addr, 8), -WEIR_ENODEV);
    assert_int_equal(weir_close(s, four), 0);
    assert_int_equal(weir_close(s, six), 0);
    assert_null(weir_check(s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_option_set_and_read_back_is_as_on_linux, setup, teardown),
        cmocka_unit_test_setup_teardown(test_option_short_values_are_refused_or_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_option_buffers_are_limited_but_by_force, setup, teardown),
        cmocka_unit_test_setup_teardown(test_option_linger_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_option_device_is_bound_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_option_mtu_is_the_paths_once_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_option_v6only_and_any_port_only_before_bind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_option_memberships_are_counted_and_leave_with_the_socket, setup, teardown),
    };
    return cmocka_run_group_tests_name("sock/options", tests, NULL, NULL);
}
