/*
 * What was counted, by interval and in all: see iperf.h.
 */
#include "perf/iperf.h"

#include <string.h>
#include <sys/resource.h>

static double seconds_of(weir_ns t)
{
    return (double)t / 1e9;
}

static weir_ns of_timeval(struct timeval t)
{
    return WEIR_SEC((uint64_t)t.tv_sec) + WEIR_US((uint64_t)t.tv_usec);
}

static struct wpf_iperf_usage usage_now(weir_ns now)
{
    struct rusage r = {0};
    getrusage(RUSAGE_SELF, &r);
    return (struct wpf_iperf_usage){now, of_timeval(r.ru_utime), of_timeval(r.ru_stime)};
}

static void begin_count(struct wpf_iperf *t, weir_ns now)
{
    struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        wpf_iperf_stream_look(s);
        s->bytes = s->interval_bytes = 0;
        s->retransmits_base = s->interval_base = s->retransmits;
    }
    t->sent = t->received = 0;
    t->began = t->interval_began = now;
    t->interval_due = t->opts->interval ? now + t->opts->interval : WEIR_NEVER;
    t->usage = usage_now(now);
}

void wpf_iperf_stats_begin(struct wpf_iperf *t, weir_ns now)
{
    t->started = now;
    t->received_at = now;
    t->omit_until = t->params.omit_s ? now + WEIR_SEC(t->params.omit_s) : 0;
    begin_count(t, now);
}

/* What TCP_INFO told a sender at the end of an interval. */
static void note_tcp(struct wpf_iperf_stream *s)
{
    uint32_t cwnd = s->tcp.snd_cwnd * s->tcp.snd_mss, rtt = s->tcp.rtt;
    if (cwnd > s->max_cwnd_bytes)
        s->max_cwnd_bytes = cwnd;
    if (s->tcp.snd_wnd > s->max_wnd_bytes)
        s->max_wnd_bytes = s->tcp.snd_wnd;
    if (rtt > s->max_rtt)
        s->max_rtt = rtt;
    if (rtt < s->min_rtt)
        s->min_rtt = rtt;
    s->sum_rtt += rtt;
    s->rtt_n++;
}

static void end_interval(struct wpf_iperf *t, weir_ns now)
{
    struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        wpf_iperf_stream_look(s);
        s->interval = (struct wpf_iperf_interval){
            .start = seconds_of(t->interval_began - t->began),
            .end = seconds_of(now - t->began),
            .bytes = s->interval_bytes,
            .retransmits = s->is_sender ? (int64_t)(s->retransmits - s->interval_base) : -1,
            .is_omitted = t->omit_until != 0,
        };
        s->interval_bytes = 0;
        s->interval_base = s->retransmits;
        if (s->is_sender && !t->omit_until)
            note_tcp(s);
    }
    t->interval_began = now;
    if (t->opts->interval)
        t->report->interval(t);
}

void wpf_iperf_stats_run(struct wpf_iperf *t, weir_ns now)
{
    if (!t->is_counting)
        return;
    if (t->omit_until && now >= t->omit_until) {
        end_interval(t, now);
        t->omit_until = 0;
        begin_count(t, now);
    } else if (now >= t->interval_due) {
        end_interval(t, now);
        t->interval_due += t->opts->interval;
        if (t->interval_due <= now) /* it was late by more than one */
            t->interval_due = now + t->opts->interval;
    }
}

weir_ns wpf_iperf_stats_due(const struct wpf_iperf *t)
{
    if (!t->is_counting)
        return WEIR_NEVER;
    return t->omit_until && t->omit_until < t->interval_due ? t->omit_until : t->interval_due;
}

/* Is what is left of the last interval worth a line? As in iperf3, not when it is short and nothing moved. */
static bool is_worth_telling(const struct wpf_iperf *t, weir_ns now)
{
    const struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (s->interval_bytes)
            return true;
    }
    return !t->opts->interval || (now - t->interval_began) * 10 >= t->opts->interval;
}

static void fill_own(struct wpf_iperf *t, weir_ns now)
{
    struct wpf_iperf_results *own = &t->own;
    struct wpf_iperf_usage u = usage_now(now);
    struct wpf_iperf_stream *s;
    double wall = seconds_of(now - t->usage.wall);
    memset(own, 0, sizeof *own);
    own->cpu_user = wall > 0 ? 100 * seconds_of(u.user - t->usage.user) / wall : 0;
    own->cpu_system = wall > 0 ? 100 * seconds_of(u.system - t->usage.system) / wall : 0;
    own->cpu_total = own->cpu_user + own->cpu_system;
    own->has_retransmits = -1;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        uint32_t len = sizeof own->cc - 1;
        if (s->is_sender)
            own->has_retransmits = 1;
        if (!own->cc[0] && s->fd >= 0)
            wpf_net_getsockopt(t->net, s->fd, WEIR_SOL_TCP, WEIR_TCP_CONGESTION, own->cc, &len);
        own->streams[own->stream_n++] = (struct wpf_iperf_stream_result){
            .id = s->id,
            .bytes = s->bytes,
            .retransmits = s->is_sender ? (int64_t)(s->retransmits - s->retransmits_base) : -1,
            .seconds = seconds_of(t->ended - t->began),
        };
    }
}

void wpf_iperf_stats_end(struct wpf_iperf *t, weir_ns now)
{
    t->ended = now;
    if (is_worth_telling(t, now))
        end_interval(t, now);
    fill_own(t, now);
}

void wpf_iperf_stats_merge(struct wpf_iperf *t)
{
    struct wpf_iperf_stream *s;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        for (unsigned i = 0; i < t->remote.stream_n; i++)
            if (t->remote.streams[i].id == s->id)
                s->remote = t->remote.streams[i];
    }
    t->has_remote = true;
}

struct wpf_iperf_total wpf_iperf_stream_total(const struct wpf_iperf_stream *s)
{
    const struct wpf_iperf *t = s->test;
    double own = seconds_of(t->ended - t->began), other = s->remote.seconds > 0 ? s->remote.seconds : own;
    struct wpf_iperf_total total;
    if (s->is_sender)
        total = (struct wpf_iperf_total){s->bytes, s->remote.bytes, own, other,
                                         (int64_t)(s->retransmits - s->retransmits_base)};
    else
        total = (struct wpf_iperf_total){s->remote.bytes, s->bytes, other, own, s->remote.retransmits};
    if (!s->is_sender && !t->has_remote)
        total.retransmits = -1;
    return total;
}

struct wpf_iperf_total wpf_iperf_sum(const struct wpf_iperf *t, bool is_sender, unsigned *n)
{
    const struct wpf_iperf_stream *s;
    struct wpf_iperf_total sum = {0};
    *n = 0;
    TAILQ_FOREACH(s, &t->streams, link)
    {
        if (s->is_sender != is_sender)
            continue;
        struct wpf_iperf_total one = wpf_iperf_stream_total(s);
        sum.sent += one.sent;
        sum.received += one.received;
        sum.retransmits = one.retransmits < 0 || sum.retransmits < 0 ? -1 : sum.retransmits + one.retransmits;
        sum.sent_s = one.sent_s;
        sum.received_s = one.received_s;
        (*n)++;
    }
    return sum;
}
