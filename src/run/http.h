/*
 * Just enough of HTTP/1.1 (RFC 9112) for one page on loopback: the head of a GET request.
 */
#ifndef WIR_HTTP_H
#define WIR_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define WIR_HTTP_HEAD_MAX 8192 /* bytes; browsers send a tenth of it */

struct wir_http_request {
    char method[8];
    char path[128]; /* as it was sent */
    char host[64];
    char last_event_id[64];
    char origin[64], fetch_site[16]; /* "" where they were not sent */
};

/* Read the head. 0: it is not whole yet; 1: it is; -1: it is none, or has a member that is too long for its place. */
int wir_http_parse(const char *bytes, size_t len, struct wir_http_request *out);

/* Are they the same? Takes as long wherever they differ. */
bool wir_http_same_secret(const char *a, const char *b);

#endif
