/*
 * Captures in pcap's own form, by libpcap.
 */
#include "trace/frames.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>
#include <sys/types.h>

/* libpcap tells DLT_ numbers, which are LINKTYPE_'s but for a few. */
static uint32_t linktype_of(int dlt)
{
    return dlt == DLT_RAW ? 101 : (uint32_t)dlt;
}

/* libpcap closes the stream that it is given: let it have one that reads ours, with what ours has in its buffer. */
static ssize_t pass_read(void *cookie, char *buf, size_t n)
{
    FILE *in = cookie;
    size_t got = fread(buf, 1, n, in);
    return got == 0 && ferror(in) ? -1 : (ssize_t)got;
}

int wtr_frames_pcap(FILE *in, wtr_frame_fn *fn, void *ctx, struct wtr_frames *read)
{
    char why[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *h;
    const uint8_t *bytes;
    int got;
    FILE *own = fopencookie(in, "r", (cookie_io_functions_t){.read = pass_read});
    pcap_t *pcap = own ? pcap_fopen_offline_with_tstamp_precision(own, PCAP_TSTAMP_PRECISION_NANO, why) : NULL;
    if (!pcap) {
        snprintf(read->err, sizeof read->err, "%s", own ? why : strerror(errno));
        if (own)
            fclose(own);
        return -1;
    }
    uint32_t linktype = linktype_of(pcap_datalink(pcap));
    while ((got = pcap_next_ex(pcap, &h, &bytes)) == 1) {
        struct wtr_frame f = {.at = WEIR_SEC((uint64_t)h->ts.tv_sec) + (uint64_t)h->ts.tv_usec,
                              .number = ++read->taken,
                              .linktype = linktype,
                              .bytes = bytes,
                              .captured = h->caplen,
                              .len = h->len};
        fn(ctx, &f);
    }
    read->is_cut = got == PCAP_ERROR; /* a packet that isn't whole is the last */
    pcap_close(pcap);
    return 0;
}
