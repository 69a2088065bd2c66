/*
 * The operations of a TCP socket: what src/sock calls. Errors, states and readiness are Linux's (net/ipv4/tcp.c,
 * af_inet.c). What concerns a listener's queues is in listen.c and child.c, options in options.c.
 */
#include "tcp/sock.h"

#include "base/str.h"
#include "tcp/fastopen.h"
#include "tcp/isn.h"
#include "tcp/listen.h"
#include "tcp/notice.h"
#include "tcp/send.h"
#include "tcp/timewait.h"

#define SHUT_RCV 1u
#define SHUT_SND 2u

static const struct wi_tcp_conn *const_conn_of(const struct wi_sk *sk)
{
    return (const struct wi_tcp_conn *)(const void *)sk;
}

/* Is there no protocol any more? A shell's state is its TIME-WAIT entry's; the socket itself is closed. */
static bool is_over(const struct wi_tcp_conn *c)
{
    return c->state == WEIR_TCP_CLOSED || c->state == WEIR_TCP_TIME_WAIT;
}

/* Linux's RCV_SHUTDOWN: nothing more will come, or nobody wants it. */
static bool rcv_is_shut(const struct wi_tcp_conn *c)
{
    return c->shut & SHUT_RCV || c->has_rcvd_fin;
}

/* ---- bind ---- */

/* May a socket be bound here? */
static int check_address(const struct wi_sk *sk, const struct weir_addr *addr)
{
    if (weir_addr_is_any(addr) || wi_net_is_local(sk->net, addr))
        return 0;
    if (weir_addr_is_multicast(addr) || wi_net_is_broadcast(sk->net, addr))
        return -WEIR_EADDRNOTAVAIL;
    return wi_sk_may_bind_foreign(&sk->opts, sk->core) ? 0 : -WEIR_EADDRNOTAVAIL;
}

static int op_bind(struct wi_sk *sk, const struct weir_sockaddr *addr)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    if (c->state != WEIR_TCP_CLOSED || c->held || sk->port)
        return -WEIR_EINVAL;
    int err = check_address(sk, &addr->addr);
    if (err)
        return err;
    if (addr->port == 0 && sk->opts.bind_no_port && !sk->opts.any_port) {
        sk->local.addr = addr->addr;
        sk->local.scope_id = addr->scope_id;
    } else {
        err = wi_ports_bind(&c->tcp->ports, sk, addr);
        if (err)
            return err;
    }
    sk->has_addr = !weir_addr_is_any(&addr->addr);
    return 0;
}

/* ---- connect ---- */

/* The connection that was goes, what the user has set stays: Linux's tcp_disconnect. */
static void renew(struct wi_tcp_conn *c)
{
    wi_tcp_timers_stop(c);
    wi_tcp_sndq_purge(c);
    wi_tcp_rcvq_purge(c);
    wi_list_del(&c->pend_link);
    wi_list_del(&c->all_link);
    struct wi_tcp_conn old = *c;
    wi_tcp_conn_init(c, old.tcp, old.sk.family);
    c->notices = old.notices;
    c->sk.owner = old.sk.owner;
    c->sk.on_ready = old.sk.on_ready;
    c->sk.port = old.sk.port;
    c->sk.port_is_held = old.sk.port_is_held;
    c->sk.port_reuse = old.sk.port_reuse;
    c->sk.port_by_bind = old.sk.port_by_bind;
    c->sk.has_addr = old.sk.has_addr;
    c->sk.err = old.sk.err;
    if (old.sk.has_addr)
        c->sk.local.addr = old.sk.local.addr;
    if (old.sk.port)
        c->sk.local.port = old.sk.local.port;
    wi_tcp_options_copy(c, &old);
    c->fo.keys = old.fo.keys;
}

static int disconnect(struct wi_tcp_conn *c)
{
    bool is_cut = c->state == WEIR_TCP_SYN_SENT || (c->state != WEIR_TCP_LISTEN && wi_tcp_needs_reset(c));
    if (c->state == WEIR_TCP_LISTEN)
        wi_tcp_listen_stop(c);
    else if (wi_tcp_needs_reset(c))
        wi_tcp_send_rst(c, WEIR_WHY_RST_ABORT);
    if (!is_over(c))
        wi_tcp_done(c, is_cut ? WEIR_ECONNRESET : 0, WEIR_WHY_NONE, "disconnect");
    renew(c);
    c->sk.err = is_cut ? WEIR_ECONNRESET : 0; /* for whoever reads on as if nothing had happened (Linux) */
    return 0;
}

static bool tuple_is_free(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t)
{
    struct wi_tcp_key key = wi_tcp_key_of(tcp, t, 0);
    if (wi_tcp_conn_find(tcp, &key) || wi_tcp_is_parked(tcp, &key) || wi_tcp_request_find(tcp, &key))
        return false;
    const struct wi_tcp_timewait *tw = wi_tcp_timewait_find(tcp, &key);
    return !tw || wi_tcp_timewait_reusable(tcp, tw);
}

/* Would what the peer sends come to another shard of this host? */
static bool is_elsewhere(const struct wi_tcp_conn *c, const struct weir_addr *src, uint16_t port)
{
    const struct weir_sockaddr local = {.addr = *src, .port = port};
    return !c->dst.is_local && !wi_shard_has_flow(&c->sk.core->shard, &c->sk.remote, &local);
}

static bool port_is_taken(void *ctx, uint16_t port)
{
    const struct wi_tcp_conn *c = ctx;
    struct wi_tcp_tuple t = wi_tcp_tuple_of(&c->sk);
    t.local_port = port;
    return is_elsewhere(c, &t.local, port) || !tuple_is_free(c->tcp, &t);
}

/* A port for the connection: the one that was bound, else RFC 6056's choice. */
static int take_port(struct wi_tcp_conn *c, const struct weir_addr *src)
{
    struct wi_ports *ports = &c->tcp->ports;
    if (!c->sk.port) {
        c->sk.local.addr = *src;
        return wi_ports_bind_ephemeral(ports, &c->sk, &c->sk.remote, port_is_taken, c);
    }
    struct wi_tcp_tuple t = wi_tcp_tuple_of(&c->sk);
    t.local = *src;
    if (is_elsewhere(c, src, c->sk.local.port) || !tuple_is_free(c->tcp, &t))
        return -WEIR_EADDRNOTAVAIL;
    return wi_ports_hold(ports, &c->sk, src);
}

/* Sequence number and timestamps begin where the peer can't take them for the last connection's. RFC 6191, RFC 6528. */
static void choose_numbers(struct wi_tcp_conn *c)
{
    struct wi_tcp_tuple t = wi_tcp_tuple_of(&c->sk);
    struct wi_tcp_key key = wi_tcp_key_of(c->tcp, &t, 0);
    struct wi_tcp_timewait *tw = wi_tcp_timewait_find(c->tcp, &key);
    c->ts_off = wi_tcp_ts_off(c->tcp, &t);
    c->iss = wi_tcp_isn(c->tcp, &t);
    if (!tw)
        return;
    c->iss = wi_tcp_timewait_next_iss(tw);
    c->ts_recent = tw->ts_recent;
    c->ts_recent_at = c->sk.core->now;
    wi_count(c->sk.core, WI_STAT_TWRecycled);
    wi_tcp_timewait_kill(c->tcp, tw, "taken over by a new connection");
}

/* As if connect had not been called. */
static void undo_connect(struct wi_tcp_conn *c, const struct wi_sk *before)
{
    struct wi_sk *sk = &c->sk;
    wi_tcp_demux_remove(c);
    if (!before->port)
        wi_ports_release(&c->tcp->ports, sk);
    else if (!before->port_is_held && sk->port_is_held)
        (void)wi_ports_receive(&c->tcp->ports, sk, &before->local.addr); /* no memory: it keeps the port as a holder */
    sk->local = before->local;
    sk->remote = before->remote;
}

/* is_fast: bytes are at hand, or will be, that may go in the SYN. */
static int start_connect(struct wi_tcp_conn *c, const struct weir_sockaddr *peer, bool is_fast)
{
    struct wi_sk *sk = &c->sk;
    if (c->is_active) /* it has been a connection before */
        renew(c);
    int err = wi_net_route(sk->net, &peer->addr, sk->has_addr ? &sk->local.addr : NULL, sk->opts.bound_if,
                           sk->opts.transparent, &c->dst);
    if (err)
        return err;
    if (c->dst.is_multicast || c->dst.is_broadcast)
        return -WEIR_ENETUNREACH;

    struct wi_sk before = *sk;
    sk->err = 0;
    sk->remote = *peer;
    sk->remote.addr = c->dst.dst;
    err = take_port(c, &c->dst.src);
    if (!err) {
        choose_numbers(c);
        wi_tcp_demux_insert(c);
        err = wi_tcp_open_active(c);
    }
    if (err) {
        undo_connect(c, &before);
        return err;
    }
    c->sock_state = WI_TCP_CONNECTING;
    c->fo.asked = is_fast || c->fo.connect;
    c->fo.deferred = !is_fast && c->fo.connect && wi_tcp_fo_has_cookie(c);
    return c->fo.deferred ? 0 : -WEIR_EINPROGRESS;
}

/* connect again while the first one is under way or its end has not been told. */
static int resume_connect(struct wi_tcp_conn *c)
{
    if (c->state == WEIR_TCP_SYN_SENT || c->state == WEIR_TCP_SYN_RCVD)
        return c->fo.deferred ? -WEIR_EISCONN : -WEIR_EALREADY;
    if (!is_over(c)) {
        c->sock_state = WI_TCP_CONNECTED;
        return 0;
    }
    c->sock_state = WI_TCP_UNCONNECTED;
    return c->sk.err ? -wi_sk_take_err(&c->sk) : -WEIR_ECONNABORTED;
}

static int op_connect(struct wi_sk *sk, const struct weir_sockaddr *peer)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    if (c->held)
        return -WEIR_EISCONN;
    if (peer->family == WEIR_AF_UNSPEC)
        return disconnect(c);
    if (c->sock_state == WI_TCP_CONNECTING)
        return resume_connect(c);
    if (c->sock_state == WI_TCP_CONNECTED || c->state != WEIR_TCP_CLOSED)
        return -WEIR_EISCONN;
    return start_connect(c, peer, false);
}

/* ---- Bytes ---- */

/* May data be queued now? Linux's sk_stream_wait_connect, and the checks behind it. */
static int check_send(struct wi_tcp_conn *c)
{
    struct wi_sk *sk = &c->sk;
    if (sk->err)
        return -wi_sk_take_err(sk);
    bool is_opening = c->held || c->state == WEIR_TCP_SYN_SENT || c->state == WEIR_TCP_SYN_RCVD;
    if (is_opening && !c->fo.pending)
        return c->shut & SHUT_SND ? -WEIR_EPIPE : -WEIR_EAGAIN;
    bool may_send = is_opening || c->state == WEIR_TCP_ESTABLISHED || c->state == WEIR_TCP_CLOSE_WAIT;
    return may_send && !(c->shut & SHUT_SND) ? 0 : -WEIR_EPIPE;
}

/* MSG_FASTOPEN: connect, with as many bytes in the SYN as it may take. 0: the connection stands, the bytes go as any.
 */
static int begin_fast(struct wi_tcp_conn *c, const struct weir_sockaddr *peer)
{
    if (!(c->sk.core->sysctl.tcp_fastopen & WI_TCP_FO_CLIENT) || (peer && peer->family == WEIR_AF_UNSPEC))
        return -WEIR_EOPNOTSUPP;
    if (c->fo.deferred) {
        c->fo.deferred = false;
        wi_tcp_owe(c, WI_TCP_OWE_SEND);
        return -WEIR_EINPROGRESS;
    }
    if (c->sock_state == WI_TCP_CONNECTING)
        return resume_connect(c);
    if (c->held || c->sock_state == WI_TCP_CONNECTED || c->state != WEIR_TCP_CLOSED)
        return -WEIR_EISCONN;
    return peer ? start_connect(c, peer, true) : -WEIR_EINVAL;
}

/* Linux's tcp_sendmsg_fastopen: what the SYN took, or -EINPROGRESS when it took nothing. */
static int64_t send_fast(struct wi_tcp_conn *c, const struct weir_msg *msg)
{
    int64_t err = begin_fast(c, msg->name);
    if (err != -WEIR_EINPROGRESS)
        return err;
    int64_t n = wi_tcp_fo_fill_syn(c, msg->iov, msg->iov_n);
    return n > 0 ? n : err;
}

static int64_t op_sendmsg(struct wi_sk *sk, const struct weir_msg *msg, int flags)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    wi_tcp_ledger_charge(c);
    if (flags & WEIR_MSG_FASTOPEN || c->fo.deferred) {
        int64_t n = send_fast(c, msg);
        uint32_t tag;
        if (n > 0 && flags & WEIR_MSG_ZEROCOPY && wi_tcp_zerocopy_begin(c, (size_t)n, &tag) == 0)
            wi_tcp_zerocopy_end(c, tag, (uint64_t)n);
        if (n > 0)
            wi_tcp_stamp_written(c);
        if (n)
            return n;
    }
    int err = check_send(c);
    if (!err && wi_tcp_fo_lacks_memory(msg->iov, msg->iov_n))
        err = -WEIR_EFAULT;
    return err ? err : wi_tcp_sndq_write(c, msg->iov, msg->iov_n, flags);
}

static int64_t op_send_frags(struct wi_sk *sk, const struct weir_frag *frags, unsigned n, int flags)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    wi_tcp_ledger_charge(c);
    if (c->fo.deferred && n > 0) {
        struct weir_iovec first = {.base = frags[0].block->data + frags[0].off, .len = frags[0].len};
        return send_fast(c, &(struct weir_msg){.iov = &first, .iov_n = 1});
    }
    int err = check_send(c);
    return err ? err : wi_tcp_sndq_write_frags(c, frags, n, flags);
}

/* What a read returns that found nothing: the end, its cause, or that more may come. Linux's tcp_recvmsg_locked. */
static int nothing_to_read(struct wi_tcp_conn *c)
{
    if (c->has_rcvd_fin) /* SOCK_DONE: the stream was whole, whatever came after */
        return 0;
    if (c->sk.err)
        return -wi_sk_take_err(&c->sk);
    if (rcv_is_shut(c))
        return 0;
    return is_over(c) && !c->held ? -WEIR_ENOTCONN : -WEIR_EAGAIN;
}

static int64_t op_recvmsg(struct wi_sk *sk, struct weir_msg *msg, int flags)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    wi_tcp_ledger_charge(c);
    if (flags & WEIR_MSG_ERRQUEUE)
        return wi_tcp_notice_read(c, msg);
    if (c->state == WEIR_TCP_LISTEN)
        return -WEIR_ENOTCONN;
    if (flags & WEIR_MSG_OOB)
        return wi_tcp_urgent_read(c, msg, flags);
    int64_t n = wi_tcp_rcvq_read(c, msg, flags);
    if (n == 0)
        n = nothing_to_read(c);
    if (n >= 0 && c->want_inq) {
        msg->has |= WEIR_HAS_INQ;
        msg->inq = (uint32_t)wi_seq_diff(c->rcv_nxt, c->copied_seq); /* a FIN counts, to be read on (tcp_inq_hint) */
    }
    return n;
}

static int64_t op_recv_frags(struct wi_sk *sk, struct weir_frag *frags, unsigned n, size_t max, size_t *bytes)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    wi_tcp_ledger_charge(c);
    *bytes = 0;
    if (c->state == WEIR_TCP_LISTEN)
        return -WEIR_ENOTCONN;
    int64_t got = wi_tcp_rcvq_read_frags(c, frags, n, max, bytes);
    return got ? got : nothing_to_read(c);
}

/* ---- Ending ---- */

/* Linux's tcp_need_reset. */
bool wi_tcp_needs_reset(const struct wi_tcp_conn *c)
{
    switch (c->state) {
    case WEIR_TCP_SYN_RCVD:
    case WEIR_TCP_ESTABLISHED:
    case WEIR_TCP_FIN_WAIT_1:
    case WEIR_TCP_FIN_WAIT_2:
    case WEIR_TCP_CLOSE_WAIT: return true;
    case WEIR_TCP_CLOSING:
    case WEIR_TCP_LAST_ACK: return !wi_seq_eq(c->snd_nxt, c->write_seq);
    case WEIR_TCP_CLOSED:
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_SYN_SENT:
    case WEIR_TCP_TIME_WAIT: return false;
    case WEIR_TCP_STATE_N: break;
    }
    WI_UNREACHABLE("no such state");
}

static void end_at_once(struct wi_tcp_conn *c, enum weir_why why, const char *cause)
{
    wi_tcp_done(c, 0, wi_tcp_needs_reset(c) ? why : WEIR_WHY_NONE, cause);
}

/* Nobody will read or write any more; the protocol goes on, for a bounded time and among a bounded number. */
static void become_orphan(struct wi_tcp_conn *c)
{
    struct wi_core *core = c->sk.core;
    c->is_orphan = true;
    c->tcp->orphan_n++;
    if (c->tcp->orphan_n > core->sysctl.tcp_max_orphans) {
        wi_count(core, WI_STAT_TCPAbortOnMemory);
        core->stats.drop[WEIR_DROP_TCP_ORPHAN_LIMIT]++;
        end_at_once(c, WEIR_WHY_RST_ABORT, "too many connections without an owner");
    } else {
        wi_tcp_bound_fin_wait_2(c);
    }
}

/* RFC 9293 3.10.4 for a connection under way. */
static void close_connection(struct wi_tcp_conn *c)
{
    const struct wi_sk_opts *opts = &c->sk.opts;
    struct wi_core *core = c->sk.core;
    c->shut = SHUT_RCV | SHUT_SND;
    if (wi_tcp_rcvq_has_unread(c)) {
        /* The peer must not believe that it was read: RFC 9293 MUST-13, RFC 2525 2.17. */
        wi_count(core, WI_STAT_TCPAbortOnClose);
        wi_tcp_done(c, 0, WEIR_WHY_RST_UNREAD, "closed with unread data"); /* in LAST-ACK too */
    } else if (opts->linger_on && opts->linger_s == 0) {
        wi_count(core, WI_STAT_TCPAbortOnData);
        end_at_once(c, WEIR_WHY_RST_ABORT, "closed, and SO_LINGER is 0");
    } else {
        wi_tcp_end_send(c, "user close");
        if (!is_over(c))
            become_orphan(c);
    }
}

static void op_close(struct wi_sk *sk)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    if (c->held) {
        wi_tcp_held_abandon(c);
    } else if (is_over(c)) {
        wi_tcp_owe(c, WI_TCP_OWE_FREE);
    } else if (c->state == WEIR_TCP_LISTEN || c->state == WEIR_TCP_SYN_SENT) {
        wi_tcp_listen_stop(c);
        wi_tcp_done(c, 0, WEIR_WHY_NONE, "user close");
    } else {
        close_connection(c);
    }
}

static void op_abort(struct wi_sk *sk)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    bool is_live = !c->held && !is_over(c) && c->state != WEIR_TCP_LISTEN && c->state != WEIR_TCP_SYN_SENT;
    if (is_live)
        end_at_once(c, WEIR_WHY_RST_ABORT, "user abort");
    else
        op_close(sk);
}

static int shutdown_unconnected(struct wi_tcp_conn *c, unsigned how)
{
    if (c->state == WEIR_TCP_LISTEN && !(how & SHUT_RCV))
        return 0;
    wi_tcp_listen_stop(c);
    wi_tcp_done(c, 0, WEIR_WHY_NONE, "user shutdown");
    c->shut = 0;
    c->sock_state = WI_TCP_UNCONNECTED;
    wi_sk_ready(&c->sk, WI_SK_CHANGED);
    return 0;
}

/* Linux's inet_shutdown. */
static int op_shutdown(struct wi_sk *sk, int how)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    unsigned halves = (unsigned)how + 1;
    if (c->held)
        return -WEIR_ENOTCONN;
    if (c->state == WEIR_TCP_LISTEN || c->state == WEIR_TCP_SYN_SENT)
        return shutdown_unconnected(c, halves);
    int err = is_over(c) ? -WEIR_ENOTCONN : 0;
    c->shut |= (uint8_t)halves;
    bool is_early = c->fo.pending && c->state == WEIR_TCP_SYN_RCVD; /* the FIN waits for the handshake (Linux) */
    if (!err && halves & SHUT_SND && !is_early)
        wi_tcp_end_send(c, "user shutdown");
    wi_sk_ready(&c->sk, WI_SK_CHANGED);
    return err;
}

/* ---- Readiness ---- */

/* Enough for SO_RCVLOWAT, or so much that no more fits (Linux's tcp_stream_is_readable). */
static bool is_readable(const struct wi_tcp_conn *c)
{
    uint32_t ready = wi_tcp_rcvq_readable(c);
    return ready && (ready >= c->sk.opts.rcvlowat || wi_tcp_window_left(c) <= c->rcv_mss_est);
}

/* Linux's tcp_poll. */
static uint32_t op_poll(const struct wi_sk *sk)
{
    const struct wi_tcp_conn *c = const_conn_of(sk);
    if (c->state == WEIR_TCP_LISTEN)
        return c->listener->child_n ? WEIR_POLLIN | WEIR_POLLRDNORM : 0;
    if (c->held)
        return 0;
    uint32_t events = sk->err || wi_tcp_notice_waits(c) ? WEIR_POLLERR : 0;
    bool rcv_shut = rcv_is_shut(c), snd_shut = c->shut & SHUT_SND;
    if (is_over(c) || (rcv_shut && snd_shut))
        events |= WEIR_POLLHUP;
    if (rcv_shut)
        events |= WEIR_POLLIN | WEIR_POLLRDNORM | WEIR_POLLRDHUP;
    if (c->fo.deferred)
        return events | WEIR_POLLOUT | WEIR_POLLWRNORM; /* the SYN waits for a write */
    if (c->state == WEIR_TCP_SYN_SENT || (c->state == WEIR_TCP_SYN_RCVD && !c->fo.pending))
        return events;
    if (is_readable(c))
        events |= WEIR_POLLIN | WEIR_POLLRDNORM;
    if (snd_shut || wi_tcp_sndq_writable(c))
        events |= WEIR_POLLOUT | WEIR_POLLWRNORM;
    if (wi_tcp_urgent_pending(c))
        events |= WEIR_POLLPRI;
    return events;
}

static int op_ioctl(struct wi_sk *sk, enum weir_ioctl what, int *value)
{
    const struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    bool is_opening = c->held || c->state == WEIR_TCP_SYN_SENT || c->state == WEIR_TCP_SYN_RCVD;
    if (what != WEIR_SIOCATMARK && c->state == WEIR_TCP_LISTEN)
        return -WEIR_EINVAL;
    switch (what) {
    case WEIR_SIOCINQ: *value = is_opening ? 0 : (int)wi_tcp_rcvq_readable(c); return 0;
    case WEIR_SIOCOUTQ: *value = is_opening ? 0 : (int)wi_tcp_sndq_unacked_bytes(c); return 0;
    case WEIR_SIOCOUTQNSD: *value = is_opening ? 0 : (int)wi_tcp_sndq_unsent_bytes(c); return 0;
    case WEIR_SIOCATMARK: *value = wi_tcp_urgent_at_mark(c); return 0;
    }
    return -WEIR_EINVAL;
}

const struct wi_sk_ops wi_tcp_sk_ops = {
    .bind = op_bind,
    .connect = op_connect,
    .listen = wi_tcp_listen,
    .accept = wi_tcp_accept,
    .admit = wi_tcp_admit,
    .refuse = wi_tcp_refuse,
    .sendmsg = op_sendmsg,
    .recvmsg = op_recvmsg,
    .send_frags = op_send_frags,
    .recv_frags = op_recv_frags,
    .shutdown = op_shutdown,
    .close = op_close,
    .abort = op_abort,
    .poll = op_poll,
    .getsockopt = wi_tcp_getsockopt,
    .setsockopt = wi_tcp_setsockopt,
    .ioctl = op_ioctl,
};
