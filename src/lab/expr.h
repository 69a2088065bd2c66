/*
 * The language of claims: expressions over what happened in a run.
 *
 *   count(sent and syn and host == 'client') == 1
 *   first(at, state and to == 'ESTABLISHED' and host == 'client') >= rtt
 *   every(gap >= 1.9 * prev_gap, sent and again, 2)
 *
 * Values are numbers (times in nanoseconds: 40ms, 1.5s; sizes: 64k, 1m), texts in single quotes, and truth. Names are
 * the scenario's options, and inside of count, sum, min, max, first, last, nth, any, every and distinct the fields of
 * the event that is looked at (record.h). A filter selects events in the order of their happening; while it is applied,
 * `n` counts what it has selected (from 1), `gap` is the time since the one before, `prev_gap` the gap before that,
 * both NaN where there is none; every() passes over what a NaN decides.
 */
#ifndef WLB_EXPR_H
#define WLB_EXPR_H

#include <stdbool.h>
#include <stddef.h>

struct wlb_expr;
struct wlb_record;
struct wlb_entry;

enum wlb_type { WLB_NUMBER, WLB_TEXT, WLB_TRUTH };

struct wlb_value {
    enum wlb_type type;
    double number; /* of a truth: 0 or 1 */
    const char *text;
};

/* Where names that are no fields come from: false when there is no such. */
struct wlb_names {
    bool (*find)(void *ctx, const char *name, struct wlb_value *);
    void *ctx;
};

/* Read an expression. NULL: err says what is wrong, and at which column. */
struct wlb_expr *wlb_expr_parse(const char *text, char *err, size_t err_cap);
void wlb_expr_free(struct wlb_expr *);

/* Its value over a record (NULL: there are no events). false: err says why it has none. */
bool wlb_expr_eval(struct wlb_expr *, const struct wlb_record *, const struct wlb_names *, struct wlb_value *,
                   char *err, size_t err_cap);

/* The same of a filter, for one event. */
bool wlb_expr_select(struct wlb_expr *, const struct wlb_record *, const struct wlb_names *, const struct wlb_entry *,
                     struct wlb_value *, char *err, size_t err_cap);

/* `text` with each ${expression} in it replaced by its value: times as people write them, other numbers with at most
 * three decimals. NULL: err says why. The result is the caller's to free. */
char *wlb_expr_fill(const char *text, const struct wlb_record *, const struct wlb_names *, char *err, size_t err_cap);

/* The same for a reader: numbers from 10 on have one decimal at most, from 100 on none. */
char *wlb_expr_tell(const char *text, const struct wlb_record *, const struct wlb_names *, char *err, size_t err_cap);

#endif
