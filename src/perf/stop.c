/* See stop.h. */
#include "perf/stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static int event_fd = -1;
static struct sigaction before_int, before_term, before_pipe;

/* The flag is for who is busy, the descriptor for who sleeps. */
static void note(int sig)
{
    int e = errno;
    const uint64_t one = 1;
    (void)sig;
    asked = 1;
    if (write(event_fd, &one, sizeof one) < 0)
        asked = 1; /* it is full: readable already */
    errno = e;
}

int wpf_stop_catch(void)
{
    struct sigaction sa = {.sa_handler = note}, ignore = {.sa_handler = SIG_IGN};
    asked = 0;
    event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event_fd < 0)
        return -errno;
    sigaction(SIGINT, &sa, &before_int);
    sigaction(SIGTERM, &sa, &before_term);
    sigaction(SIGPIPE, &ignore, &before_pipe);
    return 0;
}

void wpf_stop_release(void)
{
    if (event_fd < 0)
        return;
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    sigaction(SIGPIPE, &before_pipe, NULL);
    close(event_fd);
    event_fd = -1;
}

bool wpf_stop_asked(void)
{
    return asked != 0;
}

int wpf_stop_fd(void)
{
    return event_fd;
}
