/* Scenarios from their text to the verdict (lab/play.h), and every kind of mistake in one, told with its place. */
#include "lab/play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD    "title: t\nchapter: c\nabout: a\n"
#define HOSTS   "hosts:\n  - {name: a}\n  - {name: b}\n"
#define LINKS   "links:\n  - {from: a, to: b, link: \"delay=10ms\"}\n"
#define PROGRAM "programs:\n  - {host: a, start: 1ms, steps: [connect b 80]}\n"
#define CLAIMS  "claims:\n  - {say: refused, check: \"first(value, call) == -ECONNREFUSED\"}\n"

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
        cmocka_unit_test(test_builtin_scenarios_can_all_be_read),
    };
    return cmocka_run_group_tests_name("lab/play", tests, NULL, NULL);
}
