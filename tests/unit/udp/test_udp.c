/* UDP sockets over a network layer on a table: RFC 768, RFC 1122 4.1, Linux's errors. */
#include "unit/net/net_test.h"

#include "udp/udp.h"

static struct wi_udp udp;
static uint8_t buf[70000];
static unsigned ready_n;
static uint32_t ready_events;

static struct world *udp_world(void)
{
    struct world *w = world_new();
    assert_int_equal(wi_udp_init(&udp, &w->core, w->net), 0);
    return w;
}

static void udp_world_end(struct world *w)
{
    const char *broken = wi_udp_check(&udp);
    if (broken)
        fail_msg("%s", broken);
    wi_udp_fini(&udp);
    world_end(w);
}

static void on_ready(struct wi_sk *sk, uint32_t events)
{
    (void)sk;
    ready_n++;
    ready_events = events;
}

static struct weir_sockaddr at(const char *text, uint16_t port)
{
    struct weir_sockaddr a = {.addr = addr(text), .port = port};
    a.family = weir_addr_is_v4(&a.addr) ? WEIR_AF_INET : WEIR_AF_INET6;
    return a;
}

static struct wi_sk *sock(int family)
{
    struct wi_sk *sk = wi_udp_sk_new(&udp, family);
    assert_non_null(sk);
    sk->on_ready = on_ready;
    ready_n = 0;
    return sk;
}

static struct wi_sk *bound(const char *text, uint16_t port)
{
    struct weir_sockaddr a = at(text, port);
    struct wi_sk *sk = sock(a.family);
    assert_int_equal(sk->ops->bind(sk, &a), 0);
    return sk;
}

static struct wi_sk *connected(const char *text, uint16_t port)
{
    struct weir_sockaddr a = at(text, port);
    struct wi_sk *sk = sock(a.family);
    assert_int_equal(sk->ops->connect(sk, &a), 0);
    return sk;
}

static int64_t send_n(struct world *w, struct wi_sk *sk, const char *to, uint16_t port, size_t len)
{
    static uint8_t bytes[70000];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 5);
    struct weir_iovec iov = {bytes, len};
    struct weir_sockaddr a;
    struct weir_msg msg = {.iov = &iov, .iov_n = 1};
    if (to) {
        a = at(to, port);
        msg.name = &a;
    }
    int64_t n = sk->ops->sendmsg(sk, &msg, 0);
    wi_net_flush(w->net);
    return n;
}

static int64_t receive(struct wi_sk *sk, struct weir_msg *msg, size_t cap, int flags)
{
    static struct weir_sockaddr from;
    struct weir_iovec iov = {buf, cap};
    *msg = (struct weir_msg){.name = &from, .iov = &iov, .iov_n = 1};
    return sk->ops->recvmsg(sk, msg, flags);
}

/* A datagram from the wire, on the bare IP interface. */
static void hear(struct world *w, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port, size_t len)
{
    static uint8_t p[66000];
    struct weir_addr from = addr(src), to = addr(dst);
    const struct wi_wire_udp h = {.src_port = src_port, .dst_port = dst_port, .data_len = (uint32_t)len};
    wi_wire_udp_put(p, &h);
    for (size_t i = 0; i < len; i++)
        p[8 + i] = (uint8_t)(i * 5);
    uint64_t sum = wi_ip_pseudo_csum(&from, &to, WI_IP_UDP, (uint32_t)len + 8);
    uint16_t csum = wi_csum_finish(wi_csum_add(0, p, 8 + len) + sum);
    wi_put16(p + WI_UDP_CSUM_OFF, csum ? csum : 0xffff);
    world_ip(w, src, dst, WI_IP_UDP, p, 8 + len);
}

static void hear_error(struct world *w, struct wi_icmp icmp, const struct wi_sk *sk, const char *peer, uint16_t port)
{
    uint8_t msg[100] = {0}, l4[8] = {0};
    const struct wi_wire_udp h = {.src_port = sk->local.port, .dst_port = port};
    const char *own = icmp.is_v6 ? "2001:db8:1::1" : "198.51.100.1",
               *router = icmp.is_v6 ? "2001:db8:1::fe" : "198.51.100.254";
    struct weir_addr from = addr(router), to = addr(own);
    wi_wire_udp_put(l4, &h);
    wi_icmp_put(msg, &icmp);
    size_t len = 8 + put_ip(msg + 8, own, peer, WI_IP_UDP, l4, 8);
    wi_icmp_seal(msg, len, icmp.is_v6, &from, &to);
    world_ip(w, router, own, icmp.is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP, msg, len);
}

/* ---- There and back ---- */

static void test_send_to_own_socket_arrives_with_all_that_is_known(void **state)
{
    (void)state;
    static const char *const own[] = {"127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"};
    struct world *w = udp_world();
    for (size_t i = 0; i < WI_ARRAY_LEN(own); i++) {
        struct weir_msg msg;
        struct wi_sk *server = bound(own[i], 53), *client = sock(server->family);
        client->opts.tos = 0x28;
        client->opts.ttl = 9;
        assert_int_equal(send_n(w, client, own[i], 53, 1000), 1000);
        assert_int_equal(ready_n, 1);
        assert_int_equal(ready_events, WEIR_POLLIN | WEIR_POLLRDNORM);
        assert_true(server->ops->poll(server) & WEIR_POLLIN);
        assert_int_equal(receive(server, &msg, 2000, 0), 1000);
        for (size_t k = 0; k < 1000; k++)
            assert_int_equal(buf[k], (uint8_t)(k * 5));
        assert_int_equal(msg.name->port, client->local.port);
        struct weir_addr here = addr(own[i]);
        assert_true(weir_addr_equal(&msg.name->addr, &here));
        assert_true(weir_addr_equal(&msg.dst.addr, &here)); /* Rows: 1122-U4 */
        assert_int_equal(msg.dst.port, 53);
        assert_int_equal(msg.ttl, 9);
        assert_int_equal(msg.tos, 0x28);
        assert_int_equal(msg.ifindex, WI_NETIF_LOOPBACK);
        assert_int_equal(receive(server, &msg, 2000, 0), -WEIR_EAGAIN);
        assert_false(server->ops->poll(server) & WEIR_POLLIN);
        server->ops->close(server);
        client->ops->close(client);
    }
    udp_world_end(w);
}

/* What leaves has a right checksum and our address. Rows: 1122-U2 1122-U5 */
static void test_send_on_the_wire_is_a_whole_datagram(void **state)
{
    (void)state;
    static const char *const peers[] = {"198.51.100.9", "2001:db8:1::9"};
    static const size_t sizes[] = {0, 1, 1000};
    struct world *w = udp_world();
    for (unsigned p = 0; p < 2; p++) {
        struct wi_sk *sk = connected(peers[p], 53);
        for (unsigned i = 0; i < 3; i++) {
            struct wi_wire_udp h;
            assert_int_equal(send_n(w, sk, NULL, 0, sizes[i]), sizes[i]);
            struct wi_ip ip = sent_ip(&w->raw_sent, w->raw_sent.n - 1, buf);
            assert_int_equal(ip.proto, WI_IP_UDP);
            assert_true(weir_addr_equal(&ip.src, &sk->local.addr));
            assert_int_equal(wi_wire_udp_parse(&h, buf + ip.l4_off, 8, ip.l4_len, ip.is_v6), WEIR_DROP_NONE);
            assert_int_equal(h.data_len, sizes[i]);
            assert_int_equal(h.src_port, sk->local.port);
            assert_int_equal(h.dst_port, 53);
            assert_int_equal(wi_csum_fold(wi_ip_pseudo_csum(&ip.src, &ip.dst, WI_IP_UDP, ip.l4_len) +
                                          wi_csum_add(0, buf + ip.l4_off, ip.l4_len)),
                             0xffff);
        }
    }
    udp_world_end(w);
}

/* RFC 4821 9: larger than the path takes, by what the socket says of discovery. Rows: 1122-I14 */
static void test_send_larger_than_the_path_does_as_mtu_discover_says(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct wi_sk *sk = connected("198.51.100.9", 53);
    struct weir_addr peer = addr("198.51.100.9");
    assert_int_equal(send_n(w, sk, NULL, 0, 3000), 3000);
    assert_int_equal(w->raw_sent.n, 3);
    assert_int_equal(send_n(w, sk, NULL, 0, 65507), 65507);
    assert_int_equal(send_n(w, sk, NULL, 0, 65508), -WEIR_EMSGSIZE);
    world_forget_sent(w);
    assert_true(wi_net_pmtu_learn(w->net, &peer, 1400));
    sk->opts.mtu_discover = 2;
    assert_int_equal(send_n(w, sk, NULL, 0, 1400), -WEIR_EMSGSIZE);
    sk->opts.mtu_discover = 3; /* a probe goes out whole, with DF. Rows: 4821-10 */
    assert_int_equal(send_n(w, sk, NULL, 0, 1472), 1472);
    assert_int_equal(send_n(w, sk, NULL, 0, 1473), -WEIR_EMSGSIZE);
    struct wi_ip ip = sent_ip(&w->raw_sent, 0, buf);
    assert_true(ip.df);
    assert_int_equal(ip.total_len, 1500);
    sk->opts.mtu_discover = 0;
    assert_int_equal(send_n(w, sk, NULL, 0, 1400), 1400);
    assert_int_equal(w->raw_sent.n, 3);
    assert_false(sent_ip(&w->raw_sent, 1, buf).df);
    world_forget_sent(w);
    sk->opts.mtu_discover = 4; /* INTERFACE: as large as the link's, without DF */
    assert_int_equal(send_n(w, sk, NULL, 0, 1473), -WEIR_EMSGSIZE);
    assert_int_equal(send_n(w, sk, NULL, 0, 1472), 1472);
    assert_int_equal(w->raw_sent.n, 1);
    assert_false(sent_ip(&w->raw_sent, 0, buf).df);
    sk->opts.mtu_discover = 5; /* OMIT: larger ones are cut for the link */
    assert_int_equal(send_n(w, sk, NULL, 0, 1473), 1473);
    assert_int_equal(w->raw_sent.n, 3);
    assert_false(sent_ip(&w->raw_sent, 1, buf).df);
    udp_world_end(w);
}

static void test_send_without_destination_or_permission_is_refused(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct wi_sk *sk = sock(WEIR_AF_INET);
    assert_int_equal(send_n(w, sk, NULL, 0, 1), -WEIR_EDESTADDRREQ);
    assert_int_equal(send_n(w, sk, "198.51.100.9", 0, 1), -WEIR_EINVAL);
    assert_int_equal(send_n(w, sk, "203.0.113.1", 1, 1), -WEIR_ENETUNREACH);
    assert_int_equal(send_n(w, sk, "198.51.100.255", 1, 1), -WEIR_EACCES);
    assert_int_equal(send_n(w, sk, "255.255.255.255", 1, 1), -WEIR_EACCES);
    sk->opts.broadcast = true;
    assert_int_equal(send_n(w, sk, "198.51.100.255", 1, 1), 1);
    assert_int_equal(w->raw_sent.n, 1);
    udp_world_end(w);
}

/* The caller chooses the source; one that is not ours needs IP_TRANSPARENT. Rows: 1122-U4 */
static void test_send_with_pktinfo_speaks_from_there(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct wi_sk *sk = bound("0.0.0.0", 53);
    struct weir_sockaddr to = at("198.51.100.9", 9);
    struct weir_iovec iov = {buf, 4};
    struct weir_msg msg = {.name = &to, .iov = &iov, .iov_n = 1, .has = WEIR_HAS_PKTINFO | WEIR_HAS_TTL, .ttl = 3};
    msg.dst = at("192.0.2.1", 0);
    assert_int_equal(sk->ops->sendmsg(sk, &msg, 0), 4);
    wi_net_flush(w->net);
    struct wi_ip ip = sent_ip(&w->raw_sent, 0, buf);
    assert_true(weir_addr_equal(&ip.src, &msg.dst.addr));
    assert_int_equal(ip.ttl, 3);
    msg.dst = at("203.0.113.5", 0);
    assert_int_equal(sk->ops->sendmsg(sk, &msg, 0), -WEIR_EADDRNOTAVAIL);
    sk->opts.transparent = true;
    assert_int_equal(sk->ops->sendmsg(sk, &msg, 0), 4);
    udp_world_end(w);
}

/* A transparent gateway: one socket hears every port of every address, and answers as the one that was asked. */
static void test_any_port_socket_hears_and_answers_for_all(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct weir_sockaddr any = at("0.0.0.0", 0);
    struct wi_sk *sk = sock(WEIR_AF_INET), *dns = NULL;
    wi_netif_get(w->net, w->raw)->flags |= WEIR_NETIF_ANY_ADDR;
    sk->opts.any_port = sk->opts.transparent = true;
    assert_int_equal(sk->ops->bind(sk, &any), 0);
    assert_int_equal(send_n(w, sk, "198.51.100.9", 7, 1), -WEIR_EINVAL); /* from which port? */
    hear(w, "198.51.100.9", 4000, "203.0.113.7", 443, 10);
    assert_int_equal(receive(sk, &msg, 100, 0), 10);
    assert_int_equal(msg.dst.port, 443);
    struct weir_sockaddr peer = *msg.name;
    struct weir_iovec iov = {buf, 3};
    struct weir_msg answer = {.name = &peer, .iov = &iov, .iov_n = 1, .has = WEIR_HAS_PKTINFO, .dst = msg.dst};
    assert_int_equal(sk->ops->sendmsg(sk, &answer, 0), 3);
    wi_net_flush(w->net);
    struct wi_ip ip = sent_ip(&w->raw_sent, 0, buf);
    assert_true(weir_addr_equal(&ip.src, &answer.dst.addr));
    assert_int_equal(wi_get16(buf + ip.l4_off), 443);
    dns = bound("0.0.0.0", 53);
    hear(w, "198.51.100.9", 4000, "203.0.113.7", 53, 10);
    assert_int_equal(receive(dns, &msg, 100, 0), 10);
    assert_int_equal(receive(sk, &msg, 100, 0), -WEIR_EAGAIN);
    udp_world_end(w);
}

/* ---- Receiving ---- */

static void test_receive_peek_and_truncate_as_posix_says(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *sk = bound("0.0.0.0", 53);
    int pending = 0;
    hear(w, "198.51.100.9", 7, "198.51.100.1", 53, 100);
    hear(w, "198.51.100.9", 7, "198.51.100.1", 53, 0);
    assert_int_equal(sk->ops->ioctl(sk, WEIR_SIOCINQ, &pending), 0);
    assert_int_equal(pending, 100);
    assert_int_equal(receive(sk, &msg, 10, WEIR_MSG_PEEK), 10);
    assert_int_equal(msg.flags, WEIR_MSG_TRUNC);
    assert_int_equal(receive(sk, &msg, 10, WEIR_MSG_PEEK | WEIR_MSG_TRUNC), 100);
    assert_int_equal(receive(sk, &msg, 99, WEIR_MSG_TRUNC), 100);
    assert_int_equal(receive(sk, &msg, 10, 0), 0); /* an empty datagram is one */
    assert_int_equal(msg.flags, 0);
    assert_int_equal(receive(sk, &msg, 10, 0), -WEIR_EAGAIN);
    udp_world_end(w);
}

/* Each socket has a share of memory, and no more; what is read makes room. */
static void test_receive_buffer_full_drops_and_counts(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *sk = bound("0.0.0.0", 53);
    sk->opts.rcvbuf_bytes = 32768;
    size_t before = w->heap.bytes;
    for (unsigned i = 0; i < 1000; i++)
        hear(w, "198.51.100.9", 7, "198.51.100.1", 53, 100);
    assert_true(w->heap.bytes - before < 65536);
    uint64_t full = drops(w, WEIR_DROP_UDP_RCVBUF_FULL);
    assert_in_range(full, 950, 995);
    assert_int_equal(w->core.stats.count[WI_STAT_UdpRcvbufErrors], full);
    for (unsigned i = 0; i < 1000 - full; i++)
        assert_int_equal(receive(sk, &msg, 200, 0), 100);
    assert_int_equal(receive(sk, &msg, 200, 0), -WEIR_EAGAIN);
    hear(w, "198.51.100.9", 7, "198.51.100.1", 53, 30000); /* one always fits an empty queue */
    assert_int_equal(receive(sk, &msg, 65535, 0), 30000);
    udp_world_end(w);
}

/* Wrong checksums and lengths, and port 0. Rows: 1122-U2 1122-U3 1122-U6 8200-15 */
static void test_receive_malformed_datagrams_are_dropped(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *sk = bound("::", 53);
    uint8_t p[40] = {0, 7, 0, 53, 0, 20, 0, 0};
    world_ip(w, "198.51.100.9", "198.51.100.1", WI_IP_UDP, p, 20); /* no checksum in IPv4: fine */
    assert_int_equal(receive(sk, &msg, 100, 0), 12);
    world_ip(w, "2001:db8:1::9", "2001:db8:1::1", WI_IP_UDP, p, 20);
    assert_int_equal(drops(w, WEIR_DROP_UDP_NO_CSUM), 1);
    wi_put16(p + 6, 0x1234);
    world_ip(w, "198.51.100.9", "198.51.100.1", WI_IP_UDP, p, 20);
    assert_int_equal(drops(w, WEIR_DROP_UDP_CSUM), 1);
    wi_put16(p + 6, 0);
    static const uint16_t lens[] = {0, 7, 21, 65535};
    for (size_t i = 0; i < WI_ARRAY_LEN(lens); i++) {
        wi_put16(p + 4, lens[i]);
        world_ip(w, "198.51.100.9", "198.51.100.1", WI_IP_UDP, p, 20);
    }
    assert_int_equal(drops(w, WEIR_DROP_UDP_LENGTH), 4);
    for (size_t len = 0; len < 8; len++)
        world_ip(w, "198.51.100.9", "198.51.100.1", WI_IP_UDP, p, len);
    assert_int_equal(drops(w, WEIR_DROP_UDP_SHORT), 8);
    hear(w, "198.51.100.9", 7, "198.51.100.1", 0, 4);
    assert_int_equal(drops(w, WEIR_DROP_UDP_PORT_ZERO), 1);
    assert_int_equal(receive(sk, &msg, 100, 0), -WEIR_EAGAIN);
    assert_int_equal(w->raw_sent.n, 0);
    udp_world_end(w);
}

/* Bytes beyond UDP's length are no part of the datagram, nor of its checksum. Rows: 1122-U6 */
static void test_receive_ignores_trailing_bytes(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *sk = bound("0.0.0.0", 53);
    struct weir_addr from = addr("198.51.100.9"), to = addr("198.51.100.1");
    uint8_t p[40] = {0, 7, 0, 53, 0, 12, 0, 0, 'w', 'e', 'i', 'r', 0xff, 0xff, 0xff};
    wi_put16(p + 6, wi_csum_finish(wi_csum_add(0, p, 12) + wi_ip_pseudo_csum(&from, &to, WI_IP_UDP, 12)));
    world_ip(w, "198.51.100.9", "198.51.100.1", WI_IP_UDP, p, 15);
    assert_int_equal(receive(sk, &msg, 100, 0), 4);
    assert_memory_equal(buf, "weir", 4);
    udp_world_end(w);
}

/* Attacks: Fraggle. Rows: 1122-U1 attack-smurf-fraggle */
static void test_closed_port_is_told_but_not_to_broadcasters(void **state)
{
    (void)state;
    struct world *w = udp_world();
    hear(w, "198.51.100.9", 7, "198.51.100.255", 53, 4);
    hear(w, "198.51.100.9", 7, "224.0.0.1", 53, 4);
    assert_int_equal(w->raw_sent.n, 0);
    hear(w, "198.51.100.9", 7, "198.51.100.1", 53, 4);
    hear(w, "2001:db8:1::9", 7, "2001:db8:1::1", 53, 4);
    assert_int_equal(w->raw_sent.n, 2);
    assert_int_equal(w->core.stats.count[WI_STAT_UdpNoPorts], 2);
    struct wi_icmp icmp;
    struct wi_ip ip = sent_ip(&w->raw_sent, 0, buf);
    assert_int_equal(wi_icmp_parse(&icmp, buf + ip.l4_off, ip.l4_len, ip.l4_len, false), WEIR_DROP_NONE);
    assert_int_equal(icmp.code, WI_ICMP4_PORT);
    assert_int_equal(icmp.inner.dst_port, 53);
    udp_world_end(w);
}

/* ---- Connected ---- */

static void test_connected_socket_hears_its_peer_alone(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *a = bound("0.0.0.0", 53), *b = sock(WEIR_AF_INET);
    struct weir_sockaddr peer = at("198.51.100.9", 7), none = {.family = WEIR_AF_UNSPEC}, port = at("0.0.0.0", 53);
    a->opts.reuseaddr = b->opts.reuseaddr = true;
    a->port_reuse = WI_PORT_REUSEADDR;
    assert_int_equal(b->ops->bind(b, &port), 0);
    assert_int_equal(b->ops->connect(b, &peer), 0);
    struct weir_addr ours = addr("198.51.100.1");
    assert_true(weir_addr_equal(&b->local.addr, &ours));
    hear(w, "198.51.100.9", 7, "198.51.100.1", 53, 1);
    hear(w, "198.51.100.9", 8, "198.51.100.1", 53, 2);
    hear(w, "198.51.100.10", 7, "198.51.100.1", 53, 3);
    assert_int_equal(receive(b, &msg, 100, 0), 1);
    assert_int_equal(receive(b, &msg, 100, 0), -WEIR_EAGAIN);
    assert_int_equal(receive(a, &msg, 100, 0), 2);
    assert_int_equal(receive(a, &msg, 100, 0), 3);
    assert_int_equal(b->ops->connect(b, &none), 0);
    struct weir_addr any = addr("0.0.0.0");
    assert_true(weir_addr_equal(&b->local.addr, &any));
    hear(w, "198.51.100.10", 7, "198.51.100.1", 53, 4);
    assert_int_equal(receive(b, &msg, 100, 0), 4); /* it bound last */
    assert_int_equal(b->ops->connect(b, &peer), 0);
    peer.port = 9;
    assert_int_equal(b->ops->connect(b, &peer), 0); /* another peer, without dissolving */
    hear(w, "198.51.100.9", 9, "198.51.100.1", 53, 5);
    assert_int_equal(receive(b, &msg, 100, 0), 5);
    udp_world_end(w);
}

/* Constant cost: a connected socket among many on one port is found by its peer. */
static void test_many_connected_sockets_share_a_port(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    static struct wi_sk *sk[2000];
    struct weir_sockaddr port = at("0.0.0.0", 4433);
    for (unsigned i = 0; i < 2000; i++) {
        struct weir_sockaddr peer = at("198.51.100.9", (uint16_t)(1000 + i));
        sk[i] = sock(WEIR_AF_INET);
        sk[i]->opts.reuseaddr = true;
        assert_int_equal(sk[i]->ops->bind(sk[i], &port), 0);
        assert_int_equal(sk[i]->ops->connect(sk[i], &peer), 0);
    }
    for (unsigned i = 0; i < 2000; i += 37) {
        hear(w, "198.51.100.9", (uint16_t)(1000 + i), "198.51.100.1", 4433, 8);
        assert_int_equal(receive(sk[i], &msg, 100, 0), 8);
    }
    udp_world_end(w);
}

/* ---- Errors ---- */

/* Rows: 1122-C5 1122-U7 */
static void test_port_unreachable_is_connection_refused_when_connected(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    const struct wi_icmp refused[] = {{.kind = WI_ICMP_UNREACH, .code = 3},
                                      {.kind = WI_ICMP_UNREACH, .is_v6 = true, .code = 4}};
    static const char *const peers[] = {"198.51.100.9", "2001:db8:1::9"};
    for (unsigned i = 0; i < 2; i++) {
        struct wi_sk *sk = connected(peers[i], 7), *loose = bound(i ? "::" : "0.0.0.0", (uint16_t)(6000 + i));
        hear_error(w, refused[i], sk, peers[i], 7);
        assert_int_equal(ready_events, WEIR_POLLERR);
        assert_true(sk->ops->poll(sk) & WEIR_POLLERR);
        assert_int_equal(receive(sk, &msg, 10, 0), -WEIR_ECONNREFUSED);
        assert_int_equal(receive(sk, &msg, 10, 0), -WEIR_EAGAIN);
        hear_error(w, refused[i], sk, peers[i], 7);
        assert_int_equal(send_n(w, sk, NULL, 0, 1), -WEIR_ECONNREFUSED);
        assert_int_equal(send_n(w, sk, NULL, 0, 1), 1);
        hear_error(w, refused[i], sk, peers[i], 8); /* not its peer */
        assert_int_equal(wi_sk_take_err(sk), 0);
        hear_error(w, refused[i], loose, peers[i], 7); /* not connected: Linux does not say */
        assert_int_equal(wi_sk_take_err(loose), 0);
    }
    udp_world_end(w);
}

static void test_soft_errors_are_told_only_to_who_asked(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    const struct wi_icmp host = {.kind = WI_ICMP_UNREACH, .code = 1};
    struct wi_sk *sk = connected("198.51.100.9", 7);
    hear_error(w, host, sk, "198.51.100.9", 7);
    assert_int_equal(wi_sk_take_err(sk), 0);
    sk->opts.recverr = true;
    hear_error(w, host, sk, "198.51.100.9", 7);
    assert_true(sk->ops->poll(sk) & WEIR_POLLERR);
    assert_int_equal(receive(sk, &msg, 10, WEIR_MSG_ERRQUEUE), 0);
    struct weir_addr router = addr("198.51.100.254"), peer = addr("198.51.100.9");
    assert_int_equal(msg.has, WEIR_HAS_ERR);
    assert_int_equal(msg.flags, WEIR_MSG_ERRQUEUE);
    assert_int_equal(msg.err, WEIR_EHOSTUNREACH);
    assert_int_equal(msg.err_origin, 2);
    assert_int_equal(msg.err_type, 3);
    assert_int_equal(msg.err_code, 1);
    assert_true(weir_addr_equal(&msg.offender.addr, &router));
    assert_true(weir_addr_equal(&msg.name->addr, &peer));
    assert_int_equal(msg.name->port, 7);
    assert_int_equal(receive(sk, &msg, 10, WEIR_MSG_ERRQUEUE), -WEIR_EAGAIN);
    assert_int_equal(sk->ops->poll(sk) & WEIR_POLLERR, 0);
    for (unsigned i = 0; i < 10000; i++) /* a flood of errors stays within the buffer */
        hear_error(w, host, sk, "198.51.100.9", 7);
    assert_true(((struct wi_udp_sk *)(void *)sk)->rx_bytes <= sk->opts.rcvbuf_bytes);
    udp_world_end(w);
}

/* Attack: SADDNS 2: the path's MTU is learnt from a message about a socket's own datagram only.
 * Rows: 1191-1 8201-1 8201-3 */
static void test_too_big_about_our_datagram_teaches_the_path(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_addr peer = addr("198.51.100.9");
    struct wi_dst dst;
    struct wi_sk *sk = connected("198.51.100.9", 7), *unknown = sock(WEIR_AF_INET);
    const struct wi_icmp big = {.kind = WI_ICMP_TOO_BIG, .mtu = 1400};
    unknown->local.port = 999;
    hear_error(w, big, unknown, "198.51.100.9", 7);
    assert_int_equal(wi_net_route(w->net, &peer, NULL, 0, false, &dst), 0);
    assert_int_equal(dst.mtu, 1500);
    assert_int_equal(drops(w, WEIR_DROP_ICMP_NO_SOCKET), 1);
    hear_error(w, big, sk, "198.51.100.9", 7);
    assert_int_equal(wi_net_route(w->net, &peer, NULL, 0, false, &dst), 0);
    assert_int_equal(dst.mtu, 1400);
    (void)wi_sk_take_err(sk);
    assert_int_equal(send_n(w, sk, NULL, 0, 1400), 1400);
    assert_int_equal(w->raw_sent.n, 2);
    udp_world_end(w);
}

/* The next hop never answers. Rows: 4861-10 */
static void test_neighbour_that_fails_is_no_route_to_host(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *sk = connected("192.0.2.9", 7);
    assert_int_equal(send_n(w, sk, NULL, 0, 1), 1);
    world_pass(w, WEIR_MS(3100));
    assert_int_equal(receive(sk, &msg, 10, 0), -WEIR_EHOSTUNREACH);
    assert_int_equal(send_n(w, sk, NULL, 0, 1), -WEIR_EHOSTUNREACH);
    udp_world_end(w);
}

/* ---- Groups ---- */

static void test_multicast_reaches_every_member_and_ourselves(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *a = sock(WEIR_AF_INET), *b = sock(WEIR_AF_INET), *sender = sock(WEIR_AF_INET);
    struct weir_sockaddr port = at("0.0.0.0", 5353);
    struct weir_addr group = addr("224.1.2.3");
    a->opts.reuseaddr = b->opts.reuseaddr = true;
    assert_int_equal(a->ops->bind(a, &port), 0);
    assert_int_equal(b->ops->bind(b, &port), 0);
    sender->opts.mcast_if = w->raw;
    hear(w, "198.51.100.9", 7, "224.1.2.3", 5353, 1);
    assert_int_equal(drops(w, WEIR_DROP_IP_NOT_JOINED), 1);
    assert_int_equal(wi_sk_group_join(a, w->raw, &group), 0);
    assert_int_equal(wi_sk_group_join(a, w->raw, &group), -WEIR_EADDRINUSE);
    wi_net_flush(w->net);
    world_forget_sent(w);
    hear(w, "198.51.100.9", 7, "224.1.2.3", 5353, 2);
    assert_int_equal(receive(a, &msg, 10, 0), 2);
    assert_int_equal(receive(b, &msg, 10, 0), 2); /* IP_MULTICAST_ALL, as on Linux */
    assert_int_equal(send_n(w, sender, "224.1.2.3", 5353, 3), 3);
    struct wi_ip ip = sent_ip(&w->raw_sent, 0, buf);
    assert_int_equal(ip.ttl, 1); /* RFC 1112 6.1 */
    assert_int_equal(receive(a, &msg, 10, 0), 3);
    sender->opts.mcast_loop = false;
    sender->opts.mcast_ttl = 5;
    assert_int_equal(send_n(w, sender, "224.1.2.3", 5353, 4), 4);
    assert_int_equal(receive(a, &msg, 10, 0), -WEIR_EAGAIN);
    assert_int_equal(sent_ip(&w->raw_sent, 1, buf).ttl, 5);
    a->ops->close(a);
    hear(w, "198.51.100.9", 7, "224.1.2.3", 5353, 5);
    assert_int_equal(drops(w, WEIR_DROP_IP_NOT_JOINED), 2);
    udp_world_end(w);
}

/* ---- The rest ---- */

static void test_shutdown_ends_directions(void **state)
{
    (void)state;
    struct world *w = udp_world();
    struct weir_msg msg;
    struct wi_sk *sk = connected("198.51.100.9", 7), *loose = bound("0.0.0.0", 1);
    assert_int_equal(loose->ops->shutdown(loose, WEIR_SHUT_WR), -WEIR_ENOTCONN);
    assert_int_equal(sk->ops->shutdown(sk, WEIR_SHUT_WR), 0);
    assert_int_equal(send_n(w, sk, NULL, 0, 1), -WEIR_EPIPE);
    assert_int_equal(sk->ops->shutdown(sk, WEIR_SHUT_RD), 0);
    assert_int_equal(receive(sk, &msg, 10, 0), 0);
    assert_true(sk->ops->poll(sk) & WEIR_POLLHUP);
    udp_world_end(w);
}

static struct weir_event last_event;

static void on_event(void *ctx, const struct weir_event *ev)
{
    (void)ctx;
    last_event = *ev;
}

static void test_events_tell_datagrams_and_errors(void **state)
{
    (void)state;
    struct world *w = udp_world();
    const struct wi_icmp refused = {.kind = WI_ICMP_UNREACH, .code = 3};
    struct wi_sk *sk = connected("198.51.100.9", 7);
    w->core.on_event = on_event;
    w->core.event_mask = WEIR_EV_BIT(WEIR_EV_DGRAM_IN) | WEIR_EV_BIT(WEIR_EV_DGRAM_OUT) | WEIR_EV_BIT(WEIR_EV_ICMP_IN);
    assert_int_equal(send_n(w, sk, NULL, 0, 5), 5);
    assert_int_equal(last_event.kind, WEIR_EV_DGRAM_OUT);
    assert_int_equal(last_event.conn_id, sk->id);
    assert_int_equal(last_event.u.dgram.len, 5);
    assert_true(w->raw_sent.pkts[0]->serial == last_event.serial);
    hear(w, "198.51.100.9", 7, "198.51.100.1", sk->local.port, 6);
    assert_int_equal(last_event.kind, WEIR_EV_DGRAM_IN);
    assert_int_equal(last_event.u.dgram.len, 6);
    hear_error(w, refused, sk, "198.51.100.9", 7);
    assert_int_equal(last_event.kind, WEIR_EV_ICMP_IN);
    assert_int_equal(last_event.u.icmp.err, WEIR_ECONNREFUSED);
    assert_true(last_event.u.icmp.hard);
    udp_world_end(w);
}

/* Every allocation may be refused: a call fails or the packet is lost, and nothing else. */
static void test_without_memory_calls_fail_and_packets_are_lost(void **state)
{
    (void)state;
    for (size_t nth = 1; nth < 12; nth++) {
        struct world *w = udp_world();
        struct weir_msg msg;
        w->heap.fail_at = w->heap.alloc_n + nth;
        w->heap.fails_onwards = true;
        struct wi_sk *sk = wi_udp_sk_new(&udp, WEIR_AF_INET);
        struct weir_sockaddr own = at("127.0.0.1", 53);
        int bound_err = sk ? sk->ops->bind(sk, &own) : -WEIR_ENOMEM;
        assert_true(bound_err == 0 || bound_err == -WEIR_ENOMEM);
        if (bound_err == 0) {
            int64_t n = send_n(w, sk, "127.0.0.1", 53, 10);
            assert_true(n == 10 || n == -WEIR_ENOBUFS || n == -WEIR_ENOMEM);
            n = receive(sk, &msg, 100, 0);
            assert_true(n == 10 || n == -WEIR_EAGAIN);
        }
        w->heap.fail_at = 0;
        udp_world_end(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send_to_own_socket_arrives_with_all_that_is_known),
        cmocka_unit_test(test_send_on_the_wire_is_a_whole_datagram),
        cmocka_unit_test(test_send_larger_than_the_path_does_as_mtu_discover_says),
        cmocka_unit_test(test_send_without_destination_or_permission_is_refused),
        cmocka_unit_test(test_send_with_pktinfo_speaks_from_there),
        cmocka_unit_test(test_any_port_socket_hears_and_answers_for_all),
        cmocka_unit_test(test_receive_peek_and_truncate_as_posix_says),
        cmocka_unit_test(test_receive_buffer_full_drops_and_counts),
        cmocka_unit_test(test_receive_malformed_datagrams_are_dropped),
        cmocka_unit_test(test_receive_ignores_trailing_bytes),
        cmocka_unit_test(test_closed_port_is_told_but_not_to_broadcasters),
        cmocka_unit_test(test_connected_socket_hears_its_peer_alone),
        cmocka_unit_test(test_many_connected_sockets_share_a_port),
        cmocka_unit_test(test_port_unreachable_is_connection_refused_when_connected),
        cmocka_unit_test(test_soft_errors_are_told_only_to_who_asked),
        cmocka_unit_test(test_too_big_about_our_datagram_teaches_the_path),
        cmocka_unit_test(test_neighbour_that_fails_is_no_route_to_host),
        cmocka_unit_test(test_multicast_reaches_every_member_and_ourselves),
        cmocka_unit_test(test_shutdown_ends_directions),
        cmocka_unit_test(test_events_tell_datagrams_and_errors),
        cmocka_unit_test(test_without_memory_calls_fail_and_packets_are_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
