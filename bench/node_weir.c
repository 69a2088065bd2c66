/*
 * weir as a node (node.h). Its interface sends into an array; pump passes that to the peer's weir_input as one batch.
 */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

#define BATCH    256
#define RX_BLOCK 65536
#define FRAME    1514u /* the longest, with Ethernet's header */
#define LINE     64u
#define FRAME_AT (LINE - 52u) /* in a cache line, so that what is behind the headers of IPv4 and TCP begins at one */

struct bench_node {
    struct weir *w;
    struct bench_node *peer;
    int netif;
    enum bench_join join;
    int family;
    enum weir_link_type type;
    struct weir_shard shard;
    struct weir_rss rss; /* each shard has a copy: they read it all the time */
    struct weir_addr addr, peer_addr;
    uint64_t now_ns;
    uint64_t mem_bytes;
    struct weir_block *rx; /* what this node's driver receives into, frame behind frame */
    uint32_t rx_used;
    unsigned out_n;
    struct weir_pkt *out[BATCH];
};

static int64_t must(const char *what, int64_t ret)
{
    if (ret < 0) {
        fprintf(stderr, "bench-stacks: weir: %s: %s\n", what, weir_strerror((int)ret));
        exit(1);
    }
    return ret;
}

static void about(char *buf, size_t cap)
{
    snprintf(buf, cap, "%s; defaults: SACK, timestamps, window scale, CUBIC", WEIR_VERSION);
}

static void *node_alloc(void *ctx, size_t size)
{
    struct bench_node *n = ctx;
    void *p = malloc(size);
    if (p)
        n->mem_bytes += size;
    return p;
}

static void node_free(void *ctx, void *p, size_t size)
{
    struct bench_node *n = ctx;
    n->mem_bytes -= size;
    free(p);
}

/* Room for a frame in the node's receive buffer: 64 KiB of its own pool, which frames share. */
static uint8_t *rx_room(struct bench_node *n)
{
    if (n->rx && n->rx_used + FRAME <= n->rx->cap)
        return n->rx->data + n->rx_used;
    if (n->rx)
        weir_block_unref(n->rx);
    n->rx = weir_block_new(weir_stack_pool(n->w), RX_BLOCK);
    n->rx_used = FRAME_AT;
    return n->rx ? n->rx->data + n->rx_used : NULL;
}

/* The wire: what the receiver's driver would have read. False, and nothing done: there is no room for all of the
 * packet's frames. */
static bool put_frames(struct bench_node *node, const struct weir_pkt *p)
{
    struct bench_node *peer = node->peer;
    struct weir_cut cut;
    if (weir_pkt_segment_count(p) > BATCH - node->out_n)
        return false;
    must("a frame", weir_cut_begin(&cut, p));
    for (;;) {
        uint8_t *to = rx_room(peer);
        uint32_t len = to ? weir_cut_write(&cut, to, FRAME) : 0;
        if (len == 0)
            break;
        struct weir_pkt *frame = weir_pkt_new(weir_stack_pool(peer->w), 0);
        if (!frame || weir_pkt_append(frame, peer->rx, peer->rx_used, len) < 0)
            must("a frame", -WEIR_ENOMEM);
        peer->rx_used += (len + LINE - 1) / LINE * LINE;
        node->out[node->out_n++] = frame;
    }
    if (weir_cut_len(&cut) > 0)
        must("a frame", -WEIR_ENOMEM);
    return true;
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct bench_node *node = driver;
    for (unsigned i = 0; i < n; i++) {
        struct weir_pkt *p = pkts[i];
        if (node->join == BENCH_WIRE) {
            if (!put_frames(node, p))
                return i;
            weir_pkt_unref(p);
            continue;
        }
        if (node->out_n == BATCH)
            return i;
        p->flags |= WEIR_PKT_CSUM_OK;
        node->out[node->out_n++] = p;
    }
    return n;
}

static const struct weir_netif_ops netif_ops = {xmit};

static struct weir_addr node_addr(unsigned side, int family)
{
    uint8_t last = (uint8_t)(1 + side);
    return family == WEIR_AF_INET ? weir_addr_v4(10, 0, 0, last) : (struct weir_addr){{0xfd, [15] = last}};
}

/* Both hosts have as many shards and a key that is the same both ways, so the peer of a flow's shard has its number. */
static const struct weir_shard *make_shard(struct bench_node *n, struct bench_place at)
{
    must("shards", weir_rss_init(&n->rss, weir_rss_key_symmetric, at.shard_n));
    n->shard = (struct weir_shard){.rss = &n->rss, .index = at.shard};
    return at.shard_n > 1 ? &n->shard : NULL;
}

static struct bench_node *open_with(struct bench_place at, enum bench_join join, int family, enum weir_link_type type)
{
    unsigned side = at.side;
    struct bench_node *n = calloc(1, sizeof *n);
    if (!n)
        must("memory", -WEIR_ENOMEM);
    struct weir_config c = {.alloc = {node_alloc, node_free, n}, .seed = side + 1, .shard = make_shard(n, at)};
    n->w = weir_new(&c);
    if (!n->w)
        must("weir_new", -WEIR_ENOMEM);
    n->join = join;
    n->family = family;
    n->type = type;
    n->addr = node_addr(side, family);
    n->peer_addr = node_addr(1 - side, family);
    struct weir_netif_config nc = {
        .name = "mem",
        .type = type,
        .mac = {2, [5] = (uint8_t)(1 + side)},
        .mtu = BENCH_MTU,
        .caps = WEIR_CAP_TSO | (join == BENCH_WIRE ? WEIR_CAP_TX_CSUM : 0), /* on the wire both are done in xmit */
    };
    n->netif = (int)must("interface", weir_netif_add(n->w, &netif_ops, n, &nc));
    must("address", weir_addr_add(n->w, n->netif, &n->addr, family == WEIR_AF_INET ? 24 : 64));
    return n;
}

static struct bench_node *node_open(struct bench_place at, enum bench_join join)
{
    return open_with(at, join, WEIR_AF_INET, WEIR_LINK_RAW_IP);
}

static struct bench_node *node_open_ipv6(struct bench_place at, enum bench_join join)
{
    return open_with(at, join, WEIR_AF_INET6, WEIR_LINK_RAW_IP);
}

static struct bench_node *node_open_ethernet(struct bench_place at, enum bench_join join)
{
    return open_with(at, join, WEIR_AF_INET, WEIR_LINK_ETHERNET);
}

static void node_join(struct bench_node *a, struct bench_node *b)
{
    a->peer = b;
    b->peer = a;
}

static void node_end(struct bench_node *a, struct bench_node *b)
{
    struct bench_node *both[] = {a, b};
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = 0; i < both[k]->out_n; i++)
            weir_pkt_unref(both[k]->out[i]);
        if (both[k]->rx)
            weir_block_unref(both[k]->rx);
        weir_free(both[k]->w);
    }
    free(a);
    free(b);
}

static void node_advance(struct bench_node *n, uint64_t now_ns)
{
    n->now_ns = now_ns;
    weir_advance(n->w, now_ns);
}

/* What a device's receive side scaling would do, and weir's own does where it can't. */
static void check_steering(const struct bench_node *n)
{
    const struct bench_node *peer = n->peer;
    for (unsigned i = 0; i < n->out_n; i++) {
        unsigned to = weir_steer(&peer->rss, peer->type, n->out[i]);
        if (to != peer->shard.index && to != WEIR_SHARD_ALL)
            must("a packet came to another shard", -WEIR_EINVAL);
    }
}

static unsigned node_pump(struct bench_node *n)
{
    unsigned count = n->out_n;
    if (count == 0)
        return 0;
    struct bench_node *peer = n->peer;
    if (peer->rss.shard_n > 1)
        check_steering(n);
    weir_input(peer->w, peer->netif, n->out, count, peer->now_ns);
    for (unsigned i = 0; i < count; i++)
        weir_pkt_unref(n->out[i]);
    n->out_n = 0;
    if (count > BATCH / 2)
        weir_netif_tx_ready(n->w, n->netif);
    return count;
}

static bench_conn node_listen(struct bench_node *n, uint16_t port)
{
    struct weir_sockaddr at = {.addr = n->addr, .family = (uint16_t)n->family, .port = port};
    weir_fd fd = must("socket", weir_socket(n->w, n->family, WEIR_SOCK_STREAM, 0));
    must("bind", weir_bind(n->w, fd, &at));
    must("listen", weir_listen(n->w, fd, 128));
    return fd;
}

static void set_nodelay(struct bench_node *n, weir_fd fd)
{
    int one = 1;
    must("TCP_NODELAY", weir_setsockopt(n->w, fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY, &one, sizeof one));
}

static bench_conn node_connect(struct bench_node *n, uint16_t port)
{
    struct weir_sockaddr to = {.addr = n->peer_addr, .family = (uint16_t)n->family, .port = port};
    weir_fd fd = must("socket", weir_socket(n->w, n->family, WEIR_SOCK_STREAM, 0));
    set_nodelay(n, fd);
    int err = weir_connect(n->w, fd, &to);
    if (err != -WEIR_EINPROGRESS)
        must("connect", err);
    return fd;
}

static bench_conn node_accept(struct bench_node *n, bench_conn listener)
{
    weir_fd fd = weir_accept(n->w, listener, NULL);
    if (fd == -WEIR_EAGAIN)
        return -1;
    set_nodelay(n, must("accept", fd));
    return fd;
}

static size_t node_send(struct bench_node *n, bench_conn fd, const void *data, size_t len)
{
    int64_t ret = weir_send(n->w, fd, data, len, 0);
    return ret == -WEIR_EAGAIN ? 0 : (size_t)must("send", ret);
}

static size_t node_recv(struct bench_node *n, bench_conn fd, void *buf, size_t cap)
{
    int64_t ret = weir_recv(n->w, fd, buf, cap, 0);
    return ret == -WEIR_EAGAIN ? 0 : (size_t)must("recv", ret);
}

static void node_shut(struct bench_node *n, bench_conn fd)
{
    must("close", weir_close(n->w, fd));
}

static void node_arm(struct bench_node *n, bench_conn fd)
{
    int one = 1;
    must("SO_KEEPALIVE", weir_setsockopt(n->w, fd, WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE, &one, sizeof one));
}

static uint64_t mem_bytes(const struct bench_node *n)
{
    return n->mem_bytes;
}

#define NODE(its_name, its_open)                                                                                       \
    {                                                                                                                  \
        .name = (its_name), .joins = 1 << BENCH_WIRE | 1 << BENCH_SUPER, .can_share = true, .about = about,            \
        .open = (its_open), .join = node_join, .free = node_end, .advance = node_advance, .pump = node_pump,           \
        .listen = node_listen, .connect = node_connect, .accept = node_accept, .send = node_send, .recv = node_recv,   \
        .close = node_shut, .arm = node_arm, .mem_bytes = mem_bytes,                                                   \
    }

const struct bench_stack bench_weir = NODE("weir", node_open);
const struct bench_stack bench_weir_ipv6 = NODE("weir-ipv6", node_open_ipv6);
const struct bench_stack bench_weir_ethernet = NODE("weir-ethernet", node_open_ethernet);
