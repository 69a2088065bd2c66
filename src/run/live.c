/*
 * The page of --live: a small HTTP server of two resources, / and /events below a path that nobody can guess, so that
 * neither other users of this machine nor web pages in the same browser can look. The Host field must name loopback: a
 * page whose name was made to lead here (DNS rebinding) has another one.
 *
 * /events is a stream of server-sent events. An event is what happened since the last one (trace/report_live.c), and
 * its id says how far that is, so a browser that comes back goes on there. A client has one event under way at most:
 * who reads slowly gets larger ones, less often. There are CLIENTS_MAX clients; of more, the one that was silent for
 * longest goes. What is kept of the past is bounded (wir_watch).
 */
#include "run/live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/http.h"
#include "run/run.h"
#include "run/watch.h"
#include "trace/report.h"

#define CLIENTS_MAX    8
#define LISTEN_BACKLOG 64
#define TICK_NS        250000000L /* between events, while somebody looks */
#define ROWS_MAX       8000u      /* of an event */
#define LEDGERS_MAX    500u       /* connections of a host whose ledger is asked for, each time */
#define LAST_MS        1000       /* for clients to take what happened last */
#define TOKEN_CAP      33

struct client {
    LIST_ENTRY(client) link;
    struct wir_os_source source;
    struct wir_live *live;
    int fd;
    uint32_t events;
    weir_ns heard_at;
    bool is_stream; /* of /events: not closed when all is sent */
    bool is_told;   /* of the end */
    struct wtr_report_place at;
    size_t in_n;
    char in[WIR_HTTP_HEAD_MAX];
    char *out; /* malloc'ed; what is to be sent before `body` */
    size_t out_at, out_n;
    const char *body; /* the page, which all share; or NULL */
    size_t body_at, body_n;
};

LIST_HEAD(live_client_list, client);

struct wir_live {
    struct wir_run *run;
    struct wir_os_source source, tick_source;
    int fd, tick_fd;
    bool is_ticking;
    struct weir_sock_cursor asked[2]; /* by side: whose ledgers come next */
    uint16_t port;
    char token[TOKEN_CAP];
    char *page;
    size_t page_len;
    char last[96]; /* how the program ended; "" before */
    struct live_client_list clients;
    unsigned client_n;
};

/* ---- Clients ---- */

static void client_free(struct client *c)
{
    close(c->fd);
    free(c->out);
    c->source.ready = NULL;
    LIST_REMOVE(c, link);
    c->live->client_n--;
    wir_loop_bury(c->live->run, c);
}

static bool has_output(const struct client *c)
{
    return c->out_at < c->out_n || c->body_at < c->body_n;
}

static ssize_t send_some(const struct client *c, const char *bytes, size_t len)
{
    return send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* False: nobody is there any more. */
static bool flush(struct client *c)
{
    while (has_output(c)) {
        bool is_out = c->out_at < c->out_n;
        ssize_t n = is_out ? send_some(c, c->out + c->out_at, c->out_n - c->out_at)
                           : send_some(c, c->body + c->body_at, c->body_n - c->body_at);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        *(is_out ? &c->out_at : &c->body_at) += (size_t)n;
        c->heard_at = c->live->run->now;
    }
    free(c->out);
    c->out = NULL;
    c->out_at = c->out_n = 0;
    return true;
}

static void watch(struct client *c)
{
    uint32_t events = has_output(c) ? EPOLLOUT : EPOLLIN;
    struct epoll_event ev = {.events = events, .data.ptr = &c->source};
    if (events != c->events)
        epoll_ctl(c->live->run->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
    c->events = events;
}

/* ---- What is told ---- */

/* Ledgers of connections that live: their events come when they end. Where there are many they have their turns. */
static void ask_ledgers(struct wir_live *l, struct wir_host *host, enum wio_side side)
{
    struct weir_sock_cursor *at = &l->asked[side];
    struct weir_sock_info info;
    struct weir_tcp_info tcp;
    at->protocol = WEIR_IPPROTO_TCP;
    for (unsigned n = 0; n < LEDGERS_MAX; n++) {
        if (!weir_sock_next(host->stack, at, &info, &tcp)) {
            *at = (struct weir_sock_cursor){0};
            return;
        }
        if (info.has_tcp_info)
            wir_watch_ledger(l->run->watch, side, info.id, &tcp.ledger);
    }
}

/* An event of what happened since the client's last one, and, when all has ended, one that says so. */
static void tell(struct client *c)
{
    FILE *out = open_memstream(&c->out, &c->out_n);
    if (!out)
        return;
    struct wtr_report *report = wir_watch_shown(c->live->run->watch);
    bool is_news = wtr_report_has_news(report, &c->at), is_good = true;
    if (is_news) {
        fputs("data: ", out);
        is_good = wtr_report_chunk(report, &c->at, ROWS_MAX, out);
        fprintf(out, "\nid: %" PRIu64 ".%" PRIu64 ".%" PRIu32 "\n\n", c->at.row, c->at.stamp, c->at.text);
    }
    if (c->live->last[0] && !c->is_told && !wtr_report_is_behind(report, &c->at, 0)) {
        fprintf(out, "event: end\ndata: %s\n\n", c->live->last);
        c->is_told = is_news = true;
    }
    if (fclose(out) != 0 || !is_news || !is_good) {
        free(c->out);
        c->out = NULL;
        c->out_n = 0;
    }
    c->out_at = 0;
}

static void tell_if_idle(struct client *c)
{
    if (!c->is_stream || has_output(c))
        return;
    tell(c);
    if (flush(c))
        watch(c);
    else
        client_free(c);
}

static void set_tick(struct wir_live *l, bool on)
{
    struct itimerspec it = {.it_interval.tv_nsec = on ? TICK_NS : 0, .it_value.tv_nsec = on ? TICK_NS : 0};
    if (on != l->is_ticking)
        timerfd_settime(l->tick_fd, 0, &it, NULL);
    l->is_ticking = on;
}

static void tick_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_live *l = (struct wir_live *)((char *)source - offsetof(struct wir_live, tick_source));
    struct client *c, *next;
    uint64_t times;
    bool is_anybody = false;
    (void)events;

    if (read(l->tick_fd, &times, sizeof times) < 0)
        return;
    LIST_FOREACH(c, &l->clients, link) is_anybody |= c->is_stream;
    if (is_anybody) {
        ask_ledgers(l, &l->run->prog, WIO_NEAR);
        ask_ledgers(l, &l->run->gate, WIO_FAR);
    }
    for (c = LIST_FIRST(&l->clients); c; c = next) {
        next = LIST_NEXT(c, link);
        tell_if_idle(c);
    }
    set_tick(l, is_anybody);
}

/* ---- Requests ---- */

#define COMMON                                                                                                         \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"                   \
    "X-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n"

static void answer(struct client *c, const char *status, const char *fields, const char *body, size_t body_n)
{
    int n = asprintf(&c->out, "HTTP/1.1 %s\r\n" COMMON "%s\r\n", status, fields);
    c->out_n = n > 0 ? (size_t)n : 0;
    c->out_at = c->body_at = 0;
    c->body = body;
    c->body_n = body_n;
}

static void refuse(struct client *c, const char *status)
{
    answer(c, status, "Content-Length: 0\r\nConnection: close\r\n", NULL, 0);
}

static void answer_page(struct client *c)
{
    char fields[256];
    snprintf(fields, sizeof fields,
             "Content-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n"
             "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
             "img-src data:; connect-src 'self'\r\n",
             c->live->page_len);
    answer(c, "200 OK", fields, c->live->page, c->live->page_len);
}

/* Where a client that comes back had come to. Anything else begins anew. */
static struct wtr_report_place place_of(const char *id)
{
    struct wtr_report_place at = {.is_begun = true};
    int len = -1;
    if (sscanf(id, "%20" SCNu64 ".%20" SCNu64 ".%10" SCNu32 "%n", &at.row, &at.stamp, &at.text, &len) == 3 &&
        len == (int)strlen(id))
        return at;
    return (struct wtr_report_place){0};
}

static void answer_events(struct client *c, const struct wir_http_request *req)
{
    answer(c, "200 OK", "Content-Type: text/event-stream\r\nConnection: close\r\n", NULL, 0);
    static const char retry[] = "retry: 1000\n\n";
    c->body = retry;
    c->body_n = sizeof retry - 1;
    c->is_stream = true;
    c->at = place_of(req->last_event_id);
    set_tick(c->live, true);
}

/* By the name that only we have. */
static bool is_host_ours(const struct wir_live *l, const char *host)
{
    char name[2][32];
    snprintf(name[0], sizeof name[0], "127.0.0.1:%u", l->port);
    snprintf(name[1], sizeof name[1], "localhost:%u", l->port);
    return strcmp(host, name[0]) == 0 || strcmp(host, name[1]) == 0;
}

static bool is_from_elsewhere(const struct wir_http_request *req)
{
    return *req->origin && strncmp(req->origin, "http://", 7) == 0 && strcmp(req->origin + 7, req->host) != 0;
}

static void take_request(struct client *c)
{
    struct wir_http_request req;
    char *rest, token[TOKEN_CAP] = "";
    int is_whole = wir_http_parse(c->in, c->in_n, &req);
    if (is_whole == 0)
        return;
    if (is_whole < 0) {
        refuse(c, "400 Bad Request");
        return;
    }
    rest = strchr(req.path + 1, '/');
    if (rest && (size_t)(rest - req.path - 1) < sizeof token)
        memcpy(token, req.path + 1, (size_t)(rest - req.path - 1));
    bool is_page = rest && strcmp(rest, "/") == 0, is_events = rest && strcmp(rest, "/events") == 0;
    if (!is_host_ours(c->live, req.host) || is_from_elsewhere(&req))
        refuse(c, "403 Forbidden");
    else if (!wir_http_same_secret(token, c->live->token) || !(is_page || is_events))
        refuse(c, "404 Not Found");
    else if (strcmp(req.method, "GET") != 0)
        refuse(c, "405 Method Not Allowed");
    else if (is_page)
        answer_page(c);
    else
        answer_events(c, &req);
}

/* False: it has gone. What a client says after its request is nothing to us. */
static bool read_in(struct client *c)
{
    char nothing[512];
    bool is_done = c->is_stream || c->in_n == sizeof c->in;
    ssize_t n = is_done ? recv(c->fd, nothing, sizeof nothing, MSG_DONTWAIT)
                        : recv(c->fd, c->in + c->in_n, sizeof c->in - c->in_n, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    c->in_n += is_done ? 0 : (size_t)n;
    if (!is_done)
        take_request(c);
    return true;
}

static void client_ready(struct wir_os_source *source, uint32_t events)
{
    struct client *c = (struct client *)((char *)source - offsetof(struct client, source));
    bool is_there = !(events & EPOLLERR);
    if (is_there && !has_output(c) && events & (EPOLLIN | EPOLLHUP))
        is_there = read_in(c);
    bool had_output = has_output(c);
    is_there = is_there && flush(c);
    if (!is_there || (had_output && !has_output(c) && !c->is_stream)) {
        client_free(c);
        return;
    }
    if (had_output && !has_output(c) &&
        wtr_report_is_behind(wir_watch_shown(c->live->run->watch), &c->at, ROWS_MAX / 2)) {
        tell_if_idle(c);
        return;
    }
    watch(c);
}

static void live_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_live *l = (struct wir_live *)((char *)source - offsetof(struct wir_live, source));
    struct client *c, *oldest = NULL;
    (void)events;
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    LIST_FOREACH(c, &l->clients, link)
    {
        if (!oldest || c->heard_at < oldest->heard_at)
            oldest = c;
    }
    if (oldest && l->client_n >= CLIENTS_MAX)
        client_free(oldest);
    c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->live = l;
    c->fd = fd;
    c->heard_at = l->run->now;
    c->source.ready = client_ready;
    c->events = EPOLLIN;
    LIST_INSERT_HEAD(&l->clients, c, link);
    l->client_n++;
    if (wir_loop_watch(l->run, fd, EPOLLIN, &c->source) < 0)
        client_free(c);
}

/* ---- Beginning and end ---- */

static int listen_at(struct wir_live *l, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof at;
    int one = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    l->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->fd < 0 || l->tick_fd < 0)
        return -errno;
    setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(l->fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(l->fd, LISTEN_BACKLOG) < 0 ||
        getsockname(l->fd, (struct sockaddr *)&at, &len) < 0)
        return -errno;
    l->port = ntohs(at.sin_port);
    int err = wir_loop_watch(l->run, l->fd, EPOLLIN, &l->source);
    return err ? err : wir_loop_watch(l->run, l->tick_fd, EPOLLIN, &l->tick_source);
}

static int make_token(char *token)
{
    uint8_t secret[(TOKEN_CAP - 1) / 2];
    if (getrandom(secret, sizeof secret, 0) != sizeof secret)
        return -EIO;
    for (size_t i = 0; i < sizeof secret; i++)
        snprintf(token + 2 * i, 3, "%02x", secret[i]);
    return 0;
}

int wir_live_start(struct wir_run *r)
{
    if (!r->opts->wants_live)
        return 0;
    struct wir_live *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    r->live = l;
    l->run = r;
    l->fd = l->tick_fd = -1;
    LIST_INIT(&l->clients);
    l->source.ready = live_ready;
    l->tick_source.ready = tick_ready;
    l->page = wtr_report_live_page(wir_watch_title(r->watch), &l->page_len);
    int err = l->page ? make_token(l->token) : -ENOMEM;
    if (err == 0)
        err = listen_at(l, r->opts->live_port);
    if (err < 0)
        fprintf(stderr, "weir run: --live: port %u: %s\n", r->opts->live_port, strerror(-err));
    else
        fprintf(stderr, "weir run: http://127.0.0.1:%u/%s/ shows it live\n", l->port, l->token);
    return err;
}

static void say_how_it_ended(struct wir_live *l)
{
    const struct wir_run *r = l->run;
    if (r->program_ended && WIFSIGNALED(r->wait_status))
        snprintf(l->last, sizeof l->last, "The program was ended by %s.", strsignal(WTERMSIG(r->wait_status)));
    else if (r->program_ended)
        snprintf(l->last, sizeof l->last, "The program has ended, exit status %d.", WEXITSTATUS(r->wait_status));
    else
        snprintf(l->last, sizeof l->last, "The run has ended.");
}

/* Wait until those that listen have taken all, or time is up. */
static void tell_the_end(struct wir_live *l)
{
    struct client *c, *next;
    weir_ns until = wir_clock() + WEIR_MS(LAST_MS);
    for (weir_ns now; (now = wir_clock()) < until;) {
        struct pollfd fds[CLIENTS_MAX];
        nfds_t n = 0;
        for (c = LIST_FIRST(&l->clients); c; c = next) {
            next = LIST_NEXT(c, link);
            if (!has_output(c) && (!c->is_stream || c->is_told)) {
                client_free(c);
                continue;
            }
            if (!has_output(c))
                tell(c);
            if (!flush(c))
                client_free(c);
            else if (has_output(c))
                fds[n++] = (struct pollfd){.fd = c->fd, .events = POLLOUT};
        }
        if (LIST_EMPTY(&l->clients))
            return;
        if (n)
            poll(fds, n, (int)((until - now) / WEIR_MS(1)) + 1);
    }
}

void wir_live_stop(struct wir_run *r)
{
    struct wir_live *l = r->live;
    struct client *c;
    if (!l)
        return;
    say_how_it_ended(l);
    tell_the_end(l);
    while ((c = LIST_FIRST(&l->clients)))
        client_free(c);
    if (l->fd >= 0)
        close(l->fd);
    if (l->tick_fd >= 0)
        close(l->tick_fd);
    free(l->page);
    free(l);
    r->live = NULL;
}
