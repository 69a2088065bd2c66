/*
 * The pump. Up: what the descriptor gives becomes a block that weir queues as it is. Down: views out of weir's receive
 * queue are written with one writev. Up to 256 KiB move with one call, and user space copies only what is too short to
 * be worth a block.
 *
 * Both sources are edge-triggered: a flag says that something is worth trying, and only trying clears it.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "run/pump.h"

#define BLOCK_BYTES (64u << 10)
#define COPY_BYTES  4096u        /* a shorter read is copied, so that it doesn't pin a whole block */
#define DOWN_BYTES  (256u << 10) /* taken from weir at a time */
#define ROUNDS      4            /* of each direction before the others have their turn */

static void end_with(struct wir_pump *p, enum wir_pump_end how, int err)
{
    if (!p->is_running)
        return;
    p->is_running = false;
    p->ended(p, how, err);
}

static void frags_release(struct weir_frag *frags, unsigned *at, unsigned *n)
{
    for (; *at < *n; ++*at)
        weir_block_unref(frags[*at].block);
    *at = *n = 0;
}

/* Take `bytes` off the front. */
static void frags_consume(struct weir_frag *frags, unsigned *at, unsigned *n, size_t bytes)
{
    while (bytes) {
        struct weir_frag *f = &frags[*at];
        uint32_t take = bytes < f->len ? (uint32_t)bytes : f->len;
        f->off += take;
        f->len -= take;
        bytes -= take;
        if (f->len == 0) {
            weir_block_unref(f->block);
            ++*at;
        }
    }
    if (*at == *n)
        *at = *n = 0;
}

/* ---- Up: descriptor to weir ---- */

/* The connection refused our bytes: what it still has for us comes first, then its end. */
static void on_send_error(struct wir_pump *p, int err)
{
    frags_release(p->up, &p->up_at, &p->up_n);
    p->net_err = err;
    p->net_in = true;
}

/* Hand the held bytes to weir. True when they are gone. */
static bool up_flush(struct wir_pump *p)
{
    while (p->up_n) {
        int64_t n = weir_send_frags(p->host->stack, p->net, p->up + p->up_at, p->up_n - p->up_at, 0);
        if (n == -WEIR_EAGAIN) {
            p->net_out = false;
            return false;
        }
        if (n < 0) {
            on_send_error(p, (int)-n);
            return false;
        }
        frags_consume(p->up, &p->up_at, &p->up_n, (size_t)n);
    }
    return true;
}

/* Hold the `n` bytes that a read has put into the scratch blocks from `off` on. A short tail is copied. */
static void up_hold(struct wir_pump *p, struct wir_scratch *scratch, uint32_t off, uint32_t n)
{
    for (unsigned i = 0; n; i++, off = 0) {
        uint32_t take = n < BLOCK_BYTES - off ? n : BLOCK_BYTES - off;
        struct weir_block **b = &scratch->blocks[i];
        struct weir_block *tail = take <= COPY_BYTES ? weir_block_new(weir_stack_pool(p->host->stack), take) : NULL;
        if (tail)
            memcpy(tail->data, (*b)->data + off, take);
        p->up[p->up_n++] = (struct weir_frag){.block = tail ? tail : *b, .off = tail ? 0 : off, .len = take};
        if (!tail)
            *b = NULL;
        n -= take;
    }
}

/* A short read goes by copy and the block is used again; a long one goes as it is. */
static void up_take(struct wir_pump *p, struct wir_scratch *scratch, uint32_t n)
{
    uint32_t taken = 0;
    if (n <= COPY_BYTES) {
        int64_t sent = weir_send(p->host->stack, p->net, scratch->blocks[0]->data, n, 0);
        if (sent < 0 && sent != -WEIR_EAGAIN) {
            on_send_error(p, (int)-sent);
            return;
        }
        taken = sent > 0 ? (uint32_t)sent : 0;
        if (taken == n)
            return;
        p->net_out = false;
    }
    up_hold(p, scratch, taken, n - taken);
}

static void up_eof(struct wir_pump *p)
{
    p->os_in = false;
    p->os_eof = true;
    if (!p->os_hup || !p->is_mirror) /* closed altogether: the close itself will say so */
        weir_shutdown(p->host->stack, p->net, WEIR_SHUT_WR);
}

/* Room for a read: how many blocks; fewer at the memory limit, down to none. */
static unsigned up_room(struct wir_pump *p, struct wir_scratch *scratch, struct iovec iov[WIR_READ_BLOCKS])
{
    unsigned n = 0;
    for (; n < WIR_READ_BLOCKS; n++) {
        struct weir_block **b = &scratch->blocks[n];
        if (!*b)
            *b = weir_block_new(weir_stack_pool(p->host->stack), BLOCK_BYTES);
        if (!*b)
            break;
        iov[n] = (struct iovec){.iov_base = (*b)->data, .iov_len = BLOCK_BYTES};
    }
    return n;
}

/* One read. False: nothing more for now. */
static bool up_read(struct wir_pump *p)
{
    struct wir_scratch *scratch = &p->run->scratch[p->host == &p->run->gate];
    struct iovec iov[WIR_READ_BLOCKS];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = up_room(p, scratch, iov)};
    if (msg.msg_iovlen == 0) { /* tried again when the connection has moved */
        p->is_starved = true;
        p->os_in = false;
        return false;
    }
    ssize_t n = recvmsg(p->fd, &msg, MSG_DONTWAIT);
    if (n < 0) {
        p->os_in = false;
        if (errno == EINTR)
            p->os_in = true;
        else if (errno != EAGAIN)
            end_with(p, WIR_PUMP_OS_RESET, errno);
        return false;
    }
    if (n == 0) {
        up_eof(p);
        return false;
    }
    if ((size_t)n < msg.msg_iovlen * BLOCK_BYTES && !p->os_rdhup && !p->os_pri)
        p->os_in = false; /* drained: the next byte makes a new edge */
    up_take(p, scratch, (uint32_t)n);
    return true;
}

/* The urgent byte has its place in the stream: it is carried over once what stands before it has been. */
static void up_urgent(struct wir_pump *p)
{
    int at_mark = 0;
    char byte;
    if (!p->os_pri || p->up_n || p->net_err || ioctl(p->fd, SIOCATMARK, &at_mark) < 0 || !at_mark)
        return;
    p->os_pri = false;
    if (recv(p->fd, &byte, 1, MSG_DONTWAIT | MSG_OOB) == 1)
        weir_send(p->host->stack, p->net, &byte, 1, WEIR_MSG_OOB);
    p->os_in = true;
}

static void move_up(struct wir_pump *p)
{
    for (int i = 0; i < ROUNDS && p->is_running && !p->net_err; i++) {
        if (p->up_n && (!p->net_out || !up_flush(p)))
            return;
        up_urgent(p);
        if (!p->os_in || p->os_eof || !up_read(p))
            return;
    }
}

/* ---- Down: weir to descriptor ---- */

/* Writing failed for good. The program closed (its bytes stay held, so that the close becomes a reset, as TCP must) or
 * only stopped reading (they go nowhere, as with the kernel's TCP). */
static void on_write_error(struct wir_pump *p, int err)
{
    struct pollfd pfd = {.fd = p->fd};
    if (!p->is_mirror) {
        end_with(p, WIR_PUMP_OS_RESET, err);
        return;
    }
    p->os_out = false;
    if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP)) {
        p->os_hup = p->os_rdhup = p->os_in = true;
        return;
    }
    p->os_deaf = true;
    frags_release(p->down, &p->down_at, &p->down_n);
}

/* True when nothing is held any more. */
static bool down_flush(struct wir_pump *p)
{
    if (p->os_deaf)
        frags_release(p->down, &p->down_at, &p->down_n);
    while (p->down_n) {
        struct iovec iov[WIR_PUMP_VIEWS];
        unsigned n = 0;
        for (unsigned i = p->down_at; i < p->down_n; i++)
            iov[n++] = (struct iovec){.iov_base = p->down[i].block->data + p->down[i].off, .iov_len = p->down[i].len};
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
        ssize_t sent = sendmsg(p->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            p->os_out = false;
            return false;
        }
        if (sent < 0 && errno != EINTR) {
            on_write_error(p, errno);
            return p->down_n == 0;
        }
        if (sent > 0)
            frags_consume(p->down, &p->down_at, &p->down_n, (size_t)sent);
    }
    return true;
}

static void down_eof(struct wir_pump *p)
{
    p->net_in = false;
    p->net_eof = true;
    shutdown(p->fd, SHUT_WR);
}

/* True when there is something to write, or the end was met. */
static bool down_fetch(struct wir_pump *p)
{
    size_t bytes = 0;
    int64_t n = weir_recv_frags(p->host->stack, p->net, p->down, WIR_PUMP_VIEWS, DOWN_BYTES, &bytes);
    if (n == -WEIR_EAGAIN) {
        p->net_in = false;
        return false;
    }
    if (n < 0) {
        end_with(p, WIR_PUMP_NET_ERROR, (int)-n);
        return false;
    }
    if (n == 0) {
        down_eof(p);
        return false;
    }
    p->down_n = (unsigned)n;
    p->down_at = 0;
    return true;
}

static void down_urgent(struct wir_pump *p)
{
    int at_mark = 0;
    char byte;
    if (!p->net_pri || p->down_n || weir_ioctl(p->host->stack, p->net, WEIR_SIOCATMARK, &at_mark) < 0 || !at_mark)
        return;
    p->net_pri = false;
    if (weir_recv(p->host->stack, p->net, &byte, 1, WEIR_MSG_OOB) == 1)
        send(p->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_OOB);
    p->net_in = true;
}

static void move_down(struct wir_pump *p)
{
    for (int i = 0; i < ROUNDS && p->is_running; i++) {
        if (p->down_n && (!(p->os_out || p->os_deaf) || !down_flush(p)))
            return;
        down_urgent(p);
        if (!p->net_in || p->net_eof || !down_fetch(p))
            return;
    }
}

/* ---- Ends ---- */

static void check_ended(struct wir_pump *p)
{
    if (!p->is_running)
        return;
    if (p->net_err && p->down_n == 0 && (!p->net_in || p->net_eof))
        end_with(p, WIR_PUMP_NET_ERROR, p->net_err);
    else if (p->os_eof && !p->up_n && (p->os_hup || (!p->is_mirror && p->net_eof && p->down_n == 0)))
        end_with(p, WIR_PUMP_CLOSED, 0);
}

static bool can_move(const struct wir_pump *p)
{
    bool up = !p->net_err && (p->up_n ? p->net_out : p->os_in && !p->os_eof);
    bool down = p->down_n ? p->os_out || p->os_deaf : p->net_in && !p->net_eof;
    return up || down;
}

static void step(struct wir_pump *p)
{
    move_up(p);
    move_down(p);
    check_ended(p);
    if (p->is_running && can_move(p))
        wir_loop_queue(p->run, &p->task);
}

static void task_work(struct wir_task *task)
{
    step((struct wir_pump *)((char *)task - offsetof(struct wir_pump, task)));
}

static void os_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_pump *p = (struct wir_pump *)((char *)source - offsetof(struct wir_pump, os_source));
    if (events & EPOLLPRI)
        p->os_pri = true;
    if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        p->os_in = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        p->os_out = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        p->os_rdhup = true;
    if (events & EPOLLHUP)
        p->os_hup = true;
    step(p);
}

static void net_ready(struct wir_net_source *source, uint32_t events)
{
    struct wir_pump *p = (struct wir_pump *)((char *)source - offsetof(struct wir_pump, net_source));
    p->os_in |= p->is_starved;
    p->is_starved = false;
    if (events & WEIR_POLLPRI)
        p->net_pri = p->net_in = true;
    if (events & (WEIR_POLLIN | WEIR_POLLRDHUP | WEIR_POLLHUP | WEIR_POLLERR))
        p->net_in = true;
    if (events & (WEIR_POLLOUT | WEIR_POLLERR | WEIR_POLLHUP))
        p->net_out = true;
    if ((events & WEIR_POLLERR) && p->net_eof && !p->net_err) {
        int err = 0;
        uint32_t len = sizeof err;
        weir_getsockopt(p->host->stack, p->net, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len);
        p->net_err = err;
    }
    step(p);
}

void wir_pump_start(struct wir_pump *p)
{
    p->os_source.ready = os_ready;
    p->net_source.ready = net_ready;
    p->task.work = task_work;
    p->is_running = true;
    p->os_in = p->os_out = p->net_in = p->net_out = true;
    wir_loop_queue(p->run, &p->task);
}

void wir_pump_stop(struct wir_pump *p)
{
    p->is_running = false;
    p->os_source.ready = NULL;
    p->net_source.ready = NULL;
    wir_loop_unqueue(p->run, &p->task);
    frags_release(p->up, &p->up_at, &p->up_n);
    frags_release(p->down, &p->down_at, &p->down_n);
}
