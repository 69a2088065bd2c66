/*
 * Reads the built-in scenarios and sorts them (catalog.h).
 */
#include "lab/catalog.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const chapters[] = {"Connection", "Header",   "Reliability", "Flow", "Congestion",    "SYN flood",
                                       "Messages",   "Failures", "Readiness",   "UDP",  "Real programs", "Beyond"};
#define CHAPTER_N (sizeof chapters / sizeof chapters[0])

static size_t chapter_of(const struct wlb_catalog_entry *e)
{
    size_t i = 0;
    while (i < CHAPTER_N && strcmp(chapters[i], e->chapter) != 0)
        i++;
    return i;
}

static int compare(const void *a, const void *b)
{
    const struct wlb_catalog_entry *p = a, *q = b;
    size_t c = chapter_of(p), d = chapter_of(q);
    if (c != d)
        return c < d ? -1 : 1;
    if (p->place != q->place)
        return p->place < q->place ? -1 : 1;
    return strcmp(p->name, q->name);
}

static bool read_entry(struct wlb_catalog_entry *e, const struct wlb_builtin *b)
{
    char err[256];
    struct wlb_scenario *s = wlb_scenario_read(b->name, b->text, b->len, err, sizeof err);
    if (!s)
        return false;
    *e = (struct wlb_catalog_entry){
        .name = b->name,
        .title = strdup(s->title),
        .chapter = strdup(s->chapter),
        .place = s->place ? (unsigned)strtoul(s->place, NULL, 10) : UINT_MAX,
    };
    wlb_scenario_free(s);
    if (e->title && e->chapter)
        return true;
    free(e->title);
    free(e->chapter);
    return false;
}

struct wlb_catalog *wlb_catalog_new(void)
{
    struct wlb_catalog *c = calloc(1, sizeof *c);
    size_t n = 0;
    while (wlb_builtin_at((unsigned)n))
        n++;
    if (!c || !(c->entries = calloc(n + 1, sizeof *c->entries))) {
        free(c);
        return NULL;
    }
    for (; c->n < n; c->n++) {
        if (!read_entry(&c->entries[c->n], wlb_builtin_at((unsigned)c->n))) {
            wlb_catalog_free(c);
            return NULL;
        }
    }
    qsort(c->entries, c->n, sizeof *c->entries, compare);
    return c;
}

void wlb_catalog_free(struct wlb_catalog *c)
{
    for (size_t i = 0; c && i < c->n; i++) {
        free(c->entries[i].title);
        free(c->entries[i].chapter);
    }
    free(c ? c->entries : NULL);
    free(c);
}

const struct wlb_catalog_entry *wlb_catalog_find(const struct wlb_catalog *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->entries[i].name, name) == 0)
            return &c->entries[i];
    }
    return NULL;
}
