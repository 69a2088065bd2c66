/*
 * Datagram mirrors: taking and giving datagrams with their addresses.
 */
#ifndef WIR_DGRAM_H
#define WIR_DGRAM_H

#include "run/sock.h"

#define WIR_DGRAM_CAP 65536

/* The next datagram for the program, from the mirror or from weir, into `data` (WIR_DGRAM_CAP bytes). Its length,
 * -EAGAIN, or the error that waits. flags: MSG_PEEK. */
/* A datagram that was taken for a call that is gone comes first again. Lost where there is no memory for it. */
void wir_dgram_give_back(struct wir_sock *, const uint8_t *data, const struct wir_staged *meta);

int64_t wir_dgram_take(struct wir_sock *, uint8_t *data, struct wir_staged *meta, int flags);

/* Straight from weir. flags: 0 or MSG_ERRQUEUE. */
int64_t wir_dgram_fetch(struct wir_sock *, uint8_t *data, struct wir_staged *meta, int flags);

/* Send on what the program has written to the mirror, so that the order is kept. */
void wir_dgram_drain(struct wir_sock *);

/* For SO_ERROR: the error that waits, taken away. */
int wir_dgram_take_error(struct wir_sock *);

/* Control messages for a datagram, as the program asked for them. Returns the bytes written; *flags gets MSG_CTRUNC. */
size_t wir_cmsg_write(const struct wir_sock *, const struct wir_staged *, uint8_t *room, size_t cap, int *flags);

/* Read what a program's control messages say of a datagram to be sent. 0 or -EINVAL. */
int wir_cmsg_read(const uint8_t *control, size_t len, struct weir_msg *);

#endif
