/*
 * The matrix's cells, and playing them in as many processes as are wanted (matrix.h).
 */
#include "trial/matrix.h"

#include "io/link_spec.h"
#include "io/units.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/weir.h>

#define MBIT  UINT64_C(1000000)
#define BLOAT "bufferbloat"

struct trouble {
    const char *name, *words;
};

static const struct trouble troubles[] = {
    {"none", ""},
    {"loss 0.1%", "loss=0.1%"},
    {"loss 1%", "loss=1%"},
    {"loss 3%", "loss=3%"},
    {"loss 10%", "loss=10%"},
    {"loss 20%", "loss=20%"},
    {"burst 1%", "loss=1% burst=4"},
    {"burst 5%", "loss=5% burst=8"},
    {"reordering 2%", "reorder=2% gap=3"},
    {"reordering 25%", "reorder=25%"},
    {"duplication 5%", "dup=5%"},
    {"ACK loss 30%", "down.loss=30%"},
    {"policer", "police"}, /* at half the rate; see put_policer */
    {BLOAT, "bloat"},      /* a queue of two seconds; see queue_bytes */
};
static const uint64_t matrix_rates[] = {MBIT, 10 * MBIT, 100 * MBIT, 1000 * MBIT, 10000 * MBIT};
static const weir_ns matrix_rtts[] = {WEIR_MS(1), WEIR_MS(20), WEIR_MS(100), WEIR_MS(600)};

static const struct trouble losses[] = {
    {"0", ""}, {"0.1%", "loss=0.1%"}, {"1%", "loss=1%"}, {"3%", "loss=3%"}, {"10%", "loss=10%"},
};
static const uint64_t goodput_rates[] = {10 * MBIT, 100 * MBIT};
static const weir_ns goodput_rtts[] = {WEIR_MS(10), WEIR_MS(50), WEIR_MS(200)};

#define COUNT(a) (unsigned)(sizeof(a) / sizeof((a)[0]))

/* ---- Cells ---- */

unsigned wtl_controls(const char *names[WTL_CC_MAX])
{
    static const char *const known[] = {"reno", "cubic", "bbr", "dctcp"};
    struct wsim_world *wd = wsim_world_new(&(struct wsim_config){0});
    struct wsim_host *h = wd ? wsim_host_add(wd, "asked") : NULL;
    unsigned n = 0;
    for (unsigned i = 0; h && i < COUNT(known); i++)
        if (weir_sysctl_set(h->w, "tcp_congestion_control", known[i]) == 0)
            names[n++] = known[i];
    wsim_world_free(wd);
    return n;
}

static uint64_t bdp(uint64_t rate_bps, weir_ns rtt)
{
    return (uint64_t)((unsigned __int128)rate_bps * rtt / 8 / WEIR_SEC(1));
}

static uint64_t within(uint64_t v, uint64_t least, uint64_t most)
{
    return v < least ? least : v > most ? most : v;
}

struct grid {
    const uint64_t *rates;
    unsigned rate_n;
    const weir_ns *rtts;
    unsigned rtt_n;
    const struct trouble *troubles;
    unsigned trouble_n;
    uint64_t least_bytes, most_bytes; /* between them, so many times the bandwidth-delay product: */
    unsigned bdps;
};

static unsigned cells_of(const struct grid *g, const char *only, struct wtl_cell *cells, unsigned cap)
{
    const char *names[WTL_CC_MAX];
    unsigned cc_n = wtl_controls(names), n = 0;
    unsigned all = g->rate_n * g->rtt_n * g->trouble_n * cc_n;
    for (unsigned i = 0; i < all && n < cap; i++) {
        unsigned cc = i % cc_n, trouble = i / cc_n % g->trouble_n, rtt = i / cc_n / g->trouble_n % g->rtt_n;
        if (only && strcmp(names[cc], only) != 0)
            continue;
        struct wtl_cell c = {.rate_bps = g->rates[i / cc_n / g->trouble_n / g->rtt_n],
                             .rtt = g->rtts[rtt],
                             .trouble = g->troubles[trouble].name,
                             .words = g->troubles[trouble].words,
                             .cc = names[cc]};
        unsigned times = strcmp(c.trouble, BLOAT) == 0 ? 4 : 1; /* what never fills the path never fills its queue */
        c.bytes = within(times * g->bdps * bdp(c.rate_bps, c.rtt), g->least_bytes, times * g->most_bytes);
        cells[n++] = c;
    }
    return n;
}

unsigned wtl_matrix_cells(const char *only, struct wtl_cell *cells, unsigned cap)
{
    static const struct grid grid = {matrix_rates,
                                     COUNT(matrix_rates),
                                     matrix_rtts,
                                     COUNT(matrix_rtts),
                                     troubles,
                                     COUNT(troubles),
                                     256 << 10,
                                     1 << 20,
                                     2};
    return cells_of(&grid, only, cells, cap);
}

unsigned wtl_goodput_cells(const char *only, struct wtl_cell *cells, unsigned cap)
{
    static const struct grid grid = {goodput_rates,
                                     COUNT(goodput_rates),
                                     goodput_rtts,
                                     COUNT(goodput_rtts),
                                     losses,
                                     COUNT(losses),
                                     4 << 20,
                                     16 << 20,
                                     10};
    return cells_of(&grid, only, cells, cap);
}

/* One bandwidth-delay product, as a network is usually dimensioned; bloated: two seconds, if memory allows. */
static uint64_t queue_bytes(const struct wtl_cell *c)
{
    if (strcmp(c->words, "bloat") == 0)
        return within(bdp(c->rate_bps, WEIR_SEC(2)), 30000, 32 << 20);
    return within(bdp(c->rate_bps, c->rtt), 30000, UINT64_C(1) << 32);
}

const char *wtl_cell_link(const struct wtl_cell *c, char *buf, size_t cap)
{
    char rate[32], half[32], bucket[32], delay[32], queue[32];
    wio_unit_format(WIO_UNIT_RATE, c->rate_bps, rate, sizeof rate);
    wio_unit_format(WIO_UNIT_TIME, c->rtt / 2, delay, sizeof delay);
    wio_unit_format(WIO_UNIT_SIZE, queue_bytes(c), queue, sizeof queue);
    int n = snprintf(buf, cap, "rate=%s delay=%s queue=%s", rate, delay, queue);
    if (n < 0 || (size_t)n >= cap)
        return buf;
    if (strcmp(c->words, "police") == 0) {
        wio_unit_format(WIO_UNIT_RATE, c->rate_bps / 2, half, sizeof half);
        /* 50 ms of it, and of so little that even a short transfer at 10 Gbit/s finds it empty */
        wio_unit_format(WIO_UNIT_SIZE, within(bdp(c->rate_bps / 2, WEIR_MS(50)), 16384, c->bytes / 8), bucket,
                        sizeof bucket);
        snprintf(buf + n, cap - (size_t)n, " up.police=%s up.bucket=%s", half, bucket);
    } else if (c->words[0] && strcmp(c->words, "bloat") != 0) {
        snprintf(buf + n, cap - (size_t)n, " %s", c->words);
    }
    return buf;
}

/* ---- Playing ---- */

bool wtl_cell_play(const struct wtl_cell *c, uint64_t seed, struct wtl_outcome *o)
{
    struct wio_link_config link = {0};
    char spec[WIO_SPEC_TEXT_CAP], err[256];
    if (wio_link_spec_parse(&link, wtl_cell_link(c, spec, sizeof spec), err, sizeof err) != 0) {
        *o = (struct wtl_outcome){0};
        snprintf(o->err, sizeof o->err, "the link: %s", err);
        return false;
    }
    struct wtl_scenario s = wtl_scenario_transfer(seed, &link, c->cc, c->bytes);
    return wtl_play(&s, NULL, o);
}

void wtl_cell_complain(const struct wtl_cell *c, uint64_t seed, const struct wtl_outcome *o, FILE *out)
{
    char spec[WIO_SPEC_TEXT_CAP];
    fprintf(out, "%s\n  again: weir sim run --seed %" PRIu64 " --link '%s' --cc %s --bytes %" PRIu64 "\n", o->err, seed,
            wtl_cell_link(c, spec, sizeof spec), c->cc, c->bytes);
    fflush(out);
}

static volatile sig_atomic_t is_stopped;

static void on_interrupt(int sig)
{
    (void)sig;
    is_stopped = 1;
}

/* What the processes share: each writes its own places alone. */
struct board {
    const struct wtl_cell *cells;
    unsigned cell_n;
    const struct wtl_matrix_plan *plan;
    uint64_t *figures;                 /* cell by cell, a figure for each seed */
    struct wtl_matrix_result *results; /* of each process */
};

static void play_share(const struct board *b, unsigned which)
{
    const struct wtl_matrix_plan *plan = b->plan;
    unsigned stride = plan->stride ? plan->stride : 1;
    uint64_t turn = 0;
    for (uint64_t k = 0; k < plan->seed_n && !is_stopped; k++) {
        uint64_t seed = plan->first_seed + k;
        for (unsigned i = (unsigned)(seed % stride); i < b->cell_n; i += stride) {
            struct wtl_outcome o;
            if (turn++ % plan->jobs != which || is_stopped)
                continue;
            bool is_good = wtl_cell_play(&b->cells[i], seed, &o);
            b->figures[i * plan->seed_n + k] = is_good ? o.goodput_bps : 0;
            *(is_good ? &b->results[which].passed : &b->results[which].failed) += 1;
            if (!is_good)
                wtl_cell_complain(&b->cells[i], seed, &o, plan->complaints);
        }
    }
}

static int wait_all(const pid_t *pids, unsigned n)
{
    int bad = 0, status;
    for (unsigned i = 0; i < n; i++) {
        pid_t ended;
        while ((ended = waitpid(pids[i], &status, 0)) < 0 && errno == EINTR)
            for (unsigned k = i; k < n; k++) /* a terminal has told them, kill has not */
                kill(pids[k], SIGINT);
        if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            bad = -EIO;
    }
    return bad;
}

static int play_all(const struct board *b)
{
    pid_t pids[64];
    unsigned n = 0;
    int err = 0;
    if (b->plan->jobs == 1) {
        play_share(b, 0);
        return 0;
    }
    fflush(NULL); /* or each process would write it again */
    for (; n < b->plan->jobs && n < COUNT(pids) && !err; n++) {
        pids[n] = fork();
        if (pids[n] == 0) {
            play_share(b, n);
            _exit(0);
        }
        if (pids[n] < 0)
            err = -errno;
    }
    int bad = wait_all(pids, err ? n - 1 : n);
    return err ? err : bad;
}

int wtl_matrix_run(const struct wtl_cell *cells, unsigned cell_n, const struct wtl_matrix_plan *plan, uint64_t *goodput,
                   struct wtl_matrix_result *r)
{
    size_t figures_len = cell_n * plan->seed_n * sizeof(uint64_t);
    size_t len = figures_len + plan->jobs * sizeof *r;
    uint8_t *shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -errno;
    struct board b = {cells, cell_n, plan, (uint64_t *)(void *)shared,
                      (struct wtl_matrix_result *)(void *)(shared + figures_len)};
    struct sigaction before, stop = {.sa_handler = on_interrupt};
    is_stopped = 0;
    sigaction(SIGINT, &stop, &before);
    int err = play_all(&b);
    sigaction(SIGINT, &before, NULL);
    *r = (struct wtl_matrix_result){.is_interrupted = is_stopped};
    for (unsigned i = 0; i < plan->jobs; i++) {
        r->passed += b.results[i].passed;
        r->failed += b.results[i].failed;
    }
    if (goodput)
        memcpy(goodput, b.figures, figures_len);
    munmap(shared, len);
    return err;
}
