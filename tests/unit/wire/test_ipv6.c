/* IPv6 headers and the walk over extension headers: wire/ip.h. */
#include "wire_test.h"

#include "wire/ip.h"

/* A datagram under construction: extension headers are appended, `nh_at` is the byte that will name the next one. */
struct dgram {
    uint8_t b[4096];
    size_t len;
    size_t nh_at;
};

static void dgram_start(struct dgram *d)
{
    struct wi_ip_out o = {.src = addr("2001:db8::1"),
                          .dst = addr("2001:db8::2"),
                          .is_v6 = true,
                          .ttl = 60,
                          .tos = 0x13,
                          .flow_label = 0xabcde};

    memset(d, 0, sizeof(*d));
    d->len = wi_ip_put(d->b, &o);
    d->nh_at = 6;
}

/* Append a header of kind `nh`: its 2 first bytes are filled in, the rest comes from `body`, padded to a multiple of 8.
 */
static size_t dgram_ext(struct dgram *d, uint8_t nh, const void *body, size_t body_len)
{
    size_t at = d->len, len = (2 + body_len + 7) / 8 * 8;

    d->b[d->nh_at] = nh;
    d->nh_at = at;
    d->b[at + 1] = nh == WI_IP_FRAGMENT ? 0 : (uint8_t)(len / 8 - 1);
    if (body_len)
        memcpy(d->b + at + 2, body, body_len);
    d->len += len;
    return at;
}

static void dgram_frag(struct dgram *d, uint16_t off, bool mf)
{
    const uint8_t body[6] = {(uint8_t)(off >> 8), (uint8_t)((off & 0xf8) | mf), 0, 0, 0, 7};

    dgram_ext(d, WI_IP_FRAGMENT, body, sizeof(body));
}

static void dgram_end(struct dgram *d, uint8_t proto, size_t l4_len)
{
    d->b[d->nh_at] = proto;
    d->len += l4_len;
    wi_put16(d->b + 4, (uint16_t)(d->len - WI_IPV6_HDR));
}

static enum weir_drop parse(struct wi_ip *ip, const struct dgram *d)
{
    uint8_t *p = exact_copy(d->b, d->len);
    enum weir_drop why = wi_ip_parse(ip, p, d->len, d->len, true);

    free(p);
    return why;
}

static void test_ipv6_parse_plain_gives_fields(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;

    dgram_start(&d);
    dgram_end(&d, WI_IP_TCP, 20);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_NONE);
    assert_true(ip.is_v6 && ip.df);
    assert_addr(&ip.src, "2001:db8::1");
    assert_addr(&ip.dst, "2001:db8::2");
    assert_int_equal(ip.proto, WI_IP_TCP);
    assert_int_equal(ip.ttl, 60);
    assert_int_equal(ip.tos, 0x13);
    assert_int_equal(ip.ecn, WI_ECN_CE);
    assert_int_equal(ip.flow_label, 0xabcde);
    assert_int_equal(ip.total_len, 60);
    assert_int_equal(ip.l4_off, 40);
    assert_int_equal(ip.l4_len, 20);
    assert_int_equal(ip.proto_off, 6);
    assert_int_equal(ip.unfrag_len, 40);
}

static void test_ipv6_parse_cut_off_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;

    dgram_start(&d);
    dgram_end(&d, WI_IP_TCP, 20);
    for (size_t len = 1; len < d.len; len++) {
        struct dgram cut = d;
        cut.len = len;
        assert_int_equal(parse(&ip, &cut), len < 40 ? WEIR_DROP_IP_SHORT : WEIR_DROP_IP_LENGTH);
    }
}

/* RFC 8200 4.1's order, each header known: the walk ends at UDP */
static void test_ipv6_parse_all_extensions_reaches_upper(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t hbh[6] = {5, 2, 0, 0, 1, 0}; /* router alert, PadN */
    const uint8_t dst[14] = {0x1e, 10};        /* unknown, action 00: skip */
    const uint8_t routing[6] = {0, 0};         /* type 0, no segments left */

    dgram_start(&d);
    dgram_ext(&d, WI_IP_HOPOPTS, hbh, sizeof(hbh));
    dgram_ext(&d, WI_IP_DSTOPTS, dst, sizeof(dst));
    size_t at = dgram_ext(&d, WI_IP_ROUTING, routing, sizeof(routing));
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_NONE);
    assert_int_equal(ip.proto, WI_IP_UDP);
    assert_int_equal(ip.proto_off, at);
    assert_int_equal(ip.l4_off, at + 8);
    assert_int_equal(ip.l4_len, 8);
    assert_true(ip.is_router_alert);
}

/* A router alert counts in the hop-by-hop header only: RFC 2711 2.1 */
static void test_ipv6_parse_alert_in_dstopts_is_unknown(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t body[6] = {5, 2, 0, 0, 0, 0};

    dgram_start(&d);
    dgram_ext(&d, WI_IP_DSTOPTS, body, sizeof(body));
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_NONE);
    assert_false(ip.is_router_alert);
}

/* RFC 8200 4.2: the action bits, and the pointer at the option */
static void test_ipv6_parse_unknown_option_obeys_action(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        enum weir_drop why;
        bool is_owed, even_if_multicast;
    } cases[] = {
        {0x3e, WEIR_DROP_NONE, false, false},
        {0x7e, WEIR_DROP_IPV6_OPTION_UNKNOWN, false, false},
        {0xbe, WEIR_DROP_IPV6_OPTION_UNKNOWN, true, true},
        {0xfe, WEIR_DROP_IPV6_OPTION_UNKNOWN, true, false},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct dgram d;
        struct wi_ip ip;
        const uint8_t body[6] = {0, cases[i].type, 1, 0, 0, 0};
        dgram_start(&d);
        dgram_ext(&d, WI_IP_DSTOPTS, body, sizeof(body));
        dgram_end(&d, WI_IP_UDP, 8);
        assert_int_equal(parse(&ip, &d), cases[i].why);
        assert_int_equal(ip.owed.is_owed, cases[i].is_owed);
        assert_int_equal(ip.owed.even_if_multicast, cases[i].even_if_multicast);
        if (cases[i].is_owed) {
            assert_int_equal(ip.owed.code, 2);
            assert_int_equal(ip.owed.pointer, 43);
            assert_addr(&ip.src, "2001:db8::1"); /* where the error goes */
        }
    }
}

/* Rows: attack-amnesia-33-ipv6-extension-headers */
static void test_ipv6_parse_malformed_option_is_dropped(void **state)
{
    (void)state;
    static const uint8_t bodies[][6] = {
        {1, 5},             /* PadN beyond the header */
        {0, 0, 0, 0, 0, 1}, /* no room for the length */
        {0x3e, 200},        /* beyond the packet */
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(bodies); i++) {
        struct dgram d;
        struct wi_ip ip;
        dgram_start(&d);
        dgram_ext(&d, WI_IP_HOPOPTS, bodies[i], 6);
        dgram_end(&d, WI_IP_UDP, 8);
        assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_OPTION);
        assert_false(ip.owed.is_owed);
    }
}

/* Rows: attack-amnesia-33-ipv6-extension-headers */
static void test_ipv6_parse_too_many_options_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pads[70] = {0};

    dgram_start(&d);
    dgram_ext(&d, WI_IP_DSTOPTS, pads, sizeof(pads));
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_EXT_MANY);
}

/* Rows: attack-ipv6-extension-header-dos attack-amnesia-33-ipv6-extension-headers 8200-5 */
static void test_ipv6_parse_too_many_headers_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pad[6] = {1, 4};

    for (int n = 16; n <= 17; n++) {
        dgram_start(&d);
        for (int i = 0; i < n; i++)
            dgram_ext(&d, WI_IP_DSTOPTS, pad, sizeof(pad));
        dgram_end(&d, WI_IP_UDP, 8);
        assert_int_equal(parse(&ip, &d), n == 16 ? WEIR_DROP_NONE : WEIR_DROP_IPV6_EXT_MANY);
    }
}

/* RFC 8200 4.1: hop-by-hop only right after the base header; else it is an unrecognized next header */
static void test_ipv6_parse_late_hop_by_hop_owes_next_header(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pad[6] = {1, 4};

    dgram_start(&d);
    size_t at = dgram_ext(&d, WI_IP_DSTOPTS, pad, sizeof(pad));
    dgram_ext(&d, WI_IP_HOPOPTS, pad, sizeof(pad));
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_EXT_ORDER);
    assert_true(ip.owed.is_owed);
    assert_int_equal(ip.owed.code, 1);
    assert_int_equal(ip.owed.pointer, at);
}

/* Rows: 8200-5 attack-ripple20-ipv6-and-arp-length-bugs */
static void test_ipv6_parse_cut_extension_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pad[6] = {1, 4};

    dgram_start(&d);
    size_t at = dgram_ext(&d, WI_IP_DSTOPTS, pad, sizeof(pad));
    d.b[at + 1] = 3; /* 32 bytes, and there are 16 */
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_EXT_SHORT);

    dgram_start(&d);
    dgram_end(&d, WI_IP_DSTOPTS, 7);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_EXT_SHORT);
    dgram_start(&d);
    dgram_end(&d, WI_IP_FRAGMENT, 7);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_EXT_SHORT);
}

/* What does not lie in the contiguous part counts as not there. */
static void test_ipv6_parse_headers_beyond_linear_part_are_short(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pad[14] = {1, 12};

    for (uint8_t kind = WI_IP_FRAGMENT; kind <= WI_IP_DSTOPTS; kind += WI_IP_DSTOPTS - WI_IP_FRAGMENT) {
        dgram_start(&d);
        dgram_ext(&d, kind, pad, kind == WI_IP_FRAGMENT ? 6 : 14);
        dgram_end(&d, WI_IP_UDP, 8);
        for (size_t lin = 40; lin < (kind == WI_IP_FRAGMENT ? 48 : 56); lin++) {
            uint8_t *p = exact_copy(d.b, lin);
            assert_int_equal(wi_ip_parse(&ip, p, lin, d.len, true), WEIR_DROP_IPV6_EXT_SHORT);
            free(p);
        }
    }
}

/* RFC 5095 3, RFC 8200 4.4 */
static void test_ipv6_parse_routing_with_segments_left_owes(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t routing[22] = {0, 1};

    dgram_start(&d);
    size_t at = dgram_ext(&d, WI_IP_ROUTING, routing, sizeof(routing));
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_ROUTING);
    assert_true(ip.owed.is_owed);
    assert_int_equal(ip.owed.code, 0);
    assert_int_equal(ip.owed.pointer, at + 2);
}

static void test_ipv6_parse_no_next_header_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;

    dgram_start(&d);
    dgram_end(&d, WI_IP_NONE, 0);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_NO_NEXT);
}

static void test_ipv6_parse_jumbogram_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t jumbo[6] = {0xc2, 4, 0, 1, 0, 0};

    dgram_start(&d);
    dgram_ext(&d, WI_IP_HOPOPTS, jumbo, sizeof(jumbo));
    dgram_end(&d, WI_IP_UDP, 8);
    wi_put16(d.b + 4, 0);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_JUMBO);
}

static void test_ipv6_parse_mapped_address_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;

    for (size_t at = 8; at <= 24; at += 16) {
        struct weir_addr mapped = addr("127.0.0.1");
        dgram_start(&d);
        dgram_end(&d, WI_IP_UDP, 8);
        memcpy(d.b + at, mapped.b, 16);
        assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_MAPPED);
    }
}

static void test_ipv6_parse_fragment_gives_fields(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;

    dgram_start(&d);
    dgram_frag(&d, 1232, true);
    dgram_end(&d, WI_IP_TCP, 16);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_NONE);
    assert_true(ip.is_frag && ip.mf && ip.has_frag_hdr);
    assert_int_equal(ip.frag_off, 1232);
    assert_int_equal(ip.frag_id, 7);
    assert_int_equal(ip.proto, WI_IP_TCP);
    assert_int_equal(ip.unfrag_len, 40);
    assert_int_equal(ip.l4_off, 48);
    assert_int_equal(ip.l4_len, 16);
}

/* RFC 6946 4: whole, whatever else waits under its identification */
static void test_ipv6_parse_atomic_fragment_is_whole(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pad[6] = {1, 4};

    dgram_start(&d);
    dgram_frag(&d, 0, false);
    dgram_ext(&d, WI_IP_DSTOPTS, pad, sizeof(pad));
    dgram_end(&d, WI_IP_UDP, 9);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_NONE);
    assert_false(ip.is_frag);
    assert_true(ip.has_frag_hdr);
    assert_int_equal(ip.proto, WI_IP_UDP);
    assert_int_equal(ip.l4_off, 56);
    assert_int_equal(ip.l4_len, 9);
}

static void test_ipv6_parse_second_fragment_header_is_dropped(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;

    dgram_start(&d);
    dgram_frag(&d, 0, false);
    dgram_frag(&d, 0, false);
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_EXT_ORDER);
}

/* RFC 8200 4.5 */
static void test_ipv6_parse_fragment_bad_length_owes(void **state)
{
    (void)state;
    static const struct {
        uint16_t off;
        bool mf;
        size_t len;
        enum weir_drop why;
        bool is_owed;
        uint32_t pointer;
    } cases[] = {
        {8, true, 15, WEIR_DROP_IPV6_FRAG_LENGTH, true, 4}, {65528, false, 8, WEIR_DROP_IPV6_FRAG_LENGTH, true, 42},
        {65528, false, 7, WEIR_DROP_NONE, false, 0},        {8, false, 0, WEIR_DROP_IPV6_FRAG_LENGTH, false, 0},
        {8, true, 0, WEIR_DROP_IPV6_FRAG_LENGTH, false, 0},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct dgram d;
        struct wi_ip ip;
        dgram_start(&d);
        dgram_frag(&d, cases[i].off, cases[i].mf);
        dgram_end(&d, WI_IP_UDP, cases[i].len);
        assert_int_equal(parse(&ip, &d), cases[i].why);
        assert_int_equal(ip.owed.is_owed, cases[i].is_owed);
        assert_int_equal(ip.owed.pointer, cases[i].pointer);
    }
}

/* RFC 7112 5: the first fragment holds all headers, the upper-layer one included
 * Rows: attack-tiny-fragment */
static void test_ipv6_parse_first_fragment_needs_whole_chain(void **state)
{
    (void)state;
    static const struct {
        uint8_t proto;
        size_t len;
        enum weir_drop why;
    } cases[] = {
        {WI_IP_TCP, 16, WEIR_DROP_IPV6_FRAG_CHAIN}, {WI_IP_TCP, 24, WEIR_DROP_NONE}, {WI_IP_UDP, 8, WEIR_DROP_NONE},
        {WI_IP_ICMPV6, 8, WEIR_DROP_NONE},          {50, 8, WEIR_DROP_NONE},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        struct dgram d;
        struct wi_ip ip;
        dgram_start(&d);
        dgram_frag(&d, 0, true);
        dgram_end(&d, cases[i].proto, cases[i].len);
        assert_int_equal(parse(&ip, &d), cases[i].why);
        if (cases[i].why) {
            assert_true(ip.owed.is_owed);
            assert_int_equal(ip.owed.code, 3);
            assert_int_equal(ip.owed.pointer, 0);
        }
    }
}

static void test_ipv6_parse_first_fragment_cut_in_extension_owes(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pad[6] = {1, 4};

    dgram_start(&d);
    dgram_frag(&d, 0, true);
    size_t at = dgram_ext(&d, WI_IP_DSTOPTS, pad, sizeof(pad));
    dgram_end(&d, WI_IP_UDP, 8);
    assert_int_equal(parse(&ip, &d), WEIR_DROP_NONE);
    d.b[at + 1] = 8;
    assert_int_equal(parse(&ip, &d), WEIR_DROP_IPV6_FRAG_CHAIN);
}

static void test_ipv6_put_fragment_with_alert_is_parsed_back(void **state)
{
    (void)state;
    uint8_t p[200] = {0};
    struct wi_ip ip;
    struct wi_ip_out o = {.src = addr("fe80::1"),
                          .dst = addr("ff02::16"),
                          .is_v6 = true,
                          .router_alert = true,
                          .mf = true,
                          .proto = WI_IP_ICMPV6,
                          .ttl = 1,
                          .frag_id = 0xdeadbeef,
                          .frag_off = 64,
                          .l4_len = 32};

    assert_int_equal(wi_ip_out_len(&o), 56);
    assert_int_equal(wi_ip_put(p, &o), 56);
    assert_int_equal(wi_ip_parse(&ip, p, 88, 88, true), WEIR_DROP_NONE);
    assert_true(ip.is_router_alert && ip.is_frag && ip.mf);
    assert_int_equal(ip.frag_id, 0xdeadbeef);
    assert_int_equal(ip.frag_off, 64);
    assert_int_equal(ip.proto, WI_IP_ICMPV6);
    assert_int_equal(ip.l4_len, 32);
}

static void test_ip_skim_v6_quote_walks_as_far_as_it_goes(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;
    const uint8_t pad[14] = {1, 12};

    dgram_start(&d);
    dgram_ext(&d, WI_IP_DSTOPTS, pad, sizeof(pad));
    dgram_frag(&d, 0, true);
    dgram_end(&d, WI_IP_TCP, 24);
    for (size_t len = 0; len <= d.len; len++) {
        uint8_t *p = exact_copy(d.b, len);
        assert_int_equal(wi_ip_skim(&ip, p, len), len >= 40);
        if (len > 64) {
            assert_int_equal(ip.proto, WI_IP_TCP);
            assert_int_equal(ip.l4_off, 64);
            assert_int_equal(ip.l4_len, len - 64);
        }
        free(p);
    }
}

static void test_ip_skim_v6_later_fragment_has_no_l4(void **state)
{
    (void)state;
    struct dgram d;
    struct wi_ip ip;

    dgram_start(&d);
    dgram_frag(&d, 8, false);
    dgram_end(&d, WI_IP_TCP, 24);
    assert_true(wi_ip_skim(&ip, d.b, d.len));
    assert_true(ip.is_frag);
    assert_int_equal(ip.proto, WI_IP_TCP);
    assert_int_equal(ip.l4_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv6_parse_plain_gives_fields),
        cmocka_unit_test(test_ipv6_parse_cut_off_is_dropped),
        cmocka_unit_test(test_ipv6_parse_all_extensions_reaches_upper),
        cmocka_unit_test(test_ipv6_parse_alert_in_dstopts_is_unknown),
        cmocka_unit_test(test_ipv6_parse_unknown_option_obeys_action),
        cmocka_unit_test(test_ipv6_parse_malformed_option_is_dropped),
        cmocka_unit_test(test_ipv6_parse_too_many_options_is_dropped),
        cmocka_unit_test(test_ipv6_parse_too_many_headers_is_dropped),
        cmocka_unit_test(test_ipv6_parse_late_hop_by_hop_owes_next_header),
        cmocka_unit_test(test_ipv6_parse_cut_extension_is_dropped),
        cmocka_unit_test(test_ipv6_parse_headers_beyond_linear_part_are_short),
        cmocka_unit_test(test_ipv6_parse_routing_with_segments_left_owes),
        cmocka_unit_test(test_ipv6_parse_no_next_header_is_dropped),
        cmocka_unit_test(test_ipv6_parse_jumbogram_is_dropped),
        cmocka_unit_test(test_ipv6_parse_mapped_address_is_dropped),
        cmocka_unit_test(test_ipv6_parse_fragment_gives_fields),
        cmocka_unit_test(test_ipv6_parse_atomic_fragment_is_whole),
        cmocka_unit_test(test_ipv6_parse_second_fragment_header_is_dropped),
        cmocka_unit_test(test_ipv6_parse_fragment_bad_length_owes),
        cmocka_unit_test(test_ipv6_parse_first_fragment_needs_whole_chain),
        cmocka_unit_test(test_ipv6_parse_first_fragment_cut_in_extension_owes),
        cmocka_unit_test(test_ipv6_put_fragment_with_alert_is_parsed_back),
        cmocka_unit_test(test_ip_skim_v6_quote_walks_as_far_as_it_goes),
        cmocka_unit_test(test_ip_skim_v6_later_fragment_has_no_l4),
    };

    return cmocka_run_group_tests_name("wire-ipv6", tests, NULL, NULL);
}
