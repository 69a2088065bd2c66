/* Checksums and super-segments, against a splitter that copies and sums the naive way. */
#include "net_test.h"

static uint8_t flat[70000];

/* A TCP packet with `len` payload bytes, `in_head` of them in the head and the rest in blocks of `block` bytes. */
static struct weir_pkt *super_segment(struct world *w, bool v6, uint32_t len, uint32_t in_head, uint32_t block,
                                      uint16_t gso, uint16_t flags)
{
    struct weir_pkt *pkt = weir_pkt_new(w->core.pool, 78);
    struct wi_wire_tcp tcp = {.src_port = 1000,
                              .dst_port = 80,
                              .seq = {0xfffffff0},
                              .ack = {77},
                              .flags = flags,
                              .wnd = 500,
                              .has_ts = true,
                              .tsval = 1,
                              .tsecr = 2};
    size_t tcp_len = wi_wire_tcp_hdr_len(&tcp);
    assert_int_equal(wi_wire_tcp_put(weir_pkt_put(pkt, tcp_len), tcp_len, &tcp), tcp_len);
    uint8_t *head = weir_pkt_put(pkt, in_head);
    for (uint32_t i = 0; i < in_head; i++)
        head[i] = (uint8_t)(i * 31);
    for (uint32_t at = in_head; at < len; at += block) {
        uint32_t n = len - at < block ? len - at : block;
        struct weir_block *b = weir_block_new(w->core.pool, n + 3);
        for (uint32_t i = 0; i < n; i++)
            b->data[3 + i] = (uint8_t)((at + i) * 31);
        assert_int_equal(weir_pkt_append(pkt, b, 3, n), 0);
        weir_block_unref(b);
    }
    struct wi_ip_out ip = {.src = addr(v6 ? "2001:db8::1" : "192.0.2.1"),
                           .dst = addr(v6 ? "2001:db8::2" : "192.0.2.2"),
                           .is_v6 = v6,
                           .proto = WI_IP_TCP,
                           .ttl = 64,
                           .frag_id = 0xfffe,
                           .l4_len = pkt->len};
    wi_put16(pkt->room + pkt->head_off + WI_TCP_CSUM_OFF,
             (uint16_t)wi_ip_pseudo_csum(&ip.src, &ip.dst, WI_IP_TCP, pkt->len));
    size_t ip_len = wi_ip_out_len(&ip);
    wi_ip_put(weir_pkt_push(pkt, ip_len), &ip);
    memset(weir_pkt_push(pkt, 14), 0xee, 14);
    pkt->l3_off = 14;
    pkt->l4_off = (uint16_t)(14 + ip_len);
    pkt->gso_size = gso;
    pkt->flags = WEIR_PKT_CSUM_PARTIAL;
    pkt->serial = 99;
    return pkt;
}

/* One packet as it should be on the wire: everything right by itself. Returns its payload's length. */
static uint32_t assert_whole(const struct weir_pkt *p, uint32_t at, uint16_t id, uint16_t flags)
{
    struct wi_ip ip;
    struct wi_wire_tcp tcp;
    size_t len = weir_pkt_copy(p, 0, flat, sizeof flat);
    assert_int_equal(len, p->len);
    assert_int_equal(flat[0], 0xee);
    assert_int_equal(wi_ip_parse(&ip, flat + 14, len - 14, len - 14, true), WEIR_DROP_NONE);
    assert_int_equal(ip.total_len, len - 14);
    if (!ip.is_v6)
        assert_int_equal(ip.frag_id, id);
    const uint8_t *l4 = flat + 14 + ip.l4_off;
    assert_int_equal(
        wi_csum_fold(wi_ip_pseudo_csum(&ip.src, &ip.dst, WI_IP_TCP, ip.l4_len) + wi_csum_add(0, l4, ip.l4_len)),
        0xffff);
    assert_int_equal(wi_wire_tcp_parse(&tcp, l4, ip.l4_len, ip.l4_len), WEIR_DROP_NONE);
    assert_int_equal(tcp.seq.v, 0xfffffff0 + at);
    assert_int_equal(tcp.flags, flags);
    assert_int_equal(tcp.tsval, 1);
    for (uint32_t i = 0; i < tcp.data_len; i++)
        assert_int_equal(l4[tcp.data_off + i], (uint8_t)((at + i) * 31));
    assert_int_equal(p->serial, 99);
    assert_int_equal(p->flags, 0);
    assert_int_equal(p->gso_size, 0);
    return tcp.data_len;
}

/* A packet's frames in flat memory are the bytes of the packets that view them. */
static void assert_frames(const struct weir_pkt *pkt, struct weir_pkt **want, unsigned n)
{
    static uint8_t frame[70000];
    struct weir_cut cut;
    assert_int_equal(weir_cut_begin(&cut, pkt), 0);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(weir_cut_len(&cut), want[i]->len);
        assert_int_equal(weir_cut_write(&cut, frame, want[i]->len - 1), 0);
        frame[want[i]->len] = 0x5a;
        assert_int_equal(weir_cut_write(&cut, frame, sizeof frame), want[i]->len);
        assert_int_equal(frame[want[i]->len], 0x5a);
        weir_pkt_copy(want[i], 0, flat, sizeof flat);
        assert_int_equal(memcmp(frame, flat, want[i]->len), 0);
    }
    assert_int_equal(weir_cut_len(&cut), 0);
    assert_int_equal(weir_cut_write(&cut, frame, sizeof frame), 0);
}

static void test_segment_cuts_as_a_naive_splitter_would(void **state)
{
    (void)state;
    static const uint32_t lens[] = {0, 1, 1447, 1448, 1449, 2896, 10000, 64000};
    static const uint32_t heads[] = {0, 1, 60};
    static const uint32_t blocks[] = {4096, 5000, 65536};
    struct world *w = world_new();
    struct weir_pkt *out[200];
    const uint16_t all = WI_TH_ACK | WI_TH_PSH | WI_TH_FIN | WI_TH_CWR;
    for (unsigned n = 0; n < 2 * 8 * 3 * 3; n++) {
        bool v6 = n % 2;
        uint32_t len = lens[n / 2 % 8], in_head = heads[n / 16 % 3] > len ? len : heads[n / 16 % 3];
        struct weir_pkt *pkt = super_segment(w, v6, len, in_head, blocks[n / 48], 1448, all);
        unsigned want = len > 1448 ? (len + 1447) / 1448 : 1;
        assert_int_equal(weir_pkt_segment_count(pkt), want);
        if (want > 1)
            assert_int_equal(weir_pkt_segment(w->core.pool, pkt, out, want - 1), 0);
        assert_int_equal(weir_pkt_segment(w->core.pool, pkt, out, 200), want);
        assert_frames(pkt, out, want);
        uint32_t at = 0;
        for (unsigned i = 0; i < want; i++) {
            uint16_t flags = WI_TH_ACK | (i == 0 ? WI_TH_CWR : 0) | (i + 1 == want ? WI_TH_PSH | WI_TH_FIN : 0);
            at += assert_whole(out[i], at, (uint16_t)(0xfffe + i), flags);
            weir_pkt_unref(out[i]);
        }
        assert_int_equal(at, len);
        assert_int_equal(pkt->flags, WEIR_PKT_CSUM_PARTIAL); /* left alone */
        weir_pkt_unref(pkt);
    }
    world_end(w);
}

/* CWR is part of AccECN's counter: every segment says the same (RFC 9768 3.2.2). */
static void test_segment_with_accecn_keeps_cwr_in_all(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_pkt *out[8];
    struct weir_pkt *pkt = super_segment(w, false, 5000, 0, 4096, 1448, WI_TH_ACK | WI_TH_PSH | WI_TH_CWR);
    pkt->flags |= WEIR_PKT_CWR_ALL;
    assert_int_equal(weir_pkt_segment(w->core.pool, pkt, out, 8), 4);
    assert_frames(pkt, out, 4);
    uint32_t at = 0;
    for (unsigned i = 0; i < 4; i++) {
        at += assert_whole(out[i], at, (uint16_t)(0xfffe + i), WI_TH_ACK | WI_TH_CWR | (i == 3 ? WI_TH_PSH : 0));
        weir_pkt_unref(out[i]);
    }
    weir_pkt_unref(pkt);
    world_end(w);
}

static void test_segment_without_memory_makes_nothing(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_pkt *out[200];
    struct weir_pkt *pkt = super_segment(w, false, 60000, 0, 65536, 536, WI_TH_ACK);
    size_t before = weir_pool_used(w->core.pool);
    w->heap.fail_at = w->heap.alloc_n + 3;
    assert_int_equal(weir_pkt_segment(w->core.pool, pkt, out, 200), 0);
    w->heap.fail_at = 0;
    assert_int_equal(weir_pool_used(w->core.pool), before);
    weir_pkt_unref(pkt);
    world_end(w);
}

static void test_segment_of_nonsense_is_one_or_none(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_pkt *out[4];
    struct weir_pkt *pkt = super_segment(w, false, 3000, 0, 65536, 1448, WI_TH_ACK);
    pkt->l4_off = 2000;
    assert_int_equal(weir_pkt_segment_count(pkt), 1);
    assert_int_equal(weir_pkt_segment(w->core.pool, pkt, out, 4), 0);
    assert_int_equal(weir_pkt_checksum(pkt), -WEIR_EINVAL);
    struct weir_cut cut;
    assert_int_equal(weir_cut_begin(&cut, pkt), -WEIR_EINVAL);
    weir_pkt_unref(pkt);
    world_end(w);
}

/* UDP's computed 0 is sent as 0xffff. Rows: 1122-U3 */
static void test_checksum_of_udp_that_sums_to_zero_is_ffff(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_pkt *pkt = weir_pkt_new(w->core.pool, 60);
    const struct weir_addr src = addr("192.0.2.1"), dst = addr("192.0.2.2");
    const struct wi_wire_udp udp = {.src_port = 1, .dst_port = 2, .data_len = 2};
    uint8_t *p = weir_pkt_put(pkt, 10);
    wi_wire_udp_put(p, &udp);
    uint16_t pseudo = (uint16_t)wi_ip_pseudo_csum(&src, &dst, WI_IP_UDP, 10);
    wi_put16(p + 8, 0);
    wi_put16(p + 8, (uint16_t)~wi_csum_fold(pseudo + wi_csum_add(0, p, 10)));
    wi_put16(p + WI_UDP_CSUM_OFF, pseudo);
    struct wi_ip_out ip = {.src = src, .dst = dst, .proto = WI_IP_UDP, .ttl = 64, .l4_len = 10};
    wi_ip_put(weir_pkt_push(pkt, 20), &ip);
    pkt->l4_off = 20;
    pkt->flags = WEIR_PKT_CSUM_PARTIAL;
    struct weir_cut cut;
    uint8_t frame[30];
    assert_int_equal(weir_cut_begin(&cut, pkt), 0);
    assert_int_equal(weir_cut_write(&cut, frame, sizeof frame), 30);
    assert_int_equal(weir_pkt_checksum(pkt), 0);
    assert_int_equal(wi_get16(pkt->room + pkt->head_off + 26), 0xffff);
    assert_memory_equal(frame, pkt->room + pkt->head_off, 30);
    assert_int_equal(weir_pkt_checksum(pkt), 0); /* nothing is owed any more */
    assert_frames(pkt, &pkt, 1);
    weir_pkt_unref(pkt);
    world_end(w);
}

/* At the edge: an interface that can't gets packets; one that can gets the whole. */
static void test_output_super_segment_meets_the_interface(void **state)
{
    (void)state;
    for (int can = 0; can < 2; can++) {
        struct world *w = world_new();
        struct wi_netif *netif = wi_netif_get(w->net, w->raw);
        netif->caps = can ? WEIR_CAP_TSO | WEIR_CAP_TX_CSUM : 0;
        struct weir_pkt *pkt = super_segment(w, false, 14480, 0, 65536, 1448, WI_TH_ACK | WI_TH_PSH);
        weir_pkt_drop_front(pkt, 34);
        struct wi_dst dst;
        struct weir_addr to = addr("198.51.100.9");
        assert_int_equal(wi_net_route(w->net, &to, NULL, 0, false, &dst), 0);
        const struct wi_net_hdr hdr = {.src = dst.src, .dst = to, .proto = WI_IP_TCP, .df = true};
        assert_int_equal(wi_net_output(w->net, &dst, &hdr, pkt), 0);
        wi_net_flush(w->net);
        assert_int_equal(w->raw_sent.n, can ? 1 : 10);
        assert_int_equal(w->raw_sent.pkts[0]->gso_size, can ? 1448 : 0);
        world_end(w);
    }
}

static void test_output_super_segment_beyond_the_path_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct weir_addr to = addr("198.51.100.9");
    struct wi_dst dst;
    assert_true(wi_net_pmtu_learn(w->net, &to, 1400));
    assert_int_equal(wi_net_route(w->net, &to, NULL, 0, false, &dst), 0);
    struct weir_pkt *pkt = super_segment(w, false, 14480, 0, 65536, 1448, WI_TH_ACK);
    weir_pkt_drop_front(pkt, 34);
    const struct wi_net_hdr hdr = {.src = dst.src, .dst = to, .proto = WI_IP_TCP, .df = true};
    assert_int_equal(wi_net_output(w->net, &dst, &hdr, pkt), -WEIR_EMSGSIZE);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment_cuts_as_a_naive_splitter_would),
        cmocka_unit_test(test_segment_with_accecn_keeps_cwr_in_all),
        cmocka_unit_test(test_segment_without_memory_makes_nothing),
        cmocka_unit_test(test_segment_of_nonsense_is_one_or_none),
        cmocka_unit_test(test_checksum_of_udp_that_sums_to_zero_is_ffff),
        cmocka_unit_test(test_output_super_segment_meets_the_interface),
        cmocka_unit_test(test_output_super_segment_beyond_the_path_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
