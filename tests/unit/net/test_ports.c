/* Bound ports: who may bind what, which port is chosen, who gets the packet. */
#include "net_test.h"

#include "net/ports.h"

struct desk {
    struct world *w;
    struct wi_ports ports;
    struct wi_sk sk[64];
    unsigned n;
};

static bool is_listening(const struct wi_sk *sk)
{
    return sk->err_soft == 77; /* the test's mark of a listener */
}

static bool never_taken(void *ctx, uint16_t port)
{
    (void)ctx;
    (void)port;
    return false;
}

static struct desk *desk_new(bool (*receives)(const struct wi_sk *), bool connects)
{
    struct desk *d = calloc(1, sizeof *d);
    d->w = world_new();
    assert_int_equal(wi_ports_init(&d->ports, &d->w->core, receives, connects), 0);
    return d;
}

static void desk_end(struct desk *d)
{
    const char *broken = wi_ports_check(&d->ports);
    if (broken)
        fail_msg("%s", broken);
    for (unsigned i = 0; i < d->n; i++)
        wi_ports_release(&d->ports, &d->sk[i]);
    wi_ports_fini(&d->ports);
    world_end(d->w);
    free(d);
}

static struct wi_sk *sock(struct desk *d, int family)
{
    struct wi_sk *sk = &d->sk[d->n++];
    assert_true(d->n <= WI_ARRAY_LEN(d->sk));
    wi_sk_init(sk, &d->w->core, d->w->net, NULL, family, WEIR_SOCK_DGRAM, WEIR_IPPROTO_UDP);
    return sk;
}

static int bind_to(struct desk *d, struct wi_sk *sk, const char *text, uint16_t port)
{
    struct weir_sockaddr a = {.addr = addr(text), .port = port};
    return wi_ports_bind(&d->ports, sk, &a);
}

static struct wi_sk *find(struct desk *d, const char *local, uint16_t port, const char *remote, uint16_t remote_port)
{
    struct wi_ports_key key = {
        .local = addr(local), .remote = addr(remote), .local_port = port, .remote_port = remote_port, .netif = 2};
    return wi_ports_lookup(&d->ports, &key);
}

/* The rules of Linux's bind, each as one row: may the second bind after the first? */
static void test_bind_conflicts_are_linux_ones(void **state)
{
    (void)state;
    enum { REUSE = 1, RPORT = 2, ONLY6 = 4, IF2 = 8, IF3 = 16, LISTENS = 32 };
    static const struct {
        const char *a, *b;
        int a_opts, b_opts;
        bool is_allowed;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", 0, 0, false},
        {"192.0.2.1", "192.0.2.2", 0, 0, true},
        {"0.0.0.0", "192.0.2.1", 0, 0, false},
        {"192.0.2.1", "0.0.0.0", 0, 0, false},
        {"0.0.0.0", "0.0.0.0", 0, 0, false},
        {"::", "0.0.0.0", 0, 0, false},
        {"0.0.0.0", "::", 0, 0, false},
        {"::", "192.0.2.1", 0, 0, false},
        {"192.0.2.1", "::", 0, 0, false},
        {"::", "0.0.0.0", ONLY6, 0, true},
        {"0.0.0.0", "::", 0, ONLY6, true},
        {"::", "2001:db8::1", 0, 0, false},
        {"2001:db8::1", "::", 0, ONLY6, false},
        {"2001:db8::1", "0.0.0.0", 0, 0, true},
        {"2001:db8::1", "192.0.2.1", 0, 0, true},
        {"0.0.0.0", "0.0.0.0", REUSE, REUSE, true},
        {"0.0.0.0", "0.0.0.0", REUSE, 0, false},
        {"0.0.0.0", "0.0.0.0", 0, REUSE, false},
        {"0.0.0.0", "0.0.0.0", REUSE | LISTENS, REUSE, false},
        {"192.0.2.1", "0.0.0.0", REUSE | LISTENS, REUSE, false},
        {"192.0.2.1", "192.0.2.2", LISTENS, 0, true},
        {"0.0.0.0", "0.0.0.0", RPORT, RPORT, true},
        {"0.0.0.0", "0.0.0.0", RPORT | LISTENS, RPORT, true},
        {"0.0.0.0", "0.0.0.0", RPORT, REUSE, false},
        {"0.0.0.0", "0.0.0.0", IF2, IF3, true},
        {"0.0.0.0", "0.0.0.0", IF2, IF2, false},
        {"0.0.0.0", "0.0.0.0", IF2, 0, false},
    };
    for (size_t i = 0; i < WI_ARRAY_LEN(rows); i++) {
        struct desk *d = desk_new(is_listening, false);
        const int opts[] = {rows[i].a_opts, rows[i].b_opts};
        struct wi_sk *sk[2];
        for (int k = 0; k < 2; k++) {
            sk[k] = sock(d, WEIR_AF_INET6);
            sk[k]->opts.reuseaddr = opts[k] & REUSE;
            sk[k]->opts.reuseport = opts[k] & RPORT;
            sk[k]->opts.v6only = opts[k] & ONLY6;
            sk[k]->opts.bound_if = opts[k] & IF2 ? 2 : opts[k] & IF3 ? 3 : 0;
            sk[k]->err_soft = opts[k] & LISTENS ? 77 : 0;
        }
        assert_int_equal(bind_to(d, sk[0], rows[i].a, 80), 0);
        int expected = rows[i].is_allowed ? 0 : -WEIR_EADDRINUSE;
        if (bind_to(d, sk[1], rows[i].b, 80) != expected)
            fail_msg("row %zu", i);
        desk_end(d);
    }
}

static void test_bind_port_in_use_by_accepted_connection_needs_reuseaddr(void **state)
{
    (void)state;
    struct desk *d = desk_new(is_listening, false);
    struct wi_sk *listener = sock(d, WEIR_AF_INET), *child = sock(d, WEIR_AF_INET), *again = sock(d, WEIR_AF_INET);
    listener->opts.reuseaddr = true;
    assert_int_equal(bind_to(d, listener, "0.0.0.0", 80), 0);
    child->local.addr = addr("192.0.2.1");
    child->local.port = 80;
    assert_int_equal(wi_ports_inherit(&d->ports, child, listener), 0);
    wi_ports_release(&d->ports, listener);
    assert_int_equal(bind_to(d, again, "0.0.0.0", 80), -WEIR_EADDRINUSE);
    assert_int_equal(bind_to(d, again, "192.0.2.2", 80), 0);
    wi_ports_release(&d->ports, again);
    again->opts.reuseaddr = true;
    assert_int_equal(bind_to(d, again, "0.0.0.0", 80), 0);
    desk_end(d);
}

static void test_listen_second_sharer_of_port_is_refused(void **state)
{
    (void)state;
    struct desk *d = desk_new(is_listening, false);
    struct wi_sk *a = sock(d, WEIR_AF_INET), *b = sock(d, WEIR_AF_INET);
    a->opts.reuseaddr = b->opts.reuseaddr = true;
    assert_int_equal(bind_to(d, a, "0.0.0.0", 80), 0);
    assert_int_equal(bind_to(d, b, "0.0.0.0", 80), 0);
    assert_int_equal(wi_ports_may_listen(&d->ports, a), 0);
    a->err_soft = 77;
    assert_int_equal(wi_ports_may_listen(&d->ports, a), 0);
    assert_int_equal(wi_ports_may_listen(&d->ports, b), -WEIR_EADDRINUSE);
    desk_end(d);
}

static void test_lookup_prefers_address_then_interface_then_wildcards(void **state)
{
    (void)state;
    struct desk *d = desk_new(NULL, false);
    struct wi_sk *any6 = sock(d, WEIR_AF_INET6), *any4 = sock(d, WEIR_AF_INET), *one = sock(d, WEIR_AF_INET);
    struct wi_sk *on_if = sock(d, WEIR_AF_INET), *catch_all = sock(d, WEIR_AF_INET);
    struct wi_sk *all[] = {any6, any4, one, on_if};
    for (size_t i = 0; i < WI_ARRAY_LEN(all); i++)
        all[i]->opts.reuseaddr = true;
    catch_all->opts.any_port = true;
    on_if->opts.bound_if = 2;
    assert_int_equal(bind_to(d, catch_all, "0.0.0.0", 53), 0);
    assert_int_equal(catch_all->local.port, 0);
    assert_ptr_equal(find(d, "192.0.2.1", 53, "192.0.2.9", 1), catch_all);
    assert_null(find(d, "2001:db8::1", 53, "2001:db8::2", 1));
    assert_int_equal(bind_to(d, any6, "::", 53), 0);
    assert_ptr_equal(find(d, "192.0.2.1", 53, "192.0.2.9", 1), any6);
    assert_ptr_equal(find(d, "2001:db8::1", 53, "2001:db8::2", 1), any6);
    any6->opts.v6only = true;
    assert_ptr_equal(find(d, "192.0.2.1", 53, "192.0.2.9", 1), catch_all);
    any6->opts.v6only = false;
    assert_int_equal(bind_to(d, any4, "0.0.0.0", 53), 0);
    assert_ptr_equal(find(d, "192.0.2.1", 53, "192.0.2.9", 1), any4);
    assert_int_equal(bind_to(d, on_if, "0.0.0.0", 53), 0);
    assert_ptr_equal(find(d, "192.0.2.1", 53, "192.0.2.9", 1), on_if);
    on_if->opts.bound_if = 3;
    assert_ptr_equal(find(d, "192.0.2.1", 53, "192.0.2.9", 1), any4);
    assert_int_equal(bind_to(d, one, "192.0.2.1", 53), 0);
    assert_ptr_equal(find(d, "192.0.2.1", 53, "192.0.2.9", 1), one);
    assert_ptr_equal(find(d, "192.0.2.2", 53, "192.0.2.9", 1), any4);
    desk_end(d);
}

static void test_lookup_reuseport_group_spreads_flows_and_keeps_each(void **state)
{
    (void)state;
    struct desk *d = desk_new(NULL, false);
    unsigned hits[8] = {0};
    for (unsigned i = 0; i < 8; i++) {
        struct wi_sk *sk = sock(d, WEIR_AF_INET);
        sk->opts.reuseport = true;
        assert_int_equal(bind_to(d, sk, "0.0.0.0", 80), 0);
    }
    for (uint16_t port = 1; port <= 8000; port++) {
        struct wi_sk *sk = find(d, "192.0.2.1", 80, "192.0.2.9", port);
        assert_ptr_equal(sk, find(d, "192.0.2.1", 80, "192.0.2.9", port));
        hits[sk - d->sk]++;
    }
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(hits[i], 800, 1200);
    desk_end(d);
}

static void count(void *ctx, struct wi_sk *sk)
{
    (void)sk;
    ++*(unsigned *)ctx;
}

static void test_each_multicast_reaches_all_that_share_the_port(void **state)
{
    (void)state;
    struct desk *d = desk_new(NULL, false);
    unsigned n = 0;
    static const char *const places[] = {"0.0.0.0", "0.0.0.0", "224.1.2.3", "::", "192.0.2.1"};
    for (size_t i = 0; i < WI_ARRAY_LEN(places); i++) {
        struct wi_sk *sk = sock(d, WEIR_AF_INET6);
        sk->opts.reuseaddr = true;
        assert_int_equal(bind_to(d, sk, places[i], 5353), 0);
    }
    struct wi_ports_key key = {.local = addr("224.1.2.3"), .remote = addr("192.0.2.9"), .local_port = 5353, .netif = 2};
    wi_ports_each(&d->ports, &key, count, &n);
    assert_int_equal(n, 4);
    desk_end(d);
}

static void test_hold_and_receive_move_between_address_and_wildcard(void **state)
{
    (void)state;
    struct desk *d = desk_new(NULL, false);
    struct wi_sk *sk = sock(d, WEIR_AF_INET);
    struct weir_addr one = addr("192.0.2.1"), any = addr("0.0.0.0");
    assert_int_equal(bind_to(d, sk, "0.0.0.0", 0), 0);
    uint16_t port = sk->local.port;
    assert_true(port != 0);
    assert_int_equal(wi_ports_hold(&d->ports, sk, &one), 0);
    assert_null(find(d, "192.0.2.1", port, "192.0.2.9", 1));
    assert_true(weir_addr_equal(&sk->local.addr, &one));
    assert_int_equal(wi_ports_hold(&d->ports, sk, &one), 0);
    assert_int_equal(wi_ports_receive(&d->ports, sk, &any), 0);
    assert_ptr_equal(find(d, "192.0.2.1", port, "192.0.2.9", 1), sk);
    desk_end(d);
}

/* bind(0) chooses all over the range, and never the same way. Rows: 6056-7 6056-2 */
static void test_bind_port_zero_spans_the_range(void **state)
{
    (void)state;
    struct desk *d = desk_new(NULL, false);
    unsigned tenths[10] = {0};
    const unsigned min = 32768, n = 60999 - 32768 + 1;
    struct wi_sk *sk = sock(d, WEIR_AF_INET);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(bind_to(d, sk, "0.0.0.0", 0), 0);
        assert_in_range(sk->local.port, min, min + n - 1);
        tenths[(sk->local.port - min) * 10 / n]++;
        wi_ports_release(&d->ports, sk);
    }
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(tenths[i], 800, 1200);
    desk_end(d);
}

/* A port that a local service has is never chosen. Rows: 6056-1 */
static void test_ephemeral_passes_over_bound_ports(void **state)
{
    (void)state;
    struct desk *d = desk_new(is_listening, true);
    d->w->core.sysctl.ip_local_port_min = 50000;
    d->w->core.sysctl.ip_local_port_max = 50009;
    struct wi_sk *service = sock(d, WEIR_AF_INET), *client = sock(d, WEIR_AF_INET);
    assert_int_equal(bind_to(d, service, "127.0.0.1", 50004), 0);
    client->local.addr = addr("192.0.2.1");
    for (unsigned i = 0; i < 1000; i++) {
        struct weir_sockaddr remote = {.addr = addr("192.0.2.9"), .port = (uint16_t)(i + 1)};
        assert_int_equal(wi_ports_bind_ephemeral(&d->ports, client, &remote, never_taken, NULL), 0);
        assert_true(client->local.port != 50004);
        wi_ports_release(&d->ports, client);
    }
    desk_end(d);
}

static bool is_taken(void *ctx, uint16_t port)
{
    return ((const uint8_t *)ctx)[port] != 0;
}

/* Each connection to one remote gets another port until there is none; then -EADDRNOTAVAIL. Rows: 6056-4 */
static void test_ephemeral_exhausted_range_is_refused(void **state)
{
    (void)state;
    struct desk *d = desk_new(is_listening, true);
    static uint8_t taken[65536];
    memset(taken, 0, sizeof taken);
    d->w->core.sysctl.ip_local_port_min = 50000;
    d->w->core.sysctl.ip_local_port_max = 50031;
    struct weir_sockaddr remote = {.addr = addr("192.0.2.9"), .port = 80};
    for (unsigned i = 0; i < 32; i++) {
        struct wi_sk *sk = sock(d, WEIR_AF_INET);
        sk->local.addr = addr("192.0.2.1");
        assert_int_equal(wi_ports_bind_ephemeral(&d->ports, sk, &remote, is_taken, taken), 0);
        assert_int_equal(taken[sk->local.port]++, 0);
    }
    struct wi_sk *sk = sock(d, WEIR_AF_INET);
    sk->local.addr = addr("192.0.2.1");
    assert_int_equal(wi_ports_bind_ephemeral(&d->ports, sk, &remote, is_taken, taken), -WEIR_EADDRNOTAVAIL);
    assert_null(sk->port);
    /* another remote has the whole range again */
    assert_int_equal(wi_ports_bind_ephemeral(&d->ports, sk, &remote, never_taken, NULL), 0);
    desk_end(d);
}

static uint16_t next_port(struct desk *d, const char *to)
{
    struct wi_sk sk;
    struct weir_sockaddr remote = {.addr = addr(to), .port = 80};
    wi_sk_init(&sk, &d->w->core, d->w->net, NULL, WEIR_AF_INET, WEIR_SOCK_STREAM, WEIR_IPPROTO_TCP);
    sk.local.addr = addr("192.0.2.1");
    assert_int_equal(wi_ports_bind_ephemeral(&d->ports, &sk, &remote, never_taken, NULL), 0);
    uint16_t port = sk.local.port;
    wi_ports_release(&d->ports, &sk);
    return port;
}

/* To one remote the ports step up by a little, with noise; what one remote sees says nothing of another's.
 * Rows: 6056-3 6056-5 6056-8
 * attack-ephemeral-port-prediction */
static void test_ephemeral_steps_are_small_and_noisy_per_destination(void **state)
{
    (void)state;
    struct desk *d = desk_new(is_listening, true);
    unsigned step_kinds = 0, wraps = 0;
    uint16_t last = next_port(d, "192.0.2.9");
    for (unsigned i = 0; i < 200; i++) {
        uint16_t other = next_port(d, "192.0.2.10"), port = next_port(d, "192.0.2.9");
        assert_true(abs(other - port) > 16);
        int step = port - last;
        wraps += step < 0;
        if (step > 0) {
            assert_in_range(step, 1, 8);
            step_kinds |= 1u << step;
        }
        last = port;
    }
    assert_in_range(wraps, 0, 1);
    assert_true(__builtin_popcount(step_kinds) >= 4);
    desk_end(d);
}

/* Nine tenths of the range are reserved; the choice is still even over the rest. Rows: 6056-6 */
static void test_bind_port_zero_crowded_range_finds_the_free_ones(void **state)
{
    (void)state;
    struct desk *d = desk_new(NULL, false);
    d->w->core.sysctl.ip_local_port_min = 50000;
    d->w->core.sysctl.ip_local_port_max = 50049;
    for (unsigned i = 0; i < 45; i++)
        assert_int_equal(bind_to(d, sock(d, WEIR_AF_INET), "0.0.0.0", (uint16_t)(50000 + i)), 0);
    for (unsigned i = 0; i < 5; i++) {
        struct wi_sk *sk = sock(d, WEIR_AF_INET);
        assert_int_equal(bind_to(d, sk, "0.0.0.0", 0), 0);
        assert_in_range(sk->local.port, 50045, 50049);
    }
    assert_int_equal(bind_to(d, sock(d, WEIR_AF_INET), "0.0.0.0", 0), -WEIR_EADDRINUSE);
    desk_end(d);
}

static void test_bind_twice_is_invalid(void **state)
{
    (void)state;
    struct desk *d = desk_new(NULL, false);
    struct wi_sk *sk = sock(d, WEIR_AF_INET);
    assert_int_equal(bind_to(d, sk, "0.0.0.0", 1), 0);
    assert_int_equal(bind_to(d, sk, "0.0.0.0", 2), -WEIR_EINVAL);
    desk_end(d);
}

static void test_bind_without_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        struct desk *d = desk_new(NULL, false);
        struct wi_sk *sk = sock(d, WEIR_AF_INET);
        d->w->heap.fail_at = d->w->heap.alloc_n + nth;
        int err = bind_to(d, sk, "192.0.2.1", 53);
        bool is_done = d->w->heap.alloc_n < d->w->heap.fail_at;
        d->w->heap.fail_at = 0;
        assert_int_equal(err, is_done ? 0 : -WEIR_ENOMEM);
        desk_end(d);
        if (is_done)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bind_conflicts_are_linux_ones),
        cmocka_unit_test(test_bind_port_in_use_by_accepted_connection_needs_reuseaddr),
        cmocka_unit_test(test_listen_second_sharer_of_port_is_refused),
        cmocka_unit_test(test_lookup_prefers_address_then_interface_then_wildcards),
        cmocka_unit_test(test_lookup_reuseport_group_spreads_flows_and_keeps_each),
        cmocka_unit_test(test_each_multicast_reaches_all_that_share_the_port),
        cmocka_unit_test(test_hold_and_receive_move_between_address_and_wildcard),
        cmocka_unit_test(test_bind_port_zero_spans_the_range),
        cmocka_unit_test(test_ephemeral_passes_over_bound_ports),
        cmocka_unit_test(test_ephemeral_exhausted_range_is_refused),
        cmocka_unit_test(test_ephemeral_steps_are_small_and_noisy_per_destination),
        cmocka_unit_test(test_bind_port_zero_crowded_range_finds_the_free_ones),
        cmocka_unit_test(test_bind_twice_is_invalid),
        cmocka_unit_test(test_bind_without_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
