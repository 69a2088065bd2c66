/*
 * Buffers of one size that a device's packets are received into, lent to the stack as packets' blocks and taken back
 * when the last view of them goes. The one that came back last is lent first: its bytes are still in the cache, and
 * memory that was never needed is never touched.
 *
 * What is lent does not count against the stack's limit: a lender is a bound of its own. Not for more than one thread.
 */
#ifndef WIO_LENDER_H
#define WIO_LENDER_H

#include <weir/pkt.h>

struct wio_lender;

/* n buffers of `size` bytes (a multiple of a page, or a power of two below it), one after the other; NULL: no memory.
 */
struct wio_lender *wio_lender_new(uint32_t n, uint32_t size);

/* No more is wanted. The memory goes when the last buffer is back. NULL is fine. */
void wio_lender_end(struct wio_lender *);

struct weir_block *wio_lender_take(struct wio_lender *); /* with one reference; NULL: all are out */
uint32_t wio_lender_left(const struct wio_lender *);     /* how many are not */

uint8_t *wio_lender_base(const struct wio_lender *); /* where the first buffer begins */
/* The block of the buffer that begins at base + off. */
struct weir_block *wio_lender_block(struct wio_lender *, uint64_t off);

#endif
