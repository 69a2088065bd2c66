/*
 * What the machine could do at most where bytes are copied and summed and nothing else: gigabytes a second of CPU time,
 * between buffers that stay in the second-level cache, as those of a bulk transfer do.
 *
 *   bench-limit      a line a way: name, GB/s in runs of 64 KiB, GB/s in frames' payloads of 1,448 bytes
 */
#include "base/checksum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN     65536u
#define BUFFER  (4 * RUN) /* what is gone through in turn */
#define PAYLOAD 1448u
#define FRAME   1536u /* from one frame's payload to the next, in cache lines, as node_weir.c has them */
#define ROUNDS  20000u
#define TRIES   7

static const struct wi_csum_form *form;
static volatile uint64_t sink; /* so that a sum is not left out */

/* The bytes of a frame, or of a block, to the program. */
static void by_memcpy(uint8_t *frame, uint8_t *bytes, size_t len)
{
    memcpy(bytes, frame, len);
}

static void by_sum(uint8_t *frame, uint8_t *bytes, size_t len)
{
    (void)bytes;
    sink = form->sum(frame, len);
}

/* The other way. */
static void by_both(uint8_t *frame, uint8_t *bytes, size_t len)
{
    sink = form->copy(frame, bytes, len);
}

struct way {
    const char *name;
    void (*go)(uint8_t *frame, uint8_t *bytes, size_t len);
};

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The best of some tries: others have a share of the machine. `stride`: from one frame to the next. */
static double gigabytes(const struct way *way, uint8_t *frames, uint8_t *bytes, size_t len, size_t stride)
{
    size_t n = BUFFER / stride;
    uint64_t rounds = (uint64_t)ROUNDS * RUN / len;
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double began = seconds();
        for (uint64_t k = 0; k < rounds; k++)
            way->go(frames + k % n * stride, bytes + k % n * len, len);
        double rate = (double)rounds * (double)len / (seconds() - began) / 1e9;
        best = rate > best ? rate : best;
    }
    return best;
}

int main(void)
{
    static const struct way ways[] = {{"memcpy", by_memcpy}, {"sum", by_sum}, {"copy and sum", by_both}};
    uint8_t *frames = aligned_alloc(64, BUFFER), *bytes = aligned_alloc(64, BUFFER);
    if (!frames || !bytes) {
        fprintf(stderr, "bench-limit: out of memory\n");
        return 1;
    }
    memset(frames, 1, BUFFER);
    memset(bytes, 2, BUFFER);
    form = wi_csum_form_best();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        printf("%s\t%.1f\t%.1f\n", ways[i].name, gigabytes(&ways[i], frames, bytes, RUN, RUN),
               gigabytes(&ways[i], frames, bytes, PAYLOAD, FRAME));
    free(frames);
    free(bytes);
    return 0;
}
