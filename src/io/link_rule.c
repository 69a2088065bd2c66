/*
 * The script language of a link (docs/link.md): "drop data 3 of conn 1 down". Words are separated by blanks, or by ':'
 * where blanks can't be, as in drop=data:3:conn:1.
 */
#include "io/link_spec.h"

#include "io/spec_text.h"
#include "io/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TOKENS_MAX 12
#define FORM       "a rule is ACTION PACKET NUMBER [of conn N] [up|down], as in \"drop data 3 of conn 1\""

static const char *const actions[] = {"drop", "delay", "dup", "corrupt", "mark"};
static const char *const matches[] = {"pkt", "syn", "synack", "data", "fin", "rst", "ack", "udp", "other"};

struct token {
    const char *text;
    size_t len;
};

/* A rule under construction. */
struct parse {
    struct token tokens[TOKENS_MAX];
    unsigned n, at;
    struct wio_rule rule;
    bool has_range, has_delay;
    char *err;
    size_t err_cap;
};

static bool is(const struct token *t, const char *word)
{
    return t->len == strlen(word) && memcmp(t->text, word, t->len) == 0;
}

static int fail(struct parse *p, const struct token *t, const char *what)
{
    snprintf(p->err, p->err_cap, "\"%.*s\": %s; " FORM, t ? wio_shown(t->len) : 0, t ? t->text : "", what);
    return -WEIR_EINVAL;
}

static int fail_choice(struct parse *p, const struct token *t, const char *what, const char *const *names, size_t n)
{
    char list[128];
    const char *near = wio_nearest(names, n, t->text, t->len);
    if (near)
        snprintf(p->err, p->err_cap, "\"%.*s\": no such %s; did you mean \"%s\"?", wio_shown(t->len), t->text, what,
                 near);
    else
        snprintf(p->err, p->err_cap, "\"%.*s\": no such %s; there are %s", wio_shown(t->len), t->text, what,
                 wio_join(names, n, list, sizeof list));
    return -WEIR_EINVAL;
}

static bool split(struct parse *p, const char *text)
{
    static const char blanks[] = " \t\r\n:";
    for (;;) {
        text += strspn(text, blanks);
        size_t len = strcspn(text, blanks);
        if (len == 0)
            return true;
        if (p->n == TOKENS_MAX)
            return false;
        p->tokens[p->n++] = (struct token){text, len};
        text += len;
    }
}

/* Returns the index of the token among the names, n when it is none of them. */
static size_t choose(const struct token *t, const char *const *names, size_t n)
{
    size_t i = 0;
    while (i < n && !is(t, names[i]))
        i++;
    return i;
}

/* The number after "conn" or "every". */
static int read_count(struct parse *p, const char *what, uint32_t max, uint32_t *out)
{
    const struct token *t = p->at < p->n ? &p->tokens[p->at++] : NULL;
    uint64_t v;
    if (!t || !wio_unit_parse(WIO_UNIT_COUNT, t->text, t->len, &v) || v == 0 || v > max)
        return fail(p, t, what);
    *out = (uint32_t)v;
    return 0;
}

/* "3", "3-5" or "3-": false for anything else. */
static bool read_range(struct parse *p, const struct token *t)
{
    const char *dash = memchr(t->text, '-', t->len);
    size_t first_len = dash ? (size_t)(dash - t->text) : t->len;
    uint64_t first, last;
    if (!wio_unit_parse(WIO_UNIT_COUNT, t->text, first_len, &first))
        return false;
    last = dash ? UINT32_MAX : first;
    size_t last_len = t->len - first_len;
    if (last_len > 1 && !wio_unit_parse(WIO_UNIT_COUNT, dash + 1, last_len - 1, &last))
        return false;
    if (first == 0 || last < first || first > UINT32_MAX || last > UINT32_MAX)
        return false;
    p->rule.first = (uint32_t)first;
    p->rule.last = (uint32_t)last;
    p->has_range = true;
    return true;
}

static bool read_delay(struct parse *p, const struct token *t)
{
    uint64_t ns;
    if (p->rule.action != WIO_DELAY || !p->has_range || !wio_unit_parse(WIO_UNIT_TIME, t->text, t->len, &ns) ||
        ns > WIO_SPEC_TIME_MAX)
        return false;
    p->rule.delay = ns;
    p->has_delay = true;
    return true;
}

/* One of what may follow action and packet. */
static int read_tail(struct parse *p)
{
    const struct token *t = &p->tokens[p->at++];
    if (is(t, "of"))
        return 0;
    if (is(t, "conn"))
        return read_count(p, "connections count from 1 to 1024", WIO_RULE_CONN_MAX, &p->rule.conn);
    if (is(t, "every"))
        return read_count(p, "\"every\" wants a number, as in \"drop data all every 10\"", UINT32_MAX, &p->rule.every);
    if (is(t, "all") && !p->has_range) {
        p->has_range = true;
        return 0;
    }
    if (!p->has_range && read_range(p, t))
        return 0;
    if (read_delay(p, t))
        return 0;
    return fail(p, t, p->has_range ? "not understood" : "no number: packets count from 1, as in 3, 3-5, 3- or all");
}

/* "up" and "down" may stand anywhere; take them out. */
static void take_dirs(struct parse *p)
{
    unsigned kept = 0;
    uint8_t dirs = 0;
    for (unsigned i = 0; i < p->n; i++) {
        if (is(&p->tokens[i], "up"))
            dirs |= 1 << WIO_UP;
        else if (is(&p->tokens[i], "down"))
            dirs |= 1 << WIO_DOWN;
        else
            p->tokens[kept++] = p->tokens[i];
    }
    p->n = kept;
    p->rule.dirs = dirs ? dirs : 1 << WIO_UP | 1 << WIO_DOWN;
}

static int parse_rule(struct parse *p)
{
    if (p->n < 2)
        return fail(p, p->n ? &p->tokens[0] : NULL, "not a whole rule");
    size_t action = choose(&p->tokens[0], actions, WIO_ACTION_N), match = choose(&p->tokens[1], matches, WIO_MATCH_N);
    if (action == WIO_ACTION_N)
        return fail_choice(p, &p->tokens[0], "action", actions, WIO_ACTION_N);
    if (match == WIO_MATCH_N)
        return fail_choice(p, &p->tokens[1], "packet", matches, WIO_MATCH_N);
    p->rule.action = (enum wio_action)action;
    p->rule.match = (enum wio_match)match;
    for (p->at = 2; p->at < p->n;) {
        int err = read_tail(p);
        if (err)
            return err;
    }
    if (p->rule.action == WIO_DELAY && !p->has_delay)
        return fail(p, &p->tokens[0], "by how much is missing, as in \"delay ack 5 30ms\"");
    return 0;
}

int wio_link_rule_parse(struct wio_link_config *cfg, const char *text, char *err, size_t err_cap)
{
    struct parse p = {.rule = {.first = 1, .last = UINT32_MAX}, .err = err, .err_cap = err_cap};
    if (!split(&p, text))
        return fail(&p, &p.tokens[0], "too many words for a rule");
    if (cfg->rule_n == WIO_RULES_MAX) {
        snprintf(err, err_cap, "more than %d rules", WIO_RULES_MAX);
        return -WEIR_EINVAL;
    }
    take_dirs(&p);
    int bad = parse_rule(&p);
    if (!bad)
        cfg->rules[cfg->rule_n++] = p.rule;
    return bad;
}

void wio_link_rule_format(const struct wio_rule *r, char *buf, size_t cap)
{
    char delay[32] = "", range[32], every[32] = "", conn[32] = "", ns[32];
    if (r->first == r->last)
        snprintf(range, sizeof range, "%" PRIu32, r->first);
    else if (r->last == UINT32_MAX)
        snprintf(range, sizeof range, "%" PRIu32 "-", r->first);
    else
        snprintf(range, sizeof range, "%" PRIu32 "-%" PRIu32, r->first, r->last);
    if (r->every)
        snprintf(every, sizeof every, ":every:%" PRIu32, r->every);
    if (r->action == WIO_DELAY)
        snprintf(delay, sizeof delay, ":%.30s", wio_unit_format(WIO_UNIT_TIME, r->delay, ns, sizeof ns));
    if (r->conn)
        snprintf(conn, sizeof conn, ":conn:%" PRIu32, r->conn);
    const char *dir = r->dirs == 1 << WIO_UP ? ":up" : r->dirs == 1 << WIO_DOWN ? ":down" : "";
    snprintf(buf, cap, "rule=%s:%s:%s%s%s%s%s", actions[r->action], matches[r->match], range, every, delay, conn, dir);
}
