/*
 * Whole transfers over paths that are narrower than their ends know, and whose routers say nothing (RFC 2923 2.1): the
 * search for the path's MTU (RFC 4821) must find it.
 */
#include "unit/support/world.h"

#define PORT  9000
#define BYTES (12u << 20)

static uint32_t hole; /* packets longer than this vanish */

static bool is_too_large(struct world *w, struct world_side *from, const struct weir_pkt *pkt, uint64_t n)
{
    (void)w, (void)from, (void)n;
    return pkt->len > hole;
}

struct result {
    uint64_t received, probes_good, probes_lost;
    struct weir_tcp_info info;
};

/* Send BYTES from side 0, for as long as `most`. */
static struct result transfer(int family, const char *probing, weir_ns most)
{
    static uint8_t buf[65536];
    struct world w;
    struct world_opts opts = {.delay = WEIR_MS(10), .is_unchecked = true};
    struct result res = {0};
    weir_fd client, server;
    uint64_t sent = 0;
    world_init(&w, &opts);
    for (int i = 0; i < 2; i++)
        assert_int_equal(weir_sysctl_set(w.side[i].stack, "net.ipv4.tcp_mtu_probing", probing), 0);
    weir_fd listener = world_listen(&w, 1, family, PORT, 8);
    world_connect(&w, listener, family, PORT, &client, &server);
    w.drop = is_too_large;
    for (weir_ns end = w.now + most; w.now < end && res.received < BYTES;) {
        int64_t n = 1;
        while (n > 0 && sent < BYTES) {
            n = weir_send(w.side[0].stack, client, buf, sizeof buf, WEIR_MSG_DONTWAIT);
            sent += n > 0 ? (uint64_t)n : 0;
        }
        if (!world_step(&w, end))
            break;
        while ((n = weir_recv(w.side[1].stack, server, buf, sizeof buf, WEIR_MSG_DONTWAIT)) > 0)
            res.received += (uint64_t)n;
    }
    uint32_t len = sizeof res.info;
    assert_int_equal(weir_getsockopt(w.side[0].stack, client, WEIR_SOL_TCP, WEIR_TCP_INFO, &res.info, &len), 0);
    res.probes_good = world_stat(&w, 0, "TCPMTUPSuccess");
    res.probes_lost = world_stat(&w, 0, "TCPMTUPFail");
    world_fini(&w);
    return res;
}

static const int families[] = {WEIR_AF_INET, WEIR_AF_INET6};

/* A silent path of 1300 bytes stops a connection that does not probe; the others arrive, one after timeouts, one
 * without ever having stopped, both at the path's size. Rows: 1191-9 4821-7 4821-1 attack-pmtu-blackhole */
static void test_path_black_hole_is_found(void **state)
{
    (void)state;
    hole = 1300;
    for (int f = 0; f < 2; f++) {
        uint32_t hdrs = families[f] == WEIR_AF_INET ? 52 : 72;
        struct result r = transfer(families[f], "0", WEIR_SEC(60));
        assert_true(r.received < 100000);
        r = transfer(families[f], "1", WEIR_SEC(60));
        assert_true(r.received >= BYTES);
        assert_true(r.info.total_rto >= 1);
        assert_in_range(r.info.snd_mss + hdrs, hole - 32, hole); /* the last steps may be to come */
        r = transfer(families[f], "2", WEIR_SEC(30));
        assert_true(r.received >= BYTES);
        assert_int_equal(r.info.total_rto, 0);
        assert_in_range(r.info.snd_mss + hdrs, hole - 32, hole);
        assert_true(r.probes_good > 0 && r.probes_lost > 0);
    }
}

/* On a path that takes all, the search ends near the link's MTU and loses nothing. Rows: 4821-1 4821-8 */
static void test_path_without_a_hole_is_used_whole(void **state)
{
    (void)state;
    hole = 1500;
    for (int f = 0; f < 2; f++) {
        struct result r = transfer(families[f], "2", WEIR_SEC(30));
        assert_true(r.received >= BYTES);
        assert_int_equal(r.info.total_retrans, 0);
        assert_in_range(r.info.snd_mss + (families[f] == WEIR_AF_INET ? 52 : 72), 1492, 1500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_black_hole_is_found),
        cmocka_unit_test(test_path_without_a_hole_is_used_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
