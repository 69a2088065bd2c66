/*
 * Reading and evaluating claims (expr.h): a recursive descent into a tree, and a walk over it.
 */
#include "lab/expr.h"

#include "io/units.h"
#include "lab/record.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX    64
#define ARGS_MAX     3
#define DISTINCT_MAX 256
#define WORD_CAP     64

enum op { OP_VALUE, OP_NAME, OP_NOT, OP_MINUS, OP_BINARY, OP_CALL };
enum binary { B_OR, B_AND, B_EQ, B_NE, B_LE, B_GE, B_LT, B_GT, B_ADD, B_SUB, B_MUL, B_DIV, B_MOD };
enum function { F_COUNT, F_SUM, F_MIN, F_MAX, F_FIRST, F_LAST, F_NTH, F_ANY, F_EVERY, F_DISTINCT, F_ABS, F_N };

/* In every one but abs the last argument is a filter. */
static const struct {
    const char *name;
    unsigned arg_n;
} functions[F_N] = {{"count", 1}, {"sum", 2}, {"min", 2},   {"max", 2},      {"first", 2}, {"last", 2},
                    {"nth", 3},   {"any", 1}, {"every", 2}, {"distinct", 2}, {"abs", 1}};

struct wlb_expr {
    enum op op;
    enum binary binary;
    enum function function;
    struct wlb_value value;
    char *word; /* a name, or the text of a value */
    int field;  /* of a NAME: which of an event, one of a selection's own (OWN_N ...), or -1 */
    struct wlb_expr *args[ARGS_MAX];
    struct wlb_value memo; /* of a CALL inside of another's argument: it is the same for each event */
    bool has_memo;
};

void wlb_expr_free(struct wlb_expr *x)
{
    if (!x)
        return;
    for (unsigned i = 0; i < ARGS_MAX; i++)
        wlb_expr_free(x->args[i]);
    free(x->word);
    free(x);
}

/* ---- Reading ---- */

struct reader {
    const char *text, *at;
    char *err;
    size_t err_cap;
    unsigned depth;
};

static struct wlb_expr *wrong(struct reader *r, const char *form, ...) __attribute__((format(printf, 2, 3)));

static struct wlb_expr *wrong(struct reader *r, const char *form, ...)
{
    if (r->err_cap && !r->err[0]) {
        int n = snprintf(r->err, r->err_cap, "column %d: ", (int)(r->at - r->text) + 1);
        va_list args;
        va_start(args, form);
        vsnprintf(r->err + n, r->err_cap - (size_t)n, form, args);
        va_end(args);
    }
    return NULL;
}

static struct wlb_expr *node_new(struct reader *r, enum op op)
{
    struct wlb_expr *x = calloc(1, sizeof *x);
    if (!x)
        return wrong(r, "out of memory");
    x->op = op;
    return x;
}

static void skip_blanks(struct reader *r)
{
    while (isspace((unsigned char)*r->at))
        r->at++;
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Take the operator or word if it is next. */
static bool take(struct reader *r, const char *token)
{
    size_t n = strlen(token);
    skip_blanks(r);
    if (strncmp(r->at, token, n) != 0 || (is_word_char(token[0]) && is_word_char(r->at[n])))
        return false;
    r->at += n;
    return true;
}

static struct wlb_expr *read_or(struct reader *r);

/* "40ms", "64k", "0.95". */
static struct wlb_expr *read_number(struct reader *r)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"k", 1024}, {"m", 1048576}, {"", 1}};
    char *end;
    double v = strtod(r->at, &end);
    const char *unit = end;
    while (is_word_char(*end))
        end++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strlen(units[i].suffix) == (size_t)(end - unit) &&
            strncmp(units[i].suffix, unit, (size_t)(end - unit)) == 0) {
            struct wlb_expr *x = node_new(r, OP_VALUE);
            if (x)
                x->value = (struct wlb_value){.type = WLB_NUMBER, .number = v * units[i].factor};
            r->at = end;
            return x;
        }
    }
    r->at = unit;
    return wrong(r, "'%.*s' is no unit: ns, us, ms, s; k and m for bytes", (int)(end - unit), unit);
}

static struct wlb_expr *read_text(struct reader *r)
{
    const char *end = strchr(r->at + 1, '\'');
    if (!end)
        return wrong(r, "this text has no end: a ' is missing");
    struct wlb_expr *x = node_new(r, OP_VALUE);
    if (!x)
        return NULL;
    x->word = strndup(r->at + 1, (size_t)(end - r->at) - 1);
    x->value = (struct wlb_value){.type = WLB_TEXT, .text = x->word};
    r->at = end + 1;
    return x;
}

static struct wlb_expr *read_call(struct reader *r, const char *name)
{
    unsigned f = 0;
    while (f < F_N && strcmp(functions[f].name, name) != 0)
        f++;
    if (f == F_N)
        return wrong(r, "'%s' is no function: count, sum, min, max, first, last, nth, any, every, distinct, abs", name);
    struct wlb_expr *x = node_new(r, OP_CALL);
    if (!x)
        return NULL;
    x->function = (enum function)f;
    for (unsigned i = 0; i < functions[f].arg_n; i++) {
        if (i > 0 && !take(r, ",")) {
            wrong(r, "%s takes %u arguments: a comma is missing", name, functions[f].arg_n);
            break;
        }
        x->args[i] = read_or(r);
        if (!x->args[i])
            break;
    }
    if (r->err[0] || !take(r, ")")) {
        wrong(r, "%s( has no end, or too many arguments", name);
        wlb_expr_free(x);
        return NULL;
    }
    return x;
}

/* What a selection knows beside the event's fields. */
enum own { OWN_N = 1000, OWN_GAP, OWN_PREV_GAP };

static int find_field(const char *name)
{
    static const char *const own[] = {"n", "gap", "prev_gap"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, own[i]) == 0)
            return OWN_N + i;
    }
    return wlb_record_field_find(name);
}

static struct wlb_expr *read_word(struct reader *r)
{
    char word[WORD_CAP];
    size_t n = 0;
    while (is_word_char(r->at[n]) && n < sizeof word - 1)
        n++;
    memcpy(word, r->at, n);
    word[n] = '\0';
    r->at += n;
    if (take(r, "("))
        return read_call(r, word);
    struct wlb_expr *x = node_new(r, OP_NAME);
    if (!x)
        return NULL;
    x->word = strdup(word);
    x->field = find_field(word);
    if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0) {
        x->op = OP_VALUE;
        x->value = (struct wlb_value){.type = WLB_TRUTH, .number = word[0] == 't'};
    }
    return x;
}

static struct wlb_expr *read_primary(struct reader *r)
{
    skip_blanks(r);
    if (take(r, "(")) {
        struct wlb_expr *x = read_or(r);
        if (x && !take(r, ")")) {
            wlb_expr_free(x);
            return wrong(r, "a ) is missing");
        }
        return x;
    }
    if (isdigit((unsigned char)*r->at))
        return read_number(r);
    if (*r->at == '\'')
        return read_text(r);
    if (isalpha((unsigned char)*r->at))
        return read_word(r);
    return *r->at ? wrong(r, "'%c' was not expected here", *r->at) : wrong(r, "the expression ends too soon");
}

/* What an operator with one argument makes of it; NULL where there is none. */
static struct wlb_expr *applied(struct reader *r, enum op op, struct wlb_expr *arg)
{
    struct wlb_expr *x = arg ? node_new(r, op) : NULL;
    if (x)
        x->args[0] = arg;
    else
        wlb_expr_free(arg);
    return x;
}

static struct wlb_expr *read_unary(struct reader *r)
{
    if (!take(r, "-"))
        return read_primary(r);
    if (++r->depth > DEPTH_MAX)
        return wrong(r, "nested too deep");
    struct wlb_expr *arg = read_unary(r);
    r->depth--;
    return applied(r, OP_MINUS, arg);
}

static const struct {
    const char *token;
    enum binary binary;
    unsigned level;
} binaries[] = {
    {"or", B_OR, 0}, {"and", B_AND, 1}, {"==", B_EQ, 2}, {"!=", B_NE, 2}, {"<=", B_LE, 2},
    {">=", B_GE, 2}, {"<", B_LT, 2},    {">", B_GT, 2},  {"+", B_ADD, 3}, {"-", B_SUB, 3},
    {"*", B_MUL, 4}, {"/", B_DIV, 4},   {"%", B_MOD, 4},
};
#define LEVELS    5
#define NOT_LEVEL 2 /* "not a == b" is "not (a == b)" */

static bool take_binary(struct reader *r, unsigned level, enum binary *binary)
{
    for (size_t i = 0; i < sizeof binaries / sizeof binaries[0]; i++) {
        if (binaries[i].level == level && take(r, binaries[i].token)) {
            *binary = binaries[i].binary;
            return true;
        }
    }
    return false;
}

static struct wlb_expr *read_level(struct reader *r, unsigned level);

static struct wlb_expr *read_not(struct reader *r)
{
    if (++r->depth > DEPTH_MAX)
        return wrong(r, "nested too deep");
    struct wlb_expr *arg = read_level(r, NOT_LEVEL);
    r->depth--;
    return applied(r, OP_NOT, arg);
}

static struct wlb_expr *read_level(struct reader *r, unsigned level)
{
    if (level == NOT_LEVEL && take(r, "not"))
        return read_not(r);
    struct wlb_expr *left = level < LEVELS ? read_level(r, level + 1) : read_unary(r);
    enum binary binary;
    while (left && level < LEVELS && take_binary(r, level, &binary)) {
        struct wlb_expr *right = read_level(r, level + 1), *x = right ? node_new(r, OP_BINARY) : NULL;
        if (!x) {
            wlb_expr_free(left);
            wlb_expr_free(right);
            return NULL;
        }
        x->binary = binary;
        x->args[0] = left;
        x->args[1] = right;
        left = x;
    }
    return left;
}

static struct wlb_expr *read_or(struct reader *r)
{
    if (++r->depth > DEPTH_MAX)
        return wrong(r, "nested too deep");
    struct wlb_expr *x = read_level(r, 0);
    r->depth--;
    return x;
}

struct wlb_expr *wlb_expr_parse(const char *text, char *err, size_t err_cap)
{
    struct reader r = {.text = text, .at = text, .err = err, .err_cap = err_cap};
    err[0] = '\0';
    struct wlb_expr *x = read_or(&r);
    skip_blanks(&r);
    if (x && *r.at) {
        wlb_expr_free(x);
        return wrong(&r, "'%s' is left over", r.at);
    }
    return x;
}

/* ---- Evaluating ---- */

struct scope {
    const struct wlb_record *record;
    const struct wlb_names *names;
    const struct wlb_entry *entry; /* that a filter looks at, NULL: none */
    double n, gap, prev_gap;
    char *err;
    size_t err_cap;
};

static bool fail(struct scope *s, const char *form, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct scope *s, const char *form, ...)
{
    if (s->err_cap && !s->err[0]) {
        va_list args;
        va_start(args, form);
        vsnprintf(s->err, s->err_cap, form, args);
        va_end(args);
    }
    return false;
}

static bool eval(struct scope *s, struct wlb_expr *x, struct wlb_value *v);

static bool eval_name(const struct scope *s, const struct wlb_expr *x, struct wlb_value *v)
{
    const double own[] = {s->n, s->gap, s->prev_gap};
    if (!s->entry || x->field < 0)
        return s->names && s->names->find(s->names->ctx, x->word, v);
    if (x->field >= OWN_N)
        *v = (struct wlb_value){.type = WLB_NUMBER, .number = own[x->field - OWN_N]};
    else
        *v = wlb_record_field(s->entry, x->field);
    return true;
}

/* Why is the name not known? */
static bool unknown(struct scope *s, const char *name)
{
    if (!s->entry && wlb_record_field_find(name) >= 0)
        return fail(s, "'%s' is a field of an event: ask for it in first, last, count ...", name);
    return fail(s, "'%s' is neither an option nor a field of an event", name);
}

static bool as_truth(struct scope *s, struct wlb_expr *x, bool *is)
{
    struct wlb_value v;
    if (!eval(s, x, &v))
        return false;
    if (v.type == WLB_TEXT)
        return fail(s, "a text is neither true nor false");
    *is = v.number != 0;
    return true;
}

static bool compare_texts(struct scope *s, enum binary b, const char *left, const char *right, struct wlb_value *v)
{
    if (b != B_EQ && b != B_NE)
        return fail(s, "texts are compared by == and != alone");
    *v = (struct wlb_value){.type = WLB_TRUTH, .number = (strcmp(left, right) == 0) == (b == B_EQ)};
    return true;
}

static bool calculate(struct scope *s, enum binary b, double l, double r, struct wlb_value *v)
{
    v->type = b >= B_ADD ? WLB_NUMBER : WLB_TRUTH;
    switch (b) {
    case B_EQ: v->number = l == r; return true;
    case B_NE: v->number = l != r; return true;
    case B_LE: v->number = l <= r; return true;
    case B_GE: v->number = l >= r; return true;
    case B_LT: v->number = l < r; return true;
    case B_GT: v->number = l > r; return true;
    case B_ADD: v->number = l + r; return true;
    case B_SUB: v->number = l - r; return true;
    case B_MUL: v->number = l * r; return true;
    case B_DIV: v->number = l / r; return r != 0 || fail(s, "a division by zero");
    case B_MOD: v->number = fmod(l, r); return r != 0 || fail(s, "a division by zero");
    case B_OR:
    case B_AND: break;
    }
    return fail(s, "no such operation");
}

static bool eval_binary(struct scope *s, struct wlb_expr *x, struct wlb_value *v)
{
    if (x->binary == B_OR || x->binary == B_AND) {
        bool is = false;
        if (!as_truth(s, x->args[0], &is))
            return false;
        if (is == (x->binary == B_AND) && !as_truth(s, x->args[1], &is))
            return false;
        *v = (struct wlb_value){.type = WLB_TRUTH, .number = is};
        return true;
    }
    struct wlb_value l, r;
    if (!eval(s, x->args[0], &l) || !eval(s, x->args[1], &r))
        return false;
    if (l.type == WLB_TEXT && r.type == WLB_TEXT)
        return compare_texts(s, x->binary, l.text, r.text, v);
    if (l.type == WLB_TEXT || r.type == WLB_TEXT)
        return fail(s, "a text and a number can't be compared");
    return calculate(s, x->binary, l.number, r.number, v);
}

/* What a function makes of the events that its filter selects. */
struct fold {
    enum function function;
    double n, number; /* selected; wanted of nth */
    struct wlb_value result;
    bool has_result, is_done;
    struct wlb_value seen[DISTINCT_MAX]; /* of distinct */
    unsigned seen_n;
};

/* A value that distinct has not met yet; an empty text is none. More than DISTINCT_MAX of them are not told apart. */
static void note_value(struct fold *f, const struct wlb_value *v)
{
    if (v->type == WLB_TEXT && !v->text[0])
        return;
    for (unsigned i = 0; i < f->seen_n; i++) {
        const struct wlb_value *s = &f->seen[i];
        if (s->type == v->type && (v->type == WLB_TEXT ? strcmp(s->text, v->text) == 0 : s->number == v->number))
            return;
    }
    if (f->seen_n < DISTINCT_MAX)
        f->seen[f->seen_n++] = *v;
    f->result.number = f->seen_n;
}

/* Does the condition mention what is not a number here: the first's gap? */
static bool is_undecided(const struct scope *s, const struct wlb_expr *x)
{
    if (x->op == OP_NAME)
        return (x->field == OWN_GAP && isnan(s->gap)) || (x->field == OWN_PREV_GAP && isnan(s->prev_gap));
    for (unsigned i = 0; i < ARGS_MAX; i++) {
        if (x->args[i] && is_undecided(s, x->args[i]))
            return true;
    }
    return false;
}

/* One more event is selected; `of` is what is asked of it, NULL: nothing. */
static bool fold_in(struct scope *s, struct fold *f, struct wlb_expr *of)
{
    struct wlb_value v = {.type = WLB_NUMBER, .number = 1};
    f->n++;
    if (f->function == F_EVERY && is_undecided(s, of))
        return true;
    if (f->function == F_NTH && f->n != f->number)
        return true;
    if (of && !eval(s, of, &v))
        return false;
    bool is_better = f->function == F_MIN ? v.number < f->result.number : v.number > f->result.number;
    switch (f->function) {
    case F_SUM: f->result.number += v.number; break;
    case F_MIN:
    case F_MAX: f->result = !f->has_result || is_better ? v : f->result; break;
    case F_FIRST:
    case F_NTH: f->is_done = true; /* fall through */
    case F_LAST: f->result = v; break;
    case F_EVERY: f->result.number = v.number != 0; break;
    case F_ANY: f->result.number = 1; break;
    case F_DISTINCT: note_value(f, &v); break;
    case F_COUNT: f->result.number = f->n; break;
    case F_ABS:
    case F_N: break;
    }
    f->has_result = true;
    f->is_done = f->is_done || f->function == F_ANY || (f->function == F_EVERY && f->result.number == 0);
    return true;
}

static bool select_events(struct scope *outer, struct fold *f, struct wlb_expr *of, struct wlb_expr *filter)
{
    struct scope s = *outer;
    double last = NAN;
    s.gap = NAN;
    for (size_t i = 0; s.record && i < s.record->n && !f->is_done; i++) {
        bool is_selected = false;
        double gap = s.gap, prev_gap = s.prev_gap;
        s.entry = &s.record->entries[i];
        s.n = f->n + 1;
        s.prev_gap = isnan(last) ? NAN : gap;
        s.gap = (double)s.entry->at - last;
        if (!as_truth(&s, filter, &is_selected))
            return false;
        if (!is_selected) {
            s.gap = gap;
            s.prev_gap = prev_gap;
            continue;
        }
        last = (double)s.entry->at;
        if (!fold_in(&s, f, of))
            return false;
    }
    return true;
}

static bool fold_events(struct scope *s, struct wlb_expr *x, struct wlb_value *v)
{
    unsigned n = functions[x->function].arg_n;
    struct fold f = {.function = x->function, .result = {.type = WLB_NUMBER}};
    if (x->function == F_EVERY || x->function == F_ANY)
        f.result = (struct wlb_value){.type = WLB_TRUTH, .number = x->function == F_EVERY};
    if (x->function == F_NTH) {
        struct wlb_value which;
        if (!eval(s, x->args[0], &which))
            return false;
        f.number = which.number;
    }
    if (!select_events(s, &f, n > 1 ? x->args[n - 2] : NULL, x->args[n - 1]))
        return false;
    bool wants_one = x->function == F_MIN || x->function == F_MAX || x->function == F_FIRST || x->function == F_LAST ||
                     x->function == F_NTH;
    if (wants_one && !f.has_result)
        return fail(s, "%s: there is no such event", functions[x->function].name);
    if (x->function == F_EVERY && f.n == 0)
        return fail(s, "every: there is no such event, so it says nothing");
    *v = f.result;
    return true;
}

static bool eval_call(struct scope *s, struct wlb_expr *x, struct wlb_value *v)
{
    if (x->function == F_ABS) {
        bool ok = eval(s, x->args[0], v);
        v->number = ok ? fabs(v->number) : 0;
        return ok;
    }
    struct scope whole = *s; /* what it asks does not depend on the event that is looked at */
    whole.entry = NULL;
    if (!x->has_memo && !fold_events(&whole, x, &x->memo))
        return false;
    x->has_memo = true;
    *v = x->memo;
    return true;
}

static bool eval(struct scope *s, struct wlb_expr *x, struct wlb_value *v)
{
    bool is = false;
    *v = (struct wlb_value){.type = WLB_NUMBER};
    switch (x->op) {
    case OP_VALUE: *v = x->value; return true;
    case OP_NAME: return eval_name(s, x, v) || unknown(s, x->word);
    case OP_NOT:
        if (!as_truth(s, x->args[0], &is))
            return false;
        *v = (struct wlb_value){.type = WLB_TRUTH, .number = !is};
        return true;
    case OP_MINUS:
        if (!eval(s, x->args[0], v))
            return false;
        v->number = -v->number;
        return true;
    case OP_BINARY: return eval_binary(s, x, v);
    case OP_CALL: return eval_call(s, x, v);
    }
    return false;
}

static void forget(struct wlb_expr *x)
{
    x->has_memo = false;
    for (unsigned i = 0; i < ARGS_MAX; i++) {
        if (x->args[i])
            forget(x->args[i]);
    }
}

bool wlb_expr_eval(struct wlb_expr *x, const struct wlb_record *record, const struct wlb_names *names,
                   struct wlb_value *v, char *err, size_t err_cap)
{
    struct scope s = {.record = record, .names = names, .err = err, .err_cap = err_cap};
    err[0] = '\0';
    forget(x);
    return eval(&s, x, v);
}

bool wlb_expr_select(struct wlb_expr *x, const struct wlb_record *record, const struct wlb_names *names,
                     const struct wlb_entry *entry, struct wlb_value *v, char *err, size_t err_cap)
{
    struct scope s = {
        .record = record, .names = names, .entry = entry, .gap = NAN, .prev_gap = NAN, .err = err, .err_cap = err_cap};
    err[0] = '\0';
    return eval(&s, x, v);
}

/* ---- Texts with values in them ---- */

/* For a reader three digits are enough; whoever goes on with the number gets all. */
static void format_number(double v, bool is_told, char *buf, size_t cap)
{
    int decimals = is_told && fabs(v) >= 100 ? 0 : is_told && fabs(v) >= 10 ? 1 : 3;
    int n = snprintf(buf, cap, "%.*f", decimals, v);
    if (n <= 0 || !strchr(buf, '.'))
        return;
    while (n > 0 && buf[n - 1] == '0')
        buf[--n] = '\0';
    if (n > 0 && buf[n - 1] == '.')
        buf[n - 1] = '\0';
}

static bool fill_one(const char *from, size_t len, const struct wlb_record *record, const struct wlb_names *names,
                     bool is_told, FILE *out, char *err, size_t err_cap)
{
    char *text = strndup(from, len), number[64];
    struct wlb_expr *x = text ? wlb_expr_parse(text, err, err_cap) : NULL;
    struct wlb_value v;
    bool ok = x && wlb_expr_eval(x, record, names, &v, err, err_cap);
    if (ok && v.type == WLB_TEXT) {
        fputs(v.text, out);
    } else if (ok && v.type == WLB_TRUTH) {
        fputs(v.number != 0 ? "true" : "false", out);
    } else if (ok) {
        format_number(v.number, is_told, number, sizeof number);
        fputs(number, out);
    }
    wlb_expr_free(x);
    free(text);
    return ok;
}

static char *fill(const char *text, const struct wlb_record *record, const struct wlb_names *names, bool is_told,
                  char *err, size_t err_cap)
{
    char *result = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&result, &size);
    bool ok = out != NULL;
    err[0] = '\0';
    while (ok && *text) {
        const char *open = strstr(text, "${"), *close = open ? strchr(open, '}') : NULL;
        size_t plain = close ? (size_t)(open - text) : strlen(text);
        fwrite(text, 1, plain, out);
        text += plain;
        if (close) {
            ok = fill_one(open + 2, (size_t)(close - open) - 2, record, names, is_told, out, err, err_cap);
            text = close + 1;
        }
    }
    if (out && fclose(out) != 0)
        ok = false;
    if (ok)
        return result;
    free(result);
    return NULL;
}

char *wlb_expr_fill(const char *text, const struct wlb_record *record, const struct wlb_names *names, char *err,
                    size_t err_cap)
{
    return fill(text, record, names, false, err, err_cap);
}

char *wlb_expr_tell(const char *text, const struct wlb_record *record, const struct wlb_names *names, char *err,
                    size_t err_cap)
{
    return fill(text, record, names, true, err, err_cap);
}
