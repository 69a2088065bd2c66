/* What stands between back-ticks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "drill/command.h"

static char said[2048]; /* what was asked for, in order */

static void say(const char *fmt, ...)
{
    size_t len = strlen(said);
    va_list args;
    va_start(args, fmt);
    vsnprintf(said + len, sizeof said - len, fmt, args);
    va_end(args);
}

static int set_sysctl(void *ctx, const char *name, const char *value)
{
    (void)ctx;
    if (strcmp(name, "net.ipv4.none") == 0)
        return -ENOENT;
    say("%s=%s;", name, value);
    return strcmp(value, "bad") == 0 ? -EINVAL : 0;
}

static int set_route(void *ctx, uint32_t mtu, uint32_t advmss, uint32_t initcwnd)
{
    (void)ctx;
    say("route %u %u %u;", mtu, advmss, initcwnd);
    return 0;
}

static void set_discard(void *ctx, bool on)
{
    (void)ctx;
    say("discard %d;", on);
}

static void sleep_for(void *ctx, uint64_t ns)
{
    (void)ctx;
    say("sleep %llu;", (unsigned long long)ns);
}

static int nstat(void *ctx, const char *pipeline)
{
    (void)ctx;
    say("nstat <%s>;", pipeline);
    return strstr(pipeline, "Nothing") ? -ENODATA : strstr(pipeline, "sort") ? -ENOSYS : 0;
}

static const struct wdr_command_ops ops = {set_sysctl, set_route, set_discard, sleep_for, nstat, NULL};

static void does(const char *text, const char *what)
{
    char err[256];
    said[0] = '\0';
    if (!wdr_command_run(&ops, text, err, sizeof err))
        fail_msg("%s: %s", text, err);
    assert_string_equal(said, what);
}

static void refuses(const char *text, const char *words)
{
    char err[256];
    if (wdr_command_run(&ops, text, err, sizeof err))
        fail_msg("this should be refused: %s", text);
    if (!strstr(err, words))
        fail_msg("'%s' does not say '%s'", err, words);
}

static void test_command_tunables_by_every_road(void **state)
{
    (void)state;
    does("sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_ecn=1", "net.ipv4.tcp_sack=0;net.ipv4.tcp_ecn=1;");
    does("sysctl -q net.ipv4.tcp_rmem=\"4096 5000 6000\"", "net.ipv4.tcp_rmem=4096 5000 6000;");
    does("../common/set_sysctls.py /proc/sys/net/ipv4/tcp_wmem='1 2 3'\n", "net.ipv4.tcp_wmem=1 2 3;");
    does("echo 3 > /proc/sys/net/ipv4/tcp_reordering; echo 1 2 >/proc/sys/net/ipv4/x",
         "net.ipv4.tcp_reordering=3;net.ipv4.x=1 2;");
    does("sysctl -q net.ipv4.a=1 2>/dev/null && sysctl -q net.ipv4.b=2 \\\n net.ipv4.c=3 # why",
         "net.ipv4.a=1;net.ipv4.b=2;net.ipv4.c=3;");
}

static void test_command_defaults_set_the_suite(void **state)
{
    (void)state;
    char err[256];
    said[0] = '\0';
    assert_true(wdr_command_run(&ops, "../../common/defaults.sh\nsysctl -q net.ipv4.tcp_ecn=2", err, sizeof err));
    assert_non_null(strstr(said, "tcp_rmem=4096 540000 15728640;"));
    assert_non_null(strstr(said, "tcp_ecn=0;"));
    assert_non_null(strstr(said, "tcp_ecn=2;"));
}

static void test_command_routes_queues_and_sleep(void **state)
{
    (void)state;
    does("ip route change 192.0.2.0/24 via 192.168.0.2 dev tun0 mtu lock 1300 advmss 900 initcwnd 3",
         "route 1300 900 3;");
    does("ip tcp_metrics flush all > /dev/null 2>&1", "");
    does("tc qdisc replace dev tun0 root pfifo limit 0", "net.core.default_qdisc=pfifo_fast;discard 1;");
    does("tc qdisc replace dev tun0 root fq", "net.core.default_qdisc=fq;discard 0;");
    does("tc qdisc del dev tun0 root fq", "net.core.default_qdisc=pfifo_fast;discard 0;");
    does("sleep 0.25", "sleep 250000000;");
    does("ethtool -K tun0 tso off gso off; /tmp/sysctl_restore_${PPID}.sh", "");
    does("nstat -n; nstat | grep TcpExtX | grep -q ' 2 ' > /dev/null\nsleep 1",
         "nstat <nstat -n;>;nstat < nstat | grep TcpExtX | grep -q ' 2 ' > /dev/null\n>;sleep 1000000000;");
}

static void test_command_what_means_nothing_is_refused(void **state)
{
    (void)state;
    refuses("rm -rf /", "means nothing to weir");
    refuses("sysctl -q net.ipv4.none=1", "no such tunable");
    refuses("sysctl -q net.ipv4.x=bad", "does not take that value");
    refuses("tc qdisc add dev tun0 root netem loss 3%", "a queue that weir does not have");
    refuses("nstat | grep -q TcpExtNothing", "nothing of it is left over");
    refuses("nstat | sort", "no filter of it but grep");
    refuses("echo 1 | tee /proc/sys/net/ipv4/tcp_sack", "can go to another command");
    refuses("ip link set tun0 down", "only ip route");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_tunables_by_every_road),
        cmocka_unit_test(test_command_defaults_set_the_suite),
        cmocka_unit_test(test_command_routes_queues_and_sleep),
        cmocka_unit_test(test_command_what_means_nothing_is_refused),
    };
    return cmocka_run_group_tests_name("drill/command", tests, NULL, NULL);
}
