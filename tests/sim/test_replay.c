/*
 * The same seed twice gives the same capture, byte for byte; another seed another one.
 */
#include "trial/play.h"
#include "trial/scenario.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_CAP (32 << 20)

/* Play a seed into a capture and return its bytes. */
static uint8_t *capture_of(uint64_t seed, size_t *len)
{
    char name[] = "/tmp/weir-replay-XXXXXX";
    struct wtl_scenario s = wtl_scenario_draw(seed);
    struct wtl_outcome o;
    uint8_t *bytes = malloc(FILE_CAP);
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
    if (!wtl_play(&s, &(struct wtl_play_opts){.pcap = name}, &o))
        fail_msg("seed %llu: %s", (unsigned long long)seed, o.err);
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    *len = fread(bytes, 1, FILE_CAP, f);
    fclose(f);
    unlink(name);
    return bytes;
}

static void test_replay_same_seed_gives_the_same_capture(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < WTL_KIND_N; seed++) {
        size_t a_len, b_len;
        uint8_t *a = capture_of(seed, &a_len), *b = capture_of(seed, &b_len);
        assert_true(a_len > 1000);
        assert_int_equal(a_len, b_len);
        assert_true(memcmp(a, b, a_len) == 0);
        free(a);
        free(b);
    }
}

static void test_replay_another_seed_gives_another_capture(void **state)
{
    (void)state;
    size_t a_len, b_len;
    uint8_t *a = capture_of(3, &a_len), *b = capture_of(13, &b_len);
    assert_true(a_len != b_len || memcmp(a, b, a_len) != 0);
    free(a);
    free(b);
}

/* Packets that tshark finds malformed or badly summed, other than those that the link says it corrupted. */
static void test_replay_captures_are_well_formed(void **state)
{
    (void)state;
    if (system("command -v tshark >/dev/null") != 0)
        skip();
    for (uint64_t seed = 0; seed < WTL_KIND_N; seed++) {
        char name[] = "/tmp/weir-replay-XXXXXX", command[512];
        struct wtl_scenario s = wtl_scenario_draw(seed);
        struct wtl_outcome o;
        close(mkstemp(name));
        assert_true(wtl_play(&s, &(struct wtl_play_opts){.pcap = name}, &o));
        snprintf(command, sizeof command,
                 "test -z \"$(tshark -r %s -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y '(_ws.malformed || "
                 "tcp.checksum.status==0 || ip.checksum.status==0 || icmpv6.checksum.status==0) && "
                 "!(frame.comment contains \\\"one bit changed\\\")' 2>/dev/null)\"",
                 name);
        int bad = system(command);
        unlink(name);
        if (bad)
            fail_msg("seed %llu: tshark complains", (unsigned long long)seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_same_seed_gives_the_same_capture),
        cmocka_unit_test(test_replay_another_seed_gives_another_capture),
        cmocka_unit_test(test_replay_captures_are_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
