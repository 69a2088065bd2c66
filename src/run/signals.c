/*
 * Signals. The program is in our process group, so the terminal's own (SIGINT, SIGQUIT, SIGHUP, SIGWINCH) reach it by
 * themselves and we only stay alive; what somebody sends to us alone is passed on. So is the hangup when we lead the
 * session: the terminal tells its leader alone. SIGTSTP stops us as it stops the program.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "run/run.h"

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM};

static void on_signal(struct wir_run *r, const struct signalfd_siginfo *info)
{
    bool is_leaders = info->ssi_signo == SIGHUP && getsid(0) == getpid();
    bool is_terminals = info->ssi_code == SI_KERNEL && !is_leaders;
    bool ends_us = info->ssi_signo == SIGINT || info->ssi_signo == SIGTERM || info->ssi_signo == SIGQUIT ||
                   info->ssi_signo == SIGHUP;

    if (!r->program_ended) {
        r->is_asked_to_end |= ends_us && !is_terminals;
        if (!is_terminals)
            kill(r->launch.program, (int)info->ssi_signo);
    } else if (ends_us) {
        r->is_stopping = true;
        wir_launch_stop(r);
    }
}

static void signal_ready(struct wir_os_source *source, uint32_t events)
{
    struct wir_run *r = (struct wir_run *)((char *)source - offsetof(struct wir_run, signal_source));
    struct signalfd_siginfo info;
    (void)events;
    while (read(r->signal_fd, &info, sizeof info) == sizeof info)
        on_signal(r, &info);
}

int wir_signals_block(sigset_t *old_mask)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        sigaddset(&set, passed_on[i]);
    sigprocmask(SIG_BLOCK, &set, old_mask);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int wir_signals_start(struct wir_run *r)
{
    r->signal_fd = wir_signals_block(&r->before.mask);
    if (r->signal_fd < 0)
        return r->signal_fd;
    r->signal_source.ready = signal_ready;
    return wir_loop_watch(r, r->signal_fd, EPOLLIN, &r->signal_source);
}
