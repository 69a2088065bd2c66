/*
 * A script's top: its options, and its events with their times.
 */
#include "drill/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_CAP (4u << 20)

static const char visible[] =
    "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz"
    "{|}~";

/* ---- Options ---- */

/* "NAME=VALUE" of a --define. */
static bool add_define(struct wdr_lex *lx, const char *text, int line)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return wdr_lex_fail_at(lx, line, 1, "--define wants NAME=VALUE");
    struct wdr_define *d = wdr_arena_take(lx->arena, sizeof *d);
    d->name = wdr_arena_text(lx->arena, text, (size_t)(eq - text));
    d->value = eq + 1;
    d->next = lx->defines;
    lx->defines = d;
    return true;
}

static bool parse_setting(struct wdr_lex *lx, struct wdr_setting ***tail)
{
    int line = wdr_lex_peek(lx)->line;
    const char *word = wdr_lex_raw(lx, visible);
    const char *eq = strchr(word, '=');
    struct wdr_setting *s = wdr_arena_take(lx->arena, sizeof *s);

    if (strlen(word) < 3)
        return wdr_lex_fail_at(lx, line, 1, "an option is --name=value");
    s->name = eq ? wdr_arena_text(lx->arena, word + 2, (size_t)(eq - word) - 2) : word + 2;
    s->value = eq ? eq + 1 : "";
    s->line = line;
    **tail = s;
    *tail = &s->next;
    return strcmp(s->name, "define") != 0 || add_define(lx, s->value, line);
}

static bool parse_settings(struct wdr_lex *lx, struct wdr_script *s)
{
    struct wdr_setting **tail = &s->settings;
    while (wdr_lex_is_sign(lx, '-') && lx->ahead.begin + 1 < lx->len && lx->src[lx->ahead.begin + 1] == '-') {
        if (!parse_setting(lx, &tail))
            return false;
    }
    return !lx->has_failed;
}

/* ---- Times ---- */

/* The second time of a range or a blocking call: it may say "+" again. */
static bool parse_until(struct wdr_lex *lx, struct wdr_time *t)
{
    int line = wdr_lex_peek(lx)->line, column = wdr_lex_peek(lx)->column;
    bool is_relative = wdr_lex_take_sign(lx, '+');
    if (!wdr_lex_want_seconds(lx, &t->until))
        return false;
    if (is_relative && t->kind == WDR_TIME_ABSOLUTE) /* "1~+.2": from the beginning on */
        t->until += t->at;
    if (t->until < t->at)
        return wdr_lex_fail_at(lx, line, column, "the end comes before the beginning");
    return true;
}

static bool parse_time(struct wdr_lex *lx, struct wdr_time *t)
{
    *t = (struct wdr_time){.kind = WDR_TIME_NONE};
    if (wdr_lex_take_sign(lx, '*')) {
        t->kind = WDR_TIME_ANY;
        return true;
    }
    if (wdr_lex_take_sign(lx, '+'))
        t->kind = WDR_TIME_RELATIVE;
    else if (wdr_lex_peek(lx)->kind == WDR_TOK_NUMBER)
        t->kind = WDR_TIME_ABSOLUTE;
    else
        return !lx->has_failed;
    if (!wdr_lex_want_seconds(lx, &t->at))
        return false;
    t->until = t->at;
    if (wdr_lex_take_sign(lx, '~')) {
        t->is_range = true;
        return parse_until(lx, t);
    }
    if (wdr_lex_peek(lx)->kind == WDR_TOK_ELLIPSIS) {
        wdr_lex_take(lx);
        t->has_end = true;
        return parse_until(lx, t);
    }
    return !lx->has_failed;
}

/* ---- Events ---- */

static bool parse_body(struct wdr_lex *lx, struct wdr_event *e)
{
    const struct wdr_token *t = wdr_lex_peek(lx);
    e->body = t->begin;
    if (t->kind == WDR_TOK_COMMAND || t->kind == WDR_TOK_CODE) {
        e->type = t->kind == WDR_TOK_COMMAND ? WDR_EVENT_COMMAND : WDR_EVENT_CODE;
        e->text = wdr_lex_take(lx).text;
        return true;
    }
    if (wdr_lex_is_sign(lx, '<') || wdr_lex_is_sign(lx, '>')) {
        e->type = WDR_EVENT_PACKET;
        e->packet = wdr_parse_packet(lx);
        return e->packet != NULL;
    }
    if (t->kind == WDR_TOK_WORD) {
        e->type = WDR_EVENT_CALL;
        e->call = wdr_parse_call(lx, &e->result_at);
        return e->call != NULL;
    }
    return wdr_lex_fail(lx, "here should be a packet ('<' or '>'), a system call, a `command` or %%{ assertions }%%");
}

/* Times that their event can't have. */
static bool check_time(struct wdr_lex *lx, const struct wdr_event *e)
{
    if (e->time.has_end && e->type != WDR_EVENT_CALL)
        return wdr_lex_fail_at(lx, e->line, 1, "only a system call can take a while ('a...b')");
    bool is_sent = e->type == WDR_EVENT_PACKET && e->packet->dir == WDR_OUT;
    if (!is_sent && (e->time.is_range || e->time.kind == WDR_TIME_ANY))
        return wdr_lex_fail_at(lx, e->line, 1,
                               "only a packet that the stack sends can have a range or '*' as its time");
    if (e->time.kind == WDR_TIME_NONE && (e->type == WDR_EVENT_PACKET || e->type == WDR_EVENT_CALL))
        return wdr_lex_fail_at(lx, e->line, 1, "the time is missing: 0.5, +.1 or *");
    return true;
}

static bool parse_events(struct wdr_lex *lx, struct wdr_script *s)
{
    struct wdr_event **tail = &s->events;
    while (wdr_lex_peek(lx)->kind != WDR_TOK_END) {
        struct wdr_event *e = wdr_arena_take(lx->arena, sizeof *e);
        e->line = lx->ahead.line;
        e->begin = lx->ahead.begin;
        if (!parse_time(lx, &e->time) || !parse_body(lx, e) || !check_time(lx, e))
            return false;
        e->end = lx->last_end;
        *tail = e;
        tail = &e->next;
    }
    return !lx->has_failed;
}

struct wdr_script *wdr_parse(const char *path, const char *source, size_t len, const struct wdr_define *defines,
                             struct wdr_error *error)
{
    struct wdr_arena *arena = wdr_arena_new();
    struct wdr_lex lx;
    *error = (struct wdr_error){.text = "out of memory"};
    if (!arena)
        return NULL;
    struct wdr_script *s = wdr_arena_take(arena, sizeof *s);
    *s = (struct wdr_script){
        .path = wdr_arena_text(arena, path, strlen(path)),
        .source = wdr_arena_text(arena, source, len),
        .source_len = len,
        .arena = arena,
    };
    wdr_lex_init(&lx, s->source, len, arena, defines, error);
    if (parse_settings(&lx, s) && parse_events(&lx, s))
        return s;
    wdr_arena_free(arena);
    return NULL;
}

struct wdr_script *wdr_parse_file(const char *path, const struct wdr_define *defines, struct wdr_error *error)
{
    *error = (struct wdr_error){0};
    FILE *f = fopen(path, "rb");
    char *text = f ? malloc(FILE_CAP) : NULL;
    size_t n = text ? fread(text, 1, FILE_CAP, f) : 0;
    struct wdr_script *s = NULL;

    if (!text || ferror(f))
        snprintf(error->text, sizeof error->text, "%s", strerror(errno));
    else if (n == FILE_CAP)
        snprintf(error->text, sizeof error->text, "a script of %u MiB or more", FILE_CAP >> 20);
    else
        s = wdr_parse(path, text, n, defines, error);
    free(text);
    if (f)
        fclose(f);
    return s;
}

void wdr_script_free(struct wdr_script *s)
{
    if (s)
        wdr_arena_free(s->arena);
}
