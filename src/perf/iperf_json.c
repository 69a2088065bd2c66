/*
 * The report as JSON, in iperf3's structure: start, intervals, end, error. One object, printed when the test is over.
 */
#include "perf/iperf.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static void put(json_t *o, const char *name, json_t *value)
{
    json_object_set_new(o, name, value);
}

static void put_count(json_t *o, const char *name, uint64_t v)
{
    put(o, name, json_integer((json_int_t)v));
}

static void put_address(json_t *o, const char *host, const char *port, const struct weir_sockaddr *a)
{
    char text[WEIR_ADDR_TEXT_CAP];
    put(o, host, json_string(weir_addr_format(&a->addr, text, sizeof text)));
    put_count(o, port, a->port);
}

/* ---- start ---- */

static void put_timestamp(json_t *o)
{
    time_t now = time(NULL);
    char text[64];
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    json_t *stamp = json_object();
    put(stamp, "time", json_string(text));
    put(stamp, "timesecs", json_integer(now));
    put(o, "timestamp", stamp);
}

static void json_listening(struct wpf_iperf *t)
{
    struct utsname u = {0};
    char text[sizeof u];
    uname(&u);
    snprintf(text, sizeof text, "%s %s %s %s", u.sysname, u.nodename, u.release, u.machine);
    t->json_start = json_object();
    t->json_intervals = json_array();
    t->json_end = json_object();
    put(t->json_start, "connected", json_array());
    put(t->json_start, "version", json_string("weir " WEIR_VERSION));
    put(t->json_start, "system_info", json_string(text));
}

static void json_connecting(struct wpf_iperf *t)
{
    json_t *to = json_object();
    json_listening(t);
    put_timestamp(t->json_start);
    put(to, "host", json_string(t->opts->host));
    put_count(to, "port", t->opts->port);
    put(t->json_start, "connecting_to", to);
}

static void json_accepted(struct wpf_iperf *t)
{
    json_t *from = json_object();
    put_timestamp(t->json_start);
    put_address(from, "host", "port", &t->control.peer);
    put(t->json_start, "accepted_connection", from);
}

static json_t *test_start(const struct wpf_iperf *t)
{
    const struct wpf_iperf_params *p = &t->params;
    json_t *o = json_object();
    put(o, "protocol", json_string("TCP"));
    put_count(o, "num_streams", p->stream_n);
    put_count(o, "blksize", p->block_len);
    put_count(o, "omit", p->omit_s);
    put_count(o, "duration", p->time_s);
    put_count(o, "bytes", p->bytes);
    put_count(o, "blocks", p->blocks);
    put_count(o, "reverse", p->is_reverse);
    put_count(o, "tos", p->tos);
    put_count(o, "target_bitrate", p->rate_bps);
    put_count(o, "bidir", p->is_bidir);
    put_count(o, "fqrate", p->pacing_bps);
    return o;
}

static uint32_t buffer_size(const struct wpf_iperf *t, int64_t fd, int name)
{
    int v = 0;
    uint32_t len = sizeof v;
    return wpf_net_getsockopt(t->net, fd, WEIR_SOL_SOCKET, name, &v, &len) < 0 ? 0 : (uint32_t)v;
}

static void json_started(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s, *first = TAILQ_FIRST(&t->streams);
    json_t *connected = json_object_get(t->json_start, "connected");
    TAILQ_FOREACH(s, &t->streams, link)
    {
        json_t *o = json_object();
        put_count(o, "socket", s->id);
        put_address(o, "local_host", "local_port", &s->local);
        put_address(o, "remote_host", "remote_port", &s->peer);
        json_array_append_new(connected, o);
    }
    put(t->json_start, "cookie", json_string(t->cookie));
    put_count(t->json_start, t->params.mss ? "tcp_mss" : "tcp_mss_default",
              t->params.mss ? t->params.mss : first->tcp.snd_mss);
    put_count(t->json_start, "target_bitrate", t->params.rate_bps);
    put_count(t->json_start, "sock_bufsize", t->params.window_bytes);
    put_count(t->json_start, "sndbuf_actual", buffer_size(t, first->fd, WEIR_SO_SNDBUF));
    put_count(t->json_start, "rcvbuf_actual", buffer_size(t, first->fd, WEIR_SO_RCVBUF));
    put(t->json_start, "test_start", test_start(t));
}

/* ---- Counts ---- */

static json_t *span(double start, double end, uint64_t bytes)
{
    json_t *o = json_object();
    double seconds = end - start;
    put(o, "start", json_real(start));
    put(o, "end", json_real(end));
    put(o, "seconds", json_real(seconds));
    put_count(o, "bytes", bytes);
    put(o, "bits_per_second", json_real(seconds > 0 ? (double)bytes * 8 / seconds : 0));
    return o;
}

/* iperf3's "sender" says of a sum or a stream whether this end sends. */
static void put_roles(json_t *o, bool is_omitted, bool is_sender)
{
    put(o, "omitted", json_boolean(is_omitted));
    put(o, "sender", json_boolean(is_sender));
}

static json_t *stream_interval(const struct wpf_iperf_stream *s)
{
    json_t *o = span(s->interval.start, s->interval.end, s->interval.bytes);
    put_count(o, "socket", s->id);
    if (s->is_sender) {
        put(o, "retransmits", json_integer(s->interval.retransmits));
        put_count(o, "snd_cwnd", (uint64_t)s->tcp.snd_cwnd * s->tcp.snd_mss);
        put_count(o, "snd_wnd", s->tcp.snd_wnd);
        put_count(o, "rtt", s->tcp.rtt);
        put_count(o, "rttvar", s->tcp.rttvar);
        put_count(o, "pmtu", s->tcp.pmtu);
    }
    put_roles(o, s->interval.is_omitted, s->is_sender);
    return o;
}

static void put_interval_sum(const struct wpf_iperf *t, json_t *o, const char *name, bool is_sender)
{
    const struct wpf_iperf_stream *s, *last = NULL;
    uint64_t bytes = 0;
    int64_t retransmits = 0;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (s->is_sender != is_sender)
            continue;
        bytes += s->interval.bytes;
        retransmits += s->interval.retransmits;
        last = s;
    }
    if (!last)
        return;
    json_t *sum = span(last->interval.start, last->interval.end, bytes);
    if (is_sender)
        put(sum, "retransmits", json_integer(retransmits));
    put_roles(sum, last->interval.is_omitted, is_sender);
    put(o, name, sum);
}

/* Which of a test's directions is the first: what the client sends, unless only the server does. */
static bool first_is_sender(const struct wpf_iperf *t)
{
    return t->is_server == (t->params.is_reverse && !t->params.is_bidir);
}

static void json_interval(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    json_t *o = json_object(), *streams = json_array();
    bool first = first_is_sender(t);
    TAILQ_FOREACH(s, &t->streams, link) json_array_append_new(streams, stream_interval(s));
    put(o, "streams", streams);
    put_interval_sum(t, o, "sum", first);
    if (t->params.is_bidir)
        put_interval_sum(t, o, "sum_bidir_reverse", !first);
    json_array_append_new(t->json_intervals, o);
}

/* ---- end ---- */

static json_t *end_stream(const struct wpf_iperf_stream *s)
{
    struct wpf_iperf_total total = wpf_iperf_stream_total(s);
    json_t *o = json_object(), *snd = span(0, total.sent_s, total.sent),
           *rcv = span(0, total.received_s, total.received);
    put_count(snd, "socket", s->id);
    if (total.retransmits >= 0)
        put(snd, "retransmits", json_integer(total.retransmits));
    put_count(snd, "max_snd_cwnd", s->max_cwnd_bytes);
    put_count(snd, "max_snd_wnd", s->max_wnd_bytes);
    put_count(snd, "max_rtt", s->max_rtt);
    put_count(snd, "min_rtt", s->rtt_n ? s->min_rtt : 0);
    put_count(snd, "mean_rtt", s->rtt_n ? s->sum_rtt / s->rtt_n : 0);
    put(snd, "sender", json_boolean(s->is_sender));
    put_count(rcv, "socket", s->id);
    put(rcv, "sender", json_boolean(s->is_sender));
    put(o, "sender", snd);
    put(o, "receiver", rcv);
    return o;
}

static void put_sums(struct wpf_iperf *t, bool is_sender, const char *sent, const char *received)
{
    unsigned n = 0;
    struct wpf_iperf_total sum = wpf_iperf_sum(t, is_sender, &n);
    json_t *snd = span(0, sum.sent_s, sum.sent), *rcv = span(0, sum.received_s, sum.received);
    if (sum.retransmits >= 0)
        put(snd, "retransmits", json_integer(sum.retransmits));
    put(snd, "sender", json_boolean(is_sender));
    put(rcv, "sender", json_boolean(is_sender));
    put(t->json_end, sent, snd);
    put(t->json_end, received, rcv);
}

static void put_cpu(struct wpf_iperf *t)
{
    json_t *o = json_object();
    put(o, "host_total", json_real(t->own.cpu_total));
    put(o, "host_user", json_real(t->own.cpu_user));
    put(o, "host_system", json_real(t->own.cpu_system));
    put(o, "remote_total", json_real(t->remote.cpu_total));
    put(o, "remote_user", json_real(t->remote.cpu_user));
    put(o, "remote_system", json_real(t->remote.cpu_system));
    put(t->json_end, "cpu_utilization_percent", o);
}

/* Not iperf3's: what TCP_INFO said last of the streams that this end sent on. */
static void put_tcp_info(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    json_t *list = json_array();
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (!s->is_sender)
            continue;
        json_t *o = json_object();
        put_count(o, "socket", s->id);
        put_count(o, "snd_mss", s->tcp.snd_mss);
        put_count(o, "pmtu", s->tcp.pmtu);
        put_count(o, "snd_cwnd", s->tcp.snd_cwnd);
        put_count(o, "snd_ssthresh", s->tcp.snd_ssthresh);
        put_count(o, "rtt", s->tcp.rtt);
        put_count(o, "rttvar", s->tcp.rttvar);
        put_count(o, "min_rtt", s->tcp.min_rtt);
        put_count(o, "rto", s->tcp.rto);
        put_count(o, "total_retrans", s->tcp.total_retrans);
        put_count(o, "segs_out", s->tcp.segs_out);
        put_count(o, "delivered", s->tcp.delivered);
        put_count(o, "delivered_ce", s->tcp.delivered_ce);
        put_count(o, "busy_time", s->tcp.busy_time);
        put_count(o, "rwnd_limited", s->tcp.rwnd_limited);
        put_count(o, "sndbuf_limited", s->tcp.sndbuf_limited);
        json_array_append_new(list, o);
    }
    put(t->json_end, "sender_tcp_info", list);
}

static void json_ended(struct wpf_iperf *t)
{
    const struct wpf_iperf_stream *s;
    bool first = first_is_sender(t);
    json_t *streams = json_array();
    TAILQ_FOREACH(s, &t->streams, link) json_array_append_new(streams, end_stream(s));
    put(t->json_end, "streams", streams);
    put_sums(t, first, "sum_sent", "sum_received");
    if (t->params.is_bidir)
        put_sums(t, !first, "sum_sent_bidir_reverse", "sum_received_bidir_reverse");
    put_cpu(t);
    put_tcp_info(t);
    if (t->own.cc[0])
        put(t->json_end, first ? "sender_tcp_congestion" : "receiver_tcp_congestion", json_string(t->own.cc));
    if (t->remote.cc[0])
        put(t->json_end, first ? "receiver_tcp_congestion" : "sender_tcp_congestion", json_string(t->remote.cc));
}

static void json_finish(struct wpf_iperf *t)
{
    json_t *o = json_object();
    if (!t->json_start)
        json_listening(t);
    put(o, "start", t->json_start);
    put(o, "intervals", t->json_intervals);
    put(o, "end", t->json_end);
    if (t->error[0])
        put(o, "error", json_pack("s+", "error - ", t->error));
    json_dumpf(o, stdout, JSON_INDENT(4) | JSON_REAL_PRECISION(15));
    putchar('\n');
    fflush(stdout);
    json_decref(o);
}

const struct wpf_iperf_report wpf_iperf_json = {
    .listening = json_listening,
    .connecting = json_connecting,
    .accepted = json_accepted,
    .started = json_started,
    .interval = json_interval,
    .ended = json_ended,
    .finish = json_finish,
};
