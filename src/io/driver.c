/*
 * The table of drivers, and what is the same for all of them: driver.h.
 */
#include "io/driver_kind.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

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

struct wio_driver *wio_driver_open(const char *text, char *err_text, size_t err_cap)
{
    struct wio_driver_spec spec;
    const struct wio_err err = {err_text, err_cap};
    if (wio_driver_spec_parse(&spec, text, &err) < 0)
        return NULL;
    struct wio_driver *d = calloc(1, sizeof *d);
    if (!d) {
        wio_fail(&err, text, "no memory");
        return NULL;
    }
    d->kind = spec.kind;
    d->is_busy = spec.is_busy;
    if (open_all(d, &spec, &err) < 0) {
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
    return q->driver->kind->netif_ops.xmit(q, pkts, n);
}

unsigned wio_queue_run(struct wio_queue *q, short revents, weir_ns now)
{
    struct weir_pkt *pkts[BATCH];
    if (q->is_blocked && (revents & POLLOUT)) {
        q->is_blocked = false;
        weir_netif_tx_ready(q->stack, q->netif);
    }
    if (!(revents & ~POLLOUT))
        return 0;
    unsigned n = wio_queue_recv(q, weir_stack_pool(q->stack), pkts, BATCH);
    if (n == 0)
        return 0;
    weir_input(q->stack, q->netif, pkts, n, now);
    for (unsigned i = 0; i < n; i++)
        weir_pkt_unref(pkts[i]);
    return n;
}

struct wio_queue_stats wio_queue_stats(struct wio_queue *q)
{
    if (q->driver->kind->stats)
        q->driver->kind->stats(q);
    return q->stats;
}
