/* weir rfc, over rows of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/rfc.h"

const struct wcl_rfc_row wcl_rfc_rows[] = {
    {"9293", "MUST-1", "MUST", "3.1", "Windows are unsigned.", "a.c: test_a\nb.pkt: b", ""},
    {"9293", "MAY-6", "MAY", "3.8.4", "A garbage byte.", "", "None is sent. Nobody needs it."},
    {"7323", "7323-1", "MUST NOT", "2.2", "Something.", "", ""},
};
const size_t wcl_rfc_rows_n = sizeof wcl_rfc_rows / sizeof wcl_rfc_rows[0];

static char out[4096];

/* weir rfc with up to two words; what it wrote to both streams is in `out`. */
static int run(const char *first, const char *second)
{
    char a[32] = "", b[32] = "", name[] = "rfc";
    snprintf(a, sizeof a, "%s", first ? first : "");
    snprintf(b, sizeof b, "%s", second ? second : "");
    char *argv[] = {name, a, b, NULL};
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int kept_out = dup(1), kept_err = dup(2);
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    int status = wcl_rfc_main(1 + (first != NULL) + (second != NULL), argv);
    fflush(stdout);
    dup2(kept_out, 1);
    dup2(kept_err, 2);
    close(kept_out);
    close(kept_err);
    rewind(file);
    out[fread(out, 1, sizeof out - 1, file)] = 0;
    fclose(file);
    return status;
}

static void test_rfc_of_a_number_prints_rows_tests_and_reasons(void **state)
{
    (void)state;
    assert_int_equal(run("9293", NULL), 0);
    assert_string_equal(out, "MUST-1       MUST       tested     3.1\n"
                             "    Windows are unsigned.\n"
                             "    a.c: test_a\n"
                             "    b.pkt: b\n"
                             "MAY-6        MAY        departs    3.8.4\n"
                             "    A garbage byte.\n"
                             "    departs: None is sent. Nobody needs it.\n"
                             "1 tested, 1 depart, 0 without a test\n");
}

static void test_rfc_missing_prints_only_what_has_neither(void **state)
{
    (void)state;
    assert_int_equal(run("--missing", NULL), 0);
    assert_string_equal(out, "7323-1       MUST NOT   no test    2.2\n"
                             "    Something.\n"
                             "1 tested, 1 depart, 1 without a test\n");
    assert_int_equal(run("9293", "--missing"), 0);
    assert_string_equal(out, "1 tested, 1 depart, 0 without a test\n");
}

static void test_rfc_alone_counts_each(void **state)
{
    (void)state;
    assert_int_equal(run(NULL, NULL), 0);
    assert_string_equal(out, "9293     1 tested, 1 depart, 0 without a test\n"
                             "7323     0 tested, 0 depart, 1 without a test\n");
}

static void test_rfc_what_is_not_there_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(run("1", "7323"), 1);
    assert_non_null(strstr(out, "no rows of '1'"));
    assert_non_null(strstr(out, "Something."));
    assert_int_equal(run("--mising", NULL), 2);
    assert_non_null(strstr(out, "no option '--mising'"));
    assert_int_equal(run("9293", "--help"), 0);
    assert_memory_equal(out, "usage: weir rfc", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_of_a_number_prints_rows_tests_and_reasons),
        cmocka_unit_test(test_rfc_missing_prints_only_what_has_neither),
        cmocka_unit_test(test_rfc_alone_counts_each),
        cmocka_unit_test(test_rfc_what_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
