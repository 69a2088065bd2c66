/* The terminal: xterm's sequences, which every terminal of today has. */
#include "ss/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l\033[?7l" /* the other screen, no cursor, no wrapping */
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

static struct termios before; /* of the terminal; valid while is_taken */
static bool is_taken;

static void say(const char *text)
{
    size_t len = strlen(text);
    while (len) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

static void take(void)
{
    struct termios raw;
    if (is_taken || tcgetattr(STDIN_FILENO, &before) < 0)
        return;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    is_taken = true;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    say(ENTER);
}

static void give_back(void)
{
    if (!is_taken)
        return;
    is_taken = false;
    say(LEAVE);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void measure(struct wss_screen *s)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    s->columns = size.ws_col ? size.ws_col : 80;
    s->lines = size.ws_row ? size.ws_row : 24;
}

int wss_screen_open(struct wss_screen *s)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
        sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return -errno;
    atexit(give_back);
    measure(s);
    take();
    return is_taken ? 0 : -ENOTTY;
}

void wss_screen_close(struct wss_screen *s)
{
    give_back();
    close(s->signal_fd);
}

/* Stop as if we had not caught it. */
static void stop(void)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGTSTP);
    give_back();
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
    take();
}

static struct wss_input on_signal(struct wss_screen *s)
{
    struct signalfd_siginfo info;
    if (read(s->signal_fd, &info, sizeof info) != sizeof info)
        return (struct wss_input){WSS_NOTHING, 0};
    switch ((int)info.ssi_signo) {
    case SIGTSTP:
        stop();
        measure(s);
        return (struct wss_input){WSS_RESIZED, 0};
    case SIGCONT:
    case SIGWINCH:
        take();
        measure(s);
        return (struct wss_input){WSS_RESIZED, 0};
    default: return (struct wss_input){WSS_ENDED, (int)info.ssi_signo};
    }
}

/* What follows an escape, of the few keys that we know. */
static int special_key(const char *text)
{
    static const struct {
        const char *text;
        int key;
    } keys[] = {{"[A", WSS_KEY_UP},       {"OA", WSS_KEY_UP},         {"[B", WSS_KEY_DOWN}, {"OB", WSS_KEY_DOWN},
                {"[5~", WSS_KEY_PAGE_UP}, {"[6~", WSS_KEY_PAGE_DOWN}, {"[H", WSS_KEY_HOME}, {"OH", WSS_KEY_HOME},
                {"[F", WSS_KEY_END},      {"OF", WSS_KEY_END}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(text, keys[i].text) == 0)
            return keys[i].key;
    }
    return *text ? 0 : '\033';
}

static struct wss_input on_key(void)
{
    char c, rest[8] = "";
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) /* the terminal has gone */
        return (struct wss_input){WSS_ENDED, SIGHUP};
    if (n < 0)
        return (struct wss_input){WSS_NOTHING, 0};
    if (c != '\033')
        return (struct wss_input){WSS_KEY, (unsigned char)c};
    n = read(STDIN_FILENO, rest, sizeof rest - 1);
    rest[n > 0 ? n : 0] = '\0';
    return (struct wss_input){WSS_KEY, special_key(rest)};
}

struct wss_input wss_screen_wait(struct wss_screen *s, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) <= 0)
        return (struct wss_input){WSS_NOTHING, 0};
    if (fds[0].revents)
        return on_signal(s);
    return on_key();
}

/* One line of what is shown, cut; the rest of the screen's line is cleared. */
static const char *put_line(FILE *out, const char *text, unsigned columns, const char *style)
{
    size_t len = strcspn(text, "\n"), shown = len < columns ? len : columns;
    fprintf(out, "%s%.*s\033[K%s", style, (int)shown, text, *style ? "\033[m" : "");
    return text[len] ? text + len + 1 : text + len;
}

void wss_screen_draw(struct wss_screen *s, const char *text, unsigned bold_n, int inverse)
{
    char *bytes = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&bytes, &len);
    if (!out)
        return;
    fputs("\033[H", out);
    for (unsigned i = 0; i < s->lines && *text; i++) {
        fputs(i ? "\n" : "", out);
        text = put_line(out, text, s->columns, (int)i == inverse ? "\033[7m" : i < bold_n ? "\033[1m" : "");
    }
    fputs("\033[J", out);
    if (fclose(out) == 0)
        say(bytes);
    free(bytes);
}
