/* Neighbour discovery: wire/nd.h. */
#include "wire_test.h"

#include "wire/nd.h"

static struct wi_ip from_link(void)
{
    return (struct wi_ip){.src = addr("fe80::1"), .dst = addr("fe80::2"), .is_v6 = true, .ttl = 255};
}

static enum weir_drop parse_exact(struct wi_nd *h, const struct wi_ip *ip, const uint8_t *bytes, size_t len)
{
    uint8_t *p = exact_copy(bytes, len);
    enum weir_drop why = wi_nd_parse(h, ip, p, len);

    free(p);
    return why;
}

static struct wi_nd solicit(void)
{
    return (struct wi_nd){
        .type = WI_ND_NEIGH_SOLICIT, .target = addr("2001:db8::9"), .has_ll = true, .ll = {2, 0, 0, 0, 0, 1}};
}

static struct wi_nd advert(void)
{
    return (struct wi_nd){.type = WI_ND_NEIGH_ADVERT,
                          .target = addr("2001:db8::9"),
                          .has_ll = true,
                          .ll = {2, 0, 0, 0, 0, 9},
                          .is_router = true,
                          .is_solicited = true,
                          .is_override = true};
}

static struct wi_nd router(void)
{
    return (struct wi_nd){.type = WI_ND_ROUTER_ADVERT,
                          .has_ll = true,
                          .ll = {2, 0, 0, 0, 0, 1},
                          .cur_hop_limit = 64,
                          .is_managed = true,
                          .is_other_config = true,
                          .router_lifetime_s = 1800,
                          .reachable_ms = 30000,
                          .retrans_ms = 1000,
                          .mtu = 1480,
                          .prefix_n = 2,
                          .prefixes = {{addr("2001:db8:1::"), 64, true, true, UINT32_MAX, 3600},
                                       {addr("2001:db8:2::"), 48, false, true, 7200, 0}}};
}

static void test_nd_put_every_type_is_parsed_back(void **state)
{
    (void)state;
    const struct wi_nd messages[] = {
        {.type = WI_ND_ROUTER_SOLICIT},
        {.type = WI_ND_ROUTER_SOLICIT, .has_ll = true, .ll = {2}},
        solicit(),
        advert(),
        router(),
    };
    static const size_t lens[] = {8, 16, 32, 32, 16 + 8 + 8 + 64};

    for (size_t i = 0; i < WI_ARRAY_LEN(messages); i++) {
        uint8_t p[WI_ND_LEN_MAX];
        struct wi_ip ip = from_link();
        struct wi_nd h;
        memset(&h, 0xee, sizeof(h));
        size_t len = wi_nd_put(p, &messages[i]);
        assert_int_equal(len, lens[i]);
        assert_int_equal(parse_exact(&h, &ip, p, len), WEIR_DROP_NONE);
        uint8_t again[WI_ND_LEN_MAX];
        assert_int_equal(wi_nd_put(again, &h), len);
        assert_memory_equal(again, p, len);
    }
}

static void test_nd_parse_router_advert_gives_fields(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX];
    struct wi_nd in = router(), h;
    struct wi_ip ip = from_link();

    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_NONE);
    assert_int_equal(h.cur_hop_limit, 64);
    assert_true(h.is_managed && h.is_other_config);
    assert_int_equal(h.router_lifetime_s, 1800);
    assert_int_equal(h.reachable_ms, 30000);
    assert_int_equal(h.retrans_ms, 1000);
    assert_int_equal(h.mtu, 1480);
    assert_int_equal(h.prefix_n, 2);
    assert_addr(&h.prefixes[1].prefix, "2001:db8:2::");
    assert_int_equal(h.prefixes[1].len_bits, 48);
    assert_false(h.prefixes[1].is_on_link);
    assert_true(h.prefixes[1].is_autonomous);
    assert_int_equal(h.prefixes[1].valid_s, 7200);
}

static void test_nd_parse_cut_off_is_dropped(void **state)
{
    (void)state;
    const struct wi_nd messages[] = {solicit(), advert(), router()};

    for (size_t i = 0; i < WI_ARRAY_LEN(messages); i++) {
        uint8_t p[WI_ND_LEN_MAX];
        struct wi_ip ip = from_link();
        struct wi_nd h;
        size_t fixed = messages[i].type == WI_ND_ROUTER_ADVERT ? 16 : 24;
        size_t full = wi_nd_put(p, &messages[i]);
        for (size_t len = 0; len < full; len++) {
            enum weir_drop why = parse_exact(&h, &ip, p, len);
            assert_int_equal(why, len < fixed              ? WEIR_DROP_ND_SHORT
                                  : (len - fixed) % 8 == 0 ? why
                                                           : WEIR_DROP_ND_OPTION);
        }
    }
}

/* RFC 4861 6.1, 7.1, RFC 6980 5
 * Rows: 4861-1 4861-2 */
static void test_nd_parse_common_checks_name_reason(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX];
    struct wi_nd in = solicit(), h;
    struct wi_ip ip = from_link();
    size_t len = wi_nd_put(p, &in);

    ip.ttl = 254;
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ND_HOP_LIMIT);
    ip.ttl = 255;
    ip.has_frag_hdr = true;
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ND_FRAGMENT);
    ip.has_frag_hdr = false;
    p[1] = 1;
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ND_CODE);
    p[1] = 0;
    p[25] = 0; /* the option's length */
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ND_OPTION);
    p[25] = 2;
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ND_OPTION);
    p[0] = 137;
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ICMP_REDIRECT);
    p[0] = 138;
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ICMP_TYPE);
    p[0] = 132;
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_ICMP_TYPE);
}

static void test_nd_parse_long_link_address_is_dropped(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX] = {0};
    struct wi_nd in = solicit(), h;
    struct wi_ip ip = from_link();

    wi_nd_put(p, &in);
    p[25] = 2;
    assert_int_equal(wi_nd_parse(&h, &ip, p, 40), WEIR_DROP_ND_OPTION);
}

/* RFC 4861 9, 4.6: others' options and unknown ones are skipped
 * Rows: 4861-2 */
static void test_nd_parse_foreign_options_are_skipped(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX] = {0};
    struct wi_nd in = solicit(), h;
    struct wi_ip ip = from_link();

    in.has_ll = false;
    size_t len = wi_nd_put(p, &in);
    static const uint8_t kinds[] = {2, 3, 5, 14, 250};
    for (size_t i = 0; i < sizeof(kinds); i++, len += 8) {
        p[len] = kinds[i];
        p[len + 1] = 1;
    }
    assert_int_equal(wi_nd_parse(&h, &ip, p, len), WEIR_DROP_NONE);
    assert_false(h.has_ll);
    assert_int_equal(h.mtu, 0);
    assert_int_equal(h.prefix_n, 0);
}

/* RFC 4861 7.1.1
 * Rows: 4861-4 */
static void test_nd_parse_probe_is_checked(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX];
    struct wi_nd in = solicit(), h;
    struct wi_ip ip = from_link();

    ip.src = addr("::");
    ip.dst = wi_nd_solicited_node(&in.target);
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_ND_OPTION);
    in.has_ll = false;
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_NONE);
    ip.dst = addr("2001:db8::9");
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_ND_DST);
}

/* Rows: 4861-4 4861-5 */
static void test_nd_parse_multicast_target_is_dropped(void **state)
{
    (void)state;
    struct wi_nd messages[] = {solicit(), advert()};

    for (size_t i = 0; i < 2; i++) {
        uint8_t p[WI_ND_LEN_MAX];
        struct wi_nd h;
        struct wi_ip ip = from_link();
        messages[i].target = addr("ff02::1");
        assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &messages[i])), WEIR_DROP_ND_TARGET);
    }
}

/* RFC 4861 7.1.2: solicited and to a group can't both be
 * Rows: 4861-5 */
static void test_nd_parse_solicited_advert_to_group_is_dropped(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX];
    struct wi_nd in = advert(), h;
    struct wi_ip ip = from_link();

    ip.dst = addr("ff02::1");
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_ND_DST);
    in.is_solicited = false;
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_NONE);
}

/* RFC 4861 6.1.2, 6.1.1 */
static void test_nd_parse_router_messages_check_source(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX];
    struct wi_nd in = router(), h;
    struct wi_ip ip = from_link();

    ip.src = addr("2001:db8::1");
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_ND_SRC);
    in = (struct wi_nd){.type = WI_ND_ROUTER_SOLICIT, .has_ll = true};
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_NONE);
    ip.src = addr("::");
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_ND_OPTION);
}

static void test_nd_parse_unusable_prefix_is_skipped(void **state)
{
    (void)state;
    uint8_t p[WI_ND_LEN_MAX + 64];
    struct wi_nd in = router(), h;
    struct wi_ip ip = from_link();

    in.has_ll = false;
    in.mtu = 0;
    in.prefixes[0].len_bits = 129;
    assert_int_equal(wi_nd_parse(&h, &ip, p, wi_nd_put(p, &in)), WEIR_DROP_NONE);
    assert_int_equal(h.prefix_n, 1);
    in.prefix_n = WI_ND_PREFIX_MAX;
    size_t len = wi_nd_put(p, &in);
    memmove(p + len, p + len - 32, 32); /* one more than there is room for, and none of them a problem */
    memmove(p + len + 32, p + len, 32);
    assert_int_equal(wi_nd_parse(&h, &ip, p, len + 64), WEIR_DROP_NONE);
    assert_int_equal(h.prefix_n, WI_ND_PREFIX_MAX);
}

/* RFC 4291 2.7.1's own example */
static void test_nd_solicited_node_keeps_low_24_bits(void **state)
{
    (void)state;
    struct weir_addr a = addr("4037::1:800:200e:8c6c");
    struct weir_addr g = wi_nd_solicited_node(&a);

    assert_addr(&g, "ff02::1:ff0e:8c6c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nd_put_every_type_is_parsed_back),
        cmocka_unit_test(test_nd_parse_router_advert_gives_fields),
        cmocka_unit_test(test_nd_parse_cut_off_is_dropped),
        cmocka_unit_test(test_nd_parse_common_checks_name_reason),
        cmocka_unit_test(test_nd_parse_long_link_address_is_dropped),
        cmocka_unit_test(test_nd_parse_foreign_options_are_skipped),
        cmocka_unit_test(test_nd_parse_probe_is_checked),
        cmocka_unit_test(test_nd_parse_multicast_target_is_dropped),
        cmocka_unit_test(test_nd_parse_solicited_advert_to_group_is_dropped),
        cmocka_unit_test(test_nd_parse_router_messages_check_source),
        cmocka_unit_test(test_nd_parse_unusable_prefix_is_skipped),
        cmocka_unit_test(test_nd_solicited_node_keeps_low_24_bits),
    };

    return cmocka_run_group_tests_name("wire-nd", tests, NULL, NULL);
}
