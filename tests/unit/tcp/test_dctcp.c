/* DCTCP (RFC 8257): what share of marks makes of the window, and what the receiver's end echoes. */
#include "rig.h"

#include "tcp/cc_dctcp.c"
#include "tcp/sock.h"

static struct dctcp *dctcp_of(struct wi_tcp_conn *c)
{
    return state(c);
}

static struct wi_tcp_conn *begin(struct rig **r)
{
    *r = rig_new();
    struct wi_tcp_conn *c = rig_establish(*r, 1, 1, RIG_SACK);
    assert_int_equal(wi_tcp_cc_set(c, "dctcp"), 0);
    c->ecn.mode = WI_TCP_ECN_CLASSIC;
    return c;
}

/* A window goes out and is acknowledged, the first `marked` segments with ECE. */
static void window_of(struct rig *r, uint32_t segs, uint32_t marked)
{
    struct wi_tcp_conn *c = r->c;
    rig_write(r, segs * MSS);
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_forget(r);
    uint32_t from = c->snd_una.v - r->iss;
    for (uint32_t i = 1; i <= segs; i++) {
        uint16_t flags = WI_TH_ACK | (i <= marked ? WI_TH_ECE : 0);
        rig_in(r, (struct in){.seq = 1, .ack = from + i * MSS, .flags = flags});
    }
    rig_forget(r);
}

/* RFC 8257 3.3: alpha moves by a sixteenth of the way, once a window. */
static void test_dctcp_alpha_follows_the_share_of_marks_by_window(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    assert_int_equal(dctcp_of(c)->alpha, 1024);
    rig_write(r, MSS);
    rig_ack(r, 1 + MSS); /* ends the window that began with the connection */
    uint32_t alpha = dctcp_of(c)->alpha;
    c->cwnd = c->ssthresh = 10;
    window_of(r, 10, 0);
    assert_true(dctcp_of(c)->alpha <= alpha - alpha / 16);
    for (int i = 0; i < 150; i++)
        window_of(r, 8, 0);
    assert_int_equal(dctcp_of(c)->alpha, 0);
    rig_end(r);
}

/* With a constant share alpha settles there. */
static void test_dctcp_alpha_settles_at_a_constant_share(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    struct dctcp *d = dctcp_of(c);
    for (int i = 0; i < 200; i++) { /* windows of 100 segments, 30 of them marked */
        c->delivered += 100;
        c->delivered_ce += 30;
        c->snd_una = c->snd_nxt = wi_seq_add(c->snd_nxt, 100 * MSS);
        dctcp_acked(c, NULL);
    }
    assert_true(d->alpha > 250 && d->alpha < 320); /* 0.3 of 1024 is 307 */
    c->snd_una = wi_seq_sub(d->window_end, 1);
    c->delivered += 1000;
    uint32_t alpha = d->alpha;
    dctcp_acked(c, NULL); /* within the window nothing moves */
    assert_int_equal(d->alpha, alpha);
    c->snd_una = c->snd_nxt;
    rig_end(r);
}

/* RFC 8257 3.3 step 9: cwnd (1 - alpha / 2); a loss halves (3.5); two segments stay. */
static void test_dctcp_mark_reduces_by_half_of_alpha_and_loss_by_half(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    static const uint32_t rows[][3] = {{1024, 80, 40}, {256, 80, 70}, {512, 80, 60}, {0, 80, 80},
                                       {1024, 3, 2},   {1024, 2, 2},  {1024, 1, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        dctcp_of(c)->alpha = rows[i][0];
        c->cwnd = rows[i][1];
        assert_int_equal(dctcp_ssthresh(c), rows[i][2]);
    }
    dctcp_of(c)->alpha = 1;
    c->cwnd = 80;
    c->loss.lost_out = 1;
    assert_int_equal(dctcp_ssthresh(c), 40);
    c->loss.lost_out = 0;
    c->ecn.mode = WI_TCP_ECN_NONE; /* it is Reno then */
    assert_int_equal(dctcp_ssthresh(c), 40);
    rig_end(r);
}

/* However many marks: one reduction a window, and the peer hears of it by CWR. */
static void test_dctcp_reduces_once_a_window(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->cwnd = c->ssthresh = 40;
    dctcp_of(c)->alpha = 512;
    rig_write(r, 40 * MSS);
    rig_until(r, r->core.now + WEIR_MS(10));
    rig_forget(r);
    for (uint32_t i = 1; i <= 20; i++)
        rig_in(r, (struct in){.seq = 1, .ack = 1 + i * MSS, .flags = WI_TH_ACK | WI_TH_ECE});
    assert_int_equal(c->loss.ca, WI_TCP_CA_CWR);
    assert_int_equal(c->ssthresh, 30);
    rig_write(r, 20 * MSS);
    assert_true(r->pkt_n > 0 && (rig_out(r, 0).flags & WI_TH_CWR));
    assert_int_equal(rig_out(r, r->pkt_n - 1).flags & WI_TH_CWR, 0);
    rig_end(r);
}

/* RFC 8257 3.2: each ACK says whether what it covers was marked; a change is acknowledged at once, what came before
 * first. */
static void test_dctcp_receiver_acks_each_change_of_marking(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    c->pingpong = 1; /* delayed ACKs */
    c->quick_acks = 0;
    uint32_t seq = 1;
    static const uint8_t marks[] = {0, 3, 3, 0}; /* CE is 3 */
    struct out acks[8];
    unsigned n = 0;
    for (size_t i = 0; i < sizeof marks; i++, seq += 100) {
        rig_in(r, (struct in){.seq = seq, .ack = 1, .flags = WI_TH_ACK, .len = 100, .ecn = marks[i] ? marks[i] : 2});
        for (unsigned k = 0; k < r->pkt_n; k++)
            acks[n++] = rig_out(r, k);
        rig_forget(r);
    }
    assert_true(n >= 3);
    for (unsigned i = 0; i < n; i++) { /* 101 and 401 are the last unmarked bytes, 301 the last marked */
        bool is_marked = acks[i].ack > 101 && acks[i].ack <= 301;
        assert_int_equal((acks[i].flags & WI_TH_ECE) != 0, is_marked);
    }
    rig_end(r);
}

static void test_dctcp_info_tells_alpha_and_the_windows_bytes(void **state)
{
    (void)state;
    struct rig *r;
    struct wi_tcp_conn *c = begin(&r);
    union weir_tcp_cc_info info;
    uint32_t len = sizeof info;
    c->delivered = dctcp_of(c)->delivered + 5;
    c->delivered_ce = dctcp_of(c)->delivered_ce + 2;
    assert_int_equal(wi_tcp_getsockopt(&c->sk, WEIR_SOL_TCP, WEIR_TCP_CC_INFO, &info, &len), 0);
    assert_int_equal(len, 16);
    assert_int_equal(info.dctcp.enabled, 1);
    assert_int_equal(info.dctcp.alpha, 1024);
    assert_int_equal(info.dctcp.ab_tot, 5 * c->snd_mss);
    assert_int_equal(info.dctcp.ab_ecn, 2 * c->snd_mss);
    c->ecn.mode = WI_TCP_ECN_NONE;
    assert_int_equal(wi_tcp_getsockopt(&c->sk, WEIR_SOL_TCP, WEIR_TCP_CC_INFO, &info, &len), 0);
    assert_int_equal(info.dctcp.enabled + info.dctcp.alpha, 0);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dctcp_alpha_follows_the_share_of_marks_by_window),
        cmocka_unit_test(test_dctcp_alpha_settles_at_a_constant_share),
        cmocka_unit_test(test_dctcp_mark_reduces_by_half_of_alpha_and_loss_by_half),
        cmocka_unit_test(test_dctcp_reduces_once_a_window),
        cmocka_unit_test(test_dctcp_receiver_acks_each_change_of_marking),
        cmocka_unit_test(test_dctcp_info_tells_alpha_and_the_windows_bytes),
    };
    return cmocka_run_group_tests_name("tcp/dctcp", tests, NULL, NULL);
}
