/*
 * The lexer (lex.h).
 */
#include "drill/lex.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_DIGITS 9

void wdr_lex_init(struct wdr_lex *lx, const char *src, size_t len, struct wdr_arena *arena,
                  const struct wdr_define *defines, struct wdr_error *error)
{
    *lx = (struct wdr_lex){.src = src, .len = len, .line = 1, .arena = arena, .defines = defines, .error = error};
}

static void note(struct wdr_lex *lx, int line, int column, const char *fmt, va_list args)
{
    if (lx->has_failed)
        return;
    lx->has_failed = true;
    lx->error->line = line;
    lx->error->column = column;
    vsnprintf(lx->error->text, sizeof lx->error->text, fmt, args);
}

bool wdr_lex_fail_at(struct wdr_lex *lx, int line, int column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    note(lx, line, column, fmt, args);
    va_end(args);
    return false;
}

bool wdr_lex_fail(struct wdr_lex *lx, const char *fmt, ...)
{
    const struct wdr_token *t = wdr_lex_peek(lx);
    va_list args;
    va_start(args, fmt);
    note(lx, t->line, t->column, fmt, args);
    va_end(args);
    return false;
}

/* ---- Characters ---- */

static char at(const struct wdr_lex *lx, size_t pos)
{
    return pos < lx->len ? lx->src[pos] : '\0';
}

static void step(struct wdr_lex *lx)
{
    if (lx->src[lx->pos++] == '\n') {
        lx->line++;
        lx->line_begin = lx->pos;
    }
}

static int column(const struct wdr_lex *lx)
{
    return (int)(lx->pos - lx->line_begin) + 1;
}

static void skip_line(struct wdr_lex *lx)
{
    while (lx->pos < lx->len && lx->src[lx->pos] != '\n')
        lx->pos++;
}

static bool skip_comment(struct wdr_lex *lx)
{
    int line = lx->line, col = column(lx);
    lx->pos += 2;
    while (lx->pos < lx->len) {
        if (lx->src[lx->pos] == '*' && at(lx, lx->pos + 1) == '/') {
            lx->pos += 2;
            return true;
        }
        step(lx);
    }
    return wdr_lex_fail_at(lx, line, col, "this comment has no end");
}

static bool skip_blank(struct wdr_lex *lx)
{
    while (lx->pos < lx->len) {
        char c = lx->src[lx->pos];
        if (c == '#' || (c == '/' && at(lx, lx->pos + 1) == '/'))
            skip_line(lx);
        else if (c == '/' && at(lx, lx->pos + 1) == '*') {
            if (!skip_comment(lx))
                return false;
        } else if (isspace((unsigned char)c))
            step(lx);
        else
            break;
    }
    return true;
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* ---- Words ---- */

static int escaped(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case '0': return '\0';
    case '\\':
    case '"': return c;
    default: return -1;
    }
}

/* "\x41" and the letters of `escaped`. */
static bool read_escape(struct wdr_lex *lx, char *out)
{
    step(lx);
    char c = at(lx, lx->pos);
    if (c == 'x' && isxdigit((unsigned char)at(lx, lx->pos + 1)) && isxdigit((unsigned char)at(lx, lx->pos + 2))) {
        char hex[3] = {at(lx, lx->pos + 1), at(lx, lx->pos + 2), '\0'};
        *out = (char)strtoul(hex, NULL, 16);
        lx->pos += 3;
        return true;
    }
    int e = escaped(c);
    if (e < 0)
        return wdr_lex_fail_at(lx, lx->line, column(lx), "no such escape: '\\%c'", c);
    *out = (char)e;
    step(lx);
    return true;
}

static bool read_string(struct wdr_lex *lx, struct wdr_token *t)
{
    size_t n = 0, end = lx->pos + 1;
    while (end < lx->len && lx->src[end] != '"')
        end += lx->src[end] == '\\' ? 2 : 1;
    if (end >= lx->len)
        return wdr_lex_fail_at(lx, t->line, t->column, "this string has no end");
    char *out = wdr_arena_take(lx->arena, end - lx->pos);
    step(lx);
    while (lx->src[lx->pos] != '"') {
        if (lx->src[lx->pos] == '\\') {
            if (!read_escape(lx, &out[n++]))
                return false;
        } else {
            out[n++] = lx->src[lx->pos];
            step(lx);
        }
    }
    step(lx);
    t->kind = WDR_TOK_STRING;
    t->text = out;
    t->len = n;
    return true;
}

/* What stands between two marks. */
static bool read_between(struct wdr_lex *lx, struct wdr_token *t, size_t open_len, const char *close,
                         enum wdr_token_kind kind)
{
    size_t begin = lx->pos + open_len, close_len = strlen(close);
    lx->pos = begin;
    while (lx->pos < lx->len && strncmp(lx->src + lx->pos, close, close_len) != 0)
        step(lx);
    if (lx->pos >= lx->len)
        return wdr_lex_fail_at(lx, t->line, t->column, "this has no end: '%s' is missing", close);
    t->kind = kind;
    t->text = wdr_arena_text(lx->arena, lx->src + begin, lx->pos - begin);
    t->len = lx->pos - begin;
    lx->pos += close_len;
    return true;
}

static bool number_value(struct wdr_lex *lx, struct wdr_token *t)
{
    char *end;
    errno = 0;
    bool is_hex = t->len > 2 && t->text[0] == '0' && (t->text[1] == 'x' || t->text[1] == 'X');
    unsigned long long v = strtoull(t->text, &end, is_hex ? 16 : 10);
    if (errno || *end || end == t->text)
        return wdr_lex_fail_at(lx, t->line, t->column, "'%s' is no number", t->text);
    t->number = (int64_t)v;
    return true;
}

/* "12", "0x1f", "1.25", ".05"; "0...0.2" begins with the number 0. */
static bool read_number(struct wdr_lex *lx, struct wdr_token *t)
{
    size_t p = lx->pos;
    if (at(lx, p) == '0' && (at(lx, p + 1) == 'x' || at(lx, p + 1) == 'X')) {
        p += 2;
        while (isxdigit((unsigned char)at(lx, p)))
            p++;
    } else {
        while (isdigit((unsigned char)at(lx, p)))
            p++;
        if (at(lx, p) == '.' && at(lx, p + 1) != '.') {
            t->has_point = true;
            p++;
            while (isdigit((unsigned char)at(lx, p)))
                p++;
        }
    }
    if (is_word_char(at(lx, p)))
        return wdr_lex_fail_at(lx, t->line, t->column, "'%.*s' is no number", (int)(p + 1 - lx->pos),
                               lx->src + lx->pos);
    t->kind = WDR_TOK_NUMBER;
    t->text = wdr_arena_text(lx->arena, lx->src + lx->pos, p - lx->pos);
    t->len = p - lx->pos;
    lx->pos = p;
    return t->has_point || number_value(lx, t);
}

static const char *find_define(const struct wdr_lex *lx, const char *name)
{
    for (const struct wdr_define *d = lx->defines; d; d = d->next) {
        if (strcmp(d->name, name) == 0)
            return d->value;
    }
    return NULL;
}

/* A define's value takes the place of its name: a number, a string in quotes, or a word. */
static bool use_define(struct wdr_lex *lx, struct wdr_token *t, const char *value)
{
    size_t len = strlen(value);
    t->text = value;
    t->len = len;
    if (isdigit((unsigned char)value[0])) {
        t->kind = WDR_TOK_NUMBER;
        t->has_point = strchr(value, '.') != NULL;
        return t->has_point || number_value(lx, t);
    }
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        t->kind = WDR_TOK_STRING;
        t->text = wdr_arena_text(lx->arena, value + 1, len - 2);
        t->len = len - 2;
    }
    return true;
}

static bool read_word(struct wdr_lex *lx, struct wdr_token *t)
{
    size_t begin = lx->pos;
    while (is_word_char(at(lx, lx->pos)))
        lx->pos++;
    t->kind = WDR_TOK_WORD;
    t->len = lx->pos - begin;
    t->text = wdr_arena_text(lx->arena, lx->src + begin, t->len);
    const char *value = find_define(lx, t->text);
    return !value || use_define(lx, t, value);
}

static bool read_token(struct wdr_lex *lx, struct wdr_token *t)
{
    char c = at(lx, lx->pos), d = at(lx, lx->pos + 1);
    if (lx->pos >= lx->len)
        return true;
    if (c == '"')
        return read_string(lx, t);
    if (c == '`')
        return read_between(lx, t, 1, "`", WDR_TOK_COMMAND);
    if (c == '%' && d == '{')
        return read_between(lx, t, 2, "}%", WDR_TOK_CODE);
    if (c == '.' && d == '.' && at(lx, lx->pos + 2) == '.') {
        t->kind = WDR_TOK_ELLIPSIS;
        lx->pos += 3;
        return true;
    }
    if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)d)))
        return read_number(lx, t);
    if (is_word_char(c))
        return read_word(lx, t);
    t->kind = WDR_TOK_SIGN;
    t->sign = c;
    lx->pos++;
    return true;
}

const struct wdr_token *wdr_lex_peek(struct wdr_lex *lx)
{
    if (lx->has_ahead)
        return &lx->ahead;
    lx->ahead = (struct wdr_token){.kind = WDR_TOK_END, .text = ""};
    bool ok = !lx->has_failed && skip_blank(lx);
    lx->ahead.line = lx->line;
    lx->ahead.column = column(lx);
    lx->ahead.begin = lx->pos;
    if (!ok || !read_token(lx, &lx->ahead)) {
        lx->ahead.kind = WDR_TOK_END;
        lx->pos = lx->len;
    }
    lx->ahead.end = lx->pos;
    lx->has_ahead = true;
    return &lx->ahead;
}

struct wdr_token wdr_lex_take(struct wdr_lex *lx)
{
    struct wdr_token t = *wdr_lex_peek(lx);
    lx->has_ahead = t.kind == WDR_TOK_END;
    lx->last_end = t.end;
    return t;
}

/* ---- What the parser asks ---- */

bool wdr_lex_is_sign(struct wdr_lex *lx, char sign)
{
    const struct wdr_token *t = wdr_lex_peek(lx);
    return t->kind == WDR_TOK_SIGN && t->sign == sign;
}

bool wdr_lex_is_word(struct wdr_lex *lx, const char *word)
{
    const struct wdr_token *t = wdr_lex_peek(lx);
    return t->kind == WDR_TOK_WORD && strcmp(t->text, word) == 0;
}

bool wdr_lex_take_sign(struct wdr_lex *lx, char sign)
{
    if (!wdr_lex_is_sign(lx, sign))
        return false;
    wdr_lex_take(lx);
    return true;
}

bool wdr_lex_take_word(struct wdr_lex *lx, const char *word)
{
    if (!wdr_lex_is_word(lx, word))
        return false;
    wdr_lex_take(lx);
    return true;
}

bool wdr_lex_want_sign(struct wdr_lex *lx, char sign, const char *where)
{
    return wdr_lex_take_sign(lx, sign) || wdr_lex_fail(lx, "'%c' is missing %s", sign, where);
}

bool wdr_lex_want_number(struct wdr_lex *lx, int64_t min, int64_t max, const char *what, int64_t *out)
{
    const struct wdr_token *t = wdr_lex_peek(lx);
    if (t->kind != WDR_TOK_NUMBER || t->has_point)
        return wdr_lex_fail(lx, "%s should be a whole number", what);
    if (t->number < min || t->number > max)
        return wdr_lex_fail(lx, "%s should be between %lld and %lld", what, (long long)min, (long long)max);
    *out = wdr_lex_take(lx).number;
    return true;
}

const char *wdr_lex_raw(struct wdr_lex *lx, const char *set)
{
    if (lx->has_ahead) { /* it may have been read otherwise: go back */
        if (lx->ahead.kind == WDR_TOK_END)
            return "";
        lx->pos = lx->ahead.begin;
        lx->has_ahead = false;
        lx->line = lx->ahead.line;
        lx->line_begin = lx->pos - (size_t)(lx->ahead.column - 1);
    }
    if (lx->has_failed || !skip_blank(lx))
        return "";
    size_t n = 0;
    while (lx->pos + n < lx->len && lx->src[lx->pos + n] && strchr(set, lx->src[lx->pos + n]))
        n++;
    size_t word_n = 0;
    while (is_word_char(at(lx, lx->pos + word_n)))
        word_n++;
    const char *value = word_n ? find_define(lx, wdr_arena_text(lx->arena, lx->src + lx->pos, word_n)) : NULL;
    const char *text = value ? value : wdr_arena_text(lx->arena, lx->src + lx->pos, n);
    lx->pos += value ? word_n : n;
    lx->last_end = lx->pos;
    return text;
}

bool wdr_lex_want_seconds(struct wdr_lex *lx, int64_t *out)
{
    struct wdr_token t = *wdr_lex_peek(lx);
    if (t.kind != WDR_TOK_NUMBER)
        return wdr_lex_fail(lx, "a time in seconds is missing");
    int64_t ns = 0;
    int digits = -1; /* after the point */
    for (const char *p = t.text; *p; p++) {
        if (*p == '.') {
            digits = 0;
        } else if (digits < NS_DIGITS) {
            if (!isdigit((unsigned char)*p) || ns > INT64_MAX / 100)
                return wdr_lex_fail(lx, "'%s' is no time in seconds", t.text);
            ns = ns * 10 + (*p - '0');
            digits += digits >= 0;
        }
    }
    for (int i = digits > 0 ? digits : 0; i < NS_DIGITS; i++) {
        if (ns > INT64_MAX / 100)
            return wdr_lex_fail(lx, "'%s' is too long a time", t.text);
        ns *= 10;
    }
    wdr_lex_take(lx);
    *out = ns;
    return true;
}
