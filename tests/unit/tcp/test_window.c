/*
 * Windows end to end, between two stacks: never shrinking, no silly ones, clamps, growth of both buffers with the need,
 * a segment size of 64 KiB. RFC 9293 3.8.6, RFC 1122 4.2.3.3-4.2.3.4, RFC 7323 2.
 */
#include "unit/support/world.h"

#include <string.h>

#define PORT 80
#define MSS  1448 /* beside timestamps */

static struct world w;
static weir_fd listener, client, server;

/* What side 1's segments offered. */
static struct {
    uint32_t edge;              /* the furthest number that it has let through, relative */
    uint32_t largest, smallest; /* of the windows, bytes; smallest of those above 0 */
    uint32_t retreats;          /* segments whose edge lay before an earlier one's */
    uint32_t updates_n;         /* window updates */
    uint32_t least_update;      /* by how much the smallest of them moved the edge; 0: none */
} offered;

static void on_event(void *ctx, const struct weir_event *ev)
{
    const struct world_side *side = ctx;
    if (side->index != 1 || ev->kind != WEIR_EV_SEG_OUT || (ev->u.seg.flags & 0x02))
        return;
    uint32_t wnd = ev->u.seg.wnd_bytes, edge = ev->u.seg.ack_rel + wnd;
    if (ev->u.seg.why == WEIR_WHY_ACK_WINDOW) {
        offered.updates_n++;
        if (offered.least_update == 0 || edge - offered.edge < offered.least_update)
            offered.least_update = edge - offered.edge;
    }
    offered.retreats += edge < offered.edge;
    offered.edge = edge > offered.edge ? edge : offered.edge;
    offered.largest = wnd > offered.largest ? wnd : offered.largest;
    if (wnd > 0 && (offered.smallest == 0 || wnd < offered.smallest))
        offered.smallest = wnd;
}

static void begin(weir_ns delay, uint32_t mtu)
{
    memset(&offered, 0, sizeof offered);
    world_init(&w, &(struct world_opts){.delay = delay,
                                        .mtu = mtu,
                                        .is_unchecked = true,
                                        .event_mask = WEIR_EV_BIT(WEIR_EV_SEG_OUT),
                                        .on_event = on_event});
    listener = world_listen(&w, 1, WEIR_AF_INET, PORT, 5);
}

static void set_int(int side, weir_fd fd, int level, int name, int v)
{
    assert_int_equal(weir_setsockopt(w.side[side].stack, fd, level, name, &v, sizeof v), 0);
}

static int get_int(int side, weir_fd fd, int level, int name)
{
    int v = -1;
    uint32_t len = sizeof v;
    assert_int_equal(weir_getsockopt(w.side[side].stack, fd, level, name, &v, &len), 0);
    return v;
}

static void connect_both(void)
{
    world_connect(&w, listener, WEIR_AF_INET, PORT, &client, &server);
}

static void end(void)
{
    for (int side = 0; side < 2; side++)
        assert_null(weir_check(w.side[side].stack));
    world_fini(&w);
}

/* Write all that fits, at most *left. */
static void write_some(uint64_t *left)
{
    static const uint8_t bytes[1 << 16];
    while (*left > 0) {
        size_t n = *left < sizeof bytes ? (size_t)*left : sizeof bytes;
        int64_t took = weir_send(w.side[0].stack, client, bytes, n, 0);
        if (took == -WEIR_EAGAIN)
            return;
        assert_true(took > 0);
        *left -= (uint64_t)took;
    }
}

static uint64_t read_some(uint64_t most)
{
    static uint8_t bytes[1 << 16];
    uint64_t got = 0;
    while (got < most) {
        size_t n = most - got < sizeof bytes ? (size_t)(most - got) : sizeof bytes;
        int64_t took = weir_recv(w.side[1].stack, server, bytes, n, 0);
        if (took <= 0)
            return got;
        got += (uint64_t)took;
    }
    return got;
}

/* Carry `total` bytes; the reader takes at most `bite` each millisecond. Returns how long it took. */
static weir_ns carry(uint64_t total, uint64_t bite)
{
    weir_ns began = w.now;
    uint64_t left = total, got = 0;
    while (got < total) {
        write_some(&left);
        world_run(&w, WEIR_MS(1));
        got += read_some(bite);
        assert_true(w.now - began < WEIR_SEC(3600));
    }
    return w.now - began;
}

/* Whatever the reader does, what was let through stays let through. Rows: SHLD-14 */
static void test_window_edge_never_moves_left(void **state)
{
    (void)state;
    begin(WEIR_MS(5), 0);
    connect_both();
    uint64_t left = 4 << 20, got = 0;
    uint32_t lcg = 1;
    while (got < 4 << 20) {
        write_some(&left);
        world_run(&w, WEIR_MS(1 + (lcg >> 28)));
        lcg = lcg * 1664525 + 1013904223;
        got += read_some(lcg >> 16 & 1 ? lcg >> 12 & 0xffff : lcg >> 24); /* crumbs and mouthfuls */
        if ((lcg & 0xff00) == 0)
            set_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, (int)(10000 + (lcg >> 13)));
    }
    assert_int_equal(offered.retreats, 0);
    assert_true(offered.edge > 4 << 20);
    end();
}

/* Each window update is worth a segment at least, however small the bites. Rows: MUST-39 */
static void test_window_reader_of_crumbs_is_no_reason_for_silly_windows(void **state)
{
    (void)state;
    begin(WEIR_MS(1), 0);
    set_int(1, listener, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, 20000);
    connect_both();
    (void)carry(200000, 100);
    assert_in_range(offered.updates_n, 1, 200000 / MSS);
    assert_true(offered.least_update >= MSS);
    end();
}

/* With segments of 64 KiB the buffer holds hardly one: both sides go by half of the window then, and nobody waits for a
 * timer. Rows: MUST-38 MUST-39 */
static void test_window_segment_larger_than_the_window_does_not_stall(void **state)
{
    (void)state;
    begin(WEIR_MS(1), 65535);
    set_int(1, listener, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, 30000);
    connect_both();
    weir_ns took = carry(2 << 20, UINT64_MAX);
    assert_true(offered.largest < 65495);
    assert_true(offered.smallest >= 10000 || offered.smallest == 0);
    assert_in_range(took, WEIR_MS(100), WEIR_MS(600)); /* a window each round trip of 2 to 4 ms */
    assert_int_equal(world_stat(&w, 0, "TCPZeroWindowProbes"), 0);
    assert_int_equal(world_stat(&w, 0, "TCPTimeouts"), 0);
    end();
}

/* TCP_WINDOW_CLAMP, set before: no window is larger, the first neither. */
static void test_window_clamp_bounds_every_window(void **state)
{
    (void)state;
    begin(WEIR_MS(1), 0);
    set_int(1, listener, WEIR_SOL_TCP, WEIR_TCP_WINDOW_CLAMP, 10000);
    connect_both();
    (void)carry(300000, UINT64_MAX);
    assert_in_range(offered.largest, 8000, 10000 + 127);
    end();
}

/* Set while data flows: the edge stays, and the windows come down as it is reached. */
static void test_window_clamp_that_comes_late_takes_nothing_back(void **state)
{
    (void)state;
    begin(WEIR_MS(1), 0);
    connect_both();
    (void)carry(1 << 20, UINT64_MAX);
    assert_true(offered.largest > 50000);
    set_int(1, server, WEIR_SOL_TCP, WEIR_TCP_WINDOW_CLAMP, 8000);
    (void)carry(4 << 20, UINT64_MAX);
    assert_int_equal(offered.retreats, 0);
    offered.largest = 0;
    (void)carry(100000, UINT64_MAX);
    assert_in_range(offered.largest, 6000, 8000 + 127);
    end();
}

/* Dynamic right-sizing: a path of 40 ms wants more than the first buffer, and gets it. */
static void test_window_receive_buffer_grows_with_the_path(void **state)
{
    (void)state;
    begin(WEIR_MS(20), 0);
    connect_both();
    int before = get_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF);
    (void)carry(16 << 20, UINT64_MAX);
    int after = get_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF);
    assert_true(after > 4 * before);
    assert_true(after <= 6291456);
    assert_true(offered.largest > 4 * 65535);
    end();
}

/* A link of 10 Mbit/s before which packets queue: each of the sender's waits for those before it. */
static weir_ns link_is_free_at;

static weir_ns wait_for_the_link(struct world *world, struct world_side *from)
{
    if (from->index == 1)
        return 0;
    if (link_is_free_at < world->now)
        link_is_free_at = world->now;
    link_is_free_at += WEIR_US(1200);
    return link_is_free_at - world->now;
}

/* The round trip is 10 ms at first, and becomes longer as the queue fills. The receiver has to see that, or it takes a
 * tenth of what comes in a round trip for all of it, and its window stays what it was. */
static void test_window_receive_buffer_grows_with_a_queue(void **state)
{
    (void)state;
    begin(WEIR_MS(5), 0);
    link_is_free_at = 0;
    w.hold = wait_for_the_link;
    connect_both();
    (void)carry(8 << 20, UINT64_MAX);
    assert_true(get_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF) > 4 * 131072);
    assert_true(offered.largest > 4 * 65535);
    end();
}

static void test_window_receive_buffer_that_the_user_set_stays(void **state)
{
    (void)state;
    begin(WEIR_MS(20), 0);
    set_int(1, listener, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, 50000);
    connect_both();
    (void)carry(4 << 20, UINT64_MAX);
    assert_int_equal(get_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF), 100000);
    assert_true(offered.largest <= 100000);
    end();
}

static void test_window_receive_buffer_stays_without_moderation(void **state)
{
    (void)state;
    begin(WEIR_MS(20), 0);
    assert_int_equal(weir_sysctl_set(w.side[1].stack, "net.ipv4.tcp_moderate_rcvbuf", "0"), 0);
    connect_both();
    (void)carry(4 << 20, UINT64_MAX);
    assert_int_equal(get_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF), 131072);
    end();
}

/* A reader that takes less in a round trip than the first window holds does not make the buffer grow. */
static void test_window_receive_buffer_does_not_grow_for_a_slow_reader(void **state)
{
    (void)state;
    begin(WEIR_MS(20), 0);
    connect_both();
    (void)carry(300000, 200);
    assert_int_equal(get_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF), 131072);
    end();
}

/* The send buffer follows the congestion window: twice what may be under way. */
static void test_window_send_buffer_grows_with_the_congestion_window(void **state)
{
    (void)state;
    begin(WEIR_MS(20), 0);
    connect_both();
    int before = get_int(0, client, WEIR_SOL_SOCKET, WEIR_SO_SNDBUF);
    (void)carry(16 << 20, UINT64_MAX);
    struct weir_tcp_info info;
    uint32_t len = sizeof info;
    assert_int_equal(weir_getsockopt(w.side[0].stack, client, WEIR_SOL_TCP, WEIR_TCP_INFO, &info, &len), 0);
    int after = get_int(0, client, WEIR_SOL_SOCKET, WEIR_SO_SNDBUF);
    assert_true(after > 4 * before);
    assert_true((uint32_t)after >= 2 * info.snd_cwnd * MSS || after == 4194304);
    end();
}

static void test_window_send_buffer_that_the_user_set_stays(void **state)
{
    (void)state;
    begin(WEIR_MS(20), 0);
    connect_both();
    set_int(0, client, WEIR_SOL_SOCKET, WEIR_SO_SNDBUF, 30000);
    (void)carry(2 << 20, UINT64_MAX);
    assert_int_equal(get_int(0, client, WEIR_SOL_SOCKET, WEIR_SO_SNDBUF), 60000);
    end();
}

/* SO_RCVLOWAT above the first window: the buffer makes room, the window follows, and only then is the socket readable.
 */
static void test_window_follows_rcvlowat(void **state)
{
    (void)state;
    begin(WEIR_MS(1), 0);
    connect_both();
    set_int(1, server, WEIR_SOL_SOCKET, WEIR_SO_RCVLOWAT, 400000);
    uint64_t left = 500000;
    for (int i = 0; i < 300 && !(world_poll(&w, 1, server) & WEIR_POLLIN); i++) {
        write_some(&left);
        world_run(&w, WEIR_MS(1));
    }
    int ready = -1;
    assert_int_equal(weir_ioctl(w.side[1].stack, server, WEIR_SIOCINQ, &ready), 0);
    assert_in_range(ready, 400000, 500000);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_edge_never_moves_left),
        cmocka_unit_test(test_window_reader_of_crumbs_is_no_reason_for_silly_windows),
        cmocka_unit_test(test_window_segment_larger_than_the_window_does_not_stall),
        cmocka_unit_test(test_window_clamp_bounds_every_window),
        cmocka_unit_test(test_window_clamp_that_comes_late_takes_nothing_back),
        cmocka_unit_test(test_window_receive_buffer_grows_with_the_path),
        cmocka_unit_test(test_window_receive_buffer_grows_with_a_queue),
        cmocka_unit_test(test_window_receive_buffer_that_the_user_set_stays),
        cmocka_unit_test(test_window_receive_buffer_stays_without_moderation),
        cmocka_unit_test(test_window_receive_buffer_does_not_grow_for_a_slow_reader),
        cmocka_unit_test(test_window_send_buffer_grows_with_the_congestion_window),
        cmocka_unit_test(test_window_send_buffer_that_the_user_set_stays),
        cmocka_unit_test(test_window_follows_rcvlowat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
