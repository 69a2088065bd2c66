/*
 * What one connection looks like from both its ends when something is unusual: a full backlog, an end that has
 * forgotten, opening and closing at once, two windows that are both closed.
 */
#include "unit/support/world.h"

#define PORT    80
#define ONE_WAY WEIR_MS(10)

static struct world w;
static uint8_t silenced; /* bit 0: side a's packets are lost, bit 1: side b's */

static bool is_silenced(struct world *world, struct world_side *from, const struct weir_pkt *pkt, uint64_t n)
{
    (void)world, (void)pkt, (void)n;
    return silenced >> from->index & 1;
}

static int setup(void **state)
{
    (void)state;
    world_init(&w, &(struct world_opts){.delay = ONE_WAY});
    w.drop = is_silenced;
    silenced = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

static weir_fd begin_connect(int side, uint16_t from_port, uint16_t to_port)
{
    struct weir *stack = w.side[side].stack;
    weir_fd fd = weir_socket(stack, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    struct weir_sockaddr from = world_addr(&w, side, WEIR_AF_INET, from_port);
    struct weir_sockaddr to = world_addr(&w, !side, WEIR_AF_INET, to_port);
    assert_true(fd >= 0);
    if (from_port)
        assert_int_equal(weir_bind(stack, fd, &from), 0);
    assert_int_equal(weir_connect(stack, fd, &to), -WEIR_EINPROGRESS);
    return fd;
}

static int state_of(int side, weir_fd fd)
{
    struct weir_tcp_info i;
    uint32_t len = sizeof i;
    assert_int_equal(weir_getsockopt(w.side[side].stack, fd, WEIR_SOL_TCP, WEIR_TCP_INFO, &i, &len), 0);
    return i.state;
}

static int error_of(int side, weir_fd fd)
{
    int err = 0;
    uint32_t len = sizeof err;
    assert_int_equal(weir_getsockopt(w.side[side].stack, fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len), 0);
    return err;
}

enum { ESTABLISHED = 1, SYN_SENT = 2, CLOSED = 7 }; /* Linux's numbers */

/* ---- A full backlog ---- */

#define CLIENTS 6
#define BACKLOG 1 /* holds one more */

/* Six connect at once where two fit. All six are established as their own end sees it, because their SYNs found room;
 * the server keeps four in SYN-RECEIVED and asks again, and takes them as accept makes room. Whoever comes while it is
 * full waits in SYN-SENT. Rows: attack-accept-queue-overflow 4987-10 */
static void test_ends_full_backlog_delays_and_loses_nobody(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, WEIR_AF_INET, PORT, CLIENTS), c[CLIENTS]; /* all SYNs are to have room */
    assert_int_equal(weir_sysctl_set(w.side[1].stack, "net.ipv4.tcp_syncookies", "0"), 0);
    for (int i = 0; i < CLIENTS; i++)
        c[i] = begin_connect(0, 0, PORT);
    world_run(&w, ONE_WAY + WEIR_MS(1)); /* the SYNs are here, the ACKs not yet */
    assert_int_equal(weir_listen(w.side[1].stack, l, BACKLOG), 0);
    world_run(&w, WEIR_MS(100));
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(state_of(0, c[i]), ESTABLISHED);
        assert_int_equal(weir_send(w.side[0].stack, c[i], "?", 1, 0), 1);
    }
    weir_fd late = begin_connect(0, 0, PORT);
    world_run(&w, WEIR_MS(500));
    assert_int_equal(state_of(0, late), SYN_SENT);
    assert_true(world_stat(&w, 1, "ListenOverflows") >= 4);

    weir_fd s[CLIENTS];
    int n = 0;
    for (int round = 0; round < 20 && n < CLIENTS; round++) {
        for (weir_fd fd; n < CLIENTS && (fd = weir_accept(w.side[1].stack, l, NULL)) >= 0; n++)
            s[n] = fd;
        world_run(&w, WEIR_SEC(1));
    }
    assert_int_equal(n, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        char got;
        assert_int_equal(weir_recv(w.side[1].stack, s[i], &got, 1, 0), 1);
    }
    world_run(&w, WEIR_SEC(30));
    assert_int_equal(state_of(0, late), ESTABLISHED);
    assert_int_equal(error_of(0, late), 0);
}

/* The same with tcp_abort_on_overflow: whoever does not fit is told so. Rows: attack-accept-queue-overflow */
static void test_ends_full_backlog_resets_if_asked_to(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, WEIR_AF_INET, PORT, CLIENTS), c[CLIENTS];
    assert_int_equal(weir_sysctl_set(w.side[1].stack, "net.ipv4.tcp_abort_on_overflow", "1"), 0);
    for (int i = 0; i < CLIENTS; i++)
        c[i] = begin_connect(0, 0, PORT);
    world_run(&w, ONE_WAY + WEIR_MS(1));
    assert_int_equal(weir_listen(w.side[1].stack, l, BACKLOG), 0);
    world_run(&w, WEIR_MS(100));
    int alive = 0, reset = 0;
    for (int i = 0; i < CLIENTS; i++) {
        alive += state_of(0, c[i]) == ESTABLISHED;
        reset += error_of(0, c[i]) == WEIR_ECONNRESET;
    }
    assert_int_equal(alive, BACKLOG + 1);
    assert_int_equal(reset, CLIENTS - BACKLOG - 1);
}

/* ---- Half-open (RFC 9293 3.5.1) ---- */

/* The server has forgotten, as if it had crashed: the client's next segment finds out. */
static void test_ends_half_open_is_found_by_sending(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, WEIR_AF_INET, PORT, 1), c, s;
    world_connect(&w, l, WEIR_AF_INET, PORT, &c, &s);
    silenced = 2;
    assert_int_equal(weir_abort(w.side[1].stack, s), 0);
    world_run(&w, WEIR_SEC(1));
    silenced = 0;
    assert_int_equal(state_of(0, c), ESTABLISHED);
    assert_int_equal(weir_send(w.side[0].stack, c, "there?", 6, 0), 6);
    world_run(&w, WEIR_SEC(1));
    assert_int_equal(state_of(0, c), CLOSED);
    assert_int_equal(error_of(0, c), WEIR_ECONNRESET);
}

/* The client has forgotten and comes again from the same port: its SYN is challenged, the challenge is answered by a
 * reset, and the SYN that follows opens a new connection. Rows: 5961-3-f 5961-4-c */
static void test_ends_forgetful_client_gets_a_new_connection(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, WEIR_AF_INET, PORT, 4);
    weir_fd c = begin_connect(0, 5000, PORT);
    world_run(&w, WEIR_MS(100));
    weir_fd s = weir_accept(w.side[1].stack, l, NULL);
    assert_true(s >= 0);
    silenced = 1;
    assert_int_equal(weir_abort(w.side[0].stack, c), 0);
    world_run(&w, WEIR_SEC(1));
    silenced = 0;
    c = begin_connect(0, 5000, PORT);
    world_run(&w, WEIR_SEC(3));
    assert_int_equal(state_of(0, c), ESTABLISHED);
    assert_int_equal(error_of(1, s), WEIR_ECONNRESET);
    assert_true(weir_accept(w.side[1].stack, l, NULL) >= 0);
    assert_true(world_stat(&w, 1, "TCPSYNChallenge") >= 1);
}

/* ---- At once ---- */

/* Both connect, the SYNs cross, one connection comes of it; both close, the FINs cross, both end in TIME-WAIT. RFC 9293
 * 3.5, figure 8, and 3.6, figure 13. Rows: MUST-10 9293-S16 */
static void test_ends_open_and_close_at_once(void **state)
{
    (void)state;
    weir_fd fd[2];
    for (int i = 0; i < 2; i++)
        fd[i] = begin_connect(i, (uint16_t)(6000 + i), (uint16_t)(6000 + !i));
    world_run(&w, WEIR_MS(200));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(state_of(i, fd[i]), ESTABLISHED);
        assert_int_equal(weir_send(w.side[i].stack, fd[i], "both", 4, 0), 4);
    }
    world_run(&w, WEIR_MS(200));
    for (int i = 0; i < 2; i++) {
        char got[8];
        assert_int_equal(weir_recv(w.side[i].stack, fd[i], got, sizeof got, 0), 4);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(weir_close(w.side[i].stack, fd[i]), 0);
    world_run(&w, WEIR_MS(200));
    for (int i = 0; i < 2; i++)
        assert_int_equal(world_stat(&w, i, "TWOpened"), 1);
}

/* ---- No war ---- */

static void fill(int side, weir_fd fd)
{
    static uint8_t buf[65536];
    for (int i = 0; i < 200; i++) {
        while (weir_send(w.side[side].stack, fd, buf, sizeof buf, WEIR_MSG_DONTWAIT) > 0)
            ;
        world_run(&w, WEIR_MS(50));
    }
}

static uint64_t drain(int side, weir_fd fd)
{
    static uint8_t buf[65536];
    uint64_t sum = 0;
    for (int64_t n; (n = weir_recv(w.side[side].stack, fd, buf, sizeof buf, WEIR_MSG_DONTWAIT)) > 0;)
        sum += (uint64_t)n;
    return sum;
}

/* Both windows are closed and both ends probe, with numbers left of what the other expects: an ACK answers a probe, and
 * nothing answers an ACK. An hour of that is few packets, and reading ends it. Rows:
 * attack-packet-war-on-out-of-window-acks attack-ack-storm-desynchronisation */
static void test_ends_probing_each_other_is_no_war(void **state)
{
    (void)state;
    weir_fd l = world_listen(&w, 1, WEIR_AF_INET, PORT, 1), c, s;
    world_connect(&w, l, WEIR_AF_INET, PORT, &c, &s);
    fill(0, c);
    fill(1, s);
    uint64_t before[2] = {w.side[0].sent_n, w.side[1].sent_n};
    world_run(&w, WEIR_SEC(3600));
    for (int i = 0; i < 2; i++)
        assert_in_range(w.side[i].sent_n - before[i], 20, 200);
    uint64_t got[2] = {0, 0};
    for (int i = 0; i < 100; i++) {
        got[0] += drain(0, c);
        got[1] += drain(1, s);
        world_run(&w, WEIR_SEC(5));
    }
    struct weir_tcp_info info;
    uint32_t len = sizeof info;
    assert_int_equal(weir_getsockopt(w.side[0].stack, c, WEIR_SOL_TCP, WEIR_TCP_INFO, &info, &len), 0);
    assert_int_equal(info.unacked, 0);
    assert_int_equal(info.notsent_bytes, 0);
    assert_true(got[0] > 0 && got[1] > 0);
}

#define ON(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON(test_ends_full_backlog_delays_and_loses_nobody),
        ON(test_ends_full_backlog_resets_if_asked_to),
        ON(test_ends_half_open_is_found_by_sending),
        ON(test_ends_forgetful_client_gets_a_new_connection),
        ON(test_ends_open_and_close_at_once),
        ON(test_ends_probing_each_other_is_no_war),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
