/*
 * One line for each connection of the program's host.
 */
#ifndef WIR_SUMMARY_H
#define WIR_SUMMARY_H

#include <stdio.h>
#include <weir/weir.h>

#include "io/link.h"

#define WIR_SUMMARY_MASK (WEIR_EV_BIT(WEIR_EV_STATE) | WEIR_EV_BIT(WEIR_EV_CLOSE))

struct wir_summary;

struct wir_summary *wir_summary_new(void); /* NULL: out of memory */
void wir_summary_free(struct wir_summary *);
void wir_summary_event(struct wir_summary *, enum wio_side, const struct weir_event *);

/* Connections that are neither closed nor in TIME-WAIT, on both hosts. */
unsigned wir_summary_live(const struct wir_summary *);
void wir_summary_print(const struct wir_summary *, weir_ns now, FILE *);

#endif
