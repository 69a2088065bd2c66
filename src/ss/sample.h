/*
 * What connections have done since the last look: weir top's figures.
 */
#ifndef WSS_SAMPLE_H
#define WSS_SAMPLE_H

#include "ss/client.h"

/* By what the list is sorted. */
enum wss_key { WSS_BY_RATE, WSS_BY_OUT, WSS_BY_IN, WSS_BY_RTT, WSS_BY_CWND, WSS_BY_AGAIN, WSS_KEY_N };

/* A connection, and its figures a second since the last look; since its beginning, where it is new. */
struct wss_figure {
    struct wss_sock sock;
    double out_bps, in_bps; /* payload that was acknowledged, that arrived; bits */
    double again_per_s;     /* segments sent again */
    enum weir_cause limit;  /* what most of the time went to */
    unsigned limit_percent; /* so much of it; 0: nothing is known */
};

struct wss_sample {
    struct wss_figure *at;
    size_t n;
};

/* Make figures of a list, which is taken over, and the last sample (NULL: there is none). passed_ns: between the two.
 * False: out of memory. */
bool wss_sample_make(struct wss_sample *, struct wss_socks *, const struct wss_sample *last, uint64_t passed_ns);
void wss_sample_free(struct wss_sample *);

/* The greatest first; equals by age. */
void wss_sample_sort(struct wss_sample *, enum wss_key, bool is_reversed);

const char *wss_key_name(enum wss_key);
enum wss_key wss_key_named(const char *); /* WSS_KEY_N: none */

#endif
