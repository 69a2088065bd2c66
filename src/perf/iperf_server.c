/*
 * The server: one test after the other, and while one goes on it turns others away. See iperf.h.
 */
#include "perf/iperf.h"

#include "perf/stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG     64
#define WAITING_MAX 256          /* connections that did not show their cookie yet */
#define SETUP_NS    WEIR_SEC(30) /* for each step of a client */
#define COOKIE_NS   WEIR_SEC(3)  /* for a cookie: others wait behind it */
#define GRACE_NS    WEIR_SEC(15) /* beyond the time that was asked for */
#define REST_NS     WEIR_SEC(2)
#define SILENCE_NS  WEIR_SEC(120) /* of a client that should send */

struct server {
    struct wpf_iperf t; /* first: what is shared finds the server by it */
    struct wpf_source listener_source;
    int64_t listener;
    struct wpf_iperf_streams waiting; /* accepted; in this order they become streams */
    unsigned waiting_n;
    weir_ns rest_until; /* 0, or the client has sent all of its bytes, and the last of them may arrive this long */
    bool has_cookie;    /* the client's */
    bool sends_error;   /* SERVER_ERROR went out already */
};

static void control_ready(struct wpf_source *source, uint32_t events);

static struct server *server_of(struct wpf_iperf *t)
{
    return (struct server *)t;
}

/* ---- Errors ---- */

/* Tell the client too, with iperf3's number and an errno. */
static void fail_both(struct server *v, enum wpf_iperf_error number, int err, const char *what)
{
    uint8_t b[8];
    struct wpf_iperf *t = &v->t;
    uint32_t values[2] = {(uint32_t)number, (uint32_t)-err};
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 4; j++)
            b[4 * i + j] = (uint8_t)(values[i] >> (24 - 8 * j));
    wpf_iperf_fail(t, "%s", what);
    if (wpf_iperf_control_state(&t->control, WPF_IPERF_SERVER_ERROR) == 0)
        wpf_iperf_control_send(&t->control, b, sizeof b);
    v->sends_error = true;
}

static void deny(struct wpf_iperf *t, int64_t fd, const struct wpf_source *source)
{
    const int8_t byte = WPF_IPERF_ACCESS_DENIED;
    wpf_net_send(t->net, fd, &byte, 1, 0);
    wpf_net_close(t->net, fd, source);
}

/* ---- Streams ---- */

static void unwait(struct server *v, struct wpf_iperf_stream *s)
{
    TAILQ_REMOVE(&v->waiting, s, link);
    v->waiting_n--;
}

static void deny_waiting(struct server *v, struct wpf_iperf_stream *s)
{
    unwait(v, s);
    deny(&v->t, s->fd, &s->source);
    s->fd = -1;
    wpf_iperf_stream_free(s);
}

static bool has_whole_cookie(const struct wpf_iperf_stream *s)
{
    return s->cookie_n == sizeof s->cookie;
}

static void begin(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    struct wpf_iperf_stream *s;
    while ((s = TAILQ_FIRST(&v->waiting)))
        deny_waiting(v, s);
    t->report->started(t);
    wpf_iperf_control_state(&t->control, WPF_IPERF_TEST_START);
    wpf_iperf_control_state(&t->control, WPF_IPERF_TEST_RUNNING);
    wpf_iperf_begin(t);
    t->due =
        t->limit_bytes ? WEIR_NEVER : t->started + WEIR_SEC(t->params.omit_s) + WEIR_SEC(t->params.time_s) + GRACE_NS;
}

/* Those at the front that have shown the cookie are streams, in the order in which the client made them. */
static void promote(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    struct wpf_iperf_stream *s;
    while (t->state == WPF_IPERF_CREATE_STREAMS && (s = TAILQ_FIRST(&v->waiting)) && has_whole_cookie(s)) {
        if (memcmp(s->cookie, t->cookie, sizeof t->cookie) != 0) {
            deny_waiting(v, s);
            continue;
        }
        unwait(v, s);
        wpf_net_rewatch(t->net, s->fd, 0, &s->source);
        /* The first are those that the client sends on. */
        bool is_sender = t->params.is_bidir ? t->stream_n >= t->params.stream_n : t->params.is_reverse;
        wpf_iperf_stream_join(s, is_sender);
        enum wpf_iperf_error number = wpf_iperf_stream_options(t, s->fd);
        if (number != WPF_IPERF_ENONE) {
            fail_both(v, number, 0, t->error);
            return;
        }
        if (t->stream_n == t->stream_want)
            begin(v);
    }
}

static void cookie_ready(struct wpf_source *source, uint32_t events)
{
    struct wpf_iperf_stream *s = (struct wpf_iperf_stream *)source;
    struct server *v = server_of(s->test);
    (void)events;
    if (has_whole_cookie(s)) { /* it stands in the queue, or is a stream that waits for the others */
        wpf_net_rewatch(s->test->net, s->fd, 0, &s->source);
        return;
    }
    int64_t n = wpf_net_recv(s->test->net, s->fd, s->cookie + s->cookie_n, sizeof s->cookie - s->cookie_n);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        unwait(v, s);
        wpf_iperf_stream_free(s);
    } else {
        s->cookie_n += (size_t)n;
    }
    promote(v);
}

static void accept_stream(struct server *v, int64_t fd)
{
    struct wpf_iperf *t = &v->t;
    struct wpf_iperf_stream *s = v->waiting_n < WAITING_MAX ? wpf_iperf_stream_new(t, fd) : NULL;
    if (!s) {
        deny(t, fd, NULL);
        return;
    }
    s->source.ready = cookie_ready;
    s->cookie_due = wpf_clock() + COOKIE_NS;
    TAILQ_INSERT_TAIL(&v->waiting, s, link);
    v->waiting_n++;
    if (wpf_net_watch(t->net, fd, WEIR_POLLIN, &s->source) < 0)
        deny_waiting(v, s);
}

/* ---- The conversation ---- */

static void await(struct server *v)
{
    v->t.due = wpf_clock() + SETUP_NS;
}

static void on_params(struct server *v, const char *json, size_t len)
{
    struct wpf_iperf *t = &v->t;
    char err[128], what[256];
    if (wpf_iperf_params_parse(&t->params, json, len, err, sizeof err) < 0) {
        snprintf(what, sizeof what, "the client's parameters make no sense: %s", err);
        fail_both(v, WPF_IPERF_ERECVPARAMS, 0, what);
        return;
    }
    if (t->params.is_udp || t->params.is_sctp) {
        fail_both(v, WPF_IPERF_EUNIMP, 0,
                  "the client asks for something other than TCP, which weir iperf does not have");
        return;
    }
    if (!t->params.time_s && !t->params.bytes && !t->params.blocks)
        t->params.time_s = 10;
    wpf_iperf_plan(t);
    /* The MSS is agreed on in the handshake, so it has to be the listener's; without -M its own again. */
    int err_mss = wpf_net_setint(t->net, v->listener, WEIR_SOL_TCP, WEIR_TCP_MAXSEG, (int)t->params.mss);
    if (err_mss < 0 && t->params.mss)
        fail_both(v, WPF_IPERF_ESETMSS, err_mss, "the MSS that the client asks for can't be");
    else if (!t->is_over && wpf_iperf_control_state(&t->control, WPF_IPERF_CREATE_STREAMS) < 0)
        wpf_iperf_fail(t, "the control connection is lost");
    await(v);
}

/* Where bytes are counted and not seconds, the client's last word may overtake the last of them. */
static bool lacks_bytes(const struct wpf_iperf *t)
{
    bool receives = !t->params.is_reverse && !t->params.is_bidir;
    return receives && t->limit_bytes && !t->omit_until && t->received < t->limit_bytes;
}

static void on_test_end(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    v->rest_until = 0;
    wpf_iperf_end(t);
    wpf_iperf_streams_close(t);
    wpf_iperf_control_state(&t->control, WPF_IPERF_EXCHANGE_RESULTS);
    await(v);
}

static void on_state(struct server *v, enum wpf_iperf_state said)
{
    struct wpf_iperf *t = &v->t;
    if (said == WPF_IPERF_CLIENT_TERMINATE) {
        wpf_iperf_fail(t, "the client has terminated");
    } else if (said == WPF_IPERF_TEST_END && t->is_counting) {
        v->rest_until = wpf_clock() + REST_NS;
    } else if (said == WPF_IPERF_DONE && t->state == WPF_IPERF_DISPLAY_RESULTS) {
        t->is_over = true;
    } else {
        wpf_iperf_fail(t, "the client said %d, which is not its to say now", (int)said);
    }
}

/* Others wait in the listener's queue until it is known whether the one who came first is a client. */
static void listen_on(struct server *v, bool is_on)
{
    wpf_net_rewatch(v->t.net, v->listener, is_on ? WEIR_POLLIN : 0, &v->listener_source);
}

/* Whoever does not show a cookie is no client, and no test ends with it. */
static void drop_stranger(struct server *v)
{
    wpf_iperf_control_close(&v->t.control);
    v->t.due = WEIR_NEVER;
    listen_on(v, true);
}

static bool take_cookie(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    if (t->control.in_len < sizeof t->cookie)
        return false;
    memcpy(t->cookie, t->control.in, sizeof t->cookie);
    if (t->cookie[sizeof t->cookie - 1] != '\0' ||
        strspn(t->cookie, "abcdefghijklmnopqrstuvwxyz0123456789") != sizeof t->cookie - 1) {
        drop_stranger(v);
        return false;
    }
    wpf_iperf_control_eat(&t->control, sizeof t->cookie);
    v->has_cookie = true;
    listen_on(v, true);
    t->report->accepted(t);
    wpf_iperf_control_state(&t->control, WPF_IPERF_PARAM_EXCHANGE);
    await(v);
    return true;
}

static bool take_params(struct server *v)
{
    const char *json = NULL;
    int64_t n = wpf_iperf_control_frame(&v->t.control, WPF_IPERF_PARAMS_MAX, &json);
    if (n < 0)
        fail_both(v, WPF_IPERF_ERECVPARAMS, 0, "the client's parameters are empty or too long");
    if (n <= 0)
        return false;
    on_params(v, json, (size_t)n);
    if (!v->t.is_over)
        wpf_iperf_control_eat(&v->t.control, (size_t)n + 4);
    return true;
}

static void take_results(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    if (wpf_iperf_send_results(t) < 0 || wpf_iperf_control_state(&t->control, WPF_IPERF_DISPLAY_RESULTS) < 0)
        wpf_iperf_fail(t, "the results could not be sent");
    await(v);
}

/* Answer one thing that came in. False: it is not all there yet, or it is over. */
static bool step(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    if (t->is_over || t->control.in_len == 0)
        return false;
    if (!v->has_cookie)
        return take_cookie(v);
    if (t->state == WPF_IPERF_PARAM_EXCHANGE && t->control.in[0] != WPF_IPERF_CLIENT_TERMINATE)
        return take_params(v);
    if (t->state == WPF_IPERF_EXCHANGE_RESULTS && t->control.in[0] != WPF_IPERF_CLIENT_TERMINATE) {
        if (!wpf_iperf_take_results(t))
            return false;
        take_results(v);
        return true;
    }
    enum wpf_iperf_state said = (enum wpf_iperf_state)(int8_t)t->control.in[0];
    wpf_iperf_control_eat(&t->control, 1);
    on_state(v, said);
    return true;
}

static void control_ready(struct wpf_source *source, uint32_t events)
{
    struct wpf_iperf_control *ctl = (struct wpf_iperf_control *)source;
    struct server *v = server_of(ctl->test);
    struct wpf_iperf *t = &v->t;
    if (t->is_over)
        return;
    int err = wpf_iperf_control_run(ctl, events);
    while (step(v))
        continue;
    if (t->is_over || err == 0 || ctl->fd < 0)
        return;
    if (!v->has_cookie) {
        drop_stranger(v);
        return;
    }
    if (err > 0 && t->state == WPF_IPERF_DISPLAY_RESULTS)
        t->is_over = true; /* a client that knows all that it wants */
    else if (err > 0)
        wpf_iperf_fail(t, "the client has unexpectedly closed the control connection");
    else
        wpf_iperf_fail(t, "control connection: %s", strerror(-err));
}

static void open_control(struct server *v, int64_t fd)
{
    struct wpf_iperf *t = &v->t;
    if (wpf_iperf_control_open(&t->control, t, fd, false, control_ready) < 0) {
        wpf_iperf_control_close(&t->control);
        return;
    }
    t->due = wpf_clock() + COOKIE_NS;
    listen_on(v, false);
}

static void listener_ready(struct wpf_source *source, uint32_t events)
{
    struct server *v = (struct server *)((char *)source - offsetof(struct server, listener_source));
    struct wpf_iperf *t = &v->t;
    (void)events;
    while (!t->is_over && (t->control.fd < 0 || v->has_cookie)) {
        int64_t fd = wpf_net_accept(t->net, v->listener);
        if (fd < 0)
            return;
        if (t->control.fd < 0)
            open_control(v, fd);
        else if (t->state == WPF_IPERF_CREATE_STREAMS)
            accept_stream(v, fd);
        else
            deny(t, fd, NULL);
    }
}

/* ---- One test, and the next ---- */

static void expire(struct server *v, weir_ns now)
{
    struct wpf_iperf *t = &v->t;
    struct wpf_iperf_stream *s;
    while ((s = TAILQ_FIRST(&v->waiting)) && s->cookie_due <= now) {
        deny_waiting(v, s);
        promote(v);
    }
    bool receives = !t->params.is_reverse || t->params.is_bidir;
    if (now >= t->due && !v->has_cookie)
        drop_stranger(v);
    else if (now >= t->due)
        wpf_iperf_fail(t, "the client does not go on");
    else if (t->is_counting && receives && now >= t->received_at + SILENCE_NS)
        wpf_iperf_fail(t, "the client has sent nothing for %u s", (unsigned)(SILENCE_NS / WEIR_SEC(1)));
}

static weir_ns server_due(const struct server *v)
{
    const struct wpf_iperf_stream *s = TAILQ_FIRST(&v->waiting);
    weir_ns at = wpf_iperf_due(&v->t);
    if (v->t.is_counting && v->t.received_at + SILENCE_NS < at)
        at = v->t.received_at + SILENCE_NS;
    if (v->rest_until && v->rest_until < at)
        at = v->rest_until;
    return s && s->cookie_due < at ? s->cookie_due : at;
}

static void run(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    while (!t->is_over) {
        wpf_net_turn(t->net, server_due(v));
        weir_ns now = wpf_clock();
        wpf_iperf_tick(t, now);
        if (!t->is_over && v->rest_until && (now >= v->rest_until || !lacks_bytes(t)))
            on_test_end(v);
        else if (!t->is_over)
            expire(v, now);
        if (wpf_stop_asked())
            wpf_iperf_fail(t, "interrupt - the server has terminated");
    }
}

static void part(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    struct wpf_iperf_stream *s;
    wpf_iperf_end(t);
    while ((s = TAILQ_FIRST(&v->waiting)))
        deny_waiting(v, s);
    if (t->control.fd < 0)
        return;
    if (t->error[0] && !v->sends_error && v->has_cookie)
        wpf_iperf_control_state(&t->control, WPF_IPERF_SERVER_TERMINATE);
    /* The client should read why before it sees its streams end. */
    if (wpf_net_shutdown(t->net, t->control.fd) == 0)
        wpf_net_drain(t->net, t->control.fd);
    wpf_iperf_streams_close(t);
}

/* True when it went well. */
static bool serve_one(struct server *v)
{
    struct wpf_iperf *t = &v->t;
    t->report->listening(t);
    listen_on(v, true);
    run(v);
    listen_on(v, false); /* the next client waits for the next test */
    part(v);
    if (t->was_run)
        t->report->ended(t);
    t->report->finish(t);
    bool is_good = !t->error[0];
    wpf_iperf_fini(t);
    return is_good;
}

int wpf_iperf_server(const struct wpf_iperf_options *opts, struct wpf_net *net)
{
    struct server v = {.listener_source = {listener_ready}};
    bool is_good = true;
    v.listener = wpf_net_listen(net, WEIR_AF_INET6, opts->port, BACKLOG);
    if (v.listener == -EAFNOSUPPORT)
        v.listener = wpf_net_listen(net, WEIR_AF_INET, opts->port, BACKLOG);
    if (v.listener < 0) {
        fprintf(stderr, "weir iperf: unable to listen at port %u: %s\n", opts->port, strerror((int)-v.listener));
        return 1;
    }
    TAILQ_INIT(&v.waiting);
    if (wpf_net_watch(net, v.listener, 0, &v.listener_source) < 0) {
        fprintf(stderr, "weir iperf: out of memory\n");
        return 1;
    }
    do {
        wpf_iperf_init(&v.t, opts, net, true);
        v.rest_until = 0;
        v.has_cookie = v.sends_error = false;
        is_good = serve_one(&v);
    } while (!opts->is_one_off && !wpf_stop_asked());
    wpf_net_close(net, v.listener, &v.listener_source);
    return !is_good;
}
