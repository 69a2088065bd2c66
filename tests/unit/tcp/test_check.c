/* The invariants' own test: each broken one is found, and put right is not. */
#include "unit/support/alloc.h"

#include "tcp/demux.h"
#include "tcp/listen.h"

static struct heap heap;
static struct wi_core core;
static struct wi_net *net;
static struct wi_tcp tcp;
static struct wi_tcp_conn *c; /* SYN-SENT over loopback */
static struct wi_tcp_conn *l; /* LISTEN */

static int setup(void **state)
{
    (void)state;
    heap = (struct heap){0};
    struct weir_config cfg = {.alloc = heap_owner(&heap), .now = WEIR_SEC(1), .seed = 3};
    assert_int_equal(wi_core_init(&core, &cfg), 0);
    net = wi_net_new(&core);
    assert_non_null(net);
    assert_int_equal(wi_tcp_init(&tcp, &core, net), 0);
    struct wi_sk *sk = wi_tcp_sk_new(&tcp, WEIR_AF_INET), *listening = wi_tcp_sk_new(&tcp, WEIR_AF_INET);
    struct weir_sockaddr to = {.addr = weir_addr_v4(127, 0, 0, 1), .family = WEIR_AF_INET, .port = 9};
    c = wi_tcp_conn_of(sk);
    l = wi_tcp_conn_of(listening);
    sk->owner = listening->owner = &tcp; /* any: they are not to be freed */
    assert_int_equal(sk->ops->connect(sk, &to), -WEIR_EINPROGRESS);
    assert_int_equal(listening->ops->listen(listening, 5), 0);
    assert_null(wi_tcp_check(c));
    assert_null(wi_tcp_check(l));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wi_tcp_fini(&tcp);
    wi_net_free(net);
    wi_core_fini(&core);
    assert_int_equal(heap.bytes, 0);
    return 0;
}

/* Break a member for the length of a check. */
#define FINDS(conn, member, value)                                                                                     \
    do {                                                                                                               \
        struct wi_tcp_conn saved = *(conn);                                                                            \
        (conn)->member = (value);                                                                                      \
        assert_non_null(wi_tcp_check(conn));                                                                           \
        (conn)->member = saved.member;                                                                                 \
        assert_null(wi_tcp_check(conn));                                                                               \
    } while (0)

static void test_check_finds_what_is_wrong_with_a_connection(void **state)
{
    (void)state;
    FINDS(c, state, WEIR_TCP_STATE_N);
    FINDS(c, state, WEIR_TCP_CLOSED);
    FINDS(c, is_hashed, false);
    FINDS(c, sk.remote.port, 10);
    FINDS(c, sk.port_is_held, false);
    FINDS(c, is_orphan, true);
    FINDS(c, snd_una, wi_seq_add(c->snd_nxt, 1));
    FINDS(c, snd_nxt, wi_seq_add(c->write_seq, 1));
    FINDS(c, rcv_wup, wi_seq_add(c->rcv_nxt, 1));
    FINDS(c, copied_seq, wi_seq_add(c->rcv_nxt, 1));
    FINDS(c, loss.sacked_out, 2);
    FINDS(c, loss.retrans_out, 2);
    FINDS(c, cwnd, 0);
    FINDS(c, snd_mss, 0);
    FINDS(c, cc, NULL);
}

static void test_check_finds_what_is_wrong_with_a_listener(void **state)
{
    (void)state;
    FINDS(l, listener, NULL);
    FINDS(l, state, WEIR_TCP_CLOSED);
    l->listener->child_n++;
    assert_non_null(wi_tcp_check(l));
    l->listener->child_n--;
    l->listener->request_n++;
    assert_non_null(wi_tcp_check(l));
    l->listener->request_n--;
    l->listener->young_n++;
    assert_non_null(wi_tcp_check(l));
    l->listener->young_n--;
    assert_null(wi_tcp_check(l));
}

static void test_check_finds_a_timer_of_a_connection_that_is_over(void **state)
{
    (void)state;
    wi_tcp_done(c, 0, WEIR_WHY_NONE, "test");
    assert_null(wi_tcp_check(c));
    wi_timer_arm(&core.wheel, &c->timer_keep, WEIR_SEC(9));
    assert_non_null(wi_tcp_check(c));
    wi_timer_cancel(&core.wheel, &c->timer_keep);
    assert_null(wi_tcp_check(c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check_finds_what_is_wrong_with_a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check_finds_what_is_wrong_with_a_listener, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check_finds_a_timer_of_a_connection_that_is_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
