/* 100,000 connections through two stacks, 10,000 of them open at once; 2 MSL later all memory is back. */
#include "unit/support/world.h"

#define V4       WEIR_AF_INET
#define PORTS    10
#define AT_ONCE  1000 /* for each port */
#define ROUNDS   10
#define TWO_MSL  WEIR_SEC(121)
#define BASEPORT 8000

static struct world w;
static weir_fd listeners[PORTS], clients[PORTS * AT_ONCE], servers[PORTS * AT_ONCE];

static void open_all(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint16_t port = (uint16_t)(BASEPORT + i % PORTS);
        world_connect(&w, listeners[i % PORTS], V4, port, &clients[i], &servers[i]);
        assert_int_equal(weir_send(w.side[0].stack, clients[i], "ping", 4, 0), 4);
    }
    world_settle(&w);
}

/* One side closes first in one half of them, the other in the other. */
static void close_all(unsigned n)
{
    char buf[8];
    for (unsigned i = 0; i < n; i++) {
        unsigned first = i / PORTS % 2;
        assert_int_equal(weir_recv(w.side[1].stack, servers[i], buf, sizeof buf, 0), 4);
        assert_int_equal(weir_close(w.side[first].stack, first ? servers[i] : clients[i]), 0);
        world_settle(&w);
        assert_int_equal(weir_close(w.side[!first].stack, first ? clients[i] : servers[i]), 0);
        world_settle(&w);
    }
}

static void test_many_connections_leave_no_memory_behind(void **state)
{
    (void)state;
    world_init(&w, &(struct world_opts){.is_unchecked = true});
    for (unsigned i = 0; i < PORTS; i++)
        listeners[i] = world_listen(&w, 1, V4, (uint16_t)(BASEPORT + i), 128);
    /* A few first, so that every table that is made at first use is there. */
    open_all(2 * PORTS);
    close_all(2 * PORTS);
    world_run(&w, TWO_MSL);

    size_t before[2] = {w.side[0].heap.bytes, w.side[1].heap.bytes};
    for (int i = 0; i < ROUNDS; i++) {
        open_all(AT_ONCE * PORTS);
        close_all(AT_ONCE * PORTS);
        world_run(&w, WEIR_SEC(40)); /* TIME-WAIT is left by as many as the next round needs ports for */
    }
    world_run(&w, TWO_MSL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(w.side[i].heap.bytes, before[i]);
        assert_null(weir_check(w.side[i].stack));
    }
    assert_int_equal(world_stat(&w, 0, "TcpActiveOpens"), ROUNDS * PORTS * AT_ONCE + 2 * PORTS);
    assert_int_equal(world_stat(&w, 0, "TcpRetransSegs") + world_stat(&w, 1, "TcpRetransSegs"), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_connections_leave_no_memory_behind),
    };
    return cmocka_run_group_tests_name("sim/many", tests, NULL, NULL);
}
