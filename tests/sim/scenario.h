/*
 * A transfer between two hosts that follows from a seed: the link, the connections, how each end plays.
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "sim/flow.h"

#include <stdio.h>

#define SCENARIO_FLOWS_MAX 4

/* Which impairment a seed is about: seed % SCENARIO_KIND_N. */
#define SCENARIO_LIST(X)                                                                                               \
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

#define SCENARIO_ENUM(name, text) SCENARIO_##name,
enum scenario_kind { SCENARIO_LIST(SCENARIO_ENUM) SCENARIO_KIND_N };
#undef SCENARIO_ENUM

struct scenario {
    uint64_t seed;
    enum scenario_kind kind;
    int family;
    struct wio_link_config link;
    unsigned flow_n;
    struct wsim_plan client[SCENARIO_FLOWS_MAX], server[SCENARIO_FLOWS_MAX];
    bool is_captured;
};

struct scenario scenario_draw(uint64_t seed);
void scenario_print(const struct scenario *, FILE *);

/*
 * Play it to its end and check that all bytes came, both sides closed, and memory went back.
 *
 * pcap, story   where a capture and the connections' stories go; may be NULL
 *
 * Returns true, or false with what is wrong in err.
 */
bool scenario_play(const struct scenario *, const char *pcap, FILE *story, char *err, size_t err_cap);

#endif
