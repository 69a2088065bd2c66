/*
 * Draws a stream of bytes as rows of blocks: what was written, how the wire cut it, what each read returned. Byte n of
 * each row stands above byte n of the next.
 */
#include "lab/picture.h"

#define LEFT   150.0
#define WIDTH  (WLB_SVG_WIDTH - LEFT - 20)
#define ROW    46.0
#define BLOCK  26.0
#define BLOCKS 120 /* of a row; more could not be told apart */

struct row {
    struct wlb_svg *s;
    double y, at, bytes; /* at: bytes so far; bytes: how many the picture shows */
    unsigned n, color;
};

static void add_length(void *ctx, const struct wlb_entry *e, double value)
{
    (void)e;
    *(double *)ctx += value > 0 ? value : 0;
}

static void draw_block(void *ctx, const struct wlb_entry *e, double value)
{
    struct row *r = ctx;
    char text[WLB_NUMBER_CAP];
    (void)e;
    if (!(value > 0) || r->at >= r->bytes || r->n >= BLOCKS)
        return;
    double x = LEFT + WIDTH * r->at / r->bytes;
    double end = r->at + value < r->bytes ? r->at + value : r->bytes, w = WIDTH * (end - r->at) / r->bytes;
    wlb_svg_put(r->s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" rx=\"3\" class=\"%s edge\"/>\n", x,
                r->y, w, BLOCK, wlb_series_area(r->color));
    wlb_commas(value, text);
    if (wlb_svg_text_width(text, 11) + 6 < w)
        wlb_svg_text(r->s, x + w / 2, r->y + 17, "w s b", WLB_CENTRE, "%s", text);
    r->at += value;
    r->n++;
}

double wlb_draw_stream(struct wlb_lab *lab, struct wlb_svg *s, const struct wlb_picture *p)
{
    weir_ns from, to;
    uint64_t shown;
    double bytes = 0, y = 4;
    char text[WLB_NUMBER_CAP];
    if (!wlb_picture_span(lab, p, &from, &to) || !wlb_count_of(lab, "picture: across", p->across, 0, &shown))
        return 0;
    wlb_picture_select(lab, p->series[0].when, p->series[0].value, from, to, add_length, &bytes);
    if (shown > 0 && bytes > (double)shown)
        bytes = (double)shown;
    for (unsigned i = 0; i < p->series_n && bytes > 0; i++) {
        struct row r = {.s = s, .y = y, .bytes = bytes, .color = i};
        wlb_svg_text(s, LEFT - 12, y + 18, "f", WLB_RIGHT, "%s", p->series[i].name);
        if (!wlb_picture_select(lab, p->series[i].when, p->series[i].value, from, to, draw_block, &r))
            break;
        y += ROW;
    }
    wlb_svg_line(s, LEFT, y - 8, LEFT + WIDTH, y - 8, "l");
    wlb_svg_text(s, LEFT, y + 8, "m s", WLB_LEFT, "byte 0");
    wlb_svg_text(s, LEFT + WIDTH, y + 8, "m s", WLB_RIGHT, "%s", wlb_commas(bytes, text));
    return y + 14;
}
