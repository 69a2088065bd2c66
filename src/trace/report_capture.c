/*
 * A report's connections out of a capture.
 */
#include "trace/frames.h"
#include "trace/report_packet.h"
#include "trace/report_read.h"

struct taker {
    struct wtr_flows *flows;
    struct wtr_read *read;
    uint32_t first; /* plus one: the interface with the first packet. The others may show the same packets again */
};

static void take(void *ctx, const struct wtr_frame *f)
{
    struct taker *t = ctx;
    struct wtr_packet p = {.at = f->at, .number = f->number, .comment = f->comment};
    if (t->first == 0)
        t->first = f->interface + 1;
    if (t->first != f->interface + 1)
        t->read->others++;
    else if (wtr_packet_parse(&p, f->linktype, f->bytes, f->captured))
        wtr_flows_packet(t->flows, &p);
    else
        t->read->skipped++;
}

int wtr_read_capture(struct wtr_report *r, FILE *in, enum wtr_format format, struct wtr_read *read)
{
    struct taker t = {.flows = wtr_flows_new(r), .read = read};
    struct wtr_frames frames = {0};
    int status = -1;
    if (!t.flows)
        snprintf(read->err, sizeof read->err, "out of memory");
    else if (format == WTR_FORMAT_PCAP)
        status = wtr_frames_pcap(in, take, &t, &frames);
    else
        status = wtr_frames_pcapng(in, take, &t, &frames);
    if (frames.err[0])
        snprintf(read->err, sizeof read->err, "%s", frames.err);
    read->taken = frames.taken;
    read->skipped += frames.without_time;
    read->is_cut = frames.is_cut;
    wtr_flows_free(t.flows);
    return status;
}
