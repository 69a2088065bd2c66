/* See iperf_options.h. Letters and meanings are iperf3's. */
#include "perf/iperf_options.h"

#include "io/units.h"
#include "perf/net_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WHO "weir iperf"

const char wpf_iperf_help[] =
    "usage: weir iperf -s [-1] [OPTION]...\n"
    "       weir iperf -c HOST [OPTION]...\n"
    "\n"
    "Measure how fast TCP goes; the other end may be iperf3.\n"
    "\n"
    "which network\n" WPF_NET_HELP "both ends\n"
    "  -p, --port N          the server's port (5201)\n"
    "  -i, --interval S      seconds between reports (1); 0: none but the last\n"
    "  -f, --format UNIT     of bitrates: k, m, g or t bits, K, M, G or T bytes (as it fits)\n"
    "  -J, --json            the report as JSON, as iperf3 has it\n"
    "server\n"
    "  -s, --server          serve one test after the other\n"
    "  -1, --one-off         and end after the first\n"
    "client\n"
    "  -c, --client HOST     measure against the server there\n"
    "  -t, --time S          for so many seconds (10)\n"
    "  -n, --bytes N         instead: so many bytes in all, such as 500m\n"
    "  -k, --blockcount N    instead: so many blocks\n"
    "  -l, --length N        bytes of a block: of a write (128k)\n"
    "  -P, --parallel N      streams (1)\n"
    "  -R, --reverse         the server sends\n"
    "  --bidir               both send\n"
    "  -O, --omit S          leave the first seconds out\n"
    "  -b, --bitrate N       bits a second for each stream, such as 100m (no limit)\n"
    "  --fq-rate N           the same by pacing (SO_MAX_PACING_RATE)\n"
    "  -C, --congestion NAME congestion control of both ends\n"
    "  -M, --set-mss N       the largest segment\n"
    "  -N, --no-delay        TCP_NODELAY\n"
    "  -Z, --zerocopy        send without copying\n"
    "  -w, --window N        size of both socket buffers\n"
    "  -S, --tos N           the TOS byte, 0 to 255\n"
    "\n"
    "  -h, --help            this\n";

enum { OPT_BIDIR = 256, OPT_FQ_RATE };

static const struct option longs[] = {
    {"server", no_argument, NULL, 's'},
    {"client", required_argument, NULL, 'c'},
    {"one-off", no_argument, NULL, '1'},
    {"port", required_argument, NULL, 'p'},
    {"interval", required_argument, NULL, 'i'},
    {"format", required_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'J'},
    {"time", required_argument, NULL, 't'},
    {"bytes", required_argument, NULL, 'n'},
    {"blockcount", required_argument, NULL, 'k'},
    {"length", required_argument, NULL, 'l'},
    {"parallel", required_argument, NULL, 'P'},
    {"reverse", no_argument, NULL, 'R'},
    {"bidir", no_argument, NULL, OPT_BIDIR},
    {"omit", required_argument, NULL, 'O'},
    {"bitrate", required_argument, NULL, 'b'},
    {"fq-rate", required_argument, NULL, OPT_FQ_RATE},
    {"congestion", required_argument, NULL, 'C'},
    {"set-mss", required_argument, NULL, 'M'},
    {"no-delay", no_argument, NULL, 'N'},
    {"zerocopy", no_argument, NULL, 'Z'},
    {"window", required_argument, NULL, 'w'},
    {"tos", required_argument, NULL, 'S'},
    {"help", no_argument, NULL, 'h'},
    WPF_NET_LONG_OPTIONS,
    {NULL, 0, NULL, 0},
};

/* Which letters belong to one end alone, so that the other does not take and ignore them. */
static const char client_only[] = {'t', 'n', 'k', 'l', 'P', 'R', 'O', 'b', 'C', 'M', 'N', 'Z', 'w', 'S', 0};

static int bad(const char *option, const char *text, const char *why)
{
    fprintf(stderr, WHO ": %s %s: %s\n", option, text, why);
    return -EINVAL;
}

static int read_size(const char *option, const char *text, uint64_t most, uint64_t *out)
{
    if (wio_unit_parse(WIO_UNIT_SIZE, text, strlen(text), out) && *out > 0 && *out <= most)
        return 0;
    return bad(option, text, "a size such as 128k or 10m, and not too large");
}

/* As iperf3 has it: bits, and k, m and g are powers of 1,000; "mbit" is taken too. */
static int read_rate(const char *option, const char *text, uint64_t *out)
{
    char copy[32];
    int n = snprintf(copy, sizeof copy, "%s", text);
    if (n > 0 && n < (int)sizeof copy - 4 && strchr("kKmMgGtT", copy[n - 1]))
        snprintf(copy + n, sizeof copy - (size_t)n, "bit");
    if (n > 0 && n < (int)sizeof copy && wio_unit_parse(WIO_UNIT_RATE, copy, strlen(copy), out) &&
        *out <= UINT64_C(1) << 50)
        return 0;
    return bad(option, text, "bits a second, such as 100m");
}

static int read_number32(const char *option, const char *text, uint64_t least, uint64_t most, uint32_t *out)
{
    uint64_t v = 0;
    int err = wpf_number(WHO, option, text, least, most, &v);
    *out = (uint32_t)v;
    return err;
}

static int read_cc(struct wpf_iperf_params *p, const char *text)
{
    int n = snprintf(p->cc, sizeof p->cc, "%s", text);
    return n > 0 && n < (int)sizeof p->cc ? 0 : bad("-C", text, "not a congestion control's name");
}

static int take_client(struct wpf_iperf_options *o, int c, const char *text)
{
    struct wpf_iperf_params *p = &o->params;
    uint64_t v = 0;
    int err = 0;
    switch (c) {
    case 't': return read_number32("-t", text, 1, WPF_IPERF_TIME_MAX, &p->time_s);
    case 'n': return read_size("-n", text, UINT64_C(1) << 50, &p->bytes);
    case 'k': return wpf_number(WHO, "-k", text, 1, UINT64_C(1) << 32, &p->blocks);
    case 'l':
        err = read_size("-l", text, WPF_IPERF_BLOCK_MAX, &v);
        p->block_len = (uint32_t)v;
        return err;
    case 'P': return read_number32("-P", text, 1, WPF_IPERF_STREAMS_MAX, &p->stream_n);
    case 'R': p->is_reverse = true; return 0;
    case OPT_BIDIR: p->is_bidir = true; return 0;
    case 'O': return read_number32("-O", text, 0, WPF_IPERF_OMIT_MAX, &p->omit_s);
    case 'b': return read_rate("-b", text, &p->rate_bps);
    case OPT_FQ_RATE: return read_rate("--fq-rate", text, &p->pacing_bps);
    case 'C': return read_cc(p, text);
    case 'M': return read_number32("-M", text, 88, WPF_IPERF_MSS_MAX, &p->mss);
    case 'N': p->is_nodelay = true; return 0;
    case 'Z': p->is_zerocopy = true; return 0;
    case 'w':
        err = read_size("-w", text, WPF_IPERF_WINDOW_MAX, &v);
        p->window_bytes = (uint32_t)v;
        return err;
    case 'S': return read_number32("-S", text, 0, 255, &p->tos);
    default: return wpf_net_option(&o->net, c, text, WHO);
    }
}

static int take(struct wpf_iperf_options *o, int c, const char *text)
{
    uint64_t port = 0;
    int err = 0;
    switch (c) {
    case 's': o->is_server = true; return 0;
    case 'c': o->host = text; return 0;
    case '1': o->is_one_off = true; return 0;
    case 'p':
        err = wpf_number(WHO, "-p", text, 1, 65535, &port);
        o->port = (uint16_t)port;
        return err;
    case 'i':
        err = wpf_seconds(WHO, "-i", text, 0, 3600, &o->interval);
        return err || !o->interval || o->interval >= WEIR_MS(100) ? err : bad("-i", text, "0.1 at least, or 0");
    case 'f':
        o->unit = text[0];
        return text[0] && !text[1] && strchr("kmgtKMGT", text[0]) ? 0 : bad("-f", text, "one of k m g t K M G T");
    case 'J': o->is_json = true; return 0;
    default: return take_client(o, c, text);
    }
}

static int check(const struct wpf_iperf_options *o, const char *client_word)
{
    const struct wpf_iperf_params *p = &o->params;
    if (o->is_server == (o->host != NULL)) {
        fprintf(stderr, WHO ": %s. See " WHO " --help\n",
                o->host ? "a server or a client, not both" : "-s or -c HOST?");
        return -EINVAL;
    }
    if (o->is_server && client_word) {
        fprintf(stderr, WHO ": %s is the client's to say. See " WHO " --help\n", client_word);
        return -EINVAL;
    }
    if (!o->is_server && o->is_one_off)
        return bad("-1", "", "is the server's to say");
    if (p->is_reverse && p->is_bidir)
        return bad("-R", "--bidir", "one or the other");
    if ((p->bytes != 0) + (p->blocks != 0) + (p->time_s != 0) > 1)
        return bad("-t, -n, -k", "", "one of them");
    if (p->is_bidir && p->stream_n > WPF_IPERF_STREAMS_MAX / 2)
        return bad("-P", "", "64 at most with --bidir");
    return wpf_net_options_check(&o->net, WHO);
}

int wpf_iperf_options_parse(struct wpf_iperf_options *o, int argc, char **argv)
{
    const char *client_word = NULL;
    int c;
    *o = (struct wpf_iperf_options){.port = WPF_IPERF_PORT, .interval = WEIR_SEC(1)};
    o->params.stream_n = 1;
    o->params.block_len = WPF_IPERF_BLOCK;
    optind = 0; /* glibc: begin anew */
    while ((c = getopt_long(argc, argv, ":sc:1p:i:f:Jt:n:k:l:P:RO:b:C:M:NZw:S:h", longs, NULL)) != -1) {
        if (c == 'h') {
            o->wants_help = true;
            return 0;
        }
        if (c == '?' || c == ':')
            return wpf_bad_option(WHO, c, argv[optind - 1], longs);
        if (c == OPT_BIDIR || c == OPT_FQ_RATE || (c < 256 && strchr(client_only, c)))
            client_word = argv[optind - (optarg && optarg == argv[optind - 1] ? 2 : 1)];
        int err = take(o, c, optarg ? optarg : "");
        if (err)
            return err;
    }
    if (optind < argc) {
        fprintf(stderr, WHO ": %s: nothing but options here. See " WHO " --help\n", argv[optind]);
        return -EINVAL;
    }
    int err = check(o, client_word);
    if (!err && !o->params.bytes && !o->params.blocks && !o->params.time_s)
        o->params.time_s = 10;
    return err;
}
