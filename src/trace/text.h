/*
 * An event as one line of text, for a person at a terminal.
 */
#ifndef WTR_TEXT_H
#define WTR_TEXT_H

#include <weir/event.h>

#define WTR_TEXT_CAP 512

/* "12.345678 client 10.0.0.1:40000 > 10.0.0.2:80 [S] seq 0 win 64240: open". Returns buf, NUL-terminated, cut to cap.
 */
const char *wtr_text_event(const struct weir_event *, const char *host, char *buf, size_t cap);

/* "in all 3.200 s: receiver window 61 %, congestion window 30 %": the largest part first, without what is below half of
 * one percent. Returns buf. */
const char *wtr_text_ledger(const struct weir_ledger *, char *buf, size_t cap);

/* TCP flags as tcpdump's letters: "S.", "F.", "P.", "R" … Returns buf; 12 bytes suffice. */
const char *wtr_text_flags(uint16_t flags, char *buf, size_t cap);

#endif
