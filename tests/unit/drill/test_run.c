/* Scripts that are played: what a failure says, what --update writes, and the reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drill/report.h"
#include "drill/run.h"

#define LISTEN                                                                                                         \
    "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n"                     \
    "+0 < S 0:0(0) win 32792 <mss 1000>\n"

static char path[64];

static void write_script(const char *text)
{
    strcpy(path, "/tmp/weir-drill-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
}

static char *play(const char *text, const struct wdr_run_config *cfg, enum wdr_verdict verdict)
{
    char *said;
    size_t len;
    write_script(text);
    FILE *out = open_memstream(&said, &len);
    enum wdr_verdict got = wdr_run_file(path, cfg, out);
    fclose(out);
    if (got != verdict)
        fail_msg("verdict %d: %s", got, said);
    return said;
}

static void says(const char *text, enum wdr_verdict verdict, const char *const *words)
{
    struct wdr_run_config cfg = {.seed = 7};
    char *said = play(text, &cfg, verdict);
    for (; *words; words++) {
        if (!strstr(said, *words))
            fail_msg("'%s' does not say '%s'", said, *words);
    }
    unlink(path);
    free(said);
}

#define SAYS(text, verdict, ...) says(text, verdict, (const char *const[]){__VA_ARGS__, NULL})

static void test_run_passes_in_silence(void **state)
{
    (void)state;
    struct wdr_run_config cfg = {.seed = 7};
    char *said = play(LISTEN "+0 > S. 0:0(0) ack 1 <mss 1460>\n", &cfg, WDR_PASSED);
    assert_string_equal(said, "");
    unlink(path);
    free(said);
}

static void test_run_another_packet_shows_both(void **state)
{
    (void)state;
    SAYS(LISTEN "+0 > S. 0:0(0) ack 2 <mss 1460>\n", WDR_FAILED, ":5: another packet than expected: ack",
         "expected  0.000000  > S. 0:0(0) ack 2 <mss 1460>", "came      0.000000  > S. 0:0(0) ack 1 <mss 1460>",
         "  5 | +0 > S. 0:0(0) ack 2 <mss 1460>", "the packets before:");
}

static void test_run_late_and_missing_packets_are_told_apart(void **state)
{
    (void)state;
    SAYS(LISTEN "+0 > S. 0:0(0) ack 1 <mss 1460>\n+.5 > S. 0:0(0) ack 1 <mss 1460>\n", WDR_FAILED,
         ":6: nothing was sent in time", "came      1.000000");
    SAYS(LISTEN "+0 > S. 0:0(0) ack 1 <mss 1460>\n+1.5 > S. 0:0(0) ack 1 <mss 1460>\n", WDR_FAILED,
         ":6: the packet came too early");
    SAYS("0 > . 1:1(0) ack 1\n", WDR_FAILED, ":1: nothing was sent\n");
}

static void test_run_calls_say_what_they_gave(void **state)
{
    (void)state;
    SAYS("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 listen(3, 1) = 0\n+0 listen(4, 1) = 0\n", WDR_FAILED,
         ":3: listen() gave -1 EBADF", "and the script says 0");
    SAYS(LISTEN "+0 accept(3, ..., ...) = 4\n", WDR_FAILED, ":5: accept() blocks: give it the time");
    SAYS(LISTEN "+0...0.1 accept(3, ..., ...) = 4\n", WDR_FAILED, ":5: accept() should have returned at 0.100000");
    SAYS("0 frobnicate(3) = 0\n", WDR_FAILED, ":1: no system call that scripts know: frobnicate()");
    SAYS("0 close(3, 4) = 0\n", WDR_FAILED, ":1: close() takes 1 arguments, and here are 2");
}

static void test_run_broken_scripts_are_not_failures(void **state)
{
    (void)state;
    SAYS("--mtu=99\n", WDR_BROKEN, ":1:1: --mtu=99: between 576 and 65535");
    SAYS("--nonsense=1\n", WDR_BROKEN, "no option that scripts know");
    SAYS("--ip_version=ipv6\n--local_ip=1.2.3.4\n", WDR_BROKEN, "do not go with --ip_version");
    SAYS("0 > . 1:1(0)\n", WDR_BROKEN, ":1:");
}

static void test_run_update_rewrites_what_came(void **state)
{
    (void)state;
    struct wdr_run_config cfg = {.seed = 7, .is_update = true};
    char text[1024];
    char *said = play("// keep this\n" LISTEN
                      "+0 > S. 0:0(0) ack 9 <mss 536>\n+0 close(77) = 0 // and this\n+.5 > S. 0:0(0) ack 1 "
                      "<mss 1460>\n",
                      &cfg, WDR_PASSED);
    assert_non_null(strstr(said, "3 expectations rewritten"));
    FILE *f = fopen(path, "r");
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    assert_string_equal(text, "// keep this\n" LISTEN
                              "+0 > S. 0:0(0) ack 1 <mss 1460>\n+0 close(77) = -1 EBADF (Bad file descriptor) // and "
                              "this\n+1.000000 > S. 0:0(0) ack 1 <mss 1460>\n");
    cfg.is_update = false;
    struct wdr_run_config again = cfg;
    free(said);
    said = play(text, &again, WDR_PASSED);
    unlink(path);
    free(said);
}

static void test_report_forms(void **state)
{
    (void)state;
    char failed[] = "a < b & \"c\"\nd\n", none[] = "";
    const struct wdr_outcome o[] = {{"one.pkt", WDR_PASSED, none, 0.5}, {"two.pkt", WDR_FAILED, failed, 0.25}};
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    wdr_report_tap(out, o, 2);
    wdr_report_junit(out, o, 2, 0.75);
    wdr_report_text(out, o, 2, 0.75, false);
    fclose(out);
    assert_non_null(strstr(text, "1..2\nok 1 - one.pkt\nnot ok 2 - two.pkt\n# a < b & \"c\"\n# d\n"));
    assert_non_null(strstr(text, "tests=\"2\" failures=\"1\" errors=\"0\""));
    assert_non_null(strstr(text, "a &lt; b &amp; &quot;c&quot;"));
    assert_non_null(strstr(text, "2 scripts: 1 passed, 1 failed (0.75 s)"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_passes_in_silence),
        cmocka_unit_test(test_run_another_packet_shows_both),
        cmocka_unit_test(test_run_late_and_missing_packets_are_told_apart),
        cmocka_unit_test(test_run_calls_say_what_they_gave),
        cmocka_unit_test(test_run_broken_scripts_are_not_failures),
        cmocka_unit_test(test_run_update_rewrites_what_came),
        cmocka_unit_test(test_report_forms),
    };
    return cmocka_run_group_tests_name("drill/run", tests, NULL, NULL);
}
