/*
 * The command line of weir sim, read.
 */
#ifndef WTL_OPTIONS_H
#define WTL_OPTIONS_H

#include "trial/condition.h"

enum wtl_action { WTL_HELP, WTL_RUN, WTL_MATRIX, WTL_SHRINK };

struct wtl_options {
    enum wtl_action action;
    uint64_t seed;
    bool has_link, has_bytes, has_seeds, has_seed; /* were said */
    struct wio_link_config link;
    uint64_t bytes, seeds, first_seed, sample, jobs;
    const char *cc, *pcap, *trace, *out, *goodput, *compare;
    bool story;
    bool has_condition;
    struct wtl_condition condition;
};

/* 0, or -EINVAL with a line on stderr. */
int wtl_options_parse(struct wtl_options *, int argc, char **argv);

extern const char wtl_help[];

#endif
