/* The command line of weir rr, and what its ends agree on: see rr.h. */
#include "perf/rr.h"

#include "io/bytes.h"
#include "io/units.h"
#include "perf/net_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WHO             "weir rr"
#define CONNECTIONS_MAX 1000000

const char wpf_rr_help[] =
    "usage: weir rr -s [-1] [OPTION]...\n"
    "       weir rr -c HOST [OPTION]...\n"
    "\n"
    "Measure requests and responses a second, and how long each takes; the other end is a weir rr too.\n"
    "\n"
    "which network\n" WPF_NET_HELP "both ends\n"
    "  -p, --port N          the server's port (5202)\n"
    "server\n"
    "  -s, --server          serve\n"
    "  -1, --one-off         and end after the first test\n"
    "  --shards N            with N stacks, each in a thread and with a queue of the device (1)\n"
    "client\n"
    "  -c, --client HOST     measure against the server there\n"
    "  --crr                 a connection for each request: connect, request, response, close\n"
    "  -P, --parallel N      connections, each with one request under way (1)\n"
    "  -t, --time S          for so many seconds (10)\n"
    "  -n, --transactions N  instead: so many in all\n"
    "  --request N           bytes of a request (64)\n"
    "  --response N          bytes of a response (64)\n"
    "  -J, --json            the result as JSON\n"
    "\n"
    "  -h, --help            this\n";

enum { OPT_CRR = 256, OPT_REQUEST, OPT_RESPONSE, OPT_SHARDS };

static const struct option longs[] = {
    {"server", no_argument, NULL, 's'},
    {"one-off", no_argument, NULL, '1'},
    {"client", required_argument, NULL, 'c'},
    {"port", required_argument, NULL, 'p'},
    {"crr", no_argument, NULL, OPT_CRR},
    {"parallel", required_argument, NULL, 'P'},
    {"time", required_argument, NULL, 't'},
    {"transactions", required_argument, NULL, 'n'},
    {"request", required_argument, NULL, OPT_REQUEST},
    {"response", required_argument, NULL, OPT_RESPONSE},
    {"shards", required_argument, NULL, OPT_SHARDS},
    {"json", no_argument, NULL, 'J'},
    {"help", no_argument, NULL, 'h'},
    WPF_NET_LONG_OPTIONS,
    {NULL, 0, NULL, 0},
};

static int read_size(const char *option, const char *text, uint32_t *out)
{
    uint64_t v = 0;
    if (!wio_unit_parse(WIO_UNIT_SIZE, text, strlen(text), &v) || v == 0 || v > WPF_RR_SIZE_MAX) {
        fprintf(stderr, WHO ": %s %s: a size from 1 to 1m\n", option, text);
        return -EINVAL;
    }
    *out = (uint32_t)v;
    return 0;
}

static int take(struct wpf_rr_options *o, int c, const char *text)
{
    uint64_t v = 0;
    int err = 0;
    switch (c) {
    case 's': o->is_server = true; return 0;
    case '1': o->is_one_off = true; return 0;
    case 'c': o->host = text; return 0;
    case 'p':
        err = wpf_number(WHO, "-p", text, 1, 65535, &v);
        o->port = (uint16_t)v;
        return err;
    case OPT_CRR: o->test.kind = WPF_RR_CONNECTS; return 0;
    case 'P':
        err = wpf_number(WHO, "-P", text, 1, CONNECTIONS_MAX, &v);
        o->connections = (uint32_t)v;
        return err;
    case 't': return wpf_seconds(WHO, "-t", text, 0.01, 86400, &o->time);
    case 'n': return wpf_number(WHO, "-n", text, 1, UINT64_C(1) << 40, &o->transactions);
    case OPT_REQUEST: return read_size("--request", text, &o->test.request_len);
    case OPT_RESPONSE: return read_size("--response", text, &o->test.response_len);
    case OPT_SHARDS:
        err = wpf_number(WHO, "--shards", text, 1, WIO_QUEUES_MAX, &v);
        o->shards = (uint32_t)v;
        return err;
    case 'J': o->is_json = true; return 0;
    default: return wpf_net_option(&o->net, c, text, WHO);
    }
}

static bool is_clients(int c)
{
    return c == OPT_CRR || c == 'P' || c == 't' || c == 'n' || c == OPT_REQUEST || c == OPT_RESPONSE || c == 'J';
}

static int check(struct wpf_rr_options *o, const char *client_word)
{
    if (o->is_server == (o->host != NULL)) {
        fprintf(stderr, WHO ": %s. See " WHO " --help\n",
                o->host ? "a server or a client, not both" : "-s or -c HOST?");
        return -EINVAL;
    }
    if (o->is_server ? client_word != NULL : o->is_one_off || o->shards) {
        fprintf(stderr, WHO ": %s is the %s's to say. See " WHO " --help\n",
                o->is_server    ? client_word
                : o->is_one_off ? "-1"
                                : "--shards",
                o->is_server ? "client" : "server");
        return -EINVAL;
    }
    if (o->shards > 1 && o->net.is_kernel) {
        fprintf(stderr, WHO ": --shards is for weir's stacks: not with --kernel\n");
        return -EINVAL;
    }
    if (!o->shards)
        o->shards = 1;
    if (o->time && o->transactions) {
        fprintf(stderr, WHO ": -t or -n, not both\n");
        return -EINVAL;
    }
    if (!o->time)
        o->time = WEIR_SEC(10);
    return wpf_net_options_check(&o->net, WHO);
}

int wpf_rr_options_parse(struct wpf_rr_options *o, int argc, char **argv)
{
    const char *client_word = NULL;
    int c;
    *o = (struct wpf_rr_options){.port = WPF_RR_PORT, .connections = 1, .test = {WPF_RR_REQUESTS, 64, 64}};
    optind = 0; /* glibc: begin anew */
    while ((c = getopt_long(argc, argv, ":s1c:p:P:t:n:Jh", longs, NULL)) != -1) {
        if (c == 'h') {
            o->wants_help = true;
            return 0;
        }
        if (c == '?' || c == ':')
            return wpf_bad_option(WHO, c, argv[optind - 1], longs);
        if (is_clients(c))
            client_word = argv[optind - (optarg && optarg == argv[optind - 1] ? 2 : 1)];
        int err = take(o, c, optarg ? optarg : "");
        if (err)
            return err;
    }
    if (optind < argc) {
        fprintf(stderr, WHO ": %s: nothing but options here. See " WHO " --help\n", argv[optind]);
        return -EINVAL;
    }
    return check(o, client_word);
}

/* ---- What the ends agree on ---- */

static const uint8_t magic[8] = {'w', 'e', 'i', 'r', '-', 'r', 'r', '1'};

void wpf_rr_hello_write(const struct wpf_rr_hello *h, uint8_t out[WPF_RR_HELLO_LEN])
{
    memcpy(out, magic, sizeof magic);
    wio_put32(out + 8, (uint32_t)h->kind);
    wio_put32(out + 12, h->request_len);
    wio_put32(out + 16, h->response_len);
}

int wpf_rr_hello_read(struct wpf_rr_hello *h, const uint8_t in[WPF_RR_HELLO_LEN])
{
    uint32_t kind = wio_get32(in + 8), request = wio_get32(in + 12), response = wio_get32(in + 16);
    bool has_sizes = request > 0 && request <= WPF_RR_SIZE_MAX && response > 0 && response <= WPF_RR_SIZE_MAX;
    if (memcmp(in, magic, sizeof magic) != 0)
        return -EPROTO;
    if (kind == WPF_RR_CONTROL ? request || response : kind > WPF_RR_CONNECTS || kind == 0 || !has_sizes)
        return -EPROTO;
    *h = (struct wpf_rr_hello){(enum wpf_rr_kind)kind, request, response};
    return 0;
}

bool wpf_rr_is_all(const uint8_t *buf, size_t len, uint8_t value)
{
    return len == 0 || (buf[0] == value && memcmp(buf, buf + 1, len - 1) == 0);
}
