/*
 * Running weir runs, and what their control sockets say.
 */
#ifndef WSS_CLIENT_H
#define WSS_CLIENT_H

#include <stdio.h>
#include <sys/types.h>

#include "run/view.h"

#define WSS_RUNS_MAX  256
#define WSS_SOCKS_MAX 4000000u

/* A run that answers. */
struct wss_run {
    int fd;
    pid_t pid; /* of weir run */
    char command[256];
    char in[16384]; /* read, and not yet taken */
    size_t in_at, in_n;
};

/* May a word of the command line name a run: a process id, a path? */
bool wss_is_run(const char *word);

/* The runs to look at: `wanted` names them so; with none all of the user's. Sockets of runs that are dead are cleaned
 * away. wait_s: as long each may be silent. How many; below 0: none. What is wrong is said on stderr in a line that
 * begins with `who`; NULL: silently. */
int wss_runs_open(struct wss_run **out, char *const *wanted, int wanted_n, const char *who, int wait_s);
void wss_runs_close(struct wss_run *, int n);

/* A socket, and where it was found. */
struct wss_sock {
    struct wir_view view;
    pid_t run;
};

struct wss_socks {
    struct wss_sock *at;
    size_t n, cap;
    uint64_t clock_ns; /* of the run that was asked last */
};

/* What is asked for. */
struct wss_ask {
    const char *host; /* "program", "gateway" */
    bool tcp, udp, is_long;
};

/* Add the sockets of a run. 0, or -errno: it has ended, or does not answer. */
int wss_list(struct wss_run *, const struct wss_ask *, struct wss_socks *);

#endif
