/* Who is due next (sim/sched.h), against a table that is searched. */
#include "sim/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 150

struct model {
    struct wsim_sched s;
    weir_ns at[N];
    uint32_t lcg;
};

static uint32_t any(struct model *m, uint32_t n)
{
    m->lcg = m->lcg * 1664525u + 1013904223u;
    return (m->lcg >> 16) % n;
}

static void open_model(struct model *m)
{
    *m = (struct model){.lcg = 7};
    for (int i = 0; i < N; i++) {
        assert_true(wsim_sched_add(&m->s));
        m->at[i] = WEIR_NEVER;
    }
}

static void set(struct model *m, uint32_t member, weir_ns at)
{
    m->at[member] = at;
    wsim_sched_set(&m->s, member, at);
}

static uint32_t want_next(const struct model *m, uint32_t from, weir_ns now)
{
    while (from < N && m->at[from] > now)
        from++;
    return from;
}

static weir_ns want_earliest(const struct model *m)
{
    weir_ns at = WEIR_NEVER;
    for (int i = 0; i < N; i++)
        at = m->at[i] < at ? m->at[i] : at;
    return at;
}

static void test_sched_nobody_has_a_time(void **state)
{
    (void)state;
    struct model m;
    open_model(&m);
    assert_int_equal(wsim_sched_earliest(&m.s), WEIR_NEVER);
    assert_int_equal(wsim_sched_next(&m.s, 0, 1000), N);
    wsim_sched_free(&m.s);
}

static void test_sched_equal_times_come_by_number(void **state)
{
    (void)state;
    struct model m;
    open_model(&m);
    const uint32_t members[] = {140, 3, 64, 63};
    for (unsigned i = 0; i < 4; i++)
        set(&m, members[i], 10);
    assert_int_equal(wsim_sched_next(&m.s, 0, 9), N);
    assert_int_equal(wsim_sched_next(&m.s, 0, 10), 3);
    assert_int_equal(wsim_sched_next(&m.s, 4, 10), 63);
    set(&m, 63, WEIR_NEVER);
    set(&m, 100, 10); /* due meanwhile, and ahead: it takes part */
    set(&m, 5, 10);   /* behind: it does not */
    assert_int_equal(wsim_sched_next(&m.s, 64, 10), 64);
    assert_int_equal(wsim_sched_next(&m.s, 65, 10), 100);
    assert_int_equal(wsim_sched_next(&m.s, 101, 10), 140);
    assert_int_equal(wsim_sched_next(&m.s, 141, 10), N);
    assert_true(wsim_sched_earliest(&m.s) <= 10);
    assert_int_equal(wsim_sched_next(&m.s, 0, 10), 3);
    wsim_sched_free(&m.s);
}

static void test_sched_agrees_with_a_search(void **state)
{
    (void)state;
    struct model m;
    open_model(&m);
    weir_ns now = 0;
    for (int round = 0; round < 20000; round++) {
        set(&m, any(&m, N), any(&m, 10) == 0 ? WEIR_NEVER : now + any(&m, 50));
        weir_ns earliest = want_earliest(&m), got = wsim_sched_earliest(&m.s);
        assert_true(got == earliest || (got <= now && earliest <= now));
        if (any(&m, 3) > 0)
            continue;
        now += any(&m, 8);
        for (uint32_t i = 0; i <= N; i++) {
            uint32_t next = want_next(&m, i, now);
            assert_int_equal(wsim_sched_next(&m.s, i, now), next);
            i = next;
            if (i < N && any(&m, 4) > 0) /* else it is passed over, and due in the next round */
                set(&m, i, any(&m, 4) == 0 ? WEIR_NEVER : now + any(&m, 20));
        }
    }
    wsim_sched_free(&m.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sched_nobody_has_a_time),
        cmocka_unit_test(test_sched_equal_times_come_by_number),
        cmocka_unit_test(test_sched_agrees_with_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
