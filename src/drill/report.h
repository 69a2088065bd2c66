/*
 * What came of the scripts, for a person, for TAP and for JUnit.
 */
#ifndef WDR_REPORT_H
#define WDR_REPORT_H

#include "drill/run.h"

struct wdr_outcome {
    const char *path;
    enum wdr_verdict verdict;
    char *text; /* what there was to say; freed by its owner */
    double seconds;
};

void wdr_report_text(FILE *, const struct wdr_outcome *, size_t n, double seconds, bool is_quiet);
void wdr_report_tap(FILE *, const struct wdr_outcome *, size_t n);
void wdr_report_junit(FILE *, const struct wdr_outcome *, size_t n, double seconds);

#endif
