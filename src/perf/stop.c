/* See stop.h. */
#include "perf/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_bool asked; /* threads look at it, and a signal handler sets it: it has no lock */
static int event_fd = -1;
static struct sigaction before_int, before_term, before_pipe;

/* The flag is for who is busy, the descriptor for who sleeps. */
void wpf_stop_ask(void)
{
    const uint64_t one = 1;
    asked = true;
    if (write(event_fd, &one, sizeof one) < 0)
        return; /* it is full: readable already */
}

static void note(int sig)
{
    int e = errno;
    (void)sig;
    wpf_stop_ask();
    errno = e;
}

int wpf_stop_catch(void)
{
    struct sigaction sa = {.sa_handler = note}, ignore = {.sa_handler = SIG_IGN};
    asked = false;
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
    return asked;
}

int wpf_stop_fd(void)
{
    return event_fd;
}
