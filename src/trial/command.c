/*
 * weir sim: run, matrix and shrink.
 */
#include "trial/command.h"

#include "drill/run.h"
#include "io/link_spec.h"
#include "io/units.h"
#include "trial/goodput.h"
#include "trial/matrix.h"
#include "trial/options.h"
#include "trial/pkt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- run ---- */

static const char *seconds(weir_ns t, char *buf, size_t cap)
{
    snprintf(buf, cap, "%" PRIu64 ".%03" PRIu64 " s", t / WEIR_SEC(1), t / WEIR_MS(1) % 1000);
    return buf;
}

static void print_outcome(const struct wtl_outcome *o)
{
    char took[32], stall[32];
    printf("%" PRIu64 " bytes in %s: %.3f Mbit/s; %" PRIu64 " packets, %" PRIu64 " dropped; %" PRIu64
           " retransmissions, %" PRIu64 " timeouts; longest wait %s\n",
           o->bytes, seconds(o->took, took, sizeof took), (double)o->goodput_bps / 1e6, o->packets, o->drops,
           o->retransmits, o->timeouts, seconds(o->stall, stall, sizeof stall));
}

static struct wtl_scenario scenario_of(const struct wtl_options *o)
{
    if (o->has_link || o->has_bytes || o->cc)
        return wtl_scenario_transfer(o->seed, &o->link, o->cc, o->bytes);
    return wtl_scenario_draw(o->seed);
}

static int run(const struct wtl_options *o)
{
    struct wtl_scenario s = scenario_of(o);
    struct wtl_play_opts opts = {.pcap = o->pcap, .trace = o->trace, .story = o->story ? stdout : NULL};
    struct wtl_outcome out;
    wtl_scenario_print(&s, stdout);
    bool is_good = wtl_play(&s, &opts, &out);
    if (out.packets > 0)
        print_outcome(&out);
    if (out.err[0])
        printf("failed: %s\n", out.err);
    if (o->has_condition && wtl_condition_holds(&o->condition, &out)) {
        printf("failed: %s\n", o->condition.text);
        is_good = false;
    }
    return !is_good;
}

/* ---- matrix ---- */

static int write_goodput(const struct wtl_options *o)
{
    FILE *out = fopen(o->goodput, "a"); /* what it had stays until there is something new */
    int bad = !out || wtl_goodput_write(out, (unsigned)o->jobs);
    bool is_written = out && !ferror(out);
    if (!out || fclose(out) != 0 || !is_written) {
        fprintf(stderr, "weir sim: --goodput %s: %s\n", o->goodput, strerror(errno));
        bad = 1;
    }
    return bad;
}

static int compare_goodput(const struct wtl_options *o)
{
    unsigned compared = 0;
    int off = wtl_goodput_compare(o->compare, (unsigned)o->sample, (unsigned)o->jobs, &compared);
    if (off < 0) {
        fprintf(stderr, "weir sim: --compare %s: %s\n", o->compare, strerror(-off));
        return 2;
    }
    printf("%u figures measured again, %d are off\n", compared, off);
    return off > 0;
}

static double clock_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int matrix(const struct wtl_options *o)
{
    if (o->goodput)
        return write_goodput(o);
    if (o->compare)
        return compare_goodput(o);
    static struct wtl_cell cells[WTL_CELLS_MAX];
    unsigned n = wtl_matrix_cells(o->cc, cells, WTL_CELLS_MAX);
    struct wtl_matrix_plan plan = {.first_seed = o->first_seed,
                                   .seed_n = o->seeds,
                                   .stride = (unsigned)o->sample,
                                   .jobs = (unsigned)o->jobs,
                                   .complaints = stderr};
    struct wtl_matrix_result r;
    double began = clock_s();
    int err = wtl_matrix_run(cells, n, &plan, NULL, &r);
    if (err)
        fprintf(stderr, "weir sim: %s\n", strerror(-err));
    printf("%u cells, %" PRIu64 " seeds: %" PRIu64 " passed, %" PRIu64 " failed in %.1f s%s\n", n, o->seeds, r.passed,
           r.failed, clock_s() - began, r.is_interrupted ? ": interrupted" : "");
    return err || r.failed > 0 || r.is_interrupted;
}

/* ---- shrink ---- */

static void print_decision(const struct wtl_decision *d)
{
    const char *dir = d->dir == WIO_UP ? "client's" : "server's";
    switch (d->what) {
    case WTL_LOSE: printf("  the %s packet %" PRIu32 " is lost\n", dir, d->index + 1); return;
    case WTL_TWICE: printf("  the %s packet %" PRIu32 " arrives twice\n", dir, d->index + 1); return;
    case WTL_LATE:
        printf("  the %s packet %" PRIu32 " is %" PRId64 " us %s\n", dir, d->index + 1,
               (d->shift < 0 ? -d->shift : d->shift) / 1000, d->shift < 0 ? "early" : "late");
        return;
    }
}

/* What the script is about, and what else makes the same one. */
static void write_title(const struct wtl_options *o, char *buf, size_t cap)
{
    char spec[WIO_SPEC_TEXT_CAP];
    int n = snprintf(buf, cap, "weir sim shrink %" PRIu64, o->seed);
    if (o->has_condition)
        n += snprintf(buf + n, cap - (size_t)n, " --fail-if '%s'", o->condition.text);
    if (o->has_link)
        n += snprintf(buf + n, cap - (size_t)n, " --link '%s'", wio_link_spec_format(&o->link, spec, sizeof spec / 2));
    if (o->cc)
        n += snprintf(buf + n, cap - (size_t)n, " --cc %s", o->cc);
    if (o->has_bytes)
        snprintf(buf + n, cap - (size_t)n, " --bytes %" PRIu64, o->bytes);
}

/* Write the script and see that weir drill plays it. */
static int write_script(const struct wtl_options *o, const struct wtl_shrunk *sh)
{
    char path[64], title[2 * WIO_SPEC_TEXT_CAP], err[256];
    snprintf(path, sizeof path, "seed-%" PRIu64 ".pkt", o->seed);
    const char *name = o->out ? o->out : path;
    FILE *out = fopen(name, "w");
    if (!out) {
        fprintf(stderr, "weir sim: %s: %s\n", name, strerror(errno));
        return 2;
    }
    write_title(o, title, sizeof title);
    int bad = wtl_pkt_write(sh, title, out, err, sizeof err);
    if (fclose(out) != 0 && !bad)
        bad = snprintf(err, sizeof err, "%s", strerror(errno));
    if (bad) {
        fprintf(stderr, "weir sim: %s: %s\n", name, err);
        return 2;
    }
    bool plays = wdr_run_file(name, &(struct wdr_run_config){.seed = o->seed}, stdout) == WDR_PASSED;
    printf("%s: weir drill %s\n", name, plays ? "plays it" : "does not play it");
    return !plays;
}

static int shrink(const struct wtl_options *o)
{
    struct wtl_scenario s = scenario_of(o);
    struct wtl_shrunk sh;
    int status = 2;
    switch (wtl_shrink(&s, o->has_condition ? &o->condition : NULL, &sh)) {
    case WTL_HOLDS:
        printf("seed %" PRIu64 " does not fail: %s\n", o->seed,
               o->has_condition ? o->condition.text : "all holds; --fail-if CONDITION makes something else a failure");
        break;
    case WTL_NOT_DECISIONS:
        printf("seed %" PRIu64 " fails, but not for packets lost, late, early or twice\n", o->seed);
        break;
    case WTL_NO_MEMORY: fputs("weir sim: no memory\n", stderr); break;
    case WTL_SHRUNK:
        wtl_scenario_print(&sh.scenario, stdout);
        printf("%zu of the link's %zu decisions are enough (%u runs):\n", sh.decisions.n, sh.decisions_before, sh.runs);
        for (size_t i = 0; i < sh.decisions.n; i++)
            print_decision(&sh.decisions.at[i]);
        print_outcome(&sh.outcome);
        if (sh.outcome.err[0])
            printf("failed: %s\n", sh.outcome.err);
        status = write_script(o, &sh);
        break;
    }
    wtl_record_free(&sh.decisions);
    return status;
}

int wtl_sim_main(int argc, char **argv)
{
    struct wtl_options o;
    if (wtl_options_parse(&o, argc, argv) != 0)
        return 2;
    switch (o.action) {
    case WTL_HELP: fputs(wtl_help, stdout); return 0;
    case WTL_RUN: return run(&o);
    case WTL_MATRIX: return matrix(&o);
    case WTL_SHRINK: return shrink(&o);
    }
    return 2;
}
