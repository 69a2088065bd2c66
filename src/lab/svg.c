/*
 * The SVG writer (svg.h): the body is collected in memory, since its height is known at the end.
 */
#include "lab/svg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_CAP 512

struct wlb_svg {
    FILE *body;
    char *text;
    size_t len;
    FILE *over; /* texts with a halo: above all that is drawn until the next wlb_svg_lower_end */
    char *over_text;
    size_t over_len;
};

static const char style[] =
    "<style>"
    ":root{--bg:#fff;--f:#1f2328;--m:#59636e;--l:#d1d9e0;--p:#f6f8fa;--a:#0063a3;--b:#b64a00;--c:#00795a;--d:#8b3f86;"
    "--e:#8a6100;--bad:#c4200f;--good:#00795a}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--f:#e6edf3;--m:#9aa4af;--l:#3d444d;--p:#161b22;--a:#58b0f0;"
    "--b:#f28c46;--c:#35c79a;--d:#dd8fd3;--e:#e3b341;--bad:#ff7b6e;--good:#35c79a}}"
    "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:var(--f)}"
    "text.m{fill:var(--m)}text.a{fill:var(--a)}text.b1{fill:var(--b)}text.c{fill:var(--c)}text.d{fill:var(--d)}"
    "text.e{fill:var(--e)}text.bad{fill:var(--bad)}text.good{fill:var(--good)}text.w{fill:var(--bg)}"
    "text.s{font-size:11px}text.b{font-weight:600}"
    "text.h{paint-order:stroke;stroke:var(--bg);stroke-width:4px;stroke-linejoin:round}"
    "path,line,polyline{fill:none;stroke-width:1.6}"
    "path.f{stroke:var(--f)}path.m{stroke:var(--m)}path.l{stroke:var(--l);stroke-width:1}path.a{stroke:var(--a)}"
    "path.b1{stroke:var(--b)}path.c{stroke:var(--c)}path.d{stroke:var(--d)}path.e{stroke:var(--e)}"
    "path.bad{stroke:var(--bad)}path.good{stroke:var(--good)}path.k{stroke-dasharray:6 4}path.k2{stroke-dasharray:2 3}"
    "path.k3{stroke-dasharray:9 3 2 3}path.t{stroke-width:2.2}"
    "rect.l{stroke:var(--l);fill:none}.bg{fill:var(--bg)}.panel{fill:var(--p)}.box{fill:var(--p);stroke:var(--l)}"
    ".fm{fill:var(--m)}.fl{fill:var(--l)}.fa{fill:var(--a)}.fb{fill:var(--b)}.fc{fill:var(--c)}.fd{fill:var(--d)}"
    ".fe{fill:var(--e)}.ff{fill:var(--f)}.fbad{fill:var(--bad)}.soft{fill-opacity:.18}.edge{stroke:var(--bg);stroke-"
    "width:1}"
    "</style>";

/* Arrow heads, one for each colour that an arrow may have. */
static const char heads[] =
    "<defs>"
    "<marker id=\"hf\" viewBox=\"0 0 9 8\" refX=\"8.4\" refY=\"4\" markerWidth=\"9\" markerHeight=\"8\" "
    "markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"ff\" style=\"fill:var(--f);stroke:none\" d=\"M0 0 9 "
    "4 0 8z\"/></marker>"
    "<marker id=\"ha\" viewBox=\"0 0 9 8\" refX=\"8.4\" refY=\"4\" markerWidth=\"9\" markerHeight=\"8\" "
    "markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path style=\"fill:var(--a);stroke:none\" d=\"M0 0 9 4 0 "
    "8z\"/></marker>"
    "<marker id=\"hm\" viewBox=\"0 0 9 8\" refX=\"8.4\" refY=\"4\" markerWidth=\"9\" markerHeight=\"8\" "
    "markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path style=\"fill:var(--m);stroke:none\" d=\"M0 0 9 4 0 "
    "8z\"/></marker>"
    "</defs>";

struct wlb_svg *wlb_svg_new(void)
{
    struct wlb_svg *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->body = open_memstream(&s->text, &s->len);
    s->over = open_memstream(&s->over_text, &s->over_len);
    if (s->body && s->over)
        return s;
    wlb_svg_free(s);
    return NULL;
}

void wlb_svg_free(struct wlb_svg *s)
{
    if (!s)
        return;
    if (s->body)
        fclose(s->body);
    if (s->over)
        fclose(s->over);
    free(s->over_text);
    free(s->text);
    free(s);
}

void wlb_svg_put(struct wlb_svg *s, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    vfprintf(s->body, form, args);
    va_end(args);
}

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default:
            if ((unsigned char)*text >= ' ' || *text == '\n')
                fputc(*text, out);
        }
    }
}

/* One decimal, and none where it is 0. */
static const char *coordinate(double v, char buf[32])
{
    int n = snprintf(buf, 32, "%.1f", v);
    if (n > 2 && buf[n - 1] == '0')
        buf[n - 2] = '\0';
    return strcmp(buf, "-0") == 0 ? "0" : buf;
}

static void put_text(struct wlb_svg *s, double x, double y, double degrees, const char *classes, enum wlb_anchor anchor,
                     const char *text)
{
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
    char bx[32], by[32], turn[32];
    size_t n = strlen(classes);
    FILE *out = n > 2 && strcmp(classes + n - 2, " h") == 0 && s->over ? s->over : s->body;
    coordinate(x, bx);
    coordinate(y, by);
    fprintf(out, "<text x=\"%s\" y=\"%s\"%s", bx, by, anchors[anchor]);
    if (strcmp(classes, "f") != 0)
        fprintf(out, " class=\"%s\"", classes);
    if (degrees != 0)
        fprintf(out, " transform=\"rotate(%s %s %s)\"", coordinate(degrees, turn), bx, by);
    fputc('>', out);
    put_escaped(out, text);
    fputs("</text>\n", out);
}

void wlb_svg_text(struct wlb_svg *s, double x, double y, const char *classes, enum wlb_anchor anchor, const char *form,
                  ...)
{
    char text[TEXT_CAP];
    va_list args;
    va_start(args, form);
    vsnprintf(text, sizeof text, form, args);
    va_end(args);
    put_text(s, x, y, 0, classes, anchor, text);
}

void wlb_svg_text_turned(struct wlb_svg *s, double x, double y, double degrees, const char *classes,
                         enum wlb_anchor anchor, const char *text)
{
    put_text(s, x, y, degrees, classes, anchor, text);
}

void wlb_svg_line(struct wlb_svg *s, double x0, double y0, double x1, double y1, const char *classes)
{
    char a[32], b[32], c[32], d[32];
    fprintf(s->body, "<path class=\"%s\" d=\"M%s %s %s %s\"/>\n", classes, coordinate(x0, a), coordinate(y0, b),
            coordinate(x1, c), coordinate(y1, d));
}

void wlb_svg_rect(struct wlb_svg *s, double x, double y, double w, double h, double round, const char *classes)
{
    char a[32], b[32], c[32], d[32];
    fprintf(s->body, "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"", coordinate(x, a), coordinate(y, b),
            coordinate(w, c), coordinate(h, d));
    if (round > 0)
        fprintf(s->body, " rx=\"%s\"", coordinate(round, a));
    fprintf(s->body, " class=\"%s\"/>\n", classes);
}

void wlb_svg_lower(struct wlb_svg *s, double by)
{
    char y[32];
    fprintf(s->body, "<g transform=\"translate(0 %s)\">\n", coordinate(by, y));
}

void wlb_svg_lower_end(struct wlb_svg *s)
{
    if (s->over && fclose(s->over) == 0)
        fwrite(s->over_text, 1, s->over_len, s->body);
    free(s->over_text);
    s->over_text = NULL;
    s->over = open_memstream(&s->over_text, &s->over_len);
    fputs("</g>\n", s->body);
}

double wlb_svg_text_width(const char *text, double size)
{
    double w = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x80 && c < 0xc0)
            continue; /* the rest of a letter in UTF-8 */
        w += strchr("iljt.,:;'|!()[] fr", c)    ? 0.36
             : strchr("mwMW%@", c) || c >= 0x80 ? 0.95
             : c >= 'A' && c <= 'Z'             ? 0.74
                                                : 0.62;
    }
    return w * size;
}

int wlb_svg_save(struct wlb_svg *s, const char *path, const char *title, double height)
{
    if (fflush(s->body) != 0 || !s->text)
        return -ENOMEM;
    FILE *out = fopen(path, "w");
    if (!out)
        return -errno;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
            "role=\"img\">\n<title>",
            WLB_SVG_WIDTH, height, WLB_SVG_WIDTH, height);
    put_escaped(out, title);
    fprintf(out, "</title>\n%s\n%s\n", style, heads);
    fprintf(out, "<rect class=\"bg\" width=\"%.0f\" height=\"%.0f\" rx=\"8\"/>\n", WLB_SVG_WIDTH, height);
    fwrite(s->text, 1, s->len, out);
    fputs("</svg>\n", out);
    int err = ferror(out) ? -EIO : 0;
    return fclose(out) != 0 && !err ? -errno : err;
}
