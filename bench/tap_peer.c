/*
 * A weir host on a device, for tests and measurements against the kernel's TCP.
 *
 *   tap-peer -f FILE [-d DRIVER] [-m MTU] [-l LINK] [-s SEED] [-c CC]
 *
 *   -f   what the sources send and the sinks expect
 *   -d   the device it is on (src/io/driver.h); tun:weir0,offload=off unless it is said
 *        Where it has several queues the one stack uses them all: a connection's packets leave by the same one
 *   -l   an impaired link between the device and the host, in the words of docs/link.md, but for rules and
 *        corrupt=; the device is to have no offloads: a real link loses packets, not super-segments
 *   -s   its seed (1)
 *   -c   congestion control
 *
 * It is 10.9.0.2/24 and fd09::2/64. It serves echo (7, TCP and UDP; urgent bytes come back urgent), sink (9), a slow
 * sink (13: it begins to read after a second), source (19), and one that closes with its data unread (11). A line
 * "sink ADDRESS PORT" or "source ADDRESS PORT" on standard input makes it a client, "stat NAME" asks for a counter,
 * "sysctl NAME VALUE" sets a tunable, "link" tells how many packets the link lost and had no room for, up and down.
 * Each end of a connection is told as "end ROLE ERRNO BYTES same|differs". It ends with its standard input.
 */
#include "heap.h"
#include "tap_link.h"

#include "io/driver.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

#define BATCH    256
#define PIECE    65536
#define SLOWNESS WEIR_SEC(1)

enum role { ECHO, SINK, SLOW, SOURCE, UNREAD, ROLE_N };
static const char *const role_names[ROLE_N] = {"echo", "sink", "slow", "source", "unread"};
static const uint16_t role_ports[ROLE_N] = {7, 9, 13, 19, 11};

struct flow {
    LIST_ENTRY(flow) link; /* peer.flows */
    weir_fd fd;
    enum role role;
    bool is_listener, is_ended, differs;
    uint64_t bytes; /* sent by a source, received by the others */
    weir_ns not_before;
    size_t held_off, held_len; /* echo: what waits to be sent */
    uint8_t held[PIECE];
};

struct peer {
    LIST_HEAD(, flow) flows;
    struct wio_driver *driver;
    struct wio_queue *queue;
    struct weir *w;
    int netif;
    weir_fd epoll, udp;
    const uint8_t *file;
    size_t file_len;
    bool has_link;
    struct tap_link wire; /* up: to the kernel */
    struct flow *waiting; /* the slow sink that does not read yet */
};

static weir_ns clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return WEIR_SEC(ts.tv_sec) + (weir_ns)ts.tv_nsec;
}

static void peer_random(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    if (getrandom(buf, len, 0) != (ssize_t)len)
        abort();
}

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "tap-peer: %s: %s\n", what, why);
    exit(1);
}

/* ---- The link between the device and the host ---- */

static unsigned link_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct peer *p = driver;
    for (unsigned i = 0; i < n; i++)
        tap_link_send(&p->wire, WIO_UP, pkts[i], weir_now(p->w));
    return n;
}

static void link_run(struct peer *p, weir_ns now)
{
    struct weir_pkt *pkt;
    while (tap_link_due(&p->wire, WIO_DOWN, now)) {
        pkt = tap_link_take(&p->wire, WIO_DOWN);
        weir_input(p->w, p->netif, &pkt, 1, now);
        weir_pkt_unref(pkt);
    }
    while ((pkt = tap_link_due(&p->wire, WIO_UP, now))) {
        weir_pkt_ref(pkt); /* the driver takes one; the line still reads it when it is taken */
        if (wio_queue_xmit(p->queue, &pkt, 1) == 0) {
            weir_pkt_unref(pkt);
            return;
        }
        weir_pkt_unref(tap_link_take(&p->wire, WIO_UP));
    }
}

/* ---- Several queues ---- */

/* By the ports: the kernel sends what belongs to a flow to the queue that the flow last came from. */
static struct wio_queue *queue_of(const struct peer *p, const struct weir_pkt *pkt)
{
    uint8_t ports[4] = {0};
    weir_pkt_copy(pkt, pkt->l4_off, ports, sizeof ports);
    return wio_driver_queue(p->driver, (unsigned)(ports[1] + ports[3]) % wio_driver_queue_n(p->driver));
}

static unsigned spread_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct peer *p = driver;
    for (unsigned i = 0; i < n; i++)
        if (wio_queue_xmit(queue_of(p, pkts[i]), &pkts[i], 1) == 0)
            return i;
    return n;
}

static void spread_run(struct peer *p, weir_ns now)
{
    struct weir_pkt *pkts[BATCH];
    weir_netif_tx_ready(p->w, p->netif);
    for (unsigned q = 0; q < wio_driver_queue_n(p->driver); q++) {
        unsigned n = wio_queue_recv(wio_driver_queue(p->driver, q), weir_stack_pool(p->w), pkts, BATCH);
        weir_input(p->w, p->netif, pkts, n, now);
        for (unsigned i = 0; i < n; i++)
            weir_pkt_unref(pkts[i]);
    }
}

/* ---- The device ---- */

static void device_run(struct peer *p, short revents, weir_ns now)
{
    if (wio_driver_queue_n(p->driver) > 1) {
        spread_run(p, now);
        return;
    }
    if (!p->has_link) {
        wio_queue_run(p->queue, revents, now);
        return;
    }
    struct weir_pkt *pkts[BATCH];
    unsigned n = wio_queue_recv(p->queue, weir_stack_pool(p->w), pkts, BATCH);
    for (unsigned i = 0; i < n; i++)
        tap_link_send(&p->wire, WIO_DOWN, pkts[i], now);
}

/* ---- Connections ---- */

static void watch(struct peer *p, struct flow *f, int op, uint32_t events)
{
    struct weir_epoll_event ev = {events, (uint64_t)(uintptr_t)f};
    weir_epoll_ctl(p->w, p->epoll, op, f->fd, &ev);
}

static struct flow *flow_new(struct peer *p, weir_fd fd, enum role role, bool is_listener)
{
    struct flow *f = calloc(1, sizeof *f);
    if (!f)
        give_up("memory", "none");
    f->fd = fd;
    f->role = role;
    f->is_listener = is_listener;
    LIST_INSERT_HEAD(&p->flows, f, link);
    if (!is_listener && role == SLOW) {
        f->not_before = clock_now() + SLOWNESS;
        p->waiting = f;
        watch(p, f, WEIR_EPOLL_CTL_ADD, 0);
    } else {
        watch(p, f, WEIR_EPOLL_CTL_ADD, role == SOURCE && !is_listener ? WEIR_POLLOUT : WEIR_POLLIN | WEIR_POLLPRI);
    }
    return f;
}

static void flow_end(struct peer *p, struct flow *f, int64_t err)
{
    if (p->waiting == f)
        p->waiting = NULL;
    printf("end %s %d %llu %s\n", role_names[f->role], (int)-err, (unsigned long long)f->bytes,
           f->differs ? "differs" : "same");
    fflush(stdout);
    weir_close(p->w, f->fd);
    LIST_REMOVE(f, link);
    free(f);
}

static void run_sink(struct peer *p, struct flow *f)
{
    static uint8_t buf[4 * PIECE];
    for (;;) {
        int64_t n = weir_recv(p->w, f->fd, buf, sizeof buf, 0);
        if (n == -WEIR_EAGAIN)
            return;
        if (n <= 0) {
            char line[64];
            int len =
                snprintf(line, sizeof line, "%llu %s\n", (unsigned long long)f->bytes, f->differs ? "differs" : "same");
            weir_send(p->w, f->fd, line, (size_t)len, 0);
            flow_end(p, f, n);
            return;
        }
        if (f->bytes + (uint64_t)n > p->file_len || memcmp(buf, p->file + f->bytes, (size_t)n) != 0)
            f->differs = true;
        f->bytes += (uint64_t)n;
    }
}

static void run_source(struct peer *p, struct flow *f)
{
    while (f->bytes < p->file_len) {
        int64_t n = weir_send(p->w, f->fd, p->file + f->bytes, p->file_len - f->bytes, 0);
        if (n == -WEIR_EAGAIN)
            return;
        if (n < 0) {
            flow_end(p, f, n);
            return;
        }
        f->bytes += (uint64_t)n;
    }
    if (!f->is_ended) {
        weir_shutdown(p->w, f->fd, WEIR_SHUT_WR);
        watch(p, f, WEIR_EPOLL_CTL_MOD, WEIR_POLLIN);
        f->is_ended = true;
    }
    char ignored[256];
    int64_t n;
    while ((n = weir_recv(p->w, f->fd, ignored, sizeof ignored, 0)) > 0) {
    }
    if (n != -WEIR_EAGAIN)
        flow_end(p, f, n);
}

static void run_echo(struct peer *p, struct flow *f, uint32_t events)
{
    uint8_t urgent;
    if ((events & WEIR_POLLPRI) && weir_recv(p->w, f->fd, &urgent, 1, WEIR_MSG_OOB) == 1)
        weir_send(p->w, f->fd, &urgent, 1, WEIR_MSG_OOB);
    for (;;) {
        if (f->held_len == 0) {
            int64_t n = weir_recv(p->w, f->fd, f->held, sizeof f->held, 0);
            if (n == -WEIR_EAGAIN)
                break;
            if (n <= 0) {
                flow_end(p, f, n);
                return;
            }
            f->held_off = 0;
            f->held_len = (size_t)n;
            f->bytes += (uint64_t)n;
        }
        int64_t n = weir_send(p->w, f->fd, f->held + f->held_off, f->held_len, 0);
        if (n == -WEIR_EAGAIN)
            break;
        if (n < 0) {
            flow_end(p, f, n);
            return;
        }
        f->held_off += (size_t)n;
        f->held_len -= (size_t)n;
    }
    watch(p, f, WEIR_EPOLL_CTL_MOD, f->held_len ? WEIR_POLLOUT : WEIR_POLLIN | WEIR_POLLPRI);
}

static void accept_all(struct peer *p, const struct flow *listener)
{
    weir_fd fd;
    while ((fd = weir_accept(p->w, listener->fd, NULL)) >= 0) {
        int one = 1;
        weir_setsockopt(p->w, fd, WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE, &one, sizeof one);
        weir_setsockopt(p->w, fd, WEIR_SOL_TCP, WEIR_TCP_KEEPIDLE, &one, sizeof one);
        weir_setsockopt(p->w, fd, WEIR_SOL_TCP, WEIR_TCP_KEEPINTVL, &one, sizeof one);
        flow_new(p, fd, listener->role, false);
    }
}

static void run_flow(struct peer *p, struct flow *f, uint32_t events)
{
    if (f->is_listener) {
        accept_all(p, f);
        return;
    }
    switch (f->role) {
    case ECHO: run_echo(p, f, events); return;
    case SLOW:
        if (f != p->waiting || (events & WEIR_POLLERR))
            run_sink(p, f);
        return;
    case SINK: run_sink(p, f); return;
    case SOURCE: run_source(p, f); return;
    case UNREAD: flow_end(p, f, 0); return;
    case ROLE_N: return;
    }
}

static void run_udp(struct peer *p)
{
    static uint8_t buf[PIECE];
    struct weir_sockaddr from;
    int64_t n;
    while ((n = weir_recvfrom(p->w, p->udp, buf, sizeof buf, 0, &from)) >= 0)
        weir_sendto(p->w, p->udp, buf, (size_t)n, 0, &from);
}

static void run_ready(struct peer *p, weir_ns now)
{
    if (p->waiting && p->waiting->not_before <= now) {
        struct flow *f = p->waiting;
        p->waiting = NULL;
        watch(p, f, WEIR_EPOLL_CTL_MOD, WEIR_POLLIN);
    }
    struct weir_epoll_event ev;
    for (int i = 0; i < BATCH && weir_epoll_wait(p->w, p->epoll, &ev, 1) == 1; i++) {
        if (ev.data)
            run_flow(p, (struct flow *)(uintptr_t)ev.data, ev.events);
        else
            run_udp(p);
    }
}

/* ---- Commands ---- */

static void connect_to(struct peer *p, enum role role, const char *address, unsigned port)
{
    struct weir_sockaddr to = {.port = (uint16_t)port};
    if (weir_addr_parse(&to.addr, address) < 0)
        give_up(address, "no address");
    to.family = weir_addr_is_v4(&to.addr) ? WEIR_AF_INET : WEIR_AF_INET6;
    weir_fd fd = weir_socket(p->w, to.family, WEIR_SOCK_STREAM, 0);
    int err = fd < 0 ? (int)fd : weir_connect(p->w, fd, &to);
    if (err != -WEIR_EINPROGRESS)
        give_up(address, weir_strerror(err));
    flow_new(p, fd, role, false);
}

static void run_command(struct peer *p, const char *line)
{
    char word[64], address[64];
    unsigned port;
    uint64_t value = 0;
    if (sscanf(line, "stat %63s", word) == 1) {
        int err = weir_stat_get(p->w, word, &value);
        printf("stat %s %lld\n", word, err < 0 ? -1LL : (long long)value);
        fflush(stdout);
    } else if (sscanf(line, "sysctl %63s %63s", word, address) == 2) {
        int err = weir_sysctl_set(p->w, word, address);
        if (err < 0)
            give_up(word, weir_strerror(err));
    } else if (strncmp(line, "device", 6) == 0) {
        for (unsigned q = 0; q < wio_driver_queue_n(p->driver); q++) {
            struct wio_queue_stats t = wio_queue_stats(wio_driver_queue(p->driver, q));
            uint64_t lost = t.rx_refused + t.rx_no_memory; /* not those that came too fast */
            printf("%s%llu %llu %llu %llu %llu %llu", q ? " " : "device ", (unsigned long long)t.rx,
                   (unsigned long long)t.tx, (unsigned long long)t.rx_gso, (unsigned long long)t.tx_gso,
                   (unsigned long long)t.tx_refused, (unsigned long long)lost);
        }
        putchar('\n');
        fflush(stdout);
    } else if (strncmp(line, "link", 4) == 0) {
        printf("link %llu %llu %llu %llu\n", (unsigned long long)p->wire.lost[WIO_UP],
               (unsigned long long)p->wire.full[WIO_UP], (unsigned long long)p->wire.lost[WIO_DOWN],
               (unsigned long long)p->wire.full[WIO_DOWN]);
        fflush(stdout);
    } else if (sscanf(line, "%63s %63s %u", word, address, &port) == 3) {
        connect_to(p, strcmp(word, "sink") == 0 ? SINK : SOURCE, address, port);
    }
}

/* Lines come whole: whoever writes them writes each at once. False at the end of standard input. */
static bool run_commands(struct peer *p)
{
    char text[512], *rest = NULL;
    ssize_t len = read(STDIN_FILENO, text, sizeof text - 1);
    if (len <= 0)
        return false;
    text[len] = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        run_command(p, line);
    return true;
}

/* ---- Setting up ---- */

static void serve(struct peer *p)
{
    p->epoll = weir_epoll_create(p->w);
    for (enum role r = ECHO; r < ROLE_N; r++) {
        struct weir_sockaddr at = {
            .addr = weir_addr_any(WEIR_AF_INET6), .family = WEIR_AF_INET6, .port = role_ports[r]};
        weir_fd fd = weir_socket(p->w, WEIR_AF_INET6, WEIR_SOCK_STREAM, 0);
        if (weir_bind(p->w, fd, &at) < 0 || weir_listen(p->w, fd, 64) < 0)
            give_up(role_names[r], "can't listen");
        flow_new(p, fd, r, true);
    }
    struct weir_sockaddr at = {.addr = weir_addr_any(WEIR_AF_INET6), .family = WEIR_AF_INET6, .port = 7};
    struct weir_epoll_event ev = {WEIR_POLLIN, 0};
    p->udp = weir_socket(p->w, WEIR_AF_INET6, WEIR_SOCK_DGRAM, 0);
    if (weir_bind(p->w, p->udp, &at) < 0 || weir_epoll_ctl(p->w, p->epoll, WEIR_EPOLL_CTL_ADD, p->udp, &ev) < 0)
        give_up("udp", "can't bind");
}

static void make_host(struct peer *p, uint32_t mtu)
{
    static const struct weir_netif_ops link_ops = {.xmit = link_xmit}, spread_ops = {.xmit = spread_xmit};
    struct weir_config wc = {
        .alloc = {bench_alloc, bench_free, NULL}, .now = clock_now(), .random = peer_random, .hostname = "tap-peer"};
    struct weir_netif_config nc = wio_driver_netif(p->driver);
    struct weir_addr v4 = weir_addr_v4(10, 9, 0, 2), v6 = {{0xfd, 0x09, [15] = 2}};
    p->w = weir_new(&wc);
    if (!p->w)
        give_up("stack", "no memory");
    nc.mtu = mtu;
    if (p->has_link || wio_driver_queue_n(p->driver) > 1)
        p->netif = weir_netif_add(p->w, p->has_link ? &link_ops : &spread_ops, p, &nc);
    else
        p->netif = wio_queue_attach(p->queue, p->w, &nc);
    int err = p->netif < 0 ? p->netif : weir_addr_add(p->w, p->netif, &v4, 24);
    if (err == 0 && mtu >= 1280) /* RFC 8200 5 */
        err = weir_addr_add(p->w, p->netif, &v6, 64);
    if (err < 0)
        give_up("interface", weir_strerror(err));
}

static void load(struct peer *p, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        give_up(path, "can't read");
    p->file_len = (size_t)st.st_size;
    p->file = mmap(NULL, p->file_len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p->file == MAP_FAILED)
        give_up(path, "can't map");
    close(fd);
}

static void configure(struct peer *p, int argc, char **argv)
{
    const char *device = "tun:weir0,offload=off", *words = NULL, *file = NULL, *cc = NULL;
    uint64_t seed = 1;
    uint32_t mtu = 1500;
    int opt;
    while ((opt = getopt(argc, argv, "f:d:m:l:s:c:")) != -1) {
        switch (opt) {
        case 'f': file = optarg; break;
        case 'd': device = optarg; break;
        case 'm': mtu = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'l': words = optarg; break;
        case 's': seed = strtoull(optarg, NULL, 10); break;
        case 'c': cc = optarg; break;
        default: exit(2);
        }
    }
    if (!file)
        give_up("-f", "is needed");
    load(p, file);
    char err[256];
    p->driver = wio_driver_open(device, err, sizeof err);
    if (!p->driver)
        give_up("device", err);
    p->queue = wio_driver_queue(p->driver, 0);
    if (words) {
        struct weir_netif_config nc = wio_driver_netif(p->driver);
        const char *wrong =
            nc.caps ? "the device must be opened with offload=off" : tap_link_init(&p->wire, nc.type, words, mtu, seed);
        if (wrong)
            give_up("link", wrong);
        p->has_link = true;
    }
    make_host(p, mtu);
    if (cc && weir_sysctl_set(p->w, "tcp_congestion_control", cc) < 0)
        give_up(cc, "there is no such congestion control");
}

/* ---- The loop ---- */

static weir_ns next_due(const struct peer *p)
{
    weir_ns at = weir_deadline(p->w), due = tap_link_deadline(&p->wire);
    if (due < at)
        at = due;
    return p->waiting && p->waiting->not_before < at ? p->waiting->not_before : at;
}

/* fds[0] is standard input; the queues' stand behind it. */
static void wait_for(struct peer *p, struct pollfd *fds)
{
    unsigned n = wio_driver_queue_n(p->driver);
    bool is_busy = wio_driver_is_busy(p->driver);
    fds[0] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    for (unsigned i = 0; i < n; i++) {
        struct wio_queue *q = wio_driver_queue(p->driver, i);
        wio_queue_flush(q);
        fds[1 + i] = (struct pollfd){wio_queue_fd(q), wio_queue_events(q), 0};
    }
    weir_ns at = next_due(p), now = clock_now(), left = at > now && !is_busy ? at - now : 0;
    struct timespec ts = {(time_t)(left / WEIR_SEC(1)), (long)(left % WEIR_SEC(1))};
    ppoll(fds, 1 + n, at == WEIR_NEVER && !is_busy ? NULL : &ts, NULL);
}

int main(int argc, char **argv)
{
    static struct peer p;
    configure(&p, argc, argv);
    serve(&p);
    printf("ready %s\n", wio_driver_name(p.driver));
    fflush(stdout);
    for (;;) {
        struct pollfd fds[1 + WIO_QUEUES_MAX];
        short revents = wio_driver_is_busy(p.driver) ? POLLIN : 0;
        wait_for(&p, fds);
        weir_ns now = clock_now();
        weir_advance(p.w, now);
        for (unsigned i = 1; i <= wio_driver_queue_n(p.driver); i++)
            revents = (short)(revents | fds[i].revents);
        if (revents)
            device_run(&p, revents, now);
        link_run(&p, now);
        if (fds[0].revents && !run_commands(&p))
            break;
        run_ready(&p, now);
    }
    const char *broken = weir_check(p.w);
    if (broken)
        give_up("check", broken);
    for (struct flow *f; (f = LIST_FIRST(&p.flows));) {
        LIST_REMOVE(f, link);
        free(f);
    }
    tap_link_free(&p.wire);
    weir_free(p.w);
    wio_driver_close(p.driver);
    return 0;
}
