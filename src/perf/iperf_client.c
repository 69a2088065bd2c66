/*
 * The client: it connects, says what is to be measured, and when it is over. See iperf.h.
 */
#include "perf/iperf.h"

#include "perf/stop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ANSWER_NS  WEIR_SEC(30) /* for each of the server's answers */
#define EMPTY_NS   WEIR_SEC(60) /* for what is written to be acknowledged, where bytes are counted and not seconds */
#define EMPTY_STEP WEIR_MS(1)

struct client {
    struct wpf_iperf t;                  /* first: what is shared finds the client by it */
    struct wpf_iperf_stream *connecting; /* the stream that does; the next one waits for it, so that both ends count
                                            them in one order */
    weir_ns empty_until;                 /* 0, or all was written, and this long it may take to arrive */
    bool has_sent_results;
};

static void stream_ready(struct wpf_source *source, uint32_t events);

static const char *why(int err)
{
    return strerror(-err);
}

static void await(struct client *c)
{
    c->t.due = wpf_clock() + ANSWER_NS;
}

/* ---- Streams ---- */

static void next_stream(struct client *c)
{
    struct wpf_iperf *t = &c->t;
    if (t->stream_n == t->stream_want)
        return;
    int64_t fd = wpf_net_socket(t->net, t->server.family);
    if (fd < 0) {
        wpf_iperf_fail(t, "no socket for a stream: %s", why((int)fd));
        return;
    }
    struct wpf_iperf_stream *s = wpf_iperf_stream_new(t, fd);
    if (!s) {
        wpf_net_close(t->net, fd, NULL);
        wpf_iperf_fail(t, "out of memory");
        return;
    }
    c->connecting = s;
    s->source.ready = stream_ready;
    if (wpf_iperf_stream_options(t, fd) != WPF_IPERF_ENONE)
        return;
    int err = wpf_net_connect(t->net, fd, &t->server);
    if (err == -EINPROGRESS || err == 0)
        err = wpf_net_watch(t->net, fd, WEIR_POLLOUT, &s->source);
    if (err < 0)
        wpf_iperf_fail(t, "stream %u: %s", wpf_iperf_stream_id(t->stream_n), why(err));
}

/* The first streams are those that the client sends on, as iperf3 has it. */
static bool next_is_sender(const struct wpf_iperf *t)
{
    return t->params.is_bidir ? t->stream_n < t->params.stream_n : !t->params.is_reverse;
}

static void stream_ready(struct wpf_source *source, uint32_t events)
{
    struct wpf_iperf_stream *s = (struct wpf_iperf_stream *)source;
    struct client *c = (struct client *)s->test;
    struct wpf_iperf *t = s->test;
    (void)events;
    if (s != c->connecting) { /* connected; it waits for the test to begin */
        wpf_net_rewatch(t->net, s->fd, 0, &s->source);
        return;
    }
    int64_t n = wpf_net_error(t->net, s->fd);
    if (n == 0)
        n = wpf_net_send(t->net, s->fd, t->cookie + s->cookie_n, sizeof t->cookie - s->cookie_n, 0);
    if (n == -EAGAIN)
        return;
    if (n < 0) {
        wpf_iperf_fail(t, "stream %u: %s", wpf_iperf_stream_id(t->stream_n), why((int)n));
        return;
    }
    s->cookie_n += (size_t)n;
    if (s->cookie_n < sizeof t->cookie)
        return;
    c->connecting = NULL;
    wpf_net_rewatch(t->net, s->fd, 0, &s->source);
    wpf_iperf_stream_join(s, next_is_sender(t));
    next_stream(c);
}

/* ---- The conversation ---- */

static void send_results(struct client *c)
{
    wpf_iperf_end(&c->t); /* the server may end a test too */
    c->has_sent_results = true;
    int err = wpf_iperf_send_results(&c->t);
    if (err < 0)
        wpf_iperf_fail(&c->t, "the results could not be sent: %s", why(err));
}

static void on_state(struct client *c, enum wpf_iperf_state state)
{
    struct wpf_iperf *t = &c->t;
    int err = 0;
    t->state = state;
    await(c);
    switch (state) {
    case WPF_IPERF_PARAM_EXCHANGE:
        err = wpf_iperf_control_json(&t->control, wpf_iperf_params_format(&t->params));
        break;
    case WPF_IPERF_CREATE_STREAMS:
        if (t->stream_n == 0 && !c->connecting)
            next_stream(c);
        return;
    case WPF_IPERF_TEST_START: t->report->started(t); return;
    case WPF_IPERF_TEST_RUNNING:
        t->due = WEIR_NEVER;
        if (t->stream_n == t->stream_want && !t->was_run)
            wpf_iperf_begin(t);
        else
            wpf_iperf_fail(t, "the server began before the streams were there");
        return;
    case WPF_IPERF_EXCHANGE_RESULTS:
        if (t->was_run && !c->has_sent_results)
            send_results(c);
        return;
    case WPF_IPERF_DISPLAY_RESULTS:
        err = wpf_iperf_control_state(&t->control, WPF_IPERF_DONE);
        t->is_over = true;
        break;
    case WPF_IPERF_SERVER_TERMINATE: wpf_iperf_fail(t, "the server has terminated"); return;
    case WPF_IPERF_ACCESS_DENIED: wpf_iperf_fail(t, "the server is busy running a test. Try again later"); return;
    case WPF_IPERF_SERVER_ERROR: return; /* two numbers follow */
    case WPF_IPERF_START:
    case WPF_IPERF_TEST_END:
    case WPF_IPERF_CLIENT_TERMINATE:
    case WPF_IPERF_DONE:
    default: wpf_iperf_fail(t, "the server said %d, which is not its to say: is it an iperf3 server?", (int)state);
    }
    if (err < 0)
        wpf_iperf_fail(t, "control connection: %s", why(err));
}

static void on_server_error(struct wpf_iperf *t)
{
    const uint8_t *b = t->control.in;
    int32_t numbers[2];
    char text[64];
    for (int i = 0; i < 2; i++, b += 4)
        numbers[i] = (int32_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
    wpf_iperf_strerror(numbers[0], text, sizeof text);
    if (numbers[1])
        wpf_iperf_fail(t, "the server says: %s: %s", text, strerror(numbers[1]));
    else
        wpf_iperf_fail(t, "the server says: %s", text);
}

/* Answer one thing that came in. False: it is not all there yet. */
static bool step(struct client *c)
{
    struct wpf_iperf *t = &c->t;
    struct wpf_iperf_control *ctl = &t->control;
    if (t->is_over || ctl->in_len == 0)
        return false;
    if (t->state == WPF_IPERF_SERVER_ERROR) {
        if (ctl->in_len >= 8)
            on_server_error(t);
        return false;
    }
    if (t->state == WPF_IPERF_EXCHANGE_RESULTS && !t->has_remote)
        return wpf_iperf_take_results(t);
    enum wpf_iperf_state state = (enum wpf_iperf_state)(int8_t)ctl->in[0];
    wpf_iperf_control_eat(ctl, 1);
    on_state(c, state);
    return true;
}

static void control_ready(struct wpf_source *source, uint32_t events)
{
    struct wpf_iperf_control *ctl = (struct wpf_iperf_control *)source;
    struct client *c = (struct client *)ctl->test;
    struct wpf_iperf *t = &c->t;
    int err = 0;
    if (t->is_over)
        return;
    if (t->state == WPF_IPERF_START && !ctl->peer.port) {
        err = wpf_net_error(t->net, ctl->fd);
        if (err < 0) {
            wpf_iperf_fail(t, "unable to connect to server: %s", why(err));
            return;
        }
        wpf_net_getname(t->net, ctl->fd, true, &ctl->peer);
        t->report->connecting(t);
        err = wpf_iperf_control_send(ctl, t->cookie, sizeof t->cookie);
    } else {
        err = wpf_iperf_control_run(ctl, events);
        while (step(c))
            continue;
    }
    if (err < 0)
        wpf_iperf_fail(t, "control connection: %s", why(err));
    else if (err > 0 && !t->is_over)
        wpf_iperf_fail(t, "the server closed the control connection unexpectedly");
}

static int open_control(struct client *c)
{
    struct wpf_iperf *t = &c->t;
    int64_t fd = wpf_net_socket(t->net, t->server.family);
    int err = fd < 0 ? (int)fd : wpf_net_connect(t->net, fd, &t->server);
    if (fd >= 0 && (err == -EINPROGRESS || err == 0))
        err = wpf_iperf_control_open(&t->control, t, fd, true, control_ready);
    else if (fd >= 0)
        wpf_net_close(t->net, fd, NULL);
    if (err < 0)
        wpf_iperf_fail(t, "unable to connect to server: %s", why(err));
    return err;
}

/* ---- The end ---- */

static bool has_moved_all(const struct wpf_iperf *t)
{
    return t->limit_bytes && !t->omit_until && (t->sent >= t->limit_bytes || t->received >= t->limit_bytes);
}

/* Where bytes are counted, those on their way belong to the test. */
static bool has_arrived(struct client *c, weir_ns now)
{
    if (!c->empty_until)
        c->empty_until = now + EMPTY_NS;
    return now >= c->empty_until || wpf_iperf_streams_unsent(&c->t) == 0;
}

static void look_at_end(struct client *c, weir_ns now)
{
    struct wpf_iperf *t = &c->t;
    if (!t->is_counting)
        return;
    bool is_time_up = !t->limit_bytes && !t->omit_until && now >= t->began + WEIR_SEC(t->params.time_s);
    if (!is_time_up && !(has_moved_all(t) && has_arrived(c, now)))
        return;
    wpf_iperf_end(t);
    await(c);
    int err = wpf_iperf_control_state(&t->control, WPF_IPERF_TEST_END);
    if (err < 0)
        wpf_iperf_fail(t, "control connection: %s", why(err));
}

static weir_ns client_due(const struct client *c)
{
    const struct wpf_iperf *t = &c->t;
    weir_ns at = wpf_iperf_due(t);
    weir_ns end = t->is_counting && !t->limit_bytes ? t->began + WEIR_SEC(t->params.time_s) : WEIR_NEVER;
    if (c->empty_until && t->is_counting)
        end = wpf_clock() + EMPTY_STEP;
    return at < end ? at : end;
}

static void run(struct client *c)
{
    struct wpf_iperf *t = &c->t;
    while (!t->is_over) {
        wpf_net_turn(t->net, client_due(c));
        weir_ns now = wpf_clock();
        wpf_iperf_tick(t, now);
        look_at_end(c, now);
        if (wpf_stop_asked())
            wpf_iperf_fail(t, "interrupt - the client has terminated");
        else if (now >= t->due)
            wpf_iperf_fail(t, "the server does not answer");
    }
}

/* Say goodbye where the server does not know yet that it is over. */
static void part(struct client *c)
{
    struct wpf_iperf *t = &c->t;
    wpf_iperf_end(t);
    if (t->control.fd < 0)
        return;
    if (t->error[0] && t->control.peer.port && t->state != WPF_IPERF_ACCESS_DENIED &&
        t->state != WPF_IPERF_SERVER_ERROR && t->state != WPF_IPERF_SERVER_TERMINATE)
        wpf_iperf_control_state(&t->control, WPF_IPERF_CLIENT_TERMINATE);
    if (t->control.peer.port && wpf_net_shutdown(t->net, t->control.fd) == 0)
        wpf_net_drain(t->net, t->control.fd);
    wpf_iperf_streams_close(t);
}

int wpf_iperf_client(const struct wpf_iperf_options *opts, struct wpf_net *net)
{
    struct client c = {0};
    struct wpf_iperf *t = &c.t;
    uint8_t random[WPF_IPERF_COOKIE_LEN - 1];
    wpf_iperf_init(t, opts, net, false);
    t->params = opts->params;
    const char *wrong = wpf_net_resolve(opts->host, opts->port, &t->server);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        wrong = "no randomness";
    wpf_iperf_cookie(t->cookie, random);
    wpf_iperf_plan(t);
    if (wrong)
        wpf_iperf_fail(t, "unable to connect to server %s: %s", opts->host, wrong);
    else if (open_control(&c) == 0)
        run(&c);
    part(&c);
    if (t->was_run)
        t->report->ended(t);
    t->report->finish(t);
    if (c.connecting)
        wpf_iperf_stream_free(c.connecting);
    int status = t->error[0] != '\0';
    wpf_iperf_fini(t);
    return status;
}
