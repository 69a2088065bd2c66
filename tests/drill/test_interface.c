/*
 * libweir-packetdrill.so as the reference program uses it: commands first, a clock that is spun on, hooks from two
 * threads, and the calls that it makes to libc, which a preloaded library takes over (here they are called by hand).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <string.h>

#include "drill/interface.h"
#include "drill/wire.h"

#define PORT_LOCAL  8080
#define PORT_REMOTE 5555

static void *library;
static struct packetdrill_interface hooks;
static struct wdr_ends ends; /* of what the peer sends */
static uint8_t buf[WDR_PACKET_MAX];

/* A function of the library, as dlsym gives it. */
#define FROM_LIBRARY(fn, name)                                                                                         \
    do {                                                                                                               \
        void *symbol_ = dlsym(library, name);                                                                          \
        assert_non_null(symbol_);                                                                                      \
        memcpy(&(fn), &symbol_, sizeof symbol_);                                                                       \
    } while (0)

static long long now_us(void)
{
    struct timeval t;
    hooks.gettimeofday(hooks.userdata, &t, NULL);
    return t.tv_sec * 1000000LL + t.tv_usec;
}

static void send_in(struct wdr_packet p)
{
    size_t len = wdr_wire_write(buf, &p, &ends, NULL);
    assert_true(len > 0);
    hooks.netdev_send(hooks.userdata, buf, len);
}

static struct wdr_sent receive(void)
{
    struct wdr_sent s;
    const char *why = "nothing was sent";
    size_t count = sizeof buf;
    long long at = 0;
    assert_int_equal(hooks.netdev_receive(hooks.userdata, buf, &count, &at), 0);
    if (!wdr_wire_read(&s, buf, count, (weir_ns)at * 1000, &why))
        fail_msg("%s", why);
    return s;
}

static int setup(void **state)
{
    packetdrill_interface_init_fn *init;
    int (*command)(const char *);
    (void)state;
    library = dlopen(WEIR_SO, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    assert_non_null(library);
    FROM_LIBRARY(init, "packetdrill_interface_init");
    FROM_LIBRARY(command, "system");
    memset(&hooks, 0, sizeof hooks);
    init("local_ip=192.168.0.1 mtu=1500 tcp_rmem=4096,500000,6000000", &hooks);
    assert_int_equal(command("sysctl -q net.ipv4.tcp_timestamps=0"), 0);
    ends.src.addr = weir_addr_v4(192, 0, 2, 1);
    ends.dst.addr = weir_addr_v4(192, 168, 0, 1);
    ends.src.port = PORT_REMOTE;
    ends.dst.port = PORT_LOCAL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hooks.free(hooks.userdata);
    return 0;
}

static int make_listener(void)
{
    void *u = hooks.userdata;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT_LOCAL), .sin_addr.s_addr = htonl(0xc0a80001)};
    int fd = hooks.socket(u, AF_INET, SOCK_STREAM, IPPROTO_TCP);
    assert_true(fd >= 0 && fcntl(fd, F_GETFD) >= 0); /* a real descriptor */
    assert_int_equal(hooks.bind(u, fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(hooks.listen(u, fd, 1), 0);
    return fd;
}

/* A connection; *iss is the stack's initial sequence number. */
static int make_connection(int listener, uint32_t *iss)
{
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;
    send_in(
        (struct wdr_packet){.flags = WDR_SYN, .win = 32792, .opt_n = 1, .opts = {{.kind = 2, .len = 4, .a = 1000}}});
    struct wdr_sent s = receive();
    assert_int_equal(s.p.flags, WDR_SYN | WDR_ACK);
    assert_int_equal(s.p.opt_n, 1); /* the command has reached it: no timestamps */
    *iss = s.p.seq;
    hooks.usleep(hooks.userdata, 100000);
    send_in((struct wdr_packet){.flags = WDR_ACK, .seq = 1, .ack = *iss + 1, .win = 257});
    int fd = hooks.accept(hooks.userdata, listener, (struct sockaddr *)&peer, &len);
    assert_true(fd >= 0);
    assert_int_equal(ntohs(peer.sin_port), PORT_REMOTE);
    return fd;
}

static void test_interface_every_look_moves_the_clock(void **state)
{
    (void)state;
    long long a = now_us(), b = now_us();
    assert_true(b == a + 1);
    hooks.usleep(hooks.userdata, 5000);
    assert_in_range(now_us() - b, 5000, 5002);
}

static void test_interface_nothing_ever_comes_is_count_zero(void **state)
{
    (void)state;
    size_t count = sizeof buf;
    long long at;
    assert_int_equal(hooks.netdev_receive(hooks.userdata, buf, &count, &at), 0);
    assert_int_equal(count, 0);
}

static void test_interface_receive_runs_timers_until_a_packet_comes(void **state)
{
    (void)state;
    int fd = make_listener();
    send_in((struct wdr_packet){.flags = WDR_SYN, .win = 32792});
    weir_ns first = receive().at, again = receive().at;
    assert_in_range((again - first) / WEIR_MS(1), 1000, 1000);
    hooks.close(hooks.userdata, fd);
}

static void test_interface_calls_to_libc_reach_the_stack(void **state)
{
    (void)state;
    int (*get)(int, int, int, void *, socklen_t *), (*end)(int);
    ssize_t (*from_file)(int, int, off_t *, size_t);
    uint32_t iss;
    struct tcp_info info;
    char value[64];
    socklen_t len = sizeof info;
    int listener = make_listener(), fd = make_connection(listener, &iss);
    FROM_LIBRARY(get, "getsockopt");
    FROM_LIBRARY(end, "close");
    FROM_LIBRARY(from_file, "sendfile");

    assert_int_equal(get(fd, SOL_TCP, TCP_INFO, &info, &len), 0);
    assert_true(info.tcpi_rtt > 99000 && info.tcpi_rtt < 101000);
    len = sizeof value;
    assert_int_equal(get(fd, SOL_SOCKET, 55 /* SO_MEMINFO */, value, &len), 0);
    assert_int_equal(len, 36);

    int file = open("/dev/zero", O_RDONLY);
    assert_int_equal(from_file(fd, file, NULL, 100), 100);
    assert_int_equal(receive().p.len, 100);
    assert_int_equal(end(file), 0);
    assert_int_equal(fcntl(file, F_GETFD), -1); /* not ours: libc's close has it */

    assert_int_equal(end(fd), 0);
    assert_int_equal(receive().p.flags, WDR_FIN | WDR_ACK);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    hooks.close(hooks.userdata, listener);
}

struct reader {
    int fd;
    atomic_bool is_off; /* it is about to call */
    ssize_t got;
    long long took_us;
};

static void *read_some(void *arg)
{
    struct reader *r = arg;
    char bytes[100];
    long long begin = now_us();
    atomic_store(&r->is_off, true);
    r->got = hooks.read(hooks.userdata, r->fd, bytes, sizeof bytes);
    r->took_us = now_us() - begin;
    return NULL;
}

/* Everything else that a program may call in libc on a descriptor of ours. */
static void test_interface_readiness_by_libc_is_the_stacks(void **state)
{
    int (*wait_poll)(struct pollfd *, nfds_t, int), (*ctl)(int, int, int, struct epoll_event *);
    int (*wait_epoll)(int, struct epoll_event *, int, int),
        (*pick)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    int (*control)(int, int, ...), (*ask)(int, unsigned long, ...), inq = 0;
    uint32_t iss;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT};
    struct timeval none = {0, 0};
    fd_set readable;
    (void)state;
    FROM_LIBRARY(wait_poll, "poll");
    FROM_LIBRARY(ctl, "epoll_ctl");
    FROM_LIBRARY(wait_epoll, "epoll_wait");
    FROM_LIBRARY(pick, "select");
    FROM_LIBRARY(control, "fcntl");
    FROM_LIBRARY(ask, "ioctl");
    int listener = make_listener(), fd = make_connection(listener, &iss);
    int epfd = hooks.epoll_create(hooks.userdata, 1);
    struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT};

    assert_int_equal(control(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
    assert_true(control(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(ctl(epfd, EPOLL_CTL_ADD, fd, &ev), 0);
    assert_int_equal(wait_poll(&one, 1, 0), 1);
    assert_int_equal(one.revents, POLLOUT);
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    assert_int_equal(pick(fd + 1, &readable, NULL, NULL, &none), 0);
    send_in((struct wdr_packet){.flags = WDR_ACK | WDR_PSH, .seq = 1, .ack = iss + 1, .win = 257, .len = 60});
    FD_SET(fd, &readable);
    assert_int_equal(pick(fd + 1, &readable, NULL, NULL, &none), 1);
    assert_int_equal(wait_epoll(epfd, &ev, 1, 0), 1);
    assert_int_equal(ev.events, EPOLLIN | EPOLLOUT);
    assert_int_equal(ask(fd, FIONREAD, &inq), 0);
    assert_int_equal(inq, 60);
    hooks.close(hooks.userdata, epfd);
    hooks.close(hooks.userdata, fd);
    hooks.close(hooks.userdata, listener);
}

static void test_interface_bytes_by_libc_are_the_stacks(void **state)
{
    int (*many_out)(int, struct mmsghdr *, unsigned, int), (*many_in)(int, struct mmsghdr *, unsigned, int, void *);
    int (*take)(int, struct sockaddr *, socklen_t *, int);
    ssize_t (*in)(int, void *, size_t), (*out)(int, const void *, size_t);
    uint32_t iss;
    char bytes[100] = {0};
    struct iovec iov = {bytes, 30};
    struct mmsghdr v[2] = {{.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}},
                           {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}}};
    (void)state;
    FROM_LIBRARY(many_out, "sendmmsg");
    FROM_LIBRARY(many_in, "recvmmsg");
    FROM_LIBRARY(take, "accept4");
    FROM_LIBRARY(in, "read");
    FROM_LIBRARY(out, "write");
    int listener = make_listener(), fd = make_connection(listener, &iss);

    hooks.fcntl(hooks.userdata, listener, F_SETFL, O_NONBLOCK);
    assert_int_equal(take(listener, NULL, NULL, SOCK_NONBLOCK), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(out(fd, bytes, 50), 50);
    assert_int_equal(receive().p.len, 50);
    send_in((struct wdr_packet){.flags = WDR_ACK | WDR_PSH, .seq = 1, .ack = iss + 51, .win = 257, .len = 80});
    assert_int_equal(many_out(fd, v, 2, 0), 2);
    assert_int_equal(v[1].msg_len, 30);
    assert_int_equal(many_in(fd, v, 2, MSG_DONTWAIT, NULL), 2);
    assert_int_equal(in(fd, bytes, sizeof bytes), 20);
    hooks.close(hooks.userdata, fd);
    hooks.close(hooks.userdata, listener);
}

/* Scripts pass pointers to nowhere: the kernel says EFAULT. */
static void test_interface_memory_that_is_not_there_is_efault(void **state)
{
    uint32_t iss;
    char bytes[100] = {0};
    void *u = hooks.userdata, *nowhere = (void *)(uintptr_t)8;
    struct iovec iov[2] = {{bytes, 40}, {nowhere, 40}};
    struct msghdr msg = {.msg_iov = &iov[1], .msg_iovlen = 1};
    int value;
    (void)state;
    int listener = make_listener(), fd = make_connection(listener, &iss);
    assert_int_equal(hooks.write(u, fd, nowhere, 1000), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hooks.send(u, fd, NULL, 1000, 0), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hooks.sendmsg(u, fd, &msg, 0), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hooks.sendmsg(u, fd, nowhere, 0), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hooks.writev(u, fd, iov, 2), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hooks.connect(u, fd, nowhere, 16), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hooks.getsockopt(u, fd, SOL_SOCKET, SO_TYPE, &value, nowhere), -1);
    assert_int_equal(errno, EFAULT);
    send_in((struct wdr_packet){.flags = WDR_ACK | WDR_PSH, .seq = 1, .ack = iss + 1, .win = 257, .len = 80});
    assert_int_equal(hooks.read(u, fd, nowhere, 1000), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hooks.read(u, fd, bytes, sizeof bytes), 80); /* nothing of it was lost */
    hooks.close(u, fd);
    hooks.close(u, listener);
}

/* What the reference program does around the events: it spins on the clock, closes by libc what the script left open,
 * and resets the connection. */
static void test_interface_frame_of_a_run(void **state)
{
    struct timespec begin, now;
    uint32_t iss;
    long long last = now_us();
    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        long long next = now_us();
        assert_true(next > last);
        last = next;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 100);
    int listener = make_listener(), fd = make_connection(listener, &iss);
    close(fd);
    close(listener);
    send_in((struct wdr_packet){.flags = WDR_RST | WDR_ACK, .seq = 1, .ack = iss + 1});
    now_us();
}

/* A child that is forked while a thread of ours holds the lock must get on. */
static void test_interface_a_forked_child_is_not_held_up(void **state)
{
    int (*end)(int), status = 0;
    (void)state;
    FROM_LIBRARY(end, "close");
    int listener = make_listener();
    pid_t child = fork();
    if (child == 0)
        _exit(end(listener) == 0 && fcntl(listener, F_GETFD) < 0 ? 0 : 1);
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
    assert_true(fcntl(listener, F_GETFD) >= 0);
    hooks.close(hooks.userdata, listener);
}

static void test_interface_a_blocked_thread_wakes_at_its_time(void **state)
{
    (void)state;
    uint32_t iss;
    pthread_t thread;
    int listener = make_listener();
    struct reader r = {.fd = make_connection(listener, &iss)};
    assert_int_equal(pthread_create(&thread, NULL, read_some, &r), 0);
    while (!atomic_load(&r.is_off))
        usleep(100);
    usleep(20000); /* of real time: it sleeps in the library by now */
    hooks.usleep(hooks.userdata, 50000);
    send_in((struct wdr_packet){.flags = WDR_ACK | WDR_PSH, .seq = 1, .ack = iss + 1, .win = 257, .len = 60});
    hooks.usleep(hooks.userdata, 70000); /* the clock goes on only after the thread has seen the moment */
    pthread_join(thread, NULL);
    assert_int_equal(r.got, 60);
    assert_in_range(r.took_us, 49990, 50010);
    hooks.close(hooks.userdata, r.fd);
    hooks.close(hooks.userdata, listener);
}

static void test_interface_the_clocks_own_thread_never_sleeps(void **state)
{
    (void)state;
    uint32_t iss;
    char bytes[10];
    struct timeval patience = {.tv_sec = 2};
    int listener = make_listener(), fd = make_connection(listener, &iss);
    hooks.setsockopt(hooks.userdata, fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    long long begin = now_us();
    assert_int_equal(hooks.read(hooks.userdata, fd, bytes, sizeof bytes), -1);
    assert_int_equal(errno, EAGAIN);
    assert_in_range(now_us() - begin, 2000000, 2000010);
    hooks.close(hooks.userdata, fd);
    hooks.close(hooks.userdata, listener);
}

static int setup_without_stack(void **state)
{
    packetdrill_interface_init_fn *init;
    (void)state;
    library = dlopen(WEIR_SO, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    assert_non_null(library);
    FROM_LIBRARY(init, "packetdrill_interface_init");
    init("local_ip=224.0.0.1", &hooks);
    return 0;
}

/* The reference program spins on the clock before its first call, and must come to see that fail. */
static void test_interface_without_a_stack_calls_fail_and_time_passes(void **state)
{
    size_t count = sizeof buf;
    long long at;
    (void)state;
    long long begin = now_us();
    assert_int_equal(now_us() - begin, 1);
    hooks.usleep(hooks.userdata, 1000);
    assert_int_equal(now_us() - begin, 1002);
    assert_int_equal(hooks.socket(hooks.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(hooks.netdev_receive(hooks.userdata, buf, &count, &at), 0);
    assert_int_equal(count, 0);
}

/* Values that are none are told of, and the default stands. */
static void test_interface_wrong_flags_leave_the_defaults(void **state)
{
    packetdrill_interface_init_fn *init;
    int mtu = 0;
    socklen_t len = sizeof mtu;
    (void)state;
    FROM_LIBRARY(init, "packetdrill_interface_init");
    hooks.free(hooks.userdata);
    init("mtu=70000 local_ip=here seed=-1 trace tcp_timestamps=0", &hooks);
    int listener = make_listener();
    uint32_t iss;
    int fd = make_connection(listener, &iss);
    assert_int_equal(hooks.getsockopt(hooks.userdata, fd, IPPROTO_IP, IP_MTU, &mtu, &len), 0);
    assert_int_equal(mtu, 1500);
    hooks.close(hooks.userdata, fd);
    hooks.close(hooks.userdata, listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_interface_every_look_moves_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_nothing_ever_comes_is_count_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_receive_runs_timers_until_a_packet_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_calls_to_libc_reach_the_stack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_readiness_by_libc_is_the_stacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_bytes_by_libc_are_the_stacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_memory_that_is_not_there_is_efault, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_frame_of_a_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_a_forked_child_is_not_held_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_a_blocked_thread_wakes_at_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_the_clocks_own_thread_never_sleeps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interface_without_a_stack_calls_fail_and_time_passes, setup_without_stack,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_interface_wrong_flags_leave_the_defaults, setup, teardown),
    };
    return cmocka_run_group_tests_name("drill/interface", tests, NULL, NULL);
}
