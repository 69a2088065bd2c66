/*
 * A call from its beginning to its end (call.h).
 */
#include "drill/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drill/symbols.h"

bool wdr_call_fail(struct wdr_running *r, const char *fmt, ...)
{
    va_list args;
    if (r->error->text[0])
        return false; /* the first thing that is wrong */
    va_start(args, fmt);
    vsnprintf(r->error->text, sizeof r->error->text, fmt, args);
    va_end(args);
    r->error->line = r->event->line;
    return false;
}

const struct wdr_expr *wdr_call_arg(const struct wdr_running *r, unsigned i)
{
    const struct wdr_expr *e = r->call->args;
    while (i-- > 0)
        e = e->next;
    return e;
}

void *wdr_call_take(struct wdr_running *r, size_t size)
{
    return wdr_arena_take(r->arena, size);
}

int wdr_fd_live(const struct wdr_call_env *env, int script)
{
    for (unsigned i = env->fd_n; i-- > 0;) {
        if (env->fds[i].script == script)
            return env->fds[i].live;
    }
    return -1;
}

static void unbind(struct wdr_call_env *env, int script)
{
    for (unsigned i = 0; i < env->fd_n; i++) {
        if (env->fds[i].script == script)
            env->fds[i--] = env->fds[--env->fd_n];
    }
}

void wdr_fd_bind(struct wdr_call_env *env, int script, int live)
{
    unbind(env, script);
    if (env->fd_n < WDR_SCRIPT_FDS_MAX) {
        env->fds[env->fd_n].script = script;
        env->fds[env->fd_n++].live = live;
    }
}

bool wdr_call_begin(struct wdr_running *r, const struct wdr_event *e, struct wdr_call_env *env, struct wdr_error *error)
{
    *error = (struct wdr_error){0};
    *r = (struct wdr_running){.event = e, .call = e->call, .env = env, .error = error, .arena = wdr_arena_new()};
    const struct wdr_call_kind *k = wdr_call_kind(e->call->name);
    if (!r->arena)
        return wdr_call_fail(r, "out of memory");
    if (!k)
        return wdr_call_fail(r, "no system call that scripts know: %s()", e->call->name);
    if (e->call->arg_n < k->args_min || e->call->arg_n > k->args_max)
        return wdr_call_fail(r, "%s() takes %u arguments, and here are %u", k->name, k->args_max, e->call->arg_n);
    r->op.kind = k->op;
    return k->read(r);
}

/* A result as a script writes it. */
static const char *result_text(const struct wdr_running *r, char *buf, size_t cap)
{
    if (r->op.ret < 0)
        snprintf(buf, cap, "-1 %s (%s)", wdr_errno_name((int)-r->op.ret), strerror((int)-r->op.ret));
    else
        snprintf(buf, cap, "%lld", (long long)r->op.ret);
    return buf;
}

static bool check_result(struct wdr_running *r, const struct wdr_call_kind *k)
{
    char got[160], want[160];
    const struct wdr_call *c = r->call;
    if (!c->result || c->result->kind == WDR_EXPR_ELLIPSIS)
        return true;
    int64_t number = c->result->number;
    if (c->errno_name)
        snprintf(want, sizeof want, "-1 %s", c->errno_name);
    else
        snprintf(want, sizeof want, "%lld", (long long)number);
    bool is_same = r->op.ret < 0 ? number == -1 && (!c->errno_name || wdr_errno_number(c->errno_name) == -r->op.ret)
                   : k->gives_fd ? number >= 0
                                 : number == r->op.ret;
    if (is_same)
        return true;
    return wdr_call_fail(r, "%s() gave %s, and the script says %s", c->name, result_text(r, got, sizeof got), want);
}

bool wdr_call_check(struct wdr_running *r, char *actual, size_t cap)
{
    const struct wdr_call_kind *k = wdr_call_kind(r->call->name);
    if (actual)
        result_text(r, actual, cap);
    bool ok = check_result(r, k);
    if (r->op.ret >= 0 && k->gives_fd && r->call->result && r->call->result->kind == WDR_EXPR_INT)
        wdr_fd_bind(r->env, (int)r->call->result->number, (int)r->op.ret);
    if (ok && r->op.ret == 0 && r->op.kind == WDR_OP_CLOSE) {
        int64_t script;
        if (wdr_expr_number(r, wdr_call_arg(r, 0), &script))
            unbind(r->env, (int)script);
    }
    return ok && (r->op.ret < 0 || !k->check || k->check(r));
}

void wdr_call_end(struct wdr_running *r)
{
    wdr_op_drop(&r->op);
    wdr_arena_free(r->arena);
    r->arena = NULL;
}
