/*
 * Millions of connections held by one server stack, most of them idle, and the latency of a request over one of the
 * others. The clients are a generator that keeps nothing of a connection: its sequence numbers follow from the
 * four-tuple, and what it answers from the segment that it answers. (Of those that will ask it remembers where the
 * server's numbers begin: nobody may guess that.)
 *
 *   bench-held [--conns N] [--active N] [--rounds N]
 *
 * Each connection is made by a handshake, accepted, and watched by the server's epoll object. The clock is virtual: so
 * many of them begin in a second (CONNS_PER_S), and then all are left alone until what is idle has been parked. At the
 * end `active` of them, evenly spread, ask in turn: a request of 64 bytes is handed to the stack, epoll tells the
 * server, which reads it, and the response has left. That is what is timed; checksums are right in both directions, and
 * the generator compares every response. Real time is spent on nothing else, one core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <weir/weir.h>

#include "io/bytes.h"

#define PORT           80
#define CONNS_PER_S    100000u
#define QUIET_S        20u
#define CLIENT_PORTS   50000u /* of one client address */
#define FIRST_PORT     1024u
#define BATCH          64u
#define OUT_MAX        512u
#define MESSAGE        64u
#define HDRS           52u /* IPv4, TCP with timestamps */
#define BLOCK          65536u
#define REQUEST_GAP_NS 10000u
#define FLAG_FIN       0x01u
#define FLAG_SYN       0x02u
#define FLAG_RST       0x04u
#define FLAG_PSH       0x08u
#define FLAG_ACK       0x10u

struct bench {
    struct weir *w;
    int netif;
    weir_fd listener, epoll;
    uint64_t now_ns, mem_bytes, mem_most;
    uint64_t conns, active, rounds;
    uint64_t stride;      /* each so many-th connection asks */
    uint32_t *server_iss; /* of those */
    uint64_t accepted_n;
    struct weir_block *block; /* where frames are built, one behind the other */
    uint32_t used;
    struct weir_pkt *in[BATCH];
    unsigned in_n;
    struct weir_pkt *out[OUT_MAX];
    unsigned out_n;
};

/* A segment of a client's, or what it needs of one of the server's. */
struct segment {
    uint64_t conn;
    uint32_t seq, ack, ts_val, ts_ecr;
    uint8_t flags;
    const uint8_t *data;
    uint32_t len;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench-held: %s\n", what);
    exit(1);
}

static int64_t must(const char *what, int64_t ret)
{
    if (ret >= 0)
        return ret;
    fprintf(stderr, "bench-held: %s: %s\n", what, weir_strerror((int)ret));
    exit(1);
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *stack_alloc(void *ctx, size_t size)
{
    struct bench *b = ctx;
    void *p = malloc(size);
    if (p)
        b->mem_bytes += size;
    if (b->mem_bytes > b->mem_most)
        b->mem_most = b->mem_bytes;
    return p;
}

static void stack_free(void *ctx, void *p, size_t size)
{
    struct bench *b = ctx;
    b->mem_bytes -= size;
    free(p);
}

/* ---- The generator: what follows from a connection's number ---- */

static uint32_t client_addr(uint64_t conn)
{
    return 0x0a010000u + (uint32_t)(conn / CLIENT_PORTS); /* 10.1.0.0 and on */
}

static uint16_t client_port(uint64_t conn)
{
    return (uint16_t)(FIRST_PORT + conn % CLIENT_PORTS);
}

static uint32_t client_iss(uint64_t conn)
{
    uint64_t x = (conn + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return (uint32_t)(x * 0xbf58476d1ce4e5b9u >> 32);
}

static void message_of(uint64_t conn, uint64_t round, bool is_response, uint8_t out[MESSAGE])
{
    for (unsigned i = 0; i < MESSAGE; i++)
        out[i] = (uint8_t)((conn * 31 + round * 7 + i) ^ (is_response ? 0x5a : 0));
}

static uint32_t sum(const uint8_t *p, size_t len)
{
    uint32_t s = 0;
    for (size_t i = 0; i + 1 < len; i += 2)
        s += (uint32_t)p[i] << 8 | p[i + 1];
    return s + (len & 1 ? (uint32_t)p[len - 1] << 8 : 0);
}

static uint16_t fold(uint32_t s)
{
    s = (s & 0xffff) + (s >> 16);
    return (uint16_t) ~(s + (s >> 16));
}

static uint32_t pseudo_sum(const uint8_t *ip, uint32_t tcp_len)
{
    return sum(ip + 12, 8) + 6 + tcp_len;
}

/* MSS, SACK permitted, timestamps, window scale on a SYN; else timestamps and two NOPs. Returns their length. */
static uint32_t put_options(uint8_t *p, const struct segment *s)
{
    static const uint8_t syn[] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10};
    static const uint8_t plain[] = {1, 1, 8, 10};
    bool is_syn = s->flags & FLAG_SYN;
    uint32_t n = is_syn ? sizeof syn : sizeof plain;
    memcpy(p, is_syn ? syn : plain, n);
    wio_put32(p + n, s->ts_val);
    wio_put32(p + n + 4, s->ts_ecr);
    n += 8;
    if (!is_syn)
        return n;
    memcpy(p + n, (const uint8_t[]){1, 3, 3, 7}, 4);
    return n + 4;
}

static void deliver(struct bench *b)
{
    weir_input(b->w, b->netif, b->in, b->in_n, b->now_ns);
    for (unsigned i = 0; i < b->in_n; i++)
        weir_pkt_unref(b->in[i]);
    b->in_n = 0;
}

/* Build a client's segment, to be delivered with the next batch. */
static void emit(struct bench *b, const struct segment *s)
{
    if (!b->block || b->block->cap - b->used < 256) {
        if (b->block)
            weir_block_unref(b->block);
        b->block = weir_block_new(weir_stack_pool(b->w), BLOCK);
        b->used = 0;
    }
    struct weir_pkt *pkt = weir_pkt_new(weir_stack_pool(b->w), 0);
    if (!b->block || !pkt || b->in_n == BATCH)
        fail("no room for a frame");
    uint8_t *ip = b->block->data + b->used, *tcp = ip + 20;
    uint32_t hdr = 20 + put_options(tcp + 20, s), len = 20 + hdr + s->len;
    memcpy(ip, (const uint8_t[]){0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1}, 20);
    wio_put16(ip + 2, len);
    wio_put32(ip + 12, client_addr(s->conn));
    wio_put16(ip + 10, fold(sum(ip, 20)));
    wio_put16(tcp, client_port(s->conn));
    wio_put16(tcp + 2, PORT);
    wio_put32(tcp + 4, s->seq);
    wio_put32(tcp + 8, s->ack);
    wio_put16(tcp + 12, hdr / 4 << 12 | s->flags);
    wio_put16(tcp + 14, 0xffff);
    wio_put32(tcp + 16, 0);
    if (s->len)
        memcpy(tcp + hdr, s->data, s->len);
    wio_put16(tcp + 16, fold(pseudo_sum(ip, hdr + s->len) + sum(tcp, hdr + s->len)));
    if (weir_pkt_append(pkt, b->block, b->used, len) < 0)
        fail("no room for a frame");
    b->used += (len + 15) & ~15u;
    b->in[b->in_n++] = pkt;
}

static uint32_t clock_ms(const struct bench *b)
{
    return (uint32_t)(b->now_ns / 1000000);
}

/* ---- What the server sends ---- */

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct bench *b = driver;
    unsigned taken = n < OUT_MAX - b->out_n ? n : OUT_MAX - b->out_n;
    memcpy(b->out + b->out_n, pkts, taken * sizeof(struct weir_pkt *));
    b->out_n += taken;
    return taken;
}

static uint32_t ts_val_of(const uint8_t *options, size_t len)
{
    for (size_t i = 0; i < len && options[i] != 0; i += options[i] == 1 ? 1 : options[i + 1]) {
        if (options[i] == 8 && i + 10 <= len)
            return wio_get32(options + i + 2);
        if (options[i] != 1 && (i + 1 >= len || options[i + 1] < 2))
            break;
    }
    fail("a segment without timestamps");
}

/* Read and check a segment of the server's; flat: room for all of it. */
static struct segment read_segment(const struct weir_pkt *pkt, uint8_t flat[256])
{
    struct weir_cut cut;
    must("a packet", weir_cut_begin(&cut, pkt));
    uint32_t len = weir_cut_len(&cut);
    if (len < HDRS - 12 || len > 256 || weir_cut_write(&cut, flat, len) != len)
        fail("a packet of another kind");
    uint8_t *tcp = flat + 20;
    uint32_t hdr = (uint32_t)(tcp[12] >> 4) * 4;
    if (hdr < 20 || 20 + hdr > len || fold(sum(flat, 20)) != 0 ||
        fold(pseudo_sum(flat, len - 20) + sum(tcp, len - 20)) != 0)
        fail("a packet is damaged");
    uint64_t conn = (uint64_t)(wio_get32(flat + 16) - 0x0a010000u) * CLIENT_PORTS;
    conn += (uint32_t)(tcp[2] << 8 | tcp[3]) - FIRST_PORT;
    return (struct segment){.conn = conn,
                            .seq = wio_get32(tcp + 4),
                            .ack = wio_get32(tcp + 8),
                            .ts_val = ts_val_of(tcp + 20, hdr - 20),
                            .flags = tcp[13],
                            .data = tcp + hdr,
                            .len = len - 20 - hdr};
}

/* Acknowledge it, by what it says itself. */
static void answer(struct bench *b, const struct segment *got)
{
    uint32_t taken = got->len + ((got->flags & FLAG_SYN) != 0);
    if (got->flags & (FLAG_RST | FLAG_FIN))
        fail("the server ended a connection");
    if (got->conn >= b->conns)
        fail("a packet to nobody");
    if (got->flags & FLAG_SYN) {
        if (got->ack != client_iss(got->conn) + 1)
            fail("a SYN-ACK for another SYN");
        if (got->conn % b->stride == 0 && got->conn / b->stride < b->active)
            b->server_iss[got->conn / b->stride] = got->seq;
    }
    if (taken == 0)
        return;
    emit(b, &(struct segment){.conn = got->conn,
                              .seq = got->ack,
                              .ack = got->seq + taken,
                              .ts_val = clock_ms(b),
                              .ts_ecr = got->ts_val,
                              .flags = FLAG_ACK});
}

/* Answer what the server sent; batches of at most BATCH go back to it. */
static void settle(struct bench *b)
{
    uint8_t flat[256];
    while (b->out_n > 0) {
        struct weir_pkt *held[OUT_MAX];
        unsigned n = b->out_n;
        memcpy(held, b->out, n * sizeof(struct weir_pkt *));
        b->out_n = 0;
        for (unsigned i = 0; i < n; i++) {
            struct segment got = read_segment(held[i], flat);
            answer(b, &got);
            weir_pkt_unref(held[i]);
            if (b->in_n == BATCH)
                deliver(b);
        }
        if (b->in_n)
            deliver(b);
    }
}

/* ---- The server ---- */

static void server_open(struct bench *b)
{
    struct weir_config c = {.alloc = {stack_alloc, stack_free, b}, .seed = 1, .sockets_max = 1u << 24};
    static const struct weir_netif_ops ops = {xmit};
    struct weir_netif_config nc = {.name = "mem", .type = WEIR_LINK_RAW_IP, .mtu = 1500, .caps = WEIR_CAP_TX_CSUM};
    struct weir_addr addr = weir_addr_v4(10, 0, 0, 1);
    struct weir_sockaddr at = {.addr = addr, .family = WEIR_AF_INET, .port = PORT};
    struct weir_epoll_event ev = {.events = WEIR_POLLIN};
    b->w = weir_new(&c);
    if (!b->w)
        fail("no memory for a stack");
    b->netif = (int)must("interface", weir_netif_add(b->w, &ops, b, &nc));
    must("address", weir_addr_add(b->w, b->netif, &addr, 8));
    b->listener = must("socket", weir_socket(b->w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0));
    must("bind", weir_bind(b->w, b->listener, &at));
    must("listen", weir_listen(b->w, b->listener, 4096));
    b->epoll = must("epoll", weir_epoll_create(b->w));
    ev.data = (uint64_t)b->listener;
    must("epoll_ctl", weir_epoll_ctl(b->w, b->epoll, WEIR_EPOLL_CTL_ADD, b->listener, &ev));
}

static void accept_all(struct bench *b)
{
    weir_fd fd;
    while ((fd = weir_accept(b->w, b->listener, NULL)) != -WEIR_EAGAIN) {
        struct weir_epoll_event ev = {.events = WEIR_POLLIN, .data = (uint64_t)must("accept", fd)};
        must("epoll_ctl", weir_epoll_ctl(b->w, b->epoll, WEIR_EPOLL_CTL_ADD, fd, &ev));
        b->accepted_n++;
    }
}

static void serve_one(struct bench *b, weir_fd fd)
{
    uint8_t bytes[MESSAGE];
    if (must("recv", weir_recv(b->w, fd, bytes, sizeof bytes, 0)) != MESSAGE)
        fail("a request came in pieces");
    for (unsigned i = 0; i < MESSAGE; i++)
        bytes[i] ^= 0x5a;
    if (must("send", weir_send(b->w, fd, bytes, sizeof bytes, 0)) != MESSAGE)
        fail("a response was not taken");
}

static void serve(struct bench *b)
{
    struct weir_epoll_event events[BATCH];
    int n = (int)must("epoll_wait", weir_epoll_wait(b->w, b->epoll, events, BATCH));
    for (int i = 0; i < n; i++) {
        if (events[i].data == (uint64_t)b->listener)
            accept_all(b);
        else
            serve_one(b, (weir_fd)events[i].data);
    }
}

/* ---- The work ---- */

static void pass(struct bench *b, uint64_t ns)
{
    b->now_ns += ns;
    weir_advance(b->w, b->now_ns);
    settle(b);
}

static void open_all(struct bench *b)
{
    for (uint64_t i = 0; i < b->conns;) {
        for (; b->in_n < BATCH && i < b->conns; i++)
            emit(b, &(struct segment){.conn = i, .seq = client_iss(i), .ts_val = clock_ms(b), .flags = FLAG_SYN});
        uint64_t n = b->in_n;
        deliver(b);
        settle(b);
        serve(b);
        pass(b, n * 1000000000u / CONNS_PER_S);
    }
    if (b->accepted_n != b->conns)
        fail("not every connection was accepted");
    for (unsigned i = 0; i < QUIET_S * 10000; i++)
        pass(b, 100000);
}

static double ask_one(struct bench *b, uint64_t k, uint64_t round)
{
    uint8_t bytes[MESSAGE], flat[256];
    uint64_t conn = k * b->stride;
    uint32_t done = (uint32_t)round * MESSAGE + 1;
    message_of(conn, round, false, bytes);
    emit(b, &(struct segment){.conn = conn,
                              .seq = client_iss(conn) + done,
                              .ack = b->server_iss[k] + done,
                              .ts_val = clock_ms(b),
                              .flags = FLAG_ACK | FLAG_PSH,
                              .data = bytes,
                              .len = MESSAGE});
    double began = seconds();
    deliver(b);
    serve(b);
    double spent = seconds() - began;
    if (b->out_n == 0)
        fail("no response");
    struct segment got = read_segment(b->out[b->out_n - 1], flat); /* its acknowledgement may have gone before it */
    message_of(conn, round, true, bytes);
    if (got.conn != conn || got.len != MESSAGE || memcmp(got.data, bytes, MESSAGE) != 0)
        fail("a response is not what was asked for");
    return spent;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_latency(const char *name, double *spent, uint64_t n)
{
    qsort(spent, n, sizeof *spent, by_value);
    printf("\t%sp50_us=%.2f\t%sp99_us=%.2f\t%sp999_us=%.2f", name, spent[n / 2] * 1e6, name,
           spent[(uint64_t)(0.99 * (double)(n - 1))] * 1e6, name, spent[(uint64_t)(0.999 * (double)(n - 1))] * 1e6);
}

/* The first request of each is told apart: it wakes the connection. */
static void ask_all(struct bench *b)
{
    uint64_t n = b->active * b->rounds;
    double *spent = calloc(n, sizeof *spent), *first = calloc(b->active, sizeof *first);
    if (!spent || !first)
        fail("no memory for the latencies");
    for (uint64_t i = 0; i < n; i++) {
        spent[i] = ask_one(b, i % b->active, i / b->active);
        settle(b);
        pass(b, REQUEST_GAP_NS);
    }
    memcpy(first, spent, b->active * sizeof *first);
    print_latency("", spent, n);
    print_latency("first_", first, b->active);
    free(spent);
    free(first);
}

static void run(struct bench *b)
{
    struct rusage usage;
    uint64_t parked = 0;
    double began = seconds();
    server_open(b);
    uint64_t before = b->mem_bytes;
    open_all(b);
    must("a counter", weir_stat_get(b->w, "TCPParked", &parked));
    getrusage(RUSAGE_SELF, &usage);
    printf("held\tconns=%llu\topen_s=%.1f\tparked=%llu\tbytes=%.1f\tmost_mib=%.0f\trss_mib=%.0f",
           (unsigned long long)b->conns, seconds() - began, (unsigned long long)parked,
           (double)(b->mem_bytes - before) / (double)b->conns, (double)b->mem_most / 1048576,
           (double)usage.ru_maxrss / 1024);
    fflush(stdout);
    printf("\tactive=%llu\trounds=%llu", (unsigned long long)b->active, (unsigned long long)b->rounds);
    ask_all(b);
    printf("\n");
    if (b->block)
        weir_block_unref(b->block);
    weir_free(b->w);
    if (b->mem_bytes)
        fail("the stack left memory behind");
}

int main(int argc, char **argv)
{
    static struct bench b = {.conns = 10000, .rounds = 10, .now_ns = 3000000000u};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *at = strcmp(argv[i], "--conns") == 0    ? &b.conns
                       : strcmp(argv[i], "--active") == 0 ? &b.active
                       : strcmp(argv[i], "--rounds") == 0 ? &b.rounds
                                                          : NULL;
        if (!at) {
            fprintf(stderr, "usage: bench-held [--conns N] [--active N] [--rounds N]\n");
            return 2;
        }
        *at = strtoull(argv[i + 1], NULL, 10);
    }
    if (b.active == 0)
        b.active = b.conns / 100;
    if (b.active == 0 || b.active > b.conns || b.rounds == 0 || b.conns > 15000000)
        fail("nobody asks, or there are more connections than handles");
    b.stride = b.conns / b.active;
    b.server_iss = calloc(b.active, sizeof *b.server_iss);
    if (!b.server_iss)
        fail("no memory");
    run(&b);
    free(b.server_iss);
    return 0;
}
