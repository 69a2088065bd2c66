/* Receive side scaling's hash (weir/shard.h), and what a stack asks of it (base/rss.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/rss.h"
#include <weir/errno.h>

static struct weir_sockaddr at(const char *text, uint16_t port)
{
    struct weir_sockaddr a = {.port = port};
    assert_int_equal(weir_addr_parse(&a.addr, text), 0);
    return a;
}

/* The verification suite of Microsoft's RSS specification, whole. */
static const struct {
    const char *dst;
    uint16_t dst_port;
    const char *src;
    uint16_t src_port;
    uint32_t addrs, tcp;
} vectors[] = {
    {"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
    {"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
    {"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
    {"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
    {"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
    {"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
    {"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
    {"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4b61e985, 0x02d1feef},
};

static void test_hash_microsofts_vectors_hold(void **state)
{
    (void)state;
    struct weir_rss r;
    assert_int_equal(weir_rss_init(&r, NULL, 2), 0);
    for (size_t i = 0; i < WI_ARRAY_LEN(vectors); i++) {
        struct weir_sockaddr src = at(vectors[i].src, vectors[i].src_port);
        struct weir_sockaddr dst = at(vectors[i].dst, vectors[i].dst_port);
        assert_int_equal(weir_rss_hash_addrs(&r, &src.addr, &dst.addr), vectors[i].addrs);
        assert_int_equal(weir_rss_hash(&r, &src, &dst), vectors[i].tcp);
    }
}

static void test_hash_symmetric_key_has_one_for_both_directions(void **state)
{
    (void)state;
    struct weir_rss r;
    assert_int_equal(weir_rss_init(&r, weir_rss_key_symmetric, 2), 0);
    for (size_t i = 0; i < WI_ARRAY_LEN(vectors); i++) {
        struct weir_sockaddr src = at(vectors[i].src, vectors[i].src_port);
        struct weir_sockaddr dst = at(vectors[i].dst, vectors[i].dst_port);
        assert_int_equal(weir_rss_hash(&r, &src, &dst), weir_rss_hash(&r, &dst, &src));
        assert_int_equal(weir_rss_hash_addrs(&r, &src.addr, &dst.addr), weir_rss_hash_addrs(&r, &dst.addr, &src.addr));
    }
}

static void test_init_number_of_shards_is_bounded(void **state)
{
    (void)state;
    struct weir_rss r;
    assert_int_equal(weir_rss_init(&r, NULL, 0), -WEIR_EINVAL);
    assert_int_equal(weir_rss_init(&r, NULL, WEIR_SHARDS_MAX + 1), -WEIR_EINVAL);
    assert_int_equal(weir_rss_init(&r, NULL, WEIR_SHARDS_MAX), 0);
}

/* As a device's indirection table has it: entry i of 128 leads to queue i % n, so no shard has many more than others.
 */
static void test_shards_share_hashes_evenly(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= WEIR_SHARDS_MAX; n++) {
        struct weir_rss r;
        unsigned had[WEIR_SHARDS_MAX] = {0};
        assert_int_equal(weir_rss_init(&r, NULL, n), 0);
        for (uint32_t hash = 0; hash < 128; hash++)
            had[weir_rss_shard(&r, hash)]++;
        for (unsigned i = 0; i < n; i++)
            assert_in_range(had[i], 128 / n, (128 + n - 1) / n);
    }
}

static void test_shard_each_flow_and_ephemeral_port_has_one(void **state)
{
    (void)state;
    struct weir_rss r;
    assert_int_equal(weir_rss_init(&r, NULL, 3), 0);
    struct weir_sockaddr remote = at("192.0.2.7", 80), local = at("192.0.2.1", 0);
    for (unsigned port = 1; port < 65536; port++) {
        unsigned flows = 0, ports = 0;
        local.port = (uint16_t)port;
        for (unsigned i = 0; i < 3; i++) {
            struct weir_shard s = {.rss = &r, .index = i};
            flows += wi_shard_has_flow(&s, &remote, &local);
            ports += wi_shard_has_port(&s, (uint16_t)port);
        }
        assert_int_equal(flows, 1);
        assert_int_equal(ports, port >= 32768 && port <= 60999 ? 1 : 3);
    }
    const struct weir_shard alone = {0};
    assert_true(wi_shard_has_flow(&alone, &remote, &local));
    assert_true(wi_shard_has_port(&alone, 40000));
}

static void test_shard_ids_of_two_shards_never_meet(void **state)
{
    (void)state;
    struct weir_rss r;
    static uint8_t owner[65536];
    assert_int_equal(weir_rss_init(&r, NULL, 3), 0);
    for (unsigned i = 0; i < 3; i++) {
        struct weir_shard s = {.rss = &r, .index = i};
        for (unsigned id = 0; id < 65536; id++)
            owner[wi_shard_id16(&s, (uint16_t)id)] |= (uint8_t)(1u << i);
    }
    unsigned used = 0;
    for (unsigned id = 0; id < 65536; id++) {
        assert_true((owner[id] & (owner[id] - 1)) == 0);
        used += owner[id] != 0;
    }
    assert_int_equal(used, 3 * (65536 / 3));
    const struct weir_shard alone = {0};
    assert_int_equal(wi_shard_id16(&alone, 65535), 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_microsofts_vectors_hold),
        cmocka_unit_test(test_hash_symmetric_key_has_one_for_both_directions),
        cmocka_unit_test(test_init_number_of_shards_is_bounded),
        cmocka_unit_test(test_shards_share_hashes_evenly),
        cmocka_unit_test(test_shard_each_flow_and_ephemeral_port_has_one),
        cmocka_unit_test(test_shard_ids_of_two_shards_never_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
