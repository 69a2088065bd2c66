/*
 * What comes to a running weir run from outside, and to whoever asks it: the head of an HTTP request, a socket's line
 * of JSON (read, written again, and shown), a filter. The first byte says which.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "run/http.h"
#include "run/view.h"
#include "ss/filter.h"
#include "ss/print.h"

static void read_head(const char *text, size_t len)
{
    struct wir_http_request r;
    int whole = wir_http_parse(text, len, &r);
    FUZZ_ASSERT(whole != 0 || len < WIR_HTTP_HEAD_MAX);
    FUZZ_ASSERT(whole != 1 || (r.path[0] == '/' && strlen(r.host) < sizeof r.host));
}

/* What was read and is written again reads as the same. */
static void read_view(const char *text, size_t len)
{
    static const struct wss_show all = {
        .timer = true, .users = true, .extended = true, .memory = true, .info = true, .ledger = true};
    static const struct wss_owners nobody;
    struct wir_view v, again;
    char line[WIR_VIEW_LINE_MAX], shown[16384];
    json_error_t err;
    json_t *o = json_loadb(text, len, 0, &err);
    bool is_good = o && wir_view_read(json_object_get(o, "socket"), &v);
    json_decref(o);
    if (!is_good)
        return;
    size_t n = wir_view_write(&v, true, line);
    o = json_loadb(line, n, 0, &err);
    FUZZ_ASSERT(n < sizeof line && o && wir_view_read(json_object_get(o, "socket"), &again));
    FUZZ_ASSERT(again.info.id == v.info.id && memcmp(&again.tcp, &v.tcp, sizeof v.tcp) == 0);
    json_decref(o);
    FILE *out = fmemopen(shown, sizeof shown, "w");
    if (!out)
        return;
    wss_print_details(out, &v, &all, &nobody);
    fclose(out);
}

static void read_filter(const char *text)
{
    static const struct weir_sock_info any = {.family = WEIR_AF_INET, .state = WEIR_SOCK_ESTABLISHED};
    char err[128];
    struct wss_expr *e = wss_expr_parse(text, err, sizeof err);
    if (!e)
        return;
    wss_expr_holds(e, &any);
    wss_expr_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    char *text = malloc(len);
    if (!text)
        return 0;
    memcpy(text, data + 1, len - 1);
    text[len - 1] = '\0';
    switch (data[0] % 3) {
    case 0: read_head(text, len - 1); break;
    case 1: read_view(text, len - 1); break;
    default: read_filter(text); break;
    }
    free(text);
    return 0;
}
