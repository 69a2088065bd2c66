/*
 * Who reads the event streams of weir run: the capture, the trace, the story and the lines at the end.
 */
#ifndef WIR_WATCH_H
#define WIR_WATCH_H

#include "io/link.h"
#include "run/options.h"

struct wir_watch;
struct wtr_report;

/* Open the files. 0, or -errno after one line on stderr; *out is set either way, and the process is to end. */
int wir_watch_open(struct wir_watch **out, const struct wir_run_opts *);

/* Have a stack's events come here: fill the configuration that it is to be made with. */
void wir_watch_hook(struct wir_watch *, enum wio_side, struct weir_config *);
void wir_watch_link(struct wir_watch *, struct wio_link *);

/* Connections that are neither closed nor in TIME-WAIT, on both hosts. */
unsigned wir_watch_live(const struct wir_watch *);

/* The report that --live tells, a window of the latest events; NULL without --live. And the page's title. */
struct wtr_report *wir_watch_shown(const struct wir_watch *);
const char *wir_watch_title(const struct wir_watch *);

/* Where the time of a host's living connection has gone. */
void wir_watch_ledger(struct wir_watch *, enum wio_side, uint64_t conn_id, const struct weir_ledger *);

/* Write what is held back, so that the files are whole up to now. */
void wir_watch_flush(struct wir_watch *);

/* Print the story and the lines, say what is missing from the files, close them. */
void wir_watch_finish(struct wir_watch *, weir_ns now);

#endif
