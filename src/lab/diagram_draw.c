/*
 * Draws a sequence diagram (diagram.h). Each host is a column, time runs down. Where something is under way, time is to
 * scale as far as the texts let it; where nothing is, it is cut short and the cut is marked. On each lifeline the order
 * is that of time, and no packet arrives above where it was sent.
 */
#include "lab/diagram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOP        34.0 /* below the hosts' names */
#define TRANSIT    34.0 /* what a packet's way takes down */
#define GAP_MAX    34.0 /* what a wait takes down */
#define FLIGHT_MAX 70.0
#define LETTER     13.0
#define SMALL      11.0
#define LOST_AT    0.6 /* of the way */
#define PI         3.14159265358979323846

/* A moment on a lifeline: an item begins, or a packet arrives. */
struct point {
    struct wlb_item *it;
    bool is_end;
    weir_ns at;
    size_t order;
};

struct column {
    double x;
    double late;               /* how much lower than the clock says its things are drawn */
    double start[2], end[2];   /* the last packet that left, and that came, at its left and its right */
    char told[WLB_NUMBER_CAP]; /* the last time beside it */
    double label, time;        /* the last text beside it */
    double state_y;            /* where its state began */
    const char *state;
};

struct drawing {
    struct wlb_svg *s;
    struct wlb_diagram *d;
    struct column cols[WLB_COLUMNS_MAX];
    struct point *points;
    size_t n;
    double scale;    /* px for a nanosecond */
    double clock;    /* where the present moment is, by the clock alone */
    double cut_from; /* > 0: a cut since there */
    weir_ns cut;
    double bottom;
};

static int compare_points(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    if (p->at != q->at)
        return p->at < q->at ? -1 : 1;
    if (p->is_end != q->is_end && p->it != q->it)
        return p->is_end ? -1 : 1;
    return p->order < q->order ? -1 : p->order > q->order;
}

static bool is_lost(const struct wlb_item *it)
{
    return it->e->drop || it->e->is_corrupted;
}

static int compare_times(const void *a, const void *b)
{
    weir_ns t = *(const weir_ns *)a, u = *(const weir_ns *)b;
    return t < u ? -1 : t > u;
}

/* So that the median way takes TRANSIT. */
static double scale_of(const struct wlb_diagram *d)
{
    weir_ns *ways = malloc((d->n + 1) * sizeof *ways);
    size_t n = 0;
    for (size_t i = 0; ways && i < d->n; i++) {
        if (d->items[i].kind == WLB_ITEM_ARROW && d->items[i].due > d->items[i].at)
            ways[n++] = d->items[i].due - d->items[i].at;
    }
    if (n > 0)
        qsort(ways, n, sizeof *ways, compare_times);
    size_t middle = n / 2;
    double scale = n > 0 ? TRANSIT / (double)ways[middle] : TRANSIT / 1e7;
    free(ways);
    return scale;
}

/* A run is told when what was drawn before it has arrived, but before the next that is drawn leaves. */
static weir_ns time_of_run(const struct wlb_diagram *d, size_t run)
{
    weir_ns at = d->items[run].at;
    for (size_t i = 0; i < run; i++) {
        if (d->items[i].kind == WLB_ITEM_ARROW && !is_lost(&d->items[i]) && d->items[i].due > at)
            at = d->items[i].due;
    }
    for (size_t i = run + 1; i < d->n; i++) {
        if (d->items[i].kind == WLB_ITEM_ARROW)
            return d->items[i].at < at ? d->items[i].at : at;
    }
    return at;
}

static bool make_points(struct drawing *g)
{
    g->points = calloc(2 * g->d->n + 1, sizeof *g->points);
    if (!g->points)
        return false;
    for (size_t i = 0; i < g->d->n; i++) {
        struct wlb_item *it = &g->d->items[i];
        weir_ns at = it->kind == WLB_ITEM_RUN ? time_of_run(g->d, i) : it->at;
        g->points[g->n++] = (struct point){it, false, at, 2 * i};
        if (it->kind == WLB_ITEM_ARROW)
            g->points[g->n++] = (struct point){it, true, it->due, 2 * i + 1};
    }
    qsort(g->points, g->n, sizeof *g->points, compare_points);
    return true;
}

static void set_columns(struct drawing *g)
{
    unsigned n = g->d->host_n;
    double margin = n > 4 ? 140 : 190, left = margin, right = WLB_SVG_WIDTH - margin;
    for (unsigned i = 0; i < n; i++) {
        g->cols[i] = (struct column){
            .x = n > 1 ? left + (right - left) * i / (n - 1) : WLB_SVG_WIDTH / 2,
            .start = {-100, -100},
            .end = {-100, -100},
            .label = TOP - 6,
            .time = TOP - 12,
        };
    }
}

/* ---- Where ---- */

static double place(struct drawing *g, unsigned col, double at_least)
{
    struct column *c = &g->cols[col];
    double y = fmax(g->clock + c->late, at_least);
    c->late = y - g->clock;
    g->bottom = fmax(g->bottom, y);
    return y;
}

/* From here on no column is ahead of another. Returns the lowest. */
static double level(struct drawing *g, double more)
{
    double late = 0;
    for (unsigned i = 0; i < g->d->host_n; i++)
        late = fmax(late, g->cols[i].late);
    for (unsigned i = 0; i < g->d->host_n; i++)
        g->cols[i].late = late + more;
    g->bottom = fmax(g->bottom, g->clock + late + more);
    return g->clock + late;
}

static double way_of(const struct drawing *g, const struct wlb_item *it)
{
    return fmin(fmax((double)(it->due - it->at) * g->scale, 9), FLIGHT_MAX);
}

static void tell_time(struct drawing *g, unsigned col, weir_ns at, double y)
{
    struct column *c = &g->cols[col];
    char text[WLB_NUMBER_CAP];
    bool is_first = col == 0;
    if ((!is_first && col != g->d->host_n - 1) || y - c->time < 12 || g->d->host_n > 4)
        return;
    wlb_clock(at, text);
    if (strcmp(text, c->told) == 0 && y - c->time < 120)
        return;
    memcpy(c->told, text, sizeof c->told);
    c->time = y;
    wlb_svg_text(g->s, is_first ? 8 : WLB_SVG_WIDTH - 8, y + 4, "m s", is_first ? WLB_LEFT : WLB_RIGHT, "%s", text);
}

static void tell_beside(struct drawing *g, unsigned col, double y, const char *classes, const char *text)
{
    bool is_left = col == 0;
    double x = g->cols[col].x + (is_left ? -10 : 10);
    wlb_svg_text(g->s, x, y + 4, classes, is_left ? WLB_RIGHT : WLB_LEFT, "%s", text);
}

/* ---- Lifelines ---- */

static const char *class_of(const char *state)
{
    if (!state || strcmp(state, "CLOSED") == 0 || strcmp(state, "LISTEN") == 0)
        return "fl";
    if (strcmp(state, "ESTABLISHED") == 0)
        return "fc";
    if (strncmp(state, "SYN", 3) == 0)
        return "fe";
    return strcmp(state, "TIME-WAIT") == 0 ? "fd" : "fb";
}

static void end_state(struct drawing *g, unsigned col, double y)
{
    struct column *c = &g->cols[col];
    bool is_open = c->state && strcmp(class_of(c->state), "fl") != 0;
    if (y - c->state_y < 0.5 && c->state)
        return;
    wlb_svg_rect(g->s, c->x - (is_open ? 3 : 1), c->state_y, is_open ? 6 : 2, y - c->state_y, is_open ? 2 : 0,
                 class_of(c->state));
}

static void begin_state(struct drawing *g, const struct wlb_item *it, double y)
{
    struct column *c = &g->cols[it->col];
    end_state(g, it->col, y);
    c->state = it->e->to;
    c->state_y = y;
}

/* ---- Items ---- */

static void draw_beside(struct drawing *g, struct wlb_item *it)
{
    struct column *c = &g->cols[it->col];
    bool is_state = it->kind == WLB_ITEM_STATE, is_bad = it->kind == WLB_ITEM_CALL && it->e->value < 0;
    bool is_middle = it->col > 0 && it->col + 1 < g->d->host_n;
    char classes[16];
    if (is_state && c->state && strcmp(c->state, it->e->to) == 0)
        return; /* of another connection, and nothing new */
    snprintf(classes, sizeof classes, "%s s%s", is_state ? "f b" : is_bad ? "bad" : "m", is_middle ? " h" : "");
    double y = place(g, it->col, c->label + 15);
    c->label = y;
    tell_beside(g, it->col, y, classes, it->text);
    tell_time(g, it->col, it->at, y);
    if (is_state)
        begin_state(g, it, y);
}

static void draw_note(struct drawing *g, const struct wlb_item *it)
{
    double y = level(g, 30) + 18;
    wlb_svg_line(g->s, 60, y, WLB_SVG_WIDTH - 60, y, "e k2");
    wlb_svg_text(g->s, WLB_SVG_WIDTH / 2, y + 4, "e s h", WLB_CENTRE, "  %s  ", it->text);
}

static void tell_run(struct drawing *g, const struct wlb_item *it, unsigned dir, double y)
{
    char text[160] = "", n[WLB_NUMBER_CAP], bytes[WLB_NUMBER_CAP];
    bool is_rightward = (dir == 0) == (it->to > it->col);
    if (it->segs[dir] && it->bytes[dir] == 0)
        snprintf(text, sizeof text, "%s segment%s sent again", wlb_commas(it->segs[dir], n),
                 it->segs[dir] == 1 ? "" : "s");
    else if (it->segs[dir])
        snprintf(text, sizeof text, "%s segment%s, %s bytes", wlb_commas(it->segs[dir], n),
                 it->segs[dir] == 1 ? "" : "s", wlb_commas(it->bytes[dir], bytes));
    if (it->plain[dir])
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s packet%s without data", text[0] ? ", " : "",
                 wlb_commas(it->plain[dir], n), it->plain[dir] == 1 ? "" : "s");
    if (it->lost[dir])
        snprintf(text + strlen(text), sizeof text - strlen(text), ", %s lost", wlb_commas(it->lost[dir], n));
    double x = (g->cols[it->col].x + g->cols[it->to].x) / 2;
    if (wlb_svg_text_width(text, SMALL) + 60 > fabs(g->cols[it->col].x - g->cols[it->to].x))
        snprintf(text, sizeof text, "%s packets", wlb_commas(it->segs[dir] + it->plain[dir], n));
    wlb_svg_text(g->s, x, y, "m s h", WLB_CENTRE, "%s%s%s", is_rightward ? "" : "\xe2\x97\x80  ", text,
                 is_rightward ? "  \xe2\x96\xb6" : "");
}

static void draw_run(struct drawing *g, const struct wlb_item *it)
{
    unsigned lines = 0;
    bool has[2];
    for (unsigned dir = 0; dir < 2; dir++) {
        has[dir] = it->segs[dir] + it->plain[dir] > 0;
        lines += has[dir];
    }
    double y = level(g, 16.0 * lines + 14) + 6;
    double a = g->cols[it->col].x, b = g->cols[it->to].x;
    wlb_svg_rect(g->s, fmin(a, b) + 12, y, fabs(a - b) - 24, 16.0 * lines + 2, 4, "panel");
    tell_time(g, it->col, it->at, y + 8);
    y += 12;
    for (unsigned dir = 0; dir < 2; dir++) {
        if (has[dir]) {
            tell_run(g, it, dir, y);
            y += 16;
        }
    }
}

static void start_arrow(struct drawing *g, struct wlb_item *it)
{
    struct column *c = &g->cols[it->col];
    unsigned side = it->to > it->col;
    it->y0 = place(g, it->col, fmax(c->start[side] + 17, c->end[side] + 13));
    c->start[side] = it->y0;
    tell_time(g, it->col, it->at, it->y0);
}

static void end_arrow(struct drawing *g, struct wlb_item *it)
{
    struct column *c = &g->cols[it->to];
    unsigned side = it->col > it->to;
    if (is_lost(it)) {
        it->y1 = it->y0 + way_of(g, it);
        return;
    }
    it->y1 = place(g, it->to, fmax(it->y0 + way_of(g, it), fmax(c->end[side] + 9, c->start[side] + 5)));
    c->end[side] = it->y1;
    tell_time(g, it->to, it->at == it->due ? it->at : it->due, it->y1);
}

static void draw_cross(struct drawing *g, double x, double y)
{
    wlb_svg_put(g->s, "<path class=\"bad t\" d=\"M%.1f %.1fl10 10m0 -10l-10 10\"/>\n", x - 5, y - 5);
}

static void draw_arrow_line(struct drawing *g, const struct wlb_item *it)
{
    double x0 = g->cols[it->col].x, x1 = g->cols[it->to].x, dir = x1 > x0 ? 1 : -1;
    bool is_data = it->e->len > 0 || it->e->flags & 3;
    double a = x0 + 4 * dir, b = x1 - 4 * dir, part = is_lost(it) ? LOST_AT : 1;
    double y1 = it->y0 + (it->y1 - it->y0) * part;
    b = a + (b - a) * part;
    wlb_svg_put(g->s, "<path class=\"%s%s\" marker-end=\"url(#%s)\" d=\"M%.1f %.1f %.1f %.1f\"/>\n",
                it->e->is_again ? "a"
                : is_data       ? "f"
                                : "m",
                it->e->is_again ? " k" : "",
                is_lost(it)       ? ""
                : it->e->is_again ? "ha"
                : is_data         ? "hf"
                                  : "hm",
                a, it->y0, b, y1);
    if (is_lost(it) || it->refusal)
        draw_cross(g, it->refusal ? b - 4 * dir : b, y1);
}

static void draw_arrow_text(struct drawing *g, const struct wlb_item *it)
{
    double x0 = g->cols[it->col].x, x1 = g->cols[it->to].x, dir = x1 > x0 ? 1 : -1;
    double slope = (it->y1 - it->y0) / fabs(x1 - x0), room = hypot(x1 - x0, it->y1 - it->y0) - 26;
    char text[160];
    bool is_full = wlb_svg_text_width(it->text, SMALL) + 22 < room;
    snprintf(text, sizeof text, "%s", is_full ? it->text : it->brief);
    bool is_small = wlb_svg_text_width(text, LETTER) > room / 2;
    bool is_late = way_of(g, it) > 1.3 * TRANSIT && !is_lost(it); /* its text keeps to those of the others */
    double degrees = atan(is_late ? fmin(slope, TRANSIT / fabs(x1 - x0)) : slope) * 180 / PI * dir;
    double x = x0 + 14 * dir, y = it->y0 + 14 * slope - 4;
    char classes[16];
    snprintf(classes, sizeof classes, "%s%s h",
             is_lost(it)       ? "bad"
             : it->e->is_again ? "a"
                               : "f",
             is_small ? " s" : "");
    if (g->d->host_n <= 3) {
        char number[16];
        snprintf(number, sizeof number, "%u", it->number);
        wlb_svg_text_turned(g->s, x, y, degrees, "m s h", dir > 0 ? WLB_LEFT : WLB_RIGHT, number);
        double shift = wlb_svg_text_width(number, SMALL) + 7;
        x += dir * shift;
        y += shift * slope;
    }
    wlb_svg_text_turned(g->s, x, y, degrees, classes, dir > 0 ? WLB_LEFT : WLB_RIGHT, text);
    if (it->refusal && !is_lost(it))
        wlb_svg_text(g->s, x1 - 16 * dir, it->y1 + 12, "bad s h", dir > 0 ? WLB_RIGHT : WLB_LEFT, "%s", it->refusal);
    if (is_lost(it)) {
        const char *fate = it->e->is_corrupted ? "a bit flipped" : "lost";
        double bx = x0 + (x1 - x0) * LOST_AT + dir * 12, by = it->y0 + (it->y1 - it->y0) * LOST_AT + 4;
        wlb_svg_text(g->s, bx, by + 2, "bad s h", dir > 0 ? WLB_LEFT : WLB_RIGHT, "%s", fate);
    }
}

/* Copies that a switch makes: where there are many columns, the first speaks for all. */
static bool is_one_of_many(const struct wlb_diagram *d, size_t i)
{
    const struct wlb_item *it = &d->items[i], *was = it - 1;
    return d->host_n > 4 && i > 0 && was->kind == WLB_ITEM_ARROW && was->col == it->col && was->at == it->at &&
           strcmp(was->text, it->text) == 0 && !it->refusal && !is_lost(it);
}

/* ---- Time ---- */

static bool is_quiet(const struct drawing *g, size_t next)
{
    for (size_t i = 0; i < next; i++) {
        const struct wlb_item *it = g->points[i].it;
        if (it->kind == WLB_ITEM_ARROW && !g->points[i].is_end && !is_lost(it) && it->due >= g->points[next].at)
            return false;
    }
    return true;
}

static void draw_cut(struct drawing *g, double y, weir_ns waited)
{
    char text[WLB_NUMBER_CAP];
    for (unsigned i = 0; i < g->d->host_n; i++) {
        wlb_svg_rect(g->s, g->cols[i].x - 5, y - 4, 10, 8, 0, "bg");
        wlb_svg_put(g->s, "<path class=\"m\" d=\"M%.1f %.1fl12 -4m-12 8l12 -4\"/>\n", g->cols[i].x - 6, y);
    }
    wlb_svg_text(g->s, (g->cols[0].x + g->cols[g->d->host_n > 1].x) / 2, y + 4, "m s h", WLB_CENTRE,
                 "\xe2\x80\xa6 %s \xe2\x80\xa6", wlb_clock(waited, text));
}

struct cut {
    double y;
    weir_ns waited;
};

/* Let the clock go on to a point. Returns whether the wait before it was cut short. */
static bool advance(struct drawing *g, size_t i, struct cut *cut)
{
    weir_ns dt = i > 0 ? g->points[i].at - g->points[i - 1].at : 0;
    double by = (double)dt * g->scale;
    if (dt == 0)
        return false;
    if (!is_quiet(g, i)) {
        g->clock += fmin(by, FLIGHT_MAX);
        return false;
    }
    bool is_cut = by > 2 * GAP_MAX;
    double y = level(g, 0);
    g->clock += is_cut ? GAP_MAX : fmin(by, GAP_MAX);
    *cut = (struct cut){y + GAP_MAX / 2 + 2, dt};
    return is_cut;
}

static void draw_heads(struct drawing *g)
{
    for (unsigned i = 0; i < g->d->host_n; i++) {
        double w = wlb_svg_text_width(g->d->hosts[i], LETTER) + 20;
        wlb_svg_rect(g->s, g->cols[i].x - w / 2, 1, w, 22, 6, "box");
        wlb_svg_text(g->s, g->cols[i].x, 16, "f b", WLB_CENTRE, "%s", g->d->hosts[i]);
    }
}

static void draw_points(struct drawing *g, struct cut *cuts, size_t *cut_n)
{
    g->clock = TOP;
    g->bottom = TOP;
    for (unsigned i = 0; i < g->d->host_n; i++)
        g->cols[i].state_y = 24;
    for (size_t i = 0; i < g->n; i++) {
        struct wlb_item *it = g->points[i].it;
        if (advance(g, i, &cuts[*cut_n]))
            ++*cut_n;
        switch (it->kind) {
        case WLB_ITEM_ARROW: (g->points[i].is_end ? end_arrow : start_arrow)(g, it); break;
        case WLB_ITEM_RUN: draw_run(g, it); break;
        case WLB_ITEM_STATE:
        case WLB_ITEM_CALL: draw_beside(g, it); break;
        case WLB_ITEM_NOTE: draw_note(g, it); break;
        }
    }
}

double wlb_draw_diagram(struct wlb_lab *lab, struct wlb_svg *s, const struct wlb_picture *p)
{
    struct wlb_diagram d;
    struct drawing g = {.s = s, .d = &d};
    struct cut *cuts = NULL;
    size_t cut_n = 0;
    bool ok = wlb_diagram_collect(lab, p, &d) && make_points(&g) && (cuts = calloc(g.n + 1, sizeof *cuts));
    if (!ok)
        wlb_fail(lab, "out of memory");
    if (ok) {
        g.scale = scale_of(&d);
        set_columns(&g);
        draw_points(&g, cuts, &cut_n);
        for (unsigned i = 0; i < d.host_n; i++)
            end_state(&g, i, g.bottom + 12);
        for (size_t i = 0; i < cut_n; i++)
            draw_cut(&g, cuts[i].y, cuts[i].waited);
        for (size_t i = 0; i < d.n; i++) {
            if (d.items[i].kind == WLB_ITEM_ARROW)
                draw_arrow_line(&g, &d.items[i]);
        }
        for (size_t i = 0; i < d.n; i++) {
            if (d.items[i].kind == WLB_ITEM_ARROW && !is_one_of_many(&d, i))
                draw_arrow_text(&g, &d.items[i]);
        }
        draw_heads(&g);
    }
    free(cuts);
    free(g.points);
    free(d.items);
    return g.bottom + 16;
}
