/*
 * Reading steps (step.h): words separated by blanks.
 */
#include "lab/step.h"

#include "io/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX   9
#define MESSAGE_MAX 65536u

static const struct {
    const char *name, *form;
} kinds[WLB_STEP_N] = {
    [WLB_LISTEN] = {"listen", "listen PORT [backlog N]"},
    [WLB_PORT] = {"port", "port N"},
    [WLB_ACCEPT] = {"accept", "accept [each]"},
    [WLB_ACCEPT_EACH] = {"accept", "accept [each]"},
    [WLB_CONNECT] = {"connect", "connect HOST PORT"},
    [WLB_DIAL] = {"dial", "dial HOST PORT"},
    [WLB_WRITE] = {"write", "write BYTES [by BYTES], or write 'text'"},
    [WLB_READ] = {"read", "read BYTES, read some, read all, or read to end"},
    [WLB_READ_END] = {"read", "read to end"},
    [WLB_READ_ALL] = {"read", "read all"},
    [WLB_SHUTDOWN] = {"shutdown", "shutdown"},
    [WLB_CLOSE] = {"close", "close"},
    [WLB_ABORT] = {"abort", "abort"},
    [WLB_SET] = {"set", "set OPTION VALUE"},
    [WLB_SLEEP] = {"sleep", "sleep TIME"},
    [WLB_REPEAT] = {"repeat", "repeat N, or repeat forever"},
    [WLB_END] = {"end", "end"},
    [WLB_BIND] = {"udp", "udp [PORT]"},
    [WLB_SEND_TO] = {"send", "send BYTES to HOST|all|ADDRESS PORT, or send message BYTES|'text' by FRAMING"},
    [WLB_RECEIVE] = {"receive", "receive, or receive message by fixed N|line [escaped]|length N [little] [max N]"},
    [WLB_JOIN] = {"join", "join GROUP"},
    [WLB_SEND_MESSAGE] = {"send", "send message BYTES|'text' by fixed N|line [escaped]|length N [little] [max N]"},
    [WLB_RECEIVE_MESSAGE] = {"receive", "receive message by fixed N|line [escaped]|length N [little] [max N]"},
    [WLB_SERVE] = {"serve", "serve N by select|poll|epoll"},
    [WLB_ECHO] = {"echo", "echo"},
    [WLB_HTTP_SERVE] = {"http", "http serve BYTES, or http get PATH"},
    [WLB_HTTP_GET] = {"http", "http serve BYTES, or http get PATH"},
    [WLB_WATCH] = {"watch", "watch level|edge"},
    [WLB_AWAIT] = {"wait", "wait TIME"},
};

const char *wlb_step_name(enum wlb_step_kind kind)
{
    return kinds[kind].name;
}

/* Words of a line; a text in quotes is one word, quotes kept. */
struct words {
    char *w[WORDS_MAX];
    unsigned n;
    char buf[256];
};

static bool split(struct words *ws, const char *text)
{
    snprintf(ws->buf, sizeof ws->buf, "%s", text);
    ws->n = 0;
    for (char *p = ws->buf + strspn(ws->buf, " "); *p; p += strspn(p, " ")) {
        if (ws->n == WORDS_MAX)
            return false;
        ws->w[ws->n++] = p;
        char *close = *p == '\'' ? strchr(p + 1, '\'') : NULL;
        p = close ? close + 1 : p + strcspn(p, " ");
        if (*p)
            *p++ = '\0';
    }
    return ws->n > 0;
}

static bool is_word(const struct words *ws, unsigned i, const char *word)
{
    return i < ws->n && strcmp(ws->w[i], word) == 0;
}

static bool number(const struct words *ws, unsigned i, enum wio_unit unit, uint64_t *v)
{
    return i < ws->n && wio_unit_parse(unit, ws->w[i], strlen(ws->w[i]), v);
}

static bool port(const struct words *ws, unsigned i, uint16_t *v)
{
    uint64_t n;
    if (!number(ws, i, WIO_UNIT_COUNT, &n) || n == 0 || n > UINT16_MAX)
        return false;
    *v = (uint16_t)n;
    return true;
}

static bool host(const struct words *ws, unsigned i, struct wlb_step *s)
{
    return i < ws->n && snprintf(s->host, sizeof s->host, "%s", ws->w[i]) < (int)sizeof s->host;
}

/* 'hello' */
static bool read_text(struct wlb_step *s, const char *word)
{
    size_t len = strlen(word);
    snprintf(s->text, sizeof s->text, "%.*s", len > 2 ? (int)len - 2 : 0, word + 1);
    s->n = strlen(s->text);
    return len > 2 && len - 2 < sizeof s->text;
}

static bool read_write(struct wlb_step *s, const struct words *ws)
{
    if (ws->n == 2 && ws->w[1][0] == '\'')
        return read_text(s, ws->w[1]);
    if (!number(ws, 1, WIO_UNIT_SIZE, &s->n))
        return false;
    return ws->n == 2 || (ws->n == 4 && is_word(ws, 2, "by") && number(ws, 3, WIO_UNIT_SIZE, &s->by));
}

static bool read_read(struct wlb_step *s, const struct words *ws)
{
    if (ws->n == 3 && is_word(ws, 1, "to") && is_word(ws, 2, "end")) {
        s->kind = WLB_READ_END;
        return true;
    }
    if (ws->n == 2 && is_word(ws, 1, "all")) {
        s->kind = WLB_READ_ALL;
        return true;
    }
    s->n = UINT64_MAX;
    return ws->n == 2 && (is_word(ws, 1, "some") || number(ws, 1, WIO_UNIT_SIZE, &s->n));
}

static bool read_listen(struct wlb_step *s, const struct words *ws)
{
    s->n = 4096;
    return port(ws, 1, &s->port) &&
           (ws->n == 2 || (ws->n == 4 && is_word(ws, 2, "backlog") && number(ws, 3, WIO_UNIT_COUNT, &s->n)));
}

/* "fixed 16", "line escaped", "length 4 little max 100": the words from the i-th on. */
static bool read_framing(struct wlb_step *s, const struct words *ws, unsigned i)
{
    uint64_t n, max = MESSAGE_MAX;
    unsigned count = ws->n;
    if (count >= 2 && is_word(ws, count - 2, "max")) {
        if (!number(ws, count - 1, WIO_UNIT_SIZE, &max))
            return false;
        count -= 2;
    }
    if (is_word(ws, i, "fixed") && count == i + 2 && number(ws, i + 1, WIO_UNIT_SIZE, &n)) {
        s->framing = weir_frame_fixed((size_t)n);
    } else if (is_word(ws, i, "line") && (count == i + 1 || (count == i + 2 && is_word(ws, i + 1, "escaped")))) {
        s->framing = weir_frame_lines((size_t)max);
        s->framing.escape = count == i + 2 ? '\\' : WEIR_FRAME_NO_ESCAPE;
    } else if (is_word(ws, i, "length") && number(ws, i + 1, WIO_UNIT_COUNT, &n) && n <= WEIR_FRAME_HEADER_MAX) {
        s->framing = weir_frame_lengths((uint8_t)n, (size_t)max);
        s->framing.is_little_endian = is_word(ws, i + 2, "little");
        if (count != i + (s->framing.is_little_endian ? 3u : 2u))
            return false;
    } else {
        return false;
    }
    return s->framing.max_bytes <= MESSAGE_MAX && weir_frame_buffer_bytes(&s->framing) > 0;
}

static bool read_send(struct wlb_step *s, const struct words *ws)
{
    if (!is_word(ws, 1, "message"))
        return ws->n == 5 && number(ws, 1, WIO_UNIT_SIZE, &s->n) && is_word(ws, 2, "to") && host(ws, 3, s) &&
               port(ws, 4, &s->port);
    s->kind = WLB_SEND_MESSAGE;
    bool has_body = ws->n > 2 && (ws->w[2][0] == '\'' ? read_text(s, ws->w[2]) : number(ws, 2, WIO_UNIT_SIZE, &s->n));
    return has_body && s->n <= MESSAGE_MAX && is_word(ws, 3, "by") && read_framing(s, ws, 4);
}

static bool read_receive(struct wlb_step *s, const struct words *ws)
{
    if (ws->n == 1)
        return true;
    s->kind = WLB_RECEIVE_MESSAGE;
    return is_word(ws, 1, "message") && is_word(ws, 2, "by") && read_framing(s, ws, 3);
}

/* One of some words, which the step keeps. */
static bool read_choice(struct wlb_step *s, const struct words *ws, unsigned i, const char *const choices[], unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        if (is_word(ws, i, choices[k])) {
            snprintf(s->text, sizeof s->text, "%s", choices[k]);
            return ws->n == i + 1;
        }
    }
    return false;
}

static bool read_set(struct wlb_step *s, const struct words *ws)
{
    if (ws->n != 3 || snprintf(s->text, sizeof s->text, "%s", ws->w[1]) >= (int)sizeof s->text)
        return false;
    return number(ws, 2, WIO_UNIT_SIZE, &s->n) || host(ws, 2, s);
}

static bool read_http(struct wlb_step *s, const struct words *ws)
{
    s->kind = is_word(ws, 1, "get") ? WLB_HTTP_GET : WLB_HTTP_SERVE;
    if (ws->n != 3)
        return false;
    if (s->kind == WLB_HTTP_GET)
        return snprintf(s->text, sizeof s->text, "%s", ws->w[2]) < (int)sizeof s->text && s->text[0] == '/';
    return is_word(ws, 1, "serve") && number(ws, 2, WIO_UNIT_SIZE, &s->n);
}

static bool read_words(struct wlb_step *s, const struct words *ws)
{
    switch (s->kind) {
    case WLB_LISTEN: return read_listen(s, ws);
    case WLB_ACCEPT:
    case WLB_ACCEPT_EACH:
        s->kind = is_word(ws, 1, "each") ? WLB_ACCEPT_EACH : WLB_ACCEPT;
        return ws->n == 1 || (ws->n == 2 && s->kind == WLB_ACCEPT_EACH);
    case WLB_PORT: return ws->n == 2 && port(ws, 1, &s->port);
    case WLB_CONNECT:
    case WLB_DIAL: return ws->n == 3 && host(ws, 1, s) && port(ws, 2, &s->port);
    case WLB_WRITE: return read_write(s, ws);
    case WLB_READ:
    case WLB_READ_END:
    case WLB_READ_ALL: return read_read(s, ws);
    case WLB_SET: return read_set(s, ws);
    case WLB_SLEEP: return ws->n == 2 && number(ws, 1, WIO_UNIT_TIME, &s->n);
    case WLB_REPEAT:
        s->n = UINT64_MAX;
        return ws->n == 2 && (is_word(ws, 1, "forever") || number(ws, 1, WIO_UNIT_COUNT, &s->n));
    case WLB_BIND: return ws->n == 1 || (ws->n == 2 && port(ws, 1, &s->port));
    case WLB_SEND_TO:
    case WLB_SEND_MESSAGE: return read_send(s, ws);
    case WLB_RECEIVE:
    case WLB_RECEIVE_MESSAGE: return read_receive(s, ws);
    case WLB_JOIN: return ws->n == 2 && host(ws, 1, s);
    case WLB_SERVE:
        return number(ws, 1, WIO_UNIT_COUNT, &s->n) && s->n > 0 && s->n <= 1000000 && is_word(ws, 2, "by") &&
               read_choice(s, ws, 3, (const char *const[]){"select", "poll", "epoll"}, 3);
    case WLB_HTTP_SERVE:
    case WLB_HTTP_GET: return read_http(s, ws);
    case WLB_WATCH: return read_choice(s, ws, 1, (const char *const[]){"level", "edge"}, 2);
    case WLB_AWAIT: return ws->n == 2 && number(ws, 1, WIO_UNIT_TIME, &s->n);
    case WLB_SHUTDOWN:
    case WLB_CLOSE:
    case WLB_ABORT:
    case WLB_ECHO:
    case WLB_END: return ws->n == 1;
    case WLB_STEP_N: break;
    }
    return false;
}

bool wlb_step_parse(struct wlb_step *s, const char *text, char *err, size_t err_cap)
{
    struct words ws;
    const char *names[WLB_STEP_N];
    *s = (struct wlb_step){.kind = WLB_STEP_N};
    if (!split(&ws, text)) {
        snprintf(err, err_cap, "'%s' is no step: empty, or too many words", text);
        return false;
    }
    for (unsigned k = WLB_STEP_N; k-- > 0;) {
        names[k] = kinds[k].name;
        if (strcmp(kinds[k].name, ws.w[0]) == 0)
            s->kind = (enum wlb_step_kind)k;
    }
    if (s->kind == WLB_STEP_N) {
        const char *near = wio_nearest(names, WLB_STEP_N, ws.w[0], strlen(ws.w[0]));
        snprintf(err, err_cap, "'%s' is no step%s%s%s", ws.w[0], near ? ": did you mean '" : "", near ? near : "",
                 near ? "'?" : "");
        return false;
    }
    if (read_words(s, &ws))
        return true;
    snprintf(err, err_cap, "'%s': the form is \"%s\"", text, kinds[s->kind].form);
    return false;
}

bool wlb_steps_join(struct wlb_step *steps, unsigned n, char *err, size_t err_cap)
{
    for (unsigned i = 0; i < n; i++) {
        if (steps[i].kind != WLB_END)
            continue;
        unsigned k = i;
        while (k > 0 && (steps[k - 1].kind != WLB_REPEAT || steps[k - 1].other))
            k--;
        if (k == 0) {
            snprintf(err, err_cap, "step %u: an end without its repeat", i + 1);
            return false;
        }
        steps[k - 1].other = i;
        steps[i].other = k - 1;
    }
    for (unsigned i = 0; i < n; i++) {
        if (steps[i].kind == WLB_REPEAT && !steps[i].other) {
            snprintf(err, err_cap, "step %u: a repeat without its end", i + 1);
            return false;
        }
    }
    return true;
}
