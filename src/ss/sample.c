/* Rates: two looks at the same connection, by run and number. */
#include "ss/sample.h"

#include <stdlib.h>
#include <string.h>

static const char *const key_names[WSS_KEY_N] = {
    [WSS_BY_RATE] = "rate", [WSS_BY_OUT] = "out",   [WSS_BY_IN] = "in",
    [WSS_BY_RTT] = "rtt",   [WSS_BY_CWND] = "cwnd", [WSS_BY_AGAIN] = "again",
};

const char *wss_key_name(enum wss_key key)
{
    return key_names[key];
}

enum wss_key wss_key_named(const char *name)
{
    unsigned key = 0;
    while (key < WSS_KEY_N && strcmp(key_names[key], name) != 0)
        key++;
    return (enum wss_key)key;
}

static int by_identity(const void *a, const void *b)
{
    const struct wss_sock *x = &((const struct wss_figure *)a)->sock, *y = &((const struct wss_figure *)b)->sock;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return (x->view.info.id > y->view.info.id) - (x->view.info.id < y->view.info.id);
}

static double per_s(uint64_t now, uint64_t before, uint64_t ns)
{
    return now > before && ns ? (double)(now - before) * 1e9 / (double)ns : 0;
}

static void find_limit(struct wss_figure *f, const struct weir_ledger *now, const struct weir_ledger *before)
{
    weir_ns most = 0, all = 0;
    for (unsigned c = 0; c < WEIR_CAUSE_N; c++) {
        weir_ns then = before ? before->spent[c] : 0;
        weir_ns spent = now->spent[c] > then ? now->spent[c] - then : 0;
        all += spent;
        if (spent <= most)
            continue;
        most = spent;
        f->limit = (enum weir_cause)c;
    }
    f->limit_percent = all ? (unsigned)(100 * (double)most / (double)all + 0.5) : 0;
}

/* One that has ended its life keeps its numbers, and one that is new has lived for as long as its ledger says. */
static void compare(struct wss_figure *f, const struct wss_figure *last, uint64_t passed_ns)
{
    static const struct weir_tcp_info none;
    const struct weir_tcp_info *now = &f->sock.view.tcp, *then = last ? &last->sock.view.tcp : &none;
    uint64_t ns = last ? passed_ns : now->ledger.life;
    f->out_bps = 8 * per_s(now->bytes_acked, then->bytes_acked, ns);
    f->in_bps = 8 * per_s(now->bytes_received, then->bytes_received, ns);
    f->again_per_s = per_s(now->total_retrans, then->total_retrans, ns);
    find_limit(f, &now->ledger, last ? &then->ledger : NULL);
}

bool wss_sample_make(struct wss_sample *s, struct wss_socks *socks, const struct wss_sample *last, uint64_t passed_ns)
{
    struct wss_figure *old = last && last->n ? malloc(last->n * sizeof *old) : NULL;
    *s = (struct wss_sample){.at = calloc(socks->n + 1, sizeof *s->at)};
    if (!s->at || (last && last->n && !old)) {
        free(old);
        wss_sample_free(s);
        return false;
    }
    if (old) {
        memcpy(old, last->at, last->n * sizeof *old);
        qsort(old, last->n, sizeof *old, by_identity);
    }
    for (; s->n < socks->n; s->n++) {
        struct wss_figure *f = &s->at[s->n];
        f->sock = socks->at[s->n];
        compare(f, old ? bsearch(f, old, last->n, sizeof *old, by_identity) : NULL, passed_ns);
    }
    free(old);
    free(socks->at);
    *socks = (struct wss_socks){0};
    return true;
}

void wss_sample_free(struct wss_sample *s)
{
    free(s->at);
    *s = (struct wss_sample){0};
}

static double value(const struct wss_figure *f, enum wss_key key)
{
    switch (key) {
    case WSS_BY_RATE: return f->out_bps + f->in_bps;
    case WSS_BY_OUT: return f->out_bps;
    case WSS_BY_IN: return f->in_bps;
    case WSS_BY_RTT: return f->sock.view.tcp.rtt;
    case WSS_BY_CWND: return (double)f->sock.view.tcp.snd_cwnd * f->sock.view.tcp.snd_mss;
    case WSS_BY_AGAIN: return f->again_per_s * 1e9 + f->sock.view.tcp.total_retrans;
    case WSS_KEY_N: break;
    }
    return 0;
}

struct order {
    enum wss_key key;
    bool is_reversed;
};

static int by_key(const void *a, const void *b, void *ctx)
{
    const struct order *o = ctx;
    double x = value(a, o->key), y = value(b, o->key);
    if (x > y || x < y)
        return (x > y) == o->is_reversed ? 1 : -1;
    return by_identity(a, b);
}

void wss_sample_sort(struct wss_sample *s, enum wss_key key, bool is_reversed)
{
    struct order o = {key, is_reversed};
    if (s->n)
        qsort_r(s->at, s->n, sizeof *s->at, by_key, &o);
}
