/*
 * packetdrill's interface over the kernel that this machine runs: system calls are the kernel's own, packets pass a TUN
 * device. It shows what Linux does where weir drill shows what weir does. It makes the device in the network namespace
 * in which it finds itself: scripts/drill-linux gives it one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "drill/interface.h"

#define DEVICE          "tun0"
#define PACKET_MAX      65536
#define RECEIVE_WAIT_MS 2 /* netdev_receive: how long to look for a packet at once */
#define SNIFFER_BYTES   (8 << 20)

static struct kernel {
    int tun, sniffer;
    char local[INET6_ADDRSTRLEN];
    unsigned mtu;
} kernel;

/* ---- Calls ---- */

static int k_socket(void *u, int domain, int type, int protocol)
{
    (void)u;
    return socket(domain, type, protocol);
}

static int k_bind(void *u, int fd, const struct sockaddr *a, socklen_t len)
{
    (void)u;
    return bind(fd, a, len);
}

static int k_listen(void *u, int fd, int backlog)
{
    (void)u;
    return listen(fd, backlog);
}

static int k_accept(void *u, int fd, struct sockaddr *a, socklen_t *len)
{
    (void)u;
    return accept(fd, a, len);
}

static int k_connect(void *u, int fd, const struct sockaddr *a, socklen_t len)
{
    (void)u;
    return connect(fd, a, len);
}

static ssize_t k_read(void *u, int fd, void *buf, size_t n)
{
    (void)u;
    return read(fd, buf, n);
}

static ssize_t k_readv(void *u, int fd, const struct iovec *iov, int n)
{
    (void)u;
    return readv(fd, iov, n);
}

static ssize_t k_recv(void *u, int fd, void *buf, size_t n, int flags)
{
    (void)u;
    return recv(fd, buf, n, flags);
}

static ssize_t k_recvfrom(void *u, int fd, void *buf, size_t n, int flags, struct sockaddr *a, socklen_t *len)
{
    (void)u;
    return recvfrom(fd, buf, n, flags, a, len);
}

static ssize_t k_recvmsg(void *u, int fd, struct msghdr *m, int flags)
{
    (void)u;
    return recvmsg(fd, m, flags);
}

static ssize_t k_write(void *u, int fd, const void *buf, size_t n)
{
    (void)u;
    return write(fd, buf, n);
}

static ssize_t k_writev(void *u, int fd, const struct iovec *iov, int n)
{
    (void)u;
    return writev(fd, iov, n);
}

static ssize_t k_send(void *u, int fd, const void *buf, size_t n, int flags)
{
    (void)u;
    return send(fd, buf, n, flags);
}

static ssize_t k_sendto(void *u, int fd, const void *buf, size_t n, int flags, const struct sockaddr *a, socklen_t len)
{
    (void)u;
    return sendto(fd, buf, n, flags, a, len);
}

static ssize_t k_sendmsg(void *u, int fd, const struct msghdr *m, int flags)
{
    (void)u;
    return sendmsg(fd, m, flags);
}

static int k_fcntl(void *u, int fd, int command, ...)
{
    va_list args;
    (void)u;
    va_start(args, command);
    long value = va_arg(args, long);
    va_end(args);
    return fcntl(fd, command, value);
}

static int k_ioctl(void *u, int fd, unsigned long request, ...)
{
    va_list args;
    (void)u;
    va_start(args, request);
    void *value = va_arg(args, void *);
    va_end(args);
    return ioctl(fd, request, value);
}

static int k_close(void *u, int fd)
{
    (void)u;
    return close(fd);
}

static int k_shutdown(void *u, int fd, int how)
{
    (void)u;
    return shutdown(fd, how);
}

static int k_getsockopt(void *u, int fd, int level, int name, void *value, socklen_t *len)
{
    (void)u;
    return getsockopt(fd, level, name, value, len);
}

static int k_setsockopt(void *u, int fd, int level, int name, const void *value, socklen_t len)
{
    (void)u;
    return setsockopt(fd, level, name, value, len);
}

static int k_poll(void *u, struct pollfd *fds, nfds_t n, int timeout_ms)
{
    (void)u;
    return poll(fds, n, timeout_ms);
}

static int k_epoll_create(void *u, int size)
{
    (void)u;
    return epoll_create(size);
}

static int k_epoll_ctl(void *u, int epfd, int op, int fd, struct epoll_event *ev)
{
    (void)u;
    return epoll_ctl(epfd, op, fd, ev);
}

static int k_epoll_wait(void *u, int epfd, struct epoll_event *ev, int max, int timeout_ms)
{
    (void)u;
    return epoll_wait(epfd, ev, max, timeout_ms);
}

static int k_pipe(void *u, int fds[2])
{
    (void)u;
    return pipe(fds);
}

/* A script's NULL comes as offset 0; a pipe or a socket takes none. */
static int k_splice(void *u, int in, loff_t *off_in, int out, loff_t *off_out, size_t len, unsigned flags)
{
    (void)u;
    (void)off_in;
    (void)off_out;
    return (int)splice(in, NULL, out, NULL, len, flags);
}

/* ---- Time ---- */

static int k_usleep(void *u, useconds_t us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    (void)u;
    return nanosleep(&t, NULL);
}

static int k_gettimeofday(void *u, struct timeval *tv, void *zone)
{
    (void)u;
    (void)zone;
    return gettimeofday(tv, NULL);
}

/* ---- Packets ---- */

static int k_netdev_send(void *u, const void *data, size_t len)
{
    (void)u;
    return write(kernel.tun, data, len) == (ssize_t)len ? 0 : -1;
}

static uint32_t sum_words(uint32_t sum, const uint8_t *p, size_t len)
{
    for (; len > 1; p += 2, len -= 2)
        sum += (uint32_t)p[0] << 8 | p[1];
    if (len)
        sum += (uint32_t)p[0] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* What a card does that computes checksums: the kernel has left TCP's and UDP's to the device. */
static void complete_checksum(uint8_t *b, size_t len)
{
    bool is_v6 = b[0] >> 4 == 6;
    size_t hdr = is_v6 ? sizeof(struct ip6_hdr) : (size_t)(b[0] & 15) * 4;
    uint8_t proto = is_v6 ? b[6] : b[9];
    size_t at = proto == IPPROTO_TCP ? 16 : 6;
    if ((proto != IPPROTO_TCP && proto != IPPROTO_UDP) || len < hdr + at + 2)
        return;
    b[hdr + at] = b[hdr + at + 1] = 0;
    uint32_t sum = sum_words(proto, b + (is_v6 ? 8 : 12), is_v6 ? 32 : 8) + (uint32_t)(len - hdr);
    uint16_t check = (uint16_t)~sum_words(sum_words(0, b + hdr, len - hdr) + sum, NULL, 0);
    b[hdr + at] = (uint8_t)(check >> 8);
    b[hdr + at + 1] = (uint8_t)check;
}

/* Group management and neighbours' talk, which no script speaks of. */
static bool is_multicast(const uint8_t *b)
{
    return b[0] >> 4 == 6 ? b[24] == 0xff : b[16] >> 4 == 0xe;
}

static bool sniff(void *buf, size_t *count, long long *time_usecs)
{
    char control[256];
    struct sockaddr_ll from;
    struct iovec iov = {.iov_base = buf, .iov_len = *count};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof from,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(kernel.sniffer, &m, MSG_DONTWAIT);
    if (n < (ssize_t)sizeof(struct ip) || from.sll_pkttype != PACKET_OUTGOING || is_multicast(buf))
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        struct timeval tv;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMP)
            continue;
        memcpy(&tv, CMSG_DATA(c), sizeof tv);
        *time_usecs = (long long)tv.tv_sec * 1000000 + tv.tv_usec;
    }
    *count = (size_t)n;
    complete_checksum(buf, *count);
    return true;
}

static int k_netdev_receive(void *u, void *buf, size_t *count, long long *time_usecs)
{
    struct pollfd p = {.fd = kernel.sniffer, .events = POLLIN};
    (void)u;
    return poll(&p, 1, RECEIVE_WAIT_MS) == 1 && sniff(buf, count, time_usecs) ? 0 : -1;
}

/* The device's queue must not fill, and what lies in it keeps TCP from sending it again. */
static void *drain(void *arg)
{
    static uint8_t buf[PACKET_MAX];
    (void)arg;
    while (read(kernel.tun, buf, sizeof buf) >= 0 || errno == EINTR)
        continue;
    return NULL;
}

/* ---- The device ---- */

static bool open_tun(void)
{
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(ifr.ifr_name, sizeof ifr.ifr_name, DEVICE);
    kernel.tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    return kernel.tun >= 0 && ioctl(kernel.tun, TUNSETIFF, &ifr) == 0 &&
           ioctl(kernel.tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) == 0;
}

static bool set_up_device(void)
{
    bool is_v6 = strchr(kernel.local, ':') != NULL;
    FILE *ip = popen(is_v6 ? "ip -6 -batch -" : "ip -4 -batch -", "w");
    if (!ip)
        return false;
    fprintf(ip, "link set dev lo up\nlink set dev " DEVICE " mtu %u up\n", kernel.mtu);
    fprintf(ip, "addr add %s/%s dev " DEVICE "%s\n", kernel.local, is_v6 ? "64" : "16", is_v6 ? " nodad" : "");
    fprintf(ip, "route add default dev " DEVICE "\n");
    return pclose(ip) == 0;
}

/* What comes in is not looked at: a copy held here would keep the kernel from joining packets in its receive queue. */
static bool open_sniffer(void)
{
    struct sock_filter outgoing[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = {.len = sizeof outgoing / sizeof outgoing[0], .filter = outgoing};
    int on = 1, bytes = SNIFFER_BYTES;
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    a.sll_ifindex = (int)if_nametoindex(DEVICE);
    kernel.sniffer = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return kernel.sniffer >= 0 &&
           setsockopt(kernel.sniffer, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 &&
           bind(kernel.sniffer, (struct sockaddr *)&a, sizeof a) == 0 &&
           setsockopt(kernel.sniffer, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on) == 0 &&
           setsockopt(kernel.sniffer, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0;
}

static void read_flags(const char *flags)
{
    const char *local = strstr(flags, "local_ip="), *mtu = strstr(flags, "mtu=");
    snprintf(kernel.local, sizeof kernel.local, "192.168.0.1");
    kernel.mtu = mtu ? (unsigned)strtoul(mtu + 4, NULL, 10) : 1500;
    if (local)
        snprintf(kernel.local, sizeof kernel.local, "%.*s", (int)strcspn(local + 9, " "), local + 9);
}

/* On time even while the machine is busy: only fails without privilege, and then so be it. */
static void hurry(void)
{
    struct sched_param p = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &p);
    mlockall(MCL_CURRENT);
}

static void k_free(void *u)
{
    (void)u;
}

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *i);

__attribute__((visibility("default"))) void packetdrill_interface_init(const char *flags,
                                                                       struct packetdrill_interface *i)
{
    pthread_t thread;
    signal(SIGPIPE, SIG_IGN); /* scripts speak of EPIPE */
    read_flags(flags ? flags : "");
    if (!open_tun() || !set_up_device() || !open_sniffer() || pthread_create(&thread, NULL, drain, NULL) != 0) {
        perror("no device " DEVICE " in this namespace");
        return;
    }
    pthread_detach(thread);
    hurry();
    *i = (struct packetdrill_interface){
        .userdata = &kernel,
        .free = k_free,
        .socket = k_socket,
        .bind = k_bind,
        .listen = k_listen,
        .accept = k_accept,
        .connect = k_connect,
        .read = k_read,
        .readv = k_readv,
        .recv = k_recv,
        .recvfrom = k_recvfrom,
        .recvmsg = k_recvmsg,
        .write = k_write,
        .writev = k_writev,
        .send = k_send,
        .sendto = k_sendto,
        .sendmsg = k_sendmsg,
        .fcntl = k_fcntl,
        .ioctl = k_ioctl,
        .close = k_close,
        .shutdown = k_shutdown,
        .getsockopt = k_getsockopt,
        .setsockopt = k_setsockopt,
        .poll = k_poll,
        .netdev_send = k_netdev_send,
        .netdev_receive = k_netdev_receive,
        .usleep = k_usleep,
        .gettimeofday = k_gettimeofday,
        .epoll_create = k_epoll_create,
        .epoll_ctl = k_epoll_ctl,
        .epoll_wait = k_epoll_wait,
        .pipe = k_pipe,
        .splice = k_splice,
    };
}

/* weir drill hands the commands of a script to a library that has its own idea of them: here they are real. */
__attribute__((visibility("default"))) int system(const char *command)
{
    fflush(stdout);
    FILE *shell = popen(command, "r");
    char line[256];
    while (shell && fgets(line, sizeof line, shell))
        fputs(line, stderr);
    return shell ? pclose(shell) : -1;
}
