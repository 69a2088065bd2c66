/* Numbers that a connection begins with: RFC 6528, RFC 7323 7.1. */
#include "unit/support/alloc.h"

#include "tcp/isn.h"

static struct wi_core core;
static struct wi_tcp tcp;

static int setup(void **state)
{
    (void)state;
    core = (struct wi_core){.now = WEIR_SEC(5)};
    tcp = (struct wi_tcp){.core = &core, .isn_key = {1}, .ts_key = {2}};
    return 0;
}

static struct wi_tcp_tuple tuple(uint16_t remote_port)
{
    return (struct wi_tcp_tuple){weir_addr_v4(10, 0, 0, 1), weir_addr_v4(10, 0, 0, 2), 80, remote_port};
}

/* A tuple's numbers are a clock of 4 microseconds. Rows: MUST-8 SHLD-1 6528-1 6528-4 */
static void test_isn_of_a_tuple_follows_a_clock_of_4_us(void **state)
{
    (void)state;
    struct wi_tcp_tuple t = tuple(4000);
    struct wi_seq first = wi_tcp_isn(&tcp, &t);
    for (uint32_t i = 1; i <= 100; i++) {
        core.now += WEIR_MS(8);
        assert_int_equal(wi_seq_diff(wi_tcp_isn(&tcp, &t), first), i * 2000);
    }
}

static unsigned bits_of(uint32_t v)
{
    unsigned n = 0;
    for (; v; v &= v - 1)
        n++;
    return n;
}

/* Attack: NUMBER:JACK. One bit of the tuple changes half of the number. Rows: 6528-2 attack-number-jack */
static void test_isn_of_a_neighbour_tells_nothing(void **state)
{
    (void)state;
    unsigned changed = 0;
    for (uint16_t port = 1024; port < 3024; port++) {
        struct wi_tcp_tuple a = tuple(port), b = tuple(port ^ 1);
        changed += bits_of(wi_tcp_isn(&tcp, &a).v ^ wi_tcp_isn(&tcp, &b).v);
    }
    assert_in_range(changed, 2000 * 15, 2000 * 17);
}

/* Rows: MUST-9 6528-2 */
static void test_isn_depends_on_its_secret(void **state)
{
    (void)state;
    struct wi_tcp other = tcp;
    struct wi_tcp_tuple t = tuple(4000);
    other.isn_key[3] = 9;
    assert_int_not_equal(wi_tcp_isn(&tcp, &t).v, wi_tcp_isn(&other, &t).v);
}

/* RFC 7323 5.4, 7.1; attack: timestamp information leak. The same for a tuple at all times, another for another.
 * Rows: attack-timestamp-information-leak 7323-37 */
static void test_isn_timestamp_offset_is_the_tuples_own(void **state)
{
    (void)state;
    struct wi_tcp_tuple a = tuple(4000), b = tuple(4001);
    uint32_t off = wi_tcp_ts_off(&tcp, &a);
    core.now += WEIR_SEC(100000);
    assert_int_equal(wi_tcp_ts_off(&tcp, &a), off);
    assert_int_not_equal(wi_tcp_ts_off(&tcp, &b), off);
    core.sysctl.tcp_timestamps = 2; /* the clock as it is */
    assert_int_equal(wi_tcp_ts_off(&tcp, &a), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_isn_of_a_tuple_follows_a_clock_of_4_us, setup),
        cmocka_unit_test_setup(test_isn_of_a_neighbour_tells_nothing, setup),
        cmocka_unit_test_setup(test_isn_depends_on_its_secret, setup),
        cmocka_unit_test_setup(test_isn_timestamp_offset_is_the_tuples_own, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
