/*
 * TUN and TAP devices: the other end is the kernel's own stack (driver.h).
 *
 * With offloads, packets pass in both directions as the kernel makes them: super-segments whole, transport checksums
 * owed (vnet.h). Nothing is copied but by the kernel: reads go into blocks, writes come out of them.
 */
#include "io/driver_kind.h"
#include "io/steer.h"
#include "io/vnet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define DEVICE "/dev/net/tun"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct tap_queue {
    struct wio_queue q;
    struct wio_lender *rests;
    struct weir_block *first, *rest; /* for the next read; NULL until it is due */
};

/* ---- Opening ---- */

static int explain(const struct wio_err *err, const char *what, int e)
{
    const char *hint = "";
    if (e == ENOENT || e == ENODEV || e == ENXIO)
        hint = ": load the module (modprobe tun), or give the container the device";
    else if (e == EPERM || e == EACCES)
        hint = ": run as root or with CAP_NET_ADMIN, or have root make the device for you (ip tuntap add ... user ...)";
    else if (e == EBUSY)
        hint = ": another program has that device open";
    else if (e == EINVAL)
        hint = ": an interface of that name exists and is of another kind, or has another number of queues "
               "(ip tuntap add ... multi_queue)";
    return wio_fail(err, what, "%s%s", strerror(e), hint);
}

static int open_with(struct wio_driver *d, enum weir_link_type type, const struct wio_driver_spec *s,
                     const struct wio_err *err)
{
    snprintf(d->name, sizeof d->name, "%s", s->device); /* empty: the kernel names it */
    d->netif.type = type;
    d->netif.caps = s->has_offloads ? WEIR_CAP_TSO | WEIR_CAP_TX_CSUM : 0;
    if (wio_random_mac(d->netif.mac) < 0)
        return explain(err, s->device, errno);
    return 0;
}

static int tap_open(struct wio_driver *d, const struct wio_driver_spec *s, const struct wio_err *err)
{
    return open_with(d, WEIR_LINK_ETHERNET, s, err);
}

static int tun_open(struct wio_driver *d, const struct wio_driver_spec *s, const struct wio_err *err)
{
    return open_with(d, WEIR_LINK_RAW_IP, s, err);
}

static int configure(int fd, struct wio_driver *d, const struct wio_driver_spec *s)
{
    struct ifreq ifr = {0};
    int kind = d->netif.type == WEIR_LINK_ETHERNET ? IFF_TAP : IFF_TUN;
    ifr.ifr_flags = (short)(kind | IFF_NO_PI | IFF_VNET_HDR | (s->queue_n > 1 ? IFF_MULTI_QUEUE : 0));
    memcpy(ifr.ifr_name, d->name, sizeof ifr.ifr_name);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        return -errno;
    memcpy(d->name, ifr.ifr_name, sizeof d->name);

    int hdr_len = sizeof(struct virtio_net_hdr);
    if (ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) < 0)
        return -errno;
    unsigned long offloads = s->has_offloads ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN : 0;
    if (offloads && ioctl(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) == 0)
        return 0;
    return ioctl(fd, TUNSETOFFLOAD, offloads) < 0 ? -errno : 0; /* before Linux 6.2 */
}

static int read_mtu(struct wio_driver *d)
{
    struct ifreq ifr = {0};
    memcpy(ifr.ifr_name, d->name, sizeof ifr.ifr_name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int e = ioctl(fd, SIOCGIFMTU, &ifr) < 0 ? -errno : 0;
    close(fd);
    d->netif.mtu = (uint32_t)ifr.ifr_mtu;
    return e;
}

static struct wio_queue *queue_open(struct wio_driver *d, const struct wio_driver_spec *s, unsigned i,
                                    const struct wio_err *err)
{
    struct tap_queue *t = wio_lines_new(sizeof *t);
    int e = -ENOMEM;
    (void)i;
    if (!t)
        goto fail_memory;
    t->rests = wio_lender_new(WIO_SUPER_N, WIO_SUPER_BYTES);
    if (!t->rests)
        goto fail_memory;
    t->q.fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->q.fd < 0) {
        explain(err, DEVICE, errno);
        goto fail_open;
    }
    e = configure(t->q.fd, d, s);
    if (e == 0)
        e = read_mtu(d);
    if (e == 0)
        return &t->q;
    close(t->q.fd);
fail_memory:
    explain(err, d->name[0] ? d->name : DEVICE, -e);
fail_open:
    if (t)
        wio_lender_end(t->rests);
    free(t);
    return NULL;
}

/* The kernel holds the program for as long as the device is there, or gets another one. */
static int steer(struct wio_driver *d, const struct weir_rss *rss)
{
    int fd = wio_steer_program(rss);
    if (fd < 0)
        return fd;
    int e = ioctl(d->queues[0]->fd, TUNSETSTEERINGEBPF, &fd) < 0 ? -errno : 0;
    close(fd);
    return e;
}

static void queue_close(struct wio_queue *q)
{
    struct tap_queue *t = (struct tap_queue *)q;
    if (t->first)
        weir_block_unref(t->first);
    if (t->rest)
        weir_block_unref(t->rest);
    wio_lender_end(t->rests);
    close(q->fd);
    free(t);
}

/* ---- Out ---- */

/* False: the device has no room now. Any other failure loses the packet, as a cable would. */
static bool write_packet(struct wio_queue *q, const struct weir_pkt *p)
{
    struct virtio_net_hdr v;
    struct iovec iov[2 + WEIR_PKT_FRAGS];
    if (!wio_vnet_describe(&v, p)) {
        q->stats.tx_refused++;
        return true;
    }
    iov[0] = (struct iovec){&v, sizeof v};
    iov[1] = (struct iovec){(void *)(uintptr_t)(p->room + p->head_off), p->head_len};
    for (unsigned i = 0; i < p->frag_n; i++)
        iov[2 + i] = (struct iovec){p->frags[i].block->data + p->frags[i].off, p->frags[i].len};
    ssize_t n = writev(q->fd, iov, 2 + p->frag_n);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return false;
    if (n < 0) {
        q->stats.tx_refused++;
        return true;
    }
    q->stats.tx++;
    q->stats.tx_gso += p->gso_size > 0;
    return true;
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct wio_queue *q = driver;
    for (unsigned i = 0; i < n; i++) {
        if (!(wio_vnet_must_cut(pkts[i]) ? wio_send_cut(q, pkts[i], write_packet) : write_packet(q, pkts[i]))) {
            q->is_blocked = true;
            return i;
        }
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

/* ---- In ---- */

/* The packet that `len` bytes in the two blocks make; a block that it uses is no longer the queue's. */
static struct weir_pkt *wrap(struct tap_queue *t, struct weir_pool *pool, size_t len)
{
    struct weir_pkt *p = weir_pkt_new(pool, 0);
    if (!p)
        return NULL;
    size_t in_first = len < t->first->cap ? len : t->first->cap;
    weir_pkt_append(p, t->first, 0, (uint32_t)in_first);
    weir_block_unref(t->first);
    t->first = NULL;
    if (len > in_first) {
        weir_pkt_append(p, t->rest, 0, (uint32_t)(len - in_first));
        weir_block_unref(t->rest);
        t->rest = NULL;
    }
    return p;
}

static bool have_blocks(struct tap_queue *t, struct weir_pool *pool)
{
    if (!t->first)
        t->first = weir_block_new(pool, WIO_FRAME_BYTES);
    if (!t->rest)
        t->rest = wio_lender_take(t->rests);
    if (!t->rest)
        t->rest = weir_block_new(pool, WIO_SUPER_BYTES);
    return t->first && t->rest;
}

/* What came of one read, at `out`. Returns how many packets. */
static unsigned take(struct tap_queue *t, struct weir_pool *pool, const struct virtio_net_hdr *v, size_t got,
                     struct weir_pkt **out)
{
    struct wio_queue *q = &t->q;
    if (got <= sizeof *v) {
        q->stats.rx_refused++;
        return 0;
    }
    struct weir_pkt *p = wrap(t, pool, got - sizeof *v);
    if (!p) {
        q->stats.rx_no_memory++;
        return 0;
    }
    unsigned n = wio_vnet_receive(v, p, q->driver->netif.type, out);
    q->stats.rx += n;
    q->stats.rx_gso += v->gso_type != VIRTIO_NET_HDR_GSO_NONE && n > 0;
    q->stats.rx_refused += n == 0;
    return n;
}

static unsigned recv_batch(struct wio_queue *q, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    struct tap_queue *t = (struct tap_queue *)q;
    unsigned n = 0, most = q->driver->netif.caps ? WIO_VNET_SPLIT_MAX : 1;
    while (n + most <= cap) {
        if (!have_blocks(t, pool)) {
            q->stats.rx_no_memory++;
            return n;
        }
        struct virtio_net_hdr v;
        struct iovec iov[] = {{&v, sizeof v}, {t->first->data, t->first->cap}, {t->rest->data, t->rest->cap}};
        ssize_t got = readv(q->fd, iov, 3);
        if (got < 0)
            return n;
        n += take(t, pool, &v, (size_t)got, pkts + n);
    }
    return n;
}

#define WORDS (1u << WIO_WORD_QUEUES | 1u << WIO_WORD_MTU | 1u << WIO_WORD_OFFLOAD | 1u << WIO_WORD_BUSY)

const struct wio_driver_kind wio_kind_tap = {
    .name = "tap",
    .words = WORDS | 1u << WIO_WORD_MAC,
    .open = tap_open,
    .queue_open = queue_open,
    .queue_close = queue_close,
    .recv = recv_batch,
    .netif_ops = {.xmit = xmit},
    .steer = steer,
};

const struct wio_driver_kind wio_kind_tun = {
    .name = "tun",
    .words = WORDS,
    .open = tun_open,
    .queue_open = queue_open,
    .queue_close = queue_close,
    .recv = recv_batch,
    .netif_ops = {.xmit = xmit},
    .steer = steer,
};
