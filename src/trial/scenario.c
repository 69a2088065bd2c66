/*
 * Drawing a scenario, and telling it (scenario.h).
 */
#include "trial/scenario.h"

#include "io/link_spec.h"

#include <inttypes.h>
#include <weir/weir.h>

static uint32_t between(struct wio_rng *r, uint32_t least, uint32_t most)
{
    return least + wio_rng_below(r, most - least + 1);
}

/* As many small numbers as large ones: uniform in the logarithm. */
static uint64_t any_size(struct wio_rng *r, unsigned bits_max)
{
    unsigned bits = wio_rng_below(r, bits_max + 1);
    return bits ? wio_rng_u64(r) >> (64 - bits) : 0;
}

static void draw_dir(struct wio_rng *r, enum wtl_kind kind, struct wio_dir_config *d)
{
    const uint32_t percent = WIO_PROB_ONE / 100;
    bool all = kind == WTL_ALL;
    if (kind != WTL_CLEAN)
        d->delay = WEIR_US(between(r, 10, 200000));
    if (kind == WTL_RATE || (all && between(r, 0, 1))) {
        d->rate_bps = UINT64_C(100000) << wio_rng_below(r, 14); /* 100 kbit/s to 800 Mbit/s */
        d->queue_bytes = between(r, 8000, 200000);
    }
    if (kind == WTL_LOSS || kind == WTL_BURST || all)
        d->loss = between(r, 1, 10 * percent);
    if (kind == WTL_BURST || (all && between(r, 0, 1)))
        d->burst_milli = between(r, 1000, 8000);
    if (kind == WTL_JITTER || all)
        d->jitter = WEIR_US(between(r, 1, 20000));
    if (kind == WTL_REORDER || all) {
        d->reorder = between(r, 1, 30 * percent);
        d->reorder_gap = between(r, 1, 10);
    }
    if (kind == WTL_DUPLICATE || all)
        d->duplicate = between(r, 1, 30 * percent);
    if (kind == WTL_CORRUPT || all)
        d->corrupt = between(r, 1, 5 * percent);
    d->dist = between(r, 0, 1) ? WIO_DIST_NORMAL : WIO_DIST_UNIFORM;
}

static struct wsim_plan draw_plan(struct wio_rng *r)
{
    struct wsim_plan p = {.bytes = any_size(r, 20)};
    p.write_bytes = between(r, 0, 3) ? between(r, 500, 65536) : between(r, 1, 3000);
    p.read_bytes = between(r, 0, 3) ? 65536 : between(r, 100, 3000);
    if (p.bytes < 20000 && between(r, 0, 7) == 0)
        p.read_pause = WEIR_US(between(r, 1, 300000));
    if (p.bytes / p.write_bytes < 100 && between(r, 0, 7) == 0)
        p.write_pause = WEIR_US(between(r, 1, 300000));
    p.answers = between(r, 0, 3) == 0;
    p.ending = (enum wsim_ending)between(r, 0, 1);
    if (between(r, 0, 3) == 0)
        p.sndbuf = (int)between(r, 2000, 40000);
    if (between(r, 0, 3) == 0)
        p.rcvbuf = (int)between(r, 2000, 40000);
    p.nodelay = between(r, 0, 1);
    return p;
}

struct wtl_scenario wtl_scenario_draw(uint64_t seed)
{
    static const uint32_t mtus[] = {576, 1280, 1500, 1500, 1500, 9000};
    struct wtl_scenario s = {.seed = seed, .kind = (enum wtl_kind)(seed % WTL_KIND_N)};
    struct wio_rng r;
    wio_rng_init(&r, seed, 2000);
    s.family = between(&r, 0, 1) ? WEIR_AF_INET : WEIR_AF_INET6;
    s.link.type = between(&r, 0, 1) ? WEIR_LINK_ETHERNET : WEIR_LINK_RAW_IP;
    s.link.mtu = mtus[wio_rng_below(&r, sizeof mtus / sizeof mtus[0])];
    if (s.link.mtu < 1280 && s.family == WEIR_AF_INET6)
        s.link.mtu = 1280;
    for (int dir = 0; dir < 2; dir++)
        draw_dir(&r, s.kind, &s.link.dir[dir]);
    s.flow_n = between(&r, 1, WTL_FLOWS_MAX);
    for (unsigned i = 0; i < s.flow_n; i++) {
        s.client[i] = draw_plan(&r);
        s.server[i] = draw_plan(&r);
        if (s.client[i].answers) /* or both would wait for ever */
            s.server[i].answers = false;
        if (between(&r, 0, 3) == 0)
            s.server[i].ending = WSIM_END_WAIT;
    }
    return s;
}

static void print_plan(const struct wsim_plan *p, const char *who, FILE *out)
{
    static const char *const endings[] = {"half-close", "close", "wait"};
    fprintf(out,
            "    %s: %" PRIu64 " bytes, writes of %" PRIu32 ", reads of %" PRIu32 ", pauses %" PRIu64 "/%" PRIu64
            " us, buffers %d/%d, %s%s%s\n",
            who, p->bytes, p->write_bytes, p->read_bytes, p->write_pause / 1000, p->read_pause / 1000, p->sndbuf,
            p->rcvbuf, endings[p->ending], p->answers ? ", answers" : "", p->nodelay ? ", nodelay" : "");
}

void wtl_scenario_print(const struct wtl_scenario *s, FILE *out)
{
    char spec[WIO_SPEC_TEXT_CAP];
    fprintf(out, "seed %" PRIu64 ": IPv%d, %s, MTU %" PRIu32 ", link '%s'%s%s\n", s->seed,
            s->family == WEIR_AF_INET ? 4 : 6, s->link.type == WEIR_LINK_ETHERNET ? "Ethernet" : "raw IP", s->link.mtu,
            wio_link_spec_format(&s->link, spec, sizeof spec), s->cc[0] ? ", " : "", s->cc);
    if (s->is_steady) {
        fprintf(out, "  the client sends %" PRIu64 " bytes\n", s->client[0].bytes);
        return;
    }
    for (unsigned i = 0; i < s->flow_n; i++) {
        fprintf(out, "  connection %u\n", i + 1);
        print_plan(&s->client[i], "client", out);
        print_plan(&s->server[i], "server", out);
    }
}

struct wtl_scenario wtl_scenario_transfer(uint64_t seed, const struct wio_link_config *link, const char *cc,
                                          uint64_t bytes)
{
    struct wtl_scenario s = {.seed = seed, .family = WEIR_AF_INET, .link = *link, .flow_n = 1, .is_steady = true};
    s.link.type = WEIR_LINK_RAW_IP; /* no neighbour to be asked for over a link that loses packets */
    if (s.link.mtu == 0)
        s.link.mtu = 1500;
    snprintf(s.cc, sizeof s.cc, "%s", cc ? cc : "");
    s.client[0].bytes = bytes;
    s.server[0].ending = WSIM_END_WAIT;
    return s;
}
