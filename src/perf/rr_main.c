/*
 * weir rr.
 */
#include "perf/command.h"
#include "perf/rr.h"
#include "perf/stop.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Thousands of the kernel's sockets are thousands of descriptors. */
static void raise_descriptors(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
        lim.rlim_cur = lim.rlim_max;
        setrlimit(RLIMIT_NOFILE, &lim);
    }
}

static int measure(const struct wpf_rr_options *opts)
{
    struct wpf_net *net = wpf_net_new(&opts->net, "weir rr");
    int status = net ? wpf_rr_client(opts, net) : 1;
    wpf_net_free(net);
    return status;
}

int wpf_rr_main(int argc, char **argv)
{
    struct wpf_rr_options opts;
    if (wpf_rr_options_parse(&opts, argc, argv) < 0)
        return 2;
    if (opts.wants_help) {
        fputs(wpf_rr_help, stdout);
        return 0;
    }
    int err = wpf_stop_catch();
    if (err < 0) {
        fprintf(stderr, "weir rr: %s\n", strerror(-err));
        return 1;
    }
    if (opts.net.is_kernel)
        raise_descriptors();
    int status = opts.is_server ? wpf_rr_serve(&opts) : measure(&opts);
    wpf_stop_release();
    return status;
}
