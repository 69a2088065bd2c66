/*
 * A script's system call: made into an operation (posix.h), and its result held against what the script says.
 */
#ifndef WDR_CALL_H
#define WDR_CALL_H

#include "drill/arena.h"
#include "drill/ast.h"
#include "drill/posix.h"

#define WDR_SCRIPT_FDS_MAX 256

/* What calls need to know of the run. */
struct wdr_call_env {
    int family;                         /* of sockets: AF_INET6 in IPv6 and IPv4-mapped runs */
    struct weir_sockaddr local, remote; /* what "..." means to bind and connect */
    weir_ns zero;                       /* the script's beginning, on the stack's clock */
    struct {
        int script, live;
    } fds[WDR_SCRIPT_FDS_MAX];
    unsigned fd_n;
};

/* A call under way. */
struct wdr_running {
    const struct wdr_event *event;
    const struct wdr_call *call;
    struct wdr_op op;
    struct wdr_arena *arena; /* its buffers */
    struct wdr_error *error;
    struct wdr_call_env *env;
    socklen_t out_len; /* of an address or an option's value that comes back */
    int out_int;
    int out_pair[2];
    off_t out_off;
    struct timeval out_time;
};

/* Read the arguments. false: error says what is wrong with them. */
bool wdr_call_begin(struct wdr_running *, const struct wdr_event *, struct wdr_call_env *, struct wdr_error *);

/* It is done: hold the result and what came back against the script. false: error tells the difference, and
 * `actual` (may be NULL) gets the result as a script would write it. */
bool wdr_call_check(struct wdr_running *, char *actual, size_t cap);

void wdr_call_end(struct wdr_running *); /* free what it holds */

/* The live number of a script's descriptor, -1 when the script has none such. */
int wdr_fd_live(const struct wdr_call_env *, int script);
void wdr_fd_bind(struct wdr_call_env *, int script, int live);

/* ---- Between call.c, call_args.c and call_check.c ---- */

bool wdr_call_fail(struct wdr_running *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool wdr_expr_number(struct wdr_running *, const struct wdr_expr *, int64_t *out);
const struct wdr_expr *wdr_expr_field(const struct wdr_expr *, const char *name); /* NULL: no such member */
bool wdr_expr_sockaddr(struct wdr_running *, const struct wdr_expr *, struct weir_sockaddr *out);
const struct wdr_expr *wdr_call_arg(const struct wdr_running *, unsigned i);
void *wdr_call_take(struct wdr_running *, size_t);

/* A call of the language: how its arguments are read, and what comes back beside the result. */
struct wdr_call_kind {
    const char *name;
    enum wdr_op_kind op;
    unsigned args_min, args_max;
    bool (*read)(struct wdr_running *);
    bool (*check)(struct wdr_running *); /* NULL: nothing comes back */
    bool gives_fd;
};

const struct wdr_call_kind *wdr_call_kind(const char *name);

bool wdr_check_sockaddr(struct wdr_running *);
bool wdr_check_message(struct wdr_running *);
bool wdr_check_option(struct wdr_running *);
bool wdr_check_ioctl(struct wdr_running *);
bool wdr_check_poll(struct wdr_running *);
bool wdr_check_select(struct wdr_running *);
bool wdr_check_epoll(struct wdr_running *);
bool wdr_check_pipe(struct wdr_running *);

#endif
