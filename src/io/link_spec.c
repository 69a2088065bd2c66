/*
 * A link's words (link_spec.h): one table says for each its unit, its range and an example.
 */
#include "io/link_spec.h"

#include "io/spec_text.h"
#include "io/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRIPT_CAP 65536 /* bytes of a script's file */

struct word {
    const char *name;
    const char *example;
    enum wio_unit unit;
    uint64_t min, max;
    size_t off;  /* of the member in struct wio_dir_config */
    size_t size; /* of that member */
};

#define MEMBER(m) offsetof(struct wio_dir_config, m), sizeof(((struct wio_dir_config *)0)->m)

static const struct word words[] = {
    {"rate", "rate=10mbit", WIO_UNIT_RATE, 8, UINT64_C(10000000000000), MEMBER(rate_bps)},
    {"queue", "queue=64k", WIO_UNIT_SIZE, 1, UINT64_C(1) << 40, MEMBER(queue_bytes)},
    {"delay", "delay=40ms", WIO_UNIT_TIME, 0, WIO_SPEC_TIME_MAX, MEMBER(delay)},
    {"jitter", "jitter=5ms", WIO_UNIT_TIME, 0, WIO_SPEC_TIME_MAX, MEMBER(jitter)},
    {"jitter-corr", "jitter-corr=25%", WIO_UNIT_PERCENT, 0, WIO_PROB_ONE, MEMBER(jitter_corr)},
    {"loss", "loss=1%", WIO_UNIT_PERCENT, 0, WIO_PROB_ONE, MEMBER(loss)},
    {"burst", "burst=3", WIO_UNIT_MILLI, 1000, 1000000000, MEMBER(burst_milli)},
    {"reorder", "reorder=2%", WIO_UNIT_PERCENT, 0, WIO_PROB_ONE, MEMBER(reorder)},
    {"gap", "gap=5", WIO_UNIT_COUNT, 1, 1000000, MEMBER(reorder_gap)},
    {"dup", "dup=1%", WIO_UNIT_PERCENT, 0, WIO_PROB_ONE, MEMBER(duplicate)},
    {"corrupt", "corrupt=0.1%", WIO_UNIT_PERCENT, 0, WIO_PROB_ONE, MEMBER(corrupt)},
    {"police", "police=10mbit", WIO_UNIT_RATE, 8, UINT64_C(10000000000000), MEMBER(police_bps)},
    {"bucket", "bucket=32k", WIO_UNIT_SIZE, 1, UINT64_C(1) << 40, MEMBER(bucket_bytes)},
    {"ecn", "ecn=30k", WIO_UNIT_SIZE, 1, UINT64_C(1) << 40, MEMBER(ecn_bytes)},
    {"ecn", "ecn=1ms", WIO_UNIT_TIME, 0, WIO_SPEC_TIME_MAX, MEMBER(ecn_wait)},
    {"codel", "codel=5ms", WIO_UNIT_TIME, 0, WIO_SPEC_TIME_MAX, MEMBER(codel_target)},
    {"interval", "interval=100ms", WIO_UNIT_TIME, 0, WIO_SPEC_TIME_MAX, MEMBER(codel_interval)},
    {"ce", "ce=1%", WIO_UNIT_PERCENT, 0, WIO_PROB_ONE, MEMBER(ce)},
};
#define WORD_N (sizeof words / sizeof words[0])

static const char *const names[] = {"rate",     "queue", "delay", "jitter",  "jitter-corr", "dist",   "loss", "burst",
                                    "reorder",  "gap",   "dup",   "corrupt", "police",      "bucket", "ecn",  "codel",
                                    "interval", "ce",    "drop",  "rule",    "script",      "clean"};
#define NAME_N (sizeof names / sizeof names[0])

/* A specification being read. */
struct parse {
    struct wio_link_config cfg;
    const char *word; /* the one under work, not NUL-terminated */
    size_t word_len;
    const char *name; /* of it, without up. or down. */
    size_t name_len;
    const char *value; /* NULL: there is no '=' */
    size_t value_len;
    unsigned dirs; /* bits 1 << enum wio_dir */
    char *err;
    size_t err_cap;
};

const char *wio_join(const char *const *list, size_t n, char *buf, size_t cap)
{
    size_t at = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < n && at < cap; i++)
        at += (size_t)snprintf(buf + at, cap - at, "%s%s", i ? ", " : "", list[i]);
    return buf;
}

__attribute__((format(printf, 2, 3))) static int fail(struct parse *p, const char *form, ...)
{
    va_list args;
    int n = snprintf(p->err, p->err_cap, "\"%.*s\": ", wio_shown(p->word_len), p->word);
    va_start(args, form);
    if (n >= 0 && (size_t)n < p->err_cap)
        vsnprintf(p->err + n, p->err_cap - (size_t)n, form, args);
    va_end(args);
    return -WEIR_EINVAL;
}

static bool is_named(const struct parse *p, const char *name)
{
    return p->name_len == strlen(name) && memcmp(p->name, name, p->name_len) == 0;
}

static void store(struct wio_dir_config *d, const struct word *w, uint64_t v)
{
    uint32_t narrow = (uint32_t)v;
    memcpy((uint8_t *)d + w->off, w->size == sizeof v ? (const void *)&v : (const void *)&narrow, w->size);
}

static uint64_t load(const struct wio_dir_config *d, const struct word *w)
{
    uint64_t v = 0;
    uint32_t narrow = 0;
    if (w->size == sizeof v)
        memcpy(&v, (const uint8_t *)d + w->off, sizeof v);
    else
        memcpy(&narrow, (const uint8_t *)d + w->off, sizeof narrow);
    return w->size == sizeof v ? v : narrow;
}

static int read_value(struct parse *p, const struct word *w)
{
    char bound[32];
    uint64_t v;
    if (!wio_unit_parse(w->unit, p->value, p->value_len, &v))
        return fail(p, "\"%.*s\" is not %s; write it as %s", wio_shown(p->value_len), p->value, wio_unit_name(w->unit),
                    w->example);
    if (v > w->max)
        return fail(p, "at most %s; for example %s", wio_unit_format(w->unit, w->max, bound, sizeof bound), w->example);
    if (v != 0 && v < w->min)
        return fail(p, "at least %s; for example %s", wio_unit_format(w->unit, w->min, bound, sizeof bound),
                    w->example);
    for (int dir = 0; dir < 2; dir++)
        if (p->dirs & 1u << dir)
            store(&p->cfg.dir[dir], w, v);
    return 0;
}

/* ecn=30k or ecn=1ms: so many bytes, or so long a wait. Either takes the other's place. */
static int read_ecn(struct parse *p, const struct word *size, const struct word *time)
{
    uint64_t v;
    bool is_size = wio_unit_parse(WIO_UNIT_SIZE, p->value, p->value_len, &v);
    if (!is_size && !wio_unit_parse(WIO_UNIT_TIME, p->value, p->value_len, &v))
        return fail(p, "\"%.*s\" is neither a size nor a time; write it as %s or %s", wio_shown(p->value_len), p->value,
                    size->example, time->example);
    for (int dir = 0; dir < 2; dir++)
        if (p->dirs & 1u << dir)
            store(&p->cfg.dir[dir], is_size ? time : size, 0);
    return read_value(p, is_size ? size : time);
}

static int read_dist(struct parse *p)
{
    bool is_normal = p->value_len == 6 && memcmp(p->value, "normal", 6) == 0;
    if (!is_normal && !(p->value_len == 7 && memcmp(p->value, "uniform", 7) == 0))
        return fail(p, "the jitter's distribution is uniform or normal; write dist=normal");
    for (int dir = 0; dir < 2; dir++)
        if (p->dirs & 1u << dir)
            p->cfg.dir[dir].dist = is_normal ? WIO_DIST_NORMAL : WIO_DIST_UNIFORM;
    return 0;
}

static const char *dir_suffix(const struct parse *p)
{
    return p->dirs == 1u << WIO_UP ? " up" : p->dirs == 1u << WIO_DOWN ? " down" : "";
}

/* drop=data:3:conn:1, rule=dup:data:2 */
static int read_rule(struct parse *p, const char *action)
{
    char text[256], why[256];
    int n = snprintf(text, sizeof text, "%s%.*s%s", action, (int)p->value_len, p->value, dir_suffix(p));
    if (p->value_len >= sizeof text || n >= (int)sizeof text)
        return fail(p, "too long for a rule");
    if (wio_link_rule_parse(&p->cfg, text, why, sizeof why) != 0)
        return fail(p, "%s", why);
    return 0;
}

/* Read a whole, ordinary, small file. Returns its length, or a negative errno. */
static ssize_t slurp(const char *path, char *buf, size_t cap)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    ssize_t len = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : st.st_size >= (off_t)cap ? -EFBIG : 0;
    for (ssize_t n = 1; len >= 0 && n > 0 && (size_t)len < cap; len += n) {
        n = read(fd, buf + len, cap - (size_t)len);
        if (n < 0) {
            len = -errno;
            break;
        }
    }
    close(fd);
    return len;
}

/* script=FILE: a rule a line, # to the end of it is a comment. */
static int read_script(struct parse *p)
{
    char text[SCRIPT_CAP + 1];
    char path[256], why[256];
    if (p->value_len == 0 || p->value_len >= sizeof path)
        return fail(p, "wants the name of a file, as in script=drops.txt");
    memcpy(path, p->value, p->value_len);
    path[p->value_len] = '\0';
    ssize_t len = slurp(path, text, SCRIPT_CAP);
    if (len < 0)
        return fail(p, "can't read it: %s", strerror((int)-len));
    text[len] = '\0';
    unsigned line_no = 0;
    for (char *line = text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        line_no++;
        line[strcspn(line, "#")] = '\0';
        if (line[strspn(line, " \t\r")] == '\0')
            continue;
        char rule[256];
        int n = snprintf(rule, sizeof rule, "%s%s", line, dir_suffix(p));
        if (n >= (int)sizeof rule)
            return fail(p, "line %u: too long for a rule", line_no);
        if (wio_link_rule_parse(&p->cfg, rule, why, sizeof why) != 0)
            return fail(p, "line %u: %s", line_no, why);
    }
    return 0;
}

static int fail_unknown(struct parse *p)
{
    char list[256];
    const char *near = wio_nearest(names, NAME_N, p->name, p->name_len);
    if (near)
        return fail(p, "no word \"%.*s\"; did you mean \"%s\"?", wio_shown(p->name_len), p->name, near);
    return fail(p, "no word \"%.*s\"; there are %s, each with up. or down. before it for one direction",
                wio_shown(p->name_len), p->name, wio_join(names, NAME_N, list, sizeof list));
}

static const char *example_of(const struct parse *p)
{
    for (size_t i = 0; i < WORD_N; i++)
        if (is_named(p, words[i].name))
            return words[i].example;
    return is_named(p, "dist")     ? "dist=normal"
           : is_named(p, "drop")   ? "drop=data:3"
           : is_named(p, "rule")   ? "rule=dup:data:2"
           : is_named(p, "script") ? "script=drops.txt"
                                   : NULL;
}

static int read_word(struct parse *p)
{
    const char *example = example_of(p);
    if (is_named(p, "clean") && !p->value)
        return 0;
    if (!example)
        return fail_unknown(p);
    if (!p->value)
        return fail(p, "wants a value, as in %s", example);
    for (size_t i = 0; i < WORD_N; i++)
        if (is_named(p, words[i].name))
            return is_named(p, "ecn") ? read_ecn(p, &words[i], &words[i + 1]) : read_value(p, &words[i]);
    if (is_named(p, "dist"))
        return read_dist(p);
    if (is_named(p, "drop"))
        return read_rule(p, "drop ");
    return is_named(p, "rule") ? read_rule(p, "") : read_script(p);
}

/* Find the next word's parts. false: there is none. */
static bool next_word(struct parse *p, const char **text)
{
    static const char blanks[] = " \t\r\n,";
    p->word = *text + strspn(*text, blanks);
    p->word_len = strcspn(p->word, blanks);
    *text = p->word + p->word_len;
    p->name = p->word;
    p->dirs = 1u << WIO_UP | 1u << WIO_DOWN;
    if (strncmp(p->name, "up.", 3) == 0) {
        p->dirs = 1u << WIO_UP;
        p->name += 3;
    } else if (strncmp(p->name, "down.", 5) == 0) {
        p->dirs = 1u << WIO_DOWN;
        p->name += 5;
    }
    size_t left = (size_t)(*text - p->name);
    const char *equals = memchr(p->name, '=', left);
    p->name_len = equals ? (size_t)(equals - p->name) : left;
    p->value = equals ? equals + 1 : NULL;
    p->value_len = equals ? left - p->name_len - 1 : 0;
    return p->word_len > 0;
}

/* Marking looks at the queue before the transmitter, so there must be one. */
static int check_marking(const struct wio_dir_config *d, char *err, size_t err_cap)
{
    const char *word = d->ecn_bytes || d->ecn_wait ? "ecn" : d->codel_target ? "codel" : NULL;
    if (word && d->rate_bps == 0) {
        snprintf(err, err_cap, "\"%s\": marks by the queue before the transmitter, so it wants one; add rate=10mbit",
                 word);
        return -WEIR_EINVAL;
    }
    if (d->codel_interval && d->codel_target == 0) {
        snprintf(err, err_cap, "\"interval\": is CoDel's, so it wants its target; add codel=5ms");
        return -WEIR_EINVAL;
    }
    return 0;
}

/* What only shows once all words are there. */
static int check_whole(const struct wio_link_config *cfg, char *err, size_t err_cap)
{
    for (int dir = 0; dir < 2; dir++) {
        const struct wio_dir_config *d = &cfg->dir[dir];
        if (d->reorder && d->delay == 0 && d->jitter == 0) {
            snprintf(err, err_cap, "\"reorder\": there is nothing to overtake without a delay; add delay=10ms");
            return -WEIR_EINVAL;
        }
        if (d->burst_milli && d->loss == 0) {
            snprintf(err, err_cap, "\"burst\": says how losses cluster, so it wants loss as well; add loss=1%%");
            return -WEIR_EINVAL;
        }
        if (d->bucket_bytes && d->police_bps == 0) {
            snprintf(err, err_cap, "\"bucket\": is the policer's, so it wants one; add police=10mbit");
            return -WEIR_EINVAL;
        }
        if (check_marking(d, err, err_cap) != 0)
            return -WEIR_EINVAL;
        /* Runs of mean length b with at least one packet between them lose at most b in b + 1. */
        uint64_t most = (uint64_t)d->burst_milli * WIO_PROB_ONE / (d->burst_milli + 1000u);
        if (d->burst_milli && d->loss < WIO_PROB_ONE && d->loss > most) {
            char text[32];
            snprintf(err, err_cap,
                     "\"burst\": runs of that length lose at most %s; a larger burst or a smaller loss, as in "
                     "loss=2%% burst=3",
                     wio_unit_format(WIO_UNIT_PERCENT, most / 100000 * 100000, text, sizeof text));
            return -WEIR_EINVAL;
        }
    }
    return 0;
}

int wio_link_spec_parse(struct wio_link_config *cfg, const char *text, char *err, size_t err_cap)
{
    struct parse p = {.cfg = *cfg, .err = err, .err_cap = err_cap};
    while (next_word(&p, &text)) {
        int bad = read_word(&p);
        if (bad)
            return bad;
    }
    int bad = check_whole(&p.cfg, err, err_cap);
    if (!bad)
        *cfg = p.cfg;
    return bad;
}

/* ---- Writing ---- */

struct out {
    char *buf;
    size_t cap, at;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *form, ...)
{
    va_list args;
    if (o->at > 0 && o->at + 1 < o->cap)
        o->buf[o->at++] = ' ';
    va_start(args, form);
    int n = vsnprintf(o->buf + o->at, o->cap - o->at, form, args);
    va_end(args);
    o->at = n < 0 || (size_t)n >= o->cap - o->at ? o->cap - 1 : o->at + (size_t)n;
}

static void put_dist(struct out *o, const struct wio_link_config *cfg)
{
    bool up = cfg->dir[WIO_UP].dist == WIO_DIST_NORMAL, down = cfg->dir[WIO_DOWN].dist == WIO_DIST_NORMAL;
    if (up || down)
        put(o, "%sdist=normal", up && down ? "" : up ? "up." : "down.");
}

const char *wio_link_spec_format(const struct wio_link_config *cfg, char *buf, size_t cap)
{
    struct out o = {buf, cap, 0};
    char text[32], rule[160];
    buf[0] = '\0';
    for (size_t i = 0; i < WORD_N; i++) {
        const struct word *w = &words[i];
        uint64_t up = load(&cfg->dir[WIO_UP], w), down = load(&cfg->dir[WIO_DOWN], w);
        if (up == down && up)
            put(&o, "%s=%s", w->name, wio_unit_format(w->unit, up, text, sizeof text));
        if (up != down && up)
            put(&o, "up.%s=%s", w->name, wio_unit_format(w->unit, up, text, sizeof text));
        if (up != down && down)
            put(&o, "down.%s=%s", w->name, wio_unit_format(w->unit, down, text, sizeof text));
    }
    put_dist(&o, cfg);
    for (unsigned i = 0; i < cfg->rule_n; i++) {
        wio_link_rule_format(&cfg->rules[i], rule, sizeof rule);
        put(&o, "%s", rule);
    }
    if (o.at == 0)
        put(&o, "clean");
    return buf;
}
