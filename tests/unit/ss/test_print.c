/* A socket as a line of JSON and back, and in ss's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ss/print.h"

/* Every member that goes over the wire has a value of its own. */
static struct wir_view full(void)
{
    struct wir_view v;
    struct weir_sock_info *i = &v.info;
    memset(&v, 0, sizeof v);
    *i = (struct weir_sock_info){.fd = 0, .id = 77, .family = WEIR_AF_INET, .protocol = WEIR_IPPROTO_TCP};
    i->state = WEIR_SOCK_ESTABLISHED;
    i->timer = WEIR_SOCK_TIMER_PERSIST;
    i->timer_tries = 3;
    i->timer_left = WEIR_MS(1609);
    i->is_parked = i->has_tcp_info = true;
    i->shutdown = 2;
    i->local = (struct weir_sockaddr){.family = WEIR_AF_INET, .addr = weir_addr_v4(127, 0, 0, 1), .port = 8999};
    i->remote = (struct weir_sockaddr){.family = WEIR_AF_INET, .addr = weir_addr_v4(192, 0, 2, 9), .port = 443};
    i->recv_q = 11;
    i->send_q = 12;
    for (unsigned k = 0; k < WEIR_MEMINFO_N; k++)
        i->meminfo[k] = 100 + k;
    snprintf(i->congestion, sizeof i->congestion, "cubic");
    v.inode = 4242;
    v.tcp = (struct weir_tcp_info){
        .options = 7,
        .snd_wscale = 7,
        .rcv_wscale = 9,
        .delivery_rate_app_limited = 1,
        .rto = 204000,
        .rtt = 40100,
        .rttvar = 5000,
        .ato = 40000,
        .snd_mss = 1448,
        .pmtu = 1500,
        .rcv_mss = 1400,
        .advmss = 1448,
        .snd_cwnd = 10,
        .snd_ssthresh = 7,
        .bytes_sent = 1,
        .bytes_retrans = 2,
        .bytes_acked = 3,
        .bytes_received = 4,
        .segs_out = 5,
        .segs_in = 6,
        .data_segs_out = 7,
        .data_segs_in = 8,
        .last_data_sent = 9,
        .last_data_recv = 10,
        .last_ack_recv = 11,
        .pacing_rate = 1000000,
        .max_pacing_rate = UINT64_MAX,
        .delivery_rate = 12345678,
        .delivered = 12,
        .busy_time = 10000,
        .rwnd_limited = 5000,
        .sndbuf_limited = 1000,
        .unacked = 13,
        .total_retrans = 1,
        .lost = 14,
        .sacked = 15,
        .reordering = 4,
        .rcv_rtt = 1500,
        .rcv_space = 16,
        .rcv_ssthresh = 17,
        .notsent_bytes = 18,
        .min_rtt = 40000,
        .snd_wnd = 19,
    };
    v.tcp.ledger.life = 1000;
    v.tcp.ledger.spent[WEIR_CAUSE_CWND] = 750;
    v.tcp.ledger.spent[WEIR_CAUSE_IDLE] = 250;
    return v;
}

static bool read_back(const char *line, struct wir_view *out)
{
    json_error_t err;
    json_t *o = json_loads(line, 0, &err);
    assert_non_null(o);
    bool is_good = wir_view_read(json_object_get(o, "socket"), out);
    json_decref(o);
    return is_good;
}

static void test_view_survives_the_line(void **state)
{
    struct wir_view v = full(), back;
    char line[WIR_VIEW_LINE_MAX];
    (void)state;
    size_t len = wir_view_write(&v, true, line);
    assert_int_equal(len, strlen(line));
    assert_int_equal(line[len - 1], '\n');
    assert_true(read_back(line, &back));
    assert_memory_equal(&back.tcp, &v.tcp, WEIR_TCP_INFO_LINUX_LEN - 40); /* state is in info, not here */
    assert_memory_equal(&back.tcp.ledger, &v.tcp.ledger, sizeof v.tcp.ledger);
    assert_memory_equal(back.info.meminfo, v.info.meminfo, sizeof v.info.meminfo);
    assert_string_equal(back.info.congestion, "cubic");
    assert_true(back.info.timer_left == WEIR_MS(1609) && back.info.timer_tries == 3);
    assert_true(back.inode == 4242 && back.info.id == 77 && back.info.shutdown == 2 && back.info.is_parked);
    assert_true(back.info.recv_q == 11 && back.info.send_q == 12 && back.info.remote.port == 443);
    assert_true(weir_addr_equal(&back.info.remote.addr, &v.info.remote.addr));
}

/* All numbers at their largest: the line has room for them. */
static void test_view_of_the_largest_numbers_fits(void **state)
{
    struct wir_view v, back;
    char line[WIR_VIEW_LINE_MAX];
    (void)state;
    memset(&v, 0xff, sizeof v);
    v.info.fd = 1;
    v.info.protocol = WEIR_IPPROTO_TCP;
    v.info.family = WEIR_AF_INET6;
    v.info.state = WEIR_SOCK_CLOSING;
    v.info.is_v6only = v.info.is_parked = v.info.has_tcp_info = true;
    snprintf(v.info.congestion, sizeof v.info.congestion, "bbr");
    v.info.cc_info_len = sizeof v.info.cc_info.bbr;
    assert_true(wir_view_write(&v, true, line) < WIR_VIEW_LINE_MAX - 64);
    assert_true(read_back(line, &back));
    assert_true(back.tcp.pacing_rate == UINT64_MAX && back.tcp.rtt == UINT32_MAX);
}

static void test_view_from_a_stranger_is_checked(void **state)
{
    static const char *const bad[] = {
        "{\"socket\":{}}",
        "{\"socket\":[1,2]}",
        "{\"socket\":{\"proto\":6,\"state\":99,\"local\":[\"1.2.3.4\",1],\"peer\":[\"1.2.3.4\",1]}}",
        "{\"socket\":{\"proto\":1,\"state\":1,\"local\":[\"1.2.3.4\",1],\"peer\":[\"1.2.3.4\",1]}}",
        "{\"socket\":{\"proto\":6,\"state\":1,\"local\":[\"1.2.3\",1],\"peer\":[\"1.2.3.4\",1]}}",
        "{\"socket\":{\"proto\":6,\"state\":1,\"local\":[\"1.2.3.4\",70000],\"peer\":[\"1.2.3.4\",1]}}",
        "{\"socket\":{\"proto\":6,\"state\":1,\"local\":\"1.2.3.4\",\"peer\":[\"1.2.3.4\",1]}}",
    };
    struct wir_view v;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(read_back(bad[i], &v));
    assert_true(read_back("{\"socket\":{\"proto\":6,\"state\":1,\"local\":[\"1.2.3.4\",1],\"peer\":[\"1.2.3.4\",1],"
                          "\"timer\":[9,9,9],\"cc\":\"a\\u001b[2Jb\",\"info\":{\"rtt\":\"x\"},\"mem\":{}}}",
                          &v));
    assert_int_equal(v.info.timer, 0);
    assert_string_equal(v.info.congestion, "a");
    assert_int_equal(v.tcp.rtt, 0);
}

static char *details(const struct wir_view *v, const struct wss_show *show)
{
    static char text[4096];
    struct wss_owner one = {.inode = 4242, .pid = 9, .fd = 3, .name = "curl"};
    struct wss_owners owners = {&one, 1, 1};
    FILE *out = fmemopen(text, sizeof text, "w");
    wss_print_details(out, v, show, &owners);
    fclose(out);
    return text;
}

/* Word for word what iproute2's ss 6.1 -tinoem prints of such a socket. */
static void test_details_read_as_ss(void **state)
{
    struct wir_view v = full();
    struct wss_show show = {.timer = true, .users = true, .extended = true, .memory = true, .info = true};
    (void)state;
    show.is_numeric = true;
    assert_string_equal(
        details(&v, &show),
        " users:((\"curl\",pid=9,fd=3)) timer:(persist,1.609ms,3) ino:4242 sk:4d <-- parked\n\t"
        " skmem:(r100,rb101,t102,tb103,f104,w105,o106,bl107,d108) ts sack cubic wscale:7,9 rto:204 rtt:40.1/5 ato:40"
        " mss:1448 pmtu:1500 rcvmss:1400 advmss:1448 cwnd:10 ssthresh:7 bytes_sent:1 bytes_retrans:2 bytes_acked:3"
        " bytes_received:4 segs_out:5 segs_in:6 data_segs_out:7 data_segs_in:8 send 2888778bps lastsnd:9 lastrcv:10"
        " lastack:11 pacing_rate 8000000bps delivery_rate 98765424bps delivered:12 app_limited busy:10ms"
        " rwnd_limited:5ms(50.0%) sndbuf_limited:1ms(10.0%) unacked:13 retrans:0/1 lost:14 sacked:15 reordering:4"
        " rcv_rtt:1.5 rcv_space:16 rcv_ssthresh:17 notsent:18 minrtt:40 snd_wnd:19");
}

static void test_details_rates_are_short_unless_numeric(void **state)
{
    char text[48];
    (void)state;
    assert_string_equal(wss_rate_text(26576362056.0, false, text, sizeof text), "26.6G");
    assert_string_equal(wss_rate_text(172032000000.0, false, text, sizeof text), "172G");
    assert_string_equal(wss_rate_text(999.0, false, text, sizeof text), "999");
    assert_string_equal(wss_rate_text(26576362056.0, true, text, sizeof text), "26576362056");
}

static void test_details_ledger_has_shares(void **state)
{
    struct wir_view v = full();
    struct wss_show show = {.ledger = true, .is_one_line = true};
    (void)state;
    assert_string_equal(details(&v, &show), " ledger:(congestion window:75.0%,idle:25.0%)");
}

static void test_endpoints_have_ss_forms(void **state)
{
    struct weir_sock_info s = {.family = WEIR_AF_INET6, .protocol = WEIR_IPPROTO_TCP};
    char text[WSS_ADDR_CAP];
    struct weir_sockaddr any = {.addr = weir_addr_any(WEIR_AF_INET6)};
    struct weir_sockaddr mapped = {.addr = weir_addr_v4(127, 0, 0, 1), .port = 80};
    (void)state;
    assert_string_equal(wss_host_text(&s, &any, text, sizeof text), "*");
    assert_string_equal(wss_port_text(&s, &any, true, text, sizeof text), "*");
    assert_string_equal(wss_host_text(&s, &mapped, text, sizeof text), "[::ffff:127.0.0.1]");
    assert_string_equal(wss_port_text(&s, &mapped, true, text, sizeof text), "80");
    s.is_v6only = true;
    assert_string_equal(wss_host_text(&s, &any, text, sizeof text), "[::]");
    s.family = WEIR_AF_INET;
    any.addr = weir_addr_any(WEIR_AF_INET);
    assert_string_equal(wss_host_text(&s, &any, text, sizeof text), "0.0.0.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_survives_the_line),
        cmocka_unit_test(test_view_of_the_largest_numbers_fits),
        cmocka_unit_test(test_view_from_a_stranger_is_checked),
        cmocka_unit_test(test_details_read_as_ss),
        cmocka_unit_test(test_details_rates_are_short_unless_numeric),
        cmocka_unit_test(test_details_ledger_has_shares),
        cmocka_unit_test(test_endpoints_have_ss_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
