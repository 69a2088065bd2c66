/*
 * A shrunk scenario as a script for weir drill: one host's calls, what the link brought it and when, and what it sent.
 */
#ifndef WTL_PKT_H
#define WTL_PKT_H

#include "trial/shrink.h"

#include <stdio.h>

/*
 * Play it once more and write the script. The host under test is the one that sends more.
 *
 * title   what the script is about, a line
 *
 * Returns 0, or a negative errno with a line in err: a scenario of several connections has no script.
 */
int wtl_pkt_write(const struct wtl_shrunk *, const char *title, FILE *out, char *err, size_t err_cap);

#endif
