/*
 * The stack, its clock and its sleepers (stack.h).
 */
#include "drill/so/stack.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "drill/command.h"
#include "drill/nstat.h"
#include "drill/so/memory.h"
#include "drill/so/netns.h"
#include "drill/so/real.h"
#include "trace/text.h"

#define READ_PATIENCE_S 2 /* of real time: a woken thread that never reads the clock must not hang us */
#define VALUE_CAP       256
#define MTU_MIN         576 /* as --mtu of the reference program */
#define MTU_MAX         65535
#define DRIVE_LIMIT_NS  WEIR_SEC(3600)

static struct wdr_so *current;
static _Thread_local bool owes_read;

struct wdr_so *wdr_so_current(void)
{
    return current;
}

/* ---- Sleeping and waking ---- */

static void await_reads(struct wdr_so *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += READ_PATIENCE_S;
    while (s->owed_reads > 0) {
        if (pthread_cond_timedwait(&s->clock_read, &s->lock, &until) == ETIMEDOUT)
            s->owed_reads = 0;
    }
}

void wdr_so_kick(struct wdr_so *s)
{
    bool any;
    do {
        any = false;
        for (struct wdr_waiter **p = &s->waiters; *p;) {
            struct wdr_waiter *w = *p;
            if (!wdr_posix_try(s->posix, w->op)) {
                p = &w->next;
                continue;
            }
            *p = w->next;
            w->is_done = true;
            s->owed_reads++;
            any = true;
            pthread_cond_signal(&w->woken);
        }
    } while (any && s->waiters); /* one that is done may let another go on */
    await_reads(s);
}

/* When something is next due: a timer of the stack, or the patience of somebody who waits. */
static weir_ns next_due(const struct wdr_so *s)
{
    weir_ns due = weir_deadline(s->host.w);
    for (const struct wdr_waiter *w = s->waiters; w; w = w->next) {
        if (w->op->deadline < due && w->op->deadline > s->host.now)
            due = w->op->deadline;
    }
    return due;
}

/* A call that would block, on the thread that moves the clock: nobody else will, so it does while it waits. */
static void drive(struct wdr_so *s, struct wdr_op *op)
{
    weir_ns due = next_due(s), limit = s->host.now + DRIVE_LIMIT_NS;
    bool is_done = false;
    while (!is_done && (due < limit || op->deadline < limit)) {
        bool is_patience = op->has_begun && op->deadline > s->host.now && op->deadline < due;
        wdr_host_advance(&s->host, is_patience ? op->deadline : due);
        wdr_so_kick(s);
        is_done = wdr_posix_try(s->posix, op);
        due = next_due(s);
    }
    if (!is_done)
        op->ret = -EDEADLK;
}

int64_t wdr_so_call(struct wdr_so *s, struct wdr_op *op)
{
    int wrong = wdr_so_check_memory(op);
    pthread_mutex_lock(&s->lock);
    if (s->is_dead || wrong) {
        op->ret = s->is_dead ? -ENOMEM : wrong;
    } else if (wdr_posix_try(s->posix, op)) {
        wdr_so_kick(s);
    } else if (pthread_equal(pthread_self(), s->owner)) {
        drive(s, op);
    } else {
        struct wdr_waiter w = {.op = op, .woken = PTHREAD_COND_INITIALIZER, .next = s->waiters};
        s->waiters = &w;
        while (!w.is_done)
            pthread_cond_wait(&w.woken, &s->lock);
        owes_read = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (op->ret >= 0)
        return op->ret;
    errno = (int)-op->ret;
    return -1;
}

int64_t wdr_so_call_now(struct wdr_so *s, struct wdr_op *op)
{
    op->has_begun = true; /* as if its patience had been spent */
    op->deadline = 0;
    return wdr_so_call(s, op);
}

bool wdr_so_owns(struct wdr_so *s, int fd)
{
    pthread_mutex_lock(&s->lock);
    bool owns = !s->is_dead && wdr_posix_has(s->posix, fd);
    pthread_mutex_unlock(&s->lock);
    return owns;
}

/* ---- Time ---- */

void wdr_so_advance(struct wdr_so *s, weir_ns until)
{
    for (weir_ns due = next_due(s); due <= until; due = next_due(s)) {
        wdr_host_advance(&s->host, due);
        wdr_so_kick(s);
    }
    wdr_host_advance(&s->host, until);
    wdr_so_kick(s);
}

/* ---- The hooks that are no calls; the others are in hooks.c ---- */

static void hook_free(void *userdata)
{
    wdr_so_free(userdata);
}

static int hook_netdev_send(void *userdata, const void *data, size_t len)
{
    struct wdr_so *s = userdata;
    pthread_mutex_lock(&s->lock);
    if (!s->is_dead) {
        wdr_host_input(&s->host, data, len);
        wdr_so_kick(s);
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static int hook_netdev_receive(void *userdata, void *buf, size_t *count, long long *time_usecs)
{
    struct wdr_so *s = userdata;
    pthread_mutex_lock(&s->lock);
    weir_ns due = s->is_dead ? WEIR_NEVER : 0;
    while (due != WEIR_NEVER && !s->host.first) {
        due = next_due(s);
        if (due != WEIR_NEVER) {
            wdr_host_advance(&s->host, due);
            wdr_so_kick(s);
        }
    }
    struct wdr_datagram *d = s->is_dead ? NULL : wdr_host_take(&s->host);
    *count = d ? d->len : 0;
    *time_usecs = (long long)((d ? d->at : s->host.now) / WEIR_US(1));
    if (d)
        memcpy(buf, d->bytes, d->len);
    free(d);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Without a stack the clock goes on all the same: whoever spins on it must get as far as the call that fails. */
static void pass(struct wdr_so *s, weir_ns ns)
{
    if (s->is_dead)
        s->host.now += ns;
    else
        wdr_so_advance(s, s->host.now + ns);
}

static int hook_usleep(void *userdata, useconds_t us)
{
    struct wdr_so *s = userdata;
    pthread_mutex_lock(&s->lock);
    pass(s, WEIR_US(us));
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Each look moves the clock, so that somebody who spins on it gets on; but not the look of a thread that was just
 * woken: it is to see the moment of its waking. */
static int hook_gettimeofday(void *userdata, struct timeval *tv, void *zone)
{
    struct wdr_so *s = userdata;
    (void)zone;
    pthread_mutex_lock(&s->lock);
    if (owes_read) {
        owes_read = false;
        s->owed_reads -= s->owed_reads > 0;
        pthread_cond_signal(&s->clock_read);
    } else {
        pass(s, WEIR_US(1));
    }
    tv->tv_sec = (time_t)(s->host.now / WEIR_SEC(1));
    tv->tv_usec = (suseconds_t)(s->host.now % WEIR_SEC(1) / WEIR_US(1));
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* ---- Tunables ---- */

static int set_sysctl(void *ctx, const char *name, const char *value)
{
    struct wdr_so *s = ctx;
    int err = weir_sysctl_set(s->host.w, name, value);
    if (err)
        fprintf(stderr, "libweir-packetdrill: %s=%s: %s\n", name, value,
                err == -ENOENT ? "no such tunable" : "not a value of it");
    return 0; /* the script may pass without it */
}

static int set_route(void *ctx, uint32_t mtu, uint32_t advmss, uint32_t initcwnd)
{
    return wdr_host_route(&((struct wdr_so *)ctx)->host, mtu, advmss, initcwnd);
}

static void set_discard(void *ctx, bool on)
{
    ((struct wdr_so *)ctx)->host.discards = on;
}

static void sleep_for(void *ctx, uint64_t ns)
{
    struct wdr_so *s = ctx;
    wdr_so_advance(s, s->host.now + ns);
}

static int nstat(void *ctx, const char *pipeline)
{
    struct wdr_so *s = ctx;
    return wdr_nstat(s->host.w, &s->host.counted, pipeline);
}

int wdr_so_command(struct wdr_so *s, const char *text)
{
    char err[512];
    struct wdr_command_ops ops = {set_sysctl, set_route, set_discard, sleep_for, nstat, s};
    pthread_mutex_lock(&s->lock);
    s->has_commands = true;
    bool ok = !s->is_dead && wdr_command_run(&ops, text, err, sizeof err);
    pthread_mutex_unlock(&s->lock);
    return ok ? 0 : -1;
}

/* Where a tunable has its file; a module's parameter is none of a namespace, and yet scripts set it. */
static void sync_one(struct wdr_so *s, const char *name)
{
    char path[VALUE_CAP], value[VALUE_CAP];
    bool is_module = strncmp(name, "tcp_cubic.", 10) == 0;
    int dir = snprintf(path, sizeof path, "%s", is_module ? "/sys/module/" : "/proc/sys/");
    snprintf(path + dir, sizeof path - (size_t)dir, "%s", name);
    for (char *p = path + dir; *p; p++)
        *p = *p == '.' ? '/' : *p;
    FILE *f = fopen(path, "r");
    if (f && fgets(value, sizeof value, f)) {
        value[strcspn(value, "\n")] = '\0';
        weir_sysctl_set(s->host.w, name, value);
    }
    if (f)
        fclose(f);
}

void wdr_so_sync_tunables(struct wdr_so *s)
{
    struct wdr_netns n;
    unsigned ifindex = s->has_commands || s->is_dead ? 0 : if_nametoindex("tun0");
    if (ifindex == 0)
        return;
    bool has_netns = wdr_netns_read(&n, ifindex);
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; weir_sysctl_name(i); i++) {
        const char *name = weir_sysctl_name(i);
        if (strncmp(name, "net.ipv4.tcp_", 13) == 0 || strncmp(name, "tcp_cubic.", 10) == 0)
            sync_one(s, name);
    }
    if (has_netns) {
        wdr_host_route(&s->host, n.mtu, n.advmss, n.initcwnd);
        weir_sysctl_set(s->host.w, "net.core.default_qdisc", n.is_fq ? "fq" : "pfifo_fast");
        s->host.discards = n.discards;
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- Making it ---- */

static int fd_new(void *ctx)
{
    (void)ctx;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* At the end the numbers are no longer ours: the program has closed them by libc, and may have them anew. */
static void fd_drop(void *ctx, int fd)
{
    if (!((struct wdr_so *)ctx)->is_ending)
        wdr_real_close(fd);
}

/* A script may bind to an address that nobody told us. */
static void before_bind(void *ctx, const struct weir_sockaddr *a)
{
    if (!weir_addr_is_any(&a->addr) && !weir_addr_is_loopback(&a->addr) && !weir_addr_is_multicast(&a->addr))
        wdr_host_address(&((struct wdr_so *)ctx)->host, &a->addr);
}

static void on_event(void *ctx, const struct weir_event *ev)
{
    struct wdr_so *s = ctx;
    char line[WTR_TEXT_CAP];
    if (s->trace)
        fprintf(s->trace, "%s\n", wtr_text_event(ev, "weir", line, sizeof line));
}

/* What --so_flags may say beside tunables. */
struct flags {
    struct wdr_host_config host;
    const char *trace;
};

static bool take_number(const char *text, unsigned long long min, unsigned long long max, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (end == text || *end || *text == '-' || errno || v < min || v > max)
        return false;
    *out = v;
    return true;
}

/* What is wrong with the value; NULL: nothing. *is_flag: whether there is such a flag. */
static const char *take_flag(struct flags *f, const char *name, const char *value, bool *is_flag)
{
    struct weir_addr a;
    uint64_t v = 0;
    *is_flag = true;
    if (strcmp(name, "local_ip") == 0) {
        if (weir_addr_parse(&a, value) != 0)
            return "no IP address";
        *(weir_addr_is_v4(&a) ? &f->host.local4 : &f->host.local6) = a;
    } else if (strcmp(name, "mtu") == 0) {
        if (!take_number(value, MTU_MIN, MTU_MAX, &v))
            return "a number from 576 to 65535 is wanted; 1500 it is";
        f->host.mtu = (uint32_t)v;
    } else if (strcmp(name, "seed") == 0) {
        if (!take_number(value, 0, UINT64_MAX, &f->host.seed))
            return "no number; 0 it is";
    } else if (strcmp(name, "trace") == 0) {
        f->trace = value;
    } else {
        *is_flag = false;
    }
    return NULL;
}

/* A tunable of several numbers is written with commas, since blanks part the flags. */
static void set_tunable(struct wdr_so *s, const char *name, char *value)
{
    if (weir_sysctl_set(s->host.w, name, value) == 0)
        return;
    for (char *p = value; *p; p++)
        *p = *p == ',' ? ' ' : *p;
    set_sysctl(s, name, value);
}

/* "name=value name=value …": those of the stack itself first, then (s not NULL) the tunables. */
static void read_flags(struct flags *f, struct wdr_so *s, char *text)
{
    char *save, *word = strtok_r(text, " \t\n", &save);
    for (; word; word = strtok_r(NULL, " \t\n", &save)) {
        char *eq = strchr(word, '=');
        bool is_flag;
        if (!eq) {
            if (!s)
                fprintf(stderr, "libweir-packetdrill: --so_flags: '%s' is no name=value\n", word);
            continue;
        }
        *eq = '\0';
        const char *wrong = take_flag(f, word, eq + 1, &is_flag);
        if (wrong && !s)
            fprintf(stderr, "libweir-packetdrill: --so_flags: %s=%s: %s\n", word, eq + 1, wrong);
        if (!is_flag && s)
            set_tunable(s, word, eq + 1);
    }
}

static bool open_stack(struct wdr_so *s, struct flags *f)
{
    struct wdr_posix_config pc = {.fd_new = fd_new, .fd_drop = fd_drop, .ctx = s, .before_bind = before_bind};
    if (f->trace) {
        s->trace = strcmp(f->trace, "-") == 0 ? stderr : fopen(f->trace, "w");
        if (!s->trace)
            fprintf(stderr, "libweir-packetdrill: --so_flags: trace=%s: %s\n", f->trace, strerror(errno));
        f->host.on_event = on_event;
        f->host.event_ctx = s;
    }
    if (wdr_host_init(&s->host, &f->host) < 0)
        return false;
    pc.w = s->host.w;
    s->posix = wdr_posix_new(&pc);
    return s->posix != NULL;
}

/* A child of fork has none of our threads: whatever it closes on its way to exec is its own affair. */
static void in_child(void)
{
    current = NULL;
}

struct wdr_so *wdr_so_new(const char *flags)
{
    struct wdr_so *s = calloc(1, sizeof *s);
    char *first = strdup(flags ? flags : ""), *second = strdup(flags ? flags : "");
    struct flags f = {.host = {.has_v4 = true, .has_v6 = true, .mtu = 1500}};
    if (!s || !first || !second)
        abort();
    pthread_atfork(NULL, NULL, in_child);
    s->owner = pthread_self();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->clock_read, NULL);
    weir_addr_parse(&f.host.local4, "192.168.0.1");
    weir_addr_parse(&f.host.local6, "fd3d:a0b:17d6::1");
    read_flags(&f, NULL, first);
    s->is_dead = !open_stack(s, &f);
    if (s->is_dead)
        fprintf(stderr, "libweir-packetdrill: no stack with these --so_flags, every call will fail: %s\n",
                flags ? flags : "");
    else
        read_flags(&f, s, second);
    free(first);
    free(second);
    current = s;
    return s;
}

void wdr_so_free(struct wdr_so *s)
{
    current = NULL;
    s->is_ending = true;
    wdr_posix_free(s->posix);
    if (s->host.w)
        wdr_host_fini(&s->host);
    if (s->trace && s->trace != stderr)
        fclose(s->trace);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->clock_read);
    free(s);
}

void wdr_so_fill(struct packetdrill_interface *i, struct wdr_so *s)
{
    i->userdata = s;
    i->free = hook_free;
    i->netdev_send = hook_netdev_send;
    i->netdev_receive = hook_netdev_receive;
    i->usleep = hook_usleep;
    i->gettimeofday = hook_gettimeofday;
}
