/*
 * Medians over seeds, and a Markdown table of them (goodput.h).
 */
#include "trial/goodput.h"

#include "io/units.h"
#include "trial/matrix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEDS    11
#define BAND     10 /* percent that a figure may be off: other figures than these are a change of behaviour */
#define LINE_CAP 512

struct table {
    struct wtl_cell cells[WTL_CELLS_MAX];
    unsigned cell_n;
    uint64_t figures[WTL_CELLS_MAX * SEEDS];
};

static int compare_figures(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* In Mbit/s. */
static double median(const struct table *t, unsigned cell)
{
    uint64_t sorted[SEEDS];
    size_t middle = SEEDS / 2;
    memcpy(sorted, &t->figures[cell * SEEDS], sizeof sorted);
    qsort(sorted, SEEDS, sizeof sorted[0], compare_figures);
    return (double)sorted[middle] / 1e6;
}

/* Returns how many transfers failed, or a negative errno. */
static int measure(struct table *t, unsigned jobs)
{
    struct wtl_matrix_plan plan = {.first_seed = 1, .seed_n = SEEDS, .jobs = jobs, .complaints = stderr};
    struct wtl_matrix_result r;
    int err = wtl_matrix_run(t->cells, t->cell_n, &plan, t->figures, &r);
    return err ? err : r.is_interrupted ? -EINTR : (int)r.failed;
}

/* ---- Writing ---- */

static const char preamble[] =
    "# Goodput in simulation\n"
    "\n"
    "Bytes that reached the reading program, in Mbit/s from the first SYN on: what weir's congestion controls make of "
    "a link with\n"
    "random loss in both directions and a queue of one bandwidth-delay product (30 kB at least). One upload of ten "
    "bandwidth-delay\n"
    "products, 4 MiB at least and 16 MiB at most, so the long ones include a good deal of slow start. Median of eleven "
    "seeds, in\n"
    "virtual time: the same code gives the same figures on any machine.\n"
    "\n"
    "`weir sim matrix --goodput docs/goodput.md` writes this page; `weir sim matrix --compare docs/goodput.md` "
    "measures again and\n"
    "fails where a figure is off by more than a tenth. The simulation tests do that with a sample.\n"
    "\n";

static void write_row_head(const struct wtl_cell *c, FILE *out)
{
    char rate[32], rtt[32];
    fprintf(out, "| %s | %s | %s |", wio_unit_format(WIO_UNIT_RATE, c->rate_bps, rate, sizeof rate),
            wio_unit_format(WIO_UNIT_TIME, c->rtt, rtt, sizeof rtt), c->trouble);
}

static void write_table(const struct table *t, FILE *out)
{
    const char *names[WTL_CC_MAX];
    unsigned cc_n = wtl_controls(names);
    fputs("| rate | round trip | loss |", out);
    for (unsigned i = 0; i < cc_n; i++)
        fprintf(out, " %s |", names[i]);
    fputs("\n|---|---|---|", out);
    for (unsigned i = 0; i < cc_n; i++)
        fputs("---:|", out);
    for (unsigned row = 0; row < t->cell_n; row += cc_n) {
        fputc('\n', out);
        write_row_head(&t->cells[row], out);
        for (unsigned i = 0; i < cc_n; i++)
            fprintf(out, " %.2f |", median(t, row + i));
    }
    fputc('\n', out);
}

int wtl_goodput_write(FILE *out, unsigned jobs)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t) {
        fputs("weir sim: no memory\n", stderr);
        return 1;
    }
    t->cell_n = wtl_goodput_cells(NULL, t->cells, WTL_CELLS_MAX);
    int bad = measure(t, jobs);
    if (bad < 0)
        fprintf(stderr, "weir sim: %s\n", strerror(-bad));
    else if (bad == 0 && ftruncate(fileno(out), 0) != 0 && errno != EINVAL) { /* EINVAL: no regular file */
        fprintf(stderr, "weir sim: the page can't be written anew: %s\n", strerror(errno));
        bad = 1;
    }
    if (bad == 0) {
        fputs(preamble, out);
        write_table(t, out);
    }
    free(t);
    return bad != 0;
}

/* ---- Comparing ---- */

/* The i-th cell of a Markdown row, from 0, without its blanks. Returns buf; "" where there is none. */
static const char *column(const char *row, unsigned i, char *buf, size_t cap)
{
    buf[0] = '\0';
    for (unsigned k = 0; k <= i && row; k++) {
        row = strchr(row, '|');
        row = row ? row + 1 : NULL;
    }
    if (!row)
        return buf;
    row += strspn(row, " ");
    size_t len = strcspn(row, "|\n");
    while (len > 0 && row[len - 1] == ' ')
        len--;
    snprintf(buf, cap, "%.*s", (int)len, row);
    return buf;
}

static bool is_row_of(const char *row, const struct wtl_cell *c)
{
    char want[32], have[64];
    return strcmp(column(row, 0, have, sizeof have), wio_unit_format(WIO_UNIT_RATE, c->rate_bps, want, sizeof want)) ==
               0 &&
           strcmp(column(row, 1, have, sizeof have), wio_unit_format(WIO_UNIT_TIME, c->rtt, want, sizeof want)) == 0 &&
           strcmp(column(row, 2, have, sizeof have), c->trouble) == 0;
}

/* What the page has for that cell; negative: nothing. */
static double kept_figure(FILE *page, const struct wtl_cell *c)
{
    char line[LINE_CAP], text[64];
    unsigned at = 0;
    rewind(page);
    while (fgets(line, sizeof line, page)) {
        if (strcmp(column(line, 2, text, sizeof text), "loss") == 0)
            for (unsigned i = 3; column(line, i, text, sizeof text)[0]; i++)
                at = strcmp(text, c->cc) == 0 ? i : at;
        else if (at && is_row_of(line, c) && column(line, at, text, sizeof text)[0])
            return strtod(text, NULL);
    }
    return -1;
}

static bool is_near(double a, double b)
{
    double off = a > b ? a - b : b - a;
    return off <= b * BAND / 100 + 0.006; /* the page has two digits */
}

static int compare_cells(const struct table *t, FILE *page, const char *path)
{
    char spec[256];
    int off = 0;
    for (unsigned i = 0; i < t->cell_n; i++) {
        double kept = kept_figure(page, &t->cells[i]), now = median(t, i);
        if (kept >= 0 && is_near(now, kept))
            continue;
        off++;
        fprintf(stderr, "%s over '%s': %.2f Mbit/s; %s has ", t->cells[i].cc,
                wtl_cell_link(&t->cells[i], spec, sizeof spec), now, path);
        if (kept < 0)
            fputs("no figure for it\n", stderr);
        else
            fprintf(stderr, "%.2f\n", kept);
    }
    if (off)
        fprintf(stderr, "If that is meant: weir sim matrix --goodput %s\n", path);
    return off;
}

int wtl_goodput_compare(const char *path, unsigned stride, unsigned jobs, unsigned *compared)
{
    FILE *page = fopen(path, "r");
    struct table *t = page ? calloc(1, sizeof *t) : NULL;
    int off = -errno;
    if (t) {
        unsigned all = wtl_goodput_cells(NULL, t->cells, WTL_CELLS_MAX);
        for (unsigned i = 0; i < all; i += stride)
            t->cells[t->cell_n++] = t->cells[i];
        *compared = t->cell_n;
        off = measure(t, jobs);
        if (off == 0)
            off = compare_cells(t, page, path);
    }
    free(t);
    if (page)
        fclose(page);
    return off;
}
