/* The virtio-net header before a packet (io/vnet.h): what the stack wants said is said, what can't be is not believed.
 */
#include "io_test.h"

#include "io/vnet.h"

#define ETH  14
#define V4   20
#define V6   40
#define TCP  32 /* with timestamps */
#define DATA 3000

static struct weir_pool *pool;

static int set_up(void **state)
{
    (void)state;
    pool = weir_pool_new(&test_memory, 0);
    return pool ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    int leaked = weir_pool_used(pool) != 0;
    weir_pool_free(pool);
    return leaked;
}

/* Headers of a TCP segment with a super-segment's payload behind them. Returns their length. */
static size_t headers(uint8_t *b, enum weir_link_type type, bool is_v6)
{
    size_t at = 0;
    memset(b, 0, ETH + V6 + TCP);
    if (type == WEIR_LINK_ETHERNET) {
        b[12] = is_v6 ? 0x86 : 0x08;
        b[13] = is_v6 ? 0xdd : 0x00;
        at = ETH;
    }
    b[at] = is_v6 ? 0x60 : 0x45;
    b[at + (is_v6 ? 6 : 9)] = 6;
    at += is_v6 ? V6 : V4;
    b[at + 12] = TCP / 4 << 4;
    b[at + 13] = 0x10;
    return at + TCP;
}

static struct weir_pkt *received(enum weir_link_type type, bool is_v6)
{
    uint8_t b[ETH + V6 + TCP + DATA] = {0};
    return weir_pkt_from(pool, b, headers(b, type, is_v6) + DATA);
}

/* As the stack hands it to a driver. */
static struct weir_pkt *to_send(enum weir_link_type type, bool is_v6, uint16_t gso_size)
{
    uint8_t b[ETH + V6 + TCP];
    size_t len = headers(b, type, is_v6);
    struct weir_pkt *p = weir_pkt_new(pool, 0);
    struct weir_block *data = weir_block_new(pool, DATA);
    memcpy(weir_pkt_put(p, len), b, len);
    weir_pkt_append(p, data, 0, DATA);
    weir_block_unref(data);
    p->l3_off = type == WEIR_LINK_ETHERNET ? ETH : 0;
    p->l4_off = (uint16_t)(len - TCP);
    p->gso_size = gso_size;
    p->flags = WEIR_PKT_CSUM_PARTIAL;
    return p;
}

static uint16_t l4_of(enum weir_link_type type, bool is_v6)
{
    return (uint16_t)((type == WEIR_LINK_ETHERNET ? ETH : 0) + (is_v6 ? V6 : V4));
}

static struct virtio_net_hdr super_segment(enum weir_link_type type, bool is_v6)
{
    return (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
        .hdr_len = (uint16_t)(l4_of(type, is_v6) + TCP),
        .gso_size = 1448,
        .csum_start = l4_of(type, is_v6),
        .csum_offset = 16,
    };
}

static void test_vnet_what_is_sent_and_read_back_is_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        enum weir_link_type type = i & 1 ? WEIR_LINK_RAW_IP : WEIR_LINK_ETHERNET;
        bool is_v6 = i & 2;
        struct virtio_net_hdr v, wanted = super_segment(type, is_v6);
        struct weir_pkt *out = to_send(type, is_v6, 1448), *in = received(type, is_v6);
        assert_true(wio_vnet_describe(&v, out));
        assert_memory_equal(&v, &wanted, sizeof v);
        assert_int_equal(wio_vnet_receive(&v, in, type, &in), 1);
        assert_int_equal(in->gso_size, 1448);
        assert_int_equal(in->flags, WEIR_PKT_CSUM_OK);
        weir_pkt_unref(out);
        weir_pkt_unref(in);
    }
}

static void test_vnet_an_ordinary_packet_owes_its_checksum_alone(void **state)
{
    (void)state;
    struct virtio_net_hdr v;
    struct weir_pkt *p = to_send(WEIR_LINK_ETHERNET, false, 0);
    assert_true(wio_vnet_describe(&v, p));
    assert_int_equal(v.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(v.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    assert_int_equal(v.csum_start, ETH + V4);
    p->flags = 0;
    assert_true(wio_vnet_describe(&v, p));
    assert_int_equal(v.flags, 0);
    weir_pkt_unref(p);
}

static void test_vnet_cwr_of_the_first_segment_alone_is_said_so(void **state)
{
    (void)state;
    struct virtio_net_hdr v;
    struct weir_pkt *p = to_send(WEIR_LINK_ETHERNET, false, 1448);
    p->room[p->head_off + p->l4_off + 13] |= 0x80;
    assert_true(wio_vnet_describe(&v, p));
    assert_int_equal(v.gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
    assert_false(wio_vnet_must_cut(p));
    p->flags |= WEIR_PKT_CWR_ALL;
    assert_true(wio_vnet_must_cut(p));
    weir_pkt_unref(p);
}

static void test_vnet_what_can_not_be_said_is_refused(void **state)
{
    (void)state;
    struct virtio_net_hdr v;
    struct weir_pkt *p = to_send(WEIR_LINK_ETHERNET, false, 1448);
    p->room[p->head_off + ETH + 9] = 17; /* a super-segment of UDP */
    assert_false(wio_vnet_describe(&v, p));
    p->gso_size = 0;
    p->room[p->head_off + ETH + 9] = 47; /* a checksum of GRE */
    assert_false(wio_vnet_describe(&v, p));
    p->room[p->head_off + ETH + 9] = 6;
    p->l4_off = (uint16_t)(p->head_len - 4); /* the field lies outside the head */
    assert_false(wio_vnet_describe(&v, p));
    p->l4_off = (uint16_t)(p->head_len - 8); /* there are 8 bytes of transport header, and no field */
    assert_false(wio_vnet_describe(&v, p));
    p->flags = 0;
    p->gso_size = 1448; /* cut, but nothing owed */
    assert_false(wio_vnet_describe(&v, p));
    weir_pkt_unref(p);
}

/* Read `p` with a header, and give back what it was marked with; gso_size is -1 when it was refused. */
struct verdict {
    int gso_size;
    bool is_trusted;
};

static struct verdict judge(struct virtio_net_hdr v, struct weir_pkt *p)
{
    struct weir_pkt *out[WIO_VNET_SPLIT_MAX];
    unsigned n = wio_vnet_receive(&v, p, WEIR_LINK_ETHERNET, out);
    struct verdict got = {-1, false};
    if (n > 0)
        got = (struct verdict){out[0]->gso_size, out[0]->flags & WEIR_PKT_CSUM_OK};
    while (n > 0)
        weir_pkt_unref(out[--n]);
    return got;
}

static void test_vnet_gso_sizes_that_can_not_be_are_refused(void **state)
{
    (void)state;
    struct virtio_net_hdr v = super_segment(WEIR_LINK_ETHERNET, false);
    for (uint16_t size = 0; size < 8; size++) {
        v.gso_size = size;
        assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, false)).gso_size, -1);
    }
    v.gso_size = 8;
    assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, false)).gso_size, 8);
    v.gso_size = DATA; /* one segment is no super-segment */
    assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, false)).gso_size, 0);
    v.gso_size = 65535;
    assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, false)).gso_size, 0);
}

static void test_vnet_gso_types_that_are_not_the_packets_are_refused(void **state)
{
    (void)state;
    struct virtio_net_hdr v = super_segment(WEIR_LINK_ETHERNET, false);
    assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, true)).gso_size, -1);
    for (unsigned type = 1; type < 256; type++) {
        v.gso_type = (uint8_t)type;
        bool is_right = (type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV4;
        assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, false)).gso_size, is_right ? 1448 : -1);
    }
    struct weir_pkt *p = received(WEIR_LINK_ETHERNET, false);
    p->frags[0].block->data[ETH + 9] = 17;
    v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    assert_int_equal(judge(v, p).gso_size, -1);
}

static void test_vnet_hdr_len_is_not_believed(void **state)
{
    (void)state;
    struct virtio_net_hdr v = super_segment(WEIR_LINK_ETHERNET, false);
    const uint16_t lies[] = {0, 1, ETH + V4, 60000, 65535};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        v.hdr_len = lies[i];
        assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, false)).gso_size, 1448);
    }
}

static void test_vnet_a_checksum_elsewhere_is_not_trusted(void **state)
{
    (void)state;
    struct virtio_net_hdr v = super_segment(WEIR_LINK_ETHERNET, false);
    v.gso_type = VIRTIO_NET_HDR_GSO_NONE;
    v.gso_size = 0;
    assert_true(judge(v, received(WEIR_LINK_ETHERNET, false)).is_trusted);
    for (uint32_t start = 0; start < 65536; start += 7) {
        v.csum_start = (uint16_t)start;
        struct verdict got = judge(v, received(WEIR_LINK_ETHERNET, false));
        assert_int_equal(got.gso_size, start + 18 > ETH + V4 + TCP + DATA ? -1 : 0);
        assert_false(got.gso_size == 0 && got.is_trusted && start != ETH + V4);
    }
    v.csum_start = ETH + V4;
    v.csum_offset = 6; /* UDP's */
    assert_false(judge(v, received(WEIR_LINK_ETHERNET, false)).is_trusted);
    v.csum_offset = 65535;
    assert_int_equal(judge(v, received(WEIR_LINK_ETHERNET, false)).gso_size, -1);
}

static void test_vnet_truncated_packets_are_neither_trusted_nor_super_segments(void **state)
{
    (void)state;
    uint8_t b[ETH + V6 + TCP];
    for (int is_v6 = 0; is_v6 < 2; is_v6++) {
        size_t full = headers(b, WEIR_LINK_ETHERNET, is_v6);
        struct virtio_net_hdr v = super_segment(WEIR_LINK_ETHERNET, is_v6);
        for (size_t len = 0; len < full; len++)
            assert_int_equal(judge(v, weir_pkt_from(pool, b, len)).gso_size, -1);
        v.flags = VIRTIO_NET_HDR_F_DATA_VALID;
        v.gso_type = VIRTIO_NET_HDR_GSO_NONE;
        for (size_t len = 0; len < (size_t)ETH + V4; len++)
            assert_false(judge(v, weir_pkt_from(pool, b, len)).is_trusted);
    }
}

static void test_vnet_fragments_and_other_types_have_no_trusted_transport(void **state)
{
    (void)state;
    struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
    struct weir_pkt *p = received(WEIR_LINK_ETHERNET, false);
    p->frags[0].block->data[ETH + 6] = 0x20; /* more fragments */
    assert_false(judge(v, p).is_trusted);
    p = received(WEIR_LINK_ETHERNET, false);
    p->frags[0].block->data[12] = 0x81; /* VLAN */
    assert_false(judge(v, p).is_trusted);
    assert_true(judge(v, received(WEIR_LINK_ETHERNET, false)).is_trusted);
}

static void test_vnet_extension_headers_are_walked_within_bounds(void **state)
{
    (void)state;
    struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = ETH + V6 + 16, .csum_offset = 16};
    uint8_t b[ETH + V6 + 16 + TCP];
    headers(b, WEIR_LINK_ETHERNET, true);
    memset(b + ETH + V6, 0, sizeof b - ETH - V6);
    b[ETH + 6] = 0; /* hop-by-hop options, of 16 bytes */
    b[ETH + V6] = 6;
    b[ETH + V6 + 1] = 1;
    assert_true(judge(v, weir_pkt_from(pool, b, sizeof b)).is_trusted);
    b[ETH + V6 + 1] = 255; /* beyond the packet */
    assert_false(judge(v, weir_pkt_from(pool, b, sizeof b)).is_trusted);
    b[ETH + V6] = 0; /* and another one there */
    assert_false(judge(v, weir_pkt_from(pool, b, sizeof b)).is_trusted);
}

/* A run of datagrams: 3,000 bytes in pieces of `size`. */
static struct weir_pkt *datagrams(struct virtio_net_hdr *v, bool is_v6, uint16_t size)
{
    struct weir_pkt *p = received(WEIR_LINK_ETHERNET, is_v6);
    uint8_t *b = p->frags[0].block->data;
    uint16_t l4 = l4_of(WEIR_LINK_ETHERNET, is_v6);
    b[ETH + (is_v6 ? 6 : 9)] = 17;
    b[ETH + 4] = 0xff; /* the identification: it wraps */
    b[ETH + 5] = 0xff;
    weir_pkt_trim(p, l4 + 8u + DATA);
    for (size_t i = 0; i < DATA; i++)
        b[l4 + 8u + i] = (uint8_t)(i * 7 + i / 256);
    *v = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                 .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
                                 .gso_size = size,
                                 .csum_start = l4,
                                 .csum_offset = 6};
    return p;
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)(at[0] << 8 | at[1]);
}

static void check_datagram(const struct weir_pkt *p, bool is_v6, size_t i, size_t len)
{
    uint8_t b[ETH + V6 + 8 + DATA];
    size_t l4 = l4_of(WEIR_LINK_ETHERNET, is_v6);
    uint32_t sum = 0;
    assert_int_equal(weir_pkt_copy(p, 0, b, sizeof b), l4 + 8 + len);
    assert_int_equal(p->flags, WEIR_PKT_CSUM_OK);
    assert_int_equal(get16(b + l4 + 4), 8 + len);
    assert_int_equal(get16(b + ETH + (is_v6 ? 4 : 2)), (is_v6 ? 8 : V4 + 8) + len);
    for (size_t at = 0; at < V4; at += 2)
        sum += get16(b + ETH + at);
    if (!is_v6) {
        assert_int_equal(get16(b + ETH + 4), (0xffff + i) & 0xffff);
        assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    }
    for (size_t at = 0; at < len; at++) {
        size_t of_run = i * 1000 + at;
        assert_int_equal(b[l4 + 8 + at], (uint8_t)(of_run * 7 + of_run / 256));
    }
}

static void test_vnet_a_run_of_datagrams_is_cut_into_them(void **state)
{
    (void)state;
    for (int is_v6 = 0; is_v6 < 2; is_v6++) {
        struct virtio_net_hdr v;
        struct weir_pkt *out[WIO_VNET_SPLIT_MAX], *p = datagrams(&v, is_v6, 1000);
        weir_pkt_trim(p, p->len - 1); /* the last one is shorter */
        assert_int_equal(wio_vnet_receive(&v, p, WEIR_LINK_ETHERNET, out), 3);
        for (size_t i = 0; i < 3; i++) {
            check_datagram(out[i], is_v6, i, i == 2 ? 999 : 1000);
            weir_pkt_unref(out[i]);
        }
    }
}

static void test_vnet_runs_of_datagrams_that_can_not_be_are_refused(void **state)
{
    (void)state;
    struct virtio_net_hdr v;
    struct weir_pkt *p = datagrams(&v, false, 0);
    assert_int_equal(judge(v, p).gso_size, -1);
    p = datagrams(&v, false, DATA / (WIO_VNET_SPLIT_MAX + 2)); /* too many */
    assert_int_equal(judge(v, p).gso_size, -1);
    p = datagrams(&v, false, 1000);
    v.csum_start = 0; /* whose checksums would never be checked */
    assert_int_equal(judge(v, p).gso_size, -1);
    p = datagrams(&v, false, 1000);
    p->frags[0].block->data[ETH + 9] = 6;
    assert_int_equal(judge(v, p).gso_size, -1);
    p = datagrams(&v, false, 1000);
    weir_pkt_trim(p, ETH + V4 + 4);
    assert_int_equal(judge(v, p).gso_size, -1);
}

/* The sum of addresses, protocol and length, in a packet's checksum field. */
static void owe(struct weir_pkt *p, bool is_v6, size_t field)
{
    uint8_t *b = p->frags[0].block->data;
    uint16_t l4 = l4_of(WEIR_LINK_ETHERNET, is_v6);
    uint32_t len = p->len - l4, sum = len + b[ETH + (is_v6 ? 6 : 9)];
    b[ETH + (is_v6 ? 4 : 2)] = (uint8_t)((len + (is_v6 ? 0 : V4)) >> 8);
    b[ETH + (is_v6 ? 5 : 3)] = (uint8_t)(len + (is_v6 ? 0 : V4));
    for (size_t i = is_v6 ? 8 : 12; i < (is_v6 ? V6 : V4); i++)
        b[ETH + i] = (uint8_t)(i * 37);
    for (size_t i = is_v6 ? 8 : 12; i < (is_v6 ? V6 : V4); i += 2)
        sum += get16(b + ETH + i);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    b[l4 + field] = (uint8_t)(sum >> 8);
    b[l4 + field + 1] = (uint8_t)sum;
}

static void test_csum_is_owed_where_the_field_holds_the_pseudo_headers_sum(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool is_v6 = i & 1, is_udp = i & 2;
        struct weir_pkt *p = received(WEIR_LINK_ETHERNET, is_v6);
        uint8_t *b = p->frags[0].block->data;
        size_t field = is_udp ? 6 : 16, at = l4_of(WEIR_LINK_ETHERNET, is_v6) + field;
        b[ETH + (is_v6 ? 6 : 9)] = is_udp ? 17 : 6;
        owe(p, is_v6, field);
        assert_true(wio_csum_is_owed(p, WEIR_LINK_ETHERNET));
        b[at] ^= 1;
        assert_false(wio_csum_is_owed(p, WEIR_LINK_ETHERNET));
        b[at] ^= 1;
        for (uint32_t len = 0; len < at + 2; len++) { /* cut off */
            struct weir_pkt *cut = weir_pkt_from(pool, b, len);
            assert_false(wio_csum_is_owed(cut, WEIR_LINK_ETHERNET));
            weir_pkt_unref(cut);
        }
        b[ETH + (is_v6 ? 6 : 9)] = 1;
        assert_false(wio_csum_is_owed(p, WEIR_LINK_ETHERNET));
        weir_pkt_unref(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vnet_what_is_sent_and_read_back_is_the_same),
        cmocka_unit_test(test_vnet_an_ordinary_packet_owes_its_checksum_alone),
        cmocka_unit_test(test_vnet_cwr_of_the_first_segment_alone_is_said_so),
        cmocka_unit_test(test_vnet_what_can_not_be_said_is_refused),
        cmocka_unit_test(test_vnet_gso_sizes_that_can_not_be_are_refused),
        cmocka_unit_test(test_vnet_gso_types_that_are_not_the_packets_are_refused),
        cmocka_unit_test(test_vnet_hdr_len_is_not_believed),
        cmocka_unit_test(test_vnet_a_checksum_elsewhere_is_not_trusted),
        cmocka_unit_test(test_vnet_truncated_packets_are_neither_trusted_nor_super_segments),
        cmocka_unit_test(test_vnet_fragments_and_other_types_have_no_trusted_transport),
        cmocka_unit_test(test_vnet_extension_headers_are_walked_within_bounds),
        cmocka_unit_test(test_vnet_a_run_of_datagrams_is_cut_into_them),
        cmocka_unit_test(test_vnet_runs_of_datagrams_that_can_not_be_are_refused),
        cmocka_unit_test(test_csum_is_owed_where_the_field_holds_the_pseudo_headers_sum),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
