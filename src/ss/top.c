/*
 * weir top: looks at the runs again and again, and keeps the busiest connections on the screen.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ss/command.h"
#include "ss/filter.h"
#include "ss/print.h"
#include "ss/sample.h"
#include "ss/screen.h"
#include "ss/usage.h"

#define FILTER_CAP 1024
#define WAIT_S     1 /* for a run that does not answer: keys are to be heard meanwhile */
#define HEAD_LINES 3
#define WIDE       130 /* columns: all of it */

static const char help[] =
    "usage: weir top [OPTION]... [PID|PATH]... [FILTER]\n"
    "\n"
    "Keep the connections of programs under weir run on the screen, the busiest first: how fast they go, their round\n"
    "trips and windows, what was sent again, and what limits each now.\n"
    "\n"
    "  -d, --delay SECONDS  between two looks (1)\n"
    "  -s, --sort KEY       rate (out and in together), out, in, rtt, cwnd, again\n"
    "  -b, --batch          print instead of drawing; so without a terminal\n"
    "  -n, --number N       end after N looks; in batch mode 1, unless said\n"
    "  -a, --all            also what is closed or half-open\n"
    "  -h, --help           this\n"
    "\n"
    "Keys: r o i t c x sort by rate, out, in, round trip, cwnd, sent again; R the other way round; space pauses;\n"
    "/ takes a filter, as weir ss has it; up and down scroll; q quits.\n";

static const struct option longs[] = {
    {"delay", required_argument, NULL, 'd'},
    {"sort", required_argument, NULL, 's'},
    {"batch", no_argument, NULL, 'b'},
    {"number", required_argument, NULL, 'n'},
    {"all", no_argument, NULL, 'a'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct top {
    char *const *wanted;
    int wanted_n;
    double delay_s;
    long looks; /* left; below 0: without end */
    bool is_batch, all;
    enum wss_key key;
    bool is_reversed, is_paused;
    char filter_text[FILTER_CAP];
    struct wss_expr *filter;

    struct wss_sample sample;
    bool has_sample;
    uint64_t looked_at; /* our own clock, ns */
    int run_n;
    unsigned scrolled;
    bool is_narrow; /* some columns are left out */

    bool is_typing; /* the filter */
    char typed[FILTER_CAP];
    char message[256];
};

static uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- Looking ---- */

static bool is_wanted(const struct top *t, const struct weir_sock_info *s)
{
    uint32_t states = t->all ? WSS_STATES_ALL & ~WSS_STATE(WEIR_SOCK_CLOSE) : WSS_STATES_SHOWN;
    return (states >> s->state & 1) && s->state != WEIR_SOCK_LISTEN && wss_expr_holds(t->filter, s);
}

/* All runs are asked anew each time: they come and go. False: out of memory. */
static bool look(struct top *t)
{
    static const struct wss_ask ask = {.host = "program", .tcp = true, .is_long = true};
    struct wss_socks socks = {0};
    struct wss_sample next;
    struct wss_run *runs = NULL;
    uint64_t now = clock_ns();

    int n = wss_runs_open(&runs, t->wanted, t->wanted_n, NULL, WAIT_S);
    t->run_n = 0;
    for (int i = 0; i < n; i++) {
        size_t before = socks.n;
        if (wss_list(&runs[i], &ask, &socks) == 0)
            t->run_n++;
        else
            socks.n = before;
    }
    if (n > 0)
        wss_runs_close(runs, n);
    if (!wss_sample_make(&next, &socks, t->has_sample ? &t->sample : NULL, now - t->looked_at)) {
        free(socks.at);
        return false;
    }
    wss_sample_free(&t->sample);
    t->sample = next;
    t->has_sample = true;
    t->looked_at = now;
    wss_sample_sort(&t->sample, t->key, t->is_reversed);
    return true;
}

/* ---- Showing ---- */

static const char *bits(double bps, char *buf, size_t cap)
{
    if (bps < 1)
        return "-";
    return wss_rate_text(bps, false, buf, cap);
}

static void print_head(const struct top *t, FILE *out)
{
    char text[2][48], when[16];
    double in = 0, sent = 0, again = 0;
    time_t now = time(NULL);
    unsigned n = 0;
    for (size_t i = 0; i < t->sample.n; i++) {
        const struct wss_figure *f = &t->sample.at[i];
        if (!is_wanted(t, &f->sock.view.info))
            continue;
        n++;
        sent += f->out_bps;
        in += f->in_bps;
        again += f->again_per_s;
    }
    strftime(when, sizeof when, "%H:%M:%S", localtime(&now));
    fprintf(out, "weir top %s: %d run%s, %u connection%s; out %sbps, in %sbps, sent again %.1f/s%s\n", when, t->run_n,
            t->run_n == 1 ? "" : "s", n, n == 1 ? "" : "s", wss_rate_text(sent, false, text[0], sizeof text[0]),
            wss_rate_text(in, false, text[1], sizeof text[1]), again, t->is_paused ? "  PAUSED" : "");
    if (t->is_typing)
        fprintf(out, "filter: %s_\n", t->typed);
    else if (t->message[0])
        fprintf(out, "%s\n", t->message);
    else
        fprintf(out, "by %s%s%s%s\n", wss_key_name(t->key), t->is_reversed ? ", the least first" : "",
                t->filter_text[0] ? "; only " : "", t->filter_text);
    if (t->is_narrow)
        fprintf(out, "%6s %-21s %6s %6s %8s %5s %7s %s\n", "LOCAL", "PEER", "OUT", "IN", "RTT ms", "CWND", "AGAIN",
                "LIMITED BY");
    else
        fprintf(out, "%7s %-10s %-23s %-23s %8s %8s %9s %7s %7s %11s %s\n", "PID", "STATE", "LOCAL", "PEER", "OUT bps",
                "IN bps", "RTT ms", "CWND", "FLIGHT", "AGAIN", "LIMITED BY");
}

static const char *endpoint(const struct weir_sock_info *s, const struct weir_sockaddr *at, char *buf, size_t cap)
{
    char host[WSS_ADDR_CAP], port[8];
    snprintf(buf, cap, "%s:%s", wss_host_text(s, at, host, sizeof host), wss_port_text(s, at, true, port, sizeof port));
    return buf;
}

static void print_figure(const struct top *t, const struct wss_figure *f, FILE *out)
{
    const struct weir_sock_info *s = &f->sock.view.info;
    const struct weir_tcp_info *i = &f->sock.view.tcp;
    char ends[2][96], rates[2][48], again[32], limit[64] = "";
    const char *sent = bits(f->out_bps, rates[0], sizeof rates[0]), *in = bits(f->in_bps, rates[1], sizeof rates[1]);
    if (f->again_per_s > 0 && !t->is_narrow)
        snprintf(again, sizeof again, "%u +%.1f/s", i->total_retrans, f->again_per_s);
    else
        snprintf(again, sizeof again, "%u", i->total_retrans);
    if (f->limit_percent)
        snprintf(limit, sizeof limit, "%3u%% %s", f->limit_percent, weir_cause_text(f->limit));
    endpoint(s, &s->remote, ends[1], sizeof ends[1]);
    if (t->is_narrow)
        fprintf(out, "%6u %-21s %6s %6s %8.3f %5u %7s %s\n", s->local.port, ends[1], sent, in, i->rtt / 1000.0,
                i->snd_cwnd, again, limit);
    else
        fprintf(out, "%7d %-10s %-23s %-23s %8s %8s %9.3f %7u %7u %11s %s\n", (int)f->sock.run,
                wss_state_name(s->state), endpoint(s, &s->local, ends[0], sizeof ends[0]), ends[1], sent, in,
                i->rtt / 1000.0, i->snd_cwnd, i->unacked, again, limit);
}

/* From the `from`-th on, `most` of them. */
static void print_list(const struct top *t, FILE *out, unsigned from, unsigned most)
{
    unsigned at = 0;
    for (size_t i = 0; i < t->sample.n && at < from + most; i++) {
        const struct wss_figure *f = &t->sample.at[i];
        if (!is_wanted(t, &f->sock.view.info))
            continue;
        if (at++ >= from)
            print_figure(t, f, out);
    }
}

static void draw(struct top *t, struct wss_screen *s)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    t->is_narrow = s->columns < WIDE;
    print_head(t, out);
    print_list(t, out, t->scrolled, s->lines > HEAD_LINES ? s->lines - HEAD_LINES : 0);
    if (fclose(out) == 0)
        wss_screen_draw(s, text, 1, HEAD_LINES - 1);
    free(text);
}

/* ---- Keys ---- */

static void set_filter(struct top *t, const char *text)
{
    char err[128];
    struct wss_expr *e = wss_expr_parse(text, err, sizeof err);
    if (!e) {
        snprintf(t->message, sizeof t->message, "%s", err);
        return;
    }
    wss_expr_free(t->filter);
    t->filter = e;
    snprintf(t->filter_text, sizeof t->filter_text, "%s", text);
    t->scrolled = 0;
}

static void type(struct top *t, int key)
{
    size_t n = strlen(t->typed);
    if (key == '\n' || key == '\r' || key == '\033') {
        t->is_typing = false;
        if (key != '\033')
            set_filter(t, t->typed);
    } else if ((key == 127 || key == '\b') && n > 0) {
        t->typed[n - 1] = '\0';
    } else if (key >= 0x20 && key < 0x7f && n < sizeof t->typed - 1) {
        t->typed[n] = (char)key;
        t->typed[n + 1] = '\0';
    }
}

static bool scroll(struct top *t, int key, unsigned page)
{
    unsigned n = (unsigned)t->sample.n;
    switch (key) {
    case WSS_KEY_UP: t->scrolled -= t->scrolled > 0; return true;
    case WSS_KEY_DOWN: t->scrolled += t->scrolled + 1 < n; return true;
    case WSS_KEY_PAGE_UP: t->scrolled -= t->scrolled < page ? t->scrolled : page; return true;
    case WSS_KEY_PAGE_DOWN: t->scrolled += t->scrolled + page < n ? page : 0; return true;
    case WSS_KEY_HOME: t->scrolled = 0; return true;
    case WSS_KEY_END: t->scrolled = n > page ? n - page : 0; return true;
    default: return false;
    }
}

/* False: quit. */
static bool on_key(struct top *t, int key, unsigned page)
{
    static const char sorts[WSS_KEY_N] = {[WSS_BY_RATE] = 'r', [WSS_BY_OUT] = 'o',  [WSS_BY_IN] = 'i',
                                          [WSS_BY_RTT] = 't',  [WSS_BY_CWND] = 'c', [WSS_BY_AGAIN] = 'x'};
    const char *sort = key > 0 && key < 128 ? memchr(sorts, key, sizeof sorts) : NULL;
    if (t->is_typing) {
        type(t, key);
        return true;
    }
    t->message[0] = '\0';
    if (key == 'q')
        return false;
    if (scroll(t, key, page))
        return true;
    if (sort)
        t->key = (enum wss_key)(sort - sorts);
    else if (key == 'R')
        t->is_reversed = !t->is_reversed;
    else if (key == ' ')
        t->is_paused = !t->is_paused;
    else if (key == '/') {
        t->is_typing = true;
        t->typed[0] = '\0';
    } else
        snprintf(t->message, sizeof t->message,
                 "keys: r o i t c x sort; R turns; space pauses; / filters; up, down; q quits");
    wss_sample_sort(&t->sample, t->key, t->is_reversed);
    return true;
}

/* ---- The two ways ---- */

static int run_batch(struct top *t)
{
    const struct timespec pause = {(time_t)t->delay_s, (long)(fmod(t->delay_s, 1) * 1e9)};
    for (bool is_first = true; t->looks != 0; is_first = false) {
        if (!is_first) {
            putchar('\n');
            nanosleep(&pause, NULL);
        }
        if (!look(t))
            return 1;
        if (is_first && t->run_n == 0) {
            fputs("weir top: no weir run of yours is running\n", stderr);
            return 1;
        }
        print_head(t, stdout);
        print_list(t, stdout, 0, UINT32_MAX / 2);
        if (fflush(stdout) != 0)
            return 1;
        t->looks -= t->looks > 0;
    }
    return 0;
}

/* Until a key or a signal ends it; the signal, or 0. */
static int run_screen(struct top *t, struct wss_screen *s)
{
    uint64_t next = clock_ns();
    while (t->looks != 0) {
        uint64_t now = clock_ns();
        if (now >= next && !t->is_paused) {
            look(t);
            next = clock_ns() + (uint64_t)(t->delay_s * 1e9);
            t->looks -= t->looks > 0;
        }
        draw(t, s);
        now = clock_ns();
        int wait_ms = t->is_paused ? -1 : next > now ? (int)((next - now) / 1000000 + 1) : 0;
        struct wss_input in = wss_screen_wait(s, wait_ms);
        if (in.kind == WSS_ENDED)
            return in.key;
        if (in.kind == WSS_KEY && !on_key(t, in.key, s->lines > HEAD_LINES ? s->lines - HEAD_LINES : 1))
            return 0;
    }
    return 0;
}

/* ---- The command line ---- */

static int bad(const char *option, const char *text, const char *form)
{
    fprintf(stderr, "weir top: %s %s: %s\n", option, text, form);
    return -EINVAL;
}

static int take(struct top *t, int c)
{
    char *end;
    switch (c) {
    case 'd':
        t->delay_s = strtod(optarg, &end);
        return *end || end == optarg || !(t->delay_s >= 0.1 && t->delay_s <= 86400)
                   ? bad("-d", optarg, "seconds, from 0.1 on")
                   : 0;
    case 'n':
        t->looks = strtol(optarg, &end, 10);
        return *end || end == optarg || t->looks < 1 ? bad("-n", optarg, "a number, 1 or more") : 0;
    case 's':
        t->key = wss_key_named(optarg);
        return t->key == WSS_KEY_N ? bad("-s", optarg, "rate, out, in, rtt, cwnd or again") : 0;
    case 'b': t->is_batch = true; return 0;
    case 'a': t->all = true; return 0;
    case 'h': fputs(help, stdout); return 1;
    default: return -EINVAL;
    }
}

static int parse(struct top *t, int argc, char **argv)
{
    char text[FILTER_CAP] = "";
    size_t n = 0;
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "+:d:n:s:bah", longs, NULL)) != -1) {
        int r = c == '?' || c == ':' ? wss_bad_option("top", c, argv) : take(t, c);
        if (r)
            return r;
    }
    t->wanted = argv + optind;
    while (optind < argc && wss_is_run(argv[optind])) {
        optind++;
        t->wanted_n++;
    }
    for (; optind < argc && n < sizeof text; optind++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? " " : "", argv[optind]);
    if (n >= sizeof text)
        return bad("FILTER", "", "too long");
    set_filter(t, text);
    return t->filter ? 0 : bad("FILTER", text, t->message);
}

int wss_top_main(int argc, char **argv)
{
    struct top t = {.delay_s = 1, .looks = -1};
    struct wss_screen screen;
    int status = 0, sig = 0, parsed = parse(&t, argc, argv);
    if (parsed)
        return parsed > 0 ? 0 : 2;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        t.is_batch = true;
    if (t.is_batch) {
        t.looks = t.looks < 0 ? 1 : t.looks;
        status = run_batch(&t);
    } else if (wss_screen_open(&screen) < 0) {
        fputs("weir top: the terminal can't be used; see -b\n", stderr);
        status = 1;
    } else {
        sig = run_screen(&t, &screen);
        wss_screen_close(&screen);
    }
    wss_sample_free(&t.sample);
    wss_expr_free(t.filter);
    if (sig) { /* as if we had not caught it */
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, sig);
        signal(sig, SIG_DFL);
        raise(sig);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    return status;
}
