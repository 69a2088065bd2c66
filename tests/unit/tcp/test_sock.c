/*
 * What a program sees of a connection's beginning and end: connect's errors, readiness in each state, shutdown, close.
 * Linux is the reference (net/ipv4/af_inet.c, tcp.c); RFC 9293 3.10.1 to 3.10.5.
 */
#include "unit/tcp/peer.h"

#include "base/bytes.h"

#define IN  (WEIR_POLLIN | WEIR_POLLRDNORM)
#define OUT (WEIR_POLLOUT | WEIR_POLLWRNORM)

static struct peer p;
static uint32_t seq, ack; /* of our next segment */

static int setup(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    return 0;
}

static int setup_v6(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET6);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

static void set_int(weir_fd fd, int level, int name, int v)
{
    assert_int_equal(weir_setsockopt(p.stack, fd, level, name, &v, sizeof v), 0);
}

static int so_error(weir_fd fd)
{
    int v = -1;
    uint32_t len = sizeof v;
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &v, &len), 0);
    return v;
}

static weir_fd make_socket(void)
{
    weir_fd fd = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
    assert_true(fd >= 0);
    return fd;
}

static int connect_to(weir_fd fd, uint16_t port)
{
    struct weir_sockaddr to = {.addr = p.addr, .family = (uint16_t)p.family, .port = port};
    return weir_connect(p.stack, fd, &to);
}

static int64_t receive(weir_fd fd)
{
    char buf[64];
    return weir_recv(p.stack, fd, buf, sizeof buf, 0);
}

static int64_t transmit(weir_fd fd)
{
    return weir_send(p.stack, fd, "x", 1, 0);
}

/* From us to the port that the last segment came from. */
static struct wi_wire_tcp answer(uint16_t flags, const struct peer_seg *s)
{
    struct wi_wire_tcp h = peer_hdr(flags, seq, s->h.seq.v + 1);
    h.src_port = s->h.dst_port;
    h.dst_port = s->h.src_port;
    return h;
}

static weir_fd established(void)
{
    weir_fd l = peer_listen(&p, 5);
    weir_fd fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    assert_int_equal(weir_close(p.stack, l), 0);
    return fd;
}

static void send_flags(uint16_t flags, const char *text)
{
    struct wi_wire_tcp h = peer_hdr(flags, seq, ack);
    peer_send(&p, &h, text);
    seq += (text ? (uint32_t)strlen(text) : 0) + ((flags & WI_TH_FIN) != 0);
}

/* ---- connect ---- */

/* RFC 9293 3.10.1; Linux: EINPROGRESS, EALREADY, 0 once, EISCONN. */
static void test_sock_connect_tells_its_progress(void **state)
{
    (void)state;
    weir_fd fd = make_socket();
    assert_int_equal(peer_poll(&p, fd), OUT | WEIR_POLLHUP);
    assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);
    assert_int_equal(connect_to(fd, 7), -WEIR_EALREADY);
    assert_int_equal(peer_poll(&p, fd), 0);
    assert_int_equal(transmit(fd), -WEIR_EAGAIN);
    assert_int_equal(receive(fd), -WEIR_EAGAIN);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_int_equal(s->h.dst_port, 7);
    seq = 100;
    struct wi_wire_tcp h = answer(WI_TH_SYN | WI_TH_ACK, s);
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    assert_int_equal(peer_poll(&p, fd), OUT);
    assert_int_equal(connect_to(fd, 7), 0);
    assert_int_equal(connect_to(fd, 7), -WEIR_EISCONN);
    assert_int_equal(so_error(fd), 0);
}

/* RFC 9293 3.10.7.3: refused; Linux tells it once, and the socket serves again. Rows: MUST-12 */
static void test_sock_connect_refused_is_told_once_and_the_socket_is_reusable(void **state)
{
    (void)state;
    weir_fd fd = make_socket();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);
        const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
        struct wi_wire_tcp h = answer(WI_TH_RST | WI_TH_ACK, s);
        peer_send(&p, &h, NULL);
        assert_int_equal(peer_poll(&p, fd), IN | OUT | WEIR_POLLHUP | WEIR_POLLERR | WEIR_POLLRDHUP);
        if (i == 0)
            assert_int_equal(connect_to(fd, 7), -WEIR_ECONNREFUSED);
        if (i == 1) { /* SO_ERROR takes it: connect can only say that it is over */
            assert_int_equal(so_error(fd), WEIR_ECONNREFUSED);
            assert_int_equal(so_error(fd), 0);
            assert_int_equal(connect_to(fd, 7), -WEIR_ECONNABORTED);
        }
    }
    assert_int_equal(receive(fd), -WEIR_ECONNREFUSED);
    assert_int_equal(receive(fd), 0);
    assert_int_equal(transmit(fd), -WEIR_EPIPE);
}

/* tcp_syn_retries: each second at first, then backing off up to 67 s; ETIMEDOUT after 131 s. Rows: MUST-23 */
static void test_sock_connect_times_out(void **state)
{
    (void)state;
    weir_fd fd = make_socket();
    weir_ns at = p.now;
    assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);
    peer_run(&p, WEIR_SEC(130));
    assert_int_equal(p.seg_n, 11);
    assert_int_equal(peer_poll(&p, fd), 0);
    peer_run(&p, WEIR_SEC(2));
    assert_int_equal(p.seg_n, 11);
    assert_int_equal(so_error(fd), WEIR_ETIMEDOUT);
    assert_true(p.segs[10].at == at + WEIR_SEC(67));
}

static void test_sock_connect_without_a_way_fails_at_once(void **state)
{
    (void)state;
    struct weir_sockaddr to = {.addr = weir_addr_v4(99, 9, 9, 9), .family = WEIR_AF_INET, .port = 1};
    weir_fd fd = make_socket();
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_ENETUNREACH);
    to.addr = weir_addr_v4(10, 0, 0, 255);
    assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_ENETUNREACH); /* no group is a peer. Rows: MUST-46 */
    assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);
}

/* connect with AF_UNSPEC ends what there is, and the socket begins anew. */
static void test_sock_connect_unspec_resets_and_begins_anew(void **state)
{
    (void)state;
    weir_fd fd = established();
    struct weir_sockaddr none = {.family = WEIR_AF_UNSPEC};
    assert_int_equal(weir_connect(p.stack, fd, &none), 0);
    assert_int_equal(peer_expect(&p, WI_TH_RST | WI_TH_ACK)->h.seq.v, ack);
    assert_int_equal(peer_poll(&p, fd), OUT | WEIR_POLLHUP | WEIR_POLLERR); /* ECONNRESET, as the kernel has it */
    assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);
    peer_expect(&p, WI_TH_SYN);
    assert_int_equal(weir_connect(p.stack, fd, &none), 0);
    assert_int_equal(connect_to(fd, 8), -WEIR_EINPROGRESS);
    assert_int_equal(peer_expect(&p, WI_TH_SYN)->h.dst_port, 8);
}

/* A bound socket connects from its port; the four-tuple is there once. Rows: 6056-4 */
static void test_sock_connect_from_a_bound_port_is_unique(void **state)
{
    (void)state;
    struct weir_sockaddr at = {.addr = weir_addr_any(p.family), .family = (uint16_t)p.family, .port = 5555}, name;
    weir_fd fd[2];
    for (int i = 0; i < 2; i++) {
        fd[i] = make_socket();
        set_int(fd[i], WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, 1);
        assert_int_equal(weir_bind(p.stack, fd[i], &at), 0);
        assert_int_equal(weir_bind(p.stack, fd[i], &at), -WEIR_EINVAL);
    }
    assert_int_equal(connect_to(fd[0], 7), -WEIR_EINPROGRESS);
    assert_int_equal(peer_expect(&p, WI_TH_SYN)->h.src_port, 5555);
    assert_int_equal(connect_to(fd[1], 7), -WEIR_EADDRNOTAVAIL);
    assert_int_equal(connect_to(fd[1], 8), -WEIR_EINPROGRESS);
    assert_int_equal(weir_getsockname(p.stack, fd[0], &name), 0);
    assert_true(weir_addr_equal(&name.addr, &p.stack_addr));
    assert_int_equal(name.port, 5555);
}

/* A port that a connection in SYN-SENT has can be listened on. RFC 9293 3.9.1.1. Rows: MUST-42 */
static void test_sock_listen_beside_a_connection_that_opens(void **state)
{
    (void)state;
    struct weir_sockaddr at = {.addr = weir_addr_any(p.family), .family = (uint16_t)p.family, .port = STACK_PORT};
    weir_fd fd[2];
    for (int i = 0; i < 2; i++) {
        fd[i] = make_socket();
        set_int(fd[i], WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, 1);
        assert_int_equal(weir_bind(p.stack, fd[i], &at), 0);
    }
    assert_int_equal(connect_to(fd[0], 7), -WEIR_EINPROGRESS);
    (void)peer_expect(&p, WI_TH_SYN);
    assert_int_equal(weir_listen(p.stack, fd[1], 1), 0);
    peer_shake(&p, 9, 5000, &ack);
    assert_true(weir_accept(p.stack, fd[1], NULL) >= 0);
}

/* The stack chooses our address, unless the program did; then it stays, though another is nearer at hand. And each
 * segment has its checksum, as the peer verifies. RFC 9293 3.9.1.1, 3.1. Rows: MUST-2 MUST-43 MUST-44 MUST-45 */
static void test_sock_address_is_the_programs_or_the_routes(void **state)
{
    (void)state;
    struct weir_addr second = weir_addr_v4(10, 0, 0, 77);
    assert_int_equal(weir_addr_add(p.stack, p.netif, &second, 24), 0);
    assert_int_equal(connect_to(make_socket(), 7), -WEIR_EINPROGRESS);
    assert_true(weir_addr_equal(&peer_expect(&p, WI_TH_SYN)->src, &p.stack_addr));

    struct weir_sockaddr at = {.addr = second, .family = WEIR_AF_INET};
    weir_fd fd = make_socket();
    assert_int_equal(weir_bind(p.stack, fd, &at), 0);
    assert_int_equal(connect_to(fd, 8), -WEIR_EINPROGRESS);
    const struct peer_seg *s = peer_expect(&p, WI_TH_SYN);
    assert_true(weir_addr_equal(&s->src, &second));
    struct wi_wire_tcp h = answer(WI_TH_SYN | WI_TH_ACK, s);
    peer_send_from(&p, &p.addr, &second, &h, NULL);
    assert_true(weir_addr_equal(&peer_expect(&p, WI_TH_ACK)->src, &second));
    assert_int_equal(transmit(fd), 1);
    assert_true(weir_addr_equal(&peer_expect(&p, WI_TH_ACK | WI_TH_PSH)->src, &second));
}

/* Attack: self-connect. A socket that connects to its own port meets itself: RFC 9293 3.5, figure 8; as on Linux it
 * is connected to itself, and no segment runs in circles. Rows: attack-self-connect */
static void test_sock_connect_to_itself_is_a_simultaneous_open(void **state)
{
    (void)state;
    struct weir_sockaddr self = {.addr = weir_addr_v4(127, 0, 0, 1), .family = WEIR_AF_INET, .port = 5555};
    weir_fd fd = make_socket();
    assert_int_equal(weir_bind(p.stack, fd, &self), 0);
    assert_int_equal(weir_connect(p.stack, fd, &self), -WEIR_EINPROGRESS);
    assert_int_equal(peer_poll(&p, fd), OUT);
    assert_int_equal(weir_connect(p.stack, fd, &self), 0);
    assert_int_equal(transmit(fd), 1);
    assert_int_equal(receive(fd), 1);
    uint64_t sent = peer_stat(&p, "TcpOutSegs");
    peer_run(&p, WEIR_SEC(10));
    assert_in_range(peer_stat(&p, "TcpOutSegs") - sent, 0, 2);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_run(&p, WEIR_SEC(200));
    assert_int_equal(peer_stat(&p, "TcpCurrEstab"), 0);
}

static void test_sock_bind_to_a_foreign_address_is_refused(void **state)
{
    (void)state;
    struct weir_sockaddr at = {.addr = p.addr, .family = (uint16_t)p.family, .port = 5555};
    weir_fd fd = make_socket();
    assert_int_equal(weir_bind(p.stack, fd, &at), -WEIR_EADDRNOTAVAIL);
    set_int(fd, WEIR_SOL_IP, WEIR_IP_TRANSPARENT, 1);
    assert_int_equal(weir_bind(p.stack, fd, &at), 0);
}

/* IP_BIND_ADDRESS_NO_PORT: the address now, the port with connect. */
static void test_sock_bind_without_port_leaves_it_to_connect(void **state)
{
    (void)state;
    struct weir_sockaddr at = {.addr = p.stack_addr, .family = (uint16_t)p.family}, name;
    weir_fd fd = make_socket();
    set_int(fd, WEIR_SOL_IP, WEIR_IP_BIND_ADDRESS_NO_PORT, 1);
    assert_int_equal(weir_bind(p.stack, fd, &at), 0);
    assert_int_equal(weir_getsockname(p.stack, fd, &name), 0);
    assert_int_equal(name.port, 0);
    assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);
    assert_int_equal(weir_getsockname(p.stack, fd, &name), 0);
    assert_int_not_equal(name.port, 0);
}

/* ---- The peer ends ---- */

/* RFC 9293 3.10.7.4: reset. Linux: ECONNRESET once, then the end; writing fails with EPIPE. Rows: MUST-12 */
static void test_sock_reset_is_told_once(void **state)
{
    (void)state;
    weir_fd fd = established();
    send_flags(WI_TH_RST, NULL);
    assert_int_equal(peer_poll(&p, fd), IN | OUT | WEIR_POLLHUP | WEIR_POLLERR | WEIR_POLLRDHUP);
    assert_int_equal(receive(fd), -WEIR_ECONNRESET);
    assert_int_equal(receive(fd), 0);
    assert_int_equal(transmit(fd), -WEIR_EPIPE);
    assert_int_equal(so_error(fd), 0);
    assert_int_equal(peer_poll(&p, fd), IN | OUT | WEIR_POLLHUP | WEIR_POLLRDHUP);
}

/* Linux: what came before the reset is gone with it, a reset in CLOSE-WAIT is EPIPE and the FIN's 0 is still read. */
static void test_sock_reset_after_fin_is_a_broken_pipe(void **state)
{
    (void)state;
    weir_fd fd = established();
    send_flags(WI_TH_FIN | WI_TH_ACK, NULL);
    assert_int_equal(peer_poll(&p, fd), IN | OUT | WEIR_POLLRDHUP);
    send_flags(WI_TH_RST, NULL);
    assert_int_equal(receive(fd), 0);
    assert_int_equal(transmit(fd), -WEIR_EPIPE);
}

/* Rows: MUST-12 */
static void test_sock_fin_is_end_of_file_after_the_data(void **state)
{
    (void)state;
    weir_fd fd = established();
    send_flags(WI_TH_FIN | WI_TH_PSH | WI_TH_ACK, "bye");
    assert_int_equal(receive(fd), 3);
    assert_int_equal(receive(fd), 0);
    assert_int_equal(receive(fd), 0);
    assert_int_equal(transmit(fd), 1); /* CLOSE-WAIT: our half goes on */
}

static void test_sock_rcvlowat_delays_readiness(void **state)
{
    (void)state;
    weir_fd fd = established();
    set_int(fd, WEIR_SOL_SOCKET, WEIR_SO_RCVLOWAT, 5);
    send_flags(WI_TH_PSH | WI_TH_ACK, "four");
    assert_int_equal(peer_poll(&p, fd), OUT);
    send_flags(WI_TH_PSH | WI_TH_ACK, "!");
    assert_int_equal(peer_poll(&p, fd), IN | OUT);
}

/* Linux: a mark beyond half of the buffer makes the buffer grow, as far as tcp_rmem lets it. */
static void test_sock_rcvlowat_makes_room_for_itself(void **state)
{
    (void)state;
    weir_fd fd = established();
    int v = -1;
    uint32_t len = sizeof v;
    set_int(fd, WEIR_SOL_SOCKET, WEIR_SO_RCVLOWAT, 1 << 20);
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, &v, &len), 0);
    assert_true(v >= 2 << 20);
    set_int(fd, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, 10000);
    set_int(fd, WEIR_SOL_SOCKET, WEIR_SO_RCVLOWAT, 1 << 20);
    assert_int_equal(weir_getsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_RCVLOWAT, &v, &len), 0);
    assert_int_equal(v, 10000);
}

/* ---- shutdown ---- */

/* Rows: 9293-S25 */
static void test_sock_shutdown_write_sends_fin_and_reading_goes_on(void **state)
{
    (void)state;
    weir_fd fd = established();
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_WR), 0);
    assert_int_equal(peer_expect(&p, WI_TH_FIN | WI_TH_ACK)->h.seq.v, ack);
    assert_int_equal(transmit(fd), -WEIR_EPIPE);
    ack++;
    send_flags(WI_TH_PSH | WI_TH_ACK, "more");
    assert_int_equal(receive(fd), 4);
    assert_int_equal(peer_poll(&p, fd), OUT);
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_WR), 0);
    send_flags(WI_TH_FIN | WI_TH_ACK, NULL);
    assert_int_equal(peer_poll(&p, fd), IN | OUT | WEIR_POLLHUP | WEIR_POLLRDHUP);
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_WR), -WEIR_ENOTCONN);
}

/* Linux: reading has ended here, the peer is not told, what comes is still acknowledged and readable. */
static void test_sock_shutdown_read_ends_reading_only_here(void **state)
{
    (void)state;
    weir_fd fd = established();
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_RD), 0);
    peer_none(&p);
    assert_int_equal(peer_poll(&p, fd), IN | OUT | WEIR_POLLRDHUP);
    assert_int_equal(receive(fd), 0);
    assert_int_equal(transmit(fd), 1);
    peer_expect(&p, WI_TH_PSH | WI_TH_ACK);
    ack++;
    send_flags(WI_TH_PSH | WI_TH_ACK, "late");
    assert_int_equal(receive(fd), 4);
    assert_int_equal(receive(fd), 0);
}

static void test_sock_shutdown_of_what_is_not_connected(void **state)
{
    (void)state;
    weir_fd fd = make_socket();
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_RDWR), -WEIR_ENOTCONN);
    fd = make_socket();
    assert_int_equal(receive(fd), -WEIR_ENOTCONN);
    assert_int_equal(transmit(fd), -WEIR_EPIPE);
    assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_WR), 0); /* SYN-SENT: given up */
    assert_int_equal(peer_poll(&p, fd), OUT | WEIR_POLLHUP);
    assert_int_equal(connect_to(fd, 7), -WEIR_EINPROGRESS);

    weir_fd l = peer_listen(&p, 5);
    assert_int_equal(receive(l), -WEIR_ENOTCONN);
    assert_int_equal(transmit(l), -WEIR_EPIPE);
    assert_int_equal(weir_shutdown(p.stack, l, WEIR_SHUT_WR), 0); /* nothing to write anyway */
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
    assert_int_equal(weir_shutdown(p.stack, l, WEIR_SHUT_RD), 0);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EINVAL);
    assert_true(peer_poll(&p, l) & WEIR_POLLHUP);
    assert_int_equal(weir_listen(p.stack, l, 5), 0);
    assert_int_equal(weir_accept(p.stack, l, NULL), -WEIR_EAGAIN);
}

/* ---- close ---- */

/* RFC 2525 2.17: unread data lost by a close is told by a reset. Rows: SHLD-3 */
static void test_sock_close_with_unread_data_resets(void **state)
{
    (void)state;
    weir_fd fd = established();
    send_flags(WI_TH_PSH | WI_TH_ACK, "unread");
    assert_int_equal(weir_close(p.stack, fd), 0);
    const struct peer_seg *s = peer_next(&p);
    if (s->h.flags == WI_TH_ACK)
        s = peer_next(&p);
    assert_int_equal(s->h.flags, WI_TH_RST | WI_TH_ACK);
    assert_int_equal(s->h.seq.v, ack);
    assert_int_equal(s->h.src_port, STACK_PORT);
    assert_int_equal(peer_stat(&p, "TCPAbortOnClose"), 1);
    peer_run(&p, WEIR_SEC(100));
    peer_none(&p);
}

/* Rows: 9293-S19 */
static void test_sock_close_with_linger_zero_resets(void **state)
{
    (void)state;
    weir_fd fd = established();
    struct weir_linger linger = {1, 0};
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_RST | WI_TH_ACK);
    peer_none(&p);
}

/* RFC 9293 3.10.4 with a linger time: the close goes its orderly way, nobody waits here. */
static void test_sock_close_with_linger_is_orderly(void **state)
{
    (void)state;
    weir_fd fd = established();
    struct weir_linger linger = {1, 5};
    assert_int_equal(weir_setsockopt(p.stack, fd, WEIR_SOL_SOCKET, WEIR_SO_LINGER, &linger, sizeof linger), 0);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
}

/* Attack: FIN-WAIT-2 exhaustion: the peer acknowledges our FIN and never sends its own: tcp_fin_timeout.
 * Rows: attack-fin-wait-2-and-closing-exhaustion */
static void test_sock_fin_wait_2_of_an_orphan_ends(void **state)
{
    (void)state;
    size_t before = weir_mem_used(p.stack);
    weir_fd fd = established();
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
    ack++;
    send_flags(WI_TH_ACK, NULL);
    peer_run(&p, WEIR_SEC(59));
    assert_true(weir_mem_used(p.stack) > before);
    peer_run(&p, WEIR_SEC(2));
    assert_int_equal(weir_mem_used(p.stack), before);
    send_flags(WI_TH_FIN | WI_TH_ACK, NULL);
    peer_expect(&p, WI_TH_RST);
}

static void test_sock_negative_linger2_resets_in_fin_wait_2(void **state)
{
    (void)state;
    weir_fd fd = established();
    set_int(fd, WEIR_SOL_TCP, WEIR_TCP_LINGER2, -1);
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_WR), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
    ack++;
    send_flags(WI_TH_ACK, NULL);
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_RST | WI_TH_ACK);
    assert_int_equal(peer_stat(&p, "TCPAbortOnLinger"), 1);
}

/* RFC 1122 4.2.2.13: data for a connection that nobody reads any more is answered with a reset. Rows: SHLD-3 */
static void test_sock_data_after_close_is_reset(void **state)
{
    (void)state;
    weir_fd fd = established();
    assert_int_equal(weir_close(p.stack, fd), 0);
    peer_expect(&p, WI_TH_FIN | WI_TH_ACK);
    ack++;
    send_flags(WI_TH_PSH | WI_TH_ACK, "too late");
    const struct peer_seg *s = peer_next(&p);
    assert_true(s->h.flags & WI_TH_RST);
    assert_int_equal(peer_stat(&p, "TCPAbortOnData"), 1);
}

/* Attacks: zero-window persist abuse, sockstress: tcp_max_orphans bounds what outlives its owner.
 * Rows: attack-zero-window-persist-abuse attack-sockstress */
static void test_sock_orphans_are_bounded(void **state)
{
    (void)state;
    peer_sysctl(&p, "tcp_max_orphans", "4");
    weir_fd l = peer_listen(&p, 20), fd[6];
    for (uint16_t i = 0; i < 6; i++) {
        peer_shake(&p, (uint16_t)(1001 + i), 100, &ack);
        fd[i] = weir_accept(p.stack, l, NULL);
    }
    for (int i = 0; i < 6; i++) {
        assert_int_equal(weir_close(p.stack, fd[i]), 0);
        const struct peer_seg *s = peer_next(&p);
        assert_int_equal(s->h.flags, i < 4 ? WI_TH_FIN | WI_TH_ACK : WI_TH_RST | WI_TH_ACK);
    }
    assert_int_equal(peer_stat(&p, "TCPAbortOnMemory"), 2);
    peer_run(&p, WEIR_SEC(3600)); /* the others give up: tcp_orphan_retries */
    assert_int_equal(peer_stat(&p, "TcpCurrEstab"), 0);
}

static void test_sock_abort_resets_whatever_linger_says(void **state)
{
    (void)state;
    weir_fd fd = established();
    assert_int_equal(weir_abort(p.stack, fd), 0);
    peer_expect(&p, WI_TH_RST | WI_TH_ACK);
    peer_none(&p);
    assert_int_equal(weir_abort(p.stack, fd), -WEIR_EBADF);
    fd = make_socket();
    assert_int_equal(weir_abort(p.stack, fd), 0);
    fd = peer_listen(&p, 5);
    peer_shake(&p, 1001, 5, &ack);
    assert_int_equal(weir_abort(p.stack, fd), 0);
    peer_expect(&p, WI_TH_RST | WI_TH_ACK);
}

/* ---- ioctl ---- */

static void test_sock_ioctl_counts_bytes(void **state)
{
    (void)state;
    int v = -1;
    weir_fd l = peer_listen(&p, 5);
    assert_int_equal(weir_ioctl(p.stack, l, WEIR_SIOCINQ, &v), -WEIR_EINVAL);
    assert_int_equal(weir_ioctl(p.stack, l, WEIR_SIOCOUTQ, &v), -WEIR_EINVAL);
    assert_int_equal(weir_close(p.stack, l), 0);
    weir_fd fd = established();
    send_flags(WI_TH_PSH | WI_TH_ACK, "hello");
    assert_int_equal(weir_ioctl(p.stack, fd, WEIR_SIOCINQ, &v), 0);
    assert_int_equal(v, 5);
    assert_int_equal(transmit(fd), 1);
    assert_int_equal(weir_ioctl(p.stack, fd, WEIR_SIOCOUTQ, &v), 0);
    assert_int_equal(v, 1);
    assert_int_equal(weir_ioctl(p.stack, fd, WEIR_SIOCOUTQNSD, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(weir_ioctl(p.stack, fd, WEIR_SIOCATMARK, &v), 0);
    assert_int_equal(v, 0);
}

/* TCP_INQ: each read says what is left. */
static void test_sock_inq_comes_with_each_read(void **state)
{
    (void)state;
    weir_fd fd = established();
    set_int(fd, WEIR_SOL_TCP, WEIR_TCP_INQ, 1);
    send_flags(WI_TH_PSH | WI_TH_ACK, "hello");
    char buf[2];
    struct weir_iovec iov = {buf, sizeof buf};
    struct weir_msg msg = {.iov = &iov, .iov_n = 1};
    assert_int_equal(weir_recvmsg(p.stack, fd, &msg, 0), 2);
    assert_true(msg.has & WEIR_HAS_INQ);
    assert_int_equal(msg.inq, 3);
}

/* ---- RFC 5961 ---- */

/* tcp_invalid_ratelimit spaces them; attack: challenge-ACK side channel (CVE-2016-5696): what one connection spends
 * another does not miss. Rows: 5961-7-a 5961-7-c attack-challenge-ack-side-channel */
static void test_sock_challenge_acks_are_limited_for_each_connection_alone(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5);
    uint32_t acks[2];
    for (uint16_t i = 0; i < 2; i++)
        peer_shake(&p, (uint16_t)(1001 + i), 1000, &acks[i]);
    (void)l;
    for (int i = 0; i < 1000; i++) {
        struct wi_wire_tcp h = peer_hdr(WI_TH_RST, 1002, 0);
        h.src_port = 1001;
        peer_send(&p, &h, NULL);
    }
    peer_expect(&p, WI_TH_ACK);
    peer_none(&p);
    struct wi_wire_tcp h = peer_hdr(WI_TH_RST, 1002, 0);
    h.src_port = 1002;
    peer_send(&p, &h, NULL);
    peer_expect(&p, WI_TH_ACK);
    peer_none(&p);
}

/* Both limits can be set. Rows: 5961-7-b */
static void test_sock_challenge_ack_limits_are_tunable(void **state)
{
    (void)state;
    weir_fd fd = established();
    (void)fd;
    peer_sysctl(&p, "tcp_invalid_ratelimit", "0");
    peer_sysctl(&p, "tcp_challenge_ack_limit", "7");
    for (int second = 0; second < 2; second++) {
        for (int i = 0; i < 100; i++) {
            struct wi_wire_tcp h = peer_hdr(WI_TH_RST, seq + 1, 0);
            peer_send(&p, &h, NULL);
        }
        for (int i = 0; i < 7; i++)
            peer_expect(&p, WI_TH_ACK);
        peer_none(&p);
        peer_run(&p, WEIR_SEC(1));
    }
}

#define ON(setup, f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* The peer closes and then resets, while the program is about to answer: each call says so, and the handle is dead for
 * ever after close, whatever takes its place. Rows: attack-close-wait-rst-race-use-after-free */
static void test_sock_reset_in_close_wait_leaves_no_dangling_handle(void **state)
{
    (void)state;
    weir_fd l = peer_listen(&p, 5), fd = peer_open(&p, l, PEER_PORT, &seq, &ack);
    struct wi_wire_tcp fin = peer_hdr(WI_TH_FIN | WI_TH_ACK, seq, ack), rst = peer_hdr(WI_TH_RST, seq + 1, 0);
    peer_send(&p, &fin, NULL);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1);
    peer_send(&p, &rst, NULL);
    peer_send(&p, &rst, NULL);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, WEIR_MSG_NOSIGNAL), -WEIR_EPIPE);
    assert_int_equal(weir_close(p.stack, fd), 0);
    weir_fd next = make_socket();
    assert_int_not_equal(next, fd);
    assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), -WEIR_EBADF);
    assert_int_equal(weir_recv(p.stack, fd, (char[1]){0}, 1, 0), -WEIR_EBADF);
    assert_int_equal(weir_shutdown(p.stack, fd, WEIR_SHUT_RDWR), -WEIR_EBADF);
    assert_int_equal(weir_close(p.stack, fd), -WEIR_EBADF);
    assert_int_equal(weir_close(p.stack, next), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(setup, test_sock_reset_in_close_wait_leaves_no_dangling_handle),
        ON(setup, test_sock_connect_tells_its_progress),
        ON(setup_v6, test_sock_connect_tells_its_progress),
        ON(setup, test_sock_connect_refused_is_told_once_and_the_socket_is_reusable),
        ON(setup_v6, test_sock_connect_refused_is_told_once_and_the_socket_is_reusable),
        ON(setup, test_sock_connect_times_out),
        ON(setup, test_sock_connect_without_a_way_fails_at_once),
        ON(setup, test_sock_connect_unspec_resets_and_begins_anew),
        ON(setup, test_sock_connect_from_a_bound_port_is_unique),
        ON(setup, test_sock_listen_beside_a_connection_that_opens),
        ON(setup, test_sock_address_is_the_programs_or_the_routes),
        ON(setup, test_sock_connect_to_itself_is_a_simultaneous_open),
        ON(setup, test_sock_bind_to_a_foreign_address_is_refused),
        ON(setup, test_sock_bind_without_port_leaves_it_to_connect),
        ON(setup, test_sock_reset_is_told_once),
        ON(setup, test_sock_reset_after_fin_is_a_broken_pipe),
        ON(setup, test_sock_fin_is_end_of_file_after_the_data),
        ON(setup, test_sock_rcvlowat_delays_readiness),
        ON(setup, test_sock_rcvlowat_makes_room_for_itself),
        ON(setup, test_sock_shutdown_write_sends_fin_and_reading_goes_on),
        ON(setup, test_sock_shutdown_read_ends_reading_only_here),
        ON(setup, test_sock_shutdown_of_what_is_not_connected),
        ON(setup, test_sock_close_with_unread_data_resets),
        ON(setup, test_sock_close_with_linger_zero_resets),
        ON(setup, test_sock_close_with_linger_is_orderly),
        ON(setup, test_sock_fin_wait_2_of_an_orphan_ends),
        ON(setup, test_sock_negative_linger2_resets_in_fin_wait_2),
        ON(setup, test_sock_data_after_close_is_reset),
        ON(setup, test_sock_orphans_are_bounded),
        ON(setup, test_sock_abort_resets_whatever_linger_says),
        ON(setup, test_sock_ioctl_counts_bytes),
        ON(setup, test_sock_inq_comes_with_each_read),
        ON(setup, test_sock_challenge_acks_are_limited_for_each_connection_alone),
        ON(setup, test_sock_challenge_ack_limits_are_tunable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
