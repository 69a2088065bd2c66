/* A socket as a line of JSON, and back. What is read comes from another process and is believed in nothing. */
#include "run/view.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Members of struct weir_tcp_info that are numbers of their own; the others are bits. */
static const struct field {
    const char *name;
    size_t at, size;
} fields[] = {
#define FIELD(name)                                                                                                    \
    {                                                                                                                  \
#name, offsetof(struct weir_tcp_info, name), sizeof(((struct weir_tcp_info *)0)->name)                         \
    }
    FIELD(ca_state),
    FIELD(retransmits),
    FIELD(probes),
    FIELD(backoff),
    FIELD(options),
    FIELD(rto),
    FIELD(ato),
    FIELD(snd_mss),
    FIELD(rcv_mss),
    FIELD(unacked),
    FIELD(sacked),
    FIELD(lost),
    FIELD(retrans),
    FIELD(fackets),
    FIELD(last_data_sent),
    FIELD(last_data_recv),
    FIELD(last_ack_recv),
    FIELD(pmtu),
    FIELD(rcv_ssthresh),
    FIELD(rtt),
    FIELD(rttvar),
    FIELD(snd_ssthresh),
    FIELD(snd_cwnd),
    FIELD(advmss),
    FIELD(reordering),
    FIELD(rcv_rtt),
    FIELD(rcv_space),
    FIELD(total_retrans),
    FIELD(pacing_rate),
    FIELD(max_pacing_rate),
    FIELD(bytes_acked),
    FIELD(bytes_received),
    FIELD(segs_out),
    FIELD(segs_in),
    FIELD(notsent_bytes),
    FIELD(min_rtt),
    FIELD(data_segs_in),
    FIELD(data_segs_out),
    FIELD(delivery_rate),
    FIELD(busy_time),
    FIELD(rwnd_limited),
    FIELD(sndbuf_limited),
    FIELD(delivered),
    FIELD(delivered_ce),
    FIELD(bytes_sent),
    FIELD(bytes_retrans),
    FIELD(dsack_dups),
    FIELD(reord_seen),
    FIELD(rcv_ooopack),
    FIELD(snd_wnd),
    FIELD(rcv_wnd),
    FIELD(rehash),
    FIELD(total_rto),
    FIELD(total_rto_recoveries),
    FIELD(total_rto_time),
#undef FIELD
};
#define FIELD_N (sizeof fields / sizeof fields[0])

/* ---- Writing ---- */

struct text {
    char *at;
    size_t left;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += used;
    t->left -= used;
}

static uint64_t number_at(const void *at, size_t size)
{
    uint64_t v64;
    uint32_t v32;
    uint16_t v16;
    switch (size) {
    case 1: return *(const uint8_t *)at;
    case 2: memcpy(&v16, at, sizeof v16); return v16;
    case 4: memcpy(&v32, at, sizeof v32); return v32;
    default: memcpy(&v64, at, sizeof v64); return v64;
    }
}

static void put_endpoint(struct text *t, const char *name, const struct weir_sockaddr *at)
{
    char addr[WEIR_ADDR_TEXT_CAP];
    put(t, ",\"%s\":[\"%s\",%u]", name, weir_addr_format(&at->addr, addr, sizeof addr), at->port);
}

/* JSON's integers are signed here: no limit (all ones) is -1. */
static void put_info(struct text *t, const struct weir_tcp_info *i)
{
    put(t, ",\"info\":{\"snd_wscale\":%u,\"rcv_wscale\":%u,\"app_limited\":%u", i->snd_wscale, i->rcv_wscale,
        i->delivery_rate_app_limited);
    for (size_t k = 0; k < FIELD_N; k++) {
        uint64_t v = number_at((const char *)i + fields[k].at, fields[k].size);
        if (v)
            put(t, ",\"%s\":%" PRId64, fields[k].name, (int64_t)v);
    }
    put(t, "},\"life\":%" PRId64 ",\"spent\":[", (int64_t)i->ledger.life);
    for (unsigned c = 0; c < WEIR_CAUSE_N; c++)
        put(t, "%s%" PRId64, c ? "," : "", (int64_t)i->ledger.spent[c]);
    put(t, "]");
}

static void put_control(struct text *t, const struct weir_sock_info *i)
{
    const struct weir_tcp_bbr_info *bbr = &i->cc_info.bbr;
    const struct weir_tcp_dctcp_info *dctcp = &i->cc_info.dctcp;
    if (i->cc_info_len && strcmp(i->congestion, "bbr") == 0)
        put(t, ",\"bbr\":[%" PRId64 ",%u,%u,%u]", (int64_t)((uint64_t)bbr->bw_hi << 32 | bbr->bw_lo), bbr->min_rtt,
            bbr->pacing_gain, bbr->cwnd_gain);
    else if (i->cc_info_len && strcmp(i->congestion, "dctcp") == 0)
        put(t, ",\"dctcp\":[%u,%u,%u,%u,%u]", dctcp->enabled, dctcp->ce_state, dctcp->alpha, dctcp->ab_ecn,
            dctcp->ab_tot);
}

size_t wir_view_write(const struct wir_view *v, bool is_long, char line[WIR_VIEW_LINE_MAX])
{
    const struct weir_sock_info *i = &v->info;
    struct text t = {line, WIR_VIEW_LINE_MAX - 3};
    put(&t, "{\"socket\":{\"proto\":%u,\"family\":%u,\"state\":%u", i->protocol, i->family == WEIR_AF_INET6 ? 6 : 4,
        i->state);
    put_endpoint(&t, "local", &i->local);
    put_endpoint(&t, "peer", &i->remote);
    put(&t, ",\"recv_q\":%u,\"send_q\":%u,\"id\":%" PRId64 ",\"inode\":%" PRId64, i->recv_q, i->send_q, (int64_t)i->id,
        (int64_t)v->inode);
    if (i->netif)
        put(&t, ",\"netif\":%d", i->netif);
    if (i->timer)
        put(&t, ",\"timer\":[%u,%u,%" PRId64 "]", i->timer, i->timer_tries, (int64_t)i->timer_left);
    if (i->shutdown)
        put(&t, ",\"shutdown\":%u", i->shutdown);
    put(&t, "%s%s%s", i->is_v6only ? ",\"v6only\":true" : "", i->is_parked ? ",\"parked\":true" : "",
        i->fd >= 0 ? ",\"held\":true" : "");
    if (is_long) {
        put(&t, ",\"mem\":[");
        for (unsigned k = 0; k < WEIR_MEMINFO_N; k++)
            put(&t, "%s%u", k ? "," : "", i->meminfo[k]);
        put(&t, "],\"cc\":\"%s\"", i->congestion);
        put_control(&t, i);
        if (i->has_tcp_info)
            put_info(&t, &v->tcp);
    }
    memcpy(t.at, "}}\n", 4); /* room was kept for it */
    return (size_t)(t.at - line) + 3;
}

/* ---- Reading ---- */

static uint64_t member(const json_t *o, const char *name, uint64_t max)
{
    const json_t *v = json_object_get(o, name);
    uint64_t n = json_is_integer(v) ? (uint64_t)json_integer_value(v) : 0;
    return n > max ? 0 : n;
}

static uint64_t element(const json_t *array, size_t i)
{
    const json_t *v = json_array_get(array, i);
    return json_is_integer(v) ? (uint64_t)json_integer_value(v) : 0;
}

static bool read_endpoint(const json_t *o, const char *name, uint16_t family, struct weir_sockaddr *out)
{
    const json_t *pair = json_object_get(o, name);
    const char *addr = json_string_value(json_array_get(pair, 0));
    uint64_t port = element(pair, 1);
    if (!addr || port > UINT16_MAX || weir_addr_parse(&out->addr, addr) < 0)
        return false;
    out->family = family;
    out->port = (uint16_t)port;
    return true;
}

/* A name that is printed as it is: letters, digits and the like only. */
static void read_name(const json_t *o, const char *name, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(o, name));
    size_t n = 0;
    for (; text && n < cap - 1 && isalnum((unsigned char)text[n]); n++)
        out[n] = text[n];
    out[n] = '\0';
}

static void store(void *at, size_t size, uint64_t v)
{
    uint32_t v32 = (uint32_t)v;
    uint16_t v16 = (uint16_t)v;
    switch (size) {
    case 1: *(uint8_t *)at = (uint8_t)v; return;
    case 2: memcpy(at, &v16, sizeof v16); return;
    case 4: memcpy(at, &v32, sizeof v32); return;
    default: memcpy(at, &v, sizeof v); return;
    }
}

static void read_info(const json_t *socket, const json_t *info, struct weir_tcp_info *out)
{
    out->snd_wscale = member(info, "snd_wscale", 15) & 15u;
    out->rcv_wscale = member(info, "rcv_wscale", 15) & 15u;
    out->delivery_rate_app_limited = member(info, "app_limited", 1) & 1u;
    for (size_t k = 0; k < FIELD_N; k++)
        store((char *)out + fields[k].at, fields[k].size, member(info, fields[k].name, UINT64_MAX));
    out->ledger.life = member(socket, "life", INT64_MAX);
    const json_t *spent = json_object_get(socket, "spent");
    for (unsigned c = 0; c < WEIR_CAUSE_N; c++)
        out->ledger.spent[c] = element(spent, c);
}

static void read_control(const json_t *o, struct weir_sock_info *i)
{
    const json_t *bbr = json_object_get(o, "bbr"), *dctcp = json_object_get(o, "dctcp");
    if (json_is_array(bbr)) {
        uint64_t bw = element(bbr, 0);
        i->cc_info.bbr = (struct weir_tcp_bbr_info){(uint32_t)bw, (uint32_t)(bw >> 32), (uint32_t)element(bbr, 1),
                                                    (uint32_t)element(bbr, 2), (uint32_t)element(bbr, 3)};
        i->cc_info_len = sizeof i->cc_info.bbr;
    } else if (json_is_array(dctcp)) {
        i->cc_info.dctcp = (struct weir_tcp_dctcp_info){(uint16_t)element(dctcp, 0), (uint16_t)element(dctcp, 1),
                                                        (uint32_t)element(dctcp, 2), (uint32_t)element(dctcp, 3),
                                                        (uint32_t)element(dctcp, 4)};
        i->cc_info_len = sizeof i->cc_info.dctcp;
    }
}

bool wir_view_read(const json_t *o, struct wir_view *out)
{
    struct weir_sock_info *i = &out->info;
    memset(out, 0, sizeof *out);
    i->protocol = (uint8_t)member(o, "proto", UINT8_MAX);
    i->family = member(o, "family", 6) == 6 ? WEIR_AF_INET6 : WEIR_AF_INET;
    i->state = (uint8_t)member(o, "state", WEIR_SOCK_STATE_N - 1);
    if (i->state == 0 || (i->protocol != WEIR_IPPROTO_TCP && i->protocol != WEIR_IPPROTO_UDP) ||
        !read_endpoint(o, "local", i->family, &i->local) || !read_endpoint(o, "peer", i->family, &i->remote))
        return false;
    i->fd = json_is_true(json_object_get(o, "held")) ? 0 : -1;
    i->recv_q = (uint32_t)member(o, "recv_q", UINT32_MAX);
    i->send_q = (uint32_t)member(o, "send_q", UINT32_MAX);
    i->id = member(o, "id", UINT64_MAX);
    out->inode = member(o, "inode", UINT64_MAX);
    i->netif = (int)member(o, "netif", INT32_MAX);
    i->shutdown = (uint8_t)member(o, "shutdown", 3);
    i->is_v6only = json_is_true(json_object_get(o, "v6only"));
    i->is_parked = json_is_true(json_object_get(o, "parked"));
    const json_t *timer = json_object_get(o, "timer"), *mem = json_object_get(o, "mem");
    i->timer = element(timer, 0) <= WEIR_SOCK_TIMER_PERSIST ? (uint8_t)element(timer, 0) : 0;
    i->timer_tries = (uint8_t)element(timer, 1);
    i->timer_left = element(timer, 2);
    for (unsigned k = 0; k < WEIR_MEMINFO_N; k++)
        i->meminfo[k] = (uint32_t)element(mem, k);
    read_name(o, "cc", i->congestion, sizeof i->congestion);
    read_control(o, i);
    const json_t *info = json_object_get(o, "info");
    i->has_tcp_info = json_is_object(info);
    if (i->has_tcp_info)
        read_info(o, info, &out->tcp);
    return true;
}
