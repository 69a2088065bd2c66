/* What client and server share: see iperf.h. */
#include "perf/iperf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wpf_iperf_init(struct wpf_iperf *t, const struct wpf_iperf_options *opts, struct wpf_net *net, bool is_server)
{
    memset(t, 0, sizeof *t);
    t->opts = opts;
    t->net = net;
    t->report = opts->is_json ? &wpf_iperf_json : &wpf_iperf_text;
    t->is_server = is_server;
    t->state = WPF_IPERF_START;
    t->due = WEIR_NEVER;
    t->control.fd = -1;
    TAILQ_INIT(&t->streams);
}

void wpf_iperf_fini(struct wpf_iperf *t)
{
    struct wpf_iperf_stream *s;
    while ((s = TAILQ_FIRST(&t->streams))) {
        TAILQ_REMOVE(&t->streams, s, link);
        wpf_iperf_stream_free(s);
    }
    wpf_iperf_control_close(&t->control);
    free(t->block);
    t->block = NULL;
}

void wpf_iperf_fail(struct wpf_iperf *t, const char *form, ...)
{
    va_list args;
    if (!t->error[0]) {
        va_start(args, form);
        vsnprintf(t->error, sizeof t->error, form, args);
        va_end(args);
    }
    t->is_over = true;
}

void wpf_iperf_plan(struct wpf_iperf *t)
{
    const struct wpf_iperf_params *p = &t->params;
    t->stream_want = p->stream_n * (p->is_bidir ? 2 : 1);
    t->limit_bytes = p->bytes ? p->bytes : p->blocks * p->block_len;
    t->block = calloc(1, p->block_len);
    if (!t->block)
        wpf_iperf_fail(t, "out of memory");
}

void wpf_iperf_begin(struct wpf_iperf *t)
{
    t->is_counting = true;
    t->was_run = true;
    wpf_iperf_stats_begin(t, wpf_clock());
    wpf_iperf_streams_start(t);
}

void wpf_iperf_end(struct wpf_iperf *t)
{
    if (!t->is_counting)
        return;
    wpf_iperf_streams_stop(t);
    wpf_iperf_stats_end(t, wpf_clock());
}

int wpf_iperf_send_results(struct wpf_iperf *t)
{
    return wpf_iperf_control_json(&t->control, wpf_iperf_results_format(&t->own));
}

bool wpf_iperf_take_results(struct wpf_iperf *t)
{
    const char *json = NULL;
    char err[128];
    int64_t n = wpf_iperf_control_frame(&t->control, WPF_IPERF_RESULTS_MAX, &json);
    if (n == 0)
        return false;
    if (n < 0) {
        wpf_iperf_fail(t, "the other end's results are empty, or longer than %u bytes", WPF_IPERF_RESULTS_MAX);
        return false;
    }
    if (wpf_iperf_results_parse(&t->remote, json, (size_t)n, err, sizeof err) < 0) {
        wpf_iperf_fail(t, "the other end's results make no sense: %s", err);
        return false;
    }
    wpf_iperf_control_eat(&t->control, (size_t)n + 4);
    wpf_iperf_stats_merge(t);
    return true;
}

void wpf_iperf_tick(struct wpf_iperf *t, weir_ns now)
{
    wpf_iperf_stats_run(t, now);
    wpf_iperf_streams_pace(t, now);
}

static weir_ns earlier(weir_ns a, weir_ns b)
{
    return a < b ? a : b;
}

weir_ns wpf_iperf_due(const struct wpf_iperf *t)
{
    return earlier(t->due, earlier(wpf_iperf_stats_due(t), wpf_iperf_streams_due(t)));
}
