/*
 * Two TUN devices, each in a network namespace of its own, and an impaired link between them: the kernel's TCP against
 * itself over the very link that tap-peer has.
 *
 *   tap-bridge NEAR FAR LINK SEED
 *
 * NEAR and FAR are files of namespaces, such as /proc/PID/ns/net; "near0" and "far0" are made there. LINK is in the
 * words of docs/link.md, but for rules and corrupt=; up is from FAR to NEAR, as tap-peer's is to the kernel.
 *
 * It says "ready" and ends with its standard input.
 */
#include "heap.h"
#include "tap_link.h"

#include "io/driver.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

#define BATCH 64
#define MTU   1500

struct bridge {
    struct wio_driver *drivers[2]; /* by enum wio_side */
    struct wio_queue *taps[2];
    struct weir_pool *pool;
    struct tap_link link;
};

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "tap-bridge: %s: %s\n", what, why);
    exit(1);
}

static weir_ns clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return WEIR_SEC(ts.tv_sec) + (weir_ns)ts.tv_nsec;
}

static struct wio_driver *open_in(const char *ns, const char *name)
{
    char err[256], spec[64];
    snprintf(spec, sizeof spec, "tun:%s,offload=off", name);
    int fd = open(ns, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        give_up(ns, "can't enter it");
    close(fd);
    struct wio_driver *d = wio_driver_open(spec, err, sizeof err);
    if (!d)
        give_up(name, err);
    return d;
}

static void forward(struct bridge *b, enum wio_side from, weir_ns now)
{
    struct weir_pkt *pkts[BATCH];
    unsigned n = wio_queue_recv(b->taps[from], b->pool, pkts, BATCH);
    for (unsigned i = 0; i < n; i++)
        tap_link_send(&b->link, from == WIO_FAR ? WIO_UP : WIO_DOWN, pkts[i], now);
}

static void deliver(struct bridge *b, enum wio_dir dir, weir_ns now)
{
    struct wio_queue *to = b->taps[dir == WIO_UP ? WIO_NEAR : WIO_FAR];
    struct weir_pkt *pkt;
    while ((pkt = tap_link_due(&b->link, dir, now))) {
        weir_pkt_ref(pkt); /* the driver takes one; the line still reads it when it is taken */
        if (wio_queue_xmit(to, &pkt, 1) == 0) {
            weir_pkt_unref(pkt);
            return;
        }
        weir_pkt_unref(tap_link_take(&b->link, dir));
    }
    wio_queue_flush(to);
}

static void wait_for(struct bridge *b, struct pollfd *fds)
{
    weir_ns at = tap_link_deadline(&b->link), now = clock_now(), left = at > now ? at - now : 0;
    struct timespec ts = {(time_t)(left / WEIR_SEC(1)), (long)(left % WEIR_SEC(1))};
    for (int i = 0; i < 2; i++)
        fds[i] = (struct pollfd){wio_queue_fd(b->taps[i]), POLLIN, 0};
    fds[2] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    ppoll(fds, 3, at == WEIR_NEVER ? NULL : &ts, NULL);
}

int main(int argc, char **argv)
{
    static struct bridge b;
    struct weir_alloc alloc = {.alloc = bench_alloc, .free = bench_free};
    if (argc != 5)
        give_up("usage", "tap-bridge NEAR FAR LINK SEED");
    const char *wrong = tap_link_init(&b.link, WEIR_LINK_RAW_IP, argv[3], MTU, strtoull(argv[4], NULL, 10));
    if (wrong)
        give_up("link", wrong);
    b.pool = weir_pool_new(&alloc, 0);
    if (!b.pool)
        give_up("memory", "none");
    b.drivers[WIO_NEAR] = open_in(argv[1], "near0");
    b.drivers[WIO_FAR] = open_in(argv[2], "far0");
    for (int i = 0; i < 2; i++)
        b.taps[i] = wio_driver_queue(b.drivers[i], 0);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd fds[3];
        wait_for(&b, fds);
        weir_ns now = clock_now();
        for (int i = 0; i < 2; i++)
            if (fds[i].revents & POLLIN)
                forward(&b, (enum wio_side)i, now);
        deliver(&b, WIO_UP, now);
        deliver(&b, WIO_DOWN, now);
        if (fds[2].revents)
            break;
    }
    tap_link_free(&b.link);
    wio_driver_close(b.drivers[WIO_NEAR]);
    wio_driver_close(b.drivers[WIO_FAR]);
    weir_pool_free(b.pool);
    return 0;
}
