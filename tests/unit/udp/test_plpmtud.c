/* RFC 8899 as a state machine, alone and over UDP sockets. */
#include "unit/support/world.h"

#include <weir/plpmtud.h>

#define LINK  1500u
#define START WEIR_SEC(1000)
#define RTT   WEIR_MS(50)

/* A path that carries so much. */
struct path {
    struct weir_plpmtud p;
    uint32_t mtu;
    weir_ns now;
    unsigned probes, lost;
    uint32_t last_probe;
    weir_ns last_probe_at, least_gap;
};

static struct path path_of(bool is_v6, uint32_t mtu)
{
    struct path x = {.mtu = mtu, .now = START, .least_gap = WEIR_NEVER};
    weir_plpmtud_init(&x.p, is_v6, LINK, START);
    return x;
}

/* A probe goes, and what becomes of it. */
static void path_step(struct path *x)
{
    weir_ns due = weir_plpmtud_deadline(&x->p);
    x->now = due > x->now ? due : x->now;
    uint32_t size = weir_plpmtud_advance(&x->p, x->now);
    if (!size)
        return;
    if (x->probes++ && x->now - x->last_probe_at < x->least_gap)
        x->least_gap = x->now - x->last_probe_at;
    x->last_probe = size;
    x->last_probe_at = x->now;
    if (size > x->mtu) {
        x->lost++;
        return;
    }
    x->now += RTT;
    weir_plpmtud_acked(&x->p, size, x->now);
}

static void path_run(struct path *x, weir_ns until)
{
    while (x->now < until)
        path_step(x);
}

/* Rows: 8899-8 */
static void test_plpmtud_constants_are_the_rfcs(void **state)
{
    (void)state;
    struct weir_plpmtud p;
    weir_plpmtud_init(&p, false, LINK, START);
    assert_int_equal(weir_plpmtud_mtu(&p), 1200);
    assert_int_equal(weir_plpmtud_advance(&p, START), 1200);
    weir_plpmtud_too_big(&p, 68, START);
    assert_int_equal(weir_plpmtud_mtu(&p), 68);
    weir_plpmtud_init(&p, true, LINK, START);
    assert_int_equal(weir_plpmtud_mtu(&p), 1280);
    weir_plpmtud_too_big(&p, 1279, START);
    assert_int_equal(weir_plpmtud_mtu(&p), 1280);
}

/* From the base size up to the path's, in the order of the RFC's states; nothing is sent as proven that was not. Rows:
 * 8899-1 8899-9 */
static void test_plpmtud_search_finds_what_the_path_carries(void **state)
{
    (void)state;
    for (uint32_t mtu = 1280; mtu <= LINK; mtu += 11) {
        struct path x = path_of(mtu % 2, mtu);
        while (x.p.state != WEIR_PLPMTUD_COMPLETE) {
            assert_true(x.p.state == WEIR_PLPMTUD_BASE || x.p.state == WEIR_PLPMTUD_SEARCHING);
            path_step(&x);
            assert_true(weir_plpmtud_mtu(&x.p) <= mtu);
        }
        assert_in_range(mtu - weir_plpmtud_mtu(&x.p), 0, 8);
        assert_true(x.probes <= 40);
    }
}

/* A size has failed after three probes, none of them within a second of the last, nor a round trip; the search rests
 * for ten minutes, and finds a better path then. Rows: 8899-5 8899-7 */
static void test_plpmtud_timers_and_counts_are_the_rfcs(void **state)
{
    (void)state;
    struct path x = path_of(false, 1300);
    path_step(&x); /* the base */
    for (unsigned i = 0; i < 3; i++) {
        path_step(&x);
        assert_int_equal(x.last_probe, LINK);
    }
    path_step(&x);
    assert_int_equal(x.last_probe, (1200 + LINK) / 2);
    assert_true(WEIR_PLPMTUD_PROBE_TIMEOUT >= WEIR_SEC(15));
    assert_true(x.least_gap >= RTT);
    while (x.p.state != WEIR_PLPMTUD_COMPLETE)
        path_step(&x);
    weir_ns found_at = x.now;
    x.mtu = LINK;
    while (x.last_probe <= 1300)
        path_step(&x);
    assert_true(x.now - found_at >= WEIR_SEC(600));
    assert_int_equal(weir_plpmtud_mtu(&x.p), LINK);
}

/* RFC 8899 4.6.2: what a router says starts a probe or ends one, and never becomes the size by itself. Rows: 8899-3
 * 8899-4 */
static void test_plpmtud_too_big_is_never_taken_at_its_word(void **state)
{
    (void)state;
    struct path x = path_of(false, LINK);
    path_step(&x);
    assert_int_equal(x.p.state, WEIR_PLPMTUD_SEARCHING);
    assert_int_equal(weir_plpmtud_advance(&x.p, x.now), LINK);

    weir_plpmtud_too_big(&x.p, 9000, x.now); /* more than was sent */
    weir_plpmtud_too_big(&x.p, LINK, x.now);
    weir_plpmtud_too_big(&x.p, 67, x.now); /* less than there is */
    assert_int_equal(weir_plpmtud_mtu(&x.p), 1200);
    assert_int_equal(weir_plpmtud_advance(&x.p, x.now), 0); /* the probe is still under way */

    weir_plpmtud_too_big(&x.p, 1400, x.now); /* between: the next probe */
    assert_int_equal(weir_plpmtud_mtu(&x.p), 1200);
    assert_int_equal(weir_plpmtud_advance(&x.p, x.now), 1400);
    weir_plpmtud_acked(&x.p, 1400, x.now);
    assert_int_equal(weir_plpmtud_mtu(&x.p), 1400);
    assert_int_equal(x.p.state, WEIR_PLPMTUD_COMPLETE);

    weir_plpmtud_too_big(&x.p, 1300, x.now); /* below what was proven: from the base up again, to no more than that */
    assert_int_equal(x.p.state, WEIR_PLPMTUD_BASE);
    assert_int_equal(weir_plpmtud_mtu(&x.p), 1200);
    assert_int_equal(weir_plpmtud_advance(&x.p, x.now), 1200);
    weir_plpmtud_acked(&x.p, 1200, x.now);
    assert_int_equal(weir_plpmtud_advance(&x.p, x.now), 1300);

    weir_plpmtud_too_big(&x.p, 600, x.now); /* below the base */
    assert_int_equal(x.p.state, WEIR_PLPMTUD_ERROR);
    assert_int_equal(weir_plpmtud_mtu(&x.p), 68);
}

/* The path shrinks, silently: within MAX_PROBES the size is the base's again, below that the least; and up again when
 * the path is better. Rows: 8899-9 */
static void test_plpmtud_black_hole_leads_back_to_the_base(void **state)
{
    (void)state;
    struct path x = path_of(false, LINK);
    path_run(&x, START + WEIR_SEC(10));
    assert_int_equal(weir_plpmtud_mtu(&x.p), LINK);
    x.mtu = 1250;
    x.lost = 0;
    while (x.p.state == WEIR_PLPMTUD_COMPLETE)
        path_step(&x);
    assert_int_equal(x.lost, WEIR_PLPMTUD_MAX_PROBES);
    assert_in_range(weir_plpmtud_mtu(&x.p), 1200, 1250);
    x.mtu = 500;
    path_run(&x, x.now + WEIR_SEC(1000));
    assert_int_equal(x.p.state, WEIR_PLPMTUD_ERROR);
    assert_int_equal(weir_plpmtud_mtu(&x.p), 68);
    x.mtu = LINK;
    path_run(&x, x.now + WEIR_SEC(1000));
    assert_int_equal(weir_plpmtud_mtu(&x.p), LINK);
    weir_plpmtud_black_hole(&x.p, x.now); /* the protocol has noticed first */
    assert_int_equal(x.p.state, WEIR_PLPMTUD_BASE);
    assert_int_equal(weir_plpmtud_mtu(&x.p), 1200);
}

static uint32_t hole;

static bool is_too_large(struct world *w, struct world_side *from, const struct weir_pkt *pkt, uint64_t n)
{
    (void)w, (void)from, (void)n;
    return pkt->len > hole;
}

/* A protocol over UDP sockets, through a black hole of 1371 bytes: probes leave whole, beyond what the stack itself has
 * learnt of the path, and the size is found. Rows: 8899-2 4821-10 */
static void test_plpmtud_over_udp_finds_a_black_hole(void **state)
{
    (void)state;
    static uint8_t padding[LINK];
    for (int f = 0; f < 2; f++) {
        int family = f ? WEIR_AF_INET6 : WEIR_AF_INET, probe = 3;
        uint32_t hdrs = f ? 48 : 28;
        struct world w;
        struct weir_plpmtud p;
        world_init(&w, &(struct world_opts){.delay = WEIR_MS(10), .is_unchecked = true});
        hole = 1371;
        w.drop = is_too_large;
        weir_fd from = weir_socket(w.side[0].stack, family, WEIR_SOCK_DGRAM, 0);
        weir_fd to = weir_socket(w.side[1].stack, family, WEIR_SOCK_DGRAM, 0);
        struct weir_sockaddr at = world_addr(&w, 1, family, 7000);
        assert_int_equal(weir_setsockopt(w.side[0].stack, from, f ? WEIR_SOL_IPV6 : WEIR_SOL_IP,
                                         f ? WEIR_IPV6_MTU_DISCOVER : WEIR_IP_MTU_DISCOVER, &probe, sizeof probe),
                         0);
        assert_int_equal(weir_bind(w.side[1].stack, to, &at), 0);
        assert_int_equal(weir_connect(w.side[0].stack, from, &at), 0);
        weir_plpmtud_init(&p, f, LINK, w.now);
        for (unsigned i = 0; i < 100 && p.state != WEIR_PLPMTUD_COMPLETE; i++) {
            uint32_t size = weir_plpmtud_advance(&p, w.now);
            if (size)
                assert_int_equal(weir_send(w.side[0].stack, from, padding, size - hdrs, 0), size - hdrs);
            world_run(&w, WEIR_SEC(1));
            int64_t n = weir_recv(w.side[1].stack, to, padding, sizeof padding, WEIR_MSG_DONTWAIT);
            if (n > 0) /* its acknowledgement, on the short way */
                weir_plpmtud_acked(&p, (uint32_t)n + hdrs, w.now);
            else if (size)
                world_run(&w, WEIR_PLPMTUD_PROBE_TIMEOUT);
        }
        assert_int_equal(p.state, WEIR_PLPMTUD_COMPLETE);
        assert_in_range(weir_plpmtud_mtu(&p), hole - 8, hole);
        world_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plpmtud_constants_are_the_rfcs),
        cmocka_unit_test(test_plpmtud_search_finds_what_the_path_carries),
        cmocka_unit_test(test_plpmtud_timers_and_counts_are_the_rfcs),
        cmocka_unit_test(test_plpmtud_too_big_is_never_taken_at_its_word),
        cmocka_unit_test(test_plpmtud_black_hole_leads_back_to_the_base),
        cmocka_unit_test(test_plpmtud_over_udp_finds_a_black_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
