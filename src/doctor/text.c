/*
 * Results for people: a summary, then the connections with the heaviest problems.
 */
#include "doctor/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 20u
#define WRAP_COLUMNS  100

struct kept {
    unsigned weight;
    struct wdc_result *result; /* with as many findings as it has */
};

struct wdc_text {
    struct wdc_text_options o;
    struct kept *kept; /* heaviest first, of the same weight the earliest */
    uint32_t kept_n;
    uint64_t conns, healthy, left_out;
    uint64_t by_verdict[WDC_VERDICTS_N];
    bool has_lost_memory;
};

struct wdc_text *wdc_text_new(const struct wdc_text_options *o)
{
    struct wdc_text *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->o = *o;
    if (t->o.limit == 0)
        t->o.limit = LIMIT_DEFAULT;
    t->kept = calloc(t->o.limit, sizeof *t->kept);
    if (t->kept)
        return t;
    free(t);
    return NULL;
}

void wdc_text_free(struct wdc_text *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->kept_n; i++)
        free(t->kept[i].result);
    free(t->kept);
    free(t);
}

bool wdc_text_has_problems(const struct wdc_text *t)
{
    return t->healthy < t->conns || t->by_verdict[WDC_IP_CONFLICT] || t->by_verdict[WDC_NO_ANSWER_DEAD];
}

static void keep(struct wdc_text *t, const struct wdc_result *r, unsigned weight)
{
    uint32_t at = t->kept_n;
    while (at > 0 && t->kept[at - 1].weight < weight)
        at--;
    if (at == t->o.limit) {
        t->left_out++;
        return;
    }
    size_t size = offsetof(struct wdc_result, findings) + r->finding_n * sizeof r->findings[0];
    struct wdc_result *copy = malloc(size);
    if (!copy) {
        t->has_lost_memory = true;
        return;
    }
    memcpy(copy, r, size);
    if (t->kept_n == t->o.limit) {
        free(t->kept[--t->kept_n].result);
        t->left_out++;
    }
    memmove(&t->kept[at + 1], &t->kept[at], (t->kept_n - at) * sizeof t->kept[0]);
    t->kept[at] = (struct kept){.weight = weight, .result = copy};
    t->kept_n++;
}

void wdc_text_result(struct wdc_text *t, const struct wdc_result *r)
{
    bool seen[WDC_VERDICTS_N] = {false};
    bool is_healthy = wdc_result_is_healthy(r);
    unsigned weight = 0;
    t->conns += !r->is_network;
    t->healthy += !r->is_network && is_healthy;
    for (uint32_t i = 0; i < r->finding_n; i++) {
        enum wdc_verdict id = r->findings[i].id;
        weight = wdc_verdict_weight(id) > weight ? wdc_verdict_weight(id) : weight;
        t->by_verdict[id] += !seen[id];
        seen[id] = true;
    }
    if (!is_healthy || t->o.shows_all)
        keep(t, r, weight);
}

/* ---- Printing ---- */

struct pen {
    const char *bold, *bad, *warn, *good, *dim, *plain;
};

static struct pen make_pen(bool is_tty)
{
    static const struct pen none = {"", "", "", "", "", ""};
    static const struct pen some = {"\033[1m", "\033[31m", "\033[33m", "\033[32m", "\033[2m", "\033[0m"};
    return is_tty ? some : none;
}

static const char *colour(const struct pen *p, unsigned weight)
{
    return weight >= 60 ? p->bad : weight >= WDC_WEIGHT_PROBLEM ? p->warn : weight ? p->dim : p->good;
}

/* Words, wrapped, each line indented. */
static void put_words(FILE *out, const char *lead, const char *words)
{
    int column = fprintf(out, "    %-6s", lead);
    while (*words) {
        int n = (int)strcspn(words, " ");
        if (column > 10 && column + 1 + n > WRAP_COLUMNS) {
            column = 10;
            fputs("\n          ", out);
        } else if (column > 10) {
            putc(' ', out);
            column++;
        }
        fwrite(words, 1, (size_t)n, out);
        column += n;
        words += n + (words[n] == ' ');
    }
    putc('\n', out);
}

static const char *bytes_text(uint64_t n, char *buf, size_t cap)
{
    if (n >= 10000000)
        snprintf(buf, cap, "%.0f MB", (double)n / 1e6);
    else if (n >= 10000)
        snprintf(buf, cap, "%.0f kB", (double)n / 1e3);
    else
        snprintf(buf, cap, "%" PRIu64 " bytes", n);
    return buf;
}

static void put_finding(FILE *out, const struct pen *p, const struct wdc_finding *f)
{
    static const char *const sure[] = {"possible", "likely", "certain"};
    static const char *const whose[] = {"client", "server", "path"};
    char frames[WDC_FRAMES_MAX * 22] = "";
    size_t at = 0;
    fprintf(out, "  %s%s%s  %s%s, %s%s\n", colour(p, wdc_verdict_weight(f->id)), wdc_verdict_name(f->id), p->plain,
            p->dim, sure[f->sure], whose[f->whose], p->plain);
    put_words(out, "what", f->what);
    for (uint32_t i = 0; i < f->frame_n; i++)
        at += (size_t)snprintf(frames + at, sizeof frames - at, "%s%" PRIu64, i ? ", " : "", f->frames[i]);
    if (at)
        put_words(out, "see", frames);
    if (f->cause[0])
        put_words(out, "why", f->cause);
    if (f->remedy[0])
        put_words(out, "do", f->remedy);
}

static void put_result(FILE *out, const struct pen *p, const struct wdc_result *r)
{
    char a[WEIR_ADDR_TEXT_CAP], b[WEIR_ADDR_TEXT_CAP], up[32], down[32];
    putc('\n', out);
    if (r->is_network) {
        fprintf(out, "%s%s%s\n", p->bold, weir_addr_format(&r->client.addr, a, sizeof a), p->plain);
    } else {
        fprintf(out, "%s%s > %s%s  packets %" PRIu64 " to %" PRIu64 ", %.3f s, %s up, %s down", p->bold,
                weir_sockaddr_format(&r->client, a, sizeof a), weir_sockaddr_format(&r->server, b, sizeof b), p->plain,
                r->first, r->last, r->ended > r->began ? (double)(r->ended - r->began) / 1e9 : 0.0,
                bytes_text(r->bytes[0], up, sizeof up), bytes_text(r->bytes[1], down, sizeof down));
        if (r->vantage[0])
            fprintf(out, ", captured %s%s", strcmp(r->vantage, "between") == 0 ? "" : "near the ",
                    strcmp(r->vantage, "between") == 0 ? "between them" : r->vantage);
        putc('\n', out);
    }
    for (uint32_t i = 0; i < r->finding_n; i++)
        put_finding(out, p, &r->findings[i]);
}

static void put_left_out(FILE *out, const struct wdc_counts *n)
{
    static const char *const form = "  left out: %" PRIu64 " %s\n";
    if (n->unread)
        fprintf(out, form, n->unread, "packets that are no IP, are damaged, or are cut before their ports");
    if (n->bad_sums)
        fprintf(out, form, n->bad_sums, "packets with a wrong checksum that belong to no connection");
    if (n->copies)
        fprintf(out, form, n->copies, "packets that are there twice");
    if (n->other_interface)
        fprintf(out, form, n->other_interface, "packets that another interface of the capture had shown already");
    if (n->fragments)
        fprintf(out, form, n->fragments, "fragmented packets that are not whole");
    if (n->evicted)
        fprintf(out, form, n->evicted, "connections were told of before the end of the capture, for want of room");
    if (n->conns_refused)
        fprintf(out, form, n->conns_refused, "packets of connections that there was no memory for");
    if (n->histories_cut)
        fprintf(out, form, n->histories_cut,
                "connections had more in flight than is kept: not all round trips were measured");
}

/* Verdicts by weight, with the number of connections that have them. */
static void put_summary(FILE *out, const struct pen *p, const struct wdc_text *t)
{
    for (unsigned weight = 100; weight >= WDC_WEIGHT_PROBLEM; weight--) {
        for (unsigned id = 0; id < WDC_VERDICTS_N; id++) {
            if (wdc_verdict_weight(id) == weight && t->by_verdict[id])
                fprintf(out, "  %s%6" PRIu64 "  %s%s\n", colour(p, weight), t->by_verdict[id], wdc_verdict_name(id),
                        p->plain);
        }
    }
    if (t->healthy)
        fprintf(out, "  %s%6" PRIu64 "  without trouble%s\n", p->good, t->healthy, p->plain);
}

void wdc_text_print(struct wdc_text *t, FILE *out, const char *title, const struct wdc_counts *n)
{
    struct pen p = make_pen(t->o.is_tty);
    fprintf(out, "%s%s%s: %" PRIu64 " packets in %.3f s, %" PRIu64 " connection%s\n", p.bold, title, p.plain,
            n->packets, n->ended > n->began ? (double)(n->ended - n->began) / 1e9 : 0.0, t->conns,
            t->conns == 1 ? "" : "s");
    put_summary(out, &p, t);
    put_left_out(out, n);
    for (uint32_t i = 0; i < t->kept_n; i++)
        put_result(out, &p, t->kept[i].result);
    if (t->left_out)
        fprintf(out, "\n%" PRIu64 " more are not shown: --limit N shows more, --json all\n", t->left_out);
    if (t->has_lost_memory)
        fputs("\nSome are not shown: out of memory\n", out);
}
