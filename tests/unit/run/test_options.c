/* The command line of weir run. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <weir/weir.h>

#include "run/options.h"
#include "run/run.h"

#define WORDS(...)    ((const char *const[]){"run", __VA_ARGS__})
#define PARSE(o, ...) parse((o), WORDS(__VA_ARGS__), sizeof WORDS(__VA_ARGS__) / sizeof(char *))

static int parse(struct wir_run_opts *o, const char *const *words, size_t n)
{
    static char *argv[16]; /* what was parsed points into it */
    assert_true(n < sizeof argv / sizeof argv[0]);
    memset(argv, 0, sizeof argv);
    memcpy(argv, words, n * sizeof *argv);
    return wir_opts_parse(o, (int)n, argv);
}

static void test_options_program_arguments_are_left_alone(void **state)
{
    struct wir_run_opts o;
    (void)state;
    assert_int_equal(PARSE(&o, "-q", "curl", "-p", "80:80"), 0);
    assert_string_equal(o.argv[0], "curl");
    assert_string_equal(o.argv[1], "-p");
    assert_int_equal(o.publish_n, 0);
    assert_true(o.is_quiet);
}

static void test_options_link_and_profile_any_order_profile_first(void **state)
{
    struct wir_run_opts o;
    (void)state;
    assert_int_equal(PARSE(&o, "--link", "delay=40ms", "--profile", "lte", "--", "true"), 0);
    assert_true(o.link.dir[WIO_UP].delay == WEIR_MS(40));
    assert_true(o.link.dir[WIO_DOWN].rate_bps > 0);
}

static void test_options_sysctls_are_kept_in_order(void **state)
{
    struct wir_run_opts o;
    (void)state;
    assert_int_equal(PARSE(&o, "--sysctl", "tcp_ecn=3", "--sysctl=net.ipv4.tcp_sack=0", "true"), 0);
    assert_int_equal(o.sysctl_n, 2);
    assert_string_equal(o.sysctls[0], "tcp_ecn=3");
    assert_string_equal(o.sysctls[1], "net.ipv4.tcp_sack=0");
    assert_int_equal(PARSE(&o, "--sysctl", "tcp_ecn", "true"), -WEIR_EINVAL);
}

static void test_options_publish_forms_are_read(void **state)
{
    struct wir_run_opts o;
    (void)state;
    assert_int_equal(PARSE(&o, "-p", "8080:80", "-p", "127.0.0.1:53:5353/udp", "-p", "[::1]:1:2", "true"), 0);
    assert_int_equal(o.publish_n, 3);
    assert_int_equal(o.publish[0].at.ss_family, AF_INET6); /* all addresses, both families */
    assert_int_equal(ntohs(((struct sockaddr_in6 *)&o.publish[0].at)->sin6_port), 8080);
    assert_int_equal(o.publish[0].port, 80);
    assert_int_equal(o.publish[1].at.ss_family, AF_INET);
    assert_true(o.publish[1].is_udp);
    assert_int_equal(((struct sockaddr_in6 *)&o.publish[2].at)->sin6_addr.s6_addr[15], 1);
    assert_true(wir_opts_publishes(&o, 80));
    assert_false(wir_opts_publishes(&o, 5353)); /* UDP */
}

static void test_options_wrong_words_are_refused(void **state)
{
    struct wir_run_opts o;
    (void)state;
    assert_int_equal(PARSE(&o, "-p", "80", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "-p", "0:80", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "-p", "80:80/sctp", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "-p", "80:99999", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "--mtu", "10", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "--seed", "-1", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "--link", "nonsense=1", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "-q"), -WEIR_EINVAL); /* no program */
}

static void test_address_loopback_goes_onto_the_link_and_back(void **state)
{
    struct weir_addr resolver = weir_addr_v4(127, 0, 0, 53), six = {{[15] = 1}}, other = weir_addr_v4(192, 0, 2, 1);
    struct weir_addr on = wir_addr_onto_link(resolver), on6 = wir_addr_onto_link(six);
    (void)state;
    assert_false(weir_addr_is_loopback(&on));
    assert_false(weir_addr_is_loopback(&on6));
    on = wir_addr_off_link(on);
    on6 = wir_addr_off_link(on6);
    assert_true(weir_addr_equal(&on, &resolver));
    assert_true(weir_addr_equal(&on6, &six));
    on = wir_addr_onto_link(other);
    assert_true(weir_addr_equal(&on, &other));
}

static void test_address_short_or_foreign_sockaddr_is_refused(void **state)
{
    struct sockaddr_storage os = {.ss_family = AF_INET6};
    struct weir_sockaddr a;
    (void)state;
    assert_int_equal(wir_addr_parse_os(&os, 1, &a), -WEIR_EINVAL);
    assert_int_equal(wir_addr_parse_os(&os, sizeof(struct sockaddr_in), &a), -WEIR_EINVAL);
    os.ss_family = AF_UNIX;
    assert_int_equal(wir_addr_parse_os(&os, sizeof os, &a), -WEIR_EAFNOSUPPORT);
    os.ss_family = AF_UNSPEC;
    assert_int_equal(wir_addr_parse_os(&os, sizeof os, &a), 0);
    assert_int_equal(a.family, 0);
}

static void test_options_live_and_control(void **state)
{
    struct wir_run_opts o;
    (void)state;
    assert_int_equal(PARSE(&o, "true"), 0);
    assert_false(o.wants_live);
    assert_null(o.control);
    assert_int_equal(PARSE(&o, "--live", "true"), 0);
    assert_true(o.wants_live && o.live_port == 0);
    assert_string_equal(o.argv[0], "true");
    assert_int_equal(PARSE(&o, "--live=8080", "--control", "off", "true"), 0);
    assert_int_equal(o.live_port, 8080);
    assert_string_equal(o.control, "off");
    assert_int_equal(PARSE(&o, "--live=0", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "--live=65536", "true"), -WEIR_EINVAL);
    assert_int_equal(PARSE(&o, "--live=x", "true"), -WEIR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_program_arguments_are_left_alone),
        cmocka_unit_test(test_options_link_and_profile_any_order_profile_first),
        cmocka_unit_test(test_options_sysctls_are_kept_in_order),
        cmocka_unit_test(test_options_publish_forms_are_read),
        cmocka_unit_test(test_options_wrong_words_are_refused),
        cmocka_unit_test(test_address_loopback_goes_onto_the_link_and_back),
        cmocka_unit_test(test_address_short_or_foreign_sockaddr_is_refused),
        cmocka_unit_test(test_options_live_and_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
