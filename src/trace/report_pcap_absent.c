/*
 * In the place of report_pcap.c where the build has no libpcap.
 */
#include "trace/report_read.h"

int wtr_read_pcap(struct wtr_report *r, FILE *in, struct wtr_read *read)
{
    (void)r, (void)in;
    snprintf(
        read->err, sizeof read->err,
        "it is in pcap form, and this weir was built without libpcap. Build it with libpcap-dev installed, or turn "
        "the file into pcapng: editcap -F pcapng");
    return -1;
}
