/* Ethernet and ARP: wire/eth.h, wire/arp.h. */
#include "wire_test.h"

#include "wire/arp.h"
#include "wire/eth.h"

static const uint8_t frame[] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00};

static void test_eth_parse_frame_gives_fields(void **state)
{
    (void)state;
    struct wi_eth h;

    assert_int_equal(wi_eth_parse(&h, frame, sizeof(frame)), WEIR_DROP_NONE);
    assert_memory_equal(h.dst, frame, 6);
    assert_memory_equal(h.src, frame + 6, 6);
    assert_int_equal(h.type, WI_ETHERTYPE_IPV4);
}

static void test_eth_put_parsed_gives_same_bytes(void **state)
{
    (void)state;
    struct wi_eth h;
    uint8_t out[WI_ETH_HDR];

    assert_int_equal(wi_eth_parse(&h, frame, sizeof(frame)), WEIR_DROP_NONE);
    wi_eth_put(out, &h);
    assert_memory_equal(out, frame, sizeof(frame));
}

static void test_eth_parse_cut_off_is_short(void **state)
{
    (void)state;
    for (size_t len = 0; len < WI_ETH_HDR; len++) {
        struct wi_eth h;
        uint8_t *p = exact_copy(frame, len);
        assert_int_equal(wi_eth_parse(&h, p, len), WEIR_DROP_ETH_SHORT);
        free(p);
    }
}

static void test_eth_parse_bad_frame_names_reason(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        uint8_t src0;
        enum weir_drop why;
    } cases[] = {
        {0x8100, 2, WEIR_DROP_ETH_VLAN},      {0x88a8, 2, WEIR_DROP_ETH_VLAN}, {0x05ff, 2, WEIR_DROP_ETH_LLC},
        {0x0800, 3, WEIR_DROP_ETH_SRC_GROUP}, {0x0600, 2, WEIR_DROP_NONE},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct wi_eth h = {.type = 0xdead};
        uint8_t p[WI_ETH_HDR];
        memcpy(p, frame, sizeof(p));
        wi_put16(p + 12, cases[i].type);
        p[6] = cases[i].src0;
        assert_int_equal(wi_eth_parse(&h, p, sizeof(p)), cases[i].why);
        assert_int_equal(h.type, cases[i].why ? 0xdead : cases[i].type);
    }
}

/* RFC 1112 6.4, RFC 2464 7 */
static void test_eth_from_group_maps_address(void **state)
{
    (void)state;
    static const struct {
        const char *group;
        uint8_t mac[6];
    } cases[] = {
        {"224.129.2.3", {0x01, 0x00, 0x5e, 0x01, 2, 3}},
        {"ff02::1:ff00:102", {0x33, 0x33, 0xff, 0, 1, 2}},
        {"255.255.255.255", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
        {"192.0.2.255", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct weir_addr a = addr(cases[i].group);
        uint8_t mac[6];
        wi_eth_from_group(mac, &a);
        assert_memory_equal(mac, cases[i].mac, 6);
    }
}

static const uint8_t request[] = {0,   1, 8, 0, 6, 4, 0, 1, 2, 0, 0,   0, 0, 2,
                                  192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9};

static void test_arp_parse_request_gives_fields(void **state)
{
    (void)state;
    struct wi_arp h;
    uint8_t out[WI_ARP_LEN];

    assert_int_equal(wi_arp_parse(&h, request, sizeof(request)), WEIR_DROP_NONE);
    assert_int_equal(h.op, WI_ARP_REQUEST);
    assert_memory_equal(h.sender_ll, request + 8, 6);
    assert_addr(&h.sender, "192.0.2.1");
    assert_addr(&h.target, "192.0.2.9");
    wi_arp_put(out, &h);
    assert_memory_equal(out, request, sizeof(request));
}

/* Rows: attack-ripple20-ipv6-and-arp-length-bugs attack-freertos-tcp-set */
static void test_arp_parse_cut_off_is_short(void **state)
{
    (void)state;
    for (size_t len = 0; len < WI_ARP_LEN; len++) {
        struct wi_arp h;
        uint8_t *p = exact_copy(request, len);
        assert_int_equal(wi_arp_parse(&h, p, len), WEIR_DROP_ARP_SHORT);
        free(p);
    }
}

static void test_arp_parse_bad_message_names_reason(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t is;
        enum weir_drop why;
    } cases[] = {
        {1, 6, WEIR_DROP_ARP_FORMAT},   {3, 1, WEIR_DROP_ARP_FORMAT},      {4, 8, WEIR_DROP_ARP_FORMAT},
        {5, 16, WEIR_DROP_ARP_FORMAT},  {7, 3, WEIR_DROP_ARP_OP},          {7, 0, WEIR_DROP_ARP_OP},
        {8, 3, WEIR_DROP_ARP_BAD_ADDR}, {14, 224, WEIR_DROP_ARP_BAD_ADDR}, {14, 127, WEIR_DROP_ARP_BAD_ADDR},
        {7, 2, WEIR_DROP_NONE},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct wi_arp h;
        uint8_t p[WI_ARP_LEN];
        memcpy(p, request, sizeof(p));
        p[cases[i].at] = cases[i].is;
        assert_int_equal(wi_arp_parse(&h, p, sizeof(p)), cases[i].why);
    }
}

static void test_arp_parse_broadcast_sender_is_bad(void **state)
{
    (void)state;
    struct wi_arp h;
    uint8_t p[WI_ARP_LEN];

    memcpy(p, request, sizeof(p));
    memset(p + 14, 0xff, 4);
    assert_int_equal(wi_arp_parse(&h, p, sizeof(p)), WEIR_DROP_ARP_BAD_ADDR);
}

/* RFC 5227 2.1.1: a probe comes from 0.0.0.0 */
static void test_arp_parse_probe_is_kept(void **state)
{
    (void)state;
    struct wi_arp h;
    uint8_t p[WI_ARP_LEN];

    memcpy(p, request, sizeof(p));
    memset(p + 14, 0, 4);
    assert_int_equal(wi_arp_parse(&h, p, sizeof(p)), WEIR_DROP_NONE);
    assert_true(weir_addr_is_any(&h.sender));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eth_parse_frame_gives_fields),
        cmocka_unit_test(test_eth_put_parsed_gives_same_bytes),
        cmocka_unit_test(test_eth_parse_cut_off_is_short),
        cmocka_unit_test(test_eth_parse_bad_frame_names_reason),
        cmocka_unit_test(test_eth_from_group_maps_address),
        cmocka_unit_test(test_arp_parse_request_gives_fields),
        cmocka_unit_test(test_arp_parse_cut_off_is_short),
        cmocka_unit_test(test_arp_parse_bad_message_names_reason),
        cmocka_unit_test(test_arp_parse_broadcast_sender_is_bad),
        cmocka_unit_test(test_arp_parse_probe_is_kept),
    };

    return cmocka_run_group_tests_name("wire-eth", tests, NULL, NULL);
}
