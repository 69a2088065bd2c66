/* The histogram of latencies (perf/latency.h). */
#include "perf/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct wpf_latency l;

static void assert_near(weir_ns got, weir_ns want)
{
    if (got < want || got - want > want / 128)
        fail_msg("got %llu, wanted %llu or a little more", (unsigned long long)got, (unsigned long long)want);
}

static void test_latency_empty_has_no_figures(void **state)
{
    (void)state;
    wpf_latency_init(&l);
    assert_int_equal(wpf_latency_quantile(&l, 0.5), 0);
    assert_true(wpf_latency_mean(&l) == 0);
}

static void test_latency_one_value_is_every_quantile(void **state)
{
    (void)state;
    wpf_latency_init(&l);
    wpf_latency_add(&l, 123456789);
    assert_int_equal(wpf_latency_quantile(&l, 0), 123456789);
    assert_int_equal(wpf_latency_quantile(&l, 0.5), 123456789);
    assert_int_equal(wpf_latency_quantile(&l, 1), 123456789);
    assert_int_equal(l.min, 123456789);
    assert_int_equal(l.max, 123456789);
}

static void test_latency_quantiles_are_within_a_step(void **state)
{
    (void)state;
    wpf_latency_init(&l);
    for (weir_ns v = 1; v <= 100000; v++)
        wpf_latency_add(&l, v * 1000);
    assert_near(wpf_latency_quantile(&l, 0.5), 50000000);
    assert_near(wpf_latency_quantile(&l, 0.99), 99000000);
    assert_near(wpf_latency_quantile(&l, 0.999), 99900000);
    assert_int_equal(wpf_latency_quantile(&l, 1), 100000000);
    assert_float_equal(wpf_latency_mean(&l), 50000500, 1);
}

/* The bounds of the buckets: no value is in none, and none reads as less than it is. */
static void test_latency_each_size_has_its_bucket(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int off = -1; off <= 1; off++) {
            weir_ns v = ((weir_ns)1 << bit) + (weir_ns)(int64_t)off;
            wpf_latency_init(&l);
            wpf_latency_add(&l, v);
            wpf_latency_add(&l, UINT64_MAX); /* so that max does not cut it */
            assert_near(wpf_latency_quantile(&l, 0.5), v);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_latency_empty_has_no_figures),
        cmocka_unit_test(test_latency_one_value_is_every_quantile),
        cmocka_unit_test(test_latency_quantiles_are_within_a_step),
        cmocka_unit_test(test_latency_each_size_has_its_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
