/* The byte limit, and slab pools on it. */
#include "heap.h"

#include "base/bytes.h"
#include "base/random.h"
#include "base/slab.h"

static void test_mem_at_its_limit_refuses_and_counts(void **state)
{
    (void)state;
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, 100);
    void *a = wi_mem_alloc(&m, 60), *b = wi_mem_alloc(&m, 40);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(wi_mem_alloc(&m, 1));
    assert_null(wi_mem_alloc(&m, SIZE_MAX));
    assert_int_equal(m.failures, 2);
    assert_int_equal(h.alloc_n, 2);
    wi_mem_free(&m, a, 60);
    assert_int_equal(m.used, 40);
    assert_int_equal(m.peak, 100);
    m.limit = 30;
    assert_null(wi_mem_alloc(&m, 1));
    wi_mem_free(&m, b, 40);
    wi_mem_free(&m, NULL, 7);
    assert_int_equal(m.used, 0);
    assert_int_equal(h.bytes, 0);
}

static void test_mem_owner_refusal_leaves_accounts_as_they_were(void **state)
{
    (void)state;
    struct heap h = {.fail_at = 1};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    assert_null(wi_mem_zalloc(&m, 10));
    assert_int_equal(m.used, 0);
    assert_int_equal(m.failures, 1);
    uint8_t *p = wi_mem_zalloc(&m, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(p[i], 0);
    wi_mem_free(&m, p, 10);
}

static void check_fresh(const uint8_t *obj, size_t size)
{
    assert_non_null(obj);
    assert_int_equal((uintptr_t)obj % 16, 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(obj[i], 0);
}

static void test_slab_objects_of_any_size_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 8, 9, 24, 40, 48, 100, 400, 2048, 8192, 70000};
    for (size_t k = 0; k < WI_ARRAY_LEN(sizes); k++) {
        struct heap h = {0};
        struct wi_mem m = heap_mem(&h, SIZE_MAX);
        struct wi_slab s;
        wi_slab_init(&s, &m, sizes[k], "test");
        assert_int_equal(h.bytes, 0);
        uint8_t *obj[50];
        for (int i = 0; i < 50; i++) {
            check_fresh(obj[i] = wi_slab_alloc(&s), sizes[k]);
            memset(obj[i], i + 1, sizes[k]);
        }
        for (int i = 0; i < 50; i++) {
            for (size_t b = 0; b < sizes[k]; b++)
                assert_int_equal(obj[i][b], i + 1);
            wi_slab_free(&s, obj[i]);
        }
        assert_int_equal(h.bytes, 0);
        wi_slab_fini(&s);
    }
}

/* What an idle stack must hold to: after 100,000 connections it uses as much memory as before. */
static void test_slab_after_100k_objects_returns_all_memory(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_slab s;
    struct wi_rng r;
    wi_rng_init(&r, 8);
    wi_slab_init(&s, &m, 200, "conn");
    void **obj = malloc(N * sizeof *obj);
    for (size_t i = 0; i < N; i++)
        obj[i] = wi_slab_alloc(&s);
    assert_true(m.used < (size_t)N * 216 * 102 / 100); /* little is lost to headers and rounding */
    for (size_t i = N; i > 0; i--) {
        size_t k = wi_rng_below(&r, i);
        wi_slab_free(&s, obj[k]);
        obj[k] = obj[i - 1];
    }
    assert_int_equal(s.chunk_n, 0);
    assert_int_equal(m.used, 0);
    assert_int_equal(h.bytes, 0);
    wi_slab_fini(&s);
    free(obj);
}

static void test_slab_swinging_around_a_chunk_edge_does_not_allocate(void **state)
{
    (void)state;
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_slab s;
    wi_slab_init(&s, &m, 1000, "edge");
    void *held[64];
    uint32_t n = s.objs_in_chunk;
    assert_true(n < 64);
    for (uint32_t i = 0; i < n; i++)
        held[i] = wi_slab_alloc(&s);
    for (int i = 0; i < 100; i++)
        wi_slab_free(&s, wi_slab_alloc(&s));
    assert_int_equal(h.alloc_n, 2);
    for (uint32_t i = 0; i < n; i++)
        wi_slab_free(&s, held[i]);
    assert_int_equal(h.bytes, 0);
    wi_slab_fini(&s);
}

/* A use that swings as widely again and again comes to allocate nothing; trimming gives all of it back. */
static void test_slab_with_spares_stops_allocating_where_use_swings(void **state)
{
    (void)state;
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_slab s;
    void *held[200];
    uint64_t allocs = 0;
    wi_slab_init(&s, &m, 500, "pkt");
    s.spares_max = 8;
    for (int round = 0; round < 400; round++) {
        allocs = h.alloc_n;
        for (size_t i = 0; i < 100; i++)
            held[i] = wi_slab_alloc(&s);
        for (size_t i = 0; i < 100; i++)
            wi_slab_free(&s, held[i]);
    }
    assert_int_equal(h.alloc_n, allocs);
    assert_in_range(s.chunk_n, 1, 8);
    for (size_t i = 0; i < 200; i++)
        held[i] = wi_slab_alloc(&s);
    for (size_t i = 0; i < 200; i++)
        wi_slab_free(&s, held[i]);
    assert_in_range(s.chunk_n, 1, 8);
    size_t bytes = h.bytes;
    assert_int_equal(wi_slab_trim(&s), bytes);
    assert_int_equal(h.bytes, 0);
    wi_slab_fini(&s);
    assert_int_equal(h.bytes, 0);
}

static void test_slab_random_use_never_hands_out_an_object_twice(void **state)
{
    (void)state;
    enum { N = 600 };
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_slab s;
    struct wi_rng r;
    wi_rng_init(&r, 9);
    wi_slab_init(&s, &m, 56, "random");
    static uint64_t *obj[N];
    size_t live = 0;
    for (int op = 0; op < 100000; op++) {
        size_t i = wi_rng_below(&r, N);
        bool fills = wi_rng_below(&r, 10) < (op / 10000 % 2 ? 2u : 8u);
        if (fills && !obj[i]) {
            obj[i] = wi_slab_alloc(&s);
            check_fresh((uint8_t *)obj[i], 56);
            obj[i][0] = obj[i][6] = i + 1;
            live++;
        } else if (!fills && obj[i]) {
            assert_true(obj[i][0] == i + 1 && obj[i][6] == i + 1);
            wi_slab_free(&s, obj[i]);
            obj[i] = NULL;
            live--;
        }
        assert_int_equal(s.obj_n, live);
        assert_true(s.empty_n <= 1 && (live || !s.chunk_n));
    }
    for (size_t i = 0; i < N; i++)
        wi_slab_free(&s, obj[i]);
    wi_slab_fini(&s);
    assert_int_equal(h.bytes, 0);
}

static void test_slab_allocation_refused_at_any_point_is_null_and_recovers(void **state)
{
    (void)state;
    for (size_t fail_at = 1; fail_at <= 6; fail_at++) {
        struct heap h = {.fail_at = fail_at};
        struct wi_mem m = heap_mem(&h, SIZE_MAX);
        struct wi_slab s;
        wi_slab_init(&s, &m, 900, "fail");
        void *held[40];
        int refused = 0;
        for (int i = 0; i < 40; i++) {
            held[i] = wi_slab_alloc(&s);
            refused += held[i] == NULL;
        }
        assert_int_equal(refused, fail_at <= h.alloc_n);
        for (int i = 0; i < 40; i++)
            wi_slab_free(&s, held[i]);
        wi_slab_fini(&s);
        assert_int_equal(h.bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_at_its_limit_refuses_and_counts),
        cmocka_unit_test(test_mem_owner_refusal_leaves_accounts_as_they_were),
        cmocka_unit_test(test_slab_objects_of_any_size_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_slab_after_100k_objects_returns_all_memory),
        cmocka_unit_test(test_slab_swinging_around_a_chunk_edge_does_not_allocate),
        cmocka_unit_test(test_slab_with_spares_stops_allocating_where_use_swings),
        cmocka_unit_test(test_slab_random_use_never_hands_out_an_object_twice),
        cmocka_unit_test(test_slab_allocation_refused_at_any_point_is_null_and_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
