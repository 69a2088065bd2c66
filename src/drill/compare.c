/*
 * What is compared (compare.h): every flag, numbers, the kinds, order, lengths and values of options unless "<...>";
 * window, urgent pointer, ports and the fields of IP only where they are written.
 */
#include "drill/compare.h"

#include <stdio.h>
#include <string.h>

struct differences {
    char *text;
    size_t cap;
    bool any;
};

static void differ(struct differences *d, bool is_different, const char *what)
{
    if (!is_different)
        return;
    size_t len = d->any ? strlen(d->text) : 0;
    snprintf(d->text + len, d->cap - len, "%s%s", d->any ? ", " : "", what);
    d->any = true;
}

static bool ecn_differs(enum wdr_ecn want, enum wdr_ecn got)
{
    if (want == WDR_ECN_ANY)
        return false;
    if (want == WDR_ECN_ECT01)
        return got != WDR_ECN_ECT0 && got != WDR_ECN_ECT1;
    return want != got;
}

static bool option_differs(const struct wdr_opt *a, const struct wdr_opt *b)
{
    if (a->is_raw) { /* `b`, which was read, has kind and length apart */
        return a->kind != b->kind || a->len != b->len || (a->len > 2 && memcmp(a->body + 2, b->body, a->len - 2u) != 0);
    }
    if (a->kind != b->kind || a->len != b->len || a->sack_n != b->sack_n || a->a != b->a || a->b != b->b)
        return true;
    if (memcmp(a->sack, b->sack, a->sack_n * sizeof a->sack[0]) != 0)
        return true;
    return a->kind != WDR_OPT_MD5 && memcmp(a->body, b->body, sizeof a->body) != 0;
}

static bool options_differ(const struct wdr_packet *want, const struct wdr_packet *got)
{
    if (want->opts_any)
        return false;
    if (want->opt_n != got->opt_n)
        return true;
    for (unsigned i = 0; i < want->opt_n; i++) {
        if (option_differs(&want->opts[i], &got->opts[i]))
            return true;
    }
    return false;
}

static void compare_tcp(struct differences *d, const struct wdr_packet *want, const struct wdr_packet *got)
{
    differ(d, want->flags != got->flags, "flags");
    differ(d, want->seq != got->seq, "sequence number");
    differ(d, want->len != got->len, "length");
    differ(d, want->has_ack && want->ack != got->ack, "ack");
    differ(d, want->has_win && want->win != got->win, "win");
    differ(d, want->has_urg && want->urg != got->urg, "urg");
    differ(d, options_differ(want, got), "options");
}

static bool names_differ(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) != 0 : a != b;
}

static void compare_icmp(struct differences *d, const struct wdr_packet *want, const struct wdr_packet *got)
{
    differ(d, names_differ(want->icmp_type, got->icmp_type), "type");
    differ(d, names_differ(want->icmp_code, got->icmp_code), "code");
    differ(d, want->has_mtu && want->mtu != got->mtu, "mtu");
    if (want->quote.is_there)
        differ(d, !got->quote.is_there || want->quote.is_udp != got->quote.is_udp || want->quote.len != got->quote.len,
               "quoted packet");
}

bool wdr_compare(const struct wdr_packet *want, const struct wdr_packet *got, char *why, size_t cap)
{
    struct differences d = {.text = why, .cap = cap};
    why[0] = '\0';
    differ(&d, want->proto != got->proto, "protocol");
    if (d.any)
        return false;
    differ(&d, ecn_differs(want->ecn, got->ecn), "ECN");
    differ(&d, want->has_tos && want->tos != got->tos, "tos");
    differ(&d, want->has_ttl && want->ttl != got->ttl, "ttl");
    differ(&d, want->has_flowlabel && want->flowlabel != got->flowlabel, "flowlabel");
    if (want->proto == WDR_TCP)
        compare_tcp(&d, want, got);
    else if (want->proto == WDR_UDP)
        differ(&d, want->len != got->len, "length");
    else
        compare_icmp(&d, want, got);
    return !d.any;
}
