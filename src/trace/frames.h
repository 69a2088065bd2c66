/*
 * The packets of capture files, one after the other: pcapng by our own reader (libpcap would tell neither comments nor
 * interfaces), pcap by libpcap where the build has it. Nothing is kept; a file of any length takes the same memory.
 */
#ifndef WTR_FRAMES_H
#define WTR_FRAMES_H

#include <stdio.h>
#include <weir/types.h>

#define WTR_FRAMES_ERR_CAP 256

/* A packet as a file has it. */
struct wtr_frame {
    weir_ns at;
    uint64_t number;    /* in the file, from 1, as other readers of captures count */
    uint32_t linktype;  /* LINKTYPE_… */
    uint32_t interface; /* of the file, from 0 */
    const uint8_t *bytes;
    uint32_t captured; /* bytes that there are */
    uint32_t len;      /* bytes on the wire */
    const char *comment;
};

/* The next packet; it is gone when the call returns. */
typedef void wtr_frame_fn(void *ctx, const struct wtr_frame *);

struct wtr_frames {
    uint64_t taken;
    uint64_t without_time; /* packet blocks without a time, which can't be used */
    bool is_cut;           /* the file ends within a packet */
    char err[WTR_FRAMES_ERR_CAP];
};

/* Read all packets of a file. 0, or -1 with a reason in `err`; packets before what is damaged were told. A file is
 * taken from where it stands; nothing is rewound. */
int wtr_frames_pcapng(FILE *in, wtr_frame_fn *, void *ctx, struct wtr_frames *);
int wtr_frames_pcap(FILE *in, wtr_frame_fn *, void *ctx, struct wtr_frames *);

#endif
