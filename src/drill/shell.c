/*
 * Words, quotes and redirections (shell.h).
 */
#include "drill/shell.h"

#include <ctype.h>
#include <string.h>

/* One word with its quotes taken away; stops at a blank or one of ";&|<>\n" outside of quotes. */
static const char *read_word(const char *p, char *out)
{
    size_t n = 0;
    char quote = '\0';
    for (; *p && (quote || (!isspace((unsigned char)*p) && !strchr(";&|<>", *p))); p++) {
        if (quote ? *p == quote : *p == '"' || *p == '\'')
            quote = quote ? '\0' : *p;
        else if (*p == '\\' && p[1] && !quote)
            out[n++] = *++p;
        else
            out[n++] = *p;
        if (n == WDR_WORD_CAP - 1)
            n--;
    }
    out[n] = '\0';
    return p;
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t' || (*p == '\\' && p[1] == '\n'))
        p += *p == '\\' ? 2 : 1;
    return p;
}

static const char *read_redirect(const char *p, struct wdr_words *w)
{
    char target[WDR_WORD_CAP];
    bool is_output = *p == '>';
    while (*p == '>' || *p == '<' || *p == '&')
        p++;
    p = read_word(skip_blanks(p), target);
    if (is_output && !isdigit((unsigned char)target[0])) /* not "2>&1" */
        memcpy(w->redirect, target, sizeof target);
    return p;
}

const char *wdr_shell_read(const char *p, struct wdr_words *w)
{
    w->n = 0;
    w->redirect[0] = '\0';
    w->has_pipe = false;
    for (p = skip_blanks(p); *p && !strchr(";\n|", *p) && !(*p == '&' && p[1] != '>'); p = skip_blanks(p)) {
        if (*p == '#') {
            while (*p && *p != '\n')
                p++;
        } else if (*p == '>' || *p == '<' || *p == '&') {
            p = read_redirect(p, w);
        } else if (isspace((unsigned char)*p) || (isdigit((unsigned char)*p) && (p[1] == '>' || p[1] == '<'))) {
            p++; /* a digit: the descriptor of "2>/dev/null" */
        } else {
            p = read_word(p, w->text[w->n]);
            w->n += w->n < WDR_WORDS_MAX - 1;
        }
    }
    w->has_pipe = *p == '|' && p[1] != '|';
    while (*p && strchr(";\n|&", *p))
        p++;
    return p;
}
