/*
 * weir iperf.
 */
#include "perf/command.h"
#include "perf/iperf.h"
#include "perf/stop.h"

#include <stdio.h>
#include <string.h>

int wpf_iperf_main(int argc, char **argv)
{
    struct wpf_iperf_options opts;
    if (wpf_iperf_options_parse(&opts, argc, argv) < 0)
        return 2;
    if (opts.wants_help) {
        fputs(wpf_iperf_help, stdout);
        return 0;
    }
    int err = wpf_stop_catch();
    if (err < 0) {
        fprintf(stderr, "weir iperf: %s\n", strerror(-err));
        return 1;
    }
    struct wpf_net *net = wpf_net_new(&opts.net, "weir iperf");
    int status = 1;
    if (net)
        status = opts.is_server ? wpf_iperf_server(&opts, net) : wpf_iperf_client(&opts, net);
    wpf_net_free(net);
    wpf_stop_release();
    return status;
}
