/*
 * Transfers over every impairment, each from a seed: all bytes, in order, both sides closed, no invariant broken,
 * memory back, and every one ends.
 *
 *   sim-transfer                       as a test: 10,000 of them, an impairment a test function
 *   sim-transfer --seeds FIRST COUNT   those alone
 */
#include "trial/play.h"
#include "trial/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 10000

static bool play_seed(uint64_t seed)
{
    struct wtl_scenario s = wtl_scenario_draw(seed);
    struct wtl_outcome o;
    if (wtl_play(&s, NULL, &o))
        return true;
    wtl_scenario_print(&s, stderr);
    fprintf(stderr, "  %s\n  again: weir sim run --seed %llu\n", o.err, (unsigned long long)seed);
    return false;
}

static unsigned play_seeds(uint64_t first, uint64_t count, uint64_t stride)
{
    unsigned failed = 0;
    for (uint64_t i = 0; i < count; i++)
        failed += !play_seed(first + i * stride);
    return failed;
}

#define SCENARIO_TEST(kind, text)                                                                                      \
    static void test_transfer_##kind##_arrives_whole(void **state)                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        assert_int_equal(play_seeds(WTL_##kind, SEEDS / WTL_KIND_N, WTL_KIND_N), 0);                                   \
    }
WTL_KIND_LIST(SCENARIO_TEST)

static int run_range(uint64_t first, uint64_t count)
{
    unsigned failed = play_seeds(first, count, 1);
    printf("%llu passed, %u failed, 0 skipped\n", (unsigned long long)count - failed, failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--seeds") == 0)
        return run_range(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
#define SCENARIO_ENTRY(kind, text) cmocka_unit_test(test_transfer_##kind##_arrives_whole),
    const struct CMUnitTest tests[] = {WTL_KIND_LIST(SCENARIO_ENTRY)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
