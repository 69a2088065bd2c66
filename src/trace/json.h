/*
 * The event stream as JSON lines: an object for each event. docs/trace.md has the fields; they don't change their
 * names.
 */
#ifndef WTR_JSON_H
#define WTR_JSON_H

#include "io/link.h"

#include <stdio.h>

struct wtr_json;

/* Write to `out`, which becomes the writer's. epoch_ns is added to stamps (Unix time; 0 in virtual time). NULL: out of
 * memory, and `out` is closed. */
struct wtr_json *wtr_json_new(FILE *out, uint64_t epoch_ns);

/* Write out what is buffered, close the file, free. 0 or a negative errno, that of the first failed write: lines are
 * missing from the file. */
int wtr_json_close(struct wtr_json *);

/* Write out what is buffered, so that a failure is noticed here and has its reason. */
void wtr_json_flush(struct wtr_json *);

/* One event of the stack whose name is `host`. */
void wtr_json_event(struct wtr_json *, const char *host, const struct weir_event *);

/* A packet that a link dropped, duplicated, corrupted or reordered; those it left alone give no line. */
void wtr_json_link(struct wtr_json *, const char *link, const struct wio_link_note *, enum weir_link_type);

#endif
