/*
 * Why a packet was sent, in words: "retransmit: 3 dup ACKs; cwnd 14600, ssthresh 7300, rto 212 ms".
 *
 * A packet carries the serial of the event that explains it; the latest of those events of one stack are kept here.
 */
#ifndef WTR_WHY_H
#define WTR_WHY_H

#include <weir/event.h>

#define WTR_WHY_MASK     (WEIR_EV_BIT(WEIR_EV_SEG_OUT))
#define WTR_WHY_TEXT_CAP 192

struct wtr_why;

struct wtr_why *wtr_why_new(void); /* NULL: out of memory. One for each stack */
void wtr_why_free(struct wtr_why *);

/* Remember an event of the stack; those of other kinds than WTR_WHY_MASK change nothing. */
void wtr_why_event(struct wtr_why *, const struct weir_event *);

/* The words for a packet of that stack; "" where there are none. Returns buf. */
const char *wtr_why_comment(const struct wtr_why *, const struct weir_pkt *, char *buf, size_t cap);

/* The bare reason; WEIR_WHY_NONE where it isn't known. */
enum weir_why wtr_why_of(const struct wtr_why *, const struct weir_pkt *);

#endif
