/*
 * More of what a stranger or a peer that means ill tries on a connection that stands: old bytes with new contents,
 * poisoned timestamps, wars of ACKs, batches that hide a difference; and windows that move as RFC 7323 2.4 says.
 */
#include "rig.h"

#include "tcp/isn.h"

#define ISS 5000
#define IRS (UINT32_MAX - 1200)

static void data(struct rig *r, uint32_t seq, uint32_t len, uint8_t flip)
{
    rig_in(r, (struct in){.seq = seq, .ack = 1, .flags = WI_TH_ACK, .len = len, .flip = flip});
}

static int64_t read_all(struct rig *r, uint8_t *buf, size_t len)
{
    struct weir_iovec iov = {buf, len};
    struct weir_msg m = {.iov = &iov, .iov_n = 1};
    return wi_tcp_sk_ops.recvmsg(&r->c->sk, &m, 0);
}

/* Ptacek and Newsham 1998: the same numbers with other bytes. What came first counts, whether it was acknowledged or
 * waits beyond a gap. Rows: attack-tcp-overlap-inconsistency */
static void test_attack_first_bytes_win(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK);
    data(r, 1001, 1000, 0);
    data(r, 501, 1000, 0xff); /* its second half is here already */
    data(r, 1001, 1000, 0x55);
    data(r, 1, 700, 0x33); /* in order, and reaches into what is here already */
    data(r, 1, 500, 0xaa); /* acknowledged */
    assert_int_equal(c->rcv_nxt.v, (uint32_t)(IRS + 2001));
    uint8_t buf[2500];
    assert_int_equal(read_all(r, buf, sizeof buf), 2000);
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(buf[i], (uint8_t)((uint8_t)(i + 1) ^ (i < 500 ? 0x33 : i < 1000 ? 0xff : 0)));
    rig_end(r);
}

/* CVE-2005-0356: a guessed segment with a timestamp far ahead would make PAWS drop the peer's own. Only what spans the
 * last acknowledgment may set it, and only within the window. Rows: attack-paws-timestamp-poisoning */
static void test_attack_timestamps_are_not_poisoned(void **state)
{
    (void)state;
    static const uint32_t seqs[] = {2, 500, 15000, 20500, 0x40000000, (uint32_t)-5000};
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS);
    for (unsigned i = 0; i < 6; i++) {
        struct in in = {.seq = seqs[i], .ack = 1, .flags = WI_TH_ACK, .len = 1, .ts = true, .tsval = 0x7fffff00};
        rig_in(r, in);
        assert_int_equal(c->ts_recent, 1);
    }
    rig_in(r, (struct in){.seq = 1, .ack = 0x10000, .flags = WI_TH_ACK, .ts = true, .tsval = 0x7fffff00});
    assert_int_equal(c->ts_recent, 1); /* what it acknowledges was never sent */
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .len = 1, .ts = true, .tsval = 2});
    assert_int_equal(c->rcv_nxt.v, (uint32_t)(IRS + 3));
    rig_end(r);
}

/* RFC 9293 3.8.4: some keepalive probes have a byte, of a number that was acknowledged: it is answered and not read.
 * Rows: attack-keep-alive-probe-garbage-byte */
static void test_attack_garbage_byte_of_a_probe_is_not_read(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    data(r, 1, 10, 0);
    uint8_t buf[100];
    assert_int_equal(read_all(r, buf, sizeof buf), 10);
    rig_forget(r);
    data(r, 10, 1, 0xff);
    assert_int_equal(r->pkt_n, 1);
    assert_int_equal(rig_out(r, 0).ack, 11);
    assert_int_equal(c->rcv_nxt.v, (uint32_t)(IRS + 11));
    assert_int_equal(read_all(r, buf, sizeof buf), -WEIR_EAGAIN);
    rig_end(r);
}

/* Both ends think the other's numbers wrong and say so with ACKs: each would answer the other's for ever. One in half a
 * second is sent, and such a war dies. Rows: attack-packet-war-on-out-of-window-acks */
static void test_attack_war_of_acks_dies(void **state)
{
    (void)state;
    static const uint32_t seqs[] = {0, 60000}; /* a number that was acknowledged, and one beyond the window */
    for (unsigned i = 0; i < 2; i++) {
        struct rig *r = rig_new();
        rig_establish(r, ISS, IRS, 0);
        for (unsigned n = 0; n < 1000; n++) {
            rig_in(r, (struct in){.seq = seqs[i], .ack = 1, .flags = WI_TH_ACK});
            rig_until(r, r->core.now + WEIR_MS(1));
        }
        assert_in_range(r->pkt_n, 1, 3);
        rig_end(r);
    }
}

/* ---- Secrets ---- */

/* A source of randomness that can be told apart: each of its bytes is *ctx. */
static void same_bytes(void *ctx, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = *(uint8_t *)ctx;
}

/* The ISN of one tuple in a stack with this source, and an hour later; the seed is always the same. */
static void isns_of(uint8_t source, uint32_t isn[2])
{
    struct heap heap = {0};
    struct wi_core core;
    struct wi_tcp tcp;
    struct weir_config cfg = {
        .alloc = heap_owner(&heap), .now = RIG_START, .seed = 1, .random = same_bytes, .random_ctx = &source};
    struct wi_tcp_tuple t = {rig_addr(1), rig_addr(2), OUR_PORT, PEER_PORT};
    assert_int_equal(wi_core_init(&core, &cfg), 0);
    struct wi_net *net = wi_net_new(&core);
    assert_non_null(net);
    assert_int_equal(wi_tcp_init(&tcp, &core, net), 0);
    isn[0] = wi_tcp_isn(&tcp, &t).v;
    core.now += WEIR_SEC(3600);
    wi_wheel_advance(&core.wheel, core.now);
    isn[1] = wi_tcp_isn(&tcp, &t).v;
    wi_tcp_fini(&tcp);
    wi_net_free(net);
    wi_core_fini(&core);
}

/* RFC 6528 4: secrets come from the source that was handed in, not from a seed or the time, and stay while the stack
 * lives: a tuple's numbers go on rising by the clock. Rows: 6528-3 6528-5 */
static void test_attack_secrets_are_of_the_random_source(void **state)
{
    (void)state;
    uint32_t a[2], again[2], b[2];
    isns_of(17, a);
    isns_of(17, again);
    isns_of(18, b);
    assert_int_equal(a[0], again[0]);
    assert_int_not_equal(a[0], b[0]);
    assert_int_equal(a[1] - a[0], 3600u * 250000u);
}

/* ---- Batches ---- */

#define BATCH 24u

/* The i-th segment of a stream whose segments differ in what a careless merge would lose: flags, timestamps, marks. */
static struct in odd_segment(struct wi_rng *rng, uint32_t *seq, uint32_t *tsval)
{
    struct in in = {.seq = *seq, .ack = 1, .flags = WI_TH_ACK, .len = 1 + (uint32_t)wi_rng_below(rng, 200), .ts = true};
    *tsval += (uint32_t)wi_rng_below(rng, 3);
    in.tsval = *tsval;
    in.ecn = wi_rng_below(rng, 4) == 0 ? 3 : 2;
    if (wi_rng_below(rng, 4) == 0)
        in.flags |= WI_TH_PSH;
    if (wi_rng_below(rng, 6) == 0)
        in.flags |= WI_TH_CWR;
    *seq += wi_rng_below(rng, 5) == 0 ? 0 : in.len; /* and some of it comes twice */
    return in;
}

static void play_stream(struct rig *r, uint64_t seed, unsigned batch)
{
    struct wi_rng rng;
    wi_rng_init(&rng, seed);
    uint32_t seq = 1, tsval = 10;
    for (unsigned i = 0; i < BATCH; i += batch) {
        struct weir_pkt *pkts[BATCH];
        for (unsigned k = 0; k < batch; k++)
            pkts[k] = rig_segment(r, odd_segment(&rng, &seq, &tsval));
        wi_net_input(r->net, r->netif, pkts, batch);
        for (unsigned k = 0; k < batch; k++)
            weir_pkt_unref(pkts[k]);
        rig_flush(r);
    }
}

/* Segments in one batch come to the same as one by one: bytes, numbers, counts. Rows: attack-lro-gro-split-confusion
 */
static void test_attack_batch_is_as_one_by_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 60; seed++) {
        uint8_t bytes[2][BATCH * 200];
        int64_t n[2];
        struct wi_tcp_conn end[2];
        for (unsigned i = 0; i < 2; i++) {
            struct rig *r = rig_new();
            struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS | RIG_SACK);
            play_stream(r, seed, i ? BATCH : 1);
            n[i] = read_all(r, bytes[i], sizeof bytes[i]);
            end[i] = *c;
            rig_end(r);
        }
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(bytes[0], bytes[1], (size_t)n[0]);
        assert_int_equal(end[0].rcv_nxt.v, end[1].rcv_nxt.v);
        assert_int_equal(end[0].data_segs_in, end[1].data_segs_in);
    }
}

/* ---- Windows, RFC 7323 2.4 ---- */

/* What was offered stays offered: however small the buffer has become since, the right edge does not move left, and
 * what fits it is taken. Rows: 7323-9 7323-10 */
static void test_window_that_was_offered_is_kept(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, 0);
    data(r, 1, 100, 0);
    data(r, 101, 100, 0);
    rig_until(r, AT_MS(300));
    struct out o = rig_out(r, r->pkt_n - 1);
    uint32_t edge = o.ack + ((uint32_t)o.wnd << c->rcv_wscale);
    assert_true(edge > 10000);
    c->sk.opts.rcvbuf_bytes = 12000; /* less than was offered */
    c->sk.opts.rcvbuf_locked = true;
    data(r, 201, 1000, 0);
    data(r, 1201, 1000, 0);
    o = rig_out(r, r->pkt_n - 1);
    assert_true(o.ack + ((uint32_t)o.wnd << c->rcv_wscale) >= edge);
    uint32_t dropped = (uint32_t)r->core.stats.drop[WEIR_DROP_TCP_BEYOND_WND];
    data(r, edge - 100, 100, 0); /* the last that fits what was offered */
    assert_int_equal(r->core.stats.drop[WEIR_DROP_TCP_BEYOND_WND], dropped);
    assert_true(wi_tcp_rcvq_has_ooo(c));
    rig_end(r);
}

/* The peer's window is in units of 128 bytes, so its edge seems to move left by a little as it acknowledges: nothing
 * new goes, what is out is sent again as needed, and it goes on. Rows: 7323-13 */
static void test_window_edge_moves_left_by_rounding(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_RENO);
    c->snd_wscale = 7;
    c->snd_wnd_bytes = c->snd_wnd_max_bytes = 32 << 7;
    c->nodelay = true;
    rig_write(r, 4090);
    uint32_t sent = (uint32_t)wi_seq_diff(c->snd_nxt, c->snd_una);
    assert_int_equal(sent, 4090);
    rig_write(r, 10 * MSS);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 1, .ack = 101, .flags = WI_TH_ACK, .wnd = 31}); /* 4,096 - 100, rounded down */
    assert_int_equal(r->pkt_n, 0);
    assert_true(wi_seq_gt(c->snd_nxt, wi_tcp_wnd_end(c)));
    rig_until(r, r->core.now + WEIR_SEC(2));
    assert_int_equal(rig_out(r, 0).seq, 101);
    rig_forget(r);
    rig_in(r, (struct in){.seq = 1, .ack = 1 + sent, .flags = WI_TH_ACK, .wnd = 40});
    assert_int_equal(rig_out(r, 0).seq, 1 + sent);
    rig_end(r);
}

/* RFC 7323 4.1: only an ACK that moves the edge measures by its echo. Rows: 7323-23 */
static void test_echo_of_a_dupack_is_no_sample(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_TS);
    rig_write(r, 3000);
    uint32_t ours = rig_out(r, 0).h.tsval;
    rig_until(r, AT_MS(700));
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .ts = true, .tsval = 2, .tsecr = ours});
    assert_int_equal(c->rtt.srtt_us8, 0);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attack_first_bytes_win),
        cmocka_unit_test(test_attack_timestamps_are_not_poisoned),
        cmocka_unit_test(test_attack_garbage_byte_of_a_probe_is_not_read),
        cmocka_unit_test(test_attack_war_of_acks_dies),
        cmocka_unit_test(test_attack_secrets_are_of_the_random_source),
        cmocka_unit_test(test_attack_batch_is_as_one_by_one),
        cmocka_unit_test(test_window_that_was_offered_is_kept),
        cmocka_unit_test(test_window_edge_moves_left_by_rounding),
        cmocka_unit_test(test_echo_of_a_dupack_is_no_sample),
    };
    return cmocka_run_group_tests_name("tcp/attacks", tests, NULL, NULL);
}
