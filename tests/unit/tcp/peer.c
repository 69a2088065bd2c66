/* One stack, and the test is its peer. See peer.h. */
#include "unit/tcp/peer.h"

#include "base/bytes.h"
#include "base/checksum.h"

static unsigned on_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct peer *p = driver;
    for (unsigned i = 0; i < n; i++) {
        uint8_t bytes[2048];
        size_t len = weir_pkt_copy(pkts[i], 0, bytes, sizeof bytes);
        struct wi_ip ip;
        assert_int_equal(wi_ip_parse(&ip, bytes, len, pkts[i]->len, true), WEIR_DROP_NONE);
        if (ip.proto == WI_IP_TCP || ip.proto == WI_IP_ICMP || ip.proto == WI_IP_ICMPV6) {
            struct peer_seg *s = &p->segs[p->seg_n++ % PEER_SEGS];
            *s = (struct peer_seg){.src = ip.src, .dst = ip.dst, .at = p->now, .is_icmp = ip.proto != WI_IP_TCP};
            if (s->is_icmp) {
                s->icmp_type = bytes[ip.l4_off];
                s->icmp_code = bytes[ip.l4_off + 1];
            } else {
                uint64_t sum = wi_ip_pseudo_csum(&ip.src, &ip.dst, WI_IP_TCP, ip.l4_len);
                assert_int_equal(wi_csum_finish(wi_csum_add(sum, bytes + ip.l4_off, ip.l4_len)), 0);
                assert_int_equal(wi_wire_tcp_parse(&s->h, bytes + ip.l4_off, ip.l4_len, ip.l4_len), WEIR_DROP_NONE);
                memcpy(s->data, bytes + ip.l4_off + s->h.data_off,
                       s->h.data_len < sizeof s->data ? s->h.data_len : sizeof s->data);
            }
        }
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

static void on_event(void *ctx, const struct weir_event *e)
{
    struct peer *p = ctx;
    p->drop = e->u.drop.reason;
    p->drop_n++;
}

static void check(const struct peer *p)
{
    const char *wrong = p->is_unchecked ? NULL : weir_check(p->stack);
    if (wrong)
        fail_msg("%s", wrong);
}

void peer_init(struct peer *p, int family)
{
    peer_init_as(p, family, 0);
}

void peer_init_as(struct peer *p, int family, uint32_t netif_flags)
{
    static const struct weir_netif_ops ops = {.xmit = on_xmit};
    memset(p, 0, sizeof *p);
    p->family = family;
    p->now = PEER_START;
    struct weir_config cfg = {
        .alloc = heap_owner(&p->heap),
        .now = p->now,
        .seed = 1,
        .on_event = on_event,
        .event_ctx = p,
        .event_mask = WEIR_EV_BIT(WEIR_EV_DROP),
    };
    p->stack = weir_new(&cfg);
    assert_non_null(p->stack);
    struct weir_netif_config netif = {.name = "wire", .type = WEIR_LINK_RAW_IP, .mtu = 1500, .flags = netif_flags};
    p->netif = weir_netif_add(p->stack, &ops, p, &netif);
    assert_true(p->netif > 0);
    assert_int_equal(weir_netif_set_up(p->stack, p->netif, true), 0);
    bool is_v6 = family == WEIR_AF_INET6;
    p->stack_addr = is_v6 ? (struct weir_addr){{0xfd, [15] = 1}} : weir_addr_v4(10, 0, 0, 1);
    p->addr = is_v6 ? (struct weir_addr){{0xfd, [15] = 2}} : weir_addr_v4(10, 0, 0, 2);
    assert_int_equal(weir_addr_add(p->stack, p->netif, &p->stack_addr, is_v6 ? 64 : 24), 0);
    peer_run(p, WEIR_SEC(5)); /* address detection and router solicitation are over */
    p->seg_n = p->seg_read = 0;
}

void peer_fini(struct peer *p)
{
    weir_free(p->stack);
    assert_int_equal(p->heap.bytes, 0);
}

void peer_run(struct peer *p, weir_ns duration)
{
    weir_ns until = p->now + duration;
    for (weir_ns at; (at = weir_deadline(p->stack)) <= until;) {
        p->now = at > p->now ? at : p->now;
        weir_advance(p->stack, p->now);
        check(p);
    }
    p->now = until;
    weir_advance(p->stack, p->now);
}

size_t peer_mem_at_rest(struct peer *p)
{
    peer_run(p, WEIR_SEC(1));
    peer_run(p, WEIR_SEC(1));
    return weir_mem_used(p->stack);
}

struct wi_wire_tcp peer_hdr(uint16_t flags, uint32_t seq, uint32_t ack)
{
    return (struct wi_wire_tcp){
        .src_port = PEER_PORT, .dst_port = STACK_PORT, .seq = {seq}, .ack = {ack}, .flags = flags, .wnd = 65535};
}

struct wi_wire_tcp peer_syn(uint32_t seq)
{
    struct wi_wire_tcp h = peer_hdr(WI_TH_SYN, seq, 0);
    h.mss = 1460;
    h.sack_ok = true;
    h.has_wscale = true;
    h.wscale = 7;
    return h;
}

static void give(struct peer *p, const struct weir_addr *src, const struct weir_addr *dst, uint8_t proto,
                 const void *bytes, size_t len, uint32_t flags)
{
    uint8_t buf[2048];
    struct wi_ip_out ip = {
        .src = *src,
        .dst = *dst,
        .is_v6 = p->family == WEIR_AF_INET6,
        .df = true,
        .proto = proto,
        .ttl = 64,
        .l4_len = (uint32_t)len,
    };
    size_t hdr_len = wi_ip_put(buf, &ip);
    memcpy(buf + hdr_len, bytes, len);
    struct weir_pkt *pkt = weir_pkt_from(weir_stack_pool(p->stack), buf, hdr_len + len);
    if (!pkt) /* no memory: it got lost */
        return;
    pkt->flags |= (uint8_t)flags;
    weir_input(p->stack, p->netif, &pkt, 1, p->now);
    weir_pkt_unref(pkt);
    check(p);
}

void peer_send_from(struct peer *p, const struct weir_addr *src, const struct weir_addr *dst,
                    const struct wi_wire_tcp *h, const char *text)
{
    uint8_t buf[1500];
    size_t len = wi_wire_tcp_put(buf, sizeof buf, h);
    assert_true(len > 0);
    if (text) {
        memcpy(buf + len, text, strlen(text));
        len += strlen(text);
    }
    give(p, src, dst, WI_IP_TCP, buf, len, WEIR_PKT_CSUM_OK);
}

void peer_send(struct peer *p, const struct wi_wire_tcp *h, const char *text)
{
    peer_send_from(p, &p->addr, &p->stack_addr, h, text);
}

void peer_send_raw(struct peer *p, uint8_t proto, const void *bytes, size_t len)
{
    give(p, &p->addr, &p->stack_addr, proto, bytes, len, 0);
}

void peer_send_unreach(struct peer *p, uint8_t code, const struct peer_seg *s)
{
    uint8_t buf[64] = {3, code};
    assert_int_equal(p->family, WEIR_AF_INET);
    struct wi_ip_out ip = {.src = s->src, .dst = s->dst, .proto = WI_IP_TCP, .ttl = 60, .l4_len = 20};
    size_t n = 8 + wi_ip_put(buf + 8, &ip);
    wi_put16(buf + n, s->h.src_port);
    wi_put16(buf + n + 2, s->h.dst_port);
    wi_put32(buf + n + 4, s->h.seq.v);
    give(p, &p->addr, &p->stack_addr, WI_IP_ICMP, buf, n + 8, WEIR_PKT_CSUM_OK);
}

const struct peer_seg *peer_next(struct peer *p)
{
    return p->seg_read < p->seg_n ? &p->segs[p->seg_read++ % PEER_SEGS] : NULL;
}

const struct peer_seg *peer_expect(struct peer *p, uint16_t flags)
{
    const struct peer_seg *s = peer_next(p);
    assert_non_null(s);
    assert_false(s->is_icmp);
    assert_int_equal(s->h.flags, flags);
    return s;
}

void peer_none(struct peer *p)
{
    const struct peer_seg *s = peer_next(p);
    if (s)
        fail_msg("the stack sent flags 0x%x seq %u ack %u", s->h.flags, s->h.seq.v, s->h.ack.v);
}

weir_fd peer_listen(struct peer *p, int backlog)
{
    struct weir_sockaddr any = {.addr = weir_addr_any(p->family), .family = (uint16_t)p->family, .port = STACK_PORT};
    weir_fd fd = weir_socket(p->stack, p->family, WEIR_SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(weir_bind(p->stack, fd, &any), 0);
    assert_int_equal(weir_listen(p->stack, fd, backlog), 0);
    return fd;
}

void peer_shake(struct peer *p, uint16_t port, uint32_t isn, uint32_t *ack)
{
    struct wi_wire_tcp h = peer_syn(isn);
    h.src_port = port;
    peer_send(p, &h, NULL);
    const struct peer_seg *s = peer_expect(p, WI_TH_SYN | WI_TH_ACK);
    assert_int_equal(s->h.ack.v, isn + 1);
    *ack = s->h.seq.v + 1;
    h = peer_hdr(WI_TH_ACK, isn + 1, *ack);
    h.src_port = port;
    peer_send(p, &h, NULL);
}

weir_fd peer_open(struct peer *p, weir_fd listener, uint16_t port, uint32_t *seq, uint32_t *ack)
{
    *seq = 1001;
    peer_shake(p, port, 1000, ack);
    weir_fd fd = weir_accept(p->stack, listener, NULL);
    assert_true(fd >= 0);
    return fd;
}

void peer_sysctl(struct peer *p, const char *name, const char *value)
{
    assert_int_equal(weir_sysctl_set(p->stack, name, value), 0);
}

uint64_t peer_stat(const struct peer *p, const char *name)
{
    uint64_t value = 0;
    assert_int_equal(weir_stat_get(p->stack, name, &value), 0);
    return value;
}

uint32_t peer_poll(struct peer *p, weir_fd fd)
{
    struct weir_pollfd e = {.fd = fd,
                            .events = WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLPRI | WEIR_POLLRDHUP | WEIR_POLLRDNORM |
                                      WEIR_POLLWRNORM};
    weir_poll(p->stack, &e, 1);
    return (uint32_t)(uint16_t)e.revents;
}

struct weir_tcp_info peer_info(struct peer *p, weir_fd fd)
{
    struct weir_tcp_info info;
    uint32_t len = sizeof info;
    assert_int_equal(weir_getsockopt(p->stack, fd, WEIR_SOL_TCP, WEIR_TCP_INFO, &info, &len), 0);
    assert_int_equal(len, sizeof info);
    return info;
}
