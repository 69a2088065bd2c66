/*
 * The page of a scenario that was played, in Markdown: its words, its pictures (an SVG of the same name beside it), its
 * claims with their numbers, and where to go on.
 */
#ifndef WLB_PAGE_H
#define WLB_PAGE_H

#include "lab/lab.h"

/* NULL: errno says why. `path` and `name` live as long as the page. */
struct wlb_page *wlb_page_open(const char *path, const char *name);

void wlb_page_claim(struct wlb_page *, bool is_true, const char *say);

/* Write it. 0, or a negative errno; where a text of the scenario cannot be filled in, wlb_fail has it. */
int wlb_page_close(struct wlb_page *, struct wlb_lab *);

#endif
