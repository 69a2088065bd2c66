/*
 * Reports (report.h).
 */
#include "drill/report.h"

#include <string.h>

static size_t count(const struct wdr_outcome *o, size_t n, enum wdr_verdict v)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += o[i].verdict == v;
    return sum;
}

void wdr_report_text(FILE *out, const struct wdr_outcome *o, size_t n, double seconds, bool is_quiet)
{
    for (size_t i = 0; i < n; i++) {
        if (o[i].verdict == WDR_PASSED && is_quiet)
            continue;
        fputs(o[i].text, out);
    }
    size_t failed = count(o, n, WDR_FAILED), broken = count(o, n, WDR_BROKEN);
    if (is_quiet && failed + broken == 0)
        return;
    fprintf(out, "%zu script%s: %zu passed", n, n == 1 ? "" : "s", n - failed - broken);
    if (failed)
        fprintf(out, ", %zu failed", failed);
    if (broken)
        fprintf(out, ", %zu can't be played", broken);
    fprintf(out, " (%.2f s)\n", seconds);
}

void wdr_report_tap(FILE *out, const struct wdr_outcome *o, size_t n)
{
    fprintf(out, "TAP version 13\n1..%zu\n", n);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%sok %zu - %s\n", o[i].verdict == WDR_PASSED ? "" : "not ", i + 1, o[i].path);
        for (const char *p = o[i].text; *p;) {
            size_t len = strcspn(p, "\n");
            fprintf(out, "# %.*s\n", (int)len, p);
            p += len + (p[len] == '\n');
        }
    }
}

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc((unsigned char)*text < ' ' && *text != '\n' && *text != '\t' ? '?' : *text, out);
        }
    }
}

void wdr_report_junit(FILE *out, const struct wdr_outcome *o, size_t n, double seconds)
{
    fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    fprintf(out, "<testsuite name=\"weir drill\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.3f\">\n", n,
            count(o, n, WDR_FAILED), count(o, n, WDR_BROKEN), seconds);
    for (size_t i = 0; i < n; i++) {
        const char *element = o[i].verdict == WDR_FAILED ? "failure" : "error";
        fputs("  <testcase classname=\"drill\" name=\"", out);
        put_escaped(out, o[i].path);
        fprintf(out, "\" time=\"%.3f\">", o[i].seconds);
        if (o[i].verdict != WDR_PASSED) {
            fprintf(out, "<%s message=\"", element);
            fprintf(out, "%s\">", o[i].verdict == WDR_FAILED ? "another outcome than the script says" : "not playable");
            put_escaped(out, o[i].text);
            fprintf(out, "</%s>", element);
        }
        fputs("</testcase>\n", out);
    }
    fputs("</testsuite>\n", out);
}
