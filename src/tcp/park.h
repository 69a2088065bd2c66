/*
 * Parked connections: an established connection that has nothing to do lies as a small image until something concerns
 * it (park.c says what, image.c how). Nobody can tell from outside: the packets are the same, bit for bit.
 */
#ifndef WI_TCP_PARK_H
#define WI_TCP_PARK_H

#include "base/htable.h"
#include "base/slab.h"
#include <weir/drop.h>
#include <weir/socket.h>

struct wi_sk;
struct wi_tcp;
struct wi_tcp_conn;
struct wi_tcp_key;
struct wi_tcp_parked;
struct wi_tcp_mould;

#define WI_TCP_MOULDS       16u  /* at most; each as large as a connection */
#define WI_TCP_IMAGE_MAX    280u /* bytes; what does not fit stays as it is, or becomes a mould */
#define WI_TCP_PARK_STEP    16u  /* sizes of images are rounded up to it: a slab for each */
#define WI_TCP_PARK_CLASSES 24u
#define WI_TCP_PARKED_POLL  (WEIR_POLLOUT | WEIR_POLLWRNORM) /* what is true of each: nothing to read, room to write */

/* What a stack keeps for them. */
struct wi_tcp_park {
    struct wi_htable table; /* struct wi_tcp_parked by four-tuple, hashed as wi_tcp.conns */
    struct wi_slab slabs[WI_TCP_PARK_CLASSES];
    struct wi_tcp_mould *moulds[WI_TCP_MOULDS]; /* NULL: a place that is free */
    unsigned mould_last;                        /* made the last image */
    weir_ns swept_at;                           /* the sweep has done what was due by then */
    weir_ns due;                                /* and has nothing to do before this */

    /* The owner (wi_sk.owner) learns that its endpoint went, and that it is back, at another place. NULL: nothing is
     * parked. on_ready is the owner's to set again. */
    void (*on_park)(void *owner, struct wi_tcp_parked *);
    void (*on_wake)(void *owner, struct wi_sk *);
};

bool wi_tcp_park_init(struct wi_tcp *); /* false: no memory */

/* Frees what is parked, silently. Before the ports go. */
void wi_tcp_park_fini(struct wi_tcp *);

/* Make an image of it, if it has nothing to do and it is worth it: then the connection is gone. */
bool wi_tcp_park(struct wi_tcp_conn *);

/* The connection as it was; NULL, and nothing changed: no memory. */
struct wi_tcp_conn *wi_tcp_wake(struct wi_tcp *, struct wi_tcp_parked *);

/* Fill *out with the connection as it would be awake, in no list and without an owner; nothing changes. Returns when
 * its keepalive timer is due, WEIR_NEVER: it has none. */
weir_ns wi_tcp_parked_read(const struct wi_tcp *, const struct wi_tcp_parked *, struct wi_tcp_conn *out);

/* By its four-tuple. NULL: none is parked that is sought (*why: NONE), or there is no memory (NO_MEMORY). */
struct wi_tcp_conn *wi_tcp_wake_for(struct wi_tcp *, const struct wi_tcp_key *, enum weir_drop *why);

/* Is it parked? */
bool wi_tcp_is_parked(const struct wi_tcp *, const struct wi_tcp_key *);

/* For close and abort where there is no memory to wake it: it ends by a reset (as one does that lacks it for a FIN). */
void wi_tcp_parked_abort(struct wi_tcp *, struct wi_tcp_parked *);

/* Memory for a connection, its contents undefined, for which others may be parked; NULL: there is none. */
struct wi_tcp_conn *wi_tcp_conn_room(struct wi_tcp *);

/* Look at some connections, so that each is looked at once in tcp_park_idle_ms, and park those that idle. */
void wi_tcp_park_sweep(struct wi_tcp *);

/* NULL, or what is wrong with what is parked. Linear. */
const char *wi_tcp_park_check(const struct wi_tcp *);

/* ---- image.c ---- */

/* The normal form of a connection that may be parked: without what only its place says, each number as its distance
 * from one that it is near to. */
void wi_tcp_image_fold(struct wi_tcp_conn *out, const struct wi_tcp_conn *);

/* The other way: out is a connection in no list and no table, and without an owner. */
void wi_tcp_image_unfold(struct wi_tcp_conn *out);

/* What differs between two in normal form. Returns the bytes, or more than `cap` where they might not fit. */
size_t wi_tcp_image_write(uint8_t *out, size_t cap, const struct wi_tcp_conn *folded, const struct wi_tcp_conn *mould);

/* *out is the mould, and becomes what the image was made of. */
void wi_tcp_image_read(struct wi_tcp_conn *out, const uint8_t *image, size_t len);

#endif
