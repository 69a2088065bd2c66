/* The delivery rate: draft-cheng-iccrg-delivery-rate-estimation, TCP_INFO's tcpi_delivery_rate. */
#include "rig.h"

#define ISS 77
#define IRS 88

/* Ten segments, sent at once and acknowledged after 100 ms: 100 segments a second. */
static void test_rate_of_a_window_is_delivered_by_time(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    rig_write(r, 30 * MSS);
    rig_until(r, r->core.now + WEIR_MS(100));
    assert_int_equal(wi_tcp_rate_bps(c), 0);
    rig_ack(r, 1 + 10 * MSS);
    assert_int_equal(wi_tcp_rate_bps(c), 100 * MSS);
    assert_true(c->is_rate_app_limited); /* before the write the path was idle */
    rig_until(r, r->core.now + WEIR_MS(100));
    rig_ack(r, 1 + 30 * MSS);
    assert_int_equal(wi_tcp_rate_bps(c), 200 * MSS);
    assert_false(c->is_rate_app_limited);
    rig_end(r);
}

/* A writer that sends one segment at a time does not show how fast the path is: the faster sample stays. */
static void test_rate_of_an_idle_writer_is_not_believed(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    rig_write(r, 10 * MSS);
    rig_until(r, r->core.now + WEIR_MS(100));
    rig_ack(r, 1 + 10 * MSS);
    for (uint32_t i = 10; i < 15; i++) {
        rig_write(r, MSS);
        rig_until(r, r->core.now + WEIR_MS(100));
        rig_ack(r, 1 + (i + 1) * MSS);
    }
    assert_int_equal(wi_tcp_rate_bps(c), 100 * MSS);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_of_a_window_is_delivered_by_time),
        cmocka_unit_test(test_rate_of_an_idle_writer_is_not_believed),
    };
    return cmocka_run_group_tests_name("tcp/rate", tests, NULL, NULL);
}
