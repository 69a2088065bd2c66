/*
 * Shrinking: few decisions of the link are left, all of them needed, and weir drill plays what is written of them.
 */
#include "drill/run.h"
#include "io/link_spec.h"
#include "trial/pkt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS      30
#define SCRIPT_CAP (1 << 20)

static struct wtl_condition condition_of(const char *text)
{
    struct wtl_condition c;
    char err[512];
    assert_int_equal(wtl_condition_parse(&c, text, err, sizeof err), 0);
    return c;
}

static struct wtl_scenario transfer_over(const char *spec, uint64_t seed, uint64_t bytes)
{
    struct wio_link_config link = {0};
    char err[512];
    assert_int_equal(wio_link_spec_parse(&link, spec, err, sizeof err), 0);
    return wtl_scenario_transfer(seed, &link, "reno", bytes);
}

/* Write the script, play it, and give its text to be freed. */
static char *script_of(const struct wtl_shrunk *sh, enum wdr_verdict *verdict)
{
    char name[] = "/tmp/weir-shrink-XXXXXX", err[256];
    char *text = calloc(1, SCRIPT_CAP);
    int fd = mkstemp(name);
    assert_true(fd >= 0 && text);
    FILE *f = fdopen(fd, "w+");
    assert_int_equal(wtl_pkt_write(sh, "a test", f, err, sizeof err), 0);
    rewind(f);
    assert_true(fread(text, 1, SCRIPT_CAP - 1, f) > 100);
    fclose(f);
    *verdict = wdr_run_file(name, &(struct wdr_run_config){.seed = 1}, stderr);
    unlink(name);
    return text;
}

/* What the script asserts of a field at its end; -1: nothing. */
static int asserted(const char *script, const char *field)
{
    const char *at = strstr(script, field);
    return at ? atoi(at + strlen(field) + strlen(" == ")) : -1;
}

/* Both hosts' timeouts count, and a script has one host: look for a seed where all are this one's. */
static void test_shrink_script_shows_the_condition(void **state)
{
    (void)state;
    struct wtl_condition c = condition_of("timeouts>=2");
    bool is_shown = false;
    for (uint64_t seed = 1; seed <= 20 && !is_shown; seed++) {
        struct wtl_scenario s = transfer_over("rate=10mbit delay=20ms loss=10% reorder=5% dup=2%", seed, 300000);
        struct wtl_shrunk sh;
        enum wdr_verdict verdict;
        enum wtl_shrink_result result = wtl_shrink(&s, &c, &sh);
        if (result == WTL_SHRUNK) {
            assert_in_range(sh.decisions.n, 2, sh.decisions_before / 2);
            assert_true(sh.outcome.timeouts >= 2);
            char *text = script_of(&sh, &verdict);
            assert_int_equal(verdict, WDR_PASSED);
            is_shown = asserted(text, "tcpi_total_rto") >= 2 && strstr(text, "// lost");
            free(text);
        }
        wtl_record_free(&sh.decisions);
        assert_true(result == WTL_SHRUNK || result == WTL_HOLDS);
    }
    assert_true(is_shown);
}

static void test_shrink_leaves_nothing_that_is_not_needed(void **state)
{
    (void)state;
    struct wtl_scenario s = transfer_over("rate=10mbit delay=20ms loss=2%", 7, 600000);
    struct wtl_condition c = condition_of("retransmits>=3");
    struct wtl_shrunk sh;
    struct wtl_outcome o;
    assert_int_equal(wtl_shrink(&s, &c, &sh), WTL_SHRUNK);
    assert_true(sh.decisions.n <= 3);
    assert_true(wtl_shrunk_play(&sh, NULL, &o));
    assert_true(wtl_condition_holds(&c, &o));
    struct wtl_decision all[3];
    memcpy(all, sh.decisions.at, sh.decisions.n * sizeof all[0]);
    size_t n = sh.decisions.n--;
    for (size_t without = 0; without < n; without++) {
        for (size_t i = 0, k = 0; i < n; i++)
            if (i != without)
                sh.decisions.at[k++] = all[i];
        wtl_shrunk_play(&sh, NULL, &o);
        assert_false(wtl_condition_holds(&c, &o));
    }
    wtl_record_free(&sh.decisions);
}

/* Nothing is slower than to send nothing: a goodput is of all the bytes. */
static void test_shrink_goodput_is_of_all_bytes(void **state)
{
    (void)state;
    struct wtl_condition c = condition_of("goodput<1mbit");
    struct wtl_scenario s = transfer_over("delay=20ms loss=10%", 11, 100000);
    struct wtl_shrunk sh;
    assert_int_equal(wtl_shrink(&s, &c, &sh), WTL_SHRUNK);
    assert_int_equal(sh.scenario.client[0].bytes, 100000);
    assert_int_equal(sh.outcome.bytes, 100000);
    assert_in_range(sh.decisions.n, 1, sh.decisions_before / 2);
    wtl_record_free(&sh.decisions);
}

static void test_shrink_what_holds_is_left_alone(void **state)
{
    (void)state;
    struct wtl_scenario s = transfer_over("rate=10mbit delay=20ms", 7, 100000);
    struct wtl_condition c = condition_of("retransmits>=1");
    struct wtl_shrunk sh;
    assert_int_equal(wtl_shrink(&s, &c, &sh), WTL_HOLDS);
    wtl_record_free(&sh.decisions);
    assert_int_equal(wtl_shrink(&s, NULL, &sh), WTL_HOLDS);
    wtl_record_free(&sh.decisions);
}

/* Seeds of the simulation tests, of every kind, IPv4 and IPv6, with uploads and downloads. */
static void test_shrink_scripts_of_drawn_seeds_play(void **state)
{
    (void)state;
    struct wtl_condition c = condition_of("retransmits>=1");
    unsigned played = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct wtl_scenario s = wtl_scenario_draw(seed);
        struct wtl_shrunk sh;
        enum wdr_verdict verdict;
        if (wtl_shrink(&s, &c, &sh) == WTL_SHRUNK && sh.scenario.flow_n == 1) {
            free(script_of(&sh, &verdict));
            if (verdict != WDR_PASSED)
                fail_msg("seed %u", (unsigned)seed);
            played++;
        }
        wtl_record_free(&sh.decisions);
    }
    assert_true(played > SEEDS / 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shrink_script_shows_the_condition),
        cmocka_unit_test(test_shrink_leaves_nothing_that_is_not_needed),
        cmocka_unit_test(test_shrink_goodput_is_of_all_bytes),
        cmocka_unit_test(test_shrink_what_holds_is_left_alone),
        cmocka_unit_test(test_shrink_scripts_of_drawn_seeds_play),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
