/* The script at work (io/script.h): rules count what they say they count. */
#include "io_test.h"

#include "io/link_spec.h"
#include "io/script.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static struct weir_pool *pool;

static struct wio_script *script(const char *const *rules)
{
    struct wio_link_config c = {0};
    char err[256];
    for (; *rules; rules++)
        if (wio_link_rule_parse(&c, *rules, err, sizeof err) != 0)
            fail_msg("%s: %s", *rules, err);
    return wio_script_new(c.rules, c.rule_n);
}

static struct wio_verdict judge(struct wio_script *s, bool is_up, uint16_t port, uint8_t flags, uint16_t len)
{
    struct weir_pkt *p = test_segment(pool, is_up, port, flags, 1000, len);
    struct wio_verdict v = wio_script_judge(s, p, WEIR_LINK_RAW_IP, is_up ? WIO_UP : WIO_DOWN);
    weir_pkt_unref(p);
    return v;
}

static int set_up(void **state)
{
    (void)state;
    pool = weir_pool_new(&test_memory, 0);
    return pool ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_pool_free(pool);
    return 0;
}

static void test_script_third_data_of_first_connection_is_dropped(void **state)
{
    (void)state;
    struct wio_script *s = script((const char *const[]){"drop data 3 of conn 1 down", NULL});

    assert_false(judge(s, true, 40000, SYN, 0).is_dropped);
    assert_false(judge(s, true, 40001, SYN, 0).is_dropped); /* the second connection */
    assert_false(judge(s, true, 40000, SYN, 0).is_dropped); /* the first's SYN again: no third one */
    for (int i = 1; i <= 5; i++) {
        assert_false(judge(s, true, 40000, ACK, 100).is_dropped); /* the other direction counts for itself */
        assert_false(judge(s, false, 40001, ACK, 100).is_dropped);
        assert_false(judge(s, false, 40000, ACK, 0).is_dropped);
        assert_int_equal(judge(s, false, 40000, ACK, 100).is_dropped, i == 3);
    }
    wio_script_free(s);
}

static void test_script_counts_over_all_connections_without_conn(void **state)
{
    (void)state;
    struct wio_script *s = script((const char *const[]){"drop syn 2", "drop fin 1-", NULL});

    assert_false(judge(s, true, 1, SYN, 0).is_dropped);
    assert_true(judge(s, true, 2, SYN, 0).is_dropped);
    assert_false(judge(s, true, 3, SYN, 0).is_dropped);
    assert_false(judge(s, false, 1, SYN | ACK, 0).is_dropped);
    assert_true(judge(s, true, 1, FIN | ACK, 10).is_dropped); /* data with FIN is both */
    assert_true(judge(s, false, 1, FIN | ACK, 0).is_dropped);
    assert_false(judge(s, false, 1, RST, 0).is_dropped);
    wio_script_free(s);
}

static void test_script_actions_add_up(void **state)
{
    (void)state;
    struct wio_script *s = script(
        (const char *const[]){"delay data 1 30ms", "delay pkt 1 5ms", "dup data all every 2", "corrupt data 3", NULL});

    struct wio_verdict v = judge(s, true, 1, ACK, 10);
    assert_int_equal(v.delay, WEIR_MS(35));
    assert_true(v.is_duplicated);
    assert_false(v.is_corrupted);
    assert_false(judge(s, true, 1, ACK, 10).is_duplicated);
    v = judge(s, true, 1, ACK, 10);
    assert_true(v.is_duplicated && v.is_corrupted && v.delay == 0);
    wio_script_free(s);
}

/* A million connections cost what the rules name, no more: the table must not fill up and spin. */
static void test_script_ignores_connections_beyond_those_named(void **state)
{
    (void)state;
    struct wio_script *s = script((const char *const[]){"drop data 1 of conn 2", NULL});
    for (unsigned i = 1; i < 60000; i++)
        judge(s, true, (uint16_t)i, SYN, 0);
    assert_false(judge(s, true, 1, ACK, 10).is_dropped);
    assert_false(judge(s, true, 3, ACK, 10).is_dropped);
    assert_true(judge(s, true, 2, ACK, 10).is_dropped);
    wio_script_free(s);
}

static void test_script_takes_junk_for_other(void **state)
{
    (void)state;
    struct wio_script *s = script((const char *const[]){"drop other 1-", NULL});
    for (size_t len = 0; len < 64; len++) {
        uint8_t junk[64];
        memset(junk, (int)(0x45 + len), sizeof junk);
        struct weir_pkt *p = weir_pkt_from(pool, junk, len);
        wio_script_judge(s, p, len % 2 ? WEIR_LINK_RAW_IP : WEIR_LINK_ETHERNET, WIO_UP);
        weir_pkt_unref(p);
    }
    struct weir_pkt *p = weir_pkt_from(pool, "arp?", 4);
    assert_true(wio_script_judge(s, p, WEIR_LINK_ETHERNET, WIO_UP).is_dropped);
    weir_pkt_unref(p);
    wio_script_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script_third_data_of_first_connection_is_dropped),
        cmocka_unit_test(test_script_counts_over_all_connections_without_conn),
        cmocka_unit_test(test_script_actions_add_up),
        cmocka_unit_test(test_script_ignores_connections_beyond_those_named),
        cmocka_unit_test(test_script_takes_junk_for_other),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
