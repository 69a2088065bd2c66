/*
 * What stands between %{ and }%: assertions on a connection's tcpi_* numbers, in the small part of Python that scripts
 * use. Assignments, assert, print, pass and if; numbers, text, comparisons in chains, and/or/not/in, arithmetic, bits,
 * a if c else b, lists, abs min max int len str, and "…" % values.
 *
 * Names live from one block to the next, as they do in packetdrill.
 */
#ifndef WDR_CODE_H
#define WDR_CODE_H

#include <stdio.h>

#include "drill/arena.h"
#include "drill/ast.h"

struct wdr_code;

/* A connection's number of that name; false: there is none of it. */
typedef bool wdr_code_lookup(void *ctx, const char *name, uint64_t *value);

struct wdr_code *wdr_code_new(wdr_code_lookup *, void *ctx, FILE *out); /* out: for print; NULL: nowhere */
void wdr_code_free(struct wdr_code *);

/* Run a block whose text begins at that line of the script. false: error says which assertion fails, with the values
 * in it, or what can't be read. */
bool wdr_code_run(struct wdr_code *, const char *text, int line, struct wdr_error *error);

/* ---- Between code.c, which reads and runs, code_value.c, which works with values, and code_number.c, which calculates
 * ---- */

enum wdr_value_kind { WDR_VALUE_NUMBER, WDR_VALUE_TEXT, WDR_VALUE_LIST, WDR_VALUE_NONE };

struct wdr_value {
    enum wdr_value_kind kind;
    bool is_float;
    __int128 whole; /* unless is_float: every counter of 64 bits, and its negative, exactly */
    double real;    /* if is_float */
    const char *text;
    struct wdr_value *items;
    unsigned item_n;
};

enum wdr_operator {
    WDR_DO_ADD,
    WDR_DO_SUB,
    WDR_DO_MUL,
    WDR_DO_DIV,
    WDR_DO_FLOOR_DIV,
    WDR_DO_MOD,
    WDR_DO_POW,
    WDR_DO_AND,
    WDR_DO_OR,
    WDR_DO_XOR,
    WDR_DO_SHL,
    WDR_DO_SHR,
    WDR_DO_EQ,
    WDR_DO_NE,
    WDR_DO_LT,
    WDR_DO_LE,
    WDR_DO_GT,
    WDR_DO_GE,
    WDR_DO_IN,
    WDR_DO_NOT_IN,
};

struct wdr_value wdr_whole(__int128);
struct wdr_value wdr_real(double);
double wdr_number_real(const struct wdr_value *number);

/* Below 0, 0 or above 0, as a is to b; neither is asked whether it is a number. */
int wdr_number_compare(const struct wdr_value *a, const struct wdr_value *b);

/* Towards zero, as int(). false: no whole number of 128 bits is near. */
bool wdr_number_whole(double, __int128 *out);

/* In decimal, as %d and str() print it. */
void wdr_number_print(const struct wdr_value *, char *buf, size_t cap);

/* NULL, or what is wrong. */
const char *wdr_number_calculate(enum wdr_operator, const struct wdr_value *a, const struct wdr_value *b,
                                 struct wdr_value *out);

bool wdr_value_truth(const struct wdr_value *);
const char *wdr_value_print(struct wdr_arena *, const struct wdr_value *);

/* NULL, or what is wrong. */
const char *wdr_value_calculate(struct wdr_arena *, enum wdr_operator, const struct wdr_value *a,
                                const struct wdr_value *b, struct wdr_value *out);
const char *wdr_value_call(struct wdr_arena *, const char *name, const struct wdr_value *args, unsigned n,
                           struct wdr_value *out);

#endif
