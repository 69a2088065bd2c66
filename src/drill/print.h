/*
 * Packets in the script's own words.
 */
#ifndef WDR_PRINT_H
#define WDR_PRINT_H

#include "drill/ast.h"

#define WDR_PACKET_TEXT_CAP 768

/* "> P. 1:1001(1000) ack 1 win 257 <nop,nop,TS val 1 ecr 2>". Of the fields of IP, of window and ports those that
 * `like` (may be NULL: the packet itself) has, so that two packets can be held side by side. Returns buf. */
const char *wdr_print_packet(const struct wdr_packet *, const struct wdr_packet *like, char *buf, size_t cap);

/* "0.250000" */
const char *wdr_print_seconds(int64_t ns, char *buf, size_t cap);

#endif
