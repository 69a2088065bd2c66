/* Writing and reading short text in a core that has no stdio. */
#ifndef WI_BASE_TEXT_H
#define WI_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A buffer that is filled from the front, always NUL-terminated; what does not fit is cut, and `wanted` goes on
 * counting. */
struct wi_text {
    char *buf;
    size_t cap;
    size_t wanted; /* length without the NUL, had there been room */
};

struct wi_text wi_text_in(char *buf, size_t cap);
void wi_text_char(struct wi_text *, char);
void wi_text_str(struct wi_text *, const char *);
void wi_text_u64(struct wi_text *, uint64_t);
void wi_text_i64(struct wi_text *, int64_t);
void wi_text_hex(struct wi_text *, uint64_t); /* lower case, no leading zeroes */

/* 0-15, or -1. */
int wi_hex_digit(char);

bool wi_str_equal(const char *, const char *);
bool wi_str_has_prefix(const char *text, const char *prefix);

/*
 * Read a number from *s, decimal or 0x…, after blanks, and move *s behind it. False: there is none, or it leaves
 * int64_t; *s and *out are as before.
 */
bool wi_parse_i64(const char **s, int64_t *out);

/* Copy as much as fits, NUL-terminated. */
void wi_str_copy(char *to, size_t cap, const char *from);

#endif
