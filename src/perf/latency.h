/*
 * A histogram of latencies: constant memory and cost, each figure within 1/128 of what it was.
 */
#ifndef WPF_LATENCY_H
#define WPF_LATENCY_H

#include <weir/types.h>

#define WPF_LATENCY_STEPS   128 /* in each power of two */
#define WPF_LATENCY_BUCKETS (58 * WPF_LATENCY_STEPS)

struct wpf_latency {
    uint64_t n;
    weir_ns min, max; /* exact; of no use while n is 0 */
    double sum;       /* nanoseconds */
    uint64_t buckets[WPF_LATENCY_BUCKETS];
};

void wpf_latency_init(struct wpf_latency *);
void wpf_latency_add(struct wpf_latency *, weir_ns);

/* The smallest value that `share` (0 to 1) of what was added does not exceed: 0.99 for p99. 0 when nothing was. */
weir_ns wpf_latency_quantile(const struct wpf_latency *, double share);

double wpf_latency_mean(const struct wpf_latency *); /* nanoseconds; 0 when nothing was added */

#endif
