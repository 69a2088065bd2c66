/*
 * weir lab: lists scenarios, runs one, or all of them.
 */
#include "lab/command.h"

#include "io/units.h"
#include "lab/catalog.h"
#include "lab/play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_MAX 32
#define FILE_MAX     (1u << 20)

static const char help[] =
    "usage: weir lab [LIST]\n"
    "       weir lab NAME|FILE.yaml [--seed N] [--pcap FILE] [--trace FILE] [--html FILE] [--svg FILE]\n"
    "                               [--page FILE] [--doctor] [--OPTION VALUE]...\n"
    "       weir lab all [--seed N]\n"
    "       weir lab show NAME\n"
    "\n"
    "Situations of TCP, played by two or more weir hosts in virtual time (with real programs on them: by the clock).\n"
    "Each tells its story as a sequence diagram, says why, and checks what it claims with a number.\n"
    "\n"
    "  (nothing), list      the scenarios, by chapter\n"
    "  NAME                 run one; a file that ends in .yaml is one of your own (docs/lab/language.md has the "
    "language)\n"
    "  all                  run every one, the claims alone\n"
    "  show NAME            print its file: a beginning for your own\n"
    "  --OPTION VALUE       change what the scenario lets you change: weir lab NAME --help names it\n"
    "  --seed N             other random numbers (1)\n"
    "  --pcap FILE          capture the first link\n"
    "  --trace FILE         every event, as JSON lines\n"
    "  --doctor             what went wrong with each connection, and why, as weir doctor says it of a capture\n"
    "  --html FILE          a page to look at in a browser: diagrams, plots, the claims\n"
    "  --svg FILE           its pictures\n"
    "  --page FILE.md       its page, as docs/lab has it: beside FILE.svg\n"
    "  -h, --help           this\n"
    "\n"
    "The exit status is 0 when all claims held, 1 when one did not, 2 when it could not be run.\n";

/* ---- Finding ---- */

/* A scenario and where it came from. */
struct source {
    const char *name;
    char *text; /* of a file, ours */
    struct wlb_scenario *scenario;
};

static void source_free(struct source *s)
{
    wlb_scenario_free(s->scenario);
    free(s->text);
}

static bool is_file(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".yaml") == 0;
}

static char *read_file(const char *path, size_t *len)
{
    FILE *in = fopen(path, "r");
    char *text = in ? malloc(FILE_MAX) : NULL;
    *len = text ? fread(text, 1, FILE_MAX, in) : 0;
    bool ok = text && !ferror(in) && *len < FILE_MAX;
    if (!ok)
        fprintf(stderr, "weir lab: %s: %s\n", path, text && !ferror(in) ? "longer than 1 MiB" : strerror(errno));
    if (in)
        fclose(in);
    if (ok)
        return text;
    free(text);
    return NULL;
}

static const char *nearest(const char *name)
{
    enum { CAP = 128 };
    const char *names[CAP];
    unsigned n = 0;
    for (const struct wlb_builtin *b; n < CAP && (b = wlb_builtin_at(n));)
        names[n++] = b->name;
    return wio_nearest(names, n, name, strlen(name));
}

static bool find(const char *name, struct source *s)
{
    char err[512];
    const struct wlb_builtin *b = is_file(name) ? NULL : wlb_builtin_find(name);
    *s = (struct source){.name = name};
    size_t len = b ? b->len : 0;
    if (!b && !is_file(name)) {
        const char *near = nearest(name);
        fprintf(stderr, "weir lab: there is no scenario '%s'%s%s%s; weir lab lists them\n", name,
                near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
        return false;
    }
    if (!b && !(s->text = read_file(name, &len)))
        return false;
    s->scenario = wlb_scenario_read(name, b ? b->text : s->text, len, err, sizeof err);
    if (s->scenario)
        return true;
    fprintf(stderr, "weir lab: %s\n", err);
    source_free(s);
    return false;
}

/* ---- Listing ---- */

static int list(void)
{
    struct wlb_catalog *c = wlb_catalog_new();
    if (!c) {
        fputs("weir lab: out of memory\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct wlb_catalog_entry *e = &c->entries[i];
        if (i == 0 || strcmp(e->chapter, e[-1].chapter) != 0)
            printf("%s%s\n", i ? "\n" : "", e->chapter);
        printf("  %-24s %s\n", e->name, e->title);
    }
    wlb_catalog_free(c);
    return 0;
}

static int show(const char *name)
{
    const struct wlb_builtin *b = name ? wlb_builtin_find(name) : NULL;
    if (!b) {
        fprintf(stderr, "weir lab: show: %s%s\n", name ? "there is no scenario " : "which one? weir lab lists them",
                name ? name : "");
        return 2;
    }
    fwrite(b->text, 1, b->len, stdout);
    return 0;
}

/* ---- Running ---- */

static void print_options(const struct source *s)
{
    printf("%s\n\noptions of %s:\n", s->scenario->title, s->name);
    for (unsigned i = 0; i < s->scenario->option_n; i++) {
        const struct wlb_option *o = &s->scenario->options[i];
        printf("  --%-12s %s (%s)\n", o->name, o->about, o->value);
    }
    puts("and --seed, --pcap, --trace, --doctor, --html, --svg, --page: weir lab --help");
}

struct command {
    struct wlb_play_opts play;
    const char *settings[2 * SETTINGS_MAX];
    bool wants_help;
};

static bool is_option_of(const struct wlb_scenario *sc, const char *name)
{
    for (unsigned i = 0; i < sc->option_n; i++) {
        if (strcmp(sc->options[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool unknown_option(const struct source *s, const char *word)
{
    fprintf(stderr, "weir lab: %s has no option '%s'; weir lab %s --help names those that it has\n",
            s ? s->name : "all", word, s ? s->name : "NAME");
    return false;
}

/* The words behind the scenario's name; s NULL: behind "all". */
static bool read_words(struct command *c, const struct source *s, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            c->wants_help = true;
            return true;
        }
        if (s && strcmp(word, "--doctor") == 0) {
            c->play.wants_doctor = true;
            continue;
        }
        if (strncmp(word, "--", 2) != 0)
            return unknown_option(s, word);
        if (i + 1 == argc) {
            fprintf(stderr, "weir lab: %s wants a value behind it\n", word);
            return false;
        }
        const char *value = argv[++i];
        if (strcmp(word, "--seed") == 0) {
            if (!wio_unit_parse(WIO_UNIT_COUNT, value, strlen(value), &c->play.seed)) {
                fprintf(stderr, "weir lab: --seed: '%s' is no whole number\n", value);
                return false;
            }
        } else if (s && strcmp(word, "--pcap") == 0) {
            c->play.pcap = value;
        } else if (s && strcmp(word, "--trace") == 0) {
            c->play.trace = value;
        } else if (s && strcmp(word, "--html") == 0) {
            c->play.html = value;
        } else if (s && strcmp(word, "--svg") == 0) {
            c->play.svg = value;
        } else if (s && strcmp(word, "--page") == 0) {
            c->play.page = value;
        } else if (s && is_option_of(s->scenario, word + 2) && c->play.setting_n < SETTINGS_MAX) {
            c->settings[2 * c->play.setting_n] = word + 2;
            c->settings[2 * c->play.setting_n++ + 1] = value;
        } else {
            return unknown_option(s, word);
        }
    }
    return true;
}

static int run_one(const char *name, int argc, char **argv)
{
    struct source s;
    struct command c = {.play = {.seed = 1, .out = stdout, .is_tty = isatty(STDOUT_FILENO)}};
    struct wlb_result r = {0};
    int status = 2;
    if (!find(name, &s))
        return status;
    c.play.settings = c.settings;
    if (!read_words(&c, &s, argc, argv)) {
        source_free(&s);
        return status;
    }
    if (c.wants_help) {
        print_options(&s);
        status = 0;
    } else {
        status = wlb_play(name, s.scenario, &c.play, &r) ? 0 : r.err[0] ? 2 : 1;
        if (r.err[0])
            fprintf(stderr, "weir lab: %s\n", r.err);
        else
            printf("\n%u passed, %u failed\n", r.passed, r.failed);
    }
    source_free(&s);
    return status;
}

static int run_all(int argc, char **argv)
{
    struct command c = {.play = {.seed = 1, .out = stdout, .is_tty = isatty(STDOUT_FILENO), .is_brief = true}};
    unsigned passed = 0, failed = 0;
    if (!read_words(&c, NULL, argc, argv))
        return 2;
    if (c.wants_help) {
        fputs(help, stdout);
        return 0;
    }
    for (unsigned i = 0; wlb_builtin_at(i); i++) {
        struct source s;
        struct wlb_result r;
        if (!find(wlb_builtin_at(i)->name, &s))
            return 2;
        printf("%s: %s\n", s.name, s.scenario->title);
        wlb_play(s.name, s.scenario, &c.play, &r);
        if (r.err[0])
            printf("%s %s\n", r.is_missing ? "skipped:" : "FAILED", r.err);
        passed += r.passed;
        failed += r.failed + (r.err[0] && !r.is_missing);
        source_free(&s);
    }
    printf("\n%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

int wlb_lab_main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "list";
    if (strcmp(what, "-h") == 0 || strcmp(what, "--help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    if (strcmp(what, "list") == 0)
        return list();
    if (strcmp(what, "show") == 0)
        return show(argc > 2 ? argv[2] : NULL);
    if (strcmp(what, "all") == 0)
        return run_all(argc - 2, argv + 2);
    return run_one(what, argc - 2, argv + 2);
}
