/*
 * The command line of weir run.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include "io/link_spec.h"
#include "io/units.h"
#include "run/options.h"

#define ERR_CAP 512
#define MTU_MIN 576 /* RFC 791; 1,280 where IPv6 is to run */

static const char help[] =
    "usage: weir run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "\n"
    "Run an unmodified program with weir as its TCP/IP, over a link that may be as bad as you like.\n"
    "\n"
    "  --link SPEC       the link, in tc netem's words: 'rate=10mbit delay=40ms jitter=5ms loss=1% burst=3\n"
    "                    reorder=2% dup=1% corrupt=0.1% queue=64k'; ECN marks: ecn=30k (or ecn=1ms) codel=5ms ce=1%;\n"
    "                    'up.' or 'down.' before a word is one direction\n"
    "  --profile NAME    a named link (a wrong name lists them); --link adds to it\n"
    "  --sysctl NAME=VALUE\n"
    "                    a tunable of both hosts, by Linux's name, such as tcp_ecn=1; may be repeated\n"
    "  --seed N          the same seed loses the same packets\n"
    "  -p [ADDRESS:]PORT:PORT[/udp]\n"
    "                    connections to the host's port reach the program's; may be repeated\n"
    "  -4, -6            IPv4 only, IPv6 only\n"
    "  --mtu N           of the link (1500)\n"
    "  --pcap FILE       capture the link, each packet with why it was sent\n"
    "  --pcap-end END    where: program (the default), gateway, or both as two interfaces\n"
    "  --trace FILE      every event of both hosts and the link, as JSON lines\n"
    "  --report FILE     a page to look at, made at the end: diagrams, windows, round trips\n"
    "  --story           at the end, the longest connection as a sequence diagram\n"
    "  --live[=PORT]     a page that shows the run while it goes on, on 127.0.0.1; its address is said at the start\n"
    "  --control PATH    where weir ss and weir top find this run (a place of its own); off: nowhere\n"
    "  --doctor          at the end, what went wrong with each connection, and why\n"
    "  -q, --quiet       no line for each connection at the end\n"
    "  -h, --help        this\n"
    "\n"
    "The exit status is the program's. 125: weir run failed; 126: the program can't be run; 127: there is none.\n";

enum {
    OPT_LINK = 256,
    OPT_PROFILE,
    OPT_SYSCTL,
    OPT_SEED,
    OPT_MTU,
    OPT_PCAP,
    OPT_PCAP_END,
    OPT_TRACE,
    OPT_REPORT,
    OPT_STORY,
    OPT_CONTROL,
    OPT_DOCTOR,
    OPT_LIVE
};

static const struct option longs[] = {
    {"link", required_argument, NULL, OPT_LINK},
    {"profile", required_argument, NULL, OPT_PROFILE},
    {"sysctl", required_argument, NULL, OPT_SYSCTL},
    {"seed", required_argument, NULL, OPT_SEED},
    {"publish", required_argument, NULL, 'p'},
    {"mtu", required_argument, NULL, OPT_MTU},
    {"pcap", required_argument, NULL, OPT_PCAP},
    {"pcap-end", required_argument, NULL, OPT_PCAP_END},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"report", required_argument, NULL, OPT_REPORT},
    {"story", no_argument, NULL, OPT_STORY},
    {"live", optional_argument, NULL, OPT_LIVE},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"doctor", no_argument, NULL, OPT_DOCTOR},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"ipv4", no_argument, NULL, '4'},
    {"ipv6", no_argument, NULL, '6'},
    {NULL, 0, NULL, 0},
};

/* ---- Words ---- */

static int read_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || v < min || v > max)
        return -EINVAL;
    *out = v;
    return 0;
}

static int bad_publish(const char *text)
{
    fprintf(stderr,
            "weir run: -p %s: the form is [ADDRESS:]PORT:PORT[/udp], such as 8080:80 or 127.0.0.1:5353:53/udp\n", text);
    return -EINVAL;
}

/* An address (NULL: all of them) and a port, for bind. */
static int read_at(const char *address, uint64_t port, int family, struct sockaddr_storage *out)
{
    struct weir_addr a = {{0}};
    memset(out, 0, sizeof *out);
    if (address && weir_addr_parse(&a, address) < 0)
        return -EINVAL;
    if (family == AF_INET || (address && weir_addr_is_v4(&a))) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        if (address)
            memcpy(&in->sin_addr, a.b + 12, 4);
        return 0;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    memcpy(&in6->sin6_addr, a.b, 16);
    return 0;
}

static int read_publish(const char *text, int family, struct wir_publish *p)
{
    char copy[128];
    uint64_t outer, inner;

    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return bad_publish(text);
    char *slash = strchr(copy, '/');
    if (slash) {
        *slash++ = '\0';
        p->is_udp = strcmp(slash, "udp") == 0;
        if (!p->is_udp && strcmp(slash, "tcp") != 0)
            return bad_publish(text);
    }
    char *colon = strrchr(copy, ':');
    if (!colon || read_number(colon + 1, 1, 65535, &inner) < 0)
        return bad_publish(text);
    *colon = '\0';
    char *port = copy, *address = NULL;
    if ((colon = strrchr(copy, ':'))) {
        *colon = '\0';
        port = colon + 1;
        address = copy;
        if (*address == '[' && address[strlen(address) - 1] == ']') {
            address[strlen(address) - 1] = '\0';
            address++;
        }
    }
    if (read_number(port, 1, 65535, &outer) < 0 || read_at(address, outer, family, &p->at) < 0)
        return bad_publish(text);
    p->text = text;
    p->port = (uint16_t)inner;
    return 0;
}

/* ---- The line ---- */

/* What was said, before it is put together: a profile comes before the words that change it. */
struct said {
    const char *profile;
    const char *link[16];
    unsigned link_n;
    const char *publish[WIR_PUBLISH_MAX];
    unsigned publish_n;
    uint64_t mtu;
};

static int bad_value(const char *option, const char *text, const char *form)
{
    fprintf(stderr, "weir run: %s %s: %s\n", option, text, form);
    return -EINVAL;
}

static int too_many(const char *option)
{
    fprintf(stderr, "weir run: too many %s\n", option);
    return -EINVAL;
}

/* --pcap-end: whose view of the link. */
static int read_end(struct wir_run_opts *o, const char *text)
{
    bool both = strcmp(text, "both") == 0;

    o->pcap_program = both || strcmp(text, "program") == 0;
    o->pcap_gateway = both || strcmp(text, "gateway") == 0;
    if (!o->pcap_program && !o->pcap_gateway)
        return bad_value("--pcap-end", text, "program, gateway or both");
    return 0;
}

/* --live[=PORT] */
static int read_live(struct wir_run_opts *o)
{
    uint64_t port = 0;
    o->wants_live = true;
    if (optarg && read_number(optarg, 1, 65535, &port))
        return bad_value("--live", optarg, "not a port");
    o->live_port = (uint16_t)port;
    return 0;
}

/* What getopt could not take ('?'), or what lacks its value (':'). */
static int bad_option(int c, const char *word)
{
    const char *names[sizeof longs / sizeof longs[0]];
    size_t n = 0;

    if (c == ':') {
        fprintf(stderr, "weir run: %s wants a value. See weir run --help\n", word);
        return -EINVAL;
    }
    if (strncmp(word, "--", 2) != 0) {
        fprintf(stderr, "weir run: there is no option -%c. See weir run --help\n", optopt);
        return -EINVAL;
    }
    for (; longs[n].name; n++)
        names[n] = longs[n].name;
    size_t len = strcspn(word, "=");
    const char *near = wio_nearest(names, n, word + 2, len - 2);
    if (near && strlen(near) == len - 2 && strncmp(near, word + 2, len - 2) == 0)
        fprintf(stderr, "weir run: --%s takes no value. See weir run --help\n", near);
    else if (near)
        fprintf(stderr, "weir run: there is no option %.*s. Did you mean --%s?\n", (int)len, word, near);
    else
        fprintf(stderr, "weir run: there is no option %.*s. See weir run --help\n", (int)len, word);
    return -EINVAL;
}

static int take(struct wir_run_opts *o, struct said *said, int c)
{
    switch (c) {
    case OPT_LINK:
        if (said->link_n == sizeof said->link / sizeof said->link[0])
            return too_many("--link");
        said->link[said->link_n++] = optarg;
        return 0;
    case 'p':
        if (said->publish_n == WIR_PUBLISH_MAX)
            return too_many("-p");
        said->publish[said->publish_n++] = optarg;
        return 0;
    case OPT_SYSCTL:
        if (o->sysctl_n == WIR_SYSCTL_MAX)
            return too_many("--sysctl");
        o->sysctls[o->sysctl_n++] = optarg;
        return strchr(optarg, '=') ? 0 : bad_value("--sysctl", optarg, "the form is NAME=VALUE, such as tcp_ecn=1");
    case OPT_SEED:
        o->has_seed = true;
        return read_number(optarg, 0, UINT64_MAX, &o->seed) ? bad_value("--seed", optarg, "not a number") : 0;
    case OPT_MTU:
        return read_number(optarg, MTU_MIN, 65535, &said->mtu) ? bad_value("--mtu", optarg, "not from 576 to 65535")
                                                               : 0;
    case OPT_PROFILE: said->profile = optarg; return 0;
    case OPT_PCAP: o->pcap = optarg; return 0;
    case OPT_PCAP_END: return read_end(o, optarg);
    case OPT_TRACE: o->trace = optarg; return 0;
    case OPT_REPORT: o->report = optarg; return 0;
    case OPT_STORY: o->wants_story = true; return 0;
    case OPT_LIVE: return read_live(o);
    case OPT_CONTROL: o->control = optarg; return 0;
    case OPT_DOCTOR: o->wants_doctor = true; return 0;
    case 'q': o->is_quiet = true; return 0;
    case '4': o->family = AF_INET; return 0;
    case '6': o->family = AF_INET6; return 0;
    case 'h': fputs(help, stdout); return 1;
    default: return -EINVAL;
    }
}

static int finish_link(struct wir_run_opts *o, const struct said *said)
{
    char err[ERR_CAP];
    if (said->profile && wio_link_profile_parse(&o->link, said->profile, err, sizeof err) < 0) {
        fprintf(stderr, "weir run: --profile: %s\n", err);
        return -EINVAL;
    }
    for (unsigned i = 0; i < said->link_n; i++) {
        if (wio_link_spec_parse(&o->link, said->link[i], err, sizeof err) < 0) {
            fprintf(stderr, "weir run: --link: %s\n", err);
            return -EINVAL;
        }
    }
    o->link.type = WEIR_LINK_RAW_IP;
    if (said->mtu)
        o->link.mtu = (uint32_t)said->mtu;
    if (o->link.mtu && o->link.mtu < 1280 && o->family == AF_INET6)
        return bad_value("--mtu", "", "IPv6 needs 1280 at least");
    o->link.is_captured = o->pcap || o->wants_doctor;
    return 0;
}

int wir_opts_parse(struct wir_run_opts *o, int argc, char **argv)
{
    struct said said = {0};
    int c;

    memset(o, 0, sizeof *o);
    o->pcap_program = true;
    optind = 1;
    while ((c = getopt_long(argc, argv, "+:p:46qh", longs, NULL)) != -1) {
        int r = c == '?' || c == ':' ? bad_option(c, argv[optind - 1]) : take(o, &said, c);
        if (r)
            return r;
    }
    if (optind == argc) {
        fputs("weir run: which program? See weir run --help\n", stderr);
        return -EINVAL;
    }
    o->argv = argv + optind;
    for (unsigned i = 0; i < said.publish_n; i++) {
        if (read_publish(said.publish[i], o->family, &o->publish[o->publish_n++]) < 0)
            return -EINVAL;
    }
    return finish_link(o, &said);
}

bool wir_opts_publishes(const struct wir_run_opts *o, uint16_t port)
{
    for (unsigned i = 0; i < o->publish_n; i++) {
        if (!o->publish[i].is_udp && o->publish[i].port == port)
            return true;
    }
    return false;
}
