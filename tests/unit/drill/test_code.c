/* The small Python of %{ }%. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "drill/code.h"
#include "drill/tcp_info.h"

static struct wdr_error error;
static struct weir_tcp_info info;

static bool lookup(void *ctx, const char *name, uint64_t *value)
{
    (void)ctx;
    return wdr_tcp_info_get(&info, name, value);
}

static int setup(void **state)
{
    info =
        (struct weir_tcp_info){.snd_cwnd = 10, .unacked = 3, .rtt = 100000, .snd_wscale = 7, .bytes_acked = UINT64_MAX};
    *state = wdr_code_new(lookup, NULL, NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    wdr_code_free(*state);
    return 0;
}

static void holds(void **state, const char *text)
{
    if (!wdr_code_run(*state, text, 1, &error))
        fail_msg("%s\n%d: %s", text, error.line, error.text);
}

static void fails(void **state, const char *text, int line, const char *words)
{
    if (wdr_code_run(*state, text, 1, &error))
        fail_msg("this should not hold: %s", text);
    assert_int_equal(error.line, line);
    if (!strstr(error.text, words))
        fail_msg("'%s' does not say '%s'", error.text, words);
}

static void test_code_arithmetic_and_precedence(void **state)
{
    holds(state, "assert 1 + 2 * 3 == 7");
    holds(state, "assert (1 + 2) * 3 == 9; assert -2 ** 2 == -4");
    holds(state, "assert 7 // 2 == 3 and 7 % 3 == 1 and -7 // 2 == -4 and -7 % 3 == 2");
    holds(state, "assert 7 / 2 == 3.5");
    holds(state, "assert 1 << 4 | 3 == 19");
    holds(state, "assert 6 & 3 == 2 and 6 ^ 3 == 5 and ~0 == -1 and 0x10 == 16");
    holds(state, "assert tcpi_bytes_acked == 18446744073709551615");
}

static void test_code_comparisons_chain_and_short_circuit(void **state)
{
    holds(state, "assert 1 < 2 <= 2 != 3");
    holds(state, "assert not 1 < 2 < 2");
    holds(state, "assert tcpi_snd_cwnd == 10 or nobody == 1");
    holds(state, "assert not (tcpi_snd_cwnd == 9 and nobody == 1)");
    holds(state, "assert tcpi_unacked in (1, 2, 3) and tcpi_unacked not in [4]");
    holds(state, "assert (5 if tcpi_unacked == 3 else 6) == 5");
}

static void test_code_if_governs_what_is_indented(void **state)
{
    holds(state,
          "\nif tcpi_snd_cwnd == 9:\n    a = 1\n    b = 1\nelif tcpi_snd_cwnd == 10:\n    a = 2\n"
          "    if a == 3:\n        b = 3\n    # a remark\n\n    else:\n        b = 4\nelse:\n    a = 5\nc = 6\n");
    holds(state, "assert a == 2 and b == 4 and c == 6");
    holds(state, "if c == 7: d = 1; e = 1\nelse: d = 2; e = 3\nassert d == 2 and e == 3");
    fails(state, "\nif c == 6:\nd = 1", 2, "indented");
    fails(state, "\nif c == 6:\n    assert d == 1\n", 3, "d == 1");
}

static void test_code_text_is_filled_in(void **state)
{
    holds(state, "assert f'cwnd {tcpi_snd_cwnd} of {1 + 2:d}' == 'cwnd 10 of 3'");
    holds(state, "assert 'cwnd %d, %s' % (tcpi_snd_cwnd, 'x') == 'cwnd 10, x'");
    fails(state, "assert tcpi_snd_cwnd == 9, f'it is {tcpi_snd_cwnd}'", 1, "it is 10");
}

static void test_code_names_live_on(void **state)
{
    holds(state, "a = tcpi_snd_cwnd\na += 2");
    holds(state, "assert a == 12\nassert max(a, 3, 40) == 40 and min([4, 5]) == 4 and abs(-2) == 2");
    holds(state, "assert len([1, 2]) == 2 and str(12) == '12' and int(7 / 2) == 3");
    holds(state, "assert 'cwnd %d of %s' % (a, 'x') == 'cwnd 12 of x'");
    holds(state, "assert '%d' % tcpi_bytes_acked == '18446744073709551615'"); /* no long long holds it */
    holds(state, "assert tcpi_bytes_acked - 1 == 18446744073709551614 and -tcpi_bytes_acked < -tcpi_bytes_acked + 1");
    holds(state, "assert tcpi_bytes_acked & 0xff == 255 and tcpi_bytes_acked >> 60 == 15 and -5 >> 1 == -3");
    holds(state, "assert 7.5 // 2 == 3 and -7.5 % 2 == 0.5 and 2 ** -1 == 0.5 and 2 ** 70 // 2 ** 69 == 2");
    holds(state,
          "assert round(2.5) == 2 and int(-2.5) == -2 and abs(-2.5) == 2.5 and '%.1f %x' % (7, 255) == '7.0 ff'");
}

static void test_code_if_runs_one_branch(void **state)
{
    holds(state, "if tcpi_snd_cwnd > 20: b = 1\nelif tcpi_snd_cwnd > 5: b = 2\nelse: b = 3\nassert b == 2");
    holds(state, "if tcpi_snd_cwnd == 10: pass; c = 7\nassert c == 7 # a remark");
}

static void test_code_lines_go_on_in_parentheses(void **state)
{
    holds(state, "assert (1 +\n 2\n == 3)\nassert 1 + \\\n 1 == 2");
}

static void test_code_failures_say_values_and_line(void **state)
{
    fails(state, "\nassert tcpi_snd_cwnd == 11", 2, "tcpi_snd_cwnd=10");
    fails(state, "assert tcpi_unacked == 4, 'unacked %d' % tcpi_unacked", 1, "unacked 3");
    fails(state, "assert tcpi_nonsense == 4", 1, "nobody knows 'tcpi_nonsense'");
    fails(state, "import os", 1, "no statement that is known");
    fails(state, "assert 1 / 0", 1, "division by zero");
    fails(state, "assert 1 // 0", 1, "division by zero");
    fails(state, "assert 1 % 0.0", 1, "division by zero");
    fails(state, "assert 2 ** 127", 1, "128 bits");
    fails(state, "assert 1 << 127", 1, "too far");
    fails(state, "assert -(2 ** 126) * 2 // -1", 1, "128 bits");
    fails(state, "assert 2 ** 126 * 2", 1, "128 bits");
    fails(state, "assert int(1e300)", 1, "too large");
    fails(state, "assert 1.5 & 1", 1, "no whole number");
    fails(state, "assert 18446744073709551616", 1, "no number");
    fails(state, "assert (1", 1, "missing");
    fails(state, "assert 1 ==", 1, "a value is missing");
    fails(state, "a = 1 2", 1, "should end");
    fails(state, "assert ((((((((((((((((((((((((((((((((((((((((((((((1", 1, "too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_code_arithmetic_and_precedence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_comparisons_chain_and_short_circuit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_if_governs_what_is_indented, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_text_is_filled_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_names_live_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_if_runs_one_branch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_lines_go_on_in_parentheses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_code_failures_say_values_and_line, setup, teardown),
    };
    return cmocka_run_group_tests_name("drill/code", tests, NULL, NULL);
}
