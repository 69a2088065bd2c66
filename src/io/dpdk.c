/*
 * A port of DPDK (driver.h). DPDK has no descriptor to wait on: its owner asks again and again.
 *
 * DPDK's environment is the process's: the first port opened starts it, and it stays. In: mbufs are lent to the stack,
 * each with its block in its private area; small packets are copied, and all of them while the stack holds half of the
 * pool, so that the port never runs dry. Out: packets are copied into mbufs.
 */
#include "io/driver_kind.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_N     1024
#define SHARES     4   /* mbufs, in rings: in, out, and two that the stack may hold */
#define COPY_BYTES 256 /* as they fit into a packet's head */
#define BATCH      32
#define ARGS_MAX   32
#define MBUF_BYTES (RTE_MBUF_DEFAULT_BUF_SIZE)

struct dpdk_queue {
    struct wio_queue q;
    struct rte_mempool *pool;
    uint16_t port, index;
    uint32_t ring;
    uint32_t lent;  /* mbufs that the stack holds */
    bool is_closed; /* the last of them that comes back ends the queue */
};

/* In an mbuf's private area. */
struct lent_mbuf {
    struct weir_block block; /* first: a block is its mbuf's */
    struct dpdk_queue *queue;
    struct rte_mbuf *mbuf;
};

/* ---- Opening ---- */

static int fail(const struct wio_err *err, const char *what, const char *step, int e)
{
    return wio_fail(err, what, "%s: %s", step, rte_strerror(e < 0 ? -e : e));
}

/* Start DPDK with the words of eal=, which stand between ';'. */
static int start(const struct wio_driver_spec *s, const struct wio_err *err)
{
    static bool is_started;
    char text[sizeof s->eal + 128], *rest = NULL, *args[ARGS_MAX];
    int n = 0;
    if (is_started)
        return s->eal[0] ? wio_fail(err, "dpdk", "DPDK runs already: say eal= with the first device only") : 0;
    /* one lcore, free to run on any CPU: DPDK would pin this thread otherwise */
    snprintf(text, sizeof text, "weir;%s;%s;--no-telemetry;--log-level=error;--lcores=0@(0-%u);%s",
             strstr(s->eal, "--no-huge") ? "--no-shconf" : "--in-memory", /* leave no files; one excludes the other */
             strchr(s->device, ':') ? "--no-telemetry" : "--no-pci",      /* touch no hardware that was not asked for */
             (unsigned)(sysconf(_SC_NPROCESSORS_ONLN) - 1) & 0xffff, s->eal);
    for (char *w = strtok_r(text, ";", &rest); w && n < ARGS_MAX; w = strtok_r(NULL, ";", &rest))
        args[n++] = w;
    if (rte_eal_init(n, args) < 0)
        return wio_fail(err, "dpdk",
                        "it does not start: %s (without huge pages say eal=--no-huge;-m;256; its own words tell more: "
                        "eal=--log-level=info)",
                        rte_strerror(rte_errno));
    is_started = true;
    return 0;
}

/* A device that is not there yet is made or attached: "net_ring0" by a driver of DPDK, "0000:03:00.0" a PCI device. */
static int attach(const struct wio_driver_spec *s, uint16_t *port, const struct wio_err *err)
{
    char args[sizeof s->args];
    memcpy(args, s->args, sizeof args);
    for (char *c = args; *c; c++)
        *c = *c == ';' ? ',' : *c;
    if (rte_eth_dev_get_port_by_name(s->device, port) == 0)
        return 0;
    int e = rte_eal_hotplug_add(strchr(s->device, ':') ? "pci" : "vdev", s->device, args);
    if (e == 0)
        e = rte_eth_dev_get_port_by_name(s->device, port);
    return e < 0 ? wio_fail(err, s->device,
                            "DPDK can't make or find it: %s (write dpdk:net_tap0 or dpdk:0000:03:00.0, and what the "
                            "device needs as args=iface=eth0)",
                            rte_strerror(-e))
                 : 0;
}

static int dpdk_open(struct wio_driver *d, const struct wio_driver_spec *s, const struct wio_err *err)
{
    struct rte_ether_addr mac;
    struct rte_eth_dev_info info;
    struct rte_eth_conf conf = {0};
    uint16_t port = 0, mtu = 0, n = (uint16_t)s->queue_n;
    uint8_t key[WEIR_RSS_KEY_LEN];
    memcpy(key, weir_rss_key_microsoft, sizeof key);
    const uint64_t tx = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
    if (start(s, err) < 0 || attach(s, &port, err) < 0)
        return -1;
    int e = rte_eth_dev_info_get(port, &info);
    if (e == 0)
        e = rte_eth_macaddr_get(port, &mac);
    if (e == 0)
        e = rte_eth_dev_get_mtu(port, &mtu);
    if (e < 0)
        return fail(err, s->device, "asking the port", e);
    if (s->has_offloads && (info.tx_offload_capa & tx) == tx) {
        conf.txmode.offloads |= tx;
        d->netif.caps |= WEIR_CAP_TX_CSUM;
    }
    if (s->has_offloads)
        conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
    conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
    if (n > 1 && (info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP))) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf =
            info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
        if (info.hash_key_size == WEIR_RSS_KEY_LEN) { /* the shards' (weir/shard.h); else its own */
            conf.rx_adv_conf.rss_conf.rss_key = key;
            conf.rx_adv_conf.rss_conf.rss_key_len = WEIR_RSS_KEY_LEN;
        }
    }
    e = rte_eth_dev_configure(port, n, n, &conf);
    if (e < 0)
        return fail(err, s->device, "so many queues", e);
    snprintf(d->name, sizeof d->name, "%s", s->device);
    d->port = port;
    d->is_busy = true;
    d->netif.type = WEIR_LINK_ETHERNET;
    d->netif.mtu = mtu;
    if (strcmp(info.driver_name, "net_tap") == 0 || rte_is_zero_ether_addr(&mac)) /* a TAP's is its kernel end's */
        return wio_random_mac(d->netif.mac) < 0 ? fail(err, s->device, "an address", errno) : 0;
    memcpy(d->netif.mac, mac.addr_bytes, sizeof d->netif.mac);
    return 0;
}

static void queue_end(struct dpdk_queue *k)
{
    rte_mempool_free(k->pool);
    free(k);
}

/* When the last queue is there, the port begins. */
static int begin(const struct wio_driver *d, const struct wio_driver_spec *s)
{
    struct rte_ether_addr own;
    int e = rte_eth_dev_start(d->port);
    if (e == 0)
        rte_eth_allmulticast_enable(d->port); /* where it can't, it hears all groups anyway, or the link has none */
    if (e == 0)
        e = rte_eth_macaddr_get(d->port, &own);
    if (e == 0 && ((s->words & 1u << WIO_WORD_MAC) || memcmp(own.addr_bytes, d->netif.mac, sizeof d->netif.mac) != 0))
        e = rte_eth_promiscuous_enable(d->port);
    return e;
}

static struct wio_queue *queue_open(struct wio_driver *d, const struct wio_driver_spec *s, unsigned i,
                                    const struct wio_err *err)
{
    struct dpdk_queue *k = wio_lines_new(sizeof *k);
    char name[RTE_MEMPOOL_NAMESIZE];
    if (!k) {
        fail(err, s->device, "memory", ENOMEM);
        return NULL;
    }
    k->q.fd = -1;
    k->port = d->port;
    k->index = (uint16_t)i;
    k->ring = s->ring ? s->ring : RING_N;
    snprintf(name, sizeof name, "weir-%u-%u", k->port, k->index);
    int socket = rte_eth_dev_socket_id(k->port);
    k->pool = rte_pktmbuf_pool_create(name, SHARES * k->ring - 1, 32, RTE_ALIGN(sizeof(struct lent_mbuf), 8),
                                      MBUF_BYTES, socket);
    int e = k->pool ? 0 : -rte_errno;
    if (e == 0)
        e = rte_eth_rx_queue_setup(k->port, k->index, (uint16_t)k->ring, (unsigned)socket, NULL, k->pool);
    if (e == 0)
        e = rte_eth_tx_queue_setup(k->port, k->index, (uint16_t)k->ring, (unsigned)socket, NULL);
    if (e == 0 && i + 1 == s->queue_n)
        e = begin(d, s);
    if (e == 0)
        return &k->q;
    fail(err, s->device, "setting up a queue (with ENOMEM: a smaller ring=, or more memory by eal=-m;512)", e);
    queue_end(k);
    return NULL;
}

static void queue_close(struct wio_queue *q)
{
    struct dpdk_queue *k = (struct dpdk_queue *)q;
    if (q->driver->queue_n == 0) { /* the last one */
        rte_eth_dev_stop(k->port);
        rte_eth_dev_close(k->port);
    }
    k->is_closed = true;
    if (k->lent == 0)
        queue_end(k);
}

/* ---- Out ---- */

static void describe(struct rte_mbuf *m, const struct weir_pkt *p)
{
    const uint8_t *hdr = p->room + p->head_off;
    if (!(p->flags & WEIR_PKT_CSUM_PARTIAL))
        return;
    bool is_v4 = hdr[p->l3_off] >> 4 == 4;
    uint8_t proto = hdr[p->l3_off + (is_v4 ? 9 : 6)];
    m->l2_len = p->l3_off & 0x7fu;
    m->l3_len = (uint64_t)(p->l4_off - p->l3_off) & 0x1ff;
    m->ol_flags |= is_v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
    m->ol_flags |= proto == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
}

/* What no port can be told: ICMPv6, and transports behind extension headers. Then the checksum is finished here. */
static bool must_sum(const struct weir_pkt *p)
{
    const uint8_t *ip = p->room + p->head_off + p->l3_off;
    uint8_t proto = ip[0] >> 4 == 4 ? ip[9] : ip[6];
    return (p->flags & WEIR_PKT_CSUM_PARTIAL) && proto != IPPROTO_TCP && proto != IPPROTO_UDP;
}

/* NULL: no mbuf is left. */
static struct rte_mbuf *copy_out(struct dpdk_queue *k, const struct weir_pkt *p)
{
    struct rte_mbuf *first = rte_pktmbuf_alloc(k->pool), *last = first;
    size_t off = 0;
    while (last) {
        uint16_t room = rte_pktmbuf_tailroom(last);
        uint16_t n = p->len - off < room ? (uint16_t)(p->len - off) : room;
        weir_pkt_copy(p, off, rte_pktmbuf_mtod(last, uint8_t *), n);
        last->data_len = n;
        off += n;
        if (off == p->len)
            break;
        last = last->next = rte_pktmbuf_alloc(k->pool);
        if (last)
            first->nb_segs++;
    }
    if (!last) {
        rte_pktmbuf_free(first);
        return NULL;
    }
    first->pkt_len = p->len;
    describe(first, p);
    return first;
}

static unsigned send_batch(struct dpdk_queue *k, struct weir_pkt **pkts, unsigned n)
{
    struct rte_mbuf *out[BATCH];
    unsigned put = 0;
    for (; put < n; put++) {
        if (must_sum(pkts[put]))
            (void)weir_pkt_checksum(pkts[put]); /* the stack wrote its headers */
        out[put] = copy_out(k, pkts[put]);
        if (!out[put])
            break;
    }
    unsigned sent = rte_eth_tx_burst(k->port, k->index, out, (uint16_t)put);
    for (unsigned i = sent; i < put; i++)
        rte_pktmbuf_free(out[i]);
    for (unsigned i = 0; i < sent; i++)
        weir_pkt_unref(pkts[i]);
    k->q.stats.tx += sent;
    return sent;
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct dpdk_queue *k = driver;
    unsigned done = 0;
    while (done < n) {
        unsigned want = n - done < BATCH ? n - done : BATCH, sent = send_batch(k, pkts + done, want);
        done += sent;
        if (sent < want) {
            k->q.is_blocked = true;
            break;
        }
    }
    return done;
}

/* ---- In ---- */

static void give_back(struct weir_block *block)
{
    struct lent_mbuf *l = (struct lent_mbuf *)block;
    struct dpdk_queue *k = l->queue;
    rte_pktmbuf_free_seg(l->mbuf);
    k->lent--;
    if (k->is_closed && k->lent == 0)
        queue_end(k);
}

static struct weir_pkt *copy_in(struct weir_pool *pool, struct rte_mbuf *m)
{
    uint8_t small[COPY_BYTES];
    struct weir_pkt *p = NULL;
    if (m->pkt_len <= sizeof small) {
        const void *bytes = rte_pktmbuf_read(m, 0, m->pkt_len, small);
        p = bytes ? wio_pkt_copy(pool, NULL, bytes, m->pkt_len) : NULL;
    } else {
        struct weir_block *b = weir_block_new(pool, m->pkt_len);
        const void *bytes = b ? rte_pktmbuf_read(m, 0, m->pkt_len, b->data) : NULL;
        p = bytes ? weir_pkt_new(pool, 0) : NULL;
        if (p && bytes != b->data)
            memcpy(b->data, bytes, m->pkt_len);
        if (p)
            weir_pkt_append(p, b, 0, m->pkt_len);
        if (b)
            weir_block_unref(b);
    }
    rte_pktmbuf_free(m);
    return p;
}

/* NULL: no memory. The mbuf is the packet's, or given back. */
static struct weir_pkt *take(struct dpdk_queue *k, struct weir_pool *pool, struct rte_mbuf *m)
{
    bool is_good = (m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    bool must_copy = m->nb_segs > WEIR_PKT_FRAGS || k->lent + m->nb_segs > SHARES * k->ring / 2;
    struct weir_pkt *p;
    if (m->pkt_len <= COPY_BYTES || must_copy) {
        k->q.stats.rx_copied += must_copy;
        p = copy_in(pool, m);
    } else if ((p = weir_pkt_new(pool, 0))) {
        for (struct rte_mbuf *next; m; m = next) {
            struct lent_mbuf *l = rte_mbuf_to_priv(m);
            next = m->next;
            m->next = NULL;
            m->nb_segs = 1;
            weir_block_lend(&l->block, rte_pktmbuf_mtod(m, uint8_t *), m->data_len, give_back);
            l->queue = k;
            l->mbuf = m;
            k->lent++;
            weir_pkt_append(p, &l->block, 0, m->data_len);
            weir_block_unref(&l->block);
        }
    } else {
        rte_pktmbuf_free(m);
    }
    if (p && is_good)
        p->flags |= WEIR_PKT_CSUM_OK;
    return p;
}

static unsigned recv_batch(struct wio_queue *q, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    struct dpdk_queue *k = (struct dpdk_queue *)q;
    struct rte_mbuf *in[BATCH];
    unsigned got = 0, n = BATCH;
    while (n == BATCH && cap - got >= BATCH) {
        n = rte_eth_rx_burst(k->port, k->index, in, BATCH);
        for (unsigned i = 0; i < n; i++) {
            struct weir_pkt *p = take(k, pool, in[i]);
            if (p)
                pkts[got++] = p;
            else
                q->stats.rx_no_memory++;
        }
    }
    q->stats.rx += got;
    return got;
}

static void update_stats(struct wio_queue *q)
{
    struct rte_eth_stats s;
    if (rte_eth_stats_get(((struct dpdk_queue *)q)->port, &s) == 0)
        q->stats.rx_ring_full = s.imissed + s.rx_nombuf;
}

const struct wio_driver_kind wio_kind_dpdk = {
    .name = "dpdk",
    .words = 1u << WIO_WORD_QUEUES | 1u << WIO_WORD_MAC | 1u << WIO_WORD_MTU | 1u << WIO_WORD_OFFLOAD |
             1u << WIO_WORD_RING | 1u << WIO_WORD_ARGS | 1u << WIO_WORD_EAL,
    .open = dpdk_open,
    .queue_open = queue_open,
    .queue_close = queue_close,
    .recv = recv_batch,
    .netif_ops = {.xmit = xmit},
    .stats = update_stats,
};
