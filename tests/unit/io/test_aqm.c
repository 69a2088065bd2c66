/*
 * Marking before a queue is full (io/aqm.h), and the link's words for it: who is marked, who is dropped, and that a
 * marked packet is whole.
 */
#include "io_test.h"

#include "io/aqm.h"
#include "io/impair.h"

#define ECT0 2u
#define CE   3u

struct rig {
    struct weir *w;
    struct weir_pool *pool;
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->w = weir_new(&(struct weir_config){.alloc = test_memory});
    assert_non_null(r->w);
    r->pool = weir_stack_pool(r->w);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    weir_free(r->w);
    free(r);
    return 0;
}

/* The sum of a right IPv4 header is 0xffff (RFC 791 3.1). */
static unsigned header_sum(const uint8_t *ip)
{
    uint32_t sum = 0;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void put_checksum(uint8_t *ip)
{
    ip[10] = ip[11] = 0;
    unsigned sum = ~header_sum(ip) & 0xffff;
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

static size_t ipv4_bytes(uint8_t *b, uint8_t tos, uint8_t id)
{
    const uint8_t hdr[20] = {0x45, tos, 0, 60, 0, id, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    memcpy(b, hdr, sizeof hdr);
    memset(b + 20, 0xa5, 40);
    put_checksum(b);
    return 60;
}

static void test_mark_ipv4_every_tos_keeps_the_checksum_right(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < 256 * 64; i++) {
        uint8_t b[60], out[60];
        size_t len = ipv4_bytes(b, (uint8_t)(i << 2 | (i & 1 ? ECT0 : 1)), (uint8_t)(i >> 6));
        struct weir_pkt *p = wio_ecn_mark(weir_pkt_from(r->pool, b, len), WEIR_LINK_RAW_IP);
        assert_non_null(p);
        assert_int_equal(weir_pkt_copy(p, 0, out, sizeof out), len);
        assert_int_equal(header_sum(out), 0xffff);
        assert_int_equal(out[1], b[1] | CE);
        assert_memory_equal(out + 12, b + 12, len - 12);
        assert_int_equal(wio_ecn_of(p, WEIR_LINK_RAW_IP), CE);
        weir_pkt_unref(p);
    }
}

static void test_mark_ipv6_sets_the_two_bits_alone(void **state)
{
    struct rig *r = *state;
    uint8_t b[14 + 60] = {0}, out[sizeof b];
    b[12] = 0x86;
    b[13] = 0xdd;
    b[14] = 0x6a; /* traffic class 0xa2: a DSCP, and ECT(0) */
    b[15] = 0x2b;
    struct weir_pkt *p = weir_pkt_from(r->pool, b, sizeof b);
    assert_int_equal(wio_ecn_of(p, WEIR_LINK_ETHERNET), ECT0);
    p = wio_ecn_mark(p, WEIR_LINK_ETHERNET);
    assert_non_null(p);
    weir_pkt_copy(p, 0, out, sizeof out);
    b[15] = 0x3b;
    assert_memory_equal(out, b, sizeof b);
    weir_pkt_unref(p);
}

/* Somebody else may hold the same bytes: a retransmission, a capture. */
static void test_mark_leaves_other_views_alone(void **state)
{
    struct rig *r = *state;
    uint8_t b[60];
    size_t len = ipv4_bytes(b, ECT0, 1);
    struct weir_pkt *p = weir_pkt_new(r->pool, 64), *twin = weir_pkt_from(r->pool, b, len), *twin2;
    memcpy(weir_pkt_put(p, len), b, len); /* in the head, and in a block */
    struct weir_pkt *kept[2] = {weir_pkt_ref(p), weir_pkt_ref(twin)};
    p = wio_ecn_mark(p, WEIR_LINK_RAW_IP);
    twin2 = wio_ecn_mark(twin, WEIR_LINK_RAW_IP);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wio_ecn_of(kept[i], WEIR_LINK_RAW_IP), ECT0);
        weir_pkt_unref(kept[i]);
    }
    assert_int_equal(wio_ecn_of(p, WEIR_LINK_RAW_IP), CE);
    assert_int_equal(wio_ecn_of(twin2, WEIR_LINK_RAW_IP), CE);
    struct weir_pkt *again = wio_ecn_mark(p, WEIR_LINK_RAW_IP);
    assert_ptr_equal(again, p); /* it has the mark already */
    weir_pkt_unref(p);
    weir_pkt_unref(twin2);
}

static void test_ecn_of_what_is_no_ip_is_none(void **state)
{
    struct rig *r = *state;
    uint8_t b[60] = {0x45, 3};
    struct weir_pkt *arp = weir_pkt_from(r->pool, b, sizeof b), *cut = weir_pkt_from(r->pool, b, 19);
    assert_int_equal(wio_ecn_of(arp, WEIR_LINK_ETHERNET), 0);
    assert_int_equal(wio_ecn_of(cut, WEIR_LINK_RAW_IP), 0);
    weir_pkt_unref(arp);
    weir_pkt_unref(cut);
}

/* ---- The threshold ---- */

static struct wio_impair impair_of(struct wio_dir_config c)
{
    struct wio_impair m;
    wio_impair_init(&m, &c, 1500, 1, WIO_UP);
    return m;
}

/* DCTCP's K: the packet that finds more than K before it (RFC 8257 3.1, 4.1). 1,000 bytes take 1 ms. */
static void test_threshold_marks_what_finds_more_than_it(void **state)
{
    (void)state;
    struct wio_dir_config by_bytes = {.rate_bps = 8000000, .ecn_bytes = 3000};
    struct wio_dir_config by_time = {.rate_bps = 8000000, .ecn_wait = WEIR_MS(3)};
    struct wio_impair m[2] = {impair_of(by_bytes), impair_of(by_time)};
    for (int k = 0; k < 2; k++) {
        for (unsigned before = 0; before < 8; before++) {
            struct wio_passage p = wio_impair_pass(&m[k], 1000, 0, 0, true);
            assert_int_equal(p.drop, WEIR_DROP_NONE);
            assert_int_equal(p.is_marked, before > 3);
        }
        assert_false(wio_impair_pass(&m[k], 1000, 0, 0, false).is_marked); /* Not-ECT waits for the queue's end */
        assert_false(wio_impair_pass(&m[k], 1000, WEIR_SEC(1), 0, true).is_marked);
    }
}

static void test_ce_marks_its_share_of_what_may_be_marked(void **state)
{
    (void)state;
    struct wio_impair m = impair_of((struct wio_dir_config){.ce = WIO_PROB_ONE / 10});
    unsigned ect = 0, other = 0;
    for (int i = 0; i < 10000; i++) {
        ect += wio_impair_pass(&m, 100, 0, 0, true).is_marked;
        other += wio_impair_pass(&m, 100, 0, 0, false).is_marked;
    }
    assert_in_range(ect, 900, 1100);
    assert_int_equal(other, 0);
}

/* ---- CoDel, RFC 8289 ---- */

#define TARGET   WEIR_MS(5)
#define INTERVAL WEIR_MS(100)

/* A packet each millisecond, which waited `wait`. When the first marks came, ms; how many there were. */
static unsigned run_codel(struct wio_codel *q, unsigned from_ms, unsigned to_ms, weir_ns wait, bool is_ect,
                          unsigned at_ms[], unsigned cap)
{
    unsigned n = 0;
    for (unsigned t = from_ms; t < to_ms; t++) {
        enum wio_aqm_fate fate = wio_codel_judge(q, WEIR_MS(t), wait, TARGET, INTERVAL, is_ect);
        if (fate == WIO_AQM_PASS)
            continue;
        assert_int_equal(fate, is_ect ? WIO_AQM_MARK : WIO_AQM_DROP);
        if (n < cap)
            at_ms[n] = t;
        n++;
    }
    return n;
}

static void test_codel_below_target_marks_nothing(void **state)
{
    (void)state;
    struct wio_codel q = {0};
    assert_int_equal(run_codel(&q, 0, 5000, TARGET - 1, true, NULL, 0), 0);
}

/* The first after an interval above the target, the next ones after interval / sqrt(n). */
static void test_codel_standing_queue_marks_ever_more_often(void **state)
{
    (void)state;
    struct wio_codel q = {0};
    unsigned at[4];
    assert_in_range(run_codel(&q, 0, 600, WEIR_MS(20), true, at, 4), 8, 14);
    assert_int_equal(at[0], 100);
    assert_int_equal(at[1], 200);
    assert_in_range(at[2], 270, 272); /* 100 / sqrt(2) later */
    assert_in_range(at[3], 328, 330); /* and 100 / sqrt(3) */
}

static void test_codel_drops_what_it_may_not_mark(void **state)
{
    (void)state;
    struct wio_codel q = {0};
    unsigned at[1];
    assert_true(run_codel(&q, 0, 600, WEIR_MS(20), false, at, 1) > 5);
    assert_int_equal(at[0], 100);
}

static void test_codel_a_short_queue_ends_it(void **state)
{
    (void)state;
    struct wio_codel q = {0};
    unsigned at[1];
    assert_true(run_codel(&q, 0, 600, WEIR_MS(20), true, at, 1) > 5);
    assert_int_equal(run_codel(&q, 600, 610, WEIR_MS(1), true, NULL, 0), 0);
    assert_true(run_codel(&q, 610, 800, WEIR_MS(20), true, at, 1) >= 2);
    assert_int_equal(at[0], 710);  /* an interval again before the first */
    assert_true(q.last_count > 1); /* but then at the rate that was needed before */
}

/* On a slow line one packet alone takes longer than the target: that is no queue. */
static void test_codel_on_a_slow_line_bears_one_packet(void **state)
{
    (void)state;
    struct wio_impair m = impair_of((struct wio_dir_config){.rate_bps = 1000000, .codel_target = TARGET});
    for (unsigned i = 0; i < 500; i++) /* 1,500 bytes take 12 ms; each comes when the one before has half gone */
        assert_false(wio_impair_pass(&m, 1500, WEIR_MS(12) * i - (i ? WEIR_MS(6) : 0), 0, true).is_marked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark_ipv4_every_tos_keeps_the_checksum_right),
        cmocka_unit_test(test_mark_ipv6_sets_the_two_bits_alone),
        cmocka_unit_test(test_mark_leaves_other_views_alone),
        cmocka_unit_test(test_ecn_of_what_is_no_ip_is_none),
        cmocka_unit_test(test_threshold_marks_what_finds_more_than_it),
        cmocka_unit_test(test_ce_marks_its_share_of_what_may_be_marked),
        cmocka_unit_test(test_codel_below_target_marks_nothing),
        cmocka_unit_test(test_codel_standing_queue_marks_ever_more_often),
        cmocka_unit_test(test_codel_drops_what_it_may_not_mark),
        cmocka_unit_test(test_codel_a_short_queue_ends_it),
        cmocka_unit_test(test_codel_on_a_slow_line_bears_one_packet),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
