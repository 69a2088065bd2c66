/*
 * Entries of a run, and their fields by name (record.h).
 */
#include "lab/record.h"

#include "io/frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void wlb_record_free(struct wlb_record *r)
{
    free(r->entries);
    wlb_expr_free(r->filter);
    free(r->ledgers);
    *r = (struct wlb_record){0};
}

void wlb_record_settle(struct wlb_record *r)
{
    struct wlb_value v;
    if (!r->is_unsettled || r->error[0])
        return;
    r->is_unsettled = false;
    if (!wlb_expr_select(r->filter, NULL, r->names, &r->entries[r->n - 1], &v, r->error, sizeof r->error))
        return;
    if (v.number == 0)
        r->n--;
}

struct wlb_entry *wlb_record_add(struct wlb_record *r)
{
    wlb_record_settle(r);
    r->is_unsettled = r->filter;
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 1024;
        struct wlb_entry *grown = realloc(r->entries, cap * sizeof *grown);
        if (!grown) {
            r->is_full = true;
            return NULL;
        }
        r->entries = grown;
        r->cap = cap;
    }
    r->entries[r->n] = (struct wlb_entry){0};
    return &r->entries[r->n++];
}

unsigned wlb_record_ledger(struct wlb_record *r, const struct weir_ledger *l)
{
    struct weir_ledger *grown = realloc(r->ledgers, (r->ledger_n + 1) * sizeof *grown);
    if (!grown) {
        r->is_full = true;
        return 0;
    }
    r->ledgers = grown;
    r->ledgers[r->ledger_n++] = *l;
    return (unsigned)r->ledger_n;
}

/* ---- Fields ---- */

static struct wlb_value number(double v)
{
    return (struct wlb_value){.type = WLB_NUMBER, .number = v};
}

static struct wlb_value text(const char *t)
{
    return (struct wlb_value){.type = WLB_TEXT, .text = t ? t : ""};
}

static struct wlb_value truth(bool is)
{
    return (struct wlb_value){.type = WLB_TRUTH, .number = is};
}

static bool is_event(const struct wlb_entry *e, enum weir_event_kind kind)
{
    return e->kind == WLB_EVENT && e->event == kind;
}

static bool has_flag(const struct wlb_entry *e, uint16_t flag)
{
    return e->flags & flag;
}

#define FIELD(word, about, expression)                                                                                 \
    static struct wlb_value field_##word(const struct wlb_entry *e)                                                    \
    {                                                                                                                  \
        return expression;                                                                                             \
    }
#include "lab/fields.h"
#undef FIELD

static const struct {
    const char *name;
    struct wlb_value (*get)(const struct wlb_entry *);
} fields[] = {
#define FIELD(word, about, expression) {#word, field_##word},
#include "lab/fields.h"
#undef FIELD
};

int wlb_record_field_find(const char *name)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

struct wlb_value wlb_record_field(const struct wlb_entry *e, int field)
{
    return fields[field].get(e);
}
