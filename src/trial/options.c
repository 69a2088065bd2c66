/*
 * weir sim's options: which belong to which action, and what may stand behind them (options.h).
 */
#include "trial/options.h"

#include "io/link_spec.h"
#include "io/units.h"
#include "trial/matrix.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <weir/errno.h>

#define ERR_CAP 512

const char wtl_help[] =
    "usage: weir sim run [--seed N] [--link SPEC] [--cc NAME] [--bytes N] [OPTION]...\n"
    "       weir sim matrix [--seeds N] [OPTION]...\n"
    "       weir sim shrink SEED [--fail-if CONDITION] [OPTION]...\n"
    "\n"
    "Transfers between two weir hosts in virtual time. The same seed gives the same packets.\n"
    "\n"
    "run: the transfers that a seed draws over the link that it draws; with --link, --cc or --bytes one upload\n"
    "  --seed N             which (1)\n"
    "  --link SPEC          the link, as for weir run\n"
    "  --cc NAME            congestion control: reno, cubic, ...\n"
    "  --bytes N            so much to transfer: 10m, 64k (1m)\n"
    "  --fail-if CONDITION  fail when it holds: retransmits>=3, timeouts>0, stall>2s, time>10s, goodput<1mbit,\n"
    "                       drops>=5, packets>1000\n"
    "  --pcap FILE          capture both ends\n"
    "  --trace FILE         every event of both hosts and the link, as JSON lines\n"
    "  --story              each connection as a sequence diagram\n"
    "matrix: every sort of link by every congestion control by seeds, each checked\n"
    "  --seeds N            how many seeds (1)\n"
    "  --first-seed N       from this one on (1)\n"
    "  --sample N           each N-th cell alone, others for each seed\n"
    "  --cc NAME            that congestion control alone\n"
    "  -j N                 so many processes (1)\n"
    "  --goodput FILE       instead: measure the goodput by loss, round trip and congestion control, write it there\n"
    "  --compare FILE       instead: measure again, and fail where a figure is off by more than a tenth\n"
    "shrink: the smallest set of packets lost, delayed or duplicated with which that seed still fails\n"
    "  -o FILE              a script of it for weir drill (seed-SEED.pkt)\n"
    "  --fail-if, --link, --cc, --bytes as above\n"
    "\n"
    "  -h, --help           this\n"
    "\n"
    "The exit status is 0 when all held, 1 when something did not.\n";

enum {
    OPT_SEED = 256,
    OPT_LINK,
    OPT_CC,
    OPT_BYTES,
    OPT_FAIL_IF,
    OPT_PCAP,
    OPT_TRACE,
    OPT_STORY,
    OPT_SEEDS,
    OPT_FIRST_SEED,
    OPT_SAMPLE,
    OPT_GOODPUT,
    OPT_COMPARE,
};

#define FOR_RUN    (1u << WTL_RUN)
#define FOR_MATRIX (1u << WTL_MATRIX)
#define FOR_SHRINK (1u << WTL_SHRINK)

static const struct option longs[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"link", required_argument, NULL, OPT_LINK},
    {"cc", required_argument, NULL, OPT_CC},
    {"bytes", required_argument, NULL, OPT_BYTES},
    {"fail-if", required_argument, NULL, OPT_FAIL_IF},
    {"pcap", required_argument, NULL, OPT_PCAP},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"story", no_argument, NULL, OPT_STORY},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"first-seed", required_argument, NULL, OPT_FIRST_SEED},
    {"sample", required_argument, NULL, OPT_SAMPLE},
    {"goodput", required_argument, NULL, OPT_GOODPUT},
    {"compare", required_argument, NULL, OPT_COMPARE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct {
    const char *word;
    unsigned options; /* which actions take it */
} actions[] = {[WTL_HELP] = {"--help", 0},
               [WTL_RUN] = {"run", FOR_RUN},
               [WTL_MATRIX] = {"matrix", FOR_MATRIX},
               [WTL_SHRINK] = {"shrink", FOR_SHRINK}};
#define ACTION_N (sizeof actions / sizeof actions[0])

static unsigned takers_of(int c)
{
    switch (c) {
    case OPT_CC: return FOR_RUN | FOR_MATRIX | FOR_SHRINK;
    case OPT_LINK:
    case OPT_BYTES:
    case OPT_FAIL_IF: return FOR_RUN | FOR_SHRINK;
    case OPT_SEED:
    case OPT_PCAP:
    case OPT_TRACE:
    case OPT_STORY: return FOR_RUN;
    case 'o': return FOR_SHRINK;
    case 'h': return FOR_RUN | FOR_MATRIX | FOR_SHRINK;
    default: return FOR_MATRIX;
    }
}

/* ---- Values ---- */

static int bad_value(const char *option, const char *text, const char *why)
{
    fprintf(stderr, "weir sim: %s %s: %s\n", option, text, why);
    return -EINVAL;
}

static int read_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char why[96];
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (!errno && end != text && !*end && *text != '-' && v >= least && v <= most) {
        *out = v;
        return 0;
    }
    snprintf(why, sizeof why, "a whole number from %" PRIu64 " to %" PRIu64, least, most);
    return bad_value(option, text, why);
}

static int read_bytes(struct wtl_options *o, const char *text)
{
    o->has_bytes = true;
    if (!wio_unit_parse(WIO_UNIT_SIZE, text, strlen(text), &o->bytes) || o->bytes == 0 || o->bytes > UINT64_C(1) << 34)
        return bad_value("--bytes", text, "a size from 1 to 16g, such as 500k");
    return 0;
}

static int read_link(struct wtl_options *o, const char *text)
{
    char err[ERR_CAP];
    o->has_link = true;
    if (wio_link_spec_parse(&o->link, text, err, sizeof err) == 0)
        return 0;
    fprintf(stderr, "weir sim: --link: %s\n", err);
    return -EINVAL;
}

static int read_condition(struct wtl_options *o, const char *text)
{
    char err[ERR_CAP];
    o->has_condition = true;
    if (wtl_condition_parse(&o->condition, text, err, sizeof err) == 0)
        return 0;
    fprintf(stderr, "weir sim: --fail-if: %s\n", err);
    return -EINVAL;
}

static int read_cc(struct wtl_options *o, const char *text)
{
    const char *names[WTL_CC_MAX];
    unsigned n = wtl_controls(names);
    o->cc = text;
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], text) == 0)
            return 0;
    fprintf(stderr, "weir sim: --cc %s: there is no such congestion control; there are", text);
    for (unsigned i = 0; i < n; i++)
        fprintf(stderr, "%s %s", i ? "," : "", names[i]);
    fputc('\n', stderr);
    return -EINVAL;
}

/* ---- The line ---- */

/* What getopt could not take ('?'), or what lacks its value (':'). */
static int bad_option(int c, const char *word)
{
    const char *names[sizeof longs / sizeof longs[0]];
    size_t n = 0, len = strcspn(word, "=");
    if (c == ':') {
        fprintf(stderr, "weir sim: %s wants a value. See weir sim --help\n", word);
        return -EINVAL;
    }
    for (; longs[n].name; n++)
        names[n] = longs[n].name;
    const char *near = strncmp(word, "--", 2) == 0 ? wio_nearest(names, n, word + 2, len - 2) : NULL;
    if (near && strlen(near) != len - 2)
        fprintf(stderr, "weir sim: there is no option %.*s. Did you mean --%s?\n", (int)len, word, near);
    else
        fprintf(stderr, "weir sim: there is no option %.*s. See weir sim --help\n", (int)len, word);
    return -EINVAL;
}

static int take(struct wtl_options *o, int c, const char *text)
{
    switch (c) {
    case OPT_SEED: return read_number("--seed", text, 0, UINT64_MAX, &o->seed);
    case OPT_LINK: return read_link(o, text);
    case OPT_CC: return read_cc(o, text);
    case OPT_BYTES: return read_bytes(o, text);
    case OPT_FAIL_IF: return read_condition(o, text);
    case OPT_PCAP: o->pcap = text; return 0;
    case OPT_TRACE: o->trace = text; return 0;
    case OPT_STORY: o->story = true; return 0;
    case OPT_SEEDS: return read_number("--seeds", text, 1, 1000000, &o->seeds);
    case OPT_FIRST_SEED: return read_number("--first-seed", text, 0, UINT64_MAX / 2, &o->first_seed);
    case OPT_SAMPLE: return read_number("--sample", text, 1, 10000, &o->sample);
    case OPT_GOODPUT: o->goodput = text; return 0;
    case OPT_COMPARE: o->compare = text; return 0;
    case 'j': return read_number("-j", text, 1, 64, &o->jobs);
    case 'o': o->out = text; return 0;
    default: o->action = WTL_HELP; return 0;
    }
}

static int read_action(struct wtl_options *o, const char *word)
{
    const char *names[ACTION_N];
    for (size_t i = 0; i < ACTION_N; i++) {
        names[i] = actions[i].word;
        if (strcmp(word, actions[i].word) == 0) {
            o->action = (enum wtl_action)i;
            return 0;
        }
    }
    if (strcmp(word, "-h") == 0)
        return 0;
    const char *near = wio_nearest(names, ACTION_N, word, strlen(word));
    if (near)
        fprintf(stderr, "weir sim: there is no '%s'. Did you mean '%s'?\n", word, near);
    else
        fprintf(stderr, "weir sim: there is no '%s'; there are run, matrix and shrink\n", word);
    return -EINVAL;
}

static int read_operands(struct wtl_options *o, int n, char **words)
{
    if (o->action == WTL_SHRINK && n == 1)
        return read_number("shrink", words[0], 0, UINT64_MAX, &o->seed);
    if (o->action == WTL_SHRINK)
        fprintf(stderr, "weir sim: shrink wants one seed, as in weir sim shrink 7 --fail-if 'retransmits>=3'\n");
    else if (n > 0)
        fprintf(stderr, "weir sim: %s: nothing but options here. See weir sim --help\n", words[0]);
    return o->action == WTL_SHRINK || n > 0 ? -EINVAL : 0;
}

enum { GIVEN_SEEDS = 1, GIVEN_SAMPLE = 2 };

/* The table of goodput has cells and seeds of its own: nothing is taken and then not heeded. */
static int refuse_beside_goodput(const struct wtl_options *o, uint32_t given)
{
    if (!o->goodput && !o->compare)
        return 0;
    const char *what = o->goodput ? "--goodput" : "--compare", *beside = NULL;
    if (given & GIVEN_SEEDS)
        beside = "--seeds or --first-seed";
    else if (o->cc)
        beside = "--cc";
    else if (o->goodput && o->compare)
        beside = "--compare";
    else if (o->goodput && given & GIVEN_SAMPLE)
        beside = "--sample";
    if (!beside)
        return 0;
    fprintf(stderr, "weir sim: %s measures a table of its own, and takes no %s beside it\n", what, beside);
    return -EINVAL;
}

int wtl_options_parse(struct wtl_options *o, int argc, char **argv)
{
    *o = (struct wtl_options){.seed = 1, .bytes = 1 << 20, .seeds = 1, .first_seed = 1, .sample = 1, .jobs = 1};
    if (argc < 2) {
        fputs("weir sim: run, matrix or shrink? See weir sim --help\n", stderr);
        return -EINVAL;
    }
    int bad = read_action(o, argv[1]), c;
    if (bad || o->action == WTL_HELP)
        return bad;
    unsigned action = actions[o->action].options;
    const char *name = actions[o->action].word;
    argc--;
    argv++;
    uint32_t given = 0;
    optind = 0; /* glibc: begin anew */
    while ((c = getopt_long(argc, argv, ":hj:o:", longs, NULL)) != -1) {
        if (c == '?' || c == ':')
            return bad_option(c, argv[optind - 1]);
        if (!(takers_of(c) & action)) {
            fprintf(stderr, "weir sim: %s does not take %s. See weir sim --help\n", name,
                    argv[optind - (optarg ? 2 : 1)]);
            return -EINVAL;
        }
        given |= c == OPT_SEEDS || c == OPT_FIRST_SEED ? GIVEN_SEEDS : c == OPT_SAMPLE ? GIVEN_SAMPLE : 0;
        bad = take(o, c, optarg);
        if (bad || o->action == WTL_HELP)
            return bad;
    }
    bad = read_operands(o, argc - optind, argv + optind);
    return bad ? bad : refuse_beside_goodput(o, given);
}
