/*
 * The streams: sockets that are kept full, or emptied. See iperf.h.
 */
#include "perf/iperf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REST_BYTES (64 << 20)  /* as much as waits in a buffer, when a test ends */
#define TURN_BYTES (256 << 10) /* a stream's in one turn, so that acknowledgements and other streams get theirs */

/* ---- Options ---- */

static enum wpf_iperf_error refuse(struct wpf_iperf *t, enum wpf_iperf_error number, const char *what, int err)
{
    wpf_iperf_fail(t, "%s: %s", what, strerror(-err));
    return number;
}

static int set_buffers(struct wpf_iperf *t, int64_t fd, int bytes)
{
    int err = wpf_net_setint(t->net, fd, WEIR_SOL_SOCKET, WEIR_SO_SNDBUF, bytes);
    return err < 0 ? err : wpf_net_setint(t->net, fd, WEIR_SOL_SOCKET, WEIR_SO_RCVBUF, bytes);
}

static int set_tos(struct wpf_iperf *t, int64_t fd, int tos)
{
    int err = wpf_net_setint(t->net, fd, WEIR_SOL_IP, WEIR_IP_TOS, tos);
    return wpf_net_setint(t->net, fd, WEIR_SOL_IPV6, WEIR_IPV6_TCLASS, tos) < 0 ? err : 0;
}

enum wpf_iperf_error wpf_iperf_stream_options(struct wpf_iperf *t, int64_t fd)
{
    const struct wpf_iperf_params *p = &t->params;
    uint64_t pacing = p->pacing_bps / 8;
    int err = 0;
    if (p->is_nodelay && (err = wpf_net_setint(t->net, fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1)) < 0)
        return refuse(t, WPF_IPERF_ESETNODELAY, "TCP_NODELAY can't be set", err);
    if (p->mss && (err = wpf_net_setint(t->net, fd, WEIR_SOL_TCP, WEIR_TCP_MAXSEG, (int)p->mss)) < 0)
        return refuse(t, WPF_IPERF_ESETMSS, "the MSS can't be set", err);
    if (p->window_bytes && (err = set_buffers(t, fd, (int)p->window_bytes)) < 0)
        return refuse(t, WPF_IPERF_ESETBUF, "the socket buffers' size can't be set", err);
    if (p->tos && (err = set_tos(t, fd, (int)p->tos)) < 0)
        return refuse(t, WPF_IPERF_ESETTOS, "the TOS byte can't be set", err);
    if (pacing)
        err = wpf_net_setsockopt(t->net, fd, WEIR_SOL_SOCKET, WEIR_SO_MAX_PACING_RATE, &pacing, sizeof pacing);
    if (err < 0)
        return refuse(t, WPF_IPERF_EUNIMP, "the pacing rate can't be set", err);
    if (p->cc[0])
        err = wpf_net_setsockopt(t->net, fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, p->cc, (uint32_t)strlen(p->cc));
    if (err == -ENOENT)
        wpf_iperf_fail(t, "there is no congestion control %s here", p->cc);
    return err < 0 ? refuse(t, WPF_IPERF_ESETCONGESTION, "the congestion control can't be set", err) : WPF_IPERF_ENONE;
}

/* ---- A stream's life ---- */

struct wpf_iperf_stream *wpf_iperf_stream_new(struct wpf_iperf *t, int64_t fd)
{
    struct wpf_iperf_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->test = t;
    s->fd = fd;
    s->min_rtt = UINT32_MAX;
    return s;
}

static void close_stream(struct wpf_iperf_stream *s)
{
    if (s->fd >= 0) {
        wpf_iperf_stream_look(s);
        wpf_net_close(s->test->net, s->fd, &s->source);
    }
    s->fd = -1;
}

void wpf_iperf_stream_free(struct wpf_iperf_stream *s)
{
    close_stream(s);
    free(s);
}

void wpf_iperf_stream_look(struct wpf_iperf_stream *s)
{
    struct weir_tcp_info now;
    if (s->fd < 0 || wpf_net_tcp_info(s->test->net, s->fd, &now) < 0 || !now.snd_mss)
        return;
    s->tcp = now;
    s->retransmits = now.total_retrans;
}

void wpf_iperf_stream_join(struct wpf_iperf_stream *s, bool is_sender)
{
    struct wpf_iperf *t = s->test;
    s->is_sender = is_sender;
    s->id = wpf_iperf_stream_id(t->stream_n++);
    wpf_net_getname(t->net, s->fd, false, &s->local);
    wpf_net_getname(t->net, s->fd, true, &s->peer);
    TAILQ_INSERT_TAIL(&t->streams, s, link);
}

/* ---- Moving bytes ---- */

_Static_assert(WPF_IPERF_BLOCK_MAX <= WPF_FIXED_MAX, "a block is sent at once");

/* The connection has ended. Once no more is counted that is as it should be: the server closes first. */
static void lose(struct wpf_iperf_stream *s, int64_t err)
{
    if (s->test->is_counting && err < 0)
        wpf_iperf_fail(s->test, "stream %u: %s", s->id, strerror((int)-err));
    close_stream(s);
}

static void count(struct wpf_iperf_stream *s, uint64_t n)
{
    s->all_bytes += n;
    if (!s->test->is_counting)
        return;
    s->bytes += n;
    s->interval_bytes += n;
}

/* When a stream of limited rate may send again: at the average, it is where its bytes are due. */
static weir_ns allowed_at(const struct wpf_iperf_stream *s)
{
    double seconds = (double)s->all_bytes * 8 / (double)s->test->params.rate_bps;
    return s->test->started + (weir_ns)(seconds * 1e9);
}

static void park(struct wpf_iperf_stream *s)
{
    s->is_parked = true;
    wpf_net_rewatch(s->test->net, s->fd, 0, &s->source);
}

static size_t may_send(const struct wpf_iperf_stream *s)
{
    const struct wpf_iperf *t = s->test;
    size_t len = t->params.block_len;
    if (!t->is_counting)
        return 0;
    if (t->params.rate_bps && allowed_at(s) > wpf_clock())
        return 0;
    if (t->limit_bytes && !t->omit_until && t->limit_bytes - t->sent < len)
        len = (size_t)(t->limit_bytes - t->sent);
    return len;
}

static void send_ready(struct wpf_source *source, uint32_t events)
{
    struct wpf_iperf_stream *s = (struct wpf_iperf_stream *)source;
    struct wpf_iperf *t = s->test;
    for (uint64_t moved = 0; moved < TURN_BYTES;) {
        size_t len = may_send(s);
        if (len == 0 && (events & (WEIR_POLLERR | WEIR_POLLHUP))) {
            lose(s, wpf_net_error(t->net, s->fd));
            return;
        }
        if (len == 0) {
            park(s);
            return;
        }
        int64_t n = t->params.is_zerocopy ? wpf_net_send_fixed(t->net, s->fd, len)
                                          : wpf_net_send(t->net, s->fd, t->block, len, 0);
        if (n == -EAGAIN)
            return;
        if (n < 0) {
            lose(s, n);
            return;
        }
        count(s, (uint64_t)n);
        t->sent += (uint64_t)n;
        moved += (uint64_t)n;
        if ((size_t)n < len)
            return;
    }
}

/* Read up to `most` bytes. False: nothing is left now, or ever. */
static bool receive(struct wpf_iperf_stream *s, int64_t most)
{
    struct wpf_iperf *t = s->test;
    int64_t n = 0, len = (int64_t)t->params.block_len;
    for (int64_t moved = 0; moved < most; moved += n) {
        n = wpf_net_discard(t->net, s->fd, t->block, (size_t)len);
        if (n == -EAGAIN)
            return false;
        if (n <= 0) {
            lose(s, n);
            return false;
        }
        count(s, (uint64_t)n);
        if (t->is_counting)
            t->received += (uint64_t)n;
        if (n != len)
            return false;
    }
    return true;
}

static void receive_ready(struct wpf_source *source, uint32_t events)
{
    struct wpf_iperf_stream *s = (struct wpf_iperf_stream *)source;
    (void)events;
    receive(s, TURN_BYTES);
    s->test->received_at = wpf_clock();
}

void wpf_iperf_streams_start(struct wpf_iperf *t)
{
    struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        s->source.ready = s->is_sender ? send_ready : receive_ready;
        wpf_net_rewatch(t->net, s->fd, s->is_sender ? WEIR_POLLOUT : WEIR_POLLIN, &s->source);
    }
}

static bool is_waiting(const struct wpf_iperf_stream *s)
{
    return s->is_parked && s->fd >= 0 && s->test->params.rate_bps;
}

void wpf_iperf_streams_pace(struct wpf_iperf *t, weir_ns now)
{
    struct wpf_iperf_stream *s;
    if (!t->params.rate_bps || !t->is_counting)
        return;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (!is_waiting(s) || allowed_at(s) > now)
            continue;
        s->is_parked = false;
        wpf_net_rewatch(t->net, s->fd, WEIR_POLLOUT, &s->source);
    }
}

weir_ns wpf_iperf_streams_due(const struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    weir_ns at = WEIR_NEVER;
    if (!t->params.rate_bps || !t->is_counting)
        return at;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (is_waiting(s) && allowed_at(s) < at)
            at = allowed_at(s);
    }
    return at;
}

void wpf_iperf_streams_stop(struct wpf_iperf *t)
{
    struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (s->fd < 0)
            continue;
        if (!s->is_sender)
            receive(s, REST_BYTES);
        else if (!s->is_parked)
            park(s);
    }
    t->is_counting = false;
}

int wpf_iperf_streams_unsent(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    int64_t all = 0;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (s->is_sender && s->fd >= 0)
            all += wpf_net_unsent(t->net, s->fd);
    }
    return all > INT32_MAX ? INT32_MAX : (int)all;
}

void wpf_iperf_streams_close(struct wpf_iperf *t)
{
    struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link) close_stream(s);
}
