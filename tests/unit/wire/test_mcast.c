/* IGMP and MLD: wire/mcast.h. */
#include "wire_test.h"

#include "wire/icmp.h"
#include "wire/mcast.h"

static enum weir_drop parse_igmp(struct wi_mcast *h, const uint8_t *bytes, size_t len)
{
    uint8_t *p = exact_copy(bytes, len);
    if (len >= 4)
        wi_icmp_seal(p, len, false, NULL, NULL);
    enum weir_drop why = wi_igmp_parse(h, p, len);

    free(p);
    return why;
}

static enum weir_drop parse_mld(struct wi_mcast *h, const char *src, const uint8_t *bytes, size_t len)
{
    struct wi_ip ip = {.src = addr(src), .is_v6 = true, .ttl = 1, .is_router_alert = true};
    uint8_t *p = exact_copy(bytes, len);
    enum weir_drop why = wi_mld_parse(h, &ip, p, len);

    free(p);
    return why;
}

/* RFC 3376 7.1: length and max resp code tell the version */
static void test_igmp_parse_query_tells_version(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[20];
        size_t len;
        enum weir_drop why;
        uint8_t version;
        uint32_t max_resp_ms;
        bool is_general;
    } cases[] = {
        {{0x11, 0}, 8, WEIR_DROP_NONE, 1, 10000, true},
        {{0x11, 0, 0, 0, 10, 0, 0, 1}, 8, WEIR_DROP_NONE, 1, 10000, true},
        {{0x11, 100}, 8, WEIR_DROP_NONE, 2, 10000, true},
        {{0x11, 10, 0, 0, 239, 1, 2, 3}, 8, WEIR_DROP_NONE, 2, 1000, false},
        {{0x11, 100}, 12, WEIR_DROP_NONE, 3, 10000, true},
        {{0x11, 0x80}, 12, WEIR_DROP_NONE, 3, 12800, true},   /* (0 | 16) << 3 tenths */
        {{0x11, 0xff}, 12, WEIR_DROP_NONE, 3, 3174400, true}, /* (15 | 16) << 10 */
        {{0x11, 100, [11] = 2}, 20, WEIR_DROP_NONE, 3, 10000, true},
        {{0x11, 100, [11] = 3}, 20, WEIR_DROP_MCAST_SHORT, 0, 0, false},
        {{0x11, 100}, 10, WEIR_DROP_MCAST_SHORT, 0, 0, false},
        {{0x11, 100, 0, 0, 10, 0, 0, 1}, 8, WEIR_DROP_MCAST_GROUP, 0, 0, false},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct wi_mcast h = {0};
        assert_int_equal(parse_igmp(&h, cases[i].bytes, cases[i].len), cases[i].why);
        if (cases[i].why == WEIR_DROP_NONE)
            assert_int_equal(h.kind, WI_MCAST_QUERY);
        assert_int_equal(h.version, cases[i].version);
        assert_int_equal(h.max_resp_ms, cases[i].max_resp_ms);
        assert_int_equal(h.is_general, cases[i].is_general);
    }
}

static void test_igmp_parse_other_types_by_type(void **state)
{
    (void)state;
    static const struct {
        uint8_t type, first;
        enum weir_drop why;
        enum wi_mcast_kind kind;
        uint8_t version;
    } cases[] = {
        {0x12, 239, WEIR_DROP_NONE, WI_MCAST_REPORT, 1}, {0x16, 239, WEIR_DROP_NONE, WI_MCAST_REPORT, 2},
        {0x17, 239, WEIR_DROP_NONE, WI_MCAST_LEAVE, 2},  {0x22, 0, WEIR_DROP_NONE, WI_MCAST_REPORT_V2, 3},
        {0x16, 10, WEIR_DROP_MCAST_GROUP, 0, 0},         {0x13, 239, WEIR_DROP_MCAST_TYPE, 0, 0},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        uint8_t p[8] = {cases[i].type, 0, 0, 0, cases[i].first, 0, 0, 5};
        struct wi_mcast h = {0};
        assert_int_equal(parse_igmp(&h, p, 8), cases[i].why);
        assert_int_equal(h.kind, cases[i].kind);
        assert_int_equal(h.version, cases[i].version);
    }
}

static void test_igmp_parse_short_or_corrupt_is_dropped(void **state)
{
    (void)state;
    uint8_t p[8] = {0x16, 0, 0, 0, 239, 1, 2, 3};
    struct wi_mcast h;

    for (size_t len = 0; len < 8; len++)
        assert_int_equal(parse_igmp(&h, p, len), WEIR_DROP_MCAST_SHORT);
    assert_int_equal(wi_igmp_parse(&h, p, 8), WEIR_DROP_MCAST_CSUM);
}

/* RFC 3810 8.1 */
static void test_mld_parse_query_tells_version(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[44];
        size_t len;
        enum weir_drop why;
        uint8_t version;
        uint32_t max_resp_ms;
    } cases[] = {
        {{130, 0, 0, 0, 0x27, 0x10}, 24, WEIR_DROP_NONE, 1, 10000},
        {{130, 0, 0, 0, 0xff, 0xff}, 24, WEIR_DROP_NONE, 1, 65535},
        {{130, 0, 0, 0, 0x27, 0x10}, 28, WEIR_DROP_NONE, 2, 10000},
        {{130, 0, 0, 0, 0x80, 0x01}, 28, WEIR_DROP_NONE, 2, 0x1001 << 3},
        {{130, 0, 0, 0, 0, 1, [8] = 0xff, 2, [27] = 1}, 44, WEIR_DROP_NONE, 2, 1},
        {{130, 0, 0, 0, 0, 1, [27] = 2}, 44, WEIR_DROP_MCAST_SHORT, 0, 0},
        {{130}, 25, WEIR_DROP_MCAST_SHORT, 0, 0},
        {{130}, 23, WEIR_DROP_MCAST_SHORT, 0, 0},
        {{130, [8] = 0xfe, 0x80}, 24, WEIR_DROP_MCAST_GROUP, 0, 0},
        {{130, [18] = 0xff, 0xff, 224, 0, 0, 1}, 24, WEIR_DROP_MCAST_GROUP, 0, 0},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct wi_mcast h = {0};
        assert_int_equal(parse_mld(&h, "fe80::1", cases[i].bytes, cases[i].len), cases[i].why);
        assert_int_equal(h.version, cases[i].version);
        assert_int_equal(h.max_resp_ms, cases[i].max_resp_ms);
    }
}

/* RFC 3810 5.1.14, 5.2.13 */
static void test_mld_parse_from_off_link_is_dropped(void **state)
{
    (void)state;
    uint8_t query[24] = {130}, report[24] = {131, [8] = 0xff, 2, [23] = 5};
    struct wi_mcast h;

    assert_int_equal(parse_mld(&h, "2001:db8::1", query, 24), WEIR_DROP_MCAST_SRC);
    assert_int_equal(parse_mld(&h, "::", query, 24), WEIR_DROP_MCAST_SRC);
    assert_int_equal(parse_mld(&h, "::", report, 24), WEIR_DROP_NONE);

    struct wi_ip ip = {.src = addr("fe80::1"), .is_v6 = true, .ttl = 2, .is_router_alert = true};
    assert_int_equal(wi_mld_parse(&h, &ip, query, 24), WEIR_DROP_MCAST_SRC);
    ip.ttl = 1;
    ip.is_router_alert = false;
    assert_int_equal(wi_mld_parse(&h, &ip, query, 24), WEIR_DROP_MCAST_SRC);
}

static void test_mld_parse_other_types_by_type(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        size_t len;
        enum weir_drop why;
        enum wi_mcast_kind kind;
    } cases[] = {
        {131, 24, WEIR_DROP_NONE, WI_MCAST_REPORT},   {132, 24, WEIR_DROP_NONE, WI_MCAST_LEAVE},
        {143, 8, WEIR_DROP_NONE, WI_MCAST_REPORT_V2}, {143, 7, WEIR_DROP_MCAST_SHORT, 0},
        {132, 23, WEIR_DROP_MCAST_SHORT, 0},          {135, 24, WEIR_DROP_MCAST_TYPE, 0},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        uint8_t p[24] = {cases[i].type, [8] = 0xff, 2, [23] = 5};
        struct wi_mcast h = {0};
        assert_int_equal(parse_mld(&h, "fe80::1", p, cases[i].len), cases[i].why);
        assert_int_equal(h.kind, cases[i].kind);
    }
}

static void test_mcast_put_each_version_is_right(void **state)
{
    (void)state;
    static const struct {
        bool is_v6;
        uint8_t version;
        enum wi_mcast_record record;
        size_t len;
        uint8_t type;
        const char *dst;
    } cases[] = {
        {false, 1, WI_MCAST_TO_EXCLUDE, 8, 0x12, "239.1.2.3"},
        {false, 1, WI_MCAST_TO_INCLUDE, 0, 0, NULL},
        {false, 2, WI_MCAST_IS_EXCLUDE, 8, 0x16, "239.1.2.3"},
        {false, 2, WI_MCAST_TO_INCLUDE, 8, 0x17, "224.0.0.2"},
        {false, 3, WI_MCAST_TO_EXCLUDE, 16, 0x22, "224.0.0.22"},
        {false, 3, WI_MCAST_TO_INCLUDE, 16, 0x22, "224.0.0.22"},
        {true, 1, WI_MCAST_TO_EXCLUDE, 24, 131, "ff02::1:3"},
        {true, 1, WI_MCAST_TO_INCLUDE, 24, 132, "ff02::2"},
        {true, 2, WI_MCAST_TO_EXCLUDE, 28, 143, "ff02::16"},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        uint8_t p[WI_MCAST_LEN_MAX];
        struct weir_addr dst, group = addr(cases[i].is_v6 ? "ff02::1:3" : "239.1.2.3");
        struct wi_mcast h = {0};
        size_t len = wi_mcast_put(p, &dst, cases[i].is_v6, cases[i].version, cases[i].record, &group);
        assert_int_equal(len, cases[i].len);
        if (len == 0)
            continue;
        assert_int_equal(p[0], cases[i].type);
        assert_addr(&dst, cases[i].dst);
        assert_int_equal(cases[i].is_v6 ? parse_mld(&h, "fe80::1", p, len) : parse_igmp(&h, p, len), WEIR_DROP_NONE);
        if (h.kind == WI_MCAST_REPORT_V2) {
            assert_int_equal(wi_get16(p + 6), 1);
            assert_int_equal(p[8], cases[i].record);
            assert_memory_equal(p + 12, cases[i].is_v6 ? group.b : group.b + 12, len - 12);
        } else {
            assert_memory_equal(h.group.b, group.b, 16);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_igmp_parse_query_tells_version),
        cmocka_unit_test(test_igmp_parse_other_types_by_type),
        cmocka_unit_test(test_igmp_parse_short_or_corrupt_is_dropped),
        cmocka_unit_test(test_mld_parse_query_tells_version),
        cmocka_unit_test(test_mld_parse_from_off_link_is_dropped),
        cmocka_unit_test(test_mld_parse_other_types_by_type),
        cmocka_unit_test(test_mcast_put_each_version_is_right),
    };

    return cmocka_run_group_tests_name("wire-mcast", tests, NULL, NULL);
}
