/* The command line of weir sim (trial/options.h). */
#include "trial/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 16

/* Parse "run --seed 7", with what it says on stderr caught. */
static int parse(const char *line, struct wtl_options *o, char *said, size_t said_cap)
{
    static char copy[256]; /* the options point into it */
    char name[] = "sim", *argv[WORDS_MAX + 2] = {name};
    int argc = 1, back = dup(STDERR_FILENO);
    FILE *caught = tmpfile();
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok(copy, " "); w && argc < WORDS_MAX; w = strtok(NULL, " "))
        argv[argc++] = w;
    assert_non_null(caught);
    dup2(fileno(caught), STDERR_FILENO);
    int bad = wtl_options_parse(o, argc, argv);
    fflush(stderr);
    dup2(back, STDERR_FILENO);
    close(back);
    rewind(caught);
    said[fread(said, 1, said_cap - 1, caught)] = '\0';
    fclose(caught);
    return bad;
}

static struct wtl_options parsed(const char *line)
{
    struct wtl_options o;
    char said[512];
    if (parse(line, &o, said, sizeof said) != 0)
        fail_msg("%s: %s", line, said);
    assert_string_equal(said, "");
    return o;
}

static void assert_refused(const char *line, const char *says)
{
    struct wtl_options o;
    char said[512];
    if (parse(line, &o, said, sizeof said) == 0)
        fail_msg("took %s", line);
    if (!strstr(said, says))
        fail_msg("%s: said %s, not %s", line, said, says);
}

static void test_options_run_takes_its_words(void **state)
{
    (void)state;
    struct wtl_options o = parsed("run --seed 7 --link delay=20ms,loss=1% --cc reno --bytes 64k --fail-if stall>2s");
    assert_int_equal(o.action, WTL_RUN);
    assert_int_equal(o.seed, 7);
    assert_true(o.has_link && o.has_bytes && o.has_condition);
    assert_int_equal(o.link.dir[WIO_UP].delay, WEIR_MS(20));
    assert_int_equal(o.bytes, 65536);
    assert_string_equal(o.cc, "reno");
    assert_string_equal(o.condition.text, "stall>2s");
}

static void test_options_matrix_takes_its_words(void **state)
{
    (void)state;
    struct wtl_options o = parsed("matrix --seeds 1000 --first-seed 5 --sample 9 -j 2");
    assert_int_equal(o.action, WTL_MATRIX);
    assert_int_equal(o.seeds, 1000);
    assert_int_equal(o.first_seed, 5);
    assert_int_equal(o.sample, 9);
    assert_int_equal(o.jobs, 2);
    assert_string_equal(parsed("matrix --goodput page -j 2").goodput, "page");
    assert_int_equal(parsed("matrix --compare page --sample 9").sample, 9);
}

static void test_options_help_wins(void **state)
{
    (void)state;
    assert_int_equal(parsed("--help").action, WTL_HELP);
    assert_int_equal(parsed("run --help").action, WTL_HELP);
}

static void test_options_mistakes_are_named(void **state)
{
    (void)state;
    assert_refused("", "run, matrix or shrink?");
    assert_refused("rum", "Did you mean 'run'?");
    assert_refused("dance", "there are run, matrix and shrink");
    assert_refused("run --sed 1", "Did you mean --seed?");
    assert_refused("run --seed", "--seed wants a value");
    assert_refused("run --seed x", "--seed x: a whole number");
    assert_refused("run --seeds 3", "run does not take --seeds");
    assert_refused("run --link lose=1%", "did you mean \"loss\"?");
    assert_refused("run --cc vegan", "there are reno, cubic");
    assert_refused("run --bytes 0", "a size from 1");
    assert_refused("run --fail-if slow", "such as retransmits>=3");
    assert_refused("run 7", "7: nothing but options here");
    assert_refused("matrix -j 0", "from 1 to 64");
    assert_refused("matrix --goodput page --seeds 3", "takes no --seeds");
    assert_refused("matrix --first-seed 3 --compare page", "takes no --seeds or --first-seed");
    assert_refused("matrix --compare page --cc reno", "takes no --cc");
    assert_refused("matrix --goodput page --sample 3", "takes no --sample");
    assert_refused("matrix --goodput page --compare page", "takes no --compare");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_run_takes_its_words),
        cmocka_unit_test(test_options_matrix_takes_its_words),
        cmocka_unit_test(test_options_help_wins),
        cmocka_unit_test(test_options_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
