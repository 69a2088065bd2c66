/* IPv4 headers and what both versions share: wire/ip.h. */
#include "wire_test.h"

#include "wire/ip.h"

static struct wi_ip_out out4(void)
{
    return (struct wi_ip_out){.src = addr("192.0.2.1"),
                              .dst = addr("198.51.100.7"),
                              .df = true,
                              .proto = WI_IP_UDP,
                              .ttl = 64,
                              .tos = 0xb9,
                              .frag_id = 0x1234,
                              .l4_len = 24};
}

/* A datagram of `h`, with `opt_len` bytes of options put in. Returns its length; the checksum is right. */
static size_t build4(uint8_t *p, const struct wi_ip_out *h, const uint8_t *opts, size_t opt_len)
{
    size_t hdr_len = wi_ip_put(p, h) + opt_len;

    if (opt_len)
        memcpy(p + WI_IPV4_HDR, opts, opt_len);
    memset(p + hdr_len, 0xab, h->l4_len);
    p[0] = (uint8_t)(0x40 | hdr_len / 4);
    wi_put16(p + 2, (uint16_t)(hdr_len + h->l4_len));
    wi_put16(p + 10, 0);
    wi_put16(p + 10, wi_csum_finish(wi_csum_add(0, p, hdr_len)));
    return hdr_len + h->l4_len;
}

static enum weir_drop parse_exact(struct wi_ip *ip, const uint8_t *bytes, size_t len)
{
    uint8_t *p = exact_copy(bytes, len);
    enum weir_drop why = wi_ip_parse(ip, p, len, len, true);

    free(p);
    return why;
}

static void test_ipv4_parse_written_gives_fields(void **state)
{
    (void)state;
    uint8_t p[100];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    size_t len = build4(p, &o, NULL, 0);
    assert_int_equal(parse_exact(&ip, p, len), WEIR_DROP_NONE);
    assert_addr(&ip.src, "192.0.2.1");
    assert_addr(&ip.dst, "198.51.100.7");
    assert_false(ip.is_v6);
    assert_true(ip.df);
    assert_false(ip.mf || ip.is_frag || ip.has_frag_hdr || ip.is_router_alert);
    assert_int_equal(ip.proto, WI_IP_UDP);
    assert_int_equal(ip.ttl, 64);
    assert_int_equal(ip.tos, 0xb9);
    assert_int_equal(ip.ecn, WI_ECN_ECT1);
    assert_int_equal(ip.frag_id, 0x1234);
    assert_int_equal(ip.total_len, 44);
    assert_int_equal(ip.hdr_len, 20);
    assert_int_equal(ip.l4_off, 20);
    assert_int_equal(ip.l4_len, 24);
    assert_int_equal(ip.proto_off, 9);
    assert_false(ip.owed.is_owed);
}

/* Rows: attack-ripple20-ip-in-ip-fragments */
static void test_ipv4_parse_padded_frame_trims(void **state)
{
    (void)state;
    uint8_t p[100] = {0};
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    build4(p, &o, NULL, 0);
    assert_int_equal(parse_exact(&ip, p, 60), WEIR_DROP_NONE);
    assert_int_equal(ip.l4_len, 24);
}

/* Only the head of a packet is contiguous; its payload lies elsewhere. */
static void test_ipv4_parse_linear_head_suffices(void **state)
{
    (void)state;
    uint8_t p[WI_IPV4_HDR];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    o.l4_len = 40000;
    wi_ip_put(p, &o);
    assert_int_equal(wi_ip_parse(&ip, p, sizeof(p), 40020, true), WEIR_DROP_NONE);
    assert_int_equal(ip.l4_len, 40000);
    assert_int_equal(wi_ip_parse(&ip, p, sizeof(p), 40019, true), WEIR_DROP_IP_LENGTH);
}

static void test_ipv4_parse_cut_off_is_dropped(void **state)
{
    (void)state;
    uint8_t p[100];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    size_t full = build4(p, &o, NULL, 0);
    for (size_t len = 0; len < full; len++) {
        assert_int_equal(parse_exact(&ip, p, len), len < 20 ? WEIR_DROP_IP_SHORT : WEIR_DROP_IP_LENGTH);
        assert_int_equal(ip.total_len, 0);
    }
}

static void test_ip_parse_version_5_is_dropped(void **state)
{
    (void)state;
    uint8_t p[40] = {0x55};
    struct wi_ip ip;

    assert_int_equal(parse_exact(&ip, p, sizeof(p)), WEIR_DROP_IP_VERSION);
}

static void test_ipv4_parse_hdr_len_out_of_range_is_dropped(void **state)
{
    (void)state;
    uint8_t p[100];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    build4(p, &o, NULL, 0);
    p[0] = 0x44;
    assert_int_equal(parse_exact(&ip, p, 44), WEIR_DROP_IPV4_HDR_LEN);
    p[0] = 0x4f;
    assert_int_equal(parse_exact(&ip, p, 44), WEIR_DROP_IPV4_HDR_LEN);
}

static void test_ipv4_parse_bad_checksum_is_dropped_when_asked(void **state)
{
    (void)state;
    uint8_t p[100];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    size_t len = build4(p, &o, NULL, 0);
    p[10] ^= 1;
    assert_int_equal(wi_ip_parse(&ip, p, len, len, true), WEIR_DROP_IPV4_CSUM);
    assert_int_equal(wi_ip_parse(&ip, p, len, len, false), WEIR_DROP_NONE);
}

/* Rows: attack-ripple20-ip-in-ip-fragments attack-infra-halt */
static void test_ipv4_parse_total_below_header_is_dropped(void **state)
{
    (void)state;
    uint8_t p[100];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    size_t len = build4(p, &o, NULL, 0);
    wi_put16(p + 2, 19);
    assert_int_equal(wi_ip_parse(&ip, p, len, len, false), WEIR_DROP_IP_LENGTH);
}

/* Rows: MUST-50 MUST-53 MAY-10 MAY-11 attack-urgent-11-ip-options
 * 1122-I8 1122-I9 */
static void test_ipv4_parse_options_by_kind(void **state)
{
    (void)state;
    static const struct {
        uint8_t opts[8];
        enum weir_drop why;
        bool is_alert;
    } cases[] = {
        {{1, 1, 0, 99, 99}, WEIR_DROP_NONE, false},                    /* after EOL anything goes */
        {{148, 4, 0, 0, 1, 0}, WEIR_DROP_NONE, true},                  /* RFC 2113 */
        {{7, 7, 4, 0, 0, 0, 0, 0}, WEIR_DROP_NONE, false},             /* record route */
        {{131, 7, 4, 1, 2, 3, 4, 0}, WEIR_DROP_IPV4_SRC_ROUTE, false}, /* loose */
        {{137, 7, 4, 1, 2, 3, 4, 0}, WEIR_DROP_IPV4_SRC_ROUTE, false}, /* strict */
        {{7, 0}, WEIR_DROP_IPV4_OPTION, false},                        /* length 0 */
        {{7, 1}, WEIR_DROP_IPV4_OPTION, false},                        /* length below its own bytes */
        {{7, 9}, WEIR_DROP_IPV4_OPTION, false},                        /* beyond the header */
        {{1, 1, 1, 1, 1, 1, 1, 7}, WEIR_DROP_IPV4_OPTION, false},      /* no room for the length */
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        uint8_t p[100];
        struct wi_ip_out o = out4();
        struct wi_ip ip;
        size_t len = build4(p, &o, cases[i].opts, 8);
        assert_int_equal(parse_exact(&ip, p, len), cases[i].why);
        assert_int_equal(ip.is_router_alert, cases[i].is_alert);
        if (cases[i].why == WEIR_DROP_NONE)
            assert_int_equal(ip.l4_off, 28);
    }
}

static void test_ipv4_parse_fragments_by_fields(void **state)
{
    (void)state;
    static const struct {
        uint8_t proto;
        bool mf;
        uint32_t off, len;
        enum weir_drop why;
    } cases[] = {
        {WI_IP_UDP, true, 0, 24, WEIR_DROP_NONE},
        {WI_IP_UDP, false, 1480, 5, WEIR_DROP_NONE},
        {WI_IP_UDP, true, 0, 23, WEIR_DROP_IPV4_FRAG_FIELDS},
        {WI_IP_UDP, true, 8, 0, WEIR_DROP_IPV4_FRAG_FIELDS},
        {WI_IP_UDP, false, 8, 0, WEIR_DROP_IPV4_FRAG_FIELDS},
        {WI_IP_UDP, false, 65512, 4, WEIR_DROP_FRAG_TOO_LONG}, /* the ping of death */
        {WI_IP_UDP, false, 65512, 3, WEIR_DROP_NONE},
        {WI_IP_TCP, true, 0, 8, WEIR_DROP_FRAG_TINY},   /* RFC 1858 3 */
        {WI_IP_TCP, false, 8, 40, WEIR_DROP_FRAG_TINY}, /* RFC 1858 4 */
        {WI_IP_TCP, true, 0, 16, WEIR_DROP_NONE},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        uint8_t p[100];
        struct wi_ip_out o = out4();
        struct wi_ip ip;
        o.proto = cases[i].proto;
        o.df = false;
        o.mf = cases[i].mf;
        o.frag_off = cases[i].off;
        o.l4_len = cases[i].len;
        size_t len = build4(p, &o, NULL, 0);
        assert_int_equal(parse_exact(&ip, p, len), cases[i].why);
        if (cases[i].why == WEIR_DROP_NONE) {
            assert_true(ip.is_frag);
            assert_int_equal(ip.mf, cases[i].mf);
            assert_int_equal(ip.frag_off, cases[i].off);
        }
    }
}

static void test_ipv4_put_router_alert_is_parsed_back(void **state)
{
    (void)state;
    uint8_t p[100] = {0};
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    o.router_alert = true;
    assert_int_equal(wi_ip_out_len(&o), 24);
    assert_int_equal(wi_ip_put(p, &o), 24);
    assert_int_equal(parse_exact(&ip, p, 48), WEIR_DROP_NONE);
    assert_true(ip.is_router_alert);
    assert_int_equal(ip.l4_len, 24);
}

/* The mapped prefix must not show in the sum: compare with RFC 9293 3.1's own pseudo-header. */
static void test_pseudo_csum_v4_equals_twelve_byte_form(void **state)
{
    (void)state;
    uint8_t pseudo[12] = {192, 0, 2, 1, 198, 51, 100, 7, 0, WI_IP_TCP, 0x05, 0xdc};
    struct weir_addr src = addr("192.0.2.1"), dst = addr("198.51.100.7");

    assert_int_equal(wi_ip_pseudo_csum(&src, &dst, WI_IP_TCP, 0x5dc), wi_csum_fold(wi_csum_add(0, pseudo, 12)));
}

/* RFC 8200 8.1: 32-bit length, zeroes, next header */
static void test_pseudo_csum_v6_equals_forty_byte_form(void **state)
{
    (void)state;
    uint8_t pseudo[40] = {[33] = 1, [34] = 0, [35] = 2, [39] = WI_IP_UDP};
    struct weir_addr src = addr("2001:db8::1"), dst = addr("fe80::2");

    memcpy(pseudo, src.b, 16);
    memcpy(pseudo + 16, dst.b, 16);
    assert_int_equal(wi_ip_pseudo_csum(&src, &dst, WI_IP_UDP, 0x10002), wi_csum_fold(wi_csum_add(0, pseudo, 40)));
}

static void test_ip_skim_v4_quote_believes_no_length(void **state)
{
    (void)state;
    uint8_t p[100];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    build4(p, &o, NULL, 0);
    wi_put16(p + 2, 60000); /* as quoted of a long packet */
    p[10] = p[11] = 0;
    uint8_t *q = exact_copy(p, 28);
    assert_true(wi_ip_skim(&ip, q, 28));
    assert_int_equal(ip.l4_len, 8);
    assert_int_equal(ip.l4_off, 20);
    assert_true(wi_ip_skim(&ip, q, 20));
    assert_int_equal(ip.l4_len, 0);
    assert_false(wi_ip_skim(&ip, q, 19));
    assert_false(wi_ip_skim(&ip, q, 0));
    q[0] = 0x4f; /* options beyond the quote */
    assert_true(wi_ip_skim(&ip, q, 28));
    assert_int_equal(ip.l4_len, 0);
    q[0] = 0x43;
    assert_false(wi_ip_skim(&ip, q, 28));
    q[0] = 0x15;
    assert_false(wi_ip_skim(&ip, q, 28));
    free(q);
}

static void test_ip_skim_later_fragment_has_no_l4(void **state)
{
    (void)state;
    uint8_t p[100];
    struct wi_ip_out o = out4();
    struct wi_ip ip;

    o.frag_off = 1480;
    size_t len = build4(p, &o, NULL, 0);
    assert_true(wi_ip_skim(&ip, p, len));
    assert_true(ip.is_frag);
    assert_int_equal(ip.l4_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4_parse_written_gives_fields),
        cmocka_unit_test(test_ipv4_parse_padded_frame_trims),
        cmocka_unit_test(test_ipv4_parse_linear_head_suffices),
        cmocka_unit_test(test_ipv4_parse_cut_off_is_dropped),
        cmocka_unit_test(test_ip_parse_version_5_is_dropped),
        cmocka_unit_test(test_ipv4_parse_hdr_len_out_of_range_is_dropped),
        cmocka_unit_test(test_ipv4_parse_bad_checksum_is_dropped_when_asked),
        cmocka_unit_test(test_ipv4_parse_total_below_header_is_dropped),
        cmocka_unit_test(test_ipv4_parse_options_by_kind),
        cmocka_unit_test(test_ipv4_parse_fragments_by_fields),
        cmocka_unit_test(test_ipv4_put_router_alert_is_parsed_back),
        cmocka_unit_test(test_pseudo_csum_v4_equals_twelve_byte_form),
        cmocka_unit_test(test_pseudo_csum_v6_equals_forty_byte_form),
        cmocka_unit_test(test_ip_skim_v4_quote_believes_no_length),
        cmocka_unit_test(test_ip_skim_later_fragment_has_no_l4),
    };

    return cmocka_run_group_tests_name("wire-ip", tests, NULL, NULL);
}
