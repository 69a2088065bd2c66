/* The filters of weir ss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ss/filter.h"

static struct weir_sock_info info_of(const char *local, uint16_t sport, const char *remote, uint16_t dport)
{
    struct weir_sock_info s = {.family = WEIR_AF_INET, .state = WEIR_SOCK_ESTABLISHED};
    assert_int_equal(weir_addr_parse(&s.local.addr, local), 0);
    assert_int_equal(weir_addr_parse(&s.remote.addr, remote), 0);
    s.local.port = sport;
    s.remote.port = dport;
    return s;
}

static bool holds(const char *text)
{
    const struct weir_sock_info s = info_of("192.0.2.1", 40000, "198.51.100.7", 443);
    char err[256];
    struct wss_expr *e = wss_expr_parse(text, err, sizeof err);
    if (!e)
        fail_msg("%s: %s", text, err);
    bool is = wss_expr_holds(e, &s);
    wss_expr_free(e);
    return is;
}

static void refused(const char *text)
{
    char err[256] = "";
    assert_null(wss_expr_parse(text, err, sizeof err));
    assert_true(err[0]);
}

static void test_filter_ports_and_addresses(void **state)
{
    (void)state;
    assert_true(holds(""));
    assert_true(holds("dport = :443"));
    assert_true(holds("dport=443"));
    assert_true(holds("dport eq :https"));
    assert_false(holds("dport != :443"));
    assert_true(holds("sport > :1024"));
    assert_true(holds("sport ge :40000 sport le :40000"));
    assert_false(holds("sport lt :40000"));
    assert_true(holds("dst 198.51.100.7"));
    assert_true(holds("dst 198.51.100.7:443"));
    assert_false(holds("dst 198.51.100.7:80"));
    assert_true(holds("dst 198.51.100.0/24"));
    assert_true(holds("dst 198.51.100.4/30"));
    assert_false(holds("dst 198.51.100.0/30"));
    assert_true(holds("dst :443"));
    assert_true(holds("src *"));
    assert_false(holds("src 10.0.0.0/8"));
    assert_true(holds("src != 10.0.0.0/8"));
    assert_false(holds("dst [2001:db8::1]:443"));
}

static void test_filter_ipv6_prefixes(void **state)
{
    const struct weir_sock_info s = info_of("2001:db8:1::1", 1, "2001:db8:2::ffff", 2);
    const struct {
        const char *text;
        bool wanted;
    } cases[] = {{"dst 2001:db8:2::/48", true},     {"dst [2001:db8:2::ffff]:2", true},
                 {"dst [2001:db8:2::]/127", false}, {"dst ::/0", true},
                 {"dst 0.0.0.0/0", false},          {"src 2001:db8:1::/47", true}};
    char err[256];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wss_expr *e = wss_expr_parse(cases[i].text, err, sizeof err);
        assert_non_null(e);
        assert_int_equal(wss_expr_holds(e, &s), cases[i].wanted);
        wss_expr_free(e);
    }
}

static void test_filter_and_binds_tighter_than_or(void **state)
{
    (void)state;
    assert_true(holds("dport = :443 or dport = :80 and sport = :1"));
    assert_false(holds("( dport = :443 or dport = :80 ) and sport = :1"));
    assert_false(holds("(dport = :443 or dport = :80) sport = :1"));
    assert_true(holds("not dport = :80"));
    assert_true(holds("! ( dport = :80 or sport = :80 )"));
    assert_false(holds("not ( not ( not dport = :443 ) )"));
}

static void test_filter_nonsense_is_refused_in_words(void **state)
{
    static char deep[400];
    (void)state;
    refused("dport");
    refused("dport = ");
    refused("dport = :99999");
    refused("dport = :nosuchservice");
    refused("sprot = :80");
    refused("( dport = :80");
    refused("dport = :80 )");
    refused("dst example.org");
    refused("dst 10.0.0.0/33");
    refused("dst > 10.0.0.1");
    refused("and");
    refused("not");
    memset(deep, '(', 300);
    refused(deep);
}

static void test_filter_states_have_ss_names(void **state)
{
    (void)state;
    assert_int_equal(wss_states_named("established"), WSS_STATE(1));
    assert_int_equal(wss_states_named("time-wait"), WSS_STATE(6));
    assert_int_equal(wss_states_named("closing"), WSS_STATE(11));
    assert_int_equal(wss_states_named("bucket"), WSS_STATE(3) | WSS_STATE(6));
    assert_int_equal(wss_states_named("connected"), WSS_STATES_ALL & ~(WSS_STATE(7) | WSS_STATE(10)));
    assert_int_equal(wss_states_named("synchronised"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_ports_and_addresses),
        cmocka_unit_test(test_filter_ipv6_prefixes),
        cmocka_unit_test(test_filter_and_binds_tighter_than_or),
        cmocka_unit_test(test_filter_nonsense_is_refused_in_words),
        cmocka_unit_test(test_filter_states_have_ss_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
