/*
 * Reading the command line (options.h). What isn't ours is an option of packetdrill's and goes to the script.
 */
#include "drill/options.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drill/arena.h"
#include "drill/settings.h"

#define JOBS_MAX 64

static const char help[] =
    "usage: weir drill [OPTION]... FILE.pkt|FOLDER...\n"
    "\n"
    "Play TCP tests in packetdrill's language against weir: in virtual time, in this process, without root.\n"
    "\n"
    "  -j N              play N scripts at once\n"
    "  -D NAME=VALUE     in the script, NAME means VALUE\n"
    "  --seed N          of the stack's random numbers\n"
    "  --pcap FILE       capture the packets of the script, each with its line\n"
    "  --trace FILE      every event of the stack, as JSON lines\n"
    "  -v, --verbose     every event of the stack, as text\n"
    "  --update          rewrite what the script expects into what came; read the difference before you keep it\n"
    "  --record          compare nothing: print each packet and result, with its time, up to the last event's\n"
    "  --tap             report as TAP\n"
    "  --junit FILE      report as JUnit's XML too\n"
    "  -q, --quiet       report failures alone\n"
    "  --so FILE         play against a library with packetdrill's interface, such as libweir-packetdrill.so\n"
    "  --live            that library's clock is the real one\n"
    "  -h, --help        this\n"
    "\n"
    "packetdrill's own: --ip_version=ipv4|ipv6|ipv4-mapped-ipv6 --mtu=N --local_ip=A --remote_ip=A --bind_port=N\n"
    "--connect_port=N --tolerance_usecs=N --tolerance_percent=N --strict_segments. They win over the script's.\n"
    "\n"
    "The exit status is 0 when all passed, 1 when one failed, 2 when a script can't be played.\n";

struct reading {
    struct wdr_drill_opts *o;
    int argc, i;
    char **argv;
    struct wdr_setting **settings_tail;
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "weir drill: %s: %s\n", what, why);
    return -1;
}

/* ---- Paths ---- */

static void add_path(struct wdr_drill_opts *o, const char *path)
{
    const char **more = realloc(o->paths, (o->path_n + 1) * sizeof *more);
    if (!more)
        abort();
    o->paths = more;
    o->paths[o->path_n++] = wdr_arena_text(o->arena, path, strlen(path));
}

static int is_script(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return d->d_name[0] != '.' && (d->d_type == DT_DIR || (n > 4 && strcmp(d->d_name + n - 4, ".pkt") == 0));
}

/* A script, or all scripts below a folder, in alphabetical order. */
static int add_tree(struct wdr_drill_opts *o, const char *path)
{
    struct stat st;
    struct dirent **list;
    char below[4096];
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        add_path(o, path);
        return 0;
    }
    int n = scandir(path, &list, is_script, alphasort);
    if (n < 0)
        return complain(path, "can't be read");
    for (int i = 0; i < n; i++) {
        if (snprintf(below, sizeof below, "%s/%s", path, list[i]->d_name) < (int)sizeof below)
            add_tree(o, below);
        free(list[i]);
    }
    free(list);
    return 0;
}

/* ---- Options ---- */

static int add_define(struct reading *r, const char *text)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return complain(text, "-D wants NAME=VALUE");
    struct wdr_define *d = wdr_arena_take(r->o->arena, sizeof *d);
    d->name = wdr_arena_text(r->o->arena, text, (size_t)(eq - text));
    d->value = eq + 1;
    d->next = r->o->run.defines;
    r->o->run.defines = d;
    return 0;
}

/* "--name=value" for the scripts: refused here when no script could have it. */
static int add_setting(struct reading *r, const char *word)
{
    struct wdr_settings probe;
    struct wdr_error error;
    const char *eq = strchr(word, '=');
    struct wdr_setting *s = wdr_arena_take(r->o->arena, sizeof *s);
    s->name = eq ? wdr_arena_text(r->o->arena, word + 2, (size_t)(eq - word) - 2) : word + 2;
    s->value = eq ? eq + 1 : "";
    wdr_settings_init(&probe);
    if (!wdr_settings_take(&probe, s, &error)) {
        fprintf(stderr, "weir drill: %s\n", error.text);
        return -1;
    }
    *r->settings_tail = s;
    r->settings_tail = &s->next;
    return strcmp(s->name, "define") == 0 ? add_define(r, s->value) : 0;
}

/* The value of an option "--word VALUE" or "--word=VALUE"; NULL: it isn't this one. */
static const char *value_of(struct reading *r, const char *word)
{
    const char *arg = r->argv[r->i];
    size_t n = strlen(word);
    if (strncmp(arg, word, n) != 0)
        return NULL;
    if (arg[n] == '=')
        return arg + n + 1;
    if (arg[n] == '\0' && r->i + 1 < r->argc && r->argv[r->i + 1])
        return r->argv[++r->i];
    return NULL;
}

static int read_number(const char *word, const char *text, unsigned long long max, uint64_t *out)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 0);
    if (end == text || *end || *text == '-' || v > max)
        return complain(word, "wants a number");
    *out = v;
    return 0;
}

/* 1: it was one of them, 0: it wasn't, -1. */
static int read_flag(struct reading *r)
{
    const char *arg = r->argv[r->i];
    struct wdr_drill_opts *o = r->o;
    if (strcmp(arg, "-q") == 0 || strcmp(arg, "--quiet") == 0)
        o->is_quiet = true;
    else if (strcmp(arg, "-v") == 0 || strcmp(arg, "--verbose") == 0)
        o->is_verbose = true;
    else if (strcmp(arg, "--tap") == 0)
        o->is_tap = true;
    else if (strcmp(arg, "--live") == 0)
        o->run.is_live = true;
    else if (strcmp(arg, "--record") == 0)
        o->run.is_record = true;
    else if (strcmp(arg, "--update") == 0)
        o->run.is_update = true;
    else
        return 0;
    return 1;
}

static int read_valued(struct reading *r)
{
    const char *v;
    uint64_t n;
    struct wdr_drill_opts *o = r->o;
    if ((v = value_of(r, "--pcap")))
        o->run.pcap = v;
    else if ((v = value_of(r, "--trace")))
        o->run.json = v;
    else if ((v = value_of(r, "--junit")))
        o->junit = v;
    else if ((v = value_of(r, "--so")))
        o->run.so = v;
    else if ((v = value_of(r, "--seed")))
        return read_number("--seed", v, UINT64_MAX, &o->run.seed) < 0 ? -1 : 1;
    else if (strncmp(r->argv[r->i], "-D", 2) == 0) {
        v = r->argv[r->i][2] ? r->argv[r->i] + 2 : r->i + 1 < r->argc ? r->argv[++r->i] : "";
        return add_define(r, v) < 0 ? -1 : 1;
    } else if (strncmp(r->argv[r->i], "-j", 2) == 0) {
        v = r->argv[r->i][2] ? r->argv[r->i] + 2 : r->i + 1 < r->argc ? r->argv[++r->i] : "";
        if (read_number("-j", v, JOBS_MAX, &n) < 0)
            return -1;
        o->jobs = n ? (unsigned)n : 1;
    } else {
        return 0;
    }
    return 1;
}

static int read_one(struct reading *r)
{
    const char *arg = r->argv[r->i];
    if (arg[0] != '-' || !arg[1])
        return add_tree(r->o, arg);
    int taken = read_flag(r);
    if (!taken)
        taken = read_valued(r);
    if (taken)
        return taken < 0 ? -1 : 0;
    if (strncmp(arg, "--", 2) == 0 && arg[2])
        return add_setting(r, arg);
    return complain(arg, "no such option. See weir drill --help");
}

static int check(const struct wdr_drill_opts *o)
{
    if (o->path_n == 0)
        return complain("no script", "name a .pkt file or a folder of them");
    if (o->path_n > 1 && (o->run.pcap || o->run.json))
        return complain("--pcap, --trace", "they take one script at a time");
    if (o->run.so && (o->run.json || o->is_verbose))
        return complain("--trace, --verbose", "another library tells its events itself, if at all");
    if (o->run.so && o->run.is_update && !o->run.is_live)
        return complain("--update", "it takes the word of weir or, live, of a kernel");
    return 0;
}

int wdr_opts_parse(struct wdr_drill_opts *o, int argc, char **argv)
{
    *o = (struct wdr_drill_opts){.jobs = 1, .arena = wdr_arena_new()};
    struct reading r = {.o = o, .argc = argc, .argv = argv};
    struct wdr_setting *first = NULL;
    r.settings_tail = &first;
    if (!o->arena)
        return complain("no start", "out of memory");
    for (r.i = 1; r.i < argc; r.i++) {
        if (strcmp(argv[r.i], "--help") == 0 || strcmp(argv[r.i], "-h") == 0) {
            fputs(help, stdout);
            return 1;
        }
        if (read_one(&r) < 0)
            return -1;
    }
    o->run.settings = first;
    if (o->run.so)
        o->jobs = 1; /* a library has but one clock */
    return check(o);
}

void wdr_opts_free(struct wdr_drill_opts *o)
{
    free(o->paths);
    wdr_arena_free(o->arena);
}
