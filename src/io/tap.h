/*
 * The driver of a Linux TUN (raw IP) or TAP (Ethernet) device: the other end is the kernel's own stack.
 *
 * With offloads, packets pass in both directions as the kernel makes them: super-segments whole, transport checksums
 * owed (virtio-net headers say which). Nothing is copied but by the kernel: reads go into blocks, writes come out of
 * them. Addresses, routes and the device's MTU are the caller's to set, as is polling the descriptor.
 */
#ifndef WIO_TAP_H
#define WIO_TAP_H

#include <weir/stack.h>

struct wio_tap_config {
    const char *name;         /* of the device, made when it isn't there; NULL: the kernel names it */
    enum weir_link_type type; /* Ethernet: TAP; raw IP: TUN */
    bool has_offloads;        /* let super-segments and owed checksums pass */
};

/* Counted in packets. */
struct wio_tap_stats {
    uint64_t read, written;
    uint64_t read_gso, written_gso; /* of those, super-segments */
    uint64_t refused;               /* dropped: the kernel would not have it (the device is down) */
    uint64_t read_failed;           /* dropped: no memory, or cut off */
};

struct wio_tap;

/*
 * Open the device; it stays as long as its descriptor.
 *
 * err, err_cap   where a line goes that says what is missing and what to do about it
 *
 * Returns NULL when it can't be: no /dev/net/tun, no permission (CAP_NET_ADMIN), the name in use, no memory.
 */
struct wio_tap *wio_tap_open(const struct wio_tap_config *, char *err, size_t err_cap);

/* Close it. Its interface must be gone from its stack, or the stack silent from here on. NULL is fine. */
void wio_tap_close(struct wio_tap *);

int wio_tap_fd(const struct wio_tap *);           /* non-blocking, for poll */
const char *wio_tap_name(const struct wio_tap *); /* of the device */

/* For weir_netif_add: the operations (the driver is the struct wio_tap itself) and the capabilities. */
const struct weir_netif_ops *wio_tap_ops(void);
uint32_t wio_tap_caps(const struct wio_tap *);

/* Did the device's queue refuse a packet? Then poll for POLLOUT and call weir_netif_tx_ready. */
bool wio_tap_is_blocked(const struct wio_tap *);

/*
 * Read what is there, at most `cap` packets, ready for weir_input. Each has one reference, the caller's.
 * Returns how many; 0 when nothing is there.
 */
unsigned wio_tap_read(struct wio_tap *, struct weir_pool *, struct weir_pkt **pkts, unsigned cap);

struct wio_tap_stats wio_tap_stats(const struct wio_tap *);

#endif
