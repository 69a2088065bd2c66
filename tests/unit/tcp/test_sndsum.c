/*
 * Sums that are kept with what is queued (sndq.c), where an interface takes super-segments but no owed checksums: each
 * segment that leaves must have the checksum that a plain loop over its bytes gives, however the records were written,
 * cut, joined and sent again.
 */
#include "rig.h"

#include "base/random.h"
#include "net/net_internal.h"
#include "unit/support/transfer.h"

#define STREAM_CAP (1u << 20)

struct play {
    struct rig *r;
    struct wi_rng rng;
    uint8_t *stream;
    uint32_t written, acked, sent; /* numbers relative to ISS, 1 the first byte's */
    uint32_t summed_n;             /* segments whose checksum came from a kept sum at the time */
    uint32_t repeated_n;
    struct weir_block lent[64]; /* of the writes by reference */
    unsigned lent_n;
};

static uint32_t below(struct play *p, uint32_t n)
{
    return (uint32_t)wi_rng_below(&p->rng, n);
}

/* RFC 1071, a word at a time. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* Every segment since the last look: its checksum is complete and right, its bytes are the stream's. */
static void look(struct play *p)
{
    static uint8_t bytes[1 << 16];
    for (unsigned i = 0; i < p->r->pkt_n; i++) {
        struct weir_pkt *pkt = p->r->pkts[i];
        struct out o = rig_out(p->r, i);
        uint32_t l4_len = pkt->len - pkt->l4_off, at = l4_len - o.len;
        assert_false(pkt->flags & WEIR_PKT_CSUM_PARTIAL);
        assert_int_equal(weir_pkt_copy(pkt, 0, bytes, pkt->len), pkt->len);
        uint32_t sum = plain_sum(WI_IP_TCP + l4_len, bytes + pkt->l3_off + 12, 8);
        assert_int_equal(plain_sum(sum, bytes + pkt->l4_off, l4_len), 0xffff);
        assert_memory_equal(bytes + pkt->l4_off + at, p->stream + o.seq - 1, o.len);
        p->summed_n += o.len > 0 && pkt->flags & WEIR_PKT_DATA_SUM;
        p->repeated_n += o.len > 0 && o.seq < p->sent;
        p->sent = wi_max_u32(p->sent, o.seq + o.len);
    }
    rig_forget(p->r);
}

static void on_release(struct weir_block *b)
{
    (void)b;
}

/* Some lengths are odd, some those of whole segments and records. */
static uint32_t some_len(struct play *p)
{
    switch (below(p, 4)) {
    case 0: return 1 + below(p, 300);
    case 1: return MSS * (1 + below(p, 5));
    case 2: return 1 + below(p, 5000);
    default: return 1 + below(p, 70000);
    }
}

static void write_some(struct play *p)
{
    uint32_t len = some_len(p);
    uint8_t *from = p->stream + p->written - 1;
    if (p->written + len > STREAM_CAP)
        return;
    bool is_zero = below(p, 16) == 0; /* sums of nothing, at both of their zeros */
    for (uint32_t i = 0; i < len; i++)
        from[i] = is_zero ? 0 : (uint8_t)wi_rng_u32(&p->rng);
    p->r->c->sk.opts.sndbuf_bytes = 4 << 20;
    int flags = below(p, 4) == 0 ? WEIR_MSG_MORE : 0;
    int64_t n;
    if (below(p, 8) == 0 && p->lent_n < WI_ARRAY_LEN(p->lent)) {
        struct weir_block *b = &p->lent[p->lent_n++];
        weir_block_lend(b, from, len, on_release);
        n = wi_tcp_sndq_write_frags(p->r->c, &(struct weir_frag){.block = b, .len = len}, 1, flags);
        weir_block_unref(b);
    } else {
        n = wi_tcp_sndq_write(p->r->c, &(struct weir_iovec){from, len}, 1, flags);
    }
    p->written += n > 0 ? (uint32_t)n : 0;
    rig_flush(p->r);
}

static uint32_t between(struct play *p, uint32_t lo, uint32_t hi)
{
    return hi > lo ? lo + below(p, hi - lo + 1) : lo;
}

/* An ACK of anything that is out, with a window of any size, and a SACK block anywhere behind it. */
static void ack_some(struct play *p)
{
    struct in in = {.seq = 1, .flags = WI_TH_ACK};
    p->acked = in.ack = between(p, p->acked, p->sent);
    in.wnd = (uint16_t)between(p, 1, below(p, 3) == 0 ? 5000 : 65535);
    if (p->sent > p->acked + 2 && below(p, 2) == 0) {
        in.sack_n = 1;
        in.sacks[0][0] = between(p, p->acked + 1, p->sent - 1);
        in.sacks[0][1] = between(p, in.sacks[0][0] + 1, p->sent);
    }
    rig_in(p->r, in);
}

static void play(uint64_t seed, uint32_t *summed_n, uint32_t *repeated_n)
{
    struct play p = {.r = rig_new(), .written = 1, .acked = 1, .sent = 1, .stream = malloc(STREAM_CAP + 70000)};
    wi_rng_init(&p.rng, seed);
    wi_netif_get(p.r->net, p.r->netif)->caps = WEIR_CAP_TSO;
    struct wi_tcp_conn *c = rig_establish(p.r, UINT32_MAX - below(&p, 200000), 5, RIG_SACK);
    c->nodelay = below(&p, 2);
    for (int i = 0; i < 400; i++) {
        switch (below(&p, 8)) {
        case 0:
        case 1:
        case 2: write_some(&p); break;
        case 7: rig_until(p.r, p.r->core.now + WEIR_MS(1) * (weir_ns)below(&p, 400)); break;
        default: ack_some(&p); break;
        }
        look(&p);
    }
    *summed_n += p.summed_n;
    *repeated_n += p.repeated_n;
    rig_end(p.r);
    free(p.stream);
}

static void test_sndsum_random_writes_cuts_and_repeats_have_right_checksums(void **state)
{
    (void)state;
    uint32_t summed_n = 0, repeated_n = 0;
    for (uint64_t seed = 1; seed <= 60; seed++)
        play(seed, &summed_n, &repeated_n);
    assert_true(summed_n > 1000);
    assert_true(repeated_n > 1000);
}

/* A record of which a part may leave is cut: both parts' sums are known, and the bytes are not read at the edge. */
static void test_sndsum_record_cut_by_the_window_keeps_both_sums(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    wi_netif_get(r->net, r->netif)->caps = WEIR_CAP_TSO;
    struct wi_tcp_conn *c = rig_establish(r, 1000, 5, 0);
    rig_write(r, 15 * MSS + 1); /* more than cwnd */
    assert_true(r->pkt_n > 0);
    for (unsigned i = 0; i < r->pkt_n; i++) {
        assert_true(rig_out(r, i).len < 15 * MSS + 1);
        assert_true(r->pkts[i]->flags & WEIR_PKT_DATA_SUM);
    }
    assert_non_null(c->sndq.send_head);
    wi_list_for_each (rec, &c->sndq.recs, struct wi_tcp_rec, link)
        assert_true(rec->is_summed);
    rig_end(r);
}

/* Where the driver sums, or the packet is cut before it leaves, nobody would look at the sums: none are made. */
static void test_sndsum_is_made_only_where_it_is_used(void **state)
{
    (void)state;
    static const uint32_t caps[] = {0, WEIR_CAP_TX_CSUM, WEIR_CAP_TSO | WEIR_CAP_TX_CSUM, WEIR_CAP_TSO};
    for (size_t i = 0; i < WI_ARRAY_LEN(caps); i++) {
        struct rig *r = rig_new();
        wi_netif_get(r->net, r->netif)->caps = caps[i];
        struct wi_tcp_conn *c = rig_establish(r, 1000, 5, 0);
        rig_write(r, 20 * MSS);
        wi_list_for_each (rec, &c->sndq.recs, struct wi_tcp_rec, link)
            assert_int_equal(rec->is_summed, caps[i] == WEIR_CAP_TSO);
        rig_end(r);
    }
}

/* Whole transfers, whose receiver checks each sum. */
static bool drop_some(struct world *w, struct world_side *from, const struct weir_pkt *p, uint64_t n)
{
    (void)w;
    (void)p;
    return from->index == 0 && n % 17 == 0;
}

static void test_sndsum_transfer_with_losses_meets_no_bad_checksum(void **state)
{
    (void)state;
    struct transfer t;
    transfer_begin(&t, &(struct world_opts){.delay = WEIR_MS(10), .caps = WEIR_CAP_TSO}, WEIR_AF_INET6, 4 << 20);
    t.w.drop = drop_some;
    transfer_run(&t, WEIR_SEC(600));
    t.w.drop = NULL;
    assert_int_equal(world_stat(&t.w, 1, "TcpInErrs"), 0);
    assert_true(world_stat(&t.w, 0, "TcpRetransSegs") > 0);
    transfer_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sndsum_random_writes_cuts_and_repeats_have_right_checksums),
        cmocka_unit_test(test_sndsum_record_cut_by_the_window_keeps_both_sums),
        cmocka_unit_test(test_sndsum_is_made_only_where_it_is_used),
        cmocka_unit_test(test_sndsum_transfer_with_losses_meets_no_bad_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
