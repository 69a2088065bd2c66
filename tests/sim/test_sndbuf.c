/* A sender's memory stays within tcp_wmem also where the peer's window and the congestion window would take more. */
#include "io/link_spec.h"
#include "sim/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include <cmocka.h>

#define WMEM_MAX 4194304u
#define RECORD   65536u /* a record that is there already may be filled up (as in Linux) */
#define BYTES    40000000u

static uint32_t most_in_flight;

static void on_event(void *ctx, struct wsim_host *h, const struct weir_event *ev)
{
    (void)ctx;
    if (strcmp(h->name, "client") == 0 && ev->conn.flight_bytes > most_in_flight)
        most_in_flight = ev->conn.flight_bytes;
}

static bool is_done(void *ctx)
{
    return ((struct wsim_flow *)ctx)->is_done;
}

static void test_sndbuf_bounds_what_is_in_flight(void **state)
{
    (void)state;
    struct wio_link_config link = {.type = WEIR_LINK_RAW_IP};
    char err[256];
    assert_int_equal(wio_link_spec_parse(&link, "rate=100mbit delay=100ms queue=20m", err, sizeof err), 0);
    struct wsim_config cfg = {.seed = 1, .on_event = on_event, .event_mask = WEIR_EV_BIT(WEIR_EV_SEG_OUT)};
    struct wsim_world *world = wsim_world_new(&cfg);
    struct wsim_host *client = wsim_host_add(world, "client"), *server = wsim_host_add(world, "server");
    assert_non_null(wsim_link_add(world, client, server, &link));
    assert_int_equal(weir_sysctl_set(server->w, "net.ipv4.tcp_rmem", "4096 131072 33554432"), 0);
    assert_int_equal(weir_sysctl_set(client->w, "tcp_congestion_control", "reno"), 0);

    struct wsim_flow flow = {0};
    struct wsim_plan upload = {.bytes = BYTES}, wait = {.ending = WSIM_END_WAIT};
    struct weir_sockaddr to = {.addr = wsim_addr(1, WIO_FAR, WEIR_AF_INET), .family = WEIR_AF_INET, .port = 33000};
    wsim_flow_begin(&flow, client, server, &to, &upload, &wait, 1);
    assert_null(wsim_run(world, WEIR_SEC(100), is_done, &flow));
    assert_true(flow.is_done);
    assert_in_range(most_in_flight, WMEM_MAX / 2, WMEM_MAX + 2 * RECORD);
    wsim_world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sndbuf_bounds_what_is_in_flight),
    };
    return cmocka_run_group_tests_name("sim/sndbuf", tests, NULL, NULL);
}
