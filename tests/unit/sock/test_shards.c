/*
 * A host of three shards (weir/shard.h) and a peer that is one stack, on an Ethernet in virtual time: what goes to the
 * host is steered packet by packet, as its owner would; what the shards answer must come from the right one, and once.
 */
#include "unit/support/alloc.h"

#include "base/bytes.h"
#include "wire/arp.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include <weir/weir.h>

#define SHARDS    3
#define PEER      SHARDS /* its place among the stations */
#define QUEUE_MAX 4096
#define PORT      80

struct station {
    struct heap heap;
    struct weir *w;
    int netif;
    struct weir_pkt *out[QUEUE_MAX];
    unsigned out_n;
};

static struct station st[SHARDS + 1];
static struct weir_rss rss;
static weir_ns now;
static unsigned arp_reply_n, advert_n, passed_n;
static bool ids_seen[SHARDS][65536];

static const uint8_t host_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct station *s = driver;
    for (unsigned i = 0; i < n; i++) {
        assert_true(s->out_n < QUEUE_MAX);
        s->out[s->out_n++] = pkts[i];
    }
    return n;
}

/* To be given to a stack: bytes of its own pool. */
static void give(struct station *to, const struct weir_pkt *p)
{
    static uint8_t bytes[70000];
    size_t len = weir_pkt_copy(p, 0, bytes, sizeof bytes);
    struct weir_pkt *copy = weir_pkt_from(weir_stack_pool(to->w), bytes, len);
    assert_non_null(copy);
    weir_input(to->w, to->netif, &copy, 1, now);
    weir_pkt_unref(copy);
}

/* What the shards have passed on among each other, until the stack that did so has returned. */
static struct {
    unsigned shard;
    size_t len;
    uint8_t bytes[70000];
} passed[64];
static unsigned passed_waiting;

static void pass(void *ctx, unsigned shard, int netif, const struct weir_pkt *p)
{
    (void)ctx;
    assert_int_equal(netif, st[0].netif);
    assert_true(passed_waiting < WI_ARRAY_LEN(passed));
    passed[passed_waiting].shard = shard;
    passed[passed_waiting].len = weir_pkt_copy(p, 0, passed[passed_waiting].bytes, sizeof passed[0].bytes);
    passed_waiting++;
    passed_n++;
}

static void deliver_passed(void)
{
    while (passed_waiting > 0) {
        passed_waiting--;
        struct station *to = &st[passed[passed_waiting].shard];
        struct weir_pkt *p =
            weir_pkt_from(weir_stack_pool(to->w), passed[passed_waiting].bytes, passed[passed_waiting].len);
        weir_input(to->w, to->netif, &p, 1, now);
        weir_pkt_unref(p);
    }
}

static void note(unsigned from, const struct weir_pkt *p)
{
    uint8_t b[80] = {0};
    weir_pkt_copy(p, 0, b, sizeof b);
    uint16_t type = wi_get16(b + 12);
    arp_reply_n += type == WI_ETHERTYPE_ARP && wi_get16(b + 20) == WI_ARP_REPLY;
    advert_n += type == WI_ETHERTYPE_IPV6 && b[20] == WI_IP_ICMPV6 && b[54] == 136;
    if (type == WI_ETHERTYPE_IPV4 && b[23] == WI_IP_UDP)
        ids_seen[from][wi_get16(b + 18)] = true;
}

static void carry(unsigned from, const struct weir_pkt *p)
{
    if (from != PEER) {
        note(from, p);
        give(&st[PEER], p);
        return;
    }
    unsigned to = weir_steer(&rss, WEIR_LINK_ETHERNET, p);
    for (unsigned i = 0; i < SHARDS; i++) {
        if (to == i || to == WEIR_SHARD_ALL)
            give(&st[i], p);
    }
    deliver_passed();
}

static bool carry_all(void)
{
    bool any = false;
    for (unsigned i = 0; i <= PEER; i++) {
        while (st[i].out_n > 0) {
            struct weir_pkt *p = st[i].out[0];
            memmove(st[i].out, st[i].out + 1, --st[i].out_n * sizeof st[i].out[0]);
            carry(i, p);
            weir_pkt_unref(p);
            any = true;
        }
    }
    return any;
}

static void run(weir_ns duration)
{
    weir_ns end = now + duration;
    while (carry_all() || now < end) {
        weir_ns next = end;
        for (unsigned i = 0; i <= PEER; i++)
            next = weir_deadline(st[i].w) < next ? weir_deadline(st[i].w) : next;
        now = next > now ? next : now;
        for (unsigned i = 0; i <= PEER; i++)
            weir_advance(st[i].w, now);
    }
    for (unsigned i = 0; i <= PEER; i++) {
        const char *broken = weir_check(st[i].w);
        if (broken)
            fail_msg("%s", broken);
    }
}

static struct weir_addr v6(uint8_t last)
{
    return (struct weir_addr){{0xfd, [15] = last}};
}

static void station_begin(unsigned i, bool passes)
{
    static const struct weir_netif_ops ops = {.xmit = xmit};
    const struct weir_shard shard = {.rss = &rss, .index = i, .pass = passes ? pass : NULL};
    struct weir_config cfg = {
        .alloc = heap_owner(&st[i].heap), .now = now, .seed = i == PEER ? 9 : 5, .shard = i == PEER ? NULL : &shard};
    struct weir_netif_config netif = {.name = "eth", .type = WEIR_LINK_ETHERNET, .mtu = 1500};
    uint8_t last = i == PEER ? 2 : 1;
    memcpy(netif.mac, i == PEER ? peer_mac : host_mac, 6);
    st[i].w = weir_new(&cfg);
    assert_non_null(st[i].w);
    st[i].netif = weir_netif_add(st[i].w, &ops, &st[i], &netif);
    struct weir_addr a4 = weir_addr_v4(10, 0, 0, last), a6 = v6(last);
    assert_int_equal(weir_addr_add(st[i].w, st[i].netif, &a4, 24), 0);
    assert_int_equal(weir_addr_add(st[i].w, st[i].netif, &a6, 64), 0);
}

static void begin(bool passes)
{
    memset(st, 0, sizeof st);
    memset(ids_seen, 0, sizeof ids_seen);
    now = WEIR_SEC(1000);
    assert_int_equal(weir_rss_init(&rss, NULL, SHARDS), 0);
    for (unsigned i = 0; i <= PEER; i++)
        station_begin(i, passes);
    run(WEIR_SEC(20));
    arp_reply_n = advert_n = passed_n = 0;
}

static int setup(void **state)
{
    (void)state;
    begin(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= PEER; i++) {
        while (st[i].out_n > 0)
            weir_pkt_unref(st[i].out[--st[i].out_n]);
        weir_free(st[i].w);
        assert_int_equal(st[i].heap.bytes, 0);
    }
    return 0;
}

static struct weir_sockaddr at(unsigned station, int family, uint16_t port)
{
    uint8_t last = station == PEER ? 2 : 1;
    return (struct weir_sockaddr){.addr = family == WEIR_AF_INET ? weir_addr_v4(10, 0, 0, last) : v6(last),
                                  .family = (uint16_t)family,
                                  .port = port};
}

static weir_fd listen_at(unsigned station, uint16_t port)
{
    struct weir_sockaddr any = {.addr = weir_addr_any(WEIR_AF_INET6), .family = WEIR_AF_INET6, .port = port};
    weir_fd fd = weir_socket(st[station].w, WEIR_AF_INET6, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_bind(st[station].w, fd, &any), 0);
    assert_int_equal(weir_listen(st[station].w, fd, 1000), 0);
    return fd;
}

static weir_fd connect_to(unsigned from, unsigned to, int family)
{
    struct weir_sockaddr peer = at(to, family, PORT);
    weir_fd fd = weir_socket(st[from].w, family, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_connect(st[from].w, fd, &peer), -WEIR_EINPROGRESS);
    return fd;
}

static uint64_t host_stat(const char *name)
{
    const struct weir *shards[SHARDS];
    uint64_t sum = 0;
    for (unsigned i = 0; i < SHARDS; i++)
        shards[i] = st[i].w;
    assert_int_equal(weir_shards_stat(shards, SHARDS, name, &sum), 0);
    return sum;
}

static uint64_t stat_of(unsigned station, const char *name)
{
    uint64_t value = 0;
    assert_int_equal(weir_stat_get(st[station].w, name, &value), 0);
    return value;
}

static void test_connect_each_shard_takes_ports_whose_answers_come_back_to_it(void **state)
{
    (void)state;
    enum { EACH = 100 };
    weir_fd fds[2 * SHARDS * EACH], listener = listen_at(PEER, PORT);
    for (unsigned i = 0; i < 2 * SHARDS * EACH; i++) {
        fds[i] = connect_to(i % SHARDS, PEER, i < SHARDS * EACH ? WEIR_AF_INET : WEIR_AF_INET6);
        run(WEIR_MS(1));
        assert_int_equal(weir_send(st[i % SHARDS].w, fds[i], &i, sizeof i, 0), sizeof i);
    }
    run(WEIR_MS(10));
    for (unsigned i = 0; i < 2 * SHARDS * EACH; i++) {
        unsigned got = 0;
        weir_fd fd = weir_accept(st[PEER].w, listener, NULL);
        assert_true(fd >= 0);
        assert_int_equal(weir_recv(st[PEER].w, fd, &got, sizeof got, 0), sizeof got);
        assert_int_equal(weir_send(st[PEER].w, fd, &got, sizeof got, 0), sizeof got);
    }
    run(WEIR_MS(10));
    for (unsigned i = 0; i < 2 * SHARDS * EACH; i++) {
        unsigned got = ~0u;
        assert_int_equal(weir_recv(st[i % SHARDS].w, fds[i], &got, sizeof got, 0), sizeof got);
        assert_int_equal(got, i);
    }
    assert_int_equal(host_stat("TcpActiveOpens"), 2 * SHARDS * EACH);
    assert_int_equal(host_stat("TcpOutRsts"), 0);
    assert_int_equal(host_stat("TcpRetransSegs"), 0);
}

static void test_listen_connections_are_spread_over_the_shards(void **state)
{
    (void)state;
    enum { N = 300 };
    weir_fd listeners[SHARDS];
    for (unsigned i = 0; i < SHARDS; i++)
        listeners[i] = listen_at(i, PORT);
    for (unsigned i = 0; i < N; i++) {
        connect_to(PEER, 0, i % 2 ? WEIR_AF_INET : WEIR_AF_INET6);
        run(WEIR_MS(1));
    }
    unsigned all = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        unsigned n = 0;
        while (weir_accept(st[i].w, listeners[i], NULL) >= 0)
            n++;
        assert_in_range(n, N / SHARDS / 2, N / SHARDS * 2);
        assert_int_equal(stat_of(i, "TcpPassiveOpens"), n);
        all += n;
    }
    assert_int_equal(all, N);
    assert_int_equal(host_stat("TcpPassiveOpens"), N);
    assert_int_equal(host_stat("TcpOutRsts"), 0);
}

static int connect_from(unsigned station, uint16_t port, const struct weir_sockaddr *to)
{
    struct weir_sockaddr from = at(station, WEIR_AF_INET, port);
    weir_fd fd = weir_socket(st[station].w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    assert_int_equal(weir_bind(st[station].w, fd, &from), 0);
    return weir_connect(st[station].w, fd, to);
}

/* A bound port decides the four-tuple, so it is one shard's to connect with. */
static void test_connect_from_a_port_of_another_shard_is_refused(void **state)
{
    (void)state;
    struct weir_sockaddr to = at(PEER, WEIR_AF_INET, PORT);
    listen_at(PEER, PORT);
    for (uint16_t port = 2000; port < 2030; port++) {
        unsigned allowed = 0;
        for (unsigned i = 0; i < SHARDS; i++) {
            int err = connect_from(i, port, &to);
            assert_true(err == -WEIR_EINPROGRESS || err == -WEIR_EADDRNOTAVAIL);
            allowed += err == -WEIR_EINPROGRESS;
        }
        assert_int_equal(allowed, 1);
    }
    run(WEIR_MS(10));
    assert_int_equal(stat_of(PEER, "TcpPassiveOpens"), 30);
}

/* To itself a shard needs no steering: any port will do, and what it finds is its own listener. */
static void test_connect_to_its_own_address_stays_within_the_shard(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SHARDS; i++) {
        weir_fd listener = listen_at(i, PORT);
        struct weir_sockaddr to = at(i, WEIR_AF_INET, PORT);
        for (uint16_t port = 2000; port < 2010; port++)
            assert_int_equal(connect_from(i, port, &to), -WEIR_EINPROGRESS);
        run(WEIR_MS(1));
        for (unsigned k = 0; k < 10; k++)
            assert_true(weir_accept(st[i].w, listener, NULL) >= 0);
    }
}

static weir_fd udp_at(unsigned station, uint16_t port)
{
    struct weir_sockaddr any = {.addr = weir_addr_any(WEIR_AF_INET), .family = WEIR_AF_INET, .port = port};
    weir_fd fd = weir_socket(st[station].w, WEIR_AF_INET, WEIR_SOCK_DGRAM, 0);
    if (port)
        assert_int_equal(weir_bind(st[station].w, fd, &any), 0);
    return fd;
}

/* One unconnected socket talks with many: all answer to it, since its port is its shard's. */
static void test_udp_answers_come_to_the_shard_of_the_port(void **state)
{
    (void)state;
    weir_fd servers[10], fds[SHARDS];
    for (uint16_t k = 0; k < 10; k++)
        servers[k] = udp_at(PEER, (uint16_t)(5000 + k));
    for (unsigned i = 0; i < SHARDS; i++) {
        fds[i] = udp_at(i, 0);
        for (uint16_t k = 0; k < 10; k++) {
            struct weir_sockaddr to = at(PEER, WEIR_AF_INET, (uint16_t)(5000 + k));
            assert_int_equal(weir_sendto(st[i].w, fds[i], &i, sizeof i, 0, &to), sizeof i);
        }
    }
    run(WEIR_MS(10));
    for (unsigned k = 0; k < 10; k++) {
        struct weir_sockaddr from;
        unsigned got;
        while (weir_recvfrom(st[PEER].w, servers[k], &got, sizeof got, 0, &from) > 0)
            assert_int_equal(weir_sendto(st[PEER].w, servers[k], &got, sizeof got, 0, &from), sizeof got);
    }
    run(WEIR_MS(10));
    for (unsigned i = 0; i < SHARDS; i++) {
        unsigned got = ~0u;
        for (unsigned k = 0; k < 10; k++) {
            assert_int_equal(weir_recv(st[i].w, fds[i], &got, sizeof got, 0), sizeof got);
            assert_int_equal(got, i);
        }
        assert_int_equal(weir_recv(st[i].w, fds[i], &got, sizeof got, 0), -WEIR_EAGAIN);
    }
    assert_int_equal(host_stat("UdpNoPorts"), 0);
}

/* The peer has nobody there: its ICMP error quotes what we sent, and finds the socket. */
static void test_icmp_error_reaches_the_shard_whose_datagram_it_quotes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SHARDS; i++) {
        weir_fd fd = udp_at(i, 0);
        struct weir_sockaddr to = at(PEER, WEIR_AF_INET, 7777);
        assert_int_equal(weir_connect(st[i].w, fd, &to), 0);
        assert_int_equal(weir_send(st[i].w, fd, "x", 1, 0), 1);
        run(WEIR_SEC(2)); /* errors are limited in rate */
        assert_int_equal(weir_send(st[i].w, fd, "x", 1, 0), -WEIR_ECONNREFUSED);
    }
}

/* Pieces meet at the shard that the addresses name; the flow's shard gets the whole. Returns how many arrived. */
static unsigned send_large_datagrams(unsigned n)
{
    static uint8_t bytes[5000], got[5000];
    weir_fd fds[SHARDS];
    for (unsigned i = 0; i < SHARDS; i++)
        fds[i] = udp_at(i, 5353);
    for (unsigned k = 0; k < n; k++) {
        weir_fd fd = udp_at(PEER, (uint16_t)(6000 + k));
        struct weir_sockaddr to = at(0, WEIR_AF_INET, 5353);
        memset(bytes, (int)k, sizeof bytes);
        assert_int_equal(weir_sendto(st[PEER].w, fd, bytes, sizeof bytes, 0, &to), sizeof bytes);
        run(WEIR_MS(1));
    }
    unsigned arrived = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        struct weir_sockaddr from, to = at(0, WEIR_AF_INET, 5353);
        while (weir_recvfrom(st[i].w, fds[i], got, sizeof got, 0, &from) == sizeof got) {
            memset(bytes, from.port - 6000, sizeof bytes);
            assert_memory_equal(got, bytes, sizeof bytes);
            assert_int_equal(weir_rss_shard(&rss, weir_rss_hash(&rss, &from, &to)), i);
            arrived++;
        }
    }
    return arrived;
}

static void test_fragments_are_put_together_and_passed_to_the_flows_shard(void **state)
{
    (void)state;
    assert_int_equal(send_large_datagrams(60), 60);
    assert_in_range(passed_n, 20, 59);
    assert_int_equal(host_stat("IpReasmOKs"), 60);
    assert_int_equal(host_stat("drop.SHARD_OTHER"), 0);
}

static void test_fragments_of_another_shards_flow_are_dropped_where_nobody_passes(void **state)
{
    teardown(state);
    begin(false);
    unsigned arrived = send_large_datagrams(60);
    assert_in_range(arrived, 1, 40);
    assert_int_equal(host_stat("drop.SHARD_OTHER"), 60 - arrived);
}

/* All shards hear who asks for the host's address, and one answers. */
static void test_arp_and_discovery_all_shards_learn_and_one_answers(void **state)
{
    (void)state;
    static const int families[] = {WEIR_AF_INET, WEIR_AF_INET6};
    for (size_t f = 0; f < 2; f++) {
        struct weir_sockaddr peer = at(PEER, families[f], 0);
        for (unsigned i = 0; i < SHARDS; i++)
            assert_int_equal(weir_neigh_state(st[i].w, st[i].netif, &peer.addr), WEIR_NEIGH_NONE);
        connect_to(PEER, 0, families[f]);
        run(WEIR_MS(10));
        for (unsigned i = 0; i < SHARDS; i++)
            assert_int_not_equal(weir_neigh_state(st[i].w, st[i].netif, &peer.addr), WEIR_NEIGH_NONE);
    }
    assert_int_equal(arp_reply_n, 1);
    assert_int_equal(advert_n, 1);
}

/* Each shard asks for the peer, and the answer reaches all of them, the one that asked too. */
static void test_arp_answer_reaches_the_shard_that_asked(void **state)
{
    (void)state;
    listen_at(PEER, PORT);
    for (unsigned i = SHARDS; i-- > 0;) {
        connect_to(i, PEER, WEIR_AF_INET);
        run(WEIR_MS(10));
        assert_int_equal(stat_of(PEER, "TcpPassiveOpens"), SHARDS - i);
    }
}

static void test_echo_to_a_group_is_answered_once(void **state)
{
    (void)state;
    uint8_t b[WI_ETH_HDR + WI_IPV6_HDR + WI_ICMP_HDR] = {0};
    struct weir_addr all = {{0xff, 0x02, [15] = 1}};
    struct wi_eth eth = {.type = WI_ETHERTYPE_IPV6};
    struct wi_ip_out ip = {
        .src = v6(2), .dst = all, .is_v6 = true, .proto = WI_IP_ICMPV6, .ttl = 1, .l4_len = WI_ICMP_HDR};
    const struct wi_icmp echo = {.kind = WI_ICMP_ECHO_REQUEST, .is_v6 = true};
    memcpy(eth.src, peer_mac, 6);
    wi_eth_from_group(eth.dst, &all);
    wi_eth_put(b, &eth);
    wi_ip_put(b + WI_ETH_HDR, &ip);
    wi_icmp_put(b + WI_ETH_HDR + WI_IPV6_HDR, &echo);
    wi_icmp_seal(b + WI_ETH_HDR + WI_IPV6_HDR, WI_ICMP_HDR, true, &ip.src, &ip.dst);
    connect_to(0, PEER, WEIR_AF_INET6); /* the peer's link address is known from here on */
    run(WEIR_MS(10));
    uint64_t before = host_stat("IcmpOutMsgs");
    struct weir_pkt *p = weir_pkt_from(weir_stack_pool(st[PEER].w), b, sizeof b);
    carry(PEER, p);
    weir_pkt_unref(p);
    run(WEIR_MS(10));
    assert_int_equal(host_stat("IcmpOutMsgs"), before + 1);
}

static void test_ip_identification_of_two_shards_never_meets(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SHARDS; i++) {
        weir_fd fd = udp_at(i, 0);
        struct weir_sockaddr to = at(PEER, WEIR_AF_INET, 7777);
        int never = 0;
        assert_int_equal(weir_setsockopt(st[i].w, fd, WEIR_SOL_IP, WEIR_IP_MTU_DISCOVER, &never, sizeof never), 0);
        for (unsigned k = 0; k < 3000; k++) {
            weir_sendto(st[i].w, fd, "x", 1, 0, &to);
            run(0);
        }
    }
    unsigned seen_n = 0;
    for (unsigned id = 0; id < 65536; id++) {
        unsigned by = 0;
        for (unsigned i = 0; i < SHARDS; i++)
            by += ids_seen[i][id];
        assert_true(by <= 1);
        seen_n += by;
    }
    assert_true(seen_n > 3 * 2900);
}

static void test_stack_refuses_to_be_a_shard_that_there_is_not(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct weir_shard shard = {.rss = &rss, .index = SHARDS};
    struct weir_config cfg = {.alloc = heap_owner(&heap), .shard = &shard};
    assert_null(weir_new(&cfg));
    shard = (struct weir_shard){.index = 1};
    assert_null(weir_new(&cfg));
    assert_int_equal(heap.bytes, 0);
}

static void test_stat_unknown_counter_is_told(void **state)
{
    (void)state;
    const struct weir *shards[] = {st[0].w, st[1].w};
    uint64_t sum = 7;
    assert_int_equal(weir_shards_stat(shards, 2, "NoSuch", &sum), -WEIR_ENOENT);
    assert_int_equal(sum, 7);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_connect_each_shard_takes_ports_whose_answers_come_back_to_it),
        T(test_listen_connections_are_spread_over_the_shards),
        T(test_connect_from_a_port_of_another_shard_is_refused),
        T(test_connect_to_its_own_address_stays_within_the_shard),
        T(test_udp_answers_come_to_the_shard_of_the_port),
        T(test_icmp_error_reaches_the_shard_whose_datagram_it_quotes),
        T(test_fragments_are_put_together_and_passed_to_the_flows_shard),
        T(test_fragments_of_another_shards_flow_are_dropped_where_nobody_passes),
        T(test_arp_and_discovery_all_shards_learn_and_one_answers),
        T(test_arp_answer_reaches_the_shard_that_asked),
        T(test_echo_to_a_group_is_answered_once),
        T(test_ip_identification_of_two_shards_never_meets),
        T(test_stack_refuses_to_be_a_shard_that_there_is_not),
        T(test_stat_unknown_counter_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
