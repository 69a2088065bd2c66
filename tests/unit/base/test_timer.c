/* The timer wheel against a model that scans an array. */
#include "heap.h"

#include <time.h>

#include "base/bytes.h"
#include "base/random.h"
#include "base/timer.h"

#define TIMERS 200

struct probe {
    struct wi_timer timer;
    struct rig *rig;
    uint64_t model_order; /* 0: not armed */
    weir_ns model_due;
    int fired_n;
    void (*then)(struct probe *p, weir_ns now);
    bool is_heap; /* freed by its own firing */
};

struct rig {
    struct wi_wheel wheel;
    struct probe probe[TIMERS];
    uint64_t order;
    weir_ns now;
    struct wi_rng rng;
    bool is_model_on;
    int fired_n;
};

static struct probe *model_first(struct rig *g)
{
    struct probe *best = NULL;
    for (size_t i = 0; i < TIMERS; i++) {
        struct probe *p = &g->probe[i];
        if (p->model_order && (!best || p->model_due < best->model_due ||
                               (p->model_due == best->model_due && p->model_order < best->model_order)))
            best = p;
    }
    return best;
}

static void on_fire(struct wi_timer *t, weir_ns now)
{
    struct probe *p = WI_CONTAINER_OF(t, struct probe, timer);
    struct rig *g = p->rig;
    assert_false(wi_timer_armed(t));
    assert_true(now == g->now);
    assert_true(!g->is_model_on || p->model_due <= now);
    if (g->is_model_on)
        assert_ptr_equal(p, model_first(g));
    p->model_order = 0;
    p->fired_n++;
    g->fired_n++;
    if (p->then)
        p->then(p, now);
    if (p->is_heap)
        free(p);
}

static struct rig *rig_new(weir_ns now, uint64_t seed)
{
    struct rig *g = calloc(1, sizeof *g);
    g->now = now;
    wi_rng_init(&g->rng, seed);
    wi_wheel_init(&g->wheel, now);
    for (size_t i = 0; i < TIMERS; i++) {
        g->probe[i].rig = g;
        wi_timer_init(&g->probe[i].timer, on_fire);
    }
    return g;
}

static void arm(struct probe *p, weir_ns due)
{
    wi_timer_arm(&p->rig->wheel, &p->timer, due);
    p->model_due = due;
    p->model_order = due == WEIR_NEVER ? 0 : ++p->rig->order;
}

static void advance(struct rig *g, weir_ns now)
{
    g->now = now;
    wi_wheel_advance(&g->wheel, now);
}

static void check_deadline(struct rig *g)
{
    struct probe *p = model_first(g);
    assert_true(wi_wheel_deadline(&g->wheel) == (p ? p->model_due : WEIR_NEVER));
}

/* A distance of any magnitude: every level of the wheel, and equal dues too. */
static weir_ns any_distance(struct wi_rng *r)
{
    uint64_t bits = wi_rng_below(r, 50);
    return wi_rng_below(r, ((uint64_t)1 << bits)) & ~(wi_rng_below(r, 2) ? (uint64_t)0xfff : 0);
}

/* What a firing timer does to others in the random test; only for times ahead, where the model's order is the plain
 * one. */
static void meddle(struct probe *p, weir_ns now)
{
    struct rig *g = p->rig;
    struct probe *other = &g->probe[wi_rng_below(&g->rng, TIMERS)];
    switch (wi_rng_below(&g->rng, 4)) {
    case 0: arm(p, now + 1 + any_distance(&g->rng)); break;
    case 1: arm(other, now + 1 + any_distance(&g->rng)); break;
    case 2:
        wi_timer_cancel(&g->wheel, &other->timer);
        other->model_order = 0;
        break;
    default: break;
    }
}

static void random_step(struct rig *g)
{
    struct probe *p = &g->probe[wi_rng_below(&g->rng, TIMERS)];
    switch (wi_rng_below(&g->rng, 8)) {
    case 0:
    case 1:
    case 2: arm(p, g->now + any_distance(&g->rng)); break;
    case 3: arm(p, g->now - wi_min_u64(g->now, any_distance(&g->rng))); break;
    case 4:
        if (wi_rng_below(&g->rng, 2))
            wi_timer_cancel(&g->wheel, &p->timer);
        else
            wi_timer_stop(&p->timer);
        p->model_order = 0;
        break;
    case 5: advance(g, g->now + any_distance(&g->rng)); break;
    case 6: { /* exactly to the deadline: something must fire */
        weir_ns due = wi_wheel_deadline(&g->wheel);
        int before = g->fired_n;
        if (due == WEIR_NEVER)
            break;
        advance(g, wi_max_u64(due, g->now));
        assert_true(g->fired_n > before);
        break;
    }
    default: { /* and one nanosecond before it: nothing may */
        weir_ns due = wi_wheel_deadline(&g->wheel);
        int before = g->fired_n;
        if (due == WEIR_NEVER || due <= g->now + 1)
            break;
        advance(g, due - 1);
        assert_int_equal(g->fired_n, before);
        break;
    }
    }
    assert_int_equal(wi_timer_armed(&p->timer), p->model_order != 0);
}

static void test_wheel_random_operations_match_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rig *g = rig_new(seed % 3 ? seed * 1234567891011 : 0, seed);
        g->is_model_on = true;
        for (size_t i = 0; i < TIMERS; i++)
            g->probe[i].then = meddle;
        for (int step = 0; step < 4000; step++) {
            random_step(g);
            check_deadline(g);
            struct probe *p = model_first(g);
            if (step % 3 == 0 && p) /* cancel the earliest, the case that a cache would get wrong */
                arm(p, p->model_due + any_distance(&g->rng));
            check_deadline(g);
        }
        if (g->fired_n < 1000)
            fail_msg("seed %d fired only %d", (int)seed, g->fired_n);
        free(g);
    }
}

static void test_wheel_fires_at_due_and_never_a_nanosecond_before(void **state)
{
    (void)state;
    static const weir_ns distances[] = {1,
                                        65535,
                                        65536,
                                        65537,
                                        4194303,
                                        4194304,
                                        WEIR_MS(200),
                                        WEIR_SEC(1),
                                        WEIR_SEC(60),
                                        WEIR_SEC(7200),
                                        WEIR_SEC(86400 * 400ull),
                                        (weir_ns)1 << 62};
    for (size_t i = 0; i < WI_ARRAY_LEN(distances); i++) {
        struct rig *g = rig_new(WEIR_SEC(1000) + i * 77777, 1);
        weir_ns due = g->now + distances[i];
        arm(&g->probe[0], due);
        assert_true(wi_wheel_deadline(&g->wheel) == due);
        advance(g, due - 1);
        assert_int_equal(g->fired_n, 0);
        assert_true(wi_wheel_deadline(&g->wheel) == due);
        advance(g, due);
        assert_int_equal(g->fired_n, 1);
        assert_true(wi_wheel_deadline(&g->wheel) == WEIR_NEVER);
        free(g);
    }
}

/* Armed on different levels for the same moment, and yet in arming order. */
static void test_wheel_equal_deadlines_fire_in_arming_order(void **state)
{
    (void)state;
    struct rig *g = rig_new(0, 1);
    g->is_model_on = true;
    weir_ns due = WEIR_SEC(20) + 5;
    for (size_t i = 0; i < TIMERS; i++) {
        arm(&g->probe[(i * 7) % TIMERS], due);
        if (i % 10 == 9)
            advance(g, g->now + WEIR_SEC(1) * 19 / 20);
    }
    arm(&g->probe[3], due); /* armed again: now the last */
    advance(g, WEIR_SEC(30));
    assert_int_equal(g->fired_n, TIMERS);
    free(g);
}

static void test_timer_armed_in_the_past_fires_at_the_next_advance(void **state)
{
    (void)state;
    struct rig *g = rig_new(WEIR_SEC(5), 1);
    arm(&g->probe[0], WEIR_SEC(1));
    arm(&g->probe[1], 0);
    assert_int_equal(g->fired_n, 0);
    assert_true(wi_wheel_deadline(&g->wheel) == 0);
    g->is_model_on = true;
    advance(g, WEIR_SEC(5));
    assert_int_equal(g->fired_n, 2);
    free(g);
}

static void test_timer_armed_for_never_is_cancelled(void **state)
{
    (void)state;
    struct rig *g = rig_new(0, 1);
    arm(&g->probe[0], 10);
    arm(&g->probe[0], WEIR_NEVER);
    assert_false(wi_timer_armed(&g->probe[0].timer));
    assert_true(wi_wheel_deadline(&g->wheel) == WEIR_NEVER);
    wi_timer_cancel(&g->wheel, &g->probe[0].timer);
    arm(&g->probe[0], WEIR_NEVER - 1);
    assert_true(wi_wheel_deadline(&g->wheel) == WEIR_NEVER - 1);
    advance(g, WEIR_NEVER - 2);
    assert_int_equal(g->fired_n, 0);
    advance(g, WEIR_NEVER - 1);
    assert_int_equal(g->fired_n, 1);
    free(g);
}

static void rearm_for_now(struct probe *p, weir_ns now)
{
    arm(p, now);
}

/* A timer that always wants to fire at once fires twice and then waits: the advance ends. */
static void test_timer_rearming_for_now_fires_once_more_and_then_waits(void **state)
{
    (void)state;
    struct rig *g = rig_new(0, 1);
    g->probe[0].then = rearm_for_now;
    arm(&g->probe[0], 10);
    advance(g, 10);
    assert_int_equal(g->fired_n, 2);
    assert_true(wi_timer_armed(&g->probe[0].timer));
    assert_true(wi_wheel_deadline(&g->wheel) == 10);
    advance(g, 10);
    assert_int_equal(g->fired_n, 4);
    wi_timer_cancel(&g->wheel, &g->probe[0].timer);
    assert_true(wi_wheel_deadline(&g->wheel) == WEIR_NEVER);
    free(g);
}

static void rearm_periodic(struct probe *p, weir_ns now)
{
    (void)now;
    arm(p, p->model_due + WEIR_MS(10));
}

static void test_timer_periodic_after_a_long_gap_catches_up(void **state)
{
    (void)state;
    struct rig *g = rig_new(0, 1);
    g->probe[0].then = rearm_periodic;
    arm(&g->probe[0], WEIR_MS(10));
    advance(g, WEIR_SEC(1));
    assert_int_equal(g->fired_n, 100);
    assert_true(wi_wheel_deadline(&g->wheel) == WEIR_MS(1010));
    free(g);
}

static void cancel_waiting(struct probe *p, weir_ns now)
{
    struct rig *g = p->rig;
    struct probe *waits = &g->probe[1];
    if (p->fired_n == 1) {
        arm(p, now);
        return;
    }
    arm(waits, now);
    arm(&g->probe[2], now);
    wi_timer_cancel(&g->wheel, &waits->timer);
    assert_true(wi_wheel_deadline(&g->wheel) == now);
}

static void test_timer_waiting_for_the_next_advance_can_be_cancelled(void **state)
{
    (void)state;
    struct rig *g = rig_new(0, 1);
    g->probe[0].then = cancel_waiting;
    arm(&g->probe[0], 7);
    advance(g, 100);
    assert_int_equal(g->probe[0].fired_n, 2);
    assert_int_equal(g->probe[1].fired_n + g->probe[2].fired_n, 0);
    assert_true(wi_wheel_deadline(&g->wheel) == 100);
    advance(g, 100);
    assert_int_equal(g->probe[1].fired_n, 0);
    assert_int_equal(g->probe[2].fired_n, 1);
    free(g);
}

static void test_timer_that_frees_itself_leaves_its_equals_to_fire(void **state)
{
    (void)state;
    struct rig *g = rig_new(0, 1);
    for (int i = 0; i < 20; i++) {
        struct probe *p = calloc(1, sizeof *p);
        p->rig = g;
        p->is_heap = true;
        wi_timer_init(&p->timer, on_fire);
        arm(p, WEIR_MS(1) + (weir_ns)(i % 3));
    }
    advance(g, WEIR_MS(2));
    assert_int_equal(g->fired_n, 20);
    assert_true(wi_wheel_deadline(&g->wheel) == WEIR_NEVER);
    free(g);
}

static void test_wheel_with_a_time_that_runs_backwards_fires_nothing_early(void **state)
{
    (void)state;
    struct rig *g = rig_new(WEIR_SEC(10), 1);
    arm(&g->probe[0], WEIR_SEC(11));
    advance(g, WEIR_SEC(3));
    assert_int_equal(g->fired_n, 0);
    assert_true(wi_wheel_deadline(&g->wheel) == WEIR_SEC(11));
    advance(g, WEIR_SEC(11));
    assert_int_equal(g->fired_n, 1);
    free(g);
}

static void count_fire(struct wi_timer *t, weir_ns now)
{
    (void)t;
    (void)now;
}

/* 300,000 connections whose retransmission timers are re-armed in turn, the earliest first, with a deadline query each:
 * if a query scanned the slot, this would take hours. The bound is loose, for slow machines under sanitizers. */
static void test_wheel_with_crowded_slots_answers_fast(void **state)
{
    (void)state;
    enum { N = 300000 };
    struct wi_wheel w;
    struct wi_timer *t = calloc(N, sizeof *t);
    wi_wheel_init(&w, 0);
    clock_t start = clock();
    for (size_t i = 0; i < N; i++) {
        wi_timer_init(&t[i], count_fire);
        wi_timer_arm(&w, &t[i], WEIR_MS(200) + i);
    }
    for (size_t i = 0; i < N; i++) {
        assert_true(wi_wheel_deadline(&w) == WEIR_MS(200) + i);
        wi_timer_arm(&w, &t[i], WEIR_MS(200) + N + i);
    }
    wi_wheel_advance(&w, WEIR_SEC(1));
    assert_true(wi_wheel_deadline(&w) == WEIR_NEVER);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wheel_random_operations_match_the_model),
        cmocka_unit_test(test_wheel_fires_at_due_and_never_a_nanosecond_before),
        cmocka_unit_test(test_wheel_equal_deadlines_fire_in_arming_order),
        cmocka_unit_test(test_timer_armed_in_the_past_fires_at_the_next_advance),
        cmocka_unit_test(test_timer_armed_for_never_is_cancelled),
        cmocka_unit_test(test_timer_rearming_for_now_fires_once_more_and_then_waits),
        cmocka_unit_test(test_timer_periodic_after_a_long_gap_catches_up),
        cmocka_unit_test(test_timer_waiting_for_the_next_advance_can_be_cancelled),
        cmocka_unit_test(test_timer_that_frees_itself_leaves_its_equals_to_fire),
        cmocka_unit_test(test_wheel_with_a_time_that_runs_backwards_fires_nothing_early),
        cmocka_unit_test(test_wheel_with_crowded_slots_answers_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
