/* Reassembly: RFC 791, 815, 1858, 5722, 8200 4.5, and the attacks of three decades. */
#include "net_test.h"

static uint8_t data[65536 + 64];

/* One fragment on the bare IP interface: bytes [off, off + len) of `data`. */
struct piece {
    bool v6, mf;
    uint32_t id, off, len;
    uint8_t proto, tos;
    const uint8_t *bytes; /* NULL: data + off */
};

static void put(struct world *w, const struct piece *p)
{
    static uint8_t buf[66000];
    struct wi_ip_out ip = {.src = addr(p->v6 ? "2001:db8:1::9" : "198.51.100.9"),
                           .dst = addr(p->v6 ? "2001:db8:1::1" : "198.51.100.1"),
                           .is_v6 = p->v6,
                           .mf = p->mf,
                           .proto = p->proto ? p->proto : TEST_PROTO,
                           .ttl = 64,
                           .tos = p->tos,
                           .frag_id = p->id,
                           .frag_off = p->off,
                           .l4_len = p->len};
    size_t hdr = wi_ip_put(buf, &ip);
    memcpy(buf + hdr, p->bytes ? p->bytes : data + p->off, p->len);
    world_input(w, w->raw, buf, hdr + p->len);
}

static void fill(void)
{
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void assert_heard(const struct world *w, unsigned n, uint32_t len)
{
    assert_int_equal(w->heard.n, n);
    assert_int_equal(w->heard.len, len);
    assert_memory_equal(w->heard.bytes, data, len);
}

/* Any order, both versions: as large as a datagram gets. Rows: 1122-I10 */
static void test_reassembly_any_order_gives_the_datagram(void **state)
{
    (void)state;
    static const uint32_t orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
    struct world *w = world_new();
    unsigned n = 0;
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t o = 0; o < WI_ARRAY_LEN(orders); o++) {
            for (unsigned i = 0; i < 4; i++) {
                uint32_t k = orders[o][i];
                struct piece p = {
                    .v6 = v6, .mf = k < 3, .id = (uint32_t)o + 1, .off = k * 800, .len = k < 3 ? 800 : 77};
                put(w, &p);
            }
            assert_heard(w, ++n, 2477);
            assert_int_equal(w->heard.ip.has_frag_hdr, true);
        }
    }
    assert_int_equal(w->net->frag_bytes, 0);
    world_end(w);
}

static void test_reassembly_largest_datagram_is_delivered(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (uint32_t off = 0; off < 65515; off += 1480)
        put(w, &(struct piece){.mf = off + 1480 < 65515, .off = off, .len = off + 1480 < 65515 ? 1480 : 65515 - off});
    assert_heard(w, 1, 65515);
    for (uint32_t off = 0; off < 65528; off += 1448)
        put(w, &(struct piece){
                   .v6 = true, .mf = off + 1448 < 65528, .off = off, .len = off + 1448 < 65528 ? 1448 : 65528 - off});
    assert_heard(w, 2, 65528);
    world_end(w);
}

static void test_reassembly_keeps_datagrams_apart(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (uint32_t id = 0; id < 50; id++)
        put(w, &(struct piece){.mf = true, .id = id, .off = 0, .len = 8});
    for (uint32_t id = 50; id-- > 0;) {
        put(w, &(struct piece){.id = id, .proto = 199, .off = 8, .len = 8}); /* another protocol's */
        assert_int_equal(w->heard.n, 49 - id);
        put(w, &(struct piece){.id = id, .off = 8, .len = 8});
        assert_heard(w, 50 - id, 16);
    }
    world_end(w);
}

/* RFC 3128's spirit: a repeated fragment is no attack. Rows: 8200-8 */
static void test_duplicate_fragment_is_tolerated(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (unsigned i = 0; i < 3; i++)
        put(w, &(struct piece){.mf = true, .off = 0, .len = 800});
    put(w, &(struct piece){.off = 800, .len = 100});
    assert_heard(w, 1, 900);
    assert_int_equal(drops(w, WEIR_DROP_FRAG_DUP), 2);
    world_end(w);
}

/* Teardrop, bonk, overlap evasion: the whole datagram goes, and what comes of it later. Rows: 1122-I13 8200-8
 * attack-teardrop attack-bonk-boink-newtear-nestea attack-overlapping-fragment-evasion
 * attack-tiny-fragment */
static void test_overlapping_fragments_drop_the_datagram(void **state)
{
    (void)state;
    static const struct {
        uint32_t off, len;
        bool mf;
    } second[] = {{24, 4, false}, {32, 8, true}, {0, 48, true}, {0, 32, true}, {8, 8, true}};
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < WI_ARRAY_LEN(second); i++) {
            struct world *w = world_new();
            put(w, &(struct piece){.v6 = v6, .mf = true, .off = 0, .len = 40});
            put(w, &(struct piece){.v6 = v6, .mf = second[i].mf, .off = second[i].off, .len = second[i].len});
            assert_int_equal(drops(w, WEIR_DROP_FRAG_OVERLAP), 1);
            put(w, &(struct piece){.v6 = v6, .mf = true, .off = 0, .len = 40});
            put(w, &(struct piece){.v6 = v6, .off = 40, .len = 40});
            assert_int_equal(w->heard.n, 0);
            world_pass(w, WEIR_SEC(61));
            assert_int_equal(w->net->frag_bytes, 0);
            assert_int_equal(w->raw_sent.n, 0);
            world_end(w);
        }
    }
}

static void test_same_range_with_other_bytes_is_an_overlap(void **state)
{
    (void)state;
    static const uint8_t lie[800] = {1};
    struct world *w = world_new();
    put(w, &(struct piece){.mf = true, .off = 0, .len = 800});
    put(w, &(struct piece){.mf = true, .off = 0, .len = 800, .bytes = lie});
    put(w, &(struct piece){.off = 800, .len = 100});
    assert_int_equal(w->heard.n, 0);
    assert_int_equal(drops(w, WEIR_DROP_FRAG_OVERLAP), 2);
    world_end(w);
}

/* Fragments that contradict each other on where the datagram ends. */
static void test_fragments_beyond_the_end_drop_the_datagram(void **state)
{
    (void)state;
    struct world *w = world_new();
    put(w, &(struct piece){.id = 1, .off = 80, .len = 8});
    put(w, &(struct piece){.id = 1, .mf = true, .off = 160, .len = 8});
    put(w, &(struct piece){.id = 2, .mf = true, .off = 160, .len = 8});
    put(w, &(struct piece){.id = 2, .off = 80, .len = 8});
    put(w, &(struct piece){.id = 3, .off = 80, .len = 8});
    put(w, &(struct piece){.id = 3, .off = 88, .len = 8});
    assert_int_equal(drops(w, WEIR_DROP_FRAG_INCONSISTENT), 3);
    assert_int_equal(w->heard.n, 0);
    world_end(w);
}

/* Ping of death (CVE-1999-0128). Rows: 8200-10 attack-ping-of-death */
static void test_fragment_beyond_65535_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    put(w, &(struct piece){.off = 65528, .len = 64});
    put(w, &(struct piece){.off = 65512, .len = 8}); /* fits its own header, not the whole one's */
    put(w, &(struct piece){.v6 = true, .off = 65528, .len = 16});
    assert_int_equal(drops(w, WEIR_DROP_FRAG_TOO_LONG), 2);
    assert_int_equal(drops(w, WEIR_DROP_IPV6_FRAG_LENGTH), 1);
    assert_int_equal(w->raw_sent.n, 1); /* the parameter problem that RFC 8200 4.5 asks for */
    world_end(w);
}

/* Time runs out; the sender hears of it if the first fragment came. Rows: 1122-I11 1122-I12 8200-7 */
static void test_timeout_frees_and_tells_when_the_first_fragment_is_here(void **state)
{
    (void)state;
    static uint8_t buf[66000];
    for (int v6 = 0; v6 < 2; v6++) {
        weir_ns limit = v6 ? WEIR_SEC(60) : WEIR_SEC(30);
        struct world *w = world_new();
        put(w, &(struct piece){.v6 = v6, .mf = true, .id = 1, .off = 8, .len = 40});
        put(w, &(struct piece){.v6 = v6, .mf = true, .id = 2, .off = 0, .len = 40});
        world_pass(w, limit - WEIR_MS(1));
        assert_int_equal(w->raw_sent.n, 0);
        world_pass(w, WEIR_MS(2));
        assert_int_equal(w->raw_sent.n, 1);
        assert_int_equal(w->net->frag_bytes, 0);
        assert_int_equal(drops(w, WEIR_DROP_FRAG_TIMEOUT), 2);
        struct wi_icmp icmp;
        struct wi_ip ip = sent_ip(&w->raw_sent, 0, buf);
        assert_int_equal(wi_icmp_parse(&icmp, buf + ip.l4_off, ip.l4_len, ip.l4_len, v6), WEIR_DROP_NONE);
        assert_int_equal(icmp.kind, WI_ICMP_TIME_EXCEEDED);
        assert_int_equal(icmp.code, WI_ICMP_REASSEMBLY);
        assert_int_equal(icmp.inner.ip.frag_id, 2);
        world_end(w);
    }
}

/* RFC 6946: an atomic fragment is whole by itself. Rows: 8200-12 */
static void test_atomic_fragment_is_delivered_alone(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t p[100];
    put(w, &(struct piece){.v6 = true, .mf = true, .id = 5, .off = 0, .len = 8});
    struct wi_ip_out ip = {.src = addr("2001:db8:1::9"),
                           .dst = addr("2001:db8:1::1"),
                           .is_v6 = true,
                           .proto = WI_IP_FRAGMENT,
                           .ttl = 64,
                           .l4_len = 16};
    size_t hdr = wi_ip_put(p, &ip);
    memset(p + hdr, 0, 16);
    p[hdr] = TEST_PROTO;
    p[hdr + 7] = 5;
    memcpy(p + hdr + 8, "lonesome", 8);
    world_input(w, w->raw, p, hdr + 16);
    assert_int_equal(w->heard.n, 1);
    assert_memory_equal(w->heard.bytes, "lonesome", 8);
    put(w, &(struct piece){.v6 = true, .id = 5, .off = 8, .len = 8});
    assert_heard(w, 2, 16);
    world_end(w);
}

/* RFC 3168 5.3: congestion seen by any fragment was seen by the datagram, wherever it lies; and can't be where another
 * is Not-ECT. Rows: 3168-19 */
static void test_congestion_mark_of_any_fragment_stays(void **state)
{
    (void)state;
    struct world *w = world_new();
    put(w, &(struct piece){.mf = true, .off = 0, .len = 8, .tos = WI_ECN_ECT0});
    put(w, &(struct piece){.off = 8, .len = 8, .tos = WI_ECN_CE});
    assert_int_equal(w->heard.ip.ecn, WI_ECN_CE);
    put(w, &(struct piece){.id = 2, .mf = true, .off = 0, .len = 8, .tos = WI_ECN_CE});
    put(w, &(struct piece){.id = 2, .off = 8, .len = 8, .tos = WI_ECN_ECT1});
    assert_int_equal(w->heard.ip.ecn, WI_ECN_CE);
    put(w, &(struct piece){.id = 3, .mf = true, .off = 0, .len = 8, .tos = WI_ECN_ECT0});
    put(w, &(struct piece){.id = 3, .off = 8, .len = 8, .tos = WI_ECN_ECT0});
    assert_int_equal(w->heard.ip.ecn, WI_ECN_ECT0);
    put(w, &(struct piece){.id = 4, .mf = true, .off = 0, .len = 8, .tos = WI_ECN_NOT_ECT});
    put(w, &(struct piece){.id = 4, .off = 8, .len = 8, .tos = WI_ECN_NOT_ECT});
    assert_int_equal(w->heard.n, 4);
    put(w, &(struct piece){.id = 5, .mf = true, .off = 0, .len = 8, .tos = WI_ECN_CE});
    put(w, &(struct piece){.id = 5, .off = 8, .len = 8, .tos = WI_ECN_NOT_ECT});
    assert_int_equal(w->heard.n, 4);
    assert_int_equal(w->core.stats.drop[WEIR_DROP_FRAG_ECN], 1);
    world_end(w);
}

/* Rose, FragmentSmack, Jolt2: many that never end, many tiny ones, the same one for ever. Memory stays, and a
 * datagram that is whole still gets through. Rows: attack-rose-attack attack-fragmentsmack attack-jolt2 */
static void test_floods_of_fragments_are_bounded(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->core.sysctl.ipfrag_high_thresh = 256 * 1024;
    size_t most = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        put(w, &(struct piece){.v6 = true, .mf = true, .id = i + 1, .off = 0, .len = 8});
        put(w, &(struct piece){.v6 = true, .id = i + 1, .off = 65520, .len = 8});
        put(w, &(struct piece){.mf = true, .id = 1, .off = (5000 - i) * 8 % 65000 / 8 * 8, .len = 8}); /* worst order */
        put(w, &(struct piece){.id = 2, .off = 65480, .len = 8});                                      /* the same */
        most = w->heap.bytes > most ? w->heap.bytes : most;
    }
    assert_true(w->net->frag_bytes <= 256 * 1024);
    assert_true(most < 1024 * 1024);
    for (uint32_t k = 0; k < 3; k++)
        put(w, &(struct piece){.mf = k < 2, .id = 77, .off = k * 800, .len = 800});
    assert_heard(w, 1, 2400);
    world_pass(w, WEIR_SEC(61));
    assert_int_equal(w->net->frag_bytes, 0);
    world_end(w);
}

/* Random pieces of random datagrams: nothing is ever delivered but what was sent. */
static void test_random_overlaps_never_deliver_a_mixture(void **state)
{
    (void)state;
    static const uint8_t lie[65536] = {0};
    struct wi_rng rng;
    struct world *w = world_new();
    wi_rng_init(&rng, 5);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t off = (uint32_t)wi_rng_below(&rng, 8) * 8, end = off + 8 + (uint32_t)wi_rng_below(&rng, 4) * 8;
        struct piece p = {.v6 = wi_rng_below(&rng, 2), .id = i / 6, .off = off, .mf = end < 64, .len = end - off};
        bool is_lie = wi_rng_below(&rng, 8) == 0;
        p.bytes = is_lie ? lie : NULL;
        unsigned before = w->heard.n;
        put(w, &p);
        if (w->heard.n != before)
            for (uint32_t k = 0; k < w->heard.len; k += 8)
                assert_true(memcmp(w->heard.bytes + k, data + k, 8) == 0 || memcmp(w->heard.bytes + k, lie, 8) == 0);
    }
    assert_true(w->heard.n > 10);
    world_pass(w, WEIR_SEC(61));
    world_end(w);
}

/* RFC 6980: neighbour discovery does not come in fragments. Rows: 8200-13
 * attack-bad-neighbor */
static void test_fragmented_neighbour_discovery_is_ignored(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t msg[WI_ND_LEN_MAX], p[200], frame[220];
    struct wi_nd ns = {
        .type = WI_ND_NEIGH_SOLICIT, .target = addr("2001:db8::1"), .has_ll = true, .ll = {2, 0, 0, 0, 0, 9}};
    struct weir_addr src = addr("fe80::9"), dst = addr("2001:db8::1");
    size_t len = wi_nd_put(msg, &ns);
    wi_icmp_seal(msg, len, true, &src, &dst);
    for (unsigned k = 0; k < 2; k++) {
        struct wi_ip_out ip = {.src = src,
                               .dst = dst,
                               .is_v6 = true,
                               .proto = WI_IP_ICMPV6,
                               .ttl = 255,
                               .mf = k == 0,
                               .frag_id = 1,
                               .frag_off = k * 24,
                               .l4_len = k ? (uint32_t)len - 24 : 24};
        size_t hdr = wi_ip_put(p, &ip);
        memcpy(p + hdr, msg + k * 24, ip.l4_len);
        world_input(w, w->eth, frame, put_eth(frame, our_mac, peer_mac, WI_ETHERTYPE_IPV6, p, hdr + ip.l4_len));
    }
    assert_int_equal(drops(w, WEIR_DROP_ND_FRAGMENT), 1);
    assert_int_equal(w->eth_sent.n, 0);
    world_end(w);
}

static void test_interface_that_goes_takes_its_fragments_along(void **state)
{
    (void)state;
    struct world *w = world_new();
    put(w, &(struct piece){.mf = true, .off = 0, .len = 8});
    assert_int_equal(wi_net_netif_del(w->net, w->raw), 0);
    assert_int_equal(w->net->frag_bytes, 0);
    world_end(w);
}

static void test_reassembly_without_memory_drops_and_goes_on(void **state)
{
    (void)state;
    for (size_t nth = 1; nth < 12; nth++) {
        struct world *w = world_new();
        w->heap.fail_at = w->heap.alloc_n + nth;
        for (uint32_t id = 0; id < 3; id++) {
            for (uint32_t k = 0; k < 3; k++)
                put(w, &(struct piece){.mf = k < 2, .id = id, .off = k * 1200, .len = 1200});
        }
        w->heap.fail_at = 0;
        for (uint32_t k = 0; k < 3; k++)
            put(w, &(struct piece){.mf = k < 2, .id = 77, .off = k * 800, .len = 800});
        assert_true(w->heard.n >= 1);
        assert_memory_equal(w->heard.bytes, data, 2400);
        world_pass(w, WEIR_SEC(61));
        world_end(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reassembly_any_order_gives_the_datagram),
        cmocka_unit_test(test_reassembly_largest_datagram_is_delivered),
        cmocka_unit_test(test_reassembly_keeps_datagrams_apart),
        cmocka_unit_test(test_duplicate_fragment_is_tolerated),
        cmocka_unit_test(test_overlapping_fragments_drop_the_datagram),
        cmocka_unit_test(test_same_range_with_other_bytes_is_an_overlap),
        cmocka_unit_test(test_fragments_beyond_the_end_drop_the_datagram),
        cmocka_unit_test(test_fragment_beyond_65535_is_refused),
        cmocka_unit_test(test_timeout_frees_and_tells_when_the_first_fragment_is_here),
        cmocka_unit_test(test_atomic_fragment_is_delivered_alone),
        cmocka_unit_test(test_congestion_mark_of_any_fragment_stays),
        cmocka_unit_test(test_floods_of_fragments_are_bounded),
        cmocka_unit_test(test_random_overlaps_never_deliver_a_mixture),
        cmocka_unit_test(test_fragmented_neighbour_discovery_is_ignored),
        cmocka_unit_test(test_interface_that_goes_takes_its_fragments_along),
        cmocka_unit_test(test_reassembly_without_memory_drops_and_goes_on),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
