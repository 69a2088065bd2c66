/*
 * The words of a command line that say which network: --dev, --address, --gateway, --sysctl, --kernel.
 */
#ifndef WPF_NET_OPTIONS_H
#define WPF_NET_OPTIONS_H

#include "perf/net.h"

#include <getopt.h>

enum { WPF_OPT_DEV = 512, WPF_OPT_ADDRESS, WPF_OPT_GATEWAY, WPF_OPT_SYSCTL, WPF_OPT_KERNEL };

/* clang-format off */
#define WPF_NET_LONG_OPTIONS                                                                                           \
    {"dev", required_argument, NULL, WPF_OPT_DEV},                                                                     \
    {"address", required_argument, NULL, WPF_OPT_ADDRESS},                                                             \
    {"gateway", required_argument, NULL, WPF_OPT_GATEWAY},                                                             \
    {"sysctl", required_argument, NULL, WPF_OPT_SYSCTL},                                                               \
    {"kernel", no_argument, NULL, WPF_OPT_KERNEL}

#define WPF_NET_HELP                                                                                                   \
    "  --dev DEVICE          weir runs on it: tap:NAME, tun:NAME, packet:NAME or xdp:NAME\n"             \
    "  --address ADDR/BITS   weir's address and the length of its prefix; may be repeated\n"                           \
    "  --gateway ADDR        the router to everywhere else; one for each family\n"                                     \
    "  --sysctl NAME=VALUE   a tunable of weir, by Linux's name; may be repeated\n"                                    \
    "  --kernel              the kernel's TCP instead of weir: the same program, to compare\n"
/* clang-format on */

/* Take one of them. 0, or -EINVAL after a line on stderr that begins with `who`. */
int wpf_net_option(struct wpf_net_config *, int opt, const char *text, const char *who);

/* At the end of the line: do they make sense together? As above. */
int wpf_net_options_check(const struct wpf_net_config *, const char *who);

/* ---- What else the two command lines have in common ---- */

/* A whole number from least to most, or -EINVAL after a line on stderr. */
int wpf_number(const char *who, const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out);

/* Time in seconds, fractions too: "0.5". As above. */
int wpf_seconds(const char *who, const char *option, const char *text, double least, double most, weir_ns *out);

/* What getopt_long gave '?' or ':' for. Returns -EINVAL after a line on stderr. */
int wpf_bad_option(const char *who, int c, const char *word, const struct option *longs);

#endif
