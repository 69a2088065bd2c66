/*
 * Draws the state diagram (states.c) with what a run visited: its states filled, its edges thick, with how often.
 */
#include "lab/picture.h"

#include <string.h>

#define BOX_W 124.0
#define BOX_H 32.0

static const struct {
    const char *name;
    double x, y; /* the middle */
} places[] = {
    {"CLOSED", 410, 24},       {"LISTEN", 170, 104},     {"SYN-SENT", 650, 104},   {"SYN-RECEIVED", 290, 192},
    {"ESTABLISHED", 530, 260}, {"FIN-WAIT-1", 250, 348}, {"CLOSE-WAIT", 650, 348}, {"FIN-WAIT-2", 110, 440},
    {"CLOSING", 390, 440},     {"LAST-ACK", 650, 440},   {"TIME-WAIT", 250, 528},
};
#define PLACE_N (sizeof places / sizeof places[0])

/* An edge as a path, and where its text stands. */
static const struct {
    const char *name, *why, *path;
    double x, y;
    enum wlb_anchor anchor;
} ways[] = {
    {"CLOSED > LISTEN", "listen()", "M348 30 200 88", 262, 50, WLB_RIGHT},
    {"CLOSED > SYN-SENT", "connect(): send SYN", "M472 30 620 88", 558, 50, WLB_LEFT},
    {"LISTEN > CLOSED", "close()", "M222 88 360 40", 312, 74, WLB_LEFT},
    {"LISTEN > SYN-RECEIVED", "SYN: send SYN, ACK", "M176 120 254 176", 204, 154, WLB_RIGHT},
    {"SYN-SENT > CLOSED", "close() or refused", "M598 88 460 40", 508, 74, WLB_RIGHT},
    {"SYN-SENT > SYN-RECEIVED", "SYN: send SYN, ACK", "M600 120 352 184", 476, 140, WLB_RIGHT},
    {"SYN-SENT > ESTABLISHED", "SYN, ACK: send ACK", "M646 120 570 244", 620, 186, WLB_LEFT},
    {"SYN-RECEIVED > LISTEN", "RST", "M302 176 228 120", 276, 140, WLB_LEFT},
    {"SYN-RECEIVED > ESTABLISHED", "ACK", "M352 200 480 244", 424, 218, WLB_LEFT},
    {"SYN-RECEIVED > FIN-WAIT-1", "close(): send FIN", "M282 208 254 332", 258, 276, WLB_RIGHT},
    {"ESTABLISHED > FIN-WAIT-1", "close(): send FIN", "M480 276 312 340", 388, 326, WLB_LEFT},
    {"ESTABLISHED > CLOSE-WAIT", "FIN: send ACK", "M560 276 630 332", 606, 304, WLB_LEFT},
    {"FIN-WAIT-1 > FIN-WAIT-2", "ACK of FIN", "M226 364 140 424", 176, 392, WLB_RIGHT},
    {"FIN-WAIT-1 > CLOSING", "FIN: send ACK", "M276 364 366 424", 330, 394, WLB_LEFT},
    {"FIN-WAIT-2 > TIME-WAIT", "FIN: send ACK", "M134 456 222 512", 172, 496, WLB_RIGHT},
    {"CLOSE-WAIT > LAST-ACK", "close(): send FIN", "M650 364V424", 658, 398, WLB_LEFT},
    {"CLOSING > TIME-WAIT", "ACK of FIN", "M366 456 280 512", 330, 496, WLB_LEFT},
    {"LAST-ACK > CLOSED", "ACK of FIN", "M712 440H790V24H472", 784, 474, WLB_RIGHT},
    {"TIME-WAIT > CLOSED", "2 MSL later", "M188 528H30V24H348", 38, 516, WLB_LEFT},
};
#define WAY_N (sizeof ways / sizeof ways[0])

static unsigned count_way(const struct wlb_record *r, const char *name)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->n; i++)
        n += r->entries[i].edge && strcmp(r->entries[i].edge, name) == 0;
    return n;
}

static bool is_visited(const struct wlb_record *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct wlb_entry *e = &r->entries[i];
        if (e->edge && (strcmp(e->to, name) == 0 || strcmp(e->from, name) == 0))
            return true;
    }
    return false;
}

double wlb_draw_states(struct wlb_lab *lab, struct wlb_svg *s, const struct wlb_picture *p)
{
    (void)p;
    for (size_t i = 0; i < WAY_N; i++) {
        bool was = count_way(&lab->record, ways[i].name) > 0;
        wlb_svg_put(s, "<path class=\"%s\" marker-end=\"url(#%s)\" d=\"%s\"/>\n", was ? "a t" : "m k2",
                    was ? "ha" : "hm", ways[i].path);
    }
    for (size_t i = 0; i < WAY_N; i++) {
        unsigned n = count_way(&lab->record, ways[i].name);
        if (n > 0)
            wlb_svg_text(s, ways[i].x, ways[i].y, "f s h", ways[i].anchor, "%s \xc2\xb7 %ux", ways[i].why, n);
        else
            wlb_svg_text(s, ways[i].x, ways[i].y, "m s h", ways[i].anchor, "%s", ways[i].why);
    }
    for (size_t i = 0; i < PLACE_N; i++) {
        bool was = is_visited(&lab->record, places[i].name);
        wlb_svg_rect(s, places[i].x - BOX_W / 2, places[i].y - BOX_H / 2, BOX_W, BOX_H, 8, was ? "fa" : "box");
        wlb_svg_text(s, places[i].x, places[i].y + 5, was ? "w b" : "m", WLB_CENTRE, "%s", places[i].name);
    }
    wlb_svg_text(s, WLB_SVG_WIDTH / 2 + 30, 556, "m s", WLB_CENTRE,
                 "filled and thick: visited in this run, so often; dotted: not");
    return 566;
}
