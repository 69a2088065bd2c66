/*
 * Drivers: what carries a stack's packets to and from the machine it runs on, each behind the same few calls.
 *
 * A device is opened by a text, KIND:DEVICE and words behind it, and has one or more queues. A queue is what one stack
 * sends and receives through: stacks share nothing, so a device with as many queues as there are stacks serves them
 * all, each in a thread of its own. Addresses, routes and whether the device is up are the caller's to set.
 *
 * docs/drivers.md has the words. By kind:
 *
 *   tap:NAME, tun:NAME   a TAP (Ethernet) or TUN (raw IP) device, made when it isn't there
 *   packet:NAME          an existing interface, by AF_PACKET
 *   xdp:NAME             an existing interface, by AF_XDP
 *   dpdk:NAME            a port of DPDK
 *
 * as in tap:weir0,queues=2 or xdp:eth0,queue=1,busy.
 */
#ifndef WIO_DRIVER_H
#define WIO_DRIVER_H

#include <weir/stack.h>

struct wio_driver;
struct wio_queue;

#define WIO_QUEUES_MAX 16

/*
 * Open a device.
 *
 * err, err_cap   where a line goes that says what is wrong, with what, and what to do about it
 *
 * Returns NULL when it can't be: a word that makes no sense, no such device, no permission, not in this build or in
 * this kernel, no memory.
 */
struct wio_driver *wio_driver_open(const char *text, char *err, size_t err_cap);

/* Close it. Its interfaces must be gone from their stacks, or the stacks silent from here on. NULL is fine. */
void wio_driver_close(struct wio_driver *);

const char *wio_driver_name(const struct wio_driver *);               /* the device's */
struct weir_netif_config wio_driver_netif(const struct wio_driver *); /* what weir_netif_add is to be told */
bool wio_driver_is_busy(const struct wio_driver *);                   /* poll without waiting: "busy" was asked for */
unsigned wio_driver_queue_n(const struct wio_driver *);               /* 1 or more */
struct wio_queue *wio_driver_queue(const struct wio_driver *, unsigned i); /* NULL: there are fewer */

/*
 * Make the queue an interface of a stack.
 *
 * cfg   NULL: what wio_driver_netif says
 *
 * Returns what weir_netif_add does: the interface's index, or a negative errno.
 */
int wio_queue_attach(struct wio_queue *, struct weir *, const struct weir_netif_config *cfg);

int wio_queue_fd(const struct wio_queue *);       /* for poll; -1: there is nothing to wait on, ask again and again */
short wio_queue_events(const struct wio_queue *); /* what to poll it for: POLLIN, and POLLOUT after a refusal */

/*
 * After poll, for an attached queue: let the stack send what had to wait, and give it one batch of what has come.
 *
 * revents   what poll said. POLLIN does no harm where nothing is there
 *
 * Returns how many packets came in. When the batch was full more may be waiting, and poll says so.
 */
unsigned wio_queue_run(struct wio_queue *, short revents, weir_ns now);

/*
 * Have the device send what it was given: a driver may wait for more, to hand over many at once. wio_queue_run ends
 * with it; call it once more before wio_queue_events and sleeping, when the stack was used since.
 */
void wio_queue_flush(struct wio_queue *);

/*
 * The same without a stack. Receive at most `cap` packets, each with one reference for the caller, from `pool` and
 * ready for weir_input; returns how many. Send: as weir_netif_ops.xmit.
 */
unsigned wio_queue_recv(struct wio_queue *, struct weir_pool *, struct weir_pkt **pkts, unsigned cap);
unsigned wio_queue_xmit(struct wio_queue *, struct weir_pkt **pkts, unsigned n);

/* Counted in packets. */
struct wio_queue_stats {
    uint64_t rx, tx;
    uint64_t rx_gso, tx_gso; /* of those, super-segments */
    uint64_t rx_copied;      /* of those, copied, because too many of the device's buffers were out */
    uint64_t rx_refused;     /* dropped: cut off, for another VLAN, or what came with it can't be */
    uint64_t rx_no_memory;   /* dropped */
    uint64_t rx_ring_full;   /* dropped by the kernel: they were not taken in time */
    uint64_t tx_refused;     /* dropped: the device would not have it (it is down, or the packet is too long) */
};

struct wio_queue_stats wio_queue_stats(struct wio_queue *);

#endif
