/*
 * Values and what can be done with them (code.h).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drill/code.h"

#define PRINT_CAP 512

bool wdr_value_truth(const struct wdr_value *v)
{
    switch (v->kind) {
    case WDR_VALUE_NUMBER: return v->is_float ? v->real != 0 : v->whole != 0;
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
    case WDR_VALUE_NUMBER: wdr_number_print(v, buf, cap); return;
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
    __int128 whole = v->whole;
    print_into(v, text, sizeof text);
    if (spec_len > 20)
        return 0;
    if (v->kind == WDR_VALUE_NUMBER && strchr("fge", kind)) {
        snprintf(fmt, sizeof fmt, "%.*s", (int)spec_len, spec);
        return (size_t)snprintf(out, cap, fmt, wdr_number_real(v));
    }
    bool is_whole = v->kind == WDR_VALUE_NUMBER && (!v->is_float || wdr_number_whole(v->real, &whole));
    if (is_whole && strchr("diux", kind) && whole >= INT64_MIN && whole <= INT64_MAX) {
        snprintf(fmt, sizeof fmt, "%.*sll%c", (int)spec_len - 1, spec, kind == 'x' ? 'x' : 'd');
        return (size_t)snprintf(out, cap, fmt, (long long)whole);
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
        return wdr_number_compare(a, b) == 0;
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

const char *wdr_value_calculate(struct wdr_arena *arena, enum wdr_operator op, const struct wdr_value *a,
                                const struct wdr_value *b, struct wdr_value *out)
{
    char both[PRINT_CAP];
    if (op == WDR_DO_EQ || op == WDR_DO_NE) {
        *out = wdr_whole(equal(a, b) == (op == WDR_DO_EQ));
        return NULL;
    }
    if (op == WDR_DO_IN || op == WDR_DO_NOT_IN) {
        *out = wdr_whole(is_in(a, b) == (op == WDR_DO_IN));
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
    return wdr_number_calculate(op, a, b, out);
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
        int order = wdr_number_compare(&v[i], out);
        if (is_max ? order > 0 : order < 0)
            *out = v[i];
    }
    return NULL;
}

static const char *to_whole(const struct wdr_value *v, double (*how)(double), struct wdr_value *out)
{
    __int128 whole = v->whole;
    if (v->is_float && !wdr_number_whole(how(v->real), &whole))
        return "too large for a whole number, or no number";
    *out = wdr_whole(whole);
    return NULL;
}

const char *wdr_value_call(struct wdr_arena *arena, const char *name, const struct wdr_value *args, unsigned n,
                           struct wdr_value *out)
{
    bool is_number = n == 1 && args[0].kind == WDR_VALUE_NUMBER;
    if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0)
        return extreme(args, n, name[1] == 'a', out);
    if (strcmp(name, "abs") == 0 && is_number) {
        struct wdr_value zero = wdr_whole(0);
        *out = args[0];
        return wdr_number_compare(out, &zero) < 0 ? wdr_number_calculate(WDR_DO_SUB, &zero, &args[0], out) : NULL;
    }
    if (strcmp(name, "int") == 0 && is_number)
        return to_whole(&args[0], trunc, out);
    else if (strcmp(name, "round") == 0 && is_number)
        return to_whole(&args[0], rint, out);
    else if (strcmp(name, "float") == 0 && is_number)
        *out = wdr_real(wdr_number_real(&args[0]));
    else if (strcmp(name, "str") == 0 && n == 1)
        *out = (struct wdr_value){.kind = WDR_VALUE_TEXT, .text = wdr_value_print(arena, &args[0])};
    else if (strcmp(name, "len") == 0 && n == 1 && args[0].kind == WDR_VALUE_LIST)
        *out = wdr_whole(args[0].item_n);
    else
        return "no such function, or not with these arguments: abs, min, max, int, float, round, str and len are known";
    return NULL;
}
