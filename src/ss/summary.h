/*
 * ss -s: how many sockets there are of each kind.
 */
#ifndef WSS_SUMMARY_H
#define WSS_SUMMARY_H

#include "ss/client.h"

void wss_summary_print(FILE *, const struct wss_socks *);

#endif
