/*
 * The impaired link of the programs that measure against the kernel, in real time: the same decisions for the same
 * words, seed and packets, whoever sits at its ends.
 */
#ifndef TAP_LINK_H
#define TAP_LINK_H

#include "io/impair.h"
#include "io/line.h"

struct tap_link {
    struct wio_impair impair[2]; /* by enum wio_dir */
    struct wio_line line[2];
    uint64_t turns;
    uint64_t lost[2],
        full[2]; /* packets dropped at random, and because they had to wait too long or for want of memory */
    enum weir_link_type type;
};

/* Read a link's words, but for rules and corrupt=. NULL, or what is wrong with them (until the next call). */
const char *tap_link_init(struct tap_link *, enum weir_link_type, const char *words, uint32_t mtu, uint64_t seed);
void tap_link_free(struct tap_link *);

/* Send a packet; takes its reference. */
void tap_link_send(struct tap_link *, enum wio_dir, struct weir_pkt *, weir_ns now);

/* The next packet that is due that way, NULL: none. tap_link_take makes it the caller's. */
struct weir_pkt *tap_link_due(const struct tap_link *, enum wio_dir, weir_ns now);
struct weir_pkt *tap_link_take(struct tap_link *, enum wio_dir);

weir_ns tap_link_deadline(const struct tap_link *);

#endif
