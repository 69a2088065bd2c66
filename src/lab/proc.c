/*
 * Programs of the lab: each walks through its steps, and waits where a blocking program would.
 */
#include "lab/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

static struct wlb_proc *proc_of(void *member, size_t offset)
{
    return (struct wlb_proc *)(void *)((char *)member - offset);
}

static void on_listener(struct wsim_waiter *w, uint32_t events)
{
    (void)events;
    wlb_proc_run(proc_of(w, offsetof(struct wlb_proc, listener)));
}

static void on_conn(struct wsim_waiter *w, uint32_t events)
{
    (void)events;
    wlb_proc_run(proc_of(w, offsetof(struct wlb_proc, conn)));
}

static void on_alarm(struct wsim_alarm *a)
{
    struct wlb_proc *p = proc_of(a, offsetof(struct wlb_proc, alarm));
    p->is_asleep = false;
    p->is_late = true;
    wlb_proc_run(p);
}

/* ---- Birth and death ---- */

static struct wlb_proc *proc_new(struct wlb_lab *lab, struct wsim_host *host, const struct wlb_step *steps, unsigned n,
                                 const char *where)
{
    struct wlb_proc *p = calloc(1, sizeof *p);
    if (!p || !(p->left = calloc(n + 1, sizeof *p->left))) {
        free(p);
        wlb_fail(lab, "out of memory");
        return NULL;
    }
    p->lab = lab;
    p->where = where;
    p->steps = steps;
    p->step_n = n;
    p->listener = (struct wsim_waiter){.host = host, .on_ready = on_listener};
    p->conn = (struct wsim_waiter){.host = host, .on_ready = on_conn};
    p->alarm.on_alarm = on_alarm;
    p->next = lab->procs;
    lab->procs = p;
    return p;
}

static void close_one(struct wsim_waiter *w)
{
    if (w->fd)
        weir_close(wsim_stack(w->host), w->fd);
    w->fd = 0;
}

/* As when a process ends: what it has open is closed. */
static void proc_end(struct wlb_proc *p)
{
    close_one(&p->conn);
    close_one(&p->listener);
    p->is_over = true;
    p->lab->awaited_n -= !p->serves;
}

void wlb_procs_free(struct wlb_lab *lab)
{
    for (struct wlb_proc *p; (p = lab->procs);) {
        lab->procs = p->next;
        free(p->left);
        wlb_inbox_free(p->inbox);
        wlb_ready_free(p->ready);
        wlb_http_free(p->http);
        free(p->echo);
        free(p);
    }
    for (unsigned i = 0; lab->steps && i < lab->scenario->program_n; i++)
        free(lab->steps[i]);
    free(lab->steps);
}

/* ---- Calls ---- */

void wlb_begin_call(struct wlb_proc *p)
{
    if (p->is_begun)
        return;
    p->is_begun = true;
    p->began = wsim_now(p->lab->world);
    p->done = p->wrong = 0;
}

struct wlb_entry *wlb_note_call(struct wlb_proc *p, int64_t result)
{
    const char *name = wlb_step_name(p->steps[p->pc].kind);
    struct wlb_entry *e = wlb_call_returned(p->lab, p->conn.host, name, result, p->began);
    if (e) {
        e->program = p->where;
        e->wrong = p->wrong;
    }
    return e;
}

enum wlb_outcome wlb_end_call(struct wlb_proc *p, int64_t result)
{
    p->is_begun = false;
    wlb_note_call(p, result);
    return result < 0 ? WLB_STOP : WLB_NEXT;
}

enum wlb_outcome wlb_wait_or_end(struct wlb_proc *p, int64_t result)
{
    return result == -WEIR_EAGAIN || result == -WEIR_EINPROGRESS ? WLB_WAIT : wlb_end_call(p, result);
}

void wlb_leave_loop(struct wlb_proc *p)
{
    for (unsigned i = p->pc; i-- > 0;) {
        const struct wlb_step *s = &p->steps[i];
        if (s->kind == WLB_REPEAT && s->n == UINT64_MAX && s->other > p->pc) {
            p->pc = s->other;
            return;
        }
    }
}

/* A stream socket, if there is none yet. */
static int64_t have_socket(struct wlb_proc *p, int type)
{
    if (p->conn.fd)
        return 0;
    p->conn.fd = weir_socket(wsim_stack(p->conn.host), WEIR_AF_INET, type, 0);
    if (p->conn.fd < 0) {
        int64_t err = p->conn.fd;
        p->conn.fd = 0;
        return err;
    }
    p->sent = p->got = 0;
    return 0;
}

static int watch(struct wsim_waiter *w)
{
    return wsim_wait(w, WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLRDHUP);
}

static struct weir_sockaddr any_at(uint16_t port)
{
    return (struct weir_sockaddr){.addr = weir_addr_any(WEIR_AF_INET), .family = WEIR_AF_INET, .port = port};
}

static enum wlb_outcome do_listen(struct wlb_proc *p, const struct wlb_step *s)
{
    struct weir *w = wsim_stack(p->conn.host);
    struct weir_sockaddr at = any_at(s->port);
    int one = 1;
    wlb_begin_call(p);
    int64_t err = have_socket(p, WEIR_SOCK_STREAM);
    if (!err)
        err = weir_setsockopt(w, p->conn.fd, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, &one, sizeof one);
    if (!err)
        err = weir_bind(w, p->conn.fd, &at);
    if (!err)
        err = weir_listen(w, p->conn.fd, (int)s->n);
    if (!err) {
        p->listener.fd = p->conn.fd;
        p->conn.fd = 0;
        err = watch(&p->listener);
    }
    return wlb_end_call(p, err);
}

static enum wlb_outcome do_port(struct wlb_proc *p, const struct wlb_step *s)
{
    struct weir_sockaddr at = any_at(s->port);
    wlb_begin_call(p);
    int64_t err = have_socket(p, WEIR_SOCK_STREAM);
    return wlb_end_call(p, err ? err : weir_bind(wsim_stack(p->conn.host), p->conn.fd, &at));
}

static enum wlb_outcome do_accept(struct wlb_proc *p)
{
    wlb_begin_call(p);
    weir_fd fd = weir_accept(wsim_stack(p->listener.host), p->listener.fd, NULL);
    if (fd < 0)
        return wlb_wait_or_end(p, fd);
    close_one(&p->conn);
    p->conn.fd = fd;
    p->sent = p->got = 0;
    wlb_inbox_free(p->inbox);
    p->inbox = NULL;
    wlb_http_free(p->http);
    p->http = NULL;
    return wlb_end_call(p, watch(&p->conn));
}

/* Each connection gets a program that goes on from here; this one stays. */
static enum wlb_outcome do_accept_each(struct wlb_proc *p)
{
    for (;;) {
        wlb_begin_call(p);
        weir_fd fd = weir_accept(wsim_stack(p->listener.host), p->listener.fd, NULL);
        if (fd < 0)
            return wlb_wait_or_end(p, fd);
        struct wlb_proc *child = proc_new(p->lab, p->conn.host, p->steps, p->step_n, p->where);
        if (!child)
            return WLB_STOP;
        child->pc = p->pc + 1;
        child->serves = p->serves;
        p->lab->awaited_n += !child->serves;
        child->conn.fd = fd;
        wlb_end_call(p, watch(&child->conn));
        wlb_proc_run(child);
    }
}

static enum wlb_outcome do_connect(struct wlb_proc *p, const struct wlb_step *s)
{
    struct weir *w = wsim_stack(p->conn.host);
    if (!p->is_begun) {
        wlb_begin_call(p);
        struct weir_sockaddr to = {.family = WEIR_AF_INET, .port = s->port};
        const struct wsim_host *peer = wlb_host_of(p->lab, s->host);
        if (!peer || !wlb_address_of(p->lab, p->conn.host, peer, &to.addr)) {
            wlb_fail(p->lab, "%s: connect: there is no way to a host '%s'", p->where, s->host);
            return WLB_STOP;
        }
        snprintf(p->peer, sizeof p->peer, "%s", s->host);
        int64_t err = have_socket(p, WEIR_SOCK_STREAM);
        if (!err)
            err = watch(&p->conn);
        if (!err)
            err = weir_connect(w, p->conn.fd, &to);
        return s->kind == WLB_DIAL && err == -WEIR_EINPROGRESS ? wlb_end_call(p, 0) : wlb_wait_or_end(p, err);
    }
    struct weir_pollfd at = {.fd = p->conn.fd, .events = WEIR_POLLOUT};
    weir_poll(w, &at, 1);
    if (!at.revents)
        return WLB_WAIT;
    int err = 0;
    uint32_t len = sizeof err;
    weir_getsockopt(w, p->conn.fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &len);
    return wlb_end_call(p, -err);
}

/* The stream's bytes know their place: byte n is n modulo a prime. */
static void fill(uint8_t *buf, size_t len, uint64_t at)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)((at + i) % 251);
}

/* How many bytes are not those that fill() puts there. */
static uint64_t count_wrong(const uint8_t *buf, size_t len, uint64_t at)
{
    uint64_t wrong = 0;
    for (size_t i = 0; i < len; i++)
        wrong += buf[i] != (uint8_t)((at + i) % 251);
    return wrong;
}

static enum wlb_outcome do_write(struct wlb_proc *p, const struct wlb_step *s)
{
    static uint8_t buf[WLB_PIECE];
    wlb_begin_call(p);
    while (p->done < s->n) {
        uint64_t left = s->n - p->done, most = s->by && s->by < WLB_PIECE ? s->by : WLB_PIECE;
        size_t n = (size_t)(left < most ? left : most);
        if (s->text[0])
            memcpy(buf, s->text + p->done, n);
        else
            fill(buf, n, p->sent);
        int64_t got = weir_send(wsim_stack(p->conn.host), p->conn.fd, buf, n, 0);
        if (got < 0)
            return wlb_wait_or_end(p, got);
        p->done += (uint64_t)got;
        p->sent += (uint64_t)got;
    }
    return wlb_end_call(p, (int64_t)p->done);
}

static enum wlb_outcome do_read(struct wlb_proc *p, const struct wlb_step *s)
{
    static uint8_t buf[WLB_PIECE];
    bool is_some = s->kind == WLB_READ && s->n == UINT64_MAX;
    bool to_end = s->kind == WLB_READ_END || s->kind == WLB_READ_ALL;
    wlb_begin_call(p);
    for (;;) {
        uint64_t left = to_end || is_some ? WLB_PIECE : s->n - p->done;
        int64_t got =
            weir_recv(wsim_stack(p->conn.host), p->conn.fd, buf, (size_t)(left < WLB_PIECE ? left : WLB_PIECE), 0);
        if (got == -WEIR_EAGAIN && s->kind == WLB_READ_ALL)
            return wlb_end_call(p, (int64_t)p->done);
        if (got < 0)
            return wlb_wait_or_end(p, got);
        p->wrong += count_wrong(buf, (size_t)got, p->got);
        p->done += (uint64_t)got;
        p->got += (uint64_t)got;
        if (got == 0 && p->done == 0) {
            wlb_end_call(p, 0);
            wlb_leave_loop(p);
            return WLB_NEXT;
        }
        if (got == 0 || is_some || (!to_end && p->done == s->n))
            return wlb_end_call(p, (int64_t)p->done);
    }
}

/* Send back what comes, up to the end. */
static enum wlb_outcome do_echo(struct wlb_proc *p)
{
    struct weir *w = wsim_stack(p->conn.host);
    if (!p->echo && !(p->echo = calloc(1, sizeof *p->echo))) {
        wlb_fail(p->lab, "out of memory");
        return WLB_STOP;
    }
    struct wlb_echo *e = p->echo;
    wlb_begin_call(p);
    for (;;) {
        while (e->done < e->len) {
            int64_t n = weir_send(w, p->conn.fd, e->bytes + e->done, e->len - e->done, 0);
            if (n < 0)
                return wlb_wait_or_end(p, n);
            e->done += (size_t)n;
            p->done += (uint64_t)n;
        }
        int64_t n = weir_recv(w, p->conn.fd, e->bytes, sizeof e->bytes, 0);
        if (n < 0)
            return wlb_wait_or_end(p, n);
        if (n == 0)
            return wlb_end_call(p, (int64_t)p->done);
        e->len = (size_t)n;
        e->done = 0;
    }
}

/* A host by its name, "all" of the network, or an address. */
static bool find_peer(const struct wlb_proc *p, const char *name, struct weir_addr *addr)
{
    const struct wsim_host *peer = wlb_host_of(p->lab, name);
    if (peer)
        return wlb_address_of(p->lab, p->conn.host, peer, addr);
    return weir_addr_parse(addr, strcmp(name, "all") == 0 ? "255.255.255.255" : name) == 0;
}

static enum wlb_outcome do_send_to(struct wlb_proc *p, const struct wlb_step *s)
{
    static uint8_t buf[WLB_PIECE];
    struct weir *w = wsim_stack(p->conn.host);
    struct weir_sockaddr to = {.family = WEIR_AF_INET, .port = s->port};
    int one = 1;
    wlb_begin_call(p);
    if (!find_peer(p, s->host, &to.addr)) {
        wlb_fail(p->lab, "%s: send: there is no way to a host '%s'", p->where, s->host);
        return WLB_STOP;
    }
    int64_t err = have_socket(p, WEIR_SOCK_DGRAM);
    size_t len = (size_t)(s->n < WLB_PIECE ? s->n : WLB_PIECE - 1);
    memset(buf, '.', len);
    wlb_stamp(p, buf, len);
    if (!err)
        err = weir_setsockopt(w, p->conn.fd, WEIR_SOL_SOCKET, WEIR_SO_BROADCAST, &one, sizeof one);
    return wlb_end_call(p, err ? err : weir_sendto(w, p->conn.fd, buf, len, 0, &to));
}

/* On each of its links: a group is the same wherever it comes from. */
static enum wlb_outcome do_join(struct wlb_proc *p, const struct wlb_step *s)
{
    struct weir_addr group, own;
    wlb_begin_call(p);
    int64_t err = have_socket(p, WEIR_SOCK_DGRAM);
    if (weir_addr_parse(&group, s->host) < 0) {
        wlb_fail(p->lab, "%s: join: '%s' is no address", p->where, s->host);
        return WLB_STOP;
    }
    for (unsigned i = 0; !err && i < p->lab->link_n; i++) {
        const struct wlb_lab_link *l = &p->lab->links[i];
        struct weir_mreqn m = {0};
        if (l->ends[0] != p->conn.host && l->ends[1] != p->conn.host)
            continue;
        own = wsim_addr(i + 1, l->ends[0] == p->conn.host ? WIO_NEAR : WIO_FAR, WEIR_AF_INET);
        memcpy(m.group, group.b + 12, 4);
        memcpy(m.address, own.b + 12, 4);
        err = weir_setsockopt(wsim_stack(p->conn.host), p->conn.fd, WEIR_SOL_IP, WEIR_IP_ADD_MEMBERSHIP, &m, sizeof m);
    }
    return wlb_end_call(p, err);
}

static enum wlb_outcome do_bind(struct wlb_proc *p, const struct wlb_step *s)
{
    struct weir_sockaddr at = any_at(s->port);
    wlb_begin_call(p);
    int64_t err = have_socket(p, WEIR_SOCK_DGRAM);
    if (!err)
        err = weir_bind(wsim_stack(p->conn.host), p->conn.fd, &at);
    return wlb_end_call(p, err ? err : watch(&p->conn));
}

static enum wlb_outcome do_receive(struct wlb_proc *p)
{
    static uint8_t buf[WLB_PIECE];
    wlb_begin_call(p);
    int64_t got = weir_recv(wsim_stack(p->conn.host), p->conn.fd, buf, sizeof buf, 0);
    if (got < 0)
        return wlb_wait_or_end(p, got);
    p->is_begun = false;
    wlb_read_stamp(p, wlb_note_call(p, got), buf, (size_t)got);
    return WLB_NEXT;
}

static const struct {
    const char *name;
    int level, option;
} options[] = {
    {"congestion", WEIR_SOL_TCP, WEIR_TCP_CONGESTION},
    {"cork", WEIR_SOL_TCP, WEIR_TCP_CORK},
    {"defer_accept", WEIR_SOL_TCP, WEIR_TCP_DEFER_ACCEPT},
    {"keepalive", WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE},
    {"keepcnt", WEIR_SOL_TCP, WEIR_TCP_KEEPCNT},
    {"keepidle", WEIR_SOL_TCP, WEIR_TCP_KEEPIDLE},
    {"keepintvl", WEIR_SOL_TCP, WEIR_TCP_KEEPINTVL},
    {"linger", WEIR_SOL_SOCKET, WEIR_SO_LINGER},
    {"maxseg", WEIR_SOL_TCP, WEIR_TCP_MAXSEG},
    {"nodelay", WEIR_SOL_TCP, WEIR_TCP_NODELAY},
    {"quickack", WEIR_SOL_TCP, WEIR_TCP_QUICKACK},
    {"rcvbuf", WEIR_SOL_SOCKET, WEIR_SO_RCVBUF},
    {"sndbuf", WEIR_SOL_SOCKET, WEIR_SO_SNDBUF},
    {"user_timeout", WEIR_SOL_TCP, WEIR_TCP_USER_TIMEOUT},
};

const char *wlb_option_name(unsigned i)
{
    return i < sizeof options / sizeof options[0] ? options[i].name : NULL;
}

static enum wlb_outcome do_set(struct wlb_proc *p, const struct wlb_step *s)
{
    wlb_begin_call(p);
    int64_t err = have_socket(p, WEIR_SOCK_STREAM);
    if (err)
        return wlb_end_call(p, err);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i].name, s->text) != 0)
            continue;
        int value = (int)s->n;
        if (s->host[0])
            return wlb_end_call(p, weir_setsockopt(wsim_stack(p->conn.host), p->conn.fd, options[i].level,
                                                   options[i].option, s->host, (uint32_t)strlen(s->host)));
        struct weir_linger linger = {1, value};
        bool is_linger = options[i].option == WEIR_SO_LINGER && options[i].level == WEIR_SOL_SOCKET;
        return wlb_end_call(p, weir_setsockopt(wsim_stack(p->conn.host), p->conn.fd, options[i].level,
                                               options[i].option, is_linger ? (const void *)&linger : &value,
                                               is_linger ? sizeof linger : sizeof value));
    }
    wlb_fail(p->lab, "%s: there is no option '%s'", p->where, s->text);
    return WLB_STOP;
}

static enum wlb_outcome do_close(struct wlb_proc *p, enum wlb_step_kind how)
{
    struct wsim_waiter *w = p->conn.fd ? &p->conn : &p->listener;
    wlb_begin_call(p);
    int64_t err = -WEIR_EBADF;
    if (how == WLB_SHUTDOWN) {
        err = weir_shutdown(wsim_stack(w->host), w->fd, WEIR_SHUT_WR);
    } else if (w->fd) {
        err = how == WLB_ABORT ? weir_abort(wsim_stack(w->host), w->fd) : weir_close(wsim_stack(w->host), w->fd);
        w->fd = 0;
    }
    return wlb_end_call(p, err);
}

static enum wlb_outcome do_sleep(struct wlb_proc *p, const struct wlb_step *s)
{
    if (p->is_begun) {
        p->is_begun = false;
        return WLB_NEXT;
    }
    wlb_begin_call(p);
    p->is_asleep = true;
    wsim_alarm_set(p->lab->world, &p->alarm, wsim_now(p->lab->world) + s->n);
    return WLB_WAIT;
}

/* ---- Walking ---- */

static enum wlb_outcome do_repeat(struct wlb_proc *p, const struct wlb_step *s)
{
    p->left[p->pc] = s->n;
    if (s->n == 0)
        p->pc = s->other;
    return WLB_NEXT;
}

static enum wlb_outcome do_repeat_end(struct wlb_proc *p, const struct wlb_step *s)
{
    uint64_t *left = &p->left[s->other];
    if (*left != UINT64_MAX)
        --*left;
    if (*left > 0)
        p->pc = s->other;
    return WLB_NEXT;
}

static enum wlb_outcome take_step(struct wlb_proc *p)
{
    const struct wlb_step *s = &p->steps[p->pc];
    switch (s->kind) {
    case WLB_LISTEN: return do_listen(p, s);
    case WLB_PORT: return do_port(p, s);
    case WLB_ACCEPT: return do_accept(p);
    case WLB_ACCEPT_EACH: return do_accept_each(p);
    case WLB_CONNECT:
    case WLB_DIAL: return do_connect(p, s);
    case WLB_WRITE: return do_write(p, s);
    case WLB_READ:
    case WLB_READ_END:
    case WLB_READ_ALL: return do_read(p, s);
    case WLB_SET: return do_set(p, s);
    case WLB_SLEEP: return do_sleep(p, s);
    case WLB_REPEAT: return do_repeat(p, s);
    case WLB_END: return do_repeat_end(p, s);
    case WLB_BIND: return do_bind(p, s);
    case WLB_SEND_TO: return do_send_to(p, s);
    case WLB_RECEIVE: return do_receive(p);
    case WLB_JOIN: return do_join(p, s);
    case WLB_SEND_MESSAGE: return wlb_send_message(p, s);
    case WLB_RECEIVE_MESSAGE: return wlb_receive_message(p, s);
    case WLB_SERVE: return wlb_serve(p, s);
    case WLB_ECHO: return do_echo(p);
    case WLB_HTTP_SERVE: return wlb_http_serve(p, s);
    case WLB_HTTP_GET: return wlb_http_get(p, s);
    case WLB_WATCH: return wlb_watch(p, s);
    case WLB_AWAIT: return wlb_await(p, s);
    case WLB_SHUTDOWN:
    case WLB_CLOSE:
    case WLB_ABORT: return do_close(p, s->kind);
    case WLB_STEP_N: break;
    }
    return WLB_STOP;
}

void wlb_proc_run(struct wlb_proc *p)
{
    enum wlb_outcome o = WLB_NEXT;
    while (!p->is_over && !p->is_asleep && !p->lab->error[0]) {
        o = p->pc < p->step_n ? take_step(p) : WLB_STOP;
        if (o == WLB_WAIT)
            return;
        if (o == WLB_STOP) {
            proc_end(p);
            return;
        }
        p->pc++;
    }
}

/* ---- Starting ---- */

static struct wlb_step *steps_of(struct wlb_lab *lab, const struct wlb_program *pr, const char *where)
{
    char err[256];
    struct wlb_step *steps = calloc(pr->step_n + 1u, sizeof *steps);
    if (!steps)
        wlb_fail(lab, "out of memory");
    for (unsigned i = 0; steps && i < pr->step_n; i++) {
        char *text = wlb_fill(lab, where, pr->steps[i]);
        bool ok = text && wlb_step_parse(&steps[i], text, err, sizeof err);
        if (text && !ok)
            wlb_fail(lab, "%s: step %u: %s", where, i + 1, err);
        free(text);
        if (!ok) {
            free(steps);
            return NULL;
        }
    }
    if (steps && !wlb_steps_join(steps, pr->step_n, err, sizeof err)) {
        wlb_fail(lab, "%s: %s", where, err);
        free(steps);
        return NULL;
    }
    return steps;
}

bool wlb_read_after(struct wlb_lab *lab, const struct wlb_program *pr, const struct wsim_host **host, uint16_t *port)
{
    char name[16];
    unsigned n = 0;
    *host = NULL;
    if (sscanf(pr->after, "%15s %5u", name, &n) == 2 && n > 0 && n <= UINT16_MAX)
        *host = wlb_host_of(lab, name);
    *port = (uint16_t)n;
    return *host || wlb_fail(lab, "program %s: after '%s': the form is \"HOST PORT\", with a host that there is",
                             pr->name ? pr->name : pr->host, pr->after);
}

void wlb_procs_on_listen(struct wlb_lab *lab, const struct wsim_host *h, uint16_t port)
{
    for (struct wlb_proc *p = lab->procs; p; p = p->next) {
        if (p->after != h || p->after_port != port)
            continue;
        p->after = NULL;
        wsim_alarm_set(lab->world, &p->alarm, wsim_now(lab->world) + p->start);
    }
}

/* The program's instances: each begins by a sleep that is none of its steps. */
static bool start_program(struct wlb_lab *lab, const struct wlb_program *pr, const struct wlb_step *steps)
{
    weir_ns start, every;
    uint64_t count;
    const struct wsim_host *after = NULL;
    uint16_t after_port = 0;
    struct wsim_host *host = wlb_host_of(lab, pr->host);
    const char *where = pr->name ? pr->name : pr->host;
    if (!host || host->router)
        return wlb_fail(lab, "program %s: there is no host '%s' with a stack", where, pr->host);
    if (pr->after && !wlb_read_after(lab, pr, &after, &after_port))
        return false;
    if (!wlb_time_of(lab, where, pr->start, 0, &start) || !wlb_time_of(lab, where, pr->every, 0, &every) ||
        !wlb_count_of(lab, where, pr->count, 1, &count))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct wlb_proc *p = proc_new(lab, host, steps, pr->step_n, where);
        if (!p)
            return false;
        p->is_asleep = true;
        p->serves = pr->serves != NULL;
        lab->awaited_n += !p->serves;
        p->after = after;
        p->after_port = after_port;
        p->start = start + i * every;
        if (!after)
            wsim_alarm_set(lab->world, &p->alarm, lab->zero + p->start);
    }
    return true;
}

bool wlb_procs_start(struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    lab->steps = calloc(sc->program_n + 1u, sizeof(struct wlb_step *));
    if (!lab->steps)
        return wlb_fail(lab, "out of memory");
    for (unsigned i = 0; i < sc->program_n; i++) {
        const struct wlb_program *pr = &sc->programs[i];
        if (pr->serves && strcmp(pr->serves, "true") != 0)
            return wlb_fail(lab, "program of %s: serves: '%s': it is true, or not there", pr->host, pr->serves);
        if (pr->serves && !wlb_is_real(sc))
            return wlb_fail(lab, "program of %s: serves is for scenarios with a command", pr->host);
        if (pr->command_n > 0)
            continue;
        lab->steps[i] = steps_of(lab, pr, pr->name ? pr->name : pr->host);
        if (!lab->steps[i] || !start_program(lab, pr, lab->steps[i]))
            return false;
    }
    return true;
}
