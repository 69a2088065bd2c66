/*
 * See latency.h. Values below 2 * STEPS have a bucket each; above, the leading bit chooses a row and the seven behind
 * it a bucket of that row.
 */
#include "perf/latency.h"

#include <math.h>
#include <string.h>

#define STEP_BITS 7

_Static_assert(WPF_LATENCY_STEPS == 1 << STEP_BITS, "a row is what STEP_BITS choose from");

static unsigned bucket_of(weir_ns v)
{
    if (v < WPF_LATENCY_STEPS)
        return (unsigned)v;
    unsigned shift = 63 - (unsigned)__builtin_clzll(v) - STEP_BITS;
    return (shift + 1) * WPF_LATENCY_STEPS + (unsigned)(v >> shift) - WPF_LATENCY_STEPS;
}

/* The largest value of a bucket. */
static weir_ns top_of(unsigned bucket)
{
    unsigned row = bucket / WPF_LATENCY_STEPS;
    if (row == 0)
        return bucket;
    weir_ns low = (weir_ns)(bucket % WPF_LATENCY_STEPS + WPF_LATENCY_STEPS) << (row - 1);
    return low + (((weir_ns)1 << (row - 1)) - 1);
}

void wpf_latency_init(struct wpf_latency *l)
{
    memset(l, 0, sizeof *l);
    l->min = UINT64_MAX;
}

void wpf_latency_add(struct wpf_latency *l, weir_ns v)
{
    l->n++;
    l->sum += (double)v;
    if (v < l->min)
        l->min = v;
    if (v > l->max)
        l->max = v;
    l->buckets[bucket_of(v)]++;
}

weir_ns wpf_latency_quantile(const struct wpf_latency *l, double share)
{
    uint64_t want = (uint64_t)ceil(share * (double)l->n), seen = 0;
    if (l->n == 0)
        return 0;
    if (want == 0)
        want = 1;
    for (unsigned i = 0; i < WPF_LATENCY_BUCKETS; i++) {
        seen += l->buckets[i];
        if (seen >= want) {
            weir_ns top = top_of(i);
            return top < l->max ? top : l->max;
        }
    }
    return l->max;
}

double wpf_latency_mean(const struct wpf_latency *l)
{
    return l->n ? l->sum / (double)l->n : 0;
}
