/* The language of claims (lab/expr.h): values, precedence, questions over events, and what is refused. */
#include "lab/expr.h"
#include "lab/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool find(void *ctx, const char *name, struct wlb_value *v)
{
    (void)ctx;
    if (strcmp(name, "rtt") != 0)
        return false;
    *v = (struct wlb_value){.type = WLB_NUMBER, .number = 40e6};
    return true;
}

static const struct wlb_names names = {find, NULL};

/* Three segments of a client at 10, 20 and 40 ms, the last one lost; a call between them. */
static struct wlb_record sample(void)
{
    struct wlb_record r = {0};
    for (unsigned i = 0; i < 4; i++) {
        static const unsigned at_ms[] = {10, 20, 30, 40};
        struct wlb_entry *e = wlb_record_add(&r);
        assert_non_null(e);
        e->kind = i == 2 ? WLB_CALL : WLB_WIRE;
        e->at = WEIR_MS((weir_ns)at_ms[i]);
        e->host = "client";
        e->text = i == 2 ? "connect" : "";
        e->value = i == 2 ? -111 : 0;
        e->len = 100 * (i + 1);
        e->drop = i == 3 ? WEIR_DROP_LINK_LOSS : WEIR_DROP_NONE;
        e->is_tcp = i != 2;
    }
    return r;
}

static struct wlb_value value_of(const char *text, const struct wlb_record *r)
{
    char err[256] = "";
    struct wlb_value v = {0};
    struct wlb_expr *x = wlb_expr_parse(text, err, sizeof err);
    if (!x || !wlb_expr_eval(x, r, &names, &v, err, sizeof err))
        fail_msg("%s: %s", text, err);
    wlb_expr_free(x);
    return v;
}

static double number_of(const char *text)
{
    return value_of(text, NULL).number;
}

static void test_expr_arithmetic_has_units_and_precedence(void **state)
{
    (void)state;
    assert_true(number_of("1 + 2 * 3") == 7);
    assert_true(number_of("(1 + 2) * 3") == 9);
    assert_true(number_of("-2 * -3") == 6);
    assert_true(number_of("7 % 4") == 3);
    assert_true(number_of("1.5s") == 1.5e9);
    assert_true(number_of("40ms / 2") == 20e6);
    assert_true(number_of("64k") == 65536);
    assert_true(number_of("1us + 1ns") == 1001);
    assert_true(number_of("rtt * 2") == 80e6);
    assert_true(number_of("abs(3 - 5)") == 2);
}

static void test_expr_logic_binds_and_before_or(void **state)
{
    (void)state;
    assert_true(number_of("true or false and false") == 1);
    assert_true(number_of("not false and not 1 == 2") == 1);
    assert_true(number_of("1 < 2 and 2 <= 2 and 3 != 4") == 1);
    assert_true(number_of("'a' == 'a' and 'a' != 'b'") == 1);
    assert_true(number_of("false and 1 / 0 == 1") == 0); /* the right side is not looked at */
}

static void test_expr_questions_select_in_the_order_of_events(void **state)
{
    (void)state;
    struct wlb_record r = sample();
    assert_true(value_of("count(wire)", &r).number == 3);
    assert_true(value_of("count(wire and lost)", &r).number == 1);
    assert_true(value_of("first(len, wire)", &r).number == 100);
    assert_true(value_of("last(at, wire)", &r).number == 40e6);
    assert_true(value_of("nth(2, len, wire)", &r).number == 200);
    assert_true(value_of("sum(len, wire)", &r).number == 700);
    assert_true(value_of("min(len, wire)", &r).number == 100);
    assert_true(value_of("max(len, wire)", &r).number == 400);
    assert_true(value_of("distinct(host, wire)", &r).number == 1);
    assert_true(value_of("distinct(len, wire)", &r).number == 3);
    assert_true(value_of("distinct(edge, wire)", &r).number == 0); /* empty texts */
    assert_true(value_of("any(call and text == 'connect' and value == -111)", &r).number == 1);
    assert_true(value_of("any(call and text == 'accept')", &r).number == 0);
    wlb_record_free(&r);
}

static void test_expr_gaps_are_between_selected_events_alone(void **state)
{
    (void)state;
    struct wlb_record r = sample();
    assert_true(value_of("nth(2, gap, wire)", &r).number == 10e6);
    assert_true(value_of("nth(3, gap, wire)", &r).number == 20e6);
    assert_true(value_of("nth(3, prev_gap, wire)", &r).number == 10e6);
    assert_true(value_of("every(gap == 2 * prev_gap, wire)", &r).number == 1);
    assert_true(value_of("every(gap == prev_gap, wire)", &r).number == 0);
    assert_true(value_of("every(len == 100 * n or n == 3, wire)", &r).number == 1);
    wlb_record_free(&r);
}

static void test_expr_question_within_a_question_is_asked_of_the_whole(void **state)
{
    (void)state;
    struct wlb_record r = sample();
    assert_true(value_of("count(wire and at > first(at, call))", &r).number == 1);
    assert_true(value_of("count(wire and len == max(len, wire))", &r).number == 1);
    wlb_record_free(&r);
}

static void refuse(const char *text, const struct wlb_record *r, const char *because)
{
    char err[256] = "";
    struct wlb_value v;
    struct wlb_expr *x = wlb_expr_parse(text, err, sizeof err);
    if (x && wlb_expr_eval(x, r, &names, &v, err, sizeof err))
        fail_msg("took \"%s\"", text);
    wlb_expr_free(x);
    if (!strstr(err, because))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err, because);
}

static void test_expr_nonsense_is_refused_with_its_place(void **state)
{
    (void)state;
    struct wlb_record r = sample();
    refuse("", NULL, "ends too soon");
    refuse("1 +", NULL, "column 4");
    refuse("1 2", NULL, "left over");
    refuse("5parsecs", NULL, "no unit");
    refuse("'text", NULL, "no end");
    refuse("cuont(wire)", &r, "no function");
    refuse("count(wire", &r, "no end");
    refuse("first(at)", &r, "comma");
    refuse("count(wier)", &r, "neither an option nor a field");
    refuse("at > 3", &r, "field of an event");
    refuse("first(at, state)", &r, "no such event");
    refuse("every(len > 0, state)", &r, "no such event");
    refuse("1 / 0", NULL, "zero");
    refuse("'a' < 'b'", NULL, "== and !=");
    refuse("'a' == 1", NULL, "can't be compared");
    refuse("not 'a'", NULL, "neither true nor false");
    wlb_record_free(&r);
}

static void test_expr_nested_without_end_is_refused_not_a_crash(void **state)
{
    (void)state;
    char deep[4096], nots[4096] = "";
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    refuse(deep, NULL, "too deep");
    for (unsigned i = 0; i + 5 < sizeof nots; i += 4)
        memcpy(nots + i, "not ", 5);
    refuse(nots, NULL, "too deep");
}

static void test_expr_fill_writes_values_into_texts(void **state)
{
    (void)state;
    struct wlb_record r = sample();
    char err[256];
    char *text = wlb_expr_fill("${count(wire)} packets in ${rtt / 1ms} ms, ${1 / 3}", &r, &names, err, sizeof err);
    assert_string_equal(text, "3 packets in 40 ms, 0.333");
    free(text);
    text = wlb_expr_tell("${1000 / 3} ${100 / 3} ${1 / 3} ${1234567}", &r, &names, err, sizeof err);
    assert_string_equal(text, "333 33.3 0.333 1234567");
    free(text);
    text = wlb_expr_fill("no value, ${ no end", &r, &names, err, sizeof err);
    assert_string_equal(text, "no value, ${ no end");
    free(text);
    assert_null(wlb_expr_fill("${nothing}", &r, &names, err, sizeof err));
    assert_non_null(strstr(err, "nothing"));
    wlb_record_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr_arithmetic_has_units_and_precedence),
        cmocka_unit_test(test_expr_logic_binds_and_before_or),
        cmocka_unit_test(test_expr_questions_select_in_the_order_of_events),
        cmocka_unit_test(test_expr_gaps_are_between_selected_events_alone),
        cmocka_unit_test(test_expr_question_within_a_question_is_asked_of_the_whole),
        cmocka_unit_test(test_expr_nonsense_is_refused_with_its_place),
        cmocka_unit_test(test_expr_nested_without_end_is_refused_not_a_crash),
        cmocka_unit_test(test_expr_fill_writes_values_into_texts),
    };
    return cmocka_run_group_tests_name("lab/expr", tests, NULL, NULL);
}
