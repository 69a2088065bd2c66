/*
 * What a script is played against: a stack with a clock that stands still until it is told to move.
 */
#ifndef WDR_TARGET_H
#define WDR_TARGET_H

#include <stdio.h>

#include "drill/posix.h"
#include "trace/json.h"

struct wdr_target_config {
    bool is_v6; /* the wire's IP version */
    struct weir_addr local, remote;
    uint32_t mtu;
    bool has_tso; /* super-segments come whole, as Linux's device shows them (our own stack only) */
    uint64_t seed;
    FILE *trace;           /* each event as a line of text (our own stack only); may be NULL */
    struct wtr_json *json; /* each event as a JSON line (our own stack only); may be NULL */
    const char *so;        /* play against a library with packetdrill's interface instead; may be NULL */
    bool is_live;          /* that library's clock is the real one */
};

#define WDR_PATIENCE WEIR_SEC(300) /* where time costs nothing */

struct wdr_target;

struct wdr_target_ops {
    void (*free)(struct wdr_target *);
    weir_ns (*now)(struct wdr_target *);

    /* Let time pass up to `until`; timers run as they fall due, and the pending call is tried whenever it may go on. */
    void (*wait)(struct wdr_target *, weir_ns until);

    /* The same, until a datagram arrives: it wins over the timers that fall due in that very moment. */
    void (*wait_arrival)(struct wdr_target *, weir_ns at);

    /* A datagram arrives. */
    void (*input)(struct wdr_target *, const uint8_t *data, size_t len);

    /* The next datagram that was sent, waiting for it up to `limit` (a foreign library may wait longer). Returns its
     * length, 0 when none comes; *at is when it was sent. */
    size_t (*output)(struct wdr_target *, weir_ns limit, uint8_t *buf, weir_ns *at);

    /* Begin a call. true: it is done. false: it is pending, one at a time, until `finished` says when it was done. */
    bool (*begin)(struct wdr_target *, struct wdr_op *, bool may_block);
    bool (*finished)(struct wdr_target *, weir_ns *at);

    /* Let time pass until the pending call is done, or `limit`. */
    void (*await)(struct wdr_target *, weir_ns limit);

    int (*sysctl)(struct wdr_target *, const char *name, const char *value);
    int (*route)(struct wdr_target *, uint32_t mtu, uint32_t advmss, uint32_t initcwnd); /* 0: as it was */
    void (*discard)(struct wdr_target *, bool on);           /* a queue that takes nothing: what is sent is lost */
    int (*nstat)(struct wdr_target *, const char *pipeline); /* as wdr_nstat */
    int (*tcp_info)(struct wdr_target *, int fd, struct weir_tcp_info *);

    /* After the script: an invariant of the stack that is broken, or NULL. */
    const char *(*check)(struct wdr_target *);
};

struct wdr_target {
    const struct wdr_target_ops *ops;
    weir_ns patience; /* how long to look for a packet beyond its time, for the report */
};

struct wdr_target *wdr_host_new(const struct wdr_target_config *, char *err, size_t cap); /* a weir in this process */
struct wdr_target *wdr_foreign_new(const struct wdr_target_config *, char *err, size_t cap); /* config->so */

#endif
