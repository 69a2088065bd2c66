/*
 * Values with units (units.h). Integers throughout, so that a specification means the same everywhere.
 */
#include "io/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct suffix {
    const char *text;
    uint64_t mul, div; /* value = number * mul / div */
};

#define GIGA UINT64_C(1000000000)
#define KIBI UINT64_C(1024)

static const struct suffix rates[] = {
    {"", 1, 1},
    {"bit", 1, 1},
    {"kbit", 1000, 1},
    {"mbit", 1000000, 1},
    {"gbit", GIGA, 1},
    {"tbit", GIGA * 1000, 1},
    {"kibit", KIBI, 1},
    {"mibit", KIBI *KIBI, 1},
    {"gibit", KIBI *KIBI *KIBI, 1},
    {"tibit", KIBI *KIBI *KIBI *KIBI, 1},
    {"bps", 8, 1},
    {"kbps", 8000, 1},
    {"mbps", 8000000, 1},
    {"gbps", 8 * GIGA, 1},
    {"tbps", 8 * GIGA * 1000, 1},
    {"kibps", 8 * KIBI, 1},
    {"mibps", 8 * KIBI *KIBI, 1},
    {"gibps", 8 * KIBI *KIBI *KIBI, 1},
    {"tibps", 8 * KIBI *KIBI *KIBI *KIBI, 1},
    {NULL, 0, 0},
};

static const struct suffix times[] = {
    {"", 1000, 1},        {"s", GIGA, 1},        {"sec", GIGA, 1}, {"secs", GIGA, 1}, {"ms", 1000000, 1},
    {"msec", 1000000, 1}, {"msecs", 1000000, 1}, {"us", 1000, 1},  {"usec", 1000, 1}, {"usecs", 1000, 1},
    {"ns", 1, 1},         {"nsec", 1, 1},        {"nsecs", 1, 1},  {NULL, 0, 0},
};

static const struct suffix percents[] = {{"", 10000000, 1}, {"%", 10000000, 1}, {NULL, 0, 0}};

static const struct suffix sizes[] = {
    {"", 1, 1},
    {"b", 1, 1},
    {"k", KIBI, 1},
    {"kb", KIBI, 1},
    {"m", KIBI *KIBI, 1},
    {"mb", KIBI *KIBI, 1},
    {"g", KIBI *KIBI *KIBI, 1},
    {"gb", KIBI *KIBI *KIBI, 1},
    {"kbit", KIBI, 8},
    {"mbit", KIBI *KIBI, 8},
    {"gbit", KIBI *KIBI *KIBI, 8},
    {NULL, 0, 0},
};

static const struct suffix millis[] = {{"", 1000, 1}, {NULL, 0, 0}};
static const struct suffix counts[] = {{"", 1, 1}, {NULL, 0, 0}};

static const struct {
    const struct suffix *suffixes;
    const char *name;
} units[] = {
    [WIO_UNIT_RATE] = {rates, "a rate"},
    [WIO_UNIT_TIME] = {times, "a time"},
    [WIO_UNIT_PERCENT] = {percents, "a percentage"},
    [WIO_UNIT_SIZE] = {sizes, "a size"},
    [WIO_UNIT_MILLI] = {millis, "a number"},
    [WIO_UNIT_COUNT] = {counts, "a whole number"},
};

const char *wio_unit_name(enum wio_unit unit)
{
    return units[unit].name;
}

/* Read digits with at most one point: *whole, and *frac in units of 1e-9. Returns how many bytes, 0 for no number. */
static size_t read_number(const char *text, size_t len, uint64_t *whole, uint64_t *frac)
{
    size_t at = 0, digits = 0;
    uint64_t scale = GIGA;
    bool is_past_point = false;
    *whole = *frac = 0;
    for (; at < len; at++) {
        char c = text[at];
        if (c == '.' && !is_past_point) {
            is_past_point = true;
        } else if (c >= '0' && c <= '9') {
            uint64_t digit = (uint64_t)(c - '0');
            digits++;
            if (is_past_point) {
                scale /= 10;
                *frac += digit * scale;
            } else if (*whole > (UINT64_MAX - digit) / 10) {
                return 0;
            } else {
                *whole = *whole * 10 + digit;
            }
        } else {
            break;
        }
    }
    return digits ? at : 0;
}

bool wio_unit_parse(enum wio_unit unit, const char *text, size_t len, uint64_t *value)
{
    uint64_t whole, frac;
    size_t n = read_number(text, len, &whole, &frac);
    if (n == 0 || (unit == WIO_UNIT_COUNT && memchr(text, '.', n)))
        return false;
    for (const struct suffix *s = units[unit].suffixes; s->text; s++) {
        if (strlen(s->text) != len - n || strncasecmp(text + n, s->text, len - n) != 0)
            continue;
        unsigned __int128 v =
            (unsigned __int128)whole * s->mul / s->div + (unsigned __int128)frac * s->mul / s->div / GIGA;
        *value = (uint64_t)v;
        return v <= UINT64_MAX;
    }
    return false;
}

/* value / one with the decimals that it needs. */
static const char *write_decimal(uint64_t value, uint64_t one, const char *suffix, char *buf, size_t cap)
{
    char frac[24] = "";
    int n = 0;
    for (uint64_t rest = value % one; rest > 0 && n < 20; rest = rest * 10 % one) {
        if (n == 0)
            frac[n++] = '.';
        frac[n++] = (char)('0' + rest * 10 / one);
    }
    snprintf(buf, cap, "%" PRIu64 "%s%s", value / one, frac, suffix);
    return buf;
}

/* The largest of the given units that divides the value. */
static const char *write_whole(uint64_t value, const struct suffix *s, char *buf, size_t cap)
{
    while (s[1].text && (value == 0 || value % s->mul != 0))
        s++;
    snprintf(buf, cap, "%" PRIu64 "%s", value / s->mul, s->text);
    return buf;
}

const char *wio_unit_format(enum wio_unit unit, uint64_t value, char *buf, size_t cap)
{
    static const struct suffix rate[] = {{"tbit", GIGA * 1000, 1}, {"gbit", GIGA, 1}, {"mbit", 1000000, 1},
                                         {"kbit", 1000, 1},        {"bit", 1, 1},     {NULL, 0, 0}};
    static const struct suffix time[] = {
        {"s", GIGA, 1}, {"ms", 1000000, 1}, {"us", 1000, 1}, {"ns", 1, 1}, {NULL, 0, 0}};
    static const struct suffix size[] = {
        {"g", KIBI * KIBI * KIBI, 1}, {"m", KIBI * KIBI, 1}, {"k", KIBI, 1}, {"b", 1, 1}, {NULL, 0, 0}};

    switch (unit) {
    case WIO_UNIT_RATE: return write_whole(value, rate, buf, cap);
    case WIO_UNIT_TIME: return write_whole(value, time, buf, cap);
    case WIO_UNIT_SIZE: return write_whole(value, size, buf, cap);
    case WIO_UNIT_PERCENT: return write_decimal(value, 10000000, "%", buf, cap);
    case WIO_UNIT_MILLI: return write_decimal(value, 1000, "", buf, cap);
    case WIO_UNIT_COUNT: break;
    }
    return write_decimal(value, 1, "", buf, cap);
}

/* ---- Did you mean ---- */

#define NAME_CAP 32

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits from one word to the other, two exchanged neighbours being one (Damerau, Levenshtein), by rows. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][NAME_CAP + 1], *older = rows[0], *above = rows[1], *row = rows[2];
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *spare = older;
        older = above;
        above = row;
        row = spare;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned cost = a[i - 1] != b[j - 1];
            row[j] = least(above[j - 1] + cost, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], older[j - 2] + 1);
        }
    }
    return row[b_len];
}

const char *wio_nearest(const char *const *names, size_t n, const char *text, size_t len)
{
    const char *found = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < n && len <= NAME_CAP; i++) {
        size_t name_len = strlen(names[i]);
        unsigned d = name_len <= NAME_CAP ? distance(text, len, names[i], name_len) : best;
        if (d < best && d < name_len) {
            best = d;
            found = names[i];
        }
    }
    return found;
}
