/*
 * weir ss: the command line, and the listing put together.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ss/command.h"
#include "ss/filter.h"
#include "ss/summary.h"
#include "ss/table.h"
#include "ss/usage.h"

#define FILTER_CAP 8192
#define ANSWER_S   10 /* without a word from a run: it is stopped, or worse */

static const char help[] =
    "usage: weir ss [OPTION]... [PID|PATH]... [state STATE]... [exclude STATE]... [FILTER]\n"
    "\n"
    "List the sockets of programs under weir run, as ss of iproute2 lists the kernel's. PID is that of weir run,\n"
    "PATH its --control; with none of them all runs of yours are asked.\n"
    "\n"
    "  -a, --all         also those that listen, TIME-WAIT and half-open ones\n"
    "  -l, --listening   those that listen, and UDP sockets without a peer\n"
    "  -B, --bound-inactive\n"
    "                    TCP sockets that are bound and do nothing\n"
    "  -t, --tcp         TCP\n"
    "  -u, --udp         UDP\n"
    "  -4, --ipv4        sockets of IPv4\n"
    "  -6, --ipv6        sockets of IPv6\n"
    "  -i, --info        what TCP knows: windows, round trips, what was sent again, rates\n"
    "  -L, --ledger      where each connection's time went\n"
    "  -m, --memory      memory of the buffers\n"
    "  -o, --options     the timer that runs\n"
    "  -e, --extended    the inode, the number in traces (sk), which directions are shut down\n"
    "  -p, --processes   who holds it\n"
    "  -n, --numeric     ports as numbers, rates in full\n"
    "  -s, --summary     how many there are\n"
    "  -O, --oneline     each on one line\n"
    "  -H, --no-header   no header\n"
    "  -g, --gateway     the other end of the link: the gateway's sockets instead of the program's\n"
    "  -h, --help        this\n"
    "\n"
    "STATE: established syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait closed close-wait last-ack listening "
    "closing;\n"
    "all, connected, synchronized, bucket (syn-recv and time-wait), big.\n"
    "FILTER: src and dst ADDRESS[/BITS][:PORT], sport and dport = != > < >= <= :PORT; and, or, not, ( ).\n"
    "\n"
    "  weir ss -tin                                    weir ss -tan state time-wait\n"
    "  weir ss -tn '( dport = :443 or dport = :80 )'   weir ss 4711 dst 192.0.2.0/24\n";

static const struct option longs[] = {
    {"all", no_argument, NULL, 'a'},      {"listening", no_argument, NULL, 'l'},
    {"tcp", no_argument, NULL, 't'},      {"udp", no_argument, NULL, 'u'},
    {"ipv4", no_argument, NULL, '4'},     {"ipv6", no_argument, NULL, '6'},
    {"info", no_argument, NULL, 'i'},     {"ledger", no_argument, NULL, 'L'},
    {"memory", no_argument, NULL, 'm'},   {"options", no_argument, NULL, 'o'},
    {"extended", no_argument, NULL, 'e'}, {"processes", no_argument, NULL, 'p'},
    {"numeric", no_argument, NULL, 'n'},  {"summary", no_argument, NULL, 's'},
    {"oneline", no_argument, NULL, 'O'},  {"no-header", no_argument, NULL, 'H'},
    {"gateway", no_argument, NULL, 'g'},  {"bound-inactive", no_argument, NULL, 'B'},
    {"help", no_argument, NULL, 'h'},     {NULL, 0, NULL, 0},
};

struct opts {
    struct wss_show show;
    bool all, listening, bound, tcp, udp, v4, v6, summary, no_header, gateway;
    uint32_t states; /* named by words; 0: none was */
    char *const *runs;
    int run_n;
    struct wss_expr *filter;
};

/* 0, 1: help was printed, -EINVAL. */
static int take(struct opts *o, int c)
{
    switch (c) {
    case 'a': o->all = true; return 0;
    case 'l': o->listening = true; return 0;
    case 'B': o->bound = true; return 0;
    case 't': o->tcp = true; return 0;
    case 'u': o->udp = true; return 0;
    case '4': o->v4 = true; return 0;
    case '6': o->v6 = true; return 0;
    case 'i': o->show.info = true; return 0;
    case 'L': o->show.ledger = true; return 0;
    case 'm': o->show.memory = true; return 0;
    case 'o': o->show.timer = true; return 0;
    case 'e': o->show.extended = true; return 0;
    case 'p': o->show.users = true; return 0;
    case 'n': o->show.is_numeric = true; return 0;
    case 's': o->summary = true; return 0;
    case 'O': o->show.is_one_line = true; return 0;
    case 'H': o->no_header = true; return 0;
    case 'g': o->gateway = true; return 0;
    case 'h': fputs(help, stdout); return 1;
    default: return -EINVAL;
    }
}

/* state STATE and exclude STATE, in the order in which they stand. How many words that took, or -EINVAL. */
static int take_states(struct opts *o, int argc, char **argv)
{
    int i = 0;
    for (; i < argc && (strcmp(argv[i], "state") == 0 || strcmp(argv[i], "exclude") == 0); i += 2) {
        bool excludes = *argv[i] == 'e';
        uint32_t states = i + 1 < argc ? wss_states_named(argv[i + 1]) : 0;
        if (!states) {
            fprintf(stderr, "weir ss: %s %s: there is no such state. See weir ss --help\n", argv[i],
                    i + 1 < argc ? argv[i + 1] : "");
            return -EINVAL;
        }
        if (excludes)
            o->states = (o->states ? o->states : WSS_STATES_ALL) & ~states;
        else
            o->states |= states;
    }
    return i;
}

static int take_filter(struct opts *o, int argc, char **argv)
{
    char text[FILTER_CAP] = "", err[256];
    size_t n = 0;
    for (int i = 0; i < argc && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s ", argv[i]);
    if (n >= sizeof text) {
        fputs("weir ss: the filter is too long\n", stderr);
        return -EINVAL;
    }
    o->filter = wss_expr_parse(text, err, sizeof err);
    if (o->filter)
        return 0;
    fprintf(stderr, "weir ss: %s. See weir ss --help\n", err);
    return -EINVAL;
}

static int parse(struct opts *o, int argc, char **argv)
{
    int c, n;
    optind = 1;
    while ((c = getopt_long(argc, argv, "+:altu46iLmoepnsOHgBh", longs, NULL)) != -1) {
        int r = c == '?' || c == ':' ? wss_bad_option("ss", c, argv) : take(o, c);
        if (r)
            return r;
    }
    o->runs = argv + optind;
    while (optind < argc && wss_is_run(argv[optind])) {
        optind++;
        o->run_n++;
    }
    n = take_states(o, argc - optind, argv + optind);
    if (n < 0)
        return n;
    if (!o->tcp && !o->udp)
        o->tcp = o->udp = true;
    if (!o->v4 && !o->v6)
        o->v4 = o->v6 = true;
    if (!o->states)
        o->states = o->all         ? WSS_STATES_ALL
                    : o->listening ? WSS_STATE(WEIR_SOCK_LISTEN) | WSS_STATE(WEIR_SOCK_CLOSE)
                                   : WSS_STATES_SHOWN;
    return take_filter(o, argc - optind - n, argv + optind + n);
}

/* A TCP socket that does nothing is nobody's business, unless it is asked for; so is one that is not even bound. */
static bool is_shown(const struct opts *o, const struct weir_sock_info *s)
{
    bool is_inert = s->protocol == WEIR_IPPROTO_TCP && s->state == WEIR_SOCK_CLOSE;
    if (is_inert && !(o->bound && s->local.port && !s->remote.port))
        return false;
    if (s->protocol == WEIR_IPPROTO_UDP && !s->local.port)
        return false;
    if (!(is_inert ? o->bound : o->states >> s->state & 1))
        return false;
    return (s->family == WEIR_AF_INET ? o->v4 : o->v6) && wss_expr_holds(o->filter, s);
}

static void keep_shown(const struct opts *o, struct wss_socks *socks)
{
    size_t kept = 0;
    for (size_t i = 0; i < socks->n; i++) {
        if (is_shown(o, &socks->at[i].view.info))
            socks->at[kept++] = socks->at[i];
    }
    socks->n = kept;
}

static int compare(const void *a, const void *b)
{
    const struct wss_sock *x = a, *y = b;
    int px = x->view.info.protocol == WEIR_IPPROTO_TCP, py = y->view.info.protocol == WEIR_IPPROTO_TCP;
    bool lx = x->view.info.state == WEIR_SOCK_LISTEN, ly = y->view.info.state == WEIR_SOCK_LISTEN;
    if (px != py)
        return px - py; /* UDP first, as ss has it */
    if (lx != ly)
        return ly - lx;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return (x->view.info.id > y->view.info.id) - (x->view.info.id < y->view.info.id);
}

static void print(const struct opts *o, struct wss_socks *socks)
{
    struct wss_owners owners = {0};
    struct wss_table table = {
        .has_netid = o->tcp && o->udp,
        .has_state = (o->states & (o->states - 1)) != 0,
        .has_header = !o->no_header,
        .is_numeric = o->show.is_numeric,
    };
    if (o->show.users)
        wss_owners_read(&owners);
    if (o->summary)
        wss_summary_print(stdout, socks);
    keep_shown(o, socks);
    if (socks->n)
        qsort(socks->at, socks->n, sizeof *socks->at, compare);
    if (!o->summary)
        wss_table_print(stdout, &table, &o->show, socks, &owners);
    wss_owners_free(&owners);
}

int wss_ss_main(int argc, char **argv)
{
    struct opts o = {0};
    struct wss_socks socks = {0};
    struct wss_run *runs;
    int status = 0, parsed = parse(&o, argc, argv);
    if (parsed)
        return parsed > 0 ? 0 : 2;

    int n = wss_runs_open(&runs, o.runs, o.run_n, "weir ss", ANSWER_S);
    struct wss_ask ask = {.host = o.gateway ? "gateway" : "program", .tcp = o.tcp, .udp = o.udp};
    ask.is_long = o.show.info || o.show.memory || o.show.ledger;
    for (int i = 0; i < n; i++) {
        size_t before = socks.n;
        int err = wss_list(&runs[i], &ask, &socks);
        if (err == 0)
            continue;
        socks.n = before;
        if (err != -ECONNRESET && err != -EPIPE) { /* it has just ended */
            fprintf(stderr, "weir ss: %d: %s\n", (int)runs[i].pid, strerror(-err));
            status = 1;
        }
    }
    if (n > 0)
        print(&o, &socks);
    if (n > 0)
        wss_runs_close(runs, n);
    free(socks.at);
    wss_expr_free(o.filter);
    return n < 0 || n < o.run_n ? 1 : status;
}
