/*
 * Round trips from the capture to a host and back, and whether they grow with what is in flight.
 */
#include "doctor/parts.h"

void wdc_rtt_sample(struct wdc_rtt *r, uint64_t frame, weir_ns sample, uint64_t flight, bool is_data)
{
    if (sample == 0)
        sample = 1;
    if (r->min == 0 || sample < r->min)
        r->min = sample;
    if (!is_data)
        return;
    if (r->min_from_data == 0 || sample < r->min_from_data)
        r->min_from_data = sample;
    if (sample > r->max) {
        r->max = sample;
        r->max_frame = frame;
    }
    double x = (double)sample, y = (double)flight;
    r->n++;
    double dx = x - r->mean, dy = y - r->flight_mean, n = (double)r->n; /* Welford: means, variances, covariance */
    r->mean += dx / n;
    r->flight_mean += dy / n;
    r->var += dx * (x - r->mean);
    r->flight_var += dy * (y - r->flight_mean);
    r->cov += dx * (y - r->flight_mean);
    r->smooth = r->n == 1 ? x : r->smooth + (x - r->smooth) / 4;
    if (r->n >= 8 && r->smooth > (double)r->smooth_max) {
        r->smooth_max = (weir_ns)r->smooth;
        r->smooth_max_frame = frame;
    }
}
