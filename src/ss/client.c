/* The other end of run/control.c. What comes from there is bounded and checked as what comes from a wire. */
#include "ss/client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "run/control_place.h"

/* ---- Lines ---- */

static int send_all(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The next line as JSON. 0 or -errno. */
static int read_line(struct wss_run *run, json_t **out)
{
    json_error_t err;
    for (;;) {
        char *from = run->in + run->in_at, *end = memchr(from, '\n', run->in_n - run->in_at);
        if (end) {
            *out = json_loadb(from, (size_t)(end - from), 0, &err);
            run->in_at += (size_t)(end - from) + 1;
            return *out ? 0 : -EPROTO;
        }
        memmove(run->in, from, run->in_n - run->in_at);
        run->in_n -= run->in_at;
        run->in_at = 0;
        if (run->in_n == sizeof run->in)
            return -EPROTO;
        ssize_t n = recv(run->fd, run->in + run->in_n, sizeof run->in - run->in_n, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ECONNRESET;
        run->in_n += (size_t)n;
    }
}

/* ---- Runs ---- */

static int say_hello(struct wss_run *run)
{
    json_t *line = NULL;
    int err = send_all(run->fd, "{\"ask\":\"hello\"}\n");
    if (err == 0)
        err = read_line(run, &line);
    if (err == 0 && json_integer_value(json_object_get(line, "protocol")) != 1)
        err = -EPROTONOSUPPORT;
    if (err == 0) {
        const char *command = json_string_value(json_object_get(line, "command"));
        run->pid = (pid_t)json_integer_value(json_object_get(line, "pid"));
        snprintf(run->command, sizeof run->command, "%s", command ? command : "");
        for (char *p = run->command; *p; p++)
            *p = (unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e ? '?' : *p;
    }
    json_decref(line);
    return err;
}

/* Who asks, and for how long an answer is waited. */
struct asker {
    const char *who;
    int wait_s;
};

static void say(const struct asker *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct asker *a, const char *format, ...)
{
    va_list args;
    if (!a->who)
        return;
    fprintf(stderr, "%s: ", a->who);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);
}

static const char *why(int err)
{
    return err == -EAGAIN ? "the run does not answer (is it stopped?)" : strerror(-err);
}

/* 0 or -errno. */
static int run_open(struct wss_run *run, const struct sockaddr_un *un, socklen_t len, const struct asker *a)
{
    struct timeval wait = {.tv_sec = a->wait_s};
    *run = (struct wss_run){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (run->fd < 0)
        return -errno;
    setsockopt(run->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(run->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    int err = connect(run->fd, (const struct sockaddr *)un, len) < 0 ? -errno : say_hello(run);
    if (err < 0)
        close(run->fd);
    return err;
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

bool wss_is_run(const char *word)
{
    return is_number(word) || *word == '/' || *word == '.';
}

/* By process id or by path. */
static int open_named(struct wss_run *run, int dir, const char *name, const struct asker *a)
{
    struct sockaddr_un un;
    char file[64];
    socklen_t len = 0;
    int err = -ENOENT;
    if (!is_number(name)) {
        len = wir_control_path_addr(name, &un);
        err = -ENAMETOOLONG;
    } else if (dir >= 0 && snprintf(file, sizeof file, "%s.sock", name) < (int)sizeof file) {
        len = wir_control_addr(dir, file, &un);
    }
    if (len)
        err = run_open(run, &un, len, a);
    if (err == -ENOENT || err == -ECONNREFUSED)
        say(a, "%s: there is no such weir run of yours", name);
    else if (err < 0)
        say(a, "%s: %s", name, why(err));
    return err;
}

/* PID.sock. */
static bool is_socket_name(const char *name)
{
    size_t n = strspn(name, "0123456789");
    return n > 0 && strcmp(name + n, ".sock") == 0;
}

/* All in the directory, the oldest process first; sockets that nobody listens at go. */
static int open_all(struct wss_run *runs, int dir, const struct asker *a)
{
    int n = 0;
    DIR *d = fdopendir(dup(dir));
    struct dirent *e;
    while (d && n < WSS_RUNS_MAX && (e = readdir(d))) {
        struct sockaddr_un un;
        if (!is_socket_name(e->d_name))
            continue;
        socklen_t len = wir_control_addr(dir, e->d_name, &un);
        int err = run_open(&runs[n], &un, len, a);
        if (err == 0)
            n++;
        else if (err == -ECONNREFUSED)
            unlinkat(dir, e->d_name, 0);
        else if (err != -ENOENT && err != -ECONNRESET)
            say(a, "%.*s: %s", (int)strcspn(e->d_name, "."), e->d_name, why(err));
    }
    if (d)
        closedir(d);
    return n;
}

static int by_pid(const void *a, const void *b)
{
    const struct wss_run *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

int wss_runs_open(struct wss_run **out, char *const *wanted, int wanted_n, const char *who, int wait_s)
{
    const struct asker a = {who, wait_s};
    char path[512];
    int n = 0, dir = wir_control_dir(false, path, sizeof path);
    *out = calloc(wanted_n ? (size_t)wanted_n : WSS_RUNS_MAX, sizeof **out);
    if (dir == -EPERM)
        say(&a, "%s is not a directory of yours alone", path);
    for (int i = 0; *out && i < wanted_n; i++)
        n += open_named(&(*out)[n], dir, wanted[i], &a) == 0;
    if (*out && !wanted_n && dir >= 0)
        n = open_all(*out, dir, &a);
    if (dir >= 0)
        close(dir);
    if (n > 1)
        qsort(*out, (size_t)n, sizeof **out, by_pid);
    if (n > 0)
        return n;
    if (!wanted_n && dir != -EPERM)
        say(&a, "no weir run of yours is running");
    free(*out);
    *out = NULL;
    return -ENOENT;
}

void wss_runs_close(struct wss_run *runs, int n)
{
    for (int i = 0; i < n; i++) {
        if (runs[i].fd >= 0)
            close(runs[i].fd);
    }
    free(runs);
}

/* ---- Listing ---- */

static int add(struct wss_socks *all, const struct wss_run *run, const json_t *socket)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 64;
        struct wss_sock *more = cap <= WSS_SOCKS_MAX ? realloc(all->at, cap * sizeof *more) : NULL;
        if (!more)
            return -ENOMEM;
        all->at = more;
        all->cap = cap;
    }
    if (!wir_view_read(socket, &all->at[all->n].view))
        return -EPROTO;
    all->at[all->n++].run = run->pid;
    return 0;
}

int wss_list(struct wss_run *run, const struct wss_ask *ask, struct wss_socks *all)
{
    char request[128];
    bool is_over = false;
    snprintf(request, sizeof request, "{\"ask\":\"sockets\",\"host\":\"%s\"%s,\"info\":%s}\n", ask->host,
             ask->tcp && ask->udp ? ""
             : ask->tcp           ? ",\"proto\":\"tcp\""
                                  : ",\"proto\":\"udp\"",
             ask->is_long ? "true" : "false");
    int err = send_all(run->fd, request);
    while (err == 0 && !is_over) {
        json_t *line = NULL;
        err = read_line(run, &line);
        const json_t *socket = json_object_get(line, "socket");
        is_over = json_object_get(line, "end") != NULL;
        if (err == 0 && socket)
            err = add(all, run, socket);
        else if (err == 0 && is_over)
            all->clock_ns = (uint64_t)json_integer_value(json_object_get(line, "clock_ns"));
        else if (err == 0)
            err = -EPROTO;
        json_decref(line);
    }
    return err;
}
