/*
 * A million connections in TIME-WAIT: what each costs, how long it takes to find one, and that the end of 2 MSL gives
 * everything back. Under a sanitizer they are fewer.
 */
#include "unit/tcp/rig.h"

#include "tcp/timewait.h"

#include <stdio.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define ENTRY_N 30000u
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ENTRY_N 30000u
#endif
#endif
#ifndef ENTRY_N
#define ENTRY_N 1000000u
#endif

#define ENTRY_BYTES    152u /* all in: the entry, its slab's and the table's share */
#define FIN_WAIT_BYTES 232u
#define FIN_WAIT_N     20000u
#define LOOKUP_NS      2000.0
#define LOOKUP_N       200000u

/* Where the i-th connection came from. */
static struct weir_sockaddr remote(uint32_t i)
{
    return (struct weir_sockaddr){.addr = weir_addr_v4(11, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i),
                                  .family = WEIR_AF_INET,
                                  .port = (uint16_t)(1024 + i % 60000)};
}

static struct wi_tcp_key key_of(const struct rig *r, uint32_t i)
{
    struct weir_sockaddr from = remote(i);
    struct wi_tcp_tuple t = {rig_addr(1), from.addr, OUR_PORT, from.port};
    return wi_tcp_key_of(&r->tcp, &t, 0);
}

/* A connection that has gone through its life up to this state. */
static void pass_to(struct rig *r, struct wi_tcp_conn *listener, uint32_t i, enum weir_tcp_state last)
{
    struct wi_tcp_key key = key_of(r, i);
    struct wi_tcp_conn *c = wi_tcp_child_new(listener, &key.tuple, 0, i + 2);
    struct wi_tcp_syn syn = {
        .iss = {i}, .irs = {~i}, .snd_wnd_bytes = 65535, .peer_mss = MSS, .rcv_wnd_bytes = 20000, .id = i + 2};
    assert_non_null(c);
    wi_tcp_open_passive(c, &syn);
    wi_tcp_demux_insert(c);
    wi_tcp_set_state(c, WEIR_TCP_ESTABLISHED, "test");
    wi_tcp_set_state(c, WEIR_TCP_FIN_WAIT_1, "test");
    wi_tcp_set_state(c, last, "test");
    wi_tcp_flush(&r->tcp);
}

static void pass_through(struct rig *r, struct wi_tcp_conn *listener, uint32_t i)
{
    pass_to(r, listener, i, WEIR_TCP_TIME_WAIT);
}

static struct wi_tcp_conn *listening(struct rig *r)
{
    struct wi_tcp_conn *l = wi_tcp_conn_new(&r->tcp, WEIR_AF_INET);
    struct weir_sockaddr here = {.addr = rig_addr(1), .family = WEIR_AF_INET, .port = OUR_PORT};
    struct weir_route all = {.dst = weir_addr_any(WEIR_AF_INET), .netif = r->netif};
    assert_non_null(l);
    assert_int_equal(wi_net_route_add(r->net, &all), 0);
    assert_int_equal(wi_ports_bind(&r->tcp.ports, &l->sk, &here), 0);
    l->sk.owner = r;
    l->sk.on_ready = rig_ready;
    assert_int_equal(wi_tcp_listen(&l->sk, 5), 0);
    return l;
}

static double lookup_ns(const struct rig *r, uint32_t among)
{
    clock_t began = clock();
    uint32_t found = 0, i = 1;
    for (uint32_t n = 0; n < LOOKUP_N; n++) {
        i = i * 1664525u + 1013904223u;
        struct wi_tcp_key key = key_of(r, i % among);
        found += wi_tcp_timewait_find(&r->tcp, &key) != NULL;
    }
    assert_int_equal(found, LOOKUP_N);
    return (double)(clock() - began) * 1e9 / CLOCKS_PER_SEC / LOOKUP_N;
}

/* Rows: attack-time-wait-exhaustion */
static void test_timewait_a_million_entries_are_small_and_fast(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.event_mask = 0;
    r->core.sysctl.tcp_max_tw_buckets = ENTRY_N;
    struct wi_tcp_conn *l = listening(r);
    pass_through(r, l, ENTRY_N); /* what the first one needs once for all */
    rig_until(r, r->core.now + WEIR_SEC(61));
    size_t before = r->heap.bytes;
    double few = 0;
    for (uint32_t i = 0; i < ENTRY_N; i++) {
        pass_through(r, l, i);
        if (i == 999)
            few = lookup_ns(r, 1000);
    }
    assert_int_equal(wi_htable_count(&r->tcp.timewaits), ENTRY_N);
    size_t each = (r->heap.bytes - before) / ENTRY_N;
    double many = lookup_ns(r, ENTRY_N);
    printf("# %u entries: %zu bytes each, found in %.0f ns (among 1000: %.0f ns)\n", ENTRY_N, each, many, few);
    assert_true(each <= ENTRY_BYTES);
    assert_true(many < LOOKUP_NS);

    pass_through(r, l, ENTRY_N); /* no place for one more: it is simply over */
    struct wi_tcp_key key = key_of(r, ENTRY_N);
    assert_null(wi_tcp_timewait_find(&r->tcp, &key));

    clock_t began = clock();
    rig_until(r, r->core.now + WEIR_SEC(61));
    printf("# gone in %.3f s\n", (double)(clock() - began) / CLOCKS_PER_SEC);
    assert_int_equal(wi_htable_count(&r->tcp.timewaits), 0);
    assert_true(r->heap.bytes <= before + 4096);
    rig_end(r);
}

/* A peer that never sends its FIN keeps an entry waiting, not a connection.
 * Rows: attack-fin-wait-2-and-closing-exhaustion */
static void test_fin_wait_2_entries_are_small(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.event_mask = 0;
    struct wi_tcp_conn *l = listening(r);
    pass_to(r, l, FIN_WAIT_N, WEIR_TCP_FIN_WAIT_2);
    rig_until(r, r->core.now + WEIR_SEC(61));
    size_t before = r->heap.bytes;
    for (uint32_t i = 0; i < FIN_WAIT_N; i++)
        pass_to(r, l, i, WEIR_TCP_FIN_WAIT_2);
    assert_int_equal(wi_htable_count(&r->tcp.timewaits), FIN_WAIT_N);
    assert_true((r->heap.bytes - before) / FIN_WAIT_N <= FIN_WAIT_BYTES);
    assert_ptr_equal(wi_list_first(&r->tcp.all, struct wi_tcp_conn, all_link), l); /* no other is left */
    rig_until(r, r->core.now + WEIR_SEC(61));
    assert_true(r->heap.bytes <= before + 4096);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timewait_a_million_entries_are_small_and_fast),
        cmocka_unit_test(test_fin_wait_2_entries_are_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
