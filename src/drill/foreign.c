/*
 * The target behind a shared library with packetdrill's interface (target.h), driven as the reference program drives
 * it: calls that may block run on a thread of their own, and we wait until it sleeps.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drill/interface.h"
#include "drill/target.h"

#define SLEEP_SHORT_NS WEIR_US(20) /* sleep to here before an event, then look at the clock over and over */
#define RECEIVE_TRIES  1000000
#define LIVE_PATIENCE  WEIR_SEC(3)
#define LIVE_WAIT_MAX  WEIR_SEC(180)
#define STATE_TRIES    100000
#define COMMAND_CAP    512
#define FDS_MAX        256
/* As the reference program loads it; ASan's runtime refuses that. */
#ifdef __SANITIZE_ADDRESS__
#define BIND_DEEP 0
#else
#define BIND_DEEP RTLD_DEEPBIND
#endif

#define AWAIT_STEP_US 1000 /* how often to look whether a call has returned */

struct foreign {
    struct wdr_target target;
    struct packetdrill_interface hooks;
    bool is_live; /* the library's clock is the real one: nothing makes it jump to the next packet */
    void *library;
    ssize_t (*sendfile)(int, int, off_t *, size_t);
    int (*system)(const char *); /* the library's own, NULL when it has none */
    bool is_preloaded;           /* its calls stand before libc's: TCP_INFO goes the way of the reference program */
    int fds[FDS_MAX];            /* made and not closed, in order */
    unsigned fd_n;
    pthread_t thread;
    struct wdr_op *pending; /* on the thread */
    atomic_int tid;
    atomic_bool is_done;
    weir_ns done_at;
};

/* ---- Calls ---- */

static int64_t call_socket(struct foreign *f, const struct wdr_op *op)
{
    struct packetdrill_interface *h = &f->hooks;
    void *u = h->userdata;
    switch ((int)op->kind) { /* one list in two halves */
    case WDR_OP_SOCKET: return h->socket(u, op->a, op->b, op->c);
    case WDR_OP_BIND: return h->bind(u, op->fd, op->addr, op->addr_len);
    case WDR_OP_LISTEN: return h->listen(u, op->fd, op->a);
    case WDR_OP_ACCEPT: return h->accept(u, op->fd, op->addr, op->addr_len_p);
    case WDR_OP_CONNECT: return h->connect(u, op->fd, op->addr, op->addr_len);
    case WDR_OP_FCNTL: return h->fcntl(u, op->fd, op->a, op->b);
    case WDR_OP_IOCTL: return h->ioctl(u, op->fd, op->request, op->value);
    case WDR_OP_CLOSE: return h->close(u, op->fd);
    case WDR_OP_SHUTDOWN: return h->shutdown(u, op->fd, op->a);
    case WDR_OP_GETSOCKOPT: return h->getsockopt(u, op->fd, op->a, op->b, op->value, op->addr_len_p);
    case WDR_OP_SETSOCKOPT: return h->setsockopt(u, op->fd, op->a, op->b, op->value, op->addr_len);
    default: errno = ENOSYS; return -1;
    }
}

/* The interface has no select: poll asks the same. */
static int64_t call_select(struct foreign *f, const struct wdr_op *op)
{
    static const short ask[3] = {POLLIN, POLLOUT, POLLPRI};
    static const short yes[3] = {POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI};
    struct pollfd fds[FD_SETSIZE];
    nfds_t n = 0;
    int found = 0, ms = op->timeout ? (int)(op->timeout->tv_sec * 1000 + (op->timeout->tv_usec + 999) / 1000) : -1;
    for (int fd = 0; fd < op->a; fd++) {
        fds[n] = (struct pollfd){.fd = fd};
        for (int i = 0; i < 3; i++)
            fds[n].events = (short)(fds[n].events | (op->sets[i] && FD_ISSET(fd, op->sets[i]) ? ask[i] : 0));
        n += fds[n].events != 0;
    }
    int ret = f->hooks.poll(f->hooks.userdata, fds, n, ms);
    for (int i = 0; i < 3 && ret >= 0; i++) {
        if (op->sets[i])
            FD_ZERO(op->sets[i]);
        for (nfds_t k = 0; k < n && op->sets[i]; k++) {
            if ((fds[k].events & ask[i]) && (fds[k].revents & yes[i])) {
                FD_SET(fds[k].fd, op->sets[i]);
                found++;
            }
        }
    }
    return ret < 0 ? ret : found;
}

static int64_t call_any(struct foreign *f, const struct wdr_op *op)
{
    struct packetdrill_interface *h = &f->hooks;
    void *u = h->userdata;
    switch ((int)op->kind) { /* one list in two halves */
    case WDR_OP_READ: return h->read(u, op->fd, op->buf, op->len);
    case WDR_OP_READV: return h->readv(u, op->fd, op->iov, op->iov_n);
    case WDR_OP_RECV: return h->recv(u, op->fd, op->buf, op->len, op->flags);
    case WDR_OP_RECVFROM: return h->recvfrom(u, op->fd, op->buf, op->len, op->flags, op->addr, op->addr_len_p);
    case WDR_OP_RECVMSG: return h->recvmsg(u, op->fd, op->msg, op->flags);
    case WDR_OP_WRITE: return h->write(u, op->fd, op->buf, op->len);
    case WDR_OP_WRITEV: return h->writev(u, op->fd, op->iov, op->iov_n);
    case WDR_OP_SEND: return h->send(u, op->fd, op->buf, op->len, op->flags);
    case WDR_OP_SENDTO: return h->sendto(u, op->fd, op->buf, op->len, op->flags, op->addr, op->addr_len);
    case WDR_OP_SENDMSG: return h->sendmsg(u, op->fd, op->msg, op->flags);
    case WDR_OP_SELECT: return call_select(f, op);
    case WDR_OP_POLL: return h->poll(u, op->pollfds, op->len, op->a);
    case WDR_OP_EPOLL_CREATE: return h->epoll_create(u, op->a);
    case WDR_OP_EPOLL_CTL: return h->epoll_ctl(u, op->fd, op->a, op->fd2, op->event);
    case WDR_OP_EPOLL_WAIT: return h->epoll_wait(u, op->fd, op->event, op->a, op->b);
    case WDR_OP_PIPE: return h->pipe(u, op->pipe_fds);
    case WDR_OP_SPLICE: {
        loff_t none[2] = {0, 0};
        return h->splice(u, op->fd, &none[0], op->fd2, &none[1], op->len, (unsigned)op->flags);
    }
    case WDR_OP_SENDFILE: return f->sendfile(op->fd, op->fd2, op->offset, op->len);
    case WDR_OP_OPEN: return open(op->path, op->a | O_CLOEXEC, 0600);
    default: return call_socket(f, op);
    }
}

static void note_fd(struct foreign *f, int fd)
{
    if (f->fd_n < FDS_MAX)
        f->fds[f->fd_n++] = fd;
}

static void forget_fd(struct foreign *f, int fd)
{
    for (unsigned i = 0; i < f->fd_n; i++) {
        if (f->fds[i] == fd) {
            memmove(&f->fds[i], &f->fds[i + 1], (f->fd_n - i - 1) * sizeof f->fds[0]);
            f->fd_n--;
            return;
        }
    }
}

static void perform(struct foreign *f, struct wdr_op *op)
{
    errno = 0;
    int64_t ret = call_any(f, op);
    op->ret = ret < 0 ? -errno : ret;
    if (ret < 0)
        return;
    if (op->kind == WDR_OP_CLOSE)
        forget_fd(f, op->fd);
    if (op->kind == WDR_OP_SOCKET || op->kind == WDR_OP_ACCEPT || op->kind == WDR_OP_EPOLL_CREATE)
        note_fd(f, (int)ret);
    for (int i = 0; op->kind == WDR_OP_PIPE && i < 2; i++)
        note_fd(f, op->pipe_fds[i]);
}

/* ---- Time ---- */

static weir_ns foreign_now(struct wdr_target *t)
{
    struct foreign *f = (struct foreign *)t;
    struct timeval tv;
    f->hooks.gettimeofday(f->hooks.userdata, &tv, NULL);
    return WEIR_SEC(tv.tv_sec) + WEIR_US(tv.tv_usec);
}

static void foreign_wait(struct wdr_target *t, weir_ns until)
{
    struct foreign *f = (struct foreign *)t;
    for (weir_ns now = foreign_now(t); now < until; now = foreign_now(t)) {
        if (until - now > SLEEP_SHORT_NS)
            f->hooks.usleep(f->hooks.userdata, (useconds_t)((until - now - SLEEP_SHORT_NS) / WEIR_US(1)));
    }
}

/* ---- Packets ---- */

static void foreign_input(struct wdr_target *t, const uint8_t *data, size_t len)
{
    struct foreign *f = (struct foreign *)t;
    f->hooks.netdev_send(f->hooks.userdata, data, len);
}

static size_t foreign_output(struct wdr_target *t, weir_ns limit, uint8_t *buf, weir_ns *at)
{
    struct foreign *f = (struct foreign *)t;
    weir_ns last = foreign_now(t) + LIVE_WAIT_MAX;
    last = limit < last ? limit : last;
    /* The interface has no limit: in virtual time the library goes on to the next packet by itself. */
    for (unsigned i = 0; f->is_live ? foreign_now(t) <= last : i < RECEIVE_TRIES; i++) {
        size_t count = 65536;
        long long us = 0;
        if (f->hooks.netdev_receive(f->hooks.userdata, buf, &count, &us) == 0) {
            *at = WEIR_US(us);
            return count;
        }
    }
    return 0;
}

/* ---- Calls that block ---- */

static void *thread_main(void *arg)
{
    struct foreign *f = arg;
    atomic_store(&f->tid, (int)syscall(SYS_gettid));
    perform(f, f->pending);
    f->done_at = foreign_now(&f->target);
    atomic_store(&f->is_done, true);
    return NULL;
}

/* The state letter of the thread: 'S' while it sleeps. */
static char thread_state(int tid)
{
    char path[64], text[256], *end;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    end = strrchr(text, ')');
    return end && end[1] ? end[2] : '?';
}

/* Let the thread run until it sleeps in its call, or has returned from it. */
static bool settle(struct foreign *f)
{
    for (unsigned i = 0; i < STATE_TRIES && !atomic_load(&f->is_done); i++) {
        int tid = atomic_load(&f->tid);
        if (tid && thread_state(tid) == 'S')
            break;
        usleep(10);
    }
    return atomic_load(&f->is_done);
}

static void foreign_await(struct wdr_target *t, weir_ns limit)
{
    struct foreign *f = (struct foreign *)t;
    while (!settle(f) && foreign_now(t) < limit)
        f->hooks.usleep(f->hooks.userdata, AWAIT_STEP_US);
}

static bool foreign_begin(struct wdr_target *t, struct wdr_op *op, bool may_block)
{
    struct foreign *f = (struct foreign *)t;
    if (!may_block) {
        perform(f, op);
        return true;
    }
    f->pending = op;
    atomic_store(&f->tid, 0);
    atomic_store(&f->is_done, false);
    if (pthread_create(&f->thread, NULL, thread_main, f) != 0) {
        f->pending = NULL;
        op->ret = -EAGAIN;
        return true;
    }
    if (!settle(f))
        return false;
    pthread_join(f->thread, NULL);
    f->pending = NULL;
    return true;
}

static bool foreign_finished(struct wdr_target *t, weir_ns *at)
{
    struct foreign *f = (struct foreign *)t;
    if (!f->pending || !settle(f))
        return false;
    pthread_join(f->thread, NULL);
    f->pending = NULL;
    *at = f->done_at;
    return true;
}

/* ---- Commands: through the library's own system(), where it has one ---- */

static int command(struct foreign *f, const char *text)
{
    return f->system && f->system(text) == 0 ? 0 : -ENOENT;
}

static int foreign_sysctl(struct wdr_target *t, const char *name, const char *value)
{
    char text[COMMAND_CAP];
    struct foreign *f = (struct foreign *)t;
    if (f->is_live &&
        strcmp(name, "net.core.default_qdisc") == 0) /* of the machine, not of a namespace: ask its device */
        snprintf(text, sizeof text, "tc qdisc replace dev tun0 root %s", strcmp(value, "fq") == 0 ? "fq" : "pfifo");
    else
        snprintf(text, sizeof text, "sysctl -q %s='%s'", name, value);
    return command(f, text);
}

static int foreign_route(struct wdr_target *t, uint32_t mtu, uint32_t advmss, uint32_t initcwnd)
{
    char text[COMMAND_CAP];
    snprintf(text, sizeof text, "ip route change default dev tun0 mtu %u advmss %u initcwnd %u", mtu, advmss, initcwnd);
    return command((struct foreign *)t, text);
}

static void foreign_discard(struct wdr_target *t, bool on)
{
    char text[COMMAND_CAP];
    snprintf(text, sizeof text, "tc qdisc replace dev tun0 root pfifo limit %d", on ? 0 : 1000);
    command((struct foreign *)t, text);
}

static int foreign_nstat(struct wdr_target *t, const char *pipeline)
{
    return command((struct foreign *)t, pipeline) ? -ENODATA : 0;
}

static int foreign_tcp_info(struct wdr_target *t, int fd, struct weir_tcp_info *info)
{
    struct foreign *f = (struct foreign *)t;
    socklen_t len = sizeof *info;
    memset(info, 0, sizeof *info);
    int ret = f->is_preloaded ? getsockopt(fd, WEIR_SOL_TCP, WEIR_TCP_INFO, info, &len)
                              : f->hooks.getsockopt(f->hooks.userdata, fd, WEIR_SOL_TCP, WEIR_TCP_INFO, info, &len);
    return ret < 0 ? -errno : 0;
}

static const char *foreign_check(struct wdr_target *t)
{
    (void)t;
    return NULL;
}

static void foreign_free(struct wdr_target *t)
{
    struct foreign *f = (struct foreign *)t;
    if (f->pending) { /* asleep in the library for ever: it is left there, with what it uses */
        pthread_detach(f->thread);
        return;
    }
    while (f->fd_n > 0) /* by libc, last first, as the reference program does */
        close(f->fds[--f->fd_n]);
    if (f->hooks.free)
        f->hooks.free(f->hooks.userdata);
    free(f);
}

static const struct wdr_target_ops foreign_ops = {
    .free = foreign_free,
    .now = foreign_now,
    .wait = foreign_wait,
    .wait_arrival = foreign_wait, /* the library decides */
    .input = foreign_input,
    .output = foreign_output,
    .begin = foreign_begin,
    .finished = foreign_finished,
    .await = foreign_await,
    .sysctl = foreign_sysctl,
    .route = foreign_route,
    .discard = foreign_discard,
    .nstat = foreign_nstat,
    .tcp_info = foreign_tcp_info,
    .check = foreign_check,
};

/* A symbol of the library itself, not of what it links. */
static void *own_symbol(void *library, const char *name, void *init)
{
    Dl_info a, b;
    void *p = dlsym(library, name);
    return p && dladdr(p, &a) && dladdr(init, &b) && a.dli_fbase == b.dli_fbase ? p : NULL;
}

static bool load(struct foreign *f, const struct wdr_target_config *cfg, char *err, size_t cap)
{
    char flags[256], address[WEIR_ADDR_TEXT_CAP];
    f->library = dlopen(cfg->so, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | BIND_DEEP);
    void *init = f->library ? dlsym(f->library, "packetdrill_interface_init") : NULL;
    packetdrill_interface_init_fn *fn;
    void *own;
    if (!init) {
        snprintf(err, cap, "%s", dlerror());
        return false;
    }
    memcpy(&fn, &init, sizeof fn);
    own = own_symbol(f->library, "system", init);
    memcpy(&f->system, &own, sizeof own);
    f->is_preloaded = own_symbol(RTLD_DEFAULT, "getsockopt", init) != NULL;
    own = own_symbol(f->library, "sendfile", init);
    f->sendfile = sendfile;
    if (own)
        memcpy(&f->sendfile, &own, sizeof own);
    snprintf(flags, sizeof flags, "local_ip=%s mtu=%u seed=%llu",
             weir_addr_format(&cfg->local, address, sizeof address), cfg->mtu, (unsigned long long)cfg->seed);
    fn(flags, &f->hooks);
    for (size_t i = 1; i < sizeof f->hooks / sizeof(void *); i++) {
        void *word;
        memcpy(&word, (const char *)&f->hooks + i * sizeof word, sizeof word);
        if (!word) {
            snprintf(err, cap, "%s leaves a function of the interface out: the %zu. word is NULL", cfg->so, i + 1);
            return false;
        }
    }
    return true;
}

struct wdr_target *wdr_foreign_new(const struct wdr_target_config *cfg, char *err, size_t cap)
{
    struct foreign *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->target.ops = &foreign_ops;
    f->is_live = cfg->is_live;
    f->target.patience = cfg->is_live ? LIVE_PATIENCE : WDR_PATIENCE;
    if (load(f, cfg, err, cap))
        return &f->target;
    free(f);
    return NULL;
}
