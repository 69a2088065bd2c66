/*
 * weir run from its beginning to its end. Everything that can be wrong with the command line, the files, the ports or
 * the kernel is found before the program starts.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/command.h"
#include "run/control.h"
#include "run/gateway.h"
#include "run/live.h"
#include "run/run.h"
#include "run/sock.h"
#include "run/watch.h"

#define KEPT_BYTES (16 << 20)

/* The blocks that reads fill come and go by the thousand: memory that was given back would be faulted in again. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_TOP_PAD, KEPT_BYTES / 16);
#endif
}

static int begin(struct wir_run *r)
{
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (r->epoll_fd < 0)
        return -errno;
    TAILQ_INIT(&r->tasks);
    TAILQ_INIT(&r->retired);
    TAILQ_INIT(&r->flows);
    r->now = wir_clock();
    keep_memory();
    wir_before_take(&r->before);
    int err = wir_watch_open(&r->watch, r->opts);
    if (err == 0)
        err = wir_inbound_bind(r);
    if (err == 0)
        err = wir_topology_new(r);
    if (err < 0)
        return err;
    err = wir_gateway_start(r);
    if (err < 0) {
        fprintf(stderr, "weir run: the gateway could not be opened: %s\n", weir_strerror(err));
        return err;
    }
    err = wir_signals_start(r);
    return err < 0 ? err : wir_launch_start(r);
}

static void end(struct wir_run *r)
{
    wir_live_stop(r);
    wir_control_stop(r);
    wir_loop_let_go(r);
    wir_gateway_stop(r);
    wir_inbound_stop(r);
    wir_watch_finish(r->watch, r->now);
    wir_topology_free(r);
    wir_loop_let_go(r); /* what these have buried */
    waitpid(r->launch.keeper, NULL, 0);
}

/* End as the program did, so that whoever waits for us sees what it would have seen. */
static int exit_as(const struct wir_run *r)
{
    if (r->start_errno) {
        const char *why = r->start_errno == ENOENT ? "no such program" : strerror(r->start_errno);
        fprintf(stderr, "weir run: %s: %s\n", r->opts->argv[0], why);
        return r->start_errno == ENOENT ? 127 : 126;
    }
    if (!WIFSIGNALED(r->wait_status))
        return WEXITSTATUS(r->wait_status);

    int sig = WTERMSIG(r->wait_status);
    struct rlimit none = {0, 0};
    sigset_t set;
    setrlimit(RLIMIT_CORE, &none); /* the core is the program's to leave, not ours */
    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    fflush(NULL);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return 128 + sig;
}

int wir_run_main(int argc, char **argv)
{
    static struct wir_run_opts opts;
    static struct wir_run run = {.opts = &opts, .out_fd = -1, .launch = {.status_fd = -1, .life_fd = -1, .go_fd = -1}};

    int parsed = wir_opts_parse(&opts, argc, argv);
    if (parsed)
        return parsed > 0 ? 0 : WIR_EXIT_OURS;
    if (begin(&run) < 0 || wir_notify_start(&run) < 0 || wir_launch_watch(&run) < 0 || wir_control_start(&run) < 0 ||
        wir_live_start(&run) < 0)
        return WIR_EXIT_OURS;
    wir_launch_go(&run);
    wir_loop_run(&run);
    end(&run);
    return exit_as(&run);
}
