/*
 * Files that a report is made from: traces in JSON lines (docs/trace.md), captures in pcapng and pcap.
 */
#ifndef WTR_REPORT_READ_H
#define WTR_REPORT_READ_H

#include "trace/report.h"

#include <stdio.h>

#define WTR_READ_ERR_CAP 256

struct wtr_read {
    uint64_t taken;             /* lines, or packets */
    uint64_t skipped;           /* events of kinds that this weir doesn't know; packets that are no TCP */
    uint64_t others;            /* packets of other interfaces of the capture */
    bool is_cut;                /* the file ends within a line or a packet */
    char err[WTR_READ_ERR_CAP]; /* what is wrong with it, where it was refused */
};

enum wtr_format { WTR_FORMAT_EMPTY, WTR_FORMAT_TRACE, WTR_FORMAT_PCAP, WTR_FORMAT_PCAPNG, WTR_FORMAT_UNKNOWN };

/* What a file is, by its first bytes; it is rewound. */
enum wtr_format wtr_read_format(FILE *in);

/* Read it into a report. 0, or -1 with a reason in `read->err`. `in` stays the caller's. */
int wtr_read_trace(struct wtr_report *, FILE *in, struct wtr_read *);
int wtr_read_capture(struct wtr_report *, FILE *in, enum wtr_format, struct wtr_read *); /* PCAP or PCAPNG */

#endif
