/*
 * The command line of weir iperf, read.
 */
#ifndef WPF_IPERF_OPTIONS_H
#define WPF_IPERF_OPTIONS_H

#include "perf/iperf_msg.h"
#include "perf/net.h"

struct wpf_iperf_options {
    bool wants_help;
    bool is_server;
    bool is_one_off;
    const char *host; /* client: the server's */
    uint16_t port;
    weir_ns interval; /* between reports; 0: none but the last */
    bool is_json;
    char unit;                      /* of bitrates: kmgtKMGT, or 0: as it fits */
    struct wpf_iperf_params params; /* client */
    struct wpf_net_config net;
};

/* 0, or -EINVAL after a line on stderr. */
int wpf_iperf_options_parse(struct wpf_iperf_options *, int argc, char **argv);

extern const char wpf_iperf_help[];

#endif
