/* The error queue's packets (src/tcp/notice.c): what SO_TIMESTAMPING shows without OPT_TSONLY, and its bounds. */
#include "rig.h"

#include "tcp/notice.h"

#define ISS 1000u
#define IRS 5000u

#define ASKED (WEIR_TIMESTAMPING_TX_SOFTWARE | WEIR_TIMESTAMPING_TX_ACK | WEIR_TIMESTAMPING_SOFTWARE)

static struct wi_tcp_conn *stamping(struct rig *r, uint32_t asked)
{
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    c->sk.opts.timestamping = asked;
    return c;
}

/* The next notice's bytes; *truncated: whether there were more. */
static int64_t read_notice(struct wi_tcp_conn *c, uint8_t *buf, size_t cap, bool *truncated)
{
    struct weir_iovec iov[2] = {{buf, cap / 2}, {buf + cap / 2, cap - cap / 2}};
    struct weir_msg msg = {.iov = iov, .iov_n = 2};
    int64_t n = wi_tcp_notice_read(c, &msg);
    *truncated = msg.flags & WEIR_MSG_TRUNC;
    return n;
}

/* The IP packet as it was sent, and the payload that was acknowledged. */
static void test_notice_shows_the_packet_and_the_payload(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = stamping(r, ASKED);
    uint8_t got[2048], sent[2048];
    bool is_cut;

    rig_write(r, 100);
    assert_int_equal(r->pkt_n, 1);
    size_t len = weir_pkt_copy(r->pkts[0], r->pkts[0]->l3_off, sent, sizeof sent);
    assert_int_equal(read_notice(c, got, sizeof got, &is_cut), 140);
    assert_int_equal(len, 140);
    assert_false(is_cut);
    assert_memory_equal(got, sent, 36); /* up to the checksum, which is made at the interface */
    assert_memory_equal(got + 40, sent + 40, 100);

    rig_ack(r, 101);
    assert_int_equal(read_notice(c, got, 31, &is_cut), 31);
    assert_true(is_cut);
    assert_memory_equal(got, sent + 40, 31);
    assert_int_equal(read_notice(c, got, sizeof got, &is_cut), -WEIR_EAGAIN);
    rig_end(r);
}

/* With OPT_TSONLY there is nothing but the time. */
static void test_notice_without_the_packet(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = stamping(r, ASKED | WEIR_TIMESTAMPING_OPT_TSONLY);
    uint8_t got[64];
    bool is_cut;

    rig_write(r, 100);
    rig_ack(r, 101);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(read_notice(c, got, sizeof got, &is_cut), 0);
        assert_false(is_cut);
    }
    rig_end(r);
}

/* What nobody reads is bounded by the receive buffer: later notices are dropped, and there is room again when the first
 * are read. */
static void test_notice_packets_are_bounded_by_the_receive_buffer(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = stamping(r, ASKED);
    uint8_t got[2048];
    bool is_cut;
    unsigned n = 0;

    c->sk.opts.rcvbuf_bytes = 1000; /* room for 7 packets of 140 bytes, or as many payloads as come between */
    for (uint32_t i = 0; i < 20; i++) {
        rig_write(r, 100);
        rig_ack(r, 101 + 100 * i);
        rig_forget(r);
    }
    for (int64_t len; (len = read_notice(c, got, sizeof got, &is_cut)) != -WEIR_EAGAIN; n += (unsigned)len)
        assert_true(len == 140 || len == 100);
    assert_in_range(n, 860, 999);

    rig_write(r, 100);
    assert_int_equal(read_notice(c, got, sizeof got, &is_cut), 140);
    rig_end(r);
}

/* Freed with the connection (LeakSanitizer looks). */
static void test_notice_that_is_unread_goes_with_the_connection(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = stamping(r, ASKED);

    rig_write(r, 100);
    rig_write(r, 100);
    rig_ack(r, 101);
    assert_true(wi_tcp_notice_waits(c));
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notice_shows_the_packet_and_the_payload),
        cmocka_unit_test(test_notice_without_the_packet),
        cmocka_unit_test(test_notice_packets_are_bounded_by_the_receive_buffer),
        cmocka_unit_test(test_notice_that_is_unread_goes_with_the_connection),
    };
    return cmocka_run_group_tests_name("tcp/notice", tests, NULL, NULL);
}
