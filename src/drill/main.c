/*
 * weir drill: plays the scripts, side by side when it may, and reports in their order.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "drill/command_line.h"
#include "drill/options.h"

struct crew {
    const struct wdr_drill_opts *opts;
    struct wdr_outcome *outcomes;
    atomic_size_t next;
};

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void play_one(const struct wdr_drill_opts *o, struct wdr_outcome *r)
{
    size_t len;
    struct wdr_run_config cfg = o->run;
    double begin = seconds_now();
    FILE *out = open_memstream(&r->text, &len);
    if (!out)
        abort();
    if (o->is_verbose)
        cfg.trace = out;
    r->verdict = wdr_run_file(r->path, &cfg, out);
    fclose(out);
    r->seconds = seconds_now() - begin;
}

static void *work(void *arg)
{
    struct crew *c = arg;
    for (size_t i = atomic_fetch_add(&c->next, 1); i < c->opts->path_n; i = atomic_fetch_add(&c->next, 1))
        play_one(c->opts, &c->outcomes[i]);
    return NULL;
}

static void play_all(struct crew *c)
{
    pthread_t threads[64];
    unsigned n = 0;
    while (n + 1 < c->opts->jobs && n + 1 < c->opts->path_n && pthread_create(&threads[n], NULL, work, c) == 0)
        n++;
    work(c);
    while (n > 0)
        pthread_join(threads[--n], NULL);
}

static int report(const struct wdr_drill_opts *o, const struct wdr_outcome *r, double seconds)
{
    int status = 0;
    if (o->is_tap)
        wdr_report_tap(stdout, r, o->path_n);
    else
        wdr_report_text(stdout, r, o->path_n, seconds, o->is_quiet);
    for (size_t i = 0; i < o->path_n; i++)
        status = (int)r[i].verdict > status ? (int)r[i].verdict : status;
    if (!o->junit)
        return status;
    FILE *f = fopen(o->junit, "w");
    if (f)
        wdr_report_junit(f, r, o->path_n, seconds);
    if (!f || fclose(f) != 0) {
        fprintf(stderr, "weir drill: %s can't be written\n", o->junit);
        return 2;
    }
    return status;
}

int wdr_drill_main(int argc, char **argv)
{
    struct wdr_drill_opts opts;
    int status = wdr_opts_parse(&opts, argc, argv);
    if (status != 0) {
        wdr_opts_free(&opts);
        return status > 0 ? 0 : 2;
    }
    struct crew c = {.opts = &opts, .outcomes = calloc(opts.path_n, sizeof *c.outcomes)};
    if (!c.outcomes)
        abort();
    for (size_t i = 0; i < opts.path_n; i++)
        c.outcomes[i].path = opts.paths[i];
    double begin = seconds_now();
    play_all(&c);
    status = report(&opts, c.outcomes, seconds_now() - begin);
    for (size_t i = 0; i < opts.path_n; i++)
        free(c.outcomes[i].text);
    free(c.outcomes);
    wdr_opts_free(&opts);
    return status;
}
