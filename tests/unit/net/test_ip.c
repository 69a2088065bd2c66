/* Packets through the layer: in, out, back to ourselves. */
#include "net_test.h"

static uint8_t buf[70000];

static void test_output_to_own_address_comes_back_in(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1", "127.1.2.3", "192.0.2.1", "::1", "2001:db8:1::1", "0.0.0.0", "::"};
    struct world *w = world_new();
    for (unsigned i = 0; i < WI_ARRAY_LEN(own); i++) {
        assert_int_equal(world_send(w, own[i], 3000, true), 0);
        assert_int_equal(w->heard.n, i + 1);
        assert_int_equal(w->heard.len, 3000);
        assert_int_equal(w->heard.bytes[2999], (uint8_t)2999);
    }
    assert_int_equal(w->raw_sent.n + w->eth_sent.n, 0);
    world_end(w);
}

static void test_output_raw_ip_leaves_whole(void **state)
{
    (void)state;
    static const char *const peers[] = {"198.51.100.9", "2001:db8:1::9"};
    struct world *w = world_new();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(world_send(w, peers[i], 100, true), 0);
        assert_int_equal(w->raw_sent.n, i + 1);
        struct wi_ip ip = sent_ip(&w->raw_sent, i, buf);
        assert_int_equal(ip.proto, TEST_PROTO);
        assert_int_equal(ip.ttl, 64);
        assert_int_equal(ip.l4_len, 100);
        assert_true(ip.df);
        struct weir_addr peer = addr(peers[i]);
        assert_true(weir_addr_equal(&ip.dst, &peer));
    }
    world_end(w);
}

static void test_input_to_own_address_is_delivered(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_ip(w, "198.51.100.9", "198.51.100.1", TEST_PROTO, "hello", 5);
    world_ip(w, "2001:db8:1::9", "2001:db8:1::1", TEST_PROTO, "hello", 5);
    world_ip(w, "203.0.113.7", "192.0.2.1", TEST_PROTO, "hello", 5); /* weak host model: RFC 1122 3.3.4.2 */
    assert_int_equal(w->heard.n, 3);
    assert_int_equal(w->heard.len, 5);
    assert_memory_equal(w->heard.bytes, "hello", 5);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_to_own_address_comes_back_in),
        cmocka_unit_test(test_output_raw_ip_leaves_whole),
        cmocka_unit_test(test_input_to_own_address_is_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
