/*
 * A soak (soak.h) for so many minutes: tells how far it is once a minute, and fails when memory grows, when something
 * stalls, when a byte is wrong, or when something is left in the end. Ctrl-C ends it with what there is so far.
 *
 *   bench-soak [--minutes N] [--seed N]
 */
#include "soak.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB             1048576.0
#define ALLOC_SLACK_MIB 2.0
#define RSS_SLACK_MIB   8.0

static volatile sig_atomic_t is_stopped;

static void on_signal(int sig)
{
    (void)sig;
    is_stopped = 1;
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What the kernel has given this process, in MiB. */
static double rss_mib(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    int n = fscanf(f, "%lu %lu", &all, &resident);
    fclose(f);
    return n == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) / MIB : 0;
}

static void tell(const struct soak *s, double took, double alloc_mib, double rss)
{
    struct soak_totals t = soak_totals(s);
    printf(
        "%6.1f min  %8.2f GB verified  %9llu connections  %10llu requests  %7llu cut off  %10llu packets, %llu lost, "
        "%llu sent again  memory %.1f MiB, resident %.1f MiB  virtual %.0f s\n",
        took / 60, (double)t.bytes / 1e9, (unsigned long long)t.transfers + t.brief, (unsigned long long)t.requests,
        (unsigned long long)t.cut_off, (unsigned long long)t.pkts, (unsigned long long)t.lost,
        (unsigned long long)t.retransmits, alloc_mib, rss, t.seconds);
    fflush(stdout);
}

struct watch {
    double began, length;
    double next_sample, next_told;
    double peak_alloc, peak_rss; /* of this minute */
    struct soak_trend alloc, rss;
    uint64_t jobs; /* a minute ago */
};

/* Once a second. NULL or what is wrong. */
static const char *sample(struct watch *w, const struct soak *s)
{
    double now = seconds(), took = now - w->began, alloc = (double)soak_mem_bytes(s) / MIB;
    w->peak_alloc = alloc > w->peak_alloc ? alloc : w->peak_alloc;
    if (now < w->next_sample)
        return NULL;
    w->next_sample = now + 1;
    double rss = rss_mib();
    w->peak_rss = rss > w->peak_rss ? rss : w->peak_rss;
    soak_trend_add(&w->alloc, took / w->length, w->peak_alloc);
    soak_trend_add(&w->rss, took / w->length, rss);
    if (now < w->next_told)
        return NULL;
    tell(s, took, w->peak_alloc, w->peak_rss);
    w->next_told = now + 60;
    w->peak_alloc = w->peak_rss = 0;
    if (soak_jobs(s) == w->jobs)
        return "a stall: no connection has ended for a minute";
    w->jobs = soak_jobs(s);
    return NULL;
}

static const char *run(struct watch *w, struct soak *s)
{
    const char *wrong = NULL;
    while (!is_stopped && !wrong && seconds() - w->began < w->length) {
        wrong = soak_slice(s);
        if (!wrong)
            wrong = sample(w, s);
    }
    tell(s, seconds() - w->began, (double)soak_mem_bytes(s) / MIB, rss_mib());
    if (!wrong && soak_trend_grew(&w->alloc, ALLOC_SLACK_MIB))
        wrong = "what the stacks have of the allocator grows";
    if (!wrong && soak_trend_grew(&w->rss, RSS_SLACK_MIB))
        wrong = "what the process has of the kernel grows";
    return wrong;
}

int main(int argc, char **argv)
{
    double minutes = 30;
    uint64_t seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--minutes") == 0)
            minutes = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else
            minutes = 0;
    }
    if (argc % 2 == 0 || !(minutes > 0)) {
        fprintf(stderr, "usage: bench-soak [--minutes N] [--seed N]\n");
        return 2;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    struct soak *s = soak_new(seed);
    if (!s) {
        fprintf(stderr, "bench-soak: out of memory\n");
        return 1;
    }
    struct watch w = {.began = seconds(), .length = minutes * 60};
    w.next_told = w.began + 60;
    const char *wrong = run(&w, s);
    if (!wrong)
        wrong = soak_drain(s);
    if (wrong)
        printf("FAILED: %s\n", wrong);
    else
        printf(
            "%s: every byte was right, memory was flat, nothing stalled, and nothing was left: %.1f MiB in the end\n",
            is_stopped ? "stopped" : "done", (double)soak_mem_bytes(s) / MIB);
    soak_free(s);
    return wrong ? 1 : 0;
}
