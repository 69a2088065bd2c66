/*
 * Which pictures a scenario has, and putting them below each other (picture.h).
 */
#include "lab/picture.h"

#include "trace/pen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN 14.0

static const struct {
    const char *name;
    double (*draw)(struct wlb_lab *, struct wlb_svg *, const struct wlb_picture *);
} kinds[] = {
    {"diagram", wlb_draw_diagram}, {"plot", wlb_draw_plot},     {"stream", wlb_draw_stream},
    {"states", wlb_draw_states},   {"header", wlb_draw_header}, {"ledger", wlb_draw_ledger},
};
#define KIND_N (sizeof kinds / sizeof kinds[0])

static size_t find_kind(const char *name)
{
    size_t i = 0;
    while (i < KIND_N && strcmp(kinds[i].name, name) != 0)
        i++;
    return i;
}

/* ---- Checking ---- */

static bool check_expression(struct wlb_lab *lab, const struct wlb_picture *p, const char *text)
{
    char err[256];
    struct wlb_expr *x = text ? wlb_expr_parse(text, err, sizeof err) : NULL;
    wlb_expr_free(x);
    return !text || x || wlb_fail(lab, "picture %s: '%s': %s", p->kind, text, err);
}

static bool check_series(struct wlb_lab *lab, const struct wlb_picture *p, const struct wlb_series *s)
{
    bool is_plot = strcmp(p->kind, "plot") == 0;
    if (s->style && strcmp(s->style, "line") != 0 && strcmp(s->style, "steps") != 0 && strcmp(s->style, "dots") != 0)
        return wlb_fail(lab, "picture %s: style '%s': it is line, steps or dots", p->kind, s->style);
    if (!is_plot && strcmp(p->kind, "stream") != 0)
        return wlb_fail(lab, "picture %s: it has no series; a plot and a stream have", p->kind);
    if (s->point_n ? !is_plot || s->value || s->when : !s->value || !s->when)
        return wlb_fail(lab, "picture %s: series '%s' wants a value and when, or the points of a plot", p->kind,
                        s->name);
    return check_expression(lab, p, s->value) && check_expression(lab, p, s->when);
}

static bool check_picture(struct wlb_lab *lab, const struct wlb_picture *p)
{
    if (find_kind(p->kind) == KIND_N)
        return wlb_fail(lab, "picture '%s': it is diagram, plot, stream, states, header or ledger", p->kind);
    if (strcmp(p->kind, "header") == 0 && !lab->scenario->dissect)
        return wlb_fail(lab, "picture header: `dissect` has to say of which packets");
    if ((strcmp(p->kind, "plot") == 0 || strcmp(p->kind, "stream") == 0) && p->series_n == 0)
        return wlb_fail(lab, "picture %s: it has no series", p->kind);
    for (unsigned i = 0; i < p->host_n; i++) {
        if (!wlb_host_of(lab, p->hosts[i]))
            return wlb_fail(lab, "picture %s: there is no host '%s'", p->kind, p->hosts[i]);
    }
    if (!check_expression(lab, p, p->packets))
        return false;
    for (unsigned i = 0; i < p->series_n; i++) {
        if (!check_series(lab, p, &p->series[i]))
            return false;
    }
    return true;
}

bool wlb_pictures_check(struct wlb_lab *lab)
{
    for (unsigned i = 0; i < lab->scenario->picture_n; i++) {
        if (!check_picture(lab, &lab->scenario->pictures[i]))
            return false;
    }
    return true;
}

/* ---- Drawing ---- */

static double draw(struct wlb_lab *lab, struct wlb_svg *s, const struct wlb_picture *p, double y)
{
    double top = y + (p->title ? 26 : 0);
    if (p->title) {
        char *title = wlb_fill(lab, "picture: title", p->title);
        wlb_svg_text(s, MARGIN, y + 16, "f b", WLB_LEFT, "%s", title ? title : "");
        free(title);
    }
    wlb_svg_lower(s, top);
    double height = kinds[find_kind(p->kind)].draw(lab, s, p);
    wlb_svg_lower_end(s);
    return top + height;
}

bool wlb_pictures_save(struct wlb_lab *lab, const char *path)
{
    const struct wlb_scenario *sc = lab->scenario;
    static char diagram[] = "diagram", states[] = "states", header[] = "header";
    struct wlb_picture one = {.kind = sc->states ? states : sc->dissect ? header : diagram};
    struct wlb_svg *s = wlb_svg_new();
    double y = MARGIN;
    if (!s)
        return wlb_fail(lab, "out of memory");
    for (unsigned i = 0; i < sc->picture_n; i++)
        y = draw(lab, s, &sc->pictures[i], y) + MARGIN;
    if (sc->picture_n == 0)
        y = draw(lab, s, &one, y) + MARGIN;
    int err = lab->error[0] ? 0 : wlb_svg_save(s, path, sc->title, y);
    wlb_svg_free(s);
    return err ? wlb_fail(lab, "%s: %s", path, strerror(-err)) : !lab->error[0];
}

/* ---- Among them ---- */

bool wlb_picture_span(struct wlb_lab *lab, const struct wlb_picture *p, weir_ns *from, weir_ns *to)
{
    return wlb_time_of(lab, "picture: from", p->from, 0, from) &&
           wlb_time_of(lab, "picture: to", p->to, WEIR_SEC(1000000), to);
}

bool wlb_picture_select(struct wlb_lab *lab, const char *when, const char *value, weir_ns from, weir_ns to,
                        void (*take)(void *ctx, const struct wlb_entry *, double value), void *ctx)
{
    char err[256] = "";
    struct wlb_expr *filter = wlb_expr_parse(when, err, sizeof err);
    struct wlb_expr *of = filter && value ? wlb_expr_parse(value, err, sizeof err) : NULL;
    for (size_t i = 0; !err[0] && i < lab->record.n; i++) {
        const struct wlb_entry *e = &lab->record.entries[i];
        struct wlb_value is = {0}, v = {0};
        if (e->at < from || e->at > to ||
            !wlb_expr_select(filter, &lab->record, &lab->names, e, &is, err, sizeof err) || is.number == 0)
            continue;
        if (!of || wlb_expr_select(of, &lab->record, &lab->names, e, &v, err, sizeof err))
            take(ctx, e, v.number);
    }
    wlb_expr_free(filter);
    wlb_expr_free(of);
    return !err[0] || wlb_fail(lab, "picture: '%s': %s", when, err);
}

const char *wlb_commas(double v, char buf[WLB_NUMBER_CAP])
{
    _Static_assert(WLB_NUMBER_CAP >= WTR_COUNT_CAP, "a count fits");
    return wtr_commas((uint64_t)llround(v < 0 ? 0 : v < 1e15 ? v : 1e15), buf);
}

const char *wlb_clock(weir_ns t, char buf[WLB_NUMBER_CAP])
{
    double ms = (double)t / 1e6;
    char digits[WLB_NUMBER_CAP];
    snprintf(digits, sizeof digits, "%.*f", ms < 1000 ? 2 : ms < 100000 ? 3 : 1, ms < 1000 ? ms : ms / 1000);
    size_t n = strlen(digits);
    while (n > 0 && digits[n - 1] == '0')
        digits[--n] = '\0';
    if (n > 0 && digits[n - 1] == '.')
        digits[n - 1] = '\0';
    snprintf(buf, WLB_NUMBER_CAP, "%.20s %s", digits, ms < 1000 ? "ms" : "s");
    return buf;
}

const char *wlb_series_line(unsigned n)
{
    static const char *const lines[] = {"a", "b1 k", "c k3", "d k2", "e"};
    return lines[n % 5];
}

const char *wlb_series_area(unsigned n)
{
    static const char *const areas[] = {"fa", "fb", "fc", "fd", "fe"};
    return areas[n % 5];
}
