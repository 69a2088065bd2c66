/*
 * Packets: "< [ect0] P. 1:1001(1000) ack 1 win 257 <nop,nop,TS val 1 ecr 2>", "> udp (100)",
 * "< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]".
 */
#include "drill/icmp_names.h"
#include "drill/parse.h"

#include <string.h>

static const struct {
    char letter;
    uint16_t flag;
} flag_letters[] = {
    {'F', WDR_FIN}, {'S', WDR_SYN}, {'R', WDR_RST}, {'P', WDR_PSH}, {'.', WDR_ACK},
    {'U', WDR_URG}, {'E', WDR_ECE}, {'W', WDR_CWR}, {'A', WDR_AE},
};

/* A digit is AccECN's three-bit counter: AE, CWR and ECE together (RFC 9768 3.1). */
static uint16_t ace_flags(int ace)
{
    return (uint16_t)((ace & 4 ? WDR_AE : 0) | (ace & 2 ? WDR_CWR : 0) | (ace & 1 ? WDR_ECE : 0));
}

static bool parse_flags(struct wdr_lex *lx, uint16_t *flags)
{
    const char *word = wdr_lex_raw(lx, "FSRP.UEWA01234567-");
    *flags = 0;
    if (!*word)
        return wdr_lex_fail(lx, "TCP flags are missing: letters of FSRP.UEWA, or '-' for none");
    if (strcmp(word, "-") == 0)
        return true;
    for (const char *p = word; *p; p++) {
        uint16_t flag = *p >= '0' && *p <= '7' ? ace_flags(*p - '0') : 0;
        bool is_known = *p >= '0' && *p <= '7';
        for (unsigned i = 0; i < sizeof flag_letters / sizeof flag_letters[0]; i++) {
            if (flag_letters[i].letter == *p) {
                flag = flag_letters[i].flag;
                is_known = true;
            }
        }
        if (!is_known || (*flags & flag))
            return wdr_lex_fail(lx, "'%s' is no set of TCP flags", word);
        *flags |= flag;
    }
    return true;
}

/* ---- IP ---- */

static const struct {
    const char *word;
    enum wdr_ecn ecn;
} ecn_words[] = {
    {"noecn", WDR_ECN_NONE},  {"ect0", WDR_ECN_ECT0}, {"ect1", WDR_ECN_ECT1},
    {"ect01", WDR_ECN_ECT01}, {"ce", WDR_ECN_CE},     {"ecn_nocheck", WDR_ECN_ANY},
};

static bool parse_ip_field(struct wdr_lex *lx, struct wdr_packet *p)
{
    int64_t v = 0;
    for (unsigned i = 0; i < sizeof ecn_words / sizeof ecn_words[0]; i++) {
        if (wdr_lex_take_word(lx, ecn_words[i].word)) {
            p->ecn = ecn_words[i].ecn;
            return true;
        }
    }
    if (wdr_lex_take_word(lx, "tos")) {
        p->has_tos = wdr_lex_want_number(lx, 0, 255, "tos", &v);
        p->tos = (uint8_t)v;
        return p->has_tos;
    }
    if (wdr_lex_take_word(lx, "ttl")) {
        p->has_ttl = wdr_lex_want_number(lx, 0, 255, "ttl", &v);
        p->ttl = (uint8_t)v;
        return p->has_ttl;
    }
    if (wdr_lex_take_word(lx, "flowlabel")) {
        p->has_flowlabel = wdr_lex_want_number(lx, 0, 0xfffff, "flowlabel", &v);
        p->flowlabel = (uint32_t)v;
        return p->has_flowlabel;
    }
    return wdr_lex_fail(lx, "no field of IP: noecn, ect0, ect1, ect01, ce, tos N, ttl N or flowlabel N");
}

/* "[ect0, ttl 64]" or "(tos 0x10)": none, one or both. */
static bool parse_ip_fields(struct wdr_lex *lx, struct wdr_packet *p)
{
    while (wdr_lex_is_sign(lx, '[') || wdr_lex_is_sign(lx, '(')) {
        char close = wdr_lex_take(lx).sign == '[' ? ']' : ')';
        do {
            if (!parse_ip_field(lx, p))
                return false;
        } while (wdr_lex_take_sign(lx, ','));
        if (!wdr_lex_want_sign(lx, close, "after the fields of IP"))
            return false;
    }
    return !lx->has_failed;
}

/* "5000 > 8080" */
static bool parse_ports(struct wdr_lex *lx, struct wdr_packet *p)
{
    int64_t src, dst;
    const struct wdr_token *t = wdr_lex_peek(lx);
    if (t->kind != WDR_TOK_NUMBER || t->has_point)
        return !lx->has_failed;
    if (!wdr_lex_want_number(lx, 0, 65535, "the source port", &src) ||
        !wdr_lex_want_sign(lx, '>', "between the two ports") ||
        !wdr_lex_want_number(lx, 0, 65535, "the destination port", &dst))
        return false;
    p->has_ports = true;
    p->src_port = (uint16_t)src;
    p->dst_port = (uint16_t)dst;
    return true;
}

/* ---- TCP ---- */

/* "1:1001(1000)": from, to, and how many bytes lie between. */
static bool parse_sequence(struct wdr_lex *lx, uint32_t *seq, uint32_t *len)
{
    int64_t from, to, n;
    if (!wdr_lex_want_number(lx, 0, UINT32_MAX, "the sequence number", &from) ||
        !wdr_lex_want_sign(lx, ':', "in the sequence numbers") ||
        !wdr_lex_want_number(lx, 0, UINT32_MAX, "the sequence number of the end", &to) ||
        !wdr_lex_want_sign(lx, '(', "before the number of bytes") ||
        !wdr_lex_want_number(lx, 0, 65535, "the number of bytes", &n))
        return false;
    if ((uint32_t)(from + n) != (uint32_t)to)
        return wdr_lex_fail(lx, "%lld and %lld bytes is not %lld", (long long)from, (long long)n, (long long)to);
    *seq = (uint32_t)from;
    *len = (uint32_t)n;
    return wdr_lex_want_sign(lx, ')', "after the number of bytes");
}

static bool parse_field(struct wdr_lex *lx, const char *word, int64_t max, bool *has, int64_t *out)
{
    *has = wdr_lex_take_word(lx, word);
    return *has ? wdr_lex_want_number(lx, 0, max, word, out) : !lx->has_failed;
}

static bool parse_tcp(struct wdr_lex *lx, struct wdr_packet *p)
{
    int64_t ack = 0, win = 0, urg = 0;
    int line = wdr_lex_peek(lx)->line, column = wdr_lex_peek(lx)->column;
    p->proto = WDR_TCP;
    if (!parse_ports(lx, p) || !parse_flags(lx, &p->flags) || !parse_sequence(lx, &p->seq, &p->len) ||
        !parse_field(lx, "ack", UINT32_MAX, &p->has_ack, &ack) || !parse_field(lx, "win", 65535, &p->has_win, &win) ||
        !parse_field(lx, "urg", 65535, &p->has_urg, &urg))
        return false;
    p->ack = (uint32_t)ack;
    p->win = (uint16_t)win;
    p->urg = (uint16_t)urg;
    if ((p->flags & WDR_ACK) && !p->has_ack && p->dir == WDR_OUT && !(p->flags & WDR_RST))
        return wdr_lex_fail_at(lx, line, column, "a segment with the ACK flag ('.') needs 'ack N'");
    return !wdr_lex_is_sign(lx, '<') || wdr_parse_options(lx, p);
}

/* ---- UDP, ICMP ---- */

static bool parse_byte_count(struct wdr_lex *lx, uint32_t *len)
{
    int64_t n;
    if (!wdr_lex_want_sign(lx, '(', "before the number of bytes") ||
        !wdr_lex_want_number(lx, 0, 65535, "the number of bytes", &n))
        return false;
    *len = (uint32_t)n;
    return wdr_lex_want_sign(lx, ')', "after the number of bytes");
}

static bool parse_udp(struct wdr_lex *lx, struct wdr_packet *p)
{
    p->proto = WDR_UDP;
    return parse_ports(lx, p) && parse_byte_count(lx, &p->len);
}

/* "[1:1461(1460)]", "[. 1:1461(1460) ack 1]", "[udp (100)]" */
static bool parse_quote(struct wdr_lex *lx, struct wdr_quote *q)
{
    int64_t ack = 0;
    wdr_lex_take(lx);
    q->is_there = true;
    if (wdr_lex_take_word(lx, "udp")) {
        q->is_udp = true;
        if (!parse_byte_count(lx, &q->len))
            return false;
    } else {
        if (wdr_lex_peek(lx)->kind != WDR_TOK_NUMBER) {
            q->has_flags = true;
            if (!parse_flags(lx, &q->flags))
                return false;
        }
        if (!parse_sequence(lx, &q->seq, &q->len) || !parse_field(lx, "ack", UINT32_MAX, &q->has_ack, &ack))
            return false;
        q->ack = (uint32_t)ack;
    }
    return wdr_lex_want_sign(lx, ']', "after the quoted packet");
}

static bool parse_icmp(struct wdr_lex *lx, struct wdr_packet *p)
{
    int64_t mtu = 0;
    const struct wdr_token *t = wdr_lex_peek(lx);
    p->proto = WDR_ICMP;
    if (t->kind != WDR_TOK_WORD || !wdr_icmp_is_type(t->text))
        return wdr_lex_fail(lx, "no type of ICMP that scripts know");
    p->icmp_type = wdr_lex_take(lx).text;
    t = wdr_lex_peek(lx);
    if (t->kind == WDR_TOK_WORD && wdr_icmp_is_code(p->icmp_type, t->text))
        p->icmp_code = wdr_lex_take(lx).text;
    else if (!wdr_icmp_is_code(p->icmp_type, NULL))
        return wdr_lex_fail(lx, "no code of ICMP %s that scripts know", p->icmp_type);
    if (!parse_field(lx, "mtu", UINT32_MAX, &p->has_mtu, &mtu))
        return false;
    p->mtu = (uint32_t)mtu;
    return !wdr_lex_is_sign(lx, '[') ? !lx->has_failed : parse_quote(lx, &p->quote);
}

struct wdr_packet *wdr_parse_packet(struct wdr_lex *lx)
{
    struct wdr_packet *p = wdr_arena_take(lx->arena, sizeof *p);
    p->dir = wdr_lex_take(lx).sign == '<' ? WDR_IN : WDR_OUT;
    bool ok = parse_ip_fields(lx, p);
    if (!ok)
        return NULL;
    if (wdr_lex_is_word(lx, "ipv4") || wdr_lex_is_word(lx, "ipv6") || wdr_lex_is_word(lx, "gre")) {
        wdr_lex_fail(lx, "packets inside packets are not known here");
        return NULL;
    }
    if (wdr_lex_take_word(lx, "udp"))
        ok = parse_udp(lx, p);
    else if (wdr_lex_take_word(lx, "icmp"))
        ok = parse_icmp(lx, p);
    else
        ok = parse_tcp(lx, p);
    return ok && !lx->has_failed ? p : NULL;
}
