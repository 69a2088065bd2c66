/*
 * Networks and peers that RACK was turned off for elsewhere: a policer, a peer with a coarse clock, stretched ACKs,
 * heavy reordering; and an attacker's square wave of losses. In each the bytes come whole, the window does not collapse
 * for nothing, and no silence is longer than the retransmission timeout explains.
 */
#include "unit/support/transfer.h"

#include <string.h>

#define RTT  WEIR_MS(40)
#define SEGS (WEIR_CAP_TX_CSUM | WEIR_CAP_RX_CSUM)

static const struct world_opts path = {.delay = RTT / 2, .caps = SEGS, .is_unchecked = true};

/* What the links below keep; from world.user. */
struct trouble {
    struct transfer t;
    uint64_t random;
    /* a policer */
    uint64_t rate_bps, burst_bytes, tokens_bytes;
    weir_ns refilled;
    /* stretched ACKs */
    uint32_t passed_ack;
    weir_ns passed_at;
    /* a coarse clock */
    uint32_t clock_base;
    /* a square wave */
    weir_ns period, outage;
    /* what came of it */
    weir_ns took, longest_silence, longest_rto;
    uint64_t dropped;
};

static uint64_t draw(struct trouble *x, uint64_t below)
{
    x->random = x->random * 6364136223846793005u + 1442695040888963407u;
    return (x->random >> 33) % below;
}

static struct weir_tcp_info info_of(struct trouble *x)
{
    struct weir_tcp_info i;
    uint32_t len = sizeof i;
    assert_int_equal(weir_getsockopt(x->t.w.side[0].stack, x->t.client, WEIR_SOL_TCP, WEIR_TCP_INFO, &i, &len), 0);
    return i;
}

static uint64_t stat_of(struct trouble *x, const char *name)
{
    return world_stat(&x->t.w, 0, name);
}

static void begin(struct trouble *x, uint64_t bytes, const char *const *tunables)
{
    x->random = 7;
    transfer_begin_tuned(&x->t, &path, WEIR_AF_INET, bytes, tunables);
    x->t.w.user = x;
}

/* Until the last byte has come; how long the receiver waited for news at most. */
static void play(struct trouble *x, weir_ns limit)
{
    struct transfer *t = &x->t;
    weir_ns began = t->w.now, news = began, until = began + limit;
    transfer_send(t);
    while (!t->is_done && world_step(&t->w, until)) {
        uint64_t before = t->got;
        transfer_send(t);
        transfer_recv(t);
        struct weir_tcp_info i = info_of(x);
        if (WEIR_US((weir_ns)i.rto) > x->longest_rto)
            x->longest_rto = WEIR_US((weir_ns)i.rto);
        if (t->got == before)
            continue;
        if (t->w.now - news > x->longest_silence)
            x->longest_silence = t->w.now - news;
        news = t->w.now;
    }
    if (!t->is_done)
        fail_msg("stalled at %llu of %llu bytes", (unsigned long long)t->got, (unsigned long long)t->total);
    assert_true(t->got == t->total);
    x->took = t->w.now - began;
    /* RFC 6298: a loss that nothing else finds is found by the timeout, and its repair takes a round trip. */
    assert_true(x->longest_silence <= x->longest_rto + 2 * RTT);
    t->w.drop = NULL;
    t->w.hold = NULL;
    t->w.mangle = NULL;
}

/* ---- A policer ---- */

/* A token bucket, without a queue: what finds no tokens is dropped, often many in a row. */
static bool police(struct world *w, struct world_side *from, const struct weir_pkt *p, uint64_t n)
{
    (void)n;
    struct trouble *x = w->user;
    if (from->index != 0)
        return false;
    uint64_t more = (w->now - x->refilled) * (x->rate_bps / 8) / WEIR_SEC(1);
    if (more > 0) {
        x->refilled = w->now;
        x->tokens_bytes = x->tokens_bytes + more < x->burst_bytes ? x->tokens_bytes + more : x->burst_bytes;
    }
    if (x->tokens_bytes < p->len) {
        x->dropped++;
        return true;
    }
    x->tokens_bytes -= p->len;
    return false;
}

/* 10 Mbit/s with a bucket of a round trip: most of the rate is used, losses are repaired without timeouts, and no more
 * is sent again than was dropped, but for probes. */
static void test_trouble_policer_is_lived_with(void **state)
{
    (void)state;
    struct trouble x = {.rate_bps = 10000000, .burst_bytes = 50000, .tokens_bytes = 50000};
    begin(&x, 5000000, NULL);
    x.refilled = x.t.w.now;
    x.t.w.drop = police;
    play(&x, WEIR_SEC(60));
    assert_true(x.dropped > 20);
    assert_true(x.took < WEIR_SEC(7)); /* 4.2 s would be all of it */
    assert_in_range(info_of(&x).total_retrans, x.dropped, x.dropped + 20);
    assert_in_range(stat_of(&x, "TCPTimeouts"), 0, 3);
    transfer_end(&x.t);
}

/* ---- A coarse clock ---- */

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* The value of the receiver's timestamp option in its aligned form, NULL: it has none. */
static uint8_t *tsval_in(uint8_t *ip, size_t len)
{
    uint8_t *tcp = ip + 20, *end = tcp + (tcp[12] >> 4) * 4;
    if (len < 52 || end > ip + len)
        return NULL;
    for (uint8_t *p = tcp + 20; p + 12 <= end; p += 4) {
        if (get32(p) == 0x0101080a)
            return p + 4;
    }
    return NULL;
}

/* The peer's clock stands for 100 ms, and then jumps; once a second it jumps far ahead. */
static void coarsen(struct world *w, struct world_side *from, uint8_t *bytes, size_t len)
{
    struct trouble *x = w->user;
    uint8_t *tsval = from->index == 1 ? tsval_in(bytes, len) : NULL;
    if (!tsval)
        return;
    if (x->clock_base == 0)
        x->clock_base = get32(tsval);
    weir_ns age = w->now - WORLD_START;
    put32(tsval, x->clock_base + (uint32_t)(age / WEIR_MS(100) * 100 + age / WEIR_SEC(1) * 100000));
}

static bool lose_one_percent(struct world *w, struct world_side *from, const struct weir_pkt *p, uint64_t n)
{
    (void)p;
    (void)n;
    struct trouble *x = w->user;
    bool is_lost = from->index == 0 && draw(x, 100) == 0;
    x->dropped += is_lost;
    return is_lost;
}

/* The peer's clock is its own affair: what is lost is found as soon as with any other, and nothing else is sent
 * again. */
static void test_trouble_coarse_clock_of_the_peer_changes_nothing(void **state)
{
    (void)state;
    weir_ns took[2];
    for (int is_coarse = 0; is_coarse < 2; is_coarse++) {
        struct trouble x = {0};
        begin(&x, 2000000, NULL);
        x.t.w.drop = lose_one_percent;
        x.t.w.mangle = is_coarse ? coarsen : NULL;
        play(&x, WEIR_SEC(60));
        took[is_coarse] = x.took;
        assert_in_range(info_of(&x).total_retrans, x.dropped, x.dropped + x.dropped / 10 + 3);
        assert_int_equal(stat_of(&x, "TCPTimeouts"), 0);
        transfer_end(&x.t);
    }
    assert_true(took[1] <= took[0] + took[0] / 5);
}

/* ---- Stretched ACKs ---- */

/* One ACK for 64 segments, or after 10 ms. */
static bool stretch(struct world *w, struct world_side *from, const struct weir_pkt *p, uint64_t n)
{
    (void)n;
    struct trouble *x = w->user;
    uint8_t head[40];
    if (from->index != 1 || weir_pkt_copy(p, 0, head, sizeof head) < sizeof head)
        return false;
    uint32_t ack = get32(head + 28);
    if (ack - x->passed_ack < 64 * 1448 && w->now - x->passed_at < WEIR_MS(10)) {
        x->dropped++;
        return true;
    }
    x->passed_ack = ack;
    x->passed_at = w->now;
    return false;
}

/* Nothing is lost: nothing but the odd probe is sent again, the window never falls, and the path fills. */
static void test_trouble_stretched_acks_are_no_losses(void **state)
{
    (void)state;
    struct trouble x = {0};
    begin(&x, 10000000, NULL);
    x.t.w.drop = stretch;
    play(&x, WEIR_SEC(60));
    assert_true(x.dropped > 1000);
    assert_in_range(info_of(&x).total_retrans, 0, 2);
    assert_int_equal(stat_of(&x, "TCPTimeouts"), 0);
    assert_int_equal(stat_of(&x, "TCPSackRecovery"), 0);
    assert_true(x.took < WEIR_SEC(3));
    transfer_end(&x.t);
}

/* ---- Reordering ---- */

static weir_ns jitter(struct world *w, struct world_side *from)
{
    struct trouble *x = w->user;
    return from->index == 0 ? draw(x, 10) * WEIR_MS(1) : 0;
}

/* Each segment is up to a quarter of the round trip late, nothing is lost. The reordering window learns it: hardly
 * anything is sent again, and what a recovery took from the window comes back. Rows:
 * attack-reordering-and-duplication-storms */
static void test_trouble_heavy_reordering_is_learnt(void **state)
{
    (void)state;
    struct trouble x = {0};
    begin(&x, 10000000, NULL);
    x.t.w.hold = jitter;
    play(&x, WEIR_SEC(60));
    struct weir_tcp_info i = info_of(&x);
    assert_true(i.reord_seen > 0);
    assert_int_equal(stat_of(&x, "TCPTimeouts"), 0);
    assert_in_range(i.total_retrans, 0, i.data_segs_out / 50);
    assert_true(x.took < WEIR_SEC(4));
    transfer_end(&x.t);
}

/* ---- An attacker's square wave ---- */

static bool square_wave(struct world *w, struct world_side *from, const struct weir_pkt *p, uint64_t n)
{
    (void)p;
    (void)n;
    struct trouble *x = w->user;
    bool is_lost = from->index == 0 && (w->now - WORLD_START) % x->period < x->outage;
    x->dropped += is_lost;
    return is_lost;
}

/* Kuzmanovic and Knightly 2003: a burst of losses each time that a minimum RTO has passed starves a sender that only
 * timeouts wake. Here losses are found by RACK and probes in between. Rows: attack-shrew-low-rate */
static void test_trouble_square_wave_does_not_starve(void **state)
{
    (void)state;
    static const char *const small_window[] = {"tcp_rmem", "4096 65536 65536", NULL}; /* 1.2 s without losses */
    static const unsigned periods_ms[] = {1000, 500};
    for (unsigned i = 0; i < 2; i++) {
        struct trouble x = {.period = WEIR_MS(periods_ms[i]), .outage = WEIR_MS(50)};
        begin(&x, 2000000, small_window);
        x.t.w.drop = square_wave;
        play(&x, WEIR_SEC(120));
        assert_true(x.dropped > 0);
        assert_in_range(info_of(&x).total_retrans, x.dropped, x.dropped + 10);
        assert_int_equal(stat_of(&x, "TCPTimeouts"), 0);
        assert_true(x.took < WEIR_SEC(15));
        transfer_end(&x.t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trouble_policer_is_lived_with),
        cmocka_unit_test(test_trouble_coarse_clock_of_the_peer_changes_nothing),
        cmocka_unit_test(test_trouble_stretched_acks_are_no_losses),
        cmocka_unit_test(test_trouble_heavy_reordering_is_learnt),
        cmocka_unit_test(test_trouble_square_wave_does_not_starve),
    };
    return cmocka_run_group_tests_name("tcp/trouble", tests, NULL, NULL);
}
