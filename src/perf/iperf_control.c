/* The control connection: see iperf.h. */
#include "perf/iperf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE   4096
#define IN_MAX  (WPF_IPERF_RESULTS_MAX + PIECE)
#define OUT_MAX (4u << 20)

int wpf_iperf_control_open(struct wpf_iperf_control *c, struct wpf_iperf *t, int64_t fd, bool is_connecting,
                           void (*ready)(struct wpf_source *, uint32_t events))
{
    *c = (struct wpf_iperf_control){.source = {ready}, .test = t, .fd = fd};
    wpf_net_setint(t->net, fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1);
    if (!is_connecting)
        wpf_net_getname(t->net, fd, true, &c->peer);
    return wpf_net_watch(t->net, fd, is_connecting ? WEIR_POLLOUT : WEIR_POLLIN, &c->source);
}

void wpf_iperf_control_close(struct wpf_iperf_control *c)
{
    if (c->fd >= 0)
        wpf_net_close(c->test->net, c->fd, &c->source);
    c->fd = -1;
    free(c->in);
    free(c->out);
    c->in = c->out = NULL;
    c->in_len = c->in_cap = c->out_len = c->out_cap = 0;
}

/* Room for `more` bytes behind `len`. */
static int make_room(uint8_t **buf, size_t *cap, size_t len, size_t more, size_t max)
{
    if (len + more <= *cap)
        return 0;
    if (len + more > max)
        return -EMSGSIZE;
    size_t want = 2 * (len + more);
    uint8_t *wider = realloc(*buf, want);
    if (!wider)
        return -ENOMEM;
    *buf = wider;
    *cap = want;
    return 0;
}

static int flush(struct wpf_iperf_control *c)
{
    int64_t n = c->out_len ? wpf_net_send(c->test->net, c->fd, c->out, c->out_len, 0) : 0;
    if (n < 0 && n != -EAGAIN)
        return (int)n;
    if (n > 0) {
        c->out_len -= (size_t)n;
        memmove(c->out, c->out + n, c->out_len);
    }
    return wpf_net_rewatch(c->test->net, c->fd, c->out_len ? WEIR_POLLIN | WEIR_POLLOUT : WEIR_POLLIN, &c->source);
}

int wpf_iperf_control_send(struct wpf_iperf_control *c, const void *data, size_t len)
{
    if (c->fd < 0)
        return -ENOTCONN;
    int err = make_room(&c->out, &c->out_cap, c->out_len, len, OUT_MAX);
    if (err)
        return err;
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
    return flush(c);
}

int wpf_iperf_control_state(struct wpf_iperf_control *c, enum wpf_iperf_state state)
{
    uint8_t byte = (uint8_t)state;
    c->test->state = state;
    return wpf_iperf_control_send(c, &byte, 1);
}

int wpf_iperf_control_json(struct wpf_iperf_control *c, char *json)
{
    if (!json)
        return -ENOMEM;
    size_t len = strlen(json);
    uint8_t head[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    int err = wpf_iperf_control_send(c, head, sizeof head);
    if (!err)
        err = wpf_iperf_control_send(c, json, len);
    free(json);
    return err;
}

int wpf_iperf_control_run(struct wpf_iperf_control *c, uint32_t events)
{
    int err = events & WEIR_POLLOUT ? flush(c) : 0;
    while (!err) {
        err = make_room(&c->in, &c->in_cap, c->in_len, PIECE, IN_MAX);
        if (err)
            return err;
        int64_t n = wpf_net_recv(c->test->net, c->fd, c->in + c->in_len, PIECE);
        if (n == -EAGAIN)
            return 0;
        if (n <= 0)
            return n < 0 ? (int)n : 1;
        c->in_len += (size_t)n;
    }
    return err;
}

void wpf_iperf_control_eat(struct wpf_iperf_control *c, size_t len)
{
    c->in_len -= len;
    memmove(c->in, c->in + len, c->in_len);
}

int64_t wpf_iperf_control_frame(const struct wpf_iperf_control *c, size_t max, const char **json)
{
    int64_t n = wpf_iperf_frame(c->in, c->in_len, max);
    if (n <= 0)
        return n;
    *json = (const char *)c->in + 4;
    return n - 4;
}
