/*
 * A report that is told while the run goes on: what happened since somebody was told last, as one object of JSON.
 *
 *   begin     true in the first one, with title, start_ns and all names, as in a page (report_write.c)
 *   texts     those that are new
 *   conns     each that changed: id, first (rows of it that were told or forgotten before), rows (of it, in this
 * object), and what a page says of it columns   base64 of each column for the rows of this object, sorted by
 * connection, then as they came. `from` counts rows of the same connection. from_mark: what has become of the row that
 * `from` is, for each row
 *
 * Rows that nobody has room for any more are forgotten, the oldest first: then `first` of a connection is beyond what
 * was told of it.
 */
#include "trace/report_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Forgetting ---- */

static void forget_sent(struct wtr_report_host *h, uint32_t n)
{
    uint32_t gone = 0;
    while (gone < h->sent_n && h->sent[gone].row < n)
        gone++;
    h->sent_n -= gone;
    if (h->sent_n)
        memmove(h->sent, h->sent + gone, h->sent_n * sizeof *h->sent);
    for (uint32_t i = 0; i < h->sent_n; i++)
        h->sent[i].row -= n;
}

static void forget(struct wtr_report *r, uint32_t n)
{
    uint32_t sack_at = r->sack_n;
    r->row_n -= n;
    r->forgotten += n;
    memmove(r->rows, r->rows + n, r->row_n * sizeof *r->rows);
    for (uint32_t i = 0; i < r->host_n; i++)
        forget_sent(&r->hosts[i], n);
    for (uint32_t i = 0; i < r->row_n && sack_at == r->sack_n; i++)
        sack_at = r->rows[i].sack_n ? r->rows[i].sack_at : sack_at;
    r->sack_n -= sack_at;
    if (r->sack_n)
        memmove(r->sacks, r->sacks + sack_at, r->sack_n * sizeof *r->sacks);
    for (uint32_t i = 0; i < r->row_n; i++) {
        struct wtr_row *row = &r->rows[i];
        row->from = row->from > n ? row->from - n : 0;
        row->sack_at = row->sack_n ? row->sack_at - sack_at : 0;
    }
}

void wtr_report_make_room(struct wtr_report *r)
{
    if (r->cfg.is_window && r->row_n >= r->cfg.rows_max)
        forget(r, r->row_n - r->cfg.rows_max / 2);
}

/* ---- What lives ---- */

void wtr_report_ledger(struct wtr_report *r, int host, uint64_t conn_id, const struct weir_ledger *ledger)
{
    unsigned side = 0;
    uint32_t id = wtr_report_find_id(r, host, conn_id, &side);
    struct wtr_end *e = id ? &r->flows[id].ends[side] : NULL;
    if (!e || e->is_closed || ledger->life == 0)
        return;
    e->ledger = *ledger;
    e->has_ledger = true;
    r->flows[id].stamp = ++r->stamp;
}

/* ---- Telling ---- */

/* The rows of an object: copies, in the order in which they are told. */
struct piece {
    struct wtr_row *rows;
    uint32_t *order, *from_marks, n;
    uint32_t *per_flow; /* how many of each connection */
    uint32_t *first;    /* nth of the first of each; valid where there are some */
};

static void piece_free(struct piece *p)
{
    free(p->rows);
    free(p->order);
    free(p->from_marks);
    free(p->per_flow);
    free(p->first);
}

static bool piece_room(struct piece *p, uint32_t n, uint32_t flow_n)
{
    *p = (struct piece){.n = n};
    p->rows = calloc((size_t)n + 1, sizeof *p->rows);
    p->order = calloc((size_t)n + 1, sizeof *p->order);
    p->from_marks = calloc((size_t)n + 1, sizeof *p->from_marks);
    p->per_flow = calloc((size_t)flow_n + 1, sizeof *p->per_flow);
    p->first = calloc((size_t)flow_n + 1, sizeof *p->first);
    return p->rows && p->order && p->from_marks && p->per_flow && p->first;
}

/* Sort the rows from `at` on by connection, and say where each came from in rows of its connection. */
static bool piece_make(struct piece *p, const struct wtr_report *r, uint32_t at, uint32_t n)
{
    if (!piece_room(p, n, r->flow_n))
        return false;
    uint32_t *next = calloc((size_t)r->flow_n + 1, sizeof *next);
    if (!next)
        return false;
    for (uint32_t i = 0; i < n; i++)
        p->per_flow[r->rows[at + i].conn]++;
    for (uint32_t f = 0; f + 1 < r->flow_n; f++)
        next[f + 1] = next[f] + p->per_flow[f];
    for (uint32_t i = 0; i < n; i++) {
        const struct wtr_row *row = &r->rows[at + i];
        const struct wtr_row *from = row->from ? &r->rows[row->from - 1] : NULL;
        uint32_t place = next[row->conn]++;
        if (place == 0 || p->rows[place - 1].conn != row->conn)
            p->first[row->conn] = row->nth;
        p->rows[place] = *row;
        p->rows[place].at = row->at > r->start ? row->at - r->start : 0;
        p->rows[place].from = from && from->conn == row->conn ? row->nth - from->nth : 0;
        p->from_marks[place] = p->rows[place].from ? from->mark : 0;
        p->order[place] = place;
    }
    free(next);
    return true;
}

static void begin(FILE *out, const char *name)
{
    fprintf(out, ",\"%s\":\"", name);
}

static void end(FILE *out)
{
    putc('"', out);
}

static void put_begin(const struct wtr_report *r, FILE *out)
{
    fputs("\"begin\":true,\"title\":", out);
    wtr_report_put_string(out, r->title);
    fprintf(out, ",\"start_ns\":\"%" PRIu64 "\",", r->start + r->cfg.epoch_ns);
    wtr_report_put_names(r, out);
}

static void put_conns(const struct wtr_report *r, const struct wtr_report_place *at, const struct piece *p, FILE *out)
{
    const char *comma = "";
    fputs("\"conns\":[", out);
    for (uint32_t i = 0; i < r->flow_n; i++) {
        if (!p->per_flow[i] && r->flows[i].stamp <= at->stamp)
            continue;
        fprintf(out, "%s{\"id\":%" PRIu32 ",\"rows\":%" PRIu32 ",\"first\":%" PRIu32 ",", comma, i, p->per_flow[i],
                p->per_flow[i] ? p->first[i] : 0);
        wtr_report_put_flow(r, i, r->start, out);
        putc('}', out);
        comma = ",";
    }
    fputs("]", out);
}

bool wtr_report_is_behind(const struct wtr_report *r, const struct wtr_report_place *at, uint32_t rows)
{
    uint64_t all = r->forgotten + r->row_n;
    return all > at->row && all - at->row > rows;
}

bool wtr_report_has_news(const struct wtr_report *r, const struct wtr_report_place *at)
{
    return !at->is_begun || at->row != r->forgotten + r->row_n || at->stamp != r->stamp;
}

bool wtr_report_chunk(struct wtr_report *r, struct wtr_report_place *at, uint32_t rows_max, FILE *out)
{
    static const struct wtr_brackets brackets = {begin, end};
    uint64_t all = r->forgotten + r->row_n;
    struct piece p = {0};
    if (at->row > all || at->text > r->text_n || at->stamp > r->stamp) /* of another run */
        *at = (struct wtr_report_place){0};
    uint64_t from = at->row < r->forgotten ? r->forgotten : at->row;
    uint32_t n = all - from < rows_max ? (uint32_t)(all - from) : rows_max;
    if (!piece_make(&p, r, (uint32_t)(from - r->forgotten), n)) {
        piece_free(&p);
        return false;
    }
    putc('{', out);
    if (!at->is_begun)
        put_begin(r, out);
    fprintf(out, "\"rows\":%" PRIu32 ",\"all\":%" PRIu64 ",", n, all);
    wtr_report_put_texts(r, at->text, out);
    put_conns(r, at, &p, out);
    const struct wtr_rows rows = {r, p.rows, p.order, p.from_marks, n};
    wtr_report_put_columns(&rows, &brackets, out);
    putc('}', out);
    *at = (struct wtr_report_place){.row = from + n, .stamp = r->stamp, .text = r->text_n, .is_begun = true};
    piece_free(&p);
    return true;
}

/* ---- The page ---- */

char *wtr_report_live_page(const char *title, size_t *len)
{
    const struct wtr_page page = wtr_report_page();
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out)
        return NULL;
    fwrite(page.head, 1, page.head_len, out);
    fputs("<script type=\"application/json\" id=\"weir-live\">{\"title\":", out);
    wtr_report_put_string(out, title);
    fputs("}</script>", out);
    fwrite(page.tail, 1, page.tail_len, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
