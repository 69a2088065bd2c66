/* Steps of programs (lab/step.h): what is read, and what is refused with the right form. */
#include "lab/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct wlb_step step(const char *text)
{
    struct wlb_step s;
    char err[256] = "";
    if (!wlb_step_parse(&s, text, err, sizeof err))
        fail_msg("%s: %s", text, err);
    return s;
}

static void test_step_each_kind_is_read(void **state)
{
    (void)state;
    assert_int_equal(step("listen 80").port, 80);
    assert_int_equal(step("listen 80 backlog 3").n, 3);
    assert_int_equal(step("accept").kind, WLB_ACCEPT);
    assert_int_equal(step("accept each").kind, WLB_ACCEPT_EACH);
    assert_string_equal(step("connect server 8080").host, "server");
    assert_int_equal(step("connect server 8080").port, 8080);
    assert_int_equal(step("write 100k").n, 102400);
    assert_int_equal(step("write 100k by 7").by, 7);
    assert_string_equal(step("write 'two words'").text, "two words");
    assert_int_equal(step("read 5").n, 5);
    assert_true(step("read some").n == UINT64_MAX);
    assert_int_equal(step("read to end").kind, WLB_READ_END);
    assert_int_equal(step("sleep 2s").n, 2000000000);
    assert_int_equal(step("set nodelay 1").n, 1);
    assert_int_equal(step("send 100 to server 53").port, 53);
    assert_int_equal(step("echo").kind, WLB_ECHO);
    assert_int_equal(step("http serve 10k").n, 10240);
    assert_string_equal(step("http get /index.html").text, "/index.html");
}

static void refuse(const char *text, const char *because)
{
    struct wlb_step s;
    char err[256] = "";
    if (wlb_step_parse(&s, text, err, sizeof err))
        fail_msg("took \"%s\"", text);
    if (!strstr(err, because))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err, because);
}

static void test_step_nonsense_is_refused_with_the_form(void **state)
{
    (void)state;
    refuse("", "no step");
    refuse("conect server 80", "did you mean 'connect'");
    refuse("connect server", "connect HOST PORT");
    refuse("connect server 65536", "connect HOST PORT");
    refuse("connect a-name-that-is-too-long 80", "connect HOST PORT");
    refuse("write", "write BYTES");
    refuse("write ''", "write BYTES");
    refuse("read every", "read to end");
    refuse("http get index.html", "http get PATH");
    refuse("http put /x", "http serve BYTES");
    refuse("echo loudly", "the form is \"echo\"");
    refuse("sleep long", "sleep TIME");
    refuse("close now", "close");
    refuse("listen 0", "listen PORT");
    refuse("send message 10 by", "by fixed N");
    refuse("send message 100k by line", "by fixed N");
    refuse("send message 10 to server 80", "by fixed N");
    refuse("receive message by length 9", "length N [little]");
    refuse("receive message by length 4 big", "length N [little]");
    refuse("receive message by fixed 0", "fixed N");
    refuse("receive message by line max 100k", "max N");
    refuse("serve 10 by kqueue", "select|poll|epoll");
    refuse("serve 0 by poll", "serve N");
    refuse("watch both", "level|edge");
    refuse("one two three four five six seven eight nine ten", "too many words");
}

static void test_step_framings_are_read(void **state)
{
    (void)state;
    struct wlb_step s = step("send message 'hello world' by length 2 little max 1k");
    assert_int_equal(s.kind, WLB_SEND_MESSAGE);
    assert_string_equal(s.text, "hello world");
    assert_int_equal(s.n, 11);
    assert_int_equal(s.framing.framing, WEIR_FRAME_LENGTH);
    assert_int_equal(s.framing.header_bytes, 2);
    assert_true(s.framing.is_little_endian);
    assert_int_equal(s.framing.max_bytes, 1024);
    s = step("receive message by line escaped");
    assert_int_equal(s.kind, WLB_RECEIVE_MESSAGE);
    assert_int_equal(s.framing.escape, '\\');
    s = step("send message 16 by fixed 16");
    assert_int_equal(s.framing.framing, WEIR_FRAME_FIXED);
    assert_int_equal(s.framing.max_bytes, 16);
    s = step("serve 10 by poll");
    assert_int_equal(s.n, 10);
    assert_string_equal(s.text, "poll");
    s = step("set congestion bbr");
    assert_string_equal(s.host, "bbr");
}

static void test_steps_repeats_find_their_ends(void **state)
{
    (void)state;
    char err[256];
    struct wlb_step s[] = {step("repeat 2"), step("repeat 3"), step("read 1"), step("end"), step("end")};
    assert_true(wlb_steps_join(s, 5, err, sizeof err));
    assert_int_equal(s[0].other, 4);
    assert_int_equal(s[1].other, 3);
    assert_int_equal(s[4].other, 0);
    struct wlb_step open[] = {step("repeat 2"), step("read 1")};
    assert_false(wlb_steps_join(open, 2, err, sizeof err));
    assert_non_null(strstr(err, "without its end"));
    struct wlb_step closed[] = {step("read 1"), step("end")};
    assert_false(wlb_steps_join(closed, 2, err, sizeof err));
    assert_non_null(strstr(err, "without its repeat"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_each_kind_is_read),
        cmocka_unit_test(test_step_nonsense_is_refused_with_the_form),
        cmocka_unit_test(test_step_framings_are_read),
        cmocka_unit_test(test_steps_repeats_find_their_ends),
    };
    return cmocka_run_group_tests_name("lab/step", tests, NULL, NULL);
}
