/*
 * What a call gave back, held against the script.
 */
#include <time.h> /* first: linux/errqueue.h needs it */

#include <linux/errqueue.h>
#include <stdio.h>
#include <string.h>

#include "drill/call.h"
#include "drill/symbols.h"

/* One number of what came back: written and different fails. NULL or "...": not compared. */
static bool check_number(struct wdr_running *r, const char *what, const struct wdr_expr *want, int64_t got)
{
    int64_t v;
    if (!want || want->kind == WDR_EXPR_ELLIPSIS)
        return true;
    if (!wdr_expr_number(r, want, &v))
        return false;
    return v == got ||
           wdr_call_fail(r, "%s(): %s is %lld (0x%llx), and the script says %lld (0x%llx)", r->call->name, what,
                         (long long)got, (unsigned long long)got, (long long)v, (unsigned long long)v);
}

/* ---- Addresses and messages ---- */

static bool check_address(struct wdr_running *r, const struct wdr_expr *want, const struct sockaddr *sa, socklen_t len)
{
    struct weir_sockaddr expected, got;
    char a[WEIR_ADDR_TEXT_CAP], b[WEIR_ADDR_TEXT_CAP];
    if (!want || want->kind != WDR_EXPR_STRUCT)
        return true;
    if (!wdr_expr_sockaddr(r, want, &expected) || wdr_sockaddr_read(&got, sa, len) < 0)
        return wdr_call_fail(r, "%s(): no address came back", r->call->name);
    if (weir_addr_equal(&expected.addr, &got.addr) && expected.port == got.port)
        return true;
    return wdr_call_fail(r, "%s(): the address is %s, and the script says %s", r->call->name,
                         weir_sockaddr_format(&got, a, sizeof a), weir_sockaddr_format(&expected, b, sizeof b));
}

bool wdr_check_sockaddr(struct wdr_running *r)
{
    return check_address(r, wdr_call_arg(r, r->op.kind == WDR_OP_ACCEPT ? 1 : 4), r->op.addr, r->out_len);
}

static bool check_error_data(struct wdr_running *r, const struct wdr_expr *want, const struct sock_extended_err *e)
{
    return check_number(r, "ee_errno", wdr_expr_field(want, "ee_errno"), e->ee_errno) &&
           check_number(r, "ee_origin", wdr_expr_field(want, "ee_origin"), e->ee_origin) &&
           check_number(r, "ee_type", wdr_expr_field(want, "ee_type"), e->ee_type) &&
           check_number(r, "ee_code", wdr_expr_field(want, "ee_code"), e->ee_code) &&
           check_number(r, "ee_info", wdr_expr_field(want, "ee_info"), e->ee_info) &&
           check_number(r, "ee_data", wdr_expr_field(want, "ee_data"), e->ee_data);
}

#define STAMP_SLACK WEIR_MS(4) /* as the times of packets: --tolerance_usecs */

/* {scm_sec=0, scm_nsec=30000000}: since the script's beginning. */
static bool check_stamp(struct wdr_running *r, const struct wdr_expr *want, const void *data)
{
    struct timespec t;
    int64_t sec = 0, nsec = 0;
    memcpy(&t, data, sizeof t);
    weir_ns got = WEIR_SEC(t.tv_sec) + (weir_ns)t.tv_nsec - r->env->zero;
    if (!wdr_expr_number(r, wdr_expr_field(want, "scm_sec"), &sec) ||
        (wdr_expr_field(want, "scm_nsec") && !wdr_expr_number(r, wdr_expr_field(want, "scm_nsec"), &nsec)))
        return false;
    weir_ns wanted = WEIR_SEC(sec) + (weir_ns)nsec;
    return (got + STAMP_SLACK >= wanted && got <= wanted + STAMP_SLACK) ||
           wdr_call_fail(r, "recvmsg(): the time is %.6f, and the script says %.6f", (double)got / 1e9,
                         (double)wanted / 1e9);
}

static bool check_control_data(struct wdr_running *r, const struct wdr_expr *want, const struct cmsghdr *c)
{
    struct sock_extended_err err;
    size_t len = c->cmsg_len - CMSG_LEN(0);
    int v = 0;
    if (!want || want->kind == WDR_EXPR_ELLIPSIS)
        return true;
    if (want->kind == WDR_EXPR_STRUCT && wdr_expr_field(want, "ee_origin") && len >= sizeof err) {
        memcpy(&err, CMSG_DATA(c), sizeof err);
        return check_error_data(r, want, &err);
    }
    if (want->kind == WDR_EXPR_STRUCT && wdr_expr_field(want, "scm_sec") && len >= sizeof(struct timespec))
        return check_stamp(r, want, CMSG_DATA(c));
    memcpy(&v, CMSG_DATA(c), len < sizeof v ? len : sizeof v);
    return check_number(r, "cmsg_data", want, v);
}

static bool check_control(struct wdr_running *r, const struct wdr_expr *list)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(r->op.msg);
    for (const struct wdr_expr *e = list->first; e; e = e->next, c = CMSG_NXTHDR(r->op.msg, c)) {
        if (!c)
            return wdr_call_fail(r, "recvmsg(): fewer control messages came than the script says");
        if (!check_number(r, "cmsg_level", wdr_expr_field(e, "cmsg_level"), c->cmsg_level) ||
            !check_number(r, "cmsg_type", wdr_expr_field(e, "cmsg_type"), c->cmsg_type) ||
            !check_control_data(r, wdr_expr_field(e, "cmsg_data"), c))
            return false;
    }
    return !c || wdr_call_fail(r, "recvmsg(): more control messages came than the script says");
}

bool wdr_check_message(struct wdr_running *r)
{
    const struct wdr_expr *e = wdr_call_arg(r, 1), *control = wdr_expr_field(e, "msg_control");
    if (!check_number(r, "msg_flags", wdr_expr_field(e, "msg_flags"), r->op.msg->msg_flags) ||
        !check_address(r, wdr_expr_field(e, "msg_name"), r->op.msg->msg_name, r->op.msg->msg_namelen))
        return false;
    return !control || control->kind != WDR_EXPR_LIST || check_control(r, control);
}

/* ---- Options ---- */

static bool check_members(struct wdr_running *r, const struct wdr_expr *first, bool is_wide)
{
    size_t off = 0, width = is_wide ? sizeof(int64_t) : sizeof(int32_t);
    for (const struct wdr_expr *e = first; e; e = e->next, off += width) {
        int64_t wide = 0;
        int32_t narrow = 0;
        if (off + width > r->out_len)
            return r->out_len < sizeof narrow && off == 0
                       ? check_number(r, "the value", e, *(const uint8_t *)r->op.value)
                       : wdr_call_fail(r, "getsockopt(): only %u bytes came back", r->out_len);
        memcpy(is_wide ? (void *)&wide : (void *)&narrow, (const char *)r->op.value + off, width);
        if (!check_number(r, e->field ? e->field : "the value", e, is_wide ? wide : narrow))
            return false;
    }
    return true;
}

bool wdr_check_option(struct wdr_running *r)
{
    const struct wdr_expr *want = wdr_call_arg(r, 3), *len = wdr_call_arg(r, 4);
    if (want->kind == WDR_EXPR_STRING) {
        const char *got = r->op.value;
        size_t n = strnlen(got, r->out_len);
        return (n == want->text_len && memcmp(got, want->text, n) == 0) ||
               wdr_call_fail(r, "getsockopt(): the value is \"%.*s\", and the script says \"%s\"", (int)n, got,
                             want->text);
    }
    if (len->kind == WDR_EXPR_LIST && !check_number(r, "the length", len, r->out_len))
        return false;
    if (want->kind == WDR_EXPR_LIST || want->kind == WDR_EXPR_STRUCT)
        return check_members(r, want->first, wdr_expr_field(want, "tv_sec") != NULL);
    return true;
}

bool wdr_check_ioctl(struct wdr_running *r)
{
    return r->call->arg_n < 3 || check_number(r, "the value", wdr_call_arg(r, 2), r->out_int);
}

/* ---- Readiness ---- */

bool wdr_check_poll(struct wdr_running *r)
{
    size_t i = 0;
    for (const struct wdr_expr *e = wdr_call_arg(r, 0)->first; e; e = e->next, i++) {
        if (!check_number(r, "revents", wdr_expr_field(e, "revents"), (uint16_t)r->op.pollfds[i].revents))
            return false;
    }
    return true;
}

static unsigned count_set(const fd_set *s)
{
    unsigned n = 0;
    for (int fd = 0; fd < FD_SETSIZE; fd++)
        n += FD_ISSET(fd, s) != 0;
    return n;
}

bool wdr_check_select(struct wdr_running *r)
{
    static const char *const names[] = {"readable", "writable", "exceptional"};
    for (unsigned i = 0; i < 3; i++) {
        const struct wdr_expr *ready = wdr_expr_field(wdr_call_arg(r, i + 1), "ready");
        unsigned n = 0;
        int64_t v;
        if (!ready || !r->op.sets[i])
            continue;
        for (const struct wdr_expr *e = ready->first; e; e = e->next, n++) {
            if (!wdr_expr_number(r, e, &v))
                return false;
            int fd = wdr_fd_live(r->env, (int)v);
            if (fd < 0 || fd >= FD_SETSIZE || !FD_ISSET(fd, r->op.sets[i]))
                return wdr_call_fail(r, "select(): %lld is not %s", (long long)v, names[i]);
        }
        if (count_set(r->op.sets[i]) != n)
            return wdr_call_fail(r, "select(): more is %s than the script says", names[i]);
    }
    return true;
}

static bool check_event(struct wdr_running *r, const struct wdr_expr *want, const struct epoll_event *got)
{
    static const char *const data_names[] = {"fd", "u32", "u64", "ptr"};
    if (!check_number(r, "events", wdr_expr_field(want, "events"), got->events))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        if (!check_number(r, data_names[i], wdr_expr_field(want, data_names[i]), (int64_t)got->data.u64))
            return false;
    }
    return true;
}

bool wdr_check_epoll(struct wdr_running *r)
{
    const struct wdr_expr *want = wdr_call_arg(r, 1);
    const struct wdr_expr *e = want->kind == WDR_EXPR_LIST ? want->first : want->kind == WDR_EXPR_STRUCT ? want : NULL;
    for (int64_t i = 0; i < r->op.ret && e; i++, e = want->kind == WDR_EXPR_LIST ? e->next : NULL) {
        if (!check_event(r, e, &r->op.event[i]))
            return false;
    }
    return true;
}

/* ---- Pipes and files ---- */

bool wdr_check_pipe(struct wdr_running *r)
{
    const struct wdr_expr *e = wdr_call_arg(r, 0);
    int64_t a, b;
    if (e->kind != WDR_EXPR_LIST || !e->first || !e->first->next)
        return wdr_call_fail(r, "pipe() wants [number, number]");
    if (!wdr_expr_number(r, e->first, &a) || !wdr_expr_number(r, e->first->next, &b))
        return false;
    wdr_fd_bind(r->env, (int)a, r->out_pair[0]);
    wdr_fd_bind(r->env, (int)b, r->out_pair[1]);
    return true;
}
