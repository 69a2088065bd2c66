/*
 * Whole transfers between two stacks over links that lose, reorder, duplicate and shrink: every byte arrives, in order,
 * both ends close, and nothing is left. RFC 9293 3.8, RFC 5681, RFC 6582, RFC 6675, RFC 6298.
 */
#include "unit/support/transfer.h"

/* ---- Losses by number ---- */

struct losses {
    uint64_t at[2]; /* the numbers of the packets that are lost, of `side`; 0: none */
    int side;
    uint64_t base; /* packets that the side had sent before */
};

static bool drop_numbered(struct world *w, struct world_side *from, const struct weir_pkt *p, uint64_t n)
{
    (void)p;
    const struct losses *l = w->user;
    if (from->index != l->side)
        return false;
    return n - l->base == l->at[0] || n - l->base == l->at[1];
}

/* Returns how many packets the side sent. */
static uint64_t run_with_losses(struct losses *l, uint64_t bytes, const struct world_opts *opts)
{
    struct transfer t;
    transfer_begin(&t, opts, WEIR_AF_INET, bytes);
    l->base = t.w.side[l->side].sent_n;
    t.w.user = l;
    t.w.drop = drop_numbered;
    transfer_run(&t, WEIR_SEC(60));
    uint64_t sent = t.w.side[l->side].sent_n - l->base;
    transfer_end(&t);
    return sent;
}

static const struct world_opts lan = {.delay = WEIR_MS(5)};

static void test_transfer_any_single_data_segment_lost_is_repaired(void **state)
{
    (void)state;
    struct losses l = {.side = 0};
    uint64_t n = run_with_losses(&l, 60000, &lan);
    for (uint64_t i = 1; i <= n + 1; i++) {
        l = (struct losses){.at = {i}, .side = 0};
        (void)run_with_losses(&l, 60000, &lan);
    }
}

static void test_transfer_any_single_ack_lost_is_harmless(void **state)
{
    (void)state;
    struct losses l = {.side = 1};
    uint64_t n = run_with_losses(&l, 60000, &lan);
    for (uint64_t i = 1; i <= n + 1; i++) {
        l = (struct losses){.at = {i}, .side = 1};
        (void)run_with_losses(&l, 60000, &lan);
    }
}

static void test_transfer_any_two_segments_lost_are_repaired(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 14; i++) {
        for (uint64_t j = i + 1; j <= 15; j++) {
            struct losses l = {.at = {i, j}, .side = 0};
            (void)run_with_losses(&l, 16000, &lan);
        }
    }
}

/* ---- Losses by chance ---- */

struct chance {
    uint64_t state;
    uint32_t per_million;
    bool no_sack;
};

static bool drop_by_chance(struct world *w, struct world_side *from, const struct weir_pkt *p, uint64_t n)
{
    (void)from;
    (void)p;
    (void)n;
    struct chance *c = w->user;
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    return (c->state >> 33) % 1000000 < c->per_million;
}

static void random_loss(const struct world_opts *opts, int family, uint64_t bytes, struct chance c,
                        const char *const *tunables)
{
    struct transfer t;
    transfer_begin_tuned(&t, opts, family, bytes, tunables);
    t.w.user = &c;
    t.w.drop = drop_by_chance;
    transfer_run(&t, WEIR_SEC(3600));
    t.w.drop = NULL;
    transfer_end(&t);
}

static void test_transfer_ten_megabytes_with_one_percent_loss_arrive_whole(void **state)
{
    (void)state;
    struct world_opts opts = {.delay = WEIR_MS(10), .is_unchecked = true};
    random_loss(&opts, WEIR_AF_INET, 10 << 20, (struct chance){.state = 1, .per_million = 10000}, NULL);
}

static void test_transfer_super_segments_with_loss_arrive_whole(void **state)
{
    (void)state;
    struct world_opts opts = {.delay = WEIR_MS(10), .caps = WEIR_CAP_TSO | WEIR_CAP_TX_CSUM | WEIR_CAP_RX_CSUM};
    random_loss(&opts, WEIR_AF_INET6, 3 << 20, (struct chance){.state = 2, .per_million = 50000}, NULL);
}

static void test_transfer_without_sack_with_loss_arrives_whole(void **state)
{
    (void)state;
    static const char *const tunables[] = {"tcp_sack", "0", "tcp_timestamps", "0", NULL};
    struct world_opts opts = {.delay = WEIR_MS(10)};
    random_loss(&opts, WEIR_AF_INET, 1 << 20, (struct chance){.state = 3, .per_million = 30000}, tunables);
}

static void test_transfer_reno_without_options_arrives_whole(void **state)
{
    (void)state;
    static const char *const tunables[] = {
        "tcp_sack", "0", "tcp_timestamps", "0", "tcp_window_scaling", "0", "tcp_congestion_control", "reno", NULL};
    struct world_opts opts = {.delay = WEIR_MS(10)};
    random_loss(&opts, WEIR_AF_INET, 1 << 20, (struct chance){.state = 4, .per_million = 20000}, tunables);
}

static void test_transfer_heavy_loss_is_survived(void **state)
{
    (void)state;
    struct world_opts opts = {.delay = WEIR_MS(10)};
    for (uint64_t seed = 10; seed < 20; seed++)
        random_loss(&opts, WEIR_AF_INET, 100000, (struct chance){.state = seed, .per_million = 200000}, NULL);
}

/* The interface's MTU falls in mid-transfer: what is out and too large is cut anew. RFC 1191 6, RFC 9293 3.7.2. */
static void shrink_mtu(const struct world_opts *opts)
{
    struct transfer t;
    transfer_begin(&t, opts, WEIR_AF_INET, 400000);
    transfer_send(&t);
    weir_ns until = t.w.now + WEIR_SEC(20);
    while (t.got < 100000 && world_step(&t.w, until)) {
        transfer_send(&t);
        transfer_recv(&t);
    }
    assert_int_equal(weir_netif_set_mtu(t.w.side[0].stack, t.w.side[0].netif, 700), 0);
    transfer_run(&t, WEIR_SEC(60));
    transfer_end(&t);
}

static void test_transfer_survives_a_falling_mtu(void **state)
{
    (void)state;
    shrink_mtu(&lan);
    shrink_mtu(&(struct world_opts){.delay = WEIR_MS(5), .caps = WEIR_CAP_TSO | WEIR_CAP_TX_CSUM | WEIR_CAP_RX_CSUM});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfer_any_single_data_segment_lost_is_repaired),
        cmocka_unit_test(test_transfer_any_single_ack_lost_is_harmless),
        cmocka_unit_test(test_transfer_any_two_segments_lost_are_repaired),
        cmocka_unit_test(test_transfer_ten_megabytes_with_one_percent_loss_arrive_whole),
        cmocka_unit_test(test_transfer_super_segments_with_loss_arrive_whole),
        cmocka_unit_test(test_transfer_without_sack_with_loss_arrives_whole),
        cmocka_unit_test(test_transfer_reno_without_options_arrives_whole),
        cmocka_unit_test(test_transfer_heavy_loss_is_survived),
        cmocka_unit_test(test_transfer_survives_a_falling_mtu),
    };
    return cmocka_run_group_tests_name("tcp/transfer", tests, NULL, NULL);
}
