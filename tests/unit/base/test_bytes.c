/* Byte order, bounds, sequence numbers, lists. */
#include "heap.h"

#include "base/bytes.h"
#include "base/list.h"
#include "base/seq.h"

static void test_get_and_put_unaligned_are_big_endian(void **state)
{
    (void)state;
    uint8_t b[9] = {0xee, 1, 2, 3, 4, 5, 6, 7, 0xf8};
    assert_int_equal(wi_get16(b + 7), 0x07f8);
    assert_int_equal(wi_get32(b + 5), 0x050607f8);
    assert_true(wi_get64(b + 1) == 0x01020304050607f8);
    assert_true(wi_get_le32(b + 5) == 0xf8070605);
    assert_true(wi_get_le64(b + 1) == 0xf807060504030201);

    uint8_t o[9] = {0};
    wi_put64(o + 1, 0x01020304050607f8);
    assert_memory_equal(o + 1, b + 1, 8);
    wi_put_le64(o + 1, 0xf807060504030201);
    assert_memory_equal(o + 1, b + 1, 8);
    wi_put32(o + 1, 0x8badf00d);
    wi_put16(o + 5, 0xbeef);
    assert_memory_equal(o, ((uint8_t[]){0, 0x8b, 0xad, 0xf0, 0x0d, 0xbe, 0xef, 7, 0xf8}), 9);
    wi_put_le32(o, 0x04030201);
    assert_memory_equal(o, ((uint8_t[]){1, 2, 3, 4}), 4);
}

static void test_min_and_max_at_the_type_limits_hold(void **state)
{
    (void)state;
    assert_int_equal(wi_min_u32(0, UINT32_MAX), 0);
    assert_int_equal(wi_max_u32(0, UINT32_MAX), UINT32_MAX);
    assert_true(wi_min_u64(UINT64_MAX, 1) == 1 && wi_max_u64(UINT64_MAX, 1) == UINT64_MAX);
    assert_true(wi_min_size(SIZE_MAX, 2) == 2 && wi_max_size(SIZE_MAX, 2) == SIZE_MAX);
}

struct item {
    int id;
    struct wi_list link;
};

static void test_container_of_member_gives_object(void **state)
{
    (void)state;
    struct item it = {.id = 7};
    const struct wi_list *link = &it.link;
    assert_ptr_equal(WI_CONTAINER_OF(&it.link, struct item, link), &it);
    assert_int_equal(WI_CONTAINER_OF(link, const struct item, link)->id, 7);
    assert_int_equal(WI_ARRAY_LEN(((int[]){1, 2, 3})), 3);
}

static struct wi_seq seq(uint32_t v)
{
    return (struct wi_seq){v};
}

/* RFC 9293 3.4: comparisons are modulo 2^32. */
static void test_seq_across_the_wrap_keeps_order(void **state)
{
    (void)state;
    struct wi_seq before = seq(UINT32_MAX - 1), after = seq(3);
    assert_true(wi_seq_lt(before, after) && wi_seq_leq(before, after) && wi_seq_gt(after, before));
    assert_false(wi_seq_geq(before, after));
    assert_int_equal(wi_seq_diff(after, before), 5);
    assert_int_equal(wi_seq_diff(before, after), -5);
    assert_true(wi_seq_eq(wi_seq_add(before, 5), after) && wi_seq_eq(wi_seq_sub(after, 5), before));
    assert_int_equal(wi_seq_max(before, after).v, 3);
    assert_int_equal(wi_seq_min(before, after).v, before.v);
    assert_true(wi_seq_leq(after, after) && wi_seq_geq(after, after) && !wi_seq_lt(after, after));
}

static void test_seq_diff_at_its_extremes_is_exact(void **state)
{
    (void)state;
    assert_int_equal(wi_seq_diff(seq(0x7fffffff), seq(0)), INT32_MAX);
    assert_int_equal(wi_seq_diff(seq(0x80000000), seq(0)), INT32_MIN);
    assert_int_equal(wi_seq_diff(seq(0x80000001), seq(0)), INT32_MIN + 1);
    assert_int_equal(wi_seq_diff(seq(0), seq(1)), -1);
}

static void test_seq_between_half_open_excludes_the_end(void **state)
{
    (void)state;
    struct wi_seq lo = seq(UINT32_MAX - 2), hi = seq(2);
    assert_true(wi_seq_between(lo, lo, hi) && wi_seq_between(lo, seq(1), hi));
    assert_false(wi_seq_between(lo, hi, hi) || wi_seq_between(lo, seq(UINT32_MAX - 3), hi));
    assert_false(wi_seq_between(lo, lo, lo));
}

static int ids(struct wi_list *head)
{
    int all = 0;
    wi_list_for_each (it, head, struct item, link)
        all = all * 10 + it->id;
    return all;
}

static void test_list_add_del_splice_keep_order(void **state)
{
    (void)state;
    struct item it[6];
    struct wi_list a, b;
    wi_list_init(&a);
    wi_list_init(&b);
    assert_true(wi_list_empty(&a));
    assert_null(wi_list_first(&a, struct item, link));
    assert_null(wi_list_last(&a, struct item, link));
    for (int i = 0; i < 6; i++) {
        it[i].id = i + 1;
        wi_list_add_tail(i < 3 ? &a : &b, &it[i].link);
    }
    wi_list_splice_tail(&a, &b);
    assert_true(wi_list_empty(&b));
    wi_list_splice_tail(&a, &b);
    assert_int_equal(ids(&a), 123456);

    wi_list_del(&it[2].link);
    assert_true(wi_list_empty(&it[2].link));
    wi_list_del(&it[2].link);
    wi_list_add_head(&a, &it[2].link);
    assert_int_equal(ids(&a), 312456);
    assert_ptr_equal(wi_list_first(&a, struct item, link), &it[2]);
    assert_ptr_equal(wi_list_last(&a, struct item, link), &it[5]);
    assert_ptr_equal(wi_list_next(&it[2], &a, struct item, link), &it[0]);
    assert_ptr_equal(wi_list_prev(&it[0], &a, struct item, link), &it[2]);
    assert_null(wi_list_next(&it[5], &a, struct item, link));
    assert_null(wi_list_prev(&it[2], &a, struct item, link));
}

static void test_list_walk_safe_allows_freeing_each(void **state)
{
    (void)state;
    struct wi_list head;
    wi_list_init(&head);
    for (int i = 0; i < 5; i++) {
        struct item *it = malloc(sizeof *it);
        it->id = i;
        wi_list_add_tail(&head, &it->link);
    }
    int n = 0;
    wi_list_for_each_safe (it, &head, struct item, link) {
        assert_int_equal(it->id, n++);
        wi_list_del(&it->link);
        free(it);
    }
    assert_int_equal(n, 5);
    assert_true(wi_list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_and_put_unaligned_are_big_endian),
        cmocka_unit_test(test_min_and_max_at_the_type_limits_hold),
        cmocka_unit_test(test_container_of_member_gives_object),
        cmocka_unit_test(test_seq_across_the_wrap_keeps_order),
        cmocka_unit_test(test_seq_diff_at_its_extremes_is_exact),
        cmocka_unit_test(test_seq_between_half_open_excludes_the_end),
        cmocka_unit_test(test_list_add_del_splice_keep_order),
        cmocka_unit_test(test_list_walk_safe_allows_freeing_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
