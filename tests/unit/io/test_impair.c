/* A direction's decisions (io/impair.h): exact for a seed, and near what was asked for. */
#include "io_test.h"

#include "io/impair.h"

#define N 100000

static struct wio_impair impaired(struct wio_dir_config c, uint64_t seed)
{
    struct wio_impair m;
    wio_impair_init(&m, &c, 1500, seed, WIO_UP);
    return m;
}

static unsigned losses(struct wio_impair *m, unsigned n)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < n; i++)
        lost += wio_impair_lose(m);
    return lost;
}

static void test_impair_loss_is_near_what_was_asked(void **state)
{
    (void)state;
    struct wio_impair m = impaired((struct wio_dir_config){.loss = WIO_PROB_ONE / 100}, 1);
    unsigned lost = losses(&m, N);
    assert_in_range(lost, 900, 1100); /* 1,000 with a deviation of 31 */
}

static void test_impair_same_seed_gives_the_same_losses(void **state)
{
    (void)state;
    struct wio_dir_config c = {.loss = WIO_PROB_ONE / 10};
    struct wio_impair a = impaired(c, 7), b = impaired(c, 7), other = impaired(c, 8);
    unsigned differ = 0;
    for (unsigned i = 0; i < 1000; i++) {
        bool lost = wio_impair_lose(&a);
        assert_int_equal(lost, wio_impair_lose(&b));
        differ += lost != wio_impair_lose(&other);
    }
    assert_true(differ > 100);
}

/* The numbers themselves: a change of the generator would change every seed in every bug report. */
static void test_impair_first_losses_of_seed_one_stay_where_they_are(void **state)
{
    (void)state;
    struct wio_impair m = impaired((struct wio_dir_config){.loss = WIO_PROB_ONE / 20}, 1);
    unsigned found[4], n = 0;
    for (unsigned i = 0; n < 4; i++)
        if (wio_impair_lose(&m))
            found[n++] = i;
    const unsigned want[4] = {48, 57, 71, 72};
    assert_memory_equal(found, want, sizeof found);
}

static void test_impair_another_word_leaves_the_losses_alone(void **state)
{
    (void)state;
    struct wio_impair a = impaired((struct wio_dir_config){.loss = WIO_PROB_ONE / 10}, 3);
    struct wio_impair b = impaired((struct wio_dir_config){.loss = WIO_PROB_ONE / 10,
                                                           .corrupt = WIO_PROB_ONE / 2,
                                                           .duplicate = WIO_PROB_ONE / 2,
                                                           .delay = WEIR_MS(10),
                                                           .jitter = WEIR_MS(5)},
                                   3);
    for (unsigned i = 0; i < 1000; i++) {
        wio_impair_duplicate(&b);
        bool lost = wio_impair_lose(&a);
        assert_int_equal(lost, wio_impair_lose(&b));
        wio_impair_corrupt(&b);
        wio_impair_pass(&b, 100, WEIR_MS(i), 0, false);
    }
}

static void test_impair_bursts_have_the_mean_length_and_the_loss(void **state)
{
    (void)state;
    struct wio_impair m = impaired((struct wio_dir_config){.loss = WIO_PROB_ONE / 50, .burst_milli = 4000}, 5);
    unsigned lost = 0, runs = 0;
    bool was_lost = false;
    for (unsigned i = 0; i < 10 * N; i++) {
        bool is_lost = wio_impair_lose(&m);
        lost += is_lost;
        runs += is_lost && !was_lost;
        was_lost = is_lost;
    }
    assert_in_range(lost, 19000, 21000);             /* 2 % */
    assert_in_range(1000 * lost / runs, 3800, 4200); /* runs of 4 */
}

static void test_impair_jitter_stays_in_its_bounds(void **state)
{
    (void)state;
    struct wio_impair m = impaired((struct wio_dir_config){.delay = WEIR_MS(20), .jitter = WEIR_MS(5)}, 2);
    weir_ns sum = 0, least = WEIR_NEVER, most = 0;
    for (unsigned i = 0; i < N; i++) {
        weir_ns due = wio_impair_pass(&m, 100, 0, 0, false).due;
        least = due < least ? due : least;
        most = due > most ? due : most;
        sum += due / 1000;
    }
    assert_in_range(least, WEIR_MS(15), WEIR_US(15010));
    assert_in_range(most, WEIR_US(24990), WEIR_MS(25));
    assert_in_range(sum / N, 19950, 20050);
}

static void test_impair_normal_jitter_has_its_deviation(void **state)
{
    (void)state;
    struct wio_impair m =
        impaired((struct wio_dir_config){.delay = WEIR_MS(100), .jitter = WEIR_MS(5), .dist = WIO_DIST_NORMAL}, 2);
    unsigned within = 0;
    for (unsigned i = 0; i < N; i++) {
        weir_ns due = wio_impair_pass(&m, 100, 0, 0, false).due;
        within += due >= WEIR_MS(95) && due <= WEIR_MS(105);
    }
    assert_in_range(within, 67000, 69600); /* 68.3 % lie within one deviation */
}

static void test_impair_rate_spaces_packets_and_keeps_their_order(void **state)
{
    (void)state;
    struct wio_impair m = impaired(
        (struct wio_dir_config){.rate_bps = 8000000, .delay = WEIR_MS(10), .jitter = WEIR_MS(9), .queue_bytes = 100000},
        2);
    weir_ns last = 0;
    for (unsigned i = 0; i < 60; i++) {
        struct wio_passage p = wio_impair_pass(&m, 1000, 0, 0, false); /* 1 ms each */
        assert_int_equal(p.drop, WEIR_DROP_NONE);
        assert_true(p.due >= last);
        assert_true(p.due >= WEIR_MS(i + 1));
        last = p.due;
    }
}

static void test_impair_full_queue_drops_the_tail(void **state)
{
    (void)state;
    struct wio_impair m = impaired((struct wio_dir_config){.rate_bps = 8000000, .queue_bytes = 3000}, 2);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(wio_impair_pass(&m, 1000, 0, 0, false).due, WEIR_MS(i + 1));
    assert_int_equal(wio_impair_pass(&m, 1000, 0, 0, false).drop, WEIR_DROP_LINK_QUEUE_FULL);
    assert_int_equal(wio_impair_pass(&m, 1000, WEIR_MS(1), 0, false).due, WEIR_MS(4));       /* one has left */
    assert_int_equal(wio_impair_pass(&m, 9000, WEIR_MS(20), 0, false).drop, WEIR_DROP_NONE); /* idle: any packet goes */
}

static void test_impair_policer_drops_what_is_beyond_its_bucket(void **state)
{
    (void)state;
    struct wio_impair m = impaired((struct wio_dir_config){.police_bps = 8000000, .bucket_bytes = 3000}, 2);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(wio_impair_pass(&m, 1000, 0, 0, false).due,
                         0); /* the bucket was full, and nothing is delayed */
    assert_int_equal(wio_impair_pass(&m, 1000, 0, 0, false).drop, WEIR_DROP_LINK_POLICED);
    assert_int_equal(wio_impair_pass(&m, 1000, WEIR_MS(1), 0, false).drop,
                     WEIR_DROP_NONE); /* 1,000 bytes a millisecond */
    assert_int_equal(wio_impair_pass(&m, 1, WEIR_MS(1), 0, false).drop, WEIR_DROP_LINK_POLICED);
    unsigned through = 0;
    for (unsigned i = 0; i < 10000; i++) /* ten times the rate */
        through += wio_impair_pass(&m, 1000, WEIR_SEC(1) + WEIR_US(100) * i, 0, false).drop == WEIR_DROP_NONE;
    assert_int_equal(through, 1002); /* a second's worth and the bucket, less the last */
}

static void test_impair_negative_shift_never_arrives_before_it_is_sent(void **state)
{
    (void)state;
    struct wio_impair m = impaired((struct wio_dir_config){.delay = WEIR_MS(10)}, 2);
    assert_int_equal(wio_impair_pass(&m, 100, WEIR_MS(5), -(int64_t)WEIR_MS(4), false).due, WEIR_MS(11));
    assert_int_equal(wio_impair_pass(&m, 100, WEIR_MS(5), -(int64_t)WEIR_MS(40), false).due, WEIR_MS(5));
    assert_int_equal(wio_impair_pass(&m, 100, WEIR_MS(5), -(int64_t)WEIR_MS(40), false).plain_due, WEIR_MS(15));
}

static void test_impair_reorder_skips_the_delay_at_each_gap(void **state)
{
    (void)state;
    struct wio_impair m =
        impaired((struct wio_dir_config){.delay = WEIR_MS(10), .reorder = WIO_PROB_ONE, .reorder_gap = 5}, 2);
    for (unsigned i = 0; i < 50; i++) {
        struct wio_passage p = wio_impair_pass(&m, 100, 0, 0, false);
        assert_int_equal(p.skips_delay, i % 5 == 4);
        assert_int_equal(p.due, i % 5 == 4 ? 0 : WEIR_MS(10));
    }
}

static void test_impair_correlated_jitter_changes_slowly(void **state)
{
    (void)state;
    struct wio_dir_config c = {.delay = WEIR_MS(50), .jitter = WEIR_MS(5)};
    weir_ns steps[2] = {0};
    for (unsigned round = 0; round < 2; round++) {
        c.jitter_corr = round ? WIO_PROB_ONE / 10 * 9 : 0;
        struct wio_impair m = impaired(c, 4);
        weir_ns last = WEIR_MS(50);
        for (unsigned i = 0; i < 10000; i++) {
            weir_ns due = wio_impair_pass(&m, 100, 0, 0, false).due;
            steps[round] += due > last ? due - last : last - due;
            last = due;
        }
    }
    assert_true(steps[1] * 5 < steps[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impair_loss_is_near_what_was_asked),
        cmocka_unit_test(test_impair_same_seed_gives_the_same_losses),
        cmocka_unit_test(test_impair_first_losses_of_seed_one_stay_where_they_are),
        cmocka_unit_test(test_impair_another_word_leaves_the_losses_alone),
        cmocka_unit_test(test_impair_bursts_have_the_mean_length_and_the_loss),
        cmocka_unit_test(test_impair_jitter_stays_in_its_bounds),
        cmocka_unit_test(test_impair_normal_jitter_has_its_deviation),
        cmocka_unit_test(test_impair_rate_spaces_packets_and_keeps_their_order),
        cmocka_unit_test(test_impair_full_queue_drops_the_tail),
        cmocka_unit_test(test_impair_policer_drops_what_is_beyond_its_bucket),
        cmocka_unit_test(test_impair_negative_shift_never_arrives_before_it_is_sent),
        cmocka_unit_test(test_impair_reorder_skips_the_delay_at_each_gap),
        cmocka_unit_test(test_impair_correlated_jitter_changes_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
