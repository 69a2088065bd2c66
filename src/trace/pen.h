/*
 * What diagrams in the terminal are drawn with, and how a segment is labelled in them.
 */
#ifndef WTR_PEN_H
#define WTR_PEN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define WTR_LABEL_CAP 80
#define WTR_COUNT_CAP 32

/* Lines and arrows in UTF-8 where the locale has it, else in ASCII; colours, "" where there are none. */
struct wtr_pen {
    FILE *out;
    const char *wall, *dash, *right, *left, *cross, *dots, *elbow;
    const char *bad, *good, *dim, *plain;
};

struct wtr_pen wtr_pen_make(FILE *out, bool is_tty);
void wtr_repeat(const struct wtr_pen *, const char *what, int n);

/* 1234567 as "1,234,567". Returns buf. */
const char *wtr_commas(uint64_t v, char buf[WTR_COUNT_CAP]);

/* What of a segment is worth a label, with numbers counted from the SYN. */
struct wtr_segment {
    uint16_t flags;
    uint32_t seq, ack, len;
    bool has_ack; /* the acknowledgement's number is known that way */
    bool is_again;
};

/* "SYN, ACK 1", "1,448 bytes at 1", "ACK 1,449". Returns buf. */
const char *wtr_label(const struct wtr_segment *, char buf[WTR_LABEL_CAP]);

#endif
