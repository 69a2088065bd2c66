/*
 * Transfers over every impairment, each from a seed: all bytes, in order, both sides closed, no invariant broken,
 * memory back, and every one ends.
 *
 *   sim-transfer                       as a test: 10,000 of them, an impairment a test function
 *   sim-transfer --seeds FIRST COUNT   those alone
 *   sim-transfer --seed N [--pcap FILE]   one, with its story
 */
#include "scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 10000

static const char *program;

static bool play_seed(uint64_t seed)
{
    struct scenario s = scenario_draw(seed);
    char err[512];
    if (scenario_play(&s, NULL, NULL, err, sizeof err))
        return true;
    scenario_print(&s, stderr);
    fprintf(stderr, "  %s\n  again: %s --seed %llu\n", err, program, (unsigned long long)seed);
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
        assert_int_equal(play_seeds(SCENARIO_##kind, SEEDS / SCENARIO_KIND_N, SCENARIO_KIND_N), 0);                    \
    }
SCENARIO_LIST(SCENARIO_TEST)

static int run_one(uint64_t seed, const char *pcap)
{
    struct scenario s = scenario_draw(seed);
    char err[512];
    s.is_captured = pcap != NULL;
    scenario_print(&s, stdout);
    bool is_good = scenario_play(&s, pcap, stdout, err, sizeof err);
    printf("%s\n", is_good ? "ok" : err);
    return !is_good;
}

static int run_range(uint64_t first, uint64_t count)
{
    unsigned failed = play_seeds(first, count, 1);
    printf("%llu passed, %u failed, 0 skipped\n", (unsigned long long)count - failed, failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc >= 3 && strcmp(argv[1], "--seed") == 0)
        return run_one(strtoull(argv[2], NULL, 10), argc >= 5 && strcmp(argv[3], "--pcap") == 0 ? argv[4] : NULL);
    if (argc == 4 && strcmp(argv[1], "--seeds") == 0)
        return run_range(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
#define SCENARIO_ENTRY(kind, text) cmocka_unit_test(test_transfer_##kind##_arrives_whole),
    const struct CMUnitTest tests[] = {SCENARIO_LIST(SCENARIO_ENTRY)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
