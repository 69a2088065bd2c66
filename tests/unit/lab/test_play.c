/* Scenarios from their text to the verdict (lab/play.h), and every kind of mistake in one, told with its place. */
#include "lab/play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD           "title: t\nchapter: c\nabout: a\n"
#define HOSTS          "hosts:\n  - {name: a}\n  - {name: b}\n"
#define LINKS          "links:\n  - {from: a, to: b, link: \"delay=10ms\"}\n"
#define PROGRAM        "programs:\n  - {host: a, start: 1ms, steps: [connect b 80]}\n"
#define PICTURE(words) "pictures:\n  - {" words "}\n"
#define CLAIMS         "claims:\n  - {say: refused, check: \"first(value, call) == -ECONNREFUSED\"}\n"

static struct wlb_result play(const char *text, const char *const *settings, unsigned n)
{
    char err[512] = "";
    struct wlb_result r = {0};
    struct wlb_scenario *s = wlb_scenario_read("test.yaml", text, strlen(text), err, sizeof err);
    if (!s) {
        snprintf(r.err, sizeof r.err, "%s", err);
        return r;
    }
    FILE *out = fopen("/dev/null", "w");
    assert_non_null(out);
    struct wlb_play_opts o = {.seed = 1, .out = out, .settings = settings, .setting_n = n};
    wlb_play("test", s, &o, &r);
    fclose(out);
    wlb_scenario_free(s);
    return r;
}

static void test_play_judges_its_claims(void **state)
{
    (void)state;
    struct wlb_result r = play(HEAD HOSTS LINKS PROGRAM CLAIMS, NULL, 0);
    assert_string_equal(r.err, "");
    assert_int_equal(r.passed, 1);
    r = play(HEAD HOSTS LINKS PROGRAM "claims:\n  - {say: s, check: \"count(wire) == 3\"}\n", NULL, 0);
    assert_int_equal(r.failed, 1);
    r = play(HEAD HOSTS LINKS PROGRAM "claims:\n  - {say: s, check: \"count(wire) == \"}\n", NULL, 0);
    assert_int_equal(r.failed, 1);
}

static void test_play_options_change_the_run(void **state)
{
    (void)state;
    static const char text[] = HEAD "options:\n  - {name: wait, value: 1ms, about: w}\n" HOSTS LINKS
                                    "programs:\n  - {host: a, start: wait, steps: [connect b 80]}\n"
                                    "claims:\n  - {say: s, check: \"first(at, wire) == wait\"}\n"
                                    "  - {say: s, check: \"first(at, wire) == 5ms\"}\n";
    static const char *const settings[] = {"wait", "5ms"};
    struct wlb_result r = play(text, NULL, 0);
    assert_int_equal(r.passed, 1);
    r = play(text, settings, 1);
    assert_int_equal(r.passed, 2);
}

static void refuse(const char *text, const char *because)
{
    struct wlb_result r = play(text, NULL, 0);
    if (!strstr(r.err, because))
        fail_msg("\"%s\" does not say \"%s\"", r.err, because);
    assert_int_equal(r.passed, 0);
}

static void test_play_mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    refuse("title: [", "test.yaml");
    refuse(HEAD HOSTS LINKS PROGRAM "clams: []\n", "line ");
    refuse(HEAD HOSTS LINKS PROGRAM "clams: []\n", "clams");
    refuse(HEAD HOSTS LINKS PROGRAM, "claims");
    refuse(HEAD "hosts:\n  - {name: a}\n  - {name: a}\n" LINKS PROGRAM CLAIMS, "two hosts 'a'");
    refuse(HEAD HOSTS "links:\n  - {from: a, to: c}\n" PROGRAM CLAIMS, "no host 'c'");
    refuse(HEAD HOSTS "links:\n  - {from: a, to: b, link: \"delya=1ms\"}\n" PROGRAM CLAIMS, "delya");
    refuse(HEAD HOSTS "links:\n  - {from: a, to: b, type: token ring}\n" PROGRAM CLAIMS, "ip or ethernet");
    refuse(HEAD "hosts:\n  - {name: a, sysctl: [tcp_sakc=0]}\n  - {name: b}\n" LINKS PROGRAM CLAIMS, "tcp_sakc");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: c, steps: [accept]}\n" CLAIMS, "no host 'c'");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, steps: [conect b 80]}\n" CLAIMS, "did you mean 'connect'");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, steps: [connect c 80]}\n" CLAIMS, "no way to a host 'c'");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, start: soon, steps: [accept]}\n" CLAIMS, "soon");
    refuse(HEAD HOSTS LINKS PROGRAM "timeline:\n  - {at: 0s, do: explode}\n" CLAIMS, "explode");
    refuse(HEAD HOSTS LINKS PROGRAM "timeline:\n  - {at: 0s, do: forge a b 1 2 X}\n" CLAIMS, "the form is");
    refuse(HEAD HOSTS LINKS PROGRAM "timeline:\n  - {at: 0s, do: link 2 loss=1%}\n" CLAIMS, "link");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, steps: [\"write ${x}\"]}\n" CLAIMS, "'x' is neither");
    refuse(HEAD "hosts:\n  - {name: a, router: \"yes\"}\n  - {name: b}\n" LINKS PROGRAM CLAIMS, "it is true");
    refuse(HEAD "hosts:\n  - {name: a, icmp: \"off\"}\n  - {name: b}\n" LINKS PROGRAM CLAIMS, "router: true");
    refuse(HEAD "hosts:\n  - {name: a, router: \"true\", sysctl: [tcp_sack=0]}\n  - {name: b}\n" LINKS PROGRAM CLAIMS,
           "no stack");
    refuse(HEAD "hosts:\n  - {name: a}\n  - {name: b, router: \"true\", syn_proxy: c}\n" LINKS PROGRAM CLAIMS,
           "no server 'c'");
    refuse(HEAD "hosts:\n  - {name: a, router: \"true\"}\n  - {name: b}\n" LINKS PROGRAM CLAIMS, "with a stack");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, after: b, steps: [accept]}\n" CLAIMS, "HOST PORT");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, serves: \"true\", steps: [accept]}\n" CLAIMS, "with a command");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, command: [\"true\"], steps: [accept]}\n" CLAIMS, "neither steps");
    refuse(HEAD HOSTS LINKS "programs:\n  - {host: a, command: [nonesuch-program]}\n" CLAIMS, "'nonesuch-program'");
    refuse(HEAD HOSTS LINKS PROGRAM "record: nonesuch\n" CLAIMS, "nonesuch");
    refuse(HEAD HOSTS LINKS PROGRAM "timeline:\n  - {at: 0s, do: forge a b 1 2 . seq=+1}\n" CLAIMS, "no SYN");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: photo") CLAIMS, "it is diagram, plot");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: diagram, hosts: [c]") CLAIMS, "no host 'c'");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: diagram, packets: \"host ==\"") CLAIMS, "host ==");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: diagram, colour: red") CLAIMS, "colour");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: header") CLAIMS, "`dissect`");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: plot") CLAIMS, "no series");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: plot, series: [{name: s, value: cwnd}]") CLAIMS,
           "a value and when");
    refuse(HEAD HOSTS LINKS PROGRAM PICTURE("picture: plot, series: [{name: s, value: at, when: wire, style: red}]")
               CLAIMS,
           "line, steps or dots");
}

/* A program that waits for a listener begins as soon as there is one, and `start` later. */
static void test_play_programs_wait_for_a_listener(void **state)
{
    (void)state;
    struct wlb_result r =
        play(HEAD HOSTS LINKS "programs:\n  - {host: b, start: 3s, steps: [listen 80, accept]}\n"
                              "  - {host: a, after: b 80, start: 5ms, steps: [connect b 80]}\n"
                              "claims:\n  - {say: s, check: \"first(at, wire) == 3005ms\"}\n"
                              "  - {say: s, check: \"first(value, call and text == 'connect') == 0\"}\n",
             NULL, 0);
    assert_string_equal(r.err, "");
    assert_int_equal(r.passed, 2);
}

/* What the filter does not select is not there. */
static void test_play_record_keeps_what_it_selects(void **state)
{
    (void)state;
    struct wlb_result r = play(HEAD HOSTS LINKS PROGRAM "record: wire and syn\n"
                                                        "claims:\n  - {say: s, check: \"count(wire) == 1\"}\n"
                                                        "  - {say: s, check: \"not any(call)\"}\n",
                               NULL, 0);
    assert_string_equal(r.err, "");
    assert_int_equal(r.passed, 2);
}

/* Plays a scenario and returns the pictures, or the page, that it made; the caller's to free. */
static char *draw(const char *text, bool is_page)
{
    char path[] = "/tmp/weir-lab-XXXXXX", err[512];
    struct wlb_result r;
    int fd = mkstemp(path);
    struct wlb_scenario *s = wlb_scenario_read("test.yaml", text, strlen(text), err, sizeof err);
    FILE *out = fopen("/dev/null", "w");
    assert_true(fd >= 0);
    assert_non_null(s);
    assert_non_null(out);
    struct wlb_play_opts o = {.seed = 1, .out = out, .svg = is_page ? NULL : path, .page = is_page ? path : NULL};
    wlb_play("test", s, &o, &r);
    assert_string_equal(r.err, "");
    char *made = calloc(1, 1 << 16);
    assert_non_null(made);
    assert_true(read(fd, made, (1 << 16) - 1) > 0);
    fclose(out);
    wlb_scenario_free(s);
    unlink(path);
    close(fd);
    return made;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static void test_pictures_show_packets_states_and_calls(void **state)
{
    (void)state;
    char *svg = draw("title: A <b> & \"c\"\nchapter: c\nabout: a\n" HOSTS LINKS PROGRAM CLAIMS, false);
    assert_non_null(strstr(svg, "<title>A &lt;b&gt; &amp; &quot;c&quot;</title>"));
    assert_non_null(strstr(svg, ">SYN, seq 0</text>"));
    assert_non_null(strstr(svg, ">RST, ACK, seq 0, ack 1</text>"));
    assert_non_null(strstr(svg, ">SYN-SENT</text>"));
    assert_non_null(strstr(svg, ">connect(): ECONNREFUSED</text>"));
    assert_int_equal(count(svg, "<g "), count(svg, "</g>"));
    assert_int_equal(count(svg, "<text "), count(svg, "</text>"));
    assert_null(strstr(strstr(svg, "<title>"), "http"));
    free(svg);
}

/* A thousand packets make no larger a picture than a hundred: what is plain is counted. */
static void test_pictures_are_bounded(void **state)
{
    (void)state;
    static const char world[] = HEAD HOSTS LINKS "programs:\n  - {host: b, steps: [listen 80, accept, read to end]}\n"
                                                 "  - {host: a, steps: [connect b 80, \"write %s\", close]}\n" CLAIMS
                                                 "pictures:\n  - {picture: diagram}\n  - picture: plot\n    series:\n"
                                                 "      - {name: s, value: seq, when: wire, style: %s}\n";
    static const char *const styles[] = {"line", "steps", "dots"};
    for (int i = 0; i < 3; i++) {
        char few[1024], many[1024];
        snprintf(few, sizeof few, world, "100k", styles[i]);
        snprintf(many, sizeof many, world, "10m", styles[i]);
        char *small = draw(few, false), *large = draw(many, false);
        assert_non_null(strstr(large, " segments, "));
        assert_true(strlen(large) < strlen(small) + 20000);
        free(small);
        free(large);
    }
}

static void test_page_has_claims_with_their_numbers(void **state)
{
    (void)state;
    char *page = draw(HEAD HOSTS LINKS PROGRAM
                      "claims:\n  - {say: \"after ${first(took, call) / 1ms} ms\", check: \"any(call)\"}\n"
                      "see: \"it took ${1000 / 7} ns\"\nrfc: [\"9293 3.5\"]\n",
                      true);
    assert_non_null(strstr(page, "# t\n"));
    assert_non_null(strstr(page, " after 20 ms\n"));
    assert_non_null(strstr(page, "it took 143 ns"));
    assert_non_null(strstr(page, "rfc9293#section-3.5"));
    free(page);
}

static void test_builtin_scenarios_can_all_be_read(void **state)
{
    (void)state;
    unsigned n = 0;
    for (const struct wlb_builtin *b; (b = wlb_builtin_at(n)); n++) {
        char err[512];
        struct wlb_scenario *s = wlb_scenario_read(b->name, b->text, b->len, err, sizeof err);
        if (!s)
            fail_msg("%s", err);
        assert_true(s->claim_n > 0);
        wlb_scenario_free(s);
    }
    assert_true(n > 0);
    assert_null(wlb_builtin_find("nonesuch"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_play_judges_its_claims),
        cmocka_unit_test(test_play_options_change_the_run),
        cmocka_unit_test(test_play_mistakes_are_told_with_their_place),
        cmocka_unit_test(test_play_programs_wait_for_a_listener),
        cmocka_unit_test(test_play_record_keeps_what_it_selects),
        cmocka_unit_test(test_pictures_show_packets_states_and_calls),
        cmocka_unit_test(test_pictures_are_bounded),
        cmocka_unit_test(test_page_has_claims_with_their_numbers),
        cmocka_unit_test(test_builtin_scenarios_can_all_be_read),
    };
    return cmocka_run_group_tests_name("lab/play", tests, NULL, NULL);
}
