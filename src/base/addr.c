/* Addresses: one type for IPv4 (mapped, RFC 4291 2.5.5.2) and IPv6; text forms by RFC 4291 2.2 and RFC 5952. */
#include "base/bytes.h"
#include "base/str.h"
#include "base/text.h"
#include <weir/errno.h>
#include <weir/types.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t zeroes[16];

struct weir_addr weir_addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct weir_addr){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
}

struct weir_addr weir_addr_any(int family)
{
    return family == WEIR_AF_INET ? weir_addr_v4(0, 0, 0, 0) : (struct weir_addr){{0}};
}

bool weir_addr_is_v4(const struct weir_addr *a)
{
    return memcmp(a->b, v4_prefix, sizeof v4_prefix) == 0;
}

bool weir_addr_is_any(const struct weir_addr *a)
{
    return memcmp(a->b, zeroes, 16) == 0 || (weir_addr_is_v4(a) && wi_get32(a->b + 12) == 0);
}

bool weir_addr_is_loopback(const struct weir_addr *a)
{
    if (weir_addr_is_v4(a))
        return a->b[12] == 127;
    return memcmp(a->b, zeroes, 15) == 0 && a->b[15] == 1;
}

bool weir_addr_is_multicast(const struct weir_addr *a)
{
    return weir_addr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

bool weir_addr_is_linklocal(const struct weir_addr *a)
{
    if (weir_addr_is_v4(a))
        return a->b[12] == 169 && a->b[13] == 254;
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool weir_addr_equal(const struct weir_addr *a, const struct weir_addr *b)
{
    return memcmp(a->b, b->b, 16) == 0;
}

/* ---- Reading ---- */

/* "a.b.c.d" up to the end of the text; leading zeroes are refused, as they are octal to some. */
static bool parse_v4(uint8_t out[4], const char *s)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned value = 0, digits = 0;
        const char *first = s;

        for (; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
            value = value * 10 + (unsigned)(*s - '0');
        if (digits == 0 || value > 255 || (digits > 1 && *first == '0'))
            return false;
        out[i] = (uint8_t)value;
        if (*s != (i < 3 ? '.' : '\0'))
            return false;
        s += i < 3;
    }
    return true;
}

/* The 16-bit groups of an IPv6 address as they are read. */
struct groups {
    uint8_t bytes[16];
    unsigned n;   /* bytes written */
    unsigned gap; /* where "::" stood, in bytes; 17: nowhere */
};

/* One group of up to four hex digits; returns what follows it, NULL: there was none. */
static const char *parse_group(struct groups *g, const char *s)
{
    unsigned value = 0, digits = 0;

    for (int d; (d = wi_hex_digit(*s)) >= 0; s++) {
        if (++digits > 4)
            return NULL;
        value = value << 4 | (unsigned)d;
    }
    if (digits == 0 || g->n > 14)
        return NULL;
    wi_put16(g->bytes + g->n, (uint16_t)value);
    g->n += 2;
    return s;
}

/* Does a dotted quad begin here? */
static bool is_quad(const char *s)
{
    while (*s >= '0' && *s <= '9')
        s++;
    return *s == '.';
}

static bool parse_groups(struct groups *g, const char *s)
{
    if (s[0] == ':' && s[1] == ':') {
        g->gap = 0;
        s += 2;
    }
    while (*s) {
        if (is_quad(s)) {
            if (g->n > 12 || !parse_v4(g->bytes + g->n, s))
                return false;
            g->n += 4;
            return true;
        }
        s = parse_group(g, s);
        if (!s)
            return false;
        if (*s == '\0')
            return true;
        if (*s != ':')
            return false;
        if (s[1] == ':') {
            if (g->gap <= 16)
                return false;
            g->gap = g->n;
            s += 2;
        } else if (*++s == '\0') {
            return false;
        }
    }
    return true;
}

int weir_addr_parse(struct weir_addr *out, const char *text)
{
    uint8_t quad[4];
    struct groups g = {.gap = 17};

    if (parse_v4(quad, text)) {
        *out = weir_addr_v4(quad[0], quad[1], quad[2], quad[3]);
        return 0;
    }
    if (!parse_groups(&g, text) || (g.gap > 16 ? g.n != 16 : g.n > 14))
        return -WEIR_EINVAL;

    struct weir_addr a = {{0}};
    unsigned before = g.gap > 16 ? 16 : g.gap, after = g.n - wi_min_u32(before, g.n);
    memcpy(a.b, g.bytes, wi_min_u32(before, g.n));
    memcpy(a.b + 16 - after, g.bytes + g.n - after, after);
    *out = a;
    return 0;
}

/* ---- Writing ---- */

static void put_v4(struct wi_text *t, const uint8_t b[4])
{
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            wi_text_char(t, '.');
        wi_text_u64(t, b[i]);
    }
}

/* RFC 5952 4.2.3: the longest run of at least two zero groups, the first of equals. Returns its length in groups. */
static unsigned longest_zero_run(const struct weir_addr *a, unsigned *start)
{
    unsigned best = 0;

    for (unsigned i = 0; i < 8;) {
        unsigned n = 0;
        while (i + n < 8 && wi_get16(a->b + 2 * (i + n)) == 0)
            n++;
        if (n > best) {
            best = n;
            *start = i;
        }
        i += n ? n : 1;
    }
    return best >= 2 ? best : 0;
}

static void put_addr(struct wi_text *t, const struct weir_addr *a)
{
    unsigned start = 0, run;

    if (weir_addr_is_v4(a)) {
        put_v4(t, a->b + 12);
        return;
    }
    run = longest_zero_run(a, &start);
    for (unsigned i = 0; i < 8; i++) {
        if (run > 0 && i == start) {
            wi_text_str(t, "::");
            i += run - 1;
            continue;
        }
        if (i > 0 && !(run > 0 && i == start + run))
            wi_text_char(t, ':');
        wi_text_hex(t, wi_get16(a->b + 2 * i));
    }
}

const char *weir_addr_format(const struct weir_addr *a, char *buf, size_t cap)
{
    struct wi_text t = wi_text_in(buf, cap);

    put_addr(&t, a);
    return buf;
}

const char *weir_sockaddr_format(const struct weir_sockaddr *sa, char *buf, size_t cap)
{
    struct wi_text t = wi_text_in(buf, cap);
    bool bracket = !weir_addr_is_v4(&sa->addr);

    if (bracket)
        wi_text_char(&t, '[');
    put_addr(&t, &sa->addr);
    if (sa->scope_id) {
        wi_text_char(&t, '%');
        wi_text_u64(&t, sa->scope_id);
    }
    if (bracket)
        wi_text_char(&t, ']');
    wi_text_char(&t, ':');
    wi_text_u64(&t, sa->port);
    return buf;
}
