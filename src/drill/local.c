/*
 * The target in this process (target.h): virtual time goes from one of the stack's deadlines to the next.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drill/host.h"
#include "drill/nstat.h"
#include "drill/target.h"
#include "trace/json.h"
#include "trace/text.h"

#define STANDS_MAX 100000 /* deadlines in a row that don't move the clock: a stack that answers itself for ever */

struct local {
    struct wdr_target target;
    struct wdr_host host;
    struct wdr_posix *posix;
    struct wdr_op *pending;
    bool pending_done;
    weir_ns pending_at;
    FILE *trace;
    struct wtr_json *json;
    bool has_stalled;
};

static void on_event(void *ctx, const struct weir_event *ev)
{
    struct local *l = ctx;
    char line[WTR_TEXT_CAP];
    if (l->trace) {
        struct weir_event at_zero = *ev;
        at_zero.at -= WDR_TIME_ZERO;
        if (ev->kind == WEIR_EV_CLOSE)
            at_zero.u.close.opened_at -= WDR_TIME_ZERO;
        fprintf(l->trace, "%s\n", wtr_text_event(&at_zero, "weir", line, sizeof line));
    }
    if (l->json)
        wtr_json_event(l->json, "weir", ev);
}

static void retry(struct local *l)
{
    if (!l->pending || l->pending_done || !wdr_posix_try(l->posix, l->pending))
        return;
    l->pending_done = true;
    l->pending_at = l->host.now;
}

/* When something is next due: the stack's timers, or the pending call's patience. */
static weir_ns next_due(const struct local *l)
{
    weir_ns due = weir_deadline(l->host.w);
    if (l->pending && !l->pending_done && l->pending->deadline < due && l->pending->deadline > l->host.now)
        due = l->pending->deadline;
    return due;
}

static void advance(struct local *l, weir_ns at)
{
    wdr_host_advance(&l->host, at);
    retry(l);
}

/* Go from deadline to deadline; false: the pending call is done (if that is what is awaited), or nothing moves. */
static bool pass(struct local *l, weir_ns until, bool awaits)
{
    unsigned stands = 0;
    for (weir_ns due = next_due(l); due <= until && !(awaits && l->pending_done); due = next_due(l)) {
        stands = due > l->host.now ? 0 : stands + 1;
        if (stands > STANDS_MAX) {
            l->has_stalled = true;
            return false;
        }
        advance(l, due);
    }
    return !(awaits && l->pending_done);
}

static void local_wait(struct wdr_target *t, weir_ns until)
{
    struct local *l = (struct local *)t;
    if (pass(l, until, false))
        advance(l, until);
}

/* Linux's timers fire in the tick after they fall due, not before what arrives meanwhile. */
static void local_wait_arrival(struct wdr_target *t, weir_ns at)
{
    struct local *l = (struct local *)t;
    if (at > l->host.now && pass(l, at - 1, false))
        l->host.now = at;
}

static void local_await(struct wdr_target *t, weir_ns limit)
{
    struct local *l = (struct local *)t;
    if (pass(l, limit, true))
        advance(l, limit);
}

static weir_ns local_now(struct wdr_target *t)
{
    return ((struct local *)t)->host.now;
}

static void local_input(struct wdr_target *t, const uint8_t *data, size_t len)
{
    struct local *l = (struct local *)t;
    wdr_host_input(&l->host, data, len);
    retry(l);
}

static size_t local_output(struct wdr_target *t, weir_ns limit, uint8_t *buf, weir_ns *at)
{
    struct local *l = (struct local *)t;
    unsigned stands = 0;
    while (!l->host.first) {
        weir_ns due = next_due(l);
        if (due == WEIR_NEVER || due > limit || l->has_stalled)
            return 0;
        stands = due > l->host.now ? 0 : stands + 1;
        l->has_stalled = stands > STANDS_MAX;
        advance(l, due);
    }
    struct wdr_datagram *d = wdr_host_take(&l->host);
    size_t len = d->len;
    memcpy(buf, d->bytes, len);
    *at = d->at;
    free(d);
    return len;
}

static bool local_begin(struct wdr_target *t, struct wdr_op *op, bool may_block)
{
    struct local *l = (struct local *)t;
    if (wdr_posix_try(l->posix, op)) {
        retry(l);
        return true;
    }
    if (may_block) {
        l->pending = op;
        l->pending_done = false;
    }
    return false;
}

static bool local_finished(struct wdr_target *t, weir_ns *at)
{
    struct local *l = (struct local *)t;
    if (!l->pending || !l->pending_done)
        return false;
    *at = l->pending_at;
    l->pending = NULL;
    return true;
}

static int local_sysctl(struct wdr_target *t, const char *name, const char *value)
{
    return weir_sysctl_set(((struct local *)t)->host.w, name, value);
}

static int local_route(struct wdr_target *t, uint32_t mtu, uint32_t advmss, uint32_t initcwnd)
{
    return wdr_host_route(&((struct local *)t)->host, mtu, advmss, initcwnd);
}

static void local_discard(struct wdr_target *t, bool on)
{
    ((struct local *)t)->host.discards = on;
}

static int local_nstat(struct wdr_target *t, const char *pipeline)
{
    struct wdr_host *h = &((struct local *)t)->host;
    return wdr_nstat(h->w, &h->counted, pipeline);
}

static int local_tcp_info(struct wdr_target *t, int fd, struct weir_tcp_info *info)
{
    struct local *l = (struct local *)t;
    weir_fd handle = wdr_posix_handle(l->posix, fd);
    uint32_t len = sizeof *info;
    memset(info, 0, sizeof *info);
    return handle < 0 ? -EBADF : weir_getsockopt(l->host.w, handle, WEIR_SOL_TCP, WEIR_TCP_INFO, info, &len);
}

static const char *local_check(struct wdr_target *t)
{
    struct local *l = (struct local *)t;
    if (l->has_stalled)
        return "the stack asked for the same moment over and over";
    return weir_check(l->host.w);
}

static void local_free(struct wdr_target *t)
{
    struct local *l = (struct local *)t;
    wdr_posix_free(l->posix);
    if (l->host.w)
        wdr_host_fini(&l->host);
    free(l);
}

static const struct wdr_target_ops local_ops = {
    .free = local_free,
    .now = local_now,
    .wait = local_wait,
    .wait_arrival = local_wait_arrival,
    .input = local_input,
    .output = local_output,
    .begin = local_begin,
    .finished = local_finished,
    .await = local_await,
    .sysctl = local_sysctl,
    .route = local_route,
    .discard = local_discard,
    .nstat = local_nstat,
    .tcp_info = local_tcp_info,
    .check = local_check,
};

struct wdr_target *wdr_host_new(const struct wdr_target_config *cfg, char *err, size_t cap)
{
    struct local *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->target.ops = &local_ops;
    l->target.patience = WDR_PATIENCE;
    l->trace = cfg->trace;
    l->json = cfg->json;
    struct wdr_host_config hc = {
        .has_v4 = !cfg->is_v6,
        .has_v6 = cfg->is_v6,
        .local4 = cfg->local,
        .local6 = cfg->local,
        .mtu = cfg->mtu,
        .has_tso = cfg->has_tso,
        .seed = cfg->seed,
        .on_event = cfg->trace || cfg->json ? on_event : NULL,
        .event_ctx = l,
    };
    int ret = wdr_host_init(&l->host, &hc);
    struct wdr_posix_config pc = {.w = l->host.w};
    l->posix = ret ? NULL : wdr_posix_new(&pc);
    if (l->posix)
        return &l->target;
    snprintf(err, cap, "no stack: %s", weir_strerror(ret ? ret : -ENOMEM));
    local_free(&l->target);
    return NULL;
}
