/* Short text without stdio (text.h). */
#include "base/text.h"

struct wi_text wi_text_in(char *buf, size_t cap)
{
    if (cap > 0)
        buf[0] = '\0';
    return (struct wi_text){.buf = buf, .cap = cap};
}

void wi_text_char(struct wi_text *t, char c)
{
    if (t->wanted + 1 < t->cap) {
        t->buf[t->wanted] = c;
        t->buf[t->wanted + 1] = '\0';
    }
    t->wanted++;
}

void wi_text_str(struct wi_text *t, const char *s)
{
    while (*s)
        wi_text_char(t, *s++);
}

static void put_number(struct wi_text *t, uint64_t n, unsigned radix)
{
    char digits[20]; /* of UINT64_MAX in decimal */
    unsigned len = 0;

    do {
        digits[len++] = "0123456789abcdef"[n % radix];
        n /= radix;
    } while (n > 0);
    while (len > 0)
        wi_text_char(t, digits[--len]);
}

void wi_text_u64(struct wi_text *t, uint64_t n)
{
    put_number(t, n, 10);
}

void wi_text_i64(struct wi_text *t, int64_t n)
{
    if (n < 0)
        wi_text_char(t, '-');
    put_number(t, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

void wi_text_hex(struct wi_text *t, uint64_t n)
{
    put_number(t, n, 16);
}

int wi_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool wi_str_equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool wi_str_has_prefix(const char *text, const char *prefix)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return false;
    return true;
}

bool wi_parse_i64(const char **s, int64_t *out)
{
    const char *p = *s;
    uint64_t value = 0, radix = 10;
    bool is_negative = false, has_digit = false;

    while (*p == ' ' || *p == '\t')
        p++;
    if (*p == '-' || *p == '+')
        is_negative = *p++ == '-';
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && wi_hex_digit(p[2]) >= 0) {
        radix = 16;
        p += 2;
    }
    for (int d; (d = wi_hex_digit(*p)) >= 0 && (uint64_t)d < radix; p++) {
        if (value > ((uint64_t)INT64_MAX - (uint64_t)d) / radix)
            return false;
        value = value * radix + (uint64_t)d;
        has_digit = true;
    }
    if (!has_digit)
        return false;
    *out = is_negative ? -(int64_t)value : (int64_t)value;
    *s = p;
    return true;
}

void wi_str_copy(char *to, size_t cap, const char *from)
{
    struct wi_text t = wi_text_in(to, cap);

    wi_text_str(&t, from);
}
