/*
 * What one operation costs a stack that already holds N of something, for what bench-stacks does not reach: holes in a
 * connection's data, and routes. One stack; what arrives is written here, by hand.
 *
 *   bench-growth holes|routes N
 *
 * holes   a segment of one byte arrives at a random place far out of order, behind N others with a hole at each
 * routes  a datagram socket is connected to a random destination, with N routes of all lengths
 *
 * Prints the median in nanoseconds. growth_op is what is measured, for callgrind's --toggle-collect as well.
 */
#define BENCH_NAME "bench-growth"

#include "heap.h"
#include "io/bytes.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/weir.h>

#define IP_HDR      20u
#define TCP_HDR     20u
#define OPTIONS_LEN 12u /* in the SYN: MSS, SACK permitted, window scale 14 */
#define PORT        80u
#define OPS         2001u
#define HOLES_MAX   1000000u
#define RCVBUF      (1 << 29)

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct growth {
    struct weir *w;
    int netif;
    weir_ns now;
    weir_fd listener, conn;
    uint32_t n;
    uint32_t *order; /* holes: the places, mixed */
    uint32_t seq;    /* of the next byte in order */
    uint32_t ack;    /* what weir's SYN was answered with; 0 before */
    uint64_t edge;   /* the right end of the window that weir has offered */
    unsigned scale;
    uint64_t lcg;
};

static uint32_t any(struct growth *g)
{
    g->lcg = g->lcg * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(g->lcg >> 32);
}

/* ---- The other end: headers by hand ---- */

static void write_ip(uint8_t *ip, uint32_t len)
{
    static const uint8_t start[IP_HDR] = {0x45, [6] = 0x40, [8] = 64, 6, [12] = 10, 0, 0, 2, 10, 0, 0, 1};
    uint32_t sum = 0;
    memcpy(ip, start, IP_HDR);
    wio_put16(ip + 2, len);
    for (unsigned i = 0; i < IP_HDR; i += 2)
        sum += wio_get16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    wio_put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
}

/* A segment for weir; its checksum is vouched for. */
static struct weir_pkt *segment(struct growth *g, uint32_t seq, uint8_t flags, uint32_t len)
{
    static const uint8_t options[OPTIONS_LEN] = {2, 4, 0x05, 0xb4, 4, 2, 3, 3, 14, 1, 1, 0};
    uint8_t bytes[IP_HDR + TCP_HDR + OPTIONS_LEN + 1460] = {0}, *tcp = bytes + IP_HDR;
    uint32_t hdr_len = TCP_HDR + (flags & SYN ? OPTIONS_LEN : 0);
    write_ip(bytes, IP_HDR + hdr_len + len);
    wio_put16(tcp, 4000);
    wio_put16(tcp + 2, PORT);
    wio_put32(tcp + 4, seq);
    wio_put32(tcp + 8, g->ack);
    tcp[12] = (uint8_t)(hdr_len << 2);
    tcp[13] = flags;
    wio_put16(tcp + 14, 1000);
    if (flags & SYN)
        memcpy(tcp + TCP_HDR, options, OPTIONS_LEN);
    struct weir_pkt *p = weir_pkt_from(weir_stack_pool(g->w), bytes, IP_HDR + hdr_len + len);
    if (!p)
        fail("a packet", -WEIR_ENOMEM);
    p->flags |= WEIR_PKT_CSUM_OK;
    return p;
}

/* What is measured: one segment's arrival, or one connect. */
void growth_op(struct growth *g, struct weir_pkt *p, weir_fd fd, const struct weir_sockaddr *to);

__attribute__((noinline)) void growth_op(struct growth *g, struct weir_pkt *p, weir_fd fd,
                                         const struct weir_sockaddr *to)
{
    if (p)
        weir_input(g->w, g->netif, &p, 1, g->now);
    else
        must("connect", weir_connect(g->w, fd, to));
}

static void arrive(struct growth *g, struct weir_pkt *p)
{
    g->now += 1000;
    weir_input(g->w, g->netif, &p, 1, g->now);
    weir_pkt_unref(p);
}

static void read_scale(struct growth *g, const uint8_t *tcp, uint32_t hdr_len)
{
    for (uint32_t at = TCP_HDR; at + 2 < hdr_len && tcp[at] != 0;) {
        if (tcp[at] == 3)
            g->scale = tcp[at + 2];
        at += tcp[at] == 1 ? 1 : tcp[at + 1] ? tcp[at + 1] : 1u;
    }
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct growth *g = driver;
    for (unsigned i = 0; i < n; i++) {
        uint8_t bytes[IP_HDR + 60] = {0}, *tcp = bytes + IP_HDR;
        weir_pkt_copy(pkts[i], 0, bytes, sizeof bytes);
        if (bytes[9] == 6 && tcp[13] & SYN) {
            g->ack = wio_get32(tcp + 4) + 1;
            read_scale(g, tcp, (uint32_t)(tcp[12] >> 4) * 4);
        } else if (bytes[9] == 6) {
            g->edge = wio_get32(tcp + 8) + ((uint64_t)wio_get16(tcp + 14) << g->scale);
        }
        weir_pkt_unref(pkts[i]);
    }
    return n;
}

static void make_stack(struct growth *g)
{
    static const struct weir_netif_ops ops = {xmit};
    struct weir_config c = {.alloc = {bench_alloc, bench_free, NULL}, .seed = 1};
    struct weir_netif_config nc = {.name = "mem", .type = WEIR_LINK_RAW_IP, .mtu = 1500};
    struct weir_addr own = weir_addr_v4(10, 0, 0, 1);
    g->w = weir_new(&c);
    if (!g->w)
        fail("weir_new", -WEIR_ENOMEM);
    g->netif = (int)must("interface", weir_netif_add(g->w, &ops, g, &nc));
    must("address", weir_addr_add(g->w, g->netif, &own, 24));
}

static uint64_t nanoseconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print(struct growth *g, const char *what, uint64_t held, uint64_t *took, uint32_t ops)
{
    qsort(took, ops, sizeof *took, by_value);
    printf("%s\tn=%u\theld=%llu\tops=%u\tns=%llu\n", what, g->n, (unsigned long long)held, ops,
           (unsigned long long)took[ops / 2]);
}

/* ---- Holes ---- */

static void mix(struct growth *g, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        g->order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t k = any(g) % i, kept = g->order[i - 1];
        g->order[i - 1] = g->order[k];
        g->order[k] = kept;
    }
}

/* A connection whose window holds the places: bytes in order widen it. */
static void establish(struct growth *g, uint64_t window)
{
    uint8_t buf[1460];
    int rcvbuf = RCVBUF;
    struct weir_sockaddr at = {.addr = weir_addr_v4(10, 0, 0, 1), .family = WEIR_AF_INET, .port = PORT};
    g->listener = must("socket", weir_socket(g->w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0));
    must("SO_RCVBUFFORCE",
         weir_setsockopt(g->w, g->listener, WEIR_SOL_SOCKET, WEIR_SO_RCVBUFFORCE, &rcvbuf, sizeof rcvbuf));
    must("bind", weir_bind(g->w, g->listener, &at));
    must("listen", weir_listen(g->w, g->listener, 1));
    g->seq = 1000;
    arrive(g, segment(g, g->seq++, SYN, 0));
    arrive(g, segment(g, g->seq, ACK, 0));
    g->conn = must("accept", weir_accept(g->w, g->listener, NULL));
    for (unsigned i = 0; i < 10000 && g->edge < g->seq + window; i++) {
        arrive(g, segment(g, g->seq, ACK | PSH, sizeof buf));
        g->seq += sizeof buf;
        must("recv", weir_recv(g->w, g->conn, buf, sizeof buf, 0));
    }
    if (g->edge < g->seq + window) {
        fprintf(stderr, "bench-growth: the window stays below %llu bytes\n", (unsigned long long)window);
        exit(1);
    }
}

static struct weir_pkt *byte_at(struct growth *g, uint32_t place)
{
    return segment(g, g->seq + 1 + 2 * place, ACK, 1);
}

static uint64_t refused_so_far(const struct growth *g)
{
    uint64_t n = 0;
    if (weir_stat_get(g->w, "drop.TCP_OOO_FULL", &n) < 0)
        fail("the counter of refused segments", -WEIR_ENOENT);
    return n;
}

static void holes(struct growth *g)
{
    uint32_t ops = g->n / 10 < OPS ? g->n / 10 + 1 : OPS, places = g->n + ops, rounds = (OPS + ops - 1) / ops;
    uint64_t *took = room((size_t)rounds * ops, sizeof *took), refused = 0;
    g->order = room(places, sizeof *g->order);
    for (uint32_t r = 0; r < rounds; r++) {
        make_stack(g);
        mix(g, places);
        establish(g, 2 * (uint64_t)places + 2);
        for (uint32_t i = 0; i < g->n; i++)
            arrive(g, byte_at(g, g->order[i]));
        refused = refused_so_far(g);
        for (uint32_t i = 0; i < ops; i++) {
            struct weir_pkt *p = byte_at(g, g->order[g->n + i]);
            g->now += 1000;
            uint64_t began = nanoseconds();
            growth_op(g, p, -1, NULL);
            took[r * ops + i] = nanoseconds() - began;
            weir_pkt_unref(p);
        }
        weir_free(g->w);
        g->ack = 0;
        g->edge = 0;
    }
    print(g, "holes", g->n - refused, took, rounds * ops);
    free(g->order);
    free(took);
}

/* ---- Routes ---- */

static struct weir_addr addr_of(uint32_t v)
{
    return weir_addr_v4((uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v);
}

/* 11.0.0.0 and up, prefixes of 16 to 32 bits: most of a length that 11.0.0.0/8 to 126.0.0.0/8 has room for. */
static void routes(struct growth *g)
{
    uint64_t *took = room(OPS, sizeof *took);
    struct weir_sockaddr *to = room(OPS, sizeof *to);
    make_stack(g);
    for (uint32_t i = 0; i < g->n;) {
        unsigned len = 16 + any(g) % 17;
        uint32_t dst = ((11 + any(g) % 116) << 24 | (any(g) & 0xffffff)) & (len ? ~0u << (32 - len) : 0);
        struct weir_route r = {.dst = addr_of(dst),
                               .gateway = weir_addr_v4(10, 0, 0, 2),
                               .prefsrc = weir_addr_any(WEIR_AF_INET),
                               .prefix_len = len,
                               .netif = g->netif};
        int err = weir_route_add(g->w, &r);
        if (err == -WEIR_EEXIST)
            continue;
        must("route", err);
        uint32_t slot = i < OPS ? i : any(g) % (i + 1); /* an even choice among all of them */
        if (slot < OPS)
            to[slot] = (struct weir_sockaddr){.addr = addr_of(dst), .family = WEIR_AF_INET, .port = 9};
        i++;
    }
    for (uint32_t i = g->n; i < OPS; i++)
        to[i] = to[i - g->n];
    weir_fd fd = must("socket", weir_socket(g->w, WEIR_AF_INET, WEIR_SOCK_DGRAM, 0));
    for (uint32_t i = 0; i < OPS; i++) {
        uint64_t began = nanoseconds();
        growth_op(g, NULL, fd, &to[i]);
        took[i] = nanoseconds() - began;
    }
    print(g, "routes", g->n, took, OPS);
    weir_free(g->w);
    free(took);
    free(to);
}

int main(int argc, char **argv)
{
    struct growth g = {.lcg = 1};
    g.n = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (g.n >= 1 && g.n <= HOLES_MAX && strcmp(argv[1], "holes") == 0) {
        holes(&g);
    } else if (g.n >= 1 && g.n <= HOLES_MAX && strcmp(argv[1], "routes") == 0) {
        routes(&g);
    } else {
        fprintf(stderr, "usage: bench-growth holes|routes 1-%u\n", HOLES_MAX);
        return 2;
    }
    return 0;
}
