/*
 * Numbers of blocks (code.h): whole ones of 128 bits, exact, and doubles, as Python mixes them.
 */
#include <math.h>
#include <stdio.h>

#include "drill/code.h"

#define TOO_LARGE "a whole number that 128 bits do not hold"

struct wdr_value wdr_whole(__int128 v)
{
    return (struct wdr_value){.kind = WDR_VALUE_NUMBER, .whole = v};
}

struct wdr_value wdr_real(double v)
{
    return (struct wdr_value){.kind = WDR_VALUE_NUMBER, .real = v, .is_float = true};
}

double wdr_number_real(const struct wdr_value *number)
{
    return number->is_float ? number->real : (double)number->whole;
}

bool wdr_number_whole(double v, __int128 *out)
{
    if (!(v > -0x1p126 && v < 0x1p126))
        return false;
    *out = (__int128)v;
    return true;
}

int wdr_number_compare(const struct wdr_value *a, const struct wdr_value *b)
{
    if (!a->is_float && !b->is_float)
        return (a->whole > b->whole) - (a->whole < b->whole);
    double x = wdr_number_real(a), y = wdr_number_real(b);
    return (x > y) - (x < y);
}

void wdr_number_print(const struct wdr_value *v, char *buf, size_t cap)
{
    char digits[48];
    size_t at = sizeof digits;
    if (v->is_float) {
        snprintf(buf, cap, "%.6g", v->real);
        return;
    }
    unsigned __int128 left = v->whole < 0 ? -(unsigned __int128)v->whole : (unsigned __int128)v->whole;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(left % 10));
        left /= 10;
    } while (left);
    snprintf(buf, cap, "%s%s", v->whole < 0 ? "-" : "", digits + at);
}

static const char *shift(enum wdr_operator op, __int128 a, __int128 by, struct wdr_value *out)
{
    if (by < 0 || by > 126)
        return "shifted too far";
    if (op == WDR_DO_SHR) {
        *out = wdr_whole(a >> (int)by);
        return NULL;
    }
    __int128 v;
    if (__builtin_mul_overflow(a, (__int128)1 << (int)by, &v))
        return TOO_LARGE;
    *out = wdr_whole(v);
    return NULL;
}

static const char *power(__int128 base, __int128 exponent, struct wdr_value *out)
{
    __int128 v = 1;
    bool is_unit = base >= -1 && base <= 1;
    for (__int128 left = is_unit ? exponent & 1 ? 1 : exponent ? 2 : 0 : exponent; left > 0; left--) {
        if (__builtin_mul_overflow(v, base, &v))
            return TOO_LARGE;
    }
    *out = wdr_whole(v);
    return NULL;
}

/* The quotient that rounds down, and what is left, with the divisor's sign. */
static __int128 floor_div(__int128 a, __int128 b, __int128 *rest)
{
    __int128 q = a / b, r = a % b;
    bool is_down = r != 0 && (r < 0) != (b < 0);
    *rest = is_down ? r + b : r;
    return is_down ? q - 1 : q;
}

static const char *whole_divide(enum wdr_operator op, __int128 x, __int128 y, struct wdr_value *out)
{
    __int128 rest, v;
    if (y == 0)
        return "division by zero";
    if (y == -1) { /* the lowest number has no positive */
        if (op == WDR_DO_FLOOR_DIV && __builtin_sub_overflow((__int128)0, x, &v))
            return TOO_LARGE;
        *out = wdr_whole(op == WDR_DO_FLOOR_DIV ? -x : 0);
        return NULL;
    }
    v = floor_div(x, y, &rest);
    *out = wdr_whole(op == WDR_DO_FLOOR_DIV ? v : rest);
    return NULL;
}

static const char *whole_arithmetic(enum wdr_operator op, __int128 x, __int128 y, struct wdr_value *out)
{
    __int128 v = 0;
    bool is_over = false;
    if (op == WDR_DO_ADD)
        is_over = __builtin_add_overflow(x, y, &v);
    else if (op == WDR_DO_SUB)
        is_over = __builtin_sub_overflow(x, y, &v);
    else if (op == WDR_DO_MUL)
        is_over = __builtin_mul_overflow(x, y, &v);
    else if (op == WDR_DO_AND)
        v = x & y;
    else if (op == WDR_DO_OR)
        v = x | y;
    else if (op == WDR_DO_XOR)
        v = x ^ y;
    else if (op == WDR_DO_SHL || op == WDR_DO_SHR)
        return shift(op, x, y, out);
    else if (op == WDR_DO_POW)
        return power(x, y, out);
    else if (op == WDR_DO_FLOOR_DIV || op == WDR_DO_MOD)
        return whole_divide(op, x, y, out);
    else
        return "no such operation";
    *out = wdr_whole(v);
    return is_over ? TOO_LARGE : NULL;
}

static const char *real_arithmetic(enum wdr_operator op, double x, double y, struct wdr_value *out)
{
    double v;
    if (y == 0 && (op == WDR_DO_DIV || op == WDR_DO_FLOOR_DIV || op == WDR_DO_MOD))
        return "division by zero";
    if (op == WDR_DO_ADD)
        v = x + y;
    else if (op == WDR_DO_SUB)
        v = x - y;
    else if (op == WDR_DO_MUL)
        v = x * y;
    else if (op == WDR_DO_DIV)
        v = x / y;
    else if (op == WDR_DO_FLOOR_DIV)
        v = floor(x / y);
    else if (op == WDR_DO_MOD)
        v = x - floor(x / y) * y;
    else if (op == WDR_DO_POW)
        v = pow(x, y);
    else
        return "bits of something that is no whole number";
    *out = wdr_real(v);
    return isfinite(v) ? NULL : "a number that no double holds";
}

const char *wdr_number_calculate(enum wdr_operator op, const struct wdr_value *a, const struct wdr_value *b,
                                 struct wdr_value *out)
{
    int order = wdr_number_compare(a, b);
    bool is_real = a->is_float || b->is_float || op == WDR_DO_DIV || (op == WDR_DO_POW && b->whole < 0);
    if (op == WDR_DO_LT || op == WDR_DO_GE) {
        *out = wdr_whole((order < 0) == (op == WDR_DO_LT));
        return NULL;
    }
    if (op == WDR_DO_GT || op == WDR_DO_LE) {
        *out = wdr_whole((order > 0) == (op == WDR_DO_GT));
        return NULL;
    }
    return is_real ? real_arithmetic(op, wdr_number_real(a), wdr_number_real(b), out)
                   : whole_arithmetic(op, a->whole, b->whole, out);
}
