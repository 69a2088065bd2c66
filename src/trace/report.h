/*
 * The report of a run: one HTML file that a browser opens from disk, with the connections, their diagrams and plots.
 *
 * Made from the events of any number of hosts and the notes of the links between them; `weir run`, `weir lab` and
 * `weir report` all write through here. Call what follows in the order of time. What does not fit into rows_max is
 * counted and said on the page; connections and how they ended are complete all the same.
 */
#ifndef WTR_REPORT_H
#define WTR_REPORT_H

#include "io/link.h"

#include <stdio.h>

#define WTR_REPORT_MASK     WEIR_EV_ALL
#define WTR_REPORT_ROWS_MAX 4000000u /* about 100 bytes each while the report is made, 25 in the page */

struct wtr_report;

struct wtr_report_config {
    const char *title;  /* at the top of the page: a file's name, a scenario's, a command line */
    const char *about;  /* a paragraph below it, or NULL */
    uint64_t epoch_ns;  /* added to stamps for the time of day; 0: they count from the start, or are Unix time */
    uint32_t rows_max;  /* 0: WTR_REPORT_ROWS_MAX */
    uint32_t conns_max; /* of more connections only is told that there are; 0: 1 << 20 */
    bool is_one_sided;  /* seen at one place only: a capture, not the events of hosts */
    bool
        is_window; /* the oldest rows go where new ones find no room: for wtr_report_chunk, not for a page at the end */
};

/* Texts are copied. NULL: out of memory. */
struct wtr_report *wtr_report_new(const struct wtr_report_config *);
void wtr_report_free(struct wtr_report *);

/* The number of the host with that name; a name that is new is added. Below 0: a negative errno. */
int wtr_report_host(struct wtr_report *, const char *name);

/* An event of that host's stack. Its kinds: WTR_REPORT_MASK. */
void wtr_report_event(struct wtr_report *, int host, const struct weir_event *);

/* What the link between two hosts did: `near` is the host at WIO_NEAR. */
void wtr_report_link(struct wtr_report *, int near, int far, const struct wio_link_note *, enum weir_link_type);

/* A claim that was checked, with its numbers in the text; they stand above the connections. */
void wtr_report_claim(struct wtr_report *, bool holds, const char *text);

/* Write the page. 0 or a negative errno: -ENOMEM (then, or earlier), that of the first failed write. `out` stays the
 * caller's. */
int wtr_report_write(struct wtr_report *, FILE *out);

/* The same into a file, whole or not at all: what it replaces stays until the new one is written. */
int wtr_report_save(struct wtr_report *, const char *path);

/* ---- While it goes on ---- */

/* How far somebody who is told of a run as it goes on has come. Begin with all of it 0. */
struct wtr_report_place {
    uint64_t row;   /* rows before this one were told, of all that there ever were */
    uint64_t stamp; /* connections that changed later are to be told of again */
    uint32_t text;  /* how many texts were told */
    bool is_begun;  /* the names were told */
};

/* Has anything happened since? */
bool wtr_report_has_news(const struct wtr_report *, const struct wtr_report_place *);

/* Write what happened since, at most rows_max rows, as one JSON object without line breaks, and move the place behind
 * it. The format is in report_live.c. False: no memory, and nothing is written. */
bool wtr_report_chunk(struct wtr_report *, struct wtr_report_place *, uint32_t rows_max, FILE *);

/* Are more than so many rows yet to be told? */
bool wtr_report_is_behind(const struct wtr_report *, const struct wtr_report_place *, uint32_t rows);

/* Where the time of a living connection has gone up to now. */
void wtr_report_ledger(struct wtr_report *, int host, uint64_t conn_id, const struct weir_ledger *);

/* The page that shows a run as it goes on: it asks for "events" beside itself. `title` is at its top. malloc'ed, *len
 * bytes; NULL: out of memory. */
char *wtr_report_live_page(const char *title, size_t *len);

/* How many connections there are, and events that found no room. */
uint32_t wtr_report_conns(const struct wtr_report *);
uint64_t wtr_report_left_out(const struct wtr_report *);

#endif
