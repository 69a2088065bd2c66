/*
 * A script's events in their order (player.h).
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "drill/player.h"
#include "drill/tcp_info.h"

#define LIVE_TOLERANCE WEIR_MS(16) /* four ticks of a kernel with HZ=250 */
#define RECORD_TAIL    WEIR_MS(5)  /* --record: an answer to the last event may take so long */

/* ---- Telling ---- */

bool wdr_player_fail(struct wdr_player *pl, const struct wdr_event *e, const char *fmt, ...)
{
    va_list args;
    if (pl->error.text[0])
        return false;
    va_start(args, fmt);
    vsnprintf(pl->error.text, sizeof pl->error.text, fmt, args);
    va_end(args);
    pl->error.line = e->line;
    return false;
}

const char *wdr_player_when(const struct wdr_player *pl, weir_ns at, char *buf, size_t cap)
{
    return wdr_print_seconds((int64_t)(at - pl->zero), buf, cap);
}

weir_ns wdr_player_tolerance(const struct wdr_player *pl, weir_ns at, weir_ns since)
{
    weir_ns share = at > since ? (weir_ns)((double)(at - since) * pl->set.tolerance_percent / 100) : 0;
    weir_ns least = pl->set.tolerance;
    if (pl->cfg->is_live && least < LIVE_TOLERANCE)
        least = LIVE_TOLERANCE;
    return share > least ? share : least;
}

void wdr_player_note(struct wdr_player *pl, weir_ns at, const struct wdr_packet *p, const char *remark)
{
    char text[WDR_PACKET_TEXT_CAP], t[32];
    struct wdr_packet like = *p;
    like.ecn = WDR_ECN_ANY;
    like.has_tos = like.has_ttl = like.has_flowlabel = like.has_ports = false;
    snprintf(pl->history[pl->history_n++ % WDR_HISTORY_MAX], sizeof pl->history[0], "%s  %s%s",
             wdr_player_when(pl, at, t, sizeof t), wdr_print_packet(p, &like, text, sizeof text), remark);
}

void wdr_player_capture(struct wdr_player *pl, weir_ns at, const uint8_t *data, size_t len, enum wio_pcapng_dir dir,
                        int line)
{
    char comment[64];
    struct weir_pkt *p = pl->pcap ? weir_pkt_from(pl->pool, data, len) : NULL;
    if (!p)
        return;
    snprintf(comment, sizeof comment, "line %d", line);
    wio_pcapng_packet(pl->pcap, 0, at, p, dir, comment);
    weir_pkt_unref(p);
}

void wdr_record_packet(const struct wdr_player *pl, weir_ns at, const struct wdr_packet *p)
{
    char text[WDR_PACKET_TEXT_CAP], t[32];
    struct wdr_packet like = *p;
    like.has_ports = like.has_flowlabel = like.has_ttl = like.has_tos = false;
    fprintf(pl->out, "%s %s\n", wdr_player_when(pl, at, t, sizeof t), wdr_print_packet(p, &like, text, sizeof text));
}

static void record_call(const struct wdr_player *pl, weir_ns at, const char *result)
{
    char t[32];
    fprintf(pl->out, "%s %s() = %s\n", wdr_player_when(pl, at, t, sizeof t), pl->running.call->name, result);
}

/* ---- Calls that take a while ---- */

static bool end_running(struct wdr_player *pl, weir_ns at)
{
    char actual[200];
    const struct wdr_event *e = pl->running.event;
    bool ok = wdr_call_check(&pl->running, actual, sizeof actual);
    if (pl->cfg->is_record) {
        record_call(pl, at, actual);
        pl->error = (struct wdr_error){0};
        ok = true;
    }
    if (!ok && pl->cfg->is_update && e->result_at) {
        wdr_edit_add(pl, e->result_at, e->end, actual);
        pl->error = (struct wdr_error){0};
        ok = true;
    }
    if (ok && pl->running.op.ret >= 0 && (pl->running.op.kind == WDR_OP_ACCEPT || pl->running.op.kind == WDR_OP_SOCKET))
        pl->info_fd = (int)pl->running.op.ret;
    wdr_call_end(&pl->running);
    pl->has_running = false;
    return ok;
}

/* See whether the pending call has returned, and when. */
static bool check_running(struct wdr_player *pl)
{
    weir_ns at, now = pl->target->ops->now(pl->target);
    weir_ns slack = wdr_player_tolerance(pl, pl->running_end, pl->running_begin);
    char a[32], b[32];
    const struct wdr_event *e = pl->running.event;
    if (!pl->has_running)
        return true;
    if (!pl->target->ops->finished(pl->target, &at)) {
        if (now <= pl->running_end + slack || pl->cfg->is_record)
            return true;
        return wdr_player_fail(pl, e, "%s() should have returned at %s, and has not at %s", e->call->name,
                               wdr_player_when(pl, pl->running_end, a, sizeof a),
                               wdr_player_when(pl, now, b, sizeof b));
    }
    if (!end_running(pl, at))
        return false;
    if (pl->cfg->is_record)
        return true;
    if (at + slack >= pl->running_end && at <= pl->running_end + slack)
        return true;
    return wdr_player_fail(pl, e, "%s() returned at %s, and the script says %s", e->call->name,
                           wdr_player_when(pl, at, a, sizeof a), wdr_player_when(pl, pl->running_end, b, sizeof b));
}

/* The next call, and the script's end, wait for the one that is pending. */
static bool await_running(struct wdr_player *pl)
{
    if (!check_running(pl))
        return false;
    if (!pl->has_running)
        return true;
    pl->target->ops->await(pl->target,
                           pl->running_end + wdr_player_tolerance(pl, pl->running_end, pl->running_begin) + 1);
    return check_running(pl);
}

/* ---- Events ---- */

static bool play_call(struct wdr_player *pl, const struct wdr_event *e, weir_ns at)
{
    if (!await_running(pl))
        return false;
    pl->target->ops->wait(pl->target, at);
    if (!wdr_call_begin(&pl->running, e, &pl->env, &pl->error)) {
        wdr_call_end(&pl->running);
        return false;
    }
    weir_ns base = e->time.kind == WDR_TIME_RELATIVE ? pl->last : pl->zero;
    pl->has_running = true;
    pl->running_begin = pl->target->ops->now(pl->target);
    pl->running_end = e->time.has_end ? base + (weir_ns)e->time.until : pl->running_begin;
    if (pl->running.op.kind == WDR_OP_CONNECT) {
        pl->info_fd = pl->running.op.fd;
        if (pl->flow)
            wdr_flow_renew(pl->flow);
    }
    if (pl->target->ops->begin(pl->target, &pl->running.op, e->time.has_end)) {
        char a[32], b[32];
        weir_ns slack = wdr_player_tolerance(pl, pl->running_end, pl->running_begin);
        if (!end_running(pl, pl->running_begin))
            return false;
        if (pl->cfg->is_record)
            return true;
        if (pl->running_begin + slack >= pl->running_end)
            return true;
        return wdr_player_fail(pl, e, "%s() returned at %s, and the script says %s", e->call->name,
                               wdr_player_when(pl, pl->running_begin, a, sizeof a),
                               wdr_player_when(pl, pl->running_end, b, sizeof b));
    }
    if (e->time.has_end)
        return true;
    wdr_call_end(&pl->running);
    pl->has_running = false;
    return wdr_player_fail(pl, e, "%s() blocks: give it the time that it takes, as in +0...0.2", e->call->name);
}

static bool play_input(struct wdr_player *pl, const struct wdr_event *e, weir_ns at)
{
    struct wdr_packet p = *e->packet;
    struct wdr_flow *f = wdr_flow_for_script(pl, &p);
    struct wdr_ends ends = {.src = f->remote, .dst = f->local}, quote_ends = {.src = f->local, .dst = f->remote};
    pl->target->ops->wait_arrival(pl->target, at);
    if (p.proto == WDR_TCP && (p.flags & (WDR_SYN | WDR_ACK)) == WDR_SYN)
        wdr_flow_renew(f);
    wdr_flow_to_wire(f, &p);
    size_t len = wdr_wire_write(pl->buf, &p, &ends, &quote_ends);
    if (len == 0)
        return wdr_player_fail(pl, e, "such a packet can't be made for this version of IP");
    weir_ns now = pl->target->ops->now(pl->target);
    wdr_player_note(pl, now, e->packet, "");
    if (pl->cfg->is_record)
        wdr_record_packet(pl, now, e->packet);
    wdr_player_capture(pl, now, pl->buf, len, WIO_PCAPNG_IN, e->line);
    pl->target->ops->input(pl->target, pl->buf, len);
    return true;
}

static int set_sysctl(void *ctx, const char *name, const char *value)
{
    struct wdr_player *pl = ctx;
    return pl->target->ops->sysctl(pl->target, name, value);
}

static int set_route(void *ctx, uint32_t mtu, uint32_t advmss, uint32_t initcwnd)
{
    struct wdr_player *pl = ctx;
    return pl->target->ops->route(pl->target, mtu, advmss, initcwnd);
}

static void set_discard(void *ctx, bool on)
{
    struct wdr_player *pl = ctx;
    pl->target->ops->discard(pl->target, on);
}

static void sleep_for(void *ctx, uint64_t ns)
{
    struct wdr_player *pl = ctx;
    pl->target->ops->wait(pl->target, pl->target->ops->now(pl->target) + ns);
}

static int nstat(void *ctx, const char *pipeline)
{
    struct wdr_player *pl = ctx;
    return pl->target->ops->nstat(pl->target, pipeline);
}

/* --init_scripts="a.sh,b.sh" */
static bool play_init_scripts(struct wdr_player *pl)
{
    char err[WDR_ERROR_CAP - 64], text[WDR_ERROR_CAP];
    struct wdr_command_ops ops = {set_sysctl, set_route, set_discard, sleep_for, nstat, pl};
    if (!pl->set.init_scripts)
        return true;
    snprintf(text, sizeof text, "%s", pl->set.init_scripts);
    for (char *p = text; *p; p++)
        *p = *p == ',' ? ';' : *p == '"' ? ' ' : *p;
    if (wdr_command_run(&ops, text, err, sizeof err))
        return true;
    snprintf(pl->error.text, sizeof pl->error.text, "--init_scripts: %s", err);
    return false;
}

static bool play_command(struct wdr_player *pl, const struct wdr_event *e, weir_ns at)
{
    char err[WDR_ERROR_CAP - 64];
    struct wdr_command_ops ops = {set_sysctl, set_route, set_discard, sleep_for, nstat, pl};
    pl->target->ops->wait(pl->target, at);
    return wdr_command_run(&ops, e->text, err, sizeof err) || wdr_player_fail(pl, e, "%s", err);
}

static bool play_code(struct wdr_player *pl, const struct wdr_event *e, weir_ns at)
{
    pl->target->ops->wait(pl->target, at);
    return wdr_code_run(pl->code, e->text, e->line, &pl->error);
}

static bool play_event(struct wdr_player *pl, const struct wdr_event *e)
{
    weir_ns now = pl->target->ops->now(pl->target);
    weir_ns base = e->time.kind == WDR_TIME_ABSOLUTE ? pl->zero : pl->last;
    weir_ns at = base + (weir_ns)e->time.at, until = base + (weir_ns)(e->time.is_range ? e->time.until : e->time.at);
    char t[32], n[32];
    if (pl->cfg->is_record)
        wdr_record_packets(pl, at);
    if (e->type == WDR_EVENT_PACKET && e->packet->dir == WDR_OUT)
        return pl->cfg->is_record || wdr_expect(pl, e, at, until);
    if (e->time.kind != WDR_TIME_NONE && now > at + wdr_player_tolerance(pl, at, pl->last))
        return wdr_player_fail(pl, e, "this should happen at %s, and it is %s already",
                               wdr_player_when(pl, at, t, sizeof t), wdr_player_when(pl, now, n, sizeof n));
    bool ok = false;
    switch (e->type) {
    case WDR_EVENT_PACKET: ok = play_input(pl, e, at); break;
    case WDR_EVENT_CALL: ok = play_call(pl, e, at); break;
    case WDR_EVENT_COMMAND: ok = play_command(pl, e, at); break;
    case WDR_EVENT_CODE: ok = play_code(pl, e, at); break;
    }
    if (e->time.kind != WDR_TIME_NONE)
        pl->last = at;
    return ok;
}

bool wdr_play(struct wdr_player *pl)
{
    const struct wdr_event *e = pl->script->events;
    if (!play_init_scripts(pl))
        return false;
    for (; e && e->type == WDR_EVENT_COMMAND && e->time.kind == WDR_TIME_NONE; e = e->next) {
        if (!play_event(pl, e))
            return false;
        pl->zero = pl->last = pl->env.zero = pl->target->ops->now(pl->target); /* the clock starts behind the set-up */
    }
    for (; e; e = e->next) {
        if (!play_event(pl, e) || !check_running(pl))
            return false;
        const char *broken = pl->target->ops->check(pl->target);
        if (broken)
            return wdr_player_fail(pl, e, "the stack's own check fails after this: %s", broken);
    }
    if (pl->cfg->is_record)
        wdr_record_packets(pl, pl->target->ops->now(pl->target) + RECORD_TAIL);
    return await_running(pl);
}
