/*
 * Playing a script, from its first event to its last or to the first that goes wrong.
 */
#ifndef WDR_RUN_H
#define WDR_RUN_H

#include "drill/ast.h"

#include <stdio.h>

enum wdr_verdict {
    WDR_PASSED,
    WDR_FAILED, /* the stack did something else than the script says */
    WDR_BROKEN, /* the script itself can't be played */
};

struct wdr_run_config {
    const struct wdr_define *defines;   /* -D */
    const struct wdr_setting *settings; /* of the command line: they win over the script's */
    const char *so;                     /* a library with packetdrill's interface; NULL: weir in this process */
    const char *pcap, *json;            /* files; may be NULL */
    FILE *trace;                        /* each event of the stack as a line; may be NULL */
    uint64_t seed;
    bool is_live;   /* the library's clock is the real one */
    bool is_record; /* print what happens, and compare nothing */
    bool is_update; /* rewrite what the script expects into what came */
};

/* Play the script at `path`. Whatever there is to say goes to `out`. */
enum wdr_verdict wdr_run_file(const char *path, const struct wdr_run_config *, FILE *out);

#endif
