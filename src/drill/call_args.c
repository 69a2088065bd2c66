/*
 * Reading the arguments of calls.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "drill/call.h"
#include "drill/symbols.h"

#define BUFFER_MAX  (1 << 30)
#define CONTROL_CAP 1024
#define MEMBERS_MAX 64
#define VALUE_CAP   512

/* ---- Values ---- */

static bool number_of_call(struct wdr_running *r, const struct wdr_expr *e, int64_t *out)
{
    int64_t v = 0;
    if (e->first && e->first->kind == WDR_EXPR_STRING && strcmp(e->text, "inet_addr") == 0) {
        *out = inet_addr(e->first->text);
        return true;
    }
    if (!e->first || !wdr_expr_number(r, e->first, &v))
        return wdr_call_fail(r, "%s() needs an argument", e->text);
    if (strcmp(e->text, "htons") == 0 || strcmp(e->text, "ntohs") == 0)
        *out = htons((uint16_t)v);
    else if (strcmp(e->text, "htonl") == 0 || strcmp(e->text, "ntohl") == 0)
        *out = htonl((uint32_t)v);
    else
        return wdr_call_fail(r, "no such function here: %s()", e->text);
    return true;
}

bool wdr_expr_number(struct wdr_running *r, const struct wdr_expr *e, int64_t *out)
{
    int64_t a = 0, b = 0;
    switch (e->kind) {
    case WDR_EXPR_INT: *out = e->number; return true;
    case WDR_EXPR_WORD:
        return wdr_symbol(e->text, out) || wdr_call_fail(r, "no constant that scripts know: %s", e->text);
    case WDR_EXPR_OR:
        if (!wdr_expr_number(r, e->first, &a) || !wdr_expr_number(r, e->first->next, &b))
            return false;
        *out = a | b;
        return true;
    case WDR_EXPR_INVERT:
        if (!wdr_expr_number(r, e->first, &a))
            return false;
        *out = ~a;
        return true;
    case WDR_EXPR_CALL: return number_of_call(r, e, out);
    case WDR_EXPR_LIST:
        if (e->first && !e->first->next)
            return wdr_expr_number(r, e->first, out);
        break;
    case WDR_EXPR_ELLIPSIS:
    case WDR_EXPR_STRING:
    case WDR_EXPR_STRUCT: break;
    }
    return wdr_call_fail(r, "an argument of %s() should be a number", r->call->name);
}

const struct wdr_expr *wdr_expr_field(const struct wdr_expr *e, const char *name)
{
    for (const struct wdr_expr *m = e->kind == WDR_EXPR_STRUCT ? e->first : NULL; m; m = m->next) {
        if (m->field && strcmp(m->field, name) == 0)
            return m;
    }
    return NULL;
}

static bool number_arg(struct wdr_running *r, unsigned i, int64_t *out)
{
    return wdr_expr_number(r, wdr_call_arg(r, i), out);
}

static bool int_arg(struct wdr_running *r, unsigned i, int *out)
{
    int64_t v = 0;
    if (!number_arg(r, i, &v))
        return false;
    *out = (int)v;
    return true;
}

static bool fd_value(struct wdr_running *r, const struct wdr_expr *e, int *out)
{
    int64_t v;
    if (!wdr_expr_number(r, e, &v))
        return false;
    *out = wdr_fd_live(r->env, (int)v);
    return true;
}

static bool fd_arg(struct wdr_running *r, unsigned i, int *out)
{
    return fd_value(r, wdr_call_arg(r, i), out);
}

static bool is_null(const struct wdr_expr *e)
{
    return (e->kind == WDR_EXPR_WORD && strcmp(e->text, "NULL") == 0) || (e->kind == WDR_EXPR_INT && e->number == 0);
}

/* ---- Addresses ---- */

static const struct wdr_expr *any_field(const struct wdr_expr *e, const char *a, const char *b)
{
    const struct wdr_expr *f = wdr_expr_field(e, a);
    return f ? f : wdr_expr_field(e, b);
}

/* inet_addr("1.2.3.4"), inet_pton(AF_INET6, "…"), or the text itself. */
static bool address_value(struct wdr_running *r, const struct wdr_expr *e, struct weir_addr *out)
{
    const struct wdr_expr *s = e;
    int64_t v;
    if (e->kind == WDR_EXPR_CALL) {
        for (s = e->first; s && s->kind != WDR_EXPR_STRING;)
            s = s->next;
    }
    if (s && s->kind == WDR_EXPR_STRING)
        return weir_addr_parse(out, s->text) == 0 || wdr_call_fail(r, "'%s' is no address", s->text);
    if (!wdr_expr_number(r, e, &v))
        return false;
    *out = weir_addr_v4((uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)); /* network order */
    return true;
}

bool wdr_expr_sockaddr(struct wdr_running *r, const struct wdr_expr *e, struct weir_sockaddr *out)
{
    int64_t v = r->env->family;
    const struct wdr_expr *family = any_field(e, "sa_family", "sin_family"),
                          *port = any_field(e, "sin_port", "sin6_port");
    const struct wdr_expr *addr = any_field(e, "sin_addr", "sin6_addr");
    if (e->kind != WDR_EXPR_STRUCT)
        return wdr_call_fail(r, "an address is {sa_family=…, sin_port=htons(…), sin_addr=inet_addr(\"…\")} or ...");
    if (!family)
        family = wdr_expr_field(e, "sin6_family");
    if (family && !wdr_expr_number(r, family, &v))
        return false;
    *out = (struct weir_sockaddr){.family = (uint16_t)v, .addr = weir_addr_any((int)v == AF_INET ? AF_INET : AF_INET6)};
    if (port) {
        if (!wdr_expr_number(r, port, &v))
            return false;
        out->port = ntohs((uint16_t)v);
    }
    return !addr || address_value(r, addr, &out->addr);
}

static bool set_address(struct wdr_running *r, unsigned i, const struct weir_sockaddr *dflt)
{
    struct weir_sockaddr a = *dflt;
    const struct wdr_expr *e = wdr_call_arg(r, i);
    bool is_unspec = e->kind == WDR_EXPR_WORD && strcmp(e->text, "AF_UNSPEC") == 0;
    if (is_null(e))
        return true;
    if (is_unspec)
        a.family = AF_UNSPEC;
    else if (e->kind != WDR_EXPR_ELLIPSIS && !wdr_expr_sockaddr(r, e, &a))
        return false;
    r->op.addr = wdr_call_take(r, sizeof(struct sockaddr_storage));
    r->out_len = sizeof(struct sockaddr_storage);
    wdr_sockaddr_write(r->op.addr, &r->out_len, &a);
    if (a.family == AF_UNSPEC)
        r->op.addr->sa_family = AF_UNSPEC; /* connect: let go of the peer */
    r->op.addr_len = r->out_len;
    return true;
}

/* Room for an address that comes back. */
static bool want_address(struct wdr_running *r, unsigned i)
{
    if (i < r->call->arg_n && is_null(wdr_call_arg(r, i)))
        return true;
    r->op.addr = wdr_call_take(r, sizeof(struct sockaddr_storage));
    r->out_len = sizeof(struct sockaddr_storage);
    r->op.addr_len_p = &r->out_len;
    return true;
}

/* ---- Sockets ---- */

static bool read_socket(struct wdr_running *r)
{
    r->op.a = r->env->family;
    if (wdr_call_arg(r, 0)->kind != WDR_EXPR_ELLIPSIS && !int_arg(r, 0, &r->op.a))
        return false;
    return int_arg(r, 1, &r->op.b) && int_arg(r, 2, &r->op.c);
}

static bool read_bind(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && set_address(r, 1, &r->env->local);
}

static bool read_connect(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && set_address(r, 1, &r->env->remote);
}

static bool read_accept(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && want_address(r, 1);
}

/* A descriptor and a number: listen, shutdown. */
static bool read_fd_int(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && int_arg(r, 1, &r->op.a);
}

static bool read_close(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd);
}

/* ---- Bytes ---- */

static bool buffer_of(struct wdr_running *r, const struct wdr_expr *bytes, const struct wdr_expr *count, void **buf,
                      size_t *len)
{
    int64_t n = 0;
    if (!wdr_expr_number(r, count, &n))
        return false;
    if (n < 0 || n > BUFFER_MAX)
        return wdr_call_fail(r, "%s(): no room for %lld bytes", r->call->name, (long long)n);
    *len = (size_t)n;
    *buf = is_null(bytes) ? NULL : wdr_call_take(r, *len + 1);
    if (*buf && bytes->kind == WDR_EXPR_STRING)
        memcpy(*buf, bytes->text, bytes->text_len < *len ? bytes->text_len : *len);
    return true;
}

static bool read_buffer(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && buffer_of(r, wdr_call_arg(r, 1), wdr_call_arg(r, 2), &r->op.buf, &r->op.len) &&
           (r->call->arg_n < 4 || int_arg(r, 3, &r->op.flags));
}

static bool read_sendto(struct wdr_running *r)
{
    return read_buffer(r) && set_address(r, 4, &r->env->remote);
}

static bool read_recvfrom(struct wdr_running *r)
{
    return read_buffer(r) && want_address(r, 4);
}

static bool iov_of(struct wdr_running *r, const struct wdr_expr *list, struct iovec **iov, int *n)
{
    *n = 0;
    if (list->kind != WDR_EXPR_LIST)
        return wdr_call_fail(r, "pieces of memory are [{..., 1000}, {..., 2000}]");
    for (const struct wdr_expr *e = list->first; e; e = e->next)
        (*n)++;
    *iov = wdr_call_take(r, sizeof(struct iovec) * (size_t)(*n + 1));
    int i = 0;
    for (const struct wdr_expr *e = list->first; e; e = e->next, i++) {
        if (e->kind != WDR_EXPR_STRUCT || !e->first || !e->first->next)
            return wdr_call_fail(r, "a piece of memory is {..., 1000}");
        if (!buffer_of(r, e->first, e->first->next, &(*iov)[i].iov_base, &(*iov)[i].iov_len))
            return false;
    }
    return true;
}

static bool read_vector(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && iov_of(r, wdr_call_arg(r, 1), &r->op.iov, &r->op.iov_n);
}

/* The control messages that sendmsg is given: {cmsg_level=…, cmsg_type=…, cmsg_data=[…]}. */
static bool control_of(struct wdr_running *r, const struct wdr_expr *list, struct msghdr *m)
{
    size_t used = 0;
    for (const struct wdr_expr *e = list->first; e; e = e->next) {
        const struct wdr_expr *level = wdr_expr_field(e, "cmsg_level"), *type = wdr_expr_field(e, "cmsg_type");
        const struct wdr_expr *data = wdr_expr_field(e, "cmsg_data");
        int64_t lv, tv, dv;
        if (!level || !type || !data || used + CMSG_SPACE(sizeof(int)) > CONTROL_CAP)
            return wdr_call_fail(r, "a control message is {cmsg_level=…, cmsg_type=…, cmsg_data=…}");
        if (!wdr_expr_number(r, level, &lv) || !wdr_expr_number(r, type, &tv) || !wdr_expr_number(r, data, &dv))
            return false;
        struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)m->msg_control + used);
        int v = (int)dv;
        c->cmsg_level = (int)lv;
        c->cmsg_type = (int)tv;
        c->cmsg_len = CMSG_LEN(sizeof v);
        memcpy(CMSG_DATA(c), &v, sizeof v);
        used += CMSG_SPACE(sizeof v);
    }
    m->msg_controllen = used;
    return true;
}

static bool read_message(struct wdr_running *r)
{
    const struct wdr_expr *e = wdr_call_arg(r, 1), *iov = wdr_expr_field(e, "msg_iov");
    const struct wdr_expr *name = wdr_expr_field(e, "msg_name"), *control = wdr_expr_field(e, "msg_control");
    struct msghdr *m = wdr_call_take(r, sizeof *m);
    struct weir_sockaddr to;
    int iov_n = 0;
    r->op.msg = m;
    if (!fd_arg(r, 0, &r->op.fd) || !int_arg(r, 2, &r->op.flags))
        return false;
    if (!iov)
        return wdr_call_fail(r, "a message is {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}");
    if (!iov_of(r, iov, &m->msg_iov, &iov_n))
        return false;
    m->msg_iovlen = (size_t)iov_n;
    m->msg_control = wdr_call_take(r, CONTROL_CAP);
    bool sends = r->op.kind == WDR_OP_SENDMSG;
    m->msg_controllen = sends ? 0 : CONTROL_CAP;
    m->msg_name = wdr_call_take(r, sizeof(struct sockaddr_storage));
    m->msg_namelen = sends ? 0 : sizeof(struct sockaddr_storage);
    if (sends && name && name->kind == WDR_EXPR_STRUCT) {
        if (!wdr_expr_sockaddr(r, name, &to))
            return false;
        m->msg_namelen = sizeof(struct sockaddr_storage);
        wdr_sockaddr_write(m->msg_name, &m->msg_namelen, &to);
    } else if (sends && (r->op.flags & MSG_FASTOPEN)) { /* "..." means the peer where one is needed */
        m->msg_namelen = sizeof(struct sockaddr_storage);
        wdr_sockaddr_write(m->msg_name, &m->msg_namelen, &r->env->remote);
    }
    return !sends || !control || control->kind != WDR_EXPR_LIST || control_of(r, control, m);
}

/* ---- Options and flags ---- */

static bool read_fcntl(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && int_arg(r, 1, &r->op.a) && (r->call->arg_n < 3 || int_arg(r, 2, &r->op.b));
}

static bool read_ioctl(struct wdr_running *r)
{
    int64_t request, v = 0;
    if (!fd_arg(r, 0, &r->op.fd) || !number_arg(r, 1, &request))
        return false;
    r->op.request = (unsigned long)request;
    r->op.value = &r->out_int;
    if (r->call->arg_n < 3 || wdr_call_arg(r, 2)->kind == WDR_EXPR_ELLIPSIS)
        return true;
    if (!number_arg(r, 2, &v))
        return false;
    r->out_int = request == FIONBIO ? (int)v : -1; /* what is asked for is compared, not handed in */
    return true;
}

static bool put_numbers(struct wdr_running *r, const struct wdr_expr *first, bool is_wide, uint8_t *out, socklen_t *len)
{
    int64_t v;
    *len = 0;
    for (const struct wdr_expr *e = first; e; e = e->next) {
        if (*len + sizeof v > VALUE_CAP || !wdr_expr_number(r, e, &v))
            return wdr_call_fail(r, "an option's value is a number, [number], \"text\" or {members}");
        int narrow = (int)v;
        memcpy(out + *len, is_wide ? (void *)&v : (void *)&narrow, is_wide ? sizeof v : sizeof narrow);
        *len += is_wide ? (socklen_t)sizeof v : (socklen_t)sizeof narrow;
    }
    return true;
}

/* An option's value as bytes: ints, text, or a struct whose members are ints (linger) or longs (timeval). */
static bool value_bytes(struct wdr_running *r, const struct wdr_expr *e, uint8_t *out, socklen_t *len)
{
    if (e->kind == WDR_EXPR_STRING) {
        *len = (socklen_t)(e->text_len < VALUE_CAP ? e->text_len : VALUE_CAP);
        memcpy(out, e->text, *len);
        return true;
    }
    if (e->kind == WDR_EXPR_STRUCT || e->kind == WDR_EXPR_LIST)
        return put_numbers(r, e->first, wdr_expr_field(e, "tv_sec") != NULL, out, len);
    int64_t v;
    if (!wdr_expr_number(r, e, &v))
        return false;
    int narrow = (int)v;
    memcpy(out, &narrow, sizeof narrow);
    *len = sizeof narrow;
    return true;
}

static bool read_option_name(struct wdr_running *r)
{
    return fd_arg(r, 0, &r->op.fd) && int_arg(r, 1, &r->op.a) && int_arg(r, 2, &r->op.b);
}

static bool read_setsockopt(struct wdr_running *r)
{
    const struct wdr_expr *value = wdr_call_arg(r, 3), *len = wdr_call_arg(r, 4);
    int64_t v = 0;
    if (!read_option_name(r))
        return false;
    r->op.value = wdr_call_take(r, VALUE_CAP);
    if (value->kind == WDR_EXPR_ELLIPSIS || is_null(value))
        r->op.value = is_null(value) && value->kind == WDR_EXPR_WORD ? NULL : r->op.value;
    if (r->op.value && value->kind != WDR_EXPR_ELLIPSIS && !value_bytes(r, value, r->op.value, &r->op.addr_len))
        return false;
    if (len->kind == WDR_EXPR_ELLIPSIS)
        return true;
    if (!wdr_expr_number(r, len, &v))
        return false;
    r->op.addr_len = (socklen_t)(v > VALUE_CAP ? VALUE_CAP : v);
    return true;
}

static bool read_getsockopt(struct wdr_running *r)
{
    const struct wdr_expr *len = wdr_call_arg(r, 4);
    int64_t v = VALUE_CAP;
    if (!read_option_name(r))
        return false;
    if (len->kind != WDR_EXPR_ELLIPSIS && !wdr_expr_number(r, len, &v))
        return false;
    r->op.value = wdr_call_take(r, VALUE_CAP);
    r->out_len = (socklen_t)(v > VALUE_CAP ? VALUE_CAP : v);
    r->op.addr_len_p = &r->out_len;
    return true;
}

/* ---- Readiness ---- */

static bool read_pollfd(struct wdr_running *r, const struct wdr_expr *e, struct pollfd *p)
{
    const struct wdr_expr *fd = wdr_expr_field(e, "fd"), *events = wdr_expr_field(e, "events");
    int64_t v;
    if (!fd || !events)
        return wdr_call_fail(r, "poll() wants [{fd=4, events=POLLIN, revents=POLLIN}]");
    if (!fd_value(r, fd, &p->fd) || !wdr_expr_number(r, events, &v))
        return false;
    p->events = (short)v;
    return true;
}

static bool read_poll(struct wdr_running *r)
{
    int64_t n;
    const struct wdr_expr *list = wdr_call_arg(r, 0);
    if (!number_arg(r, 1, &n) || !int_arg(r, 2, &r->op.a))
        return false;
    if (n < 0 || n > MEMBERS_MAX || list->kind != WDR_EXPR_LIST)
        return wdr_call_fail(r, "poll() wants a list of at most %d", MEMBERS_MAX);
    r->op.pollfds = wdr_call_take(r, sizeof(struct pollfd) * (size_t)(n + 1));
    for (const struct wdr_expr *e = list->first; e; e = e->next) {
        if (r->op.len == (size_t)n)
            return wdr_call_fail(r, "poll()'s list is longer than its count says");
        if (!read_pollfd(r, e, &r->op.pollfds[r->op.len++]))
            return false;
    }
    return true;
}

/* One of select's sets: NULL, [3,4], or {ask=[3,4], ready=[4]}. */
static bool read_set(struct wdr_running *r, unsigned i)
{
    const struct wdr_expr *e = wdr_call_arg(r, i), *ask = wdr_expr_field(e, "ask");
    int fd;
    if (is_null(e))
        return true;
    if (!ask)
        ask = e;
    if (ask->kind != WDR_EXPR_LIST)
        return wdr_call_fail(r, "a set of select() is NULL, [3,4] or {ask=[3,4], ready=[4]}");
    r->op.sets[i - 1] = wdr_call_take(r, sizeof(fd_set));
    for (const struct wdr_expr *m = ask->first; m; m = m->next) {
        if (!fd_value(r, m, &fd))
            return false;
        if (fd < 0 || fd >= FD_SETSIZE)
            return wdr_call_fail(r, "a descriptor that select() can't hold");
        FD_SET(fd, r->op.sets[i - 1]);
        r->op.a = fd >= r->op.a ? fd + 1 : r->op.a;
    }
    return true;
}

static bool read_select(struct wdr_running *r)
{
    const struct wdr_expr *t = wdr_call_arg(r, 4);
    int64_t s = 0, us = 0;
    if (!read_set(r, 1) || !read_set(r, 2) || !read_set(r, 3))
        return false;
    if (is_null(t))
        return true;
    if (t->kind != WDR_EXPR_STRUCT || !t->first || !t->first->next || !wdr_expr_number(r, t->first, &s) ||
        !wdr_expr_number(r, t->first->next, &us))
        return wdr_call_fail(r, "select()'s time is NULL or {tv_sec=0, tv_usec=0}");
    r->out_time = (struct timeval){s, us};
    r->op.timeout = &r->out_time;
    return true;
}

static bool read_epoll_create(struct wdr_running *r)
{
    r->op.a = 1; /* epoll_create1 has flags instead of a size */
    return strcmp(r->call->name, "epoll_create1") == 0 || int_arg(r, 0, &r->op.a);
}

static bool read_epoll_event(struct wdr_running *r, const struct wdr_expr *e, struct epoll_event *ev)
{
    static const char *const data_names[] = {"fd", "u32", "u64", "ptr"};
    const struct wdr_expr *events = wdr_expr_field(e, "events"), *data = NULL;
    int64_t v = 0;
    for (unsigned i = 0; i < 4 && !data; i++)
        data = wdr_expr_field(e, data_names[i]);
    if (!events || !wdr_expr_number(r, events, &v))
        return wdr_call_fail(r, "epoll wants {events=EPOLLIN, fd=4}");
    ev->events = (uint32_t)v;
    v = 0;
    if (data && !wdr_expr_number(r, data, &v))
        return false;
    ev->data.u64 = (uint64_t)v;
    return true;
}

static bool read_epoll_ctl(struct wdr_running *r)
{
    const struct wdr_expr *e = wdr_call_arg(r, 3);
    if (!fd_arg(r, 0, &r->op.fd) || !int_arg(r, 1, &r->op.a) || !fd_arg(r, 2, &r->op.fd2))
        return false;
    if (is_null(e))
        return true;
    r->op.event = wdr_call_take(r, sizeof *r->op.event);
    return read_epoll_event(r, e, r->op.event);
}

static bool read_epoll_wait(struct wdr_running *r)
{
    if (!fd_arg(r, 0, &r->op.fd) || !int_arg(r, 2, &r->op.a) || !int_arg(r, 3, &r->op.b))
        return false;
    r->op.event = wdr_call_take(r, sizeof *r->op.event * MEMBERS_MAX);
    return r->op.a <= MEMBERS_MAX || wdr_call_fail(r, "more than %d events at once", MEMBERS_MAX);
}

/* ---- Pipes and files ---- */

static bool read_pipe(struct wdr_running *r)
{
    r->op.pipe_fds = r->out_pair;
    return true;
}

static bool read_splice(struct wdr_running *r)
{
    int64_t n;
    if (!fd_arg(r, 0, &r->op.fd) || !fd_arg(r, 2, &r->op.fd2) || !number_arg(r, 4, &n) || !int_arg(r, 5, &r->op.flags))
        return false;
    r->op.len = (size_t)n;
    return true;
}

static bool read_sendfile(struct wdr_running *r)
{
    int64_t n, off = 0;
    if (!fd_arg(r, 0, &r->op.fd) || !fd_arg(r, 1, &r->op.fd2) || !number_arg(r, 3, &n))
        return false;
    r->op.len = (size_t)n;
    if (!is_null(wdr_call_arg(r, 2)) || wdr_call_arg(r, 2)->kind == WDR_EXPR_INT) {
        if (!number_arg(r, 2, &off))
            return false;
        r->out_off = off;
        r->op.offset = &r->out_off;
    }
    return true;
}

static bool read_open(struct wdr_running *r)
{
    const struct wdr_expr *path = wdr_call_arg(r, 0);
    if (path->kind != WDR_EXPR_STRING)
        return wdr_call_fail(r, "open() wants a path in quotes");
    r->op.path = path->text;
    return int_arg(r, 1, &r->op.a);
}

/* ---- The table ---- */

static const struct wdr_call_kind kinds[] = {
    {"socket", WDR_OP_SOCKET, 3, 3, read_socket, NULL, true},
    {"bind", WDR_OP_BIND, 3, 3, read_bind, NULL, false},
    {"listen", WDR_OP_LISTEN, 2, 2, read_fd_int, NULL, false},
    {"accept", WDR_OP_ACCEPT, 3, 3, read_accept, wdr_check_sockaddr, true},
    {"connect", WDR_OP_CONNECT, 3, 3, read_connect, NULL, false},
    {"read", WDR_OP_READ, 3, 3, read_buffer, NULL, false},
    {"readv", WDR_OP_READV, 3, 3, read_vector, NULL, false},
    {"recv", WDR_OP_RECV, 4, 4, read_buffer, NULL, false},
    {"recvfrom", WDR_OP_RECVFROM, 6, 6, read_recvfrom, wdr_check_sockaddr, false},
    {"recvmsg", WDR_OP_RECVMSG, 3, 3, read_message, wdr_check_message, false},
    {"write", WDR_OP_WRITE, 3, 3, read_buffer, NULL, false},
    {"writev", WDR_OP_WRITEV, 3, 3, read_vector, NULL, false},
    {"send", WDR_OP_SEND, 4, 4, read_buffer, NULL, false},
    {"sendto", WDR_OP_SENDTO, 6, 6, read_sendto, NULL, false},
    {"sendmsg", WDR_OP_SENDMSG, 3, 3, read_message, NULL, false},
    {"fcntl", WDR_OP_FCNTL, 2, 3, read_fcntl, NULL, false},
    {"ioctl", WDR_OP_IOCTL, 2, 3, read_ioctl, wdr_check_ioctl, false},
    {"close", WDR_OP_CLOSE, 1, 1, read_close, NULL, false},
    {"shutdown", WDR_OP_SHUTDOWN, 2, 2, read_fd_int, NULL, false},
    {"getsockopt", WDR_OP_GETSOCKOPT, 5, 5, read_getsockopt, wdr_check_option, false},
    {"setsockopt", WDR_OP_SETSOCKOPT, 5, 5, read_setsockopt, NULL, false},
    {"poll", WDR_OP_POLL, 3, 3, read_poll, wdr_check_poll, false},
    {"select", WDR_OP_SELECT, 5, 5, read_select, wdr_check_select, false},
    {"epoll_create", WDR_OP_EPOLL_CREATE, 1, 1, read_epoll_create, NULL, true},
    {"epoll_create1", WDR_OP_EPOLL_CREATE, 1, 1, read_epoll_create, NULL, true},
    {"epoll_ctl", WDR_OP_EPOLL_CTL, 4, 4, read_epoll_ctl, NULL, false},
    {"epoll_wait", WDR_OP_EPOLL_WAIT, 4, 4, read_epoll_wait, wdr_check_epoll, false},
    {"pipe", WDR_OP_PIPE, 1, 1, read_pipe, wdr_check_pipe, false},
    {"splice", WDR_OP_SPLICE, 6, 6, read_splice, NULL, false},
    {"sendfile", WDR_OP_SENDFILE, 4, 4, read_sendfile, NULL, false},
    {"open", WDR_OP_OPEN, 2, 3, read_open, NULL, true},
};

const struct wdr_call_kind *wdr_call_kind(const char *name)
{
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}
