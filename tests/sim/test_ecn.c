/*
 * A bottleneck that marks in place of dropping: the queue stays short, nothing is lost, so nothing is sent again, and
 * every byte arrives (the flow compares them). With AccECN each mark that the network makes is counted by the sender.
 */
#include "sim/flow.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir/weir.h>

#define MBIT         UINT64_C(1000000)
#define LINK_BPS     (20 * MBIT)
#define ONE_WAY      WEIR_MS(10)
#define BEGIN        WEIR_SEC(2) /* after address detection */
#define LASTS        WEIR_SEC(12)
#define SETTLED      WEIR_SEC(2)        /* slow start is over */
#define BYTES        UINT64_C(18000000) /* 7.4 s of the link's time */
#define FEW_BYTES    UINT64_C(3000000)
#define MS_OF(bytes) (UINT64_C(1000) * (bytes)*8 / LINK_BPS)

struct transfer {
    const char *controller, *tcp_ecn;
    struct wio_dir_config up;
    uint32_t ack_loss;
    uint64_t bytes; /* 0: BYTES */
    /* results */
    uint32_t rtt_max_us; /* of any sample, once settled */
    uint64_t retransmits, received;
    weir_ns took;
    struct wio_link_stats link;
    struct weir_tcp_info info; /* of the sender */
};

static void on_event(void *ctx, struct wsim_host *h, const struct weir_event *ev)
{
    struct transfer *t = ctx;
    (void)h;
    if (ev->kind == WEIR_EV_RTT && ev->at > BEGIN + SETTLED && ev->u.rtt.sample / 1000 > t->rtt_max_us)
        t->rtt_max_us = (uint32_t)(ev->u.rtt.sample / 1000);
}

static bool is_over(void *ctx)
{
    const struct wsim_flow *flow = ctx;
    return flow->server.received >= flow->client.plan.bytes;
}

static void play(struct transfer *t)
{
    struct wsim_config c = {.seed = 11, .event_mask = 1u << WEIR_EV_RTT, .on_event = on_event, .ctx = t};
    struct wsim_world *world = wsim_world_new(&c);
    struct wsim_host *from = wsim_host_add(world, "from"), *to = wsim_host_add(world, "to");
    struct wio_link_config cfg = {.type = WEIR_LINK_ETHERNET, .mtu = 1500};
    cfg.dir[WIO_UP] = t->up;
    cfg.dir[WIO_UP].rate_bps = LINK_BPS;
    cfg.dir[WIO_UP].delay = cfg.dir[WIO_DOWN].delay = ONE_WAY;
    cfg.dir[WIO_DOWN].loss = t->ack_loss;
    struct wio_link *link = wsim_link_add(world, from, to, &cfg);
    assert_non_null(link);
    assert_int_equal(weir_sysctl_set(from->w, "net.ipv4.tcp_congestion_control", t->controller), 0);
    assert_int_equal(weir_sysctl_set(to->w, "net.ipv4.tcp_congestion_control", t->controller), 0);
    assert_int_equal(weir_sysctl_set(from->w, "net.ipv4.tcp_ecn", t->tcp_ecn), 0);
    assert_int_equal(weir_sysctl_set(to->w, "net.ipv4.tcp_ecn", t->tcp_ecn), 0);
    assert_null(wsim_run(world, BEGIN, NULL, NULL));

    struct wsim_flow *flow = calloc(1, sizeof *flow);
    struct weir_sockaddr at = {.addr = wsim_addr(1, WIO_FAR, WEIR_AF_INET), .family = WEIR_AF_INET, .port = 33000};
    struct wsim_plan client = {.bytes = t->bytes ? t->bytes : BYTES, .ending = WSIM_END_WAIT},
                     server = {.ending = WSIM_END_WAIT};
    wsim_flow_begin(flow, from, to, &at, &client, &server, 1);
    assert_null(wsim_run(world, BEGIN + 4 * LASTS, is_over, flow));
    t->received = flow->server.received;
    t->took = wsim_now(world) - BEGIN;
    assert_null(wsim_run(world, wsim_now(world) + WEIR_SEC(1), NULL, NULL)); /* the last ACK */
    uint32_t len = sizeof t->info;
    assert_int_equal(weir_getsockopt(from->w, flow->client.waiter.fd, WEIR_SOL_TCP, WEIR_TCP_INFO, &t->info, &len), 0);
    assert_int_equal(weir_stat_get(from->w, "TcpRetransSegs", &t->retransmits), 0);
    t->link = wio_link_stats(link, WIO_UP);
    uint64_t dropped = t->link.queue_full + t->link.queue_managed;
    printf("%s, tcp_ecn %s: %" PRIu64 " ms, RTT at most %u us, %" PRIu64 " marked, %u told, %" PRIu64
           " retransmitted, %" PRIu64 " dropped\n",
           t->controller, t->tcp_ecn, t->took / WEIR_MS(1), t->rtt_max_us, t->link.ce_marked, t->info.delivered_ce,
           t->retransmits, dropped);
    wsim_world_free(world);
    free(flow);
}

static void assert_whole_and_without_loss(const struct transfer *t)
{
    assert_int_equal(t->received, BYTES);
    assert_int_equal(t->retransmits, 0);
    assert_int_equal(t->link.queue_full + t->link.queue_managed, 0);
    assert_true(t->link.ce_marked > 0);
}

static const char *const controllers[] = {"reno", "cubic", "dctcp"};

/* A step at 40 KB, four fifths of what is under way on this path: the queue stays near it where it has room for ten
 * times as much, and the link is in use. */
static void test_step_keeps_the_queue_short_and_loses_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct transfer t = {.controller = controllers[i % 3],
                             .tcp_ecn = i < 3 ? "1" : "3",
                             .up = {.ecn_bytes = 40000, .queue_bytes = 500000}};
        play(&t);
        assert_whole_and_without_loss(&t);
        assert_true(t.took < WEIR_MS(MS_OF(BYTES) * 120 / 100));
        assert_true(t.rtt_max_us < 20000 + 1000 * MS_OF(90000) + 45000);
    }
}

/* DCTCP answers the share that is marked: a third of the queue suffices it. */
static void test_dctcp_fills_the_link_with_a_shallow_step(void **state)
{
    (void)state;
    for (int accurate = 0; accurate < 2; accurate++) {
        struct transfer t = {
            .controller = "dctcp", .tcp_ecn = accurate ? "3" : "1", .up = {.ecn_bytes = 15000, .queue_bytes = 500000}};
        play(&t);
        assert_whole_and_without_loss(&t);
        assert_true(t.took < WEIR_MS(MS_OF(BYTES) * 112 / 100));
    }
}

static void test_codel_marks_in_place_of_dropping(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct transfer t = {.controller = controllers[i % 2],
                             .tcp_ecn = i < 2 ? "1" : "3",
                             .up = {.codel_target = WEIR_MS(5), .queue_bytes = 500000}};
        play(&t);
        assert_whole_and_without_loss(&t);
        assert_true(t.took < WEIR_MS(MS_OF(BYTES) * 125 / 100));
    }
    struct transfer without = {
        .controller = "cubic", .tcp_ecn = "0", .up = {.codel_target = WEIR_MS(5), .queue_bytes = 500000}};
    play(&without);
    assert_int_equal(without.received, BYTES);
    assert_int_equal(without.link.ce_marked, 0);
    assert_true(without.link.queue_managed > 0 && without.retransmits >= without.link.queue_managed);
}

/* Whatever share is marked, and whatever share of the ACKs that say so is lost, the sender knows of each mark. */
static void test_accurate_feedback_counts_each_mark(void **state)
{
    (void)state;
    static const unsigned shares[] = {1, 10, 50, 100};
    for (unsigned loss = 0; loss <= 10; loss += 10) {
        for (unsigned i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            struct transfer t = {.controller = "dctcp",
                                 .tcp_ecn = "3",
                                 .up = {.ce = WIO_PROB_ONE / 100 * shares[i], .queue_bytes = 500000},
                                 .ack_loss = WIO_PROB_ONE / 100 * loss,
                                 .bytes = FEW_BYTES};
            play(&t);
            assert_int_equal(t.received, FEW_BYTES);
            /* What came already is out of the window, marked or not; and where ACKs are missing, marks that may have
             * been are counted. */
            assert_true(t.info.delivered_ce + t.retransmits >= t.link.ce_marked);
            if (loss > 0)
                continue;
            assert_int_equal(t.info.delivered_ce, t.link.ce_marked);
            assert_int_equal(t.info.delivered_ce_bytes + t.info.delivered_e0_bytes, FEW_BYTES);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_keeps_the_queue_short_and_loses_nothing),
        cmocka_unit_test(test_dctcp_fills_the_link_with_a_shallow_step),
        cmocka_unit_test(test_codel_marks_in_place_of_dropping),
        cmocka_unit_test(test_accurate_feedback_counts_each_mark),
    };
    return cmocka_run_group_tests_name("sim/ecn", tests, NULL, NULL);
}
