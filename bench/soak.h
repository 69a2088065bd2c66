/*
 * Mixed work without end, in virtual time and at full speed: one server, clients behind links that are clean, bad and
 * slow, and one behind a router; transfers, requests, connections that come and go, and some that are cut off. Every
 * byte is compared, and in the end nothing may be left.
 */
#ifndef BENCH_SOAK_H
#define BENCH_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct soak;

struct soak_totals {
    uint64_t bytes;            /* verified */
    uint64_t transfers, brief; /* connections that carried much, and that came and went */
    uint64_t requests, cut_off;
    uint64_t pkts, lost; /* sent on links, and of them not delivered */
    uint64_t retransmits;
    double seconds; /* virtual */
};

/* NULL: out of memory. */
struct soak *soak_new(uint64_t seed);
void soak_free(struct soak *);

/* Let 10 ms of virtual time pass and begin what is due next. NULL or what is wrong: a wrong byte, a failure, a stall.
 */
const char *soak_slice(struct soak *);

/* Begin nothing more, let all that is under way end, and look whether the stacks' memory is what it was before. */
const char *soak_drain(struct soak *);

struct soak_totals soak_totals(const struct soak *);
uint64_t soak_jobs(const struct soak *);    /* finished */
size_t soak_mem_bytes(const struct soak *); /* that the stacks have from the allocator now */

/* For tests: the server leaves its end of the next connection open for ever. */
void soak_forget_one(struct soak *);

/* The peaks of something that should not grow, in PERIODS parts of the whole. */
#define SOAK_PERIODS 30
struct soak_trend {
    double peak[SOAK_PERIODS];
    unsigned last; /* period with a sample */
};
void soak_trend_add(struct soak_trend *, double part, double value); /* part: how far the whole is, 0-1 */

/* Has it grown: is the last third's peak more than a tenth, and `slack`, above the second third's? The first warms up.
 */
bool soak_trend_grew(const struct soak_trend *, double slack);

#endif
