/*
 * Drawing and playing a scenario (scenario.h).
 */
#include "scenario.h"

#include "io/link_spec.h"
#include "trace/capture.h"
#include "trace/story.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define TIME_MAX   WEIR_SEC(12 * 3600) /* of a transfer: far beyond what any of them needs */
#define TIME_AFTER WEIR_SEC(1800)      /* for orphans to end and 2 MSL to pass */

/* ---- Drawing ---- */

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

static void draw_dir(struct wio_rng *r, enum scenario_kind kind, struct wio_dir_config *d)
{
    const uint32_t percent = WIO_PROB_ONE / 100;
    bool all = kind == SCENARIO_ALL;
    if (kind != SCENARIO_CLEAN)
        d->delay = WEIR_US(between(r, 10, 200000));
    if (kind == SCENARIO_RATE || (all && between(r, 0, 1))) {
        d->rate_bps = UINT64_C(100000) << wio_rng_below(r, 14); /* 100 kbit/s to 800 Mbit/s */
        d->queue_bytes = between(r, 8000, 200000);
    }
    if (kind == SCENARIO_LOSS || kind == SCENARIO_BURST || all)
        d->loss = between(r, 1, 10 * percent);
    if (kind == SCENARIO_BURST || (all && between(r, 0, 1)))
        d->burst_milli = between(r, 1000, 8000);
    if (kind == SCENARIO_JITTER || all)
        d->jitter = WEIR_US(between(r, 1, 20000));
    if (kind == SCENARIO_REORDER || all) {
        d->reorder = between(r, 1, 30 * percent);
        d->reorder_gap = between(r, 1, 10);
    }
    if (kind == SCENARIO_DUPLICATE || all)
        d->duplicate = between(r, 1, 30 * percent);
    if (kind == SCENARIO_CORRUPT || all)
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

struct scenario scenario_draw(uint64_t seed)
{
    static const uint32_t mtus[] = {576, 1280, 1500, 1500, 1500, 9000};
    struct scenario s = {.seed = seed, .kind = (enum scenario_kind)(seed % SCENARIO_KIND_N)};
    struct wio_rng r;
    wio_rng_init(&r, seed, 2000);
    s.family = between(&r, 0, 1) ? WEIR_AF_INET : WEIR_AF_INET6;
    s.link.type = between(&r, 0, 1) ? WEIR_LINK_ETHERNET : WEIR_LINK_RAW_IP;
    s.link.mtu = mtus[wio_rng_below(&r, sizeof mtus / sizeof mtus[0])];
    if (s.link.mtu < 1280 && s.family == WEIR_AF_INET6)
        s.link.mtu = 1280;
    for (int dir = 0; dir < 2; dir++)
        draw_dir(&r, s.kind, &s.link.dir[dir]);
    s.flow_n = between(&r, 1, SCENARIO_FLOWS_MAX);
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

void scenario_print(const struct scenario *s, FILE *out)
{
    char spec[WIO_SPEC_TEXT_CAP];
    fprintf(out, "seed %" PRIu64 ": IPv%d, %s, MTU %" PRIu32 ", link '%s'\n", s->seed,
            s->family == WEIR_AF_INET ? 4 : 6, s->link.type == WEIR_LINK_ETHERNET ? "Ethernet" : "raw IP", s->link.mtu,
            wio_link_spec_format(&s->link, spec, sizeof spec));
    for (unsigned i = 0; i < s->flow_n; i++) {
        fprintf(out, "  connection %u\n", i + 1);
        print_plan(&s->client[i], "client", out);
        print_plan(&s->server[i], "server", out);
    }
}

/* ---- Watching ---- */

struct watch {
    struct wtr_capture *capture;
    struct wtr_story *story;
    struct wsim_host *hosts[2]; /* by enum wio_side */
};

static void on_event(void *ctx, struct wsim_host *h, const struct weir_event *ev)
{
    struct watch *wt = ctx;
    enum wio_side side = h == wt->hosts[WIO_NEAR] ? WIO_NEAR : WIO_FAR;
    if (wt->capture)
        wtr_capture_event(wt->capture, side, ev);
    if (wt->story)
        wtr_story_event(wt->story, side, ev);
}

static void on_note(void *ctx, const struct wio_link_note *note)
{
    struct watch *wt = ctx;
    if (wt->capture)
        wtr_capture_link(wt->capture, note);
    if (wt->story)
        wtr_story_link(wt->story, note);
}

/* ---- Playing ---- */

struct play {
    const struct scenario *s;
    struct wsim_world *world;
    struct wsim_host *hosts[2];
    struct wsim_flow flows[SCENARIO_FLOWS_MAX];
    size_t used_before[2];
    struct watch watch;
};

/* Persistent hosts: what is tested is that all bytes come, not when a host may give up. */
static void make_patient(struct weir *w)
{
    static const char *const knobs[][2] = {{"tcp_syn_retries", "127"},
                                           {"tcp_synack_retries", "127"},
                                           {"tcp_retries2", "127"},
                                           {"tcp_orphan_retries", "127"},
                                           {"net.ipv4.neigh.default.mcast_solicit", "255"},
                                           {"net.ipv4.neigh.default.ucast_solicit", "255"}};
    for (size_t i = 0; i < sizeof knobs / sizeof knobs[0]; i++)
        weir_sysctl_set(w, knobs[i][0], knobs[i][1]);
}

static bool are_done(void *ctx)
{
    const struct play *p = ctx;
    for (unsigned i = 0; i < p->s->flow_n; i++)
        if (!p->flows[i].is_done)
            return false;
    return true;
}

static bool begin(struct play *p)
{
    struct wsim_config c = {
        .seed = p->s->seed,
        .check_every = 64,
        .steps_max = 5000000,
        .on_event = p->watch.capture || p->watch.story ? on_event : NULL,
        .event_mask = WTR_WHY_MASK | WTR_STORY_MASK,
        .ctx = &p->watch,
    };
    p->world = wsim_world_new(&c);
    p->hosts[WIO_NEAR] = p->watch.hosts[WIO_NEAR] = wsim_host_add(p->world, "client");
    p->hosts[WIO_FAR] = p->watch.hosts[WIO_FAR] = wsim_host_add(p->world, "server");
    if (!p->hosts[WIO_NEAR] || !p->hosts[WIO_FAR])
        return false;
    struct wio_link_config link = p->s->link;
    link.is_captured = p->s->is_captured;
    struct wio_link *l = wsim_link_add(p->world, p->hosts[WIO_NEAR], p->hosts[WIO_FAR], &link);
    if (!l)
        return false;
    if (p->watch.capture || p->watch.story)
        wio_link_set_tap(l, on_note, &p->watch);
    for (int i = 0; i < 2; i++)
        make_patient(p->hosts[i]->w);
    /* Duplicate address detection and the like are over before anybody counts. */
    wsim_run(p->world, WEIR_SEC(5), NULL, NULL);
    for (int i = 0; i < 2; i++)
        p->used_before[i] = weir_mem_used(p->hosts[i]->w);
    return true;
}

static void connect_all(struct play *p)
{
    for (unsigned i = 0; i < p->s->flow_n; i++) {
        struct weir_sockaddr to = {.addr = wsim_addr(1, WIO_FAR, p->s->family),
                                   .family = (uint16_t)p->s->family,
                                   .port = (uint16_t)(33000 + i)}; /* a port that no dissector claims */
        wsim_flow_begin(&p->flows[i], p->hosts[WIO_NEAR], p->hosts[WIO_FAR], &to, &p->s->client[i], &p->s->server[i],
                        p->s->seed * SCENARIO_FLOWS_MAX + i);
    }
}

static void check_ended(struct play *p)
{
    for (unsigned i = 0; i < p->s->flow_n; i++) {
        const struct wsim_flow *f = &p->flows[i];
        if (!f->is_done)
            wsim_fail(p->world,
                      "connection %u has not ended: the client sent %" PRIu64 " of %" PRIu64 ", the server %" PRIu64
                      " of %" PRIu64 "; received %" PRIu64 " and %" PRIu64,
                      i + 1, f->client.sent, f->client.plan.bytes, f->server.sent, f->server.plan.bytes,
                      f->client.received, f->server.received);
        else if (f->client.received != f->client.wanted || f->server.received != f->server.wanted)
            wsim_fail(p->world, "connection %u lacks bytes", i + 1);
    }
}

static void check_quiet(struct play *p)
{
    for (int i = 0; i < 2; i++) {
        uint64_t established = 0;
        weir_stat_get(p->hosts[i]->w, "TcpCurrEstab", &established);
        if (established > 0)
            wsim_fail(p->world, "%s: %" PRIu64 " connections are still open", p->hosts[i]->name, established);
        size_t used = weir_mem_used(p->hosts[i]->w);
        if (used > p->used_before[i])
            wsim_fail(p->world, "%s: uses %zu bytes, %zu before", p->hosts[i]->name, used, p->used_before[i]);
    }
}

static void play(struct play *p)
{
    connect_all(p);
    if (wsim_run(p->world, wsim_now(p->world) + TIME_MAX, are_done, p))
        return;
    check_ended(p);
    if (wsim_run(p->world, wsim_now(p->world) + TIME_AFTER, NULL, NULL))
        return;
    check_quiet(p);
}

static void tell_stories(const struct play *p, FILE *out)
{
    for (unsigned i = 0; wtr_story_print(p->watch.story, i, "client", "server", out, false); i++)
        fputc('\n', out);
}

bool scenario_play(const struct scenario *s, const char *pcap, FILE *story, char *err, size_t err_cap)
{
    struct play *p = calloc(1, sizeof *p);
    struct wio_pcapng *file = NULL;
    p->s = s;
    if (pcap) {
        file = wio_pcapng_open(pcap, &(struct wio_pcapng_config){.application = "weir " WEIR_VERSION});
        p->watch.capture = file ? wtr_capture_new(file, s->link.type, "client", "server") : NULL;
    }
    if (story)
        p->watch.story = wtr_story_new(s->link.type, 0);
    bool is_good = !(pcap && !p->watch.capture) && begin(p);
    if (is_good)
        play(p);
    const char *wrong = is_good ? wsim_error(p->world) : "the world could not be made";
    snprintf(err, err_cap, "%s", wrong ? wrong : "");
    if (story)
        tell_stories(p, story);
    wsim_world_free(p->world);
    wtr_story_free(p->watch.story);
    wtr_capture_free(p->watch.capture);
    if (file && wio_pcapng_close(file, NULL) != 0 && !wrong)
        snprintf(err, err_cap, "the capture could not be written");
    free(p);
    return err[0] == '\0';
}
