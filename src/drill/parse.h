/*
 * Reading a script: recursive descent over lex.h, a file for each subject.
 */
#ifndef WDR_PARSE_H
#define WDR_PARSE_H

#include "drill/lex.h"

/*
 * Read a script. `defines` are the command line's -D; those of the script's own --define come to them.
 * NULL: `error` says what is wrong and where. wdr_script_free takes everything.
 */
struct wdr_script *wdr_parse(const char *path, const char *source, size_t len, const struct wdr_define *defines,
                             struct wdr_error *error);

/* The same from a file. */
struct wdr_script *wdr_parse_file(const char *path, const struct wdr_define *defines, struct wdr_error *error);

void wdr_script_free(struct wdr_script *); /* NULL is fine */

/* ---- Its parts, for one another. Each returns false or NULL once the lexer has failed. ---- */

struct wdr_packet *wdr_parse_packet(struct wdr_lex *);         /* from "<" or ">" on */
bool wdr_parse_options(struct wdr_lex *, struct wdr_packet *); /* from the "<" of TCP's options on */
struct wdr_call *wdr_parse_call(struct wdr_lex *, size_t *result_at);

#endif
