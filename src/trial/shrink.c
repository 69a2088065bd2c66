/*
 * Making a failing scenario small (shrink.h): first what the hosts do, over the link as it is; then, with the link's
 * decisions in hand, the decisions; then the hosts again.
 */
#include "trial/shrink.h"

#include <stdlib.h>
#include <string.h>

#define RUNS_MAX 20000
#define ORDERS   5
#define RATE_BPS UINT64_C(100000000)

struct shrink {
    const struct wtl_condition *condition;
    struct wtl_shrunk *out;
    bool is_replay; /* the decisions are in hand */
};

static bool has_failed(const struct wtl_condition *c, const struct wtl_outcome *o)
{
    return c ? wtl_condition_holds(c, o) : o->err[0] != '\0';
}

static void on_note(void *ctx, const struct wio_link_note *note)
{
    wtl_record_note(ctx, note);
}

static struct wio_verdict on_judge(void *ctx, enum wio_dir dir, const struct weir_pkt *pkt)
{
    return wtl_replay_judge(ctx, dir, pkt);
}

/* Does `s` fail, over its own link or with these decisions over the calm one? */
static bool fails(struct shrink *sh, const struct wtl_scenario *s, const struct wtl_decision *at, size_t n)
{
    struct wtl_replay replay = {.at = at, .n = n, .type = s->link.type};
    struct wtl_play_opts opts = {.judge = on_judge, .ctx = &replay};
    struct wtl_outcome o;
    if (sh->out->runs >= RUNS_MAX)
        return false;
    sh->out->runs++;
    wtl_play(s, sh->is_replay ? &opts : NULL, &o);
    bool has = has_failed(sh->condition, &o);
    if (has)
        sh->out->outcome = o;
    return has;
}

/* ---- The hosts ---- */

static bool keep_if_failing(struct shrink *sh, const struct wtl_scenario *s)
{
    const struct wtl_record *r = &sh->out->decisions;
    if (!fails(sh, s, r->at, r->n))
        return false;
    sh->out->scenario = *s;
    return true;
}

static uint64_t *bytes_of(struct wtl_scenario *s, bool is_client)
{
    return is_client ? &s->client[0].bytes : &s->server[0].bytes;
}

static void cut_bytes(struct shrink *sh, bool is_client)
{
    uint64_t step = *bytes_of(&sh->out->scenario, is_client);
    while (step > 0) {
        struct wtl_scenario s = sh->out->scenario;
        uint64_t *bytes = bytes_of(&s, is_client);
        if (*bytes >= step) {
            *bytes -= step;
            if (keep_if_failing(sh, &s))
                continue;
        }
        step /= 2;
    }
}

/* One thing less that a plan asks for. Returns whether it had asked for it. */
static bool simplify(struct wsim_plan *p, int step, bool is_client)
{
    struct wsim_plan was = *p;
    enum wsim_ending simple = is_client ? WSIM_END_HALF : WSIM_END_WAIT; /* the client closes last, and can be asked */
    switch (step) {
    case 0: p->read_pause = p->write_pause = 0; return was.read_pause || was.write_pause;
    case 1: p->read_bytes = p->write_bytes = 0; return was.read_bytes || was.write_bytes;
    case 2: p->sndbuf = p->rcvbuf = 0; return was.sndbuf || was.rcvbuf;
    case 3: p->nodelay = p->answers = false; return was.nodelay || was.answers;
    default: p->ending = simple; return was.ending != simple;
    }
}

static void simplify_plan(struct shrink *sh, bool is_client)
{
    for (int step = 0; step < 5; step++) {
        struct wtl_scenario s = sh->out->scenario;
        if (simplify(is_client ? &s.client[0] : &s.server[0], step, is_client))
            keep_if_failing(sh, &s);
    }
}

static void simplify_hosts(struct shrink *sh)
{
    struct wtl_scenario s = sh->out->scenario;
    for (unsigned i = 0; i < sh->out->scenario.flow_n && sh->out->scenario.flow_n > 1; i++) {
        s = sh->out->scenario;
        s.flow_n = 1;
        s.client[0] = s.client[i];
        s.server[0] = s.server[i];
        keep_if_failing(sh, &s);
    }
    s = sh->out->scenario;
    s.link.type = WEIR_LINK_RAW_IP; /* no neighbour to be asked for */
    if (s.link.type != sh->out->scenario.link.type)
        keep_if_failing(sh, &s);
    /* Packets that arrive at one moment are one batch for a host, and for a script one after another. */
    s = sh->out->scenario;
    bool has_rates = s.link.dir[WIO_UP].rate_bps && s.link.dir[WIO_DOWN].rate_bps;
    for (int dir = 0; dir < 2; dir++)
        if (s.link.dir[dir].rate_bps == 0)
            s.link.dir[dir].rate_bps = RATE_BPS;
    if (!has_rates)
        keep_if_failing(sh, &s);
    for (int i = 0; i < 2; i++) {
        if (!sh->condition || !wtl_condition_is_of_size(sh->condition))
            cut_bytes(sh, i == 0);
        simplify_plan(sh, i == 0);
    }
}

/* ---- The decisions ---- */

static bool record(struct shrink *sh)
{
    struct wtl_record *r = &sh->out->decisions;
    struct wtl_play_opts opts = {.on_note = on_note, .ctx = r};
    struct wtl_outcome o;
    r->type = sh->out->scenario.link.type;
    wtl_play(&sh->out->scenario, &opts, &o);
    sh->out->decisions_before = r->n;
    return !r->is_short;
}

static int compare_decisions(const void *a, const void *b)
{
    const struct wtl_decision *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Take away runs of decisions, shorter and shorter, as long as it fails without them. `at` may be in any order: what is
 * left depends on it. Returns how many are left. */
static size_t take_away(struct shrink *sh, struct wtl_decision *at, size_t n, struct wtl_decision *without)
{
    for (size_t chunk = n; chunk > 0; chunk /= 2) {
        for (size_t from = 0; from < n;) {
            size_t len = chunk < n - from ? chunk : n - from, left = n - len;
            memcpy(without, at, from * sizeof *at);
            memcpy(without + from, at + from + len, (left - from) * sizeof *at);
            qsort(without, left, sizeof *at, compare_decisions);
            if (fails(sh, &sh->out->scenario, without, left)) {
                memmove(at + from, at + from + len, (left - from) * sizeof *at);
                n = left;
            } else {
                from += len;
            }
        }
    }
    return n;
}

static void shuffle(struct wtl_decision *at, size_t n, struct wio_rng *rng)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = wio_rng_below(rng, (uint32_t)i);
        struct wtl_decision one = at[i - 1];
        at[i - 1] = at[k];
        at[k] = one;
    }
}

/* The smallest of what some orders lead to: each gives a set of which nothing may be missing, but not the same one. */
static bool minimize(struct shrink *sh)
{
    struct wtl_record *r = &sh->out->decisions;
    struct wio_rng rng;
    if (r->n == 0)
        return true;
    size_t all = r->n, best = r->n;
    struct wtl_decision *from = malloc((3 * all + 1) * sizeof *from), *try = from + all, *without = try + all;
    if (!from)
        return false;
    wio_rng_init(&rng, sh->out->scenario.seed, 3000);
    memcpy(from, r->at, all * sizeof *from);
    for (int order = 0; order < ORDERS; order++) {
        memcpy(try, from, all * sizeof *try);
        if (order > 0)
            shuffle(try, all, &rng);
        size_t n = take_away(sh, try, all, without);
        if (n < best || order == 0) {
            best = n;
            qsort(try, n, sizeof *try, compare_decisions);
            memcpy(r->at, try, n * sizeof *try);
            r->n = n;
        }
    }
    free(from);
    return true;
}

static bool is_there(const struct wtl_record *r, const struct wtl_decision *d)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->at[i].dir == d->dir && r->at[i].index == d->index)
            return true;
    return false;
}

/* The same to earlier packets, where that will do: then fewer of them are needed. */
static bool pull_earlier(struct shrink *sh)
{
    struct wtl_record *r = &sh->out->decisions;
    struct wtl_decision *moved = malloc((r->n + 1) * sizeof *moved);
    if (!moved)
        return false;
    for (size_t i = 0; i < r->n;) {
        struct wtl_decision d = r->at[i];
        d.index /= 2;
        memcpy(moved, r->at, r->n * sizeof *moved);
        moved[i] = d;
        qsort(moved, r->n, sizeof *moved, compare_decisions);
        if (!is_there(r, &d) && fails(sh, &sh->out->scenario, moved, r->n))
            memcpy(r->at, moved, r->n * sizeof *moved); /* another one may be at i now */
        else
            i++;
    }
    free(moved);
    return true;
}

enum wtl_shrink_result wtl_shrink(const struct wtl_scenario *s, const struct wtl_condition *condition,
                                  struct wtl_shrunk *out)
{
    struct shrink sh = {.condition = condition, .out = out};
    *out = (struct wtl_shrunk){.scenario = *s};
    out->scenario.is_captured = true; /* no super-segments, with the calm link either */
    if (!fails(&sh, &out->scenario, NULL, 0))
        return WTL_HOLDS;
    simplify_hosts(&sh);
    if (!record(&sh))
        return WTL_NO_MEMORY;
    sh.is_replay = true;
    wtl_link_calm(&out->scenario.link);
    if (!fails(&sh, &out->scenario, out->decisions.at, out->decisions.n))
        return WTL_NOT_DECISIONS;
    size_t before;
    do {
        before = out->decisions.n;
        if (!minimize(&sh) || !pull_earlier(&sh))
            return WTL_NO_MEMORY;
        simplify_hosts(&sh);
    } while (out->decisions.n < before);
    fails(&sh, &out->scenario, out->decisions.at, out->decisions.n); /* its outcome is the last one kept */
    return WTL_SHRUNK;
}

/* ---- Again ---- */

struct again {
    struct wtl_replay replay;
    const struct wtl_play_opts *opts;
};

static struct wio_verdict again_judge(void *ctx, enum wio_dir dir, const struct weir_pkt *pkt)
{
    return wtl_replay_judge(&((struct again *)ctx)->replay, dir, pkt);
}

static void again_note(void *ctx, const struct wio_link_note *note)
{
    const struct wtl_play_opts *o = ((struct again *)ctx)->opts;
    if (o->on_note)
        o->on_note(o->ctx, note);
}

static void again_begin(void *ctx, struct wsim_flow *flows, weir_ns at)
{
    const struct wtl_play_opts *o = ((struct again *)ctx)->opts;
    if (o->on_begin)
        o->on_begin(o->ctx, flows, at);
}

bool wtl_shrunk_play(const struct wtl_shrunk *sh, const struct wtl_play_opts *opts, struct wtl_outcome *o)
{
    static const struct wtl_play_opts none;
    struct again a = {.replay = {.at = sh->decisions.at, .n = sh->decisions.n, .type = sh->scenario.link.type},
                      .opts = opts ? opts : &none};
    struct wtl_play_opts mine = {.judge = again_judge,
                                 .on_note = again_note,
                                 .on_begin = again_begin,
                                 .pcap = a.opts->pcap,
                                 .story = a.opts->story,
                                 .trace = a.opts->trace,
                                 .ctx = &a};
    return wtl_play(&sh->scenario, &mine, o);
}
