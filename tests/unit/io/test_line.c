/* What is under way (io/line.h): out come packets by their time, then by their turn. */
#include "io_test.h"

#include "io/line.h"
#include "io/rng.h"

static void test_line_any_order_in_gives_time_order_out(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct weir_pkt *pkt = weir_pkt_from(pool, "abc", 3);
    struct wio_line line = {0};
    struct wio_rng rng;
    wio_rng_init(&rng, 1, 1);

    uint64_t turn = 0, now = 0;
    unsigned in = 0, out = 0;
    struct wio_held last = {0};
    while (out < 20000) {
        if (in < 20000 && wio_rng_below(&rng, 3) > 0) {
            struct wio_held h = {weir_pkt_ref(pkt), now + wio_rng_below(&rng, 50), ++turn};
            assert_true(wio_line_push(&line, &h));
            in++;
        } else if (wio_line_peek(&line)) {
            now = wio_line_peek(&line)->due;
            struct wio_held h = wio_line_pop(&line);
            assert_true(h.due > last.due || (h.due == last.due && h.turn > last.turn));
            last = h;
            out++;
            weir_pkt_unref(h.pkt);
        }
        assert_int_equal(line.bytes, 3 * (in - out));
    }
    assert_null(wio_line_peek(&line));
    wio_line_free(&line);
    weir_pkt_unref(pkt);
    assert_int_equal(weir_pool_used(pool), 0);
    weir_pool_free(pool);
}

static void test_line_free_lets_go_of_its_packets(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct wio_line line = {0};
    for (uint64_t i = 0; i < 200; i++) {
        struct wio_held h = {weir_pkt_from(pool, "abc", 3), i % 2 ? 1000 - i : i, i};
        assert_true(wio_line_push(&line, &h));
    }
    wio_line_free(&line);
    assert_int_equal(weir_pool_used(pool), 0);
    weir_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_any_order_in_gives_time_order_out),
        cmocka_unit_test(test_line_free_lets_go_of_its_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
