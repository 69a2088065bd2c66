/* A link in words (io/link_spec.h): what is read, what is refused and how that is said. */
#include "io_test.h"

#include "io/link_spec.h"

static struct wio_link_config parsed(const char *text)
{
    struct wio_link_config c = {0};
    char err[512] = "";

    if (wio_link_spec_parse(&c, text, err, sizeof err) != 0)
        fail_msg("%s: %s", text, err);
    return c;
}

static void assert_refused(const char *text, const char *says)
{
    struct wio_link_config c = {0}, zero = {0};
    char err[512] = "";

    assert_int_equal(wio_link_spec_parse(&c, text, err, sizeof err), -WEIR_EINVAL);
    if (!strstr(err, says))
        fail_msg("%s: said %s, not %s", text, err, says);
    assert_null(strchr(err, '\n'));
    assert_memory_equal(&c, &zero, sizeof c);
}

static void test_spec_every_word_reaches_both_directions(void **state)
{
    (void)state;
    struct wio_link_config c = parsed("rate=10mbit delay=40ms jitter=5ms loss=1% burst=3 reorder=2% dup=1% "
                                      "corrupt=0.1% queue=64k gap=4 jitter-corr=25% dist=normal police=9mbit bucket=8k "
                                      "ecn=30k codel=5ms interval=50ms ce=2%");

    for (int dir = 0; dir < 2; dir++) {
        const struct wio_dir_config *d = &c.dir[dir];
        assert_int_equal(d->rate_bps, 10000000);
        assert_int_equal(d->delay, WEIR_MS(40));
        assert_int_equal(d->jitter, WEIR_MS(5));
        assert_int_equal(d->loss, 10000000);
        assert_int_equal(d->burst_milli, 3000);
        assert_int_equal(d->reorder, 20000000);
        assert_int_equal(d->reorder_gap, 4);
        assert_int_equal(d->duplicate, 10000000);
        assert_int_equal(d->corrupt, 1000000);
        assert_int_equal(d->queue_bytes, 65536);
        assert_int_equal(d->jitter_corr, 250000000);
        assert_int_equal(d->dist, WIO_DIST_NORMAL);
        assert_int_equal(d->police_bps, 9000000);
        assert_int_equal(d->bucket_bytes, 8192);
        assert_int_equal(d->ecn_bytes, 30720);
        assert_int_equal(d->ecn_wait, 0);
        assert_int_equal(d->codel_target, WEIR_MS(5));
        assert_int_equal(d->codel_interval, WEIR_MS(50));
        assert_int_equal(d->ce, 20000000);
    }
}

static void test_spec_prefix_reaches_one_direction(void **state)
{
    (void)state;
    struct wio_link_config c = parsed("delay=10ms,down.rate=10mbit,up.rate=1mbit  up.loss=3%");

    assert_int_equal(c.dir[WIO_UP].rate_bps, 1000000);
    assert_int_equal(c.dir[WIO_DOWN].rate_bps, 10000000);
    assert_int_equal(c.dir[WIO_UP].loss, 30000000);
    assert_int_equal(c.dir[WIO_DOWN].loss, 0);
    assert_int_equal(c.dir[WIO_DOWN].delay, WEIR_MS(10));
}

static void test_spec_units_are_those_of_tc(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bps;
    } rates[] = {{"rate=9600", 9600},     {"rate=1.5mbit", 1500000},  {"rate=64kibit", 65536},
                 {"rate=1mbps", 8000000}, {"rate=2gbit", 2000000000}, {"rate=1TBIT", 1000000000000},
                 {"rate=8kibps", 65536}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        assert_int_equal(parsed(rates[i].text).dir[0].rate_bps, rates[i].bps);

    static const struct {
        const char *text;
        weir_ns ns;
    } times[] = {{"delay=2s", WEIR_SEC(2)},
                 {"delay=1.25ms", WEIR_US(1250)},
                 {"delay=30usecs", WEIR_US(30)},
                 {"delay=100", WEIR_US(100)},
                 {"delay=7ns", 7},
                 {"delay=0.5secs", WEIR_MS(500)}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_int_equal(parsed(times[i].text).dir[0].delay, times[i].ns);

    assert_int_equal(parsed("loss=0.001%").dir[0].loss, 10000);
    assert_int_equal(parsed("loss=1").dir[0].loss, 10000000);
    assert_int_equal(parsed("loss=100%").dir[0].loss, WIO_PROB_ONE);
    assert_int_equal(parsed("queue=1mb").dir[0].queue_bytes, 1 << 20);
    assert_int_equal(parsed("queue=8kbit").dir[0].queue_bytes, 1024);
}

static void test_spec_wrong_words_are_named_with_the_right_form(void **state)
{
    (void)state;
    assert_refused("delay=40ms lose=1%", "\"lose=1%\": no word \"lose\"; did you mean \"loss\"?");
    assert_refused("bandwidth=3", "no word \"bandwidth\"; there are rate, queue, delay");
    assert_refused("loss", "\"loss\": wants a value, as in loss=1%");
    assert_refused("loss=1x", "\"1x\" is not a percentage; write it as loss=1%");
    assert_refused("loss=-1%", "\"-1%\" is not a percentage");
    assert_refused("loss=101%", "at most 100%");
    assert_refused("loss=", "\"\" is not a percentage");
    assert_refused("rate=fast", "\"fast\" is not a rate; write it as rate=10mbit");
    assert_refused("rate=1bit", "at least 8bit");
    assert_refused("rate=99999999999999999999gbit", "is not a rate");
    assert_refused("delay=40mss", "\"40mss\" is not a time; write it as delay=40ms");
    assert_refused("delay=2000000s", "at most 3600s");
    assert_refused("delay=1e3ms", "is not a time");
    assert_refused("queue=64x", "is not a size; write it as queue=64k");
    assert_refused("loss=1% burst=0.5", "at least 1");
    assert_refused("dist=pareto", "uniform or normal");
    assert_refused("sideways.loss=1%", "no word \"sideways.loss\"");
    assert_refused("clean=1", "no word");
    assert_refused("reorder=2%", "add delay=10ms");
    assert_refused("burst=3", "add loss=1%");
    assert_refused("bucket=10k", "add police=10mbit");
    assert_refused("ecn=30k", "add rate=10mbit");
    assert_refused("up.rate=1mbit ecn=1ms", "\"ecn\": marks by the queue before the transmitter");
    assert_refused("codel=5ms", "\"codel\": marks by the queue before the transmitter, so it wants one");
    assert_refused("rate=1mbit interval=100ms", "add codel=5ms");
    assert_refused("rate=1mbit ecn=high", "neither a size nor a time; write it as ecn=30k or ecn=1ms");
    assert_refused("rate=1mbit ecn", "wants a value, as in ecn=30k");
    assert_refused("ce=200%", "at most 100%");
    assert_refused("loss=80% burst=2", "at most 66.66%");
    assert_refused("script=/nonexistent/rules", "No such file");
    assert_refused("script=/dev/null", "can't read it");
    assert_refused("drop=dta:3", "\"dta\": no such packet; did you mean \"data\"?");
    assert_refused("rule=lose:data:3", "\"lose\": no such action; there are drop, delay, dup, corrupt, mark");
    assert_refused("rule=delay:data:3", "by how much is missing");
    assert_refused("drop=data:0", "no number");
    assert_refused("drop=data:5-3", "no number");
    assert_refused("drop=data:3:conn:9999", "connections count from 1 to 1024");
    assert_refused("drop=data:3:conn", "connections count from 1");
    assert_refused("drop=data:3:often", "\"often\": not understood");
    assert_refused("drop=", "not a whole rule");
}

static void assert_rule(const struct wio_rule *r, enum wio_action action, enum wio_match match, uint32_t first,
                        uint32_t last, uint32_t conn, unsigned dirs)
{
    assert_int_equal(r->action, action);
    assert_int_equal(r->match, match);
    assert_int_equal(r->first, first);
    assert_int_equal(r->last, last);
    assert_int_equal(r->conn, conn);
    assert_int_equal(r->dirs, dirs);
}

static void test_spec_rules_are_read_inline(void **state)
{
    (void)state;
    struct wio_link_config c = parsed(
        "drop=data:3:conn:1 up.drop=syn:1-2 rule=delay:ack:5:30ms:down rule=dup:data:2- rule=corrupt:pkt:all:every:10");

    assert_int_equal(c.rule_n, 5);
    assert_rule(&c.rules[0], WIO_DROP, WIO_MATCH_DATA, 3, 3, 1, 3);
    assert_rule(&c.rules[1], WIO_DROP, WIO_MATCH_SYN, 1, 2, 0, 1 << WIO_UP);
    assert_rule(&c.rules[2], WIO_DELAY, WIO_MATCH_ACK, 5, 5, 0, 1 << WIO_DOWN);
    assert_int_equal(c.rules[2].delay, WEIR_MS(30));
    assert_rule(&c.rules[3], WIO_DUP, WIO_MATCH_DATA, 2, UINT32_MAX, 0, 3);
    assert_rule(&c.rules[4], WIO_CORRUPT, WIO_MATCH_PKT, 1, UINT32_MAX, 0, 3);
    assert_int_equal(c.rules[4].every, 10);
}

/* Write a file to read; its name is the caller's to unlink. */
static void write_file(char name[32], const char *text)
{
    strcpy(name, "/tmp/weir-spec-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_spec_script_reads_a_rule_a_line(void **state)
{
    (void)state;
    char name[32], spec[64];
    write_file(name, "# the third segment\ndrop data 3 of conn 1\n\n  delay ack 5 30ms # late\r\ncorrupt data 4 up");
    snprintf(spec, sizeof spec, "down.script=%s", name);
    struct wio_link_config c = parsed(spec);
    unlink(name);

    assert_int_equal(c.rule_n, 3);
    assert_rule(&c.rules[0], WIO_DROP, WIO_MATCH_DATA, 3, 3, 1, 1 << WIO_DOWN);
    assert_rule(&c.rules[1], WIO_DELAY, WIO_MATCH_ACK, 5, 5, 0, 1 << WIO_DOWN);
    assert_rule(&c.rules[2], WIO_CORRUPT, WIO_MATCH_DATA, 4, 4, 0, 3);
}

static void test_spec_script_names_the_wrong_line(void **state)
{
    (void)state;
    char name[32], spec[64];
    write_file(name, "drop data 3\n\ndrop date 4\n");
    snprintf(spec, sizeof spec, "script=%s", name);
    assert_refused(spec, "line 3: \"date\": no such packet; did you mean \"data\"?");
    unlink(name);
}

static void test_spec_format_parses_to_the_same_link(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "clean",
        ("rate=10mbit queue=64k delay=40ms jitter=5ms jitter-corr=25% loss=1% burst=2.5 reorder=2% gap=5 dup=1% "
         "corrupt=0.1% dist=normal"),
        "up.rate=1mbit down.rate=10mbit up.dist=normal",
        "rate=10mbit ecn=30k ce=5%",
        "rate=10mbit ecn=1ms",
        "rate=1mbit down.codel=5ms down.interval=20ms rule=mark:data:3:conn:1",
        "queue=1500b delay=12345ns up.loss=0.0000001%",
        "rule=drop:data:3:conn:1 rule=delay:ack:5-7:30ms:up rule=dup:pkt:1-:every:3:down",
    };
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        char text[WIO_SPEC_TEXT_CAP];
        struct wio_link_config c = parsed(specs[i]);
        assert_string_equal(wio_link_spec_format(&c, text, sizeof text), specs[i]);
        struct wio_link_config again = parsed(text);
        assert_memory_equal(&c, &again, sizeof c);
    }
}

static void test_spec_every_profile_parses(void **state)
{
    (void)state;
    const struct wio_link_profile *p;
    for (unsigned i = 0; (p = wio_link_profile_at(i)) != NULL; i++) {
        struct wio_link_config c = {0};
        char err[512] = "";
        if (wio_link_profile_parse(&c, p->name, err, sizeof err) != 0)
            fail_msg("%s: %s", p->name, err);
        assert_false(wio_link_is_clean(&c));
    }
    struct wio_link_config c = {0};
    char err[512] = "";
    assert_int_equal(wio_link_profile_parse(&c, "sattelite", err, sizeof err), -WEIR_EINVAL);
    assert_non_null(strstr(err, "did you mean \"satellite\"?"));
    assert_int_equal(wio_link_profile_parse(&c, "avian", err, sizeof err), -WEIR_EINVAL);
    assert_non_null(strstr(err, "there are 3g, 3g-slow"));
}

static void test_spec_words_override_a_profile(void **state)
{
    (void)state;
    struct wio_link_config c = {0};
    char err[512];
    assert_int_equal(wio_link_profile_parse(&c, "dsl", err, sizeof err), 0);
    assert_int_equal(wio_link_spec_parse(&c, "delay=5ms", err, sizeof err), 0);
    assert_int_equal(c.dir[WIO_DOWN].rate_bps, 1500000);
    assert_int_equal(c.dir[WIO_DOWN].delay, WEIR_MS(5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spec_every_word_reaches_both_directions),
        cmocka_unit_test(test_spec_prefix_reaches_one_direction),
        cmocka_unit_test(test_spec_units_are_those_of_tc),
        cmocka_unit_test(test_spec_wrong_words_are_named_with_the_right_form),
        cmocka_unit_test(test_spec_rules_are_read_inline),
        cmocka_unit_test(test_spec_script_reads_a_rule_a_line),
        cmocka_unit_test(test_spec_script_names_the_wrong_line),
        cmocka_unit_test(test_spec_format_parses_to_the_same_link),
        cmocka_unit_test(test_spec_every_profile_parses),
        cmocka_unit_test(test_spec_words_override_a_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
