/*
 * The link's script at work: counts the packets that each rule counts, and says which rules a packet meets.
 */
#ifndef WIO_SCRIPT_H
#define WIO_SCRIPT_H

#include "io/link.h"

struct wio_script;

/* NULL when memory is short. The rules are copied. */
struct wio_script *wio_script_new(const struct wio_rule *, unsigned n);
void wio_script_free(struct wio_script *);

/* Count a packet and judge it. Each packet is to be shown once, in the order of sending. */
struct wio_verdict wio_script_judge(struct wio_script *, const struct weir_pkt *, enum weir_link_type, enum wio_dir);

#endif
