/*
 * A socket in ss's words.
 */
#ifndef WSS_PRINT_H
#define WSS_PRINT_H

#include "ss/client.h"
#include "ss/owners.h"

#define WSS_ADDR_CAP 80

/* What is shown beside the columns. */
struct wss_show {
    bool timer, users, extended, memory, info, ledger;
    bool is_numeric; /* ports and rates in full */
    bool is_one_line;
};

const char *wss_state_name(unsigned state); /* "ESTAB" */

/* The two halves of an endpoint: "127.0.0.1", "[::1]", "*"; "80", "http", "*". */
const char *wss_host_text(const struct weir_sock_info *, const struct weir_sockaddr *, char *buf, size_t cap);
const char *wss_port_text(const struct weir_sock_info *, const struct weir_sockaddr *, bool is_numeric, char *buf,
                          size_t cap);

/* A rate in bits a second, as ss has it: "26.6G"; numeric: all digits. */
const char *wss_rate_text(double bps, bool is_numeric, char *buf, size_t cap);

/* The last column, and what stands on the lines below it. */
void wss_print_details(FILE *, const struct wir_view *, const struct wss_show *, const struct wss_owners *);

#endif
