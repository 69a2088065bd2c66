/*
 * The TCP header and its options: RFC 9293 3.1 and 3.2, RFC 7323 app. A, RFC 2018, 7413, 9768.
 */
#include "wire/tcp.h"
#include "base/bytes.h"
#include "base/str.h"

#define ALIGNED_TS     0x0101080au /* nop, nop, TS, 10: nearly every segment's options. RFC 7323 app. A */
#define ALIGNED_TS_LEN 12

#define LEN_MSS        4
#define LEN_WSCALE     3
#define LEN_SACK_OK    2
#define LEN_SACK_BLOCK 8
#define LEN_TS         10
#define LEN_MD5        18
#define LEN_ACCECN     3 /* for each counter */

static uint32_t get24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static void read_timestamps(struct wi_wire_tcp *h, const uint8_t *p)
{
    h->has_ts = true;
    h->tsval = wi_get32(p);
    h->tsecr = wi_get32(p + 4);
}

/* A cookie of a length that none may have counts as no option at all, also against an earlier one. RFC 7413 4.1.1. */
static void read_fast_open(struct wi_wire_tcp *h, const uint8_t *p, size_t len, bool is_exp)
{
    if (len % 2 != 0)
        return;
    h->has_fo = len == 0 || (len >= WI_TCP_FO_COOKIE_MIN && len <= WI_TCP_FO_COOKIE_MAX);
    h->fo_exp = h->has_fo && is_exp;
    h->fo_len = h->has_fo ? (uint8_t)len : 0;
    memset(h->fo_cookie, 0, sizeof(h->fo_cookie));
    memcpy(h->fo_cookie, p, h->fo_len);
}

/* Options that mean something in a SYN only. `p` and `len` are what follows kind and length. */
static void read_syn_option(struct wi_wire_tcp *h, uint8_t kind, const uint8_t *p, size_t len)
{
    switch (kind) {
    case WI_TCPOPT_MSS:
        if (len == LEN_MSS - 2)
            h->mss = wi_get16(p);
        break;
    case WI_TCPOPT_WSCALE:
        if (len == LEN_WSCALE - 2) {
            h->has_wscale = true;
            h->wscale = p[0] < WI_TCP_WSCALE_MAX ? p[0] : WI_TCP_WSCALE_MAX;
        }
        break;
    case WI_TCPOPT_SACK_OK:
        if (len == LEN_SACK_OK - 2)
            h->sack_ok = true;
        break;
    case WI_TCPOPT_FO: read_fast_open(h, p, len, false); break;
    case WI_TCPOPT_EXP:
        if (len >= 2 && wi_get16(p) == WI_TCP_FO_MAGIC)
            read_fast_open(h, p + 2, len - 2, true);
        break;
    default: break; /* RFC 9293 MUST-6: ignore what is unknown */
    }
}

static void read_sacks(struct wi_wire_tcp *h, const uint8_t *p, size_t len)
{
    if (len == 0 || len % LEN_SACK_BLOCK != 0)
        return;
    memset(h->sacks, 0, sizeof(h->sacks));       /* of an earlier option nothing stays */
    h->sack_n = (uint8_t)(len / LEN_SACK_BLOCK); /* at most 4: 40 bytes of options hold no more */
    for (unsigned i = 0; i < h->sack_n; i++, p += LEN_SACK_BLOCK)
        h->sacks[i] = (struct wi_sack_block){{wi_get32(p)}, {wi_get32(p + 4)}};
}

static void read_accecn(struct wi_wire_tcp *h, uint8_t kind, const uint8_t *p, size_t len)
{
    h->accecn_kind = kind;
    h->accecn_n =
        (uint8_t)(len / LEN_ACCECN < 3 ? len / LEN_ACCECN : 3); /* RFC 9768 3.2.3: read as many as are whole */
    for (unsigned i = 0; i < 3; i++)
        h->accecn[i] = i < h->accecn_n ? get24(p + (size_t)i * LEN_ACCECN) : 0;
}

static void read_option(struct wi_wire_tcp *h, uint8_t kind, const uint8_t *p, size_t len)
{
    switch (kind) {
    case WI_TCPOPT_TS:
        if (len == LEN_TS - 2)
            read_timestamps(h, p);
        break;
    case WI_TCPOPT_SACK: read_sacks(h, p, len); break;
    case WI_TCPOPT_ACCECN0:
    case WI_TCPOPT_ACCECN1: read_accecn(h, kind, p, len); break;
    case WI_TCPOPT_MD5: h->has_md5 = h->has_md5 || len == LEN_MD5 - 2; break;
    case WI_TCPOPT_AO: h->has_ao = h->has_ao || len >= 2; break;
    default:
        if (h->flags & WI_TH_SYN)
            read_syn_option(h, kind, p, len);
    }
}

static void read_options(struct wi_wire_tcp *h, const uint8_t *p, size_t len)
{
    if (len == ALIGNED_TS_LEN && wi_get32(p) == ALIGNED_TS) {
        read_timestamps(h, p + 4);
        return;
    }
    for (size_t i = 0; i < len && p[i] != WI_TCPOPT_EOL;) {
        if (p[i] == WI_TCPOPT_NOP) {
            i++;
            continue;
        }
        /* RFC 9293 MUST-7: a senseless length ends the reading, and is no reason to lose the segment. */
        if (len - i < 2 || p[i + 1] < 2 || p[i + 1] > len - i)
            return;
        read_option(h, p[i], p + i + 2, p[i + 1] - 2u);
        i += p[i + 1];
    }
}

enum weir_drop wi_wire_tcp_parse(struct wi_wire_tcp *out, const uint8_t *seg, size_t lin_len, size_t seg_len)
{
    if (lin_len < WI_TCP_HDR_MIN || seg_len < WI_TCP_HDR_MIN)
        return WEIR_DROP_TCP_SHORT;

    size_t hdr_len = (size_t)(seg[12] >> 4) * 4;
    if (hdr_len < WI_TCP_HDR_MIN || hdr_len > lin_len || hdr_len > seg_len)
        return WEIR_DROP_TCP_OFFSET;

    *out = (struct wi_wire_tcp){
        .src_port = wi_get16(seg),
        .dst_port = wi_get16(seg + 2),
        .seq = {wi_get32(seg + 4)},
        .ack = {wi_get32(seg + 8)},
        .flags = wi_get16(seg + 12) & 0x1ff,
        .wnd = wi_get16(seg + 14),
        .urg = wi_get16(seg + 18),
        .hdr_len = (uint8_t)hdr_len,
        .opt_len = (uint8_t)(hdr_len - WI_TCP_HDR_MIN),
        .data_off = (uint32_t)hdr_len,
        .data_len = (uint32_t)(seg_len - hdr_len),
    };
    read_options(out, seg + WI_TCP_HDR_MIN, out->opt_len);
    return WEIR_DROP_NONE;
}

/* Options go out in words of 32 bits. With `p` NULL they are counted only, so that length and layout can't disagree. */
struct opt_writer {
    uint8_t *p;
    size_t len;
    uint8_t pad[2]; /* what stands where the next option's two NOPs would: NOPs, or the odd bytes of AccECN */
    uint8_t odd_n;  /* how many of `pad` are such bytes */
};

static void put_word(struct opt_writer *w, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    if (w->p)
        wi_put32(w->p + w->len, a << 24 | b << 16 | c << 8 | d);
    w->len += 4;
}

static void put_word32(struct opt_writer *w, uint32_t v)
{
    if (w->p)
        wi_put32(w->p + w->len, v);
    w->len += 4;
}

/* A word that begins with two bytes of padding. */
static void put_padded(struct opt_writer *w, uint32_t c, uint32_t d)
{
    put_word(w, w->pad[0], w->pad[1], c, d);
    w->pad[0] = w->pad[1] = WI_TCPOPT_NOP;
    w->odd_n = 0;
}

static void put_accecn(struct opt_writer *w, const struct wi_wire_tcp *h)
{
    uint8_t len = (uint8_t)(2 + LEN_ACCECN * h->accecn_n);
    const uint32_t *v = h->accecn;

    if (h->accecn_n == 0) {
        w->pad[0] = h->accecn_kind;
        w->pad[1] = len;
        w->odd_n = 2;
        return;
    }
    put_word(w, h->accecn_kind, len, v[0] >> 16 & 0xff, v[0] >> 8 & 0xff);
    if (h->accecn_n == 1) {
        w->pad[0] = v[0] & 0xff;
        w->odd_n = 1;
        return;
    }
    put_word32(w, v[0] << 24 | (v[1] & 0xffffff));
    if (h->accecn_n >= 3)
        put_word32(w, v[2] << 8 | WI_TCPOPT_NOP);
}

static void put_wscale(struct opt_writer *w, const struct wi_wire_tcp *h)
{
    uint8_t pad = WI_TCPOPT_NOP;

    if (w->odd_n == 1) { /* one odd byte fits here; two stay together */
        pad = w->pad[0];
        w->pad[0] = WI_TCPOPT_NOP;
        w->odd_n = 0;
    }
    put_word(w, pad, WI_TCPOPT_WSCALE, LEN_WSCALE, h->wscale);
}

static void put_sacks(struct opt_writer *w, const struct wi_wire_tcp *h)
{
    put_padded(w, WI_TCPOPT_SACK, 2u + LEN_SACK_BLOCK * h->sack_n);
    for (unsigned i = 0; i < h->sack_n; i++) {
        put_word32(w, h->sacks[i].lo.v);
        put_word32(w, h->sacks[i].hi.v);
    }
}

static void put_fast_open(struct opt_writer *w, const struct wi_wire_tcp *h)
{
    uint8_t opt[24];
    size_t len = (h->fo_exp ? 4u : 2u) + h->fo_len;

    memset(opt, WI_TCPOPT_NOP, sizeof(opt));
    opt[0] = h->fo_exp ? WI_TCPOPT_EXP : WI_TCPOPT_FO;
    opt[1] = (uint8_t)len;
    if (h->fo_exp)
        wi_put16(opt + 2, WI_TCP_FO_MAGIC);
    memcpy(opt + len - h->fo_len, h->fo_cookie, h->fo_len);
    len = (len + 3) & ~(size_t)3;
    if (w->p)
        memcpy(w->p + w->len, opt, len);
    w->len += len;
}

/* The order is Linux's (tcp_options_write), for a stack is told by it, and middleboxes expect it. */
static size_t put_options(uint8_t *p, const struct wi_wire_tcp *h)
{
    struct opt_writer w = {.p = p, .pad = {WI_TCPOPT_NOP, WI_TCPOPT_NOP}};

    if (h->mss)
        put_word(&w, WI_TCPOPT_MSS, LEN_MSS, h->mss >> 8, h->mss & 0xff);
    if (h->has_ts) {
        if (h->sack_ok)
            put_word(&w, WI_TCPOPT_SACK_OK, LEN_SACK_OK, WI_TCPOPT_TS, LEN_TS);
        else
            put_padded(&w, WI_TCPOPT_TS, LEN_TS);
        put_word32(&w, h->tsval);
        put_word32(&w, h->tsecr);
    }
    if (h->accecn_kind)
        put_accecn(&w, h);
    if (h->sack_ok && !h->has_ts)
        put_padded(&w, WI_TCPOPT_SACK_OK, LEN_SACK_OK);
    if (h->has_wscale)
        put_wscale(&w, h);
    if (h->sack_n)
        put_sacks(&w, h);
    else if (w.odd_n)
        put_padded(&w, WI_TCPOPT_NOP, WI_TCPOPT_NOP);
    if (h->has_fo)
        put_fast_open(&w, h);
    return w.len;
}

/* Nearly every segment: timestamps or nothing. */
static bool has_only_ts(const struct wi_wire_tcp *h)
{
    return !(h->mss | h->has_wscale | h->sack_ok | h->has_fo | h->sack_n | h->accecn_kind);
}

size_t wi_wire_tcp_hdr_len(const struct wi_wire_tcp *h)
{
    if (has_only_ts(h))
        return WI_TCP_HDR_MIN + (h->has_ts ? LEN_TS + 2u : 0u);
    return WI_TCP_HDR_MIN + put_options(NULL, h);
}

static void put_ts(uint8_t *p, const struct wi_wire_tcp *h)
{
    wi_put32(p, (uint32_t)WI_TCPOPT_NOP << 24 | WI_TCPOPT_NOP << 16 | WI_TCPOPT_TS << 8 | LEN_TS);
    wi_put32(p + 4, h->tsval);
    wi_put32(p + 8, h->tsecr);
}

size_t wi_wire_tcp_put(uint8_t *p, size_t cap, const struct wi_wire_tcp *h)
{
    size_t hdr_len = wi_wire_tcp_hdr_len(h);

    if (hdr_len > cap || hdr_len > WI_TCP_HDR_MAX)
        return 0;
    wi_put16(p, h->src_port);
    wi_put16(p + 2, h->dst_port);
    wi_put32(p + 4, h->seq.v);
    wi_put32(p + 8, h->ack.v);
    wi_put16(p + 12, (uint16_t)(hdr_len / 4 << 12 | (h->flags & 0x1ffu)));
    wi_put16(p + 14, h->wnd);
    wi_put16(p + WI_TCP_CSUM_OFF, 0);
    wi_put16(p + 18, h->urg);
    if (!has_only_ts(h))
        put_options(p + WI_TCP_HDR_MIN, h);
    else if (h->has_ts)
        put_ts(p + WI_TCP_HDR_MIN, h);
    return hdr_len;
}
