/*
 * A whole stack fed packets, time and socket calls, as the input says.
 *
 * Raw bytes alone would hardly get past a checksum, so most operations build a packet that is right but for what the
 * input bends: a segment of a connection that is under way, near the sequence numbers it expects; an ICMP error that
 * quotes what was sent last; a fragment. After each operation every invariant of the stack must hold; what the stack
 * sends must itself be well formed; in the end all memory must have come back.
 */
#include "base/bytes.h"
#include "base/checksum.h"
#include "fuzz.h"
#include "wire/eth.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"
#include <weir/weir.h>

#include <string.h>

#define MEM_LIMIT  (512u << 10)
#define FLOWS      4
#define FDS        16
#define FLOW_PORT  1000 /* the peer's port of flow 0 */
#define OUR_PORT   80
#define PACKET_CAP 2048
#define OPS_MAX    512
#define RUN_MAX    16

/* What the stack sent last from some port of ours to the peer's port FLOW_PORT + i: where the conversation stands. */
struct flow {
    bool is_v6;
    uint16_t port;
    struct wi_seq next; /* of the stack's next byte */
    struct wi_seq expects;
};

struct rig {
    struct weir *w;
    struct fuzz_in in;
    size_t used;
    unsigned refuse_every; /* every n-th allocation is refused; 0: none */
    unsigned allocs;
    int netif;
    bool is_ether;
    unsigned stalled; /* so many packets xmit refuses yet */
    unsigned run;     /* a segment is followed by so many with the next bytes, in one batch */
    struct weir_pkt *batch[RUN_MAX];
    unsigned batch_n;
    weir_ns now;
    struct flow flows[FLOWS];
    weir_fd fds[FDS];
    unsigned fd_n;
    uint8_t last[PACKET_CAP]; /* the IP packet sent last */
    size_t last_len;
};

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};

static struct weir_addr address(bool is_v6, uint8_t host)
{
    struct weir_addr a = weir_addr_v4(10, 0, 0, host);
    if (is_v6)
        a = (struct weir_addr){{0x20, 0x01, 0x0d, 0xb8, [15] = host}};
    return a;
}

static struct weir_addr ours(bool is_v6)
{
    return address(is_v6, 1);
}

static struct weir_addr peers(bool is_v6)
{
    return address(is_v6, 2);
}

static void *rig_alloc(void *ctx, size_t size)
{
    struct rig *r = ctx;
    if (r->refuse_every && ++r->allocs % r->refuse_every == 0)
        return NULL;
    r->used += size;
    return malloc(size);
}

static void rig_free(void *ctx, void *ptr, size_t size)
{
    struct rig *r = ctx;
    if (!ptr)
        return;
    FUZZ_ASSERT(r->used >= size);
    r->used -= size;
    free(ptr);
}

/* A packet of the stack's own must be one that a peer would take. */
static void learn(struct rig *r, const uint8_t *p, size_t len)
{
    struct wi_ip ip;
    FUZZ_ASSERT(wi_ip_parse(&ip, p, len, len, true) == WEIR_DROP_NONE);
    FUZZ_ASSERT(ip.total_len == len);
    memcpy(r->last, p, len);
    r->last_len = len;
    if (ip.proto != WI_IP_TCP || ip.is_frag)
        return;

    const uint8_t *seg = p + ip.l4_off;
    FUZZ_ASSERT(wi_csum_fold(wi_csum_add(wi_ip_pseudo_csum(&ip.src, &ip.dst, WI_IP_TCP, ip.l4_len), seg, ip.l4_len)) ==
                0xffff);
    struct wi_wire_tcp h;
    FUZZ_ASSERT(wi_wire_tcp_parse(&h, seg, ip.l4_len, ip.l4_len) == WEIR_DROP_NONE);
    unsigned i = (unsigned)(h.dst_port - FLOW_PORT);
    if (i < FLOWS)
        r->flows[i] = (struct flow){ip.is_v6, h.src_port, wi_seq_add(h.seq, wi_wire_tcp_seg_len(&h)), h.ack};
}

static unsigned rig_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct rig *r = driver;
    if (r->stalled) {
        r->stalled--;
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        uint8_t buf[PACKET_CAP];
        FUZZ_ASSERT(pkts[i]->len <= sizeof buf);
        size_t len = weir_pkt_copy(pkts[i], 0, buf, sizeof buf), off = 0;
        bool is_ip = true;
        if (r->is_ether) {
            struct wi_eth eth;
            FUZZ_ASSERT(wi_eth_parse(&eth, buf, len) == WEIR_DROP_NONE);
            is_ip = eth.type == WI_ETHERTYPE_IPV4 || eth.type == WI_ETHERTYPE_IPV6;
            off = WI_ETH_HDR;
        }
        if (is_ip)
            learn(r, buf + off, len - off);
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

static const struct weir_netif_ops rig_ops = {.xmit = rig_xmit};

/* For the next batch: `len` bytes from the network layer on. */
static void inject(struct rig *r, bool is_v6, const uint8_t *p, size_t len)
{
    uint8_t frame[WI_ETH_HDR + PACKET_CAP];
    size_t off = 0;
    if (r->is_ether) {
        struct wi_eth eth = {.type = is_v6 ? WI_ETHERTYPE_IPV6 : WI_ETHERTYPE_IPV4};
        memcpy(eth.dst, our_mac, sizeof eth.dst);
        memcpy(eth.src, peer_mac, sizeof eth.src);
        wi_eth_put(frame, &eth);
        off = WI_ETH_HDR;
    }
    memcpy(frame + off, p, len);
    struct weir_pkt *pkt = weir_pkt_from(weir_stack_pool(r->w), frame, off + len);
    if (pkt)
        r->batch[r->batch_n++] = pkt;
}

static void deliver(struct rig *r)
{
    if (r->batch_n > 0)
        weir_input(r->w, r->netif, r->batch, r->batch_n, r->now);
    while (r->batch_n > 0)
        weir_pkt_unref(r->batch[--r->batch_n]);
}

/* An IP packet around the transport part at p + room, which is `len` long; `room` bytes before it are free. */
static void inject_l4(struct rig *r, struct wi_ip_out *ip, uint8_t *p, size_t room, size_t len)
{
    ip->src = peers(ip->is_v6);
    ip->dst = ours(ip->is_v6);
    ip->ttl = 64;
    ip->l4_len = (uint32_t)len;
    size_t hdr_len = wi_ip_out_len(ip);
    FUZZ_ASSERT(hdr_len <= room);
    wi_ip_put(p + room - hdr_len, ip);
    inject(r, ip->is_v6, p + room - hdr_len, hdr_len + len);
}

static void seal(const struct wi_ip_out *ip, uint8_t *l4, size_t len, size_t csum_off)
{
    struct weir_addr src = peers(ip->is_v6), dst = ours(ip->is_v6);
    uint64_t sum = wi_ip_pseudo_csum(&src, &dst, ip->proto, (uint32_t)len);
    wi_put16(l4 + csum_off, wi_csum_finish(wi_csum_add(sum, l4, len)));
}

/* Near zero most of the time, where the edges are. */
static uint32_t near(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    if (how < 160)
        return 0;
    if (how < 240)
        return (uint32_t)(int32_t)(int8_t)fuzz_u8(&r->in);
    return (uint32_t)fuzz_u16(&r->in) << 16 | fuzz_u16(&r->in);
}

static void op_segment(struct rig *r)
{
    uint8_t p[WI_IPV6_HDR + WI_TCP_HDR_MAX + 255 * 4] = {0};
    uint8_t which = fuzz_u8(&r->in), options = fuzz_u8(&r->in);
    const struct flow *f = &r->flows[which % FLOWS];
    struct wi_ip_out ip = {.is_v6 = f->port ? f->is_v6 : which & 0x80, .proto = WI_IP_TCP, .tos = which >> 2 & 3};
    struct wi_wire_tcp h = {
        .src_port = (uint16_t)(FLOW_PORT + which % FLOWS),
        .dst_port = f->port ? f->port : OUR_PORT,
        .seq = wi_seq_add(f->expects, near(r)),
        .ack = wi_seq_add(f->next, near(r)),
        .flags = fuzz_u16(&r->in) & 0x1ff,
        .wnd = fuzz_u16(&r->in),
        .urg = options & 0x40 ? fuzz_u16(&r->in) : 0,
        .mss = options & 1 ? fuzz_u16(&r->in) : 0,
        .has_wscale = options & 2,
        .wscale = options & 2 ? fuzz_u8(&r->in) : 0,
        .sack_ok = options & 4,
        .has_ts = options & 8,
        .tsval = options & 8 ? near(r) : 0,
        .tsecr = options & 8 ? near(r) : 0,
        .sack_n = options & 16 ? 1 + (options >> 7) : 0,
    };
    if (which & 0x10) {
        h.accecn_kind = which & 0x20 ? WI_TCPOPT_ACCECN1 : WI_TCPOPT_ACCECN0;
        h.accecn_n = fuzz_u8(&r->in) & 3;
        for (unsigned i = 0; i < h.accecn_n; i++)
            h.accecn[i] = near(r) & 0xffffff;
    }
    for (unsigned i = 0; i < h.sack_n; i++) {
        h.sacks[i].lo = wi_seq_add(f->next, near(r));
        h.sacks[i].hi = wi_seq_add(f->next, near(r));
    }
    uint8_t *seg = p + WI_IPV6_HDR;
    size_t hdr_len = wi_wire_tcp_put(seg, WI_TCP_HDR_MAX, &h);
    if (hdr_len == 0)
        return;
    size_t len = hdr_len + (options & 32 ? fuzz_u8(&r->in) * 4u : 0);
    for (unsigned i = 0; i <= r->run; i++) {
        seal(&ip, seg, len, WI_TCP_CSUM_OFF);
        inject_l4(r, &ip, p, WI_IPV6_HDR, len);
        h.seq = wi_seq_add(h.seq, (uint32_t)(len - hdr_len));
        wi_wire_tcp_put(seg, WI_TCP_HDR_MAX, &h);
    }
}

static void op_datagram(struct rig *r)
{
    uint8_t p[WI_IPV6_HDR + WI_UDP_HDR + 255] = {0};
    uint8_t which = fuzz_u8(&r->in), len = fuzz_u8(&r->in);
    struct wi_ip_out ip = {.is_v6 = which & 1, .proto = WI_IP_UDP};
    struct wi_wire_udp h = {
        .src_port = FLOW_PORT, .dst_port = which & 2 ? OUR_PORT : fuzz_u16(&r->in), .data_len = len};
    wi_wire_udp_put(p + WI_IPV6_HDR, &h);
    seal(&ip, p + WI_IPV6_HDR, WI_UDP_HDR + (size_t)len, 6);
    inject_l4(r, &ip, p, WI_IPV6_HDR, WI_UDP_HDR + (size_t)len);
}

/* An ICMP message of any type, about what the stack sent last. */
static void op_icmp(struct rig *r)
{
    uint8_t p[WI_IPV6_HDR + WI_ICMP_HDR + 128];
    uint8_t *m = p + WI_IPV6_HDR;
    bool is_v6 = r->last_len > 0 && r->last[0] >> 4 == 6;
    struct wi_ip_out ip = {.is_v6 = is_v6, .proto = is_v6 ? WI_IP_ICMPV6 : WI_IP_ICMP};
    for (unsigned i = 0; i < WI_ICMP_HDR; i++)
        m[i] = fuzz_u8(&r->in);
    size_t quote = r->last_len < 128 ? r->last_len : 128;
    memcpy(m + WI_ICMP_HDR, r->last, quote);
    struct weir_addr src = peers(is_v6), dst = ours(is_v6);
    wi_icmp_seal(m, WI_ICMP_HDR + quote, is_v6, &src, &dst);
    inject_l4(r, &ip, p, WI_IPV6_HDR, WI_ICMP_HDR + quote);
}

static void op_fragment(struct rig *r)
{
    uint8_t p[WI_IPV6_HDR + WI_IPV6_FRAG_HDR + 256] = {0};
    uint8_t which = fuzz_u8(&r->in);
    struct wi_ip_out ip = {
        .is_v6 = which & 1,
        .proto = which & 2 ? WI_IP_UDP : WI_IP_TCP,
        .mf = which & 4,
        .frag_id = which >> 6,
        .frag_off = (which & 8 ? fuzz_u16(&r->in) % 8000u : fuzz_u8(&r->in) % 8u) * 8u,
    };
    size_t len;
    const uint8_t *bytes = fuzz_bytes(&r->in, fuzz_u8(&r->in), &len);
    if (len)
        memcpy(p + WI_IPV6_HDR + WI_IPV6_FRAG_HDR, bytes, len);
    inject_l4(r, &ip, p, WI_IPV6_HDR + WI_IPV6_FRAG_HDR, ip.mf ? len & ~(size_t)7 : len);
}

static void op_raw(struct rig *r)
{
    size_t len;
    const uint8_t *bytes = fuzz_bytes(&r->in, fuzz_u8(&r->in) * 2u, &len);
    struct weir_pkt *pkt = weir_pkt_from(weir_stack_pool(r->w), bytes, len);
    if (!pkt)
        return;
    weir_input(r->w, r->netif, &pkt, 1, r->now);
    weir_pkt_unref(pkt);
}

static void op_time(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    weir_ns due = weir_deadline(r->w);
    if (how & 1 && due != WEIR_NEVER)
        r->now = due > r->now ? due : r->now;
    else
        r->now += WEIR_MS(1) << (how >> 4);
    weir_advance(r->w, r->now);
}

static void keep(struct rig *r, weir_fd fd)
{
    if (fd < 0)
        return;
    if (r->fd_n < FDS)
        r->fds[r->fd_n++] = fd;
    else
        weir_close(r->w, fd);
}

static void op_open(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    bool is_v6 = how & 1, is_tcp = how & 2;
    weir_fd fd =
        weir_socket(r->w, is_v6 ? WEIR_AF_INET6 : WEIR_AF_INET, is_tcp ? WEIR_SOCK_STREAM : WEIR_SOCK_DGRAM, 0);
    if (fd < 0)
        return;
    uint16_t family = is_v6 ? WEIR_AF_INET6 : WEIR_AF_INET;
    struct weir_sockaddr here = {.addr = weir_addr_any(family), .family = family, .port = OUR_PORT};
    struct weir_sockaddr there = {
        .addr = how & 4 ? ours(is_v6) : peers(is_v6), .family = family, .port = (uint16_t)(FLOW_PORT + (how >> 6))};
    if (how & 8)
        weir_bind(r->w, fd, &here);
    if (how & 16)
        weir_listen(r->w, fd, how >> 6);
    if (how & 32)
        weir_connect(r->w, fd, &there);
    keep(r, fd);
}

static void op_option(struct rig *r, weir_fd fd)
{
    static const int levels[] = {WEIR_SOL_SOCKET, WEIR_SOL_IP, WEIR_SOL_IPV6, WEIR_SOL_TCP};
    uint8_t how = fuzz_u8(&r->in);
    int name = fuzz_u8(&r->in), level = name >= 0xf0 ? WEIR_SOL_WEIR : levels[how & 3];
    name = level == WEIR_SOL_WEIR ? name & 3 : name;
    uint8_t value[256] = {fuzz_u8(&r->in), fuzz_u8(&r->in), 0, 0, fuzz_u8(&r->in)};
    uint32_t len = how & 4 ? 4 : how >> 3;
    if (how & 0x80)
        weir_getsockopt(r->w, fd, level, name, value, &len);
    else
        weir_setsockopt(r->w, fd, level, name, value, len);
}

static void op_socket(struct rig *r)
{
    static uint8_t buf[8192]; /* contents don't matter */
    uint8_t how = fuzz_u8(&r->in);
    if (r->fd_n == 0)
        return;
    unsigned i = (how >> 4) % r->fd_n;
    weir_fd fd = r->fds[i];
    size_t len = (size_t)fuzz_u8(&r->in) * 32;
    struct weir_sockaddr from;
    struct weir_pollfd poll = {fd, 0x7fff, 0};
    int value;

    switch (how & 15) {
    case 0: keep(r, weir_accept(r->w, fd, &from)); break;
    case 1:
    case 2: weir_send(r->w, fd, buf, len, 0); break;
    case 3: weir_send(r->w, fd, buf, len, WEIR_MSG_MORE | (len & 32 ? WEIR_MSG_OOB : 0)); break;
    case 4:
    case 5: weir_recv(r->w, fd, buf, len, 0); break;
    case 6: weir_recvfrom(r->w, fd, buf, len, WEIR_MSG_PEEK | (len & 32 ? WEIR_MSG_OOB : 0), &from); break;
    case 7: weir_shutdown(r->w, fd, (int)(len / 32 % 4)); break;
    case 8: op_option(r, fd); break;
    case 9: weir_ioctl(r->w, fd, WEIR_SIOCINQ, &value); break;
    case 10: weir_poll(r->w, &poll, 1); break;
    case 11:
        weir_getpeername(r->w, fd, &from);
        if (len & 32)
            weir_tcp_admit(r->w, fd);
        else
            weir_tcp_refuse(r->w, fd, len & 64 ? WEIR_ECONNREFUSED : len & 128 ? WEIR_EHOSTUNREACH : 0);
        break;
    case 12: weir_abort(r->w, fd); break;
    case 13: keep(r, weir_epoll_create(r->w)); break;
    case 14: {
        struct weir_epoll_event ev[4] = {{(uint32_t)len << 19 | 0x2fff, 1}};
        weir_epoll_ctl(r->w, fd, 1 + (int)(len / 32 % 3), r->fds[fuzz_u8(&r->in) % r->fd_n], ev);
        weir_epoll_wait(r->w, fd, ev, 4);
        break;
    }
    default:
        weir_close(r->w, fd);
        r->fds[i] = r->fds[r->fd_n - 1];
        r->fd_n--;
        break;
    }
}

static void op_link(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    r->stalled = how & 7;
    r->run = how >> 4;
    if (r->stalled == 0)
        weir_netif_tx_ready(r->w, r->netif);
}

static void op(struct rig *r)
{
    switch (fuzz_u8(&r->in) % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: op_segment(r); break;
    case 6: op_datagram(r); break;
    case 7: op_icmp(r); break;
    case 8: op_fragment(r); break;
    case 9: op_raw(r); break;
    case 10:
    case 11: op_time(r); break;
    case 12: op_open(r); break;
    case 13: op_link(r); break;
    default: op_socket(r); break;
    }
    deliver(r);
}

/* A listener and a UDP socket, so that there is somebody at home. */
static void open_usual(struct rig *r)
{
    struct weir_sockaddr here = {.addr = weir_addr_any(WEIR_AF_INET6), .family = WEIR_AF_INET6, .port = OUR_PORT};
    weir_fd tcp = weir_socket(r->w, WEIR_AF_INET6, WEIR_SOCK_STREAM, 0);
    weir_fd udp = weir_socket(r->w, WEIR_AF_INET6, WEIR_SOCK_DGRAM, 0);
    if (weir_bind(r->w, tcp, &here) == 0)
        weir_listen(r->w, tcp, 2);
    weir_bind(r->w, udp, &here);
    keep(r, tcp);
    keep(r, udp);
}

static bool set_up(struct rig *r)
{
    uint8_t how = fuzz_u8(&r->in);
    r->is_ether = how & 1;
    r->now = WEIR_SEC(1000);
    struct weir_config cfg = {
        .alloc = {rig_alloc, rig_free, r}, .mem_limit = MEM_LIMIT, .now = r->now, .seed = 1, .sockets_max = 64};
    r->w = weir_new(&cfg);
    if (!r->w)
        return false;

    (void)weir_sysctl_set(r->w, "tcp_ecn", how & 4 ? "3" : "1");
    if (how & 8)
        (void)weir_sysctl_set(r->w, "tcp_park_idle_ms", "0"); /* whoever idles is parked at once */
    struct weir_netif_config netif = {
        .name = "fuzz0", .type = r->is_ether ? WEIR_LINK_ETHERNET : WEIR_LINK_RAW_IP, .mtu = 1500, .tx_queue_pkts = 16};
    memcpy(netif.mac, our_mac, sizeof netif.mac);
    r->netif = weir_netif_add(r->w, &rig_ops, r, &netif);
    for (int is_v6 = 0; is_v6 < 2; is_v6++) {
        struct weir_addr here = ours(is_v6), there = peers(is_v6);
        weir_addr_add(r->w, r->netif, &here, is_v6 ? 64 : 24);
        if (r->is_ether && how & 2)
            weir_neigh_set(r->w, r->netif, &there, peer_mac);
    }
    open_usual(r);
    r->refuse_every = how >> 4 ? 3u + (how >> 4) * 7u : 0; /* only once there is a stack to be tried */
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rig r = {.in = {data, n}};
    if (!set_up(&r))
        return 0;
    for (unsigned i = 0; i < OPS_MAX && r.in.n > 0; i++) {
        op(&r);
        const char *broken = weir_check(r.w);
        if (broken)
            fprintf(stderr, "%s:%d: broken invariant after operation %u: %s\n", __FILE__, __LINE__, i, broken);
        FUZZ_ASSERT(!broken);
        FUZZ_ASSERT(weir_mem_used(r.w) <= MEM_LIMIT);
    }
    weir_free(r.w);
    FUZZ_ASSERT(r.used == 0);
    return 0;
}
