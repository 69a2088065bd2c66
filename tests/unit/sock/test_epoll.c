/* Epoll on endpoints that say what the test wants: level, edge, one-shot, exclusive, nested. */
#include "fake.h"

#define IN  WEIR_POLLIN
#define OUT WEIR_POLLOUT

static int wait(struct wi_handle *ep, struct weir_epoll_event *ev, int max)
{
    int n = wi_epoll_wait(ep->epoll, ev, max);
    assert_null(wi_epoll_check(ep->epoll));
    return n;
}

static void test_epoll_level_reports_until_silent(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev[4];
    rig_init(&r, 0);
    struct wi_handle *ep = rig_epoll(&r), *h = rig_socket(&r, &f);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN, 7), 0);
    assert_int_equal(wait(ep, ev, 4), 0);
    fake_event(&f, IN | OUT);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wait(ep, ev, 4), 1);
        assert_int_equal(ev[0].events, IN);
        assert_int_equal(ev[0].data, 7);
    }
    f.true_now = 0;
    assert_int_equal(wait(ep, ev, 4), 0);
    /* Silent is off the list: it isn't asked again. */
    unsigned polled = f.polled_n;
    assert_int_equal(wait(ep, ev, 4), 0);
    assert_int_equal(f.polled_n, polled);
    rig_fini(&r);
}

static void test_epoll_edge_reports_each_event_once(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev[4];
    rig_init(&r, 0);
    struct wi_handle *ep = rig_epoll(&r), *h = rig_socket(&r, &f);
    f.true_now = OUT;
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN | OUT | WEIR_EPOLLET, 1), 0);
    assert_int_equal(wait(ep, ev, 4), 1); /* what was true already is an edge */
    assert_int_equal(ev[0].events, OUT);
    assert_int_equal(wait(ep, ev, 4), 0);
    fake_event(&f, IN);
    assert_int_equal(wait(ep, ev, 4), 1);
    assert_int_equal(ev[0].events, IN | OUT);
    assert_int_equal(wait(ep, ev, 4), 0);
    fake_event(&f, IN); /* more data, though it had been readable all the time */
    assert_int_equal(wait(ep, ev, 4), 1);
    /* CTL_MOD arms the edge anew. */
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_MOD, h, IN | WEIR_EPOLLET, 2), 0);
    assert_int_equal(wait(ep, ev, 4), 1);
    assert_int_equal(ev[0].data, 2);
    rig_fini(&r);
}

static void test_epoll_oneshot_is_silent_until_rearmed(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev[4];
    rig_init(&r, 0);
    struct wi_handle *ep = rig_epoll(&r), *h = rig_socket(&r, &f);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN | WEIR_EPOLLONESHOT, 1), 0);
    fake_event(&f, IN);
    assert_int_equal(wait(ep, ev, 4), 1);
    fake_event(&f, IN | WEIR_POLLHUP);
    assert_int_equal(wait(ep, ev, 4), 0); /* not even HUP */
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_MOD, h, IN | WEIR_EPOLLONESHOT, 1), 0);
    assert_int_equal(wait(ep, ev, 4), 1);
    assert_int_equal(ev[0].events, IN | WEIR_POLLHUP);
    rig_fini(&r);
}

static void test_epoll_error_and_hangup_come_unasked(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev[4];
    rig_init(&r, 0);
    struct wi_handle *ep = rig_epoll(&r), *h = rig_socket(&r, &f);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, 0, 1), 0);
    fake_event(&f, IN | WEIR_POLLRDHUP);
    assert_int_equal(wait(ep, ev, 4), 0);
    fake_event(&f, WEIR_POLLERR | WEIR_POLLHUP);
    assert_int_equal(wait(ep, ev, 4), 1);
    assert_int_equal(ev[0].events, WEIR_POLLERR | WEIR_POLLHUP);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_MOD, h, WEIR_POLLRDHUP | WEIR_POLLRDNORM, 1), 0);
    assert_int_equal(wait(ep, ev, 4), 1);
    assert_int_equal(ev[0].events, WEIR_POLLERR | WEIR_POLLHUP | WEIR_POLLRDHUP | WEIR_POLLRDNORM);
    rig_fini(&r);
}

/* With room for one event at a time nobody starves. */
static void test_epoll_level_takes_turns_when_room_is_short(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f[3];
    struct weir_epoll_event ev[2];
    rig_init(&r, 0);
    struct wi_handle *ep = rig_epoll(&r);
    for (unsigned i = 0; i < 3; i++) {
        struct wi_handle *h = rig_socket(&r, &f[i]);
        assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN, i), 0);
        fake_event(&f[i], IN);
    }
    const uint64_t want[] = {0, 1, 2, 0, 1, 2};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(wait(ep, ev, 1), 1);
        assert_int_equal(ev[0].data, want[i]);
    }
    assert_int_equal(wait(ep, ev, 2), 2);
    assert_int_equal(ev[1].data, 1);
    assert_int_equal(wait(ep, ev, 2), 2);
    assert_int_equal(ev[0].data, 2);
    rig_fini(&r);
}

static void test_epoll_ctl_wrong_calls_are_refused(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev;
    rig_init(&r, 0);
    struct wi_handle *ep = rig_epoll(&r), *h = rig_socket(&r, &f);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_MOD, h, IN, 1), -WEIR_ENOENT);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_DEL, h, IN, 1), -WEIR_ENOENT);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN, 1), 0);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN, 1), -WEIR_EEXIST);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, ep, IN, 1), -WEIR_EINVAL);
    assert_int_equal(rig_ctl(&r, ep, 4, h, IN, 1), -WEIR_EINVAL);
    assert_int_equal(wi_epoll_ctl(&r.epolls, h, WEIR_EPOLL_CTL_ADD, ep, &ev), -WEIR_EINVAL);
    assert_int_equal(wi_epoll_ctl(&r.epolls, ep, WEIR_EPOLL_CTL_MOD, h, NULL), -WEIR_EINVAL);
    assert_int_equal(wi_epoll_wait(ep->epoll, &ev, 0), -WEIR_EINVAL);
    assert_int_equal(wi_epoll_wait(ep->epoll, &ev, -1), -WEIR_EINVAL);
    assert_int_equal(wi_epoll_ctl(&r.epolls, ep, WEIR_EPOLL_CTL_DEL, h, NULL), 0);
    assert_null(f.sk.on_ready); /* nobody listens any more */
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_DEL, h, IN, 1), -WEIR_ENOENT);

    r.heap.fail_at = r.heap.alloc_n + 1;
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN, 1), -WEIR_ENOMEM);
    assert_null(f.sk.on_ready);
    rig_fini(&r);
}

static void test_epoll_closed_socket_leaves_every_set(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f, g;
    struct weir_epoll_event ev[4];
    rig_init(&r, 0);
    struct wi_handle *ep1 = rig_epoll(&r), *ep2 = rig_epoll(&r), *h = rig_socket(&r, &f), *k = rig_socket(&r, &g);
    assert_int_equal(rig_ctl(&r, ep1, WEIR_EPOLL_CTL_ADD, h, IN, 1), 0);
    assert_int_equal(rig_ctl(&r, ep2, WEIR_EPOLL_CTL_ADD, h, IN, 2), 0);
    assert_int_equal(rig_ctl(&r, ep2, WEIR_EPOLL_CTL_ADD, k, IN, 3), 0);
    fake_event(&f, IN);
    fake_event(&g, IN);
    assert_int_equal(wait(ep1, ev, 4), 1);
    rig_close(&r, h);
    assert_int_equal(wait(ep1, ev, 4), 0);
    assert_int_equal(wait(ep2, ev, 4), 1);
    assert_int_equal(ev[0].data, 3);
    rig_close(&r, ep2);
    assert_null(g.sk.on_ready);
    fake_event(&g, IN);
    rig_fini(&r);
}

/* A listener in three epoll objects: each connection wakes one, in turn; one that has not yet looked is passed over. */
static void test_epoll_exclusive_wakes_one_that_is_free(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev[4];
    struct wi_handle *ep[3];
    rig_init(&r, 0);
    struct wi_handle *plain = rig_epoll(&r), *h = rig_socket(&r, &f);
    for (unsigned i = 0; i < 3; i++) {
        ep[i] = rig_epoll(&r);
        assert_int_equal(rig_ctl(&r, ep[i], WEIR_EPOLL_CTL_ADD, h, IN | WEIR_EPOLLET | WEIR_EPOLLEXCLUSIVE, i), 0);
    }
    assert_int_equal(rig_ctl(&r, plain, WEIR_EPOLL_CTL_ADD, h, IN, 9), 0);
    fake_event(&f, IN);
    assert_int_equal(wait(ep[1], ev, 4) + wait(ep[2], ev, 4), 0);
    fake_event(&f, IN); /* the first is still busy */
    assert_int_equal(wait(ep[2], ev, 4), 0);
    assert_int_equal(wait(ep[0], ev, 4), 1);
    assert_int_equal(wait(ep[1], ev, 4), 1);
    fake_event(&f, IN); /* its turn */
    assert_int_equal(wait(ep[0], ev, 4) + wait(ep[1], ev, 4), 0);
    assert_int_equal(wait(ep[2], ev, 4), 1);
    assert_int_equal(wait(plain, ev, 4), 1);
    fake_event(&f, OUT); /* not asked for */
    assert_int_equal(wait(ep[0], ev, 4), 0);
    rig_fini(&r);
}

static void test_epoll_exclusive_has_its_rules(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    rig_init(&r, 0);
    struct wi_handle *ep = rig_epoll(&r), *inner = rig_epoll(&r), *h = rig_socket(&r, &f);
    const uint32_t ex = WEIR_EPOLLEXCLUSIVE;
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, inner, IN | ex, 1), -WEIR_EINVAL);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN | ex | WEIR_EPOLLONESHOT, 1), -WEIR_EINVAL);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN | ex | WEIR_POLLRDHUP, 1), -WEIR_EINVAL);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_ADD, h, IN | ex, 1), 0);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_MOD, h, IN, 1), -WEIR_EINVAL);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_MOD, h, IN | ex, 1), -WEIR_EINVAL);
    assert_int_equal(rig_ctl(&r, ep, WEIR_EPOLL_CTL_DEL, h, 0, 1), 0);
    rig_fini(&r);
}

static void test_epoll_nested_is_readable_while_the_inner_one_is_ready(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev[4];
    rig_init(&r, 0);
    struct wi_handle *outer = rig_epoll(&r), *middle = rig_epoll(&r), *inner = rig_epoll(&r), *h = rig_socket(&r, &f);
    assert_int_equal(rig_ctl(&r, outer, WEIR_EPOLL_CTL_ADD, middle, IN, 1), 0);
    assert_int_equal(rig_ctl(&r, middle, WEIR_EPOLL_CTL_ADD, inner, IN, 2), 0);
    f.true_now = IN;
    assert_int_equal(rig_ctl(&r, inner, WEIR_EPOLL_CTL_ADD, h, IN, 3), 0);
    assert_int_equal(wi_handle_poll(outer), WEIR_POLLIN | WEIR_POLLRDNORM);
    assert_int_equal(wait(outer, ev, 4), 1);
    assert_int_equal(ev[0].data, 1);
    f.true_now = 0;
    assert_int_equal(wait(outer, ev, 4), 0);
    assert_int_equal(wi_handle_poll(inner), 0);
    fake_event(&f, IN);
    assert_int_equal(wait(outer, ev, 4), 1);
    rig_close(&r, middle);
    assert_int_equal(wait(outer, ev, 4), 0);
    rig_fini(&r);
}

static void test_epoll_nested_circle_or_long_chain_is_eloop(void **state)
{
    (void)state;
    struct rig r;
    struct wi_handle *ep[7];
    rig_init(&r, 0);
    for (unsigned i = 0; i < 7; i++)
        ep[i] = rig_epoll(&r);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(rig_ctl(&r, ep[i], WEIR_EPOLL_CTL_ADD, ep[i + 1], IN, 0), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(rig_ctl(&r, ep[4], WEIR_EPOLL_CTL_ADD, ep[i], IN, 0), -WEIR_ELOOP);
    assert_int_equal(rig_ctl(&r, ep[4], WEIR_EPOLL_CTL_ADD, ep[5], IN, 0), -WEIR_ELOOP); /* six in a chain */
    assert_int_equal(rig_ctl(&r, ep[5], WEIR_EPOLL_CTL_ADD, ep[0], IN, 0), -WEIR_ELOOP);
    assert_int_equal(rig_ctl(&r, ep[5], WEIR_EPOLL_CTL_ADD, ep[1], IN, 0), 0); /* a second parent is fine */
    assert_int_equal(rig_ctl(&r, ep[6], WEIR_EPOLL_CTL_ADD, ep[5], IN, 0), -WEIR_ELOOP);
    assert_int_equal(rig_ctl(&r, ep[6], WEIR_EPOLL_CTL_ADD, ep[1], IN, 0), 0);
    rig_fini(&r);
}

/* An edge travels up: an outer edge-triggered watch fires anew for each event below. */
static void test_epoll_nested_edge_fires_for_each_event_below(void **state)
{
    (void)state;
    struct rig r;
    struct fake_sk f;
    struct weir_epoll_event ev[4];
    rig_init(&r, 0);
    struct wi_handle *outer = rig_epoll(&r), *inner = rig_epoll(&r), *h = rig_socket(&r, &f);
    assert_int_equal(rig_ctl(&r, outer, WEIR_EPOLL_CTL_ADD, inner, IN | WEIR_EPOLLET, 1), 0);
    assert_int_equal(rig_ctl(&r, inner, WEIR_EPOLL_CTL_ADD, h, IN, 2), 0);
    fake_event(&f, IN);
    assert_int_equal(wait(outer, ev, 4), 1);
    assert_int_equal(wait(outer, ev, 4), 0);
    fake_event(&f, IN);
    assert_int_equal(wait(outer, ev, 4), 1);
    assert_int_equal(rig_ctl(&r, inner, WEIR_EPOLL_CTL_MOD, h, IN | OUT, 2),
                     0); /* it was in the list: no edge (Linux) */
    assert_int_equal(wait(outer, ev, 4), 0);
    assert_int_equal(wait(inner, ev, 4), 1);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epoll_level_reports_until_silent),
        cmocka_unit_test(test_epoll_edge_reports_each_event_once),
        cmocka_unit_test(test_epoll_oneshot_is_silent_until_rearmed),
        cmocka_unit_test(test_epoll_error_and_hangup_come_unasked),
        cmocka_unit_test(test_epoll_level_takes_turns_when_room_is_short),
        cmocka_unit_test(test_epoll_ctl_wrong_calls_are_refused),
        cmocka_unit_test(test_epoll_closed_socket_leaves_every_set),
        cmocka_unit_test(test_epoll_exclusive_wakes_one_that_is_free),
        cmocka_unit_test(test_epoll_exclusive_has_its_rules),
        cmocka_unit_test(test_epoll_nested_is_readable_while_the_inner_one_is_ready),
        cmocka_unit_test(test_epoll_nested_circle_or_long_chain_is_eloop),
        cmocka_unit_test(test_epoll_nested_edge_fires_for_each_event_below),
    };
    return cmocka_run_group_tests_name("sock/epoll", tests, NULL, NULL);
}
