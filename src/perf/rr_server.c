/*
 * The end that answers: see rr.h.
 */
#include "perf/rr.h"

#include "perf/stop.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BACKLOG    4096
#define TURN_BYTES (256 << 10) /* of one connection before another has its turn */

struct flow {
    struct wpf_source source; /* first */
    LIST_ENTRY(flow) link;    /* server.flows, or server.controls */
    struct wpf_rr_server *server;
    int64_t fd;
    uint8_t hello_n, hello_bytes[WPF_RR_HELLO_LEN];
    struct wpf_rr_hello hello;
    uint32_t request_off;  /* bytes of the present request that are here */
    uint32_t response_off; /* bytes of its response that are sent */
    bool is_answering;
    bool waits_to_send;
    uint8_t value;
};

struct wpf_rr_server {
    struct wpf_source source; /* the listener's; first */
    const struct wpf_rr_options *opts;
    struct wpf_net *net;
    uint64_t accepted_n;
    int64_t listener;
    LIST_HEAD(flow_list, flow) flows;
    struct flow_list controls; /* a test each */
    bool had_control;
    bool is_parting; /* flows are on their way out: nothing ends them but that */
    uint8_t in[WPF_RR_PIECE], out[WPF_RR_PIECE];
};

static void flow_end(struct flow *f)
{
    struct wpf_rr_server *v = f->server;
    LIST_REMOVE(f, link);
    wpf_net_close(v->net, f->fd, &f->source);
    free(f);
}

/* Send what is left of a response. 1 when it is gone, 0 when it has to wait, or a negative errno. */
static int64_t answer(struct flow *f)
{
    struct wpf_rr_server *v = f->server;
    const struct wpf_rr_hello *h = &f->hello;
    size_t most = h->response_len < WPF_RR_PIECE ? h->response_len : WPF_RR_PIECE;
    memset(v->out, f->value, most);
    while (f->response_off < h->response_len) {
        size_t left = h->response_len - f->response_off, len = left < most ? left : most;
        /* The FIN goes with the last bytes. */
        int flags = h->kind == WPF_RR_CONNECTS && len == left ? WEIR_MSG_MORE : 0;
        int64_t n = wpf_net_send(v->net, f->fd, v->out, len, flags);
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return n;
        f->response_off += (uint32_t)n;
    }
    f->is_answering = false;
    f->response_off = f->request_off = 0;
    return 1;
}

/* What of `len` bytes belongs to the request; -EPROTO when they aren't what they should be. */
static int64_t take_request(struct flow *f, const uint8_t *buf, size_t len)
{
    size_t want = f->hello.request_len - f->request_off;
    if (len > want)
        len = want;
    if (f->request_off == 0)
        f->value = buf[0];
    if (!wpf_rr_is_all(buf, len, f->value))
        return -EPROTO;
    f->request_off += (uint32_t)len;
    f->is_answering = f->request_off == f->hello.request_len;
    return (int64_t)len;
}

static int64_t take_hello(struct flow *f, const uint8_t *buf, size_t len)
{
    static const uint8_t ready = WPF_RR_READY;
    struct wpf_rr_server *v = f->server;
    size_t want = WPF_RR_HELLO_LEN - f->hello_n;
    if (len > want)
        len = want;
    memcpy(f->hello_bytes + f->hello_n, buf, len);
    f->hello_n = (uint8_t)(f->hello_n + len);
    if (f->hello_n < WPF_RR_HELLO_LEN)
        return (int64_t)len;
    int err = wpf_rr_hello_read(&f->hello, f->hello_bytes);
    if (err < 0)
        return err;
    if (f->hello.kind == WPF_RR_CONTROL) {
        v->had_control = true;
        LIST_REMOVE(f, link);
        LIST_INSERT_HEAD(&v->controls, f, link);
        if (wpf_net_send(v->net, f->fd, &ready, 1, 0) != 1)
            return -EPROTO;
    }
    return (int64_t)len;
}

/* Answer as far as it goes. False: the flow has ended. */
static bool respond(struct flow *f)
{
    int64_t sent = answer(f);
    if (sent < 0 || (sent == 1 && f->hello.kind == WPF_RR_CONNECTS)) {
        flow_end(f);
        return false;
    }
    bool waits = sent == 0;
    if (waits != f->waits_to_send)
        wpf_net_rewatch(f->server->net, f->fd, waits ? WEIR_POLLOUT : WEIR_POLLIN, &f->source);
    f->waits_to_send = waits;
    return true;
}

/* What the flow takes of `len` bytes that were read; -EPROTO when they are none that a client would send. */
static int64_t take(struct flow *f, const uint8_t *buf, size_t len)
{
    if (f->hello_n < WPF_RR_HELLO_LEN)
        return take_hello(f, buf, len);
    if (f->hello.kind == WPF_RR_CONTROL || f->is_answering) /* nothing more to say; one request at a time */
        return -EPROTO;
    return take_request(f, buf, len);
}

/* False: the flow has ended. */
static bool work(struct flow *f, const uint8_t *buf, size_t len)
{
    while (len > 0) {
        int64_t n = take(f, buf, len);
        if (n < 0) {
            flow_end(f);
            return false;
        }
        buf += n;
        len -= (size_t)n;
        if (f->is_answering && !respond(f))
            return false;
    }
    return true;
}

static void flow_ready(struct wpf_source *source, uint32_t events)
{
    struct flow *f = (struct flow *)source;
    struct wpf_rr_server *v = f->server;
    if (v->is_parting) {
        wpf_net_rewatch(v->net, f->fd, 0, &f->source);
        return;
    }
    if ((events & WEIR_POLLOUT) && f->is_answering && !respond(f))
        return;
    for (size_t moved = 0; moved < TURN_BYTES && !f->waits_to_send;) {
        int64_t n = wpf_net_recv(v->net, f->fd, v->in, sizeof v->in);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            flow_end(f);
            return;
        }
        if (!work(f, v->in, (size_t)n) || (size_t)n < sizeof v->in)
            return;
        moved += (size_t)n;
    }
}

static void listener_ready(struct wpf_source *source, uint32_t events)
{
    struct wpf_rr_server *v = (struct wpf_rr_server *)source;
    int64_t fd;
    (void)events;
    while ((fd = wpf_net_accept(v->net, v->listener)) >= 0) {
        struct flow *f = calloc(1, sizeof *f);
        if (!f || wpf_net_watch(v->net, fd, WEIR_POLLIN, &f->source) < 0) {
            wpf_net_close(v->net, fd, NULL);
            free(f);
            continue;
        }
        f->source.ready = flow_ready;
        f->server = v;
        f->fd = fd;
        wpf_net_setint(v->net, fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1);
        LIST_INSERT_HEAD(&v->flows, f, link);
        v->accepted_n++;
    }
}

/* Those who are still connected see it end, and that before a weir stack vanishes. */
void wpf_rr_server_part(struct wpf_rr_server *v)
{
    struct flow *f, *next;
    wpf_net_close(v->net, v->listener, &v->source);
    for (f = LIST_FIRST(&v->flows); f; f = next) {
        next = LIST_NEXT(f, link);
        flow_end(f);
    }
    v->is_parting = true;
    LIST_FOREACH(f, &v->controls, link)
    {
        if (wpf_net_shutdown(v->net, f->fd) == 0)
            wpf_net_drain(v->net, f->fd);
    }
    for (f = LIST_FIRST(&v->controls); f; f = next) {
        next = LIST_NEXT(f, link);
        flow_end(f);
    }
}

struct wpf_rr_server *wpf_rr_server_new(const struct wpf_rr_options *opts, struct wpf_net *net)
{
    struct wpf_rr_server *v = calloc(1, sizeof *v);
    if (!v) {
        fprintf(stderr, "weir rr: out of memory\n");
        return NULL;
    }
    v->source.ready = listener_ready;
    v->opts = opts;
    v->net = net;
    LIST_INIT(&v->flows);
    LIST_INIT(&v->controls);
    v->listener = wpf_net_listen(net, WEIR_AF_INET6, opts->port, BACKLOG);
    if (v->listener == -EAFNOSUPPORT)
        v->listener = wpf_net_listen(net, WEIR_AF_INET, opts->port, BACKLOG);
    int64_t err = v->listener;
    if (err >= 0)
        err = wpf_net_watch(net, v->listener, WEIR_POLLIN, &v->source);
    if (err >= 0)
        return v;
    fprintf(stderr, "weir rr: unable to listen at port %u: %s\n", opts->port, strerror((int)-err));
    free(v);
    return NULL;
}

void wpf_rr_server_run(struct wpf_rr_server *v)
{
    while (!wpf_stop_asked() && !(v->opts->is_one_off && v->had_control && LIST_EMPTY(&v->controls)))
        wpf_net_turn(v->net, WEIR_NEVER);
}

uint64_t wpf_rr_server_free(struct wpf_rr_server *v)
{
    uint64_t n = v->accepted_n;
    free(v);
    return n;
}
