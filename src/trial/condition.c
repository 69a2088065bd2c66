/*
 * A table of an outcome's numbers, and comparisons with them (condition.h).
 */
#include "trial/condition.h"

#include "io/units.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <weir/errno.h>

struct metric {
    const char *name;
    enum wio_unit unit;
    size_t off; /* in struct wtl_outcome */
    const char *tcpi;
};

static const struct metric metrics[] = {
    {"retransmits", WIO_UNIT_COUNT, offsetof(struct wtl_outcome, retransmits), "tcpi_total_retrans"},
    {"timeouts", WIO_UNIT_COUNT, offsetof(struct wtl_outcome, timeouts), "tcpi_total_rto"},
    {"stall", WIO_UNIT_TIME, offsetof(struct wtl_outcome, stall), NULL},
    {"time", WIO_UNIT_TIME, offsetof(struct wtl_outcome, took), NULL},
    {"goodput", WIO_UNIT_RATE, offsetof(struct wtl_outcome, goodput_bps), NULL},
    {"drops", WIO_UNIT_COUNT, offsetof(struct wtl_outcome, drops), NULL},
    {"packets", WIO_UNIT_COUNT, offsetof(struct wtl_outcome, packets), NULL},
};
#define METRIC_N (sizeof metrics / sizeof metrics[0])

static int refuse(char *err, size_t err_cap, const char *text)
{
    snprintf(err, err_cap,
             "\"%s\": the form is NUMBER>=VALUE, such as retransmits>=3, timeouts>0, stall>2s, time>10s, "
             "goodput<1mbit, drops>=5 or packets>1000; the comparisons are > >= < <= =",
             text);
    return -WEIR_EINVAL;
}

int wtl_condition_parse(struct wtl_condition *c, const char *text, char *err, size_t err_cap)
{
    size_t name_len = strcspn(text, "<>="), op_len = strspn(text + name_len, "<>=");
    const char *op = text + name_len, *value = op + op_len;
    struct wtl_condition out = {.metric = METRIC_N};
    for (size_t i = 0; i < METRIC_N; i++)
        if (strlen(metrics[i].name) == name_len && memcmp(metrics[i].name, text, name_len) == 0)
            out.metric = i;
    out.above = op[0] == '>';
    out.below = op[0] == '<';
    out.equal = op_len > 0 && op[op_len - 1] == '=';
    if (out.metric == METRIC_N || op_len == 0 || op_len > 2 || (op_len == 2 && op[0] == '=') ||
        (op_len == 2 && op[1] != '=') || strlen(text) >= sizeof out.text ||
        !wio_unit_parse(metrics[out.metric].unit, value, strlen(value), &out.value))
        return refuse(err, err_cap, text);
    snprintf(out.text, sizeof out.text, "%s", text);
    *c = out;
    return 0;
}

bool wtl_condition_holds(const struct wtl_condition *c, const struct wtl_outcome *o)
{
    uint64_t v;
    memcpy(&v, (const char *)o + metrics[c->metric].off, sizeof v);
    return (c->above && v > c->value) || (c->below && v < c->value) || (c->equal && v == c->value);
}

bool wtl_condition_is_of_size(const struct wtl_condition *c)
{
    return metrics[c->metric].unit == WIO_UNIT_RATE;
}

const char *wtl_condition_tcpi(const struct wtl_condition *c)
{
    return metrics[c->metric].tcpi;
}
