/*
 * System calls: "accept(3, ..., ...) = 4", "connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)",
 * "poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0) = 1".
 */
#include "drill/parse.h"

#include <string.h>

#define DEPTH_MAX 32

static struct wdr_expr *parse_expr(struct wdr_lex *lx, unsigned depth);

static struct wdr_expr *expr_new(struct wdr_lex *lx, enum wdr_expr_kind kind)
{
    struct wdr_expr *e = wdr_arena_take(lx->arena, sizeof *e);
    e->kind = kind;
    e->line = wdr_lex_peek(lx)->line;
    return e;
}

/* Expressions between commas up to `close`, which is taken; NULL and has_failed on an error. */
static struct wdr_expr *parse_list(struct wdr_lex *lx, char close, unsigned depth)
{
    struct wdr_expr *first = NULL, **tail = &first;
    if (wdr_lex_take_sign(lx, close))
        return NULL;
    do {
        *tail = parse_expr(lx, depth);
        if (!*tail)
            return NULL;
        tail = &(*tail)->next;
    } while (wdr_lex_take_sign(lx, ','));
    wdr_lex_want_sign(lx, close, "at the end of a list");
    return lx->has_failed ? NULL : first;
}

/* "name=value", "name(1)=value" (as strace writes a message's parts), or a value alone. */
static struct wdr_expr *parse_member(struct wdr_lex *lx, unsigned depth)
{
    struct wdr_expr *e = parse_expr(lx, depth);
    if (!e || !wdr_lex_take_sign(lx, '='))
        return e;
    if (e->kind != WDR_EXPR_WORD && e->kind != WDR_EXPR_CALL) {
        wdr_lex_fail(lx, "a member's name stands before '='");
        return NULL;
    }
    struct wdr_expr *value = parse_expr(lx, depth);
    if (value)
        value->field = e->text;
    return value;
}

static struct wdr_expr *parse_struct(struct wdr_lex *lx, unsigned depth)
{
    struct wdr_expr *e = expr_new(lx, WDR_EXPR_STRUCT), **tail = &e->first;
    wdr_lex_take(lx);
    if (wdr_lex_take_sign(lx, '}'))
        return e;
    do {
        *tail = parse_member(lx, depth);
        if (!*tail)
            return NULL;
        tail = &(*tail)->next;
    } while (wdr_lex_take_sign(lx, ','));
    return wdr_lex_want_sign(lx, '}', "at the end of a struct") ? e : NULL;
}

static struct wdr_expr *parse_word(struct wdr_lex *lx, unsigned depth)
{
    struct wdr_expr *e = expr_new(lx, WDR_EXPR_WORD);
    struct wdr_token t = wdr_lex_take(lx);
    e->text = t.text;
    e->text_len = t.len;
    if (wdr_lex_take_sign(lx, '(')) {
        e->kind = WDR_EXPR_CALL;
        e->first = parse_list(lx, ')', depth);
    }
    return lx->has_failed ? NULL : e;
}

static struct wdr_expr *parse_number(struct wdr_lex *lx)
{
    struct wdr_expr *e = expr_new(lx, WDR_EXPR_INT);
    bool is_negative = wdr_lex_take_sign(lx, '-');
    const struct wdr_token *t = wdr_lex_peek(lx);
    if (t->kind != WDR_TOK_NUMBER || t->has_point) {
        wdr_lex_fail(lx, "a whole number should be here");
        return NULL;
    }
    int64_t v = wdr_lex_take(lx).number;
    e->number = is_negative ? (int64_t)(0 - (uint64_t)v) : v;
    return e;
}

static struct wdr_expr *parse_nested(struct wdr_lex *lx, unsigned depth)
{
    struct wdr_expr *e;
    if (wdr_lex_is_sign(lx, '{'))
        return parse_struct(lx, depth);
    if (wdr_lex_take_sign(lx, '(')) {
        e = parse_expr(lx, depth);
        return e && wdr_lex_want_sign(lx, ')', "after an expression") ? e : NULL;
    }
    e = expr_new(lx, wdr_lex_is_sign(lx, '[') ? WDR_EXPR_LIST : WDR_EXPR_INVERT);
    wdr_lex_take(lx);
    e->first = e->kind == WDR_EXPR_LIST ? parse_list(lx, ']', depth) : parse_expr(lx, depth);
    return lx->has_failed ? NULL : e;
}

static struct wdr_expr *parse_primary(struct wdr_lex *lx, unsigned depth)
{
    const struct wdr_token *t = wdr_lex_peek(lx);
    switch (t->kind) {
    case WDR_TOK_ELLIPSIS: {
        struct wdr_expr *e = expr_new(lx, WDR_EXPR_ELLIPSIS);
        wdr_lex_take(lx);
        return e;
    }
    case WDR_TOK_STRING: {
        struct wdr_expr *e = expr_new(lx, WDR_EXPR_STRING);
        struct wdr_token s = wdr_lex_take(lx);
        e->text = s.text;
        e->text_len = s.len;
        return e;
    }
    case WDR_TOK_NUMBER: return parse_number(lx);
    case WDR_TOK_WORD: return parse_word(lx, depth);
    case WDR_TOK_SIGN:
        if (t->sign == '-')
            return parse_number(lx);
        if (t->sign && strchr("{([~", t->sign))
            return parse_nested(lx, depth);
        break;
    case WDR_TOK_END:
    case WDR_TOK_COMMAND:
    case WDR_TOK_CODE: break;
    }
    wdr_lex_fail(lx, "an argument should be here");
    return NULL;
}

static struct wdr_expr *parse_expr(struct wdr_lex *lx, unsigned depth)
{
    if (depth == DEPTH_MAX) {
        wdr_lex_fail(lx, "nested too deeply");
        return NULL;
    }
    struct wdr_expr *e = parse_primary(lx, depth + 1);
    while (e && wdr_lex_is_sign(lx, '|')) {
        struct wdr_expr *both = expr_new(lx, WDR_EXPR_OR);
        wdr_lex_take(lx);
        both->first = e;
        e->next = parse_primary(lx, depth + 1);
        if (!e->next)
            return NULL;
        e = both;
    }
    return e;
}

/* A remark in parentheses, such as strerror's words: anything up to the next ')'. */
static bool skip_remark(struct wdr_lex *lx)
{
    if (!wdr_lex_is_sign(lx, '('))
        return !lx->has_failed;
    size_t p = lx->ahead.end;
    while (p < lx->len && lx->src[p] != ')' && lx->src[p] != '\n')
        p++;
    if (p >= lx->len || lx->src[p] != ')')
        return wdr_lex_fail(lx, "this remark has no end");
    lx->pos = p + 1;
    lx->has_ahead = false;
    lx->last_end = lx->pos;
    return true;
}

static bool parse_result(struct wdr_lex *lx, struct wdr_call *c)
{
    if (wdr_lex_is_sign(lx, '?') || wdr_lex_peek(lx)->kind == WDR_TOK_ELLIPSIS) {
        c->result = expr_new(lx, WDR_EXPR_ELLIPSIS);
        wdr_lex_take(lx);
    } else {
        c->result = parse_number(lx);
    }
    if (!c->result)
        return false;
    const struct wdr_token *t = wdr_lex_peek(lx);
    if (t->kind == WDR_TOK_WORD && t->text[0] == 'E' && c->result->number == -1)
        c->errno_name = wdr_lex_take(lx).text;
    return skip_remark(lx);
}

struct wdr_call *wdr_parse_call(struct wdr_lex *lx, size_t *result_at)
{
    struct wdr_call *c = wdr_arena_take(lx->arena, sizeof *c);
    c->name = wdr_lex_take(lx).text;
    if (!wdr_lex_want_sign(lx, '(', "after a system call's name"))
        return NULL;
    c->args = parse_list(lx, ')', 0);
    for (const struct wdr_expr *e = c->args; e; e = e->next)
        c->arg_n++;
    *result_at = 0;
    if (!lx->has_failed && wdr_lex_take_sign(lx, '=')) {
        *result_at = wdr_lex_peek(lx)->begin;
        parse_result(lx, c);
    }
    return lx->has_failed ? NULL : c;
}
