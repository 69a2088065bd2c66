/* The UDP header: wire/udp.h. */
#include "wire_test.h"

#include "wire/udp.h"

static const uint8_t dgram[] = {0x14, 0xe9, 0, 53, 0, 12, 0xab, 0xcd, 1, 2, 3, 4};

static void test_udp_parse_datagram_gives_fields(void **state)
{
    (void)state;
    struct wi_wire_udp h;
    uint8_t out[WI_UDP_HDR];

    assert_int_equal(wi_wire_udp_parse(&h, dgram, sizeof(dgram), sizeof(dgram), true), WEIR_DROP_NONE);
    assert_int_equal(h.src_port, 5353);
    assert_int_equal(h.dst_port, 53);
    assert_int_equal(h.csum, 0xabcd);
    assert_int_equal(h.data_len, 4);
    wi_wire_udp_put(out, &h);
    assert_memory_equal(out, dgram, WI_UDP_HDR);
}

static void test_udp_parse_cut_off_is_dropped(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(dgram); len++) {
        struct wi_wire_udp h;
        uint8_t *p = exact_copy(dgram, len);
        assert_int_equal(wi_wire_udp_parse(&h, p, len, len, false),
                         len < 8 ? WEIR_DROP_UDP_SHORT : WEIR_DROP_UDP_LENGTH);
        free(p);
    }
}

static void test_udp_parse_linear_header_suffices(void **state)
{
    (void)state;
    struct wi_wire_udp h;
    uint8_t *p = exact_copy(dgram, WI_UDP_HDR);

    assert_int_equal(wi_wire_udp_parse(&h, p, WI_UDP_HDR, 12, false), WEIR_DROP_NONE);
    assert_int_equal(h.data_len, 4);
    free(p);
}

/* What IP carries beyond the UDP length is no part of the datagram. */
static void test_udp_parse_longer_ip_payload_is_trimmed(void **state)
{
    (void)state;
    struct wi_wire_udp h;

    assert_int_equal(wi_wire_udp_parse(&h, dgram, sizeof(dgram), 100, false), WEIR_DROP_NONE);
    assert_int_equal(h.data_len, 4);
}

/* Rows: attack-nucleus-13 */
static void test_udp_parse_length_below_header_is_dropped(void **state)
{
    (void)state;
    for (uint8_t len = 0; len < 8; len++) {
        uint8_t p[8] = {0, 1, 0, 2, 0, len, 1, 1};
        struct wi_wire_udp h;
        assert_int_equal(wi_wire_udp_parse(&h, p, 8, 8, false), WEIR_DROP_UDP_LENGTH);
    }
}

/* RFC 768; RFC 8200 8.1 */
static void test_udp_parse_zero_checksum_is_for_v4_only(void **state)
{
    (void)state;
    uint8_t p[8] = {0, 1, 0, 2, 0, 8, 0, 0};
    struct wi_wire_udp h;

    assert_int_equal(wi_wire_udp_parse(&h, p, 8, 8, false), WEIR_DROP_NONE);
    assert_int_equal(h.csum, 0);
    assert_int_equal(wi_wire_udp_parse(&h, p, 8, 8, true), WEIR_DROP_UDP_NO_CSUM);
}

static void test_udp_parse_port_zero_is_for_sources_only(void **state)
{
    (void)state;
    uint8_t p[8] = {0, 0, 0, 2, 0, 8, 1, 1};
    struct wi_wire_udp h;

    assert_int_equal(wi_wire_udp_parse(&h, p, 8, 8, false), WEIR_DROP_NONE);
    p[1] = 1;
    p[3] = 0;
    assert_int_equal(wi_wire_udp_parse(&h, p, 8, 8, false), WEIR_DROP_UDP_PORT_ZERO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp_parse_datagram_gives_fields),
        cmocka_unit_test(test_udp_parse_cut_off_is_dropped),
        cmocka_unit_test(test_udp_parse_linear_header_suffices),
        cmocka_unit_test(test_udp_parse_longer_ip_payload_is_trimmed),
        cmocka_unit_test(test_udp_parse_length_below_header_is_dropped),
        cmocka_unit_test(test_udp_parse_zero_checksum_is_for_v4_only),
        cmocka_unit_test(test_udp_parse_port_zero_is_for_sources_only),
    };

    return cmocka_run_group_tests_name("wire-udp", tests, NULL, NULL);
}
