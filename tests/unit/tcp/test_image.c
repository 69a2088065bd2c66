/* Images of connections (image.c): every byte survives, whatever it holds, but what only its place says. */
#include "unit/tcp/rig.h"

#include "tcp/park.h"

#define CAP (3 * sizeof(struct wi_tcp_conn))

static uint64_t rng = 1;

static uint64_t draw(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

/* The same after it lay as bytes: lists that were empty are empty where they are now. */
static void expect_same(const struct wi_tcp_conn *want, struct wi_tcp_conn *got)
{
    static const size_t lists[] = {
        offsetof(struct wi_tcp_conn, sk.groups),    offsetof(struct wi_tcp_conn, all_link),
        offsetof(struct wi_tcp_conn, pend_link),    offsetof(struct wi_tcp_conn, queue_link),
        offsetof(struct wi_tcp_conn, sndq.recs),    offsetof(struct wi_tcp_conn, sndq.chunks),
        offsetof(struct wi_tcp_conn, sndq.by_time), offsetof(struct wi_tcp_conn, rcvq.chunks),
    };
    struct wi_tcp_conn both[2];
    memcpy(&both[0], want, sizeof *want);
    memcpy(&both[1], got, sizeof *got);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        assert_true(wi_list_empty((struct wi_list *)(void *)((char *)got + lists[i])));
        memset((char *)&both[0] + lists[i], 0, sizeof(struct wi_list));
        memset((char *)&both[1] + lists[i], 0, sizeof(struct wi_list));
    }
    assert_memory_equal(&both[0], &both[1], sizeof both[0]);
}

static void through_an_image(const struct wi_tcp_conn *c, const struct wi_tcp_conn *mould_of, size_t *len)
{
    static uint8_t image[CAP];
    struct wi_tcp_conn mould, folded, got;
    wi_tcp_image_fold(&mould, mould_of);
    wi_tcp_image_fold(&folded, c);
    *len = wi_tcp_image_write(image, CAP, &folded, &mould);
    assert_true(*len <= CAP);
    memcpy(&got, &mould, sizeof got);
    wi_tcp_image_read(&got, image, *len);
    expect_same(c, &got);
}

/* Numbers that an image treats unlike others, and any. */
static uint64_t strange_number(void)
{
    static const uint64_t some[] = {0,           1,         UINT64_MAX,   UINT32_MAX, (uint64_t)1 << 63,
                                    0x80000000u, RIG_START, RIG_START + 1};
    return draw() % 3 ? some[draw() % (sizeof some / sizeof *some)] : draw();
}

#define M(member)                                                                                                      \
    {                                                                                                                  \
        offsetof(struct wi_tcp_conn, member), sizeof((struct wi_tcp_conn *)NULL)->member                               \
    }

/* Numbers, moments and addresses: those that the normal form changes, and some others. */
static const struct {
    size_t at, size;
} members[] = {
    M(iss),
    M(snd_una),
    M(snd_nxt),
    M(write_seq),
    M(snd_wl1),
    M(snd_sml),
    M(snd_up),
    M(pushed_seq),
    M(max_packets_seq),
    M(snd_wnd_bytes),
    M(irs),
    M(rcv_nxt),
    M(rcv_wup),
    M(copied_seq),
    M(rcv_wnd_bytes),
    M(ack_prior),
    M(ts_recent),
    M(ts_recent_at),
    M(ts_off),
    M(last_tsecr),
    M(rtt.seq),
    M(rtt.rto),
    M(rtt.min_at),
    M(loss.high_seq),
    M(loss.high_sacked),
    M(loss.retrans_hint),
    M(loss.rack_sent_at),
    M(loss.rack_end),
    M(loss.lost_upto),
    M(loss.tlp_high),
    M(loss.undo_una),
    M(cwnd_stamp),
    M(pacing_bps),
    M(pace_at),
    M(cc_state),
    M(delivered_at),
    M(first_tx_at),
    M(ato),
    M(last_rcv_at),
    M(comp_rcv_nxt),
    M(last_ack_in_at),
    M(last_send_at),
    M(challenge_at),
    M(ledger),
    M(chrono.since),
    M(chrono.spent),
    M(opened_at),
    M(established_at),
    M(bytes_acked),
    M(segs_in),
    M(synack_rtt_from),
    M(rcvq.drs_seq),
    M(rcvq.drs_at),
    M(rcvq.rtt_at),
    M(rcvq.rtt_seq),
    M(rcvq.rtt_last_tsecr),
    M(rcvq.collapsed_seq),
    M(mtup.begun_at),
    M(sk.id),
    M(dst.src),
    M(dst.next_hop),
    M(dst.dst),
    M(sk.local.addr),
    M(sk.remote.addr),
};

static void shake(struct wi_tcp_conn *c)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        size_t step = members[i].size < 8 ? 4 : 8;
        for (size_t at = 0; at + step <= members[i].size && draw() % 2; at += step) {
            uint64_t value = strange_number();
            memcpy((char *)c + members[i].at + at, &value, step);
        }
    }
    c->ts_ok = draw() % 2;
    c->cc = wi_tcp_cc_all[draw() % WI_TCP_CC_N];
}

static void test_image_of_any_connection_gives_it_back(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn plain, c;
    wi_tcp_image_fold(&plain, rig_establish(r, 100, 200, 0));
    wi_tcp_image_unfold(&plain);
    memcpy(&c, &plain, sizeof c);
    for (unsigned i = 0; i < 3000; i++) {
        size_t len;
        shake(&c);
        through_an_image(&c, i % 2 ? &plain : &c, &len);
        if (i % 2 == 0)
            assert_int_equal(len, 0); /* by itself it is nothing */
    }
    rig_end(r);
}

static void test_image_that_does_not_fit_says_so(void **state)
{
    (void)state;
    static struct wi_tcp_conn zeros, ones;
    static uint8_t image[CAP];
    memset(&ones, 0xff, sizeof ones);
    size_t whole = wi_tcp_image_write(image, CAP, &ones, &zeros);
    assert_true(whole > sizeof ones);
    for (size_t cap = 0; cap < whole; cap++) {
        memset(image, 0xa5, CAP);
        assert_true(wi_tcp_image_write(image, cap, &ones, &zeros) > cap);
        assert_int_equal(image[cap], 0xa5); /* and writes nothing beyond */
    }
}

/* A difference in the last word alone, more than 255 words behind the first. */
static void test_image_skips_more_words_than_a_byte_counts(void **state)
{
    (void)state;
    static struct wi_tcp_conn zeros, last;
    uint8_t image[64];
    assert_true(sizeof last / 8 > 256);
    ((uint8_t *)&last)[sizeof last - 1] = 7;
    assert_int_equal(wi_tcp_image_write(image, sizeof image, &last, &zeros), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_of_any_connection_gives_it_back),
        cmocka_unit_test(test_image_that_does_not_fit_says_so),
        cmocka_unit_test(test_image_skips_more_words_than_a_byte_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
