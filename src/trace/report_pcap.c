/*
 * Captures in pcap's own form, by libpcap.
 */
#include "trace/report_packet.h"
#include "trace/report_read.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>
#include <unistd.h>

/* libpcap tells DLT_ numbers, which are LINKTYPE_'s but for a few. */
static uint32_t linktype_of(int dlt)
{
    return dlt == DLT_RAW ? 101 : (uint32_t)dlt;
}

int wtr_read_pcap(struct wtr_report *r, FILE *in, struct wtr_read *read)
{
    char why[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *h;
    const uint8_t *frame;
    int fd = dup(fileno(in)), got = -1;
    FILE *own = fd >= 0 ? fdopen(fd, "r") : NULL;
    pcap_t *pcap = own ? pcap_fopen_offline_with_tstamp_precision(own, PCAP_TSTAMP_PRECISION_NANO, why) : NULL;
    if (!pcap) {
        snprintf(read->err, sizeof read->err, "%s", own ? why : strerror(errno));
        if (own)
            fclose(own);
        return -1;
    }
    struct wtr_flows *flows = wtr_flows_new(r);
    uint32_t linktype = linktype_of(pcap_datalink(pcap));
    for (uint64_t n = 1; flows && (got = pcap_next_ex(pcap, &h, &frame)) == 1; n++) {
        struct wtr_packet p = {.at = WEIR_SEC((uint64_t)h->ts.tv_sec) + (uint64_t)h->ts.tv_usec, .number = n};
        if (wtr_packet_parse(&p, linktype, frame, h->caplen))
            wtr_flows_packet(flows, &p);
        else
            read->skipped++;
        read->taken++;
    }
    read->is_cut = flows && got == PCAP_ERROR; /* a packet that isn't whole is the last */
    wtr_flows_free(flows);
    pcap_close(pcap);
    return flows ? 0 : -1;
}
