/*
 * Guests (guest.h).
 */
#include "run/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/run.h"
#include "run/sock.h"

struct wir_guest_house {
    struct wir_before before;
    int signal_fd;
};

struct wir_guest {
    struct wir_run run;
    struct wir_run_opts opts;
};

struct wir_guest_house *wir_guest_house_new(void)
{
    struct wir_guest_house *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    wir_before_take(&h->before);
    h->signal_fd = wir_signals_block(&h->before.mask);
    if (h->signal_fd >= 0)
        return h;
    free(h);
    return NULL;
}

void wir_guest_house_free(struct wir_guest_house *h)
{
    if (!h)
        return;
    close(h->signal_fd);
    sigaction(SIGPIPE, &h->before.pipe, NULL);
    sigprocmask(SIG_SETMASK, &h->before.mask, NULL);
    setrlimit(RLIMIT_NOFILE, &h->before.files);
    free(h);
}

int wir_guest_house_fd(const struct wir_guest_house *h)
{
    return h->signal_fd;
}

bool wir_guest_house_is_asked_to_end(struct wir_guest_house *h)
{
    struct signalfd_siginfo info;
    bool is_end = false;
    while (read(h->signal_fd, &info, sizeof info) == sizeof info)
        is_end |= info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP ||
                  info.ssi_signo == SIGQUIT;
    return is_end;
}

static int begin(struct wir_run *r)
{
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (r->epoll_fd < 0)
        return -errno;
    r->prog.epoll = weir_epoll_create(r->prog.stack);
    int err = r->prog.epoll < 0 ? (int)r->prog.epoll : wir_launch_start(r);
    if (err == 0)
        err = wir_notify_start(r);
    return err ? err : wir_launch_watch(r);
}

struct wir_guest *wir_guest_start(const struct wir_guest_house *h, const struct wir_guest_config *c)
{
    struct wir_guest *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    struct wir_run *r = &g->run;
    g->opts.argv = c->argv;
    r->opts = &g->opts;
    r->launch = (struct wir_launch){.status_fd = -1, .life_fd = -1, .go_fd = -1, .notify_fd = -1};
    r->before = h->before;
    r->out_fd = c->out_fd;
    r->prog.stack = c->stack;
    TAILQ_INIT(&r->tasks);
    TAILQ_INIT(&r->retired);
    TAILQ_INIT(&r->flows);
    if (begin(r) < 0) {
        wir_guest_free(g);
        return NULL;
    }
    wir_launch_go(r);
    return g;
}

int wir_guest_fd(const struct wir_guest *g)
{
    return g->run.epoll_fd;
}

bool wir_guest_turn(struct wir_guest *g)
{
    return wir_loop_turn(&g->run);
}

weir_ns wir_guest_deadline(const struct wir_guest *g)
{
    return wir_loop_deadline(&g->run);
}

void wir_guest_stop(struct wir_guest *g)
{
    wir_launch_stop(&g->run);
}

bool wir_guest_is_gone(const struct wir_guest *g)
{
    return g->run.keeper_gone && g->run.sock_n <= g->run.retired_n;
}

bool wir_guest_has_ended(const struct wir_guest *g, int *status, int *start_err)
{
    int how = g->run.wait_status;
    *start_err = g->run.start_errno;
    *status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
    return g->run.program_ended;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void wir_guest_free(struct wir_guest *g)
{
    if (!g)
        return;
    struct wir_run *r = &g->run;
    wir_launch_stop(r);
    wir_loop_let_go(r);
    for (unsigned k = 0; k < WIR_READ_BLOCKS; k++) {
        if (r->scratch[0].blocks[k])
            weir_block_unref(r->scratch[0].blocks[k]);
    }
    close_fd(r->launch.notify_fd); /* a call that nobody answers any more fails, so that the program can end */
    close_fd(r->launch.go_fd);
    if (r->launch.keeper > 0)
        waitpid(r->launch.keeper, NULL, 0);
    close_fd(r->launch.status_fd);
    close_fd(r->epoll_fd);
    free(g);
}
