/* A little of the soak (bench/soak.h), a fixed amount of work; and that it notices what it is there to notice. */
#include "../../bench/soak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JOBS 300

static const char *play(struct soak *s, struct soak_trend *t, uint64_t jobs)
{
    const char *wrong = NULL;
    while (!wrong && soak_jobs(s) < jobs) {
        wrong = soak_slice(s);
        soak_trend_add(t, (double)soak_jobs(s) / (double)jobs, (double)soak_mem_bytes(s));
    }
    return wrong;
}

static void test_soak_of_mixed_work_leaves_nothing(void **state)
{
    (void)state;
    struct soak *s = soak_new(1);
    struct soak_trend t = {0};
    assert_non_null(s);
    const char *wrong = play(s, &t, JOBS);
    if (!wrong)
        wrong = soak_drain(s);
    if (wrong)
        fail_msg("%s", wrong);
    struct soak_totals all = soak_totals(s);
    assert_true(all.transfers > 10);
    assert_true(all.requests > 1000);
    assert_true(all.cut_off > 0);
    assert_true(all.lost > 100);
    assert_true(all.retransmits > 100);
    soak_free(s);
}

static void test_soak_notices_a_connection_that_was_forgotten(void **state)
{
    (void)state;
    struct soak *s = soak_new(2);
    struct soak_trend t = {0};
    assert_non_null(s);
    soak_forget_one(s);
    const char *wrong = play(s, &t, 20);
    if (!wrong)
        wrong = soak_drain(s);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "has not moved"));
    soak_free(s);
}

static void test_soak_trend_tells_growth_from_waves(void **state)
{
    (void)state;
    struct soak_trend flat = {0}, grows = {0}, warms = {0};
    for (int i = 0; i < 3000; i++) {
        double part = i / 3000.0;
        soak_trend_add(&flat, part, 100 + i % 37);
        soak_trend_add(&grows, part, 100 + i / 30);
        soak_trend_add(&warms, part, part < 0.3 ? 100 + i / 3 : 420);
    }
    assert_false(soak_trend_grew(&flat, 5));
    assert_true(soak_trend_grew(&grows, 5));
    assert_false(soak_trend_grew(&warms, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soak_of_mixed_work_leaves_nothing),
        cmocka_unit_test(test_soak_notices_a_connection_that_was_forgotten),
        cmocka_unit_test(test_soak_trend_tells_growth_from_waves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
