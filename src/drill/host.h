/*
 * A weir with one raw-IP interface whose other end is a script: what the in-process runner and libweir-packetdrill.so
 * both drive.
 */
#ifndef WDR_HOST_H
#define WDR_HOST_H

#include <weir/weir.h>

#define WDR_TIME_ZERO WEIR_SEC(1000) /* where the clock stands at first: stamps and ages before it stay positive */

struct wdr_datagram {
    struct wdr_datagram *next;
    weir_ns at;
    size_t len;
    uint8_t bytes[];
};

struct wdr_host_config {
    bool has_v4, has_v6; /* which addresses and routes to have */
    struct weir_addr local4, local6;
    uint32_t mtu;
    bool has_tso; /* super-segments come whole */
    uint64_t seed;
    void (*on_event)(void *ctx, const struct weir_event *); /* may be NULL */
    void *event_ctx;
};

struct wdr_host {
    struct weir *w;
    int netif;
    weir_ns now;
    struct wdr_datagram *first, **last; /* sent and not fetched */
    bool discards;                      /* what is sent is lost */
    struct weir_route routes[2];
    unsigned route_n;
    uint64_t *counted; /* what nstat has told; wdr_nstat */
};

int wdr_host_init(struct wdr_host *, const struct wdr_host_config *); /* 0, -ENOMEM, -EINVAL */
void wdr_host_fini(struct wdr_host *);

void wdr_host_input(struct wdr_host *, const uint8_t *data, size_t len);
struct wdr_datagram *wdr_host_take(struct wdr_host *); /* the next that was sent, to be freed; NULL: none */

/* Move the clock to `at` and run what is due then. */
void wdr_host_advance(struct wdr_host *, weir_ns at);

/* Change the default routes; 0 leaves a number as it was. 0 or a negative errno. */
int wdr_host_route(struct wdr_host *, uint32_t mtu, uint32_t advmss, uint32_t initcwnd);

/* An address more; one that is there already is fine. */
int wdr_host_address(struct wdr_host *, const struct weir_addr *);

#endif
