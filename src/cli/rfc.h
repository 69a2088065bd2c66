/*
 * weir rfc: which requirement of which RFC is proven by which test. The rows come from docs/conformance, at build time.
 */
#ifndef WCL_RFC_H
#define WCL_RFC_H

#include <stddef.h>

struct wcl_rfc_row {
    const char *rfc; /* its number, or "attacks" */
    const char *id;  /* as a test names it */
    const char *level;
    const char *section;
    const char *requirement;
    const char *tests;     /* "file: test", a line each; "" without one */
    const char *departure; /* what is done instead and why; "" when nothing is */
};

extern const struct wcl_rfc_row wcl_rfc_rows[];
extern const size_t wcl_rfc_rows_n;

/* 0; 1 when there is no such RFC in the tables; 2 when the command line makes no sense. */
int wcl_rfc_main(int argc, char **argv);

#endif
