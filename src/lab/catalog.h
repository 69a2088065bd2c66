/*
 * The scenarios that are built in, in the order in which to read them: by chapter, by place, by name.
 */
#ifndef WLB_CATALOG_H
#define WLB_CATALOG_H

#include "lab/scenario.h"

struct wlb_catalog_entry {
    const char *name;
    char *title, *chapter;
    unsigned place; /* UINT_MAX: none */
};

struct wlb_catalog {
    struct wlb_catalog_entry *entries;
    size_t n;
};

/* NULL: out of memory, or a built-in scenario cannot be read, which its test would have found. */
struct wlb_catalog *wlb_catalog_new(void);
void wlb_catalog_free(struct wlb_catalog *);

const struct wlb_catalog_entry *wlb_catalog_find(const struct wlb_catalog *, const char *name); /* NULL: no such */

#endif
