/* The TUN/TAP driver: see tap.h. The virtio-net header is that of the Virtual I/O Device specification 1.2, 5.1.6. */
#include "io/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define DEVICE      "/dev/net/tun"
#define FIRST_BYTES 2048  /* holds a whole packet of an Ethernet, so that one does not pin a large block */
#define REST_BYTES  65536 /* what is left of a super-segment */

#define SEGMENTS_MAX 128 /* of a super-segment: 64 KiB at 536 bytes */
#define TCP_CWR      0x80

#define PROTO_TCP    6
#define PROTO_UDP    17
#define PROTO_ICMPV6 58

struct wio_tap {
    int fd;
    enum weir_link_type type;
    bool has_offloads;
    bool is_blocked;
    char name[IFNAMSIZ];
    struct weir_block *first, *rest; /* for the next read; NULL until it is due */
    struct wio_tap_stats stats;
};

/* ---- Opening ---- */

static void explain(char *err, size_t cap, const char *what, int e)
{
    const char *hint = "";
    if (e == ENOENT || e == ENODEV || e == ENXIO)
        hint = ": load the module (modprobe tun), or give the container the device";
    else if (e == EPERM || e == EACCES)
        hint = ": run as root or with CAP_NET_ADMIN, or have root make the device for you (ip tuntap add ... user ...)";
    else if (e == EBUSY)
        hint = ": another program has that device open";
    else if (e == EINVAL)
        hint = ": a device of that name exists and is of another kind";
    snprintf(err, cap, "%s: %s%s", what, strerror(e), hint);
}

static int configure(struct wio_tap *t, const struct wio_tap_config *cfg)
{
    struct ifreq ifr = {0};
    int kind = cfg->type == WEIR_LINK_ETHERNET ? IFF_TAP : IFF_TUN;
    ifr.ifr_flags = (short)(kind | IFF_NO_PI | IFF_VNET_HDR);
    if (cfg->name)
        snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", cfg->name);
    if (ioctl(t->fd, TUNSETIFF, &ifr) < 0)
        return -errno;
    memcpy(t->name, ifr.ifr_name, sizeof t->name);

    int hdr_len = sizeof(struct virtio_net_hdr);
    if (ioctl(t->fd, TUNSETVNETHDRSZ, &hdr_len) < 0)
        return -errno;
    unsigned long offloads = cfg->has_offloads ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN : 0;
    return ioctl(t->fd, TUNSETOFFLOAD, offloads) < 0 ? -errno : 0;
}

struct wio_tap *wio_tap_open(const struct wio_tap_config *cfg, char *err, size_t err_cap)
{
    struct wio_tap *t = calloc(1, sizeof *t);
    if (!t) {
        explain(err, err_cap, DEVICE, ENOMEM);
        return NULL;
    }
    t->type = cfg->type;
    t->has_offloads = cfg->has_offloads;
    t->fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0) {
        explain(err, err_cap, DEVICE, errno);
        goto fail_open;
    }
    int e = configure(t, cfg);
    if (e < 0) {
        explain(err, err_cap, cfg->name ? cfg->name : DEVICE, -e);
        goto fail_configure;
    }
    return t;

fail_configure:
    close(t->fd);
fail_open:
    free(t);
    return NULL;
}

void wio_tap_close(struct wio_tap *t)
{
    if (!t)
        return;
    if (t->first)
        weir_block_unref(t->first);
    if (t->rest)
        weir_block_unref(t->rest);
    close(t->fd);
    free(t);
}

int wio_tap_fd(const struct wio_tap *t)
{
    return t->fd;
}

const char *wio_tap_name(const struct wio_tap *t)
{
    return t->name;
}

uint32_t wio_tap_caps(const struct wio_tap *t)
{
    return t->has_offloads ? WEIR_CAP_TSO | WEIR_CAP_TX_CSUM : 0;
}

bool wio_tap_is_blocked(const struct wio_tap *t)
{
    return t->is_blocked;
}

struct wio_tap_stats wio_tap_stats(const struct wio_tap *t)
{
    return t->stats;
}

/* ---- Out ---- */

/* The transport protocol behind the extension headers that end at l4_off. */
static uint8_t transport_of(const uint8_t *hdr, size_t l3_off, size_t l4_off)
{
    const uint8_t *ip = hdr + l3_off;
    if (ip[0] >> 4 == 4)
        return ip[9];
    uint8_t next = ip[6];
    for (size_t at = l3_off + 40; at + 8 <= l4_off; at += ((size_t)hdr[at + 1] + 1) * 8)
        next = hdr[at];
    return next;
}

/* What the kernel is to do with a packet: the checksum that is owed, the cuts. False: it can't be said. */
static bool describe(struct virtio_net_hdr *v, const struct weir_pkt *p)
{
    *v = (struct virtio_net_hdr){0};
    if (!(p->flags & WEIR_PKT_CSUM_PARTIAL))
        return p->gso_size == 0;
    const uint8_t *hdr = p->room + p->head_off;
    if (p->l3_off + 20u > p->l4_off || p->l4_off + 8u > p->head_len)
        return false;
    uint8_t proto = transport_of(hdr, p->l3_off, p->l4_off);
    v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    v->csum_start = p->l4_off;
    v->csum_offset = proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : 2;
    if (p->gso_size == 0)
        return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMPV6;
    if (proto != PROTO_TCP || p->l4_off + 20u > p->head_len)
        return false;
    v->gso_type = hdr[p->l3_off] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    if (hdr[p->l4_off + 13] & TCP_CWR) /* CWR belongs to the first segment alone (RFC 3168 6.1.2) */
        v->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    v->gso_size = p->gso_size;
    v->hdr_len = (uint16_t)(p->l4_off + (hdr[p->l4_off + 12] >> 4) * 4);
    return true;
}

/* False: the device has no room now. Any other failure loses the packet, as a cable would. */
static bool write_packet(struct wio_tap *t, const struct weir_pkt *p)
{
    struct virtio_net_hdr v;
    struct iovec iov[2 + WEIR_PKT_FRAGS];
    if (!describe(&v, p)) {
        t->stats.refused++;
        return true;
    }
    iov[0] = (struct iovec){&v, sizeof v};
    iov[1] = (struct iovec){(void *)(uintptr_t)(p->room + p->head_off), p->head_len};
    for (unsigned i = 0; i < p->frag_n; i++)
        iov[2 + i] = (struct iovec){p->frags[i].block->data + p->frags[i].off, p->frags[i].len};
    ssize_t n = writev(t->fd, iov, 2 + p->frag_n);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return false;
    if (n < 0)
        t->stats.refused++;
    else
        t->stats.written++;
    t->stats.written_gso += n >= 0 && p->gso_size > 0;
    return true;
}

/* Is a super-segment's CWR flag one that the kernel would clear in all segments but the first? */
static bool must_cut(const struct weir_pkt *p)
{
    return p->gso_size > 0 && (p->flags & WEIR_PKT_CWR_ALL) && p->l4_off + 14u <= p->head_len &&
           (p->room[p->head_off + p->l4_off + 13] & TCP_CWR);
}

/* As write_packet, cut. When the device has no room for all of them, the last ones are lost. */
static bool write_cut(struct wio_tap *t, const struct weir_pkt *p)
{
    struct weir_pkt *cuts[SEGMENTS_MAX];
    unsigned n = weir_pkt_segment(p->pool, p, cuts, SEGMENTS_MAX);
    bool has_room = true;
    t->stats.refused += n == 0;
    for (unsigned i = 0; i < n; i++) {
        if (i == 0)
            has_room = write_packet(t, cuts[i]);
        else if (has_room && !write_packet(t, cuts[i]))
            t->stats.refused++;
        weir_pkt_unref(cuts[i]);
    }
    return has_room;
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct wio_tap *t = driver;
    t->is_blocked = false;
    for (unsigned i = 0; i < n; i++) {
        if (!(must_cut(pkts[i]) ? write_cut(t, pkts[i]) : write_packet(t, pkts[i]))) {
            t->is_blocked = true;
            return i;
        }
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

const struct weir_netif_ops *wio_tap_ops(void)
{
    static const struct weir_netif_ops ops = {.xmit = xmit};
    return &ops;
}

/* ---- In ---- */

/* The packet that `len` bytes in the two blocks make; a block that it uses is no longer the tap's. */
static struct weir_pkt *wrap(struct wio_tap *t, struct weir_pool *pool, const struct virtio_net_hdr *v, size_t len)
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
    /* An owed checksum crossed no wire: nothing could have broken it. */
    if (v->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID))
        p->flags |= WEIR_PKT_CSUM_OK;
    if (v->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
        p->gso_size = v->gso_size;
        t->stats.read_gso++;
    }
    return p;
}

static bool have_blocks(struct wio_tap *t, struct weir_pool *pool)
{
    if (!t->first)
        t->first = weir_block_new(pool, FIRST_BYTES);
    if (!t->rest)
        t->rest = weir_block_new(pool, REST_BYTES);
    return t->first && t->rest;
}

unsigned wio_tap_read(struct wio_tap *t, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    unsigned n = 0;
    while (n < cap) {
        if (!have_blocks(t, pool)) {
            t->stats.read_failed++;
            return n;
        }
        struct virtio_net_hdr v;
        struct iovec iov[] = {{&v, sizeof v}, {t->first->data, t->first->cap}, {t->rest->data, t->rest->cap}};
        ssize_t got = readv(t->fd, iov, 3);
        if (got < 0)
            return n;
        struct weir_pkt *p = (size_t)got > sizeof v ? wrap(t, pool, &v, (size_t)got - sizeof v) : NULL;
        if (p) {
            pkts[n++] = p;
            t->stats.read++;
        } else {
            t->stats.read_failed++;
        }
    }
    return n;
}
