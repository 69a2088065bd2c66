/*
 * AF_XDP without a stack: the measure for weir's, for bench/wire.sh.
 *
 *   bench-xdp-raw DEVICE in|out SECONDS
 *
 * Out sends the very datagram that bench-wire expects, 60 bytes and the Ethernet's own 4, as fast as the device takes
 * it; in counts what comes, looking at a byte of each. Prints: millions of packets a second, and a second of CPU.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include <xdp/xsk.h>

#define RING    2048
#define FRAME   2048
#define FRAME_N (2 * RING)
#define BATCH   64
#define LEN     60

struct raw {
    uint8_t *area;
    struct xsk_umem *umem;
    struct xsk_socket *xsk;
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons comp, rx;
    int fd;
    uint32_t out_n; /* frames that are on their way out */
    double end;
};

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void give_up(const char *what, int e)
{
    fprintf(stderr, "bench-xdp-raw: %s: %s\n", what, strerror(e));
    exit(1);
}

/* An Ethernet frame with a datagram from 10.9.0.1 to 10.9.0.2, port 9, without a UDP checksum; its 18 bytes are those
 * that bench-wire's pattern begins with. */
static void make_frame(uint8_t *f)
{
    static const uint8_t head[42] = {2, 0,  0,  0, 9, 2,  2, 0, 0, 0,  0, 1, 8, 0, 0x45, 0, 0, 46, 0,  0, 0,
                                     0, 64, 17, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2, 0, 9,    0, 9, 0,  26, 0, 0};
    uint32_t sum = 0, v = 1;
    memcpy(f, head, sizeof head);
    for (int i = 14; i < 34; i += 2)
        sum += (uint32_t)(f[i] << 8 | f[i + 1]);
    sum = ~((sum & 0xffff) + (sum >> 16));
    f[24] = (uint8_t)(sum >> 8);
    f[25] = (uint8_t)sum;
    for (int i = 42; i < LEN; i++) {
        v = v * 1664525 + 1013904223;
        f[i] = (uint8_t)(v >> 24);
    }
}

static void raw_open(struct raw *r, const char *device)
{
    const struct xsk_umem_config uc = {.fill_size = RING, .comp_size = RING, .frame_size = FRAME};
    const struct xsk_socket_config sc = {.rx_size = RING, .tx_size = RING, .bind_flags = XDP_USE_NEED_WAKEUP};
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    int buffer = 8388608;
    setrlimit(RLIMIT_MEMLOCK, &all);
    libxdp_set_print(NULL);
    libbpf_set_print(NULL);
    r->area = mmap(NULL, (size_t)FRAME_N * FRAME, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int e = r->area == MAP_FAILED ? -errno : 0;
    if (e == 0)
        e = xsk_umem__create(&r->umem, r->area, (uint64_t)FRAME_N * FRAME, &r->fill, &r->comp, &uc);
    for (int tries = 0; e == 0 && !r->xsk; tries++) { /* the kernel lets go of a closed queue later on */
        int failed = xsk_socket__create(&r->xsk, device, 0, r->umem, &r->rx, &r->tx, &sc);
        if (failed == -EBUSY && tries < 20)
            usleep(25000);
        else
            e = failed;
    }
    if (e < 0)
        give_up(device, -e);
    r->fd = xsk_socket__fd(r->xsk);
    setsockopt(r->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    uint32_t at = 0;
    xsk_ring_prod__reserve(&r->fill, RING, &at);
    for (uint32_t i = 0; i < RING; i++)
        *xsk_ring_prod__fill_addr(&r->fill, at + i) = (uint64_t)i * FRAME;
    xsk_ring_prod__submit(&r->fill, RING);
    for (uint32_t i = RING; i < FRAME_N; i++)
        make_frame(r->area + (size_t)i * FRAME);
}

static uint64_t raw_in(struct raw *r)
{
    uint64_t count = 0;
    volatile uint8_t seen;
    while (now() < r->end) {
        uint32_t at, to = 0, n = xsk_ring_cons__peek(&r->rx, BATCH, &at);
        if (n == 0) {
            struct pollfd p = {r->fd, POLLIN, 0};
            poll(&p, 1, 10);
            continue;
        }
        xsk_ring_prod__reserve(&r->fill, n, &to);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t addr = xsk_ring_cons__rx_desc(&r->rx, at + i)->addr;
            seen = r->area[addr + 42];
            *xsk_ring_prod__fill_addr(&r->fill, to + i) = addr / FRAME * FRAME;
        }
        (void)seen;
        xsk_ring_cons__release(&r->rx, n);
        xsk_ring_prod__submit(&r->fill, n);
        if (xsk_ring_prod__needs_wakeup(&r->fill))
            recvfrom(r->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
        count += n;
    }
    return count;
}

static void reap(struct raw *r)
{
    uint32_t at, n = xsk_ring_cons__peek(&r->comp, RING, &at);
    if (n > 0)
        xsk_ring_cons__release(&r->comp, n);
    r->out_n -= n;
}

static uint64_t raw_out(struct raw *r)
{
    uint64_t count = 0;
    uint32_t frame = 0;
    while (now() < r->end) {
        uint32_t at;
        reap(r);
        if (r->out_n + BATCH <= RING && xsk_ring_prod__reserve(&r->tx, BATCH, &at) == BATCH) {
            for (uint32_t i = 0; i < BATCH; i++, frame++)
                *xsk_ring_prod__tx_desc(&r->tx, at + i) =
                    (struct xdp_desc){.addr = (uint64_t)(RING + frame % RING) * FRAME, .len = LEN};
            xsk_ring_prod__submit(&r->tx, BATCH);
            r->out_n += BATCH;
            count += BATCH;
        }
        while (xsk_ring_prod__needs_wakeup(&r->tx) && sendto(r->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
               errno == EAGAIN)
            reap(r);
    }
    return count;
}

int main(int argc, char **argv)
{
    static struct raw r;
    struct rusage used;
    if (argc != 4) {
        fputs("usage: bench-xdp-raw DEVICE in|out SECONDS\n", stderr);
        return 2;
    }
    raw_open(&r, argv[1]);
    double began = now();
    r.end = began + strtod(argv[3], NULL);
    uint64_t n = strcmp(argv[2], "in") == 0 ? raw_in(&r) : raw_out(&r);
    double took = now() - began;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("%.3f Mpps, %.3f per CPU s\n", (double)n / took / 1e6, (double)n / cpu / 1e6);
    xsk_socket__delete(r.xsk);
    xsk_umem__delete(r.umem);
    return 0;
}
