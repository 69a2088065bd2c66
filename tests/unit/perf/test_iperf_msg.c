/* What comes over iperf3's control connection (perf/iperf_msg.h): the real thing, and what no iperf3 would send. */
#include "perf/iperf_msg.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- The frame ---- */

static int64_t frame(uint32_t says, size_t has, size_t max)
{
    static uint8_t buf[256];
    buf[0] = (uint8_t)(says >> 24);
    buf[1] = (uint8_t)(says >> 16);
    buf[2] = (uint8_t)(says >> 8);
    buf[3] = (uint8_t)says;
    return wpf_iperf_frame(buf, has, max);
}

static void test_frame_whole_or_not_yet(void **state)
{
    (void)state;
    assert_int_equal(frame(10, 14, 64), 14);
    assert_int_equal(frame(10, 20, 64), 14); /* what is behind it stays */
    assert_int_equal(frame(10, 13, 64), 0);
    assert_int_equal(frame(10, 4, 64), 0);
    assert_int_equal(frame(64, 68, 64), 68);
    for (size_t n = 0; n < 4; n++)
        assert_int_equal(frame(0xffffffff, n, 64), 0);
}

static void test_frame_hostile_length_is_refused_at_once(void **state)
{
    (void)state;
    assert_int_equal(frame(0, 4, 64), -EMSGSIZE);
    assert_int_equal(frame(65, 4, 64), -EMSGSIZE);
    assert_int_equal(frame(0x7fffffff, 4, 64), -EMSGSIZE);
    assert_int_equal(frame(0x80000000, 4, 64), -EMSGSIZE);
    assert_int_equal(frame(0xffffffff, 200, 64), -EMSGSIZE);
}

/* ---- Parameters ---- */

static int parse(const char *json, struct wpf_iperf_params *p, char *err, size_t cap)
{
    /* Bytes with nothing behind them, so that a read beyond is seen. */
    size_t len = strlen(json);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, json, len);
    int r = wpf_iperf_params_parse(p, copy, len, err, cap);
    free(copy);
    return r;
}

static struct wpf_iperf_params taken(const char *json)
{
    struct wpf_iperf_params p;
    char err[128] = "";
    if (parse(json, &p, err, sizeof err) != 0)
        fail_msg("refused %s: %s", json, err);
    return p;
}

static void assert_refused(const char *json, const char *says)
{
    struct wpf_iperf_params p = {.stream_n = 77};
    char err[128] = "";
    if (parse(json, &p, err, sizeof err) != -EPROTO)
        fail_msg("took %s", json);
    if (!strstr(err, says))
        fail_msg("%s: said \"%s\", not %s", json, err, says);
    assert_int_equal(p.stream_n, 77); /* left alone */
}

static void test_params_of_iperf3_are_read(void **state)
{
    (void)state;
    struct wpf_iperf_params p =
        taken("{\"tcp\":true,\"omit\":1,\"time\":2,\"num\":0,\"blockcount\":0,\"parallel\":2,\"bidirectional\":true,"
              "\"len\":131072,\"pacing_timer\":1000,\"congestion\":\"cubic\",\"client_version\":\"3.12\"}");
    assert_false(p.is_udp || p.is_reverse || p.is_nodelay);
    assert_true(p.is_bidir);
    assert_int_equal(p.omit_s, 1);
    assert_int_equal(p.time_s, 2);
    assert_int_equal(p.stream_n, 2);
    assert_int_equal(p.block_len, 131072);
    assert_string_equal(p.cc, "cubic");

    p = taken("{\"udp\":true,\"reverse\":true,\"nodelay\":true,\"num\":52428800,\"MSS\":1000,\"window\":65536,"
              "\"bandwidth\":100000000,\"fqrate\":5,\"TOS\":16}");
    assert_true(p.is_udp && p.is_reverse && p.is_nodelay);
    assert_int_equal(p.bytes, 52428800);
    assert_int_equal(p.mss, 1000);
    assert_int_equal(p.window_bytes, 65536);
    assert_int_equal(p.rate_bps, 100000000);
    assert_int_equal(p.pacing_bps, 5);
    assert_int_equal(p.tos, 16);
    assert_int_equal(p.stream_n, 1); /* what isn't said */
    assert_int_equal(p.block_len, WPF_IPERF_BLOCK);
}

static void test_params_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"parallel\":0}", "parallel");
    assert_refused("{\"parallel\":129}", "parallel");
    assert_refused("{\"parallel\":65,\"bidirectional\":true}", "parallel");
    assert_refused("{\"parallel\":-1}", "parallel");
    assert_refused("{\"parallel\":1e300}", "parallel");
    assert_refused("{\"len\":0}", "len");
    assert_refused("{\"len\":1048577}", "len");
    assert_refused("{\"time\":86401}", "time");
    assert_refused("{\"omit\":4294967296}", "omit");
    assert_refused("{\"num\":1e17}", "num");
    assert_refused("{\"num\":-5}", "num");
    assert_refused("{\"blockcount\":1e15}", "blockcount"); /* times a block it would not fit */
    assert_refused("{\"window\":4294967296}", "window");
    assert_refused("{\"TOS\":256}", "TOS");
}

static void test_params_of_wrong_kinds_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"parallel\":\"2\"}", "not a number");
    assert_refused("{\"len\":[131072]}", "not a number");
    assert_refused("{\"time\":null}", "not a number");
    assert_refused("{\"num\":true}", "not a number");
    assert_refused("{\"congestion\":7}", "congestion");
    assert_refused("{\"congestion\":\"a-name-that-is-far-too-long\"}", "congestion");
    assert_refused("{\"congestion\":\"../../x\"}", "congestion");
}

static void test_params_garbage_is_refused(void **state)
{
    (void)state;
    static char deep[16384];
    memset(deep, '[', sizeof deep - 1);
    assert_refused("", "no JSON");
    assert_refused("{", "no JSON");
    assert_refused("[]", "not a JSON object");
    assert_refused("7", "no JSON");
    assert_refused("\"tcp\"", "no JSON");
    assert_refused("{\"tcp\":true}x", "no JSON");
    assert_refused("{\"num\":1e999}", "no JSON");
    assert_refused("{\"time\":1,\"time\":2}", "no JSON");
    assert_refused("{\"title\":\"\xff\xfe\"}", "no JSON");
    assert_refused(deep, "no JSON");
}

static void test_params_that_we_write_are_those_that_we_read(void **state)
{
    (void)state;
    struct wpf_iperf_params p = {
        .is_reverse = true,
        .is_nodelay = true,
        .is_zerocopy = true,
        .omit_s = 3,
        .time_s = 4,
        .bytes = UINT64_C(1) << 50,
        .stream_n = 7,
        .block_len = 1 << 20,
        .mss = 1400,
        .window_bytes = WPF_IPERF_WINDOW_MAX,
        .rate_bps = 1000000,
        .pacing_bps = 2000000,
        .tos = 255,
        .cc = "bbr",
    };
    char *json = wpf_iperf_params_format(&p);
    assert_non_null(json);
    struct wpf_iperf_params q = taken(json);
    char *again = wpf_iperf_params_format(&q);
    assert_non_null(again);
    assert_string_equal(json, again);
    free(json);
    free(again);
    assert_true(q.is_reverse && q.is_nodelay && q.is_zerocopy && !q.is_udp);
    assert_int_equal(q.bytes, p.bytes);
    assert_int_equal(q.window_bytes, p.window_bytes);
    assert_int_equal(q.pacing_bps, p.pacing_bps);
}

/* ---- Results ---- */

static int results(const char *json, struct wpf_iperf_results *r)
{
    char err[128];
    return wpf_iperf_results_parse(r, json, strlen(json), err, sizeof err);
}

static void test_results_of_iperf3_are_read(void **state)
{
    (void)state;
    struct wpf_iperf_results r;
    /* Where nothing is known of retransmissions iperf3 writes -1 as 2^64 - 1. */
    assert_int_equal(
        results(
            "{\"cpu_util_total\":16.04,\"cpu_util_user\":0.94,\"cpu_util_system\":15.1,\"sender_has_retransmits\":1,"
            "\"congestion_used\":\"cubic\",\"streams\":[{\"id\":1,\"bytes\":732954624,"
            "\"retransmits\":18446744073709551615,\"jitter\":0,\"errors\":0,\"packets\":0,\"start_time\":0,"
            "\"end_time\":2.047713},{\"id\":4,\"bytes\":117964800,\"retransmits\":34,\"jitter\":0,\"errors\":0,"
            "\"packets\":0,\"start_time\":0,\"end_time\":2.047716}]}",
            &r),
        0);
    assert_int_equal(r.stream_n, 2);
    assert_int_equal(r.streams[0].id, 1);
    assert_int_equal(r.streams[0].bytes, 732954624);
    assert_int_equal(r.streams[0].retransmits, -1);
    assert_int_equal(r.streams[1].id, 4);
    assert_int_equal(r.streams[1].retransmits, 34);
    assert_float_equal(r.streams[1].seconds, 2.047716, 1e-9);
    assert_float_equal(r.cpu_total, 16.04, 1e-9);
    assert_string_equal(r.cc, "cubic");
    assert_int_equal(r.has_retransmits, 1);
}

static void test_results_garbage_is_refused(void **state)
{
    (void)state;
    static struct wpf_iperf_results r;
    static char many[8192];
    strcpy(many, "{\"streams\":[{}");
    for (int i = 0; i < WPF_IPERF_STREAMS_MAX; i++)
        strcat(many, ",{}");
    strcat(many, "]}");
    assert_int_equal(results(many, &r), -EPROTO);
    assert_int_equal(results("{}", &r), -EPROTO);
    assert_int_equal(results("{\"streams\":{}}", &r), -EPROTO);
    assert_int_equal(results("{\"streams\":7}", &r), -EPROTO);
    assert_int_equal(results("{\"streams\":[{\"bytes\":\"all\"}]}", &r), -EPROTO);
    assert_int_equal(results("{\"streams\":[{\"bytes\":-1}]}", &r), -EPROTO);
    assert_int_equal(results("{\"streams\":[{\"id\":1e9}]}", &r), -EPROTO);
    assert_int_equal(results("{\"streams\":[],\"cpu_util_total\":\"much\"}", &r), -EPROTO);
    assert_int_equal(results("\x04", &r), -EPROTO);
    assert_int_equal(results("{\"streams\":[7]}", &r), 0); /* a stream that tells nothing */
    assert_int_equal(r.streams[0].bytes, 0);
}

static void test_results_that_we_write_are_those_that_we_read(void **state)
{
    (void)state;
    struct wpf_iperf_results r = {.cpu_total = 3, .cpu_user = 1, .cpu_system = 2, .cc = "cubic", .stream_n = 2}, q;
    r.has_retransmits = 1;
    r.streams[0] = (struct wpf_iperf_stream_result){1, UINT64_C(1) << 40, 5, 1.5};
    r.streams[1] = (struct wpf_iperf_stream_result){3, 7, -1, 1.5};
    char *json = wpf_iperf_results_format(&r);
    assert_non_null(json);
    assert_int_equal(results(json, &q), 0);
    char *again = wpf_iperf_results_format(&q);
    assert_non_null(again);
    assert_string_equal(json, again);
    free(json);
    free(again);
    assert_int_equal(q.streams[0].bytes, UINT64_C(1) << 40);
    assert_int_equal(q.streams[1].retransmits, -1);
}

/* ---- The rest ---- */

static void test_stream_ids_skip_two(void **state)
{
    (void)state;
    assert_int_equal(wpf_iperf_stream_id(0), 1);
    assert_int_equal(wpf_iperf_stream_id(1), 3);
    assert_int_equal(wpf_iperf_stream_id(2), 4);
}

static void test_cookie_is_of_its_alphabet(void **state)
{
    (void)state;
    uint8_t random[WPF_IPERF_COOKIE_LEN - 1];
    char cookie[WPF_IPERF_COOKIE_LEN];
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(i * 37);
    wpf_iperf_cookie(cookie, random);
    assert_int_equal(strspn(cookie, "abcdefghijklmnopqrstuvwxyz234567"), WPF_IPERF_COOKIE_LEN - 1);
    assert_int_equal(cookie[WPF_IPERF_COOKIE_LEN - 1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_whole_or_not_yet),
        cmocka_unit_test(test_frame_hostile_length_is_refused_at_once),
        cmocka_unit_test(test_params_of_iperf3_are_read),
        cmocka_unit_test(test_params_out_of_range_are_refused),
        cmocka_unit_test(test_params_of_wrong_kinds_are_refused),
        cmocka_unit_test(test_params_garbage_is_refused),
        cmocka_unit_test(test_params_that_we_write_are_those_that_we_read),
        cmocka_unit_test(test_results_of_iperf3_are_read),
        cmocka_unit_test(test_results_garbage_is_refused),
        cmocka_unit_test(test_results_that_we_write_are_those_that_we_read),
        cmocka_unit_test(test_stream_ids_skip_two),
        cmocka_unit_test(test_cookie_is_of_its_alphabet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
