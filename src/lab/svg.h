/*
 * Writes an SVG: one file that asks nothing of the network, with the colours of the viewer's light or dark, and the
 * same bytes for the same drawing. It knows shapes and texts, not what they show.
 *
 * A class stands for a colour: f foreground, m muted, l a line of the frame; a to e tell things apart, also for those
 * who see fewer colours (Okabe and Ito's, and each with its own dashes in plots); bad, good.
 */
#ifndef WLB_SVG_H
#define WLB_SVG_H

#include <stdbool.h>
#include <stdio.h>

#define WLB_SVG_WIDTH 820.0 /* of every picture: what a page of text has room for */

struct wlb_svg;

struct wlb_svg *wlb_svg_new(void); /* NULL: out of memory */
void wlb_svg_free(struct wlb_svg *);

/* Markup as it is, for shapes. */
void wlb_svg_put(struct wlb_svg *, const char *form, ...) __attribute__((format(printf, 2, 3)));

enum wlb_anchor { WLB_LEFT, WLB_CENTRE, WLB_RIGHT };

/* A text, its baseline at y; `classes`: colour and size: "f", "m s" (small), "f b" (bold), "f h" (with a halo, over
 * lines). */
void wlb_svg_text(struct wlb_svg *, double x, double y, const char *classes, enum wlb_anchor, const char *form, ...)
    __attribute__((format(printf, 6, 7)));

/* The same, turned around its anchor by so many degrees. */
void wlb_svg_text_turned(struct wlb_svg *, double x, double y, double degrees, const char *classes, enum wlb_anchor,
                         const char *text);

void wlb_svg_line(struct wlb_svg *, double x0, double y0, double x1, double y1, const char *classes);
void wlb_svg_rect(struct wlb_svg *, double x, double y, double w, double h, double round, const char *classes);

/* What follows is drawn so much lower, until the end. */
void wlb_svg_lower(struct wlb_svg *, double by);
void wlb_svg_lower_end(struct wlb_svg *);

/* How wide a text is at most, in a letter of `size`. */
double wlb_svg_text_width(const char *text, double size);

/* The file. 0, or a negative errno. */
int wlb_svg_save(struct wlb_svg *, const char *path, const char *title, double height);

#endif
