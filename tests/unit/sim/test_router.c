/* What routers of a world say of packets that they can't send on, and the SYN proxy on one (sim/synproxy.h). */
#include "io/frame.h"
#include "sim/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include <cmocka.h>

/* A client, a router, a narrow link to another router, a server. */
struct path {
    struct wsim_world *world;
    struct wsim_host *client, *router, *far, *server;
    struct wio_link *links[3];
    unsigned icmp_n;
    size_t proxy_peak;
};

static bool is_done(void *ctx)
{
    return ((const struct wsim_flow *)ctx)->is_done;
}

static void on_event(void *ctx, struct wsim_host *h, const struct weir_event *ev)
{
    struct path *p = ctx;
    p->icmp_n += h == p->client && ev->kind == WEIR_EV_ICMP_IN;
}

static void open_path(struct path *p, uint32_t mtu)
{
    struct wio_link_config clean = {.type = WEIR_LINK_RAW_IP}, narrow = clean;
    clean.dir[WIO_UP].delay = clean.dir[WIO_DOWN].delay = WEIR_MS(5);
    narrow.mtu = mtu;
    *p = (struct path){0};
    p->world = wsim_world_new(&(struct wsim_config){
        .seed = 1, .check_every = 16, .event_mask = WEIR_EV_BIT(WEIR_EV_ICMP_IN), .on_event = on_event, .ctx = p});
    p->client = wsim_host_add(p->world, "client");
    p->router = wsim_router_add(p->world, "router");
    p->far = wsim_router_add(p->world, "far");
    p->server = wsim_host_add(p->world, "server");
    p->links[0] = wsim_link_add(p->world, p->client, p->router, &clean);
    p->links[1] = wsim_link_add(p->world, p->router, p->far, &narrow);
    p->links[2] = wsim_link_add(p->world, p->far, p->server, &clean);
    assert_null(wsim_run(p->world, WEIR_SEC(5), NULL, NULL));
}

static struct weir_sockaddr server_at(int family)
{
    return (struct weir_sockaddr){.addr = wsim_addr(3, WIO_FAR, family), .family = (uint16_t)family, .port = 80};
}

static void begin(struct path *p, struct wsim_flow *flow, int family, uint64_t bytes)
{
    struct wsim_plan plan = {.bytes = bytes};
    struct weir_sockaddr to = server_at(family);
    *flow = (struct wsim_flow){0};
    wsim_flow_begin(flow, p->client, p->server, &to, &plan, &plan, 7);
}

/* RFC 1191, RFC 8201: one message, and the transfer fits. */
static void test_router_tells_of_a_packet_that_is_too_big(void **state)
{
    static const int families[] = {WEIR_AF_INET, WEIR_AF_INET6};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct path p;
        struct wsim_flow flow;
        open_path(&p, 1300);
        begin(&p, &flow, families[i], 100000);
        assert_null(wsim_run(p.world, WEIR_SEC(60), is_done, &flow));
        assert_true(flow.is_done);
        assert_true(flow.ended - flow.began < WEIR_SEC(1));
        assert_true(p.icmp_n >= 1);
        assert_true(wsim_router_stats(p.router).too_big >= 1);
        wsim_world_free(p.world);
    }
}

static void test_router_that_is_silent_makes_a_black_hole(void **state)
{
    (void)state;
    struct path p;
    struct wsim_flow flow;
    open_path(&p, 1300);
    p.router->is_silent = p.far->is_silent = true;
    assert_int_equal(weir_sysctl_set(p.client->w, "tcp_mtu_probing", "0"), 0);
    begin(&p, &flow, WEIR_AF_INET, 100000);
    assert_null(wsim_run(p.world, WEIR_SEC(60), is_done, &flow));
    assert_false(flow.is_done);
    assert_int_equal(p.icmp_n, 0);
    wsim_world_free(p.world);
}

/* RFC 1812 5.2.7.3: the sender of what has no hop left is told. */
static void test_router_tells_of_a_spent_hop_limit(void **state)
{
    (void)state;
    struct path p;
    struct weir_sockaddr to = server_at(WEIR_AF_INET);
    int hops = 1;
    open_path(&p, 1500);
    struct weir *w = wsim_stack(p.client);
    weir_fd fd = weir_socket(w, WEIR_AF_INET, WEIR_SOCK_DGRAM, 0);
    assert_int_equal(weir_setsockopt(w, fd, WEIR_SOL_IP, WEIR_IP_TTL, &hops, sizeof hops), 0);
    assert_int_equal(weir_sendto(w, fd, "x", 1, 0, &to), 1);
    assert_null(wsim_run(p.world, WEIR_SEC(6), NULL, NULL));
    assert_int_equal(p.icmp_n, 1);
    wsim_world_free(p.world);
}

/* RFC 1812 5.2.7.1: so is the sender of what nobody knows a way for; what is for the router itself is no such thing. */
static void test_router_tells_of_an_unknown_net(void **state)
{
    (void)state;
    struct path p;
    struct weir_sockaddr to = {.addr = weir_addr_v4(192, 0, 2, 1), .family = WEIR_AF_INET, .port = 80};
    open_path(&p, 1500);
    struct weir *w = wsim_stack(p.client);
    weir_fd fd = weir_socket(w, WEIR_AF_INET, WEIR_SOCK_DGRAM, 0);
    assert_int_equal(weir_sendto(w, fd, "x", 1, 0, &to), 1);
    assert_null(wsim_run(p.world, WEIR_SEC(6), NULL, NULL));
    assert_int_equal(p.icmp_n, 1);
    to.addr = wsim_addr(1, WIO_FAR, WEIR_AF_INET);
    assert_int_equal(weir_sendto(w, fd, "x", 1, 0, &to), 1);
    assert_null(wsim_run(p.world, WEIR_SEC(7), NULL, NULL));
    assert_int_equal(p.icmp_n, 1);
    assert_int_equal(wsim_router_stats(p.router).own, 1);
    wsim_world_free(p.world);
}

/* ---- The SYN proxy ---- */

static void open_proxy(struct path *p)
{
    open_path(p, 1500);
    assert_true(wsim_router_proxy(p->router, wsim_addr(3, WIO_FAR, WEIR_AF_INET)));
}

static void test_synproxy_translates_whole_transfers(void **state)
{
    (void)state;
    struct path p;
    open_proxy(&p);
    for (unsigned loss = 0; loss <= 3; loss++) {
        struct wsim_flow flow;
        struct wio_dir_config bad = {.delay = WEIR_MS(5), .loss = WIO_PROB_ONE / 100 * loss};
        for (int d = 0; d < 2; d++)
            wio_link_set_dir(p.links[0], (enum wio_dir)d, &bad);
        wio_link_set_dir(p.links[2], WIO_UP, &bad);
        begin(&p, &flow, WEIR_AF_INET, 200000);
        assert_null(wsim_run(p.world, wsim_now(p.world) + WEIR_SEC(300), is_done, &flow));
        assert_true(flow.is_done);
        assert_null(wsim_run(p.world, wsim_now(p.world) + WEIR_SEC(130), NULL, NULL)); /* TIME-WAIT too */
    }
    wsim_world_free(p.world);
}

/* One segment of TCP from an address that nobody has; checksums are the server's to check, and it must not see it. */
static void send_segment(struct path *p, uint8_t flags, uint32_t number)
{
    uint8_t b[40] = {0x45, [3] = 40, [8] = 64, [9] = WEIR_IPPROTO_TCP, [12] = 198, 18, 0, 9, 10, 0, 3, 2};
    b[20] = (uint8_t)(number >> 8);
    b[21] = (uint8_t)(number | 1);
    b[23] = 80;
    memcpy(b + 28, &number, sizeof number);
    b[32] = 0x50;
    b[33] = flags;
    wsim_link_send(p->world, 1, WIO_NEAR, weir_pkt_from(wsim_pool(p->client), b, sizeof b));
}

/* RFC 4987 3.6: neither SYNs nor guessed acknowledgements cost memory or reach the server. */
static void test_synproxy_remembers_nothing_of_a_flood(void **state)
{
    (void)state;
    struct path p;
    open_proxy(&p);
    uint64_t before = wio_link_stats(p.links[2], WIO_UP).delivered_pkts;
    size_t mem = p.router->mem_bytes;
    for (uint32_t i = 1; i <= 1000; i++) {
        send_segment(&p, WIO_TCP_SYN, i * 2654435761u);
        send_segment(&p, WIO_TCP_ACK, i * 2246822519u);
        assert_null(wsim_run(p.world, wsim_now(p.world) + WEIR_MS(1), NULL, NULL));
    }
    assert_null(wsim_run(p.world, wsim_now(p.world) + WEIR_SEC(1), NULL, NULL));
    assert_int_equal(wio_link_stats(p.links[2], WIO_UP).delivered_pkts, before);
    assert_int_equal(p.router->mem_bytes, mem);
    wsim_world_free(p.world);
}

static void test_synproxy_forgets_flows_that_are_over(void **state)
{
    (void)state;
    struct path p;
    struct wsim_flow flow;
    open_proxy(&p);
    size_t mem = p.router->mem_bytes;
    begin(&p, &flow, WEIR_AF_INET, 1000);
    assert_null(wsim_run(p.world, wsim_now(p.world) + WEIR_SEC(10), is_done, &flow));
    assert_true(flow.is_done);
    assert_true(p.router->mem_bytes > mem);
    assert_null(wsim_run(p.world, wsim_now(p.world) + WEIR_SEC(120), NULL, NULL));
    assert_int_equal(p.router->mem_bytes, mem);
    wsim_world_free(p.world);
}

/* The client's handshake is done long before the server's could be: it must learn that there is nobody. */
static void test_synproxy_resets_where_the_server_refuses(void **state)
{
    (void)state;
    struct path p;
    struct weir_sockaddr to = server_at(WEIR_AF_INET);
    int err = 0;
    uint32_t len = sizeof err;
    open_proxy(&p);
    weir_fd fd = weir_socket(wsim_stack(p.client), WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_connect(wsim_stack(p.client), fd, &to), -WEIR_EINPROGRESS);
    assert_null(wsim_run(p.world, wsim_now(p.world) + WEIR_SEC(1), NULL, NULL));
    assert_int_equal(weir_getsockopt(wsim_stack(p.client), fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len), 0);
    assert_int_equal(err, WEIR_ECONNRESET);
    wsim_world_free(p.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router_tells_of_a_packet_that_is_too_big),
        cmocka_unit_test(test_router_that_is_silent_makes_a_black_hole),
        cmocka_unit_test(test_router_tells_of_a_spent_hop_limit),
        cmocka_unit_test(test_router_tells_of_an_unknown_net),
        cmocka_unit_test(test_synproxy_translates_whole_transfers),
        cmocka_unit_test(test_synproxy_remembers_nothing_of_a_flood),
        cmocka_unit_test(test_synproxy_forgets_flows_that_are_over),
        cmocka_unit_test(test_synproxy_resets_where_the_server_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
