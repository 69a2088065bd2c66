/*
 * A terminal that is taken over for as long as something is shown: its modes are given back however we end.
 */
#ifndef WSS_SCREEN_H
#define WSS_SCREEN_H

#include <stdbool.h>

struct wss_screen {
    int signal_fd;
    unsigned columns, lines;
};

/* What somebody or something did. */
enum wss_input_kind { WSS_NOTHING, WSS_KEY, WSS_RESIZED, WSS_ENDED };
struct wss_input {
    enum wss_input_kind kind;
    int key; /* a byte, or one of these */
};
enum { WSS_KEY_UP = 256, WSS_KEY_DOWN, WSS_KEY_PAGE_UP, WSS_KEY_PAGE_DOWN, WSS_KEY_HOME, WSS_KEY_END };

/* Take the terminal over: its other screen, keys as they come, no echo. 0 or -errno. */
int wss_screen_open(struct wss_screen *);

/* Give it back. */
void wss_screen_close(struct wss_screen *);

/* Wait for a key, for so many milliseconds. Signals that end us end here: ENDED, and `key` is which; SIGTSTP gives the
 * terminal back while we are stopped. */
struct wss_input wss_screen_wait(struct wss_screen *, int timeout_ms);

/* Draw `text`, lines of plain text cut to the screen; the first `bold_n` and line `inverse` (-1: none) stand out. */
void wss_screen_draw(struct wss_screen *, const char *text, unsigned bold_n, int inverse);

#endif
