/*
 * An existing Ethernet interface, by AF_XDP through libxdp (driver.h). What arrives on our queues of it goes past the
 * kernel's stack; the XDP program that does so is libxdp's own, and goes when the last queue is closed.
 *
 * Each queue has a UMEM of its own, the buffers of a lender. In: a frame is lent to the stack as the packet's block,
 * and another one takes its place in the fill ring; where there is no other (the stack holds too many), or the packet
 * is small, it is copied instead, and the same frame waits for the next. So the fill ring is always full, whatever the
 * stack holds. Out: a packet is copied into a frame, which comes back by the completion ring.
 */
#include "io/driver_kind.h"
#include "io/vnet.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include <xdp/xsk.h>

#define RING_N       2048
#define HEADROOM     256 /* the kernel's, in a frame before the packet: XDP_PACKET_HEADROOM */
#define FRAME_MIN    2048
#define FRAME_MAX    4096
#define SHARES       4 /* frames, in rings: fill, out, and two that the stack may hold */
#define COPY_BYTES   256
#define KICKS_MAX    64      /* system calls for one batch: the kernel sends 32 packets a call */
#define SEND_BUFFER  8388608 /* bytes that may be on their way in copy mode */
#define BATCH        64
#define BUSY_TRIES   20
#define BUSY_WAIT_US 25000
#define KICK_N       32 /* packets that are put off at most: what the kernel sends a call */

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif

struct xdp_queue {
    struct wio_queue q;
    struct wio_lender *frames; /* the UMEM */
    struct xsk_umem *umem;
    struct xsk_socket *xsk;
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons comp, rx;
    uint32_t ring, frame_bytes;
    bool *is_out;       /* of each frame: it is in a ring. Then the reference is ours, otherwise the stack's */
    uint32_t put_off_n; /* in the ring, but the kernel was not told */
    int members_fd;     /* has joined all groups */
    bool may_owe_csums; /* a veth: what comes may owe its checksum, and nothing says so */
};

/* ---- Opening ---- */

static uint32_t frame_for(uint32_t mtu)
{
    uint32_t need = mtu + ETH_HLEN + HEADROOM;
    return need <= FRAME_MIN ? FRAME_MIN : need <= FRAME_MAX ? FRAME_MAX : 0;
}

static int xdp_open(struct wio_driver *d, const struct wio_driver_spec *s, const struct wio_err *err)
{
    if (wio_find_interface(d, s->device, err) < 0)
        return -1;
    if (!frame_for(d->netif.mtu))
        return wio_fail(err, d->name, "its MTU of %u does not fit into a frame of AF_XDP: ip link set %s mtu %u",
                        d->netif.mtu, d->name, FRAME_MAX - HEADROOM - ETH_HLEN);
    libxdp_set_print(NULL);
    libbpf_set_print(NULL);
    return 0;
}

static const char *hint_for(int e, const struct wio_driver_spec *s)
{
    switch (e) {
    case EPERM:
    case EACCES: return ": run as root, or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF";
    case EBUSY: return ": another program has that queue, or its own XDP program there (ip link show)";
    case EINVAL: return ": there is no such queue (ethtool -l shows how many), or the device's features forbid it";
    case EOPNOTSUPP:
        return s->mode == WIO_MODE_ZEROCOPY ? ": the device can't do without copies: mode=copy"
                                            : ": this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)";
    case EAFNOSUPPORT: return ": this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)";
    case ENOMEM: return ": try a smaller ring=";
    default: return "";
    }
}

static bool is_veth(const struct wio_driver *d)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq ifr = {0};
    memcpy(ifr.ifr_name, d->name, sizeof ifr.ifr_name);
    ifr.ifr_data = (char *)&info;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is = fd >= 0 && ioctl(fd, SIOCETHTOOL, &ifr) == 0 && strcmp(info.driver, "veth") == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

static uint64_t addr_of(const struct xdp_queue *x, const struct weir_block *b)
{
    return (uint64_t)(b->data - wio_lender_base(x->frames));
}

/* Frames that the kernel may write into. There is room: never more than `ring` of them are out for that. */
static void fill_add(struct xdp_queue *x, const uint64_t *addrs, uint32_t n)
{
    uint32_t at;
    if (n == 0 || xsk_ring_prod__reserve(&x->fill, n, &at) < n)
        return;
    for (uint32_t i = 0; i < n; i++) {
        *xsk_ring_prod__fill_addr(&x->fill, at + i) = addrs[i];
        x->is_out[addrs[i] / x->frame_bytes] = true;
    }
    xsk_ring_prod__submit(&x->fill, n);
}

/* 0 or a negative errno. */
static int make_umem(struct xdp_queue *x)
{
    const struct xsk_umem_config cfg = {
        .fill_size = x->ring, .comp_size = x->ring, .frame_size = x->frame_bytes, .frame_headroom = 0};
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &all); /* the frames stay in memory */
    x->frames = wio_lender_new(SHARES * x->ring, x->frame_bytes);
    x->is_out = calloc((size_t)SHARES * x->ring, sizeof *x->is_out);
    if (!x->frames || !x->is_out)
        return -ENOMEM;
    int e = xsk_umem__create(&x->umem, wio_lender_base(x->frames), (uint64_t)SHARES * x->ring * x->frame_bytes,
                             &x->fill, &x->comp, &cfg);
    if (e < 0)
        return e;
    for (uint32_t i = 0; i < x->ring; i++) {
        uint64_t addr = addr_of(x, wio_lender_take(x->frames));
        fill_add(x, &addr, 1);
    }
    return 0;
}

static int make_socket(struct xdp_queue *x, const struct wio_driver *d, const struct wio_driver_spec *s, unsigned i)
{
    struct xsk_socket_config cfg = {.rx_size = x->ring, .tx_size = x->ring, .bind_flags = XDP_USE_NEED_WAKEUP};
    int buffer = SEND_BUFFER, on = 1;
    if (s->mode == WIO_MODE_COPY)
        cfg.bind_flags |= XDP_COPY;
    else if (s->mode == WIO_MODE_ZEROCOPY)
        cfg.bind_flags |= XDP_ZEROCOPY;
    int e = -EBUSY;
    for (int tries = 0; e == -EBUSY && tries < BUSY_TRIES;
         tries++) { /* the kernel lets go of a closed queue later on */
        if (tries > 0)
            usleep(BUSY_WAIT_US);
        e = xsk_socket__create(&x->xsk, d->name, s->queue + i, x->umem, &x->rx, &x->tx, &cfg);
    }
    if (e < 0)
        return e;
    x->q.fd = xsk_socket__fd(x->xsk);
    if (setsockopt(x->q.fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) < 0)
        setsockopt(x->q.fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (s->is_busy) /* an older kernel does without */
        setsockopt(x->q.fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on);
    return 0;
}

static void queue_close(struct wio_queue *q)
{
    struct xdp_queue *x = (struct xdp_queue *)q;
    if (x->xsk)
        xsk_socket__delete(x->xsk);
    if (x->umem)
        xsk_umem__delete(x->umem);
    if (x->members_fd >= 0)
        close(x->members_fd);
    for (uint32_t i = 0; x->is_out && i < SHARES * x->ring; i++)
        if (x->is_out[i])
            weir_block_unref(wio_lender_block(x->frames, (uint64_t)i * x->frame_bytes));
    wio_lender_end(x->frames); /* the stack may hold some for longer */
    free(x->is_out);
    free(x);
}

static struct wio_queue *queue_open(struct wio_driver *d, const struct wio_driver_spec *s, unsigned i,
                                    const struct wio_err *err)
{
    struct xdp_queue *x = wio_lines_new(sizeof *x);
    const char *what = "memory";
    int e = -ENOMEM;
    if (!x)
        goto fail;
    x->ring = s->ring ? s->ring : RING_N;
    x->frame_bytes = frame_for(d->netif.mtu);
    x->may_owe_csums = is_veth(d);
    x->members_fd = wio_join_all(d->name, s->words & 1u << WIO_WORD_MAC);
    what = "multicast (AF_PACKET)";
    e = x->members_fd < 0 ? x->members_fd : 0;
    if (e == 0) {
        what = "UMEM";
        e = make_umem(x);
    }
    if (e == 0) {
        what = "AF_XDP socket";
        e = make_socket(x, d, s, i);
    }
    if (e == 0)
        return &x->q;
    queue_close(&x->q);
fail:
    wio_fail(err, d->name, "%s of queue %u: %s%s", what, s->queue + i, strerror(-e), hint_for(-e, s));
    return NULL;
}

/* ---- Out ---- */

/* Frames that have been sent. */
static void reap(struct xdp_queue *x)
{
    uint32_t at, n = xsk_ring_cons__peek(&x->comp, x->ring, &at);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t addr = *xsk_ring_cons__comp_addr(&x->comp, at + i);
        x->is_out[addr / x->frame_bytes] = false;
        weir_block_unref(wio_lender_block(x->frames, addr));
    }
    if (n > 0)
        xsk_ring_cons__release(&x->comp, n);
}

/* Have the kernel look at the ring of what goes out. In copy mode it sends some packets a call, and says EAGAIN where
 * there are more; any other refusal leaves them for the next time. */
static void flush(struct wio_queue *q)
{
    struct xdp_queue *x = (struct xdp_queue *)q;
    int kicks = x->put_off_n ? KICKS_MAX : 0;
    while (kicks-- > 0) {
        if (!xsk_ring_prod__needs_wakeup(&x->tx) || sendto(q->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0) {
            x->put_off_n = 0;
            return;
        }
        if (errno != EAGAIN)
            return;
        reap(x); /* so that there is room for completions */
    }
}

/* False: there is no frame, or no room in the ring. */
static bool put_packet(struct xdp_queue *x, const struct weir_pkt *p)
{
    uint32_t at;
    struct weir_block *b = wio_lender_take(x->frames);
    if (!b)
        return false;
    if (xsk_ring_prod__reserve(&x->tx, 1, &at) == 0) {
        weir_block_unref(b);
        return false;
    }
    weir_pkt_copy(p, 0, b->data, p->len);
    x->is_out[addr_of(x, b) / x->frame_bytes] = true;
    *xsk_ring_prod__tx_desc(&x->tx, at) = (struct xdp_desc){.addr = addr_of(x, b), .len = p->len};
    return true;
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct xdp_queue *x = driver;
    unsigned done = 0, put = 0;
    reap(x);
    for (; done < n; done++) {
        if (pkts[done]->len > x->frame_bytes) {
            x->q.stats.tx_refused++;
        } else if (!put_packet(x, pkts[done])) {
            x->q.is_blocked = true;
            break;
        } else {
            put++;
        }
        weir_pkt_unref(pkts[done]);
    }
    if (put > 0)
        xsk_ring_prod__submit(&x->tx, put);
    x->q.stats.tx += put;
    x->put_off_n += put;
    if (x->put_off_n >= KICK_N || done < n)
        flush(&x->q);
    return done;
}

/* ---- In ---- */

/* The packet at bytes; *refill is the frame that takes the place of its own. NULL: no memory. */
static struct weir_pkt *wrap(struct xdp_queue *x, struct weir_pool *pool, const struct xdp_desc *d, uint64_t *refill)
{
    struct weir_block *b = wio_lender_block(x->frames, d->addr), *other = NULL;
    const uint8_t *bytes = wio_lender_base(x->frames) + d->addr;
    struct weir_pkt *p;
    *refill = addr_of(x, b);
    if (d->len <= COPY_BYTES)
        return wio_pkt_copy(pool, NULL, bytes, d->len);
    if (wio_lender_left(x->frames) > x->ring) /* the rest is for what goes out */
        other = wio_lender_take(x->frames);
    if (!other) {
        x->q.stats.rx_copied++;
        return wio_pkt_copy(pool, NULL, bytes, d->len);
    }
    p = weir_pkt_new(pool, 0);
    if (!p) {
        weir_block_unref(other);
        return NULL;
    }
    x->is_out[*refill / x->frame_bytes] = false;
    weir_pkt_append(p, b, (uint32_t)(bytes - b->data), d->len);
    weir_block_unref(b);
    *refill = addr_of(x, other);
    return p;
}

static unsigned take(struct xdp_queue *x, struct weir_pool *pool, struct weir_pkt **pkts, uint32_t at, uint32_t n)
{
    uint64_t refills[BATCH];
    unsigned got = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct xdp_desc *d = xsk_ring_cons__rx_desc(&x->rx, at + i);
        struct weir_pkt *p = wrap(x, pool, d, &refills[i]);
        if (!p) {
            x->q.stats.rx_no_memory++;
            continue;
        }
        if (x->may_owe_csums && wio_csum_is_owed(p, WEIR_LINK_ETHERNET))
            p->flags |= WEIR_PKT_CSUM_OK;
        pkts[got++] = p;
    }
    xsk_ring_cons__release(&x->rx, n);
    fill_add(x, refills, n);
    return got;
}

static unsigned recv_batch(struct wio_queue *q, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    struct xdp_queue *x = (struct xdp_queue *)q;
    unsigned got = 0;
    while (cap - got > 0) {
        uint32_t at, n = xsk_ring_cons__peek(&x->rx, cap - got < BATCH ? cap - got : BATCH, &at);
        if (n == 0)
            break;
        got += take(x, pool, pkts + got, at, n);
    }
    q->stats.rx += got;
    if (xsk_ring_prod__needs_wakeup(&x->fill)) /* poll does so as well, but not everybody polls */
        recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    return got;
}

static void update_stats(struct wio_queue *q)
{
    struct xdp_statistics s = {0};
    socklen_t len = sizeof s;
    if (getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &s, &len) == 0)
        q->stats.rx_ring_full = s.rx_dropped + s.rx_ring_full + s.rx_fill_ring_empty_descs;
}

const struct wio_driver_kind wio_kind_xdp = {
    .name = "xdp",
    .words = 1u << WIO_WORD_QUEUES | 1u << WIO_WORD_QUEUE | 1u << WIO_WORD_MAC | 1u << WIO_WORD_MTU |
             1u << WIO_WORD_RING | 1u << WIO_WORD_MODE | 1u << WIO_WORD_BUSY,
    .modes = 1u << WIO_MODE_COPY | 1u << WIO_MODE_ZEROCOPY,
    .open = xdp_open,
    .queue_open = queue_open,
    .queue_close = queue_close,
    .recv = recv_batch,
    .netif_ops = {.xmit = xmit},
    .flush = flush,
    .stats = update_stats,
};
