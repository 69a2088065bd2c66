/*
 * weir report: reads a trace or a capture, whichever it is, and writes the page.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"
#include "trace/report_read.h"

#define ROWS_LIMIT 40000000u /* 4 GB of memory */

static const char usage[] =
    "usage: weir report FILE [-o OUT.html]\n"
    "\n"
    "Make a page of a run: its connections and how they ended, sequence diagrams, plots of windows and round trips.\n"
    "One HTML file, which any browser opens from disk. FILE is a trace (weir run --trace) or a capture, pcapng or "
    "pcap,\n"
    "of weir's or of any other TCP; - is standard input.\n"
    "\n"
    "  -o, --output OUT  where to: FILE with .html in place of its suffix unless said; - is standard output\n"
    "  --title TEXT      what stands at the top of the page: FILE's name unless said\n"
    "  --events N        keep the first N events (4000000)\n"
    "  -h, --help        this text\n";

struct args {
    const char *file, *output, *title;
    uint32_t events;
};

enum { OPT_TITLE = 256, OPT_EVENTS };

static int bad_usage(const char *what, const char *word)
{
    fprintf(stderr, "weir report: %s%s. See weir report --help\n", what, word);
    return 2;
}

/* -1: go on; else the exit status. */
static int parse(struct args *a, int argc, char **argv)
{
    static const struct option longs[] = {
        {"output", required_argument, NULL, 'o'},
        {"title", required_argument, NULL, OPT_TITLE},
        {"events", required_argument, NULL, OPT_EVENTS},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, ":o:h", longs, NULL)) != -1) {
        char *end;
        switch (c) {
        case 'o': a->output = optarg; break;
        case OPT_TITLE: a->title = optarg; break;
        case OPT_EVENTS: {
            unsigned long n = strtoul(optarg, &end, 10);
            if (*end || end == optarg || *optarg == '-' || n == 0 || n > ROWS_LIMIT)
                return bad_usage("--events: not a number from 1 to 40000000: ", optarg);
            a->events = (uint32_t)n;
            break;
        }
        case 'h': fputs(usage, stdout); return 0;
        case ':': return bad_usage("a value is missing after ", argv[optind - 1]);
        default: return bad_usage("there is no option ", argv[optind - 1]);
        }
    }
    if (optind == argc)
        return bad_usage("which FILE?", "");
    if (optind + 1 < argc)
        return bad_usage("one FILE at a time, not also ", argv[optind + 1]);
    a->file = argv[optind];
    return -1;
}

/* FILE's name with .html; the caller frees it. */
static char *default_output(const char *file)
{
    const char *slash = strrchr(file, '/'), *dot = strrchr(file, '.');
    int len = dot && dot > (slash ? slash + 1 : file) ? (int)(dot - file) : (int)strlen(file);
    char *out = NULL;
    if (strcmp(file, "-") == 0)
        return strdup("-");
    return asprintf(&out, "%.*s.html", len, file) < 0 ? NULL : out;
}

static int complain(const char *file, const char *what)
{
    fprintf(stderr, "weir report: %s: %s\n", file, what);
    return 1;
}

/* Standard input may be a pipe, and what a file is takes a look at its beginning: into a file without a name. */
static FILE *spool(void)
{
    char buf[65536];
    size_t n;
    FILE *copy = tmpfile();
    while (copy && (n = fread(buf, 1, sizeof buf, stdin)) > 0)
        if (fwrite(buf, 1, n, copy) < n)
            break;
    if (copy && (ferror(stdin) || fflush(copy) != 0 || ferror(copy))) {
        fclose(copy);
        return NULL;
    }
    if (copy)
        rewind(copy);
    return copy;
}

static FILE *open_input(const char *file)
{
    struct stat st;
    FILE *in = strcmp(file, "-") == 0 ? spool() : fopen(file, "re");
    if (!in) {
        complain(file, strerror(errno));
        return NULL;
    }
    if (fstat(fileno(in), &st) == 0 && S_ISDIR(st.st_mode)) {
        complain(file, "it is a directory; a trace or a capture is wanted");
        fclose(in);
        return NULL;
    }
    return in;
}

static int read_input(struct wtr_report *r, FILE *in, enum wtr_format format, struct wtr_read *read)
{
    switch (format) {
    case WTR_FORMAT_TRACE: return wtr_read_trace(r, in, read);
    case WTR_FORMAT_PCAP:
    case WTR_FORMAT_PCAPNG: return wtr_read_capture(r, in, format, read);
    case WTR_FORMAT_EMPTY: snprintf(read->err, sizeof read->err, "it is empty"); return -1;
    case WTR_FORMAT_UNKNOWN: break;
    }
    snprintf(read->err, sizeof read->err,
             "it is neither a trace (weir run --trace) nor a capture in pcap or pcapng form");
    return -1;
}

/* What the page doesn't show, on standard error: standard output may be the page. */
static void tell(const struct args *a, const char *output, const struct wtr_report *r, const struct wtr_read *read)
{
    if (read->is_cut)
        fprintf(stderr, "weir report: %s is cut off at its end; what is before that was taken\n", a->file);
    if (read->others)
        fprintf(stderr, "weir report: %" PRIu64 " packets of further interfaces of %s were left out\n", read->others,
                a->file);
    if (wtr_report_left_out(r))
        fprintf(stderr, "weir report: %" PRIu64 " events beyond the first ones were left out; --events N keeps more\n",
                wtr_report_left_out(r));
    fprintf(stderr, "%s: %" PRIu32 " connection%s\n", output, wtr_report_conns(r), wtr_report_conns(r) == 1 ? "" : "s");
}

static int make(const struct args *a, FILE *in, const char *output)
{
    const char *slash = strrchr(a->file, '/'), *name = slash ? slash + 1 : a->file;
    enum wtr_format format = wtr_read_format(in);
    struct wtr_read read = {0};
    struct wtr_report_config cfg = {
        .title = a->title                 ? a->title
                 : strcmp(name, "-") == 0 ? "standard input"
                                          : name,
        .rows_max = a->events,
        .is_one_sided = format != WTR_FORMAT_TRACE,
    };
    struct wtr_report *r = wtr_report_new(&cfg);
    int status = 0, err = 0;

    if (!r)
        return complain(a->file, strerror(ENOMEM));
    if (read_input(r, in, format, &read) < 0)
        status = complain(a->file, read.err);
    else if (wtr_report_conns(r) == 0 && format != WTR_FORMAT_TRACE)
        status = complain(a->file, "there is no TCP in it");
    else if ((err = strcmp(output, "-") == 0 ? wtr_report_write(r, stdout) : wtr_report_save(r, output)) < 0)
        status = complain(output, strerror(-err));
    else
        tell(a, output, r, &read);
    wtr_report_free(r);
    return status;
}

int wcl_report_main(int argc, char **argv)
{
    struct args a = {0};
    int status = parse(&a, argc, argv);
    if (status >= 0)
        return status;
    char *output = a.output ? strdup(a.output) : default_output(a.file);
    FILE *in = output ? open_input(a.file) : NULL;
    status = in ? make(&a, in, output) : 1;
    if (in)
        fclose(in);
    free(output);
    return status;
}
