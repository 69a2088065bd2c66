/*
 * A connection played by plan (flow.h). Every callback does what can be done and then looks whether its end is due.
 */
#include "sim/flow.h"

#include <string.h>
#include <weir/weir.h>

#define PIECE_MAX 65536

/* ---- Bytes that know their place ---- */

/* Eight bytes of the stream `key`, at a multiple of eight. */
static uint64_t word_at(uint64_t key, uint64_t off)
{
    uint64_t z = key + off * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return z ^ (z >> 32);
}

static void fill(uint8_t *buf, size_t len, uint64_t key, uint64_t off)
{
    for (size_t i = 0; i < len;) {
        uint64_t word = word_at(key, (off + i) / 8);
        size_t in_word = (off + i) % 8, n = 8 - in_word < len - i ? 8 - in_word : len - i;
        memcpy(buf + i, (const uint8_t *)&word + in_word, n);
        i += n;
    }
}

/* ---- Calls ---- */

static void will_call(const struct wsim_end *e, enum wsim_call what, int64_t asked)
{
    const struct wsim_flow_watch *wt = &e->flow->watch;
    if (wt->on_call)
        wt->on_call(wt->ctx, e, what, asked);
}

static int64_t has_called(const struct wsim_end *e, int64_t got)
{
    const struct wsim_flow_watch *wt = &e->flow->watch;
    if (wt->on_result)
        wt->on_result(wt->ctx, e, got);
    return got;
}

/* ---- Endings ---- */

static void fail(struct wsim_end *e, const char *what, int64_t err)
{
    const char *who = e == &e->flow->client ? "client" : "server";
    e->err = (int)err;
    wsim_fail(e->waiter.host->world, "%s: %s: %s (sent %llu of %llu, received %llu of %llu)", who, what,
              weir_strerror((int)err), (unsigned long long)e->sent, (unsigned long long)e->plan.bytes,
              (unsigned long long)e->received, (unsigned long long)e->wanted);
}

static void close_end(struct wsim_end *e)
{
    struct wsim_flow *f = e->flow;
    wsim_alarm_cancel(e->waiter.host->world, &e->read_alarm);
    wsim_alarm_cancel(e->waiter.host->world, &e->write_alarm);
    will_call(e, WSIM_CALL_CLOSE, 0);
    int err = (int)has_called(e, weir_close(e->waiter.host->w, e->waiter.fd));
    if (err)
        fail(e, "close", err);
    e->is_closed = true;
    if (f->client.is_closed && f->server.is_closed) {
        f->is_done = true;
        f->ended = wsim_now(e->waiter.host->world);
    }
}

static void maybe_end(struct wsim_end *e)
{
    bool has_sent = e->sent == e->plan.bytes, has_all = e->received == e->wanted;
    if (!e->is_open || e->is_closed || !has_sent)
        return;
    switch (e->plan.ending) {
    case WSIM_END_CLOSE:
        if (has_all)
            close_end(e);
        return;
    case WSIM_END_WAIT:
        if (e->has_eof)
            close_end(e);
        return;
    case WSIM_END_HALF: break;
    }
    if (!e->is_shut) {
        will_call(e, WSIM_CALL_SHUTDOWN, 0);
        int err = (int)has_called(e, weir_shutdown(e->waiter.host->w, e->waiter.fd, WEIR_SHUT_WR));
        e->is_shut = true;
        if (err)
            fail(e, "shutdown", err);
    }
    if (e->has_eof)
        close_end(e);
}

/* ---- Sending and receiving ---- */

static bool is_stopped(const struct wsim_end *e)
{
    return e->is_closed || wsim_error(e->waiter.host->world);
}

static void do_write(struct wsim_end *e)
{
    static uint8_t buf[PIECE_MAX];
    uint32_t most = e->plan.write_bytes && e->plan.write_bytes < PIECE_MAX ? e->plan.write_bytes : PIECE_MAX;
    while (e->is_open && !is_stopped(e) && !e->is_write_paused && e->sent < e->plan.bytes) {
        if (e->plan.answers && e->received < e->wanted)
            return;
        uint64_t left = e->plan.bytes - e->sent;
        size_t n = left < most ? (size_t)left : most;
        fill(buf, n, e->out_key, e->sent);
        will_call(e, WSIM_CALL_SEND, (int64_t)n);
        int64_t got = has_called(e, weir_send(e->waiter.host->w, e->waiter.fd, buf, n, 0));
        if (got == -WEIR_EAGAIN)
            return;
        if (got <= 0) {
            fail(e, "send", got);
            return;
        }
        e->sent += (uint64_t)got;
        if (e->plan.write_pause && e->sent < e->plan.bytes) {
            e->is_write_paused = true;
            wsim_alarm_set(e->waiter.host->world, &e->write_alarm,
                           wsim_now(e->waiter.host->world) + e->plan.write_pause);
        }
    }
}

static void take(struct wsim_end *e, const uint8_t *buf, size_t len)
{
    static uint8_t want[PIECE_MAX];
    weir_ns now = wsim_now(e->waiter.host->world);
    if (now - e->last_at > e->stall)
        e->stall = now - e->last_at;
    e->last_at = now;
    fill(want, len, e->in_key, e->received);
    if (e->received + len > e->wanted)
        wsim_fail(e->waiter.host->world, "more bytes arrived than were sent");
    else if (memcmp(buf, want, len) != 0)
        wsim_fail(e->waiter.host->world, "bytes from %llu on are not those that were sent",
                  (unsigned long long)e->received);
    e->received += len;
}

static void do_read(struct wsim_end *e)
{
    static uint8_t buf[PIECE_MAX];
    size_t most = e->plan.read_bytes && e->plan.read_bytes < PIECE_MAX ? e->plan.read_bytes : PIECE_MAX;
    while (e->is_open && !is_stopped(e) && !e->is_read_paused && !e->has_eof) {
        will_call(e, WSIM_CALL_RECV, (int64_t)most);
        int64_t got = has_called(e, weir_recv(e->waiter.host->w, e->waiter.fd, buf, most, 0));
        if (got == -WEIR_EAGAIN)
            return;
        if (got < 0) {
            fail(e, "recv", got);
            return;
        }
        if (got == 0) {
            e->has_eof = true;
            if (e->received < e->wanted)
                fail(e, "the peer's end came early", 0);
            return;
        }
        take(e, buf, (size_t)got);
        if (e->plan.read_pause) {
            e->is_read_paused = true;
            wsim_alarm_set(e->waiter.host->world, &e->read_alarm, wsim_now(e->waiter.host->world) + e->plan.read_pause);
        }
        if (e->plan.ending == WSIM_END_CLOSE && e->received == e->wanted && e->sent == e->plan.bytes)
            return; /* it does not wait for the peer's end */
    }
}

static void work(struct wsim_end *e)
{
    do_read(e);
    do_write(e);
    if (!is_stopped(e))
        maybe_end(e);
}

#define END_OF(ptr, member) ((struct wsim_end *)(void *)((char *)(ptr)-offsetof(struct wsim_end, member)))

static void on_read_alarm(struct wsim_alarm *a)
{
    struct wsim_end *e = END_OF(a, read_alarm);
    e->is_read_paused = false;
    wsim_stack(e->waiter.host);
    work(e);
}

static void on_write_alarm(struct wsim_alarm *a)
{
    struct wsim_end *e = END_OF(a, write_alarm);
    e->is_write_paused = false;
    wsim_stack(e->waiter.host);
    work(e);
}

static void on_end_ready(struct wsim_waiter *wt, uint32_t events)
{
    struct wsim_end *e = END_OF(wt, waiter);
    if (is_stopped(e))
        return;
    if (!e->is_open && events & (WEIR_POLLOUT | WEIR_POLLERR | WEIR_POLLHUP)) {
        int err = 0;
        uint32_t len = sizeof err;
        weir_getsockopt(wt->host->w, wt->fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len);
        if (err) {
            fail(e, "connect", err);
            return;
        }
        e->is_open = true;
    }
    work(e);
}

/* ---- Beginning ---- */

static void set_option(struct wsim_end *e, enum wsim_call what, int level, int name, int value)
{
    will_call(e, what, value);
    int err = (int)has_called(e, weir_setsockopt(e->waiter.host->w, e->waiter.fd, level, name, &value, sizeof value));
    if (err)
        fail(e, "setsockopt", err);
}

static void adopt(struct wsim_end *e, weir_fd fd)
{
    e->waiter.fd = fd;
    if (fd < 0) {
        fail(e, "socket", fd);
        return;
    }
    if (e->plan.sndbuf)
        set_option(e, WSIM_CALL_SNDBUF, WEIR_SOL_SOCKET, WEIR_SO_SNDBUF, e->plan.sndbuf);
    if (e->plan.rcvbuf)
        set_option(e, WSIM_CALL_RCVBUF, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, e->plan.rcvbuf);
    if (e->plan.nodelay)
        set_option(e, WSIM_CALL_NODELAY, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1);
}

static void watch(struct wsim_end *e)
{
    int err = wsim_wait(&e->waiter, WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLRDHUP);
    if (err)
        fail(e, "epoll_ctl", err);
}

static void on_listener_ready(struct wsim_waiter *wt, uint32_t events)
{
    struct wsim_flow *f = (struct wsim_flow *)(void *)((char *)wt - offsetof(struct wsim_flow, listener));
    (void)events;
    will_call(&f->server, WSIM_CALL_ACCEPT, 0);
    weir_fd fd = (weir_fd)has_called(&f->server, weir_accept(wt->host->w, wt->fd, NULL));
    if (fd == -WEIR_EAGAIN)
        return;
    adopt(&f->server, fd);
    if (fd < 0)
        return;
    f->server.is_open = true;
    watch(&f->server);
    int err = weir_close(wt->host->w, wt->fd);
    if (err)
        fail(&f->server, "close of the listener", err);
    work(&f->server);
}

static void init_end(struct wsim_flow *f, struct wsim_end *e, struct wsim_host *host, const struct wsim_plan *plan,
                     const struct wsim_plan *other)
{
    e->waiter = (struct wsim_waiter){.host = host, .fd = -1, .on_ready = on_end_ready};
    e->read_alarm.on_alarm = on_read_alarm;
    e->write_alarm.on_alarm = on_write_alarm;
    e->flow = f;
    e->plan = *plan;
    e->wanted = other->bytes;
    e->last_at = f->began;
}

void wsim_flow_begin(struct wsim_flow *f, struct wsim_host *client, struct wsim_host *server,
                     const struct weir_sockaddr *to, const struct wsim_plan *client_plan,
                     const struct wsim_plan *server_plan, uint64_t key)
{
    *f = (struct wsim_flow){.began = wsim_now(client->world), .watch = f->watch};
    init_end(f, &f->client, client, client_plan, server_plan);
    init_end(f, &f->server, server, server_plan, client_plan);
    f->client.out_key = f->server.in_key = word_at(key, 1);
    f->server.out_key = f->client.in_key = word_at(key, 2);

    wsim_stack(client);
    wsim_stack(server);
    f->listener = (struct wsim_waiter){.host = server, .on_ready = on_listener_ready};
    will_call(&f->server, WSIM_CALL_LISTEN, f->server.plan.rcvbuf);
    f->listener.fd = weir_socket(server->w, to->family, WEIR_SOCK_STREAM, 0);
    int err = f->listener.fd < 0 ? (int)f->listener.fd : weir_bind(server->w, f->listener.fd, to);
    /* The buffer's size has to be known before the window scale is agreed. */
    if (!err && server_plan->rcvbuf)
        err = weir_setsockopt(server->w, f->listener.fd, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, &server_plan->rcvbuf,
                              sizeof server_plan->rcvbuf);
    if (!err)
        err = weir_listen(server->w, f->listener.fd, 8);
    if (!err)
        err = wsim_wait(&f->listener, WEIR_POLLIN);
    has_called(&f->server, err);
    if (err) {
        fail(&f->server, "listen", err);
        return;
    }
    will_call(&f->client, WSIM_CALL_SOCKET, to->family);
    adopt(&f->client, (weir_fd)has_called(&f->client, weir_socket(client->w, to->family, WEIR_SOCK_STREAM, 0)));
    if (wsim_error(client->world))
        return;
    watch(&f->client);
    will_call(&f->client, WSIM_CALL_CONNECT, to->port);
    err = (int)has_called(&f->client, weir_connect(client->w, f->client.waiter.fd, to));
    if (err && err != -WEIR_EINPROGRESS)
        fail(&f->client, "connect", err);
}
