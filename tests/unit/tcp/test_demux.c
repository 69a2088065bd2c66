/*
 * Segments that have no connection, and those that no connection must see: RFC 9293 3.10.7.1 and 3.10.7.2, and the
 * attacks that live there.
 */
#include "unit/tcp/peer.h"

#include "base/bytes.h"
#include "tcp/demux.h"

static struct peer p;

static int setup_v4(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    return 0;
}

static int setup_v6(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET6);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

/* RFC 9293 3.10.7.1: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>. Attack: middlebox-style amplification.
 * Rows: attack-middlebox-style-amplification 9293-S1 */
static void test_demux_closed_port_segment_without_ack_gets_rst_that_acknowledges_it(void **state)
{
    (void)state;
    struct wi_wire_tcp h = peer_syn(7000);
    peer_send(&p, &h, NULL);
    const struct peer_seg *s = peer_expect(&p, WI_TH_RST | WI_TH_ACK);
    assert_int_equal(s->h.seq.v, 0);
    assert_int_equal(s->h.ack.v, 7001);
    assert_int_equal(p.drop, WEIR_DROP_TCP_NO_SOCKET);

    h = peer_hdr(WI_TH_PSH | WI_TH_FIN, 500, 0);
    peer_send(&p, &h, "GET / HTTP/1.0\r\n");
    s = peer_expect(&p, WI_TH_RST | WI_TH_ACK);
    assert_int_equal(s->h.ack.v, 500 + 16 + 1);
    assert_int_equal(s->h.data_len, 0);
    peer_none(&p);
}

/* RFC 9293 3.10.7.1: <SEQ=SEG.ACK><CTL=RST>. Rows: 9293-S1 */
static void test_demux_closed_port_segment_with_ack_gets_rst_at_its_ack(void **state)
{
    (void)state;
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, 1, 0xfffffff0);
    peer_send(&p, &h, "x");
    const struct peer_seg *s = peer_expect(&p, WI_TH_RST);
    assert_int_equal(s->h.seq.v, 0xfffffff0);
    assert_int_equal(s->h.ack.v, 0);
    assert_int_equal(s->h.opt_len, 0);
    peer_none(&p);
}

/* RFC 9293 3.10.7.1: a reset is never answered. Rows: 9293-S2 */
static void test_demux_closed_port_rst_is_ignored(void **state)
{
    (void)state;
    struct wi_wire_tcp h = peer_hdr(WI_TH_RST, 1, 0);
    peer_send(&p, &h, NULL);
    h.flags |= WI_TH_ACK;
    peer_send(&p, &h, NULL);
    peer_none(&p);
    assert_int_equal(p.drop, WEIR_DROP_TCP_NO_SOCKET_RST);
}

/* Attack: Christmas tree, NULL, FIN, SYN+FIN scans, at a closed and at a listening port: RFC 9293 3.10.7.1 and
 * 3.10.7.2 say for each of the 512 combinations what it gets. Rows: attack-christmas-tree-null-fin-syn-fin-scans
 * 9293-S1 9293-S2 9293-S3 */
static void test_demux_every_flag_combination_gets_what_the_rfc_says(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 512; flags++) {
        struct wi_wire_tcp h = peer_hdr((uint16_t)flags, 100, 200);
        peer_send(&p, &h, NULL);
        if (flags & WI_TH_RST)
            peer_none(&p);
        else
            peer_expect(&p, flags & WI_TH_ACK ? WI_TH_RST : WI_TH_RST | WI_TH_ACK);
        peer_none(&p);
    }
    weir_fd l = peer_listen(&p, 1000);
    for (unsigned flags = 0; flags < 512; flags++) {
        struct wi_wire_tcp h = peer_hdr((uint16_t)flags, 100, 200);
        h.src_port = (uint16_t)(10000 + flags);
        peer_send(&p, &h, NULL);
        bool is_syn = (flags & (WI_TH_SYN | WI_TH_ACK | WI_TH_RST | WI_TH_FIN)) == WI_TH_SYN;
        if (is_syn)
            assert_int_equal(peer_next(&p)->h.flags & (WI_TH_SYN | WI_TH_ACK | WI_TH_RST), WI_TH_SYN | WI_TH_ACK);
        else if ((flags & WI_TH_ACK) && !(flags & WI_TH_RST))
            peer_expect(&p, WI_TH_RST);
        peer_none(&p);
    }
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
}

/* A segment whose checksum is wrong is as if it had never come. Attack: checksum bypass. Rows: MUST-3
 * attack-checksum-bypass */
static void test_demux_bad_checksum_is_dropped(void **state)
{
    (void)state;
    uint8_t bytes[40];
    struct wi_wire_tcp h = peer_syn(1);
    size_t len = wi_wire_tcp_put(bytes, sizeof bytes, &h);
    peer_send_raw(&p, WI_IP_TCP, bytes, len);
    assert_int_equal(p.drop, WEIR_DROP_TCP_CSUM);
    assert_int_equal(peer_stat(&p, "TcpInErrs"), 1);
    peer_none(&p);
}

/* Attack: data offset and length lies. Rows: attack-data-offset-and-length-lies 9293-S24 */
static void test_demux_every_data_offset_is_survived(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 60; len++) {
        for (unsigned offset = 0; offset < 16; offset++) {
            uint8_t bytes[60] = {0x9c, 0x40, 0, 80, [12] = (uint8_t)(offset << 4), [13] = WI_TH_SYN};
            unsigned drop_n = p.drop_n;
            peer_send_raw(&p, WI_IP_TCP, bytes, len);
            assert_int_equal(p.drop_n, drop_n + 1);
            if (len < 20)
                assert_int_equal(p.drop, WEIR_DROP_TCP_SHORT);
            else if (offset < 5 || offset * 4 > len)
                assert_int_equal(p.drop, WEIR_DROP_TCP_OFFSET);
            else
                assert_int_equal(p.drop, WEIR_DROP_TCP_CSUM);
        }
    }
    peer_none(&p);
}

/* RFC 5925 7.3, RFC 2385 2: a signed segment is not for an endpoint that agreed on no signature. */
static void test_demux_md5_segment_is_dropped(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    uint8_t bytes[40] = {0x9c, 0x40, 0, 80, [12] = 0xa0, [13] = WI_TH_SYN, [20] = WI_TCPOPT_MD5, [21] = 18};
    uint16_t sum = wi_ip_pseudo_csum(&p.addr, &p.stack_addr, WI_IP_TCP, sizeof bytes);
    uint32_t acc = sum;
    for (size_t i = 0; i < sizeof bytes; i += 2)
        acc += wi_get16(bytes + i);
    acc = (acc & 0xffff) + (acc >> 16);
    acc = (acc & 0xffff) + (acc >> 16);
    wi_put16(bytes + WI_TCP_CSUM_OFF, (uint16_t)~acc);
    peer_send_raw(&p, WI_IP_TCP, bytes, sizeof bytes);
    assert_int_equal(p.drop, WEIR_DROP_TCP_MD5);
    peer_none(&p);
}

static void test_demux_port_zero_is_dropped(void **state)
{
    (void)state;
    struct wi_wire_tcp h = peer_syn(1);
    h.src_port = 0;
    peer_send(&p, &h, NULL);
    assert_int_equal(p.drop, WEIR_DROP_TCP_PORT_ZERO);
    peer_none(&p);
}

/* RFC 1122 4.2.3.10: SYNs to a group or broadcast address are silently discarded. Rows: MUST-57 */
static void test_demux_syn_to_broadcast_is_dropped(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    struct weir_addr broadcast[] = {weir_addr_v4(10, 0, 0, 255), weir_addr_v4(255, 255, 255, 255),
                                    weir_addr_v4(224, 0, 0, 1)};
    struct wi_wire_tcp h = peer_syn(1);
    for (size_t i = 0; i < WI_ARRAY_LEN(broadcast); i++) {
        p.drop = WEIR_DROP_NONE;
        peer_send_from(&p, &p.addr, &broadcast[i], &h, NULL);
        assert_int_equal(p.drop, WEIR_DROP_TCP_NOT_UNICAST);
    }
    peer_none(&p);
}

/* Attack: land (CVE-1999-0016): source and destination are the same. Rows: attack-land */
static void test_demux_land_syn_gets_no_answer(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    struct wi_wire_tcp h = peer_syn(1);
    h.src_port = STACK_PORT;
    peer_send_from(&p, &p.stack_addr, &p.stack_addr, &h, NULL);
    assert_true(p.drop_n > 0);
    peer_none(&p);
}

/* Attack: ACK flood: a stray ACK costs a lookup and no memory, and not every one has its reset; to each peer as many go
 * as tcp_rst_ratelimit says, about. Rows: 4987-14 attack-ack-flood */
static void test_demux_ack_flood_takes_no_memory(void **state)
{
    (void)state;
    peer_listen(&p, 5);
    p.is_unchecked = true;
    size_t before = weir_mem_used(p.stack);
    for (uint32_t i = 0; i < 20000; i++) {
        struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, i * 7919, i * 104729);
        h.src_port = (uint16_t)(1024 + i);
        peer_send(&p, &h, NULL);
    }
    assert_in_range(p.seg_n, 500, 1000);
    assert_int_equal(p.seg_n + peer_stat(&p, "TcpOutRstsRateLimited"), 20000);
    assert_int_equal(peer_mem_at_rest(&p), before);
    /* a second later it may be told again */
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK, 1, 1);
    unsigned n = p.seg_n;
    peer_send(&p, &h, NULL);
    assert_int_equal(p.seg_n, n + 1);
}

/* ICMP errors about what we never sent change nothing. RFC 5927 4.1. */
static void test_demux_icmp_error_without_connection_is_counted(void **state)
{
    (void)state;
    struct peer_seg s = {.src = p.stack_addr, .dst = p.addr, .h = {.src_port = 1234, .dst_port = 80}};
    peer_send_unreach(&p, 3, &s);
    assert_int_equal(p.drop, WEIR_DROP_ICMP_NO_SOCKET);
}

/* Attack: hash collision (CVE-2003-0244): the hash has a key, and every part of the four-tuple is in it.
 * Rows: attack-hash-collision-dos */
static void test_demux_hash_depends_on_key_and_every_field(void **state)
{
    (void)state;
    struct wi_tcp tcp = {.hash_key = {1}}, other = {.hash_key = {2}};
    for (int v6 = 0; v6 < 2; v6++) {
        struct wi_tcp_tuple t = {.local = v6 ? (struct weir_addr){{0xfd, [15] = 1}} : weir_addr_v4(10, 0, 0, 1),
                                 .remote = v6 ? (struct weir_addr){{0xfd, [15] = 2}} : weir_addr_v4(10, 0, 0, 2),
                                 .local_port = 80,
                                 .remote_port = 81};
        uint64_t h = wi_tcp_tuple_hash(&tcp, &t);
        assert_true(h == wi_tcp_tuple_hash(&tcp, &t));
        assert_true(h != wi_tcp_tuple_hash(&other, &t));
        struct wi_tcp_tuple u[4] = {t, t, t, t};
        u[0].local.b[15] ^= 1;
        u[1].remote.b[15] ^= 1;
        u[2].local_port++;
        u[3].remote_port++;
        for (size_t i = 0; i < WI_ARRAY_LEN(u); i++)
            assert_true(h != wi_tcp_tuple_hash(&tcp, &u[i]));
    }
}

#define ON(setup, f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(setup_v4, test_demux_closed_port_segment_without_ack_gets_rst_that_acknowledges_it),
        ON(setup_v6, test_demux_closed_port_segment_without_ack_gets_rst_that_acknowledges_it),
        ON(setup_v4, test_demux_closed_port_segment_with_ack_gets_rst_at_its_ack),
        ON(setup_v6, test_demux_closed_port_segment_with_ack_gets_rst_at_its_ack),
        ON(setup_v4, test_demux_closed_port_rst_is_ignored),
        ON(setup_v4, test_demux_every_flag_combination_gets_what_the_rfc_says),
        ON(setup_v6, test_demux_every_flag_combination_gets_what_the_rfc_says),
        ON(setup_v4, test_demux_bad_checksum_is_dropped),
        ON(setup_v6, test_demux_bad_checksum_is_dropped),
        ON(setup_v4, test_demux_every_data_offset_is_survived),
        ON(setup_v4, test_demux_md5_segment_is_dropped),
        ON(setup_v4, test_demux_port_zero_is_dropped),
        ON(setup_v4, test_demux_syn_to_broadcast_is_dropped),
        ON(setup_v4, test_demux_land_syn_gets_no_answer),
        ON(setup_v6, test_demux_land_syn_gets_no_answer),
        ON(setup_v4, test_demux_ack_flood_takes_no_memory),
        ON(setup_v4, test_demux_icmp_error_without_connection_is_counted),
        cmocka_unit_test(test_demux_hash_depends_on_key_and_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
