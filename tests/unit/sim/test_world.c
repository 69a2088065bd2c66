/* The world (sim/world.h): its clock, its order, and how it says that something is wrong. */
#include "sim/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include <cmocka.h>

struct bell {
    struct wsim_alarm alarm; /* first: the callback gets its address */
    struct wsim_world *world;
    char name;
    weir_ns again; /* rings for ever, so much later */
};

static char rung[16];

static void on_bell(struct wsim_alarm *a)
{
    struct bell *b = (struct bell *)a;
    size_t n = strlen(rung);
    if (n + 1 < sizeof rung)
        rung[n] = b->name;
    if (b->again != WEIR_NEVER)
        wsim_alarm_set(b->world, a, wsim_now(b->world) + b->again);
}

static struct bell bell(struct wsim_world *wd, char name, weir_ns again)
{
    return (struct bell){.alarm = {.on_alarm = on_bell}, .world = wd, .name = name, .again = again};
}

static void test_world_alarms_ring_by_time_then_by_turn(void **state)
{
    (void)state;
    memset(rung, 0, sizeof rung);
    struct wsim_world *wd = wsim_world_new(&(struct wsim_config){.seed = 1});
    struct bell a = bell(wd, 'a', WEIR_NEVER), b = bell(wd, 'b', WEIR_NEVER), c = bell(wd, 'c', WEIR_NEVER),
                d = bell(wd, 'd', WEIR_NEVER);
    wsim_alarm_set(wd, &a.alarm, 50);
    wsim_alarm_set(wd, &b.alarm, 10);
    wsim_alarm_set(wd, &c.alarm, 50);
    wsim_alarm_set(wd, &d.alarm, 20);
    wsim_alarm_cancel(wd, &d.alarm);
    assert_null(wsim_run(wd, 49, NULL, NULL));
    assert_string_equal(rung, "b");
    assert_int_equal(wsim_now(wd), 49);
    assert_null(wsim_run(wd, WEIR_NEVER, NULL, NULL));
    assert_string_equal(rung, "bac");
    assert_int_equal(wsim_now(wd), 50); /* nothing was due any more */
    wsim_world_free(wd);
}

/* Hundreds at random times, some moved, some cancelled: they ring in the order of time and turn. */
#define MANY 500

static struct many {
    struct wsim_alarm alarm; /* first, as in struct bell */
    weir_ns at;
    unsigned turn;
    bool is_off;
} many[MANY];
static weir_ns last_at;
static unsigned last_turn, many_rung;

static void on_many(struct wsim_alarm *a)
{
    const struct many *m = (struct many *)a;
    assert_false(m->is_off);
    assert_true(m->at > last_at || (m->at == last_at && m->turn > last_turn));
    last_at = m->at;
    last_turn = m->turn;
    many_rung++;
}

static void test_world_many_alarms_ring_in_order(void **state)
{
    (void)state;
    struct wsim_world *wd = wsim_world_new(&(struct wsim_config){.seed = 1});
    struct wio_rng *rng = wsim_rng(wd);
    unsigned turn = 0, off = 0;
    last_at = last_turn = many_rung = 0;
    for (unsigned i = 0; i < 3 * MANY; i++) {
        struct many *m = &many[i < MANY ? i : wio_rng_u64(rng) % MANY];
        m->alarm.on_alarm = on_many;
        m->at = 1 + wio_rng_u64(rng) % 100;
        m->turn = ++turn;
        m->is_off = i % 5 == 4;
        wsim_alarm_set(wd, &m->alarm, m->at);
        if (m->is_off)
            wsim_alarm_cancel(wd, &m->alarm);
    }
    for (unsigned i = 0; i < MANY; i++)
        off += many[i].is_off;
    assert_null(wsim_run(wd, WEIR_NEVER, NULL, NULL));
    assert_int_equal(many_rung, MANY - off);
    assert_true(off > 0);
    wsim_world_free(wd);
}

static void test_world_whose_time_stands_still_fails(void **state)
{
    (void)state;
    struct wsim_world *wd = wsim_world_new(&(struct wsim_config){.seed = 1});
    struct bell a = bell(wd, 'a', 0);
    wsim_alarm_set(wd, &a.alarm, 50);
    const char *wrong = wsim_run(wd, WEIR_SEC(1), NULL, NULL);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "at 0.000000050 s: time stands still"));
    wsim_world_free(wd);
}

static void test_world_with_too_many_steps_fails(void **state)
{
    (void)state;
    struct wsim_world *wd = wsim_world_new(&(struct wsim_config){.seed = 1, .steps_max = 100});
    struct bell a = bell(wd, 'a', 1);
    wsim_alarm_set(wd, &a.alarm, 1);
    assert_non_null(strstr(wsim_run(wd, WEIR_SEC(1), NULL, NULL), "no end after 100 steps"));
    wsim_world_free(wd);
}

static bool is_done(void *ctx)
{
    return ((struct wsim_flow *)ctx)->is_done;
}

/* Three hosts on two links, each connection over its own. */
static void test_world_links_have_nets_of_their_own(void **state)
{
    (void)state;
    struct wsim_world *wd = wsim_world_new(&(struct wsim_config){.seed = 1, .check_every = 1});
    struct wsim_host *a = wsim_host_add(wd, "a"), *b = wsim_host_add(wd, "b"), *c = wsim_host_add(wd, "c");
    assert_non_null(wsim_link_add(wd, a, b, &(struct wio_link_config){0}));
    assert_non_null(wsim_link_add(wd, b, c, &(struct wio_link_config){.dir = {{.delay = WEIR_MS(3)}}}));
    assert_null(wsim_run(wd, WEIR_SEC(5), NULL, NULL));
    struct wsim_flow flow = {0};
    struct wsim_plan plan = {.bytes = 5000};
    struct weir_sockaddr to = {.addr = wsim_addr(2, WIO_FAR, WEIR_AF_INET6), .family = WEIR_AF_INET6, .port = 80};
    wsim_flow_begin(&flow, b, c, &to, &plan, &plan, 1);
    assert_null(wsim_run(wd, WEIR_SEC(60), is_done, &flow));
    assert_true(flow.is_done);
    assert_true(flow.ended - flow.began >= WEIR_MS(6) && flow.ended - flow.began < WEIR_MS(100));
    wsim_world_free(wd);
}

static void test_world_refused_connection_is_told(void **state)
{
    (void)state;
    struct wsim_world *wd = wsim_world_new(&(struct wsim_config){.seed = 1});
    struct wsim_host *a = wsim_host_add(wd, "a"), *b = wsim_host_add(wd, "b");
    assert_non_null(wsim_link_add(wd, a, b, &(struct wio_link_config){0}));
    assert_null(wsim_run(wd, WEIR_SEC(5), NULL, NULL));
    struct wsim_flow flow = {0};
    struct wsim_plan plan = {.bytes = 10};
    struct weir_sockaddr to = {.addr = wsim_addr(1, WIO_FAR, WEIR_AF_INET), .family = WEIR_AF_INET, .port = 80};
    wsim_flow_begin(&flow, a, b, &to, &plan, &plan, 1);
    assert_int_equal(weir_close(b->w, flow.listener.fd), 0); /* before the SYN arrives */
    const char *wrong = wsim_run(wd, WEIR_SEC(60), is_done, &flow);
    assert_non_null(wrong);
    assert_non_null(strstr(wrong, "client: connect: connection refused"));
    wsim_world_free(wd);
}

/* Two hosts with two routers between them. */
struct chain {
    struct wsim_world *world;
    struct wsim_host *near, *routers[2], *far;
    struct wio_link *links[3];
};

static void open_chain(struct chain *c, const struct wio_dir_config *middle)
{
    struct wio_link_config raw = {.type = WEIR_LINK_RAW_IP}, mid = raw;
    mid.dir[WIO_UP] = mid.dir[WIO_DOWN] = *middle;
    c->world = wsim_world_new(&(struct wsim_config){.seed = 1, .check_every = 16});
    c->near = wsim_host_add(c->world, "near");
    c->routers[0] = wsim_router_add(c->world, "left");
    c->routers[1] = wsim_router_add(c->world, "right");
    c->far = wsim_host_add(c->world, "far");
    struct wsim_host *aside = wsim_router_add(c->world, "aside");
    for (int i = 0; i < 300; i++) /* so that the numbers of the links that count run over into a second byte */
        assert_non_null(wsim_link_add(c->world, c->routers[0], aside, &raw));
    c->links[0] = wsim_link_add(c->world, c->near, c->routers[0], &raw);
    c->links[1] = wsim_link_add(c->world, c->routers[0], c->routers[1], &mid);
    c->links[2] = wsim_link_add(c->world, c->routers[1], c->far, &raw);
    assert_null(wsim_run(c->world, WEIR_SEC(5), NULL, NULL));
}

static const struct wio_dir_config slow = {.rate_bps = 100000000, .delay = WEIR_MS(5)};

static void test_world_routers_forward_both_families(void **state)
{
    static const int families[] = {WEIR_AF_INET, WEIR_AF_INET6};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct chain c;
        struct wsim_flow flow = {0};
        struct wsim_plan plan = {.bytes = 100000};
        struct weir_sockaddr to = {
            .addr = wsim_addr(303, WIO_FAR, families[i]), .family = (uint16_t)families[i], .port = 80};
        open_chain(&c, &slow);
        wsim_flow_begin(&flow, c.near, c.far, &to, &plan, &plan, 1);
        assert_null(wsim_run(c.world, WEIR_SEC(60), is_done, &flow));
        assert_true(flow.is_done);
        for (int r = 0; r < 2; r++) {
            struct wsim_router_stats st = wsim_router_stats(c.routers[r]);
            assert_true(st.forwarded > 2 * 100000 / 1460);
            assert_int_equal(st.expired, 0);
        }
        wsim_world_free(c.world);
    }
}

static void test_world_router_lowers_the_hop_limit_and_drops_at_its_end(void **state)
{
    (void)state;
    for (int hops = 1; hops <= 3; hops++) {
        struct chain c;
        struct weir_sockaddr to = {.addr = wsim_addr(303, WIO_FAR, WEIR_AF_INET), .family = WEIR_AF_INET, .port = 9};
        open_chain(&c, &slow);
        struct weir *w = wsim_stack(c.near);
        weir_fd fd = weir_socket(w, WEIR_AF_INET, WEIR_SOCK_DGRAM, 0);
        assert_int_equal(weir_setsockopt(w, fd, WEIR_SOL_IP, WEIR_IP_TTL, &hops, sizeof hops), 0);
        assert_int_equal(weir_sendto(w, fd, "x", 1, 0, &to), 1);
        assert_null(wsim_run(c.world, WEIR_SEC(6), NULL, NULL));
        assert_int_equal(wsim_router_stats(c.routers[0]).expired, hops == 1);
        assert_int_equal(wsim_router_stats(c.routers[1]).expired, hops == 2);
        assert_int_equal(wio_link_stats(c.links[2], WIO_UP).delivered_pkts > 0, hops == 3);
        to.addr = weir_addr_v4(192, 0, 2, 1);
        assert_int_equal(weir_sendto(w, fd, "x", 1, 0, &to), 1);
        uint64_t before = wsim_router_stats(c.routers[0]).unroutable;
        assert_null(wsim_run(c.world, WEIR_SEC(7), NULL, NULL));
        assert_int_equal(wsim_router_stats(c.routers[0]).unroutable, before + 1);
        wsim_world_free(c.world);
    }
}

/* No checksum is made where nobody could break anything: what a link corrupts is noticed all the same, and also when a
 * clean link comes after it. */
static void test_world_corruption_is_noticed_where_checksums_are_owed(void **state)
{
    (void)state;
    struct chain c;
    struct wsim_flow flow = {0};
    struct wsim_plan plan = {.bytes = 300000};
    struct weir_sockaddr to = {.addr = wsim_addr(303, WIO_FAR, WEIR_AF_INET), .family = WEIR_AF_INET, .port = 80};
    uint64_t wrong = 0;
    open_chain(&c, &(struct wio_dir_config){.delay = WEIR_MS(1), .corrupt = WIO_PROB_ONE / 20});
    wsim_flow_begin(&flow, c.near, c.far, &to, &plan, &plan, 1);
    assert_null(wsim_run(c.world, WEIR_SEC(600), is_done, &flow));
    assert_true(flow.is_done);
    assert_int_equal(weir_stat_get(c.far->w, "drop.TCP_CSUM", &wrong), 0);
    assert_true(wrong > 0);
    assert_true(wio_link_caps(c.links[1]) & WEIR_CAP_TX_CSUM);
    wsim_world_free(c.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_world_alarms_ring_by_time_then_by_turn),
        cmocka_unit_test(test_world_many_alarms_ring_in_order),
        cmocka_unit_test(test_world_whose_time_stands_still_fails),
        cmocka_unit_test(test_world_with_too_many_steps_fails),
        cmocka_unit_test(test_world_links_have_nets_of_their_own),
        cmocka_unit_test(test_world_refused_connection_is_told),
        cmocka_unit_test(test_world_routers_forward_both_families),
        cmocka_unit_test(test_world_router_lowers_the_hop_limit_and_drops_at_its_end),
        cmocka_unit_test(test_world_corruption_is_noticed_where_checksums_are_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
