/* See iperf_msg.h. */
#include "perf/iperf_msg.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 9007199254740992.0 /* 2^53: above, JSON's numbers are no whole ones any more */

/* iperf3 writes -1 as 18446744073709551615, which is no integer to jansson. */
#define DECODE (JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES)

const char *wpf_iperf_strerror(int32_t error, char *buf, size_t cap)
{
    static const struct {
        int32_t number;
        const char *text;
    } texts[] = {
        {WPF_IPERF_EUNIMP, "it does not implement what was asked for"},
        {WPF_IPERF_ETOTALRATE, "the total rate is above its limit"},
        {WPF_IPERF_ELISTEN, "it can't listen for the streams"},
        {WPF_IPERF_ERECVPARAMS, "it can't make sense of the parameters"},
        {WPF_IPERF_ERECVRESULTS, "it can't make sense of the results"},
        {WPF_IPERF_ESETNODELAY, "it can't set TCP_NODELAY"},
        {WPF_IPERF_ESETMSS, "it can't set the MSS"},
        {WPF_IPERF_ESETBUF, "it can't set the socket buffers' size"},
        {WPF_IPERF_ESETTOS, "it can't set the TOS byte"},
        {WPF_IPERF_ESETCONGESTION, "it has no such congestion control"},
        {WPF_IPERF_ESTREAMACCEPT, "it can't accept a stream"},
    };
    snprintf(buf, cap, "error %d", (int)error);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].number == error)
            snprintf(buf, cap, "%s", texts[i].text);
    return buf;
}

void wpf_iperf_cookie(char out[WPF_IPERF_COOKIE_LEN], const uint8_t random[WPF_IPERF_COOKIE_LEN - 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (size_t i = 0; i < WPF_IPERF_COOKIE_LEN - 1; i++)
        out[i] = letters[random[i] % 32];
    out[WPF_IPERF_COOKIE_LEN - 1] = '\0';
}

int64_t wpf_iperf_frame(const uint8_t *buf, size_t len, size_t max)
{
    if (len < 4)
        return 0;
    uint32_t body = (uint32_t)buf[0] << 24 | (uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3];
    if (body == 0 || body > max)
        return -EMSGSIZE;
    return len - 4 >= body ? 4 + (int64_t)body : 0;
}

/* ---- Reading ---- */

/* One object that is read member by member; the first thing that is wrong stays in err. */
struct reader {
    const json_t *object;
    char *err;
    size_t err_cap;
    bool is_bad;
};

static void complain(struct reader *r, const char *name, const char *why)
{
    if (!r->is_bad)
        snprintf(r->err, r->err_cap, "\"%s\": %s", name, why);
    r->is_bad = true;
}

/* iperf3 itself tells by presence alone, and writes only true. */
static bool read_flag(struct reader *r, const char *name)
{
    const json_t *v = json_object_get(r->object, name);
    return v && !json_is_false(v) && !(json_is_number(v) && json_number_value(v) == 0.0);
}

static double read_real(struct reader *r, const char *name, double least, double most, double unless)
{
    const json_t *v = json_object_get(r->object, name);
    if (!v)
        return unless;
    double d = json_number_value(v);
    if (!json_is_number(v) || !isfinite(d)) {
        complain(r, name, "not a number");
        return unless;
    }
    if (d < least || d > most) {
        complain(r, name, "out of range");
        return unless;
    }
    return d;
}

static uint64_t read_count(struct reader *r, const char *name, uint64_t most)
{
    return (uint64_t)read_real(r, name, 0, (double)most, 0);
}

static void read_cc(struct reader *r, const char *name, char out[WPF_IPERF_CC_CAP])
{
    const json_t *v = json_object_get(r->object, name);
    out[0] = '\0';
    if (!v)
        return;
    const char *text = json_string_value(v);
    if (!text || strlen(text) >= WPF_IPERF_CC_CAP ||
        strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(text))
        complain(r, name, "not a congestion control's name");
    else
        snprintf(out, WPF_IPERF_CC_CAP, "%s", text);
}

/* The caller lets the object go. */
static json_t *load(struct reader *r, const char *json, size_t len)
{
    json_error_t at;
    json_t *root = json_loadb(json, len, DECODE, &at);
    if (!root)
        snprintf(r->err, r->err_cap, "no JSON: %s", at.text);
    else if (!json_is_object(root))
        snprintf(r->err, r->err_cap, "not a JSON object");
    r->is_bad = !json_is_object(root);
    r->object = root;
    return root;
}

int wpf_iperf_params_parse(struct wpf_iperf_params *out, const char *json, size_t len, char *err, size_t err_cap)
{
    struct reader r = {.err = err, .err_cap = err_cap};
    json_t *root = load(&r, json, len);
    struct wpf_iperf_params p = {0};
    if (!r.is_bad) {
        p.is_udp = read_flag(&r, "udp");
        p.is_sctp = read_flag(&r, "sctp");
        p.is_reverse = read_flag(&r, "reverse");
        p.is_bidir = read_flag(&r, "bidirectional");
        p.is_nodelay = read_flag(&r, "nodelay");
        p.is_zerocopy = read_flag(&r, "zerocopy");
        p.omit_s = (uint32_t)read_count(&r, "omit", WPF_IPERF_OMIT_MAX);
        p.time_s = (uint32_t)read_count(&r, "time", WPF_IPERF_TIME_MAX);
        p.bytes = read_count(&r, "num", (uint64_t)COUNT_MAX);
        p.blocks = read_count(&r, "blockcount", (uint64_t)COUNT_MAX / WPF_IPERF_BLOCK_MAX);
        p.stream_n = (uint32_t)read_real(&r, "parallel", 1, WPF_IPERF_STREAMS_MAX, 1);
        p.block_len = (uint32_t)read_real(&r, "len", 1, WPF_IPERF_BLOCK_MAX, WPF_IPERF_BLOCK);
        p.mss = (uint32_t)read_count(&r, "MSS", WPF_IPERF_MSS_MAX);
        p.window_bytes = (uint32_t)read_count(&r, "window", WPF_IPERF_WINDOW_MAX);
        p.rate_bps = read_count(&r, "bandwidth", (uint64_t)COUNT_MAX);
        p.pacing_bps = read_count(&r, "fqrate", (uint64_t)COUNT_MAX);
        p.tos = (uint32_t)read_count(&r, "TOS", 255);
        read_cc(&r, "congestion", p.cc);
        if (p.is_bidir && p.stream_n > WPF_IPERF_STREAMS_MAX / 2)
            complain(&r, "parallel", "out of range in both directions");
    }
    json_decref(root);
    if (r.is_bad)
        return -EPROTO;
    *out = p;
    return 0;
}

static void read_stream(struct reader *r, struct wpf_iperf_stream_result *s)
{
    s->id = (uint32_t)read_count(r, "id", WPF_IPERF_STREAMS_MAX + 2);
    s->bytes = read_count(r, "bytes", (uint64_t)COUNT_MAX);
    double retransmits = read_real(r, "retransmits", -1, 2e19, -1);
    s->retransmits = retransmits > COUNT_MAX ? -1 : (int64_t)retransmits;
    double start = read_real(r, "start_time", 0, 1e9, 0), end = read_real(r, "end_time", 0, 1e9, 0);
    s->seconds = end > start ? end - start : 0;
}

int wpf_iperf_results_parse(struct wpf_iperf_results *out, const char *json, size_t len, char *err, size_t err_cap)
{
    struct reader r = {.err = err, .err_cap = err_cap};
    json_t *root = load(&r, json, len);
    memset(out, 0, sizeof *out);
    if (!r.is_bad) {
        const json_t *streams = json_object_get(root, "streams");
        out->cpu_total = read_real(&r, "cpu_util_total", 0, 1e6, 0);
        out->cpu_user = read_real(&r, "cpu_util_user", 0, 1e6, 0);
        out->cpu_system = read_real(&r, "cpu_util_system", 0, 1e6, 0);
        out->has_retransmits = (int)read_real(&r, "sender_has_retransmits", -1, 2e19, -1) > 0;
        read_cc(&r, "congestion_used", out->cc);
        if (!json_is_array(streams))
            complain(&r, "streams", "not a list");
        else if (json_array_size(streams) > WPF_IPERF_STREAMS_MAX)
            complain(&r, "streams", "too many");
        for (size_t i = 0; i < json_array_size(streams) && !r.is_bad; i++) {
            r.object = json_array_get(streams, i);
            read_stream(&r, &out->streams[out->stream_n++]);
        }
    }
    json_decref(root);
    return r.is_bad ? -EPROTO : 0;
}

/* ---- Writing ---- */

static void put(json_t *o, const char *name, json_t *value)
{
    json_object_set_new(o, name, value); /* without memory it is missing, and the other end says so */
}

static char *dump(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

char *wpf_iperf_params_format(const struct wpf_iperf_params *p)
{
    json_t *o = json_object();
    put(o, "tcp", json_true());
    put(o, "omit", json_integer(p->omit_s));
    put(o, "time", json_integer(p->time_s));
    put(o, "num", json_integer((json_int_t)p->bytes));
    put(o, "blockcount", json_integer((json_int_t)p->blocks));
    if (p->mss)
        put(o, "MSS", json_integer(p->mss));
    if (p->is_nodelay)
        put(o, "nodelay", json_true());
    put(o, "parallel", json_integer(p->stream_n));
    if (p->is_zerocopy)
        put(o, "zerocopy", json_true());
    if (p->is_reverse)
        put(o, "reverse", json_true());
    if (p->is_bidir)
        put(o, "bidirectional", json_true());
    if (p->window_bytes)
        put(o, "window", json_integer(p->window_bytes));
    put(o, "len", json_integer(p->block_len));
    if (p->rate_bps)
        put(o, "bandwidth", json_integer((json_int_t)p->rate_bps));
    if (p->pacing_bps)
        put(o, "fqrate", json_integer((json_int_t)p->pacing_bps));
    put(o, "pacing_timer", json_integer(1000));
    if (p->tos)
        put(o, "TOS", json_integer(p->tos));
    if (p->cc[0])
        put(o, "congestion", json_string(p->cc));
    put(o, "client_version", json_string("3.12"));
    return dump(o);
}

char *wpf_iperf_results_format(const struct wpf_iperf_results *res)
{
    json_t *o = json_object(), *streams = json_array();
    put(o, "cpu_util_total", json_real(res->cpu_total));
    put(o, "cpu_util_user", json_real(res->cpu_user));
    put(o, "cpu_util_system", json_real(res->cpu_system));
    put(o, "sender_has_retransmits", json_integer(res->has_retransmits));
    if (res->cc[0])
        put(o, "congestion_used", json_string(res->cc));
    for (unsigned i = 0; i < res->stream_n; i++) {
        const struct wpf_iperf_stream_result *s = &res->streams[i];
        json_t *j = json_object();
        put(j, "id", json_integer(s->id));
        put(j, "bytes", json_integer((json_int_t)s->bytes));
        put(j, "retransmits", json_integer(s->retransmits));
        put(j, "jitter", json_integer(0));
        put(j, "errors", json_integer(0));
        put(j, "packets", json_integer(0));
        put(j, "start_time", json_integer(0));
        put(j, "end_time", json_real(s->seconds));
        json_array_append_new(streams, j);
    }
    put(o, "streams", streams);
    return dump(o);
}
