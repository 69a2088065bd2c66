/*
 * Two stacks over the memory link, in one thread and in virtual time: what the stack itself costs, with no system call.
 *
 *   bench-memory [SECONDS]     for each measurement; 1 if nothing is said
 */
#include "heap.h"
#include "io/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/weir.h>

#define PIECE 65536

struct pair {
    struct weir *w[2]; /* by enum wio_side */
    struct wio_link *link;
    weir_fd fd[2];
    weir_ns now;
};

static uint8_t piece[PIECE];

static void give_up(const char *what, int64_t err)
{
    fprintf(stderr, "bench-memory: %s: %s\n", what, weir_strerror((int)err));
    exit(1);
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Let a microsecond pass and all of its packets arrive. */
static void turn(struct pair *p)
{
    p->now += 1000;
    while (wio_link_deadline(p->link) <= p->now)
        wio_link_run(p->link, p->now);
    weir_advance(p->w[0], p->now);
    weir_advance(p->w[1], p->now);
}

static void make_hosts(struct pair *p, const struct wio_link_config *c, int family)
{
    p->link = wio_link_new(c, 1);
    for (int side = 0; side < 2; side++) {
        struct weir_config wc = {.alloc = {bench_alloc, bench_free, NULL}, .seed = (uint64_t)side + 1};
        struct weir_addr v4 = weir_addr_v4(10, 0, 0, (uint8_t)(1 + side)), v6 = {{0xfd, [15] = (uint8_t)(1 + side)}};
        p->w[side] = weir_new(&wc);
        int netif = wio_link_attach(p->link, (enum wio_side)side, p->w[side], "link", NULL);
        int err =
            weir_addr_add(p->w[side], netif, family == WEIR_AF_INET ? &v4 : &v6, family == WEIR_AF_INET ? 24 : 64);
        if (err)
            give_up("address", err);
    }
    for (p->now = 0; p->now < WEIR_SEC(3); p->now += WEIR_MS(10))
        turn(p);
}

static void open_pair(struct pair *p, const struct wio_link_config *c, int family)
{
    make_hosts(p, c, family);
    struct weir_sockaddr to = {.addr = weir_addr_v4(10, 0, 0, 2), .family = (uint16_t)family, .port = 80};
    if (family == WEIR_AF_INET6)
        to.addr = (struct weir_addr){{0xfd, [15] = 2}};
    weir_fd listener = weir_socket(p->w[1], family, WEIR_SOCK_STREAM, 0);
    int err = weir_bind(p->w[1], listener, &to);
    if (!err)
        err = weir_listen(p->w[1], listener, 8);
    if (err)
        give_up("listen", err);
    p->fd[0] = weir_socket(p->w[0], family, WEIR_SOCK_STREAM, 0);
    err = weir_connect(p->w[0], p->fd[0], &to);
    if (err != -WEIR_EINPROGRESS)
        give_up("connect", err);
    for (int i = 0; i < 100000 && (p->fd[1] = weir_accept(p->w[1], listener, NULL)) < 0; i++)
        turn(p);
    if (p->fd[1] < 0)
        give_up("accept", p->fd[1]);
    int one = 1;
    for (int side = 0; side < 2; side++)
        weir_setsockopt(p->w[side], p->fd[side], WEIR_SOL_TCP, WEIR_TCP_NODELAY, &one, sizeof one);
}

static void close_pair(struct pair *p)
{
    weir_free(p->w[0]);
    weir_free(p->w[1]);
    wio_link_free(p->link);
}

static uint64_t drain(struct pair *p)
{
    static uint8_t buf[4 * PIECE];
    uint64_t total = 0;
    for (;;) {
        int64_t n = weir_recv(p->w[1], p->fd[1], buf, sizeof buf, 0);
        if (n == -WEIR_EAGAIN)
            return total;
        if (n <= 0)
            give_up("recv", n);
        total += (uint64_t)n;
    }
}

static void bulk(const char *name, const struct wio_link_config *c, int family, double limit)
{
    struct pair p = {0};
    open_pair(&p, c, family);
    uint64_t bytes = 0, before = wio_link_stats(p.link, WIO_UP).sent_pkts;
    double began = seconds(), took;
    do {
        for (int i = 0; i < 64; i++) {
            while (weir_send(p.w[0], p.fd[0], piece, sizeof piece, 0) > 0) {
            }
            turn(&p);
            bytes += drain(&p);
        }
        took = seconds() - began;
    } while (took < limit);
    uint64_t pkts = wio_link_stats(p.link, WIO_UP).sent_pkts - before;
    printf("%-34s %8.2f Gbit/s  %9.0f packets/s  %6.0f bytes a packet\n", name, (double)bytes * 8 / took / 1e9,
           (double)pkts / took, (double)bytes / (double)(pkts ? pkts : 1));
    close_pair(&p);
}

/* A request of 64 bytes and an answer of as many, one after another. */
static void ping_pong(const char *name, const struct wio_link_config *c, int family, double limit)
{
    struct pair p = {0};
    uint8_t buf[64];
    open_pair(&p, c, family);
    uint64_t rounds = 0;
    double began = seconds(), took;
    do {
        for (int i = 0; i < 256; i++, rounds++) {
            weir_send(p.w[0], p.fd[0], piece, sizeof buf, 0);
            while (weir_recv(p.w[1], p.fd[1], buf, sizeof buf, 0) == -WEIR_EAGAIN)
                turn(&p);
            weir_send(p.w[1], p.fd[1], buf, sizeof buf, 0);
            while (weir_recv(p.w[0], p.fd[0], buf, sizeof buf, 0) == -WEIR_EAGAIN)
                turn(&p);
        }
        took = seconds() - began;
    } while (took < limit);
    printf("%-34s %8.0f requests/s, %.2f us each\n", name, (double)rounds / took, took / (double)rounds * 1e6);
    close_pair(&p);
}

int main(int argc, char **argv)
{
    double limit = argc > 1 ? strtod(argv[1], NULL) : 1;
    struct wio_link_config clean = {.type = WEIR_LINK_RAW_IP}, cut = {.type = WEIR_LINK_RAW_IP, .is_captured = true};
    struct wio_link_config ethernet = {.type = WEIR_LINK_ETHERNET};

    bulk("bulk, super-segments, IPv4", &clean, WEIR_AF_INET, limit);
    bulk("bulk, super-segments, IPv6", &clean, WEIR_AF_INET6, limit);
    bulk("bulk, super-segments, Ethernet", &ethernet, WEIR_AF_INET, limit);
    bulk("bulk, packets of 1,500 bytes, IPv4", &cut, WEIR_AF_INET, limit);
    ping_pong("request and response, IPv4", &clean, WEIR_AF_INET, limit);
    ping_pong("request and response, IPv6", &clean, WEIR_AF_INET6, limit);
    return 0;
}
