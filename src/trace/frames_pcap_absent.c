/*
 * In the place of frames_pcap.c where the build has no libpcap.
 */
#include "trace/frames.h"

int wtr_frames_pcap(FILE *in, wtr_frame_fn *fn, void *ctx, struct wtr_frames *read)
{
    (void)in, (void)fn, (void)ctx;
    snprintf(
        read->err, sizeof read->err,
        "it is in pcap form, and this weir was built without libpcap. Build it with libpcap-dev installed, or turn "
        "the file into pcapng: editcap -F pcapng");
    return -1;
}
