/*
 * weir sim: run and matrix.
 */
#include "trial/command.h"

#include "io/units.h"
#include "trial/goodput.h"
#include "trial/matrix.h"
#include "trial/options.h"

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
    struct wtl_play_opts opts = {.pcap = o->pcap, .story = o->story ? stdout : NULL};
    struct wtl_outcome out;
    if (o->trace) {
        opts.trace = fopen(o->trace, "w");
        if (!opts.trace) {
            fprintf(stderr, "weir sim: --trace %s: %s\n", o->trace, strerror(errno));
            return 2;
        }
    }
    wtl_scenario_print(&s, stdout);
    bool is_good = wtl_play(&s, &opts, &out);
    print_outcome(&out);
    if (opts.trace && fclose(opts.trace) != 0) {
        fprintf(stderr, "weir sim: --trace %s: %s\n", o->trace, strerror(errno));
        is_good = false;
    }
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
    FILE *out = fopen(o->goodput, "w");
    int bad = !out || wtl_goodput_write(out, (unsigned)o->jobs);
    if (!out || fclose(out) != 0) {
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
    printf("%u cells, %" PRIu64 " seeds: %" PRIu64 " passed, %" PRIu64 " failed in %.1f s\n", n, o->seeds, r.passed,
           r.failed, clock_s() - began);
    return err || r.failed > 0;
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
    }
    return 2;
}
