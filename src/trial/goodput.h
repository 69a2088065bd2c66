/*
 * The table of goodput by rate, round trip, loss and congestion control: written to a page, and compared with it.
 */
#ifndef WTL_GOODPUT_H
#define WTL_GOODPUT_H

#include <stdio.h>

/* Measure all of it and write the page. Returns 0, or 1 with lines on stderr when a transfer failed. */
int wtl_goodput_write(FILE *out, unsigned jobs);

/*
 * Measure each stride-th cell and compare it with the page at `path`.
 *
 * Returns how many cells are off by more than a tenth, or have no place in the page, with a line each on stderr; a
 * negative errno when the page can't be read.
 */
int wtl_goodput_compare(const char *path, unsigned stride, unsigned jobs, unsigned *compared);

#endif
