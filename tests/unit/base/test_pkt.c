/* Packets and blocks (weir/pkt.h): bytes stay what they were through every view, and memory goes back. */
#include "base/pkt.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include <cmocka.h>

static size_t outstanding;

static void *count_alloc(void *ctx, size_t size)
{
    (void)ctx;
    void *p = malloc(size);
    if (p)
        outstanding += size;
    return p;
}

static void count_free(void *ctx, void *p, size_t size)
{
    (void)ctx;
    outstanding -= size;
    free(p);
}

static const struct weir_alloc counting = {.alloc = count_alloc, .free = count_free};

static void fill(uint8_t *p, size_t n, unsigned first)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(first + i);
}

/* A packet whose byte i is i: `head` bytes in the head, the rest in fragments of `piece` bytes. */
static struct weir_pkt *pkt_of(struct weir_pool *pool, size_t head, size_t len, size_t piece)
{
    struct weir_pkt *p = weir_pkt_new(pool, 64);

    fill(weir_pkt_put(p, head), head, 0);
    for (size_t at = head; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        struct weir_block *b = weir_block_new(pool, n + 3);
        fill(b->data + 3, n, (unsigned)at);
        assert_int_equal(weir_pkt_append(p, b, 3, (uint32_t)n), 0);
        weir_block_unref(b);
    }
    return p;
}

static void check_bytes(const struct weir_pkt *p, size_t first, size_t n)
{
    uint8_t got[512];

    assert_int_equal(p->len, n);
    assert_int_equal(weir_pkt_copy(p, 0, got, sizeof got), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], (uint8_t)(first + i));
}

static void test_pool_freed_before_its_packets_lives_on_for_them(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);
    struct weir_pkt *p = pkt_of(pool, 20, 100, 30);

    weir_pool_free(pool);
    check_bytes(p, 0, 100);
    weir_pkt_unref(p);
    assert_int_equal(outstanding, 0);
}

static void test_pool_at_its_limit_refuses_and_recovers(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 200 * 1024);
    struct weir_block *held[64];
    unsigned n = 0;

    while (n < 64 && (held[n] = weir_block_new(pool, 16384)))
        n++;
    assert_in_range(n, 8, 12);
    assert_true(outstanding <= 200 * 1024);
    weir_block_unref(held[--n]);
    assert_non_null(held[n] = weir_block_new(pool, 16384));
    for (unsigned i = 0; i <= n; i++)
        weir_block_unref(held[i]);
    weir_pool_free(pool);
    assert_int_equal(outstanding, 0);
}

static void test_drop_front_and_trim_at_every_place_keep_the_rest(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);

    for (size_t front = 0; front <= 120; front++)
        for (size_t end = front; end <= 120; end += 7) {
            struct weir_pkt *p = pkt_of(pool, 20, 120, 33);
            weir_pkt_trim(p, end);
            weir_pkt_drop_front(p, front);
            check_bytes(p, front, end - front);
            weir_pkt_unref(p);
        }
    assert_int_equal(weir_pool_used(pool), 0);
    weir_pool_free(pool);
    assert_int_equal(outstanding, 0);
}

static void test_pull_gathers_only_what_is_not_contiguous(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);

    for (size_t want = 1; want <= 120; want++) {
        struct weir_pkt *p = pkt_of(pool, 20, 120, 33);
        const uint8_t *at = weir_pkt_pull(p, want);
        for (size_t i = 0; i < want; i++)
            assert_int_equal(at[i], (uint8_t)i);
        check_bytes(p, 0, 120);
        weir_pkt_unref(p);
    }

    struct weir_pkt *p = pkt_of(pool, 0, 120, 120);
    assert_ptr_equal(weir_pkt_pull(p, 120), p->frags[0].block->data + 3); /* one fragment: no copy */
    assert_null(weir_pkt_pull(p, 121));
    weir_pkt_unref(p);
    weir_pool_free(pool);
}

static void test_clone_shares_blocks_and_owns_its_head(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);
    struct weir_pkt *p = pkt_of(pool, 20, 100, 80);
    struct weir_pkt *c = weir_pkt_clone(pool, p);

    assert_ptr_equal(c->frags[0].block, p->frags[0].block);
    assert_int_equal(p->frags[0].block->refs, 2);
    wi_pkt_head(c)[0] = 99;
    check_bytes(p, 0, 100);
    weir_pkt_unref(p);
    weir_pkt_drop_front(c, 20);
    check_bytes(c, 20, 80);
    weir_pkt_unref(c);
    weir_pool_free(pool);
    assert_int_equal(outstanding, 0);
}

static void test_append_merges_neighbours_and_stops_at_the_cap(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);
    struct weir_pkt *p = weir_pkt_new(pool, 0);
    struct weir_block *b = weir_block_new(pool, 400);

    fill(b->data, 100, 0);
    assert_int_equal(weir_pkt_append(p, b, 0, 40), 0);
    assert_int_equal(weir_pkt_append(p, b, 40, 60), 0);
    assert_int_equal(p->frag_n, 1);
    for (unsigned i = 1; i < WEIR_PKT_FRAGS; i++)
        assert_int_equal(weir_pkt_append(p, b, 0, 1), 0);
    assert_int_equal(weir_pkt_append(p, b, 7, 1), -WEIR_ENOBUFS);
    weir_block_unref(b);
    weir_pkt_unref(p);
    weir_pool_free(pool);
    assert_int_equal(outstanding, 0);
}

static void test_head_push_and_put_stop_at_the_room(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);
    struct weir_pkt *p = weir_pkt_new(pool, 40);

    assert_null(weir_pkt_new(pool, WEIR_PKT_HEAD_CAP + 1));
    assert_null(weir_pkt_push(p, 41));
    assert_non_null(weir_pkt_push(p, 40));
    assert_null(weir_pkt_put(p, WEIR_PKT_HEAD_CAP - 39));
    assert_non_null(weir_pkt_put(p, WEIR_PKT_HEAD_CAP - 40));
    assert_int_equal(p->len, WEIR_PKT_HEAD_CAP);
    weir_pkt_unref(p);
    weir_pool_free(pool);
}

/* A sum of the fragments that was kept is gone with the first change to them, and not before. */
static void test_kept_sum_is_void_once_the_fragments_change(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);
    for (int change = 0; change < 6; change++) {
        struct weir_pkt *p = weir_pkt_new(pool, 20);
        struct weir_block *b = weir_block_new(pool, 100);
        memset(weir_pkt_put(p, 10), 0, 10);
        memset(b->data, 1, 100);
        assert_int_equal(weir_pkt_append(p, b, 0, 50), 0);
        p->flags |= WEIR_PKT_DATA_SUM;
        assert_non_null(weir_pkt_push(p, 8));
        weir_pkt_drop_front(p, 12);
        weir_pkt_trim(p, 56);
        assert_non_null(weir_pkt_pull(p, 6));
        assert_true(p->flags & WEIR_PKT_DATA_SUM);
        struct weir_pkt *c = weir_pkt_clone(pool, p);
        assert_true(c->flags & WEIR_PKT_DATA_SUM);
        weir_pkt_unref(c);
        switch (change) {
        case 0: weir_pkt_drop_front(p, 7); break;
        case 1: weir_pkt_trim(p, 55); break;
        case 2: assert_int_equal(weir_pkt_append(p, b, 50, 1), 0); break; /* the same view grows */
        case 3: assert_int_equal(weir_pkt_append(p, b, 60, 1), 0); break;
        case 4: assert_non_null(weir_pkt_pull(p, 7)); break;
        case 5: weir_pkt_drop_front(p, 56); break;
        }
        assert_false(p->flags & WEIR_PKT_DATA_SUM);
        weir_block_unref(b);
        weir_pkt_unref(p);
    }
    weir_pool_free(pool);
}

static unsigned released;

static void on_release(struct weir_block *b)
{
    (void)b;
    released++;
}

static void test_lent_block_is_given_back_once(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&counting, 0);
    struct weir_pkt *p = weir_pkt_new(pool, 0);
    struct weir_block lent;
    uint8_t mine[10] = {1, 2, 3};

    released = 0;
    weir_block_lend(&lent, mine, sizeof mine, on_release);
    assert_int_equal(weir_pkt_append(p, &lent, 0, 10), 0);
    weir_block_unref(&lent);
    assert_int_equal(released, 0);
    weir_pkt_unref(p);
    assert_int_equal(released, 1);
    weir_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_freed_before_its_packets_lives_on_for_them),
        cmocka_unit_test(test_pool_at_its_limit_refuses_and_recovers),
        cmocka_unit_test(test_drop_front_and_trim_at_every_place_keep_the_rest),
        cmocka_unit_test(test_pull_gathers_only_what_is_not_contiguous),
        cmocka_unit_test(test_clone_shares_blocks_and_owns_its_head),
        cmocka_unit_test(test_append_merges_neighbours_and_stops_at_the_cap),
        cmocka_unit_test(test_head_push_and_put_stop_at_the_room),
        cmocka_unit_test(test_kept_sum_is_void_once_the_fragments_change),
        cmocka_unit_test(test_lent_block_is_given_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
