/* See net_options.h. */
#include "perf/net_options.h"

#include "io/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGS_MAX 64

static int bad(const char *who, const char *option, const char *text, const char *why)
{
    fprintf(stderr, "%s: %s %s: %s\n", who, option, text, why);
    return -EINVAL;
}

int wpf_number(const char *who, const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char why[96];
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (!errno && end != text && !*end && *text != '-' && v >= least && v <= most) {
        *out = v;
        return 0;
    }
    snprintf(why, sizeof why, "a whole number from %" PRIu64 " to %" PRIu64, least, most);
    return bad(who, option, text, why);
}

int wpf_seconds(const char *who, const char *option, const char *text, double least, double most, weir_ns *out)
{
    char why[96];
    char *end;
    double v = strtod(text, &end);
    if (end != text && !*end && v >= least && v <= most) {
        *out = (weir_ns)(v * 1e9);
        return 0;
    }
    snprintf(why, sizeof why, "seconds, from %g to %g", least, most);
    return bad(who, option, text, why);
}

static int read_address(struct wpf_net_config *c, const char *text, const char *who)
{
    static const char form[] = "the form is ADDRESS/BITS, such as 192.0.2.2/24 or fd00::2/64";
    char copy[WEIR_ADDR_TEXT_CAP];
    struct wpf_address a;
    if (c->address_n == WPF_ADDRESSES_MAX)
        return bad(who, "--address", text, "too many of them");
    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof copy)
        return bad(who, "--address", text, form);
    snprintf(copy, sizeof copy, "%.*s", (int)(slash - text), text);
    if (weir_addr_parse(&a.addr, copy) < 0)
        return bad(who, "--address", text, form);
    char *end;
    unsigned long bits = strtoul(slash + 1, &end, 10), most = weir_addr_is_v4(&a.addr) ? 32 : 128;
    if (slash[1] < '0' || slash[1] > '9' || *end || bits == 0 || bits > most)
        return bad(who, "--address", text, form);
    a.prefix_len = (unsigned)bits;
    c->addresses[c->address_n++] = a;
    return 0;
}

static int read_gateway(struct wpf_net_config *c, const char *text, const char *who)
{
    if (c->gateway_n == sizeof c->gateways / sizeof c->gateways[0])
        return bad(who, "--gateway", text, "too many of them");
    if (weir_addr_parse(&c->gateways[c->gateway_n++], text) < 0)
        return bad(who, "--gateway", text, "not an address");
    return 0;
}

int wpf_net_option(struct wpf_net_config *c, int opt, const char *text, const char *who)
{
    switch (opt) {
    case WPF_OPT_DEV: c->device = text; return 0;
    case WPF_OPT_ADDRESS: return read_address(c, text, who);
    case WPF_OPT_GATEWAY: return read_gateway(c, text, who);
    case WPF_OPT_KERNEL: c->is_kernel = true; return 0;
    case WPF_OPT_SYSCTL:
        if (c->sysctl_n == WPF_SYSCTLS_MAX)
            return bad(who, "--sysctl", text, "too many of them");
        c->sysctls[c->sysctl_n++] = text;
        return strchr(text, '=') ? 0 : bad(who, "--sysctl", text, "the form is NAME=VALUE, such as tcp_ecn=1");
    default: return -EINVAL;
    }
}

int wpf_net_options_check(const struct wpf_net_config *c, const char *who)
{
    if (c->is_kernel && (c->device || c->address_n || c->gateway_n || c->sysctl_n)) {
        fprintf(stderr, "%s: --kernel uses what the kernel has: no --dev, --address, --gateway or --sysctl\n", who);
        return -EINVAL;
    }
    if (!c->is_kernel && (!c->device || c->address_n == 0)) {
        fprintf(stderr,
                "%s: on which network? Say --dev and --address, as in --dev tap:weir0 --address 192.0.2.2/24, or "
                "--kernel\n",
                who);
        return -EINVAL;
    }
    return 0;
}

int wpf_bad_option(const char *who, int c, const char *word, const struct option *longs)
{
    const char *names[LONGS_MAX];
    size_t n = 0, len = strcspn(word, "=");
    if (c == ':') {
        fprintf(stderr, "%s: %s wants a value. See %s --help\n", who, word, who);
        return -EINVAL;
    }
    if (strncmp(word, "--", 2) != 0) {
        fprintf(stderr, "%s: there is no option -%c. See %s --help\n", who, optopt, who);
        return -EINVAL;
    }
    for (; longs[n].name && n < LONGS_MAX; n++)
        names[n] = longs[n].name;
    const char *near = wio_nearest(names, n, word + 2, len - 2);
    if (near && strlen(near) == len - 2 && strncmp(near, word + 2, len - 2) == 0)
        fprintf(stderr, "%s: --%s takes no value. See %s --help\n", who, near, who);
    else if (near)
        fprintf(stderr, "%s: there is no option %.*s. Did you mean --%s?\n", who, (int)len, word, near);
    else
        fprintf(stderr, "%s: there is no option %.*s. See %s --help\n", who, (int)len, word, who);
    return -EINVAL;
}
