/*
 * The work of a soak (soak.h): hosts and links, and slots that each play one connection after another.
 */
#include "soak.h"

#include "sim/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define SLICE        WEIR_MS(10)
#define CLIENTS      4u
#define SLOTS        64u
#define PERIOD       65521u
#define PIECE        16384u
#define ECHO_PORT    7
#define FLOW_PORT    1024u /* and the 64,000 above it: far more than 2 MSL of connections */
#define FLOW_PORTS   64000u
#define STALL_S      180
#define DRAIN_S      3600
#define AFTER        WEIR_SEC(1800) /* for orphans to end and 2 MSL to pass */
#define IDLE         WEIR_SEC(2)    /* then the stacks are told the time, and give back what they have in reserve */
#define KEEP_IDLE_S  30
#define KEEP_EVERY_S 10
#define REQUESTS_MAX 300u
#define WARM_JOBS    100u
#define CUT_OFF_IN   8u /* one in so many askers ends with a reset */

enum kind { TRANSFER, BRIEF, ASKER };

struct slot {
    enum kind kind;
    unsigned client;
    bool is_busy;
    unsigned pause;    /* slices until it begins again */
    uint64_t progress; /* what it had when it last had more */
    weir_ns progress_at;
    struct wsim_flow flow; /* TRANSFER, BRIEF */
    /* ASKER */
    struct asker {
        struct wsim_waiter waiter; /* first: the callbacks get its address */
        struct soak *soak;
        unsigned place; /* of its bytes in the pattern */
        uint64_t sent, got;
        uint32_t asked, answered; /* bytes of the request under way */
        uint32_t requests;        /* still to be made */
        bool is_open, is_cut_off, is_done;
    } asker;
};

/* The server's end of an asker's connection: sends back what comes. */
struct echo {
    struct wsim_waiter waiter; /* first */
    struct soak *soak;
    uint8_t bytes[PIECE];
    uint32_t len, off;
    struct echo *next, **link;
};

struct ear {
    struct wsim_waiter waiter; /* first */
    struct soak *soak;
};

struct soak {
    struct wsim_world *world;
    struct wsim_host *server, *clients[CLIENTS];
    unsigned server_link[CLIENTS]; /* by whose address each reaches the server */
    struct wio_link *links[CLIENTS + 1];
    unsigned link_n;
    struct ear ears[2];
    struct slot slots[SLOTS];
    struct echo *echoes;
    size_t mem_before[CLIENTS + 1];
    uint64_t serial, jobs;
    bool is_draining, forgets_one;
    struct soak_totals totals;
    char error[256];
};

static uint8_t pattern[PERIOD + PIECE];

static void make_pattern(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < PERIOD; i++) {
        x = x * 1664525u + 1013904223u;
        pattern[i] = (uint8_t)(x >> 24);
    }
    for (size_t i = PERIOD; i < sizeof pattern; i++)
        pattern[i] = pattern[i - PERIOD];
}

static uint32_t between(struct soak *s, uint32_t low, uint32_t high)
{
    return low + wio_rng_below(wsim_rng(s->world), high - low + 1);
}

/* ---- Echoes ---- */

static void echo_close(struct echo *e)
{
    weir_close(e->waiter.host->w, e->waiter.fd);
    *e->link = e->next;
    if (e->next)
        e->next->link = e->link;
    free(e);
}

static void on_echo(struct wsim_waiter *wt, uint32_t events)
{
    struct echo *e = (struct echo *)wt;
    struct weir *w = wt->host->w;
    (void)events;
    for (;;) {
        if (e->off == e->len) {
            int64_t got = weir_recv(w, wt->fd, e->bytes, sizeof e->bytes, 0);
            if (got == -WEIR_EAGAIN)
                return;
            if (got <= 0) { /* its end, or cut off */
                echo_close(e);
                return;
            }
            e->len = (uint32_t)got;
            e->off = 0;
        }
        int64_t sent = weir_send(w, wt->fd, e->bytes + e->off, e->len - e->off, 0);
        if (sent == -WEIR_EAGAIN)
            return;
        if (sent < 0) {
            echo_close(e);
            return;
        }
        e->off += (uint32_t)sent;
    }
}

static void set_option(struct soak *s, struct weir *w, weir_fd fd, int level, int name, int value)
{
    int err = weir_setsockopt(w, fd, level, name, &value, sizeof value);
    if (err)
        wsim_fail(s->world, "setsockopt: %s", weir_strerror(err));
}

static void on_ear(struct wsim_waiter *wt, uint32_t events)
{
    struct soak *s = ((struct ear *)wt)->soak;
    struct weir *w = wt->host->w;
    (void)events;
    for (weir_fd fd; (fd = weir_accept(w, wt->fd, NULL)) >= 0;) {
        if (s->forgets_one) {
            s->forgets_one = false;
            continue;
        }
        struct echo *e = calloc(1, sizeof *e);
        if (!e) {
            wsim_fail(s->world, "out of memory");
            return;
        }
        *e = (struct echo){.waiter = {wt->host, fd, on_echo}, .soak = s, .next = s->echoes, .link = &s->echoes};
        if (e->next)
            e->next->link = &e->next;
        s->echoes = e;
        /* Who was cut off by a reset that got lost is noticed. */
        set_option(s, w, fd, WEIR_SOL_SOCKET, WEIR_SO_KEEPALIVE, 1);
        set_option(s, w, fd, WEIR_SOL_TCP, WEIR_TCP_KEEPIDLE, KEEP_IDLE_S);
        set_option(s, w, fd, WEIR_SOL_TCP, WEIR_TCP_KEEPINTVL, KEEP_EVERY_S);
        wsim_wait(&e->waiter, WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLRDHUP);
    }
}

static void listen_for_askers(struct soak *s)
{
    static const int families[] = {WEIR_AF_INET, WEIR_AF_INET6};
    for (unsigned i = 0; i < 2; i++) {
        struct weir_sockaddr at = {
            .addr = weir_addr_any(families[i]), .family = (uint16_t)families[i], .port = ECHO_PORT};
        struct weir *w = wsim_stack(s->server);
        weir_fd fd = weir_socket(w, families[i], WEIR_SOCK_STREAM, 0);
        s->ears[i] = (struct ear){{s->server, fd, on_ear}, s};
        if (families[i] == WEIR_AF_INET6)
            set_option(s, w, fd, WEIR_SOL_IPV6, WEIR_IPV6_V6ONLY, 1);
        int err = fd < 0 ? (int)fd : weir_bind(w, fd, &at);
        err = err ? err : weir_listen(w, fd, 128);
        err = err ? err : wsim_wait(&s->ears[i].waiter, WEIR_POLLIN);
        if (err)
            wsim_fail(s->world, "listen: %s", weir_strerror(err));
    }
}

/* ---- Askers ---- */

static void asker_end(struct asker *a, bool is_cut_off)
{
    struct weir *w = a->waiter.host->w;
    int err = is_cut_off ? weir_abort(w, a->waiter.fd) : weir_close(w, a->waiter.fd);
    if (err)
        wsim_fail(a->soak->world, "an asker's close: %s", weir_strerror(err));
    a->soak->totals.cut_off += is_cut_off;
    a->is_done = true;
}

/* Returns whether there is more to do. */
static bool asker_send(struct asker *a)
{
    if (a->asked == a->answered && a->sent == a->got) {
        if (a->requests == 0) {
            asker_end(a, false);
            return false;
        }
        a->requests--;
        a->asked = between(a->soak, 1, PIECE);
        a->answered = 0;
    }
    uint32_t left = a->asked - (uint32_t)(a->sent - (a->got - a->answered));
    if (left == 0)
        return true;
    int64_t sent = weir_send(a->waiter.host->w, a->waiter.fd, pattern + (a->sent + a->place) % PERIOD, left, 0);
    if (sent < 0 && sent != -WEIR_EAGAIN) {
        wsim_fail(a->soak->world, "an asker's send: %s", weir_strerror((int)sent));
        return false;
    }
    a->sent += sent > 0 ? (uint64_t)sent : 0;
    return true;
}

static bool asker_receive(struct asker *a)
{
    uint8_t bytes[PIECE];
    int64_t got = weir_recv(a->waiter.host->w, a->waiter.fd, bytes, sizeof bytes, 0);
    if (got == -WEIR_EAGAIN)
        return false;
    if (got <= 0 || a->answered + (uint64_t)got > a->asked) {
        wsim_fail(a->soak->world, "an asker's receive: %s",
                  got < 0 ? weir_strerror((int)got) : "not what was asked for");
        return false;
    }
    if (memcmp(bytes, pattern + (a->got + a->place) % PERIOD, (size_t)got) != 0) {
        wsim_fail(a->soak->world, "an asker got bytes that it did not send");
        return false;
    }
    a->got += (uint64_t)got;
    a->answered += (uint32_t)got;
    a->soak->totals.bytes += (uint64_t)got;
    a->soak->totals.requests += a->answered == a->asked;
    return true;
}

static void on_asker(struct wsim_waiter *wt, uint32_t events)
{
    struct asker *a = (struct asker *)wt;
    if (a->is_done)
        return;
    if (!a->is_open && events & (WEIR_POLLERR | WEIR_POLLHUP)) {
        wsim_fail(a->soak->world, "an asker was not let in");
        return;
    }
    a->is_open = true;
    do {
        if (a->is_cut_off && a->requests == 0) {
            asker_end(a, true);
            return;
        }
        if (!asker_send(a))
            return;
    } while (asker_receive(a));
}

static void asker_begin(struct soak *s, struct slot *t, int family)
{
    struct asker *a = &t->asker;
    struct wsim_host *host = s->clients[t->client];
    struct weir_sockaddr to = {
        .addr = wsim_addr(s->server_link[t->client], WIO_FAR, family), .family = (uint16_t)family, .port = ECHO_PORT};
    *a = (struct asker){.waiter = {host, -1, on_asker},
                        .soak = s,
                        .place = between(s, 0, PERIOD - 1),
                        .requests = between(s, 1, REQUESTS_MAX),
                        .is_cut_off = between(s, 1, CUT_OFF_IN) == 1};
    struct weir *w = wsim_stack(host);
    a->waiter.fd = weir_socket(w, family, WEIR_SOCK_STREAM, 0);
    int err = a->waiter.fd < 0 ? (int)a->waiter.fd : 0;
    if (!err) {
        set_option(s, w, a->waiter.fd, WEIR_SOL_TCP, WEIR_TCP_NODELAY, 1);
        err = wsim_wait(&a->waiter, WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLRDHUP);
    }
    err = err ? err : weir_connect(w, a->waiter.fd, &to);
    if (err && err != -WEIR_EINPROGRESS)
        wsim_fail(s->world, "an asker's connect: %s", weir_strerror(err));
}

/* ---- Transfers, and connections that come and go ---- */

static void flow_begin(struct soak *s, struct slot *t, int family)
{
    bool is_brief = t->kind == BRIEF;
    struct wsim_plan plans[2];
    for (int i = 0; i < 2; i++) {
        uint32_t most = is_brief ? 4096 : i == 0 || between(s, 0, 1) ? 1u << between(s, 16, 24) : 64;
        plans[i] = (struct wsim_plan){.bytes = between(s, 0, most), .ending = (enum wsim_ending)between(s, 0, 1)};
    }
    if (between(s, 0, 7) == 0)
        plans[1].read_bytes = between(s, 1, 3) * 20000; /* a reader that takes its time */
    plans[1].read_pause = plans[1].read_bytes ? WEIR_MS(5) : 0;
    if (between(s, 0, 3) == 0)
        plans[1].answers = true;
    struct weir_sockaddr to = {.addr = wsim_addr(s->server_link[t->client], WIO_FAR, family),
                               .family = (uint16_t)family,
                               .port = (uint16_t)(FLOW_PORT + s->serial % FLOW_PORTS)};
    t->flow.watch = (struct wsim_flow_watch){0};
    wsim_flow_begin(&t->flow, s->clients[t->client], s->server, &to, &plans[0], &plans[1], s->serial);
}

/* ---- Slots ---- */

static void slot_begin(struct soak *s, struct slot *t)
{
    int family = between(s, 0, 1) ? WEIR_AF_INET : WEIR_AF_INET6;
    s->serial++;
    t->is_busy = true;
    t->progress = 0;
    t->progress_at = wsim_now(s->world);
    if (t->kind == ASKER)
        asker_begin(s, t, family);
    else
        flow_begin(s, t, family);
}

static bool slot_is_done(const struct slot *t)
{
    return t->kind == ASKER ? t->asker.is_done : t->flow.is_done;
}

static uint64_t slot_progress(const struct slot *t)
{
    return t->kind == ASKER ? t->asker.sent + t->asker.got : t->flow.client.received + t->flow.server.received;
}

static void slot_end(struct soak *s, struct slot *t)
{
    const struct wsim_flow *f = &t->flow;
    t->is_busy = false;
    t->pause = between(s, 1, t->kind == BRIEF ? 20 : 5);
    s->jobs++;
    s->totals.brief += t->kind != TRANSFER;
    s->totals.transfers += t->kind == TRANSFER;
    if (t->kind == ASKER)
        return;
    if (f->client.received != f->client.wanted || f->server.received != f->server.wanted)
        wsim_fail(s->world, "a connection ended before all its bytes had come");
    s->totals.bytes += f->client.received + f->server.received;
}

static void slot_look(struct soak *s, struct slot *t)
{
    if (!t->is_busy) {
        if (s->is_draining || t->pause-- > 1)
            return;
        slot_begin(s, t);
        return;
    }
    if (slot_is_done(t)) {
        slot_end(s, t);
        return;
    }
    uint64_t progress = slot_progress(t);
    if (progress > t->progress)
        t->progress_at = wsim_now(s->world);
    t->progress = progress;
    if (wsim_now(s->world) - t->progress_at > WEIR_SEC(STALL_S))
        wsim_fail(s->world, "a connection of client %u has not moved for %d s, at %llu bytes", t->client + 1, STALL_S,
                  (unsigned long long)progress);
}

const char *soak_slice(struct soak *s)
{
    const char *wrong = wsim_run(s->world, wsim_now(s->world) + SLICE, NULL, NULL);
    for (unsigned i = 0; i < SLOTS && !wrong; i++)
        slot_look(s, &s->slots[i]);
    return wsim_error(s->world);
}

/* ---- The end ---- */

static bool is_idle(void *ctx)
{
    const struct soak *s = ctx;
    for (unsigned i = 0; i < SLOTS; i++)
        if (s->slots[i].is_busy)
            return false;
    return true;
}

/* Let all that is under way end. */
static void wind_down(struct soak *s)
{
    weir_ns began = wsim_now(s->world);
    s->is_draining = true;
    while (!is_idle(s) && !wsim_error(s->world)) {
        soak_slice(s);
        if (wsim_now(s->world) - began > WEIR_SEC(DRAIN_S))
            wsim_fail(s->world, "connections have not ended after %d s", DRAIN_S);
    }
    wsim_run(s->world, wsim_now(s->world) + AFTER, NULL, NULL);
    wsim_run(s->world, wsim_now(s->world) + IDLE, NULL, NULL);
    s->is_draining = false;
}

static void check_memory(struct soak *s, const struct wsim_host *h, size_t before)
{
    uint64_t open = 0;
    weir_stat_get(h->w, "TcpCurrEstab", &open);
    if (open > 0)
        wsim_fail(s->world, "%s: %llu connections are still open", h->name, (unsigned long long)open);
    size_t used = weir_mem_used(h->w);
    if (used > before)
        wsim_fail(s->world, "%s: a leak: it has %zu bytes, and had %zu before", h->name, used, before);
}

const char *soak_drain(struct soak *s)
{
    wind_down(s);
    if (s->echoes && !wsim_error(s->world))
        wsim_fail(s->world, "the server still has a connection whose client is gone");
    for (unsigned i = 0; i < CLIENTS; i++)
        check_memory(s, s->clients[i], s->mem_before[i]);
    check_memory(s, s->server, s->mem_before[CLIENTS]);
    return wsim_error(s->world);
}

/* A first round, so that what the stacks keep once they have worked is there, and counts as theirs. */
static void warm_up(struct soak *s)
{
    while (s->jobs < WARM_JOBS && !soak_slice(s))
        ;
    wind_down(s);
    for (unsigned i = 0; i < CLIENTS; i++)
        s->mem_before[i] = weir_mem_used(s->clients[i]->w);
    s->mem_before[CLIENTS] = weir_mem_used(s->server->w);
    s->jobs = 0;
}

/* ---- The world ---- */

static void join(struct soak *s, struct wsim_host *near, struct wsim_host *far, const struct wio_dir_config *up,
                 const struct wio_dir_config *down)
{
    struct wio_link_config c = {.dir = {*up, *down}, .type = WEIR_LINK_RAW_IP};
    s->links[s->link_n] = near && far ? wsim_link_add(s->world, near, far, &c) : NULL;
    if (!s->links[s->link_n++])
        wsim_fail(s->world, "out of memory");
}

/* Clean; bad in every way; slow with a short queue; far away, by a router, with losses in bursts. */
static void make_links(struct soak *s, struct wsim_host *router)
{
    static const struct wio_dir_config clean = {0},
                                       bad = {.delay = WEIR_MS(10),
                                              .jitter = WEIR_MS(1),
                                              .loss = WIO_PROB_ONE / 100,
                                              .reorder = WIO_PROB_ONE / 100,
                                              .duplicate = WIO_PROB_ONE / 200,
                                              .corrupt = WIO_PROB_ONE / 500},
                                       slow = {.rate_bps = 50000000, .delay = WEIR_MS(5), .queue_bytes = 100000},
                                       bursts = {.rate_bps = 200000000,
                                                 .delay = WEIR_MS(40),
                                                 .loss = WIO_PROB_ONE / 1000,
                                                 .burst_milli = 4000};
    join(s, router, s->server, &clean, &clean); /* the first: by it the server sends to whom it has no link with */
    join(s, s->clients[0], s->server, &clean, &clean);
    join(s, s->clients[1], s->server, &bad, &bad);
    join(s, s->clients[2], s->server, &slow, &slow);
    join(s, s->clients[3], router, &bursts, &bursts);
    for (unsigned i = 0; i + 1 < CLIENTS; i++)
        s->server_link[i] = i + 2;
    s->server_link[CLIENTS - 1] = 1;
}

/* Nobody gives up: what the links do to a connection must not end it. */
static void make_patient(struct soak *s, struct weir *w)
{
    static const char *const patience[][2] = {{"net.ipv4.tcp_syn_retries", "127"},
                                              {"net.ipv4.tcp_synack_retries", "127"},
                                              {"net.ipv4.tcp_retries2", "127"},
                                              {"net.ipv4.tcp_orphan_retries", "127"}};
    for (size_t i = 0; i < sizeof patience / sizeof patience[0]; i++)
        if (weir_sysctl_set(w, patience[i][0], patience[i][1]) < 0)
            wsim_fail(s->world, "%s can't be set", patience[i][0]);
}

static void make_slots(struct soak *s)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned turn = i / CLIENTS % 8;
        s->slots[i] = (struct slot){.client = i % CLIENTS,
                                    .kind = turn < 2   ? TRANSFER
                                            : turn < 5 ? ASKER
                                                       : BRIEF,
                                    .pause = 1 + i % 7};
    }
}

struct soak *soak_new(uint64_t seed)
{
    struct soak *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    make_pattern();
    s->world = wsim_world_new(&(struct wsim_config){.seed = seed});
    if (!s->world) {
        free(s);
        return NULL;
    }
    s->server = wsim_host_add(s->world, "server");
    bool is_whole = s->server;
    for (unsigned i = 0; i < CLIENTS; i++) {
        s->clients[i] = wsim_host_add(s->world, "client");
        is_whole = is_whole && s->clients[i];
    }
    struct wsim_host *router = wsim_router_add(s->world, "router");
    if (!is_whole || !router) {
        soak_free(s);
        return NULL;
    }
    make_links(s, router);
    make_patient(s, s->server->w);
    for (unsigned i = 0; i < CLIENTS; i++)
        make_patient(s, s->clients[i]->w);
    listen_for_askers(s);
    wsim_run(s->world, WEIR_SEC(5), NULL, NULL); /* duplicate address detection is over */
    make_slots(s);
    warm_up(s);
    return s;
}

void soak_free(struct soak *s)
{
    if (!s)
        return;
    for (struct echo *e = s->echoes, *next; e; e = next) {
        next = e->next;
        free(e);
    }
    wsim_world_free(s->world);
    free(s);
}

/* ---- What came of it ---- */

struct soak_totals soak_totals(const struct soak *s)
{
    struct soak_totals t = s->totals;
    t.seconds = (double)wsim_now(s->world) / 1e9;
    for (unsigned i = 0; i < s->link_n; i++) {
        for (int dir = 0; dir < 2; dir++) {
            struct wio_link_stats st = wio_link_stats(s->links[i], (enum wio_dir)dir);
            t.pkts += st.sent_pkts;
            t.lost += st.lost + st.queue_full + st.hold_full + st.no_memory;
        }
    }
    for (unsigned i = 0; i <= CLIENTS; i++) {
        uint64_t n = 0;
        weir_stat_get(i < CLIENTS ? s->clients[i]->w : s->server->w, "TcpRetransSegs", &n);
        t.retransmits += n;
    }
    return t;
}

uint64_t soak_jobs(const struct soak *s)
{
    return s->jobs;
}

size_t soak_mem_bytes(const struct soak *s)
{
    size_t n = s->server->mem_bytes;
    for (unsigned i = 0; i < CLIENTS; i++)
        n += s->clients[i]->mem_bytes;
    return n;
}

void soak_forget_one(struct soak *s)
{
    s->forgets_one = true;
}

void soak_trend_add(struct soak_trend *t, double part, double value)
{
    unsigned i = part >= 1 ? SOAK_PERIODS - 1 : (unsigned)(part * SOAK_PERIODS);
    t->peak[i] = value > t->peak[i] ? value : t->peak[i];
    t->last = i > t->last ? i : t->last;
}

bool soak_trend_grew(const struct soak_trend *t, double slack)
{
    double second = 0, third = 0;
    unsigned n = t->last + 1;
    for (unsigned i = n / 3; i < n; i++) {
        double *peak = i < n - n / 3 ? &second : &third;
        *peak = t->peak[i] > *peak ? t->peak[i] : *peak;
    }
    return n >= 9 && third > second * 1.1 + slack;
}
