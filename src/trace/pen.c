/*
 * Lines, arrows and labels of diagrams in the terminal (pen.h).
 */
#include "trace/pen.h"

#include "io/frame.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool speaks_utf8(void)
{
    const char *locale = getenv("LC_ALL");
    if (!locale || !*locale)
        locale = getenv("LC_CTYPE");
    if (!locale || !*locale)
        locale = getenv("LANG");
    return locale && (strstr(locale, "UTF-8") || strstr(locale, "utf8"));
}

struct wtr_pen wtr_pen_make(FILE *out, bool is_tty)
{
    struct wtr_pen ascii = {out, "|", "-", ">", "<", "X", ":", "`", "", "", "", ""};
    struct wtr_pen utf8 = {out, "│", "─", "▶", "◀", "✗", "⋮", "└", "", "", "", ""};
    struct wtr_pen pen = speaks_utf8() ? utf8 : ascii;
    if (is_tty) {
        pen.bad = "\033[31m";
        pen.good = "\033[32m";
        pen.dim = "\033[2m";
        pen.plain = "\033[0m";
    }
    return pen;
}

const char *wtr_commas(uint64_t v, char buf[WTR_COUNT_CAP])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, v);
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = '\0';
    return buf;
}

void wtr_repeat(const struct wtr_pen *p, const char *what, int n)
{
    while (n-- > 0)
        fputs(what, p->out);
}

const char *wtr_label(const struct wtr_segment *s, char buf[WTR_LABEL_CAP])
{
    static const struct {
        uint16_t flag;
        const char *name;
    } names[] = {{WIO_TCP_SYN, "SYN"}, {WIO_TCP_FIN, "FIN"}, {WIO_TCP_RST, "RST"}};
    char len[WTR_COUNT_CAP], number[WTR_COUNT_CAP];
    size_t at = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < 3; i++)
        if (s->flags & names[i].flag)
            at += (size_t)snprintf(buf + at, WTR_LABEL_CAP - at, "%s%s", at ? ", " : "", names[i].name);
    if (s->flags & WIO_TCP_ACK && s->len == 0)
        at += (size_t)snprintf(buf + at, WTR_LABEL_CAP - at, "%sACK%s%s", at ? ", " : "", s->has_ack ? " " : "",
                               s->has_ack ? wtr_commas(s->ack, number) : "");
    if (s->len > 0)
        at += (size_t)snprintf(buf + at, WTR_LABEL_CAP - at, "%s%s byte%s at %s", at ? ", " : "",
                               wtr_commas(s->len, len), s->len == 1 ? "" : "s", wtr_commas(s->seq, number));
    if (s->is_again)
        snprintf(buf + at, WTR_LABEL_CAP - at, ", again");
    return buf;
}
