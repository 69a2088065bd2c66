/*
 * Reading and running blocks (code.h): recursive descent, each line run as it is read.
 */
#include "drill/code.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "drill/symbols.h"

#define DEPTH_MAX  40
#define ITEMS_MAX  64
#define USED_CAP   400
#define ANY_INDENT (-1)

struct name {
    struct name *next;
    const char *name;
    struct wdr_value value;
};

struct wdr_code {
    wdr_code_lookup *lookup;
    void *ctx;
    FILE *out;
    struct wdr_arena *arena;
    struct name *names;
    /* the block under way */
    const char *p, *text;
    int line;
    unsigned depth, nesting; /* nesting: of parentheses, within which a line may end */
    bool is_skipped;         /* a branch that is not taken: read, not run */
    bool has_failed;
    struct wdr_error *error;
    char used[USED_CAP]; /* "tcpi_unacked=10, tcpi_snd_cwnd=9": what the statement looked up */
};

static struct wdr_value expr(struct wdr_code *c);
static void statements(struct wdr_code *c);

struct wdr_code *wdr_code_new(wdr_code_lookup *lookup, void *ctx, FILE *out)
{
    struct wdr_code *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct wdr_code){.lookup = lookup, .ctx = ctx, .out = out, .arena = wdr_arena_new()};
    if (c->arena)
        return c;
    free(c);
    return NULL;
}

void wdr_code_free(struct wdr_code *c)
{
    if (!c)
        return;
    wdr_arena_free(c->arena);
    free(c);
}

static void fail(struct wdr_code *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct wdr_code *c, const char *fmt, ...)
{
    va_list args;
    if (c->has_failed)
        return;
    va_start(args, fmt);
    vsnprintf(c->error->text, sizeof c->error->text, fmt, args);
    va_end(args);
    c->error->line = c->line;
    c->has_failed = true;
    c->p = "";
}

/* ---- Words ---- */

static void skip_blank(struct wdr_code *c)
{
    for (;; c->p++) {
        if (*c->p == '#') {
            while (*c->p && *c->p != '\n')
                c->p++;
        }
        if (*c->p == '\\' && c->p[1] == '\n') {
            c->p++;
            c->line++;
        } else if (*c->p == '\n' && c->nesting) {
            c->line++;
        } else if (*c->p != ' ' && *c->p != '\t' && *c->p != '\r') {
            return;
        }
        if (!*c->p)
            return;
    }
}

static bool is_word_char(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_';
}

static bool take(struct wdr_code *c, const char *sign)
{
    size_t n = strlen(sign);
    skip_blank(c);
    if (strncmp(c->p, sign, n) != 0 || (is_word_char(sign[0]) && is_word_char(c->p[n])))
        return false;
    c->p += n;
    return true;
}

static void want(struct wdr_code *c, const char *sign)
{
    if (!take(c, sign))
        fail(c, "'%s' is missing before '%.20s'", sign, c->p);
}

static const char *take_word(struct wdr_code *c)
{
    size_t n = 0;
    skip_blank(c);
    if (isdigit((unsigned char)*c->p))
        return NULL;
    while (is_word_char(c->p[n]))
        n++;
    if (n == 0)
        return NULL;
    const char *word = wdr_arena_text(c->arena, c->p, n);
    c->p += n;
    return word;
}

/* ---- Values ---- */

static struct wdr_value text_literal(struct wdr_code *c, char quote)
{
    char *out = wdr_arena_take(c->arena, strlen(c->p) + 1);
    size_t n = 0;
    while (*c->p && *c->p != quote && *c->p != '\n') {
        if (*c->p == '\\' && c->p[1])
            c->p++;
        out[n++] = *c->p++;
    }
    if (*c->p != quote)
        fail(c, "text without an end");
    else
        c->p++;
    return (struct wdr_value){.kind = WDR_VALUE_TEXT, .text = out};
}

static struct wdr_value number_literal(struct wdr_code *c)
{
    char *end;
    bool is_hex = c->p[0] == '0' && (c->p[1] == 'x' || c->p[1] == 'X');
    size_t digits = strspn(c->p, "0123456789");
    bool is_float = !is_hex && (c->p[digits] == '.' || c->p[digits] == 'e' || c->p[digits] == 'E');
    errno = 0;
    struct wdr_value v =
        is_float ? wdr_real(strtod(c->p, &end)) : wdr_whole((__int128)strtoull(c->p, &end, is_hex ? 16 : 10));
    if (end == c->p || is_word_char(*end) || (errno && !is_float))
        fail(c, "no number: '%.20s'", c->p);
    else
        c->p = end;
    return v;
}

/* Remember what was looked up, to say it when an assertion fails. */
static void note_used(struct wdr_code *c, const char *name, const struct wdr_value *v)
{
    char one[96];
    snprintf(one, sizeof one, "%s=%s", name, wdr_value_print(c->arena, v));
    size_t len = strlen(c->used);
    if (!strstr(c->used, one))
        snprintf(c->used + len, sizeof c->used - len, "%s%s", len ? ", " : "", one);
}

static struct wdr_value name_value(struct wdr_code *c, const char *name)
{
    uint64_t v = 0;
    int64_t constant;
    struct wdr_value out = wdr_whole(0);
    if (c->is_skipped)
        return out;
    for (const struct name *n = c->names; n; n = n->next) {
        if (strcmp(n->name, name) == 0) {
            note_used(c, name, &n->value);
            return n->value;
        }
    }
    if (strcmp(name, "True") == 0)
        return wdr_whole(1);
    if (strcmp(name, "False") == 0)
        return out;
    if (strcmp(name, "None") == 0)
        return (struct wdr_value){.kind = WDR_VALUE_NONE};
    if (wdr_symbol(name, &constant))
        return wdr_whole(constant);
    if (!c->lookup(c->ctx, name, &v)) {
        fail(c, "nobody knows '%s'", name);
        return out;
    }
    out = wdr_whole(v);
    note_used(c, name, &out);
    return out;
}

/* Expressions between commas up to `close`. */
static unsigned items(struct wdr_code *c, const char *close, struct wdr_value *out, bool *has_comma)
{
    unsigned n = 0;
    *has_comma = false;
    c->nesting++;
    while (!c->has_failed && !take(c, close)) {
        if (n == ITEMS_MAX) {
            fail(c, "too many values");
            break;
        }
        out[n++] = expr(c);
        if (take(c, ","))
            *has_comma = true;
        else if (!take(c, close))
            fail(c, "'%s' is missing", close);
        else
            break;
    }
    c->nesting--;
    return n;
}

static struct wdr_value list_of(struct wdr_code *c, const struct wdr_value *v, unsigned n)
{
    struct wdr_value out = {.kind = WDR_VALUE_LIST, .item_n = n};
    out.items = wdr_arena_take(c->arena, (n + 1) * sizeof *v);
    memcpy(out.items, v, n * sizeof *v);
    return out;
}

static struct wdr_value call(struct wdr_code *c, const char *name)
{
    struct wdr_value args[ITEMS_MAX], out = wdr_whole(0);
    bool has_comma;
    unsigned n = items(c, ")", args, &has_comma);
    if (!c->has_failed && !c->is_skipped) {
        const char *wrong = wdr_value_call(c->arena, name, args, n, &out);
        if (wrong)
            fail(c, "%s(): %s", name, wrong);
    }
    return out;
}

/* f"cwnd {tcpi_snd_cwnd}": what stands in braces is worked out; a format behind ':' is left out. */
static struct wdr_value filled_in(struct wdr_code *c, struct wdr_value text)
{
    char out[USED_CAP] = "";
    const char *back = c->p, *p = text.text;
    for (const char *open; !c->has_failed && (open = strchr(p, '{')); p = strchr(open, '}') + 1) {
        size_t used = strlen(out);
        if (!strchr(open, '}')) {
            fail(c, "'{' without '}'");
            return text;
        }
        c->p = wdr_arena_text(c->arena, open + 1, strcspn(open + 1, "}:"));
        struct wdr_value v = expr(c);
        snprintf(out + used, sizeof out - used, "%.*s%s", (int)(open - p), p, wdr_value_print(c->arena, &v));
    }
    if (c->has_failed)
        return text;
    c->p = back;
    size_t used = strlen(out);
    snprintf(out + used, sizeof out - used, "%s", p);
    return (struct wdr_value){.kind = WDR_VALUE_TEXT, .text = wdr_arena_text(c->arena, out, strlen(out))};
}

static struct wdr_value primary(struct wdr_code *c)
{
    struct wdr_value v[ITEMS_MAX];
    bool has_comma;
    skip_blank(c);
    if (take(c, "(")) {
        unsigned n = items(c, ")", v, &has_comma);
        return n == 1 && !has_comma ? v[0] : list_of(c, v, n);
    }
    if (take(c, "[")) {
        unsigned n = items(c, "]", v, &has_comma);
        return list_of(c, v, n);
    }
    if (*c->p == '\'' || *c->p == '"')
        return text_literal(c, *c->p++);
    if (*c->p == 'f' && (c->p[1] == '\'' || c->p[1] == '"')) {
        c->p += 2;
        return filled_in(c, text_literal(c, c->p[-1]));
    }
    if (isdigit((unsigned char)*c->p) || *c->p == '.')
        return number_literal(c);
    const char *word = take_word(c);
    if (!word) {
        fail(c, "a value is missing before '%.20s'", c->p);
        return wdr_whole(0);
    }
    return take(c, "(") ? call(c, word) : name_value(c, word);
}

/* ---- Operators, from the tightest to the loosest ---- */

static struct wdr_value calculate(struct wdr_code *c, enum wdr_operator op, struct wdr_value a, struct wdr_value b)
{
    struct wdr_value out = wdr_whole(0);
    if (c->has_failed || c->is_skipped)
        return out;
    const char *wrong = wdr_value_calculate(c->arena, op, &a, &b, &out);
    if (wrong)
        fail(c, "%s", wrong);
    return out;
}

static struct wdr_value unary(struct wdr_code *c)
{
    struct wdr_value v;
    if (++c->depth > DEPTH_MAX)
        fail(c, "nested too deeply");
    skip_blank(c);
    if (take(c, "-"))
        v = calculate(c, WDR_DO_SUB, wdr_whole(0), unary(c));
    else if (take(c, "+"))
        v = unary(c);
    else if (take(c, "~"))
        v = calculate(c, WDR_DO_SUB, wdr_whole(-1), unary(c));
    else if (v = primary(c), take(c, "**"))
        v = calculate(c, WDR_DO_POW, v, unary(c));
    c->depth--;
    return v;
}

struct level {
    const char *sign;
    const char *not_before; /* characters that would make it another sign */
    enum wdr_operator op;
    int level;
};

static const struct level levels[] = {
    {"//", "=", WDR_DO_FLOOR_DIV, 0}, {"*", "*=", WDR_DO_MUL, 0}, {"/", "=", WDR_DO_DIV, 0},
    {"%", "=", WDR_DO_MOD, 0},        {"+", "=", WDR_DO_ADD, 1},  {"-", "=", WDR_DO_SUB, 1},
    {"<<", "=", WDR_DO_SHL, 2},       {">>", "=", WDR_DO_SHR, 2}, {"&", "=", WDR_DO_AND, 3},
    {"^", "=", WDR_DO_XOR, 4},        {"|", "=", WDR_DO_OR, 5},
};

enum { LEVEL_TOP = 5 };

static const struct level *take_level(struct wdr_code *c, int level)
{
    skip_blank(c);
    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        size_t n = strlen(levels[i].sign);
        if (levels[i].level == level && strncmp(c->p, levels[i].sign, n) == 0 &&
            (!c->p[n] || !strchr(levels[i].not_before, c->p[n]))) {
            c->p += n;
            return &levels[i];
        }
    }
    return NULL;
}

static struct wdr_value binary(struct wdr_code *c, int level)
{
    const struct level *l;
    struct wdr_value v = level == 0 ? unary(c) : binary(c, level - 1);
    while (!c->has_failed && (l = take_level(c, level)))
        v = calculate(c, l->op, v, level == 0 ? unary(c) : binary(c, level - 1));
    return v;
}

static bool take_comparison(struct wdr_code *c, enum wdr_operator *op)
{
    static const struct {
        const char *sign;
        enum wdr_operator op;
    } signs[] = {{"==", WDR_DO_EQ}, {"!=", WDR_DO_NE}, {"<=", WDR_DO_LE}, {">=", WDR_DO_GE},
                 {"<", WDR_DO_LT},  {">", WDR_DO_GT},  {"in", WDR_DO_IN}, {"is", WDR_DO_EQ}};
    for (unsigned i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (take(c, signs[i].sign)) {
            *op = signs[i].op;
            return true;
        }
    }
    const char *here = c->p;
    if (take(c, "not")) {
        *op = WDR_DO_NOT_IN;
        if (take(c, "in"))
            return true;
        c->p = here;
    }
    return false;
}

/* a < b <= c is (a < b) and (b <= c). */
static struct wdr_value comparison(struct wdr_code *c)
{
    enum wdr_operator op;
    struct wdr_value left = binary(c, LEVEL_TOP), truth;
    if (!take_comparison(c, &op))
        return left;
    bool all = true;
    do {
        struct wdr_value right = binary(c, LEVEL_TOP);
        truth = calculate(c, op, left, right);
        all = all && wdr_value_truth(&truth);
        left = right;
    } while (!c->has_failed && take_comparison(c, &op));
    return wdr_whole(all);
}

static struct wdr_value negation(struct wdr_code *c)
{
    struct wdr_value v;
    if (++c->depth > DEPTH_MAX)
        fail(c, "nested too deeply");
    if (take(c, "not")) {
        v = negation(c);
        v = wdr_whole(!wdr_value_truth(&v));
    } else {
        v = comparison(c);
    }
    c->depth--;
    return v;
}

/* The second operand is read and not run when the first decides. */
static struct wdr_value junction(struct wdr_code *c, const char *word, bool is_or)
{
    struct wdr_value v = is_or ? junction(c, "and", false) : negation(c);
    while (!c->has_failed && take(c, word)) {
        bool was = c->is_skipped, decides = wdr_value_truth(&v) == is_or;
        c->is_skipped = was || decides;
        struct wdr_value other = is_or ? junction(c, "and", false) : negation(c);
        c->is_skipped = was;
        v = decides ? v : other;
    }
    return v;
}

static struct wdr_value expr(struct wdr_code *c)
{
    struct wdr_value v = junction(c, "or", true);
    if (c->has_failed || !take(c, "if"))
        return v;
    struct wdr_value condition = junction(c, "or", true);
    want(c, "else");
    struct wdr_value other = expr(c);
    return wdr_value_truth(&condition) ? v : other;
}

/* ---- Statements ---- */

static void run_assert(struct wdr_code *c, const char *begin)
{
    struct wdr_value v = expr(c), message = {.kind = WDR_VALUE_NONE};
    const char *end = c->p;
    char used[USED_CAP];
    if (c->has_failed)
        return;
    while (end > begin && isspace((unsigned char)end[-1]))
        end--;
    memcpy(used, c->used, sizeof used);
    if (take(c, ","))
        message = expr(c);
    if (c->has_failed || c->is_skipped || wdr_value_truth(&v))
        return;
    bool has_message = message.kind != WDR_VALUE_NONE;
    fail(c, "this does not hold: %.*s%s%s%s%s", (int)(end - begin), begin, used[0] ? "\n  where " : "", used,
         has_message ? "\n  " : "", has_message ? wdr_value_print(c->arena, &message) : "");
}

static void run_print(struct wdr_code *c)
{
    const char *gap = "";
    do {
        struct wdr_value v = expr(c);
        if (c->out && !c->has_failed && !c->is_skipped)
            fprintf(c->out, "%s%s", gap, wdr_value_print(c->arena, &v));
        gap = " ";
    } while (!c->has_failed && take(c, ","));
    if (c->out && !c->has_failed && !c->is_skipped)
        fputc('\n', c->out);
}

static void assign(struct wdr_code *c, const char *name, struct wdr_value v)
{
    struct name *n = c->names;
    if (c->has_failed || c->is_skipped)
        return;
    while (n && strcmp(n->name, name) != 0)
        n = n->next;
    if (!n) {
        n = wdr_arena_take(c->arena, sizeof *n);
        n->name = name;
        n->next = c->names;
        c->names = n;
    }
    n->value = v;
}

static void run_assignment(struct wdr_code *c, const char *name)
{
    static const struct {
        const char *sign;
        enum wdr_operator op;
    } signs[] = {{"+=", WDR_DO_ADD}, {"-=", WDR_DO_SUB}, {"*=", WDR_DO_MUL},
                 {"/=", WDR_DO_DIV}, {"|=", WDR_DO_OR},  {"&=", WDR_DO_AND}};
    for (unsigned i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (take(c, signs[i].sign)) {
            struct wdr_value old = name_value(c, name);
            assign(c, name, calculate(c, signs[i].op, old, expr(c)));
            return;
        }
    }
    if (strncmp(c->p, "==", 2) == 0 || !take(c, "="))
        fail(c, "no statement that is known here: '%s'. There are assert, print, pass, if and NAME = value", name);
    else
        assign(c, name, expr(c));
}

/* The column of the next line that says something, -1: there is none. */
static int next_indent(const struct wdr_code *c)
{
    const char *p = c->p;
    for (int column = 0; *p; p++) {
        if (*p == '#') {
            while (p[1] && p[1] != '\n')
                p++;
        } else if (*p == '\n') {
            column = 0;
        } else if (*p == ' ' || *p == '\t' || *p == '\r') {
            column++;
        } else {
            return column;
        }
    }
    return -1;
}

/* Go to its beginning. */
static void take_lines(struct wdr_code *c)
{
    for (skip_blank(c); *c->p == '\n'; skip_blank(c)) {
        c->p++;
        c->line++;
    }
}

/* The column at which the line of `at` begins; the first line of a block of code has none: any fits it. */
static int indent_of(const struct wdr_code *c, const char *at)
{
    const char *line = at;
    while (line > c->text && line[-1] != '\n')
        line--;
    return line == c->text ? ANY_INDENT : (int)strspn(line, " \t");
}

/* What an if governs: the rest of its line, or the lines behind it that are indented further. */
static void run_suite(struct wdr_code *c, int indent)
{
    skip_blank(c);
    if (*c->p && *c->p != '\n') {
        statements(c);
        return;
    }
    int inner = next_indent(c);
    if (inner < 0 || (indent != ANY_INDENT && inner <= indent))
        fail(c, "what is governed by 'if' should be indented");
    while (!c->has_failed && next_indent(c) >= inner) {
        take_lines(c);
        statements(c);
    }
}

/* "else:" or "elif": of this if, not of one around it. */
static bool take_else(struct wdr_code *c, int indent, bool *has_condition)
{
    const char *here = c->p;
    int line = c->line;
    int next = next_indent(c);
    take_lines(c);
    if (indent == ANY_INDENT || next == indent) {
        *has_condition = take(c, "elif");
        if (*has_condition || take(c, "else"))
            return true;
    }
    c->p = here;
    c->line = line;
    return false;
}

static void run_if(struct wdr_code *c)
{
    bool was = c->is_skipped, is_taken = false, has_condition = true;
    int indent = indent_of(c, c->p);
    do {
        struct wdr_value condition = wdr_whole(1);
        c->is_skipped = was || is_taken;
        if (has_condition)
            condition = expr(c);
        want(c, ":");
        bool holds = !is_taken && wdr_value_truth(&condition);
        c->is_skipped = was || !holds;
        is_taken = is_taken || holds;
        run_suite(c, indent);
        c->is_skipped = was;
    } while (!c->has_failed && take_else(c, indent, &has_condition));
}

static void statement(struct wdr_code *c)
{
    skip_blank(c);
    const char *word = take_word(c);
    c->used[0] = '\0';
    if (!word) {
        fail(c, "no statement: '%.20s'", c->p);
        return;
    }
    skip_blank(c);
    if (strcmp(word, "assert") == 0)
        run_assert(c, c->p);
    else if (strcmp(word, "print") == 0)
        run_print(c);
    else if (strcmp(word, "if") == 0)
        run_if(c);
    else if (strcmp(word, "pass") != 0)
        run_assignment(c, word);
}

/* Statements between semicolons, up to the line's end. */
static void statements(struct wdr_code *c)
{
    if (++c->depth > DEPTH_MAX)
        fail(c, "nested too deeply");
    do {
        skip_blank(c);
        if (*c->p == '\n' || !*c->p)
            break;
        statement(c);
        skip_blank(c);
    } while (!c->has_failed && take(c, ";"));
    if (!c->has_failed && *c->p && *c->p != '\n')
        fail(c, "the statement should end before '%.20s'", c->p);
    c->depth--;
}

bool wdr_code_run(struct wdr_code *c, const char *text, int line, struct wdr_error *error)
{
    c->p = c->text = text;
    c->line = line;
    c->depth = c->nesting = 0;
    c->is_skipped = c->has_failed = false;
    c->error = error;
    while (!c->has_failed && *c->p) {
        statements(c);
        if (*c->p == '\n') {
            c->p++;
            c->line++;
        }
    }
    return !c->has_failed;
}
