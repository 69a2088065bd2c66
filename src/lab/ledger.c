/*
 * Draws ledgers as bars: for what the connections of a run spent their time (weir/ledger.h).
 */
#include "lab/picture.h"

#include <string.h>

#define BARS_MAX 4
#define LEFT     190.0
#define WIDTH    (WLB_SVG_WIDTH - LEFT - 20)
#define PARTS    5 /* of a bar that are named; the rest is "other" */

struct part {
    const char *name;
    double share;
};

/* The largest first. */
static unsigned sort_parts(const struct weir_ledger *l, struct part *parts)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++) {
        double share = (double)l->spent[i] / (double)l->life;
        unsigned at = n++;
        for (; at > 0 && parts[at - 1].share < share; at--)
            parts[at] = parts[at - 1];
        parts[at] = (struct part){weir_cause_text((enum weir_cause)i), share};
    }
    return n;
}

static void draw_bar(struct wlb_svg *s, const struct weir_ledger *l, double y)
{
    struct part parts[WEIR_CAUSE_N];
    unsigned n = sort_parts(l, parts);
    double x = LEFT, label = LEFT, other = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i >= PARTS || parts[i].share < 0.005) {
            other += parts[i].share;
            continue;
        }
        wlb_svg_put(s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"16\" class=\"%s edge\"/>\n", x, y,
                    WIDTH * parts[i].share, wlb_series_area(i));
        wlb_svg_put(s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\" class=\"%s\"/>\n", label, y + 23,
                    wlb_series_area(i));
        char text[64];
        snprintf(text, sizeof text, "%s %.0f %%", parts[i].name, parts[i].share * 100);
        wlb_svg_text(s, label + 12, y + 31, "f s", WLB_LEFT, "%s", text);
        label += wlb_svg_text_width(text, 11) + 24;
        x += WIDTH * parts[i].share;
    }
    if (other > 0.002)
        wlb_svg_rect(s, x, y, WIDTH * other, 16, 0, "fl");
}

static bool is_wanted(const struct wlb_picture *p, const char *host)
{
    bool is = p->host_n == 0;
    for (unsigned i = 0; i < p->host_n; i++)
        is = is || strcmp(p->hosts[i], host) == 0;
    return is;
}

double wlb_draw_ledger(struct wlb_lab *lab, struct wlb_svg *s, const struct wlb_picture *p)
{
    double y = 4;
    unsigned n = 0;
    char text[WLB_NUMBER_CAP];
    for (size_t i = 0; i < lab->record.n && n < BARS_MAX; i++) {
        const struct wlb_entry *e = &lab->record.entries[i];
        const struct weir_ledger *l = e->ledger ? &lab->record.ledgers[e->ledger - 1] : NULL;
        if (!l || l->life == 0 || !is_wanted(p, e->host))
            continue;
        wlb_svg_text(s, LEFT - 12, y + 13, "f b", WLB_RIGHT, "%.20s", e->host);
        wlb_svg_text(s, LEFT - 12, y + 31, "m s", WLB_RIGHT, "in all %s", wlb_clock(l->life, text));
        draw_bar(s, l, y);
        y += 46;
        n++;
    }
    if (n == 0)
        wlb_svg_text(s, LEFT, y + 13, "m", WLB_LEFT, "no connection ended in this run");
    return n ? y : 26;
}
