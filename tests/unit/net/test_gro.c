/* Receive offload: what one batch of segments comes up as. */
#include "net_test.h"

#define MSS       1000u
#define HEARD_MAX 64

/* What came up, in order. */
struct up {
    uint32_t seq, len;
    uint16_t flags, gso_size;
    uint8_t ecn;
    bool is_sum_good;
};

struct gro {
    struct world *w;
    bool v6, eth;
    struct weir_pkt *pkts[HEARD_MAX];
    unsigned n;
    struct up up[HEARD_MAX];
    unsigned up_n;
};

/* A segment of the stream whose byte at sequence number s is (uint8_t)(s * 7). */
struct spec {
    uint32_t seq, len, ack;
    uint16_t flags, src_port, wnd;
    uint8_t tos, ttl;
    uint32_t tsval;
    bool bad_sum, bad_ip_sum, no_ts;
    uint32_t total_lie; /* added to the IP header's length */
    uint32_t padding;   /* behind the datagram */
    uint32_t pieces;    /* blocks that it lies in, 0: 1 */
};

static void hear(void *ctx, struct weir_pkt *pkt, const struct wi_ip *ip, int netif)
{
    static uint8_t bytes[70000];
    struct gro *g = ctx;
    struct wi_wire_tcp h;
    (void)netif;
    assert_int_equal(weir_pkt_copy(pkt, pkt->l4_off, bytes, ip->l4_len), ip->l4_len);
    struct up *u = &g->up[g->up_n++];
    *u = (struct up){.ecn = ip->ecn, .gso_size = pkt->gso_size, .is_sum_good = wi_net_csum_is_good(pkt, ip)};
    if (wi_wire_tcp_parse(&h, bytes, ip->l4_len, ip->l4_len) != WEIR_DROP_NONE)
        return;
    u->seq = h.seq.v;
    u->len = (uint32_t)h.data_len;
    u->flags = h.flags;
    for (uint32_t i = 0; u->is_sum_good && i < u->len; i++)
        assert_int_equal(bytes[h.data_off + i], (uint8_t)((u->seq + i) * 7));
}

static struct gro gro_new(bool v6, bool eth)
{
    return (struct gro){.w = world_new(), .v6 = v6, .eth = eth};
}

/* Once the struct has its place. */
static void gro_listen(struct gro *g)
{
    const struct wi_net_proto proto = {g, hear, world_error};
    wi_net_register(g->w->net, WI_IP_TCP, &proto);
}

static size_t put_segment(const struct gro *g, const struct spec *s, uint8_t *p)
{
    struct wi_ip_out ip = {.proto = WI_IP_TCP, .ttl = s->ttl ? s->ttl : 64, .tos = s->tos, .df = true, .is_v6 = g->v6};
    ip.src = addr(g->v6 ? (g->eth ? "2001:db8::2" : "2001:db8:1::2") : (g->eth ? "192.0.2.2" : "198.51.100.2"));
    ip.dst = addr(g->v6 ? (g->eth ? "2001:db8::1" : "2001:db8:1::1") : (g->eth ? "192.0.2.1" : "198.51.100.1"));
    struct wi_wire_tcp h = {.src_port = s->src_port ? s->src_port : 5000,
                            .dst_port = 80,
                            .seq = {s->seq},
                            .ack = {s->ack},
                            .flags = s->flags ? s->flags : WI_TH_ACK,
                            .wnd = s->wnd ? s->wnd : 500,
                            .has_ts = !s->no_ts,
                            .tsval = s->tsval};
    size_t eth_len = g->eth ? WI_ETH_HDR : 0, tcp_len = wi_wire_tcp_hdr_len(&h);
    ip.l4_len = (uint32_t)(tcp_len + s->len + s->total_lie);
    if (g->eth)
        put_eth(p, our_mac, peer_mac, g->v6 ? WI_ETHERTYPE_IPV6 : WI_ETHERTYPE_IPV4, "", 0);
    size_t ip_len = wi_ip_put(p + eth_len, &ip);
    uint8_t *tcp = p + eth_len + ip_len;
    wi_wire_tcp_put(tcp, tcp_len, &h);
    for (uint32_t i = 0; i < s->len; i++)
        tcp[tcp_len + i] = (uint8_t)((s->seq + i) * 7);
    wi_put16(tcp + WI_TCP_CSUM_OFF, 0);
    uint32_t l4_len = (uint32_t)tcp_len + s->len;
    uint64_t sum = wi_csum_add(wi_ip_pseudo_csum(&ip.src, &ip.dst, WI_IP_TCP, l4_len), tcp, l4_len);
    wi_put16(tcp + WI_TCP_CSUM_OFF, (uint16_t)(wi_csum_finish(sum) ^ (s->bad_sum ? 0x100 : 0)));
    if (s->bad_ip_sum)
        p[eth_len + 10] ^= 1;
    memset(tcp + l4_len, 0xa5, s->padding);
    return eth_len + ip_len + l4_len + s->padding;
}

static void give(struct gro *g, struct spec s)
{
    uint8_t bytes[4096];
    size_t len = put_segment(g, &s, bytes);
    struct weir_pkt *pkt = weir_pkt_new(g->w->core.pool, 0);
    size_t pieces = s.pieces ? s.pieces : 1, each = (len + pieces - 1) / pieces;
    for (size_t at = 0; at < len; at += each) {
        size_t n = len - at < each ? len - at : each;
        struct weir_block *b = weir_block_new(g->w->core.pool, n);
        memcpy(b->data, bytes + at, n);
        assert_int_equal(weir_pkt_append(pkt, b, 0, (uint32_t)n), 0);
        weir_block_unref(b);
    }
    g->pkts[g->n++] = pkt;
}

static void deliver(struct gro *g)
{
    wi_net_input(g->w->net, g->eth ? g->w->eth : g->w->raw, g->pkts, g->n);
    wi_net_flush(g->w->net);
    while (g->n)
        weir_pkt_unref(g->pkts[--g->n]);
}

static void assert_up(const struct gro *g, unsigned i, uint32_t seq, uint32_t len, uint16_t flags)
{
    assert_true(i < g->up_n);
    assert_int_equal(g->up[i].seq, seq);
    assert_int_equal(g->up[i].len, len);
    assert_int_equal(g->up[i].flags, flags);
    assert_int_equal(g->up[i].gso_size, len > MSS ? MSS : 0);
    assert_true(g->up[i].is_sum_good);
}

static void test_gro_consecutive_segments_come_up_as_one(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct gro g = gro_new(i & 1, i & 2);
        gro_listen(&g);
        for (uint32_t k = 0; k < 10; k++)
            give(&g, (struct spec){.seq = 0xffffff00 + k * MSS, .len = MSS, .tos = 2});
        give(&g, (struct spec){.seq = 0xffffff00 + 10 * MSS, .len = 77, .tos = 2, .flags = WI_TH_ACK | WI_TH_PSH});
        deliver(&g);
        assert_int_equal(g.up_n, 1);
        assert_up(&g, 0, 0xffffff00, 10 * MSS + 77, WI_TH_ACK | WI_TH_PSH);
        assert_int_equal(g.w->core.stats.count[WI_STAT_InECT0Pkts], 11);
        assert_int_equal(g.w->core.stats.count[WI_STAT_IpInReceives], 1);
        world_end(g.w);
    }
}

static void test_gro_of_64k_and_more_than_a_packet_s_views_is_split(void **state)
{
    (void)state;
    struct gro g = gro_new(false, false);
    gro_listen(&g);
    uint32_t at = 0;
    for (unsigned i = 0; i < 60; i++, at += MSS) /* in two pieces each: 120 views, of which 64 fit */
        give(&g, (struct spec){.seq = at, .len = MSS, .pieces = 2});
    deliver(&g);
    uint32_t sum = 0;
    for (unsigned i = 0; i < g.up_n; i++) {
        assert_int_equal(g.up[i].seq, sum);
        assert_true(g.up[i].len <= 65535 - 52);
        sum += g.up[i].len;
    }
    assert_int_equal(sum, 60 * MSS);
    assert_int_equal(g.up_n, 2);
    world_end(g.w);

    struct gro h = gro_new(true, false);
    gro_listen(&h);
    for (unsigned i = 0; i < 50; i++)
        give(&h, (struct spec){.seq = i * 1400, .len = 1400});
    deliver(&h);
    assert_int_equal(h.up_n, 2);
    assert_int_equal(h.up[0].len, 46 * 1400);
    assert_int_equal(h.up[1].len, 4 * 1400);
    world_end(h.w);
}

static void test_gro_push_and_a_shorter_segment_end_a_merge(void **state)
{
    (void)state;
    struct gro g = gro_new(false, true);
    gro_listen(&g);
    give(&g, (struct spec){.seq = 0, .len = MSS});
    give(&g, (struct spec){.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_PSH});
    give(&g, (struct spec){.seq = 2 * MSS, .len = MSS});
    give(&g, (struct spec){.seq = 3 * MSS, .len = 10, .padding = 30});
    give(&g, (struct spec){.seq = 3 * MSS + 10, .len = MSS});
    deliver(&g);
    assert_int_equal(g.up_n, 3);
    assert_up(&g, 0, 0, 2 * MSS, WI_TH_ACK | WI_TH_PSH);
    assert_up(&g, 1, 2 * MSS, MSS + 10, WI_TH_ACK);
    assert_up(&g, 2, 3 * MSS + 10, MSS, WI_TH_ACK);
    world_end(g.w);
}

/* Each difference that Linux keeps apart: a segment like it stays by itself, and in its place. */
static void test_gro_segments_that_differ_stay_apart(void **state)
{
    (void)state;
    const struct spec odd[] = {
        {.seq = MSS, .len = MSS, .ack = 1},
        {.seq = MSS, .len = MSS, .wnd = 501},
        {.seq = MSS, .len = MSS, .tos = 3}, /* CE must not be spread over the others */
        {.seq = MSS, .len = MSS, .tos = 0x20},
        {.seq = MSS, .len = MSS, .ttl = 63},
        {.seq = MSS, .len = MSS, .tsval = 1},
        {.seq = MSS, .len = MSS, .no_ts = true},
        {.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_ECE},
        {.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_CWR},
        {.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_AE},
        {.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_URG},
        {.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_FIN},
        {.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_RST},
        {.seq = MSS, .len = MSS, .flags = WI_TH_ACK | WI_TH_SYN},
        {.seq = MSS, .len = MSS + 1},
        {.seq = MSS + 1, .len = MSS},
        {.seq = MSS - 1, .len = MSS}, /* overlaps */
        {.seq = 0, .len = MSS},       /* repeats */
        {.seq = MSS, .len = 0},
    };
    for (unsigned v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < WI_ARRAY_LEN(odd); i++) {
            struct gro g = gro_new(v6, false);
            gro_listen(&g);
            give(&g, (struct spec){.seq = 0, .len = MSS});
            give(&g, odd[i]);
            give(&g, (struct spec){.seq = 2 * MSS + 5, .len = MSS});
            deliver(&g);
            assert_int_equal(g.up_n, 3);
            assert_int_equal(g.up[0].seq, 0);
            assert_int_equal(g.up[1].seq, odd[i].seq);
            assert_int_equal(g.up[1].len, odd[i].len);
            assert_int_equal(g.up[1].ecn, odd[i].tos & 3);
            assert_int_equal(g.up[2].seq, 2 * MSS + 5);
            world_end(g.w);
        }
    }
}

/* A wrong sum in the middle costs that segment alone: its neighbours are merged around it, and it goes up by itself to
 * be dropped for what it is. */
static void test_gro_bad_sum_in_the_middle_stays_apart(void **state)
{
    (void)state;
    for (unsigned v6 = 0; v6 < 2; v6++) {
        struct gro g = gro_new(v6, false);
        gro_listen(&g);
        for (uint32_t k = 0; k < 6; k++)
            give(&g, (struct spec){.seq = k * MSS, .len = MSS, .bad_sum = k == 2});
        deliver(&g);
        assert_int_equal(g.up_n, 3);
        assert_up(&g, 0, 0, 2 * MSS, WI_TH_ACK);
        assert_false(g.up[1].is_sum_good);
        assert_up(&g, 2, 3 * MSS, 3 * MSS, WI_TH_ACK);
        world_end(g.w);
    }
}

static void test_gro_bad_ip_headers_are_dropped_for_what_they_are(void **state)
{
    (void)state;
    struct gro g = gro_new(false, false);
    gro_listen(&g);
    give(&g, (struct spec){.seq = 0, .len = MSS});
    give(&g, (struct spec){.seq = MSS, .len = MSS, .bad_ip_sum = true});
    give(&g, (struct spec){.seq = MSS, .len = MSS, .total_lie = 9}); /* longer than the packet */
    give(&g, (struct spec){.seq = MSS, .len = MSS});
    deliver(&g);
    assert_int_equal(drops(g.w, WEIR_DROP_IPV4_CSUM), 1);
    assert_int_equal(drops(g.w, WEIR_DROP_IP_LENGTH), 1);
    assert_int_equal(g.up_n, 2);
    assert_up(&g, 0, 0, MSS, WI_TH_ACK);
    assert_up(&g, 1, MSS, MSS, WI_TH_ACK);
    world_end(g.w);
}

/* Segments of several flows in turn: each flow is merged, and more flows than are held at a time lose nothing. */
static void test_gro_interleaved_flows_are_each_merged(void **state)
{
    (void)state;
    for (unsigned flows = 2; flows <= 12; flows += 10) {
        struct gro g = gro_new(false, false);
        gro_listen(&g);
        for (uint32_t k = 0; k < 3; k++) {
            for (unsigned f = 0; f < flows; f++)
                give(&g, (struct spec){.seq = f * 100000 + k * MSS, .len = MSS, .src_port = (uint16_t)(6000 + f)});
        }
        deliver(&g);
        uint32_t total = 0;
        for (unsigned i = 0; i < g.up_n; i++)
            total += g.up[i].len;
        assert_int_equal(total, flows * 3 * MSS);
        if (flows == 2) {
            assert_int_equal(g.up_n, 2);
            assert_up(&g, 0, 0, 3 * MSS, WI_TH_ACK);
            assert_up(&g, 1, 100000, 3 * MSS, WI_TH_ACK);
        }
        world_end(g.w);
    }
}

/* What waits is of this batch alone; what a batch of one brings, and an interface told not to, stays as it came. */
static void test_gro_off_or_one_packet_a_batch_changes_nothing(void **state)
{
    (void)state;
    struct gro g = gro_new(false, false);
    gro_listen(&g);
    give(&g, (struct spec){.seq = 0, .len = MSS});
    deliver(&g);
    give(&g, (struct spec){.seq = MSS, .len = MSS});
    deliver(&g);
    assert_int_equal(g.up_n, 2);
    wi_netif_get(g.w->net, g.w->raw)->flags |= WEIR_NETIF_NO_GRO;
    give(&g, (struct spec){.seq = 2 * MSS, .len = MSS});
    give(&g, (struct spec){.seq = 3 * MSS, .len = MSS});
    deliver(&g);
    assert_int_equal(g.up_n, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_up(&g, i, i * MSS, MSS, WI_TH_ACK);
    world_end(g.w);
}

/* Whichever allocation fails, what came goes up, in order; and the packets given are as they were. */
static void test_gro_without_memory_merges_nothing_and_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t fail = 1; fail < 6; fail++) {
        struct gro g = gro_new(false, false);
        gro_listen(&g);
        for (uint32_t k = 0; k < 40; k++)
            give(&g, (struct spec){.seq = k * MSS, .len = MSS});
        uint32_t len = g.pkts[0]->len;
        struct weir_pkt *first = weir_pkt_ref(g.pkts[0]);
        g.w->heap.fail_at = g.w->heap.alloc_n + fail;
        deliver(&g);
        g.w->heap.fail_at = 0;
        uint32_t at = 0;
        for (unsigned i = 0; i < g.up_n; i++) {
            assert_int_equal(g.up[i].seq, at);
            at += g.up[i].len;
        }
        assert_int_equal(at, 40 * MSS);
        assert_int_equal(first->len, len);
        weir_pkt_unref(first);
        world_end(g.w);
    }
}

/* Rubbish of every length, cut anywhere: nothing is read beyond it, and nothing is merged. */
static void test_gro_truncated_packets_are_left_to_the_checks(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct gro g = gro_new(i & 1, i & 2);
        gro_listen(&g);
        uint8_t bytes[4096];
        size_t len = put_segment(&g, &(struct spec){.seq = 0, .len = 20}, bytes);
        for (size_t n = 1; n < len; n++) {
            for (unsigned k = 0; k < 2; k++)
                g.pkts[g.n++] = weir_pkt_from(g.w->core.pool, bytes, n);
            deliver(&g);
        }
        assert_int_equal(g.up_n, 0);
        for (unsigned k = 0; k < 2; k++)
            g.pkts[g.n++] = weir_pkt_new(g.w->core.pool, 0);
        deliver(&g);
        assert_int_equal(drops(g.w, WEIR_DROP_PKT_SHORT), 2);
        world_end(g.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gro_consecutive_segments_come_up_as_one),
        cmocka_unit_test(test_gro_of_64k_and_more_than_a_packet_s_views_is_split),
        cmocka_unit_test(test_gro_push_and_a_shorter_segment_end_a_merge),
        cmocka_unit_test(test_gro_segments_that_differ_stay_apart),
        cmocka_unit_test(test_gro_bad_sum_in_the_middle_stays_apart),
        cmocka_unit_test(test_gro_bad_ip_headers_are_dropped_for_what_they_are),
        cmocka_unit_test(test_gro_interleaved_flows_are_each_merged),
        cmocka_unit_test(test_gro_off_or_one_packet_a_batch_changes_nothing),
        cmocka_unit_test(test_gro_without_memory_merges_nothing_and_loses_nothing),
        cmocka_unit_test(test_gro_truncated_packets_are_left_to_the_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
