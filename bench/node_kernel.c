/*
 * This machine's kernel as a node (node.h): non-blocking sockets over the loopback of a network namespace of this
 * process's own. Both nodes share that namespace, and the clock is the kernel's.
 *
 * Loopback sums no checksum. With BENCH_SUPER it carries super-segments, as it comes; with BENCH_WIRE its MTU is 1,500
 * and its offloads are off.
 */
#include "node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define WAIT_MS 10000
#define FILES   (1u << 20)

struct bench_node {
    struct bench_node *peer;
    uint64_t sent_bytes, read_bytes;
};

static int must(const char *what, int ret)
{
    if (ret < 0) {
        fprintf(stderr, "bench-stacks: kernel: %s: %s\n", what, strerror(errno));
        exit(1);
    }
    return ret;
}

static void about(char *buf, size_t cap)
{
    struct utsname u;
    must("uname", uname(&u));
    u.release[strcspn(u.release, "-")] = '\0';
    snprintf(buf, cap, "Linux %s, loopback: no checksum, CUBIC; per CPU second, its own time included", u.release);
}

static void set_offload(int fd, struct ifreq *lo, uint32_t cmd, uint32_t value)
{
    struct ethtool_value v = {.cmd = cmd, .data = value};
    lo->ifr_data = (char *)&v;
    must("offloads of lo", ioctl(fd, SIOCETHTOOL, lo));
}

static void make_net(enum bench_join join)
{
    if (unshare(CLONE_NEWNET) < 0)
        must("a network namespace", unshare(CLONE_NEWUSER | CLONE_NEWNET));
    int fd = must("socket", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    struct ifreq lo = {.ifr_name = "lo"};
    if (join == BENCH_WIRE) {
        lo.ifr_mtu = BENCH_MTU;
        must("MTU of lo", ioctl(fd, SIOCSIFMTU, &lo));
        set_offload(fd, &lo, ETHTOOL_STSO, 0);
        set_offload(fd, &lo, ETHTOOL_SGSO, 0);
        set_offload(fd, &lo, ETHTOOL_SGRO, 0);
    }
    lo.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
    must("lo up", ioctl(fd, SIOCSIFFLAGS, &lo));
    close(fd);
}

static struct bench_node *node_open(struct bench_place at, enum bench_join join)
{
    if (at.side == 0) {
        struct rlimit files = {FILES, FILES};
        make_net(join);
        if (setrlimit(RLIMIT_NOFILE, &files) < 0) { /* root's to raise */
            must("getrlimit", getrlimit(RLIMIT_NOFILE, &files));
            files.rlim_cur = files.rlim_max;
            must("setrlimit", setrlimit(RLIMIT_NOFILE, &files));
        }
    }
    struct bench_node *n = calloc(1, sizeof *n);
    return n ? n : (must("memory", -1), NULL);
}

static void node_join(struct bench_node *a, struct bench_node *b)
{
    a->peer = b;
    b->peer = a;
}

static void node_end(struct bench_node *a, struct bench_node *b)
{
    free(a);
    free(b);
}

/* Time passes by itself, and packets too. */
static void node_advance(struct bench_node *n, uint64_t now_ns)
{
    (void)n;
    (void)now_ns;
}

static unsigned node_pump(struct bench_node *n)
{
    (void)n;
    return 0;
}

static struct sockaddr_in at_port(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int tcp_socket(void)
{
    int fd = must("socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    must("TCP_CONGESTION", setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5));
    return fd;
}

static bench_conn node_listen(struct bench_node *n, uint16_t port)
{
    struct sockaddr_in at = at_port(port);
    int fd = tcp_socket();
    (void)n;
    must("bind", bind(fd, (struct sockaddr *)&at, sizeof at));
    must("listen", listen(fd, 128));
    return fd;
}

static int ready_to_use(int fd)
{
    int one = 1;
    must("TCP_NODELAY", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    must("O_NONBLOCK", fcntl(fd, F_SETFL, O_NONBLOCK));
    return fd;
}

static bench_conn node_connect(struct bench_node *n, uint16_t port)
{
    struct sockaddr_in to = at_port(port);
    int fd = tcp_socket();
    (void)n;
    must("connect", connect(fd, (struct sockaddr *)&to, sizeof to));
    return ready_to_use(fd);
}

static bench_conn node_accept(struct bench_node *n, bench_conn listener)
{
    (void)n;
    return ready_to_use(must("accept", accept4((int)listener, NULL, NULL, SOCK_CLOEXEC)));
}

static size_t node_send(struct bench_node *n, bench_conn conn, const void *data, size_t len)
{
    ssize_t sent = send((int)conn, data, len, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        return 0;
    must("send", sent < 0 ? -1 : 0);
    n->sent_bytes += (size_t)sent;
    return (size_t)sent;
}

/* What the peer has sent arrives almost always before its send returns; where it does not, wait for it. */
static size_t node_recv(struct bench_node *n, bench_conn conn, void *buf, size_t cap)
{
    if (n->peer->sent_bytes == n->read_bytes)
        return 0;
    ssize_t got = recv((int)conn, buf, cap, 0);
    if (got < 0 && errno == EAGAIN) {
        struct pollfd p = {.fd = (int)conn, .events = POLLIN};
        must("poll", poll(&p, 1, WAIT_MS));
        got = recv((int)conn, buf, cap, 0);
    }
    must("recv", got < 0 ? -1 : 0);
    n->read_bytes += (size_t)got;
    return (size_t)got;
}

static void node_shut(struct bench_node *n, bench_conn conn)
{
    (void)n;
    must("close", close((int)conn));
}

static void node_arm(struct bench_node *n, bench_conn conn)
{
    int one = 1;
    (void)n;
    must("SO_KEEPALIVE", setsockopt((int)conn, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
}

const struct bench_stack bench_kernel = {
    .name = "kernel",
    .joins = 1 << BENCH_WIRE | 1 << BENCH_SUPER,
    .about = about,
    .open = node_open,
    .free = node_end,
    .join = node_join,
    .advance = node_advance,
    .pump = node_pump,
    .listen = node_listen,
    .connect = node_connect,
    .accept = node_accept,
    .send = node_send,
    .recv = node_recv,
    .close = node_shut,
    .arm = node_arm,
};
