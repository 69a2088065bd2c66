/* The incremental hash table against an array that knows what is in. */
#include "heap.h"

#include "base/bytes.h"
#include "base/htable.h"
#include "base/random.h"
#include "base/siphash.h"

struct entry {
    struct wi_hnode node;
    uint32_t key;
    bool is_in;
    int seen_n;
};

static uint64_t hash_of(uint32_t key)
{
    static const uint8_t secret[16] = {3, 1, 4, 1, 5};
    return wi_siphash13(secret, &key, sizeof key);
}

static bool is_key(const struct wi_hnode *n, const void *key)
{
    return WI_CONTAINER_OF(n, const struct entry, node)->key == *(const uint32_t *)key;
}

static struct entry *find(const struct wi_htable *t, uint32_t key)
{
    struct wi_hnode *n = wi_htable_find(t, hash_of(key), is_key, &key);
    return n ? WI_CONTAINER_OF(n, struct entry, node) : NULL;
}

static struct entry *entries(uint32_t n)
{
    struct entry *e = calloc(n, sizeof *e);
    for (uint32_t k = 0; k < n; k++)
        e[k].key = k;
    return e;
}

static void flip(struct wi_htable *t, struct entry *e)
{
    if (e->is_in)
        wi_htable_remove(t, &e->node);
    else
        wi_htable_insert(t, &e->node, hash_of(e->key));
    e->is_in = !e->is_in;
}

/* Load stays between 1/4 and 1, and the mask fits the number of buckets. */
static void check_shape(const struct wi_htable *t)
{
    assert_true(t->bucket_n >= t->initial_n && t->bucket_mask >= t->bucket_n - 1);
    assert_true(t->bucket_mask == 0 || t->bucket_mask >> 1 < t->bucket_n - 1 || t->bucket_n == t->initial_n);
    assert_true(t->node_n <= t->bucket_n);
    assert_true(t->bucket_n == t->initial_n || t->node_n >= t->bucket_n / 4);
}

static void test_htable_200k_random_operations_match_the_model(void **state)
{
    (void)state;
    enum { KEYS = 20000 };
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_htable t;
    struct wi_rng r;
    wi_rng_init(&r, 10);
    struct entry *all = entries(KEYS);
    size_t live = 0;
    assert_true(wi_htable_init(&t, &m, 8));
    size_t bytes_before = h.bytes;
    for (int op = 0; op < 200000; op++) {
        struct entry *e = &all[wi_rng_below(&r, KEYS)];
        bool fills = wi_rng_below(&r, 20) < (op / 40000 % 2 ? 1u : 19u);
        if (fills != e->is_in) {
            live += fills ? 1 : (size_t)-1;
            flip(&t, e);
        }
        uint32_t key = (uint32_t)wi_rng_below(&r, KEYS);
        assert_ptr_equal(find(&t, key), all[key].is_in ? &all[key] : NULL);
        assert_int_equal(wi_htable_count(&t), live);
        check_shape(&t);
    }
    for (uint32_t k = 0; k < KEYS; k++) {
        assert_ptr_equal(find(&t, k), all[k].is_in ? &all[k] : NULL);
        if (all[k].is_in)
            flip(&t, &all[k]);
    }
    assert_int_equal(t.bucket_n, 8);
    assert_int_equal(h.bytes, bytes_before);
    wi_htable_fini(&t);
    assert_int_equal(h.bytes, 0);
    free(all);
}

static void test_htable_equal_hashes_are_told_apart_by_key(void **state)
{
    (void)state;
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_htable t;
    assert_true(wi_htable_init(&t, &m, 4));
    struct entry *e = entries(100);
    for (uint32_t k = 0; k < 100; k++)
        wi_htable_insert(&t, &e[k].node, 77);
    for (uint32_t k = 0; k < 100; k++) {
        assert_ptr_equal(wi_htable_find(&t, 77, is_key, &k), &e[k].node);
        assert_null(wi_htable_find(&t, 78, is_key, &k));
    }
    for (uint32_t k = 0; k < 100; k++)
        wi_htable_remove(&t, &e[k].node);
    assert_int_equal(wi_htable_count(&t), 0);
    wi_htable_fini(&t);
    free(e);
}

static void test_htable_without_memory_to_grow_still_finds_all(void **state)
{
    (void)state;
    enum { KEYS = 1000, ALL = 4 * KEYS };
    /* The n-th allocation and all later ones fail, for every n that matters; then memory comes back. */
    for (size_t fail_at = 2; fail_at < 12; fail_at++) {
        struct heap h = {.fail_at = fail_at, .fails_onwards = true};
        struct wi_mem m = heap_mem(&h, SIZE_MAX);
        struct wi_htable t;
        struct entry *all = entries(ALL);
        assert_true(wi_htable_init(&t, &m, 4));
        for (uint32_t k = 0; k < KEYS; k++)
            flip(&t, &all[k]);
        for (uint32_t k = 0; k < KEYS; k++)
            assert_ptr_equal(find(&t, k), &all[k]);
        assert_true(m.failures < 100); /* it does not ask again at each insert */
        h.fail_at = 0;
        for (uint32_t k = KEYS; k < ALL; k++)
            flip(&t, &all[k]);
        check_shape(&t); /* caught up, two buckets an insert */
        for (uint32_t k = 0; k < ALL; k++) {
            assert_ptr_equal(find(&t, k), &all[k]);
            flip(&t, &all[k]);
        }
        wi_htable_fini(&t);
        assert_int_equal(h.bytes, 0);
        free(all);
    }
}

static void test_htable_init_without_memory_says_so(void **state)
{
    (void)state;
    struct heap h = {.fail_at = 1};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_htable t;
    assert_false(wi_htable_init(&t, &m, 16));
    wi_htable_fini(&t);
    assert_true(wi_htable_init(&t, &m, 5));
    assert_int_equal(t.bucket_n, 8);
    wi_htable_fini(&t);
}

static void test_htable_walk_that_removes_sees_each_once_and_then_shrinks(void **state)
{
    (void)state;
    enum { KEYS = 3000 };
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_htable t;
    struct entry *all = entries(KEYS);
    assert_true(wi_htable_init(&t, &m, 4));
    for (uint32_t k = 0; k < KEYS; k++)
        flip(&t, &all[k]);

    struct wi_htable_iter it;
    wi_htable_iter_begin(&it, &t);
    for (struct wi_hnode *n; (n = wi_htable_iter_next(&it));) {
        struct entry *e = WI_CONTAINER_OF(n, struct entry, node);
        e->seen_n++;
        if (e->key % 10)
            flip(&t, e);
    }
    wi_htable_iter_end(&it);
    for (uint32_t k = 0; k < KEYS; k++) {
        assert_int_equal(all[k].seen_n, 1);
        assert_ptr_equal(find(&t, k), k % 10 ? NULL : &all[k]);
    }
    check_shape(&t);
    wi_htable_fini(&t);
    assert_int_equal(h.bytes, 0);
    free(all);
}

/* No operation may touch more than a handful of buckets: growth by one insert is at most two buckets, shrinking four.
 */
/* While the table grows and shrinks by thousands between the steps, those that stay are seen once each. */
static void test_htable_walk_that_rests_sees_each_that_stays_once(void **state)
{
    (void)state;
    enum { STAY = 300, KEYS = 6000 };
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_htable t;
    struct wi_rng r;
    struct entry *e = entries(KEYS);
    assert_true(wi_htable_init(&t, &m, 4));
    wi_rng_init(&r, 11);
    for (uint32_t k = 0; k < STAY; k++)
        flip(&t, &e[k]);
    for (int round = 0; round < 3; round++) {
        struct wi_htable_walk walk = {0};
        unsigned step = 0;
        for (struct wi_hnode *n; (n = wi_htable_walk_next(&t, &walk)); step++) {
            WI_CONTAINER_OF(n, struct entry, node)->seen_n++;
            bool fills = step / 40 % 2 == 0;
            for (int i = 0; i < 100; i++) {
                struct entry *other = &e[STAY + wi_rng_below(&r, KEYS - STAY)];
                if (other->is_in != fills)
                    flip(&t, other);
            }
        }
        assert_null(wi_htable_walk_next(&t, &walk));
        for (uint32_t k = 0; k < STAY; k++)
            assert_int_equal(e[k].seen_n, round + 1);
    }
    wi_htable_fini(&t);
    free(e);
}

static void test_htable_walk_tells_equal_hashes_apart(void **state)
{
    (void)state;
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_htable t;
    struct wi_htable_walk walk = {0};
    struct entry *e = entries(9);
    assert_true(wi_htable_init(&t, &m, 4));
    for (uint32_t k = 0; k < 9; k++)
        wi_htable_insert(&t, &e[k].node, k < 6 ? UINT64_MAX : 0);
    for (struct wi_hnode *n; (n = wi_htable_walk_next(&t, &walk));)
        WI_CONTAINER_OF(n, struct entry, node)->seen_n++;
    for (uint32_t k = 0; k < 9; k++)
        assert_int_equal(e[k].seen_n, 1);
    wi_htable_fini(&t);
    free(e);
}

static void test_htable_one_operation_moves_few_buckets(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    struct heap h = {0};
    struct wi_mem m = heap_mem(&h, SIZE_MAX);
    struct wi_htable t;
    struct entry *all = entries(KEYS);
    assert_true(wi_htable_init(&t, &m, 4));
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t k = 0; k < KEYS; k++) {
            uint32_t was = t.bucket_n;
            flip(&t, &all[k]);
            assert_true(turn ? was - t.bucket_n <= 4 : t.bucket_n - was <= 2);
        }
    }
    assert_int_equal(t.bucket_n, 4);
    wi_htable_fini(&t);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_htable_200k_random_operations_match_the_model),
        cmocka_unit_test(test_htable_equal_hashes_are_told_apart_by_key),
        cmocka_unit_test(test_htable_without_memory_to_grow_still_finds_all),
        cmocka_unit_test(test_htable_init_without_memory_says_so),
        cmocka_unit_test(test_htable_walk_that_removes_sees_each_once_and_then_shrinks),
        cmocka_unit_test(test_htable_walk_that_rests_sees_each_that_stays_once),
        cmocka_unit_test(test_htable_walk_tells_equal_hashes_apart),
        cmocka_unit_test(test_htable_one_operation_moves_few_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
