/*
 * The control socket. It must not slow the program down, so nothing here waits: a client has a buffer that a listing
 * fills as far as it goes, and the rest is listed once the client has read; meanwhile no more of it is read. There are
 * CLIENTS_MAX at most, and where more come, the one that was silent for longest goes.
 */
#include "run/control.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "run/control_place.h"
#include "run/sock.h"
#include "run/view.h"
#include "run/watch.h"

#define CLIENTS_MAX    16
#define REQUEST_MAX    1024  /* bytes of a line */
#define ANSWER_BYTES   65536 /* that may wait for a client */
#define PROTOCOL       1
#define LISTEN_BACKLOG 128

/* Which of the program's sockets a handle of its stack is. */
struct owner {
    weir_fd fd;
    uint64_t inode;
    bool is_twin; /* the second ear of a listener, which the program knows nothing of */
};

struct client {
    LIST_ENTRY(client) link;
    struct wir_os_source source;
    struct wir_control *control;
    int fd;
    uint32_t events; /* watched for */
    weir_ns heard_at;
    bool is_ending; /* to be let go once it has read all */
    size_t in_n, out_at, out_n;
    char in[REQUEST_MAX];
    char out[ANSWER_BYTES];

    /* The listing under way */
    bool is_listing, is_long;
    struct wir_host *host;
    struct weir_sock_cursor cursor;
    struct owner *owners; /* a hash table, NULL: of nobody's */
    size_t owner_cap;     /* a power of two */
};

LIST_HEAD(client_list, client);

struct wir_control {
    struct wir_run *run;
    struct wir_os_source source;
    int fd;
    int dir;    /* that the name lies in; -1: it was named by the user */
    char *name; /* in dir, or a path */
    struct client_list clients;
    unsigned client_n;
};

/* ---- Whose is it ---- */

static size_t owner_slot(const struct client *c, weir_fd fd)
{
    size_t i = (size_t)((uint64_t)fd * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (c->owner_cap - 1);
    while (c->owners[i].fd >= 0 && c->owners[i].fd != fd)
        i = (i + 1) & (c->owner_cap - 1);
    return i;
}

static void own(struct client *c, weir_fd fd, uint64_t inode, bool is_twin)
{
    if (fd >= 0)
        c->owners[owner_slot(c, fd)] = (struct owner){fd, inode, is_twin};
}

/* Handles are never used twice, so what is known at the beginning of a listing stays right. */
static void find_owners(struct client *c)
{
    struct wir_run *r = c->control->run;
    for (c->owner_cap = 64; c->owner_cap < 4 * r->sock_n + 4;)
        c->owner_cap *= 2;
    c->owners = malloc(c->owner_cap * sizeof *c->owners);
    if (!c->owners)
        return;
    for (size_t i = 0; i < c->owner_cap; i++)
        c->owners[i].fd = -1;
    for (unsigned i = 0; i < WIR_SOCK_BUCKETS; i++) {
        struct wir_sock *s;
        LIST_FOREACH(s, &r->socks[i], by_inode)
        {
            if (s->is_retired)
                continue;
            own(c, s->pump.net, s->inode, false);
            own(c, s->twin, s->inode, true);
        }
    }
}

/* Show it as the program sees it. False: it is not to be shown. */
static bool present(const struct client *c, struct wir_view *v)
{
    const struct owner *o = c->owners && v->info.fd >= 0 ? &c->owners[owner_slot(c, v->info.fd)] : NULL;
    v->inode = 0;
    if (o && o->fd >= 0) {
        const struct wir_sock *s = wir_sock_find(c->control->run, o->inode);
        if (o->is_twin && v->info.recv_q == 0)
            return false;
        v->inode = o->inode;
        if (s)
            wir_sock_show_local(s, &v->info.local);
    }
    v->info.local.addr = wir_addr_off_link(v->info.local.addr);
    v->info.remote.addr = wir_addr_off_link(v->info.remote.addr);
    return true;
}

/* ---- Answers ---- */

static size_t room(const struct client *c)
{
    return sizeof c->out - c->out_n;
}

static void say(struct client *c, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text && strlen(text) + 1 <= room(c)) {
        memcpy(c->out + c->out_n, text, strlen(text));
        c->out_n += strlen(text);
        c->out[c->out_n++] = '\n';
    }
    free(text);
    json_decref(line);
}

static void say_hello(struct client *c)
{
    const struct wir_run *r = c->control->run;
    char command[256];
    snprintf(command, sizeof command, "%s", wir_watch_title(r->watch));
    for (char *p = command; *p; p++)
        *p = (unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e ? '?' : *p; /* what would not be JSON */
    say(c, json_pack("{s:s, s:i, s:i, s:i, s:s}", "weir", WEIR_VERSION, "protocol", PROTOCOL, "pid", (int)getpid(),
                     "program", (int)r->launch.program, "command", command));
}

static void stop_listing(struct client *c)
{
    free(c->owners);
    c->owners = NULL;
    c->is_listing = false;
}

static void go_on_listing(struct client *c)
{
    struct wir_view v;
    while (c->is_listing && room(c) >= WIR_VIEW_LINE_MAX) {
        if (!weir_sock_next(c->host->stack, &c->cursor, &v.info, c->is_long ? &v.tcp : NULL)) {
            stop_listing(c);
            say(c, json_pack("{s:s, s:I}", "end", "sockets", "clock_ns", (json_int_t)c->control->run->now));
        } else if (present(c, &v)) {
            c->out_n += wir_view_write(&v, c->is_long, c->out + c->out_n);
        }
    }
}

/* ---- Requests ---- */

static void complain(struct client *c, const char *what)
{
    say(c, json_pack("{s:s}", "error", what));
}

static void ask_sockets(struct client *c, const json_t *request)
{
    struct wir_run *r = c->control->run;
    const char *host = json_string_value(json_object_get(request, "host"));
    const char *proto = json_string_value(json_object_get(request, "proto"));

    c->host = !host || strcmp(host, "program") == 0 ? &r->prog : strcmp(host, "gateway") == 0 ? &r->gate : NULL;
    c->cursor = (struct weir_sock_cursor){0};
    if (proto && strcmp(proto, "tcp") == 0)
        c->cursor.protocol = WEIR_IPPROTO_TCP;
    else if (proto && strcmp(proto, "udp") == 0)
        c->cursor.protocol = WEIR_IPPROTO_UDP;
    else if (proto) {
        complain(c, "proto: tcp or udp");
        return;
    }
    if (!c->host) {
        complain(c, "host: program or gateway");
        return;
    }
    c->is_long = json_is_true(json_object_get(request, "info"));
    c->is_listing = true;
    if (c->host == &r->prog)
        find_owners(c);
}

static void take_request(struct client *c, const char *line, size_t len)
{
    json_error_t err;
    json_t *request = json_loadb(line, len, 0, &err);
    const char *ask = json_string_value(json_object_get(request, "ask"));

    if (!request)
        complain(c, "not a line of JSON");
    else if (ask && strcmp(ask, "hello") == 0)
        say_hello(c);
    else if (ask && strcmp(ask, "sockets") == 0)
        ask_sockets(c, request);
    else
        complain(c, "ask: hello or sockets");
    json_decref(request);
}

static bool has_line(const struct client *c)
{
    return memchr(c->in, '\n', c->in_n) != NULL;
}

static void take_line(struct client *c)
{
    size_t len = (size_t)((char *)memchr(c->in, '\n', c->in_n) - c->in) + 1;
    take_request(c, c->in, len);
    c->in_n -= len;
    memmove(c->in, c->in + len, c->in_n);
}

/* Something to answer, so that no more of it is read. */
static bool is_busy(const struct client *c)
{
    return c->out_n || c->is_listing || has_line(c);
}

/* ---- Clients ---- */

static void client_free(struct client *c)
{
    struct wir_control *ctl = c->control;
    stop_listing(c);
    close(c->fd);
    c->source.ready = NULL;
    LIST_REMOVE(c, link);
    ctl->client_n--;
    wir_loop_bury(ctl->run, c);
}

/* Hand over what waits. False: nobody is there any more. */
static bool flush(struct client *c)
{
    while (c->out_at < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->out_at += (size_t)n;
        c->heard_at = c->control->run->now;
    }
    c->out_at = c->out_n = 0;
    return true;
}

static void watch(struct client *c)
{
    uint32_t events = is_busy(c) ? EPOLLOUT : EPOLLIN;
    struct epoll_event ev = {.events = events, .data.ptr = &c->source};
    if (events != c->events)
        epoll_ctl(c->control->run->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
    c->events = events;
}

/* False: it has gone. */
static bool read_in(struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_n, sizeof c->in - c->in_n, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    c->in_n += (size_t)n;
    c->heard_at = c->control->run->now;
    return true;
}

/* A piece of what it is to be told: the rest of a listing, or the answer to a line. */
static void answer(struct client *c)
{
    if (!c->is_listing && has_line(c))
        take_line(c);
    else if (!c->is_listing && c->in_n == sizeof c->in && !c->is_ending) {
        complain(c, "a line is too long");
        c->is_ending = true;
    }
    go_on_listing(c);
}

/* One buffer at most is filled in a turn of the loop: others have theirs. */
static void client_ready(struct wir_os_source *source, uint32_t events)
{
    struct client *c = (struct client *)((char *)source - offsetof(struct client, source));
    bool is_there = !(events & EPOLLERR) && (is_busy(c) || read_in(c));

    if (is_there && c->out_n == 0)
        answer(c);
    is_there = is_there && flush(c);
    if (!is_there || (c->is_ending && c->out_n == 0))
        client_free(c);
    else
        watch(c);
}

static void make_place(struct wir_control *ctl)
{
    struct client *c, *oldest = NULL;
    if (ctl->client_n < CLIENTS_MAX)
        return;
    LIST_FOREACH(c, &ctl->clients, link)
    {
        if (!oldest || c->heard_at < oldest->heard_at)
            oldest = c;
    }
    if (oldest)
        client_free(oldest);
}

/* Nobody but the user and root: the directory says so already, but a path may have been named. */
static bool is_allowed(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void control_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_control *ctl = (struct wir_control *)((char *)source - offsetof(struct wir_control, source));
    (void)events;
    int fd = accept4(ctl->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *c = fd >= 0 && is_allowed(fd) ? malloc(sizeof *c) : NULL;
    if (!c) {
        if (fd >= 0)
            close(fd);
        return;
    }
    make_place(ctl);
    memset(c, 0, offsetof(struct client, in));
    c->is_listing = false;
    c->owners = NULL;
    c->control = ctl;
    c->fd = fd;
    c->heard_at = ctl->run->now;
    c->source.ready = client_ready;
    LIST_INSERT_HEAD(&ctl->clients, c, link);
    ctl->client_n++;
    c->events = EPOLLIN;
    if (wir_loop_watch(ctl->run, fd, EPOLLIN, &c->source) < 0)
        client_free(c);
}

/* ---- The place ---- */

/* Bound under another name and then renamed, so that whoever finds it can connect. */
static int listen_in_dir(struct wir_control *ctl, char *where, size_t cap)
{
    struct sockaddr_un un;
    char fresh[32], name[32];
    ctl->dir = wir_control_dir(true, where, cap);
    if (ctl->dir < 0)
        return ctl->dir;
    snprintf(fresh, sizeof fresh, "%d.new", (int)getpid());
    snprintf(name, sizeof name, "%d.sock", (int)getpid());
    ctl->name = strdup(name);
    socklen_t len = wir_control_addr(ctl->dir, fresh, &un);
    unlinkat(ctl->dir, fresh, 0);
    if (!ctl->name || bind(ctl->fd, (struct sockaddr *)&un, len) < 0 || listen(ctl->fd, LISTEN_BACKLOG) < 0 ||
        renameat(ctl->dir, fresh, ctl->dir, name) < 0)
        return -errno;
    return 0;
}

/* What lies there already is left alone, unless it is a socket that nobody listens at. */
static int listen_at(struct wir_control *ctl, const char *path)
{
    struct sockaddr_un un;
    struct stat st;
    socklen_t len = wir_control_path_addr(path, &un);
    if (!len)
        return -ENAMETOOLONG;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bool is_dead = connect(probe, (struct sockaddr *)&un, len) < 0 && errno == ECONNREFUSED;
        close(probe);
        if (is_dead)
            unlink(path);
    }
    mode_t old = umask(0177);
    int err = bind(ctl->fd, (struct sockaddr *)&un, len) < 0 ? -errno : 0;
    umask(old);
    if (err == 0)
        ctl->name = strdup(path);
    if (err == 0 && listen(ctl->fd, LISTEN_BACKLOG) < 0)
        err = -errno;
    return err;
}

static const char *why(int err)
{
    return err == -EPERM ? "it is not a directory of yours alone (remove it, or set XDG_RUNTIME_DIR)" : strerror(-err);
}

int wir_control_start(struct wir_run *r)
{
    const char *wanted = r->opts->control;
    char where[512] = "";
    struct wir_control *ctl;
    if (wanted && strcmp(wanted, "off") == 0)
        return 0;
    ctl = calloc(1, sizeof *ctl);
    if (!ctl)
        return -ENOMEM;
    r->control = ctl;
    ctl->run = r;
    ctl->dir = -1;
    LIST_INIT(&ctl->clients);
    ctl->source.ready = control_ready;
    ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = ctl->fd < 0 ? -errno : wanted ? listen_at(ctl, wanted) : listen_in_dir(ctl, where, sizeof where);
    if (err == 0)
        err = wir_loop_watch(r, ctl->fd, EPOLLIN, &ctl->source);
    if (err == 0)
        return 0;
    if (wanted)
        fprintf(stderr, "weir run: --control %s: %s\n", wanted, strerror(-err));
    else if (!r->opts->is_quiet)
        fprintf(stderr, "weir run: weir ss will not see this run: %s: %s\n", where, why(err));
    wir_control_stop(r);
    return wanted ? err : 0;
}

void wir_control_stop(struct wir_run *r)
{
    struct wir_control *ctl = r->control;
    struct client *c;
    if (!ctl)
        return;
    while ((c = LIST_FIRST(&ctl->clients)))
        client_free(c);
    if (ctl->name)
        unlinkat(ctl->dir >= 0 ? ctl->dir : AT_FDCWD, ctl->name, 0);
    if (ctl->dir >= 0)
        close(ctl->dir);
    if (ctl->fd >= 0)
        close(ctl->fd);
    free(ctl->name);
    free(ctl);
    r->control = NULL;
}
