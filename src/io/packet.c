/*
 * An existing Ethernet interface, by AF_PACKET (driver.h). The kernel sees what arrives there as well: give the stack
 * addresses that the kernel does not have.
 *
 * In: the kernel writes into a ring that we map, and we copy from it: were its slots lent to the stack, one that is
 * held for long would stop the ring for all. A slot is ours as soon as its packet has come (TPACKET_V2), but
 * each is made for a super-segment; with mode=batch the kernel packs packets into blocks (TPACKET_V3) and hands over a
 * block when it is full or a millisecond old. Out: sendmmsg, what has gathered until a flush in one call. Both with
 * virtio-net headers (vnet.h).
 */
#include "io/driver_kind.h"
#include "io/steer.h"
#include "io/vnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SLOT_BYTES      (WIO_SUPER_BYTES + 4096) /* a super-segment, and the headers before it */
#define SLOTS_PER_BLOCK 15
#define BLOCK_BYTES     (SLOTS_PER_BLOCK * SLOT_BYTES) /* a little less than 1 MiB */
#define RING_N          480                            /* 32 MiB */
#define BATCH           64
#define RETIRE_MS       1

struct packet_queue {
    struct wio_queue q;
    struct wio_lender *supers;
    struct weir_pkt *put_off[BATCH]; /* to be sent, put_off_n of them */
    unsigned put_off_n;
    int members_fd; /* has joined all groups */
    uint8_t *ring;
    size_t ring_len;
    uint32_t n, at; /* slots (TPACKET_V2) or blocks (TPACKET_V3), the next one */
    bool is_batch;  /* TPACKET_V3 */
    uint32_t left;  /* packets in the block under work, 0: there is none */
    uint8_t *next;  /* the next of them */
};

/* ---- Opening ---- */

static int packet_open(struct wio_driver *d, const struct wio_driver_spec *s, const struct wio_err *err)
{
    if (wio_find_interface(d, s->device, err) < 0)
        return -1;
    d->netif.caps = s->has_offloads ? WEIR_CAP_TSO | WEIR_CAP_TX_CSUM : 0;
    return 0;
}

static int explain(const struct wio_err *err, const char *device, const char *what, int e)
{
    const char *hint = "";
    if (e == EPERM || e == EACCES)
        hint = ": run as root or with CAP_NET_RAW";
    else if (e == EAFNOSUPPORT || e == ENOPROTOOPT)
        hint = ": this kernel has no such thing (CONFIG_PACKET)";
    else if (e == ENOMEM)
        hint = ": try a smaller ring=";
    return wio_fail(err, device, "%s: %s%s", what, strerror(e), hint);
}

static int set_option(int fd, int option, int value)
{
    return setsockopt(fd, SOL_PACKET, option, &value, sizeof value);
}

/* NULL, or what failed (errno says why). */
static const char *map_ring(struct packet_queue *k, const struct wio_driver_spec *s)
{
    uint32_t slots = s->ring ? s->ring : RING_N;
    struct tpacket_req3 req = {.tp_block_size = BLOCK_BYTES, .tp_frame_size = SLOT_BYTES};
    k->is_batch = s->mode == WIO_MODE_BATCH;
    req.tp_block_nr = (slots + SLOTS_PER_BLOCK - 1) / SLOTS_PER_BLOCK;
    if (req.tp_block_nr < 2)
        req.tp_block_nr = 2;
    req.tp_frame_nr = req.tp_block_nr * SLOTS_PER_BLOCK;
    req.tp_retire_blk_tov = k->is_batch ? RETIRE_MS : 0;
    k->n = k->is_batch ? req.tp_block_nr : req.tp_frame_nr;
    if (set_option(k->q.fd, PACKET_VERSION, k->is_batch ? TPACKET_V3 : TPACKET_V2) < 0)
        return "PACKET_VERSION";
    if (set_option(k->q.fd, PACKET_VNET_HDR, 1) < 0)
        return "PACKET_VNET_HDR";
    size_t req_len = k->is_batch ? sizeof req : sizeof(struct tpacket_req);
    if (setsockopt(k->q.fd, SOL_PACKET, PACKET_RX_RING, &req, (socklen_t)req_len) < 0)
        return "PACKET_RX_RING";
    k->ring_len = (size_t)req.tp_block_nr * BLOCK_BYTES;
    k->ring = mmap(NULL, k->ring_len, PROT_READ | PROT_WRITE, MAP_SHARED, k->q.fd, 0);
    if (k->ring == MAP_FAILED)
        k->ring = NULL;
    return k->ring ? NULL : "mapping the ring";
}

static const char *listen_to(const struct packet_queue *k, const struct wio_driver *d)
{
    int index = (int)if_nametoindex(d->name);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
    if (set_option(k->q.fd, PACKET_IGNORE_OUTGOING, 1) < 0)
        return "PACKET_IGNORE_OUTGOING (Linux 4.20 or newer has it)";
    return bind(k->q.fd, (struct sockaddr *)&at, sizeof at) < 0 ? "bind" : NULL;
}

static int set_program(const struct wio_queue *q, const struct weir_rss *rss)
{
    int fd = wio_steer_program(rss);
    if (fd < 0)
        return fd;
    int e = set_option(q->fd, PACKET_FANOUT_DATA, fd) < 0 ? -errno : 0;
    close(fd);
    return e;
}

static const char *make_group(const struct packet_queue *k, unsigned how)
{
    unsigned flags = how | PACKET_FANOUT_FLAG_DEFRAG | PACKET_FANOUT_FLAG_UNIQUEID;
    return set_option(k->q.fd, PACKET_FANOUT, (int)(flags << 16)) < 0 ? "PACKET_FANOUT" : NULL;
}

/* Queues share what arrives by flow: the first makes a group, which the others join. A program of ours says which queue
 * it is (weir/shard.h); where none may be loaded, the kernel's own hash does. */
static const char *join_group(const struct packet_queue *k, const struct wio_driver_spec *s, struct wio_driver *d)
{
    struct weir_rss rss;
    if (d->queue_n == 0) {
        int fd = weir_rss_init(&rss, NULL, s->queue_n) < 0 ? -1 : wio_steer_program(&rss);
        if (fd >= 0)
            close(fd);
        d->has_program = fd >= 0;
        const char *failed = make_group(k, d->has_program ? PACKET_FANOUT_EBPF : PACKET_FANOUT_HASH);
        if (!failed && d->has_program && set_program(&k->q, &rss) < 0)
            failed = "PACKET_FANOUT_DATA";
        return failed;
    }
    unsigned flags = PACKET_FANOUT_FLAG_DEFRAG | (d->has_program ? PACKET_FANOUT_EBPF : PACKET_FANOUT_HASH);
    int id = 0;
    socklen_t len = sizeof id;
    if (getsockopt(d->queues[0]->fd, SOL_PACKET, PACKET_FANOUT, &id, &len) < 0)
        return "PACKET_FANOUT";
    return set_option(k->q.fd, PACKET_FANOUT, (int)(((unsigned)id & 0xffff) | flags << 16)) < 0 ? "PACKET_FANOUT"
                                                                                                : NULL;
}

static int steer(struct wio_driver *d, const struct weir_rss *rss)
{
    return d->has_program ? set_program(d->queues[0], rss) : -EPERM;
}

static void queue_close(struct wio_queue *q)
{
    struct packet_queue *k = (struct packet_queue *)q;
    while (k->put_off_n > 0)
        weir_pkt_unref(k->put_off[--k->put_off_n]);
    if (k->ring)
        munmap(k->ring, k->ring_len);
    if (q->fd >= 0)
        close(q->fd);
    if (k->members_fd >= 0)
        close(k->members_fd);
    wio_lender_end(k->supers);
    free(k);
}

static struct wio_queue *queue_open(struct wio_driver *d, const struct wio_driver_spec *s, unsigned i,
                                    const struct wio_err *err)
{
    struct packet_queue *k = wio_lines_new(sizeof *k);
    (void)i;
    if (!k) {
        explain(err, d->name, "memory", ENOMEM);
        return NULL;
    }
    k->supers = wio_lender_new(WIO_SUPER_N, WIO_SUPER_BYTES);
    k->q.fd = k->supers ? socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    k->members_fd = k->q.fd < 0 ? -1 : wio_join_all(d->name, s->words & 1u << WIO_WORD_MAC);
    const char *failed = k->members_fd < 0 ? "AF_PACKET" : map_ring(k, s);
    if (!failed)
        failed = listen_to(k, d);
    if (!failed && s->queue_n > 1)
        failed = join_group(k, s, d);
    if (!failed)
        return &k->q;
    explain(err, d->name, failed, errno);
    queue_close(&k->q);
    return NULL;
}

/* ---- Out ---- */

/* What one call sends: for each packet its virtio-net header, its head, its fragments. */
struct outgoing {
    struct virtio_net_hdr v[BATCH];
    struct iovec iov[BATCH][2 + WEIR_PKT_FRAGS];
    struct mmsghdr msgs[BATCH];
};

/* False: it can't be said. */
static bool add_packet(struct outgoing *o, unsigned at, const struct weir_pkt *p)
{
    struct iovec *iov = o->iov[at];
    unsigned n = 0;
    if (!wio_vnet_describe(&o->v[at], p))
        return false;
    iov[n++] = (struct iovec){&o->v[at], sizeof o->v[at]};
    if (p->head_len)
        iov[n++] = (struct iovec){(void *)(uintptr_t)(p->room + p->head_off), p->head_len};
    for (unsigned i = 0; i < p->frag_n; i++)
        iov[n++] = (struct iovec){p->frags[i].block->data + p->frags[i].off, p->frags[i].len};
    o->msgs[at].msg_hdr = (struct msghdr){.msg_iov = iov, .msg_iovlen = n};
    return true;
}

/* Send pkts[0, n), which were added. Returns how many are done with; fewer: there is no room for the next one. */
static unsigned send_added(struct wio_queue *q, struct outgoing *o, struct weir_pkt **pkts, unsigned n)
{
    unsigned done = 0;
    while (done < n) {
        int sent = sendmmsg(q->fd, o->msgs + done, n - done, 0);
        if (sent < 0 && errno == EAGAIN)
            return done;
        if (sent <= 0) { /* lost, as on a cable: too long, the device's queue is full, it is down */
            q->stats.tx_refused++;
            done++;
            continue;
        }
        for (unsigned end = done + (unsigned)sent; done < end; done++) {
            q->stats.tx++;
            q->stats.tx_gso += pkts[done]->gso_size > 0;
        }
    }
    return done;
}

static bool send_one(struct wio_queue *q, const struct weir_pkt *p)
{
    struct outgoing o;
    struct weir_pkt *same = (struct weir_pkt *)(uintptr_t)p;
    if (add_packet(&o, 0, p))
        return send_added(q, &o, &same, 1) == 1;
    q->stats.tx_refused++;
    return true;
}

/* Send what was put off, as far as there is room. */
static void flush(struct wio_queue *q)
{
    struct packet_queue *k = (struct packet_queue *)q;
    struct weir_pkt **pkts = k->put_off;
    struct outgoing o;
    unsigned done = 0, n = k->put_off_n;
    while (done < n && !q->is_blocked) {
        unsigned run = 0, sent;
        while (done + run < n && !wio_vnet_must_cut(pkts[done + run]) && add_packet(&o, run, pkts[done + run]))
            run++;
        if (run > 0) {
            sent = send_added(q, &o, pkts + done, run);
        } else { /* to be cut, or to be refused */
            run = 1;
            sent = wio_vnet_must_cut(pkts[done]) ? wio_send_cut(q, pkts[done], send_one) : send_one(q, pkts[done]);
        }
        for (unsigned i = 0; i < sent; i++)
            weir_pkt_unref(pkts[done + i]);
        done += sent;
        q->is_blocked = sent < run;
    }
    k->put_off_n = n - done;
    memmove(pkts, pkts + done, k->put_off_n * sizeof(struct weir_pkt *));
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct packet_queue *k = driver;
    for (unsigned done = 0; done < n; done++) {
        if (k->put_off_n == BATCH)
            flush(&k->q);
        if (k->put_off_n == BATCH)
            return done;
        k->put_off[k->put_off_n++] = pkts[done];
    }
    return n;
}

/* ---- In ---- */

/* A packet in the ring. The kernel wrote what tells of it. */
struct arrival {
    const uint8_t *bytes;
    uint32_t len;
    bool is_cut;  /* it did not fit */
    bool is_vlan; /* its tag was taken out of it: it is for another network */
};

static unsigned take(struct packet_queue *k, struct weir_pool *pool, const struct arrival *a, struct weir_pkt **out)
{
    struct wio_queue *q = &k->q;
    struct virtio_net_hdr v;
    if (a->is_cut || a->is_vlan) {
        q->stats.rx_refused++;
        return 0;
    }
    memcpy(&v, a->bytes - sizeof v, sizeof v);
    struct weir_pkt *p = wio_pkt_copy(pool, k->supers, a->bytes, a->len);
    if (!p) {
        q->stats.rx_no_memory++;
        return 0;
    }
    unsigned n = wio_vnet_receive(&v, p, WEIR_LINK_ETHERNET, out);
    q->stats.rx += n;
    q->stats.rx_gso += v.gso_type != VIRTIO_NET_HDR_GSO_NONE && n > 0;
    q->stats.rx_refused += n == 0;
    return n;
}

static struct arrival arrival_of(const uint8_t *at, uint32_t status, uint32_t len, uint32_t snap_len, uint32_t mac,
                                 uint32_t tci)
{
    return (struct arrival){
        .bytes = at + mac,
        .len = snap_len,
        .is_cut = snap_len < len,
        .is_vlan = (status & TP_STATUS_VLAN_VALID) && (tci & 0xfff),
    };
}

/* TPACKET_V2: a slot a packet. */
static unsigned recv_slots(struct packet_queue *k, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    unsigned n = 0;
    while (n + WIO_VNET_SPLIT_MAX <= cap) {
        size_t off = (size_t)(k->at / SLOTS_PER_BLOCK) * BLOCK_BYTES;
        off += (size_t)(k->at % SLOTS_PER_BLOCK) * SLOT_BYTES;
        struct tpacket2_hdr *h = (struct tpacket2_hdr *)(k->ring + off);
        uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);
        if (!(status & TP_STATUS_USER))
            break;
        struct arrival a = arrival_of((uint8_t *)h, status, h->tp_len, h->tp_snaplen, h->tp_mac, h->tp_vlan_tci);
        n += take(k, pool, &a, pkts + n);
        __atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        k->at = k->at + 1 == k->n ? 0 : k->at + 1;
    }
    return n;
}

/* TPACKET_V3: a block many. False: the next one is not ours yet. */
static bool begin_block(struct packet_queue *k)
{
    struct tpacket_block_desc *b = (struct tpacket_block_desc *)(k->ring + (size_t)k->at * BLOCK_BYTES);
    if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
        return false;
    k->left = b->hdr.bh1.num_pkts;
    k->next = (uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;
    return true;
}

static void end_block(struct packet_queue *k)
{
    struct tpacket_block_desc *b = (struct tpacket_block_desc *)(k->ring + (size_t)k->at * BLOCK_BYTES);
    __atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    k->at = k->at + 1 == k->n ? 0 : k->at + 1;
}

static unsigned recv_blocks(struct packet_queue *k, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    unsigned n = 0;
    while (n + WIO_VNET_SPLIT_MAX <= cap) {
        if (k->left == 0 && !begin_block(k))
            break;
        if (k->left > 0) {
            const struct tpacket3_hdr *h = (const struct tpacket3_hdr *)k->next;
            struct arrival a =
                arrival_of(k->next, h->tp_status, h->tp_len, h->tp_snaplen, h->tp_mac, h->hv1.tp_vlan_tci);
            n += take(k, pool, &a, pkts + n);
            k->next += h->tp_next_offset;
            k->left--;
        }
        if (k->left == 0)
            end_block(k);
    }
    return n;
}

static unsigned recv_batch(struct wio_queue *q, struct weir_pool *pool, struct weir_pkt **pkts, unsigned cap)
{
    struct packet_queue *k = (struct packet_queue *)q;
    return k->is_batch ? recv_blocks(k, pool, pkts, cap) : recv_slots(k, pool, pkts, cap);
}

static void update_stats(struct wio_queue *q)
{
    struct tpacket_stats_v3 s = {0};
    socklen_t len = sizeof s;
    if (getsockopt(q->fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0)
        q->stats.rx_ring_full += s.tp_drops; /* since it was last asked */
}

const struct wio_driver_kind wio_kind_packet = {
    .name = "packet",
    .words = 1u << WIO_WORD_QUEUES | 1u << WIO_WORD_MAC | 1u << WIO_WORD_MTU | 1u << WIO_WORD_OFFLOAD |
             1u << WIO_WORD_RING | 1u << WIO_WORD_MODE | 1u << WIO_WORD_BUSY,
    .modes = 1u << WIO_MODE_BATCH,
    .open = packet_open,
    .queue_open = queue_open,
    .queue_close = queue_close,
    .recv = recv_batch,
    .netif_ops = {.xmit = xmit},
    .flush = flush,
    .stats = update_stats,
    .steer = steer,
};
