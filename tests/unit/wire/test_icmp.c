/* ICMP and ICMPv6: wire/icmp.h. */
#include "wire_test.h"

#include "wire/icmp.h"

/* A packet of ours to quote: IP header and the first `l4_len` bytes of `l4`. Returns its length. */
static size_t build_quote(uint8_t *p, bool is_v6, uint8_t proto, const void *l4, size_t l4_len)
{
    struct wi_ip_out o = {.src = addr(is_v6 ? "2001:db8::1" : "192.0.2.1"),
                          .dst = addr(is_v6 ? "2001:db8::2" : "192.0.2.2"),
                          .is_v6 = is_v6,
                          .proto = proto,
                          .ttl = 1,
                          .l4_len = 1400};
    size_t len = wi_ip_put(p, &o);

    if (l4_len)
        memcpy(p + len, l4, l4_len);
    return len + l4_len;
}

static enum weir_drop parse_exact(struct wi_icmp *h, const uint8_t *bytes, size_t len, bool is_v6)
{
    uint8_t *p = exact_copy(bytes, len);
    enum weir_drop why = wi_icmp_parse(h, p, len, len, is_v6);

    free(p);
    return why;
}

static const uint8_t tcp_l4[8] = {0x1f, 0x90, 0, 80, 0x11, 0x22, 0x33, 0x44};

static void test_icmp_put_every_kind_is_parsed_back(void **state)
{
    (void)state;
    static const struct wi_icmp kinds[] = {
        {.kind = WI_ICMP_ECHO_REQUEST, .type = 8, .id = 0x1234, .echo_seq = 5},
        {.kind = WI_ICMP_ECHO_REPLY, .type = 0, .id = 0x1234, .echo_seq = 5},
        {.kind = WI_ICMP_UNREACH, .type = 3, .code = WI_ICMP4_PORT},
        {.kind = WI_ICMP_TOO_BIG, .type = 3, .code = WI_ICMP4_FRAG_NEEDED, .mtu = 1400},
        {.kind = WI_ICMP_TIME_EXCEEDED, .type = 11, .code = WI_ICMP_REASSEMBLY},
        {.kind = WI_ICMP_PARAM_PROBLEM, .type = 12, .pointer = 20},
        {.kind = WI_ICMP_ECHO_REQUEST, .is_v6 = true, .type = 128, .id = 0x1234, .echo_seq = 5},
        {.kind = WI_ICMP_ECHO_REPLY, .is_v6 = true, .type = 129, .id = 0x1234, .echo_seq = 5},
        {.kind = WI_ICMP_UNREACH, .is_v6 = true, .type = 1, .code = WI_ICMP6_PORT},
        {.kind = WI_ICMP_TOO_BIG, .is_v6 = true, .type = 2, .mtu = 0x10000},
        {.kind = WI_ICMP_TIME_EXCEEDED, .is_v6 = true, .type = 3, .code = WI_ICMP_TTL},
        {.kind = WI_ICMP_PARAM_PROBLEM, .is_v6 = true, .type = 4, .code = WI_ICMP6_OPTION, .pointer = 0x1ff},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(kinds); i++) {
        const struct wi_icmp *k = &kinds[i];
        uint8_t p[128];
        struct wi_icmp h;
        wi_icmp_put(p, k);
        size_t len = WI_ICMP_HDR + build_quote(p + WI_ICMP_HDR, k->is_v6, WI_IP_TCP, tcp_l4, 8);
        assert_int_equal(p[0], k->type);
        assert_int_equal(parse_exact(&h, p, len, k->is_v6), WEIR_DROP_NONE);
        assert_int_equal(h.kind, k->kind);
        assert_int_equal(h.type, k->type);
        assert_int_equal(h.code, k->code);
        assert_int_equal(h.id, k->id);
        assert_int_equal(h.echo_seq, k->echo_seq);
        assert_int_equal(h.mtu, k->mtu);
        assert_int_equal(h.pointer, k->pointer);
        assert_int_equal(h.inner.has_ports, wi_icmp_is_error(k->kind));
    }
}

static void test_icmp_put_v4_mtu_beyond_field_is_clamped(void **state)
{
    (void)state;
    uint8_t p[8];
    const struct wi_icmp h = {.kind = WI_ICMP_TOO_BIG, .mtu = 100000};

    wi_icmp_put(p, &h);
    assert_int_equal(wi_get16(p + 6), 65535);
    assert_int_equal(p[1], WI_ICMP4_FRAG_NEEDED);
}

static void test_icmp_parse_error_reads_quoted_tcp(void **state)
{
    (void)state;
    for (int is_v6 = 0; is_v6 <= 1; is_v6++) {
        uint8_t p[128] = {is_v6 ? 1 : 3, is_v6 ? 4 : 3};
        struct wi_icmp h;
        size_t len = WI_ICMP_HDR + build_quote(p + WI_ICMP_HDR, is_v6, WI_IP_TCP, tcp_l4, 8);
        assert_int_equal(parse_exact(&h, p, len, is_v6), WEIR_DROP_NONE);
        assert_addr(&h.inner.ip.src, is_v6 ? "2001:db8::1" : "192.0.2.1");
        assert_addr(&h.inner.ip.dst, is_v6 ? "2001:db8::2" : "192.0.2.2");
        assert_int_equal(h.inner.ip.proto, WI_IP_TCP);
        assert_int_equal(h.inner.l4_off, len - 8);
        assert_int_equal(h.inner.ip.l4_len, 8);
        assert_true(h.inner.has_ports && h.inner.has_seq);
        assert_false(h.inner.has_echo);
        assert_int_equal(h.inner.src_port, 8080);
        assert_int_equal(h.inner.dst_port, 80);
        assert_int_equal(h.inner.seq.v, 0x11223344);
    }
}

/* RFC 1122 3.2.2: as little as the header and 8 bytes; here every shorter quote as well */
static void test_icmp_parse_error_quote_cut_anywhere_says_what_is_there(void **state)
{
    (void)state;
    for (int is_v6 = 0; is_v6 <= 1; is_v6++) {
        uint8_t p[128] = {is_v6 ? 3 : 11};
        struct wi_icmp h;
        size_t full = WI_ICMP_HDR + build_quote(p + WI_ICMP_HDR, is_v6, WI_IP_TCP, tcp_l4, 8);
        for (size_t len = 0; len < full; len++) {
            enum weir_drop why = parse_exact(&h, p, len, is_v6);
            assert_int_equal(why, len < 8          ? WEIR_DROP_ICMP_SHORT
                                  : len < full - 8 ? WEIR_DROP_ICMP_INNER
                                                   : WEIR_DROP_NONE);
            if (why == WEIR_DROP_NONE) {
                assert_int_equal(h.inner.has_ports, len >= full - 4);
                assert_false(h.inner.has_seq);
            }
        }
    }
}

static void test_icmp_parse_error_reads_quoted_echo_and_udp(void **state)
{
    (void)state;
    for (int is_v6 = 0; is_v6 <= 1; is_v6++) {
        uint8_t p[128] = {is_v6 ? 1 : 3};
        struct wi_icmp h;
        const uint8_t echo[8] = {is_v6 ? 128 : 8, 0, 0, 0, 0, 7, 0, 9};
        const uint8_t reply[8] = {is_v6 ? 129 : 0, 0, 0, 0, 0, 7, 0, 9};

        size_t len = WI_ICMP_HDR + build_quote(p + WI_ICMP_HDR, is_v6, is_v6 ? 58 : 1, echo, 8);
        assert_int_equal(parse_exact(&h, p, len, is_v6), WEIR_DROP_NONE);
        assert_true(h.inner.has_echo);
        assert_int_equal(h.inner.id, 7);
        assert_int_equal(h.inner.echo_seq, 9);
        build_quote(p + WI_ICMP_HDR, is_v6, is_v6 ? 58 : 1, reply, 8);
        assert_int_equal(parse_exact(&h, p, len, is_v6), WEIR_DROP_NONE);
        assert_false(h.inner.has_echo);
        build_quote(p + WI_ICMP_HDR, is_v6, WI_IP_UDP, tcp_l4, 8);
        assert_int_equal(parse_exact(&h, p, len, is_v6), WEIR_DROP_NONE);
        assert_true(h.inner.has_ports && !h.inner.has_seq);
    }
}

static void test_icmp_parse_quote_of_other_version_is_dropped(void **state)
{
    (void)state;
    uint8_t p[128] = {3, 1};
    struct wi_icmp h;

    size_t len = WI_ICMP_HDR + build_quote(p + WI_ICMP_HDR, true, WI_IP_TCP, tcp_l4, 8);
    assert_int_equal(parse_exact(&h, p, len, false), WEIR_DROP_ICMP_INNER);
}

static void test_icmp_parse_types_by_version(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        bool is_v6;
        enum weir_drop why;
        enum wi_icmp_kind kind;
    } cases[] = {
        {4, false, WEIR_DROP_ICMP_QUENCH, 0},     {5, false, WEIR_DROP_ICMP_REDIRECT, 0},
        {13, false, WEIR_DROP_ICMP_TYPE, 0},      {17, false, WEIR_DROP_ICMP_TYPE, 0},
        {137, true, WEIR_DROP_ICMP_REDIRECT, 0},  {138, true, WEIR_DROP_ICMP_TYPE, 0},
        {100, true, WEIR_DROP_ICMP_TYPE, 0},      {130, true, WEIR_DROP_NONE, WI_ICMP_MLD},
        {132, true, WEIR_DROP_NONE, WI_ICMP_MLD}, {143, true, WEIR_DROP_NONE, WI_ICMP_MLD},
        {133, true, WEIR_DROP_NONE, WI_ICMP_ND},  {136, true, WEIR_DROP_NONE, WI_ICMP_ND},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(cases); i++) {
        uint8_t p[8] = {cases[i].type};
        struct wi_icmp h;
        assert_int_equal(parse_exact(&h, p, 8, cases[i].is_v6), cases[i].why);
        if (cases[i].why == WEIR_DROP_NONE)
            assert_int_equal(h.kind, cases[i].kind);
    }
}

/* RFC 4443 2.4 (c); 576 as Linux, RFC 1812 4.3.2.3 */
static void test_icmp_quote_len_keeps_error_within_limit(void **state)
{
    (void)state;
    assert_int_equal(wi_icmp_quote_len(false, 60), 60);
    assert_int_equal(wi_icmp_quote_len(false, 1500), 576 - 28);
    assert_int_equal(wi_icmp_quote_len(true, 1500), 1280 - 48);
}

static void test_icmp_seal_verifies(void **state)
{
    (void)state;
    uint8_t p[13] = {128, 0, 0xff, 0xff, 0, 1, 0, 2, 'h', 'e', 'l', 'l', 'o'};
    struct weir_addr src = addr("fe80::1"), dst = addr("ff02::1");

    wi_icmp_seal(p, sizeof(p), true, &src, &dst);
    uint64_t sum = wi_ip_pseudo_csum(&src, &dst, WI_IP_ICMPV6, sizeof(p));
    assert_int_equal(wi_csum_finish(wi_csum_add(sum, p, sizeof(p))), 0);
    wi_icmp_seal(p, sizeof(p), false, NULL, NULL);
    assert_int_equal(wi_csum_finish(wi_csum_add(0, p, sizeof(p))), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_icmp_put_every_kind_is_parsed_back),
        cmocka_unit_test(test_icmp_put_v4_mtu_beyond_field_is_clamped),
        cmocka_unit_test(test_icmp_parse_error_reads_quoted_tcp),
        cmocka_unit_test(test_icmp_parse_error_quote_cut_anywhere_says_what_is_there),
        cmocka_unit_test(test_icmp_parse_error_reads_quoted_echo_and_udp),
        cmocka_unit_test(test_icmp_parse_quote_of_other_version_is_dropped),
        cmocka_unit_test(test_icmp_parse_types_by_version),
        cmocka_unit_test(test_icmp_quote_len_keeps_error_within_limit),
        cmocka_unit_test(test_icmp_seal_verifies),
    };

    return cmocka_run_group_tests_name("wire-icmp", tests, NULL, NULL);
}
