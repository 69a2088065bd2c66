/*
 * A world of two hosts and a link, a scenario in it, and what must hold (play.h).
 */
#include "trial/play.h"

#include "trace/capture.h"
#include "trace/json.h"
#include "trace/story.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define TIME_MAX   WEIR_SEC(200 * 3600) /* of a transfer: far beyond what any of them needs */
#define TIME_AFTER WEIR_SEC(1800)       /* for orphans to end and 2 MSL to pass */
#define TIME_IDLE  WEIR_SEC(2)
#define STEPS_MAX  5000000
/* Timers fire on the wheel's ticks, which are coarser the further away they are; paced segments wait for theirs. */
#define RTO_SLACK(rto) (WEIR_MS(10) + (rto) / 32)

#define SILENCE_MASK                                                                                                   \
    (WEIR_EV_BIT(WEIR_EV_SEG_OUT) | WEIR_EV_BIT(WEIR_EV_SEG_IN) | WEIR_EV_BIT(WEIR_EV_RTT) | WEIR_EV_BIT(WEIR_EV_TIMER))

/* The sender's last sign of life, and its timeout then, or when the timer was set before an RTT sample changed it. */
struct silence {
    weir_ns since, rto;
    weir_ns restarted_at; /* the timer, by an advance or because it fired */
    uint32_t acked;
};

struct play {
    const struct wtl_scenario *s;
    const struct wtl_play_opts *opts;
    struct wsim_world *world;
    struct wsim_host *hosts[2]; /* by enum wio_side */
    struct wio_link *link;
    struct wsim_flow flows[WTL_FLOWS_MAX];
    size_t used_before[2];
    bool is_under_way; /* connections were begun */
    struct silence silence;
    struct wio_pcapng *pcap;
    struct wtr_capture *capture;
    struct wtr_story *story;
    struct wtr_json *json;
};

/* ---- Watching ---- */

#define ACK_DELAY_MAX WEIR_MS(200)

/* How long a sender with these estimates may be silent: a retransmission timeout (RFC 6298 5.1), or a probe timeout
 * where the retransmission timer is overdue already (RFC 8985 7.2). */
static weir_ns patience(const struct weir_ev_conn *c)
{
    weir_ns pto = 2 * c->srtt + ACK_DELAY_MAX;
    return c->rto > pto ? c->rto : pto;
}

/* With anything outstanding a timer runs, so something happens within the timeout. */
static void watch_silence(struct play *p, const struct weir_event *ev)
{
    const struct wsim_flow *f = &p->flows[0];
    struct silence *q = &p->silence;
    if (!p->is_under_way || f->server.received == f->server.wanted)
        return;
    if (q->since && ev->at - q->since > q->rto + RTO_SLACK(q->rto))
        wsim_fail(p->world,
                  "the client was silent for %" PRIu64 " ms, which its timeout of %" PRIu64 " ms does not explain",
                  (ev->at - q->since) / 1000000, q->rto / 1000000);
    /* A sample taken from a SACK block changes the timeout and not the timer that runs: only an advance restarts it. */
    bool is_advance = ev->kind == WEIR_EV_SEG_IN && ev->u.seg.ack_rel != q->acked;
    if (is_advance)
        q->acked = ev->u.seg.ack_rel;
    if (is_advance || ev->kind == WEIR_EV_TIMER)
        q->restarted_at = ev->at;
    weir_ns rto = patience(&ev->conn);
    if (q->restarted_at == ev->at || rto > q->rto)
        q->rto = rto;
    q->since = ev->at;
}

/* Each nanosecond of a connection has one cause: the parts sum to the time from its first event to its last. */
static void check_ledger(struct play *p, const struct wsim_host *h, const struct weir_event *ev)
{
    const struct weir_ledger *l = ev->u.close.ledger;
    weir_ns sum = 0;
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++)
        sum += l->spent[i];
    if (sum != l->life || l->life != ev->at - ev->u.close.opened_at)
        wsim_fail(p->world, "%s: the ledger accounts for %" PRIu64 " of %" PRIu64 " ns", h->name, sum,
                  ev->at - ev->u.close.opened_at);
}

static void on_event(void *ctx, struct wsim_host *h, const struct weir_event *ev)
{
    struct play *p = ctx;
    enum wio_side side = h == p->hosts[WIO_NEAR] ? WIO_NEAR : WIO_FAR;
    if (p->capture)
        wtr_capture_event(p->capture, side, ev);
    if (p->story)
        wtr_story_event(p->story, side, ev);
    if (p->json)
        wtr_json_event(p->json, h->name, ev);
    if (p->opts->on_event && p->opts->event_mask & WEIR_EV_BIT(ev->kind))
        p->opts->on_event(p->opts->ctx, side, ev);
    if (p->s->is_steady && side == WIO_NEAR && SILENCE_MASK & WEIR_EV_BIT(ev->kind))
        watch_silence(p, ev);
    if (ev->kind == WEIR_EV_CLOSE && ev->remote) /* a listener has no life of its own */
        check_ledger(p, h, ev);
}

static void on_note(void *ctx, const struct wio_link_note *note)
{
    struct play *p = ctx;
    if (p->capture)
        wtr_capture_link(p->capture, note);
    if (p->story)
        wtr_story_link(p->story, note);
    if (p->json)
        wtr_json_link(p->json, "link", note, p->s->link.type);
    if (p->opts->on_note)
        p->opts->on_note(p->opts->ctx, note);
}

static struct wio_verdict on_judge(void *ctx, enum wio_dir dir, const struct weir_pkt *pkt)
{
    const struct play *p = ctx;
    return p->opts->judge(p->opts->ctx, dir, pkt);
}

/* ---- Beginning ---- */

const char *const wtl_patience[][2] = {{"net.ipv4.tcp_syn_retries", "127"},
                                       {"net.ipv4.tcp_synack_retries", "127"},
                                       {"net.ipv4.tcp_retries2", "127"},
                                       {"net.ipv4.tcp_orphan_retries", "127"},
                                       {NULL, NULL}};

static void make_patient(struct weir *w)
{
    for (size_t i = 0; wtl_patience[i][0]; i++)
        weir_sysctl_set(w, wtl_patience[i][0], wtl_patience[i][1]);
    weir_sysctl_set(w, "net.ipv4.neigh.default.mcast_solicit", "255");
    weir_sysctl_set(w, "net.ipv4.neigh.default.ucast_solicit", "255");
}

static uint64_t events_wanted(const struct play *p)
{
    uint64_t mask = WEIR_EV_BIT(WEIR_EV_CLOSE) | (p->opts->on_event ? p->opts->event_mask : 0);
    if (p->capture)
        mask |= WTR_WHY_MASK;
    if (p->story)
        mask |= WTR_STORY_MASK;
    if (p->s->is_steady)
        mask |= SILENCE_MASK;
    return p->json ? WEIR_EV_ALL : mask;
}

static bool make_link(struct play *p)
{
    struct wio_link_config c = p->s->link;
    c.is_captured = p->s->is_captured || p->opts->pcap;
    p->link = wsim_link_add(p->world, p->hosts[WIO_NEAR], p->hosts[WIO_FAR], &c);
    if (!p->link)
        return false;
    if (p->capture || p->story || p->json || p->opts->on_note)
        wio_link_set_tap(p->link, on_note, p);
    if (p->opts->judge)
        wio_link_set_judge(p->link, on_judge, p);
    return true;
}

static bool begin(struct play *p)
{
    struct wsim_config c = {
        .seed = p->s->seed,
        .check_every = 64,
        .steps_max = STEPS_MAX,
        .event_mask = events_wanted(p),
        .ctx = p,
    };
    if (c.event_mask)
        c.on_event = on_event;
    p->world = wsim_world_new(&c);
    if (!p->world)
        return false;
    p->hosts[WIO_NEAR] = wsim_host_add(p->world, "client");
    p->hosts[WIO_FAR] = wsim_host_add(p->world, "server");
    if (!p->hosts[WIO_NEAR] || !p->hosts[WIO_FAR] || !make_link(p))
        return false;
    for (int i = 0; i < 2; i++) {
        make_patient(p->hosts[i]->w);
        if (p->s->cc[0] && weir_sysctl_set(p->hosts[i]->w, "tcp_congestion_control", p->s->cc) < 0)
            wsim_fail(p->world, "there is no congestion control '%s'", p->s->cc);
    }
    /* Duplicate address detection and the like are over before anybody counts. */
    wsim_run(p->world, WEIR_SEC(5), NULL, NULL);
    for (int i = 0; i < 2; i++)
        p->used_before[i] = weir_mem_used(p->hosts[i]->w);
    return true;
}

static void connect_all(struct play *p)
{
    if (p->opts->on_begin)
        p->opts->on_begin(p->opts->ctx, p->flows, wsim_now(p->world));
    p->is_under_way = true;
    for (unsigned i = 0; i < p->s->flow_n; i++) {
        struct weir_sockaddr to = {.addr = wsim_addr(1, WIO_FAR, p->s->family),
                                   .family = (uint16_t)p->s->family,
                                   .port = (uint16_t)(33000 + i)}; /* a port that no dissector claims */
        wsim_flow_begin(&p->flows[i], p->hosts[WIO_NEAR], p->hosts[WIO_FAR], &to, &p->s->client[i], &p->s->server[i],
                        p->s->seed * WTL_FLOWS_MAX + i);
    }
}

/* ---- Ending ---- */

static bool are_done(void *ctx)
{
    const struct play *p = ctx;
    for (unsigned i = 0; i < p->s->flow_n; i++)
        if (!p->flows[i].is_done)
            return false;
    return true;
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

static uint64_t counter(const struct wsim_host *h, const char *name)
{
    uint64_t n = 0;
    weir_stat_get(h->w, name, &n);
    return n;
}

static void check_quiet(struct play *p)
{
    for (int i = 0; i < 2; i++) {
        uint64_t established = counter(p->hosts[i], "TcpCurrEstab");
        if (established > 0)
            wsim_fail(p->world, "%s: %" PRIu64 " connections are still open", p->hosts[i]->name, established);
        size_t used = weir_mem_used(p->hosts[i]->w);
        if (used > p->used_before[i])
            wsim_fail(p->world, "%s: uses %zu bytes, %zu before", p->hosts[i]->name, used, p->used_before[i]);
    }
}

static void run(struct play *p)
{
    connect_all(p);
    if (wsim_run(p->world, wsim_now(p->world) + TIME_MAX, are_done, p))
        return;
    check_ended(p);
    /* In two parts: a stack that has nothing more to do is told the time at the end of each, and gives back what it
     * holds in reserve when it has been idle between them. */
    if (wsim_run(p->world, wsim_now(p->world) + TIME_AFTER, NULL, NULL) ||
        wsim_run(p->world, wsim_now(p->world) + TIME_IDLE, NULL, NULL))
        return;
    check_quiet(p);
}

/* ---- What came of it ---- */

static void measure_end(const struct wsim_end *e, weir_ns began, struct wtl_outcome *o)
{
    if (e->wanted == 0)
        return;
    o->bytes += e->received;
    o->stall = e->stall > o->stall ? e->stall : o->stall;
    if (e->last_at - began > o->took)
        o->took = e->last_at - began;
}

static void measure(const struct play *p, struct wtl_outcome *o)
{
    for (unsigned i = 0; i < p->s->flow_n; i++) {
        measure_end(&p->flows[i].client, p->flows[0].began, o);
        measure_end(&p->flows[i].server, p->flows[0].began, o);
    }
    if (o->took > 0)
        o->goodput_bps = (uint64_t)((unsigned __int128)o->bytes * 8 * WEIR_SEC(1) / o->took);
    for (int i = 0; i < 2; i++) {
        struct wio_link_stats st = wio_link_stats(p->link, (enum wio_dir)i);
        o->retransmits += counter(p->hosts[i], "TcpRetransSegs");
        o->timeouts += counter(p->hosts[i], "TCPTimeouts");
        o->packets += st.sent_pkts;
        o->drops += st.lost + st.scripted + st.policed + st.queue_full + st.hold_full + st.no_memory + st.too_big;
    }
}

static void tell_stories(const struct play *p)
{
    for (unsigned i = 0; wtr_story_print(p->story, i, "client", "server", p->opts->story, false); i++)
        fputc('\n', p->opts->story);
}

static void play(struct play *p, struct wtl_outcome *o)
{
    const char *wrong = "the world could not be made";
    if (begin(p)) {
        if (!wsim_error(p->world))
            run(p);
        measure(p, o);
        wrong = wsim_error(p->world);
    }
    snprintf(o->err, sizeof o->err, "%s", wrong ? wrong : "");
    if (p->story)
        tell_stories(p);
    wsim_world_free(p->world);
}

/* ---- Files ---- */

static bool open_files(struct play *p, struct wtl_outcome *o)
{
    const char *pcap = p->opts->pcap, *trace = p->opts->trace;
    if (pcap) {
        p->pcap = wio_pcapng_open(pcap, &(struct wio_pcapng_config){.application = "weir " WEIR_VERSION});
        p->capture = p->pcap ? wtr_capture_new(p->pcap, p->s->link.type, "client", "server") : NULL;
        if (!p->capture)
            snprintf(o->err, sizeof o->err, "%s: %s", pcap, strerror(errno));
    }
    if (trace && !o->err[0]) {
        FILE *out = fopen(trace, "w");
        p->json = out ? wtr_json_new(out, 0) : NULL;
        if (!p->json)
            snprintf(o->err, sizeof o->err, "%s: %s", trace, strerror(errno));
    }
    return !o->err[0];
}

/* What did not hold in the run itself is the better news. */
static void close_files(struct play *p, struct wtl_outcome *o)
{
    wtr_capture_free(p->capture);
    int err = p->pcap ? wio_pcapng_close(p->pcap, NULL) : 0;
    if (err && !o->err[0])
        snprintf(o->err, sizeof o->err, "%s: %s: packets are missing from it", p->opts->pcap, strerror(-err));
    err = wtr_json_close(p->json);
    if (err && !o->err[0])
        snprintf(o->err, sizeof o->err, "%s: %s: lines are missing from it", p->opts->trace, strerror(-err));
}

bool wtl_play(const struct wtl_scenario *s, const struct wtl_play_opts *opts, struct wtl_outcome *o)
{
    static const struct wtl_play_opts none;
    struct play *p = calloc(1, sizeof *p);
    *o = (struct wtl_outcome){0};
    if (!p) {
        snprintf(o->err, sizeof o->err, "no memory");
        return false;
    }
    p->s = s;
    p->opts = opts ? opts : &none;
    if (p->opts->story)
        p->story = wtr_story_new(s->link.type, 0);
    if (open_files(p, o))
        play(p, o);
    close_files(p, o);
    wtr_story_free(p->story);
    free(p);
    return o->err[0] == '\0';
}
