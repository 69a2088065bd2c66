/*
 * A condition on the outcome of a run, in words: "retransmits>=3", "stall>2s", "goodput<1mbit".
 */
#ifndef WTL_CONDITION_H
#define WTL_CONDITION_H

#include "trial/play.h"

#define WTL_CONDITION_CAP 64

struct wtl_condition {
    size_t metric;                /* which number */
    char text[WTL_CONDITION_CAP]; /* as it was said */
    bool above, below, equal;     /* which of these hold for it */
    uint64_t value;
};

/* Read one. 0, or -EINVAL with a line in err that names the right form. */
int wtl_condition_parse(struct wtl_condition *, const char *text, char *err, size_t err_cap);

bool wtl_condition_holds(const struct wtl_condition *, const struct wtl_outcome *);

/* Would less to transfer be another question? A goodput is of so many bytes: fewer are hardly ever faster. */
bool wtl_condition_is_of_size(const struct wtl_condition *);

/* The field of struct tcp_info that has the client's share of the number ("tcpi_total_retrans"); NULL: none has. */
const char *wtl_condition_tcpi(const struct wtl_condition *);

#endif
