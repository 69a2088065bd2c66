/* Scripts as they are read: packets, options, times, calls, and errors with their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "drill/parse.h"
#include "drill/print.h"

static struct wdr_error error;

static struct wdr_script *read_script(const char *text)
{
    struct wdr_script *s = wdr_parse("test.pkt", text, strlen(text), NULL, &error);
    if (!s)
        fail_msg("%d:%d: %s", error.line, error.column, error.text);
    return s;
}

static void expect_error(const char *text, int line, const char *words)
{
    struct wdr_script *s = wdr_parse("test.pkt", text, strlen(text), NULL, &error);
    if (s)
        fail_msg("this should not be read: %s", text);
    assert_int_equal(error.line, line);
    if (!strstr(error.text, words))
        fail_msg("'%s' does not say '%s'", error.text, words);
}

/* What is written is read, and printed as it was. */
static void expect_same(const char *packet)
{
    char text[1024], printed[WDR_PACKET_TEXT_CAP];
    snprintf(text, sizeof text, "0 %s\n", packet);
    struct wdr_script *s = read_script(text);
    assert_string_equal(wdr_print_packet(s->events->packet, NULL, printed, sizeof printed), packet);
    wdr_script_free(s);
}

static void test_parse_packets_print_as_they_were(void **state)
{
    (void)state;
    expect_same("< S 0:0(0) win 32792 <mss 1460,sackOK,nop,nop,nop,wscale 7>");
    expect_same("> S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>");
    expect_same("< P. 1:1001(1000) ack 1 win 257 <nop,nop,sack 1:1001 2001:3001>");
    expect_same("< FPU. 1:1001(1000) ack 1 win 257 urg 3");
    expect_same("> [ect0] . 1:1(0) ack 1 <...>");
    expect_same("> [ce, tos 0x20, ttl 64] RA 1:1(0)");
    expect_same("< SEW 0:1000(1000) win 5 <FO a1b2c3d4e5f60718,nop,nop>");
    expect_same("< S 0:0(0) win 5 <FOEXP a1b2c3d4,nop,nop,nop,nop>");
    expect_same("> . 1:1(0) ack 1 <ECN e1b 1 ceb 0 e0b 255,nop>");
    expect_same("> 8080>5000 . 1:1(0) ack 1");
    expect_same("< S 0:0(0) win 5 <raw 4d04aabb>");
    expect_same("< - 1:2(1) win 5");
    expect_same("> udp (1000)");
    expect_same("< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]");
    expect_same("< icmp unreachable port_unreachable [udp (20)]");
    expect_same("< icmp packet_too_big mtu 1300 [1:1441(1440)]");
}

static void test_parse_times_of_all_kinds(void **state)
{
    (void)state;
    struct wdr_script *s = read_script("0.1 > udp (1)\n+.05 > udp (1)\n1~+0.2 > udp (1)\n");
    const struct wdr_event *e = s->events;
    assert_int_equal(e->time.kind, WDR_TIME_ABSOLUTE);
    assert_true(e->time.at == 100000000 && !e->time.is_range && !e->time.has_end);
    e = e->next;
    assert_int_equal(e->time.kind, WDR_TIME_RELATIVE);
    assert_true(e->time.at == 50000000);
    e = e->next;
    assert_true(e->time.is_range && e->time.until == 1200000000);
    wdr_script_free(s);
}

static void test_parse_range_and_blocking_times(void **state)
{
    (void)state;
    struct wdr_script *s =
        read_script("1~1.5 > udp (1)\n+.1~+.3 > udp (1)\n* > udp (1)\n+.1...0.25 read(3, ..., 1) = 1\n`true`");
    const struct wdr_event *e = s->events;
    assert_true(e->time.is_range && e->time.at == 1000000000 && e->time.until == 1500000000);
    e = e->next;
    assert_true(e->time.is_range && e->time.at == 100000000 && e->time.until == 300000000);
    e = e->next;
    assert_int_equal(e->time.kind, WDR_TIME_ANY);
    e = e->next;
    assert_true(e->time.has_end && !e->time.is_range && e->time.until == 250000000);
    e = e->next;
    assert_int_equal(e->time.kind, WDR_TIME_NONE);
    assert_string_equal(e->text, "true");
    assert_null(e->next);
    wdr_script_free(s);
}

static void test_parse_calls_with_structs_and_lists(void **state)
{
    (void)state;
    struct wdr_script *s = read_script(
        "0 poll([{fd=4, events=POLLIN|POLLOUT, revents=0}], 1, -1) = 0\n"
        "+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=MSG_ERRQUEUE}, 0) = -1 EAGAIN (Resource "
        "temporarily unavailable)\n"
        "+0 fcntl(4, F_GETFL) = 0x2 (flags O_RDWR)\n"
        "+0 close(3)\n");
    const struct wdr_call *c = s->events->call;
    assert_string_equal(c->name, "poll");
    assert_int_equal(c->arg_n, 3);
    assert_int_equal(c->args->kind, WDR_EXPR_LIST);
    assert_string_equal(c->args->first->first->field, "fd");
    assert_int_equal(c->args->first->first->next->kind, WDR_EXPR_OR);
    assert_true(c->args->next->next->number == -1);
    c = s->events->next->call;
    assert_string_equal(c->args->next->first->next->field, "msg_iov");
    assert_string_equal(c->errno_name, "EAGAIN");
    assert_true(s->events->next->next->call->result->number == 2);
    assert_null(s->events->next->next->next->call->result);
    wdr_script_free(s);
}

static void test_parse_comments_options_defines(void **state)
{
    (void)state;
    struct wdr_script *s =
        read_script("// one\n# two\n/* three\n four */\n--mtu=1280\n--define=COOKIE=a1b2c3d4\n--ip_version=ipv6\n"
                    "0 > S 0:0(0) <FO COOKIE,nop,nop> // five\n");
    assert_string_equal(s->settings->name, "mtu");
    assert_string_equal(s->settings->value, "1280");
    assert_int_equal(s->settings->line, 5);
    assert_string_equal(s->settings->next->next->value, "ipv6");
    assert_int_equal(s->events->line, 8);
    assert_int_equal(s->events->packet->opts[0].len, 6);
    assert_int_equal(s->events->packet->opts[0].body[3], 0xd4);
    wdr_script_free(s);
}

static void test_parse_errors_name_their_place(void **state)
{
    (void)state;
    expect_error("0 > . 1:1001(10) ack 1\n", 1, "10 bytes is not 1001");
    expect_error("\n\n0 < . 1:1(0) win 99999\n", 3, "between 0 and 65535");
    expect_error("0 > . 1:1(0)\n", 1, "needs 'ack N'");
    expect_error("0 < S 0:0(0) win 1 <mss 1460,sackOK>\n", 1, "multiple of 4");
    expect_error("0 < S 0:0(0) win 1 <...>\n", 1, "options written out");
    expect_error("0 < S 0:0(0) win 1 <nonsense 3>\n", 1, "no TCP option");
    expect_error("0 < SS 0:0(0) win 1\n", 1, "no set of TCP flags");
    expect_error("> . 1:1(0) ack 1\n", 1, "the time is missing");
    expect_error("* < . 1:1(0) ack 1\n", 1, "only a packet that the stack sends");
    expect_error("0 read(3, ..., 1 = 1\n", 1, "is missing");
    expect_error("0 close(3) = -1 E (no end\n", 1, "has no end");
    expect_error("/* no end\n", 1, "no end");
    expect_error("0 write(3, \"abc, 3) = 3\n", 1, "no end");
    expect_error("`sysctl\n", 1, "'`' is missing");
    expect_error("2~1 > udp (1)\n", 1, "before the beginning");
    expect_error("0 > icmp nonsense\n", 1, "no type of ICMP");
    expect_error("0 > ipv4 1.1.1.1 > 2.2.2.2: udp (1)\n", 1, "packets inside packets");
    expect_error("0 f((((((((((((((((((((((((((((((((((((((((((1\n", 1, "too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_packets_print_as_they_were),
        cmocka_unit_test(test_parse_times_of_all_kinds),
        cmocka_unit_test(test_parse_range_and_blocking_times),
        cmocka_unit_test(test_parse_calls_with_structs_and_lists),
        cmocka_unit_test(test_parse_comments_options_defines),
        cmocka_unit_test(test_parse_errors_name_their_place),
    };
    return cmocka_run_group_tests_name("drill/parse", tests, NULL, NULL);
}
