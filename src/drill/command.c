/*
 * The few programs that scripts call (command.h).
 */
#include "drill/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drill/shell.h"

struct run {
    const struct wdr_command_ops *ops;
    const struct wdr_words *w;
    const char *text; /* the pipeline that it begins */
    size_t text_len;
    char *err;
    size_t cap;
};

static bool fail(struct run *r, const char *what, const char *why)
{
    snprintf(r->err, r->cap, "%s: %s", what, why);
    return false;
}

/* ---- Tunables ---- */

/* "/proc/sys/net/ipv4/tcp_sack" and "net/ipv4/tcp_sack" are net.ipv4.tcp_sack. */
static void plain_name(const char *name, char *out)
{
    static const char proc[] = "/proc/sys/", module[] = "/sys/module/";
    size_t i = 0;
    if (strncmp(name, proc, sizeof proc - 1) == 0)
        name += sizeof proc - 1;
    else if (strncmp(name, module, sizeof module - 1) == 0) {
        /* a module's parameter: "tcp_cubic/parameters/hystart_detect" */
        name += sizeof module - 1;
    }
    for (; *name && i < WDR_WORD_CAP - 1; name++)
        out[i++] = *name == '/' ? '.' : *name;
    out[i] = '\0';
}

static bool set_one(struct run *r, const char *name, const char *value)
{
    char plain[WDR_WORD_CAP], what[2 * WDR_WORD_CAP + 8];
    plain_name(name, plain);
    int err = r->ops->sysctl(r->ops->ctx, plain, value);
    if (err == 0)
        return true;
    snprintf(what, sizeof what, "%s=%s", plain, value);
    return fail(r, what, err == -ENOENT ? "weir has no such tunable" : "weir's tunable does not take that value");
}

/* "name=value" */
static bool set_pair(struct run *r, const char *word)
{
    char name[WDR_WORD_CAP];
    const char *eq = strchr(word, '=');
    if (!eq)
        return fail(r, word, "name=value is expected");
    snprintf(name, sizeof name, "%.*s", (int)(eq - word), word);
    return set_one(r, name, eq + 1);
}

static bool run_sysctl(struct run *r)
{
    for (unsigned i = 1; i < r->w->n; i++) {
        if (r->w->text[i][0] != '-' && !set_pair(r, r->w->text[i]))
            return false;
    }
    return true;
}

static bool run_echo(struct run *r)
{
    char value[WDR_WORD_CAP] = "";
    if (!r->w->redirect[0] || strncmp(r->w->redirect, "/dev/", 5) == 0)
        return true;
    for (unsigned i = 1; i < r->w->n; i++) {
        size_t len = strlen(value);
        snprintf(value + len, sizeof value - len, "%s%s", len ? " " : "", r->w->text[i]);
    }
    return set_one(r, r->w->redirect, value);
}

/* What defaults.sh of the public suite sets. */
static const char *const defaults[][2] = {
    {"net.ipv4.tcp_rmem", "4096 540000 15728640"},
    {"net.ipv4.tcp_wmem", "4096 262144 4194304"},
    {"net.ipv4.tcp_timestamps", "1"},
    {"net.ipv4.tcp_syn_retries", "5"},
    {"net.ipv4.tcp_synack_retries", "5"},
    {"net.ipv4.tcp_frto", "2"},
    {"net.ipv4.tcp_sack", "1"},
    {"net.ipv4.tcp_dsack", "1"},
    {"net.ipv4.tcp_reordering", "3"},
    {"net.ipv4.tcp_congestion_control", "cubic"},
    {"net.ipv4.tcp_slow_start_after_idle", "0"},
    {"net.ipv4.tcp_early_retrans", "4"},
    {"net.ipv4.tcp_recovery", "1"},
    {"net.ipv4.tcp_tso_win_divisor", "3"},
    {"net.ipv4.tcp_ecn", "0"},
    {"net.ipv4.tcp_ecn_option", "2"},
    {"net.ipv4.tcp_pacing_ss_ratio", "200"},
    {"net.ipv4.tcp_pacing_ca_ratio", "120"},
    {"net.ipv4.tcp_notsent_lowat", "4294967295"},
    {"net.ipv4.tcp_fastopen", "0x70403"},
    {"net.ipv4.tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"},
    {"net.ipv4.tcp_syncookies", "1"},
};

void wdr_command_defaults(const struct wdr_command_ops *ops)
{
    for (unsigned i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        ops->sysctl(ops->ctx, defaults[i][0], defaults[i][1]);
}

static bool run_defaults(struct run *r)
{
    wdr_command_defaults(r->ops);
    return true;
}

/* ---- Devices and routes ---- */

static bool run_nothing(struct run *r)
{
    (void)r;
    return true;
}

/* The number behind a word, 0 when the word isn't there. */
static uint32_t number_after(const struct wdr_words *w, const char *word)
{
    for (unsigned i = 1; i + 1 < w->n; i++) {
        if (strcmp(w->text[i], word) == 0) {
            bool locks = strcmp(w->text[i + 1], "lock") == 0 && i + 2 < w->n;
            return (uint32_t)strtoul(w->text[i + (locks ? 2 : 1)], NULL, 0);
        }
    }
    return 0;
}

static bool has_word(const struct wdr_words *w, const char *word)
{
    for (unsigned i = 1; i < w->n; i++) {
        if (strcmp(w->text[i], word) == 0)
            return true;
    }
    return false;
}

static bool run_ip(struct run *r)
{
    if (has_word(r->w, "tcp_metrics") ||
        has_word(r->w, "tcp_metric")) /* weir keeps none from one connection to the next */
        return true;
    if (!has_word(r->w, "route") && !has_word(r->w, "ro") && !has_word(r->w, "r"))
        return fail(r, "ip", "only ip route and ip tcp_metrics mean something to weir");
    if (has_word(r->w, "show") || has_word(r->w, "list"))
        return true;
    int err = r->ops->route(r->ops->ctx, number_after(r->w, "mtu"), number_after(r->w, "advmss"),
                            number_after(r->w, "initcwnd"));
    return err == 0 || fail(r, "ip route", "weir does not take that route");
}

/* Queues: fq paces every connection, which weir does by itself; it has none of the others; a queue of length 0 loses
 * everything. */
static bool run_tc(struct run *r)
{
    static const char *const kinds[] = {"fq", "pfifo", "bfifo", "fq_codel", "pfifo_fast", "noqueue"};
    if (!has_word(r->w, "qdisc"))
        return fail(r, "tc", "only tc qdisc means something to weir");
    if (has_word(r->w, "show"))
        return true;
    bool is_fq = has_word(r->w, "fq") && !has_word(r->w, "del");
    if (!set_one(r, "net.core.default_qdisc", is_fq ? "fq" : "pfifo_fast"))
        return false;
    if (has_word(r->w, "del")) {
        r->ops->discard(r->ops->ctx, false);
        return true;
    }
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (has_word(r->w, kinds[i])) {
            r->ops->discard(r->ops->ctx, has_word(r->w, "limit") && number_after(r->w, "limit") == 0);
            return true;
        }
    }
    return fail(r, "tc qdisc", "a queue that weir does not have: impair the link in the script itself");
}

static bool run_sleep(struct run *r)
{
    double seconds = r->w->n > 1 ? strtod(r->w->text[1], NULL) : 0;
    if (!(seconds >= 0 && seconds < 1e6))
        return fail(r, "sleep", "how long?");
    r->ops->sleep(r->ops->ctx, (uint64_t)(seconds * 1e9));
    return true;
}

/* Alone it is asked so that the next tells what was counted since. */
static bool run_nstat(struct run *r)
{
    char *pipeline = strndup(r->text, r->text_len);
    int err = pipeline ? r->ops->nstat(r->ops->ctx, pipeline) : -ENOMEM;
    free(pipeline);
    return err == 0 || fail(r, "nstat", err == -ENODATA ? "nothing of it is left over" : "no filter of it but grep");
}

static const struct {
    const char *name;
    bool (*run)(struct run *);
} programs[] = {
    {"sysctl", run_sysctl},
    {"set_sysctls.py", run_sysctl},
    {"defaults.sh", run_defaults},
    {"echo", run_echo},
    {"ip", run_ip},
    {"tc", run_tc},
    {"ethtool", run_nothing},
    {"nstat", run_nstat},
    {"sleep", run_sleep},
    {"true", run_nothing},
    {":", run_nothing},
    {"modprobe", run_nothing},
};

static bool run_words(struct run *r)
{
    const char *program = r->w->text[0], *slash = strrchr(program, '/');
    const char *name = slash ? slash + 1 : program;
    if (r->w->n == 0)
        return true;
    /* What set_sysctls.py leaves behind to undo itself: each run of ours has a table of its own. */
    if (strncmp(name, "sysctl_restore_", 15) == 0)
        return true;
    if (r->w->has_pipe && strcmp(name, "nstat") != 0)
        return fail(r, program, "only nstat's output can go to another command");
    for (unsigned i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        if (strcmp(programs[i].name, name) == 0)
            return programs[i].run(r);
    }
    return fail(r, program, "a command that means nothing to weir");
}

bool wdr_command_run(const struct wdr_command_ops *ops, const char *text, char *err, size_t cap)
{
    struct wdr_words *w = calloc(1, sizeof *w), *filter = calloc(1, sizeof *filter);
    struct run r = {.ops = ops, .w = w, .err = err, .cap = cap};
    bool ok = (w && filter) || fail(&r, "out of", "memory");
    while (ok && *text) {
        const char *end = wdr_shell_read(text, w);
        for (bool is_piped = w->has_pipe; is_piped; is_piped = filter->has_pipe)
            end = wdr_shell_read(end, filter);
        r.text = text;
        r.text_len = (size_t)(end - text);
        text = end;
        ok = run_words(&r);
    }
    free(filter);
    free(w);
    return ok;
}
