/*
 * Draws plots: values of events over time, or points that the scenario tells. What falls onto the same dot is drawn
 * once, so a plot of a million events is no larger than one of a thousand.
 */
#include "lab/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEFT        64.0
#define RIGHT       24.0
#define WIDTH       (WLB_SVG_WIDTH - LEFT - RIGHT)
#define HEIGHT      210.0
#define LEGEND      28.0
#define SERIES_MAX  5
#define BIN         1.5 /* px: finer than this a line is not drawn */
#define BINS        ((unsigned)(WIDTH / BIN) + 1)
#define DOT         2.0
#define DOTS_ACROSS ((unsigned)(WIDTH / DOT) + 1)
#define DOTS_UP     ((unsigned)(HEIGHT / DOT) + 1)

struct samples {
    double *x, *y;
    size_t n, cap;
    bool is_out_of_memory;
};

struct plot {
    struct wlb_svg *s;
    struct samples series[SERIES_MAX];
    unsigned n;
    double x0, x1, y1; /* y begins at 0, or at 1 where it is logarithmic */
    bool is_log, is_time;
    double top;
};

/* ---- Samples ---- */

static void add_sample(struct samples *s, double x, double y)
{
    if (!isfinite(x) || !isfinite(y))
        return;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 256;
        double *xs = realloc(s->x, cap * sizeof *xs), *ys = realloc(s->y, cap * sizeof *ys);
        s->x = xs ? xs : s->x;
        s->y = ys ? ys : s->y;
        s->is_out_of_memory = !xs || !ys;
        if (s->is_out_of_memory)
            return;
        s->cap = cap;
    }
    s->x[s->n] = x;
    s->y[s->n++] = y;
}

static void take_sample(void *ctx, const struct wlb_entry *e, double value)
{
    add_sample(ctx, (double)e->at, value);
}

/* "x, y": two expressions. */
static bool read_point(struct wlb_lab *lab, const char *text, struct samples *s)
{
    char both[1024];
    double v[2];
    snprintf(both, sizeof both, "%s", text);
    char *comma = strchr(both, ',');
    if (!comma || strlen(text) >= sizeof both)
        return wlb_fail(lab, "picture plot: point '%.100s': the form is \"X, Y\"", text);
    *comma = '\0';
    const char *parts[2] = {both, comma + 1};
    for (int i = 0; i < 2; i++) {
        char err[256];
        struct wlb_value value = {0};
        struct wlb_expr *x = wlb_expr_parse(parts[i], err, sizeof err);
        bool ok = x && wlb_expr_eval(x, &lab->record, &lab->names, &value, err, sizeof err);
        wlb_expr_free(x);
        if (!ok)
            return wlb_fail(lab, "picture plot: point '%.100s': %s", text, err);
        v[i] = value.number;
    }
    add_sample(s, v[0], v[1]);
    return true;
}

static bool collect(struct wlb_lab *lab, const struct wlb_picture *p, struct plot *g)
{
    weir_ns from, to;
    if (!wlb_picture_span(lab, p, &from, &to))
        return false;
    g->n = p->series_n < SERIES_MAX ? p->series_n : SERIES_MAX;
    g->is_time = p->series[0].point_n == 0;
    for (unsigned i = 0; i < g->n; i++) {
        const struct wlb_series *s = &p->series[i];
        for (unsigned k = 0; k < s->point_n; k++) {
            if (!read_point(lab, s->points[k], &g->series[i]))
                return false;
        }
        if (s->point_n == 0 && !wlb_picture_select(lab, s->when, s->value, from, to, take_sample, &g->series[i]))
            return false;
        if (g->series[i].is_out_of_memory)
            return wlb_fail(lab, "out of memory");
    }
    return true;
}

/* ---- Axes ---- */

/* A round number that divides `range` into some four to eight. */
static double step_of(double range)
{
    double raw = range / 6, power = pow(10, floor(log10(raw)));
    double over = raw / power;
    return power * (over < 1.5 ? 1 : over < 3.5 ? 2 : over < 7.5 ? 5 : 10);
}

static void set_range(struct plot *g)
{
    double lo = INFINITY, hi = -INFINITY, top = 0;
    for (unsigned i = 0; i < g->n; i++) {
        for (size_t k = 0; k < g->series[i].n; k++) {
            lo = fmin(lo, g->series[i].x[k]);
            hi = fmax(hi, g->series[i].x[k]);
            top = fmax(top, g->series[i].y[k]);
        }
    }
    if (!isfinite(lo)) {
        lo = 0;
        hi = 1;
    }
    g->x0 = g->is_log ? fmax(lo, 1) : lo;
    g->x1 = hi > g->x0 ? hi : g->x0 + 1;
    g->y1 = top > 0 ? top : 1;
    double step = step_of(g->y1);
    g->y1 = g->is_log ? pow(10, ceil(log10(fmax(g->y1, 10)))) : ceil(g->y1 / step) * step;
}

static double across(const struct plot *g, double x)
{
    double part = g->is_log ? log10(fmax(x, 1) / g->x0) / log10(g->x1 / g->x0) : (x - g->x0) / (g->x1 - g->x0);
    return LEFT + WIDTH * fmin(fmax(part, 0), 1);
}

static double up(const struct plot *g, double y)
{
    double part = g->is_log ? log10(fmax(y, 1)) / log10(g->y1) : y / g->y1;
    return g->top + HEIGHT * (1 - fmin(fmax(part, 0), 1));
}

static void draw_tick_up(const struct plot *g, double v)
{
    char text[WLB_NUMBER_CAP];
    double y = up(g, v);
    wlb_svg_line(g->s, LEFT, y, LEFT + WIDTH, y, "l");
    if (v > 0 && v < 10 && v != floor(v))
        snprintf(text, sizeof text, "%.1f", v);
    else
        wlb_commas(v, text);
    wlb_svg_text(g->s, LEFT - 8, y + 4, "m s", WLB_RIGHT, "%s", text);
}

static void draw_tick_across(const struct plot *g, double v)
{
    char text[WLB_NUMBER_CAP];
    double x = across(g, v);
    wlb_svg_line(g->s, x, g->top + HEIGHT, x, g->top + HEIGHT + 4, "m");
    if (g->is_time)
        wlb_clock((weir_ns)(v + 0.5), text);
    else
        wlb_commas(v, text);
    wlb_svg_text(g->s, x, g->top + HEIGHT + 17, "m s", x > LEFT + WIDTH - 20 ? WLB_RIGHT : WLB_CENTRE, "%s", text);
}

#define TICKS_MAX 12

static void draw_axes(const struct plot *g, const struct wlb_picture *p)
{
    double up_step = step_of(g->y1), across_step = step_of(g->x1 - g->x0), past = (g->x1 - g->x0) * 1e-6;
    double first = g->is_log ? ceil(log10(g->x0) - 1e-9) : ceil(g->x0 / across_step - 1e-9);
    for (int i = 0; i < TICKS_MAX; i++) {
        double v = g->is_log ? pow(10, i) : i * up_step;
        if (v <= g->y1 * 1.001)
            draw_tick_up(g, v);
        double w = g->is_log ? pow(10, first + i) : (first + i) * across_step;
        if (w <= g->x1 + past)
            draw_tick_across(g, w);
    }
    wlb_svg_line(g->s, LEFT, g->top + HEIGHT, LEFT + WIDTH, g->top + HEIGHT, "m");
    if (p->unit)
        wlb_svg_text(g->s, 10, g->top - 10, "m s", WLB_LEFT, "%s", p->unit);
    wlb_svg_text(g->s, LEFT + WIDTH / 2, g->top + HEIGHT + 34, "m s", WLB_CENTRE, "%s", p->across ? p->across : "time");
}

/* ---- Lines and dots ---- */

static void draw_line(const struct plot *g, const struct samples *a, bool is_steps, const char *classes)
{
    double last_x = 0, last_y = 0;
    if (a->n == 0)
        return;
    wlb_svg_put(g->s, "<path class=\"%s\" d=\"", classes);
    for (size_t i = 0; i < a->n;) {
        double x = across(g, a->x[i]), lo = up(g, a->y[i]), hi = lo, first = lo, end = lo;
        size_t k = i + 1;
        for (; k < a->n && across(g, a->x[k]) < x + BIN; k++) {
            end = up(g, a->y[k]);
            lo = fmin(lo, end);
            hi = fmax(hi, end);
        }
        if (i == 0)
            wlb_svg_put(g->s, "M%.1f %.1f", x, first);
        else if (fabs(first - last_y) < 0.05 && hi - lo < 0.05) {
            i = k;
            last_x = x;
            continue;
        } else if (is_steps)
            wlb_svg_put(g->s, "H%.1fV%.1f", x, first);
        else
            wlb_svg_put(g->s, "L%.1f %.1f", x, first);
        if (hi - lo >= 0.05)
            wlb_svg_put(g->s, "V%.1fV%.1f%s", lo, hi, "");
        if (hi - lo >= 0.05 && fabs(end - hi) >= 0.05)
            wlb_svg_put(g->s, "V%.1f", end);
        last_x = x;
        last_y = end;
        i = k;
    }
    wlb_svg_put(g->s, "H%.1f\"/>\n", last_x);
}

static void draw_dots(const struct plot *g, const struct samples *a, unsigned number)
{
    static const char colors[] = "abcde";
    uint8_t *is_taken = calloc(DOTS_ACROSS, DOTS_UP);
    if (!is_taken)
        return;
    wlb_svg_put(g->s, "<path style=\"stroke:var(--%c);stroke-width:3;stroke-linecap:round\" d=\"", colors[number % 5]);
    for (size_t i = 0; i < a->n; i++) {
        unsigned x = (unsigned)((across(g, a->x[i]) - LEFT) / DOT), y = (unsigned)((up(g, a->y[i]) - g->top) / DOT);
        if (is_taken[x * DOTS_UP + y])
            continue;
        is_taken[x * DOTS_UP + y] = 1;
        wlb_svg_put(g->s, "M%.0f %.0fh0", LEFT + x * DOT, g->top + y * DOT);
    }
    wlb_svg_put(g->s, "\"/>\n");
    free(is_taken);
}

static bool is_style(const struct wlb_series *s, const char *style)
{
    return s->style && strcmp(s->style, style) == 0;
}

static void draw_legend(const struct plot *g, const struct wlb_picture *p)
{
    static const char colors[] = "abcde";
    double x = LEFT;
    for (unsigned i = 0; i < g->n; i++) {
        const struct wlb_series *s = &p->series[i];
        if (is_style(s, "dots"))
            wlb_svg_put(g->s,
                        "<path style=\"stroke:var(--%c);stroke-width:5;stroke-linecap:round\" d=\"M%.1f 8h0\"/>\n",
                        colors[i % 5], x + 12);
        else
            wlb_svg_put(g->s, "<path class=\"%s t\" d=\"M%.1f 8h24\"/>\n", wlb_series_line(i), x);
        wlb_svg_text(g->s, x + 30, 12, "f s", WLB_LEFT, "%s", s->name);
        x += 30 + wlb_svg_text_width(s->name, 11) + 22;
    }
}

double wlb_draw_plot(struct wlb_lab *lab, struct wlb_svg *svg, const struct wlb_picture *p)
{
    struct plot g = {.s = svg, .is_log = p->log && strcmp(p->log, "yes") == 0, .top = LEGEND + (p->unit ? 16 : 0)};
    if (collect(lab, p, &g)) {
        set_range(&g);
        draw_axes(&g, p);
        for (unsigned i = 0; i < g.n; i++) {
            if (is_style(&p->series[i], "dots"))
                draw_dots(&g, &g.series[i], i);
            else
                draw_line(&g, &g.series[i], is_style(&p->series[i], "steps"), wlb_series_line(i));
            for (size_t k = 0; p->series[i].point_n > 0 && k < g.series[i].n; k++)
                wlb_svg_put(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" class=\"%s\"/>\n",
                            across(&g, g.series[i].x[k]), up(&g, g.series[i].y[k]), wlb_series_area(i));
        }
        draw_legend(&g, p);
    }
    for (unsigned i = 0; i < SERIES_MAX; i++) {
        free(g.series[i].x);
        free(g.series[i].y);
    }
    return g.top + HEIGHT + 38;
}
