/*
 * Values and what can be done with them (code.h).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drill/code.h"

#define PRINT_CAP 512

static struct wdr_value number(long double v, bool is_float)
{
    return (struct wdr_value){.kind = WDR_VALUE_NUMBER, .number = v, .is_float = is_float};
}

bool wdr_value_truth(const struct wdr_value *v)
{
    switch (v->kind) {
    case WDR_VALUE_NUMBER: return v->number != 0;
    case WDR_VALUE_TEXT: return v->text[0] != '\0';
    case WDR_VALUE_LIST: return v->item_n > 0;
    case WDR_VALUE_NONE: break;
    }
    return false;
}

static void print_into(const struct wdr_value *v, char *buf, size_t cap)
{
    size_t len;
    switch (v->kind) {
    case WDR_VALUE_NUMBER: snprintf(buf, cap, v->is_float ? "%.6Lg" : "%.0Lf", v->number); return;
    case WDR_VALUE_TEXT: snprintf(buf, cap, "%s", v->text); return;
    case WDR_VALUE_NONE: snprintf(buf, cap, "None"); return;
    case WDR_VALUE_LIST:
        snprintf(buf, cap, "[");
        for (unsigned i = 0; i < v->item_n; i++) {
            len = strlen(buf);
            snprintf(buf + len, cap - len, "%s", i ? ", " : "");
            len = strlen(buf);
            print_into(&v->items[i], buf + len, cap - len);
        }
        len = strlen(buf);
        snprintf(buf + len, cap - len, "]");
        return;
    }
}

const char *wdr_value_print(struct wdr_arena *arena, const struct wdr_value *v)
{
    char buf[PRINT_CAP];
    print_into(v, buf, sizeof buf);
    return wdr_arena_text(arena, buf, strlen(buf));
}

/* ---- "…" % values ---- */

static size_t format_one(char *out, size_t cap, const char *spec, size_t spec_len, const struct wdr_value *v)
{
    char fmt[32], text[PRINT_CAP];
    char kind = spec[spec_len - 1];
    print_into(v, text, sizeof text);
    if (spec_len > 20)
        return 0;
    if (kind == 'd' || kind == 'i' || kind == 'u' || kind == 'x') {
        snprintf(fmt, sizeof fmt, "%.*sll%c", (int)spec_len - 1, spec, kind == 'i' || kind == 'u' ? 'd' : kind);
        bool fits = v->number > -9.2e18L && v->number < 9.2e18L; /* neither too large for the type nor no number */
        return fits ? (size_t)snprintf(out, cap, fmt, (long long)v->number) : (size_t)snprintf(out, cap, "%s", text);
    }
    if (kind == 'f' || kind == 'g' || kind == 'e') {
        snprintf(fmt, sizeof fmt, "%.*sL%c", (int)spec_len - 1, spec, kind);
        return (size_t)snprintf(out, cap, fmt, v->number);
    }
    return (size_t)snprintf(out, cap, "%s", text);
}

static const char *format(struct wdr_arena *arena, const char *fmt, const struct wdr_value *arg, struct wdr_value *out)
{
    char buf[PRINT_CAP];
    size_t n = 0;
    unsigned used = 0, have = arg->kind == WDR_VALUE_LIST ? arg->item_n : 1;
    for (const char *p = fmt; *p && n + 1 < sizeof buf; p++) {
        if (*p != '%' || p[1] == '%') {
            p += *p == '%';
            buf[n++] = *p;
            continue;
        }
        size_t spec_len = 1 + strspn(p + 1, "-+ #0123456789.") + 1;
        if (!p[spec_len - 1] || !strchr("diuxfgesr", p[spec_len - 1]) || used == have)
            return "the text before % and the values behind it do not fit";
        const struct wdr_value *v = arg->kind == WDR_VALUE_LIST ? &arg->items[used] : arg;
        used++;
        n += format_one(buf + n, sizeof buf - n, p, spec_len, v);
        if (n >= sizeof buf)
            n = sizeof buf - 1;
        p += spec_len - 1;
    }
    *out = (struct wdr_value){.kind = WDR_VALUE_TEXT, .text = wdr_arena_text(arena, buf, n)};
    return NULL;
}

/* ---- Arithmetic and comparisons ---- */

static bool equal(const struct wdr_value *a, const struct wdr_value *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == WDR_VALUE_NUMBER)
        return a->number == b->number;
    if (a->kind == WDR_VALUE_TEXT)
        return strcmp(a->text, b->text) == 0;
    if (a->kind == WDR_VALUE_NONE)
        return true;
    for (unsigned i = 0; i < a->item_n && a->item_n == b->item_n; i++) {
        if (!equal(&a->items[i], &b->items[i]))
            return false;
    }
    return a->item_n == b->item_n;
}

static bool is_in(const struct wdr_value *a, const struct wdr_value *list)
{
    for (unsigned i = 0; list->kind == WDR_VALUE_LIST && i < list->item_n; i++) {
        if (equal(a, &list->items[i]))
            return true;
    }
    return list->kind == WDR_VALUE_TEXT && a->kind == WDR_VALUE_TEXT && strstr(list->text, a->text);
}

static bool fits_i64(long double v)
{
    return v >= -9223372036854775808.0L && v < 18446744073709551616.0L;
}

static const char *bits(enum wdr_operator op, long double x, long double y, struct wdr_value *out)
{
    if (!fits_i64(x) || !fits_i64(y) || x != floorl(x) || y != floorl(y))
        return "bits of something that is no whole number";
    uint64_t a = x < 0 ? (uint64_t)(int64_t)x : (uint64_t)x, b = y < 0 ? (uint64_t)(int64_t)y : (uint64_t)y, v = 0;
    if ((op == WDR_DO_SHL || op == WDR_DO_SHR) && b > 63)
        return "shifted too far";
    if (op == WDR_DO_AND)
        v = a & b;
    else if (op == WDR_DO_OR)
        v = a | b;
    else if (op == WDR_DO_XOR)
        v = a ^ b;
    else
        v = op == WDR_DO_SHL ? a << b : a >> b;
    *out = number(x < 0 || y < 0 ? (long double)(int64_t)v : (long double)v, false);
    return NULL;
}

static const char *arithmetic(enum wdr_operator op, const struct wdr_value *a, const struct wdr_value *b,
                              struct wdr_value *out)
{
    long double x = a->number, y = b->number;
    bool is_float = a->is_float || b->is_float;
    if ((op == WDR_DO_DIV || op == WDR_DO_FLOOR_DIV || op == WDR_DO_MOD) && y == 0)
        return "division by zero";
    switch (op) {
    case WDR_DO_ADD: *out = number(x + y, is_float); return NULL;
    case WDR_DO_SUB: *out = number(x - y, is_float); return NULL;
    case WDR_DO_MUL: *out = number(x * y, is_float); return NULL;
    case WDR_DO_DIV: *out = number(x / y, true); return NULL;
    case WDR_DO_FLOOR_DIV: *out = number(floorl(x / y), is_float); return NULL;
    case WDR_DO_MOD: *out = number(x - floorl(x / y) * y, is_float); return NULL;
    case WDR_DO_POW: *out = number(powl(x, y), is_float || y < 0); return NULL;
    case WDR_DO_LT: *out = number(x < y, false); return NULL;
    case WDR_DO_LE: *out = number(x <= y, false); return NULL;
    case WDR_DO_GT: *out = number(x > y, false); return NULL;
    case WDR_DO_GE: *out = number(x >= y, false); return NULL;
    case WDR_DO_AND:
    case WDR_DO_OR:
    case WDR_DO_XOR:
    case WDR_DO_SHL:
    case WDR_DO_SHR: return bits(op, x, y, out);
    case WDR_DO_EQ:
    case WDR_DO_NE:
    case WDR_DO_IN:
    case WDR_DO_NOT_IN: break;
    }
    return "no such operation";
}

const char *wdr_value_calculate(struct wdr_arena *arena, enum wdr_operator op, const struct wdr_value *a,
                                const struct wdr_value *b, struct wdr_value *out)
{
    char both[PRINT_CAP];
    if (op == WDR_DO_EQ || op == WDR_DO_NE) {
        *out = number(equal(a, b) == (op == WDR_DO_EQ), false);
        return NULL;
    }
    if (op == WDR_DO_IN || op == WDR_DO_NOT_IN) {
        *out = number(is_in(a, b) == (op == WDR_DO_IN), false);
        return NULL;
    }
    if (op == WDR_DO_MOD && a->kind == WDR_VALUE_TEXT)
        return format(arena, a->text, b, out);
    if (op == WDR_DO_ADD && a->kind == WDR_VALUE_TEXT && b->kind == WDR_VALUE_TEXT) {
        snprintf(both, sizeof both, "%s%s", a->text, b->text);
        *out = (struct wdr_value){.kind = WDR_VALUE_TEXT, .text = wdr_arena_text(arena, both, strlen(both))};
        return NULL;
    }
    if (a->kind != WDR_VALUE_NUMBER || b->kind != WDR_VALUE_NUMBER)
        return "an operation on something that is no number";
    return arithmetic(op, a, b, out);
}

/* ---- Functions ---- */

static const char *extreme(const struct wdr_value *v, unsigned n, bool is_max, struct wdr_value *out)
{
    if (n == 1 && v->kind == WDR_VALUE_LIST) {
        n = v->item_n;
        v = v->items;
    }
    if (n == 0)
        return "min and max of nothing";
    *out = v[0];
    for (unsigned i = 0; i < n; i++) {
        if (v[i].kind != WDR_VALUE_NUMBER)
            return "min and max of something that is no number";
        if (is_max ? v[i].number > out->number : v[i].number < out->number)
            *out = v[i];
    }
    return NULL;
}

const char *wdr_value_call(struct wdr_arena *arena, const char *name, const struct wdr_value *args, unsigned n,
                           struct wdr_value *out)
{
    bool is_number = n == 1 && args[0].kind == WDR_VALUE_NUMBER;
    if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0)
        return extreme(args, n, name[1] == 'a', out);
    if (strcmp(name, "abs") == 0 && is_number)
        *out = number(fabsl(args[0].number), args[0].is_float);
    else if (strcmp(name, "int") == 0 && is_number)
        *out = number(truncl(args[0].number), false);
    else if (strcmp(name, "round") == 0 && is_number)
        *out = number(roundl(args[0].number), false);
    else if (strcmp(name, "float") == 0 && is_number)
        *out = number(args[0].number, true);
    else if (strcmp(name, "str") == 0 && n == 1)
        *out = (struct wdr_value){.kind = WDR_VALUE_TEXT, .text = wdr_value_print(arena, &args[0])};
    else if (strcmp(name, "len") == 0 && n == 1 && args[0].kind == WDR_VALUE_LIST)
        *out = number(args[0].item_n, false);
    else
        return "no such function, or not with these arguments: abs, min, max, int, float, round, str and len are known";
    return NULL;
}
