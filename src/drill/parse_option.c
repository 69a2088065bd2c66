/*
 * TCP's options: "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>", "<nop,nop,sack 1:1001 2001:3001>", "<FO a1b2c3d4>".
 */
#include "drill/parse.h"

#include <ctype.h>
#include <string.h>

#define OPTIONS_BYTES_MAX 40

static const char hex_digits[] = "0123456789abcdefABCDEF";

static int hex_value(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Bytes in hexadecimal digits, at most `cap`; *n says how many. */
static bool parse_hex(struct wdr_lex *lx, uint8_t *out, size_t cap, size_t *n)
{
    const char *text = wdr_lex_raw(lx, hex_digits);
    size_t len = strlen(text);
    if (strncmp(text, "0x", 2) == 0) { /* from a define */
        text += 2;
        len -= 2;
    }
    if (strspn(text, hex_digits) != len || len % 2 || len / 2 > cap)
        return wdr_lex_fail(lx, "'%s' should be at most %zu bytes in hexadecimal", text, cap);
    *n = len / 2;
    for (size_t i = 0; i < *n; i++)
        out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
    return true;
}

static bool parse_number(struct wdr_lex *lx, uint32_t max, const char *what, uint32_t *out)
{
    int64_t v;
    if (!wdr_lex_want_number(lx, 0, max, what, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

static bool parse_named(struct wdr_lex *lx, const char *word, uint32_t max, uint32_t *out)
{
    if (!wdr_lex_take_word(lx, word))
        return wdr_lex_fail(lx, "'%s' is missing", word);
    return parse_number(lx, max, word, out);
}

static bool parse_simple(struct wdr_lex *lx, struct wdr_opt *o, uint8_t kind, uint8_t len)
{
    (void)lx;
    o->kind = kind;
    o->len = len;
    return true;
}

static bool parse_eol(struct wdr_lex *lx, struct wdr_opt *o)
{
    return parse_simple(lx, o, WDR_OPT_EOL, 1);
}

static bool parse_nop(struct wdr_lex *lx, struct wdr_opt *o)
{
    return parse_simple(lx, o, WDR_OPT_NOP, 1);
}

static bool parse_sack_ok(struct wdr_lex *lx, struct wdr_opt *o)
{
    return parse_simple(lx, o, WDR_OPT_SACK_OK, 2);
}

static bool parse_mss(struct wdr_lex *lx, struct wdr_opt *o)
{
    parse_simple(lx, o, WDR_OPT_MSS, 4);
    return parse_number(lx, 65535, "mss", &o->a);
}

static bool parse_wscale(struct wdr_lex *lx, struct wdr_opt *o)
{
    parse_simple(lx, o, WDR_OPT_WSCALE, 3);
    return parse_number(lx, 255, "wscale", &o->a);
}

static bool parse_ts(struct wdr_lex *lx, struct wdr_opt *o)
{
    parse_simple(lx, o, WDR_OPT_TS, 10);
    return parse_named(lx, "val", UINT32_MAX, &o->a) && parse_named(lx, "ecr", UINT32_MAX, &o->b);
}

static bool parse_sack(struct wdr_lex *lx, struct wdr_opt *o)
{
    o->kind = WDR_OPT_SACK;
    while (wdr_lex_peek(lx)->kind == WDR_TOK_NUMBER) {
        if (o->sack_n == WDR_SACKS_MAX)
            return wdr_lex_fail(lx, "more than %d SACK blocks don't fit into a header", WDR_SACKS_MAX);
        if (!parse_number(lx, UINT32_MAX, "a SACK block", &o->sack[o->sack_n].lo) ||
            !wdr_lex_want_sign(lx, ':', "in a SACK block") ||
            !parse_number(lx, UINT32_MAX, "a SACK block", &o->sack[o->sack_n].hi))
            return false;
        o->sack_n++;
    }
    o->len = (uint8_t)(2 + 8 * o->sack_n);
    return !lx->has_failed;
}

static bool parse_fo(struct wdr_lex *lx, struct wdr_opt *o)
{
    size_t n;
    if (!parse_hex(lx, o->body, 16, &n))
        return false;
    return parse_simple(lx, o, WDR_OPT_FO, (uint8_t)(2 + n));
}

static bool parse_foexp(struct wdr_lex *lx, struct wdr_opt *o)
{
    size_t n;
    o->body[0] = WDR_FO_MAGIC >> 8;
    o->body[1] = WDR_FO_MAGIC & 0xff;
    if (!parse_hex(lx, o->body + 2, 16, &n))
        return false;
    return parse_simple(lx, o, WDR_OPT_EXP, (uint8_t)(4 + n));
}

/* With a digest, or with one of zeroes. */
static bool parse_md5(struct wdr_lex *lx, struct wdr_opt *o)
{
    size_t n;
    return parse_hex(lx, o->body, 16, &n) && parse_simple(lx, o, WDR_OPT_MD5, 18);
}

/* "ECN e1b 1 ceb 0 e0b 1": the first counter's name says which of the two kinds it is (RFC 9768 3.2.3). */
static bool parse_accecn(struct wdr_lex *lx, struct wdr_opt *o)
{
    static const char *const order[2][3] = {{"e0b", "ceb", "e1b"}, {"e1b", "ceb", "e0b"}};
    bool is_one = wdr_lex_is_word(lx, "e1b");
    unsigned n = 0;
    o->kind = is_one ? WDR_OPT_ACCECN1 : WDR_OPT_ACCECN0;
    while (n < 3 && wdr_lex_is_word(lx, order[is_one][n])) {
        uint32_t v = 0;
        if (!parse_named(lx, order[is_one][n], 0xffffff, &v))
            return false;
        o->body[3 * n] = (uint8_t)(v >> 16);
        o->body[3 * n + 1] = (uint8_t)(v >> 8);
        o->body[3 * n + 2] = (uint8_t)v;
        n++;
    }
    o->len = (uint8_t)(2 + 3 * n);
    return !lx->has_failed;
}

/* Bytes as they are: options that nobody knows, and nonsense. */
static bool parse_raw(struct wdr_lex *lx, struct wdr_opt *o)
{
    size_t n = 0;
    if (!parse_hex(lx, o->body, OPTIONS_BYTES_MAX, &n))
        return false;
    if (n == 0)
        return wdr_lex_fail(lx, "raw wants bytes in hexadecimal");
    o->is_raw = true;
    o->kind = o->body[0];
    o->len = (uint8_t)n;
    return true;
}

static const struct {
    const char *word;
    bool (*parse)(struct wdr_lex *, struct wdr_opt *);
} option_words[] = {
    {"mss", parse_mss},     {"nop", parse_nop}, {"eol", parse_eol}, {"sackOK", parse_sack_ok},
    {"sack", parse_sack},   {"TS", parse_ts},   {"FO", parse_fo},   {"wscale", parse_wscale},
    {"FOEXP", parse_foexp}, {"md5", parse_md5}, {"raw", parse_raw}, {"ECN", parse_accecn},
};

static bool parse_one(struct wdr_lex *lx, struct wdr_opt *o)
{
    for (unsigned i = 0; i < sizeof option_words / sizeof option_words[0]; i++) {
        if (wdr_lex_take_word(lx, option_words[i].word))
            return option_words[i].parse(lx, o);
    }
    return wdr_lex_fail(lx, "no TCP option that scripts know: mss, wscale, sackOK, sack, TS, FO, FOEXP, md5, ECN, nop, "
                            "eol or raw");
}

static bool parse_list(struct wdr_lex *lx, struct wdr_packet *p)
{
    unsigned bytes = 0;
    do {
        if (p->opt_n == WDR_OPTS_MAX)
            return wdr_lex_fail(lx, "too many options");
        if (!parse_one(lx, &p->opts[p->opt_n]))
            return false;
        bytes += p->opts[p->opt_n++].len;
    } while (wdr_lex_take_sign(lx, ','));
    if (bytes > OPTIONS_BYTES_MAX)
        return wdr_lex_fail(lx, "%u bytes of options, and a header holds %d", bytes, OPTIONS_BYTES_MAX);
    if (bytes % 4)
        return wdr_lex_fail(lx, "options end on a multiple of 4 bytes, and these are %u: pad with nop or eol", bytes);
    return true;
}

bool wdr_parse_options(struct wdr_lex *lx, struct wdr_packet *p)
{
    wdr_lex_take(lx); /* "<" */
    if (wdr_lex_peek(lx)->kind == WDR_TOK_ELLIPSIS) {
        wdr_lex_take(lx);
        p->opts_any = true;
        if (p->dir == WDR_IN)
            return wdr_lex_fail(lx, "a packet that comes in needs its options written out");
    } else if (!wdr_lex_is_sign(lx, '>') && !parse_list(lx, p)) {
        return false;
    }
    return wdr_lex_want_sign(lx, '>', "after the options");
}
