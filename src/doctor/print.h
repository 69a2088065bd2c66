/*
 * Results for people and for scripts.
 */
#ifndef WDC_PRINT_H
#define WDC_PRINT_H

#include "doctor/doctor.h"

#include <stdio.h>

/* ---- JSON lines: docs/doctor.md has the fields ---- */
void wdc_json_result(FILE *, const char *file, const struct wdc_result *);
void wdc_json_counts(FILE *, const char *file, const struct wdc_counts *);

/* ---- Text ---- */

struct wdc_text_options {
    bool shows_all; /* healthy connections, too */
    bool is_tty;
    uint32_t limit; /* connections told of in full, those with the heaviest problems first; 0: the default */
};

/* Takes results as they come and prints them at the end: a summary, then what is worth telling. Memory is bounded by
 * the limit. */
struct wdc_text;
struct wdc_text *wdc_text_new(const struct wdc_text_options *); /* NULL: out of memory */
void wdc_text_result(struct wdc_text *, const struct wdc_result *);
void wdc_text_print(struct wdc_text *, FILE *, const char *title, const struct wdc_counts *);
bool wdc_text_has_problems(const struct wdc_text *);
void wdc_text_free(struct wdc_text *);

#endif
