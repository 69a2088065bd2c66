/* Conditions on an outcome (trial/condition.h): what is read, what is refused, when they hold. */
#include "trial/condition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct wtl_outcome outcome = {
    .bytes = 1000, .took = WEIR_SEC(4), .stall = WEIR_MS(1500), .goodput_bps = 2000000, .retransmits = 3, .drops = 7};

static bool holds(const char *text)
{
    struct wtl_condition c;
    char err[512] = "";
    if (wtl_condition_parse(&c, text, err, sizeof err) != 0)
        fail_msg("%s: %s", text, err);
    assert_string_equal(c.text, text);
    return wtl_condition_holds(&c, &outcome);
}

static void test_condition_each_comparison_holds_where_it_says(void **state)
{
    (void)state;
    assert_true(holds("retransmits>=3"));
    assert_true(holds("retransmits<=3"));
    assert_true(holds("retransmits=3"));
    assert_false(holds("retransmits>3"));
    assert_false(holds("retransmits<3"));
    assert_true(holds("timeouts=0"));
    assert_true(holds("drops>6"));
    assert_true(holds("packets<1"));
}

static void test_condition_values_have_units(void **state)
{
    (void)state;
    assert_true(holds("stall>1.4s"));
    assert_false(holds("stall>1501ms"));
    assert_true(holds("time>=4s"));
    assert_true(holds("goodput<2.1mbit"));
    assert_false(holds("goodput<2mbit"));
}

static void test_condition_nonsense_is_refused_with_the_form(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "retransmits", "retransmits>", "retransmits>=x",
                                      "speed>3",   ">3",          "stall>2 s",    "stall=>2s",
                                      "stall==2s", "stall>>2s",   "stall<>2s",    "stall>>=2s"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wtl_condition c;
        char err[512] = "";
        if (wtl_condition_parse(&c, bad[i], err, sizeof err) == 0)
            fail_msg("took \"%s\"", bad[i]);
        assert_non_null(strstr(err, "such as retransmits>=3"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_condition_each_comparison_holds_where_it_says),
        cmocka_unit_test(test_condition_values_have_units),
        cmocka_unit_test(test_condition_nonsense_is_refused_with_the_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
