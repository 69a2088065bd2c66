/*
 * A transfer between two hosts that follows from a seed: the link, the connections, how each end plays.
 */
#ifndef WTL_SCENARIO_H
#define WTL_SCENARIO_H

#include "sim/flow.h"

#include <stdio.h>

#define WTL_FLOWS_MAX 4
#define WTL_CC_CAP    16

/* Which impairment a seed is about: seed % WTL_KIND_N. */
#define WTL_KIND_LIST(X)                                                                                               \
    X(CLEAN, "clean")                                                                                                  \
    X(DELAY, "delay")                                                                                                  \
    X(RATE, "rate")                                                                                                    \
    X(LOSS, "loss")                                                                                                    \
    X(BURST, "burst")                                                                                                  \
    X(JITTER, "jitter")                                                                                                \
    X(REORDER, "reorder")                                                                                              \
    X(DUPLICATE, "duplicate")                                                                                          \
    X(CORRUPT, "corrupt")                                                                                              \
    X(ALL, "all")

#define WTL_KIND_ENUM(name, text) WTL_##name,
enum wtl_kind { WTL_KIND_LIST(WTL_KIND_ENUM) WTL_KIND_N };
#undef WTL_KIND_ENUM

struct wtl_scenario {
    uint64_t seed;
    enum wtl_kind kind;
    int family;
    struct wio_link_config link;
    char cc[WTL_CC_CAP]; /* congestion control of both hosts; "": the stack's default */
    unsigned flow_n;
    struct wsim_plan client[WTL_FLOWS_MAX], server[WTL_FLOWS_MAX];
    bool is_captured;
    bool
        is_steady; /* the client sends and the server reads as fast as they can: a pause is the network's, or a fault */
};

/* The scenario of a seed: anything goes. */
struct wtl_scenario wtl_scenario_draw(uint64_t seed);

/* One steady upload of `bytes` over that link. cc: NULL or "" for the stack's default; cut to WTL_CC_CAP. */
struct wtl_scenario wtl_scenario_transfer(uint64_t seed, const struct wio_link_config *, const char *cc,
                                          uint64_t bytes);

void wtl_scenario_print(const struct wtl_scenario *, FILE *);

#endif
