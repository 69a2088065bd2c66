/*
 * A script from its file to its verdict (run.h).
 */
#include "drill/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drill/parse.h"
#include "drill/player.h"
#include "drill/tcp_info.h"

#define PEER_PORT_FIRST 40001

/* What the public suite's runner defines for each version of IP: the level and type of a notice's control message, and
 * the cookie of the default addresses for the key of defaults.sh and for one of zeroes. */
static const struct wdr_define common[3][4] = {
    [WDR_IPV4] = {{"CMSG_LEVEL_IP", "0", &common[WDR_IPV4][1]},
                  {"CMSG_TYPE_RECVERR", "11", &common[WDR_IPV4][2]},
                  {"TFO_COOKIE", "3021b9d889017eeb", &common[WDR_IPV4][3]},
                  {"TFO_COOKIE_ZERO", "b7c12350a90dc8f5", NULL}},
    [WDR_IPV6] = {{"CMSG_LEVEL_IP", "41", &common[WDR_IPV6][1]},
                  {"CMSG_TYPE_RECVERR", "25", &common[WDR_IPV6][2]},
                  {"TFO_COOKIE", "c1d1e9742a47a9bc", &common[WDR_IPV6][3]},
                  {"TFO_COOKIE_ZERO", "82af1a8f9a205c34", NULL}},
    [WDR_IPV4_MAPPED] = {{"CMSG_LEVEL_IP", "41", &common[WDR_IPV4_MAPPED][1]},
                         {"CMSG_TYPE_RECVERR", "25", &common[WDR_IPV4_MAPPED][2]},
                         {"TFO_COOKIE", "3021b9d889017eeb", &common[WDR_IPV4_MAPPED][3]},
                         {"TFO_COOKIE_ZERO", "b7c12350a90dc8f5", NULL}},
};
static void *pool_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void pool_release(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

static bool take_settings(struct wdr_player *pl)
{
    wdr_settings_init(&pl->set);
    for (const struct wdr_setting *o = pl->script->settings; o; o = o->next) {
        if (!wdr_settings_take(&pl->set, o, &pl->error))
            return false;
    }
    for (const struct wdr_setting *o = pl->cfg->settings; o; o = o->next) {
        if (!wdr_settings_take(&pl->set, o, &pl->error))
            return false;
    }
    return wdr_settings_finish(&pl->set, &pl->error);
}

static bool lookup(void *ctx, const char *name, uint64_t *value)
{
    struct wdr_player *pl = ctx;
    struct weir_tcp_info info;
    if (pl->info_fd < 0 || pl->target->ops->tcp_info(pl->target, pl->info_fd, &info) < 0)
        return false;
    return wdr_tcp_info_get(&info, name, value);
}

static void set_env(struct wdr_player *pl)
{
    uint16_t family = (uint16_t)wdr_settings_family(&pl->set);
    pl->env.family = family;
    pl->env.local = (struct weir_sockaddr){.addr = pl->set.local, .family = family, .port = pl->set.bind_port};
    pl->env.remote = (struct weir_sockaddr){.addr = pl->set.remote, .family = family, .port = pl->set.connect_port};
    pl->next_port = PEER_PORT_FIRST;
    pl->info_fd = -1;
}

static bool open_pcap(struct wdr_player *pl)
{
    struct weir_alloc alloc = {pool_alloc, pool_release, NULL};
    struct wio_pcapng_config pc = {.application = "weir drill", .comment = pl->script->path};
    if (!pl->cfg->pcap)
        return true;
    pl->pool = weir_pool_new(&alloc, 0);
    pl->pcap = pl->pool ? wio_pcapng_open(pl->cfg->pcap, &pc) : NULL;
    if (!pl->pcap) {
        snprintf(pl->error.text, sizeof pl->error.text, "%s can't be written: %s", pl->cfg->pcap, strerror(errno));
        return false;
    }
    wio_pcapng_interface(pl->pcap, "tun0", "the stack under test", WEIR_LINK_RAW_IP);
    return true;
}

static bool open_json(struct wdr_player *pl)
{
    if (!pl->cfg->json)
        return true;
    FILE *out = fopen(pl->cfg->json, "w");
    pl->json = out ? wtr_json_new(out, 0) : NULL;
    if (!pl->json)
        snprintf(pl->error.text, sizeof pl->error.text, "%s can't be written: %s", pl->cfg->json, strerror(errno));
    return pl->json;
}

static bool prepare(struct wdr_player *pl)
{
    if (!take_settings(pl) || !open_pcap(pl) || !open_json(pl))
        return false;
    set_env(pl);
    struct wdr_target_config tc = {
        .is_v6 = wdr_settings_is_v6(&pl->set),
        .local = pl->set.local,
        .remote = pl->set.remote,
        .mtu = pl->set.mtu,
        .seed = pl->cfg->seed,
        .trace = pl->cfg->trace,
        .json = pl->json,
        .so = pl->cfg->so,
        .is_live = pl->cfg->is_live,
        .has_tso = pl->cfg->is_record,
    };
    pl->target = (tc.so ? wdr_foreign_new : wdr_host_new)(&tc, pl->error.text, sizeof pl->error.text);
    pl->code = wdr_code_new(lookup, pl, pl->out);
    if (!pl->target || !pl->code)
        return false;
    pl->zero = pl->last = pl->env.zero = pl->target->ops->now(pl->target);
    return true;
}

/* A file that was asked for is complete, or its script counts as one that can't be played. */
static bool is_file_whole(const struct wdr_player *pl, const char *name, int err)
{
    if (err)
        fprintf(pl->out, "%s: %s can't be written: %s\n", pl->script->path, name, strerror(-err));
    return !err;
}

/* Returns whether all that was to be written is. */
static bool release(struct wdr_player *pl)
{
    bool is_whole = true;
    wdr_call_end(&pl->running);
    wdr_code_free(pl->code);
    if (pl->target)
        pl->target->ops->free(pl->target);
    if (pl->pcap)
        is_whole = is_file_whole(pl, pl->cfg->pcap, wio_pcapng_close(pl->pcap, NULL));
    is_whole &= is_file_whole(pl, pl->cfg->json, wtr_json_close(pl->json));
    if (pl->pool)
        weir_pool_free(pl->pool);
    for (unsigned i = 0; i < pl->edit_n; i++)
        free(pl->edits[i].text);
    free(pl->edits);
    return is_whole;
}

/* "file:12: …", the line itself, and the packets before it. */
static void print_error(FILE *out, const char *path, const struct wdr_error *err, const struct wdr_player *pl)
{
    if (err->line > 0 && err->column > 0)
        fprintf(out, "%s:%d:%d: %s\n", path, err->line, err->column, err->text);
    else if (err->line > 0)
        fprintf(out, "%s:%d: %s\n", path, err->line, err->text);
    else
        fprintf(out, "%s: %s\n", path, err->text);
    const char *p = pl ? pl->script->source : NULL;
    for (int line = 1; p && line < err->line; line++) {
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    if (p && err->line > 0)
        fprintf(out, "  %d | %.*s\n", err->line, (int)strcspn(p, "\n"), p);
    if (!pl || pl->history_n == 0)
        return;
    fputs("  the packets before:\n", out);
    unsigned n = pl->history_n < WDR_HISTORY_MAX ? pl->history_n : WDR_HISTORY_MAX;
    for (unsigned i = pl->history_n - n; i < pl->history_n; i++)
        fprintf(out, "    %s\n", pl->history[i % WDR_HISTORY_MAX]);
}

static enum wdr_verdict play_script(struct wdr_player *pl)
{
    if (!prepare(pl)) {
        print_error(pl->out, pl->script->path, &pl->error, NULL);
        return WDR_BROKEN;
    }
    if (!wdr_play(pl)) {
        print_error(pl->out, pl->script->path, &pl->error, pl);
        return WDR_FAILED;
    }
    if (pl->edit_n > 0 && !wdr_edit_write(pl)) {
        fprintf(pl->out, "%s can't be written anew, and stays as it was: %s\n", pl->script->path, strerror(errno));
        return WDR_BROKEN;
    }
    return WDR_PASSED;
}

/* The command line's defines and behind them the common ones of its version of IP; freed by the caller. */
static struct wdr_define *all_defines(const struct wdr_run_config *cfg)
{
    struct wdr_settings set = {.ip_version = WDR_IPV4};
    struct wdr_error ignored;
    size_t n = 0;
    for (const struct wdr_setting *o = cfg->settings; o; o = o->next) {
        if (strcmp(o->name, "ip_version") == 0)
            wdr_settings_take(&set, o, &ignored);
    }
    for (const struct wdr_define *d = cfg->defines; d; d = d->next)
        n++;
    struct wdr_define *all = calloc(n + 1, sizeof *all);
    if (!all)
        return NULL;
    n = 0;
    for (const struct wdr_define *d = cfg->defines; d; d = d->next, n++)
        all[n] = (struct wdr_define){d->name, d->value, &all[n + 1]};
    all[n] = common[set.ip_version][0];
    return all;
}

enum wdr_verdict wdr_run_file(const char *path, const struct wdr_run_config *cfg, FILE *out)
{
    struct wdr_error error;
    enum wdr_verdict verdict = WDR_BROKEN;
    struct wdr_define *defines = all_defines(cfg);
    struct wdr_script *script = wdr_parse_file(path, defines, &error);
    struct wdr_player *pl = script ? calloc(1, sizeof *pl) : NULL;
    if (pl) {
        pl->script = script;
        pl->cfg = cfg;
        pl->out = out;
        verdict = play_script(pl);
        if (!release(pl))
            verdict = WDR_BROKEN;
    } else {
        print_error(out, path, &error, NULL);
    }
    free(pl);
    wdr_script_free(script);
    free(defines);
    return verdict;
}
