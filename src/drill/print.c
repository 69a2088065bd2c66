/*
 * Writing packets (print.h).
 */
#include "drill/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
    char *buf;
    size_t cap, len;
};

static void put(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct out *o, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(o->buf + o->len, o->cap - o->len, fmt, args);
    va_end(args);
    o->len += n > 0 ? (size_t)n : 0;
    if (o->len >= o->cap)
        o->len = o->cap - 1;
}

static void put_ip(struct out *o, const struct wdr_packet *p, const struct wdr_packet *like)
{
    static const char *const ecns[] = {
        [WDR_ECN_ANY] = "ecn_nocheck", [WDR_ECN_NONE] = "noecn",  [WDR_ECN_ECT0] = "ect0",
        [WDR_ECN_ECT1] = "ect1",       [WDR_ECN_ECT01] = "ect01", [WDR_ECN_CE] = "ce",
    };
    const char *comma = "";
    if (like->ecn == WDR_ECN_ANY && !like->has_tos && !like->has_ttl && !like->has_flowlabel)
        return;
    put(o, "[");
    if (like->ecn != WDR_ECN_ANY) {
        put(o, "%s", ecns[p->ecn]);
        comma = ", ";
    }
    if (like->has_tos) {
        put(o, "%stos 0x%x", comma, p->tos);
        comma = ", ";
    }
    if (like->has_ttl) {
        put(o, "%sttl %u", comma, p->ttl);
        comma = ", ";
    }
    if (like->has_flowlabel)
        put(o, "%sflowlabel 0x%x", comma, p->flowlabel);
    put(o, "] ");
}

static void put_flags(struct out *o, uint16_t flags)
{
    static const char letters[] = "FSRP.UEWA"; /* by bit */
    static const char order[] = "FSRPUEWA.";
    if (!flags)
        put(o, "-");
    for (const char *c = order; *c; c++) {
        if (flags & 1u << (strchr(letters, *c) - letters))
            put(o, "%c", *c);
    }
    put(o, " ");
}

static void put_hex(struct out *o, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(o, "%02x", p[i]);
}

static void put_accecn(struct out *o, const struct wdr_opt *opt)
{
    static const char *const order[2][3] = {{"e0b", "ceb", "e1b"}, {"e1b", "ceb", "e0b"}};
    put(o, "ECN");
    for (unsigned i = 0; 3 * i + 5 <= opt->len && i < 3; i++)
        put(o, " %s %u", order[opt->kind == WDR_OPT_ACCECN1][i],
            (unsigned)opt->body[3 * i] << 16 | (unsigned)opt->body[3 * i + 1] << 8 | opt->body[3 * i + 2]);
}

static void put_unknown(struct out *o, const struct wdr_opt *opt)
{
    put(o, "raw %02x%02x", opt->kind, opt->len);
    put_hex(o, opt->body, opt->len - 2u);
}

static void put_option(struct out *o, const struct wdr_opt *opt)
{
    if (opt->is_raw) {
        put(o, "raw ");
        put_hex(o, opt->body, opt->len);
        return;
    }
    switch (opt->kind) {
    case WDR_OPT_EOL: put(o, "eol"); return;
    case WDR_OPT_NOP: put(o, "nop"); return;
    case WDR_OPT_MSS: put(o, "mss %u", opt->a); return;
    case WDR_OPT_WSCALE: put(o, "wscale %u", opt->a); return;
    case WDR_OPT_SACK_OK: put(o, "sackOK"); return;
    case WDR_OPT_TS: put(o, "TS val %u ecr %u", opt->a, opt->b); return;
    case WDR_OPT_MD5: put(o, "md5"); return;
    case WDR_OPT_ACCECN0:
    case WDR_OPT_ACCECN1: put_accecn(o, opt); return;
    case WDR_OPT_SACK:
        put(o, "sack");
        for (unsigned i = 0; i < opt->sack_n; i++)
            put(o, " %u:%u", opt->sack[i].lo, opt->sack[i].hi);
        return;
    case WDR_OPT_FO:
        put(o, opt->len > 2 ? "FO " : "FO");
        put_hex(o, opt->body, opt->len - 2u);
        return;
    case WDR_OPT_EXP:
        if (opt->len >= 4 && (opt->body[0] << 8 | opt->body[1]) == WDR_FO_MAGIC) {
            put(o, opt->len > 4 ? "FOEXP " : "FOEXP");
            put_hex(o, opt->body + 2, opt->len - 4u);
            return;
        }
        break;
    default: break;
    }
    put_unknown(o, opt);
}

static void put_options(struct out *o, const struct wdr_packet *p)
{
    if (p->opts_any) {
        put(o, " <...>");
        return;
    }
    for (unsigned i = 0; i < p->opt_n; i++) {
        put(o, i ? "," : " <");
        put_option(o, &p->opts[i]);
    }
    if (p->opt_n)
        put(o, ">");
}

static void put_tcp(struct out *o, const struct wdr_packet *p, const struct wdr_packet *like)
{
    put_flags(o, p->flags);
    put(o, "%u:%u(%u)", p->seq, p->seq + p->len, p->len);
    if (p->has_ack)
        put(o, " ack %u", p->ack);
    if (like->has_win)
        put(o, " win %u", p->win);
    if (p->has_urg || like->has_urg)
        put(o, " urg %u", p->urg);
    put_options(o, p);
}

static void put_icmp(struct out *o, const struct wdr_packet *p)
{
    put(o, "icmp %s", p->icmp_type ? p->icmp_type : "(a type that scripts don't know)");
    if (p->icmp_code)
        put(o, " %s", p->icmp_code);
    if (p->has_mtu)
        put(o, " mtu %u", p->mtu);
    if (p->quote.is_there && p->quote.is_udp)
        put(o, " [udp (%u)]", p->quote.len);
    else if (p->quote.is_there)
        put(o, " [%u:%u(%u)]", p->quote.seq, p->quote.seq + p->quote.len, p->quote.len);
}

const char *wdr_print_packet(const struct wdr_packet *p, const struct wdr_packet *like, char *buf, size_t cap)
{
    struct out o = {.buf = buf, .cap = cap};
    if (!like)
        like = p;
    put(&o, p->dir == WDR_IN ? "< " : "> ");
    put_ip(&o, p, like);
    if (like->has_ports && p->proto != WDR_ICMP)
        put(&o, "%u>%u ", p->src_port, p->dst_port);
    switch (p->proto) {
    case WDR_TCP: put_tcp(&o, p, like); break;
    case WDR_UDP: put(&o, "udp (%u)", p->len); break;
    case WDR_ICMP: put_icmp(&o, p); break;
    }
    return buf;
}

const char *wdr_print_seconds(int64_t ns, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s%lld.%06lld", ns < 0 ? "-" : "", (long long)llabs(ns / 1000000000),
             (long long)llabs(ns % 1000000000 / 1000));
    return buf;
}
