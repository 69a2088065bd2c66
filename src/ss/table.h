/*
 * ss's columns: addresses to the right and ports to the left of a colon, all as wide as the widest.
 */
#ifndef WSS_TABLE_H
#define WSS_TABLE_H

#include "ss/print.h"

struct wss_table {
    bool has_netid, has_state, has_header;
    bool is_numeric;
};

/* Print the sockets in their order. */
void wss_table_print(FILE *, const struct wss_table *, const struct wss_show *, const struct wss_socks *,
                     const struct wss_owners *);

#endif
