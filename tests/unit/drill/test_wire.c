/* Packets into bytes and back, the numbers of a connection, and what counts as a difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "drill/compare.h"
#include "drill/flow.h"
#include "drill/parse.h"
#include "drill/print.h"

static struct wdr_ends ends_of(const char *src, const char *dst)
{
    struct wdr_ends e = {.src = {.port = 4000}, .dst = {.port = 80}};
    assert_int_equal(weir_addr_parse(&e.src.addr, src), 0);
    assert_int_equal(weir_addr_parse(&e.dst.addr, dst), 0);
    return e;
}

static struct wdr_packet packet(const char *text)
{
    struct wdr_error error;
    char line[512];
    snprintf(line, sizeof line, "0 %s", text);
    struct wdr_script *s = wdr_parse("test", line, strlen(line), NULL, &error);
    if (!s)
        fail_msg("%s: %s", text, error.text);
    struct wdr_packet p = *s->events->packet;
    wdr_script_free(s); /* names of ICMP types are the table's own or gone: those tests keep their script */
    return p;
}

static void expect_back(const char *text, const struct wdr_ends *ends)
{
    uint8_t buf[WDR_PACKET_MAX];
    char printed[WDR_PACKET_TEXT_CAP];
    const char *why = "";
    struct wdr_sent got;
    struct wdr_packet p = packet(text);
    size_t len = wdr_wire_write(buf, &p, ends, NULL);
    assert_true(len > 0);
    if (!wdr_wire_read(&got, buf, len, 5, &why))
        fail_msg("%s: %s", text, why);
    got.p.dir = p.dir;
    assert_string_equal(wdr_print_packet(&got.p, &p, printed, sizeof printed), text);
    assert_false(got.has_payload_noise);
    assert_true(weir_addr_equal(&got.ends.src.addr, &ends->src.addr));
    buf[len - 1] ^= 1; /* whatever that is, a checksum covers it */
    assert_false(wdr_wire_read(&got, buf, len, 5, &why));
}

static void test_wire_what_was_written_is_read(void **state)
{
    (void)state;
    const struct wdr_ends v4 = ends_of("192.0.2.1", "192.168.0.1"), v6 = ends_of("2001:db8::1", "2001:db8::2");
    for (int i = 0; i < 2; i++) {
        const struct wdr_ends *e = i ? &v6 : &v4;
        expect_back("< [ect0, ttl 7] SE 5:5(0) win 9 <mss 1460,sackOK,TS val 1 ecr 2,nop,wscale 7>", e);
        expect_back("< [tos 0x12] P. 1:1001(1000) ack 7 win 257 <nop,nop,sack 1:2 3:4>", e);
        expect_back("< UA. 1:65001(65000) ack 7 win 257 urg 6", e);
        expect_back("< S 0:0(0) win 1 <FO a1b2c3d4,eol,eol>", e);
        expect_back("< udp (77)", e);
    }
}

static void test_wire_malformed_is_refused(void **state)
{
    (void)state;
    const struct wdr_ends e = ends_of("192.0.2.1", "192.168.0.1");
    struct wdr_packet p = packet("< S 0:0(0) win 1 <mss 1460>");
    uint8_t buf[WDR_PACKET_MAX];
    struct wdr_sent got;
    const char *why;
    size_t len = wdr_wire_write(buf, &p, &e, NULL);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(wdr_wire_read(&got, buf, cut, 0, &why));
    assert_true(wdr_wire_read(&got, buf, len, 0, &why));
}

static void test_flow_numbers_go_there_and_back(void **state)
{
    (void)state;
    struct wdr_flow f = {0};
    struct wdr_packet want = packet("> S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1000 ecr 100,nop,wscale 7>");
    struct wdr_packet live = want, in;
    live.seq = 4000000000u;
    live.opts[2].a = 77777;
    wdr_flow_to_script(&f, &live, &want);
    assert_int_equal(live.seq, 0);
    assert_int_equal(live.opts[2].a, 1000);

    in = packet("< . 1:1(0) ack 1 win 257 <nop,nop,TS val 200 ecr 1000,nop,nop,sack 1001:2001>");
    wdr_flow_to_wire(&f, &in);
    assert_int_equal(in.seq, 1);
    assert_int_equal(in.ack, 4000000001u);
    assert_int_equal(in.opts[2].b, 77777);
    assert_int_equal(in.opts[5].sack[0].lo, 4000001001u);

    in = packet("< . 1:1(0) ack 1 win 257 <nop,nop,TS val 200 ecr 1010>"); /* a stamp that was never seen */
    wdr_flow_to_wire(&f, &in);
    assert_int_equal(in.opts[2].b, 77787);
}

static void test_flow_new_handshake_new_numbers(void **state)
{
    (void)state;
    struct wdr_flow f = {0};
    struct wdr_packet want = packet("> S. 0:0(0) ack 1"), live = want;
    live.seq = 100;
    wdr_flow_to_script(&f, &live, &want);
    live.seq = 900; /* no new SYN came: that is a difference */
    wdr_flow_to_script(&f, &live, &want);
    assert_int_equal(live.seq, 800);
    wdr_flow_renew(&f);
    live.seq = 900;
    wdr_flow_to_script(&f, &live, &want);
    assert_int_equal(live.seq, 0);
}

static void expect_difference(const char *want, const char *got, const char *what)
{
    char why[160];
    struct wdr_packet a = packet(want), b = packet(got);
    bool same = wdr_compare(&a, &b, why, sizeof why);
    assert_int_equal(same, what == NULL);
    assert_string_equal(why, what ? what : "");
}

static void test_compare_names_what_differs(void **state)
{
    (void)state;
    const char *base = "> [ect0, ttl 64] P. 1:11(10) ack 5 win 9 <nop,nop,TS val 1 ecr 2>";
    expect_difference(base, base, NULL);
    expect_difference("> P. 1:11(10) ack 5 <...>", base, NULL);
    expect_difference("> P. 1:11(10) ack 5", base, "options");
    expect_difference("> [ect01] P. 1:11(10) ack 5 <...>", base, NULL);
    expect_difference("> [ect1, ttl 63] P. 1:11(10) ack 5 <...>", base, "ECN, ttl");
    expect_difference("> . 2:13(11) ack 6 win 8 <...>", base, "flags, sequence number, length, ack, win");
    expect_difference("> P. 1:11(10) ack 5 <nop,nop,TS val 1 ecr 3>", base, "options");
    expect_difference("> P. 1:11(10) ack 5 <TS val 1 ecr 2,nop,nop>", base, "options");
    expect_difference("> udp (10)", base, "protocol");
    expect_difference("> udp (10)", "> udp (11)", "length");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_what_was_written_is_read),  cmocka_unit_test(test_wire_malformed_is_refused),
        cmocka_unit_test(test_flow_numbers_go_there_and_back), cmocka_unit_test(test_flow_new_handshake_new_numbers),
        cmocka_unit_test(test_compare_names_what_differs),
    };
    return cmocka_run_group_tests_name("drill/wire", tests, NULL, NULL);
}
