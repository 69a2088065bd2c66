/* The TCP header and its options: wire/tcp.h. */
#include "wire_test.h"

#include "wire/tcp.h"

/* A segment of 20 bytes of header, these options, and data. Returns its length. */
static size_t build(uint8_t *p, uint16_t flags, const uint8_t *opts, size_t opt_len, size_t data_len)
{
    size_t hdr_len = WI_TCP_HDR_MIN + (opt_len + 3) / 4 * 4;

    memset(p, 0, hdr_len + data_len);
    wi_put16(p, 8080);
    wi_put16(p + 2, 80);
    wi_put32(p + 4, 0xfffffff0);
    wi_put32(p + 8, 0x01020304);
    wi_put16(p + 12, (uint16_t)(hdr_len / 4 << 12 | flags));
    wi_put16(p + 14, 0xfffe);
    wi_put16(p + 18, 7);
    if (opt_len)
        memcpy(p + WI_TCP_HDR_MIN, opts, opt_len);
    return hdr_len + data_len;
}

static enum weir_drop parse_exact(struct wi_wire_tcp *h, const uint8_t *bytes, size_t len)
{
    uint8_t *p = exact_copy(bytes, len);
    enum weir_drop why = wi_wire_tcp_parse(h, p, len, len);

    free(p);
    return why;
}

static struct wi_wire_tcp parsed(uint16_t flags, const uint8_t *opts, size_t opt_len)
{
    uint8_t p[WI_TCP_HDR_MAX];
    struct wi_wire_tcp h;
    size_t len = build(p, flags, opts, opt_len, 0);

    assert_int_equal(parse_exact(&h, p, len), WEIR_DROP_NONE);
    return h;
}

#define PARSED(flags, ...) parsed(flags, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Rows: 9293-S24 */
static void test_tcp_parse_segment_gives_fields(void **state)
{
    (void)state;
    uint8_t p[200];
    struct wi_wire_tcp h;
    size_t len = build(p, 0xf1ff, NULL, 0, 100); /* reserved bits set as well */

    assert_int_equal(p[12] >> 4, 0xf);
    p[12] = 0x5f;
    assert_int_equal(parse_exact(&h, p, len), WEIR_DROP_NONE);
    assert_int_equal(h.src_port, 8080);
    assert_int_equal(h.dst_port, 80);
    assert_int_equal(h.seq.v, 0xfffffff0);
    assert_int_equal(h.ack.v, 0x01020304);
    assert_int_equal(h.flags, 0x1ff);
    assert_true(h.flags & WI_TH_AE);
    assert_int_equal(h.wnd, 0xfffe);
    assert_int_equal(h.urg, 7);
    assert_int_equal(h.hdr_len, 20);
    assert_int_equal(h.opt_len, 0);
    assert_int_equal(h.data_off, 20);
    assert_int_equal(h.data_len, 100);
    assert_int_equal(wi_wire_tcp_seg_len(&h), 102); /* SYN and FIN take one each: RFC 9293 3.4 */
}

/* Rows: attack-infra-halt attack-nucleus-13 */
static void test_tcp_parse_cut_off_is_dropped(void **state)
{
    (void)state;
    uint8_t p[100];
    const uint8_t opts[12] = {1, 1, 8, 10};
    struct wi_wire_tcp h;

    build(p, WI_TH_ACK, opts, sizeof(opts), 0);
    for (size_t len = 0; len < 32; len++)
        assert_int_equal(parse_exact(&h, p, len), len < 20 ? WEIR_DROP_TCP_SHORT : WEIR_DROP_TCP_OFFSET);
}

/* Rows: 9293-S24 attack-data-offset-and-length-lies */
static void test_tcp_parse_offset_below_five_is_dropped(void **state)
{
    (void)state;
    uint8_t p[40];
    struct wi_wire_tcp h = {.wnd = 77};
    size_t len = build(p, WI_TH_ACK, NULL, 0, 20);

    for (uint8_t off = 0; off < 5; off++) {
        p[12] = (uint8_t)(off << 4);
        assert_int_equal(parse_exact(&h, p, len), WEIR_DROP_TCP_OFFSET);
    }
    assert_int_equal(h.wnd, 77); /* nothing half applied */
}

static void test_tcp_parse_linear_header_suffices(void **state)
{
    (void)state;
    uint8_t p[20];
    struct wi_wire_tcp h;

    build(p, WI_TH_ACK, NULL, 0, 0);
    assert_int_equal(wi_wire_tcp_parse(&h, p, 20, 65000), WEIR_DROP_NONE);
    assert_int_equal(h.data_len, 64980);
    p[12] = 0x60;
    assert_int_equal(wi_wire_tcp_parse(&h, p, 20, 65000), WEIR_DROP_TCP_OFFSET);
}

static void test_tcp_parse_syn_options_are_read(void **state)
{
    (void)state;
    struct wi_wire_tcp h = PARSED(WI_TH_SYN, 2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 8);

    assert_int_equal(h.mss, 1460);
    assert_true(h.sack_ok && h.has_ts && h.has_wscale);
    assert_int_equal(h.tsval, 1);
    assert_int_equal(h.tsecr, 2);
    assert_int_equal(h.wscale, 8);
    assert_int_equal(h.opt_len, 20);
}

/* As Linux: what belongs to a SYN means nothing elsewhere. Rows: 7323-3 */
static void test_tcp_parse_syn_options_without_syn_are_ignored(void **state)
{
    (void)state;
    struct wi_wire_tcp h = PARSED(WI_TH_ACK, 2, 4, 0x05, 0xb4, 4, 2, 3, 3, 8, 34, 2, 0);

    assert_int_equal(h.mss, 0);
    assert_false(h.sack_ok || h.has_wscale || h.has_fo);
}

/* RFC 7323 2.3: MUST use 14 Rows: 7323-5 */
static void test_tcp_parse_wscale_above_14_is_14(void **state)
{
    (void)state;
    assert_int_equal(PARSED(WI_TH_SYN, 3, 3, 15).wscale, 14);
    assert_int_equal(PARSED(WI_TH_SYN, 3, 3, 255).wscale, 14);
    assert_int_equal(PARSED(WI_TH_SYN, 3, 3, 14).wscale, 14);
}

static void test_tcp_parse_wrong_option_length_is_skipped(void **state)
{
    (void)state;
    struct wi_wire_tcp h =
        PARSED(WI_TH_SYN, 2, 3, 5, 3, 2, 4, 3, 0, 8, 9, 0, 0, 0, 0, 0, 0, 0, 5, 3, 0, 19, 3, 0, 29, 3, 0, 2, 4, 2, 0);

    assert_int_equal(h.mss, 512); /* the well-formed one that follows still counts */
    assert_false(h.has_wscale || h.sack_ok || h.has_ts || h.has_md5 || h.has_ao);
    assert_int_equal(h.sack_n, 0);
}

/* Rows: MUST-7 attack-amnesia-33-tcp-options-loop attack-freertos-tcp-set */
static void test_tcp_parse_illegal_option_length_ends_reading(void **state)
{
    (void)state;
    static const uint8_t bad[][4] = {{99, 0}, {99, 1}, {99, 40}};

    for (size_t i = 0; i < WI_ARRAY_LEN(bad); i++) {
        struct wi_wire_tcp h = PARSED(WI_TH_SYN, 2, 4, 2, 0, bad[i][0], bad[i][1], 1, 1, 4, 2, 1, 1);
        assert_int_equal(h.mss, 512);
        assert_false(h.sack_ok);
    }
    struct wi_wire_tcp h = PARSED(WI_TH_SYN, 2, 4, 2, 0, 1, 1, 1, 3); /* a kind, and no byte for its length */
    assert_int_equal(h.mss, 512);
    assert_false(h.has_wscale);
    h = PARSED(WI_TH_ACK, 1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2); /* more blocks than there is room for */
    assert_int_equal(h.sack_n, 0);
}

/* Rows: MUST-4 MUST-69 */
static void test_tcp_parse_after_eol_nothing_counts(void **state)
{
    (void)state;
    struct wi_wire_tcp h = PARSED(WI_TH_SYN, 4, 2, 0, 0, 2, 4, 2, 0);

    assert_true(h.sack_ok);
    assert_int_equal(h.mss, 0);
}

/* Unknown options have a length and are skipped by it. Rows: MUST-6 */
static void test_tcp_parse_unknown_option_is_skipped(void **state)
{
    (void)state;
    assert_int_equal(PARSED(WI_TH_SYN, 77, 5, 9, 9, 9, 2, 4, 2, 0).mss, 512);
}

static void test_tcp_parse_duplicate_option_last_wins(void **state)
{
    (void)state;
    struct wi_wire_tcp h = PARSED(WI_TH_SYN, 2, 4, 2, 0, 2, 4, 4, 0, 3, 3, 1, 3, 3, 2);

    assert_int_equal(h.mss, 1024);
    assert_int_equal(h.wscale, 2);

    h = PARSED(WI_TH_ACK, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 5, 10, 0, 0, 0, 5, 0, 0, 0, 6);
    assert_int_equal(h.sack_n, 1);
    assert_int_equal(h.sacks[0].lo.v, 5);
    assert_int_equal(h.sacks[1].lo.v, 0); /* nothing of the first option stays */
}

static void test_tcp_parse_aligned_timestamps_are_read(void **state)
{
    (void)state;
    struct wi_wire_tcp h = PARSED(WI_TH_ACK, 1, 1, 8, 10, 0xff, 0, 0, 1, 0, 0, 0, 9);

    assert_true(h.has_ts);
    assert_int_equal(h.tsval, 0xff000001);
    assert_int_equal(h.tsecr, 9);
}

static void test_tcp_parse_sack_blocks_are_read(void **state)
{
    (void)state;
    for (uint8_t n = 1; n <= WI_TCP_SACK_MAX; n++) {
        uint8_t opts[40] = {1, 1, 5, (uint8_t)(2 + 8 * n)};
        for (size_t i = 0; i < 2u * n; i++)
            wi_put32(opts + 4 + 4 * i, (uint32_t)(1000 * i));
        struct wi_wire_tcp h = parsed(WI_TH_ACK, opts, 4 + 8u * n);
        assert_int_equal(h.sack_n, n);
        assert_int_equal(h.sacks[n - 1].lo.v, 2000 * (n - 1));
        assert_int_equal(h.sacks[n - 1].hi.v, 2000 * (n - 1) + 1000);
    }
}

static void test_tcp_parse_sack_without_blocks_is_ignored(void **state)
{
    (void)state;
    assert_int_equal(PARSED(WI_TH_ACK, 5, 2, 1, 1).sack_n, 0);
    assert_int_equal(PARSED(WI_TH_ACK, 5, 9, 0, 0, 0, 0, 0, 0, 0).sack_n, 0);
}

/* RFC 7413 4.1.1; RFC 6994 for the experimental form */
static void test_tcp_parse_fast_open_forms(void **state)
{
    (void)state;
    struct wi_wire_tcp h = PARSED(WI_TH_SYN, 34, 2);
    assert_true(h.has_fo && !h.fo_exp);
    assert_int_equal(h.fo_len, 0);

    h = PARSED(WI_TH_SYN, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8);
    assert_int_equal(h.fo_len, 8);
    assert_int_equal(h.fo_cookie[7], 8);

    h = PARSED(WI_TH_SYN, 254, 8, 0xf9, 0x89, 1, 2, 3, 4);
    assert_true(h.has_fo && h.fo_exp);
    assert_int_equal(h.fo_len, 4);
    assert_false(PARSED(WI_TH_SYN, 254, 8, 0xf9, 0x88, 1, 2, 3, 4).has_fo); /* somebody else's experiment */
    assert_false(PARSED(WI_TH_SYN, 254, 3, 0xf9).has_fo);

    assert_false(PARSED(WI_TH_SYN, 34, 4, 1, 2).has_fo);          /* too short */
    assert_false(PARSED(WI_TH_SYN, 34, 7, 1, 2, 3, 4, 5).has_fo); /* odd */
    uint8_t long_cookie[20] = {34, 20};
    assert_false(parsed(WI_TH_SYN, long_cookie, 20).has_fo); /* too long */
}

/* RFC 9768 3.2.3: zero to three counters, and the option's order is kept */
static void test_tcp_parse_accecn_counters_are_read(void **state)
{
    (void)state;
    struct wi_wire_tcp h = PARSED(WI_TH_ACK, 172, 11, 0, 0, 1, 0, 0, 2, 0xff, 0, 3);
    assert_int_equal(h.accecn_kind, WI_TCPOPT_ACCECN0);
    assert_int_equal(h.accecn_n, 3);
    assert_int_equal(h.accecn[0], 1);
    assert_int_equal(h.accecn[1], 2);
    assert_int_equal(h.accecn[2], 0xff0003);

    h = PARSED(WI_TH_ACK, 174, 5, 0, 1, 0);
    assert_int_equal(h.accecn_kind, WI_TCPOPT_ACCECN1);
    assert_int_equal(h.accecn_n, 1);
    assert_int_equal(h.accecn[0], 0x100);
    assert_int_equal(PARSED(WI_TH_ACK, 174, 2).accecn_n, 0);
    assert_int_equal(PARSED(WI_TH_ACK, 174, 2).accecn_kind, WI_TCPOPT_ACCECN1);
}

static void test_tcp_parse_authentication_options_are_noticed(void **state)
{
    (void)state;
    const uint8_t md5[18] = {19, 18}, ao[16] = {29, 16};

    assert_true(parsed(WI_TH_ACK, md5, sizeof(md5)).has_md5);
    assert_true(parsed(WI_TH_ACK, ao, sizeof(ao)).has_ao);
}

/* Each layout as Linux writes it. */
struct layout {
    struct wi_wire_tcp h;
    size_t len;
    uint8_t opts[40];
};

static void assert_layout(const struct layout *l)
{
    uint8_t p[WI_TCP_HDR_MAX];
    struct wi_wire_tcp h;

    assert_int_equal(wi_wire_tcp_hdr_len(&l->h), 20 + l->len);
    assert_int_equal(wi_wire_tcp_put(p, sizeof(p), &l->h), 20 + l->len);
    assert_int_equal(p[12] & 0x0e, 0); /* reserved: 9293-S24 */
    assert_memory_equal(p + 20, l->opts, l->len);
    assert_int_equal(parse_exact(&h, p, 20 + l->len), WEIR_DROP_NONE);
    assert_int_equal(h.mss, l->h.mss);
    assert_int_equal(h.sack_ok, l->h.sack_ok);
    assert_int_equal(h.has_wscale, l->h.has_wscale);
    assert_int_equal(h.wscale, l->h.wscale);
    assert_int_equal(h.has_ts, l->h.has_ts);
    assert_int_equal(h.sack_n, l->h.sack_n);
    assert_memory_equal(h.sacks, l->h.sacks, sizeof(h.sacks));
    assert_int_equal(h.has_fo, l->h.has_fo);
    assert_memory_equal(h.fo_cookie, l->h.fo_cookie, sizeof(h.fo_cookie));
    assert_int_equal(h.accecn_kind, l->h.accecn_kind);
    assert_int_equal(h.accecn_n, l->h.accecn_n);
    assert_memory_equal(h.accecn, l->h.accecn, sizeof(h.accecn));
}

#define SYN_BASE .flags = WI_TH_SYN, .mss = 1460
#define TS       .has_ts = true, .tsval = 1, .tsecr = 2
#define TS_BYTES 8, 10, 0, 0, 0, 1, 0, 0, 0, 2
#define WSCALE   .has_wscale = true, .wscale = 8

/* Rows: MUST-68 MUST-69 */
static void test_tcp_put_syn_layouts_are_linux(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {{.flags = WI_TH_SYN}, 0, {0}},
        {{SYN_BASE}, 4, {2, 4, 5, 0xb4}},
        {{SYN_BASE, .sack_ok = true, TS, WSCALE}, 20, {2, 4, 5, 0xb4, 4, 2, TS_BYTES, 1, 3, 3, 8}},
        {{SYN_BASE, .sack_ok = true, WSCALE}, 12, {2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 8}},
        {{SYN_BASE, TS, WSCALE}, 20, {2, 4, 5, 0xb4, 1, 1, TS_BYTES, 1, 3, 3, 8}},
        {{SYN_BASE, WSCALE}, 8, {2, 4, 5, 0xb4, 1, 3, 3, 8}},
        {{SYN_BASE, .sack_ok = true, TS}, 16, {2, 4, 5, 0xb4, 4, 2, TS_BYTES}},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(layouts); i++)
        assert_layout(&layouts[i]);
}

/* Rows: 9293-S24 */
static void test_tcp_put_data_layouts_are_linux(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {{.flags = WI_TH_ACK, TS}, 12, {1, 1, TS_BYTES}},
        {{.flags = WI_TH_ACK, .sack_n = 1, .sacks = {{{1}, {2}}}}, 12, {1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}},
        {{.flags = WI_TH_ACK, TS, .sack_n = 2, .sacks = {{{1}, {2}}, {{3}, {4}}}},
         32,
         {1, 1, TS_BYTES, 1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4}},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(layouts); i++)
        assert_layout(&layouts[i]);
}

static void test_tcp_put_fast_open_layouts_are_linux(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {{SYN_BASE, .has_fo = true}, 8, {2, 4, 5, 0xb4, 34, 2, 1, 1}},
        {{SYN_BASE, .has_fo = true, .fo_len = 4, .fo_cookie = {6, 7, 8, 9}},
         12,
         {2, 4, 5, 0xb4, 34, 6, 6, 7, 8, 9, 1, 1}},
        {{SYN_BASE, .has_fo = true, .fo_len = 6, .fo_cookie = {6, 7, 8, 9, 10, 11}},
         12,
         {2, 4, 5, 0xb4, 34, 8, 6, 7, 8, 9, 10, 11}},
        {{SYN_BASE, .has_fo = true, .fo_exp = true}, 8, {2, 4, 5, 0xb4, 254, 4, 0xf9, 0x89}},
        {{SYN_BASE, .has_fo = true, .fo_exp = true, .fo_len = 4, .fo_cookie = {6, 7, 8, 9}},
         12,
         {2, 4, 5, 0xb4, 254, 8, 0xf9, 0x89, 6, 7, 8, 9}},
        {{SYN_BASE, .sack_ok = true, TS, WSCALE, .has_fo = true, .fo_len = 8, .fo_cookie = {1, 2, 3, 4, 5, 6, 7, 8}},
         32,
         {2, 4, 5, 0xb4, 4, 2, TS_BYTES, 1, 3, 3, 8, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1}},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(layouts); i++)
        assert_layout(&layouts[i]);
}

/* The option's odd bytes stand where NOPs would. */
static void test_tcp_put_accecn_layouts_are_linux(void **state)
{
    (void)state;
#define ACCECN(n) .accecn_kind = 174, .accecn_n = n
    static const struct layout layouts[] = {
        {{.flags = WI_TH_ACK, TS, ACCECN(3), .accecn = {1, 0x020304, 5}},
         24,
         {1, 1, TS_BYTES, 174, 11, 0, 0, 1, 2, 3, 4, 0, 0, 5, 1}},
        {{.flags = WI_TH_ACK, TS, ACCECN(2), .accecn = {1, 0x020304}}, 20, {1, 1, TS_BYTES, 174, 8, 0, 0, 1, 2, 3, 4}},
        {{.flags = WI_TH_ACK, TS, ACCECN(1), .accecn = {0x010203}}, 20, {1, 1, TS_BYTES, 174, 5, 1, 2, 3, 1, 1, 1}},
        {{.flags = WI_TH_ACK, TS, ACCECN(1), .accecn = {1}},
         20,
         {1, 1, TS_BYTES, 174, 5, 0, 0, 1, 1, 1, 1}}, /* looks like a NOP */
        {{.flags = WI_TH_ACK, TS, ACCECN(0)}, 16, {1, 1, TS_BYTES, 174, 2, 1, 1}},
        {{.flags = WI_TH_ACK, ACCECN(0), .sack_n = 1}, 12, {174, 2, 5, 10}},
        {{.flags = WI_TH_ACK, ACCECN(1), .sack_n = 1}, 16, {174, 5, 0, 0, 0, 1, 5, 10}},
        {{SYN_BASE, .sack_ok = true, TS, WSCALE, ACCECN(0)},
         24,
         {2, 4, 5, 0xb4, 4, 2, TS_BYTES, 1, 3, 3, 8, 174, 2, 1, 1}},
        {{SYN_BASE, .sack_ok = true, TS, WSCALE, ACCECN(1)},
         24,
         {2, 4, 5, 0xb4, 4, 2, TS_BYTES, 174, 5, 0, 0, 0, 3, 3, 8}},
        {{SYN_BASE, .sack_ok = true, WSCALE, ACCECN(0)}, 12, {2, 4, 5, 0xb4, 174, 2, 4, 2, 1, 3, 3, 8}},
    };

    for (size_t i = 0; i < WI_ARRAY_LEN(layouts); i++)
        assert_layout(&layouts[i]);
}

static void test_tcp_put_header_fields_are_parsed_back(void **state)
{
    (void)state;
    uint8_t p[WI_TCP_HDR_MAX];
    struct wi_wire_tcp in = {.src_port = 1,
                             .dst_port = 65535,
                             .seq = {UINT32_MAX},
                             .ack = {7},
                             .flags = 0x1ff,
                             .wnd = 3,
                             .urg = 9,
                             .has_ts = true,
                             .tsval = 5};
    struct wi_wire_tcp h;

    memset(p, 0xee, sizeof(p));
    assert_int_equal(wi_wire_tcp_put(p, sizeof(p), &in), 32);
    assert_int_equal(wi_get16(p + WI_TCP_CSUM_OFF), 0);
    assert_int_equal(p[32], 0xee);
    assert_int_equal(parse_exact(&h, p, 32), WEIR_DROP_NONE);
    assert_int_equal(h.src_port, 1);
    assert_int_equal(h.dst_port, 65535);
    assert_int_equal(h.seq.v, UINT32_MAX);
    assert_int_equal(h.ack.v, 7);
    assert_int_equal(h.flags, 0x1ff);
    assert_int_equal(h.wnd, 3);
    assert_int_equal(h.urg, 9);
    assert_int_equal(h.tsval, 5);
}

static void test_tcp_put_too_long_writes_nothing(void **state)
{
    (void)state;
    uint8_t p[WI_TCP_HDR_MAX] = {0xee};
    struct wi_wire_tcp h = {.flags = WI_TH_ACK, .has_ts = true, .sack_n = 4};

    assert_int_equal(wi_wire_tcp_hdr_len(&h), 20 + 12 + 36);
    assert_int_equal(wi_wire_tcp_put(p, sizeof(p), &h), 0);
    h.sack_n = 3;
    assert_int_equal(wi_wire_tcp_put(p, WI_TCP_HDR_MAX - 1, &h), 0);
    assert_int_equal(p[0], 0xee);
    assert_int_equal(wi_wire_tcp_put(p, WI_TCP_HDR_MAX, &h), WI_TCP_HDR_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp_parse_segment_gives_fields),
        cmocka_unit_test(test_tcp_parse_cut_off_is_dropped),
        cmocka_unit_test(test_tcp_parse_offset_below_five_is_dropped),
        cmocka_unit_test(test_tcp_parse_linear_header_suffices),
        cmocka_unit_test(test_tcp_parse_syn_options_are_read),
        cmocka_unit_test(test_tcp_parse_syn_options_without_syn_are_ignored),
        cmocka_unit_test(test_tcp_parse_wscale_above_14_is_14),
        cmocka_unit_test(test_tcp_parse_wrong_option_length_is_skipped),
        cmocka_unit_test(test_tcp_parse_illegal_option_length_ends_reading),
        cmocka_unit_test(test_tcp_parse_after_eol_nothing_counts),
        cmocka_unit_test(test_tcp_parse_unknown_option_is_skipped),
        cmocka_unit_test(test_tcp_parse_duplicate_option_last_wins),
        cmocka_unit_test(test_tcp_parse_aligned_timestamps_are_read),
        cmocka_unit_test(test_tcp_parse_sack_blocks_are_read),
        cmocka_unit_test(test_tcp_parse_sack_without_blocks_is_ignored),
        cmocka_unit_test(test_tcp_parse_fast_open_forms),
        cmocka_unit_test(test_tcp_parse_accecn_counters_are_read),
        cmocka_unit_test(test_tcp_parse_authentication_options_are_noticed),
        cmocka_unit_test(test_tcp_put_syn_layouts_are_linux),
        cmocka_unit_test(test_tcp_put_data_layouts_are_linux),
        cmocka_unit_test(test_tcp_put_fast_open_layouts_are_linux),
        cmocka_unit_test(test_tcp_put_accecn_layouts_are_linux),
        cmocka_unit_test(test_tcp_put_header_fields_are_parsed_back),
        cmocka_unit_test(test_tcp_put_too_long_writes_nothing),
    };

    return cmocka_run_group_tests_name("wire-tcp", tests, NULL, NULL);
}
