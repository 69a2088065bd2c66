/*
 * The table of drivers, and what is the same for all of them: driver.h.
 */
#include "io/driver_kind.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH        256 /* two runs of datagrams */
#define SEGMENTS_MAX 128 /* of a super-segment: 64 KiB at 536 bytes */

int wio_fail(const struct wio_err *err, const char *what, const char *form, ...)
{
    va_list args;
    int n = snprintf(err->text, err->cap, "%s: ", what);
    va_start(args, form);
    if (n >= 0 && (size_t)n < err->cap)
        vsnprintf(err->text + n, err->cap - (size_t)n, form, args);
    va_end(args);
    return -1;
}

/* ---- Opening and closing ---- */

static int open_all(struct wio_driver *d, const struct wio_driver_spec *spec, const struct wio_err *err)
{
    if (spec->kind->open(d, spec, err) < 0)
        return -1;
    while (d->queue_n < spec->queue_n) {
        struct wio_queue *q = spec->kind->queue_open(d, spec, d->queue_n, err);
        if (!q)
            return -1;
        q->driver = d;
        d->queues[d->queue_n++] = q;
    }
    if (spec->words & 1u << WIO_WORD_MAC)
        memcpy(d->netif.mac, spec->mac, sizeof d->netif.mac);
    if (spec->mtu)
        d->netif.mtu = spec->mtu;
    return 0;
}

struct wio_driver *wio_driver_open(const char *text, char *err, size_t err_cap)
{
    struct wio_driver_spec spec;
    const struct wio_err to = {err, err_cap};
    if (wio_driver_spec_parse(&spec, text, &to) < 0)
        return NULL;
    struct wio_driver *d = wio_lines_new(sizeof *d);
    if (!d) {
        wio_fail(&to, text, "no memory");
        return NULL;
    }
    d->kind = spec.kind;
    d->is_busy = spec.is_busy;
    if (open_all(d, &spec, &to) < 0) {
        wio_driver_close(d);
        return NULL;
    }
    return d;
}

void wio_driver_close(struct wio_driver *d)
{
    if (!d)
        return;
    while (d->queue_n > 0)
        d->kind->queue_close(d->queues[--d->queue_n]);
    free(d);
}

/* ---- Of a device ---- */

const char *wio_driver_name(const struct wio_driver *d)
{
    return d->name;
}

struct weir_netif_config wio_driver_netif(const struct wio_driver *d)
{
    struct weir_netif_config cfg = d->netif;
    cfg.name = d->name;
    return cfg;
}

bool wio_driver_is_busy(const struct wio_driver *d)
{
    return d->is_busy;
}

unsigned wio_driver_queue_n(const struct wio_driver *d)
{
    return d->queue_n;
}

struct wio_queue *wio_driver_queue(const struct wio_driver *d, unsigned i)
{
    return i < d->queue_n ? d->queues[i] : NULL;
}

/* ---- Of a queue ---- */

int wio_queue_attach(struct wio_queue *q, struct weir *w, const struct weir_netif_config *cfg)
{
    struct weir_netif_config own = wio_driver_netif(q->driver);
    int netif = weir_netif_add(w, &q->driver->kind->netif_ops, q, cfg ? cfg : &own);
    if (netif < 0)
        return netif;
    q->stack = w;
    q->netif = netif;
    return netif;
}

int wio_queue_fd(const struct wio_queue *q)
{
    return q->fd;
}

short wio_queue_events(const struct wio_queue *q)
{
    return (short)(POLLIN | (q->is_blocked ? POLLOUT : 0));
}

unsigned wio_queue_recv(struct wio_queue *q, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    return q->driver->kind->recv(q, pool, pkts, cap);
}

unsigned wio_queue_xmit(struct wio_queue *q, struct weir_pkt **pkts, unsigned n)
{
    q->is_blocked = false;
    return q->driver->kind->netif_ops.xmit(q, pkts, n);
}

void wio_queue_flush(struct wio_queue *q)
{
    if (q->driver->kind->flush)
        q->driver->kind->flush(q);
}

unsigned wio_queue_run(struct wio_queue *q, short revents, weir_ns now)
{
    struct weir_pkt *pkts[BATCH];
    unsigned n = 0;
    if (q->is_blocked && (revents & POLLOUT)) {
        q->is_blocked = false;
        weir_netif_tx_ready(q->stack, q->netif);
    }
    if (revents & ~POLLOUT)
        n = wio_queue_recv(q, weir_stack_pool(q->stack), pkts, BATCH);
    if (n > 0)
        weir_input(q->stack, q->netif, pkts, n, now);
    for (unsigned i = 0; i < n; i++)
        weir_pkt_unref(pkts[i]);
    wio_queue_flush(q);
    return n;
}

struct wio_queue_stats wio_queue_stats(struct wio_queue *q)
{
    if (q->driver->kind->stats)
        q->driver->kind->stats(q);
    return q->stats;
}

/* ---- For the kinds ---- */

bool wio_send_cut(struct wio_queue *q, const struct weir_pkt *p,
                  bool (*send)(struct wio_queue *, const struct weir_pkt *))
{
    struct weir_pkt *cuts[SEGMENTS_MAX];
    unsigned n = weir_pkt_segment(p->pool, p, cuts, SEGMENTS_MAX);
    bool has_room = true;
    q->stats.tx_refused += n == 0;
    for (unsigned i = 0; i < n; i++) {
        if (i == 0)
            has_room = send(q, cuts[i]);
        else if (has_room && !send(q, cuts[i]))
            q->stats.tx_refused++;
        weir_pkt_unref(cuts[i]);
    }
    return has_room;
}

struct weir_pkt *wio_pkt_copy(struct weir_pool *pool, struct wio_lender *lender, const void *bytes, size_t len)
{
    struct weir_block *b = len > WIO_FRAME_BYTES && len <= WIO_SUPER_BYTES && lender ? wio_lender_take(lender) : NULL;
    if (!b && len > WEIR_PKT_HEAD_CAP)
        return weir_pkt_from(pool, bytes, len);
    struct weir_pkt *p = weir_pkt_new(pool, 0);
    if (p && b) {
        memcpy(b->data, bytes, len);
        weir_pkt_append(p, b, 0, (uint32_t)len);
    } else if (p) {
        memcpy(weir_pkt_put(p, len), bytes, len);
    }
    if (b)
        weir_block_unref(b);
    return p;
}

int wio_random_mac(uint8_t mac[6])
{
    if (getrandom(mac, 6, 0) != 6)
        return -1;
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
    return 0;
}

int wio_find_interface(struct wio_driver *d, const char *name, const struct wio_err *err)
{
    struct ifreq hw = {0}, mtu = {0}, flags = {0};
    snprintf(d->name, sizeof d->name, "%s", name);
    memcpy(hw.ifr_name, d->name, sizeof d->name);
    memcpy(mtu.ifr_name, d->name, sizeof d->name);
    memcpy(flags.ifr_name, d->name, sizeof d->name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), e = 0;
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &hw) < 0 || ioctl(fd, SIOCGIFMTU, &mtu) < 0 ||
        ioctl(fd, SIOCGIFFLAGS, &flags) < 0)
        e = errno;
    if (fd >= 0)
        close(fd);
    if (e == ENODEV)
        return wio_fail(err, name[0] ? name : "device", "there is no such interface (ip link shows which there are)");
    if (e)
        return wio_fail(err, name, "%s", strerror(e));
    if (hw.ifr_hwaddr.sa_family != ARPHRD_ETHER)
        return wio_fail(err, name, "not an Ethernet interface");
    if (!(flags.ifr_flags & IFF_UP))
        return wio_fail(err, name, "it is down: ip link set %s up", name);
    d->netif.type = WEIR_LINK_ETHERNET;
    d->netif.mtu = (uint32_t)mtu.ifr_mtu;
    memcpy(d->netif.mac, hw.ifr_hwaddr.sa_data, sizeof d->netif.mac);
    return 0;
}

static int join(int fd, const char *name, int type)
{
    struct packet_mreq want = {.mr_ifindex = (int)if_nametoindex(name), .mr_type = (unsigned short)type};
    return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &want, sizeof want) < 0 ? -errno : 0;
}

int wio_join_all(const char *name, bool is_promiscuous)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* no protocol: nothing is delivered to it */
    if (fd < 0)
        return -errno;
    int e = join(fd, name, PACKET_MR_ALLMULTI);
    if (e == 0 && is_promiscuous)
        e = join(fd, name, PACKET_MR_PROMISC);
    if (e == 0)
        return fd;
    close(fd);
    return e;
}
