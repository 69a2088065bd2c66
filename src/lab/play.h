/*
 * Play a scenario: build its world, let it run, judge its claims.
 */
#ifndef WLB_PLAY_H
#define WLB_PLAY_H

#include "lab/scenario.h"

#include <stdio.h>

struct wlb_play_opts {
    uint64_t seed;
    const char *pcap, *trace, *html; /* files to write, NULL: none */
    const char *svg, *page;          /* likewise: its pictures, and the page around them */
    const char *const *settings;     /* name, value, name, value ...: what differs from the scenario's options */
    unsigned setting_n;              /* pairs */
    FILE *out;                       /* where the story and the claims go */
    bool is_tty;                     /* colours, please */
    bool is_brief;                   /* the claims alone */
    bool wants_doctor;               /* at the end, what went wrong with each connection */
};

struct wlb_result {
    unsigned passed, failed; /* claims */
    bool is_missing;         /* a program that it names is not installed: err says which */
    char err[512];           /* "" or why it could not be played */
};

/* False where it could not be played or a claim failed. */
bool wlb_play(const char *name, const struct wlb_scenario *, const struct wlb_play_opts *, struct wlb_result *);

#endif
