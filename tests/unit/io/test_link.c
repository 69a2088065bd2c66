/* The link as a whole (io/link.h): its counters add up, corruption is one bit of a copy, what is under way is bounded.
 */
#include "io_test.h"

#include "io/link.h"

#define N 2000

/* A link whose near end sends by hand and whose far end is nobody; the tap remembers. */
struct rig {
    struct weir *w;
    struct weir_pool *pool;
    struct wio_link *link;
    unsigned sent, dropped, delivered, marked;
    uint8_t last_sent[2048], last_delivered[2048];
    size_t last_len;
    weir_ns last_at;
    bool is_in_order;
    uint32_t last_seq;
};

static void tap(void *ctx, const struct wio_link_note *note)
{
    struct rig *r = ctx;
    if (note->what == WIO_NOTE_SENT) {
        r->sent++;
        r->dropped += note->drop != WEIR_DROP_NONE;
        r->last_len = weir_pkt_copy(note->pkt, 0, r->last_sent, sizeof r->last_sent);
        assert_false(note->pkt->flags & WEIR_PKT_CORRUPT);
        return;
    }
    assert_true(note->at >= r->last_at);
    r->last_at = note->at;
    r->delivered++;
    r->marked += (note->pkt->flags & WEIR_PKT_CORRUPT) != 0;
    weir_pkt_copy(note->pkt, 0, r->last_delivered, sizeof r->last_delivered);
    uint32_t seq = (uint32_t)r->last_delivered[26] << 8 | r->last_delivered[27];
    r->is_in_order = r->is_in_order && seq >= r->last_seq;
    r->last_seq = seq;
}

static void open_rig(struct rig *r, const struct wio_link_config *c, uint64_t seed)
{
    struct weir_config wc = {.alloc = test_memory};
    *r = (struct rig){.w = weir_new(&wc), .link = wio_link_new(c, seed), .is_in_order = true};
    assert_non_null(r->w);
    assert_non_null(r->link);
    r->pool = weir_stack_pool(r->w);
    wio_link_set_tap(r->link, tap, r);
    wio_link_bind(r->link, WIO_NEAR, r->w, 0);
}

static void send_at(struct rig *r, weir_ns at, uint16_t seq)
{
    weir_advance(r->w, at);
    struct weir_pkt *p = test_segment(r->pool, true, 40000, 16, seq, 100);
    assert_int_equal(wio_link_ops()->xmit(wio_link_driver(r->link, WIO_NEAR), &p, 1), 1);
}

/* Let all that is under way arrive, each at its time. */
static void run_all(struct rig *r)
{
    while (wio_link_deadline(r->link) != WEIR_NEVER)
        wio_link_run(r->link, wio_link_deadline(r->link));
}

static void send_many(struct rig *r)
{
    for (unsigned i = 0; i < N; i++) {
        while (wio_link_deadline(r->link) <= WEIR_US(100) * i)
            wio_link_run(r->link, wio_link_deadline(r->link));
        send_at(r, WEIR_US(100) * i, (uint16_t)i);
    }
    run_all(r);
}

static void close_rig(struct rig *r)
{
    wio_link_free(r->link);
    weir_free(r->w);
}

static void test_link_clean_one_takes_super_segments(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, &(struct wio_link_config){0}, 1);
    assert_int_equal(wio_link_caps(r.link), WEIR_CAP_TSO | WEIR_CAP_TX_CSUM);
    send_many(&r);
    assert_int_equal(r.delivered, N);
    assert_true(r.is_in_order);
    close_rig(&r);

    open_rig(&r, &(struct wio_link_config){.is_captured = true}, 1);
    assert_int_equal(wio_link_caps(r.link), 0);
    close_rig(&r);
    open_rig(&r, &(struct wio_link_config){.dir = {[WIO_DOWN] = {.delay = 1}}}, 1);
    assert_int_equal(wio_link_caps(r.link), WEIR_CAP_TX_CSUM);
    close_rig(&r);
}

static void test_link_lost_and_delivered_add_up(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, &(struct wio_link_config){.dir = {[WIO_UP] = {.loss = WIO_PROB_ONE / 20, .delay = WEIR_MS(1)}}}, 1);
    send_many(&r);
    struct wio_link_stats s = wio_link_stats(r.link, WIO_UP);
    assert_int_equal(s.sent_pkts, N);
    assert_int_equal(s.sent_bytes, N * 140);
    assert_int_equal(s.lost, r.dropped);
    assert_int_equal(s.delivered_pkts, N - s.lost);
    assert_int_equal(s.lost, 90); /* exact for seed 1; 100 are expected */
    assert_int_equal(wio_link_stats(r.link, WIO_DOWN).sent_pkts, 0);
    close_rig(&r);
}

static void test_link_duplicates_arrive_twice(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, &(struct wio_link_config){.dir = {[WIO_UP] = {.duplicate = WIO_PROB_ONE / 10}}}, 1);
    send_many(&r);
    struct wio_link_stats s = wio_link_stats(r.link, WIO_UP);
    assert_in_range(s.duplicated, 160, 240);
    assert_int_equal(s.delivered_pkts, N + s.duplicated);
    assert_int_equal(r.delivered, N + s.duplicated);
    close_rig(&r);
}

static void test_link_corruption_is_one_bit_of_a_copy(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, &(struct wio_link_config){.dir = {[WIO_UP] = {.corrupt = WIO_PROB_ONE}}}, 1);
    unsigned places = 0;
    for (unsigned i = 0; i < 500; i++) {
        send_at(&r, WEIR_US(i), 0);
        run_all(&r);
        unsigned bits = 0;
        for (size_t k = 0; k < r.last_len; k++) {
            bits += (unsigned)__builtin_popcount(r.last_sent[k] ^ r.last_delivered[k]);
            places |= r.last_sent[k] != r.last_delivered[k] ? 1u << k * 32 / r.last_len : 0;
        }
        assert_int_equal(bits, 1);
    }
    assert_int_equal(places, UINT32_MAX); /* anywhere in the packet */
    assert_int_equal(r.marked, 500);
    assert_int_equal(wio_link_stats(r.link, WIO_UP).corrupted, 500);
    close_rig(&r);
}

static void test_link_reordering_is_counted(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, &(struct wio_link_config){.dir = {[WIO_UP] = {.delay = WEIR_MS(5), .reorder = WIO_PROB_ONE / 10}}}, 1);
    send_many(&r);
    assert_in_range(wio_link_stats(r.link, WIO_UP).reordered, 160, 240);
    assert_int_equal(r.delivered, N);
    assert_false(r.is_in_order);
    close_rig(&r);
}

static void test_link_holds_no_more_than_it_may(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, &(struct wio_link_config){.dir = {[WIO_UP] = {.delay = WEIR_SEC(10), .hold_max_bytes = 1400}}}, 1);
    for (unsigned i = 0; i < 50; i++)
        send_at(&r, WEIR_US(i), 0);
    assert_int_equal(wio_link_held_bytes(r.link), 1400);
    assert_int_equal(wio_link_stats(r.link, WIO_UP).hold_full, 40);
    run_all(&r);
    assert_int_equal(r.delivered, 10);
    assert_int_equal(wio_link_held_bytes(r.link), 0);
    close_rig(&r);

    open_rig(&r, &(struct wio_link_config){.dir = {[WIO_UP] = {.delay = WEIR_SEC(10), .queue_bytes = 1400}}}, 1);
    for (unsigned i = 0; i < 50; i++)
        send_at(&r, WEIR_US(i), 0);
    assert_int_equal(wio_link_stats(r.link, WIO_UP).queue_full, 40);
    close_rig(&r); /* with packets under way */
}

static void test_link_changed_direction_counts_from_now_on(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, &(struct wio_link_config){0}, 1);
    send_at(&r, 1, 0);
    wio_link_set_dir(r.link, WIO_UP, &(struct wio_dir_config){.loss = WIO_PROB_ONE});
    send_at(&r, 2, 0);
    run_all(&r);
    wio_link_set_dir(r.link, WIO_UP, &(struct wio_dir_config){0});
    send_at(&r, 3, 0);
    run_all(&r);
    assert_int_equal(r.delivered, 2);
    close_rig(&r);
}

static void test_link_rules_come_first(void **state)
{
    (void)state;
    struct rig r;
    struct wio_link_config c = {.type = WEIR_LINK_RAW_IP,
                                .rule_n = 2,
                                .rules = {{WIO_DROP, WIO_MATCH_ACK, .first = 1, .last = UINT32_MAX, .dirs = 3},
                                          {WIO_DELAY, WIO_MATCH_DATA, 2, 2, .dirs = 3, .delay = WEIR_MS(7)}}};
    open_rig(&r, &c, 1);
    for (uint16_t i = 0; i < 3; i++)
        send_at(&r, WEIR_US(i), i);
    run_all(&r);
    assert_int_equal(r.delivered, 3);
    assert_int_equal(r.last_seq, 1); /* the second came last */
    assert_int_equal(r.last_at, WEIR_MS(7) + WEIR_US(1));
    assert_int_equal(wio_link_stats(r.link, WIO_UP).scripted, 0);
    assert_int_equal(wio_link_stats(r.link, WIO_UP).reordered, 1);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_clean_one_takes_super_segments),
        cmocka_unit_test(test_link_lost_and_delivered_add_up),
        cmocka_unit_test(test_link_duplicates_arrive_twice),
        cmocka_unit_test(test_link_corruption_is_one_bit_of_a_copy),
        cmocka_unit_test(test_link_reordering_is_counted),
        cmocka_unit_test(test_link_holds_no_more_than_it_may),
        cmocka_unit_test(test_link_changed_direction_counts_from_now_on),
        cmocka_unit_test(test_link_rules_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
