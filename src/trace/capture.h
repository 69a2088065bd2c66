/*
 * A capture of a link: one of its ends, or both, as interfaces of a pcapng file, each packet with why it was sent and
 * what the link did to it.
 *
 * One end is what a person wants to read: with both, each packet stands there twice, and readers that don't keep
 * interfaces apart (tshark among them) take the second for a retransmission.
 */
#ifndef WTR_CAPTURE_H
#define WTR_CAPTURE_H

#include "io/link.h"
#include "io/pcapng.h"
#include "trace/why.h"

struct wtr_capture;

/* Describe the ends that have a name in the file, which stays the caller's. NULL: out of memory. */
struct wtr_capture *wtr_capture_new(struct wio_pcapng *, enum weir_link_type, const char *near, const char *far);
void wtr_capture_free(struct wtr_capture *);

/* An event of the stack at that side (WTR_WHY_MASK is enough). */
void wtr_capture_event(struct wtr_capture *, enum wio_side, const struct weir_event *);

/* What the link did: each packet is written at its sender when it is sent, and at its receiver when it arrives, where
 * that end is captured. */
void wtr_capture_link(struct wtr_capture *, const struct wio_link_note *);

#endif
