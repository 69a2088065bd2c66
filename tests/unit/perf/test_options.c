/* The command lines of weir iperf and weir rr (perf/iperf_options.h, perf/rr.h). */
#include "perf/iperf_options.h"
#include "perf/rr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 64

union options {
    struct wpf_iperf_options iperf;
    struct wpf_rr_options rr;
};

/* Parse "iperf -s ...", with what it says on stderr caught. */
static int parse(const char *line, union options *o, char *said, size_t said_cap)
{
    static char copy[512]; /* the options point into it */
    char *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0, back = dup(STDERR_FILENO);
    FILE *caught = tmpfile();
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok(copy, " "); w && argc < WORDS_MAX; w = strtok(NULL, " "))
        argv[argc++] = w;
    assert_non_null(caught);
    dup2(fileno(caught), STDERR_FILENO);
    int bad = strcmp(argv[0], "rr") == 0 ? wpf_rr_options_parse(&o->rr, argc, argv)
                                         : wpf_iperf_options_parse(&o->iperf, argc, argv);
    fflush(stderr);
    dup2(back, STDERR_FILENO);
    close(back);
    rewind(caught);
    said[fread(said, 1, said_cap - 1, caught)] = '\0';
    fclose(caught);
    return bad;
}

static union options parsed(const char *line)
{
    union options o;
    char said[512];
    if (parse(line, &o, said, sizeof said) != 0)
        fail_msg("%s: %s", line, said);
    assert_string_equal(said, "");
    return o;
}

/* In one line. */
static void assert_refused(const char *line, const char *says)
{
    union options o;
    char said[512];
    if (parse(line, &o, said, sizeof said) == 0)
        fail_msg("took %s", line);
    if (!strstr(said, says) || strchr(said, '\n') != said + strlen(said) - 1)
        fail_msg("%s: said %s, not %s", line, said, says);
}

static void test_options_iperf_client_takes_iperf3s_letters(void **state)
{
    (void)state;
    struct wpf_iperf_options o =
        parsed(
            "iperf -c 10.0.0.1 -p 99 -i 0.5 -t 3 -l 64k -P 4 -R -O 1 -b 1.5m -C reno -M 1200 -N -Z -w 1m -S 16 -J -f M "
            "--dev tap:x --address 10.0.0.2/24 --address fd00::2/64 --gateway 10.0.0.1 --sysctl tcp_sack=0")
            .iperf;
    assert_string_equal(o.host, "10.0.0.1");
    assert_int_equal(o.port, 99);
    assert_int_equal(o.interval, WEIR_MS(500));
    assert_int_equal(o.params.time_s, 3);
    assert_int_equal(o.params.block_len, 65536);
    assert_int_equal(o.params.stream_n, 4);
    assert_true(o.params.is_reverse && o.params.is_nodelay && o.params.is_zerocopy && o.is_json);
    assert_int_equal(o.params.omit_s, 1);
    assert_int_equal(o.params.rate_bps, 1500000);
    assert_string_equal(o.params.cc, "reno");
    assert_int_equal(o.params.mss, 1200);
    assert_int_equal(o.params.window_bytes, 1 << 20);
    assert_int_equal(o.params.tos, 16);
    assert_int_equal(o.unit, 'M');
    assert_string_equal(o.net.device, "tap:x");
    assert_int_equal(o.net.address_n, 2);
    assert_int_equal(o.net.addresses[1].prefix_len, 64);
    assert_int_equal(o.net.gateway_n, 1);
    assert_int_equal(o.net.sysctl_n, 1);
}

static void test_options_iperf_what_is_not_said(void **state)
{
    (void)state;
    struct wpf_iperf_options o = parsed("iperf -c h --kernel").iperf;
    assert_int_equal(o.port, 5201);
    assert_int_equal(o.interval, WEIR_SEC(1));
    assert_int_equal(o.params.time_s, 10);
    assert_int_equal(o.params.block_len, 128 << 10);
    assert_int_equal(o.params.stream_n, 1);
    o = parsed("iperf -c h --kernel -n 10m").iperf;
    assert_int_equal(o.params.time_s, 0);
    assert_int_equal(o.params.bytes, 10 << 20);
    assert_true(parsed("iperf -s -1 --kernel").iperf.is_one_off);
    assert_true(parsed("iperf --help").iperf.wants_help);
}

static void test_options_iperf_mistakes_are_named(void **state)
{
    (void)state;
    assert_refused("iperf", "-s or -c HOST?");
    assert_refused("iperf -s -c h", "not both");
    assert_refused("iperf -c h", "--dev tap:weir0 --address");
    assert_refused("iperf -c h --dev tap:x", "on which network?");
    assert_refused("iperf -c h --kernel --dev tap:x", "--kernel uses what the kernel has");
    assert_refused("iperf -s --kernel -t 5", "-t is the client's");
    assert_refused("iperf -s --kernel --bidir", "--bidir is the client's");
    assert_refused("iperf -c h --kernel -1", "server's");
    assert_refused("iperf -c h --kernel -R --bidir", "one or the other");
    assert_refused("iperf -c h --kernel -t 5 -n 5", "one of them");
    assert_refused("iperf -c h --kernel -t 5s", "-t 5s: a whole number");
    assert_refused("iperf -c h --kernel -P 129", "from 1 to 128");
    assert_refused("iperf -c h --kernel -P 65 --bidir", "64 at most");
    assert_refused("iperf -c h --kernel -l 2m", "-l 2m");
    assert_refused("iperf -c h --kernel -b fast", "bits a second");
    assert_refused("iperf -c h --kernel -i 0.01", "0.1 at least");
    assert_refused("iperf -c h --kernel -i nan", "-i nan");
    assert_refused("iperf -c h --kernel -p 65536", "-p 65536");
    assert_refused("iperf -c h --kernel -C a-name-that-is-too-long", "congestion control");
    assert_refused("iperf -c h --kernel -f x", "-f x");
    assert_refused("iperf -c h --kernle", "Did you mean --kernel?");
    assert_refused("iperf -c h --kernel=1", "takes no value");
    assert_refused("iperf -c h -u --kernel", "no option -u");
    assert_refused("iperf -c", "-c wants a value");
    assert_refused("iperf -c h --kernel 7", "7: nothing but options");
    assert_refused("iperf -c h --dev tap:x --address 10.0.0.2", "the form is ADDRESS/BITS");
    assert_refused("iperf -c h --dev tap:x --address 10.0.0.2/33", "the form is");
    assert_refused("iperf -c h --dev tap:x --address 10.0.0.2/", "the form is");
    assert_refused("iperf -c h --dev tap:x --address 10.0.0.2/24 --gateway x", "not an address");
    assert_refused("iperf -c h --dev tap:x --address 10.0.0.2/24 --sysctl x", "NAME=VALUE");
}

static void test_options_rr_takes_its_words(void **state)
{
    (void)state;
    struct wpf_rr_options o = parsed("rr -c h --kernel --crr -P 16 -t 0.5 --request 1 --response 1m -p 7 -J").rr;
    assert_int_equal(o.test.kind, WPF_RR_CONNECTS);
    assert_int_equal(o.connections, 16);
    assert_int_equal(o.time, WEIR_MS(500));
    assert_int_equal(o.test.request_len, 1);
    assert_int_equal(o.test.response_len, 1 << 20);
    assert_true(o.is_json);
    o = parsed("rr -c h --kernel -n 100").rr;
    assert_int_equal(o.transactions, 100);
    assert_int_equal(o.test.kind, WPF_RR_REQUESTS);
    assert_int_equal(o.test.request_len, 64);
    assert_int_equal(o.port, 5202);
    assert_true(parsed("rr -s --kernel --one-off").rr.is_one_off);
    assert_int_equal(parsed("rr -s --kernel").rr.shards, 1);
    assert_int_equal(parsed("rr -s --dev tap:a --address 10.0.0.1/8 --shards 4").rr.shards, 4);
}

static void test_options_rr_mistakes_are_named(void **state)
{
    (void)state;
    assert_refused("rr", "-s or -c HOST?");
    assert_refused("rr -s --kernel --crr", "--crr is the client's");
    assert_refused("rr -s --kernel -P 5", "-P is the client's");
    assert_refused("rr -c h --kernel -1", "-1 is the server's");
    assert_refused("rr -c h --kernel --shards 2", "--shards is the server's");
    assert_refused("rr -s --kernel --shards 2", "not with --kernel");
    assert_refused("rr -s --dev tap:a --address 10.0.0.1/8 --shards 17", "from 1 to 16");
    assert_refused("rr -c h --kernel -t 1 -n 1", "not both");
    assert_refused("rr -c h --kernel --request 0", "from 1 to 1m");
    assert_refused("rr -c h --kernel --response 2m", "from 1 to 1m");
    assert_refused("rr -c h --kernel -P 0", "-P 0");
    assert_refused("rr -c h --kernel --requets 5", "Did you mean --request?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_iperf_client_takes_iperf3s_letters),
        cmocka_unit_test(test_options_iperf_what_is_not_said),
        cmocka_unit_test(test_options_iperf_mistakes_are_named),
        cmocka_unit_test(test_options_rr_takes_its_words),
        cmocka_unit_test(test_options_rr_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
