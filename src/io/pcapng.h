/*
 * Writing captures: pcapng (draft-ietf-opsawg-pcapng) with nanosecond stamps, interface names, directions, and a
 * comment for each packet that has one.
 *
 * What was flushed is always a file that opens: blocks are written whole, so a program that is killed leaves a capture
 * that ends early and nothing worse. A write that fails (full disk) ends the capture, never the program: what did not
 * get into the file is counted.
 */
#ifndef WIO_PCAPNG_H
#define WIO_PCAPNG_H

#include <weir/stack.h>

struct wio_pcapng;

struct wio_pcapng_config {
    const char *application; /* "weir 0.1.0"; may be NULL, as all of these */
    const char *comment;     /* of the whole capture: the command line, the link, the seed */
    uint64_t epoch_ns;       /* added to each stamp: the Unix time at which the stacks' clock was 0 */
    uint32_t snaplen;        /* bytes kept of a packet; 0: all */
};

enum wio_pcapng_dir { WIO_PCAPNG_UNKNOWN, WIO_PCAPNG_IN, WIO_PCAPNG_OUT };

/* What is in the file, and what is not for a failed write. */
struct wio_pcapng_stats {
    uint64_t written_pkts, written_bytes; /* bytes: of the file */
    uint64_t lost_pkts, lost_bytes;       /* bytes: of the packets */
    int err;                              /* errno of the write that failed, 0: none did */
};

/* Make the file (an old one is overwritten) and its section header. NULL with errno set when it can't be. */
struct wio_pcapng *wio_pcapng_open(const char *path, const struct wio_pcapng_config *);

/* The same on a descriptor that becomes the capture's. */
struct wio_pcapng *wio_pcapng_open_fd(int fd, const struct wio_pcapng_config *);

/* Describe an interface; before its first packet. Returns its number for wio_pcapng_packet. */
unsigned wio_pcapng_interface(struct wio_pcapng *, const char *name, const char *description, enum weir_link_type);

/* Name an address, for programs that resolve names (a name resolution block). */
void wio_pcapng_name(struct wio_pcapng *, const struct weir_addr *, const char *name);

/* Write a packet; comment may be NULL or empty. Buffered: see wio_pcapng_flush. */
void wio_pcapng_packet(struct wio_pcapng *, unsigned interface, weir_ns at, const struct weir_pkt *,
                       enum wio_pcapng_dir, const char *comment);

/* Hand what is buffered to the kernel. 0 or a negative errno, as for the file's first failure. */
int wio_pcapng_flush(struct wio_pcapng *);

struct wio_pcapng_stats wio_pcapng_stats(const struct wio_pcapng *);

/* Flush and close; stats (may be NULL) are the last ones. 0 or a negative errno: something is missing from the file. */
int wio_pcapng_close(struct wio_pcapng *, struct wio_pcapng_stats *stats);

#endif
