/*
 * Who reads the event streams of weir run. A file that can't be written any more (full disk) never stops the program:
 * what is missing is said at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "doctor/live.h"
#include "io/pcapng.h"
#include "run/run.h"
#include "run/summary.h"
#include "run/watch.h"
#include "trace/capture.h"
#include "trace/json.h"
#include "trace/report.h"
#include "trace/story.h"

/* What a stack's events come with. */
struct side {
    struct wir_watch *watch;
    enum wio_side side;
    const char *name;
};

struct wir_watch {
    const struct wir_run_opts *opts;
    struct side sides[2];
    struct wir_summary *summary;
    struct wio_pcapng *pcap;
    struct wtr_capture *capture;
    struct wtr_json *json;
    struct wtr_story *story;
    struct wtr_report *report, *shown; /* for the page at the end; for the one of --live */
    struct wdc_live *doctor;
    int hosts[2];      /* in both reports, by side */
    char command[256]; /* the program and its arguments, as they were given */
};

#define SHOWN_ROWS  200000u /* of --live: 30 MiB at most */
#define SHOWN_CONNS 20000u

/* The Unix time at which our clock was 0. */
static uint64_t epoch(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return WEIR_SEC((uint64_t)ts.tv_sec) + (uint64_t)ts.tv_nsec - wir_clock();
}

static int open_pcap(struct wir_watch *w, uint64_t epoch_ns)
{
    struct wio_pcapng_config cfg = {.application = "weir " WEIR_VERSION, .epoch_ns = epoch_ns};
    if (!w->opts->pcap)
        return 0;
    w->pcap = wio_pcapng_open(w->opts->pcap, &cfg);
    if (!w->pcap) {
        fprintf(stderr, "weir run: --pcap %s: %s\n", w->opts->pcap, strerror(errno));
        return -1;
    }
    w->capture = wtr_capture_new(w->pcap, w->opts->link.type, w->opts->pcap_program ? "program" : NULL,
                                 w->opts->pcap_gateway ? "gateway" : NULL);
    return w->capture ? 0 : -1;
}

static int open_trace(struct wir_watch *w, uint64_t epoch_ns)
{
    if (!w->opts->trace)
        return 0;
    FILE *out = fopen(w->opts->trace, "we");
    if (!out) {
        fprintf(stderr, "weir run: --trace %s: %s\n", w->opts->trace, strerror(errno));
        return -1;
    }
    w->json = wtr_json_new(out, epoch_ns);
    return w->json ? 0 : -1;
}

static void command_line(char *const *argv, char *text, size_t cap)
{
    size_t at = 0;
    text[0] = '\0';
    for (; *argv && at < cap; argv++)
        at += (size_t)snprintf(text + at, cap - at, "%s%s", at ? " " : "", *argv);
}

static int make_report(struct wir_watch *w, struct wtr_report **out, const struct wtr_report_config *cfg)
{
    *out = wtr_report_new(cfg);
    for (unsigned i = 0; *out && i < 2; i++)
        w->hosts[i] = wtr_report_host(*out, w->sides[i].name);
    return *out && w->hosts[0] >= 0 && w->hosts[1] >= 0 ? 0 : -1;
}

/* The page is written at the end; that it can't be is to be known before the program starts. */
static int open_report(struct wir_watch *w, uint64_t epoch_ns)
{
    struct wtr_report_config cfg = {.title = w->command, .epoch_ns = epoch_ns};
    if (!w->opts->report)
        return 0;
    FILE *out = fopen(w->opts->report, "ae");
    if (!out) {
        fprintf(stderr, "weir run: --report %s: %s\n", w->opts->report, strerror(errno));
        return -1;
    }
    fclose(out);
    return make_report(w, &w->report, &cfg);
}

static int open_shown(struct wir_watch *w, uint64_t epoch_ns)
{
    struct wtr_report_config cfg = {
        .title = w->command, .epoch_ns = epoch_ns, .rows_max = SHOWN_ROWS, .conns_max = SHOWN_CONNS, .is_window = true};
    return w->opts->wants_live ? make_report(w, &w->shown, &cfg) : 0;
}

int wir_watch_open(struct wir_watch **out, const struct wir_run_opts *opts)
{
    struct wir_watch *w = calloc(1, sizeof *w);
    *out = w;
    if (!w)
        return -ENOMEM;
    w->opts = opts;
    w->sides[WIO_NEAR] = (struct side){.watch = w, .side = WIO_NEAR, .name = "program"};
    w->sides[WIO_FAR] = (struct side){.watch = w, .side = WIO_FAR, .name = "gateway"};
    w->summary = wir_summary_new();
    command_line(opts->argv, w->command, sizeof w->command);
    if (!w->summary || open_pcap(w, epoch()) < 0 || open_trace(w, epoch()) < 0 || open_report(w, epoch()) < 0 ||
        open_shown(w, epoch()) < 0)
        return -EIO;
    if (opts->wants_story)
        w->story = wtr_story_new(opts->link.type, 0);
    if (opts->wants_doctor && !(w->doctor = wdc_live_new(isatty(STDERR_FILENO))))
        return -ENOMEM;
    return 0;
}

static void on_event(void *ctx, const struct weir_event *ev)
{
    const struct side *side = ctx;
    struct wir_watch *w = side->watch;

    if (WIR_SUMMARY_MASK & WEIR_EV_BIT(ev->kind))
        wir_summary_event(w->summary, side->side, ev);
    if (w->capture)
        wtr_capture_event(w->capture, side->side, ev);
    if (w->json)
        wtr_json_event(w->json, side->name, ev);
    if (w->story)
        wtr_story_event(w->story, side->side, ev);
    if (w->report)
        wtr_report_event(w->report, w->hosts[side->side], ev);
    if (w->shown)
        wtr_report_event(w->shown, w->hosts[side->side], ev);
}

static void on_link(void *ctx, const struct wio_link_note *note)
{
    struct wir_watch *w = ctx;
    if (w->capture)
        wtr_capture_link(w->capture, note);
    if (w->json)
        wtr_json_link(w->json, "link", note, w->opts->link.type);
    if (w->story)
        wtr_story_link(w->story, note);
    if (w->report)
        wtr_report_link(w->report, w->hosts[WIO_NEAR], w->hosts[WIO_FAR], note, w->opts->link.type);
    if (w->doctor)
        wdc_live_link(w->doctor, 0, w->opts->link.type, note);
    if (w->shown)
        wtr_report_link(w->shown, w->hosts[WIO_NEAR], w->hosts[WIO_FAR], note, w->opts->link.type);
}

void wir_watch_hook(struct wir_watch *w, enum wio_side side, struct weir_config *cfg)
{
    cfg->on_event = on_event;
    cfg->event_ctx = &w->sides[side];
    cfg->event_mask = WIR_SUMMARY_MASK;
    if (w->capture)
        cfg->event_mask |= WTR_WHY_MASK;
    if (w->story)
        cfg->event_mask |= WTR_STORY_MASK;
    if (w->json || w->report || w->shown)
        cfg->event_mask = WEIR_EV_ALL;
}

void wir_watch_link(struct wir_watch *w, struct wio_link *link)
{
    if (w->capture || w->json || w->story || w->report || w->shown || w->doctor)
        wio_link_set_tap(link, on_link, w);
}

unsigned wir_watch_live(const struct wir_watch *w)
{
    return wir_summary_live(w->summary);
}

struct wtr_report *wir_watch_shown(const struct wir_watch *w)
{
    return w->shown;
}

const char *wir_watch_title(const struct wir_watch *w)
{
    return w->command;
}

void wir_watch_ledger(struct wir_watch *w, enum wio_side side, uint64_t conn_id, const struct weir_ledger *ledger)
{
    wtr_report_ledger(w->shown, w->hosts[side], conn_id, ledger);
}

void wir_watch_flush(struct wir_watch *w)
{
    if (w->pcap)
        wio_pcapng_flush(w->pcap);
    if (w->json)
        wtr_json_flush(w->json);
}

/* ---- The end ---- */

static void close_pcap(struct wir_watch *w)
{
    struct wio_pcapng_stats st = {0};
    if (!w->pcap)
        return;
    wtr_capture_free(w->capture);
    if (wio_pcapng_close(w->pcap, &st) < 0)
        fprintf(stderr, "weir: --pcap %s: %s: %llu packets are missing from it\n", w->opts->pcap, strerror(st.err),
                (unsigned long long)st.lost_pkts);
}

static void close_trace(struct wir_watch *w)
{
    int err = wtr_json_close(w->json);
    if (err)
        fprintf(stderr, "weir: --trace %s: %s: lines are missing from it\n", w->opts->trace, strerror(-err));
}

static void close_report(struct wir_watch *w)
{
    int err = w->report ? wtr_report_save(w->report, w->opts->report) : 0;
    if (err)
        fprintf(stderr, "weir: --report %s: %s: it was not written\n", w->opts->report, strerror(-err));
    else if (w->report && wtr_report_left_out(w->report))
        fprintf(stderr, "weir: --report %s: the first %u events are in it, %llu more are not\n", w->opts->report,
                WTR_REPORT_ROWS_MAX, (unsigned long long)wtr_report_left_out(w->report));
    wtr_report_free(w->report);
}

void wir_watch_finish(struct wir_watch *w, weir_ns now)
{
    if (w->story && wtr_story_count(w->story))
        wtr_story_print(w->story, wtr_story_biggest(w->story), "program", "gateway", stderr, isatty(STDERR_FILENO));
    wtr_story_free(w->story);
    wdc_live_finish(w->doctor, stderr);
    if (!w->opts->is_quiet)
        wir_summary_print(w->summary, now, stderr);
    wir_summary_free(w->summary);
    close_pcap(w);
    close_trace(w);
    close_report(w);
    wtr_report_free(w->shown);
    free(w);
}
