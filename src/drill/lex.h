/*
 * Words of a script. What a word may look like depends on where it stands (flags, times, hexadecimal cookies), so the
 * parser asks for what it wants, one word at a time.
 */
#ifndef WDR_LEX_H
#define WDR_LEX_H

#include "drill/arena.h"
#include "drill/ast.h"

enum wdr_token_kind {
    WDR_TOK_END,
    WDR_TOK_WORD,
    WDR_TOK_NUMBER,
    WDR_TOK_STRING,
    WDR_TOK_COMMAND, /* `…` */
    WDR_TOK_CODE,    /* %{ … }% */
    WDR_TOK_ELLIPSIS,
    WDR_TOK_SIGN, /* one character of punctuation, in `sign` */
};

struct wdr_token {
    enum wdr_token_kind kind;
    char sign;
    const char *text; /* WORD, STRING (unescaped), COMMAND, CODE: in the arena; NUMBER: as written */
    size_t len;
    int64_t number; /* NUMBER without a point */
    bool has_point; /* NUMBER */
    int line, column;
    size_t begin, end; /* in the source */
};

struct wdr_lex {
    const char *src;
    size_t len, pos;
    int line;
    size_t line_begin;
    struct wdr_token ahead;
    bool has_ahead;
    size_t last_end; /* where the last word that was taken ends */
    struct wdr_arena *arena;
    const struct wdr_define *defines; /* -D NAME=VALUE: such a word is read as its value */
    struct wdr_error *error;          /* the first thing that is wrong */
    bool has_failed;
};

void wdr_lex_init(struct wdr_lex *, const char *src, size_t len, struct wdr_arena *, const struct wdr_define *,
                  struct wdr_error *);

/* The next word, left where it is, or taken. After a failure all is END. */
const struct wdr_token *wdr_lex_peek(struct wdr_lex *);
struct wdr_token wdr_lex_take(struct wdr_lex *);

bool wdr_lex_is_sign(struct wdr_lex *, char sign);
bool wdr_lex_is_word(struct wdr_lex *, const char *word);
bool wdr_lex_take_sign(struct wdr_lex *, char sign);        /* false, and nothing taken, when it isn't there */
bool wdr_lex_take_word(struct wdr_lex *, const char *word); /* likewise */
bool wdr_lex_want_sign(struct wdr_lex *, char sign, const char *where); /* false: it failed */
bool wdr_lex_want_number(struct wdr_lex *, int64_t min, int64_t max, const char *what, int64_t *out);

/* A run of bytes that are in `set`, from the next one that is no blank; a define's name gives its value. Copied into
 * the arena; "" when there is none. */
const char *wdr_lex_raw(struct wdr_lex *, const char *set);

/* A point in time or a duration in seconds, as nanoseconds. */
bool wdr_lex_want_seconds(struct wdr_lex *, int64_t *out);

/* Note what is wrong, at the next word. Always false. */
bool wdr_lex_fail(struct wdr_lex *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool wdr_lex_fail_at(struct wdr_lex *, int line, int column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
