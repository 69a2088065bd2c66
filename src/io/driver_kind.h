/*
 * What the drivers share: a device's specification, read, and what each kind of device has to offer. Who uses drivers
 * wants driver.h.
 */
#ifndef WIO_DRIVER_KIND_H
#define WIO_DRIVER_KIND_H

#include "io/driver.h"
#include "io/lender.h"
#include "io/lines.h"

#include <net/if.h>
#include <weir/shard.h>

enum wio_word {
    WIO_WORD_QUEUES,
    WIO_WORD_QUEUE,
    WIO_WORD_MAC,
    WIO_WORD_MTU,
    WIO_WORD_OFFLOAD,
    WIO_WORD_RING,
    WIO_WORD_MODE,
    WIO_WORD_BUSY,
    WIO_WORD_ARGS,
    WIO_WORD_EAL,
    WIO_WORD_N,
};

enum wio_mode { WIO_MODE_AUTO, WIO_MODE_COPY, WIO_MODE_ZEROCOPY, WIO_MODE_BATCH, WIO_MODE_N };

/* A specification. What was not said is 0, but for has_offloads. */
struct wio_driver_spec {
    const struct wio_driver_kind *kind;
    char device[IFNAMSIZ]; /* may be empty */
    unsigned words;        /* bits 1 << enum wio_word: what was said */
    unsigned queue_n;      /* 1 or more */
    unsigned queue;
    uint8_t mac[6];
    uint32_t mtu;
    uint32_t ring;
    enum wio_mode mode;
    bool has_offloads;
    bool is_busy;
    char args[128], eal[128];
};

/* The first member of each kind's own struct, which is of wio_lines_new: its thread writes into it all the time. */
struct wio_queue {
    struct wio_driver *driver;
    int fd;
    bool is_blocked; /* the device took less than all: poll for room */
    struct weir *stack;
    int netif; /* valid while there is a stack */
    struct wio_queue_stats stats;
};

struct wio_driver {
    const struct wio_driver_kind *kind;
    char name[IFNAMSIZ];
    struct weir_netif_config netif; /* .name is set on the way out */
    bool is_busy;
    bool has_program; /* packet: queues are chosen by io/steer.h */
    uint16_t port;    /* dpdk */
    unsigned queue_n;
    struct wio_queue *queues[WIO_QUEUES_MAX];
};

/* Where an error is written. */
struct wio_err {
    char *text;
    size_t cap;
};

struct wio_driver_kind {
    const char *name;
    const char *absent; /* not in this build: what to do about it. Then there is nothing else */
    unsigned words;     /* bits 1 << enum wio_word: those that it knows */
    unsigned modes;     /* bits 1 << enum wio_mode, likewise */

    /* Find the device and fill d->netif (type, mac, mtu, caps) and d->name. 0, or -1 and *err is written. */
    int (*open)(struct wio_driver *d, const struct wio_driver_spec *, const struct wio_err *);
    /* The i-th queue, its own part and fd filled; NULL and *err written. The first may fill what open could not. */
    struct wio_queue *(*queue_open)(struct wio_driver *d, const struct wio_driver_spec *, unsigned i,
                                    const struct wio_err *);
    void (*queue_close)(struct wio_queue *);
    unsigned (*recv)(struct wio_queue *, struct weir_pool *, struct weir_pkt **, unsigned cap);
    struct weir_netif_ops netif_ops;   /* the driver is the struct wio_queue */
    void (*flush)(struct wio_queue *); /* hand over what xmit has put off; may be NULL */
    void (*stats)(struct wio_queue *); /* bring q->stats up to date; may be NULL */
    /* Have the device choose its queues, all of them, as weir_steer chooses shards, as well as it can. 0 or a negative
     * errno; NULL: it can't be told. */
    int (*steer)(struct wio_driver *, const struct weir_rss *);
};

extern const struct wio_driver_kind wio_kind_tap, wio_kind_tun, wio_kind_packet, wio_kind_xdp, wio_kind_dpdk;

/* Read a specification. 0, or -1 and *err is written. */
int wio_driver_spec_parse(struct wio_driver_spec *, const char *text, const struct wio_err *);

/*
 * Send a super-segment that the device would cut wrongly, cut. When it has no room for all of the segments, the last
 * ones are lost.
 *
 * send   false: no room now
 *
 * Returns false when there was room for none.
 */
bool wio_send_cut(struct wio_queue *, const struct weir_pkt *,
                  bool (*send)(struct wio_queue *, const struct weir_pkt *));

/* A packet that holds a copy of `bytes`; small ones take no block, those of more than WIO_FRAME_BYTES a lent one where
 * there is one. NULL: no memory. */
struct weir_pkt *wio_pkt_copy(struct weir_pool *, struct wio_lender *, const void *bytes, size_t len);

#define WIO_FRAME_BYTES 2048  /* holds a whole packet of an Ethernet, so that one does not pin a large block */
#define WIO_SUPER_BYTES 65536 /* what a super-segment is read into: buffers of a lender */
#define WIO_SUPER_N     128   /* so many of them */

/* An address that is one station's, locally administered. 0, or -1 with errno. */
int wio_random_mac(uint8_t mac[6]);

/* The address and MTU of an Ethernet interface, and whether it is up, into d. 0, or -1 and *err is written. */
int wio_find_interface(struct wio_driver *d, const char *name, const struct wio_err *);

/* A packet socket that has the interface take in all groups, and what is for others as well, until it is closed. A
 * negative errno: it could not. */
int wio_join_all(const char *name, bool is_promiscuous);

/* Write "what: form". Returns -1. */
int wio_fail(const struct wio_err *, const char *what, const char *form, ...) __attribute__((format(printf, 3, 4)));

#endif
