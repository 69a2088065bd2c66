/*
 * What the readers of a link's words and of its rules share.
 */
#ifndef WIO_SPEC_TEXT_H
#define WIO_SPEC_TEXT_H

#include "io/link.h"

#include <weir/errno.h>

#define WIO_SPEC_TIME_MAX WEIR_SEC(3600)

/* A length for printf's %.*s that keeps a message on one line. */
static inline int wio_shown(size_t len)
{
    return len < 60 ? (int)len : 60;
}

/* "a, b, c". Returns buf, cut to cap. */
const char *wio_join(const char *const *list, size_t n, char *buf, size_t cap);

void wio_link_rule_format(const struct wio_rule *, char *buf, size_t cap);

#endif
