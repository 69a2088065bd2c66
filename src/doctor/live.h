/*
 * The doctor at a run's side: it looks at what passes the near end of each link, and tells at the end.
 */
#ifndef WDC_LIVE_H
#define WDC_LIVE_H

#include "io/link.h"

#include <stdio.h>

struct wdc_live;

struct wdc_live *wdc_live_new(bool is_tty); /* NULL: out of memory */

/* What a link did; packets are numbered as they pass, from 1. `index` tells several links apart. */
void wdc_live_link(struct wdc_live *, unsigned index, enum weir_link_type, const struct wio_link_note *);

/* Print what is to be said of the connections, and free. NULL is fine. */
void wdc_live_finish(struct wdc_live *, FILE *out);

#endif
