/*
 * How a connection of a report ended, in words.
 */
#include "trace/report_rows.h"

#include <inttypes.h>
#include <string.h>
#include <weir/errno.h>

const char *wtr_report_end_name(const struct wtr_report *r, const struct wtr_flow *f, unsigned side)
{
    uint32_t mine = f->ends[side].host, theirs = f->ends[!side].host;
    if (mine != WTR_NO_HOST && mine != theirs && !r->cfg.is_one_sided)
        return r->hosts[mine].name;
    return side == 0 ? "the client" : "the server";
}

static const char *reset_verdict(const struct wtr_report *r, const struct wtr_flow *f, char *text, size_t cap)
{
    unsigned side = (unsigned)f->rst_side;
    const char *why = r->texts[f->ends[side].close_text], *name = wtr_report_end_name(r, f, side);
    if (f->is_rst_early && side == 1) {
        snprintf(text, cap, "Refused by %s: nothing listens there", name);
        return "refused";
    }
    if (strncmp(why, "reset: ", 7) == 0)
        snprintf(text, cap, "Reset by %s: %s", name, why + 7);
    else
        snprintf(text, cap, "Reset by %s", name);
    return "reset";
}

static const char *error_verdict(const struct wtr_report *r, const struct wtr_flow *f, unsigned side, char *text,
                                 size_t cap)
{
    const struct wtr_end *e = &f->ends[side];
    const char *name = wtr_report_end_name(r, f, side);
    if (e->err == WEIR_ETIMEDOUT && !e->is_established) {
        snprintf(text, cap, "No answer: %s sent %" PRIu64 " SYN%s and gave up", name, e->segs_out,
                 e->segs_out == 1 ? "" : "s");
        return "unanswered";
    }
    if (e->err == WEIR_ETIMEDOUT) {
        snprintf(text, cap, "Timed out: %s heard nothing more and gave up", name);
        return "timeout";
    }
    snprintf(text, cap, "Failed at %s: %s", name, weir_strerror(e->err));
    if (e->err == WEIR_ECONNREFUSED)
        return "refused";
    return e->err == WEIR_EHOSTUNREACH || e->err == WEIR_ENETUNREACH ? "unreachable" : "error";
}

/* Nobody said how it ended. */
static const char *silent_verdict(const struct wtr_report *r, const struct wtr_flow *f, char *text, size_t cap)
{
    if (f->fin_first >= 0) {
        unsigned first = (unsigned)f->fin_first;
        snprintf(text, cap, "Half closed: %s has ended, %s has not", wtr_report_end_name(r, f, first),
                 wtr_report_end_name(r, f, !first));
        return "half";
    }
    if (!f->ends[0].is_established && f->ends[0].has_syn && !f->ends[1].has_syn) {
        snprintf(text, cap, "No answer to %" PRIu64 " SYN%s so far", f->ends[0].segs_out,
                 f->ends[0].segs_out == 1 ? "" : "s");
        return "unanswered";
    }
    snprintf(text, cap, "Open when the recording ended");
    return "open";
}

const char *wtr_report_verdict(const struct wtr_report *r, const struct wtr_flow *f, char *text, size_t cap)
{
    if (f->is_udp) {
        snprintf(text, cap, "Datagrams");
        return "udp";
    }
    if (f->rst_side >= 0 && !f->is_rst_late)
        return reset_verdict(r, f, text, cap);
    for (unsigned side = 0; side < 2; side++)
        if (f->ends[side].err)
            return error_verdict(r, f, side, text, cap);
    if (!f->ends[0].has_fin || !f->ends[1].has_fin)
        return silent_verdict(r, f, text, cap);
    snprintf(text, cap, "Closed cleanly, %s first", wtr_report_end_name(r, f, (unsigned)f->fin_first));
    return "clean";
}
