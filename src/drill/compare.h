/*
 * A packet that came, held against the one that the script expects: both in the script's numbers.
 */
#ifndef WDR_COMPARE_H
#define WDR_COMPARE_H

#include "drill/wire.h"

/* true: they are the same, as far as the script says. Else `why` names what differs: "flags, ack". */
bool wdr_compare(const struct wdr_packet *want, const struct wdr_packet *got, char *why, size_t cap);

#endif
