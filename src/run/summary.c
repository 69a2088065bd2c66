/*
 * One line for each connection: the peer, what was carried, how long, what was retransmitted in each direction, and how
 * it ended. The program's host tells all but the retransmissions of what came down: those are the gateway's.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "run/run.h"
#include "run/summary.h"

#define BUCKETS   1024
#define LINES_MAX 1000

enum ending { OPEN, BY_PROGRAM, BY_PEER };

struct record {
    LIST_ENTRY(record) by_key;
    STAILQ_ENTRY(record) by_age;
    struct weir_sockaddr local, remote; /* of the program's host */
    weir_ns opened_at, ended_at;        /* ended_at WEIR_NEVER: it has not */
    uint64_t bytes_out, bytes_in, rexmit_out, rexmit_in;
    enum ending first;
    int err;
    bool is_closed;
};

LIST_HEAD(record_bucket, record);

struct wir_summary {
    struct record_bucket buckets[BUCKETS];
    STAILQ_HEAD(record_list, record) all;
    size_t n;
    unsigned live;
};

struct wir_summary *wir_summary_new(void)
{
    struct wir_summary *s = calloc(1, sizeof *s);
    if (s)
        STAILQ_INIT(&s->all);
    return s;
}

void wir_summary_free(struct wir_summary *s)
{
    struct record *rec;
    while (s && (rec = STAILQ_FIRST(&s->all))) {
        STAILQ_REMOVE_HEAD(&s->all, by_age);
        free(rec);
    }
    free(s);
}

unsigned wir_summary_live(const struct wir_summary *s)
{
    return s->live;
}

/* ---- Events ---- */

static struct record_bucket *bucket_of(struct wir_summary *s, const struct weir_sockaddr *local,
                                       const struct weir_sockaddr *remote)
{
    return &s->buckets[(local->port * 31u + remote->port + remote->addr.b[15]) % BUCKETS];
}

static bool is_same(const struct weir_sockaddr *a, const struct weir_sockaddr *b)
{
    return a->port == b->port && weir_addr_equal(&a->addr, &b->addr);
}

/* The latest with that pair of endpoints: a pair may be used again. */
static struct record *find(struct wir_summary *s, const struct weir_sockaddr *local, const struct weir_sockaddr *remote)
{
    struct record *rec;
    LIST_FOREACH(rec, bucket_of(s, local, remote), by_key)
    {
        if (is_same(&rec->local, local) && is_same(&rec->remote, remote))
            return rec;
    }
    return NULL;
}

static void add(struct wir_summary *s, const struct weir_event *ev)
{
    struct record *rec = calloc(1, sizeof *rec);
    if (!rec)
        return;
    rec->local = *ev->local;
    rec->remote = *ev->remote;
    rec->opened_at = ev->at;
    rec->ended_at = WEIR_NEVER;
    LIST_INSERT_HEAD(bucket_of(s, ev->local, ev->remote), rec, by_key);
    STAILQ_INSERT_TAIL(&s->all, rec, by_age);
    s->n++;
}

static bool is_live(enum weir_tcp_state st)
{
    return st != WEIR_TCP_CLOSED && st != WEIR_TCP_LISTEN && st != WEIR_TCP_TIME_WAIT;
}

static bool begins(const struct weir_event *ev)
{
    enum weir_tcp_state to = ev->u.state.to;
    return !is_live(ev->u.state.from) && ev->u.state.from != WEIR_TCP_TIME_WAIT &&
           (to == WEIR_TCP_SYN_SENT || to == WEIR_TCP_SYN_RCVD || to == WEIR_TCP_ESTABLISHED);
}

static void on_program_state(struct wir_summary *s, const struct weir_event *ev)
{
    if (begins(ev))
        add(s, ev);
    struct record *rec = find(s, ev->local, ev->remote);
    if (!rec)
        return;
    if (ev->u.state.to == WEIR_TCP_FIN_WAIT_1 && rec->first == OPEN)
        rec->first = BY_PROGRAM;
    if (ev->u.state.to == WEIR_TCP_CLOSE_WAIT && rec->first == OPEN)
        rec->first = BY_PEER;
    if (!is_live(ev->u.state.to) && rec->ended_at == WEIR_NEVER)
        rec->ended_at = ev->at;
}

static void on_program_close(struct wir_summary *s, const struct weir_event *ev)
{
    struct record *rec = find(s, ev->local, ev->remote);
    if (!rec)
        return;
    rec->bytes_out = ev->u.close.bytes_out;
    rec->bytes_in = ev->u.close.bytes_in;
    rec->rexmit_out = ev->u.close.rexmits;
    rec->err = ev->u.close.err;
    rec->is_closed = true;
    if (rec->ended_at == WEIR_NEVER)
        rec->ended_at = ev->at;
}

void wir_summary_event(struct wir_summary *s, enum wio_side side, const struct weir_event *ev)
{
    if (ev->kind == WEIR_EV_STATE) {
        s->live += is_live(ev->u.state.to);
        s->live -= is_live(ev->u.state.from);
    }
    if (!ev->local || !ev->remote)
        return;
    if (side == WIO_NEAR && ev->kind == WEIR_EV_STATE)
        on_program_state(s, ev);
    else if (side == WIO_NEAR && ev->kind == WEIR_EV_CLOSE)
        on_program_close(s, ev);
    else if (side == WIO_FAR && ev->kind == WEIR_EV_CLOSE) {
        struct record *rec = find(s, ev->remote, ev->local);
        if (rec)
            rec->rexmit_in = ev->u.close.rexmits;
    }
}

/* ---- Lines ---- */

static const char *bytes_text(uint64_t n, char *buf, size_t cap)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double v = (double)n;
    int unit = -1;
    while (v >= 1024 && unit < 3) {
        v /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(buf, cap, "%llu B", (unsigned long long)n);
    else
        snprintf(buf, cap, "%.1f %s", v, units[unit]);
    return buf;
}

static const char *ending_text(const struct record *rec)
{
    if (rec->err)
        return weir_strerror(rec->err);
    if (rec->ended_at == WEIR_NEVER)
        return "still open";
    switch (rec->first) {
    case BY_PROGRAM: return "closed by the program";
    case BY_PEER: return "closed by the peer";
    case OPEN: break;
    }
    return "closed";
}

static void print_one(const struct record *rec, weir_ns now, FILE *out)
{
    char peer[WEIR_ADDR_TEXT_CAP], sent[32], got[32];
    struct weir_sockaddr shown = rec->remote;
    weir_ns took = (rec->ended_at == WEIR_NEVER ? now : rec->ended_at) - rec->opened_at;

    shown.addr = wir_addr_off_link(shown.addr);
    shown.family = weir_addr_is_v4(&shown.addr) ? WEIR_AF_INET : WEIR_AF_INET6;
    fprintf(out, "weir: tcp %s: %s out, %s in, %.3f s, retransmitted %llu out, %llu in; %s\n",
            weir_sockaddr_format(&shown, peer, sizeof peer), bytes_text(rec->bytes_out, sent, sizeof sent),
            bytes_text(rec->bytes_in, got, sizeof got), (double)took / 1e9, (unsigned long long)rec->rexmit_out,
            (unsigned long long)rec->rexmit_in, ending_text(rec));
}

void wir_summary_print(const struct wir_summary *s, weir_ns now, FILE *out)
{
    const struct record *rec;
    size_t n = 0;
    STAILQ_FOREACH(rec, &s->all, by_age)
    {
        if (n++ == LINES_MAX) {
            fprintf(out, "weir: and %zu more connections (--trace has them all)\n", s->n - LINES_MAX);
            return;
        }
        print_one(rec, now, out);
    }
}
