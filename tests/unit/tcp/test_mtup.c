/*
 * The search for the path's MTU (RFC 4821): when a probe is sent and how large it is, what its ACK and its loss do,
 * what routers may say meanwhile. A path of a given MTU and a receiver behind it are the test's.
 */
#include "rig.h"

#define ISS       (UINT32_MAX - 30000) /* the wrap lies within the search */
#define IRS       9
#define BASE      500u
#define HDRS      40u
#define STREAM    (4u << 20)
#define LINK_MTU  (MSS + HDRS)
#define FIRST_MSS ((LINK_MTU + BASE + HDRS) / 2 - HDRS) /* of the first probe: 750 */

/* What has arrived behind the path: a byte of the stream each. */
struct path {
    uint32_t mss;              /* the largest payload that passes */
    uint32_t rcv_nxt;          /* relative */
    unsigned oversized;        /* segments that did not pass */
    uint32_t largest;          /* payload that passed */
    unsigned drop_every, seen; /* lose each so many-th segment larger than drop_above; 0: none */
    uint32_t drop_above;
    uint8_t has[STREAM + 2];
};

static struct path *path_new(uint32_t mss)
{
    struct path *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->mss = mss;
    p->rcv_nxt = 1;
    return p;
}

static bool path_loses(struct path *p, uint32_t len)
{
    if (len > p->mss) {
        p->oversized++;
        return true;
    }
    return p->drop_every && len > p->drop_above && ++p->seen % p->drop_every == 0;
}

/* One segment on the wire arrives, or not; an ACK comes back. */
static void path_take(struct rig *r, struct path *p, uint32_t seq, uint32_t len)
{
    if (path_loses(p, len))
        return;
    p->largest = wi_max_u32(p->largest, len);
    memset(p->has + seq, 1, len);
    while (p->has[p->rcv_nxt])
        p->rcv_nxt++;
    struct in ack = {.seq = 1, .ack = p->rcv_nxt, .flags = WI_TH_ACK};
    if (seq > p->rcv_nxt) {
        uint32_t lo = seq, hi = seq + len;
        while (p->has[lo - 1])
            lo--;
        while (p->has[hi])
            hi++;
        ack.sack_n = 1;
        ack.sacks[0][0] = lo;
        ack.sacks[0][1] = hi;
    }
    rig_in(r, ack);
}

/* What is on its way arrives 10 ms later; what that causes is on its way then. */
static void path_round(struct rig *r, struct path *p)
{
    struct out flight[OUT_MAX];
    unsigned n = r->pkt_n;
    for (unsigned i = 0; i < n; i++)
        flight[i] = rig_out(r, i);
    rig_forget(r);
    rig_until(r, r->core.now + WEIR_MS(10));
    for (unsigned i = 0; i < n; i++) {
        uint32_t one = flight[i].gso_size ? flight[i].gso_size : flight[i].len;
        for (uint32_t off = 0; off < flight[i].len; off += one)
            path_take(r, p, flight[i].seq + off, wi_min_u32(one, flight[i].len - off));
    }
}

static struct wi_tcp_conn *searching(struct rig *r, unsigned opts)
{
    r->core.sysctl.tcp_mtu_probing = 2;
    r->core.sysctl.tcp_base_mss = BASE;
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, opts | RIG_SACK | RIG_RENO);
    wi_tcp_mss_sync(c, c->pmtu); /* as the first window update does */
    assert_int_equal(c->snd_mss, BASE);
    c->cwnd = 20;
    c->snd_wnd_bytes = c->snd_wnd_max_bytes = 1 << 20;
    c->rtt.srtt_us8 = 8 * 10000;
    return c;
}

/* A segment of the given length among what was sent; its index, or -1. */
static int find_out(struct rig *r, uint32_t len)
{
    for (unsigned i = 0; i < r->pkt_n; i++) {
        if (rig_out(r, i).len == len && !rig_out(r, i).gso_size)
            return (int)i;
    }
    return -1;
}

/* The probe lies half-way between tcp_base_mss and what link and peer take, goes first, whole and with DF; all others
 * keep the proven size. Rows: 4821-1 4821-8 8899-1 8899-2 */
static void test_mtup_probe_is_half_way_and_all_else_is_proven(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    rig_write(r, 10000);
    assert_true(r->pkt_n > 1);
    expect_out(r, 0, WI_TH_ACK, 1, FIRST_MSS);
    assert_int_equal(r->whys[0], WEIR_WHY_PROBE_MTU);
    assert_int_equal(r->pkts[0]->gso_size, 0);
    uint8_t ip[20];
    assert_int_equal(weir_pkt_copy(r->pkts[0], 0, ip, sizeof ip), sizeof ip);
    assert_true(ip[6] & 0x40);
    for (unsigned i = 1; i < r->pkt_n; i++) {
        struct out o = rig_out(r, i);
        assert_true((o.gso_size ? o.gso_size : o.len) <= BASE);
    }
    assert_int_equal(c->mtup.probe_size, FIRST_MSS + HDRS);
    assert_int_equal(c->cwnd, 19); /* it counts for two */
    rig_end(r);
}

/* RFC 4821 7.4: no probe that could go unnoticed: without enough behind it, with a small window of either kind, in
 * doubt about loss, or while the peer is told of SACKs. Rows: 4821-6 */
static void test_mtup_needs_data_windows_and_calm(void **state)
{
    (void)state;
    static const char *const cases[] = {"data", "cwnd", "peer's window", "loss", "SACK", "DF", "off"};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_new();
        struct wi_tcp_conn *c = searching(r, 0);
        uint32_t write = FIRST_MSS + 4 * BASE;
        switch (i) {
        case 0: write--; break;
        case 1: c->cwnd = 10; break;
        case 2: c->snd_wnd_bytes = write - 1; break;
        case 3: c->loss.ca = WI_TCP_CA_DISORDER; break;
        case 4: rig_in(r, (struct in){.seq = 100, .ack = 1, .flags = WI_TH_ACK, .len = 10}); break;
        case 5: c->sk.opts.mtu_discover = WI_PMTUDISC_INTERFACE; break;
        default: c->mtup.is_on = false; break;
        }
        rig_forget(r);
        rig_write(r, write);
        if (c->mtup.probe_size)
            fail_msg("a probe although there was not enough: %s", cases[i]);
        rig_end(r);
    }
    struct rig *r = rig_new();
    (void)searching(r, 0);
    rig_write(r, FIRST_MSS + 4 * BASE);
    assert_int_equal(find_out(r, FIRST_MSS), 0);
    rig_end(r);
}

/* An answered probe raises the size; the window in bytes stays what it was. Rows: 4821-5 */
static void test_mtup_answered_probe_raises_the_size(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    rig_write(r, 10000); /* less than a record: a larger write would send before the probe */
    rig_write(r, 90000);
    rig_until(r, r->core.now + WEIR_MS(10));
    c->ssthresh = 10; /* no slow start, that the window moves for one reason only */
    rig_ack(r, 1 + FIRST_MSS);
    assert_int_equal(c->snd_mss, FIRST_MSS);
    assert_int_equal(c->cwnd, 19 * (BASE + HDRS) / (FIRST_MSS + HDRS));
    assert_int_equal(r->core.stats.count[WI_STAT_TCPMTUPSuccess], 1);
    assert_int_equal(c->mtup.search_low, FIRST_MSS + HDRS);
    assert_int_equal(c->pmtu, LINK_MTU); /* what routers have said is another matter */
    rig_end(r);
}

/* The search converges to the path's MTU, in steps that halve what is unknown, ends there, and begins again after
 * tcp_probe_interval, not before. Rows: 4821-1 4821-4 8899-1 8899-5 attack-pmtu-blackhole */
static void test_mtup_search_converges_and_rests(void **state)
{
    (void)state;
    for (uint32_t mss = BASE + 7; mss < MSS; mss += 61) {
        struct rig *r = rig_new();
        struct path *p = path_new(mss);
        struct wi_tcp_conn *c = searching(r, 0);
        weir_ns begun = r->core.now;
        for (unsigned i = 0; i < 200; i++) {
            if (c->write_seq.v - c->snd_nxt.v < 20000 && p->rcv_nxt < STREAM - 200000)
                rig_write(r, 30000);
            c->cwnd = wi_min_u32(wi_max_u32(c->cwnd, 12), 14);
            path_round(r, p);
        }
        assert_in_range(mss - c->snd_mss, 0, 8 + 1);
        assert_in_range(p->oversized, 1, 6);
        uint64_t found = r->core.stats.count[WI_STAT_TCPMTUPSuccess];
        p->mss = MSS; /* the path becomes better, which nobody says */
        while (r->core.now < begun + WEIR_SEC(601)) {
            rig_write(r, 6000);
            for (unsigned i = 0; i < 8; i++)
                path_round(r, p);
            if (r->core.now < begun + WEIR_SEC(600)) {
                assert_int_equal(r->core.stats.count[WI_STAT_TCPMTUPSuccess], found);
                rig_until(r, wi_min_u64(r->core.now + WEIR_SEC(60), begun + WEIR_SEC(600)));
            }
            c->cwnd = 20;
        }
        assert_true(r->core.stats.count[WI_STAT_TCPMTUPSuccess] > found);
        assert_true(c->snd_mss > mss);
        free(p);
        rig_end(r);
    }
}

/* The probe alone is lost: it goes again in pieces, and congestion control hears nothing of it; the next probe waits
 * for as many round trips as the window has segments. Rows: 4821-2 4821-4 8899-6 */
static void test_mtup_lost_probe_is_no_congestion(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    struct path *p = path_new(BASE);
    rig_write(r, 60000);
    path_round(r, p);
    assert_int_equal(p->oversized, 1);
    assert_true(c->cwnd >= 20);
    assert_int_equal(c->ssthresh, WI_TCP_SSTHRESH_INF);
    assert_int_equal(r->core.stats.count[WI_STAT_TCPMTUPFail], 1);
    assert_int_equal(c->mtup.search_high, FIRST_MSS + HDRS - 1);
    struct out again = rig_out(r, 0);
    for (unsigned i = 0; again.seq != 1; i++)
        again = rig_out(r, i);
    assert_true((again.gso_size ? again.gso_size : again.len) <= BASE);
    weir_ns failed_at = r->core.now;
    while (p->oversized < 2 && r->core.now < failed_at + WEIR_SEC(5)) {
        if (c->write_seq.v - c->snd_nxt.v < 20000)
            rig_write(r, 20000);
        c->cwnd = 20;
        path_round(r, p);
    }
    assert_true(r->core.now - failed_at >= 20 * WEIR_MS(10));
    free(p);
    rig_end(r);
}

/* The probe and its neighbour are lost: the window falls, and the probe says nothing. Rows: 4821-3 */
static void test_mtup_probe_lost_among_others_is_congestion(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    rig_write(r, 60000);
    rig_until(r, r->core.now + WEIR_MS(10));
    uint32_t lo = 1 + FIRST_MSS + BASE;
    for (uint32_t hi = lo + BASE; hi <= lo + 5 * BASE; hi += BASE)
        rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{lo, hi}}});
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_int_equal(c->ssthresh, 9);
    assert_int_equal(c->mtup.search_high, LINK_MTU);
    assert_int_equal(c->mtup.probe_size, 0);
    rig_end(r);
}

/* The neighbour's loss is noticed later than the probe's: then the window falls after all. Rows: 4821-3 */
static void test_mtup_loss_after_the_probes_is_congestion(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    rig_write(r, 60000);
    rig_until(r, r->core.now + WEIR_MS(10));
    uint32_t lo = 1 + FIRST_MSS;
    for (uint32_t hi = lo + BASE; hi <= lo + 4 * BASE; hi += BASE)
        rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .sack_n = 1, .sacks = {{lo, hi}}});
    assert_int_equal(c->loss.ca, WI_TCP_CA_LOSS);
    assert_int_equal(c->ssthresh, WI_TCP_SSTHRESH_INF);
    for (uint32_t hi = lo + 6 * BASE; hi <= lo + 10 * BASE; hi += BASE) /* one of them is missing */
        rig_in(r, (struct in){.seq = 1,
                              .ack = 1,
                              .flags = WI_TH_ACK,
                              .sack_n = 2,
                              .sacks = {{lo + 5 * BASE, hi}, {lo, lo + 4 * BASE}}});
    assert_int_equal(c->loss.ca, WI_TCP_CA_RECOVERY);
    assert_true(c->ssthresh < 20);
    rig_end(r);
}

/* A timeout while a probe is out proves nothing about it. */
static void test_mtup_timeout_is_inconclusive(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    rig_write(r, 10000);
    rig_until(r, r->core.now + WEIR_SEC(3));
    assert_int_equal(c->mtup.probe_size, 0);
    assert_int_equal(c->mtup.search_high, LINK_MTU);
    assert_int_equal(r->core.stats.count[WI_STAT_TCPMTUPFail], 0);
    rig_end(r);
}

static enum weir_drop too_big(struct wi_tcp_conn *c, uint32_t mtu, struct wi_seq seq)
{
    struct wi_net_error e = {.err = WEIR_EMSGSIZE, .type = 3, .code = 4, .mtu = mtu};
    return wi_tcp_icmp(c, &e, seq);
}

/* What a router says during the search bounds it from above, and does not end it: between the proven size and the
 * probe's nothing is taken over unproven. More than the probe's size changes nothing for it; more than the path's is
 * ignored. Rows: 8899-3 8899-4 8201-4 1191-4 */
static void test_mtup_too_big_bounds_the_search(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    rig_write(r, 60000);
    assert_int_equal(too_big(c, 9000, c->snd_una), WEIR_DROP_ICMP_MTU);
    assert_int_equal(too_big(c, 700, wi_seq_sub(c->snd_una, 1)), WEIR_DROP_ICMP_STALE);
    assert_int_equal(c->mtup.search_high, LINK_MTU);
    assert_int_equal(c->mtup.probe_size, FIRST_MSS + HDRS);

    assert_int_equal(too_big(c, FIRST_MSS + HDRS + 100, c->snd_una), WEIR_DROP_NONE);
    assert_int_equal(c->mtup.probe_size, FIRST_MSS + HDRS); /* it may well arrive */
    assert_int_equal(c->snd_mss, BASE);

    rig_forget(r);
    assert_int_equal(too_big(c, 700, c->snd_una), WEIR_DROP_NONE);
    assert_int_equal(c->mtup.probe_size, 0);
    assert_int_equal(c->mtup.search_high, 700);
    assert_int_equal(c->snd_mss, BASE);
    assert_int_equal(c->pmtu, 700);
    assert_int_equal(c->cwnd, 20);
    rig_flush(r);
    struct out o = rig_out(r, 0);
    assert_int_equal(o.seq, 1); /* the probe, in pieces, at once */
    assert_true((o.gso_size ? o.gso_size : o.len) <= BASE);
    rig_end(r);
}

/* Below what is proven a router is believed like without a search (no router lies who sees our numbers), never below
 * the floor. Rows: 1191-3 attack-icmp-pmtu-reduction */
static void test_mtup_too_big_below_the_proven_size_has_a_floor(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    r->core.sysctl.tcp_base_mss = 900;
    wi_tcp_mtup_init(c);
    wi_tcp_mss_sync(c, LINK_MTU);
    rig_write(r, 60000);
    assert_int_equal(too_big(c, 68, c->snd_una), WEIR_DROP_NONE);
    assert_int_equal(c->pmtu, 552);
    assert_int_equal(c->snd_mss, 552 - HDRS);
    struct path *p = path_new(MSS);
    rig_flush(r);
    for (unsigned i = 0; i < 60 && p->rcv_nxt < 60000; i++)
        path_round(r, p);
    assert_true(p->rcv_nxt >= 60000); /* and the stream goes on */
    free(p);
    rig_end(r);
}

/* A raised size that every second packet does not survive is taken back. Rows: 4821-9 */
static void test_mtup_raised_size_that_loses_is_taken_back(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    struct path *p = path_new(MSS);
    rig_write(r, 10000); /* less than a record: a larger write would send before the probe */
    rig_write(r, 390000);
    path_round(r, p);
    assert_int_equal(c->snd_mss, FIRST_MSS);
    p->drop_above = BASE;
    p->drop_every = 2;
    for (unsigned i = 0; i < 40 && c->snd_mss > BASE; i++)
        path_round(r, p);
    assert_int_equal(c->snd_mss, BASE);
    assert_int_equal(c->mtup.search_low, BASE + HDRS);
    assert_true(c->mtup.search_high < LINK_MTU);
    assert_true(r->core.stats.count[WI_STAT_TCPMTUPFail] > 0);
    free(p);
    rig_end(r);
}

/* RFC 4821 7.7: each full stop halves the size, down to tcp_mtu_probe_floor. Rows: 4821-7 */
static void test_mtup_black_hole_halves_down_to_the_floor(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct wi_tcp_conn *c = searching(r, 0);
    r->core.sysctl.tcp_mtu_probe_floor = 100;
    static const uint16_t sizes[] = {250, 125, 100, 100};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        wi_tcp_suspect_black_hole(c);
        assert_int_equal(c->snd_mss, sizes[i]);
    }
    rig_end(r);
}

/* With tcp_mtu_probing 1 nothing is probed before a black hole was met, and the search leads up again after it. Rows:
 * 4821-7 */
static void test_mtup_search_begins_with_the_black_hole(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->core.sysctl.tcp_mtu_probing = 1;
    r->core.sysctl.tcp_base_mss = BASE;
    struct wi_tcp_conn *c = rig_establish(r, ISS, IRS, RIG_SACK | RIG_RENO);
    struct path *p = path_new(800);
    c->snd_wnd_bytes = c->snd_wnd_max_bytes = 1 << 20;
    assert_int_equal(c->snd_mss, MSS);
    rig_write(r, 400000);
    for (unsigned i = 0; i < 3000 && p->rcv_nxt < 400000; i++)
        path_round(r, p);
    assert_true(p->rcv_nxt >= 400000);
    assert_in_range(c->snd_mss, BASE, 800);
    assert_true(r->core.stats.count[WI_STAT_TCPMTUPSuccess] > 0);
    free(p);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mtup_probe_is_half_way_and_all_else_is_proven),
        cmocka_unit_test(test_mtup_needs_data_windows_and_calm),
        cmocka_unit_test(test_mtup_answered_probe_raises_the_size),
        cmocka_unit_test(test_mtup_search_converges_and_rests),
        cmocka_unit_test(test_mtup_lost_probe_is_no_congestion),
        cmocka_unit_test(test_mtup_probe_lost_among_others_is_congestion),
        cmocka_unit_test(test_mtup_loss_after_the_probes_is_congestion),
        cmocka_unit_test(test_mtup_timeout_is_inconclusive),
        cmocka_unit_test(test_mtup_too_big_bounds_the_search),
        cmocka_unit_test(test_mtup_too_big_below_the_proven_size_has_a_floor),
        cmocka_unit_test(test_mtup_raised_size_that_loses_is_taken_back),
        cmocka_unit_test(test_mtup_black_hole_halves_down_to_the_floor),
        cmocka_unit_test(test_mtup_search_begins_with_the_black_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
