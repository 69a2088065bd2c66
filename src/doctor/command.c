/*
 * The command line of weir doctor.
 */
#include "doctor/command.h"

#include "doctor/print.h"
#include "io/units.h"
#include "trace/frames.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_BUFFER (1u << 18)

static const char usage[] =
    "usage: weir doctor [OPTION]... FILE...\n"
    "\n"
    "Say what happened to each TCP connection of a capture, which packets show it, why, how sure that is, and what to\n"
    "do. FILE is a capture in pcapng or pcap form, of any TCP and from any place on the way; - is standard input.\n"
    "\n"
    "  -a, --all         connections without trouble, too\n"
    "  --only VERDICT    connections with that verdict alone; may be repeated (a wrong name lists them)\n"
    "  --host ADDRESS    connections of that address, or of ADDRESS:PORT, alone\n"
    "  --limit N         tell of N connections at most, those with the heaviest problems first (20)\n"
    "  --json            JSON lines: every connection, then what was left out\n"
    "  --connections N   hold N connections at a time (16384); beyond that the oldest are told of before the end\n"
    "  -h, --help        this text\n"
    "\n"
    "The exit status is 0 when all could be read, whatever was found.\n";

struct args {
    struct wdc_text_options text;
    bool is_json, has_only, has_host, has_port;
    bool only[WDC_VERDICTS_N];
    struct weir_addr host;
    uint16_t port;
    uint32_t conns;
    char **files;
    int file_n;
};

enum { OPT_ONLY = 256, OPT_HOST, OPT_LIMIT, OPT_JSON, OPT_CONNECTIONS };

static const struct option longs[] = {
    {"all", no_argument, NULL, 'a'},
    {"only", required_argument, NULL, OPT_ONLY},
    {"host", required_argument, NULL, OPT_HOST},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"json", no_argument, NULL, OPT_JSON},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* ---- The command line ---- */

static int bad_option(const char *word)
{
    const char *names[sizeof longs / sizeof longs[0]];
    size_t n = 0;
    for (; longs[n].name; n++)
        names[n] = longs[n].name;
    const char *near = strncmp(word, "--", 2) == 0 ? wio_nearest(names, n, word + 2, strcspn(word + 2, "=")) : NULL;
    if (near)
        fprintf(stderr, "weir doctor: there is no option %s. Did you mean --%s?\n", word, near);
    else
        fprintf(stderr, "weir doctor: there is no option %s. See weir doctor --help\n", word);
    return 2;
}

static int take_only(struct args *a, const char *word)
{
    for (unsigned i = 0; i < WDC_VERDICTS_N; i++) {
        if (strcmp(word, wdc_verdict_name(i)) == 0) {
            a->only[i] = a->has_only = true;
            return -1;
        }
    }
    fprintf(stderr, "weir doctor: --only %s: there is no such verdict. There are:", word);
    for (unsigned i = 0; i < WDC_VERDICTS_N; i++)
        fprintf(stderr, " %s", wdc_verdict_name(i));
    putc('\n', stderr);
    return 2;
}

static int take_host(struct args *a, const char *word)
{
    char copy[WEIR_ADDR_TEXT_CAP + 8];
    const char *address = copy;
    uint64_t port;
    snprintf(copy, sizeof copy, "%s", word);
    a->has_host = true;
    if (weir_addr_parse(&a->host, copy) == 0)
        return -1;
    char *colon = strrchr(copy, ':');
    if (colon) {
        *colon = '\0';
        if (copy[0] == '[' && colon > copy + 1 && colon[-1] == ']') {
            colon[-1] = '\0';
            address = copy + 1;
        }
    }
    if (!colon || !wio_unit_parse(WIO_UNIT_COUNT, colon + 1, strlen(colon + 1), &port) || port > 65535 ||
        weir_addr_parse(&a->host, address) < 0) {
        fprintf(stderr,
                "weir doctor: --host %s: the form is ADDRESS or ADDRESS:PORT, such as 10.0.0.2:80 or [::1]:80\n", word);
        return 2;
    }
    a->port = (uint16_t)port;
    a->has_port = true;
    return -1;
}

static int take_number(const char *option, const char *word, uint32_t *out)
{
    uint64_t n;
    if (!wio_unit_parse(WIO_UNIT_COUNT, word, strlen(word), &n) || n == 0 || n > 10000000) {
        fprintf(stderr, "weir doctor: %s %s: not a number from 1 to 10000000\n", option, word);
        return 2;
    }
    *out = (uint32_t)n;
    return -1;
}

/* -1: go on; else the exit status. */
static int take(struct args *a, int c, const char *word)
{
    switch (c) {
    case 'a': a->text.shows_all = true; return -1;
    case OPT_ONLY: return take_only(a, optarg);
    case OPT_HOST: return take_host(a, optarg);
    case OPT_LIMIT: return take_number("--limit", optarg, &a->text.limit);
    case OPT_CONNECTIONS: return take_number("--connections", optarg, &a->conns);
    case OPT_JSON: a->is_json = true; return -1;
    case 'h': fputs(usage, stdout); return 0;
    case ':': fprintf(stderr, "weir doctor: %s wants a value. See weir doctor --help\n", word); return 2;
    default: return bad_option(word);
    }
}

static int parse(struct args *a, int argc, char **argv)
{
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, ":ah", longs, NULL)) != -1) {
        int status = take(a, c, argv[optind - 1]);
        if (status >= 0)
            return status;
    }
    if (optind == argc) {
        fputs("weir doctor: which FILE? See weir doctor --help\n", stderr);
        return 2;
    }
    a->files = argv + optind;
    a->file_n = argc - optind;
    return -1;
}

/* ---- A file ---- */

struct sink {
    const struct args *args;
    const char *file;
    struct wdc_text *text;
    struct wdc *doc;
};

static bool is_end(const struct args *a, const struct weir_sockaddr *end)
{
    return weir_addr_equal(&end->addr, &a->host) && (!a->has_port || end->port == a->port);
}

static bool is_wanted(const struct args *a, const struct wdc_result *r)
{
    bool has_it = !a->has_only;
    for (uint32_t i = 0; i < r->finding_n; i++)
        has_it |= a->only[r->findings[i].id];
    return has_it && (!a->has_host || is_end(a, &r->client) || is_end(a, &r->server));
}

static void on_result(void *ctx, const struct wdc_result *r)
{
    const struct sink *s = ctx;
    if (!is_wanted(s->args, r))
        return;
    if (s->text)
        wdc_text_result(s->text, r);
    else
        wdc_json_result(stdout, s->file, r);
}

static void on_frame(void *ctx, const struct wtr_frame *f)
{
    const struct sink *s = ctx;
    struct wdc_frame frame = {.at = f->at,
                              .number = f->number,
                              .linktype = f->linktype,
                              .interface = f->interface,
                              .bytes = f->bytes,
                              .captured = f->captured,
                              .len = f->len};
    wdc_packet(s->doc, &frame);
}

static int complain(const char *file, const char *what)
{
    fprintf(stderr, "weir doctor: %s: %s\n", file, what);
    return 1;
}

/* What a file is, by its first bytes, which are given back: standard input can't be rewound. */
static int read_capture(FILE *in, struct sink *s, struct wtr_frames *read)
{
    uint8_t b[4];
    size_t n = fread(b, 1, sizeof b, in);
    uint32_t magic = 0;
    memcpy(&magic, b, n);
    for (size_t i = n; i > 0; i--)
        ungetc(b[i - 1], in);
    if (n == 4 && magic == 0x0A0D0D0A)
        return wtr_frames_pcapng(in, on_frame, s, read);
    static const uint32_t pcap[] = {0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1, 0xa1b2cd34, 0x34cdb2a1};
    for (size_t i = 0; n == 4 && i < sizeof pcap / sizeof pcap[0]; i++)
        if (magic == pcap[i])
            return wtr_frames_pcap(in, on_frame, s, read);
    snprintf(read->err, sizeof read->err, n ? "it is no capture in pcap or pcapng form" : "it is empty");
    return -1;
}

static FILE *open_input(const char *file)
{
    struct stat st;
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (!in) {
        complain(file, strerror(errno));
        return NULL;
    }
    if (fstat(fileno(in), &st) == 0 && S_ISDIR(st.st_mode)) {
        complain(file, "it is a directory; a capture is wanted");
        fclose(in);
        return NULL;
    }
    setvbuf(in, NULL, _IOFBF, INPUT_BUFFER);
    return in;
}

static int examine(struct sink *s, FILE *in)
{
    struct wtr_frames read = {0};
    int status = 0;
    if (read_capture(in, s, &read) < 0) {
        status = complain(s->file, read.err);
        if (read.taken == 0)
            return status;
    }
    wdc_finish(s->doc);
    if (read.is_cut)
        fprintf(stderr, "weir doctor: %s is cut off at its end; what is before that was looked at\n", s->file);
    if (s->text)
        wdc_text_print(s->text, stdout, s->file, wdc_counts(s->doc));
    else
        wdc_json_counts(stdout, s->file, wdc_counts(s->doc));
    return status;
}

static int doctor_file(const struct args *a, const char *file)
{
    struct sink s = {.args = a, .file = strcmp(file, "-") == 0 ? "standard input" : file};
    struct wdc_config cfg = {.conns_max = a->conns, .on_result = on_result, .ctx = &s};
    FILE *in = open_input(file);
    int status = 1;
    if (!in)
        return status;
    if (getrandom(&cfg.seed, sizeof cfg.seed, GRND_NONBLOCK) < 0)
        cfg.seed = (uint64_t)getpid();
    s.doc = wdc_new(&cfg);
    s.text = a->is_json ? NULL : wdc_text_new(&a->text);
    if (s.doc && (a->is_json || s.text))
        status = examine(&s, in);
    else
        complain(file, strerror(ENOMEM));
    wdc_text_free(s.text);
    wdc_free(s.doc);
    if (in != stdin)
        fclose(in);
    return status;
}

int wdc_doctor_main(int argc, char **argv)
{
    struct args a = {.text = {.is_tty = isatty(STDOUT_FILENO)}};
    int status = parse(&a, argc, argv);
    if (status >= 0)
        return status;
    status = 0;
    for (int i = 0; i < a.file_n; i++) {
        if (i && !a.is_json)
            putchar('\n');
        if (doctor_file(&a, a.files[i]))
            status = 1;
    }
    return status;
}
