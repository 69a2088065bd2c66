/*
 * The end that asks, and measures: see rr.h.
 */
#include "perf/rr.h"

#include "perf/latency.h"
#include "perf/stop.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define SETUP_NS WEIR_SEC(60) /* for all connections */
#define AT_ONCE  64

enum step { CONNECTING, IDLE, SENDING, RECEIVING, CLOSED };

struct flow {
    struct wpf_source source; /* first */
    struct client *client;
    int64_t fd;
    enum step step;
    bool has_hello; /* it goes before the next request, or is sent */
    uint8_t value;  /* of the request's bytes, another one each time */
    uint32_t out_off, in_off;
    uint32_t events; /* that are watched */
    weir_ns began;   /* the transaction that is under way */
};

struct client {
    struct wpf_source source; /* the control connection's; first */
    const struct wpf_rr_options *opts;
    struct wpf_net *net;
    struct weir_sockaddr server;
    int64_t control;
    bool is_connected, is_ready, is_running, is_over;
    char error[256];
    struct flow *flows;
    uint32_t idle_n;   /* connections that wait for the beginning */
    uint32_t begun_n;  /* of which the first transaction has begun */
    uint32_t opened_n; /* of those that are kept */
    weir_ns began, ended;
    struct rusage usage_began, usage_ended;
    struct wpf_latency latency;
    uint8_t *out; /* the hello, and behind it the request */
    uint8_t in[WPF_RR_PIECE];
};

static void flow_ready(struct wpf_source *source, uint32_t events);

static void fail(struct client *c, const char *form, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct client *c, const char *form, ...)
{
    va_list args;
    if (!c->error[0]) {
        va_start(args, form);
        vsnprintf(c->error, sizeof c->error, form, args);
        va_end(args);
    }
    c->is_over = true;
}

static bool is_kept(const struct client *c)
{
    return c->opts->test.kind == WPF_RR_REQUESTS;
}

static void watch(struct flow *f, uint32_t events)
{
    if (f->events != events)
        wpf_net_rewatch(f->client->net, f->fd, events, &f->source);
    f->events = events;
}

/* ---- A connection ---- */

static void flow_open(struct client *c, struct flow *f, weir_ns now)
{
    int64_t fd = wpf_net_socket(c->net, c->server.family);
    if (fd < 0) {
        fail(c, "no socket for a connection: %s", strerror((int)-fd));
        return;
    }
    f->source.ready = flow_ready;
    f->client = c;
    f->fd = fd;
    f->step = CONNECTING;
    f->has_hello = false;
    f->began = now;
    f->out_off = f->in_off = 0;
    f->events = WEIR_POLLOUT;
    wpf_net_setint(c->net, fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1);
    int err = wpf_net_connect(c->net, fd, &c->server);
    if (err == -EINPROGRESS || err == 0)
        err = wpf_net_watch(c->net, fd, f->events, &f->source);
    if (err < 0)
        fail(c, "unable to connect: %s", strerror(-err));
}

static void flow_close(struct flow *f)
{
    if (f->fd >= 0)
        wpf_net_close(f->client->net, f->fd, &f->source);
    f->fd = -1;
    f->step = CLOSED;
}

/* Send what is left of the request, the first one behind the hello. */
static void flow_send(struct flow *f)
{
    struct client *c = f->client;
    const struct wpf_rr_hello *h = &c->opts->test;
    size_t skip = f->has_hello ? WPF_RR_HELLO_LEN : 0, all = WPF_RR_HELLO_LEN + h->request_len;
    f->step = SENDING;
    memset(c->out + WPF_RR_HELLO_LEN, f->value, h->request_len);
    while (skip + f->out_off < all) {
        int64_t n = wpf_net_send(c->net, f->fd, c->out + skip + f->out_off, all - skip - f->out_off, 0);
        if (n == -EAGAIN) {
            watch(f, WEIR_POLLOUT);
            return;
        }
        if (n < 0) {
            fail(c, "a request could not be sent: %s", strerror((int)-n));
            return;
        }
        f->out_off += (uint32_t)n;
    }
    f->has_hello = true;
    f->step = RECEIVING;
    watch(f, WEIR_POLLIN);
}

static void flow_begin(struct flow *f, weir_ns now)
{
    f->began = now;
    f->value++;
    f->out_off = f->in_off = 0;
    flow_send(f);
}

/* A response is here as a whole, or a connection has come to its end. */
static void flow_done(struct flow *f)
{
    struct client *c = f->client;
    weir_ns now = wpf_clock();
    bool is_last = c->opts->transactions ? c->latency.n + 1 >= c->opts->transactions : now >= c->began + c->opts->time;
    if (!is_kept(c))
        flow_close(f);
    if (c->opts->transactions || !is_last)
        wpf_latency_add(&c->latency, now - f->began);
    if (is_last)
        c->is_over = true;
    else if (is_kept(c))
        flow_begin(f, now);
    else
        flow_open(c, f, now);
}

static void flow_receive(struct flow *f)
{
    struct client *c = f->client;
    uint32_t want = c->opts->test.response_len;
    for (;;) {
        int64_t n = wpf_net_recv(c->net, f->fd, c->in, sizeof c->in);
        if (n == -EAGAIN)
            return;
        if (n == 0 && !is_kept(c) && f->in_off == want) {
            flow_done(f);
            return;
        }
        if (n <= 0) {
            fail(c, "a connection ended before its response: %s", n < 0 ? strerror((int)-n) : "closed by the server");
            return;
        }
        if ((uint64_t)n > want - f->in_off || !wpf_rr_is_all(c->in, (size_t)n, f->value)) {
            fail(c, "what arrived is no response to what was asked");
            return;
        }
        f->in_off += (uint32_t)n;
        if (f->in_off == want && is_kept(c)) {
            flow_done(f);
            return;
        }
    }
}

static void flow_connected(struct flow *f)
{
    struct client *c = f->client;
    int err = wpf_net_error(c->net, f->fd);
    if (err < 0) {
        fail(c, "unable to connect: %s", strerror(-err));
    } else if (!is_kept(c)) {
        f->value++;
        flow_send(f);
    } else {
        f->step = IDLE;
        watch(f, WEIR_POLLIN);
        c->idle_n++;
    }
}

static void flow_ready(struct wpf_source *source, uint32_t events)
{
    struct flow *f = (struct flow *)source;
    (void)events;
    if (f->client->is_over)
        return;
    switch (f->step) {
    case CONNECTING: flow_connected(f); return;
    case SENDING: flow_send(f); return;
    case IDLE: fail(f->client, "the server closed a connection before its first request"); return;
    case RECEIVING: flow_receive(f); return;
    case CLOSED: return;
    }
}

/* ---- The control connection ---- */

static void control_connected(struct client *c)
{
    uint8_t hello[WPF_RR_HELLO_LEN];
    int64_t err = wpf_net_error(c->net, c->control);
    c->is_connected = err == 0;
    wpf_rr_hello_write(&(struct wpf_rr_hello){.kind = WPF_RR_CONTROL}, hello);
    if (err == 0)
        err = wpf_net_send(c->net, c->control, hello, sizeof hello, 0);
    if (err < 0)
        fail(c, "unable to connect to server: %s", strerror((int)-err));
    wpf_net_rewatch(c->net, c->control, WEIR_POLLIN, &c->source);
}

static void control_ready(struct wpf_source *source, uint32_t events)
{
    struct client *c = (struct client *)source;
    uint8_t byte = 0;
    (void)events;
    if (c->is_over)
        return;
    if (!c->is_connected) {
        control_connected(c);
        return;
    }
    int64_t n = wpf_net_recv(c->net, c->control, &byte, 1);
    if (n == -EAGAIN)
        return;
    if (n == 1 && byte == WPF_RR_READY && !c->is_ready)
        c->is_ready = true;
    else if (n == 1)
        fail(c, "the server answers with something else: is it a weir rr?");
    else
        fail(c, "the server has ended the test%s%s", n < 0 ? ": " : "", n < 0 ? strerror((int)-n) : "");
}

static void open_control(struct client *c)
{
    c->control = wpf_net_socket(c->net, c->server.family);
    int err = c->control < 0 ? (int)c->control : wpf_net_connect(c->net, c->control, &c->server);
    if (err == -EINPROGRESS || err == 0)
        err = wpf_net_watch(c->net, c->control, WEIR_POLLOUT, &c->source);
    if (err < 0)
        fail(c, "unable to connect to server: %s", strerror(-err));
}

/* ---- The test ---- */

static const char *network_of(const struct wpf_rr_options *o)
{
    return o->net.is_kernel ? "kernel" : o->net.device;
}

static void print_head(const struct client *c)
{
    const struct wpf_rr_options *o = c->opts;
    printf("%s over %s: %" PRIu32 " connection%s%s, requests of %" PRIu32 " and responses of %" PRIu32 " bytes\n",
           is_kept(c) ? "RR" : "CRR", network_of(o), o->connections, o->connections == 1 ? "" : "s",
           is_kept(c) ? "" : " at a time", o->test.request_len, o->test.response_len);
    fflush(stdout);
}

static void start(struct client *c)
{
    if (!c->opts->is_json)
        print_head(c);
    weir_ns now = wpf_clock();
    c->is_running = true;
    c->began = now;
    getrusage(RUSAGE_SELF, &c->usage_began);
}

/* The next few: all at once, the answers would be more than a device's queue holds. */
static void begin_some(struct client *c)
{
    weir_ns now = wpf_clock();
    for (unsigned i = 0; i < AT_ONCE && c->begun_n < c->opts->connections && !c->is_over; i++) {
        struct flow *f = &c->flows[c->begun_n++];
        if (is_kept(c))
            flow_begin(f, now);
        else
            flow_open(c, f, now);
    }
}

/* A few at a time: a listener's queue is only so long. */
static void open_kept(struct client *c)
{
    while (is_kept(c) && c->opened_n < c->opts->connections && c->opened_n - c->idle_n < AT_ONCE && !c->is_over)
        flow_open(c, &c->flows[c->opened_n++], 0);
}

static void run(struct client *c)
{
    weir_ns setup_until = wpf_clock() + SETUP_NS;
    while (!c->is_over) {
        weir_ns end = c->opts->transactions ? WEIR_NEVER : c->began + c->opts->time;
        bool has_begun = c->begun_n == c->opts->connections;
        wpf_net_turn(c->net, !c->is_running ? setup_until : has_begun ? end : 0);
        weir_ns now = wpf_clock();
        if (wpf_stop_asked())
            fail(c, "interrupted");
        else if (c->is_running && now >= end)
            c->is_over = true;
        else if (!c->is_running && now >= setup_until)
            fail(c, c->is_ready ? "not all connections came about" : "the server does not answer");
        else if (c->is_ready && !c->is_running)
            open_kept(c);
        if (c->is_ready && !c->is_running && !c->is_over && (!is_kept(c) || c->idle_n == c->opts->connections))
            start(c);
        if (c->is_running && !c->is_over)
            begin_some(c);
    }
    c->ended = wpf_clock();
    getrusage(RUSAGE_SELF, &c->usage_ended);
}

static void part(struct client *c)
{
    for (uint32_t i = 0; i < c->opts->connections; i++)
        if (c->flows[i].client)
            flow_close(&c->flows[i]);
    if (c->control < 0)
        return;
    if (c->is_connected && wpf_net_shutdown(c->net, c->control) == 0)
        wpf_net_drain(c->net, c->control);
    wpf_net_close(c->net, c->control, &c->source);
}

/* ---- The result ---- */

struct result {
    double seconds, per_second, user_s, system_s, cpu_us; /* cpu_us: of a transaction */
};

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct result result_of(const struct client *c)
{
    struct result r = {.seconds = (double)(c->ended - c->began) / 1e9};
    double n = (double)c->latency.n;
    r.per_second = r.seconds > 0 ? n / r.seconds : 0;
    r.user_s = seconds_of(c->usage_ended.ru_utime) - seconds_of(c->usage_began.ru_utime);
    r.system_s = seconds_of(c->usage_ended.ru_stime) - seconds_of(c->usage_began.ru_stime);
    r.cpu_us = n > 0 ? (r.user_s + r.system_s) * 1e6 / n : 0;
    return r;
}

static const struct {
    const char *name;
    double share;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

static void print_json(const struct client *c, const struct result *r)
{
    const struct wpf_rr_options *o = c->opts;
    const struct wpf_latency *l = &c->latency;
    json_t *us = json_object();
    json_object_set_new(us, "min", json_real(l->n ? (double)l->min / 1e3 : 0));
    json_object_set_new(us, "mean", json_real(wpf_latency_mean(l) / 1e3));
    for (size_t i = 0; i < QUANTILES; i++)
        json_object_set_new(us, quantiles[i].name,
                            json_real((double)wpf_latency_quantile(l, quantiles[i].share) / 1e3));
    json_object_set_new(us, "max", json_real((double)l->max / 1e3));
    json_t *root =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:f, s:o, s:{s:f, s:f, s:f}}", "test", is_kept(c) ? "rr" : "crr",
                  "network", network_of(o), "connections", (json_int_t)o->connections, "request_bytes",
                  (json_int_t)o->test.request_len, "response_bytes", (json_int_t)o->test.response_len, "seconds",
                  r->seconds, "transactions", (json_int_t)l->n, "transactions_per_second", r->per_second, "latency_us",
                  us, "cpu", "user_seconds", r->user_s, "system_seconds", r->system_s, "us_per_transaction", r->cpu_us);
    if (root && c->error[0])
        json_object_set_new(root, "error", json_string(c->error));
    if (root)
        json_dumpf(root, stdout, JSON_INDENT(4) | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(root);
}

static void print_text(const struct client *c, const struct result *r)
{
    const struct wpf_latency *l = &c->latency;
    printf("transactions  %" PRIu64 " in %.2f s, %.1f a second\n", l->n, r->seconds, r->per_second);
    printf("latency       min %.1f  mean %.1f", l->n ? (double)l->min / 1e3 : 0, wpf_latency_mean(l) / 1e3);
    for (size_t i = 0; i < QUANTILES; i++)
        printf("  %s %.1f", quantiles[i].name, (double)wpf_latency_quantile(l, quantiles[i].share) / 1e3);
    printf("  max %.1f us\n", (double)l->max / 1e3);
    printf("CPU here      %.2f s user, %.2f s system: %.2f us a transaction\n", r->user_s, r->system_s, r->cpu_us);
}

int wpf_rr_client(const struct wpf_rr_options *opts, struct wpf_net *net)
{
    struct client *c = calloc(1, sizeof *c);
    struct flow *flows = calloc(opts->connections, sizeof *flows);
    uint8_t *out = calloc(1, WPF_RR_HELLO_LEN + (size_t)opts->test.request_len);
    int status = 1;
    if (!c || !flows || !out) {
        fprintf(stderr, "weir rr: out of memory\n");
        goto done;
    }
    c->source.ready = control_ready;
    c->opts = opts;
    c->net = net;
    c->control = -1;
    c->flows = flows;
    c->out = out;
    wpf_latency_init(&c->latency);
    wpf_rr_hello_write(&opts->test, out);
    const char *wrong = wpf_net_resolve(opts->host, opts->port, &c->server);
    if (wrong)
        fail(c, "unable to connect to server %s: %s", opts->host, wrong);
    else
        open_control(c);
    run(c);
    part(c);
    struct result r = result_of(c);
    if (opts->is_json)
        print_json(c, &r);
    else if (c->is_running)
        print_text(c, &r);
    if (c->error[0])
        fprintf(stderr, "weir rr: %s\n", c->error);
    status = c->error[0] != '\0';
done:
    free(out);
    free(flows);
    free(c);
    return status;
}
