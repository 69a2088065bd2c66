/*
 * The command line of weir run.
 */
#ifndef WIR_OPTIONS_H
#define WIR_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "io/link.h"

#define WIR_PUBLISH_MAX 64
#define WIR_SYSCTL_MAX  64
#define WIR_EXIT_OURS   125 /* weir run itself failed; 126: the program can't be run, 127: there is none */

/* -p [ADDRESS:]PORT:PORT[/udp] */
struct wir_publish {
    const char *text; /* as it was given */
    struct sockaddr_storage at;
    uint16_t port; /* of the program */
    bool is_udp;
};

struct wir_run_opts {
    struct wio_link_config link;
    uint64_t seed;
    bool has_seed;
    const char *pcap, *trace, *report; /* files, or NULL */
    const char *control;               /* the control socket's path, "off", or NULL: the default place */
    bool pcap_program, pcap_gateway;   /* whose end of the link is captured */
    bool wants_story, wants_doctor, wants_live, is_quiet;
    uint16_t live_port; /* 0: any */
    int family;         /* AF_INET: -4; AF_INET6: -6; 0: both */
    struct wir_publish publish[WIR_PUBLISH_MAX];
    unsigned publish_n;
    const char *sysctls[WIR_SYSCTL_MAX]; /* "net.ipv4.tcp_ecn=1", for both hosts */
    unsigned sysctl_n;
    char **argv; /* of the program */
};

/* Read the command line of `weir run` (argv[0] is "run"). 0, 1: help was printed, or -EINVAL after one line on
 * stderr. */
int wir_opts_parse(struct wir_run_opts *, int argc, char **argv);

/* Whether a TCP port of the program is one that -p leads to. */
bool wir_opts_publishes(const struct wir_run_opts *, uint16_t port);

#endif
