/*
 * The command line of weir drill.
 */
#ifndef WDR_OPTIONS_H
#define WDR_OPTIONS_H

#include "drill/report.h"

struct wdr_drill_opts {
    struct wdr_run_config run;
    struct wdr_arena *arena; /* what the lists in `run` and `paths` hang in */
    const char **paths;
    size_t path_n;
    const char *junit; /* file; may be NULL */
    unsigned jobs;
    bool is_tap, is_verbose, is_quiet;
};

/* 0, 1: help was printed, or -1 after one line on stderr. wdr_opts_free in any case. */
int wdr_opts_parse(struct wdr_drill_opts *, int argc, char **argv);
void wdr_opts_free(struct wdr_drill_opts *);

#endif
