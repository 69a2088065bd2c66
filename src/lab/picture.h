/*
 * The pictures of a scenario that was played, one below the other in an SVG: which, its file says
 * (docs/lab/language.md).
 */
#ifndef WLB_PICTURE_H
#define WLB_PICTURE_H

#include "lab/lab.h"
#include "lab/svg.h"

/* Are the scenario's pictures such as there are? False: wlb_fail has what is wrong. */
bool wlb_pictures_check(struct wlb_lab *);

/* Draw them into a file. False: wlb_fail has it. */
bool wlb_pictures_save(struct wlb_lab *, const char *path);

/* ---- Each kind: draws at 0, and returns how high it came out ---- */

double wlb_draw_diagram(struct wlb_lab *, struct wlb_svg *, const struct wlb_picture *);
double wlb_draw_plot(struct wlb_lab *, struct wlb_svg *, const struct wlb_picture *);
double wlb_draw_stream(struct wlb_lab *, struct wlb_svg *, const struct wlb_picture *);
double wlb_draw_states(struct wlb_lab *, struct wlb_svg *, const struct wlb_picture *);
double wlb_draw_header(struct wlb_lab *, struct wlb_svg *, const struct wlb_picture *);
double wlb_draw_ledger(struct wlb_lab *, struct wlb_svg *, const struct wlb_picture *);

/* ---- Among them ---- */

/* The time that a picture shows. */
bool wlb_picture_span(struct wlb_lab *, const struct wlb_picture *, weir_ns *from, weir_ns *to);

/* Each event that `when` selects in that time, and `value` of it (NULL: 0). False: wlb_fail has it. */
bool wlb_picture_select(struct wlb_lab *, const char *when, const char *value, weir_ns from, weir_ns to,
                        void (*take)(void *ctx, const struct wlb_entry *, double value), void *ctx);

/* 1234567 as "1,234,567"; a time as people write it, "12.5 ms". Returns buf. */
#define WLB_NUMBER_CAP 32
const char *wlb_commas(double v, char buf[WLB_NUMBER_CAP]);
const char *wlb_clock(weir_ns t, char buf[WLB_NUMBER_CAP]);

/* The n-th colour of what is told apart: as a line, as an area, as a text. */
const char *wlb_series_line(unsigned n);
const char *wlb_series_area(unsigned n);

#endif
