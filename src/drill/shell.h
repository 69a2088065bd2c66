/*
 * The part of a shell's grammar that the commands of scripts need.
 */
#ifndef WDR_SHELL_H
#define WDR_SHELL_H

#include <stdbool.h>

#define WDR_WORDS_MAX 64
#define WDR_WORD_CAP  256

struct wdr_words {
    char text[WDR_WORDS_MAX][WDR_WORD_CAP];
    unsigned n;
    char redirect[WDR_WORD_CAP]; /* "> FILE" */
    bool has_pipe;               /* its output goes to the next */
};

/* One simple command, up to ";", "&&", "|" or the line's end. Returns where the next begins. */
const char *wdr_shell_read(const char *, struct wdr_words *);

#endif
