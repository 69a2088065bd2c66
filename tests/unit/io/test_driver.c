/* The texts that name devices (io/driver.h), what is said of wrong ones, and the buffers that drivers lend. */
#include "io_test.h"

#include "io/driver_kind.h"
#include "io/lender.h"

static struct wio_driver_spec parsed(const char *text)
{
    char err[256] = "";
    struct wio_driver_spec s;
    const struct wio_err to = {err, sizeof err};
    if (wio_driver_spec_parse(&s, text, &to) < 0)
        fail_msg("%s: %s", text, err);
    return s;
}

static void test_spec_every_word_is_read(void **state)
{
    (void)state;
    const uint8_t mac[6] = {0x02, 0, 0xab, 0xCD, 0xef, 1};
    struct wio_driver_spec s = parsed("tap:weir0,queues=16,mac=02:00:ab:CD:ef:01,mtu=9000,offload=off,busy");
    assert_ptr_equal(s.kind, &wio_kind_tap);
    assert_string_equal(s.device, "weir0");
    assert_int_equal(s.queue_n, 16);
    assert_memory_equal(s.mac, mac, 6);
    assert_int_equal(s.mtu, 9000);
    assert_false(s.has_offloads);
    assert_true(s.is_busy);
    s = parsed("packet:eth0,ring=64,mode=batch");
    assert_ptr_equal(s.kind, &wio_kind_packet);
    assert_int_equal(s.ring, 64);
    assert_int_equal(s.mode, WIO_MODE_BATCH);
    if (wio_kind_xdp.absent)
        return;
    s = parsed("xdp:eth0,queue=3,mode=zerocopy");
    assert_int_equal(s.queue, 3);
    assert_int_equal(s.mode, WIO_MODE_ZEROCOPY);
}

static void test_spec_what_is_not_said_has_its_usual_value(void **state)
{
    (void)state;
    struct wio_driver_spec s = parsed("tun:");
    assert_ptr_equal(s.kind, &wio_kind_tun);
    assert_string_equal(s.device, "");
    assert_int_equal(s.queue_n, 1);
    assert_true(s.has_offloads);
    assert_false(s.is_busy);
    assert_int_equal(s.words, 0);
    assert_int_equal(s.mtu, 0);
    assert_string_equal(parsed("tap").device, "");
    assert_string_equal(parsed("tap:fifteen-letters").device, "fifteen-letters");
}

/* A text, and what the error must tell of. */
static const struct {
    const char *text, *why;
} wrong[] = {
    {"", "KIND is one of tap, tun, packet, xdp, dpdk"},
    {"tab:weir0", "there is no \"tab\""},
    {"tap:sixteen-letters-", "at most 15 letters"},
    {"tap:a,queue=1", "it has no word \"queue\", but queues, mac, mtu, offload, busy"},
    {"tap:a,queues", "queues=2, at most 16"},
    {"tap:a,queues=0", "queues=2, at most 16"},
    {"tap:a,queues=17", "queues=2, at most 16"},
    {"tap:a,queues=-1", "queues=2, at most 16"},
    {"tap:a,queues=99999999999999999999", "queues=2, at most 16"},
    {"tap:a,mtu=575", "from 576 to 65535"},
    {"tap:a,mtu=65536", "from 576 to 65535"},
    {"tap:a,mac=02:00:00:00:00", "mac=02:00:00:00:00:01"},
    {"tap:a,mac=03:00:00:00:00:01", "one station's"},
    {"tap:a,mac=00:00:00:00:00:00", "one station's"},
    {"tap:a,mac=02:00:00:00:00:0g", "mac=02:00:00:00:00:01"},
    {"tap:a,mac=02-00-00-00-00-01", "mac=02:00:00:00:00:01"},
    {"tap:a,offload=maybe", "offload=on or offload=off"},
    {"tap:a,busy=yes", "write busy"},
    {"tap:a,", "it has no word \"\""},
    {"tap:a,,busy", "it has no word \"\""},
    {"packet:a,ring=63", "a power of two"},
    {"packet:a,ring=96", "a power of two"},
    {"packet:a,ring=131072", "a power of two"},
    {"packet:a,mode=copy", "mode="},
    {"packet:no-such-if", "there is no such interface"},
    {"packet:", "there is no such interface"},
    {"packet:lo", "not an Ethernet interface"},
};

static void test_open_says_what_is_wrong_and_what_to_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char err[256] = "";
        assert_null(wio_driver_open(wrong[i].text, err, sizeof err));
        if (!strstr(err, wrong[i].why))
            fail_msg("\"%s\": \"%s\" does not tell of \"%s\"", wrong[i].text, err, wrong[i].why);
    }
}

static void test_open_cuts_the_error_to_its_room(void **state)
{
    (void)state;
    char err[8];
    memset(err, 'x', sizeof err);
    assert_null(wio_driver_open("packet:no-such-if", err, 4));
    assert_string_equal(err, "no-");
    assert_int_equal(err[4], 'x');
}

static void test_open_xdp_says_how_to_have_it_or_that_there_is_no_such_interface(void **state)
{
    (void)state;
    char err[256] = "";
    assert_null(wio_driver_open("xdp:no-such-if", err, sizeof err));
    assert_non_null(strstr(err, wio_kind_xdp.absent ? "libxdp-dev" : "there is no such interface"));
}

/* ---- Lenders ---- */

static void test_lender_what_came_back_last_is_lent_first(void **state)
{
    (void)state;
    struct wio_lender *l = wio_lender_new(3, 4096);
    struct weir_block *a = wio_lender_take(l), *b = wio_lender_take(l), *c = wio_lender_take(l);
    assert_int_equal(wio_lender_left(l), 0);
    assert_null(wio_lender_take(l));
    assert_int_equal(a->cap, 4096);
    assert_ptr_equal(a->data, wio_lender_base(l));
    assert_ptr_equal(wio_lender_block(l, 2 * 4096 + 17), c);
    memset(c->data, 0xff, c->cap);
    weir_block_unref(a);
    weir_block_unref(b);
    assert_int_equal(wio_lender_left(l), 2);
    assert_ptr_equal(wio_lender_take(l), b);
    weir_block_unref(b);
    weir_block_unref(c);
    wio_lender_end(l);
}

static void test_lender_memory_outlives_it_while_it_is_viewed(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct wio_lender *l = wio_lender_new(2, 65536);
    uint8_t bytes[3000], got[3000];
    memset(bytes, 7, sizeof bytes);
    struct weir_pkt *p = wio_pkt_copy(pool, l, bytes, sizeof bytes);
    struct weir_pkt *other = weir_pkt_clone(pool, p);
    assert_int_equal(wio_lender_left(l), 1);
    wio_lender_end(l);
    weir_pkt_unref(p);
    assert_int_equal(weir_pkt_copy(other, 0, got, sizeof got), sizeof got);
    assert_memory_equal(got, bytes, sizeof got);
    weir_pkt_unref(other); /* the last view: now it goes, which a leak checker sees */
    assert_int_equal(weir_pool_used(pool), 0);
    weir_pool_free(pool);
}

static void test_pkt_copy_takes_no_more_than_is_needed(void **state)
{
    (void)state;
    struct weir_pool *pool = weir_pool_new(&test_memory, 0);
    struct wio_lender *l = wio_lender_new(1, 65536);
    static const uint8_t bytes[70000] = {1, 2, 3};
    const struct {
        size_t len, left;
        uint8_t frag_n;
    } wanted[] = {{0, 1, 0},    {1, 1, 0},    {256, 1, 0},   {257, 1, 1},
                  {2048, 1, 1}, {2049, 0, 1}, {65536, 0, 1}, {65537, 1, 1}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct weir_pkt *p = wio_pkt_copy(pool, l, bytes, wanted[i].len);
        assert_int_equal(p->len, wanted[i].len);
        assert_int_equal(p->frag_n, wanted[i].frag_n);
        assert_int_equal(wio_lender_left(l), wanted[i].left);
        if (wanted[i].left == 0) { /* none left: the pool's */
            struct weir_pkt *second = wio_pkt_copy(pool, l, bytes, wanted[i].len);
            assert_non_null(second->frags[0].block->pool);
            weir_pkt_unref(second);
        }
        weir_pkt_unref(p);
    }
    wio_lender_end(l);
    weir_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spec_every_word_is_read),
        cmocka_unit_test(test_spec_what_is_not_said_has_its_usual_value),
        cmocka_unit_test(test_open_says_what_is_wrong_and_what_to_write),
        cmocka_unit_test(test_open_cuts_the_error_to_its_room),
        cmocka_unit_test(test_open_xdp_says_how_to_have_it_or_that_there_is_no_such_interface),
        cmocka_unit_test(test_lender_what_came_back_last_is_lent_first),
        cmocka_unit_test(test_lender_memory_outlives_it_while_it_is_viewed),
        cmocka_unit_test(test_pkt_copy_takes_no_more_than_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
