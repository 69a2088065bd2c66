/*
 * What congestion controllers make of a bottleneck: how much of it they use, and how long a queue they keep.
 */
#include "sim/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir/weir.h>

#define MBIT         UINT64_C(1000000)
#define ONE_WAY      WEIR_MS(20)
#define PERCENT      (WIO_PROB_ONE / 100)
#define LINK_BPS     (10 * MBIT)
#define BEGIN        WEIR_SEC(2) /* after address detection */
#define SETTLED      WEIR_SEC(3) /* from the start: Startup is over, its queue is drained */
#define SECOND_AFTER WEIR_SEC(2)
#define PAYLOAD_PCT  96 /* of a full packet: 1448 of 1514 bytes, rounded up */

struct transfer {
    const char *controller;
    uint32_t loss;
    uint64_t queue_bytes;
    uint64_t police_bps;   /* 0: a queue before LINK_BPS instead */
    const char *second_by; /* another flow beside it, by this controller; NULL: none */
    weir_ns lasts;
    /* results */
    uint64_t bytes, second_bytes; /* that arrived */
    uint32_t rtt_max_us;          /* of any sample, once settled */
    uint64_t retransmits;
};

static void on_event(void *ctx, struct wsim_host *h, const struct weir_event *ev)
{
    struct transfer *t = ctx;
    (void)h;
    if (ev->kind == WEIR_EV_RTT && ev->at > BEGIN + SETTLED && ev->u.rtt.sample / 1000 > t->rtt_max_us)
        t->rtt_max_us = (uint32_t)(ev->u.rtt.sample / 1000);
}

static struct wsim_flow *begin_flow(struct wsim_host *from, struct wsim_host *to, const char *controller, unsigned i)
{
    struct wsim_flow *flow = calloc(1, sizeof *flow);
    struct weir_sockaddr at = {
        .addr = wsim_addr(1, WIO_FAR, WEIR_AF_INET), .family = WEIR_AF_INET, .port = (uint16_t)(33000 + i)};
    struct wsim_plan client = {.bytes = UINT64_C(1) << 40}, server = {.bytes = 0};
    assert_int_equal(weir_sysctl_set(from->w, "net.ipv4.tcp_congestion_control", controller), 0);
    wsim_flow_begin(flow, from, to, &at, &client, &server, 1 + i);
    return flow;
}

static void play(struct transfer *t)
{
    struct wsim_config c = {.seed = 7, .event_mask = 1u << WEIR_EV_RTT, .on_event = on_event, .ctx = t};
    struct wsim_world *world = wsim_world_new(&c);
    struct wsim_host *from = wsim_host_add(world, "from"), *to = wsim_host_add(world, "to");
    struct wio_link_config link = {.type = WEIR_LINK_ETHERNET, .mtu = 1500};
    for (int d = 0; d < 2; d++)
        link.dir[d] = (struct wio_dir_config){.delay = ONE_WAY};
    link.dir[WIO_UP].rate_bps = t->police_bps ? 10 * LINK_BPS : LINK_BPS;
    link.dir[WIO_UP].loss = t->loss;
    link.dir[WIO_UP].queue_bytes = t->queue_bytes;
    link.dir[WIO_UP].police_bps = t->police_bps;
    assert_non_null(wsim_link_add(world, from, to, &link));
    assert_null(wsim_run(world, BEGIN, NULL, NULL));

    struct wsim_flow *flow = begin_flow(from, to, t->controller, 0), *second = NULL;
    if (t->second_by) {
        assert_null(wsim_run(world, BEGIN + SECOND_AFTER, NULL, NULL));
        second = begin_flow(from, to, t->second_by, 1);
    }
    assert_null(wsim_run(world, BEGIN + t->lasts / 2, NULL, NULL));
    uint64_t half = flow->server.received, half_second = second ? second->server.received : 0;
    assert_null(wsim_run(world, BEGIN + t->lasts, NULL, NULL));
    t->bytes = flow->server.received - (second ? half : 0); /* beside another: once both have settled */
    t->second_bytes = second ? second->server.received - half_second : 0;
    assert_int_equal(weir_stat_get(from->w, "TcpRetransSegs", &t->retransmits), 0);
    wsim_world_free(world);
    free(flow);
    free(second);
}

/* Percent of what the link carries as payload in that time. */
static unsigned used_percent(const struct transfer *t)
{
    uint64_t most = LINK_BPS / 8 * (t->lasts / WEIR_SEC(1)) * PAYLOAD_PCT / 100;
    unsigned percent = (unsigned)(t->bytes * 100 / most);
    printf("%s, loss %u %%: %u %% used, RTT at most %u us, %llu retransmitted\n", t->controller, t->loss / PERCENT,
           percent, t->rtt_max_us, (unsigned long long)t->retransmits);
    return percent;
}

/* Random loss is no congestion to BBR up to about 2 %: it goes on where a window that falls with each loss starves.
 * Above that its bounds come down as BBR v3's do, and still it keeps more than CUBIC. */
static void test_bbr_on_a_lossy_link_keeps_more_than_cubic(void **state)
{
    (void)state;
    static const unsigned least[] = {0, 90, 80, 75};
    for (unsigned loss = 1; loss <= 3; loss++) {
        struct transfer bbr = {
            .controller = "bbr", .loss = loss * PERCENT, .queue_bytes = 100000, .lasts = WEIR_SEC(30)};
        struct transfer cubic = bbr;
        cubic.controller = "cubic";
        play(&bbr);
        play(&cubic);
        unsigned used = used_percent(&bbr);
        assert_true(used >= least[loss] && used > 3 * used_percent(&cubic) / 2);
    }
}

static void test_bbr_fills_a_clean_link_and_keeps_the_queue_short(void **state)
{
    (void)state;
    struct transfer t = {.controller = "bbr", .queue_bytes = 1000000, .lasts = WEIR_SEC(30)};
    play(&t);
    assert_true(used_percent(&t) >= 90);
    assert_true(t.rtt_max_us < 100000); /* RTT, probe and delayed ACK, where the queue has room for 800 ms */
    assert_int_equal(t.retransmits, 0);
}

/* The others, on the same link. */
static void test_window_controllers_fill_a_clean_link(void **state)
{
    (void)state;
    static const char *const names[] = {"reno", "cubic", "dctcp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct transfer t = {.controller = names[i], .queue_bytes = 100000, .lasts = WEIR_SEC(30)};
        play(&t);
        assert_true(used_percent(&t) >= 90);
    }
}

/* A token bucket that drops what is beyond its rate, behind a link ten times as fast: no queue tells of it. Most of the
 * rate is used, and little is lost. */
static void test_controllers_behind_a_policer_lose_little(void **state)
{
    (void)state;
    static const char *const names[] = {"reno", "cubic", "bbr", "dctcp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct transfer t = {
            .controller = names[i], .queue_bytes = 1000000, .police_bps = LINK_BPS, .lasts = WEIR_SEC(30)};
        play(&t);
        assert_true(used_percent(&t) >= 60);
        assert_true(t.retransmits * 1448 * 20 < t.bytes); /* a twentieth */
    }
}

/* Two flows over one queue, the second two seconds later: neither starves. */
static void test_two_flows_share_the_link(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"reno", "reno"}, {"cubic", "cubic"}, {"bbr", "bbr"}, {"cubic", "reno"}, {"cubic", "bbr"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct transfer t = {
            .controller = pairs[i][0], .second_by = pairs[i][1], .queue_bytes = 100000, .lasts = WEIR_SEC(60)};
        play(&t);
        uint64_t all = t.bytes + t.second_bytes;
        printf("%s beside %s: %llu %% and %llu %%\n", pairs[i][0], pairs[i][1],
               (unsigned long long)(t.bytes * 100 / all), (unsigned long long)(t.second_bytes * 100 / all));
        bool is_same = strcmp(pairs[i][0], pairs[i][1]) == 0;
        assert_true(t.bytes * 100 / all >= (is_same ? 30 : 15) && t.second_bytes * 100 / all >= (is_same ? 30 : 15));
        assert_true(all > LINK_BPS / 8 * 30 * 85 / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bbr_on_a_lossy_link_keeps_more_than_cubic),
        cmocka_unit_test(test_bbr_fills_a_clean_link_and_keeps_the_queue_short),
        cmocka_unit_test(test_window_controllers_fill_a_clean_link),
        cmocka_unit_test(test_controllers_behind_a_policer_lose_little),
        cmocka_unit_test(test_two_flows_share_the_link),
    };
    return cmocka_run_group_tests_name("sim/cc", tests, NULL, NULL);
}
