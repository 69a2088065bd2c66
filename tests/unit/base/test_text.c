/* Addresses, tunables and names as text: what is read is written back the same; what is wrong is refused whole. */
#include "base/sysctl.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <weir/weir.h>

#include <cmocka.h>

static void check_addr(const char *text, const char *canonical)
{
    struct weir_addr a;
    char buf[WEIR_ADDR_TEXT_CAP];

    assert_int_equal(weir_addr_parse(&a, text), 0);
    assert_string_equal(weir_addr_format(&a, buf, sizeof buf), canonical);
}

/* RFC 5952 4 and 5; the examples are that document's own or of its kind. */
static void test_addr_text_is_canonical(void **state)
{
    (void)state;
    check_addr("192.0.2.1", "192.0.2.1");
    check_addr("::ffff:192.0.2.1", "192.0.2.1"); /* one type: the mapped form is the IPv4 address */
    check_addr("::", "::");
    check_addr("::1", "::1");
    check_addr("2001:DB8:0:0:0:0:2:1", "2001:db8::2:1");
    check_addr("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"); /* one zero group stays */
    check_addr("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");          /* the longest run */
    check_addr("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");    /* the first of equals */
    check_addr("1::", "1::");
    check_addr("0:0:0:0:0:0:0:8", "::8");
    check_addr("64:ff9b::192.0.2.33", "64:ff9b::c000:221");
}

static void test_addr_malformed_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "01.2.3.4",
                                      "1.2.3.4 ",
                                      ":",
                                      ":::",
                                      "1:2",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1::2::3",
                                      "12345::",
                                      "::g",
                                      "1:2:3:4:5:6:7:8::",
                                      "1:",
                                      ":1:2:3:4:5:6:7",
                                      "::1.2.3",
                                      "::1.2.3.4:5",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "fe80::1%eth0",
                                      "0x1.2.3.4"};
    struct weir_addr a = {{7}};

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(weir_addr_parse(&a, bad[i]), -WEIR_EINVAL);
        assert_int_equal(a.b[0], 7);
    }
}

static void test_addr_kinds(void **state)
{
    (void)state;
    struct weir_addr a;

    assert_true(weir_addr_parse(&a, "127.3.2.1") == 0 && weir_addr_is_loopback(&a));
    assert_true(weir_addr_parse(&a, "::1") == 0 && weir_addr_is_loopback(&a));
    assert_true(weir_addr_parse(&a, "0.0.0.0") == 0 && weir_addr_is_any(&a) && weir_addr_is_v4(&a));
    assert_true(weir_addr_parse(&a, "239.1.1.1") == 0 && weir_addr_is_multicast(&a));
    assert_true(weir_addr_parse(&a, "ff02::1") == 0 && weir_addr_is_multicast(&a));
    assert_true(weir_addr_parse(&a, "febf::1") == 0 && weir_addr_is_linklocal(&a));
    assert_true(weir_addr_parse(&a, "fec0::1") == 0 && !weir_addr_is_linklocal(&a));
}

static void test_sockaddr_text_brackets_ipv6(void **state)
{
    (void)state;
    struct weir_sockaddr sa = {.port = 80, .family = WEIR_AF_INET6, .scope_id = 2};
    char buf[WEIR_ADDR_TEXT_CAP];

    assert_int_equal(weir_addr_parse(&sa.addr, "fe80::1"), 0);
    assert_string_equal(weir_sockaddr_format(&sa, buf, sizeof buf), "[fe80::1%2]:80");
    sa = (struct weir_sockaddr){.addr = weir_addr_v4(192, 0, 2, 1), .port = 65535};
    assert_string_equal(weir_sockaddr_format(&sa, buf, sizeof buf), "192.0.2.1:65535");
    assert_string_equal(weir_sockaddr_format(&sa, buf, 6), "192.0"); /* cut, terminated */
}

static void test_sysctl_default_value_of_each_is_accepted_back(void **state)
{
    (void)state;
    struct wi_sysctl s;
    char value[64];

    wi_sysctl_init(&s);
    for (unsigned i = 0; weir_sysctl_name(i); i++) {
        assert_true(wi_sysctl_get(&s, weir_sysctl_name(i), value, sizeof value) > 0);
        int err = wi_sysctl_set(&s, weir_sysctl_name(i), value);
        assert_true(err == 0 || err == -WEIR_EACCES); /* the latter only tells */
        assert_non_null(weir_sysctl_help(i));
    }
}

static void test_sysctl_by_short_name_and_range(void **state)
{
    (void)state;
    struct wi_sysctl s;

    wi_sysctl_init(&s);
    assert_int_equal(wi_sysctl_set(&s, "tcp_sack", "0"), 0);
    assert_int_equal(s.tcp_sack, 0);
    assert_int_equal(wi_sysctl_set(&s, "tcp_sack", "2"), -WEIR_EINVAL);
    assert_int_equal(wi_sysctl_set(&s, "tcp_sack", "1 1"), -WEIR_EINVAL);
    assert_int_equal(wi_sysctl_set(&s, "tcp_sack", ""), -WEIR_EINVAL);
    assert_int_equal(wi_sysctl_set(&s, "tcp_sakc", "1"), -WEIR_ENOENT);
    assert_int_equal(wi_sysctl_set(&s, "net.ipv4.tcp_rmem", "4096 540000 15728640"), 0);
    assert_int_equal(s.tcp_rmem.max, 15728640);
    assert_int_equal(wi_sysctl_set(&s, "tcp_rmem", "4096 2048 15728640"), -WEIR_EINVAL); /* not in order */
    assert_int_equal(s.tcp_rmem.dflt, 540000);
    assert_int_equal(wi_sysctl_set(&s, "tcp_max_orphans", "0x403"), 0);
    assert_int_equal(s.tcp_max_orphans, 0x403);
    assert_int_equal(wi_sysctl_set(&s, "ip_local_port_range", "1000 2000"), 0);
    assert_int_equal(s.ip_local_port_max, 2000);
}

static void test_names_cover_their_enums(void **state)
{
    (void)state;
    assert_string_equal(weir_strerror(-WEIR_ECONNREFUSED), "connection refused");
    assert_string_equal(weir_errno_name(WEIR_ETIMEDOUT), "ETIMEDOUT");
    assert_string_equal(weir_errno_name(9999), "E?");
    assert_string_equal(weir_tcp_state_name(WEIR_TCP_SYN_RCVD), "SYN-RECEIVED");
    for (int i = 0; i < WEIR_DROP_N; i++)
        assert_true(strlen(weir_drop_text((enum weir_drop)i)) > 0);
    assert_string_equal(weir_why_text(WEIR_WHY_REXMIT_RTO), "retransmit: timeout");
    assert_string_equal(weir_timer_text(WEIR_TIMER_TIME_WAIT), "2 MSL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_text_is_canonical),
        cmocka_unit_test(test_addr_malformed_is_refused),
        cmocka_unit_test(test_addr_kinds),
        cmocka_unit_test(test_sockaddr_text_brackets_ipv6),
        cmocka_unit_test(test_sysctl_default_value_of_each_is_accepted_back),
        cmocka_unit_test(test_sysctl_by_short_name_and_range),
        cmocka_unit_test(test_names_cover_their_enums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
