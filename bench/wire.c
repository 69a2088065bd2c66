/*
 * weir against the kernel over a device: one TCP stream, or small UDP datagrams, for bench/wire.sh.
 *
 *   bench-wire DRIVER bulk up|down SECONDS [NETNS]
 *   bench-wire DRIVER udp in|out SECONDS
 *
 * weir is 10.9.0.2 on DRIVER (src/io/driver.h); the kernel's end, 10.9.0.1, is a second process, in the namespace NETNS
 * (a file) where one is said. Up is from weir to the kernel. Both ends use CUBIC, and both compare every byte.
 * bulk prints: Gbit/s, then seconds of CPU per 10^9 bytes: weir's user, weir's system, the kernel's end.
 *
 * udp in counts the datagrams that come to port 9, a batch at a time; out sends 18 bytes of payload (64-byte frames,
 * with the Ethernet's own 4) to 10.9.0.1, whose link address is 02:00:00:00:00:01. Prints: millions of packets a
 * second, and a second of CPU.
 */
#include "heap.h"

#include "io/driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

#define PORT    5000
#define PATTERN 262144 /* the stream repeats these bytes */
#define PIECE   262144
#define UDP_LEN 18

struct wire {
    struct wio_driver *driver;
    struct wio_queue *queue;
    struct weir *w;
    weir_fd fd;
    uint64_t bytes;
    weir_ns end; /* when to stop */
    uint8_t pattern[2 * PATTERN];
    uint8_t buf[PIECE];
};

static weir_ns clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return WEIR_SEC(ts.tv_sec) + (weir_ns)ts.tv_nsec;
}

static void wire_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    if (getrandom(buf, len, 0) != (ssize_t)len)
        abort();
}

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench-wire: %s: %s\n", what, why);
    exit(1);
}

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void pattern_fill(struct wire *x)
{
    uint32_t v = 1;
    for (size_t i = 0; i < PATTERN; i++) {
        v = v * 1664525 + 1013904223;
        x->pattern[i] = x->pattern[i + PATTERN] = (uint8_t)(v >> 24);
    }
}

static void compare(struct wire *x, const uint8_t *at, size_t n)
{
    if (memcmp(at, x->pattern + x->bytes % PATTERN, n) != 0)
        give_up("stream", "the bytes differ");
    x->bytes += n;
}

/* ---- The kernel's end ---- */

static void kernel_enter(const char *ns)
{
    int fd = open(ns, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        give_up(ns, "can't enter it");
    close(fd);
}

static int kernel_listen(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 1) < 0)
        give_up("the kernel's end", strerror(errno));
    return fd;
}

/* Never returns: the process ends with the connection. */
static void kernel_run(struct wire *x, int listener, bool is_up, double seconds)
{
    int fd = accept(listener, NULL, NULL);
    weir_ns end = clock_now() + (weir_ns)(seconds * 1e9);
    ssize_t n = 1;
    while (n > 0 && (is_up || clock_now() < end)) {
        if (is_up) {
            n = recv(fd, x->buf, sizeof x->buf, 0);
            if (n > 0)
                compare(x, x->buf, (size_t)n);
        } else {
            n = send(fd, x->pattern + x->bytes % PATTERN, PATTERN, 0);
            x->bytes += n > 0 ? (uint64_t)n : 0;
        }
    }
    if (n < 0)
        give_up("the kernel's end", strerror(errno));
    shutdown(fd, SHUT_WR);
    while (recv(fd, x->buf, sizeof x->buf, 0) > 0) {
    }
    exit(0);
}

/* ---- weir's end ---- */

static void weir_begin(struct wire *x)
{
    struct weir_config wc = {
        .alloc = {bench_alloc, bench_free, NULL}, .now = clock_now(), .random = wire_random, .hostname = "wire"};
    struct weir_addr ours = weir_addr_v4(10, 9, 0, 2);
    x->w = weir_new(&wc);
    int netif = x->w ? wio_queue_attach(x->queue, x->w, NULL) : -WEIR_ENOMEM;
    int err = netif < 0 ? netif : weir_addr_add(x->w, netif, &ours, 24);
    if (err == 0)
        err = weir_sysctl_set(x->w, "tcp_congestion_control", "cubic");
    if (err < 0)
        give_up("stack", weir_strerror(err));
}

/* Wait until something is due, at most until x->end, and let the stack have it. Returns how many packets came. */
static unsigned weir_turn(struct wire *x, bool may_wait)
{
    weir_ns at = weir_deadline(x->w), now = clock_now();
    if (x->end < at)
        at = x->end;
    weir_ns left = may_wait && !wio_driver_is_busy(x->driver) && at > now ? at - now : 0;
    struct timespec ts = {(time_t)(left / WEIR_SEC(1)), (long)(left % WEIR_SEC(1))};
    wio_queue_flush(x->queue);
    struct pollfd p = {wio_queue_fd(x->queue), wio_queue_events(x->queue), 0};
    if (left || (p.events & POLLOUT))
        ppoll(&p, 1, &ts, NULL);
    now = clock_now();
    weir_advance(x->w, now);
    return wio_queue_run(x->queue, (short)(p.revents | POLLIN), now);
}

static void bulk_up(struct wire *x)
{
    bool is_ended = false;
    while (!is_ended || weir_recv(x->w, x->fd, x->buf, 1, 0) == -WEIR_EAGAIN) {
        int64_t n = 0;
        while (!is_ended && n >= 0) {
            if (clock_now() >= x->end) {
                weir_shutdown(x->w, x->fd, WEIR_SHUT_WR);
                is_ended = true;
                x->end = WEIR_NEVER;
                break;
            }
            n = weir_send(x->w, x->fd, x->pattern + x->bytes % PATTERN, PATTERN, 0);
            x->bytes += n > 0 ? (uint64_t)n : 0;
        }
        if (n < 0 && n != -WEIR_EAGAIN)
            give_up("send", weir_strerror((int)n));
        weir_turn(x, true);
    }
}

static void bulk_down(struct wire *x)
{
    int64_t n;
    x->end = WEIR_NEVER;
    for (;;) {
        while ((n = weir_recv(x->w, x->fd, x->buf, sizeof x->buf, 0)) > 0)
            compare(x, x->buf, (size_t)n);
        if (n == 0)
            return;
        if (n != -WEIR_EAGAIN)
            give_up("recv", weir_strerror((int)n));
        weir_turn(x, true);
    }
}

static void bulk_connect(struct wire *x)
{
    struct weir_sockaddr to = {.addr = weir_addr_v4(10, 9, 0, 1), .port = PORT, .family = WEIR_AF_INET};
    x->fd = weir_socket(x->w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    int err = weir_connect(x->w, x->fd, &to);
    x->end = clock_now() + WEIR_SEC(10);
    while (err == -WEIR_EINPROGRESS || err == -WEIR_EALREADY) {
        weir_turn(x, true);
        err = weir_connect(x->w, x->fd, &to);
    }
    if (err < 0 && err != -WEIR_EISCONN)
        give_up("connect", weir_strerror(err));
}

static void bulk(struct wire *x, bool is_up, double seconds, const char *ns)
{
    struct rusage own, other;
    fflush(stdout);
    int ready[2];
    if (pipe(ready) < 0)
        give_up("pipe", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        if (ns)
            kernel_enter(ns);
        int listener = kernel_listen();
        close(ready[0]);
        close(ready[1]);
        kernel_run(x, listener, is_up, seconds);
    }
    close(ready[1]);
    if (read(ready[0], x->buf, 1) != 0) /* the end of the file: it listens */
        give_up("the kernel's end", "failed");
    bulk_connect(x);
    getrusage(RUSAGE_SELF, &own);
    double user = -seconds_of(&own.ru_utime), sys = -seconds_of(&own.ru_stime);
    weir_ns began = clock_now();
    x->end = began + (weir_ns)(seconds * 1e9);
    if (is_up)
        bulk_up(x);
    else
        bulk_down(x);
    double took = (double)(clock_now() - began) / 1e9, gb = (double)x->bytes / 1e9;
    getrusage(RUSAGE_SELF, &own);
    weir_close(x->w, x->fd);
    x->end = clock_now() + WEIR_MS(50);
    while (clock_now() < x->end)
        weir_turn(x, true);
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0)
        give_up("the kernel's end", "failed");
    getrusage(RUSAGE_CHILDREN, &other);
    printf("%.2f Gbit/s, CPU s/GB: %.3f %.3f %.3f\n", gb * 8 / took, (user + seconds_of(&own.ru_utime)) / gb,
           (sys + seconds_of(&own.ru_stime)) / gb, (seconds_of(&other.ru_utime) + seconds_of(&other.ru_stime)) / gb);
    if (getenv("WIRE_STATS")) {
        struct wio_queue_stats s = wio_queue_stats(x->queue);
        printf("rx %llu (gso %llu, copied %llu) tx %llu (gso %llu) refused rx %llu tx %llu, ring full %llu\n",
               (unsigned long long)s.rx, (unsigned long long)s.rx_gso, (unsigned long long)s.rx_copied,
               (unsigned long long)s.tx, (unsigned long long)s.tx_gso, (unsigned long long)s.rx_refused,
               (unsigned long long)s.tx_refused, (unsigned long long)s.rx_ring_full);
    }
}

/* ---- Datagrams ---- */

static uint64_t udp_in(struct wire *x)
{
    uint64_t n = 0;
    struct weir_sockaddr at = {.addr = weir_addr_any(WEIR_AF_INET), .port = 9, .family = WEIR_AF_INET};
    if (weir_bind(x->w, x->fd, &at) < 0)
        give_up("bind", "failed");
    while (clock_now() < x->end) {
        weir_turn(x, true);
        while (weir_recv(x->w, x->fd, x->buf, sizeof x->buf, 0) == UDP_LEN) {
            if (memcmp(x->buf, x->pattern, UDP_LEN) != 0)
                give_up("datagram", "the bytes differ");
            n++;
        }
    }
    return n;
}

static uint64_t udp_out(struct wire *x)
{
    uint64_t n = 0;
    struct weir_sockaddr to = {.addr = weir_addr_v4(10, 9, 0, 1), .port = 9, .family = WEIR_AF_INET};
    const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    if (weir_neigh_set(x->w, 2, &to.addr, mac) < 0 || weir_connect(x->w, x->fd, &to) < 0)
        give_up("connect", "failed");
    while (clock_now() < x->end) {
        int64_t sent = 0;
        for (int i = 0; i < 64 && sent >= 0; i++) {
            sent = weir_send(x->w, x->fd, x->pattern, UDP_LEN, 0);
            n += sent > 0;
        }
        weir_turn(x, sent < 0);
    }
    return n;
}

static void udp(struct wire *x, bool is_in, double seconds)
{
    struct rusage own;
    x->fd = weir_socket(x->w, WEIR_AF_INET, WEIR_SOCK_DGRAM, 0);
    weir_ns began = clock_now();
    x->end = began + (weir_ns)(seconds * 1e9);
    uint64_t n = is_in ? udp_in(x) : udp_out(x);
    double took = (double)(clock_now() - began) / 1e9;
    getrusage(RUSAGE_SELF, &own);
    struct wio_queue_stats s = wio_queue_stats(x->queue);
    if (!is_in)
        n = s.tx;
    double cpu = seconds_of(&own.ru_utime) + seconds_of(&own.ru_stime);
    printf("%.3f Mpps, %.3f per CPU s\n", (double)n / took / 1e6, (double)n / cpu / 1e6);
}

int main(int argc, char **argv)
{
    static struct wire x;
    char err[256];
    if (argc < 5)
        give_up("usage", "bench-wire DRIVER bulk|udp up|down|in|out SECONDS [NETNS]");
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_TRIM_THRESHOLD, 1 << 28); /* memory that is given back must be mapped anew */
    mallopt(M_MMAP_THRESHOLD, 1 << 28);
    pattern_fill(&x);
    x.driver = wio_driver_open(argv[1], err, sizeof err);
    if (!x.driver)
        give_up("driver", err);
    x.queue = wio_driver_queue(x.driver, 0);
    weir_begin(&x);
    if (strcmp(argv[2], "bulk") == 0)
        bulk(&x, strcmp(argv[3], "up") == 0, strtod(argv[4], NULL), argc > 5 ? argv[5] : NULL);
    else
        udp(&x, strcmp(argv[3], "in") == 0, strtod(argv[4], NULL));
    weir_free(x.w);
    wio_driver_close(x.driver);
    return 0;
}
